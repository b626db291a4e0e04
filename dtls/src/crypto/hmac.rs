//! HMAC (RFC 2104) with the hash of a cipher suite: what both key schedules are made of.
//!
//! The same for every backend. A handshake makes dozens of short MACs, most of them with a key that it has used before:
//! here a key is hashed once, nothing is allocated, and key and tag are wiped when dropped.

use hmac::{Hmac, KeyInit, Mac};
use rustls::crypto::hash::{Hash, HashAlgorithm};
use sha2::{Sha256, Sha384};
use zeroize::{Zeroize, Zeroizing};

/// The longest hash of a suite, in bytes.
pub(crate) const TAG_MAX: usize = 48;

/// A key with its padding hashed.
#[derive(Clone)]
pub(crate) enum Key {
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
}

impl Key {
    /// A key for the hash of a suite, which is SHA-384 or SHA-256.
    pub(crate) fn new(hash: &dyn Hash, key: &[u8]) -> Self {
        match hash.algorithm() {
            HashAlgorithm::SHA384 => Self::Sha384(keyed(key)),
            _ => Self::Sha256(keyed(key)),
        }
    }

    /// Bytes of a tag.
    pub(crate) fn tag_len(&self) -> usize {
        match self {
            Self::Sha256(_) => 32,
            Self::Sha384(_) => TAG_MAX,
        }
    }

    /// The MAC of all parts, one behind the other.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> Tag {
        match self {
            Self::Sha256(key) => sign(key.clone(), parts),
            Self::Sha384(key) => sign(key.clone(), parts),
        }
    }
}

fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn sign(mut mac: impl Mac, parts: &[&[u8]]) -> Tag {
    parts.iter().for_each(|part| mac.update(part));
    let mut made = mac.finalize().into_bytes();
    let mut tag = Tag {
        bytes: Zeroizing::new([0; TAG_MAX]),
        len: made.len(),
    };
    for (to, from) in tag.bytes.iter_mut().zip(made.iter()) {
        *to = *from;
    }
    made.as_mut_slice().zeroize();
    tag
}

/// A MAC, or a secret that is one.
pub(crate) struct Tag {
    bytes: Zeroizing<[u8; TAG_MAX]>,
    len: usize,
}

impl Tag {
    /// The tag with zeros behind it.
    pub(crate) fn into_bytes(self) -> Zeroizing<[u8; TAG_MAX]> {
        self.bytes
    }
}

impl AsRef<[u8]> for Tag {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::CryptoBackend;
    use crate::msgs::enums::CipherSuite;

    // The expected values were computed with the hmac module of Python.

    // req: T3
    #[test]
    fn parts_count_as_one_message() {
        for (cipher_suite, hex) in [
            (
                CipherSuite::TLS13_AES_128_GCM_SHA256,
                "723de9b94118b9926a15803e9ef56590159fbf8c890a55391b1c46a7d629872d",
            ),
            (
                CipherSuite::TLS13_AES_256_GCM_SHA384,
                "fddb26e95934323b44faf1966e2e3bdc69f0cd4598334d42e3319e6234e817ae6e63d4cc054f331ec9eeebc9dd18b3b0",
            ),
        ] {
            let suite = CryptoBackend::default().suite_v13(cipher_suite).unwrap();
            let key = Key::new(suite.hash(), &[7; 200]);
            let tag = key.sign(&[b"one ", b"", b"message"]);
            let found: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(found, hex);
            assert_eq!(tag.as_ref().len(), key.tag_len());
            assert_eq!(key.sign(&[b"one message"]).as_ref(), tag.as_ref());
        }
    }
}
