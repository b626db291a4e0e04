//! What a connection tells its owner: state changes with their reasons, and the few things it needs or has ready.
//!
//! A connection's life has at most four transitions and each other event is said a bounded number of times, so the
//! queue needs no policy for overflow: what is not drained waits.

use std::fmt;
use std::time::Instant;

use crate::error::{Error, IdentityRefused, PeerMisbehaved};
use crate::srtp::SrtpProfile;

/// The states of an `RTCDtlsTransport` (W3C webrtc-pc §5.5.1); [drawn](crate::states#a-connection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum State {
    /// Not started.
    New,
    /// Negotiating and verifying the remote fingerprint.
    Connecting,
    /// The peer is verified; data and keys flow.
    Connected,
    /// Ended on purpose by either side.
    Closed,
    /// Ended by an error; see [`crate::Connection::error`].
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::New => "new",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Closed => "closed",
            Self::Failed => "failed",
        })
    }
}

/// Why a state changed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Reason {
    /// The path is usable and [`crate::Connection::start`] was called.
    Started,
    /// The handshake is complete and the peer's fingerprint matched.
    PeerVerified,
    /// [`crate::Connection::close`] was called.
    ClosedLocally,
    /// The peer sent close_notify.
    ClosedByPeer,
    /// The peer sent a fatal alert.
    PeerAlert,
    /// No answer to the last try of a flight, or the total deadline passed.
    HandshakeTimedOut,
    /// The handshake is done, but nobody said which fingerprint to expect.
    FingerprintsNeverSet,
    /// The peer's certificate is not the signalled one.
    FingerprintMismatch,
    /// The peer has no certificate.
    NoCertificate,
    /// A signature or a Finished did not verify.
    VerificationFailed,
    /// The peer's message does not parse.
    InvalidMessage,
    /// The peer's message parses but is forbidden.
    PeerMisbehaved,
    /// The peer has nothing in common with us.
    PeerIncompatible,
    /// The record numbers of the last epoch are used up.
    RecordNumbersExhausted,
    /// The crypto backend failed.
    CryptoFailed,
}

impl Reason {
    /// The word for an error on a state change.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::InvalidMessage(_) => Self::InvalidMessage,
            Error::PeerMisbehaved(
                PeerMisbehaved::SignatureInvalid | PeerMisbehaved::FinishedInvalid,
            ) => Self::VerificationFailed,
            Error::PeerMisbehaved(_) => Self::PeerMisbehaved,
            Error::PeerIncompatible(_) => Self::PeerIncompatible,
            Error::IdentityRefused(
                IdentityRefused::NoCertificate | IdentityRefused::CertificateRequired,
            ) => Self::NoCertificate,
            Error::IdentityRefused(IdentityRefused::FingerprintMismatch) => {
                Self::FingerprintMismatch
            }
            Error::AlertReceived(_) => Self::PeerAlert,
            Error::HandshakeTimedOut => Self::HandshakeTimedOut,
            Error::FingerprintTimedOut => Self::FingerprintsNeverSet,
            Error::KeysUsedUp => Self::RecordNumbersExhausted,
            Error::CryptoFailed | Error::ApiMisuse(_) => Self::CryptoFailed,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Started => "the path is usable",
            Self::PeerVerified => "the handshake is complete and the fingerprint matched",
            Self::ClosedLocally => "closed by this side",
            Self::ClosedByPeer => "the peer sent close_notify",
            Self::PeerAlert => "the peer sent a fatal alert",
            Self::HandshakeTimedOut => "the handshake timed out",
            Self::FingerprintsNeverSet => "the remote fingerprints were never set",
            Self::FingerprintMismatch => "the peer's certificate matches no signalled fingerprint",
            Self::NoCertificate => "the peer has no certificate",
            Self::VerificationFailed => "a signature or Finished did not verify",
            Self::InvalidMessage => "a handshake message does not parse",
            Self::PeerMisbehaved => "the peer broke the protocol",
            Self::PeerIncompatible => "the peer supports nothing that is allowed here",
            Self::RecordNumbersExhausted => "the record numbers are used up",
            Self::CryptoFailed => "the crypto backend failed",
        })
    }
}

/// One change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The state left.
    pub from: State,
    /// The state entered.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// When: the `now` of the input that caused it.
    pub at: Instant,
}

impl Transition {
    /// A change, for who tells of a connection that is elsewhere.
    pub fn new(from: State, to: State, reason: Reason, at: Instant) -> Self {
        Self {
            from,
            to,
            reason,
            at,
        }
    }
}

/// How near a cipher's usage limit is (RFC 9147 §4.5.3, whose figures are used for DTLS 1.2 too).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AeadLimit {
    /// More records were sealed with one key than its confidentiality limit; start a new association.
    Confidentiality,
    /// More forged records were refused with one key than its integrity limit; start a new association.
    Integrity,
}

/// What [`crate::Connection::poll_event`] yields.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The state changed.
    StateChange(Transition),
    /// Connected, and this profile was negotiated: [`crate::Connection::srtp_keys`] derives the keys.
    SrtpReady(SrtpProfile),
    /// The peer has shown its certificate and no fingerprints are set yet:
    /// [`crate::Connection::set_remote_fingerprints`] decides.
    NeedFingerprints,
    /// This side was `actpass`; the peer's ClientHello made it the server.
    BecameServer,
    /// A usage limit of DTLS 1.2, which cannot change keys, was passed. Said once for each limit.
    AeadLimit(AeadLimit),
}
