//! Everything between the nodes: taps, then NATs, then links, then datagrams in flight.

use crate::{
    Counters, Delivery, Fate, Link, Nat, NatId, Random, Verdict, Wire, Wiretap, link::Route,
    tap::Tap, topology::Topology, trace::Trace,
};
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::Instant,
};

/// A datagram on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Where it claims to come from.
    pub source: SocketAddr,
    /// Where it goes.
    pub destination: SocketAddr,
    /// The UDP payload.
    pub bytes: Vec<u8>,
}

/// The wire. Each ordered pair of addresses has a [`Link`] of its own.
#[derive(Debug)]
pub struct Network {
    random: Random,
    /// Every node's.
    addresses: Vec<SocketAddr>,
    routes: BTreeMap<(SocketAddr, SocketAddr), Route>,
    topology: Topology,
    taps: Vec<Tap>,
    held: Vec<(SocketAddr, Datagram)>,
    /// By arrival, then by order of sending.
    in_flight: BTreeMap<(Instant, u64), Datagram>,
    sequence: u64,
    trace: Trace,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            addresses: Vec::new(),
            routes: BTreeMap::new(),
            topology: Topology::default(),
            taps: Vec::new(),
            held: Vec::new(),
            in_flight: BTreeMap::new(),
            sequence: 0,
            trace: Trace::default(),
        }
    }

    /// A new address of a node, joined both ways by default links to these, and one way to every NAT.
    pub(crate) fn add_address<'a>(
        &mut self,
        address: SocketAddr,
        others: impl Iterator<Item = &'a SocketAddr>,
    ) {
        self.addresses.push(address);
        for other in others {
            self.join(address, *other);
            self.join(*other, address);
        }
        for entrance in self.topology.entrances().collect::<Vec<_>>() {
            self.join(address, entrance);
        }
    }

    fn join(&mut self, source: SocketAddr, destination: SocketAddr) {
        self.routes
            .entry((source, destination))
            .or_insert_with(|| Route::new(Link::default()));
    }

    /// Puts a NAT into the internet, with nothing behind it yet. Every node gets a link to it, by default links; that
    /// link ends at port 0 of its [public address](Nat::public).
    ///
    /// # Panics
    ///
    /// If that address is another NAT's.
    pub fn add_nat(&mut self, nat: Nat) -> NatId {
        let id = self.topology.add(nat);
        for entrance in self.topology.entrances().collect::<Vec<_>>() {
            for index in 0..self.addresses.len() {
                self.join(self.addresses[index], entrance);
            }
        }
        id
    }

    /// Puts the host that has `ip` behind a NAT, or another NAT whose public address that is. Who is behind the same
    /// NAT is reached directly, others through it; nobody outside reaches `ip` itself.
    ///
    /// # Panics
    ///
    /// If that puts a NAT behind itself.
    pub fn place_behind(&mut self, nat: NatId, ip: IpAddr) {
        self.topology.place(ip, nat);
    }

    /// How a NAT behaves, to be changed.
    pub fn nat(&mut self, nat: NatId) -> &mut Nat {
        &mut self.topology.translator(nat).nat
    }

    /// A NAT forgets its mappings, as when it is switched off and on: what is sent next has another source, and what
    /// was in use before leads nowhere.
    pub fn rebind(&mut self, nat: NatId) {
        self.topology.translator(nat).forget();
    }

    /// How the outside of a NAT sees `inside`: its mappings, oldest first.
    pub fn mappings(&self, nat: NatId, inside: SocketAddr) -> Vec<SocketAddr> {
        self.topology.table(nat).mappings_of(inside).collect()
    }

    /// Makes every link, in both directions, like `link`.
    pub fn set_links(&mut self, link: Link) {
        self.each_link(|_, _, each| each.clone_from(&link));
    }

    /// Shows every link to `change`, with its source and destination.
    pub fn each_link(&mut self, mut change: impl FnMut(SocketAddr, SocketAddr, &mut Link)) {
        for ((source, destination), route) in &mut self.routes {
            change(*source, *destination, &mut route.link);
        }
    }

    /// The link from `source` to `destination`.
    ///
    /// # Panics
    ///
    /// If these addresses are not joined.
    pub fn link(&mut self, source: SocketAddr, destination: SocketAddr) -> &mut Link {
        let route = self.routes.get_mut(&(source, destination));
        &mut route
            .unwrap_or_else(|| panic!("sim: no link from {source} to {destination}"))
            .link
    }

    /// Nothing passes any more, in either direction, until [`heal`](Self::heal). What is in flight still arrives.
    pub fn cut(&mut self) {
        self.each_link(|_, _, link| link.up = false);
    }

    /// Every link carries again.
    pub fn heal(&mut self) {
        self.each_link(|_, _, link| link.up = true);
    }

    /// Cuts what leaves from or goes to `address`. Behind a NAT, only what leaves: what comes goes to the NAT.
    pub fn cut_address(&mut self, address: SocketAddr) {
        self.each_link(|source, destination, link| {
            link.up &= source != address && destination != address
        });
    }

    /// Attaches a tap behind those already there. It sees every datagram that a node sends, before its link does, and
    /// may change bytes and addresses. The NATs come behind the taps. The link is that of the true source and the
    /// destination the taps leave.
    pub fn tap(&mut self, tap: impl FnMut(&mut Datagram, &mut Wire) -> Verdict + 'static) {
        self.taps.push(Tap::new(tap));
    }

    /// Attaches a tap that keeps a copy of everything sent from now on.
    pub fn wiretap(&mut self) -> Wiretap {
        let wiretap = Wiretap::default();
        let keeper = wiretap.clone();
        self.tap(move |datagram, wire| {
            keeper.keep(wire.now(), datagram);
            Verdict::Pass
        });
        wiretap
    }

    /// Removes every tap. What they hold stays held.
    pub fn remove_taps(&mut self) {
        self.taps.clear();
    }

    /// Sends what taps held back into its links, oldest first; gives how many there were.
    pub fn release(&mut self, now: Instant) -> usize {
        let held = std::mem::take(&mut self.held);
        let count = held.len();
        for (origin, datagram) in held {
            self.enter_link(now, origin, datagram);
        }
        count
    }

    /// An attacker anywhere in the world puts a datagram on the wire, with whatever source it likes. It arrives at
    /// `at`, past taps and links; an instant already past means at the next step.
    pub fn inject(&mut self, at: Instant, datagram: Datagram) {
        self.trace.counters.injected += 1;
        self.fly(at, datagram);
    }

    /// How many datagrams are on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// What happened so far, in numbers.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.trace.counters
    }

    /// What happened to the last 16 384 datagrams, oldest first.
    #[must_use]
    pub fn trace(&self) -> &VecDeque<Delivery> {
        &self.trace.deliveries
    }

    pub(crate) fn trace_tail(&self) -> String {
        self.trace.tail()
    }

    /// A node sends.
    pub(crate) fn send(&mut self, now: Instant, mut datagram: Datagram) {
        self.trace.counters.sent += 1;
        let origin = datagram.source;
        let mut wire = Wire::new(now);
        let verdict = self.consult_taps(&mut datagram, &mut wire);
        match verdict {
            Verdict::Pass => self.enter_link(now, origin, datagram),
            Verdict::Drop => self.note(now, &datagram, Fate::Dropped),
            Verdict::Hold => {
                self.note(now, &datagram, Fate::Held);
                self.held.push((origin, datagram));
            }
        }
        for injected in wire.into_injected() {
            self.inject(now, injected);
        }
    }

    pub(crate) fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next datagram that has arrived by `now`.
    pub(crate) fn take_arrived(&mut self, now: Instant) -> Option<Datagram> {
        let first = self.in_flight.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Takes what has arrived through the NATs of its receiver.
    pub(crate) fn enter(&mut self, now: Instant, datagram: &mut Datagram) -> Result<(), Fate> {
        self.topology.enter(now, datagram)
    }

    pub(crate) fn note(&mut self, at: Instant, datagram: &Datagram, fate: Fate) {
        let (source, destination, len) =
            (datagram.source, datagram.destination, datagram.bytes.len());
        self.trace.note(Delivery {
            at,
            source,
            destination,
            len,
            fate,
        });
    }

    fn consult_taps(&mut self, datagram: &mut Datagram, wire: &mut Wire) -> Verdict {
        let mut verdicts = self.taps.iter_mut().map(|tap| tap.inspect(datagram, wire));
        verdicts
            .find(|verdict| *verdict != Verdict::Pass)
            .unwrap_or(Verdict::Pass)
    }

    fn enter_link(&mut self, now: Instant, origin: SocketAddr, mut datagram: Datagram) {
        let far_end = match self.topology.leave(now, origin, &mut datagram) {
            Ok(far_end) => far_end,
            Err(fate) => return self.note(now, &datagram, fate),
        };
        let Some(route) = self.routes.get_mut(&(origin, far_end)) else {
            return self.note(now, &datagram, Fate::Unroutable);
        };
        if let Err(fate) = route.admit(&mut self.random, datagram.bytes.len()) {
            return self.note(now, &datagram, fate);
        }
        let counters = &mut self.trace.counters;
        counters.corrupted += u64::from(route.corrupt(&mut self.random, &mut datagram.bytes));
        let (arrival, reordered) = route.arrival(now, &mut self.random);
        counters.reordered += u64::from(reordered);
        if self.random.chance(route.link.duplication) {
            counters.duplicated += 1;
            let (again, _) = route.arrival(now, &mut self.random);
            self.fly(again, datagram.clone());
        }
        self.fly(arrival, datagram);
    }

    fn fly(&mut self, at: Instant, datagram: Datagram) {
        self.sequence += 1;
        self.in_flight.insert((at, self.sequence), datagram);
    }
}
