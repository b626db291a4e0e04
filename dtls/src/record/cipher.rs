//! What a backend does to a record: a cipher that works in place, and the mask over its number.
//!
//! `ring` keeps expanded keys without wiping them: those copies are out of our reach, the raw key and the nonce salt are
//! wiped. Its masks serve every backend: one of `aws-lc-rs` expands its key for decryption too, which no mask ever does.

use ring::aead::quic as ring_quic;
use ring::aead::{self as ring_aead};

use super::protect::{Aead, Forged, NONCE_LEN, Protection, SAMPLE_LEN, TAG_LEN};
use crate::crypto::CryptoBackend;

#[cfg_attr(
    any(feature = "fuzzing", feature = "aws-lc-rs"),
    expect(
        clippy::large_enum_variant,
        reason = "the large variant is the default, and a box would cost it a step on each record"
    )
)]
pub(crate) enum Cipher {
    Ring(ring_aead::LessSafeKey),
    /// A pointer to its key.
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs(aws_lc_rs::aead::LessSafeKey),
    #[cfg(feature = "fuzzing")]
    Null,
}

impl Cipher {
    /// `None` if the key is not as long as the cipher's.
    pub(super) fn new(aead: Aead, key: &[u8], protection: Protection) -> Option<Self> {
        Some(match protection {
            Protection::Real(CryptoBackend::Ring) => {
                let key = ring_aead::UnboundKey::new(ring_algorithm(aead), key).ok()?;
                Self::Ring(ring_aead::LessSafeKey::new(key))
            }
            #[cfg(feature = "aws-lc-rs")]
            Protection::Real(CryptoBackend::AwsLcRs) => {
                use aws_lc_rs::aead::{LessSafeKey, UnboundKey};
                let key = UnboundKey::new(aws_lc_rs_algorithm(aead), key).ok()?;
                Self::AwsLcRs(LessSafeKey::new(key))
            }
            #[cfg(feature = "fuzzing")]
            Protection::Null => Self::Null,
        })
    }

    /// What it was made for.
    pub(super) fn protection(&self) -> Protection {
        match self {
            Self::Ring(_) => Protection::Real(CryptoBackend::Ring),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs(_) => Protection::Real(CryptoBackend::AwsLcRs),
            #[cfg(feature = "fuzzing")]
            Self::Null => Protection::Null,
        }
    }

    /// Encrypts `in_out` and puts its tag in the place for it; `None` above what the cipher can take.
    ///
    /// Inlined always, and so is [`Self::open`]: a nonce that is handed over in memory is waited for.
    #[inline(always)]
    pub(super) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        additional_data: &[u8],
        in_out: &mut [u8],
        place_of_tag: &mut [u8; TAG_LEN],
    ) -> Option<()> {
        match self {
            Self::Ring(key) => {
                use ring_aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(additional_data), in_out);
                place_of_tag.copy_from_slice(tag.ok()?.as_ref());
            }
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(additional_data), in_out);
                place_of_tag.copy_from_slice(tag.ok()?.as_ref());
            }
            #[cfg(feature = "fuzzing")]
            Self::Null => *place_of_tag = [0; TAG_LEN],
        }
        Some(())
    }

    /// Decrypts `in_out`, ciphertext and tag.
    #[inline(always)]
    pub(super) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        additional_data: &[u8],
        in_out: &mut [u8],
    ) -> Result<(), Forged> {
        match self {
            Self::Ring(key) => {
                use ring_aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let opened = key.open_in_place(nonce, Aad::from(additional_data), in_out);
                opened.map_err(|_| Forged)?;
            }
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let opened = key.open_in_place(nonce, Aad::from(additional_data), in_out);
                opened.map_err(|_| Forged)?;
            }
            #[cfg(feature = "fuzzing")]
            Self::Null => {}
        }
        Ok(())
    }
}

/// What hides record numbers (RFC 9147 §4.2.3).
#[cfg_attr(
    feature = "fuzzing",
    expect(
        clippy::large_enum_variant,
        reason = "the large variant is the default, and a box would cost it a step on each record"
    )
)]
pub(crate) enum Mask {
    Real(ring_quic::HeaderProtectionKey),
    #[cfg(feature = "fuzzing")]
    Null,
}

impl Mask {
    /// `None` if the key is not as long as the cipher's.
    pub(super) fn new(aead: Aead, key: &[u8], protection: Protection) -> Option<Self> {
        Some(match protection {
            Protection::Real(_) => {
                let algorithm = match aead {
                    Aead::Aes128Gcm => &ring_quic::AES_128,
                    Aead::Aes256Gcm => &ring_quic::AES_256,
                    Aead::ChaCha20Poly1305 => &ring_quic::CHACHA20,
                };
                let key = ring_quic::HeaderProtectionKey::new(algorithm, key).ok()?;
                Self::Real(key)
            }
            #[cfg(feature = "fuzzing")]
            Protection::Null => Self::Null,
        })
    }

    /// What the number of a record with this ciphertext is masked with.
    #[inline]
    pub(super) fn of(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 2] {
        let mask = match self {
            Self::Real(key) => key.new_mask(sample).ok(),
            #[cfg(feature = "fuzzing")]
            Self::Null => None,
        };
        // It fails for a sample of another length only.
        let [first, second, ..] = mask.unwrap_or_default();
        [first, second]
    }
}

fn ring_algorithm(aead: Aead) -> &'static ring_aead::Algorithm {
    match aead {
        Aead::Aes128Gcm => &ring_aead::AES_128_GCM,
        Aead::Aes256Gcm => &ring_aead::AES_256_GCM,
        Aead::ChaCha20Poly1305 => &ring_aead::CHACHA20_POLY1305,
    }
}

#[cfg(feature = "aws-lc-rs")]
fn aws_lc_rs_algorithm(aead: Aead) -> &'static aws_lc_rs::aead::Algorithm {
    use aws_lc_rs::aead;
    match aead {
        Aead::Aes128Gcm => &aead::AES_128_GCM,
        Aead::Aes256Gcm => &aead::AES_256_GCM,
        Aead::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDITIONAL_DATA: &[u8] = b"header";
    const NONCE: [u8; NONCE_LEN] = [9; NONCE_LEN];

    /// Every cipher with every backend to write and every backend to read.
    fn all() -> impl Iterator<Item = (Aead, Protection, Protection)> {
        let aeads = [Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305];
        let backends = || {
            CryptoBackend::ALL
                .iter()
                .map(|backend| Protection::Real(*backend))
        };
        let pairs = move || backends().flat_map(move |a| backends().map(move |b| (a, b)));
        aeads
            .into_iter()
            .flat_map(move |aead| pairs().map(move |(a, b)| (aead, a, b)))
    }

    // req: T3 T34
    #[test]
    fn one_backend_opens_what_another_sealed() {
        for (aead, writer, reader) in all() {
            let key = vec![7; aead.key_len()];
            let [writer, reader] = [writer, reader].map(|by| Cipher::new(aead, &key, by).unwrap());
            let mut sealed = b"some plaintext".to_vec();
            let mut tag = [0; TAG_LEN];
            writer
                .seal(NONCE, ADDITIONAL_DATA, &mut sealed, &mut tag)
                .unwrap();
            assert_ne!(sealed, b"some plaintext");
            sealed.extend_from_slice(&tag);
            let mut other = sealed.clone();
            assert_eq!(
                reader.open(NONCE, b"another header", &mut other),
                Err(Forged)
            );
            assert_eq!(
                reader.open([8; NONCE_LEN], ADDITIONAL_DATA, &mut sealed.clone()),
                Err(Forged)
            );
            assert_eq!(reader.open(NONCE, ADDITIONAL_DATA, &mut sealed), Ok(()));
            assert_eq!(&sealed[..14], b"some plaintext");
        }
    }

    // req: T33
    #[test]
    fn every_backend_masks_alike() {
        for (aead, one, other) in all() {
            let key = vec![7; aead.key_len()];
            let of = |by, sample| Mask::new(aead, &key, by).unwrap().of(sample);
            assert_eq!(of(one, &[1; SAMPLE_LEN]), of(other, &[1; SAMPLE_LEN]));
            assert_ne!(of(one, &[1; SAMPLE_LEN]), of(other, &[2; SAMPLE_LEN]));
        }
    }

    #[test]
    fn a_key_of_another_length_is_refused_by_every_backend() {
        for (aead, backend, _) in all() {
            for len in [0, 15, 17, 31, 33] {
                let key = vec![7; len];
                assert!(Cipher::new(aead, &key, backend).is_none());
                assert!(Mask::new(aead, &key, backend).is_none());
            }
        }
    }
}
