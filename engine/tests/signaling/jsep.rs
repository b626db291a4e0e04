//! Descriptions as stories: what is set when, what an error leaves, what a rollback brings back, and what is told of it.

use crate::party::{Party, as_kind, invalid_state, remote};
use floe::signaling::{
    Action, Attempt, Completed, Config, ConfigError, Description, Event, Failure,
    ForeignDescriptions, OperationError, Refused, RollbackThrough, SdpType, Side, SignalingState,
    Step,
};
use std::time::Duration;

// req: R29 R30 W44
#[test]
fn an_offer_of_ours_and_its_answer() {
    let mut party = Party::new();
    assert_eq!(party.signaling.state(), SignalingState::Stable);
    assert_eq!(party.slots(), [""; 4]);

    let offer = party.offer();
    party.sld(offer).unwrap();
    assert_eq!(party.states(), ["have-local-offer"]);
    assert_eq!(party.slots(), ["offer offer 1", "", "", ""]);

    party.srd(remote(SdpType::Answer, "theirs", "r1")).unwrap();
    assert_eq!(party.states(), ["have-local-offer", "stable"]);
    assert_eq!(party.slots(), ["", "", "offer offer 1", "answer theirs"]);
}

// req: R31 R32 W47 W49
#[test]
fn an_offer_of_theirs_and_its_answers() {
    let mut party = Party::new();
    party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
    let answer = party.answer();
    let provisional = as_kind(&answer, SdpType::Pranswer);
    party.sld(provisional.clone()).unwrap();
    assert_eq!(party.slots(), ["pranswer answer 1", "offer theirs", "", ""]);
    party.sld(provisional).unwrap(); // again: nothing is told
    assert_eq!(party.states(), ["have-remote-offer", "have-local-pranswer"]);
    party.sld(answer).unwrap();
    assert_eq!(
        party.states(),
        ["have-remote-offer", "have-local-pranswer", "stable"]
    );
    assert_eq!(party.slots(), ["", "", "answer answer 1", "offer theirs"]);

    let mut party = Party::new();
    party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
    let answer = party.answer();
    party.sld(answer).unwrap();
    assert_eq!(party.states(), ["have-remote-offer", "stable"]);
    assert_eq!(party.slots(), ["", "", "answer answer 1", "offer theirs"]);
}

// req: R33 W58
#[test]
fn provisional_answers_of_theirs() {
    let mut party = Party::new();
    let early = party.srd(remote(SdpType::Pranswer, "too early", "r1"));
    assert!(invalid_state(&early), "nothing was offered");
    party.sld_implied().unwrap();
    for text in ["first", "second"] {
        party.srd(remote(SdpType::Pranswer, text, "r1")).unwrap();
    }
    assert_eq!(party.slots()[1], "pranswer second");
    party.srd(remote(SdpType::Answer, "last", "r1")).unwrap();
    assert_eq!(
        party.states(),
        ["have-local-offer", "have-remote-pranswer", "stable"]
    );
    assert_eq!(party.slots(), ["", "", "offer offer 1", "answer last"]);
}

// req: W45
#[test]
fn an_offer_is_created_and_set_again() {
    let mut party = Party::new();
    let first = party.offer();
    party.sld(first).unwrap();
    let second = party.offer();
    party.sld(second).unwrap();
    assert_eq!(party.states(), ["have-local-offer"], "told once");
    assert_eq!(party.slots()[0], "offer offer 2");
}

// req: W50 W56
#[test]
fn an_offer_of_theirs_takes_the_place_of_the_one_before() {
    let mut party = Party::new();
    for text in ["first", "first", "second"] {
        party.srd(remote(SdpType::Offer, text, "r1")).unwrap();
    }
    assert_eq!(party.states(), ["have-remote-offer"], "told once");
    assert_eq!(party.slots(), ["", "offer second", "", ""]);
    party.sld_implied().unwrap();
    assert_eq!(party.slots()[2..], ["answer answer 1", "offer second"]);
}

// decision: D26
// req: W46
#[test]
fn a_local_description_is_the_one_created_last() {
    let mut party = Party::new();
    let offer = party.offer();
    let altered = |kind| Description::new(kind, "altered");
    let refused = Err(OperationError::InvalidModification {
        kind: SdpType::Offer,
    });
    assert_eq!(party.sld(altered(SdpType::Offer)), refused);
    let _ = party.offer();
    assert_eq!(party.sld(offer), refused, "it is not the last one");
    assert_eq!(party.states(), [""; 0]);
    party.sld_implied().unwrap();
    assert_eq!(party.slots()[0], "offer offer 2", "no third one was made");

    // The state is looked at first.
    let mut party = Party::new();
    assert!(invalid_state(&party.sld(altered(SdpType::Answer))));
    party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
    let answer = party.answer();
    assert_eq!(
        party.sld(altered(SdpType::Pranswer)),
        Err(OperationError::InvalidModification {
            kind: SdpType::Pranswer
        })
    );
    assert!(invalid_state(&party.sld(altered(SdpType::Offer))));
    party.srd(remote(SdpType::Offer, "another", "r1")).unwrap();
    assert!(party.sld(answer).is_err(), "it answered another offer");
}

#[test]
fn a_caller_may_write_its_own_descriptions() {
    let mut config = Config::default();
    config.foreign_descriptions = ForeignDescriptions::Accept;
    let mut party = Party::with(config);
    party
        .sld(remote(SdpType::Offer, "written here", "l1"))
        .unwrap();
    assert_eq!(party.slots()[0], "offer written here");
}

// req: W48 W57
#[test]
fn an_answer_needs_an_offer() {
    let answers = [
        remote(SdpType::Answer, "an answer", "x1"),
        remote(SdpType::Pranswer, "half an answer", "x1"),
    ];
    for answer in &answers {
        let mut party = Party::new();
        assert!(invalid_state(&party.sld(answer.clone())));
        assert!(invalid_state(&party.srd(answer.clone())));
        party.sld_implied().unwrap();
        assert!(invalid_state(&party.sld(answer.clone())), "ours to answer?");
        assert_eq!(party.states(), ["have-local-offer"]);

        let mut party = Party::new();
        party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
        assert!(
            invalid_state(&party.srd(answer.clone())),
            "theirs to answer?"
        );
        assert_eq!(party.states(), ["have-remote-offer"]);
        assert_eq!(party.slots(), ["", "offer theirs", "", ""]);
    }
}

// decision: D4
// req: W59 W60
#[test]
fn a_rollback_brings_back_what_was() {
    let mut party = Party::new();
    assert!(
        invalid_state(&party.sld(Description::rollback())),
        "nothing is pending"
    );
    assert!(invalid_state(&party.srd(Description::rollback())));
    party.sld_implied().unwrap();
    party.sld(Description::rollback()).unwrap();
    assert_eq!(party.states(), ["have-local-offer", "stable"]);
    assert_eq!(party.slots(), [""; 4]);
    assert!(matches!(
        party.asked.last(),
        Some(Action::Rollback {
            side: Side::Local,
            ..
        })
    ));

    party.exchange("r1");
    let agreed = party.slots();
    party.srd(remote(SdpType::Offer, "more", "r1")).unwrap();
    party
        .srd(Description::new(
            SdpType::Rollback,
            "this text means nothing",
        ))
        .unwrap();
    assert_eq!(party.slots(), agreed);
    assert!(matches!(
        party.asked.last(),
        Some(Action::Rollback {
            side: Side::Remote,
            ..
        })
    ));
    assert!(
        invalid_state(&party.sld(Description::rollback())),
        "what is agreed on stays"
    );
}

// decision: D4
// req: W61
#[test]
fn only_the_owner_rolls_back_unless_it_is_configured() {
    let mut party = Party::new();
    party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
    assert!(invalid_state(&party.sld(Description::rollback())));
    assert_eq!(party.states(), ["have-remote-offer"]);
    let mut party = Party::new();
    party.sld_implied().unwrap();
    assert!(invalid_state(&party.srd(Description::rollback())));

    let mut config = Config::default();
    config.rollback = RollbackThrough::Either;
    let mut party = Party::with(config);
    party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
    party.sld(Description::rollback()).unwrap();
    party.sld_implied().unwrap();
    party.srd(Description::rollback()).unwrap();
    let rolled_back: Vec<_> = party
        .asked
        .iter()
        .filter_map(|action| match action {
            Action::Rollback { side, .. } => Some(*side),
            _ => None,
        })
        .collect();
    assert_eq!(
        rolled_back,
        [Side::Remote, Side::Local],
        "whose offer it was, not who asked"
    );
    let steps: Vec<_> = party.transitions().map(|change| change.step).collect();
    assert_eq!(
        steps,
        [
            Step::Set(Side::Remote, SdpType::Offer),
            Step::Set(Side::Local, SdpType::Rollback),
            Step::Set(Side::Local, SdpType::Offer),
            Step::Set(Side::Remote, SdpType::Rollback),
        ]
    );
}

// decision: D5
#[test]
fn a_provisional_answer_is_not_rolled_back() {
    let mut config = Config::default();
    config.rollback = RollbackThrough::Either;
    let mut party = Party::with(config);
    party.sld_implied().unwrap();
    party.srd(remote(SdpType::Pranswer, "half", "r1")).unwrap();
    assert!(invalid_state(&party.sld(Description::rollback())));
    assert!(invalid_state(&party.srd(Description::rollback())));
    let offer = party.srd(remote(SdpType::Offer, "glare", "r2"));
    assert!(
        invalid_state(&offer),
        "nor does it give way to another offer"
    );
    assert_eq!(party.signaling.state(), SignalingState::HaveRemotePranswer);
}

// req: W51 W52 E13
#[test]
fn an_offer_of_theirs_makes_ours_give_way_in_two_visible_steps() {
    let mut party = Party::new();
    party.sld_implied().unwrap();
    let (now, offer) = (party.now, remote(SdpType::Offer, "theirs", "r1"));
    let operation = party.signaling.set_remote_description(now, offer).unwrap();

    assert!(party.act(), "first our own is rolled back");
    assert!(matches!(
        party.asked.last(),
        Some(Action::Rollback {
            side: Side::Local,
            ..
        })
    ));
    assert_eq!(party.states(), ["have-local-offer", "stable"]);
    assert_eq!(party.slots(), [""; 4]);
    assert_eq!(party.outcome(operation), None, "there is more to it");

    assert!(party.act(), "then theirs is applied");
    assert_eq!(
        party.states(),
        ["have-local-offer", "stable", "have-remote-offer"]
    );
    assert_eq!(party.slots(), ["", "offer theirs", "", ""]);
    assert_eq!(party.outcome(operation), Some(Ok(())));
    let steps: Vec<_> = party.transitions().map(|change| change.step).collect();
    assert_eq!(
        steps[1..],
        [
            Step::Set(Side::Local, SdpType::Rollback),
            Step::Set(Side::Remote, SdpType::Offer)
        ]
    );
}

// req: W55
#[test]
fn an_offer_that_cannot_be_applied_does_not_undo_the_rollback() {
    let mut party = Party::new();
    party.refuses.push(("nonsense", Failure::SdpSyntax));
    party.sld_implied().unwrap();
    let outcome = party.srd(remote(SdpType::Offer, "nonsense", "r1"));
    assert_eq!(outcome, Err(OperationError::Failed(Failure::SdpSyntax)));
    assert_eq!(party.states(), ["have-local-offer", "stable"]);
    assert_eq!(party.slots(), [""; 4]);
}

// req: W63
#[test]
fn an_offer_outlives_an_exchange_that_was_rolled_back() {
    let mut party = Party::new();
    let offer = party.offer();
    party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
    party.srd(Description::rollback()).unwrap();
    party.sld(offer.clone()).unwrap();
    assert_eq!(
        party.states(),
        ["have-remote-offer", "stable", "have-local-offer"]
    );

    let mut party = Party::new();
    let offer = party.offer();
    party.sld(offer.clone()).unwrap();
    party.sld(Description::rollback()).unwrap();
    party.sld(offer.clone()).unwrap();
    assert_eq!(
        party.states(),
        ["have-local-offer", "stable", "have-local-offer"]
    );
    // An answer ends what was created before it.
    party.srd(remote(SdpType::Answer, "theirs", "r1")).unwrap();
    let again = party.sld(offer);
    assert!(
        matches!(again, Err(OperationError::InvalidModification { .. })),
        "{again:?}"
    );
}

// req: E10 E11 E12
#[test]
fn nothing_changes_before_it_is_done_and_then_everything_at_once() {
    let mut party = Party::new();
    party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
    let answer = party.answer();
    party.told.clear();
    let now = party.now;
    let operation = party.signaling.set_local_description(now, answer).unwrap();
    let action = party.signaling.poll_action().expect("it is to be applied");
    assert_eq!(party.signaling.state(), SignalingState::HaveRemoteOffer);
    assert_eq!(party.slots(), ["", "offer theirs", "", ""]);
    assert_eq!(party.signaling.poll_event(), None);

    party.wait(Duration::from_millis(7));
    let now = party.now;
    party
        .signaling
        .complete(now, action.operation(), Ok(Completed::Done))
        .unwrap();
    // All five are set before anybody is told of anything.
    assert_eq!(party.signaling.state(), SignalingState::Stable);
    assert_eq!(party.slots(), ["", "", "answer answer 1", "offer theirs"]);
    party.listen();
    let [Event::SignalingStateChange(change), Event::Done(done)] = &party.told[..] else {
        panic!("the change first, then the end: {:?}", party.told);
    };
    assert_eq!(*done, operation);
    assert_eq!(change.from, SignalingState::HaveRemoteOffer);
    assert_eq!(change.to, SignalingState::Stable);
    assert_eq!(change.step, Step::Set(Side::Local, SdpType::Answer));
    assert_eq!(change.at, now);
}

// req: W66
#[test]
fn set_local_description_without_an_argument() {
    let mut party = Party::new();
    party.sld_implied().unwrap();
    assert_eq!(party.signaling.state(), SignalingState::HaveLocalOffer);
    assert!(matches!(
        party.asked[..],
        [Action::CreateOffer { .. }, Action::Apply { .. }]
    ));

    let mut party = Party::new();
    party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
    party.sld_implied().unwrap();
    assert_eq!(party.signaling.state(), SignalingState::Stable);

    let mut party = Party::new();
    party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
    let answer = party.answer();
    party.sld(as_kind(&answer, SdpType::Pranswer)).unwrap();
    party.sld_implied().unwrap();
    assert_eq!(party.signaling.state(), SignalingState::Stable);
    assert_eq!(
        party.slots()[2],
        "answer answer 1",
        "the one that was created"
    );

    let mut party = Party::new();
    party.sld_implied().unwrap();
    party.srd(remote(SdpType::Pranswer, "half", "r1")).unwrap();
    let refused = party.sld_implied();
    assert_eq!(
        refused,
        Err(OperationError::InvalidState {
            state: SignalingState::HaveRemotePranswer,
            attempt: Attempt::Set(Side::Local, SdpType::Offer)
        })
    );
    assert_eq!(party.signaling.state(), SignalingState::HaveRemotePranswer);

    party.signaling.close(party.now);
    assert_eq!(
        party.signaling.set_implied_description(party.now),
        Err(Refused::Closed)
    );
}

#[test]
fn an_offer_that_no_longer_fits_is_made_anew() {
    let mut party = Party::new();
    let _ = party.offer();
    party.signaling.negotiation_wanted(party.now);
    party.sld_implied().unwrap();
    assert_eq!(party.slots()[0], "offer offer 2", "something has changed");

    let mut party = Party::new();
    party.sld_implied().unwrap();
    party.sld(Description::rollback()).unwrap();
    party.sld_implied().unwrap();
    assert_eq!(
        party.slots()[0],
        "offer offer 2",
        "what the first one made is gone"
    );

    let mut party = Party::new();
    party.exchange("r1");
    let _ = party.offer();
    party.signaling.restart_ice(party.now);
    party.sld_implied().unwrap();
    assert_eq!(party.slots()[0], "offer offer 3", "it had old credentials");
    let pending = party.signaling.pending_description(Side::Local).unwrap();
    assert_eq!(pending.ufrags().collect::<Vec<_>>(), ["local2"]);
}

#[test]
fn create_offer_and_create_answer_have_their_states() {
    use SignalingState::{
        HaveLocalOffer, HaveLocalPranswer, HaveRemoteOffer, HaveRemotePranswer, Stable,
    };
    for state in SignalingState::ALL {
        assert_eq!(
            state.may_create_offer(),
            [Stable, HaveLocalOffer].contains(&state)
        );
        assert_eq!(
            state.may_create_answer(),
            [HaveRemoteOffer, HaveLocalPranswer].contains(&state)
        );
    }
    let mut party = Party::new();
    party.signaling.create_answer(party.now).unwrap();
    party.settle();
    let refused = |event: &Event, attempt: Attempt| match event {
        Event::Failed(_, OperationError::InvalidState { attempt: tried, .. }) => *tried == attempt,
        _ => false,
    };
    assert!(refused(party.told.last().unwrap(), Attempt::CreateAnswer));
    party.sld_implied().unwrap();
    party.srd(remote(SdpType::Pranswer, "half", "r1")).unwrap();
    assert_eq!(party.signaling.state(), HaveRemotePranswer);
    party
        .signaling
        .create_offer(party.now, Default::default())
        .unwrap();
    party.settle();
    assert!(refused(party.told.last().unwrap(), Attempt::CreateOffer));
    assert!(
        party
            .asked
            .iter()
            .all(|action| !matches!(action, Action::CreateAnswer { .. }))
    );
}

// req: W67 R34
#[test]
fn closing_is_not_told_and_ends_everything() {
    let mut party = Party::new();
    party.signaling.negotiation_wanted(party.now);
    let now = party.now;
    party.sld_implied().unwrap();
    party.told.clear();
    let first = party
        .signaling
        .set_remote_description(now, remote(SdpType::Offer, "theirs", "r1"))
        .unwrap();
    let second = party
        .signaling
        .set_remote_description(now, Description::rollback())
        .unwrap();
    let action = party.signaling.poll_action().expect("one is under way");
    party.signaling.close(now);
    assert_eq!(party.signaling.state(), SignalingState::Closed);
    assert_eq!(party.slots(), [""; 4]);
    let late = party.complete(action.operation(), Ok(Completed::Done));
    assert!(late.is_err());
    party.signaling.handle_timeout(now + Duration::from_secs(9));
    party.signaling.restart_ice(now);
    party.signaling.negotiation_wanted(now);
    party.signaling.negotiation_satisfied(now);
    party
        .signaling
        .ignore(now, &remote(SdpType::Offer, "x", "x"));
    party
        .signaling
        .handle_local_candidate(now, Default::default());
    let refused = Err(Refused::Closed);
    assert_eq!(
        party.signaling.create_offer(now, Default::default()),
        refused
    );
    assert_eq!(party.signaling.create_answer(now), refused);
    assert_eq!(
        party.signaling.add_candidate(now, Default::default()),
        refused
    );
    assert_eq!(
        party
            .signaling
            .set_remote_description(now, Description::rollback()),
        refused
    );
    party.signaling.close(now);
    party.settle();
    assert!(party.told.is_empty(), "{:?}", party.told);
    assert_eq!((party.outcome(first), party.outcome(second)), (None, None));
    assert_eq!(party.signaling.poll_action(), None);
    assert_eq!(party.signaling.poll_timeout(), None);
}

// req: W67
#[test]
fn closing_forgets_that_there_was_something_to_say() {
    let mut party = Party::new();
    party.signaling.negotiation_wanted(party.now);
    assert!(party.signaling.poll_timeout().is_some());
    party.signaling.close(party.now);
    assert_eq!(party.signaling.poll_timeout(), None);
    party.settle();
    assert!(party.told.is_empty());
}

// req: W67
#[test]
fn the_state_is_looked_at_before_the_text() {
    let mut party = Party::new();
    party.refuses.push(("nonsense", Failure::SdpSyntax));
    let outcome = party.srd(remote(SdpType::Answer, "nonsense", "r1"));
    assert!(
        invalid_state(&outcome),
        "an answer in stable, whatever it says"
    );
    let outcome = party.srd(remote(SdpType::Offer, "nonsense", "r1"));
    assert_eq!(outcome, Err(OperationError::Failed(Failure::SdpSyntax)));
    assert_eq!(
        (party.states().len(), party.slots()),
        (0, [""; 4].map(String::from))
    );
}

#[test]
fn a_result_of_another_kind_is_not_taken() {
    let mut party = Party::new();
    let now = party.now;
    let id = party
        .signaling
        .create_offer(now, Default::default())
        .unwrap();
    let answer = Completed::Created(remote(SdpType::Answer, "an answer", "l1").into());
    assert!(party.complete(id, Ok(Completed::Done)).is_err());
    assert!(party.complete(id, Ok(answer)).is_err());
    let next = party.signaling.create_answer(now).unwrap();
    let theirs = Completed::Created(remote(SdpType::Offer, "an offer", "l1").into());
    assert!(
        party.complete(next, Ok(theirs)).is_err(),
        "its turn has not come"
    );
    assert!(party.act(), "it still waits for an offer");
    assert!(
        party.complete(id, Ok(Completed::Done)).is_err(),
        "it has ended"
    );
    assert_eq!(party.outcome(id), Some(Ok(())));

    let id = party
        .signaling
        .set_remote_description(now, remote(SdpType::Offer, "theirs", "r1"))
        .unwrap();
    let offer = Completed::Created(remote(SdpType::Offer, "an offer", "l1").into());
    assert!(
        party.complete(id, Ok(offer)).is_err(),
        "nothing was to be made"
    );
    assert!(party.act());
    assert_eq!(party.outcome(id), Some(Ok(())));
}

#[test]
fn what_a_description_says_is_not_printed() {
    let mut party = Party::new();
    party
        .srd(remote(SdpType::Offer, "a=ice-pwd:secret", "r1"))
        .unwrap();
    let now = party.now;
    let next = remote(SdpType::Offer, "a=ice-pwd:secret too", "r2");
    party.signaling.set_remote_description(now, next).unwrap();
    let action = party.signaling.poll_action();
    let printed = format!("{:?} {action:?}", party.signaling);
    assert!(printed.contains("20 bytes"), "{printed}");
    assert!(!printed.contains("secret"), "{printed}");
}

#[test]
fn a_configuration_has_ranges() {
    let validated = |alter: fn(&mut Config, usize), value| {
        let mut config = Config::default();
        alter(&mut config, value);
        floe::signaling::Signaling::new(sim::Clock::epoch(), config.into())
            .map(drop)
            .err()
    };
    let operations: fn(&mut Config, usize) = |config, value| config.max_operations = value;
    let held: fn(&mut Config, usize) = |config, value| config.max_held_candidates = value;
    for wrong in [0, 65_536] {
        assert_eq!(
            validated(operations, wrong),
            Some(ConfigError::MaxOperations)
        );
        assert_eq!(validated(held, wrong), Some(ConfigError::MaxHeldCandidates));
    }
    for right in [1, 65_535] {
        assert_eq!(validated(operations, right), None);
        assert_eq!(validated(held, right), None);
    }
}

#[test]
fn an_idle_connection_is_small_and_has_no_heap_of_its_own() {
    assert!(size_of::<floe::signaling::Signaling>() <= 88);
    let mut party = Party::new();
    party.srd(remote(SdpType::Offer, "theirs", "r1")).unwrap();
    party.sld_implied().unwrap();
    let mut party = party;
    party.settle();
    // What the two agreed on is theirs; dropping the machine frees nothing else.
    let Party { signaling, .. } = party;
    let kept = [Side::Local, Side::Remote].map(|side| signaling.current_description(side).cloned());
    let config = signaling.config().clone();
    let freed = allocation_counter::measure(|| {
        drop(signaling);
    });
    assert_eq!(freed.count_current, 0, "{freed:?}");
    drop((kept, config));
}
