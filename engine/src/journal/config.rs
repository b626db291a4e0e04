//! What a journal keeps, and how long is too long.

use std::time::Duration;
use thiserror::Error;

/// Choices for [`Journal`](super::Journal). One serves all the sessions of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What is kept. Default: [`Detail::Changes`].
    pub detail: Detail,
    /// The most entries kept; the oldest give way and are counted. At least 1. Default: 1024.
    pub capacity: usize,
    /// How long recovery may be connecting without an alert. More than 0. Default: 5 s.
    pub connecting: Duration,
    /// How long recovery, or the native connection, may be disconnected without an alert. More than 0. Default: 10 s.
    pub disconnected: Duration,
}

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Detail {
    /// What changed, alerts, drift and statistics.
    #[default]
    Changes,
    /// Also every input and every ignored trigger: enough to replay the session.
    Debug,
}

/// A configuration that no journal can work with.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// [`Config::capacity`] is zero.
    #[error("the journal keeps no entry at all")]
    Capacity,
    /// [`Config::connecting`] is zero.
    #[error("the time to connect without an alert is zero")]
    Connecting,
    /// [`Config::disconnected`] is zero.
    #[error("the time to be disconnected without an alert is zero")]
    Disconnected,
}

impl Config {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.capacity == 0 {
            return Err(ConfigError::Capacity);
        }
        if self.connecting.is_zero() {
            return Err(ConfigError::Connecting);
        }
        if self.disconnected.is_zero() {
            return Err(ConfigError::Disconnected);
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            detail: Detail::Changes,
            capacity: 1024,
            connecting: Duration::from_secs(5),
            disconnected: Duration::from_secs(10),
        }
    }
}
