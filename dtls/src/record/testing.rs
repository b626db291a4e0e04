//! What tests do to a record layer that takes too long otherwise, or that the wire cannot.

use super::RecordLayer;
use super::epochs::{ReadEpoch, WriteEpoch};
use super::header::Epoch;
use super::protect::RecordKey;

impl RecordLayer {
    /// As if this many records of the newest epoch had been written.
    pub(crate) fn skip_to(&mut self, sequence: u64) {
        self.write.as_mut().unwrap().next = sequence;
    }

    /// As if so many epochs more had been written before the newest.
    pub(crate) fn skip_write_epochs(&mut self, count: u16) {
        let write = self.write.take().unwrap();
        let epoch = Epoch(write.epoch().0 + count);
        let key = write.key.of_epoch(epoch);
        self.write = Some(WriteEpoch { key, ..write });
    }

    /// As if so many epochs more had been read before the newest.
    pub(crate) fn skip_read_epochs(&mut self, count: u16) {
        let read = self.read.take().unwrap();
        let epoch = Epoch(read.epoch().0 + count);
        let key = read.key.of_epoch(epoch);
        self.read = Some(ReadEpoch { key, ..read });
    }

    /// Whether that of a handshake that is over can be opened.
    pub(crate) fn has_handshake(&self) -> bool {
        self.handshake().is_some()
    }

    /// As if this record of the newest epoch had come.
    pub(crate) fn received(&mut self, sequence: u64) {
        self.read.as_mut().unwrap().window.mark(sequence);
    }

    /// As if so many records of the newest epoch had been forged.
    pub(crate) fn forged(&mut self, count: u32) {
        let (RecordKey::V12(_, forgeries)
        | RecordKey::V13(_, forgeries)
        | RecordKey::Packed(_, forgeries)) = &mut self.read.as_mut().unwrap().key;
        forgeries.0 = count;
    }
}
