//! Role conflicts (RFC 8445 §7.2.5.1, §7.3.1.1).

use floe_ice::{Config, DropReason, Event, Initiation, Mode, Moved, PairState, Received, Role};
use floe_stun::{ErrorCode, IntegrityKey, RoleAttribute};

use crate::support::solo::{Solo, in_a_call, remote};
use crate::support::{
    Peer, addresses, assert_completed, between, both_in_use, connected, ms, secs, signal,
};

fn agent(initiation: Initiation) -> Solo {
    let mut solo = Solo::checking(initiation, Config::default(), &[remote(0)]);
    solo.take();
    solo
}

/// What our agent answers to a check that claims this role.
fn answer_to(solo: &mut Solo, role: RoleAttribute) -> Option<ErrorCode> {
    let mut request = solo.check();
    request.role = Some(role);
    assert_eq!(solo.receive(remote(0), &request.bytes()), Received::Handled);
    let key = IntegrityKey::short_term(request.to.password().as_bytes());
    let sent = solo.take();
    let answer = sent
        .iter()
        .find(|sent| sent.id() == request.transaction_id())
        .expect("every request is answered");
    let message = answer.message();
    message
        .verify(&key)
        .expect("and the answer is authenticated")
        .error_code()
}

// req: I9
#[test]
fn requests_in_conflict_are_settled_by_the_tie_breaker() {
    use RoleAttribute::{Controlled, Controlling};
    let refused = Some(ErrorCode::ROLE_CONFLICT);
    let table = [
        (
            Initiation::Initiating,
            Controlling(0),
            refused,
            Role::Controlling,
        ),
        (
            Initiation::Initiating,
            Controlling(u64::MAX),
            None,
            Role::Controlled,
        ),
        (
            Initiation::Responding,
            Controlled(0),
            None,
            Role::Controlling,
        ),
        (
            Initiation::Responding,
            Controlled(u64::MAX),
            refused,
            Role::Controlled,
        ),
        (
            Initiation::Initiating,
            Controlled(u64::MAX),
            None,
            Role::Controlling,
        ),
        (
            Initiation::Responding,
            Controlling(u64::MAX),
            None,
            Role::Controlled,
        ),
    ];
    for (initiation, theirs, answer, role) in table {
        let mut solo = agent(initiation);
        let before = solo.agent.role();
        assert_eq!(
            answer_to(&mut solo, theirs),
            answer,
            "{initiation:?} {theirs:?}"
        );
        assert_eq!(solo.agent.role(), Some(role));
        let changed = solo.events.contains(&Event::RoleChange(role));
        assert_eq!(changed, before != Some(role));
    }
}

// req: I9 I41
#[test]
fn a_forged_conflict_changes_nothing() {
    let mut solo = agent(Initiation::Initiating);
    let mut request = solo.check();
    request.role = Some(RoleAttribute::Controlling(u64::MAX));
    let forged = request.bytes_under("not-the-password-of-ours");
    assert_eq!(
        solo.receive(remote(0), &forged),
        Received::Dropped(DropReason::BadIntegrity)
    );
    assert_eq!(solo.agent.role(), Some(Role::Controlling));
    let sent = solo.take();
    let told: Vec<_> = sent.iter().map(crate::refusals::refusal).collect();
    assert_eq!(told, [401], "and no 487");
}

// req: I9
#[test]
fn an_accepted_conflict_answer_switches_the_role_and_the_tie_breaker() {
    for initiation in [Initiation::Initiating, Initiation::Responding] {
        let mut solo = Solo::checking(initiation, Config::default(), &[remote(0)]);
        let before = solo.agent.role().unwrap();
        let checks = solo.take_requests();
        let conflict = solo.error_to(&checks[0], ErrorCode::ROLE_CONFLICT);
        assert_eq!(solo.receive(remote(0), &conflict), Received::Handled);
        assert_ne!(solo.agent.role(), Some(before));
        // The pair is checked again, in the new role and with a new tie-breaker.
        solo.run_for(ms(50));
        let again = solo.take_requests();
        let claims = [&checks[0], &again[0]].map(|check| check.message().role().unwrap());
        let (one, other) = match claims {
            [
                RoleAttribute::Controlling(one),
                RoleAttribute::Controlled(other),
            ]
            | [
                RoleAttribute::Controlled(one),
                RoleAttribute::Controlling(other),
            ] => (one, other),
            same => panic!("the role did not turn around: {same:?}"),
        };
        assert_ne!(one, other);
    }
}

// req: I9
#[test]
fn a_stale_conflict_answer_is_ignored() {
    let mut solo = Solo::checking(
        Initiation::Initiating,
        Config::default(),
        &[remote(0), remote(1)],
    );
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    assert_eq!(checks.len(), 2);
    for check in &checks {
        let conflict = solo.error_to(check, ErrorCode::ROLE_CONFLICT);
        let _ = solo.receive(check.path.remote, &conflict);
    }
    // The second one answered a role that was left with the first.
    assert_eq!(solo.agent.role(), Some(Role::Controlled));
    solo.run_for(ms(200));
    assert_eq!(
        solo.take_requests().len(),
        2,
        "both pairs are checked again"
    );
}

// req: I9
#[test]
fn a_lite_agent_never_controls_a_full_one() {
    let mut solo = Solo::new(Mode::Lite, Initiation::Initiating, Config::default());
    let host = floe_ice::Candidate::host(crate::support::solo::local());
    solo.agent.add_local_candidate(solo.now, host).unwrap();
    solo.meet();
    assert_eq!(solo.agent.role(), Some(Role::Controlled));
    for tie_breaker in [0, u64::MAX] {
        let answer = answer_to(&mut solo, RoleAttribute::Controlled(tie_breaker));
        assert_eq!(answer, Some(ErrorCode::ROLE_CONFLICT));
        assert_eq!(solo.agent.role(), Some(Role::Controlled));
    }
    assert_eq!(answer_to(&mut solo, RoleAttribute::Controlling(0)), None);
}

// req: I9
#[test]
fn two_agents_that_both_think_they_are_the_same_end_as_one_of_each() {
    for initiation in [Initiation::Initiating, Initiation::Responding] {
        for seed in 0..10 {
            let peer = |seed, host| {
                Peer::new(
                    seed,
                    Mode::Full,
                    initiation,
                    Config::default(),
                    &addresses(host, 2),
                )
            };
            let mut story = between(peer(seed, 1), peer(seed + 100, 2));
            signal(&mut story);
            assert_eq!(story.a.agent.role(), story.b.agent.role());
            story.drive_until(both_in_use);
            assert_ne!(story.a.agent.role(), story.b.agent.role());
            assert_completed(&story);
            assert_eq!(story.a.path().remote, story.b.path().local);
            assert!(story.elapsed() < secs(1), "{:?}", story.elapsed());
        }
    }
}

// req: I9
#[test]
fn a_role_that_flips_in_mid_session_costs_nothing() {
    // The peer claims our role in every check from now on, as a browser does that renegotiates the other way round.
    let mut story = connected(1);
    let password = story.b.agent.local_parameters().password().to_owned();
    let key = IntegrityKey::short_term(password.as_bytes());
    assert_eq!(story.b.agent.role(), Some(Role::Controlled));
    let b = story.b.addresses[0];
    let path = floe_ice::FiveTuple::udp(b, story.a.addresses[0]);
    let from = story
        .a
        .agent
        .local_parameters()
        .username_fragment()
        .to_owned();
    let to = story
        .b
        .agent
        .local_parameters()
        .username_fragment()
        .to_owned();
    let flipped = |tie_breaker: u64, id: u8| {
        let mut buf = [0; 200];
        let id = floe_stun::TransactionId::from_bytes([id; 12]);
        let len = floe_stun::Writer::request(&mut buf, floe_stun::Method::BINDING, id)
            .ice_username(&to, &from)
            .priority(1)
            .role(RoleAttribute::Controlled(tie_breaker))
            .integrity(&key)
            .fingerprint()
            .unwrap();
        buf[..len].to_vec()
    };
    let (now, state) = (story.now(), story.b.state());
    let _ = story.b.agent.handle_datagram(now, path, &flipped(0, 1));
    assert_eq!(story.b.agent.role(), Some(Role::Controlling));
    // A had not flipped in truth: the two settle it, and media never stops.
    for _ in 0..600 {
        story.run_for(ms(100));
        assert!(story.a.agent.send_path().is_some() && story.b.agent.send_path().is_some());
    }
    assert_ne!(story.a.agent.role(), story.b.agent.role());
    assert_eq!(story.b.state(), state);
    assert_eq!(
        story.b.transitions().len(),
        3,
        "no state changed after connecting"
    );
}

// req: I9
#[test]
fn the_tie_breaker_changes_with_each_conflict_answer_that_is_accepted() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    let mut seen = std::collections::HashSet::new();
    for turn in 0..6 {
        let check = solo.take_requests().pop().expect("checked anew");
        let (role, tie_breaker) = match check.message().role().unwrap() {
            RoleAttribute::Controlling(tie_breaker) => (Role::Controlling, tie_breaker),
            RoleAttribute::Controlled(tie_breaker) => (Role::Controlled, tie_breaker),
        };
        assert!(seen.insert(tie_breaker), "turn {turn}: the old one");
        assert_eq!(role == Role::Controlling, turn % 2 == 0);
        let conflict = solo.error_to(&check, ErrorCode::ROLE_CONFLICT);
        let _ = solo.receive(remote(0), &conflict);
        solo.run_for(ms(50));
    }
    // A role taken because of the peer's request keeps it (RFC 8445 §7.3.1.1 has nothing to change).
    let before = solo.take_requests().pop().unwrap().message().role();
    let claim = match before.unwrap() {
        RoleAttribute::Controlling(_) => RoleAttribute::Controlling(u64::MAX),
        RoleAttribute::Controlled(_) => RoleAttribute::Controlled(0),
    };
    assert_eq!(answer_to(&mut solo, claim), None);
    solo.run_for(ms(300));
    let after = solo.take_requests().pop().unwrap().message().role();
    let number = |role: Option<RoleAttribute>| match role.unwrap() {
        RoleAttribute::Controlling(n) | RoleAttribute::Controlled(n) => n,
    };
    assert_eq!(number(before), number(after));
}

// req: I9
#[test]
fn equal_tie_breakers_are_refused_by_the_controlling_side_and_obeyed_by_the_other() {
    for initiation in [Initiation::Initiating, Initiation::Responding] {
        let mut solo = Solo::checking(initiation, Config::default(), &[remote(0)]);
        let claim = solo.take_requests()[0].message().role().unwrap();
        let answer = answer_to(&mut solo, claim);
        let refused = initiation == Initiation::Initiating;
        assert_eq!(answer.is_some(), refused, "RFC 8445 §7.3.1.1 says ≥");
        assert_eq!(solo.agent.role(), Some(Role::Controlling));
    }
}

// req: I9
#[test]
fn conflict_answers_that_cross_leave_one_controlling_side() {
    // Both sides refuse the other's first check at the same instant: a tie-breaker is larger than itself nowhere, but a
    // middlebox can hold one side's checks back until both have sent. Every interleaving has to end.
    for seed in 0..10 {
        for held in [0, 30, 49, 51, 120, 400] {
            let peer = |seed, host| {
                Peer::new(
                    seed,
                    Mode::Full,
                    Initiation::Initiating,
                    Config::default(),
                    &addresses(host, 1),
                )
            };
            let mut story = between(peer(seed, 1), peer(seed + 100, 2));
            let now = story.now();
            story.a.gather(now);
            story.b.gather(now);
            let (of_a, of_b) = (story.a.remote_parameters(), story.b.remote_parameters());
            let (candidates_a, candidates_b) = (story.a.candidates(), story.b.candidates());
            story.a.learn(now, of_b, &candidates_b);
            story.run_for(ms(held));
            let now = story.now();
            story.b.learn(now, of_a, &candidates_a);
            story.drive_until(both_in_use);
            assert_ne!(story.a.agent.role(), story.b.agent.role());
            assert!(
                story.elapsed() < ms(held) + secs(1),
                "{:?}",
                story.elapsed()
            );
        }
    }
}

// req: I9
#[test]
fn a_conflict_answer_is_believed_only_with_its_mac() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    let check = solo.take_requests().pop().unwrap();
    let genuine = solo.error_to(&check, ErrorCode::ROLE_CONFLICT);
    let peer = solo.peer.clone();
    solo.peer = floe_ice::Parameters::new("peer", "a-password-somebody-guessed").unwrap();
    let forged = solo.error_to(&check, ErrorCode::ROLE_CONFLICT);
    solo.peer = peer;
    let mut bare = [0; 60];
    let len = floe_stun::Writer::error(
        &mut bare,
        floe_stun::Method::BINDING,
        check.id(),
        ErrorCode::ROLE_CONFLICT,
    )
    .fingerprint()
    .unwrap();
    for (bytes, reason) in [
        (&forged[..], DropReason::BadIntegrity),
        (&bare[..len], DropReason::MissingIntegrity),
    ] {
        assert_eq!(solo.receive(remote(0), bytes), Received::Dropped(reason));
        assert_eq!(solo.agent.role(), Some(Role::Controlling));
    }
    assert_eq!(solo.receive(remote(0), &genuine), Received::Handled);
    assert_eq!(solo.agent.role(), Some(Role::Controlled));
}

// req: I9
#[test]
fn both_sides_flip_in_mid_session_and_nothing_is_lost() {
    // Each side's checks turn around at once, as after a renegotiation the other way round in a browser that swaps roles.
    let mut story = connected(2);
    let path = |story: &crate::support::Story| (story.a.path(), story.b.path());
    let before = path(&story);
    for _ in 0..3 {
        let now = story.now();
        let (a, b) = (story.a.agent.role().unwrap(), story.b.agent.role().unwrap());
        assert_ne!(a, b);
        // What the peer's own conflict answer does: each is told that its role is taken.
        for (peer, other) in [(&mut story.a, a), (&mut story.b, b)] {
            claim(peer, now, other);
        }
        for _ in 0..200 {
            story.run_for(ms(100));
            assert!(story.a.agent.send_path().is_some() && story.b.agent.send_path().is_some());
        }
        assert_ne!(story.a.agent.role(), story.b.agent.role());
    }
    assert_eq!(path(&story), before);
    assert_completed(&story);
    assert_eq!(
        (story.a.transitions().len(), story.b.transitions().len()),
        (3, 3),
        "no state changed after connecting"
    );
}

/// A request in the peer's name that claims the role the agent has, and wins.
fn claim(peer: &mut Peer, now: std::time::Instant, role: Role) {
    let ours = peer.agent.local_parameters().clone();
    let key = IntegrityKey::short_term(ours.password().as_bytes());
    let path = peer.path();
    let theirs = peer.remote_fragment();
    let role = match role {
        Role::Controlling => RoleAttribute::Controlling(u64::MAX),
        Role::Controlled => RoleAttribute::Controlled(0),
    };
    let mut buf = [0; 200];
    let id = floe_stun::TransactionId::from_bytes([77; 12]);
    let len = floe_stun::Writer::request(&mut buf, floe_stun::Method::BINDING, id)
        .ice_username(ours.username_fragment(), &theirs)
        .priority(1)
        .role(role)
        .integrity(&key)
        .fingerprint()
        .unwrap();
    let _ = peer.agent.handle_datagram(now, path, &buf[..len]);
}

// req: I9 I3
#[test]
fn pair_priorities_turn_around_with_the_role() {
    // Our candidate is worth more than theirs: G > D says who controls (RFC 8445 §6.1.2.3).
    let mut solo = agent(Initiation::Responding);
    let pair = |solo: &Solo| solo.agent.candidate_pairs().next().unwrap();
    let controlled = pair(&solo).priority;
    assert_eq!(controlled & 1, 0);
    assert_eq!(answer_to(&mut solo, RoleAttribute::Controlled(0)), None);
    assert_eq!(solo.agent.role(), Some(Role::Controlling));
    assert_eq!(pair(&solo).priority, controlled + 1);
}

// req: I9 I10
#[test]
fn a_conflict_answer_to_a_nomination_costs_the_nomination_and_not_the_pair() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let nominating = solo.take_requests().pop().unwrap();
    assert!(nominating.message().use_candidate());
    solo.run_for(ms(300));
    let conflict = solo.error_to(&nominating, ErrorCode::ROLE_CONFLICT);
    let _ = solo.receive(remote(0), &conflict);
    assert_eq!(solo.agent.role(), Some(Role::Controlled));
    let pair = solo.agent.candidate_pairs().next().unwrap();
    assert_eq!(pair.state, PairState::Succeeded);
    let selected = solo.agent.selected_candidate_pair().unwrap();
    assert!(!selected.nominated, "that is for the other side to say");
    assert_eq!(solo.agent.consent_age(solo.now), Some(ms(0)), "it answered");
    solo.run_for(secs(3));
    assert!(solo.take_requests().is_empty(), "nothing is checked again");
    let nomination = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &nomination);
    assert!(solo.agent.selected_candidate_pair().unwrap().nominated);
}

// req: I9
#[test]
fn a_conflict_answer_to_a_check_of_a_pair_that_works_leaves_it_working() {
    let mut config = Config::default();
    config.nomination = std::sync::Arc::new(floe_ice::nomination::ByApplication::default());
    let remotes = [remote(0), remote(1)];
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes);
    solo.run_for(ms(60));
    // Both succeed; 25 s later the second is checked again, and its answer says that the roles conflict.
    let backup = loop {
        let found = solo.take_requests().into_iter().find(|check| {
            let backup = check.path.remote == remote(1) && check.at > secs(1);
            let _ = (!backup).then(|| solo.answer(check));
            backup
        });
        match found {
            Some(backup) => break backup,
            None => solo.run_for(ms(50)),
        }
    };
    let conflict = solo.error_to(&backup, ErrorCode::ROLE_CONFLICT);
    let _ = solo.receive(remote(1), &conflict);
    assert_eq!(solo.agent.role(), Some(Role::Controlled));
    let states: Vec<_> = solo.agent.candidate_pairs().map(|p| p.state).collect();
    assert_eq!(states, [PairState::Succeeded; 2]);
    solo.run_for(secs(1));
    let again = |check: &crate::support::solo::Sent| check.path.remote == remote(1);
    assert!(!solo.take_requests().iter().any(again));
}

// req: I9
#[test]
fn a_flip_that_a_check_at_rest_brings_takes_effect_with_it() {
    let mut solo = in_a_call();
    solo.run_for(secs(1));
    let pair = |solo: &Solo| solo.agent.candidate_pairs().next().unwrap();
    let before = pair(&solo);
    assert_eq!(before.priority & 1, 0, "ours is worth more");
    // But for the role it is a check like all that keep a call going, after which nothing has to be looked at.
    assert_eq!(answer_to(&mut solo, RoleAttribute::Controlling(7)), None);
    assert_eq!(solo.agent.moved(), Moved::Nothing);
    assert_eq!(answer_to(&mut solo, RoleAttribute::Controlled(0)), None);
    assert_eq!(solo.agent.moved(), Moved::Anything);
    assert_eq!(solo.agent.role(), Some(Role::Controlling));
    assert_eq!(pair(&solo).priority, before.priority + 1);
    assert!(pair(&solo).pair.nominated);
}
