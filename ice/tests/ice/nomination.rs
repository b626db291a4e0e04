//! Nomination from both sides (RFC 8445 §8.1, draft-thatcher-ice-renomination).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use floe_ice::nomination::{ByApplication, Continuous, LiteServer, Mobile, Policy, Regular};
use floe_ice::{
    ApiMisuse, Candidate, CandidateType, Config, Event, Initiation, Moved, PairId, PairState,
    Received, State, Timing,
};

use floe_stun::{AttributeType, ErrorCode, IntegrityKey, Method, Writer};

use crate::support::solo::{Sent, Solo, controlled, controlled_with_pairs, local, remote};
use crate::support::{ms, secs};

fn config(policy: impl Policy + 'static) -> Config {
    let mut config = Config::default();
    config.nomination = Arc::new(policy);
    config
}

fn remote_of(kind: CandidateType, n: u16) -> Candidate {
    let address = remote(n);
    match kind {
        CandidateType::ServerReflexive => {
            Candidate::server_reflexive(address, "10.0.0.1:1".parse().unwrap())
        }
        CandidateType::Relayed => Candidate::relayed(address, "10.0.0.1:1".parse().unwrap()),
        _ => Candidate::host(address),
    }
}

/// A controlling agent that checks a host pair, which never answers, and one of `kind`, which does at once.
fn waits_for(kind: CandidateType) -> u128 {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[]);
    for (n, kind) in [CandidateType::Host, kind].into_iter().enumerate() {
        solo.agent
            .add_remote_candidate(solo.now, remote_of(kind, n as u16))
            .unwrap();
    }
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    let _ = solo.answer(
        checks
            .iter()
            .find(|check| check.path.remote == remote(1))
            .unwrap(),
    );
    solo.run_for(secs(4));
    let nominating = |sent: &&Sent| sent.is_request() && sent.message().use_candidate();
    solo.take().iter().find(nominating).unwrap().at.as_millis()
}

// req: I10
#[test]
fn a_worse_pair_waits_for_a_better_one() {
    assert_eq!(waits_for(CandidateType::Host), 60);
    assert_eq!(waits_for(CandidateType::ServerReflexive), 500);
    assert_eq!(waits_for(CandidateType::Relayed), 2000);
}

// req: I10
#[test]
fn the_wait_ends_when_nothing_better_is_untested() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[]);
    for (n, kind) in [CandidateType::Host, CandidateType::Relayed]
        .into_iter()
        .enumerate()
    {
        solo.agent
            .add_remote_candidate(solo.now, remote_of(kind, n as u16))
            .unwrap();
    }
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[1]);
    assert!(solo.take_requests().is_empty(), "the host pair is untested");
    let refusal = solo.error_to(&checks[0], ErrorCode::BAD_REQUEST);
    let _ = solo.receive(remote(0), &refusal);
    let sent = solo.take_requests();
    assert!(sent[0].message().use_candidate(), "at once");
}

// req: I10 I23
#[test]
fn a_nominated_pair_ends_the_search() {
    let mut solo = Solo::checking(
        Initiation::Initiating,
        Config::default(),
        &[remote(0), remote(1), remote(2)],
    );
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let nominating = solo.take_requests();
    assert!(!solo.agent.selected_candidate_pair().unwrap().nominated);
    let _ = solo.answer(&nominating[0]);
    assert!(solo.agent.selected_candidate_pair().unwrap().nominated);
    assert_eq!(solo.agent.candidate_pairs().count(), 1);
    solo.run_for(secs(3));
    assert!(solo.take_requests().is_empty());
}

fn selected(solo: &Solo) -> (SocketAddr, bool) {
    let pair = solo.agent.selected_candidate_pair().unwrap();
    (pair.path.remote, pair.nominated)
}

fn nominate(solo: &mut Solo, n: u16, value: Option<u32>) {
    let mut request = solo.check().nominating();
    request.nomination = value;
    let _ = solo.receive(remote(n), &request.bytes());
}

// req: I10
#[test]
fn nomination_counts_on_succeeded_pairs_only() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &[remote(0)]);
    let checks = solo.take_requests();
    nominate(&mut solo, 0, None);
    assert_eq!(solo.agent.selected_candidate_pair(), None);
    let _ = solo.answer(&checks[0]);
    assert_eq!(selected(&solo), (remote(0), true));
}

// req: I10
#[test]
fn the_controlled_side_follows_the_latest_nomination() {
    let mut solo = controlled_with_pairs(2);
    nominate(&mut solo, 0, None);
    assert_eq!(selected(&solo), (remote(0), true));
    solo.run_for(secs(1));
    nominate(&mut solo, 1, None);
    assert_eq!(
        selected(&solo),
        (remote(1), true),
        "though its priority is lower"
    );
    assert!(
        solo.agent
            .candidate_pairs()
            .all(|p| p.pair.nominated == (p.pair.path.remote == remote(1)))
    );
    solo.run_for(secs(1));
    nominate(&mut solo, 0, None);
    assert_eq!(selected(&solo), (remote(0), true));
}

// req: I10
#[test]
fn a_peer_that_nominates_everything_gets_its_best_pair_until_it_settles() {
    let mut solo = controlled_with_pairs(3);
    for n in [1, 0, 2] {
        nominate(&mut solo, n, None);
        solo.run_for(ms(100));
    }
    solo.run_for(ms(500));
    assert_eq!(selected(&solo), (remote(0), true), "the highest priority");
    // Now it repeats one alone.
    solo.run_for(secs(1));
    nominate(&mut solo, 2, None);
    assert_eq!(selected(&solo), (remote(2), true));
}

/// A controlled agent that uses the first of two pairs, of round trips of 400 and 350 ms, and was asked for the second 100 ms
/// later.
fn about_to_switch() -> Solo {
    let remotes = [remote(0), remote(1)];
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes);
    solo.run_for(ms(50));
    let checks = solo.take_requests();
    solo.run_for(ms(350));
    for check in &checks {
        let _ = solo.answer(check);
    }
    nominate(&mut solo, 0, Some(1));
    solo.run_for(ms(100));
    nominate(&mut solo, 1, Some(2));
    solo
}

// req: I10
#[test]
fn it_switches_at_most_once_per_round_trip() {
    let mut solo = about_to_switch();
    assert_eq!(selected(&solo), (remote(0), true), "not yet");
    solo.run_for(ms(299));
    assert_eq!(selected(&solo), (remote(0), true), "nor now");
    solo.run_for(ms(1));
    assert_eq!(selected(&solo), (remote(1), true), "now");
}

// req: I10
#[test]
fn a_switch_that_waits_for_its_round_trip_is_dropped_when_the_peer_takes_it_back() {
    let mut solo = about_to_switch();
    solo.run_for(ms(100));
    nominate(&mut solo, 0, Some(3));
    let changes = solo.events.len();
    solo.run_for(secs(2));
    assert_eq!(selected(&solo), (remote(0), true));
    assert_eq!(solo.events.len(), changes, "nothing was switched");
}

// req: I10
#[test]
fn the_greater_nomination_wins_at_once_and_a_smaller_one_never() {
    let mut solo = controlled_with_pairs(3);
    solo.run_for(secs(1));
    nominate(&mut solo, 2, Some(5));
    assert_eq!(selected(&solo), (remote(2), true));
    solo.run_for(secs(1));
    nominate(&mut solo, 0, Some(4));
    assert_eq!(selected(&solo), (remote(2), true));
    nominate(&mut solo, 1, Some(6));
    assert_eq!(selected(&solo), (remote(1), true));
}

// req: I10
#[test]
fn renomination_is_announced_and_followed_with_every_preset() {
    let configs = [
        config(Regular),
        config(Continuous::default()),
        config(Mobile::default()),
        config(LiteServer),
        config(ByApplication::default()),
    ];
    for config in &configs {
        let mut solo = controlled(2, config.clone());
        assert!(solo.agent.ice_options().contains(&"renomination"));
        nominate(&mut solo, 0, Some(1));
        assert_eq!(selected(&solo), (remote(0), true));
        solo.run_for(secs(1));
        nominate(&mut solo, 1, Some(2));
        assert_eq!(selected(&solo), (remote(1), true), "{config:?}");
        solo.run_for(secs(1));
        nominate(&mut solo, 0, Some(1));
        assert_eq!(selected(&solo), (remote(1), true), "{config:?}");
    }
}

// req: I10
#[test]
fn renomination_moves_to_a_better_pair_and_counts() {
    let mut solo = Solo::checking(Initiation::Initiating, config(Continuous::default()), &[]);
    let relayed = remote_of(CandidateType::Relayed, 1);
    solo.agent.add_remote_candidate(solo.now, relayed).unwrap();
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let nominating = solo.take_requests();
    assert_eq!(nominating[0].message().nomination(), Some(1));
    let _ = solo.answer(&nominating[0]);
    assert_eq!(selected(&solo), (remote(1), true));
    // A host pair turns up.
    solo.run_for(secs(1));
    solo.agent
        .add_remote_candidate(solo.now, remote_of(CandidateType::Host, 0))
        .unwrap();
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let nominating = solo.take_requests();
    assert_eq!(
        (
            nominating[0].path.remote,
            nominating[0].message().nomination()
        ),
        (remote(0), Some(2))
    );
    let _ = solo.answer(&nominating[0]);
    assert_eq!(selected(&solo), (remote(0), true));
    assert_eq!(
        solo.agent
            .candidate_pairs()
            .filter(|p| p.pair.nominated)
            .count(),
        1,
        "the old one is un-nominated"
    );
    assert!(
        solo.transitions()
            .iter()
            .all(|t| t.to != State::Disconnected)
    );
}

// req: I10
#[test]
fn regular_nomination_stays_with_its_pair() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[]);
    solo.agent
        .add_remote_candidate(solo.now, remote_of(CandidateType::Relayed, 1))
        .unwrap();
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let nominating = solo.take_requests();
    let message = nominating[0].message();
    assert_eq!(
        (message.use_candidate(), message.nomination()),
        (true, None)
    );
    let _ = solo.answer(&nominating[0]);
    solo.agent
        .add_remote_candidate(solo.now, remote_of(CandidateType::Host, 0))
        .unwrap();
    solo.run_for(secs(1));
    let checks = solo.take_requests();
    let better = checks
        .iter()
        .find(|check| check.path.remote == remote(0))
        .unwrap();
    let _ = solo.answer(better);
    assert!(solo.take_requests().is_empty());
    assert_eq!(selected(&solo), (remote(1), true));
}

// req: I10
#[test]
fn the_application_may_nominate() {
    let mut solo = Solo::checking(
        Initiation::Initiating,
        config(ByApplication::default()),
        &[remote(0), remote(1)],
    );
    solo.run_for(ms(60));
    let id = |solo: &Solo, n: u16| -> PairId {
        solo.agent
            .candidate_pairs()
            .find(|p| p.pair.path.remote == remote(n))
            .unwrap()
            .pair
            .id
    };
    let second = id(&solo, 1);
    assert_eq!(
        solo.agent.nominate(solo.now, second),
        Err(ApiMisuse::PairNotSucceeded)
    );
    for check in solo.take_requests() {
        let _ = solo.answer(&check);
    }
    assert!(
        solo.take_requests().is_empty(),
        "it waits for its application"
    );
    assert_eq!(
        selected(&solo),
        (remote(0), false),
        "and uses the best pair meanwhile"
    );
    solo.agent.nominate(solo.now, second).unwrap();
    let nominating = solo.take_requests();
    let _ = solo.answer(&nominating[0]);
    assert_eq!(selected(&solo), (remote(1), true));
    let mut controlled = controlled_with_pairs(1);
    let pair = id(&controlled, 0);
    assert_eq!(
        controlled.agent.nominate(controlled.now, pair),
        Err(ApiMisuse::NotControlling)
    );
}

// req: I10
#[test]
fn a_nomination_that_fails_is_followed_by_another() {
    let mut solo = Solo::checking(
        Initiation::Initiating,
        Config::default(),
        &[remote(0), remote(1)],
    );
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let nominating = solo.take_requests();
    let _ = solo.answer(&checks[1]);
    let refusal = solo.error_to(&nominating[0], ErrorCode::BAD_REQUEST);
    let _ = solo.receive(remote(0), &refusal);
    let next = solo.take_requests();
    assert_eq!(next[0].path.remote, remote(1));
    assert!(next[0].message().use_candidate());
    let _ = solo.answer(&next[0]);
    assert_eq!(selected(&solo), (remote(1), true));
}

// req: I10 I20
#[test]
fn consent_checks_help_a_nomination_whose_own_datagrams_are_lost() {
    let mut solo = Solo::checking(
        Initiation::Initiating,
        config(Continuous::default()),
        &[remote(0)],
    );
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    solo.run_for(ms(7000));
    let sent = solo.take_requests();
    assert_eq!(selected(&solo), (remote(0), false), "nothing was answered");
    let nominating = sent[0].id();
    let helping = sent.iter().rev().find(|check| check.id() != nominating);
    let helping = helping.expect("a consent check left meanwhile");
    assert!(helping.message().use_candidate());
    assert_eq!(
        helping.message().nomination(),
        sent[0].message().nomination()
    );
    let _ = solo.answer(helping);
    assert_eq!(selected(&solo), (remote(0), true));
    solo.run_for(secs(20));
    assert!(
        solo.take_requests().iter().all(|c| c.id() != nominating),
        "the nomination is over"
    );
}

// req: I10 I14
#[test]
fn a_change_of_the_selected_pair_is_reported_before_the_state() {
    let mut solo = controlled_with_pairs(1);
    nominate(&mut solo, 0, None);
    let position = |wanted: &dyn Fn(&Event) -> bool| solo.events.iter().position(wanted).unwrap();
    let change = position(&|event| matches!(event, Event::SelectedCandidatePairChange(_)));
    let connected =
        position(&|event| matches!(event, Event::StateChange(t) if t.to == State::Connected));
    assert!(change < connected);
    let nominated = position(
        &|event| matches!(event, Event::SelectedCandidatePairChange(pair) if pair.nominated),
    );
    assert!(nominated > connected, "nomination is a change of its own");
    assert_eq!(
        solo.agent.candidate_pairs().next().unwrap().state,
        PairState::Succeeded
    );
    assert_eq!(solo.agent.send_path().unwrap().local, local());
}

// req: I10
#[test]
fn a_nomination_keeps_its_number_when_consent_checks_repeat_it_without() {
    let mut solo = controlled_with_pairs(2);
    solo.run_for(secs(1));
    nominate(&mut solo, 0, Some(1));
    solo.run_for(secs(1));
    nominate(&mut solo, 1, Some(2));
    nominate(&mut solo, 1, None);
    assert_eq!(selected(&solo), (remote(1), true));
    // Late, or replayed.
    nominate(&mut solo, 0, Some(1));
    solo.run_for(secs(1));
    assert_eq!(selected(&solo), (remote(1), true));
}

// req: I10
#[test]
fn a_smaller_number_that_overtakes_a_switch_does_not_undo_it_for_good() {
    let mut solo = about_to_switch();
    nominate(&mut solo, 0, Some(1));
    solo.run_for(secs(1));
    assert_eq!(selected(&solo), (remote(1), true));
}

/// A controlled agent with three pairs of a round trip of 400 ms, the best of which is in use and was nominated first.
fn just_switched() -> Solo {
    let remotes = [remote(0), remote(1), remote(2)];
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes);
    solo.run_for(ms(110));
    let checks = solo.take_requests();
    assert_eq!(checks.len(), 3);
    solo.run_for(ms(290));
    for check in &checks {
        let _ = solo.answer(check);
    }
    nominate(&mut solo, 0, Some(1));
    solo
}

// req: I10
#[test]
fn what_comes_while_a_switch_waits_has_to_be_greater_than_what_it_follows() {
    let late = [
        (2, Some(2)),
        (0, Some(1)),
        (0, None),
        (1, None),
        (1, Some(3)),
    ];
    for (n, value) in late {
        let mut solo = just_switched();
        solo.run_for(ms(100));
        nominate(&mut solo, 1, Some(3));
        assert_eq!(selected(&solo), (remote(0), true), "not yet");
        nominate(&mut solo, n, value);
        solo.run_for(secs(1));
        assert_eq!(selected(&solo), (remote(1), true), "{n} {value:?}");
    }
    let mut solo = just_switched();
    for (n, value) in [(1, 3), (2, 4)] {
        nominate(&mut solo, n, Some(value));
    }
    solo.run_for(secs(1));
    assert_eq!(selected(&solo), (remote(2), true));
}

// req: I10 I20
#[test]
fn a_switch_that_waits_is_void_when_its_pair_fails_meanwhile() {
    let remotes: Vec<_> = (0..3).map(remote).collect();
    let policy = config(ByApplication::default());
    let mut solo = Solo::checking(Initiation::Responding, policy, &remotes);
    // Answers every check but those to `silent`, which it gives back, after 100 ms.
    let round = |solo: &mut Solo, silent: Option<u16>| {
        solo.run_for(ms(1));
        let checks = solo.take_requests();
        solo.run_for(ms(100));
        let held = |check: &Sent| Some(check.path.remote) == silent.map(remote);
        let (held, answered): (Vec<_>, Vec<_>) = checks.into_iter().partition(held);
        for check in answered {
            let _ = solo.answer(&check);
        }
        held
    };
    (0..5).for_each(|_| drop(round(&mut solo, None)));
    nominate(&mut solo, 0, Some(1));
    let backup = (0..400).find_map(|_| round(&mut solo, Some(2)).pop());
    let backup = backup.expect("a pair that is kept is checked");
    nominate(&mut solo, 1, Some(2));
    assert_eq!(selected(&solo), (remote(1), true));
    nominate(&mut solo, 2, Some(3));
    assert_eq!(
        selected(&solo),
        (remote(1), true),
        "not within a round trip"
    );
    let forbidden = solo.error_to(&backup, ErrorCode::FORBIDDEN);
    let _ = solo.receive(remote(2), &forbidden);
    (0..5).for_each(|_| drop(round(&mut solo, None)));
    assert_eq!(
        selected(&solo),
        (remote(1), true),
        "consent was taken back there"
    );
}

// req: I10
#[test]
fn nomination_alone_nominates_too() {
    let mut solo = controlled_with_pairs(2);
    nominate(&mut solo, 0, Some(1));
    solo.run_for(secs(1));
    // What carries NOMINATION need not carry USE-CANDIDATE besides.
    let mut request = solo.check().nominating();
    (request.use_candidate, request.nomination) = (false, Some(2));
    let _ = solo.receive(remote(1), &request.bytes());
    assert_eq!(selected(&solo), (remote(1), true));
}

// req: I10
#[test]
fn before_a_round_trip_is_known_it_switches_at_most_once_in_an_rto() {
    let remotes = [remote(0), remote(1)];
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes);
    // Each was sent twice, so that its answer does not say how long it took.
    solo.run_for(ms(600));
    let checks = solo.take_requests();
    for check in &checks[2..] {
        let _ = solo.answer(check);
    }
    nominate(&mut solo, 0, Some(1));
    assert_eq!(solo.agent.selected_candidate_pair().unwrap().rtt, None);
    solo.run_for(ms(100));
    nominate(&mut solo, 1, Some(2));
    solo.run_for(ms(399));
    assert_eq!(selected(&solo), (remote(0), true), "not yet");
    solo.run_for(ms(1));
    assert_eq!(selected(&solo), (remote(1), true), "now");
}

// req: I10 I24
#[test]
fn a_switch_that_waits_for_its_rto_keeps_to_a_new_one() {
    let remotes = [remote(0), remote(1)];
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes);
    solo.run_for(ms(600));
    for check in &solo.take_requests()[2..] {
        let _ = solo.answer(check);
    }
    nominate(&mut solo, 0, Some(1));
    solo.run_for(ms(100));
    nominate(&mut solo, 1, Some(2));
    let mut timing = Timing::default();
    timing.rto = ms(250);
    solo.agent.set_timing(solo.now, timing);
    solo.run_for(ms(149));
    assert_eq!(selected(&solo), (remote(0), true), "not yet");
    solo.run_for(ms(1));
    assert_eq!(selected(&solo), (remote(1), true), "now");
}

// req: I10
#[test]
fn a_wish_for_the_pair_in_use_costs_no_more_with_a_number_than_without() {
    let mut solo = controlled_with_pairs(2);
    solo.run_for(secs(1));
    nominate(&mut solo, 0, Some(1));
    assert_eq!(solo.agent.moved(), Moved::Anything, "the first");
    for value in [Some(1), Some(1), None, Some(2), Some(1)] {
        solo.run_for(ms(100));
        nominate(&mut solo, 0, value);
        assert_eq!(solo.agent.moved(), Moved::Nothing, "{value:?}");
    }
    // What it said is remembered nevertheless.
    nominate(&mut solo, 1, Some(2));
    assert_eq!(selected(&solo), (remote(0), true));
    nominate(&mut solo, 1, Some(3));
    assert_eq!(selected(&solo), (remote(1), true));
}

// req: I10
#[test]
fn a_wish_for_the_pair_in_use_is_nothing_to_wait_for() {
    let remotes = [remote(0)];
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes);
    solo.run_for(ms(300));
    let check = solo.take_requests().pop().unwrap();
    let _ = solo.answer(&check);
    nominate(&mut solo, 0, Some(1));
    let next = solo.agent.poll_timeout();
    nominate(&mut solo, 0, Some(2));
    assert_eq!(solo.agent.poll_timeout(), next);
    assert_eq!(selected(&solo), (remote(0), true));
}

// req: I9 I10
#[test]
fn a_switch_that_waits_is_void_when_the_role_turns_around() {
    let mut solo = about_to_switch();
    let mut conflict = solo.check();
    conflict.role = Some(floe_stun::RoleAttribute::Controlled(0));
    let _ = solo.receive(remote(0), &conflict.bytes());
    assert_eq!(solo.agent.role(), Some(floe_ice::Role::Controlling));
    solo.run_for(secs(1));
    assert_eq!(selected(&solo), (remote(0), true), "it decides itself now");
}

// req: I9 I10
#[test]
fn a_request_that_turns_the_role_around_nominates_too() {
    let mut solo = just_switched();
    let mut conflict = solo.check();
    conflict.role = Some(floe_stun::RoleAttribute::Controlled(0));
    let _ = solo.receive(remote(0), &conflict.bytes());
    assert_eq!(solo.agent.role(), Some(floe_ice::Role::Controlling));
    let mut wish = solo.check().nominating();
    wish.role = Some(floe_stun::RoleAttribute::Controlling(u64::MAX));
    wish.nomination = Some(2);
    let _ = solo.receive(remote(1), &wish.bytes());
    assert_eq!(solo.agent.role(), Some(floe_ice::Role::Controlled));
    assert_eq!(selected(&solo), (remote(0), true), "not yet");
    solo.run_for(secs(1));
    assert_eq!(selected(&solo), (remote(1), true));
}

// req: I10
#[test]
fn a_switch_waits_no_longer_than_there_is_a_pair_to_switch_from() {
    let mut solo = just_switched();
    nominate(&mut solo, 2, Some(2));
    assert_eq!(selected(&solo), (remote(0), true), "not yet");
    let left = solo.agent.selected_candidate_pair().unwrap().id;
    solo.agent.veto(solo.now, left).unwrap();
    assert_eq!(
        selected(&solo),
        (remote(2), true),
        "not the best, but the wish"
    );
}

// req: I10
#[test]
fn a_switch_that_waits_is_called_off_when_the_peer_stays() {
    let mut timing = Timing::default();
    timing.rto = secs(3);
    let config = Config::with_timing(timing);
    let mut solo = Solo::checking(Initiation::Responding, config, &[remote(0), remote(1)]);
    solo.run_for(secs(2));
    for check in solo.take_requests() {
        let _ = solo.answer(&check);
    }
    let nominate = |solo: &mut Solo, n| {
        let request = solo.check().nominating().bytes();
        let _ = solo.receive(remote(n), &request);
        solo.run_for(ms(600));
        solo.agent.send_path().unwrap().remote
    };
    assert_eq!(nominate(&mut solo, 1), remote(1));
    assert_eq!(nominate(&mut solo, 0), remote(1), "not within a round trip");
    assert_eq!(nominate(&mut solo, 1), remote(1));
    solo.run_for(secs(3));
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(1));
}

// req: I10 I20 S5
#[test]
fn an_answer_that_is_not_understood_nominates_nothing() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    // The nomination goes unanswered; the consent checks, which repeat it, do not.
    let nomination = solo.take_requests().remove(0);
    assert!(nomination.message().use_candidate());
    solo.run_for(secs(7));
    let sent = solo.take_requests().into_iter();
    let mut consent = sent.filter(|sent| sent.id() != nomination.id());
    let (first, second) = (consent.next().unwrap(), consent.next().unwrap());
    let key = IntegrityKey::short_term(solo.peer.password().as_bytes());
    let mut buf = [0; 200];
    let len = Writer::success(&mut buf, Method::BINDING, first.id())
        .xor_mapped_address(local())
        .attribute(AttributeType::new(0x7ff0), &[])
        .integrity(&key)
        .fingerprint()
        .unwrap();
    assert_eq!(solo.receive(remote(0), &buf[..len]), Received::Handled);
    let nominated = |solo: &Solo| solo.agent.selected_candidate_pair().unwrap().nominated;
    assert!(!nominated(&solo), "who knows what it says");
    assert_eq!(solo.agent.consent_age(solo.now), Some(Duration::ZERO));
    assert_eq!(solo.answer(&second), Received::Handled);
    assert!(nominated(&solo));
}

// req: I10 I20
#[test]
fn a_consent_check_that_left_before_the_nomination_says_nothing_about_it() {
    let policy = config(ByApplication::default());
    let mut solo = Solo::checking(Initiation::Initiating, policy, &[remote(0)]);
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    while solo.sent.is_empty() {
        solo.run_for(ms(10));
    }
    let consent = solo.take_requests().remove(0);
    assert!(!consent.message().use_candidate());
    let pair = solo.agent.selected_candidate_pair().unwrap();
    solo.agent.nominate(solo.now, pair.id).unwrap();
    let nomination = solo.take_requests().remove(0);
    assert!(nomination.message().use_candidate());
    let nominated = |solo: &Solo| solo.agent.selected_candidate_pair().unwrap().nominated;
    assert_eq!(solo.answer(&consent), Received::Handled);
    assert!(!nominated(&solo), "the peer has not heard of it");
    assert_eq!(solo.answer(&nomination), Received::Handled);
    assert!(nominated(&solo));
}

// req: I10
#[test]
fn a_wish_that_counts_only_now_does_not_undo_a_later_one() {
    // Within the window whoever nominates so nominates everything: there the better pair is taken.
    for (between, expected) in [(800, 1), (450, 0)] {
        let mut solo = Solo::checking(
            Initiation::Responding,
            Config::default(),
            &[remote(0), remote(1)],
        );
        solo.run_for(ms(60));
        let other = solo.take_requests().remove(1);
        assert_eq!(other.path.remote, remote(1));
        let _ = solo.answer(&other);
        let wish = solo.check().nominating().bytes();
        let _ = solo.receive(remote(0), &wish);
        solo.run_for(ms(between));
        let wish = solo.check().nominating().bytes();
        let _ = solo.receive(remote(1), &wish);
        let selected = |solo: &Solo| solo.agent.selected_candidate_pair().unwrap();
        assert_eq!(selected(&solo).path.remote, remote(1));
        // Only now the better pair works from here.
        solo.run_for(ms(1000));
        let late = solo.take_requests().pop().unwrap();
        assert_eq!(late.path.remote, remote(0));
        let _ = solo.answer(&late);
        solo.run_for(ms(1000));
        assert!(selected(&solo).nominated);
        assert_eq!(selected(&solo).path.remote, remote(expected), "{between}");
    }
}
