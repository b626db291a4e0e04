use super::*;
use crate::crypto::CryptoBackend;
use crate::msgs::enums::CipherSuite;

/// The shared secret of RFC 7748 §6.1.
const AGREED: &str = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";

const PROTECTION: Protection = Protection::Real(CryptoBackend::Ring);

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn suite(cipher_suite: CipherSuite) -> SuiteV13 {
    CryptoBackend::default().suite_v13(cipher_suite).unwrap()
}

/// What the chain makes of [`AGREED`] and transcripts whose hashes are 7a 7a .. and 7b 7b ..
struct Chain {
    handshake: HandshakeTraffic,
    application: Application,
    finished_hash: Vec<u8>,
}

impl Chain {
    fn of(suite: SuiteV13) -> Self {
        let [hello_hash, finished_hash] =
            [0x7a, 0x7b].map(|byte| vec![byte; suite.hash().output_len()]);
        let secret = EarlySecret::without_psk(suite).handshake(&bytes(AGREED));
        Self {
            handshake: secret.traffic(&hello_hash),
            application: secret.master().application(&finished_hash),
            finished_hash,
        }
    }

    fn verify_data(&self, side: Side) -> Vec<u8> {
        let tag = self.handshake.verify_data(side, &self.finished_hash);
        tag.as_ref().to_vec()
    }

    fn export(&self, context: Option<&[u8]>) -> Vec<u8> {
        let mut out = vec![0; 20];
        let exported = self
            .application
            .export("EXTRACTOR-dtls_srtp", context, &mut out);
        assert_eq!(exported, Ok(()));
        out
    }
}

fn assert_secret(secret: &[u8], hex: &str) {
    assert_eq!(secret, bytes(hex));
}

// The expected values of these tests were computed with the hmac module of Python, after RFC 5869 and RFC 8446 §7.1.

// req: T3
#[test]
fn the_chain_with_sha256() {
    let suite = suite(CipherSuite::TLS13_AES_128_GCM_SHA256);
    let chain = Chain::of(suite);
    for (secret, hex) in [
        (
            chain.handshake.secrets.client.bytes(),
            "8554b2497a86a067d0a133a9fc777cf4bd0161a322e52fd95c16034fcf58ca58",
        ),
        (
            chain.handshake.secrets.server.bytes(),
            "11feab1a2447cc36f3f53d0e1437f3bc9a43bd46ae26700a969e627cb066bdad",
        ),
        (
            chain.application.secret(Purpose::ClientTraffic).bytes(),
            "98d5fa942f1cafb334b6138c63bb81be5cfedc6815d3e05bf500f1b3de354708",
        ),
        (
            chain.application.secret(Purpose::ServerTraffic).bytes(),
            "0d9f267f197b23b79a790f90ae7747aa50b9275562af83606bd1cd21071ee0f0",
        ),
        (
            chain.application.secret(Purpose::Exporter).bytes(),
            "5771d062c882dc556860d2913c833fa5b5b4e63519d6963e11033255a63733e9",
        ),
    ] {
        assert_secret(secret, hex);
    }
    let mut record = chain
        .handshake
        .secret(Side::Client)
        .record_secrets(suite, PROTECTION);
    let [key, sn_key, iv] = record.parts_mut();
    assert_eq!(key, bytes("91f77c438bd4e091f20adbf40294d5d4"));
    assert_eq!(iv, bytes("424c6d415241f450f65b8d67"));
    assert_eq!(sn_key, bytes("e5ffe90fb6e8784205e120de44b9392a"));
    assert_eq!(
        chain.verify_data(Side::Server),
        bytes("a7ecb7f21f316680a70753e9fea565d2979f3da3394613668b020df66cfab201")
    );
    assert_eq!(
        chain.verify_data(Side::Client),
        bytes("cf1bb62e2831a9b8728e44112076f735344b5052108b8512323fec5d81527c65")
    );
}

// req: T3
#[test]
fn the_chain_with_sha384() {
    let suite = suite(CipherSuite::TLS13_AES_256_GCM_SHA384);
    let chain = Chain::of(suite);
    assert_secret(
        chain.handshake.secrets.client.bytes(),
        "6ddcbf285f5c11ec7c7f576c24ff00e6632296596c2e4c4ab61a841070876e237314ad32d775d4e548ff2061db08eca7",
    );
    assert_secret(
        chain.application.secret(Purpose::ServerTraffic).bytes(),
        "39b9f182a0a4cbaf931300000d56e3b1abe4f5e1635153e43146d42c6280c939f463ad3f9ece738913a6594ae1d16a97",
    );
    let mut record = chain
        .handshake
        .secret(Side::Client)
        .record_secrets(suite, PROTECTION);
    let [key, sn_key, iv] = record.parts_mut();
    assert_eq!(
        key,
        bytes("c718297a45cfc66ab41849c5750b6958157c0dd68dfe86e8e6ad0cdfd50617be")
    );
    assert_eq!(iv, bytes("6606ca1ea314660da5cdfbca"));
    assert_eq!(
        sn_key,
        bytes("db699883427c41d1d67f7317afd42a70e4abda70e35f059a99b6cb46712b1318")
    );
    assert_eq!(
        chain.verify_data(Side::Server),
        bytes(
            "000538d0d4dc4d4eeaa74d610585778179381e090f51308da3fdd8951c681a32db17953fa9e0a2c47f802e2f2a95b0f5"
        )
    );
}

// req: T8
#[test]
fn what_is_exported_hangs_on_the_context_but_none_is_the_empty_one() {
    let chain = Chain::of(suite(CipherSuite::TLS13_AES_128_GCM_SHA256));
    let none = bytes("ff7f2ce3022875876d828b2fb0ffe953265fd172");
    assert_eq!(chain.export(None), none);
    assert_eq!(chain.export(Some(b"")), none);
    assert_eq!(
        chain.export(Some(b"abc")),
        bytes("3fc0a74053b52bec6d23b3f88bed6bc17b39ab1b")
    );
    let chain = Chain::of(suite(CipherSuite::TLS13_AES_256_GCM_SHA384));
    assert_eq!(
        chain.export(None),
        bytes("a85026cf31317bc6adee05b37198f6e7ab534dce")
    );
}

// req: T8
#[test]
fn more_is_exported_than_one_hash_holds() {
    for (cipher_suite, hex) in [
        (
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            "71a9f2815cb474e76cd32785cead3b672ea36f71d3d8a28af71d81abe86b8957f620516801bd4c1b8681d0d6bb25ac04609be82af5668cb70c072b3374f5118a88a4916bb8eb26723b917910cce44d2baa8d4f5047d50b1d30e1fd06ac33735a8626d335",
        ),
        (
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            "3bd0e7d14d1ebbd519ff582d0ab7d45eda7bc340cd0ffd1cfdcd33f7226ce613bceab78e0ed1f4e350de4be985a6f424ef477a9bf428adb8ebd20fda3e5c3a518fdfe19dd5e2dfa1272875fcda34bfef9ac1ea88e8634353c25021d92835c233672333ad",
        ),
    ] {
        let mut out = [0; 100];
        let chain = Chain::of(suite(cipher_suite));
        let exported = chain
            .application
            .export("EXTRACTOR-dtls_srtp", None, &mut out);
        assert_eq!(exported, Ok(()));
        assert_eq!(out[..], bytes(hex));
    }
}

// req: T8
#[test]
fn what_cannot_be_exported_is_refused_and_leaves_nothing() {
    let chain = Chain::of(suite(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256));
    let mut out = vec![0; 255 * 32 + 1];
    for (label, len) in [("x".repeat(250), 4), ("label".to_owned(), out.len())] {
        let exported = chain.application.export(&label, None, &mut out[..len]);
        assert_eq!(exported, Err(ApiMisuse::ExportRefused));
        assert!(out.iter().all(|byte| *byte == 0));
    }
    let longest = "x".repeat(249);
    let exported = chain
        .application
        .export(&longest, None, &mut out[..255 * 32]);
    assert_eq!(exported, Ok(()));
}

// req: T30
#[test]
fn a_direction_moves_on_alone() {
    let suite = suite(CipherSuite::TLS13_AES_128_GCM_SHA256);
    let mut chain = Chain::of(suite);
    chain.application.move_on(Side::Server);
    assert_secret(
        chain.application.secret(Purpose::ServerTraffic).bytes(),
        "6cc84863ee8c19df5c89587bd479983bbfac8bbf31e5944c1faf7f6cab9e3585",
    );
    assert_secret(
        chain.application.secret(Purpose::ClientTraffic).bytes(),
        "98d5fa942f1cafb334b6138c63bb81be5cfedc6815d3e05bf500f1b3de354708",
    );
    assert_secret(
        chain.application.secret(Purpose::Exporter).bytes(),
        "5771d062c882dc556860d2913c833fa5b5b4e63519d6963e11033255a63733e9",
    );
    assert_eq!(
        chain.application.parts().len(),
        3 * 32,
        "the master secret is gone"
    );
    let before = chain.application.secret(Purpose::ServerTraffic);
    chain.application.move_on(Side::Server);
    let after = chain.application.secret(Purpose::ServerTraffic);
    assert_ne!(after.bytes(), before.bytes());
}

// req: T36
#[test]
fn secrets_go_to_the_key_log_and_are_not_printed() {
    let suite = suite(CipherSuite::TLS13_AES_128_GCM_SHA256);
    let chain = Chain::of(suite);
    let handshake = chain.handshake.key_log_lines(&[0xc1; 32]);
    let application = chain.application.key_log_lines(&[0xc1; 32]);
    let labels = handshake.iter().chain(&application).map(|line| {
        let mut words = line.split(' ');
        let label = words.next().unwrap();
        assert_eq!(words.next(), Some(&*"c1".repeat(32)));
        assert_eq!(words.next().map(str::len), Some(64));
        assert_eq!(words.next(), None);
        label
    });
    assert_eq!(
        labels.collect::<Vec<_>>(),
        [
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            "CLIENT_TRAFFIC_SECRET_0",
            "SERVER_TRAFFIC_SECRET_0",
            "EXPORTER_SECRET",
        ]
    );
    assert!(
        handshake[1].ends_with("11feab1a2447cc36f3f53d0e1437f3bc9a43bd46ae26700a969e627cb066bdad")
    );
    let printed = format!("{:?}", chain.handshake);
    assert_eq!(printed, "HandshakeTraffic { .. }");
    let printed = format!("{:?}", chain.application);
    assert_eq!(printed, "Application { .. }");
}
