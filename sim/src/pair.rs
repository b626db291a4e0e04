//! Two nodes, a network and a clock: the loop that a caller of floe writes, in virtual time.

use crate::{Clock, Datagram, Fate, Network, Node};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Room for any UDP payload.
const BUFFER: usize = 65_536;
/// More datagrams than this from one drain is a machine that never stops talking.
const LONGEST_BURST: usize = 4096;
/// More rounds than this without time moving is a machine that never lets it.
const LONGEST_INSTANT: usize = 4096;

/// One end of a [`Pair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The first node.
    A,
    /// The second node.
    B,
}

/// Two nodes that talk to each other.
///
/// The nodes are public: a test commands them directly, with [`now`](Self::now) as the time, and lets the story go on
/// with one of the `drive`, `run` or `step` calls, which first drain what the command produced.
///
/// On every step the pair checks the laws of a sans-IO machine, and panics with the seed and the last deliveries when one is
/// broken: `poll_timeout` is pure; after `handle_timeout(t)` it is `None` or later than `t`; a node sends only from its
/// own addresses, never an empty datagram, never without end; time gets to move.
#[derive(Debug)]
pub struct Pair<A, B> {
    /// The first node.
    pub a: A,
    /// The second node.
    pub b: B,
    /// What lies between them.
    pub network: Network,
    addresses: [Vec<SocketAddr>; 2],
    clock: Clock,
    seed: u64,
    patience: Duration,
    limit: Duration,
    buffer: Vec<u8>,
}

impl<A: Node, B: Node> Pair<A, B> {
    /// Two nodes with their addresses, all joined to all by [`Link::default`](crate::Link::default). Prints the seed,
    /// which the test runner shows when the test fails.
    pub fn new(seed: u64, (a, of_a): (A, &[SocketAddr]), (b, of_b): (B, &[SocketAddr])) -> Self {
        println!("sim: seed {seed}");
        let mut pair = Self {
            a,
            b,
            network: Network::new(seed),
            addresses: [Vec::new(), Vec::new()],
            clock: Clock::new(),
            seed,
            patience: Duration::from_secs(1),
            limit: Duration::from_secs(300),
            buffer: vec![0; BUFFER],
        };
        of_a.iter()
            .for_each(|address| pair.add_address(End::A, *address));
        of_b.iter()
            .for_each(|address| pair.add_address(End::B, *address));
        pair
    }

    /// Gives a node one more address, joined to all of the other's.
    pub fn add_address(&mut self, end: End, address: SocketAddr) {
        let (own, others) = match end {
            End::A => (0, 1),
            End::B => (1, 0),
        };
        self.addresses[own].push(address);
        for other in &self.addresses[others] {
            self.network.join(address, *other);
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Time since the story began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// How far [`drive`](Self::drive) looks ahead before it calls the pair quiet. One second unless set.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// How long [`drive_until`](Self::drive_until) waits. Five minutes of virtual time unless set.
    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Runs until the pair is quiet: nothing is in flight and nobody wants to be woken within the
    /// [patience](Self::set_patience). Gives how long that took.
    ///
    /// # Panics
    ///
    /// If that takes longer than the [limit](Self::set_limit).
    pub fn drive(&mut self) -> Duration {
        let start = self.now();
        self.settle();
        while let Some(next) = self
            .next()
            .filter(|next| *next <= self.now() + self.patience)
        {
            self.check_limit(start, next, "the pair did not fall quiet");
            self.advance(next);
        }
        self.now() - start
    }

    /// Runs until `done` holds, looked at whenever anything has happened; gives how long that took.
    ///
    /// # Panics
    ///
    /// If it does not hold within the [limit](Self::set_limit), or nothing is left that could happen.
    pub fn drive_until(&mut self, mut done: impl FnMut(&A, &B) -> bool) -> Duration {
        let start = self.now();
        self.settle();
        while !done(&self.a, &self.b) {
            let Some(next) = self.next() else {
                self.fail("nothing is left that could happen")
            };
            self.check_limit(start, next, "what the story waits for did not happen");
            self.advance(next);
        }
        self.now() - start
    }

    /// Runs for this long, whatever happens, and ends at exactly that time.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now() + duration;
        self.settle();
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.advance(next);
        }
        self.clock.advance_to(end);
    }

    /// Lets everything happen that is due; if nothing is, goes to the next instant at which something happens. False
    /// if nothing is to come.
    pub fn step(&mut self) -> bool {
        self.settle() || self.next().is_some_and(|next| self.advance(next))
    }

    /// Moves time without telling anyone: a process that was suspended. Deadlines and arrivals passed over are all due
    /// at the next step.
    pub fn sleep(&mut self, duration: Duration) {
        self.clock.advance(duration);
    }

    /// An attacker's datagram arrives at the next step; see [`Network::inject`].
    pub fn inject(&mut self, datagram: Datagram) {
        self.network.inject(self.clock.now(), datagram);
    }

    fn node(&mut self, end: End) -> &mut dyn Node {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }

    fn owner(&self, address: SocketAddr) -> Option<End> {
        let [a, b] = &self.addresses;
        let a = a.contains(&address).then_some(End::A);
        a.or_else(|| b.contains(&address).then_some(End::B))
    }

    fn deadline(&mut self, end: End) -> Option<Instant> {
        let node = self.node(end);
        let deadline = node.poll_timeout();
        if node.poll_timeout() != deadline {
            self.fail(&format!("poll_timeout of {end:?} is not pure"));
        }
        deadline
    }

    fn next(&mut self) -> Option<Instant> {
        let deadlines = [
            self.deadline(End::A),
            self.deadline(End::B),
            self.network.next_arrival(),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn advance(&mut self, to: Instant) -> bool {
        self.clock.advance_to(to);
        self.settle()
    }

    /// Lets everything happen that is due now, until only the future is left; false if nothing was.
    fn settle(&mut self) -> bool {
        for round in 0..LONGEST_INSTANT {
            self.drain(End::A);
            self.drain(End::B);
            if !(self.deliver() | self.expire(End::A) | self.expire(End::B)) {
                return round > 0;
            }
        }
        self.fail("time does not get to move");
    }

    /// Hands over everything that has arrived.
    fn deliver(&mut self) -> bool {
        let now = self.now();
        let mut any = false;
        while let Some(mut datagram) = self.network.take_arrived(now) {
            any = true;
            let Some(end) = self.owner(datagram.destination) else {
                self.network.note(now, &datagram, Fate::Unroutable);
                continue;
            };
            self.network.note(now, &datagram, Fate::Delivered);
            let (local, remote) = (datagram.destination, datagram.source);
            self.node(end)
                .handle_datagram(now, local, remote, &mut datagram.bytes);
            self.drain(end);
        }
        any
    }

    /// Wakes a node whose deadline has come, and holds it to the timer law.
    fn expire(&mut self, end: End) -> bool {
        let now = self.now();
        if self.deadline(end).is_none_or(|deadline| deadline > now) {
            return false;
        }
        self.node(end).handle_timeout(now);
        if let Some(deadline) = self.deadline(end).filter(|deadline| *deadline <= now) {
            let late = now - deadline;
            self.fail(&format!(
                "timer law: after handle_timeout, {end:?} wants to be woken {late:?} ago"
            ));
        }
        self.drain(end);
        true
    }

    /// Takes everything a node has to send.
    fn drain(&mut self, end: End) {
        let now = self.now();
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut burst = 0;
        while let Some((source, destination, len)) = self.node(end).poll_transmit(&mut buffer) {
            burst += 1;
            if burst > LONGEST_BURST {
                self.fail(&format!("{end:?} does not stop sending"));
            }
            if len == 0 || len > buffer.len() || self.owner(source) != Some(end) {
                self.fail(&format!("{end:?} sent {len} bytes from {source}"));
            }
            self.network.send(
                now,
                Datagram {
                    source,
                    destination,
                    bytes: buffer[..len].to_vec(),
                },
            );
        }
        self.buffer = buffer;
        self.node(end).collect_events(now);
    }

    fn check_limit(&self, start: Instant, next: Instant, complaint: &str) {
        if next > start + self.limit {
            self.fail(complaint);
        }
    }

    fn fail(&self, complaint: &str) -> ! {
        let (seed, elapsed) = (self.seed, self.elapsed());
        panic!(
            "sim: {complaint}, at {elapsed:?}, seed {seed}; last on the wire:\n{}",
            self.network.trace_tail()
        );
    }
}
