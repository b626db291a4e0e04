//! Who lives where: from a 5-tuple to its transport's slot.
//!
//! An entry takes twelve bytes: the slot, and the 64-bit keyed hash for the 5-tuple. Two of a million are taken for one another with
//! a probability of 2⁻²⁵, and nobody can look for them without the key; whoever finds something here still has to authenticate it.

use super::{
    keyed::Keyed,
    table::{Hashed, Sharded},
};
use floe_ice::FiveTuple;

#[derive(Debug)]
pub(super) struct Tuples {
    entries: Sharded<Entry>,
    keyed: Keyed,
}

/// The hash in halves, so that a fourth of the entry is not padding.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: [u32; 2],
    slot: u32,
}

impl Hashed for Entry {
    fn hash(&self) -> u64 {
        let [high, low] = self.hash.map(u64::from);
        high << 32 | low
    }
}

impl Tuples {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self {
            entries: Sharded::new(),
            keyed,
        }
    }

    pub(super) fn get(&self, path: &FiveTuple) -> Option<u32> {
        let hash = self.keyed.hash_path(path);
        let entry = self.entries.get(hash, |entry| entry.hash() == hash)?;
        Some(entry.slot)
    }

    /// From now on, `path` is that slot's and nobody else's.
    pub(super) fn insert(&mut self, path: &FiveTuple, slot: u32) {
        let hash = self.keyed.hash_path(path);
        match self.entries.get_mut(hash, |entry| entry.hash() == hash) {
            Some(entry) => entry.slot = slot,
            None => self.entries.insert(Entry {
                hash: [(hash >> 32) as u32, hash as u32],
                slot,
            }),
        }
    }

    /// Removes it if it is that slot's.
    pub(super) fn remove(&mut self, path: &FiveTuple, slot: u32) {
        let hash = self.keyed.hash_path(path);
        let it = |entry: &Entry| entry.hash() == hash && entry.slot == slot;
        self.entries.remove(hash, it);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_slots() {
        let path = |port| {
            let (local, remote) = (([192, 0, 2, 1], 1), ([192, 0, 2, 2], port));
            FiveTuple::udp(local.into(), remote.into())
        };
        let mut tuples = Tuples::new(Keyed::new([1; 16]));
        for port in 0..10_000u16 {
            tuples.insert(&path(port), port.into());
        }
        tuples.insert(&path(7), 70);
        tuples.remove(&path(8), 8);
        tuples.remove(&path(9), 90);
        assert_eq!(tuples.get(&path(7)), Some(70));
        assert_eq!(tuples.get(&path(8)), None);
        assert!((9..10_000).all(|port| tuples.get(&path(port)) == Some(port.into())));
        assert_eq!(tuples.get(&path(10_000)), None);
    }
}
