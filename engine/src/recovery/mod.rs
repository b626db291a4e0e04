//! Recovery: from a flap to a restart, within bounds, without anybody's help.
//!
//! ```text
//!              OFFER_SENT,
//!              OFFER_RECEIVED              ICE_CONNECTED
//!       New ─────────────────► Connecting ───────────────► Connected
//!        ▲                      │     ▲                     │     ▲
//!        │ CLOSE          ERROR │     │ ICE_RESTART         │     │
//!        │                      ▼     │      TRANSPORT_FLAP │     │ ICE_CONNECTED
//!        ├─────────────────────Failed─┘                     ▼     │
//!        │                        ▲                      Disconnected
//!        │                        └────────────────────────┘
//!        └── CLOSE ── Connected         RESTART_TIMEOUT
//! ```
//!
//! | trigger | new | connecting | connected | disconnected | failed |
//! |---|---|---|---|---|---|
//! | OFFER_SENT | connecting | · | · | · | · |
//! | OFFER_RECEIVED | connecting | · | · | · | · |
//! | ICE_CONNECTED | · | connected | · | connected | · |
//! | ERROR | · | failed | · | · | · |
//! | TRANSPORT_FLAP | · | · | disconnected | · | · |
//! | CLOSE | · | · | new | · | new |
//! | RESTART_TIMEOUT | · | · | · | failed | · |
//! | ICE_RESTART | · | · | · | · | connecting |
//!
//! "·" is ignored, with a record for debugging. The table is [`reduce`], a pure function. Around it stand:
//!
//! - The translator ([`translate`]): the native connection's aggregates are inputs and never written. connectionState and
//!   iceConnectionState may both come; what they say together is acted upon once. An aggregate that is `disconnected`
//!   becomes TRANSPORT_FLAP only after [`Config::grace`]. One that is `failed` while the state is connected or
//!   disconnected is brought to `failed` along edges: TRANSPORT_FLAP, RESTART_TIMEOUT, each with its record.
//! - Timers, so that no state but `new`, `connected` and a `failed` that was escalated lasts:
//!
//!   | state | leaves after | by |
//!   |---|---|---|
//!   | connected, native disconnected | [`Config::grace`] | TRANSPORT_FLAP |
//!   | disconnected | [`Config::restart_window`] | RESTART_TIMEOUT |
//!   | connecting | [`Config::connect_timeout`], from when the offer has left if it is a restart's | ERROR |
//!   | failed | at once | ICE_RESTART, [`Config::max_restarts`] times until it is connected again |
//!
//! - Closing, in any state: back to `new`, where the table ignores CLOSE too. No action and no timer survives it; the
//!   record of it is the last event. A fresh connection begins with [`Recovery::reopen`].
//! - The drift check ([`agree`]), after each input. It is silent while the grace time runs; while a restart has not yet
//!   moved the native connection; for one connect timeout while a connected session's native connection is `new`
//!   or `connecting`, as it is when a transport joins; and while that of a disconnected one is `connecting`, which
//!   the restart window bounds.
//!
//! Nothing that happens to signaling gets here, but for one thing: when the offer of a restart has left. So a lost channel
//! never restarts ICE, and a lost path never touches the channel.
//!
//! Left out: making the offer, and counting how long states last (the [journal](crate::journal) does).

mod config;
mod drift;
mod event;
mod machine;
mod reducer;
#[cfg(feature = "serde")]
mod saved;
mod translator;

pub use config::{Config, ConfigError, Restarts};
pub use drift::{Drift, agree};
pub use event::{Action, Cause, Event, Input, StatsSample, Transition};
pub use machine::{Presentation, Recovery};
pub use reducer::{State, Trigger, reduce};
#[cfg(feature = "serde")]
pub use saved::{RestoreError, SavedRecovery};
pub use translator::{stand_in, translate};
