//! What a session takes: little at rest, and nothing while nothing changes.

use allocation_counter::measure;
use floe::{
    ice,
    recovery::State,
    session::{Config, Session},
    signaling::{Side, link::SessionId},
};

use crate::world::{MILLISECOND, SECOND, World};

/// Bytes of a session above its transports, at rest: its own and those on the heap, but for the descriptions.
const MOST: usize = 512;

#[test]
fn a_session_at_rest_is_small() {
    // Shared by all the sessions of a machine.
    let config = Config::default();
    let mut world = World::connected_as(&config);
    assert_eq!(world.client.session.recovery().state(), State::Connected);
    let id = SessionId::from_bytes([9; 16]);
    let another = Session::dial(world.now, id, &config).unwrap();
    let session = std::mem::replace(&mut world.client.session, another);
    // The caller's own.
    let kept: Vec<_> = [Side::Local, Side::Remote]
        .map(|side| {
            session
                .negotiation()
                .signaling()
                .current_description(side)
                .cloned()
        })
        .into();
    assert!(kept.iter().all(Option::is_some));
    let freed = measure(|| drop(session));
    let heap = usize::try_from(-freed.bytes_current).unwrap();
    let size = size_of::<Session>() + heap;
    assert!(size <= MOST, "{size} bytes, {heap} of them on the heap");
}

#[test]
fn a_steady_session_allocates_nothing() {
    let mut world = World::connected();
    let (now, transport) = (world.now, world.client.transport);
    let again = floe::Event::IceStateChange(ice::Transition::new(
        ice::State::Checking,
        ice::State::Connected,
        ice::Reason::PairSucceeded,
        now,
    ));
    let session = &mut world.client.session;
    let counted = measure(|| {
        for second in 1..60 {
            let now = now + second * SECOND;
            session.handle_keep_alive(now, 10 * MILLISECOND);
            session.handle_transport_event(now, transport, &again);
            session.handle_timeout(now);
            assert!(session.poll_action().is_none() && session.poll_event().is_none());
        }
    });
    assert_eq!(counted.count_total, 0);
}
