//! Two sessions and all that is between them, in virtual time.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use floe::{
    Event as TransportEvent, TransportId, TransportStates, dtls, ice,
    recovery::Restarts,
    session::{Action, Config, Envelope, Escalation, Event, Session},
    signaling::{self, Completed, Description, Media, SdpType, link::SessionId, negotiation::Role},
};

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A session with its caller: makes offers and answers of nothing but facts, and applies whatever comes.
pub(crate) struct Party {
    pub(crate) session: Session,
    pub(crate) transport: TransportId,
    pub(crate) events: Vec<Event>,
    pub(crate) escalations: Vec<Escalation>,
    pub(crate) closed_transports: usize,
    pub(crate) closed_channels: usize,
    pub(crate) restart_offers: usize,
    pub(crate) wants_channel: bool,
    /// Of this side's ICE credentials.
    generation: u32,
    name: &'static str,
    ice: ice::State,
    dtls: dtls::State,
}

impl Party {
    pub(crate) fn new(now: Instant, name: &'static str, session: Session) -> Self {
        let transport = TransportId::from_bits(1 << 32);
        let mut party = Self {
            session,
            transport,
            events: Vec::new(),
            escalations: Vec::new(),
            closed_transports: 0,
            closed_channels: 0,
            restart_offers: 0,
            wants_channel: false,
            generation: 0,
            name,
            ice: ice::State::New,
            dtls: dtls::State::New,
        };
        party
            .session
            .add_transport(now, transport, TransportStates::default());
        party
    }

    fn describe(&self, kind: SdpType) -> Description {
        let ufrag = format!("{}{}", self.name, self.generation);
        Description::new(kind, "v=0").with_media([Media::new("0").with_ufrag(ufrag)])
    }

    /// Does what the session asks for, until it is quiet.
    pub(crate) fn drive(&mut self, now: Instant) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Signaling(action) => {
                    let completed = self.carry_out(&action);
                    self.session
                        .complete(now, action.operation(), Ok(completed));
                }
                Action::OpenChannel { .. } => self.wants_channel = true,
                Action::CloseTransports => self.closed_transports += 1,
                Action::CloseChannel => self.closed_channels += 1,
                Action::Escalate(what) => self.escalations.push(what),
                _ => {}
            }
        }
        self.events
            .extend(std::iter::from_fn(|| self.session.poll_event()));
    }

    fn carry_out(&mut self, action: &signaling::Action) -> Completed {
        use signaling::Action as Do;
        match action {
            Do::CreateOffer { ice_restart, .. } => {
                self.generation += u32::from(*ice_restart);
                self.restart_offers += usize::from(*ice_restart);
                Completed::Created(Arc::new(self.describe(SdpType::Offer)))
            }
            Do::CreateAnswer { .. } => Completed::Created(Arc::new(self.describe(SdpType::Answer))),
            _ => Completed::Done,
        }
    }

    /// Its transport's ICE is this now.
    pub(crate) fn ice(&mut self, now: Instant, to: ice::State, reason: ice::Reason) {
        let from = std::mem::replace(&mut self.ice, to);
        let transition = ice::Transition::new(from, to, reason, now);
        let event = TransportEvent::IceStateChange(transition);
        self.session
            .handle_transport_event(now, self.transport, &event);
    }

    /// Its transport's DTLS is this now.
    pub(crate) fn dtls(&mut self, now: Instant, to: dtls::State, reason: dtls::Reason) {
        let from = std::mem::replace(&mut self.dtls, to);
        let transition = dtls::Transition::new(from, to, reason, now);
        let event = TransportEvent::DtlsStateChange(transition);
        self.session
            .handle_transport_event(now, self.transport, &event);
    }

    /// What a transport tells on its way up.
    pub(crate) fn connect(&mut self, now: Instant) {
        self.ice(now, ice::State::Checking, ice::Reason::ChecksBegan);
        self.ice(now, ice::State::Connected, ice::Reason::PairSucceeded);
        self.dtls(now, dtls::State::Connecting, dtls::Reason::Started);
        self.dtls(now, dtls::State::Connected, dtls::Reason::PeerVerified);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Channel {
    Open,
    Closed,
}

/// The two parties, and their channel.
pub(crate) struct World {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) client: Party,
    pub(crate) server: Option<Party>,
    pub(crate) config: Config,
    /// Whether a channel can be opened.
    pub(crate) reachable: bool,
    /// Whether the peers prove to each other that they are there.
    pub(crate) alive: bool,
    channel: Channel,
    to_server: VecDeque<Envelope>,
    to_client: VecDeque<Envelope>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::dialing(&Config::default())
    }

    /// A world whose client is configured so.
    pub(crate) fn dialing(client: &Config) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the caller reads the clock, once: the rest is virtual"
        )]
        let now = Instant::now();
        let session = Session::dial(now, SessionId::from_bytes([7; 16]), client);
        // One side restarts ICE when a path is lost, as servers and clients agree beforehand.
        let mut config = Config::default();
        config.role = Role::Impolite;
        Arc::make_mut(&mut config.recovery).restarts = Restarts::Elsewhere;
        Self {
            start: now,
            now,
            client: Party::new(now, "client", session.unwrap()),
            server: None,
            config,
            reachable: true,
            alive: true,
            channel: Channel::Closed,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
        }
    }

    /// Negotiated, and connected on both sides.
    pub(crate) fn connected() -> Self {
        Self::connected_as(&Config::default())
    }

    /// The same, with a client that is configured so.
    pub(crate) fn connected_as(client: &Config) -> Self {
        let mut world = Self::dialing(client);
        world.client.session.negotiation_needed(world.now);
        world.run_for(100 * MILLISECOND);
        let now = world.now;
        world.client.connect(now);
        world.server().connect(now);
        world.run_for(100 * MILLISECOND);
        world
    }

    pub(crate) fn server(&mut self) -> &mut Party {
        self.server.as_mut().unwrap()
    }

    /// The channel breaks, and for as long as it is not `reachable` no other opens.
    pub(crate) fn break_channel(&mut self) {
        self.channel = Channel::Closed;
        self.to_server.clear();
        self.to_client.clear();
        self.client.session.channel_closed(self.now);
        let now = self.now;
        if let Some(server) = &mut self.server {
            server.session.channel_closed(now);
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// Ten milliseconds; the peers hear each other's keep-alives.
    pub(crate) fn step(&mut self) {
        self.now += 10 * MILLISECOND;
        let now = self.now;
        for party in [Some(&mut self.client), self.server.as_mut()]
            .into_iter()
            .flatten()
        {
            if self.alive {
                party.session.handle_keep_alive(now, MILLISECOND);
            }
        }
        self.client.session.handle_timeout(now);
        self.client.drive(now);
        self.open_channel();
        self.carry();
        if let Some(server) = &mut self.server {
            server.session.handle_timeout(now);
            server.drive(now);
        }
        self.carry();
        self.client.drive(now);
    }

    fn open_channel(&mut self) {
        if std::mem::take(&mut self.client.wants_channel) {
            if self.reachable {
                self.channel = Channel::Open;
            }
            match self.reachable {
                true => self.client.session.channel_opened(self.now),
                false => self.client.session.channel_closed(self.now),
            }
        }
    }

    fn carry(&mut self) {
        let now = self.now;
        while let Some(envelope) = self.client.session.poll_transmit() {
            self.to_server.push_back(envelope);
        }
        if let Some(server) = &mut self.server {
            while let Some(envelope) = server.session.poll_transmit() {
                self.to_client.push_back(envelope);
            }
        }
        if self.channel == Channel::Closed {
            self.to_server.clear();
            self.to_client.clear();
        }
        while let Some(envelope) = self.to_server.pop_front() {
            match &mut self.server {
                Some(server) => {
                    let refusal = server.session.handle_envelope(now, envelope);
                    self.to_client.extend(refusal);
                }
                None => {
                    let session = Session::accept(now, envelope, &self.config).unwrap();
                    self.server = Some(Party::new(now, "server", session));
                }
            }
        }
        while let Some(envelope) = self.to_client.pop_front() {
            assert_eq!(self.client.session.handle_envelope(now, envelope), None);
        }
    }
}
