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
//! After each input a transport is read anew as far as its agent says that it has [`Moved`]: not at all after a check that was answered,
//! its deadline when consent goes on, else its live username fragments and readiness as well, and what it takes from its paths after
//! each command, each timeout that brings more than consent and each change of its ICE state. So no table can go stale behind them.
//!
//! Nothing scans all transports: [`wheel`] finds who is due, [`ready`] is a queue of those with something to hand out. What an endpoint
//! calls its transports says where they are ([`names`]), to nobody else; other names and 5-tuples are in tables. All of these hash
//! under secret keys. In steady state nothing here allocates, growth copies little at a time, and what was taken for a peak is given
//! back after it ([`slots`], [`table`]).

mod batch;
mod farewells;
mod handshakes;
mod heap;
pub(crate) mod keyed;
mod membership;
mod names;
mod outbox;
mod ready;
mod routes;
mod routing;
mod seeds;
mod slots;
mod strangers;
pub(crate) mod table;
mod tuples;
mod turns;
mod ufrags;
mod wheel;

pub use batch::Segments;
pub use membership::AttachError;

use crate::{EndpointConfig, EndpointStats, Event, Transport, TransportId, steering::Sharding};
use farewells::Farewells;
use floe_ice::{FiveTuple, Moved, State, Transmit};
use handshakes::Handshakes;
use names::Minter;
use outbox::{LETTER, Outbox};
use ready::{Queue, ReadyQueue};
use routes::{Routes, Tags};
use seeds::Seeds;
use slots::Slots;
use std::{collections::VecDeque, fmt, time::Instant};
use strangers::Strangers;
use ufrags::Names;
use wheel::Wheel;

/// Owns transports and routes to them. One per thread and set of sockets; see the [crate's documentation](crate) for its
/// loop.
pub struct Endpoint {
    config: EndpointConfig,
    /// The longest datagram that its transports write, in bytes.
    mtu: usize,
    slots: Slots,
    minter: Minter,
    routes: Routes,
    farewells: Farewells,
    strangers: Strangers,
    /// `None`: they do not wait.
    handshakes: Option<Handshakes>,
    outbox: Outbox,
    wheel: Wheel,
    /// Who may have a datagram to send.
    senders: ReadyQueue,
    /// Who may have an event.
    tellers: ReadyQueue,
    /// Paths of transports that are gone.
    released: VecDeque<(TransportId, FiveTuple)>,
    seeds: Seeds,
    stats: EndpointStats,
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
        let config = config.applied();
        let hash = seeds.hash_key();
        let tags = match &config.sharding {
            Some(Sharding { steering, shard }) => Tags::of_shard(steering, *shard),
            None => Tags::alone(seeds.route_key()),
        };
        let lifetime = config.farewell.min(EndpointConfig::MAX_FAREWELL);
        Self {
            mtu: config.transport.mtu(),
            slots: Slots::default(),
            minter: seeds.minter(),
            routes: Routes::new(tags, hash.clone()),
            farewells: Farewells::new(hash.clone(), lifetime, config.max_farewells),
            handshakes: config
                .waiting_handshakes
                .map(|most| Handshakes::new(most, hash.clone())),
            strangers: Strangers::new(
                hash,
                config.unknown_ufrags,
                config.unknown_ufrags_per_network,
            ),
            outbox: Outbox::default(),
            wheel: Wheel::new(),
            senders: ReadyQueue::new(Queue::Senders),
            tellers: ReadyQueue::new(Queue::Tellers),
            released: VecDeque::new(),
            seeds,
            stats: EndpointStats::default(),
            config,
        }
    }

    /// Commands a transport. Whatever commands it is given, the endpoint's tables agree with it afterwards; to put another one in its
    /// place is none (that is [`detach`](Self::detach) and [`attach`](Self::attach)). `None` if there is no such transport.
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
        let transport = self.slots.get_mut(id)?;
        let before = transport.ice().state();
        let result = input(transport);
        self.follow(now, id, before);
        Some(result)
    }

    /// A transport has had something to do, and was in this state before.
    fn follow(&mut self, now: Instant, id: TransportId, before: State) {
        if self
            .transport(id)
            .is_some_and(|transport| transport.ice().state() != before)
        {
            self.refresh_paths(id);
        }
        self.refresh(now, id);
    }

    /// A transport, to read.
    #[must_use]
    pub fn transport(&self, id: TransportId) -> Option<&Transport> {
        self.slots.get(id)
    }

    /// All transports.
    pub fn transports(&self) -> impl Iterator<Item = (TransportId, &Transport)> {
        self.slots.iter()
    }

    /// Where a transport's media goes. `None`: nowhere, its peer does not consent (RFC 7675 §5.1).
    #[must_use]
    pub fn send_path(&self, id: TransportId) -> Option<FiveTuple> {
        self.transport(id)?.send_path()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.farewells.expire(now);
        self.wheel.handle_until(now);
        while let Some(slot) = self.wheel.pop(&mut self.slots) {
            let Some((id, transport)) = self.slots.occupant(slot) else {
                continue;
            };
            if transport.pass_time(now) == Moved::Anything {
                self.refresh_paths(id);
                self.refresh(now, id);
            } else {
                self.reschedule(now, slot);
            }
        }
    }

    /// Writes one datagram into `buf`, if there is one to send. Transports with more than one take turns.
    ///
    /// # Panics
    ///
    /// If `buf` is shorter than [`TransportConfig::mtu`](crate::TransportConfig::mtu).
    pub fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        self.mtu_within(buf);
        let (transmit, sender) = self.poll_first(buf)?;
        if sender.is_some() {
            self.senders.rotate(&mut self.slots);
        }
        Some(transmit)
    }

    /// The longest datagram, in bytes.
    fn mtu_within(&self, buf: &[u8]) -> usize {
        assert!(buf.len() >= self.mtu, "the buffer holds the configured MTU");
        self.mtu
    }

    /// A datagram of whose turn it is, and whose that is if there may be more; the endpoint's own go first.
    #[inline(always)]
    fn poll_first(&mut self, buf: &mut [u8]) -> Option<(Transmit, Option<u32>)> {
        if let Some(transmit) = self.outbox.poll_transmit(buf) {
            return Some((transmit, None));
        }
        while let Some(slot) = self.senders.front() {
            if let Some((_, transport)) = self.slots.occupant(slot)
                && let Some(transmit) = transport.write_next(buf)
            {
                // Asked while it is at hand: most have one answer to give, and need not be visited again to say no.
                let has_more = transport.has_transmit();
                if !has_more {
                    self.senders.remove(&mut self.slots, slot);
                }
                return Some((transmit, has_more.then_some(slot)));
            }
            self.senders.remove(&mut self.slots, slot);
        }
        None
    }

    /// The next thing that happened, and in which transport.
    pub fn poll_event(&mut self) -> Option<(TransportId, Event)> {
        if let Some((id, path)) = self.released.pop_front() {
            if self.released.is_empty() {
                self.released = VecDeque::new();
            }
            return Some((id, Event::PathReleased(path)));
        }
        while let Some(slot) = self.tellers.front() {
            if let Some((id, transport)) = self.slots.occupant(slot)
                && let Some(event) = transport.poll_event()
            {
                self.tellers.rotate(&mut self.slots);
                return Some((id, event));
            }
            self.tellers.remove(&mut self.slots, slot);
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due: to the millisecond, rounded up.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [self.wheel.next(), self.farewells.next_expiry()];
        deadlines.into_iter().flatten().min()
    }

    /// The pace that its transports share (see [`EndpointConfig::check_pacing`]): who gathers beside them
    /// [reserves](floe_ice::Pacer::reserve) a slot for each request.
    #[must_use]
    pub fn pacer(&self) -> Option<&floe_ice::Pacer> {
        self.config.transport.ice.pacer.as_deref()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> EndpointStats {
        self.stats
    }

    /// Reads anew when a transport is due, and whether it has something to send: all that consent changes while it goes on.
    fn reschedule(&mut self, now: Instant, slot: u32) {
        let Some((_, transport)) = self.slots.occupant(slot) else {
            return;
        };
        let (deadline, sends) = (transport.poll_timeout(), transport.has_transmit());
        self.wheel.set(&mut self.slots, now, slot, deadline);
        if sends {
            self.senders.push(&mut self.slots, slot);
        }
    }

    /// Reads a transport anew after anything that may have changed it.
    fn refresh(&mut self, now: Instant, id: TransportId) {
        let Some((names, transport)) = self.slots.names(id) else {
            return;
        };
        let has_new_names = names.version != transport.names_version();
        let slot = id.slot();
        self.reschedule(now, slot);
        self.tellers.push(&mut self.slots, slot);
        if has_new_names {
            self.refresh_names(now, id);
        }
        if self.handshakes.is_some() {
            self.refresh_handshake(now, id);
        }
    }

    /// Registers the username fragments of the live generations. Those of a closed transport go to the farewells.
    fn refresh_names(&mut self, now: Instant, id: TransportId) {
        let Some((names, _)) = self.slots.names(id) else {
            return;
        };
        for tag in std::mem::take(names).tags.into_iter().flatten() {
            self.routes.remove_ufrag(tag, id.slot());
        }
        self.minter.recover(id.slot());
        let Some(transport) = self.slots.get(id) else {
            return;
        };
        if transport.is_closed() {
            for revoked in transport.ice().revoked() {
                self.stats.farewells_cut_short += self.farewells.add(now, revoked);
            }
            return;
        }
        let mut live = Names {
            version: transport.names_version(),
            ..Names::default()
        };
        let fragments = transport.ice().local_username_fragments();
        for (tag, ufrag) in live.tags.iter_mut().zip(fragments) {
            let ufrag = ufrag.as_bytes();
            // One that says itself where it is needs no entry, but who took it along to another slot has one.
            let is_own = self.minter.slot_of(ufrag) == Some(id.slot());
            let holder = match is_own {
                true => self
                    .routes
                    .by_ufrag(ufrag, |slot| self.is_called(slot, ufrag)),
                false => self.by_ufrag(ufrag).map(TransportId::slot),
            };
            if holder.is_some() {
                self.stats.ufrag_conflicts += 1;
                if is_own {
                    self.minter.lose(ufrag);
                }
                continue;
            }
            if !is_own {
                *tag = Some(self.routes.set_ufrag(ufrag, id.slot()));
            }
            self.farewells.remove(ufrag);
        }
        if let Some((names, _)) = self.slots.names(id) {
            *names = live;
        }
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
