//! From the native connection's aggregates to the reducer's triggers.

use super::Trigger;
use crate::{IceConnectionState, PeerConnectionState};

/// What a native state means to the reducer. `new` and `connecting` mean nothing to it.
#[must_use]
pub const fn translate(native: PeerConnectionState) -> Option<Trigger> {
    match native {
        PeerConnectionState::Connected => Some(Trigger::IceConnected),
        PeerConnectionState::Disconnected => Some(Trigger::TransportFlap),
        PeerConnectionState::Failed => Some(Trigger::Error),
        PeerConnectionState::Closed => Some(Trigger::Close),
        PeerConnectionState::New | PeerConnectionState::Connecting => None,
    }
}

/// The connectionState that stands in for one that the native connection does not report.
#[must_use]
pub const fn stand_in(ice: IceConnectionState) -> PeerConnectionState {
    match ice {
        IceConnectionState::Closed => PeerConnectionState::Closed,
        IceConnectionState::Failed => PeerConnectionState::Failed,
        IceConnectionState::Disconnected => PeerConnectionState::Disconnected,
        IceConnectionState::New => PeerConnectionState::New,
        IceConnectionState::Checking => PeerConnectionState::Connecting,
        IceConnectionState::Completed | IceConnectionState::Connected => {
            PeerConnectionState::Connected
        }
    }
}

/// One native state out of two reports that may both come, in either order, or only one of them.
///
/// connectionState counts, once there is one: it knows DTLS too. iceConnectionState is believed before it where it
/// brings bad news, since those rules are the same in both; good news wait for connectionState.
#[derive(Clone, Copy, Debug)]
pub(super) struct Native {
    /// The last connectionState, if there was ever one.
    pub(super) reported: Option<PeerConnectionState>,
    /// What follows from both.
    pub(super) state: PeerConnectionState,
}

impl Native {
    pub(super) const UNKNOWN: Self = Self {
        reported: None,
        state: PeerConnectionState::New,
    };

    /// Whether this connectionState says anything new.
    pub(super) fn connection(&mut self, state: PeerConnectionState) -> bool {
        self.reported = Some(state);
        self.become_state(state)
    }

    /// Whether this iceConnectionState says anything new.
    pub(super) fn ice(&mut self, ice: IceConnectionState) -> bool {
        use PeerConnectionState as Peer;
        let state = match (self.reported, stand_in(ice)) {
            (None, state) => state,
            (Some(_), state @ (Peer::Closed | Peer::Failed)) => state,
            (Some(_), Peer::Disconnected) if self.state != Peer::Failed => Peer::Disconnected,
            // It was bad news for so short a time that connectionState never moved.
            (Some(Peer::Connected), Peer::Connected) => Peer::Connected,
            (Some(_), _) => self.state,
        };
        self.become_state(state)
    }

    fn become_state(&mut self, state: PeerConnectionState) -> bool {
        let new = self.state != state;
        self.state = state;
        new
    }
}
