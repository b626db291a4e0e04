//! Username fragments that say in which slot their bearer is, to nobody but the endpoint that minted them.
//!
//! A request begins with the name of whom it is for. With very many transports, a table from names to slots is one more place in
//! memory to wait for, if not two. So what an endpoint calls its transports is made as its transaction ids are (S10): 64 random bits,
//! and the slot under a keyed mask of those, in the 16 characters that 96 bits take. What is read from a fragment is a hint: whether the
//! transport there is called so is asked of itself. Other names (the application's own, of other shards, of transports that moved or
//! restarted by themselves) are found by [`ufrags`](super::ufrags).

use floe_ice::ICE_CHARS;
use floe_stun::{RouteKey, TransactionId, TransactionIds};
use std::{collections::BTreeSet, sync::Arc};

/// The six bits of each character.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < ICE_CHARS.len() {
        values[ICE_CHARS[value] as usize] = value as u8;
        value += 1;
    }
    values
};
/// No value: a bit that no value has.
const NONE: u8 = 0x80;
const LENGTH: usize = 16;

#[derive(Debug)]
pub(super) struct Minter {
    key: Arc<RouteKey>,
    ids: TransactionIds,
    /// Fragments that went along with a transport to another slot, and that the application has given to who is in this one, too.
    lost: BTreeSet<Box<[u8]>>,
}

impl Minter {
    pub(super) fn new(key: RouteKey, seed: [u8; 32]) -> Self {
        let key = Arc::new(key);
        Self {
            ids: TransactionIds::new(key.clone(), seed),
            key,
            lost: BTreeSet::new(),
        }
    }

    /// Another one each time.
    pub(super) fn mint(&mut self, slot: u32) -> String {
        let id = self.ids.mint(slot);
        let (threes, _) = id.as_bytes().as_chunks();
        threes.iter().flat_map(four).map(char::from).collect()
    }

    /// The slot whose transport is to be asked first whether it is called so. None or any if the fragment was not minted here.
    pub(super) fn bearer_of(&self, fragment: &[u8]) -> Option<u32> {
        self.bearer_called(fragment.try_into().ok()?)
    }

    /// The same for the fragment that a USERNAME begins with, if it is one of these.
    #[inline]
    pub(super) fn bearer_in(&self, username: &[u8]) -> Option<u32> {
        self.bearer_called(username.first_chunk()?)
    }

    #[inline(always)]
    fn bearer_called(&self, characters: &[u8; LENGTH]) -> Option<u32> {
        let is_lost = !self.lost.is_empty() && self.lost.contains(characters.as_slice());
        self.slot_in(characters).filter(|_| !is_lost)
    }

    /// Who is in the slot that this fragment says is called so, but the name is another's.
    pub(super) fn lose(&mut self, fragment: &[u8]) {
        self.lost.insert(fragment.into());
    }

    /// What who is in this slot is called is read anew.
    pub(super) fn recover(&mut self, slot: u32) {
        if !self.lost.is_empty() {
            let lost = std::mem::take(&mut self.lost).into_iter();
            self.lost = lost
                .filter(|fragment| self.slot_of(fragment) != Some(slot))
                .collect();
        }
    }

    /// The slot in a fragment that was minted here; of any other, none or any.
    pub(super) fn slot_of(&self, fragment: &[u8]) -> Option<u32> {
        self.slot_in(fragment.try_into().ok()?)
    }

    #[inline]
    fn slot_in(&self, characters: &[u8; LENGTH]) -> Option<u32> {
        let (eights, _) = characters.as_chunks::<8>();
        let (mut bits, mut all) = (0, 0);
        for eight in eights {
            let values = eight.map(|character| VALUES[usize::from(character)]);
            all |= values.into_iter().fold(0, |all, value| all | value);
            let six = |bits: u64, value| bits << 6 | u64::from(value);
            bits = bits << 48 | u128::from(values.into_iter().fold(0, six));
        }
        let [_, _, _, _, id @ ..] = bits.to_be_bytes();
        let id = TransactionId::from_bytes(id);
        (all & NONE == 0).then(|| self.key.tag_of(&id))
    }
}

fn four([a, b, c]: &[u8; 3]) -> [u8; 4] {
    let bits = u32::from_be_bytes([0, *a, *b, *c]);
    [18, 12, 6, 0].map(|shift| ICE_CHARS[(bits >> shift) as usize % ICE_CHARS.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    // req: I63
    #[test]
    fn a_name_says_its_slot_to_who_minted_it_and_looks_random_to_others() {
        let minter = |key| Minter::new(RouteKey::from_bytes([key; 16]), [key; 32]);
        let (mut ours, theirs) = (minter(1), minter(2));
        let (mut seen, mut read_by_them) = (HashSet::new(), 0);
        for slot in (0..30_000_000).step_by(3001).chain([u32::MAX]) {
            let name = ours.mint(slot);
            assert_eq!(ours.slot_of(name.as_bytes()), Some(slot));
            read_by_them += u32::from(theirs.slot_of(name.as_bytes()) == Some(slot));
            assert!(name.bytes().all(|byte| ICE_CHARS.contains(&byte)));
            assert!(name.len() == LENGTH && seen.insert(name));
        }
        assert_eq!(read_by_them, 0);
        // One slot is called otherwise each time, in every place.
        let names: Vec<String> = (0..200).map(|_| ours.mint(7)).collect();
        for place in 0..LENGTH {
            let there: HashSet<u8> = names.iter().map(|name| name.as_bytes()[place]).collect();
            assert!(there.len() > 40, "{place}: {}", there.len());
        }
    }

    #[test]
    fn a_name_that_was_lost_is_recovered_with_its_slot_and_no_other_is() {
        let mut minter = Minter::new(RouteKey::from_bytes([1; 16]), [1; 32]);
        let names = [5, 6].map(|slot| minter.mint(slot).into_bytes());
        for name in &names {
            minter.lose(name);
        }
        let bearers = |minter: &Minter| names.each_ref().map(|name| minter.bearer_of(name));
        assert_eq!(bearers(&minter), [None, None]);
        minter.recover(5);
        assert_eq!(bearers(&minter), [Some(5), None]);
        minter.recover(6);
        assert_eq!(bearers(&minter), [Some(5), Some(6)]);
        assert!(minter.lost.is_empty());
    }

    #[test]
    fn what_cannot_have_been_minted_is_not_read() {
        let mut minter = Minter::new(RouteKey::from_bytes([1; 16]), [1; 32]);
        let name = minter.mint(5);
        for place in 0..LENGTH {
            for other in (0..=u8::MAX).filter(|byte| !ICE_CHARS.contains(byte)) {
                let mut bytes = name.clone().into_bytes();
                bytes[place] = other;
                assert_eq!(minter.slot_of(&bytes), None);
            }
        }
        for other in ["", "abcd", &name[1..], &format!("{name}A")] {
            assert_eq!(minter.slot_of(other.as_bytes()), None);
        }
    }
}
