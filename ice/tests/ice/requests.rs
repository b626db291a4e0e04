//! The peer's checks: how they are answered, what they trigger, what is held until more is known (RFC 8445 §7.3).

use std::net::SocketAddr;
use std::time::Duration;

use floe_ice::{
    Candidate, Config, DropReason, Freezing, Initiation, Mode, PairState, Received, State,
};
use floe_stun::{AttributeType, Class, ErrorCode, IntegrityAlgorithm, IntegrityKey};

use crate::support::solo::{Solo, first_transmissions, local, remote, remotes};
use crate::support::{address, ms, secs};

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
    let told: Vec<_> = solo.take().into_iter().filter(to_it).collect();
    let told: Vec<_> = told.iter().map(crate::refusals::refusal).collect();
    assert_eq!(told, [401], "no 420 without a MAC");
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

// req: I6 I65
#[test]
fn of_what_was_held_only_the_peer_s_own_is_acted_on() {
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, Config::default());
    let host = Candidate::host(local());
    solo.agent.add_local_candidate(solo.now, host).unwrap();
    for (n, from) in [(7, "peer"), (8, "somebody"), (9, "peers")] {
        let mut early = solo.check().nominating();
        early.from = from.to_owned();
        assert_eq!(solo.receive(remote(n), &early.bytes()), Received::Handled);
    }
    solo.take();
    solo.meet();
    let pairs: Vec<_> = solo
        .agent
        .candidate_pairs()
        .map(|p| p.pair.path.remote)
        .collect();
    assert_eq!(pairs, [remote(7)]);
    solo.run_for(secs(1));
    let checks = solo.take_requests();
    assert!(checks.iter().all(|check| check.path.remote == remote(7)));
    assert!(
        !solo
            .agent
            .accepts_from(&floe_ice::FiveTuple::udp(local(), remote(8)))
    );
}

/// An agent that knows nothing of its peer yet, on this socket or on none.
fn unacquainted(socket: Option<SocketAddr>) -> Solo {
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, Config::default());
    if let Some(socket) = socket {
        let host = Candidate::host(socket);
        solo.agent.add_local_candidate(solo.now, host).unwrap();
    }
    solo
}

// req: I6
#[test]
fn what_an_early_request_wished_is_not_taken_back_by_the_next_one() {
    let mut solo = unacquainted(Some(local()));
    let nominating = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &nominating);
    let plain = solo.check().bytes();
    let _ = solo.receive(remote(0), &plain);
    solo.meet();
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    assert!(solo.agent.selected_candidate_pair().unwrap().nominated);
}

// req: I6 I65
#[test]
fn early_requests_of_two_peers_on_one_path_are_two() {
    let mut solo = unacquainted(Some(local()));
    for from in ["somebody", "peer", "somebody"] {
        let mut request = solo.check();
        request.from = from.to_owned();
        assert_eq!(solo.receive(remote(0), &request.bytes()), Received::Handled);
    }
    solo.meet();
    let checks = solo.take_requests();
    assert_eq!(checks.len(), 1);
    assert_eq!(checks[0].path.remote, remote(0));
}

// req: I6 I66
#[test]
fn an_early_request_waits_for_the_candidate_it_arrived_at_and_is_on_its_base() {
    let mut solo = unacquainted(None);
    let request = solo.check().bytes();
    let _ = solo.receive(remote(0), &request);
    solo.meet();
    assert!(solo.take_requests().is_empty());
    assert_eq!(solo.agent.candidate_pairs().count(), 0);
    // The socket is bound to all addresses of its port.
    let wildcard = SocketAddr::new([0, 0, 0, 0].into(), local().port());
    let host = Candidate::host(wildcard).announced_as(address(7, 0));
    solo.agent.add_local_candidate(solo.now, host).unwrap();
    let checks = solo.take_requests();
    assert_eq!(checks.len(), 1);
    assert_eq!(checks[0].path.local, wildcard);
    assert_eq!(checks[0].path.remote, remote(0));
}

// req: I6 I10
#[test]
fn a_number_that_came_early_is_not_taken_back_by_a_smaller_one_that_is_late() {
    let mut solo = unacquainted(Some(local()));
    for (n, number) in [(0, 5), (1, 4), (0, 3)] {
        let mut request = solo.check().nominating();
        request.nomination = Some(number);
        let _ = solo.receive(remote(n), &request.bytes());
    }
    solo.meet();
    solo.run_for(ms(60));
    for check in solo.take_requests() {
        let _ = solo.answer(&check);
    }
    solo.run_for(secs(1));
    let selected = solo.agent.selected_candidate_pair().unwrap();
    assert!(selected.nominated);
    assert_eq!(selected.path.remote, remote(0));
}

// req: I6 I57
#[test]
fn early_requests_are_acted_on_in_the_order_in_which_they_came_last() {
    let mut solo = Solo::new(Mode::Lite, Initiation::Responding, Config::default());
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    for n in [0, 1, 2, 0] {
        let request = solo.check().bytes();
        let _ = solo.receive(remote(n), &request);
        solo.run_for(secs(1));
    }
    solo.meet();
    let latest = floe_ice::FiveTuple::udp(local(), remote(0));
    assert_eq!(solo.agent.usable_path(), Some(latest));
}

// req: I6 I22
#[test]
fn to_a_lite_agent_an_early_request_is_consent_from_when_it_came_and_no_longer() {
    let lasting = Config::default().timing.lite_timeout;
    for (waits, counts) in [(lasting - ms(1), true), (lasting, false)] {
        let mut solo = Solo::new(Mode::Lite, Initiation::Responding, Config::default());
        let host = Candidate::host(local());
        solo.agent.add_local_candidate(solo.now, host).unwrap();
        let request = solo.check().nominating().bytes();
        let _ = solo.receive(remote(0), &request);
        solo.run_for(waits);
        solo.meet();
        assert_eq!(solo.agent.send_path().is_some(), counts);
        assert_eq!(solo.agent.usable_path().is_some(), counts);
        assert_eq!(solo.agent.candidate_pairs().count(), usize::from(counts));
        if counts {
            assert_eq!(solo.agent.consent_age(solo.now), Some(waits));
            assert_eq!(solo.agent.state(), State::Disconnected, "it is long ago");
        }
        solo.run_for(ms(1));
        assert_eq!(solo.agent.send_path(), None);
        assert_ne!(solo.agent.state(), State::Connected);
    }
}

// req: I6 I9
#[test]
fn of_early_requests_on_one_path_the_last_says_which_role_the_peer_has() {
    use floe_stun::RoleAttribute::{Controlled, Controlling};
    for (roles, ours) in [
        (
            [Controlling(u64::MAX), Controlled(1)],
            floe_ice::Role::Controlling,
        ),
        (
            [Controlled(1), Controlling(u64::MAX)],
            floe_ice::Role::Controlled,
        ),
    ] {
        let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
        let host = Candidate::host(local());
        solo.agent.add_local_candidate(solo.now, host).unwrap();
        for role in roles {
            let mut request = solo.check();
            request.role = Some(role);
            let _ = solo.receive(remote(0), &request.bytes());
        }
        solo.meet();
        assert_eq!(solo.agent.role(), Some(ours));
    }
}

// req: S5
#[test]
fn what_is_not_understood_is_told_before_what_is_missing() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    solo.take();
    let mut request = solo.check();
    request.extra = Some(AttributeType::new(0x7ff1));
    request.priority = None;
    let _ = solo.receive(remote(0), &request.bytes());
    let answer = solo.take().remove(0);
    let code = answer.message().error_code();
    assert_eq!(code, Some(ErrorCode::UNKNOWN_ATTRIBUTE));
}

// req: I20 I66
#[test]
fn where_consent_has_ended_it_has_ended_however_our_address_is_spelt() {
    let mut solo = unacquainted(None);
    let wildcard = SocketAddr::new([0, 0, 0, 0].into(), local().port());
    let host = Candidate::host(wildcard).announced_as(address(7, 0));
    solo.agent.add_local_candidate(solo.now, host).unwrap();
    solo.meet();
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    solo.run_for(secs(6));
    let consent = solo.take_requests().remove(0);
    let refusal = solo.error_to(&consent, ErrorCode::FORBIDDEN);
    let _ = solo.receive(remote(0), &refusal);
    assert_eq!(solo.agent.send_path(), None);
    // As it was received, which is not as the pair had it.
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    let answer = solo.take().remove(0);
    assert_eq!(answer.message().error_code(), Some(ErrorCode::FORBIDDEN));
    assert_eq!(solo.agent.candidate_pairs().count(), 0);
}

// req: I6 I20
#[test]
fn what_was_held_revives_nothing_that_is_over() {
    let mut solo = unacquainted(None);
    solo.meet();
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    solo.agent
        .revoke_consent(solo.now, floe_ice::Reason::PeerClosed);
    assert_eq!(solo.agent.state(), State::Failed);
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    let path = floe_ice::FiveTuple::udp(local(), remote(0));
    assert!(!solo.agent.accepts_from(&path));
    assert_eq!(solo.agent.candidate_pairs().count(), 0);
    assert_eq!(solo.agent.state(), State::Failed);
}
