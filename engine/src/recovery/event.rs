//! What goes into a recovery, and what comes out of it.

use super::{Drift, State, Trigger, reduce};
use crate::{IceConnectionState, PeerConnectionState};
use std::{
    collections::VecDeque,
    fmt,
    mem::discriminant,
    time::{Duration, Instant},
};

/// Everything that can happen to a [`Recovery`](super::Recovery): its whole life is a list of these, each with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Input {
    /// This side's offer has left.
    OfferSent,
    /// The peer's offer has come.
    OfferReceived,
    /// The offer that [`Action::RestartIce`] asked for has left, perhaps long after: signaling may have been down.
    RestartOffered,
    /// The peer has restarted ICE; nothing is to be offered.
    PeerRestarted,
    /// The native connectionState is this now.
    ConnectionState(PeerConnectionState),
    /// The native iceConnectionState is this now: for native connections that report connectionState late or not at all.
    IceConnectionState(IceConnectionState),
    /// The page, or the machine, is back from the background, where networks go unnoticed.
    Resumed,
    /// This side's network is another, or has other ways out: a relay, for instance.
    NetworkChanged,
    /// The statistics that [`Action::PollStats`] asked for.
    Stats(StatsSample),
    /// The session is over.
    Close,
    /// A fresh connection takes the place of the closed one.
    Reopen,
    /// Time has passed, and nothing else.
    Timeout,
}

/// What the path is like at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StatsSample {
    /// Packets lost since the last sample, in 1/256 of those expected, as in RTCP receiver reports (RFC 3550 §6.4.1).
    pub fraction_lost: u8,
    /// The round-trip time, if there is one.
    pub rtt: Option<Duration>,
}

/// What the caller is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Make one offer that restarts ICE, and say [`Input::RestartOffered`] when it has left.
    RestartIce {
        /// What made it necessary. Never anything that happened to signaling.
        cause: Cause,
    },
    /// Take a [`StatsSample`] and give it in. Requests that nobody has taken become one.
    PollStats,
    /// Restarts did not help. Try other ways out ([`Input::NetworkChanged`]), or close; a fresh connection can follow
    /// ([`Input::Reopen`]).
    Escalate,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The state changed.
    Transition(Transition),
    /// A trigger had no effect in this state. For debugging.
    Ignored {
        /// The state, before and after.
        state: State,
        /// The trigger.
        trigger: Trigger,
        /// When.
        at: Instant,
    },
    /// The native connection is not what it should be. Once for as long as the two stay as they are.
    Drift(Drift),
    /// A sample of the path.
    Stats {
        /// The state in which it was taken.
        state: State,
        /// The sample.
        sample: StatsSample,
        /// When.
        at: Instant,
    },
}

/// One change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// What moved it.
    pub trigger: Trigger,
    /// Where that came from.
    pub cause: Cause,
    /// When: the time of the input, or the moment at which a timer was due, however late the caller came.
    pub at: Instant,
    /// Several changes in one, because nobody polled for so long that the queue was full.
    pub coalesced: bool,
}

impl Event {
    /// When it happened: earlier than it was polled, if a timer was due before the caller came.
    #[must_use]
    pub fn at(&self) -> Instant {
        match self {
            Self::Transition(transition) => transition.at,
            Self::Drift(drift) => drift.at,
            Self::Ignored { at, .. } | Self::Stats { at, .. } => *at,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transition(transition) => transition.fmt(f),
            Self::Ignored { state, trigger, .. } => write!(f, "ignored {trigger} in {state}"),
            Self::Drift(drift) => drift.fmt(f),
            Self::Stats { state, sample, .. } => write!(f, "{sample} while {state}"),
        }
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            from,
            to,
            trigger,
            cause,
            ..
        } = self;
        write!(f, "{from} → {to}: {trigger}, {cause}")
    }
}

impl fmt::Display for StatsSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = f64::from(self.fraction_lost) / 2.56;
        write!(f, "{lost:.1} % lost")?;
        match self.rtt {
            Some(rtt) => write!(f, ", round trip {:.1} ms", rtt.as_secs_f64() * 1000.0),
            None => Ok(()),
        }
    }
}

impl Transition {
    /// Whether it is an edge of the table. Closing in a state in which the table ignores CLOSE is not.
    #[must_use]
    pub fn is_edge(&self) -> bool {
        reduce(self.from, self.trigger) == self.to
    }
}

/// Where a trigger came from. Displays as a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Cause {
    /// This side offered.
    OfferSent,
    /// The peer offered.
    OfferReceived,
    /// The native connection is connected.
    NativeConnected,
    /// The native connection is disconnected. It moves only states in which that means nothing.
    NativeDisconnected,
    /// The native connection failed.
    NativeFailed,
    /// The native connection was closed.
    NativeClosed,
    /// The native connection was disconnected for the whole grace time.
    GracePassed,
    /// The path has not come back within the restart window.
    WindowPassed,
    /// No path was found within the connect timeout.
    ConnectTimedOut,
    /// The page came back from the background.
    Resumed,
    /// The network changed.
    NetworkChanged,
    /// The peer restarted ICE.
    PeerRestarted,
    /// The caller closed the session.
    Closed,
}

impl Cause {
    /// What a native state is the cause of, if it is of anything.
    pub(super) const fn of(native: PeerConnectionState) -> Option<Self> {
        match native {
            PeerConnectionState::Connected => Some(Self::NativeConnected),
            PeerConnectionState::Disconnected => Some(Self::NativeDisconnected),
            PeerConnectionState::Failed => Some(Self::NativeFailed),
            PeerConnectionState::Closed => Some(Self::NativeClosed),
            PeerConnectionState::New | PeerConnectionState::Connecting => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OfferSent => "an offer was sent",
            Self::OfferReceived => "an offer was received",
            Self::NativeConnected => "the connection is connected",
            Self::NativeDisconnected => "the connection is disconnected",
            Self::NativeFailed => "the connection failed",
            Self::NativeClosed => "the connection was closed",
            Self::GracePassed => "the path was lost for longer than a blip lasts",
            Self::WindowPassed => "the path has not come back in time",
            Self::ConnectTimedOut => "no path was found in time",
            Self::Resumed => "the page came back from the background",
            Self::NetworkChanged => "the network changed",
            Self::PeerRestarted => "the peer restarted ICE",
            Self::Closed => "the session was closed",
        })
    }
}

/// As many events wait as they come; beyond this many, an event takes the place of the last one of its kind.
const FULL: usize = 64;

/// The events not yet polled, oldest first: a pointer when there are none. Its length is bounded by [`FULL`] plus one of
/// each kind.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::box_collection,
    reason = "nearly always empty, and then to be eight bytes instead of thirty-two"
)]
pub(super) struct Queue(Option<Box<VecDeque<Event>>>);

impl Queue {
    pub(super) fn push(&mut self, event: Event) {
        let queue = self.0.get_or_insert_default();
        let full = queue.len() >= FULL;
        let same_kind = |waiting: &&mut Event| discriminant(*waiting) == discriminant(&event);
        match queue.iter_mut().rev().filter(|_| full).find(same_kind) {
            Some(waiting) => *waiting = coalesce(*waiting, event),
            None => queue.push_back(event),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let queue = self.0.as_mut()?;
        let event = queue.pop_front();
        if queue.is_empty() {
            self.0 = None;
        }
        event
    }
}

/// Two changes of state become one that begins where the first began; of the rest the later one stays.
fn coalesce(earlier: Event, later: Event) -> Event {
    match (earlier, later) {
        (Event::Transition(earlier), Event::Transition(later)) => Event::Transition(Transition {
            from: earlier.from,
            coalesced: true,
            ..later
        }),
        (_, later) => later,
    }
}
