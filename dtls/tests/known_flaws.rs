//! What has gone wrong in other implementations of DTLS, one test for each flaw or family of them.
//!
//! | flaw | test |
//! |---|---|
//! | CVE-2026-26014: random nonces | [`explicit_nonces_count_records`] |
//! | CVE-2019-20786, CVE-2020-24585: application data in plaintext | [`application_data_in_plaintext_is_never_heard`] |
//! | CVE-2022-29189, CVE-2016-2179, CVE-2015-0206, CVE-2014-3506: unbounded buffers | [`a_flood_takes_bounded_memory_and_the_handshake_completes`] |
//! | CVE-2022-29190, CVE-2014-3507: fragments of no length | [`fragments_of_no_length_are_fragments`] |
//! | CVE-2022-29222, CVE-2022-25640, CVE-2026-55962 and others: client authentication bypassed | [`no_part_of_the_clients_proof_can_be_left_out_or_moved`] |
//! | CVE-2014-0195, CVE-2026-33846, CVE-2026-33845, CVE-2022-35409: lengths that contradict each other | [`lengths_that_contradict_each_other_are_harmless`], [`a_cookie_longer_than_its_message_is_refused`] |
//! | CVE-2014-0221: recursion; CVE-2014-8176: data between ChangeCipherSpec and Finished | [`chains_of_messages_do_not_nest`], [`data_before_the_finished_is_not_heard`] |
//! | CVE-2016-2181, CVE-2009-1377 to 1379: the window moves before the MAC is checked | [`a_forged_record_far_ahead_does_not_move_the_window`] |
//! | CVE-2026-42009: duplicate message numbers | [`a_flight_in_any_order_and_twice_is_a_flight`] |
//! | CVE-2020-11501: a random of zeros | [`randoms_differ_and_say_downgrade_only_where_there_was_one`] |
//! | CVE-2026-25834: a signature scheme that was not offered | [`a_scheme_that_was_not_offered_is_illegal`] |
//! | CVE-2026-34873: a second ClientHello that differs | [`the_second_client_hello_is_the_first`] |
//! | CVE-2022-46393: connection ids that overflow | [`connection_ids_of_any_length_are_taken_or_refused`] |
//! | CVE-2022-38152, 38153, 39173, 42905: repeated and endless lists | [`repeated_and_endless_lists_cost_nothing`] |
//! | early ChangeCipherSpec, plaintext and invalid Finished, invented cookies (state-machine learning, 2020 to 2023) | [`the_learnt_flaws_are_not_ours`], and `sequences.rs` for the whole automaton |
//! | CVE-2023-51443, CVE-2023-49786: a spoofed ClientHello ends a call | [`a_spoofed_client_hello_with_a_null_suite_ends_nothing`] |
//! | CVE-2022-39368: failed handshakes leave something behind | [`failed_handshakes_give_everything_back`] |
//! | plaintext that is marked as protected | [`a_plaintext_client_hello_marked_as_protected_is_ignored`] |
//! | alerts in plaintext, numbers that wrap, tickets, KeyUpdate and keys dropped too early in DTLS 1.3 (2026) | the tests in [`of_dtls_1_3`] |
//! | CVE-2011-4108, Lucky 13: CBC padding | [`there_is_no_cbc`] |
#![cfg(feature = "deterministic")]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use allocation_counter::measure;
use common::duel::{Duel, Log, Scenario, Twist};
use common::puppet::stage::Stage;
use common::puppet::{Cast, Letter, Version, Who};
use common::wire::{
    self, ClientHello, Fragment, NEW_AND_OLD, Record, ServerHello, browser_hello, list16,
};
use floe_dtls::*;
use sim::Clock;

const SIDES: [Side; 2] = [Side::Client, Side::Server];
const CERTIFICATE: Letter = Letter::Certificate(Who::Signalled);

/// Each version with each side as the victim.
fn all() -> impl Iterator<Item = (Version, Side)> {
    let both = |version| SIDES.map(|victim| (version, victim));
    Version::ALL.into_iter().flat_map(both)
}

fn good(version: Version) -> Scenario {
    Scenario {
        version,
        lost: vec![],
        twist: Twist::Nothing,
    }
}

/// The run in which both ends are given these datagrams after every step.
fn run_with(version: Version, datagrams: &[Vec<u8>]) -> Log {
    Duel::run(&good(version), |duel| {
        for victim in SIDES {
            datagrams
                .iter()
                .for_each(|datagram| duel.deliver(victim, datagram.clone()));
        }
    })
}

fn assert_unmoved_by(version: Version, datagrams: &[Vec<u8>]) {
    assert!(
        run_with(version, datagrams) == run_with(version, &[]),
        "{version:?}"
    );
}

// req: T62 T30
#[test]
fn explicit_nonces_count_records() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let mut stage = Stage::connected(version, victim, &cast);
        // The Finished of DTLS 1.2 is in the epoch of data, and so is what the server of DTLS 1.3 acknowledges it with.
        let first = u64::from((version, victim) != (Version::V13, Side::Client));
        let keys = stage
            .puppet
            .keys(victim, stage.puppet.data_epoch())
            .unwrap();
        let mut out = [0; 200];
        for sequence in first..100_000 {
            let len = stage.victim.seal(stage.now, b"data", &mut out).unwrap();
            match version {
                Version::V12 => {
                    let number = (1_u64 << 48 | sequence).to_be_bytes();
                    assert_eq!(out[3..11], number, "the record number");
                    assert_eq!(out[13..21], number, "the nonce is the record number");
                }
                // The number is masked and the nonce made of it: with another one it would not open.
                Version::V13 => {
                    assert_eq!(keys.number_of(&out[..len]), Some(sequence as u16));
                    assert_eq!(keys.open(&out[..len], sequence).unwrap().body, b"data");
                }
            }
        }
    }
}

// req: T62 T6 T32
#[test]
fn application_data_in_plaintext_is_never_heard() {
    for version in Version::ALL {
        let data =
            |sequence| Record::new(wire::APPLICATION_DATA, 0, sequence, b"from nobody").to_bytes();
        assert_unmoved_by(version, &[0, 1, 2, 9, 1000].map(data));
    }
}

/// Messages of the far future, giant messages byte by byte, and records of epochs to come.
fn flood() -> Vec<Vec<u8>> {
    let mut flood = Vec::new();
    for n in 0..2000_u16 {
        let giant = Fragment {
            length: 0xff_ffff,
            offset: u32::from(n) * 4000,
            ..Fragment::whole(wire::CERTIFICATE, 3, &[n as u8])
        };
        let far = Fragment::whole(wire::CERTIFICATE, 50 + n, &[7; 900]);
        flood.push(giant.in_record(u64::from(n)).to_bytes());
        flood.push(far.in_record(u64::from(n)).to_bytes());
        for epoch in [1, 2, 3] {
            let future = Record::new(wire::HANDSHAKE, epoch, 100 + u64::from(n), &[7; 900]);
            flood.push(future.to_bytes());
        }
        flood.push([&[0x2d + (n % 3) as u8, 0, n as u8, 3, 0x84][..], &[7; 900]].concat());
    }
    flood
}

// req: T62 T2 T32
#[test]
fn a_flood_takes_bounded_memory_and_the_handshake_completes() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let word = version.word(victim);
        for step in 0..word.len() {
            let mut stage = Stage::new(version, victim, &cast);
            stage.say_all(&word[..step]);
            let mut flood = flood();
            let counted = measure(|| {
                for datagram in &mut flood {
                    let _ = stage.victim.handle_datagram(Clock::epoch(), datagram);
                }
            });
            assert!(
                counted.bytes_max <= 4096,
                "{version:?} {victim} {step}: {counted:?}"
            );
            stage.say_all(&word[step..]);
            assert_eq!(
                stage.victim.state(),
                State::Connected,
                "{version:?} {victim} {step}"
            );
        }
    }
}

// req: T62 T2
#[test]
fn fragments_of_no_length_are_fragments() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let mut stage = Stage::new(version, victim, &cast);
        for letter in version.word(victim) {
            stage.say_in_pieces(
                *letter,
                |_| (),
                |len| {
                    let half = len / 2;
                    vec![
                        (0, 0),
                        (half, half),
                        (len, len),
                        (half, len),
                        (0, 0),
                        (0, half),
                        (len, len),
                    ]
                },
            );
        }
        assert_eq!(
            stage.victim.state(),
            State::Connected,
            "{version:?} {victim}"
        );
    }
    // A message of no length is a message: the ServerHelloDone is one, a Certificate is not.
    for (version, victim) in all() {
        let before = version
            .word(victim)
            .iter()
            .take_while(|letter| **letter != CERTIFICATE);
        let mut stage = Stage::new(version, victim, &cast);
        before.for_each(|letter| drop(stage.say(*letter)));
        let _ = stage.say_changed(CERTIFICATE, Vec::clear);
        assert_eq!(
            stage.victim.error(),
            Some(&InvalidMessage::MessageTooShort.into())
        );
    }
}

/// Every order of every part of `letters`; `None` is a ChangeCipherSpec.
fn arrangements(letters: &[Option<Letter>]) -> BTreeSet<Vec<Option<Letter>>> {
    let mut arrangements = BTreeSet::from([Vec::new()]);
    for (at, first) in letters.iter().enumerate() {
        let rest = [&letters[..at], &letters[at + 1..]].concat();
        for mut arrangement in self::arrangements(&rest) {
            arrangement.insert(0, *first);
            arrangements.insert(arrangement);
        }
    }
    arrangements
}

// req: T62 T5
#[test]
fn no_part_of_the_clients_proof_can_be_left_out_or_moved() {
    let cast = Cast::new();
    for version in Version::ALL {
        let [hello, proof @ ..] = version.word(Side::Server) else {
            panic!("a word")
        };
        for certificate in [CERTIFICATE, Letter::Certificate(Who::Nobody)] {
            let mut letters: Vec<_> = proof.iter().copied().map(Some).collect();
            letters[0] = Some(certificate);
            letters.push(None);
            for arrangement in arrangements(&letters) {
                let mut stage = Stage::new(version, Side::Server, &cast);
                let _ = stage.say(*hello);
                for letter in &arrangement {
                    match letter {
                        Some(letter) => drop(stage.say(*letter)),
                        None => stage.change_cipher_spec(),
                    }
                }
                let said: Vec<_> = arrangement.into_iter().flatten().collect();
                let connected = stage.victim.state() == State::Connected;
                assert_eq!(connected, said == proof, "{version:?} {said:?}");
            }
        }
    }
}

// req: T62 T2 T32
#[test]
fn lengths_that_contradict_each_other_are_harmless() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let mut stage = Stage::new(version, victim, &cast);
        for letter in version.word(victim) {
            let next = Fragment::whole(letter.message_type(), stage.puppet.next_seq(), &[7; 40]);
            // Longer than said, past the end, past what 24 bits can say; and a length that the genuine one contradicts.
            for (length, offset) in [
                (39, 0),
                (40, 1),
                (40, 0xff_ffff),
                (0, 0),
                (0xff_ffff, 0),
                (41, 0),
            ] {
                let lie = Fragment {
                    length,
                    offset,
                    ..next.clone()
                };
                let record = stage.puppet.seal(0, wire::HANDSHAKE, &lie.to_bytes());
                let _ = stage.give(record);
            }
            let _ = stage.say(*letter);
        }
        assert_eq!(
            stage.victim.state(),
            State::Connected,
            "{version:?} {victim}"
        );
        // Authentic, and still nonsense.
        let mut stage = Stage::connected(version, victim, &cast);
        let epoch = stage.puppet.data_epoch();
        let lie = Fragment {
            length: 39,
            ..Fragment::whole(4, stage.puppet.next_seq(), &[7; 40])
        };
        let record = stage.puppet.seal(epoch, wire::HANDSHAKE, &lie.to_bytes());
        let malformed = Received::Dropped(DropReason::MalformedFragment);
        assert_eq!(stage.give(record), malformed, "{version:?} {victim}");
        stage.assert_talking();
    }
}

// req: T62 T23
#[test]
fn a_cookie_longer_than_its_message_is_refused() {
    let cast = Cast::new();
    for version in Version::ALL {
        let mut stage = Stage::new(version, Side::Server, &cast);
        // Version, random, an empty session id, then the length of the cookie.
        let _ = stage.say_changed(Letter::ClientHello, |body| body[35] = 0xff);
        assert_eq!(stage.puppet.alerts, [[2, AlertDescription::DECODE_ERROR.0]]);
        assert_eq!(stage.victim.state(), State::Failed);
    }
    let mut stage = Stage::new(Version::V12, Side::Client, &cast);
    let _ = stage.say_changed(Letter::HelloVerifyRequest, |body| body[2] = 0xff);
    assert_eq!(stage.puppet.alerts, [[2, AlertDescription::DECODE_ERROR.0]]);
}

// req: T62 T4 T32
#[test]
fn chains_of_messages_do_not_nest() {
    let cast = Cast::new();
    let chain = |message_type, first: u16| {
        let message = |seq| Fragment::whole(message_type, seq, &[]).to_bytes();
        (first..first + 1000).flat_map(message).collect::<Vec<_>>()
    };
    for (version, victim) in all() {
        let hello = match victim {
            Side::Client => 0,
            Side::Server => wire::CLIENT_HELLO,
        };
        // In plaintext in a handshake: the first one ends it.
        let mut stage = Stage::new(version, victim, &cast);
        let record = stage.puppet.seal(0, wire::HANDSHAKE, &chain(hello, 0));
        let _ = stage.give(record);
        assert_eq!(stage.victim.state(), State::Failed, "{version:?} {victim}");
        // Authentic in a live association of DTLS 1.2: all of them are declined, by a few alerts.
        if version == Version::V12 {
            let mut stage = Stage::connected(version, victim, &cast);
            for _ in 0..3 {
                let record = stage.puppet.seal(1, wire::HANDSHAKE, &chain(hello, 0));
                let _ = stage.give(record);
            }
            assert!((1..=4).contains(&stage.listen()));
            assert!(stage.puppet.alerts.iter().all(|alert| *alert == [1, 100]));
            stage.assert_talking();
        }
    }
}

// req: T62 T6
#[test]
fn data_before_the_finished_is_not_heard() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let [word @ .., last] = version.word(victim) else {
            panic!("a word")
        };
        let mut stage = Stage::new(version, victim, &cast);
        stage.say_all(word);
        stage.change_cipher_spec();
        // With the right keys, where the puppet has them: a server of DTLS 1.3 has its own before its Finished is read.
        let early = stage.puppet.seal_data(b"early");
        let received = stage.give(early);
        assert!(
            matches!(received, Received::Dropped(_)),
            "{version:?} {victim}: {received:?}"
        );
        let _ = stage.say(*last);
        assert_eq!(stage.victim.state(), State::Connected);
        stage.assert_talking();
    }
}

// req: T62 T31
#[test]
fn a_forged_record_far_ahead_does_not_move_the_window() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let mut stage = Stage::connected(version, victim, &cast);
        for ahead in [300, 1 << 20, 1 << 40, (1 << 48) - 1] {
            let forged = match version {
                Version::V12 => Record::new(wire::APPLICATION_DATA, 1, ahead, &[9; 60]).to_bytes(),
                Version::V13 => [
                    &[0x2f, (ahead >> 8) as u8, ahead as u8, 0, 60][..],
                    &[9; 60],
                ]
                .concat(),
            };
            let received = stage.give(forged);
            assert_eq!(
                received,
                Received::Dropped(DropReason::BadMac),
                "{version:?}"
            );
        }
        stage.assert_talking();
    }
}

/// The first `count` records of a flight in the `nth` of their orders.
fn permuted(mut records: Vec<Vec<u8>>, mut nth: usize) -> Vec<Vec<u8>> {
    let mut permuted = Vec::new();
    while !records.is_empty() {
        permuted.push(records.remove(nth % records.len()));
        nth /= records.len() + 1;
    }
    permuted
}

// req: T62 T2
#[test]
fn a_flight_in_any_order_and_twice_is_a_flight() {
    for version in Version::ALL {
        for nth in 0..120 {
            let mut duel = Duel::start(&good(version));
            duel.reorder(move |records| {
                let twice = records
                    .iter()
                    .flat_map(|record| [record.clone(), record.clone()])
                    .collect();
                [permuted(records, nth), permuted(twice, nth * 7919)].concat()
            });
            let until = duel.now + Duration::from_secs(20);
            duel.advance(until, &mut |_| ());
            assert_eq!(
                duel.ends.each_ref().map(Connection::state),
                [State::Connected; 2],
                "{version:?} {nth}"
            );
        }
    }
}

fn server_random(stage: &Stage) -> [u8; 32] {
    let hello = stage
        .puppet
        .heard
        .iter()
        .find(|(message_type, _)| *message_type == wire::SERVER_HELLO);
    ServerHello::parse(&hello.unwrap().1).random
}

// req: T62 T1
#[test]
fn randoms_differ_and_say_downgrade_only_where_there_was_one() {
    let cast = Cast::new();
    let mut randoms = BTreeSet::from([[0; 32]]);
    for (version, victim) in all() {
        for _ in 0..20 {
            let stage = Stage::connected(version, victim, &cast);
            let random = match victim {
                Side::Client => ClientHello::parse(&stage.puppet.heard[0].1).random,
                Side::Server => server_random(&stage),
            };
            assert_ne!(&random[24..31], b"DOWNGRD", "it could not have done better");
            assert!(randoms.insert(random), "{version:?} {victim}");
        }
    }
    // A server that could have done better says so.
    let config = Config::new(cast.victim.clone());
    if config.max_version == ProtocolVersion::DTLS1_3 {
        let mut stage = Stage::with(
            Version::V12,
            Side::Server,
            &cast,
            config,
            RemoteIdentity::AcceptAny,
        );
        let _ = stage.say(Letter::ClientHello);
        assert_eq!(&server_random(&stage)[24..], b"DOWNGRD\x01");
    }
}

// req: T62 T3 T23
#[test]
fn a_scheme_that_was_not_offered_is_illegal() {
    let cast = Cast::new();
    for (version, victim) in all() {
        // Where the scheme stands in the message that carries a signature.
        let (letter, at) = match (version, victim) {
            (Version::V12, Side::Client) => (Letter::ServerKeyExchange, 36),
            _ => (Letter::CertificateVerify, 0),
        };
        // ECDSA and RSA with SHA-1, Ed448, DSA, and one that nobody knows; RSA-PKCS1 no longer signs in DTLS 1.3.
        let mut schemes = vec![[2, 3], [2, 1], [8, 8], [2, 2], [0xfa, 0xfa]];
        if version == Version::V13 {
            schemes.push([4, 1]);
        }
        for scheme in schemes {
            let before = version
                .word(victim)
                .iter()
                .take_while(|other| **other != letter);
            let mut stage = Stage::new(version, victim, &cast);
            before.for_each(|letter| drop(stage.say(*letter)));
            let _ = stage.say_changed(letter, |body| body[at..at + 2].copy_from_slice(&scheme));
            let unoffered = PeerMisbehaved::SignedWithUnofferedScheme.into();
            assert_eq!(
                stage.victim.error(),
                Some(&unoffered),
                "{version:?} {victim} {scheme:?}"
            );
            assert_eq!(
                stage.puppet.alerts,
                [[2, AlertDescription::ILLEGAL_PARAMETER.0]]
            );
        }
    }
}

// req: T62 T1
#[test]
fn the_second_client_hello_is_the_first() {
    let cast = Cast::new();
    for version in Version::ALL {
        let demand = match version {
            Version::V12 => Letter::HelloVerifyRequest,
            Version::V13 => Letter::HelloRetryRequest,
        };
        let mut stage = Stage::new(version, Side::Client, &cast);
        let _ = stage.say(demand);
        let [first, mut second] = [0, 1].map(|nth| ClientHello::parse(&stage.puppet.heard[nth].1));
        match version {
            Version::V12 => assert_eq!(std::mem::take(&mut second.cookie), [0xcc; 20]),
            Version::V13 => second.extensions.retain(|(code, _)| *code != wire::COOKIE),
        }
        assert_eq!(second, first, "nothing but the cookie");
        stage.say_all(version.word(Side::Client));
        assert_eq!(stage.victim.state(), State::Connected);
    }
    if Version::ALL.contains(&Version::V13) {
        a_server_sees_that_the_second_client_hello_was_changed(&cast);
    }
}

fn a_server_sees_that_the_second_client_hello_was_changed(cast: &Cast) {
    type Change = fn(&mut ClientHello);
    let changes: [Change; 7] = [
        |hello| hello.random[7] ^= 1,
        |hello| hello.suites.push(0x1302),
        |hello| hello.suites.insert(0, 0xfafa),
        |hello| hello.set(wire::SUPPORTED_GROUPS, Some(list16(&[0x1d, 0x17]))),
        |hello| hello.set(wire::SIGNATURE_ALGORITHMS, Some(list16(&[0x0807]))),
        |hello| hello.set(wire::USE_SRTP, Some(wire::use_srtp(&[1], &[]))),
        |hello| hello.extensions.reverse(),
    ];
    for (nth, change) in changes.into_iter().enumerate() {
        let mut stage = Stage::new(Version::V13, Side::Server, cast);
        let _ = stage.say(Letter::ClientHelloWithoutShare);
        let _ = stage.say_changed(Letter::ClientHello, |body| {
            let mut hello = ClientHello::parse(body);
            change(&mut hello);
            *body = hello.to_bytes();
        });
        assert_eq!(stage.victim.state(), State::Failed, "{nth}");
        let illegal = [2, AlertDescription::ILLEGAL_PARAMETER.0];
        assert_eq!(stage.puppet.alerts, [illegal], "{nth}");
    }
}

// req: T62
#[test]
fn connection_ids_of_any_length_are_taken_or_refused() {
    let cast = Cast::new();
    for version in Version::ALL {
        let hello_with = |body: Vec<u8>| {
            let mut stage = Stage::new(version, Side::Server, &cast);
            let _ = stage.say_changed(Letter::ClientHello, |hello| {
                let mut changed = ClientHello::parse(hello);
                changed.set(wire::CONNECTION_ID, Some(body));
                *hello = changed.to_bytes();
            });
            stage
        };
        for len in [0, 1, 254, 255_u8] {
            let mut stage = hello_with([&[len], &vec![9; len.into()][..]].concat());
            stage.say_all(&version.word(Side::Server)[1..]);
            assert_eq!(stage.victim.state(), State::Connected, "{version:?} {len}");
            stage.assert_talking();
        }
        // Longer or shorter than it says.
        for body in [vec![], vec![1], vec![0, 9], vec![255; 255], vec![254; 257]] {
            let stage = hello_with(body);
            assert_eq!(
                stage.puppet.alerts,
                [[2, AlertDescription::DECODE_ERROR.0]],
                "{version:?}"
            );
        }
        // A server that gives one to a client that did not ask.
        let mut stage = Stage::new(version, Side::Client, &cast);
        let _ = stage.say_changed(Letter::ServerHello, |body| {
            let mut hello = ServerHello::parse(body);
            hello.set(wire::CONNECTION_ID, Some(vec![1, 9]));
            *body = hello.to_bytes();
        });
        let unsolicited = PeerMisbehaved::UnsolicitedExtension.into();
        assert_eq!(stage.victim.error(), Some(&unsolicited), "{version:?}");
    }
}

// req: T62
#[test]
fn repeated_and_endless_lists_cost_nothing() {
    let cast = Cast::new();
    for version in Version::ALL {
        let endless = |hello: &mut ClientHello, copies: usize| {
            hello.suites = hello.suites.repeat(copies);
            hello.set(wire::SUPPORTED_GROUPS, Some(list16(&[0x1d].repeat(copies))));
            hello.set(
                wire::SIGNATURE_ALGORITHMS,
                Some(list16(&[0x0807].repeat(copies))),
            );
        };
        let mut stage = Stage::new(version, Side::Server, &cast);
        let counted = measure(|| {
            let change = |body: &mut Vec<u8>| {
                let mut hello = ClientHello::parse(body);
                endless(&mut hello, 8000);
                *body = hello.to_bytes();
            };
            let cuts = |len: usize| {
                (0..len)
                    .step_by(1000)
                    .map(|at| (at, len.min(at + 1000)))
                    .collect()
            };
            stage.say_in_pieces(Letter::ClientHello, change, cuts);
        });
        assert!(
            !stage.puppet.heard.is_empty(),
            "{version:?}: {:?}",
            stage.victim.error()
        );
        // Several copies of the 48 000 bytes are the puppet's.
        assert!(counted.bytes_current < 400_000, "{counted:?}");
        assert_eq!(stage.victim.state(), State::Connecting);
    }
}

// req: T62 T32
#[test]
fn the_learnt_flaws_are_not_ours() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let [word @ .., _] = version.word(victim) else {
            panic!("a word")
        };
        // ChangeCipherSpec before every message: it is not what changes the cipher.
        let mut stage = Stage::new(version, victim, &cast);
        for letter in version.word(victim) {
            stage.change_cipher_spec();
            let _ = stage.say(*letter);
        }
        assert_eq!(stage.victim.state(), State::Connected);
        // A Finished in plaintext is none, and a forged one is the end, also when it is said again.
        let mut stage = Stage::new(version, victim, &cast);
        stage.say_all(word);
        let plain = stage.say(Letter::FinishedPlain);
        assert_eq!(plain, Received::Dropped(DropReason::PlaintextAfterKeys));
        let _ = stage.say(Letter::FinishedForged);
        assert_eq!(
            stage.victim.error(),
            Some(&PeerMisbehaved::FinishedInvalid.into())
        );
        let again = stage.say(Letter::Finished);
        assert_eq!(again, Received::Dropped(DropReason::Ended));
        assert!(
            stage
                .puppet
                .alerts
                .contains(&[2, AlertDescription::DECRYPT_ERROR.0])
        );
    }
    // A cookie that nobody gave: ours never mean anything by themselves.
    let mut stage = Stage::new(Version::V12, Side::Server, &cast);
    let _ = stage.say_changed(Letter::ClientHello, |body| {
        let mut hello = ClientHello::parse(body);
        hello.cookie = vec![0xcc; 32];
        *body = hello.to_bytes();
    });
    stage.say_all(&Version::V12.word(Side::Server)[1..]);
    assert_eq!(stage.victim.state(), State::Connected);
}

// req: T62 T32 T68
#[test]
fn a_spoofed_client_hello_with_a_null_suite_ends_nothing() {
    let mut null = browser_hello(NEW_AND_OLD);
    null.suites = vec![0];
    let hello = Fragment::whole(wire::CLIENT_HELLO, 0, &null.to_bytes());
    for version in Version::ALL {
        let undisturbed = run_with(version, &[]);
        let mut sequence = 0;
        let disturbed = Duel::run(&good(version), |duel| {
            // Before anything came the spoofed one is the first.
            if duel.knowledge(Side::Server).next_message > 0 {
                sequence += 1;
                duel.deliver(Side::Server, hello.in_record(sequence).to_bytes());
            }
        });
        assert!(sequence > 5);
        assert!(disturbed == undisturbed, "{version:?}");
    }
}

// req: T62
#[test]
fn failed_handshakes_give_everything_back() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let [word @ .., _] = version.word(victim) else {
            panic!("a word")
        };
        let fail = |step: usize| {
            let mut stage = Stage::new(version, victim, &cast);
            stage.say_all(&word[..step]);
            let fatal = match step == word.len() {
                true => Letter::FinishedForged,
                false => Letter::MessageHash,
            };
            let _ = stage.say(fatal);
            assert_eq!(
                stage.victim.state(),
                State::Failed,
                "{version:?} {victim} {step}"
            );
            stage
        };
        for step in 0..=word.len() {
            // The first one fills the tables that are made once.
            drop(fail(step));
            let counted = measure(|| (0..20).for_each(|_| drop(fail(step))));
            assert_eq!(counted.bytes_current, 0, "{version:?} {victim} {step}");
            // What is left of it while its owner still looks at it.
            let mut failed = Some(fail(step).victim);
            let freed = measure(|| drop(failed.take()));
            assert!(
                -freed.bytes_current <= 4096,
                "{version:?} {victim} {step}: {freed:?}"
            );
        }
    }
}

// req: T62 T32
#[test]
fn a_plaintext_client_hello_marked_as_protected_is_ignored() {
    let hello = Fragment::whole(
        wire::CLIENT_HELLO,
        0,
        &browser_hello(NEW_AND_OLD).to_bytes(),
    );
    for version in Version::ALL {
        let marked = [1, 2, 3, 0xffff].map(|epoch| {
            let record = Record {
                epoch,
                ..hello.in_record(4)
            };
            record.to_bytes()
        });
        assert_unmoved_by(version, &marked);
    }
}

// req: T62 T3
#[test]
fn there_is_no_cbc() {
    // Every suite with AES or 3DES in CBC that ECDHE has, and the oldest ones.
    const CBC: [u16; 12] = [
        0x000a, 0x002f, 0x0035, 0x003c, 0xc008, 0xc009, 0xc00a, 0xc012, 0xc013, 0xc014, 0xc023,
        0xc027,
    ];
    let cast = Cast::new();
    let stage = Stage::new(Version::V12, Side::Client, &cast);
    let offered = ClientHello::parse(&stage.puppet.heard[0].1).suites;
    assert!(
        offered.iter().all(|suite| !CBC.contains(suite)),
        "{offered:x?}"
    );
    let mut stage = Stage::new(Version::V12, Side::Server, &cast);
    let _ = stage.say_changed(Letter::ClientHello, |body| {
        let mut hello = ClientHello::parse(body);
        hello.suites = CBC.to_vec();
        *body = hello.to_bytes();
    });
    let nothing = PeerIncompatible::NoCipherSuiteInCommon.into();
    assert_eq!(stage.victim.error(), Some(&nothing));
}

mod of_dtls_1_3 {
    use super::*;

    fn connected(victim: Side) -> Stage {
        Stage::connected(Version::V13, victim, &Cast::new())
    }

    /// A record whose number is `nth` after those written.
    fn last_record(stage: &Stage, epoch: u16) -> (u64, u64) {
        (epoch.into(), stage.puppet.written(epoch) - 1)
    }

    // req: T62 T32
    #[test]
    fn an_alert_in_plaintext_ends_nothing_once_there_are_keys() {
        let cast = Cast::new();
        for victim in SIDES {
            let word = Version::V13.word(victim);
            for step in 1..=word.len() {
                let mut stage = Stage::new(Version::V13, victim, &cast);
                stage.say_all(&word[..step]);
                let alert = Record::new(wire::ALERT, 0, 77, &[2, 40]).to_bytes();
                let received = stage.give(alert);
                assert!(
                    matches!(received, Received::Dropped(_)),
                    "{victim} {step}: {received:?}"
                );
                assert_ne!(stage.victim.state(), State::Failed);
                stage.say_all(&word[step..]);
                assert_eq!(stage.victim.state(), State::Connected, "{victim} {step}");
                stage.assert_talking();
            }
        }
    }

    // req: T62 T31
    #[test]
    fn record_numbers_pass_the_sixteen_bits_that_are_written() {
        for victim in SIDES {
            let mut stage = connected(victim);
            // Sixteen bits tell numbers apart that are less than 2¹⁵ from the next one.
            for edge in [0x1_0000, 0x2_0000, 0x3_0000] {
                while stage.puppet.written(3) < edge - 8 {
                    let left = edge - 8 - stage.puppet.written(3);
                    stage
                        .puppet
                        .skip_records(3, left.saturating_sub(1).min(30_000));
                    stage.assert_talking();
                }
                (0..20).for_each(|_| stage.assert_talking());
            }
        }
    }

    // req: T62 T21 T33
    #[test]
    fn a_finished_that_comes_again_is_acknowledged_again() {
        // The ACK of the first is lost: its keys are still there, and so is the answer.
        let mut stage = connected(Side::Server);
        stage.acknowledge();
        let before = stage.puppet.acks.len();
        let again = stage.puppet.repeat_last();
        let _ = stage.give(again);
        stage.acknowledge();
        let newest = last_record(&stage, 2);
        assert!(
            stage.puppet.acks[before..]
                .iter()
                .any(|ack| ack.contains(&newest)),
            "{:?}",
            stage.puppet.acks
        );
    }

    // req: T62 T10 T21
    #[test]
    fn a_ticket_is_acknowledged_as_often_as_it_comes() {
        let mut stage = connected(Side::Client);
        let before = stage.puppet.acks.len();
        let (outgoing, first) =
            stage
                .puppet
                .say_in_pieces(Letter::NewSessionTicket, |_| (), |len| vec![(0, len)]);
        let (_, again) =
            stage
                .puppet
                .say_in_pieces(Letter::NewSessionTicket, |_| (), |len| vec![(0, len)]);
        for (nth, datagram) in [first, again].concat().into_iter().enumerate() {
            let _ = stage.give(datagram);
            stage.acknowledge();
            assert_eq!(stage.puppet.acks.len(), before + nth + 1);
        }
        let newest = last_record(&stage, 3);
        assert!(
            stage.puppet.acks.last().unwrap().contains(&newest),
            "{:?}",
            stage.puppet.acks
        );
        stage.puppet.taken(outgoing);
        stage.assert_talking();
    }

    // req: T62 T30
    #[test]
    fn keys_are_updated_when_everything_before_the_update_has_come() {
        let mut stage = connected(Side::Client);
        let whole = |len: usize| vec![(0, len)];
        let (ticket, lost) = stage
            .puppet
            .say_in_pieces(Letter::NewSessionTicket, |_| (), whole);
        stage.puppet.taken(ticket);
        let (update, overtaking) = stage.puppet.say_in_pieces(Letter::KeyUpdate, |_| (), whole);
        stage.puppet.taken(update);
        for datagram in overtaking {
            let _ = stage.give(datagram);
        }
        stage.acknowledge();
        stage.assert_talking();
        for datagram in lost {
            let _ = stage.give(datagram);
        }
        stage.acknowledge();
        // What was under way in the old epoch, then the new one.
        stage.assert_talking();
        stage.puppet.update_keys();
        stage.assert_talking();
    }

    // req: T62
    #[test]
    fn message_numbers_go_on_after_the_handshake() {
        for victim in SIDES {
            let mut stage = connected(victim);
            // One that starts anew is an old one: nothing is done, and the old keys are good.
            let anew = Fragment::whole(24, 0, &[0]).to_bytes();
            let record = stage.puppet.seal(3, wire::HANDSHAKE, &anew);
            let _ = stage.give(record);
            stage.assert_talking();
            // Ours go on too, or the puppet would not read them. A client's come when its Finished has arrived.
            let mut ack = vec![0, 160];
            (0..10_u64).for_each(|sequence| {
                ack.extend([2_u64.to_be_bytes(), sequence.to_be_bytes()].concat());
            });
            let ack = stage.puppet.seal(3, wire::ACK, &ack);
            let _ = stage.give(ack);
            let _ = stage.say_changed(Letter::KeyUpdate, |body| body[0] = 1);
            stage.acknowledge();
            let answer = stage.puppet.heard.last().unwrap();
            assert_eq!(*answer, (24, vec![0]), "{victim}");
            stage.puppet.update_keys();
            stage.assert_talking();
        }
    }
}
