//! Signaling and media: what happens to the one does nothing to the other.

use floe::{
    ice,
    recovery::{self, State},
    session::Event,
    signaling::{SignalingState, link::LinkState},
};

use crate::world::{Party, SECOND, World};

fn recoveries(party: &Party) -> Vec<(State, State)> {
    let transitions = party.events.iter().filter_map(|event| match event {
        Event::Recovery(recovery::Event::Transition(change)) => Some((change.from, change.to)),
        _ => None,
    });
    transitions.collect()
}

fn link_changes(party: &Party) -> usize {
    let links = |event: &&Event| matches!(event, Event::Link(_));
    party.events.iter().filter(links).count()
}

// req: R9 R146
#[test]
fn a_channel_that_breaks_and_comes_back_moves_nothing_of_media() {
    let mut world = World::connected();
    let before = (recoveries(&world.client), recoveries(world.server()));
    world.reachable = false;
    world.break_channel();
    world.run_for(10 * SECOND);
    assert_ne!(world.client.session.link().state(), LinkState::Up);
    world.reachable = true;
    let now = world.now;
    world.client.session.reconnect(now);
    world.run_for(20 * SECOND);
    assert_eq!(world.client.session.link().state(), LinkState::Up);
    assert_eq!(
        (recoveries(&world.client), recoveries(world.server())),
        before
    );
    assert_eq!(world.client.restart_offers, 0);
    assert_eq!(world.server().session.ended(), None);
}

// req: R147 R175
#[test]
fn a_path_that_flaps_costs_one_restart_offer_and_leaves_the_channel_alone() {
    let mut world = World::connected();
    let links = link_changes(&world.client);
    let now = world.now;
    world.client.ice(
        now,
        ice::State::Disconnected,
        ice::Reason::ConsentChecksMissed,
    );
    world.run_for(7 * SECOND);
    assert_eq!(
        world.client.restart_offers, 0,
        "neither in the grace time nor in the window"
    );
    world.run_for(2 * SECOND);
    assert_eq!(world.client.restart_offers, 1);
    let now = world.now;
    world
        .client
        .ice(now, ice::State::Checking, ice::Reason::Restarted);
    world
        .client
        .ice(now, ice::State::Connected, ice::Reason::PairSucceeded);
    world.run_for(30 * SECOND);
    assert_eq!(world.client.restart_offers, 1);
    assert_eq!(world.client.session.recovery().state(), State::Connected);
    assert_eq!(link_changes(&world.client), links);
    assert_eq!(
        world.client.session.negotiation().signaling().state(),
        SignalingState::Stable
    );
}

// req: R124 R149
#[test]
fn with_both_down_the_restart_offer_waits_for_the_channel() {
    let mut world = World::connected();
    world.reachable = false;
    world.break_channel();
    let now = world.now;
    world.client.ice(
        now,
        ice::State::Disconnected,
        ice::Reason::ConsentChecksMissed,
    );
    // Longer than the connect timeout: it begins when the offer leaves.
    world.run_for(30 * SECOND);
    assert_eq!(world.client.restart_offers, 1);
    assert_eq!(world.client.session.recovery().state(), State::Connecting);
    let signaling = world.client.session.negotiation().signaling();
    assert_eq!(signaling.state(), SignalingState::HaveLocalOffer);

    world.reachable = true;
    let now = world.now;
    world.client.session.reconnect(now);
    world.run_for(SECOND);
    let signaling = world.client.session.negotiation().signaling();
    assert_eq!(
        signaling.state(),
        SignalingState::Stable,
        "the same offer was answered"
    );
    assert_eq!(world.client.restart_offers, 1);
    let heard = world.server().session.negotiation().signaling();
    let offer = heard.description(floe::signaling::Side::Remote).unwrap();
    assert_eq!(offer.ufrags().collect::<Vec<_>>(), ["client1"]);
}

// req: R148
#[test]
fn a_side_that_leaves_restarts_to_the_other_makes_none_and_takes_the_other_s() {
    let mut world = World::connected();
    let now = world.now;
    let lost = (ice::State::Disconnected, ice::Reason::ConsentChecksMissed);
    world.server().ice(now, lost.0, lost.1);
    world.client.ice(now, lost.0, lost.1);
    world.run_for(9 * SECOND);
    assert_eq!(world.client.restart_offers, 1);
    assert_eq!(world.server().restart_offers, 0);
    let edge = (State::Failed, State::Connecting);
    assert_eq!(
        recoveries(world.server()).last(),
        Some(&edge),
        "by the peer's offer"
    );
}
