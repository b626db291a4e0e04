//! Where a connection's randoms and ephemeral keys come from: the backend, or in tests a seed.
//!
//! With a seed, everything a connection sends follows from what it is given, provided that its identity signs without
//! randomness (Ed25519 does). The seeded key exchange is a stand-in that anybody on the wire can compute: it exists under
//! the feature `deterministic` only.

use super::{Accepted, CryptoBackend, KeyExchange};
use crate::error::Error;
use crate::msgs::enums::NamedGroup;

#[derive(Debug)]
pub(crate) enum Randomness {
    Backend(CryptoBackend),
    #[cfg(feature = "deterministic")]
    Seeded(Box<seeded::Stream>),
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
            Self::Seeded(stream) => Ok(KeyExchange::new(Box::new(stream.exchange(group)))),
        }
    }

    /// The answer to a client's share in `group`.
    pub(crate) fn accept_key_exchange(
        &mut self,
        backend: CryptoBackend,
        group: NamedGroup,
        client_share: &[u8],
    ) -> Result<Accepted, Error> {
        match self {
            Self::Backend(_) => backend.accept_key_exchange(group, client_share),
            #[cfg(feature = "deterministic")]
            Self::Seeded(stream) => Ok(stream.accept(group, client_share)),
        }
    }
}

#[cfg(feature = "deterministic")]
pub(crate) mod seeded {
    use rustls::crypto::{self, ActiveKeyExchange};
    use sha2::{Digest, Sha256};

    use crate::crypto::{Accepted, SharedSecret};
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
            let mut public = vec![0; share_len(group)];
            self.fill(&mut public);
            Exchange { group, public }
        }

        pub(super) fn accept(&mut self, group: NamedGroup, client_share: &[u8]) -> Accepted {
            let len = match group {
                NamedGroup::X25519MLKEM768 => HYBRID_ANSWER_LEN,
                _ => share_len(group),
            };
            let mut share = vec![0; len];
            self.fill(&mut share);
            let secret = SharedSecret::new(agreed(&share, client_share));
            Accepted { share, secret }
        }
    }

    /// What a server answers a share of X25519MLKEM768 with.
    const HYBRID_ANSWER_LEN: usize = 1120;

    /// Shares are as long as the real ones, so that datagrams are too.
    fn share_len(group: NamedGroup) -> usize {
        match group {
            NamedGroup::X25519MLKEM768 => 1216,
            NamedGroup::SECP384R1 => 97,
            NamedGroup::SECP256R1 => 65,
            _ => X25519_LEN,
        }
    }

    const X25519_LEN: usize = 32;

    impl std::fmt::Debug for Stream {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Stream").finish_non_exhaustive()
        }
    }

    /// Agrees on the hash of both public values: no secret at all.
    pub(super) struct Exchange {
        group: NamedGroup,
        public: Vec<u8>,
    }

    impl Exchange {
        /// The X25519 share at the end of a hybrid one.
        fn classical(&self) -> Option<&[u8]> {
            let (_, share) = self.public.split_last_chunk::<X25519_LEN>()?;
            (self.group == NamedGroup::X25519MLKEM768).then_some(share)
        }
    }

    fn agreed(ours: &[u8], theirs: &[u8]) -> crypto::SharedSecret {
        let (first, second) = match ours <= theirs {
            true => (ours, theirs),
            false => (theirs, ours),
        };
        let agreed = Sha256::new()
            .chain_update(first)
            .chain_update(second)
            .finalize();
        crypto::SharedSecret::from(&agreed[..])
    }

    impl ActiveKeyExchange for Exchange {
        fn complete(self: Box<Self>, peer: &[u8]) -> Result<crypto::SharedSecret, rustls::Error> {
            Ok(agreed(&self.public, peer))
        }

        fn hybrid_component(&self) -> Option<(rustls::NamedGroup, &[u8])> {
            Some((rustls::NamedGroup::X25519, self.classical()?))
        }

        fn complete_hybrid_component(
            self: Box<Self>,
            peer: &[u8],
        ) -> Result<crypto::SharedSecret, rustls::Error> {
            Ok(agreed(self.classical().unwrap_or_default(), peer))
        }

        fn pub_key(&self) -> &[u8] {
            &self.public
        }

        fn group(&self) -> rustls::NamedGroup {
            self.group.0.into()
        }
    }
}
