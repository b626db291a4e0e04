use std::sync::Arc;

use super::*;
use crate::identity::Identity;
use crate::msgs::extensions::{Extension, Extensions};

const SUITES: &[CipherSuite] = &[
    CipherSuite(0x1301),
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

fn config() -> Config {
    Config::new(Arc::new(Identity::generate().unwrap()))
}

fn hello<'a>(extensions: &'a [Extension<'a>]) -> ClientHello<'a> {
    ClientHello {
        version: VERSION,
        random: [3; RANDOM_LEN],
        session_id: &[],
        cookie: &[],
        cipher_suites: List::Items(SUITES),
        compression_methods: ClientHello::NO_COMPRESSION,
        extensions: Extensions::Items(extensions),
    }
}

// req: T4
#[test]
fn a_client_hello_that_breaks_a_rule_is_refused() {
    use PeerMisbehaved::*;
    let compressing = ClientHello {
        compression_methods: &[1],
        ..hello(&[])
    };
    let points = [Extension::EcPointFormats(&[1, 2])];
    let renegotiating = [Extension::RenegotiationInfo(b"verify data")];
    for (hello, error) in [
        (compressing, CompressionDemanded),
        (hello(&points), UncompressedPointsNotOffered),
        (hello(&renegotiating), RenegotiationInfoDoesNotFit),
    ] {
        assert_eq!(check(&hello), Err(error.into()));
    }
    let fine = [
        Extension::EcPointFormats(&[1, UNCOMPRESSED]),
        Extension::RenegotiationInfo(&[]),
        Extension::Unknown {
            extension_type: crate::msgs::enums::ExtensionType(0xaaaa),
            body: b"anything",
        },
    ];
    assert_eq!(check(&hello(&fine)), Ok(()));
}

// req: T4
#[test]
fn secure_renegotiation_is_known_by_extension_or_suite() {
    let extension = [Extension::RenegotiationInfo(&[])];
    assert!(knows_secure_renegotiation(&hello(&extension)));
    assert!(!knows_secure_renegotiation(&hello(&[])));
    let scsv = ClientHello {
        cipher_suites: List::Items(&[CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV]),
        ..hello(&[])
    };
    assert!(knows_secure_renegotiation(&scsv));
}

// req: T3
#[test]
fn our_order_decides_among_what_the_client_offers_and_our_key_can_do() {
    let mut config = config();
    let chosen =
        |config: &Config| choose_suite(&hello(&[]), config).map(|suite| suite.cipher_suite);
    let first = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    assert_eq!(chosen(&config), Ok(first));
    config.cipher_suites.reverse();
    let chacha = CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;
    assert_eq!(chosen(&config), Ok(chacha));
    config.cipher_suites = vec![CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let nothing = PeerIncompatible::NoCipherSuiteInCommon;
    assert_eq!(chosen(&config), Err(nothing.into()));
}

// req: T3
#[test]
fn unknown_groups_are_passed_over_and_no_list_means_p_256() {
    let config = config();
    let chosen = |groups: &[NamedGroup]| {
        let extensions = [Extension::SupportedGroups(List::Items(groups))];
        choose_group(&hello(&extensions), &config)
    };
    let browser = [
        NamedGroup::X25519MLKEM768,
        NamedGroup::SECP256R1,
        NamedGroup::X25519,
    ];
    assert_eq!(chosen(&browser), Ok(NamedGroup::X25519));
    assert_eq!(
        chosen(&[NamedGroup(0x6a6a), NamedGroup::SECP384R1]),
        Ok(NamedGroup::SECP384R1)
    );
    let nothing = PeerIncompatible::NoGroupInCommon;
    assert_eq!(chosen(&[NamedGroup::X25519MLKEM768]), Err(nothing.into()));
    assert_eq!(
        choose_group(&hello(&[]), &config),
        Ok(NamedGroup::SECP256R1)
    );
}
