//! Pairs that fall silent: which other takes over, what is checked anew, and what of the old one is left.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use floe_ice::nomination::{ByApplication, Continuous, Policy};
use floe_ice::{Candidate, Config, Initiation, PairState, Received, Removal};
use floe_stun::{Class, ErrorCode};

use crate::support::solo::{Solo, remote, remotes};
use crate::support::{ms, secs};

fn config(policy: impl Policy + 'static) -> Config {
    let mut config = Config::default();
    config.nomination = Arc::new(policy);
    config
}

/// An agent that controls, and leaves it to its application what to use; all of its pairs have succeeded.
fn choosing(count: u16) -> Solo {
    let policy = config(ByApplication::default());
    let mut solo = Solo::checking(Initiation::Initiating, policy, &remotes(count));
    solo.run_for(ms(50) * u32::from(count));
    answer_all_but(&mut solo, &[]);
    solo
}

/// Answers what was sent, but for what went to `dead`.
fn answer_all_but(solo: &mut Solo, dead: &[u16]) {
    for check in solo.take_requests() {
        if !dead.iter().any(|n| check.path.remote == remote(*n)) {
            let _ = solo.answer(&check);
        }
    }
}

fn live(solo: &mut Solo, time: Duration, dead: &[u16]) {
    let end = solo.now + time;
    while solo.now < end {
        solo.run_for(ms(50));
        answer_all_but(solo, dead);
    }
}

fn selected(solo: &Solo) -> Option<(SocketAddr, bool)> {
    let pair = solo.agent.selected_candidate_pair()?;
    Some((pair.path.remote, pair.nominated))
}

fn state_of(solo: &Solo, n: u16) -> Option<PairState> {
    let mut pairs = solo.agent.candidate_pairs();
    let pair = pairs.find(|pair| pair.pair.path.remote == remote(n))?;
    Some(pair.state)
}

// req: I20 I23
#[test]
fn what_answered_too_long_ago_takes_over_only_once_it_answers_again() {
    let mut solo = choosing(2);
    // The backup's last answer is 40 s old, and the check that it leaves unanswered is still under way.
    live(&mut solo, secs(40), &[1]);
    assert_eq!(selected(&solo), Some((remote(0), false)));
    assert_eq!(state_of(&solo, 1), Some(PairState::Succeeded));
    let _ = solo.agent.remove_remote_candidate(solo.now, remote(0));
    assert_eq!((selected(&solo), solo.agent.send_path()), (None, None));
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    assert!(checks.iter().all(|check| check.path.remote == remote(1)));
    let check = checks.last().expect("it is checked at once");
    assert_eq!(solo.answer(check), Received::Handled);
    assert_eq!(selected(&solo), Some((remote(1), false)));
}

// req: I10 I23
#[test]
fn of_several_that_work_the_best_takes_over() {
    let mut solo = choosing(4);
    live(&mut solo, secs(1), &[]);
    for n in 0..3 {
        assert_eq!(selected(&solo), Some((remote(n), false)));
        let _ = solo.agent.remove_remote_candidate(solo.now, remote(n));
    }
    assert_eq!(selected(&solo), Some((remote(3), false)), "at once");
}

// req: I10 I23
#[test]
fn a_nomination_of_a_pair_that_fell_silent_does_not_hold_up_that_of_a_better_one() {
    let mut solo = Solo::checking(
        Initiation::Initiating,
        config(Continuous::default()),
        &remotes(2),
    );
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    assert_eq!(solo.answer(&checks[1]), Received::Handled);
    assert_eq!(selected(&solo), Some((remote(1), false)));
    // Its nomination goes unanswered, and so does the first of its consent checks.
    solo.run_for(secs(7));
    let unanswered = solo.take_requests();
    assert!(unanswered.iter().any(|sent| sent.message().use_candidate()));
    assert_eq!(solo.answer(&checks[0]), Received::Handled);
    assert_eq!(selected(&solo), Some((remote(0), false)));
    let nominating = |solo: &mut Solo| {
        let sent = solo.take_requests().into_iter();
        sent.filter(|sent| sent.message().use_candidate())
            .collect::<Vec<_>>()
    };
    let nomination = nominating(&mut solo);
    let [nomination] = &nomination[..] else {
        panic!("one nomination at once, and not {}", nomination.len());
    };
    assert_eq!(nomination.path.remote, remote(0));
    assert_eq!(solo.answer(nomination), Received::Handled);
    assert_eq!(selected(&solo), Some((remote(0), true)));
    // What the silent pair was asked is no answer to anything any more.
    let late = unanswered.iter().find(|s| s.message().use_candidate());
    let _ = solo.answer(late.unwrap());
    live(&mut solo, secs(20), &[1]);
    assert_eq!(selected(&solo), Some((remote(0), true)));
}

// req: I23
#[test]
fn a_provisional_pair_that_fell_silent_is_forgotten_for_a_better_one() {
    for silent in [true, false] {
        let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(2));
        solo.run_for(ms(60));
        let checks = solo.take_requests();
        let _ = solo.answer(&checks[1]);
        match silent {
            true => solo.run_for(secs(7)),
            // The better pair's own check goes on being repeated.
            false => live(&mut solo, secs(7), &[0]),
        }
        let _ = solo.take_requests();
        let _ = solo.answer(&checks[0]);
        assert_eq!(selected(&solo), Some((remote(0), false)));
        let expected = (!silent).then_some(PairState::Succeeded);
        assert_eq!(state_of(&solo, 1), expected, "silent: {silent}");
    }
}

// req: I23
#[test]
fn the_check_of_what_is_to_take_over_has_all_of_its_time() {
    let mut solo = choosing(2);
    live(&mut solo, secs(40), &[1]);
    let _ = solo.agent.remove_remote_candidate(solo.now, remote(0));
    solo.run_for(secs(38));
    // The check of the backup, which was under way, would have ended long ago.
    assert_eq!(state_of(&solo, 1), Some(PairState::InProgress));
    let check = solo.take_requests().pop().unwrap();
    assert_eq!(solo.answer(&check), Received::Handled);
    assert_eq!(selected(&solo), Some((remote(1), false)));
}

// req: I5 I23
#[test]
fn two_backups_that_are_due_at_once_are_checked_one_ta_apart() {
    let mut solo = choosing(3);
    // Both answered at 150 ms, and nothing else happens when their time has come.
    live(&mut solo, ms(24_950), &[]);
    solo.run_for(ms(200));
    let sent = solo.take_requests().into_iter();
    let backups = sent.filter(|sent| sent.path.remote != remote(0));
    let times: Vec<_> = backups.map(|sent| (sent.at, sent.path.remote)).collect();
    assert_eq!(times, [(ms(25_150), remote(1)), (ms(25_200), remote(2))]);
}

// req: I10 I23
#[test]
fn a_pair_that_the_application_vetoed_is_no_backup() {
    let mut solo = choosing(2);
    let second = solo.agent.candidate_pairs().last().unwrap().pair;
    assert_eq!(second.path.remote, remote(1));
    solo.agent.veto(solo.now, second.id).unwrap();
    for _ in 0..1200 {
        solo.run_for(ms(100));
        let sent = solo.take_requests();
        assert!(sent.iter().all(|sent| sent.path.remote == remote(0)));
        for check in sent {
            let _ = solo.answer(&check);
        }
    }
    assert_eq!(state_of(&solo, 1), Some(PairState::Succeeded));
}

// req: I13 I20
#[test]
fn only_the_end_of_consent_closes_a_path_for_good() {
    type Step = fn(&mut Solo);
    let nothing: Step = |_| {};
    let lose: [(Step, Step); 3] = [
        // Its candidate is removed, and comes again.
        (
            |solo| {
                let removal = solo.agent.remove_remote_candidate(solo.now, remote(0));
                assert_eq!(removal, Removal::SelectedPairLost);
            },
            |solo| {
                let again = Candidate::host(remote(0));
                solo.agent.add_remote_candidate(solo.now, again).unwrap();
            },
        ),
        // Its nomination is refused, and the peer asks there once more.
        (
            |solo| {
                let pair = solo.agent.selected_candidate_pair().unwrap();
                solo.agent.nominate(solo.now, pair.id).unwrap();
                let nomination = solo.take_requests().pop().unwrap();
                let refusal = solo.error_to(&nomination, ErrorCode::BAD_REQUEST);
                let _ = solo.receive(remote(0), &refusal);
            },
            nothing,
        ),
        // The application forbids it.
        (
            |solo| {
                let pair = solo.agent.selected_candidate_pair().unwrap();
                solo.agent.veto(solo.now, pair.id).unwrap();
            },
            nothing,
        ),
    ];
    for (case, (lose, again)) in lose.into_iter().enumerate() {
        let mut solo = choosing(1);
        lose(&mut solo);
        assert_eq!(solo.agent.send_path(), None, "{case}");
        again(&mut solo);
        solo.take();
        let request = solo.check().bytes();
        let _ = solo.receive(remote(0), &request);
        solo.run_for(ms(60));
        let mut sent = solo.take();
        let class = sent.remove(0).message().class();
        assert_eq!(class, Class::SuccessResponse, "{case}");
        for check in sent {
            let _ = solo.answer(&check);
        }
        let pair = solo.agent.candidate_pairs().next().unwrap().pair;
        solo.agent.release(solo.now, pair.id).unwrap();
        live(&mut solo, secs(1), &[]);
        let works = solo.agent.candidate_pairs().next().unwrap();
        assert_eq!(works.state, PairState::Succeeded, "{case}");
        let _ = solo.agent.nominate(solo.now, works.pair.id);
        live(&mut solo, secs(1), &[]);
        assert_eq!(selected(&solo), Some((remote(0), true)), "{case}");
    }
}
