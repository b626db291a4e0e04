//! The two vocabularies, and the map from one to the other.

use super::LeaveAction;
use std::{fmt, time::Duration};

/// Why the server ended a session: for its log, never for a client. Displays as it is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
#[non_exhaustive]
pub enum CloseReason {
    /// No reason given.
    #[default]
    None,
    /// The client asked to leave.
    ClientRequestLeave,
    /// The server shuts down.
    RoomManagerStop,
    /// The participant could not be verified.
    VerifyFailed,
    /// Joining the room failed.
    JoinFailed,
    /// Media did not connect in time.
    JoinTimeout,
    /// The participant could not be registered with the servers' message bus.
    MessageBusFailed,
    /// The media path is gone and the client did not resume in time.
    PeerConnectionDisconnected,
    /// Somebody joined under the same identity.
    DuplicateIdentity,
    /// The participant has moved to another server.
    MigrationComplete,
    /// A newer session has taken the place of this one.
    Stale,
    /// Removed through the service's interface.
    ServiceRequestRemoveParticipant,
    /// The room was deleted through the service's interface.
    ServiceRequestDeleteRoom,
    /// A test of migration.
    SimulateMigration,
    /// A test of a server that fails.
    SimulateNodeFailure,
    /// A test of a server that leaves.
    SimulateServerLeave,
    /// A test of a client that leaves.
    SimulateLeaveRequest,
    /// Offer and answer did not come to an end.
    NegotiateFailed,
    /// The participant is asked to move to another server.
    MigrationRequested,
    /// A track could not be published.
    PublicationError,
    /// A track could not be subscribed to.
    SubscriptionError,
    /// Data could not be sent.
    DataChannelError,
    /// After a migration a track is missing, or has another codec.
    MigrateCodecMismatch,
    /// The signaling channel closed, and media had never connected.
    SignalSourceClose,
    /// The room was closed because nobody was in it any more.
    RoomClosed,
    /// The callee could not be reached.
    UserUnavailable,
    /// The callee declined.
    UserRejected,
    /// The participant could not be moved to another room.
    MoveFailed,
    /// An agent reported its failure.
    AgentError,
}

impl CloseReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 29] = [
        Self::None,
        Self::ClientRequestLeave,
        Self::RoomManagerStop,
        Self::VerifyFailed,
        Self::JoinFailed,
        Self::JoinTimeout,
        Self::MessageBusFailed,
        Self::PeerConnectionDisconnected,
        Self::DuplicateIdentity,
        Self::MigrationComplete,
        Self::Stale,
        Self::ServiceRequestRemoveParticipant,
        Self::ServiceRequestDeleteRoom,
        Self::SimulateMigration,
        Self::SimulateNodeFailure,
        Self::SimulateServerLeave,
        Self::SimulateLeaveRequest,
        Self::NegotiateFailed,
        Self::MigrationRequested,
        Self::PublicationError,
        Self::SubscriptionError,
        Self::DataChannelError,
        Self::MigrateCodecMismatch,
        Self::SignalSourceClose,
        Self::RoomClosed,
        Self::UserUnavailable,
        Self::UserRejected,
        Self::MoveFailed,
        Self::AgentError,
    ];

    /// How long after the start of a session the end of its signaling channel still counts as given up by the client.
    pub const EARLY: Duration = Duration::from_secs(3);

    /// What a client and the other participants are told.
    #[must_use]
    pub fn disconnect_reason(self, profile: Profile) -> DisconnectReason {
        use DisconnectReason as Public;
        match self {
            Self::None => Public::UnknownReason,
            Self::ClientRequestLeave | Self::SimulateLeaveRequest => Public::ClientInitiated,
            Self::RoomManagerStop | Self::SimulateNodeFailure | Self::SimulateServerLeave => {
                Public::ServerShutdown
            }
            Self::VerifyFailed | Self::JoinFailed | Self::JoinTimeout | Self::MessageBusFailed => {
                Public::JoinFailure
            }
            Self::PeerConnectionDisconnected => match profile {
                Profile::Article => Public::StateMismatch,
                Profile::LiveKitHead => Public::ConnectionTimeout,
            },
            Self::DuplicateIdentity | Self::Stale => Public::DuplicateIdentity,
            Self::MigrationComplete | Self::SimulateMigration | Self::MigrationRequested => {
                Public::Migration
            }
            Self::ServiceRequestRemoveParticipant => Public::ParticipantRemoved,
            Self::ServiceRequestDeleteRoom => Public::RoomDeleted,
            Self::NegotiateFailed
            | Self::PublicationError
            | Self::SubscriptionError
            | Self::DataChannelError
            | Self::MigrateCodecMismatch
            | Self::MoveFailed => Public::StateMismatch,
            Self::SignalSourceClose => Public::SignalClose,
            Self::RoomClosed => Public::RoomClosed,
            Self::UserUnavailable => Public::UserUnavailable,
            Self::UserRejected => Public::UserRejected,
            Self::AgentError => Public::AgentError,
        }
    }

    /// The reason of a client's own wish to leave: what it gave, where that is a client's to give, and otherwise that it asked.
    #[must_use]
    pub fn of_leave_request(said: DisconnectReason) -> Self {
        match said {
            DisconnectReason::UserUnavailable => Self::UserUnavailable,
            DisconnectReason::UserRejected => Self::UserRejected,
            DisconnectReason::AgentError => Self::AgentError,
            _ => Self::ClientRequestLeave,
        }
    }

    /// What the client is advised to do at a session's end for this reason. `None`: nothing is sent, because it said so
    /// itself, is already elsewhere, or cannot be reached.
    #[must_use]
    pub fn leave_action(self) -> Option<LeaveAction> {
        match self {
            Self::ClientRequestLeave
            | Self::UserUnavailable
            | Self::UserRejected
            | Self::AgentError
            | Self::MigrationComplete
            | Self::SignalSourceClose => None,
            Self::NegotiateFailed
            | Self::PublicationError
            | Self::SubscriptionError
            | Self::DataChannelError
            | Self::MigrateCodecMismatch => Some(LeaveAction::Reconnect),
            _ => Some(LeaveAction::Disconnect),
        }
    }

    /// Whether a session that ended for this reason, `lasted` after its start, counts as given up rather than failed.
    #[must_use]
    pub fn is_cancelled(self, lasted: Duration) -> bool {
        match self {
            Self::ClientRequestLeave
            | Self::DuplicateIdentity
            | Self::RoomClosed
            | Self::MigrationRequested
            | Self::MigrationComplete => true,
            Self::SignalSourceClose => lasted < Self::EARLY,
            _ => false,
        }
    }

    /// As it is logged: `PEER_CONNECTION_DISCONNECTED`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::ClientRequestLeave => "CLIENT_REQUEST_LEAVE",
            Self::RoomManagerStop => "ROOM_MANAGER_STOP",
            Self::VerifyFailed => "VERIFY_FAILED",
            Self::JoinFailed => "JOIN_FAILED",
            Self::JoinTimeout => "JOIN_TIMEOUT",
            Self::MessageBusFailed => "MESSAGE_BUS_FAILED",
            Self::PeerConnectionDisconnected => "PEER_CONNECTION_DISCONNECTED",
            Self::DuplicateIdentity => "DUPLICATE_IDENTITY",
            Self::MigrationComplete => "MIGRATION_COMPLETE",
            Self::Stale => "STALE",
            Self::ServiceRequestRemoveParticipant => "SERVICE_REQUEST_REMOVE_PARTICIPANT",
            Self::ServiceRequestDeleteRoom => "SERVICE_REQUEST_DELETE_ROOM",
            Self::SimulateMigration => "SIMULATE_MIGRATION",
            Self::SimulateNodeFailure => "SIMULATE_NODE_FAILURE",
            Self::SimulateServerLeave => "SIMULATE_SERVER_LEAVE",
            Self::SimulateLeaveRequest => "SIMULATE_LEAVE_REQUEST",
            Self::NegotiateFailed => "NEGOTIATE_FAILED",
            Self::MigrationRequested => "MIGRATION_REQUESTED",
            Self::PublicationError => "PUBLICATION_ERROR",
            Self::SubscriptionError => "SUBSCRIPTION_ERROR",
            Self::DataChannelError => "DATA_CHANNEL_ERROR",
            Self::MigrateCodecMismatch => "MIGRATE_CODEC_MISMATCH",
            Self::SignalSourceClose => "SIGNAL_SOURCE_CLOSE",
            Self::RoomClosed => "ROOM_CLOSED",
            Self::UserUnavailable => "USER_UNAVAILABLE",
            Self::UserRejected => "USER_REJECTED",
            Self::MoveFailed => "MOVE_FAILED",
            Self::AgentError => "AGENT_ERROR",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which map from [`CloseReason`] to [`DisconnectReason`]. They differ in one row: a media path that was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Profile {
    /// A lost media path is [`DisconnectReason::StateMismatch`], as in LiveKit servers before 1.9.0 and in what was written
    /// about them.
    Article,
    /// A lost media path is [`DisconnectReason::ConnectionTimeout`], as in LiveKit servers since 1.9.0; `StateMismatch` then
    /// means that the two sides disagree, and nothing else.
    #[default]
    LiveKitHead,
}

/// What clients and other participants learn of an end. The numbers and names are those of LiveKit's protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DisconnectReason {
    /// No reason, or one that this side does not know.
    #[default]
    UnknownReason = 0,
    /// The client left.
    ClientInitiated = 1,
    /// Another session has taken the identity.
    DuplicateIdentity = 2,
    /// The server shuts down.
    ServerShutdown = 3,
    /// Removed by the service.
    ParticipantRemoved = 4,
    /// The room was deleted.
    RoomDeleted = 5,
    /// The two sides disagree about the session: the client resumes what the server does not know, or cannot go on.
    StateMismatch = 6,
    /// The client could not join.
    JoinFailure = 7,
    /// To another server.
    Migration = 8,
    /// The signaling channel closed before media connected.
    SignalClose = 9,
    /// The room was closed.
    RoomClosed = 10,
    /// The callee could not be reached.
    UserUnavailable = 11,
    /// The callee declined.
    UserRejected = 12,
    /// A SIP trunk failed.
    SipTrunkFailure = 13,
    /// The server heard nothing any more.
    ConnectionTimeout = 14,
    /// Media failed.
    MediaFailure = 15,
    /// An agent failed.
    AgentError = 16,
}

impl DisconnectReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 17] = [
        Self::UnknownReason,
        Self::ClientInitiated,
        Self::DuplicateIdentity,
        Self::ServerShutdown,
        Self::ParticipantRemoved,
        Self::RoomDeleted,
        Self::StateMismatch,
        Self::JoinFailure,
        Self::Migration,
        Self::SignalClose,
        Self::RoomClosed,
        Self::UserUnavailable,
        Self::UserRejected,
        Self::SipTrunkFailure,
        Self::ConnectionTimeout,
        Self::MediaFailure,
        Self::AgentError,
    ];

    /// Its number in the protocol.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The reason of this number; an unknown number is [`UnknownReason`](Self::UnknownReason).
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        let known = usize::try_from(number)
            .ok()
            .and_then(|at| Self::ALL.get(at));
        known.copied().unwrap_or_default()
    }

    /// Whether somebody wanted this end, so that a client does not come back by itself.
    #[must_use]
    pub fn is_intentional(self) -> bool {
        matches!(
            self,
            Self::ClientInitiated
                | Self::ServerShutdown
                | Self::DuplicateIdentity
                | Self::Migration
                | Self::ParticipantRemoved
                | Self::RoomDeleted
                | Self::RoomClosed
        )
    }

    /// Its name in the protocol: `STATE_MISMATCH`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownReason => "UNKNOWN_REASON",
            Self::ClientInitiated => "CLIENT_INITIATED",
            Self::DuplicateIdentity => "DUPLICATE_IDENTITY",
            Self::ServerShutdown => "SERVER_SHUTDOWN",
            Self::ParticipantRemoved => "PARTICIPANT_REMOVED",
            Self::RoomDeleted => "ROOM_DELETED",
            Self::StateMismatch => "STATE_MISMATCH",
            Self::JoinFailure => "JOIN_FAILURE",
            Self::Migration => "MIGRATION",
            Self::SignalClose => "SIGNAL_CLOSE",
            Self::RoomClosed => "ROOM_CLOSED",
            Self::UserUnavailable => "USER_UNAVAILABLE",
            Self::UserRejected => "USER_REJECTED",
            Self::SipTrunkFailure => "SIP_TRUNK_FAILURE",
            Self::ConnectionTimeout => "CONNECTION_TIMEOUT",
            Self::MediaFailure => "MEDIA_FAILURE",
            Self::AgentError => "AGENT_ERROR",
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// By name, and a name that is not known is [`DisconnectReason::UnknownReason`]: a newer peer's reasons do not make its messages
/// unreadable.
#[cfg(feature = "serde")]
mod by_name {
    use super::DisconnectReason;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::borrow::Cow;

    impl Serialize for DisconnectReason {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(self.as_str())
        }
    }

    impl<'de> Deserialize<'de> for DisconnectReason {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let name = Cow::<'de, str>::deserialize(deserializer)?;
            let known = Self::ALL.into_iter().find(|known| known.as_str() == name);
            Ok(known.unwrap_or_default())
        }
    }
}
