//! How a session ends, and what each side is told.

use floe::{
    PeerConnectionState,
    close::{CloseReason, DisconnectReason, LeaveAction},
    liveness::Reconnect,
    session::{Config, Event, NotBegun, Session},
    signaling::{SignalingState, link::LinkState},
};

use crate::world::{MILLISECOND, Party, SECOND, World};

fn ended(party: &Party) -> Vec<(DisconnectReason, Option<CloseReason>)> {
    let ends = party.events.iter().filter_map(|event| match event {
        Event::Ended(ended) => Some((ended.disconnect_reason, ended.close_reason)),
        _ => None,
    });
    ends.collect()
}

/// Nothing was told after the end.
fn is_last(party: &Party) -> bool {
    matches!(party.events.last(), Some(Event::Ended(_)))
}

/// A client that does nothing about a lost path.
fn resigned() -> Config {
    let mut config = Config::default();
    config.liveness.reconnect = Reconnect::Never;
    config
}

/// Nothing comes over the media path for so long.
fn silence(world: &mut World, seconds: u32) {
    world.alive = false;
    world.run_for(seconds * SECOND);
}

// req: R3 R8 R15
#[test]
fn a_server_that_hears_nothing_for_twenty_seconds_closes_though_signaling_is_up() {
    let mut world = World::connected_as(&resigned());
    let now = world.now;
    world.server().session.handle_keep_alive(now, MILLISECOND);
    silence(&mut world, 19);
    // Offers that restart nothing prove nothing.
    let late = world.now;
    world.server().session.negotiation_needed(late);
    world.client.session.negotiation_needed(late);
    assert_eq!(world.server().session.ended(), None);
    silence(&mut world, 2);
    let server = ended(world.server());
    assert_eq!(
        server,
        [(
            DisconnectReason::ConnectionTimeout,
            Some(CloseReason::PeerConnectionDisconnected)
        )]
    );
    assert_eq!(world.server().closed_transports, 1);
    // The client is told in public words only.
    assert_eq!(
        ended(&world.client),
        [(DisconnectReason::ConnectionTimeout, None)]
    );
    assert_eq!(world.client.closed_transports, 1);
    assert_eq!(world.server().closed_channels, 1);
    assert!(is_last(world.server()) && is_last(&world.client));
}

// req: R7
#[test]
fn a_reconnect_that_comes_in_time_gives_the_path_a_whole_timeout_again() {
    let mut world = World::connected();
    silence(&mut world, 14);
    assert_eq!(world.client.restart_offers, 0);
    // The client has heard nothing for 15 s, and its offer comes; nothing comes over the path yet.
    silence(&mut world, 20);
    assert_eq!(world.client.restart_offers, 1);
    assert_eq!(world.server().session.ended(), None);
    silence(&mut world, 2);
    let reason = world.server().session.ended().unwrap().close_reason;
    assert_eq!(reason, Some(CloseReason::PeerConnectionDisconnected));
}

// req: R4 R5 R7
#[test]
fn a_client_notices_first_and_its_resume_keeps_the_session() {
    let mut world = World::connected();
    let now = world.now;
    world.server().session.handle_keep_alive(now, MILLISECOND);
    world.client.session.handle_keep_alive(now, MILLISECOND);
    silence(&mut world, 14);
    assert_eq!(world.client.restart_offers, 0);
    silence(&mut world, 2);
    assert_eq!(world.client.restart_offers, 1, "asked for by silence");
    // The new path works.
    let now = world.now;
    world.server().session.handle_keep_alive(now, MILLISECOND);
    world.client.session.handle_keep_alive(now, MILLISECOND);
    silence(&mut world, 10);
    assert_eq!(world.server().session.ended(), None);
    assert_eq!(world.client.session.ended(), None);
}

// req: R18
#[test]
fn a_client_that_leaves_ends_the_session_at_once() {
    let mut world = World::connected();
    let now = world.now;
    world
        .client
        .session
        .close(now, CloseReason::ClientRequestLeave);
    world.run_for(20 * MILLISECOND);
    let reason = (
        DisconnectReason::ClientInitiated,
        Some(CloseReason::ClientRequestLeave),
    );
    assert_eq!(ended(world.server()), [reason]);
    assert_eq!(ended(&world.client), [reason]);
    assert_eq!(
        world.server().session.poll_timeout(),
        None,
        "every deadline is cancelled"
    );
    for party in [&world.client, world.server.as_ref().unwrap()] {
        assert!(is_last(party));
        assert_eq!(party.closed_channels, 1);
    }
}

// req: R10 R21 R111
#[test]
fn the_first_reason_wins_and_nothing_comes_out_after_the_end() {
    let mut world = World::connected();
    let now = world.now;
    world
        .server()
        .session
        .close(now, CloseReason::ServiceRequestDeleteRoom);
    world
        .server()
        .session
        .close(now, CloseReason::DuplicateIdentity);
    world.server().drive(now);
    let room = (
        DisconnectReason::RoomDeleted,
        Some(CloseReason::ServiceRequestDeleteRoom),
    );
    assert_eq!(ended(world.server()), [room]);
    assert!(matches!(
        world.server().events.last(),
        Some(Event::Ended(_))
    ));
    let session = &world.server().session;
    assert_eq!(
        session.peer().connection_state(),
        PeerConnectionState::Closed
    );
    assert_eq!(
        session.negotiation().signaling().state(),
        SignalingState::Closed
    );
    assert_eq!(session.link().state(), LinkState::Closed);

    let told = world.server().events.len();
    world.server().connect(now);
    world.server().session.restart_ice(now);
    world.server().session.resume(now);
    world.run_for(60 * SECOND);
    assert_eq!(world.server().events.len(), told);
    assert_eq!(world.server().closed_transports, 1);
}

// req: R20 R22
#[test]
fn who_resumes_a_session_that_is_over_is_told_to_begin_anew() {
    let mut world = World::connected();
    world.reachable = false;
    world.break_channel();
    let now = world.now;
    world.server().session.close(now, CloseReason::RoomClosed);
    world.run_for(SECOND);
    assert_eq!(world.client.session.ended(), None, "nobody could tell it");
    world.reachable = true;
    world.run_for(16 * SECOND);
    let told = world.client.session.ended().unwrap();
    assert_eq!(told.disconnect_reason, DisconnectReason::StateMismatch);
    assert_eq!(told.advice, LeaveAction::Reconnect);
}

// req: R22
#[test]
fn a_resume_of_a_session_that_nobody_knows_begins_none() {
    let mut world = World::connected();
    world.break_channel();
    while world.client.session.poll_transmit().is_none() {
        let now = world.now;
        world.now = now + 10 * MILLISECOND;
        world.client.session.handle_timeout(world.now);
        world.client.drive(world.now);
        if std::mem::take(&mut world.client.wants_channel) {
            world.client.session.channel_opened(world.now);
            let resume = world.client.session.poll_transmit().unwrap();
            let refused = Session::accept(world.now, resume, &world.config).unwrap_err();
            let NotBegun::Refused(refusal) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(
                world.client.session.handle_envelope(world.now, refusal),
                None
            );
            break;
        }
    }
    let told = world.client.session.ended().unwrap();
    assert_eq!(told.disconnect_reason, DisconnectReason::StateMismatch);
}

// req: R22
#[test]
fn a_channel_that_closes_before_media_ever_connected_ends_the_session() {
    let mut world = World::new();
    world.client.session.negotiation_needed(world.now);
    world.run_for(50 * MILLISECOND);
    world.reachable = false;
    world.break_channel();
    world.run_for(10 * MILLISECOND);
    let reason = (
        DisconnectReason::SignalClose,
        Some(CloseReason::SignalSourceClose),
    );
    assert_eq!(ended(world.server()), [reason]);

    // Who comes back to it is refused, and nothing is told any more.
    world.reachable = true;
    world.run_for(16 * SECOND);
    let told = world.client.session.ended().unwrap();
    assert_eq!(told.disconnect_reason, DisconnectReason::StateMismatch);
    assert_eq!(told.advice, LeaveAction::Reconnect);
    assert!(is_last(world.server()) && is_last(&world.client));
}

// req: R111
#[test]
fn an_end_of_which_nothing_is_said_closes_the_channel_too() {
    let mut world = World::connected();
    let now = world.now;
    let reason = CloseReason::MigrationComplete;
    world.server().session.close(now, reason);
    world.run_for(SECOND);
    assert_eq!(world.server().session.link().state(), LinkState::Closed);
    assert_eq!(world.server().closed_channels, 1);
    assert_eq!(world.server().session.poll_timeout(), None);
}
