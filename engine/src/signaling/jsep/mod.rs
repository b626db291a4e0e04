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
    candidates::{CandidateDrops, CandidateInit, Gone},
    chain::{Busy, Operation, Stage},
    config::{Config, ConfigError},
    description::{Description, Side},
    needed::{Chain, Need, Needed},
    operation::{Action, Completed, Event, Failure, IceRestart, NotAwaited, OperationId, Refused},
    slots::{Slots, Ufrags},
    state::SignalingState,
};
use std::{num::NonZeroU64, sync::Arc, time::Instant};

mod apply;
mod gates;
#[cfg(feature = "serde")]
mod saved;
mod steps;
mod view;

#[cfg(feature = "serde")]
pub(super) use saved::SavedEvent;
#[cfg(feature = "serde")]
pub use saved::{RestoreError, SavedSignaling};

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

/// As many events wait to be polled before new operations are refused.
const MAX_EVENTS: usize = 4096;

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
    /// [`Refused::Closed`], [`Refused::TooManyOperations`], [`Refused::NotPolled`].
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
    /// [`Refused::Closed`], [`Refused::TooManyOperations`], [`Refused::NotPolled`].
    pub fn create_answer(&mut self, now: Instant) -> Result<OperationId, Refused> {
        self.chain(now, Operation::CreateAnswer)
    }

    /// `setLocalDescription`, with a description that was created here. A rollback undoes our pending offer.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`], [`Refused::TooManyOperations`], [`Refused::NotPolled`].
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
    /// [`Refused::Closed`], [`Refused::TooManyOperations`], [`Refused::NotPolled`].
    pub fn set_implied_description(&mut self, now: Instant) -> Result<OperationId, Refused> {
        self.chain(now, Operation::SetImplied)
    }

    /// `setRemoteDescription`. An offer of the peer's makes ours give way, within the same operation. A rollback undoes the peer's
    /// pending offer.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`], [`Refused::TooManyOperations`], [`Refused::NotPolled`].
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
    /// [`Refused::NoSection`], [`Refused::CandidateTooLong`], [`Refused::TooManyCandidates`], [`Refused::Closed`],
    /// [`Refused::NotPolled`].
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
        if candidate.is_too_long() {
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
        let to_replace = Ufrags::of(self.slots.applied(Side::Local)).into_owned();
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
            self.rare().gone_remote.add(ufrag);
        }
        self.release_remote();
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
        let id = OperationId(self.next);
        self.check_room(&operation)?;
        self.busy().waiting.push_back((id, operation));
        self.next = self.next.saturating_add(1);
        self.advance();
        Ok(id)
    }
}

/// Its bounds.
impl Signaling {
    /// Candidates and other operations each have room of their own: the peer's candidates are no reason to refuse a description.
    fn check_room(&self, operation: &Operation) -> Result<(), Refused> {
        let Some(busy) = self.busy.as_deref() else {
            return Ok(());
        };
        if busy.events.len() >= MAX_EVENTS {
            return Err(Refused::NotPolled);
        }
        let is_candidate = |operation: &Operation| matches!(operation, Operation::AddCandidate(_));
        let candidates = busy.waiting.iter().filter(|(_, one)| is_candidate(one));
        let candidates = candidates.count();
        if is_candidate(operation) && candidates >= self.config.max_held_candidates {
            return Err(Refused::TooManyCandidates);
        }
        let others = busy.waiting.len() - candidates;
        if !is_candidate(operation) && others >= self.config.max_operations {
            return Err(Refused::TooManyOperations);
        }
        Ok(())
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

/// Its parts, made when they are needed.
impl Signaling {
    fn chain_now(&self) -> Chain {
        if self.is_chain_empty() {
            Chain::Empty
        } else {
            Chain::Busy
        }
    }

    fn tell(&mut self, event: Event) {
        self.busy().events.push_back(event);
    }

    /// The latest time seen.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn tick(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    fn busy(&mut self) -> &mut Busy {
        self.busy.get_or_insert_default()
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
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
