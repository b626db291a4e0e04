//! `Session`: everything that stands above the transports of one call, as one machine.
//!
//! ```text
//!            Endpoint, transports                       the channel (WebSocket, …)
//!                 │ events                                 │ ▲ envelopes
//!                 ▼                                        ▼ │
//!  ┌──────── PeerConnection ────────┐              ┌────── Link ──────┐   messages    ┌── Negotiation ──┐
//!  │ aggregates, explain()          │              │ order, resume    │◄─────────────►│ glare, rollback │──► offers, answers,
//!  └───────┬─────────────┬──────────┘              └──────┬───────────┘               └───────▲─────────┘    candidates to apply
//!          │             └── connection, gathering ───────┼────────────────────────────────►  │
//!          ▼                                              │ gone, back, leave                 │ restart ICE
//!      Recovery ──────────────────────────────────────────┼───────────────────────────────────┘
//!          ▼                                              ▼
//!    given up: the caller's                            Ending  ◄── media silent ── Monitor ◄── keep-alives
//!                                                         │ the first reason wins
//!                                                         ▼
//!                                        close the transports, and every machine
//! ```
//!
//! Each machine can be used without this one; what stands here is who tells whom. Signaling and media meet in these places only:
//!
//! - a restart that media asks for is offered by the negotiation, and the recovery is told when that offer has left;
//! - a peer's offer that restarts ICE is its reconnect: the recovery takes it for its own, and the monitor bears a whole timeout more;
//! - the negotiation is told of gathering, and whether media flows, without which it misses no answer;
//! - a channel that closes ends a session whose media never connected.
//!
//! Otherwise the one knows nothing of the other's losses.
//!
//! The whole session is driven by [`Session::handle`]: all that can happen to it is an [`Input`], and it is a pure function of the
//! inputs and their times, if what it has to send is polled after each. The named methods are short for it. With [`Config::journal`] what changes is written down, and in
//! [`Detail::Debug`](crate::journal::Detail) the inputs too: then the session can be replayed. Inputs hold what was said, and the
//! name of the session: such a log is to be kept like the messages themselves. An accepting session is made again with the envelope it
//! was [accepted](Session::accept) with, which is none of its inputs.
//! What comes out are [`Action`]s (to be carried out), envelopes (to be sent) and [`Event`]s (to be known).
//!
//! The two sides differ in little: the accepting one (a server) bears 20 s of silence and then closes the session for a
//! [`CloseReason`]; the dialing one (a client) bears 15 s and then comes back.
//!
//! # The loop
//!
//! ```
//! use floe::{close::CloseReason, session::{Action, Session}, signaling};
//! use std::time::Instant;
//!
//! # trait Call { fn carry_out(&mut self, action: &signaling::Action) -> Result<signaling::Completed, signaling::Failure>;
//! # fn send(&mut self, envelope: floe::session::Envelope); fn close_transports(&mut self); fn open_channel(&mut self); }
//! /// After each input, until nothing comes any more.
//! fn turn(now: Instant, session: &mut Session, call: &mut impl Call) {
//!     while let Some(action) = session.poll_action() {
//!         match action {
//!             Action::Signaling(action) => {
//!                 let result = call.carry_out(&action); // an offer to make, a description to apply, a candidate to add
//!                 session.complete(now, action.operation(), result);
//!             }
//!             Action::OpenChannel { .. } => call.open_channel(),
//!             Action::CloseTransports => call.close_transports(),
//!             _ => {}
//!         }
//!     }
//!     while let Some(envelope) = session.poll_transmit() {
//!         call.send(envelope);
//!     }
//!     while let Some(event) = session.poll_event() {
//!         println!("{event:?}");
//!     }
//! }
//! ```

mod config;
mod input;
mod output;
mod route;
#[cfg(feature = "serde")]
mod saved;

pub use config::{Config, ConfigError};
pub use input::Input;
pub use output::{Action, Ended, Escalation, Event};
#[cfg(feature = "serde")]
pub use saved::{RestoreError, SavedSession};

use crate::{
    Event as TransportEvent, PeerConnection, TransportId, TransportInput, TransportStates,
    close::{CloseReason, Ending},
    journal::{CorrelationId, Journal},
    liveness::Monitor,
    recovery::{Recovery, StatsSample},
    signaling::{
        self, CandidateInit, Completed, Failure, OperationId, Signaling,
        link::{AcceptError, DropReason, Link, SessionId},
        negotiation::{Message, Negotiation},
    },
};
use output::Outbox;
use siphasher::sip128::SipHasher13;
use std::time::{Duration, Instant};
use thiserror::Error;

/// What goes over a session's channel.
pub type Envelope = signaling::link::Envelope<Message>;

/// The state of one call above its transports. See the [module](self).
#[derive(Debug)]
pub struct Session {
    peer: PeerConnection,
    negotiation: Negotiation,
    link: Link<Message>,
    recovery: Recovery,
    monitor: Monitor,
    side: Side,
    outbox: Option<Box<Outbox>>,
    journal: Option<Box<Journal<Input>>>,
}

/// What the two sides differ in.
#[derive(Debug)]
enum Side {
    /// Decides why the session ends.
    Accepting(Ending),
    /// Is told, or leaves.
    Dialing(Option<Box<Ended>>),
}

/// Why no session began with an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotBegun {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It resumes a session that is not known: send this back the way it came.
    #[error("the session is not known")]
    Refused(Envelope),
    /// It does not begin a session.
    #[error("the envelope begins no session")]
    Dropped(DropReason),
}

/// Life.
impl Session {
    /// The side that opens the channels, and asks for the first one at once.
    ///
    /// # Errors
    ///
    /// A value of `config` is out of its range.
    pub fn dial(now: Instant, id: SessionId, config: &Config) -> Result<Self, ConfigError> {
        let link = Link::dialing(now, id, config.link.clone())?;
        let monitor = Monitor::client(now, &config.liveness)?;
        Self::new(now, link, monitor, Side::Dialing(None), config)
    }

    /// The other side, from the first envelope of a session that nobody has.
    ///
    /// # Errors
    ///
    /// The envelope begins no session, or a value of `config` is out of its range.
    pub fn accept(now: Instant, first: Envelope, config: &Config) -> Result<Self, NotBegun> {
        let link = Link::accept(now, first, config.link.clone()).map_err(|error| match error {
            AcceptError::Config(error) => NotBegun::Config(error.into()),
            AcceptError::Refused(refusal) => NotBegun::Refused(refusal),
            AcceptError::Dropped(reason) => NotBegun::Dropped(reason),
        })?;
        let monitor = Monitor::server(now, &config.liveness).map_err(ConfigError::from)?;
        let ending = Ending::new(now, &config.close).map_err(ConfigError::from)?;
        Ok(Self::new(
            now,
            link,
            monitor,
            Side::Accepting(ending),
            config,
        )?)
    }

    fn new(
        now: Instant,
        link: Link<Message>,
        monitor: Monitor,
        side: Side,
        config: &Config,
    ) -> Result<Self, ConfigError> {
        let signaling = Signaling::new(now, config.signaling.clone())?;
        let negotiation =
            Negotiation::new(now, config.role, signaling, config.negotiation.clone())?;
        let journal = Self::begin_journal(now, link.session(), config)?;
        let mut session = Self {
            peer: PeerConnection::with_profile(config.profile),
            negotiation,
            link,
            recovery: Recovery::new(now, config.recovery.clone())?,
            monitor,
            side,
            outbox: None,
            journal,
        };
        session.settle(now);
        Ok(session)
    }

    fn begin_journal(
        now: Instant,
        id: SessionId,
        config: &Config,
    ) -> Result<Option<Box<Journal<Input>>>, ConfigError> {
        let Some(config) = &config.journal else {
            return Ok(None);
        };
        let journal = Journal::new(now, correlation(id), config.clone())?;
        Ok(Some(Box::new(journal)))
    }

    /// Takes whatever happens. The methods below are short for it, each for one [`Input`]. A `now` earlier than one seen before is
    /// taken for that one.
    ///
    /// An envelope that greets a session that is over is answered with the one that is returned; it goes back the way the other came.
    pub fn handle(&mut self, now: Instant, input: Input) -> Option<Envelope> {
        let now = self.recovery.see(now);
        if let Some(journal) = &mut self.journal
            && journal.keeps_inputs()
        {
            journal.input(now, input.clone());
        }
        let refusal = self.apply(now, input);
        self.settle(now);
        self.look_at_alerts();
        refusal
    }

    /// This side ends the session, for this reason. A dialing side leaves.
    pub fn close(&mut self, now: Instant, reason: CloseReason) {
        self.handle(now, Input::Close(reason));
    }

    /// How it ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        match &self.side {
            Side::Accepting(ending) => Some(Ended::of(ending.ended()?)),
            Side::Dialing(ended) => ended.as_deref().copied(),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.handle(now, Input::Timeout);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ending = match &self.side {
            Side::Accepting(ending) => ending.poll_timeout(),
            Side::Dialing(_) => None,
        };
        [
            self.negotiation.poll_timeout(),
            self.link.poll_timeout(),
            self.recovery.poll_timeout(),
            self.monitor.poll_timeout(),
            self.journal
                .as_ref()
                .and_then(|journal| journal.poll_timeout()),
            ending,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.outbox.as_mut()?.actions.pop_front();
        self.rest();
        action
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.outbox.as_mut()?.events.pop_front();
        self.rest();
        event
    }

    /// The next envelope for the channel in use.
    pub fn poll_transmit(&mut self) -> Option<Envelope> {
        self.link.poll_transmit()
    }

    /// A session at rest is small.
    fn rest(&mut self) {
        self.outbox.take_if(|outbox| outbox.is_empty());
    }
}

/// Transports.
impl Session {
    /// The call has a transport more, in these states.
    pub fn add_transport(&mut self, now: Instant, id: TransportId, states: TransportStates) {
        self.handle(now, Input::AddTransport(id, states));
    }

    /// The call has a transport less.
    pub fn remove_transport(&mut self, now: Instant, id: TransportId) {
        self.handle(now, Input::RemoveTransport(id));
    }

    /// What an endpoint tells of a transport.
    pub fn handle_transport_event(
        &mut self,
        now: Instant,
        id: TransportId,
        event: &TransportEvent,
    ) {
        if let Some(input) = TransportInput::new(now, event) {
            self.handle(now, Input::Transport(id, input));
        }
    }

    /// The peer proved `age` ago that it is there: an authenticated STUN message, an answered consent check.
    pub fn handle_keep_alive(&mut self, now: Instant, age: Duration) {
        self.handle(now, Input::KeepAlive(age));
    }

    /// The page, or the machine, is back from the background, where networks go unnoticed.
    pub fn resume(&mut self, now: Instant) {
        self.handle(now, Input::Resumed);
    }

    /// This side's network is another, or has other ways out.
    pub fn network_changed(&mut self, now: Instant) {
        self.handle(now, Input::NetworkChanged);
    }

    /// What [`Action::PollStats`] asked for.
    pub fn handle_stats(&mut self, now: Instant, sample: StatsSample) {
        self.handle(now, Input::Stats(sample));
    }
}

/// The channel.
impl Session {
    /// Dialing side: opens a channel now, and as often as at first, if it waits for its back-off or has given up. Nothing of the
    /// media path changes.
    pub fn reconnect(&mut self, now: Instant) {
        self.handle(now, Input::Reconnect);
    }

    /// Dialing side: a channel is open. While one is in use already, the new one takes its place.
    pub fn channel_opened(&mut self, now: Instant) {
        self.handle(now, Input::ChannelOpened);
    }

    /// The channel in use is gone, or the one asked for cannot be opened.
    pub fn channel_closed(&mut self, now: Instant) {
        self.handle(now, Input::ChannelClosed);
    }

    /// An envelope came. If it greets a session that is over, the answer is to be sent back the same way.
    pub fn handle_envelope(&mut self, now: Instant, envelope: Envelope) -> Option<Envelope> {
        self.handle(now, Input::Envelope(envelope))
    }
}

/// Offers and answers.
impl Session {
    /// Something changed that the peer has to agree to.
    pub fn negotiation_needed(&mut self, now: Instant) {
        self.handle(now, Input::NegotiationNeeded);
    }

    /// The peer's offer has brought about what was wanted here, or it was taken back.
    pub fn negotiation_satisfied(&mut self, now: Instant) {
        self.handle(now, Input::NegotiationSatisfied);
    }

    /// New ICE credentials are wanted.
    pub fn restart_ice(&mut self, now: Instant) {
        self.handle(now, Input::RestartIce);
    }

    /// A local candidate was found.
    pub fn handle_local_candidate(&mut self, now: Instant, candidate: CandidateInit) {
        self.handle(now, Input::LocalCandidate(candidate));
    }

    /// How an [`Action::Signaling`] ended. What nobody waits for changes nothing.
    pub fn complete(
        &mut self,
        now: Instant,
        operation: OperationId,
        result: Result<Completed, Failure>,
    ) {
        self.handle(now, Input::Completed(operation, result));
    }
}

/// The machines.
impl Session {
    /// The aggregates, and who is to blame.
    #[must_use]
    pub fn peer(&self) -> &PeerConnection {
        &self.peer
    }

    /// Signaling state, descriptions, and what is under way.
    #[must_use]
    pub fn negotiation(&self) -> &Negotiation {
        &self.negotiation
    }

    /// The channel.
    #[must_use]
    pub fn link(&self) -> &Link<Message> {
        &self.link
    }

    /// The recovery.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// What was written down, if anything is.
    #[must_use]
    pub fn journal(&self) -> Option<&Journal<Input>> {
        self.journal.as_deref()
    }

    /// The journal, to take its entries as they come.
    pub fn journal_mut(&mut self) -> Option<&mut Journal<Input>> {
        self.journal.as_deref_mut()
    }

    /// The media path.
    #[must_use]
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }
}

/// The same number on both sides, so that their journals can be laid side by side; it does not give the session's name away.
fn correlation(session: SessionId) -> CorrelationId {
    let digest = SipHasher13::new().hash(session.as_bytes());
    CorrelationId::new(digest.as_u128())
}
