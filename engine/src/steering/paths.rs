//! Which shard a 5-tuple belongs to, as the endpoints' events tell it.
//!
//! Inside an endpoint a 5-tuple belongs to one transport, and a valid request from another one does not move it (I54). The same
//! holds between endpoints: who learned it first keeps it until it is released, or until another claimant's own check was
//! answered there; who has lost it so does not win it back while the other one lives.

use super::Shard;
use crate::{
    Event, TransportId,
    endpoint::{
        keyed::Keyed,
        table::{Hashed, Sharded},
    },
};
use floe_ice::FiveTuple;

/// The table of 5-tuples that a dispatcher keeps, and what changed in it. It holds as much as the endpoints do:
/// [`max_paths`](crate::EndpointConfig::max_paths) for each transport at most. It grows in small steps, so that no datagram waits for
/// more than microseconds of it, and gives back what a peak took.
#[derive(Debug)]
pub struct PathTable {
    entries: Sharded<Entry>,
    keyed: Keyed,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    path: FiveTuple,
    claims: Claims,
}

impl Hashed for Entry {
    fn hash(&self) -> u64 {
        self.hash
    }
}

/// A 5-tuple is somebody else's from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathChange {
    /// Which, in canonical addresses: an IPv4-mapped IPv6 address is an IPv4 address.
    pub path: FiveTuple,
    /// Whose. `None`: nobody's.
    pub to: Option<Shard>,
}

/// A transport of a shard that takes what comes by a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claimant {
    shard: Shard,
    transport: TransportId,
}

#[derive(Debug)]
struct Claims {
    holder: Claimant,
    /// Who else has authenticated it, the oldest first; and whether it was the holder's once.
    others: Vec<(Claimant, bool)>,
}

impl Claims {
    /// Some claim it no longer. Whether anybody does.
    fn release(&mut self, gone: impl Fn(&Claimant) -> bool) -> bool {
        self.others.retain(|(other, _)| !gone(other));
        if !gone(&self.holder) {
            return true;
        }
        if self.others.is_empty() {
            return false;
        }
        // Back to who had it once, before anybody who only claims it.
        let former = self.others.iter().position(|(_, lost)| *lost);
        (self.holder, _) = self.others.remove(former.unwrap_or(0));
        true
    }
}

impl PathTable {
    /// An empty one. Peers choose their addresses: the key, of random bytes, keeps them from choosing where in the table they are.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self {
            entries: Sharded::new(),
            keyed: Keyed::new(key),
        }
    }

    /// Takes an event that a shard's endpoint reported, of whatever kind. Gives what is to change in a copy of this table.
    pub fn apply(
        &mut self,
        shard: Shard,
        transport: TransportId,
        event: &Event,
    ) -> Option<PathChange> {
        let claimant = Claimant { shard, transport };
        let (path, before) = match event {
            Event::PathLearned(path) | Event::PathReleased(path) | Event::PathValidated(path) => {
                (path.canonical(), self.shard_of(path))
            }
            _ => return None,
        };
        match event {
            Event::PathLearned(_) => self.claim(path, claimant),
            Event::PathReleased(_) => self.release(path, claimant),
            _ => self.prove(path, claimant),
        }
        let to = self.shard_of(&path);
        (to != before).then_some(PathChange { path, to })
    }

    /// Whose a 5-tuple is.
    #[must_use]
    pub fn shard_of(&self, path: &FiveTuple) -> Option<Shard> {
        let path = path.canonical();
        let hash = self.keyed.hash_path(&path);
        let entry = self.entries.get(hash, |entry| entry.path == path)?;
        Some(entry.claims.holder.shard)
    }

    /// A shard is gone and could tell nobody: none of its transports claims any path any more. Looks at the whole table, and says what is
    /// to change in a copy of it.
    pub fn release_shard(&mut self, shard: Shard, mut on_change: impl FnMut(PathChange)) {
        self.entries.retain(|Entry { path, claims, .. }| {
            let before = claims.holder.shard;
            let is_claimed = claims.release(|claimant| claimant.shard == shard);
            let to = is_claimed.then_some(claims.holder.shard);
            if to != Some(before) {
                on_change(PathChange { path: *path, to });
            }
            is_claimed
        });
    }

    /// How many 5-tuples are somebody's.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn claim(&mut self, path: FiveTuple, claimant: Claimant) {
        let Some(claims) = self.claims(&path) else {
            let claims = Claims {
                holder: claimant,
                others: Vec::new(),
            };
            let hash = self.keyed.hash_path(&path);
            return self.entries.insert(Entry { hash, path, claims });
        };
        let known = claims.others.iter().any(|(other, _)| *other == claimant);
        if claims.holder != claimant && !known {
            claims.others.push((claimant, false));
        }
    }

    fn release(&mut self, path: FiveTuple, claimant: Claimant) {
        if let Some(claims) = self.claims(&path)
            && !claims.release(|other| *other == claimant)
        {
            let hash = self.keyed.hash_path(&path);
            self.entries.remove(hash, |entry| entry.path == path);
        }
    }

    fn prove(&mut self, path: FiveTuple, claimant: Claimant) {
        let Some(claims) = self.claims(&path) else {
            return;
        };
        let rival = |(other, lost): &(Claimant, bool)| *other == claimant && !lost;
        if let Some(place) = claims.others.iter().position(rival) {
            claims.others.remove(place);
            let loser = std::mem::replace(&mut claims.holder, claimant);
            claims.others.push((loser, true));
        }
    }

    fn claims(&mut self, path: &FiveTuple) -> Option<&mut Claims> {
        let hash = self.keyed.hash_path(path);
        let entry = self.entries.get_mut(hash, |entry| entry.path == *path)?;
        Some(&mut entry.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::Steering;

    fn path() -> FiveTuple {
        let address = |n| ([192, 0, 2, n], 4000).into();
        FiveTuple::udp(address(1), address(2))
    }

    /// Applies an event of shard `number`'s first transport; gives whose the path is then, and whether that was reported.
    fn after(table: &mut PathTable, number: usize, event: Event) -> (Option<u16>, bool) {
        let shard = Steering::new([1; 32], 4).shards().nth(number).unwrap();
        let change = table.apply(shard, TransportId::from_bits(1 << 32 | 1), &event);
        let to = table.shard_of(&path());
        assert!(change.is_none_or(|change| change == PathChange { path: path(), to }));
        (to.map(Shard::number), change.is_some())
    }

    // req: I54
    #[test]
    fn the_first_keeps_a_path_until_it_lets_go() {
        let mut table = PathTable::new([0; 16]);
        let (learned, released) = (Event::PathLearned(path()), Event::PathReleased(path()));
        assert_eq!(after(&mut table, 2, learned), (Some(2), true));
        assert_eq!(after(&mut table, 1, learned), (Some(2), false));
        assert_eq!(after(&mut table, 3, learned), (Some(2), false));
        assert_eq!(after(&mut table, 3, released), (Some(2), false));
        assert_eq!(after(&mut table, 2, released), (Some(1), true));
        assert_eq!(after(&mut table, 1, released), (None, true));
        assert!(table.is_empty());
        let other = Event::RestartConfirmed;
        assert_eq!(after(&mut table, 1, other), (None, false));
    }

    #[test]
    fn what_a_peak_took_is_given_back() {
        let mut table = PathTable::new([0; 16]);
        let shard = Steering::new([1; 32], 1).shards().next().unwrap();
        let id = TransportId::from_bits(1 << 32);
        let path = |n: u32| FiveTuple::udp(path().local, (n.to_be_bytes(), 4000).into());
        let taken = allocation_counter::measure(|| {
            for n in 0..10_000 {
                table.apply(shard, id, &Event::PathLearned(path(n)));
            }
        });
        assert_eq!(table.len(), 10_000);
        let given_back = allocation_counter::measure(|| {
            for n in 0..10_000 {
                let change = table.apply(shard, id, &Event::PathReleased(path(n)));
                let path = path(n);
                assert_eq!(change, Some(PathChange { path, to: None }));
            }
        });
        assert!(table.is_empty() && taken.bytes_current > 0);
        assert_eq!(taken.bytes_current + given_back.bytes_current, 0);
    }

    // req: I54
    #[test]
    fn what_a_shard_that_is_gone_had_is_the_next_claimants() {
        let mut table = PathTable::new([0; 16]);
        let shards: Vec<Shard> = Steering::new([1; 32], 3).shards().collect();
        let id = |n: u64| TransportId::from_bits(1 << 32 | n);
        let path = |n: u32| FiveTuple::udp(path().local, (n.to_be_bytes(), 4000).into());
        let mut learn = |shard: usize, transport, n| {
            table.apply(shards[shard], id(transport), &Event::PathLearned(path(n)));
        };
        // Of ten paths shard 1 has two by itself, two before others, and waits for two behind shard 2.
        (0..4).for_each(|n| learn(1, u64::from(n), n));
        (2..4).for_each(|n| learn(0, 7, n));
        (4..10).for_each(|n| learn(2, 8, n));
        (4..6).for_each(|n| learn(1, 9, n));
        let mut changes = Vec::new();
        table.release_shard(shards[1], |change| changes.push(change));
        changes.sort_by_key(|change| change.path.remote);
        let to = |n| (n >= 2).then_some(shards[0]);
        let expected = (0..4).map(|n| PathChange {
            path: path(n),
            to: to(n),
        });
        assert_eq!(changes, expected.collect::<Vec<_>>());
        let holders = (0..10).map(|n| table.shard_of(&path(n)).map(Shard::number));
        let of_two = std::iter::repeat_n(Some(2), 6);
        let left = [None, None, Some(0), Some(0)].into_iter().chain(of_two);
        assert!(holders.eq(left));
        assert_eq!(table.len(), 8);
        // And it waits behind nobody any more.
        for n in 4..10 {
            let released = Event::PathReleased(path(n));
            let change = table.apply(shards[2], id(8), &released);
            assert_eq!(change.map(|change| change.to), Some(None));
        }
        table.release_shard(shards[1], |change| panic!("{change:?}"));
        assert_eq!(table.len(), 2);
    }

    // req: I54
    #[test]
    fn an_own_check_takes_it_over_once() {
        let mut table = PathTable::new([0; 16]);
        let (learned, proven) = (Event::PathLearned(path()), Event::PathValidated(path()));
        assert_eq!(after(&mut table, 1, proven), (None, false), "no claim");
        assert_eq!(after(&mut table, 1, learned), (Some(1), true));
        assert_eq!(after(&mut table, 1, proven), (Some(1), false));
        assert_eq!(after(&mut table, 3, learned), (Some(1), false));
        assert_eq!(after(&mut table, 2, learned), (Some(1), false));
        assert_eq!(after(&mut table, 2, proven), (Some(2), true));
        assert_eq!(
            after(&mut table, 1, proven),
            (Some(2), false),
            "they do not take turns"
        );
        // When its holder lapses it goes back to who had it, before those who only claim it.
        let released = Event::PathReleased(path());
        assert_eq!(after(&mut table, 2, released), (Some(1), true));
    }
}
