//! What closed sessions leave behind for a while: their username fragments and the means to check a MAC.
//!
//! A peer that has not heard of the end keeps asking for consent. An authenticated request gets a 403 with a MAC of its own, which
//! revokes consent at once (RFC 7675 §5.2, RFC 9725 §4.4); everything else is dropped. Entries live for a configured time, 30 s at most,
//! and are bounded in number, oldest out first.

use super::keyed::{Keyed, KeyedMap};
use floe_ice::{FiveTuple, Revoked};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Room for so many is kept.
const FEW: usize = 64;

#[derive(Debug)]
pub(super) struct Farewells {
    entries: KeyedMap<Box<[u8]>, Farewell>,
    /// In the order in which they expire. An entry that was renewed or removed meanwhile has another time, or none.
    order: VecDeque<(Instant, Box<[u8]>)>,
    lifetime: Duration,
    capacity: usize,
}

#[derive(Debug)]
struct Farewell {
    revoked: Revoked,
    until: Instant,
}

/// What becomes of a request for a closed session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There was no such session lately.
    Unknown,
    /// There was, and the request is not authentic, or not worth finding out.
    Forged,
    /// The refusal is in the buffer, of this length.
    Refuse(usize),
}

impl Farewells {
    pub(super) fn new(hash: Keyed, lifetime: Duration, capacity: usize) -> Self {
        Self {
            entries: KeyedMap::with_hasher(hash),
            order: VecDeque::new(),
            lifetime,
            capacity,
        }
    }

    /// Remembers a generation. Gives how many others were forgotten for it before their time.
    pub(super) fn add(&mut self, now: Instant, revoked: Revoked) -> u64 {
        let ufrag: Box<[u8]> = revoked.username_fragment().as_bytes().into();
        let until = now + self.lifetime;
        self.entries
            .insert(ufrag.clone(), Farewell { revoked, until });
        self.order.push_back((until, ufrag));
        let mut cut_short = 0;
        while self.order.len() > self.capacity {
            cut_short += u64::from(self.forget_oldest());
        }
        cut_short
    }

    /// Somebody lives under this name again.
    pub(super) fn remove(&mut self, ufrag: &[u8]) {
        self.entries.remove(ufrag);
    }

    /// Forgets what has had its time, and gives back the room that a rush took.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.next_expiry().is_some_and(|until| until <= now) {
            self.forget_oldest();
        }
        let (len, room) = (self.order.len(), self.order.capacity());
        if room > FEW && len < room / 4 {
            self.order.shrink_to(len * 2);
            self.entries.shrink_to(len * 2);
        }
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.order.front().map(|(until, _)| *until)
    }

    /// Checks a request to `ufrag` and writes the refusal it deserves into `buf`.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        ufrag: &str,
        path: FiveTuple,
        request: &[u8],
        buf: &mut [u8],
    ) -> Verdict {
        let live = |farewell: &&mut Farewell| now < farewell.until;
        let Some(farewell) = self.entries.get_mut(ufrag.as_bytes()).filter(live) else {
            return Verdict::Unknown;
        };
        match farewell.revoked.answer(now, path, request, buf) {
            Some(transmit) => Verdict::Refuse(transmit.len),
            None => Verdict::Forged,
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((until, ufrag)) = self.order.pop_front() else {
            return false;
        };
        let is_current = |farewell: &Farewell| farewell.until == until;
        self.entries.get(&ufrag).is_some_and(is_current) && self.entries.remove(&ufrag).is_some()
    }
}
