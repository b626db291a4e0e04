//! Several endpoints behind the same sockets, one per core, without a lock between them: which of them a datagram is for.
//!
//! ```text
//!                     ┌ request ── local username fragment, under the key ──┐
//!  datagram ── STUN? ─┤                                                     ├─► Steering::route ─► the shard that minted it
//!               │     └ response ─ transaction id, under the key ───────────┘
//!               └ else, or not readable ── 5-tuple ─► PathTable ─► the shard that authenticated it
//! ```
//!
//! [`Steering::route`] reads the bytes of the datagram and nothing else, so that whoever sees it first can ask: the thread that
//! owns the socket, a balancer, a socket filter's control program. What it says is a hint; the endpoint found by it still
//! checks every MAC, and a forgery costs one counted miss. What carries no name (DTLS, media) goes by 5-tuple: a
//! [`PathTable`] is programmed by the [`PathLearned`](crate::Event::PathLearned) and [`PathReleased`](crate::Event::PathReleased) events of all
//! endpoints, which come after authentication only, and says what to change in a copy of it, in a kernel map for instance.
//!
//! Each endpoint gets its number with [`EndpointConfig::sharding`](crate::EndpointConfig::sharding); everything else follows from
//! that. The dispatcher, whole:
//!
//! ```
//! use floe::{Endpoint, EndpointConfig, Outcome, TransportConfig};
//! use floe::steering::{PathTable, Shard, Sharding, Steering};
//! use floe::{dtls, ice::{self, FiveTuple}};
//! use std::{sync::Arc, time::Instant};
//!
//! struct Server { steering: Arc<Steering>, paths: PathTable, shards: Vec<Endpoint>, strays: u64 }
//!
//! impl Server {
//!     /// In a server of threads each endpoint has its own, and this sends the datagram there through a channel.
//!     fn handle_datagram(&mut self, now: Instant, path: FiveTuple, datagram: &mut [u8]) {
//!         let shard = self.steering.route(datagram).or_else(|| self.paths.shard_of(&path));
//!         let Some(shard) = shard else { return self.strays += 1 };
//!         let endpoint = &mut self.shards[usize::from(shard.number())];
//!         let _outcome = endpoint.handle_datagram(now, path, datagram);
//!         while let Some((transport, event)) = endpoint.poll_event() {
//!             if let Some(change) = self.paths.apply(shard, transport, &event) {
//!                 println!("the kernel's map: {:?} is now {:?}'s", change.path, change.to);
//!             }
//!         }
//!     }
//! }
//!
//! let steering = Arc::new(Steering::new([7; 32], 4)); // of 32 random bytes, for 4 endpoints
//! let identity = Arc::new(dtls::Identity::generate()?);
//! let shards = steering.shards().map(|shard| {
//!     let ice = Arc::new(ice::Config::default());
//!     let mut config = EndpointConfig::new(TransportConfig::new(ice, Arc::new(dtls::Config::new(identity.clone()))));
//!     config.sharding = Some(Sharding { steering: steering.clone(), shard });
//!     Endpoint::new(config)
//! });
//! let mut server = Server { paths: PathTable::new([8; 16]), shards: shards.collect(), steering, strays: 0 };
//!
//! // A check that nobody can have minted goes nowhere.
//! let path = FiveTuple::udp("192.0.2.1:3478".parse()?, "198.51.100.7:40000".parse()?);
//! let mut forged = [0; 64];
//! let len = floe::stun::Writer::request(&mut forged, floe::stun::Method::BINDING, floe::stun::TransactionId::from_bytes([3; 12]))
//!     .ice_username("AbCdEfGhIjKlMnOpQrStUvW", "peer").fingerprint()?;
//! server.handle_datagram(Instant::now(), path, &mut forged[..len]);
//! assert_eq!((server.strays, server.steering.misses()), (1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Three things to know. Where two shards learn the same 5-tuple (a client with two sessions behind one port), the table keeps it
//! with the first until the other's own check was answered there; a lite transport sends one when it is told to
//! ([`Transport::validate_path`](crate::Transport::validate_path)). A session whose username fragment the application chose itself cannot be read: its checks go by
//! 5-tuple, or to a shard of the application's choice, which reports [`UnknownUfrag`](crate::Outcome::UnknownUfrag). A transport
//! that [moved](crate::Endpoint::detach) to another shard still carries the number of the one it was born in, until
//! [`Endpoint::restart`](crate::Endpoint::restart) gives it a new name: what that shard reports as `UnknownUfrag`, or drops as
//! [`UnknownUfrag`](crate::DropReason::UnknownUfrag) (over the budget of what is reported) or
//! [`UnknownTransaction`](crate::DropReason::UnknownTransaction), the dispatcher gives to the shard that the [`PathTable`] names. Where
//! the new shard's events are applied before the old one's, the table knows no moment without a holder. What a shard had that is gone
//! without a word is released by [`PathTable::release_shard`].

mod paths;

pub use paths::{PathChange, PathTable};

use crate::demux::{self, Kind};
use floe_ice::RoutableUfrag;
use floe_stun::{Class, Message, RouteKey};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// How much of a transaction's 32-bit tag says which transport of its shard it is of.
pub(crate) const SLOT_BITS: u32 = 22;
/// The most transports that a shard can have. A new one gets the lowest page of slots with room, so that as many slots suffice.
pub(crate) const MAX_SLOTS: usize = 1 << SLOT_BITS;

/// The number of an endpoint among those behind the same sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u16);

impl Shard {
    /// How many there can be.
    pub const MAX: u16 = 1 << (32 - SLOT_BITS);

    /// From 0 on.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

/// An endpoint's place among others.
#[derive(Clone, Debug)]
pub struct Sharding {
    /// What all of them, and whoever routes, have in common.
    pub steering: Arc<Steering>,
    /// Which of them this one is. No two may be the same.
    pub shard: Shard,
}

/// Reads which shard a datagram is for. Shared as `Arc` between the endpoints, which mint under its keys, and whoever routes.
pub struct Steering {
    shards: u16,
    ufrags: Arc<RoutableUfrag>,
    transactions: Arc<RouteKey>,
    /// Responses; those of requests are counted with the username fragments.
    misses: AtomicU64,
}

impl Steering {
    /// For this many shards, at least 1 and at most [`Shard::MAX`], under a key of random bytes: the same in every process that
    /// mints or routes.
    #[must_use]
    pub fn new(key: [u8; 32], shards: u16) -> Self {
        let (ufrags, transactions) = key.split_at(16);
        let half = |bytes: &[u8]| bytes.try_into().expect("half of 32 bytes is 16 bytes");
        Self {
            shards: shards.clamp(1, Shard::MAX),
            ufrags: Arc::new(RoutableUfrag::new(half(ufrags))),
            transactions: Arc::new(RouteKey::from_bytes(half(transactions))),
            misses: AtomicU64::new(0),
        }
    }

    /// All shards.
    pub fn shards(&self) -> impl Iterator<Item = Shard> + use<> {
        (0..self.shards).map(Shard)
    }

    /// The shard that this datagram names: a STUN request by its local username fragment, a response by its transaction id.
    /// Reads nothing but the bytes, changes nothing but a counter, allocates nothing. `None` for what is not STUN and for what no
    /// shard has minted: ask the [`PathTable`].
    #[must_use]
    pub fn route(&self, datagram: &[u8]) -> Option<Shard> {
        if demux::classify(datagram) != Some(Kind::Stun) {
            return None;
        }
        let message = Message::parse(datagram).ok()?;
        match message.class() {
            Class::Request => {
                let username = std::str::from_utf8(message.username()?).ok()?;
                let (local, _) = username.split_once(':')?;
                self.shard(self.ufrags.route(local)?)
            }
            Class::SuccessResponse | Class::ErrorResponse => {
                let tag = self.transactions.tag_of(&message.transaction_id());
                let shard = self.shard(tag >> SLOT_BITS);
                self.misses
                    .fetch_add(u64::from(shard.is_none()), Ordering::Relaxed);
                shard
            }
            Class::Indication => None,
        }
    }

    /// Mints username fragments under another key from now on; those of the key before are still read. See
    /// [`RoutableUfrag::rotate`].
    pub fn rotate(&self, key: [u8; 16]) {
        self.ufrags.rotate(key);
    }

    /// How many requests and responses named no shard: forged, of a key long gone, or of somebody else's.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.ufrags.misses() + self.misses.load(Ordering::Relaxed)
    }

    pub(crate) fn ufrags(&self) -> &Arc<RoutableUfrag> {
        &self.ufrags
    }

    pub(crate) fn transactions(&self) -> &Arc<RouteKey> {
        &self.transactions
    }

    fn shard(&self, number: u32) -> Option<Shard> {
        let number = u16::try_from(number).ok()?;
        (number < self.shards).then_some(Shard(number))
    }
}

impl fmt::Debug for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steering")
            .field("shards", &self.shards)
            .field("misses", &self.misses())
            .finish_non_exhaustive()
    }
}
