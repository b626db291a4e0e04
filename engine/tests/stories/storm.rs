//! Storms: very many clients at once are served in order of age, and no live session's consent is late for it.

use crate::{
    crafted,
    crowd::{Costs, Crowd, answering, client_address, server_address},
    support::{self, FULL_ACTIVE, FULL_ACTPASS, Host, Part},
};
use floe::{
    DropReason, Endpoint, EndpointConfig, Event, Outcome, Received, TransportId, TransportOptions,
    dtls::{self, ProtocolVersion, RemoteIdentity, Setup},
    ice::{
        Candidate, FiveTuple, Initiation, LocalParameters, Mode, Parameters, RemoteParameters,
        Transmit,
    },
};
use sim::Pair;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const COSTS: Costs = Costs {
    datagram: Duration::from_micros(20),
    dtls_datagram: Duration::from_micros(20),
    handshake: Duration::from_millis(20),
};
const LIVE: usize = 60;
const CLIENTS: u16 = 40;

/// Clients that come back all at once, with DTLS.
struct Storm {
    endpoint: Endpoint,
    /// By client: its transport, and the server's.
    sessions: Vec<(TransportId, TransportId)>,
    /// In the order in which the server had them connected.
    connected: Vec<TransportId>,
    /// The server's that are not.
    pending: Vec<TransportId>,
    /// How much of a client's DTLS arrives.
    heard: fn(SocketAddr) -> Heard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    All,
    /// No more than that it wants a handshake.
    Hello,
    Nothing,
}

/// Whether this is a datagram that begins with a ClientHello.
fn is_client_hello(datagram: &[u8]) -> bool {
    datagram[0] == 22 && datagram[13] == 1
}

fn storm_address(number: u16) -> SocketAddr {
    client_address(1000 + usize::from(number))
}

/// Every third of them.
fn falls_silent(client: SocketAddr) -> bool {
    match client.ip() {
        IpAddr::V4(ip) => {
            let [_, a, b, _] = ip.octets();
            (u16::from_be_bytes([a, b]) - 1000).is_multiple_of(3)
        }
        IpAddr::V6(_) => false,
    }
}

impl Storm {
    fn new(crowd: &mut Crowd, server_setup: Setup) -> Self {
        Self::of(CLIENTS, crowd, server_setup)
    }

    fn of(clients: u16, crowd: &mut Crowd, server_setup: Setup) -> Self {
        Self::with(clients, crowd, server_setup, |_| {})
    }

    fn with(
        clients: u16,
        crowd: &mut Crowd,
        server_setup: Setup,
        change: impl FnOnce(&mut dtls::Config),
    ) -> Self {
        let identity = support::identity(3);
        let mut config = EndpointConfig::new(support::transport_config(&identity));
        change(Arc::make_mut(&mut config.transport.dtls));
        let mut storm = Self {
            endpoint: Endpoint::with_seed([77; 32], config),
            sessions: Vec::new(),
            connected: Vec::new(),
            pending: Vec::new(),
            heard: |_| Heard::All,
        };
        for number in 0..clients {
            storm.join(crowd, number, server_setup);
        }
        storm
    }

    fn join(&mut self, crowd: &mut Crowd, number: u16, server_setup: Setup) {
        let now = crowd.now;
        let options = |mode, initiation, setup, peer| TransportOptions {
            mode,
            initiation,
            setup,
            remote_identity: RemoteIdentity::Fingerprints(peer),
            local_parameters: None,
        };
        let client_setup = match server_setup {
            Setup::Active => Setup::Passive,
            _ => Setup::Active,
        };
        let of_client = support::fingerprints(&support::identity(3));
        let of_server = crowd.server.fingerprints();
        let offer = options(
            FULL_ACTIVE.mode,
            Initiation::Initiating,
            client_setup,
            of_server,
        );
        let answer = options(Mode::Lite, Initiation::Responding, server_setup, of_client);
        let client = self.endpoint.create(now, offer).expect("room for it");
        let server = crowd
            .server
            .endpoint
            .create(now, answer)
            .expect("room for it");
        let parameters = Parameters::clone(crowd.server.transport(server).local_parameters());
        let mut for_client = RemoteParameters::new(parameters);
        for_client.mode = Mode::Lite;
        let transport = self.endpoint.transport(client).expect("just created");
        let for_server = RemoteParameters::new(Parameters::clone(transport.local_parameters()));
        crowd.server.with_transport(now, server, |t| {
            t.set_remote_parameters(now, for_server)
                .expect("new parameters");
            t.add_local_candidate(now, Candidate::host(server_address()))
                .expect("a host candidate");
        });
        self.endpoint
            .with(now, client, |t| {
                t.set_remote_parameters(now, for_client)
                    .expect("new parameters");
                t.add_local_candidate(now, Candidate::host(storm_address(number)))
                    .expect("a host candidate");
                t.add_remote_candidate(now, Candidate::host(server_address()))
                    .expect("a host candidate");
            })
            .expect("just created");
        self.sessions.push((client, server));
        self.pending.push(server);
    }

    /// What the clients have done by now arrives when they did it, and what the server has sent arrives at them.
    fn exchange(&mut self, crowd: &mut Crowd) {
        for (path, mut bytes) in std::mem::take(&mut crowd.elsewhere) {
            let path = FiveTuple::udp(path.remote, path.local);
            let _ = self.endpoint.handle_datagram(crowd.now, path, &mut bytes);
        }
        let (mut at, mut buf) = (crowd.now, [0; 1500]);
        loop {
            while let Some(Transmit { path, len }) = self.endpoint.poll_transmit(&mut buf) {
                let is_dtls = (20..64).contains(&buf[0]);
                let arrives = match (self.heard)(path.local) {
                    Heard::All => true,
                    Heard::Hello => !is_dtls || is_client_hello(&buf[..len]),
                    Heard::Nothing => !is_dtls,
                };
                if !arrives {
                    continue;
                }
                let path = FiveTuple::udp(path.remote, path.local);
                crowd.inject_at(at, path, buf[..len].to_vec());
            }
            while self.endpoint.poll_event().is_some() {}
            match self.endpoint.poll_timeout().filter(|due| *due <= crowd.now) {
                Some(due) => at = due,
                None => break,
            }
            self.endpoint.handle_timeout(at);
        }
    }

    fn run_for(&mut self, crowd: &mut Crowd, time: Duration) {
        crowd.run_for(time, |crowd| self.exchange(crowd));
        self.note_connected(crowd);
    }

    fn note_connected(&mut self, crowd: &Crowd) {
        let Self {
            connected, pending, ..
        } = self;
        pending.retain(|server| {
            let is_connected = crowd.server.dtls(*server) == dtls::State::Connected;
            connected.extend(is_connected.then_some(*server));
            !is_connected
        });
    }

    /// Runs until all are connected. Gives how long that took.
    fn run(&mut self, crowd: &mut Crowd) -> Duration {
        self.run_until_pending_are(0, crowd, Duration::from_secs(30))
    }

    fn run_until_pending_are(
        &mut self,
        number: usize,
        crowd: &mut Crowd,
        most: Duration,
    ) -> Duration {
        let start = crowd.now;
        while self.pending.len() > number {
            self.run_for(crowd, ms(1));
            crowd.consent_is_on_time(&[], ms(8000));
            let took = crowd.now - start;
            assert!(took < most, "{} wait", self.pending.len());
        }
        crowd.now - start
    }
}

fn crowd(seed: u8, waiting_handshakes: Option<usize>) -> Crowd {
    crowd_at(COSTS, seed, waiting_handshakes)
}

fn crowd_at(costs: Costs, seed: u8, waiting_handshakes: Option<usize>) -> Crowd {
    let server = Host::with(seed, &[server_address()], |config| {
        config.waiting_handshakes = waiting_handshakes;
    });
    let put_off = match waiting_handshakes {
        Some(_) => costs.datagram,
        None => costs.handshake,
    };
    let costs = Costs {
        dtls_datagram: put_off,
        ..costs
    };
    Crowd::new(seed, LIVE, server, costs)
}

fn live_sessions_wait_for_one_piece_at_most(seed: u8, setup: Setup) {
    let mut crowd = crowd(seed, Some(10_000));
    let mut storm = Storm::new(&mut crowd, setup);
    let took = storm.run(&mut crowd);
    // The storm was one: the thread was busy with handshakes for as long as they cost.
    assert!(took >= COSTS.handshake * u32::from(CLIENTS), "{took:?}");
    // Nobody live has waited for more than one piece of a handshake, and some datagrams.
    let most = COSTS.handshake + ms(10);
    assert!(crowd.longest_wait <= most, "{:?}", crowd.longest_wait);
    assert!(crowd.longest_delay <= most, "{:?}", crowd.longest_delay);
    // The oldest first: each is through before the next begins.
    let order: Vec<_> = storm.sessions.iter().map(|(_, server)| *server).collect();
    assert_eq!(storm.connected, order);
    assert_eq!(crowd.server.endpoint.waiting_handshakes(), 0);
}

// req: T71
#[test]
fn handshakes_of_a_server_wait_for_live_sessions() {
    live_sessions_wait_for_one_piece_at_most(211, Setup::Passive);
}

// req: T71
#[test]
fn handshakes_of_a_client_wait_for_live_sessions() {
    live_sessions_wait_for_one_piece_at_most(215, Setup::Active);
}

/// The oldest of all never comes to an end, since nothing of what it says makes sense, and always has something more to say.
// req: T71
#[test]
fn who_sends_junk_for_a_handshake_holds_up_the_others_for_a_while_only() {
    let mut crowd = crowd(216, Some(10_000));
    let mut storm = Storm::new(&mut crowd, Setup::Passive);
    let junk_path = FiveTuple::udp(server_address(), storm_address(0));
    storm.heard = |client| match client == storm_address(0) {
        true => Heard::Nothing,
        false => Heard::All,
    };
    let (start, mut number, mut junk) = (crowd.now, 0u32, 0);
    while storm.connected.len() + 1 < storm.sessions.len() {
        crowd.run_for(ms(1), |crowd| {
            storm.exchange(crowd);
            number += 1;
            crowd.inject(junk_path, record(number));
            junk += 1;
        });
        storm.note_connected(&crowd);
        crowd.consent_is_on_time(&[], ms(8000));
        let took = crowd.now - start;
        assert!(took < Duration::from_secs(15), "{:?}", storm.connected);
    }
    assert!(junk > 100, "{junk}");
    assert!(!storm.connected.contains(&storm.sessions[0].1));
}

#[test]
fn without_waiting_live_sessions_wait_for_handshakes() {
    let mut crowd = crowd(212, None);
    let mut storm = Storm::new(&mut crowd, Setup::Passive);
    storm.run(&mut crowd);
    let longest = crowd.longest_wait.max(crowd.longest_delay);
    assert!(longest > COSTS.handshake * 5, "{longest:?}");
}

#[test]
fn handshakes_over_the_cap_are_counted_and_get_through_later() {
    let mut crowd = crowd(213, Some(4));
    let mut storm = Storm::new(&mut crowd, Setup::Passive);
    storm.run(&mut crowd);
    let stats = crowd.server.endpoint.stats();
    assert!(
        stats.dropped.count(DropReason::TooManyHandshakes) > 0,
        "{stats:?}"
    );
    assert_eq!(crowd.server.endpoint.waiting_handshakes(), 0);
    // What is over has made room.
    let mut another = Storm::new(&mut crowd, Setup::Passive);
    another.run(&mut crowd);
}

/// Where there is room for half as many handshakes at a time as are begun and never ended: by every third.
// req: T71
#[test]
fn clients_that_never_finish_hold_no_places() {
    const MANY: u16 = 3_000;
    let costs = Costs {
        datagram: Duration::from_micros(5),
        dtls_datagram: Duration::from_micros(5),
        handshake: Duration::from_micros(300),
    };
    let mut crowd = crowd_at(costs, 217, Some(usize::from(MANY / 6)));
    let mut storm = Storm::of(MANY, &mut crowd, Setup::Passive);
    storm.heard = |client| match falls_silent(client) {
        true => Heard::Hello,
        false => Heard::All,
    };
    let silent = usize::from(MANY.div_ceil(3));
    let took = storm.run_until_pending_are(silent, &mut crowd, Duration::from_secs(15));
    println!("all others are connected after {took:?}");
    // Those who fell silent are still waited for.
    let state = |server: &TransportId| crowd.server.dtls(*server);
    let waits = |server: &TransportId| state(server) == dtls::State::Connecting;
    assert!(storm.pending.iter().all(waits));
    let stats = crowd.server.endpoint.stats();
    assert!(stats.dropped.count(DropReason::TooManyHandshakes) > 0);
    let most = costs.handshake + ms(20);
    assert!(crowd.longest_wait <= most, "{:?}", crowd.longest_wait);
    assert!(crowd.longest_delay <= most, "{:?}", crowd.longest_delay);
    // And who comes later is served at once.
    for number in MANY + 1..MANY + 3 {
        storm.join(&mut crowd, number, Setup::Passive);
    }
    storm.run_until_pending_are(silent, &mut crowd, ms(500));
}

/// A storm that takes the server most of a minute, of clients as they are.
// req: T20 T71
#[test]
fn clients_that_wait_for_most_of_a_minute_finish() {
    const MANY: u16 = 300;
    let costs = Costs {
        handshake: ms(50),
        ..COSTS
    };
    let mut crowd = crowd_at(costs, 225, Some(10_000));
    let mut storm = Storm::of(MANY, &mut crowd, Setup::Passive);
    let took = storm.run_until_pending_are(0, &mut crowd, Duration::from_secs(58));
    println!("all are connected after {took:?}");
    assert!(took > Duration::from_secs(30), "{took:?}");
}

/// A storm that takes the server minutes, of clients who do not lose patience: the time that a handshake may take is not that which
/// the server lets it wait.
// req: T71
#[test]
fn clients_that_wait_for_longer_than_a_handshake_may_take_finish() {
    const MANY: u16 = 300;
    let costs = Costs {
        handshake: ms(150),
        ..COSTS
    };
    // With a place for everybody, and with a place for few, who come again and again.
    for (seed, most) in [(223, 10_000), (224, 20)] {
        let mut crowd = crowd_at(costs, seed, Some(most));
        let patient = |config: &mut dtls::Config| {
            config.retransmission.deadline = Duration::from_secs(3600);
            config.retransmission.tries = 1000;
        };
        let mut storm = Storm::with(MANY, &mut crowd, Setup::Passive, patient);
        let took = storm.run_until_pending_are(0, &mut crowd, Duration::from_secs(200));
        assert!(took > Duration::from_secs(80), "{took:?}");
    }
}

/// A server that speaks first makes all its hellos in turn, however few handshakes may wait.
// req: T71
#[test]
fn a_first_flight_waits_for_its_turn_and_for_nothing_else() {
    let mut crowd = crowd(218, Some(1));
    let mut storm = Storm::new(&mut crowd, Setup::Active);
    let took = storm.run(&mut crowd);
    // All of the work, and no wait for a check that would remind it of one: those come seconds apart.
    let most = COSTS.handshake * 4 * u32::from(CLIENTS);
    assert!(took <= most, "{took:?}");
}

/// What waits of a handshake goes with its transport, and who waited to speak first needs nobody's word any more.
// req: T71
#[test]
fn who_leaves_holds_no_place_and_begins_by_itself() {
    for (seed, setup) in [(219, Setup::Passive), (220, Setup::Active)] {
        let mut crowd = crowd(seed, Some(10_000));
        let mut storm = Storm::new(&mut crowd, setup);
        while crowd.server.endpoint.waiting_handshakes() < 5 {
            storm.run_for(&mut crowd, ms(1));
        }
        let now = crowd.now;
        let mut begun = 0;
        for (place, (_, server)) in storm.sessions.iter().enumerate() {
            if place % 2 == 0 {
                assert!(crowd.server.endpoint.remove(now, *server));
                continue;
            }
            let mut transport = crowd.server.endpoint.detach(*server).expect("it is there");
            let before = transport.dtls().state();
            let has_path = transport.ice().usable_path().is_some();
            transport.handle_timeout(now);
            if setup == Setup::Active && before == dtls::State::New && has_path {
                assert_eq!(transport.dtls().state(), dtls::State::Connecting);
                begun += 1;
            }
        }
        assert!(setup == Setup::Passive || begun > 0, "some had waited");
        assert_eq!(crowd.server.endpoint.waiting_handshakes(), 0);
        assert_eq!(
            crowd.server.endpoint.handle_handshake(now, &mut [0; 1500]),
            None
        );
    }
}

/// Two hosts, of which the handshakes of `b` wait.
fn patient(seed: u64, version: ProtocolVersion) -> Pair<Host, Host> {
    let (a, b) = ([sim::address(1)], [sim::address(2)]);
    let host = |number, addresses: &[SocketAddr], waiting| {
        Host::with(number, addresses, |config| {
            config.waiting_handshakes = waiting;
            let dtls = Arc::make_mut(&mut config.transport.dtls);
            (dtls.min_version, dtls.max_version) = (version, version);
        })
    };
    Pair::new(seed, (host(1, &a, None), &a), (host(2, &b, Some(10)), &b))
}

/// What the peer says as soon as it may waits behind its Finished, and is not lost with the end of the handshake.
// req: T71
#[test]
fn data_that_came_behind_the_end_of_a_handshake_is_handled() {
    for (version, setup) in [
        (ProtocolVersion::DTLS1_3, Setup::Passive),
        (ProtocolVersion::DTLS1_2, Setup::Active),
    ] {
        let mut pair = patient(221, version);
        let full = Part {
            setup,
            ..FULL_ACTIVE
        };
        let (a, b) = support::signalled(&mut pair, FULL_ACTPASS, full);
        let (mut buf, mut read) = ([0; 1500], Vec::new());
        for _ in 0..10_000 {
            if pair.a.dtls(a) == dtls::State::Connected {
                break;
            }
            let now = pair.now();
            while pair.b.endpoint.handle_handshake(now, &mut buf).is_some() {}
            pair.run_for(ms(1));
        }
        for text in ["one", "two"] {
            pair.a.send(pair.now(), a, text.as_bytes());
        }
        pair.run_for(ms(50));
        assert_eq!(pair.b.dtls(b), dtls::State::Connecting, "{version:?}");
        while let Some((_, outcome)) = pair.b.endpoint.handle_handshake(pair.now(), &mut buf) {
            if let Outcome::Routed {
                received: Received::Data { range, .. },
                ..
            } = outcome
            {
                read.push(buf[range].to_vec());
            }
        }
        assert_eq!(pair.b.dtls(b), dtls::State::Connected, "{version:?}");
        assert_eq!(read, [b"one", b"two"], "{version:?}");
        assert_eq!(pair.b.endpoint.waiting_handshakes(), 0);
    }
}

/// However long ago its path was found, and though nothing is new to its agent.
// req: T71
#[test]
fn who_waited_long_to_speak_first_and_leaves_begins_with_what_comes_next() {
    let mut pair = patient(222, ProtocolVersion::DTLS1_3);
    let (_, b) = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    pair.run_for(Duration::from_secs(20));
    assert_eq!(pair.b.endpoint.waiting_handshakes(), 1);
    assert_eq!(pair.b.dtls(b), dtls::State::New);
    let mut transport = pair.b.endpoint.detach(b).expect("it is there");
    transport.handle_timeout(pair.now());
    assert_eq!(transport.dtls().state(), dtls::State::Connecting);
}

/// A session with a peer that is only its words.
fn session(server: &mut Host, now: Instant, number: usize) -> (TransportId, Parameters) {
    let peer =
        LocalParameters::with_username_fragment(&format!("peer{number}")).expect("a good name");
    let id = answering(server, now, peer.as_parameters().clone());
    let credentials = Parameters::clone(server.transport(id).local_parameters());
    (id, credentials)
}

/// Where a client of the great storm is: in no network of the others.
fn far_address(number: u32) -> SocketAddr {
    (Ipv4Addr::from(0x0b00_0000 + number), 5000).into()
}

/// A plaintext handshake record of four bytes that begin no message.
fn record(number: u32) -> Vec<u8> {
    let mut record = vec![22, 254, 253, 0, 0, 0, 0];
    record.extend(number.to_be_bytes());
    record.extend([0, 4]);
    record.extend(number.to_be_bytes());
    record
}

// req: T71
#[test]
fn a_hundred_thousand_clients_at_once_are_served_in_order_of_age_and_no_live_consent_is_late() {
    const STORM: u32 = 100_000;
    let server = Host::with(214, &[server_address()], |config| {
        config.waiting_handshakes = Some(STORM as usize);
    });
    let costs = Costs {
        datagram: Duration::from_micros(1),
        dtls_datagram: Duration::from_micros(1),
        handshake: Duration::from_micros(50),
    };
    let mut crowd = Crowd::new(214, 10, server, costs);
    let (now, mut buf) = (crowd.now, [0; 1500]);
    let sessions: Vec<_> = (0..STORM as usize)
        .map(|number| session(&mut crowd.server, now, number))
        .collect();
    while crowd.server.endpoint.poll_transmit(&mut buf).is_some() {}
    let endpoint = &mut crowd.server.endpoint;
    let path = |number| FiveTuple::udp(server_address(), far_address(number));
    let taken = |transport| Outcome::Routed {
        transport,
        received: Received::Handled,
    };
    for ((id, credentials), number) in sessions.iter().zip(0..) {
        let mut check = crafted::request(credentials, &format!("peer{number}"), number.into());
        let outcome = endpoint.handle_datagram(now, path(number), &mut check);
        assert_eq!(outcome, taken(*id));
    }
    // One who lives asks last of all, and is answered in its turn; so is everybody, once, before anybody is twice.
    let live = &crowd.clients[4];
    let name = live.agent.local_parameters().username_fragment();
    let to = support::parameters_of(endpoint, live.id);
    let _ = endpoint.handle_datagram(now, live.path, &mut crafted::request(&to, name, 7));
    let mut answered = Vec::new();
    while let Some(Transmit { path, len }) = endpoint.poll_transmit(&mut buf) {
        let message = floe::stun::Message::parse(&buf[..len]).expect("STUN");
        if message.class() == floe::stun::Class::SuccessResponse {
            answered.push(path.remote);
        }
    }
    let mut order: Vec<_> = (0..STORM).map(far_address).collect();
    order.push(live.path.remote);
    assert!(answered == order, "in the order in which they asked");
    let learned = std::iter::from_fn(|| endpoint.poll_event());
    let learned = learned.filter(|(_, event)| matches!(event, Event::PathLearned(_)));
    assert_eq!(learned.count(), sessions.len());

    // All of them begin a handshake, in another order than they were made in, and go on with it in a third one.
    let by_age: Vec<u32> = (0..STORM).map(|number| number * 7 % STORM).collect();
    for (numbers, part) in [(&by_age, 0), (&(0..STORM).rev().collect(), STORM)] {
        for number in numbers {
            let mut piece = record(part + number);
            let outcome = endpoint.handle_datagram(now, path(*number), &mut piece);
            assert_eq!(outcome, taken(sessions[*number as usize].0));
        }
    }
    assert_eq!(endpoint.waiting_handshakes(), sessions.len());
    while crowd.server.endpoint.waiting_handshakes() > 0 {
        crowd.run_for(ms(500), |crowd| crowd.elsewhere.clear());
        crowd.consent_is_on_time(&[], ms(100));
    }
    let pieces = by_age.iter().flat_map(|number| {
        let (id, _) = sessions[*number as usize];
        [id, id]
    });
    assert!(crowd.served.iter().copied().eq(pieces), "the oldest first");
    let most = costs.handshake + ms(1);
    assert!(crowd.longest_wait <= most, "{:?}", crowd.longest_wait);
    assert!(crowd.longest_delay <= most, "{:?}", crowd.longest_delay);
}
