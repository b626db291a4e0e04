//! Two endpoints find each other, verify each other, and say so in order.

use crate::support::{self, FULL_ACTIVE, FULL_ACTPASS, Host, LITE_PASSIVE, Part};
use floe::{
    Event, PeerConnection, PeerConnectionState, TransportStates,
    dtls::{self, RemoteIdentity, Setup, Side},
    ice::{self, Candidate, Mode},
};
use sim::{Link, Pair};
use std::time::Duration;

const FULL_PASSIVE: Part = Part {
    mode: Mode::Full,
    setup: Setup::Passive,
};

#[test]
fn full_meets_full_and_full_meets_lite() {
    for (seed, b_part) in [(1, FULL_ACTIVE), (2, FULL_PASSIVE), (3, LITE_PASSIVE)] {
        let (pair, (a, b)) = support::connected(seed, FULL_ACTPASS, b_part);
        let expected = if b_part.setup == Setup::Active {
            Side::Server
        } else {
            Side::Client
        };
        assert_eq!(pair.a.transport(a).dtls().side(), Some(expected));
        assert_eq!(pair.b.transport(b).dtls().side(), Some(expected.peer()));
        assert_eq!(
            pair.a.transport(a).ice().role(),
            Some(ice::Role::Controlling)
        );
        for (host, id) in [(&pair.a, a), (&pair.b, b)] {
            assert!(host.endpoint.send_path(id).is_some());
            assert!(host.saw(|event| matches!(event, Event::SrtpReady(_))));
            assert!(host.saw(|event| matches!(event, Event::PathLearned(_))));
        }
        let keys = |host: &Host, id| host.transport(id).srtp_keys().expect("SRTP was negotiated");
        assert_eq!(
            keys(&pair.a, a).key(Side::Client),
            keys(&pair.b, b).key(Side::Client)
        );
        assert_ne!(
            keys(&pair.a, a).key(Side::Client),
            keys(&pair.a, a).key(Side::Server)
        );
    }
}

// req: R84 R82
#[test]
fn dtls_starts_with_the_first_pair_that_works_and_not_before() {
    let mut pair = support::world(4);
    pair.network.cut();
    let (a, b) = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    let wire = pair.network.wiretap();
    pair.run_for(Duration::from_secs(5));
    assert!(wire.len() > 5, "checks go out");
    assert!(
        wire.take()
            .iter()
            .all(|(_, datagram)| datagram.bytes[0] < 4),
        "and nothing but checks"
    );
    assert_eq!(pair.a.ice(a), ice::State::Checking);
    assert_eq!(
        (pair.a.dtls(a), pair.b.dtls(b)),
        (dtls::State::New, dtls::State::New)
    );

    pair.network.heal();
    support::drive_until_connected(&mut pair, (a, b));
    for (host, id) in [(&pair.a, a), (&pair.b, b)] {
        let connected = |t: &ice::Transition| t.to == ice::State::Connected;
        let path = host
            .ice_transitions(id)
            .into_iter()
            .find(connected)
            .expect("ICE connected")
            .at;
        let dtls = host.dtls_transitions(id);
        let states: Vec<_> = dtls.iter().map(|t| (t.from, t.to)).collect();
        use dtls::State::{Connected, Connecting, New};
        assert_eq!(states, [(New, Connecting), (Connecting, Connected)]);
        assert!(dtls[0].at >= path);
        assert_eq!(
            (dtls[0].reason, dtls[1].reason),
            (dtls::Reason::Started, dtls::Reason::PeerVerified)
        );
    }
}

/// The aggregates of a connection with one transport, as its events come in.
#[derive(Default)]
struct Aggregates {
    gathering: Vec<String>,
    ice: Vec<String>,
    connection: Vec<String>,
}

impl Aggregates {
    fn note(&mut self, peer: &PeerConnection) {
        let note = |seen: &mut Vec<String>, state: String| {
            if seen.last() != Some(&state) {
                seen.push(state);
            }
        };
        note(&mut self.gathering, peer.ice_gathering_state().to_string());
        note(&mut self.ice, peer.ice_connection_state().to_string());
        note(&mut self.connection, peer.connection_state().to_string());
    }
}

// req: R80 R81 R82 R83 R85
#[test]
fn a_whole_connection_goes_through_the_golden_traces() {
    for (seed, b_part) in [(20, FULL_ACTIVE), (21, LITE_PASSIVE)] {
        let mut pair = support::world(seed);
        let (a, b) = support::signalled(&mut pair, FULL_ACTPASS, b_part);
        support::drive_until_connected(&mut pair, (a, b));
        pair.drive_until(|host, _| host.ice(a) == ice::State::Completed);

        let mut peer = PeerConnection::new();
        let mut seen = Aggregates::default();
        let mut dtls_connected = false;
        peer.add_transport(pair.now(), a, TransportStates::default());
        seen.note(&peer);
        for (id, event) in &pair.a.events {
            peer.handle_transport_event(pair.now(), *id, event);
            seen.note(&peer);
            if let Event::DtlsStateChange(transition) = event {
                dtls_connected |= transition.to == dtls::State::Connected;
            }
            let connected = peer.connection_state() == PeerConnectionState::Connected;
            assert_eq!(connected, dtls_connected, "ICE was first, and not enough");
        }
        assert_eq!(seen.gathering, ["new", "gathering", "complete"]);
        assert_eq!(seen.ice, ["new", "checking", "connected", "completed"]);
        assert_eq!(seen.connection, ["new", "connecting", "connected"]);
        let of = |t: &dtls::Transition| t.to.to_string();
        let dtls: Vec<_> = pair.a.dtls_transitions(a).iter().map(of).collect();
        assert_eq!(dtls, ["connecting", "connected"]);
    }
}

#[test]
fn candidates_may_come_before_parameters_and_long_after() {
    let mut pair = support::world(5);
    let now = pair.now();
    let (a, b) = support::created(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    // Candidates first...
    pair.b.with_transport(now, b, |t| {
        t.add_remote_candidate(now, Candidate::host(sim::address(1)))
            .unwrap();
        t.add_local_candidate(now, Candidate::host(sim::address(2)))
            .unwrap();
    });
    pair.a
        .with_transport(now, a, |t| t.set_remote_setup(now, Setup::Active).unwrap());
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.b.ice(b), ice::State::New);
    // ...then parameters, and `a`'s candidates a while later.
    support::exchange_parameters(&mut pair, (a, b), Mode::Full, Mode::Full);
    pair.run_for(Duration::from_secs(3));
    let now = pair.now();
    pair.a.with_transport(now, a, |t| {
        t.add_local_candidate(now, Candidate::host(sim::address(1)))
            .unwrap();
        t.local_candidates_complete(now);
        t.remote_candidates_complete(now);
    });
    pair.b.with_transport(now, b, |t| {
        t.local_candidates_complete(now);
        t.remote_candidates_complete(now);
    });
    support::drive_until_connected(&mut pair, (a, b));
    pair.drive_until(|host, _| host.ice(a) == ice::State::Completed);
    // Nobody ever signalled `b`'s address: it was learned.
    let selected = pair.a.transport(a).ice().selected_candidate_pair().unwrap();
    assert_eq!(selected.remote, ice::CandidateType::PeerReflexive);
}

// req: T6
#[test]
fn a_wrong_fingerprint_is_dtls_failed_and_never_connected() {
    let mut pair = support::world(6);
    let now = pair.now();
    let ids @ (a, b) = support::created(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    let impostor = support::fingerprints(&support::identity(3));
    let options = floe::TransportOptions {
        mode: Mode::Full,
        initiation: ice::Initiation::Initiating,
        setup: Setup::ActPass,
        remote_identity: RemoteIdentity::Fingerprints(impostor),
        local_parameters: None,
    };
    pair.a.endpoint.remove(now, a);
    let a = pair.a.endpoint.create(now, options).unwrap();
    support::exchange_parameters(&mut pair, (a, ids.1), Mode::Full, Mode::Full);
    support::add_candidates(&mut pair, (a, b));
    pair.a
        .with_transport(now, a, |t| t.set_remote_setup(now, Setup::Active).unwrap());
    pair.drive_until(|host, _| host.dtls(a) == dtls::State::Failed);
    // Media and data that arrive all the same go nowhere.
    let path = pair
        .a
        .endpoint
        .send_path(a)
        .expect("nothing is wrong with the path");
    let now = pair.now();
    let mut packet = [0x80, 96, 0, 1];
    let outcome = pair.a.endpoint.handle_datagram(now, path, &mut packet);
    let received = floe::Received::Dropped(floe::DropReason::NotConnected);
    assert_eq!(
        outcome,
        floe::Outcome::Routed {
            transport: a,
            received
        }
    );
    pair.run_for(Duration::from_secs(10));

    let transitions = pair.a.dtls_transitions(a);
    assert!(transitions.iter().all(|t| t.to != dtls::State::Connected));
    assert_eq!(
        transitions.last().unwrap().reason,
        dtls::Reason::FingerprintMismatch
    );
    assert!(pair.a.transport(a).srtp_keys().is_none());
    assert!(!pair.a.saw(|event| matches!(event, Event::SrtpReady(_))));
    assert_ne!(
        pair.b.dtls(b),
        dtls::State::Connected,
        "the other side hears of it before it is done"
    );
}

// req: T6
#[test]
fn fingerprints_may_come_late_and_nothing_is_connected_without() {
    let mut pair = support::world(7);
    let now = pair.now();
    let (a, b) = support::created(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    pair.a.endpoint.remove(now, a);
    let options = floe::TransportOptions {
        mode: Mode::Full,
        initiation: ice::Initiation::Initiating,
        setup: Setup::ActPass,
        remote_identity: RemoteIdentity::Later,
        local_parameters: None,
    };
    let a = pair.a.endpoint.create(now, options).unwrap();
    support::exchange_parameters(&mut pair, (a, b), Mode::Full, Mode::Full);
    support::add_candidates(&mut pair, (a, b));
    pair.drive_until(|host, _| host.saw(|event| *event == Event::NeedFingerprints));
    pair.run_for(Duration::from_secs(3));
    assert_eq!(pair.a.dtls(a), dtls::State::Connecting);
    assert!(
        pair.a.saw(|event| *event == Event::BecameServer),
        "actpass met a ClientHello"
    );
    let (now, theirs) = (pair.now(), pair.b.fingerprints());
    pair.a
        .with_transport(now, a, |t| t.set_remote_fingerprints(now, theirs).unwrap());
    support::drive_until_connected(&mut pair, (a, b));
}

#[test]
fn hostile_links_delay_and_do_not_prevent() {
    for seed in 0..20 {
        let (a, b) = (
            [sim::address(1), sim::address_v6(1)],
            [sim::address(2), sim::address_v6(2)],
        );
        let mut pair = Pair::new(100 + seed, (Host::new(1, &a), &a), (Host::new(2, &b), &b));
        // But for damage, which rightly ends a handshake that has no keys yet.
        pair.network.set_links(Link {
            corruption: 0.0,
            ..Link::hostile()
        });
        let ids = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
        support::drive_until_connected(&mut pair, ids);
        assert!(
            pair.elapsed() < Duration::from_secs(20),
            "seed {seed}: {:?}",
            pair.elapsed()
        );
    }
}
