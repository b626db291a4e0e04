//! What is known of a protected epoch in each direction: its key, and which of its record numbers are used up.
//!
//! Only the newest epoch that is read has an expanded key, which takes half a kilobyte and more. One that has ended is kept
//! as the secret that its key was made of. Most ended epochs are the handshake's, and of that one every connection has one
//! for a while: it says nothing new any more, and so is kept in the fewest bytes.

use std::ops::Range;

use super::header::{ContentType, Epoch, Header, MAX_PLAINTEXT, RecordNumber};
use super::protect::{Forged, Forgeries, KeyV13, Protection, RecordKey};
use super::replay::ReplayWindow;
use super::unified::UnifiedHeader;
use super::{Opened, RESERVED_FOR_CLOSE, Record, SealError, Sealed, Unsealed, v12, v13};
use crate::crypto::SuiteV13;
use crate::error::PeerMisbehaved;
use crate::event::AeadLimit;
use crate::key_schedule::v13::TrafficSecret;
use crate::stats::DropReason;
use crate::timer::Second;

/// The newest epoch that is read.
#[derive(Debug)]
pub(super) struct ReadEpoch {
    pub(super) window: ReplayWindow,
    pub(super) key: RecordKey,
}

/// An epoch of data that is over, and of which something may still come.
#[derive(Debug)]
pub(super) struct Ended {
    secret: TrafficSecret,
    window: ReplayWindow,
    epoch: Epoch,
    forgeries: Forgeries,
    /// When this one and all older are let go.
    pub(super) until: Option<Second>,
    older: Option<Box<Self>>,
}

/// The epoch of a complete handshake: what may still come is a repetition, which asks for our answer or for our ACK.
///
/// A repetition has a new number, and whatever has an older one than the newest says nothing that was not said. So that is
/// all there is to its window. Forgeries are not counted: in the few minutes that it is kept no network carries 2³⁶ of them
/// (RFC 9147 §4.5.3).
#[derive(Debug)]
pub(super) struct EndedHandshake {
    secret: TrafficSecret,
    newest: u32,
    /// Which records were acknowledged: a bit for each, the newest first.
    acknowledged: u32,
    pub(super) until: Option<Second>,
}

#[derive(Debug)]
pub(super) struct WriteEpoch {
    pub(super) key: RecordKey,
    pub(super) next: u64,
}

/// By what all records of DTLS 1.3 are protected.
#[derive(Clone, Copy)]
pub(super) struct Means {
    pub(super) suite: SuiteV13,
    pub(super) protection: Protection,
}

impl Means {
    /// The key of an epoch, to be used once.
    fn expand(self, secret: &TrafficSecret, epoch: Epoch) -> Option<KeyV13> {
        let secrets = secret.record_secrets(self.suite, self.protection);
        secrets.expand(epoch)
    }
}

/// Which record numbers came.
trait Numbers {
    /// One more than the newest.
    fn next(&self) -> u64;
    /// Whether a record of this number may be new.
    fn check(&self, sequence: u64) -> bool;
    /// Remembers an authenticated record that passed [`Self::check`].
    fn mark(&mut self, sequence: u64);
}

impl Numbers for ReplayWindow {
    #[inline]
    fn next(&self) -> u64 {
        self.next()
    }

    #[inline]
    fn check(&self, sequence: u64) -> bool {
        self.check(sequence)
    }

    #[inline]
    fn mark(&mut self, sequence: u64) {
        self.mark(sequence);
    }
}

impl Numbers for EndedHandshake {
    fn next(&self) -> u64 {
        u64::from(self.newest) + 1
    }

    fn check(&self, sequence: u64) -> bool {
        (self.next()..=u32::MAX.into()).contains(&sequence)
    }

    fn mark(&mut self, sequence: u64) {
        let newest = u32::try_from(sequence).unwrap_or(u32::MAX);
        let shift = newest.saturating_sub(self.newest);
        self.acknowledged = self.acknowledged.checked_shl(shift).unwrap_or(0);
        self.newest = newest;
    }
}

impl ReadEpoch {
    pub(super) fn new(epoch: Epoch, key: RecordKey) -> Self {
        Self {
            window: ReplayWindow::default(),
            key: key.of_epoch(epoch),
        }
    }

    #[inline]
    pub(super) fn epoch(&self) -> Epoch {
        self.key.epoch()
    }

    /// What its records are protected by; also those of epochs before it.
    pub(super) fn means(&self) -> Means {
        Means {
            suite: SuiteV13(self.key.aead()),
            protection: self.key.protection(),
        }
    }

    /// Whether a record has authenticated.
    pub(super) fn has_opened(&self) -> bool {
        !self.window.is_empty()
    }

    pub(super) fn ended(self, secret: TrafficSecret, older: Option<Box<Ended>>) -> Ended {
        let (RecordKey::V12(_, forgeries) | RecordKey::V13(_, forgeries)) = self.key;
        Ended {
            secret,
            window: self.window,
            epoch: self.epoch(),
            forgeries,
            until: None,
            older,
        }
    }

    /// `None` if its numbers are not those of any handshake.
    pub(super) fn ended_handshake(&self, secret: TrafficSecret) -> Option<EndedHandshake> {
        Some(EndedHandshake {
            secret,
            newest: u32::try_from(self.window.next() - 1).ok()?,
            acknowledged: 0,
            until: None,
        })
    }

    /// Opens in place a record with a long header, which starts at `from` of its datagram.
    #[inline]
    pub(super) fn open_long(
        &mut self,
        header: &Header,
        id: &[u8],
        record: &mut [u8],
        from: usize,
    ) -> Opened {
        let next = from + record.len();
        let RecordKey::V12(key, forgeries) = &mut self.key else {
            return Opened::dropped(DropReason::UnknownEpoch, next);
        };
        if header.length < key.shortest_body() {
            return Opened::dropped(DropReason::TruncatedRecord, next);
        }
        if !self.window.check(header.number.sequence()) {
            return Opened::dropped(DropReason::Replayed, next);
        }
        match v12::open(key, header, id, record) {
            Ok(plaintext) => {
                self.window.mark(header.number.sequence());
                authentic(header.number, header.content_type, plaintext, record, from)
            }
            Err(Forged) => refused(forgeries.count(Forgeries::LIMIT), next),
        }
    }

    /// Opens in place a record with a unified header, which starts at `from` of its datagram.
    #[inline]
    pub(super) fn open_unified(
        &mut self,
        header: &UnifiedHeader,
        record: &mut [u8],
        from: usize,
    ) -> Opened {
        match &mut self.key {
            RecordKey::V13(key, forgeries) => {
                open_counted(key, &mut self.window, forgeries, header, record, from)
            }
            RecordKey::V12(..) => Opened::dropped(DropReason::UnknownEpoch, from + record.len()),
        }
    }
}

impl Ended {
    /// Lets go of those of `list` that are older than `epoch`.
    pub(super) fn drop_before(list: &mut Option<Box<Self>>, epoch: Epoch) {
        list.take_if(|ended| ended.epoch < epoch);
        if let Some(ended) = list {
            Self::drop_before(&mut ended.older, epoch);
        }
    }

    /// The newest from here on whose number ends in the bits of the header.
    pub(super) fn of(&mut self, header: &UnifiedHeader) -> Option<&mut Self> {
        match header.is_of(self.epoch) {
            true => Some(self),
            false => self.older.as_mut()?.of(header),
        }
    }

    /// As [`ReadEpoch::open_unified`].
    pub(super) fn open(
        &mut self,
        means: Means,
        header: &UnifiedHeader,
        record: &mut [u8],
        from: usize,
    ) -> Opened {
        let (window, forgeries) = (&mut self.window, &mut self.forgeries);
        match means.expand(&self.secret, self.epoch) {
            Some(key) => open_counted(&key, window, forgeries, header, record, from),
            None => Opened::dropped(DropReason::UnknownEpoch, from + record.len()),
        }
    }
}

impl EndedHandshake {
    /// As [`ReadEpoch::open_unified`].
    pub(super) fn open(
        &mut self,
        means: Means,
        header: &UnifiedHeader,
        record: &mut [u8],
        from: usize,
    ) -> Opened {
        let next = from + record.len();
        match means.expand(&self.secret, Epoch::HANDSHAKE) {
            Some(key) => open_unified(&key, self, header, record, from)
                .unwrap_or_else(|Forged| refused(None, next)),
            None => Opened::dropped(DropReason::UnknownEpoch, next),
        }
    }

    /// Takes note that this record was acknowledged; `false` if it is too old for that.
    pub(super) fn acknowledge(&mut self, sequence: u64) -> bool {
        let age = u64::from(self.newest).checked_sub(sequence);
        let bit = age.and_then(|age| 1u32.checked_shl(u32::try_from(age).ok()?));
        self.acknowledged |= bit.unwrap_or(0);
        bit.is_some()
    }

    /// The records that were acknowledged, the newest first.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = RecordNumber> {
        let ages = (0..u32::BITS).filter(|age| self.acknowledged >> age & 1 == 1);
        let sequences = ages.filter_map(|age| self.newest.checked_sub(age));
        sequences.map(|sequence| RecordNumber::new(Epoch::HANDSHAKE, sequence.into()))
    }
}

/// Opens a record of DTLS 1.3 by a key that counts what is forged.
#[inline]
fn open_counted(
    key: &KeyV13,
    window: &mut ReplayWindow,
    forgeries: &mut Forgeries,
    header: &UnifiedHeader,
    record: &mut [u8],
    from: usize,
) -> Opened {
    let next = from + record.len();
    // A key that has refused as much as it may opens nothing any more (RFC 9147 §4.5.3).
    if forgeries.0 >= Forgeries::LIMIT {
        return Opened::dropped(DropReason::BadMac, next);
    }
    let opened = open_unified(key, window, header, record, from);
    // There is time to change keys.
    opened.unwrap_or_else(|Forged| refused(forgeries.count(Forgeries::LIMIT / 2), next))
}

/// Opens a record of DTLS 1.3, if its number is new.
#[inline]
fn open_unified(
    key: &KeyV13,
    numbers: &mut impl Numbers,
    header: &UnifiedHeader,
    record: &mut [u8],
    from: usize,
) -> Result<Opened, Forged> {
    let next = from + record.len();
    if header.length < KeyV13::SHORTEST_BODY {
        return Ok(Opened::dropped(DropReason::TruncatedRecord, next));
    }
    let sequence = v13::unmask(key, header, record, numbers.next());
    if !numbers.check(sequence) {
        return Ok(Opened::dropped(DropReason::Replayed, next));
    }
    let number = RecordNumber::new(key.epoch(), sequence);
    let plaintext = v13::open(key, number, header, record)?;
    numbers.mark(sequence);
    Ok(authentic(number, None, plaintext, record, from))
}

/// A record that does not authenticate, and the limit that its owner is told of.
fn refused(limit: Option<AeadLimit>, next: usize) -> Opened {
    Opened {
        limit,
        ..Opened::dropped(DropReason::BadMac, next)
    }
}

/// A record that starts at `from` of its datagram, and authenticates.
#[inline]
fn authentic(
    number: RecordNumber,
    content_type: Option<ContentType>,
    plaintext: Range<usize>,
    record: &[u8],
    from: usize,
) -> Opened {
    let next = from + record.len();
    let start = from + plaintext.start;
    let found = match content_type {
        Some(content_type) => Some((content_type, plaintext.len())),
        None => inner_type(record.get(plaintext).unwrap_or_default()),
    };
    match found {
        Some((content_type, len)) if len <= MAX_PLAINTEXT => Opened {
            record: Ok(Record {
                content_type,
                number,
                payload: start..start + len,
            }),
            next,
            limit: None,
            fault: None,
        },
        Some(_) => Opened {
            fault: Some(PeerMisbehaved::RecordTooLong),
            ..Opened::dropped(DropReason::RecordTooLong, next)
        },
        None => Opened {
            fault: Some(PeerMisbehaved::RecordTypeUnknown),
            ..Opened::dropped(DropReason::UnknownContentType, next)
        },
    }
}

/// The type at the end of an inner plaintext, and the length of the content before it: what follows are zeros
/// (RFC 9147 §4, RFC 9146 §4).
#[inline]
fn inner_type(inner: &[u8]) -> Option<(ContentType, usize)> {
    let len = inner.iter().rposition(|byte| *byte != 0)?;
    Some((ContentType::read(*inner.get(len)?)?, len))
}

impl WriteEpoch {
    pub(super) fn new(epoch: Epoch, key: RecordKey) -> Self {
        Self {
            key: key.of_epoch(epoch),
            next: 0,
        }
    }

    #[inline]
    pub(super) fn epoch(&self) -> Epoch {
        self.key.epoch()
    }

    /// Whether the limit of the cipher is reached, or in DTLS 1.3 near: there is time to change keys. Says so once, whatever
    /// stands in the record that reaches it.
    #[inline]
    pub(super) fn reaches_limit(&mut self) -> bool {
        let limit = self.key.aead().confidentiality_limit();
        let told = match self.key {
            RecordKey::V12(..) => limit,
            RecordKey::V13(..) => limit / 16 * 15,
        };
        self.next >= told && self.key.first_near_limit()
    }

    /// How many records it can have. Keys of DTLS 1.3 can be changed: where the peer never lets us, that is where the limit
    /// of the cipher is (RFC 9147 §4.5.3).
    #[inline]
    pub(super) fn end(&self) -> u64 {
        match &self.key {
            RecordKey::V12(..) => RecordNumber::SEQUENCES,
            RecordKey::V13(key, _) => key.aead().confidentiality_limit(),
        }
    }

    #[inline]
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
            RecordKey::V12(key, _) => v12::seal(key, &text, out),
            RecordKey::V13(key, _) => v13::seal(key, &text, out),
        }?;
        self.next += 1;
        Ok(Sealed { len, number })
    }
}
