//! What an endpoint holds for each of many connected transports, and that it gives all of it back.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use allocation_counter::measure;
use floe::{
    Endpoint, EndpointConfig, Outcome, Received, TransportConfig, TransportId, TransportOptions,
    dtls::{self, FingerprintSet, HashAlgorithm, Identity, RemoteIdentity, Setup},
    ice::{self, Candidate, FiveTuple, Initiation, Mode, RemoteParameters, Transmit},
};

/// What a transport may take in bytes, without its DTLS: the ICE agent, what stands around it, and its part of the tables.
const MOST_OF_ICE: i64 = 1024;
/// Of which the tables take so much more when there are a million: their shards have just doubled then.
const MORE_AT_A_MILLION: i64 = 10;
/// With a DTLS that waits for somebody to say who the peer is.
const MOST_WHILE_DTLS_WAITS: i64 = 1256;
/// And with DTLS established.
const MOST: i64 = 3072;
/// A place for the seed, which only agents have whose every random number is to be the same again.
const OF_DETERMINISTIC_BUILDS: i64 = 8;

/// Longer than the search for a pair may last (39.5 s), and longer than anything of a handshake is kept for the late (eight
/// minutes).
const SETTLED: Duration = Duration::from_secs(60);
const FORGOTTEN: Duration = Duration::from_secs(481);

/// An endpoint, and the bytes that it has on the heap.
struct Host {
    endpoint: Endpoint,
    heap: i64,
    identity: Arc<Identity>,
    mode: Mode,
    setup: Setup,
}

impl Host {
    fn new(mode: Mode, setup: Setup) -> Self {
        let identity = Arc::new(Identity::generate().unwrap());
        let mut dtls = dtls::Config::new(identity.clone());
        // Those that wait for a hello do so as long as the test lasts.
        dtls.retransmission.deadline = 10 * FORGOTTEN;
        let ice = Arc::new(ice::Config::default());
        let config = EndpointConfig::new(TransportConfig::new(ice, Arc::new(dtls)));
        Self {
            endpoint: Endpoint::new(config),
            heap: 0,
            identity,
            mode,
            setup,
        }
    }

    fn counted<R>(&mut self, work: impl FnOnce(&mut Endpoint) -> R) -> R {
        let mut result = None;
        let counted = measure(|| result = Some(work(&mut self.endpoint)));
        self.heap += counted.bytes_current;
        result.unwrap()
    }

    fn create(&mut self, now: Instant, peer: &Identity, initiation: Initiation) -> TransportId {
        let (mode, setup) = (self.mode, self.setup);
        self.counted(|endpoint| {
            let options = TransportOptions {
                mode,
                initiation,
                setup,
                remote_identity: match setup {
                    Setup::ActPass => RemoteIdentity::Later,
                    _ => expecting(peer),
                },
                local_parameters: None,
            };
            endpoint.create(now, options).unwrap()
        })
    }

    fn settle(&mut self, now: Instant) {
        self.counted(|endpoint| {
            endpoint.handle_timeout(now);
            while endpoint.poll_event().is_some() {}
        });
    }

    fn is_connected(&self, id: TransportId, dtls: dtls::State) -> bool {
        let transport = self.endpoint.transport(id).unwrap();
        transport.ice().state() == ice::State::Completed && transport.dtls().state() == dtls
    }
}

/// A server, and the clients of it, each with its own address.
struct World {
    server: Host,
    clients: Host,
    pairs: Vec<(TransportId, TransportId)>,
    kind: Kind,
    /// That all of the server's transports share, if they do.
    socket: Candidate,
    now: Instant,
    buf: Vec<u8>,
}

/// What the transports of a server are like.
#[derive(Clone, Copy, Debug)]
struct Kind {
    family: Family,
    mode: Mode,
    sockets: Sockets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sockets {
    One,
    OneEach,
}

#[derive(Clone, Copy, Debug)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn server(self) -> SocketAddr {
        match self {
            Self::V4 => SocketAddr::from(([192, 0, 2, 1], 3478)),
            Self::V6 => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 3478)),
        }
    }

    /// Different from all clients'.
    fn server_of_its_own(self, number: usize) -> SocketAddr {
        let mut address = self.client(number);
        address.set_port(3478);
        address
    }

    fn client(self, number: usize) -> SocketAddr {
        let [_, x, y, z] = u32::try_from(number).unwrap().to_be_bytes();
        let [a, b, c] = [x, y, z].map(u16::from);
        match self {
            Self::V4 => SocketAddr::from(([10, x, y, z], 5000)),
            Self::V6 => SocketAddr::from(([0x2001, 0xdb8, 1, 0, 0, a, b, c], 5000)),
        }
    }
}

impl World {
    /// Two endpoints that have not a transport each, but had one: what they hold for themselves is theirs.
    fn new(kind: Kind, setups: [Setup; 2]) -> Self {
        let Kind { family, mode, .. } = kind;
        let [server, clients] = setups;
        Self {
            server: Host::new(mode, server),
            clients: Host::new(Mode::Full, clients),
            pairs: Vec::new(),
            kind,
            socket: Candidate::host(family.server()),
            now: sim::Clock::epoch(),
            buf: vec![0; 1500],
        }
    }

    fn connect(&mut self, number: usize) {
        let Self {
            server,
            clients,
            now,
            ..
        } = self;
        let (certificates, now) = ((server.identity.clone(), clients.identity.clone()), *now);
        let a = server.create(now, &certificates.1, Initiation::Responding);
        let b = clients.create(now, &certificates.0, Initiation::Initiating);
        let Kind {
            family, sockets, ..
        } = self.kind;
        let own = family.client(number);
        let own = clients.counted(|_| Candidate::host(own));
        let socket = match sockets {
            Sockets::One => self.socket.clone(),
            Sockets::OneEach => {
                server.counted(|_| Candidate::host(family.server_of_its_own(number)))
            }
        };
        introduce(now, (server, a), socket, (clients, b));
        introduce(now, (clients, b), own, (server, a));
        self.pairs.push((a, b));
        self.carry();
    }

    /// Everything arrives at once.
    fn carry(&mut self) {
        let Self {
            server,
            clients,
            now,
            buf,
            ..
        } = self;
        while hand_over(*now, server, clients, buf) || hand_over(*now, clients, server, buf) {}
        server.settle(*now);
        clients.settle(*now);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let next = |world: &Self| {
            let hosts = [&world.server, &world.clients];
            hosts
                .into_iter()
                .filter_map(|host| host.endpoint.poll_timeout())
                .min()
        };
        while let Some(at) = next(self).filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.server.settle(self.now);
            self.clients.settle(self.now);
            self.carry();
        }
        self.now = end;
    }

    /// A record each way, by every transport.
    fn talk(&mut self) {
        for (a, b) in self.pairs.clone() {
            for from_server in [true, false] {
                let (from, to, id) = match from_server {
                    true => (&mut self.server, &mut self.clients, a),
                    false => (&mut self.clients, &mut self.server, b),
                };
                let (now, buf) = (self.now, &mut self.buf);
                let seal = |endpoint: &mut Endpoint| {
                    endpoint.with(now, id, |transport| transport.seal(now, b"some data", buf))
                };
                let transmit = from.counted(seal).unwrap().unwrap();
                let received = deliver(now, transmit, to, buf);
                assert!(matches!(received, Some(Received::Data { .. })));
            }
        }
    }

    fn assert_connected(&self, dtls: dtls::State) {
        let connected = |(a, b): &(TransportId, TransportId)| {
            self.server.is_connected(*a, dtls) && self.clients.is_connected(*b, dtls)
        };
        let place = self.pairs.iter().position(|pair| !connected(pair));
        let states = place.map(|place| {
            let (a, b) = self.pairs[place];
            let states = |host: &Host, id| host.endpoint.transport(id).map(|t| t.states());
            (place, states(&self.server, a), states(&self.clients, b))
        });
        assert_eq!(states, None);
    }

    fn each(&self) -> [i64; 2] {
        let each = |host: &Host| host.heap / self.pairs.len() as i64 - OF_DETERMINISTIC_BUILDS;
        [&self.server, &self.clients].map(each)
    }

    fn remove_all(&mut self) {
        for (a, b) in std::mem::take(&mut self.pairs) {
            let now = self.now;
            assert!(self.server.counted(|endpoint| endpoint.remove(now, a)));
            assert!(self.clients.counted(|endpoint| endpoint.remove(now, b)));
            self.carry();
        }
        // Nobody asks for the closed sessions any more.
        self.pass(EndpointConfig::MAX_FAREWELL + Duration::from_secs(1));
        self.carry();
    }
}

fn introduce(
    now: Instant,
    (from, of): (&mut Host, TransportId),
    candidate: Candidate,
    (to, peer): (&mut Host, TransportId),
) {
    let text = candidate.to_string();
    from.counted(|endpoint| {
        endpoint.with(now, of, |transport| {
            transport.add_local_candidate(now, candidate).unwrap();
            transport.local_candidates_complete(now);
        });
    });
    let transport = from.endpoint.transport(of).unwrap();
    let mut remote = RemoteParameters::new(transport.local_parameters().clone());
    remote.mode = from.mode;
    to.counted(|endpoint| {
        endpoint.with(now, peer, |transport| {
            transport
                .set_remote_parameters(now, remote.clone())
                .unwrap();
            transport
                .add_remote_candidate(now, text.parse().unwrap())
                .unwrap();
            transport.remote_candidates_complete(now);
        });
    });
}

/// Whether there was something to hand over.
fn hand_over(now: Instant, from: &mut Host, to: &mut Host, buf: &mut [u8]) -> bool {
    let transmit = from.counted(|endpoint| endpoint.poll_transmit(buf));
    if let Some(transmit) = transmit {
        deliver(now, transmit, to, buf);
    }
    transmit.is_some()
}

fn deliver(now: Instant, transmit: Transmit, to: &mut Host, buf: &mut [u8]) -> Option<Received> {
    let path = FiveTuple::udp(transmit.path.remote, transmit.path.local);
    let mut datagram = &mut buf[..transmit.len];
    loop {
        let outcome = to.counted(
            |endpoint| match endpoint.handle_datagram(now, path, datagram) {
                Outcome::Routed { received, .. } => Some(received),
                _ => None,
            },
        );
        match outcome {
            Some(Received::Data { rest, .. }) if !rest.is_empty() => {
                datagram = &mut datagram[rest];
            }
            outcome => return outcome,
        }
    }
}

fn expecting(peer: &Identity) -> RemoteIdentity {
    let print = peer.fingerprint(HashAlgorithm::Sha256);
    RemoteIdentity::Fingerprints(FingerprintSet::new([print]).unwrap())
}

/// What a DTLS connection takes that waits for the first hello, as those of the transports do.
fn waiting_dtls(host: &Host, peer: &Identity) -> i64 {
    let config = Arc::new(dtls::Config::new(host.identity.clone()));
    let remote = expecting(peer);
    let mut connection = None;
    let counted = measure(|| {
        let made = dtls::Connection::new(config, host.setup, remote.clone());
        let mut made = made.unwrap();
        made.set_path_validated();
        made.start(sim::Clock::epoch());
        while made.poll_event().is_some() {}
        connection = Some(made);
    });
    assert_eq!(connection.unwrap().state(), dtls::State::Connecting);
    counted.bytes_current + size_of::<dtls::Connection>() as i64
}

/// What a transport takes without its DTLS on the server and on its client: ICE is connected, and both sides of DTLS wait for the
/// other's hello, so that what a waiting connection takes can be subtracted to the byte. What is left is the agent, the transport
/// around it and the tables.
fn without_dtls(transports: usize, kind: Kind) -> [i64; 2] {
    let mut world = World::new(kind, [Setup::Passive; 2]);
    let dtls = waiting_dtls(&world.server, &world.clients.identity.clone());
    (0..transports).for_each(|number| world.connect(number));
    world.pass(SETTLED);
    world.assert_connected(dtls::State::Connecting);
    let each = world.each().map(|bytes| bytes - dtls);
    println!("{kind:?}: without DTLS {each:?}; DTLS that waits {dtls}");
    world.remove_all();
    let left = [world.server.heap, world.clients.heap];
    println!("left of all: {left:?}");
    // Tables that are empty keep a little room.
    let little = 0..50_000;
    assert!(left.iter().all(|bytes| little.contains(bytes)), "{left:?}");
    each
}

/// All kinds of full ones, the clients' too, which have a socket each.
fn full_kinds() -> impl Iterator<Item = Kind> {
    let families = [Family::V4, Family::V6].into_iter();
    families.flat_map(|family| {
        [Sockets::One, Sockets::OneEach].map(|sockets| Kind {
            family,
            mode: Mode::Full,
            sockets,
        })
    })
}

// req: I51
#[test]
fn ten_thousand_transports_without_their_dtls_take_a_kib_each_and_leave_nothing() {
    let kind = Kind {
        family: Family::V4,
        mode: Mode::Full,
        sockets: Sockets::One,
    };
    let each = without_dtls(10_000, kind);
    let most = each
        .map(|bytes| bytes + MORE_AT_A_MILLION)
        .into_iter()
        .max();
    assert!(most <= Some(MOST_OF_ICE), "{each:?}");
}

#[test]
fn a_transport_takes_little_more_than_its_ice_while_nobody_says_who_the_peer_is() {
    for kind in full_kinds() {
        let mut world = World::new(kind, [Setup::ActPass; 2]);
        (0..2_000).for_each(|number| world.connect(number));
        world.pass(SETTLED);
        world.assert_connected(dtls::State::New);
        let each = world.each();
        println!("{kind:?}: with DTLS that waits {each:?}");
        assert!(each.into_iter().all(|bytes| bytes <= MOST_WHILE_DTLS_WAITS));
    }
}

/// With DTLS connected, after a record each way and after all that is kept for the late.
///
/// Fewer, because there is a handshake each.
fn with_dtls(kind: Kind) -> [i64; 2] {
    let mut world = World::new(kind, [Setup::Passive, Setup::Active]);
    (0..300).for_each(|number| world.connect(number));
    world.pass(SETTLED);
    world.talk();
    world.pass(FORGOTTEN);
    world.talk();
    world.assert_connected(dtls::State::Connected);
    let each = world.each();
    println!("{kind:?}: with DTLS {each:?}");
    each
}

/// Full and lite. What a lite one takes without its DTLS cannot be counted, because its path is not proven before the handshake has
/// finished, and is metered till then: with DTLS it takes as much more than a full one as without.
// req: I51
#[test]
fn transports_of_every_kind_take_a_kib_each_and_with_dtls_three() {
    for full in full_kinds() {
        let without = without_dtls(2_000, full);
        let with = with_dtls(full);
        let lite = Kind {
            mode: Mode::Lite,
            ..full
        };
        let [with_lite, client_of_lite] = with_dtls(lite);
        let most_with = with.into_iter().max().max(Some(with_lite));
        assert!(most_with <= Some(MOST), "{full:?}: {with:?}, {with_lite}");
        assert!(client_of_lite <= MOST, "{lite:?}: {client_of_lite}");
        let without_lite = without[0] + with_lite - with[0];
        println!("{lite:?}: without DTLS {without_lite}");
        let most = without.into_iter().max().max(Some(without_lite));
        let most = most.map(|bytes| bytes + MORE_AT_A_MILLION);
        assert!(
            most <= Some(MOST_OF_ICE),
            "{full:?}: {without:?}, {without_lite}"
        );
    }
}

/// What handshakes wait in is 256 tables of 32 bytes, and what belongs to them; who lets none wait has none of it.
#[test]
fn an_endpoint_whose_handshakes_do_not_wait_keeps_nothing_for_those_that_do() {
    let heap_with = |waiting_handshakes| {
        let dtls = Arc::new(dtls::Config::new(Arc::new(Identity::generate().unwrap())));
        let transport = TransportConfig::new(Arc::new(ice::Config::default()), dtls);
        let mut config = EndpointConfig::new(transport);
        config.waiting_handshakes = waiting_handshakes;
        let mut endpoint = None;
        let counted = measure(|| endpoint = Some(Endpoint::new(config)));
        counted.bytes_current
    };
    let (without, with) = (heap_with(None), heap_with(Some(10)));
    assert!(with >= without + 256 * 32, "{without} {with}");
}
