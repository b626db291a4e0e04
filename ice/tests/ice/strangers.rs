//! Peer-reflexive candidates that are signalled later (RFC 8838 §11.4).

use floe_ice::{Candidate, CandidateType, Config, Event, Initiation, Mode, PairState, Received};

use crate::support::solo::{Solo, local, remote};
use crate::support::{address, ms, secs};

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

// req: I3 I11
#[test]
fn a_stranger_that_is_signalled_gets_the_pairs_it_lacked() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &[]);
    let second = address(1, 1);
    let ours = Candidate::host(second);
    solo.agent.add_local_candidate(solo.now, ours).unwrap();
    let request = solo.check().bytes();
    let _ = solo.receive(remote(0), &request);
    let paths = |solo: &Solo| {
        let pairs = solo.agent.candidate_pairs();
        let mut paths: Vec<_> = pairs
            .map(|p| (p.pair.path.local, p.pair.path.remote))
            .collect();
        paths.sort();
        paths
    };
    assert_eq!(paths(&solo), [(local(), remote(0))], "where it was heard");
    let theirs = Candidate::host(remote(0));
    solo.agent.add_remote_candidate(solo.now, theirs).unwrap();
    assert_eq!(paths(&solo), [(local(), remote(0)), (second, remote(0))]);
}

// req: I2 I10
#[test]
fn an_address_that_an_answer_names_is_on_the_network_of_its_base() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    let ours = Candidate::host(local()).with_epoch(3);
    solo.agent.add_local_candidate(solo.now, ours).unwrap();
    solo.meet();
    let theirs = Candidate::host(remote(0));
    solo.agent.add_remote_candidate(solo.now, theirs).unwrap();
    let check = solo.take_requests().remove(0);
    let mapped = solo.success_to(&check, address(7, 7));
    assert_eq!(solo.receive(remote(0), &mapped), Received::Handled);
    let found = solo.agent.local_candidates().last().unwrap();
    assert_eq!(found.kind(), CandidateType::PeerReflexive);
    assert_eq!((found.address(), found.epoch()), (Some(address(7, 7)), 3));
}

// req: I43
#[test]
fn with_room_for_no_stranger_none_is_taken_and_all_are_answered() {
    let mut config = Config::default();
    config.max_peer_reflexive = 0;
    let mut solo = Solo::checking(Initiation::Responding, config, &[remote(0)]);
    for n in 1..5 {
        let check = solo.check().bytes();
        let _ = solo.receive(remote(n), &check);
    }
    let stats = solo.agent.stats();
    assert_eq!((stats.responses_sent, stats.candidates_ignored), (4, 4));
    assert_eq!(solo.agent.candidate_pairs().count(), 1);
    // Who is signalled is no stranger.
    let peer = Candidate::host(remote(1));
    solo.agent.add_remote_candidate(solo.now, peer).unwrap();
    assert_eq!(solo.agent.candidate_pairs().count(), 2);
}
