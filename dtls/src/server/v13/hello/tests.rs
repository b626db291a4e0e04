use std::sync::Arc;

use super::*;
use crate::identity::Identity;
use crate::msgs::enums::{CipherSuite, PskKeyExchangeMode};
use crate::msgs::extensions::{Extension, Extensions};

const X25519: KeyShareEntry<'_> = KeyShareEntry {
    group: NamedGroup::X25519,
    key_exchange: &[5; 32],
};
const P256: KeyShareEntry<'_> = KeyShareEntry {
    group: NamedGroup::SECP256R1,
    key_exchange: &[4; 65],
};
const GREASE: KeyShareEntry<'_> = KeyShareEntry {
    group: NamedGroup(0x6a6a),
    key_exchange: &[0],
};
const VERSIONS: Extension<'_> = Extension::SupportedVersions(List::Items(&[VERSION]));
const SCHEMES: Extension<'_> =
    Extension::SignatureAlgorithms(List::Items(&[SignatureScheme::ECDSA_SECP256R1_SHA256]));
const GROUPS: Extension<'_> = Extension::SupportedGroups(List::Items(&[
    NamedGroup(0x6a6a),
    NamedGroup::X25519,
    NamedGroup::SECP256R1,
]));
const SHARES: Extension<'_> = Extension::KeyShares(KeyShares::Items(&[GREASE, X25519]));
const PSK: Extension<'_> = Extension::Unknown {
    extension_type: ExtensionType::PRE_SHARED_KEY,
    body: b"identities and binders",
};
const PSK_MODES: Extension<'_> =
    Extension::PskKeyExchangeModes(List::Items(&[PskKeyExchangeMode::PSK_DHE_KE]));

fn config() -> Config {
    Config::new(Arc::new(Identity::generate().unwrap()))
}

fn hello<'a>(extensions: &'a [Extension<'a>]) -> ClientHello<'a> {
    ClientHello {
        version: ProtocolVersion::DTLS1_2,
        random: [3; RANDOM_LEN],
        session_id: &[],
        cookie: &[],
        cipher_suites: List::Items(&[
            CipherSuite(0x1a1a),
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ]),
        compression_methods: ClientHello::NO_COMPRESSION,
        extensions: Extensions::Items(extensions),
    }
}

fn error_of(hello: &ClientHello<'_>) -> Error {
    Choice::new(hello, &config()).unwrap_err()
}

// req: T1 T4
#[test]
fn a_client_hello_that_breaks_a_rule_of_the_new_version_is_refused() {
    let extensions = [VERSIONS, SCHEMES, GROUPS, SHARES];
    let fine = hello(&extensions);
    assert!(Choice::new(&fine, &config()).is_ok());
    let cookie = ClientHello {
        cookie: b"c",
        ..fine
    };
    assert_eq!(error_of(&cookie), PeerMisbehaved::CookieInvalid.into());
    for methods in [&[1][..], &[0, 1], &[1, 0]] {
        let compressing = ClientHello {
            compression_methods: methods,
            ..fine
        };
        assert_eq!(
            error_of(&compressing),
            PeerMisbehaved::CompressionDemanded.into()
        );
    }
}

// req: T1 T4
#[test]
fn what_must_come_is_missed_and_what_nobody_knows_is_not_minded() {
    let all = [SCHEMES, GROUPS, SHARES];
    for left_out in 0..all.len() {
        let mut extensions = all.to_vec();
        extensions.remove(left_out);
        assert_eq!(
            error_of(&hello(&extensions)),
            PeerMisbehaved::ExtensionMissing.into()
        );
    }
    let unknown = Extension::Unknown {
        extension_type: ExtensionType(0xaaaa),
        body: b"anything",
    };
    let early_data = Extension::Unknown {
        extension_type: ExtensionType::EARLY_DATA,
        body: &[],
    };
    let more = [unknown, early_data, SCHEMES, GROUPS, SHARES, PSK_MODES, PSK];
    assert!(Choice::new(&hello(&more), &config()).is_ok());
}

// req: T4
#[test]
fn pre_shared_keys_are_not_taken_but_must_be_well_offered() {
    let early = [PSK, SCHEMES, GROUPS, SHARES, PSK_MODES];
    assert_eq!(
        error_of(&hello(&early)),
        PeerMisbehaved::PreSharedKeyNotLast.into()
    );
    let without_modes = [SCHEMES, GROUPS, SHARES, PSK];
    assert_eq!(
        error_of(&hello(&without_modes)),
        PeerMisbehaved::ExtensionMissing.into()
    );
}

// req: T3
#[test]
fn our_order_decides_on_the_suite() {
    let extensions = [SCHEMES, GROUPS, SHARES];
    let mut config = config();
    let chosen = |config: &Config| {
        Choice::new(&hello(&extensions), config).map(|choice| choice.suite.cipher_suite())
    };
    assert_eq!(chosen(&config), Ok(CipherSuite::TLS13_AES_128_GCM_SHA256));
    config.cipher_suites.reverse();
    assert_eq!(
        chosen(&config),
        Ok(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256)
    );
    config.cipher_suites = vec![CipherSuite::TLS13_AES_256_GCM_SHA384];
    assert_eq!(
        chosen(&config),
        Err(PeerIncompatible::NoCipherSuiteInCommon.into())
    );
}

fn exchange_of<'a>(
    groups: &'a [NamedGroup],
    shares: &'a [KeyShareEntry<'a>],
) -> Result<Exchange<'a>, Error> {
    let groups = List::Items(groups);
    let shares = KeyShares::Items(shares);
    check_shares(groups, shares)?;
    choose_exchange(groups, shares, &config())
}

// req: T3
#[test]
fn a_group_whose_share_came_is_preferred_and_one_without_is_asked_for() {
    let (x25519, p256, p384) = (
        NamedGroup::X25519,
        NamedGroup::SECP256R1,
        NamedGroup::SECP384R1,
    );
    let nothing = Err(PeerIncompatible::NoGroupInCommon.into());
    for (groups, shares, exchange) in [
        (
            &[p256, x25519][..],
            &[P256, X25519][..],
            Ok(Exchange::Now(X25519)),
        ),
        (&[x25519, p256], &[P256], Ok(Exchange::Now(P256))),
        (&[p384, p256], &[], Ok(Exchange::Retry(p256))),
        (&[GREASE.group, p384], &[GREASE], Ok(Exchange::Retry(p384))),
        (&[GREASE.group], &[GREASE], nothing),
    ] {
        assert_eq!(exchange_of(groups, shares), exchange, "{groups:?}");
    }
}

// req: T1
#[test]
fn each_share_has_its_place_among_the_groups() {
    let (x25519, p256) = (NamedGroup::X25519, NamedGroup::SECP256R1);
    let refused = Err(PeerMisbehaved::KeyShareOfUnofferedGroup.into());
    assert_eq!(exchange_of(&[p256], &[X25519]), refused);
    assert_eq!(exchange_of(&[p256], &[P256, X25519]), refused);
    assert_eq!(exchange_of(&[p256, x25519], &[X25519, P256]), refused);
    assert!(exchange_of(&[x25519, p256], &[X25519, P256]).is_ok());
}

// req: T3
#[test]
fn a_client_that_takes_no_signature_of_our_key_is_refused() {
    for scheme in [
        SignatureScheme::ED25519,
        SignatureScheme::RSA_PKCS1_SHA256,
        SignatureScheme(0x0203),
    ] {
        let schemes = [scheme];
        let schemes = Extension::SignatureAlgorithms(List::Items(&schemes));
        let extensions = [schemes, GROUPS, SHARES];
        let nothing = PeerIncompatible::NoSignatureSchemeInCommon;
        assert_eq!(error_of(&hello(&extensions)), nothing.into());
    }
}
