//! The sessions: one floe `Endpoint`, one `PeerConnection` beside each of its transports, and what the page wants to know of them.
//!
//! Sans-IO like floe itself: [`Sessions`] is a [`Machine`] that `net` runs over sockets and that tests could run over nothing.
//!
//! ```text
//!           Create                    connected                 End, close_notify, expiry
//!   (none) ────────▶ live, expiring ───────────▶ live, lasting ───────────▶ ended (a view, for a while)
//!                          ▲                          │
//!                          └────────── failed ────────┘
//! ```

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use floe::{
    ApiMisuse, Endpoint, EndpointConfig, Event, Outcome, Received, Transport, TransportId,
    TransportOptions,
};
use floe_dtls::{CertificateFingerprint, RemoteIdentity, Setup, Side, answer_setup};
use floe_ice::{
    Agent, Candidate, FiveTuple, Initiation, Mode, Parameters, RemoteParameters, Transmit,
};

use crate::calls::Calls;
use crate::legs::Net;
use crate::net::Machine;
use crate::sdp::{self, Answer, Candidates, Description, Fragment, Generation, Local};
use crate::server::{Command, Created, IfMatch, Patched, Rejection, SessionKey, random_u64};
use crate::session::{Beginning, Session, mode_name};
use crate::traffic::Traffic;
use crate::view::{Overview, ServerView, SessionView};

/// Ended sessions still shown.
const REMEMBERED: usize = 20;
/// How often expiry is looked at: it need not be sharper.
const SWEEP: Duration = Duration::from_secs(1);

/// What the sessions have in common.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) endpoint: EndpointConfig,
    pub(crate) fingerprint: CertificateFingerprint,
    pub(crate) mode: Mode,
    /// Who made the first offer, as ICE sees it; the browser did in truth.
    pub(crate) initiation: Initiation,
    /// The DTLS side taken where the offer leaves the choice.
    pub(crate) side: Side,
    /// The host candidates of every answer.
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) max_sessions: usize,
    /// How long a session may be without a connection.
    pub(crate) expiry: Duration,
}

/// All sessions of the server.
#[derive(Debug)]
pub(crate) struct Sessions {
    settings: Settings,
    endpoint: Endpoint,
    calls: Calls,
    live: HashMap<TransportId, Session>,
    keys: HashMap<SessionKey, TransportId>,
    /// Newest first.
    ended: VecDeque<SessionView>,
    created: u64,
    next_sweep: Option<Instant>,
    /// Sessions whose data channels have packets to send.
    talking: VecDeque<TransportId>,
    /// No later than the first timer of any data channel.
    next_channel_timeout: Option<Instant>,
    /// The time of the last input.
    now: Instant,
    life: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Serving,
    Closing,
}

impl Sessions {
    pub(crate) fn new(now: Instant, settings: Settings) -> Self {
        Self {
            endpoint: Endpoint::new(settings.endpoint.clone()),
            settings,
            calls: Calls::new(),
            live: HashMap::new(),
            keys: HashMap::new(),
            ended: VecDeque::new(),
            created: 0,
            next_sweep: None,
            talking: VecDeque::new(),
            next_channel_timeout: None,
            now,
            life: Life::Serving,
        }
    }

    fn create(
        &mut self,
        now: Instant,
        offer: Description,
        answer: Answer,
    ) -> Result<Created, Rejection> {
        if self.life == Life::Closing {
            return Err(Rejection::Closing);
        }
        if self.live.len() >= self.settings.max_sessions {
            return Err(Rejection::Full);
        }
        let setup = answer_setup(offer.facts.setup, None, self.settings.side)
            .map_err(|error| Rejection::Engine(error.to_string()))?;
        let name = offer.transport_name();
        let remote = offer.facts.parameters.clone();
        let transport = self
            .create_transport(now, offer, setup)
            .map_err(|error| Rejection::Engine(error.to_string()))?;
        let answer = self.complete(transport, answer, setup).inspect_err(|_| {
            self.endpoint.remove(now, transport);
        })?;
        self.created += 1;
        let number = self.created;
        let beginning = Beginning {
            number,
            transport,
            name,
            remote,
        };
        let session = Session::new(now, beginning, self.settings.expiry);
        tracing::info!(session = number, "offer accepted");
        let (key, entity_tag) = (session.key, session.entity_tag);
        self.keys.insert(key, transport);
        self.live.insert(transport, session);
        self.next_sweep.get_or_insert(now + SWEEP);
        Ok(Created {
            key,
            entity_tag,
            answer,
        })
    }

    /// The answer's text, with this side of the transport.
    fn complete(
        &self,
        transport: TransportId,
        answer: Answer,
        setup: Setup,
    ) -> Result<String, Rejection> {
        let ice = self.ice(transport)?;
        let local = Local {
            session_id: random_u64() >> 2,
            session_version: 1,
            parameters: ice.local_parameters(),
            options: ice.ice_options(),
            pacing: ice.ice_pacing(),
            mode: self.settings.mode,
            fingerprint: self.settings.fingerprint,
            setup,
            candidates: &self.settings.candidates,
        };
        Ok(answer.text(&local)?)
    }

    /// A transport with everything the offer says.
    fn create_transport(
        &mut self,
        now: Instant,
        offer: Description,
        setup: Setup,
    ) -> Result<TransportId, ApiMisuse> {
        let facts = offer.facts;
        let remote = facts.remote_parameters();
        let transport = self.endpoint.create(
            now,
            TransportOptions {
                mode: self.settings.mode,
                initiation: self.settings.initiation,
                setup,
                remote_identity: RemoteIdentity::Fingerprints(facts.fingerprints),
                local_parameters: None,
            },
        )?;
        let fragment = facts.parameters.username_fragment().to_owned();
        let candidates = self.settings.candidates.clone();
        let told = self
            .endpoint
            .with(now, transport, |transport| -> Result<(), ApiMisuse> {
                add_local_candidates(transport, now, candidates)?;
                transport.set_remote_parameters(now, remote)?;
                add_remote_candidates(transport, now, facts.candidates, &fragment);
                Ok(())
            });
        if let Some(Err(error)) = told {
            self.endpoint.remove(now, transport);
            return Err(error);
        }
        Ok(transport)
    }

    /// The calls, and what they need.
    fn with_calls(&mut self, now: Instant) -> (Net<'_>, &mut Calls) {
        let net = Net {
            now,
            endpoint: &mut self.endpoint,
            settings: &self.settings,
        };
        (net, &mut self.calls)
    }

    /// What comes over a transport, whoever has it.
    fn traffic(&mut self, id: TransportId) -> Option<&mut Traffic> {
        match self.live.get_mut(&id) {
            Some(session) => Some(&mut session.traffic),
            None => self.calls.traffic(id),
        }
    }

    fn ice(&self, transport: TransportId) -> Result<&Agent, Rejection> {
        let transport = self.endpoint.transport(transport);
        Ok(transport.ok_or(Rejection::NoSession)?.ice())
    }

    fn session(&mut self, key: SessionKey) -> Result<&mut Session, Rejection> {
        let transport = self.keys.get(&key).ok_or(Rejection::NoSession)?;
        self.live.get_mut(transport).ok_or(Rejection::NoSession)
    }

    /// RFC 9725 §4.3: a fragment of the current generation trickles, one with new credentials restarts.
    fn patch(
        &mut self,
        now: Instant,
        key: SessionKey,
        precondition: &IfMatch,
        text: &str,
    ) -> Result<Patched, Rejection> {
        let session = self.session(key)?;
        let fragment = Fragment::parse(text, &session.name)?;
        if !precondition.allows(session.entity_tag) {
            return Err(Rejection::Stale);
        }
        let transport = session.transport;
        let current = session.remote.username_fragment().to_owned();
        match fragment.generation(&session.remote)? {
            Generation::Current => {
                self.endpoint.with(now, transport, |transport| {
                    add_remote_candidates(transport, now, fragment.candidates, &current);
                });
                Ok(Patched::Trickled)
            }
            Generation::New(parameters) => self.restart(now, key, parameters, fragment),
        }
    }

    /// Both sides get new credentials; the old path carries on until the new generation is confirmed.
    fn restart(
        &mut self,
        now: Instant,
        key: SessionKey,
        remote: Parameters,
        fragment: Fragment,
    ) -> Result<Patched, Rejection> {
        let id = self.session(key)?.transport;
        let is_first = self
            .endpoint
            .transport(id)
            .is_some_and(|transport| !transport.ice().is_restarting());
        let mut new = RemoteParameters::new(remote.clone());
        new.mode = fragment.mode;
        self.endpoint
            .restart(now, id, None, Some(new))
            .map_err(|error| Rejection::Engine(error.to_string()))?;
        self.endpoint.with(now, id, |transport| {
            // The sockets are the same, so nothing is left to be gathered.
            transport.local_candidates_complete(now);
            add_remote_candidates(
                transport,
                now,
                fragment.candidates,
                remote.username_fragment(),
            );
        });
        let ice = self.ice(id)?;
        let (options, parameters) = (ice.ice_options(), ice.local_parameters().clone());
        let session = self.session(key)?;
        if is_first {
            // Confirmed, or without a path to go back to: of that no event tells.
            session.settled();
        }
        session.restarted(now, remote);
        let (name, entity_tag) = (session.name.clone(), session.entity_tag);
        let Settings {
            mode, candidates, ..
        } = &self.settings;
        let fragment = sdp::fragment(&name, *mode, options, &parameters, candidates);
        Ok(Patched::Restarted {
            entity_tag,
            fragment,
        })
    }

    /// Ends a session: close_notify, revoked consent, and 403 to later checks (I59).
    fn end(&mut self, now: Instant, id: TransportId, reason: &str) {
        let Some(session) = self.live.remove(&id) else {
            return;
        };
        self.keys.remove(&session.key);
        tracing::info!(session = session.number, reason, "ended");
        if let Some(transport) = self.endpoint.transport(id) {
            self.ended.push_front(session.end(now, transport, reason));
        }
        self.ended.truncate(REMEMBERED);
        self.endpoint.remove(now, id);
    }

    /// Takes the transports' events; a session whose other side said goodbye is over.
    fn drain_events(&mut self, now: Instant) {
        while let Some((id, event)) = self.endpoint.poll_event() {
            let Some(session) = self.live.get_mut(&id) else {
                let (mut net, calls) = self.with_calls(now);
                calls.handle_event(&mut net, id, &event);
                continue;
            };
            session.handle_event(now, &event, self.settings.expiry);
            if matches!(event, Event::DtlsStateChange(change) if change.reason == floe_dtls::Reason::ClosedByPeer)
            {
                self.end(now, id, "closed by the other side");
            }
        }
    }

    fn sweep(&mut self, now: Instant) {
        let is_expired = |session: &&Session| session.expires.is_some_and(|at| at <= now);
        let expired: Vec<TransportId> = self
            .live
            .values()
            .filter(is_expired)
            .map(|session| session.transport)
            .collect();
        for id in expired {
            self.end(now, id, "expired without a connection");
        }
        let (mut net, calls) = self.with_calls(now);
        calls.sweep(&mut net);
        let is_idle = self.live.is_empty() && self.calls.is_empty();
        self.next_sweep = (!is_idle).then(|| now + SWEEP);
    }

    /// After a session's data channels had something to do.
    fn note_channels(&mut self, id: TransportId) {
        let Some(traffic) = self.traffic(id) else {
            return;
        };
        let timeout = traffic.channels.poll_timeout();
        let has_packets = traffic.channels.has_packets();
        self.next_channel_timeout = timeout.into_iter().chain(self.next_channel_timeout).min();
        if has_packets {
            self.talking.push_back(id);
        }
    }

    fn channel_timeouts(&mut self, now: Instant) {
        self.next_channel_timeout = None;
        let ids: Vec<TransportId> = self.live.keys().copied().chain(self.calls.ids()).collect();
        for id in ids {
            if let Some(traffic) = self.traffic(id)
                && traffic.channels.poll_timeout().is_some()
            {
                traffic.channels.handle_timeout(now);
                self.note_channels(id);
            }
        }
    }

    /// Seals the next data channel packet that has a path.
    fn poll_channels(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        while let Some(id) = self.talking.front().copied() {
            let packet = self
                .traffic(id)
                .and_then(|traffic| traffic.channels.poll_packet());
            let Some(packet) = packet else {
                self.talking.pop_front();
                continue;
            };
            // Without consent, or closed: the packet is lost, and SCTP will send it again.
            if let Some(transmit) = seal(&mut self.endpoint, self.now, id, &packet, buf) {
                return Some(transmit);
            }
        }
        None
    }

    fn overview(&self, now: Instant) -> Overview {
        let mut live: Vec<&Session> = self.live.values().collect();
        live.sort_by_key(|session| std::cmp::Reverse(session.number));
        let views = live.iter().filter_map(|session| {
            Some(session.view(now, self.endpoint.transport(session.transport)?))
        });
        Overview {
            server: ServerView {
                ice_mode: mode_name(self.settings.mode),
                candidates: self
                    .settings
                    .candidates
                    .iter()
                    .filter_map(Candidate::address)
                    .map(|address| address.to_string())
                    .collect(),
                live: self.live.len(),
                created: self.created,
            },
            sessions: views.chain(self.ended.iter().cloned()).collect(),
            calls: self.calls.views(now, &self.endpoint),
        }
    }

    fn close(&mut self, now: Instant) -> usize {
        let all: Vec<TransportId> = self.live.keys().copied().collect();
        for id in &all {
            self.end(now, *id, "the server was closed");
        }
        let (mut net, calls) = self.with_calls(now);
        let ended = all.len() + calls.close(&mut net);
        self.life = Life::Closing;
        ended
    }
}

/// Makes `plaintext` a DTLS record in `buf`, where there is consent to send.
pub(crate) fn seal(
    endpoint: &mut Endpoint,
    now: Instant,
    id: TransportId,
    plaintext: &[u8],
    buf: &mut [u8],
) -> Option<Transmit> {
    endpoint
        .with(now, id, |transport| transport.seal(now, plaintext, buf))?
        .ok()
}

pub(crate) fn add_local_candidates(
    transport: &mut Transport,
    now: Instant,
    candidates: Vec<Candidate>,
) -> Result<(), ApiMisuse> {
    for candidate in candidates {
        transport.add_local_candidate(now, candidate)?;
    }
    transport.local_candidates_complete(now);
    Ok(())
}

/// A candidate that the agent has no use for is left out: the others still count (RFC 9725 §4.3.2). Their end is that of the
/// generation whose `ice-ufrag` stands with it (RFC 8840 §9).
pub(crate) fn add_remote_candidates(
    transport: &mut Transport,
    now: Instant,
    candidates: Candidates,
    username_fragment: &str,
) {
    for candidate in candidates.list {
        if let Err(error) = transport.add_remote_candidate(now, candidate) {
            tracing::debug!(%error, "remote candidate left out");
        }
    }
    if candidates.are_all {
        transport.remote_candidates_complete_of(now, username_fragment);
    }
}

impl Machine for Sessions {
    type Command = Command;

    fn handle_datagram(&mut self, now: Instant, path: FiveTuple, datagram: &mut [u8]) {
        self.now = now;
        let mut rest = datagram;
        // A datagram may hold several records; each call opens one.
        while let Outcome::Routed {
            transport,
            received,
        } = self.endpoint.handle_datagram(now, path, rest)
        {
            match (received, self.traffic(transport)) {
                (Received::Data { range, rest: next }, Some(traffic)) => {
                    traffic.handle_record(now, &rest[range]);
                    self.note_channels(transport);
                    rest = &mut rest[next];
                }
                (Received::Media(_), Some(traffic)) => {
                    traffic.handle_media(rest);
                    break;
                }
                _ => break,
            }
            if rest.is_empty() {
                break;
            }
        }
        self.drain_events(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.endpoint.handle_timeout(now);
        self.drain_events(now);
        if self.next_channel_timeout.is_some_and(|at| at <= now) {
            self.channel_timeouts(now);
        }
        if self.next_sweep.is_some_and(|at| at <= now) {
            self.sweep(now);
        }
        let (mut net, calls) = self.with_calls(now);
        calls.handle_timeout(&mut net);
    }

    fn handle_command(&mut self, now: Instant, command: Command) {
        self.now = now;
        // Whoever asked may be gone: then the reply is nobody's.
        match command {
            Command::Create {
                offer,
                answer,
                reply,
            } => drop(reply.send(self.create(now, *offer, answer))),
            Command::Exists { key, reply } => drop(reply.send(self.session(key).map(|_| ()))),
            Command::Patch {
                key,
                precondition,
                fragment,
                reply,
            } => {
                drop(reply.send(self.patch(now, key, &precondition, &fragment)));
            }
            Command::End { key, reply } => {
                let transport = self.session(key).map(|session| session.transport);
                drop(reply.send(transport.map(|id| self.end(now, id, "ended by DELETE"))));
            }
            Command::OpenChannel { sender, reply } => {
                self.next_sweep.get_or_insert(now + SWEEP);
                let _ = reply.send(self.calls.open_channel(now, sender));
            }
            Command::Hear {
                channel,
                frame,
                reply,
            } => {
                let (mut net, calls) = self.with_calls(now);
                calls.hear(&mut net, channel, &frame);
                let _ = reply.send(());
            }
            Command::CloseChannel { channel, reply } => {
                let (mut net, calls) = self.with_calls(now);
                calls.close_channel(&mut net, channel);
                let _ = reply.send(());
            }
            Command::Overview { reply } => drop(reply.send(self.overview(now))),
            Command::Close { reply } => drop(reply.send(self.close(now))),
        }
        self.drain_events(now);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        self.endpoint
            .poll_transmit(buf)
            .or_else(|| self.poll_channels(buf))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint
            .poll_timeout()
            .into_iter()
            .chain(self.next_sweep)
            .chain(self.next_channel_timeout)
            .chain(self.calls.poll_timeout())
            .min()
    }

    fn is_finished(&self) -> bool {
        self.life == Life::Closing
    }
}
