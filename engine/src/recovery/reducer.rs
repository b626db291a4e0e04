//! The reducer: five states, eight triggers, one pure function.

use std::fmt;

/// Where a session stands, as far as its recovery cares. Displays in the words of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum State {
    /// Nothing was begun, or everything was closed.
    New,
    /// An offer has gone either way, or a restart was ordered: a path is being sought.
    Connecting,
    /// Media flows.
    Connected,
    /// The path is lost for longer than a blip lasts; it may come back by itself.
    Disconnected,
    /// It has not come back. Only an ICE restart helps.
    Failed,
}

/// What may move the state. Displays in the words of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
#[non_exhaustive]
pub enum Trigger {
    /// This side's offer has left.
    OfferSent,
    /// The peer's offer has come.
    OfferReceived,
    /// The native connection is connected: ICE and DTLS.
    IceConnected,
    /// The native connection failed, or took too long.
    Error,
    /// The native connection is disconnected, and was so for the grace time.
    TransportFlap,
    /// The session is over.
    Close,
    /// The path has not come back within the restart window.
    RestartTimeout,
    /// An ICE restart begins.
    IceRestart,
}

/// The state after `trigger` in `state`. Whatever is not an edge of the table leaves the state as it is.
///
/// ```
/// use floe::recovery::{State, Trigger, reduce};
///
/// assert_eq!(reduce(State::Connected, Trigger::TransportFlap), State::Disconnected);
/// assert_eq!(reduce(State::Failed, Trigger::IceConnected), State::Failed); // too late
/// ```
#[must_use]
pub const fn reduce(state: State, trigger: Trigger) -> State {
    match (state, trigger) {
        (State::New, Trigger::OfferSent | Trigger::OfferReceived) => State::Connecting,
        (State::Connecting, Trigger::IceConnected) => State::Connected,
        (State::Connecting, Trigger::Error) => State::Failed,
        (State::Connected, Trigger::TransportFlap) => State::Disconnected,
        (State::Connected | State::Failed, Trigger::Close) => State::New,
        (State::Disconnected, Trigger::IceConnected) => State::Connected,
        (State::Disconnected, Trigger::RestartTimeout) => State::Failed,
        (State::Failed, Trigger::IceRestart) => State::Connecting,
        (same, _) => same,
    }
}

impl State {
    /// All five.
    pub const ALL: [Self; 5] = [
        Self::New,
        Self::Connecting,
        Self::Connected,
        Self::Disconnected,
        Self::Failed,
    ];
}

impl Trigger {
    /// All eight.
    pub const ALL: [Self; 8] = [
        Self::OfferSent,
        Self::OfferReceived,
        Self::IceConnected,
        Self::Error,
        Self::TransportFlap,
        Self::Close,
        Self::RestartTimeout,
        Self::IceRestart,
    ];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::New => "new",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
        })
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OfferSent => "OFFER_SENT",
            Self::OfferReceived => "OFFER_RECEIVED",
            Self::IceConnected => "ICE_CONNECTED",
            Self::Error => "ERROR",
            Self::TransportFlap => "TRANSPORT_FLAP",
            Self::Close => "CLOSE",
            Self::RestartTimeout => "RESTART_TIMEOUT",
            Self::IceRestart => "ICE_RESTART",
        })
    }
}
