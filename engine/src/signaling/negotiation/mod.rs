//! Perfect negotiation: one offer at a time, and who yields when two cross.
//!
//! ```text
//!                     something is not negotiated           the peer's offer came first, and we are polite
//!    ┌──────────── Idle ───────────────▶ MakingOffer ──▶ HoldingOffer ────────────────────┐
//!    │            ▲ ▲ ▲                        │ sent                                     │
//!    │            │ │ │    answer              ▼            an offer, and we are polite   │
//!    │            │ │ └── SettingAnswer ◀─ AwaitingAnswer ───────────────────────────┐    │
//!    │            │ │                         │ no answer                             │    │
//!    │ an offer   │ └── RollingBack ◀─────────┴── whatever fails                      │    │
//!    │            │ sent                                                             ▼    ▼
//!    │            └──── MakingAnswer ◀─ OwingAnswer ◀────────────────────────── SettingOffer
//!    │                                       └──── a newer offer ─────────────────────▶ ▲
//!    └──────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! | phase | state | may be left by |
//! |---|---|---|
//! | idle | stable | a need; an offer |
//! | making-offer | stable, have-local-offer | the offer is applied, or failed |
//! | holding-offer | have-local-offer | an offer, or there is none after all |
//! | awaiting-answer | have-local-offer, have-remote-pranswer | an answer; an offer, for who is polite; the time-out |
//! | setting-answer | the same | the answer is applied, or failed |
//! | setting-offer | any but a pranswer | the offer is applied, or failed |
//! | owing-answer | have-remote-offer | nothing waits; a newer offer |
//! | making-answer | the same | the answer is applied, or failed |
//! | rolling-back | have-local-offer, have-remote-offer | it is done, or failed |
//! | closed | closed | |
//!
//! [`Negotiation`] owns a [`Signaling`] and drives it: the caller says what it would like ([`Negotiation::negotiation_needed`],
//! [`Negotiation::restart_ice`]), hands over what the peer says, and does what the actions ask for. Messages of the peer are taken up one
//! at a time, in the order they came, each when the operation before it has ended; what this side wants comes after them. So an
//! offer is judged (`glare`) in the state that it will be applied in, and only one that can have no effect whatever happens is judged
//! when it comes.
//!
//! After webrtc-pc §10.7 (perfect negotiation), RFC 9429 §5.7 (rollback) and, for offer ids, restarts and missing answers, LiveKit's
//! practice. Left out: order, loss and repetition of messages ([`link`](super::link)); what is in a description; provisional answers of our
//! own (the peer's are taken).

mod config;
mod event;
mod glare;
mod outcome;
mod role;
#[cfg(feature = "serde")]
mod saved;
mod turn;

pub use config::{Config, Gathering, InvalidConfig, OfferIds, Unanswered};
pub use event::{
    Action, Cause, DiscardReason, Discarded, Event, Failed, Message, NegotiationError, Phase,
    Remedy, Transition,
};
pub use role::{Role, RoleClaim, RoleConflict};
#[cfg(feature = "serde")]
pub use saved::{RestoreError, SavedNegotiation};

use crate::{
    IceGatheringState, PeerConnectionState,
    signaling::{
        CandidateInit, Completed, Description, Failure, NotAwaited, OfferId, OperationId, Signaling,
    },
};
use glare::{Freshness, Moment, Verdict};
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// One side of a negotiation. See the [module](self).
///
/// ```
/// use floe::signaling::{Completed, Description, SdpType, Signaling, SignalingState};
/// use floe::signaling::negotiation::{Action, Message, Negotiation, Role};
/// use std::{sync::Arc, time::Instant};
///
/// /// Does what a side asks for, and gives back what it sends.
/// fn drive(side: &mut Negotiation, now: Instant) -> Vec<Message> {
///     let mut sent = Vec::new();
///     side.handle_timeout(now);
///     while let Some(action) = side.poll_action() {
///         match action {
///             Action::Send(message) => sent.push(message),
///             Action::Signaling(action) => {
///                 let created = |kind| Completed::Created(Arc::new(Description::new(kind, "v=0 …")));
///                 let done = match &action {
///                     floe::signaling::Action::CreateOffer { .. } => created(SdpType::Offer),
///                     floe::signaling::Action::CreateAnswer { .. } => created(SdpType::Answer),
///                     _ => Completed::Done, // having told the transports
///                 };
///                 side.complete(now, action.operation(), Ok(done)).expect("it was asked for");
///             }
///             _ => {} // the peer is given up
///         }
///     }
///     sent
/// }
///
/// let now = Instant::now();
/// let mut polite = Negotiation::new(now, Role::Polite, Signaling::new(now, Arc::default())?, Arc::default())?;
/// let mut impolite = Negotiation::new(now, Role::Impolite, Signaling::new(now, Arc::default())?, Arc::default())?;
/// // Both have something to offer at once.
/// polite.negotiation_needed(now);
/// impolite.negotiation_needed(now);
/// let (mut to_impolite, mut to_polite) = (drive(&mut polite, now), drive(&mut impolite, now));
/// while !(to_impolite.is_empty() && to_polite.is_empty()) {
///     to_impolite.drain(..).for_each(|message| impolite.handle_message(now, message));
///     to_polite.drain(..).for_each(|message| polite.handle_message(now, message));
///     (to_impolite, to_polite) = (drive(&mut polite, now), drive(&mut impolite, now));
/// }
/// assert_eq!(polite.signaling().state(), SignalingState::Stable);
/// assert!(!polite.signaling().is_negotiation_needed() && !impolite.signaling().is_negotiation_needed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Negotiation {
    signaling: Signaling,
    config: Arc<Config>,
    role: Role,
    phase: Phase,
    need: Need,
    media: Media,
    channel: Channel,
    gathering: IceGatheringState,
    /// Failures in a row.
    attempts: u8,
    /// What was not told because nobody listened.
    untold: u32,
    /// The last offer of ours that was created.
    ours: Option<OfferId>,
    /// The newest offer of the peer's that came.
    theirs: Option<OfferId>,
    /// What is there only while something is under way.
    busy: Option<Box<Busy>>,
}

/// As many events wait before the peer's messages go unreported.
const MAX_EVENTS: usize = 256;

/// As many actions wait before answers are not repeated.
const MAX_ACTIONS: usize = 64;

#[derive(Debug, Default)]
struct Busy {
    /// The description's operation that is under way.
    operation: Option<OperationId>,
    /// The peer's last description, if it was not taken: `ignoreOffer` of the W3C's example.
    ignored: Option<Arc<Description>>,
    /// Messages of the peer that wait for their turn.
    inbox: VecDeque<Message>,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    /// Local candidates that wait until it is known whether the description they belong to is sent.
    candidates: Vec<CandidateInit>,
    /// What was created and is being applied.
    created: Option<Arc<Description>>,
    /// When the answer is overdue.
    deadline: Option<Instant>,
    /// When a restart has waited long enough for gathering.
    patience: Option<Instant>,
}

/// Whether `negotiationneeded` was fired and no offer begun since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Need {
    Met,
    Open,
}

/// Whether media flows: only then a missing answer is the negotiation's own failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Media {
    Connected,
    Not,
}

/// Whether the signaling channel works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Channel {
    Up,
    Down,
}

/// What became of the messages that were under way when the signaling channel was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumption {
    /// The session below knows them, and repeats what did not arrive.
    Kept,
    /// It begins anew: what had not arrived is lost.
    Lost,
}

impl Negotiation {
    /// A side of this role. Both sides must differ in it, see [`RoleClaim`].
    ///
    /// # Errors
    ///
    /// A value of `config` is out of its range.
    pub fn new(
        now: Instant,
        role: Role,
        mut signaling: Signaling,
        config: Arc<Config>,
    ) -> Result<Self, InvalidConfig> {
        config.validate()?;
        signaling.tick(now);
        Ok(Self {
            signaling,
            config,
            role,
            phase: Phase::Idle,
            need: Need::Met,
            media: Media::Not,
            channel: Channel::Up,
            gathering: IceGatheringState::New,
            attempts: 0,
            untold: 0,
            ours: None,
            theirs: None,
            busy: None,
        })
    }

    /// The state and the descriptions.
    #[must_use]
    pub fn signaling(&self) -> &Signaling {
        &self.signaling
    }

    /// Which side yields.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// What this side is about.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// How many of the peer's messages were discarded without a word: candidates beyond [`Config::max_waiting`], and whatever it was
    /// while 256 events and more waited to be polled. Saturates.
    #[must_use]
    pub fn untold(&self) -> u32 {
        self.untold
    }

    /// Something changed that the peer has to agree to: a track, a data channel, a direction. However often this is said before the
    /// next offer, one offer follows.
    pub fn negotiation_needed(&mut self, now: Instant) {
        let now = self.tick(now);
        self.attempts = 0;
        self.signaling.negotiation_wanted(now);
        self.advance(now);
    }

    /// Nothing is left that the peer has to agree to: its own offer has brought about what was wanted here, or that was taken back. Said
    /// while its offer is being applied, no offer of ours follows.
    pub fn negotiation_satisfied(&mut self, now: Instant) {
        let now = self.tick(now);
        self.signaling.negotiation_satisfied(now);
        if !self.signaling.is_negotiation_needed() {
            self.need = Need::Met; // but for a restart that waits
        }
        self.advance(now);
    }

    /// New ICE credentials are wanted: the next offer has them. In the middle of a round that one ends first. Said twice before
    /// it is offered, or if an offer of the peer's restarts all transports meanwhile, there is one restart. Nothing when closed.
    pub fn restart_ice(&mut self, now: Instant) {
        let now = self.tick(now);
        self.attempts = 0;
        self.signaling.restart_ice(now);
        self.advance(now);
    }

    /// What the peer says.
    pub fn handle_message(&mut self, now: Instant, message: Message) {
        let now = self.tick(now);
        self.receive(now, message);
        self.advance(now);
    }

    /// A local candidate was found. The peer is sent it after the description that it belongs to, or never if that one is rolled back.
    pub fn handle_local_candidate(&mut self, now: Instant, candidate: CandidateInit) {
        let now = self.tick(now);
        self.signaling.handle_local_candidate(now, candidate);
        self.advance(now);
    }

    /// How an action of [`Action::Signaling`] ended.
    ///
    /// # Errors
    ///
    /// Nothing waits for this: nothing has changed.
    pub fn complete(
        &mut self,
        now: Instant,
        operation: OperationId,
        result: Result<Completed, Failure>,
    ) -> Result<(), NotAwaited> {
        let now = self.tick(now);
        let result = result.map(|completed| self.numbered(completed));
        let created = match &result {
            Ok(Completed::Created(description)) => Some(Arc::clone(description)),
            _ => None,
        };
        self.signaling.complete(now, operation, result)?;
        if let Some(description) = created {
            self.on_created(description);
        }
        self.advance(now);
        Ok(())
    }

    /// How the connection is: an answer is missed only while it is connected.
    pub fn handle_connection_state(&mut self, now: Instant, state: PeerConnectionState) {
        let now = self.tick(now);
        self.media = match state {
            PeerConnectionState::Connected => Media::Connected,
            _ => Media::Not,
        };
        self.advance(now);
    }

    /// How gathering is: an ICE restart waits until it is complete.
    pub fn handle_gathering_state(&mut self, now: Instant, state: IceGatheringState) {
        let now = self.tick(now);
        self.gathering = state;
        self.advance(now);
    }

    /// The signaling channel is lost. Messages are still given out, for the session below to keep; an answer is not missed meanwhile.
    pub fn signaling_down(&mut self, now: Instant) {
        let now = self.tick(now);
        self.channel = Channel::Down;
        self.advance(now);
    }

    /// The signaling channel is back. What was lost with it goes again, as it was and in its order: the last answer, and the
    /// offer that has none.
    pub fn signaling_up(&mut self, now: Instant, resumption: Resumption) {
        let now = self.tick(now);
        self.channel = Channel::Up;
        if resumption == Resumption::Lost {
            self.send_answer();
            if self.phase == Phase::AwaitingAnswer {
                self.send_pending();
            }
        }
        self.advance(now);
    }

    /// The session is over: nothing more comes out.
    pub fn close(&mut self, now: Instant) {
        let now = self.tick(now);
        self.signaling.close(now);
        self.phase = Phase::Closed;
        self.busy = None;
    }

    /// Time passes.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.tick(now);
        self.signaling.handle_timeout(now);
        if let Some(busy) = self.busy.as_deref_mut() {
            let is_due = |deadline: &mut Instant| *deadline <= now;
            if busy.patience.take_if(is_due).is_some() {
                self.gathering = IceGatheringState::New;
            }
            if busy.deadline.take_if(is_due).is_some() {
                self.on_unanswered(now);
            }
        }
        self.advance(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = self.busy.as_deref();
        let own = own.map(|busy| [busy.deadline, busy.patience]);
        let own = own.into_iter().flatten().flatten();
        own.chain(self.signaling.poll_timeout()).min()
    }

    /// What the caller must do next.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        let own = self
            .busy
            .as_deref_mut()
            .and_then(|busy| busy.actions.pop_front());
        self.rest();
        own.or_else(|| self.signaling.poll_action().map(Action::Signaling))
    }

    /// What happened.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.busy.as_deref_mut()?.events.pop_front();
        self.rest();
        event
    }

    fn tick(&mut self, now: Instant) -> Instant {
        self.signaling.tick(now)
    }

    fn operation(&self) -> Option<OperationId> {
        self.busy.as_deref()?.operation
    }

    fn ignored(&self) -> Option<&Description> {
        self.busy.as_deref()?.ignored.as_deref()
    }

    fn deadline(&self) -> Option<Instant> {
        self.busy.as_deref()?.deadline
    }

    fn busy(&mut self) -> &mut Busy {
        self.busy.get_or_insert_default()
    }

    /// An idle side is small.
    fn rest(&mut self) {
        self.busy.take_if(|busy| busy.is_empty());
    }

    fn tell(&mut self, event: Event) {
        if self.phase != Phase::Closed {
            self.busy().events.push_back(event);
        }
    }

    /// What a peer can bring about as often as it likes.
    fn report(&mut self, event: Event) {
        if self.busy().events.len() < MAX_EVENTS {
            self.tell(event);
        } else {
            self.keep_silent();
        }
    }

    fn keep_silent(&mut self) {
        self.untold = self.untold.saturating_add(1);
    }

    fn ask(&mut self, action: Action) {
        if self.phase != Phase::Closed {
            self.busy().actions.push_back(action);
        }
    }
}

impl Busy {
    fn is_empty(&self) -> bool {
        self.operation.is_none()
            && self.ignored.is_none()
            && self.inbox.is_empty()
            && self.actions.is_empty()
            && self.events.is_empty()
            && self.candidates.is_empty()
            && self.created.is_none()
            && self.deadline.is_none()
            && self.patience.is_none()
    }
}
