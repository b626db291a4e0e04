//! One side of a call, and the laws that hold for it in every story.

use floe::{
    ApiMisuse, Endpoint, EndpointConfig, Event, PeerConnection, PeerConnectionState, PeerEvent,
    Profile, TransportConfig, TransportId, TransportInput, TransportOptions, TransportStates,
};
use floe_dtls::{self as dtls, HashAlgorithm, Identity, RemoteIdentity, Setup};
use floe_ice::{self as ice, Candidate, FiveTuple, Initiation, Mode, Protocol, RemoteParameters};
use sim::Node;
use std::{net::SocketAddr, sync::Arc, time::Instant};

/// One side of a call: an endpoint, and the connection that looks at its transports.
pub(crate) struct Side {
    pub(crate) endpoint: Endpoint,
    pub(crate) peer: PeerConnection,
    pub(crate) identity: Arc<Identity>,
    /// Every event of a transport, in order.
    pub(crate) transports: Vec<(TransportId, Event)>,
    /// What the connection heard of them, and when.
    pub(crate) heard: Vec<(Instant, TransportId, TransportInput)>,
    /// Every event of the connection, in order.
    pub(crate) told: Vec<PeerEvent>,
}

/// What one side signals about one transport.
pub(crate) struct Description {
    pub(crate) parameters: ice::Parameters,
    pub(crate) fingerprints: dtls::FingerprintSet,
    pub(crate) setup: Setup,
    pub(crate) candidate: Candidate,
}

impl Side {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let identity = Arc::new(Identity::generate().expect("the backend signs"));
        let transport = TransportConfig::new(
            Arc::new(ice::Config::default()),
            Arc::new(dtls::Config::new(identity.clone())),
        );
        Self {
            endpoint: Endpoint::with_seed(seed, EndpointConfig::new(transport)),
            peer: PeerConnection::new(),
            identity,
            transports: Vec::new(),
            heard: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Creates a transport with one host candidate, and refers to it.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        at: SocketAddr,
        initiation: Initiation,
        setup: Setup,
    ) -> (TransportId, Description) {
        let options = TransportOptions {
            mode: Mode::Full,
            initiation,
            setup,
            remote_identity: RemoteIdentity::Later,
            local_parameters: None,
        };
        let id = self
            .endpoint
            .create(now, options)
            .expect("the configuration is in range");
        self.peer.add_transport(now, id, TransportStates::default());
        let candidate = Candidate::host(at);
        let parameters = self.with(now, id, |transport| {
            transport
                .add_local_candidate(now, candidate.clone())
                .expect("a host candidate is welcome");
            transport.local_parameters().clone()
        });
        let fingerprints =
            dtls::FingerprintSet::new([self.identity.fingerprint(HashAlgorithm::Sha256)]);
        let fingerprints = fingerprints.expect("one is enough");
        (
            id,
            Description {
                parameters,
                fingerprints,
                setup,
                candidate,
            },
        )
    }

    /// Applies the other side's description, candidates apart.
    pub(crate) fn apply(
        &mut self,
        now: Instant,
        id: TransportId,
        remote: &Description,
    ) -> Result<(), ApiMisuse> {
        self.with(now, id, |transport| {
            transport
                .set_remote_parameters(now, RemoteParameters::new(remote.parameters.clone()))?;
            transport.set_remote_setup(now, remote.setup)?;
            transport.set_remote_fingerprints(now, remote.fingerprints.clone())
        })
    }

    pub(crate) fn with<R>(
        &mut self,
        now: Instant,
        id: TransportId,
        command: impl FnOnce(&mut floe::Transport) -> R,
    ) -> R {
        self.endpoint
            .with(now, id, command)
            .expect("the transport lives")
    }

    pub(crate) fn ice_states(&self, id: TransportId) -> Vec<ice::State> {
        self.states(id, |event| match event {
            Event::IceStateChange(transition) => Some((transition.from, transition.to)),
            _ => None,
        })
    }

    pub(crate) fn dtls_states(&self, id: TransportId) -> Vec<dtls::State> {
        self.states(id, |event| match event {
            Event::DtlsStateChange(transition) => Some((transition.from, transition.to)),
            _ => None,
        })
    }

    /// The chain of one machine's states, from where it began; each change must begin where the one before ended.
    pub(crate) fn states<S: Copy + PartialEq>(
        &self,
        id: TransportId,
        edge: impl Fn(&Event) -> Option<(S, S)>,
    ) -> Vec<S> {
        let mut chain = Vec::new();
        for (_, event) in self.transports.iter().filter(|(of, _)| *of == id) {
            let Some((from, to)) = edge(event) else {
                continue;
            };
            match chain.last() {
                None => chain.push(from),
                Some(last) => assert!(*last == from, "the chain is whole"),
            }
            chain.push(to);
        }
        chain
    }

    /// The aggregate's values as events told them, without the initial `new`.
    pub(crate) fn connection_states(&self) -> Vec<String> {
        self.changes(|event| match event {
            PeerEvent::ConnectionStateChange(change) => Some(change.to.to_string()),
            _ => None,
        })
    }

    pub(crate) fn ice_connection_states(&self) -> Vec<String> {
        self.changes(|event| match event {
            PeerEvent::IceConnectionStateChange(change) => Some(change.to.to_string()),
            _ => None,
        })
    }

    pub(crate) fn gathering_states(&self) -> Vec<String> {
        self.changes(|event| match event {
            PeerEvent::IceGatheringStateChange(change) => Some(change.to.to_string()),
            _ => None,
        })
    }

    pub(crate) fn changes(&self, change: impl Fn(&PeerEvent) -> Option<String>) -> Vec<String> {
        self.told.iter().filter_map(change).collect()
    }

    pub(crate) fn is(&self, state: PeerConnectionState) -> bool {
        self.peer.connection_state() == state
    }
}

impl Node for Side {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &mut [u8],
    ) {
        let path = FiveTuple {
            protocol: Protocol::Udp,
            local,
            remote,
        };
        let _ = self.endpoint.handle_datagram(now, path, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        let transmit = self.endpoint.poll_transmit(buf)?;
        Some((transmit.path.local, transmit.path.remote, transmit.len))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    fn collect_events(&mut self, now: Instant) {
        while let Some((id, event)) = self.endpoint.poll_event() {
            self.assert_legal(id, &event);
            self.peer.handle_transport_event(now, id, &event);
            let input = TransportInput::new(now, &event);
            self.heard.extend(input.map(|input| (now, id, input)));
            self.transports.push((id, event));
        }
        self.told
            .extend(std::iter::from_fn(|| self.peer.poll_event()));
        self.assert_mirrors();
    }
}

impl Side {
    fn assert_legal(&self, id: TransportId, event: &Event) {
        match event {
            Event::IceStateChange(transition) => {
                let edge = format!("{} {}", transition.from, transition.to);
                let restarted =
                    edge == "failed checking" && transition.reason == ice::Reason::Restarted;
                assert!(
                    ICE_EDGES.contains(&edge.as_str()) || restarted,
                    "ICE {edge}: {}",
                    transition.reason
                );
            }
            Event::DtlsStateChange(transition) => {
                let edge = format!("{} {}", transition.from, transition.to);
                let renewed = transition.to == dtls::State::Connecting && self.announced(id);
                assert!(
                    DTLS_EDGES.contains(&edge.as_str()) || renewed,
                    "DTLS {edge}: {}",
                    transition.reason
                );
            }
            _ => {}
        }
    }

    /// Whether the last that was heard of DTLS is that there is another association.
    fn announced(&self, of: TransportId) -> bool {
        let heard = self.transports.iter().rev().find(|(id, event)| {
            let dtls = matches!(
                event,
                Event::DtlsStateChange(_) | Event::AssociationChange(_)
            );
            *id == of && dtls
        });
        matches!(heard, Some((_, Event::AssociationChange(_))))
    }

    /// Nothing that a transport does is refused, and what the connection keeps of its transports is what they are; but for
    /// restarts in the article's profile, which are shown as `checking`.
    fn assert_mirrors(&self) {
        assert_eq!(self.peer.anomalies(), 0, "{:?}", self.told.last());
        if self.is(PeerConnectionState::Closed) || self.peer.profile() != Profile::W3c {
            return;
        }
        for (id, kept) in self.peer.transports() {
            let actual = self.endpoint.transport(id).map(TransportStates::from);
            assert!(
                actual.is_none_or(|actual| actual == kept),
                "{kept:?} is not {actual:?}"
            );
        }
    }
}

/// The edges that webrtc-pc §5.6 draws for an ICE transport. `failed` has one way out, a restart, and it is asked for by
/// reason below.
pub(crate) const ICE_EDGES: [&str; 24] = [
    "new checking",
    "new failed",
    "new closed",
    "checking connected",
    "checking completed",
    "checking disconnected",
    "checking failed",
    "checking closed",
    "connected completed",
    "connected checking",
    "connected disconnected",
    "connected failed",
    "connected closed",
    "completed connected",
    "completed checking",
    "completed disconnected",
    "completed failed",
    "completed closed",
    "disconnected checking",
    "disconnected connected",
    "disconnected completed",
    "disconnected failed",
    "disconnected closed",
    "failed closed",
];

/// The edges of webrtc-pc §5.5 for a DTLS transport with one association. Another one begins anew, and is announced.
pub(crate) const DTLS_EDGES: [&str; 8] = [
    "new connecting",
    "new closed",
    "new failed",
    "connecting connected",
    "connecting closed",
    "connecting failed",
    "connected closed",
    "connected failed",
];
