//! ICE restarts (RFC 8445 §9), make before break.

use floe_ice::{
    ApiMisuse, Candidate, DropReason, Event, GatheringState, LocalParameters, Mode, Parameters,
    Reason, Received, RemoteParameters, Role, State,
};

use crate::support::solo::{Solo, controlled_with_pairs, remote};
use crate::support::{Peer, Story, assert_completed, both_in_use, connected, ms, secs};

/// Both sides restart at this instant and signal everything again.
fn restart_both(story: &mut Story) {
    let now = story.now();
    story.a.agent.restart(now, None, None).unwrap();
    let (of_a, candidates) = (story.a.remote_parameters(), story.a.candidates());
    story.b.agent.restart(now, None, Some(of_a)).unwrap();
    let finish = |peer: &mut Peer, candidates: &[Candidate]| {
        for candidate in candidates {
            peer.agent
                .add_remote_candidate(now, candidate.clone())
                .unwrap();
        }
        peer.agent.remote_candidates_complete(now);
        peer.agent.local_candidates_complete(now);
    };
    finish(&mut story.b, &candidates);
    let (of_b, candidates) = (story.b.remote_parameters(), story.b.candidates());
    story.a.agent.set_remote_parameters(now, of_b).unwrap();
    finish(&mut story.a, &candidates);
}

// req: I15 I16
#[test]
fn the_old_path_carries_until_the_new_one_is_confirmed() {
    let mut story = connected(1);
    let old = story.a.agent.selected_candidate_pair().unwrap();
    let role = story.a.agent.role();
    restart_both(&mut story);
    assert!(story.a.agent.is_restarting());
    assert_eq!(story.a.agent.local_username_fragments().count(), 2);
    assert_eq!(story.a.agent.selected_candidate_pair().unwrap().id, old.id);
    assert_eq!(story.a.state(), State::Connected);
    while !story.a.saw(|event| *event == Event::RestartConfirmed) {
        assert!(
            story.a.agent.send_path().is_some() && story.b.agent.send_path().is_some(),
            "no gap"
        );
        assert!(story.step());
    }
    assert_ne!(story.a.agent.selected_candidate_pair().unwrap().id, old.id);
    assert_eq!(story.a.agent.role(), role, "roles persist");
    story.run_for(secs(1));
    assert_completed(&story);
    let after: Vec<State> = story.a.states().split_off(3);
    assert_eq!(
        after,
        [State::Completed, State::Connected, State::Completed]
    );
    assert_eq!(story.a.transitions()[3].reason, Reason::Restarted);
    // The old generation still answers for a while, then it is gone.
    assert_eq!(story.b.agent.local_username_fragments().count(), 2);
    story.run_for(secs(5));
    assert_eq!(story.a.agent.local_username_fragments().count(), 1);
    assert_eq!(story.b.agent.local_username_fragments().count(), 1);
    story.run_for(secs(60));
    assert_completed(&story);
}

// req: I15
#[test]
fn the_old_generation_answers_and_consents_while_the_new_one_waits_for_its_peer() {
    let mut story = connected(1);
    let now = story.now();
    story.a.agent.restart(now, None, None).unwrap();
    // Nobody answers the offer for two minutes.
    story.run_for(secs(120));
    assert_eq!(
        (story.a.state(), story.b.state()),
        (State::Connected, State::Completed)
    );
    assert!(story.a.agent.consent_age(story.now()).unwrap() < secs(7));
    assert!(story.a.agent.is_restarting());
    // The application takes it back.
    let now = story.now();
    story.a.agent.rollback_restart(now).unwrap();
    assert_eq!(story.a.state(), State::Completed);
    assert_eq!(
        story.a.agent.rollback_restart(now),
        Err(ApiMisuse::NoRestart)
    );
    assert_eq!(story.a.agent.local_username_fragments().count(), 1);
    story.run_for(secs(60));
    assert_eq!(story.b.state(), State::Completed);
    assert!(
        story
            .a
            .saw(|event| *event == Event::RestartRolledBack(Reason::RolledBack))
    );
}

// req: I15
#[test]
fn a_restart_that_fails_rolls_back() {
    let mut solo = controlled_with_pairs(1);
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    let next =
        RemoteParameters::new(Parameters::new("next", "the-next-password-of-the-peer").unwrap());
    solo.agent.restart(solo.now, None, Some(next)).unwrap();
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(7)))
        .unwrap();
    solo.agent.remote_candidates_complete(solo.now);
    solo.agent.local_candidates_complete(solo.now);
    for _ in 0..600 {
        solo.run_for(ms(100));
        for check in solo.take_requests() {
            if check.path.remote == remote(0) {
                let _ = solo.answer(&check);
            }
        }
        assert!(solo.agent.send_path().is_some());
    }
    assert!(
        solo.events
            .contains(&Event::RestartRolledBack(Reason::ChecksExhausted))
    );
    assert_eq!(solo.agent.local_username_fragments().count(), 1);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(0));
    assert_eq!(solo.agent.state(), State::Connected);
}

// req: I15 I16
#[test]
fn a_restart_during_a_restart_replaces_the_unconfirmed_one() {
    let mut story = connected(1);
    let now = story.now();
    let first = story
        .a
        .agent
        .local_parameters()
        .username_fragment()
        .to_owned();
    story.a.agent.restart(now, None, None).unwrap();
    let second = story
        .a
        .agent
        .local_parameters()
        .username_fragment()
        .to_owned();
    story.a.agent.restart(now, None, None).unwrap();
    let live: Vec<&str> = story.a.agent.local_username_fragments().collect();
    assert_eq!(live.len(), 2);
    assert!(live.contains(&first.as_str()) && !live.contains(&second.as_str()));
    story.run_for(secs(60));
    assert_eq!(story.b.state(), State::Completed);
}

// req: I16
#[test]
fn requests_belong_to_the_generation_they_name() {
    let mut solo = controlled_with_pairs(1);
    let request = solo.check().nominating();
    let _ = solo.receive(remote(0), &request.bytes());
    let mut of_old = solo.check();
    solo.agent.restart(solo.now, None, None).unwrap();
    let of_new = solo.check();
    assert_ne!(of_old.to.username_fragment(), of_new.to.username_fragment());
    solo.take();
    for check in [&of_old, &of_new] {
        let _ = solo.receive(remote(0), &check.bytes());
        let sent = solo.take();
        let answer = sent[0].message();
        let key = floe_stun::IntegrityKey::short_term(check.to.password().as_bytes());
        answer
            .verify(&key)
            .expect("signed with the password of the generation named");
    }
    // A mixture of the two is nobody's.
    of_old.id += 50;
    let mixed = of_old.bytes_under(of_new.to.password());
    assert_eq!(
        solo.receive(remote(0), &mixed),
        Received::Dropped(DropReason::BadIntegrity)
    );
    // An old request does not nominate in the new generation.
    let nominating = solo.check();
    let mut old_nomination = nominating.nominating();
    old_nomination.to = of_old.to.clone();
    let _ = solo.receive(remote(0), &old_nomination.bytes());
    assert!(solo.agent.is_restarting());
}

// req: I15
#[test]
fn a_restart_leaves_failed_through_checking() {
    let mut story = connected(1);
    story.network.cut();
    story.drive_until(|a, b| a.state() == State::Failed && b.state() == State::Failed);
    story.network.heal();
    restart_both(&mut story);
    assert_eq!(story.a.state(), State::Checking);
    story.run_for(secs(2));
    assert_completed(&story);
    let tail: Vec<(State, Reason)> = story.a.transitions()[5..]
        .iter()
        .map(|t| (t.to, t.reason))
        .collect();
    assert_eq!(tail[0], (State::Checking, Reason::Restarted));
    assert!(story.a.saw(|event| *event == Event::RestartConfirmed));
}

// req: I15 R45
#[test]
fn a_restart_out_of_disconnected_checks_and_connects_on_another_path() {
    let mut story = connected(2);
    // The path in use dies; the other addresses would work.
    let (used_a, used_b) = (story.a.path().local, story.b.path().local);
    story.network.cut_address(used_a);
    story.network.cut_address(used_b);
    story.drive_until(|a, b| a.state() == State::Disconnected && b.state() == State::Disconnected);
    restart_both(&mut story);
    story.drive();
    assert!(
        story
            .a
            .states()
            .ends_with(&[State::Disconnected, State::Checking, State::Completed])
    );
    story.drive_until(|a, b| a.state() == State::Completed && b.state() == State::Completed);
    assert_ne!(story.a.path().local, used_a);
    assert_ne!(story.b.path().local, used_b);
}

// req: I15
#[test]
fn a_restart_changes_both_of_our_credentials() {
    let mut story = connected(1);
    let now = story.now();
    let (fragment, password) = {
        let own = story.a.agent.local_parameters();
        (
            own.username_fragment().to_owned(),
            own.password().to_owned(),
        )
    };
    // The fragment of a live generation cannot be chosen again.
    let agent = &mut story.a.agent;
    let kept = LocalParameters::with_username_fragment(&fragment).unwrap();
    assert_eq!(
        agent.restart(now, Some(kept), None),
        Err(ApiMisuse::RestartKeepsACredential)
    );
    assert_eq!(agent.local_parameters().password(), password);
    // The password is new by itself.
    let chosen = Some(LocalParameters::with_username_fragment("abcd").unwrap());
    agent.restart(now, chosen, None).unwrap();
    assert_eq!(agent.local_parameters().username_fragment(), "abcd");
    assert_ne!(agent.local_parameters().password(), password);
    // While two generations live, neither's fragment.
    for fragment in ["abcd", fragment.as_str()] {
        let kept = LocalParameters::with_username_fragment(fragment).unwrap();
        assert_eq!(
            agent.restart(now, Some(kept), None),
            Err(ApiMisuse::RestartKeepsACredential)
        );
    }
    assert_eq!(story.a.agent.gathering_state(), GatheringState::Gathering);
}

// req: I65
#[test]
fn a_role_won_in_a_conflict_persists_over_a_restart() {
    let mut solo = controlled_with_pairs(1);
    let mut flipped = solo.check();
    flipped.role = Some(floe_stun::RoleAttribute::Controlled(0));
    let _ = solo.receive(remote(0), &flipped.bytes());
    assert_eq!(solo.agent.role(), Some(Role::Controlling));
    let next =
        RemoteParameters::new(Parameters::new("next", "the-next-password-of-the-peer").unwrap());
    solo.agent.restart(solo.now, None, Some(next)).unwrap();
    assert_eq!(solo.agent.role(), Some(Role::Controlling));
}

// req: I1 I65
#[test]
fn a_restart_that_finds_a_peer_of_another_mode_says_that_the_role_is_another() {
    let mut solo = controlled_with_pairs(1);
    let role = |solo: &Solo| {
        let told = |event: &&Event| matches!(event, Event::RoleChange(_));
        (
            solo.agent.role(),
            solo.events.iter().filter(told).copied().collect(),
        )
    };
    assert_eq!(role(&solo), (Some(Role::Controlled), Vec::new()));
    let mut next =
        RemoteParameters::new(Parameters::new("next", "the-next-password-of-the-peer").unwrap());
    next.mode = Mode::Lite;
    solo.agent.restart(solo.now, None, Some(next)).unwrap();
    solo.drain();
    let controlling = Role::Controlling;
    assert_eq!(
        role(&solo),
        (Some(controlling), vec![Event::RoleChange(controlling)])
    );
}

// req: I15
#[test]
fn a_lite_agent_restarts_without_a_gap() {
    let mut story = crate::support::full_and_lite();
    crate::support::signal(&mut story);
    story.run_for(secs(2));
    let old = story.b.agent.selected_candidate_pair().unwrap().id;
    restart_both(&mut story);
    while !story.b.saw(|event| *event == Event::RestartConfirmed) {
        assert!(story.a.agent.send_path().is_some() && story.b.agent.send_path().is_some());
        assert!(story.step());
    }
    assert_ne!(story.b.agent.selected_candidate_pair().unwrap().id, old);
    story.run_for(secs(20));
    assert_completed(&story);
}

// req: I15 I22
#[test]
fn a_lite_agent_that_restarts_off_a_silent_path_is_checking_until_it_is_asked() {
    let mut story = crate::support::full_and_lite();
    crate::support::signal(&mut story);
    story.run_for(secs(2));
    story.network.cut();
    story.drive_until(|_, b| b.state() == State::Disconnected);
    restart_both(&mut story);
    story.run_for(secs(1));
    let transition = story.b.last_transition();
    assert_eq!(
        (transition.from, transition.to, transition.reason),
        (State::Disconnected, State::Checking, Reason::Restarted)
    );
    story.network.heal();
    story.drive_until(|_, b| b.state() == State::Completed);
    let states = story.b.states();
    assert_eq!(states[3..5], [State::Disconnected, State::Checking]);
    // The new generation's nomination completes it; a check that keeps the old path connects it, if it comes before.
    assert!(matches!(
        states[5..],
        [State::Connected, State::Completed] | [State::Completed]
    ));
}

// req: I12 I16
#[test]
fn candidates_name_their_generation() {
    let mut solo = Solo::checking(
        floe_ice::Initiation::Initiating,
        floe_ice::Config::default(),
        &[remote(0)],
    );
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let next = Parameters::new("next", "the-next-password-of-the-peer").unwrap();
    solo.agent
        .restart(solo.now, None, Some(RemoteParameters::new(next)))
        .unwrap();
    let before = solo.agent.candidate_pairs().count();
    let of_old = Candidate::host(remote(4)).with_username_fragment("peer");
    let of_new = Candidate::host(remote(5)).with_username_fragment("next");
    let of_none = Candidate::host(remote(6)).with_username_fragment("none");
    assert!(
        solo.agent
            .add_remote_candidate(solo.now, of_old)
            .unwrap()
            .is_some()
    );
    assert!(
        solo.agent
            .add_remote_candidate(solo.now, of_new)
            .unwrap()
            .is_some()
    );
    assert!(
        solo.agent
            .add_remote_candidate(solo.now, of_none)
            .unwrap()
            .is_none()
    );
    assert_eq!(solo.agent.candidate_pairs().count(), before + 2);
}

// req: I15
#[test]
fn a_pair_that_only_works_does_not_replace_the_old_path() {
    // Neither generation has a nominated pair: the old one goes on until the new one does.
    let mut solo = controlled_with_pairs(1);
    let next = Parameters::new("next", "the-next-password-of-the-peer").unwrap();
    solo.agent
        .restart(solo.now, None, Some(RemoteParameters::new(next.clone())))
        .unwrap();
    solo.peer = next;
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(7)))
        .unwrap();
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    let _ = solo.answer(
        checks
            .iter()
            .find(|check| check.path.remote == remote(7))
            .unwrap(),
    );
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(0));
    let nomination = solo.check().nominating().bytes();
    let _ = solo.receive(remote(7), &nomination);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(7));
}

// req: I14 I15
#[test]
fn a_restart_that_nobody_answers_fails_once_the_old_path_is_lost() {
    let mut story = connected(1);
    let now = story.now();
    story.a.agent.restart(now, None, None).unwrap();
    story.a.agent.local_candidates_complete(now);
    story.network.cut();
    story.run_for(secs(120));
    assert_eq!(story.a.state(), State::Failed);
    assert_eq!(story.a.last_transition().reason, Reason::ConsentExpired);
    // From there another restart: again nobody answers.
    let now = story.now();
    story.a.agent.restart(now, None, None).unwrap();
    story.a.agent.local_candidates_complete(now);
    story.drive();
    assert_eq!(story.a.state(), State::Checking);
    story.run_for(secs(120));
    assert_eq!(story.a.state(), State::Failed);
    // An answer that comes late is an answer all the same.
    story.network.heal();
    let now = story.now();
    let (of_a, candidates) = (story.a.remote_parameters(), story.a.candidates());
    story.b.agent.restart(now, None, Some(of_a)).unwrap();
    for candidate in candidates {
        story.b.agent.add_remote_candidate(now, candidate).unwrap();
    }
    story.b.agent.local_candidates_complete(now);
    let (of_b, candidates) = (story.b.remote_parameters(), story.b.candidates());
    story.a.agent.set_remote_parameters(now, of_b).unwrap();
    for candidate in candidates {
        story.a.agent.add_remote_candidate(now, candidate).unwrap();
    }
    story.drive_until(both_in_use);
}

// req: I14 I15
#[test]
fn a_restart_that_was_rolled_back_is_the_reason_of_nothing_that_comes_later() {
    let mut solo = controlled_with_pairs(1);
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    let answered = |solo: &mut Solo, seconds: u32| {
        for _ in 0..seconds * 10 {
            solo.run_for(ms(100));
            for check in solo.take_requests() {
                if check.path.remote == remote(0) {
                    let _ = solo.answer(&check);
                }
            }
        }
    };
    let next =
        RemoteParameters::new(Parameters::new("next", "the-next-password-of-the-peer").unwrap());
    solo.agent.restart(solo.now, None, Some(next)).unwrap();
    solo.agent.remote_candidates_complete(solo.now);
    solo.agent.local_candidates_complete(solo.now);
    answered(&mut solo, 60);
    let rolled_back = |event: &Event| matches!(event, Event::RestartRolledBack(_));
    assert!(solo.events.iter().any(rolled_back));
    assert_eq!(solo.agent.state(), State::Connected);
    solo.agent.local_candidates_complete(solo.now);
    solo.agent.remote_candidates_complete(solo.now);
    solo.drain();
    let last = *solo.transitions().last().unwrap();
    assert_eq!(
        (last.to, last.reason),
        (State::Completed, Reason::CandidatesComplete)
    );
}

// req: I15
#[test]
fn a_confirmed_restart_is_not_taken_back() {
    let mut story = connected(1);
    restart_both(&mut story);
    story.drive_until(|a, _| a.saw(|event| *event == Event::RestartConfirmed));
    let confirmed = story.a.agent.local_parameters().clone();
    assert_eq!(story.a.agent.local_username_fragments().count(), 2);
    let now = story.now();
    assert_eq!(
        story.a.agent.rollback_restart(now),
        Err(ApiMisuse::NoRestart)
    );
    assert_eq!(*story.a.agent.local_parameters(), confirmed);
    story.run_for(secs(10));
    assert_completed(&story);
}

// req: I15 I65
#[test]
fn a_restart_takes_no_credential_of_any_live_generation() {
    let mut solo = controlled_with_pairs(1);
    let first = solo.agent.local_parameters().username_fragment().to_owned();
    solo.agent.restart(solo.now, None, None).unwrap();
    let second = solo.agent.local_parameters().username_fragment().to_owned();
    for fragment in [&first, &second] {
        let own = LocalParameters::with_username_fragment(fragment).unwrap();
        assert_eq!(
            solo.agent.restart(solo.now, Some(own), None),
            Err(ApiMisuse::RestartKeepsACredential)
        );
    }
    // Of the peer's, either half: what the old generation has, in an answer and in another restart.
    let fresh = "0123456789abcdefghijkl";
    for (fragment, password) in [("peer", fresh), ("next", solo.peer.password())] {
        let remote = RemoteParameters::new(Parameters::new(fragment, password).unwrap());
        assert_eq!(
            solo.agent.set_remote_parameters(solo.now, remote.clone()),
            Err(ApiMisuse::RestartKeepsACredential)
        );
        assert_eq!(
            solo.agent.restart(solo.now, None, Some(remote)),
            Err(ApiMisuse::RestartKeepsACredential)
        );
    }
    let live: Vec<&str> = solo.agent.local_username_fragments().collect();
    assert_eq!(live, [second, first], "nothing has changed");
    // Nor what the older one has, when the newer one knows its peer too.
    let next = Parameters::new("next", fresh).unwrap();
    let next = RemoteParameters::new(next);
    solo.agent.set_remote_parameters(solo.now, next).unwrap();
    let again = Parameters::new("peer", "another-password-entirely").unwrap();
    assert_eq!(
        solo.agent
            .restart(solo.now, None, Some(RemoteParameters::new(again))),
        Err(ApiMisuse::RestartKeepsACredential)
    );
}

// req: I15 I16
#[test]
fn a_restart_within_the_linger_begins_from_what_was_confirmed() {
    let mut story = connected(1);
    let first = story
        .a
        .agent
        .local_parameters()
        .username_fragment()
        .to_owned();
    restart_both(&mut story);
    story.drive_until(|a, b| !a.agent.is_restarting() && !b.agent.is_restarting());
    let second = story
        .a
        .agent
        .local_parameters()
        .username_fragment()
        .to_owned();
    let pair = story.a.agent.selected_candidate_pair().unwrap().id;
    let now = story.now();
    story.a.agent.restart(now, None, None).unwrap();
    let live: Vec<&str> = story.a.agent.local_username_fragments().collect();
    assert_eq!((live.len(), live[1]), (2, second.as_str()));
    assert!(!live.contains(&first.as_str()));
    assert_eq!(story.a.agent.selected_candidate_pair().unwrap().id, pair);
    story.run_for(secs(60));
    assert_eq!(story.a.agent.selected_candidate_pair().unwrap().id, pair);
    let now = story.now();
    story.a.agent.rollback_restart(now).unwrap();
    assert_eq!(story.a.agent.local_parameters().username_fragment(), second);
}

/// A controlled agent whose restart is confirmed on `remote(7)`, and which loses that within the linger while `remote(0)` of the
/// old generation still answers.
fn loses_its_new_pair() -> (Solo, Parameters) {
    let mut solo = controlled_with_pairs(1);
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    let old = solo.agent.local_parameters().clone();
    let next = Parameters::new("next", "the-next-password-of-the-peer").unwrap();
    let peer = std::mem::replace(&mut solo.peer, next.clone());
    let next = RemoteParameters::new(next);
    solo.agent.restart(solo.now, None, Some(next)).unwrap();
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(7)))
        .unwrap();
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    let check = checks.iter().find(|check| check.path.remote == remote(7));
    let _ = solo.answer(check.unwrap());
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(7), &request);
    assert!(solo.events.contains(&Event::RestartConfirmed));
    solo.take();
    let lost = solo.agent.remove_remote_candidate(solo.now, remote(7));
    assert_eq!(lost, floe_ice::Removal::SelectedPairLost);
    solo.peer = peer;
    (solo, old)
}

/// A minute in which the old generation's checks are answered.
fn live_on_the_old_path(solo: &mut Solo) {
    for _ in 0..600 {
        assert_eq!(solo.agent.send_path().unwrap().remote, remote(0));
        solo.run_for(ms(100));
        for check in solo.take_requests() {
            let _ = solo.answer(&check);
        }
    }
}

// req: I15
#[test]
fn the_old_generation_stays_while_it_has_the_only_path_confirmed_or_not() {
    let (mut solo, old) = loses_its_new_pair();
    live_on_the_old_path(&mut solo);
    assert_eq!(solo.agent.state(), State::Connected);
    assert_eq!(solo.agent.local_username_fragments().count(), 2);
    // Another restart begins from the one that has the path.
    solo.agent.restart(solo.now, None, None).unwrap();
    let live: Vec<&str> = solo.agent.local_username_fragments().collect();
    assert_eq!(live[1], old.username_fragment());
    live_on_the_old_path(&mut solo);
}

// req: I15
#[test]
fn a_confirmed_restart_that_lost_its_pair_is_given_up_for_the_old_path() {
    let (mut solo, old) = loses_its_new_pair();
    solo.agent.local_candidates_complete(solo.now);
    solo.agent.remote_candidates_complete(solo.now);
    live_on_the_old_path(&mut solo);
    assert_eq!(*solo.agent.local_parameters(), old);
    assert_eq!(solo.agent.local_username_fragments().count(), 1);
    let rolled_back = Event::RestartRolledBack(Reason::CandidateRemoved);
    assert!(solo.events.contains(&rolled_back));
    assert_eq!(solo.agent.state(), State::Connected);
    assert!(!solo.agent.is_restarting());
}
