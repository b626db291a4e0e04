//! What the endpoint itself has to send: refusals for closed sessions, and the last words of removed transports.

use floe_ice::{FiveTuple, Transmit};
use std::collections::VecDeque;

/// More than a refusal or a close_notify needs, in bytes.
pub(super) const LETTER: usize = 256;
/// How many letters there may be before refusals are dropped.
const CAPACITY: usize = 64;

/// A queue of short datagrams. Allocated once, as far as the network can fill it; what the caller's removals took besides is given
/// back when they have been sent.
#[derive(Debug)]
pub(super) struct Outbox(VecDeque<Letter>);

#[derive(Debug)]
struct Letter {
    path: FiveTuple,
    len: usize,
    bytes: [u8; LETTER],
}

impl Default for Outbox {
    fn default() -> Self {
        Self(VecDeque::with_capacity(CAPACITY))
    }
}

impl Outbox {
    /// Whether one more answer to the network may be queued.
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < CAPACITY
    }

    /// Queues a datagram, unless it is longer than letters are. For what the caller did there is always room.
    pub(super) fn post(&mut self, path: FiveTuple, datagram: &[u8]) {
        let mut bytes = [0; LETTER];
        if let Some(space) = bytes.get_mut(..datagram.len()) {
            space.copy_from_slice(datagram);
            let len = datagram.len();
            self.0.push_back(Letter { path, len, bytes });
        }
    }

    /// Writes the oldest into `buf`, which holds an MTU.
    #[inline]
    pub(super) fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        match self.0.is_empty() {
            true => None,
            false => self.write_oldest(buf),
        }
    }

    fn write_oldest(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        let Letter { path, len, bytes } = self.0.pop_front()?;
        if self.0.is_empty() {
            self.0.shrink_to(CAPACITY);
        }
        buf[..len].copy_from_slice(&bytes[..len]);
        Some(Transmit { path, len })
    }
}
