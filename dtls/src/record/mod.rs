//! The record layer: epochs, their keys and record numbers (RFC 6347 §4.1, RFC 9147 §4).
//!
//! One layer for both versions: an epoch is a number and a key, whoever derived it, and the key knows what the epoch's
//! records look like. Plaintext records pass through as they are; what may be believed of them is the connection's question.

mod cipher;
pub(crate) mod header;
pub(crate) mod protect;
pub(crate) mod replay;
mod unified;
mod v12;
mod v13;

use std::ops::Range;

use self::header::{ContentType, Epoch, Header, MAX_PLAINTEXT, RecordNumber};
use self::protect::{Forged, Form, RecordKey, TAG_LEN};
use self::replay::ReplayWindow;
use self::unified::UnifiedHeader;
use crate::connection_id::ConnectionId;
use crate::error::PeerMisbehaved;
use crate::event::AeadLimit;
use crate::msgs::enums::ProtocolVersion;
use crate::stats::DropReason;

/// Record numbers kept back at the end of an epoch so that its end can be said.
const RESERVED_FOR_CLOSE: u64 = 16;

#[derive(Debug, Default)]
pub(crate) struct RecordLayer {
    plaintext: Plaintext,
    /// Oldest first.
    read: Box<[ReadEpoch]>,
    /// Oldest first.
    write: Box<[WriteEpoch]>,
    connection_ids: Option<Box<ConnectionIds>>,
    written: u64,
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

#[derive(Debug)]
struct ReadEpoch {
    epoch: Epoch,
    key: RecordKey,
    window: ReplayWindow,
    forged: u64,
}

#[derive(Debug)]
struct WriteEpoch {
    epoch: Epoch,
    key: RecordKey,
    next: u64,
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
        self.plaintext.next = sequence;
    }

    /// From now on records of `epoch`, which is newer than all before, can be opened.
    pub(crate) fn add_read_key(&mut self, epoch: Epoch, key: RecordKey) {
        let newest = ReadEpoch {
            epoch,
            key,
            window: ReplayWindow::default(),
            forged: 0,
        };
        add(&mut self.read, newest);
    }

    /// From now on records of `epoch`, which is newer than all before, can be written.
    pub(crate) fn add_write_key(&mut self, epoch: Epoch, key: RecordKey) {
        let newest = WriteEpoch {
            epoch,
            key,
            next: 0,
        };
        add(&mut self.write, newest);
    }

    /// Older epochs than this cannot be opened any more: their keys are gone.
    pub(crate) fn drop_read_before(&mut self, epoch: Epoch) {
        keep(&mut self.read, |read| read.epoch >= epoch);
    }

    /// Older epochs than this cannot be written any more: their keys are gone.
    pub(crate) fn drop_write_before(&mut self, epoch: Epoch) {
        keep(&mut self.write, |write| write.epoch >= epoch);
    }

    /// From now on what is protected is called by these names.
    pub(crate) fn set_connection_ids(&mut self, ids: ConnectionIds) {
        self.connection_ids = Some(Box::new(ids));
    }

    /// From now on the peer is called this.
    pub(crate) fn rename_peer(&mut self, theirs: ConnectionId) {
        if let Some(ids) = &mut self.connection_ids {
            ids.theirs = theirs;
        }
    }

    /// The names, if there are any.
    pub(crate) fn connection_ids(&self) -> Option<&ConnectionIds> {
        self.connection_ids.as_deref()
    }

    /// The handshake is complete: nothing in plaintext means anything any more.
    pub(crate) fn refuse_plaintext(&mut self) {
        self.plaintext.refused = true;
    }

    /// The newest epoch that can be written.
    pub(crate) fn write_epoch(&self) -> Epoch {
        self.write
            .last()
            .map_or(Epoch::PLAINTEXT, |write| write.epoch)
    }

    /// The newest epoch that can be opened.
    pub(crate) fn read_epoch(&self) -> Epoch {
        self.read.last().map_or(Epoch::PLAINTEXT, |read| read.epoch)
    }

    /// Whether a protected record has authenticated.
    pub(crate) fn has_opened(&self) -> bool {
        self.read.iter().any(|read| !read.window.is_empty())
    }

    /// Bytes a record of `epoch` adds to its plaintext.
    pub(crate) fn overhead(&self, epoch: Epoch) -> usize {
        let Some(write) = self.write.iter().find(|write| write.epoch == epoch) else {
            return Header::LEN;
        };
        let id = self
            .connection_ids()
            .map_or(0, |ids| ids.theirs.as_bytes().len());
        let named = id + usize::from(id > 0);
        match write.key.form {
            Form::V12 => Header::LEN + named + write.key.aead().explicit_nonce_len() + TAG_LEN,
            Form::V13(_) => UnifiedHeader::OVERHEAD + id,
        }
    }

    /// Opens the record at `from`, in place. Nothing changes unless it authenticates.
    pub(crate) fn open(&mut self, datagram: &mut [u8], from: usize) -> Opened {
        let end = datagram.len();
        let Some(bytes) = datagram.get_mut(from..) else {
            return Opened::dropped(DropReason::TruncatedRecord, end);
        };
        match bytes.first() {
            Some(first) if UnifiedHeader::starts_with(*first) => self.open_unified(bytes, from),
            _ => self.open_long(bytes, from),
        }
    }

    /// Opens the record with a long header that `bytes`, which stand at `from`, begin with.
    fn open_long(&mut self, bytes: &mut [u8], from: usize) -> Opened {
        let id = own_id(&self.connection_ids);
        let header = match Header::read(bytes, id) {
            Ok(header) => header,
            Err(reason) => return Opened::dropped(reason, from + bytes.len()),
        };
        let len = header.len(id) + header.length;
        let next = from + len;
        let epoch = header.number.epoch();
        if epoch == Epoch::PLAINTEXT {
            return self.plaintext.open(&header, from);
        }
        let is_read =
            |read: &&mut ReadEpoch| read.epoch == epoch && matches!(read.key.form, Form::V12);
        let Some(read) = self.read.iter_mut().find(is_read) else {
            return Opened::dropped(DropReason::UnknownEpoch, next);
        };
        if header.length < read.key.shortest_body() {
            return Opened::dropped(DropReason::TruncatedRecord, next);
        }
        if !read.window.check(header.number.sequence()) {
            return Opened::dropped(DropReason::Replayed, next);
        }
        let (record, _) = bytes.split_at_mut(len);
        let opened = v12::open(&read.key, &header, id, record);
        read.opened(header.number, header.content_type, opened, record, from)
    }

    /// Opens the record with a unified header that `bytes`, which stand at `from`, begin with.
    fn open_unified(&mut self, bytes: &mut [u8], from: usize) -> Opened {
        let header = match UnifiedHeader::read(bytes, own_id(&self.connection_ids)) {
            Ok(header) => header,
            Err(reason) => return Opened::dropped(reason, from + bytes.len()),
        };
        let len = header.len + header.length;
        let next = from + len;
        // The newest epoch that ends in these bits (RFC 9147 §4.2.2).
        let is_read = |read: &&mut ReadEpoch| {
            header.is_of(read.epoch) && matches!(read.key.form, Form::V13(_))
        };
        let Some(read) = self.read.iter_mut().rev().find(is_read) else {
            return Opened::dropped(DropReason::UnknownEpoch, next);
        };
        if header.length < read.key.shortest_body() {
            return Opened::dropped(DropReason::TruncatedRecord, next);
        }
        if read.is_worn_out() {
            return Opened::dropped(DropReason::BadMac, next);
        }
        let (record, _) = bytes.split_at_mut(len);
        let sequence = v13::unmask(&read.key, &header, record, read.window.next());
        if !read.window.check(sequence) {
            return Opened::dropped(DropReason::Replayed, next);
        }
        let number = RecordNumber::new(read.epoch, sequence);
        let opened = v13::open(&read.key, number, &header, record);
        read.opened(number, None, opened, record, from)
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
        let sealed = if epoch == Epoch::PLAINTEXT {
            self.plaintext.write(content_type, parts, out)
        } else {
            let id = self
                .connection_ids
                .as_ref()
                .map_or(&[][..], |ids| ids.theirs.as_bytes());
            let write = self
                .write
                .iter_mut()
                .rev()
                .find(|write| write.epoch == epoch);
            write
                .ok_or(SealError::NoKeys)?
                .seal(content_type, id, parts, out)
        }?;
        self.written += 1;
        Ok(sealed)
    }

    /// What the headers of plaintext records say: the oldest version until a server has chosen, so that any server reads
    /// the ClientHello, and DTLS 1.2 then (RFC 9147 §4).
    pub(crate) fn set_plaintext_version(&mut self, version: ProtocolVersion) {
        self.plaintext.version = version;
    }

    /// Records written so far, in all epochs.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Whether more than the newest epoch can be opened.
    pub(crate) fn has_old_epochs(&self) -> bool {
        self.read.len() > 1
    }

    /// The usage limit that the next record of `epoch` reaches, or in DTLS 1.3 comes near: there is time to change keys.
    pub(crate) fn reached_limit(&self, epoch: Epoch) -> Option<AeadLimit> {
        let write = self.write.iter().rev().find(|write| write.epoch == epoch)?;
        let limit = write.key.aead().confidentiality_limit();
        let told = match write.key.form {
            Form::V12 => limit,
            Form::V13(_) => limit / 16 * 15,
        };
        (write.next == told).then_some(AeadLimit::Confidentiality)
    }
}

/// Adds to a list that is just as long as it must be: each epoch has half a kilobyte of expanded keys.
fn add<T>(epochs: &mut Box<[T]>, newest: T) {
    let mut list = std::mem::take(epochs).into_vec();
    list.reserve_exact(1);
    list.push(newest);
    *epochs = list.into_boxed_slice();
}

fn keep<T>(epochs: &mut Box<[T]>, which: impl Fn(&T) -> bool) {
    let mut list = std::mem::take(epochs).into_vec();
    list.retain(which);
    *epochs = list.into_boxed_slice();
}

/// What we are called; nothing while nothing was negotiated.
fn own_id(ids: &Option<Box<ConnectionIds>>) -> &[u8] {
    ids.as_ref().map_or(&[], |ids| ids.ours.as_bytes())
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

impl ReadEpoch {
    /// After how many forgeries the owner is told: in DTLS 1.3 while there is time to change keys.
    fn told_of_forgeries(&self) -> u64 {
        let limit = self.key.aead().integrity_limit();
        match self.key.form {
            Form::V12 => limit,
            Form::V13(_) => limit / 2,
        }
    }

    /// Whether a key of DTLS 1.3 has refused as much as it may: nothing opens with it any more (RFC 9147 §4.5.3).
    fn is_worn_out(&self) -> bool {
        self.forged >= self.key.aead().integrity_limit()
    }

    /// What became of the record that starts at `from` of its datagram: only here does an epoch change.
    fn opened(
        &mut self,
        number: RecordNumber,
        content_type: Option<ContentType>,
        opened: Result<Range<usize>, Forged>,
        record: &[u8],
        from: usize,
    ) -> Opened {
        let next = from + record.len();
        let Ok(plaintext) = opened else {
            self.forged += 1;
            let limit = self.forged == self.told_of_forgeries();
            return Opened {
                record: Err(DropReason::BadMac),
                next,
                limit: limit.then_some(AeadLimit::Integrity),
                fault: None,
            };
        };
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
    /// How many records it can have. Keys of DTLS 1.3 can be changed: where the peer never lets us, that is where the limit
    /// of the cipher is (RFC 9147 §4.5.3).
    fn end(&self) -> u64 {
        match self.key.form {
            Form::V12 => RecordNumber::SEQUENCES,
            Form::V13(_) => self.key.aead().confidentiality_limit(),
        }
    }

    fn seal(
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
        let number = RecordNumber::new(self.epoch, self.next);
        let text = Unsealed {
            number,
            content_type,
            id,
            parts,
        };
        let len = match self.key.form {
            Form::V12 => v12::seal(&self.key, &text, out),
            Form::V13(_) => v13::seal(&self.key, &text, out),
        }?;
        self.next += 1;
        Ok(Sealed { len, number })
    }
}

/// Fills the start of `out`.
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
        self.write.last_mut().unwrap().next = sequence;
    }

    /// As if so many epochs more had been written before the newest.
    pub(crate) fn skip_write_epochs(&mut self, count: u16) {
        self.write.last_mut().unwrap().epoch.0 += count;
    }

    /// As if so many epochs more had been read before the newest.
    pub(crate) fn skip_read_epochs(&mut self, count: u16) {
        self.read.last_mut().unwrap().epoch.0 += count;
    }

    /// As if this record of the newest epoch had come.
    pub(crate) fn received(&mut self, sequence: u64) {
        self.read.last_mut().unwrap().window.mark(sequence);
    }
}

#[cfg(test)]
mod tests;
