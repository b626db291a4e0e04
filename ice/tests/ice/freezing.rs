//! Foundations and freezing (RFC 8445 §6.1.2.6, §6.1.4.2, §7.2.5.3.3).

use floe_ice::{Candidate, Config, Freezing, Initiation, Mode, PairState};

use crate::support::solo::{Solo, first_transmissions, local, remote};
use crate::support::{ms, secs};

// req: I4
#[test]
fn frozen_pairs_wait_for_one_of_their_foundation() {
    let mut config = Config::default();
    config.freezing = Freezing::On;
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, config);
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    solo.meet();
    let foundation =
        |n: u16| floe_ice::Foundation::new(if n < 3 { "same" } else { "other" }).unwrap();
    for n in 0..4 {
        let candidate = Candidate::host(remote(n)).with_foundation(foundation(n));
        solo.agent
            .add_remote_candidate(solo.now, candidate)
            .unwrap();
    }
    let states = |solo: &Solo| {
        solo.agent
            .candidate_pairs()
            .map(|p| p.state)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        states(&solo),
        [
            PairState::InProgress,
            PairState::Frozen,
            PairState::Frozen,
            PairState::Waiting
        ]
    );
    solo.run_for(ms(300));
    assert_eq!(
        first_transmissions(&mut solo).len(),
        2,
        "one of each foundation"
    );
    // Without an answer the next of the foundation gets its turn when the first has failed.
    solo.run_for(secs(40));
    assert!(
        states(&solo)
            .iter()
            .filter(|state| **state == PairState::Frozen)
            .count()
            < 2
    );
}

/// An agent with its own candidate and so many of the peer's, which have one foundation.
fn of_one_foundation(initiation: Initiation, config: Config, count: u16) -> Solo {
    let mut solo = Solo::checking(initiation, config, &[]);
    (0..count).for_each(|n| add_of_one_foundation(&mut solo, n));
    solo
}

fn add_of_one_foundation(solo: &mut Solo, n: u16) {
    let same = floe_ice::Foundation::new("same").unwrap();
    let candidate = Candidate::host(remote(n)).with_foundation(same);
    solo.agent
        .add_remote_candidate(solo.now, candidate)
        .unwrap();
}

// req: I4
#[test]
fn a_success_releases_its_foundation() {
    let mut config = Config::default();
    config.freezing = Freezing::On;
    config.nomination = std::sync::Arc::new(floe_ice::nomination::ByApplication::default());
    let mut solo = of_one_foundation(Initiation::Initiating, config, 3);
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let states: Vec<PairState> = solo.agent.candidate_pairs().map(|p| p.state).collect();
    assert_eq!(
        states,
        [PairState::Succeeded, PairState::Waiting, PairState::Waiting]
    );
}

// req: I4
#[test]
fn without_freezing_one_foundation_holds_nothing_back() {
    for (freezing, frozen) in [(Freezing::Off, 0), (Freezing::On, 3)] {
        let mut config = Config::default();
        config.freezing = freezing;
        let mut solo = of_one_foundation(Initiation::Initiating, config, 4);
        let count = solo
            .agent
            .candidate_pairs()
            .filter(|p| p.state == PairState::Frozen)
            .count();
        assert_eq!(count, frozen, "{freezing:?}");
        solo.run_for(ms(300));
        let checked = first_transmissions(&mut solo).len();
        assert_eq!(checked, 4 - frozen);
    }
}

// req: I4
#[test]
fn a_foundation_that_has_succeeded_freezes_nothing_that_comes_later() {
    let mut config = Config::default();
    config.freezing = Freezing::On;
    config.nomination = std::sync::Arc::new(floe_ice::nomination::ByApplication::default());
    let mut solo = of_one_foundation(Initiation::Initiating, config, 0);
    add_of_one_foundation(&mut solo, 0);
    let check = solo.take_requests().pop().unwrap();
    let _ = solo.answer(&check);
    add_of_one_foundation(&mut solo, 1);
    // The second is under way or waiting by now; the third does not wait for it.
    add_of_one_foundation(&mut solo, 2);
    let states: Vec<_> = solo.agent.candidate_pairs().map(|p| p.state).collect();
    assert_eq!(
        states,
        [PairState::Succeeded, PairState::Waiting, PairState::Waiting]
    );
}

// req: I4
#[test]
fn a_request_releases_its_pair_though_it_is_frozen() {
    let mut config = Config::default();
    config.freezing = Freezing::On;
    let mut solo = of_one_foundation(Initiation::Responding, config, 3);
    solo.take();
    let request = solo.check().bytes();
    let _ = solo.receive(remote(2), &request);
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    assert_eq!(checks.len(), 1);
    assert_eq!(checks[0].path.remote, remote(2));
}

// req: I4
#[test]
fn a_frozen_pair_waits_for_its_own_foundation_whichever_other_is_idle() {
    let mut config = Config::default();
    config.freezing = Freezing::On;
    let mut solo = Solo::checking(Initiation::Initiating, config, &[]);
    for n in 0..4 {
        let foundation = floe_ice::Foundation::new(if n < 2 { "busy" } else { "idle" }).unwrap();
        let candidate = Candidate::host(remote(n))
            .with_local_preference(60_000 - n)
            .with_foundation(foundation);
        let _ = solo.agent.add_remote_candidate(solo.now, candidate);
    }
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    let refused = checks.last().unwrap();
    assert_eq!(refused.path.remote, remote(2));
    let refusal = solo.error_to(refused, floe_stun::ErrorCode::BAD_REQUEST);
    let _ = solo.receive(remote(2), &refusal);
    solo.run_for(ms(200));
    let next = first_transmissions(&mut solo);
    // The second is the better one, but the first of its foundation is still being asked.
    assert_eq!(next, [(ms(100), remote(3))]);
}
