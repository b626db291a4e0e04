//! The seeded randomness behind links and attackers.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::time::Duration;

/// A small seeded generator: the same seed gives the same draws on every machine.
#[derive(Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// A generator for `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// True with `probability` (0.0 never, 1.0 always). Impossible and certain outcomes draw nothing.
    pub fn chance(&mut self, probability: f64) -> bool {
        if probability <= 0.0 || probability >= 1.0 {
            return probability >= 1.0;
        }
        // 53 bits: every such integer is exact in an f64.
        const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        ((self.0.next_u64() >> 11) as f64) * UNIT < probability
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 {
            0
        } else {
            (self.0.next_u64() % bound as u64) as usize
        }
    }

    /// A duration between zero and `most`, inclusive, in whole microseconds.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX - 1);
        if micros == 0 {
            Duration::ZERO
        } else {
            Duration::from_micros(self.0.next_u64() % (micros + 1))
        }
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// A 32-byte seed for a machine under test.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.fill(&mut seed);
        seed
    }
}
