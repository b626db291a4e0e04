//! What ICE knows and DTLS uses: where the peer is, how far it is, whether it is still there.

use crate::{
    crafted,
    support::{self, FULL_ACTIVE, FULL_ACTPASS, Host, LITE_PASSIVE, Part},
};
use floe::{
    ApiMisuse, DropReason, Outcome, Received, Transport, TransportId, TransportOptions,
    dtls::{self, RemoteIdentity, Setup},
    ice::{Candidate, FiveTuple, Initiation, Mode, Parameters, RemoteParameters},
};
use sim::{Link, Pair, Verdict};
use std::time::Duration;

fn is_dtls(bytes: &[u8]) -> bool {
    (20..=63).contains(&bytes[0])
}

/// When ClientHellos leave `b`, if none arrives; in milliseconds after the first.
fn client_hellos(seed: u64, b_part: Part, delay: Duration) -> Vec<u128> {
    let mut pair = support::world(seed);
    pair.network.set_links(Link::with_delay(delay));
    support::signalled(&mut pair, FULL_ACTPASS, b_part);
    let wire = pair.network.wiretap();
    pair.network
        .tap(|datagram, _| match is_dtls(&datagram.bytes) {
            true => Verdict::Drop,
            false => Verdict::Pass,
        });
    pair.run_for(Duration::from_secs(6));
    let sent = wire.seen().into_iter();
    let hellos: Vec<_> = sent
        .filter(|(_, datagram)| datagram.bytes[0] == 22)
        .collect();
    let first = hellos[0].0;
    hellos
        .iter()
        .map(|(at, _)| (*at - first).as_millis())
        .collect()
}

// req: T20
#[test]
fn dtls_times_out_at_the_pace_of_the_path_and_never_slower_than_800_ms() {
    // 50 ms there and back, so the first time-out is 100 ms.
    let hellos = client_hellos(8, FULL_ACTIVE, Duration::from_millis(25));
    assert_eq!(hellos[..6], [0, 100, 300, 700, 1500, 2300]);
    // 5 ms there and back: 50 ms is the least.
    let hellos = client_hellos(9, FULL_ACTIVE, Duration::from_micros(2500));
    assert_eq!(hellos[..6], [0, 50, 150, 350, 750, 1550]);
    // A lite agent sends no checks and knows no round-trip time.
    let lite = Part {
        mode: Mode::Lite,
        ..FULL_ACTIVE
    };
    let hellos = client_hellos(10, lite, Duration::from_millis(25));
    // The first had to wait 50 ms, until an own check had proven the path (I56).
    assert_eq!(hellos[..4], [0, 350, 1150, 1950]);
}

// req: T20
#[test]
fn a_handshake_survives_a_blackout_that_ice_survives() {
    let mut pair = support::world(15);
    let ids = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    pair.drive_until(|_, host| host.dtls(ids.1) == dtls::State::Connecting);
    pair.network.cut();
    pair.run_for(Duration::from_secs(15));
    pair.network.heal();
    support::drive_until_connected(&mut pair, ids);
}

fn later(initiation: Initiation) -> TransportOptions {
    TransportOptions {
        mode: Mode::Full,
        initiation,
        setup: Setup::Passive,
        remote_identity: RemoteIdentity::Later,
        local_parameters: None,
    }
}

// req: T69
#[test]
fn dtls_is_taken_only_from_where_the_peer_has_authenticated() {
    let identity = support::identity(1);
    let config = support::transport_config(&identity);
    let mut transport = Transport::new(&config, later(Initiation::Responding)).unwrap();
    let now = support::world(16).now();
    let from = |host| FiveTuple::udp(sim::address(2), sim::address(host));
    let peer = RemoteParameters::new(Parameters::new("peer", "0123456789012345678901").unwrap());
    transport.set_remote_parameters(now, peer).unwrap();
    transport
        .add_local_candidate(now, Candidate::host(sim::address(2)))
        .unwrap();
    let credentials = transport.local_parameters().clone();

    let unproven = Received::Dropped(DropReason::UnprovenPath);
    let record = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
    assert_eq!(
        transport.handle_datagram(now, from(1), &mut record.clone()),
        unproven
    );
    let mut forged = crafted::forged_request(&credentials, "peer", 1);
    let _ = transport.handle_datagram(now, from(1), &mut forged);
    assert_eq!(
        transport.handle_datagram(now, from(1), &mut record.clone()),
        unproven
    );
    assert_eq!(transport.stats().dropped.count(DropReason::UnprovenPath), 2);

    let mut request = crafted::request(&credentials, "peer", 2);
    assert_eq!(
        transport.handle_datagram(now, from(1), &mut request),
        Received::Handled
    );
    let reached = transport.handle_datagram(now, from(1), &mut record.clone());
    assert!(
        !matches!(reached, Received::Dropped(DropReason::UnprovenPath)),
        "{reached:?}"
    );
    assert_eq!(
        transport.handle_datagram(now, from(3), &mut record.clone()),
        unproven,
        "from there only"
    );

    transport.close(now);
    assert_eq!(
        transport.handle_datagram(now, from(1), &mut record.clone()),
        unproven,
        "and while it lives"
    );
}

/// One sealed record of `a` for `b`.
fn sealed(pair: &mut Pair<Host, Host>, a: TransportId, text: &[u8]) -> Vec<u8> {
    let now = pair.now();
    pair.a.send(now, a, text);
    pair.a.outgoing.pop_back().expect("just sealed").1
}

// req: T69
#[test]
fn a_peer_that_moves_is_heard_once_it_has_authenticated_there() {
    let (mut pair, (a, b)) = support::connected(17, FULL_ACTPASS, FULL_ACTIVE);
    let credentials = pair.b.transport(b).local_parameters().clone();
    let ufrag = pair
        .a
        .transport(a)
        .local_parameters()
        .username_fragment()
        .to_owned();
    let moved = FiveTuple::udp(sim::address(2), sim::address(7));
    let now = pair.now();

    let mut early = sealed(&mut pair, a, b"too early");
    let outcome = pair.b.endpoint.handle_datagram(now, moved, &mut early);
    assert_eq!(outcome, Outcome::Dropped(DropReason::UnknownPath));

    let mut request = crafted::request(&credentials, &ufrag, 1);
    let _ = pair.b.endpoint.handle_datagram(now, moved, &mut request);
    let mut record = sealed(&mut pair, a, b"now");
    let outcome = pair.b.endpoint.handle_datagram(now, moved, &mut record);
    let Outcome::Routed {
        transport,
        received: Received::Data { range, .. },
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!((transport, &record[range]), (b, &b"now"[..]));
}

// req: T22
#[test]
fn the_mtu_never_exceeds_what_the_buffer_has_to_hold() {
    let identity = support::identity(1);
    let config = support::transport_config(&identity);
    let mut transport = Transport::new(&config, later(Initiation::Responding)).unwrap();
    let misuse = ApiMisuse::Dtls(dtls::ApiMisuse::MtuOutOfRange);
    assert_eq!(transport.set_mtu(config.mtu()), Ok(()));
    for mtu in [config.mtu() + 1, 16_384, 255] {
        assert_eq!(transport.set_mtu(mtu), Err(misuse));
    }
}

// req: T9
#[test]
fn an_answered_check_of_its_own_is_what_shows_a_server_its_path() {
    // What the server's flight may be, while nothing of the client's has authenticated.
    let first_flight = |seed, server: Part| {
        let mut pair = support::world(seed);
        let (a, b) = (server, FULL_ACTIVE);
        let (client, server) = support::signalled(&mut pair, b, a);
        // The client is deaf to DTLS, and repeats its ClientHello; to a lite server's checks too.
        let wire = pair.network.wiretap();
        let lite = a.mode == Mode::Lite;
        pair.network.tap(move |datagram, _| {
            let unheard = is_dtls(&datagram.bytes) || (lite && datagram.bytes.starts_with(&[0, 1]));
            match unheard && datagram.source == sim::address(2) {
                true => Verdict::Drop,
                false => Verdict::Pass,
            }
        });
        pair.run_for(Duration::from_secs(5));
        assert_eq!(pair.a.dtls(client), dtls::State::Connecting);
        let bytes = |host| -> usize {
            let seen = wire.seen();
            let dtls = seen.iter().filter(|(_, datagram)| {
                is_dtls(&datagram.bytes) && datagram.source == sim::address(host)
            });
            dtls.map(|(_, datagram)| datagram.bytes.len()).sum()
        };
        let proven = pair.b.transport(server).dtls().is_path_validated();
        (proven, bytes(1), bytes(2))
    };
    let full = Part {
        mode: Mode::Full,
        setup: Setup::Passive,
    };
    let (proven, _, sent) = first_flight(31, full);
    assert!(proven && sent > 0);
    // A lite agent asks when the handshake repeats itself; without an answer, what came is what counts.
    let (proven, received, sent) = first_flight(32, LITE_PASSIVE);
    assert!(!proven);
    assert!(sent > 0 && sent <= 3 * received, "{sent} for {received}");
}
