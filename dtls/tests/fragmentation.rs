//! Messages in pieces: a browser's ClientHello in two datagrams, fragments cut in any way, small and changing MTUs
//! (RFC 6347 §4.1.1.1, §4.2.3).
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::{Duration, Instant};

use common::ends::*;
use common::wire::{self, Fragment, NEW_AND_OLD, Record, browser_client_hello};
use common::*;
use floe_dtls::{Connection, Error, PeerIncompatible, State};
use proptest::prelude::*;
use sim::{Clock, Link, Verdict, Wiretap, address};

const RSA: &str = include_str!("data/rsa2048.pem");

/// Bytes of the ClientHello that a browser puts into its first datagram.
const FIRST_PART: usize = 1175 - 12 - 13;

fn take(server: &mut Connection, now: Instant, mut datagram: Vec<u8>) {
    let _ = server.handle_datagram(now, &mut datagram);
}

/// The messages of all datagrams that it wants to send.
fn said(connection: &mut Connection) -> Vec<Fragment> {
    let mut buf = [0; 2048];
    let mut said = Vec::new();
    while let Some(len) = connection.poll_transmit(&mut buf) {
        said.extend(wire::fragments(&buf[..len]));
    }
    said
}

fn in_two_datagrams(hello: &[u8]) -> [Vec<u8>; 2] {
    let whole = Fragment::whole(wire::CLIENT_HELLO, 0, hello);
    [
        whole.part(0, FIRST_PART).in_record(0),
        whole.part(FIRST_PART, hello.len()).in_record(1),
    ]
    .map(|record| {
        Record {
            version: 0xfeff,
            ..record
        }
        .to_bytes()
    })
}

// req: T1 T2
#[test]
fn a_browsers_client_hello_in_two_datagrams_is_met_with_dtls_1_2() {
    let hello = browser_client_hello(NEW_AND_OLD);
    assert_eq!(hello.len() + 12, 1413);
    for order in [[0, 1], [1, 0]] {
        let datagrams = in_two_datagrams(&hello);
        let mut server = lone_server();
        let now = Clock::epoch();
        take(&mut server, now, datagrams[order[0]].clone());
        assert!(said(&mut server).is_empty());
        take(&mut server, now, datagrams[order[1]].clone());
        let answer = said(&mut server);
        let types: Vec<u8> = answer.iter().map(|message| message.message_type).collect();
        // ServerHello, Certificate, ServerKeyExchange, CertificateRequest, ServerHelloDone
        assert_eq!(types, [2, 11, 12, 13, 14]);
        let server_hello = &answer[0].body;
        assert_eq!(server_hello[..2], [0xfe, 0xfd]);
        let suite = &server_hello[2 + 32 + 1..][..2];
        assert_eq!(suite, [0xc0, 0x2b]);
        // curve_type, then the first group both have: not the post-quantum one.
        assert_eq!(answer[2].body[..3], [3, 0, 0x1d]);
        assert_eq!(server.state(), State::Connecting);
    }
}

// req: T1 T23
#[test]
fn a_client_hello_without_our_version_is_refused_with_its_alert() {
    let [first, second] = in_two_datagrams(&browser_client_hello(&[0xfefc, 0x5a5a]));
    let mut server = lone_server();
    let now = Clock::epoch();
    take(&mut server, now, first);
    take(&mut server, now, second);
    assert_eq!(
        server.error(),
        Some(&Error::PeerIncompatible(
            PeerIncompatible::NoVersionInCommon
        ))
    );
    let mut buf = [0; 2048];
    let len = server.poll_transmit(&mut buf).unwrap();
    let [alert] = &wire::records(&buf[..len])[..] else {
        panic!("one record")
    };
    assert_eq!(
        (alert.content_type, &alert.body[..]),
        (wire::ALERT, &[2, 70][..])
    );
}

// req: T2
#[test]
fn a_client_hello_is_put_together_from_single_bytes() {
    let hello = browser_client_hello(NEW_AND_OLD);
    let whole = Fragment::whole(wire::CLIENT_HELLO, 0, &hello);
    let mut server = lone_server();
    for at in (0..hello.len()).rev() {
        assert!(said(&mut server).is_empty());
        take(
            &mut server,
            Clock::epoch(),
            whole.part(at, at + 1).in_record(at as u64).to_bytes(),
        );
    }
    assert_eq!(said(&mut server).len(), 5);
}

/// Cuts a message into parts that overlap, in an order and with repetitions of `random`'s choice.
fn shred(fragment: &Fragment, random: &mut sim::Random) -> Vec<Fragment> {
    let len = fragment.body.len();
    let longest = 1 + random.below(len + 1);
    let mut parts = Vec::new();
    let mut covered = 0;
    loop {
        let start = covered - random.below(covered.min(20) + 1);
        let end = len.min(start.max(covered) + 1 + random.below(longest));
        parts.push(fragment.part(start.min(len), end));
        covered = end;
        if covered == len {
            break;
        }
    }
    for _ in 0..random.below(3) {
        parts.push(parts[random.below(parts.len())].clone());
    }
    // Fragments of nothing, at either end.
    parts.push(fragment.part(0, 0));
    parts.push(fragment.part(len, len));
    for last in (1..parts.len()).rev() {
        parts.swap(last, random.below(last + 1));
    }
    parts
}

/// Somebody on the path cuts every plaintext message anew. Both ends still hash the same messages.
fn connects_though_shredded(seed: u64) {
    let mut pair = Ends::new().meet(seed);
    let mut random = sim::Random::new(seed);
    pair.network.tap(move |datagram, wire| {
        for record in wire::records(&datagram.bytes) {
            let mut inject = |bytes| {
                wire.inject(sim::Datagram {
                    bytes,
                    ..datagram.clone()
                });
            };
            let fragments = record.fragments();
            if fragments.is_empty() {
                inject(record.to_bytes());
            }
            for (index, part) in fragments
                .iter()
                .flat_map(|whole| shred(whole, &mut random))
                .enumerate()
            {
                // Record numbers that no other record has.
                inject(
                    part.in_record((record.sequence << 16) + index as u64)
                        .to_bytes(),
                );
            }
        }
        Verdict::Drop
    });
    start(&mut pair);
    pair.drive_until(both_connected);
    pair.network.remove_taps();
    assert_alive(&mut pair);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    // req: T2
    #[test]
    fn overlapping_doubled_and_reordered_fragments_make_the_same_messages(seed: u64) {
        connects_though_shredded(seed);
    }
}

fn longest(tap: &Wiretap) -> usize {
    tap.seen()
        .iter()
        .map(|(_, datagram)| datagram.bytes.len())
        .max()
        .unwrap()
}

// req: T2 T22
#[test]
fn handshakes_fit_the_mtu_whatever_it_is() {
    for mtu in [256, 257, 300, 900, 1200] {
        // A link that carries not one byte more.
        let mut ends = Ends::with_identities(loaded(RSA), loaded(RSA));
        ends.client.mtu = mtu;
        ends.server.mtu = mtu;
        let mut pair = ends.meet(20);
        pair.network.set_links(Link {
            mtu,
            ..Link::default()
        });
        let tap = pair.network.wiretap();
        start(&mut pair);
        let took = pair.drive_until(both_connected);
        assert!(
            took < Duration::from_millis(100),
            "nothing was sent twice: {took:?}"
        );
        assert!(longest(&tap) <= mtu);
        assert_eq!(pair.network.counters().too_big, 0);
        assert_alive(&mut pair);
    }
}

// req: T22
#[test]
fn each_plaintext_record_holds_one_message_and_datagrams_are_full() {
    let mut ends = Ends::with_identities(loaded(RSA), loaded(RSA));
    for config in [&mut ends.client, &mut ends.server] {
        config.mtu = 600;
    }
    let mut pair = ends.meet(21);
    let tap = pair.network.wiretap();
    start(&mut pair);
    pair.drive_until(both_connected);
    let datagrams: Vec<_> = tap
        .seen()
        .into_iter()
        .map(|(_, datagram)| datagram)
        .collect();
    for datagram in &datagrams {
        for record in wire::records(&datagram.bytes)
            .iter()
            .filter(|record| record.epoch == 0)
        {
            assert!(record.fragments().len() <= 1, "{record:?}");
        }
    }
    // A datagram that another of the same flight follows has no room for a fragment worth its headers.
    for (datagram, next) in datagrams.iter().zip(&datagrams[1..]) {
        if datagram.source == next.source {
            assert!(
                datagram.bytes.len() > 600 - 40,
                "{} bytes",
                datagram.bytes.len()
            );
        }
    }
}

// req: T22
#[test]
fn the_mtu_may_change_between_two_transmissions_of_a_flight() {
    // The server's flight, cut for 1200 bytes, is lost; sent again it is cut for 300. What came of the first one at the
    // client's overlaps with what comes then.
    let mut pair = Ends::with_identities(loaded(RSA), loaded(RSA)).meet(22);
    let mut seen = 0;
    pair.network.tap(move |datagram, _| {
        if datagram.source != address(SERVER) {
            return Verdict::Pass;
        }
        seen += 1;
        if seen == 2 {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    start(&mut pair);
    pair.run_for(Duration::from_millis(100));
    assert!(!pair.a.is_connected());
    pair.b.dtls.set_mtu(300).unwrap();
    let tap = pair.network.wiretap();
    pair.drive_until(both_connected);
    let from_server = |seen: &(Instant, sim::Datagram)| {
        (seen.1.source == address(SERVER)).then_some(seen.1.bytes.len())
    };
    let longest = tap.seen().iter().filter_map(from_server).max().unwrap();
    assert!(longest <= 300, "{longest}");
    assert_alive(&mut pair);
}

// req: T22
#[test]
fn after_two_time_outs_the_mtu_falls() {
    // The path carries 600 bytes and says nothing about the rest.
    let mut pair = Ends::with_identities(loaded(RSA), loaded(RSA)).meet(23);
    pair.network.set_links(Link {
        mtu: 600,
        ..Link::default()
    });
    start(&mut pair);
    let took = pair.drive_until(both_connected);
    assert!(pair.network.counters().too_big > 0);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_alive(&mut pair);
}
