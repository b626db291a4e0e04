//! Strangers and a man on the path: 100 000 datagrams that no honest peer sends.

use crate::{
    crafted,
    support::{self, FULL_ACTIVE, FULL_ACTPASS, Host, LITE_PASSIVE, Part},
};
use floe::{
    DropReason, Endpoint, Outcome, Received, TransportId,
    ice::{self, FiveTuple},
    stun::Message,
};
use sim::{Attacker, Datagram, Node, Pair};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

const FLOOD: usize = 100_000;

/// Genuine datagrams of a session, the material of forgeries.
fn recorded(
    seed: u64,
    b_part: Part,
) -> (Pair<Host, Host>, (TransportId, TransportId), Vec<Datagram>) {
    let mut pair = support::world(seed);
    let wire = pair.network.wiretap();
    let ids @ (a, b) = support::signalled(&mut pair, FULL_ACTPASS, b_part);
    support::drive_until_connected(&mut pair, ids);
    for number in 0..20u8 {
        let now = pair.now();
        pair.a.send(now, a, &[number; 200]);
        pair.b.send(now, b, &[number; 200]);
        pair.run_for(Duration::from_millis(700));
    }
    pair.network.remove_taps();
    let genuine = wire
        .seen()
        .into_iter()
        .map(|(_, datagram)| datagram)
        .collect();
    (pair, ids, genuine)
}

/// One hostile datagram for `b`: garbage, a replay, a mutation, a splice, from the peer's address or a stranger's.
fn hostile(attacker: &mut Attacker, genuine: &[Datagram], number: usize) -> Datagram {
    let (known, stranger): (SocketAddr, SocketAddr) = (sim::address(1), sim::address(66));
    let source = if number.is_multiple_of(3) {
        stranger
    } else {
        known
    };
    let pick = |skip: usize| &genuine[(number * 7 + skip) % genuine.len()];
    let mut datagram = match number % 5 {
        0 => attacker.garbage(source, sim::address(2), 1400),
        1 => pick(0).clone(),
        2 => attacker.splice(pick(1), pick(5)),
        _ => attacker.mutate(pick(2)),
    };
    (datagram.source, datagram.destination) = (source, sim::address(2));
    datagram
}

fn pour(endpoint: &mut Endpoint, now: Instant, datagram: &mut Datagram, buf: &mut [u8]) {
    let path = FiveTuple::udp(datagram.destination, datagram.source);
    let _ = endpoint.handle_datagram(now, path, &mut datagram.bytes);
    while endpoint.poll_transmit(buf).is_some() {}
    while endpoint.poll_event().is_some() {}
}

// req: I44 I41 T32
#[test]
fn a_hundred_thousand_hostile_datagrams_change_nothing() {
    for (seed, b_part) in [(81, FULL_ACTIVE), (82, LITE_PASSIVE)] {
        let (mut pair, ids @ (a, b), genuine) = recorded(seed, b_part);
        let before = (pair.b.transport(b).states(), pair.b.endpoint.send_path(b));
        let transitions = (
            pair.b.ice_transitions(b).len(),
            pair.b.dtls_transitions(b).len(),
        );
        let mut attacker = Attacker::new(seed);
        let mut buf = [0; 1500];
        let now = pair.now();
        // Warm-up: what grows once may, such as the counters when there are many reasons to drop; then nothing.
        let mut earlier = Attacker::new(seed + 100);
        for number in 0..FLOOD / 2 {
            let datagram = &mut hostile(&mut earlier, &genuine, number);
            pour(&mut pair.b.endpoint, now, datagram, &mut buf);
        }
        for number in 0..FLOOD / 10 {
            let datagram = &mut hostile(&mut attacker, &genuine, number);
            pour(&mut pair.b.endpoint, now, datagram, &mut buf);
        }
        let mut flood: Vec<_> = (0..FLOOD / 10)
            .map(|number| hostile(&mut attacker, &genuine, number))
            .collect();
        for round in 0..10 {
            let info = allocation_counter::measure(|| {
                flood
                    .iter_mut()
                    .for_each(|datagram| pour(&mut pair.b.endpoint, now, datagram, &mut buf));
            });
            assert_eq!(info.bytes_current, 0, "round {round}: memory is flat");
            assert_eq!(info.count_current, 0, "round {round}: memory is flat");
            flood = (0..FLOOD / 10)
                .map(|number| hostile(&mut attacker, &genuine, round * 31 + number))
                .collect();
        }
        pair.b.collect_events(now);
        assert_eq!(
            (pair.b.transport(b).states(), pair.b.endpoint.send_path(b)),
            before
        );
        let after = (
            pair.b.ice_transitions(b).len(),
            pair.b.dtls_transitions(b).len(),
        );
        assert_eq!(
            after, transitions,
            "no state has changed, not even for a moment"
        );

        // And the session is as alive as it was.
        pair.b.data.clear();
        let now = pair.now();
        pair.a.send(now, a, b"unimpressed");
        pair.run_for(Duration::from_secs(40));
        assert_eq!(pair.b.data, [(b, b"unimpressed".to_vec())]);
        assert!(pair.a.is_connected(ids.0) && pair.b.is_connected(ids.1));
    }
}

// req: I44 I41
#[test]
fn a_flood_during_the_handshake_does_not_prevent_it() {
    let (_, _, genuine) = recorded(83, FULL_ACTIVE);
    let mut pair = support::world_of(84, (5, 6));
    let ids = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    let mut attacker = Attacker::new(84);
    let mut number = 0;
    while !(pair.a.is_connected(ids.0) && pair.b.is_connected(ids.1)) {
        for _ in 0..100 {
            number += 1;
            let datagram = hostile(&mut attacker, &genuine, number);
            // On the path a plaintext handshake message is the peer's word as good as anybody's: strangers only.
            pair.inject(Datagram {
                source: sim::address(66),
                ..datagram
            });
        }
        pair.run_for(Duration::from_millis(5));
        assert!(
            pair.elapsed() < Duration::from_secs(2),
            "no slower than alone: {:?}",
            pair.elapsed()
        );
    }
}

// req: I41
#[test]
fn strangers_are_counted_and_leave_nothing() {
    let host = Host::new(1, &[]);
    let (mut endpoint, now) = (host.endpoint, support::world(85).now());
    let (mut attacker, mut buf) = (Attacker::new(85), [0; 1500]);
    let mut flood: Vec<_> = (0..10_000)
        .map(|_| attacker.garbage(sim::address(66), sim::address(2), 200))
        .collect();
    let info = allocation_counter::measure(|| {
        flood
            .iter_mut()
            .for_each(|datagram| pour(&mut endpoint, now, datagram, &mut buf));
    });
    assert_eq!(info.count_total, 0, "garbage costs no allocation");
    let stats = endpoint.stats();
    assert_eq!(stats.received, 10_000);
    assert_eq!(stats.received, stats.dropped.total() + stats.unknown_ufrag);
}

// req: I41
#[test]
fn a_check_that_names_nobody_is_refused_by_who_lives_where_it_comes_from() {
    let (mut pair, (_, b)) = support::connected(86, FULL_ACTPASS, FULL_ACTIVE);
    pair.run_for(Duration::from_secs(1));
    let now = pair.now();
    let mut asked = |from: u8, request: &mut [u8]| {
        let endpoint = &mut pair.b.endpoint;
        let path = FiveTuple::udp(sim::address(2), sim::address(from));
        let nameless = Received::Dropped(DropReason::Ice(ice::DropReason::MissingUsername));
        let here = match endpoint.handle_datagram(now, path, request) {
            Outcome::Routed {
                transport,
                received,
            } => transport == b && received == nameless,
            Outcome::Dropped(reason) => {
                assert_eq!(reason, DropReason::MissingUsername);
                false
            }
            other => panic!("{other:?}"),
        };
        let (mut codes, mut buf) = (Vec::new(), [0; 1500]);
        while let Some(transmit) = endpoint.poll_transmit(&mut buf) {
            let answer = Message::parse(&buf[..transmit.len]).expect("it is STUN");
            codes.extend(answer.error_code().map(floe::stun::ErrorCode::number));
            assert!(transmit.len <= request.len() && transmit.path == path);
        }
        (here, codes)
    };
    let mut bare = crafted::bare_request(7);
    assert_eq!(asked(66, &mut bare), (false, vec![]), "nobody is there");
    assert_eq!(asked(1, &mut bare), (true, vec![400]));
    assert_eq!(asked(1, &mut bare), (true, vec![]), "once a second");
    // Who names somebody does not get another's answer.
    let mut unknown = crafted::write("somebody", "a password of nobody's", "abcd", 8);
    unknown[24..32].copy_from_slice(b"somebod\xff");
    let path = FiveTuple::udp(sim::address(2), sim::address(1));
    let endpoint = &mut pair.b.endpoint;
    let outcome = endpoint.handle_datagram(now, path, &mut unknown);
    assert_eq!(outcome, Outcome::Dropped(DropReason::MissingUsername));
    assert!(pair.b.is_connected(b));
}
