//! Two nodes, a network and a clock: the loop that a caller of floe writes, in virtual time.

mod steps;

use crate::{Clock, Datagram, Network, Node};
use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Room for any UDP payload.
const BUFFER: usize = 65_536;

/// Whom both nodes talk to besides each other.
struct Server(Box<dyn Node>);

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

/// One end of a [`Pair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The first node.
    A,
    /// The second node.
    B,
}

impl End {
    fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
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
    servers: Vec<Server>,
    /// By node: A, B, then the servers.
    addresses: Vec<Vec<SocketAddr>>,
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
            servers: Vec::new(),
            addresses: vec![Vec::new(), Vec::new()],
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

    /// Gives a node one more address, joined to all of the others'.
    pub fn add_address(&mut self, end: End, address: SocketAddr) {
        self.give_address(end.index(), address);
    }

    /// Adds a machine that both may talk to, a STUN server or a relay, joined to both by default links. What a test
    /// wants to know of it later, it shares with it.
    pub fn add_server(&mut self, server: impl Node + 'static, addresses: &[SocketAddr]) {
        self.servers.push(Server(Box::new(server)));
        self.addresses.push(Vec::new());
        for address in addresses {
            self.give_address(self.addresses.len() - 1, *address);
        }
    }

    fn give_address(&mut self, node: usize, address: SocketAddr) {
        let others = self.addresses.iter().enumerate();
        let others = others.filter(|(other, _)| *other != node);
        let others = others.flat_map(|(_, addresses)| addresses);
        self.network.add_address(address, others);
        self.addresses[node].push(address);
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
}
