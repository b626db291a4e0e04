//! Who is let in: fingerprints before, during and after the handshake, certificates of every kind, and those without one
//! (RFC 8827 §6.5, RFC 8122 §5).

mod common;

use std::time::Duration;

use common::ends::*;
use common::wire::{self, Fragment};
use common::*;
use floe_dtls::{
    AlertDescription, ApiMisuse, CertificateFingerprint, ClientAuth, Connection, DropReason, Error,
    Event, FingerprintSet, HashAlgorithm, Identity, IdentityRefused, ProtocolVersion, Reason,
    RemoteIdentity, Setup, State,
};
use sim::{Verdict, address};

const P256: &str = include_str!("data/p256-sec1.pem");
const P384: &str = include_str!("data/p384.pem");
const ED25519: &str = include_str!("data/ed25519.pem");
const RSA: &str = include_str!("data/rsa2048.pem");

/// Some other certificate's fingerprint.
fn wrong(hash: HashAlgorithm) -> CertificateFingerprint {
    generated().fingerprint(hash)
}

fn assert_refused(refuser: &Peer, refused: &Peer) {
    let mismatch = Error::IdentityRefused(IdentityRefused::FingerprintMismatch);
    assert_eq!(refuser.dtls.error(), Some(&mismatch));
    assert_eq!(refuser.last_reason(), Some(Reason::FingerprintMismatch));
    let alert = Error::AlertReceived(AlertDescription::BAD_CERTIFICATE);
    assert_eq!(refused.dtls.error(), Some(&alert));
    assert_eq!(refused.last_reason(), Some(Reason::PeerAlert));
}

// req: T6 T23
#[test]
fn a_client_refuses_a_server_that_was_not_signalled() {
    for mut ends in Ends::of_each_version() {
        ends.client_expects = expecting_owner_of(&generated());
        let mut pair = ends.start(1);
        pair.drive_until(both_failed);
        assert_refused(&pair.a, &pair.b);
        pair.a.assert_let_nobody_in();
        pair.b.assert_let_nobody_in();
    }
}

// req: T6 T23
#[test]
fn a_server_refuses_a_client_that_was_not_signalled() {
    for mut ends in Ends::of_each_version() {
        ends.server_expects = expecting_owner_of(&generated());
        let v13 = ends.server.min_version == ProtocolVersion::DTLS1_3;
        let mut pair = ends.start(2);
        pair.drive_until(both_failed);
        assert_refused(&pair.b, &pair.a);
        pair.b.assert_let_nobody_in();
        // In DTLS 1.3 the server has already proved itself to its client when it looks at the client's certificate.
        if !v13 {
            pair.a.assert_let_nobody_in();
        }
    }
}

// req: T6
#[test]
fn any_fingerprint_of_the_strongest_hash_lets_in_and_a_weaker_one_does_not() {
    use HashAlgorithm::{Sha256, Sha384, Sha512};
    let connects = |offered: &dyn Fn(&Identity) -> Vec<CertificateFingerprint>| {
        let mut ends = Ends::new();
        let offered = FingerprintSet::new(offered(&ends.server.identity)).unwrap();
        ends.client_expects = RemoteIdentity::Fingerprints(offered);
        let mut pair = ends.start(3);
        pair.drive_until(|client, server| {
            both_connected(client, server) || both_failed(client, server)
        });
        pair.a.is_connected()
    };
    assert!(connects(&|right| vec![right.fingerprint(Sha384)]));
    assert!(connects(&|right| vec![right.fingerprint(Sha512)]));
    assert!(connects(&|right| vec![
        wrong(Sha256),
        right.fingerprint(Sha256),
        wrong(Sha256)
    ]));
    assert!(connects(&|right| vec![
        wrong(Sha256),
        right.fingerprint(Sha512)
    ]));
    assert!(!connects(&|right| vec![
        right.fingerprint(Sha256),
        wrong(Sha384)
    ]));
    assert!(!connects(&|right| vec![
        right.fingerprint(Sha256),
        right.fingerprint(Sha384),
        wrong(Sha512)
    ]));
}

/// Two ends of which the client does not know yet whom to expect, in each version.
fn each_client_expects_later() -> [(Ends, FingerprintSet); 2] {
    Ends::of_each_version().map(|mut ends| {
        let right = fingerprints(&ends.server.identity);
        ends.client_expects = RemoteIdentity::Later;
        (ends, right)
    })
}

/// The handshake as far as it goes without fingerprints.
fn wait_for_fingerprints(ends: Ends, seed: u64) -> Story {
    let mut pair = ends.start(seed);
    pair.drive_until(|client, server| {
        client.has_said(&Event::NeedFingerprints) && server.is_connected()
    });
    pair.run_for(Duration::from_secs(1));
    pair
}

// req: T6
#[test]
fn fingerprints_may_come_after_the_handshake_and_nothing_passes_before() {
    for (ends, right) in each_client_expects_later() {
        let mut pair = wait_for_fingerprints(ends, 4);
        assert_eq!(pair.a.dtls.state(), State::Connecting);
        let needs = pair
            .a
            .events
            .iter()
            .filter(|(_, event)| *event == Event::NeedFingerprints);
        assert_eq!(needs.count(), 1);
        let now = pair.now();
        // The server knows its client; what it sends meanwhile is not for anybody's eyes.
        pair.b.say(now, b"too early");
        pair.drive();
        pair.a.assert_let_nobody_in();
        let stats = pair.a.dtls.stats();
        assert_eq!(stats.dropped(DropReason::EarlyApplicationData), 1);
        let sealed = pair.a.dtls.seal(now, b"too early", &mut [0; 100]);
        assert_eq!(sealed, Err(ApiMisuse::NotConnected.into()));

        let now = pair.now();
        pair.a.dtls.set_remote_fingerprints(now, right).unwrap();
        pair.drive();
        assert!(pair.a.is_connected());
        assert_eq!(pair.a.last_reason(), Some(Reason::PeerVerified));
        assert_alive(&mut pair);
    }
}

// req: T6 T23
#[test]
fn wrong_fingerprints_after_the_handshake_end_it() {
    for (ends, _) in each_client_expects_later() {
        let mut pair = wait_for_fingerprints(ends, 5);
        let now = pair.now();
        let wrong = fingerprints(&generated());
        pair.a.dtls.set_remote_fingerprints(now, wrong).unwrap();
        pair.drive_until(both_failed);
        assert_refused(&pair.a, &pair.b);
        pair.a.assert_let_nobody_in();
    }
}

// req: T6
#[test]
fn fingerprints_may_come_at_any_step_of_the_handshake() {
    for (version, step) in [0, 1]
        .into_iter()
        .flat_map(|version| (0..12).map(move |step| (version, step)))
    {
        let (ends, right) = each_client_expects_later()
            .into_iter()
            .nth(version)
            .unwrap();
        let mut pair = ends.start(6);
        for _ in 0..step {
            let _ = !pair.b.is_connected() && pair.step();
        }
        let now = pair.now();
        pair.a.dtls.set_remote_fingerprints(now, right).unwrap();
        pair.drive_until(both_connected);
        assert_alive(&mut pair);
    }
}

// req: T6
#[test]
fn fingerprints_are_set_once() {
    for (ends, right) in each_client_expects_later() {
        let mut pair = ends.start(7);
        let now = pair.now();
        pair.a
            .dtls
            .set_remote_fingerprints(now, right.clone())
            .unwrap();
        let other = fingerprints(&generated());
        let already_set = Err(ApiMisuse::FingerprintsAlreadySet);
        let client = &mut pair.a.dtls;
        assert_eq!(
            client.set_remote_fingerprints(now, other.clone()),
            already_set
        );
        pair.drive_until(both_connected);
        pair.run_for(Duration::from_secs(1));
        // Nothing is left of them but who the peer is.
        let (now, client) = (pair.now(), &mut pair.a.dtls);
        assert_eq!(client.set_remote_fingerprints(now, right), Ok(()));
        assert_eq!(client.set_remote_fingerprints(now, other), already_set);
        assert_alive(&mut pair);
    }
}

// req: T67
#[test]
fn a_handshake_without_fingerprints_fails_after_thirty_seconds() {
    for (ends, right) in each_client_expects_later() {
        let mut pair = ends.start(8);
        let done = pair.drive_until(|_, server| server.is_connected());
        pair.run_for(Duration::from_millis(29_900));
        assert_eq!(pair.a.dtls.state(), State::Connecting);
        pair.run_for(Duration::from_millis(200));
        assert_eq!(pair.a.dtls.state(), State::Failed);
        assert_eq!(pair.a.last_reason(), Some(Reason::FingerprintsNeverSet));
        assert_eq!(pair.a.dtls.error(), Some(&Error::FingerprintTimedOut));
        let (_, _, failed) = *pair.a.life().last().unwrap();
        let waited = failed.saturating_sub(done);
        assert!(
            (29_900..=30_100).contains(&waited.as_millis()),
            "{waited:?}"
        );
        pair.a.assert_let_nobody_in();
        // Too late.
        let now = pair.now();
        let _ = pair.a.dtls.set_remote_fingerprints(now, right);
        pair.drive();
        pair.a.assert_let_nobody_in();
    }
}

// req: T3 T5
#[test]
fn certificates_of_every_kind_prove_both_sides() {
    let kinds = [
        ("P-256", P256),
        ("P-384", P384),
        ("Ed25519", ED25519),
        ("RSA", RSA),
    ];
    for (client_kind, client) in kinds {
        for (server_kind, server) in kinds {
            let ends = Ends::with_identities(loaded(client), loaded(server));
            let certificates = [ends.server.identity.clone(), ends.client.identity.clone()];
            let mut pair = ends.connect(9);
            let suite = pair.a.dtls.cipher_suite().unwrap().to_string();
            assert_eq!(
                suite.contains("ECDHE_RSA"),
                server_kind == "RSA",
                "{client_kind} {suite}"
            );
            for (peer, identity) in [&pair.a, &pair.b].into_iter().zip(certificates) {
                assert_eq!(peer.dtls.peer_certificate(), Some(identity.certificate()));
            }
            assert_alive(&mut pair);
        }
    }
}

// req: T5 T6
#[test]
fn optional_client_certificates_go_only_with_accepting_anybody() {
    for client_auth in [ClientAuth::Requested, ClientAuth::None] {
        let make = |setup, expects| {
            let mut config = Ends::new().server;
            config.client_auth = client_auth;
            Connection::new(config.into(), setup, expects).map(|_| ())
        };
        let contradiction = Err(ApiMisuse::ClientAuthContradictsIdentity);
        let known = RemoteIdentity::Fingerprints(fingerprints(&generated()));
        assert_eq!(make(Setup::Passive, known), contradiction);
        assert_eq!(make(Setup::Passive, RemoteIdentity::Later), contradiction);
        assert_eq!(make(Setup::Passive, RemoteIdentity::AcceptAny), Ok(()));
    }
}

// req: T5 T6
#[test]
fn anybody_is_let_in_only_where_the_policy_says_so() {
    for client_auth in [
        ClientAuth::Required,
        ClientAuth::Requested,
        ClientAuth::None,
    ] {
        for mut ends in Ends::of_each_version() {
            ends.server.client_auth = client_auth;
            ends.server_expects = RemoteIdentity::AcceptAny;
            let certificate = ends.client.identity.clone();
            let mut pair = ends.connect(10);
            let shown = (client_auth != ClientAuth::None).then(|| certificate.certificate());
            assert_eq!(pair.b.dtls.peer_certificate(), shown);
            assert_alive(&mut pair);
        }
    }
}

/// A handshake in which somebody on the path replaces the client's Certificate by an empty one, without a trace.
fn without_client_certificate(ends: Ends) -> Story {
    let mut pair = ends.meet(11);
    rewrite(&mut pair, CLIENT, wire::CERTIFICATE, |_| vec![0; 3]);
    start(&mut pair);
    pair
}

// req: T5 T23
#[test]
fn a_client_without_a_certificate_is_refused_where_one_is_required() {
    for accept_any in [false, true] {
        let mut ends = Ends::new();
        if accept_any {
            ends.server_expects = RemoteIdentity::AcceptAny;
        }
        let mut pair = without_client_certificate(ends);
        pair.drive_until(both_failed);
        let refused = Error::IdentityRefused(IdentityRefused::NoCertificate);
        assert_eq!(pair.b.dtls.error(), Some(&refused));
        let alert = Error::AlertReceived(AlertDescription::HANDSHAKE_FAILURE);
        assert_eq!(pair.a.dtls.error(), Some(&alert));
        pair.b.assert_let_nobody_in();
        pair.a.assert_let_nobody_in();
    }
}

// req: T5
#[test]
fn an_empty_certificate_that_is_accepted_does_not_hide_a_changed_handshake() {
    // The policy lets anybody in; but the client did send a certificate, and will not be talked out of it.
    let mut ends = Ends::new();
    ends.server.client_auth = ClientAuth::Requested;
    ends.server_expects = RemoteIdentity::AcceptAny;
    let mut pair = without_client_certificate(ends);
    pair.run_for(Duration::from_secs(70));
    assert!(both_failed(&pair.a, &pair.b));
    pair.a.assert_let_nobody_in();
    pair.b.assert_let_nobody_in();
}

/// Whoever drops, doubles or exchanges the proofs of a client does not get in, and neither does the client itself: the
/// server's order of messages is not to be talked out of (RFC 5246 §7.3).
// req: T5
#[test]
fn no_message_of_the_clients_proof_can_be_left_out() {
    // Certificate, ClientKeyExchange, CertificateVerify: every proper subset, with sequence numbers that show no gap.
    for kept in 0u32..7 {
        let mut pair = Ends::new().meet(12);
        pair.network.tap(move |datagram, _| {
            if datagram.source != address(CLIENT) {
                return Verdict::Pass;
            }
            let mut position = 0;
            let mut message_seq = 1;
            let mut records = wire::records(&datagram.bytes);
            records.retain_mut(|record| {
                let fragments = record.fragments();
                let Some(first) = fragments
                    .first()
                    .filter(|first| first.message_type != wire::CLIENT_HELLO)
                else {
                    return true;
                };
                assert_eq!(fragments.len(), 1, "one message in each record");
                position += 1;
                let keep = kept & (1 << (position - 1)) != 0;
                if keep {
                    let renumbered = Fragment {
                        message_seq,
                        ..first.clone()
                    };
                    record.body = renumbered.to_bytes();
                    message_seq += 1;
                }
                keep
            });
            datagram.bytes = records.iter().flat_map(wire::Record::to_bytes).collect();
            if datagram.bytes.is_empty() {
                Verdict::Drop
            } else {
                Verdict::Pass
            }
        });
        start(&mut pair);
        pair.run_for(Duration::from_secs(70));
        pair.a.assert_let_nobody_in();
        pair.b.assert_let_nobody_in();
        assert!(
            matches!(pair.b.dtls.state(), State::Failed),
            "kept {kept:03b}"
        );
    }
}

/// A signature that is not the certificate's: one byte of the CertificateVerify, or of the server's key, is changed.
// req: T6 T23
#[test]
fn a_signature_that_does_not_verify_ends_the_handshake() {
    for (signer, message_type) in [
        (CLIENT, wire::CERTIFICATE_VERIFY),
        (SERVER, wire::SERVER_KEY_EXCHANGE),
    ] {
        let mut pair = Ends::new().meet(13);
        rewrite(&mut pair, signer, message_type, |body| {
            let mut changed = body.to_vec();
            *changed.last_mut().unwrap() ^= 1;
            changed
        });
        start(&mut pair);
        pair.drive_until(both_failed);
        let (verifier, signer) = match signer {
            CLIENT => (&pair.b, &pair.a),
            _ => (&pair.a, &pair.b),
        };
        assert_eq!(verifier.last_reason(), Some(Reason::VerificationFailed));
        let alert = Error::AlertReceived(AlertDescription::DECRYPT_ERROR);
        assert_eq!(signer.dtls.error(), Some(&alert));
        verifier.assert_let_nobody_in();
        signer.assert_let_nobody_in();
    }
}
