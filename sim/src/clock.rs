//! Virtual time: one epoch for the whole process, moved only by the harness.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// A clock that stands still until it is moved.
#[derive(Clone, Debug)]
pub struct Clock {
    now: Instant,
}

impl Clock {
    /// A clock that shows the epoch.
    #[must_use]
    pub fn new() -> Self {
        Self { now: Self::epoch() }
    }

    /// The instant at which every story begins. `Instant` has no constructor from a number, so the first caller reads
    /// the real clock once; nothing depends on which instant that is.
    #[must_use]
    pub fn epoch() -> Instant {
        static EPOCH: OnceLock<Instant> = OnceLock::new();
        *EPOCH.get_or_init(read_once)
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Time since the epoch, for printing.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now - Self::epoch()
    }

    /// Moves forward.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    /// Moves forward to `to`; an earlier instant leaves the clock where it is.
    pub fn advance_to(&mut self, to: Instant) {
        self.now = self.now.max(to);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one epoch of virtual time; only differences from it are used"
)]
fn read_once() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_only_forward_and_only_by_hand() {
        let mut clock = Clock::new();
        clock.advance(Duration::from_secs(3));
        clock.advance_to(Clock::epoch());
        assert_eq!(clock.elapsed(), Duration::from_secs(3));
        clock.advance_to(Clock::epoch() + Duration::from_secs(5));
        assert_eq!(clock.now(), Clock::epoch() + Duration::from_secs(5));
    }
}
