//! Another node takes a session over, at any moment.

use floe::{
    TransportStates, dtls, ice,
    recovery::State,
    session::{SavedSession, Session},
    signaling::{SignalingState, link::LinkState},
};
use proptest::prelude::*;

use crate::world::{MILLISECOND, SECOND, World};

/// The server is saved, sent as JSON, and goes on elsewhere with the transport it had; the channel is lost or comes along.
fn take_over(world: &mut World, states: TransportStates) {
    let now = world.now;
    let config = world.config.clone();
    let server = world.server();
    server.drive(now);
    let saved = serde_json::to_string(&server.session.save(now)).unwrap();
    let saved: SavedSession = serde_json::from_str(&saved).unwrap();
    server.session = Session::restore(now, saved, &config).unwrap();
    server.session.add_transport(now, server.transport, states);
}

fn connected() -> TransportStates {
    TransportStates {
        ice: ice::State::Connected,
        gathering: ice::GatheringState::New,
        dtls: dtls::State::Connected,
    }
}

#[test]
fn a_session_goes_on_where_it_was_and_ends_when_it_would_have() {
    let mut stays = World::connected();
    let mut moves = World::connected();
    for world in [&mut stays, &mut moves] {
        world.run_for(3 * SECOND);
    }
    take_over(&mut moves, connected());
    let server = &moves.server().session;
    assert_eq!(server.recovery().state(), State::Connected);
    assert_eq!(server.link().state(), LinkState::Up);
    let ends = [&mut stays, &mut moves].map(|world| {
        world.alive = false;
        let silent_since = world.now;
        while world.server().session.ended().is_none() {
            world.step();
        }
        let ended = world.server().session.ended().unwrap();
        (ended.close_reason, ended.at - silent_since)
    });
    assert_eq!(ends[0], ends[1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Glare, and the server is taken over in the middle of it, after any number of steps: nothing is lost.
    #[test]
    fn a_take_over_in_the_middle_of_glare_loses_nothing(steps in 0_usize..12, loses_channel: bool) {
        let mut world = World::connected();
        let now = world.now;
        world.client.session.negotiation_needed(now);
        world.server().session.negotiation_needed(now);
        for _ in 0..steps {
            world.step();
        }
        take_over(&mut world, connected());
        if loses_channel {
            world.break_channel();
        }
        world.run_for(20 * SECOND);
        world.run_for(10 * MILLISECOND);
        for session in [&world.client.session, &world.server.as_ref().unwrap().session] {
            prop_assert_eq!(session.negotiation().signaling().state(), SignalingState::Stable);
            prop_assert_eq!(session.ended(), None);
        }
        prop_assert!(!world.client.session.negotiation().signaling().is_negotiation_needed());
    }
}
