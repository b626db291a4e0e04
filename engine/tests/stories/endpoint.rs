//! One endpoint, many transports: names, fairness, late sessions, what is dropped.

use crate::{
    crafted,
    support::{self, FULL_ACTIVE, FULL_ACTPASS, Host},
};
use floe::{
    ApiMisuse, DropReason,
    MediaKind::{Rtcp, Rtp},
    Outcome, Received, TransportId, TransportOptions,
    dtls::{RemoteIdentity, Setup},
    ice::{Candidate, FiveTuple, Initiation, LocalParameters, Mode, Parameters, RemoteParameters},
};
use std::{collections::HashMap, time::Duration};

fn options(local_parameters: Option<LocalParameters>) -> TransportOptions {
    TransportOptions {
        mode: Mode::Full,
        initiation: Initiation::Responding,
        setup: Setup::Active,
        remote_identity: RemoteIdentity::Later,
        local_parameters,
    }
}

#[test]
fn transports_with_several_events_take_turns_to_tell_them() {
    let mut pair = support::world(45);
    let now = pair.now();
    let endpoint = &mut pair.a.endpoint;
    let ids: Vec<TransportId> = (0..3)
        .map(|_| endpoint.create(now, options(None)).unwrap())
        .collect();
    for id in &ids {
        assert!(endpoint.close(now, *id));
    }
    let told = std::iter::from_fn(|| endpoint.poll_event()).map(|(id, _)| id);
    let told: Vec<TransportId> = told.collect();
    assert!(told.len() >= 2 * ids.len(), "{told:?}");
    for (turn, round) in told.chunks(ids.len()).enumerate() {
        assert_eq!(round, &ids[..round.len()], "round {turn}");
    }
}

fn named(ufrag: &str) -> Option<LocalParameters> {
    Some(LocalParameters::with_username_fragment(ufrag).expect("a good name"))
}

// req: I40
#[test]
fn a_live_username_fragment_is_refused() {
    let mut pair = support::world(41);
    let now = pair.now();
    let endpoint = &mut pair.a.endpoint;
    let first = endpoint.create(now, options(named("room1"))).unwrap();
    assert_eq!(
        endpoint.create(now, options(named("room1"))),
        Err(ApiMisuse::UfragInUse)
    );

    // A restart keeps the old name alive beside the new one, and takes nobody else's.
    let second = endpoint.create(now, options(named("room2"))).unwrap();
    assert_eq!(
        endpoint.restart(now, second, named("room1"), None),
        Err(ApiMisuse::UfragInUse)
    );
    assert_eq!(
        endpoint
            .transport(second)
            .unwrap()
            .local_parameters()
            .username_fragment(),
        "room2"
    );
    endpoint.restart(now, second, named("room3"), None).unwrap();
    assert_eq!(
        endpoint.create(now, options(named("room3"))),
        Err(ApiMisuse::UfragInUse)
    );

    // Behind the endpoint's back it is noticed, and the holder keeps it.
    endpoint
        .with(now, second, |transport| {
            transport.restart(now, named("room1"), None)
        })
        .unwrap()
        .unwrap();
    assert_eq!(endpoint.stats().ufrag_conflicts, 1);
    let credentials = endpoint
        .transport(first)
        .unwrap()
        .local_parameters()
        .clone();
    let path = FiveTuple::udp(sim::address(1), sim::address(2));
    let outcome = endpoint
        .handle_datagram(
            now,
            path,
            &mut crafted::request(&credentials, "peer", 1)[..],
        )
        .routed();
    assert_eq!(outcome, Some(first));

    // A name is free again when its owner is gone.
    assert!(endpoint.remove(now, first));
    endpoint.create(now, options(named("room1"))).unwrap();
}

#[test]
fn the_names_of_before_leave_nothing_behind() {
    let mut pair = support::world(46);
    let now = pair.now();
    let endpoint = &mut pair.a.endpoint;
    let id = endpoint.create(now, options(named("room"))).unwrap();
    let mut restart = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            let name = format!("room{number}");
            endpoint.restart(now, id, named(&name), None).unwrap();
        }
        while endpoint.poll_event().is_some() {}
    };
    restart(0..10);
    let restarts = allocation_counter::measure(|| restart(10..10_000));
    // Of each, one entry in the table of names would be eight bytes.
    assert!(restarts.bytes_current < 16_000, "{restarts:?}");
}

trait Routed {
    fn routed(self) -> Option<TransportId>;
}

impl Routed for Outcome<'_> {
    fn routed(self) -> Option<TransportId> {
        match self {
            Outcome::Routed { transport, .. } => Some(transport),
            _ => None,
        }
    }
}

#[test]
fn an_endpoint_holds_as_many_transports_as_it_may() {
    let host = Host::with(1, &[], |config| config.max_transports = 2);
    let pair = support::world(42);
    let (mut endpoint, now) = (host.endpoint, pair.now());
    let first = endpoint.create(now, options(None)).unwrap();
    endpoint.create(now, options(None)).unwrap();
    assert_eq!(
        endpoint.create(now, options(None)),
        Err(ApiMisuse::TooManyTransports)
    );
    endpoint.remove(now, first);
    endpoint.create(now, options(None)).unwrap();
    assert!(
        endpoint.transport(first).is_none(),
        "an old id finds nothing"
    );
    assert_eq!(endpoint.with(now, first, |_| ()), None);
    assert_eq!(
        endpoint.restart(now, first, None, None),
        Err(ApiMisuse::UnknownTransport)
    );
}

#[test]
fn a_session_can_be_made_when_its_first_check_arrives() {
    let mut pair = support::world(43);
    let now = pair.now();
    let (of_b, late) = (named("late/one").unwrap(), named("caller/1").unwrap());

    // `a` has been told `b`'s credentials by some other channel, and begins.
    let mut a_options = options(Some(late.clone()));
    a_options.initiation = Initiation::Initiating;
    a_options.remote_identity = RemoteIdentity::Fingerprints(pair.b.fingerprints());
    let a = pair.a.endpoint.create(now, a_options).unwrap();
    pair.a.with_transport(now, a, |transport| {
        transport
            .set_remote_parameters(now, RemoteParameters::new(of_b.as_parameters().clone()))
            .unwrap();
        transport
            .add_local_candidate(now, Candidate::host(sim::address(1)))
            .unwrap();
        transport
            .add_remote_candidate(now, Candidate::host(sim::address(2)))
            .unwrap();
    });
    pair.drive_until(|_, b| !b.unknown.is_empty());
    let (local, remote, from) = pair.b.unknown[0].clone();
    assert_eq!((local.as_str(), remote.as_str()), ("late/one", "caller/1"));
    assert_eq!(from.remote, sim::address(1));
    assert_eq!(
        pair.b.endpoint.transports().count(),
        0,
        "nothing was kept of a stranger's word"
    );

    let now = pair.now();
    let mut b_options = options(Some(of_b));
    b_options.setup = Setup::Passive;
    b_options.remote_identity = RemoteIdentity::Fingerprints(pair.a.fingerprints());
    let b = pair.b.endpoint.create(now, b_options).unwrap();
    pair.b.with_transport(now, b, |transport| {
        transport
            .set_remote_parameters(now, RemoteParameters::new(late.as_parameters().clone()))
            .unwrap();
        transport
            .add_local_candidate(now, Candidate::host(sim::address(2)))
            .unwrap();
    });
    support::drive_until_connected(&mut pair, (a, b));
}

// req: I53
#[test]
fn every_protocol_finds_its_way_or_its_counter() {
    let (mut pair, (_, b)) = support::connected(44, FULL_ACTPASS, FULL_ACTIVE);
    let now = pair.now();
    let path = FiveTuple::udp(sim::address(2), sim::address(1));
    let endpoint = &mut pair.b.endpoint;
    let mut outcomes = HashMap::new();
    for first in 0..=u8::MAX {
        let mut datagram = [0; 40];
        datagram[0] = first;
        let outcome = match endpoint.handle_datagram(now, path, &mut datagram) {
            Outcome::Routed {
                transport,
                received,
            } => {
                assert_eq!(transport, b);
                match received {
                    Received::Media(Rtp) => "media",
                    Received::Zrtp => "zrtp",
                    Received::Quic => "quic",
                    Received::Dropped(DropReason::Dtls(_)) => "dtls",
                    other => panic!("first byte {first}: {other:?}"),
                }
            }
            Outcome::Dropped(DropReason::UnknownProtocol) => "nobody",
            other => panic!("first byte {first}: {other:?}"),
        };
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    let expected = [
        ("nobody", 16),
        ("zrtp", 4),
        ("dtls", 44),
        ("quic", 64 + 64),
        ("media", 64),
    ];
    assert_eq!(outcomes, HashMap::from(expected));
    assert_eq!(
        endpoint.stats().dropped.count(DropReason::UnknownProtocol),
        16
    );
    assert_eq!(endpoint.transport(b).unwrap().stats().media, 64);
    // The second byte tells RTCP from RTP.
    for (second, kind) in [(191, Rtp), (192, Rtcp), (223, Rtcp), (224, Rtp)] {
        let mut datagram = [0; 40];
        datagram[..2].copy_from_slice(&[128, second]);
        let outcome = endpoint.handle_datagram(now, path, &mut datagram);
        let received = Received::Media(kind);
        assert_eq!(
            outcome,
            Outcome::Routed {
                transport: b,
                received
            }
        );
    }
}

// req: I53
#[test]
fn channel_data_is_taken_from_a_known_turn_server_only() {
    let host = Host::with(2, &[], |config| config.turn_servers = vec![sim::address(9)]);
    let (mut endpoint, now) = (host.endpoint, support::world(45).now());
    let from = |remote| FiveTuple::udp(sim::address(2), remote);
    for first in 64..=79 {
        let mut datagram = [first, 0, 0, 4, 1, 2, 3, 4];
        let known = endpoint.handle_datagram(now, from(sim::address(9)), &mut datagram);
        assert_eq!(known, Outcome::FromTurnServer);
        let mut other_port = sim::address(9);
        other_port.set_port(other_port.port() ^ 1);
        for stranger in [sim::address(8), other_port] {
            let unknown = endpoint.handle_datagram(now, from(stranger), &mut datagram);
            assert_eq!(unknown, Outcome::Dropped(DropReason::UnknownPath));
        }
    }
}

#[test]
fn a_thousand_transports_take_turns() {
    let (mut pair, rounds) = (support::world(46), 4);
    let now = pair.now();
    let path = FiveTuple::udp(sim::address(1), sim::address(2));
    let endpoint = &mut pair.a.endpoint;
    let ids: Vec<_> = (0..1000)
        .map(|_| endpoint.create(now, options(None)).unwrap())
        .collect();
    // Transport after transport gets all its requests, so that answers in order of arrival would be unfair.
    for (number, id) in (0..).zip(&ids) {
        let credentials = endpoint.transport(*id).unwrap().local_parameters().clone();
        for round in 0..rounds {
            let mut request = crafted::request(&credentials, "peer", number * rounds + round);
            let outcome = endpoint.handle_datagram(now, path, &mut request);
            assert_eq!(
                outcome,
                Outcome::Routed {
                    transport: *id,
                    received: Received::Handled
                }
            );
        }
    }
    let mut buf = [0; 1500];
    for round in 0..rounds {
        for number in 0..1000 {
            let len = endpoint
                .poll_transmit(&mut buf)
                .expect("an answer for each request")
                .len;
            let id = floe::stun::Message::parse(&buf[..len])
                .unwrap()
                .transaction_id();
            assert_eq!(id, crafted::transaction_id(number * rounds + round));
        }
    }
    assert_eq!(endpoint.poll_transmit(&mut buf), None);
}

#[test]
fn each_of_a_thousand_transports_is_woken_when_it_is_due() {
    let mut pair = support::world(47);
    let start = pair.now();
    let endpoint = &mut pair.a.endpoint;
    for number in 0..1000u64 {
        let now = start + Duration::from_micros(number * 937 % 50_000);
        let peer = Parameters::new(&format!("peer{number}"), "0123456789012345678901").unwrap();
        let id = endpoint.create(now, options(None)).unwrap();
        endpoint
            .with(now, id, |transport| {
                transport
                    .set_remote_parameters(now, RemoteParameters::new(peer))
                    .unwrap();
                transport
                    .add_local_candidate(now, Candidate::host(sim::address(1)))
                    .unwrap();
                transport
                    .add_remote_candidate(now, Candidate::host(sim::address(2)))
                    .unwrap();
            })
            .unwrap();
    }
    let mut buf = [0; 1500];
    let mut checks = HashMap::<Vec<u8>, u32>::new();
    let end = start + Duration::from_millis(3400);
    loop {
        while let Some(transmit) = endpoint.poll_transmit(&mut buf) {
            let message = floe::stun::Message::parse(&buf[..transmit.len]).unwrap();
            *checks
                .entry(message.username().unwrap().to_vec())
                .or_default() += 1;
        }
        let Some(now) = endpoint.poll_timeout().filter(|due| *due < end) else {
            break;
        };
        endpoint.handle_timeout(now);
        assert!(
            endpoint.poll_timeout().is_none_or(|due| due > now),
            "the timer law"
        );
    }
    // RTO 500 ms, doubling: at 0, 0.5 and 1.5 s, and not yet at 3.5 s.
    assert_eq!(checks.len(), 1000);
    assert!(checks.values().all(|count| *count == 3));
}
