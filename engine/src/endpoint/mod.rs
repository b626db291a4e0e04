//! Many transports behind shared sockets: whose datagram it is, who is due, who has something to say.
//!
//! ```text
//!                 ┌ request ───────── local ufrag (both generations) ─────────┐
//!  datagram ─┬ STUN ┼ response ────── tag in the transaction id ─────────────────┼─► Transport
//!            │      └ indication ┐                                               │      │
//!            └ DTLS, SRTP, … ────┴─ 5-tuple, learned from authenticated STUN ────┘      │ authenticated
//!                                        ▲                                              │
//!                                        └──────────────── claim (I54) ◄────────────────┘
//! ```
//!
//! A 5-tuple belongs to one transport. Another one that receives a valid request from there answers it, but takes the 5-tuple over only
//! after an own check succeeded there, or when its holder has lapsed: a spoofed source address moves nobody's media.
//!
//! After each input the transport's live username fragments, paths, deadline and readiness are read anew, so no
//! table can go stale behind a command. Nothing scans all transports: [`deadlines`] is a heap, [`ready`] a queue of
//! those with something to hand out. All tables hash under secret keys. In steady state nothing here allocates.

mod deadlines;
mod farewells;
mod keyed;
mod membership;
mod outbox;
mod ready;
mod routes;
mod routing;
mod seeds;
mod strangers;

pub use membership::AttachError;

use crate::{EndpointConfig, EndpointStats, Event, Transport, TransportId};
use deadlines::Deadlines;
use farewells::Farewells;
use floe_ice::{FiveTuple, Transmit};
use outbox::{LETTER, Outbox};
use ready::ReadyQueue;
use routes::Routes;
use seeds::Seeds;
use slotmap::{DefaultKey, SlotMap};
use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};
use strangers::Strangers;

/// Owns transports and routes to them. One per thread and set of sockets; see the [crate's documentation](crate) for its
/// loop.
pub struct Endpoint {
    config: EndpointConfig,
    slots: SlotMap<DefaultKey, Slot>,
    routes: Routes,
    farewells: Farewells,
    strangers: Strangers,
    outbox: Outbox,
    deadlines: Deadlines,
    /// Who may have a datagram to send.
    senders: ReadyQueue,
    /// Who may have an event.
    tellers: ReadyQueue,
    /// Paths of transports that are gone.
    released: VecDeque<(TransportId, FiveTuple)>,
    seeds: Seeds,
    stats: EndpointStats,
}

/// A transport and what of it stands in the tables.
struct Slot {
    transport: Box<Transport>,
    ufrags: Vec<Box<str>>,
}

impl Endpoint {
    /// An endpoint without transports. Its secrets come from the operating system's entropy.
    #[must_use]
    pub fn new(config: EndpointConfig) -> Self {
        Self::of(config, Seeds::from_entropy())
    }

    /// The same endpoint whenever the seed is the same: for tests, simulation and replay only.
    #[cfg(feature = "deterministic")]
    #[must_use]
    pub fn with_seed(seed: [u8; 32], config: EndpointConfig) -> Self {
        Self::of(config, Seeds::from_seed(seed))
    }

    fn of(config: EndpointConfig, seeds: Seeds) -> Self {
        let (route, hash) = (seeds.route_key(), seeds.hash_key());
        let lifetime = config.farewell.min(EndpointConfig::MAX_FAREWELL);
        Self {
            slots: SlotMap::new(),
            routes: Routes::new(route, hash.clone()),
            farewells: Farewells::new(hash.clone(), lifetime, config.max_farewells),
            strangers: Strangers::new(
                hash,
                config.unknown_ufrags,
                config.unknown_ufrags_per_network,
            ),
            outbox: Outbox::default(),
            deadlines: Deadlines::default(),
            senders: ReadyQueue::default(),
            tellers: ReadyQueue::default(),
            released: VecDeque::new(),
            seeds,
            stats: EndpointStats::default(),
            config,
        }
    }

    /// Commands a transport. Whatever `command` does, the endpoint's tables agree with it afterwards. `None` if there is no
    /// such transport.
    pub fn with<R>(
        &mut self,
        now: Instant,
        id: TransportId,
        command: impl FnOnce(&mut Transport) -> R,
    ) -> Option<R> {
        let result = self.touch(now, id, command)?;
        self.refresh_paths(id);
        Some(result)
    }

    /// Gives a transport something to do.
    fn touch<R>(
        &mut self,
        now: Instant,
        id: TransportId,
        input: impl FnOnce(&mut Transport) -> R,
    ) -> Option<R> {
        let slot = self.slots.get_mut(id.key())?;
        let before = slot.transport.ice().state();
        let result = input(&mut slot.transport);
        if slot.transport.ice().state() != before {
            self.refresh_paths(id);
        }
        self.refresh(now, id);
        Some(result)
    }

    /// A transport, to read.
    #[must_use]
    pub fn transport(&self, id: TransportId) -> Option<&Transport> {
        Some(&self.slots.get(id.key())?.transport)
    }

    /// All transports.
    pub fn transports(&self) -> impl Iterator<Item = (TransportId, &Transport)> {
        self.slots
            .iter()
            .map(|(key, slot)| (TransportId::new(key), &*slot.transport))
    }

    /// Where a transport's media goes. `None`: nowhere, its peer does not consent (RFC 7675 §5.1).
    #[must_use]
    pub fn send_path(&self, id: TransportId) -> Option<FiveTuple> {
        self.transport(id)?.send_path()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.farewells.expire(now);
        while let Some((due, slot)) = self.deadlines.first()
            && due <= now
        {
            let Some(id) = self.routes.in_slot(slot) else {
                self.deadlines.set(slot, None);
                continue;
            };
            self.with(now, id, |transport| transport.handle_timeout(now));
            self.postpone(now, slot);
        }
    }

    /// A machine that has just been woken is not woken again for the same instant, or one of them could stop all.
    fn postpone(&mut self, now: Instant, slot: u32) {
        if self
            .deadlines
            .first()
            .is_some_and(|(due, first)| first == slot && due <= now)
        {
            self.deadlines
                .set(slot, Some(now + Duration::from_millis(1)));
        }
    }

    /// Writes one datagram into `buf`, if there is one to send. Transports with more than one take turns.
    ///
    /// # Panics
    ///
    /// If `buf` is shorter than [`TransportConfig::mtu`](crate::TransportConfig::mtu).
    pub fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        assert!(
            buf.len() >= self.config.transport.mtu(),
            "the buffer holds the configured MTU"
        );
        if let Some(transmit) = self.outbox.poll_transmit(buf) {
            return Some(transmit);
        }
        while let Some(slot) = self.senders.front() {
            let id = self.routes.in_slot(slot);
            if let Some(slot) = id.and_then(|id| self.slots.get_mut(id.key()))
                && let Some(transmit) = slot.transport.poll_transmit(buf)
            {
                self.senders.rotate();
                return Some(transmit);
            }
            self.senders.pop();
        }
        None
    }

    /// The next thing that happened, and in which transport.
    pub fn poll_event(&mut self) -> Option<(TransportId, Event)> {
        if let Some((id, path)) = self.released.pop_front() {
            return Some((id, Event::PathReleased(path)));
        }
        while let Some(slot) = self.tellers.front() {
            if let Some(id) = self.routes.in_slot(slot)
                && let Some(slot) = self.slots.get_mut(id.key())
                && let Some(event) = slot.transport.poll_event()
            {
                self.tellers.rotate();
                return Some((id, event));
            }
            self.tellers.pop();
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let transports = self.deadlines.first().map(|(due, _)| due);
        [transports, self.farewells.next_expiry()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> EndpointStats {
        self.stats
    }

    /// Reads a transport anew after anything that may have changed it.
    fn refresh(&mut self, now: Instant, id: TransportId) {
        let Some(slot) = self.slots.get_mut(id.key()) else {
            return;
        };
        self.deadlines
            .set(id.index(), slot.transport.poll_timeout());
        self.senders.push(id.index());
        self.tellers.push(id.index());
        if slot.is_stale() {
            self.refresh_ufrags(now, id);
        }
    }

    /// Registers the username fragments of the live generations. Those of a closed transport go to the farewells.
    fn refresh_ufrags(&mut self, now: Instant, id: TransportId) {
        let Some(slot) = self.slots.get_mut(id.key()) else {
            return;
        };
        for ufrag in std::mem::take(&mut slot.ufrags) {
            self.routes.remove_ufrag(ufrag.as_bytes(), id);
        }
        if slot.transport.is_closed() {
            for revoked in slot.transport.ice().revoked() {
                self.stats.farewells_cut_short += self.farewells.add(now, revoked);
            }
            return;
        }
        let live = slot.transport.ice().local_username_fragments();
        slot.ufrags.reserve_exact(live.count());
        for ufrag in slot.transport.ice().local_username_fragments() {
            if self.routes.set_ufrag(ufrag.as_bytes(), id) {
                self.farewells.remove(ufrag.as_bytes());
            } else {
                self.stats.ufrag_conflicts += 1;
            }
            slot.ufrags.push(ufrag.into());
        }
    }
}

impl Slot {
    /// Whether the live generations are not those that were registered.
    fn is_stale(&self) -> bool {
        if self.transport.is_closed() {
            return !self.ufrags.is_empty();
        }
        let live = self.transport.ice().local_username_fragments();
        !live.eq(self.ufrags.iter().map(|ufrag| &**ufrag))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("transports", &self.slots.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
