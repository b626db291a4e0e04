//! An attacker off the path shoots at both ends after every step of a handshake and of the conversation behind it, with
//! every content type, epoch, sequence number and header form there is. Nothing whatever may come of it: the datagrams,
//! the events, the data, the deadlines and the states of both ends are those of the run without him (RFC 9147 §4.5.2, §11).
//!
//! One thing he can do, and [`the_next_plaintext_message_is_the_one_thing_that_is_believed`] says exactly when: before there
//! are keys, the next message of the handshake is whatever claims to be it.
#![cfg(feature = "deterministic")]

mod common;

use std::time::{Duration, Instant};

use allocation_counter::measure;
use common::attacker::Knowledge;
use common::duel::{Duel, Log, Scenario, Twist, index};
use common::puppet::{Version, split};
use common::wire::{self, Fragment};
use floe_dtls::{DropReason, PeerMisbehaved, Received, Side, State};

const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for version in Version::ALL {
        let mut add = |twist, lost: &[usize]| {
            scenarios.push(Scenario {
                version,
                lost: lost.to_vec(),
                twist,
            });
        };
        add(Twist::IntroducedLate, &[]);
        // The first of every flight: timers are part of the outcome.
        add(Twist::Nothing, &[0, 2, 5]);
        match version {
            Version::V12 => add(Twist::Nothing, &[]),
            Version::V13 => add(Twist::Dual, &[]),
        }
        if version == Version::V13 {
            // The second ClientHello is lost.
            add(Twist::Retry, &[2]);
        }
    }
    scenarios
}

fn is_fatal_plaintext_alert(shot: &[u8]) -> bool {
    shot.len() == 15 && shot[0] == wire::ALERT && shot[3..5] == [0, 0] && shot[13] == 2
}

/// Gives `victim` one forged datagram. What it does with it besides nothing: a panic here, a difference in the log, memory,
/// or no reason for having dropped it.
fn shoot(duel: &mut Duel, victim: Side, shot: &[u8]) {
    let now = duel.now;
    let end = &mut duel.ends[index(victim)];
    let before = end.stats().total_dropped();
    let mut datagram = shot.to_vec();
    let mut received = Received::Handled;
    let memory = measure(|| received = end.handle_datagram(now, &mut datagram));
    assert_eq!(
        memory.bytes_current,
        0,
        "{victim}, {:?}: {shot:02x?}",
        end.state()
    );
    let counted = end.stats().total_dropped() > before;
    // What is not DTLS by its first byte is somebody else's, and not counted (RFC 7983 §7). A ChangeCipherSpec in
    // plaintext is what every honest peer of DTLS 1.2 sends, and means nothing.
    let expected = match shot[0] {
        20..=63 => counted || is_harmless_change_cipher_spec(shot),
        _ => received == Received::NotMine,
    };
    assert!(
        expected,
        "{victim}, {:?}, {received:?}: {shot:02x?}",
        end.state()
    );
}

fn is_harmless_change_cipher_spec(shot: &[u8]) -> bool {
    shot.len() == 14 && shot[0] == wire::CHANGE_CIPHER_SPEC && shot[3..5] == [0, 0] && shot[13] == 1
}

/// The run with an attacker who fires all he has that `fires` lets him.
fn under_fire(scenario: &Scenario, fires: impl Fn(&[u8]) -> bool) -> (Log, u64) {
    let mut shots = 0;
    let log = Duel::run(scenario, |duel| {
        for victim in SIDES {
            let arsenal = duel.knowledge(victim).arsenal();
            for shot in arsenal.iter().filter(|shot| fires(shot)) {
                shoot(duel, victim, shot);
                shots += 1;
            }
        }
    });
    (log, shots)
}

fn assert_good(log: &Log) {
    assert!(
        log.states.contains(&[State::Connected; 2]),
        "{:?}",
        log.states
    );
    assert_eq!(log.heard.len(), 6);
    assert_eq!(log.states.last(), Some(&[State::Closed; 2]));
}

// req: T32 T60
#[test]
fn whatever_is_injected_after_any_step_both_ends_say_and_do_the_same() {
    for scenario in scenarios() {
        let undisturbed = Duel::run(&scenario, |_| ());
        assert_good(&undisturbed);
        assert_eq!(
            undisturbed,
            Duel::run(&scenario, |_| ()),
            "nothing is left to chance"
        );
        let (disturbed, shots) = under_fire(&scenario, |shot| !is_fatal_plaintext_alert(shot));
        assert!(shots > 50_000, "{shots}");
        assert!(disturbed == undisturbed, "{scenario:?}");
    }
}

// req: T32 T60
#[test]
fn a_plaintext_alert_after_any_step_moves_no_more_than_a_timer() {
    for scenario in scenarios()
        .into_iter()
        .filter(|scenario| scenario.lost.is_empty())
    {
        let mut undisturbed = Duel::run(&scenario, |_| ());
        let (mut disturbed, shots) = under_fire(&scenario, is_fatal_plaintext_alert);
        assert!(shots > 100);
        // Its grace is a deadline. The genuine message behind it ends the suspicion.
        undisturbed.deadlines.clear();
        disturbed.deadlines.clear();
        assert!(disturbed == undisturbed, "{scenario:?}");
    }
}

/// A message that is never next, but numbered as if it were.
fn out_of_turn(knowledge: &Knowledge) -> Vec<u8> {
    const END_OF_EARLY_DATA: u8 = 5;
    let record = knowledge.newest_record[0] + 1;
    Fragment::whole(END_OF_EARLY_DATA, knowledge.next_message, &[])
        .in_record(record)
        .to_bytes()
}

/// The run in which one such message comes after step `nth`; whether the victim then waited for one in plaintext.
fn interrupted(scenario: &Scenario, nth: usize, victim: Side) -> (Duel, Option<bool>) {
    let mut duel = Duel::start(scenario);
    let mut step = 0;
    let mut believed = None;
    let until = duel.now + Duration::from_secs(70);
    duel.advance(until, &mut |duel: &mut Duel| {
        if step == nth {
            let knowledge = duel.knowledge(victim);
            believed = Some(knowledge.plaintext_expected);
            duel.deliver(victim, out_of_turn(&knowledge));
            let failed = duel.ends[index(victim)].state() == State::Failed;
            assert_eq!(failed, knowledge.plaintext_expected, "{victim} after {nth}");
        }
        step += 1;
    });
    (duel, believed)
}

// req: T32 T60
#[test]
fn the_next_plaintext_message_is_the_one_thing_that_is_believed() {
    for scenario in scenarios()
        .into_iter()
        .filter(|scenario| scenario.lost.is_empty())
    {
        let (undisturbed, _) = interrupted(&scenario, usize::MAX, Side::Client);
        for victim in SIDES {
            let mut outcomes = [0; 2];
            for nth in 0.. {
                let (duel, believed) = interrupted(&scenario, nth, victim);
                let Some(believed) = believed else { break };
                outcomes[usize::from(believed)] += 1;
                if !believed {
                    assert!(duel.log == undisturbed.log, "{victim} after {nth}");
                    continue;
                }
                // It ends the handshake, and is said so. Nobody is let in.
                let misbehaved = PeerMisbehaved::UnexpectedMessage.into();
                assert_eq!(duel.ends[index(victim)].error(), Some(&misbehaved));
                let connected = |states: &[State; 2]| states[index(victim)] == State::Connected;
                assert!(!duel.log.states.iter().any(connected));
                assert_ne!(duel.ends[index(victim.peer())].state(), State::Connected);
            }
            assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
        }
    }
}

// req: T32 T60
#[test]
fn what_is_dropped_has_its_reason() {
    let mut reasons = std::collections::BTreeMap::new();
    let scenario = &scenarios()[0];
    Duel::run(scenario, |duel| {
        for victim in SIDES {
            for shot in duel.knowledge(victim).arsenal() {
                shoot(duel, victim, &shot);
            }
            for reason in DropReason::ALL {
                let stats = duel.ends[index(victim)].stats();
                *reasons.entry(format!("{reason:?}")).or_insert(0) += stats.dropped(reason);
            }
        }
    });
    // All that an attacker who authenticates nothing can run into.
    for reason in [
        DropReason::TruncatedRecord,
        DropReason::UnknownContentType,
        DropReason::WrongVersion,
        DropReason::RecordTooLong,
        DropReason::UnknownEpoch,
        DropReason::PlaintextAfterKeys,
        DropReason::UnexpectedPlaintext,
        DropReason::Replayed,
        DropReason::BadMac,
        DropReason::ChangeCipherSpec,
        DropReason::UnauthenticatedAlert,
        DropReason::MalformedFragment,
        DropReason::StaleMessage,
        DropReason::FarFutureMessage,
        DropReason::ReassemblyFull,
        DropReason::Ended,
    ] {
        assert!(
            reasons[&format!("{reason:?}")] > 0,
            "{reason:?} of {reasons:?}"
        );
    }
}

/// Parts of messages that never come whole: of the one that is expected next, and of those behind it.
fn parts(knowledge: &Knowledge) -> Vec<Vec<u8>> {
    let part = |ahead: u16| Fragment {
        length: 1000,
        offset: 100,
        ..Fragment::whole(wire::SERVER_HELLO, knowledge.next_message + ahead, &[7; 40])
    };
    [0, 1, 2, 5]
        .map(|ahead| {
            part(ahead)
                .in_record(knowledge.newest_record[0] + 1)
                .to_bytes()
        })
        .to_vec()
}

// req: T20 T32 T60
#[test]
fn parts_of_plaintext_messages_stop_no_timer() {
    for scenario in scenarios() {
        let undisturbed = Duel::run(&scenario, |_| ());
        let disturbed = Duel::run(&scenario, |duel| {
            for victim in SIDES {
                for datagram in parts(&duel.knowledge(victim)) {
                    duel.deliver(victim, datagram);
                }
            }
        });
        // What is kept for later may be acknowledged; nothing else is said, and nothing less.
        assert_eq!(said(&disturbed), said(&undisturbed), "{scenario:?}");
        assert!(disturbed.events == undisturbed.events, "{scenario:?}");
        assert!(disturbed.heard == undisturbed.heard, "{scenario:?}");
    }
}

/// The plaintext handshake messages sent, and when; ACKs may stand between them.
fn said(log: &Log) -> Vec<(Instant, Side, Vec<u8>)> {
    let messages = |(at, from, datagram): &(Instant, Side, Vec<u8>)| {
        let first = split(datagram)
            .into_iter()
            .filter(|record| record[0] == wire::HANDSHAKE);
        let types = first
            .flat_map(wire::fragments)
            .map(|fragment| fragment.message_type);
        (*at, *from, types.collect())
    };
    let said = log.datagrams.iter().map(messages);
    said.filter(|(_, _, types): &(_, _, Vec<u8>)| !types.is_empty())
        .collect()
}
