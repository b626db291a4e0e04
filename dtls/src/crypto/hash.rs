//! The hashes of the cipher suites, the same for every backend: those of transcripts and key schedules.
//!
//! A handshake asks for the hash of what was said so far half a dozen times. Here that is a copy of a state on the stack;
//! in the backends it is a context on the heap.

use std::fmt;

use sha2::{Digest as _, Sha256, Sha384};

use crate::msgs::enums::CipherSuite;

/// The hash of a cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
}

impl Hash {
    /// The longest hash, in bytes.
    pub(crate) const MAX_LEN: usize = 48;

    /// The last part of the suite's name.
    pub(crate) fn of(cipher_suite: CipherSuite) -> Self {
        match cipher_suite {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS13_AES_256_GCM_SHA384 => Self::Sha384,
            _ => Self::Sha256,
        }
    }

    /// Bytes of a hash.
    pub(crate) const fn output_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => Self::MAX_LEN,
        }
    }

    /// Bytes of a block.
    pub(crate) const fn block_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 128,
        }
    }

    /// The hash of all of `message`.
    pub(crate) fn hash(self, message: &[u8]) -> Digest {
        let mut running = self.start();
        running.update(message);
        running.finish()
    }

    /// The hash of a message that is yet to come.
    pub(crate) fn start(self) -> Running {
        match self {
            Self::Sha256 => Running::Sha256(Sha256::new()),
            Self::Sha384 => Running::Sha384(Sha384::new()),
        }
    }
}

/// The hash of a message so far.
#[derive(Clone)]
pub(crate) enum Running {
    Sha256(Sha256),
    Sha384(Sha384),
}

impl Running {
    pub(crate) fn update(&mut self, message: &[u8]) {
        match self {
            Self::Sha256(state) => state.update(message),
            Self::Sha384(state) => state.update(message),
        }
    }

    /// The hash if this is all.
    pub(crate) fn current(&self) -> Digest {
        self.clone().finish()
    }

    fn finish(self) -> Digest {
        match self {
            Self::Sha256(state) => Digest::new(&state.finalize()),
            Self::Sha384(state) => Digest::new(&state.finalize()),
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

/// A hash of something that is no secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest {
    bytes: [u8; Hash::MAX_LEN],
    len: u8,
}

impl Digest {
    fn new(hash: &[u8]) -> Self {
        let mut bytes = [0; Hash::MAX_LEN];
        bytes
            .iter_mut()
            .zip(hash)
            .for_each(|(to, from)| *to = *from);
        Self {
            bytes,
            len: hash.len() as u8,
        }
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digest: Digest) -> String {
        let bytes = digest.as_ref().iter();
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }

    // The expected values are those of FIPS 180-2, appendices B and D.

    // req: T3
    #[test]
    fn a_message_hashes_alike_in_one_piece_and_in_many() {
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sha384 = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                      8086072ba1e7cc2358baeca134c825a7";
        for (hash, expected) in [(Hash::Sha256, sha256), (Hash::Sha384, sha384)] {
            assert_eq!(hex(hash.hash(b"abc")), expected);
            assert_eq!(hash.hash(b"abc").as_ref().len(), hash.output_len());
            let mut running = hash.start();
            running.update(b"a");
            assert_ne!(hex(running.current()), expected);
            running.update(b"bc");
            assert_eq!(hex(running.current()), expected);
            // What is asked for changes nothing.
            assert_eq!(hex(running.current()), expected);
        }
    }
}
