//! Which of three generations gives way when a restart follows a restart (I15, I16), and what is left when all have failed.

use floe_ice::{Candidate, Config, Event, Initiation, Mode, Parameters, RemoteParameters, State};
use floe_stun::ErrorCode;

use crate::support::solo::{Sent, Solo, in_a_call, remote};
use crate::support::{ms, secs};

/// A restart that the peer has answered, with one candidate.
fn restart(solo: &mut Solo, n: u16) {
    let fragment = format!("peer{n}");
    let password = format!("the-password-of-the-peer-{n}");
    solo.peer = Parameters::new(&fragment, &password).unwrap();
    let peer = RemoteParameters::new(solo.peer.clone());
    solo.agent.restart(solo.now, None, Some(peer)).unwrap();
    let candidate = Candidate::host(remote(n));
    solo.agent
        .add_remote_candidate(solo.now, candidate)
        .unwrap();
}

fn answer_on(solo: &mut Solo, n: u16) {
    let sent = solo.take_requests().into_iter();
    let checks: Vec<Sent> = sent.filter(|s| s.path.remote == remote(n)).collect();
    for check in checks {
        let _ = solo.answer(&check);
    }
}

fn name(solo: &Solo) -> String {
    let own = solo.agent.local_parameters();
    own.username_fragment().to_owned()
}

// req: I15 I16
#[test]
fn of_two_generations_the_one_that_carries_outlives_a_restart_or_else_what_was_agreed_on_last() {
    // Whether the second was confirmed, which of the two have a path, and which goes on.
    let table = [
        (false, [true, true], 0),
        (false, [true, false], 0),
        (false, [false, true], 1),
        (false, [false, false], 0),
        (true, [true, true], 1),
        (true, [true, false], 0),
        (true, [false, true], 1),
        (true, [false, false], 1),
    ];
    for (confirmed, has_path, survivor) in table {
        let mut solo = in_a_call();
        let mut names = vec![name(&solo)];
        restart(&mut solo, 1);
        names.push(name(&solo));
        solo.run_for(ms(60));
        if confirmed || has_path[1] {
            answer_on(&mut solo, 1);
        }
        if confirmed {
            let nomination = solo.check().nominating().bytes();
            let _ = solo.receive(remote(1), &nomination);
        }
        let was_confirmed = solo.events.contains(&Event::RestartConfirmed);
        assert_eq!(was_confirmed, confirmed);
        for (n, has_path) in (0..).zip(has_path) {
            if !has_path && (n == 0 || confirmed) {
                let _ = solo.agent.remove_remote_candidate(solo.now, remote(n));
            }
        }
        restart(&mut solo, 2);
        let live: Vec<&str> = solo.agent.local_username_fragments().collect();
        let expected = [name(&solo), names[survivor].clone()];
        assert_eq!(live, expected, "{confirmed} {has_path:?}");
    }
}

// req: I15 I16
#[test]
fn a_generation_whose_peer_was_never_known_leaves_nothing() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    let first = name(&solo);
    solo.agent.restart(solo.now, None, None).unwrap();
    assert_eq!(solo.agent.local_username_fragments().count(), 1);
    assert_ne!(name(&solo), first);
    assert!(solo.agent.rollback_restart(solo.now).is_err());
}

// req: I14 I15
#[test]
fn where_both_generations_have_failed_neither_is_revived() {
    let mut solo = in_a_call();
    let mut late = solo.check().nominating();
    restart(&mut solo, 1);
    solo.agent.local_candidates_complete(solo.now);
    solo.agent.remote_candidates_complete(solo.now);
    let _ = solo.agent.remove_remote_candidate(solo.now, remote(0));
    solo.run_for(secs(120));
    assert_eq!(solo.agent.state(), State::Failed);
    for _ in 0..3 {
        solo.take();
        late.id += 100;
        let _ = solo.receive(remote(0), &late.bytes());
        solo.run_for(secs(2));
        let sent = solo.take();
        assert_eq!(sent.len(), 1, "an answer and no check");
        assert_eq!(sent[0].message().error_code(), Some(ErrorCode::FORBIDDEN));
    }
    assert_eq!(solo.agent.state(), State::Failed);
}

// req: I14 I15
#[test]
fn while_the_old_path_is_in_doubt_the_state_says_whether_the_new_one_is_too() {
    for (new_one_answers, expected) in [(true, State::Checking), (false, State::Disconnected)] {
        let mut solo = in_a_call();
        restart(&mut solo, 1);
        solo.run_for(ms(60));
        answer_on(&mut solo, 1);
        for _ in 0..300 {
            solo.run_for(ms(50));
            if new_one_answers {
                answer_on(&mut solo, 1);
            }
        }
        assert_eq!(solo.agent.state(), expected);
        assert!(solo.agent.is_restarting());
    }
}
