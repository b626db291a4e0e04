//! Checks: what they carry, their pace and their retransmission (RFC 8445 §6.1.4, §7.2.2, §14).

use std::net::SocketAddr;
use std::time::Duration;

use floe_ice::{Candidate, Config, Initiation, Mode, State, Timing};
use floe_stun::{ErrorCode, IntegrityAlgorithm, IntegrityKey};

use crate::support::solo::{Solo, first_transmissions, local, remote, remotes};
use crate::support::{ms, secs};

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

// req: I5
#[test]
fn who_needs_its_slot_no_more_leaves_it_to_the_next_however_it_ends() {
    type End = fn(Solo);
    let ends: [End; 2] = [drop, |mut solo| solo.agent.close(solo.now)];
    for end in ends {
        let pacer = std::sync::Arc::new(floe_ice::Pacer::new(secs(10)));
        let mut config = Config::default();
        config.pacer = Some(pacer.clone());
        let solo = || Solo::checking(Initiation::Initiating, config.clone(), &remotes(1));
        let (mut first, second, third) = (solo(), solo(), solo());
        assert_eq!(first.take_requests().len(), 1);
        let now = first.now;
        // They wait for the slots at 10 s and 20 s.
        end(second);
        assert_eq!(pacer.reserve(now), now + secs(10));
        assert_eq!(pacer.reserve(now), now + secs(30));
        end(third);
        assert_eq!(pacer.reserve(now), now + secs(20));
        drop(first);
        assert_eq!(pacer.reserve(now), now + secs(40), "its own has been used");
    }
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

// req: I5
#[test]
fn the_slot_of_an_agent_that_is_closed_is_the_next_one_s() {
    let pacer = std::sync::Arc::new(floe_ice::Pacer::new(secs(1)));
    let mut config = Config::default();
    config.pacer = Some(pacer.clone());
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes(2));
    let start = solo.now;
    solo.run_for(ms(100));
    assert_eq!(
        solo.take_requests().len(),
        1,
        "the second waits for its slot"
    );
    solo.agent.close(solo.now);
    assert_eq!(pacer.reserve(solo.now), start + secs(1));
}
