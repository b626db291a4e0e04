//! A connection as a node of the simulated network, and the usual beginnings of a story.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_dtls::{
    Config, Connection, Event, FingerprintSet, HashAlgorithm, Identity, Reason, Received,
    RemoteIdentity, Setup, State, Transition,
};
use sim::{Clock, Node, Pair};

/// One end of an association and what it has told its owner.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) connection: Connection,
    local: SocketAddr,
    remote: SocketAddr,
    pub(crate) events: Vec<Event>,
    /// Application data received, record by record.
    pub(crate) data: Vec<Vec<u8>>,
    outbox: Vec<Vec<u8>>,
}

impl Peer {
    fn new(connection: Connection, local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            connection,
            local,
            remote,
            events: Vec::new(),
            data: Vec::new(),
            outbox: Vec::new(),
        }
    }

    /// Sends application data; it leaves when the story goes on.
    pub(crate) fn send(&mut self, now: Instant, data: &[u8]) {
        let mut out = vec![0; 2048];
        let len = self.connection.seal(now, data, &mut out).unwrap();
        out.truncate(len);
        self.outbox.push(out);
    }

    pub(crate) fn state(&self) -> State {
        self.connection.state()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.state() == State::Connected
    }

    pub(crate) fn transitions(&self) -> Vec<Transition> {
        let transition = |event: &Event| match event {
            Event::StateChange(transition) => Some(*transition),
            _ => None,
        };
        self.events.iter().filter_map(transition).collect()
    }

    /// What it went through: state entered, why, and when since the story began.
    pub(crate) fn life(&self) -> Vec<(State, Reason, Duration)> {
        let life = |change: Transition| (change.to, change.reason, change.at - Clock::epoch());
        self.transitions().into_iter().map(life).collect()
    }

    pub(crate) fn last_reason(&self) -> Option<Reason> {
        self.transitions().last().map(|change| change.reason)
    }

    /// It was never connected, gave away no key and no data.
    pub(crate) fn assert_let_nobody_in(&self) {
        let connected = |change: &Transition| change.to == State::Connected;
        assert!(!self.transitions().iter().any(connected));
        assert!(self.connection.srtp_keys().is_none());
        assert!(self.connection.peer_certificate().is_none());
        let mut out = [0; 16];
        let exported = self
            .connection
            .export_keying_material("EXPERIMENTAL", None, &mut out);
        assert!(exported.is_err() && out == [0; 16]);
        assert!(self.data.is_empty());
    }
}

impl Node for Peer {
    fn handle_datagram(&mut self, now: Instant, _: SocketAddr, _: SocketAddr, datagram: &mut [u8]) {
        let mut rest = datagram;
        while let Received::Data { range, rest: next } = self.connection.handle_datagram(now, rest)
        {
            self.data.push(rest[range].to_vec());
            rest = &mut rest[next];
            if rest.is_empty() {
                break;
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.connection.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        let len = match self.connection.poll_transmit(buf) {
            Some(len) => len,
            None if self.outbox.is_empty() => return None,
            None => {
                let datagram = self.outbox.remove(0);
                buf[..datagram.len()].copy_from_slice(&datagram);
                datagram.len()
            }
        };
        Some((self.local, self.remote, len))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    fn collect_events(&mut self, _: Instant) {
        while let Some(event) = self.connection.poll_event() {
            self.events.push(event);
        }
    }
}

pub(crate) fn client_address() -> SocketAddr {
    sim::address(1)
}

pub(crate) fn server_address() -> SocketAddr {
    sim::address(2)
}

pub(crate) fn generated() -> Arc<Identity> {
    Arc::new(Identity::generate().unwrap())
}

/// The identity of a file in `tests/data`.
pub(crate) fn loaded(pem: &str) -> Arc<Identity> {
    Arc::new(Identity::from_pem(pem, pem).unwrap())
}

/// What signaling says about the owner of this identity.
pub(crate) fn fingerprints_of(identity: &Identity) -> FingerprintSet {
    FingerprintSet::new([identity.fingerprint(HashAlgorithm::Sha256)]).unwrap()
}

pub(crate) fn expecting(identity: &Identity) -> RemoteIdentity {
    RemoteIdentity::Fingerprints(fingerprints_of(identity))
}

/// Two ends before they have met: their configurations, and whom each expects.
pub(crate) struct Ends {
    pub(crate) client: Config,
    pub(crate) server: Config,
    pub(crate) client_expects: RemoteIdentity,
    pub(crate) server_expects: RemoteIdentity,
}

impl Ends {
    /// The defaults, each expecting the other.
    pub(crate) fn new() -> Self {
        Self::with_identities(generated(), generated())
    }

    pub(crate) fn with_identities(client: Arc<Identity>, server: Arc<Identity>) -> Self {
        Self {
            client_expects: expecting(&server),
            server_expects: expecting(&client),
            client: Config::new(client),
            server: Config::new(server),
        }
    }

    /// Puts them on a network; nobody has started.
    pub(crate) fn meet(self, seed: u64) -> Pair<Peer, Peer> {
        let (a, b) = (client_address(), server_address());
        let connection =
            |config, setup, expects| Connection::new(Arc::new(config), setup, expects).unwrap();
        let client = connection(self.client, Setup::Active, self.client_expects);
        let server = connection(self.server, Setup::Passive, self.server_expects);
        Pair::new(
            seed,
            (Peer::new(client, a, b), &[a]),
            (Peer::new(server, b, a), &[b]),
        )
    }

    /// ... and both start.
    pub(crate) fn start(self, seed: u64) -> Pair<Peer, Peer> {
        let mut pair = self.meet(seed);
        start(&mut pair);
        pair
    }

    /// ... and are connected.
    pub(crate) fn connect(self, seed: u64) -> Pair<Peer, Peer> {
        let mut pair = self.start(seed);
        pair.drive_until(both_connected);
        pair.drive();
        pair
    }
}

pub(crate) fn start(pair: &mut Pair<Peer, Peer>) {
    let now = pair.now();
    pair.a.connection.start(now);
    pair.b.connection.start(now);
}

pub(crate) fn both_connected(client: &Peer, server: &Peer) -> bool {
    client.is_connected() && server.is_connected()
}

/// Data flows both ways, and both have the same SRTP keys.
pub(crate) fn assert_alive(pair: &mut Pair<Peer, Peer>) {
    let now = pair.now();
    let before = (pair.a.data.len(), pair.b.data.len());
    pair.a.send(now, b"from the client");
    pair.b.send(now, b"from the server");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.b.data[before.1..], [b"from the client"]);
    assert_eq!(pair.a.data[before.0..], [b"from the server"]);
    let keys = [&pair.a, &pair.b].map(|peer| peer.connection.srtp_keys().unwrap());
    for side in [floe_dtls::Side::Client, floe_dtls::Side::Server] {
        assert_eq!(keys[0].libsrtp_key(side), keys[1].libsrtp_key(side));
    }
}
