//! What pairs count and measure (W3C webrtc-stats, RFC 6298 §2).

use std::time::Duration;

use floe_ice::{Candidate, Config, Initiation, Mode, PairState, Received};

use crate::support::solo::{Solo, remote, remotes};
use crate::support::{address, ms, secs};

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
