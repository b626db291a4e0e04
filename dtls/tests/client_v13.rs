//! What a client of both versions takes from a server of DTLS 1.3, and what it refuses: a server that can say anything,
//! properly encrypted, answers it (RFC 8446 §4.1.3 to §4.4, RFC 9147 §5).

mod common;

use common::ends::expecting_owner_of;
use common::puppet::stage::Stage;
use common::puppet::{Cast, Letter, Version, Who};
use common::wire::{self, ClientHello, ServerHello, list16};
use floe_dtls::*;

/// A client that offers both versions.
fn dual(cast: &Cast) -> Stage {
    dual_with(cast, |_| ())
}

fn dual_with(cast: &Cast, change: impl FnOnce(&mut Config)) -> Stage {
    let mut config = Config::new(cast.victim.clone());
    Version::allow_all(&mut config);
    change(&mut config);
    let remote = expecting_owner_of(&cast.signalled.identity());
    Stage::with(Version::V13, Side::Client, cast, config, remote)
}

/// The server's next hello, but for what `change` does to it.
fn hello(stage: &mut Stage, letter: Letter, change: impl Fn(&mut ServerHello)) {
    let _ = stage.say_changed(letter, |body| {
        let mut hello = ServerHello::parse(body);
        change(&mut hello);
        *body = hello.to_bytes();
    });
}

/// As a server of DTLS 1.2 would have it.
fn older(hello: &mut ServerHello) {
    hello.suite = 0xc02b;
    hello.set(wire::SUPPORTED_VERSIONS, None);
    hello.set(wire::KEY_SHARE, None);
    hello.set(wire::EXTENDED_MASTER_SECRET, Some(vec![]));
}

fn with_group(group: u16) -> impl Fn(&mut ServerHello) {
    move |hello| {
        hello.set(wire::COOKIE, None);
        hello.set(wire::KEY_SHARE, Some(group.to_be_bytes().to_vec()));
    }
}

fn assert_refused(stage: &Stage, error: PeerMisbehaved, alert: AlertDescription) {
    let error = Error::from(error);
    assert_eq!(stage.victim.error(), Some(&error));
    assert_eq!(error.alert(), Some(alert));
    assert_eq!(stage.victim.state(), State::Failed);
    assert!(stage.victim.srtp_keys().is_none());
}

const ILLEGAL: AlertDescription = AlertDescription::ILLEGAL_PARAMETER;
const UNEXPECTED: AlertDescription = AlertDescription::UNEXPECTED_MESSAGE;

// req: T1 T23
#[test]
fn after_a_hello_verify_request_only_the_older_version_is_taken() {
    let cast = Cast::new();
    for letter in [Letter::ServerHello, Letter::HelloRetryRequest] {
        let mut stage = dual(&cast);
        stage.say_all(&[Letter::HelloVerifyRequest, letter]);
        assert_refused(&stage, PeerMisbehaved::VersionChanged, ILLEGAL);
    }
    let mut stage = dual(&cast);
    stage.say_all(&[Letter::HelloVerifyRequest, Letter::HelloVerifyRequest]);
    assert_refused(&stage, PeerMisbehaved::CookieDemandedTwice, UNEXPECTED);

    let mut stage = dual(&cast);
    let _ = stage.say(Letter::HelloVerifyRequest);
    hello(&mut stage, Letter::ServerHello, older);
    assert_eq!(stage.victim.error(), None);
    // The ClientHello with the cookie offers what the first one did.
    let [first, mut second] = [0, 1].map(|nth| ClientHello::parse(&stage.puppet.heard[nth].1));
    assert_eq!(std::mem::take(&mut second.cookie), [0xcc; 20]);
    assert_eq!(second, first);

    // Whoever does not offer the older version has no cookie for it.
    let mut stage = Stage::new(Version::V13, Side::Client, &cast);
    let _ = stage.say(Letter::HelloVerifyRequest);
    let nothing = Error::from(PeerIncompatible::NoVersionInCommon);
    assert_eq!(stage.victim.error(), Some(&nothing));
}

// req: T1 T23
#[test]
fn after_a_hello_retry_request_only_what_it_promised_is_taken() {
    let cast = Cast::new();
    let retried = || {
        let mut stage = dual(&cast);
        let _ = stage.say(Letter::HelloRetryRequest);
        assert_eq!(stage.victim.error(), None);
        stage
    };
    let mut stage = retried();
    let _ = stage.say(Letter::HelloRetryRequest);
    assert_refused(&stage, PeerMisbehaved::RetriedTwice, UNEXPECTED);

    let mut stage = retried();
    let _ = stage.say(Letter::HelloVerifyRequest);
    assert_refused(&stage, PeerMisbehaved::UnexpectedMessage, UNEXPECTED);

    let mut stage = retried();
    hello(&mut stage, Letter::ServerHello, older);
    assert_refused(&stage, PeerMisbehaved::VersionChanged, ILLEGAL);

    let mut stage = retried();
    hello(&mut stage, Letter::ServerHello, |hello| {
        hello.suite = 0x1303
    });
    assert_refused(&stage, PeerMisbehaved::CipherSuiteChanged, ILLEGAL);

    let mut stage = retried();
    stage.say_all(Version::V13.word(Side::Client));
    assert_eq!(stage.victim.state(), State::Connected);
}

// req: T1 T23
#[test]
fn an_older_version_is_never_selected_by_extension() {
    let cast = Cast::new();
    for version in [[0xfe, 0xfd], [0xfe, 0xff], [0xfe, 0xfb], [3, 4]] {
        let mut stage = dual(&cast);
        hello(&mut stage, Letter::ServerHello, |hello| {
            hello.set(wire::SUPPORTED_VERSIONS, Some(version.to_vec()));
        });
        let another = PeerMisbehaved::SupportedVersionsSelectsAnother;
        assert_refused(&stage, another, ILLEGAL);
    }
}

// req: T1 T3 T23
#[test]
fn a_retry_asks_for_a_group_that_was_offered_without_a_share() {
    let cast = Cast::new();
    for (group, error) in [
        // Its share is there already.
        (0x001d, PeerMisbehaved::RetryChangesNothing),
        // P-521 and one that nobody has.
        (0x0019, PeerMisbehaved::SelectedUnofferedGroup),
        (0x7a7a, PeerMisbehaved::SelectedUnofferedGroup),
    ] {
        let mut stage = dual(&cast);
        hello(&mut stage, Letter::HelloRetryRequest, with_group(group));
        assert_refused(&stage, error, ILLEGAL);
    }
    let mut stage = dual(&cast);
    hello(&mut stage, Letter::HelloRetryRequest, with_group(0x0017));
    let [first, second] = [0, 1].map(|nth| ClientHello::parse(&stage.puppet.heard[nth].1));
    let share = |hello: &ClientHello| {
        let found = hello
            .extensions
            .iter()
            .find(|(code, _)| *code == wire::KEY_SHARE);
        found.unwrap().1.clone()
    };
    // One share of each: length of the list, group, length of the key.
    assert_eq!(share(&first)[..6], [0, 36, 0, 0x1d, 0, 32]);
    assert_eq!(share(&second)[..6], [0, 69, 0, 0x17, 0, 65]);
    // The server answers with a share of another group.
    let _ = stage.say(Letter::ServerHello);
    assert_refused(&stage, PeerMisbehaved::SelectedUnofferedGroup, ILLEGAL);
}

// req: T1 T3 T23
#[test]
fn a_retry_for_a_group_that_the_backend_has_and_nobody_offered_is_refused() {
    let cast = Cast::new();
    for (group, code) in [
        (NamedGroup::SECP256R1, 0x0017),
        (NamedGroup::SECP384R1, 0x0018),
    ] {
        let mut stage = dual_with(&cast, |config| {
            assert!(config.groups.contains(&group));
            config.groups.retain(|kept| *kept != group);
        });
        hello(&mut stage, Letter::HelloRetryRequest, with_group(code));
        assert_refused(&stage, PeerMisbehaved::SelectedUnofferedGroup, ILLEGAL);
        assert_eq!(stage.puppet.heard.len(), 1, "no second ClientHello");

        // Where it is offered, the same request is answered.
        let mut stage = dual(&cast);
        hello(&mut stage, Letter::HelloRetryRequest, with_group(code));
        assert_eq!(stage.victim.error(), None);
        assert_eq!(stage.puppet.heard.len(), 2);
    }
}

// req: T3 T4 T23
#[test]
fn a_server_hello_without_a_usable_share_is_refused() {
    use PeerMisbehaved::*;
    let cast = Cast::new();
    let missing = AlertDescription::MISSING_EXTENSION;
    let share = |group: u16, key: &[u8]| {
        let len = (key.len() as u16).to_be_bytes();
        Some([&group.to_be_bytes()[..], &len, key].concat())
    };
    for (body, error, alert) in [
        (None, ExtensionMissing, missing),
        (share(0x17, &[4; 65]), SelectedUnofferedGroup, ILLEGAL),
        (share(0x1d, &[0; 32]), KeyShareInvalid, ILLEGAL),
        (share(0x1d, &[9; 31]), KeyShareInvalid, ILLEGAL),
    ] {
        let mut stage = dual(&cast);
        hello(&mut stage, Letter::ServerHello, |hello| {
            hello.set(wire::KEY_SHARE, body.clone());
        });
        assert_refused(&stage, error, alert);
    }
}

/// An EncryptedExtensions with one extension.
fn with_extension(code: u16, body: &[u8]) -> Vec<u8> {
    let len = body.len() as u16;
    let mut message = (len + 4).to_be_bytes().to_vec();
    message.extend_from_slice(&code.to_be_bytes());
    message.extend_from_slice(&len.to_be_bytes());
    message.extend_from_slice(body);
    message
}

// req: T4 T8 T10 T23
#[test]
fn encrypted_extensions_answer_what_was_asked_and_nothing_else() {
    use PeerMisbehaved::*;
    let cast = Cast::new();
    let unsupported = AlertDescription::UNSUPPORTED_EXTENSION;
    let alpn = |name: &[u8]| {
        let names = [&[name.len() as u8][..], name].concat();
        [&(names.len() as u16).to_be_bytes()[..], &names].concat()
    };
    for (code, body, error, alert) in [
        // Nobody's, and what belongs into a ServerHello.
        (0x6a6a, vec![], UnsolicitedExtension, unsupported),
        (
            wire::KEY_SHARE,
            vec![0, 29, 0, 1, 9],
            UnsolicitedExtension,
            unsupported,
        ),
        (
            wire::SUPPORTED_VERSIONS,
            vec![0xfe, 0xfc],
            UnsolicitedExtension,
            unsupported,
        ),
        (
            wire::EXTENDED_MASTER_SECRET,
            vec![],
            UnsolicitedExtension,
            unsupported,
        ),
        // No host name was asked for.
        (0, vec![], UnsolicitedExtension, unsupported),
        (16, alpn(b"h2"), SelectedUnofferedProtocol, ILLEGAL),
        (
            wire::USE_SRTP,
            wire::use_srtp(&[2], &[]),
            SelectedUnofferedSrtpProfile,
            ILLEGAL,
        ),
        (
            wire::USE_SRTP,
            wire::use_srtp(&[7, 8], &[]),
            SelectedUnofferedSrtpProfile,
            ILLEGAL,
        ),
        (
            wire::USE_SRTP,
            wire::use_srtp(&[7], b"mki"),
            SelectedUnofferedMki,
            ILLEGAL,
        ),
    ] {
        let mut stage = dual_with(&cast, |config| {
            config.alpn_protocols = vec![b"webrtc".to_vec()];
        });
        let _ = stage.say(Letter::ServerHello);
        let _ = stage.say_changed(Letter::EncryptedExtensions, |message| {
            *message = with_extension(code, &body);
        });
        assert_refused(&stage, error, alert);
    }
    for (code, body) in [
        (wire::USE_SRTP, wire::use_srtp(&[7], &[])),
        (wire::SUPPORTED_GROUPS, list16(&[0x1d, 0x6a6a])),
        (16, alpn(b"webrtc")),
    ] {
        let mut stage = dual_with(&cast, |config| {
            config.alpn_protocols = vec![b"webrtc".to_vec()];
        });
        let _ = stage.say(Letter::ServerHello);
        let _ = stage.say_changed(Letter::EncryptedExtensions, |message| {
            *message = with_extension(code, &body);
        });
        stage.say_all(&Version::V13.word(Side::Client)[2..]);
        assert_eq!(stage.victim.state(), State::Connected);
        let srtp = (code == wire::USE_SRTP).then_some(SrtpProfile::Aes128Gcm);
        assert_eq!(stage.victim.srtp_profile(), srtp);
        let protocol = (code == 16).then_some(&b"webrtc"[..]);
        assert_eq!(stage.victim.application_protocol(), protocol);
    }
}

/// A server that has said its extensions.
fn extended(cast: &Cast) -> Stage {
    let mut stage = dual(cast);
    stage.say_all(&[Letter::ServerHello, Letter::EncryptedExtensions]);
    stage
}

// req: T4 T23
#[test]
fn a_certificate_request_has_no_context_and_says_what_it_takes() {
    let cast = Cast::new();
    let mut stage = extended(&cast);
    let _ = stage.say_changed(Letter::CertificateRequest, |body| {
        body.splice(..1, [1, 7]);
    });
    assert_refused(&stage, PeerMisbehaved::RequestContextDoesNotFit, ILLEGAL);

    let mut stage = extended(&cast);
    let _ = stage.say_changed(Letter::CertificateRequest, |body| *body = vec![0, 0, 0]);
    let missing = AlertDescription::MISSING_EXTENSION;
    assert_refused(&stage, PeerMisbehaved::ExtensionMissing, missing);
}

/// The rest of what an honest server says, its CertificateRequest said already.
const PROOF: [Letter; 3] = [
    Letter::Certificate(Who::Signalled),
    Letter::CertificateVerify,
    Letter::Finished,
];

// req: T5
#[test]
fn a_client_whose_key_makes_no_signature_the_server_takes_shows_no_certificate() {
    let cast = Cast::new();
    // The client's key is of Ed25519.
    for (schemes, shows) in [
        (&[0x0807][..], true),
        (&[0x0403, 0x0807], true),
        (&[0x0403, 0x0804], false),
        (&[0x7a7a], false),
    ] {
        let mut stage = extended(&cast);
        let _ = stage.say_changed(Letter::CertificateRequest, |body| {
            let schemes = list16(schemes);
            let extension = [&[0, 13, 0, schemes.len() as u8][..], &schemes].concat();
            *body = [&[0, 0, extension.len() as u8][..], &extension].concat();
        });
        stage.say_all(&PROOF);
        assert_eq!(stage.victim.state(), State::Connected);
        let said: Vec<_> = stage.puppet.heard.iter().map(|(kind, _)| *kind).collect();
        let empty = stage.puppet.heard.contains(&(11, vec![0, 0, 0, 0]));
        match shows {
            true => assert_eq!(said, [1, 11, 15, 20]),
            false => assert_eq!(said, [1, 11, 20]),
        }
        assert_eq!(empty, !shows);
    }
    // Who is not asked says nothing of itself.
    let mut stage = extended(&cast);
    stage.say_all(&PROOF);
    assert_eq!(stage.victim.state(), State::Connected);
    let said: Vec<_> = stage.puppet.heard.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(said, [1, 20]);
}

// req: T23
#[test]
fn nothing_of_the_handshake_comes_behind_its_end() {
    let cast = Cast::new();
    let mut stage = extended(&cast);
    stage.say_all(&PROOF[..2]);
    // A ticket behind the Finished, under the keys of the handshake.
    let behind = stage.puppet.next_seq() + 1;
    let ticket = wire::Fragment::whole(4, behind, &[0; 20]).to_bytes();
    let early = stage.puppet.seal(2, wire::HANDSHAKE, &ticket);
    assert_eq!(stage.give(early), Received::Handled);
    let _ = stage.say(Letter::Finished);
    assert_refused(&stage, PeerMisbehaved::ExcessHandshakeData, UNEXPECTED);
}
