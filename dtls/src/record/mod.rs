//! The record layer: epochs, their keys and record numbers (RFC 6347 §4.1).
//!
//! One layer for both versions: an epoch is a number and a key, whoever derived it. Plaintext records pass through as
//! they are; what may be believed of them is the connection's question.

pub(crate) mod header;
pub(crate) mod protect;
pub(crate) mod replay;

use std::ops::Range;

use self::header::{ContentType, Epoch, Header, MAX_PLAINTEXT, RecordNumber};
use self::protect::{RecordKey, TAG_LEN};
use self::replay::ReplayWindow;
use crate::event::AeadLimit;
use crate::msgs::enums::ProtocolVersion;
use crate::stats::DropReason;

/// Record numbers kept back at the end of an epoch so that its end can be said.
const RESERVED_FOR_CLOSE: u64 = 16;

#[derive(Debug, Default)]
pub(crate) struct RecordLayer {
    plaintext: Plaintext,
    read: Vec<ReadEpoch>,
    write: Vec<WriteEpoch>,
    written: u64,
}

#[derive(Debug, Default)]
struct Plaintext {
    next: u64,
    refused: bool,
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
    pub(crate) epoch: Epoch,
    /// Where its plaintext stands in the datagram.
    pub(crate) payload: Range<usize>,
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
}

impl RecordLayer {
    /// From now on records of `epoch` can be opened.
    pub(crate) fn add_read_key(&mut self, epoch: Epoch, key: RecordKey) {
        // An expanded key has half a kilobyte: no room is taken for epochs that may never come.
        self.read.reserve_exact(1);
        self.read.push(ReadEpoch {
            epoch,
            key,
            window: ReplayWindow::default(),
            forged: 0,
        });
    }

    /// From now on records of `epoch` can be written.
    pub(crate) fn add_write_key(&mut self, epoch: Epoch, key: RecordKey) {
        self.write.reserve_exact(1);
        self.write.push(WriteEpoch {
            epoch,
            key,
            next: 0,
        });
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

    /// Bytes a record of `epoch` adds to its plaintext.
    pub(crate) fn overhead(&self, epoch: Epoch) -> usize {
        let key = self.write.iter().find(|write| write.epoch == epoch);
        Header::LEN + key.map_or(0, |write| write.key.aead().explicit_nonce_len() + TAG_LEN)
    }

    /// Opens the record at `from`, in place. Nothing changes unless it authenticates.
    pub(crate) fn open(&mut self, datagram: &mut [u8], from: usize) -> Opened {
        let end = datagram.len();
        let dropped = |reason, next| Opened {
            record: Err(reason),
            next,
            limit: None,
        };
        let Some(bytes) = datagram.get_mut(from..) else {
            return dropped(DropReason::TruncatedRecord, end);
        };
        let header = match Header::read(bytes) {
            Ok(header) => header,
            Err(reason) => return dropped(reason, end),
        };
        let body = from + Header::LEN;
        let next = body + header.length;
        let epoch = header.number.epoch();
        if epoch == Epoch::PLAINTEXT {
            if self.plaintext.refused {
                return dropped(DropReason::PlaintextAfterKeys, next);
            }
            return Opened {
                record: Ok(Record {
                    content_type: header.content_type,
                    epoch,
                    payload: body..next,
                }),
                next,
                limit: None,
            };
        }
        let Some(read) = self.read.iter_mut().find(|read| read.epoch == epoch) else {
            return dropped(DropReason::UnknownEpoch, next);
        };
        let (_, bytes) = bytes.split_at_mut(Header::LEN);
        let (bytes, _) = bytes.split_at_mut(header.length);
        let (record, limit) = read.open(header, bytes);
        Opened {
            record: record.map(|payload| Record {
                content_type: header.content_type,
                epoch,
                payload: body + payload.start..body + payload.end,
            }),
            next,
            limit,
        }
    }

    /// Writes one record of `epoch` that holds `parts` one after the other, and says its length.
    pub(crate) fn seal(
        &mut self,
        epoch: Epoch,
        content_type: ContentType,
        parts: [&[u8]; 2],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        if parts.iter().map(|part| part.len()).sum::<usize>() > MAX_PLAINTEXT {
            return Err(SealError::TooLong);
        }
        let len = if epoch == Epoch::PLAINTEXT {
            self.plaintext.write(content_type, parts, out)
        } else {
            let write = self.write.iter_mut().find(|write| write.epoch == epoch);
            write
                .ok_or(SealError::NoKeys)?
                .seal(content_type, parts, out)
        }?;
        self.written += 1;
        Ok(len)
    }

    /// Records written so far, in all epochs.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The usage limit that the next record of `epoch` reaches.
    pub(crate) fn reached_limit(&self, epoch: Epoch) -> Option<AeadLimit> {
        let write = self.write.iter().find(|write| write.epoch == epoch)?;
        (write.next == write.key.aead().confidentiality_limit())
            .then_some(AeadLimit::Confidentiality)
    }
}

impl Plaintext {
    fn write(
        &mut self,
        content_type: ContentType,
        parts: [&[u8]; 2],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        let header = Header {
            content_type,
            version: ProtocolVersion::DTLS1_2,
            number: RecordNumber::new(Epoch::PLAINTEXT, self.next),
            length: parts.iter().map(|part| part.len()).sum(),
        };
        let (head, body) = split_record(out, header.length)?;
        head.copy_from_slice(&header.to_bytes());
        fill(body, parts);
        self.next += 1;
        Ok(Header::LEN + header.length)
    }
}

impl ReadEpoch {
    /// Opens `body` and says where in it the plaintext stands.
    fn open(
        &mut self,
        header: Header,
        body: &mut [u8],
    ) -> (Result<Range<usize>, DropReason>, Option<AeadLimit>) {
        let number = header.number;
        if !self.window.check(number.sequence()) {
            return (Err(DropReason::Replayed), None);
        }
        let explicit = self.key.aead().explicit_nonce_len();
        let Some((nonce, ciphertext)) = body.split_at_mut_checked(explicit) else {
            return (Err(DropReason::TruncatedRecord), None);
        };
        match self
            .key
            .open(number, header.content_type, nonce, ciphertext)
        {
            Ok(len) if len > MAX_PLAINTEXT => (Err(DropReason::RecordTooLong), None),
            Ok(len) => {
                self.window.mark(number.sequence());
                (Ok(explicit..explicit + len), None)
            }
            Err(protect::Forged) => {
                self.forged += 1;
                let limit = self.forged == self.key.aead().integrity_limit();
                (
                    Err(DropReason::BadMac),
                    limit.then_some(AeadLimit::Integrity),
                )
            }
        }
    }
}

impl WriteEpoch {
    fn seal(
        &mut self,
        content_type: ContentType,
        parts: [&[u8]; 2],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        let reserved = match content_type {
            ContentType::ApplicationData => RESERVED_FOR_CLOSE,
            _ => 0,
        };
        if self.next + reserved >= RecordNumber::SEQUENCES {
            return Err(SealError::Exhausted);
        }
        let explicit = self.key.aead().explicit_nonce_len();
        let plaintext: usize = parts.iter().map(|part| part.len()).sum();
        let header = Header {
            content_type,
            version: ProtocolVersion::DTLS1_2,
            number: RecordNumber::new(self.epoch, self.next),
            length: explicit + plaintext + TAG_LEN,
        };
        let (head, body) = split_record(out, header.length)?;
        head.copy_from_slice(&header.to_bytes());
        let (nonce, body) = body.split_at_mut(explicit);
        nonce.copy_from_slice(header.number.to_bytes().get(..explicit).unwrap_or_default());
        let (text, tag) = body.split_at_mut(plaintext);
        fill(text, parts);
        let sealed = self.key.seal(header.number, content_type, text);
        tag.copy_from_slice(&sealed.ok_or(SealError::TooLong)?);
        self.next += 1;
        Ok(Header::LEN + header.length)
    }
}

/// The places of a header and of a body of `length` bytes at the start of `out`.
fn split_record(out: &mut [u8], length: usize) -> Result<(&mut [u8], &mut [u8]), SealError> {
    out.get_mut(..Header::LEN + length)
        .and_then(|record| record.split_at_mut_checked(Header::LEN))
        .ok_or(SealError::BufferTooSmall)
}

fn fill(out: &mut [u8], [first, second]: [&[u8]; 2]) {
    let (start, end) = out.split_at_mut(first.len());
    start.copy_from_slice(first);
    end.copy_from_slice(second);
}

#[cfg(test)]
impl RecordLayer {
    /// As if this many records of the newest epoch had been written.
    pub(crate) fn skip_to(&mut self, sequence: u64) {
        self.write.last_mut().unwrap().next = sequence;
    }
}

#[cfg(test)]
mod tests;
