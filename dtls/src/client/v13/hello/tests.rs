use std::sync::Arc;

use super::*;
use crate::client::offer::Offer;
use crate::crypto::random::Randomness;
use crate::identity::Identity;
use crate::msgs::codec::Codec;
use crate::msgs::enums::{CipherSuite, NamedGroup};
use crate::msgs::extensions::{Extension, Extensions};
use crate::msgs::hello::RANDOM_LEN;
use crate::msgs::key_share::KeyShareEntry;

const SELECTED: Extension<'_> = Extension::SelectedVersion(V13);
const SHARE: Extension<'_> = Extension::KeyShare(KeyShareEntry {
    group: NamedGroup::X25519,
    key_exchange: &[9; 32],
});
const GROUP: Extension<'_> = Extension::SelectedGroup(NamedGroup::SECP256R1);

/// Of both versions.
fn config() -> Config {
    let mut config = Config::new(Arc::new(Identity::generate().unwrap()));
    config.min_version = ProtocolVersion::DTLS1_2;
    config.max_version = ProtocolVersion::DTLS1_3;
    config
}

fn hello<'a>(extensions: &'a [Extension<'a>]) -> ServerHello<'a> {
    ServerHello {
        version: ProtocolVersion::DTLS1_2,
        random: [5; RANDOM_LEN],
        session_id: &[],
        cipher_suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        compression_method: ServerHello::NO_COMPRESSION,
        extensions: Extensions::Items(extensions),
    }
}

fn retry<'a>(extensions: &'a [Extension<'a>]) -> ServerHello<'a> {
    ServerHello {
        random: ServerHello::HELLO_RETRY_REQUEST,
        ..hello(extensions)
    }
}

/// What is said of a hello after it came over the wire.
fn check(hello: &ServerHello<'_>, config: &Config) -> Result<CipherSuite, Error> {
    let mut body = Vec::new();
    hello.encode(&mut body);
    let hello = ServerHello::read_all(&body).unwrap();
    let suite = match hello.is_hello_retry_request() {
        true => check_retry(&hello, config),
        false => check_hello(&hello, config),
    };
    suite.map(|suite| suite.cipher_suite())
}

// req: T1 T3
#[test]
fn what_was_offered_may_be_chosen() {
    let suite = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
    let cookie = Extension::Cookie(b"cookie");
    assert_eq!(check(&hello(&[SELECTED, SHARE]), &config()), Ok(suite));
    assert_eq!(check(&retry(&[SELECTED, GROUP]), &config()), Ok(suite));
    assert_eq!(check(&retry(&[SELECTED, cookie]), &config()), Ok(suite));
    let both = [GROUP, SELECTED, cookie];
    assert_eq!(check(&retry(&both), &config()), Ok(suite));
}

// req: T1 T3 T4
#[test]
fn what_was_not_offered_may_not() {
    use PeerMisbehaved::*;
    let [answer, question] = [[SELECTED, SHARE], [SELECTED, GROUP]];
    for good in [hello(&answer), retry(&question)] {
        let newest = ServerHello {
            version: V13,
            ..good
        };
        let session = ServerHello {
            session_id: b"session",
            ..good
        };
        let compressing = ServerHello {
            compression_method: 1,
            ..good
        };
        let older_suite = ServerHello {
            cipher_suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            ..good
        };
        for (hello, error) in [
            (newest, SelectedUnofferedVersion),
            (session, SessionIdDoesNotFit),
            (compressing, SelectedCompression),
            (older_suite, SelectedUnofferedCipherSuite),
        ] {
            assert_eq!(check(&hello, &config()), Err(error.into()));
        }
        let only_v12 = Config {
            max_version: ProtocolVersion::DTLS1_2,
            ..config()
        };
        assert!(check(&good, &only_v12).is_err());
        let one_suite = Config {
            cipher_suites: vec![CipherSuite::TLS13_AES_128_GCM_SHA256],
            ..config()
        };
        let outcome = check(&good, &one_suite);
        assert_eq!(outcome, Err(SelectedUnofferedCipherSuite.into()));
    }
}

// req: T4
#[test]
fn what_belongs_elsewhere_is_unsolicited() {
    let unknown = Extension::Unknown {
        extension_type: ExtensionType(0x6a6a),
        body: &[],
    };
    for extension in [
        Extension::ExtendedMasterSecret,
        Extension::RenegotiationInfo(&[]),
        Extension::ServerNameAcknowledged,
        unknown,
    ] {
        let error = Err(PeerMisbehaved::UnsolicitedExtension.into());
        let outcome = check(&hello(&[SELECTED, SHARE, extension]), &config());
        assert_eq!(outcome, error, "{extension:?}");
        let outcome = check(&retry(&[SELECTED, GROUP, extension]), &config());
        assert_eq!(outcome, error, "{extension:?}");
    }
}

// req: T1
#[test]
fn a_retry_that_changes_nothing_or_says_no_version_is_refused() {
    let nothing = Err(PeerMisbehaved::RetryChangesNothing.into());
    assert_eq!(check(&retry(&[SELECTED]), &config()), nothing);
    let no_version = Err(PeerMisbehaved::SelectedUnofferedVersion.into());
    assert_eq!(check(&retry(&[GROUP]), &config()), no_version);
}

// req: T3
#[test]
fn only_a_share_that_was_offered_is_agreed_with() {
    let config = config();
    let offer = || Offer::new(&config, &mut Randomness::Backend(config.backend)).unwrap();
    let agree = |group, key_exchange| {
        let share = KeyShareEntry {
            group,
            key_exchange,
        };
        offer().agree(share).map(|_| ())
    };
    assert_eq!(agree(NamedGroup::X25519, &[9; 32]), Ok(()));
    // Offered as a group, but no share of it.
    assert_eq!(
        agree(NamedGroup::SECP256R1, &[4; 65]),
        Err(PeerMisbehaved::SelectedUnofferedGroup.into())
    );
    assert_eq!(
        agree(NamedGroup::X25519, &[0; 32]),
        Err(PeerMisbehaved::KeyShareInvalid.into())
    );
}
