//! Answers that are stale, repeated, wrong, refused, late or lost.

use super::{
    glare::{number, offer, told},
    world::*,
};
use floe::{
    PeerConnectionState,
    signaling::{
        Description, Failure, Media, OfferId, OperationError, SdpType, Side,
        SignalingState::{HaveLocalOffer, HaveRemoteOffer, HaveRemotePranswer, Stable},
        negotiation::{
            Config, DiscardReason, Message, NegotiationError, OfferIds, Phase, Remedy, Resumption,
            Unanswered,
        },
    },
};
use std::sync::Arc;

fn answer(body: &'static str, mid: &str, ufrag: &str) -> Description {
    Description::new(SdpType::Answer, body).with_media([Media::new(mid).with_ufrag(ufrag)])
}

/// The other side has vanished, and this one has sent its first offer.
fn awaiting_an_answer(who: usize, config: &Config) -> World {
    let mut world = World::with(config);
    world.up[1 - who] = false;
    world.add_track(who, 1);
    world.run();
    assert_eq!(world.parties[who].state(), HaveLocalOffer);
    assert_eq!(world.parties[who].machine.phase(), Phase::AwaitingAnswer);
    world
}

fn reasons(party: &Party) -> Vec<DiscardReason> {
    party
        .discarded()
        .iter()
        .map(|discarded| discarded.reason)
        .collect()
}

// req: N23 R101
#[test]
fn a_stale_answer_changes_nothing_and_is_on_record() {
    for who in [POLITE, IMPOLITE] {
        let mut world = World::new();
        world.add_track(who, 1);
        world.run();
        let rounds = world.parties[who].native.log.clone();
        world.tell(
            who,
            told(answer("late", "1", "x").with_offer_id(OfferId::FIRST)),
        );
        world.tell(who, told(answer("late", "1", "x")));
        world.run();
        world.assert_agreed();
        world.assert_no_failure();
        assert_eq!(
            world.parties[who].native.log, rounds,
            "nothing was asked for"
        );
        assert_eq!(reasons(&world.parties[who]), [DiscardReason::NotAwaited; 2]);
        let record = world.parties[who].discarded()[0];
        assert_eq!(
            (record.kind, record.offer_id),
            (SdpType::Answer, Some(OfferId::FIRST))
        );
        assert_eq!(record.at, world.now());
    }
}

// req: N24
#[test]
fn only_the_answer_to_the_pending_offer_is_applied() {
    for who in [POLITE, IMPOLITE] {
        let mut world = World::new();
        for track in [1, 2] {
            world.add_track(who, track);
            world.run();
        }
        world.up[1 - who] = false;
        world.add_track(who, 3);
        world.run();
        for id in [1, 2, 4] {
            world.tell(
                who,
                told(answer("another's", "1", "x").with_offer_id(number(id))),
            );
            assert_eq!(world.parties[who].state(), HaveLocalOffer, "{id}");
            assert_eq!(world.parties[who].machine.phase(), Phase::AwaitingAnswer);
        }
        assert_eq!(reasons(&world.parties[who]), [DiscardReason::NotAwaited; 3]);
        world.tell(
            who,
            told(answer("x1 1,2,3 x", "1", "x").with_offer_id(number(3))),
        );
        world.run();
        assert_eq!(world.parties[who].state(), Stable);
        assert_eq!(world.parties[who].agreed().len(), 3);
    }
}

// decision: D29
#[test]
fn without_numbers_any_answer_to_a_pending_offer_is_the_one() {
    let mut config = Config::default();
    config.offer_ids = OfferIds::Absent;
    for (config, answered) in [(&config, Some(number(9))), (&Config::default(), None)] {
        let mut world = awaiting_an_answer(POLITE, config);
        let mut answer = answer("x1 1 x", "1", "x");
        answer.offer_id = answered;
        world.tell(POLITE, told(answer));
        world.run();
        assert_eq!(world.polite().state(), Stable);
    }
    let mut world = World::with(&config);
    world.add_track(POLITE, 1);
    world.run();
    world.assert_agreed();
    let sent = world.polite().sent_of(SdpType::Offer).remove(0);
    assert_eq!(
        (
            sent.offer_id,
            world.impolite().sent_of(SdpType::Answer)[0].offer_id
        ),
        (None, None)
    );
}

// req: N25
#[test]
fn an_answer_to_an_offer_that_was_yielded_is_dropped() {
    let mut world = awaiting_an_answer(POLITE, &Config::default());
    world.tell(
        POLITE,
        told(offer("x1 2 x", "2", "x").with_offer_id(number(1))),
    );
    world.run_for(ms(2));
    assert_eq!(world.polite().state(), HaveRemoteOffer);
    world.tell(
        POLITE,
        told(answer("too late", "1", "x").with_offer_id(number(1))),
    );
    assert_eq!(world.polite().state(), HaveRemoteOffer);
    world.run();
    assert_eq!(
        world.polite().discarded()[0].reason,
        DiscardReason::NotAwaited
    );
    let current = world
        .polite()
        .machine
        .signaling()
        .current_description(Side::Remote)
        .cloned();
    assert_eq!(current.unwrap().body, "x1 2 x");
    assert_eq!(world.polite().count("apply remote answer"), 0);
}

// req: N26
#[test]
fn an_offer_behind_the_answer_is_applied_in_stable_by_either_side() {
    for who in [POLITE, IMPOLITE] {
        for between in [0, 1] {
            let mut world = World::new();
            world.add_track(who, 1);
            world.run();
            world.up[1 - who] = false;
            world.add_track(who, 2);
            world.run();
            // Both come at once, or the offer while the answer is being applied.
            world.tell(
                who,
                told(answer("x1 1,2 x", "1", "x").with_offer_id(number(2))),
            );
            world.run_for(ms(between) / 2);
            assert_eq!(world.parties[who].machine.phase(), Phase::SettingAnswer);
            world.tell(
                who,
                told(offer("x2 1,2,3 x", "3", "x").with_offer_id(number(1))),
            );
            world.run();
            let party = &world.parties[who];
            assert_eq!(party.state(), Stable);
            assert_eq!(party.agreed().len(), 3);
            assert_eq!(party.count("roll back local"), 0);
            assert_eq!(party.discarded(), []);
            let states = [
                HaveLocalOffer,
                Stable,
                HaveLocalOffer,
                Stable,
                HaveRemoteOffer,
                Stable,
            ];
            assert_eq!(party.states(), states);
        }
    }
}

// req: N26
#[test]
fn an_answer_and_an_offer_that_both_wait_run_in_their_order() {
    for who in [POLITE, IMPOLITE] {
        let mut world = awaiting_an_answer(who, &Config::default());
        world.parties[who].paused = true;
        world.tell(
            who,
            told(answer("x1 1 x", "1", "x").with_offer_id(number(1))),
        );
        world.tell(
            who,
            told(offer("x2 1,2 x", "2", "x").with_offer_id(number(1))),
        );
        world.tell_candidate(who, "of the offer", "2", Some("x"));
        world.parties[who].paused = false;
        world.run();
        let party = &world.parties[who];
        assert_eq!(
            party.states(),
            [HaveLocalOffer, Stable, HaveRemoteOffer, Stable]
        );
        assert_eq!(party.discarded(), []);
    }
}

// req: N27
#[test]
fn the_same_answer_again_is_nothing() {
    let mut world = awaiting_an_answer(IMPOLITE, &Config::default());
    let same = told(answer("x1 1 x", "1", "x").with_offer_id(number(1)));
    world.tell(IMPOLITE, same.clone());
    world.tell(IMPOLITE, same.clone()); // while the first is being applied
    world.run();
    assert_eq!(world.impolite().state(), Stable);
    world.tell(IMPOLITE, same);
    world.run();
    assert_eq!(world.impolite().count("apply remote answer"), 1);
    assert_eq!(reasons(world.impolite()), [DiscardReason::NotAwaited; 2]);
    assert_eq!(world.impolite().failures(), []);
}

// req: N22 R117 R121
#[test]
fn an_answer_that_cannot_be_applied_is_no_answer() {
    for who in [POLITE, IMPOLITE] {
        let mut world = World::new();
        world.parties[who].native.failures = vec![("apply remote answer", 0, Failure::SdpSyntax)];
        world.add_track(who, 1);
        world.run();
        world.assert_settled();
        assert_eq!(
            world.parties[who].native.rounds,
            world.parties[1 - who].native.rounds[1..]
        );
        let failures = world.parties[who].failures();
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].phase, Phase::SettingAnswer);
        assert_eq!(failures[0].remedy, Remedy::RollBack(Side::Local));
        assert_eq!(world.parties[who].offers(), 2, "offered again from stable");
        assert_eq!(world.parties[who].count("roll back local"), 1);
    }
    // While the answer that failed is taken back, and afterwards, it is not pending any more.
    let mut world = awaiting_an_answer(IMPOLITE, &Config::default());
    world.impolite().native.failures = vec![
        ("apply remote answer", 0, Failure::SdpSyntax),
        ("roll back local", 0, Failure::Operation),
    ];
    world.tell(
        IMPOLITE,
        told(answer("x1 1 x", "1", "x").with_offer_id(number(1))),
    );
    world.run();
    assert_eq!(
        world.impolite().state(),
        HaveLocalOffer,
        "it could not be taken back either"
    );
    world.tell(IMPOLITE, told(offer("x2 1,2 x", "2", "x")));
    assert_eq!(reasons(world.impolite()), [DiscardReason::Glare]);
}

// req: N22
#[test]
fn an_offer_that_comes_while_a_failure_is_rolled_back_is_answered_in_stable() {
    for who in [POLITE, IMPOLITE] {
        let mut world = awaiting_an_answer(who, &Config::default());
        world.parties[who].native.failures = vec![("apply remote answer", 0, Failure::SdpSyntax)];
        world.tell(
            who,
            told(answer("x1 1 x", "1", "x").with_offer_id(number(1))),
        );
        world.run_for(ms(1));
        assert_eq!(world.parties[who].machine.phase(), Phase::RollingBack);
        world.tell(
            who,
            told(offer("x2 1,2 x", "2", "x").with_offer_id(number(1))),
        );
        assert_eq!(world.parties[who].discarded(), []);
        world.run();
        assert_eq!(world.parties[who].sent_of(SdpType::Answer).len(), 1);
    }
}

fn connected(world: &mut World) {
    let now = world.now();
    for party in &mut world.parties {
        party
            .machine
            .handle_connection_state(now, PeerConnectionState::Connected);
    }
    world.settle();
}

/// One track is negotiated and media flows; then the peer falls silent over the second track.
fn unanswered(config: &Config) -> World {
    let mut world = World::with(config);
    world.add_track(IMPOLITE, 1);
    world.run();
    connected(&mut world);
    world.up[POLITE] = false;
    world.add_track(IMPOLITE, 2);
    world.run();
    assert_eq!(world.impolite().state(), HaveLocalOffer);
    world
}

// req: N28
#[test]
fn an_answer_that_never_comes_is_given_up_after_15_s_and_the_change_offered_anew() {
    let mut world = unanswered(&Config::default());
    let sent_at = world.now();
    world.run_for(ms(14_999));
    assert_eq!(world.impolite().failures(), []);
    world.run_for(ms(1));
    let failures = world.impolite().failures();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].error, NegotiationError::Unanswered);
    assert_eq!(failures[0].remedy, Remedy::RollBack(Side::Local));
    assert_eq!(failures[0].at, sent_at + ms(15_000));
    world.run_for(ms(10));
    assert_eq!(world.impolite().count("roll back local"), 1);
    assert_eq!(world.impolite().offers(), 3);
    world.channel[POLITE].pop_front(); // the one that got lost
    world.up[POLITE] = true;
    world.run();
    world.assert_agreed();
    assert_eq!(world.impolite().reconnects, 0);
    world.run_for(ms(60_000));
    assert_eq!(
        world.impolite().failures().len(),
        1,
        "nothing is missed any more"
    );
}

// req: N28
#[test]
fn a_peer_that_never_answers_is_given_up_in_the_end() {
    let mut world = unanswered(&Config::default());
    world.run_for(ms(600_000));
    let remedies: Vec<_> = world
        .impolite()
        .failures()
        .iter()
        .map(|failed| failed.remedy)
        .collect();
    let back = Remedy::RollBack(Side::Local);
    assert_eq!(remedies, [back, back, Remedy::Reconnect]);
    assert_eq!(world.impolite().reconnects, 1);
    assert_eq!(world.impolite().offers(), 4);
    assert_eq!(
        world.impolite().machine.poll_timeout(),
        None,
        "and nothing goes on"
    );
    // It answers the last offer after all.
    world.channel[POLITE].drain(..2);
    world.up[POLITE] = true;
    world.run();
    world.assert_agreed();
}

// req: N28
#[test]
fn by_policy_the_first_missing_answer_asks_for_a_new_connection() {
    let mut config = Config::default();
    config.unanswered = Unanswered::Reconnect;
    config.answer_timeout = ms(5_000);
    let mut world = unanswered(&config);
    world.run_for(ms(4_999));
    assert_eq!(world.impolite().reconnects, 0);
    world.run_for(ms(600_000));
    assert_eq!(world.impolite().reconnects, 1);
    assert_eq!(world.impolite().failures()[0].remedy, Remedy::Reconnect);
    assert_eq!(world.impolite().count("roll back local"), 0);
    assert_eq!(world.impolite().state(), HaveLocalOffer);
}

// req: N28
#[test]
fn an_answer_is_missed_only_while_media_is_connected() {
    let mut world = awaiting_an_answer(IMPOLITE, &Config::default());
    world.run_for(ms(60_000));
    assert_eq!(
        world.impolite().failures(),
        [],
        "the first one is the connect time-out's business"
    );
    let mut world = unanswered(&Config::default());
    world.run_for(ms(10_000));
    let now = world.now();
    let state = PeerConnectionState::Disconnected;
    world.impolite().machine.handle_connection_state(now, state);
    world.run_for(ms(60_000));
    assert_eq!(world.impolite().failures(), []);
    connected(&mut world);
    world.run_for(ms(14_999));
    assert_eq!(world.impolite().failures(), [], "15 s with media");
    world.run_for(ms(1));
    assert_eq!(world.impolite().failures().len(), 1);
}

// req: N20
#[test]
fn a_provisional_answer_is_finished_by_an_answer_and_never_rolled_back() {
    let pranswer = |text| {
        let mut description = answer(text, "1", "x").with_offer_id(number(1));
        description.kind = SdpType::Pranswer;
        told(description)
    };
    for final_answer in [None, Some(Failure::InvalidAccess)] {
        let mut world = awaiting_an_answer(IMPOLITE, &Config::default());
        connected(&mut world);
        world.tell(IMPOLITE, pranswer("x1 1 x"));
        world.tell(IMPOLITE, pranswer("x2 1 x"));
        world.run();
        assert_eq!(world.impolite().state(), HaveRemotePranswer);
        world.run_for(ms(60_000));
        assert_eq!(world.impolite().failures(), [], "it has an answer");
        let failure = final_answer.map(|failure| ("apply remote answer", 0, failure));
        world.impolite().native.failures.extend(failure);
        // Offers cannot be applied now by anybody.
        world.tell(
            IMPOLITE,
            told(offer("another", "2", "x2").with_offer_id(number(1))),
        );
        assert_eq!(reasons(world.impolite()), [DiscardReason::Glare]);
        world.tell(
            IMPOLITE,
            told(answer("x3 1 x", "1", "x").with_offer_id(number(1))),
        );
        world.run();
        assert_eq!(world.impolite().count("roll back local"), 0);
        match final_answer {
            None => assert_eq!(world.impolite().state(), Stable),
            Some(failure) => {
                assert_eq!(world.impolite().state(), HaveRemotePranswer);
                let failed = world.impolite().failures().remove(0);
                assert_eq!(failed.error, OperationError::Failed(failure).into());
                assert_eq!(failed.remedy, Remedy::Reconnect);
                assert_eq!(world.impolite().reconnects, 1);
                // Another answer may finish it yet.
                world.tell(IMPOLITE, told(answer("x4 1 x", "1", "x")));
                world.run();
                assert_eq!(world.impolite().state(), Stable);
            }
        }
    }
}

// req: N14 N20 R114
#[test]
fn a_polite_side_does_not_yield_while_a_provisional_answer_stands() {
    let mut world = awaiting_an_answer(POLITE, &Config::default());
    let mut provisional = answer("x1 1 x", "1", "x");
    provisional.kind = SdpType::Pranswer;
    world.tell(POLITE, told(provisional));
    world.run();
    assert_eq!(world.polite().state(), HaveRemotePranswer);
    world.tell(POLITE, told(offer("another", "2", "x2")));
    world.run();
    assert_eq!(world.polite().state(), HaveRemotePranswer);
    assert_eq!(reasons(world.polite()), [DiscardReason::ProvisionalAnswer]);
    assert_eq!(world.polite().count("apply remote offer"), 0);
    assert_eq!(world.polite().count("roll back local"), 0);
    world.tell(POLITE, told(answer("x3 1 x", "1", "x")));
    world.run();
    assert_eq!(world.polite().state(), Stable);
}

// req: N29 R124
#[test]
fn after_an_outage_the_offer_without_an_answer_goes_again_as_it_was() {
    for lost in [true, false] {
        let mut world = awaiting_an_answer(POLITE, &Config::default());
        let now = world.now();
        connected(&mut world);
        world.polite().machine.signaling_down(now);
        world.run_for(ms(60_000));
        assert_eq!(world.polite().failures(), [], "nobody could answer");
        assert_eq!(world.polite().state(), HaveLocalOffer);
        let resumption = if lost {
            Resumption::Lost
        } else {
            Resumption::Kept
        };
        if lost {
            world.channel[IMPOLITE].clear();
        }
        let now = world.now();
        world.up[IMPOLITE] = true;
        world.polite().machine.signaling_up(now, resumption);
        world.run();
        world.assert_agreed();
        world.assert_no_failure();
        let offers = world.polite().sent_of(SdpType::Offer);
        assert_eq!(offers.len(), if lost { 2 } else { 1 });
        assert!(
            offers.iter().all(|offer| *offer == offers[0]),
            "the same, with the same number"
        );
        assert_eq!(world.polite().count("create offer"), 1);
    }
}

// req: N28 N29
#[test]
fn after_an_outage_there_are_15_s_again() {
    let mut world = unanswered(&Config::default());
    world.run_for(ms(14_000));
    let now = world.now();
    world.impolite().machine.signaling_down(now);
    world.run_for(ms(20_000));
    let now = world.now();
    world.impolite().machine.signaling_up(now, Resumption::Kept);
    world.run_for(ms(14_999));
    assert_eq!(world.impolite().failures(), []);
    world.run_for(ms(1));
    assert_eq!(world.impolite().failures().len(), 1);
}

// req: N29
#[test]
fn an_offer_that_comes_again_is_answered_again_with_the_same_words() {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.run();
    let first = Message::Description(world.polite().sent_of(SdpType::Offer).remove(0));
    let log = world.impolite().native.log.clone();
    world.tell(IMPOLITE, first.clone());
    world.run();
    let answers = world.impolite().sent_of(SdpType::Answer);
    assert_eq!(answers.len(), 2);
    assert!(Arc::ptr_eq(&answers[0], &answers[1]));
    assert_eq!(
        world.impolite().native.log,
        log,
        "nothing was applied again"
    );
    assert_eq!(reasons(world.impolite()), [DiscardReason::Repeated]);
    assert_eq!(reasons(world.polite()), [DiscardReason::NotAwaited]);
    world.assert_agreed();
    // A round later the peer cannot be waiting for that answer.
    world.add_track(IMPOLITE, 2);
    world.run();
    world.tell(IMPOLITE, first);
    world.run();
    assert_eq!(world.impolite().sent_of(SdpType::Answer).len(), 2);
    assert_eq!(world.impolite().discarded()[1].reason, DiscardReason::Stale);
    world.assert_agreed();
}

// req: N29
#[test]
fn a_lost_answer_goes_again_before_the_next_offer() {
    for answerer in [POLITE, IMPOLITE] {
        let offerer = 1 - answerer;
        let mut world = World::new();
        world.add_track(offerer, 1);
        world.run();
        world.add_track(offerer, 2);
        world.run_for(ms(12));
        world.up[offerer] = false;
        world.run();
        world.add_track(answerer, 3); // behind the answer, and lost with it
        world.run();
        world.channel[offerer].clear();
        let now = world.now();
        for party in &mut world.parties {
            party.machine.signaling_down(now);
            party.machine.signaling_up(now, Resumption::Lost);
        }
        world.up[offerer] = true;
        world.run();
        world.assert_agreed();
        world.assert_no_failure();
        assert_eq!(
            world.parties[offerer].offers(),
            3,
            "and the one that went again"
        );
        assert_eq!(
            world.parties[answerer].count("create answer"),
            2,
            "it was there already"
        );
        assert_eq!(world.parties[answerer].count("roll back local"), 0);
        assert_eq!(world.parties[offerer].count("roll back local"), 0);
    }
}

// decision: D29
#[test]
fn repeated_offers_do_not_pile_up_answers_that_nobody_takes() {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.run();
    let again = Message::Description(world.polite().sent_of(SdpType::Offer).remove(0));
    let now = world.now();
    for _ in 0..1000 {
        world.impolite().machine.handle_message(now, again.clone());
    }
    let actions = std::iter::from_fn(|| world.impolite().machine.poll_action()).count();
    assert_eq!(actions, 64);
    let events = std::iter::from_fn(|| world.impolite().machine.poll_event()).count();
    assert_eq!(events, 256, "nor does what is told of them");
    assert_eq!(world.impolite().machine.untold(), 1000 - 256);
}
