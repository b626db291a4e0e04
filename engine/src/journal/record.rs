//! What one entry says.

use super::{Alarm, Change, CorrelationId, Seconds};
use crate::{
    Anomaly, PeerConnectionState, PeerEvent, TransportId,
    close::{CloseReason, DisconnectReason},
    recovery::{self, Drift, State, StatsSample, Trigger},
};
use std::{fmt, time::Duration};

/// One line of a journal. Displays as one, without the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<I> {
    /// Whose.
    pub session: CorrelationId,
    /// Which, from 0.
    pub number: u64,
    /// When, since the journal began.
    pub at: Duration,
    /// What.
    pub record: Record<I>,
}

/// What happened. The kinds are those of the [module](super)'s table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "kind", rename_all = "kebab-case"))]
pub enum Record<I = ()> {
    /// A machine changed state.
    Transition(Change),
    /// A transport was said to have changed as none can, and has not.
    Refused {
        /// Which.
        transport: TransportId,
        /// How.
        anomaly: Anomaly,
    },
    /// A state has lasted too long.
    Alert {
        /// Which.
        alarm: Alarm,
        /// Longer than this.
        after: Duration,
    },
    /// Recovery and the native connection disagree.
    Drift {
        /// What recovery believes.
        fsm: State,
        /// What the native connection is.
        native: PeerConnectionState,
    },
    /// A sample of the path.
    Stats {
        /// What recovery's state was.
        state: State,
        /// The sample.
        sample: StatsSample,
    },
    /// A trigger that recovery's table ignores.
    Ignored {
        /// In this state.
        state: State,
        /// The trigger.
        action: Trigger,
    },
    /// The session is over.
    Ended {
        /// Why, for the log: `None` if the other side decided it.
        close_reason: Option<CloseReason>,
        /// Why, in public.
        disconnect_reason: DisconnectReason,
    },
    /// What was given to the machine.
    Input {
        /// It.
        input: I,
    },
}

impl<I> Record<I> {
    /// What is to be recorded of an aggregate's or a transport's event: its change of state, or that it was refused.
    #[must_use]
    pub fn of_peer(event: &PeerEvent) -> Option<Self> {
        match *event {
            PeerEvent::Refused(transport, anomaly) => Some(Self::Refused { transport, anomaly }),
            _ => Change::of_peer(event).map(Self::Transition),
        }
    }

    /// The same, with something else for the input.
    pub(super) fn map<'r, J>(&'r self, input_of: impl FnOnce(&'r I) -> J) -> Record<J> {
        match *self {
            Self::Input { ref input } => Record::Input {
                input: input_of(input),
            },
            Self::Transition(change) => Record::Transition(change),
            Self::Refused { transport, anomaly } => Record::Refused { transport, anomaly },
            Self::Alert { alarm, after } => Record::Alert { alarm, after },
            Self::Drift { fsm, native } => Record::Drift { fsm, native },
            Self::Stats { state, sample } => Record::Stats { state, sample },
            Self::Ignored { state, action } => Record::Ignored { state, action },
            Self::Ended {
                close_reason,
                disconnect_reason,
            } => Record::Ended {
                close_reason,
                disconnect_reason,
            },
        }
    }
}

impl<I: Clone> Entry<&I> {
    pub(super) fn cloned(self) -> Entry<I> {
        Entry {
            session: self.session,
            number: self.number,
            at: self.at,
            record: self.record.map(|input| I::clone(input)),
        }
    }
}

impl<I> From<Change> for Record<I> {
    fn from(change: Change) -> Self {
        Self::Transition(change)
    }
}

impl<I> From<recovery::Event> for Record<I> {
    fn from(event: recovery::Event) -> Self {
        match event {
            recovery::Event::Transition(transition) => Self::Transition(transition.into()),
            recovery::Event::Ignored { state, trigger, .. } => Self::Ignored {
                state,
                action: trigger,
            },
            recovery::Event::Drift(Drift { fsm, native, .. }) => Self::Drift { fsm, native },
            recovery::Event::Stats { state, sample, .. } => Self::Stats { state, sample },
        }
    }
}

impl<I> fmt::Display for Entry<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Seconds(self.at), self.record)
    }
}

impl<I> fmt::Display for Record<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transition(change) => change.fmt(f),
            Self::Refused { transport, anomaly } => {
                write!(f, "refused of transport {transport}: {anomaly}")
            }
            Self::Alert { alarm, after } => {
                write!(f, "alert: {alarm} for more than {} s", Seconds(*after))
            }
            Self::Drift { fsm, native } => write!(f, "drift: fsm={fsm} native={native}"),
            Self::Stats { state, sample } => write!(f, "stats while {state}: {sample}"),
            Self::Ignored { state, action } => write!(f, "ignored {action} in {state}"),
            Self::Ended {
                close_reason: Some(reason),
                disconnect_reason,
            } => write!(f, "ended: {disconnect_reason}, {reason}"),
            Self::Ended {
                close_reason: None,
                disconnect_reason,
            } => write!(f, "ended: {disconnect_reason}"),
            Self::Input { .. } => f.write_str("input"),
        }
    }
}
