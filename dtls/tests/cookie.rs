//! Clients at addresses that nobody vouches for: cookies, and what goes out before they come back (RFC 9147 §5.1,
//! RFC 6347 §4.2.1).
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::*;
use floe_dtls::{
    AlertDescription, Config, Connection, CookieGate, DropReason, Error, NamedGroup, PartialHello,
    PeerIncompatible, ProtocolVersion, Received, RemoteIdentity, Setup, State, Verdict,
};
use proptest::prelude::*;
use sim::Clock;

const V12: ProtocolVersion = ProtocolVersion::DTLS1_2;
const V13: ProtocolVersion = ProtocolVersion::DTLS1_3;
const VERSIONS: [ProtocolVersion; 2] = [V12, V13];
const ALICE: &[u8] = b"192.0.2.1:4000";
const MALLORY: &[u8] = b"192.0.2.66:4000";

fn config_of(host: u8, version: ProtocolVersion) -> Config {
    let mut config = config(host);
    config.min_version = version;
    config.max_version = version;
    config
}

fn client_of(config: Config) -> Connection {
    let mut client = Connection::new(Arc::new(config), Setup::Active, expecting(SERVER)).unwrap();
    client.start(Clock::epoch());
    client
}

fn gate_of(config: Config) -> CookieGate {
    CookieGate::new(Clock::epoch(), Arc::new(config)).unwrap()
}

/// Everything a connection has to send.
fn datagrams(connection: &mut Connection) -> Vec<Vec<u8>> {
    let mut buf = [0; 1500];
    std::iter::from_fn(|| {
        let len = connection.poll_transmit(&mut buf)?;
        Some(buf[..len].to_vec())
    })
    .collect()
}

/// The one datagram that a client has to send.
fn only_datagram(client: &mut Connection) -> Vec<u8> {
    let [datagram] = datagrams(client).try_into().expect("one datagram");
    datagram
}

fn answer_of(gate: &CookieGate, now: Instant, from: &[u8], datagram: &[u8]) -> Vec<u8> {
    let mut out = [0; CookieGate::MAX_ANSWER];
    match gate.handle_datagram(now, from, datagram, &mut out) {
        Verdict::Answer(len) => {
            assert!(len <= 3 * datagram.len());
            out[..len].to_vec()
        }
        other => panic!("{other:?}"),
    }
}

fn verdict_on(gate: &CookieGate, from: &[u8], datagram: &[u8]) -> Verdict {
    gate.handle_datagram(
        Clock::epoch(),
        from,
        datagram,
        &mut [0; CookieGate::MAX_ANSWER],
    )
}

/// The client's second ClientHello.
fn second_hello(gate: &CookieGate, client: &mut Connection) -> Vec<u8> {
    let now = Clock::epoch();
    let mut answer = answer_of(gate, now, ALICE, &only_datagram(client));
    assert_eq!(client.handle_datagram(now, &mut answer), Received::Handled);
    only_datagram(client)
}

/// The server that the gate makes of a second ClientHello, which it has taken.
fn accepted(gate: &CookieGate, hello: &[u8]) -> Connection {
    let Verdict::Proven(proof) = verdict_on(gate, ALICE, hello) else {
        panic!("the cookie came back");
    };
    let mut server = gate
        .accept(Clock::epoch(), proof, expecting(CLIENT))
        .unwrap();
    assert_eq!(server.state(), State::Connecting);
    let received = server.handle_datagram(Clock::epoch(), &mut hello.to_vec());
    assert_eq!(received, Received::Handled);
    server
}

/// Delivers until both are silent.
fn talk(client: &mut Connection, server: &mut Connection) {
    for _ in 0..10 {
        for mut datagram in datagrams(server) {
            let _ = client.handle_datagram(Clock::epoch(), &mut datagram);
        }
        for mut datagram in datagrams(client) {
            let _ = server.handle_datagram(Clock::epoch(), &mut datagram);
        }
    }
}

fn assert_connects(client: Config, server: Config) -> Connection {
    let (mut client, gate) = (client_of(client), gate_of(server));
    let hello = second_hello(&gate, &mut client);
    let mut server = accepted(&gate, &hello);
    talk(&mut client, &mut server);
    assert_eq!(
        (client.state(), server.state()),
        (State::Connected, State::Connected),
        "{:?} {:?}",
        client.error(),
        server.error(),
    );
    client
}

// req: T9
#[test]
fn who_brings_the_cookie_back_is_let_in_in_either_version() {
    for version in VERSIONS {
        let client = assert_connects(config_of(CLIENT, version), config_of(SERVER, version));
        assert_eq!(client.version(), Some(version));
    }
}

// req: T9 T1
#[test]
fn the_gate_chooses_the_version_as_a_connection_would() {
    for (client, server, chosen) in [
        ((V12, V13), (V12, V13), V13),
        ((V12, V13), (V12, V12), V12),
        ((V12, V13), (V13, V13), V13),
        ((V12, V12), (V12, V13), V12),
    ] {
        let config = |host, (min, max)| {
            let mut config = config(host);
            (config.min_version, config.max_version) = (min, max);
            config
        };
        let client = assert_connects(config(CLIENT, client), config(SERVER, server));
        assert_eq!(client.version(), Some(chosen));
    }
}

// req: T9
#[test]
fn one_request_asks_for_the_cookie_and_for_the_share_that_is_missing() {
    let mut server = config_of(SERVER, V13);
    server.groups = vec![NamedGroup::SECP384R1];
    let client = assert_connects(config_of(CLIENT, V13), server);
    assert_eq!(client.group(), Some(NamedGroup::SECP384R1));
}

// req: T9
#[test]
fn a_cookie_is_worth_nothing_at_another_address_or_another_gate() {
    for version in VERSIONS {
        let gate = gate_of(config_of(SERVER, version));
        let mut client = client_of(config_of(CLIENT, version));
        let hello = second_hello(&gate, &mut client);
        let other = gate_of(config_of(SERVER, version));
        for verdict in [
            verdict_on(&gate, MALLORY, &hello),
            verdict_on(&other, ALICE, &hello),
        ] {
            assert!(matches!(verdict, Verdict::Answer(_)), "{verdict:?}");
        }
        let verdict = verdict_on(&gate, ALICE, &hello);
        assert!(matches!(verdict, Verdict::Proven(_)), "{verdict:?}");
    }
}

// req: T9
#[test]
fn a_cookie_goes_with_one_hello_only() {
    for version in VERSIONS {
        let gate = gate_of(config_of(SERVER, version));
        let mut client = client_of(config_of(CLIENT, version));
        let hello = second_hello(&gate, &mut client);
        // The client's random begins behind the two headers and the version.
        for at in [13 + 12 + 2, 13 + 12 + 2 + 31] {
            let mut other = hello.clone();
            other[at] ^= 1;
            let verdict = verdict_on(&gate, ALICE, &other);
            assert!(matches!(verdict, Verdict::Answer(_)), "{verdict:?}");
        }
    }
}

// req: T9
#[test]
fn a_cookie_that_is_not_ours_ends_dtls_1_3_and_asks_again_in_dtls_1_2() {
    let answer = |version| {
        let gate = gate_of(config_of(SERVER, version));
        let mut client = client_of(config_of(CLIENT, version));
        let hello = second_hello(&gate, &mut client);
        answer_of(&gate, Clock::epoch(), MALLORY, &hello)
    };
    let (asked, ended) = (answer(V12), answer(V13));
    assert_eq!((asked[0], asked[13]), (22, 3), "a HelloVerifyRequest");
    let illegal_parameter = [2, 47];
    assert_eq!(
        (ended[0], &ended[13..]),
        (21, &illegal_parameter[..]),
        "an alert"
    );
}

// req: T9
#[test]
fn cookies_live_for_one_to_two_minutes() {
    for version in VERSIONS {
        let gate = gate_of(config_of(SERVER, version));
        let mut client = client_of(config_of(CLIENT, version));
        let mut hello = second_hello(&gate, &mut client);
        let mut is_good_after = |seconds| {
            let mut out = [0; CookieGate::MAX_ANSWER];
            let then = Clock::epoch() + Duration::from_secs(seconds);
            let verdict = gate.handle_datagram(then, ALICE, &hello, &mut out);
            hello = hello.clone();
            matches!(verdict, Verdict::Proven(_))
        };
        assert!(is_good_after(0) && is_good_after(59) && is_good_after(119));
        assert!(!is_good_after(120) && !is_good_after(256 * 60) && !is_good_after(257 * 60));
    }
}

// req: T9
#[test]
fn answers_are_numbered_as_what_they_answer() {
    for version in VERSIONS {
        let gate = gate_of(config_of(SERVER, version));
        let mut client = client_of(config_of(CLIENT, version));
        let mut first = only_datagram(&mut client);
        // Sent again and again until the gate heard it: record 9.
        first[10] = 9;
        let mut answer = answer_of(&gate, Clock::epoch(), ALICE, &first);
        assert_eq!(answer[3..11], first[3..11]);
        let _ = client.handle_datagram(Clock::epoch(), &mut answer);
        let hello = only_datagram(&mut client);
        let mut server = accepted(&gate, &hello);
        let answer = &datagrams(&mut server)[0];
        assert_eq!(answer[3..11], hello[3..11], "the record's number");
        assert_eq!(
            answer[13 + 4..13 + 6],
            hello[13 + 4..13 + 6],
            "the message's number"
        );
    }
}

/// RFC 4347 §4.2.1 allowed no more, and there are clients of DTLS 1.2 that give up at the 33rd byte.
// req: T9
#[test]
fn a_cookie_of_dtls_1_2_is_not_longer_than_32_bytes() {
    let gate = gate_of(config_of(SERVER, ProtocolVersion::DTLS1_2));
    let mut client = client_of(config_of(CLIENT, ProtocolVersion::DTLS1_2));
    let answer = answer_of(&gate, Clock::epoch(), ALICE, &only_datagram(&mut client));
    // Behind the headers of record and message and the version: its length, and it.
    let cookie = &answer[13 + 12 + 2..];
    assert_eq!(usize::from(cookie[0]), cookie.len() - 1);
    assert!((1..=32).contains(&cookie[0]), "{} bytes", cookie[0]);
}

// req: T9
#[test]
fn what_cannot_lead_to_a_handshake_is_told_so_without_a_connection() {
    let gate = gate_of(config_of(SERVER, V13));
    let mut client = client_of(config_of(CLIENT, V12));
    let mut answer = answer_of(&gate, Clock::epoch(), ALICE, &only_datagram(&mut client));
    let _ = client.handle_datagram(Clock::epoch(), &mut answer);
    client.handle_timeout(Clock::epoch() + Duration::from_millis(400));
    let alert = AlertDescription::PROTOCOL_VERSION;
    assert_eq!(client.error(), Some(&Error::AlertReceived(alert)));
    let incompatible = Error::from(PeerIncompatible::NoVersionInCommon);
    assert_eq!(incompatible.alert(), Some(alert));
}

// req: T9
#[test]
fn a_hello_in_two_datagrams_cannot_be_answered_without_keeping_it() {
    for version in VERSIONS {
        let gate = gate_of(config_of(SERVER, version));
        let mut config = config_of(CLIENT, version);
        config.mtu = 256;
        config.alpn_protocols = vec![vec![b'a'; 250]];
        let mut client = client_of(config);
        let parts = datagrams(&mut client);
        assert!(parts.len() > 1);
        for part in parts {
            let verdict = verdict_on(&gate, ALICE, &part);
            assert!(matches!(verdict, Verdict::Fragment), "{verdict:?}");
        }
    }
}

fn collect(
    gate: &CookieGate,
    now: Instant,
    from: &[u8],
    partial: &mut PartialHello,
    pieces: &[Vec<u8>],
) -> (Verdict, Vec<u8>) {
    let mut out = [0; CookieGate::MAX_ANSWER];
    let (last, first) = pieces.split_last().unwrap();
    for piece in first {
        let verdict = gate.collect(now, from, partial, piece, &mut out);
        assert!(matches!(verdict, Verdict::Fragment), "{verdict:?}");
    }
    let verdict = gate.collect(now, from, partial, last, &mut out);
    let len = match verdict {
        Verdict::Answer(len) => len,
        _ => 0,
    };
    let received: usize = pieces.iter().map(Vec::len).sum();
    assert!(len <= 3 * received);
    (verdict, out[..len].to_vec())
}

/// A client at the smallest MTU, and the pieces of its hello with the cookie.
fn second_hello_in_pieces(
    gate: &CookieGate,
    version: ProtocolVersion,
) -> (Connection, Vec<Vec<u8>>) {
    let now = Clock::epoch();
    let mut config = config_of(CLIENT, version);
    config.mtu = 256;
    config.alpn_protocols = vec![vec![b'a'; 200], vec![b'b'; 200]];
    let mut client = client_of(config);
    let mut partial = PartialHello::new(now);
    let first = datagrams(&mut client);
    let (verdict, mut answer) = collect(gate, now, ALICE, &mut partial, &first);
    assert!(matches!(verdict, Verdict::Answer(_)), "{verdict:?}");
    assert!(partial.is_empty());
    assert_eq!(client.handle_datagram(now, &mut answer), Received::Handled);
    let second = datagrams(&mut client);
    assert!(second.len() > 2);
    (client, second)
}

fn collected(gate: &CookieGate, pieces: &[Vec<u8>]) -> Connection {
    let now = Clock::epoch();
    let (verdict, _) = collect(gate, now, ALICE, &mut PartialHello::new(now), pieces);
    let Verdict::Proven(proof) = verdict else {
        panic!("{verdict:?}");
    };
    let mut server = gate.accept(now, proof, expecting(CLIENT)).unwrap();
    let last = pieces.last().unwrap();
    let received = server.handle_datagram(now, &mut last.clone());
    assert_eq!(received, Received::Handled);
    server
}

// req: T9 T2
#[test]
fn who_brings_the_cookie_back_in_pieces_is_let_in_in_any_order() {
    for version in VERSIONS {
        for rotated in 0..3 {
            let gate = gate_of(config_of(SERVER, version));
            let (mut client, mut pieces) = second_hello_in_pieces(&gate, version);
            pieces.rotate_left(rotated);
            let mut server = collected(&gate, &pieces);
            let answers = datagrams(&mut server);
            let hello = pieces.last().unwrap();
            assert_eq!(answers[0][3..11], hello[3..11], "the record's number");
            for mut answer in answers {
                let _ = client.handle_datagram(Clock::epoch(), &mut answer);
            }
            talk(&mut client, &mut server);
            assert_eq!(client.state(), State::Connected, "{:?}", client.error());
            assert_eq!(server.state(), State::Connected, "{:?}", server.error());
            assert_eq!(server.version(), Some(version));
        }
    }
}

// req: T9
#[test]
fn a_cookie_in_pieces_is_worth_nothing_elsewhere_later_or_changed() {
    for version in VERSIONS {
        let gate = gate_of(config_of(SERVER, version));
        let (_, pieces) = second_hello_in_pieces(&gate, version);
        let epoch = Clock::epoch();
        let refused = |from, now, pieces: &[Vec<u8>]| {
            let mut partial = PartialHello::new(now);
            let (verdict, answer) = collect(&gate, now, from, &mut partial, pieces);
            assert!(matches!(verdict, Verdict::Answer(_)), "{verdict:?}");
            assert!(partial.is_empty(), "nothing is kept of it");
            // Asked again, or told illegal_parameter.
            let expected = if version == V12 { 22 } else { 21 };
            assert_eq!(answer[0], expected);
        };
        refused(MALLORY, epoch, &pieces);
        refused(ALICE, epoch + Duration::from_secs(120), &pieces);
        let mut changed = pieces.clone();
        changed[0][13 + 12 + 2] ^= 1;
        refused(ALICE, epoch, &changed);
        let now = epoch + Duration::from_secs(119);
        let (verdict, _) = collect(&gate, now, ALICE, &mut PartialHello::new(now), &pieces);
        assert!(matches!(verdict, Verdict::Proven(_)), "{verdict:?}");
    }
}

// req: T9
#[test]
fn pieces_are_kept_for_ten_seconds() {
    let gate = gate_of(config_of(SERVER, V13));
    let (_, pieces) = second_hello_in_pieces(&gate, V13);
    let (last, first) = pieces.split_last().unwrap();
    for (late, is_whole) in [(Duration::from_millis(1), true), (Duration::ZERO, false)] {
        let mut partial = PartialHello::new(Clock::epoch());
        for piece in first {
            let _ = collect(
                &gate,
                Clock::epoch(),
                ALICE,
                &mut partial,
                std::slice::from_ref(piece),
            );
        }
        let now = partial.expires_at() - late;
        assert_eq!(
            partial.expires_at(),
            Clock::epoch() + PartialHello::LIFETIME
        );
        let (verdict, _) = collect(&gate, now, ALICE, &mut partial, std::slice::from_ref(last));
        assert_eq!(
            matches!(verdict, Verdict::Proven(_)),
            is_whole,
            "{verdict:?}"
        );
        assert_eq!(
            matches!(verdict, Verdict::Fragment),
            !is_whole,
            "{verdict:?}"
        );
    }
}

// req: T9 T2
#[test]
fn pieces_of_too_much_of_the_past_or_of_something_else_are_dropped() {
    let gate = gate_of(config_of(SERVER, V13));
    let (_, pieces) = second_hello_in_pieces(&gate, V13);
    let mut partial = PartialHello::new(Clock::epoch());
    let _ = collect(&gate, Clock::epoch(), ALICE, &mut partial, &pieces[..1]);
    let mut too_long = pieces[1].clone();
    too_long[13 + 1..13 + 4].copy_from_slice(&[0, 0x40, 1]);
    let mut past = pieces[1].clone();
    past[13 + 5] = 0;
    let mut finished = pieces[1].clone();
    finished[13] = 20;
    let mut cut = pieces[1].clone();
    cut.pop();
    for (piece, reason) in [
        (too_long, DropReason::ReassemblyFull),
        (past, DropReason::StaleMessage),
        (finished, DropReason::UnexpectedPlaintext),
        (cut, DropReason::TruncatedRecord),
        (vec![], DropReason::TruncatedRecord),
    ] {
        match collect(&gate, Clock::epoch(), ALICE, &mut partial, &[piece]).0 {
            Verdict::Dropped(dropped) => assert_eq!(dropped, reason),
            other => panic!("{other:?}"),
        }
    }
    let (verdict, _) = collect(&gate, Clock::epoch(), ALICE, &mut partial, &pieces[1..]);
    assert!(matches!(verdict, Verdict::Proven(_)), "{verdict:?}");
}

/// The length that is claimed takes none.
// req: T9 T2
#[test]
fn pieces_take_memory_for_what_came() {
    let gate = gate_of(config_of(SERVER, V13));
    let mut piece = second_hello_in_pieces(&gate, V13).1.remove(0);
    let claimed = (PartialHello::MAX_LEN as u32).to_be_bytes();
    piece[13 + 1..13 + 4].copy_from_slice(&claimed[1..]);
    let mut partial = PartialHello::new(Clock::epoch());
    let counted = allocation_counter::measure(|| {
        let mut out = [0; CookieGate::MAX_ANSWER];
        let verdict = gate.collect(Clock::epoch(), ALICE, &mut partial, &piece, &mut out);
        assert!(matches!(verdict, Verdict::Fragment), "{verdict:?}");
    });
    assert!(counted.bytes_max <= 2048, "{} bytes", counted.bytes_max);
}

// req: T9
#[test]
fn a_whole_hello_and_pieces_that_contradict_each_other_get_through_too() {
    let gate = gate_of(config_of(SERVER, V12));
    let (_, pieces) = second_hello_in_pieces(&gate, V12);
    let now = Clock::epoch();
    let mut partial = PartialHello::new(now);
    let mut forged = pieces[0].clone();
    forged[40] ^= 1;
    let _ = collect(&gate, now, ALICE, &mut partial, &[forged]);
    let (verdict, _) = collect(&gate, now, ALICE, &mut partial, &pieces[..1]);
    let conflict = matches!(verdict, Verdict::Dropped(DropReason::FragmentConflict));
    assert!(conflict, "{verdict:?}");
    let (verdict, _) = collect(&gate, now, ALICE, &mut partial, &pieces[1..]);
    assert!(matches!(verdict, Verdict::Proven(_)), "{verdict:?}");
    let mut client = client_of(config_of(CLIENT, V12));
    let hello = only_datagram(&mut client);
    let (verdict, _) = collect(&gate, now, ALICE, &mut PartialHello::new(now), &[hello]);
    assert!(matches!(verdict, Verdict::Answer(_)), "{verdict:?}");
}

// req: T9
#[test]
fn other_datagrams_are_dropped() {
    let gate = gate_of(config(SERVER));
    let mut client = client_of(config(CLIENT));
    let hello = only_datagram(&mut client);
    let mut finished = hello.clone();
    finished[13] = 20;
    let mut encrypted = hello.clone();
    encrypted[2] = 0xfd;
    encrypted[4] = 1;
    let mut cut = hello.clone();
    cut.truncate(40);
    for (datagram, reason) in [
        (finished, DropReason::UnexpectedPlaintext),
        (encrypted, DropReason::UnexpectedPlaintext),
        (cut, DropReason::TruncatedRecord),
        (vec![], DropReason::TruncatedRecord),
    ] {
        match verdict_on(&gate, ALICE, &datagram) {
            Verdict::Dropped(dropped) => assert_eq!(dropped, reason),
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    // req: T9
    #[test]
    fn no_bytes_are_let_in_and_no_answer_is_long(
        bytes: Vec<u8>,
        at in any::<prop::sample::Index>(),
        byte: u8,
        new in any::<bool>(),
    ) {
        let version = if new { V13 } else { V12 };
        let gate = gate_of(config_of(SERVER, version));
        let mut hello = only_datagram(&mut client_of(config_of(CLIENT, version)));
        let at = at.index(hello.len());
        hello[at] = byte;
        for datagram in [&bytes, &hello] {
            match verdict_on(&gate, ALICE, datagram) {
                Verdict::Answer(len) => prop_assert!(len <= 3 * datagram.len()),
                Verdict::Proven(_) => prop_assert!(false, "there was no cookie"),
                _ => {}
            }
        }
    }
}

/// A server that nobody vouches for its client to.
fn unproven(config: Config) -> Connection {
    let mut server =
        Connection::new(Arc::new(config), Setup::Passive, RemoteIdentity::Later).unwrap();
    server.start(Clock::epoch());
    server
}

// req: T9
#[test]
fn without_a_proof_no_more_than_three_times_what_came_goes_out() {
    for version in VERSIONS {
        let mut server = unproven(config_of(SERVER, version));
        let mut client = client_of(config_of(CLIENT, version));
        let hello = only_datagram(&mut client);
        let mut received = 0;
        let mut sent = 0;
        // The client is spoofed, or its path loses all that comes: it repeats its hello, and time goes by.
        let mut now = Clock::epoch();
        for _ in 0..20 {
            let _ = server.handle_datagram(now, &mut hello.clone());
            received += hello.len();
            for _ in 0..3 {
                sent += datagrams(&mut server).iter().map(Vec::len).sum::<usize>();
                assert!(sent <= 3 * received, "{version}: {sent} for {received}");
                now += Duration::from_secs(1);
                server.handle_timeout(now);
            }
        }
        assert!(sent > received, "{version}: it does answer");
        assert!(!server.is_path_validated());
    }
}

// req: T9
#[test]
fn a_flight_longer_than_may_be_sent_gets_through_in_parts() {
    for version in VERSIONS {
        let mut config = config_of(SERVER, version);
        // A certificate of some kilobytes.
        const RSA_2048: &str = include_str!("data/rsa2048.pem");
        config.identity = Arc::new(floe_dtls::Identity::from_pem(RSA_2048, RSA_2048).unwrap());
        let mut remote = config_of(CLIENT, version);
        remote.mtu = 548;
        let expected = floe_dtls::FingerprintSet::new([config
            .identity
            .fingerprint(floe_dtls::HashAlgorithm::Sha256)])
        .unwrap();
        let mut client = Connection::new(
            Arc::new(remote),
            Setup::Active,
            RemoteIdentity::Fingerprints(expected),
        )
        .unwrap();
        client.start(Clock::epoch());
        let mut server =
            Connection::new(Arc::new(config), Setup::Passive, expecting(CLIENT)).unwrap();
        server.start(Clock::epoch());
        let mut now = Clock::epoch();
        for _ in 0..40 {
            for mut datagram in datagrams(&mut client) {
                let _ = server.handle_datagram(now, &mut datagram);
            }
            for mut datagram in datagrams(&mut server) {
                let _ = client.handle_datagram(now, &mut datagram);
            }
            now += Duration::from_millis(100);
            client.handle_timeout(now);
            server.handle_timeout(now);
        }
        assert_eq!(
            (client.state(), server.state()),
            (State::Connected, State::Connected),
            "{version}"
        );
        assert!(server.is_path_validated(), "by the client's Finished");
    }
}

// req: T7 T9
#[test]
fn what_came_before_the_start_counts_once() {
    for version in VERSIONS {
        let mut config = config_of(SERVER, version);
        // A flight that is longer than may be sent.
        const RSA_2048: &str = include_str!("data/rsa2048.pem");
        config.identity = Arc::new(floe_dtls::Identity::from_pem(RSA_2048, RSA_2048).unwrap());
        for setup in [Setup::Passive, Setup::ActPass] {
            let mut server =
                Connection::new(Arc::new(config.clone()), setup, RemoteIdentity::Later).unwrap();
            let hello = only_datagram(&mut client_of(config_of(CLIENT, version)));
            let now = Clock::epoch();
            assert_eq!(
                server.handle_datagram(now, &mut hello.clone()),
                Received::Handled
            );
            server.start(now);
            let sent: usize = datagrams(&mut server).iter().map(Vec::len).sum();
            assert!(0 < sent && sent <= 3 * hello.len(), "{version}: {sent}");
        }
    }
}
