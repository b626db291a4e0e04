//! Alerts: states that may not last.

use super::{Change, Config};
use crate::{PeerConnectionState, clock::Time, recovery::State};
use std::{fmt, time::Duration};

/// A state that has lasted longer than it may. Once for each time that it is entered; never at exactly the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Alarm {
    /// Recovery is connecting.
    Connecting,
    /// Recovery is disconnected.
    Disconnected,
    /// connectionState is disconnected.
    ConnectionDisconnected,
}

impl Alarm {
    /// Whether a change leads into the state that is watched, out of it, or has nothing to do with it.
    fn concerns(self, change: &Change) -> Option<Edge> {
        let (into, out) = match (self, change) {
            (Self::Connecting, Change::Recovery { from, to, .. }) => {
                (*to == State::Connecting, *from == State::Connecting)
            }
            (Self::Disconnected, Change::Recovery { from, to, .. }) => {
                (*to == State::Disconnected, *from == State::Disconnected)
            }
            (Self::ConnectionDisconnected, Change::Connection { from, to, .. }) => {
                let disconnected = PeerConnectionState::Disconnected;
                (*to == disconnected, *from == disconnected)
            }
            _ => return None,
        };
        match (into, out) {
            (true, _) => Some(Edge::Into),
            (false, true) => Some(Edge::OutOf),
            (false, false) => None,
        }
    }
}

enum Edge {
    Into,
    OutOf,
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Connecting => "recovery is connecting",
            Self::Disconnected => "recovery is disconnected",
            Self::ConnectionDisconnected => "the connection is disconnected",
        })
    }
}

/// The three watches.
#[derive(Clone, Debug)]
pub(super) struct Watches([Watch; 3]);

#[derive(Clone, Debug)]
struct Watch {
    alarm: Alarm,
    after: Duration,
    /// When the state was entered, as long as it lasts and there was no alert.
    since: Option<Time>,
    /// When it had lasted too long, if that is not recorded yet.
    raised: Option<Time>,
    /// And if nobody has polled it yet.
    waiting: bool,
}

impl Watches {
    pub(super) fn new(config: &Config) -> Self {
        let watch = |alarm, after| Watch {
            alarm,
            after,
            since: None,
            raised: None,
            waiting: false,
        };
        Self([
            watch(Alarm::Connecting, config.connecting),
            watch(Alarm::Disconnected, config.disconnected),
            watch(Alarm::ConnectionDisconnected, config.disconnected),
        ])
    }

    /// A change that happened at `at`: what it ends may have lasted too long already.
    pub(super) fn heed(&mut self, at: Time, change: &Change) {
        for watch in &mut self.0 {
            if let Some(edge) = watch.alarm.concerns(change) {
                watch.look(at);
                watch.since = match edge {
                    Edge::Into => Some(at),
                    Edge::OutOf => None,
                };
            }
        }
    }

    /// What lasts until `now`, at least.
    pub(super) fn look(&mut self, now: Time) {
        self.0.iter_mut().for_each(|watch| watch.look(now));
    }

    /// The first that has lasted too long and is not recorded: since when.
    pub(super) fn raised(&mut self) -> Option<(Time, Alarm)> {
        let watches = self.0.iter_mut();
        let first = watches
            .filter(|watch| watch.raised.is_some())
            .min_by_key(|watch| watch.raised)?;
        Some((first.raised.take()?, first.alarm))
    }

    pub(super) fn after(&self, alarm: Alarm) -> Duration {
        let watch = self.0.iter().find(|watch| watch.alarm == alarm);
        watch.map_or(Duration::ZERO, |watch| watch.after)
    }

    pub(super) fn poll(&mut self) -> Option<Alarm> {
        let watch = self.0.iter_mut().find(|watch| watch.waiting)?;
        watch.waiting = false;
        Some(watch.alarm)
    }

    pub(super) fn due(&self) -> Option<Time> {
        self.0.iter().filter_map(Watch::due).min()
    }
}

impl Watch {
    /// One nanosecond later than is allowed.
    fn due(&self) -> Option<Time> {
        let last = self.since?.after(self.after);
        Some(last.after(Duration::from_nanos(1)))
    }

    fn look(&mut self, now: Time) {
        if let Some(due) = self.due().filter(|due| *due <= now) {
            self.since = None;
            self.raised = Some(due);
            self.waiting = true;
        }
    }
}
