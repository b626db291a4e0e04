//! Trickle ICE (RFC 8838), in every order, and gathering states.

use floe_ice::{
    ApiMisuse, Candidate, Config, Event, GatheringState, Initiation, Mode, Parameters,
    RemoteParameters, State, Trickle,
};

use crate::support::solo::{Solo, controlled_with_pairs, local, remote};
use crate::support::{both_in_use, connected, ms, secs, two};

// req: I12 R38 R39 R78
#[test]
fn candidates_trickle_and_completed_waits_for_both_ends() {
    let mut story = two(2);
    let now = story.now();
    let (of_a, of_b) = (story.a.candidates(), story.b.candidates());
    let (parameters_a, parameters_b) = (story.a.remote_parameters(), story.b.remote_parameters());
    story
        .a
        .agent
        .add_local_candidate(now, of_a[0].clone())
        .unwrap();
    story
        .b
        .agent
        .add_local_candidate(now, of_b[0].clone())
        .unwrap();
    story
        .a
        .agent
        .set_remote_parameters(now, parameters_b)
        .unwrap();
    story
        .b
        .agent
        .set_remote_parameters(now, parameters_a)
        .unwrap();
    story.run_for(ms(500));
    assert_eq!(story.a.state(), State::New, "nothing to check");
    let now = story.now();
    story
        .a
        .agent
        .add_remote_candidate(now, of_b[0].clone())
        .unwrap();
    story
        .b
        .agent
        .add_remote_candidate(now, of_a[0].clone())
        .unwrap();
    story.drive_until(both_in_use);
    let now = story.now();
    assert_eq!(
        (story.a.state(), story.a.agent.gathering_state()),
        (State::Connected, GatheringState::Gathering)
    );
    story.a.agent.local_candidates_complete(now);
    assert_eq!(
        (story.a.state(), story.a.agent.gathering_state()),
        (State::Connected, GatheringState::Complete)
    );
    story.a.agent.remote_candidates_complete(now);
    assert_eq!(story.a.state(), State::Completed);
    story.b.agent.remote_candidates_complete(now);
    assert_eq!(story.b.state(), State::Connected);
    story.b.agent.local_candidates_complete(now);
    assert_eq!(story.b.state(), State::Completed);
}

// req: I12
#[test]
fn half_trickle_works() {
    let mut story = two(2);
    let now = story.now();
    // The offerer gathers everything first; the answerer trickles.
    story.a.gather(now);
    let (of_a, parameters_a) = (story.a.candidates(), story.a.remote_parameters());
    story.b.learn(now, parameters_a, &of_a);
    let parameters_b = story.b.remote_parameters();
    story
        .a
        .agent
        .set_remote_parameters(now, parameters_b)
        .unwrap();
    for candidate in story.b.candidates() {
        story.run_for(ms(300));
        let now = story.now();
        story
            .b
            .agent
            .add_local_candidate(now, candidate.clone())
            .unwrap();
        story.a.agent.add_remote_candidate(now, candidate).unwrap();
    }
    story.drive_until(both_in_use);
}

// req: I13
#[test]
fn candidates_may_come_before_the_parameters() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    let now = solo.now;
    solo.agent
        .add_local_candidate(now, Candidate::host(local()))
        .unwrap();
    let ours = Candidate::host(remote(0)).with_username_fragment("peer");
    let strangers = Candidate::host(remote(1)).with_username_fragment("else");
    let id = solo.agent.add_remote_candidate(now, ours.clone()).unwrap();
    solo.agent.add_remote_candidate(now, strangers).unwrap();
    assert_eq!(solo.agent.state(), State::New);
    solo.meet();
    assert_eq!(solo.agent.state(), State::Checking);
    assert_eq!(
        solo.agent.candidate_pairs().count(),
        1,
        "those of another generation are gone"
    );
    assert_eq!(solo.agent.stats().candidates_ignored, 1);
    assert_eq!(
        solo.agent.add_remote_candidate(now, ours).unwrap(),
        id,
        "the same again is the same"
    );
    let late = Candidate::host(remote(2)).with_username_fragment("else");
    assert_eq!(solo.agent.add_remote_candidate(now, late).unwrap(), None);
}

// req: I13
#[test]
fn after_end_of_candidates_more_are_ignored_unless_continual() {
    for (trickle, pairs) in [(Trickle::UntilEndOfCandidates, 1), (Trickle::Continual, 2)] {
        let mut config = Config::default();
        config.trickle = trickle;
        let mut solo = Solo::checking(Initiation::Initiating, config, &[remote(0)]);
        solo.agent.remote_candidates_complete(solo.now);
        let id = solo
            .agent
            .add_remote_candidate(solo.now, Candidate::host(remote(1)))
            .unwrap();
        assert_eq!(id.is_some(), trickle == Trickle::Continual);
        assert_eq!(solo.agent.candidate_pairs().count(), pairs);
    }
}

// req: I13
#[test]
fn addresses_nobody_can_be_at_are_ignored() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[]);
    for address in [
        "0.0.0.0:1",
        "192.0.2.1:0",
        "224.0.0.1:9",
        "255.255.255.255:9",
        "[ff02::1]:9",
        "[::]:9",
    ] {
        let candidate = Candidate::host(address.parse().unwrap());
        assert_eq!(
            solo.agent
                .add_remote_candidate(solo.now, candidate)
                .unwrap(),
            None,
            "{address}"
        );
    }
    assert_eq!(solo.agent.stats().candidates_ignored, 6);
}

// req: I13
#[test]
fn of_too_many_remote_candidates_the_best_stay() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[]);
    for n in 0..70 {
        let candidate = Candidate::host(remote(n)).with_local_preference(1000 + n);
        solo.agent
            .add_remote_candidate(solo.now, candidate)
            .unwrap();
    }
    let paths: Vec<_> = solo
        .agent
        .candidate_pairs()
        .map(|p| p.pair.path.remote)
        .collect();
    assert_eq!(paths.len(), 64);
    assert!(!paths.contains(&remote(1)) && paths.contains(&remote(69)));
    let worst = Candidate::host(remote(99)).with_priority(1);
    assert_eq!(
        solo.agent.add_remote_candidate(solo.now, worst).unwrap(),
        None
    );
}

// req: I65
#[test]
fn changing_one_credential_is_an_error_and_both_need_a_restart() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[]);
    let peer = solo.peer.clone();
    let set = |solo: &mut Solo, fragment: &str, password: &str| {
        let parameters = Parameters::new(fragment, password).unwrap();
        solo.agent
            .set_remote_parameters(solo.now, RemoteParameters::new(parameters))
    };
    assert_eq!(
        set(&mut solo, "peer", peer.password()),
        Ok(()),
        "the same again"
    );
    let other = "0123456789abcdefghijkl";
    assert_eq!(
        set(&mut solo, "peer", other),
        Err(ApiMisuse::RestartKeepsACredential)
    );
    assert_eq!(
        set(&mut solo, "next", peer.password()),
        Err(ApiMisuse::RestartKeepsACredential)
    );
    assert_eq!(
        set(&mut solo, "next", other),
        Err(ApiMisuse::RemoteParametersChangeNeedsRestart)
    );
    let restart = |solo: &mut Solo, fragment: &str, password: &str| {
        let parameters = Parameters::new(fragment, password).unwrap();
        solo.agent
            .restart(solo.now, None, Some(RemoteParameters::new(parameters)))
    };
    assert_eq!(
        restart(&mut solo, "peer", other),
        Err(ApiMisuse::RestartKeepsACredential)
    );
    assert_eq!(
        restart(&mut solo, "next", peer.password()),
        Err(ApiMisuse::RestartKeepsACredential)
    );
    assert_eq!(restart(&mut solo, "next", other), Ok(()));
}

// req: I65
#[test]
fn the_answer_to_a_restart_changes_both_credentials_as_well() {
    let mut story = connected(1);
    let now = story.now();
    let known = story.b.agent.local_parameters().clone();
    story.a.agent.restart(now, None, None).unwrap();
    let other = "0123456789abcdefghijkl";
    for (fragment, password) in [
        (known.username_fragment(), known.password()),
        (known.username_fragment(), other),
        ("next", known.password()),
    ] {
        let parameters = Parameters::new(fragment, password).unwrap();
        assert_eq!(
            story
                .a
                .agent
                .set_remote_parameters(now, RemoteParameters::new(parameters)),
            Err(ApiMisuse::RestartKeepsACredential)
        );
    }
    let parameters = Parameters::new("next", other).unwrap();
    let remote = RemoteParameters::new(parameters);
    assert_eq!(story.a.agent.set_remote_parameters(now, remote), Ok(()));
}

// req: I65
#[test]
fn a_request_of_an_unknown_peer_is_answered_and_held_and_never_nominates() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &[remote(0)]);
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let mut request = solo.check().nominating();
    request.from = "somebody".to_owned();
    let _ = solo.receive(remote(0), &request.bytes());
    let sent = solo.take();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].message().class(), floe_stun::Class::SuccessResponse);
    assert!(!solo.agent.selected_candidate_pair().unwrap().nominated);
    // Nor does it take part in the choice of roles.
    let role = solo.agent.role();
    for tie_breaker in [0, u64::MAX] {
        request.id += 1;
        request.role = Some(floe_stun::RoleAttribute::Controlled(tie_breaker));
        let _ = solo.receive(remote(0), &request.bytes());
        let sent = solo.take();
        assert_eq!(sent[0].message().class(), floe_stun::Class::SuccessResponse);
        assert_eq!(solo.agent.role(), role);
    }
    // From elsewhere it makes no pair either.
    request.id += 100;
    let _ = solo.receive(remote(5), &request.bytes());
    assert_eq!(solo.agent.candidate_pairs().count(), 1);
    solo.run_for(secs(1));
    assert!(solo.take_requests().is_empty());
}

// req: I14 R76 R77
#[test]
fn gathering_goes_from_new_over_gathering_to_complete() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    assert_eq!(solo.agent.gathering_state(), GatheringState::New);
    solo.agent.local_candidates_complete(solo.now);
    solo.drain();
    let states = |solo: &Solo| {
        let state = |event: &Event| match event {
            Event::GatheringStateChange(state) => Some(*state),
            _ => None,
        };
        solo.events.iter().filter_map(state).collect::<Vec<_>>()
    };
    assert_eq!(
        states(&solo),
        [GatheringState::Gathering, GatheringState::Complete]
    );
    // Candidates at run time change nothing; a restart does.
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    assert_eq!(solo.agent.gathering_state(), GatheringState::Complete);
    solo.agent.restart(solo.now, None, None).unwrap();
    solo.drain();
    assert_eq!(states(&solo).last(), Some(&GatheringState::Gathering));
    solo.agent.local_candidates_complete(solo.now);
    assert_eq!(solo.agent.gathering_state(), GatheringState::Complete);
}

// req: I13
#[test]
fn a_request_that_arrives_before_its_local_candidate_is_kept() {
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, Config::default());
    solo.meet();
    let request = solo.check().bytes();
    let _ = solo.receive(remote(0), &request);
    assert_eq!(solo.take().len(), 1, "answered");
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    solo.drain();
    assert_eq!(
        solo.take_requests().len(),
        1,
        "and checked as soon as it can be"
    );
}

// req: I13
#[test]
fn the_candidate_in_use_is_never_dropped_for_a_better_one() {
    let mut config = Config::default();
    config.max_remote_candidates = 2;
    let mut solo = Solo::checking(Initiation::Responding, config, &[]);
    let candidate = |n: u16| Candidate::host(remote(n)).with_local_preference(100 + n);
    solo.agent
        .add_remote_candidate(solo.now, candidate(0))
        .unwrap();
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    for n in 1..5 {
        assert!(
            solo.agent
                .add_remote_candidate(solo.now, candidate(n))
                .unwrap()
                .is_some()
        );
    }
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(0));
    let remotes: Vec<_> = solo
        .agent
        .candidate_pairs()
        .map(|p| p.pair.path.remote)
        .collect();
    assert_eq!(remotes, [remote(0), remote(4)]);
}

// req: I13
#[test]
fn end_of_candidates_closes_its_own_fragment_only() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    solo.agent.remote_candidates_complete(solo.now);
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let next = Parameters::new("next", "0123456789abcdefghijkl").unwrap();
    solo.agent
        .restart(solo.now, None, Some(RemoteParameters::new(next)))
        .unwrap();
    let of = |fragment, n| Candidate::host(remote(n)).with_username_fragment(fragment);
    let mut add = |candidate| {
        solo.agent
            .add_remote_candidate(solo.now, candidate)
            .unwrap()
    };
    assert_eq!(add(of("peer", 5)), None, "that generation is complete");
    assert!(add(of("next", 6)).is_some());
    assert!(
        add(Candidate::host(remote(7))).is_some(),
        "the newest is meant"
    );
    assert_eq!(add(of("else", 8)), None);
    assert_eq!(solo.agent.stats().candidates_ignored, 2);
}

/// A candidate that says whose it is.
fn named(fragment: &str, n: u16) -> Candidate {
    Candidate::host(remote(n)).with_username_fragment(fragment)
}

impl Solo {
    fn add(&mut self, candidate: Candidate) -> bool {
        let added = self.agent.add_remote_candidate(self.now, candidate);
        added.unwrap().is_some()
    }

    fn end_of_candidates(&mut self, fragment: &str) {
        self.agent.remote_candidates_complete_of(self.now, fragment);
    }

    fn ends_ignored(&self) -> u64 {
        self.agent.stats().ends_of_candidates_ignored
    }
}

// req: I12 I13
#[test]
fn a_late_end_of_candidates_of_the_old_generation_leaves_the_new_one_open() {
    for known in [false, true] {
        let mut solo = controlled_with_pairs(1);
        let request = solo.check().nominating().bytes();
        let _ = solo.receive(remote(0), &request);
        let next = Parameters::new("next", "0123456789abcdefghijkl").unwrap();
        let next = RemoteParameters::new(next);
        let at_once = known.then(|| next.clone());
        solo.agent.restart(solo.now, None, at_once).unwrap();
        solo.end_of_candidates("peer");
        solo.agent.set_remote_parameters(solo.now, next).unwrap();
        assert!(!solo.add(named("peer", 5)), "what it named is complete");
        assert!(solo.add(named("next", 6)), "the new one is not");
        assert!(solo.add(Candidate::host(remote(7))));
        solo.end_of_candidates("next");
        assert!(!solo.add(named("next", 8)), "now it is");
        assert_eq!(solo.ends_ignored(), 0);
        // Taken back, the restart leaves what was said of the old one.
        solo.agent.rollback_restart(solo.now).unwrap();
        solo.agent.local_candidates_complete(solo.now);
        assert_eq!(solo.agent.state(), State::Completed);
        assert!(!solo.add(named("peer", 9)));
    }
}

// req: I12 I13
#[test]
fn end_of_candidates_may_come_before_the_parameters() {
    for (trickle, later) in [
        (Trickle::UntilEndOfCandidates, false),
        (Trickle::Continual, true),
    ] {
        let mut config = Config::default();
        config.trickle = trickle;
        let mut solo = Solo::new(Mode::Full, Initiation::Initiating, config);
        let host = Candidate::host(local());
        solo.agent.add_local_candidate(solo.now, host).unwrap();
        solo.agent.local_candidates_complete(solo.now);
        assert!(solo.add(named("peer", 0)));
        for fragment in ["else", "peer", "peer"] {
            solo.end_of_candidates(fragment);
        }
        assert_eq!(solo.add(named("peer", 1)), later, "after its end");
        assert!(solo.add(named("more", 2)), "whoever that may be");
        assert_eq!(solo.ends_ignored(), 0, "nobody knows yet");
        solo.meet();
        assert_eq!(solo.ends_ignored(), 1);
        assert_eq!(solo.add(named("peer", 3)), later);
        assert_eq!(solo.add(Candidate::host(remote(4))), later);
        let checks = solo.take_requests();
        let _ = solo.answer(&checks[0]);
        for check in solo.take_requests() {
            let _ = solo.answer(&check);
        }
        assert_eq!(solo.agent.state(), State::Completed);
    }
}

// req: I12 I13
#[test]
fn end_of_candidates_under_a_fragment_of_nobody_s_is_counted_and_ends_nothing() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    for (n, fragment) in ["else", "", "pee", "peer1", "PEER"].into_iter().enumerate() {
        solo.end_of_candidates(fragment);
        assert_eq!(solo.ends_ignored(), 1 + n as u64, "{fragment:?}");
    }
    assert!(solo.add(named("peer", 1)));
    solo.end_of_candidates("peer");
    assert!(!solo.add(named("peer", 2)));
    assert_eq!(solo.ends_ignored(), 5);
    solo.agent.close(solo.now);
    solo.end_of_candidates("else");
    assert_eq!(solo.ends_ignored(), 5, "after the end nothing counts");
}

// req: I12 I13 I43
#[test]
fn of_many_early_ends_of_candidates_the_latest_are_held() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    for n in 0..100 {
        solo.end_of_candidates(&format!("old{n}"));
    }
    assert_eq!(solo.ends_ignored(), 96);
    solo.end_of_candidates("peer");
    solo.meet();
    assert_eq!(solo.ends_ignored(), 100);
    assert!(!solo.add(named("peer", 0)));
    // Repeated, it is one.
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    for fragment in ["peer", "old1", "old1", "old1", "old2", "old1", "old3"] {
        solo.end_of_candidates(fragment);
    }
    solo.meet();
    assert_eq!(solo.ends_ignored(), 3);
    assert!(!solo.add(named("peer", 0)));
    // Its own, pushed out by four others, is as if it had not been.
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    for fragment in ["peer", "old1", "old2", "old3", "old4"] {
        solo.end_of_candidates(fragment);
    }
    solo.meet();
    assert_eq!(solo.ends_ignored(), 5);
    assert!(solo.add(named("peer", 0)));
}

// req: I12
#[test]
fn end_of_candidates_is_told_and_heard_once_each_way() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    for _ in 0..2 {
        solo.agent.local_candidates_complete(solo.now);
        solo.drain();
    }
    let told = solo
        .events
        .iter()
        .filter(|event| **event == Event::GatheringStateChange(GatheringState::Complete));
    assert_eq!(told.count(), 1, "what the caller signals onward");
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    assert_eq!(solo.agent.state(), State::Connected);
    for _ in 0..2 {
        solo.agent.remote_candidates_complete(solo.now);
        assert_eq!(solo.agent.state(), State::Completed);
    }
}

// req: I13
#[test]
fn what_came_before_the_parameters_can_go_before_them_too() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    for n in 0..2 {
        let candidate = Candidate::host(remote(n)).with_username_fragment("peer");
        solo.agent
            .add_remote_candidate(solo.now, candidate)
            .unwrap();
    }
    assert_eq!(
        solo.agent.remove_remote_candidate(solo.now, remote(1)),
        floe_ice::Removal::Removed
    );
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    solo.meet();
    let pairs: Vec<_> = solo.agent.candidate_pairs().collect();
    assert_eq!(pairs.len(), 1);
    assert_eq!(pairs[0].pair.path.remote, remote(0));
}

// req: I14
#[test]
fn completed_needs_gathering_done_end_of_candidates_and_a_final_pair() {
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Gathered,
        EndOfCandidates,
        Nominated,
    }
    use Step::{EndOfCandidates, Gathered, Nominated};
    for steps in [
        [Gathered, EndOfCandidates, Nominated],
        [Gathered, Nominated, EndOfCandidates],
        [EndOfCandidates, Gathered, Nominated],
        [EndOfCandidates, Nominated, Gathered],
        [Nominated, Gathered, EndOfCandidates],
        [Nominated, EndOfCandidates, Gathered],
    ] {
        let mut solo = controlled_with_pairs(1);
        for (index, step) in steps.iter().enumerate() {
            assert_eq!(solo.agent.state(), State::Connected, "{index} of {steps:?}");
            match step {
                Gathered => solo.agent.local_candidates_complete(solo.now),
                EndOfCandidates => solo.agent.remote_candidates_complete(solo.now),
                Nominated => {
                    let request = solo.check().nominating().bytes();
                    let _ = solo.receive(remote(0), &request);
                }
            }
        }
        assert_eq!(solo.agent.state(), State::Completed, "{steps:?}");
    }
}

// req: I12 I14
#[test]
fn an_end_of_candidates_that_nobody_signalled_completes_nothing() {
    let mut solo = controlled_with_pairs(1);
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    solo.agent.local_candidates_complete(solo.now);
    // Far beyond the time after which a dead end would be called one.
    for _ in 0..600 {
        solo.run_for(ms(100));
        for check in solo.take_requests() {
            let _ = solo.answer(&check);
        }
    }
    // Something else happens, so that everything is looked at again.
    let another = Candidate::host(crate::support::address(1, 1));
    solo.agent.add_local_candidate(solo.now, another).unwrap();
    solo.drain();
    assert_eq!(solo.agent.state(), State::Connected);
    // Nor does it end the list: candidates may come still.
    let late = solo
        .agent
        .add_remote_candidate(solo.now, Candidate::host(remote(7)))
        .unwrap();
    assert!(late.is_some());
    solo.agent.remote_candidates_complete(solo.now);
    assert_ne!(solo.agent.state(), State::Failed);
    assert!(solo.agent.send_path().is_some());
}

// req: I13 I43
#[test]
fn strangers_take_no_place_from_signalled_candidates_and_equals_none_from_each_other() {
    let mut config = Config::default();
    config.max_remote_candidates = 2;
    let mut solo = Solo::checking(Initiation::Responding, config, &[]);
    for n in [10, 11] {
        let request = solo.check().bytes();
        let _ = solo.receive(remote(n), &request);
    }
    let mut add = |n: u16, priority| {
        let candidate = Candidate::host(remote(n)).with_priority(priority);
        let added = solo.agent.add_remote_candidate(solo.now, candidate);
        (
            added.unwrap().is_some(),
            solo.agent.stats().remote_candidates_dropped,
        )
    };
    assert_eq!(add(0, 100), (true, 0));
    assert_eq!(
        add(1, 90),
        (true, 0),
        "there is room for two beside strangers"
    );
    assert_eq!(add(2, 90), (false, 1), "it is no better");
    assert_eq!(add(3, 91), (true, 2));
    let pairs = solo.agent.candidate_pairs();
    let mut remotes: Vec<_> = pairs.map(|p| p.pair.path.remote).collect();
    remotes.sort();
    assert_eq!(remotes, [0, 3, 10, 11].map(remote));
}

// req: I13 I43
#[test]
fn of_candidates_that_come_before_the_parameters_no_more_is_kept_than_there_is_room_for() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    let host = Candidate::host(local());
    solo.agent.add_local_candidate(solo.now, host).unwrap();
    // Each is better than all before, so that the worst makes room.
    let mut flood = |count: u32| {
        let held = allocation_counter::measure(|| {
            for n in 1..=count {
                let candidate = named("peer", n as u16).with_priority(n);
                let _ = solo.agent.add_remote_candidate(solo.now, candidate);
            }
        });
        held.bytes_current
    };
    let few = flood(64);
    assert!(flood(20_000) <= few, "it holds what it held");
    assert_eq!(solo.agent.stats().remote_candidates_dropped, 20_000 - 64);
}
