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
//!   end of candidates ─▶ ICE transport gathering ─▶ iceGatheringState ─▶ all candidates gathered
//! ```
//!
//! What an agent says is believed if its machine can do it: each change is looked up in [`legal`](crate::legal), under the
//! connection's [`Profile`]. One that cannot be is [refused](PeerEvent::Refused) and [counted](PeerConnection::anomalies),
//! and the states stay; so a transport that has failed stays so until ICE restarts, whatever else is said of it.
//!
//! | input | event, in the words of W3C | section of webrtc-pc |
//! |---|---|---|
//! | [`SelectedCandidatePairChange`](Event::SelectedCandidatePairChange) | selectedcandidatepairchange | §5.6 |
//! | [`IceStateChange`](Event::IceStateChange) | statechange, iceconnectionstatechange, connectionstatechange | §5.6, §4.3.3, §4.3.4 |
//! | [`EndOfCandidates`](Event::EndOfCandidates) | icecandidate with an empty string | §5.6 |
//! | [`GatheringStateChange`](Event::GatheringStateChange) | gatheringstatechange, icegatheringstatechange, icecandidate with null once all have gathered | §5.6, §4.3.2 |
//! | [`DtlsStateChange`](Event::DtlsStateChange) | error, statechange, connectionstatechange | §5.5 |
//! | [`RestartBegan`](Event::RestartBegan) to [`RestartConfirmed`](Event::RestartConfirmed) or [`RestartRolledBack`](Event::RestartRolledBack) | none; candidates may be gathered again | §5.6.2 |
//! | [`AssociationChange`](Event::AssociationChange) | none; the next handshake begins anew | §5.5 |
//! | the set of transports | the aggregates, because of [`TransportSetChanged`](Cause::TransportSetChanged) | §4.3 |
//!
//! [`close`](PeerConnection::close) is the exception: everything is closed at once, iceGatheringState keeps its value,
//! and no event tells of it, then or later (webrtc-pc §4.4.2). Of its steps only those on transports and aggregates
//! are taken here. Closing the transports themselves is the caller's: it owns them.
//!
//! With one transport it takes 160 bytes, those on the heap included. Nothing is allocated but for a transport that is new,
//! for a pair that is selected, and for events that nobody polls before the next input; the last two are given back when they
//! are told.
//!
//! Left out: signaling state, negotiation, recovery. They are machines of their own.

use crate::{
    Event, IceConnectionState, IceGatheringState, Life, PeerConnectionState, Transport,
    TransportId, connection_state,
    explain::{Explanation, explain},
    ice_connection_state, ice_gathering_state,
    legal::Profile,
    member::Member,
    peer_event::{Cause, PeerEvent},
    peer_queue::{Aggregates, Indication, Queue, What},
    transport_input::TransportInput,
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
    members: Vec<Member>,
    events: Queue,
    anomalies: u32,
    life: Life,
    profile: Profile,
}

/// The states of one transport, as far as an aggregate cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TransportStates {
    /// RTCIceTransport.state
    pub ice: ice::State,
    /// RTCIceTransport.gatheringState
    pub gathering: ice::GatheringState,
    /// RTCDtlsTransport.state
    pub dtls: dtls::State,
}

impl PeerConnection {
    /// A connection that refers to no transport: every aggregate is `new`.
    #[must_use]
    pub fn new() -> Self {
        Self::with_profile(Profile::default())
    }

    /// The same, in another profile.
    #[must_use]
    pub fn with_profile(profile: Profile) -> Self {
        Self {
            members: Vec::new(),
            events: Queue::default(),
            anomalies: 0,
            life: Life::Open,
            profile,
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
        self.change_set(now, |members| insert(members, id, states));
        true
    }

    /// Ceases to refer to a transport: bundled away, multiplexed away, its m-lines stopped. False if it was not referred
    /// to, or the connection is closed. Its way to `closed` is still told when its events are fed (webrtc-pc
    /// §5.6); no aggregate heeds it any more.
    pub fn remove_transport(&mut self, now: Instant, id: TransportId) -> bool {
        if self.life == Life::Closed || self.member(id).is_none() {
            return false;
        }
        self.change_set(now, |members| members.retain(|member| member.id != id));
        true
    }

    /// Refers to the transports of these m-lines and to no others, as an applied description says: one item for each m-line that
    /// is not stopped, on a transport of its own or on that of its BUNDLE group. Transports that are referred to
    /// already keep the states they are known in; `states` is read for new ones only. All that this does to an aggregate
    /// is one change.
    pub fn set_transports<I>(&mut self, now: Instant, m_lines: I)
    where
        I: IntoIterator<Item = (TransportId, TransportStates), IntoIter: Clone>,
    {
        if self.life == Life::Closed {
            return;
        }
        let m_lines = m_lines.into_iter();
        self.change_set(now, |members| {
            members.retain(|member| m_lines.clone().any(|(id, _)| id == member.id));
            m_lines.for_each(|(id, states)| insert(members, id, states));
        });
    }

    /// Takes one event of a transport. An agent reports a selected pair before the state that it leads to, so events fed
    /// as they come are told in the order above. Feed all that an endpoint has to tell before polling: then every getter
    /// has its new value when the first event of an indication is seen (webrtc-pc §5.6). Events that no aggregate
    /// depends on are ignored, as are those of transports that the connection does not refer to. A change of state that
    /// is not [`legal`](crate::legal) is refused.
    pub fn handle_transport_event(&mut self, now: Instant, id: TransportId, event: &Event) {
        if let Some(input) = TransportInput::new(now, event) {
            self.handle_transport_input(now, id, &input);
        }
    }

    /// [`handle_transport_event`](Self::handle_transport_event), from a journal.
    pub fn handle_transport_input(
        &mut self,
        now: Instant,
        id: TransportId,
        input: &TransportInput,
    ) {
        if self.life == Life::Closed {
            return;
        }
        let index = self.members.iter().position(|member| member.id == id);
        self.update(now, Cause::Transport(id), |peer| match index {
            Some(index) => {
                let profile = peer.profile;
                peer.members.get_mut(index)?.take(profile, now, input)
            }
            None => closing(now, input),
        });
    }

    /// Closes the connection: iceConnectionState and connectionState are `closed`, as are the transports as seen from
    /// here, and no event is given any more, not even those that were waiting. A second call does nothing. The
    /// transports themselves are for the caller to close; [`transports`](Self::transports) still names them.
    pub fn close(&mut self, _now: Instant) {
        self.life = Life::Closed;
        self.events.clear();
        self.members.iter_mut().for_each(Member::close);
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        self.events.pop()
    }

    /// Which state machine is followed where there are two.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// How many changes were [refused](PeerEvent::Refused), for all its life.
    #[must_use]
    pub fn anomalies(&self) -> u32 {
        self.anomalies
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

    fn change_set(&mut self, now: Instant, change: impl FnOnce(&mut Vec<Member>)) {
        self.update(now, Cause::TransportSetChanged, |peer| {
            change(&mut peer.members);
            Some(What::SetChanged)
        });
    }

    /// Runs one input, and keeps what is to be told of it.
    fn update(
        &mut self,
        now: Instant,
        cause: Cause,
        input: impl FnOnce(&mut Self) -> Option<What>,
    ) {
        let before = self.aggregates();
        let Some(what) = input(self) else { return };
        if matches!(what, What::SetChanged) && before == self.aggregates() {
            return;
        }
        if matches!(what, What::Refused(_)) {
            self.anomalies = self.anomalies.saturating_add(1);
        }
        let (at, after) = (self.events.no_earlier(now), self.aggregates());
        self.events
            .push(Indication::new(at, cause, what, before, after));
    }
}

/// Adds a transport that is not among them, and room for nothing else: most connections have one for life.
fn insert(members: &mut Vec<Member>, id: TransportId, states: TransportStates) {
    if members.iter().all(|member| member.id != id) {
        members.reserve_exact(1);
        members.push(Member::new(id, states));
    }
}

/// A transport that is not referred to has nothing to say but that it closed.
fn closing(now: Instant, input: &TransportInput) -> Option<What> {
    match input {
        TransportInput::Ice(passage) if passage.to == ice::State::Closed => {
            Some(What::Ice(passage.transition(now)))
        }
        TransportInput::Dtls(passage) if passage.to == dtls::State::Closed => {
            Some(What::Dtls(passage.transition(now)))
        }
        _ => None,
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
