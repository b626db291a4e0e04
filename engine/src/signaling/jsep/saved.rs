//! Taking a connection's signaling over to another node.

use super::{Rare, Signaling};
use crate::signaling::{
    candidates::CandidateInit,
    chain::{Asked, Busy, Operation, Running},
    config::{Config, ConfigError},
    description::Side,
    needed::Needed,
    operation::{CandidateDropped, Event, OperationError, OperationId, Transition},
    slots::Slots,
    state::{SignalingState, Step},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    num::NonZeroU64,
    sync::Arc,
    time::{Duration, Instant},
};
use thiserror::Error;

/// A [`Signaling`] at rest, for another node. Times are kept as ages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedSignaling {
    state: SignalingState,
    slots: Slots,
    next: NonZeroU64,
    needed: Needed,
    rare: Option<Box<Rare>>,
    running: Option<Running>,
    waiting: VecDeque<(OperationId, Operation)>,
    events: VecDeque<SavedEvent>,
    held_remote: VecDeque<(OperationId, CandidateInit)>,
    held_local: VecDeque<CandidateInit>,
}

/// An [`Event`] that was not polled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::signaling) enum SavedEvent {
    SignalingStateChange {
        from: SignalingState,
        to: SignalingState,
        step: Step,
        age: Duration,
    },
    NegotiationNeeded,
    Done(OperationId),
    Failed(OperationId, OperationError),
    CandidateDropped(OperationId, CandidateDropped),
    LocalCandidate(CandidateInit),
}

/// What was saved cannot be taken up.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// State and pending descriptions contradict each other.
    #[error("the state is not that of the descriptions")]
    Inconsistent,
}

impl Signaling {
    /// All of it, to go on elsewhere.
    #[must_use]
    pub fn save(&self, now: Instant) -> SavedSignaling {
        let nothing = Busy::default();
        let busy = self.busy.as_deref().unwrap_or(&nothing);
        let now = self.now.max(now);
        let events = busy.events.iter().map(|event| SavedEvent::new(event, now));
        SavedSignaling {
            state: self.state,
            slots: self.slots.clone(),
            next: self.next,
            needed: self.needed.clone(),
            rare: self.rare.clone(),
            running: busy.running.clone(),
            waiting: busy.waiting.clone(),
            events: events.collect(),
            held_remote: busy.held_remote.clone(),
            held_local: busy.held_local.clone(),
        }
    }

    /// Goes on from what was saved. An action that was given out but not completed is given out again.
    ///
    /// # Errors
    ///
    /// A configuration out of its range, or a state that does not fit its descriptions.
    pub fn restore(
        now: Instant,
        saved: SavedSignaling,
        config: Arc<Config>,
    ) -> Result<Self, RestoreError> {
        config.validate()?;
        if !is_consistent(saved.state, &saved.slots) {
            return Err(RestoreError::Inconsistent);
        }
        let running = saved.running.map(|running| Running {
            asked: Asked::No,
            ..running
        });
        let events = saved.events.into_iter().map(|event| event.into_event(now));
        let busy = Busy {
            running,
            waiting: saved.waiting,
            events: events.collect(),
            held_remote: saved.held_remote,
            held_local: saved.held_local,
        };
        Ok(Self {
            config,
            slots: saved.slots,
            now,
            next: saved.next,
            needed: saved.needed,
            state: saved.state,
            rare: saved.rare,
            busy: (!busy.is_idle()).then(|| Box::new(busy)),
        })
    }
}

/// Whether exactly those descriptions are pending that the state says.
fn is_consistent(state: SignalingState, slots: &Slots) -> bool {
    let pending = Side::ALL.map(|side| slots.pending(side).is_some());
    pending
        == match state {
            SignalingState::Stable | SignalingState::Closed => [false, false],
            SignalingState::HaveLocalOffer => [true, false],
            SignalingState::HaveRemoteOffer => [false, true],
            SignalingState::HaveLocalPranswer | SignalingState::HaveRemotePranswer => [true, true],
        }
}

impl SavedEvent {
    pub(in crate::signaling) fn new(event: &Event, now: Instant) -> Self {
        match event {
            Event::SignalingStateChange(Transition { from, to, step, at }) => {
                Self::SignalingStateChange {
                    from: *from,
                    to: *to,
                    step: *step,
                    age: now.saturating_duration_since(*at),
                }
            }
            Event::NegotiationNeeded => Self::NegotiationNeeded,
            Event::Done(id) => Self::Done(*id),
            Event::Failed(id, error) => Self::Failed(*id, *error),
            Event::CandidateDropped(id, reason) => Self::CandidateDropped(*id, *reason),
            Event::LocalCandidate(candidate) => Self::LocalCandidate(candidate.clone()),
        }
    }

    pub(in crate::signaling) fn into_event(self, now: Instant) -> Event {
        match self {
            Self::SignalingStateChange {
                from,
                to,
                step,
                age,
            } => Event::SignalingStateChange(Transition {
                from,
                to,
                step,
                at: now.checked_sub(age).unwrap_or(now),
            }),
            Self::NegotiationNeeded => Event::NegotiationNeeded,
            Self::Done(id) => Event::Done(id),
            Self::Failed(id, error) => Event::Failed(id, error),
            Self::CandidateDropped(id, reason) => Event::CandidateDropped(id, reason),
            Self::LocalCandidate(candidate) => Event::LocalCandidate(candidate),
        }
    }
}
