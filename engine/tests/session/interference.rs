//! Whatever happens to the channel, media and its recovery go their way as if it had not.

use crate::world::{Party, SECOND, World};
use floe::{
    ice::{Reason, State},
    recovery::{self, Cause, Trigger},
    session::{Escalation, Event},
};
use sim::Random;
use std::time::Duration;

/// Something happens to the path, so long after the beginning.
type Turn = (Duration, State, Reason);

/// Blips, flaps, losses that a restart mends, and failures if they are among the `kinds`: one after the other, each mended within
/// the connect timeout.
fn media(chance: &mut Random, kinds: usize) -> Vec<Turn> {
    let mut at = Duration::ZERO;
    let mut script = Vec::new();
    let mut then = |chance: &mut Random, from: u64, to: u64, state, reason| {
        let millis = Duration::from_millis(from);
        at += millis + chance.up_to(Duration::from_millis(to - from));
        script.push((at, state, reason));
    };
    for _ in 0..6 {
        then(
            chance,
            500,
            4000,
            State::Disconnected,
            Reason::ConsentChecksMissed,
        );
        match chance.below(kinds) {
            0 => then(chance, 100, 2400, State::Connected, Reason::Recovered),
            1 => then(chance, 2600, 7000, State::Connected, Reason::Recovered),
            2 => {
                then(chance, 8000, 11_000, State::Checking, Reason::Restarted);
                then(chance, 50, 3000, State::Connected, Reason::PairSucceeded);
            }
            _ => {
                then(chance, 100, 6000, State::Failed, Reason::ConsentExpired);
                then(chance, 500, 5000, State::Checking, Reason::Restarted);
                then(chance, 50, 3000, State::Connected, Reason::PairSucceeded);
            }
        }
    }
    script
}

/// When the channel breaks, and when another can be opened.
fn outages(chance: &mut Random) -> Vec<(Duration, bool)> {
    let mut at = Duration::ZERO;
    let mut script = Vec::new();
    for _ in 0..6 {
        at += chance.up_to(8 * SECOND);
        script.push((at, false));
        at += chance.up_to(12 * SECOND);
        script.push((at, true));
    }
    script
}

fn live(media: &[Turn], outages: &[(Duration, bool)]) -> World {
    let mut world = World::connected();
    let start = world.now;
    let (mut media, mut outages) = (media.iter().peekable(), outages.iter().peekable());
    while media.peek().is_some() || world.now < start + 120 * SECOND {
        world.step();
        let (now, elapsed) = (world.now, world.now - start);
        if let Some((_, reachable)) = outages.next_if(|(at, _)| *at <= elapsed) {
            world.reachable = *reachable;
            match reachable {
                true => world.client.session.reconnect(now),
                false => world.break_channel(),
            }
        }
        if let Some((_, state, reason)) = media.next_if(|(at, ..)| *at <= elapsed) {
            world.client.ice(now, *state, *reason);
            world.server().ice(now, *state, *reason);
        }
    }
    world
}

/// Every change of the recovery, with its time, and how often it gave up.
fn recovery(start: std::time::Instant, party: &Party) -> (Vec<String>, usize) {
    let transitions = party.events.iter().filter_map(|event| match event {
        Event::Recovery(recovery::Event::Transition(change)) => {
            let at = (change.at - start).as_millis();
            Some(format!("{at} {change}"))
        }
        _ => None,
    });
    let escalations = party.escalations.iter();
    let of_media = escalations.filter(|what| **what == Escalation::Media);
    (transitions.collect(), of_media.count())
}

fn restart_causes(party: &Party) -> Vec<Cause> {
    let causes = party.events.iter().filter_map(|event| match event {
        Event::Recovery(recovery::Event::Transition(change))
            if change.trigger == Trigger::IceRestart =>
        {
            Some(change.cause)
        }
        _ => None,
    });
    causes.collect()
}

// req: R146 R148 R150 P27
#[test]
fn a_channel_that_comes_and_goes_leaves_no_trace_in_the_recovery() {
    let (mut restarts, mut breaks) = (0, 0);
    for seed in 0..12 {
        let mut chance = Random::new(seed);
        let (media, outages) = (media(&mut chance, 4), outages(&mut chance));
        let calm = live(&media, &[]);
        let stormy = live(&media, &outages);
        let told = |world: &World| recovery(world.start, &world.client);
        assert_eq!(told(&stormy), told(&calm), "seed {seed}");
        let causes = restart_causes(&stormy.client);
        assert!(
            causes
                .iter()
                .all(|cause| matches!(cause, Cause::WindowPassed | Cause::NativeFailed)),
            "seed {seed}: {causes:?}"
        );
        restarts += causes.len();
        let links = |world: &World| {
            let links = world.client.events.iter();
            links
                .filter(|event| matches!(event, Event::Link(_)))
                .count()
        };
        breaks += links(&stormy) - links(&calm);
    }
    assert!(
        restarts > 20 && breaks > 100,
        "{restarts} restarts, {breaks} changes of the channel"
    );
}

// req: R147 P28
#[test]
fn a_path_that_is_lost_fails_and_is_mended_leaves_no_trace_in_the_channel_s_states() {
    for seed in 0..6 {
        let mut chance = Random::new(seed);
        let (media, outages) = (media(&mut chance, 4), outages(&mut chance));
        let channel = |world: &World| -> Vec<String> {
            let states = world.client.events.iter().filter_map(|event| match event {
                Event::Link(floe::signaling::link::Event::StateChange(change)) => {
                    Some(format!("{} → {}: {}", change.from, change.to, change.cause))
                }
                _ => None,
            });
            states.collect()
        };
        assert_eq!(
            channel(&live(&media, &[])),
            channel(&live(&[], &[])),
            "seed {seed}"
        );
        // With both, each has its own records.
        let both = live(&media, &outages);
        assert!(!channel(&both).is_empty());
        assert!(!recovery(both.start, &both.client).0.is_empty());
    }
}
