//! What can happen to a session.

use super::Envelope;
use crate::{
    TransportId, TransportInput, TransportStates,
    close::CloseReason,
    recovery::StatsSample,
    signaling::{CandidateInit, Completed, Failure, OperationId},
};
use std::time::Duration;

/// Everything that can happen to a [`Session`](super::Session): its whole life is a list of these, each with its time.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Input {
    /// The call has a transport more, in these states.
    AddTransport(TransportId, TransportStates),
    /// The call has a transport less.
    RemoveTransport(TransportId),
    /// An endpoint told this of a transport.
    Transport(TransportId, TransportInput),
    /// The peer proved so long ago that it is there: an authenticated STUN message, an answered consent check.
    KeepAlive(Duration),

    /// Dialing side: a channel is open.
    ChannelOpened,
    /// The channel is gone, or could not be opened.
    ChannelClosed,
    /// Dialing side: the channel is to be opened now, whatever the back-off says.
    Reconnect,
    /// An envelope came.
    Envelope(Envelope),

    /// Something changed that the peer has to agree to.
    NegotiationNeeded,
    /// The peer has agreed to it on its own, or it was taken back.
    NegotiationSatisfied,
    /// New ICE credentials are wanted.
    RestartIce,
    /// A local candidate was found.
    LocalCandidate(CandidateInit),
    /// What an [`Action::Signaling`](super::Action::Signaling) asked for is done, or could not be.
    Completed(OperationId, Result<Completed, Failure>),

    /// The page, or the machine, is back from the background.
    Resumed,
    /// This side's network is another.
    NetworkChanged,
    /// What an [`Action::PollStats`](super::Action::PollStats) asked for.
    Stats(StatsSample),

    /// This side ends the session. A dialing side leaves, whatever the reason.
    Close(CloseReason),
    /// Time has passed, and nothing else.
    Timeout,
}
