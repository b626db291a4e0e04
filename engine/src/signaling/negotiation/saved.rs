//! Taking a negotiation over to another node, in the middle of a round if need be.

use super::{
    Action, Busy, CandidateInit, Cause, Channel, Config, Description, DiscardReason, Discarded,
    Event, Failed, InvalidConfig, Media, Message, Need, Negotiation, NegotiationError, OfferId,
    OperationId, Phase, Remedy, Role, Signaling, Transition,
};
use crate::{
    IceGatheringState,
    signaling::{
        self, SavedSignaling, SdpType, SignalingState, jsep::SavedEvent as SavedSignalingEvent,
    },
};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};
use thiserror::Error;

/// A [`Negotiation`] at rest, for another node. Times are kept as ages and as what is left of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedNegotiation {
    signaling: SavedSignaling,
    role: Role,
    phase: Phase,
    need: Need,
    media: Media,
    channel: Channel,
    gathering: IceGatheringState,
    attempts: u8,
    untold: u32,
    ours: Option<OfferId>,
    theirs: Option<OfferId>,
    operation: Option<OperationId>,
    ignored: Option<Arc<Description>>,
    inbox: VecDeque<Message>,
    actions: VecDeque<SavedAction>,
    events: VecDeque<SavedEvent>,
    candidates: Vec<CandidateInit>,
    created: Option<Arc<Description>>,
    time_left: Option<Duration>,
    patience_left: Option<Duration>,
}

/// An [`Action`] of its own that was not polled.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum SavedAction {
    Send(Message),
    Reconnect,
}

/// An [`Event`] that was not polled.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum SavedEvent {
    Signaling(SavedSignalingEvent),
    PhaseChange {
        from: Phase,
        to: Phase,
        cause: Cause,
        age: Duration,
    },
    Discarded {
        kind: SdpType,
        offer_id: Option<OfferId>,
        reason: DiscardReason,
        age: Duration,
    },
    CandidateFailed(NegotiationError),
    Failed {
        phase: Phase,
        error: NegotiationError,
        remedy: Remedy,
        age: Duration,
    },
}

/// What was saved cannot be taken up.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The signaling state cannot be taken up.
    #[error(transparent)]
    Signaling(#[from] signaling::RestoreError),
    /// The phase is not one that the state and the operations allow.
    #[error("the phase is not that of the signaling state")]
    Inconsistent,
}

impl Negotiation {
    /// All of it, to go on elsewhere.
    #[must_use]
    pub fn save(&self, now: Instant) -> SavedNegotiation {
        let nothing = Busy::default();
        let busy = self.busy.as_deref().unwrap_or(&nothing);
        let now = self.signaling.now().max(now);
        let events = busy.events.iter().map(|event| SavedEvent::new(event, now));
        let left = |deadline: Instant| deadline.saturating_duration_since(now);
        SavedNegotiation {
            signaling: self.signaling.save(now),
            role: self.role,
            phase: self.phase,
            need: self.need,
            media: self.media,
            channel: self.channel,
            gathering: self.gathering,
            attempts: self.attempts,
            untold: self.untold,
            ours: self.ours,
            theirs: self.theirs,
            operation: busy.operation,
            ignored: busy.ignored.clone(),
            inbox: busy.inbox.clone(),
            actions: busy.actions.iter().filter_map(SavedAction::new).collect(),
            events: events.collect(),
            candidates: busy.candidates.clone(),
            created: busy.created.clone(),
            time_left: busy.deadline.map(left),
            patience_left: busy.patience.map(left),
        }
    }

    /// Goes on from what was saved. An action that was given out but not completed is given out again.
    ///
    /// # Errors
    ///
    /// A configuration out of its range, or a phase that does not fit the signaling state.
    pub fn restore(
        now: Instant,
        saved: SavedNegotiation,
        signaling: Arc<signaling::Config>,
        config: Arc<Config>,
    ) -> Result<Self, RestoreError> {
        config.validate()?;
        let signaling = Signaling::restore(now, saved.signaling, signaling)?;
        if !is_consistent(saved.phase, signaling.state(), saved.operation) {
            return Err(RestoreError::Inconsistent);
        }
        let events = saved.events.into_iter().map(|event| event.into_event(now));
        let busy = Busy {
            operation: saved.operation,
            ignored: saved.ignored,
            inbox: saved.inbox,
            actions: saved.actions.into_iter().map(Action::from).collect(),
            events: events.collect(),
            candidates: saved.candidates,
            created: saved.created,
            deadline: saved.time_left.and_then(|left| now.checked_add(left)),
            patience: saved.patience_left.and_then(|left| now.checked_add(left)),
        };
        Ok(Self {
            signaling,
            config,
            role: saved.role,
            phase: saved.phase,
            need: saved.need,
            media: saved.media,
            channel: saved.channel,
            gathering: saved.gathering,
            attempts: saved.attempts,
            untold: saved.untold,
            ours: saved.ours,
            theirs: saved.theirs,
            busy: (!busy.is_empty()).then(|| Box::new(busy)),
        })
    }
}

/// Whether this side can be about that in this state.
fn is_consistent(phase: Phase, state: SignalingState, operation: Option<OperationId>) -> bool {
    use SignalingState::{Closed, HaveLocalOffer, HaveRemoteOffer, HaveRemotePranswer};
    let works = matches!(
        phase,
        Phase::MakingOffer
            | Phase::SettingAnswer
            | Phase::SettingOffer
            | Phase::MakingAnswer
            | Phase::RollingBack
    );
    let fits = match phase {
        Phase::HoldingOffer => state == HaveLocalOffer,
        Phase::AwaitingAnswer => matches!(state, HaveLocalOffer | HaveRemotePranswer),
        Phase::OwingAnswer => state == HaveRemoteOffer,
        Phase::Closed => state == Closed,
        _ => state != Closed,
    };
    fits && works == operation.is_some()
}

impl SavedAction {
    fn new(action: &Action) -> Option<Self> {
        match action {
            Action::Send(message) => Some(Self::Send(message.clone())),
            Action::Reconnect => Some(Self::Reconnect),
            // Those are the signaling machine's to keep.
            Action::Signaling(_) => None,
        }
    }
}

impl From<SavedAction> for Action {
    fn from(saved: SavedAction) -> Self {
        match saved {
            SavedAction::Send(message) => Self::Send(message),
            SavedAction::Reconnect => Self::Reconnect,
        }
    }
}

impl SavedEvent {
    fn new(event: &Event, now: Instant) -> Self {
        let age = |at: Instant| now.saturating_duration_since(at);
        match *event {
            Event::Signaling(ref event) => Self::Signaling(SavedSignalingEvent::new(event, now)),
            Event::PhaseChange(Transition {
                from,
                to,
                cause,
                at,
            }) => Self::PhaseChange {
                from,
                to,
                cause,
                age: age(at),
            },
            Event::Discarded(Discarded {
                kind,
                offer_id,
                reason,
                at,
            }) => Self::Discarded {
                kind,
                offer_id,
                reason,
                age: age(at),
            },
            Event::CandidateFailed(error) => Self::CandidateFailed(error),
            Event::Failed(Failed {
                phase,
                error,
                remedy,
                at,
            }) => Self::Failed {
                phase,
                error,
                remedy,
                age: age(at),
            },
        }
    }

    fn into_event(self, now: Instant) -> Event {
        let at = |age: Duration| now.checked_sub(age).unwrap_or(now);
        match self {
            Self::Signaling(event) => Event::Signaling(event.into_event(now)),
            Self::PhaseChange {
                from,
                to,
                cause,
                age,
            } => Event::PhaseChange(Transition {
                from,
                to,
                cause,
                at: at(age),
            }),
            Self::Discarded {
                kind,
                offer_id,
                reason,
                age,
            } => Event::Discarded(Discarded {
                kind,
                offer_id,
                reason,
                at: at(age),
            }),
            Self::CandidateFailed(error) => Event::CandidateFailed(error),
            Self::Failed {
                phase,
                error,
                remedy,
                age,
            } => Event::Failed(Failed {
                phase,
                error,
                remedy,
                at: at(age),
            }),
        }
    }
}
