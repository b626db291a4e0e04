//! Whose a datagram is: by username fragment, by transaction id, by 5-tuple.
//!
//! The three tables of an endpoint. They hold slots only; whether the transport agrees is asked by the endpoint.

use super::{
    keyed::Keyed,
    tuples::Tuples,
    ufrags::{Tag, Ufrags},
};
use crate::{
    TransportId,
    steering::{SLOT_BITS, Shard, Steering},
    transport::Route,
};
use floe_ice::FiveTuple;
use floe_stun::{RouteKey, TransactionId};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long an answer to a check may take: 39.5 s, the longest that RFC 8489 §6.2 lets a transaction last, rounded up.
const TRANSACTION_LIFETIME: Duration = Duration::from_secs(40);
/// From how many other endpoints transports can have come lately with checks unanswered.
const MAX_ORIGINS: usize = 16;
/// How many of those that have come from one slot of another endpoint are remembered. The accepting thread's sessions all leave the same
/// few slots; those with checks under way are the latest.
const HEIRS: usize = 4;

#[derive(Debug)]
pub(super) struct Routes {
    tags: Tags,
    ufrags: Ufrags,
    paths: Tuples,
    origins: Vec<Origin>,
    hash: Keyed,
}

/// What the tags in transaction ids are: the transport's slot, under the shard's number if there are several.
#[derive(Debug)]
pub(super) struct Tags {
    key: Arc<RouteKey>,
    shard: u32,
    slot_bits: u32,
}

impl Tags {
    pub(super) fn alone(key: RouteKey) -> Self {
        Self {
            key: Arc::new(key),
            shard: 0,
            slot_bits: 32,
        }
    }

    pub(super) fn of_shard(steering: &Steering, shard: Shard) -> Self {
        Self {
            key: steering.transactions().clone(),
            shard: shard.number().into(),
            slot_bits: SLOT_BITS,
        }
    }

    fn of_slot(&self, slot: u32) -> u32 {
        slot | self.shard.checked_shl(self.slot_bits).unwrap_or(0)
    }

    /// The slot that minted this transaction id, if it was one of ours.
    fn slot_of(&self, id: &TransactionId) -> Option<u32> {
        let tag = self.key.tag_of(id);
        let shard = tag.checked_shr(self.slot_bits).unwrap_or(0);
        (shard == self.shard).then_some(tag ^ self.of_slot(0))
    }
}

/// Another endpoint, whose tags are in the transactions that attached transports brought with them.
#[derive(Debug)]
struct Origin {
    key: Arc<RouteKey>,
    /// Who was tagged like this there, the latest first.
    tags: HashMap<u32, [Option<TransportId>; HEIRS], Keyed>,
    until: Instant,
}

impl Routes {
    pub(super) fn new(tags: Tags, hash: Keyed) -> Self {
        Self {
            tags,
            ufrags: Ufrags::new(hash.clone()),
            paths: Tuples::new(hash.clone()),
            origins: Vec::new(),
            hash,
        }
    }

    /// How the transactions of the transport in a slot are to be tagged so that [`by_transaction`](Self::by_transaction) finds it.
    pub(super) fn route_to(&self, slot: u32) -> Route {
        Route {
            key: self.tags.key.clone(),
            tag: self.tags.of_slot(slot),
        }
    }

    /// Answers to what the transport asked while it was elsewhere find it too, for as long as they may take.
    pub(super) fn admit_from(&mut self, now: Instant, id: TransportId, route: &Route) {
        self.origins.retain(|origin| now < origin.until);
        let known = |origin: &Origin| Arc::ptr_eq(&origin.key, &route.key);
        let place = self.origins.iter().position(known).unwrap_or_else(|| {
            if self.origins.len() == MAX_ORIGINS {
                self.origins.remove(0);
            }
            self.origins.push(Origin {
                key: route.key.clone(),
                tags: HashMap::with_hasher(self.hash.clone()),
                until: now,
            });
            self.origins.len() - 1
        });
        let origin = &mut self.origins[place];
        origin.until = now + TRANSACTION_LIFETIME;
        let heirs = origin.tags.entry(route.tag).or_default();
        heirs.rotate_right(1);
        heirs[0] = Some(id);
    }

    /// The transport that was tagged like this goes.
    pub(super) fn dismiss_from(&mut self, id: TransportId, route: &Route) {
        let known = |origin: &&mut Origin| Arc::ptr_eq(&origin.key, &route.key);
        if let Some(origin) = self.origins.iter_mut().find(known)
            && let Some(heirs) = origin.tags.get_mut(&route.tag)
            && let Some(place) = heirs.iter().position(|heir| *heir == Some(id))
        {
            heirs[place..].rotate_left(1);
            heirs[HEIRS - 1] = None;
            if heirs[0].is_none() {
                origin.tags.remove(&route.tag);
            }
        }
    }

    /// In which slot whoever minted this transaction id would be. The tag in it is a hint: the whole id is compared by the agent.
    pub(super) fn by_transaction(&self, id: &TransactionId) -> Option<u32> {
        self.tags.slot_of(id)
    }

    /// Who may have minted it before it came here.
    pub(super) fn by_former_transaction<'a>(
        &'a self,
        now: Instant,
        id: &'a TransactionId,
    ) -> impl Iterator<Item = TransportId> + 'a {
        let live = self.origins.iter().filter(move |origin| now < origin.until);
        let heirs = live.filter_map(move |origin| origin.tags.get(&origin.key.tag_of(id)));
        heirs.flatten().flatten().copied()
    }

    /// The slot whose transport has this name, of which `is_called` knows.
    pub(super) fn by_ufrag(&self, ufrag: &[u8], is_called: impl Fn(u32) -> bool) -> Option<u32> {
        self.ufrags.get(ufrag, is_called)
    }

    /// Registers a name that nobody has.
    pub(super) fn set_ufrag(&mut self, ufrag: &[u8], slot: u32) -> Tag {
        self.ufrags.insert(ufrag, slot)
    }

    pub(super) fn remove_ufrag(&mut self, tag: Tag, slot: u32) {
        self.ufrags.remove(tag, slot);
    }

    pub(super) fn by_path(&self, path: &FiveTuple) -> Option<u32> {
        self.paths.get(path)
    }

    pub(super) fn set_path(&mut self, path: &FiveTuple, slot: u32) {
        self.paths.insert(path, slot);
    }

    pub(super) fn remove_path(&mut self, path: &FiveTuple, slot: u32) {
        self.paths.remove(path, slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
        Instant::now()
    }

    #[test]
    fn former_endpoints_are_remembered_for_a_while_and_few_of_them() {
        let mut routes = Routes::new(
            Tags::alone(RouteKey::from_bytes([1; 16])),
            Keyed::new([2; 16]),
        );
        let id = TransportId::new(3, NonZeroU32::MIN);
        let route = |number: u8| Route {
            key: Arc::new(RouteKey::from_bytes([number; 16])),
            tag: 5,
        };
        let now = start();
        let all: Vec<_> = (10..50).map(route).collect();
        for route in &all {
            routes.admit_from(now, id, route);
        }
        assert_eq!(routes.origins.len(), MAX_ORIGINS);
        let newest = &all[39];
        routes.dismiss_from(TransportId::new(4, NonZeroU32::MIN), newest);
        let tags = |routes: &Routes| {
            routes
                .origins
                .iter()
                .map(|origin| origin.tags.len())
                .sum::<usize>()
        };
        assert_eq!(tags(&routes), MAX_ORIGINS, "another's tag stays");
        routes.dismiss_from(id, newest);
        assert_eq!(tags(&routes), MAX_ORIGINS - 1);
        routes.admit_from(now + TRANSACTION_LIFETIME, id, newest);
        assert_eq!(routes.origins.len(), 1, "the others have had their time");
    }

    #[test]
    fn the_latest_who_have_come_from_one_slot_are_all_remembered() {
        let mut routes = Routes::new(
            Tags::alone(RouteKey::from_bytes([1; 16])),
            Keyed::new([2; 16]),
        );
        let id = |slot| TransportId::new(slot, NonZeroU32::MIN);
        let transaction = TransactionId::from_bytes([9; 12]);
        let key = Arc::new(RouteKey::from_bytes([3; 16]));
        let tag = key.tag_of(&transaction);
        let route = Route { key, tag };
        let now = start();
        for slot in 0..6 {
            routes.admit_from(now, id(slot), &route);
        }
        let heirs = |routes: &Routes, now| {
            let heirs = routes.by_former_transaction(now, &transaction);
            heirs.map(TransportId::slot).collect::<Vec<_>>()
        };
        assert_eq!(heirs(&routes, now), [5, 4, 3, 2]);
        assert_eq!(heirs(&routes, now + TRANSACTION_LIFETIME), [0; 0]);
        for (gone, left) in [(4, &[5, 3, 2][..]), (5, &[3, 2]), (0, &[3, 2]), (2, &[3])] {
            routes.dismiss_from(id(gone), &route);
            assert_eq!(heirs(&routes, now), left);
        }
        routes.admit_from(now, id(7), &route);
        assert_eq!(heirs(&routes, now), [7, 3]);
        for gone in [3, 7] {
            routes.dismiss_from(id(gone), &route);
        }
        assert!(routes.origins[0].tags.is_empty());
    }

    #[test]
    fn no_shard_takes_the_transactions_of_another_for_its_own() {
        let steering = Steering::new([7; 32], 3);
        let tags: Vec<_> = steering
            .shards()
            .map(|shard| Tags::of_shard(&steering, shard))
            .collect();
        let id = TransactionId::from_bytes([9; 12]);
        let tag = steering.transactions().tag_of(&id);
        for shard in &tags {
            let found = shard.slot_of(&id);
            let is_its = tag >> SLOT_BITS == shard.shard;
            assert_eq!(found, is_its.then_some(tag & ((1 << SLOT_BITS) - 1)));
        }
    }
}
