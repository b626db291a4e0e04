//! The identity gate, and what is left of a handshake behind it (RFC 8827 §6.5).

use std::num::NonZeroU32;

use sha2::{Digest, Sha256};

use crate::association::AssociationId;
use crate::certificate::SignatureVerified;
use crate::config::{Config, PeerCertificates, Side};
use crate::error::{ApiMisuse, Error};
use crate::fingerprint::{FingerprintSet, FingerprintVerified, RemoteIdentity};
use crate::handshake::{Completed, FinishedVerified, Negotiated, Peer, PeerCertificate};
use crate::key_schedule::Secrets;
use crate::record::Neighbour;
use crate::record::protect::{RecordKey, RecordSecrets};
use crate::srtp::{SrtpKeys, SrtpProfile};

/// A connection to a verified peer.
#[derive(Debug)]
pub(super) struct Established {
    secrets: Secrets,
}

/// Whom the peer was verified to be: a digest of the fingerprints, which need not be kept to know them again.
///
/// 31 bits are enough, for nothing is trusted by them. The peer's certificate was compared with the fingerprints themselves
/// before there is a digest, and this one only decides what a later call of
/// [`set_remote_fingerprints`](super::Connection::set_remote_fingerprints) returns: `Ok` for the same ones, else
/// [`ApiMisuse::FingerprintsAlreadySet`]. A collision makes the second of these the first; who the peer is stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verified(NonZeroU32);

impl Verified {
    const ANYBODY: Self = Self(NonZeroU32::MIN);

    /// `None` while it is not known.
    pub(super) fn of(remote: &RemoteIdentity) -> Option<Self> {
        match remote {
            RemoteIdentity::Fingerprints(fingerprints) => Some(Self::by(fingerprints)),
            RemoteIdentity::AcceptAny => Some(Self::ANYBODY),
            RemoteIdentity::Later => None,
        }
    }

    pub(super) fn by(fingerprints: &FingerprintSet) -> Self {
        let mut hash = Sha256::new();
        for fingerprint in fingerprints.iter() {
            hash.update([fingerprint.digest().len() as u8]);
            hash.update(fingerprint.digest());
        }
        let digest = hash.finalize();
        let digest = digest.first_chunk().copied().map_or(0, u32::from_be_bytes);
        // Never that of anybody.
        Self(NonZeroU32::MIN.saturating_add(digest | 1))
    }
}

/// Where a complete handshake stands.
pub(super) enum Gate {
    /// The peer is the signalled one, this is what was agreed upon with it, and its certificate if that is kept.
    Open(Negotiated, Established, Option<Vec<u8>>),
    /// Nobody has said who the peer must be.
    Shut(Box<Completed>),
}

/// The three things that must be true of a peer with a certificate; an anonymous one is accepted by policy instead.
enum Proof {
    Certificate(FingerprintVerified, SignatureVerified, FinishedVerified),
    AcceptAny(FingerprintVerified, FinishedVerified),
}

impl Established {
    /// Opens the gate for a peer whose certificate matches, shuts it while that is not known.
    pub(super) fn admit(
        completed: Completed,
        remote: &RemoteIdentity,
        keeping: PeerCertificates,
    ) -> Result<Gate, Error> {
        let Completed {
            negotiated,
            secrets,
            peer,
            finished,
        } = completed;
        let (der, fingerprint, signature) = match peer {
            Peer::Anonymous(accepted) => {
                let proof = Proof::AcceptAny(accepted, finished);
                return Ok(Gate::Open(negotiated, Self::new(secrets, proof), None));
            }
            Peer::Proven(certificate, signature) => {
                (certificate.der, certificate.fingerprint, signature)
            }
        };
        let fingerprint = match fingerprint {
            Some(verified) => Some(verified),
            None => remote.admit(&der)?,
        };
        Ok(match fingerprint {
            Some(verified) => {
                let proof = Proof::Certificate(verified, signature, finished);
                let kept = (keeping == PeerCertificates::Kept).then_some(der);
                Gate::Open(negotiated, Self::new(secrets, proof), kept)
            }
            None => Gate::Shut(Box::new(Completed {
                negotiated,
                secrets,
                peer: Peer::Proven(
                    PeerCertificate {
                        der,
                        fingerprint: None,
                    },
                    signature,
                ),
                finished,
            })),
        })
    }

    /// Cannot be called without the proof, which is all there is to it.
    fn new(secrets: Secrets, _: Proof) -> Self {
        Self { secrets }
    }

    /// The key that `side` writes with from its next epoch on.
    pub(super) fn next_record_key(
        &mut self,
        side: Side,
        config: &Config,
    ) -> Result<RecordKey, Error> {
        match &mut self.secrets {
            Secrets::V12(_) => Err(ApiMisuse::KeysCannotChange.into()),
            Secrets::V13(secrets) => {
                secrets.move_on(side);
                secrets.record_key(side, config)
            }
        }
    }

    /// What `side`'s key of the present is made of; `None` in DTLS 1.2, where none is changed.
    pub(super) fn record_secrets(&self, side: Side, config: &Config) -> Option<RecordSecrets> {
        match &self.secrets {
            Secrets::V12(_) => None,
            Secrets::V13(secrets) => Some(secrets.record_secrets(side, config)),
        }
    }

    /// What the peer's key of an epoch beside the one that it writes in is made of. Its secret moves on when the epoch
    /// [before](Neighbour::Previous) is let go, and so is behind until then.
    pub(super) fn secrets_of(
        &self,
        neighbour: Neighbour,
        peer: Side,
        config: &Config,
    ) -> Option<RecordSecrets> {
        match (&self.secrets, neighbour) {
            (Secrets::V12(_), _) => None,
            (Secrets::V13(secrets), Neighbour::Previous) => {
                Some(secrets.record_secrets(peer, config))
            }
            (Secrets::V13(secrets), Neighbour::Next) => {
                Some(secrets.next_record_secrets(peer, config))
            }
        }
    }

    /// `side`'s next epoch takes the place of the present one.
    pub(super) fn move_on(&mut self, side: Side) {
        if let Secrets::V13(secrets) = &mut self.secrets {
            secrets.move_on(side);
        }
    }

    pub(super) fn export(
        &self,
        label: &str,
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ApiMisuse> {
        self.secrets.export(label, context, out)
    }

    pub(super) fn srtp_keys(
        &self,
        association: AssociationId,
        profile: SrtpProfile,
    ) -> Option<SrtpKeys> {
        let export = |out: &mut [u8]| self.export(SrtpKeys::LABEL, None, out);
        SrtpKeys::derive(association, profile, export).ok()
    }
}
