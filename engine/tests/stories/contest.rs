//! Two sessions, one 5-tuple (I54).

use crate::{
    crafted,
    support::{self, FULL_ACTIVE, FULL_ACTPASS, Host, LITE_PASSIVE, datagram_to_b},
};
use floe::{
    DropReason, Endpoint, Event, Outcome, Received, TransportId,
    ice::{FiveTuple, Mode, Parameters},
    stun::{Class, Message},
};
use sim::Pair;
use std::{net::SocketAddr, time::Instant};

/// The path as `b` sees it.
fn path() -> FiveTuple {
    FiveTuple::udp(sim::address(2), sim::address(1))
}

fn holder(host: &mut Host, now: Instant) -> Option<TransportId> {
    // Media finds the holder of a 5-tuple, whatever becomes of it there.
    match host
        .endpoint
        .handle_datagram(now, path(), &mut [0x80, 0, 0, 0])
    {
        Outcome::Routed { transport, .. } => Some(transport),
        _ => None,
    }
}

fn second_session(pair: &mut Pair<Host, Host>) -> (TransportId, TransportId) {
    support::created(pair, FULL_ACTPASS, FULL_ACTIVE)
}

/// `b` knows the challenger's peer, who sits at `a`'s address, as far as its signalling goes.
fn knows_its_peer(pair: &mut Pair<Host, Host>, (of_a, of_b): (TransportId, TransportId)) {
    let now = pair.now();
    let peer = support::parameters(&pair.a, of_a, Mode::Full);
    pair.b.with_transport(now, of_b, |transport| {
        transport
            .set_remote_parameters(now, peer)
            .expect("new parameters");
        let local = floe::ice::Candidate::host(sim::address(2));
        transport
            .add_local_candidate(now, local)
            .expect("a host candidate");
    });
}

// req: I54
#[test]
fn a_spoofed_source_address_is_answered_and_moves_nothing() {
    let (mut pair, (_, victim)) = support::connected(11, FULL_ACTPASS, FULL_ACTIVE);
    let (of_a, attacker) = second_session(&mut pair);
    knows_its_peer(&mut pair, (of_a, attacker));
    // The attacker's own client is gone: nobody at the victim's address will answer for it.
    let now = pair.now();
    let ufrag = pair
        .a
        .transport(of_a)
        .local_parameters()
        .username_fragment()
        .to_owned();
    pair.a.endpoint.detach(of_a);

    let credentials = pair.b.transport(attacker).local_parameters().clone();
    let wire = pair.network.wiretap();
    for transaction in 0..10 {
        pair.inject(datagram_to_b(&crafted::request(
            &credentials,
            &ufrag,
            transaction,
        )));
        pair.run_for(std::time::Duration::from_millis(50));
        assert_eq!(holder(&mut pair.b, now), Some(victim));
    }
    let answers = wire.seen().into_iter().filter(|(_, datagram)| {
        let message = Message::parse(&datagram.bytes);
        datagram.source == sim::address(2)
            && message.is_ok_and(|m| m.class() == Class::SuccessResponse)
    });
    assert!(answers.count() >= 10, "each request is answered");
    let stats = pair.b.endpoint.stats();
    assert!(stats.contested_tuples >= 10);
    assert_eq!(stats.takeovers, 0);
    assert!(pair.b.is_connected(victim));
    assert!(!pair.b.saw(|event| matches!(event, Event::PathReleased(_))));
}

// req: I54
#[test]
fn an_own_check_that_succeeds_takes_the_path_over_once() {
    let (mut pair, (_, first)) = support::connected(12, FULL_ACTPASS, FULL_ACTIVE);
    let second = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    let now = pair.now();
    assert_eq!(holder(&mut pair.b, now), Some(first));

    pair.drive_until(|_, b| b.endpoint.stats().takeovers == 1);
    let now = pair.now();
    assert_eq!(holder(&mut pair.b, now), Some(second.1));
    assert!(pair.b.endpoint.stats().contested_tuples >= 1);
    let after: Vec<_> = pair
        .b
        .events
        .iter()
        .filter(|(_, event)| is_path_event(event))
        .copied()
        .collect();
    assert!(
        after.ends_with(&[
            (first, Event::PathReleased(path())),
            (second.1, Event::PathLearned(path()))
        ]) || after.ends_with(&[
            (second.1, Event::PathLearned(path())),
            (first, Event::PathReleased(path()))
        ])
    );

    // Both go on with their consent checks: they do not take turns.
    pair.run_for(std::time::Duration::from_secs(60));
    assert_eq!(pair.b.endpoint.stats().takeovers, 1);
    let now = pair.now();
    assert_eq!(holder(&mut pair.b, now), Some(second.1));
}

// req: I54
#[test]
fn a_lite_transport_checks_the_path_that_another_lives_on() {
    let (mut pair, (_, first)) = support::connected(14, FULL_ACTPASS, LITE_PASSIVE);
    let second = support::signalled(&mut pair, FULL_ACTPASS, LITE_PASSIVE);
    let now = pair.now();
    assert_eq!(holder(&mut pair.b, now), Some(first));
    pair.drive_until(|a, b| a.is_connected(second.0) && b.is_connected(second.1));
    assert_eq!(pair.b.endpoint.stats().takeovers, 1);
    let now = pair.now();
    assert_eq!(holder(&mut pair.b, now), Some(second.1));
    assert!(pair.b.transport(second.1).ice().is_proven(&path()));
}

/// Of its many addresses the agent remembers the latest, and those it has forgotten take no place from the next.
// req: I54
#[test]
fn a_peer_that_moves_and_moves_is_found_at_its_latest_address() {
    let (mut pair, (a, b)) = support::connected(21, FULL_ACTPASS, LITE_PASSIVE);
    let now = pair.now();
    let to = pair.b.transport(b).local_parameters().clone();
    let from = pair.a.transport(a).local_parameters().username_fragment();
    let from = from.to_owned();
    for number in 0..100u16 {
        let at = SocketAddr::new(sim::address(1).ip(), 20_000 + number);
        let path = FiveTuple::udp(sim::address(2), at);
        let mut check = crafted::request(&to, &from, 5000 + u64::from(number));
        let outcome = pair.b.endpoint.handle_datagram(now, path, &mut check);
        assert!(matches!(outcome, Outcome::Routed { transport, .. } if transport == b));
        let mut zrtp = [16; 40];
        let outcome = pair.b.endpoint.handle_datagram(now, path, &mut zrtp);
        let found = Outcome::Routed {
            transport: b,
            received: Received::Zrtp,
        };
        assert_eq!(outcome, found, "{number}");
        while pair.b.endpoint.poll_event().is_some() {}
        while pair.b.endpoint.poll_transmit(&mut [0; 1500]).is_some() {}
    }
    assert_eq!(pair.b.endpoint.stats().paths_refused, 0);
    assert!(pair.b.is_connected(b));
}

fn is_path_event(event: &Event) -> bool {
    matches!(event, Event::PathLearned(_) | Event::PathReleased(_))
}

// req: I54
#[test]
fn a_path_whose_holder_lapsed_is_anybodys_who_can_authenticate() {
    let (mut pair, (_, first)) = support::connected(13, FULL_ACTPASS, FULL_ACTIVE);
    let (of_a, second) = second_session(&mut pair);
    knows_its_peer(&mut pair, (of_a, second));
    let ufrag = pair
        .a
        .transport(of_a)
        .local_parameters()
        .username_fragment()
        .to_owned();
    pair.a.endpoint.detach(of_a);
    let credentials = pair.b.transport(second).local_parameters().clone();

    pair.inject(datagram_to_b(&crafted::request(&credentials, &ufrag, 1)));
    pair.step();
    let now = pair.now();
    assert_eq!(holder(&mut pair.b, now), Some(first));

    pair.b.endpoint.close(now, first);
    assert_eq!(
        holder(&mut pair.b, now),
        None,
        "a closed transport holds nothing"
    );
    pair.inject(datagram_to_b(&crafted::forged_request(
        &credentials,
        &ufrag,
        2,
    )));
    pair.step();
    assert_eq!(holder(&mut pair.b, now), None, "a forgery takes nothing");
    pair.inject(datagram_to_b(&crafted::request(&credentials, &ufrag, 3)));
    pair.step();
    assert_eq!(holder(&mut pair.b, now), Some(second));
    assert_eq!(pair.b.endpoint.stats().takeovers, 0, "nobody lost anything");
}

/// A transport of `endpoint` with an address of its own, that knows its peer; and its credentials.
fn answering(endpoint: &mut Endpoint, now: Instant) -> (TransportId, Parameters) {
    let options = floe::TransportOptions {
        mode: Mode::Full,
        initiation: floe::ice::Initiation::Responding,
        setup: floe::dtls::Setup::Passive,
        remote_identity: floe::dtls::RemoteIdentity::Later,
        local_parameters: None,
    };
    let id = endpoint
        .create(now, options)
        .expect("it is new and has room");
    let peer = Parameters::new("peer", "0123456789012345678901").expect("it is new and has room");
    endpoint
        .with(now, id, |transport| {
            let peer = floe::ice::RemoteParameters::new(peer);
            transport
                .set_remote_parameters(now, peer)
                .expect("it is new and has room");
            let local = floe::ice::Candidate::host(sim::address(2));
            transport
                .add_local_candidate(now, local)
                .expect("it is new and has room");
        })
        .expect("it is new and has room");
    let credentials = endpoint
        .transport(id)
        .expect("it is new and has room")
        .local_parameters()
        .clone();
    (id, credentials)
}

#[test]
fn a_transport_holds_as_many_paths_as_it_may() {
    let host = Host::with(2, &[], |config| config.max_paths = 2);
    let (mut endpoint, now) = (host.endpoint, support::world(18).now());
    let (id, credentials) = answering(&mut endpoint, now);
    let from = |host| FiveTuple::udp(sim::address(2), sim::address(host));
    for host in 11..16u8 {
        let mut request = crafted::request(&credentials, "peer", host.into());
        let outcome = endpoint.handle_datagram(now, from(host), &mut request);
        assert_eq!(
            outcome,
            Outcome::Routed {
                transport: id,
                received: Received::Handled
            }
        );
    }
    assert_eq!(endpoint.stats().paths_refused, 3);
    let learned: Vec<_> = std::iter::from_fn(|| endpoint.poll_event())
        .filter(|(_, event)| is_path_event(event))
        .collect();
    assert_eq!(
        learned,
        [
            (id, Event::PathLearned(from(11))),
            (id, Event::PathLearned(from(12)))
        ]
    );
}

// req: I54
#[test]
fn paths_that_come_and_go_between_two_polls_leave_nothing_behind() {
    let host = Host::new(2, &[]);
    let (mut endpoint, now) = (host.endpoint, support::world(20).now());
    let (id, credentials) = answering(&mut endpoint, now);
    let mut buf = [0; 1500];
    let mut from_new_sources = |endpoint: &mut Endpoint, ports: std::ops::Range<u16>| {
        for port in ports {
            let source = SocketAddr::new(sim::address(1).ip(), port);
            let path = FiveTuple::udp(sim::address(2), source);
            let mut request = crafted::request(&credentials, "peer", port.into());
            let _ = endpoint.handle_datagram(now, path, &mut request);
            while endpoint.poll_transmit(&mut buf).is_some() {}
        }
    };
    from_new_sources(&mut endpoint, 10_000..11_000);
    let remembered = |endpoint: &Endpoint| format!("{:?}", endpoint.transport(id).unwrap()).len();
    let before = remembered(&endpoint);
    from_new_sources(&mut endpoint, 11_000..15_000);
    let after = remembered(&endpoint);
    assert!(after < before + before / 4, "{before} became {after}");
}

// req: I8
#[test]
fn an_address_is_the_same_however_it_is_spelt() {
    let (mut pair, (_, b)) = support::connected(19, FULL_ACTPASS, FULL_ACTIVE);
    let mapped =
        |host: u8| -> SocketAddr { format!("[::ffff:192.0.2.{host}]:4000").parse().unwrap() };
    let now = pair.now();
    let mut packet = [0x80, 111, 0, 1];
    let outcome =
        pair.b
            .endpoint
            .handle_datagram(now, FiveTuple::udp(mapped(2), mapped(1)), &mut packet);
    let received = Received::Media(floe::MediaKind::Rtp);
    assert_eq!(
        outcome,
        Outcome::Routed {
            transport: b,
            received
        }
    );
}

// req: I54 I53
#[test]
fn before_authentication_a_path_is_nobodys() {
    let mut pair = support::world(14);
    let (of_a, of_b) = support::created(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    knows_its_peer(&mut pair, (of_a, of_b));
    let credentials = pair.b.transport(of_b).local_parameters().clone();
    let now = pair.now();
    let forged = &mut crafted::forged_request(&credentials, "evil", 1)[..];
    let outcome = pair.b.endpoint.handle_datagram(now, path(), forged);
    assert!(matches!(
        outcome,
        Outcome::Routed {
            received: Received::Dropped(DropReason::Ice(_)),
            ..
        }
    ));
    for first in [20, 16, 80, 128] {
        let mut datagram = [first, 0, 0, 0];
        let outcome = pair.b.endpoint.handle_datagram(now, path(), &mut datagram);
        assert_eq!(
            outcome,
            Outcome::Dropped(DropReason::UnknownPath),
            "first byte {first}"
        );
    }
    assert_eq!(
        pair.b
            .endpoint
            .poll_event()
            .filter(|(_, event)| is_path_event(event)),
        None
    );
    assert_eq!(
        pair.b
            .endpoint
            .stats()
            .dropped
            .count(DropReason::UnknownPath),
        4
    );
}
