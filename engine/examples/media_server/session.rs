//! One session: a transport's events made into a time line, and the view of it that the page shows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use floe::{
    Change, Event, PeerConnection, PeerConnectionState, PeerEvent, Transport, TransportId,
    TransportStates,
};
use floe_ice::{CandidatePair, Mode, Parameters, Role};

use crate::sdp::TransportName;
use crate::server::{EntityTag, SessionKey};
use crate::traffic::Traffic;
use crate::view::{PairView, SessionView, Timeline, milliseconds};

/// A session that lives.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) key: SessionKey,
    /// Public name: a number that counts up.
    pub(crate) number: u64,
    pub(crate) transport: TransportId,
    /// How fragments name the transport.
    pub(crate) name: TransportName,
    /// The current ICE generation.
    pub(crate) entity_tag: EntityTag,
    /// The other side's current credentials.
    pub(crate) remote: Parameters,
    /// Those of the generation that a restart not yet confirmed would go back to.
    confirmed_remote: Option<Parameters>,
    pub(crate) traffic: Traffic,
    pub(crate) restarts: u32,
    /// Set while there is no connection: when to give up.
    pub(crate) expires: Option<Instant>,
    peer: PeerConnection,
    timeline: Timeline,
}

/// What the session set knows of a session to be.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) number: u64,
    pub(crate) transport: TransportId,
    pub(crate) name: TransportName,
    pub(crate) remote: Parameters,
}

impl Session {
    pub(crate) fn new(now: Instant, beginning: Beginning, expiry: Duration) -> Self {
        let mut peer = PeerConnection::new();
        peer.add_transport(now, beginning.transport, TransportStates::default());
        Self {
            key: SessionKey::random(),
            number: beginning.number,
            transport: beginning.transport,
            name: beginning.name,
            entity_tag: EntityTag::random(),
            remote: beginning.remote,
            confirmed_remote: None,
            traffic: Traffic::new(),
            restarts: 0,
            expires: Some(now + expiry),
            peer,
            timeline: Timeline::new(now),
        }
    }

    /// The name shown to everybody.
    pub(crate) fn id(&self) -> String {
        format!("session-{}", self.number)
    }

    /// Takes an event of the transport: into the aggregates, the time line and the deadline.
    pub(crate) fn handle_event(&mut self, now: Instant, event: &Event, expiry: Duration) {
        self.peer.handle_transport_event(now, self.transport, event);
        while let Some(event) = self.peer.poll_event() {
            self.record(now, &event, expiry);
        }
        match event {
            Event::RestartConfirmed => {
                self.timeline.note(now, "ice_restart", "confirmed");
                self.settled();
            }
            Event::RestartRolledBack(reason) => self.rolled_back(now, *reason),
            _ => {}
        }
    }

    fn record(&mut self, now: Instant, event: &PeerEvent, expiry: Duration) {
        match event {
            PeerEvent::IceTransportStateChange(_, change) => {
                self.timeline.change(
                    change.at,
                    "ice",
                    change.from,
                    change.to,
                    Some(change.reason.to_string()),
                );
            }
            PeerEvent::DtlsTransportStateChange(_, change) => {
                self.timeline.change(
                    change.at,
                    "dtls",
                    change.from,
                    change.to,
                    Some(change.reason.to_string()),
                );
            }
            PeerEvent::ConnectionStateChange(change) => {
                self.connection_changed(now, change, expiry)
            }
            PeerEvent::IceConnectionStateChange(change) => {
                self.timeline
                    .change(change.at, "ice_connection", change.from, change.to, None);
            }
            PeerEvent::IceGatheringStateChange(change) => {
                self.timeline
                    .change(change.at, "gathering", change.from, change.to, None);
            }
            PeerEvent::SendPathLost(_, reason) => {
                self.timeline
                    .note(now, "selected_pair", format!("none: {reason}"));
            }
            PeerEvent::SelectedCandidatePairChange(_, pair) => {
                let pair = pair_view(pair);
                self.timeline.note(
                    now,
                    "selected_pair",
                    format!("{} ⇄ {}", pair.local, pair.remote),
                );
            }
            _ => {}
        }
    }

    fn connection_changed(
        &mut self,
        now: Instant,
        change: &Change<PeerConnectionState>,
        expiry: Duration,
    ) {
        let explanation = self.peer.explain().to_string();
        tracing::info!(session = self.number, from = %change.from, to = %change.to, "{explanation}");
        self.timeline.change(
            change.at,
            "connection",
            change.from,
            change.to,
            Some(explanation),
        );
        self.expires = match change.to {
            PeerConnectionState::Connected | PeerConnectionState::Disconnected => None,
            _ => self.expires.or(Some(now + expiry)),
        };
    }

    /// The new generation found no path: the one before goes on, and what the other side has of the new one is stale.
    fn rolled_back(&mut self, now: Instant, reason: floe_ice::Reason) {
        self.timeline
            .note(now, "ice_restart", format!("given up: {reason}"));
        if let Some(remote) = self.confirmed_remote.take() {
            self.remote = remote;
        }
        self.entity_tag = EntityTag::random();
    }

    /// No restart is under way: there is nothing to go back to.
    pub(crate) fn settled(&mut self) {
        self.confirmed_remote = None;
    }

    /// ICE was restarted with the other side's new credentials. A restart during a restart replaces the unconfirmed generation.
    pub(crate) fn restarted(&mut self, now: Instant, remote: Parameters) {
        let before = std::mem::replace(&mut self.remote, remote);
        self.confirmed_remote.get_or_insert(before);
        self.entity_tag = EntityTag::random();
        self.restarts += 1;
        self.timeline.note(now, "ice_restart", "asked for");
    }

    /// The session as it is, or as it was when it ended.
    pub(crate) fn view(&self, now: Instant, transport: &Transport) -> SessionView {
        let (ice, dtls) = (transport.ice(), transport.dtls());
        SessionView {
            id: self.id(),
            age_ms: milliseconds(self.timeline.age(now)),
            ice: ice.state().to_string(),
            dtls: dtls.state().to_string(),
            connection: self.peer.connection_state().to_string(),
            ice_connection: self.peer.ice_connection_state().to_string(),
            gathering: self.peer.ice_gathering_state().to_string(),
            ice_mode: mode_name(ice.mode()),
            ice_role: ice.role().map(role_name),
            ice_restarts: self.restarts,
            selected_pair: ice.selected_candidate_pair().as_ref().map(pair_view),
            rtt_ms: ice
                .selected_candidate_pair()
                .and_then(|pair| pair.rtt)
                .map(milliseconds),
            consent_age_ms: ice.consent_age(now).map(milliseconds),
            dtls_side: dtls.side().map(side_name),
            dtls_version: dtls.version().map(|version| version.to_string()),
            cipher_suite: dtls.cipher_suite().map(|suite| suite.to_string()),
            group: dtls.group().map(|group| group.to_string()),
            srtp_profile: dtls.srtp_profile().map(|profile| profile.to_string()),
            drops: drops(transport),
            media: self.traffic.media(),
            data: self.traffic.data(),
            end_reason: None,
            explain: self.peer.explain().to_string(),
            timeline: self.timeline.entries(),
            timeline_dropped: self.timeline.dropped(),
        }
    }

    /// The last view: what there was, all of it closed for this reason.
    pub(crate) fn end(mut self, now: Instant, transport: &Transport, reason: &str) -> SessionView {
        const CLOSED: &str = "closed";
        let states = [
            ("ice", transport.ice().state().to_string()),
            ("dtls", transport.dtls().state().to_string()),
            ("connection", self.peer.connection_state().to_string()),
        ];
        for (what, before) in states.into_iter().filter(|(_, before)| before != CLOSED) {
            self.timeline
                .change(now, what, before, CLOSED, Some(reason.to_owned()));
        }
        let mut view = self.view(now, transport);
        for state in [
            &mut view.ice,
            &mut view.dtls,
            &mut view.connection,
            &mut view.ice_connection,
        ] {
            CLOSED.clone_into(state);
        }
        view.explain = format!("closed: {reason}");
        view.end_reason = Some(reason.to_owned());
        view
    }
}

pub(crate) fn pair_view(pair: &CandidatePair) -> PairView {
    PairView {
        local: pair.path.local.to_string(),
        local_type: pair.local.to_string(),
        remote: pair.path.remote.to_string(),
        remote_type: pair.remote.to_string(),
    }
}

pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Controlling => "controlling",
        Role::Controlled => "controlled",
    }
}

pub(crate) fn side_name(side: floe_dtls::Side) -> &'static str {
    match side {
        floe_dtls::Side::Client => "client",
        floe_dtls::Side::Server => "server",
    }
}

/// `full` or `lite`.
pub(crate) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Full => "full",
        Mode::Lite => "lite",
    }
}

/// Why an agent drops: the reasons counted by name. What a later version adds is told as `other`.
const ICE_DROPS: [floe_ice::DropReason; 16] = {
    use floe_ice::DropReason as Drop;
    [
        Drop::Malformed,
        Drop::TooLong,
        Drop::MissingFingerprint,
        Drop::BadFingerprint,
        Drop::UnknownMethod,
        Drop::RefusedAddress,
        Drop::MissingUsername,
        Drop::UnknownUsername,
        Drop::MissingIntegrity,
        Drop::BadIntegrity,
        Drop::IntegrityBudget,
        Drop::UnknownTransaction,
        Drop::PairSucceeded,
        Drop::AsymmetricResponse,
        Drop::Overloaded,
        Drop::Closed,
    ]
};

/// Every counter of dropped input that is not zero, named by machine and reason.
fn drops(transport: &Transport) -> BTreeMap<String, u64> {
    let (own, ice, dtls) = (
        transport.stats().dropped,
        transport.ice().stats(),
        transport.dtls().stats(),
    );
    let own = own
        .iter()
        .map(|(reason, count)| (format!("transport: {reason}"), count));
    let named = ICE_DROPS
        .into_iter()
        .map(|reason| (format!("ICE: {reason}"), ice.dropped(reason)));
    let other = ice.dropped_total()
        - ICE_DROPS
            .into_iter()
            .map(|reason| ice.dropped(reason))
            .sum::<u64>();
    let dtls = floe_dtls::DropReason::ALL
        .into_iter()
        .map(|reason| (format!("DTLS: {reason:?}"), dtls.dropped(reason)));
    let all = own
        .chain(named)
        .chain([("ICE: other".to_owned(), other)])
        .chain(dtls);
    all.filter(|(_, count)| *count > 0).collect()
}
