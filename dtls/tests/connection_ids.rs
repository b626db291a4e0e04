//! Connection ids: asked for, answered, and in every protected record from then on (RFC 9146, RFC 9147 §9).

mod common;

use common::ends::*;
use common::*;
use floe_dtls::{
    ApiMisuse, ConnectionId, Error, NamedGroup, PeerIncompatible, ProtocolVersion, State,
};
use sim::{Datagram, address};

const V13: ProtocolVersion = ProtocolVersion::DTLS1_3;

fn called(ends: &mut Ends, client: Option<&[u8]>, server: Option<&[u8]>) {
    ends.client.connection_id = client.and_then(ConnectionId::new);
    ends.server.connection_id = server.and_then(ConnectionId::new);
}

/// The name in a protected record that is `len` bytes long, if it has one.
fn name(datagram: &Datagram, len: usize) -> Option<&[u8]> {
    const TLS12_CID: u8 = 25;
    let bytes = &datagram.bytes;
    match bytes[0] {
        TLS12_CID => bytes.get(11..11 + len),
        first if first >> 5 == 1 && first & 0x10 != 0 => bytes.get(1..=len),
        _ => None,
    }
}

/// What is said after the handshake, from the client and from the server, bears these names.
fn assert_names(mut pair: Story, to_server: Option<&[u8]>, to_client: Option<&[u8]>) {
    let wire = pair.network.wiretap();
    assert_alive(&mut pair);
    let mut seen = [0, 0];
    for (_, datagram) in wire.seen() {
        let from_client = datagram.source == address(CLIENT);
        let expected = if from_client { to_server } else { to_client };
        let len = expected.map_or(0, <[u8]>::len);
        assert_eq!(name(&datagram, len), expected, "{:02x?}", datagram.bytes);
        seen[usize::from(!from_client)] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0);
}

// req: T35
#[test]
fn each_end_is_called_what_it_wants_in_both_versions() {
    for (client, server) in [(&b"client"[..], &b"s"[..]), (b"c", b""), (b"", b"server")] {
        for mut ends in Ends::of_each_version() {
            called(&mut ends, Some(client), Some(server));
            let pair = ends.connect(60);
            let worn = |name: &'static [u8]| (!name.is_empty()).then_some(name);
            assert_names(pair, worn(server), worn(client));
        }
    }
}

// req: T35
#[test]
fn nobody_has_a_name_unless_both_know_of_names() {
    for (client, server) in [(Some(&b"client"[..]), None), (None, Some(&b"server"[..]))] {
        for mut ends in Ends::of_each_version() {
            called(&mut ends, client, server);
            assert_names(ends.connect(61), None, None);
        }
    }
}

// req: T35
#[test]
fn names_outlive_a_hello_retry_request_and_a_lossy_handshake() {
    for seed in 0..20 {
        for mut ends in Ends::of_each_version() {
            called(&mut ends, Some(b"client"), Some(b"server"));
            if ends.server.min_version == V13 {
                ends.server.groups = vec![NamedGroup::SECP384R1];
            }
            let mut pair = ends.meet(seed);
            let mut link = slow_link();
            link.loss = 0.2;
            pair.network.set_links(link);
            connect(&mut pair);
            pair.network.set_links(slow_link());
            pair.run_for(std::time::Duration::from_secs(5));
            assert_names(pair, Some(b"server"), Some(b"client"));
        }
    }
}

/// The longest name, and the smallest MTU that leaves room beside it: the header, an explicit nonce, the type and the tag are 38
/// bytes at most.
const LONG: [u8; ConnectionId::MAX_LEN] = [b'n'; ConnectionId::MAX_LEN];
const ROOMY: usize = 38 + LONG.len() + ConnectionId::LEAST_ROOM;

/// Both MTUs of both ends; the fallback MTU is out of the way if it is none of the two.
fn limited(ends: &mut Ends, mtu: usize, fallback: usize) {
    for config in [&mut ends.client, &mut ends.server] {
        (config.mtu, config.fallback_mtu) = (mtu, fallback);
    }
}

// req: T35 T22
#[test]
fn a_client_whose_name_leaves_no_room_for_a_message_is_called_nothing() {
    for (mtu, fallback) in [(256, 548), (300, 300), (ROOMY - 1, 1200), (1200, ROOMY - 1)] {
        for retried in [false, true] {
            for mut ends in Ends::of_each_version() {
                called(&mut ends, Some(&LONG), Some(b"s"));
                limited(&mut ends, mtu, fallback);
                if retried && ends.server.min_version == V13 {
                    ends.server.groups = vec![NamedGroup::SECP384R1];
                }
                assert_names(ends.connect(62), None, None);
            }
        }
    }
    for mut ends in Ends::of_each_version() {
        called(&mut ends, Some(&LONG), Some(b"s"));
        limited(&mut ends, ROOMY, ROOMY);
        assert_names(ends.connect(62), Some(b"s"), Some(&LONG));
    }
}

// req: T35 T22
#[test]
fn a_server_whose_name_leaves_no_room_for_a_message_is_refused_at_once() {
    for (mtu, fallback) in [(256, 548), (300, 300), (ROOMY - 1, 1200), (1200, ROOMY - 1)] {
        for mut ends in Ends::of_each_version() {
            called(&mut ends, Some(b"c"), Some(&LONG));
            limited(&mut ends, mtu, fallback);
            let mut pair = ends.start(63);
            pair.drive_until(|client, _| client.dtls.state() == State::Failed);
            let refused = Error::from(PeerIncompatible::ConnectionIdTooLong);
            assert_eq!(pair.a.dtls.error(), Some(&refused));
            let (_, _, at) = *pair.a.life().last().unwrap();
            assert!(at < std::time::Duration::from_millis(400), "{at:?}");
        }
    }
    for mut ends in Ends::of_each_version() {
        called(&mut ends, Some(b"c"), Some(&LONG));
        limited(&mut ends, ROOMY, ROOMY);
        assert_names(ends.connect(63), Some(&LONG), Some(b"c"));
    }
}

// req: T35 T22
#[test]
fn an_mtu_that_has_no_room_beside_the_name_of_the_peer_is_refused() {
    for mut ends in Ends::of_each_version() {
        called(&mut ends, Some(b"c"), Some(&LONG));
        let mut pair = ends.connect(64);
        let refused = Err(ApiMisuse::MtuOutOfRange);
        assert_eq!(pair.a.dtls.set_mtu(ROOMY - 1), refused);
        assert_eq!(pair.a.dtls.set_mtu(256), refused);
        assert_eq!(
            pair.a.dtls.set_mtu(usize::from(u16::MAX) + 1 + 1200),
            refused
        );
        assert_eq!(pair.a.dtls.max_plaintext().unwrap() / 100, 9, "as before");
        assert_eq!(pair.a.dtls.set_mtu(ROOMY), Ok(()));
        assert!(pair.a.dtls.max_plaintext().unwrap() >= ConnectionId::LEAST_ROOM);
        assert_eq!(
            pair.b.dtls.set_mtu(256),
            Ok(()),
            "the client has a short one"
        );
        assert_alive(&mut pair);
    }
}
