//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.5, §14.6): the key, and the proof that it fits.

use core::{fmt, ops::Deref};

use crate::{
    attribute::Position,
    error::IntegrityError,
    fingerprint::FingerprintStatus,
    header::HEADER_LEN,
    hmac::{HmacKey, Sha1, Sha256, matches},
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

/// A credential's key, as the hash states it leads to. Make one per credential generation and keep it: 48 bytes, and 64 on
/// the heap for MESSAGE-INTEGRITY-SHA256 unless it was [made without](Self::sha1_only).
///
/// It is wiped on drop and prints nothing of itself. The password cannot be had back from it.
#[derive(Clone)]
pub struct IntegrityKey {
    sha1: HmacKey<Sha1>,
    sha256: Option<Box<HmacKey<Sha256>>>,
}

/// The part of an [`IntegrityKey`] that MESSAGE-INTEGRITY takes, 40 bytes: for the peer's key of an ICE agent, whose own checks carry
/// nothing else, and so their answers neither (RFC 8489 §9.1.4).
///
/// It is wiped on drop and prints nothing of itself. The password cannot be had back from it.
#[derive(Clone)]
pub struct Sha1Key(HmacKey<Sha1>);

impl Sha1Key {
    /// The key of a short-term credential; see [`IntegrityKey::short_term`].
    #[must_use]
    pub fn short_term(password: &[u8]) -> Self {
        Self(HmacKey::new(password))
    }

    /// Whether it was made from the same bytes. Constant-time.
    #[must_use]
    pub fn is_of(&self, key: &[u8]) -> bool {
        self.0.equals(&HmacKey::new(key))
    }
}

/// What makes MACs.
pub(crate) trait MacKey {
    /// Hands on the MAC of a message's first `covered.len()` bytes, as if the message ended behind an integrity value of `mac_len`
    /// bytes. `None` without the states for it. What is done `meanwhile` takes next to no time of its own.
    fn with_mac<T, R>(
        &self,
        algorithm: IntegrityAlgorithm,
        covered: &[u8],
        mac_len: usize,
        meanwhile: impl FnOnce() -> T,
        take: impl FnOnce(&[u32], T) -> R,
    ) -> Option<R>;
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
            sha256: Some(Box::new(HmacKey::new(key))),
        }
    }

    /// A key for messages that carry MESSAGE-INTEGRITY: what ICE sends, and so what its answers carry (RFC 8489 §9.1.4).
    /// No MESSAGE-INTEGRITY-SHA256 matches it, and a message that is to carry one fails.
    #[must_use]
    pub fn sha1_only(key: &[u8]) -> Self {
        Self {
            sha1: HmacKey::new(key),
            sha256: None,
        }
    }

    /// Whether it is [for MESSAGE-INTEGRITY](Self::sha1_only) alone.
    #[must_use]
    #[inline]
    pub fn is_sha1_only(&self) -> bool {
        self.sha256.is_none()
    }

    /// Whether it was made from the same bytes. Constant-time.
    #[must_use]
    pub fn is_of(&self, key: &[u8]) -> bool {
        self.sha1.equals(&HmacKey::new(key))
    }
}

impl MacKey for IntegrityKey {
    #[inline]
    fn with_mac<T, R>(
        &self,
        algorithm: IntegrityAlgorithm,
        covered: &[u8],
        mac_len: usize,
        meanwhile: impl FnOnce() -> T,
        take: impl FnOnce(&[u32], T) -> R,
    ) -> Option<R> {
        let head = authenticated_head(covered, mac_len);
        Some(match algorithm {
            IntegrityAlgorithm::Sha1 | IntegrityAlgorithm::Sha1Truncated32 => {
                let (mac, done) = self.sha1.mac_meanwhile(head, covered, meanwhile);
                take(&mac, done)
            }
            IntegrityAlgorithm::Sha256 => {
                let states = self.sha256.as_ref()?;
                let (mac, done) = states.mac_meanwhile(head, covered, meanwhile);
                take(&mac, done)
            }
        })
    }
}

impl MacKey for Sha1Key {
    #[inline]
    fn with_mac<T, R>(
        &self,
        algorithm: IntegrityAlgorithm,
        covered: &[u8],
        mac_len: usize,
        meanwhile: impl FnOnce() -> T,
        take: impl FnOnce(&[u32], T) -> R,
    ) -> Option<R> {
        let head = authenticated_head(covered, mac_len);
        (algorithm != IntegrityAlgorithm::Sha256).then(|| {
            let (mac, done) = self.0.mac_meanwhile(head, covered, meanwhile);
            take(&mac, done)
        })
    }
}

/// The first four bytes of a message as if it ended behind an integrity value of `mac_len` bytes.
#[inline]
fn authenticated_head(covered: &[u8], mac_len: usize) -> [u8; 4] {
    let &[t0, t1, _, _] = covered
        .first_chunk()
        .expect("integrity stands behind a header of 20 bytes");
    let length = covered.len() + 4 + mac_len - HEADER_LEN;
    let [l0, l1] = (length as u16).to_be_bytes();
    [t0, t1, l0, l1]
}

impl fmt::Debug for Sha1Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha1Key(..)")
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
    fingerprint: FingerprintStatus,
}

impl<'a> Verified<'a> {
    /// What FINGERPRINT says, as [`Message::fingerprint`] does: it was computed while the MAC was.
    #[must_use]
    #[inline]
    pub fn fingerprint(&self) -> FingerprintStatus {
        self.fingerprint
    }

    /// Which attribute was verified; the answer uses the same (RFC 8489 §9.1.3).
    #[must_use]
    #[inline]
    pub fn algorithm(&self) -> IntegrityAlgorithm {
        self.algorithm
    }

    /// As [`check`](Self::check); what `key` lacks is derived from `password`, and kept once that has proven right.
    #[inline]
    pub(crate) fn check_or_learn<'p>(
        message: &'a Message<'a>,
        algorithm: IntegrityAlgorithm,
        position: Position,
        key: &mut IntegrityKey,
        password: impl FnOnce() -> &'p [u8],
    ) -> Result<Self, IntegrityError> {
        if algorithm != IntegrityAlgorithm::Sha256 || key.sha256.is_some() {
            return Self::check(message, algorithm, position, key);
        }
        Self::learn(message, position, key, password())
    }

    /// By MESSAGE-INTEGRITY-SHA256, for which `key` has no states yet.
    fn learn(
        message: &'a Message<'a>,
        position: Position,
        key: &mut IntegrityKey,
        password: &[u8],
    ) -> Result<Self, IntegrityError> {
        let bytes = message.as_bytes();
        let received = position
            .attribute(bytes)
            .ok_or(IntegrityError::Missing)?
            .value;
        let states = HmacKey::<Sha256>::new(password);
        let covered = position.before(bytes);
        let expected = states.mac(authenticated_head(covered, received.len()), covered);
        if !matches(&expected, received) {
            return Err(IntegrityError::Mismatch);
        }
        key.sha256 = Some(Box::new(states));
        let algorithm = IntegrityAlgorithm::Sha256;
        Ok(Self {
            message,
            algorithm,
            fingerprint: message.fingerprint(),
        })
    }

    #[inline]
    pub(crate) fn check(
        message: &'a Message<'a>,
        algorithm: IntegrityAlgorithm,
        position: Position,
        key: &impl MacKey,
    ) -> Result<Self, IntegrityError> {
        let bytes = message.as_bytes();
        let received = position
            .attribute(bytes)
            .ok_or(IntegrityError::Missing)?
            .value;
        let covered = position.before(bytes);
        let fingerprint = || message.fingerprint();
        let verified = key.with_mac(
            algorithm,
            covered,
            received.len(),
            fingerprint,
            |mac, fingerprint| {
                matches(mac, received).then_some(Self {
                    message,
                    algorithm,
                    fingerprint,
                })
            },
        );
        verified.flatten().ok_or(IntegrityError::Mismatch)
    }
}

impl<'a> Deref for Verified<'a> {
    type Target = Message<'a>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        self.message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Method, TransactionId, WriteError, Writer};

    const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

    fn request(buf: &mut [u8; 100], password: &[u8]) -> usize {
        let id = TransactionId::from_bytes([7; 12]);
        let writer = Writer::request(buf, Method::BINDING, id);
        let writer = writer.integrity_sha256(&IntegrityKey::short_term(password));
        writer.fingerprint().unwrap()
    }

    #[test]
    fn the_sha1_half_of_a_key_does_what_the_whole_does_but_for_sha256() {
        let (whole, half) = (
            IntegrityKey::short_term(PASSWORD),
            Sha1Key::short_term(PASSWORD),
        );
        assert_eq!(size_of::<Sha1Key>(), 40);
        assert!(half.is_of(PASSWORD) && !half.is_of(b"another password of theirs"));
        assert_eq!(format!("{half:?}"), "Sha1Key(..)");
        let id = TransactionId::from_bytes([7; 12]);
        let (mut one, mut other) = ([0; 100], [0; 100]);
        let new = |buf| Writer::request(buf, Method::BINDING, id);
        let len = new(&mut one).integrity(&whole).fingerprint().unwrap();
        assert_eq!(new(&mut other).integrity_sha1(&half).fingerprint(), Ok(len));
        assert_eq!(one, other);
        let message = Message::parse(&one[..len]).unwrap();
        let verified = message.verify_sha1(&half).unwrap();
        assert_eq!(verified.algorithm(), IntegrityAlgorithm::Sha1);
        let strange = Sha1Key::short_term(b"another password of theirs");
        assert_eq!(
            message.verify_sha1(&strange).unwrap_err(),
            IntegrityError::Mismatch
        );
        let len = request(&mut one, PASSWORD);
        let by_sha256 = Message::parse(&one[..len]).unwrap();
        assert_eq!(
            by_sha256.verify_sha1(&half).unwrap_err(),
            IntegrityError::Mismatch
        );
    }

    #[test]
    fn a_key_learns_sha256_from_the_first_authentic_message_that_needs_it() {
        let mut key = IntegrityKey::sha1_only(PASSWORD);
        let (mut forged, mut real) = ([0; 100], [0; 100]);
        let forged_len = request(&mut forged, b"another password of theirs");
        let forged = Message::parse(&forged[..forged_len]).unwrap();
        let error = forged.verify_or_learn(&mut key, || PASSWORD).unwrap_err();
        assert_eq!(error, IntegrityError::Mismatch);
        let real_len = request(&mut real, PASSWORD);
        let real = Message::parse(&real[..real_len]).unwrap();
        assert!(real.verify(&key).is_err(), "it was made without");
        let verified = real.verify_or_learn(&mut key, || PASSWORD).unwrap();
        assert_eq!(verified.algorithm(), IntegrityAlgorithm::Sha256);
        assert!(real.verify(&key).is_ok(), "it has learnt");
        assert!(forged.verify_or_learn(&mut key, || PASSWORD).is_err());
    }

    #[test]
    fn a_verified_message_says_of_its_fingerprint_what_the_message_does() {
        use FingerprintStatus::{Absent, Invalid, Valid};
        let id = TransactionId::from_bytes([7; 12]);
        let key = IntegrityKey::short_term(PASSWORD);
        for algorithm in [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256] {
            for status in [Absent, Valid, Invalid] {
                let mut buf = [0; 100];
                let writer = Writer::request(&mut buf, Method::BINDING, id);
                let writer = writer.integrity_as(algorithm, &key);
                let len = match status {
                    Absent => writer.finish().unwrap(),
                    Valid | Invalid => writer.fingerprint().unwrap(),
                };
                buf[len - 1] ^= u8::from(status == Invalid);
                let message = Message::parse(&buf[..len]).unwrap();
                let verified = message.verify(&key).unwrap();
                assert_eq!(
                    (verified.fingerprint(), message.fingerprint()),
                    (status, status)
                );
                let mut learning = IntegrityKey::sha1_only(PASSWORD);
                let learnt = message.verify_or_learn(&mut learning, || PASSWORD);
                assert_eq!(learnt.unwrap().fingerprint(), status);
            }
        }
    }

    #[test]
    fn a_key_without_sha256_writes_none() {
        let mut buf = [0; 100];
        let id = TransactionId::from_bytes([7; 12]);
        let writer = Writer::request(&mut buf, Method::BINDING, id);
        let writer = writer.integrity_sha256(&IntegrityKey::sha1_only(PASSWORD));
        assert_eq!(writer.fingerprint(), Err(WriteError::KeyWithoutSha256));
    }

    #[test]
    fn a_key_knows_the_password_it_is_of() {
        let key = IntegrityKey::sha1_only(PASSWORD);
        assert!(key.is_of(PASSWORD));
        assert!(!key.is_of(b"VOkJxbRl1RmTxUk/WvJxBu"));
    }
}
