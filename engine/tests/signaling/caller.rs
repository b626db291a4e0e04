//! A caller with real transports: what `Signaling` asks for, an endpoint does, and a `PeerConnection` looks on.
//!
//! Every section has a transport of its own, and one host candidate. The text of a description is its passwords.

use floe::signaling::{
    Action, CandidateInit, Completed, Config, Description, Event, Failure, Media, MediaLife,
    SdpType, Side, Signaling,
};
use floe::{
    ApiMisuse, Endpoint, EndpointConfig, PeerConnection, PeerEvent, RemoteDtls, TransportConfig,
    TransportId, TransportOptions, TransportStates,
};
use floe_dtls::{self as dtls, HashAlgorithm, Identity, RemoteIdentity, Setup};
use floe_ice::{self as ice, Candidate, FiveTuple, Initiation, LocalParameters, Protocol};
use sim::{Node, Pair, Random, address};
use std::{net::SocketAddr, sync::Arc, time::Instant};

pub(crate) type Call = Pair<Caller, Caller>;

pub(crate) struct Caller {
    pub(crate) signaling: Signaling,
    pub(crate) endpoint: Endpoint,
    pub(crate) peer: PeerConnection,
    identity: Arc<Identity>,
    name: &'static str,
    pub(crate) sections: Vec<Section>,
    /// How many names were given.
    names: u32,
    /// What is for the peer and has not left.
    pub(crate) outbox: Vec<CandidateInit>,
    /// Every signaling event, in order.
    pub(crate) told: Vec<Event>,
    /// Every event of the connection, in order.
    pub(crate) peer_told: Vec<PeerEvent>,
}

/// An m-line, wanted or negotiated.
pub(crate) struct Section {
    mid: String,
    pub(crate) at: SocketAddr,
    pub(crate) life: MediaLife,
    /// Whether its next offer restarts ICE, whatever the rest does.
    pub(crate) restart: Restart,
    /// What the next description says of it.
    next: String,
    pub(crate) transport: Option<TransportId>,
    /// What the pending offer did to it.
    pending: Pending,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Restart {
    No,
    Yes,
}

#[derive(Clone, Copy, PartialEq)]
enum Pending {
    Nothing,
    Made,
    Restarted,
}

pub(crate) fn call(seed: u64) -> Call {
    let (a, b) = ([address(1), address(3)], [address(2), address(4)]);
    let mut seeds = Random::new(seed);
    let mut caller = |name| Caller::new(name, seeds.seed());
    let sides = (caller("alice"), caller("bob"));
    Pair::new(seed, (sides.0, &a), (sides.1, &b))
}

fn own(name: &str) -> LocalParameters {
    let mut seed = [0; 32];
    for (to, from) in seed.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    LocalParameters::with_seed(seed, name).expect("the name is an ice-ufrag")
}

impl Caller {
    fn new(name: &'static str, seed: [u8; 32]) -> Self {
        let identity = Arc::new(Identity::generate().expect("the backend signs"));
        let transport = TransportConfig::new(
            Arc::new(ice::Config::default()),
            Arc::new(dtls::Config::new(identity.clone())),
        );
        let config = Arc::new(Config::default());
        Self {
            signaling: Signaling::new(sim::Clock::epoch(), config).expect("it is in range"),
            endpoint: Endpoint::with_seed(seed, EndpointConfig::new(transport)),
            peer: PeerConnection::new(),
            identity,
            name,
            sections: Vec::new(),
            names: 0,
            outbox: Vec::new(),
            told: Vec::new(),
            peer_told: Vec::new(),
        }
    }

    /// Wants one more section, at this address.
    pub(crate) fn want(&mut self, now: Instant, mid: &str, at: SocketAddr) {
        self.section(mid, at);
        self.signaling.negotiation_wanted(now);
    }

    fn section(&mut self, mid: &str, at: SocketAddr) {
        self.sections.push(Section {
            mid: mid.into(),
            at,
            life: MediaLife::Active,
            restart: Restart::No,
            next: String::new(),
            transport: None,
            pending: Pending::Nothing,
        });
    }

    fn fresh_name(&mut self) -> String {
        self.names += 1;
        format!("{}{}", self.name, self.names)
    }

    /// Does all that signaling asks for, and takes its next turn.
    pub(crate) fn run(&mut self, now: Instant) {
        loop {
            self.listen();
            if let Some(action) = self.signaling.poll_action() {
                let result = self.carry_out(now, &action);
                self.signaling
                    .complete(now, action.operation(), result)
                    .expect("it was asked for");
            } else if self.signaling.poll_timeout().is_some() {
                self.signaling.handle_timeout(now);
            } else {
                return;
            }
        }
    }

    fn listen(&mut self) {
        while let Some(event) = self.signaling.poll_event() {
            if let Event::LocalCandidate(candidate) = &event {
                self.outbox.push(candidate.clone());
            }
            self.told.push(event);
        }
    }

    fn carry_out(&mut self, now: Instant, action: &Action) -> Result<Completed, Failure> {
        let done = match action {
            Action::CreateOffer { ice_restart, .. } => {
                let restart = match ice_restart {
                    true => Restart::Yes,
                    false => Restart::No,
                };
                return Ok(self.describe(SdpType::Offer, restart));
            }
            Action::CreateAnswer { .. } => {
                return Ok(self.describe(SdpType::Answer, Restart::No));
            }
            Action::Rollback { .. } => self.roll_back(now),
            Action::Apply {
                side: Side::Local,
                description,
                ..
            } => self.apply_local(now, description),
            Action::Apply { description, .. } => self.apply_remote(now, description),
            Action::AddCandidate { candidate, .. } => self.add(now, candidate),
            other => panic!("nobody knows what this is: {other:?}"),
        };
        done.expect("no story here misuses a transport");
        Ok(Completed::Done)
    }

    fn describe(&mut self, kind: SdpType, restart: Restart) -> Completed {
        let fresh = (0..self.sections.len()).map(|_| self.fresh_name());
        let fresh: Vec<_> = fresh.collect();
        let theirs = self.signaling.pending_description(Side::Remote).cloned();
        let before = self.signaling.current_description(Side::Remote).cloned();
        for (section, fresh) in self.sections.iter_mut().zip(fresh) {
            let ufrag = |description: &Option<Arc<Description>>| {
                let media = description.as_ref().map(|description| &description.media);
                let mut media = media.into_iter().flat_map(|media| media.iter());
                let of_this = media.find(|media| *media.mid == *section.mid);
                of_this.and_then(|media| media.ufrag.clone())
            };
            let (asked, known) = (ufrag(&theirs), ufrag(&before));
            let theirs_restarts = kind == SdpType::Answer && known.is_some() && asked != known;
            let ours = restart == Restart::Yes || section.restart == Restart::Yes;
            let is_new = section.next.is_empty();
            if is_new || theirs_restarts || (kind == SdpType::Offer && ours) {
                section.next = fresh;
            }
        }
        let identity = self.identity.fingerprint(HashAlgorithm::Sha256);
        let media: Vec<_> = self
            .sections
            .iter()
            .zip(0..)
            .map(|(section, index)| {
                let mut media = Media::new(&*section.mid).with_ufrag(&*section.next);
                media.life = section.life;
                media.transport = index;
                let transport = section.transport.and_then(|id| self.endpoint.transport(id));
                let answered = transport
                    .map(|transport| transport.answer_setup(Setup::ActPass, dtls::Side::Client));
                media.setup = match (kind, answered) {
                    (SdpType::Answer, Some(setup)) => setup.ok(),
                    _ => Some(Setup::ActPass),
                };
                media.fingerprints = dtls::FingerprintSet::new([identity]).ok();
                media
            })
            .collect();
        let passwords = media.iter().filter_map(|media| media.ufrag.as_deref());
        let passwords: Vec<_> = passwords
            .map(|ufrag| own(ufrag).as_parameters().password().to_owned())
            .collect();
        let description = Description::new(kind, passwords.join("\n")).with_media(media);
        Completed::Created(Arc::new(description))
    }

    /// Our own: transports are made and gather, and restart where the credentials have changed. An answer tells them the peer's.
    fn apply_local(&mut self, now: Instant, description: &Description) -> Result<(), ApiMisuse> {
        let theirs = self.signaling.pending_description(Side::Remote).cloned();
        for (index, media) in description.media.iter().enumerate() {
            if media.life == MediaLife::Stopped {
                continue;
            }
            let ufrag = media.ufrag.as_deref().unwrap_or_default();
            self.open(now, index, ufrag, Initiation::Initiating)?;
            let (id, at) = (self.sections[index].transport, self.sections[index].at);
            let id = id.expect("it was made");
            let current = self
                .endpoint
                .transport(id)
                .map(|transport| transport.local_parameters().username_fragment() == ufrag);
            if current == Some(false) {
                self.endpoint.restart(now, id, Some(own(ufrag)), None)?;
                self.sections[index].pending = Pending::Restarted;
            }
            self.gather(now, id, at, media)?;
        }
        if let (SdpType::Answer, Some(theirs)) = (description.kind, theirs) {
            self.connect(now, &theirs)?;
            self.agreed(now, description);
        }
        self.refer(now);
        Ok(())
    }

    /// The peer's: transports are made; an answer tells them of it.
    fn apply_remote(&mut self, now: Instant, description: &Description) -> Result<(), ApiMisuse> {
        for (index, media) in description.media.iter().enumerate() {
            if self.sections.len() == index {
                let at = address(match self.name {
                    "alice" => [1, 3][index],
                    _ => [2, 4][index],
                });
                self.section(&media.mid, at);
            }
            self.sections[index].life = media.life;
            if media.life == MediaLife::Active && self.sections[index].transport.is_none() {
                let name = self.fresh_name();
                self.open(now, index, &name, Initiation::Responding)?;
            }
        }
        if description.kind == SdpType::Answer {
            self.connect(now, description)?;
            self.agreed(now, description);
        }
        self.refer(now);
        Ok(())
    }

    /// Makes a section's transport if it has none.
    fn open(
        &mut self,
        now: Instant,
        index: usize,
        ufrag: &str,
        initiation: Initiation,
    ) -> Result<(), ApiMisuse> {
        let section = &mut self.sections[index];
        if section.transport.is_some() {
            return Ok(());
        }
        let options = TransportOptions {
            mode: ice::Mode::Full,
            initiation,
            setup: match initiation {
                Initiation::Initiating => Setup::ActPass,
                Initiation::Responding => Setup::Active,
            },
            remote_identity: RemoteIdentity::Later,
            local_parameters: Some(own(ufrag)),
        };
        section.transport = Some(self.endpoint.create(now, options)?);
        section.next = ufrag.to_owned();
        section.pending = Pending::Made;
        Ok(())
    }

    /// One host candidate, told as soon as it is found.
    fn gather(
        &mut self,
        now: Instant,
        id: TransportId,
        at: SocketAddr,
        media: &Media,
    ) -> Result<(), ApiMisuse> {
        let gathering = |transport: &mut floe::Transport| transport.ice().gathering_state();
        if self.with(now, id, gathering) == ice::GatheringState::Complete {
            return Ok(());
        }
        let candidate = Candidate::host(at);
        let text = candidate.to_string();
        let _ = self.with(now, id, |transport| {
            transport.add_local_candidate(now, candidate)
        });
        let ufrag = media.ufrag.clone().unwrap_or_default();
        let candidate = CandidateInit::new(text, media.mid.clone(), ufrag);
        self.signaling.handle_local_candidate(now, candidate);
        Ok(())
    }

    /// Every transport has gathered.
    pub(crate) fn gathered(&mut self, now: Instant) {
        for id in self.transports() {
            self.with(now, id, |transport| {
                transport.local_candidates_complete(now);
            });
        }
        self.collect_events(now);
    }

    fn connect(&mut self, now: Instant, theirs: &Description) -> Result<(), ApiMisuse> {
        let passwords = String::from_utf8_lossy(&theirs.body).into_owned();
        for (index, (media, password)) in theirs.media.iter().zip(passwords.lines()).enumerate() {
            let Some(id) = self.sections[index].transport else {
                continue;
            };
            if media.life == MediaLife::Stopped {
                continue;
            }
            let ufrag = media.ufrag.as_deref().unwrap_or_default();
            let parameters = ice::Parameters::new(ufrag, password);
            let parameters = ice::RemoteParameters::new(parameters.expect("they are well-formed"));
            let fingerprints = media.fingerprints.clone().expect("it has one");
            let setup = media.setup.expect("it has one");
            self.with(now, id, |transport| {
                transport.set_remote_parameters(now, parameters)?;
                let dtls = RemoteDtls {
                    fingerprints,
                    setup,
                    tls_id: None,
                };
                transport.set_remote_dtls(now, dtls).map(drop)
            })?;
        }
        Ok(())
    }

    /// An exchange is over: what was stopped ends, what was made stays.
    fn agreed(&mut self, now: Instant, description: &Description) {
        for (section, media) in self.sections.iter_mut().zip(description.media.iter()) {
            section.pending = Pending::Nothing;
            section.restart = Restart::No;
            if media.life == MediaLife::Stopped
                && let Some(id) = section.transport.take()
            {
                self.endpoint.remove(now, id);
            }
        }
    }

    /// The pending offer is undone: whoever it made goes, whoever it restarted goes back.
    fn roll_back(&mut self, now: Instant) -> Result<(), ApiMisuse> {
        for index in 0..self.sections.len() {
            let section = &mut self.sections[index];
            let pending = std::mem::replace(&mut section.pending, Pending::Nothing);
            let Some(id) = section.transport else {
                continue;
            };
            match pending {
                Pending::Nothing => {}
                Pending::Made => {
                    section.transport = None;
                    section.next.clear();
                    self.endpoint.remove(now, id);
                }
                Pending::Restarted => {
                    let current = self.signaling.current_description(Side::Local);
                    let media = current.and_then(|current| current.media.get(index));
                    let ufrag = media.and_then(|media| media.ufrag.as_deref());
                    section.next = ufrag.unwrap_or_default().to_owned();
                    self.with(now, id, |transport| transport.rollback_restart(now))?;
                }
            }
        }
        self.refer(now);
        Ok(())
    }

    fn add(&mut self, now: Instant, candidate: &CandidateInit) -> Result<(), ApiMisuse> {
        let of = |section: &&Section| candidate.mid.as_deref() == Some(&*section.mid);
        let section = self.sections.iter().find(of);
        let Some(id) = section.and_then(|section| section.transport) else {
            return Ok(());
        };
        let candidate = candidate.candidate.parse().expect("it is well-formed");
        self.with(now, id, |transport| {
            transport.add_remote_candidate(now, candidate)
        })
    }

    /// The connection refers to the transports there are.
    fn refer(&mut self, now: Instant) {
        let transports = self.transports();
        let states = transports.into_iter().map(|id| {
            let transport = self.endpoint.transport(id);
            (id, transport.map(TransportStates::from).unwrap_or_default())
        });
        let states: Vec<_> = states.collect();
        self.peer.set_transports(now, states);
        self.collect_events(now);
    }

    pub(crate) fn transports(&self) -> Vec<TransportId> {
        let sections = self.sections.iter();
        sections.filter_map(|section| section.transport).collect()
    }

    pub(crate) fn with<R>(
        &mut self,
        now: Instant,
        id: TransportId,
        command: impl FnOnce(&mut floe::Transport) -> R,
    ) -> R {
        let done = self.endpoint.with(now, id, command);
        done.expect("the transport lives")
    }

    /// The signaling states that were told.
    pub(crate) fn states(&self) -> Vec<String> {
        let told = self.told.iter().filter_map(|event| match event {
            Event::SignalingStateChange(change) => Some(change.to.to_string()),
            _ => None,
        });
        told.collect()
    }

    pub(crate) fn changes(&self, of: impl Fn(&PeerEvent) -> Option<String>) -> Vec<String> {
        self.peer_told.iter().filter_map(of).collect()
    }

    pub(crate) fn gathering_states(&self) -> Vec<String> {
        self.changes(|event| match event {
            PeerEvent::IceGatheringStateChange(change) => Some(change.to.to_string()),
            _ => None,
        })
    }
}

impl Node for Caller {
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
            self.peer.handle_transport_event(now, id, &event);
        }
        self.peer_told
            .extend(std::iter::from_fn(|| self.peer.poll_event()));
    }
}

/// Which of the two.
#[derive(Clone, Copy)]
pub(crate) enum From {
    A,
    B,
}

fn pair(call: &mut Call, from: From) -> (&mut Caller, &mut Caller) {
    match from {
        From::A => (&mut call.a, &mut call.b),
        From::B => (&mut call.b, &mut call.a),
    }
}

/// One side sets an offer of its own.
pub(crate) fn offers(call: &mut Call, from: From) {
    let now = call.now();
    let (from, _) = pair(call, from);
    let asked = from.signaling.set_implied_description(now);
    asked.expect("it is open");
    from.run(now);
    assert!(from.signaling.pending_description(Side::Local).is_some());
}

/// Its pending description reaches the other side.
pub(crate) fn delivers(call: &mut Call, from: From) {
    let now = call.now();
    let (from, to) = pair(call, from);
    let description = from.signaling.description(Side::Local).cloned();
    let description = description.expect("there is one");
    let asked = to.signaling.set_remote_description(now, description);
    asked.expect("it is open");
    to.run(now);
}

/// The other side answers, and the answer arrives.
pub(crate) fn is_answered(call: &mut Call, from: From) {
    let now = call.now();
    let (from, to) = pair(call, from);
    let asked = to.signaling.set_implied_description(now);
    asked.expect("it is open");
    to.run(now);
    let answer = to.signaling.current_description(Side::Local).cloned();
    let asked = from
        .signaling
        .set_remote_description(now, answer.expect("it was set"));
    asked.expect("it is open");
    from.run(now);
}

/// A whole exchange without candidates.
pub(crate) fn exchange(call: &mut Call, from: From) {
    offers(call, from);
    delivers(call, from);
    is_answered(call, from);
}

/// What either side has gathered reaches the other, and no more comes.
pub(crate) fn trickle(call: &mut Call) {
    let now = call.now();
    for from in [From::A, From::B] {
        let (from, to) = pair(call, from);
        for candidate in std::mem::take(&mut from.outbox) {
            let added = to.signaling.add_candidate(now, candidate);
            added.expect("there is room");
        }
        to.run(now);
        from.gathered(now);
    }
}
