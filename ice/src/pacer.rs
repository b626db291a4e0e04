//! One pace for many agents (RFC 8445 §14.2): a server with thousands of agents starting at once does not flood its
//! network. Only ordinary checks are held back; triggered, nominating and consent checks are answers to somebody.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::MAX_WAIT;

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
}

impl Pacer {
    /// One ordinary check per `interval` among all agents that share this; per year, if it is longer.
    pub fn new(interval: Duration) -> Self {
        Self {
            state: Mutex::new(State {
                interval: interval.min(MAX_WAIT),
                next: None,
            }),
        }
    }

    /// Another interval, for slots that are not handed out yet.
    pub fn set_interval(&self, interval: Duration) {
        self.state().interval = interval.min(MAX_WAIT);
    }

    /// The next free slot, now or later. It is the asker's: a caller that gathers with its own STUN requests sends each
    /// in a slot of its own (RFC 8445 §14.2 paces both together).
    pub fn reserve(&self, now: Instant) -> Instant {
        let mut state = self.state();
        let slot = state.next.map_or(now, |next| next.max(now));
        state.next = Some(slot + state.interval);
        slot
    }

    /// A slot for now, unless the pace is `ahead` ahead of the clock already: as many may come at once as have their slots in that
    /// time.
    pub fn try_reserve(&self, now: Instant, ahead: Duration) -> bool {
        let mut state = self.state();
        let next = state.next.map_or(now, |next| next.max(now));
        let free = next == now || next + state.interval <= now + ahead;
        if free {
            state.next = Some(next + state.interval);
        }
        free
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing can panic while the lock is held; if it did, the two fields would still be sound.
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
}
