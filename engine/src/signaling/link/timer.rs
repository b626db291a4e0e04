//! One deadline on a clock that never goes back.

use std::time::{Duration, Instant};

/// The latest time seen, and how long from there to the deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    latest: Instant,
    /// In nanoseconds; [`NOT_ARMED`] for none.
    left: u64,
}

const NOT_ARMED: u64 = u64::MAX;

impl Timer {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            latest: now,
            left: NOT_ARMED,
        }
    }

    /// A `now` that goes back is the latest time seen.
    pub(super) fn advance(&mut self, now: Instant) {
        let passed = nanos(now.saturating_duration_since(self.latest));
        self.latest = self.latest.max(now);
        if self.is_armed() {
            self.left = self.left.saturating_sub(passed);
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.latest
    }

    pub(super) fn arm(&mut self, delay: Duration) {
        self.left = nanos(delay);
    }

    pub(super) fn disarm(&mut self) {
        self.left = NOT_ARMED;
    }

    pub(super) fn is_armed(&self) -> bool {
        self.left != NOT_ARMED
    }

    pub(super) fn is_due(&self) -> bool {
        self.left == 0
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.latest + self.left()?)
    }

    pub(super) fn left(&self) -> Option<Duration> {
        self.is_armed().then(|| Duration::from_nanos(self.left))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos())
        .unwrap_or(NOT_ARMED)
        .min(NOT_ARMED - 1)
}
