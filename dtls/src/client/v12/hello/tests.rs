use std::sync::Arc;

use super::*;
use crate::config::{ExtendedMasterSecret, SrtpPolicy};
use crate::error::PeerIncompatible;
use crate::handshake::v12::MasterSecretKind;
use crate::identity::Identity;
use crate::msgs::codec::{Codec, List};
use crate::msgs::enums::{CipherSuite, SrtpProtectionProfile};
use crate::msgs::extensions::{Extension, Extensions, UseSrtp};
use crate::msgs::names::ProtocolNames;
use crate::srtp::SrtpProfile;

const OURS: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
const GCM: &[SrtpProtectionProfile] = &[SrtpProtectionProfile::SRTP_AEAD_AES_128_GCM];

/// Of both versions.
fn config() -> Config {
    let mut config = Config::new(Arc::new(Identity::generate().unwrap()));
    config.min_version = ProtocolVersion::DTLS1_2;
    config.max_version = ProtocolVersion::DTLS1_3;
    config
}

fn srtp<'a>(profiles: &'a [SrtpProtectionProfile], mki: &'a [u8]) -> Extension<'a> {
    Extension::UseSrtp(UseSrtp {
        profiles: List::Items(profiles),
        mki,
    })
}

fn hello<'a>(extensions: &'a [Extension<'a>]) -> ServerHello<'a> {
    ServerHello {
        version: ProtocolVersion::DTLS1_2,
        random: [5; RANDOM_LEN],
        session_id: &[],
        cipher_suite: OURS,
        compression_method: ServerHello::NO_COMPRESSION,
        extensions: Extensions::Items(extensions),
    }
}

fn check(hello: &ServerHello<'_>, config: &Config) -> Result<Agreed, Error> {
    // What is checked is what came over the wire.
    let mut body = Vec::new();
    hello.encode(&mut body);
    let hello = ServerHello::read_all(&body).unwrap();
    super::check(&hello, [7; RANDOM_LEN], config)
}

// req: T3 T4 T8
#[test]
fn what_was_offered_may_be_chosen() {
    let extensions = [
        Extension::ExtendedMasterSecret,
        Extension::RenegotiationInfo(&[]),
        Extension::EcPointFormats(&[1, UNCOMPRESSED]),
        srtp(GCM, &[]),
    ];
    let agreed = check(&hello(&extensions), &config()).unwrap();
    assert_eq!(agreed.suite.cipher_suite, OURS);
    assert_eq!(agreed.srtp_profile, Some(SrtpProfile::Aes128Gcm));
    assert_eq!(agreed.master_secret, MasterSecretKind::Extended);
    assert_eq!(agreed.randoms.server, [5; RANDOM_LEN]);
}

// req: T1 T3 T4 T8
#[test]
fn what_was_not_offered_may_not() {
    use PeerMisbehaved::*;
    let good = [Extension::ExtendedMasterSecret];
    let older = ServerHello {
        version: ProtocolVersion::DTLS1_0,
        ..hello(&good)
    };
    let newer = ServerHello {
        version: ProtocolVersion::DTLS1_3,
        ..hello(&good)
    };
    let compressing = ServerHello {
        compression_method: 1,
        ..hello(&good)
    };
    let cbc = ServerHello {
        cipher_suite: CipherSuite(0xc009),
        ..hello(&good)
    };
    for (hello, error) in [
        (older, SelectedUnofferedVersion),
        (newer, SelectedUnofferedVersion),
        (compressing, SelectedCompression),
        (cbc, SelectedUnofferedCipherSuite),
    ] {
        assert_eq!(check(&hello, &config()).err(), Some(error.into()));
    }
    let alpn = Extension::Alpn(ProtocolNames::Items(&[b"webrtc"]));
    let retry = Extension::SelectedVersion(ProtocolVersion::DTLS1_3);
    let sha1_32 = [SrtpProtectionProfile::SRTP_AES128_CM_HMAC_SHA1_32];
    let two = [GCM[0], SrtpProtectionProfile::SRTP_AEAD_AES_256_GCM];
    for (extension, error) in [
        (alpn, UnsolicitedExtension),
        (retry, UnsolicitedExtension),
        (Extension::ServerNameAcknowledged, UnsolicitedExtension),
        (
            Extension::RenegotiationInfo(b"x"),
            RenegotiationInfoDoesNotFit,
        ),
        (
            Extension::EcPointFormats(&[1]),
            UncompressedPointsNotOffered,
        ),
        (srtp(&sha1_32, &[]), SelectedUnofferedSrtpProfile),
        (srtp(&two, &[]), SelectedUnofferedSrtpProfile),
        (srtp(GCM, b"mki"), SelectedUnofferedMki),
    ] {
        let extensions = [Extension::ExtendedMasterSecret, extension];
        let outcome = check(&hello(&extensions), &config());
        assert_eq!(outcome.err(), Some(error.into()), "{extension:?}");
    }
    let mut without_srtp = config();
    without_srtp.srtp_profiles.clear();
    let extensions = [Extension::ExtendedMasterSecret, srtp(GCM, &[])];
    let outcome = check(&hello(&extensions), &without_srtp);
    assert_eq!(outcome.err(), Some(UnsolicitedExtension.into()));
}

// req: T4
#[test]
fn a_server_without_extended_master_secret_is_refused_unless_configured() {
    let mut config = config();
    let refused = PeerIncompatible::ExtendedMasterSecretRequired;
    assert_eq!(check(&hello(&[]), &config).err(), Some(refused.into()));
    config.extended_master_secret = ExtendedMasterSecret::Preferred;
    let agreed = check(&hello(&[]), &config).unwrap();
    assert_eq!(agreed.master_secret, MasterSecretKind::Plain);
    let agreed = check(&hello(&[Extension::ExtendedMasterSecret]), &config).unwrap();
    assert_eq!(agreed.master_secret, MasterSecretKind::Extended);
}

// req: T8
#[test]
fn a_server_without_srtp_is_refused_only_where_srtp_is_required() {
    let mut config = config();
    let extensions = [Extension::ExtendedMasterSecret];
    assert_eq!(
        check(&hello(&extensions), &config).unwrap().srtp_profile,
        None
    );
    config.srtp_policy = SrtpPolicy::Required;
    let refused = PeerIncompatible::NoSrtpProfileInCommon;
    assert_eq!(
        check(&hello(&extensions), &config).err(),
        Some(refused.into())
    );
}

// req: T1
#[test]
fn a_server_that_says_it_was_made_to_take_the_older_version_is_refused_by_who_offered_the_newer() {
    let extensions = [Extension::ExtendedMasterSecret];
    let only_v12 = Config {
        max_version: V12,
        ..config()
    };
    let only_v13 = Config {
        min_version: ProtocolVersion::DTLS1_3,
        ..config()
    };
    for (end, refused) in [
        (ServerHello::DOWNGRADED_TO_V12, true),
        (ServerHello::DOWNGRADED_FURTHER, true),
        (*b"DOWNGRD\x02", false),
    ] {
        let mut hello = hello(&extensions);
        hello.random[RANDOM_LEN - 8..].copy_from_slice(&end);
        let expected = refused.then(|| PeerMisbehaved::Downgraded.into());
        assert_eq!(check(&hello, &config()).err(), expected);
        assert_eq!(check(&hello, &only_v12).err(), None);
    }
    assert_eq!(
        check(&hello(&extensions), &only_v13).err(),
        Some(PeerMisbehaved::SelectedUnofferedVersion.into())
    );
}

// req: T3
#[test]
fn a_suite_of_the_newer_version_cannot_be_chosen() {
    let extensions = [Extension::ExtendedMasterSecret];
    let hello = ServerHello {
        cipher_suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
        ..hello(&extensions)
    };
    assert_eq!(
        check(&hello, &config()).err(),
        Some(PeerMisbehaved::SelectedUnofferedCipherSuite.into())
    );
}

// req: T10
#[test]
fn a_server_chooses_one_of_the_offered_protocols_or_none() {
    let config = Config {
        alpn_protocols: vec![b"webrtc".to_vec(), b"c-webrtc".to_vec()],
        server_name: Some("example.org".to_owned()),
        ..config()
    };
    let chosen = |names: &[&[u8]]| -> Result<_, Error> {
        let extensions = [
            Extension::ExtendedMasterSecret,
            Extension::ServerNameAcknowledged,
            Extension::Alpn(ProtocolNames::Items(names)),
        ];
        let agreed = check(&hello(&extensions), &config)?;
        Ok(agreed
            .protocol
            .map(|protocol| protocol.name(&config).unwrap()))
    };
    let refused = Err(PeerMisbehaved::SelectedUnofferedProtocol.into());
    assert_eq!(chosen(&[b"c-webrtc"]), Ok(Some(&b"c-webrtc"[..])));
    assert_eq!(chosen(&[b"h2"]), refused);
    assert_eq!(chosen(&[b"webrtc", b"c-webrtc"]), refused);
    let silent = check(&hello(&[Extension::ExtendedMasterSecret]), &config);
    assert_eq!(silent.unwrap().protocol, None);
}
