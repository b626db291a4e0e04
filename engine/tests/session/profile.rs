//! Whose state machine the transports of a session follow.

use floe::{
    IceConnectionState, Profile, ice,
    session::{Config, Session},
};

use crate::world::World;

// req: R44
#[test]
fn a_session_follows_the_profile_of_its_configuration_on_every_node() {
    for (profile, shown) in [
        (Profile::W3c, IceConnectionState::Connected),
        (Profile::Article, IceConnectionState::Checking),
    ] {
        let mut config = Config::default();
        config.profile = profile;
        let mut world = World::connected_as(&config);
        let (now, client) = (world.now, &mut world.client);
        client.ice(now, ice::State::Completed, ice::Reason::CandidatesComplete);
        let began = floe::Event::RestartBegan;
        client
            .session
            .handle_transport_event(now, client.transport, &began);
        client.ice(now, ice::State::Connected, ice::Reason::Restarted);
        let peer = client.session.peer();
        assert_eq!((peer.ice_connection_state(), peer.anomalies()), (shown, 0));

        let saved = client.session.save(now);
        let restored = Session::restore(now, saved, &config).unwrap();
        assert_eq!(restored.peer().profile(), profile);
    }
}
