//! `Signaling`: the JSEP machine of one connection (webrtc-pc §4.3.1, §4.4.1; RFC 9429 §4.1).
//!
//! ```text
//!  create_offer, create_answer    ┌────────────── operations chain ───────────────┐
//!  set_{local,remote,implied} ──▶ │ one at a time, first in first out              │ ── poll_action ──▶ what to do
//!  add_candidate                  │   begin: is it allowed in this state?          │
//!                                 │   the caller does it                           │ ◀── complete ───── done, or failed
//!                                 │   state and four descriptions set together     │
//!  handle_local_candidate ──────▶ │   the transitions, then its own end, are told  │ ── poll_event ───▶ what happened
//!  negotiation_wanted ──────────▶ │ nothing left: is negotiation needed?           │
//!                                 └────────────────────────────────────────────────┘
//! ```
//!
//! Nothing changes when a command is given: a step is taken when the caller says that it has done its part. A failed operation
//! leaves everything as it was, and the next one goes on. The machine never waits for time: its only deadline is "the next turn", for
//! `negotiationneeded`, which thus comes after everything that its cause brought about.
//!
//! Left out: SDP, transceivers, data channels and gathering. Whether a change of theirs is to be negotiated, the caller says.

use super::{
    candidates::{self, CandidateDrops, CandidateInit, EarlyCandidates, Gate, Gone, MAX_CANDIDATE},
    chain::{Asked, Busy, Operation, Running, Stage, Then},
    config::{Config, ConfigError, ForeignDescriptions},
    description::{Description, SdpType, Side},
    needed::{Chain, Need, Needed},
    operation::{
        Action, Attempt, CandidateDropped, Completed, Event, Failure, IceRestart, NotAwaited,
        OperationError, OperationId, Refused, Transition,
    },
    slots::{CreatedOffer, Slots},
    state::{Effect, SignalingState, Step},
};
use std::{num::NonZeroU64, sync::Arc, time::Instant};

/// Signaling state, descriptions, operations and candidates of one connection.
///
/// ```
/// use floe::signaling::{Action, Completed, Config, Description, Event, SdpType, Signaling, SignalingState};
/// use std::{sync::Arc, time::Instant};
///
/// let now = Instant::now();
/// let mut signaling = Signaling::new(now, Arc::new(Config::default()))?;
/// signaling.set_remote_description(now, Description::new(SdpType::Offer, "v=0 …"))?;
/// signaling.set_implied_description(now)?; // answers it
/// while let Some(action) = signaling.poll_action() {
///     let done = match &action {
///         Action::CreateAnswer { .. } => Completed::Created(Arc::new(Description::new(SdpType::Answer, "v=0 …"))),
///         _ => Completed::Done, // having told the transports
///     };
///     signaling.complete(now, action.operation(), Ok(done))?;
/// }
/// assert_eq!(signaling.state(), SignalingState::Stable);
/// while let Some(event) = signaling.poll_event() {
///     if let Event::SignalingStateChange(change) = event {
///         println!("{} → {}: {}", change.from, change.to, change.step);
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Signaling {
    config: Arc<Config>,
    slots: Slots,
    /// The latest time seen.
    now: Instant,
    next: NonZeroU64,
    needed: Needed,
    state: SignalingState,
    rare: Option<Box<Rare>>,
    busy: Option<Box<Busy>>,
}

/// What few connections ever have.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Rare {
    gone_local: Gone,
    gone_remote: Gone,
    /// `[[LocalIceCredentialsToReplace]]`, by their username fragments.
    to_replace: Vec<Box<str>>,
    drops: CandidateDrops,
}

/// The commands.
impl Signaling {
    /// A connection in `stable`, without descriptions.
    ///
    /// # Errors
    ///
    /// A field of the configuration is out of its range.
    pub fn new(now: Instant, config: Arc<Config>) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            config,
            slots: Slots::default(),
            now,
            next: NonZeroU64::MIN,
            needed: Needed::default(),
            state: SignalingState::Stable,
            rare: None,
            busy: None,
        })
    }

    /// `createOffer`. The offer is what completes its action.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`], [`Refused::TooManyOperations`].
    pub fn create_offer(
        &mut self,
        now: Instant,
        ice_restart: IceRestart,
    ) -> Result<OperationId, Refused> {
        self.chain(now, Operation::CreateOffer(ice_restart))
    }

    /// `createAnswer`. The answer is what completes its action.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`], [`Refused::TooManyOperations`].
    pub fn create_answer(&mut self, now: Instant) -> Result<OperationId, Refused> {
        self.chain(now, Operation::CreateAnswer)
    }

    /// `setLocalDescription`, with a description that was created here. A rollback undoes our pending offer.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`], [`Refused::TooManyOperations`].
    pub fn set_local_description(
        &mut self,
        now: Instant,
        description: impl Into<Arc<Description>>,
    ) -> Result<OperationId, Refused> {
        self.set(now, Side::Local, description.into())
    }

    /// `setLocalDescription` without an argument: an answer where the peer's offer waits for one, else an offer; created if what was
    /// created last no longer fits.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`], [`Refused::TooManyOperations`].
    pub fn set_implied_description(&mut self, now: Instant) -> Result<OperationId, Refused> {
        self.chain(now, Operation::SetImplied)
    }

    /// `setRemoteDescription`. An offer of the peer's makes ours give way, within the same operation. A rollback undoes the peer's
    /// pending offer.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`], [`Refused::TooManyOperations`].
    pub fn set_remote_description(
        &mut self,
        now: Instant,
        description: impl Into<Arc<Description>>,
    ) -> Result<OperationId, Refused> {
        self.set(now, Side::Remote, description.into())
    }

    /// `addIceCandidate`. A candidate that comes before its description is held until then (see [`Config::early_candidates`]); its
    /// operation ends when it has been used, or dropped.
    ///
    /// # Errors
    ///
    /// [`Refused::NoSection`], [`Refused::CandidateTooLong`], [`Refused::Closed`], [`Refused::TooManyOperations`].
    pub fn add_candidate(
        &mut self,
        now: Instant,
        candidate: CandidateInit,
    ) -> Result<OperationId, Refused> {
        if self.state == SignalingState::Closed {
            return Err(Refused::Closed);
        }
        if candidate.names_no_section() && !candidate.is_end_of_candidates() {
            return Err(Refused::NoSection);
        }
        if candidate.candidate.len() > MAX_CANDIDATE {
            return Err(Refused::CandidateTooLong);
        }
        self.chain(now, Operation::AddCandidate(candidate))
    }

    /// A transport has gathered this candidate: for the peer, after the description it belongs to.
    pub fn handle_local_candidate(&mut self, now: Instant, candidate: CandidateInit) {
        self.tick(now);
        if self.state != SignalingState::Closed {
            self.sort_local(candidate);
        }
    }

    /// `restartIce`: every ICE transport is to get new credentials. It lasts until an exchange has replaced those of now; without
    /// any, it has no effect.
    pub fn restart_ice(&mut self, now: Instant) {
        self.tick(now);
        if self.state == SignalingState::Closed {
            return;
        }
        let ufrags = self
            .slots
            .applied(Side::Local)
            .flat_map(Description::ufrags);
        let mut to_replace: Vec<Box<str>> = ufrags.map(Into::into).collect();
        to_replace.sort_unstable();
        to_replace.dedup();
        if !to_replace.is_empty() {
            self.rare().to_replace = to_replace;
            self.needed.update(self.chain_now());
        }
    }

    /// Something has changed that is to be negotiated: a transceiver, a data channel, a direction.
    pub fn negotiation_wanted(&mut self, now: Instant) {
        self.tick(now);
        if self.state != SignalingState::Closed {
            self.needed.change();
            self.needed.update(self.chain_now());
        }
    }

    /// Everything is negotiated as it is: the peer's own offer has brought it about, or the changes were taken back.
    pub fn negotiation_satisfied(&mut self, now: Instant) {
        self.tick(now);
        if self.state != SignalingState::Closed {
            self.needed.settle();
            self.needed.update(self.chain_now());
        }
    }

    /// This description of the peer's will not be applied: its candidates are dropped, those that are held and those to come.
    pub fn ignore(&mut self, now: Instant, description: &Description) {
        self.tick(now);
        if self.state == SignalingState::Closed {
            return;
        }
        for ufrag in description.ufrags() {
            if !self.slots.uses(Side::Remote, ufrag) {
                self.rare().gone_remote.add(ufrag);
            }
        }
        self.release(Side::Remote);
        self.advance();
    }

    /// What an action came to.
    ///
    /// # Errors
    ///
    /// No operation waits for this: it has ended, the connection is closed, or it is a result of another kind.
    pub fn complete(
        &mut self,
        now: Instant,
        operation: OperationId,
        result: Result<Completed, Failure>,
    ) -> Result<(), NotAwaited> {
        self.tick(now);
        let busy = self.busy.as_mut();
        let stage = busy
            .and_then(|busy| busy.take(operation, &result))
            .ok_or(NotAwaited(operation))?;
        match result {
            Ok(completed) => self.proceed(operation, stage, completed),
            Err(failure) => {
                if let Stage::AddCandidate(_) = stage {
                    count(&mut self.rare().drops.refused);
                }
                self.settle(operation, Err(failure.into()));
            }
        }
        self.advance();
        Ok(())
    }

    /// `close`: nothing happens any more, and nothing is told of it. Operations that wait never end.
    pub fn close(&mut self, now: Instant) {
        self.tick(now);
        self.state = SignalingState::Closed;
        self.slots.end();
        self.needed = Needed::default();
        self.rare = None;
        self.busy = None;
    }

    fn set(
        &mut self,
        now: Instant,
        side: Side,
        description: Arc<Description>,
    ) -> Result<OperationId, Refused> {
        let changes = self.needed.changes;
        self.chain(
            now,
            Operation::Set {
                side,
                description,
                changes,
            },
        )
    }

    fn chain(&mut self, now: Instant, operation: Operation) -> Result<OperationId, Refused> {
        self.tick(now);
        if self.state == SignalingState::Closed {
            return Err(Refused::Closed);
        }
        let (most, id) = (self.config.max_operations, OperationId(self.next));
        let waiting = &mut self.busy().waiting;
        if waiting.len() >= most {
            return Err(Refused::TooManyOperations);
        }
        waiting.push_back((id, operation));
        self.next = self.next.saturating_add(1);
        self.advance();
        Ok(id)
    }
}

/// The five verbs, but for those that the commands are.
impl Signaling {
    /// The next turn: fires `negotiationneeded` if it is.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        if !self.needed.is_due() {
            return;
        }
        let need = if self.is_negotiation_needed() {
            Need::Yes
        } else {
            Need::No
        };
        if self.needed.look(self.chain_now(), self.state, need) {
            self.tell(Event::NegotiationNeeded);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due: at once, or never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.needed.is_due().then_some(self.now)
    }

    /// What the caller must do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.busy.as_mut()?.poll_action()
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        let busy = self.busy.as_mut()?;
        let event = busy.events.pop_front();
        self.busy.take_if(|busy| busy.is_idle());
        event
    }
}

/// What it is like now.
impl Signaling {
    /// `signalingState`
    #[must_use]
    pub fn state(&self) -> SignalingState {
        self.state
    }

    /// `currentLocalDescription`, `currentRemoteDescription`: what was last agreed on.
    #[must_use]
    pub fn current_description(&self, side: Side) -> Option<&Arc<Description>> {
        self.slots.current(side)
    }

    /// `pendingLocalDescription`, `pendingRemoteDescription`: what is being negotiated.
    #[must_use]
    pub fn pending_description(&self, side: Side) -> Option<&Arc<Description>> {
        self.slots.pending(side)
    }

    /// `localDescription`, `remoteDescription`: the pending one, or else the current one.
    #[must_use]
    pub fn description(&self, side: Side) -> Option<&Arc<Description>> {
        self.slots
            .pending(side)
            .or_else(|| self.slots.current(side))
    }

    /// Whether no operation runs or waits.
    #[must_use]
    pub fn is_chain_empty(&self) -> bool {
        self.busy.as_ref().is_none_or(|busy| busy.chain_is_empty())
    }

    /// Whether there is something that no exchange has settled yet, an ICE restart included.
    #[must_use]
    pub fn is_negotiation_needed(&self) -> bool {
        self.needed.is_open() || self.is_restart_wanted()
    }

    /// Whether credentials are to be replaced that [`restart_ice`](Self::restart_ice) found.
    #[must_use]
    pub fn is_restart_wanted(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| !rare.to_replace.is_empty())
    }

    /// How many candidates of this side wait for their description.
    #[must_use]
    pub fn held_candidates(&self, side: Side) -> usize {
        let held = |busy: &Busy| match side {
            Side::Local => busy.held_local.len(),
            Side::Remote => busy.held_remote.len(),
        };
        self.busy.as_deref().map_or(0, held)
    }

    /// How many candidates were not used.
    #[must_use]
    pub fn candidate_drops(&self) -> CandidateDrops {
        self.rare
            .as_ref()
            .map_or_else(CandidateDrops::default, |rare| rare.drops)
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }
}

/// From one operation to the next.
impl Signaling {
    /// Begins operations until one needs the caller, or none is left.
    fn advance(&mut self) {
        while let Some(busy) = self.busy.as_mut()
            && busy.running.is_none()
            && let Some((id, operation)) = busy.waiting.pop_front()
        {
            match self.begin(id, operation) {
                Ok(Some(stage)) => self.run(id, stage),
                Ok(None) => {}
                Err(error) => self.settle(id, Err(error)),
            }
        }
        if self.is_chain_empty() {
            self.needed.chain_emptied();
        }
    }

    /// Whether the operation is allowed, and what is to be done for it; nothing, if it has ended or is held.
    fn begin(
        &mut self,
        id: OperationId,
        operation: Operation,
    ) -> Result<Option<Stage>, OperationError> {
        match operation {
            Operation::CreateOffer(ice_restart) if self.state.may_create_offer() => {
                Ok(Some(self.create_offer_stage(ice_restart, Then::Settle)))
            }
            Operation::CreateOffer(_) => Err(self.invalid(Attempt::CreateOffer)),
            Operation::CreateAnswer if self.state.may_create_answer() => {
                Ok(Some(Stage::CreateAnswer { then: Then::Settle }))
            }
            Operation::CreateAnswer => Err(self.invalid(Attempt::CreateAnswer)),
            Operation::SetImplied => self.begin_implied().map(Some),
            Operation::Set {
                side,
                description,
                changes,
            } => self.begin_set(side, description, changes).map(Some),
            Operation::AddCandidate(candidate) => self.begin_candidate(id, candidate),
        }
    }

    fn create_offer_stage(&self, ice_restart: IceRestart, then: Then) -> Stage {
        Stage::CreateOffer {
            ice_restart: ice_restart == IceRestart::Always || self.is_restart_wanted(),
            changes: self.needed.changes,
            then,
        }
    }

    fn begin_implied(&self) -> Result<Stage, OperationError> {
        let kind = self.state.implied();
        self.check(Side::Local, kind)?;
        let changes = self.needed.changes;
        let created = match kind {
            SdpType::Offer => self.fitting_offer(),
            _ => self.slots.created_answer(),
        };
        Ok(match (created, kind) {
            (Some(created), _) => Stage::Apply {
                side: Side::Local,
                description: Arc::clone(created),
                changes,
            },
            (None, SdpType::Offer) => self.create_offer_stage(IceRestart::IfWanted, Then::Apply),
            (None, _) => Stage::CreateAnswer { then: Then::Apply },
        })
    }

    /// The offer created last, if nothing has changed since.
    fn fitting_offer(&self) -> Option<&Arc<Description>> {
        let created = self.slots.created_offer()?;
        let to_replace = self.rare.as_ref().map(|rare| &rare.to_replace);
        let is_old =
            |ufrag: &str| to_replace.is_some_and(|names| names.iter().any(|name| **name == *ufrag));
        let fits =
            created.changes == self.needed.changes && !created.description.ufrags().any(is_old);
        fits.then_some(&created.description)
    }

    fn begin_set(
        &self,
        side: Side,
        description: Arc<Description>,
        changes: u32,
    ) -> Result<Stage, OperationError> {
        let kind = description.kind;
        let effect = self.check(side, kind)?;
        if kind == SdpType::Rollback {
            let owner = self.state.offerer().unwrap_or(side);
            return Ok(Stage::RollBack {
                through: side,
                owner,
                then: None,
            });
        }
        if side == Side::Local && self.is_foreign(&description) {
            return Err(OperationError::InvalidModification { kind });
        }
        Ok(match effect {
            Effect::RollBackThenGo(_) => Stage::RollBack {
                through: Side::Local,
                owner: Side::Local,
                then: Some(description),
            },
            Effect::Stay | Effect::Go(_) => Stage::Apply {
                side,
                description,
                changes,
            },
        })
    }

    /// Whether a local description is another than the one created last, and must not be.
    fn is_foreign(&self, description: &Description) -> bool {
        let created = match description.kind {
            SdpType::Offer => self.slots.created_offer().map(|offer| &offer.description),
            _ => self.slots.created_answer(),
        };
        self.config.foreign_descriptions == ForeignDescriptions::Refuse
            && created.is_none_or(|created| created.body != description.body)
    }

    /// The caller has done its part.
    fn proceed(&mut self, id: OperationId, stage: Stage, completed: Completed) {
        match (stage, completed) {
            (Stage::CreateOffer { changes, then, .. }, Completed::Created(description)) => {
                self.slots.keep_offer(CreatedOffer {
                    description: Arc::clone(&description),
                    changes,
                });
                self.created(id, description, then, changes);
            }
            (Stage::CreateAnswer { then }, Completed::Created(description)) => {
                self.slots.keep_answer(Arc::clone(&description));
                let changes = self.needed.changes;
                self.created(id, description, then, changes);
            }
            (Stage::RollBack { through, then, .. }, _) => {
                self.apply(through, Arc::new(Description::rollback()), 0);
                let changes = self.needed.changes;
                match then {
                    Some(description) => self.run(
                        id,
                        Stage::Apply {
                            side: Side::Remote,
                            description,
                            changes,
                        },
                    ),
                    None => self.settle(id, Ok(())),
                }
                self.release(Side::Remote);
                self.release(Side::Local);
            }
            (
                Stage::Apply {
                    side,
                    description,
                    changes,
                },
                _,
            ) => {
                self.apply(side, description, changes);
                self.settle(id, Ok(()));
                self.release(Side::Remote);
                self.release(Side::Local);
            }
            (
                Stage::AddCandidate(_) | Stage::CreateOffer { .. } | Stage::CreateAnswer { .. },
                _,
            ) => {
                self.settle(id, Ok(()));
            }
        }
    }

    fn created(
        &mut self,
        id: OperationId,
        description: Arc<Description>,
        then: Then,
        changes: u32,
    ) {
        match then {
            Then::Settle => self.settle(id, Ok(())),
            Then::Apply => self.run(
                id,
                Stage::Apply {
                    side: Side::Local,
                    description,
                    changes,
                },
            ),
        }
    }

    /// Sets state and descriptions together, then tells.
    fn apply(&mut self, side: Side, description: Arc<Description>, changes: u32) {
        let kind = description.kind;
        let Ok(effect) = self.check(side, kind) else {
            return; // it was allowed when it began, and nothing has run since
        };
        let before = [Side::Local, Side::Remote].map(|side| {
            [
                self.slots.pending(side).cloned(),
                self.slots.current(side).cloned(),
            ]
        });
        if (side, kind) == (Side::Local, SdpType::Offer) {
            let created = self.slots.created_offer();
            let same = created.filter(|created| created.description.body == description.body);
            self.needed
                .offer(same.map_or(changes, |created| created.changes));
        }
        self.slots.set(side, description);
        let from = self.state;
        if let Effect::Go(to) = effect {
            self.state = to;
        }
        self.sort_names(&before);
        if (side, kind) == (Side::Remote, SdpType::Answer) {
            self.needed.accepted();
        }
        if kind == SdpType::Answer {
            self.replaced();
        }
        if from != self.state {
            self.tell(Event::SignalingStateChange(Transition {
                from,
                to: self.state,
                step: Step::Set(side, kind),
                at: self.now,
            }));
        }
        if self.state == SignalingState::Stable {
            self.needed.clear();
            self.needed.update(Chain::Busy);
        }
    }

    /// Which fragments are gone with the descriptions that were there before, and which are in use again.
    fn sort_names(&mut self, before: &[[Option<Arc<Description>>; 2]; 2]) {
        for (side, before) in [Side::Local, Side::Remote].into_iter().zip(before) {
            for ufrag in before.iter().flatten().flat_map(|old| old.ufrags()) {
                if !self.slots.uses(side, ufrag) {
                    self.rare().gone(side).add(ufrag);
                }
            }
            if let Some(rare) = &mut self.rare {
                let used = self.slots.applied(side).flat_map(Description::ufrags);
                let gone = rare.gone(side);
                used.for_each(|ufrag| gone.remove(ufrag));
            }
        }
    }

    /// Credentials that the current local description no longer has need not be replaced any more.
    fn replaced(&mut self) {
        if let Some(rare) = &mut self.rare {
            let current = self.slots.current(Side::Local);
            let is_used = |name: &str| {
                current.is_some_and(|current| current.ufrags().any(|ufrag| ufrag == name))
            };
            rare.to_replace.retain(|name| is_used(name));
        }
    }

    fn check(&self, side: Side, kind: SdpType) -> Result<Effect, OperationError> {
        self.state
            .step(Step::Set(side, kind), self.config.rollback)
            .map_err(|_| self.invalid(Attempt::Set(side, kind)))
    }

    fn invalid(&self, attempt: Attempt) -> OperationError {
        OperationError::InvalidState {
            state: self.state,
            attempt,
        }
    }

    fn chain_now(&self) -> Chain {
        if self.is_chain_empty() {
            Chain::Empty
        } else {
            Chain::Busy
        }
    }

    fn run(&mut self, id: OperationId, stage: Stage) {
        self.busy().running = Some(Running {
            id,
            stage,
            asked: Asked::No,
        });
    }

    fn settle(&mut self, id: OperationId, result: Result<(), OperationError>) {
        self.tell(match result {
            Ok(()) => Event::Done(id),
            Err(error) => Event::Failed(id, error),
        });
    }

    fn tell(&mut self, event: Event) {
        self.busy().events.push_back(event);
    }

    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn busy(&mut self) -> &mut Busy {
        self.busy.get_or_insert_default()
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

/// Candidates, and their gates.
impl Signaling {
    fn judge(
        &self,
        side: Side,
        candidate: &CandidateInit,
    ) -> Result<Gate, candidates::CandidateError> {
        let nothing = Gone::default();
        let gone = self.rare.as_deref().map_or(&nothing, |rare| match side {
            Side::Local => &rare.gone_local,
            Side::Remote => &rare.gone_remote,
        });
        candidates::judge(candidate, self.slots.applied(side), gone)
    }

    fn begin_candidate(
        &mut self,
        id: OperationId,
        candidate: CandidateInit,
    ) -> Result<Option<Stage>, OperationError> {
        let gate = self.judge(Side::Remote, &candidate).inspect_err(|_| {
            count(&mut self.rare.get_or_insert_default().drops.refused);
        })?;
        let hold = self.config.early_candidates == EarlyCandidates::Hold;
        match gate {
            Gate::Through => return Ok(Some(Stage::AddCandidate(candidate))),
            Gate::Stopped => self.tell(Event::CandidateDropped(id, CandidateDropped::Stopped)),
            Gate::NoDescription | Gate::Early if hold => self.hold(id, candidate),
            Gate::Gone if hold => self.drop_candidate(id, CandidateDropped::Superseded),
            Gate::NoDescription => return Err(self.invalid(Attempt::AddCandidate)),
            Gate::Early | Gate::Gone => {
                count(&mut self.rare().drops.refused);
                return Err(candidates::CandidateError::UnknownUfrag.into());
            }
        }
        Ok(None)
    }

    fn hold(&mut self, id: OperationId, candidate: CandidateInit) {
        let most = self.config.max_held_candidates;
        let held = &mut self.busy().held_remote;
        let oldest = if held.len() >= most {
            held.pop_front()
        } else {
            None
        };
        held.push_back((id, candidate));
        if let Some((id, _)) = oldest {
            self.drop_candidate(id, CandidateDropped::TooMany);
        }
    }

    fn drop_candidate(&mut self, id: OperationId, reason: CandidateDropped) {
        let drops = &mut self.rare().drops;
        match reason {
            CandidateDropped::Superseded => count(&mut drops.superseded),
            CandidateDropped::TooMany => count(&mut drops.too_many),
            CandidateDropped::Stopped => {}
        }
        self.tell(Event::CandidateDropped(id, reason));
    }

    /// A description came or went: candidates that waited for it go to the front of the chain, in the order they came.
    fn release(&mut self, side: Side) {
        match side {
            Side::Local => {
                let held = self
                    .busy
                    .as_mut()
                    .map(|busy| std::mem::take(&mut busy.held_local));
                held.into_iter()
                    .flatten()
                    .for_each(|candidate| self.sort_local(candidate));
            }
            Side::Remote => self.release_remote(),
        }
    }

    fn release_remote(&mut self) {
        let Some(busy) = self.busy.as_mut() else {
            return;
        };
        let held = std::mem::take(&mut busy.held_remote);
        let (waits, due): (_, Vec<_>) = held.into_iter().partition(|(_, candidate)| {
            let gate = self.judge(Side::Remote, candidate);
            matches!(gate, Ok(Gate::NoDescription | Gate::Early))
        });
        let busy = self.busy();
        busy.held_remote = waits.into();
        for (id, candidate) in due.into_iter().rev() {
            let operation = Operation::AddCandidate(candidate);
            busy.waiting.push_front((id, operation));
        }
    }

    /// Tells a candidate of ours if its description is applied, drops it if that is gone, else holds it.
    fn sort_local(&mut self, candidate: CandidateInit) {
        match self.judge(Side::Local, &candidate) {
            Ok(Gate::NoDescription | Gate::Early) => {
                let most = self.config.max_held_candidates;
                let held = &mut self.busy().held_local;
                held.push_back(candidate);
                if held.len() > most {
                    held.pop_front();
                    count(&mut self.rare().drops.too_many);
                }
            }
            Ok(Gate::Gone) => count(&mut self.rare().drops.superseded_local),
            Ok(Gate::Through | Gate::Stopped) | Err(_) => {
                self.tell(Event::LocalCandidate(candidate));
            }
        }
    }
}

impl Rare {
    fn gone(&mut self, side: Side) -> &mut Gone {
        match side {
            Side::Local => &mut self.gone_local,
            Side::Remote => &mut self.gone_remote,
        }
    }
}

fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}
