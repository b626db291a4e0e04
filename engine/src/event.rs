//! What comes out: events of a transport, what became of a datagram, and why one was dropped.

use crate::{TransportId, demux::MediaKind};
use floe_dtls as dtls;
use floe_ice::{self as ice, FiveTuple};
use std::{fmt, ops::Range};

/// Something happened in a transport. Polled with [`Transport::poll_event`](crate::Transport::poll_event), or with its
/// [`TransportId`] from [`Endpoint::poll_event`](crate::Endpoint::poll_event).
///
/// Transitions chain: each begins in the state in which the one before it ended. No event carries a key.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The ICE state changed.
    IceStateChange(ice::Transition),
    /// The ICE gathering state changed.
    GatheringStateChange(ice::GatheringState),
    /// Another candidate pair carries the traffic.
    SelectedCandidatePairChange(ice::CandidatePair),
    /// There is no candidate pair to send on any more, and why. Comes also where no change of state says it: ICE that is
    /// `disconnected` stays so while candidates may still come.
    SendPathLost(ice::Reason),
    /// A role conflict was settled against this side, or a restart found a peer of another mode.
    RoleChange(ice::Role),
    /// An own check was answered on this path for the first time.
    PathValidated(FiveTuple),
    /// No more local candidates are to come in this ICE generation, and the peer may be told so. Comes before the change
    /// of the gathering state, which there is for the newest generation alone.
    EndOfCandidates(ice::GatheredGeneration),
    /// An ICE restart began: a new generation of candidates is gathered and checked.
    RestartBegan,
    /// The new generation of an ICE restart has its pair; the old one is going.
    RestartConfirmed,
    /// The new generation of an ICE restart was given up; the old one goes on.
    RestartRolledBack(ice::Reason),
    /// The DTLS state changed.
    DtlsStateChange(dtls::Transition),
    /// DTLS is connected and negotiated this profile:
    /// [`Transport::srtp_keys`](crate::Transport::srtp_keys) derives the keys.
    SrtpReady(dtls::SrtpProfile),
    /// The peer has shown its certificate and nobody has said yet which fingerprint to expect.
    NeedFingerprints,
    /// This side was `actpass`; the peer's ClientHello made it the server.
    BecameServer,
    /// A new DTLS association has taken the place of the old one, without an interruption: new keys
    /// (RFC 8842 §3.1).
    AssociationChange(dtls::AssociationId),
    /// A usage limit of the DTLS cipher was passed.
    AeadLimit(dtls::AeadLimit),
    /// An authenticated message came this way: what is not STUN is taken from there, and belongs to this transport. For a
    /// caller with tables of its own, in a kernel filter for instance.
    PathLearned(FiveTuple),
    /// What comes this way belongs to this transport no longer.
    PathReleased(FiveTuple),
}

/// What became of a datagram inside a [`Transport`](crate::Transport). Never an error: bad input is dropped and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "application data and media are the caller's to take"]
#[non_exhaustive]
pub enum Received {
    /// The transport took it.
    Handled,
    /// DTLS application data, decrypted in place.
    Data {
        /// Where in the datagram the plaintext is.
        range: Range<usize>,
        /// What has not been read yet: give it in again. Empty at the end of the datagram.
        rest: Range<usize>,
    },
    /// SRTP or SRTCP, untouched.
    Media(MediaKind),
    /// ZRTP, untouched: for the caller's implementation, if there is one.
    Zrtp,
    /// QUIC, untouched: for the caller's implementation, if there is one.
    Quic,
    /// None of the protocols of a transport.
    NotMine,
    /// It had no effect.
    Dropped(DropReason),
}

impl From<ice::Received> for Received {
    fn from(received: ice::Received) -> Self {
        match received {
            ice::Received::Handled => Self::Handled,
            ice::Received::NotMine => Self::NotMine,
            ice::Received::Dropped(reason) => Self::Dropped(DropReason::Ice(reason)),
        }
    }
}

/// What became of a datagram at an [`Endpoint`](crate::Endpoint).
///
/// Borrows the datagram for [`UnknownUfrag`](Self::UnknownUfrag) only; the other variants let go of it at once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "application data, media and late sessions are the caller's to take"]
#[non_exhaustive]
pub enum Outcome<'d> {
    /// It went to a transport.
    Routed {
        /// Which.
        transport: TransportId,
        /// And what became of it there.
        received: Received,
    },
    /// A connectivity check for a username fragment that nobody has: one may be created now, and the same datagram given in
    /// again. Not authenticated, so nothing but a hint; nothing was kept of it and nothing is answered. Reported as often as
    /// [`EndpointConfig::unknown_ufrags`](crate::EndpointConfig::unknown_ufrags) allows.
    UnknownUfrag {
        /// The username fragment that the sender takes for ours.
        local: &'d str,
        /// The sender's own.
        remote: &'d str,
        /// Where it came from.
        from: FiveTuple,
    },
    /// An authenticated check for a session that was closed lately: it is answered with 403 (RFC 7675 §5.2).
    Refused,
    /// Channel data or STUN from a configured TURN server, untouched: for the caller's TURN client.
    FromTurnServer,
    /// It had no effect.
    Dropped(DropReason),
}

impl Outcome<'_> {
    pub(crate) fn routed(transport: TransportId, received: Received) -> Self {
        Self::Routed {
            transport,
            received,
        }
    }
}

/// Why a datagram had no effect. Each reason is counted where it was dropped.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Empty, or of none of the protocols of RFC 9443 §3.
    UnknownProtocol,
    /// Looks like STUN and does not parse.
    MalformedStun,
    /// A STUN request without a USERNAME of two halves: not a connectivity check. No transport is meant by it, so that none
    /// answers 400.
    MissingUsername,
    /// A STUN response to nothing that any transport has asked.
    UnknownTransaction,
    /// Not STUN, and no transport has authenticated its sender.
    UnknownPath,
    /// A check for a username fragment that nobody has, over the budget of what is reported.
    UnknownUfrag,
    /// A check for a session closed lately, with a wrong MAC or none.
    UnauthenticatedFarewell,
    /// A datagram of a DTLS handshake, while as many handshakes wait as may and their turn is before, or as many datagrams or bytes of
    /// this one; or one that did not fit the buffer when its turn came.
    TooManyHandshakes,
    /// So many checks for closed sessions are being refused that this one was not.
    Overloaded,
    /// No authenticated message of a live ICE generation has come this way.
    UnprovenPath,
    /// Media before the peer's certificate is verified, or after DTLS has ended.
    NotConnected,
    /// Dropped by the ICE agent.
    Ice(ice::DropReason),
    /// Dropped by the DTLS connection.
    Dtls(dtls::DropReason),
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownProtocol => "the datagram is of no known protocol",
            Self::MalformedStun => "the STUN message does not parse",
            Self::MissingUsername => "the STUN request names no username fragment",
            Self::UnknownTransaction => "the STUN response answers nothing that was asked",
            Self::UnknownPath => "nobody has authenticated the sender",
            Self::UnknownUfrag => "too many checks name username fragments that nobody has",
            Self::UnauthenticatedFarewell => "a check for a closed session is not authentic",
            Self::TooManyHandshakes => "too many handshakes are waiting for their turn",
            Self::Overloaded => "too many refusals are waiting to be sent",
            Self::UnprovenPath => "no authenticated message has come this way",
            Self::NotConnected => "the peer's certificate is not verified",
            Self::Ice(reason) => return reason.fmt(f),
            Self::Dtls(reason) => return write!(f, "dropped by DTLS: {reason:?}"),
        })
    }
}
