//! Candidates of offers that are ignored, yielded, rolled back or still to come.

use super::{
    glare::{number, offer, told},
    world::*,
};
use floe::PeerConnectionState;
use floe::signaling::{
    CandidateError, Description, Failure, Media, OperationError, Refused, SdpType, Side,
    SignalingState::{HaveLocalOffer, HaveRemoteOffer, Stable},
    negotiation::{Event, Message, NegotiationError, Phase},
};

fn sent_candidates(party: &Party) -> Vec<String> {
    let text = |message: &Message| match message {
        Message::Candidate(candidate) => Some(candidate.candidate.to_string()),
        _ => None,
    };
    party.sent.iter().filter_map(text).collect()
}

/// The impolite side waits for the answer to its second offer, and the polite one is not heard.
fn mid_round() -> World {
    let mut world = World::new();
    world.add_track(IMPOLITE, 1);
    world.run();
    world.up[POLITE] = false;
    world.add_track(IMPOLITE, 2);
    world.run();
    assert_eq!(world.impolite().state(), HaveLocalOffer);
    world
}

// req: N31 N33
#[test]
fn candidates_of_an_ignored_offer_are_neither_used_nor_kept_nor_heard_of() {
    let mut world = mid_round();
    let theirs = world.impolite().ufrag(Side::Remote).unwrap();
    // It restarts ICE for the section that there is, and adds another.
    let ignored = Description::new(SdpType::Offer, "ignored").with_media([
        Media::new("1").with_ufrag("new"),
        Media::new("9").with_ufrag("new"),
    ]);
    world.tell(IMPOLITE, told(ignored));
    world.tell_candidate(IMPOLITE, "new", "1", Some("new"));
    world.tell_candidate(IMPOLITE, "new, without saying so", "1", None);
    world.tell_candidate(
        IMPOLITE,
        "for a section that is not there",
        "9",
        Some("new"),
    );
    world.tell_candidate(IMPOLITE, "the same without saying so", "9", None);
    world.tell_candidate(IMPOLITE, "nonsense", "9", Some(&theirs));
    world.run();
    assert_eq!(world.impolite().native.added, [""; 0]);
    assert_eq!(
        world
            .impolite()
            .machine
            .signaling()
            .held_candidates(Side::Remote),
        0
    );
    assert_eq!(
        world
            .impolite()
            .machine
            .signaling()
            .candidate_drops()
            .superseded,
        4
    );
    assert_eq!(world.impolite().candidate_failures(), 0);
    // What belongs to the credentials in use is used all the same.
    world.tell_candidate(IMPOLITE, "of before", "1", Some(&theirs));
    world.run();
    assert_eq!(world.impolite().native.added, ["of before"]);
    // The answer ends it: now failures are heard of.
    world.up[POLITE] = true;
    world.run();
    world.tell_candidate(IMPOLITE, "nonsense", "9", Some(&theirs));
    assert_eq!(world.impolite().candidate_failures(), 1);
}

// req: N31
#[test]
fn of_the_first_offer_too_even_if_nothing_is_known_of_it() {
    let mut world = World::new();
    world.up[POLITE] = false;
    world.add_track(IMPOLITE, 1);
    world.run();
    world.tell(
        IMPOLITE,
        told(Description::new(
            SdpType::Offer,
            "of which nothing is known",
        )),
    );
    world.tell_candidate(IMPOLITE, "of it", "1", None);
    world.up[POLITE] = true;
    world.run();
    world.assert_agreed();
    assert_eq!(world.impolite().native.added, [""; 0]);
    assert_eq!(
        world
            .impolite()
            .machine
            .signaling()
            .held_candidates(Side::Remote),
        0
    );
}

// req: N31
#[test]
fn an_ignored_renegotiation_leaves_the_candidates_of_its_transports_alone() {
    let mut world = mid_round();
    let theirs = world.impolite().ufrag(Side::Remote).unwrap();
    world.tell(IMPOLITE, told(offer("ignored", "1", theirs.clone().leak())));
    world.tell_candidate(IMPOLITE, "with", "1", Some(&theirs));
    world.tell_candidate(IMPOLITE, "without", "1", None);
    world.run();
    assert_eq!(world.impolite().native.added, ["with", "without"]);
}

// req: N32
#[test]
fn candidates_that_fail_otherwise_are_reported() {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.run();
    let theirs = world.impolite().ufrag(Side::Remote).unwrap();
    world.impolite().native.failures = vec![("add candidate", 0, Failure::Operation)];
    world.tell_candidate(IMPOLITE, "refused by the transport", "1", Some(&theirs));
    world.run();
    world.tell_candidate(IMPOLITE, "for no section", "9", Some(&theirs));
    world.tell_candidate(IMPOLITE, &"long".repeat(1000), "1", Some(&theirs));
    let failed: Vec<_> = world
        .impolite()
        .events
        .iter()
        .filter_map(|event| match event {
            Event::CandidateFailed(error) => Some(*error),
            _ => None,
        })
        .collect();
    let expected: [NegotiationError; 3] = [
        OperationError::Failed(Failure::Operation).into(),
        OperationError::Candidate(CandidateError::UnknownMid).into(),
        Refused::CandidateTooLong.into(),
    ];
    assert_eq!(failed, expected);
    assert_eq!(world.impolite().failures(), [], "negotiation did not fail");
}

// req: N34
#[test]
fn a_candidate_before_its_description_waits_for_it() {
    for who in [POLITE, IMPOLITE] {
        let mut world = World::new();
        world.tell_candidate(who, "early", "1", Some("x"));
        world.tell_candidate(who, "of an offer that is replaced", "1", Some("w"));
        world.run();
        assert_eq!(world.parties[who].native.added, [""; 0]);
        assert_eq!(
            world.parties[who]
                .machine
                .signaling()
                .held_candidates(Side::Remote),
            2
        );
        world.tell(
            who,
            told(offer("w1 1 w", "1", "w").with_offer_id(number(1))),
        );
        world.tell(
            who,
            told(offer("x1 1 x", "1", "x").with_offer_id(number(2))),
        );
        world.tell_candidate(who, "late", "1", Some("x"));
        world.run();
        // The first offer was being applied when the second came: its candidate had its turn, or went with it.
        let added = world.parties[who].native.added.join(", ");
        assert!(added.ends_with("early, late"), "{added}");
        assert_eq!(
            world.parties[who]
                .machine
                .signaling()
                .held_candidates(Side::Remote),
            0
        );
        world.tell_candidate(who, "of the replaced offer", "1", Some("w"));
        world.run();
        assert!(
            !world.parties[who]
                .native
                .added
                .iter()
                .any(|text| text == "of the replaced offer")
        );
        assert_eq!(world.parties[who].candidate_failures(), 0);
    }
}

// req: R116 N34
#[test]
fn a_candidate_does_not_overtake_the_offer_before_it() {
    let mut world = World::new();
    world.polite().paused = true;
    world.tell(POLITE, told(offer("x1 1 x", "1", "x")));
    world.tell(POLITE, told(offer("x2 2 y", "2", "y")));
    world.tell_candidate(POLITE, "of the second", "2", None);
    world.polite().paused = false;
    world.run();
    assert_eq!(world.polite().native.added, ["of the second"]);
    assert_eq!(world.polite().candidate_failures(), 0);
}

// req: N33
#[test]
fn an_offer_that_is_taken_ends_ignoring_too() {
    let mut world = mid_round();
    let now = world.now();
    let theirs = world.impolite().ufrag(Side::Remote).unwrap();
    let machine = &mut world.impolite().machine;
    machine.handle_connection_state(now, PeerConnectionState::Connected);
    world.tell(
        IMPOLITE,
        told(offer("ignored", "9", "new").with_offer_id(number(1))),
    );
    world.tell_candidate(IMPOLITE, "of it", "9", Some(&theirs));
    assert_eq!(world.impolite().candidate_failures(), 0);
    // Nothing is wanted any more, so that the offer is not made again when it is given up.
    world.impolite().machine.negotiation_satisfied(now);
    world.run_for(ms(16_000));
    assert_eq!(world.impolite().state(), Stable);
    world.tell(
        IMPOLITE,
        told(offer("x1 1 x", "1", "x").with_offer_id(number(1))),
    );
    world.run_for(ms(10));
    assert_eq!(
        world.impolite().sent_of(SdpType::Answer).len(),
        1,
        "it was ignored, not seen"
    );
    world.tell_candidate(IMPOLITE, "for no section", "9", Some("x"));
    assert_eq!(world.impolite().candidate_failures(), 1);
}

// req: N35
#[test]
fn candidates_of_a_restart_that_come_before_its_description_are_held_although_there_is_an_old_one()
{
    for restarter in [POLITE, IMPOLITE] {
        let who = 1 - restarter;
        let mut world = World::new();
        world.add_track(POLITE, 1);
        world.run();
        let next = format!(
            "{}{}",
            ['p', 'i'][restarter],
            world.parties[restarter].native.generation + 1
        );
        world.tell_candidate(who, "of the next generation", "1", Some(&next));
        world.run();
        assert_eq!(world.parties[who].native.added, [""; 0]);
        world.restart_ice(restarter);
        world.run();
        world.assert_agreed();
        assert_eq!(world.parties[who].ufrag(Side::Remote), Some(next));
        assert_eq!(world.parties[who].native.added, ["of the next generation"]);
    }
}

// req: N36 R124
#[test]
fn candidates_of_an_offer_that_was_rolled_back_are_dropped_silently() {
    let mut world = World::new();
    world.polite().native.failures = vec![("create answer", 0, Failure::Operation)];
    world.tell(POLITE, told(offer("x1 1 x", "1", "x")));
    world.run();
    assert_eq!(world.polite().count("roll back remote"), 1);
    assert_eq!(world.polite().state(), Stable);
    let events = world.polite().events.len();
    world.tell_candidate(POLITE, "of the offer that is gone", "1", Some("x"));
    world.run();
    assert_eq!(world.polite().native.added, [""; 0]);
    assert_eq!(
        world
            .polite()
            .machine
            .signaling()
            .held_candidates(Side::Remote),
        0
    );
    assert_eq!(world.polite().events.len(), events, "not a word");
}

// req: N21
#[test]
fn local_candidates_of_a_yielded_offer_are_not_sent() {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.run_for(ms(5));
    assert_eq!(world.polite().state(), HaveLocalOffer);
    world.find_candidate(POLITE, "while it is pending", "1", "p1");
    assert_eq!(sent_candidates(world.polite()), ["while it is pending"]);
    world.channel[IMPOLITE].clear();
    world.add_track(IMPOLITE, 2);
    while world.polite().state() == HaveLocalOffer {
        world.run_for(ms(1));
    }
    world.find_candidate(POLITE, "after it", "1", "p1");
    world.run_for(ms(2));
    assert_eq!(world.polite().state(), HaveRemoteOffer);
    world.find_candidate(POLITE, "still after it", "1", "p1");
    world.find_candidate(POLITE, "of the answer", "2", "p2");
    world.run();
    world.find_candidate(POLITE, "much later", "1", "p1");
    assert_eq!(
        sent_candidates(world.polite()),
        ["while it is pending", "of the answer"]
    );
    let messages = &world.polite().sent;
    let place = messages.iter().position(
        |message| matches!(message, Message::Description(answer) if answer.kind == SdpType::Answer),
    );
    let candidate = messages
        .iter()
        .rposition(|message| matches!(message, Message::Candidate(_)));
    assert!(place < candidate, "behind the answer");
    world.assert_agreed();
    world.assert_no_failure();
}

// req: N6 N21
#[test]
fn local_candidates_of_an_offer_that_never_left_are_not_sent_either() {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.run();
    let ufrag = world.polite().ufrag(Side::Local).unwrap();
    // The next offer adds a section, and the credentials stay as they are.
    world.add_track(POLITE, 2);
    world.add_track(IMPOLITE, 3);
    world.run_for(ms(1));
    world.polite().paused = true; // while it is being applied
    world.run();
    assert_eq!(world.polite().machine.phase(), Phase::MakingOffer);
    world.polite().paused = false;
    world.run_for(ms(0));
    assert_eq!(world.polite().machine.phase(), Phase::SettingOffer);
    assert_eq!(world.polite().state(), HaveLocalOffer);
    world.find_candidate(POLITE, "of the section that comes to nothing", "2", &ufrag);
    world.find_candidate(POLITE, "of the section that there is", "1", &ufrag);
    world.run();
    world.assert_agreed();
    world.assert_no_failure();
    assert_eq!(
        sent_candidates(world.polite()),
        ["of the section that there is"]
    );
}

// req: N16
#[test]
fn no_candidate_comes_between_the_rollback_and_the_offer_it_makes_room_for() {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.run_for(ms(5));
    world.channel[IMPOLITE].clear();
    world.tell(
        POLITE,
        told(offer("x1 2 x", "2", "x").with_offer_id(number(1))),
    );
    world.tell_candidate(POLITE, "of the offer", "2", Some("x"));
    world.add_track(POLITE, 3); // nor an offer
    world.run_for(ms(10));
    let log = world.polite().native.log.join(", ");
    let yielding =
        "roll back local, apply remote offer, add candidate, create answer, apply local answer";
    assert!(log.contains(yielding), "{log}");
    assert_eq!(world.polite().candidate_failures(), 0);
}
