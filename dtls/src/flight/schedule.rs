//! When a flight is sent again (RFC 6347 §4.2.4.1, RFC 9147 §5.8.2).

use std::time::Duration;

use crate::config::{Jitter, Retransmission};
use crate::crypto::random::Randomness;

/// What a round-trip time may make of the first time-out.
const INITIAL_RANGE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));

/// Fine enough for any first time-out: up to 3.2 s in two bytes.
const INITIAL_STEP: Duration = Duration::from_micros(50);

/// Fine enough for what time-outs double up to: almost 11 minutes in two bytes.
const CAP_STEP: Duration = Duration::from_millis(10);

/// Kept by every connection for good, so in few bytes.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// In steps of [`INITIAL_STEP`].
    initial: u16,
    /// In steps of [`CAP_STEP`].
    cap: u16,
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
            initial: steps(
                config.initial.clamp(INITIAL_RANGE.0, INITIAL_RANGE.1),
                INITIAL_STEP,
            ),
            cap: steps(config.cap, CAP_STEP),
            spread,
        }
    }

    /// Twice the round-trip time is the first time-out.
    pub(super) fn set_rtt_hint(&mut self, rtt: Duration) {
        let twice = rtt.saturating_mul(2);
        self.initial = steps(twice.clamp(INITIAL_RANGE.0, INITIAL_RANGE.1), INITIAL_STEP);
    }

    pub(super) fn set_cap(&mut self, cap: Duration) {
        self.cap = steps(cap, CAP_STEP);
    }

    /// How long the transmission of this number (from 1) is given.
    pub(super) fn timeout(&self, tries: u32) -> Duration {
        self.doubled_up_to(self.cap, tries)
    }

    /// The same where time-outs may double up to `patience`.
    pub(super) fn patient_timeout(&self, tries: u32, patience: Duration) -> Duration {
        self.doubled_up_to(self.cap.max(steps(patience, CAP_STEP)), tries)
    }

    fn doubled_up_to(&self, cap: u16, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(16);
        let initial = INITIAL_STEP * self.initial.into();
        let cap = CAP_STEP * cap.into();
        let timeout = (initial * (1 << doublings)).min(cap.max(initial));
        let place = tries as usize % (2 * self.spread.len());
        let spread = self.spread[place / 2] >> (place % 2 * 4) & 0xf;
        timeout + timeout * u32::from(spread) / (4 * 16)
    }
}

/// Rounded up.
fn steps(duration: Duration, step: Duration) -> u16 {
    let steps = duration.as_nanos().div_ceil(step.as_nanos());
    u16::try_from(steps).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: T20
    #[test]
    fn each_of_eight_transmissions_has_its_own_part_of_a_quarter() {
        let schedule = Schedule {
            initial: steps(Duration::from_millis(640), INITIAL_STEP),
            cap: steps(Duration::from_millis(640), CAP_STEP),
            spread: [0x10, 0x32, 0xc4, 0xfe],
        };
        // The low half of a byte comes first, and what is added is so many 64ths.
        let added = [1, 2, 3, 4, 12, 14, 15, 0];
        for (tries, added) in (1..).zip(added.into_iter().cycle().take(20)) {
            let expected = Duration::from_millis(640 + 10 * added);
            assert_eq!(schedule.timeout(tries), expected, "{tries}");
        }
    }
}
