//! Handshakes over a good network: who, how fast, with what (RFC 6347 §4.2, RFC 5246 §7.3).

mod common;

use std::time::Duration;

use common::*;
use floe_dtls::*;

// req: T3 T5
#[test]
fn a_client_and_a_server_connect_in_four_flights() {
    let mut pair = pair(1);
    pair.network.set_links(slow_link());
    let wire = pair.network.wiretap();
    let took = connect(&mut pair);
    assert_eq!(took, Duration::from_millis(200));
    assert_eq!(wire.len(), 4, "each flight fits one datagram");
    for peer in [&pair.a, &pair.b] {
        let states = [
            (State::Connecting, Reason::Started),
            (State::Connected, Reason::PeerVerified),
        ];
        assert_eq!(peer.states(), states);
        assert_eq!(peer.dtls.version(), Some(ProtocolVersion::DTLS1_2));
        let first = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
        assert_eq!(peer.dtls.cipher_suite(), Some(first));
        assert_eq!(peer.dtls.group(), Some(NamedGroup::X25519));
        assert_eq!(
            peer.dtls.stats().total_dropped(),
            0,
            "{:?}",
            peer.dtls.stats()
        );
    }
    assert_eq!(
        pair.a.dtls.peer_certificate(),
        Some(identity(SERVER).certificate())
    );
    assert_eq!(
        pair.b.dtls.peer_certificate(),
        Some(identity(CLIENT).certificate())
    );
    assert_talking(&mut pair);
}
