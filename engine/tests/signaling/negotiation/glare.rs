//! Two offers cross, at every moment at which they can.

use super::world::*;
use floe::signaling::{
    Description, Media, OfferId, SdpType, Side,
    SignalingState::{HaveLocalOffer, HaveRemoteOffer, Stable},
    negotiation::{
        Config, DiscardReason, Event, InvalidConfig, Message, Negotiation, OfferIds, Phase, Role,
        RoleClaim, RoleConflict,
    },
};
use std::{num::NonZeroU32, sync::Arc};

/// An offer as a peer would make it that numbers nothing.
pub(crate) fn offer(body: &'static str, mid: &str, ufrag: &str) -> Description {
    Description::new(SdpType::Offer, body).with_media([Media::new(mid).with_ufrag(ufrag)])
}

pub(crate) fn number(id: u32) -> OfferId {
    OfferId(NonZeroU32::new(id).expect("offers count from one"))
}

pub(crate) fn told(description: Description) -> Message {
    Message::Description(Arc::new(description))
}

// req: N1 N7 N8 R123 W74
#[test]
fn both_offer_at_once_and_the_polite_side_comes_second() {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.add_track(IMPOLITE, 2);
    world.run();
    world.assert_agreed();
    world.assert_no_failure();
    assert_eq!(
        world.polite().offers(),
        2,
        "the one that was ignored, and the one after"
    );
    assert_eq!(world.impolite().offers(), 1);
    assert_eq!(world.polite().native.rounds.len(), 2);
    assert_eq!(
        world.impolite().sent_of(SdpType::Answer).len(),
        1,
        "none to the first"
    );
    let ignored = world.impolite().discarded();
    assert_eq!(ignored.len(), 1);
    assert_eq!(ignored[0].reason, DiscardReason::Glare);
    assert_eq!(ignored[0].offer_id, Some(OfferId::FIRST));
    assert_eq!(
        world.polite().negotiations_needed(),
        2,
        "once for each of its offers"
    );
    let states = [
        HaveLocalOffer,
        Stable,
        HaveRemoteOffer,
        Stable,
        HaveLocalOffer,
        Stable,
    ];
    assert_eq!(world.polite().states(), states);
    assert_eq!(
        world.impolite().states(),
        [HaveLocalOffer, Stable, HaveRemoteOffer, Stable]
    );
}

// req: N2 N16
#[test]
fn a_polite_side_that_waits_for_an_answer_yields_in_one_step() {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.run_for(ms(5));
    assert_eq!(world.polite().state(), HaveLocalOffer);
    world.channel[IMPOLITE].clear();
    world.add_track(IMPOLITE, 2);
    world.run();
    world.assert_agreed();
    world.assert_no_failure();
    let log = world.polite().native.log.join(", ");
    let yielding = "roll back local, apply remote offer, create answer, apply local answer";
    assert!(log.contains(yielding), "{log}");
}

// req: N3 N33
#[test]
fn an_impolite_side_that_waits_for_an_answer_ignores_the_offer_and_goes_on_waiting() {
    let mut world = World::new();
    world.add_track(IMPOLITE, 1);
    world.run_for(ms(5));
    let events = world.impolite().events.len();
    world.tell(IMPOLITE, told(offer("theirs", "9", "x")));
    let news = &world.impolite().events[events..];
    assert!(
        matches!(news, [Event::Discarded(discarded)] if discarded.reason == DiscardReason::Glare)
    );
    assert_eq!(world.impolite().state(), HaveLocalOffer);
    assert_eq!(world.impolite().machine.phase(), Phase::AwaitingAnswer);
    // What follows belongs to the offer that is ignored, so nobody hears that it fails.
    world.tell_candidate(IMPOLITE, "theirs", "9", None);
    world.tell_candidate(IMPOLITE, "theirs", "9", Some("x"));
    world.run();
    world.assert_agreed();
    world.assert_no_failure();
    assert_eq!(world.impolite().native.added, [""; 0]);
    // The answer was taken: what fails now is heard of.
    world.tell_candidate(IMPOLITE, "for nothing", "9", None);
    assert_eq!(world.impolite().candidate_failures(), 1);
}

// req: N4 N6
#[test]
fn a_polite_side_that_makes_an_offer_applies_it_yields_and_never_sends_it() {
    for paused_at in ["create offer", "apply local offer"] {
        let mut world = World::new();
        world.add_track(POLITE, 1);
        while world
            .polite()
            .native
            .log
            .last()
            .is_none_or(|name| name != paused_at)
        {
            world.run_for(ms(1));
        }
        assert_eq!(world.polite().state(), Stable);
        assert_eq!(world.polite().machine.phase(), Phase::MakingOffer);
        world.polite().paused = true;
        world.add_track(IMPOLITE, 2);
        world.run();
        assert_eq!(world.polite().state(), Stable, "it is still at it");
        assert_eq!(world.polite().discarded(), []);
        world.polite().paused = false;
        world.run();
        world.assert_agreed();
        world.assert_no_failure();
        let states = [
            HaveLocalOffer,
            Stable,
            HaveRemoteOffer,
            Stable,
            HaveLocalOffer,
            Stable,
        ];
        assert_eq!(world.polite().states(), states);
        let offers = world.polite().sent_of(SdpType::Offer);
        assert_eq!(offers.len(), 1, "the second");
        assert_eq!(offers[0].offer_id, Some(number(2)));
        assert!(world.polite().phases().contains(&Phase::HoldingOffer));
    }
}

// req: N5
#[test]
fn an_impolite_side_that_makes_an_offer_ignores_another_although_it_is_stable() {
    for paused_at in ["create offer", "apply local offer"] {
        let mut world = World::new();
        world.add_track(IMPOLITE, 1);
        while world
            .impolite()
            .native
            .log
            .last()
            .is_none_or(|name| name != paused_at)
        {
            world.run_for(ms(1));
        }
        world.impolite().paused = true;
        world.add_track(POLITE, 2);
        world.run();
        assert_eq!(world.impolite().state(), Stable);
        assert_eq!(world.impolite().discarded()[0].reason, DiscardReason::Glare);
        world.impolite().paused = false;
        world.run();
        world.assert_agreed();
        world.assert_no_failure();
        assert_eq!(
            world.impolite().states(),
            [HaveLocalOffer, Stable, HaveRemoteOffer, Stable]
        );
    }
}

// req: N5
#[test]
fn an_offer_that_is_ignored_in_its_turn_may_come_again_and_one_before_it_may_not() {
    let mut world = World::new();
    world.add_track(IMPOLITE, 1);
    world.impolite().paused = true;
    world.up[POLITE] = false;
    // A stale answer is before it, so that it is not judged when it comes.
    world.tell(
        IMPOLITE,
        told(Description::new(SdpType::Answer, "stale").with_offer_id(number(9))),
    );
    let numbered = |id| told(offer("x 2 x", "2", "x").with_offer_id(number(id)));
    world.tell(IMPOLITE, numbered(5));
    assert_eq!(world.impolite().discarded(), []);
    world.impolite().paused = false;
    world.run();
    let reasons = |world: &mut World| -> Vec<_> {
        world
            .impolite()
            .discarded()
            .iter()
            .map(|one| one.reason)
            .collect()
    };
    assert_eq!(
        reasons(&mut world),
        [DiscardReason::NotAwaited, DiscardReason::Glare]
    );
    assert!(
        !world.impolite().phases().contains(&Phase::HoldingOffer),
        "it does not wait for that"
    );
    let answer = Description::new(SdpType::Answer, "y1 1 y").with_offer_id(number(1));
    world.tell(IMPOLITE, told(answer));
    world.run();
    assert_eq!(world.impolite().state(), Stable);
    world.tell(IMPOLITE, numbered(4));
    world.run();
    assert_eq!(reasons(&mut world)[2..], [DiscardReason::Stale]);
    world.tell(IMPOLITE, numbered(5));
    world.run();
    assert_eq!(world.impolite().sent_of(SdpType::Answer).len(), 1);
}

// decision: D28 D29
#[test]
fn of_two_offers_that_wait_the_newer_one_counts() {
    for who in [POLITE, IMPOLITE] {
        let mut world = World::new();
        world.parties[who].paused = true;
        for (id, text, ufrag) in [(1, "x1 1 x", "x"), (2, "x2 1 y", "y"), (3, "x3 1 z", "z")] {
            world.tell(who, told(offer(text, "1", ufrag).with_offer_id(number(id))));
        }
        world.parties[who].paused = false;
        world.run();
        let party = &world.parties[who];
        assert_eq!(
            party.count("apply remote offer"),
            2,
            "the first was under way"
        );
        assert_eq!(party.discarded().len(), 1);
        assert_eq!(party.discarded()[0].offer_id, Some(number(2)));
        assert_eq!(party.discarded()[0].reason, DiscardReason::Stale);
        assert_eq!(party.sent_of(SdpType::Answer)[0].offer_id, Some(number(3)));
    }
}

// req: N9
#[test]
fn what_the_other_offer_brings_about_is_not_offered_again() {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.add_track(IMPOLITE, 1);
    world.run();
    world.assert_agreed();
    assert_eq!(world.polite().offers(), 1, "the one that was ignored");
    assert_eq!(world.polite().native.rounds.len(), 1);
    assert_eq!(world.polite().negotiations_needed(), 1);
}

// req: N10
#[test]
fn the_roles_are_settled_before_anything_or_the_session_is_refused() {
    use Role::{Impolite, Polite};
    let claims = [
        RoleClaim::Fixed(Polite),
        RoleClaim::Fixed(Impolite),
        RoleClaim::Drawn(0),
        RoleClaim::Drawn(7),
        RoleClaim::Drawn(u64::MAX),
    ];
    for ours in claims {
        for theirs in claims {
            let settled = (ours.settle(theirs), theirs.settle(ours));
            match settled {
                (Ok(one), Ok(other)) => assert_eq!(one, other.other(), "{ours:?} {theirs:?}"),
                (Err(one), Err(other)) => {
                    assert_eq!(one, other);
                    assert_eq!(ours, theirs, "all else can be settled");
                }
                _ => panic!("{ours:?} and {theirs:?} come to {settled:?}"),
            }
        }
    }
    for role in [Polite, Impolite] {
        assert_eq!(RoleClaim::Fixed(role).settle(RoleClaim::Drawn(3)), Ok(role));
    }
    let both = |role| RoleClaim::Fixed(role).settle(RoleClaim::Fixed(role));
    assert_eq!(both(Polite), Err(RoleConflict::BothPolite));
    assert_eq!(both(Impolite), Err(RoleConflict::BothImpolite));
    assert_eq!(
        RoleClaim::Drawn(3).settle(RoleClaim::Drawn(3)),
        Err(RoleConflict::SameDraw)
    );
    assert_eq!(
        RoleClaim::Drawn(4).settle(RoleClaim::Drawn(3)),
        Ok(Impolite)
    );
}

// req: N12
#[test]
fn an_offer_that_was_held_up_is_judged_when_it_comes() {
    for held_up in [POLITE, IMPOLITE] {
        let mut world = World::new();
        world.up[held_up] = false;
        world.add_track(POLITE, 1);
        world.add_track(IMPOLITE, 2);
        world.run();
        world.clock.advance(ms(60_000));
        world.up[held_up] = true;
        world.run();
        world.assert_agreed();
        world.assert_no_failure();
        assert_eq!(world.polite().native.rounds.len(), 2);
        assert_eq!(world.impolite().discarded().len(), 1);
        assert_eq!((world.polite().offers(), world.impolite().offers()), (2, 1));
    }
}

// decision: D28 D29
#[test]
fn a_newer_offer_takes_the_place_of_one_that_is_not_answered_yet() {
    for (who, ids, is_replaced) in [
        (POLITE, OfferIds::Numbered, true),
        (POLITE, OfferIds::Absent, true),
        (IMPOLITE, OfferIds::Numbered, true),
        (IMPOLITE, OfferIds::Absent, false),
    ] {
        for work_before in 0..=2 {
            let mut config = Config::default();
            config.offer_ids = ids;
            let mut world = World::with(&config);
            let numbered = |text, id| told(offer(text, text, text).with_offer_id(number(id)));
            world.tell(who, numbered("first", 1));
            world.run_for(ms(work_before));
            let state = [Stable, HaveRemoteOffer, HaveRemoteOffer][work_before as usize];
            assert_eq!(world.parties[who].state(), state);
            world.tell(who, numbered("second", 2));
            world.run_for(ms(9));
            let party = &world.parties[who];
            assert_eq!(party.state(), Stable);
            let current = party
                .machine
                .signaling()
                .current_description(Side::Remote)
                .unwrap();
            // An answer that is being applied already goes its way.
            let expected = if is_replaced { "second" } else { "first" };
            assert_eq!(current.body, expected, "{who} {ids:?} {work_before}");
            let ignored: Vec<_> = party.discarded().iter().map(|one| one.reason).collect();
            let glare: &[_] = if is_replaced {
                &[]
            } else {
                &[DiscardReason::Glare]
            };
            assert_eq!(ignored, glare);
            let answers = party.sent_of(SdpType::Answer);
            let answered: Vec<_> = answers.iter().map(|answer| answer.offer_id).collect();
            let expected = match (ids, work_before) {
                (OfferIds::Absent, _) if work_before == 2 && is_replaced => vec![None; 2],
                (OfferIds::Absent, _) => vec![None],
                (OfferIds::Numbered, 2) => vec![Some(number(1)), Some(number(2))],
                (OfferIds::Numbered, _) => vec![Some(number(2))],
            };
            assert_eq!(answered, expected, "{who} {work_before}");
        }
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let refused = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        let now = sim::Clock::epoch();
        let signaling =
            floe::signaling::Signaling::new(now, Arc::new(floe::signaling::Config::default()));
        Negotiation::new(now, Role::Polite, signaling.unwrap(), Arc::new(config)).err()
    };
    assert_eq!(refused(|_| ()), None);
    let timeout = Some(InvalidConfig::AnswerTimeout);
    assert_eq!(refused(|config| config.answer_timeout = ms(999)), timeout);
    assert_eq!(
        refused(|config| config.answer_timeout = ms(3_600_001)),
        timeout
    );
    assert_eq!(
        refused(|config| config.answer_timeout = ms(3_600_000)),
        None
    );
    let patience = Some(InvalidConfig::GatheringTimeout);
    assert_eq!(
        refused(|config| config.gathering_timeout = ms(3_600_001)),
        patience
    );
    assert_eq!(refused(|config| config.gathering_timeout = ms(0)), patience);
    assert_eq!(refused(|config| config.gathering_timeout = ms(1)), None);
    assert_eq!(refused(|config| config.answer_timeout = ms(1000)), None);
    assert_eq!(
        refused(|config| config.max_attempts = 0),
        Some(InvalidConfig::MaxAttempts)
    );
    assert_eq!(
        refused(|config| config.max_waiting = 15),
        Some(InvalidConfig::MaxWaiting)
    );
    assert_eq!(refused(|config| config.max_waiting = 16), None);
}

#[test]
fn words() {
    assert_eq!(Role::Polite.to_string(), "polite");
    assert_eq!(Role::Impolite.to_string(), "impolite");
    let words: Vec<_> = Phase::ALL.iter().map(ToString::to_string).collect();
    let json: Vec<_> = Phase::ALL
        .iter()
        .map(|phase| serde_json::to_value(phase).unwrap())
        .collect();
    assert_eq!(json, words);
}
