//! Two ends whose configurations differ from the usual ones, and what a story asks of them afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_dtls::{
    Config, Connection, Event, Identity, ProtocolVersion, Reason, RemoteIdentity, Setup, Side,
    State, Transition,
};
use sim::{Clock, Verdict, address};

use super::wire::{self, Fragment};
use super::{
    CLIENT, Peer, SERVER, Story, assert_talking, client_with, config, fingerprints, identity,
    keeping, only_v12, only_v13, pair_of, server_with, start,
};

/// A configuration for each end, and whom it expects.
pub struct Ends {
    pub client: Config,
    pub server: Config,
    pub client_expects: RemoteIdentity,
    pub server_expects: RemoteIdentity,
}

impl Ends {
    /// The defaults, each expecting the other.
    pub fn new() -> Self {
        Self::with_identities(identity(CLIENT), identity(SERVER))
    }

    pub fn with_identities(client: Arc<Identity>, server: Arc<Identity>) -> Self {
        Self {
            client_expects: expecting_owner_of(&server),
            server_expects: expecting_owner_of(&client),
            client: only_v12(keeping(client)),
            server: only_v12(keeping(server)),
        }
    }

    /// The same ends, of DTLS 1.3.
    pub fn v13(self) -> Self {
        Self {
            client: only_v13(self.client),
            server: only_v13(self.server),
            ..self
        }
    }

    /// The defaults in this version.
    pub fn of(version: ProtocolVersion) -> Self {
        match version {
            ProtocolVersion::DTLS1_3 => Self::new().v13(),
            _ => Self::new(),
        }
    }

    /// The defaults in DTLS 1.2 and in DTLS 1.3.
    pub fn of_each_version() -> [Self; 2] {
        [Self::new(), Self::new().v13()]
    }

    /// Puts them on a network; nobody has started.
    pub fn meet(self, seed: u64) -> Story {
        let client = client_with(self.client, self.client_expects);
        let server = server_with(self.server, self.server_expects);
        pair_of(seed, client, server)
    }

    /// ... and both start.
    pub fn start(self, seed: u64) -> Story {
        let mut pair = self.meet(seed);
        start(&mut pair);
        pair
    }

    /// ... and are connected.
    pub fn connect(self, seed: u64) -> Story {
        let mut pair = self.start(seed);
        pair.drive_until(both_connected);
        pair.drive();
        pair
    }
}

/// A server nobody has introduced to its client; started.
pub fn lone_server() -> Connection {
    let config = Arc::new(config(SERVER));
    let mut server = Connection::new(config, Setup::Passive, RemoteIdentity::Later).unwrap();
    server.set_path_validated();
    server.start(Clock::epoch());
    server
}

/// An identity that nobody else has.
pub fn generated() -> Arc<Identity> {
    Arc::new(Identity::generate().unwrap())
}

/// The identity of a file in `tests/data`.
pub fn loaded(pem: &str) -> Arc<Identity> {
    Arc::new(Identity::from_pem(pem, pem).unwrap())
}

pub fn expecting_owner_of(identity: &Identity) -> RemoteIdentity {
    RemoteIdentity::Fingerprints(fingerprints(identity))
}

pub fn both_connected(client: &Peer, server: &Peer) -> bool {
    client.is_connected() && server.is_connected()
}

pub fn both_failed(client: &Peer, server: &Peer) -> bool {
    let failed = |peer: &Peer| peer.dtls.state() == State::Failed;
    failed(client) && failed(server)
}

/// Somebody on the path changes the body of each plaintext message of this type that `from` sends.
pub fn rewrite(
    pair: &mut Story,
    from: u8,
    message_type: u8,
    change: impl Fn(&[u8]) -> Vec<u8> + 'static,
) {
    pair.network.tap(move |datagram, _| {
        if datagram.source != address(from) {
            return Verdict::Pass;
        }
        let mut records = wire::records(&datagram.bytes);
        for record in &mut records {
            if let [message] = &record.fragments()[..]
                && message.message_type == message_type
            {
                let changed =
                    Fragment::whole(message_type, message.message_seq, &change(&message.body));
                record.body = changed.to_bytes();
            }
        }
        datagram.bytes = records.iter().flat_map(wire::Record::to_bytes).collect();
        Verdict::Pass
    });
}

/// Data flows both ways, and both have the same SRTP keys.
pub fn assert_alive(pair: &mut Story) {
    assert_talking(pair);
    let keys = [&pair.a, &pair.b].map(|peer| peer.dtls.srtp_keys().unwrap());
    for side in [Side::Client, Side::Server] {
        assert_eq!(keys[0].libsrtp_key(side), keys[1].libsrtp_key(side));
    }
}

impl Peer {
    pub fn transitions(&self) -> Vec<Transition> {
        let transition = |(_, event): &(Instant, Event)| match event {
            Event::StateChange(transition) => Some(*transition),
            _ => None,
        };
        self.events.iter().filter_map(transition).collect()
    }

    /// What it went through: state entered, why, and when since the story began.
    pub fn life(&self) -> Vec<(State, Reason, Duration)> {
        let life = |change: Transition| (change.to, change.reason, change.at - Clock::epoch());
        self.transitions().into_iter().map(life).collect()
    }

    pub fn last_reason(&self) -> Option<Reason> {
        self.transitions().last().map(|change| change.reason)
    }

    /// It was never connected, gave away no key and no data.
    pub fn assert_let_nobody_in(&self) {
        let connected = |change: &Transition| change.to == State::Connected;
        assert!(!self.transitions().iter().any(connected));
        assert!(self.dtls.srtp_keys().is_none());
        assert!(self.dtls.peer_certificate().is_none());
        let mut out = [0; 16];
        let exported = self
            .dtls
            .export_keying_material("EXPERIMENTAL", None, &mut out);
        assert!(exported.is_err() && out == [0; 16]);
        assert!(self.heard.is_empty());
    }
}
