//! What comes out of a session beside envelopes.

use super::Input;
use crate::{
    PeerEvent,
    close::{self, CloseReason, DisconnectReason, LeaveAction},
    journal::{Alarm, Change, Journal, Record},
    liveness, recovery,
    signaling::{self, link, negotiation},
};
use std::{collections::VecDeque, time::Instant};

/// What the caller is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Make or apply a description, or add a candidate; then [`Session::complete`](super::Session::complete).
    Signaling(signaling::Action),
    /// Open a channel, then [`Session::channel_opened`](super::Session::channel_opened), or
    /// [`Session::channel_closed`](super::Session::channel_closed).
    OpenChannel {
        /// Which attempt since the loss it is, from 1. 0: the first dial.
        attempt: u8,
    },
    /// Close the channel in use, after what [`Session::poll_transmit`](super::Session::poll_transmit) still has for it.
    CloseChannel,
    /// Take a sample of the path, and [`Session::handle_stats`](super::Session::handle_stats).
    PollStats,
    /// What this session can do by itself did not help: other ways out are needed, or another session.
    Escalate(Escalation),
    /// The session is over: close its transports.
    CloseTransports,
}

/// What did not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Escalation {
    /// The channel could not be opened again; by configuration, a relay or the end is what is left.
    Channel(link::Escalation),
    /// ICE restarts led to no path.
    Media,
    /// Negotiating with this peer leads nowhere.
    Negotiation,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A transport or an aggregate changed.
    Peer(PeerEvent),
    /// Signaling state, or what the negotiation is about.
    Negotiation(negotiation::Event),
    /// The channel.
    Link(link::Event),
    /// The recovery.
    Recovery(recovery::Event),
    /// The media path went silent.
    Liveness(liveness::Event),
    /// A state has lasted too long. Only with a [journal](super::Config::journal).
    Alert(Alarm),
    /// The session is over. Once, and the last.
    Ended(Ended),
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Ended {
    /// Why, in public.
    pub disconnect_reason: DisconnectReason,
    /// Why, for the log of the side that decided it. `None`: the other side decided.
    pub close_reason: Option<CloseReason>,
    /// What to do now, if the other side said so: nothing, or begin anew.
    pub advice: LeaveAction,
    /// When.
    pub at: Instant,
}

impl Ended {
    pub(super) fn of(ended: close::Ended) -> Self {
        Self {
            disconnect_reason: ended.disconnect_reason,
            close_reason: Some(ended.close_reason),
            advice: LeaveAction::Disconnect,
            at: ended.at,
        }
    }
}

impl Event {
    /// Writes down what changed, when it changed.
    pub(super) fn record(&self, now: Instant, journal: &mut Journal<Input>) {
        match self {
            Self::Peer(event) => {
                if let Some(record) = Record::of_peer(event) {
                    journal.record(now, record);
                }
            }
            Self::Recovery(event) => journal.record(event.at(), *event),
            Self::Link(link::Event::StateChange(change)) => {
                journal.record(change.at, Change::from(*change));
            }
            Self::Negotiation(negotiation::Event::PhaseChange(change)) => {
                journal.record(change.at, Change::from(*change));
            }
            Self::Negotiation(negotiation::Event::Signaling(
                signaling::Event::SignalingStateChange(change),
            )) => journal.record(change.at, Change::from(*change)),
            Self::Ended(ended) => journal.record(
                ended.at,
                Record::Ended {
                    close_reason: ended.close_reason,
                    disconnect_reason: ended.disconnect_reason,
                },
            ),
            _ => {}
        }
    }
}

/// What waits to be polled; there is none while a session rests.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) actions: VecDeque<Action>,
    pub(super) events: VecDeque<Event>,
}

/// The most events that wait; the oldest give way.
const MOST_EVENTS: usize = 1024;

impl Outbox {
    pub(super) fn tell(&mut self, event: Event) {
        if self.events.len() >= MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.events.is_empty()
    }
}
