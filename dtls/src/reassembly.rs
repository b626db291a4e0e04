//! From fragments to whole handshake messages in order (RFC 6347 §4.2.3, RFC 9147 §5.5).
//!
//! A message is put together in pages of 64 bytes, each with a bitmap of the bytes that came: fragments may overlap and
//! come in any order, and memory grows with the bytes received, never with the length that is claimed. Seven messages are
//! told apart; everything together holds 64 KiB at most.

use std::collections::VecDeque;

use crate::msgs::enums::HandshakeType;
use crate::msgs::handshake::{Fragment, HandshakeHeader};
use crate::record::header::Epoch;
use crate::stats::DropReason;

/// Messages put together at a time: the next one and six after it.
const WINDOW: usize = 7;

/// The most bytes of a message, and of all messages being put together.
const MAX_BYTES: usize = 64 * 1024;

const PAGE: usize = u64::BITS as usize;

/// A whole message: its header as one fragment, as the transcript has it, and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The epoch all of it came in.
    pub(crate) epoch: Epoch,
    pub(crate) handshake_type: HandshakeType,
    /// Header and body.
    pub(crate) bytes: Vec<u8>,
}

impl Message {
    pub(crate) fn body(&self) -> &[u8] {
        self.bytes.get(HandshakeHeader::LEN..).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Reassembler {
    /// The message_seq of the first of `messages`; wider than the wire's, so that it cannot wrap.
    next: u32,
    messages: VecDeque<Partial>,
    pages: usize,
}

/// A message of which something may have come.
#[derive(Debug, Default)]
struct Partial {
    /// What the first fragment said of the whole, and the epoch it came in; `None` until one came.
    header: Option<(Epoch, HandshakeHeader)>,
    /// All of it, header included, where one fragment brought it.
    whole: Option<Vec<u8>>,
    /// Sorted by index.
    pages: Vec<Page>,
    /// Bytes that came, each counted once.
    received: usize,
}

#[derive(Clone, Debug)]
struct Page {
    index: u16,
    /// Bit `i` says that byte `i` came.
    have: u64,
    bytes: [u8; PAGE],
}

impl Reassembler {
    /// One that has nothing yet and expects the message of this number next.
    pub(crate) fn after(next: u32) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    /// The first message that is expected is this one.
    pub(crate) fn begin_at(&mut self, message_seq: u16) {
        self.next = u32::from(message_seq);
    }

    /// As [`Reassembler::begin_at`], with that message there already.
    pub(crate) fn begin_with(&mut self, message_seq: u16, message: Option<Message>) {
        self.begin_at(message_seq);
        if let Some(message) = message {
            let (epoch, body) = (message.epoch, message.body().len());
            let header = HandshakeHeader::whole(message.handshake_type, message_seq, body as u32);
            let whole = Partial {
                header: Some((epoch, header)),
                received: body,
                whole: Some(message.bytes),
                pages: Vec::new(),
            };
            self.pages += whole.size();
            self.messages.push_back(whole);
        }
    }

    /// The message_seq expected next.
    pub(crate) fn next_seq(&self) -> u32 {
        self.next
    }

    /// Whether nothing has come of a message that has not been taken out.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.iter().all(|partial| partial.header.is_none())
    }

    /// Bytes of messages that are not handed on, each counted once, headers included.
    pub(crate) fn held(&self) -> usize {
        let begun = self
            .messages
            .iter()
            .filter(|message| message.header.is_some());
        begun
            .map(|message| HandshakeHeader::LEN + message.received)
            .sum()
    }

    /// Forgets what came in an older epoch than the one that is expected from now on.
    pub(crate) fn forget_before(&mut self, epoch: Epoch) {
        for partial in &mut self.messages {
            if partial.header.is_some_and(|(older, _)| older < epoch) {
                self.pages -= partial.size();
                *partial = Partial::default();
            }
        }
    }

    /// The handshake is complete: forgets what came too early, and the memory for it, but not what was handled.
    pub(crate) fn settle(&mut self) {
        *self = Self::after(self.next);
    }

    /// Takes one fragment that came in `epoch`.
    pub(crate) fn accept(
        &mut self,
        epoch: Epoch,
        fragment: &Fragment<'_>,
    ) -> Result<(), DropReason> {
        let header = fragment.header;
        let ahead = u32::from(header.message_seq)
            .checked_sub(self.next)
            .ok_or(DropReason::StaleMessage)? as usize;
        if ahead >= WINDOW {
            return Err(DropReason::FarFutureMessage);
        }
        // An upper bound of the pages touched: the range may begin and end in the middle of one.
        let most_pages = fragment.body.len() / PAGE + 2;
        if header.length as usize > MAX_BYTES
            || (self.pages + most_pages) * PAGE > MAX_BYTES + 2 * PAGE
        {
            return Err(DropReason::ReassemblyFull);
        }
        while self.messages.len() <= ahead {
            self.messages.push_back(Partial::default());
        }
        let Some(partial) = self.messages.get_mut(ahead) else {
            return Err(DropReason::FarFutureMessage);
        };
        let before = partial.size();
        let outcome = partial.accept(epoch, fragment);
        self.pages = self.pages + partial.size() - before;
        outcome
    }

    /// Takes out the next message if it is whole.
    pub(crate) fn pop(&mut self) -> Option<Message> {
        let partial = self.messages.front()?;
        let (epoch, header) = partial.header?;
        if partial.received < header.length as usize {
            return None;
        }
        let partial = self.messages.pop_front()?;
        self.pages -= partial.size();
        self.next += 1;
        Some(partial.into_message(epoch, header))
    }
}

impl Partial {
    /// The pages it takes, or would take.
    fn size(&self) -> usize {
        let whole = self.whole.as_ref().map_or(0, Vec::len);
        self.pages.len() + whole.div_ceil(PAGE)
    }

    fn accept(&mut self, epoch: Epoch, fragment: &Fragment<'_>) -> Result<(), DropReason> {
        let new = fragment.header;
        let kept = match self.header {
            // What authenticates outweighs what does not.
            Some((known, _)) if epoch < known => return Err(DropReason::PlaintextAfterKeys),
            Some((known, _)) if epoch > known => {
                *self = Self::default();
                true
            }
            Some((_, old)) => (old.handshake_type, old.length) == (new.handshake_type, new.length),
            None => true,
        };
        if kept && self.fill(fragment) {
            self.header = Some((epoch, new));
            return Ok(());
        }
        // Which of the two is forged cannot be known; keeping the newer one lets an honest repetition win.
        *self = Self::default();
        self.header = Some((epoch, new));
        self.fill(fragment);
        Err(DropReason::FragmentConflict)
    }

    /// Copies the fragment in; false if it differs from bytes that are there.
    fn fill(&mut self, fragment: &Fragment<'_>) -> bool {
        let header = fragment.header;
        let mut offset = header.fragment_offset as usize;
        if let Some(whole) = &self.whole {
            let there = whole
                .get(HandshakeHeader::LEN + offset..)
                .unwrap_or_default();
            return there.starts_with(fragment.body);
        }
        if self.received == 0 && header.fragment_length == header.length {
            let whole =
                HandshakeHeader::whole(header.handshake_type, header.message_seq, header.length);
            self.whole = Some([&whole.to_bytes()[..], fragment.body].concat());
            self.received = fragment.body.len();
            return true;
        }
        let mut body = fragment.body;
        self.pages.reserve(body.len().div_ceil(PAGE));
        while !body.is_empty() {
            let start = offset % PAGE;
            let (here, rest) = body.split_at(body.len().min(PAGE - start));
            let page = self.page((offset / PAGE) as u16);
            let had = page.have.count_ones();
            if !page.fill(start, here) {
                return false;
            }
            let new = page.have.count_ones() - had;
            self.received += new as usize;
            offset += here.len();
            body = rest;
        }
        true
    }

    fn page(&mut self, index: u16) -> &mut Page {
        let place = self
            .pages
            .binary_search_by_key(&index, |page| page.index)
            .unwrap_or_else(|place| {
                self.pages.insert(place, Page::new(index));
                place
            });
        &mut self.pages[place]
    }

    fn into_message(self, epoch: Epoch, header: HandshakeHeader) -> Message {
        let handshake_type = header.handshake_type;
        if let Some(bytes) = self.whole {
            return Message {
                epoch,
                handshake_type,
                bytes,
            };
        }
        let length = header.length;
        let whole = HandshakeHeader::whole(handshake_type, header.message_seq, length);
        let mut bytes = Vec::with_capacity(HandshakeHeader::LEN + length as usize + PAGE);
        bytes.extend_from_slice(&whole.to_bytes());
        for page in &self.pages {
            bytes.extend_from_slice(&page.bytes);
        }
        bytes.truncate(HandshakeHeader::LEN + length as usize);
        Message {
            epoch,
            handshake_type,
            bytes,
        }
    }
}

impl Page {
    fn new(index: u16) -> Self {
        Self {
            index,
            have: 0,
            bytes: [0; PAGE],
        }
    }

    /// Copies `bytes` to `start`; false, and nothing done, if they differ from bytes that are there.
    fn fill(&mut self, start: usize, bytes: &[u8]) -> bool {
        let Some(place) = self.bytes.get_mut(start..start + bytes.len()) else {
            return false;
        };
        let had = |index: usize| self.have >> (start + index) & 1 == 1;
        if place
            .iter()
            .zip(bytes)
            .enumerate()
            .any(|(index, (old, new))| had(index) && old != new)
        {
            return false;
        }
        place.copy_from_slice(bytes);
        self.have |= (u64::MAX >> (PAGE - bytes.len())) << start;
        true
    }
}

#[cfg(test)]
mod tests;
