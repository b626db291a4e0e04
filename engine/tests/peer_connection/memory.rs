//! What a connection takes of a server's memory, and that it asks for none while nothing new happens.

use crate::leg::{Story, both_are, call};
use PeerConnectionState::{Connected, Disconnected};
use allocation_counter::measure;
use floe::{
    Event, IceConnectionState, PeerConnection, PeerConnectionState, TransportId, TransportStates,
};
use std::time::{Duration, Instant};

/// Bytes of a connection with one transport that is connected: its own, and those on the heap.
const MOST: i64 = 160;

/// Feeds as a server does: an event of a transport, then what is told of it.
fn feed(peer: &mut PeerConnection, now: Instant, events: &[(TransportId, Event)]) -> usize {
    let mut told = 0;
    for (id, event) in events {
        peer.handle_transport_event(now, *id, event);
        told += std::iter::from_fn(|| peer.poll_event()).count();
    }
    told
}

#[test]
fn a_connection_with_one_transport_takes_at_most_160_bytes() -> Story {
    let (mut call, leg) = call(30);
    call.drive_until(both_are(Connected));
    call.drive();
    let now = call.now();
    let (mut peer, mut told) = (PeerConnection::new(), 0);
    let heap = measure(|| {
        peer.add_transport(now, leg.a, TransportStates::default());
        told = feed(&mut peer, now, &call.a.transports);
    });
    assert!(told > 10 && peer.connection_state() == Connected);
    assert_eq!(peer.ice_connection_state(), IceConnectionState::Completed);
    let all = size_of::<PeerConnection>() as i64 + heap.bytes_current;
    assert!(
        all <= MOST,
        "{all} bytes, {} on the heap",
        heap.bytes_current
    );

    // All at once, and nobody polls for a while: the room for that is given back.
    let mut peer = PeerConnection::new();
    let heap = measure(|| {
        peer.add_transport(now, leg.a, TransportStates::default());
        for (id, event) in &call.a.transports {
            peer.handle_transport_event(now, *id, event);
        }
        let polled = std::iter::from_fn(|| peer.poll_event()).count();
        assert_eq!(polled, told);
    });
    assert!(size_of::<PeerConnection>() as i64 + heap.bytes_current <= MOST);
    Ok(())
}

// Law 5: what a server does all day with a thousand connections. Consent, paths learned and released, and a path that is lost
// and found: none of it asks for memory.
#[test]
fn a_steady_connection_allocates_nothing() -> Story {
    let (mut call, leg) = call(31);
    call.drive_until(both_are(Connected));
    call.drive();
    let connected = call.a.transports.len();
    for _ in 0..3 {
        call.run_for(Duration::from_secs(60));
        call.network.cut();
        call.drive_until(both_are(Disconnected));
        call.network.heal();
        call.drive_until(both_are(Connected));
    }
    let (before, after) = call.a.transports.split_at(connected);
    let now = call.now();
    let mut peer = PeerConnection::new();
    peer.add_transport(now, leg.a, TransportStates::default());
    feed(&mut peer, now, before);
    let mut told = 0;
    let allocated = measure(|| {
        told = feed(&mut peer, now, after);
        assert!(peer.connection_state() == Connected);
    });
    assert!(
        told >= 18,
        "{told}: three times down and up, each in three words"
    );
    assert_eq!(allocated.count_total, 0);
    Ok(())
}
