//! Timers: presets, changing them while they run, and late calls.

use std::time::Duration;

use floe_ice::{Candidate, Config, DropReason, Initiation, Mode, Reason, Received, State, Timing};
use floe_stun::ErrorCode;

use crate::support::solo::{Sent, Solo, in_a_call, local, remote};
use crate::support::{Peer, addresses, between, both_in_use, ms, secs, signal};

/// The next request, however long it takes.
fn next_request(solo: &mut Solo) -> Sent {
    loop {
        if let Some(request) = solo.take_requests().pop() {
            return request;
        }
        let next = solo.agent.poll_timeout().expect("something is to come");
        solo.run_for(next - solo.now);
    }
}

fn default_with(change: impl FnOnce(&mut Timing)) -> Timing {
    let mut timing = Timing::default();
    change(&mut timing);
    timing
}

// req: I20
#[test]
fn consent_intervals_are_uniform_between_four_and_six_seconds() {
    let mut solo = in_a_call();
    let mut last = next_request(&mut solo);
    let mut buckets = [0_u32; 10];
    for _ in 0..2000 {
        solo.run_for(ms(30));
        let _ = solo.answer(&last);
        let next = next_request(&mut solo);
        let gap = next.at - last.at;
        assert!((secs(4)..=secs(6)).contains(&gap), "{gap:?}");
        let bucket = ((gap - secs(4)).as_micros() / 200_001) as usize;
        buckets[bucket] += 1;
        last = next;
    }
    // 200 each, and six standard deviations either way.
    assert!(
        buckets.iter().all(|count| (120..=280).contains(count)),
        "{buckets:?}"
    );
}

// req: I20
#[test]
fn a_consent_check_is_never_sent_twice_whether_it_is_answered_or_not() {
    let mut solo = in_a_call();
    let mut ids = std::collections::HashSet::new();
    for _ in 0..200 {
        solo.run_for(ms(100));
        for request in solo.take_requests() {
            assert!(ids.insert(request.id()), "a repetition");
        }
    }
    assert!(ids.len() > 10, "{}", ids.len());
}

// req: I20
#[test]
fn media_and_the_peer_s_requests_never_move_the_consent_timer() {
    let times = |noise: fn(&mut Solo)| {
        let mut solo = in_a_call();
        let mut times = Vec::new();
        for _ in 0..6000 {
            solo.run_for(ms(10));
            noise(&mut solo);
            for request in solo.take_requests() {
                times.push(request.at);
                let _ = solo.answer(&request);
            }
        }
        times
    };
    let quiet = times(|_| {});
    assert!(quiet.len() >= 9);
    let media = times(|solo| solo.agent.note_authenticated_traffic(solo.now));
    assert_eq!(media, quiet);
    let requests = times(|solo| {
        let request = solo.check().bytes();
        let _ = solo.receive(remote(0), &request);
    });
    assert_eq!(requests, quiet);
}

// req: I20
#[test]
fn only_a_controlling_agent_nominates_with_its_consent_checks() {
    for initiation in [Initiation::Initiating, Initiation::Responding] {
        let mut solo = Solo::checking(initiation, Config::default(), &[remote(0)]);
        let check = next_request(&mut solo);
        let _ = solo.answer(&check);
        let nominates = initiation == Initiation::Initiating;
        if nominates {
            let nominating = next_request(&mut solo);
            let _ = solo.answer(&nominating);
        } else {
            let request = solo.check().nominating().bytes();
            let _ = solo.receive(remote(0), &request);
        }
        for _ in 0..5 {
            let consent = next_request(&mut solo);
            assert_eq!(consent.message().use_candidate(), nominates);
            let _ = solo.answer(&consent);
        }
    }
}

// req: I20
#[test]
fn an_expired_path_never_comes_back_under_those_credentials_and_does_under_new_ones() {
    let mut solo = in_a_call();
    solo.run_for(secs(40));
    assert_eq!(solo.agent.send_path(), None);
    let late = solo.take_requests().pop().unwrap();
    // Neither an answer, nor a request, nor the candidate told again.
    assert_eq!(
        solo.answer(&late),
        Received::Dropped(DropReason::UnknownTransaction)
    );
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    assert_eq!(solo.take().len(), 1, "answered, and no more");
    let _ = solo.agent.remove_remote_candidate(solo.now, remote(0));
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(0)))
        .unwrap();
    solo.run_for(secs(20));
    assert!(solo.take_requests().is_empty());
    assert_eq!(solo.agent.send_path(), None);
    // Another port of the same peer is another five-tuple, and new credentials are another matter.
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(1)))
        .unwrap();
    assert_eq!(next_request(&mut solo).path.remote, remote(1));
    solo.agent.restart(solo.now, None, None).unwrap();
    solo.peer = floe_ice::Parameters::new("next", "0123456789abcdefghijkl").unwrap();
    solo.meet();
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(0)))
        .unwrap();
    solo.take();
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    let check = loop {
        let check = next_request(&mut solo);
        if check.path.remote == remote(0) {
            break check;
        }
    };
    let _ = solo.answer(&check);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(0));
}

// req: I20
#[test]
fn no_refusal_is_forgotten_however_many_there_are() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &[]);
    for n in 0..64 {
        let request = solo.check().nominating().bytes();
        let _ = solo.receive(remote(n), &request);
        let check = next_request(&mut solo);
        assert_eq!(check.path.remote, remote(n));
        let forbidden = solo.error_to(&check, ErrorCode::FORBIDDEN);
        let _ = solo.receive(remote(n), &forbidden);
    }
    for n in 0..64 {
        let request = solo.check().nominating().bytes();
        let _ = solo.receive(remote(n), &request);
    }
    solo.run_for(secs(3));
    assert!(solo.take_requests().is_empty());
    // One more than can be remembered: the peer wants nothing of us, wherever it is.
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(99), &request);
    let check = next_request(&mut solo);
    let forbidden = solo.error_to(&check, ErrorCode::FORBIDDEN);
    let _ = solo.receive(remote(99), &forbidden);
    let last = *solo.transitions().last().unwrap();
    assert_eq!(
        (last.to, last.reason),
        (State::Failed, Reason::ConsentRevoked)
    );
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(100), &request);
    solo.run_for(secs(3));
    assert!(solo.take_requests().is_empty());
}

// req: I20
#[test]
fn what_expired_while_nobody_called_is_not_revived_by_a_late_datagram() {
    // An answer to a check that is young enough, when consent is over.
    let mut solo = in_a_call();
    let answered = next_request(&mut solo);
    let _ = solo.answer(&answered);
    let open = next_request(&mut solo);
    let expiry = answered.at + secs(30);
    assert!(
        expiry < open.at + secs(30),
        "the check alone would still count"
    );
    solo.now += expiry - solo.elapsed();
    assert_eq!(
        solo.answer(&open),
        Received::Dropped(DropReason::UnknownTransaction)
    );
    assert_eq!(solo.agent.send_path(), None);
    assert_eq!(
        solo.transitions().last().unwrap().reason,
        Reason::ConsentExpired
    );
}

// req: I22
#[test]
fn a_lite_agent_s_deadlines_hold_although_nobody_called_and_are_configurable() {
    let mut solo = Solo::new(Mode::Lite, Initiation::Responding, Config::default());
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    solo.meet();
    let nominate = |solo: &mut Solo| {
        let request = solo.check().nominating().bytes();
        solo.receive(remote(0), &request)
    };
    assert_eq!(nominate(&mut solo), Received::Handled);
    assert!(solo.agent.send_path().is_some());
    // Traffic that the caller authenticated puts off the suspicion, and not the end.
    for _ in 0..29 {
        solo.run_for(secs(1));
        solo.agent.note_authenticated_traffic(solo.now);
        assert_eq!(solo.agent.state(), State::Connected);
    }
    // Half a minute without a request, and then one, with no call in between.
    solo.now += secs(1);
    let _ = nominate(&mut solo);
    assert_eq!(solo.agent.send_path(), None, "it comes too late");
    assert_eq!(
        solo.transitions().last().unwrap().reason,
        Reason::RequestsStopped
    );

    let mut timing = Timing::default();
    timing.lite_disconnected_after = secs(3);
    timing.lite_timeout = secs(7);
    let mut solo = Solo::new(
        Mode::Lite,
        Initiation::Responding,
        Config::with_timing(timing),
    );
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    solo.meet();
    let _ = nominate(&mut solo);
    solo.run_for(secs(2));
    let _ = nominate(&mut solo);
    solo.run_for(secs(20));
    let ends: Vec<_> = solo
        .transitions()
        .iter()
        .map(|t| (t.to, t.reason, t.at - sim::Clock::epoch()))
        .skip(2)
        .collect();
    assert_eq!(
        ends[0],
        (State::Disconnected, Reason::RequestsMissed, secs(5))
    );
    assert_eq!(solo.agent.send_path(), None);
    assert_eq!(solo.agent.state(), State::Disconnected);
}

// req: I20 I22
#[test]
fn each_end_has_its_reason() {
    type End = (Reason, fn(&mut Solo));
    let ends: [End; 5] = [
        (Reason::ConsentExpired, |solo| solo.run_for(secs(31))),
        (Reason::ConsentRevoked, |solo| {
            let check = next_request(solo);
            let forbidden = solo.error_to(&check, ErrorCode::FORBIDDEN);
            let _ = solo.receive(remote(0), &forbidden);
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
    ];
    for (reason, end) in ends {
        let mut solo = in_a_call();
        solo.agent.local_candidates_complete(solo.now);
        solo.agent.remote_candidates_complete(solo.now);
        assert!(solo.agent.send_path().is_some());
        end(&mut solo);
        assert_eq!(solo.agent.send_path(), None, "{reason}");
        assert_eq!(solo.agent.usable_path(), None, "{reason}");
        // The patience of RFC 8863 may have to pass before it is final.
        solo.run_for(secs(60));
        let last = *solo.transitions().last().unwrap();
        assert_eq!((last.to, last.reason), (State::Failed, reason));
        solo.take();
        solo.run_for(secs(60));
        assert!(solo.take().is_empty(), "{reason}: nothing is sent any more");
    }
}

// req: I24
#[test]
fn a_check_under_way_keeps_to_new_figures() {
    let slow = default_with(|t| t.rto = secs(3));
    let mut solo = Solo::checking(
        Initiation::Initiating,
        Config::with_timing(slow),
        &[remote(0)],
    );
    solo.run_for(ms(100));
    assert_eq!(solo.take_requests().len(), 1);
    solo.agent.set_timing(
        solo.now,
        default_with(|t| {
            t.rto = ms(200);
            t.transmissions = 3;
            t.last_wait = 2;
        }),
    );
    solo.run_for(secs(5));
    let times: Vec<_> = solo.take_requests().iter().map(|s| s.at).collect();
    assert_eq!(times, [ms(200), ms(600)], "and not after three seconds");
    let state = solo.agent.candidate_pairs().next().unwrap().state;
    assert_eq!(state, floe_ice::PairState::Failed);
    // And the other way round: what was near moves away.
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    solo.run_for(ms(100));
    solo.take();
    solo.agent
        .set_timing(solo.now, default_with(|t| t.rto = secs(2)));
    solo.run_for(ms(1899));
    assert!(solo.take().is_empty());
    solo.run_for(ms(1));
    assert_eq!(solo.take_requests().len(), 1);
}

// req: I24
#[test]
fn the_pace_changes_both_ways_at_once() {
    for (before, after) in [(50, 400), (400, 50)] {
        let mut solo = Solo::checking(
            Initiation::Initiating,
            Config::with_timing(default_with(|t| t.pacing = ms(before))),
            &[remote(0), remote(1), remote(2)],
        );
        solo.run_for(ms(20));
        assert_eq!(solo.take_requests().len(), 1);
        solo.agent
            .set_timing(solo.now, default_with(|t| t.pacing = ms(after)));
        solo.run_for(ms(after) - ms(21));
        assert!(solo.take_requests().is_empty());
        solo.run_for(ms(1));
        assert_eq!(solo.take_requests().len(), 1, "from {before} to {after} ms");
    }
}

// req: I24
#[test]
fn probes_suspicion_and_expiry_keep_to_new_figures() {
    let mut solo = in_a_call();
    let first = next_request(&mut solo);
    solo.run_for(ms(100));
    // The answer is missing already; the next probe would come after half a second.
    solo.agent.set_timing(
        solo.now,
        default_with(|t| {
            t.rto = ms(150);
            t.disconnected_misses = 2;
            t.disconnected_after = ms(400);
            t.disconnected_probe = ms(700);
            t.consent_timeout = secs(12);
        }),
    );
    solo.run_for(secs(3));
    let times: Vec<_> = solo
        .take_requests()
        .iter()
        .map(|s| s.at - first.at)
        .collect();
    assert_eq!(times[..3], [ms(150), ms(300), ms(450)]);
    assert!(times[3..].windows(2).all(|two| two[1] - two[0] == ms(700)));
    let disconnected = *solo.transitions().last().unwrap();
    assert_eq!(disconnected.to, State::Disconnected);
    assert_eq!(disconnected.at - sim::Clock::epoch() - first.at, ms(400));
    // A pending probe is armed anew too.
    let last = first.at + *times.last().unwrap();
    solo.agent.set_timing(
        solo.now,
        default_with(|t| {
            t.disconnected_probe = secs(2);
            t.consent_timeout = secs(12);
        }),
    );
    let next = next_request(&mut solo);
    assert_eq!(next.at - last, secs(2));
    let left = secs(12) - solo.agent.consent_age(solo.now).unwrap();
    solo.run_for(left - ms(1));
    assert!(solo.agent.send_path().is_some());
    solo.run_for(ms(1));
    assert_eq!(solo.agent.send_path(), None);
}

// req: I24
#[test]
fn patience_and_end_of_candidates_keep_to_new_figures() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[]);
    solo.agent.local_candidates_complete(solo.now);
    solo.run_for(secs(1));
    solo.agent.set_timing(
        solo.now,
        default_with(|t| {
            t.patience = secs(6);
            t.end_of_candidates = Some(secs(4));
        }),
    );
    solo.run_for(secs(60));
    let failed = *solo.transitions().last().unwrap();
    assert_eq!(failed.to, State::Failed);
    assert_eq!(failed.at - sim::Clock::epoch(), secs(6));
}

// req: I24
#[test]
fn the_wait_for_a_better_pair_keeps_to_new_figures() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    solo.meet();
    let relayed = Candidate::relayed(remote(0), remote(9));
    for candidate in [relayed, Candidate::host(remote(1))] {
        solo.agent
            .add_remote_candidate(solo.now, candidate)
            .unwrap();
    }
    solo.run_for(ms(100));
    let checks = solo.take_requests();
    let relayed = checks.iter().find(|c| c.path.remote == remote(0)).unwrap();
    let _ = solo.answer(relayed);
    assert!(solo.take_requests().is_empty(), "a host pair may come");
    solo.agent
        .set_timing(solo.now, default_with(|t| t.acceptance.relayed = ms(300)));
    solo.run_for(ms(250));
    let requests = solo.take_requests();
    let nominating = requests.iter().find(|c| c.message().use_candidate());
    assert_eq!(nominating.expect("and not after 2 s").at, ms(300));
}

// req: I24 I15
#[test]
fn the_linger_of_an_old_generation_keeps_to_new_figures() {
    let mut story = crate::support::connected(1);
    let now = story.now();
    story.a.agent.restart(now, None, None).unwrap();
    story.a.agent.local_candidates_complete(now);
    let of_a = story.a.remote_parameters();
    story.b.agent.restart(now, None, Some(of_a)).unwrap();
    story.b.agent.local_candidates_complete(now);
    let of_b = story.b.remote_parameters();
    story.a.agent.set_remote_parameters(now, of_b).unwrap();
    let (of_a, of_b) = (story.a.candidates(), story.b.candidates());
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
    let fragments = |peer: &Peer| peer.agent.local_username_fragments().count();
    story.drive_until(|a, _| a.saw(|event| *event == floe_ice::Event::RestartConfirmed));
    let confirmed = story.now();
    assert_eq!(fragments(&story.a), 2);
    story
        .a
        .agent
        .set_timing(confirmed, default_with(|t| t.generation_linger = secs(1)));
    story.run_for(ms(990));
    assert_eq!(fragments(&story.a), 2);
    story.run_for(ms(20));
    assert_eq!(fragments(&story.a), 1, "and not after five seconds");
}

// req: I24
#[test]
fn with_every_preset_two_agents_connect_stay_and_notice_a_dead_path() {
    let presets = [
        ("default", Timing::default(), secs(12), secs(31)),
        ("webrtc", Timing::webrtc(), secs(12), secs(31)),
        ("low power", Timing::low_power(), secs(28), secs(31)),
        ("livekit", Timing::livekit(), secs(13), ms(15_500)),
    ];
    for (name, timing, noticed, given_up) in presets {
        let peer = |seed, initiation, host| {
            let config = Config::with_timing(timing.clone());
            Peer::new(seed, Mode::Full, initiation, config, &addresses(host, 1))
        };
        let mut story = between(
            peer(1, Initiation::Initiating, 1),
            peer(2, Initiation::Responding, 2),
        );
        signal(&mut story);
        story.drive_until(both_in_use);
        story.run_for(secs(300));
        for peer in [&story.a, &story.b] {
            assert_eq!(peer.state(), State::Completed, "{name}");
            assert_eq!(peer.transitions().len(), 3, "{name}: no false alarm");
        }
        story.network.cut();
        let cut = story.now();
        story.drive_until(|a, _| a.state() == State::Disconnected);
        assert!(story.now() - cut <= noticed, "{name}");
        story.drive_until(|a, _| a.state() == State::Failed);
        assert!(story.now() - cut <= given_up, "{name}");
    }
}

// req: I24
#[test]
fn low_power_wakes_seldom() {
    let per_minute = |timing: Timing| {
        let mut solo = in_a_call();
        solo.agent.set_timing(solo.now, timing);
        let (mut wake_ups, end) = (0_u32, solo.now + secs(600));
        while let Some(next) = solo.agent.poll_timeout().filter(|at| *at < end) {
            solo.now = next;
            solo.agent.handle_timeout(next);
            wake_ups += 1;
            for request in solo.take_requests() {
                let _ = solo.answer(&request);
            }
        }
        wake_ups / 10
    };
    assert!((5..=7).contains(&per_minute(Timing::low_power())));
    assert!((11..=13).contains(&per_minute(Timing::default())));
}

// req: I21
#[test]
fn three_misses_without_five_seconds_are_no_suspicion_and_one_answer_clears_them() {
    let mut solo = in_a_call();
    let first = next_request(&mut solo);
    solo.run_for(ms(4900));
    assert_eq!(solo.agent.state(), State::Connected);
    let probes = solo.take_requests();
    assert_eq!(probes.len(), 9, "one per RTO after the first miss");
    // The last one is answered: the count begins anew with the next check.
    let _ = solo.answer(&probes[8]);
    let next = next_request(&mut solo);
    assert!(
        next.at - probes[8].at >= secs(4),
        "{:?}",
        next.at - first.at
    );
    solo.run_for(ms(4990));
    assert_eq!(solo.agent.state(), State::Connected);
    solo.run_for(ms(20));
    assert_eq!(solo.agent.state(), State::Disconnected);
}

// req: I21
#[test]
fn probes_wait_for_two_round_trips_where_those_are_long() {
    let mut solo = in_a_call();
    // The path takes 800 ms.
    for _ in 0..40 {
        let check = next_request(&mut solo);
        solo.run_for(check.at + ms(800) - solo.elapsed());
        for probe in solo.take_requests() {
            let _ = solo.answer(&probe);
        }
        let _ = solo.answer(&check);
    }
    let rtt = solo.agent.selected_candidate_pair().unwrap().rtt.unwrap();
    assert!((ms(700)..=ms(810)).contains(&rtt), "{rtt:?}");
    solo.take();
    let first = next_request(&mut solo);
    let second = next_request(&mut solo);
    assert_eq!(second.at - first.at, rtt * 2);
}

fn at_most(solo: &mut Solo, limit: usize) {
    let sent = solo.take().len();
    assert!(sent <= limit, "a burst of {sent}");
}

// req: I20 I24
#[test]
fn a_clock_that_jumps_hours_ahead_neither_panics_nor_bursts() {
    let jumps = [secs(29), secs(3600), secs(24 * 3600), secs(365 * 24 * 3600)];
    for jump in jumps {
        for stage in 0..4 {
            let remotes: Vec<_> = (0..20).map(remote).collect();
            let mut solo = match stage {
                0 => Solo::checking(Initiation::Initiating, Config::default(), &remotes),
                1 => in_a_call(),
                2 => {
                    let mut solo = in_a_call();
                    solo.agent.restart(solo.now, None, None).unwrap();
                    solo
                }
                _ => {
                    let mut solo = Solo::new(Mode::Lite, Initiation::Responding, Config::default());
                    let host = Candidate::host(local());
                    solo.agent.add_local_candidate(solo.now, host).unwrap();
                    solo.meet();
                    let request = solo.check().nominating().bytes();
                    let _ = solo.receive(remote(0), &request);
                    solo
                }
            };
            solo.run_for(ms(500));
            solo.take();
            for _ in 0..3 {
                solo.now += jump;
                solo.agent.handle_timeout(solo.now);
                let now = solo.now;
                assert!(solo.agent.poll_timeout().is_none_or(|at| at > now));
                // Not more than one for each check under way, and what begins now.
                at_most(&mut solo, 22);
                let received = Duration::from_millis(1);
                solo.now += received;
                let request = solo.check().bytes();
                let _ = solo.receive(remote(0), &request);
                at_most(&mut solo, 2 + 22);
            }
        }
    }
}

/// Default timing with the `n`th duration as long as can be; `None` behind the last.
fn endless(n: usize) -> Option<Timing> {
    let mut timing = Timing::default();
    let mut waits = vec![
        &mut timing.pacing,
        &mut timing.rto,
        &mut timing.max_rto,
        &mut timing.patience,
        &mut timing.acceptance.host,
        &mut timing.acceptance.server_reflexive,
        &mut timing.acceptance.peer_reflexive,
        &mut timing.acceptance.relayed,
        &mut timing.consent_interval,
        &mut timing.consent_timeout,
        &mut timing.disconnected_after,
        &mut timing.disconnected_probe,
        &mut timing.lite_disconnected_after,
        &mut timing.lite_timeout,
        &mut timing.generation_linger,
    ];
    waits.extend(&mut timing.end_of_candidates);
    let wait = waits.into_iter().nth(n)?;
    *wait = Duration::MAX;
    Some(timing)
}

fn with_timing(timing: Timing) -> crate::support::Story {
    let peer = |seed, initiation| {
        let config = Config::with_timing(timing.clone());
        Peer::new(seed, Mode::Full, initiation, config, &addresses(seed, 3))
    };
    between(
        peer(1, Initiation::Initiating),
        peer(2, Initiation::Responding),
    )
}

// req: I24
#[test]
fn a_wait_without_end_is_as_good_as_a_year() {
    let mut count = 0;
    while let Some(timing) = endless(count) {
        count += 1;
        let mut story = with_timing(timing.clone());
        signal(&mut story);
        story.drive_until(both_in_use);
        assert_eq!(story.elapsed(), ms(200), "{timing:?}");
        story.run_for(secs(10));
        // Back to other figures, and from there to these again, it goes on.
        for timing in [Timing::default(), timing, Timing::default()] {
            let now = story.now();
            story.a.agent.set_timing(now, timing.clone());
            story.b.agent.set_timing(now, timing);
            story.run_for(secs(10));
            assert_eq!(story.a.state(), State::Completed);
        }
        let age = story.a.agent.consent_age(story.now());
        assert!(age.is_some_and(|age| age < secs(7)), "{age:?}");
        story.network.cut();
        story.drive_until(|a, b| a.state() == State::Failed && b.state() == State::Failed);
    }
    assert_eq!(count, 16);
}

// req: I5 I24
#[test]
fn a_peer_that_asks_for_a_pace_without_end_breaks_nothing() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    let host = Candidate::host(local());
    solo.agent.add_local_candidate(solo.now, host).unwrap();
    let mut peer = floe_ice::RemoteParameters::new(solo.peer.clone());
    peer.pacing = Some(Duration::MAX);
    solo.agent.set_remote_parameters(solo.now, peer).unwrap();
    for n in 0..50 {
        let theirs = Candidate::host(remote(n));
        solo.agent.add_remote_candidate(solo.now, theirs).unwrap();
    }
    solo.run_for(secs(60));
    let checks = solo.take_requests();
    assert!(!checks.is_empty());
    assert_eq!(solo.answer(&checks[0]), Received::Handled);
    assert!(solo.agent.send_path().is_some());
}

// req: I24 I23
#[test]
fn policies_and_pacers_may_be_told_to_wait_for_ever() {
    let mut continuous = floe_ice::nomination::Continuous::default();
    (continuous.silence, continuous.backup_interval) = (Duration::MAX, Duration::MAX);
    let mut config = Config::default();
    config.nomination = std::sync::Arc::new(continuous);
    let pacer = std::sync::Arc::new(floe_ice::Pacer::new(Duration::MAX));
    pacer.set_interval(Duration::MAX);
    config.pacer = Some(pacer);
    let peer = |seed, initiation| {
        let own = addresses(seed, 2);
        Peer::new(seed, Mode::Full, initiation, config.clone(), &own)
    };
    let mut story = between(
        peer(1, Initiation::Initiating),
        peer(2, Initiation::Responding),
    );
    signal(&mut story);
    story.drive_until(both_in_use);
    let (a, b) = (story.a.path().local, story.a.path().remote);
    for (from, to) in [(a, b), (b, a)] {
        story.network.link(from, to).up = false;
    }
    story.run_for(secs(20));
    assert_eq!(
        story.a.state(),
        State::Disconnected,
        "and no backup took over"
    );
}
