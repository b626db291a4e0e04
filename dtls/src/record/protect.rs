//! The one seam to the record ciphers: a key that seals and opens in place (RFC 5288 §3, RFC 7905 §2, RFC 6347 §4.1.2).
//!
//! Nonces are made of the record number and so never repeat; nothing here is random. `ring` keeps expanded keys without
//! wiping them: that copy is out of our reach, the raw key and the nonce salt are wiped.

use std::fmt;

use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::header::{ContentType, RecordNumber};
use crate::msgs::enums::{CipherSuite, ProtocolVersion};

/// The bytes every cipher here appends.
pub(crate) const TAG_LEN: usize = 16;

const NONCE_LEN: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aead {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl Aead {
    /// The record cipher of a suite of DTLS 1.2.
    pub(crate) fn of(cipher_suite: CipherSuite) -> Option<Self> {
        match cipher_suite {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => Some(Self::Aes128Gcm),
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => Some(Self::Aes256Gcm),
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => {
                Some(Self::ChaCha20Poly1305)
            }
            _ => None,
        }
    }

    pub(crate) fn key_len(self) -> usize {
        self.algorithm().key_len()
    }

    /// Bytes of the nonce that come from the key schedule.
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

    /// Records that may be sealed with one key before its owner is warned (RFC 9147 §4.5.3: 2^24.5 for AES-GCM).
    pub(crate) fn confidentiality_limit(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 23_726_566,
            Self::ChaCha20Poly1305 => RecordNumber::SEQUENCES,
        }
    }

    /// Forged records that may be refused with one key before its owner is warned (RFC 9147 §4.5.3).
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

/// One direction's key of one epoch.
pub(crate) struct RecordKey {
    aead: Aead,
    cipher: Cipher,
    iv: Zeroizing<[u8; NONCE_LEN]>,
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

/// The record did not authenticate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forged;

impl RecordKey {
    /// `None` if a length does not fit the cipher.
    pub(crate) fn new(
        aead: Aead,
        key: &[u8],
        fixed_iv: &[u8],
        protection: Protection,
    ) -> Option<Self> {
        let mut iv = Zeroizing::new([0; NONCE_LEN]);
        iv.get_mut(..aead.fixed_iv_len())
            .filter(|fixed| fixed.len() == fixed_iv.len())?
            .copy_from_slice(fixed_iv);
        let cipher = match protection {
            Protection::Real => Cipher::Ring(LessSafeKey::new(
                UnboundKey::new(aead.algorithm(), key).ok()?,
            )),
            #[cfg(feature = "fuzzing")]
            Protection::Null => Cipher::Null,
        };
        Some(Self { aead, cipher, iv })
    }

    pub(crate) fn aead(&self) -> Aead {
        self.aead
    }

    /// Encrypts `in_out` and says its tag; `None` only if it is longer than the cipher can take.
    pub(crate) fn seal(
        &self,
        number: RecordNumber,
        content_type: ContentType,
        in_out: &mut [u8],
    ) -> Option<[u8; TAG_LEN]> {
        self.seal_with_nonce(number, content_type, &number.to_bytes(), in_out)
    }

    /// As [`Self::seal`], for the callers that must not choose: only tests have another explicit nonce.
    pub(super) fn seal_with_nonce(
        &self,
        number: RecordNumber,
        content_type: ContentType,
        explicit_nonce: &[u8],
        in_out: &mut [u8],
    ) -> Option<[u8; TAG_LEN]> {
        let aad = Aad::from(additional_data(number, content_type, in_out.len()));
        match &self.cipher {
            Cipher::Ring(key) => {
                let nonce = self.nonce(number, explicit_nonce);
                let tag = key.seal_in_place_separate_tag(nonce, aad, in_out);
                tag.ok()?.as_ref().try_into().ok()
            }
            #[cfg(feature = "fuzzing")]
            Cipher::Null => Some([0; TAG_LEN]),
        }
    }

    /// Decrypts `in_out`, ciphertext and tag, and says the length of the plaintext at its start.
    ///
    /// The explicit nonce of the wire has no say: peers differ in what they put there, so it is taken as it came.
    pub(crate) fn open(
        &self,
        number: RecordNumber,
        content_type: ContentType,
        explicit_nonce: &[u8],
        in_out: &mut [u8],
    ) -> Result<usize, Forged> {
        let plaintext_len = in_out.len().checked_sub(TAG_LEN).ok_or(Forged)?;
        let aad = Aad::from(additional_data(number, content_type, plaintext_len));
        match &self.cipher {
            Cipher::Ring(key) => {
                let nonce = self.nonce(number, explicit_nonce);
                let opened = key.open_in_place(nonce, aad, in_out);
                opened.map(|plaintext| plaintext.len()).map_err(|_| Forged)
            }
            #[cfg(feature = "fuzzing")]
            Cipher::Null => Ok(plaintext_len),
        }
    }

    /// GCM: salt and explicit part side by side (RFC 5288 §3). ChaCha20: the record number xored into the salt
    /// (RFC 7905 §2).
    fn nonce(&self, number: RecordNumber, explicit: &[u8]) -> Nonce {
        let mut nonce = *self.iv;
        let variable = match self.aead {
            Aead::Aes128Gcm | Aead::Aes256Gcm => explicit,
            Aead::ChaCha20Poly1305 => &number.to_bytes(),
        };
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

/// RFC 5246 §6.2.3.3 with the epoch and sequence number of RFC 6347 §4.1.2.1.
fn additional_data(
    number: RecordNumber,
    content_type: ContentType,
    plaintext_len: usize,
) -> [u8; 13] {
    let [n0, n1, n2, n3, n4, n5, n6, n7] = number.to_bytes();
    let [v0, v1] = ProtocolVersion::DTLS1_2.0.to_be_bytes();
    let [l0, l1] = (plaintext_len as u16).to_be_bytes();
    let content_type = content_type as u8;
    [n0, n1, n2, n3, n4, n5, n6, n7, content_type, v0, v1, l0, l1]
}
