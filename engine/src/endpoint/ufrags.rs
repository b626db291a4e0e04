//! Who is called what: from a local username fragment to its transport's slot.
//!
//! An entry takes eight bytes: the slot, and 32 bits of the fragment's keyed hash. Whether the transport there is really called
//! so is asked of itself, so that no two names are ever taken for one another, and nobody without the key can look for names that meet
//! in the table.

use super::{
    keyed::Keyed,
    table::{Hashed, Sharded},
};
use std::num::NonZeroU32;

/// The part of a name's hash that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(NonZeroU32);

/// What of a transport's names is registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// Of the two ICE generations that can live.
    pub(super) tags: [Option<Tag>; 2],
    /// The transport's [`names_version`](crate::Transport::names_version) when they were. 0: none.
    pub(super) version: u32,
}

#[derive(Debug)]
pub(super) struct Ufrags {
    entries: Sharded<Entry>,
    keyed: Keyed,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: Tag,
    slot: u32,
}

impl Hashed for Entry {
    fn hash(&self) -> u64 {
        self.tag.hash()
    }
}

impl Tag {
    /// The 32 bits over all of 64.
    fn hash(self) -> u64 {
        u64::from(self.0.get()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Ufrags {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self {
            entries: Sharded::new(),
            keyed,
        }
    }

    /// The slot whose transport has this name, of which `is_called` knows.
    pub(super) fn get(&self, ufrag: &[u8], is_called: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = self.tag(ufrag);
        let it = |entry: &Entry| entry.tag == tag && is_called(entry.slot);
        Some(self.entries.get(tag.hash(), it)?.slot)
    }

    /// Registers a name that nobody has.
    pub(super) fn insert(&mut self, ufrag: &[u8], slot: u32) -> Tag {
        let tag = self.tag(ufrag);
        self.entries.insert(Entry { tag, slot });
        tag
    }

    pub(super) fn remove(&mut self, tag: Tag, slot: u32) {
        let it = |entry: &Entry| entry.tag == tag && entry.slot == slot;
        self.entries.remove(tag.hash(), it);
    }

    fn tag(&self, ufrag: &[u8]) -> Tag {
        let hash = self.keyed.hash(ufrag) as u32;
        Tag(NonZeroU32::new(hash).unwrap_or(NonZeroU32::MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: I63
    #[test]
    fn names_that_meet_in_the_table_are_not_mixed_up() {
        let mut ufrags = Ufrags::new(Keyed::new([1; 16]));
        // Enough for some hundred pairs with the same 32 bits.
        let name = |slot: u32| slot.to_be_bytes();
        let all = 0..1_500_000;
        for slot in all.clone() {
            ufrags.insert(&name(slot), slot);
        }
        let find = |ufrags: &Ufrags, slot| ufrags.get(&name(slot), |other| other == slot);
        assert!(all.clone().all(|slot| find(&ufrags, slot) == Some(slot)));
        assert_eq!(find(&ufrags, all.end), None);
        // Who is looked for in vain makes nobody be asked, but for one in thousands.
        let asked = std::cell::Cell::new(0);
        for slot in all.end..all.end + 100_000 {
            let ask = |_| {
                asked.set(asked.get() + 1);
                false
            };
            assert_eq!(ufrags.get(&name(slot), ask), None);
        }
        assert!(asked.get() < 100, "{}", asked.get());

        let tag = ufrags.tag(&name(7));
        ufrags.remove(tag, 8);
        assert_eq!(find(&ufrags, 7), Some(7), "another's entry stays");
        ufrags.remove(tag, 7);
        assert_eq!(find(&ufrags, 7), None);
    }
}
