//! What a `PeerConnection` tells.

use crate::{IceConnectionState, IceGatheringState, PeerConnectionState, TransportId};
use floe_dtls as dtls;
use floe_ice as ice;
use std::{fmt, time::Instant};

/// What changed about a connection or a transport it refers to, named after the events of webrtc-pc.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum PeerEvent {
    /// RTCIceTransport: selectedcandidatepairchange.
    SelectedCandidatePairChange(TransportId, ice::CandidatePair),
    /// RTCIceTransport: there is no selected candidate pair any more, and why (W3C reports no event for it).
    SendPathLost(TransportId, ice::Reason),
    /// RTCIceTransport: statechange.
    IceTransportStateChange(TransportId, ice::Transition),
    /// RTCPeerConnection: icecandidate with an empty string. The candidates of this generation are all there: its
    /// description ends with `a=end-of-candidates`, or the peer is sent that. The gathering state is still what it was.
    EndOfCandidates(TransportId, ice::GatheredGeneration),
    /// RTCIceTransport: gatheringstatechange.
    GatheringStateChange(TransportId, ice::GatheringState),
    /// RTCDtlsTransport: error. The statechange to `failed` follows.
    DtlsError(TransportId, dtls::Reason),
    /// RTCDtlsTransport: statechange.
    DtlsTransportStateChange(TransportId, dtls::Transition),
    /// RTCPeerConnection: iceconnectionstatechange.
    IceConnectionStateChange(Change<IceConnectionState>),
    /// RTCPeerConnection: connectionstatechange.
    ConnectionStateChange(Change<PeerConnectionState>),
    /// RTCPeerConnection: icegatheringstatechange.
    IceGatheringStateChange(Change<IceGatheringState>),
    /// RTCPeerConnection: icecandidate with null. Every transport has gathered.
    AllCandidatesGathered,
    /// A transport was said to have changed as none can; its states stay. Counted in
    /// [`PeerConnection::anomalies`](crate::PeerConnection::anomalies).
    Refused(TransportId, Anomaly),
}

/// An aggregate that is no longer what it was. `from` and `to` always differ, unless the change was
/// [coalesced](Self::coalesced).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change<S> {
    /// What it was.
    pub from: S,
    /// What it is.
    pub to: S,
    /// What made it change.
    pub cause: Cause,
    /// When: the `now` of the input. Never before the change that was told last, even if the caller's clock goes back.
    pub at: Instant,
    /// Several changes in one, because nobody polled for so long that the queue was full.
    pub coalesced: bool,
}

/// What made an aggregate change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Cause {
    /// This transport changed state.
    Transport(TransportId),
    /// A transport was added or removed; none changed state.
    TransportSetChanged,
}

/// A change that is not drawn in [`legal`](crate::legal), and was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Anomaly {
    /// Of the ICE agent.
    Ice {
        /// The state it stays in.
        held: ice::State,
        /// The state it was said to be in.
        reported: ice::State,
        /// The reason it was said to have.
        reason: ice::Reason,
    },
    /// Of its gathering.
    Gathering {
        /// The state it stays in.
        held: ice::GatheringState,
        /// The state it was said to be in.
        reported: ice::GatheringState,
    },
    /// Of the DTLS connection.
    Dtls {
        /// The state it stays in.
        held: dtls::State,
        /// The state it was said to be in.
        reported: dtls::State,
        /// The reason it was said to have.
        reason: dtls::Reason,
    },
}

impl PeerEvent {
    /// The transport that it is about; `None` for the aggregates.
    #[must_use]
    pub fn transport(&self) -> Option<TransportId> {
        match self {
            Self::SelectedCandidatePairChange(id, _)
            | Self::SendPathLost(id, _)
            | Self::IceTransportStateChange(id, _)
            | Self::EndOfCandidates(id, _)
            | Self::GatheringStateChange(id, _)
            | Self::DtlsError(id, _)
            | Self::DtlsTransportStateChange(id, _)
            | Self::Refused(id, _) => Some(*id),
            Self::IceConnectionStateChange(_)
            | Self::ConnectionStateChange(_)
            | Self::IceGatheringStateChange(_)
            | Self::AllCandidatesGathered => None,
        }
    }
}

impl<S: PartialEq> Change<S> {
    pub(crate) fn between(from: S, to: S, cause: Cause, at: Instant) -> Option<Self> {
        (from != to).then_some(Self {
            from,
            to,
            cause,
            at,
            coalesced: false,
        })
    }

    /// The change from where `self` began to where `later` ended.
    pub(crate) fn then(self, later: Self) -> Self {
        Self {
            from: self.from,
            coalesced: true,
            ..later
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(id) => write!(f, "transport {id}"),
            Self::TransportSetChanged => f.write_str("the set of transports"),
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ice {
                held,
                reported,
                reason,
            } => write!(f, "ICE cannot go from {held} to {reported} ({reason})"),
            Self::Gathering { held, reported } => {
                write!(f, "gathering cannot go from {held} to {reported}")
            }
            Self::Dtls {
                held,
                reported,
                reason,
            } => write!(f, "DTLS cannot go from {held} to {reported} ({reason})"),
        }
    }
}
