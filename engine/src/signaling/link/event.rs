//! What comes out of a [`Link`](super::Link) beside envelopes and messages.

use super::{Envelope, Escalation};
use crate::close::Leave;
use std::{fmt, time::Instant};
use thiserror::Error;

/// The state of a signaling session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LinkState {
    /// There is no channel. The dialing side waits for its back-off, the accepting side for a greeting.
    Down,
    /// Dialing side: a channel is being opened.
    Connecting,
    /// Dialing side: the channel is open, the greeting not answered.
    Greeting,
    /// Messages flow.
    Up,
    /// Dialing side: another channel has taken the place of one on which messages flowed; the greeting is not answered.
    Swapping,
    /// Dialing side: all attempts have failed. Only [`reconnect`](super::Link::reconnect) goes on from here.
    Exhausted,
    /// The session is over.
    Closed,
}

impl LinkState {
    /// Whether messages flow. A swap does not take signaling down.
    #[must_use]
    pub fn is_up(self) -> bool {
        matches!(self, Self::Up | Self::Swapping)
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Down => "down",
            Self::Connecting => "connecting",
            Self::Greeting => "greeting",
            Self::Up => "up",
            Self::Swapping => "swapping",
            Self::Exhausted => "exhausted",
            Self::Closed => "closed",
        })
    }
}

/// What changed the state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Cause {
    /// The caller opened a channel.
    ChannelOpened,
    /// The caller says that the channel is gone.
    ChannelClosed,
    /// The back-off is over.
    BackOffOver,
    /// The caller wants to try again now.
    Reconnect,
    /// The accepting side has answered the greeting.
    Welcome,
    /// The dialing side has greeted.
    Greeting,
    /// The channel did not open, a greeting was not answered, or a message not acknowledged in time.
    NoResponse,
    /// The other side left, or told this one to come back.
    RemoteLeave,
    /// This side told the other to come back.
    LocalLeave,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ChannelOpened => "channel-opened",
            Self::ChannelClosed => "channel-closed",
            Self::BackOffOver => "back-off-over",
            Self::Reconnect => "reconnect",
            Self::Welcome => "welcome",
            Self::Greeting => "greeting",
            Self::NoResponse => "no-response",
            Self::RemoteLeave => "remote-leave",
            Self::LocalLeave => "local-leave",
        })
    }
}

/// The record of a change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Transition {
    /// What it was.
    pub from: LinkState,
    /// What it is.
    pub to: LinkState,
    /// Why; of several in one, the last.
    pub cause: Cause,
    /// When.
    pub at: Instant,
    /// Several changes in one, because nobody polled for so long that the queue was full.
    pub coalesced: bool,
}

impl Transition {
    /// [`Event::SignalingUp`] or [`Event::SignalingDown`], if it was either.
    pub(super) fn signaling(&self) -> Option<Event> {
        match (self.from.is_up(), self.to.is_up()) {
            (false, true) => Some(Event::SignalingUp),
            (true, false) => Some(Event::SignalingDown),
            _ => None,
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The state changed. Transitions chain.
    StateChange(Transition),
    /// Messages flow; after the change of state that made it so. It says nothing about media.
    SignalingUp,
    /// Messages wait; after the change of state that made it so. It says nothing about media.
    SignalingDown,
    /// The other side left, or told this one to come back ([`LeaveAction::Resume`](crate::close::LeaveAction)): the session is
    /// over but for the latter.
    Leave(Leave),
}

/// What the caller is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Action {
    /// Close the channel in use, after what [`poll_transmit`](super::Link::poll_transmit) still has for it. There is nothing to
    /// report about it any more.
    CloseChannel,
    /// Open a channel, then say [`handle_channel_opened`](super::Link::handle_channel_opened), or
    /// [`handle_channel_closed`](super::Link::handle_channel_closed) if it cannot be.
    OpenChannel {
        /// Which attempt since the loss it is, from 1. 0: the session's first dial, or one the caller asked for.
        attempt: u8,
    },
    /// All attempts have failed; there are no more.
    Escalate(Escalation),
}

/// What became of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a refusal is the caller's to send"]
pub enum Outcome<M> {
    /// The session took it.
    Handled,
    /// It had no effect but for being counted, and a repeated message for being acknowledged again.
    Dropped(DropReason),
    /// It greets a session that is over, or that nobody knows: send this back the way it came.
    Refused(Envelope<M>),
}

/// Why an envelope had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// It is of another session.
    WrongSession,
    /// It acknowledges what was never sent.
    UnknownAck,
    /// The message is too far ahead of what was polled.
    TooFarAhead,
    /// The message has come before.
    Duplicate,
    /// It greets, or answers a greeting, on a channel that another has replaced: close that channel.
    OldChannel,
    /// Nothing that the other side of this session could say now.
    Unexpected,
    /// The session is over.
    Closed,
}

/// The envelopes that had no effect. Cumulative, never reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Drops {
    /// [`DropReason::WrongSession`].
    pub wrong_session: u64,
    /// [`DropReason::UnknownAck`].
    pub unknown_ack: u64,
    /// [`DropReason::TooFarAhead`].
    pub too_far_ahead: u64,
    /// [`DropReason::Duplicate`].
    pub duplicate: u64,
    /// [`DropReason::OldChannel`].
    pub old_channel: u64,
    /// [`DropReason::Unexpected`].
    pub unexpected: u64,
    /// [`DropReason::Closed`], and refusals.
    pub closed: u64,
}

impl Drops {
    pub(super) fn count(&mut self, reason: DropReason) {
        let counter = match reason {
            DropReason::WrongSession => &mut self.wrong_session,
            DropReason::UnknownAck => &mut self.unknown_ack,
            DropReason::TooFarAhead => &mut self.too_far_ahead,
            DropReason::Duplicate => &mut self.duplicate,
            DropReason::OldChannel => &mut self.old_channel,
            DropReason::Unexpected => &mut self.unexpected,
            DropReason::Closed => &mut self.closed,
        };
        *counter = counter.saturating_add(1);
    }
}

/// A message that was not taken; it is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError<M> {
    /// As many messages wait as may ([`Config::max_unacknowledged`](super::Config::max_unacknowledged)): signaling has been down
    /// for long, or the other side does not keep up.
    #[error("as many messages wait as may")]
    Full(M),
    /// The session is over.
    #[error("the session is over")]
    Closed(M),
    /// The numbers of the session are used up.
    #[error("the session has sent as many messages as it has numbers for")]
    Exhausted(M),
}

impl<M> SendError<M> {
    /// The message.
    pub fn into_message(self) -> M {
        let (Self::Full(message) | Self::Closed(message) | Self::Exhausted(message)) = self;
        message
    }
}
