//! Flights of DTLS 1.3 under loss: what is acknowledged, what is sent again, and how it is packed (RFC 9147 §5.8, §7).
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::ends::*;
use common::*;
use floe_dtls::*;
use proptest::prelude::*;
use sim::{Clock, Link, Verdict, Wiretap, address};

/// Flags, a sequence number and a length, of 16 bits each.
const UNIFIED_HEADER: usize = 1 + 2 + 2;

const RSA: &str = include_str!("data/rsa2048.pem");

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn config_v13(host: u8) -> Config {
    let mut config = config(host);
    config.min_version = ProtocolVersion::DTLS1_3;
    config.max_version = ProtocolVersion::DTLS1_3;
    config
}

fn pair_v13(seed: u64) -> Story {
    let mut pair = pair_with(seed, config_v13(CLIENT), config_v13(SERVER));
    pair.network.set_links(slow_link());
    pair
}

/// When datagrams of this host were sent since the beginning, and how long they were.
fn sent(wire: &Wiretap, host: u8) -> Vec<(Duration, usize)> {
    wire.seen()
        .into_iter()
        .filter(|(_, datagram)| datagram.source == address(host))
        .map(|(at, datagram)| (at - Clock::epoch(), datagram.bytes.len()))
        .collect()
}

/// Drops the datagrams of `host` whose number (from 0) is in `lost`.
fn lose(pair: &mut Story, host: u8, lost: impl Fn(usize) -> bool + 'static) {
    let count = Cell::new(0);
    pair.network.tap(move |datagram, _| {
        if datagram.source != address(host) {
            return Verdict::Pass;
        }
        match lost(count.replace(count.get() + 1)) {
            true => Verdict::Drop,
            false => Verdict::Pass,
        }
    });
}

fn both_confirmed(a: &Peer, b: &Peer) -> bool {
    a.dtls.is_handshake_confirmed() && b.dtls.is_handshake_confirmed()
}

// req: T21
#[test]
fn three_flights_and_an_ack_at_once_make_a_handshake() {
    let mut pair = pair_v13(1);
    let wire = pair.network.wiretap();
    assert_eq!(connect(&mut pair), ms(150));
    assert!(!pair.a.dtls.is_handshake_confirmed() && pair.b.dtls.is_handshake_confirmed());
    pair.drive_until(both_confirmed);
    assert_eq!(
        pair.now() - Clock::epoch(),
        ms(200),
        "the ACK does not wait"
    );
    pair.run_for(Duration::from_secs(600));
    let times = |host| {
        sent(&wire, host)
            .into_iter()
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
    };
    assert_eq!(times(CLIENT), [ms(0), ms(100)]);
    assert_eq!(times(SERVER), [ms(50), ms(150)]);
    assert_eq!(pair.a.dtls.poll_timeout(), None);
    assert_talking(&mut pair);
}

// req: T21
#[test]
fn a_lost_ack_is_given_again_to_the_flight_that_comes_again() {
    let mut pair = pair_v13(2);
    let wire = pair.network.wiretap();
    // The server's second datagram is the ACK of the client's Finished.
    lose(&mut pair, SERVER, |nth| nth == 1);
    start(&mut pair);
    pair.drive_until(both_confirmed);
    // Sent at 100 ms, again 400 ms later, acknowledged a quarter of the time-out after it came.
    assert_eq!(pair.now() - Clock::epoch(), ms(100 + 400 + 50 + 100 + 50));
    assert_eq!(pair.a.dtls.stats().retransmitted_flights, 1);
    assert_eq!(pair.b.dtls.stats().retransmitted_flights, 0);
    let [_, (_, first), (_, second)] = sent(&wire, SERVER)[..] else {
        panic!("a flight and two ACKs");
    };
    // Header, inner type and tag, and the length of the list.
    let around = UNIFIED_HEADER + 1 + 16 + 2;
    assert_eq!(
        second - around,
        2 * (first - around),
        "the second lists the records of both transmissions"
    );
    assert_talking(&mut pair);
}

// req: T21
#[test]
fn an_ack_lists_what_came_of_a_flight_and_of_its_repetition() {
    let mut client = config_v13(CLIENT);
    client.mtu = 256;
    let mut pair = pair_with(14, client, config_v13(SERVER));
    pair.network.set_links(slow_link());
    let wire = pair.network.wiretap();
    // The ACK of the client's Finished is lost, and of the repetition the second record.
    lose(&mut pair, SERVER, |nth| nth == 1);
    start(&mut pair);
    pair.run_for(ms(300));
    assert!(pair.b.is_connected() && !pair.a.dtls.is_handshake_confirmed());
    lose(&mut pair, CLIENT, |nth| nth == 1);
    pair.drive_until(both_confirmed);
    // The repetition did not come whole, but no third time is needed.
    assert_eq!(pair.now() - Clock::epoch(), ms(100 + 400 + 50 + 100 + 50));
    assert_eq!(pair.a.dtls.stats().retransmitted_flights, 1);
    let count = |at| {
        let sent = sent(&wire, CLIENT).into_iter();
        sent.filter(|(then, _)| *then == at).count()
    };
    let (first, again) = (count(ms(100)), count(ms(500)));
    assert!(first > 1 && again == first, "{first}, {again}");
    // Sixteen bytes for each record: of the first time all, of the repetition all but the lost one.
    let acks: Vec<usize> = sent(&wire, SERVER)[1..]
        .iter()
        .map(|(_, len)| *len)
        .collect();
    assert_eq!(acks, [acks[0], acks[0] + 16 * (again - 1)]);
    assert_talking(&mut pair);
}

// req: T21
#[test]
fn the_clients_last_flight_is_sent_until_it_is_acknowledged_and_no_longer_than_any_other() {
    let mut pair = pair_v13(3);
    let wire = pair.network.wiretap();
    // All but the server's one flight is lost.
    lose(&mut pair, SERVER, |nth| nth > 0);
    start(&mut pair);
    pair.run_for(ms(200));
    assert!(pair.a.is_connected() && !pair.a.dtls.is_handshake_confirmed());
    pair.run_for(Duration::from_secs(600));
    let times: Vec<_> = sent(&wire, CLIENT).into_iter().map(|(at, _)| at).collect();
    let gaps: Vec<_> = times[1..]
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_millis())
        .collect();
    let doubling = [
        400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000, 60_000, 60_000,
    ];
    assert_eq!(gaps, doubling);
    assert_eq!(pair.a.dtls.error(), Some(&Error::HandshakeTimedOut));
    // Each repetition was acknowledged.
    assert_eq!(sent(&wire, SERVER).len(), 2 + doubling.len());
}

// req: T21
#[test]
fn what_an_ack_leaves_out_is_sent_again_at_once_and_nothing_else() {
    let mut server = config_v13(SERVER);
    server.mtu = 256;
    let mut pair = pair_with(4, config_v13(CLIENT), server);
    pair.network.set_links(slow_link());
    let wire = pair.network.wiretap();
    lose(&mut pair, SERVER, |nth| nth == 1);
    start(&mut pair);
    pair.drive_until(both_confirmed);
    let mut datagrams: BTreeMap<Duration, usize> = BTreeMap::new();
    for (at, _) in sent(&wire, SERVER) {
        *datagrams.entry(at).or_default() += 1;
    }
    let mut datagrams = datagrams.into_iter();
    let (first, count) = datagrams.next().unwrap();
    assert!(first == ms(50) && count > 2, "{count}");
    // The rest came at 100 ms, its ACK left a quarter of 400 ms later; an eighth is for what was merely overtaken.
    assert_eq!(datagrams.next(), Some((ms(50 + 50 + 100 + 50 + 50), 1)));
    assert_eq!(pair.b.dtls.stats().retransmitted_flights, 1);
    assert!(ms(400) < pair.now() - Clock::epoch(), "the last ACK");
    assert!(
        pair.now() - Clock::epoch() < ms(50 + 400 + 100),
        "the server's timer had no part in it"
    );
    assert_talking(&mut pair);
}

// req: T22
#[test]
fn encrypted_flights_fill_their_records_and_datagrams() {
    for mtu in [256, 257, 300, 511, 512, 900, 1200, 1400] {
        let mut ends = Ends::with_identities(loaded(RSA), loaded(RSA));
        for config in [&mut ends.client, &mut ends.server] {
            config.mtu = mtu;
            config.max_version = ProtocolVersion::DTLS1_3;
        }
        let mut pair = ends.meet(mtu as u64);
        pair.network.set_links(slow_link());
        let wire = pair.network.wiretap();
        connect(&mut pair);
        for (host, at) in [(SERVER, ms(50)), (CLIENT, ms(100))] {
            let flight: Vec<usize> = sent(&wire, host)
                .into_iter()
                .filter(|(then, _)| *then == at)
                .map(|(_, len)| len)
                .collect();
            let (last, full) = flight.split_last().unwrap();
            // A further record needs its header, the inner content type, a tag, a fragment's header and one byte.
            let least = 5 + 1 + 16 + 12 + 1;
            assert!(
                full.iter().all(|len| mtu - least < *len && *len <= mtu),
                "{mtu}: {flight:?}"
            );
            assert!(*last <= mtu);
            // One record in a datagram, two where the plaintext ends: nothing is wasted on more.
            let payload: usize = flight.iter().map(|len| len - 5 - 1 - 16).sum();
            assert!(payload < 3000, "{flight:?}");
        }
    }
}

// req: T22
#[test]
fn another_mtu_in_mid_flight_holds_for_what_is_sent_from_then_on() {
    let mut pair = pair_v13(6);
    let wire = pair.network.wiretap();
    lose(&mut pair, SERVER, |nth| nth == 0);
    start(&mut pair);
    pair.run_for(ms(60));
    let longest = sent(&wire, SERVER)[0].1;
    assert!(longest > 300);
    pair.b.dtls.set_mtu(300).unwrap();
    pair.drive_until(both_confirmed);
    let later = &sent(&wire, SERVER)[1..];
    assert!(
        later.len() > 2 && later.iter().all(|(_, len)| *len <= 300),
        "{later:?}"
    );
    assert_talking(&mut pair);
}

// req: T22
#[test]
fn an_association_that_takes_anothers_place_has_the_mtu_of_its_path() {
    let mut pair = pair_v13(16);
    connect(&mut pair);
    for peer in [&mut pair.a, &mut pair.b] {
        peer.dtls.set_mtu(300).unwrap();
    }
    let client = pair.a.dtls.successor(Setup::Active, expecting(SERVER));
    let server = pair.b.dtls.successor(Setup::Passive, expecting(CLIENT));
    let mut next = pair_of(
        16,
        Peer::new(CLIENT, SERVER, client.unwrap()),
        Peer::new(SERVER, CLIENT, server.unwrap()),
    );
    let wire = next.network.wiretap();
    connect(&mut next);
    for host in [CLIENT, SERVER] {
        let sent = sent(&wire, host);
        assert!(sent.iter().all(|(_, len)| *len <= 300), "{sent:?}");
    }
    let longest = next.a.dtls.max_plaintext();
    assert_eq!(longest, pair.a.dtls.max_plaintext());
}

// req: T21
#[test]
fn a_large_flight_leaves_in_bursts_of_ten_records() {
    let mut ends = Ends::with_identities(loaded(RSA), loaded(RSA));
    for config in [&mut ends.client, &mut ends.server] {
        config.max_version = ProtocolVersion::DTLS1_3;
        config.backend = CryptoBackend::AwsLcRs;
        config.groups = vec![NamedGroup::X25519MLKEM768];
    }
    ends.server.mtu = 256;
    let mut pair = ends.meet(7);
    pair.network.set_links(slow_link());
    let wire = pair.network.wiretap();
    start(&mut pair);
    pair.drive_until(both_confirmed);
    let mut bursts: BTreeMap<Duration, usize> = BTreeMap::new();
    for (at, _) in sent(&wire, SERVER) {
        *bursts.entry(at).or_default() += 1;
    }
    assert!(bursts.values().sum::<usize>() > 10, "{bursts:?}");
    assert!(
        bursts.values().all(|datagrams| *datagrams <= 10),
        "{bursts:?}"
    );
    // The rest is asked for by an ACK, not by a time-out.
    assert_eq!(pair.b.dtls.stats().retransmitted_flights, 0);
    assert_talking(&mut pair);
}

// req: T68
#[test]
fn copies_of_a_client_hello_cause_one_flight_for_each_time_out_in_dtls_1_3() {
    let mut pair = pair_v13(8);
    let wire = pair.network.wiretap();
    pair.network.link(address(SERVER), address(CLIENT)).up = false;
    start(&mut pair);
    pair.run_for(ms(60));
    let hello = wire.seen().remove(0).1;
    for _ in 0..100 {
        pair.inject(hello.clone());
        pair.run_for(ms(9));
    }
    let times: BTreeSet<_> = sent(&wire, SERVER).into_iter().map(|(at, _)| at).collect();
    assert!((2..=3).contains(&times.len()), "{times:?}");
}

// req: T68
#[test]
fn copies_of_the_last_flight_cause_nothing_in_dtls_1_3() {
    let mut pair = pair_v13(9);
    let wire = pair.network.wiretap();
    start(&mut pair);
    pair.drive_until(both_confirmed);
    let seen = wire.seen();
    let mut from_client = seen
        .iter()
        .filter(|(_, datagram)| datagram.source == address(CLIENT));
    let last = from_client.next_back().unwrap().1.clone();
    let before = pair.b.dtls.stats();
    for _ in 0..20 {
        pair.inject(last.clone());
        pair.run_for(ms(500));
    }
    let after = pair.b.dtls.stats();
    assert_eq!(after.datagrams_sent, before.datagrams_sent);
    assert!(after.dropped(DropReason::Replayed) >= 20);
    assert_talking(&mut pair);
}

/// Carries the flight of `from` to `to` as an external pacer does, `copies` times each.
fn carry(now: std::time::Instant, from: &mut Peer, to: &mut Peer, copies: usize) -> usize {
    let ids: Vec<_> = from.dtls.flight_datagrams().collect();
    for id in ids.iter().rev() {
        for _ in 0..copies {
            let mut datagram = from.dtls.flight_datagram(*id).unwrap().to_vec();
            let _ = to.dtls.handle_datagram(now, &mut datagram);
        }
    }
    ids.len()
}

// req: T40
#[test]
fn an_external_pacer_carries_a_whole_handshake_and_sees_when_the_peer_has_it() {
    for version in [ProtocolVersion::DTLS1_2, ProtocolVersion::DTLS1_3] {
        let [mut client, mut server] = [config(CLIENT), config(SERVER)];
        for config in [&mut client, &mut server] {
            (config.min_version, config.max_version) = (version, version);
        }
        let mut pair = pair_with(10, client, server);
        let wire = pair.network.wiretap();
        let now = pair.now();
        for peer in [&mut pair.a, &mut pair.b] {
            peer.dtls.set_flight_pacing(now, FlightPacing::External);
            peer.dtls.set_mtu(300).unwrap();
        }
        start(&mut pair);
        pair.run_for(Duration::from_secs(5));
        assert!(wire.is_empty(), "flights are the pacer's");
        let now = pair.now();
        let mut most = 0;
        for _ in 0..8 {
            most = most.max(carry(now, &mut pair.a, &mut pair.b, 2));
            most = most.max(carry(now, &mut pair.b, &mut pair.a, 2));
        }
        assert!(most > 2, "the MTU was known before the first flight");
        assert!(pair.a.is_connected() && pair.b.is_connected(), "{version}");
        // What is left are ACKs, which the connection carries itself, and data.
        pair.drive_until(|_, b| b.is_connected());
        pair.run_for(ms(300));
        assert!(pair.a.dtls.is_handshake_confirmed(), "{version}");
        assert_eq!(pair.a.dtls.flight_datagrams().count(), 0);
        assert_talking(&mut pair);
        assert!(pair.b.dtls.is_handshake_confirmed(), "{version}");
        assert_eq!(pair.a.dtls.stats().retransmitted_flights, 0);
    }
}

// req: T40
#[test]
fn a_datagram_of_a_flight_keeps_its_name_and_its_bytes() {
    let mut pair = pair_v13(11);
    let now = pair.now();
    pair.a.dtls.start(now);
    let ids: Vec<_> = pair.a.dtls.flight_datagrams().collect();
    let bytes: Vec<_> = ids
        .iter()
        .map(|id| pair.a.dtls.flight_datagram(*id).unwrap().to_vec())
        .collect();
    let again: Vec<_> = pair.a.dtls.flight_datagrams().collect();
    assert_eq!(again, ids);
    for (id, bytes) in ids.iter().zip(&bytes) {
        assert_eq!(pair.a.dtls.flight_datagram(*id), Some(&bytes[..]));
    }
    // Another MTU makes other datagrams, and the old names mean nothing any more.
    pair.a.dtls.set_mtu(256).unwrap();
    let smaller: Vec<_> = pair.a.dtls.flight_datagrams().collect();
    assert!(smaller.iter().all(|id| !ids.contains(id)));
    assert_eq!(pair.a.dtls.flight_datagram(ids[0]), None);
    for id in smaller {
        assert!(pair.a.dtls.flight_datagram(id).unwrap().len() <= 256);
    }
    // So does the next flight.
    pair.b.dtls.start(now);
    let hello: Vec<_> = pair.a.dtls.flight_datagrams().collect();
    pair.drive_until(|a, _| a.is_connected());
    assert!(
        pair.a
            .dtls
            .flight_datagrams()
            .all(|id| !hello.contains(&id))
    );
}

// req: T21 T40
#[test]
fn acknowledged_datagrams_of_a_flight_are_no_longer_listed() {
    let mut pair = pair_v13(13);
    let now = pair.now();
    for peer in [&mut pair.a, &mut pair.b] {
        peer.dtls.set_flight_pacing(now, FlightPacing::External);
        peer.dtls.set_mtu(256).unwrap();
    }
    start(&mut pair);
    let now = pair.now();
    carry(now, &mut pair.a, &mut pair.b, 1);
    let ids: Vec<_> = pair.b.dtls.flight_datagrams().collect();
    assert!(ids.len() > 2, "{ids:?}");
    // Every other one arrives.
    let (arrived, lost): (Vec<_>, Vec<_>) = ids
        .iter()
        .enumerate()
        .partition(|(place, _)| place % 2 == 0);
    for (_, id) in arrived {
        let mut datagram = pair.b.dtls.flight_datagram(*id).unwrap().to_vec();
        let _ = pair.a.dtls.handle_datagram(now, &mut datagram);
    }
    let listed: Vec<_> = pair.b.dtls.flight_datagrams().collect();
    assert_eq!(listed, ids, "nothing is acknowledged yet");
    pair.run_for(Duration::from_secs(2));
    let lost: Vec<_> = lost.into_iter().map(|(_, id)| *id).collect();
    let listed: Vec<_> = pair.b.dtls.flight_datagrams().collect();
    assert_eq!(listed, lost);
    assert!(!pair.a.is_connected());
    // What is listed is all that is missing.
    let now = pair.now();
    assert_eq!(carry(now, &mut pair.b, &mut pair.a, 1), lost.len());
    assert!(pair.a.is_connected());
}

// req: T40
#[test]
fn the_same_flight_on_both_paths_does_no_harm() {
    for seed in 0..10 {
        let mut pair = pair_v13(seed);
        start(&mut pair);
        for _ in 0..40 {
            pair.run_for(ms(10));
            let now = pair.now();
            let (a, b) = (&mut pair.a, &mut pair.b);
            carry(now, a, b, 1);
            carry(now, b, a, 1);
        }
        pair.drive_until(both_confirmed);
        assert_talking(&mut pair);
    }
}

// req: T40
#[test]
fn a_flight_that_was_the_pacers_is_sent_when_it_is_the_connections_again() {
    let mut pair = pair_v13(12);
    let now = pair.now();
    pair.a.dtls.set_flight_pacing(now, FlightPacing::External);
    start(&mut pair);
    pair.run_for(Duration::from_secs(3));
    let now = pair.now();
    pair.a.dtls.set_flight_pacing(now, FlightPacing::Internal);
    let took = pair.drive_until(|a, b| a.is_connected() && b.is_connected());
    assert_eq!(took, ms(150));
}

// req: T23 T40
#[test]
fn behind_a_flight_that_a_pacer_carried_an_alert_comes_under_keys() {
    for version in VERSIONS {
        let mut pair = pair_in(version, 18);
        let now = pair.now();
        for peer in [&mut pair.a, &mut pair.b] {
            peer.dtls.set_flight_pacing(now, FlightPacing::External);
        }
        start(&mut pair);
        carry(now, &mut pair.a, &mut pair.b, 1);
        carry(now, &mut pair.b, &mut pair.a, 1);
        pair.b.dtls.abort(now, AlertDescription::ACCESS_DENIED);
        pair.run_for(Duration::from_secs(1));
        let told = Error::AlertReceived(AlertDescription::ACCESS_DENIED);
        assert_eq!(pair.a.dtls.error(), Some(&told), "{version}");
    }
}

// req: T40
#[test]
fn a_last_flight_is_not_sent_for_a_pacer_that_comes_or_goes() {
    let mut pair = connected_in(ProtocolVersion::DTLS1_2, 17);
    assert_eq!(pair.b.dtls.flight_datagrams().count(), 1);
    let now = pair.now();
    for pacing in [FlightPacing::External, FlightPacing::Internal] {
        pair.b.dtls.set_flight_pacing(now, pacing);
        assert_eq!(pair.b.dtls.poll_transmit(&mut [0; 1200]), None);
    }
}

// req: T21 T40
#[test]
fn a_last_flight_at_rest_is_still_there_for_whoever_asks_until_its_time_is_over() {
    let [mut client, mut server] = [config(CLIENT), config(SERVER)];
    for config in [&mut client, &mut server] {
        config.max_version = ProtocolVersion::DTLS1_2;
    }
    let mut pair = pair_with(15, client, server);
    connect(&mut pair);
    pair.run_for(Duration::from_secs(1));
    assert!(!pair.b.dtls.is_handshake_confirmed(), "no data came yet");
    assert_talking(&mut pair);
    assert!(pair.b.dtls.is_handshake_confirmed());
    pair.run_for(Duration::from_secs(200));
    let ids: Vec<_> = pair.b.dtls.flight_datagrams().collect();
    assert_eq!(ids.len(), 1);
    let copy = pair.b.dtls.flight_datagram(ids[0]).unwrap();
    assert_eq!(copy[0], 20, "ChangeCipherSpec, and Finished");
    pair.run_for(Duration::from_secs(40));
    assert_talking(&mut pair);
    assert_eq!(pair.b.dtls.flight_datagrams().count(), 0);
    assert_eq!(pair.b.dtls.flight_datagram(ids[0]), None);
}

fn any_link() -> impl Strategy<Value = Link> {
    (
        0.0..0.6f64,
        0.0..0.3f64,
        0.0..0.4f64,
        0.0..0.1f64,
        0..120u64,
        256..1472usize,
    )
        .prop_map(
            |(loss, duplication, reordering, corruption, delay, mtu)| Link {
                delay: ms(delay),
                jitter: ms(delay / 2),
                loss,
                duplication,
                reordering,
                corruption,
                mtu,
                ..Link::default()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    // req: T20 T21 T22
    #[test]
    fn any_network_leads_both_ends_to_the_same_outcome(
        seed: u64,
        there in any_link(),
        back in any_link(),
        v13: bool,
        mtus in prop::collection::vec((0..3000u64, any::<bool>(), 256..1472usize), 0..6),
    ) {
        let [mut client, mut server] = [config(CLIENT), config(SERVER)];
        let version = if v13 { ProtocolVersion::DTLS1_3 } else { ProtocolVersion::DTLS1_2 };
        client.max_version = ProtocolVersion::DTLS1_3;
        (server.min_version, server.max_version) = (ProtocolVersion::DTLS1_2, version);
        client.fallback_mtu = 256;
        server.fallback_mtu = 256;
        let mut pair = pair_with(seed, client, server);
        *pair.network.link(address(CLIENT), address(SERVER)) = there;
        *pair.network.link(address(SERVER), address(CLIENT)) = back;
        start(&mut pair);
        for (after, of_client, mtu) in mtus {
            pair.run_for(ms(after));
            let peer = if of_client { &mut pair.a } else { &mut pair.b };
            peer.dtls.set_mtu(mtu).unwrap();
        }
        pair.run_for(Duration::from_secs(61));
        for peer in [&pair.a, &pair.b] {
            let state = peer.dtls.state();
            prop_assert!(matches!(state, State::Connected | State::Failed), "{}", state);
        }
        // A client of DTLS 1.3 is connected first, and notices by its Finished that the server never was.
        pair.run_for(Duration::from_secs(600));
        let states = [pair.a.dtls.state(), pair.b.dtls.state()];
        let alike = states == [State::Connected; 2] || states == [State::Failed; 2];
        // Whoever had the last word may have said it into the void.
        let unheard = pair.b.is_connected() && pair.a.dtls.error() == Some(&Error::HandshakeTimedOut);
        prop_assert!(alike || unheard, "{states:?}");
        if states == [State::Connected; 2] {
            prop_assert_eq!(pair.a.dtls.version(), Some(version));
            let keys = [&pair.a, &pair.b].map(|peer| peer.dtls.srtp_keys().unwrap());
            prop_assert_eq!(keys[0].key(Side::Client), keys[1].key(Side::Client));
        }
    }
}
