//! Which shard a 5-tuple belongs to, as the endpoints' events tell it.
//!
//! Inside an endpoint a 5-tuple belongs to one transport, and a valid request from another one does not move it (I54). The same
//! holds between endpoints: who learned it first keeps it until it is released, or until another claimant's own check was
//! answered there; who has lost it so does not win it back while the other one lives.

use super::Shard;
use crate::{Event, TransportId, endpoint::keyed::Keyed};
use floe_ice::FiveTuple;
use std::collections::HashMap;

/// Room for so many is kept.
const FEW: usize = 64;

/// The table of 5-tuples that a dispatcher keeps, and what changed in it. It holds as much as the endpoints do:
/// [`max_paths`](crate::EndpointConfig::max_paths) for each transport at most.
#[derive(Debug)]
pub struct PathTable(HashMap<FiveTuple, Claims, Keyed>);

/// A 5-tuple is somebody else's from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl PathTable {
    /// An empty one. Peers choose their addresses: the key, of random bytes, keeps them from choosing where in the table they are.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self(HashMap::with_hasher(Keyed::new(key)))
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
        Some(self.0.get(&path.canonical())?.holder.shard)
    }

    /// How many 5-tuples are somebody's.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn claim(&mut self, path: FiveTuple, claimant: Claimant) {
        let claims = self.0.entry(path).or_insert(Claims {
            holder: claimant,
            others: Vec::new(),
        });
        let known = claims.others.iter().any(|(other, _)| *other == claimant);
        if claims.holder != claimant && !known {
            claims.others.push((claimant, false));
        }
    }

    fn release(&mut self, path: FiveTuple, claimant: Claimant) {
        let Some(claims) = self.0.get_mut(&path) else {
            return;
        };
        claims.others.retain(|(other, _)| *other != claimant);
        if claims.holder != claimant {
            return;
        }
        // Back to who had it once, before anybody who only claims it.
        let former = claims.others.iter().position(|(_, lost)| *lost);
        if claims.others.is_empty() {
            self.0.remove(&path);
            self.give_back();
        } else {
            (claims.holder, _) = claims.others.remove(former.unwrap_or(0));
        }
    }

    /// What a peak took.
    fn give_back(&mut self) {
        let (len, room) = (self.0.len(), self.0.capacity());
        if room > FEW && len < room / 8 {
            self.0.shrink_to(len * 2);
        }
    }

    fn prove(&mut self, path: FiveTuple, claimant: Claimant) {
        let Some(claims) = self.0.get_mut(&path) else {
            return;
        };
        let rival = |(other, lost): &(Claimant, bool)| *other == claimant && !lost;
        if let Some(place) = claims.others.iter().position(rival) {
            claims.others.remove(place);
            let loser = std::mem::replace(&mut claims.holder, claimant);
            claims.others.push((loser, true));
        }
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
        for n in 0..10_000 {
            table.apply(shard, id, &Event::PathLearned(path(n)));
        }
        for n in 0..10_000 {
            let change = table.apply(shard, id, &Event::PathReleased(path(n)));
            let path = path(n);
            assert_eq!(change, Some(PathChange { path, to: None }));
            assert!(table.0.capacity() <= (8 * table.len()).max(2 * FEW) + FEW);
        }
        assert!(table.is_empty());
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
