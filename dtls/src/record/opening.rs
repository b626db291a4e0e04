//! Which epoch a record is of that came, and what opens it.

use super::RecordLayer;
use super::aside::own_id;
use super::epochs::OldEpoch;
use super::header::{Epoch, Header};
use super::outcome::Opened;
use super::protect::RecordSecrets;
use super::unified::UnifiedHeader;
use crate::stats::DropReason;

/// An epoch whose secrets are not kept here, by its distance to one that something came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbour {
    Previous,
    Next,
}

impl RecordLayer {
    /// Opens the record at `from`, in place. Nothing changes unless it authenticates. `secrets` are those of an epoch whose
    /// secrets are not kept here: the one [after](Neighbour::Next) the newest that something came in, or the one before.
    #[inline]
    pub(crate) fn open(
        &mut self,
        datagram: &mut [u8],
        from: usize,
        secrets: impl FnOnce(Neighbour) -> Option<RecordSecrets>,
    ) -> Opened {
        let end = datagram.len();
        let Some(bytes) = datagram.get_mut(from..) else {
            return Opened::dropped(DropReason::TruncatedRecord, end);
        };
        match bytes.first() {
            Some(first) if UnifiedHeader::starts_with(*first) => {
                self.open_unified(bytes, from, secrets)
            }
            _ => self.open_long(bytes, from),
        }
    }

    /// Opens the record with a long header that `bytes`, which stand at `from`, begin with.
    #[inline]
    fn open_long(&mut self, bytes: &mut [u8], from: usize) -> Opened {
        let id = own_id(&self.aside);
        let header = match Header::read(bytes, id) {
            Ok(header) => header,
            Err(reason) => return Opened::dropped(reason, from + bytes.len()),
        };
        let len = header.len(id) + header.length;
        let next = from + len;
        let epoch = header.number.epoch();
        if epoch == Epoch::PLAINTEXT {
            return match self.plaintext() {
                Some(plaintext) => plaintext.open(&header, from),
                None => Opened::dropped(DropReason::PlaintextAfterKeys, next),
            };
        }
        let Some(read) = self.read.as_mut().filter(|read| read.epoch() == epoch) else {
            return Opened::dropped(DropReason::UnknownEpoch, next);
        };
        let (record, _) = bytes.split_at_mut(len);
        read.open_long(&header, id, record, from)
    }

    /// Opens the record with a unified header that `bytes`, which stand at `from`, begin with.
    #[inline]
    fn open_unified(
        &mut self,
        bytes: &mut [u8],
        from: usize,
        secrets: impl FnOnce(Neighbour) -> Option<RecordSecrets>,
    ) -> Opened {
        let header = match UnifiedHeader::read(bytes, own_id(&self.aside)) {
            Ok(header) => header,
            Err(reason) => return Opened::dropped(reason, from + bytes.len()),
        };
        let (record, _) = bytes.split_at_mut(header.len + header.length);
        match &mut self.read {
            Some(read) if header.is_of(read.epoch()) => read.open_unified(&header, record, from),
            _ => self.open_neighbour(&header, record, from, secrets),
        }
    }

    /// Opens a record that is not of the newest epoch that something came in, but of one beside it: the newest that ends in
    /// the bits of the header (RFC 9147 §4.2.2).
    #[cold]
    fn open_neighbour(
        &mut self,
        header: &UnifiedHeader,
        record: &mut [u8],
        from: usize,
        secrets: impl FnOnce(Neighbour) -> Option<RecordSecrets>,
    ) -> Opened {
        let unknown = Opened::dropped(DropReason::UnknownEpoch, from + record.len());
        let Some(read) = &mut self.read else {
            return unknown;
        };
        if let Some(epoch) = read.announced().filter(|epoch| header.is_of(*epoch)) {
            let Some(secrets) = secrets(Neighbour::Next) else {
                return unknown;
            };
            let (opened, before) = read.open_next(epoch, secrets, header, record, from);
            if read.epoch() == epoch {
                // The peer knows that we know, and so of all else that we have: nothing of the handshake comes again.
                self.old = before.map(OldEpoch::Data);
            }
            return opened;
        }
        match &mut self.old {
            Some(OldEpoch::Data(ended)) => {
                let epoch = Epoch(read.epoch().0.saturating_sub(1));
                if !header.is_of(epoch) {
                    return unknown;
                }
                match secrets(Neighbour::Previous) {
                    Some(secrets) => {
                        let secrets = secrets.of_epoch(epoch);
                        ended.open(read, &secrets, header, record, from)
                    }
                    None => unknown,
                }
            }
            Some(OldEpoch::Handshake(handshake, _)) if header.is_of(Epoch::HANDSHAKE) => {
                handshake.open(read.means(), header, record, from)
            }
            _ => unknown,
        }
    }
}
