//! Signaling: which offers and answers may go which way, in what order, and how messages survive a channel that comes and goes.
//!
//! ```text
//!            what to do, and how it went                    messages                       bytes
//!  caller ◀──────────────────────────────▶ Signaling ◀───▶ Negotiation ◀───▶ Link ◀───▶ WebSocket, …
//!  (SDP, media, transports)                 one side's       who yields,      ids, order,
//!                                           states and       what is sent     resending
//!                                           descriptions
//! ```
//!
//! | part | its question | follows |
//! |---|---|---|
//! | [`state`] | which description is allowed in which state? | webrtc-pc §4.3.1, RFC 9429 §4.1.10 |
//! | [`Signaling`] | what is done next, and what does it change? | webrtc-pc §4.4.1, §4.7.3; RFC 9429 §4.1 |
//! | [`candidates`] | has the description of this candidate been applied? | webrtc-pc §4.4.1.11, RFC 9429 §4.1.20 |
//! | [`negotiation`] | both offered: who yields? | webrtc-pc §10.7 |
//! | [`link`] | has the peer got it? | |
//!
//! Descriptions are [opaque](description) but for a few facts. Nothing here knows of a transport's state, and no transport knows of
//! this: `stable` says that the two sides have agreed, not that anything works.

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
