//! The key schedule of DTLS 1.3: each secret is a type, and using one up makes the next (RFC 8446 §7.1).
//!
//! ```text
//!            0 ──▶ EarlySecret                         no pre-shared key: none is ever used
//!                      │ "derived"
//!  shared secret ──▶ HandshakeSecret ── "c hs traffic", "s hs traffic" + ServerHello ──▶ HandshakeTraffic
//!                      │ "derived"
//!            0 ──▶ MasterSecret ── "c ap traffic", "s ap traffic", "exp master" + server Finished ──▶ Application
//!
//!  of each traffic secret: "key", "iv", "sn" ──▶ record keys; "finished" ──▶ verify_data; "traffic upd" ──▶ the next one
//! ```
//!
//! The labels have DTLS's prefix (RFC 9147 §5.9). HKDF (RFC 5869) is done here: nothing is allocated, every secret on the
//! way is wiped, and one that much is expanded from is made a key once; what depends on nothing is made once for all.

use std::fmt;
use std::sync::LazyLock;

use zeroize::{Zeroize, Zeroizing};

use super::key_log_line;
use crate::config::{Config, Side};
use crate::crypto::SuiteV13;
use crate::crypto::hash::Hash;
use crate::crypto::hmac::{self, Tag};
use crate::error::{ApiMisuse, Error};
use crate::record::protect::{Protection, RecordKey, RecordSecrets};

/// The constant head of an HkdfLabel but for its lengths: what TLS calls "tls13 " (RFC 9147 §5.9).
const PREFIX: &[u8; 6] = b"dtls13";

/// A secret as long as the suite's hash. Wiped when dropped, never printed.
struct Secret(Tag);

impl Secret {
    /// HKDF-Extract (RFC 5869 §2.2) with another secret, or none, as the salt.
    fn extract(salt: &hmac::Key, input: &[u8]) -> Self {
        Self(salt.sign(&[input]))
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    fn expander(&self, hash: Hash) -> Expander {
        Expander(hmac::Key::new(hash, self.bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

/// What a secret is expanded with. Wiped when dropped, never printed.
struct Expander(hmac::Key);

impl Expander {
    /// Derive-Secret (RFC 8446 §7.1), of a transcript whose hash is known.
    fn derive(&self, label: &[u8], transcript_hash: &[u8]) -> Secret {
        let block = self.block(self.0.tag_len(), &[], label, transcript_hash, 1);
        Secret(block.expect("our labels and a hash are short"))
    }

    /// HKDF-Expand-Label (RFC 8446 §7.1, RFC 5869 §2.3); `None` if output or label are longer than that can say.
    #[must_use]
    fn expand(&self, label: &[u8], context: &[u8], out: &mut [u8]) -> Option<()> {
        let len = out.len();
        let mut before: Option<Tag> = None;
        for (counter, out) in (1..).zip(out.chunks_mut(self.0.tag_len())) {
            let chained = before.as_ref().map_or(&[][..], Tag::as_ref);
            let counter = u8::try_from(counter).ok()?;
            let block = self.block(len, chained, label, context, counter)?;
            out.copy_from_slice(block.as_ref().get(..out.len())?);
            before = Some(block);
        }
        Some(())
    }

    /// What a record key is made of (RFC 8446 §7.3, RFC 9147 §4.2.3).
    fn record_secrets(&self, suite: SuiteV13, protection: Protection) -> RecordSecrets {
        let mut secrets = RecordSecrets::new(suite.0, protection);
        let [key, sn_key, iv] = secrets.parts_mut();
        for (label, out) in [(&b"key"[..], key), (b"sn", sn_key), (b"iv", iv)] {
            let expanded = self.expand(label, &[], out);
            debug_assert!(expanded.is_some(), "a key is short");
        }
        secrets
    }

    /// One block of an output of `len` bytes, behind the block before it.
    fn block(
        &self,
        len: usize,
        before: &[u8],
        label: &[u8],
        context: &[u8],
        counter: u8,
    ) -> Option<Tag> {
        let [high, low] = u16::try_from(len).ok()?.to_be_bytes();
        let label_len = u8::try_from(PREFIX.len() + label.len()).ok()?;
        let [d, t, l, s, one, three] = *PREFIX;
        let head = [high, low, label_len, d, t, l, s, one, three];
        let context_len = [u8::try_from(context.len()).ok()?];
        let parts = [before, &head, label, &context_len, context, &[counter]];
        Some(self.0.sign(&parts))
    }
}

/// What one side's records of an epoch are protected by, to be kept: the epoch has ended, and what was written in it may
/// still come. A tenth of an expanded key. Wiped when dropped, never printed.
pub(crate) struct TrafficSecret(Zeroizing<[u8; Hash::MAX_LEN]>);

impl TrafficSecret {
    fn of(secret: &Secret) -> Self {
        let mut bytes = [0; Hash::MAX_LEN];
        let (start, _) = bytes.split_at_mut(secret.bytes().len());
        start.copy_from_slice(secret.bytes());
        Self(Zeroizing::new(bytes))
    }

    /// What the record key is made of.
    pub(crate) fn record_secrets(&self, suite: SuiteV13, protection: Protection) -> RecordSecrets {
        let hash = suite.hash();
        let (secret, _) = self.0.split_at(hash.output_len());
        Expander(hmac::Key::new(hash, secret)).record_secrets(suite, protection)
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl TrafficSecret {
    pub(crate) fn repeated(byte: u8) -> Self {
        Self(Zeroizing::new([byte; Hash::MAX_LEN]))
    }
}

/// As many zeros as the hash has bytes: no salt, or no input.
fn zeros(hash: Hash) -> &'static [u8] {
    const ZEROS: &[u8] = &[0; Hash::MAX_LEN];
    let (zeros, _) = ZEROS.split_at(hash.output_len());
    zeros
}

/// "derived": what one stage leaves to the next as its salt.
fn derived(hash: Hash, expander: &Expander) -> hmac::Key {
    let salt = expander.derive(b"derived", hash.hash(&[]).as_ref());
    hmac::Key::new(hash, salt.bytes())
}

/// The first stage. There are no pre-shared keys, and so nothing comes of it but the next.
pub(crate) struct EarlySecret {
    suite: SuiteV13,
}

impl EarlySecret {
    pub(crate) fn without_psk(suite: SuiteV13) -> Self {
        Self { suite }
    }

    /// Adds what the key exchange agreed on.
    pub(crate) fn handshake(self, shared_secret: &[u8]) -> HandshakeSecret {
        let hash = self.suite.hash();
        let secret = Secret::extract(Self::salt(hash), shared_secret);
        HandshakeSecret {
            suite: self.suite,
            expander: secret.expander(hash),
        }
    }

    /// What this stage leaves: made of zeros and no secret, it is the same in all handshakes.
    fn salt(hash: Hash) -> &'static hmac::Key {
        static SHA256: LazyLock<hmac::Key> = LazyLock::new(|| EarlySecret::make_salt(Hash::Sha256));
        static SHA384: LazyLock<hmac::Key> = LazyLock::new(|| EarlySecret::make_salt(Hash::Sha384));
        match hash {
            Hash::Sha256 => &SHA256,
            Hash::Sha384 => &SHA384,
        }
    }

    fn make_salt(hash: Hash) -> hmac::Key {
        let secret = Secret::extract(&hmac::Key::new(hash, zeros(hash)), zeros(hash));
        derived(hash, &secret.expander(hash))
    }
}

/// The second stage.
pub(crate) struct HandshakeSecret {
    suite: SuiteV13,
    expander: Expander,
}

impl HandshakeSecret {
    /// What protects the rest of the handshake; the transcript ends with the ServerHello.
    pub(crate) fn traffic(&self, transcript_hash: &[u8]) -> HandshakeTraffic {
        let secrets = TrafficSecrets {
            suite: self.suite,
            client: self.expander.derive(b"c hs traffic", transcript_hash),
            server: self.expander.derive(b"s hs traffic", transcript_hash),
        };
        HandshakeTraffic {
            client: secrets.client.expander(self.suite.hash()),
            server: secrets.server.expander(self.suite.hash()),
            secrets,
        }
    }

    pub(crate) fn master(self) -> MasterSecret {
        let hash = self.suite.hash();
        let salt = derived(hash, &self.expander);
        MasterSecret {
            suite: self.suite,
            secret: Secret::extract(&salt, zeros(hash)),
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
        Application::new(self.suite, &[self.secret.bytes(), transcript_hash])
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

unprinted!(
    Expander,
    EarlySecret,
    HandshakeSecret,
    HandshakeTraffic,
    MasterSecret,
    TrafficSecret,
    Application
);

/// The secrets of the handshake's own traffic, each with what it is expanded by: record keys at once, Finished later.
pub(crate) struct HandshakeTraffic {
    secrets: TrafficSecrets,
    client: Expander,
    server: Expander,
}

impl HandshakeTraffic {
    /// Of what `side` sends.
    fn of(&self, side: Side) -> &Expander {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    /// The key that `side` writes with.
    pub(crate) fn record_key(&self, side: Side, config: &Config) -> Result<RecordKey, Error> {
        let suite = self.secrets.suite;
        let secrets = self.of(side).record_secrets(suite, config.protection());
        secrets.key().ok_or(Error::CryptoFailed)
    }

    /// What is left of `side`'s records when it has said all of its handshake.
    pub(crate) fn secret(&self, side: Side) -> TrafficSecret {
        TrafficSecret::of(self.secrets.of(side))
    }

    /// What `side`'s Finished says about a transcript with this hash (RFC 8446 §4.4.4).
    pub(crate) fn verify_data(&self, side: Side, transcript_hash: &[u8]) -> Tag {
        let secret = self.of(side).derive(b"finished", &[]);
        hmac::Key::new(self.secrets.suite.hash(), secret.bytes()).sign(&[transcript_hash])
    }

    /// Both lines of the key log for the traffic of the handshake.
    pub(crate) fn key_log_lines(&self, client_random: &[u8; 32]) -> [Zeroizing<String>; 2] {
        let line = |label, side| key_log_line(label, client_random, self.secrets.of(side).bytes());
        [
            line("CLIENT_HANDSHAKE_TRAFFIC_SECRET", Side::Client),
            line("SERVER_HANDSHAKE_TRAFFIC_SECRET", Side::Server),
        ]
    }
}

/// One secret for each direction: of the handshake, or of an epoch of the association.
#[derive(Debug)]
struct TrafficSecrets {
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
}

/// The secrets of an association: its traffic, which KeyUpdate moves on, and what is exported.
///
/// Until the first KeyUpdate all of them follow from the master secret and the transcript, and those two are what is kept:
/// they say no more than the three secrets do, in less memory. From then on the three are kept, and the master secret,
/// which would give away what was said before, is gone.
///
/// The parts are each as long as the suite's hash: the master secret and the hash of the transcript, or the three secrets in
/// the order of [`Purpose`]. How many bytes that is stands in the variant, and not beside each pointer.
pub(crate) enum Application {
    /// Two parts of SHA-256.
    Bytes64(SuiteV13, Box<Zeroizing<[u8; 64]>>),
    /// Three parts of SHA-256, or two of SHA-384.
    Bytes96(SuiteV13, Box<Zeroizing<[u8; 96]>>),
    /// Three parts of SHA-384.
    Bytes144(SuiteV13, Box<Zeroizing<[u8; 144]>>),
}

/// What a secret of an association is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    ClientTraffic,
    ServerTraffic,
    Exporter,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::ClientTraffic, Self::ServerTraffic, Self::Exporter];

    fn traffic(side: Side) -> Self {
        match side {
            Side::Client => Self::ClientTraffic,
            Side::Server => Self::ServerTraffic,
        }
    }

    fn label(self) -> &'static [u8] {
        match self {
            Self::ClientTraffic => b"c ap traffic",
            Self::ServerTraffic => b"s ap traffic",
            Self::Exporter => b"exp master",
        }
    }
}

/// One part after the other.
fn joined<const LEN: usize>(parts: &[&[u8]]) -> Box<Zeroizing<[u8; LEN]>> {
    let mut joined = Box::new(Zeroizing::new([0; LEN]));
    let bytes = parts.iter().copied().flatten();
    for (to, from) in joined.iter_mut().zip(bytes) {
        *to = *from;
    }
    joined
}

impl Application {
    fn new(suite: SuiteV13, parts: &[&[u8]]) -> Self {
        match (suite.hash(), parts.len()) {
            (Hash::Sha256, ..3) => Self::Bytes64(suite, joined(parts)),
            (Hash::Sha256, _) | (Hash::Sha384, ..3) => Self::Bytes96(suite, joined(parts)),
            (Hash::Sha384, _) => Self::Bytes144(suite, joined(parts)),
        }
    }

    fn suite(&self) -> SuiteV13 {
        match self {
            Self::Bytes64(suite, _) | Self::Bytes96(suite, _) | Self::Bytes144(suite, _) => *suite,
        }
    }

    fn parts(&self) -> &[u8] {
        match self {
            Self::Bytes64(_, parts) => parts.as_slice(),
            Self::Bytes96(_, parts) => parts.as_slice(),
            Self::Bytes144(_, parts) => parts.as_slice(),
        }
    }

    fn part(&self, index: usize) -> &[u8] {
        let len = self.suite().hash().output_len();
        self.parts()
            .get(index * len..(index + 1) * len)
            .unwrap_or_default()
    }

    /// Whether the master secret is kept.
    fn is_first(&self) -> bool {
        self.parts().len() == 2 * self.suite().hash().output_len()
    }

    fn secret(&self, purpose: Purpose) -> Secret {
        if !self.is_first() {
            return Secret(Tag::of(self.part(purpose as usize)));
        }
        let master = hmac::Key::new(self.suite().hash(), self.part(0));
        Expander(master).derive(purpose.label(), self.part(1))
    }

    fn expander(&self, purpose: Purpose) -> Expander {
        self.secret(purpose).expander(self.suite().hash())
    }

    /// The key that `side` writes with at present.
    pub(crate) fn record_key(&self, side: Side, config: &Config) -> Result<RecordKey, Error> {
        let secrets = self.record_secrets(side, config);
        secrets.key().ok_or(Error::CryptoFailed)
    }

    /// What that key is made of.
    pub(crate) fn record_secrets(&self, side: Side, config: &Config) -> RecordSecrets {
        let expander = self.expander(Purpose::traffic(side));
        expander.record_secrets(self.suite(), config.protection())
    }

    /// What the key is made of that `side` writes with in its next epoch.
    pub(crate) fn next_record_secrets(&self, side: Side, config: &Config) -> RecordSecrets {
        let expander = self.next_secret(side).expander(self.suite().hash());
        expander.record_secrets(self.suite(), config.protection())
    }

    /// What `side`'s traffic has in its next epoch (RFC 8446 §7.2).
    fn next_secret(&self, side: Side) -> Secret {
        let expander = self.expander(Purpose::traffic(side));
        expander.derive(b"traffic upd", &[])
    }

    /// `side`'s next epoch takes the place of the present one, whose secret is gone.
    pub(crate) fn move_on(&mut self, side: Side) {
        let moving = Purpose::traffic(side);
        let secrets = Purpose::ALL.map(|purpose| match purpose == moving {
            true => self.next_secret(side),
            false => self.secret(purpose),
        });
        *self = Self::new(self.suite(), &secrets.each_ref().map(Secret::bytes));
    }

    /// RFC 8446 §7.5: no context and an empty one are the same.
    pub(super) fn export(
        &self,
        label: &str,
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ApiMisuse> {
        let hash = self.suite().hash();
        let context = hash.hash(context.unwrap_or_default());
        let exporter = self.expander(Purpose::Exporter);
        exporter
            .block(
                hash.output_len(),
                &[],
                label.as_bytes(),
                hash.hash(&[]).as_ref(),
                1,
            )
            .and_then(|secret| {
                let expander = Secret(secret).expander(hash);
                expander.expand(b"exporter", context.as_ref(), out)
            })
            .ok_or_else(|| {
                out.zeroize();
                ApiMisuse::ExportRefused
            })
    }

    /// The three lines of the key log for the association.
    pub(crate) fn key_log_lines(&self, client_random: &[u8; 32]) -> [Zeroizing<String>; 3] {
        [
            ("CLIENT_TRAFFIC_SECRET_0", Purpose::ClientTraffic),
            ("SERVER_TRAFFIC_SECRET_0", Purpose::ServerTraffic),
            ("EXPORTER_SECRET", Purpose::Exporter),
        ]
        .map(|(label, purpose)| key_log_line(label, client_random, self.secret(purpose).bytes()))
    }
}

#[cfg(test)]
mod tests;
