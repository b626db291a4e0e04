//! Why a session ended, and what its participant is told.
//!
//! Two words for one end, kept apart. The [`CloseReason`] is the server's own and goes into its log: what happened. The
//! [`DisconnectReason`] is public, with the numbers that signaling protocols carry: it is all that a message to a client can
//! hold ([`Leave`]), and what other participants see. [`CloseReason::disconnect_reason`] maps one to the other, under a
//! [`Profile`].
//!
//! [`Ending`] decides which reason it is. The first one wins:
//!
//! ```text
//!             media connected                          media dead, leave request, …: the first CloseReason
//!   Joining ───────────────────► Joined ────────────────────────────────┐
//!     │                           │ ▲                                   ▼
//!     │                           └─┘ signaling channel closed,       Ended ⟲ later reasons, and what comes late
//!     │                               transport failed (→ leave{RESUME}),   resume → leave{STATE_MISMATCH, RECONNECT}
//!     │ signaling channel closed, 60 s                                  ▲
//!     └─────────────────────────────────────────────────────────────────┘
//! ```
//!
//! | what happens | reason | leave to the client |
//! |---|---|---|
//! | the client asks to leave | `CLIENT_REQUEST_LEAVE`, or what it says | |
//! | no keep-alive on the media path for 20 s ([`liveness`](crate::liveness)) | `PEER_CONNECTION_DISCONNECTED` | `DISCONNECT` |
//! | signaling channel closed, media never connected | `SIGNAL_SOURCE_CLOSE` | |
//! | signaling channel closed, media connected once | the session stays | |
//! | a transport failed | the session stays | `RESUME` |
//! | media not connected 60 s after the start | `JOIN_TIMEOUT` | `DISCONNECT` |
//! | negotiation is stuck | `NEGOTIATE_FAILED` | `RECONNECT` |
//! | somebody joined under the same identity | `DUPLICATE_IDENTITY` | `DISCONNECT` |
//! | resume of a session that is unknown or over | (none: no session ends) | `RECONNECT`, with `STATE_MISMATCH` |
//!
//! What a server decides for itself (a room deleted, a participant removed, a shutdown) it says with [`Ending::close`].

mod ending;
mod leave;
mod reason;

#[cfg(feature = "serde")]
pub use ending::Saved;
pub use ending::{Action, Config, ConfigError, Ended, Ending, Event};
pub use leave::{Leave, LeaveAction, LeaveRequest};
pub use reason::{CloseReason, DisconnectReason, Profile};
