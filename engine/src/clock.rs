//! Time as a machine keeps it: nanoseconds since it was made, in eight bytes, and never going back.

use std::{
    num::NonZeroU64,
    time::{Duration, Instant},
};

/// The caller's time, as far as it was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    base: Instant,
    latest: Time,
}

/// A moment since the clock's base. One more than the nanoseconds, so that "no moment" costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(NonZeroU64);

impl Clock {
    /// A clock that begins at `now`.
    pub(crate) fn starting(now: Instant) -> Self {
        Self {
            base: now,
            latest: Time::START,
        }
    }

    /// A clock that reads `elapsed` at `now`.
    #[cfg(feature = "serde")]
    pub(crate) fn running(now: Instant, elapsed: Duration) -> Self {
        let Some(base) = now.checked_sub(elapsed) else {
            return Self::starting(now);
        };
        let latest = Time::START.after(elapsed);
        Self { base, latest }
    }

    /// What the time is for who says that it is `now`: never earlier than anybody has said.
    pub(crate) fn see(&mut self, now: Instant) -> Time {
        self.latest = self.latest.max(self.read(now));
        self.latest
    }

    /// As [`see`](Self::see), to be forgotten at once.
    pub(crate) fn peek(&self, now: Instant) -> Time {
        self.latest.max(self.read(now))
    }

    /// The latest time that anybody has said.
    pub(crate) fn latest(&self) -> Time {
        self.latest
    }

    /// The same moment as the caller's.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.base + time.since(Time::START)
    }

    /// What `then` is on this clock, whatever was seen.
    pub(crate) fn read(&self, then: Instant) -> Time {
        Time::START.after(then.saturating_duration_since(self.base))
    }
}

impl Time {
    pub(crate) const START: Self = Self(NonZeroU64::MIN);

    /// So much later; at the end of the counter (584 years) if it is later still.
    pub(crate) fn after(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// So much earlier, or the clock's base.
    #[cfg(feature = "serde")]
    pub(crate) fn before(self, duration: Duration) -> Self {
        Self::START.after(self.since(Self::START).saturating_sub(duration))
    }

    /// How long after `earlier`. Zero if it is not.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs one moment to begin at"
    )]
    fn a_clock_never_goes_back_and_gives_the_callers_moments() {
        let start = Instant::now();
        let mut clock = Clock::starting(start);
        let late = clock.see(start + Duration::from_secs(2));
        assert_eq!(clock.see(start + Duration::from_secs(1)), late);
        assert_eq!(clock.peek(start), late);
        assert!(clock.peek(start + Duration::from_secs(3)) > late);
        assert_eq!(clock.instant(late), start + Duration::from_secs(2));
        assert_eq!(late.since(Time::START), Duration::from_secs(2));
        assert_eq!(Time::START.since(late), Duration::ZERO);
        #[cfg(feature = "serde")]
        {
            let clock = Clock::running(start, Duration::from_secs(5));
            let time = clock.peek(start);
            assert_eq!(time.since(Time::START), Duration::from_secs(5));
            assert_eq!(time.before(Duration::from_secs(5)), Time::START);
            assert_eq!(clock.instant(time), start);
        }
        assert_eq!(size_of::<Option<Time>>(), 8);
    }
}
