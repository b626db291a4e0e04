//! When a flight is sent again (RFC 6347 §4.2.4.1, RFC 9147 §5.8.2).

use std::time::Duration;

use crate::config::{Jitter, Retransmission};
use crate::crypto::random::Randomness;

/// What a round-trip time may make of the first time-out.
const INITIAL_RANGE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));

#[derive(Debug)]
pub(super) struct Schedule {
    initial: Duration,
    cap: Duration,
    retransmissions: u32,
    /// 256ths of a quarter that are added to each time-out; zeros without jitter.
    spread: [u8; 16],
}

impl Schedule {
    pub(super) fn new(config: &Retransmission, randomness: &mut Randomness) -> Self {
        let mut spread = [0; 16];
        if config.jitter == Jitter::On && randomness.fill(&mut spread).is_err() {
            // A backend without randomness fails at the first hello anyway.
            spread = [0; 16];
        }
        Self {
            initial: config.initial.clamp(INITIAL_RANGE.0, INITIAL_RANGE.1),
            cap: config.cap,
            retransmissions: config.tries,
            spread,
        }
    }

    /// Twice the round-trip time is the first time-out.
    pub(super) fn set_rtt_hint(&mut self, rtt: Duration) {
        self.initial = rtt
            .saturating_mul(2)
            .clamp(INITIAL_RANGE.0, INITIAL_RANGE.1);
    }

    pub(super) fn set_cap(&mut self, cap: Duration) {
        self.cap = cap;
    }

    /// How long the transmission of this number (from 1) is given.
    pub(super) fn timeout(&self, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(16);
        let timeout = (self.initial * (1 << doublings)).min(self.cap.max(self.initial));
        let spread = self.spread[tries as usize % self.spread.len()];
        timeout + timeout * u32::from(spread) / (4 * 256)
    }

    /// Whether a flight sent this often may be sent once more.
    pub(super) fn allows_another(&self, tries: u32) -> bool {
        tries <= self.retransmissions
    }
}
