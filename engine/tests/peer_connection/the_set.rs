//! More than one transport, none, or another generation of one; and closing.

use crate::leg::{Leg, Story, both_are, call, sides};
use crate::side::Side;
use PeerConnectionState::{Connected, Connecting, Disconnected, Failed};
use floe::{
    Cause, Change, Event, IceConnectionState, IceGatheringState, PeerConnectionState, PeerEvent,
};
use floe_dtls as dtls;
use floe_ice as ice;
use sim::address;
use std::time::Duration;

// req: R42 R54 E23 P14 W37
#[test]
fn closing_a_transport_is_final_and_the_peer_hears_of_it() -> Story {
    let (mut call, leg) = call(8);
    let wire = call.network.wiretap();
    call.drive_until(both_are(Connected));
    call.drive();
    let now = call.now();
    call.a.with(now, leg.a, |transport| transport.close(now));
    call.run_for(Duration::from_secs(1));
    assert_eq!(call.a.ice_states(leg.a).last(), Some(&ice::State::Closed));
    assert_eq!(call.a.dtls_states(leg.a).last(), Some(&dtls::State::Closed));
    assert_eq!(
        call.b.dtls_states(leg.b).last(),
        Some(&dtls::State::Closed),
        "by close_notify"
    );
    assert!(
        !call.b.is(PeerConnectionState::Closed),
        "a transport was closed, not the connection"
    );

    let before = (call.a.transports.len(), call.b.dtls_states(leg.b));
    for (_, datagram) in wire.seen() {
        call.inject(datagram);
    }
    call.run_for(Duration::from_secs(60));
    assert_eq!(
        (call.a.transports.len(), call.b.dtls_states(leg.b)),
        before,
        "nothing moves any more"
    );
    Ok(())
}

// req: R23 R25 R26 R35 R64 R65 R66 R67 W7
#[test]
fn a_second_transport_goes_its_own_way() -> Story {
    let (a, b) = ([address(1), address(3)], [address(2), address(4)]);
    let mut call = sides(11, &a, &b);
    let first = Leg::connect(&mut call, a[0], b[0])?;
    call.drive_until(both_are(Connected));
    call.drive();
    let before = call.a.told.len();
    let second = Leg::connect(&mut call, a[1], b[1])?;
    call.drive_until(both_are(Connected));
    assert_eq!(
        call.a.connection_states(),
        ["connecting", "connected", "connecting", "connected"]
    );
    let set: Vec<_> = call.a.told[before..]
        .iter()
        .filter_map(as_ice_connection)
        .collect();
    assert!(matches!(
        set[..],
        [
            Change {
                to: IceConnectionState::Checking,
                cause: Cause::TransportSetChanged,
                ..
            },
            ..
        ]
    ));

    call.drive();
    let healthy = call.a.ice_states(first.a);
    call.network.cut_address(a[1]);
    call.drive_until(both_are(Disconnected));
    let blamed = |side: &Side| {
        side.peer
            .explain()
            .culprits
            .iter()
            .map(|culprit| culprit.transport)
            .collect::<Vec<_>>()
    };
    assert_eq!(blamed(&call.a), [second.a]);
    call.drive_until(both_are(Failed));
    assert_eq!(
        (blamed(&call.a), blamed(&call.b)),
        (vec![second.a], vec![second.b])
    );
    assert_eq!(
        call.a.ice_states(first.a),
        healthy,
        "the first one noticed nothing"
    );
    Ok(())
}

fn as_ice_connection(event: &PeerEvent) -> Option<Change<IceConnectionState>> {
    match event {
        PeerEvent::IceConnectionStateChange(change) => Some(*change),
        _ => None,
    }
}

// req: R66 E22 W32
#[test]
fn a_transport_bundled_away_closes_with_an_event_and_without_a_trace_in_the_aggregates() -> Story {
    let (a, b) = ([address(1), address(3)], [address(2), address(4)]);
    let mut call = sides(12, &a, &b);
    Leg::connect(&mut call, a[0], b[0])?;
    let second = Leg::open(&mut call, a[1], b[1]);
    call.drive_until(|a, b| {
        [a, b].iter().all(|side| {
            side.peer
                .transports()
                .any(|(_, states)| states.dtls == dtls::State::Connected)
        })
    });
    assert!(call.a.is(Connecting), "the second never began");

    let now = call.now();
    assert!(
        call.a.peer.remove_transport(now, second.a) && call.b.peer.remove_transport(now, second.b)
    );
    call.step();
    assert!(call.a.is(Connected) && call.b.is(Connected));
    let before = call.a.connection_states();
    call.a.with(now, second.a, |transport| transport.close(now));
    call.run_for(Duration::from_secs(1));
    let closed = |event: &PeerEvent| matches!(event, PeerEvent::IceTransportStateChange(id, t) if *id == second.a && t.to == ice::State::Closed);
    assert!(call.a.told.iter().any(closed));
    assert_eq!(call.a.connection_states(), before);
    Ok(())
}

// req: E18 E19 E20 W2 W8 W9 W14 W29
#[test]
fn a_closed_connection_is_silent_while_its_transports_live_on() -> Story {
    let (mut call, leg) = call(13);
    call.drive_until(both_are(Connected));
    let now = call.now();
    call.a.peer.close(now);
    let told = call.a.told.len();
    call.a.with(now, leg.a, |transport| transport.close(now));
    call.run_for(Duration::from_secs(1));
    assert!(call.a.is(PeerConnectionState::Closed));
    assert_eq!(
        call.a.peer.ice_connection_state(),
        IceConnectionState::Closed
    );
    assert_eq!(
        call.a.peer.ice_gathering_state(),
        IceGatheringState::Complete
    );
    assert_eq!(
        call.a.told.len(),
        told,
        "the transport closed, and nobody said so"
    );
    assert_eq!(call.a.ice_states(leg.a).last(), Some(&ice::State::Closed));
    Ok(())
}

// An ICE restart is a new path for the same association: what is above it goes on.
// req: R77 R81 R83
#[test]
fn a_restart_leaves_the_connection_connected() -> Story {
    let (mut call, leg) = call(14);
    call.drive_until(both_are(Connected));
    call.drive();
    leg.restart(&mut call)?;
    call.drive_until(|a, b| {
        let confirmed = |side: &Side| {
            side.transports
                .iter()
                .any(|(_, event)| matches!(event, Event::RestartConfirmed))
        };
        confirmed(a) && confirmed(b)
    });
    call.run_for(Duration::from_secs(10));
    for (side, id) in [(&call.a, leg.a), (&call.b, leg.b)] {
        assert!(side.is(Connected));
        assert!(!side.connection_states().contains(&"failed".to_owned()));
        assert_eq!(side.dtls_states(id).last(), Some(&dtls::State::Connected));
        assert_eq!(side.dtls_states(id).len(), 3, "one association");
        assert_eq!(
            side.gathering_states(),
            ["gathering", "complete", "gathering", "complete"]
        );
    }
    Ok(())
}
