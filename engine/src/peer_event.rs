//! What a `PeerConnection` tells, and the bounded queue it waits in.

use crate::{IceConnectionState, IceGatheringState, PeerConnectionState, TransportId};
use floe_dtls as dtls;
use floe_ice as ice;
use std::{collections::VecDeque, mem::discriminant, time::Instant};

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
    /// When.
    pub at: Instant,
    /// Several changes in one, because nobody polled for so long that the queue was full.
    pub coalesced: bool,
}

/// What made an aggregate change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Cause {
    /// This transport changed state.
    Transport(TransportId),
    /// A transport was added or removed; none changed state.
    TransportSetChanged,
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
    fn then(self, later: Self) -> Self {
        Self {
            from: self.from,
            coalesced: true,
            ..later
        }
    }
}

/// As many events wait as they come; beyond this many, an event takes the place of the last one of its kind.
const FULL: usize = 256;

/// Room made at birth, so that a queue that is drained never allocates.
const ROOM: usize = 16;

/// The events not yet polled, oldest first. Its length is bounded by [`FULL`] plus one of each kind and transport.
#[derive(Debug)]
pub(crate) struct Queue(VecDeque<PeerEvent>);

impl Queue {
    pub(crate) fn new() -> Self {
        Self(VecDeque::with_capacity(ROOM))
    }

    pub(crate) fn push(&mut self, event: PeerEvent) {
        let full = self.0.len() >= FULL;
        match self
            .0
            .iter_mut()
            .rev()
            .find(|waiting| full && same_kind(waiting, &event))
        {
            Some(waiting) => *waiting = coalesce(*waiting, event),
            None => self.0.push_back(event),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<PeerEvent> {
        self.0.pop_front()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

fn same_kind(one: &PeerEvent, other: &PeerEvent) -> bool {
    discriminant(one) == discriminant(other) && transport_of(one) == transport_of(other)
}

fn transport_of(event: &PeerEvent) -> Option<TransportId> {
    match event {
        PeerEvent::SelectedCandidatePairChange(id, _)
        | PeerEvent::SendPathLost(id, _)
        | PeerEvent::IceTransportStateChange(id, _)
        | PeerEvent::GatheringStateChange(id, _)
        | PeerEvent::DtlsError(id, _)
        | PeerEvent::DtlsTransportStateChange(id, _) => Some(*id),
        _ => None,
    }
}

/// Two events of one kind in one: begun where the first began, ended where the second ended. A DTLS transition has no flag
/// for it: a connection's life is too short for the queue to fill with them.
fn coalesce(earlier: PeerEvent, later: PeerEvent) -> PeerEvent {
    use PeerEvent as E;
    match (earlier, later) {
        (E::IceTransportStateChange(id, earlier), E::IceTransportStateChange(_, later)) => {
            E::IceTransportStateChange(
                id,
                ice::Transition {
                    from: earlier.from,
                    coalesced: true,
                    ..later
                },
            )
        }
        (E::DtlsTransportStateChange(id, earlier), E::DtlsTransportStateChange(_, later)) => {
            E::DtlsTransportStateChange(
                id,
                dtls::Transition {
                    from: earlier.from,
                    ..later
                },
            )
        }
        (E::IceConnectionStateChange(earlier), E::IceConnectionStateChange(later)) => {
            E::IceConnectionStateChange(earlier.then(later))
        }
        (E::ConnectionStateChange(earlier), E::ConnectionStateChange(later)) => {
            E::ConnectionStateChange(earlier.then(later))
        }
        (E::IceGatheringStateChange(earlier), E::IceGatheringStateChange(later)) => {
            E::IceGatheringStateChange(earlier.then(later))
        }
        (_, later) => later,
    }
}
