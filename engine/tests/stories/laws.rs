//! What holds at every step: nothing is allocated in steady state, the same seed tells the same story, secrets stay secret.

use crate::{
    crafted,
    support::{self, FULL_ACTIVE, FULL_ACTPASS, Host},
};
use floe::{
    Outcome, Received, TransportId,
    ice::{FiveTuple, Transmit},
    stun::{Class, IntegrityKey, Message, Method, Writer},
};
use sim::Pair;
use std::time::Duration;

/// A connected world after some minutes: everything that is allocated once has been.
fn settled(seed: u64) -> (Pair<Host, Host>, (TransportId, TransportId)) {
    let (mut pair, ids) = support::connected(seed, FULL_ACTPASS, FULL_ACTIVE);
    pair.run_for(Duration::from_secs(120));
    (pair, ids)
}

/// How `b` sees `a`.
fn path() -> FiveTuple {
    FiveTuple::udp(sim::address(2), sim::address(1))
}

// req: I50 I53
#[test]
fn a_request_is_routed_and_answered_without_allocating() {
    let (mut pair, (_, b)) = settled(91);
    let credentials = pair.b.transport(b).local_parameters().clone();
    let peer = pair
        .a
        .endpoint
        .transports()
        .next()
        .unwrap()
        .1
        .local_parameters()
        .username_fragment()
        .to_owned();
    let mut requests: Vec<_> = (0..1000)
        .map(|number| crafted::request(&credentials, &peer, number))
        .collect();
    let (now, mut buf) = (pair.now(), [0; 1500]);
    let endpoint = &mut pair.b.endpoint;
    let mut answers = 0;
    let info = allocation_counter::measure(|| {
        for request in &mut requests {
            let outcome = endpoint.handle_datagram(now, path(), request);
            assert_eq!(
                outcome,
                Outcome::Routed {
                    transport: b,
                    received: Received::Handled
                }
            );
            let answer = endpoint.poll_transmit(&mut buf).expect("an answer");
            let message = Message::parse(&buf[..answer.len]).expect("STUN");
            answers += usize::from(message.class() == Class::SuccessResponse);
            assert_eq!(endpoint.poll_event(), None);
        }
    });
    assert_eq!((info.count_total, answers), (0, 1000));
}

// req: I50 I20
#[test]
fn consent_is_asked_for_and_given_without_allocating() {
    let (mut pair, (_, b)) = settled(92);
    let peer = pair
        .a
        .endpoint
        .transports()
        .next()
        .unwrap()
        .1
        .local_parameters()
        .clone();
    let key = IntegrityKey::short_term(peer.password().as_bytes());
    let endpoint = &mut pair.b.endpoint;
    let (mut buf, mut answer) = ([0; 1500], [0; 200]);
    let mut checks = 0;
    let info = allocation_counter::measure(|| {
        for _ in 0..100 {
            let now = endpoint.poll_timeout().expect("consent is due some time");
            endpoint.handle_timeout(now);
            while let Some(Transmit { path, len }) = endpoint.poll_transmit(&mut buf) {
                let request = Message::parse(&buf[..len]).expect("STUN");
                let len = Writer::success(&mut answer, Method::BINDING, request.transaction_id())
                    .xor_mapped_address(path.local)
                    .integrity(&key)
                    .fingerprint()
                    .expect("it fits");
                let outcome = endpoint.handle_datagram(now, path, &mut answer[..len]);
                assert_eq!(
                    outcome,
                    Outcome::Routed {
                        transport: b,
                        received: Received::Handled
                    }
                );
                checks += 1;
            }
            assert_eq!(endpoint.poll_event(), None);
        }
    });
    assert_eq!(info.count_total, 0);
    assert!(checks >= 95, "{checks} checks");
}

// req: T34 T51 I53
#[test]
fn records_are_sealed_routed_and_opened_without_allocating() {
    let (mut pair, (a, b)) = settled(93);
    let (now, mut wire) = (pair.now(), [0; 1500]);
    let (sender, receiver) = (&mut pair.a.endpoint, &mut pair.b.endpoint);
    let mut opened = 0;
    let info = allocation_counter::measure(|| {
        for number in 0..1000u32 {
            let text = number.to_be_bytes();
            let sealed = sender.with(now, a, |transport| transport.seal(now, &text, &mut wire));
            let Transmit { len, .. } = sealed.expect("it exists").expect("it is connected");
            match receiver.handle_datagram(now, path(), &mut wire[..len]) {
                Outcome::Routed {
                    transport,
                    received: Received::Data { range, rest },
                } => {
                    assert_eq!(transport, b);
                    assert!(rest.is_empty());
                    opened += u32::from(wire[range] == text);
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(receiver.poll_transmit(&mut wire), None);
            assert_eq!(receiver.poll_event(), None);
        }
    });
    assert_eq!((info.count_total, opened), (0, 1000));
}

// req: I53
#[test]
fn media_is_routed_without_allocating() {
    let (mut pair, (_, b)) = settled(94);
    let (now, mut packet) = (pair.now(), [0x80; 1200]);
    let endpoint = &mut pair.b.endpoint;
    let mut routed = 0;
    let info = allocation_counter::measure(|| {
        for _ in 0..1000 {
            let outcome = endpoint.handle_datagram(now, path(), &mut packet);
            let media = Received::Media(floe::MediaKind::Rtp);
            routed += usize::from(
                outcome
                    == Outcome::Routed {
                        transport: b,
                        received: media,
                    },
            );
        }
    });
    assert_eq!((info.count_total, routed), (0, 1000));
}

// req: I63
#[test]
fn nothing_printed_holds_a_secret() {
    let (pair, (a, b)) = support::connected(95, FULL_ACTPASS, FULL_ACTIVE);
    for (host, id, seed) in [(&pair.a, a, 1u8), (&pair.b, b, 2)] {
        let transport = host.transport(id);
        let keys = transport.srtp_keys().unwrap();
        let mut peer = floe::PeerConnection::new();
        peer.add_transport(pair.now(), id, floe::TransportStates::from(transport));
        let printed = [
            format!("{:?}", host.endpoint),
            format!("{transport:?}"),
            format!("{:?}", transport.ice()),
            format!("{:?}", transport.dtls()),
            format!("{:?}", transport.local_parameters()),
            format!("{keys:?}"),
            format!("{:?}", host.events),
            format!("{:?} {}", peer.explain(), peer.explain()),
        ]
        .join("\n");
        let raw = |bytes: &[u8]| format!("{bytes:?}").trim_matches(['[', ']']).to_owned();
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        assert!(!printed.contains(transport.local_parameters().password()));
        let both = [floe::dtls::Side::Client, floe::dtls::Side::Server];
        for secret in both
            .iter()
            .flat_map(|side| [keys.key(*side), keys.salt(*side)])
            .chain([&[seed; 32][..]])
        {
            assert!(
                !printed.contains(&raw(secret)) && !printed.to_lowercase().contains(&hex(secret))
            );
        }
    }
}

// req: I62
#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed, hosts: (u8, u8)| {
        let (a, b) = ([sim::address(1)], [sim::address(2)]);
        let mut pair = Pair::new(
            seed,
            (Host::new(hosts.0, &a), &a),
            (Host::new(hosts.1, &b), &b),
        );
        pair.network.set_links(sim::Link {
            corruption: 0.0,
            ..sim::Link::hostile()
        });
        let start = pair.now();
        let wire = pair.network.wiretap();
        let ids = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
        pair.drive_until(|a_host, b_host| {
            let well = |host: &Host, id| {
                matches!(
                    host.ice(id),
                    floe::ice::State::Connected | floe::ice::State::Completed
                )
            };
            well(a_host, ids.0) && well(b_host, ids.1)
        });
        let stun = wire
            .seen()
            .into_iter()
            .filter(|(_, datagram)| datagram.bytes[0] < 4);
        stun.map(|(at, datagram)| (at - start, datagram))
            .collect::<Vec<_>>()
    };
    let told = story(96, (1, 2));
    assert!(told.len() > 4);
    assert_eq!(told, story(96, (1, 2)));
    assert_ne!(told, story(96, (5, 6)), "another seed, another story");
}
