//! A connection as a node of the simulator, and the stories' usual beginnings.
#![expect(
    dead_code,
    unreachable_pub,
    reason = "every test binary compiles this module and uses its own part of it"
)]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

pub mod attacker;
#[cfg(feature = "deterministic")]
pub mod duel;
pub mod ends;
pub mod puppet;
pub mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use floe_dtls::{
    Config, Connection, DropReason, Event, FingerprintSet, HashAlgorithm, Identity, Reason,
    Received, RemoteIdentity, Setup, State,
};
use sim::{Link, Node, Pair, address};

pub const CLIENT: u8 = 1;
pub const SERVER: u8 = 2;

/// One end: the machine, and everything it said.
#[derive(Debug)]
pub struct Peer {
    pub dtls: Connection,
    pub events: Vec<(Instant, Event)>,
    /// Application data, one element for each record.
    pub heard: Vec<Vec<u8>>,
    pub not_mine: usize,
    outbox: Vec<Vec<u8>>,
    at: SocketAddr,
    to: SocketAddr,
}

impl Peer {
    pub fn new(host: u8, other: u8, dtls: Connection) -> Self {
        Self {
            dtls,
            events: Vec::new(),
            heard: Vec::new(),
            not_mine: 0,
            outbox: Vec::new(),
            at: address(host),
            to: address(other),
        }
    }

    /// Seals `data` and queues it as a datagram.
    pub fn say(&mut self, now: Instant, data: &[u8]) {
        let mut out = [0; 1500];
        let len = self.dtls.seal(now, data, &mut out).unwrap();
        self.outbox.push(out[..len].to_vec());
    }

    pub fn is_connected(&self) -> bool {
        self.dtls.state() == State::Connected
    }

    pub fn is_over(&self) -> bool {
        matches!(self.dtls.state(), State::Closed | State::Failed)
    }

    /// Every state entered, with the reason.
    pub fn states(&self) -> Vec<(State, Reason)> {
        self.events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::StateChange(transition) => Some((transition.to, transition.reason)),
                _ => None,
            })
            .collect()
    }

    pub fn has_connected(&self) -> bool {
        self.states()
            .iter()
            .any(|(state, _)| *state == State::Connected)
    }

    /// The other one's host, for a story whose client is the second peer.
    pub fn swap_addresses(&mut self) {
        std::mem::swap(&mut self.at, &mut self.to);
    }

    pub fn has_said(&self, event: &Event) -> bool {
        self.events.iter().any(|(_, said)| said == event)
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dtls.stats().dropped(reason)
    }
}

impl Node for Peer {
    fn handle_datagram(&mut self, now: Instant, _: SocketAddr, _: SocketAddr, datagram: &mut [u8]) {
        let mut unread = 0..datagram.len();
        while !unread.is_empty() {
            let at = unread.start;
            match self
                .dtls
                .handle_datagram(now, &mut datagram[unread.clone()])
            {
                Received::Data { range, rest } => {
                    let connected = self.dtls.state() == State::Connected;
                    assert!(connected, "data only from a verified peer");
                    self.heard
                        .push(datagram[at + range.start..at + range.end].to_vec());
                    unread = at + rest.start..at + rest.end;
                }
                Received::NotMine => {
                    self.not_mine += 1;
                    return;
                }
                Received::Handled | Received::Dropped(_) => return,
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.dtls.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        let len = match self.dtls.poll_transmit(buf) {
            Some(len) => len,
            None if self.outbox.is_empty() => return None,
            None => {
                let datagram = self.outbox.remove(0);
                buf[..datagram.len()].copy_from_slice(&datagram);
                datagram.len()
            }
        };
        Some((self.at, self.to, len))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.dtls.poll_timeout()
    }

    fn collect_events(&mut self, now: Instant) {
        while let Some(event) = self.dtls.poll_event() {
            self.events.push((now, event));
        }
    }
}

/// One of two identities that live as long as the test binary.
pub fn identity(host: u8) -> Arc<Identity> {
    static IDENTITIES: OnceLock<[Arc<Identity>; 2]> = OnceLock::new();
    let generate = || Arc::new(Identity::generate().unwrap());
    let identities = IDENTITIES.get_or_init(|| [generate(), generate()]);
    identities[usize::from(host == SERVER)].clone()
}

pub fn fingerprints(identity: &Identity) -> FingerprintSet {
    FingerprintSet::new([identity.fingerprint(HashAlgorithm::Sha256)]).unwrap()
}

/// Whom the peer of `host` expects.
pub fn expecting(host: u8) -> RemoteIdentity {
    RemoteIdentity::Fingerprints(fingerprints(&identity(host)))
}

pub fn config(host: u8) -> Config {
    Config::new(identity(host))
}

pub fn client_with(config: Config, remote: RemoteIdentity) -> Peer {
    let dtls = Connection::new(Arc::new(config), Setup::Active, remote).unwrap();
    Peer::new(CLIENT, SERVER, dtls)
}

pub fn server_with(config: Config, remote: RemoteIdentity) -> Peer {
    let dtls = Connection::new(Arc::new(config), Setup::Passive, remote).unwrap();
    Peer::new(SERVER, CLIENT, dtls)
}

pub type Story = Pair<Peer, Peer>;

/// A client and a server that expect each other, not started.
pub fn pair(seed: u64) -> Story {
    pair_with(seed, config(CLIENT), config(SERVER))
}

pub fn pair_with(seed: u64, client: Config, server: Config) -> Story {
    pair_of(
        seed,
        client_with(client, expecting(SERVER)),
        server_with(server, expecting(CLIENT)),
    )
}

pub fn pair_of(seed: u64, client: Peer, server: Peer) -> Story {
    let addresses = ([address(CLIENT)], [address(SERVER)]);
    Pair::new(seed, (client, &addresses.0), (server, &addresses.1))
}

/// The path is usable on both sides.
pub fn start(pair: &mut Story) {
    let now = pair.now();
    pair.a.dtls.start(now);
    pair.b.dtls.start(now);
}

/// Starts and runs until both are connected; says how long that took.
pub fn connect(pair: &mut Story) -> Duration {
    start(pair);
    pair.drive_until(|a, b| a.is_connected() && b.is_connected())
}

/// A pair that is connected over a good link.
pub fn connected(seed: u64) -> Story {
    let mut pair = pair(seed);
    connect(&mut pair);
    pair.drive();
    pair
}

/// Data flows both ways, and what is heard is what was said.
pub fn assert_talking(pair: &mut Story) {
    let now = pair.now();
    let (heard_a, heard_b) = (pair.a.heard.len(), pair.b.heard.len());
    pair.a.say(now, b"from the client");
    pair.b.say(now, b"from the server");
    pair.drive();
    assert_eq!(pair.a.heard[heard_a..], [b"from the server"]);
    assert_eq!(pair.b.heard[heard_b..], [b"from the client"]);
}

/// 50 ms each way and nothing else.
pub fn slow_link() -> Link {
    Link::with_delay(Duration::from_millis(50))
}
