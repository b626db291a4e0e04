//! `PeerConnection`: the aggregate tier of W3C webrtc-pc, over transports that it does not own.
//!
//! ```text
//!   Endpoint ── poll_event ──▶ (TransportId, Event) ──┐
//!                                                     ▼
//!     add_transport ──▶ ┌─────────────── PeerConnection ──────────────┐
//!  remove_transport ──▶ │ last-fed states of each transport it        │ ── poll_event ──▶ PeerEvent
//!             close ──▶ │ refers to; aggregates derived, never stored │ ── explain ─────▶ Explanation
//!                       └─────────────────────────────────────────────┘
//! ```
//!
//! Every input derives the three aggregates before and after itself, and what differs becomes an event; there is no
//! other source of events. One indication of an agent gives, in this order and each only if it changed (webrtc-pc
//! §4.4.1.3, §5.6):
//!
//! ```text
//!   selected pair ─▶ ICE transport state ─▶ iceConnectionState ─▶ connectionState
//!                    DTLS error ─▶ DTLS transport state ─────────▶ connectionState
//!                    ICE transport gathering ─▶ iceGatheringState
//! ```
//!
//! [`close`](PeerConnection::close) is the exception: everything is closed at once, iceGatheringState keeps its value,
//! and no event tells of it, then or later (webrtc-pc §4.4.2). Of its steps only those on transports and aggregates
//! are taken here. Closing the transports themselves is the caller's: it owns them.
//!
//! Left out: signaling state, negotiation, recovery. They are machines of their own.

use crate::{
    Event, IceConnectionState, IceGatheringState, Life, PeerConnectionState, Transport,
    TransportId, connection_state,
    explain::{Explanation, explain},
    ice_connection_state, ice_gathering_state,
    peer_event::{Cause, Change, PeerEvent, Queue},
};
use floe_dtls as dtls;
use floe_ice as ice;
use std::time::Instant;

/// The three aggregates over a set of transports, and who in it is to blame.
///
/// ```
/// use floe::{PeerConnection, PeerEvent, TransportId, TransportStates};
/// # fn example(now: std::time::Instant, audio: TransportId, event: &floe::Event) {
/// let mut peer = PeerConnection::new();
/// peer.add_transport(now, audio, TransportStates::default());
/// peer.handle_transport_event(now, audio, event); // whatever `Endpoint::poll_event` gave for this transport
///
/// while let Some(event) = peer.poll_event() {
///     if let PeerEvent::ConnectionStateChange(change) = event {
///         println!("{} → {}: {}", change.from, change.to, peer.explain());
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct PeerConnection {
    life: Life,
    members: Vec<Member>,
    events: Queue,
}

/// The states of one transport, as far as an aggregate cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransportStates {
    /// RTCIceTransport.state
    pub ice: ice::State,
    /// RTCIceTransport.gatheringState
    pub gathering: ice::GatheringState,
    /// RTCDtlsTransport.state
    pub dtls: dtls::State,
}

/// A transport that the connection refers to: its last-fed states and how it came to them.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: TransportId,
    pub(crate) states: TransportStates,
    pub(crate) ice: Option<ice::Transition>,
    pub(crate) dtls: Option<dtls::Transition>,
}

/// What an input may change.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Aggregates {
    ice_connection: IceConnectionState,
    connection: PeerConnectionState,
    ice_gathering: IceGatheringState,
}

impl PeerConnection {
    /// A connection that refers to no transport: every aggregate is `new`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            life: Life::Open,
            members: Vec::new(),
            events: Queue::new(),
        }
    }

    /// Begins to refer to a transport that is in these `states`. False if it was referred to already, or the connection
    /// is closed; then nothing changes. Several m-lines on one transport refer to it once.
    pub fn add_transport(
        &mut self,
        now: Instant,
        id: TransportId,
        states: TransportStates,
    ) -> bool {
        if self.life == Life::Closed || self.member(id).is_some() {
            return false;
        }
        self.update(now, Cause::TransportSetChanged, |peer| {
            peer.members.push(Member {
                id,
                states,
                ice: None,
                dtls: None,
            });
        });
        true
    }

    /// Ceases to refer to a transport: bundled away, multiplexed away, its m-lines stopped. False if it was not referred
    /// to, or the connection is closed. Its way to `closed` is still told when its events are fed (webrtc-pc
    /// §5.6); no aggregate heeds it any more.
    pub fn remove_transport(&mut self, now: Instant, id: TransportId) -> bool {
        if self.life == Life::Closed || self.member(id).is_none() {
            return false;
        }
        self.update(now, Cause::TransportSetChanged, |peer| {
            peer.members.retain(|member| member.id != id)
        });
        true
    }

    /// Takes one event of a transport. An agent reports a selected pair before the state that it leads to, so events fed
    /// as they come are told in the order above. Feed all that an endpoint has to tell before polling: then every getter
    /// has its new value when the first event of an indication is seen (webrtc-pc §5.6). Events that no aggregate
    /// depends on are ignored, as are those of transports that the connection does not refer to.
    pub fn handle_transport_event(&mut self, now: Instant, id: TransportId, event: &Event) {
        if self.life == Life::Closed {
            return;
        }
        match self.members.iter().position(|member| member.id == id) {
            Some(index) => self.update(now, Cause::Transport(id), |peer| peer.apply(index, event)),
            None => self.tell_closing(id, event),
        }
    }

    /// Closes the connection: iceConnectionState and connectionState are `closed`, as are the transports as seen from
    /// here, and no event is given any more, not even those that were waiting. A second call does nothing. The
    /// transports themselves are for the caller to close; [`transports`](Self::transports) still names them.
    pub fn close(&mut self, _now: Instant) {
        self.life = Life::Closed;
        self.events.clear();
        for member in &mut self.members {
            member.states.ice = ice::State::Closed;
            member.states.dtls = dtls::State::Closed;
        }
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        self.events.pop()
    }

    /// RTCPeerConnection.iceConnectionState, derived now.
    #[must_use]
    pub fn ice_connection_state(&self) -> IceConnectionState {
        ice_connection_state(
            self.life,
            self.members.iter().map(|member| member.states.ice),
        )
    }

    /// RTCPeerConnection.connectionState, derived now.
    #[must_use]
    pub fn connection_state(&self) -> PeerConnectionState {
        connection_state(
            self.ice_connection_state(),
            self.members.iter().map(|member| member.states.dtls),
        )
    }

    /// RTCPeerConnection.iceGatheringState, derived now.
    #[must_use]
    pub fn ice_gathering_state(&self) -> IceGatheringState {
        ice_gathering_state(self.members.iter().map(|member| member.states.gathering))
    }

    /// Which transports the connection refers to, with their last-fed states, in the order they were added.
    pub fn transports(&self) -> impl Iterator<Item = (TransportId, TransportStates)> {
        self.members.iter().map(|member| (member.id, member.states))
    }

    /// Which transports make connectionState what it is, and why they are in the states they are in.
    pub fn explain(&self) -> Explanation {
        explain(self.connection_state(), &self.members)
    }

    fn member(&self, id: TransportId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    fn aggregates(&self) -> Aggregates {
        Aggregates {
            ice_connection: self.ice_connection_state(),
            connection: self.connection_state(),
            ice_gathering: self.ice_gathering_state(),
        }
    }

    /// Runs one input, and tells which aggregates it changed.
    fn update(&mut self, at: Instant, cause: Cause, input: impl FnOnce(&mut Self)) {
        let before = self.aggregates();
        input(self);
        let after = self.aggregates();
        let changes = [
            Change::between(before.ice_connection, after.ice_connection, cause, at)
                .map(PeerEvent::IceConnectionStateChange),
            Change::between(before.connection, after.connection, cause, at)
                .map(PeerEvent::ConnectionStateChange),
            Change::between(before.ice_gathering, after.ice_gathering, cause, at)
                .map(PeerEvent::IceGatheringStateChange),
        ];
        changes
            .into_iter()
            .flatten()
            .for_each(|change| self.events.push(change));
    }

    /// Brings a member up to date and passes on what changed about it.
    fn apply(&mut self, index: usize, event: &Event) {
        let Some(member) = self.members.get_mut(index) else {
            return;
        };
        let (id, states) = (member.id, &mut member.states);
        match event {
            Event::SelectedCandidatePairChange(pair) => {
                self.events
                    .push(PeerEvent::SelectedCandidatePairChange(id, *pair));
            }
            Event::SendPathLost(reason) => {
                if let Some(latest) = &mut member.ice {
                    latest.reason = *reason;
                }
                self.events.push(PeerEvent::SendPathLost(id, *reason));
            }
            Event::IceStateChange(transition) if states.ice != transition.to => {
                states.ice = transition.to;
                member.ice = Some(*transition);
                self.events
                    .push(PeerEvent::IceTransportStateChange(id, *transition));
            }
            Event::GatheringStateChange(to) if states.gathering != *to => {
                states.gathering = *to;
                self.events.push(PeerEvent::GatheringStateChange(id, *to));
            }
            Event::DtlsStateChange(transition) if states.dtls != transition.to => {
                states.dtls = transition.to;
                member.dtls = Some(*transition);
                if transition.to == dtls::State::Failed {
                    self.events
                        .push(PeerEvent::DtlsError(id, transition.reason));
                }
                self.events
                    .push(PeerEvent::DtlsTransportStateChange(id, *transition));
            }
            _ => {}
        }
    }

    /// A transport that is no longer referred to has nothing to say but that it closed.
    fn tell_closing(&mut self, id: TransportId, event: &Event) {
        match event {
            Event::IceStateChange(transition) if transition.to == ice::State::Closed => {
                self.events
                    .push(PeerEvent::IceTransportStateChange(id, *transition));
            }
            Event::DtlsStateChange(transition) if transition.to == dtls::State::Closed => {
                self.events
                    .push(PeerEvent::DtlsTransportStateChange(id, *transition));
            }
            _ => {}
        }
    }
}

impl Default for PeerConnection {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for TransportStates {
    /// Just created: all `new`.
    fn default() -> Self {
        Self {
            ice: ice::State::New,
            gathering: ice::GatheringState::New,
            dtls: dtls::State::New,
        }
    }
}

impl From<&Transport> for TransportStates {
    /// What this transport is in now, for [`PeerConnection::add_transport`].
    fn from(transport: &Transport) -> Self {
        let (ice, dtls) = transport.states();
        Self {
            ice,
            gathering: transport.ice().gathering_state(),
            dtls,
        }
    }
}

#[cfg(test)]
#[path = "peer_tests.rs"]
mod tests;
