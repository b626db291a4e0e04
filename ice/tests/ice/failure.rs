//! Giving up, and not giving up (W3C webrtc-pc §5.6.3, RFC 8863).

use floe_ice::{
    Agent, Candidate, Config, GatheringState, Initiation, Mode, Reason, RemoteParameters, State,
    Timing,
};

use crate::support::solo::{Solo, in_a_call, local, remote, success};
use crate::support::{ms, secs, two};

fn finished(remotes: &[std::net::SocketAddr], config: Config) -> Solo {
    let mut solo = Solo::checking(Initiation::Initiating, config, remotes);
    solo.agent.local_candidates_complete(solo.now);
    solo.agent.remote_candidates_complete(solo.now);
    solo
}

fn last(solo: &Solo) -> (State, Reason, std::time::Duration) {
    let last = *solo.transitions().last().unwrap();
    (last.to, last.reason, last.at - sim::Clock::epoch())
}

// req: I12 I14 R41
#[test]
fn all_checks_exhausted_is_failed_and_quiet() {
    let mut solo = finished(&[remote(0), remote(1)], Config::default());
    solo.run_for(secs(120));
    // 79 × 500 ms for the second check, which began 50 ms late.
    assert_eq!(
        last(&solo),
        (State::Failed, Reason::ChecksExhausted, ms(39_550))
    );
    assert_eq!(solo.agent.poll_timeout(), None);
}

// req: I12
#[test]
fn the_patience_outlasts_checks_that_fail_early() {
    let mut timing = Timing::default();
    timing.transmissions = 2;
    timing.last_wait = 1;
    let mut solo = finished(&[remote(0)], Config::with_timing(timing));
    solo.run_for(secs(39));
    assert_eq!(
        solo.agent.state(),
        State::Checking,
        "the peer's own checks may still arrive"
    );
    assert!(
        solo.agent
            .candidate_pairs()
            .all(|p| p.state == floe_ice::PairState::Failed)
    );
    // And one does.
    let request = solo.check().bytes();
    let _ = solo.receive(remote(0), &request);
    let checks = solo.take_requests();
    let _ = solo.answer(checks.last().unwrap());
    assert_eq!(solo.agent.state(), State::Connected);
}

// req: I12 I14
#[test]
fn patience_ends_after_thirty_nine_and_a_half_seconds() {
    let mut solo = finished(&[], Config::default());
    solo.run_for(secs(60));
    assert_eq!(last(&solo), (State::Failed, Reason::NoPairs, ms(39_500)));
    assert_eq!(
        solo.transitions()[0].from,
        State::New,
        "given up before any check"
    );
}

// req: I12
#[test]
fn without_local_candidates_there_is_no_patience() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    solo.agent.local_candidates_complete(solo.now);
    solo.meet();
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(0)))
        .unwrap();
    solo.agent.remote_candidates_complete(solo.now);
    solo.drain();
    assert_eq!(last(&solo), (State::Failed, Reason::NoPairs, ms(0)));
}

// req: I8 I12
#[test]
fn answers_that_were_never_authentic_are_named_as_the_reason() {
    let mut solo = finished(&[remote(0)], Config::default());
    let checks = solo.take_requests();
    let forged = success(checks[0].id(), local(), "another-password-entirely");
    let _ = solo.receive(remote(0), &forged);
    solo.run_for(secs(60));
    assert_eq!(last(&solo).1, Reason::IntegrityViolated);
}

// req: I14 R40
#[test]
fn while_candidates_may_come_a_dead_end_is_disconnected() {
    let mut timing = Timing::default();
    timing.end_of_candidates = None;
    let mut solo = Solo::checking(
        Initiation::Initiating,
        Config::with_timing(timing),
        &[remote(0)],
    );
    solo.agent.local_candidates_complete(solo.now);
    solo.run_for(secs(600));
    assert_eq!(
        last(&solo),
        (State::Disconnected, Reason::PairsFailed, ms(39_500))
    );
    // A new candidate revives it, and the end-of-candidates decides it.
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(1)))
        .unwrap();
    solo.drain();
    assert_eq!(last(&solo).0, State::Checking);
    assert_eq!(last(&solo).1, Reason::PairAdded);
    solo.agent.remote_candidates_complete(solo.now);
    solo.run_for(secs(60));
    assert_eq!(last(&solo).0, State::Failed);
}

// req: I12
#[test]
fn a_peer_that_never_says_end_of_candidates_is_given_up_too() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    solo.agent.local_candidates_complete(solo.now);
    solo.run_for(secs(10));
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(1)))
        .unwrap();
    solo.run_for(secs(60));
    assert_eq!(
        last(&solo),
        (State::Failed, Reason::ChecksExhausted, ms(49_500))
    );
}

// req: I14 R76
#[test]
fn gathering_that_is_not_complete_never_fails() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    solo.agent.remote_candidates_complete(solo.now);
    solo.run_for(secs(600));
    assert_eq!(solo.agent.state(), State::Disconnected);
    assert_eq!(solo.agent.gathering_state(), GatheringState::Gathering);
    solo.agent.local_candidates_complete(solo.now);
    assert_eq!(solo.agent.state(), State::Failed);
}

// req: I14 R42
#[test]
fn closed_is_final_and_silent() {
    let mut story = two(1);
    crate::support::signal(&mut story);
    story.run_for(secs(2));
    let now = story.now();
    story.a.agent.close(now);
    story.drive();
    assert_eq!(story.a.last_transition().to, State::Closed);
    assert_eq!(story.a.last_transition().reason, Reason::Closed);
    let events = story.a.events.len();
    let agent = &mut story.a.agent;
    agent.close(now);
    agent.local_candidates_complete(now);
    agent.remote_candidates_complete(now);
    agent.note_authenticated_traffic(now);
    agent.revoke_consent(now, Reason::PeerClosed);
    agent.set_timing(now, Timing::webrtc());
    let _ = agent.remove_remote_candidate(now, remote(0));
    let remote_parameters =
        RemoteParameters::new(floe_ice::Parameters::new("abcd", &"x".repeat(22)).unwrap());
    assert!(agent.set_remote_parameters(now, remote_parameters).is_err());
    assert!(agent.restart(now, None, None).is_err());
    assert!(
        agent
            .add_remote_candidate(now, Candidate::host(remote(0)))
            .is_err()
    );
    let is_silent = |agent: &Agent| {
        agent.send_path().is_none()
            && agent.poll_timeout().is_none()
            && agent.usable_path().is_none()
    };
    assert!(is_silent(agent));
    story.run_for(secs(20));
    assert!(is_silent(&story.a.agent));
    assert_eq!(story.a.events.len(), events);
    assert_eq!(story.a.state(), State::Closed);
    assert!(
        story.a.agent.stats().dropped(floe_ice::DropReason::Closed) > 0,
        "the peer went on checking"
    );
}

// req: R43 R45
#[test]
fn losing_the_pair_in_use_while_others_are_to_be_checked_is_checking() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &[remote(0)]);
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(1)))
        .unwrap();
    let forbidden = floe_stun::ErrorCode::FORBIDDEN;
    solo.run_for(secs(6));
    let consent = solo
        .take_requests()
        .into_iter()
        .find(|c| c.path.remote == remote(0) && c.at > secs(3));
    let response = solo.error_to(&consent.unwrap(), forbidden);
    let _ = solo.receive(remote(0), &response);
    solo.drain();
    assert_eq!(last(&solo).0, State::Checking);
    assert_eq!(last(&solo).1, Reason::ConsentRevoked);
}

// req: I20 R43
#[test]
fn a_pair_that_worked_lately_takes_over_when_the_one_in_use_is_lost() {
    let mut solo = crate::support::solo::controlled_with_pairs(2);
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    solo.run_for(secs(2));
    let removal = solo.agent.remove_remote_candidate(solo.now, remote(0));
    assert_eq!(removal, floe_ice::Removal::SelectedPairLost);
    assert_eq!(solo.agent.state(), State::Connected);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(1));
    assert_eq!(
        solo.agent.consent_age(solo.now),
        Some(secs(2)),
        "its own consent"
    );
}

// req: I20 R43
#[test]
fn a_pair_that_worked_long_ago_has_to_succeed_again() {
    let mut solo = crate::support::solo::controlled_with_pairs(1);
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    let answer_all_on_the_first = |solo: &mut Solo, seconds: u64| {
        for _ in 0..seconds * 10 {
            solo.run_for(ms(100));
            for check in solo
                .take_requests()
                .iter()
                .filter(|check| check.path.remote == remote(0))
            {
                let _ = solo.answer(check);
            }
        }
    };
    answer_all_on_the_first(&mut solo, 10);
    // Another path is checked by both sides, and then left alone.
    let request = solo.check().bytes();
    let _ = solo.receive(remote(1), &request);
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    answer_all_on_the_first(&mut solo, 31);
    // A nomination there is followed once it has answered again.
    let nomination = solo.check().nominating().bytes();
    let _ = solo.receive(remote(1), &nomination);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(0));
    let checks = solo.take_requests();
    assert_eq!(checks[0].path.remote, remote(1));
    // The pair in use goes meanwhile: nothing is sent anywhere until the answer comes.
    let _ = solo.agent.remove_remote_candidate(solo.now, remote(0));
    assert_eq!(
        (solo.agent.send_path(), solo.agent.state()),
        (None, State::Checking)
    );
    let _ = solo.answer(&checks[0]);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(1));
    assert!(solo.agent.selected_candidate_pair().unwrap().nominated);
}

// req: I12 I14
#[test]
fn a_path_that_is_lost_early_leaves_the_peer_the_rest_of_its_time() {
    let mut solo = in_a_call();
    solo.agent.remote_candidates_complete(solo.now);
    solo.agent.local_candidates_complete(solo.now);
    // Long enough for consent to have been asked for, and what the search needed to be looked through.
    for _ in 0..120 {
        solo.run_for(ms(100));
        for check in solo.take_requests() {
            let _ = solo.answer(&check);
        }
    }
    assert_eq!(solo.agent.state(), State::Completed);
    let gone = remote(0);
    let removal = solo.agent.remove_remote_candidate(solo.now, gone);
    assert_eq!(removal, floe_ice::Removal::SelectedPairLost);
    let left = Config::default().timing.patience - solo.elapsed();
    solo.run_for(left - ms(1));
    assert_eq!(solo.agent.state(), State::Disconnected);
    solo.run_for(ms(1));
    assert_eq!(solo.agent.state(), State::Failed);
}
