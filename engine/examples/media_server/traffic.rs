//! What came over one transport beside its own protocols: data channels, which carry it back, and media, which is counted.

use std::time::Instant;

use crate::data_channel::DataChannels;
use crate::view::{DataView, MediaView};

/// The traffic of one transport.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) channels: DataChannels,
    media: MediaView,
    records: u64,
    record_bytes: u64,
}

impl Traffic {
    pub(crate) fn new() -> Self {
        Self {
            channels: DataChannels::accepting(),
            media: MediaView::default(),
            records: 0,
            record_bytes: 0,
        }
    }

    /// Takes the plaintext of one DTLS record.
    pub(crate) fn handle_record(&mut self, now: Instant, plaintext: &[u8]) {
        self.records += 1;
        self.record_bytes += plaintext.len() as u64;
        self.channels.handle_packet(now, plaintext);
    }

    /// Takes an SRTP or SRTCP datagram.
    pub(crate) fn handle_media(&mut self, datagram: &[u8]) {
        self.media.datagrams += 1;
        self.media.bytes += datagram.len() as u64;
    }

    pub(crate) fn media(&self) -> MediaView {
        self.media
    }

    pub(crate) fn data(&self) -> DataView {
        DataView {
            channels: self.channels.opened(),
            messages: self.channels.messages(),
            records: self.records,
            bytes: self.record_bytes,
        }
    }
}
