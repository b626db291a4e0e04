//! What a client is told at the end, and what it is to do.

use super::{CloseReason, DisconnectReason, Profile};

/// The end of a session, or of its signaling channel, as the other side is told it. It cannot hold a [`CloseReason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Leave {
    /// Why.
    pub reason: DisconnectReason,
    /// What the receiver is to do.
    pub action: LeaveAction,
}

/// What a client is to do that was told to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
#[repr(u8)]
pub enum LeaveAction {
    /// Go: the session is over.
    Disconnect = 0,
    /// Come back on a new channel and resume: the session goes on.
    Resume = 1,
    /// Begin a new session: this one is over.
    Reconnect = 2,
}

impl LeaveAction {
    /// Its number in LiveKit's protocol.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }
}

impl Leave {
    /// The answer to a resume of a session that is unknown or over: the two sides disagree, and the client is to begin anew.
    pub const UNKNOWN_SESSION: Self = Self {
        reason: DisconnectReason::StateMismatch,
        action: LeaveAction::Reconnect,
    };

    /// A client leaves for good.
    pub const CLIENT_INITIATED: Self = Self {
        reason: DisconnectReason::ClientInitiated,
        action: LeaveAction::Disconnect,
    };

    /// What the client is told at a session's end for this reason, if anything is said.
    #[must_use]
    pub fn at_end(reason: CloseReason, profile: Profile) -> Option<Self> {
        Some(Self {
            reason: reason.disconnect_reason(profile),
            action: reason.leave_action()?,
        })
    }

    /// What the client is told when its transport failed: the session goes on if it resumes in time.
    #[must_use]
    pub fn transport_failed(profile: Profile) -> Self {
        Self {
            reason: CloseReason::PeerConnectionDisconnected.disconnect_reason(profile),
            action: LeaveAction::Resume,
        }
    }

    /// The message for a client that speaks this version of LiveKit's protocol. Up to version 12 it knows no actions: it reads
    /// whether it can reconnect, and a leave that asks it to resume is not for it (`None`).
    #[must_use]
    pub fn for_protocol(self, version: u32) -> Option<LeaveRequest> {
        let knows_actions = version > LeaveRequest::LAST_WITHOUT_ACTIONS;
        if !knows_actions && self.action == LeaveAction::Resume {
            return None;
        }
        Some(LeaveRequest {
            reason: self.reason,
            can_reconnect: !knows_actions && self.action == LeaveAction::Reconnect,
            action: knows_actions.then_some(self.action),
        })
    }
}

/// LiveKit's `LeaveRequest`, in the form of one version of its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LeaveRequest {
    /// Why.
    pub reason: DisconnectReason,
    /// For clients up to version 12: whether to begin a new session.
    pub can_reconnect: bool,
    /// For clients from version 13 on: what to do.
    pub action: Option<LeaveAction>,
}

impl LeaveRequest {
    /// The last version of the protocol in which a client knows no actions.
    pub const LAST_WITHOUT_ACTIONS: u32 = 12;
}

impl From<LeaveRequest> for Leave {
    /// As the client reads it.
    fn from(request: LeaveRequest) -> Self {
        Self {
            reason: request.reason,
            action: match (request.action, request.can_reconnect) {
                (Some(action), _) => action,
                (None, true) => LeaveAction::Reconnect,
                (None, false) => LeaveAction::Disconnect,
            },
        }
    }
}
