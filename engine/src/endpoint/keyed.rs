//! Hash tables whose order an attacker cannot aim at: SipHash-1-3 under keys drawn with the endpoint's seed.
//!
//! Peers choose addresses, ports and username fragments; with a known hash they could put all of theirs into one bucket.

use siphasher::sip::SipHasher13;
use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher},
};

pub(super) type KeyedMap<K, V> = HashMap<K, V, Keyed>;

/// A table that keeps of each key its 64-bit hash alone, so that an entry takes 17 bytes whatever the key. Two keys of a million
/// are taken for one another with a probability of 2⁻²⁵, and nobody can look for them without the secret; whoever finds
/// something here still has to authenticate it.
#[derive(Debug)]
pub(super) struct HashedMap<V> {
    entries: HashMap<u64, V, BuildHasherDefault<Hashed>>,
    keyed: Keyed,
}

impl<V: Copy> HashedMap<V> {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self {
            entries: HashMap::default(),
            keyed,
        }
    }

    pub(super) fn get<K: Hash + ?Sized>(&self, key: &K) -> Option<V> {
        self.entries.get(&self.keyed.hash_one(key)).copied()
    }

    pub(super) fn insert<K: Hash + ?Sized>(&mut self, key: &K, value: V) {
        self.entries.insert(self.keyed.hash_one(key), value);
    }

    pub(super) fn remove<K: Hash + ?Sized>(&mut self, key: &K) {
        self.entries.remove(&self.keyed.hash_one(key));
    }
}

/// What is a hash already is not hashed again.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

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

    #[test]
    fn a_table_of_hashes_gives_back_what_was_put_in() {
        let mut map = HashedMap::new(Keyed::new([1; 16]));
        for n in 0..10_000_u32 {
            map.insert(&n, n);
        }
        map.insert(&7, 70);
        map.remove(&8);
        assert_eq!((map.get(&7), map.get(&8)), (Some(70), None));
        assert!((9..10_000).all(|n: u32| map.get(&n) == Some(n)));
        assert_eq!(map.get("a ufrag"), None);
    }

    // req: I63
    #[test]
    fn keys_matter_and_are_not_printed() {
        let (one, two) = (Keyed::new([1; 16]), Keyed::new([2; 16]));
        assert_ne!(one.hash_one("ufrag"), two.hash_one("ufrag"));
        assert_eq!(one.hash_one("ufrag"), one.clone().hash_one("ufrag"));
        assert_eq!(format!("{one:?}"), "Keyed(..)");
    }
}
