//! Lite agents: what they announce (RFC 8445 §5.2, §12.1.1), and how they follow a peer that moves.

use std::net::SocketAddr;

use floe_ice::{
    ApiMisuse, Candidate, Config, Event, FiveTuple, Initiation, Mode, Reason, Received,
    RemoteParameters, State, TcpType, Validation,
};
use floe_stun::{AttributeType, ErrorCode, IntegrityKey, Method, RoleAttribute, Writer};

use crate::support::solo::{Sent, Solo, local, remote};
use crate::support::{address, ms, secs};

fn lite_of(config: Config) -> Solo {
    let mut solo = Solo::new(Mode::Lite, Initiation::Responding, config);
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    solo.agent.local_candidates_complete(solo.now);
    solo.meet();
    solo
}

/// A lite agent whose peer has nominated `remote(0)`.
fn in_a_call() -> Solo {
    let mut solo = lite_of(Config::default());
    nominate(&mut solo, remote(0));
    solo.run_for(secs(1));
    solo.take();
    solo
}

fn nominate(solo: &mut Solo, from: SocketAddr) {
    let request = solo.check().nominating().bytes();
    assert_eq!(solo.receive(from, &request), Received::Handled);
}

fn carries(solo: &Solo) -> SocketAddr {
    solo.agent.send_path().unwrap().remote
}

fn on(n: u16) -> FiveTuple {
    FiveTuple::udp(local(), remote(n))
}

// req: I57
#[test]
fn a_lite_agent_has_one_host_candidate_per_address() {
    let mut solo = Solo::new(Mode::Lite, Initiation::Responding, Config::default());
    let add = |solo: &mut Solo, candidate| solo.agent.add_local_candidate(solo.now, candidate);
    let first = add(&mut solo, Candidate::host(local())).unwrap();
    assert_eq!(add(&mut solo, Candidate::host(local())), Ok(first));
    let mut same_ip = local();
    same_ip.set_port(9);
    assert_eq!(
        add(&mut solo, Candidate::host(same_ip)),
        Err(ApiMisuse::LiteHasOneCandidatePerAddress)
    );
    let tcp = Candidate::host(local()).over_tcp(TcpType::Passive);
    assert!(add(&mut solo, tcp).is_ok(), "another transport");
    assert!(
        add(
            &mut solo,
            Candidate::host("[2001:db8::1]:5".parse().unwrap())
        )
        .is_ok()
    );
    let reflexive = Candidate::server_reflexive(address(7, 0), local());
    assert_eq!(
        add(&mut solo, reflexive),
        Err(ApiMisuse::LiteTakesHostCandidatesOnly)
    );
    assert_eq!(solo.agent.local_candidates().count(), 3);
}

// req: I57
#[test]
fn a_lite_agents_candidates_change_with_a_restart_only() {
    let mut solo = in_a_call();
    let other = || Candidate::host("[2001:db8::1]:5".parse().unwrap());
    let add = |solo: &mut Solo| solo.agent.add_local_candidate(solo.now, other());
    assert_eq!(add(&mut solo), Err(ApiMisuse::LiteCandidatesAreFixed));
    solo.agent.restart(solo.now, None, None).unwrap();
    assert!(add(&mut solo).is_ok());
    solo.agent.local_candidates_complete(solo.now);
    let third = Candidate::host(address(3, 0));
    assert_eq!(
        solo.agent.add_local_candidate(solo.now, third),
        Err(ApiMisuse::LiteCandidatesAreFixed)
    );
}

// req: I57
#[test]
fn what_sdp_says_of_a_lite_agent_and_of_a_full_one() {
    let lite = lite_of(Config::default()).agent;
    assert_eq!(lite.mode(), Mode::Lite);
    assert!(lite.ice_options().contains(&"ice2"));
    assert_eq!(lite.ice_pacing(), None);
    let full = Solo::checking(Initiation::Responding, Config::default(), &[]).agent;
    assert!(full.ice_options().contains(&"ice2") && full.ice_options().contains(&"trickle"));
    for agent in [&lite, &full] {
        assert!(agent.ice_options().contains(&"renomination"));
    }
    assert_eq!(full.ice_pacing(), Some(ms(50)));
}

// req: I57
#[test]
fn nothing_is_sent_before_nomination_but_a_handshake_may_answer() {
    let mut solo = lite_of(Config::default());
    for n in [0, 1, 0, 2] {
        let request = solo.check().bytes();
        let _ = solo.receive(remote(n), &request);
        assert_eq!(solo.agent.send_path(), None);
        assert_eq!(solo.agent.usable_path(), Some(on(n)), "the latest heard");
        assert!(solo.agent.awaits_proof(&on(n)));
    }
    nominate(&mut solo, remote(1));
    assert_eq!(solo.agent.send_path(), Some(on(1)));
    assert!(
        solo.take_requests().is_empty(),
        "the first path is taken at its word"
    );
    // Its owner proves it with the handshake, but not what it never heard of.
    solo.agent.set_path_validated(on(1));
    solo.agent.set_path_validated(on(7));
    assert!(!solo.agent.awaits_proof(&on(1)) && solo.agent.is_proven(&on(1)));
    assert!(solo.agent.awaits_proof(&on(7)));
    let validated = |event: &Event| matches!(event, Event::PathValidated(_));
    assert!(!solo.events.iter().any(validated), "no check was answered");
}

// req: I56
#[test]
fn a_path_the_peer_moves_to_is_followed_once_an_own_check_was_answered_there() {
    let mut solo = in_a_call();
    nominate(&mut solo, remote(1));
    assert_eq!(carries(&solo), remote(0), "the old path carries meanwhile");
    let checks = solo.take_requests();
    let [check] = &checks[..] else {
        panic!("one own check, and not {}", checks.len())
    };
    assert_eq!(check.path, on(1));
    let message = check.message();
    assert!(!message.use_candidate());
    assert!(matches!(message.role(), Some(RoleAttribute::Controlled(_))));
    // Answered from where it did not go: no proof.
    let answer = solo.success_to(check, local());
    let _ = solo.receive(remote(2), &answer);
    assert_eq!(carries(&solo), remote(0));
    nominate(&mut solo, remote(1));
    solo.run_for(ms(500));
    let again = solo.take_requests();
    let check = again.last().unwrap().clone();
    let answer = solo.success_to(&check, address(7, 7));
    assert_eq!(solo.receive(remote(1), &answer), Received::Handled);
    assert_eq!(carries(&solo), remote(1));
    assert!(solo.events.contains(&Event::PathValidated(on(1))));
    // Candidates stay host candidates, whatever the answer says our address is.
    assert_eq!(solo.agent.local_candidates().count(), 1);
    solo.run_for(secs(5));
    assert!(solo.take_requests().is_empty(), "one proof is enough");
}

// req: I56 I42
#[test]
fn a_victim_that_the_peer_points_at_gets_no_media_and_few_checks() {
    let mut solo = in_a_call();
    let victim = address(9, 0);
    for round in 1..=20 {
        nominate(&mut solo, victim);
        solo.run_for(ms(round * 70));
        // The real path stays in use.
        nominate(&mut solo, remote(0));
        assert_eq!(carries(&solo), remote(0));
    }
    solo.run_for(secs(10));
    let sent = solo.take();
    let to_victim: Vec<&Sent> = sent.iter().filter(|s| s.path.remote == victim).collect();
    assert!(to_victim.len() <= 40, "{}", to_victim.len());
    let bytes: usize = to_victim.iter().map(|sent| sent.bytes.len()).sum();
    let received = 20 * solo.check().nominating().bytes().len();
    assert!(bytes <= 3 * received, "{bytes} for {received}");
    assert!(!solo.agent.is_proven(&FiveTuple::udp(local(), victim)));
    assert_eq!(carries(&solo), remote(0));
}

// req: I56
#[test]
fn a_restart_does_not_move_the_traffic_to_where_nobody_answers() {
    let mut solo = in_a_call();
    let peer = floe_ice::Parameters::new("anew", "another-password-of-the-peer").unwrap();
    let remote_parameters = RemoteParameters::new(peer.clone());
    solo.agent
        .restart(solo.now, None, Some(remote_parameters))
        .unwrap();
    solo.agent.local_candidates_complete(solo.now);
    solo.peer = peer;
    nominate(&mut solo, remote(1));
    assert_eq!(carries(&solo), remote(0));
    let check = solo.take_requests().remove(0);
    assert_eq!(check.path, on(1));
    let _ = solo.answer(&check);
    assert_eq!(carries(&solo), remote(1));
}

// req: I56
#[test]
fn a_lite_agent_that_asks_afterwards_obeys_at_once_and_awaits_proof() {
    let mut config = Config::default();
    config.validate_paths = Validation::Afterwards;
    let mut solo = lite_of(config);
    nominate(&mut solo, remote(0));
    solo.run_for(secs(1));
    nominate(&mut solo, remote(1));
    assert_eq!(carries(&solo), remote(1));
    assert!(solo.take_requests().is_empty());
    // Its owner knows that there is no proof, and may bring it.
    assert!(solo.agent.awaits_proof(&on(1)));
    solo.agent.set_path_validated(on(1));
    assert!(!solo.agent.awaits_proof(&on(1)));
}

// req: I56
#[test]
fn an_own_check_that_is_not_answered_costs_the_peer_nothing_else() {
    let mut solo = in_a_call();
    nominate(&mut solo, remote(1));
    // For a minute the old path lives on requests; the new one never answers.
    for _ in 0..12 {
        solo.run_for(secs(5));
        nominate(&mut solo, remote(0));
    }
    solo.take();
    assert_eq!(carries(&solo), remote(0));
    // The next nomination is a new chance.
    solo.run_for(secs(1));
    nominate(&mut solo, remote(1));
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    assert_eq!(carries(&solo), remote(1));
}

// req: I56
#[test]
fn whoever_had_a_path_proves_the_next_even_if_the_first_is_gone() {
    let mut solo = in_a_call();
    let pair = solo.agent.selected_candidate_pair().unwrap().id;
    solo.agent.veto(solo.now, pair).unwrap();
    nominate(&mut solo, remote(1));
    assert_eq!(solo.agent.send_path(), None);
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    assert_eq!(carries(&solo), remote(1));
}

// req: I56 I58
#[test]
fn an_error_proves_nothing_and_fails_nothing() {
    let mut solo = in_a_call();
    nominate(&mut solo, remote(1));
    let check = solo.take_requests().remove(0);
    let refusal = solo.error_to(&check, ErrorCode::BAD_REQUEST);
    assert_eq!(solo.receive(remote(1), &refusal), Received::Handled);
    assert_eq!(carries(&solo), remote(0));
    nominate(&mut solo, remote(1));
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    assert_eq!(carries(&solo), remote(1));
}

// req: I20 I22
#[test]
fn where_consent_has_ended_a_lite_agent_has_no_other_path_to_answer_on() {
    let mut solo = in_a_call();
    let request = solo.check().bytes();
    let _ = solo.receive(remote(1), &request);
    let heard = solo.check().bytes();
    let _ = solo.receive(remote(0), &heard);
    solo.agent.revoke_consent(solo.now, Reason::PeerClosed);
    assert_eq!(solo.agent.state(), State::Failed);
    assert_eq!(solo.agent.usable_path(), None);
}

// req: I9
#[test]
fn a_conflict_answer_to_its_own_check_turns_a_lite_agent_around_in_nothing() {
    let mut solo = in_a_call();
    nominate(&mut solo, remote(1));
    let check = solo.take_requests().remove(0);
    let events = solo.events.len();
    let conflict = solo.error_to(&check, ErrorCode::ROLE_CONFLICT);
    assert_eq!(solo.receive(remote(1), &conflict), Received::Handled);
    assert_eq!(solo.agent.role(), Some(floe_ice::Role::Controlled));
    assert_eq!(solo.events.len(), events);
    assert_eq!(carries(&solo), remote(0));
    // The next nomination is proven by a check in the same role, with the same tie-breaker.
    nominate(&mut solo, remote(1));
    let again = solo.take_requests().remove(0);
    assert_eq!(again.message().role(), check.message().role());
    let _ = solo.answer(&again);
    assert_eq!(carries(&solo), remote(1));
}

// req: I5 I57
#[test]
fn the_pacing_that_is_signalled_is_the_one_that_is_kept() {
    for (microseconds, signalled) in [(1_000, 5), (4_999, 5), (5_000, 5), (7_200, 8), (80_000, 80)]
    {
        let mut config = Config::default();
        config.timing.pacing = std::time::Duration::from_micros(microseconds);
        let full = Solo::checking(Initiation::Responding, config, &[]).agent;
        assert_eq!(full.ice_pacing(), Some(ms(signalled)), "{microseconds} µs");
    }
}

// req: I56 S5
#[test]
fn an_answer_that_is_not_understood_proves_nothing_and_fails_nothing() {
    type Answer = fn(Writer<'_>) -> Writer<'_>;
    let answers: [Answer; 2] = [
        |writer| writer,
        |writer| {
            let writer = writer.xor_mapped_address(local());
            writer.attribute(AttributeType::new(0x7ff0), &[])
        },
    ];
    for write in answers {
        let mut solo = in_a_call();
        nominate(&mut solo, remote(1));
        let check = solo.take_requests().remove(0);
        let key = IntegrityKey::short_term(solo.peer.password().as_bytes());
        let mut buf = [0; 200];
        let writer = write(Writer::success(&mut buf, Method::BINDING, check.id()));
        let len = writer.integrity(&key).fingerprint().unwrap();
        assert_eq!(solo.receive(remote(1), &buf[..len]), Received::Handled);
        assert_eq!(carries(&solo), remote(0));
        assert!(!solo.agent.is_proven(&on(1)));
        // The next nomination is a new chance.
        nominate(&mut solo, remote(1));
        let check = solo.take_requests().remove(0);
        let _ = solo.answer(&check);
        assert_eq!(carries(&solo), remote(1));
    }
}

// req: I56
#[test]
fn the_owner_may_ask_for_proof_of_a_path_that_was_heard_once_at_a_time() {
    let mut solo = lite_of(Config::default());
    for _ in 0..3 {
        nominate(&mut solo, remote(0));
    }
    solo.take();
    solo.agent.validate_path(solo.now, on(7));
    assert!(solo.take_requests().is_empty(), "nobody was heard there");
    solo.agent.validate_path(solo.now, on(0));
    solo.agent.validate_path(solo.now, on(0));
    let checks = solo.take_requests();
    assert_eq!(checks.len(), 1);
    let _ = solo.answer(&checks[0]);
    assert!(solo.events.contains(&Event::PathValidated(on(0))));
    assert!(!solo.agent.awaits_proof(&on(0)));
    solo.agent.validate_path(solo.now, on(0));
    assert!(solo.take_requests().is_empty(), "it is proven");
    // A full agent proves what it uses anyway.
    let mut full = crate::support::solo::in_a_call();
    let request = full.check().bytes();
    let _ = full.receive(remote(1), &request);
    assert!(!full.agent.is_proven(&on(1)) && !full.agent.awaits_proof(&on(1)));
    full.run_for(ms(60));
    full.take();
    full.agent.validate_path(full.now, on(1));
    assert!(full.take_requests().is_empty());
}

// req: I42 I56
#[test]
fn the_last_check_that_was_paid_for_is_not_the_owner_s_to_spend() {
    let mut solo = lite_of(Config::default());
    assert!(!solo.agent.spend_check(&on(0)), "nobody was heard");
    nominate(&mut solo, remote(0));
    assert!(!solo.agent.spend_check(&on(0)));
    nominate(&mut solo, remote(0));
    assert!(solo.agent.spend_check(&on(0)), "two requests, one to spare");
    assert!(!solo.agent.spend_check(&on(0)));
    solo.agent.validate_path(solo.now, on(0));
    assert_eq!(solo.take_requests().len(), 1);
}

// req: I56
#[test]
fn what_was_proven_once_is_followed_without_another_check() {
    let mut solo = in_a_call();
    solo.agent.set_path_validated(on(0));
    nominate(&mut solo, remote(1));
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    assert_eq!(carries(&solo), remote(1));
    solo.run_for(secs(1));
    nominate(&mut solo, remote(0));
    assert_eq!(carries(&solo), remote(0));
    assert!(solo.take_requests().is_empty());
}

// req: I56
#[test]
fn a_nomination_that_moves_nothing_needs_no_proof() {
    let mut solo = in_a_call();
    assert!(solo.agent.awaits_proof(&on(0)));
    let mut request = solo.check().nominating();
    request.nomination = Some(2);
    let _ = solo.receive(remote(0), &request.bytes());
    assert_eq!(carries(&solo), remote(0));
    assert!(solo.take_requests().is_empty());
}

// req: I15 I56
#[test]
fn what_either_generation_has_proven_is_proven_until_the_end() {
    let mut solo = in_a_call();
    solo.agent.set_path_validated(on(0));
    solo.agent.restart(solo.now, None, None).unwrap();
    assert!(solo.agent.is_proven(&on(0)) && !solo.agent.awaits_proof(&on(0)));
    solo.agent.close(solo.now);
    assert!(!solo.agent.is_proven(&on(0)));
}

/// A lite agent that initiates, and has two pairs with a lite peer; the first is better.
fn facing_lite() -> Solo {
    let mut solo = Solo::new(Mode::Lite, Initiation::Initiating, Config::default());
    let ours = Candidate::host(local());
    solo.agent.add_local_candidate(solo.now, ours).unwrap();
    solo.agent.local_candidates_complete(solo.now);
    let mut peer = RemoteParameters::new(solo.peer.clone());
    peer.mode = Mode::Lite;
    solo.agent.set_remote_parameters(solo.now, peer).unwrap();
    for n in 0..2 {
        let theirs = Candidate::host(remote(n)).with_local_preference(60_000 - n);
        solo.agent.add_remote_candidate(solo.now, theirs).unwrap();
    }
    solo.agent.remote_candidates_complete(solo.now);
    solo
}

// req: I1 I56
#[test]
fn a_lite_peer_that_answers_no_checks_is_reached_on_its_owner_s_word() {
    let mut solo = facing_lite();
    assert_eq!(carries(&solo), remote(0));
    solo.run_for(secs(60));
    assert_eq!(solo.take_requests().len(), 7, "nobody answers");
    assert!(solo.agent.awaits_proof(&on(0)) && !solo.agent.accepts_from(&on(0)));
    // The word holds for the pair in use and for no other.
    solo.agent.set_path_validated(on(1));
    assert!(solo.agent.awaits_proof(&on(1)) && !solo.agent.accepts_from(&on(1)));
    solo.agent.set_path_validated(on(0));
    assert!(!solo.agent.awaits_proof(&on(0)) && solo.agent.accepts_from(&on(0)));
    // Nobody asks, so nobody is missed, and the peer that is proven is not asked again.
    solo.agent.validate_path(solo.now, on(0));
    solo.run_for(secs(3600));
    assert!(solo.take_requests().is_empty());
    assert_eq!(
        (solo.agent.state(), carries(&solo)),
        (State::Completed, remote(0))
    );
    solo.agent.close(solo.now);
    solo.agent.set_path_validated(on(0));
    assert!(!solo.agent.is_proven(&on(0)));
}

// req: I56
#[test]
fn to_a_full_peer_s_pair_nobody_s_word_opens_the_way() {
    let mut full = crate::support::solo::in_a_call();
    let unheard = on(5);
    full.agent.set_path_validated(unheard);
    assert!(!full.agent.is_proven(&unheard) && !full.agent.accepts_from(&unheard));
    // Nor to the pair in use, once it is lost.
    let mut solo = in_a_call();
    solo.agent.set_path_validated(on(0));
    solo.agent.revoke_consent(solo.now, Reason::PeerClosed);
    solo.agent.set_path_validated(on(0));
    assert!(!solo.agent.is_proven(&on(0)) && solo.agent.awaits_proof(&on(0)));
}

// req: I1
#[test]
fn of_the_pairs_of_two_lite_agents_the_best_that_is_not_vetoed_is_in_use() {
    let mut solo = facing_lite();
    let best = solo.agent.selected_candidate_pair().unwrap();
    assert!(best.nominated && best.path == on(0));
    solo.agent.veto(solo.now, best.id).unwrap();
    assert_eq!(carries(&solo), remote(1));
    let proof = solo.take_requests().pop().unwrap();
    assert_eq!(proof.path, on(1));
    let _ = solo.answer(&proof);
    assert!(solo.agent.is_proven(&on(1)));
    solo.agent.release(solo.now, best.id).unwrap();
    assert_eq!(carries(&solo), remote(0), "the highest priority decides");
}

// req: I10
#[test]
fn a_lite_agent_follows_as_often_as_its_peer_changes_its_mind() {
    let mut solo = in_a_call();
    for n in [0, 1] {
        let request = solo.check().bytes();
        let _ = solo.receive(remote(n), &request);
        solo.agent.set_path_validated(on(n));
    }
    for (number, n) in [(1, 1), (2, 0), (3, 1), (4, 0)] {
        let mut request = solo.check().nominating();
        request.nomination = Some(number);
        let _ = solo.receive(remote(n), &request.bytes());
        assert_eq!(carries(&solo), remote(n), "at once");
    }
}

// req: I6 I15 I56
#[test]
fn what_a_peer_that_restarts_nominates_before_it_is_known_is_proven_and_followed() {
    let mut solo = in_a_call();
    solo.agent.restart(solo.now, None, None).unwrap();
    solo.peer = floe_ice::Parameters::new("anew", "another-password-of-the-peer").unwrap();
    nominate(&mut solo, remote(1));
    assert!(solo.take_requests().is_empty(), "nobody knows who that is");
    solo.run_for(secs(1));
    solo.meet();
    assert_eq!(carries(&solo), remote(0));
    let check = solo.take_requests().remove(0);
    assert_eq!(check.path, on(1));
    let _ = solo.answer(&check);
    assert_eq!(carries(&solo), remote(1));
    assert!(solo.events.contains(&Event::RestartConfirmed));
    let age = solo.agent.consent_age(solo.now);
    assert_eq!(age, Some(ms(0)), "it has answered");
}
