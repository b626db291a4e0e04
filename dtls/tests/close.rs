//! Ends: close_notify both ways, alerts that say what went wrong, and a cause for each (RFC 5246 §7.2).

mod common;

use std::time::Duration;

use common::*;
use floe_dtls::*;
use sim::{Verdict, address};

// req: T23
#[test]
fn a_close_is_told_and_answered() {
    for closer in [CLIENT, SERVER] {
        let mut pair = connected(1);
        let wire = pair.network.wiretap();
        let now = pair.now();
        let (from, to) = match closer {
            CLIENT => (&mut pair.a, &mut pair.b),
            _ => (&mut pair.b, &mut pair.a),
        };
        from.dtls.close(now);
        from.dtls.close(now);
        assert_eq!(from.dtls.state(), State::Closed);
        assert_eq!(to.dtls.state(), State::Connected);
        pair.drive();
        let (from, to) = match closer {
            CLIENT => (&pair.a, &pair.b),
            _ => (&pair.b, &pair.a),
        };
        assert_eq!(
            from.states().last(),
            Some(&(State::Closed, Reason::ClosedLocally))
        );
        assert_eq!(
            to.states().last(),
            Some(&(State::Closed, Reason::ClosedByPeer))
        );
        assert_eq!(to.dtls.error(), None);
        let alerts = wire.take();
        assert_eq!(alerts.len(), 2, "one close_notify each way");
        assert!(alerts.iter().all(|(_, datagram)| datagram.bytes[0] == 21));
        // The answer came after the end, which is no error.
        assert_eq!(from.dropped(DropReason::Ended), 1);
    }
}

// req: T23
#[test]
fn what_is_sealed_before_a_close_arrives_and_nothing_goes_after_it() {
    let mut pair = connected(1);
    let now = pair.now();
    pair.a.say(now, b"last words");
    pair.drive();
    pair.a.dtls.close(now);
    let sealed = pair.a.dtls.seal(now, b"too late", &mut [0; 100]);
    assert_eq!(sealed, Err(ApiMisuse::NotConnected.into()));
    pair.drive();
    assert_eq!(pair.b.heard, [b"last words"]);
    assert!(pair.b.dtls.srtp_keys().is_none());
    assert_eq!(
        pair.b.dtls.version(),
        Some(ProtocolVersion::DTLS1_2),
        "what was is still known"
    );
}

// req: T23
#[test]
fn a_connection_that_never_began_closes_in_silence() {
    for version in VERSIONS {
        let mut pair = pair_in(version, 1);
        let wire = pair.network.wiretap();
        let now = pair.now();
        pair.a.dtls.close(now);
        pair.a.dtls.start(now);
        pair.drive();
        assert_eq!(pair.a.states(), [(State::Closed, Reason::ClosedLocally)]);
        assert!(wire.is_empty());
    }
}

// req: T23
#[test]
fn a_close_in_mid_handshake_stops_everything_on_this_side() {
    for version in VERSIONS {
        let mut pair = pair_in(version, 1);
        start(&mut pair);
        pair.run_for(Duration::from_millis(15));
        let now = pair.now();
        pair.a.dtls.close(now);
        assert_eq!(pair.a.dtls.poll_timeout(), None);
        pair.run_for(Duration::from_secs(100));
        assert_eq!(pair.a.dtls.state(), State::Closed);
        assert_eq!(pair.b.dtls.error(), Some(&Error::HandshakeTimedOut));
    }
}

// req: T23
#[test]
fn the_side_that_fails_says_why_and_the_other_side_reports_it() {
    for version in VERSIONS {
        let mut server = config_of(SERVER, version);
        server.cipher_suites = vec![
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        ];
        let mut client = config_of(CLIENT, version);
        client.cipher_suites = vec![
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ];
        let mut pair = pair_with(1, client, server);
        start(&mut pair);
        pair.drive_until(|a, b| a.is_over() && b.is_over());
        let nothing = PeerIncompatible::NoCipherSuiteInCommon;
        assert_eq!(pair.b.dtls.error(), Some(&nothing.into()));
        assert_eq!(
            pair.b.states().last(),
            Some(&(State::Failed, Reason::PeerIncompatible))
        );
        let alert = AlertDescription::HANDSHAKE_FAILURE;
        assert_eq!(pair.a.dtls.error(), Some(&Error::AlertReceived(alert)));
        assert_eq!(
            pair.a.states().last(),
            Some(&(State::Failed, Reason::PeerAlert))
        );
    }
}

// req: T23
#[test]
fn a_refused_identity_after_the_keys_is_told_under_the_keys() {
    for version in VERSIONS {
        let client = client_with(config_of(CLIENT, version), RemoteIdentity::Later);
        let server = server_with(config_of(SERVER, version), expecting(CLIENT));
        let mut pair = pair_of(1, client, server);
        start(&mut pair);
        pair.drive_until(|_, b| b.is_connected());
        pair.drive();
        let now = pair.now();
        let wrong = fingerprints(&identity(CLIENT));
        pair.a.dtls.set_remote_fingerprints(now, wrong).unwrap();
        let refused = IdentityRefused::FingerprintMismatch;
        assert_eq!(pair.a.dtls.error(), Some(&refused.into()));
        pair.drive();
        let alert = AlertDescription::BAD_CERTIFICATE;
        assert_eq!(pair.b.dtls.error(), Some(&Error::AlertReceived(alert)));
        assert_eq!(
            pair.b.states().last(),
            Some(&(State::Failed, Reason::PeerAlert))
        );
    }
}

// req: T23 T32
#[test]
fn an_alert_that_is_lost_leaves_the_other_side_to_its_deadline() {
    for version in VERSIONS {
        let mut pair = connected_in(version, 1);
        pair.network
            .tap(|datagram, _| match datagram.source == address(CLIENT) {
                true => Verdict::Drop,
                false => Verdict::Pass,
            });
        let now = pair.now();
        pair.a.dtls.close(now);
        pair.run_for(Duration::from_secs(60));
        assert_eq!(
            pair.b.dtls.state(),
            State::Connected,
            "silence is for consent to notice"
        );
        assert_eq!(
            pair.b.dtls.poll_timeout(),
            None,
            "and nothing wakes an idle connection"
        );
    }
}

// req: T23
#[test]
fn an_application_that_refuses_its_peer_says_why() {
    for refusing in [CLIENT, SERVER] {
        let mut pair = connected(1);
        let now = pair.now();
        let (from, to) = match refusing {
            CLIENT => (&mut pair.a, &mut pair.b),
            _ => (&mut pair.b, &mut pair.a),
        };
        from.dtls.abort(now, AlertDescription::ACCESS_DENIED);
        from.dtls.abort(now, AlertDescription::INTERNAL_ERROR);
        assert_eq!(from.dtls.state(), State::Closed);
        assert_eq!(to.dtls.state(), State::Connected);
        pair.drive();
        let to = if refusing == CLIENT { &pair.b } else { &pair.a };
        let told = Error::AlertReceived(AlertDescription::ACCESS_DENIED);
        assert_eq!(to.dtls.error(), Some(&told));
    }
}
