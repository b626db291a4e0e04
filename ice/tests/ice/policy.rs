//! Nomination policies at work between two agents: the presets, one from outside, and the application above them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use floe_ice::nomination::{
    ByApplication, Contender, Continuous, Decision, Keep, LiteServer, Mobile, Policy, Regular,
    Situation,
};
use floe_ice::{
    ApiMisuse, Candidate, Config, Event, Initiation, Mode, PairId, PairState, Reason, State,
};
use floe_stun::{Class, Message};
use sim::{End, Link, Wiretap};

use crate::support::solo::{Solo, controlled_with_pairs, remote};
use crate::support::talker::{Call, talking};
use crate::support::{
    Peer, Story, address, addresses, assert_completed, between, both_in_use, ms, secs, signal,
};

fn config(policy: impl Policy + 'static) -> Config {
    let mut config = Config::default();
    config.nomination = Arc::new(policy);
    config
}

fn offerer(policy: impl Policy + 'static, count: u16) -> Peer {
    let own = addresses(1, count);
    Peer::new(1, Mode::Full, Initiation::Initiating, config(policy), &own)
}

fn answerer(policy: impl Policy + 'static, count: u16) -> Peer {
    let own = addresses(2, count);
    Peer::new(2, Mode::Full, Initiation::Responding, config(policy), &own)
}

fn in_a_call(a: Peer, b: Peer) -> Story {
    let mut story = between(a, b);
    signal(&mut story);
    story.drive_until(both_in_use);
    story.run_for(secs(8));
    story
}

/// The two addresses in use, A's and B's, on which both agree.
fn in_use(a: &Peer, b: &Peer) -> (SocketAddr, SocketAddr) {
    let (of_a, of_b) = (a.path(), b.path());
    assert_eq!((of_a.local, of_a.remote), (of_b.remote, of_b.local));
    let nominated = |peer: &Peer| {
        let pairs = peer.agent.candidate_pairs();
        pairs.filter(|pair| pair.pair.nominated).count()
    };
    assert_eq!((nominated(a), nominated(b)), (1, 1), "the others are not");
    (of_a.local, of_a.remote)
}

/// Both ways between the two.
fn on_path(a: SocketAddr, b: SocketAddr, source: SocketAddr, destination: SocketAddr) -> bool {
    (source, destination) == (a, b) || (source, destination) == (b, a)
}

/// Requests seen since the last look, as (source, destination, nominating).
fn requests(wiretap: &Wiretap) -> Vec<(SocketAddr, SocketAddr, bool)> {
    let seen = wiretap.take();
    seen.iter()
        .filter_map(|(_, datagram)| {
            let message = Message::parse(&datagram.bytes).ok()?;
            let request = message.class() == Class::Request;
            request.then(|| {
                (
                    datagram.source,
                    datagram.destination,
                    message.use_candidate(),
                )
            })
        })
        .collect()
}

fn cut_path(network: &mut sim::Network, a: SocketAddr, b: SocketAddr) {
    network.link(a, b).up = false;
    network.link(b, a).up = false;
}

fn pair_on(peer: &Peer, local: SocketAddr, remote: SocketAddr) -> Option<PairId> {
    let mut pairs = peer.agent.candidate_pairs();
    pairs
        .find(|p| p.pair.path.local == local && p.pair.path.remote == remote)
        .map(|p| p.pair.id)
}

// req: I10 I23
#[test]
fn by_default_one_pair_is_left_and_no_other_is_ever_sent_to() {
    let mut story = in_a_call(offerer(Regular, 3), answerer(Regular, 3));
    let (a, b) = in_use(&story.a, &story.b);
    assert_eq!((a, b), (address(1, 0), address(2, 0)), "the best");
    assert_eq!(story.a.agent.candidate_pairs().count(), 1);
    assert_eq!(story.b.agent.candidate_pairs().count(), 1);
    let wiretap = story.network.wiretap();
    story.run_for(secs(300));
    let seen = requests(&wiretap);
    assert!(seen.len() > 80);
    assert!(seen.iter().all(|(from, to, _)| on_path(a, b, *from, *to)));
    // The controlling side's consent checks nominate, the controlled side's do not.
    assert!(
        seen.iter()
            .all(|(from, _, nominating)| *nominating == (*from == a))
    );
}

// req: I23
#[test]
fn a_policy_keeps_the_best_pair_of_each_address_as_a_backup_checked_every_25_seconds() {
    let mut story = in_a_call(
        offerer(Continuous::default(), 2),
        answerer(Continuous::default(), 2),
    );
    let (a, b) = in_use(&story.a, &story.b);
    let wiretap = story.network.wiretap();
    story.run_for(secs(250));
    let seen = requests(&wiretap);
    let count = |source, destination| {
        let on =
            |(from, to, _): &&(SocketAddr, SocketAddr, bool)| (*from, *to) == (source, destination);
        seen.iter().filter(on).count()
    };
    let (a1, b1) = (address(1, 1), address(2, 1));
    for (from, to) in [(a, b1), (b1, a), (a1, b), (b, a1)] {
        assert!((9..=10).contains(&count(from, to)), "{}", count(from, to));
    }
    // Of two pairs of one address only the better is kept, and it is never nominated by the way.
    assert_eq!((count(a1, b1), count(b1, a1)), (0, 0));
    assert!(
        seen.iter()
            .all(|(from, to, nominating)| !nominating || (*from, *to) == (a, b))
    );
    assert_eq!(story.a.agent.candidate_pairs().count(), 3);
    assert_eq!(in_use(&story.a, &story.b), (a, b));
    assert_completed(&story);
}

// req: I23
#[test]
fn a_backup_that_stops_answering_is_given_up() {
    let mut story = in_a_call(
        offerer(Continuous::default(), 2),
        answerer(Continuous::default(), 2),
    );
    let (a, b) = in_use(&story.a, &story.b);
    let gone = address(2, 1);
    story.network.cut_address(gone);
    story.run_for(secs(80));
    let wiretap = story.network.wiretap();
    story.run_for(secs(200));
    assert!(
        requests(&wiretap)
            .iter()
            .all(|(from, to, _)| *from != gone && *to != gone)
    );
    assert_eq!(in_use(&story.a, &story.b), (a, b));
    let state = story
        .a
        .agent
        .candidate_pairs()
        .find(|p| p.pair.path.remote == gone);
    assert!(state.is_none_or(|pair| pair.state == PairState::Failed));
}

/// A call whose path dies at some moment between two consent checks; gives how long it took both sides to leave it.
fn path_dies(after: Duration) -> Duration {
    let mut call = talking(
        offerer(Continuous::default(), 2),
        answerer(Continuous::default(), 2),
    );
    call.run_for(secs(10) + after);
    let (a, b) = in_use(&call.a, &call.b);
    cut_path(&mut call.network, a, b);
    let dead = call.a.path();
    let took = call.drive_until(|left, right| {
        left.path() != dead
            && right.path().remote == left.path().local
            && right.path().local == left.path().remote
    });
    call.run_for(secs(10));
    let silent = [&call.a.silent, &call.b.silent];
    assert!(
        silent.iter().all(|times| times.is_empty()),
        "there was always a path"
    );
    assert_ne!(in_use(&call.a, &call.b), (a, b));
    // The controlling side never even suspected its path; the other may have, for as long as it was not told.
    let calm = |state: &State| matches!(state, State::Connected | State::Completed);
    assert!(call.a.states().split_off(3).iter().all(calm));
    assert!(call.b.states().iter().all(|state| *state != State::Failed));
    assert_eq!(
        (call.a.state(), call.b.state()),
        (State::Completed, State::Completed)
    );
    took
}

// req: I10 I23
#[test]
fn a_backup_takes_over_without_a_gap_when_the_path_dies() {
    for step in 0..20 {
        let took = path_dies(ms(300) * step);
        // At most a consent interval, the silence, and the round trips of a check and a nomination.
        assert!(took <= ms(6000 + 1000 + 400), "{took:?}");
    }
}

// req: I10 I23
#[test]
fn the_backup_that_takes_over_is_one_that_answers() {
    let mut call = talking(
        offerer(Continuous::default(), 2),
        answerer(Continuous::default(), 2),
    );
    call.run_for(secs(10));
    let (a, b) = in_use(&call.a, &call.b);
    // With the path in use goes the better of the two backups.
    let other = address(1, 1);
    call.network.cut_address(a);
    let took =
        call.drive_until(|left, right| left.path().local == other && right.path().remote == other);
    assert!(took <= ms(6000 + 1000 + 1000), "{took:?}");
    assert_eq!(in_use(&call.a, &call.b), (other, b));
}

// req: I23
#[test]
fn a_backup_that_answers_with_errors_is_not_asked_more_often() {
    let mut solo = controlling(ByApplication::default(), 2);
    let mut asked = 0;
    for _ in 0..1200 {
        solo.run_for(ms(100));
        for check in solo.take_requests() {
            if check.path.remote == remote(1) {
                asked += 1;
                let error = solo.error_to(&check, floe_stun::ErrorCode::BAD_REQUEST);
                let _ = solo.receive(remote(1), &error);
            } else {
                let _ = solo.answer(&check);
            }
        }
    }
    assert_eq!(asked, 4, "every 25 s");
}

// req: I10 I23
#[test]
fn a_slow_path_is_not_a_silent_one() {
    let mut story = between(
        offerer(Continuous::default(), 2),
        answerer(Continuous::default(), 2),
    );
    story.network.set_links(Link::with_delay(ms(700)));
    signal(&mut story);
    story.drive_until(both_in_use);
    story.run_for(secs(30));
    let used = in_use(&story.a, &story.b);
    let changes = (story.a.events.len(), story.b.events.len());
    story.run_for(secs(200));
    assert_eq!(in_use(&story.a, &story.b), used);
    assert_eq!(
        (story.a.events.len(), story.b.events.len()),
        changes,
        "no switching to and fro"
    );
}

// req: I23
#[test]
fn pairs_to_choose_from_are_checked_before_the_first_choice_too() {
    let mut solo = controlling(ByApplication::default(), 2);
    live(&mut solo, secs(1), &[]);
    let mut times = Vec::new();
    for _ in 0..1200 {
        solo.run_for(ms(100));
        for check in solo.take_requests() {
            if check.path.remote == remote(1) {
                times.push(check.at.as_secs());
            }
            let _ = solo.answer(&check);
        }
    }
    assert_eq!(times.len(), 4, "every 25 s: {times:?}");
    assert_eq!(selected(&solo), Some((remote(0), false)));
    let second = id(&solo, 1);
    assert_eq!(solo.agent.nominate(solo.now, second), Ok(()));
}

// req: I10 I23
#[test]
fn a_path_that_was_left_is_taken_again_when_it_answers_and_forgotten_when_it_does_not() {
    for heals in [true, false] {
        let mut story = in_a_call(
            offerer(Continuous::default(), 2),
            answerer(Continuous::default(), 2),
        );
        let best = in_use(&story.a, &story.b);
        cut_path(&mut story.network, best.0, best.1);
        story.run_for(secs(9));
        assert_ne!(in_use(&story.a, &story.b), best);
        if heals {
            story.network.heal();
            story.run_for(secs(20));
            assert_eq!(in_use(&story.a, &story.b), best);
            story.run_for(secs(100));
            assert_eq!(in_use(&story.a, &story.b), best, "and it stays there");
        } else {
            story.run_for(secs(60));
            let wiretap = story.network.wiretap();
            story.run_for(secs(200));
            let dead = |(from, to, _): &(SocketAddr, SocketAddr, bool)| {
                on_path(best.0, best.1, *from, *to)
            };
            assert!(!requests(&wiretap).iter().any(dead));
        }
        assert_completed(&story);
    }
}

// req: I10
#[test]
fn continuous_nomination_begins_with_the_first_pair_and_ends_with_the_best() {
    // The better the pair, the later its candidate is signalled.
    let mut story = between(
        offerer(Continuous::default(), 1),
        answerer(Continuous::default(), 3),
    );
    let now = story.now();
    story.a.gather(now);
    story.b.gather(now);
    let (of_a, of_b) = (story.a.remote_parameters(), story.b.remote_parameters());
    story.a.agent.set_remote_parameters(now, of_b).unwrap();
    story.b.agent.set_remote_parameters(now, of_a).unwrap();
    let wiretap = story.network.wiretap();
    for (n, candidate) in story.b.candidates().into_iter().enumerate().rev() {
        let now = story.now();
        story.a.agent.add_remote_candidate(now, candidate).unwrap();
        story.run_for(secs(1));
        assert_eq!(
            in_use(&story.a, &story.b),
            (address(1, 0), address(2, n as u16))
        );
    }
    let seen = wiretap.take();
    let mut values: Vec<u32> = seen
        .iter()
        .filter_map(|(_, datagram)| Message::parse(&datagram.bytes).ok()?.nomination())
        .collect();
    values.dedup();
    assert_eq!(values, [1, 2, 3], "counted up, one at a time");
    let changes = |peer: &Peer| {
        let nominated =
            |event: &Event| matches!(event, Event::SelectedCandidatePairChange(p) if p.nominated);
        peer.events
            .iter()
            .filter(|(_, event)| nominated(event))
            .count()
    };
    assert_eq!((changes(&story.a), changes(&story.b)), (3, 3));
}

/// A joins another network, whose candidate it likes less than the old one and gives this epoch.
fn joins_network(call: &mut Call, epoch: u16) -> SocketAddr {
    let new = address(1, 10 + epoch);
    call.add_address(End::A, new);
    call.network.each_link(|_, _, link| link.delay = ms(50));
    let now = call.now();
    let candidate = Candidate::host(new)
        .with_local_preference(1000 - epoch)
        .with_epoch(epoch);
    call.a.agent.add_local_candidate(now, candidate).unwrap();
    new
}

// req: I10
#[test]
fn a_mobile_device_moves_to_the_newer_network_as_soon_as_that_works() {
    let mut call = talking(offerer(Mobile::default(), 1), answerer(Regular, 1));
    let (old, b) = in_use(&call.a, &call.b);
    for epoch in [1, 2] {
        call.run_for(secs(10));
        let new = joins_network(&mut call, epoch);
        let took = call.drive_until(|a, b| a.path().local == new && b.path().remote == new);
        assert!(
            took <= ms(300),
            "a check, its answer, the nomination: {took:?}"
        );
        call.run_for(secs(1));
        assert_eq!(in_use(&call.a, &call.b), (new, b));
        // The older networks still work, and are backups.
        assert!(pair_on(&call.a, old, b).is_some());
    }
    call.run_for(secs(60));
    assert_eq!(in_use(&call.a, &call.b).0, address(1, 12), "it stays");
    // The newest dies: back to the one before it, which is newer than the first.
    cut_path(&mut call.network, address(1, 12), b);
    call.run_for(secs(12));
    assert_eq!(in_use(&call.a, &call.b).0, address(1, 11));
    assert!(call.a.silent.is_empty() && call.b.silent.is_empty());
    let calm = |state: &State| matches!(state, State::Connected | State::Completed);
    assert!(call.a.states().split_off(3).iter().all(calm));
}

// req: I10
#[test]
fn without_the_mobile_policy_an_epoch_means_nothing() {
    let mut call = talking(offerer(Continuous::default(), 1), answerer(Regular, 1));
    let before = in_use(&call.a, &call.b);
    let new = joins_network(&mut call, 1);
    call.run_for(secs(60));
    assert_eq!(in_use(&call.a, &call.b), before);
    assert!(pair_on(&call.a, new, before.1).is_some(), "though it works");
}

// req: I10
#[test]
fn a_candidate_announced_again_on_a_newer_network_raises_its_epoch() {
    let mut call = talking(offerer(Mobile::default(), 2), answerer(Regular, 1));
    call.run_for(secs(8));
    let b = in_use(&call.a, &call.b).1;
    let second = address(1, 1);
    assert_ne!(call.a.path().local, second);
    let now = call.now();
    let again = Candidate::host(second).with_epoch(1);
    call.a.agent.add_local_candidate(now, again).unwrap();
    call.run_for(secs(1));
    assert_eq!(in_use(&call.a, &call.b), (second, b));
}

// req: I10
#[test]
fn a_lite_server_follows_its_client_and_checks_a_new_path_once() {
    let server = Peer::new(
        2,
        Mode::Lite,
        Initiation::Responding,
        config(LiteServer),
        &addresses(2, 1),
    );
    let mut story = between(offerer(Mobile::default(), 2), server);
    let wiretap = story.network.wiretap();
    signal(&mut story);
    story.drive_until(both_in_use);
    story.run_for(secs(8));
    let first = in_use(&story.a, &story.b);
    let now = story.now();
    let other = if first.0 == address(1, 0) {
        address(1, 1)
    } else {
        address(1, 0)
    };
    let newer = Candidate::host(other).with_epoch(1);
    story.a.agent.add_local_candidate(now, newer).unwrap();
    story.run_for(secs(1));
    assert_eq!(in_use(&story.a, &story.b), (other, first.1));
    story.run_for(secs(60));
    let seen = requests(&wiretap);
    let own = seen.iter().filter(|(from, ..)| *from == first.1);
    assert_eq!(own.count(), 1, "the proof of the path it moved to (I56)");
    assert_eq!(story.b.state(), State::Completed);
}

/// A controlling agent with this policy, all of whose pairs have succeeded.
fn controlling(policy: impl Policy + 'static, count: u16) -> Solo {
    let remotes: Vec<SocketAddr> = (0..count).map(remote).collect();
    let mut solo = Solo::checking(Initiation::Initiating, config(policy), &remotes);
    solo.run_for(ms(50) * u32::from(count));
    for check in solo.take_requests() {
        let _ = solo.answer(&check);
    }
    solo
}

fn id(solo: &Solo, n: u16) -> PairId {
    let mut pairs = solo.agent.candidate_pairs();
    let pair = pairs.find(|pair| pair.pair.path.remote == remote(n));
    pair.unwrap().pair.id
}

/// Lets time pass and answers everything but what goes to `dead`.
fn live(solo: &mut Solo, duration: Duration, dead: &[u16]) {
    let end = solo.now + duration;
    while solo.now < end {
        solo.run_for(ms(50));
        for check in solo.take_requests() {
            if !dead.iter().any(|n| check.path.remote == remote(*n)) {
                let _ = solo.answer(&check);
            }
        }
    }
}

fn selected(solo: &Solo) -> Option<(SocketAddr, bool)> {
    let pair = solo.agent.selected_candidate_pair()?;
    Some((pair.path.remote, pair.nominated))
}

// req: I10
#[test]
fn a_server_that_lets_its_clients_decide_nominates_in_no_role() {
    let mut solo = controlling(LiteServer, 2);
    for _ in 0..600 {
        solo.run_for(ms(100));
        for check in solo.take_requests() {
            assert!(!check.message().use_candidate());
            let _ = solo.answer(&check);
        }
    }
    assert_eq!(selected(&solo), Some((remote(0), false)));
}

/// As [`Continuous`], but no pair that works is dropped.
#[derive(Debug)]
struct KeepAll(Continuous);

impl Policy for KeepAll {
    fn nominate(&self, situation: &Situation<'_>) -> Decision {
        self.0.nominate(situation)
    }

    fn keep(&self, _: &Contender, _: &Situation<'_>) -> Keep {
        Keep::Backup(self.0.backup_interval)
    }

    fn counts_nominations(&self) -> bool {
        self.0.counts_nominations()
    }
}

// req: I10
#[test]
fn what_the_application_nominates_holds_against_the_policy_until_released() {
    let mut solo = controlling(KeepAll(Continuous::default()), 3);
    live(&mut solo, secs(1), &[]);
    assert_eq!(selected(&solo), Some((remote(0), true)));
    let last = id(&solo, 2);
    solo.agent.nominate(solo.now, last).unwrap();
    live(&mut solo, secs(100), &[]);
    assert_eq!(
        selected(&solo),
        Some((remote(2), true)),
        "though others are better"
    );
    // Another choice replaces the first.
    let middle = id(&solo, 1);
    solo.agent.nominate(solo.now, middle).unwrap();
    live(&mut solo, secs(30), &[]);
    assert_eq!(selected(&solo), Some((remote(1), true)));
    // The first one is the policy's business again, and releasing it changes nothing.
    solo.agent.release(solo.now, last).unwrap();
    live(&mut solo, secs(30), &[]);
    assert_eq!(selected(&solo), Some((remote(1), true)));
    solo.agent.release(solo.now, middle).unwrap();
    live(&mut solo, secs(1), &[]);
    assert_eq!(selected(&solo), Some((remote(0), true)));
    assert_eq!(
        solo.agent.release(solo.now, {
            let other = controlled_with_pairs(9);
            id(&other, 8)
        }),
        Err(ApiMisuse::UnknownPair)
    );
}

// req: I10
#[test]
fn the_applications_pair_is_given_up_when_it_is_lost() {
    let mut solo = controlling(ByApplication::default(), 2);
    let second = id(&solo, 1);
    solo.agent.nominate(solo.now, second).unwrap();
    live(&mut solo, secs(30), &[]);
    assert_eq!(selected(&solo), Some((remote(1), true)));
    live(&mut solo, secs(60), &[1]);
    assert_eq!(
        selected(&solo),
        Some((remote(0), false)),
        "the best that is left"
    );
    // It waits for its application's next choice.
    live(&mut solo, secs(60), &[]);
    assert_eq!(selected(&solo), Some((remote(0), false)));
}

// req: I10
#[test]
fn the_applications_choice_replaces_a_nomination_under_way() {
    let mut solo = controlling(KeepAll(Continuous::default()), 2);
    let second = id(&solo, 1);
    solo.run_for(ms(10));
    let mut sent = solo.take_requests();
    solo.agent.nominate(solo.now, second).unwrap();
    sent.extend(solo.take_requests());
    let nominating: Vec<_> = sent
        .iter()
        .filter(|c| c.message().use_candidate())
        .collect();
    assert_eq!(nominating.len(), 2, "the policy's and the application's");
    // The answers come in the wrong order, and the first nomination's says nothing any more.
    let _ = solo.answer(nominating[1]);
    let _ = solo.answer(nominating[0]);
    assert_eq!(selected(&solo), Some((remote(1), true)));
    live(&mut solo, secs(30), &[]);
    assert_eq!(selected(&solo), Some((remote(1), true)));
}

// req: I10
#[test]
fn a_vetoed_pair_is_neither_used_nor_nominated() {
    let mut solo = Solo::checking(
        Initiation::Initiating,
        Config::default(),
        &[remote(0), remote(1)],
    );
    let best = id(&solo, 0);
    solo.agent.veto(solo.now, best).unwrap();
    solo.run_for(ms(60));
    for check in solo.take_requests() {
        let _ = solo.answer(&check);
    }
    assert_eq!(
        selected(&solo),
        Some((remote(1), false)),
        "not even provisionally"
    );
    live(&mut solo, secs(30), &[]);
    assert_eq!(selected(&solo), Some((remote(1), true)));
    // It was not dropped with the others, so its veto stays with it; but nothing is sent there.
    let state = solo
        .agent
        .candidate_pairs()
        .find(|pair| pair.pair.id == best);
    assert_eq!(state.unwrap().state, PairState::Succeeded);
    // The pair in use is vetoed too: nothing is left, and the agent says why.
    let second = id(&solo, 1);
    solo.agent.local_candidates_complete(solo.now);
    solo.agent.remote_candidates_complete(solo.now);
    live(&mut solo, secs(30), &[]);
    solo.agent.veto(solo.now, second).unwrap();
    solo.drain();
    assert_eq!((selected(&solo), solo.agent.send_path()), (None, None));
    assert_eq!(
        solo.transitions().last().unwrap().reason,
        Reason::PairVetoed
    );
}

// req: I10
#[test]
fn the_pair_in_use_can_be_vetoed_and_comes_back_when_released() {
    let mut solo = controlling(Continuous::default(), 2);
    live(&mut solo, secs(1), &[]);
    assert_eq!(selected(&solo), Some((remote(0), true)));
    let best = id(&solo, 0);
    solo.agent.veto(solo.now, best).unwrap();
    assert_eq!(selected(&solo), Some((remote(1), false)), "at once");
    live(&mut solo, secs(60), &[]);
    assert_eq!(selected(&solo), Some((remote(1), true)));
    solo.agent.release(solo.now, best).unwrap();
    live(&mut solo, secs(1), &[]);
    assert_eq!(selected(&solo), Some((remote(0), true)));
    assert!(
        solo.transitions()
            .iter()
            .all(|t| t.to != State::Disconnected)
    );
}

// req: I10
#[test]
fn a_veto_ends_a_nomination_under_way() {
    let mut solo = controlling(Regular, 2);
    let sent = solo.take_requests();
    let nominating = sent
        .iter()
        .find(|c| c.message().use_candidate())
        .unwrap()
        .clone();
    assert_eq!(nominating.path.remote, remote(0));
    let best = id(&solo, 0);
    solo.agent.veto(solo.now, best).unwrap();
    let _ = solo.answer(&nominating);
    live(&mut solo, secs(1), &[]);
    assert_eq!(selected(&solo), Some((remote(1), true)));
}

// req: I10
#[test]
fn the_peers_wish_for_a_vetoed_pair_is_answered_and_not_followed() {
    let mut solo = controlled_with_pairs(3);
    let nominate = |solo: &mut Solo, n: u16| {
        solo.take();
        let request = solo.check().nominating().bytes();
        let _ = solo.receive(remote(n), &request);
        let sent = solo.take();
        assert_eq!(sent[0].message().class(), Class::SuccessResponse);
    };
    nominate(&mut solo, 0);
    live(&mut solo, secs(1), &[]);
    let (second, third) = (id(&solo, 1), id(&solo, 2));
    solo.agent.veto(solo.now, second).unwrap();
    nominate(&mut solo, 1);
    live(&mut solo, secs(1), &[]);
    assert_eq!(selected(&solo), Some((remote(0), true)));
    // Released, it is followed: the peer has not wished for another since.
    solo.agent.release(solo.now, second).unwrap();
    assert_eq!(selected(&solo), Some((remote(1), true)));
    // But not if it has.
    solo.agent.veto(solo.now, third).unwrap();
    nominate(&mut solo, 2);
    live(&mut solo, secs(1), &[]);
    nominate(&mut solo, 0);
    live(&mut solo, secs(1), &[]);
    solo.agent.release(solo.now, third).unwrap();
    live(&mut solo, secs(1), &[]);
    assert_eq!(selected(&solo), Some((remote(0), true)));
}

/// A policy as somebody else may write it: the shortest round trip wins, if it is shorter by a fifth.
#[derive(Debug)]
struct ShortestRoundTrip;

impl Policy for ShortestRoundTrip {
    fn nominate(&self, situation: &Situation<'_>) -> Decision {
        let measured = |c: Contender| c.has_succeeded().then_some((c.pair.rtt?, c.pair.id));
        let Some((rtt, best)) = situation.pairs().filter_map(measured).min() else {
            return Decision::Nothing;
        };
        let settled = situation.began() + ms(500);
        match situation.nominated().and_then(|c| c.pair.rtt) {
            None if situation.now() < settled => Decision::LookAgain(settled),
            Some(current) if rtt > current * 4 / 5 => Decision::Nothing,
            _ => Decision::Nominate(best),
        }
    }

    fn keep(&self, pair: &Contender, _: &Situation<'_>) -> Keep {
        match pair.state {
            PairState::Failed => Keep::Drop,
            _ => Keep::Backup(secs(10)),
        }
    }

    fn counts_nominations(&self) -> bool {
        true
    }
}

// req: I10 I23
#[test]
fn a_policy_from_outside_decides() {
    let mut story = between(
        offerer(ShortestRoundTrip, 2),
        answerer(ShortestRoundTrip, 2),
    );
    let fast = (address(1, 1), address(2, 1));
    let medium = (address(1, 1), address(2, 0));
    let delay_of = |story: &mut Story, path: (SocketAddr, SocketAddr), delay| {
        *story.network.link(path.0, path.1) = Link::with_delay(delay);
        *story.network.link(path.1, path.0) = Link::with_delay(delay);
    };
    story.network.set_links(Link::with_delay(ms(100)));
    delay_of(&mut story, fast, ms(20));
    delay_of(&mut story, medium, ms(50));
    signal(&mut story);
    story.run_for(ms(499));
    assert!(!story.a.is_in_use(), "it waits");
    story.run_for(ms(200));
    assert_eq!(in_use(&story.a, &story.b), fast, "the worst by priority");
    // The fast path becomes slow, which consent checks find out.
    delay_of(&mut story, fast, ms(200));
    story.run_for(secs(60));
    assert_eq!(in_use(&story.a, &story.b), medium);
    assert_eq!(story.a.agent.candidate_pairs().count(), 4, "all are kept");
    assert_completed(&story);
}

/// A policy that follows nobody.
#[derive(Debug)]
struct Stubborn;

impl Policy for Stubborn {
    fn nominate(&self, _: &Situation<'_>) -> Decision {
        Decision::Nothing
    }

    fn follow(&self, _: &Contender, situation: &Situation<'_>) -> Option<PairId> {
        // Names that do not exist and instants that have passed do no harm.
        situation.nominated().map(|c| c.pair.id)
    }
}

// req: I10
#[test]
fn a_policy_may_refuse_to_follow() {
    let mut story = between(offerer(Regular, 1), answerer(Stubborn, 1));
    signal(&mut story);
    story.run_for(secs(20));
    assert!(story.a.is_in_use() && !story.b.is_in_use());
    assert!(story.b.agent.send_path().is_some(), "provisionally");
}

/// Requests to these that left since the last look, with their times; everything is answered.
fn sent_to(solo: &mut Solo, wanted: &[u16]) -> Vec<(Duration, SocketAddr)> {
    let mut times = Vec::new();
    for check in solo.take_requests() {
        if wanted.iter().any(|n| check.path.remote == remote(*n)) {
            times.push((check.at, check.path.remote));
        }
        let _ = solo.answer(&check);
    }
    times
}

// req: I5 I23
#[test]
fn backups_and_new_pairs_share_one_pace() {
    // Both backups answered at 150 ms, and are due at the same instant.
    let mut solo = controlling(ByApplication::default(), 3);
    live(&mut solo, ms(24_950), &[]);
    solo.run_for(ms(25_140) - solo.elapsed());
    assert_eq!(sent_to(&mut solo, &[1, 2]), []);
    let add = |solo: &mut Solo, n: u16| {
        let candidate = Candidate::host(remote(n));
        let _ = solo.agent.add_remote_candidate(solo.now, candidate);
    };
    add(&mut solo, 7);
    solo.run_for(ms(55));
    add(&mut solo, 8);
    solo.run_for(ms(300));
    let sent = sent_to(&mut solo, &[1, 2, 7, 8]);
    let times: Vec<Duration> = sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [25_140, 25_190, 25_240, 25_290].map(ms), "{sent:?}");
    assert_eq!((sent[0].1, sent[1].1), (remote(7), remote(1)));
}

/// As [`Continuous`], but no pair that works is dropped, and backups are checked every second.
fn impatient() -> KeepAll {
    let mut continuous = Continuous::default();
    continuous.backup_interval = secs(1);
    KeepAll(continuous)
}

// req: I23
#[test]
fn backups_are_not_checked_before_the_first_consent_check_of_the_nominated_pair() {
    let mut solo = controlling(impatient(), 2);
    for check in solo.take_requests() {
        let _ = solo.answer(&check);
    }
    assert_eq!(selected(&solo), Some((remote(0), true)));
    // Consent is asked for after four seconds at the earliest.
    solo.run_for(ms(3900));
    assert!(solo.take_requests().is_empty());
    let (mut first_consent, mut first_backup) = (None, None);
    while first_backup.is_none() {
        solo.run_for(ms(10));
        for check in solo.take_requests() {
            let first = match check.path.remote == remote(0) {
                true => &mut first_consent,
                false => &mut first_backup,
            };
            first.get_or_insert(check.at);
            let _ = solo.answer(&check);
        }
    }
    assert!(first_consent.is_some() && first_consent <= first_backup);
}

// req: I10
#[test]
fn of_two_pairs_that_the_application_nominated_the_later_one_holds() {
    let mut solo = controlling(KeepAll(Continuous::default()), 3);
    live(&mut solo, secs(1), &[]);
    for n in [1, 2] {
        let pair = id(&solo, n);
        solo.agent.nominate(solo.now, pair).unwrap();
        live(&mut solo, secs(10), &[]);
        assert_eq!(selected(&solo), Some((remote(n), true)));
    }
    let changes = solo.events.len();
    live(&mut solo, secs(60), &[]);
    assert_eq!(selected(&solo), Some((remote(2), true)));
    assert_eq!(solo.events.len(), changes, "no switching to and fro");
}

// req: I10
#[test]
fn a_pair_whose_nomination_failed_is_the_application_s_choice_no_more() {
    let mut solo = controlling(ByApplication::default(), 2);
    let second = id(&solo, 1);
    solo.agent.nominate(solo.now, second).unwrap();
    let nominating = solo.take_requests().pop().unwrap();
    let refusal = solo.error_to(&nominating, floe_stun::ErrorCode::BAD_REQUEST);
    let _ = solo.receive(remote(1), &refusal);
    // A check of the peer's gives the pair another chance, which it takes.
    let request = solo.check().bytes();
    let _ = solo.receive(remote(1), &request);
    solo.run_for(ms(60));
    let mut checks = solo.take_requests();
    let check = checks.pop().unwrap();
    assert_eq!(check.path.remote, remote(1));
    let _ = solo.answer(&check);
    checks.extend(solo.take_requests());
    assert!(checks.iter().all(|check| !check.message().use_candidate()));
    assert_eq!(selected(&solo), Some((remote(0), false)));
    // Unless it is chosen again.
    solo.agent.nominate(solo.now, second).unwrap();
    let nominating = solo.take_requests().pop().unwrap();
    let _ = solo.answer(&nominating);
    assert_eq!(selected(&solo), Some((remote(1), true)));
}

// req: I10
#[test]
fn whoever_controls_is_not_told_what_to_use() {
    let mut solo = controlling(KeepAll(Continuous::default()), 2);
    live(&mut solo, secs(1), &[]);
    assert_eq!(selected(&solo), Some((remote(0), true)));
    for nomination in [None, Some(9)] {
        let mut request = solo.check().nominating();
        request.role = Some(floe_stun::RoleAttribute::Controlled(1));
        request.nomination = nomination;
        let _ = solo.receive(remote(1), &request.bytes());
        let answer = solo.take().remove(0);
        assert_eq!(answer.message().class(), Class::SuccessResponse);
        assert_eq!(selected(&solo), Some((remote(0), true)), "nor for a moment");
        live(&mut solo, secs(1), &[]);
        assert_eq!(selected(&solo), Some((remote(0), true)));
    }
}

// req: I10
#[test]
fn a_pair_that_is_released_is_used_only_if_the_peer_s_latest_wish_was_for_it() {
    let mut solo = controlled_with_pairs(3);
    let wish = |solo: &mut Solo, n: u16| {
        let request = solo.check().nominating().bytes();
        let _ = solo.receive(remote(n), &request);
        solo.take();
        live(solo, secs(1), &[]);
    };
    wish(&mut solo, 1);
    // The best of all is vetoed when the peer wishes for it; then it changes its mind.
    let best = id(&solo, 0);
    solo.agent.veto(solo.now, best).unwrap();
    wish(&mut solo, 0);
    wish(&mut solo, 2);
    assert_eq!(selected(&solo), Some((remote(2), true)));
    solo.agent.release(solo.now, best).unwrap();
    live(&mut solo, secs(1), &[]);
    assert_eq!(selected(&solo), Some((remote(2), true)));
}

// req: I10
#[test]
fn no_vetoed_pair_takes_over_and_the_best_of_the_others_does() {
    let mut solo = controlling(ByApplication::default(), 3);
    live(&mut solo, secs(1), &[]);
    assert_eq!(selected(&solo), Some((remote(0), false)));
    let second = id(&solo, 1);
    solo.agent.veto(solo.now, second).unwrap();
    let _ = solo.agent.remove_remote_candidate(solo.now, remote(0));
    assert_eq!(selected(&solo), Some((remote(2), false)), "at once");
}

/// Time passes, and all checks are answered.
fn answering(solo: &mut Solo, tenths: u32) -> Vec<SocketAddr> {
    let mut asked = Vec::new();
    for _ in 0..tenths {
        solo.run_for(ms(100));
        for check in solo.take_requests() {
            asked.push(check.path.remote);
            let _ = solo.answer(&check);
        }
    }
    asked
}

// req: I23
#[test]
fn a_pair_that_succeeds_late_is_dropped_when_the_one_in_use_has_answered_again() {
    let mut solo = crate::support::solo::in_a_call();
    answering(&mut solo, 70);
    assert!(
        solo.agent.stats().consent_requests_sent > 0,
        "the others have been dropped"
    );
    let check = solo.check().bytes();
    let _ = solo.receive(remote(5), &check);
    let asked = answering(&mut solo, 2);
    assert!(asked.contains(&remote(5)));
    let states: Vec<_> = solo
        .agent
        .candidate_pairs()
        .map(|pair| pair.state)
        .collect();
    assert_eq!(
        states,
        [PairState::Succeeded; 2],
        "the peer may nominate it yet"
    );
    let asked = answering(&mut solo, 300);
    assert!(
        asked.len() > 4 && asked.iter().all(|to| *to == remote(0)),
        "{asked:?}"
    );
    assert_eq!(solo.agent.candidate_pairs().count(), 1);
    // It is no worse off than one that was never heard of.
    let check = solo.check().nominating().bytes();
    let _ = solo.receive(remote(5), &check);
    answering(&mut solo, 2);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(5));
}

// req: I10 I23
#[test]
fn a_switch_that_waits_for_its_round_trip_outlasts_the_consent_check() {
    let mut solo = controlled_with_pairs(2);
    answering(&mut solo, 70);
    // That of the second pair leaves at once: it was answered long ago.
    for n in [1, 0] {
        let check = solo.check().nominating().bytes();
        let _ = solo.receive(remote(n), &check);
        assert_eq!(
            solo.agent.send_path().unwrap().remote,
            remote(1),
            "one switch in a round trip"
        );
    }
    let checks = solo.agent.stats().consent_requests_sent;
    solo.run_for(ms(10));
    assert!(solo.agent.stats().consent_requests_sent > checks);
    answering(&mut solo, 3);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(0));
    assert!(solo.agent.selected_candidate_pair().unwrap().nominated);
}

/// A policy as somebody else may write it: the peer's wishes are followed upwards only.
#[derive(Debug)]
struct Upwards;

impl Policy for Upwards {
    fn nominate(&self, _: &Situation<'_>) -> Decision {
        Decision::Nothing
    }

    fn follow(&self, wished: &Contender, situation: &Situation<'_>) -> Option<PairId> {
        let followed = situation.upcoming().or_else(|| situation.nominated());
        let better = followed.is_none_or(|c| wished.priority > c.priority);
        better.then_some(wished.pair.id)
    }
}

// req: I10
#[test]
fn a_policy_sees_the_switch_that_waits_for_its_round_trip() {
    let remotes: Vec<_> = (0..3).map(remote).collect();
    let mut solo = Solo::checking(Initiation::Responding, config(Upwards), &remotes);
    solo.run_for(ms(110));
    let checks = solo.take_requests();
    solo.run_for(ms(290));
    for check in &checks {
        let _ = solo.answer(check);
    }
    // The worst, the best, and what is better than the one in use and worse than the one to come.
    for n in [2, 0, 1] {
        let check = solo.check().nominating().bytes();
        let _ = solo.receive(remote(n), &check);
        assert_eq!(selected(&solo), Some((remote(2), true)), "not yet");
    }
    solo.run_for(secs(1));
    assert_eq!(selected(&solo), Some((remote(0), true)));
}

// req: I10 I23
#[test]
fn a_nomination_under_way_outlasts_the_consent_check_and_takes_no_backups_place() {
    // The best backup, and one that the policy would not keep.
    for (chosen, backup) in [(1, 2), (3, 1)] {
        let mut solo = controlling(Continuous::default(), 4);
        live(&mut solo, secs(3), &[]);
        assert_eq!(selected(&solo), Some((remote(0), true)));
        let pair = id(&solo, chosen);
        solo.agent.nominate(solo.now, pair).unwrap();
        let mut nominating = None;
        while solo.agent.stats().consent_requests_sent == 0 {
            solo.run_for(ms(10));
            for check in solo.take_requests() {
                if check.path.remote == remote(chosen) {
                    nominating = Some(check);
                } else {
                    let _ = solo.answer(&check);
                }
            }
        }
        let left: BTreeSet<PairId> = solo.agent.candidate_pairs().map(|p| p.pair.id).collect();
        let kept = [0, chosen, backup].map(|n| id(&solo, n));
        assert_eq!(left, kept.into_iter().collect());
        let _ = solo.answer(&nominating.unwrap());
        assert_eq!(selected(&solo), Some((remote(chosen), true)));
    }
}
