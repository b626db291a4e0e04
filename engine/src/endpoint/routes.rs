//! Whose a datagram is: by username fragment, by transaction id, by 5-tuple.
//!
//! The three tables of an endpoint. They hold ids only; whether the transport is still there, and whether it agrees, is asked by
//! the endpoint.

use super::keyed::{HashedMap, Keyed};
use crate::{TransportId, transport::Route};
use floe_ice::FiveTuple;
use floe_stun::{RouteKey, TransactionId};
use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    net::{SocketAddr, SocketAddrV4, SocketAddrV6},
    sync::Arc,
    time::{Duration, Instant},
};

/// How long an answer to a check may take: 39.5 s, the longest that RFC 8489 §6.2 lets a transaction last, rounded up.
const TRANSACTION_LIFETIME: Duration = Duration::from_secs(40);
/// From how many other endpoints transports can have come lately with checks unanswered.
const MAX_ORIGINS: usize = 16;

#[derive(Debug)]
pub(super) struct Routes {
    key: Arc<RouteKey>,
    /// By the slot that a transaction's tag names.
    slots: Vec<Option<TransportId>>,
    ufrags: HashedMap<TransportId>,
    paths: HashedMap<TransportId>,
    origins: Vec<Origin>,
    hash: Keyed,
}

/// Another endpoint, whose tags are in the transactions that attached transports brought with them.
#[derive(Debug)]
struct Origin {
    key: Arc<RouteKey>,
    tags: HashMap<u32, TransportId, Keyed>,
    until: Instant,
}

impl Routes {
    pub(super) fn new(key: RouteKey, hash: Keyed) -> Self {
        Self {
            key: Arc::new(key),
            slots: Vec::new(),
            ufrags: HashedMap::new(hash.clone()),
            paths: HashedMap::new(hash.clone()),
            origins: Vec::new(),
            hash,
        }
    }

    /// How a transport's transactions are to be tagged so that [`by_transaction`](Self::by_transaction) finds it.
    pub(super) fn admit(&mut self, id: TransportId) -> Route {
        let slot = id.index() as usize;
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some(id);
        Route {
            key: self.key.clone(),
            tag: id.index(),
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
        origin.tags.insert(route.tag, id);
    }

    pub(super) fn dismiss(&mut self, id: TransportId) {
        if let Some(slot) = self.slots.get_mut(id.index() as usize) {
            *slot = None;
        }
        for origin in &mut self.origins {
            origin.tags.retain(|_, other| *other != id);
        }
    }

    /// The transport in this slot.
    pub(super) fn in_slot(&self, slot: u32) -> Option<TransportId> {
        self.slots.get(slot as usize).copied().flatten()
    }

    /// Who minted this transaction id. The tag in it is a hint: the whole id is compared by the agent.
    pub(super) fn by_transaction(&self, id: &TransactionId) -> Option<TransportId> {
        self.in_slot(self.key.tag_of(id))
    }

    /// Who may have minted it before it came here.
    pub(super) fn by_former_transaction<'a>(
        &'a self,
        now: Instant,
        id: &'a TransactionId,
    ) -> impl Iterator<Item = TransportId> + 'a {
        let live = self.origins.iter().filter(move |origin| now < origin.until);
        live.filter_map(move |origin| origin.tags.get(&origin.key.tag_of(id)).copied())
    }

    pub(super) fn by_ufrag(&self, ufrag: &[u8]) -> Option<TransportId> {
        self.ufrags.get(ufrag)
    }

    /// False if another transport holds the fragment.
    pub(super) fn set_ufrag(&mut self, ufrag: &[u8], id: TransportId) -> bool {
        match self.by_ufrag(ufrag) {
            Some(holder) => holder == id,
            None => {
                self.ufrags.insert(ufrag, id);
                true
            }
        }
    }

    pub(super) fn remove_ufrag(&mut self, ufrag: &[u8], id: TransportId) {
        if self.by_ufrag(ufrag) == Some(id) {
            self.ufrags.remove(ufrag);
        }
    }

    pub(super) fn by_path(&self, path: &FiveTuple) -> Option<TransportId> {
        self.paths.get(&InOnePiece(path))
    }

    pub(super) fn set_path(&mut self, path: FiveTuple, id: TransportId) {
        self.paths.insert(&InOnePiece(&path), id);
    }

    pub(super) fn remove_path(&mut self, path: &FiveTuple, id: TransportId) {
        if self.by_path(path) == Some(id) {
            self.paths.remove(&InOnePiece(path));
        }
    }
}

/// A 5-tuple, hashed in one piece: field by field costs more than the look-up that it is for.
struct InOnePiece<'a>(&'a FiveTuple);

/// Two flags and the protocol; 18 bytes and a zone for an IPv6 address.
const LONGEST: usize = 1 + 2 * (18 + 4);

impl Hash for InOnePiece<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let FiveTuple {
            protocol,
            local,
            remote,
        } = self.0;
        let shape = |address: &SocketAddr| u8::from(address.is_ipv6());
        let first = *protocol as u8 | shape(local) << 4 | shape(remote) << 5;
        if let (SocketAddr::V4(local), SocketAddr::V4(remote)) = (local, remote) {
            let mut bytes = [first; 13];
            write_v4(&mut bytes[1..7], local);
            write_v4(&mut bytes[7..], remote);
            return state.write(&bytes);
        }
        let (mut bytes, mut len) = ([first; LONGEST], 1);
        for address in [local, remote] {
            let rest = &mut bytes[len..];
            len += match address {
                SocketAddr::V4(v4) => write_v4(rest, v4),
                SocketAddr::V6(v6) => write_v6(rest, v6),
            };
        }
        state.write(&bytes[..len]);
    }
}

fn write_v4(bytes: &mut [u8], address: &SocketAddrV4) -> usize {
    bytes[..4].copy_from_slice(&address.ip().octets());
    bytes[4..6].copy_from_slice(&address.port().to_be_bytes());
    6
}

fn write_v6(bytes: &mut [u8], address: &SocketAddrV6) -> usize {
    bytes[..16].copy_from_slice(&address.ip().octets());
    bytes[16..18].copy_from_slice(&address.port().to_be_bytes());
    bytes[18..22].copy_from_slice(&address.scope_id().to_be_bytes());
    22
}
