//! Where a connection's randoms and ephemeral keys come from: the backend, or in tests a seed.
//!
//! With a seed, everything a connection sends follows from what it is given, provided that its identity signs without
//! randomness (Ed25519 does). The seeded key exchange is a stand-in that anybody on the wire can compute: it exists under
//! the feature `deterministic` only.

use super::{CryptoBackend, KeyExchange};
use crate::error::Error;
use crate::msgs::enums::NamedGroup;

#[derive(Debug)]
pub(crate) enum Randomness {
    Backend(CryptoBackend),
    #[cfg(feature = "deterministic")]
    Seeded(seeded::Stream),
}

impl Randomness {
    pub(crate) fn fill(&mut self, out: &mut [u8]) -> Result<(), Error> {
        match self {
            Self::Backend(backend) => backend.fill_random(out),
            #[cfg(feature = "deterministic")]
            Self::Seeded(stream) => {
                stream.fill(out);
                Ok(())
            }
        }
    }

    /// An ephemeral key in `group`.
    pub(crate) fn start_key_exchange(
        &mut self,
        backend: CryptoBackend,
        group: NamedGroup,
    ) -> Result<KeyExchange, Error> {
        match self {
            Self::Backend(_) => backend.start_key_exchange(group),
            #[cfg(feature = "deterministic")]
            Self::Seeded(stream) => Ok(KeyExchange(Box::new(stream.exchange(group)))),
        }
    }
}

#[cfg(feature = "deterministic")]
pub(crate) mod seeded {
    use rustls::crypto::{ActiveKeyExchange, SharedSecret};
    use sha2::{Digest, Sha256};

    use crate::msgs::enums::NamedGroup;

    /// SHA-256 of the seed and a counter, block after block.
    pub(crate) struct Stream {
        seed: [u8; 32],
        blocks: u64,
    }

    impl Stream {
        pub(crate) fn new(seed: [u8; 32]) -> Self {
            Self { seed, blocks: 0 }
        }

        pub(super) fn fill(&mut self, out: &mut [u8]) {
            for chunk in out.chunks_mut(32) {
                let block = Sha256::new()
                    .chain_update(self.seed)
                    .chain_update(self.blocks.to_be_bytes())
                    .finalize();
                for (to, from) in chunk.iter_mut().zip(block) {
                    *to = from;
                }
                self.blocks += 1;
            }
        }

        pub(super) fn exchange(&mut self, group: NamedGroup) -> Exchange {
            let mut public = [0; 32];
            self.fill(&mut public);
            Exchange { group, public }
        }
    }

    impl std::fmt::Debug for Stream {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Stream").finish_non_exhaustive()
        }
    }

    /// Agrees on the hash of both public values: no secret at all.
    pub(super) struct Exchange {
        group: NamedGroup,
        public: [u8; 32],
    }

    impl ActiveKeyExchange for Exchange {
        fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, rustls::Error> {
            let (first, second) = match &self.public[..] <= peer {
                true => (&self.public[..], peer),
                false => (peer, &self.public[..]),
            };
            let agreed = Sha256::new()
                .chain_update(first)
                .chain_update(second)
                .finalize();
            Ok(SharedSecret::from(&agreed[..]))
        }

        fn pub_key(&self) -> &[u8] {
            &self.public
        }

        fn group(&self) -> rustls::NamedGroup {
            self.group.0.into()
        }
    }
}
