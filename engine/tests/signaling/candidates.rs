//! Candidates before, during and after their description; of generations to come and of those that are gone.

use crate::party::{Party, remote};
use floe::signaling::{
    Action, CandidateDropped, CandidateError, CandidateInit, Completed, Config, Description,
    EarlyCandidates, Event, Failure, MAX_CANDIDATE, Media, MediaLife, OperationError, OperationId,
    Refused, SdpType, Side, SignalingState,
};
use proptest::prelude::*;
use std::time::Duration;

/// For section 0, of this generation.
fn of(ufrag: &str, text: &str) -> CandidateInit {
    CandidateInit::new(text, "0", ufrag)
}

/// For section 0, of no generation in particular.
fn plain(text: &str) -> CandidateInit {
    CandidateInit {
        ufrag: None,
        ..of("", text)
    }
}

fn offer(ufrag: &str) -> Description {
    remote(SdpType::Offer, "theirs", ufrag)
}

fn strict() -> Party {
    let mut config = Config::default();
    config.early_candidates = EarlyCandidates::Refuse;
    Party::with(config)
}

/// Gives it to the machine, without waiting for what becomes of it.
fn arrives(party: &mut Party, candidate: CandidateInit) -> OperationId {
    let id = party.signaling.add_candidate(party.now, candidate);
    id.expect("there is room")
}

fn dropped(party: &Party, id: OperationId) -> Option<CandidateDropped> {
    party.told.iter().find_map(|event| match event {
        Event::CandidateDropped(of, why) if *of == id => Some(*why),
        _ => None,
    })
}

// req: R125 R127 R128 W54
#[test]
fn candidates_wait_for_the_remote_description() {
    let mut party = Party::new();
    let early: Vec<_> = ["c1", "c2"]
        .map(|text| arrives(&mut party, of("r1", text)))
        .into();
    party.settle();
    assert!(party.asked.is_empty(), "nothing to apply them to");
    assert_eq!(party.signaling.held_candidates(Side::Remote), 2);

    let now = party.now;
    party
        .signaling
        .set_remote_description(now, offer("r1"))
        .unwrap();
    let action = party.signaling.poll_action().unwrap();
    let during = arrives(&mut party, of("r1", "c3"));
    assert_eq!(party.signaling.poll_action(), None, "it is not applied yet");
    party
        .complete(action.operation(), Ok(Completed::Done))
        .unwrap();

    // Each after the one before has ended.
    for (text, id) in ["c1", "c2", "c3"].iter().zip([early[0], early[1], during]) {
        let Some(Action::AddCandidate {
            operation,
            candidate,
        }) = party.signaling.poll_action()
        else {
            panic!("{text} is next");
        };
        assert_eq!((&*candidate.candidate, operation), (*text, id));
        assert_eq!(party.signaling.poll_action(), None, "one at a time");
        party.complete(operation, Ok(Completed::Done)).unwrap();
        assert_eq!(party.outcome(id), Some(Ok(())));
    }
    assert_eq!(party.signaling.held_candidates(Side::Remote), 0);
    assert_eq!(party.signaling.poll_action(), None);
}

// req: R126
#[test]
fn a_candidate_after_its_description_goes_through_behind_those_before_it() {
    let mut party = Party::new();
    let _ = arrives(&mut party, of("r1", "c1"));
    let now = party.now;
    party
        .signaling
        .set_remote_description(now, offer("r1"))
        .unwrap();
    assert!(party.act(), "the description is applied");
    let _ = arrives(&mut party, of("r1", "c2"));
    party.settle();
    assert_eq!(party.applied(), ["c1", "c2"]);

    let id = arrives(&mut party, of("r1", "c3"));
    let Some(Action::AddCandidate { operation, .. }) = party.signaling.poll_action() else {
        panic!("at once");
    };
    assert_eq!(operation, id);
}

// decision: D31
// req: R129
#[test]
fn one_that_comes_during_a_flush_does_not_overtake() {
    let mut party = Party::new();
    for text in ["c1", "c2", "c3"] {
        let _ = arrives(&mut party, of("r1", text));
    }
    let now = party.now;
    party
        .signaling
        .set_remote_description(now, offer("r1"))
        .unwrap();
    assert!(party.act(), "the description");
    assert!(party.act(), "c1");
    let _ = arrives(&mut party, of("r1", "c4"));
    assert!(party.act(), "c2");
    let _ = arrives(&mut party, of("r1", "c5"));
    party.settle();
    assert_eq!(party.applied(), ["c1", "c2", "c3", "c4", "c5"]);
}

// decision: D31
// req: R179
#[test]
fn one_that_is_refused_is_reported_and_the_rest_go_on() {
    let mut party = Party::new();
    party.refuses.push(("bad", Failure::Operation));
    let ids: Vec<_> = ["c1", "bad", "c3"]
        .map(|text| arrives(&mut party, of("r1", text)))
        .into();
    party.srd(offer("r1")).unwrap();
    assert_eq!(party.applied(), ["c1", "bad", "c3"]);
    assert_eq!(party.outcome(ids[0]), Some(Ok(())));
    let failure = Err(OperationError::Failed(Failure::Operation));
    assert_eq!(party.outcome(ids[1]), Some(failure));
    assert_eq!(party.outcome(ids[2]), Some(Ok(())));
    assert_eq!(party.signaling.candidate_drops().refused, 1);
}

// decision: D17
// req: R130
#[test]
fn however_early_it_is_applied_once() {
    for early in [0, 499, 500, 501, 60_000] {
        let mut party = Party::new();
        let id = arrives(&mut party, of("r1", "c1"));
        party.settle();
        party.wait(Duration::from_millis(early));
        assert_eq!(
            party.signaling.poll_timeout(),
            None,
            "no time passes for it"
        );
        party.signaling.handle_timeout(party.now);
        party.srd(offer("r1")).unwrap();
        party.srd(offer("r1")).unwrap();
        assert_eq!(party.applied(), ["c1"], "{early} ms early");
        assert_eq!(party.outcome(id), Some(Ok(())));
    }
}

// req: R131
#[test]
fn a_description_that_fails_takes_no_candidate_with_it() {
    let mut party = Party::new();
    party.refuses.push(("nonsense", Failure::SdpSyntax));
    let id = arrives(&mut party, of("r1", "c1"));
    let unnamed = arrives(&mut party, plain("c2"));
    let failed = party.srd(remote(SdpType::Offer, "nonsense", "r1"));
    assert!(failed.is_err());
    assert_eq!((party.outcome(id), party.outcome(unnamed)), (None, None));
    party.srd(offer("r1")).unwrap();
    assert_eq!(party.applied(), ["c1", "c2"]);
}

// decision: D18
// req: R131
#[test]
fn what_waits_for_a_description_that_is_gone_is_dropped() {
    let mut party = Party::new();
    party.srd(offer("r1")).unwrap();
    let waiting = arrives(&mut party, of("r2", "of a restart to come"));
    party.settle();
    assert_eq!(party.outcome(waiting), None, "its description may yet come");

    party.srd(Description::rollback()).unwrap();
    let late = arrives(&mut party, of("r1", "of what was rolled back"));
    party.settle();
    assert_eq!(dropped(&party, late), Some(CandidateDropped::Superseded));
    assert_eq!(party.outcome(waiting), None);

    // One that is ignored takes its candidates with it, those that wait and those to come.
    party.signaling.ignore(party.now, &offer("r2"));
    party.listen();
    assert_eq!(party.signaling.held_candidates(Side::Remote), 0);
    assert_eq!(dropped(&party, waiting), Some(CandidateDropped::Superseded));
    let after = arrives(&mut party, of("r2", "after it"));
    party.settle();
    assert_eq!(dropped(&party, waiting), Some(CandidateDropped::Superseded));
    assert_eq!(dropped(&party, after), Some(CandidateDropped::Superseded));
    assert_eq!(party.signaling.held_candidates(Side::Remote), 0);
    assert_eq!(party.signaling.candidate_drops().superseded, 3);
    assert!(party.applied().is_empty());

    // The same credentials may come back.
    party.srd(offer("r1")).unwrap();
    party.add(of("r1", "again")).unwrap();
    assert_eq!(party.applied(), ["again"]);
}

// decision: D18
#[test]
fn a_generation_waits_for_its_own_description() {
    let mut party = Party::new();
    party.exchange("r1");
    let next = arrives(&mut party, of("r2", "next 1"));
    let now = arrives(&mut party, of("r1", "now 1"));
    let unnamed = arrives(&mut party, plain("unnamed"));
    party.settle();
    assert_eq!(
        party.applied(),
        ["now 1", "unnamed"],
        "by existence otherwise"
    );
    assert_eq!(party.outcome(next), None);
    assert_eq!(party.outcome(now), Some(Ok(())));
    assert_eq!(party.outcome(unnamed), Some(Ok(())));

    // While both are applied, both generations are welcome.
    party.srd(offer("r2")).unwrap();
    party.add(of("r1", "now 2")).unwrap();
    party.add(of("r2", "next 2")).unwrap();
    assert_eq!(party.applied()[2..], ["next 1", "now 2", "next 2"]);

    // Once the exchange is over, the old one is gone.
    party.sld_implied().unwrap();
    let old = arrives(&mut party, of("r1", "now 3"));
    party.settle();
    assert_eq!(dropped(&party, old), Some(CandidateDropped::Superseded));
    party.add(of("r2", "next 3")).unwrap();
    assert_eq!(party.applied().last(), Some(&"next 3"));
}

#[test]
fn an_ignored_offer_with_credentials_in_use_takes_nothing_with_it() {
    let mut party = Party::new();
    party.exchange("r1");
    party.sld_implied().unwrap();
    party.signaling.ignore(party.now, &offer("r1"));
    party.add(of("r1", "c1")).unwrap();
    assert_eq!(party.applied(), ["c1"]);
}

// decision: D18
#[test]
fn a_description_without_facts_lets_every_candidate_through() {
    let mut party = Party::new();
    let id = arrives(&mut party, CandidateInit::new("c1", "any", "any"));
    party.settle();
    assert_eq!(party.outcome(id), None);
    party
        .srd(Description::new(SdpType::Offer, "opaque"))
        .unwrap();
    party
        .add(CandidateInit::new("c2", "other", "another"))
        .unwrap();
    let index = CandidateInit {
        candidate: "c3".into(),
        line_index: Some(7),
        ..CandidateInit::default()
    };
    party.add(index).unwrap();
    assert_eq!(party.applied(), ["c1", "c2", "c3"]);
}

// req: W53
#[test]
fn between_a_rollback_and_the_next_offer_a_candidate_has_no_place() {
    let mut party = strict();
    let now = party.now;
    party.sld_implied().unwrap();
    let rollback = party
        .signaling
        .set_local_description(now, Description::rollback())
        .unwrap();
    let between = arrives(&mut party, of("r1", "c1"));
    let signaling = &mut party.signaling;
    let theirs = signaling.set_remote_description(now, offer("r1")).unwrap();
    party.settle();
    assert_eq!(party.outcome(rollback), Some(Ok(())));
    assert_eq!(party.outcome(theirs), Some(Ok(())));
    let refused = party.outcome(between).unwrap();
    assert!(matches!(refused, Err(OperationError::InvalidState { .. })));
    assert!(party.applied().is_empty());
}

// req: W54
#[test]
fn an_implicit_rollback_leaves_no_gap_for_a_candidate() {
    let mut party = strict();
    let now = party.now;
    party.sld_implied().unwrap();
    let signaling = &mut party.signaling;
    signaling.set_remote_description(now, offer("r1")).unwrap();
    assert!(party.act(), "ours is rolled back");
    assert_eq!(party.signaling.state(), SignalingState::Stable);
    let id = arrives(&mut party, of("r1", "c1"));
    party.settle();
    assert_eq!(party.outcome(id), Some(Ok(())));
    assert_eq!(party.applied(), ["c1"]);
}

// req: W69 W71
#[test]
fn as_webrtc_pc_has_it_a_candidate_before_the_description_is_refused() {
    let mut party = strict();
    let refused = party.add(of("r1", "c1"));
    assert!(matches!(refused, Err(OperationError::InvalidState { .. })));
    let now = party.now;
    party
        .signaling
        .set_remote_description(now, offer("r1"))
        .unwrap();
    let chained = arrives(&mut party, of("r1", "c2"));
    party.settle();
    assert_eq!(
        party.outcome(chained),
        Some(Ok(())),
        "its turn came after it"
    );
    let unknown = Err(CandidateError::UnknownUfrag.into());
    assert_eq!(party.add(of("r2", "c3")), unknown);
    party.srd(Description::rollback()).unwrap();
    party.srd(offer("r2")).unwrap();
    assert_eq!(party.add(of("r1", "c4")), unknown, "it is gone");
    assert_eq!(party.applied(), ["c2"]);
    party.signaling.close(party.now);
    assert_eq!(
        party.signaling.add_candidate(party.now, of("r2", "c5")),
        Err(Refused::Closed)
    );
}

fn two_sections() -> Description {
    let first = Media::new("a").with_ufrag("r1");
    let second = Media::new("b").with_ufrag("r2");
    Description::new(SdpType::Offer, "theirs").with_media([first, second])
}

// req: W71
#[test]
fn a_candidate_names_its_section() {
    let mut party = Party::new();
    party.srd(two_sections()).unwrap();
    let candidate = |mid: Option<&str>, line_index, ufrag: Option<&str>| CandidateInit {
        candidate: "c".into(),
        mid: mid.map(Into::into),
        line_index,
        ufrag: ufrag.map(Into::into),
    };
    let now = party.now;
    let nowhere = party
        .signaling
        .add_candidate(now, candidate(None, None, Some("r1")));
    assert_eq!(nowhere, Err(Refused::NoSection));

    use CandidateError::{LineIndexOutOfRange, UnknownMid, UnknownUfrag};
    for (mid, index, ufrag, expected) in [
        (Some("a"), None, None, Ok(())),
        (Some("b"), None, Some("r2"), Ok(())),
        (None, Some(0), None, Ok(())),
        (None, Some(1), Some("r2"), Ok(())),
        (Some("a"), Some(9), None, Ok(())), // with a mid the index is not looked at
        (Some("c"), None, None, Err(UnknownMid)),
        (Some("c"), Some(0), Some("r1"), Err(UnknownMid)),
        (None, Some(2), None, Err(LineIndexOutOfRange)),
        (None, Some(2), Some("r1"), Err(LineIndexOutOfRange)),
        (Some("a"), None, Some("r2"), Err(UnknownUfrag)),
        (None, Some(1), Some("r1"), Err(UnknownUfrag)),
    ] {
        let outcome = party.add(candidate(mid, index, ufrag));
        let expected = expected.map_err(OperationError::from);
        assert_eq!(outcome, expected, "{mid:?} {index:?} {ufrag:?}");
    }
    assert_eq!(party.applied().len(), 5);
    assert_eq!(party.signaling.candidate_drops().refused, 6);
}

#[test]
fn a_section_may_be_new_or_say_nothing_of_its_generation() {
    let mut party = Party::new();
    party.exchange("r1");
    let bundled = [Media::new("0").with_ufrag("r1"), Media::new("1")];
    let more = Description::new(SdpType::Offer, "more").with_media(bundled);
    party.srd(more).unwrap();
    party.add(CandidateInit::new("c1", "1", "r1")).unwrap();
    let unknown = party.add(CandidateInit::new("c2", "2", "r1"));
    assert_eq!(unknown, Err(CandidateError::UnknownMid.into()));
    assert_eq!(party.applied(), ["c1"]);
}

// req: W71
#[test]
fn the_end_of_candidates_is_for_a_section_or_for_all() {
    let mut party = Party::new();
    let all = arrives(&mut party, CandidateInit::default());
    party.settle();
    assert_eq!(party.outcome(all), None, "held as any other");
    party.srd(two_sections()).unwrap();
    assert_eq!(party.outcome(all), Some(Ok(())));
    party.add(CandidateInit::new("", "a", "r1")).unwrap();
    let asked: Vec<_> = party
        .asked
        .iter()
        .filter_map(|action| match action {
            Action::AddCandidate { candidate, .. } => Some(candidate.mid.as_deref()),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [None, Some("a")]);
}

// req: W71
#[test]
fn a_candidate_for_a_stopped_section_has_no_effect() {
    let mut party = Party::new();
    let mut stopped = Media::new("a");
    stopped.life = MediaLife::Stopped;
    let media = [stopped, Media::new("b").with_ufrag("r1")];
    party
        .srd(Description::new(SdpType::Offer, "theirs").with_media(media))
        .unwrap();
    let id = arrives(&mut party, CandidateInit::new("c1", "a", "r1"));
    party.settle();
    assert_eq!(dropped(&party, id), Some(CandidateDropped::Stopped));
    assert_eq!(party.outcome(id), Some(Ok(())), "which is no error");
    party.add(CandidateInit::new("c2", "b", "r1")).unwrap();
    party.add(CandidateInit::default()).unwrap();
    assert_eq!(party.applied(), ["c2", ""]);
}

#[test]
fn too_many_and_too_long_are_counted_and_reported() {
    let mut config = Config::default();
    config.max_held_candidates = 3;
    let mut party = Party::with(config);
    let ids: Vec<_> = (0..5)
        .map(|index| arrives(&mut party, of("r1", &format!("c{index}"))))
        .collect();
    party.settle();
    for id in &ids[..2] {
        assert_eq!(dropped(&party, *id), Some(CandidateDropped::TooMany));
    }
    assert_eq!(party.signaling.held_candidates(Side::Remote), 3);
    assert_eq!(party.signaling.candidate_drops().too_many, 2);
    for index in 0..5 {
        let candidate = of("local1", &format!("l{index}"));
        party.signaling.handle_local_candidate(party.now, candidate);
    }
    assert_eq!(party.signaling.held_candidates(Side::Local), 3);
    assert_eq!(party.signaling.candidate_drops().too_many, 4);
    party.srd(offer("r1")).unwrap();
    party.sld_implied().unwrap();
    assert_eq!(party.applied(), ["c2", "c3", "c4"]);
    assert_eq!(party.gathered(), ["l2", "l3", "l4"]);

    // The mid is 0.
    let long = |length| of("r1", &"c".repeat(length - "r1".len() - "0".len()));
    let now = party.now;
    assert!(
        party
            .signaling
            .add_candidate(now, long(MAX_CANDIDATE))
            .is_ok()
    );
    let too_long = party.signaling.add_candidate(now, long(MAX_CANDIDATE + 1));
    assert_eq!(too_long, Err(Refused::CandidateTooLong));
    // Nor may its names be.
    for part in [
        of(&"r".repeat(MAX_CANDIDATE), "c"),
        CandidateInit::new("c", "m".repeat(MAX_CANDIDATE), "r1"),
    ] {
        let too_long = party.signaling.add_candidate(now, part);
        assert_eq!(too_long, Err(Refused::CandidateTooLong));
    }
}

#[test]
fn only_so_many_generations_are_remembered_as_gone() {
    let mut party = Party::new();
    party.exchange("r0");
    for generation in 1..=33 {
        let ignored = offer(&format!("r{generation}"));
        party.signaling.ignore(party.now, &ignored);
        party.signaling.ignore(party.now, &ignored);
    }
    let oldest = arrives(&mut party, of("r1", "c1"));
    let second = arrives(&mut party, of("r2", "c2"));
    party.settle();
    assert_eq!(dropped(&party, oldest), None, "forgotten: it is held");
    assert_eq!(dropped(&party, second), Some(CandidateDropped::Superseded));
}

// req: E9
#[test]
fn our_candidates_wait_for_their_description_and_go_with_it() {
    let mut party = Party::new();
    let gathers = |party: &mut Party, candidate| {
        let now = party.now;
        party.signaling.handle_local_candidate(now, candidate);
        party.settle();
    };
    gathers(&mut party, of("local1", "early"));
    gathers(&mut party, plain("early too"));
    assert!(party.gathered().is_empty());
    assert_eq!(party.signaling.held_candidates(Side::Local), 2);
    party.sld_implied().unwrap();
    assert_eq!(party.gathered(), ["early", "early too"]);
    gathers(&mut party, of("local1", "later"));
    assert_eq!(party.gathered().last(), Some(&"later"));
    assert_eq!(party.signaling.held_candidates(Side::Local), 0);

    // Those of an offer that was rolled back are not for the peer.
    party.sld(Description::rollback()).unwrap();
    gathers(&mut party, of("local1", "too late"));
    assert_eq!(party.gathered().len(), 3);
    assert_eq!(party.signaling.candidate_drops().superseded_local, 1);

    // Nor are those of a restart before it is offered.
    party.exchange("r1");
    gathers(&mut party, of("local2", "of the restart"));
    assert_eq!(party.gathered().len(), 3);
    party.signaling.restart_ice(party.now);
    party.sld_implied().unwrap();
    assert_eq!(party.gathered().last(), Some(&"of the restart"));
}

// req: R27
#[test]
fn candidates_move_no_state() {
    let mut party = Party::new();
    party.refuses.push(("bad", Failure::Operation));
    let _ = arrives(&mut party, of("r1", "early"));
    party.settle();
    assert_eq!((party.states().len(), party.told.len()), (0, 0));
    party.srd(offer("r1")).unwrap();
    let (states, slots) = (party.states(), party.slots());
    for candidate in [
        of("r1", "c1"),
        of("r1", "bad"),
        of("r9", "c3"),
        of("r1", ""),
    ] {
        let _ = arrives(&mut party, candidate);
        party
            .signaling
            .handle_local_candidate(party.now, of("local1", "l1"));
        party.settle();
    }
    assert_eq!((party.states(), party.slots()), (states, slots));
    assert_eq!(party.times_needed(), 0);
}

/// What a peer may do, in any order.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// A candidate of a generation, with or without its name.
    Candidate(u8, bool),
    /// A remote offer of a generation.
    Offer(u8),
    /// One that cannot be applied.
    Nonsense(u8),
    Rollback,
    Answer,
    Ignore(u8),
    /// Carries out one action.
    Act,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let generation = 1..4_u8;
    let one = prop_oneof![
        12 => (generation.clone(), prop::bool::weighted(0.8)).prop_map(|(of, named)| Move::Candidate(of, named)),
        4 => generation.clone().prop_map(Move::Offer),
        1 => generation.clone().prop_map(Move::Nonsense),
        1 => Just(Move::Rollback),
        3 => Just(Move::Answer),
        1 => generation.prop_map(Move::Ignore),
        12 => Just(Move::Act),
    ];
    prop::collection::vec(one, 1..120)
}

proptest! {
    // req: P35
    #[test]
    fn in_order_once_and_never_before_their_description(moves in moves()) {
        let mut party = Party::new();
        party.refuses.push(("nonsense", Failure::SdpSyntax));
        let ufrag = |generation: u8| format!("r{generation}");
        let mut sent = Vec::new();
        for one in moves {
            let now = party.now;
            match one {
                Move::Candidate(generation, named) => {
                    let text = format!("{generation} {}", sent.len());
                    let candidate = if named { of(&ufrag(generation), &text) } else { plain(&text) };
                    sent.push((text, named, arrives(&mut party, candidate)));
                }
                Move::Offer(generation) => {
                    let _ = party.signaling.set_remote_description(now, offer(&ufrag(generation)));
                }
                Move::Nonsense(generation) => {
                    let nonsense = remote(SdpType::Offer, "nonsense", &ufrag(generation));
                    let _ = party.signaling.set_remote_description(now, nonsense);
                }
                Move::Rollback => {
                    let _ = party.signaling.set_remote_description(now, Description::rollback());
                }
                Move::Answer => {
                    let _ = party.signaling.set_implied_description(now);
                }
                Move::Ignore(generation) => party.signaling.ignore(now, &offer(&ufrag(generation))),
                Move::Act => step(&mut party),
            }
        }
        while party.signaling.poll_timeout().is_some() || !party.signaling.is_chain_empty() {
            step(&mut party);
            party.signaling.handle_timeout(party.now);
        }
        party.listen();

        // Each at most once, and in the order they came: within a generation, and among those of none.
        let applied = party.applied();
        let place = |text: &str| sent.iter().position(|(sent, ..)| sent == text).unwrap();
        for kind in ["1 ", "2 ", "3 "] {
            for is_named in [true, false] {
                let places: Vec<_> = applied.iter()
                    .map(|text| place(text))
                    .filter(|place| sent[*place].0.starts_with(kind) && sent[*place].1 == is_named)
                    .collect();
                prop_assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
            }
        }
        // Whatever was not used was told of, or still waits.
        let open = sent.iter().filter(|(_, _, id)| party.outcome(*id).is_none()).count();
        prop_assert_eq!(open, party.signaling.held_candidates(Side::Remote));
        let ended = sent.iter().filter(|(text, _, id)| {
            party.outcome(*id) == Some(Ok(())) && dropped(&party, *id).is_none() && !applied.contains(&&**text)
        });
        prop_assert_eq!(ended.count(), 0);
    }
}

/// Carries out an action; a candidate's description must be applied by then.
fn step(party: &mut Party) {
    party.listen();
    let Some(action) = party.signaling.poll_action() else {
        return;
    };
    if let Action::AddCandidate { candidate, .. } = &action {
        let applied = [
            party.signaling.pending_description(Side::Remote),
            party.signaling.current_description(Side::Remote),
        ];
        let mut applied = applied.into_iter().flatten();
        let fits = |ufrag: &str| {
            let mut ufrags = applied.clone().flat_map(|description| description.ufrags());
            ufrags.any(|used| used == ufrag)
        };
        match &candidate.ufrag {
            Some(ufrag) => assert!(fits(ufrag), "{candidate:?} is early"),
            None => assert!(applied.next().is_some(), "{candidate:?} is early"),
        }
    }
    let result = party.result_of(&action);
    let taken = party.complete(action.operation(), result);
    taken.expect("it was asked for");
    party.asked.push(action);
}
