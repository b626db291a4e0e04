//! Transaction ids that look random to everybody and say whose they are to us.
//!
//! An id is 64 random bits followed by a 32-bit tag under a keyed mask of those bits, so that all 96 look uniformly random
//! (RFC 7675 §8) and the same tag never shows twice. The tag is a hint of where to look: the whole id is compared there.

use core::{array, fmt, hash::Hasher as _};
use std::sync::Arc;

use siphasher::{sip::SipHasher24, sip128};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::header::TransactionId;

/// The key that hides route tags in transaction ids. One per endpoint; wiped on drop, prints nothing of itself.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RouteKey([u8; 16]);

impl RouteKey {
    /// A key from 16 bytes that nobody else can guess.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The tag this id was minted with, if it was minted with this key; any other id gives an arbitrary tag.
    #[must_use]
    #[inline]
    pub fn tag_of(&self, id: &TransactionId) -> u32 {
        let [r0, r1, r2, r3, r4, r5, r6, r7, t0, t1, t2, t3] = *id.as_bytes();
        let random = [r0, r1, r2, r3, r4, r5, r6, r7];
        u32::from_be_bytes([t0, t1, t2, t3]) ^ self.mask(&random)
    }

    fn seal(&self, tag: u32, random: [u8; 8]) -> TransactionId {
        TransactionId::of(random, tag ^ self.mask(&random))
    }

    fn mask(&self, random: &[u8; 8]) -> u32 {
        word_under(&self.0, *random) as u32
    }
}

/// SipHash-2-4 of eight bytes. Their length is known where this is compiled, which spares a third.
#[inline]
fn word_under(key: &[u8; 16], word: [u8; 8]) -> u64 {
    let key = u128::from_le_bytes(*key);
    let mut hasher = SipHasher24::new_with_keys(key as u64, (key >> 64) as u64);
    hasher.write_u64(u64::from_ne_bytes(word));
    hasher.finish()
}

impl TransactionId {
    fn of([r0, r1, r2, r3, r4, r5, r6, r7]: [u8; 8], rest: u32) -> Self {
        let [t0, t1, t2, t3] = rest.to_be_bytes();
        Self::from_bytes([r0, r1, r2, r3, r4, r5, r6, r7, t0, t1, t2, t3])
    }
}

impl fmt::Debug for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteKey(..)")
    }
}

/// Mints transaction ids: SipHash-2-4, a pseudorandom function, over a counter. 32 bytes, no buffer; the key of the tags is
/// shared.
///
/// The same seed mints the same ids, so a seed must come from the operating system's entropy and be used once.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct TransactionIds {
    #[zeroize(skip)]
    route: Option<Arc<RouteKey>>,
    stream: [u8; 16],
    counter: u64,
}

impl TransactionIds {
    /// A minter of its own stream of ids, tagged under `route`.
    #[must_use]
    pub fn new(route: impl Into<Arc<RouteKey>>, seed: [u8; 32]) -> Self {
        let mut ids = Self::untagged(seed);
        ids.route = Some(route.into());
        ids
    }

    /// A minter of ids that carry no tag until it has a [route](Self::set_route): all their 96 bits are random.
    #[must_use]
    pub fn untagged(seed: [u8; 32]) -> Self {
        let stream: [u8; 16] = array::from_fn(|i| seed[i]);
        let start = array::from_fn(|i| seed[stream.len() + i]);
        let counter = SipHasher24::new_with_key(&start).hash(&stream);
        Self {
            route: None,
            stream,
            counter,
        }
    }

    /// The next id, carrying `tag`.
    pub fn mint(&mut self, tag: u32) -> TransactionId {
        self.counter = self.counter.wrapping_add(1);
        let counter = self.counter.to_be_bytes();
        match &self.route {
            Some(route) => {
                let random = word_under(&self.stream, counter);
                route.seal(tag, random.to_be_bytes())
            }
            None => {
                let random = sip128::SipHasher24::new_with_key(&self.stream).hash(&counter);
                TransactionId::of(random.h1.to_be_bytes(), random.h2 as u32)
            }
        }
    }

    /// Ids minted from now on carry their tag under this key.
    pub fn set_route(&mut self, route: impl Into<Arc<RouteKey>>) {
        self.route = Some(route.into());
    }

    /// The key that they carry their tag under.
    #[must_use]
    pub fn route(&self) -> Option<&Arc<RouteKey>> {
        self.route.as_ref()
    }
}

impl fmt::Debug for TransactionIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransactionIds(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn minter() -> TransactionIds {
        TransactionIds::new(RouteKey::from_bytes([3; 16]), [9; 32])
    }

    // req: S10
    #[test]
    fn the_tag_comes_back_under_its_key_and_only_there() {
        let mut ids = minter();
        let (own, other) = (RouteKey::from_bytes([3; 16]), RouteKey::from_bytes([4; 16]));
        let mut strangers = 0;
        for tag in (0..100_000).step_by(7) {
            let id = ids.mint(tag);
            assert_eq!(own.tag_of(&id), tag);
            strangers += usize::from(other.tag_of(&id) == tag);
        }
        assert_eq!(strangers, 0);
    }

    // req: S10
    #[test]
    fn all_96_bits_of_ids_with_one_tag_look_random() {
        const COUNT: u32 = 20_000;
        let mut ids = minter();
        let mut seen = HashSet::new();
        let mut ones = [0_u32; 96];
        let mut flips = [0_u32; 96];
        let mut previous = 0_u128;
        for _ in 0..COUNT {
            let id = ids.mint(1);
            assert!(seen.insert(id));
            let bits = id
                .as_bytes()
                .iter()
                .fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
            for (i, (one, flip)) in ones.iter_mut().zip(&mut flips).enumerate() {
                *one += (bits >> i & 1) as u32;
                *flip += ((bits ^ previous) >> i & 1) as u32;
            }
            previous = bits;
        }
        // Six standard deviations of a fair coin either way, for each bit and for each bit's change from id to id.
        let slack = 3 * COUNT.isqrt();
        for count in ones.into_iter().chain(flips) {
            assert!(count.abs_diff(COUNT / 2) < slack, "{count}");
        }
    }

    #[test]
    fn equal_seeds_mint_equal_ids_and_others_do_not() {
        let (mut a, mut b) = (minter(), minter());
        let mut c = TransactionIds::new(RouteKey::from_bytes([3; 16]), [8; 32]);
        for tag in 0..100 {
            let id = a.mint(tag);
            assert_eq!(id, b.mint(tag));
            assert_ne!(id, c.mint(tag));
        }
    }
}
