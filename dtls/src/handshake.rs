//! What both handshake scripts share: what they may touch, what they negotiate, and what they hand over at the end.

pub(crate) mod v12;
pub(crate) mod v13;

use std::num::NonZeroU16;
use std::time::Instant;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::certificate::SignatureVerified;
use crate::config::Config;
use crate::connection_id::ConnectionId;
use crate::crypto::SuiteV13;
use crate::crypto::random::Randomness;
use crate::error::{Error, IdentityRefused, PeerIncompatible, PeerMisbehaved};
use crate::event::Event;
use crate::fingerprint::{FingerprintVerified, RemoteIdentity};
use crate::flight::Flight;
use crate::key_schedule::Secrets;
use crate::msgs::enums::{CipherSuite, HandshakeType, NamedGroup, ProtocolVersion};
use crate::msgs::extensions::Extension;
use crate::queue::Queue;
use crate::record::header::Epoch;
use crate::record::{ConnectionIds, RecordLayer};
use crate::srtp::SrtpProfile;
use crate::timer::TimerTable;
use crate::transcript::Messages;

/// The one point format there is (RFC 8422 §5.1.2).
pub(crate) const UNCOMPRESSED: u8 = 0;

/// What a script may touch besides its own state.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a Config,
    pub(crate) random: &'a mut Randomness,
    pub(crate) remote: &'a RemoteIdentity,
    pub(crate) records: &'a mut RecordLayer,
    pub(crate) flight: &'a mut Flight,
    pub(crate) timers: &'a mut TimerTable,
    pub(crate) events: &'a mut Queue<Event>,
    /// What a client asks its server for.
    pub(crate) particulars: &'a mut Option<Box<Particulars>>,
}

/// What is known of few peers, and so takes a pointer.
#[derive(Debug, Default)]
pub(crate) struct Particulars {
    /// The host name in the hello of our client.
    pub(crate) asked_for: Option<Box<str>>,
    /// The certificate of the verified peer, in DER, where the configuration says so.
    pub(crate) certificate: Option<Vec<u8>>,
}

/// What was agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Negotiated {
    pub(crate) cipher_suite: CipherSuite,
    pub(crate) group: NamedGroup,
    pub(crate) srtp_profile: Option<SrtpProfile>,
    pub(crate) protocol: Option<ApplicationProtocol>,
}

impl Negotiated {
    /// No suite is of two versions.
    pub(crate) fn version(&self) -> ProtocolVersion {
        match SuiteV13::of(self.cipher_suite) {
            Some(_) => ProtocolVersion::DTLS1_3,
            None => ProtocolVersion::DTLS1_2,
        }
    }
}

/// A protocol of [`Config::alpn_protocols`], by its place there, from one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApplicationProtocol(NonZeroU16);

impl ApplicationProtocol {
    pub(crate) fn named(name: &[u8], config: &Config) -> Option<Self> {
        let mut known = config.alpn_protocols.iter();
        let place = known.position(|protocol| protocol == name)?;
        NonZeroU16::new(u16::try_from(place + 1).ok()?).map(Self)
    }

    pub(crate) fn name(self, config: &Config) -> Option<&[u8]> {
        let known = config.alpn_protocols.get(usize::from(self.0.get()) - 1)?;
        Some(known)
    }
}

impl Config {
    /// What this end wants to be called, as its hello says it.
    pub(crate) fn connection_id_extension(&self) -> Option<Extension<'_>> {
        let id = self.connection_id.as_ref()?;
        Some(Extension::ConnectionId(id.as_bytes()))
    }
}

/// The certificate the peer presented, and whether it is one that was signalled: unknown while nothing was.
#[derive(Debug)]
pub(crate) struct PeerCertificate {
    pub(crate) der: Vec<u8>,
    pub(crate) fingerprint: Option<FingerprintVerified>,
}

/// The peer as far as the handshake can tell.
#[derive(Debug)]
pub(crate) enum Peer {
    /// It holds the key of this certificate.
    Proven(PeerCertificate, SignatureVerified),
    /// A client without a certificate, let in by the accept-any policy.
    Anonymous(FingerprintVerified),
}

/// A complete handshake. Whether the peer is the signalled one may still be open.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) negotiated: Negotiated,
    pub(crate) secrets: Secrets,
    pub(crate) peer: Peer,
    pub(crate) finished: FinishedVerified,
}

impl Context<'_> {
    /// Adds a message to the flight being prepared and to the transcript.
    pub(crate) fn say(
        &mut self,
        transcript: &mut impl Messages,
        epoch: Epoch,
        handshake_type: HandshakeType,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        transcript.add(self.flight.message(epoch, handshake_type, encode));
    }

    pub(crate) fn send_flight(&mut self) {
        self.flight.send(self.now, self.timers);
    }

    pub(crate) fn send_last_flight(&mut self) {
        self.flight.send_last(self.now, self.timers);
    }

    /// What a client wants to be called, if records with that name have room for anything else. An extension that is not
    /// answered is as good as unknown.
    pub(crate) fn fitting_id<'id>(&self, theirs: Option<&'id [u8]>) -> Option<&'id [u8]> {
        theirs.filter(|id| self.flight.has_room_beside(id))
    }

    /// The server has said what it wants to be called, or nothing of the kind. It cannot be called otherwise any more.
    pub(crate) fn use_servers_id(&mut self, theirs: Option<&[u8]>) -> Result<(), PeerIncompatible> {
        if self.fitting_id(theirs) != theirs {
            return Err(PeerIncompatible::ConnectionIdTooLong);
        }
        self.use_connection_ids(theirs);
        Ok(())
    }

    /// The peer has said what it wants to be called, or nothing of the kind (RFC 9146 §3): names are used where both have.
    pub(crate) fn use_connection_ids(&mut self, theirs: Option<&[u8]>) {
        let theirs = theirs.and_then(ConnectionId::new);
        if let (Some(ours), Some(theirs)) = (self.config.connection_id.clone(), theirs) {
            self.records
                .set_connection_ids(ConnectionIds { ours, theirs });
        }
    }

    /// The peer presents this certificate: refused at once if others were signalled.
    pub(crate) fn admit(&mut self, der: &[u8]) -> Result<PeerCertificate, Error> {
        let fingerprint = self.remote.admit(der)?;
        if fingerprint.is_none() {
            self.events.push_back(Event::NeedFingerprints);
        }
        Ok(PeerCertificate {
            der: der.to_vec(),
            fingerprint,
        })
    }

    /// Gives the lines with secrets to whoever asked for them.
    pub(crate) fn log_secrets<const N: usize>(
        &self,
        lines: impl FnOnce() -> [Zeroizing<String>; N],
    ) {
        if let Some(key_log) = &self.config.key_log {
            lines().iter().for_each(|line| key_log.log(line));
        }
    }
}

/// The peer's Finished fits the transcript: nobody changed a message on the way.
#[derive(Debug)]
pub(crate) struct FinishedVerified(());

impl FinishedVerified {
    /// Compares in constant time.
    pub(crate) fn check(expected: &[u8], received: &[u8]) -> Result<Self, Error> {
        if bool::from(expected.ct_eq(received)) {
            Ok(Self(()))
        } else {
            Err(PeerMisbehaved::FinishedInvalid.into())
        }
    }
}

/// A message came that may not come now.
pub(crate) fn unexpected() -> Error {
    PeerMisbehaved::UnexpectedMessage.into()
}

impl RemoteIdentity {
    /// A token if `certificate` is one that is accepted, `None` if that is not known yet.
    pub(crate) fn admit(&self, certificate: &[u8]) -> Result<Option<FingerprintVerified>, Error> {
        match self {
            Self::AcceptAny => Ok(Some(FingerprintVerified::accept_any())),
            Self::Later => Ok(None),
            Self::Fingerprints(set) => match set.verify(certificate) {
                Some(verified) => Ok(Some(verified)),
                None => Err(IdentityRefused::FingerprintMismatch.into()),
            },
        }
    }
}
