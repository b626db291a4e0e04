//! Pairs that a full checklist has no room for (RFC 8445 §6.1.2.5): whose turn it is, and who makes room.

use std::net::SocketAddr;

use floe_ice::{Candidate, Config, Initiation, Role, State};
use floe_stun::{ErrorCode, RoleAttribute};

use crate::support::solo::{Solo, first_transmissions, local, remote, remotes};
use crate::support::{address, ms, secs};

/// Whether the role changes.
#[derive(PartialEq)]
enum Flip {
    Never,
    Midway,
}

/// Whom an agent with room for two pairs has sent to first, and how often: of six, of whom none answers.
fn turns_of_six(initiation: Initiation, role: Flip) -> Vec<SocketAddr> {
    let mut config = Config::default();
    config.max_pairs = 2;
    let mut solo = Solo::checking(initiation, config, &remotes(6));
    // A second name for the one socket makes no other pairs.
    let outside = Candidate::server_reflexive(address(7, 0), local());
    solo.agent.add_local_candidate(solo.now, outside).unwrap();
    solo.run_for(ms(1600));
    if role == Flip::Midway {
        let before = solo.agent.role();
        let mut check = solo.check();
        check.role = Some(match before {
            Some(Role::Controlling) => RoleAttribute::Controlling(u64::MAX),
            _ => RoleAttribute::Controlled(0),
        });
        let _ = solo.receive(remote(0), &check.bytes());
        assert_ne!(solo.agent.role(), before);
    }
    solo.run_for(secs(60));
    turns(&mut solo)
}

/// Whom it has checked, in order of their addresses.
fn turns(solo: &mut Solo) -> Vec<SocketAddr> {
    let checks = first_transmissions(solo).into_iter();
    let mut turns: Vec<_> = checks.map(|(_, to)| to).collect();
    turns.sort();
    turns
}

/// The peer at `remote` refuses what it was asked.
fn refuse(solo: &mut Solo, remote: SocketAddr, code: ErrorCode) {
    let checks = solo.take_requests();
    let check = checks.iter().find(|check| check.path.remote == remote);
    let refusal = solo.error_to(check.unwrap(), code);
    let _ = solo.receive(remote, &refusal);
}

// req: I3 I43
#[test]
fn each_pair_that_was_left_out_comes_up_once_whoever_controls() {
    for initiation in [Initiation::Initiating, Initiation::Responding] {
        assert_eq!(turns_of_six(initiation, Flip::Never), remotes(6));
        // What was under way when the role changed is checked again in the new one.
        let mut turns = turns_of_six(initiation, Flip::Midway);
        turns.dedup();
        assert_eq!(turns, remotes(6));
    }
}

// req: I20 I43
#[test]
fn a_newcomer_that_is_left_out_has_its_turn_and_a_path_that_is_refused_has_none() {
    let mut config = Config::default();
    config.max_pairs = 2;
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes(4));
    solo.run_for(ms(1600));
    // The third has come up, and the list is full of what is under way when the newcomer comes.
    let newcomer = Candidate::host(remote(7)).with_local_preference(65_000);
    solo.agent.add_remote_candidate(solo.now, newcomer).unwrap();
    // The third refuses for good.
    refuse(&mut solo, remote(2), ErrorCode::FORBIDDEN);
    solo.take();
    solo.run_for(secs(60));
    let mut turns = turns(&mut solo);
    turns.dedup();
    assert!(turns.contains(&remote(7)), "{turns:?}");
    assert!(!turns.contains(&remote(2)), "{turns:?}");
}

// req: I43
#[test]
fn a_veto_on_the_only_pair_that_works_brings_up_what_was_left_out_and_outlives_it() {
    let mut config = Config::default();
    config.max_pairs = 2;
    config.nomination = std::sync::Arc::new(floe_ice::nomination::ByApplication::default());
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes(4));
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    let vetoed = solo.agent.selected_candidate_pair().unwrap().id;
    solo.agent.veto(solo.now, vetoed).unwrap();
    solo.run_for(secs(60));
    let sent = solo.take_requests();
    for n in 1..4 {
        assert!(sent.iter().any(|s| s.path.remote == remote(n)), "{n}");
    }
    // Nor does a vetoed pair make room when it has failed: it could come again under another name.
    let failed = solo.agent.candidate_pairs().last().unwrap().pair.id;
    solo.agent.veto(solo.now, failed).unwrap();
    for n in 10..14 {
        let request = solo.check().bytes();
        let _ = solo.receive(remote(n), &request);
    }
    let pairs: Vec<_> = solo.agent.candidate_pairs().map(|p| p.pair.id).collect();
    assert_eq!(pairs, [vetoed, failed]);
}

// req: I43
#[test]
fn what_the_application_vetoed_and_what_is_to_be_checked_next_makes_no_room() {
    let mut config = Config::default();
    config.max_pairs = 5;
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes(5));
    // The first is under way, the last is vetoed, the last but one was asked for by the peer.
    let last = solo.agent.candidate_pairs().last().unwrap().pair;
    assert_eq!(last.path.remote, remote(4));
    solo.agent.veto(solo.now, last.id).unwrap();
    let request = solo.check().bytes();
    let _ = solo.receive(remote(3), &request);
    let better = Candidate::host(remote(7)).with_local_preference(65_000);
    solo.agent.add_remote_candidate(solo.now, better).unwrap();
    let mut left: Vec<_> = solo
        .agent
        .candidate_pairs()
        .map(|p| p.pair.path.remote)
        .collect();
    left.sort();
    assert_eq!(left, [0, 1, 3, 4, 7].map(remote));
}

// req: I3 I43
#[test]
fn a_failed_pair_makes_room_before_one_that_is_only_silent() {
    let mut config = Config::default();
    config.max_pairs = 2;
    let mut solo = Solo::checking(Initiation::Responding, config, &remotes(2));
    solo.run_for(secs(2));
    refuse(&mut solo, remote(1), ErrorCode::BAD_REQUEST);
    let request = solo.check().bytes();
    let _ = solo.receive(remote(70), &request);
    let pairs = solo.agent.candidate_pairs();
    let left: Vec<_> = pairs.map(|p| p.pair.path.remote).collect();
    assert_eq!(left, [remote(0), remote(70)]);
}

// req: I43
#[test]
fn a_vetoed_pair_that_is_silent_keeps_its_place() {
    let mut config = Config::default();
    config.max_pairs = 2;
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes(4));
    solo.run_for(ms(110));
    let first = solo.agent.candidate_pairs().next().unwrap().pair;
    solo.agent.veto(solo.now, first.id).unwrap();
    solo.run_for(secs(10));
    let turns = first_transmissions(&mut solo);
    for n in 1..4 {
        assert!(turns.iter().any(|(_, to)| *to == remote(n)), "{n}");
    }
    let mut pairs = solo.agent.candidate_pairs();
    assert!(pairs.any(|pair| pair.pair.id == first.id));
}

// req: I10 I43
#[test]
fn a_nomination_ends_the_search_among_what_was_left_out_too() {
    let mut config = Config::default();
    config.max_pairs = 2;
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes(4));
    solo.agent.local_candidates_complete(solo.now);
    solo.agent.remote_candidates_complete(solo.now);
    for _ in 0..2 {
        // The check, and the one that nominates.
        let check = solo.take_requests().remove(0);
        let _ = solo.answer(&check);
    }
    assert!(solo.agent.selected_candidate_pair().unwrap().nominated);
    solo.run_for(secs(6));
    refuse(&mut solo, remote(0), ErrorCode::FORBIDDEN);
    solo.run_for(secs(60));
    assert!(solo.take_requests().is_empty(), "nobody else is asked");
    assert_eq!(solo.agent.state(), State::Failed);
}

// req: I14 I43
#[test]
fn while_some_are_left_out_it_is_no_dead_end_that_all_others_have_failed() {
    let mut config = Config::default();
    config.max_pairs = 2;
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes(3));
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    for check in &checks {
        let refusal = solo.error_to(check, ErrorCode::BAD_REQUEST);
        let _ = solo.receive(check.path.remote, &refusal);
    }
    assert_eq!((checks.len(), solo.agent.state()), (2, State::Checking));
    solo.run_for(ms(60));
    refuse(&mut solo, remote(2), ErrorCode::BAD_REQUEST);
    solo.run_for(ms(60));
    assert_eq!(solo.agent.state(), State::Disconnected, "now it is");
}

// req: I3 I43
#[test]
fn a_vetoed_pair_that_failed_makes_no_room_and_no_haste() {
    let mut config = Config::default();
    config.max_pairs = 2;
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes(6));
    solo.agent.local_candidates_complete(solo.now);
    solo.agent.remote_candidates_complete(solo.now);
    let first = solo.agent.candidate_pairs().next().unwrap().pair;
    solo.agent.veto(solo.now, first.id).unwrap();
    refuse(&mut solo, first.path.remote, ErrorCode::BAD_REQUEST);
    // The others have the one place that is left, one after the other; `run_for` holds the agent to the timer law.
    solo.run_for(secs(100));
    assert_eq!(turns(&mut solo), &remotes(6)[1..]);
    assert_eq!(solo.agent.state(), State::Failed);
}

// req: I3 I43
#[test]
fn where_all_pairs_are_vetoed_nothing_is_waited_for() {
    let mut config = Config::default();
    config.max_pairs = 2;
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes(6));
    solo.agent.local_candidates_complete(solo.now);
    solo.agent.remote_candidates_complete(solo.now);
    let pairs: Vec<_> = solo.agent.candidate_pairs().map(|p| p.pair.id).collect();
    for pair in pairs {
        solo.agent.veto(solo.now, pair).unwrap();
    }
    solo.run_for(secs(100));
    assert_eq!(turns(&mut solo), remotes(2));
    assert_eq!(solo.agent.state(), State::Failed);
}
