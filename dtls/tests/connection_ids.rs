//! Connection ids: asked for, answered, and in every protected record from then on (RFC 9146, RFC 9147 §9).

mod common;

use common::ends::*;
use common::*;
use floe_dtls::{ConnectionId, NamedGroup, ProtocolVersion};
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
