//! The identity gate, and what is left of a handshake behind it (RFC 8827 §6.5).

use super::key_update::KeyUpdates;
use crate::association::AssociationId;
use crate::certificate::SignatureVerified;
use crate::config::{Config, Side};
use crate::error::{ApiMisuse, Error};
use crate::fingerprint::{FingerprintVerified, RemoteIdentity};
use crate::handshake::{Completed, FinishedVerified, Negotiated, Peer, PeerCertificate};
use crate::key_schedule::Secrets;
use crate::record::protect::RecordKey;
use crate::srtp::{SrtpKeys, SrtpProfile};

/// A connection to a verified peer.
#[derive(Debug)]
pub(super) struct Established {
    secrets: Secrets,
    certificate: Option<Box<[u8]>>,
    pub(super) key_updates: KeyUpdates,
    pub(super) spare_ids: SpareIds,
}

/// Whether the peer has asked for more names of ours (RFC 9147 §9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SpareIds {
    #[default]
    NotAskedFor,
    /// It is told when nothing else is in the air.
    AskedFor,
}

/// Where a complete handshake stands.
pub(super) enum Gate {
    /// The peer is the signalled one, and this is what was agreed upon with it.
    Open(Negotiated, Box<Established>),
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
    pub(super) fn admit(completed: Completed, remote: &RemoteIdentity) -> Result<Gate, Error> {
        let Completed {
            negotiated,
            secrets,
            peer,
            finished,
        } = completed;
        let (der, fingerprint, signature) = match peer {
            Peer::Anonymous(accepted) => {
                let proof = Proof::AcceptAny(accepted, finished);
                return Ok(Gate::Open(negotiated, Self::new(secrets, None, proof)));
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
                Gate::Open(negotiated, Self::new(secrets, Some(der), proof))
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
    fn new(secrets: Secrets, certificate: Option<Vec<u8>>, _: Proof) -> Box<Self> {
        Box::new(Self {
            secrets,
            certificate: certificate.map(Vec::into_boxed_slice),
            key_updates: KeyUpdates::default(),
            spare_ids: SpareIds::default(),
        })
    }

    /// The key that `side` writes with from its next epoch on.
    pub(super) fn next_record_key(
        &mut self,
        side: Side,
        config: &Config,
    ) -> Result<RecordKey, Error> {
        match &mut self.secrets {
            Secrets::V12(_) => Err(ApiMisuse::KeysCannotChange.into()),
            Secrets::V13(secrets) => secrets.next_record_key(side, config),
        }
    }

    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
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
