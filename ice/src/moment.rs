//! Time as it is kept: 8 bytes, also where there may be none.

use std::num::NonZeroU64;
use std::ops::Add;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// An instant, in nanoseconds from an origin of time. Lossless within 292 years of it, either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(NonZeroU64);

/// The origin is a moment too, halfway.
const ORIGIN: NonZeroU64 = NonZeroU64::MIN.saturating_add(1 << 63);

impl Moment {
    /// No later than anything an agent was told.
    pub(crate) const ORIGIN: Self = Self(ORIGIN);

    #[inline]
    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }

    pub(crate) fn checked_sub(self, duration: Duration) -> Option<Self> {
        let left = self.0.get().checked_sub(nanoseconds(duration))?;
        NonZeroU64::new(left).map(Self)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Waits that are longer than time lasts end with it.
    #[inline]
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }
}

#[inline]
fn nanoseconds(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(duration.subsec_nanos().into())
}

/// The origin of time of all agents of a configuration: the first instant that any of them is told. It shows nowhere, for
/// what comes out is what came in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(OnceLock<Instant>);

impl Clock {
    #[inline]
    pub(crate) fn moment(&self, at: Instant) -> Moment {
        after(at, *self.0.get_or_init(|| at))
    }

    /// The same for who may not set the origin: before it is set, all time is one.
    pub(crate) fn read(&self, at: Instant) -> Moment {
        after(at, self.0.get().copied().unwrap_or(at))
    }

    /// When `moment` is. Of no use before the origin is set, when there are no moments.
    pub(crate) fn instant(&self, Moment(moment): Moment) -> Option<Instant> {
        let (origin, at) = (*self.0.get()?, moment.get());
        match at.checked_sub(ORIGIN.get()) {
            Some(after) => origin.checked_add(Duration::from_nanos(after)),
            None => origin.checked_sub(Duration::from_nanos(ORIGIN.get() - at)),
        }
    }
}

/// The moment that `at` is, where time begins at `origin`.
#[inline]
fn after(at: Instant, origin: Instant) -> Moment {
    Moment(match at.checked_duration_since(origin) {
        Some(after) => ORIGIN.saturating_add(nanoseconds(after)),
        None => {
            let before = nanoseconds(origin.saturating_duration_since(at));
            NonZeroU64::new(ORIGIN.get().saturating_sub(before)).unwrap_or(NonZeroU64::MIN)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_instants_to_the_nanosecond_and_half_as_large() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to begin with"
        )]
        let origin = Instant::now();
        let clock = Clock::default();
        let first = clock.moment(origin);
        assert_eq!(size_of::<Option<Moment>>(), 8);
        let mut last = first;
        for nanos in [1, 2, 999_999_999, 1_000_000_001, u64::from(u32::MAX) << 20] {
            let after = Duration::from_nanos(nanos);
            let at = clock.moment(origin + after);
            assert!(at > last);
            assert_eq!(
                (at, clock.instant(at)),
                (first + after, Some(origin + after))
            );
            assert_eq!(at.saturating_duration_since(first), after);
            assert_eq!(at.checked_sub(after), Some(first));
            assert_eq!(first.saturating_duration_since(at), Duration::ZERO);
            last = at;
        }
        // A caller whose clock goes back is understood.
        let before = origin - Duration::from_secs(3);
        let early = clock.moment(before);
        assert!(early < first && clock.instant(early) == Some(before));
        assert_eq!(first + Duration::MAX, last + Duration::MAX);
    }
}
