//! Hash tables whose order an attacker cannot aim at: SipHash-1-3 under keys drawn with the endpoint's seed.
//!
//! Peers choose addresses, ports and username fragments; with a known hash they could put all of theirs into one bucket.

use siphasher::sip::SipHasher13;
use std::{collections::HashMap, fmt, hash::BuildHasher};

pub(super) type KeyedMap<K, V> = HashMap<K, V, Keyed>;

/// The keys.
#[derive(Clone)]
pub(super) struct Keyed(u64, u64);

impl Keyed {
    pub(super) fn new(key: [u8; 16]) -> Self {
        let number = u128::from_le_bytes(key);
        Self(number as u64, (number >> 64) as u64)
    }
}

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: I63
    #[test]
    fn keys_matter_and_are_not_printed() {
        let (one, two) = (Keyed::new([1; 16]), Keyed::new([2; 16]));
        assert_ne!(one.hash_one("ufrag"), two.hash_one("ufrag"));
        assert_eq!(one.hash_one("ufrag"), one.clone().hash_one("ufrag"));
        assert_eq!(format!("{one:?}"), "Keyed(..)");
    }
}
