//! From messages to datagrams (RFC 6347 §4.2.3, RFC 9147 §5.5).
//!
//! In plaintext each record holds one fragment, which every peer understands. Protected records hold as many fragments as
//! fit; a message is cut only where its record is full, and a datagram ends only where no further record has room for one
//! byte of a message. What the peer has acknowledged is left out.

use std::ops::Range;

use super::CHANGE_CIPHER_SPEC;
use super::sent::{SentRecords, Unacked};
use crate::msgs::codec::{Codec, Reader};
use crate::msgs::handshake::HandshakeHeader;
use crate::record::header::{ContentType, Epoch, MAX_PLAINTEXT, RecordNumber};
use crate::record::{RecordLayer, Sealed};

#[derive(Debug)]
pub(super) enum Item {
    /// A whole message at this place of the flight, header included.
    Message {
        epoch: Epoch,
        range: Range<usize>,
    },
    ChangeCipherSpec,
}

/// What is written next: an item, and in a message the place in the flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    item: usize,
    pub(super) at: usize,
}

/// Whether sent records are remembered for acknowledgements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tracking {
    #[default]
    Off,
    On,
}

/// The bytes of a usual flight, with a certificate of a few hundred and what proves it, and its messages.
const USUAL_BYTES: usize = 1024;
const USUAL_ITEMS: usize = 8;

/// The messages of a flight and what became of them.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) bytes: Vec<u8>,
    pub(super) items: Vec<Item>,
    pub(super) unacked: Unacked,
    sent: SentRecords,
    /// The plaintext of the record that is being put together.
    staged: Vec<u8>,
}

impl Load {
    /// Nothing, in the same memory.
    pub(super) fn emptied(mut self) -> Self {
        self.bytes.clear();
        self.items.clear();
        self.unacked.set_all(0);
        self.sent.clear();
        self
    }

    /// Room for what flights usually hold: those of a handshake much, those that come after it one short message.
    pub(super) fn reserve(&mut self, epoch: Epoch) {
        if epoch > Epoch::HANDSHAKE {
            self.items.reserve_exact(1);
        } else if self.bytes.capacity() == 0 {
            self.bytes.reserve(USUAL_BYTES);
            self.items.reserve(USUAL_ITEMS);
        }
    }

    /// Gives back what it does not need.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.items.shrink_to_fit();
        self.unacked.shrink();
        self.staged = Vec::new();
    }

    /// Whether it belongs to a handshake, where each flight answers one of the peer's.
    pub(super) fn answers(&self) -> bool {
        !matches!(self.items.first(), Some(Item::Message { epoch, .. }) if *epoch > Epoch::HANDSHAKE)
    }

    /// Everything that was added is to be sent.
    pub(super) fn seal_off(&mut self) {
        self.unacked.set_all(self.bytes.len());
    }

    /// Whether everything was written when the cursor stands here.
    pub(super) fn is_end(&self, cursor: Cursor) -> bool {
        cursor.item >= self.items.len()
    }

    /// Marks what the record of this number carried; says whether any of it was new.
    pub(super) fn acknowledge(&mut self, number: RecordNumber) -> bool {
        self.sent
            .take(number, self.bytes.len())
            .is_some_and(|carried| self.unacked.acknowledge(&carried))
    }

    /// Fills `out` with at most `most` records from `cursor` on; says how many bytes and how many records.
    pub(super) fn write_datagram(
        &mut self,
        cursor: &mut Cursor,
        most: usize,
        tracking: Tracking,
        records: &mut RecordLayer,
        out: &mut [u8],
    ) -> (usize, usize) {
        let (mut used, mut written) = (0, 0);
        self.skip_acknowledged(cursor);
        while written < most && !self.is_end(*cursor) {
            let mut next = *cursor;
            let Some(len) = self.write_record(&mut next, tracking, records, &mut out[used..])
            else {
                break;
            };
            *cursor = next;
            used += len;
            written += 1;
            self.skip_acknowledged(cursor);
        }
        (used, written)
    }

    /// Moves the cursor over messages of which nothing is left to send.
    fn skip_acknowledged(&self, cursor: &mut Cursor) {
        while let Some(Item::Message { range, .. }) = self.items.get(cursor.item) {
            let rest = cursor.at.max(range.start)..range.end;
            if self.unacked.first_in(rest).is_some() {
                return;
            }
            cursor.item += 1;
        }
    }

    /// Writes one record, or none if not even a byte of a message fits.
    fn write_record(
        &mut self,
        cursor: &mut Cursor,
        tracking: Tracking,
        records: &mut RecordLayer,
        room: &mut [u8],
    ) -> Option<usize> {
        let (epoch, content_type, carried) = match self.items.get(cursor.item)? {
            Item::ChangeCipherSpec => {
                self.staged.clear();
                self.staged.extend_from_slice(CHANGE_CIPHER_SPEC);
                cursor.item += 1;
                (Epoch::PLAINTEXT, ContentType::ChangeCipherSpec, None)
            }
            Item::Message { epoch, .. } => {
                let epoch = *epoch;
                let capacity = room.len().checked_sub(records.overhead(epoch))?;
                let carried = self.stage(cursor, epoch, capacity.min(MAX_PLAINTEXT))?;
                (epoch, ContentType::Handshake, Some(carried))
            }
        };
        let Sealed { len, number } = records
            .seal(epoch, content_type, [&self.staged, &[]], room)
            .ok()?;
        if let (Tracking::On, Some(carried)) = (tracking, carried) {
            self.sent.remember(number, carried, self.bytes.len());
        }
        Some(len)
    }

    /// Puts fragments of messages of `epoch` together, at most `capacity` bytes; says which stretch of the flight they
    /// carry.
    fn stage(
        &mut self,
        cursor: &mut Cursor,
        epoch: Epoch,
        capacity: usize,
    ) -> Option<Range<usize>> {
        self.staged.clear();
        self.staged.reserve(capacity.min(self.bytes.len()));
        let mut from = None;
        while let Some(Item::Message { epoch: of, range }) = self.items.get(cursor.item)
            && *of == epoch
        {
            let rest = cursor.at.max(range.start)..range.end;
            let Some(stretch) = self.unacked.first_in(rest) else {
                cursor.item += 1;
                continue;
            };
            let message = self.bytes.get(range.clone())?;
            let at = stretch.start.saturating_sub(range.start)..stretch.end - range.start;
            let Some(fragment) = Fragment::cut(message, at, capacity - self.staged.len()) else {
                break;
            };
            self.staged.extend_from_slice(&fragment.header.to_bytes());
            self.staged.extend_from_slice(fragment.body);
            from.get_or_insert(stretch.start);
            cursor.at = range.start + fragment.end;
            if epoch == Epoch::PLAINTEXT || cursor.at < stretch.end {
                break;
            }
        }
        from.map(|from| from..cursor.at)
    }
}

/// A part of a message as it goes out.
struct Fragment<'a> {
    header: HandshakeHeader,
    body: &'a [u8],
    /// Where it ends in the message, header included.
    end: usize,
}

impl<'a> Fragment<'a> {
    /// As much of the stretch `at` of `message` as fits `room`: one byte of its body at least, unless it has none.
    fn cut(message: &'a [u8], at: Range<usize>, room: usize) -> Option<Self> {
        let (whole, body) = message.split_at_checked(HandshakeHeader::LEN)?;
        let start = at.start.saturating_sub(HandshakeHeader::LEN);
        let rest = body.get(start..at.end.checked_sub(HandshakeHeader::LEN)?)?;
        let room = room.checked_sub(HandshakeHeader::LEN)?;
        if room == 0 && !rest.is_empty() {
            return None;
        }
        let body = &rest[..rest.len().min(room)];
        let whole = HandshakeHeader::read(&mut Reader::new(whole)).ok()?;
        Some(Self {
            header: HandshakeHeader {
                fragment_offset: start as u32,
                fragment_length: body.len() as u32,
                ..whole
            },
            body,
            end: HandshakeHeader::LEN + start + body.len(),
        })
    }
}
