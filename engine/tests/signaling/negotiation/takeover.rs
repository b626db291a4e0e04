//! Negotiations that go on elsewhere, and what they take while they rest.

use super::{
    glare::{number, offer, told},
    model::{follow, whims},
    world::*,
};
use floe::{
    IceGatheringState, PeerConnectionState,
    signaling::{
        Description, Failure, SdpType, Side,
        SignalingState::Stable,
        negotiation::{Config, Event, Message, Negotiation, Resumption},
    },
};
use proptest::prelude::*;
use std::{sync::Arc, time::Instant};

#[test]
fn who_is_taken_over_goes_on_as_if_nothing_had_been() {
    proptest!(ProptestConfig::with_cases(30), |(seed: u64, whims in whims(), failing in 0..40_usize, every in 1..5_u64)| {
        let mut worlds = [0, 1].map(|_| World::random(seed, ms(20), ms(5)));
        for world in &mut worlds {
            world.polite().native.failures = vec![("apply remote answer", failing, Failure::Operation)];
            for party in &mut world.parties {
                party.machine.handle_connection_state(sim::Clock::epoch(), PeerConnectionState::Connected);
            }
        }
        for (who, whim, pause) in whims {
            for (copied, world) in worlds.iter_mut().enumerate() {
                follow(world, who, whim);
                for step in 0..=pause {
                    if copied == 1 && step % every == 0 {
                        world.take_over(POLITE);
                        world.take_over(IMPOLITE);
                    }
                    world.run_for(ms(1));
                }
            }
        }
        for (copied, world) in worlds.iter_mut().enumerate() {
            for _ in 0..20 {
                if copied == 1 {
                    world.take_over(POLITE);
                    world.take_over(IMPOLITE);
                }
                world.run_for(ms(1000));
            }
        }
        let [one, other] = &worlds;
        for (one, other) in one.parties.iter().zip(&other.parties) {
            prop_assert_eq!(&one.native.log, &other.native.log);
            prop_assert_eq!(&one.events, &other.events);
            prop_assert_eq!(&one.sent, &other.sent);
            prop_assert_eq!(one.reconnects, other.reconnects);
        }
    });
}

fn restored(machine: &Negotiation, now: Instant) -> Negotiation {
    let saved = serde_json::to_string(&machine.save(now)).unwrap_or_default();
    let saved = serde_json::from_str(&saved).expect("it was written so");
    Negotiation::restore(now, saved, Arc::default(), Arc::default()).expect("it was saved so")
}

#[test]
fn what_was_not_polled_is_taken_over_too() {
    let mut world = World::new();
    world.add_track(IMPOLITE, 1);
    world.run();
    let now = world.now();
    let theirs = world.polite().ufrag(Side::Remote);
    let machine = &mut world.polite().machine;
    let candidate = |mid| Message::Candidate(candidate("c", mid, theirs.as_deref()));
    machine.handle_message(now, candidate("9"));
    machine.handle_message(now, told(Description::new(SdpType::Answer, "stale")));
    machine.handle_message(
        now,
        told(offer("again", "1", "i1").with_offer_id(number(1))),
    );
    machine.handle_message(now, told(offer("next", "1", "i2").with_offer_id(number(2))));
    machine.handle_message(
        now,
        told(offer("and next", "1", "i3").with_offer_id(number(3))),
    );
    machine.handle_message(now, candidate("1"));
    machine.negotiation_needed(now);
    machine.handle_connection_state(now, PeerConnectionState::Connected);
    machine.handle_gathering_state(now, IceGatheringState::Gathering);
    machine.signaling_down(now);
    machine.signaling_up(now, Resumption::Lost);
    let mut copy = restored(machine, now);
    assert_eq!(copy.phase(), machine.phase());
    assert_eq!(copy.role(), machine.role());
    assert_eq!(copy.poll_timeout(), machine.poll_timeout());
    let (mut events, mut actions) = (0, 0);
    while let Some(event) = machine.poll_event() {
        assert_eq!(copy.poll_event(), Some(event));
        events += 1;
    }
    while let Some(action) = machine.poll_action() {
        assert_eq!(copy.poll_action(), Some(action));
        actions += 1;
    }
    assert_eq!((copy.poll_event(), copy.poll_action()), (None, None));
    assert_eq!(
        (events, actions),
        (4, 3),
        "three discarded or failed, a phase; two answers, an operation"
    );
}

#[test]
fn what_was_told_keeps_its_age() {
    let mut world = World::new();
    world.clock.advance(ms(60_000));
    world.polite().paused = true;
    world.add_track(POLITE, 1);
    let now = world.now();
    let party = world.polite();
    party
        .machine
        .handle_message(now, told(offer("x1 2 x", "2", "x")));
    let Some((operation, _)) = party.under_way() else {
        panic!("an offer is being made");
    };
    let failure = Err(Failure::Operation);
    assert_eq!(party.machine.complete(now, operation, failure), Ok(()));
    party
        .machine
        .handle_message(now, told(Description::rollback()));
    let later = now + ms(500);
    let mut copy = restored(&party.machine, later);
    let times = std::iter::from_fn(|| copy.poll_event()).filter_map(|event| match event {
        Event::PhaseChange(change) => Some(change.at),
        Event::Discarded(discarded) => Some(discarded.at),
        Event::Failed(failed) => Some(failed.at),
        _ => None,
    });
    let times: Vec<_> = times.collect();
    assert_eq!(times, [now; 3]);
}

#[test]
fn what_contradicts_itself_is_not_taken_up() {
    let mut world = World::new();
    world.add_track(POLITE, 1);
    let now = world.now();
    let restore = |machine: &Negotiation, field: &str, value: serde_json::Value| {
        let mut saved = serde_json::to_value(machine.save(now)).unwrap_or_default();
        saved[field] = value;
        let saved = serde_json::from_value(saved).expect("only a value has changed");
        Negotiation::restore(now, saved, Arc::default(), Arc::new(Config::default())).is_ok()
    };
    let machine = &world.parties[POLITE].machine;
    assert!(
        restore(machine, "attempts", 0.into()),
        "an offer is being made"
    );
    assert!(!restore(machine, "operation", serde_json::Value::Null));
    for phase in [
        "idle",
        "holding-offer",
        "awaiting-answer",
        "owing-answer",
        "closed",
    ] {
        assert!(!restore(machine, "phase", phase.into()), "{phase}");
    }
    world.run();
    let machine = &world.parties[POLITE].machine;
    assert!(restore(machine, "attempts", 0.into()), "idle");
    for phase in [
        "making-offer",
        "holding-offer",
        "awaiting-answer",
        "owing-answer",
        "closed",
    ] {
        assert!(!restore(machine, "phase", phase.into()), "{phase}");
    }
    let mut config = Config::default();
    config.max_attempts = 0;
    let saved = machine.save(now);
    assert!(Negotiation::restore(now, saved, Arc::default(), Arc::new(config)).is_err());
}

#[test]
fn at_rest_it_takes_128_bytes_and_no_heap_but_its_descriptions() {
    assert!(
        size_of::<Negotiation>() <= 128,
        "{}",
        size_of::<Negotiation>()
    );
    let mut world = World::new();
    for track in 1..=4 {
        world.add_track(POLITE, track);
        world.add_track(IMPOLITE, 100 + track);
        world.run();
    }
    world.assert_agreed();
    let now = world.now();
    let machine = &mut world.polite().machine;
    assert_eq!(machine.signaling().state(), Stable);
    // What comes in again and again while nothing is negotiated.
    let counted = allocation_counter::measure(|| {
        for _ in 0..100 {
            machine.handle_connection_state(now, PeerConnectionState::Connected);
            machine.handle_gathering_state(now, IceGatheringState::Complete);
            machine.signaling_down(now);
            machine.signaling_up(now, Resumption::Kept);
            machine.handle_timeout(now);
            assert_eq!(machine.poll_timeout(), None);
            assert_eq!(machine.poll_action(), None);
            assert_eq!(machine.poll_event(), None);
        }
    });
    assert_eq!(counted.count_total, 0);
    // Nothing of a round stays behind but its descriptions: a copy of it needs no heap for anything else.
    let saved = serde_json::to_value(machine.save(now)).expect("it is plain data");
    for queue in ["inbox", "actions", "events", "candidates"] {
        assert_eq!(saved[queue], serde_json::json!([]), "{queue}");
    }
    for nothing in [
        "operation",
        "ignored",
        "created",
        "time_left",
        "patience_left",
    ] {
        assert_eq!(saved[nothing], serde_json::Value::Null, "{nothing}");
    }
}
