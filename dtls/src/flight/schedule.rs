//! When a flight is sent again (RFC 6347 §4.2.4.1, RFC 9147 §5.8.2).

use std::time::Duration;

use crate::config::{Jitter, Retransmission};
use crate::crypto::random::Randomness;

/// What a round-trip time may make of the first time-out.
const INITIAL_RANGE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));

/// Kept by every connection for good, so in few bytes.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// Microseconds, as is `cap`.
    initial: u32,
    cap: u32,
    /// For eight transmissions four bits each: the 16ths of a quarter that are added to the time-out. Zero without jitter.
    spread: [u8; 4],
}

impl Schedule {
    pub(super) fn new(config: &Retransmission, randomness: &mut Randomness) -> Self {
        let mut spread = [0; 4];
        if config.jitter == Jitter::On && randomness.fill(&mut spread).is_err() {
            // A backend without randomness fails at the first hello anyway.
            spread = [0; 4];
        }
        Self {
            initial: micros(config.initial.clamp(INITIAL_RANGE.0, INITIAL_RANGE.1)),
            cap: micros(config.cap),
            spread,
        }
    }

    /// Twice the round-trip time is the first time-out.
    pub(super) fn set_rtt_hint(&mut self, rtt: Duration) {
        let twice = rtt.saturating_mul(2);
        self.initial = micros(twice.clamp(INITIAL_RANGE.0, INITIAL_RANGE.1));
    }

    pub(super) fn set_cap(&mut self, cap: Duration) {
        self.cap = micros(cap);
    }

    /// How long the transmission of this number (from 1) is given.
    pub(super) fn timeout(&self, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(16);
        let timeout = (u64::from(self.initial) << doublings).min(self.cap.max(self.initial).into());
        let place = tries as usize % (2 * self.spread.len());
        let spread = self.spread[place / 2] >> (place % 2 * 4) & 0xf;
        Duration::from_micros(timeout + timeout * u64::from(spread) / (4 * 16))
    }
}

/// At most 71 minutes.
fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
