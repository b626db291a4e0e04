//! Signaling: which offers and answers may go which way, in what order, and how messages survive a channel that comes and goes.

pub mod candidates;
mod chain;
pub mod config;
pub mod description;
mod jsep;
pub mod link;
mod needed;
pub mod negotiation;
pub mod operation;
mod slots;
pub mod state;
#[cfg(feature = "serde")]
mod wire;

pub use candidates::{
    CandidateDrops, CandidateError, CandidateInit, EarlyCandidates, MAX_CANDIDATE,
};
pub use config::{Config, ConfigError, ForeignDescriptions};
pub use description::{Description, Media, MediaLife, OfferId, SdpType, Side};
pub use jsep::Signaling;
#[cfg(feature = "serde")]
pub use jsep::{RestoreError, SavedSignaling};
pub use link::Link;
pub use operation::{
    Action, Attempt, CandidateDropped, Completed, Event, Failure, IceRestart, NotAwaited,
    OperationError, OperationId, Refused, Transition,
};
pub use state::{Effect, InvalidState, RollbackThrough, SignalingState, Step};
