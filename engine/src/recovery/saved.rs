//! A recovery that goes on elsewhere: on another node, after a restart of this one.

use super::{
    Config, ConfigError, Recovery, State,
    event::Queue,
    machine::{Phase, Wanted},
    translator::Native,
};
use crate::{Life, PeerConnectionState, clock::Clock};
use serde::{Deserialize, Serialize};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use thiserror::Error;

/// All of a [`Recovery`] but its configuration and the events that nobody has polled. Durations instead of moments, so that it
/// means the same under another clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedRecovery {
    state: State,
    closed: bool,
    phase: Phase,
    reported: Option<PeerConnectionState>,
    native: PeerConnectionState,
    restarted_from: Option<PeerConnectionState>,
    warned: Option<(State, PeerConnectionState)>,
    restarts: u8,
    wanted: Wanted,
    down_for: Option<Duration>,
    due_in: Option<Duration>,
    stats_in: Option<Duration>,
}

/// Why a saved recovery cannot go on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It would wait for ever in a state that does not last: no [`Recovery`] was ever like this.
    #[error("the saved state has no way out")]
    Stranded,
}

impl Recovery {
    /// What has to be known to go on from here. Poll the events first: they are not saved. What is due by `now` and not yet done
    /// is due at once after [`restore`](Self::restore).
    #[must_use]
    pub fn save(&self, now: Instant) -> SavedRecovery {
        let now = self.clock.peek(now);
        SavedRecovery {
            state: self.state,
            closed: self.life == Life::Closed,
            phase: self.phase,
            reported: self.native.reported,
            native: self.native.state,
            restarted_from: self.restarted_from,
            warned: self.warned,
            restarts: self.restarts,
            wanted: self.wanted,
            down_for: self.down.map(|since| now.since(since)),
            due_in: self.deadline.map(|due| due.since(now)),
            stats_in: self.stats.map(|due| due.since(now)),
        }
    }

    /// Goes on, from `now`, where the saved one was.
    ///
    /// # Errors
    /// If a value of `config` is out of its range, or the saved state was made up.
    pub fn restore(
        now: Instant,
        saved: SavedRecovery,
        config: Arc<Config>,
    ) -> Result<Self, RestoreError> {
        config.validate()?;
        let passing = matches!(saved.state, State::Connecting | State::Disconnected);
        if passing && saved.due_in.is_none() {
            return Err(RestoreError::Stranded);
        }
        let elapsed = saved.down_for.unwrap_or_default();
        let mut clock = Clock::running(now, elapsed);
        let now = clock.see(now);
        Ok(Self {
            config,
            clock,
            deadline: saved.due_in.map(|due| now.after(due)),
            stats: saved.stats_in.map(|due| now.after(due)),
            down: saved.down_for.map(|elapsed| now.before(elapsed)),
            events: Queue::default(),
            life: if saved.closed {
                Life::Closed
            } else {
                Life::Open
            },
            state: saved.state,
            phase: saved.phase,
            native: Native {
                reported: saved.reported,
                state: saved.native,
            },
            restarted_from: saved.restarted_from,
            warned: saved.warned,
            restarts: saved.restarts,
            wanted: saved.wanted,
        })
    }
}
