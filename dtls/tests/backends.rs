//! Every backend, with every kind of key, in every version, against every other.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use floe_dtls::*;

const V12: ProtocolVersion = ProtocolVersion::DTLS1_2;
const V13: ProtocolVersion = ProtocolVersion::DTLS1_3;

const BACKENDS: [CryptoBackend; 2] = [CryptoBackend::Ring, CryptoBackend::AwsLcRs];

const KEYS: [&str; 4] = [
    include_str!("data/p256-sec1.pem"),
    include_str!("data/p384.pem"),
    include_str!("data/ed25519.pem"),
    include_str!("data/rsa2048.pem"),
];

const RSA_8192: &str = include_str!("data/rsa8192.pem");

fn loaded(pem: &str) -> Arc<Identity> {
    Arc::new(Identity::from_pem(pem, pem).unwrap())
}

fn config_with(
    identity: &Arc<Identity>,
    backend: CryptoBackend,
    version: ProtocolVersion,
) -> Config {
    let mut config = Config::new(identity.clone());
    (config.min_version, config.max_version) = (version, version);
    config.backend = backend;
    config
}

/// A story of two ends that know each other's certificate and are 50 ms apart, until both are connected; and when they are.
fn connect(client: Config, server: Config) -> (Story, Duration) {
    let expect = |config: &Config| {
        let fingerprint = config.identity.fingerprint(HashAlgorithm::Sha256);
        RemoteIdentity::Fingerprints(FingerprintSet::new([fingerprint]).unwrap())
    };
    let (of_client, of_server) = (expect(&client), expect(&server));
    let mut pair = pair_of(
        3,
        client_with(client, of_server),
        server_with(server, of_client),
    );
    pair.network.set_links(slow_link());
    let took = common::connect(&mut pair);
    assert_talking(&mut pair);
    (pair, took)
}

// req: T3 T5
#[test]
fn keys_of_every_kind_prove_both_sides_by_every_backend_in_every_version() {
    for version in [V12, V13] {
        for [client_by, server_by] in BACKENDS.into_iter().flat_map(|a| BACKENDS.map(|b| [a, b])) {
            for (index, key) in KEYS.iter().enumerate() {
                let other = KEYS[(index + 1) % KEYS.len()];
                let (pair, _) = connect(
                    config_with(&loaded(key), client_by, version),
                    config_with(&loaded(other), server_by, version),
                );
                assert_eq!(pair.a.dtls.version(), Some(version));
            }
        }
    }
}

// req: T3
#[test]
fn every_suite_and_group_of_every_backend_meets_those_of_the_other() {
    let identity = loaded(KEYS[0]);
    let groups = [
        NamedGroup::X25519,
        NamedGroup::SECP256R1,
        NamedGroup::SECP384R1,
    ];
    let suites = [
        (V12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        (V12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
        (
            V12,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
        (V13, CipherSuite::TLS13_AES_128_GCM_SHA256),
        (V13, CipherSuite::TLS13_AES_256_GCM_SHA384),
        (V13, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ];
    for (index, (version, suite)) in suites.into_iter().enumerate() {
        for (client_by, server_by) in [(BACKENDS[0], BACKENDS[1]), (BACKENDS[1], BACKENDS[0])] {
            let group = groups[index % groups.len()];
            let config = |backend| {
                let mut config = config_with(&identity, backend, version);
                config.cipher_suites = vec![suite];
                config.groups = vec![group];
                config
            };
            let (pair, _) = connect(config(client_by), config(server_by));
            assert_eq!(pair.a.dtls.cipher_suite(), Some(suite));
            assert_eq!(pair.b.dtls.group(), Some(group));
        }
    }
}

// req: T3
#[test]
fn a_hybrid_share_brings_the_classical_one_and_either_is_taken_without_another_round_trip() {
    let identity = loaded(KEYS[0]);
    let config = |backend, groups: &[NamedGroup]| {
        let mut config = config_with(&identity, backend, V13);
        config.groups = groups.to_vec();
        config
    };
    let hybrid = [NamedGroup::X25519MLKEM768, NamedGroup::X25519];
    for (server, agreed) in [
        (config(CryptoBackend::AwsLcRs, &hybrid), hybrid[0]),
        // It does not have the hybrid group at all.
        (config(CryptoBackend::Ring, &hybrid), hybrid[1]),
    ] {
        let (pair, took) = connect(config(CryptoBackend::AwsLcRs, &hybrid), server);
        assert_eq!(pair.a.dtls.group(), Some(agreed));
        assert_eq!(pair.b.dtls.group(), Some(agreed));
        // Three flights, the first of them in two datagrams.
        assert_eq!(took, Duration::from_millis(150));
    }
}

// req: T3
#[test]
fn the_longest_key_signs_by_the_backend_that_takes_it() {
    let identity = loaded(RSA_8192);
    for version in [V12, V13] {
        let config = |backend| config_with(&identity, backend, version);
        connect(
            config(CryptoBackend::AwsLcRs),
            config(CryptoBackend::AwsLcRs),
        );
        let refused = Connection::new(
            Arc::new(config(CryptoBackend::Ring)),
            Setup::Active,
            RemoteIdentity::AcceptAny,
        );
        assert_eq!(refused.err(), Some(ApiMisuse::IdentityDoesNotFitBackend));
    }
}

// req: T3
#[test]
fn what_one_backend_signs_with_8192_bits_the_other_verifies() {
    for version in [V12, V13] {
        connect(
            config_with(&loaded(KEYS[0]), CryptoBackend::Ring, version),
            config_with(&loaded(RSA_8192), CryptoBackend::AwsLcRs, version),
        );
    }
}
