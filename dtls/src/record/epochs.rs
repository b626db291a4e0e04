//! What is known of a protected epoch in each direction: its key, and which of its record numbers are used up.
//!
//! Only the newest epoch that is read has an expanded key, which takes half a kilobyte and more. One that has ended is kept
//! as what its key was made of.

use std::ops::Range;
use std::time::Instant;

use super::header::{ContentType, Epoch, Header, MAX_PLAINTEXT, RecordNumber};
use super::protect::{Forged, KeyV13, RecordKey, RecordSecrets};
use super::replay::ReplayWindow;
use super::unified::UnifiedHeader;
use super::{Opened, RESERVED_FOR_CLOSE, Record, SealError, Sealed, Unsealed, v12, v13};
use crate::error::PeerMisbehaved;
use crate::event::AeadLimit;
use crate::stats::DropReason;

/// What came in an epoch.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) window: ReplayWindow,
    pub(super) forged: u64,
}

/// The newest epoch that is read.
#[derive(Debug)]
pub(super) struct ReadEpoch {
    pub(super) heard: Heard,
    pub(super) key: RecordKey,
}

/// An epoch of DTLS 1.3 that is over, and of which something may still come.
#[derive(Debug)]
pub(super) struct Ended {
    heard: Heard,
    secrets: RecordSecrets,
    pub(super) older: Option<Box<Self>>,
    /// When this one and all older are let go.
    pub(super) until: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct WriteEpoch {
    pub(super) key: RecordKey,
    pub(super) next: u64,
}

impl ReadEpoch {
    pub(super) fn new(epoch: Epoch, key: RecordKey) -> Self {
        let heard = Heard {
            window: ReplayWindow::default(),
            forged: 0,
        };
        let key = key.of_epoch(epoch);
        Self { heard, key }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.key.epoch()
    }

    /// Whether a record has authenticated.
    pub(super) fn has_opened(&self) -> bool {
        !self.heard.window.is_empty()
    }

    pub(super) fn ended(self, secrets: RecordSecrets, older: Option<Box<Ended>>) -> Ended {
        Ended {
            secrets: secrets.of_epoch(self.epoch()),
            heard: self.heard,
            older,
            until: None,
        }
    }

    /// Opens in place a record with a long header, which starts at `from` of its datagram.
    pub(super) fn open_long(
        &mut self,
        header: &Header,
        id: &[u8],
        record: &mut [u8],
        from: usize,
    ) -> Opened {
        let next = from + record.len();
        let RecordKey::V12(key) = &self.key else {
            return Opened::dropped(DropReason::UnknownEpoch, next);
        };
        if header.length < key.shortest_body() {
            return Opened::dropped(DropReason::TruncatedRecord, next);
        }
        if !self.heard.window.check(header.number.sequence()) {
            return Opened::dropped(DropReason::Replayed, next);
        }
        match v12::open(key, header, id, record) {
            Ok(plaintext) => {
                let (number, content_type) = (header.number, header.content_type);
                let heard = &mut self.heard;
                heard.authentic(number, content_type, plaintext, record, from)
            }
            Err(Forged) => self.heard.refused(key.aead().integrity_limit(), next),
        }
    }

    /// Opens in place a record with a unified header, which starts at `from` of its datagram.
    pub(super) fn open_unified(
        &mut self,
        header: &UnifiedHeader,
        record: &mut [u8],
        from: usize,
    ) -> Opened {
        match &self.key {
            RecordKey::V13(key) => self.heard.open_unified(key, header, record, from),
            RecordKey::V12(_) => Opened::dropped(DropReason::UnknownEpoch, from + record.len()),
        }
    }
}

impl Ended {
    /// Lets go of those of `list` that are older than `epoch`.
    pub(super) fn drop_before(list: &mut Option<Box<Self>>, epoch: Epoch) {
        list.take_if(|ended| ended.epoch() < epoch);
        if let Some(ended) = list {
            Self::drop_before(&mut ended.older, epoch);
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.secrets.epoch()
    }

    /// As [`ReadEpoch::open_unified`], of the newest epoch from here on whose number ends in the bits of the header.
    pub(super) fn open_unified(
        &mut self,
        header: &UnifiedHeader,
        record: &mut [u8],
        from: usize,
    ) -> Opened {
        let unknown = Opened::dropped(DropReason::UnknownEpoch, from + record.len());
        if !header.is_of(self.epoch()) {
            return match &mut self.older {
                Some(older) => older.open_unified(header, record, from),
                None => unknown,
            };
        }
        match self.secrets.expand() {
            Some(key) => self.heard.open_unified(&key, header, record, from),
            None => unknown,
        }
    }
}

impl Heard {
    fn open_unified(
        &mut self,
        key: &KeyV13,
        header: &UnifiedHeader,
        record: &mut [u8],
        from: usize,
    ) -> Opened {
        let next = from + record.len();
        if header.length < KeyV13::SHORTEST_BODY {
            return Opened::dropped(DropReason::TruncatedRecord, next);
        }
        // A key that has refused as much as it may opens nothing any more (RFC 9147 §4.5.3).
        let limit = key.aead().integrity_limit();
        if self.forged >= limit {
            return Opened::dropped(DropReason::BadMac, next);
        }
        let sequence = v13::unmask(key, header, record, self.window.next());
        if !self.window.check(sequence) {
            return Opened::dropped(DropReason::Replayed, next);
        }
        let number = RecordNumber::new(key.epoch(), sequence);
        match v13::open(key, number, header, record) {
            Ok(plaintext) => self.authentic(number, None, plaintext, record, from),
            // There is time to change keys.
            Err(Forged) => self.refused(limit / 2, next),
        }
    }

    /// A record that does not authenticate. The owner is told of as many as `told`.
    fn refused(&mut self, told: u64, next: usize) -> Opened {
        self.forged += 1;
        let limit = self.forged == told;
        Opened {
            limit: limit.then_some(AeadLimit::Integrity),
            ..Opened::dropped(DropReason::BadMac, next)
        }
    }

    /// A record that starts at `from` of its datagram, and authenticates: only here does an epoch change.
    fn authentic(
        &mut self,
        number: RecordNumber,
        content_type: Option<ContentType>,
        plaintext: Range<usize>,
        record: &[u8],
        from: usize,
    ) -> Opened {
        let next = from + record.len();
        self.window.mark(number.sequence());
        let start = plaintext.start;
        let found = match content_type {
            Some(content_type) => Ok((content_type, plaintext.len())),
            None => inner_type(record.get(plaintext).unwrap_or_default()),
        };
        let record = found.and_then(|(content_type, len)| {
            let payload = from + start..from + start + len;
            let record = Record {
                content_type,
                number,
                payload,
            };
            (len <= MAX_PLAINTEXT)
                .then_some(record)
                .ok_or(DropReason::RecordTooLong)
        });
        let fault = match &record {
            Err(DropReason::RecordTooLong) => Some(PeerMisbehaved::RecordTooLong),
            Err(_) => Some(PeerMisbehaved::RecordTypeUnknown),
            Ok(_) => None,
        };
        Opened {
            record,
            next,
            limit: None,
            fault,
        }
    }
}

/// The type at the end of an inner plaintext, and the length of the content before it: what follows are zeros
/// (RFC 9147 §4, RFC 9146 §4).
fn inner_type(inner: &[u8]) -> Result<(ContentType, usize), DropReason> {
    let unknown = DropReason::UnknownContentType;
    let len = inner.iter().rposition(|byte| *byte != 0).ok_or(unknown)?;
    let content_type = inner.get(len).copied().and_then(ContentType::read);
    content_type
        .map(|content_type| (content_type, len))
        .ok_or(unknown)
}

impl WriteEpoch {
    pub(super) fn new(epoch: Epoch, key: RecordKey) -> Self {
        Self {
            key: key.of_epoch(epoch),
            next: 0,
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.key.epoch()
    }

    /// Whether the limit of the cipher is reached, or in DTLS 1.3 near: there is time to change keys. Says so once, whatever
    /// stands in the record that reaches it.
    pub(super) fn reaches_limit(&mut self) -> bool {
        let limit = self.key.aead().confidentiality_limit();
        let told = match self.key {
            RecordKey::V12(_) => limit,
            RecordKey::V13(_) => limit / 16 * 15,
        };
        self.next >= told && self.key.first_near_limit()
    }

    /// How many records it can have. Keys of DTLS 1.3 can be changed: where the peer never lets us, that is where the limit
    /// of the cipher is (RFC 9147 §4.5.3).
    pub(super) fn end(&self) -> u64 {
        match &self.key {
            RecordKey::V12(_) => RecordNumber::SEQUENCES,
            RecordKey::V13(key) => key.aead().confidentiality_limit(),
        }
    }

    pub(super) fn seal(
        &mut self,
        content_type: ContentType,
        id: &[u8],
        parts: [&[u8]; 2],
        out: &mut [u8],
    ) -> Result<Sealed, SealError> {
        let reserved = match content_type {
            ContentType::ApplicationData => RESERVED_FOR_CLOSE,
            _ => 0,
        };
        if self.next + reserved >= self.end() {
            return Err(SealError::Exhausted);
        }
        let number = RecordNumber::new(self.epoch(), self.next);
        let text = Unsealed {
            number,
            content_type,
            id,
            parts,
        };
        let len = match &self.key {
            RecordKey::V12(key) => v12::seal(key, &text, out),
            RecordKey::V13(key) => v13::seal(key, &text, out),
        }?;
        self.next += 1;
        Ok(Sealed { len, number })
    }
}
