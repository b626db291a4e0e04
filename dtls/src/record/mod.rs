//! The record layer: epochs, their keys and record numbers (RFC 6347 §4.1, RFC 9147 §4).
//!
//! One layer for both versions: an epoch is a number and a key, whoever derived it, and the key knows what the epoch's
//! records look like. Plaintext records pass through as they are; what may be believed of them is the connection's question.

mod cipher;
mod epochs;
pub(crate) mod header;
pub(crate) mod protect;
pub(crate) mod replay;
mod unified;
mod v12;
mod v13;

use std::ops::Range;

use self::epochs::{EndedHandshake, OldEpoch, ReadEpoch, WriteEpoch};
use self::header::{ContentType, Epoch, Header, MAX_PLAINTEXT, RecordNumber};
use self::protect::{RecordKey, RecordSecrets, TAG_LEN};
use self::unified::UnifiedHeader;
use crate::connection_id::ConnectionId;
use crate::error::PeerMisbehaved;
use crate::event::AeadLimit;
use crate::key_schedule::v13::TrafficSecret;
use crate::msgs::enums::ProtocolVersion;
use crate::stats::DropReason;
use crate::timer::Second;

/// Record numbers kept back at the end of an epoch so that its end can be said.
const RESERVED_FOR_CLOSE: u64 = 16;

#[derive(Debug)]
pub(crate) struct RecordLayer {
    /// The newest of which something came, and while its key is being changed the next with it.
    read: Option<ReadEpoch>,
    /// One before it.
    old: Option<OldEpoch>,
    /// The newest that can be written.
    write: Option<WriteEpoch>,
    aside: Option<Box<Aside>>,
    written: u64,
}

/// What most established connections do not have.
#[derive(Debug, Default)]
struct Aside {
    /// `None` when nothing is ever written in plaintext again.
    plaintext: Option<Plaintext>,
    /// The epoch before the newest that can be written, while the handshake still speaks in it.
    write_before: Option<WriteEpoch>,
    connection_ids: Option<Box<ConnectionIds>>,
}

/// An epoch whose secrets are not kept here, by its distance to one that something came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbour {
    Previous,
    Next,
}

impl Aside {
    fn is_empty(&self) -> bool {
        self.plaintext.is_none() && self.write_before.is_none() && self.connection_ids.is_none()
    }

    /// What the peer is called; nothing while nothing was negotiated.
    fn their_id(&self) -> &[u8] {
        their_id(&self.connection_ids)
    }

    /// As [`RecordLayer::seal`], in an epoch before the newest.
    fn seal(
        &mut self,
        epoch: Epoch,
        content_type: ContentType,
        parts: [&[u8]; 2],
        out: &mut [u8],
    ) -> Result<Sealed, SealError> {
        if let (Some(plaintext), Epoch::PLAINTEXT) = (&mut self.plaintext, epoch) {
            return plaintext.write(content_type, parts, out);
        }
        let before = self.write_before.as_mut();
        let before = before.filter(|before| before.epoch() == epoch);
        let id = their_id(&self.connection_ids);
        let before = before.ok_or(SealError::NoKeys)?;
        before.seal(content_type, id, parts, out)
    }
}

impl Default for RecordLayer {
    fn default() -> Self {
        let aside = Aside {
            plaintext: Some(Plaintext::default()),
            ..Aside::default()
        };
        Self {
            read: None,
            old: None,
            write: None,
            aside: Some(Box::new(aside)),
            written: 0,
        }
    }
}

/// What stands in protected records (RFC 9146 §3): each end chooses what it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionIds {
    pub(crate) ours: ConnectionId,
    pub(crate) theirs: ConnectionId,
}

#[derive(Debug)]
struct Plaintext {
    next: u64,
    refused: bool,
    /// What the headers of ours say.
    version: ProtocolVersion,
}

impl Default for Plaintext {
    fn default() -> Self {
        Self {
            next: 0,
            refused: false,
            version: ProtocolVersion::DTLS1_2,
        }
    }
}

/// A record that passed every check of its epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) content_type: ContentType,
    pub(crate) number: RecordNumber,
    /// Where its plaintext stands in the datagram.
    pub(crate) payload: Range<usize>,
}

/// A record to be protected.
struct Unsealed<'a> {
    number: RecordNumber,
    content_type: ContentType,
    /// What the receiver is called.
    id: &'a [u8],
    /// The plaintext: one part after the other.
    parts: [&'a [u8]; 2],
}

impl Unsealed<'_> {
    /// Bytes of the plaintext.
    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }
}

/// A record that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Bytes of the whole record.
    pub(crate) len: usize,
    pub(crate) number: RecordNumber,
}

/// Why a record was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealError {
    /// No keys for this epoch.
    NoKeys,
    /// The record numbers of the epoch are used up.
    Exhausted,
    /// More than a record may hold.
    TooLong,
    /// `out` is shorter than the record.
    BufferTooSmall,
}

/// The outcome of [`RecordLayer::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) record: Result<Record, DropReason>,
    /// Where the next record of the datagram starts: its end if none can be found.
    pub(crate) next: usize,
    pub(crate) limit: Option<AeadLimit>,
    /// What is wrong with a record that only the peer can have made.
    pub(crate) fault: Option<PeerMisbehaved>,
}

impl Opened {
    #[inline]
    fn dropped(reason: DropReason, next: usize) -> Self {
        Self {
            record: Err(reason),
            next,
            limit: None,
            fault: None,
        }
    }
}

impl RecordLayer {
    /// The next plaintext record is written with this sequence number.
    pub(crate) fn begin_plaintext_at(&mut self, sequence: u64) {
        if let Some(plaintext) = self.plaintext() {
            plaintext.next = sequence;
        }
    }

    /// From now on records of `epoch`, which is newer than all before, can be opened, and those of the handshake before it
    /// only if it was [kept](Self::keep_handshake).
    pub(crate) fn add_read_key(&mut self, epoch: Epoch, key: RecordKey) {
        self.read = Some(ReadEpoch::new(epoch, key));
    }

    /// The handshake's epoch, the newest that can be opened, ends. What was written in it may still come: it is opened with
    /// keys made anew of `secret` for each record, which costs time where there is little to do, and no memory.
    pub(crate) fn keep_handshake(&mut self, secret: TrafficSecret) {
        let ending = self.read.take();
        let kept = ending.and_then(|read| read.ended_handshake(secret));
        self.old = kept.map(|kept| OldEpoch::Handshake(Box::new(kept), None));
    }

    /// The peer writes in the next epoch once it knows that we know. Until then its records are opened with keys that are
    /// made anew for each, of `secrets` those of the present; the first authentic one of the next epoch ends this one.
    pub(crate) fn announce_next(&mut self, secrets: RecordSecrets) {
        if let Some(read) = &mut self.read {
            read.key.pack(secrets);
        }
    }

    /// Whether an epoch was announced of which nothing authentic came yet.
    #[inline]
    pub(crate) fn has_announced(&self) -> bool {
        self.read.as_ref().is_some_and(|read| read.key.is_packed())
    }

    /// The key of the newest epoch that can be written is being changed: until there is another it is made anew of `secrets`
    /// for each record.
    pub(crate) fn pack_write_key(&mut self, secrets: RecordSecrets) {
        if let Some(write) = &mut self.write {
            write.key.pack(secrets);
        }
    }

    /// From now on records of `epoch`, which is newer than all before, can be written, and those of the epoch before.
    pub(crate) fn add_write_key(&mut self, epoch: Epoch, key: RecordKey) {
        if let Some(before) = self.write.replace(WriteEpoch::new(epoch, key)) {
            self.aside.get_or_insert_default().write_before = Some(before);
        }
    }

    /// A handshake that is over cannot be opened any more: its secret is gone.
    pub(crate) fn drop_handshake(&mut self) {
        self.old.take_if(|old| old.is_handshake());
    }

    /// Whether the epoch of data before the newest can be opened.
    pub(crate) fn reads_previous(&self) -> bool {
        matches!(self.old, Some(OldEpoch::Data(_)))
    }

    /// From now on it cannot. Says whether it could.
    pub(crate) fn drop_previous(&mut self) -> bool {
        self.old.take_if(|old| !old.is_handshake()).is_some()
    }

    /// Older epochs than this cannot be written any more: their keys are gone.
    pub(crate) fn drop_write_before(&mut self, epoch: Epoch) {
        if let Some(aside) = &mut self.aside {
            aside.write_before.take_if(|before| before.epoch() < epoch);
        }
        self.tidy();
    }

    /// The epoch before the newest has until then, if its time does not run yet.
    #[inline]
    pub(crate) fn let_go_at(&mut self, until: impl FnOnce() -> Second) {
        if let Some(old) = &mut self.old {
            old.until().get_or_insert_with(until);
        }
    }

    /// Drops an epoch that has had its time. Says whether it was one of data.
    #[inline]
    pub(crate) fn let_go(&mut self, now: impl FnOnce() -> Second) -> bool {
        let old = self.old.as_mut();
        let is_over = old.is_some_and(|old| old.until().is_some_and(|until| until <= now()));
        is_over && self.old.take().is_some_and(|old| !old.is_handshake())
    }

    fn handshake(&self) -> Option<&EndedHandshake> {
        match &self.old {
            Some(OldEpoch::Handshake(handshake, _)) => Some(handshake),
            _ => None,
        }
    }

    /// Takes note that this record was acknowledged, if it is of a handshake that is over.
    pub(crate) fn acknowledge(&mut self, number: RecordNumber) -> bool {
        match &mut self.old {
            Some(OldEpoch::Handshake(handshake, _)) if number.epoch() == Epoch::HANDSHAKE => {
                handshake.acknowledge(number.sequence())
            }
            _ => false,
        }
    }

    /// The records of a handshake that is over which were acknowledged, the newest first.
    pub(crate) fn acknowledged(&self) -> impl Iterator<Item = RecordNumber> {
        let handshake = self.handshake();
        handshake.into_iter().flat_map(EndedHandshake::acknowledged)
    }

    /// From now on what is protected is called by these names.
    pub(crate) fn set_connection_ids(&mut self, ids: ConnectionIds) {
        self.aside.get_or_insert_default().connection_ids = Some(Box::new(ids));
    }

    /// From now on the peer is called this.
    pub(crate) fn rename_peer(&mut self, theirs: ConnectionId) {
        if let Some(aside) = &mut self.aside
            && let Some(ids) = &mut aside.connection_ids
        {
            ids.theirs = theirs;
        }
    }

    /// The names, if there are any.
    #[inline]
    pub(crate) fn connection_ids(&self) -> Option<&ConnectionIds> {
        self.aside.as_ref()?.connection_ids.as_deref()
    }

    /// The handshake is complete: nothing in plaintext means anything any more. Only the last flight of DTLS 1.2 begins with
    /// a record of it.
    pub(crate) fn refuse_plaintext(&mut self) {
        let is_v12 = self.read_epoch() == Epoch::DTLS1_2;
        if let Some(aside) = &mut self.aside {
            match &mut aside.plaintext {
                Some(plaintext) if is_v12 => plaintext.refused = true,
                plaintext => *plaintext = None,
            }
        }
        self.tidy();
    }

    fn plaintext(&mut self) -> Option<&mut Plaintext> {
        self.aside.as_mut()?.plaintext.as_mut()
    }

    /// Lets go of what is not there.
    fn tidy(&mut self) {
        self.aside.take_if(|aside| aside.is_empty());
    }

    /// The newest epoch that can be written.
    #[inline]
    pub(crate) fn write_epoch(&self) -> Epoch {
        let newest = self.write.as_ref();
        newest.map_or(Epoch::PLAINTEXT, WriteEpoch::epoch)
    }

    /// The newest epoch that can be opened.
    #[inline]
    pub(crate) fn read_epoch(&self) -> Epoch {
        let newest = |read: &ReadEpoch| read.announced().unwrap_or_else(|| read.epoch());
        self.read.as_ref().map_or(Epoch::PLAINTEXT, newest)
    }

    #[inline]
    fn writing(&self, epoch: Epoch) -> Option<&WriteEpoch> {
        let newest = self.write.as_ref();
        let before = || self.aside.as_deref()?.write_before.as_ref();
        newest
            .filter(|newest| newest.epoch() == epoch)
            .or_else(|| before().filter(|before| before.epoch() == epoch))
    }

    /// Whether a protected record has authenticated.
    pub(crate) fn has_opened(&self) -> bool {
        self.old.is_some() || self.read.as_ref().is_some_and(ReadEpoch::has_opened)
    }

    /// Bytes a record of `epoch` adds to its plaintext.
    #[inline]
    pub(crate) fn overhead(&self, epoch: Epoch) -> usize {
        let Some(write) = self.writing(epoch) else {
            return Header::LEN;
        };
        let id = self
            .connection_ids()
            .map_or(0, |ids| ids.theirs.as_bytes().len());
        let named = id + usize::from(id > 0);
        match &write.key {
            RecordKey::V12(key, _) => {
                Header::LEN + named + key.aead().explicit_nonce_len() + TAG_LEN
            }
            RecordKey::V13(..) | RecordKey::Packed(..) => UnifiedHeader::OVERHEAD + id,
        }
    }

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

    /// Writes one record of `epoch` that holds `parts` one after the other, and says its length and its number.
    pub(crate) fn seal(
        &mut self,
        epoch: Epoch,
        content_type: ContentType,
        parts: [&[u8]; 2],
        out: &mut [u8],
    ) -> Result<Sealed, SealError> {
        if parts.iter().map(|part| part.len()).sum::<usize>() > MAX_PLAINTEXT {
            return Err(SealError::TooLong);
        }
        let sealed = match (&mut self.write, &mut self.aside) {
            (Some(newest), aside) if newest.epoch() == epoch => {
                let aside = aside.as_deref();
                newest.seal(content_type, aside.map_or(&[], Aside::their_id), parts, out)
            }
            (_, Some(aside)) => aside.seal(epoch, content_type, parts, out),
            _ => Err(SealError::NoKeys),
        };
        self.written += u64::from(sealed.is_ok());
        sealed
    }

    /// What the headers of plaintext records say: the oldest version until a server has chosen, so that any server reads
    /// the ClientHello, and DTLS 1.2 then (RFC 9147 §4).
    pub(crate) fn set_plaintext_version(&mut self, version: ProtocolVersion) {
        if let Some(plaintext) = self.plaintext() {
            plaintext.version = version;
        }
    }

    /// Records written so far, in all epochs.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The usage limit that the newest epoch that can be written has reached or, in DTLS 1.3, come near; it is said once.
    #[inline]
    pub(crate) fn reached_limit(&mut self) -> Option<AeadLimit> {
        let reached = self.write.as_mut()?.reaches_limit();
        reached.then_some(AeadLimit::Confidentiality)
    }
}

/// What the peer is called.
fn their_id(ids: &Option<Box<ConnectionIds>>) -> &[u8] {
    ids.as_ref().map_or(&[], |ids| ids.theirs.as_bytes())
}

/// What we are called; nothing while nothing was negotiated.
#[inline]
fn own_id(aside: &Option<Box<Aside>>) -> &[u8] {
    let ids = aside
        .as_ref()
        .and_then(|aside| aside.connection_ids.as_deref());
    ids.map_or(&[], |ids| ids.ours.as_bytes())
}

impl Plaintext {
    fn open(&self, header: &Header, from: usize) -> Opened {
        let body = from + Header::LEN;
        let next = body + header.length;
        let record = match header.content_type {
            _ if self.refused => Err(DropReason::PlaintextAfterKeys),
            None => Err(DropReason::WrongConnectionId),
            Some(content_type) => Ok(Record {
                content_type,
                number: header.number,
                payload: body..next,
            }),
        };
        Opened {
            record,
            next,
            limit: None,
            fault: None,
        }
    }

    fn write(
        &mut self,
        content_type: ContentType,
        parts: [&[u8]; 2],
        out: &mut [u8],
    ) -> Result<Sealed, SealError> {
        let header = Header {
            content_type: Some(content_type),
            version: self.version,
            number: RecordNumber::new(Epoch::PLAINTEXT, self.next),
            length: parts.iter().map(|part| part.len()).sum(),
        };
        let (head, body) = header.split(out, &[])?;
        header.write(head, &[]);
        fill(body, parts);
        self.next += 1;
        Ok(Sealed {
            len: Header::LEN + header.length,
            number: header.number,
        })
    }
}

/// Fills the start of `out`.
#[inline]
fn fill(out: &mut [u8], [first, second]: [&[u8]; 2]) {
    let (start, rest) = out.split_at_mut(first.len());
    let (middle, _) = rest.split_at_mut(second.len());
    start.copy_from_slice(first);
    middle.copy_from_slice(second);
}

#[cfg(test)]
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

#[cfg(test)]
mod tests;
