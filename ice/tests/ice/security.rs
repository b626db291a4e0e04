//! Attackers: off the path, on the path, and peers that hold the password.

use std::net::SocketAddr;
use std::time::Duration;

use floe_ice::{
    Candidate, CandidatePairStats, Config, DropReason, Event, FiveTuple, Initiation, Mode,
    PairState, Reason, Received, Revoked, State, Transmit,
};
use floe_stun::{
    AttributeType, Class, ErrorCode, IntegrityAlgorithm, IntegrityKey, Message, Method, Writer,
};
use sim::{Attacker, Datagram};

use crate::support::solo::{Solo, controlled_with_pairs, in_a_call, local, remote};
use crate::support::{address, connected, ms, secs};

/// All that can be seen of an agent, but for its counters.
fn picture(solo: &Solo) -> String {
    let agent = &solo.agent;
    let pairs: Vec<_> = agent.candidate_pairs().collect();
    format!(
        "{:?} {:?} {:?} {:?} {pairs:?} {:?} {:?}",
        agent.state(),
        agent.role(),
        agent.selected_candidate_pair(),
        agent.send_path(),
        agent.poll_timeout(),
        agent.local_candidates().collect::<Vec<_>>(),
    )
}

// req: I41
#[test]
fn what_is_not_authenticated_changes_nothing_whether_it_is_answered_or_not() {
    let mut solo = in_a_call();
    let good = solo.check().nominating();
    let with = |change: &dyn Fn(&mut crate::support::solo::Check)| {
        let mut check = good.clone();
        change(&mut check);
        check.bytes()
    };
    let mut no_fingerprint = good.bytes();
    no_fingerprint.truncate(no_fingerprint.len() - 8);
    let length = (no_fingerprint.len() - 20) as u16;
    no_fingerprint[2..4].copy_from_slice(&length.to_be_bytes());
    let mut bad_fingerprint = good.bytes();
    *bad_fingerprint.last_mut().unwrap() ^= 1;
    let mut malformed = good.bytes();
    malformed[22..24].copy_from_slice(&[0xff, 0xff]);
    let own = good.to.username_fragment();
    let mut table = vec![
        (
            good.bytes_under("not-the-password-of-ours"),
            DropReason::BadIntegrity,
        ),
        (no_fingerprint, DropReason::MissingFingerprint),
        (bad_fingerprint, DropReason::BadFingerprint),
        (malformed, DropReason::Malformed),
    ];
    let parameters =
        |fragment: &str| floe_ice::Parameters::new(fragment, good.to.password()).unwrap();
    table.push((
        with(&|check| check.to = parameters("else")),
        DropReason::UnknownUsername,
    ));
    table.push((
        with(&|check| check.to = parameters(&format!("{own}x"))),
        DropReason::UnknownUsername,
    ));
    table.push((
        raw(&good, |writer| writer.priority(1)),
        DropReason::MissingUsername,
    ));
    // The fragment alone, without a colon.
    table.push((
        raw(&good, |writer| writer.username(own.as_bytes())),
        DropReason::UnknownUsername,
    ));
    table.push((
        with(&|check| check.from = "y".repeat(256)),
        DropReason::BadIntegrity,
    ));
    let last = table.len() - 1;
    table[last].0 = {
        let mut long = good.clone();
        long.from = "y".repeat(600);
        long.bytes()
    };
    table[last].1 = DropReason::TooLong;
    table.push((unprotected(&good), DropReason::MissingIntegrity));
    for (bytes, reason) in table {
        // Each meets an agent that has answered nobody yet.
        solo = in_a_call();
        let (before, counted) = (picture(&solo), solo.agent.stats());
        assert_eq!(solo.receive(remote(0), &bytes), Received::Dropped(reason));
        let after = solo.agent.stats();
        assert_eq!(after.dropped(reason), 1, "{reason}");
        assert_eq!(after.dropped_total(), 1, "{reason}");
        assert_eq!(after.responses_sent, counted.responses_sent, "{reason}");
        assert_eq!(after.requests_received, counted.requests_received);
        assert_eq!(picture(&solo), before, "{reason}");
        let answers: Vec<_> = solo.take().iter().map(crate::refusals::refusal).collect();
        let expected = match reason {
            DropReason::MissingUsername | DropReason::MissingIntegrity => vec![400],
            DropReason::BadIntegrity => vec![401],
            _ => vec![],
        };
        assert_eq!(answers, expected, "{reason}");
    }
    assert_eq!(
        solo.receive(remote(0), &[0x16, 0xfe, 0xfd]),
        Received::NotMine
    );
    assert_eq!(solo.receive(remote(0), &[]), Received::NotMine);
}

fn raw(
    check: &crate::support::solo::Check,
    write: impl for<'b> FnOnce(Writer<'b>) -> Writer<'b>,
) -> Vec<u8> {
    let mut buf = [0; 700];
    let key = IntegrityKey::short_term(check.to.password().as_bytes());
    let writer = Writer::request(&mut buf, Method::BINDING, check.transaction_id());
    let len = write(writer).integrity(&key).fingerprint().unwrap();
    buf[..len].to_vec()
}

fn unprotected(check: &crate::support::solo::Check) -> Vec<u8> {
    let mut buf = [0; 700];
    let len = Writer::request(&mut buf, Method::BINDING, check.transaction_id())
        .ice_username(check.to.username_fragment(), &check.from)
        .priority(1)
        .fingerprint()
        .unwrap();
    buf[..len].to_vec()
}

// req: I41
#[test]
fn a_long_message_is_dropped_before_its_mac_is_looked_at() {
    let mut solo = in_a_call();
    let mut check = solo.check();
    // Below the limit it is verified, above it is not, whether it is authentic or forged.
    check.from = "y".repeat(600 - 96);
    assert!(check.bytes().len() <= 600);
    assert_eq!(solo.receive(remote(0), &check.bytes()), Received::Handled);
    check.from = "y".repeat(600);
    assert!(check.bytes().len() > 600);
    assert_eq!(
        solo.receive(remote(0), &check.bytes()),
        Received::Dropped(DropReason::TooLong)
    );
    let forged = check.bytes_under("not-the-password-of-ours");
    assert_eq!(
        solo.receive(remote(0), &forged),
        Received::Dropped(DropReason::TooLong)
    );
}

// req: I41
#[test]
fn forgeries_from_elsewhere_run_out_of_budget_and_the_peer_does_not() {
    let mut solo = in_a_call();
    let forged = solo.check().bytes_under("not-the-password-of-ours");
    for n in 0..100 {
        let received = solo.receive(address(7, n), &forged);
        let expected = if n < 8 {
            DropReason::BadIntegrity
        } else {
            DropReason::IntegrityBudget
        };
        assert_eq!(received, Received::Dropped(expected), "{n}");
    }
    for host in 10..200 {
        let _ = solo.receive(address(host, 0), &forged);
    }
    assert_eq!(
        solo.agent.stats().dropped(DropReason::BadIntegrity),
        64,
        "the fragment's own budget"
    );
    // The peer's own path is not affected, even if its source was spoofed.
    for _ in 0..20 {
        assert_eq!(
            solo.receive(remote(0), &forged),
            Received::Dropped(DropReason::BadIntegrity)
        );
    }
    let request = solo.check().bytes();
    assert_eq!(solo.receive(remote(0), &request), Received::Handled);
    // And from a new address a little later.
    solo.run_for(secs(1));
    let request = solo.check().bytes();
    assert_eq!(solo.receive(address(7, 0), &request), Received::Handled);
}

// req: I41
#[test]
fn forgeries_with_the_peers_source_use_up_nobodys_budget() {
    let mut solo = in_a_call();
    let forged = solo.check().bytes_under("not-the-password-of-ours");
    for _ in 0..100 {
        assert_eq!(
            solo.receive(remote(0), &forged),
            Received::Dropped(DropReason::BadIntegrity)
        );
    }
    // The peer goes on from another port, and from another address.
    let request = solo.check().bytes();
    let mut port = remote(0);
    port.set_port(port.port() + 1);
    assert_eq!(solo.receive(port, &request), Received::Handled);
    assert_eq!(solo.receive(address(7, 0), &request), Received::Handled);
}

/// An agent that nobody has told where its peer is, while so many checks a second are forged in the peer's name, from so many
/// addresses of which the peer's is one: how long the peer is not heard, which tries about ten times a second as browsers do,
/// and how many forgeries are verified in a second.
fn knocking(mode: Mode, per_second: u32, sources: u16) -> (Duration, u64) {
    let mut solo = Solo::new(mode, Initiation::Responding, Config::default());
    let own = Candidate::host(local());
    solo.agent.add_local_candidate(solo.now, own).unwrap();
    solo.meet();
    let forged = solo.check().bytes_under("not-the-password-of-ours");
    let source = |n: u32| address(10 + (n % u32::from(sources)) as u8, 0);
    let (gap, pause) = (secs(1) / per_second, Duration::from_micros(101_377));
    let began = solo.now + ms(1234);
    let mut next = began;
    for n in 0.. {
        let flood = solo.now + gap;
        if next <= flood {
            solo.run_for(next - solo.now);
            let check = solo.check().bytes();
            if solo.receive(source(0), &check) == Received::Handled {
                break;
            }
            next += pause;
        }
        solo.run_for(flood - solo.now);
        let _ = solo.receive(source(n), &forged);
    }
    let verified = solo.agent.stats().dropped(DropReason::BadIntegrity);
    (solo.now - began, verified / solo.elapsed().as_secs())
}

// req: I41
#[test]
fn who_forges_checks_does_not_keep_the_peers_first_one_out() {
    for mode in [Mode::Full, Mode::Lite] {
        // From many addresses, and from the peer's own.
        for (per_second, sources) in [(64, 200), (500, 200), (1900, 200), (64, 1), (240, 1)] {
            let (unheard, _) = knocking(mode, per_second, sources);
            assert_eq!(unheard, ms(0), "{per_second} a second from {sources}");
        }
        // Of more not all are worth verifying, but some always are.
        for (per_second, sources) in [(6007, 200), (10_007, 200), (757, 1)] {
            let (unheard, verified) = knocking(mode, per_second, sources);
            assert!(
                unheard < secs(5),
                "{per_second} from {sources}: {unheard:?}"
            );
            assert!(verified <= 2 * 2064, "{verified}");
        }
    }
}

// req: I41
#[test]
fn a_hundred_thousand_hostile_datagrams_leave_a_call_alone() {
    let mut story = connected(1);
    let tap = story.network.wiretap();
    story.run_for(secs(20));
    let seen: Vec<Datagram> = tap
        .take()
        .into_iter()
        .map(|(_, datagram)| datagram)
        .collect();
    story.network.remove_taps();
    let mut attacker = Attacker::new(7);
    let (a, b) = (story.a.addresses[0], story.b.addresses[0]);
    let states = (story.a.transitions().len(), story.b.transitions().len());
    let selected = story.a.agent.selected_candidate_pair().unwrap().id;
    for round in 0..1000 {
        for n in 0..100 {
            // Each in its turn, and each treated in all ways: 101 has no factor in common with so few.
            let template = &seen[(round * 101 + n) % seen.len()];
            let source = if n % 3 == 0 {
                address(9, (n * 7) as u16)
            } else {
                template.source
            };
            let datagram = match n % 4 {
                0 => attacker.garbage(source, if n % 8 == 0 { a } else { b }, 300),
                1 => Datagram {
                    source,
                    ..template.clone()
                },
                2 => attacker.splice(template, &seen[(n * 31) % seen.len()]),
                _ => Datagram {
                    source,
                    ..attacker.mutate(template)
                },
            };
            story.inject(datagram);
        }
        story.run_for(ms(60));
    }
    story.run_for(secs(30));
    for peer in [&story.a, &story.b] {
        assert_eq!(peer.state(), State::Completed);
        assert!(
            peer.agent.candidate_pairs().count() <= 16,
            "{}",
            peer.agent.candidate_pairs().count()
        );
    }
    let [a_dropped, b_dropped] =
        [&story.a, &story.b].map(|peer| peer.agent.stats().dropped_total());
    assert!(
        a_dropped > 5_000 && b_dropped > 5_000,
        "{a_dropped} {b_dropped}"
    );
    assert_eq!(
        (story.a.transitions().len(), story.b.transitions().len()),
        states,
        "no state ever changed"
    );
    assert_eq!(
        story.a.agent.selected_candidate_pair().unwrap().id,
        selected
    );
    assert_eq!(story.a.path(), FiveTuple::udp(a, b));
}

// req: I42
#[test]
fn a_flood_of_spoofed_sources_holds_eight_candidates_and_answers_all() {
    let mut solo = in_a_call();
    let before = solo.agent.send_path();
    for n in 0..1000 {
        let request = solo.check().bytes();
        assert_eq!(solo.receive(address(9, n), &request), Received::Handled);
        let sent = solo.take();
        let answers = sent.iter().filter(|sent| !sent.is_request()).count();
        assert_eq!(answers, 1, "each is answered");
        assert!(solo.agent.candidate_pairs().count() <= 1 + 8);
        solo.run_for(ms(1));
    }
    assert_eq!(solo.agent.send_path(), before);
    assert_eq!(solo.agent.state(), State::Connected);
}

// req: I41
#[test]
fn answers_that_nobody_asked_for_are_dropped_before_their_mac() {
    let mut solo = in_a_call();
    let response = crate::support::solo::success(
        floe_stun::TransactionId::from_bytes([3; 12]),
        local(),
        "the-password-of-the-peer",
    );
    for _ in 0..100 {
        assert_eq!(
            solo.receive(remote(0), &response),
            Received::Dropped(DropReason::UnknownTransaction)
        );
    }
    assert_eq!(
        solo.agent.stats().dropped(DropReason::UnknownTransaction),
        100
    );
}

// req: I41
#[test]
fn a_replayed_check_from_another_address_takes_nothing_over() {
    let mut story = connected(1);
    let tap = story.network.wiretap();
    story.run_for(secs(30));
    let nominating = |datagram: &Datagram| {
        let message = Message::parse(&datagram.bytes).unwrap();
        message.class() == Class::Request && message.use_candidate()
    };
    let seen: Vec<Datagram> = tap
        .take()
        .into_iter()
        .map(|(_, d)| d)
        .filter(nominating)
        .collect();
    assert!(!seen.is_empty());
    for (n, replayed) in seen.iter().enumerate() {
        story.inject(Datagram {
            source: address(9, n as u16),
            ..replayed.clone()
        });
    }
    story.run_for(secs(60));
    // Nobody answers there: the pair never succeeds, so the nomination never counts.
    assert_eq!(story.b.path().remote, story.a.addresses[0]);
    assert_eq!(story.b.state(), State::Completed);
    assert!(
        !story
            .b
            .agent
            .is_proven(&FiveTuple::udp(story.b.addresses[0], address(9, 0)))
    );
}

// req: I41
#[test]
fn which_paths_are_heard_and_proven() {
    let mut solo = controlled_with_pairs(1);
    let path = |n| FiveTuple::udp(local(), remote(n));
    assert!(
        solo.agent.accepts_from(&path(0)) && solo.agent.is_proven(&path(0)),
        "an answered check"
    );
    assert!(!solo.agent.accepts_from(&path(1)) && !solo.agent.is_proven(&path(1)));
    assert!(solo.events.contains(&Event::PathValidated(path(0))));
    let request = solo.check().bytes();
    let _ = solo.receive(remote(1), &request);
    assert!(
        solo.agent.accepts_from(&path(1)) && !solo.agent.is_proven(&path(1)),
        "an authenticated request"
    );
    solo.run_for(ms(50));
    let checks = solo.take_requests();
    let _ = solo.answer(checks.iter().find(|check| check.path == path(1)).unwrap());
    assert!(solo.agent.is_proven(&path(1)));
    assert_eq!(solo.agent.usable_path(), Some(path(0)));
}

// What the peer sends before it has nominated, it sends on whichever pair is its best, and that is any of them (RFC 8445 §12.2).
#[test]
fn of_many_pairs_that_work_each_is_one_to_hear_the_peer_on() {
    let mut solo = controlled_with_pairs(40);
    let path = |n| FiveTuple::udp(local(), remote(n));
    let pairs = solo.agent.candidate_pairs();
    let succeeded = |pair: &CandidatePairStats| pair.state == PairState::Succeeded;
    assert_eq!(pairs.filter(succeeded).count(), 40);
    assert_eq!(solo.agent.send_path(), Some(path(0)));
    for n in 0..40 {
        assert!(
            solo.agent.accepts_from(&path(n)) && solo.agent.is_proven(&path(n)),
            "{n}"
        );
    }
    assert!(!solo.agent.accepts_from(&path(40)));
    // Where it is heard again it was proven before.
    for n in 0..40 {
        let request = solo.check().bytes();
        let _ = solo.receive(remote(n), &request);
        let times = |e: &&Event| **e == Event::PathValidated(path(n));
        assert_eq!(solo.events.iter().filter(times).count(), 1);
        assert!(solo.agent.is_proven(&path(n)));
    }
    // What is refused is not heard, whatever had worked there.
    solo.agent.revoke_consent(solo.now, Reason::PeerClosed);
    assert!(!solo.agent.accepts_from(&path(0)) && !solo.agent.is_proven(&path(0)));
}

// req: I59 S4 S9
#[test]
fn a_closed_agent_leaves_something_that_answers_forbidden() {
    let mut solo = in_a_call();
    solo.agent.restart(solo.now, None, None).unwrap();
    let request = solo.check();
    solo.agent.close(solo.now);
    let mut revoked: Vec<Revoked> = solo.agent.revoked().collect();
    let [of_request, other] = &mut revoked[..] else {
        panic!("both generations")
    };
    let now = solo.now;
    assert_eq!(
        of_request.username_fragment(),
        request.to.username_fragment()
    );
    let path = FiveTuple::udp(local(), remote(0));
    let mut buf = [0; 100];
    let Some(Transmit { path: back, len }) =
        of_request.answer(now, path, &request.bytes(), &mut buf)
    else {
        panic!("an authenticated request is answered")
    };
    assert_eq!(back, path);
    let answer = Message::parse(&buf[..len]).unwrap();
    let key = IntegrityKey::short_term(request.to.password().as_bytes());
    assert_eq!(
        answer.verify(&key).unwrap().error_code(),
        Some(ErrorCode::FORBIDDEN)
    );
    assert_eq!(answer.transaction_id(), request.transaction_id());
    // Who asks with SHA-256 is answered with it.
    let mut modern = request.clone();
    modern.sha256 = true;
    let mut long = [0; 200];
    let answered = of_request.answer(now, path, &modern.bytes(), &mut long);
    let answer = Message::parse(&long[..answered.unwrap().len]).unwrap();
    let algorithm = answer.verify(&key).unwrap().algorithm();
    assert_eq!(algorithm, IntegrityAlgorithm::Sha256);
    let forged = request.bytes_under("not-the-password-of-ours");
    assert!(of_request.answer(now, path, &forged, &mut buf).is_none());
    assert!(
        other
            .answer(now, path, &request.bytes(), &mut buf)
            .is_none()
    );
    assert!(of_request.answer(now, path, b"no stun", &mut buf).is_none());
    // Without its FINGERPRINT, or with a wrong one, it is no ICE.
    let mut unmarked = request.bytes();
    unmarked.truncate(unmarked.len() - 8);
    let length = (unmarked.len() - 20) as u16;
    unmarked[2..4].copy_from_slice(&length.to_be_bytes());
    assert!(of_request.answer(now, path, &unmarked, &mut buf).is_none());
    let mut mismarked = request.bytes();
    *mismarked.last_mut().unwrap() ^= 1;
    assert!(of_request.answer(now, path, &mismarked, &mut buf).is_none());
}

// req: I41 I58 I59
#[test]
fn what_is_left_of_a_closed_agent_is_as_wary_as_the_agent() {
    let mut solo = in_a_call();
    let (request, to) = (solo.check(), solo.agent.local_parameters().clone());
    solo.agent.close(solo.now);
    let mut revoked = solo.agent.revoked().next().unwrap();
    let mut now = solo.now;
    let mut answers = |now, from, datagram: &[u8]| {
        let path = FiveTuple::udp(local(), from);
        revoked.answer(now, path, datagram, &mut [0; 200]).is_some()
    };
    for refused in ["127.0.0.1:9", "169.254.169.254:80", "198.51.100.1:0"] {
        let refused = refused.parse().unwrap();
        assert!(!answers(now, refused, &request.bytes()), "{refused}");
    }
    let mut long = [0; 1200];
    let len = Writer::request(&mut long, Method::BINDING, request.transaction_id())
        .ice_username(to.username_fragment(), "peer")
        .attribute(AttributeType::new(0xc0ff), &[0; 600])
        .integrity(&IntegrityKey::short_term(to.password().as_bytes()))
        .fingerprint()
        .unwrap();
    assert!(!answers(now, remote(0), &long[..len]), "not worth its MAC");
    // It speaks for one username fragment, and of Binding.
    let key = IntegrityKey::short_term(to.password().as_bytes());
    for (method, fragment, answered) in [
        (Method::BINDING, to.username_fragment(), true),
        (Method::BINDING, "somebody", false),
        (Method::GOOG_PING, to.username_fragment(), false),
    ] {
        let mut buf = [0; 200];
        let len = Writer::request(&mut buf, method, request.transaction_id())
            .ice_username(fragment, "peer")
            .integrity(&key)
            .fingerprint()
            .unwrap();
        assert_eq!(answers(now, remote(0), &buf[..len]), answered, "{fragment}");
    }
    // Eight forgeries a second from one address are enough; from elsewhere the peer is still heard.
    let forged = request.bytes_under("not-the-password-of-ours");
    for n in 0..8 {
        assert!(answers(now, address(9, n), &request.bytes()), "{n}");
        assert!(!answers(now, address(9, n), &forged));
    }
    assert!(!answers(now, address(9, 0), &request.bytes()));
    assert!(answers(now, remote(0), &request.bytes()));
    now += secs(1);
    assert!(answers(now, address(9, 0), &request.bytes()));
}

// req: I40
#[test]
fn nothing_prints_a_password() {
    let mut solo = in_a_call();
    solo.agent.restart(solo.now, None, None).unwrap();
    let passwords = [
        solo.peer.password().to_owned(),
        solo.agent.local_parameters().password().to_owned(),
    ];
    let printed = format!(
        "{:?} {:#?}",
        solo.agent,
        solo.agent.revoked().collect::<Vec<_>>()
    );
    for password in passwords {
        assert!(!printed.contains(&password));
    }
}

// req: I40
#[test]
fn what_we_make_up_is_long_enough_and_never_repeats() {
    let make = || {
        floe_ice::Agent::new(
            std::sync::Arc::new(Config::default()),
            Mode::Full,
            Initiation::Initiating,
            None,
        )
    };
    let agents: Vec<_> = (0..100).map(|_| make()).collect();
    let fragments: std::collections::HashSet<_> = agents
        .iter()
        .map(|agent| agent.local_parameters().username_fragment())
        .collect();
    let passwords: std::collections::HashSet<_> = agents
        .iter()
        .map(|agent| agent.local_parameters().password())
        .collect();
    assert_eq!((fragments.len(), passwords.len()), (100, 100));
    assert!(fragments.iter().all(|fragment| fragment.len() == 16));
    assert!(passwords.iter().all(|password| password.len() * 6 >= 128));
}

// req: I40 S10
#[test]
fn transaction_ids_and_tie_breakers_do_not_repeat() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[]);
    solo.agent
        .set_route(floe_stun::RouteKey::from_bytes([5; 16]), 77);
    let remotes: Vec<SocketAddr> = (0..60).map(remote).collect();
    for to in &remotes {
        let candidate = Candidate::host(*to);
        solo.agent
            .add_remote_candidate(solo.now, candidate)
            .unwrap();
    }
    solo.run_for(secs(10));
    let requests = solo.take_requests();
    let first = |n: usize| {
        requests
            .iter()
            .find(|sent| sent.path.remote == remotes[n])
            .unwrap()
            .id()
    };
    let ids: std::collections::HashSet<_> = (0..60).map(first).collect();
    assert_eq!(ids.len(), 60);
    let key = floe_stun::RouteKey::from_bytes([5; 16]);
    assert!(
        ids.iter().all(|id| key.tag_of(id) == 77),
        "an endpoint finds the agent by its tag"
    );
}

// req: I55
#[test]
fn a_check_replayed_to_a_lite_agent_from_elsewhere_neither_nominates_nor_keeps_it_alive() {
    let mut solo = Solo::new(Mode::Lite, Initiation::Responding, Config::default());
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    solo.meet();
    let recorded = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &recorded);
    solo.run_for(secs(3));
    solo.take();
    let spoofed = address(9, 9);
    assert_eq!(solo.receive(spoofed, &recorded), Received::Handled);
    assert_eq!(solo.take().len(), 1, "it is answered");
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(0));
    assert!(!solo.agent.accepts_from(&FiveTuple::udp(local(), spoofed)));
    assert_eq!(solo.agent.consent_age(solo.now), Some(secs(3)));
    // A retransmission from where it came first counts; a new check from elsewhere moves the path.
    let _ = solo.receive(remote(0), &recorded);
    assert_eq!(solo.agent.consent_age(solo.now), Some(secs(0)));
    solo.run_for(secs(1));
    let fresh = solo.check().nominating().bytes();
    let _ = solo.receive(spoofed, &fresh);
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    assert_eq!(solo.agent.send_path().unwrap().remote, spoofed);
}

// req: I55
#[test]
fn a_lite_agent_knows_the_last_32_checks_by_address_and_port() {
    let mut solo = Solo::new(Mode::Lite, Initiation::Responding, Config::default());
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    solo.meet();
    let recorded: Vec<_> = (0..40).map(|_| solo.check().nominating().bytes()).collect();
    for check in &recorded {
        assert_eq!(solo.receive(remote(0), check), Received::Handled);
    }
    let mut next_door = remote(0);
    next_door.set_port(next_door.port() + 1000);
    for spoofed in [address(9, 9), next_door] {
        for check in &recorded[8..] {
            assert_eq!(solo.receive(spoofed, check), Received::Handled);
            assert!(!solo.agent.accepts_from(&FiveTuple::udp(local(), spoofed)));
        }
    }
    assert!(solo.take_requests().is_empty());
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(0));
}

// req: I55
#[test]
fn a_full_agent_checks_wherever_a_check_comes_from_whoever_sent_it_before() {
    let mut solo = in_a_call();
    let recorded = solo.check().bytes();
    let _ = solo.receive(remote(0), &recorded);
    assert!(solo.take_requests().is_empty());
    // The peer's repetition may come through another NAT; whether it is the peer, an own check finds out.
    let _ = solo.receive(address(9, 9), &recorded);
    solo.run_for(ms(50));
    let checks = solo.take_requests();
    assert_eq!(checks.len(), 1);
    assert_eq!(checks[0].path.remote, address(9, 9));
}

// req: S4
#[test]
fn an_indication_without_its_fingerprint_is_none_of_ice() {
    let mut solo = in_a_call();
    let id = solo.check().transaction_id();
    let mut buf = [0; 100];
    let len = Writer::indication(&mut buf, Method::BINDING, id).finish();
    let received = solo.receive(remote(0), &buf[..len.unwrap()]);
    assert_eq!(received, Received::Dropped(DropReason::MissingFingerprint));
    let len = Writer::indication(&mut buf, Method::BINDING, id).fingerprint();
    let len = len.unwrap();
    assert_eq!(solo.receive(remote(0), &buf[..len]), Received::Handled);
    buf[len - 1] ^= 1;
    let received = solo.receive(remote(0), &buf[..len]);
    assert_eq!(received, Received::Dropped(DropReason::BadFingerprint));
}
