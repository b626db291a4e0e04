//! What a restart is taken back to, what it begins from, and what becomes of one that is overtaken by another
//! (RFC 8445 §9).

use floe_ice::{
    Candidate, Config, DropReason, Event, FiveTuple, GatheringState, Initiation, Mode, Parameters,
    Reason, Received, RemoteParameters, Role, State, Timing,
};
use floe_stun::{Class, ErrorCode};

use crate::support::solo::{Solo, controlled_with_pairs, local, remote};
use crate::support::talker::{Call, expect_no_gap, talking};
use crate::support::{
    Peer, Story, addresses, assert_completed, connected, full_and_lite, ms, secs, signal, two,
};

fn next_parameters() -> RemoteParameters {
    RemoteParameters::new(Parameters::new("next", "the-next-password-of-the-peer").unwrap())
}

/// The answer to A's restart, and everything that goes with it.
fn answer_restart(story: &mut Story) {
    let now = story.now();
    let (of_a, candidates) = (story.a.remote_parameters(), story.a.candidates());
    story.b.agent.restart(now, None, Some(of_a)).unwrap();
    finish(&mut story.b, now, &candidates);
    let (of_b, candidates) = (story.b.remote_parameters(), story.b.candidates());
    story.a.agent.set_remote_parameters(now, of_b).unwrap();
    finish(&mut story.a, now, &candidates);
}

fn finish(peer: &mut Peer, now: std::time::Instant, candidates: &[Candidate]) {
    for candidate in candidates {
        peer.agent
            .add_remote_candidate(now, candidate.clone())
            .unwrap();
    }
    peer.agent.remote_candidates_complete(now);
    peer.agent.local_candidates_complete(now);
}

fn failed() -> Story {
    let mut story = connected(1);
    story.network.cut();
    story.drive_until(|a, b| a.state() == State::Failed && b.state() == State::Failed);
    story.network.heal();
    story
}

// req: I14 I15
#[test]
fn nothing_but_a_restart_leads_out_of_failed() {
    let mut story = failed();
    let now = story.now();
    let a = &mut story.a;
    let pair = a.agent.candidate_pairs().next().map(|pair| pair.pair.id);
    let new = crate::support::address(1, 9);
    a.agent
        .add_local_candidate(now, Candidate::host(new))
        .unwrap();
    a.agent
        .add_remote_candidate(now, Candidate::host(remote(7)))
        .unwrap();
    a.agent.local_candidates_complete(now);
    a.agent.remote_candidates_complete(now);
    a.agent.note_authenticated_traffic(now);
    a.agent.set_timing(now, Timing::webrtc());
    let _ = a.agent.remove_local_candidate(now, new);
    if let Some(pair) = pair {
        let _ = a.agent.nominate(now, pair);
        let _ = a.agent.veto(now, pair);
        let _ = a.agent.release(now, pair);
    }
    assert!(a.agent.rollback_restart(now).is_err());
    story.run_for(secs(60));
    assert_eq!(
        (story.a.state(), story.a.agent.send_path()),
        (State::Failed, None)
    );
    assert_eq!(story.a.last_transition().to, State::Failed);
    let now = story.now();
    story.a.agent.restart(now, None, None).unwrap();
    assert_eq!(story.a.state(), State::Checking);
    answer_restart(&mut story);
    story.run_for(secs(2));
    assert_completed(&story);
}

// req: I14 I15
#[test]
fn a_nomination_that_comes_after_failed_is_forbidden_and_revives_nothing() {
    let mut solo = controlled_with_pairs(1);
    solo.agent.local_candidates_complete(solo.now);
    solo.agent.remote_candidates_complete(solo.now);
    solo.run_for(secs(90));
    assert_eq!(solo.agent.state(), State::Failed);
    let late = solo.take_requests();
    for n in 0..2 {
        let nomination = solo.check().nominating().bytes();
        let _ = solo.receive(remote(n), &nomination);
        let sent = solo.take();
        assert_eq!(sent.len(), 1);
        // Success would have the peer send where nobody listens (RFC 7675 §5.2).
        assert_eq!(sent[0].message().error_code(), Some(ErrorCode::FORBIDDEN));
    }
    for check in &late {
        let _ = solo.answer(check);
    }
    solo.run_for(secs(5));
    assert_eq!(
        (solo.agent.state(), solo.agent.send_path()),
        (State::Failed, None)
    );
    assert_eq!(solo.agent.poll_timeout(), None);
}

// req: I14 I15
#[test]
fn an_answer_that_comes_after_the_end_revives_nothing() {
    let mut solo = controlled_with_pairs(1);
    let nomination = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &nomination);
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(1)))
        .unwrap();
    solo.run_for(ms(60));
    let check = solo.take_requests().pop().unwrap();
    assert_eq!(check.path.remote, remote(1));
    solo.agent.revoke_consent(solo.now, Reason::PeerClosed);
    assert_eq!(solo.agent.state(), State::Failed);
    let _ = solo.answer(&check);
    assert_eq!(
        (solo.agent.state(), solo.agent.send_path()),
        (State::Failed, None)
    );
}

// req: I14 I15
#[test]
fn it_does_not_fail_before_the_old_generation_has_tried_everything_too() {
    for answered in [true, false] {
        let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
        solo.run_for(ms(20));
        solo.agent.restart(solo.now, None, None).unwrap();
        solo.agent.local_candidates_complete(solo.now);
        // Nobody answers the restart; but just before the end of patience the old generation gets a candidate.
        solo.run_for(secs(39));
        let late = Candidate::host(remote(3)).with_username_fragment("peer");
        solo.agent.add_remote_candidate(solo.now, late).unwrap();
        solo.run_for(secs(1));
        assert_ne!(solo.agent.state(), State::Failed);
        if answered {
            let checks = solo.take_requests();
            let check = checks.iter().find(|check| check.path.remote == remote(3));
            let _ = solo.answer(check.unwrap());
            live_with(&mut solo, secs(60));
            assert_eq!(solo.agent.state(), State::Connected);
            assert!(
                solo.agent.is_restarting(),
                "and the answer may come any time"
            );
        } else {
            solo.run_for(secs(60));
            assert_eq!(solo.agent.state(), State::Failed);
            assert_eq!(solo.agent.poll_timeout(), None);
        }
    }
}

fn live_with(solo: &mut Solo, duration: std::time::Duration) {
    let end = solo.now + duration;
    while solo.now < end {
        solo.run_for(ms(50));
        for check in solo.take_requests() {
            let _ = solo.answer(&check);
        }
    }
}

// req: I15
#[test]
fn a_restart_taken_back_after_failed_is_failed_again_and_can_be_tried_again() {
    let mut story = failed();
    let reason = story.a.last_transition().reason;
    let old = story.a.agent.local_parameters().clone();
    let now = story.now();
    story.a.agent.restart(now, None, None).unwrap();
    assert_eq!(story.a.state(), State::Checking);
    assert!(story.a.agent.is_restarting());
    story.a.agent.rollback_restart(now).unwrap();
    story.run_for(secs(1));
    assert_eq!(*story.a.agent.local_parameters(), old);
    let last = story.a.last_transition();
    assert_eq!((last.to, last.reason), (State::Failed, reason));
    assert_eq!(story.a.agent.poll_timeout(), None, "it rests");
    let now = story.now();
    story.a.agent.restart(now, None, None).unwrap();
    answer_restart(&mut story);
    story.run_for(secs(2));
    assert_completed(&story);
}

// req: I15
#[test]
fn a_restart_taken_back_while_disconnected_leaves_the_old_path_its_chance() {
    let mut story = connected(1);
    story.network.cut();
    story.drive_until(|a, _| a.state() == State::Disconnected);
    let old = story.a.agent.local_parameters().clone();
    let now = story.now();
    story
        .a
        .agent
        .restart(now, None, Some(next_parameters()))
        .unwrap();
    story
        .a
        .agent
        .add_remote_candidate(now, Candidate::host(crate::support::address(2, 0)))
        .unwrap();
    story.run_for(ms(100));
    assert_eq!(story.a.state(), State::Checking);
    let now = story.now();
    story.a.agent.rollback_restart(now).unwrap();
    assert_eq!(*story.a.agent.local_parameters(), old);
    assert_eq!(story.a.state(), State::Disconnected);
    story.network.heal();
    story.run_for(secs(3));
    assert_eq!(story.a.state(), State::Completed);
    assert_eq!(story.a.last_transition().reason, Reason::Recovered);
}

// req: I15 I16
#[test]
fn a_restart_before_the_first_connection_leaves_the_first_checks_running() {
    let mut story = two(1);
    signal(&mut story);
    story.run_for(ms(20));
    assert_eq!(story.a.state(), State::Checking);
    let now = story.now();
    story.a.agent.restart(now, None, None).unwrap();
    story.run_for(secs(60));
    assert_eq!(story.a.state(), State::Connected, "by the old generation");
    assert_eq!(story.b.state(), State::Completed);
    assert!(
        story.a.agent.is_restarting(),
        "its answer may take its time"
    );
    assert!(
        !story
            .a
            .saw(|event| matches!(event, Event::RestartRolledBack(_)))
    );
    answer_restart(&mut story);
    story.run_for(secs(1));
    assert!(!story.a.agent.is_restarting() && !story.b.agent.is_restarting());
    assert_completed(&story);
}

// req: I15
#[test]
fn a_rollback_restores_what_gathering_had_come_to() {
    for complete in [false, true] {
        let mut solo = controlled_with_pairs(1);
        if complete {
            solo.agent.local_candidates_complete(solo.now);
        }
        let before = solo.agent.gathering_state();
        solo.agent.restart(solo.now, None, None).unwrap();
        assert_eq!(solo.agent.gathering_state(), GatheringState::Gathering);
        solo.agent.rollback_restart(solo.now).unwrap();
        assert_eq!(solo.agent.gathering_state(), before);
    }
}

/// Lets the restart of a connected agent fail while its old path is answered; gives the reason.
fn fails_beside_a_working_path(mut solo: Solo) -> Option<Reason> {
    let old = solo.agent.local_parameters().clone();
    let role = solo.agent.role();
    solo.agent
        .restart(solo.now, None, Some(next_parameters()))
        .unwrap();
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(7)))
        .unwrap();
    solo.agent.remote_candidates_complete(solo.now);
    solo.agent.local_candidates_complete(solo.now);
    let rolled_back = |event: &Event| match event {
        Event::RestartRolledBack(reason) => Some(*reason),
        _ => None,
    };
    for n in 0..600 {
        solo.run_for(ms(100));
        for check in solo.take_requests() {
            if check.path.remote == remote(0) {
                let _ = solo.answer(&check);
            }
        }
        if n % 20 == 0 && solo.agent.mode() == Mode::Lite {
            let mut keepalive = solo.check().nominating();
            keepalive.to = old.clone();
            let _ = solo.receive(remote(0), &keepalive.bytes());
        }
        assert!(solo.agent.send_path().is_some(), "no gap");
    }
    assert_eq!(*solo.agent.local_parameters(), old);
    assert_eq!(solo.agent.local_username_fragments().count(), 1);
    assert_eq!(
        (solo.agent.role(), solo.agent.state()),
        (role, State::Connected)
    );
    solo.events.iter().find_map(rolled_back)
}

// req: I15 I65
#[test]
fn a_failed_restart_goes_back_to_the_old_path_in_either_role_and_lite() {
    let mut controlled = controlled_with_pairs(1);
    let nomination = controlled.check().nominating().bytes();
    let _ = controlled.receive(remote(0), &nomination);
    assert_eq!(
        fails_beside_a_working_path(controlled),
        Some(Reason::ChecksExhausted)
    );

    let mut controlling = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    for _ in 0..2 {
        let checks = controlling.take_requests();
        let _ = controlling.answer(&checks[0]);
    }
    assert!(
        controlling
            .agent
            .selected_candidate_pair()
            .unwrap()
            .nominated
    );
    assert_eq!(
        fails_beside_a_working_path(controlling),
        Some(Reason::ChecksExhausted)
    );

    let mut lite = Solo::new(Mode::Lite, Initiation::Responding, Config::default());
    lite.agent
        .add_local_candidate(lite.now, Candidate::host(local()))
        .unwrap();
    lite.meet();
    let nomination = lite.check().nominating().bytes();
    let _ = lite.receive(remote(0), &nomination);
    assert_eq!(lite.agent.role(), Some(Role::Controlled));
    assert_eq!(
        fails_beside_a_working_path(lite),
        Some(Reason::RequestsStopped)
    );
}

// req: I15 I16
#[test]
fn nothing_of_a_generation_that_was_given_up_is_sent_or_answered() {
    let mut solo = controlled_with_pairs(1);
    solo.take();
    let old = solo.agent.local_parameters().clone();
    solo.agent
        .restart(solo.now, None, Some(next_parameters()))
        .unwrap();
    let given_up = solo.agent.local_parameters().clone();
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(0)))
        .unwrap();
    let request = {
        let mut request = solo.check();
        request.from = "next".to_owned();
        request
    };
    // A check and an answer wait to be sent when it is given up, and the next one begins at once.
    let path = FiveTuple::udp(local(), remote(0));
    assert_eq!(
        solo.agent.handle_datagram(solo.now, path, &request.bytes()),
        Received::Handled
    );
    solo.agent.rollback_restart(solo.now).unwrap();
    solo.agent.restart(solo.now, None, None).unwrap();
    assert!(solo.take().is_empty());
    let live: Vec<&str> = solo.agent.local_username_fragments().collect();
    assert!(live.contains(&old.username_fragment()));
    assert!(!live.contains(&given_up.username_fragment()));
    assert_eq!(
        solo.receive(remote(0), &request.bytes()),
        Received::Dropped(DropReason::UnknownUsername)
    );
}

// req: I16
#[test]
fn however_often_it_restarts_two_generations_live() {
    let mut story = connected(1);
    let stable = story.a.agent.local_parameters().clone();
    for n in 0..50 {
        let now = story.now();
        story.a.agent.restart(now, None, None).unwrap();
        let live: Vec<&str> = story.a.agent.local_username_fragments().collect();
        assert_eq!(live.len(), 2, "restart {n}");
        assert_eq!(
            live[1],
            stable.username_fragment(),
            "what was agreed upon last"
        );
        story.run_for(ms(30));
    }
    let now = story.now();
    story.a.agent.rollback_restart(now).unwrap();
    assert_eq!(*story.a.agent.local_parameters(), stable);
    assert_eq!(story.a.state(), State::Completed);
    // Each confirmed one ends the one before it, however soon.
    for _ in 0..10 {
        let now = story.now();
        story.a.agent.restart(now, None, None).unwrap();
        answer_restart(&mut story);
        story.drive_until(|a, b| !a.agent.is_restarting() && !b.agent.is_restarting());
        for peer in [&story.a, &story.b] {
            assert_eq!(peer.agent.local_username_fragments().count(), 2);
            assert!(peer.agent.send_path().is_some());
        }
    }
    story.run_for(secs(6));
    assert_eq!(story.a.agent.local_username_fragments().count(), 1);
    assert_completed(&story);
}

// req: I15 I16
#[test]
fn an_unconfirmed_generation_with_the_only_path_left_outlives_the_old_one() {
    // The second generation has a pair that works and waits for its nomination when the first loses its own.
    let mut solo = controlled_with_pairs(1);
    let nomination = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &nomination);
    let next = next_parameters();
    solo.agent
        .restart(solo.now, None, Some(next.clone()))
        .unwrap();
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(7)))
        .unwrap();
    solo.peer = next.parameters;
    solo.run_for(ms(60));
    let answer_new = |solo: &mut Solo| {
        for check in solo.take_requests() {
            if check.path.remote == remote(7) {
                let _ = solo.answer(&check);
            }
        }
    };
    answer_new(&mut solo);
    for _ in 0..400 {
        solo.run_for(ms(100));
        answer_new(&mut solo);
        assert!(solo.agent.send_path().is_some(), "no gap");
    }
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(7));
    // A third generation takes the place of the first, and the second one carries.
    let second = solo.agent.local_parameters().clone();
    solo.agent.restart(solo.now, None, None).unwrap();
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(7));
    let live: Vec<&str> = solo.agent.local_username_fragments().collect();
    assert_eq!(live[1], second.username_fragment());
    solo.agent.rollback_restart(solo.now).unwrap();
    assert_eq!(*solo.agent.local_parameters(), second);
}

// req: I15 I16 I65
#[test]
fn a_request_that_is_ahead_of_its_answer_is_held_and_nominates_when_that_has_come() {
    let mut solo = controlled_with_pairs(1);
    let nomination = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &nomination);
    solo.agent.restart(solo.now, None, None).unwrap();
    solo.take();
    let pairs = solo.agent.candidate_pairs().count();
    for from in ["next", "somebody"] {
        let mut early = solo.check().nominating();
        early.from = from.to_owned();
        let _ = solo.receive(remote(7), &early.bytes());
        let sent = solo.take();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].message().class(), Class::SuccessResponse);
        let key = floe_stun::IntegrityKey::short_term(early.to.password().as_bytes());
        sent[0].message().verify(&key).unwrap();
    }
    assert_eq!(solo.agent.candidate_pairs().count(), pairs);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(0));
    // The answer: one of the two was the peer, and its wish counts as soon as its pair has succeeded.
    let next = next_parameters();
    solo.peer = next.parameters.clone();
    solo.agent.set_remote_parameters(solo.now, next).unwrap();
    assert!(solo.agent.is_restarting());
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    let _ = solo.answer(checks.iter().find(|c| c.path.remote == remote(7)).unwrap());
    assert!(solo.events.contains(&Event::RestartConfirmed));
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(7));
}

fn restart_call(call: &mut Call) {
    let now = call.now();
    call.a.agent.restart(now, None, None).unwrap();
    let (of_a, candidates) = (call.a.remote_parameters(), call.a.candidates());
    call.b.agent.restart(now, None, Some(of_a)).unwrap();
    finish(&mut call.b, now, &candidates);
    let (of_b, candidates) = (call.b.remote_parameters(), call.b.candidates());
    call.a.agent.set_remote_parameters(now, of_b).unwrap();
    finish(&mut call.a, now, &candidates);
}

fn peer(seed: u8, mode: Mode, initiation: Initiation) -> Peer {
    Peer::new(
        seed,
        mode,
        initiation,
        Config::default(),
        &addresses(seed, if mode == Mode::Lite { 1 } else { 2 }),
    )
}

// req: I15
#[test]
fn media_flows_through_a_restart_without_a_gap() {
    for mode in [Mode::Full, Mode::Lite] {
        let mut call = talking(
            peer(1, Mode::Full, Initiation::Initiating),
            peer(2, mode, Initiation::Responding),
        );
        for _ in 0..3 {
            let old = call.a.agent.selected_candidate_pair().unwrap().id;
            restart_call(&mut call);
            call.run_for(secs(8));
            assert_ne!(call.a.agent.selected_candidate_pair().unwrap().id, old);
        }
        expect_no_gap(&mut call);
    }
}

// req: I15
#[test]
fn two_lite_agents_restart_without_a_gap() {
    let mut call = talking(
        peer(1, Mode::Lite, Initiation::Initiating),
        peer(2, Mode::Lite, Initiation::Responding),
    );
    for _ in 0..3 {
        let old = call.a.agent.selected_candidate_pair().unwrap().id;
        restart_call(&mut call);
        call.run_for(secs(8));
        assert_ne!(call.a.agent.selected_candidate_pair().unwrap().id, old);
        assert_eq!(call.a.agent.local_username_fragments().count(), 1);
    }
    assert_eq!((&call.a.silent, &call.b.silent), (&vec![], &vec![]));
    assert_eq!(
        (call.a.state(), call.b.state()),
        (State::Completed, State::Completed)
    );
}

// req: I15
#[test]
fn media_moves_to_another_network_in_a_restart_without_a_gap() {
    let mut call = talking(
        peer(1, Mode::Full, Initiation::Initiating),
        peer(2, Mode::Full, Initiation::Responding),
    );
    let old = call.a.path().local;
    let new = crate::support::address(1, 8);
    call.add_address(sim::End::A, new);
    call.network.set_links(sim::Link::with_delay(ms(50)));
    let now = call.now();
    call.a.addresses.insert(0, new);
    let candidate = call.a.candidates().swap_remove(0).with_priority(u32::MAX);
    call.a.agent.add_local_candidate(now, candidate).unwrap();
    restart_call(&mut call);
    call.drive_until(|a, b| !a.agent.is_restarting() && !b.agent.is_restarting());
    assert_eq!(call.a.path().local, new);
    call.run_for(secs(6));
    // Now nothing depends on the old network any more.
    call.network.cut_address(old);
    call.run_for(secs(40));
    expect_no_gap(&mut call);
    assert_eq!(
        (call.a.state(), call.b.state()),
        (State::Completed, State::Completed)
    );
}

// req: I15
#[test]
fn a_lite_agent_takes_its_restart_back() {
    let mut story = full_and_lite();
    signal(&mut story);
    story.run_for(secs(2));
    let old = story.b.agent.local_parameters().clone();
    let now = story.now();
    story.b.agent.restart(now, None, None).unwrap();
    story.run_for(secs(60));
    assert!(story.b.agent.is_restarting() && story.b.agent.send_path().is_some());
    let now = story.now();
    story.b.agent.rollback_restart(now).unwrap();
    assert_eq!(*story.b.agent.local_parameters(), old);
    story.run_for(secs(60));
    assert_completed(&story);
}

// req: I13 I15
#[test]
fn a_socket_that_came_during_a_restart_is_the_old_generation_s_too() {
    let new = crate::support::address(1, 5);
    let known = [remote(0)];
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &known);
    solo.run_for(ms(100));
    solo.agent.restart(solo.now, None, None).unwrap();
    let host = Candidate::host(new);
    solo.agent.add_local_candidate(solo.now, host).unwrap();
    solo.take();
    solo.agent.rollback_restart(solo.now).unwrap();
    solo.run_for(secs(1));
    let checks = solo.take_requests();
    let check = checks.iter().find(|check| check.path.local == new);
    let check = check.expect("its pair is checked");
    let response = solo.success_to(check, new);
    let path = FiveTuple::udp(new, remote(0));
    let _ = solo.agent.handle_datagram(solo.now, path, &response);
    assert_eq!(solo.agent.send_path(), Some(path));
}
