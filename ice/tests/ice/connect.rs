//! Two agents find each other (RFC 8445 §6, §7, §8).

use std::time::Instant;

use floe_ice::{
    Candidate, Config, Initiation, Mode, Reason, RemoteParameters, Role, State, Timing,
};
use floe_stun::{Class, Message};
use sim::Datagram;

use crate::support::solo::{Solo, first_transmissions, local, remote, remotes};
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

// req: I1 I56
#[test]
fn two_lite_agents_take_their_best_pair_at_once_and_prove_it_with_one_check() {
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
        assert_eq!(peer.agent.stats().requests_sent, 1);
        let path = peer.path();
        assert!(peer.agent.is_proven(&path) && !peer.agent.awaits_proof(&path));
    }
    story.run_for(secs(600));
    assert_eq!(story.a.agent.stats().requests_sent, 1);
    assert_completed(&story);
}

// req: I56
#[test]
fn a_lite_peer_that_is_not_there_gets_one_transaction_and_nothing_else() {
    let mut solo = Solo::new(Mode::Lite, Initiation::Initiating, Config::default());
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    let mut peer = RemoteParameters::new(solo.peer.clone());
    peer.mode = Mode::Lite;
    solo.agent.set_remote_parameters(solo.now, peer).unwrap();
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(0)))
        .unwrap();
    let path = solo.agent.send_path().unwrap();
    assert!(solo.agent.awaits_proof(&path));
    solo.run_for(secs(60));
    // The owner may ask again and again.
    for _ in 0..20 {
        solo.agent.validate_path(solo.now, path);
        solo.run_for(secs(60));
    }
    assert_eq!(solo.take_requests().len(), 7);
    assert!(solo.agent.awaits_proof(&path));
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

/// Two agents with sixteen sockets each, of which only these two reach each other, if any.
fn sixteen_sockets(works: Option<(u16, u16)>) -> Story {
    let peer = |seed, initiation| {
        let own = addresses(seed, 16);
        Peer::new(seed, Mode::Full, initiation, Config::default(), &own)
    };
    let mut story = between(
        peer(1, Initiation::Initiating),
        peer(2, Initiation::Responding),
    );
    let works = works.map(|(a, b)| (address(1, a), address(2, b)));
    story.network.each_link(|from, to, link| {
        link.up = works.is_some_and(|(a, b)| (from, to) == (a, b) || (from, to) == (b, a));
    });
    signal(&mut story);
    story
}

// req: I52 I43
#[test]
fn of_more_pairs_than_the_checklist_holds_the_only_one_that_works_is_found() {
    // The pairs of the two in order: the last one of all, which the controlled side begins with; one in the middle, to
    // which both come last; and one of the hundred that are in the checklist from the beginning.
    for (works, milliseconds) in [((15, 15), 5300), ((12, 12), 8600), ((5, 3), 1800)] {
        let mut story = sixteen_sockets(Some(works));
        let tap = story.network.wiretap();
        while !both_in_use(&story.a, &story.b) {
            assert!(story.step());
            for peer in [&story.a, &story.b] {
                assert!(peer.agent.candidate_pairs().count() <= 100);
            }
        }
        assert_eq!(story.elapsed(), ms(milliseconds), "{works:?}");
        assert!(tap.len() < 600, "{}", tap.len());
        story.run_for(secs(1));
        assert_completed(&story);
        assert_eq!(story.a.path().local, address(1, works.0));
        assert_eq!(story.a.path().remote, address(2, works.1));
    }
}

/// How often A checked each pair first, and how many checks that were in all.
fn checked_by_a(tap: &sim::Wiretap) -> (Vec<usize>, usize) {
    let mut pairs = std::collections::BTreeMap::new();
    let mut all = 0;
    for (_, sent) in tap.seen() {
        let Ok(message) = Message::parse(&sent.bytes) else {
            continue;
        };
        if sent.source.ip() == address(1, 0).ip() && message.class() == Class::Request {
            let ids: &mut std::collections::BTreeSet<_> =
                pairs.entry((sent.source, sent.destination)).or_default();
            ids.insert(*message.transaction_id().as_bytes());
            all += 1;
        }
    }
    (pairs.values().map(|ids| ids.len()).collect(), all)
}

// req: I43 I5
#[test]
fn where_nothing_works_each_pair_comes_up_once_and_then_it_fails() {
    let mut story = sixteen_sockets(None);
    let tap = story.network.wiretap();
    story.run_for(secs(14));
    let (early, _) = checked_by_a(&tap);
    assert_eq!(early.len(), 256, "each had its turn");
    story.drive_until(|a, b| a.state() == State::Failed && b.state() == State::Failed);
    let (pairs, all) = checked_by_a(&tap);
    assert!(pairs.iter().all(|checks| *checks == 1), "and one only");
    assert!(all < 256 * 4, "{all} datagrams");
    assert_eq!(story.a.last_transition().reason, Reason::ChecksExhausted);
    assert_eq!(
        story.a.states(),
        [State::New, State::Checking, State::Failed]
    );
}

// req: I43 I7
#[test]
fn a_check_of_the_peer_s_has_room_made_for_its_pair_where_others_are_silent() {
    let mut config = Config::default();
    config.max_pairs = 20;
    let mut solo = Solo::checking(Initiation::Responding, config, &remotes(20));
    let has = |solo: &Solo, n: u16| {
        let mut pairs = solo.agent.candidate_pairs();
        pairs.any(|p| p.pair.path.remote == remote(n))
    };
    let knock = |solo: &mut Solo, n: u16| {
        let request = solo.check().bytes();
        let _ = solo.receive(remote(n), &request);
    };
    // The second one's peer is heard, though it does not answer.
    solo.run_for(ms(60));
    knock(&mut solo, 1);
    // All are under way, and sent to once or a moment ago: which of them works has to be seen.
    solo.run_for(ms(930));
    knock(&mut solo, 70);
    assert!(!has(&solo, 70));
    // The second and the third were sent to again, half a second ago.
    solo.run_for(ms(620));
    solo.take();
    knock(&mut solo, 70);
    assert!(has(&solo, 70) && has(&solo, 1) && !has(&solo, 2));
    assert_eq!(solo.agent.candidate_pairs().count(), 20);
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    let check = checks.iter().find(|check| check.path.remote == remote(70));
    let _ = solo.answer(check.unwrap());
    assert_eq!(solo.agent.state(), State::Connected);
}

// req: I3 I43
#[test]
fn a_better_candidate_that_comes_late_goes_before_worse_pairs_that_wait() {
    let mut config = Config::default();
    config.max_pairs = 3;
    let mut solo = Solo::checking(Initiation::Initiating, config, &[]);
    for n in 0..6 {
        let candidate = Candidate::host(remote(n)).with_local_preference(1000 + n);
        let added = solo
            .agent
            .add_remote_candidate(solo.now, candidate)
            .unwrap();
        assert!(added.is_some());
    }
    solo.run_for(ms(160));
    let order: Vec<_> = first_transmissions(&mut solo)
        .into_iter()
        .map(|(_, to)| to)
        .collect();
    assert_eq!(
        order,
        [remote(0), remote(5), remote(4)],
        "the first was under way"
    );
    // The others come up when these are silent: best first, as it controls.
    solo.run_for(secs(3));
    let order: Vec<_> = first_transmissions(&mut solo)
        .into_iter()
        .map(|(_, to)| to)
        .collect();
    let left: Vec<_> = order
        .into_iter()
        .filter(|to| (1..=3).any(|n| *to == remote(n)))
        .collect();
    assert_eq!(left, [remote(3), remote(2), remote(1)]);
    // Whoever works ends it.
    assert_eq!(solo.agent.candidate_pairs().count(), 3);
}

// req: I43
#[test]
fn what_was_left_out_comes_up_when_candidates_go_and_not_once_a_pair_works() {
    let mut config = Config::default();
    config.max_pairs = 2;
    config.nomination = std::sync::Arc::new(floe_ice::nomination::ByApplication::default());
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes(4));
    solo.run_for(ms(110));
    assert_eq!(first_transmissions(&mut solo).len(), 2);
    assert_eq!(solo.agent.stats().pairs_dropped, 2);
    let _ = solo.agent.remove_remote_candidate(solo.now, remote(0));
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    assert_eq!(checks.len(), 1);
    assert_eq!(checks[0].path.remote, remote(2), "the best that was left");
    let _ = solo.answer(&checks[0]);
    for _ in 0..600 {
        solo.run_for(ms(100));
        for check in solo.take_requests() {
            assert_ne!(check.path.remote, remote(3), "there is no need for it");
            if check.path.remote == remote(2) {
                let _ = solo.answer(&check);
            }
        }
    }
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(2));
}
