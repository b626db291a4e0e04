//! A hash table in shards, each of which grows and shrinks alone.
//!
//! One table of a million entries is copied as a whole when it grows, and nothing is answered meanwhile. Here the top of the hash
//! picks one of 256 tables of some thousands, and growth takes microseconds. A shard that has become mostly empty gives its memory
//! back; it has to double before it grows again, so that nothing that comes and goes makes it do both in turn.

use hashbrown::HashTable;

const SHARDS: usize = 256;
/// From how many entries on a shard is worth shrinking.
const SMALL: usize = 32;

/// What knows its own hash, which is keyed and uniform in all its bits.
pub(crate) trait Hashed {
    fn hash(&self) -> u64;
}

#[derive(Debug)]
pub(crate) struct Sharded<E> {
    shards: Box<[HashTable<E>]>,
}

impl<E: Hashed> Sharded<E> {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| HashTable::new()).collect(),
        }
    }

    pub(crate) fn get(&self, hash: u64, is_it: impl FnMut(&E) -> bool) -> Option<&E> {
        self.shards[shard(hash)].find(hash, is_it)
    }

    pub(crate) fn get_mut(&mut self, hash: u64, is_it: impl FnMut(&E) -> bool) -> Option<&mut E> {
        self.shards[shard(hash)].find_mut(hash, is_it)
    }

    /// Adds an entry that is not in it.
    pub(crate) fn insert(&mut self, entry: E) {
        let hash = entry.hash();
        self.shards[shard(hash)].insert_unique(hash, entry, E::hash);
    }

    /// Whether there was such an entry.
    pub(crate) fn remove(&mut self, hash: u64, is_it: impl FnMut(&E) -> bool) -> bool {
        let shard = &mut self.shards[shard(hash)];
        let Ok(entry) = shard.find_entry(hash, is_it) else {
            return false;
        };
        entry.remove();
        give_back(shard);
        true
    }

    /// Looks at all of them, and removes those of which `keep` says no.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut E) -> bool) {
        for shard in &mut self.shards {
            shard.retain(&mut keep);
            give_back(shard);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(HashTable::len).sum()
    }
}

/// What a peak took.
fn give_back<E: Hashed>(shard: &mut HashTable<E>) {
    let (len, capacity) = (shard.len(), shard.capacity());
    if len == 0 || capacity > SMALL && len < capacity / 8 {
        shard.shrink_to(len * 2, E::hash);
    }
}

/// Of bits that neither the place in the shard (the lowest) nor the tag there (the highest seven) is made of.
fn shard(hash: u64) -> usize {
    (hash >> 48) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Hashed for u32 {
        fn hash(&self) -> u64 {
            u64::from(*self).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        }
    }

    fn has(table: &Sharded<u32>, number: u32) -> bool {
        table.get(number.hash(), |entry| *entry == number) == Some(&number)
    }

    fn remove(table: &mut Sharded<u32>, number: u32) -> bool {
        table.remove(number.hash(), |entry| *entry == number)
    }

    #[test]
    fn it_holds_what_was_put_in_and_gives_its_memory_back() {
        let mut table = Sharded::new();
        let info = allocation_counter::measure(|| {
            (0..100_000).for_each(|number| table.insert(number));
            assert!((0..100_000).all(|number| has(&table, number)));
            assert!(!has(&table, 100_000) && !remove(&mut table, 100_000));
            assert!((1000..100_000).all(|number| remove(&mut table, number)));
            assert!((0..1000).all(|number| has(&table, number)) && !has(&table, 1000));
        });
        // Of a thousand numbers and a control byte for each, at a load of an eighth at least.
        assert!(info.bytes_current < 8 * 5 * 1000 + 256 * 64, "{info:?}");
        let info = allocation_counter::measure(|| {
            assert!((0..1000).all(|number| remove(&mut table, number)));
        });
        let kept: usize = table.shards.iter().map(HashTable::capacity).sum();
        assert_eq!(kept, 0, "{info:?}");
    }

    #[test]
    fn no_entry_that_comes_and_goes_makes_it_grow_and_shrink() {
        for len in [0, 5_000, 20_000, 100_000] {
            let mut table = Sharded::new();
            (0..len).for_each(|number| table.insert(number));
            let turns = 100;
            let info = allocation_counter::measure(|| {
                for _ in 0..turns {
                    table.insert(len);
                    assert!(remove(&mut table, len));
                }
            });
            let most = if len == 0 { turns } else { 1 };
            assert!(info.count_total <= most, "{len}: {info:?}");
        }
    }

    /// However full it is, and whatever has come and gone: on average less than one entry.
    #[test]
    fn a_miss_looks_at_next_to_nothing() {
        let misses = 100_000;
        let looks = |table: &Sharded<u32>| {
            let mut looks = 0;
            for number in 0..misses {
                let found = table.get((u32::MAX - number).hash(), |_| {
                    looks += 1;
                    false
                });
                assert_eq!(found, None);
            }
            looks
        };
        let mut table = Sharded::new();
        assert_eq!(looks(&table), 0);
        // As many as there is room for: seven eighths of 1024 in each shard.
        let full = SHARDS as u32 * 896;
        (0..full).for_each(|number| table.insert(number));
        assert!(looks(&table) < misses / 4, "{}", looks(&table));
        for number in full..10 * full {
            assert!(remove(&mut table, number - full));
            table.insert(number);
        }
        assert!(looks(&table) < misses / 4, "{}", looks(&table));
    }

    #[test]
    fn growth_is_in_small_steps() {
        let mut table = Sharded::new();
        (0..200_000).for_each(|number| table.insert(number));
        let info = allocation_counter::measure(|| {
            (200_000..400_000).for_each(|number| table.insert(number));
        });
        let (bytes, count) = (info.bytes_total, info.count_total);
        assert!(count >= 128 && bytes / count < 64 * 1024, "{info:?}");
    }
}
