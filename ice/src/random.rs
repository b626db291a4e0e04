//! Randomness: one seed, labelled ChaCha streams (I62).
//!
//! Every draw names its stream, so that a new use of randomness never shifts the numbers of another one: a recorded
//! session replays. The generator's state is the seed and one counter per label, not one cipher state per label.

use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use zeroize::Zeroizing;

/// What a stream of random numbers is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Label {
    Parameters,
    TieBreaker,
    Transactions,
}

const LABELS: usize = 3;

pub(crate) struct Random {
    seed: Zeroizing<[u8; 32]>,
    draws: [u32; LABELS],
}

impl Random {
    pub(crate) fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            seed: Zeroizing::new(seed),
            draws: [0; LABELS],
        }
    }

    /// The one place where the operating system's entropy enters this crate.
    #[expect(
        clippy::disallowed_methods,
        reason = "production seeds come from OS entropy, here and nowhere else"
    )]
    pub(crate) fn from_entropy() -> Self {
        let mut random = Self::from_seed([0; 32]);
        getrandom::fill(random.seed.as_mut()).expect("the operating system provides entropy");
        random
    }

    /// Fills `bytes` from the stream's next draw.
    pub(crate) fn fill(&mut self, label: Label, bytes: &mut [u8]) {
        let mut rng = ChaCha12Rng::from_seed(*self.seed);
        // 32 bits of label beside 32 bits of draw: no two draws share a stream.
        let index = label as usize;
        rng.set_stream((index as u64) << 32 | u64::from(self.draws[index]));
        self.draws[index] = self.draws[index].wrapping_add(1);
        rng.fill_bytes(bytes);
    }

    pub(crate) fn next_u64(&mut self, label: Label) -> u64 {
        let mut bytes = [0; 8];
        self.fill(label, &mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// Where an agent draws from.
pub(crate) enum Source {
    /// The operating system, each time anew: no seed is kept, so none can be stolen that would tell the passwords to come.
    Entropy,
    /// The one seed that everything follows from.
    #[cfg(feature = "deterministic")]
    Seeded(Box<Random>),
}

impl Source {
    pub(crate) fn draw<R>(&mut self, take: impl FnOnce(&mut Random) -> R) -> R {
        match self {
            Self::Entropy => take(&mut Random::from_entropy()),
            #[cfg(feature = "deterministic")]
            Self::Seeded(random) => take(random),
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source(…)")
    }
}

/// `mean` or up to 20 % less or more, in steps of its 163 840th part: coarser ones would keep agents that began together on one
/// grid for ever.
///
/// Timers have to differ and need not be secret, so their numbers take no state of their own: they are SplitMix64's, seeded with
/// the tie-breaker, which no two agents share, and the `nth` of them is used.
#[inline]
pub(crate) fn vary(mean: Duration, tie_breaker: u64, nth: u32) -> Duration {
    // In one unit of 64 bits: this is done for every answer.
    let mean = u64::try_from(mean.as_nanos()).unwrap_or(u64::MAX);
    let spread = (mean >> 16).saturating_mul(split_mix(tie_breaker, nth).into()) / 5 * 2;
    Duration::from_nanos((mean / 5 * 4).saturating_add(spread))
}

#[inline]
fn split_mix(seed: u64, nth: u32) -> u16 {
    let state = seed.wrapping_add(u64::from(nth).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed >> 48) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: I62
    #[test]
    fn streams_are_independent_and_repeat_with_the_seed() {
        let mut a = Random::from_seed([1; 32]);
        let mut b = Random::from_seed([1; 32]);
        b.next_u64(Label::Parameters);
        b.next_u64(Label::Parameters);
        assert_eq!(a.next_u64(Label::TieBreaker), b.next_u64(Label::TieBreaker));
        assert_ne!(
            a.next_u64(Label::TieBreaker),
            Random::from_seed([1; 32]).next_u64(Label::TieBreaker)
        );
        assert_ne!(
            a.next_u64(Label::Parameters),
            a.next_u64(Label::Transactions)
        );
    }

    // req: I62
    #[test]
    fn entropy_seeds_differ() {
        let (mut a, mut b) = (Random::from_entropy(), Random::from_entropy());
        assert_ne!(a.next_u64(Label::TieBreaker), b.next_u64(Label::TieBreaker));
    }
}
