//! Endpoints with transports between them, on a network that loses nothing and takes no time.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe::steering::Sharding;
use floe::{Endpoint, EndpointConfig, TransportConfig, TransportId, TransportOptions};
use floe_dtls::{self as dtls, FingerprintSet, HashAlgorithm, Identity, RemoteIdentity, Setup};
use floe_ice::{self as ice, Candidate, FiveTuple, Initiation, Mode, RemoteParameters, State};

/// The longest datagram of these calls, in bytes.
pub const MTU: usize = 1500;

/// A transport on each side.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    /// The one of the client.
    pub client: TransportId,
    /// The one of the server.
    pub server: TransportId,
    /// Where the client's is.
    pub client_at: SocketAddr,
    /// Where the server's is.
    pub server_at: SocketAddr,
}

/// What secures a call.
#[derive(Clone, Debug)]
pub enum Security {
    /// ICE alone: DTLS waits for a peer that is never named.
    Ice,
    /// Either side shows this certificate.
    Dtls(Arc<Identity>),
}

impl Security {
    fn options(&self, initiation: Initiation) -> TransportOptions {
        let (setup, remote_identity) = match self {
            Self::Ice => (Setup::ActPass, RemoteIdentity::Later),
            Self::Dtls(identity) => {
                let fingerprint = identity.fingerprint(HashAlgorithm::Sha256);
                let expected = FingerprintSet::new([fingerprint]).expect("there is one");
                let setup = match initiation {
                    Initiation::Initiating => Setup::Active,
                    Initiation::Responding => Setup::Passive,
                };
                (setup, RemoteIdentity::Fingerprints(expected))
            }
        };
        TransportOptions {
            mode: Mode::Full,
            initiation,
            setup,
            remote_identity,
            local_parameters: None,
        }
    }
}

/// An endpoint whose DTLS has time enough.
#[must_use]
pub fn endpoint(seed: u8, dtls: dtls::Config) -> Endpoint {
    endpoint_with(Some(seed), ice::Config::default(), dtls)
}

/// The same with another configuration of ICE. Without a seed its secrets come from the operating system, as they do for who embeds
/// it, and no transport keeps what it would repeat itself by.
#[must_use]
pub fn endpoint_with(seed: Option<u8>, ice: ice::Config, dtls: dtls::Config) -> Endpoint {
    let config = config(ice, dtls);
    match seed {
        Some(seed) => Endpoint::with_seed([seed; 32], config),
        None => Endpoint::new(config),
    }
}

/// One of several behind the same sockets.
#[must_use]
pub fn endpoint_of_shard(sharding: Sharding, dtls: dtls::Config) -> Endpoint {
    let seed = [sharding.shard.number() as u8; 32];
    let mut config = config(ice::Config::default(), dtls);
    config.sharding = Some(sharding);
    Endpoint::with_seed(seed, config)
}

fn config(ice: ice::Config, mut dtls: dtls::Config) -> EndpointConfig {
    dtls.retransmission.deadline = Duration::from_secs(600);
    EndpointConfig::new(TransportConfig::new(Arc::new(ice), Arc::new(dtls)))
}

/// Where all servers are.
#[must_use]
pub fn server_address() -> SocketAddr {
    address(2, 5000)
}

/// Where a client is.
#[must_use]
pub fn client_address(number: u32) -> SocketAddr {
    const PORTS: u32 = 50_000;
    let host = (10 << 24) + 1 + number / PORTS;
    let port = 10_000 + number % PORTS;
    (Ipv4Addr::from(host), port as u16).into()
}

/// A new transport on each side that knows all about the other.
pub fn open(
    now: Instant,
    number: u32,
    client: &mut Endpoint,
    server: &mut Endpoint,
    security: &Security,
) -> Leg {
    let (client_at, server_at) = (client_address(number), server_address());
    let of_client = create(now, client, security, Initiation::Initiating);
    let of_server = create(now, server, security, Initiation::Responding);
    let clients = gather(client, now, of_client, client_at);
    let servers = gather(server, now, of_server, server_at);
    learn(client, now, of_client, servers, server_at);
    learn(server, now, of_server, clients, client_at);
    Leg {
        client: of_client,
        server: of_server,
        client_at,
        server_at,
    }
}

/// A transport that has all that signaling brings, of a peer that is a copy of itself.
pub fn open_alone(now: Instant, number: u32, endpoint: &mut Endpoint) -> TransportId {
    let id = create(now, endpoint, &Security::Ice, Initiation::Responding);
    let parameters = gather(endpoint, now, id, server_address());
    learn(endpoint, now, id, parameters, client_address(number));
    id
}

fn create(
    now: Instant,
    endpoint: &mut Endpoint,
    security: &Security,
    initiation: Initiation,
) -> TransportId {
    let created = endpoint.create(now, security.options(initiation));
    created.expect("there is room")
}

/// Whether ICE has chosen its pair and DTLS is connected.
#[must_use]
pub fn is_connected(endpoint: &Endpoint, id: TransportId) -> bool {
    endpoint
        .transport(id)
        .is_some_and(|transport| transport.states() == (State::Completed, dtls::State::Connected))
}

fn gather(
    endpoint: &mut Endpoint,
    now: Instant,
    id: TransportId,
    at: SocketAddr,
) -> RemoteParameters {
    let gathered = endpoint.with(now, id, |transport| {
        transport
            .add_local_candidate(now, Candidate::host(at))
            .expect("a host candidate");
        transport.local_candidates_complete(now);
        RemoteParameters::new(transport.local_parameters().clone())
    });
    gathered.expect("it was just made")
}

fn learn(
    endpoint: &mut Endpoint,
    now: Instant,
    id: TransportId,
    parameters: RemoteParameters,
    at: SocketAddr,
) {
    let learned = endpoint.with(now, id, |transport| {
        transport
            .set_remote_parameters(now, parameters)
            .expect("for the first time");
        transport
            .add_remote_candidate(now, Candidate::host(at))
            .expect("a host candidate");
        transport.remote_candidates_complete(now);
    });
    learned.expect("it was just made");
}

/// What `from` has to send arrives, and is seen on the way.
pub fn carry(now: Instant, from: &mut Endpoint, to: &mut Endpoint, mut see: impl FnMut(&[u8])) {
    let mut buf = [0; MTU];
    while let Some(transmit) = from.poll_transmit(&mut buf) {
        let datagram = &mut buf[..transmit.len];
        see(datagram);
        let _ = to.handle_datagram(now, turned(transmit.path), datagram);
    }
    while from.poll_event().is_some() {}
}

/// The same path, seen from its other end.
#[must_use]
pub fn turned(path: FiveTuple) -> FiveTuple {
    FiveTuple {
        local: path.remote,
        remote: path.local,
        ..path
    }
}

/// A host of the documentation's network.
#[must_use]
pub fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], port))
}

/// The beginning of virtual time.
#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do as the beginning of virtual time"
)]
#[must_use]
pub fn epoch() -> Instant {
    Instant::now()
}
