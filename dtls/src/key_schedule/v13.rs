//! The key schedule of DTLS 1.3: each secret is a type, and using one up makes the next (RFC 8446 §7.1).
//!
//! ```text
//!            0 ──▶ EarlySecret                         no pre-shared key: none is ever used
//!                      │ "derived"
//!  shared secret ──▶ HandshakeSecret ── "c hs traffic", "s hs traffic" + ServerHello ──▶ TrafficSecrets
//!                      │ "derived"
//!            0 ──▶ MasterSecret ── "c ap traffic", "s ap traffic", "exp master" + server Finished ──▶ Application
//!
//!  of each traffic secret: "key", "iv", "sn" ──▶ record keys; "finished" ──▶ verify_data; "traffic upd" ──▶ the next one
//! ```
//!
//! The labels have DTLS's prefix (RFC 9147 §5.9). HKDF (RFC 5869) is done here: nothing is allocated, every secret on the
//! way is wiped, and one that much is expanded from is made a key once.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use super::key_log_line;
use crate::config::{Config, Side};
use crate::crypto::SuiteV13;
use crate::crypto::hmac::{self, TAG_MAX as HASH_MAX, Tag};
use crate::error::{ApiMisuse, Error};
use crate::record::protect::{Aead, RecordKey};

/// What TLS calls "tls13 " (RFC 9147 §5.9).
const PREFIX: &[u8] = b"dtls13";

/// The longest key and the nonce of a record cipher, in bytes.
const KEY_MAX: usize = 32;

/// A secret as long as the suite's hash. Wiped when dropped, never printed.
#[derive(Clone)]
struct Secret(Zeroizing<[u8; HASH_MAX]>);

impl Secret {
    /// HKDF-Extract (RFC 5869 §2.2) with another secret, or none, as the salt.
    fn extract(suite: SuiteV13, salt: Option<&Self>, input: &[u8]) -> Self {
        let salt = salt.map_or_else(|| zeros(suite), |salt| salt.bytes(suite));
        let key = hmac::Key::new(suite.hash(), salt);
        Self(key.sign(&[input]).into_bytes())
    }

    fn bytes(&self, suite: SuiteV13) -> &[u8] {
        let (used, _) = self.0.split_at(suite.hash().output_len().min(HASH_MAX));
        used
    }

    fn expander(&self, suite: SuiteV13) -> Expander {
        Expander(hmac::Key::new(suite.hash(), self.bytes(suite)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

/// What a secret is expanded with.
struct Expander(hmac::Key);

impl Expander {
    /// Derive-Secret (RFC 8446 §7.1), of a transcript whose hash is known.
    fn derive(&self, label: &[u8], transcript_hash: &[u8]) -> Secret {
        let mut secret = Zeroizing::new([0; HASH_MAX]);
        let (used, _) = secret.split_at_mut(self.0.tag_len());
        let expanded = self.expand(label, transcript_hash, used);
        debug_assert!(expanded.is_some(), "a label and a hash are short");
        Secret(secret)
    }

    /// HKDF-Expand-Label (RFC 8446 §7.1, RFC 5869 §2.3); `None` if output or label are longer than that can say.
    #[must_use]
    fn expand(&self, label: &[u8], context: &[u8], out: &mut [u8]) -> Option<()> {
        let length = u16::try_from(out.len()).ok()?.to_be_bytes();
        let label_length = [u8::try_from(PREFIX.len() + label.len()).ok()?];
        let context_length = [u8::try_from(context.len()).ok()?];
        let mut before: Option<Tag> = None;
        for (counter, out) in (1..).zip(out.chunks_mut(self.0.tag_len())) {
            let tag = self.0.sign(&[
                before.as_ref().map_or(&[], Tag::as_ref),
                &length,
                &label_length,
                PREFIX,
                label,
                &context_length,
                context,
                &[u8::try_from(counter).ok()?],
            ]);
            out.copy_from_slice(tag.as_ref().get(..out.len())?);
            before = Some(tag);
        }
        Some(())
    }
}

/// As many zeros as the hash has bytes: no salt, or no input.
fn zeros(suite: SuiteV13) -> &'static [u8] {
    const ZEROS: &[u8] = &[0; HASH_MAX];
    let (zeros, _) = ZEROS.split_at(suite.hash().output_len().min(HASH_MAX));
    zeros
}

/// "derived": what one stage leaves to the next.
fn derived(suite: SuiteV13, secret: &Secret) -> Secret {
    secret
        .expander(suite)
        .derive(b"derived", suite.hash().hash(&[]).as_ref())
}

/// The first stage. There are no pre-shared keys, and so nothing comes of it but the next.
pub(crate) struct EarlySecret {
    suite: SuiteV13,
    secret: Secret,
}

impl EarlySecret {
    pub(crate) fn without_psk(suite: SuiteV13) -> Self {
        Self {
            suite,
            secret: Secret::extract(suite, None, zeros(suite)),
        }
    }

    /// Adds what the key exchange agreed on.
    pub(crate) fn handshake(self, shared_secret: &[u8]) -> HandshakeSecret {
        let suite = self.suite;
        let salt = derived(suite, &self.secret);
        HandshakeSecret {
            suite,
            secret: Secret::extract(suite, Some(&salt), shared_secret),
        }
    }
}

/// The second stage.
pub(crate) struct HandshakeSecret {
    suite: SuiteV13,
    secret: Secret,
}

impl HandshakeSecret {
    /// What protects the rest of the handshake; the transcript ends with the ServerHello.
    pub(crate) fn traffic_secrets(&self, transcript_hash: &[u8]) -> TrafficSecrets {
        let expander = self.secret.expander(self.suite);
        let derive = |label| expander.derive(label, transcript_hash);
        TrafficSecrets {
            suite: self.suite,
            client: derive(b"c hs traffic"),
            server: derive(b"s hs traffic"),
        }
    }

    pub(crate) fn master(self) -> MasterSecret {
        let suite = self.suite;
        let salt = derived(suite, &self.secret);
        MasterSecret {
            suite,
            secret: Secret::extract(suite, Some(&salt), zeros(suite)),
        }
    }
}

/// The third stage.
pub(crate) struct MasterSecret {
    suite: SuiteV13,
    secret: Secret,
}

impl MasterSecret {
    /// What the association lives on; the transcript ends with the server's Finished.
    pub(crate) fn application(self, transcript_hash: &[u8]) -> Application {
        let expander = self.secret.expander(self.suite);
        let derive = |label| expander.derive(label, transcript_hash);
        Application {
            traffic: TrafficSecrets {
                suite: self.suite,
                client: derive(b"c ap traffic"),
                server: derive(b"s ap traffic"),
            },
            exporter: derive(b"exp master"),
        }
    }
}

macro_rules! unprinted {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

unprinted!(EarlySecret, HandshakeSecret, MasterSecret, RecordSecrets);

/// One secret for each direction: of the handshake, or of an epoch of the association.
#[derive(Debug)]
pub(crate) struct TrafficSecrets {
    suite: SuiteV13,
    client: Secret,
    server: Secret,
}

impl TrafficSecrets {
    /// Of what `side` sends.
    fn of(&self, side: Side) -> &Secret {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    /// The key that `side` writes with.
    pub(crate) fn record_key(&self, side: Side, config: &Config) -> Result<RecordKey, Error> {
        let secrets = RecordSecrets::of(self.of(side), self.suite);
        let key_len = self.suite.aead.key_len();
        let (key, sn) = (
            secrets.key.split_at(key_len).0,
            secrets.sn.split_at(key_len).0,
        );
        RecordKey::v13(self.suite.aead, key, &*secrets.iv, sn, config.protection())
            .ok_or(Error::CryptoFailed)
    }

    /// What `side`'s Finished says about a transcript with this hash (RFC 8446 §4.4.4).
    pub(crate) fn verify_data(&self, side: Side, transcript_hash: &[u8]) -> Tag {
        let secret = self.of(side).expander(self.suite).derive(b"finished", &[]);
        let key = hmac::Key::new(self.suite.hash(), secret.bytes(self.suite));
        key.sign(&[transcript_hash])
    }

    /// Both lines of the key log for the traffic of the handshake.
    pub(crate) fn key_log_lines(&self, client_random: &[u8; 32]) -> [Zeroizing<String>; 2] {
        let line =
            |label, side| key_log_line(label, client_random, self.of(side).bytes(self.suite));
        [
            line("CLIENT_HANDSHAKE_TRAFFIC_SECRET", Side::Client),
            line("SERVER_HANDSHAKE_TRAFFIC_SECRET", Side::Server),
        ]
    }
}

/// What a record key is made of (RFC 8446 §7.3, RFC 9147 §4.2.3).
struct RecordSecrets {
    key: Zeroizing<[u8; KEY_MAX]>,
    iv: Zeroizing<[u8; Aead::IV_LEN]>,
    sn: Zeroizing<[u8; KEY_MAX]>,
}

impl RecordSecrets {
    fn of(secret: &Secret, suite: SuiteV13) -> Self {
        let mut secrets = Self {
            key: Zeroizing::new([0; KEY_MAX]),
            iv: Zeroizing::new([0; Aead::IV_LEN]),
            sn: Zeroizing::new([0; KEY_MAX]),
        };
        let key_len = suite.aead.key_len();
        let expander = secret.expander(suite);
        for (label, out) in [
            (&b"key"[..], secrets.key.split_at_mut(key_len).0),
            (b"iv", &mut secrets.iv[..]),
            (b"sn", secrets.sn.split_at_mut(key_len).0),
        ] {
            let expanded = expander.expand(label, &[], out);
            debug_assert!(expanded.is_some(), "a key is short");
        }
        secrets
    }
}

/// The secrets of an association: its traffic, which KeyUpdate moves on, and what is exported.
#[derive(Debug)]
pub(crate) struct Application {
    traffic: TrafficSecrets,
    exporter: Secret,
}

impl Application {
    /// The key that `side` writes with at present.
    pub(crate) fn record_key(&self, side: Side, config: &Config) -> Result<RecordKey, Error> {
        self.traffic.record_key(side, config)
    }

    /// The key that `side` writes with from its next epoch on (RFC 8446 §7.2). The secret before it is gone.
    pub(crate) fn next_record_key(
        &mut self,
        side: Side,
        config: &Config,
    ) -> Result<RecordKey, Error> {
        let suite = self.traffic.suite;
        let next = self
            .traffic
            .of(side)
            .expander(suite)
            .derive(b"traffic upd", &[]);
        match side {
            Side::Client => self.traffic.client = next,
            Side::Server => self.traffic.server = next,
        }
        self.record_key(side, config)
    }

    /// RFC 8446 §7.5: no context and an empty one are the same.
    pub(super) fn export(
        &self,
        label: &str,
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ApiMisuse> {
        let suite = self.traffic.suite;
        let mut of_label = Secret(Zeroizing::new([0; HASH_MAX]));
        let (secret, _) = of_label
            .0
            .split_at_mut(suite.hash().output_len().min(HASH_MAX));
        let context = suite.hash().hash(context.unwrap_or_default());
        let of_none = suite.hash().hash(&[]);
        self.exporter
            .expander(suite)
            .expand(label.as_bytes(), of_none.as_ref(), secret)
            .and_then(|()| {
                let expander = of_label.expander(suite);
                expander.expand(b"exporter", context.as_ref(), out)
            })
            .ok_or_else(|| {
                out.zeroize();
                ApiMisuse::ExportRefused
            })
    }

    /// The three lines of the key log for the association.
    pub(crate) fn key_log_lines(&self, client_random: &[u8; 32]) -> [Zeroizing<String>; 3] {
        let suite = self.traffic.suite;
        [
            ("CLIENT_TRAFFIC_SECRET_0", &self.traffic.client),
            ("SERVER_TRAFFIC_SECRET_0", &self.traffic.server),
            ("EXPORTER_SECRET", &self.exporter),
        ]
        .map(|(label, secret)| key_log_line(label, client_random, secret.bytes(suite)))
    }
}

#[cfg(test)]
mod tests;
