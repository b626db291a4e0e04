//! Who is let in by DTLS 1.3: a peer that can say anything, properly encrypted, shows other certificates, none, and proofs
//! that prove nothing (RFC 8446 §4.4, RFC 8827 §6.5). It never gets in, and is told why.

mod common;

use common::keeping;
use common::puppet::stage::Stage;
use common::puppet::{Cast, Letter, Version, Who};
use floe_dtls::{
    AlertDescription, ClientAuth, Error, Event, IdentityRefused, InvalidMessage, PeerMisbehaved,
    Reason, RemoteIdentity, Side, State,
};

const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// What the peer of `victim` says before its Certificate.
fn opening(victim: Side) -> &'static [Letter] {
    match victim {
        Side::Client => &[Letter::ServerHello, Letter::EncryptedExtensions],
        Side::Server => &[Letter::ClientHello],
    }
}

fn opened(victim: Side, cast: &Cast) -> Stage {
    let mut stage = Stage::new(Version::V13, victim, cast);
    stage.say_all(opening(victim));
    assert_eq!(stage.victim.state(), State::Connecting);
    stage
}

/// The victim has failed by this error, before it gave away anything.
fn assert_refused(stage: &Stage, error: impl Into<Error>, alert: AlertDescription) {
    let error = error.into();
    assert_eq!(stage.victim.error(), Some(&error));
    assert_eq!(error.alert(), Some(alert));
    assert_eq!(stage.victim.state(), State::Failed);
    assert!(stage.victim.srtp_keys().is_none());
    assert!(stage.victim.peer_certificate().is_none());
    let mut out = [0; 16];
    let exported = stage
        .victim
        .export_keying_material("EXPERIMENTAL", None, &mut out);
    assert!(exported.is_err());
}

// req: T6 T23
#[test]
fn a_certificate_that_was_not_signalled_is_refused_though_its_owner_proves_it() {
    let cast = Cast::new();
    for victim in SIDES {
        let mut stage = opened(victim, &cast);
        let _ = stage.say(Letter::Certificate(Who::Stranger));
        let mismatch = IdentityRefused::FingerprintMismatch;
        assert_refused(&stage, mismatch, AlertDescription::BAD_CERTIFICATE);
        stage.say_all(&[Letter::CertificateVerify, Letter::Finished]);
        assert_refused(&stage, mismatch, AlertDescription::BAD_CERTIFICATE);
    }
}

// req: T5 T6 T23
#[test]
fn no_certificate_is_refused_where_one_is_required() {
    let cast = Cast::new();
    let nobody = Letter::Certificate(Who::Nobody);
    let mut server = opened(Side::Server, &cast);
    let _ = server.say(nobody);
    let required = IdentityRefused::CertificateRequired;
    assert_refused(&server, required, AlertDescription::CERTIFICATE_REQUIRED);
    let mut said = std::iter::from_fn(|| server.victim.poll_event());
    let ended = |event| matches!(event, Event::StateChange(change) if change.reason == Reason::NoCertificate);
    assert!(said.any(ended), "and why");
    let mut client = opened(Side::Client, &cast);
    let _ = client.say(nobody);
    let none = PeerMisbehaved::NoServerCertificate;
    assert_refused(&client, none, AlertDescription::DECODE_ERROR);
    // Leaving the message out is no way around it.
    for victim in SIDES {
        let mut stage = opened(victim, &cast);
        let _ = stage.say(Letter::Finished);
        let unexpected = PeerMisbehaved::UnexpectedMessage;
        assert_refused(&stage, unexpected, AlertDescription::UNEXPECTED_MESSAGE);
    }
}

// req: T5
#[test]
fn a_client_without_a_certificate_connects_where_the_policy_says_so() {
    let cast = Cast::new();
    for (client_auth, word) in [
        (
            ClientAuth::Requested,
            &[Letter::Certificate(Who::Nobody), Letter::Finished][..],
        ),
        (ClientAuth::None, &[Letter::Finished]),
    ] {
        let mut config = keeping(cast.victim.clone());
        Version::V13.limit(&mut config);
        config.client_auth = client_auth;
        let anybody = RemoteIdentity::AcceptAny;
        let mut stage = Stage::with(Version::V13, Side::Server, &cast, config, anybody);
        stage.say_all(opening(Side::Server));
        stage.say_all(word);
        assert_eq!(stage.victim.state(), State::Connected);
        assert_eq!(stage.victim.peer_certificate(), None);
        stage.assert_talking();
    }
}

// req: T6 T23
#[test]
fn a_proof_that_does_not_verify_is_refused() {
    let cast = Cast::new();
    let certificate = Letter::Certificate(Who::Signalled);
    for victim in SIDES {
        let mut stage = opened(victim, &cast);
        stage.say_all(&[certificate, Letter::CertificateVerifyForged]);
        let invalid = PeerMisbehaved::SignatureInvalid;
        assert_refused(&stage, invalid, AlertDescription::DECRYPT_ERROR);

        let mut stage = opened(victim, &cast);
        stage.say_all(&[
            certificate,
            Letter::CertificateVerify,
            Letter::FinishedForged,
        ]);
        let invalid = PeerMisbehaved::FinishedInvalid;
        assert_refused(&stage, invalid, AlertDescription::DECRYPT_ERROR);

        let mut stage = opened(victim, &cast);
        stage.say_all(&[certificate, Letter::CertificateVerify]);
        let _ = stage.say_changed(Letter::Finished, |body| body.truncate(body.len() - 1));
        assert_refused(&stage, invalid, AlertDescription::DECRYPT_ERROR);
    }
}

// req: T3 T6 T23
#[test]
fn a_proof_is_made_with_an_offered_scheme_that_binds_its_curve() {
    let cast = Cast::new();
    let illegal = AlertDescription::ILLEGAL_PARAMETER;
    for victim in SIDES {
        for (scheme, error) in [
            // RSA with the old padding, ECDSA with SHA-1, nobody's.
            (0x0401u16, PeerMisbehaved::SignedWithUnofferedScheme),
            (0x0203, PeerMisbehaved::SignedWithUnofferedScheme),
            (0x7a7a, PeerMisbehaved::SignedWithUnofferedScheme),
            // The key is of P-256.
            (0x0503, PeerMisbehaved::SchemeDoesNotFitCertificate),
            (0x0804, PeerMisbehaved::SchemeDoesNotFitCertificate),
        ] {
            let mut stage = opened(victim, &cast);
            let _ = stage.say(Letter::Certificate(Who::Signalled));
            let _ = stage.say_changed(Letter::CertificateVerify, |body| {
                body[..2].copy_from_slice(&scheme.to_be_bytes());
            });
            assert_refused(&stage, error, illegal);
        }
    }
}

// req: T4 T23
#[test]
fn a_certificate_comes_without_context_and_without_extensions() {
    let cast = Cast::new();
    for victim in SIDES {
        let certificate = Letter::Certificate(Who::Signalled);
        let mut stage = opened(victim, &cast);
        let _ = stage.say_changed(certificate, |body| {
            body.splice(..1, [1, 7]);
        });
        let context = PeerMisbehaved::RequestContextDoesNotFit;
        assert_refused(&stage, context, AlertDescription::ILLEGAL_PARAMETER);

        let mut stage = opened(victim, &cast);
        let _ = stage.say_changed(certificate, |body| {
            // An empty status_request behind the certificate; the list grows by four bytes.
            let len = u32::from_be_bytes([0, body[1], body[2], body[3]]) + 4;
            body[1..4].copy_from_slice(&len.to_be_bytes()[1..]);
            body.truncate(body.len() - 2);
            body.extend_from_slice(&[0, 4, 0, 5, 0, 0]);
        });
        let unsolicited = PeerMisbehaved::UnsolicitedExtension;
        assert_refused(&stage, unsolicited, AlertDescription::UNSUPPORTED_EXTENSION);

        let mut stage = opened(victim, &cast);
        let _ = stage.say_changed(certificate, |body| body.push(0));
        let trailing = InvalidMessage::TrailingBytes;
        assert_refused(&stage, trailing, AlertDescription::DECODE_ERROR);
    }
}
