//! Operations that fail, at every step of a round: back to what both sides last agreed on, and the queue goes on.

use super::{
    glare::{number, offer, told},
    world::*,
};
use floe::{
    PeerConnectionState,
    signaling::{
        Description, Failure, OperationError, SdpType, Side, Signaling,
        SignalingState::{Closed, HaveLocalOffer, HaveRemoteOffer, Stable},
        negotiation::{
            Action, Config, DiscardReason, Event, Message, Negotiation, Phase, Remedy, Resumption,
            Role,
        },
    },
};
use std::sync::Arc;

const CAUSE: Failure = Failure::InvalidAccess;

// req: R117 R118 R121 R122 N14 N19
#[test]
fn each_step_of_a_round_may_fail_once() {
    let back = |side| Remedy::RollBack(side);
    let own = [
        ("create offer", Phase::MakingOffer, Remedy::None),
        ("apply local offer", Phase::MakingOffer, Remedy::None),
        (
            "apply remote answer",
            Phase::SettingAnswer,
            back(Side::Local),
        ),
    ];
    for (step, phase, remedy) in own {
        for who in [POLITE, IMPOLITE] {
            for round in [0, 1] {
                let mut world = World::new();
                world.parties[who].native.failures = vec![(step, round, CAUSE)];
                world.add_track(who, 1);
                world.run();
                world.add_track(who, 2);
                world.run();
                world.assert_settled();
                let failures = world.parties[who].failures();
                assert_eq!(failures.len(), 1, "{step}");
                assert_eq!((failures[0].phase, failures[0].remedy), (phase, remedy));
                assert_eq!(failures[0].error, OperationError::Failed(CAUSE).into());
                let rollbacks = usize::from(remedy != Remedy::None);
                assert_eq!(
                    world.parties[who].count("roll back local"),
                    rollbacks,
                    "{step}"
                );
                assert_eq!(world.parties[who].count("roll back remote"), 0);
                assert_eq!(world.parties[who].native.rounds.len(), 2);
                assert_eq!(world.parties[who].reconnects, 0);
            }
        }
    }
}

// req: R117 R118 R119 N14 N19
#[test]
fn an_offer_that_cannot_be_answered_is_taken_back_on_its_own_side() {
    let steps = [
        ("apply remote offer", Phase::SettingOffer, Remedy::None),
        (
            "create answer",
            Phase::MakingAnswer,
            Remedy::RollBack(Side::Remote),
        ),
        (
            "apply local answer",
            Phase::MakingAnswer,
            Remedy::RollBack(Side::Remote),
        ),
    ];
    for (step, phase, remedy) in steps {
        for who in [POLITE, IMPOLITE] {
            let mut world = World::new();
            world.parties[who].native.failures = vec![(step, 0, CAUSE)];
            world.add_track(1 - who, 1);
            world.run();
            let failures = world.parties[who].failures();
            assert_eq!(failures.len(), 1);
            assert_eq!((failures[0].phase, failures[0].remedy), (phase, remedy));
            assert_eq!(world.parties[who].state(), Stable);
            let rollbacks = usize::from(remedy != Remedy::None);
            assert_eq!(
                world.parties[who].count("roll back remote"),
                rollbacks,
                "{step}"
            );
            assert_eq!(world.parties[who].count("roll back local"), 0);
            assert_eq!(world.parties[who].sent, [], "no answer");
            assert_eq!(world.parties[1 - who].state(), HaveLocalOffer);
            // The peer gives it up after its time-out and offers anew.
            let now = world.now();
            let state = PeerConnectionState::Connected;
            world.parties[1 - who]
                .machine
                .handle_connection_state(now, state);
            world.run_for(ms(16_000));
            let resent = world.parties[1 - who].failures();
            assert_eq!(
                resent[0].remedy,
                Remedy::Resend,
                "there is nothing to go back to"
            );
            world.run_for(ms(60_000));
        }
    }
}

// req: N17
#[test]
fn a_rollback_for_an_offer_that_turns_out_to_be_invalid_is_not_undone() {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.run_for(ms(5));
    world.channel[IMPOLITE].clear();
    assert_eq!(world.polite().state(), HaveLocalOffer);
    world.polite().native.failures = vec![("apply remote offer", 0, Failure::SdpSyntax)];
    world.tell(
        POLITE,
        told(offer("nonsense", "2", "x").with_offer_id(number(1))),
    );
    world.run_for(ms(3));
    let states = [HaveLocalOffer, Stable];
    assert_eq!(world.polite().states()[..2], states);
    let failures = world.polite().failures();
    assert_eq!(failures.len(), 1);
    assert_eq!(
        failures[0].error,
        OperationError::Failed(Failure::SdpSyntax).into()
    );
    assert_eq!(failures[0].remedy, Remedy::None, "it is stable");
    // Its own change is needed still.
    world.run();
    world.assert_agreed();
    assert_eq!(world.polite().negotiations_needed(), 2);
    assert_eq!(world.polite().count("roll back local"), 1);
}

// req: R119 R120 N19
#[test]
fn a_rollback_that_fails_is_recorded_and_the_queue_goes_on() {
    let mut world = World::new();
    world.polite().native.failures = vec![
        ("create answer", 0, CAUSE),
        ("roll back remote", 0, Failure::Operation),
    ];
    world.polite().paused = true;
    world.tell(
        POLITE,
        told(offer("x1 1 x", "1", "x").with_offer_id(number(1))),
    );
    world.polite().paused = false;
    world.run();
    let failures = world.polite().failures();
    assert_eq!(failures.len(), 2);
    assert_eq!(
        (failures[1].phase, failures[1].remedy),
        (Phase::RollingBack, Remedy::None)
    );
    assert_eq!(
        failures[1].error,
        OperationError::Failed(Failure::Operation).into()
    );
    assert_eq!(world.polite().state(), HaveRemoteOffer);
    // The next offer takes its place, as if nothing had been.
    world.tell(
        POLITE,
        told(offer("x2 2 y", "2", "y").with_offer_id(number(2))),
    );
    world.run();
    assert_eq!(world.polite().state(), Stable);
    assert_eq!(world.polite().sent_of(SdpType::Answer).len(), 1);

    // The same with an own offer: the answer may come yet.
    let mut world = World::new();
    world.impolite().native.failures = vec![
        ("apply remote answer", 0, CAUSE),
        ("roll back local", 0, Failure::Operation),
    ];
    world.up[POLITE] = false;
    world.add_track(IMPOLITE, 1);
    world.run();
    let answer = Description::new(SdpType::Answer, "x1 1 x").with_offer_id(number(1));
    world.tell(IMPOLITE, told(answer.clone()));
    world.run();
    assert_eq!(world.impolite().failures().len(), 2);
    assert_eq!(world.impolite().state(), HaveLocalOffer);
    world.tell(IMPOLITE, told(answer));
    world.run();
    assert_eq!(world.impolite().state(), Stable);
}

// req: R116 R120
#[test]
fn a_task_that_fails_does_not_keep_the_next_from_its_turn() {
    let mut world = World::new();
    world.up[IMPOLITE] = false;
    world.polite().paused = true;
    world.polite().native.failures = vec![("apply remote offer", 1, CAUSE)];
    for (id, text) in [(1, "x1 1 x"), (2, "x2 2 y"), (3, "x3 3 z")] {
        let mut offer = offer(text, "1", &text[5..]);
        offer.offer_id = None;
        world.tell(POLITE, told(offer));
        world.tell_candidate(POLITE, &format!("c{id}"), "1", Some(&text[5..]));
    }
    world.polite().paused = false;
    world.run();
    assert_eq!(world.polite().state(), Stable);
    assert_eq!(world.polite().failures().len(), 1);
    let offers = world.polite().count("apply remote offer");
    assert_eq!(offers, 3, "each had its turn");
    let current = world
        .polite()
        .machine
        .signaling()
        .current_description(Side::Remote)
        .cloned();
    assert_eq!(current.unwrap().body, "x3 3 z");
    assert_eq!(
        world.polite().native.added,
        ["c1", "c3"],
        "the second offer never applied"
    );
}

// req: R115 R116
#[test]
fn there_is_one_offer_at_a_time_and_messages_are_taken_up_in_their_order() {
    let mut world = World::new();
    for track in 1..=20 {
        world.add_track(POLITE, track);
        world.add_track(IMPOLITE, 100 + track);
        world.run_for(ms(1));
        for party in &world.parties {
            let signaling = party.machine.signaling();
            let pending = Side::ALL.map(|side| signaling.pending_description(side).is_some());
            assert_ne!(pending, [true, true]);
        }
    }
    world.run();
    world.assert_agreed();
    world.assert_no_failure();
    for party in &world.parties {
        // Never a second offer before the first is answered, and nothing before what came before it.
        let mut open = 0;
        for entry in &party.native.log {
            match entry.as_str() {
                "create offer" => {
                    assert_eq!(open, 0);
                    open = 1;
                }
                "apply remote answer" | "roll back local" => open = 0,
                _ => {}
            }
        }
    }
}

// req: R120
#[test]
fn who_always_fails_stops_offering_until_asked_again() {
    let mut world = World::new();
    world.polite().native.failures = vec![("create offer", 0, CAUSE); 4];
    world.add_track(POLITE, 1);
    world.run();
    assert_eq!(world.polite().failures().len(), 3);
    assert_eq!(world.polite().reconnects, 1);
    assert_eq!(world.polite().state(), Stable);
    // The peer's offers are answered all the same.
    world.add_track(IMPOLITE, 2);
    world.run();
    // A round that went well is a new beginning: one more failure, and then it works.
    world.assert_agreed();
    assert_eq!(world.polite().failures().len(), 4);
    assert_eq!(world.polite().reconnects, 1);
    // And so is another need.
    let mut world = World::new();
    world.polite().native.failures = vec![("create offer", 0, CAUSE); 3];
    world.add_track(POLITE, 1);
    world.run();
    assert_eq!(world.polite().count("create offer"), 3);
    world.add_track(POLITE, 2);
    world.run();
    world.assert_agreed();
}

// req: R120 R121
#[test]
fn who_has_given_up_begins_anew_when_a_restart_is_wanted_and_not_for_what_is_settled() {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.run();
    world.polite().native.failures = vec![("create offer", 0, CAUSE); 3];
    world.add_track(POLITE, 2);
    world.run();
    assert_eq!(world.polite().offers(), 1);
    world.restart_ice(POLITE);
    world.run();
    world.assert_agreed();
    assert_eq!(
        world.polite().offers(),
        2,
        "with the change and the restart"
    );

    let mut world = World::new();
    world.polite().native.failures = vec![("create offer", 0, CAUSE); 3];
    world.add_track(POLITE, 2);
    world.run();
    let now = world.now();
    world.polite().native.tracks.clear();
    world.polite().machine.negotiation_satisfied(now);
    world.restart_ice(POLITE); // of nothing
    world.run();
    assert_eq!(world.polite().offers(), 0);
}

// req: R117 R120
#[test]
fn a_peer_whose_answers_never_work_is_given_up() {
    let mut world = World::new();
    world.polite().native.failures = vec![("apply remote answer", 0, CAUSE); 9];
    world.add_track(POLITE, 1);
    world.run();
    assert_eq!(world.polite().failures().len(), 3);
    assert_eq!(world.polite().reconnects, 1);
    assert_eq!(world.polite().state(), Stable);
    assert_eq!(world.polite().machine.phase(), Phase::Idle);
}

// req: R122
#[test]
fn a_failure_reads_as_one_line() {
    let mut world = World::new();
    world.polite().native.failures = vec![
        ("apply remote answer", 0, CAUSE),
        ("create offer", 1, CAUSE),
    ];
    world.add_track(POLITE, 1);
    world.run();
    let lines: Vec<_> = world
        .polite()
        .failures()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        lines,
        [
            "negotiation failed, rolling back: InvalidAccessError (setting-answer)",
            "negotiation failed, going on: InvalidAccessError (making-offer)",
        ]
    );
    assert_eq!(Remedy::Reconnect.to_string(), "giving up");
    assert_eq!(Remedy::Resend.to_string(), "sending again");
}

// req: R101 R111
#[test]
fn after_close_nothing_comes_out_whatever_comes_in() {
    let mut world = World::new();
    world.add_track(IMPOLITE, 9); // answered, so that there is something to repeat
    world.run();
    world.add_track(POLITE, 1);
    world.run_for(ms(5));
    world.tell(
        POLITE,
        told(offer("x1 1 x", "1", "x").with_offer_id(number(2))),
    );
    let now = world.now();
    let machine = &mut world.polite().machine;
    assert_ne!(machine.phase(), Phase::Idle);
    // Nobody has polled what comes of these.
    machine.handle_message(now, told(Description::rollback()));
    machine.signaling_up(now, Resumption::Lost);
    machine.close(now);
    assert_eq!((machine.poll_event(), machine.poll_action()), (None, None));
    assert_eq!(machine.poll_timeout(), None);
    assert_eq!(machine.signaling().state(), Closed);
    assert_eq!(machine.phase(), Phase::Closed);
    for kind in [
        SdpType::Offer,
        SdpType::Answer,
        SdpType::Pranswer,
        SdpType::Rollback,
    ] {
        let again = Description::new(kind, "again").with_offer_id(number(1));
        machine.handle_message(now, told(again));
        machine.handle_message(
            now,
            told(Description::new(kind, "late").with_offer_id(number(9))),
        );
        machine.handle_message(now, told(Description::new(kind, "late")));
    }
    machine.handle_message(now, Message::Candidate(candidate("late", "1", None)));
    machine.handle_local_candidate(now, candidate("late", "1", None));
    machine.negotiation_needed(now);
    machine.negotiation_satisfied(now);
    machine.restart_ice(now);
    machine.handle_connection_state(now, PeerConnectionState::Connected);
    machine.handle_gathering_state(now, floe::IceGatheringState::Complete);
    machine.signaling_down(now);
    machine.signaling_up(now, Resumption::Lost);
    machine.handle_timeout(now + ms(100_000));
    assert_eq!(machine.poll_timeout(), None);
    assert_eq!(machine.poll_action(), None);
    assert_eq!(machine.poll_event(), None);
    assert_eq!(machine.phase(), Phase::Closed);
    machine.close(now);
    assert_eq!((machine.poll_event(), machine.poll_action()), (None, None));
}

#[test]
fn a_rollback_is_not_a_message() {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    world.run();
    world.tell(POLITE, told(Description::rollback()));
    assert_eq!(
        world.polite().discarded()[0].reason,
        DiscardReason::Rollback
    );
    world.assert_agreed();
}

#[test]
fn so_many_messages_wait_and_no_more() {
    let mut config = Config::default();
    config.max_waiting = 16;
    let mut world = World::with(&config);
    world.polite().paused = true;
    world.up[IMPOLITE] = false;
    for _ in 0..20 {
        world.tell(POLITE, told(offer("x 1 x", "1", "x")));
    }
    for _ in 0..20 {
        world.tell_candidate(POLITE, "more", "1", Some("x"));
    }
    let discarded = world.polite().discarded();
    assert_eq!(discarded.len(), 3, "one is being applied");
    assert!(
        discarded
            .iter()
            .all(|one| one.reason == DiscardReason::TooMany)
    );
    assert_eq!(world.polite().machine.untold(), 20, "the candidates");
    world.polite().paused = false;
    world.run();
    assert_eq!(world.polite().state(), Stable);
    assert_eq!(world.polite().count("apply remote offer"), 17);
}

#[test]
fn results_that_nobody_waits_for_are_refused_and_change_nothing() {
    let mut world = World::new();
    world.polite().paused = true;
    world.add_track(POLITE, 1);
    let now = world.now();
    let mut machine = Negotiation::new(
        now,
        Role::Polite,
        Signaling::new(now, Arc::new(floe::signaling::Config::default())).unwrap(),
        Arc::new(Config::default()),
    )
    .unwrap();
    machine.negotiation_needed(now);
    machine.handle_timeout(now);
    let Some(Action::Signaling(action)) = machine.poll_action() else {
        panic!("an offer is to be made");
    };
    let answer = Arc::new(Description::new(SdpType::Answer, "wrong"));
    let wrong = floe::signaling::Completed::Created(answer);
    assert!(
        machine
            .complete(now, action.operation(), Ok(wrong))
            .is_err()
    );
    assert_eq!(machine.phase(), Phase::MakingOffer);
    let right = Arc::new(Description::new(SdpType::Offer, "right"));
    let right = floe::signaling::Completed::Created(right);
    machine
        .complete(now, action.operation(), Ok(right.clone()))
        .unwrap();
    assert!(
        machine
            .complete(now, action.operation(), Ok(right))
            .is_err()
    );
    let Some(Action::Signaling(floe::signaling::Action::Apply { description, .. })) =
        machine.poll_action()
    else {
        panic!("it is to be applied");
    };
    assert_eq!(description.offer_id, Some(number(1)));
}

// req: P36
#[test]
fn time_that_goes_back_stands_still() {
    let mut world = World::new();
    world.clock.advance(ms(60_000));
    world.add_track(POLITE, 1);
    world.run();
    let now = world.now();
    let stale = told(Description::new(SdpType::Answer, "stale"));
    world
        .polite()
        .machine
        .handle_message(now - ms(50_000), stale.clone());
    world.settle();
    assert_eq!(world.polite().discarded()[0].at, now);
    let times: Vec<_> = world
        .polite()
        .events
        .iter()
        .filter_map(|event| match event {
            Event::PhaseChange(change) => Some(change.at),
            _ => None,
        })
        .collect();
    assert!(times.is_sorted());
}

// req: N15
#[test]
fn a_rollback_leaves_what_was_agreed_on_before_and_nothing_else() {
    for who in [POLITE, IMPOLITE] {
        for side in Side::ALL {
            let mut world = World::new();
            world.add_track(POLITE, 1);
            world.run();
            let current = |world: &World, side| {
                let signaling = world.parties[who].machine.signaling();
                signaling.current_description(side).cloned()
            };
            let before = Side::ALL.map(|side| current(&world, side));
            let offerer = if side == Side::Local { who } else { 1 - who };
            let (step, rollback) = match side {
                Side::Local => ("apply remote answer", "roll back local"),
                Side::Remote => ("create answer", "roll back remote"),
            };
            world.parties[who].native.failures = vec![(step, 0, CAUSE)];
            world.add_track(offerer, 2);
            while world.parties[who].count(rollback) == 0 {
                world.run_for(ms(1));
                let sections = world.parties[who].native.sections.len();
                assert!((1..=2).contains(&sections));
            }
            assert_eq!(
                world.parties[who].native.sections.len(),
                2,
                "the offer has made one"
            );
            world.run_for(ms(1));
            assert_eq!(world.parties[who].state(), Stable);
            for (side, before) in Side::ALL.into_iter().zip(before) {
                assert_eq!(current(&world, side), before);
                let signaling = world.parties[who].machine.signaling();
                assert_eq!(signaling.pending_description(side), None);
            }
            assert_eq!(
                world.parties[who].native.sections,
                world.parties[who].agreed()
            );
        }
    }
}
