//! The drift check: what recovery believes beside what the native connection is.

use super::State;
use crate::PeerConnectionState;
use std::{fmt, time::Instant};

/// The two disagree. Displays as the warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Drift {
    /// What recovery believes.
    pub fsm: State,
    /// What the native connection is.
    pub native: PeerConnectionState,
    /// Since when, as far as it is known.
    pub at: Instant,
}

/// Whether a native connection in state `native` is what one expects in `fsm`.
///
/// | fsm | native |
/// |---|---|
/// | `new` | any: nothing is expected |
/// | `connecting` | `new`, `connecting` |
/// | `connected` | `connected` |
/// | `disconnected` | `disconnected` |
/// | `failed` | `failed`, `closed` |
#[must_use]
pub const fn agree(fsm: State, native: PeerConnectionState) -> bool {
    use PeerConnectionState as Peer;
    match fsm {
        State::New => true,
        State::Connecting => matches!(native, Peer::New | Peer::Connecting),
        State::Connected => matches!(native, Peer::Connected),
        State::Disconnected => matches!(native, Peer::Disconnected),
        State::Failed => matches!(native, Peer::Failed | Peer::Closed),
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "drift: fsm={} native={}", self.fsm, self.native)
    }
}
