//! Checks: their pace, their retransmission, their answers (RFC 8445 §6.1.4, §7.2, §7.3, §14).

use std::net::SocketAddr;
use std::time::Duration;

use floe_ice::{
    Candidate, CandidateType, Config, DropReason, Event, Freezing, Initiation, Mode, PairState,
    Received, State, Timing,
};
use floe_stun::{AttributeType, Class, ErrorCode, IntegrityAlgorithm, IntegrityKey};

use crate::support::solo::{Solo, local, remote, success};
use crate::support::{address, ms, secs};

fn remotes(count: u16) -> Vec<SocketAddr> {
    (0..count).map(remote).collect()
}

fn first_transmissions(solo: &mut Solo) -> Vec<(Duration, SocketAddr)> {
    let mut seen = std::collections::HashSet::new();
    let requests = solo.take_requests();
    requests
        .iter()
        .filter(|sent| seen.insert(sent.id()))
        .map(|sent| (sent.at, sent.path.remote))
        .collect()
}

// req: I5
#[test]
fn new_checks_leave_one_per_ta_the_best_pair_first() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(5));
    solo.run_for(ms(400));
    let expected: Vec<_> = (0..5).map(|n| (ms(50) * u32::from(n), remote(n))).collect();
    assert_eq!(first_transmissions(&mut solo), expected);
}

// req: I5
#[test]
fn the_larger_pacing_of_the_two_sides_wins_and_five_milliseconds_is_the_least() {
    for (ours, theirs, expected) in [
        (50, Some(80), 80),
        (50, Some(20), 50),
        (1, None, 5),
        (1, Some(2), 5),
    ] {
        let mut timing = Timing::default();
        timing.pacing = ms(ours);
        let mut solo = Solo::new(
            Mode::Full,
            Initiation::Initiating,
            Config::with_timing(timing),
        );
        solo.agent
            .add_local_candidate(solo.now, Candidate::host(local()))
            .unwrap();
        let mut peer = floe_ice::RemoteParameters::new(solo.peer.clone());
        peer.pacing = theirs.map(ms);
        solo.agent.set_remote_parameters(solo.now, peer).unwrap();
        for n in 0..3 {
            solo.agent
                .add_remote_candidate(solo.now, Candidate::host(remote(n)))
                .unwrap();
        }
        solo.run_for(ms(300));
        let times: Vec<Duration> = first_transmissions(&mut solo)
            .into_iter()
            .map(|(at, _)| at)
            .collect();
        assert_eq!(
            times,
            [ms(0), ms(expected), ms(2 * expected)],
            "{ours} and {theirs:?}"
        );
    }
}

// req: I5
#[test]
fn a_check_is_repeated_at_doubling_intervals_with_the_same_bytes() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    solo.run_for(secs(60));
    let requests = solo.take_requests();
    let times: Vec<u128> = requests.iter().map(|sent| sent.at.as_millis()).collect();
    assert_eq!(times, [0, 500, 1500, 3500, 7500, 15500, 31500]);
    assert!(requests.windows(2).all(|two| two[0].bytes == two[1].bytes));
}

// req: I5
#[test]
fn the_first_wait_grows_with_the_number_of_pairs_up_to_its_cap() {
    let first_wait = |count: u16, timing: Timing| {
        let mut solo = Solo::checking(Initiation::Initiating, Config::with_timing(timing), &[]);
        for n in 0..count {
            solo.agent
                .add_remote_candidate(solo.now, Candidate::host(remote(n)))
                .unwrap();
        }
        solo.run_for(secs(20));
        let requests = solo.take_requests();
        // The pair whose check came last, when all were there: look at the second one's repetition.
        let second = requests
            .iter()
            .find(|sent| sent.at > ms(0))
            .unwrap()
            .clone();
        let again = requests
            .iter()
            .filter(|sent| sent.id() == second.id())
            .nth(1)
            .unwrap();
        again.at - second.at
    };
    assert_eq!(first_wait(8, Timing::default()), ms(500));
    assert_eq!(first_wait(40, Timing::default()), ms(2000));
    let mut capped = Timing::default();
    capped.max_rto = ms(1200);
    assert_eq!(first_wait(40, capped), ms(1200));
    assert_eq!(first_wait(3, Timing::webrtc()), ms(250));
}

// req: I5
#[test]
fn triggered_checks_go_before_ordinary_ones() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(4));
    solo.run_for(ms(10));
    let check = solo.check().bytes();
    let _ = solo.receive(remote(3), &check);
    solo.run_for(ms(200));
    let order: Vec<SocketAddr> = first_transmissions(&mut solo)
        .into_iter()
        .map(|(_, to)| to)
        .collect();
    assert_eq!(order, [remote(0), remote(3), remote(1), remote(2)]);
}

// req: I5
#[test]
fn the_nominating_check_does_not_wait_for_ta() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(4));
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let [nominating] = &solo.take_requests()[..] else {
        panic!("one request at once")
    };
    assert!(nominating.message().use_candidate());
    assert_eq!((nominating.at, nominating.path), (ms(60), checks[0].path));
}

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

// req: I6
#[test]
fn every_authenticated_request_is_answered_even_before_the_peer_is_known() {
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, Config::default());
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    for n in 0..40 {
        let request = solo.check();
        assert_eq!(solo.receive(remote(n), &request.bytes()), Received::Handled);
        let sent = solo.take();
        assert_eq!(sent.len(), 1, "an answer and nothing else");
        let key = IntegrityKey::short_term(request.to.password().as_bytes());
        let message = sent[0].message();
        let answer = message.verify(&key).unwrap();
        assert_eq!(answer.class(), Class::SuccessResponse);
        assert_eq!(answer.transaction_id(), request.transaction_id());
        assert_eq!(answer.xor_mapped_address(), Some(remote(n)));
        assert_eq!(sent[0].path.remote, remote(n));
    }
    assert_eq!(
        solo.agent.stats().early_requests_dropped,
        8,
        "32 are remembered"
    );
    // When the peer becomes known, the paths its requests came from are checked.
    solo.meet();
    solo.run_for(ms(2000));
    let checked = first_transmissions(&mut solo);
    assert!(!checked.is_empty());
    assert_eq!(solo.agent.state(), State::Checking);
}

// req: I6
#[test]
fn a_nomination_that_came_early_counts_once_the_pair_has_succeeded() {
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, Config::default());
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    solo.meet();
    assert!(solo.agent.selected_candidate_pair().is_none());
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    assert!(solo.agent.selected_candidate_pair().unwrap().nominated);
}

// req: I7
#[test]
fn requests_do_not_echo() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    // While the own check is young, requests cause no further one; later they do, once.
    for _ in 0..10 {
        solo.run_for(ms(10));
        let request = solo.check().bytes();
        let _ = solo.receive(remote(0), &request);
    }
    assert_eq!(solo.take_requests().len(), 0);
    solo.run_for(ms(200));
    let request = solo.check().bytes();
    let _ = solo.receive(remote(0), &request);
    let again = solo.take_requests();
    assert_eq!(again.len(), 1);
    assert_ne!(
        again[0].id(),
        checks[0].id(),
        "a new transaction (RFC 8445 §7.3.1.4)"
    );
    // Once the pair has succeeded, requests are answered and nothing else.
    let _ = solo.answer(&again[0]);
    solo.take();
    for _ in 0..100 {
        let request = solo.check().bytes();
        let _ = solo.receive(remote(0), &request);
    }
    let sent = solo.take();
    assert_eq!(sent.len(), 100);
    assert!(sent.iter().all(|sent| !sent.is_request()));
}

// req: I8
#[test]
fn an_answer_that_is_not_authentic_leaves_the_check_open() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    let forged = success(checks[0].id(), local(), "another-password-entirely");
    assert_eq!(
        solo.receive(remote(0), &forged),
        Received::Dropped(DropReason::BadIntegrity)
    );
    assert_eq!(solo.agent.state(), State::Checking);
    assert_eq!(solo.answer(&checks[0]), Received::Handled);
    assert_eq!(solo.agent.state(), State::Connected);
}

// req: I8
#[test]
fn an_answer_is_taken_once() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    solo.run_for(ms(20));
    assert_eq!(solo.answer(&checks[0]), Received::Handled);
    solo.run_for(ms(900));
    assert_eq!(
        solo.answer(&checks[0]),
        Received::Dropped(DropReason::UnknownTransaction)
    );
    let pair = solo.agent.selected_candidate_pair().unwrap();
    assert_eq!(
        pair.rtt,
        Some(ms(20)),
        "a duplicate does not stretch the round trip"
    );
}

// req: I8
#[test]
fn an_asymmetric_answer_fails_the_pair_unless_it_had_succeeded() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    let response = solo.success_to(&checks[0], local());
    assert_eq!(
        solo.receive(remote(7), &response),
        Received::Dropped(DropReason::AsymmetricResponse)
    );
    assert_eq!(
        solo.agent.candidate_pairs().next().unwrap().state,
        PairState::Failed
    );
    // A request revives it; this time it succeeds, and later asymmetry is only dropped.
    let request = solo.check().bytes();
    let _ = solo.receive(remote(0), &request);
    solo.run_for(ms(50));
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    solo.run_for(secs(7));
    let consent = solo.take_requests();
    let response = solo.success_to(&consent[0], local());
    assert_eq!(
        solo.receive(remote(7), &response),
        Received::Dropped(DropReason::AsymmetricResponse)
    );
    assert_eq!(
        solo.agent.candidate_pairs().next().unwrap().state,
        PairState::Succeeded
    );
    assert_eq!(solo.agent.state(), State::Connected);
}

// req: I8
#[test]
fn a_mapped_spelling_of_the_same_address_is_symmetric() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    let std::net::IpAddr::V4(v4) = remote(0).ip() else {
        panic!("IPv4")
    };
    let mapped = SocketAddr::from((v4.to_ipv6_mapped(), remote(0).port()));
    let response = solo.success_to(&checks[0], local());
    assert_eq!(solo.receive(mapped, &response), Received::Handled);
    assert_eq!(solo.agent.state(), State::Connected);
}

// req: S5 I9
#[test]
fn a_role_conflict_with_an_unknown_attribute_is_not_believed() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    let key = IntegrityKey::short_term(solo.peer.password().as_bytes());
    let mut buf = [0; 200];
    let conflict = floe_stun::Writer::error(
        &mut buf,
        floe_stun::Method::BINDING,
        checks[0].id(),
        ErrorCode::ROLE_CONFLICT,
    );
    let len = conflict
        .attribute(AttributeType::new(0x7ff0), &[])
        .integrity(&key)
        .fingerprint()
        .unwrap();
    assert_eq!(solo.receive(remote(0), &buf[..len]), Received::Handled);
    assert_eq!(solo.agent.role(), Some(floe_ice::Role::Controlling));
    assert_eq!(
        solo.agent.candidate_pairs().next().unwrap().state,
        PairState::Failed
    );
}

// req: I8 S5
#[test]
fn an_error_answer_fails_the_pair_and_an_unknown_attribute_does_too() {
    for sha in [false, true] {
        let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
        let checks = solo.take_requests();
        let response = if sha {
            let mut buf = [0; 200];
            let key = IntegrityKey::short_term(solo.peer.password().as_bytes());
            let len =
                floe_stun::Writer::success(&mut buf, floe_stun::Method::BINDING, checks[0].id())
                    .xor_mapped_address(local())
                    .attribute(AttributeType::new(0x7ff0), &[])
                    .integrity(&key)
                    .fingerprint()
                    .unwrap();
            buf[..len].to_vec()
        } else {
            solo.error_to(&checks[0], ErrorCode::BAD_REQUEST)
        };
        assert_eq!(solo.receive(remote(0), &response), Received::Handled);
        assert_eq!(
            solo.agent.candidate_pairs().next().unwrap().state,
            PairState::Failed
        );
    }
}

// req: I6 S5 S9
#[test]
fn answers_follow_their_request() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    solo.take();
    let key = IntegrityKey::short_term(solo.agent.local_parameters().password().as_bytes());
    let mut request = solo.check();
    request.sha256 = true;
    let _ = solo.receive(remote(0), &request.bytes());
    let answer = solo.take();
    let message = answer[0].message();
    let verified = message.verify(&key).unwrap();
    assert_eq!(verified.algorithm(), IntegrityAlgorithm::Sha256);
    // An attribute that must be understood and is not.
    let mut request = solo.check();
    request.extra = Some(AttributeType::new(0x7ff1));
    let _ = solo.receive(remote(0), &request.bytes());
    let answer = solo.take();
    let message = answer[0].message();
    let verified = message.verify(&key).unwrap();
    assert_eq!(verified.error_code(), Some(ErrorCode::UNKNOWN_ATTRIBUTE));
    let listed = verified
        .attributes()
        .find(|a| a.attribute_type == AttributeType::UNKNOWN_ATTRIBUTES)
        .unwrap();
    assert_eq!(listed.value, [0x7f, 0xf1]);
    // No PRIORITY.
    let mut request = solo.check();
    request.priority = None;
    let _ = solo.receive(remote(0), &request.bytes());
    let answer = solo.take();
    assert_eq!(
        answer[0].message().verify(&key).unwrap().error_code(),
        Some(ErrorCode::BAD_REQUEST)
    );
}

// req: S9
#[test]
fn checks_carry_what_they_must() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    let key = IntegrityKey::short_term(solo.peer.password().as_bytes());
    let message = checks[0].message();
    let check = message.verify(&key).unwrap();
    assert_eq!(check.algorithm(), IntegrityAlgorithm::Sha1);
    let username = format!("peer:{}", solo.agent.local_parameters().username_fragment());
    assert_eq!(check.username(), Some(username.as_bytes()));
    assert!(matches!(
        check.role(),
        Some(floe_stun::RoleAttribute::Controlling(_))
    ));
    let host = Candidate::host(local()).priority();
    assert_eq!(check.priority(), Some(110 << 24 | host & 0x00ff_ffff));
    assert!(!check.use_candidate());
}

// req: I11
#[test]
fn a_peer_reflexive_candidate_that_is_signalled_later_keeps_its_pair() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &[]);
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    let checks = solo.take_requests();
    solo.run_for(ms(30));
    let before = solo.agent.candidate_pairs().next().unwrap();
    assert_eq!(before.pair.remote, CandidateType::PeerReflexive);
    // Signalled while the check is under way: its answer still counts.
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(0)))
        .unwrap();
    assert_eq!(solo.agent.candidate_pairs().count(), 1);
    assert_eq!(solo.answer(&checks[0]), Received::Handled);
    let after = solo.agent.selected_candidate_pair().unwrap();
    assert_eq!(after.id, before.pair.id);
    assert_eq!(after.remote, CandidateType::Host);
    assert!(after.nominated);
    assert_eq!(after.rtt, Some(ms(30)));
    assert!(solo.take_requests().is_empty(), "nothing is checked twice");
}

// req: I11
#[test]
fn a_nominated_peer_reflexive_pair_stays_in_use_when_signalled() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &[]);
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let before = solo.agent.selected_candidate_pair().unwrap();
    let events = solo.events.len();
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(0)))
        .unwrap();
    solo.drain();
    let after = solo.agent.selected_candidate_pair().unwrap();
    assert_eq!(
        (after.id, after.path, after.nominated),
        (before.id, before.path, before.nominated)
    );
    let changes = solo.events[events..]
        .iter()
        .filter(|e| matches!(e, Event::StateChange(_)));
    assert_eq!(changes.count(), 0);
}

// req: I25
#[test]
fn pair_statistics_count_messages_and_times() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    solo.run_for(ms(40));
    let _ = solo.answer(&checks[0]);
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    solo.run_for(secs(7));
    let consent = solo.take_requests();
    let _ = solo.answer(&consent[0]);
    let stats = solo.agent.candidate_pairs().next().unwrap();
    assert!(stats.pair.nominated);
    assert_eq!(stats.state, PairState::Succeeded);
    assert_eq!(
        (stats.requests_sent, stats.consent_requests_sent),
        (1, consent.len() as u64)
    );
    assert_eq!(
        (
            stats.requests_received,
            stats.responses_sent,
            stats.responses_received
        ),
        (1, 1, 2)
    );
    assert!(stats.total_round_trip_time > ms(40));
    assert!(stats.current_round_trip_time.is_some());
}

// req: I25
#[test]
fn a_repeated_check_measures_nothing() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    solo.run_for(ms(600));
    let checks = solo.take_requests();
    assert_eq!(checks.len(), 2);
    let _ = solo.answer(&checks[0]);
    assert_eq!(solo.agent.selected_candidate_pair().unwrap().rtt, None);
}

// req: I7 I8
#[test]
fn indications_and_other_methods_do_nothing() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    solo.take();
    let id = solo.check().transaction_id();
    let mut buf = [0; 100];
    let len = floe_stun::Writer::indication(&mut buf, floe_stun::Method::BINDING, id)
        .fingerprint()
        .unwrap();
    assert_eq!(solo.receive(address(3, 0), &buf[..len]), Received::Handled);
    let goog = floe_stun::Method::GOOG_PING;
    let len = floe_stun::Writer::request(&mut buf, goog, id)
        .fingerprint()
        .unwrap();
    assert_eq!(
        solo.receive(remote(0), &buf[..len]),
        Received::Dropped(DropReason::UnknownMethod)
    );
    assert!(solo.take().is_empty());
    assert_eq!(solo.agent.candidate_pairs().count(), 1);
}

// req: I5
#[test]
fn agents_that_share_a_pacer_share_its_slots() {
    let pacer = std::sync::Arc::new(floe_ice::Pacer::new(ms(20)));
    let mut config = Config::default();
    config.pacer = Some(pacer.clone());
    let mut agents: Vec<Solo> = (0..4)
        .map(|_| Solo::checking(Initiation::Initiating, config.clone(), &remotes(3)))
        .collect();
    for step in 0..40 {
        for solo in &mut agents {
            solo.run_for(ms(10) * u32::from(step == 0) + ms(10));
        }
    }
    let mut times: Vec<Duration> = agents
        .iter_mut()
        .flat_map(first_transmissions)
        .map(|(at, _)| at)
        .collect();
    times.sort();
    assert_eq!(times.len(), 12);
    assert!(
        times.windows(2).all(|two| two[1] - two[0] >= ms(20)),
        "{times:?}"
    );
    // A triggered check does not wait for the others.
    pacer.set_interval(secs(100));
    let mut first = Solo::checking(Initiation::Initiating, config.clone(), &remotes(1));
    let mut second = Solo::checking(Initiation::Initiating, config, &remotes(1));
    let _ = (first.take_requests(), second.take_requests());
    let request = second.check().bytes();
    let _ = second.receive(remote(5), &request);
    let checks = second.take_requests();
    assert_eq!(checks.len(), 1);
    assert_eq!(checks[0].path.remote, remote(5));
}

// req: I5 I20
#[test]
fn over_tcp_nothing_is_repeated_and_consent_is_asked_for_all_the_same() {
    use floe_ice::{FiveTuple, Protocol, TcpType};
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    let ours = Candidate::host(local()).over_tcp(TcpType::Active);
    solo.agent.add_local_candidate(solo.now, ours).unwrap();
    solo.meet();
    let theirs = Candidate::host(remote(0)).over_tcp(TcpType::Passive);
    solo.agent.add_remote_candidate(solo.now, theirs).unwrap();
    solo.run_for(secs(30));
    let checks = solo.take_requests();
    assert_eq!(checks.len(), 1);
    assert_eq!(
        checks[0].path,
        FiveTuple {
            protocol: Protocol::Tcp,
            local: local(),
            remote: remote(0)
        }
    );
    let answer = |solo: &mut Solo| {
        let mut count = 0;
        for check in solo.take_requests() {
            let response = solo.success_to(&check, check.path.local);
            let _ = solo.agent.handle_datagram(solo.now, check.path, &response);
            count += 1;
        }
        count
    };
    let response = solo.success_to(&checks[0], local());
    let _ = solo
        .agent
        .handle_datagram(solo.now, checks[0].path, &response);
    assert_eq!(answer(&mut solo), 1, "the nominating check");
    let mut consent = 0;
    for _ in 0..600 {
        solo.run_for(ms(100));
        consent += answer(&mut solo);
    }
    assert!((9..=16).contains(&consent), "{consent}");
    assert_eq!(solo.agent.state(), State::Connected);
    // The same bytes over UDP are another path.
    let udp = FiveTuple::udp(local(), remote(0));
    assert!(!solo.agent.accepts_from(&udp) && solo.agent.accepts_from(&checks[0].path));
}

// req: I8
#[test]
fn an_asymmetric_answer_to_the_nominating_check_is_dropped_and_the_pair_stays() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let nominating = solo.take_requests();
    let response = solo.success_to(&nominating[0], local());
    assert_eq!(
        solo.receive(remote(7), &response),
        Received::Dropped(DropReason::AsymmetricResponse)
    );
    let pair = solo
        .agent
        .selected_candidate_pair()
        .expect("the pair had succeeded");
    assert!(!pair.nominated);
    assert_eq!(solo.agent.state(), State::Connected);
    // It is tried again.
    let nominating = solo.take_requests();
    let _ = solo.answer(&nominating[0]);
    assert!(solo.agent.selected_candidate_pair().unwrap().nominated);
}

// req: I5 I7
#[test]
fn a_request_shortens_the_wait_for_a_repetition_that_is_far_away() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    solo.run_for(ms(7550));
    let before = solo.take_requests();
    assert_eq!(
        before.len(),
        5,
        "the last 50 ms ago, the next in eight seconds"
    );
    let request = solo.check().bytes();
    let _ = solo.receive(remote(0), &request);
    assert!(
        solo.take_requests().is_empty(),
        "its answer may be on the way"
    );
    solo.run_for(ms(1000));
    let request = solo.check().bytes();
    let _ = solo.receive(remote(0), &request);
    let again = solo.take_requests();
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].id(), before[0].id());
    // The check that was replaced may still be answered; then there is nothing left to repeat.
    assert_eq!(solo.answer(&before[0]), Received::Handled);
    assert_eq!(solo.agent.state(), State::Connected);
    solo.run_for(secs(3));
    assert!(solo.take_requests().is_empty());
}

// req: I7
#[test]
fn a_repetition_that_was_answered_while_it_waited_is_not_sent() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    solo.now += ms(500);
    solo.agent.handle_timeout(solo.now);
    // Nobody polls before the answer arrives.
    assert_eq!(solo.answer(&checks[0]), Received::Handled);
    assert!(solo.take_requests().is_empty());
}

/// An agent with two sockets and one on TCP, whose check to `remote(0)` is under way.
fn with_three_sockets() -> (Solo, crate::support::solo::Sent) {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    let check = solo.take_requests().pop().unwrap();
    let other = Candidate::host(address(1, 1));
    let tcp = Candidate::host(local()).over_tcp(floe_ice::TcpType::Active);
    for candidate in [other, tcp] {
        solo.agent.add_local_candidate(solo.now, candidate).unwrap();
    }
    (solo, check)
}

// req: I8
#[test]
fn an_answer_is_asymmetric_by_its_source_its_destination_or_its_transport() {
    use floe_ice::{FiveTuple, Protocol};
    let sent_on = FiveTuple::udp(local(), remote(0));
    let ways = [
        FiveTuple {
            remote: remote(7),
            ..sent_on
        },
        FiveTuple {
            remote: SocketAddr::new(address(9, 0).ip(), remote(0).port()),
            ..sent_on
        },
        FiveTuple {
            local: address(1, 1),
            ..sent_on
        },
        FiveTuple {
            protocol: Protocol::Tcp,
            ..sent_on
        },
    ];
    for way in ways {
        let (mut solo, check) = with_three_sockets();
        let response = solo.success_to(&check, local());
        let received = solo.agent.handle_datagram(solo.now, way, &response);
        assert_eq!(
            received,
            Received::Dropped(DropReason::AsymmetricResponse),
            "{way:?}"
        );
        let state = |solo: &Solo| solo.agent.candidate_pairs().next().unwrap().state;
        assert_eq!(state(&solo), PairState::Failed);
        // The transaction is over: the same answer the right way comes too late.
        let received = solo.agent.handle_datagram(solo.now, sent_on, &response);
        assert_eq!(received, Received::Dropped(DropReason::UnknownTransaction));
        assert_eq!(state(&solo), PairState::Failed);
    }
    let (mut solo, check) = with_three_sockets();
    let response = solo.success_to(&check, local());
    let received = solo.agent.handle_datagram(solo.now, sent_on, &response);
    assert_eq!(received, Received::Handled);
}

// req: I8
#[test]
fn a_zone_is_part_of_a_link_local_address_and_a_flow_label_of_none() {
    use floe_ice::FiveTuple;
    use std::net::SocketAddrV6;
    let at = |ip: &str, flow, zone| {
        SocketAddr::V6(SocketAddrV6::new(ip.parse().unwrap(), 5000, flow, zone))
    };
    for (answers, from, to) in [
        (true, at("fe80::9", 0, 4), at("fe80::1", 0, 4)),
        (true, at("fe80::9", 77, 4), at("fe80::1", 88, 4)),
        // The peer has no idea of our zones, nor has a socket that does not tell them.
        (true, at("fe80::9", 0, 0), at("fe80::1", 0, 4)),
        (false, at("fe80::9", 0, 5), at("fe80::1", 0, 5)),
    ] {
        let mut config = Config::default();
        config.addresses.link_local = floe_ice::Access::Allowed;
        let mut solo = Solo::new(Mode::Full, Initiation::Initiating, config);
        let host = Candidate::host(at("fe80::1", 3, 4));
        solo.agent.add_local_candidate(solo.now, host).unwrap();
        solo.meet();
        solo.agent
            .add_remote_candidate(solo.now, Candidate::host(at("fe80::9", 0, 0)))
            .unwrap();
        let check = solo.take_requests().pop().unwrap();
        assert_eq!(check.path.remote, at("fe80::9", 0, 4), "in our zone");
        let response = solo.success_to(&check, at("fe80::1", 0, 0));
        let path = FiveTuple::udp(to, from);
        let received = solo.agent.handle_datagram(solo.now, path, &response);
        assert_eq!(received == Received::Handled, answers, "{path:?}");
        assert_eq!(solo.agent.candidate_pairs().count(), 1);
    }
}

// req: I8 S7
#[test]
fn of_two_answers_to_one_check_the_first_counts_whatever_the_second_says() {
    for second in [
        ErrorCode::BAD_REQUEST,
        ErrorCode::ROLE_CONFLICT,
        ErrorCode::FORBIDDEN,
    ] {
        let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
        let check = solo.take_requests().pop().unwrap();
        assert_eq!(solo.answer(&check), Received::Handled);
        let later = solo.error_to(&check, second);
        assert_eq!(
            solo.receive(remote(0), &later),
            Received::Dropped(DropReason::UnknownTransaction)
        );
        assert_eq!(solo.agent.state(), State::Connected);
        assert_eq!(solo.agent.role(), Some(floe_ice::Role::Controlled));
    }
}

// req: S10
#[test]
fn the_whole_transaction_id_is_compared() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    solo.agent
        .set_route(floe_stun::RouteKey::from_bytes([5; 16]), 77);
    let check = solo.take_requests().pop().unwrap();
    for bit in 0..96 {
        let mut id = *check.id().as_bytes();
        id[bit / 8] ^= 1 << (bit % 8);
        let id = floe_stun::TransactionId::from_bytes(id);
        let response = success(id, local(), solo.peer.password());
        assert_eq!(
            solo.receive(remote(0), &response),
            Received::Dropped(DropReason::UnknownTransaction),
            "bit {bit}"
        );
    }
    assert_eq!(solo.answer(&check), Received::Handled);
}

// req: I6 S5
#[test]
fn a_request_is_answered_whatever_its_pair_s_state() {
    let mut config = Config::default();
    config.freezing = Freezing::On;
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, config);
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    solo.meet();
    let foundation = |n: u16| floe_ice::Foundation::new(if n < 2 { "a" } else { "b" }).unwrap();
    for n in 0..4 {
        let candidate = Candidate::host(remote(n))
            .with_foundation(foundation(n))
            .with_local_preference(60_000 - n);
        solo.agent
            .add_remote_candidate(solo.now, candidate)
            .unwrap();
    }
    let check = solo.take_requests().pop().unwrap();
    let answered = |solo: &mut Solo, n: u16| {
        let request = solo.check();
        let _ = solo.receive(remote(n), &request.bytes());
        let answers = solo.take();
        let to_it = |sent: &&crate::support::solo::Sent| sent.id() == request.transaction_id();
        let answer: Vec<_> = answers.iter().filter(to_it).collect();
        assert_eq!(answer.len(), 1, "once");
        answer[0].message().class() == Class::SuccessResponse
    };
    let state = |solo: &Solo, n: usize| solo.agent.candidate_pairs().nth(n).unwrap().state;
    for (n, expected) in [
        (0, PairState::InProgress),
        (1, PairState::Frozen),
        (2, PairState::Waiting),
    ] {
        assert_eq!(state(&solo, usize::from(n)), expected);
        assert!(answered(&mut solo, n), "{expected:?}");
    }
    let refusal = solo.error_to(&check, ErrorCode::BAD_REQUEST);
    let _ = solo.receive(remote(0), &refusal);
    assert_eq!(state(&solo, 0), PairState::Failed);
    assert!(answered(&mut solo, 0));
    // A peer that is not known to have that address, too; and not one whose MAC is wrong, whatever else it says.
    assert!(answered(&mut solo, 9));
    let mut request = solo.check();
    request.extra = Some(AttributeType::new(0x7ff1));
    let forged = request.bytes_under("not-the-password-of-ours");
    assert_eq!(
        solo.receive(remote(0), &forged),
        Received::Dropped(DropReason::BadIntegrity)
    );
    let to_it = |sent: &crate::support::solo::Sent| sent.id() == request.transaction_id();
    assert!(!solo.take().iter().any(to_it), "no 420 without a MAC");
}

// req: I6
#[test]
fn thirty_two_early_requests_are_remembered_and_all_of_them_are_acted_on() {
    let mut config = Config::default();
    config.max_peer_reflexive = 100;
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, config);
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    for n in 0..40 {
        // Each comes three times: a retransmission is nothing new.
        for _ in 0..3 {
            let mut request = solo.check();
            request.use_candidate = n == 31;
            let _ = solo.receive(remote(n), &request.bytes());
        }
    }
    assert_eq!(solo.agent.stats().responses_sent, 120);
    assert_eq!(solo.agent.stats().early_requests_dropped, 24);
    assert_eq!(solo.agent.candidate_pairs().count(), 0);
    solo.take();
    solo.meet();
    solo.run_for(ms(50) * 40);
    let mut checked: Vec<SocketAddr> = Vec::new();
    for check in solo.take_requests() {
        if !checked.contains(&check.path.remote) {
            checked.push(check.path.remote);
        }
        if check.path.remote == remote(31) {
            let _ = solo.answer(&check);
        }
    }
    checked.sort();
    assert_eq!(checked, remotes(32));
    let selected = solo.agent.selected_candidate_pair().unwrap();
    assert!(selected.nominated, "its nomination was remembered as well");
    assert_eq!(selected.path.remote, remote(31));
}

// req: I7
#[test]
fn however_many_requests_come_each_pair_and_the_agent_keep_their_budgets() {
    // Thirty pairs that never answer, each asked about every 10 ms, for five seconds.
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(30));
    let mut sent = solo.take_requests();
    for _ in 0..500 {
        for n in 0..30 {
            let request = solo.check().bytes();
            let _ = solo.receive(remote(n), &request);
        }
        solo.run_for(ms(10));
        sent.extend(solo.take_requests());
    }
    let mut ids = std::collections::HashSet::new();
    let new: Vec<_> = sent.iter().filter(|sent| ids.insert(sent.id())).collect();
    assert!(
        new.windows(2).all(|two| two[1].at - two[0].at >= ms(50)),
        "the agent: one new check per Ta, whatever causes it"
    );
    for n in 0..30 {
        let times: Vec<Duration> = sent
            .iter()
            .filter(|sent| sent.path.remote == remote(n))
            .map(|sent| sent.at)
            .collect();
        assert!(
            times.windows(2).all(|two| two[1] - two[0] >= ms(250)),
            "each pair: as if a round trip took half an RTO, while nothing is known of it"
        );
    }
    assert!(sent.len() < 500, "{} requests for 15000", sent.len());
}

// req: I7
#[test]
fn once_its_round_trip_is_known_a_pair_is_asked_once_in_it() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    let check = solo.take_requests().pop().unwrap();
    solo.run_for(ms(120));
    let _ = solo.answer(&check);
    // Consent is taken back on the pair's check and the pair fails; requests of the peer revive it.
    let mut sent = Vec::new();
    for step in 0..300 {
        let request = solo.check().bytes();
        let _ = solo.receive(remote(0), &request);
        solo.run_for(ms(10));
        sent.extend(solo.take_requests());
        if step == 0 {
            solo.agent.restart(solo.now, None, None).unwrap();
            solo.peer = floe_ice::Parameters::new("next", "0123456789abcdefghijkl").unwrap();
            solo.meet();
        }
    }
    let times: Vec<Duration> = sent.iter().map(|sent| sent.at).collect();
    assert!(times.len() >= 2, "{times:?}");
    assert!(
        times.windows(2).all(|two| two[1] - two[0] >= ms(120)),
        "{times:?}"
    );
}

// req: I11
#[test]
fn what_signalling_a_stranger_changes_and_what_it_keeps() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &[]);
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    let check = solo.take_requests().pop().unwrap();
    solo.run_for(ms(80));
    let _ = solo.answer(&check);
    solo.run_for(secs(7));
    let consent = solo.take_requests();
    let before = solo.agent.candidate_pairs().next().unwrap();
    let age = solo.agent.consent_age(solo.now);
    let signalled = Candidate::host(remote(0)).with_priority(5);
    let id = solo
        .agent
        .add_remote_candidate(solo.now, signalled)
        .unwrap();
    assert_eq!(solo.agent.candidate_pairs().count(), 1);
    let after = solo.agent.candidate_pairs().next().unwrap();
    assert_eq!(Some(after.remote_candidate), id, "no candidate is new");
    assert_eq!(after.remote_candidate, before.remote_candidate);
    assert_eq!(after.priority >> 32, 5, "the signalled priority");
    assert_eq!(after.pair.remote, CandidateType::Host);
    assert_eq!(
        (
            after.pair.id,
            after.pair.nominated,
            after.pair.rtt,
            after.state
        ),
        (before.pair.id, true, Some(ms(80)), PairState::Succeeded)
    );
    assert_eq!(
        (after.requests_sent, after.consent_requests_sent),
        (before.requests_sent, before.consent_requests_sent)
    );
    assert_eq!(solo.agent.consent_age(solo.now), age);
    // The consent checks that are out are answered as if nothing had been.
    assert_eq!(solo.answer(&consent[0]), Received::Handled);
    assert_eq!(solo.agent.consent_age(solo.now), Some(ms(0)));
    assert!(solo.agent.send_path().is_some());
}

// req: I11
#[test]
fn an_address_on_both_transports_is_two_candidates() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &[]);
    let mut add = |candidate| {
        solo.agent
            .add_remote_candidate(solo.now, candidate)
            .unwrap()
            .unwrap()
    };
    let host = || Candidate::host(remote(0));
    let udp = add(host());
    let tcp = add(host().over_tcp(floe_ice::TcpType::Passive));
    assert_ne!(udp, tcp);
    assert_eq!(add(host()), udp);
    assert_eq!(add(host().over_tcp(floe_ice::TcpType::Passive)), tcp);
}

// req: I25
#[test]
fn round_trips_are_smoothed_summed_and_never_taken_from_a_repetition() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    solo.run_for(ms(600));
    let checks = solo.take_requests();
    solo.run_for(ms(100));
    let _ = solo.answer(&checks[1]);
    let stats = |solo: &Solo| solo.agent.candidate_pairs().next().unwrap();
    assert_eq!(stats(&solo).requests_sent, 1, "repetitions are none");
    assert_eq!(solo.agent.stats().requests_sent, 2, "on the wire they are");
    assert_eq!(
        (stats(&solo).pair.rtt, stats(&solo).current_round_trip_time),
        (None, None)
    );
    let nomination = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &nomination);
    // Four consent checks, answered after 100, 180, 20 and 100 ms: RFC 6298 §2 with α = 1/8.
    let mut smoothed: Option<Duration> = None;
    let mut total = ms(0);
    for after in [100, 180, 20, 100].map(ms) {
        while !solo.sent.iter().any(crate::support::solo::Sent::is_request) {
            solo.run_for(ms(1));
        }
        let check = solo.take_requests().pop().unwrap();
        solo.run_for(check.at + after - solo.elapsed());
        assert_eq!(solo.answer(&check), Received::Handled);
        smoothed = Some(smoothed.map_or(after, |old| old * 7 / 8 + after / 8));
        total += after;
        let now = stats(&solo);
        assert_eq!(now.current_round_trip_time, Some(after));
        assert_eq!(now.total_round_trip_time, total);
        let off = now.pair.rtt.unwrap().abs_diff(smoothed.unwrap());
        assert!(off < ms(1), "{:?} and not {smoothed:?}", now.pair.rtt);
    }
    let last = stats(&solo);
    assert_eq!(last.consent_requests_sent, 4);
    assert_eq!((last.requests_received, last.responses_sent), (1, 1));
    assert_eq!(last.responses_received, 5);
    let local = solo.agent.local_candidates().count();
    assert_eq!(local, 1);
}

// req: I25
#[test]
fn every_pair_has_statistics_of_its_own() {
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, Config::default());
    let ours: Vec<_> = (0..2)
        .map(|n| {
            let candidate = Candidate::host(address(1, n));
            solo.agent.add_local_candidate(solo.now, candidate).unwrap()
        })
        .collect();
    solo.meet();
    let theirs: Vec<_> = (0..2)
        .map(|n| {
            let candidate = Candidate::host(remote(n));
            solo.agent
                .add_remote_candidate(solo.now, candidate)
                .unwrap()
                .unwrap()
        })
        .collect();
    solo.run_for(ms(400));
    let pairs: Vec<_> = solo.agent.candidate_pairs().collect();
    let mut ends: Vec<_> = pairs
        .iter()
        .map(|p| (p.local_candidate, p.remote_candidate))
        .collect();
    ends.sort();
    let mut expected: Vec<_> = ours
        .iter()
        .flat_map(|a| theirs.iter().map(|b| (*a, *b)))
        .collect();
    expected.sort();
    assert_eq!(ends, expected);
    assert!(pairs.iter().all(|p| p.requests_sent == 1));
    let request = solo.check().bytes();
    let path = pairs[2].pair.path;
    let _ = solo.agent.handle_datagram(solo.now, path, &request);
    solo.drain();
    for (index, pair) in solo.agent.candidate_pairs().enumerate() {
        let here = u64::from(index == 2);
        assert_eq!((pair.requests_received, pair.responses_sent), (here, here));
        assert!(!pair.pair.nominated);
    }
}

// req: I5
#[test]
fn the_first_wait_counts_what_is_waiting_or_under_way_and_nothing_else() {
    let wait_of_last = |done: u16, pacing: u64| {
        let mut timing = Timing::default();
        timing.pacing = ms(pacing);
        let mut config = Config::with_timing(timing);
        config.nomination = std::sync::Arc::new(floe_ice::nomination::ByApplication::default());
        let mut solo = Solo::checking(Initiation::Initiating, config, &[]);
        for n in 0..20 {
            solo.agent
                .add_remote_candidate(solo.now, Candidate::host(remote(n)))
                .unwrap();
        }
        // Some succeed, as many fail, before the last one's turn comes.
        let mut sent = Vec::new();
        for turn in 0..20_u16 {
            let check = solo.take_requests().pop().unwrap();
            if turn < done {
                let _ = solo.answer(&check);
            } else if turn < 2 * done {
                let refusal = solo.error_to(&check, ErrorCode::BAD_REQUEST);
                let _ = solo.receive(check.path.remote, &refusal);
            }
            sent.push(check);
            if turn < 19 {
                solo.run_for(ms(pacing));
                let fresh = |s: &crate::support::solo::Sent| sent.iter().all(|o| o.id() != s.id());
                let newest = solo.sent.drain(..).filter(fresh).collect();
                solo.sent = newest;
            }
        }
        let last = sent.pop().unwrap();
        solo.run_for(secs(10));
        let again = solo.take_requests();
        let again = again.iter().find(|s| s.id() == last.id()).unwrap();
        again.at - last.at
    };
    assert_eq!(wait_of_last(0, 50), ms(50 * 20));
    assert_eq!(wait_of_last(4, 50), ms(50 * 12));
    assert_eq!(wait_of_last(8, 50), ms(500), "Ta·N is less than the floor");
    assert_eq!(wait_of_last(4, 80), ms(80 * 12));
}

// req: I5
#[test]
fn the_browser_preset_has_the_browser_s_pace() {
    let mut solo = Solo::checking(
        Initiation::Responding,
        Config::with_timing(Timing::webrtc()),
        &remotes(3),
    );
    solo.run_for(ms(249));
    let times: Vec<_> = solo.take_requests().iter().map(|s| s.at).collect();
    assert_eq!(times, [ms(0), ms(48), ms(96)]);
    solo.run_for(ms(1));
    let again = solo.take_requests();
    assert_eq!(again[0].at, ms(250), "RTO: below the RFC's 500 ms");
    let _ = solo.answer(&again[0]);
    let nomination = solo.check().nominating().bytes();
    let _ = solo.receive(again[0].path.remote, &nomination);
    solo.run_for(secs(20));
    let times: Vec<_> = solo
        .take_requests()
        .iter()
        .filter(|s| s.path == again[0].path && s.at > secs(15))
        .map(|s| s.at)
        .collect();
    assert!(times.windows(2).all(|two| two[1] - two[0] == ms(480)));
    assert!(times.len() >= 9, "{times:?}");
}

// req: I5
#[test]
fn nominating_goes_first_then_triggered_then_ordinary() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(5));
    solo.run_for(ms(10));
    let check = solo.take_requests().pop().unwrap();
    // One check is under way; a request asks for the fourth, then the first succeeds.
    let request = solo.check().bytes();
    let _ = solo.receive(remote(3), &request);
    solo.take();
    let _ = solo.answer(&check);
    let nominating = solo.take_requests();
    assert_eq!(nominating.len(), 1);
    assert!(nominating[0].message().use_candidate());
    assert_eq!(
        (nominating[0].at, nominating[0].path.remote),
        (ms(10), remote(0))
    );
    solo.run_for(ms(100));
    let order: Vec<_> = first_transmissions(&mut solo);
    assert_eq!(
        order[0],
        (ms(50), remote(3)),
        "the triggered one has the next slot"
    );
    assert_eq!(order[1], (ms(100), remote(1)));
}

// req: I5
#[test]
fn the_shared_pacer_serves_gathering_too_and_holds_back_neither_nomination_nor_consent() {
    let pacer = std::sync::Arc::new(floe_ice::Pacer::new(ms(30)));
    let mut config = Config::default();
    config.pacer = Some(pacer.clone());
    // A gatherer of somebody else's takes three slots first.
    let start = sim::Clock::epoch();
    let slots: Vec<_> = (0..3).map(|_| pacer.reserve(start) - start).collect();
    assert_eq!(slots, [ms(0), ms(30), ms(60)]);
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes(1));
    solo.run_for(ms(89));
    assert!(solo.take_requests().is_empty());
    solo.run_for(ms(1));
    let check = solo.take_requests().pop().unwrap();
    assert_eq!(check.at, ms(90));
    // From here on no slot is to be had for a long time.
    pacer.set_interval(secs(1000));
    let _ = pacer.reserve(solo.now);
    let _ = pacer.reserve(solo.now);
    let _ = solo.answer(&check);
    let nominating = solo.take_requests().pop().expect("nominated at once");
    assert!(nominating.message().use_candidate());
    let _ = solo.answer(&nominating);
    solo.run_for(secs(7));
    assert!(!solo.take_requests().is_empty(), "and consent is asked for");
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
