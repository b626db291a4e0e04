use std::sync::Arc;

use super::*;
use crate::config::ExtendedMasterSecret;
use crate::handshake::v12::MasterSecretKind;
use crate::identity::Identity;

const OURS: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
const GCM: &[SrtpProtectionProfile] = &[SrtpProtectionProfile::SRTP_AEAD_AES_128_GCM];

fn config() -> Config {
    Config::new(Arc::new(Identity::generate().unwrap()))
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
    Offer::new(config, &mut Randomness::Backend(config.backend))
        .unwrap()
        .check(&hello, config)
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
    let alpn = Extension::Unknown {
        extension_type: ExtensionType(16),
        body: &[0, 3, 2, b'h', b'2'],
    };
    let versions = Extension::Unknown {
        extension_type: ExtensionType::SUPPORTED_VERSIONS,
        body: &[0xfe, 0xfc],
    };
    let sha1_32 = [SrtpProtectionProfile::SRTP_AES128_CM_HMAC_SHA1_32];
    let two = [GCM[0], SrtpProtectionProfile::SRTP_AEAD_AES_256_GCM];
    for (extension, error) in [
        (alpn, UnsolicitedExtension),
        (versions, UnsolicitedExtension),
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
