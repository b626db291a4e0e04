//! The operations of a connection: what is asked for, what the caller does for it, and how it ends.

use super::{
    candidates::{CandidateError, CandidateInit},
    description::{Description, SdpType, Side},
    state::{SignalingState, Step},
};
use std::{fmt, num::NonZeroU64, sync::Arc, time::Instant};
use thiserror::Error;

/// Names one operation of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OperationId(pub(super) NonZeroU64);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `RTCOfferOptions.iceRestart`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum IceRestart {
    /// If [`Signaling::restart_ice`](super::Signaling::restart_ice) asked for it.
    #[default]
    IfWanted,
    /// In any case.
    Always,
}

/// What the caller must do now: one thing at a time. When it is done, or could not be,
/// [`Signaling::complete`](super::Signaling::complete) says so.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make an offer, and complete with [`Completed::Created`].
    CreateOffer {
        /// For whom.
        operation: OperationId,
        /// With new ICE credentials for every transport.
        ice_restart: bool,
    },
    /// Make an answer to the pending remote offer, and complete with [`Completed::Created`].
    CreateAnswer {
        /// For whom.
        operation: OperationId,
    },
    /// Undo what applying this side's pending offer did: drop the transports it made and the m-lines it added, stop an ICE restart
    /// it began. Complete with [`Completed::Done`].
    Rollback {
        /// For whom.
        operation: OperationId,
        /// Whose offer.
        side: Side,
    },
    /// Apply this description to media and transports, and complete with [`Completed::Done`].
    Apply {
        /// For whom.
        operation: OperationId,
        /// Whose it is.
        side: Side,
        /// What to apply.
        description: Arc<Description>,
    },
    /// Give this candidate of the peer to its transport, and complete with [`Completed::Done`].
    AddCandidate {
        /// For whom.
        operation: OperationId,
        /// The candidate.
        candidate: CandidateInit,
    },
}

impl Action {
    /// For which operation it is.
    #[must_use]
    pub fn operation(&self) -> OperationId {
        match self {
            Self::CreateOffer { operation, .. }
            | Self::CreateAnswer { operation }
            | Self::Rollback { operation, .. }
            | Self::Apply { operation, .. }
            | Self::AddCandidate { operation, .. } => *operation,
        }
    }
}

/// How an [`Action`] ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Completed {
    /// It is done.
    Done,
    /// This was made.
    Created(Arc<Description>),
}

/// How an [`Action`] could not be carried out, in the words of webrtc-pc.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Failure {
    /// `RTCError` `sdp-syntax-error`: the text does not parse.
    #[error("sdp-syntax-error")]
    SdpSyntax,
    /// `InvalidAccessError`: the text parses, and its content cannot be accepted.
    #[error("InvalidAccessError")]
    InvalidAccess,
    /// `InvalidModificationError`: it changes what cannot be changed.
    #[error("InvalidModificationError")]
    InvalidModification,
    /// `OperationError`: anything else.
    #[error("OperationError")]
    Operation,
}

/// Why an operation failed. The state is what it was before, except that an implicit rollback is not undone.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum OperationError {
    /// `InvalidStateError`.
    #[error("InvalidStateError: {attempt} in {state}")]
    InvalidState {
        /// The state it is in, and stays in.
        state: SignalingState,
        /// What was tried.
        attempt: Attempt,
    },
    /// `InvalidModificationError`: not what `createOffer` or `createAnswer` made last.
    #[error("InvalidModificationError: not the {kind} that was created last")]
    InvalidModification {
        /// What it would have been.
        kind: SdpType,
    },
    /// The candidate fits no description.
    #[error(transparent)]
    Candidate(#[from] CandidateError),
    /// The caller could not do it.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// What was tried in a state that does not allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Attempt {
    /// `createOffer`
    CreateOffer,
    /// `createAnswer`
    CreateAnswer,
    /// `setLocalDescription` or `setRemoteDescription`
    Set(Side, SdpType),
    /// `addIceCandidate`
    AddCandidate,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateOffer => f.write_str("createOffer"),
            Self::CreateAnswer => f.write_str("createAnswer"),
            Self::Set(side, kind) => Step::Set(*side, *kind).fmt(f),
            Self::AddCandidate => f.write_str("addIceCandidate"),
        }
    }
}

/// Why a command was not taken up. Nothing has changed by it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Refused {
    /// `InvalidStateError`: the connection is closed.
    #[error("InvalidStateError: the connection is closed")]
    Closed,
    /// As many operations wait as may ([`Config::max_operations`](super::Config::max_operations)).
    #[error("too many operations wait")]
    TooManyOperations,
    /// As many candidates wait for the operations before them as may
    /// ([`Config::max_held_candidates`](super::Config::max_held_candidates)).
    #[error("too many candidates wait")]
    TooManyCandidates,
    /// Nobody has polled events for so long that there is no room for more.
    #[error("events were not polled")]
    NotPolled,
    /// `TypeError`: a candidate that is for no section.
    #[error("TypeError: a candidate with neither mid nor m-line index")]
    NoSection,
    /// A candidate longer than [`MAX_CANDIDATE`](super::MAX_CANDIDATE) bytes.
    #[error("the candidate is too long")]
    CandidateTooLong,
}

/// The operation is not the one that is under way, or the result is not of the kind that was asked for. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("operation {0} does not wait for this")]
pub struct NotAwaited(pub OperationId);

/// What happened.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `signalingstatechange`. State and descriptions are all as they were set together.
    SignalingStateChange(Transition),
    /// `negotiationneeded`: the state is stable, no operation waits, and something is not negotiated yet.
    NegotiationNeeded,
    /// The operation succeeded: its promise is resolved.
    Done(OperationId),
    /// The operation failed: its promise is rejected. The next one goes on.
    Failed(OperationId, OperationError),
    /// The operation was about a candidate that will never be used; see the reason.
    CandidateDropped(OperationId, CandidateDropped),
    /// `icecandidate`: for the peer. Its description has been applied, and goes first.
    LocalCandidate(CandidateInit),
}

/// Why a candidate was given up without being used. Not an error: its promise is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum CandidateDropped {
    /// Its description was rolled back, ignored, or another one took its place.
    Superseded,
    /// Its section is stopped.
    Stopped,
    /// More were held than may be ([`Config::max_held_candidates`](super::Config::max_held_candidates)); it was the oldest.
    TooMany,
}

impl fmt::Display for CandidateDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Superseded => "superseded",
            Self::Stopped => "stopped",
            Self::TooMany => "too-many",
        })
    }
}

/// A change of the signaling state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Transition {
    /// What it was.
    pub from: SignalingState,
    /// What it is.
    pub to: SignalingState,
    /// What changed it.
    pub step: Step,
    /// When.
    pub at: Instant,
}
