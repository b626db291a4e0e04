//! A key that seals and opens records in place, and masks their numbers: the lengths, limits and nonces of the ciphers,
//! whichever backend they come from.
//!
//! Nonces are made of the record number and so never repeat; nothing here is random.

use std::fmt;

use zeroize::Zeroizing;

use super::cipher::{Cipher, Mask};
use super::header::{Epoch, RecordNumber};
use crate::crypto::CryptoBackend;
use crate::event::AeadLimit;
use crate::msgs::enums::CipherSuite;

/// The bytes every cipher here appends.
pub(crate) const TAG_LEN: usize = 16;

/// The bytes of ciphertext that a mask is made of (RFC 9147 §4.2.3).
pub(super) const SAMPLE_LEN: usize = 16;

pub(super) const NONCE_LEN: usize = 12;

/// The longest key of a cipher.
const KEY_MAX: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aead {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl Aead {
    /// The record cipher of a suite.
    pub(crate) fn of(cipher_suite: CipherSuite) -> Option<Self> {
        match cipher_suite {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS13_AES_128_GCM_SHA256 => Some(Self::Aes128Gcm),
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS13_AES_256_GCM_SHA384 => Some(Self::Aes256Gcm),
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }

    /// Bytes of the key, and of the key that masks record numbers (RFC 9147 §4.2.3).
    pub(crate) fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    /// Bytes of the nonce that come from the key schedule of DTLS 1.2.
    pub(crate) fn fixed_iv_len(self) -> usize {
        NONCE_LEN - self.explicit_nonce_len()
    }

    /// Bytes of the nonce that precede the ciphertext of a DTLS 1.2 record.
    #[inline]
    pub(crate) fn explicit_nonce_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 8,
            Self::ChaCha20Poly1305 => 0,
        }
    }

    /// Records that may be sealed with one key before it is changed, or its owner warned (RFC 9147 §4.5.3: 2^24.5 for
    /// AES-GCM).
    #[inline]
    pub(crate) fn confidentiality_limit(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 23_726_566,
            Self::ChaCha20Poly1305 => RecordNumber::SEQUENCES,
        }
    }
}

/// By what records are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    Real(CryptoBackend),
    /// The identity function with a tag of zeros, so that a fuzzer gets past it.
    #[cfg(feature = "fuzzing")]
    Null,
}

/// One direction's key of one epoch, and with it the form of the epoch's records. To read by, it counts what was forged.
pub(crate) enum RecordKey {
    V12(Box<KeyV12>, Forgeries),
    V13(Box<KeyV13>, Forgeries),
    /// One of DTLS 1.3 that is about to be changed: it is made anew for each record, which costs time for a round trip, and
    /// leaves its memory to what the change needs.
    Packed(Box<RecordSecrets>, Forgeries),
}

/// Forged records that were refused with one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forgeries(pub(super) u32);

impl Forgeries {
    /// As many may be refused with one key before it is changed, or its owner warned. RFC 9147 §4.5.3 allows 2³⁶; so many
    /// fewer can be counted in four bytes.
    pub(super) const LIMIT: u32 = u32::MAX - 1;

    /// One more; says so if that makes `told`.
    pub(super) fn count(&mut self, told: u32) -> Option<AeadLimit> {
        self.0 = self.0.saturating_add(1);
        (self.0 == told).then_some(AeadLimit::Integrity)
    }
}

/// A key of DTLS 1.2.
pub(crate) type KeyV12 = Key<()>;

/// A key of DTLS 1.3, and what masks the numbers of its records.
pub(crate) type KeyV13 = Key<Mask>;

pub(crate) struct Key<M> {
    cipher: Cipher,
    mask: M,
    iv: Zeroizing<[u8; NONCE_LEN]>,
    aead: Aead,
    epoch: Epoch,
    /// The owner knows that the limit of the cipher is near.
    is_near_limit: bool,
}

/// A record that does not authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forged;

impl RecordKey {
    /// A key of DTLS 1.2; `None` if a length does not fit the cipher.
    pub(crate) fn v12(
        aead: Aead,
        key: &[u8],
        fixed_iv: &[u8],
        protection: Protection,
    ) -> Option<Self> {
        let fitting = fixed_iv.len() == aead.fixed_iv_len();
        let mut iv = Zeroizing::new([0; NONCE_LEN]);
        iv.get_mut(..fixed_iv.len())
            .filter(|_| fitting)?
            .copy_from_slice(fixed_iv);
        let key = Box::new(Key {
            cipher: Cipher::new(aead, key, protection)?,
            mask: (),
            iv,
            aead,
            epoch: Epoch::DTLS1_2,
            is_near_limit: false,
        });
        Some(Self::V12(key, Forgeries::default()))
    }

    /// It is near the limit of its cipher. Whether nobody has said so before.
    #[inline]
    pub(super) fn first_near_limit(&mut self) -> bool {
        let is_near_limit = match self {
            Self::V12(key, _) => &mut key.is_near_limit,
            Self::V13(key, _) => &mut key.is_near_limit,
            // Its change is under way.
            Self::Packed(..) => return false,
        };
        !std::mem::replace(is_near_limit, true)
    }

    /// The same key of DTLS 1.3, made of `secrets`, in a tenth of the memory.
    pub(super) fn pack(&mut self, secrets: RecordSecrets) {
        let epoch = self.epoch();
        if let Self::V13(_, forgeries) = *self {
            *self = Self::Packed(Box::new(secrets), forgeries).of_epoch(epoch);
        }
    }

    pub(super) fn is_packed(&self) -> bool {
        matches!(self, Self::Packed(..))
    }

    /// The same key, as that of this epoch.
    pub(super) fn of_epoch(mut self, epoch: Epoch) -> Self {
        match &mut self {
            Self::V12(key, _) => key.epoch = epoch,
            Self::V13(key, _) => key.epoch = epoch,
            Self::Packed(secrets, _) => secrets.epoch = epoch,
        }
        self
    }

    #[inline]
    pub(super) fn epoch(&self) -> Epoch {
        match self {
            Self::V12(key, _) => key.epoch,
            Self::V13(key, _) => key.epoch,
            Self::Packed(secrets, _) => secrets.epoch,
        }
    }

    #[inline]
    pub(super) fn aead(&self) -> Aead {
        match self {
            Self::V12(key, _) => key.aead,
            Self::V13(key, _) => key.aead,
            Self::Packed(secrets, _) => secrets.aead,
        }
    }

    pub(super) fn protection(&self) -> Protection {
        match self {
            Self::V12(key, _) => key.cipher.protection(),
            Self::V13(key, _) => key.cipher.protection(),
            Self::Packed(secrets, _) => secrets.protection,
        }
    }
}

impl KeyV12 {
    /// The least length of a body that this key may have sealed.
    #[inline]
    pub(super) fn shortest_body(&self) -> usize {
        self.aead.explicit_nonce_len() + TAG_LEN
    }
}

impl<M> Key<M> {
    #[inline]
    pub(super) fn aead(&self) -> Aead {
        self.aead
    }

    #[inline]
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Encrypts `in_out` and puts its tag in the place for it; `None` above what the cipher can take.
    #[inline(always)]
    pub(super) fn seal(
        &self,
        variable: [u8; 8],
        additional_data: &[u8],
        in_out: &mut [u8],
        place_of_tag: &mut [u8; TAG_LEN],
    ) -> Option<()> {
        let nonce = self.nonce(variable);
        self.cipher
            .seal(nonce, additional_data, in_out, place_of_tag)
    }

    /// Decrypts `in_out`, ciphertext and tag, and says the length of the plaintext at its start.
    #[inline(always)]
    pub(super) fn open(
        &self,
        variable: [u8; 8],
        additional_data: &[u8],
        in_out: &mut [u8],
    ) -> Result<usize, Forged> {
        let plaintext_len = in_out.len().checked_sub(TAG_LEN).ok_or(Forged)?;
        self.cipher
            .open(self.nonce(variable), additional_data, in_out)?;
        Ok(plaintext_len)
    }

    /// The salt with the variable part xored into its last 8 bytes (RFC 5288 §3, where the salt has zeros there;
    /// RFC 7905 §2, RFC 8446 §5.3).
    ///
    /// Made of the two words that it is read as, so that the cipher need not wait for bytes to come together.
    #[inline]
    fn nonce(&self, variable: [u8; 8]) -> [u8; NONCE_LEN] {
        let mut nonce = *self.iv;
        let variable = u64::from_be_bytes(variable);
        if let Some(start) = nonce.first_chunk_mut() {
            *start = (u64::from_be_bytes(*start) ^ variable >> 32).to_be_bytes();
        }
        if let Some(end) = nonce.last_chunk_mut() {
            *end = (u32::from_be_bytes(*end) ^ variable as u32).to_be_bytes();
        }
        nonce
    }
}

impl KeyV13 {
    /// The least length of a body: a tag, and what a mask is made of.
    pub(super) const SHORTEST_BODY: usize = if TAG_LEN > SAMPLE_LEN {
        TAG_LEN
    } else {
        SAMPLE_LEN
    };

    /// What the number of a record with this ciphertext is masked with.
    #[inline]
    pub(super) fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 2] {
        self.mask.of(sample)
    }
}

/// What a key of DTLS 1.3 is made of (RFC 8446 §7.3, RFC 9147 §4.2.3): a tenth of the expanded key. Wiped when dropped,
/// never printed.
pub(crate) struct RecordSecrets {
    /// The key, the one that masks numbers, and the nonce salt.
    bytes: Zeroizing<[u8; 2 * KEY_MAX + NONCE_LEN]>,
    aead: Aead,
    protection: Protection,
    epoch: Epoch,
}

impl RecordSecrets {
    /// All zeros, to be filled in.
    pub(crate) fn new(aead: Aead, protection: Protection) -> Self {
        Self {
            bytes: Zeroizing::new([0; 2 * KEY_MAX + NONCE_LEN]),
            aead,
            protection,
            epoch: Epoch::PLAINTEXT,
        }
    }

    /// The key, the one that masks numbers, and the nonce salt.
    pub(crate) fn parts_mut(&mut self) -> [&mut [u8]; 3] {
        let key_len = self.aead.key_len();
        let (key, rest) = self.bytes.split_at_mut(key_len);
        let (sn_key, rest) = rest.split_at_mut(key_len);
        let (iv, _) = rest.split_at_mut(NONCE_LEN);
        [key, sn_key, iv]
    }

    /// The same, as those of this epoch.
    pub(super) fn of_epoch(mut self, epoch: Epoch) -> Self {
        self.epoch = epoch;
        self
    }

    /// The expanded key.
    pub(crate) fn key(&self) -> Option<RecordKey> {
        let key = Box::new(self.expand()?);
        Some(RecordKey::V13(key, Forgeries::default()))
    }

    /// The expanded key, on the stack.
    pub(super) fn expand(&self) -> Option<KeyV13> {
        let (key, rest) = self.bytes.split_at_checked(self.aead.key_len())?;
        let (sn_key, rest) = rest.split_at_checked(self.aead.key_len())?;
        Some(Key {
            cipher: Cipher::new(self.aead, key, self.protection)?,
            mask: Mask::new(self.aead, sn_key, self.protection)?,
            iv: Zeroizing::new(*rest.first_chunk()?),
            aead: self.aead,
            epoch: self.epoch,
            is_near_limit: false,
        })
    }
}

impl fmt::Debug for RecordSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordSecrets")
            .field("aead", &self.aead)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordKey")
            .field("aead", &self.aead())
            .finish_non_exhaustive()
    }
}
