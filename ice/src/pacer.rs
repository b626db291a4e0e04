//! One pace for many agents (RFC 8445 §14.2): a host with thousands of agents starting at once does not flood its
//! network. Only ordinary checks are held back; triggered, nominating and consent checks are answers to somebody.
//!
//! A slot is reserved before it is due, and an agent has one at most: it asks for the next when it has used it, and gets it
//! behind everybody who waits. So agents take turns whatever the number of their pairs, and each sleeps until its own slot,
//! with nobody waking to find that it is another's turn. A slot that is not needed any more goes to who asks next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::MAX_WAIT;

/// Returned slots that are remembered; more are lost, which costs their time.
const MAX_RETURNED: usize = 1024;

/// Hands out slots, one per interval. Shared by agents through [`Config::pacer`](crate::Config::pacer).
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use floe_ice::{Config, Pacer};
///
/// let mut config = Config::default();
/// config.pacer = Some(Arc::new(Pacer::new(Duration::from_millis(5))));
/// ```
#[derive(Debug)]
pub struct Pacer {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    interval: Duration,
    next: Option<Instant>,
    /// Slots before `next` that are free again, the earliest on top.
    returned: BinaryHeap<Reverse<Instant>>,
}

impl State {
    /// The first slot that was never handed out, now or later.
    fn next_from(&self, now: Instant) -> Instant {
        self.next.map_or(now, |next| next.max(now))
    }
}

impl Pacer {
    /// One ordinary check per `interval` among all agents that share this; per year, if it is longer.
    pub fn new(interval: Duration) -> Self {
        Self {
            state: Mutex::new(State {
                interval: interval.min(MAX_WAIT),
                next: None,
                returned: BinaryHeap::new(),
            }),
        }
    }

    /// Another one of the same interval, for others who are not to wait for these: none of its slots is handed out yet.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::new(self.state().interval)
    }

    /// Another interval, for slots that are not handed out yet.
    pub fn set_interval(&self, interval: Duration) {
        self.state().interval = interval.min(MAX_WAIT);
    }

    /// The next free slot, now or later. It is the asker's: a caller that gathers with its own STUN requests sends each
    /// in a slot of its own (RFC 8445 §14.2 paces both together).
    pub fn reserve(&self, now: Instant) -> Instant {
        let mut state = self.state();
        while let Some(Reverse(slot)) = state.returned.pop() {
            if slot >= now {
                return slot;
            }
        }
        let slot = state.next_from(now);
        state.next = Some(slot + state.interval);
        slot
    }

    /// A slot for now, unless the pace is `ahead` ahead of the clock already: as many may come at once as have their slots in that
    /// time.
    pub fn try_reserve(&self, now: Instant, ahead: Duration) -> bool {
        let mut state = self.state();
        let next = state.next_from(now);
        let within = |end| next + state.interval <= end;
        let free = next == now || now.checked_add(ahead).is_none_or(within);
        if free {
            state.next = Some(next + state.interval);
        }
        free
    }

    /// Takes a slot back that was reserved and is not needed: the next asker gets it.
    pub fn give_back(&self, slot: Instant) {
        let mut state = self.state();
        if state.next == Some(slot + state.interval) {
            state.next = Some(slot);
        } else if state.returned.len() < MAX_RETURNED {
            state.returned.push(Reverse(slot));
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing can panic while the lock is held; if it did, the fields would still be sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_then_the_pace_holds() {
        #[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
        let start = Instant::now();
        let pacer = Pacer::new(Duration::from_millis(10));
        let let_go = |after: u64| {
            let now = start + Duration::from_millis(after);
            let ahead = Duration::from_millis(50);
            (0..100).filter(|_| pacer.try_reserve(now, ahead)).count()
        };
        assert_eq!(let_go(0), 5);
        assert_eq!(let_go(9), 0);
        assert_eq!(let_go(10), 1);
        assert_eq!(let_go(40), 3);
        assert_eq!(let_go(1000), 5);
    }

    #[test]
    fn no_wait_is_too_long() {
        #[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
        let start = Instant::now();
        let pacer = Pacer::new(Duration::MAX);
        assert!((0..100).all(|_| pacer.try_reserve(start, Duration::MAX)));
        assert_eq!(pacer.reserve(start), start + MAX_WAIT * 100);
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    // req: I5
    #[test]
    fn slots_are_handed_out_once_and_returned_ones_again() {
        #[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
        let start = Instant::now();
        let pacer = Pacer::new(ms(5));
        let reserve = |after| pacer.reserve(start + ms(after)) - start;
        assert_eq!([0; 4].map(reserve), [0, 5, 10, 15].map(ms));
        // The last one is as if it had never been; the others go to who asks next, the earliest first.
        pacer.give_back(start + ms(15));
        assert_eq!(reserve(0), ms(15));
        pacer.give_back(start + ms(10));
        pacer.give_back(start + ms(5));
        assert_eq!([0; 3].map(reserve), [5, 10, 20].map(ms));
        // One that has passed is nobody's, and after a pause there is no burst.
        pacer.give_back(start + ms(10));
        assert_eq!([100; 2].map(reserve), [100, 105].map(ms));
        pacer.set_interval(ms(7));
        assert_eq!([100; 2].map(reserve), [110, 117].map(ms));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        #[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
        let start = Instant::now();
        let pacer = Pacer::new(ms(1));
        let slots: Vec<_> = (0..5000).map(|_| pacer.reserve(start)).collect();
        slots.iter().for_each(|slot| pacer.give_back(*slot));
        assert!(pacer.state().returned.len() <= MAX_RETURNED);
    }
}
