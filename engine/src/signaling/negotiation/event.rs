//! What the peer is sent, what the caller is asked for, and what it is told.

use crate::signaling::{self, CandidateInit, Description, OfferId, OperationError, SdpType, Side};
use std::{fmt, sync::Arc, time::Instant};

/// What two negotiations say to each other. Carried by the signaling channel, in order and each once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Message {
    /// An offer or an answer.
    Description(Arc<Description>),
    /// A candidate, after the description that it belongs to.
    Candidate(CandidateInit),
}

/// What the caller must do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// To the native connection; [`complete`](super::Negotiation::complete) says how it ended.
    Signaling(signaling::Action),
    /// To the peer, over the signaling channel.
    Send(Message),
    /// Negotiating with this peer leads nowhere: end this session with `NegotiateFailed` and set up another, or leave it. Asked
    /// once, until a negotiation succeeds or [`negotiation_needed`](super::Negotiation::negotiation_needed) starts over.
    Reconnect,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The signaling state changed, negotiation is needed, or a candidate was given up.
    Signaling(signaling::Event),
    /// This side is about something else now.
    PhaseChange(Transition),
    /// A description of the peer's had no effect, and never will.
    Discarded(Discarded),
    /// A candidate of the peer's was refused, and not because its offer was ignored.
    CandidateFailed(NegotiationError),
    /// Negotiation failed.
    Failed(Failed),
}

/// What this side is about.
///
/// The three flags of the W3C's example are phases here: `makingOffer` is [`MakingOffer`](Self::MakingOffer) and
/// [`HoldingOffer`](Self::HoldingOffer), `isSettingRemoteAnswerPending` is [`SettingAnswer`](Self::SettingAnswer), and no other two
/// can be true at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Phase {
    /// Nothing is under way.
    #[default]
    Idle,
    /// An own offer is being created and applied.
    MakingOffer,
    /// It is applied and has not left: an offer of the peer's came meanwhile, and this side is polite.
    HoldingOffer,
    /// It has left.
    AwaitingAnswer,
    /// The answer to it is being applied.
    SettingAnswer,
    /// An offer of the peer's is being applied, in the place of ours if need be.
    SettingOffer,
    /// It is applied and not answered.
    OwingAnswer,
    /// The answer is being created and applied.
    MakingAnswer,
    /// After a failure, or an answer that never came: back to what both sides last agreed on.
    RollingBack,
    /// Closed, for good.
    Closed,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Idle,
        Self::MakingOffer,
        Self::HoldingOffer,
        Self::AwaitingAnswer,
        Self::SettingAnswer,
        Self::SettingOffer,
        Self::OwingAnswer,
        Self::MakingAnswer,
        Self::RollingBack,
        Self::Closed,
    ];
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Idle => "idle",
            Self::MakingOffer => "making-offer",
            Self::HoldingOffer => "holding-offer",
            Self::AwaitingAnswer => "awaiting-answer",
            Self::SettingAnswer => "setting-answer",
            Self::SettingOffer => "setting-offer",
            Self::OwingAnswer => "owing-answer",
            Self::MakingAnswer => "making-answer",
            Self::RollingBack => "rolling-back",
            Self::Closed => "closed",
        })
    }
}

/// A change of the [`Phase`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Transition {
    /// What it was.
    pub from: Phase,
    /// What it is.
    pub to: Phase,
    /// What changed it.
    pub cause: Cause,
    /// When.
    pub at: Instant,
}

/// What changed the [`Phase`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Cause {
    /// Something is to be negotiated.
    Needed,
    /// A message of the peer's.
    Message,
    /// The native connection did what it was asked for.
    Done,
    /// It could not.
    Failed,
    /// The offer or answer left.
    Sent,
    /// [`Config::answer_timeout`](super::Config::answer_timeout) passed.
    Unanswered,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Needed => "needed",
            Self::Message => "message",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Sent => "sent",
            Self::Unanswered => "unanswered",
        })
    }
}

/// A description that had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Discarded {
    /// What it was.
    pub kind: SdpType,
    /// Which offer it was, or answered.
    pub offer_id: Option<OfferId>,
    /// Why it had no effect.
    pub reason: DiscardReason,
    /// When.
    pub at: Instant,
}

/// Why a description had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum DiscardReason {
    /// An offer that crossed ours: this side is impolite.
    Glare,
    /// An offer while a provisional answer stands.
    ProvisionalAnswer,
    /// An offer that came before, or that a newer one has overtaken.
    Stale,
    /// The last offer again; the answer to it has gone again, too.
    Repeated,
    /// An answer to no offer of ours that waits for one.
    NotAwaited,
    /// Rollbacks are never sent.
    Rollback,
    /// As many messages wait as may.
    TooMany,
}

impl fmt::Display for DiscardReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Glare => "glare",
            Self::ProvisionalAnswer => "provisional-answer",
            Self::Stale => "stale",
            Self::Repeated => "repeated",
            Self::NotAwaited => "not-awaited",
            Self::Rollback => "rollback",
            Self::TooMany => "too-many",
        })
    }
}

/// A negotiation that failed. Displayed, it is one line for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Failed {
    /// What this side was about.
    pub phase: Phase,
    /// Why it failed.
    pub error: NegotiationError,
    /// What is done about it.
    pub remedy: Remedy,
    /// When.
    pub at: Instant,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            phase,
            error,
            remedy,
            ..
        } = self;
        write!(f, "negotiation failed, {remedy}: {error} ({phase})")
    }
}

/// Why a negotiation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum NegotiationError {
    /// An operation failed.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// An operation was not taken up.
    #[error(transparent)]
    Refused(#[from] signaling::Refused),
    /// The answer did not come in time.
    #[error("no answer came")]
    Unanswered,
}

/// What is done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Remedy {
    /// Nothing has to be: the state is stable, or the rollback itself failed.
    None,
    /// The pending offer of this side is rolled back.
    RollBack(Side),
    /// The same offer is sent again: there is nothing to go back to.
    Resend,
    /// The peer is given up.
    Reconnect,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("going on"),
            Self::RollBack(_) => f.write_str("rolling back"),
            Self::Resend => f.write_str("sending again"),
            Self::Reconnect => f.write_str("giving up"),
        }
    }
}
