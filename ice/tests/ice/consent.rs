//! Consent freshness (RFC 7675), the faster `disconnected`, and a lite agent's liveness.

use std::sync::Arc;
use std::time::Duration;

use floe_ice::{
    Candidate, Config, DropReason, Event, Initiation, Mode, Pacer, PairState, Reason, Received,
    State, Timing,
};
use floe_stun::{AttributeType, ErrorCode, IntegrityKey, Method, RoleAttribute, Writer};

use crate::support::solo::{
    Solo, controlled_with_pairs, in_a_call, in_a_call_with, remote, success,
};
use crate::support::{connected, full_and_lite, ms, secs, signal};

/// What the test does with the agent's checks.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Answers,
    Silent,
}

fn consent_times(solo: &mut Solo, how_long: Duration, peer: Mood) -> Vec<Duration> {
    let end = solo.now + how_long;
    let mut times = Vec::new();
    while solo.now < end {
        solo.run_for(ms(10));
        for check in solo.take_requests() {
            times.push(check.at);
            if peer == Mood::Answers {
                let _ = solo.answer(&check);
            }
        }
    }
    times
}

// req: I20
#[test]
fn consent_checks_come_every_four_to_six_seconds_each_a_transaction_of_its_own() {
    let mut solo = in_a_call();
    let mut ids = std::collections::HashSet::new();
    let mut times = Vec::new();
    for _ in 0..30_000 {
        solo.run_for(ms(10));
        for check in solo.take_requests() {
            assert!(ids.insert(check.id()));
            assert!(!check.message().use_candidate(), "we are controlled");
            times.push(check.at);
            let _ = solo.answer(&check);
        }
    }
    let gaps: Vec<Duration> = times.windows(2).map(|two| two[1] - two[0]).collect();
    assert!((48..=75).contains(&gaps.len()), "{} in 300 s", gaps.len());
    assert!(
        gaps.iter().all(|gap| (secs(4)..=secs(6)).contains(gap)),
        "{gaps:?}"
    );
    let spread = *gaps.iter().max().unwrap() - *gaps.iter().min().unwrap();
    assert!(spread > secs(1), "the interval is random");
    assert_eq!(solo.agent.state(), State::Connected);
}

// req: I20
#[test]
fn the_controlling_side_nominates_with_every_consent_check() {
    let mut story = connected(1);
    let tap = story.network.wiretap();
    story.run_for(secs(60));
    let from_a: Vec<_> = tap
        .take()
        .into_iter()
        .filter(|(_, d)| d.source == story.a.addresses[0])
        .collect();
    let checks: Vec<bool> = from_a
        .iter()
        .filter_map(|(_, datagram)| {
            let message = floe_stun::Message::parse(&datagram.bytes).unwrap();
            (message.class() == floe_stun::Class::Request).then(|| message.use_candidate())
        })
        .collect();
    assert!(checks.len() >= 9 && checks.iter().all(|nominating| *nominating));
}

// req: I20 I21 R40 R41
#[test]
fn a_dead_peer_is_noticed_in_seconds_and_given_up_after_thirty() {
    let mut story = connected(1);
    story.run_for(secs(60));
    story.network.cut();
    let cut = story.elapsed();
    story.drive_until(|a, _| a.state() == State::Disconnected);
    let noticed = story.elapsed() - cut;
    assert!((secs(5)..secs(12)).contains(&noticed), "{noticed:?}");
    assert_eq!(
        story.a.last_transition().reason,
        Reason::ConsentChecksMissed
    );
    assert!(story.a.agent.send_path().is_some(), "consent lasts");
    story.drive_until(|a, _| a.state() == State::Failed);
    let given_up = story.elapsed() - cut;
    assert!((secs(24)..=ms(30_100)).contains(&given_up), "{given_up:?}");
    assert_eq!(story.a.last_transition().reason, Reason::ConsentExpired);
    assert_eq!(story.a.agent.send_path(), None);
    assert_eq!(story.a.agent.poll_timeout(), None);
}

// req: I20
#[test]
fn consent_ends_thirty_seconds_after_the_last_response() {
    let mut solo = in_a_call();
    let _ = consent_times(&mut solo, secs(20), Mood::Answers);
    let before = solo.agent.consent_age(solo.now).unwrap();
    let left = secs(30) - before;
    solo.run_for(left - ms(1));
    assert!(solo.agent.send_path().is_some());
    solo.run_for(ms(1));
    assert_eq!(solo.agent.send_path(), None);
}

// req: I20 I21
#[test]
fn neither_requests_nor_media_extend_consent() {
    let mut solo = in_a_call();
    let mut elapsed = Duration::ZERO;
    while solo.agent.send_path().is_some() {
        solo.run_for(ms(500));
        elapsed += ms(500);
        let request = solo.check().nominating().bytes();
        let _ = solo.receive(remote(0), &request);
        solo.agent.note_authenticated_traffic(solo.now);
        let suspected =
            solo.agent.send_path().is_some() && solo.agent.state() == State::Disconnected;
        assert!(!suspected, "traffic keeps suspicion away");
    }
    assert!(elapsed <= ms(30_500), "{elapsed:?}");
    solo.drain();
    assert_eq!(
        solo.transitions().last().unwrap().reason,
        Reason::ConsentExpired
    );
}

// req: I21
#[test]
fn traffic_after_the_suspicion_takes_it_back() {
    let mut solo = in_a_call();
    solo.run_for(secs(14));
    assert_eq!(solo.agent.state(), State::Disconnected);
    solo.agent.note_authenticated_traffic(solo.now);
    assert_eq!(solo.agent.state(), State::Connected);
    // Not for ever: five seconds of silence bring it back.
    solo.run_for(ms(4900));
    assert_eq!(solo.agent.state(), State::Connected);
    solo.run_for(ms(200));
    assert_eq!(solo.agent.state(), State::Disconnected);
}

// req: I21
#[test]
fn the_first_miss_is_followed_by_probes() {
    let mut solo = in_a_call();
    let times = consent_times(&mut solo, secs(12), Mood::Silent);
    let first = times[0];
    let offsets: Vec<u128> = times
        .iter()
        .take(6)
        .map(|at| (*at - first).as_millis())
        .collect();
    assert_eq!(offsets, [0, 500, 1000, 1500, 2000, 2500]);
    let disconnected = solo.transitions().last().unwrap().at;
    assert_eq!(
        disconnected - sim::Clock::epoch(),
        first + secs(5),
        "five seconds from the first unanswered check"
    );
    let after: Vec<Duration> = times
        .iter()
        .copied()
        .filter(|at| *at > first + ms(5500))
        .collect();
    assert!(
        after.windows(2).all(|two| two[1] - two[0] == secs(1)),
        "{after:?}"
    );
}

/// Silence for 300 agents at once: how many checks they send in 20 s, and how many see it.
fn silence_for_many(probes: Option<Arc<Pacer>>) -> (usize, usize) {
    let mut config = Config::default();
    config.probes = probes;
    let mut solos: Vec<Solo> = (0..300).map(|_| in_a_call_with(config.clone())).collect();
    let mut checks = 0;
    for _ in 0..200 {
        for solo in &mut solos {
            solo.run_for(ms(100));
            checks += solo.take_requests().len();
        }
    }
    let doubtful = |solo: &&Solo| solo.agent.state() == State::Disconnected;
    (checks, solos.iter().filter(doubtful).count())
}

// When all paths fall silent at once, it is this machine that is late: ten times as many checks would keep it so.
// req: I21
#[test]
fn many_agents_in_doubt_share_a_pace_of_probes() {
    let slow = Pacer::new(ms(100));
    let (checks, doubtful) = silence_for_many(Some(Arc::new(slow)));
    // Consent's own rate, and the probes there is a pace for: ten a second, ten at once.
    assert!((300 * 4..=300 * 5 + 210).contains(&checks), "{checks}");
    assert_eq!(doubtful, 300);
    let (checks, doubtful) = silence_for_many(None);
    assert!(checks > 300 * 18, "{checks}");
    assert_eq!(doubtful, 300);
    let mut one = in_a_call();
    one.run_for(secs(20));
    assert!(one.take_requests().len() > 18);
}

// req: I21
#[test]
fn misses_and_time_are_both_needed_and_configurable() {
    let mut timing = Timing::default();
    timing.disconnected_misses = 10;
    timing.disconnected_after = secs(1);
    let mut solo = in_a_call();
    solo.agent.set_timing(solo.now, timing);
    let times = consent_times(&mut solo, secs(13), Mood::Silent);
    let first = times[0];
    let transition = *solo.transitions().last().unwrap();
    assert_eq!(transition.to, State::Disconnected);
    assert_eq!(
        transition.at - sim::Clock::epoch(),
        first + secs(5),
        "the tenth miss, 500 ms each"
    );
}

// req: I20 I21
#[test]
fn a_late_answer_to_any_recent_check_renews() {
    let mut solo = in_a_call();
    solo.run_for(secs(20));
    assert_eq!(solo.agent.state(), State::Disconnected);
    let checks = solo.take_requests();
    assert!(checks.len() >= 8);
    // The oldest unanswered one, sent some fifteen seconds ago.
    assert_eq!(solo.answer(&checks[0]), Received::Handled);
    assert_eq!(solo.agent.state(), State::Connected);
    assert_eq!(solo.transitions().last().unwrap().reason, Reason::Recovered);
    assert_eq!(solo.agent.consent_age(solo.now), Some(Duration::ZERO));
    // All that are outstanding count, once each.
    assert_eq!(solo.answer(&checks[7]), Received::Handled);
    assert_eq!(
        solo.answer(&checks[7]),
        Received::Dropped(DropReason::UnknownTransaction)
    );
}

// req: I20
#[test]
fn a_forbidden_answer_revokes_at_once_and_for_good() {
    let mut solo = in_a_call();
    solo.run_for(secs(6));
    let checks = solo.take_requests();
    let forbidden = solo.error_to(&checks[0], ErrorCode::FORBIDDEN);
    let _ = solo.receive(remote(0), &forbidden);
    assert_eq!(solo.agent.send_path(), None);
    solo.drain();
    assert_eq!(
        solo.transitions().last().unwrap().reason,
        Reason::ConsentRevoked
    );
    // The same credentials never regain that five-tuple; the request is answered all the same.
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    solo.run_for(secs(2));
    assert_eq!(solo.take_requests().len(), 0);
    assert_eq!(solo.agent.send_path(), None);
    assert!(!solo.agent.accepts_from(&floe_ice::FiveTuple::udp(
        crate::support::solo::local(),
        remote(0)
    )));
    // Another one is another matter.
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(1), &request);
    solo.run_for(ms(50));
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(1));
    assert_eq!(solo.agent.state(), State::Connected);
}

// req: I20
#[test]
fn a_forged_forbidden_revokes_nothing() {
    let mut solo = in_a_call();
    solo.run_for(secs(6));
    let checks = solo.take_requests();
    let peer = solo.peer.clone();
    solo.peer = floe_ice::Parameters::new("peer", "a-password-somebody-guessed").unwrap();
    let forged = solo.error_to(&checks[0], ErrorCode::FORBIDDEN);
    solo.peer = peer;
    assert_eq!(
        solo.receive(remote(0), &forged),
        Received::Dropped(DropReason::BadIntegrity)
    );
    assert!(solo.agent.send_path().is_some());
    assert_eq!(solo.answer(&checks[0]), Received::Handled);
}

// req: I20
#[test]
fn a_closed_dtls_connection_revokes_consent() {
    for reason in [Reason::PeerClosed, Reason::DtlsFailed] {
        let mut solo = in_a_call();
        solo.agent.revoke_consent(solo.now, reason);
        solo.drain();
        assert_eq!(solo.agent.send_path(), None);
        assert_eq!(solo.transitions().last().unwrap().reason, reason);
    }
}

// req: I20
#[test]
fn revoked_consent_is_revoked_on_every_pair_and_in_every_generation() {
    for restarting in [false, true] {
        let mut story = connected(2);
        let now = story.now();
        let spare = story
            .b
            .agent
            .candidate_pairs()
            .filter(|pair| pair.state == PairState::Succeeded)
            .count();
        assert!(spare > 1, "another pair could be fallen back to");
        if restarting {
            story.b.agent.restart(now, None, None).unwrap();
        }
        story.b.agent.revoke_consent(now, Reason::PeerClosed);
        let sent = story.b.agent.stats().requests_sent;
        for _ in 0..60 {
            story.run_for(secs(1));
            assert_eq!(story.b.agent.send_path(), None);
            assert_eq!(story.b.agent.usable_path(), None);
        }
        assert_eq!(story.b.state(), State::Failed);
        assert_eq!(story.b.last_transition().reason, Reason::PeerClosed);
        assert_eq!(story.b.agent.stats().requests_sent, sent);
    }
}

// req: I22
#[test]
fn a_lite_agent_lives_by_requests() {
    let mut story = full_and_lite();
    signal(&mut story);
    story.run_for(secs(100));
    assert_eq!(story.b.state(), State::Completed);
    assert_eq!(story.b.agent.stats().requests_sent, 0);
    assert!(story.b.agent.consent_age(story.now()).unwrap() <= secs(7));
    story.network.cut();
    let last = story.now() - story.b.agent.consent_age(story.now()).unwrap();
    story.drive_until(|_, b| b.state() == State::Disconnected);
    assert_eq!(story.now() - last, secs(10));
    assert_eq!(story.b.last_transition().reason, Reason::RequestsMissed);
    story.drive_until(|_, b| b.state() == State::Failed);
    assert_eq!(story.now() - last, secs(30));
    assert_eq!(story.b.last_transition().reason, Reason::RequestsStopped);
    assert_eq!(story.b.agent.send_path(), None);
}

// req: I22
#[test]
fn a_lite_agent_recovers_with_the_next_request() {
    let mut story = full_and_lite();
    signal(&mut story);
    story.run_for(secs(5));
    story.network.cut();
    story.drive_until(|_, b| b.state() == State::Disconnected);
    story.network.heal();
    story.drive_until(|_, b| b.state() == State::Completed);
    assert_eq!(story.b.last_transition().reason, Reason::Recovered);
}

// req: I22 I14
#[test]
fn a_lite_agent_whose_peer_never_comes_fails_with_a_reason() {
    let mut solo = Solo::new(Mode::Lite, Initiation::Responding, Config::default());
    let host = Candidate::host(crate::support::solo::local());
    solo.agent.add_local_candidate(solo.now, host).unwrap();
    solo.agent.local_candidates_complete(solo.now);
    solo.meet();
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(0)))
        .unwrap();
    solo.run_for(secs(60));
    let last = *solo.transitions().last().unwrap();
    assert_eq!(
        (last.to, last.reason),
        (State::Failed, Reason::RequestsStopped)
    );
    assert_eq!(last.at - sim::Clock::epoch(), ms(39_500));
}

// req: I24
#[test]
fn timers_change_at_run_time() {
    let mut solo = in_a_call();
    let _ = consent_times(&mut solo, secs(30), Mood::Answers);
    solo.agent.set_timing(solo.now, Timing::low_power());
    let start = solo.elapsed();
    let slow = consent_times(&mut solo, secs(100), Mood::Answers);
    assert!((8..=13).contains(&slow.len()), "{} in 100 s", slow.len());
    assert!(slow[0] - start <= secs(12));
    // Faster again: the pending check is drawn anew, not waited out.
    solo.agent.set_timing(solo.now, Timing::livekit());
    let start = solo.elapsed();
    let fast = consent_times(&mut solo, secs(20), Mood::Answers);
    assert!(fast[0] - start <= ms(2400), "{:?}", fast[0] - start);
    assert!((8..=13).contains(&fast.len()));
    // And the consent timeout is the preset's: 15 s.
    let age = solo.agent.consent_age(solo.now).unwrap();
    solo.run_for(secs(15) - age);
    assert_eq!(solo.agent.send_path(), None);
}

// req: I24
#[test]
fn a_pending_consent_check_is_drawn_anew() {
    let mut solo = in_a_call();
    solo.agent.set_timing(solo.now, Timing::low_power());
    let check = loop {
        solo.run_for(ms(100));
        if let Some(check) = solo.take_requests().pop() {
            break check;
        }
    };
    let _ = solo.answer(&check);
    // The next one would be many seconds away.
    solo.agent.set_timing(solo.now, Timing::livekit());
    solo.run_for(ms(2500));
    assert!(!solo.take_requests().is_empty());
}

// req: I24
#[test]
fn a_pending_ordinary_check_comes_at_the_new_pace() {
    let mut config = Config::default();
    config.timing.pacing = secs(10);
    let mut solo = Solo::checking(Initiation::Initiating, config, &[]);
    for n in 0..2 {
        solo.agent
            .add_remote_candidate(solo.now, Candidate::host(remote(n)))
            .unwrap();
    }
    solo.run_for(ms(100));
    assert_eq!(solo.take_requests().len(), 1);
    solo.agent.set_timing(solo.now, Timing::default());
    solo.run_for(ms(50));
    assert_eq!(solo.take_requests().len(), 1, "not after ten seconds");
}

// req: I24
#[test]
fn the_livekit_preset_disconnects_after_ten_and_fails_after_fifteen_seconds() {
    let mut solo = in_a_call();
    solo.agent.set_timing(solo.now, Timing::livekit());
    let _ = consent_times(&mut solo, secs(10), Mood::Answers);
    solo.agent.local_candidates_complete(solo.now);
    solo.agent.remote_candidates_complete(solo.now);
    let last = solo.now - solo.agent.consent_age(solo.now).unwrap();
    solo.run_for(secs(60));
    let transitions = solo.transitions();
    let [.., disconnected, failed] = &transitions[..] else {
        panic!("two transitions at the end")
    };
    assert_eq!(disconnected.to, State::Disconnected);
    assert!(
        (ms(10_000)..=ms(12_500)).contains(&(disconnected.at - last)),
        "{:?}",
        disconnected.at - last
    );
    // The patience of RFC 8863 is over only later in this young session.
    assert_eq!(failed.to, State::Failed);
}

// req: I9 I20
#[test]
fn a_stale_conflict_answer_to_a_consent_check_turns_nothing_around() {
    let mut solo = in_a_call();
    solo.run_for(secs(6));
    let checks = solo.take_requests();
    // The peer flips its role; our tie-breaker decides.
    let mut flipped = solo.check();
    flipped.role = Some(RoleAttribute::Controlled(0));
    let _ = solo.receive(remote(0), &flipped.bytes());
    assert_eq!(solo.agent.role(), Some(floe_ice::Role::Controlling));
    let conflicts = solo.agent.stats().role_conflicts;
    // The answer to what was sent in the old role.
    let conflict = solo.error_to(&checks[0], ErrorCode::ROLE_CONFLICT);
    assert_eq!(solo.receive(remote(0), &conflict), Received::Handled);
    assert_eq!(solo.agent.role(), Some(floe_ice::Role::Controlling));
    assert_eq!(
        solo.agent.consent_age(solo.now),
        Some(Duration::ZERO),
        "but it was the peer that answered"
    );
    assert_eq!(solo.agent.stats().role_conflicts, conflicts);
}

// req: I20
#[test]
fn an_unmatched_or_spoofed_response_renews_nothing() {
    let mut solo = in_a_call();
    solo.run_for(secs(6));
    let checks = solo.take_requests();
    let unknown = success(
        floe_stun::TransactionId::from_bytes([7; 12]),
        remote(0),
        solo.peer.password(),
    );
    assert_eq!(
        solo.receive(remote(0), &unknown),
        Received::Dropped(DropReason::UnknownTransaction)
    );
    let elsewhere = solo.success_to(&checks[0], checks[0].path.local);
    assert_eq!(
        solo.receive(remote(3), &elsewhere),
        Received::Dropped(DropReason::AsymmetricResponse)
    );
    assert!(solo.agent.consent_age(solo.now).unwrap() >= secs(4));
}

// req: I20
#[test]
fn an_answer_to_a_check_of_more_than_thirty_seconds_ago_renews_nothing() {
    let mut solo = in_a_call();
    solo.run_for(ms(6600));
    let checks = solo.take_requests();
    assert!(checks.len() >= 2);
    // The second one is answered; the first goes astray.
    assert_eq!(solo.answer(&checks[1]), Received::Handled);
    while solo.elapsed() <= checks[0].at + secs(30) {
        solo.run_for(ms(100));
        for check in solo.take_requests() {
            let _ = solo.answer(&check);
        }
    }
    solo.run_for(secs(1));
    let age = solo.agent.consent_age(solo.now);
    assert_eq!(
        solo.answer(&checks[0]),
        Received::Dropped(DropReason::UnknownTransaction)
    );
    assert_eq!(solo.agent.consent_age(solo.now), age);
}

// req: I21
#[test]
fn misses_are_counted_in_a_row() {
    // With an RTO of 4 s two misses take eight seconds, and the path is not suspect before the third.
    let mut timing = Timing::default();
    timing.rto = secs(4);
    let config = Config::with_timing(timing);
    let mut solo = Solo::checking(Initiation::Responding, config, &[remote(0)]);
    let check = solo.take_requests().pop().unwrap();
    let _ = solo.answer(&check);
    let nomination = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &nomination);
    let mut sent = 0;
    for _ in 0..3000 {
        solo.run_for(ms(50));
        for check in solo.take_requests() {
            sent += 1;
            if sent % 3 == 0 {
                let _ = solo.answer(&check);
            }
        }
        assert_eq!(solo.agent.state(), State::Connected, "after {sent} checks");
    }
    assert!(sent > 20, "{sent}");
}

// req: I20
#[test]
fn where_consent_has_ended_the_peer_s_checks_are_forbidden() {
    let mut solo = in_a_call();
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(5)))
        .unwrap();
    solo.run_for(secs(7));
    let checks = solo.take_requests();
    let consent = checks.iter().find(|check| check.path.remote == remote(0));
    let forbidden = solo.error_to(consent.unwrap(), ErrorCode::FORBIDDEN);
    let _ = solo.receive(remote(0), &forbidden);
    assert_eq!(solo.agent.send_path(), None);
    assert_ne!(solo.agent.state(), State::Failed, "the other may work yet");
    // Success would tell the peer that the path works, on which we may not send any more (RFC 7675 §5.1).
    for (n, expected) in [(0, Some(ErrorCode::FORBIDDEN)), (5, None)] {
        solo.take();
        let request = solo.check().nominating();
        let _ = solo.receive(remote(n), &request.bytes());
        let sent = solo.take();
        let answers = sent.iter().filter(|s| s.id() == request.transaction_id());
        let codes: Vec<_> = answers
            .map(|answer| answer.message().error_code())
            .collect();
        assert_eq!(codes, [expected]);
    }
    assert_eq!(solo.agent.send_path(), None);
}

// req: I20 S5
#[test]
fn an_answer_that_is_not_understood_renews_consent_and_is_not_believed() {
    for code in [ErrorCode::FORBIDDEN, ErrorCode::ROLE_CONFLICT] {
        let mut solo = in_a_call();
        solo.run_for(secs(6));
        let check = solo.take_requests().remove(0);
        let key = IntegrityKey::short_term(solo.peer.password().as_bytes());
        let mut buf = [0; 200];
        let len = Writer::error(&mut buf, Method::BINDING, check.id(), code)
            .attribute(AttributeType::new(0x7ff0), &[])
            .integrity(&key)
            .fingerprint()
            .unwrap();
        assert_eq!(solo.receive(remote(0), &buf[..len]), Received::Handled);
        assert_eq!(solo.agent.consent_age(solo.now), Some(Duration::ZERO));
        assert_eq!(solo.agent.role(), Some(floe_ice::Role::Controlled));
        assert_eq!(solo.agent.send_path().unwrap().remote, remote(0));
        assert_eq!(solo.agent.stats().error_responses_received, 1);
    }
}

// req: I20 I65
#[test]
fn where_consent_has_ended_a_request_of_a_peer_to_come_is_answered_and_held() {
    let mut solo = in_a_call();
    solo.run_for(secs(6));
    let check = solo.take_requests().remove(0);
    let forbidden = solo.error_to(&check, ErrorCode::FORBIDDEN);
    let _ = solo.receive(remote(0), &forbidden);
    assert_eq!(solo.agent.send_path(), None);
    // The peer's next generation may ask here before it is signalled: 403 would end its consent before it began.
    let mut request = solo.check().nominating();
    for (from, expected) in [
        (request.from.clone(), Some(ErrorCode::FORBIDDEN)),
        ("of-a-restart".to_owned(), None),
    ] {
        solo.take();
        request.from = from;
        assert_eq!(solo.receive(remote(0), &request.bytes()), Received::Handled);
        let sent = solo.take();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].message().error_code(), expected);
        assert_eq!(solo.agent.send_path(), None);
    }
}

// req: I20
#[test]
fn an_answer_counts_for_thirty_seconds_to_the_millisecond() {
    for (late, counts) in [(ms(0), true), (ms(1), false)] {
        let mut solo = in_a_call();
        solo.run_for(ms(6600));
        let checks = solo.take_requests();
        assert_eq!(solo.answer(&checks[1]), Received::Handled);
        let end = checks[0].at + secs(30) + late;
        while solo.elapsed() < end {
            solo.run_for(ms(100).min(end - solo.elapsed()));
            for check in solo.take_requests() {
                let _ = solo.answer(&check);
            }
        }
        let received = solo.answer(&checks[0]);
        assert_eq!(received == Received::Handled, counts, "{late:?}");
    }
}

// req: I20
#[test]
fn the_first_consent_check_counts_from_the_last_answer_and_not_from_the_selection() {
    let mut solo = controlled_with_pairs(2);
    let answered = solo.elapsed();
    solo.run_for(ms(3500));
    solo.take();
    let other = solo
        .agent
        .candidate_pairs()
        .map(|pair| pair.pair)
        .find(|pair| Some(pair.path) != solo.agent.send_path())
        .unwrap();
    let nomination = solo.check().nominating().bytes();
    let _ = solo.receive(other.path.remote, &nomination);
    assert_eq!(solo.agent.send_path(), Some(other.path));
    solo.run_for(secs(7));
    let checks = solo.take_requests();
    let first = checks
        .iter()
        .find(|check| check.path == other.path)
        .unwrap()
        .at;
    assert!(first <= answered + secs(6), "{first:?}, {answered:?}");
}

// req: I21
#[test]
fn a_probe_that_finds_no_slot_is_missed_at_its_regular_time_and_once() {
    let pacer = Arc::new(Pacer::new(secs(1000)));
    let mut config = Config::default();
    config.probes = Some(pacer.clone());
    let mut solo = in_a_call_with(config);
    pacer.reserve(solo.now);
    let times = consent_times(&mut solo, secs(25), Mood::Silent);
    let gaps: Vec<_> = times.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(gaps.len() >= 3 && gaps.iter().all(|gap| *gap == secs(5)));
    let transition = *solo.transitions().last().unwrap();
    assert_eq!(transition.to, State::Disconnected);
    let third_miss = times[0] + secs(15);
    assert_eq!(transition.at - sim::Clock::epoch(), third_miss);
}

// req: I21
#[test]
fn the_slots_of_a_second_go_at_once() {
    let pacer = Arc::new(Pacer::new(ms(100)));
    let mut config = Config::default();
    config.probes = Some(pacer);
    let mut solos: Vec<Solo> = (0..20).map(|_| in_a_call_with(config.clone())).collect();
    let mut first = Duration::ZERO;
    for solo in &mut solos {
        while solo.sent.is_empty() {
            solo.run_for(ms(10));
        }
        first = solo.take_requests()[0].at;
    }
    // All that began alike ask alike: half a second later, for a probe.
    let probes: usize = solos
        .iter_mut()
        .map(|solo| {
            solo.run_for(first + ms(520) - solo.elapsed());
            solo.take_requests().len()
        })
        .sum();
    assert_eq!(probes, 10);
}

// req: I21
#[test]
fn a_path_in_doubt_is_probed_no_faster_than_its_first_wait() {
    let mut timing = Timing::default();
    timing.rto = secs(3);
    let mut solo = in_a_call();
    solo.agent.set_timing(solo.now, timing);
    let times = consent_times(&mut solo, secs(25), Mood::Silent);
    assert_eq!(solo.agent.state(), State::Disconnected);
    assert!(times.len() >= 6);
    assert!(times.windows(2).all(|two| two[1] - two[0] == secs(3)));
}

// req: I20
#[test]
fn a_refusal_is_remembered_however_long_the_next_path_has_been_in_use() {
    let mut solo = in_a_call();
    solo.run_for(secs(6));
    let check = solo.take_requests().remove(0);
    let forbidden = solo.error_to(&check, ErrorCode::FORBIDDEN);
    let _ = solo.receive(remote(0), &forbidden);
    let nomination = solo.check().nominating().bytes();
    let _ = solo.receive(remote(1), &nomination);
    solo.run_for(ms(60));
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    // The search is long over.
    let _ = consent_times(&mut solo, secs(120), Mood::Answers);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(1));
    let nomination = solo.check().nominating();
    let _ = solo.receive(remote(0), &nomination.bytes());
    solo.run_for(ms(60));
    let sent = solo.take();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].message().error_code(), Some(ErrorCode::FORBIDDEN));
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(1));
}

// req: I6 I13
#[test]
fn a_request_at_an_address_that_is_not_ours_yet_is_remembered_through_a_long_call() {
    let mut solo = in_a_call();
    let late = crate::support::address(1, 5);
    let request = solo.check().bytes();
    let path = floe_ice::FiveTuple::udp(late, remote(9));
    let received = solo.agent.handle_datagram(solo.now, path, &request);
    assert_eq!(received, Received::Handled);
    assert_eq!(solo.take().len(), 1, "the answer");
    let _ = consent_times(&mut solo, secs(120), Mood::Answers);
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(late))
        .unwrap();
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    assert!(checks.iter().any(|check| check.path == path));
}

// req: I12
#[test]
fn the_wait_for_more_candidates_goes_on_through_a_call() {
    let mut solo = in_a_call();
    solo.agent.local_candidates_complete(solo.now);
    let _ = consent_times(&mut solo, secs(30), Mood::Answers);
    let since = solo.elapsed();
    // Of a transport that we do not speak: it makes no pair.
    let tcp = Candidate::host(remote(3)).over_tcp(floe_ice::TcpType::Passive);
    solo.agent.add_remote_candidate(solo.now, tcp).unwrap();
    let _ = consent_times(&mut solo, secs(30), Mood::Answers);
    let _ = solo.agent.remove_remote_candidate(solo.now, remote(0));
    assert_eq!(solo.agent.send_path(), None);
    solo.run_for(since + ms(39_400) - solo.elapsed());
    assert_eq!(solo.agent.state(), State::Disconnected);
    solo.run_for(ms(200));
    assert_eq!(solo.agent.state(), State::Failed);
}

/// Why the path that was in use ended, each time it did.
fn losses(solo: &Solo) -> Vec<Reason> {
    let loss = |event: &Event| match event {
        Event::SendPathLost(reason) => Some(*reason),
        _ => None,
    };
    solo.events.iter().filter_map(loss).collect()
}

// req: I20
#[test]
fn consent_that_expires_while_candidates_may_still_come_says_so() {
    let mut solo = in_a_call();
    solo.run_for(secs(20));
    assert_eq!(solo.agent.state(), State::Disconnected);
    assert!(solo.agent.send_path().is_some());
    assert_eq!(losses(&solo), []);
    let transitions = solo.transitions().len();
    solo.run_for(secs(20));
    assert_eq!(solo.agent.send_path(), None);
    assert_eq!(losses(&solo), [Reason::ConsentExpired]);
    assert_eq!(solo.agent.state(), State::Disconnected);
    assert_eq!(
        solo.transitions().len(),
        transitions,
        "no state has changed"
    );
    // Nothing is to come any more: it fails, for that reason, and no path is lost twice.
    solo.agent.local_candidates_complete(solo.now);
    solo.agent.remote_candidates_complete(solo.now);
    solo.run_for(secs(60));
    let last = *solo.transitions().last().unwrap();
    assert_eq!(
        (last.to, last.reason),
        (State::Failed, Reason::ConsentExpired)
    );
    assert_eq!(losses(&solo), [Reason::ConsentExpired]);
}

// req: I20
#[test]
fn each_end_of_a_path_is_told_with_its_reason_before_the_state_it_leads_to() {
    type End = fn(&mut Solo);
    let ends: [(Reason, End); 5] = [
        (Reason::ConsentRevoked, |solo| {
            solo.run_for(secs(6));
            let check = solo.take_requests().remove(0);
            let refusal = solo.error_to(&check, ErrorCode::FORBIDDEN);
            let _ = solo.receive(remote(0), &refusal);
        }),
        (Reason::PeerClosed, |solo| {
            solo.agent.revoke_consent(solo.now, Reason::PeerClosed);
        }),
        (Reason::DtlsFailed, |solo| {
            solo.agent.revoke_consent(solo.now, Reason::DtlsFailed);
        }),
        (Reason::CandidateRemoved, |solo| {
            let _ = solo.agent.remove_remote_candidate(solo.now, remote(0));
        }),
        (Reason::PairVetoed, |solo| {
            let pair = solo.agent.selected_candidate_pair().unwrap().id;
            solo.agent.veto(solo.now, pair).unwrap();
        }),
    ];
    for (reason, end) in ends {
        let mut solo = in_a_call();
        solo.events.clear();
        end(&mut solo);
        solo.drain();
        assert_eq!(solo.agent.send_path(), None);
        assert_eq!(losses(&solo), [reason]);
        let place = |wanted: fn(&Event) -> bool| solo.events.iter().position(wanted);
        let lost = place(|event| matches!(event, Event::SendPathLost(_)));
        let changed = place(|event| matches!(event, Event::StateChange(_)));
        assert!(lost < changed, "{:?}", solo.events);
        assert_eq!(solo.transitions()[0].reason, reason);
    }
    // Another pair takes over: nothing is lost.
    let mut solo = controlled_with_pairs(2);
    let path = solo.agent.send_path();
    let pair = solo.agent.selected_candidate_pair().unwrap().id;
    solo.agent.veto(solo.now, pair).unwrap();
    solo.drain();
    assert!(solo.agent.send_path().is_some() && solo.agent.send_path() != path);
    assert_eq!(losses(&solo), []);
    // What the application ends itself it knows.
    solo.agent.close(solo.now);
    solo.drain();
    assert_eq!(losses(&solo), []);
}

// req: I15 I21
#[test]
fn traffic_speaks_for_the_path_of_the_old_generation_too() {
    for heard in [true, false] {
        let mut solo = in_a_call();
        solo.agent.restart(solo.now, None, None).unwrap();
        for _ in 0..20 {
            solo.run_for(secs(1));
            if heard {
                solo.agent.note_authenticated_traffic(solo.now);
            }
        }
        let doubted = State::Disconnected;
        let transitions = solo.transitions();
        assert_eq!(transitions.iter().any(|t| t.to == doubted), !heard);
    }
}
