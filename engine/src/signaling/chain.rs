//! The operations chain (webrtc-pc §4.4.1.2): one operation at a time, in the order they were asked for.

use super::{
    candidates::CandidateInit,
    description::{Description, SdpType, Side},
    operation::{Action, Completed, Event, Failure, IceRestart, OperationId},
};
use std::{collections::VecDeque, sync::Arc};

/// What there is only while something is under way: an idle connection has none of it.
#[derive(Debug, Default)]
pub(super) struct Busy {
    pub(super) running: Option<Running>,
    pub(super) waiting: VecDeque<(OperationId, Operation)>,
    pub(super) events: VecDeque<Event>,
    /// The peer's candidates that came before their description.
    pub(super) held_remote: VecDeque<(OperationId, CandidateInit)>,
    /// Our own.
    pub(super) held_local: VecDeque<CandidateInit>,
}

/// What was asked for.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Operation {
    CreateOffer(IceRestart),
    CreateAnswer,
    /// `setLocalDescription` without an argument.
    SetImplied,
    Set {
        side: Side,
        description: Arc<Description>,
        /// How many changes there were when it was handed over.
        changes: u32,
    },
    AddCandidate(CandidateInit),
}

/// The operation that is under way.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Running {
    pub(super) id: OperationId,
    pub(super) stage: Stage,
    pub(super) asked: Asked,
}

/// Whether the caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Asked {
    No,
    Yes,
}

/// What the caller does for an operation, and what comes after it.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Stage {
    CreateOffer {
        ice_restart: bool,
        /// How many changes it takes in at least.
        changes: u32,
        then: Then,
    },
    CreateAnswer {
        then: Then,
    },
    RollBack {
        /// By which method, and so as which step.
        through: Side,
        /// Whose offer.
        owner: Side,
        /// The offer of the peer's for which ours gives way.
        then: Option<Arc<Description>>,
    },
    Apply {
        side: Side,
        description: Arc<Description>,
        changes: u32,
    },
    AddCandidate(CandidateInit),
}

/// What becomes of what was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Then {
    /// The one who asked gets it.
    Settle,
    /// It is applied as the local description.
    Apply,
}

impl Busy {
    /// Whether nothing runs and nothing waits: the chain is empty.
    pub(super) fn chain_is_empty(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    /// Whether there is nothing left of anything.
    pub(super) fn is_idle(&self) -> bool {
        self.chain_is_empty()
            && self.events.is_empty()
            && self.held_remote.is_empty()
            && self.held_local.is_empty()
    }

    /// The operation of this id, if it is under way and this may be its result.
    pub(super) fn take(
        &mut self,
        id: OperationId,
        result: &Result<Completed, Failure>,
    ) -> Option<Stage> {
        let running = self
            .running
            .take_if(|running| running.id == id && running.stage.may_end_with(result))?;
        Some(running.stage)
    }

    pub(super) fn poll_action(&mut self) -> Option<Action> {
        let running = self.running.as_mut()?;
        if running.asked == Asked::Yes {
            return None;
        }
        running.asked = Asked::Yes;
        Some(running.stage.action(running.id))
    }
}

impl Stage {
    pub(super) fn apply(side: Side, description: Arc<Description>, changes: u32) -> Self {
        Self::Apply {
            side,
            description,
            changes,
        }
    }

    fn may_end_with(&self, result: &Result<Completed, Failure>) -> bool {
        match (self, result) {
            (_, Err(_)) => true,
            (Self::CreateOffer { .. }, Ok(Completed::Created(created))) => {
                created.kind == SdpType::Offer
            }
            (Self::CreateAnswer { .. }, Ok(Completed::Created(created))) => {
                created.kind == SdpType::Answer
            }
            (Self::CreateOffer { .. } | Self::CreateAnswer { .. }, Ok(Completed::Done)) => false,
            (_, Ok(Completed::Created(_))) => false,
            (_, Ok(Completed::Done)) => true,
        }
    }

    fn action(&self, operation: OperationId) -> Action {
        match self {
            Self::CreateOffer { ice_restart, .. } => Action::CreateOffer {
                operation,
                ice_restart: *ice_restart,
            },
            Self::CreateAnswer { .. } => Action::CreateAnswer { operation },
            Self::RollBack { owner, .. } => Action::Rollback {
                operation,
                side: *owner,
            },
            Self::Apply {
                side, description, ..
            } => Action::Apply {
                operation,
                side: *side,
                description: Arc::clone(description),
            },
            Self::AddCandidate(candidate) => Action::AddCandidate {
                operation,
                candidate: candidate.clone(),
            },
        }
    }
}
