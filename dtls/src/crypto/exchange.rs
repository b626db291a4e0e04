//! Ephemeral key exchange: a key of ours, the peer's share, and the secret of both (RFC 8446 §4.2.8, RFC 8422 §5.10).
//!
//! Two shapes, because a key encapsulation answers a share instead of adding one of its own: whoever speaks first makes a
//! [`KeyExchange`] and completes it with the answer; whoever answers in DTLS 1.3 gets share and secret in one step, as
//! [`Accepted`]. A hybrid group (draft-ietf-tls-ecdhe-mlkem) holds a classical exchange inside, whose share can be offered
//! as well at no cost.

use std::fmt;

use rustls::crypto::{self, ActiveKeyExchange, SupportedKxGroup};

use super::CryptoBackend;
use crate::error::{Error, PeerMisbehaved};
use crate::msgs::enums::{NamedGroup, ProtocolVersion};

impl CryptoBackend {
    /// Whether keys can be exchanged in this group.
    pub(crate) fn has_group(self, group: NamedGroup) -> bool {
        self.group(group).is_some()
    }

    /// Makes an ephemeral key in `group`.
    pub(crate) fn start_key_exchange(self, group: NamedGroup) -> Result<KeyExchange, Error> {
        let active = self
            .group(group)
            .ok_or(PeerMisbehaved::SelectedUnofferedGroup)?
            .start()
            .map_err(|_| Error::CryptoFailed)?;
        Ok(KeyExchange(active))
    }

    /// Answers the share of a client.
    pub(crate) fn accept_key_exchange(
        self,
        group: NamedGroup,
        client_share: &[u8],
    ) -> Result<Accepted, Error> {
        let completed = self
            .group(group)
            .ok_or(PeerMisbehaved::SelectedUnofferedGroup)?
            .start_and_complete(client_share)
            .map_err(agreement_failed)?;
        Ok(Accepted {
            share: completed.pub_key,
            secret: SharedSecret(completed.secret),
        })
    }

    fn group(self, group: NamedGroup) -> Option<&'static dyn SupportedKxGroup> {
        let groups = &self.provider().kx_groups;
        let known = groups.iter().find(|known| known.name() == group.0.into())?;
        Some(*known)
    }
}

impl NamedGroup {
    /// Whether the group is of this version: a key encapsulation needs the client's share in its first message.
    pub(crate) fn usable_in(self, version: ProtocolVersion) -> bool {
        self != Self::X25519MLKEM768 || version == ProtocolVersion::DTLS1_3
    }
}

/// Our ephemeral key, used once.
pub(crate) struct KeyExchange(Box<dyn ActiveKeyExchange>);

impl KeyExchange {
    #[cfg(feature = "deterministic")]
    pub(super) fn new(active: Box<dyn ActiveKeyExchange>) -> Self {
        Self(active)
    }

    /// One that agrees on what a test says.
    #[cfg(test)]
    pub(crate) fn fixed(active: Box<dyn ActiveKeyExchange>) -> Self {
        Self(active)
    }

    pub(crate) fn group(&self) -> NamedGroup {
        NamedGroup(self.0.group().into())
    }

    /// What the peer is sent.
    pub(crate) fn public(&self) -> &[u8] {
        self.0.pub_key()
    }

    /// The classical group inside a hybrid one, and the share that offers it alone.
    pub(crate) fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        let (group, public) = self.0.hybrid_component()?;
        Some((NamedGroup(group.into()), public))
    }

    /// Agrees with the peer's share of the same group.
    pub(crate) fn complete(self, peer_public: &[u8]) -> Result<SharedSecret, Error> {
        let secret = self.0.complete(peer_public).map_err(agreement_failed)?;
        Ok(SharedSecret(secret))
    }

    /// Agrees with the peer's share of the classical group inside.
    pub(crate) fn complete_hybrid_component(
        self,
        peer_public: &[u8],
    ) -> Result<SharedSecret, Error> {
        if self.0.hybrid_component().is_none() {
            return Err(PeerMisbehaved::SelectedUnofferedGroup.into());
        }
        let secret = self.0.complete_hybrid_component(peer_public);
        Ok(SharedSecret(secret.map_err(agreement_failed)?))
    }
}

impl fmt::Debug for KeyExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyExchange({})", self.group())
    }
}

/// A client's share, answered.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// What the client is sent.
    pub(crate) share: Vec<u8>,
    pub(crate) secret: SharedSecret,
}

/// What both sides agreed upon. Wiped when dropped, never printed.
pub(crate) struct SharedSecret(crypto::SharedSecret);

impl SharedSecret {
    #[cfg(feature = "deterministic")]
    pub(super) fn new(secret: crypto::SharedSecret) -> Self {
        Self(secret)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.secret_bytes()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSecret").finish_non_exhaustive()
    }
}

/// No secret: the peer's share is none of the group, or the backend has no randomness.
fn agreement_failed(error: rustls::Error) -> Error {
    match error {
        rustls::Error::FailedToGetRandomBytes => Error::CryptoFailed,
        _ => PeerMisbehaved::KeyShareInvalid.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSICAL: [NamedGroup; 3] = [
        NamedGroup::X25519,
        NamedGroup::SECP256R1,
        NamedGroup::SECP384R1,
    ];

    /// The shares of all groups there are.
    fn exchanges(backend: CryptoBackend) -> Vec<KeyExchange> {
        let groups = CLASSICAL
            .into_iter()
            .chain([NamedGroup::X25519MLKEM768])
            .filter(|group| backend.has_group(*group));
        groups
            .map(|group| backend.start_key_exchange(group).unwrap())
            .collect()
    }

    // req: T3
    #[test]
    fn both_sides_agree_in_every_group() {
        for backend in CryptoBackend::ALL {
            for ours in exchanges(*backend) {
                let group = ours.group();
                let theirs = backend.accept_key_exchange(group, ours.public()).unwrap();
                let agreed = ours.complete(&theirs.share).unwrap();
                assert_eq!(agreed.as_bytes(), theirs.secret.as_bytes(), "{group}");
                assert!(agreed.as_bytes().len() >= 32);
            }
        }
    }

    // req: T3
    #[test]
    fn a_share_that_is_none_of_its_group_is_refused_on_both_sides() {
        let invalid = Some(Error::from(PeerMisbehaved::KeyShareInvalid));
        for backend in CryptoBackend::ALL {
            for ours in exchanges(*backend) {
                let (group, len) = (ours.group(), ours.public().len());
                for share in [vec![0; len], vec![9; len - 1], vec![]] {
                    let accepted = backend.accept_key_exchange(group, &share);
                    assert_eq!(accepted.err(), invalid, "{group}");
                    let ours = backend.start_key_exchange(group).unwrap();
                    assert_eq!(ours.complete(&share).err(), invalid, "{group}");
                }
            }
        }
    }

    // req: T3
    #[test]
    fn a_group_that_the_backend_does_not_have_is_refused() {
        let backend = CryptoBackend::Ring;
        let refused = Some(Error::from(PeerMisbehaved::SelectedUnofferedGroup));
        let group = NamedGroup::X25519MLKEM768;
        assert!(!backend.has_group(group));
        assert_eq!(backend.start_key_exchange(group).err(), refused);
        assert_eq!(backend.accept_key_exchange(group, &[]).err(), refused);
        let ours = backend.start_key_exchange(NamedGroup::X25519).unwrap();
        assert!(ours.hybrid_component().is_none());
        let completed = ours.complete_hybrid_component(&[9; 32]);
        assert_eq!(completed.err(), refused);
    }

    // req: T3
    #[test]
    fn a_hybrid_group_is_of_the_newest_version_only() {
        for group in CLASSICAL {
            assert!(group.usable_in(ProtocolVersion::DTLS1_2));
            assert!(group.usable_in(ProtocolVersion::DTLS1_3));
        }
        let hybrid = NamedGroup::X25519MLKEM768;
        assert!(!hybrid.usable_in(ProtocolVersion::DTLS1_2));
        assert!(hybrid.usable_in(ProtocolVersion::DTLS1_3));
    }

    // req: T36
    #[test]
    fn a_shared_secret_is_not_printed() {
        let ours = CryptoBackend::Ring
            .start_key_exchange(NamedGroup::X25519)
            .unwrap();
        assert_eq!(format!("{ours:?}"), "KeyExchange(x25519)");
        let secret = ours.complete(&[9; 32]).unwrap();
        assert_eq!(format!("{secret:?}"), "SharedSecret { .. }");
    }
}
