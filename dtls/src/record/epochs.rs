//! What is known of a protected epoch in each direction: its key, and which of its record numbers are used up.
//!
//! In each direction one epoch at most has an expanded key, which takes half a kilobyte and more; while that key is being
//! changed, none has. One that has ended is opened with a key that is made for each record:
//!
//! ```text
//!    read       announced             first record of 4            LINGER later
//!     3 ─────────▶ 3, 4 ──────────────────▶ 4, 3 ──────────────────────▶ 4
//!   expanded     both made anew       expanded, made anew           expanded
//! ```
//!
//! That of the handshake is kept for as long when it has ended. It says nothing new any more, and so is kept in the fewest
//! bytes.

use std::ops::Range;

use super::header::{ContentType, Epoch, Header, MAX_PLAINTEXT, RecordNumber};
use super::outcome::{Opened, Record, SealError, Sealed, Unsealed};
use super::protect::{Forged, Forgeries, KeyV13, Protection, RecordKey, RecordSecrets};
use super::replay::ReplayWindow;
use super::unified::UnifiedHeader;
use super::{v12, v13};
use crate::crypto::SuiteV13;
use crate::error::PeerMisbehaved;
use crate::event::AeadLimit;
use crate::key_schedule::v13::TrafficSecret;
use crate::stats::DropReason;
use crate::timer::Second;

/// Record numbers kept back at the end of an epoch so that its end can be said.
pub(super) const RESERVED_FOR_CLOSE: u64 = 16;

/// The newest epoch that is read.
#[derive(Debug)]
pub(super) struct ReadEpoch {
    pub(super) window: ReplayWindow,
    pub(super) key: RecordKey,
}

/// What may still be opened besides the newest epoch.
#[derive(Debug)]
pub(super) enum OldEpoch {
    /// That of the handshake, until then.
    Handshake(Box<EndedHandshake>, Option<Second>),
    /// That of the data before a KeyUpdate. Its secret is in the care of who has the secrets.
    Data(EndedData),
}

/// The epoch of data before the newest: what overtaking left of it.
///
/// Of its window the newest numbers are kept, and nothing where they are so high that no epoch of AES has them. What is
/// forged in its name counts as forged in that of the newest.
#[derive(Debug)]
pub(super) struct EndedData {
    newest: u32,
    /// Which records came: a bit for each, the newest first.
    seen: u32,
    /// When it is let go.
    until: Option<Second>,
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
    /// The key of the handshake, to be used once.
    fn expand(self, secret: &TrafficSecret) -> Option<KeyV13> {
        let secrets = secret.record_secrets(self.suite, self.protection);
        secrets.of_epoch(Epoch::HANDSHAKE).expand()
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

impl Numbers for EndedData {
    fn next(&self) -> u64 {
        u64::from(self.newest) + 1
    }

    fn check(&self, sequence: u64) -> bool {
        let Ok(sequence) = u32::try_from(sequence) else {
            return false;
        };
        let age = self.newest.checked_sub(sequence);
        age.is_none_or(|age| age < u32::BITS && self.seen >> age & 1 == 0)
    }

    fn mark(&mut self, sequence: u64) {
        let sequence = u32::try_from(sequence).unwrap_or(u32::MAX);
        let by = sequence.saturating_sub(self.newest);
        self.seen = self.seen.checked_shl(by).unwrap_or(0);
        self.newest = self.newest.max(sequence);
        self.seen |= 1u32.checked_shl(self.newest - sequence).unwrap_or(0);
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

    /// The epoch after this one, if the peer has announced it.
    pub(super) fn announced(&self) -> Option<Epoch> {
        self.epoch().next().filter(|_| self.key.is_packed())
    }

    /// Opens in place the first record of the announced epoch, whose key is made of `secrets`. That epoch is in the place of
    /// this one then; gives back what is left of this one, if anything.
    pub(super) fn open_next(
        &mut self,
        epoch: Epoch,
        secrets: RecordSecrets,
        header: &UnifiedHeader,
        record: &mut [u8],
        from: usize,
    ) -> (Opened, Option<EndedData>) {
        let next = from + record.len();
        let key = secrets.of_epoch(epoch).expand();
        let (RecordKey::Packed(_, forgeries), Some(key)) = (&mut self.key, key) else {
            return (Opened::dropped(DropReason::UnknownEpoch, next), None);
        };
        let mut window = ReplayWindow::default();
        // What is forged is counted with what was forged in this epoch.
        let opened = open_counted(&key, &mut window, forgeries, header, record, from);
        if window.is_empty() {
            return (opened, None);
        }
        let key = RecordKey::V13(Box::new(key), Forgeries::default());
        let before = std::mem::replace(self, Self { window, key });
        (opened, before.ended())
    }

    /// What is kept of it when the next has begun; `None` where its numbers are too high.
    fn ended(self) -> Option<EndedData> {
        Some(EndedData {
            newest: u32::try_from(self.window.next() - 1).ok()?,
            seen: self.window.newest(),
            until: None,
        })
    }

    /// `None` if its numbers are not those of any handshake.
    pub(super) fn ended_handshake(&self, secret: TrafficSecret) -> Option<EndedHandshake> {
        Some(EndedHandshake {
            secret,
            newest: u32::try_from(self.window.next() - 1).ok()?,
            acknowledged: 0,
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
            RecordKey::Packed(secrets, forgeries) => {
                open_packed(secrets, &mut self.window, forgeries, header, record, from)
            }
            RecordKey::V12(..) => Opened::dropped(DropReason::UnknownEpoch, from + record.len()),
        }
    }
}

impl OldEpoch {
    /// When it is let go.
    pub(super) fn until(&mut self) -> &mut Option<Second> {
        match self {
            Self::Handshake(_, until) => until,
            Self::Data(ended) => &mut ended.until,
        }
    }

    pub(super) fn is_handshake(&self) -> bool {
        matches!(self, Self::Handshake(..))
    }
}

impl EndedData {
    /// As [`ReadEpoch::open_unified`], where `newest` is the epoch after this one, and `secrets` are those of this one.
    pub(super) fn open(
        &mut self,
        newest: &mut ReadEpoch,
        secrets: &RecordSecrets,
        header: &UnifiedHeader,
        record: &mut [u8],
        from: usize,
    ) -> Opened {
        let (RecordKey::V12(_, forgeries)
        | RecordKey::V13(_, forgeries)
        | RecordKey::Packed(_, forgeries)) = &mut newest.key;
        open_packed(secrets, self, forgeries, header, record, from)
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
        match means.expand(&self.secret) {
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
    numbers: &mut impl Numbers,
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
    let opened = open_unified(key, numbers, header, record, from);
    // There is time to change keys.
    opened.unwrap_or_else(|Forged| refused(forgeries.count(Forgeries::LIMIT / 2), next))
}

/// As [`open_counted`], by a key that is made for this record.
#[cold]
fn open_packed(
    secrets: &RecordSecrets,
    numbers: &mut impl Numbers,
    forgeries: &mut Forgeries,
    header: &UnifiedHeader,
    record: &mut [u8],
    from: usize,
) -> Opened {
    match secrets.expand() {
        Some(key) => open_counted(&key, numbers, forgeries, header, record, from),
        None => Opened::dropped(DropReason::UnknownEpoch, from + record.len()),
    }
}

/// Writes a record of DTLS 1.3 by a key that is made for it.
#[cold]
fn seal_packed(
    secrets: &RecordSecrets,
    text: &Unsealed<'_>,
    out: &mut [u8],
) -> Result<usize, SealError> {
    let key = secrets.expand().ok_or(SealError::NoKeys)?;
    v13::seal(&key, text, out)
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
            RecordKey::V13(..) | RecordKey::Packed(..) => limit / 16 * 15,
        };
        self.next >= told && self.key.first_near_limit()
    }

    /// How many records it can have. Keys of DTLS 1.3 can be changed: where the peer never lets us, that is where the limit
    /// of the cipher is (RFC 9147 §4.5.3).
    #[inline]
    pub(super) fn end(&self) -> u64 {
        match &self.key {
            RecordKey::V12(..) => RecordNumber::SEQUENCES,
            key => key.aead().confidentiality_limit(),
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
            RecordKey::Packed(secrets, _) => seal_packed(secrets, &text, out),
        }?;
        self.next += 1;
        Ok(Sealed { len, number })
    }
}
