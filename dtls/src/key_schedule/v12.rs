//! The key schedule of DTLS 1.2: one secret, and everything else a PRF of it (RFC 5246 §6.3, §7.4.9, §8.1).
//!
//! ```text
//! shared secret ── "extended master secret" + session hash (RFC 7627 §4) ──▶ master secret
//!                  or "master secret" + both randoms (RFC 5246 §8.1)              │
//!        "key expansion" + both randoms ──▶ key block: write keys, write IVs ◀────┤
//!        "client finished" | "server finished" + transcript hash ──▶ verify_data ◀┤
//!        a label + both randoms (+ context) ──▶ exported keying material ◀────────┘  (RFC 5705 §4)
//! ```

use std::fmt;

use zeroize::Zeroizing;

use super::key_log_line;
use crate::config::Side;
use crate::crypto::{KeyExchange, SuiteV12, hmac};
use crate::error::{ApiMisuse, Error};
use crate::msgs::key_exchange::Finished;

/// What the hellos contributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Randoms {
    pub(crate) client: [u8; 32],
    pub(crate) server: [u8; 32],
}

impl Randoms {
    fn client_first(&self) -> [[u8; 32]; 2] {
        [self.client, self.server]
    }

    fn server_first(&self) -> [[u8; 32]; 2] {
        [self.server, self.client]
    }
}

/// What the master secret is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Binding<'a> {
    /// The hash of the transcript up to and including the ClientKeyExchange: the extended master secret.
    SessionHash(&'a [u8]),
    /// The randoms alone: what a peer gets that does not know RFC 7627.
    Randoms,
}

/// The secret of an association. Wiped when dropped, never printed.
pub(crate) struct MasterSecret {
    secret: Zeroizing<[u8; 48]>,
    randoms: Randoms,
    suite: SuiteV12,
}

impl MasterSecret {
    /// Completes the key exchange with the peer's public key.
    pub(crate) fn agree(
        suite: SuiteV12,
        randoms: Randoms,
        key_exchange: KeyExchange,
        peer_public: &[u8],
        binding: Binding<'_>,
    ) -> Result<Self, Error> {
        let both_randoms = randoms.client_first();
        let (label, seed) = match binding {
            Binding::SessionHash(hash) => (&b"extended master secret"[..], hash),
            Binding::Randoms => (&b"master secret"[..], both_randoms.as_flattened()),
        };
        let shared = key_exchange.complete(peer_public)?;
        let mut secret = Zeroizing::new([0; 48]);
        prf(suite, shared.as_bytes(), label, seed, &mut *secret);
        Ok(Self {
            secret,
            randoms,
            suite,
        })
    }

    /// The keys of both directions, for a cipher that needs keys and fixed IVs of these lengths.
    pub(crate) fn key_block(&self, key_len: usize, iv_len: usize) -> KeyBlock {
        debug_assert!(key_len <= KeyBlock::KEY_MAX && iv_len <= KeyBlock::IV_MAX);
        let mut block = KeyBlock {
            bytes: Zeroizing::new([0; KeyBlock::MAX]),
            key_len,
            iv_len,
        };
        let (used, _) = block.bytes.split_at_mut(2 * (key_len + iv_len));
        let seed = self.randoms.server_first();
        self.prf(b"key expansion", seed.as_flattened(), used);
        block
    }

    /// What `side`'s Finished says about a transcript with this hash.
    pub(crate) fn verify_data(&self, side: Side, transcript_hash: &[u8]) -> [u8; Finished::LEN] {
        let label = match side {
            Side::Client => b"client finished",
            Side::Server => b"server finished",
        };
        let mut verify_data = [0; Finished::LEN];
        self.prf(label, transcript_hash, &mut verify_data);
        verify_data
    }

    /// Keying material for something above (RFC 5705 §4). An empty context is not the same as none.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::ExportRefused`]: a context of more than 65 535 bytes.
    pub(super) fn export(
        &self,
        label: &str,
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ApiMisuse> {
        let mut seed = self.randoms.client_first().as_flattened().to_vec();
        if let Some(context) = context {
            let len = u16::try_from(context.len()).map_err(|_| ApiMisuse::ExportRefused)?;
            seed.extend_from_slice(&len.to_be_bytes());
            seed.extend_from_slice(context);
        }
        self.prf(label.as_bytes(), &seed, out);
        Ok(())
    }

    /// The line of the key log.
    pub(crate) fn key_log_line(&self) -> Zeroizing<String> {
        key_log_line("CLIENT_RANDOM", &self.randoms.client, &*self.secret)
    }

    fn prf(&self, label: &[u8], seed: &[u8], out: &mut [u8]) {
        prf(self.suite, &*self.secret, label, seed, out);
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterSecret")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

/// The PRF (RFC 5246 §5).
fn prf(suite: SuiteV12, secret: &[u8], label: &[u8], seed: &[u8], out: &mut [u8]) {
    let key = hmac::Key::new(suite.hash(), secret);
    let mut chained = key.sign(&[label, seed]);
    for out in out.chunks_mut(key.tag_len()) {
        let block = key.sign(&[chained.as_ref(), label, seed]);
        for (to, from) in out.iter_mut().zip(block.as_ref()) {
            *to = *from;
        }
        chained = key.sign(&[chained.as_ref()]);
    }
}

/// The write keys and write IVs of both sides; AEAD suites have no MAC keys. Wiped when dropped, never printed.
pub(crate) struct KeyBlock {
    /// Client key, server key, client IV, server IV.
    bytes: Zeroizing<[u8; Self::MAX]>,
    key_len: usize,
    iv_len: usize,
}

impl KeyBlock {
    const KEY_MAX: usize = 32;
    const IV_MAX: usize = 12;
    const MAX: usize = 2 * (Self::KEY_MAX + Self::IV_MAX);

    /// The key that `side` writes with.
    pub(crate) fn write_key(&self, side: Side) -> &[u8] {
        self.part(side, 0, self.key_len)
    }

    /// The fixed part of the nonces that `side` writes with.
    pub(crate) fn write_iv(&self, side: Side) -> &[u8] {
        self.part(side, 2 * self.key_len, self.iv_len)
    }

    /// The client's or the server's of two parts that start at `start` and are `len` long each.
    fn part(&self, side: Side, start: usize, len: usize) -> &[u8] {
        let start = match side {
            Side::Client => start,
            Side::Server => start + len,
        };
        self.bytes.get(start..start + len).unwrap_or_default()
    }
}

impl fmt::Debug for KeyBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyBlock").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::{ActiveKeyExchange, SharedSecret};

    use super::*;
    use crate::crypto::CryptoBackend;
    use crate::error::PeerMisbehaved;
    use crate::key_schedule::{RESERVED_LABELS, Secrets};
    use crate::msgs::enums::{CipherSuite, NamedGroup};

    const BACKEND: CryptoBackend = CryptoBackend::Ring;
    const RANDOMS: Randoms = Randoms {
        client: [0xc1; 32],
        server: [0x5e; 32],
    };
    const HASH: [u8; 32] = [0x7a; 32];
    const SHA256: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    const SHA384: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;

    /// The shared secret of RFC 7748 §6.1, whatever the peer sends.
    const AGREED: &str = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";

    struct Agreed;

    impl ActiveKeyExchange for Agreed {
        fn complete(self: Box<Self>, _: &[u8]) -> Result<SharedSecret, rustls::Error> {
            Ok(SharedSecret::from(bytes(AGREED)))
        }

        fn pub_key(&self) -> &[u8] {
            &[]
        }

        fn group(&self) -> rustls::NamedGroup {
            rustls::NamedGroup::X25519
        }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    /// The master secret 00 01 02 .. 2f.
    fn counted(cipher_suite: CipherSuite) -> MasterSecret {
        MasterSecret {
            secret: Zeroizing::new(std::array::from_fn(|index| index as u8)),
            randoms: RANDOMS,
            suite: BACKEND.suite_v12(cipher_suite).unwrap(),
        }
    }

    // The expected values of these tests were computed with OpenSSL's TLS1-PRF.

    // req: T4
    #[test]
    fn the_master_secret_is_bound_to_the_session_or_to_the_randoms() {
        let agree = |binding| {
            let key_exchange = KeyExchange::fixed(Box::new(Agreed));
            let suite = BACKEND.suite_v12(SHA256).unwrap();
            let master =
                MasterSecret::agree(suite, RANDOMS, key_exchange, &[9; 32], binding).unwrap();
            master.secret.to_vec()
        };
        assert_eq!(
            agree(Binding::SessionHash(&HASH)),
            bytes(
                "17d62216ce0443d04fae63d743ecdb1717b97a0a4af89a28d602f6dbfe69c10166133a45f505b7d6e30628c6e017f834"
            )
        );
        assert_eq!(
            agree(Binding::Randoms),
            bytes(
                "dbd0f734e99a988db634cdd922ad9c8d77a3b135785b55f60f7497f5acacfc191ea2819468aeb15ec272603fd50724f4"
            )
        );
    }

    #[test]
    fn the_key_block_is_cut_into_keys_and_ivs() {
        let block = counted(SHA256).key_block(16, 4);
        assert_eq!(
            block.write_key(Side::Client),
            bytes("cceb3e14d846a21dde9a42cbcbed13a6")
        );
        assert_eq!(
            block.write_key(Side::Server),
            bytes("67078ba0dab8d1732a3cb4899a742466")
        );
        assert_eq!(block.write_iv(Side::Client), bytes("234f54ef"));
        assert_eq!(block.write_iv(Side::Server), bytes("0f9b87b1"));
        let block = counted(SHA384).key_block(32, 4);
        let server_key = "65de98dde3c3e08b909a2362c78202d4aa098f1f187f28110c070ece64b55788";
        assert_eq!(block.write_key(Side::Server), bytes(server_key));
        assert_eq!(block.write_iv(Side::Client), bytes("90a4f9ee"));
        assert_eq!(block.write_iv(Side::Server), bytes("23b57bae"));
        let block = counted(SHA256).key_block(32, 12);
        assert_eq!(block.write_iv(Side::Server).len(), 12);
    }

    #[test]
    fn each_side_finishes_with_its_own_label() {
        let master = counted(SHA256);
        assert_eq!(
            master.verify_data(Side::Client, &HASH),
            bytes("d4879d589f3af6b02024d152")[..]
        );
        assert_eq!(
            master.verify_data(Side::Server, &HASH),
            bytes("5f1c0457773a4e778ecd7bcc")[..]
        );
    }

    // req: T8
    #[test]
    fn an_empty_context_exports_something_else_than_none() {
        let export = |context| {
            let mut out = [0; 20];
            counted(SHA256)
                .export("EXTRACTOR-dtls_srtp", context, &mut out)
                .unwrap();
            out
        };
        assert_eq!(
            export(None),
            bytes("38abefce71aad5286cd827071122583f909b6d96")[..]
        );
        assert_eq!(
            export(Some(b"")),
            bytes("77e0dd268f0a572f146428df02fa895bbcafab89")[..]
        );
        assert_eq!(
            export(Some(b"abc")),
            bytes("ed80d931f7416e164aaa12666cd631ca9bcec216")[..]
        );
    }

    #[test]
    fn the_protocols_own_labels_are_not_exported() {
        let master = Secrets::V12(Box::new(counted(SHA256)));
        for label in RESERVED_LABELS {
            assert_eq!(
                master.export(label, None, &mut [0; 4]),
                Err(ApiMisuse::ExportRefused),
                "{label}"
            );
        }
        let too_long = vec![0; 65_536];
        assert_eq!(
            master.export("label", Some(&too_long), &mut [0; 4]),
            Err(ApiMisuse::ExportRefused)
        );
        assert_eq!(
            master.export("label", Some(&too_long[1..]), &mut [0; 4]),
            Ok(())
        );
    }

    // req: T3
    #[test]
    fn both_sides_agree_in_every_group() {
        for group in [
            NamedGroup::X25519,
            NamedGroup::SECP256R1,
            NamedGroup::SECP384R1,
        ] {
            let suite = BACKEND.suite_v12(SHA384).unwrap();
            let [ours, theirs] = [(); 2].map(|()| BACKEND.start_key_exchange(group).unwrap());
            let [our_public, their_public] = [ours.public().to_vec(), theirs.public().to_vec()];
            let agree = |key_exchange, public: &[u8]| {
                MasterSecret::agree(
                    suite,
                    RANDOMS,
                    key_exchange,
                    public,
                    Binding::SessionHash(&HASH),
                )
            };
            let (ours, theirs) = (
                agree(ours, &their_public).unwrap(),
                agree(theirs, &our_public).unwrap(),
            );
            assert_eq!(ours.secret, theirs.secret);
        }
    }

    // req: T3
    #[test]
    fn a_public_key_that_is_no_point_of_its_group_is_refused() {
        for (group, public) in [
            (NamedGroup::X25519, &[0; 32][..]),
            (NamedGroup::X25519, &[9; 31]),
            (NamedGroup::X25519, &[]),
            (NamedGroup::SECP256R1, &[4; 65]),
            (NamedGroup::SECP256R1, &[0]),
            (NamedGroup::SECP384R1, &[2; 49]),
        ] {
            let key_exchange = BACKEND.start_key_exchange(group).unwrap();
            let suite = BACKEND.suite_v12(SHA256).unwrap();
            let agreed =
                MasterSecret::agree(suite, RANDOMS, key_exchange, public, Binding::Randoms);
            assert_eq!(
                agreed.err(),
                Some(PeerMisbehaved::KeyShareInvalid.into()),
                "{group}"
            );
        }
    }

    // req: T36
    #[test]
    fn secrets_go_to_the_key_log_and_are_not_printed() {
        let master = counted(SHA256);
        let line = master.key_log_line();
        let (label_and_random, secret) = line.rsplit_once(' ').unwrap();
        assert_eq!(
            label_and_random,
            format!("CLIENT_RANDOM {}", "c1".repeat(32))
        );
        assert_eq!(bytes(secret), &master.secret[..]);
        assert!(!format!("{master:?}{:?}", master.key_block(16, 4)).contains("00"));
    }
}
