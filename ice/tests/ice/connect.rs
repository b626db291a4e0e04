//! Two agents find each other (RFC 8445 §6, §7, §8).

use std::time::Instant;

use floe_ice::{Candidate, Config, Initiation, Mode, Reason, Role, State, Timing};
use floe_stun::Message;
use sim::Datagram;

use crate::support::solo::{Solo, local, remote};
use crate::support::{
    Peer, Story, address, addresses, assert_completed, between, both_in_use, full_and_lite, ms,
    secs, signal, two,
};

// req: I1 I14 R36 R37 R38 R39
#[test]
fn two_full_agents_connect_and_complete() {
    let mut story = two(1);
    assert_eq!(story.a.state(), State::New);
    signal(&mut story);
    assert_eq!(story.a.state(), State::Checking);
    story.drive_until(both_in_use);
    for peer in [&story.a, &story.b] {
        assert_eq!(
            peer.states(),
            [
                State::New,
                State::Checking,
                State::Connected,
                State::Completed
            ]
        );
        let reasons: Vec<Reason> = peer.transitions().iter().map(|t| t.reason).collect();
        assert_eq!(
            reasons,
            [
                Reason::ChecksBegan,
                Reason::PairSucceeded,
                Reason::CandidatesComplete
            ]
        );
    }
    assert_eq!(story.a.path().local, story.b.path().remote);
}

// req: I52
#[test]
fn it_takes_one_round_trip_to_use_a_pair_and_two_to_agree_on_it() {
    for count in [1, 4, 16] {
        let mut story = two(count);
        let tap = story.network.wiretap();
        signal(&mut story);
        let usable = |agent: &floe_ice::Agent| agent.usable_path().is_some();
        story.drive_until(|a, b| usable(&a.agent) && usable(&b.agent));
        assert_eq!(story.elapsed(), ms(100), "usable, {count} candidates");
        let nominating = |(_, sent): &(Instant, Datagram)| {
            Message::parse(&sent.bytes).is_ok_and(|message| message.use_candidate())
        };
        let sent = tap.seen().into_iter().find(nominating);
        let (at, sent) = sent.expect("a request that nominates");
        assert_eq!(at, story.now(), "it is sent at once, {count} candidates");
        assert!(story.a.addresses.contains(&sent.source));
        story.drive_until(|_, b| b.is_in_use());
        assert_eq!(
            story.elapsed(),
            ms(150),
            "controlled side, {count} candidates"
        );
        story.drive_until(both_in_use);
        assert_eq!(
            story.elapsed(),
            ms(200),
            "controlling side, {count} candidates"
        );
    }
}

// req: I1
#[test]
fn a_full_agent_connects_to_a_lite_one() {
    let mut story = full_and_lite();
    signal(&mut story);
    story.drive_until(both_in_use);
    assert_eq!(story.a.state(), State::Completed);
    assert_eq!(story.b.state(), State::Completed);
}

// req: I52 I3
#[test]
fn when_only_the_last_works_it_takes_as_long_as_the_pace_has_it() {
    // Usable, chosen by the controlled side, chosen by both: one Ta for each that comes before, and the round trips.
    for (count, moments, packets) in [(4, [250, 300, 350], 20), (16, [850, 900, 950], 100)] {
        let mut story = two(1);
        let tap = story.network.wiretap();
        signal_after(&mut story, count - 1);
        assert_eq!(
            story.a.agent.candidate_pairs().count(),
            usize::from(count),
            "one for each candidate of the peer, as the socket is one"
        );
        let usable = |agent: &floe_ice::Agent| agent.usable_path().is_some();
        story.drive_until(|a, b| usable(&a.agent) && usable(&b.agent));
        let first = story.elapsed();
        story.drive_until(|_, b| b.is_in_use());
        let second = story.elapsed();
        story.drive_until(both_in_use);
        let all = [first, second, story.elapsed()];
        assert_eq!(all, moments.map(ms), "{count} candidates");
        assert!(tap.len() <= packets, "{} packets", tap.len());
    }
}

/// Both learn everything at this instant: first so many addresses that lead nowhere, all of them liked better than the
/// one that works.
fn signal_after(story: &mut Story, dead: u16) {
    let now = story.now();
    story.a.gather(now);
    story.b.gather(now);
    let candidates = |peer: &Peer, host: u8| {
        let dead = (0..dead)
            .map(move |n| Candidate::host(address(host, n)).with_local_preference(65_500 - n));
        dead.chain(peer.candidates()).collect::<Vec<_>>()
    };
    let (of_a, of_b) = (candidates(&story.a, 101), candidates(&story.b, 102));
    let (parameters_a, parameters_b) = (story.a.remote_parameters(), story.b.remote_parameters());
    story.a.learn(now, parameters_b, &of_b);
    story.b.learn(now, parameters_a, &of_a);
}

// req: I1
#[test]
fn two_lite_agents_take_their_best_pair_without_a_check() {
    let lite = |seed, initiation, host| {
        Peer::new(
            seed,
            Mode::Lite,
            initiation,
            Config::default(),
            &[address(host, 0), address(host + 10, 0)],
        )
    };
    let mut story = between(
        lite(1, Initiation::Initiating, 1),
        lite(2, Initiation::Responding, 2),
    );
    signal(&mut story);
    story.drive();
    assert_eq!(
        (story.a.agent.role(), story.b.agent.role()),
        (Some(Role::Controlling), Some(Role::Controlled))
    );
    for (peer, other) in [(&story.a, &story.b), (&story.b, &story.a)] {
        assert_eq!(peer.state(), State::Completed);
        assert_eq!(peer.path().remote, other.addresses[0]);
        assert_eq!(peer.agent.stats().requests_sent, 0);
    }
    story.run_for(secs(600));
    assert_completed(&story);
}

// req: I1 I20
#[test]
fn a_lite_agent_sends_nothing_before_it_is_nominated() {
    let mut solo = Solo::new(Mode::Lite, Initiation::Responding, Config::default());
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    solo.meet();
    let request = solo.check().bytes();
    let _ = solo.receive(remote(0), &request);
    assert_eq!(solo.agent.send_path(), None);
    assert_eq!(solo.agent.state(), State::Checking);
    let path = solo.agent.usable_path().expect("DTLS may answer there");
    assert_eq!(path.remote, remote(0));
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    assert_eq!(solo.agent.send_path(), Some(path));
    assert!(solo.take_requests().is_empty());
    // It obeys the latest nomination, once that path is proven.
    solo.run_for(secs(2));
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(1), &request);
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(1));
}

// req: I1 I5
#[test]
fn the_browser_preset_connects_too() {
    let peer = |seed, initiation, host| {
        Peer::new(
            seed,
            Mode::Full,
            initiation,
            Config::with_timing(Timing::webrtc()),
            &addresses(host, 4),
        )
    };
    let mut story = between(
        peer(1, Initiation::Initiating, 1),
        peer(2, Initiation::Responding, 2),
    );
    signal(&mut story);
    story.drive_until(both_in_use);
    assert_eq!(story.elapsed(), ms(200));
}
