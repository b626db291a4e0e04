//! What an endpoint with many connected transports does per datagram, and the aggregates above it.
//!
//! The floor is one lookup of a 5-tuple in the standard library's hash map with as many entries.

use std::{collections::HashMap, hint::black_box, sync::Arc, time::Instant};

use floe::{
    DropReason, Endpoint, Event, Outcome, PeerConnection, Received, TransportId, TransportStates,
};
use floe_benches::call::{self, Leg, address, carry, endpoint, epoch};
use floe_benches::{Subject, side_by_side};
use floe_dtls::{self as dtls, Identity};
use floe_ice::{self as ice, FiveTuple, Reason, State, Transition};

const TRANSPORTS: u16 = 256;

fn main() {
    let call = Call::connect();
    let tuples: HashMap<FiveTuple, TransportId> = call
        .legs
        .iter()
        .map(|leg| (FiveTuple::udp(leg.server_at, leg.client_at), leg.server))
        .collect();
    let now = call.now;
    let known = FiveTuple::udp(call.legs[7].server_at, call.legs[7].client_at);
    let unknown = FiveTuple {
        remote: address(99, 9),
        ..known
    };
    let server = std::cell::RefCell::new(call.server);
    let (mut media, mut stranger) = ([0x80; 1200], [0x80; 1200]);
    let check = call.check;
    let mut unknown_check = check.clone();
    unknown_check[24..28].copy_from_slice(b"zzzz");
    let mut datagram = [0; 256];
    let mut peer = Aggregates::new(now, call.legs.iter().take(3).map(|leg| leg.server));

    side_by_side(
        "Endpoint with 256 connected transports",
        vec![
            Subject::new("HashMap lookup of a 5-tuple", || {
                tuples.get(black_box(&known)).copied()
            }),
            Subject::new("media datagram routed", || {
                let mut server = server.borrow_mut();
                let outcome = server.handle_datagram(now, black_box(known), &mut media);
                assert!(matches!(
                    outcome,
                    Outcome::Routed {
                        received: Received::Media(_),
                        ..
                    }
                ));
            }),
            Subject::new("media from an unknown 5-tuple dropped", || {
                let mut server = server.borrow_mut();
                let outcome = server.handle_datagram(now, black_box(unknown), &mut stranger);
                assert!(matches!(outcome, Outcome::Dropped(_)));
            }),
            Subject::new("check for an unknown username fragment", || {
                let mut server = server.borrow_mut();
                let bytes = &mut datagram[..unknown_check.len()];
                bytes.copy_from_slice(&unknown_check);
                seal_fingerprint(bytes);
                let outcome = server.handle_datagram(now, black_box(unknown), bytes);
                assert!(matches!(
                    outcome,
                    Outcome::UnknownUfrag { .. } | Outcome::Dropped(DropReason::UnknownUfrag)
                ));
            }),
            Subject::new("aggregates of three transports updated", || {
                peer.update(now)
            }),
        ],
    );
}

/// Two endpoints whose transports are all connected.
struct Call {
    now: Instant,
    client: Endpoint,
    server: Endpoint,
    legs: Vec<Leg>,
    /// One of the client's connectivity checks.
    check: Vec<u8>,
}

impl Call {
    fn connect() -> Self {
        let identity = Arc::new(Identity::generate().expect("a key and its certificate"));
        let mut call = Self {
            now: epoch(),
            client: endpoint(1, dtls::Config::new(identity.clone())),
            server: endpoint(2, dtls::Config::new(identity.clone())),
            legs: Vec::new(),
            check: Vec::new(),
        };
        for number in 0..TRANSPORTS {
            let leg = call::open(
                call.now,
                number,
                &mut call.client,
                &mut call.server,
                &identity,
            );
            call.legs.push(leg);
        }
        while !call.is_connected() {
            call.exchange();
            let deadlines = [call.client.poll_timeout(), call.server.poll_timeout()];
            call.now = deadlines
                .into_iter()
                .flatten()
                .min()
                .expect("something is due");
            call.client.handle_timeout(call.now);
            call.server.handle_timeout(call.now);
        }
        call
    }

    fn is_connected(&self) -> bool {
        self.legs.iter().all(|leg| {
            call::is_connected(&self.client, leg.client)
                && call::is_connected(&self.server, leg.server)
        })
    }

    fn exchange(&mut self) {
        for _ in 0..4 {
            let check = &mut self.check;
            carry(self.now, &mut self.client, &mut self.server, |datagram| {
                if check.is_empty() && floe_stun::is_stun(datagram) {
                    *check = datagram.to_vec();
                }
            });
            carry(self.now, &mut self.server, &mut self.client, |_| {});
        }
    }
}

/// A connection whose first transport goes to and fro.
struct Aggregates {
    peer: PeerConnection,
    first: TransportId,
    state: State,
}

impl Aggregates {
    fn new(now: Instant, ids: impl Iterator<Item = TransportId>) -> Self {
        let ids: Vec<_> = ids.collect();
        let mut peer = PeerConnection::new();
        for id in &ids {
            let states = TransportStates {
                ice: State::Connected,
                gathering: ice::GatheringState::Complete,
                dtls: dtls::State::Connected,
            };
            peer.add_transport(now, *id, states);
        }
        while peer.poll_event().is_some() {}
        Self {
            peer,
            first: ids[0],
            state: State::Connected,
        }
    }

    fn update(&mut self, now: Instant) -> usize {
        let (to, reason) = match self.state {
            State::Connected => (State::Disconnected, Reason::ConsentChecksMissed),
            _ => (State::Connected, Reason::Recovered),
        };
        let transition = Transition {
            from: self.state,
            to,
            reason,
            at: now,
            coalesced: false,
        };
        self.state = to;
        self.peer
            .handle_transport_event(now, self.first, &Event::IceStateChange(transition));
        std::iter::from_fn(|| self.peer.poll_event()).count()
    }
}

fn seal_fingerprint(bytes: &mut [u8]) {
    let (covered, value) = bytes.split_at_mut(bytes.len() - 4);
    let crc = crc32fast::hash(&covered[..covered.len() - 4]) ^ 0x5354_554E;
    value.copy_from_slice(&crc.to_be_bytes());
}
