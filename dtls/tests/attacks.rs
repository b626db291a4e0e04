//! Attackers off the path, who know addresses and nothing else, and on it, who see and change everything
//! (RFC 6347 §4.1.2.7; RFC 9147 §4.5.2, §11).
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::Duration;

use allocation_counter::measure;
use common::ends::*;
use common::wire::{self, Fragment, NEW_AND_OLD, Record, browser_client_hello};
use common::*;
use floe_dtls::{
    AlertDescription, CipherSuite, DropReason, Error, NamedGroup, PlaintextAlerts, Reason,
    Received, Side, SrtpProfile, State,
};
use proptest::prelude::*;
use sim::{Attacker, Datagram, Verdict, address};

/// The latest sequence number there can be.
const LAST: u64 = (1 << 48) - 1;

/// A datagram to one end, in the other's name.
fn spoofed(pair: &mut Story, to: Side, bytes: Vec<u8>) {
    let (source, destination) = match to {
        Side::Client => (address(SERVER), address(CLIENT)),
        Side::Server => (address(CLIENT), address(SERVER)),
    };
    pair.inject(Datagram {
        source,
        destination,
        bytes,
    });
}

/// What an attacker puts into a record of this type who cannot authenticate it. The well-formed next plaintext message of
/// a handshake is not among it: it is the one thing that must be believed (rfc9147bis §4.5.2).
fn bodies(content_type: u8) -> Vec<Vec<u8>> {
    match content_type {
        wire::CHANGE_CIPHER_SPEC => vec![vec![1], vec![], vec![1, 1]],
        wire::ALERT => vec![
            vec![2, 40],
            vec![1, 0],
            vec![2, 0],
            vec![1, 100],
            vec![2],
            vec![],
        ],
        wire::HANDSHAKE => {
            let far = Fragment::whole(wire::CERTIFICATE, 500, &[7; 40]);
            let beyond = Fragment {
                offset: 30,
                length: 35,
                ..far.clone()
            };
            let endless = Fragment {
                length: 0xff_ffff,
                ..far.clone()
            };
            let mut cut = far.to_bytes();
            cut.pop();
            vec![
                far.to_bytes(),
                endless.to_bytes(),
                beyond.to_bytes(),
                cut,
                vec![],
                vec![22; 5],
            ]
        }
        _ => vec![b"hello".to_vec(), vec![0; 40], vec![]],
    }
}

/// Every content type × epoch × sequence number × body.
fn arsenal() -> Vec<Vec<u8>> {
    let hello = browser_client_hello(NEW_AND_OLD);
    let hello = Fragment::whole(wire::CLIENT_HELLO, 0, &hello).to_bytes();
    let mut arsenal = Vec::new();
    for content_type in [
        19, 20, 21, 22, 23, 24, 25, 26, 0x20, 0x2f, 0x3f, 63, 64, 255,
    ] {
        for epoch in [0, 1, 2, 3, 0xffff] {
            for sequence in [0, 1, 7, 1 << 40, LAST] {
                for body in bodies(content_type) {
                    arsenal.push(Record::new(content_type, epoch, sequence, &body).to_bytes());
                }
                // A message that would be believed in plaintext is not, for saying that it is protected.
                if epoch != 0 {
                    arsenal.push(Record::new(content_type, epoch, sequence, &hello).to_bytes());
                }
            }
        }
    }
    arsenal
}

/// What a handshake comes to: nothing in it is left to chance.
#[derive(Debug, PartialEq)]
struct Outcome {
    lives: [Vec<(State, Reason, Duration)>; 2],
    datagrams_sent: [u64; 2],
    retransmitted_flights: [u32; 2],
    negotiated: [(CipherSuite, NamedGroup, SrtpProfile); 2],
    data: [usize; 2],
}

fn outcome(pair: &Story) -> Outcome {
    let of = |peer: &Peer| {
        let connection = &peer.dtls;
        let suite = connection.cipher_suite().unwrap();
        (
            suite,
            connection.group().unwrap(),
            connection.srtp_profile().unwrap(),
        )
    };
    let ends = [&pair.a, &pair.b];
    Outcome {
        lives: ends.map(Peer::life),
        datagrams_sent: ends.map(|peer| peer.dtls.stats().datagrams_sent),
        retransmitted_flights: ends.map(|peer| peer.dtls.stats().retransmitted_flights),
        negotiated: ends.map(of),
        data: ends.map(|peer| peer.heard.len()),
    }
}

/// One handshake and some data, with an attacker who shoots before every step of it.
fn under_fire(shots: &[Vec<u8>]) -> (Outcome, [u64; 2]) {
    let mut pair = Ends::new().start(30);
    let fire = |pair: &mut Story| {
        for shot in shots {
            spoofed(pair, Side::Client, shot.clone());
            spoofed(pair, Side::Server, shot.clone());
        }
    };
    for _ in 0..12 {
        fire(&mut pair);
        pair.step();
    }
    pair.drive_until(both_connected);
    fire(&mut pair);
    assert_alive(&mut pair);
    fire(&mut pair);
    pair.run_for(Duration::from_secs(5));
    assert_alive(&mut pair);
    let dropped = [&pair.a, &pair.b].map(|peer| peer.dtls.stats().total_dropped());
    (outcome(&pair), dropped)
}

// req: T32
#[test]
fn whatever_is_injected_at_any_step_the_outcome_is_the_same() {
    let (undisturbed, none) = under_fire(&[]);
    assert_eq!(none, [0, 0]);
    for shots in arsenal().chunks(100) {
        let (disturbed, dropped) = under_fire(shots);
        assert_eq!(disturbed, undisturbed);
        // What is not DTLS by its first byte is somebody else's, and not counted (RFC 7983 §7).
        let ours = shots.iter().any(|shot| (20..=63).contains(&shot[0]));
        assert_eq!(dropped.map(|count| count > 0), [ours; 2]);
    }
}

/// The reasons counted at the server of a live association for a datagram.
fn reasons(pair: &mut Story, mut datagram: Vec<u8>) -> Vec<DropReason> {
    let before = pair.b.dtls.stats();
    let now = pair.now();
    let received = pair.b.dtls.handle_datagram(now, &mut datagram);
    let after = pair.b.dtls.stats();
    assert!(
        !matches!(received, Received::Handled | Received::Data { .. }),
        "{received:?}"
    );
    let counted = |reason: &DropReason| after.dropped(*reason) > before.dropped(*reason);
    DropReason::ALL.into_iter().filter(counted).collect()
}

// req: T32
#[test]
fn each_kind_of_unauthenticated_bytes_has_its_drop_reason() {
    let mut pair = Ends::new().connect(31);
    let plain = |content_type, body: &[u8]| Record::new(content_type, 0, 9, body).to_bytes();
    let sealed =
        |sequence, body: &[u8]| Record::new(wire::APPLICATION_DATA, 1, sequence, body).to_bytes();
    let hello = Fragment::whole(wire::CLIENT_HELLO, 0, &browser_client_hello(NEW_AND_OLD));
    let mut short = sealed(50, &[1; 40]);
    short.truncate(30);
    for (datagram, reason) in [
        (
            plain(wire::HANDSHAKE, &hello.to_bytes()),
            DropReason::PlaintextAfterKeys,
        ),
        (
            plain(wire::APPLICATION_DATA, b"data"),
            DropReason::PlaintextAfterKeys,
        ),
        (plain(wire::ALERT, &[2, 40]), DropReason::PlaintextAfterKeys),
        (plain(24, b"heartbeat"), DropReason::UnknownContentType),
        (plain(26, &[0, 0]), DropReason::PlaintextAfterKeys),
        (short, DropReason::TruncatedRecord),
        (sealed(50, &[1; 40]), DropReason::BadMac),
        (sealed(LAST, &[1; 40]), DropReason::BadMac),
        (sealed(50, &[]), DropReason::TruncatedRecord),
        (sealed(0, &[1; 40]), DropReason::Replayed),
        (
            Record::new(wire::APPLICATION_DATA, 2, 0, &[1; 40]).to_bytes(),
            DropReason::UnknownEpoch,
        ),
        (
            Record::new(wire::APPLICATION_DATA, 0xffff, 0, &[1; 40]).to_bytes(),
            DropReason::UnknownEpoch,
        ),
    ] {
        assert_eq!(
            reasons(&mut pair, datagram.clone()),
            [reason],
            "{:?}",
            &datagram[..13]
        );
    }
    let wrong_version = Record {
        version: 0x0303,
        ..Record::new(22, 0, 0, &[])
    };
    assert_eq!(
        reasons(&mut pair, wrong_version.to_bytes()),
        [DropReason::WrongVersion]
    );
    assert_alive(&mut pair);
}

// req: T32
#[test]
fn hostile_datagrams_do_not_allocate() {
    for version in VERSIONS {
        let mut pair = Ends::of(version).connect(32);
        let mut arsenal = arsenal();
        arsenal.push(vec![22; 1200]);
        let now = pair.now();
        let counted = measure(|| {
            for shot in &mut arsenal {
                let received = pair.b.dtls.handle_datagram(now, shot);
                assert!(matches!(received, Received::Dropped(_) | Received::NotMine));
            }
        });
        assert_eq!(counted.count_total, 0);
        assert_alive(&mut pair);
    }
}

// req: T2 T32
#[test]
fn a_flood_of_fragments_of_the_future_takes_no_memory_and_ends_nothing() {
    let mut pair = Ends::new().start(33);
    pair.step();
    let mut flood = Vec::new();
    for message_seq in 20..2000u16 {
        // All of a message of 16 MiB but nearly everything.
        let fragment = Fragment {
            length: 0xff_ffff,
            offset: u32::from(message_seq) * 1000,
            ..Fragment::whole(wire::CERTIFICATE, message_seq, &[1])
        };
        flood.push(fragment.in_record(u64::from(message_seq)).to_bytes());
    }
    let now = pair.now();
    let counted = measure(|| {
        for datagram in &mut flood {
            let received = pair.b.dtls.handle_datagram(now, datagram);
            assert!(matches!(received, Received::Dropped(_)), "{received:?}");
        }
    });
    assert_eq!(counted.bytes_max, 0, "{counted:?}");
    assert!(pair.b.dtls.stats().dropped(DropReason::FarFutureMessage) > 0);
    pair.drive_until(both_connected);
    assert_alive(&mut pair);
}

// req: T2
#[test]
fn what_waits_for_its_turn_takes_a_bounded_memory() {
    let mut pair = Ends::new().start(34);
    pair.step();
    // Messages within the window, each of 60 000 bytes, of which every other half kilobyte comes: 150 KiB in all.
    let mut flood = Vec::new();
    for message_seq in 2..7u16 {
        for offset in (0..60_000).step_by(1000) {
            let fragment = Fragment {
                length: 60_000,
                offset,
                ..Fragment::whole(wire::CERTIFICATE, message_seq, &[1; 500])
            };
            flood.push(fragment.in_record(0).to_bytes());
        }
    }
    let now = pair.now();
    let server = &mut pair.b.dtls;
    let mut held = |datagrams: &mut [Vec<u8>]| {
        let counted = measure(|| {
            for datagram in datagrams {
                let _ = server.handle_datagram(now, datagram);
            }
        });
        counted.bytes_current
    };
    // In proportion to what came, not to what was claimed; then 64 KiB and their book-keeping; then no more at all.
    let (first, rest) = flood.split_at_mut(1);
    let (some, rest) = rest.split_at_mut(200);
    assert!(held(first) <= 2048);
    assert!(held(some) <= 128 * 1024);
    assert_eq!(held(rest), 0);
    assert!(server.stats().dropped(DropReason::ReassemblyFull) >= 90);
}

// req: T32 T68
#[test]
fn a_spoofed_client_hello_does_not_touch_a_live_association() {
    for version in VERSIONS {
        let hello = Fragment::whole(wire::CLIENT_HELLO, 0, &browser_client_hello(NEW_AND_OLD));
        let mut pair = Ends::of(version).connect(35);
        let sent = pair.b.dtls.stats().datagrams_sent;
        for sequence in 0..20 {
            spoofed(
                &mut pair,
                Side::Server,
                hello.in_record(sequence).to_bytes(),
            );
            pair.run_for(Duration::from_secs(1));
        }
        assert_eq!(
            pair.b.dtls.stats().datagrams_sent,
            sent,
            "not one datagram was answered"
        );
        assert_alive(&mut pair);
    }
}

// req: T32 T68
#[test]
fn spoofed_client_hellos_in_mid_handshake_cost_one_flight_and_change_nothing() {
    for version in VERSIONS {
        // With a suite that protects nothing, as scanners send it.
        let mut null = wire::browser_hello(NEW_AND_OLD);
        null.suites = vec![0x0000];
        let spoof = Fragment::whole(wire::CLIENT_HELLO, 0, &null.to_bytes());
        let mut pair = Ends::of(version).start(42);
        pair.drive_until(|_, server| server.dtls.stats().datagrams_sent > 0);
        for sequence in 10..60 {
            spoofed(
                &mut pair,
                Side::Server,
                spoof.in_record(sequence).to_bytes(),
            );
            pair.step();
        }
        pair.drive_until(both_connected);
        assert!(pair.b.dtls.stats().retransmitted_flights <= 1);
        assert_alive(&mut pair);
    }
}

// req: T6
#[test]
fn a_finished_in_plaintext_is_none() {
    let mut pair = Ends::new().meet(43);
    pair.network.tap(|datagram, _| {
        let mut records = wire::records(&datagram.bytes);
        for record in records.iter_mut().filter(|record| record.epoch == 1) {
            let message_seq = if datagram.source == address(CLIENT) {
                4
            } else {
                5
            };
            *record = Fragment::whole(20, message_seq, &[7; 12]).in_record(20);
        }
        datagram.bytes = records.iter().flat_map(Record::to_bytes).collect();
        Verdict::Pass
    });
    start(&mut pair);
    pair.run_for(Duration::from_secs(70));
    pair.a.assert_let_nobody_in();
    pair.b.assert_let_nobody_in();
    assert!(pair.b.dropped(DropReason::PlaintextAfterKeys) > 0);
}

/// Everything the client sends after `silence` began is lost.
fn silenced(ends: Ends) -> Story {
    let mut pair = ends.start(36);
    pair.run_for(Duration::from_millis(5));
    pair.network.cut();
    pair
}

fn refusal() -> Vec<u8> {
    Record::new(wire::ALERT, 0, 5, &[2, 40]).to_bytes()
}

// req: T32
#[test]
fn a_plaintext_alert_ends_the_handshake_only_if_nothing_valid_follows() {
    for version in VERSIONS {
        let failed = Error::AlertReceived(AlertDescription::HANDSHAKE_FAILURE);
        // Silence: the first time-out, 400 ms, is the grace.
        let mut pair = silenced(Ends::of(version));
        spoofed(&mut pair, Side::Client, refusal());
        pair.run_for(Duration::from_millis(350));
        assert_eq!(pair.a.dtls.state(), State::Connecting);
        pair.run_for(Duration::from_millis(100));
        assert_eq!(pair.a.dtls.state(), State::Failed);
        assert_eq!(pair.a.last_reason(), Some(Reason::PeerAlert));
        assert_eq!(pair.a.dtls.error(), Some(&failed));

        // More of them neither prolong the grace nor change what is suspected.
        let mut pair = silenced(Ends::of(version));
        spoofed(&mut pair, Side::Client, refusal());
        pair.run_for(Duration::from_millis(350));
        let other = Record::new(wire::ALERT, 0, 6, &[2, 80]).to_bytes();
        spoofed(&mut pair, Side::Client, other);
        pair.run_for(Duration::from_millis(100));
        assert_eq!(pair.a.dtls.error(), Some(&failed));

        // At once, by configuration.
        let mut ends = Ends::of(version);
        ends.client.plaintext_alerts = PlaintextAlerts::Immediate;
        let mut pair = silenced(ends);
        spoofed(&mut pair, Side::Client, refusal());
        pair.step();
        assert_eq!(pair.a.dtls.error(), Some(&failed));
    }
}

// req: T32
#[test]
fn a_forged_alert_before_a_valid_message_is_forgotten() {
    for version in VERSIONS {
        let mut pair = Ends::of(version).meet(37);
        // Each datagram of the server is announced by a forged alert.
        pair.network.tap(|datagram, wire| {
            if datagram.source == address(SERVER) {
                wire.inject(Datagram {
                    bytes: refusal(),
                    ..datagram.clone()
                });
            }
            Verdict::Pass
        });
        start(&mut pair);
        pair.drive_until(both_connected);
        assert!(
            pair.a
                .dtls
                .stats()
                .dropped(DropReason::UnauthenticatedAlert)
                > 0
        );
        pair.run_for(Duration::from_secs(10));
        assert_alive(&mut pair);
    }
}

// req: T31
#[test]
fn a_forged_record_does_not_move_the_replay_window() {
    for version in VERSIONS {
        let mut pair = Ends::of(version).connect(38);
        for sequence in [1 << 40, LAST, 300, 2] {
            let forged = Record::new(wire::APPLICATION_DATA, 1, sequence, &[9; 60]);
            spoofed(&mut pair, Side::Server, forged.to_bytes());
            spoofed(&mut pair, Side::Client, forged.to_bytes());
        }
        pair.drive();
        assert_alive(&mut pair);
    }
}

// req: T31
#[test]
fn what_was_recorded_is_not_taken_twice() {
    for version in VERSIONS {
        let mut pair = Ends::of(version).meet(39);
        let tap = pair.network.wiretap();
        start(&mut pair);
        pair.drive_until(both_connected);
        assert_alive(&mut pair);
        let recorded = tap.take();
        let data = [pair.a.heard.len(), pair.b.heard.len()];
        for _ in 0..3 {
            for (_, datagram) in &recorded {
                pair.inject(datagram.clone());
                pair.run_for(Duration::from_millis(50));
            }
        }
        assert_eq!([pair.a.heard.len(), pair.b.heard.len()], data);
        assert!(pair.b.dtls.stats().dropped(DropReason::Replayed) > 0);
        assert_alive(&mut pair);
    }
}

// req: T6 T32
#[test]
fn data_in_plaintext_never_comes_up() {
    for version in VERSIONS {
        let mut pair = Ends::of(version).start(40);
        for sequence in 0..40 {
            for epoch in [0, 1] {
                let data = Record::new(wire::APPLICATION_DATA, epoch, sequence, b"from nobody");
                spoofed(&mut pair, Side::Client, data.to_bytes());
                spoofed(&mut pair, Side::Server, data.to_bytes());
            }
            pair.step();
        }
        pair.drive_until(both_connected);
        assert!(pair.a.heard.is_empty() && pair.b.heard.is_empty());
        assert_alive(&mut pair);
    }
}

// req: T31 T32
#[test]
fn every_datagram_doubled_and_mutated_copies_of_it_change_nothing() {
    for version in VERSIONS {
        for seed in 0..20 {
            let mut pair = Ends::of(version).connect(seed);
            let mut attacker = Attacker::new(seed);
            pair.network.tap(move |datagram, wire| {
                for _ in 0..10 {
                    wire.inject(attacker.mutate(datagram));
                    wire.inject(attacker.garbage(datagram.source, datagram.destination, 200));
                }
                wire.inject(datagram.clone());
                Verdict::Pass
            });
            for _ in 0..20 {
                assert_alive(&mut pair);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// On the path one can end a handshake. What one cannot is have it end in two minds.
    // req: T6
    #[test]
    fn a_changed_handshake_never_connects_in_two_minds(seed: u64, nth in 0usize..4) {
        let mut pair = Ends::new().meet(seed);
        let mut attacker = Attacker::new(seed);
        let mut seen = 0;
        pair.network.tap(move |datagram, _| {
            seen += 1;
            if seen == nth + 1 {
                *datagram = attacker.mutate(datagram);
            }
            Verdict::Pass
        });
        start(&mut pair);
        pair.run_for(Duration::from_secs(70));
        for peer in [&pair.a, &pair.b] {
            prop_assert!(matches!(peer.dtls.state(), State::Connected | State::Failed), "{:?}", peer.dtls.state());
            prop_assert!(peer.heard.is_empty());
        }
        pair.network.remove_taps();
        if both_connected(&pair.a, &pair.b) {
            assert_alive(&mut pair);
        }
    }
}
