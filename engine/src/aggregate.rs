//! The three connection-wide states of W3C webrtc-pc, as pure functions of (closed?, the transports now referred to).
//!
//! Nothing here is stored and nothing can be set: who wants to know a state asks, and gets what the transports' own
//! states say at that moment. Only the *set* of states present matters: not how many transports are in each, not their
//! order, not how they got there.
//!
//! Every table is read from the top; the first row that holds is the answer.
//!
//! ```text
//! iceConnectionState  (webrtc-pc §4.3.4)          connectionState  (webrtc-pc §4.3.3)
//! ────────────────────────────────────────        ───────────────────────────────────────────────────────────
//! closed        the connection is closed          closed        ICE is closed
//! failed        any is failed                     failed        ICE is failed, or any DTLS is failed
//! disconnected  any is disconnected               disconnected  ICE is disconnected
//! new           all are new or closed, or none    new           ICE is new, and all DTLS are new or closed
//! checking      any is new or checking            connected     ICE is connected or completed,
//! completed     all are completed or closed                     and all DTLS are connected or closed
//! connected     all are connected, completed      connecting    otherwise
//!               or closed
//!
//! iceGatheringState  (webrtc-pc §4.3.2)
//! ────────────────────────────────────────
//! gathering     any is gathering
//! new           any is new, or none
//! complete      all are complete
//! ```
//!
//! One word differs from the letter of webrtc-pc: `completed` counts as `connected` in the right-hand table. Read to the
//! letter, a connection whose ICE has completed would stay `connecting` for ever, against the note in the same section.
//!
//! "All" holds for no transports. A closed transport never changes a result, and all closed is `new`, not `closed`.
//!
//! ```
//! use floe::{IceConnectionState, Life, PeerConnectionState, connection_state, ice_connection_state};
//! use floe_dtls as dtls;
//! use floe_ice as ice;
//!
//! let ice = ice_connection_state(Life::Open, [ice::State::Connected, ice::State::Completed]);
//! assert_eq!(ice, IceConnectionState::Connected);
//! let state = connection_state(ice, [dtls::State::Connected, dtls::State::Connecting]);
//! assert_eq!(state, PeerConnectionState::Connecting);
//! ```

use floe_dtls as dtls;
use floe_ice as ice;
use std::{fmt, marker::PhantomData};

/// Whether `close()` was called: webrtc-pc's `[[IsClosed]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Life {
    /// Not closed.
    #[default]
    Open,
    /// Closed, for good.
    Closed,
}

/// RTCIceConnectionState: every ICE transport of a connection, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum IceConnectionState {
    /// The connection is closed.
    Closed,
    /// At least one transport has failed.
    Failed,
    /// At least one transport has lost its path, and none has failed.
    Disconnected,
    /// No transport has begun, or there is none.
    New,
    /// At least one transport is still looking for a path.
    Checking,
    /// Every transport has a path and is done checking.
    Completed,
    /// Every transport has a path, and at least one goes on checking.
    Connected,
}

/// RTCPeerConnectionState: every ICE and DTLS transport of a connection, in one word. Only
/// [`Connected`](Self::Connected) means that media may flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum PeerConnectionState {
    /// The connection is closed.
    Closed,
    /// At least one ICE or DTLS transport has failed.
    Failed,
    /// At least one ICE transport has lost its path, and nothing has failed.
    Disconnected,
    /// No transport has begun, or there is none.
    New,
    /// At least one transport is on its way.
    Connecting,
    /// Every transport has a path, and a peer whose identity was verified.
    Connected,
}

/// RTCIceGatheringState: the gathering of every ICE transport of a connection, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum IceGatheringState {
    /// At least one transport has not begun and none is at it, or there is none.
    New,
    /// At least one transport is gathering.
    Gathering,
    /// Every transport has gathered.
    Complete,
}

/// iceConnectionState of a connection in this `life` whose ICE transports are in these states.
#[must_use]
pub fn ice_connection_state(
    life: Life,
    transports: impl IntoIterator<Item = ice::State>,
) -> IceConnectionState {
    use ice::State::{Checking, Closed, Completed, Disconnected, Failed, New};
    let present: Present<ice::State> = transports.into_iter().collect();
    if life == Life::Closed {
        IceConnectionState::Closed
    } else if present.any([Failed]) {
        IceConnectionState::Failed
    } else if present.any([Disconnected]) {
        IceConnectionState::Disconnected
    } else if present.only([New, Closed]) {
        IceConnectionState::New
    } else if present.any([New, Checking]) {
        IceConnectionState::Checking
    } else if present.only([Completed, Closed]) {
        IceConnectionState::Completed
    } else {
        IceConnectionState::Connected
    }
}

/// connectionState of a connection whose iceConnectionState is `ice` and whose DTLS transports are in these states.
#[must_use]
pub fn connection_state(
    ice: IceConnectionState,
    transports: impl IntoIterator<Item = dtls::State>,
) -> PeerConnectionState {
    use IceConnectionState as Ice;
    use dtls::State::{Closed, Connected, Failed, New};
    let present: Present<dtls::State> = transports.into_iter().collect();
    match ice {
        Ice::Closed => PeerConnectionState::Closed,
        Ice::Failed => PeerConnectionState::Failed,
        _ if present.any([Failed]) => PeerConnectionState::Failed,
        Ice::Disconnected => PeerConnectionState::Disconnected,
        Ice::New if present.only([New, Closed]) => PeerConnectionState::New,
        Ice::Connected | Ice::Completed if present.only([Connected, Closed]) => {
            PeerConnectionState::Connected
        }
        Ice::New | Ice::Checking | Ice::Connected | Ice::Completed => {
            PeerConnectionState::Connecting
        }
    }
}

/// iceGatheringState of a connection whose ICE transports gather like this. Closing a connection leaves it as it is.
#[must_use]
pub fn ice_gathering_state(
    transports: impl IntoIterator<Item = ice::GatheringState>,
) -> IceGatheringState {
    use ice::GatheringState::{Complete, Gathering};
    let present: Present<ice::GatheringState> = transports.into_iter().collect();
    if present.any([Gathering]) {
        IceGatheringState::Gathering
    } else if present.any([Complete]) && present.only([Complete]) {
        IceGatheringState::Complete
    } else {
        IceGatheringState::New
    }
}

/// The set of states that are present, one bit each.
struct Present<S>(u8, PhantomData<S>);

impl<S: Bit> Present<S> {
    fn any<const N: usize>(&self, states: [S; N]) -> bool {
        self.0 & states.into_iter().collect::<Self>().0 != 0
    }

    fn only<const N: usize>(&self, states: [S; N]) -> bool {
        self.0 & !states.into_iter().collect::<Self>().0 == 0
    }
}

impl<S: Bit> FromIterator<S> for Present<S> {
    fn from_iter<I: IntoIterator<Item = S>>(states: I) -> Self {
        Self(
            states
                .into_iter()
                .fold(0, |bits, state| bits | 1 << state.position()),
            PhantomData,
        )
    }
}

/// A closed enum of at most eight states.
trait Bit: Copy {
    fn position(self) -> u8;
}

impl Bit for ice::State {
    fn position(self) -> u8 {
        self as u8
    }
}

impl Bit for dtls::State {
    fn position(self) -> u8 {
        self as u8
    }
}

impl Bit for ice::GatheringState {
    fn position(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Open => "open",
            Self::Closed => "closed",
        })
    }
}

impl fmt::Display for IceConnectionState {
    /// The word of webrtc-pc.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "closed",
            Self::Failed => "failed",
            Self::Disconnected => "disconnected",
            Self::New => "new",
            Self::Checking => "checking",
            Self::Completed => "completed",
            Self::Connected => "connected",
        })
    }
}

impl fmt::Display for PeerConnectionState {
    /// The word of webrtc-pc.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "closed",
            Self::Failed => "failed",
            Self::Disconnected => "disconnected",
            Self::New => "new",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
        })
    }
}

impl fmt::Display for IceGatheringState {
    /// The word of webrtc-pc.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::New => "new",
            Self::Gathering => "gathering",
            Self::Complete => "complete",
        })
    }
}

#[cfg(test)]
#[path = "aggregate_tests.rs"]
mod tests;
