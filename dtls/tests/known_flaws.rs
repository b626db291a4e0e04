//! What has gone wrong in other implementations of DTLS, one test for each flaw or family of them.
//!
//! | flaw | test |
//! |---|---|
//! | CVE-2026-26014: random nonces | [`records::explicit_nonces_count_records`] |
//! | CVE-2019-20786, CVE-2020-24585: application data in plaintext | [`records::application_data_in_plaintext_is_never_heard`] |
//! | CVE-2022-29189, CVE-2016-2179, CVE-2015-0206, CVE-2014-3506: unbounded buffers | [`messages::a_flood_takes_bounded_memory_and_the_handshake_completes`] |
//! | CVE-2022-29190, CVE-2014-3507: fragments of no length | [`messages::fragments_of_no_length_are_fragments`] |
//! | CVE-2022-29222, CVE-2022-25640, CVE-2026-55962 and others: client authentication bypassed | [`no_part_of_the_clients_proof_can_be_left_out_or_moved`] |
//! | CVE-2014-0195, CVE-2026-33846, CVE-2026-33845, CVE-2022-35409: lengths that contradict each other | [`messages::lengths_that_contradict_each_other_are_harmless`], [`messages::a_cookie_longer_than_its_message_is_refused`] |
//! | CVE-2014-0221: recursion; CVE-2014-8176: data between ChangeCipherSpec and Finished | [`messages::chains_of_messages_do_not_nest`], [`records::data_before_the_finished_is_not_heard`] |
//! | CVE-2016-2181, CVE-2009-1377 to 1379: the window moves before the MAC is checked | [`records::a_forged_record_far_ahead_does_not_move_the_window`] |
//! | CVE-2026-42009: duplicate message numbers | [`messages::a_flight_in_any_order_and_twice_is_a_flight`] |
//! | CVE-2020-11501: a random of zeros | [`randoms_differ_and_say_downgrade_only_where_there_was_one`] |
//! | CVE-2026-25834: a signature scheme that was not offered | [`a_scheme_that_was_not_offered_is_illegal`] |
//! | CVE-2026-34873: a second ClientHello that differs | [`the_second_client_hello_is_the_first`] |
//! | CVE-2022-46393: connection ids that overflow | [`messages::connection_ids_of_any_length_are_taken_or_refused`] |
//! | CVE-2022-38152, 38153, 39173, 42905: repeated and endless lists | [`messages::repeated_and_endless_lists_cost_nothing`] |
//! | early ChangeCipherSpec, plaintext and invalid Finished, invented cookies (state-machine learning, 2020 to 2023) | [`the_learnt_flaws_are_not_ours`], and `sequences.rs` for the whole automaton |
//! | CVE-2023-51443, CVE-2023-49786: a spoofed ClientHello ends a call | [`a_spoofed_client_hello_with_a_null_suite_ends_nothing`] |
//! | CVE-2022-39368: failed handshakes leave something behind | [`failed_handshakes_give_everything_back`] |
//! | plaintext that is marked as protected | [`records::a_plaintext_client_hello_marked_as_protected_is_ignored`] |
//! | alerts in plaintext, numbers that wrap, tickets, KeyUpdate and keys dropped too early in DTLS 1.3 (2026) | the tests in [`of_dtls_1_3`] |
//! | CVE-2011-4108, Lucky 13: CBC padding | [`records::there_is_no_cbc`] |
#![cfg(feature = "deterministic")]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;
#[path = "known_flaws/messages.rs"]
mod messages;
#[path = "known_flaws/of_dtls_1_3.rs"]
mod of_dtls_1_3;
#[path = "known_flaws/records.rs"]
mod records;

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
