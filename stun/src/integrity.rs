//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.5, §14.6): the key, and the proof that it fits.

use core::{fmt, ops::Deref};

use crate::{
    attribute::Position,
    error::IntegrityError,
    header::HEADER_LEN,
    hmac::{HmacKey, Mac, Sha1, Sha256},
    message::Message,
};

/// Which integrity attribute authenticates a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntegrityAlgorithm {
    /// MESSAGE-INTEGRITY: HMAC-SHA1, 20 bytes.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256: HMAC-SHA256, 32 bytes when written, 16 to 32 when read.
    Sha256,
    /// GOOG-MESSAGE-INTEGRITY-32: HMAC-SHA1 cut to 4 bytes, for GOOG_PING alone. Too weak to grant anything new.
    Sha1Truncated32,
}

impl IntegrityAlgorithm {
    /// The size of the value when written, in bytes.
    pub(crate) const fn mac_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha1Truncated32 => 4,
        }
    }
}

/// A credential's key, as the hash states it leads to (104 bytes). Make one per credential generation and keep it.
///
/// It is wiped on drop and prints nothing of itself. The password cannot be had back from it.
#[derive(Clone)]
pub struct IntegrityKey {
    sha1: HmacKey<Sha1>,
    sha256: HmacKey<Sha256>,
}

impl IntegrityKey {
    /// The key of a short-term credential: the password's bytes (RFC 8489 §9.1.1). ICE passwords are ASCII, for which
    /// the string preparation that the RFC asks for changes nothing.
    #[must_use]
    pub fn short_term(password: &[u8]) -> Self {
        Self::new(password)
    }

    /// A key from its bytes, such as the digest of a long-term credential (RFC 8489 §9.2.2, §18.5.1). Any length will do.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self {
            sha1: HmacKey::new(key),
            sha256: HmacKey::new(key),
        }
    }

    /// The MAC of a message's first `covered.len()` bytes, as if the message ended behind an integrity value of `mac_len` bytes.
    #[inline]
    pub(crate) fn mac(&self, algorithm: IntegrityAlgorithm, covered: &[u8], mac_len: usize) -> Mac {
        let &[t0, t1, _, _] = covered
            .first_chunk()
            .expect("integrity stands behind a header of 20 bytes");
        let length = covered.len() + 4 + mac_len - HEADER_LEN;
        let [l0, l1] = (length as u16).to_be_bytes();
        let head = [t0, t1, l0, l1];
        match algorithm {
            IntegrityAlgorithm::Sha1 | IntegrityAlgorithm::Sha1Truncated32 => {
                Mac::Sha1(self.sha1.mac(head, covered))
            }
            IntegrityAlgorithm::Sha256 => Mac::Sha256(self.sha256.mac(head, covered)),
        }
    }
}

impl fmt::Debug for IntegrityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntegrityKey(..)")
    }
}

/// A message whose integrity was verified: the only way to one is [`Message::verify`], so a function that takes it
/// cannot be handed an unauthenticated message.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    message: &'a Message<'a>,
    algorithm: IntegrityAlgorithm,
}

impl<'a> Verified<'a> {
    /// Which attribute was verified; the answer uses the same (RFC 8489 §9.1.3).
    #[must_use]
    pub fn algorithm(&self) -> IntegrityAlgorithm {
        self.algorithm
    }

    pub(crate) fn check(
        message: &'a Message<'a>,
        algorithm: IntegrityAlgorithm,
        position: Position,
        key: &IntegrityKey,
    ) -> Result<Self, IntegrityError> {
        let bytes = message.as_bytes();
        let received = position
            .attribute(bytes)
            .ok_or(IntegrityError::Missing)?
            .value;
        let expected = key.mac(algorithm, position.before(bytes), received.len());
        if expected.matches(received) {
            Ok(Self { message, algorithm })
        } else {
            Err(IntegrityError::Mismatch)
        }
    }
}

impl<'a> Deref for Verified<'a> {
    type Target = Message<'a>;

    fn deref(&self) -> &Self::Target {
        self.message
    }
}
