//! A record on its way in or out: what is to be protected, what was written or opened, and why not.

use std::ops::Range;

use super::header::{ContentType, RecordNumber};
use crate::error::PeerMisbehaved;
use crate::event::AeadLimit;
use crate::stats::DropReason;

/// A record that passed every check of its epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) content_type: ContentType,
    pub(crate) number: RecordNumber,
    /// Where its plaintext stands in the datagram.
    pub(crate) payload: Range<usize>,
}

/// A record to be protected.
pub(super) struct Unsealed<'a> {
    pub(super) number: RecordNumber,
    pub(super) content_type: ContentType,
    /// What the receiver is called.
    pub(super) id: &'a [u8],
    /// The plaintext: one part after the other.
    pub(super) parts: [&'a [u8]; 2],
}

impl Unsealed<'_> {
    /// Bytes of the plaintext.
    pub(super) fn len(&self) -> usize {
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

/// The outcome of [`RecordLayer::open`](super::RecordLayer::open).
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
    pub(super) fn dropped(reason: DropReason, next: usize) -> Self {
        Self {
            record: Err(reason),
            next,
            limit: None,
            fault: None,
        }
    }
}

/// Fills the start of `out`.
#[inline]
pub(super) fn fill(out: &mut [u8], [first, second]: [&[u8]; 2]) {
    let (start, rest) = out.split_at_mut(first.len());
    let (middle, _) = rest.split_at_mut(second.len());
    start.copy_from_slice(first);
    middle.copy_from_slice(second);
}
