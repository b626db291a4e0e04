//! The times and bounds of recovery, with the defaults.

use std::{ops::RangeInclusive, time::Duration};
use thiserror::Error;

/// How patient a [`Recovery`](super::Recovery) is, and how often it tries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How long the native connection must be `disconnected` before it is a flap; shorter blips leave no trace. 2 to 3 s.
    /// Default: 2.5 s.
    pub grace: Duration,
    /// How long a flap may last before the path is given up and ICE restarts. More than 0 and less than 10 s. Default: 5 s.
    pub restart_window: Duration,
    /// How long a path is sought before that counts as a failure. More than 0. Default: 15 s.
    pub connect_timeout: Duration,
    /// How long, on top of [`connect_timeout`](Self::connect_timeout), the offer of a restart may take to leave: signaling
    /// may be down. Default: 60 s, longer than six attempts of signaling to come back take.
    pub offer_wait: Duration,
    /// How often statistics are asked for while there is no path. More than 0. Default: 1 s.
    pub stats_interval: Duration,
    /// Who restarts ICE. Default: [`Restarts::Automatic`].
    pub restarts: Restarts,
    /// The most automatic restarts without ever being connected in between. Then
    /// [`Action::Escalate`](super::Action::Escalate). At least 1. Default: 3.
    pub max_restarts: u8,
    /// How long a lost path is no error to the user; see [`Presentation`](super::Presentation). Default: 10 s.
    pub error_after: Duration,
}

/// Who restarts ICE when a path is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restarts {
    /// This side, at once.
    #[default]
    Automatic,
    /// Somebody else: the peer, or the user. For a side that cannot offer.
    Elsewhere,
}

/// A configuration that no recovery can work with.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// [`Config::grace`] is out of its range.
    #[error("the grace time is not between 2 and 3 seconds")]
    Grace,
    /// [`Config::restart_window`] is out of its range.
    #[error("the restart window is zero, or not under 10 seconds")]
    RestartWindow,
    /// [`Config::connect_timeout`] is zero.
    #[error("the connect timeout is zero")]
    ConnectTimeout,
    /// [`Config::stats_interval`] is zero.
    #[error("the statistics interval is zero")]
    StatsInterval,
    /// [`Config::max_restarts`] is zero.
    #[error("not a single restart is allowed")]
    MaxRestarts,
}

impl Config {
    /// What [`grace`](Self::grace) may be.
    pub const GRACE: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(3);
    /// What [`restart_window`](Self::restart_window) must be less than.
    pub const RESTART_WINDOW_LIMIT: Duration = Duration::from_secs(10);

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let window = Duration::from_nanos(1)..Self::RESTART_WINDOW_LIMIT;
        let rules = [
            (Self::GRACE.contains(&self.grace), ConfigError::Grace),
            (
                window.contains(&self.restart_window),
                ConfigError::RestartWindow,
            ),
            (!self.connect_timeout.is_zero(), ConfigError::ConnectTimeout),
            (!self.stats_interval.is_zero(), ConfigError::StatsInterval),
            (self.max_restarts > 0, ConfigError::MaxRestarts),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            grace: Duration::from_millis(2500),
            restart_window: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(15),
            offer_wait: Duration::from_secs(60),
            stats_interval: Duration::from_secs(1),
            restarts: Restarts::Automatic,
            max_restarts: 3,
            error_after: Duration::from_secs(10),
        }
    }
}
