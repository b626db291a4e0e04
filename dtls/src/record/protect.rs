//! The one seam to the record ciphers: a key that seals and opens in place, and masks record numbers.
//!
//! Nonces are made of the record number and so never repeat; nothing here is random. `ring` keeps expanded keys without
//! wiping them: that copy is out of our reach, the raw key and the nonce salt are wiped.

use std::fmt;

use ring::aead::quic::{self, HeaderProtectionKey};
use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::header::RecordNumber;
use crate::msgs::enums::CipherSuite;

/// The bytes every cipher here appends.
pub(crate) const TAG_LEN: usize = 16;

/// The bytes of ciphertext that a mask is made of (RFC 9147 §4.2.3).
pub(super) const SAMPLE_LEN: usize = 16;

const NONCE_LEN: usize = 12;

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
        self.algorithm().key_len()
    }

    /// Bytes of the nonce that come from the key schedule of DTLS 1.3: all of them.
    pub(crate) const IV_LEN: usize = NONCE_LEN;

    /// Bytes of the nonce that come from the key schedule of DTLS 1.2.
    pub(crate) fn fixed_iv_len(self) -> usize {
        NONCE_LEN - self.explicit_nonce_len()
    }

    /// Bytes of the nonce that precede the ciphertext of a DTLS 1.2 record.
    pub(crate) fn explicit_nonce_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 8,
            Self::ChaCha20Poly1305 => 0,
        }
    }

    /// Records that may be sealed with one key before it is changed, or its owner warned (RFC 9147 §4.5.3: 2^24.5 for
    /// AES-GCM).
    pub(crate) fn confidentiality_limit(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 23_726_566,
            Self::ChaCha20Poly1305 => RecordNumber::SEQUENCES,
        }
    }

    /// Forged records that may be refused with one key before it is changed, or its owner warned (RFC 9147 §4.5.3).
    pub(crate) fn integrity_limit(self) -> u64 {
        1 << 36
    }

    fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }

    fn mask_algorithm(self) -> &'static quic::Algorithm {
        match self {
            Self::Aes128Gcm => &quic::AES_128,
            Self::Aes256Gcm => &quic::AES_256,
            Self::ChaCha20Poly1305 => &quic::CHACHA20,
        }
    }
}

/// Whether records are really protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protection {
    #[default]
    Real,
    /// The identity function with a tag of zeros, so that a fuzzer gets past it.
    #[cfg(feature = "fuzzing")]
    Null,
}

/// One direction's key of one epoch, and with it the form of the epoch's records.
pub(crate) struct RecordKey {
    aead: Aead,
    cipher: Cipher,
    iv: Zeroizing<[u8; NONCE_LEN]>,
    pub(super) form: Form,
}

#[cfg_attr(
    feature = "fuzzing",
    expect(
        clippy::large_enum_variant,
        reason = "the small variant exists for the fuzz targets only"
    )
)]
enum Cipher {
    Ring(LessSafeKey),
    #[cfg(feature = "fuzzing")]
    Null,
}

/// What the records of an epoch look like.
pub(super) enum Form {
    V12,
    V13(Mask),
}

/// What hides record numbers.
pub(super) enum Mask {
    /// As large as half a cipher, so it is not in the keys of DTLS 1.2 too.
    Ring(Box<HeaderProtectionKey>),
    #[cfg(feature = "fuzzing")]
    Null,
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
        Self::new(
            aead,
            key,
            fixed_iv,
            aead.fixed_iv_len(),
            Form::V12,
            protection,
        )
    }

    /// A key of DTLS 1.3 and the one that masks its record numbers; `None` if a length does not fit the cipher.
    pub(crate) fn v13(
        aead: Aead,
        key: &[u8],
        iv: &[u8],
        sn_key: &[u8],
        protection: Protection,
    ) -> Option<Self> {
        let mask = match protection {
            Protection::Real => Mask::Ring(Box::new(
                HeaderProtectionKey::new(aead.mask_algorithm(), sn_key).ok()?,
            )),
            #[cfg(feature = "fuzzing")]
            Protection::Null => Mask::Null,
        };
        Self::new(aead, key, iv, NONCE_LEN, Form::V13(mask), protection)
    }

    fn new(
        aead: Aead,
        key: &[u8],
        iv: &[u8],
        iv_len: usize,
        form: Form,
        protection: Protection,
    ) -> Option<Self> {
        if iv.len() != iv_len {
            return None;
        }
        let mut salt = Zeroizing::new([0; NONCE_LEN]);
        salt.get_mut(..iv_len)?.copy_from_slice(iv);
        let cipher = match protection {
            Protection::Real => Cipher::Ring(LessSafeKey::new(
                UnboundKey::new(aead.algorithm(), key).ok()?,
            )),
            #[cfg(feature = "fuzzing")]
            Protection::Null => Cipher::Null,
        };
        Some(Self {
            aead,
            cipher,
            iv: salt,
            form,
        })
    }

    pub(super) fn aead(&self) -> Aead {
        self.aead
    }

    /// The least length of a body that this key may have sealed; a mask needs no more.
    pub(super) fn shortest_body(&self) -> usize {
        match self.form {
            Form::V12 => self.aead.explicit_nonce_len() + TAG_LEN,
            Form::V13(_) => TAG_LEN.max(SAMPLE_LEN),
        }
    }

    /// Encrypts `in_out` and gives its tag; `None` above what the cipher can take.
    #[inline]
    pub(super) fn seal(
        &self,
        variable: [u8; 8],
        additional_data: &[u8],
        in_out: &mut [u8],
    ) -> Option<[u8; TAG_LEN]> {
        match &self.cipher {
            Cipher::Ring(key) => {
                let nonce = self.nonce(variable);
                let aad = Aad::from(additional_data);
                let tag = key.seal_in_place_separate_tag(nonce, aad, in_out);
                tag.ok()?.as_ref().try_into().ok()
            }
            #[cfg(feature = "fuzzing")]
            Cipher::Null => Some([0; TAG_LEN]),
        }
    }

    /// Decrypts `in_out`, ciphertext and tag, and says the length of the plaintext at its start.
    #[inline]
    pub(super) fn open(
        &self,
        variable: [u8; 8],
        additional_data: &[u8],
        in_out: &mut [u8],
    ) -> Result<usize, Forged> {
        let plaintext_len = in_out.len().checked_sub(TAG_LEN).ok_or(Forged)?;
        match &self.cipher {
            Cipher::Ring(key) => {
                let nonce = self.nonce(variable);
                let aad = Aad::from(additional_data);
                let opened = key.open_in_place(nonce, aad, in_out);
                opened.map_err(|_| Forged)?;
            }
            #[cfg(feature = "fuzzing")]
            Cipher::Null => {}
        }
        Ok(plaintext_len)
    }

    /// What the number of a record with this ciphertext is masked with; nothing in DTLS 1.2.
    #[inline]
    pub(super) fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 2] {
        match &self.form {
            Form::V13(Mask::Ring(key)) => match key.new_mask(sample) {
                Ok([first, second, ..]) => [first, second],
                Err(_) => [0; 2],
            },
            #[cfg(feature = "fuzzing")]
            Form::V13(Mask::Null) => [0; 2],
            Form::V12 => [0; 2],
        }
    }

    /// The salt with the variable part xored into its last 8 bytes (RFC 5288 §3, where the salt has zeros there;
    /// RFC 7905 §2, RFC 8446 §5.3).
    fn nonce(&self, variable: [u8; 8]) -> Nonce {
        let mut nonce = *self.iv;
        let (_, end) = nonce.split_at_mut(NONCE_LEN - 8);
        for (byte, variable) in end.iter_mut().zip(variable) {
            *byte ^= variable;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordKey")
            .field("aead", &self.aead)
            .finish_non_exhaustive()
    }
}
