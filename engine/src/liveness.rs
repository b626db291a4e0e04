//! Whether the media path is alive: a monitor for the server, and an earlier one for the client.
//!
//! ```text
//!             first keep-alive            timeout without one
//!   Unproven ───────────────────► Alive ───────────────────────► Silent ── server: for good
//!                                  │ ▲ ▲                           │
//!            each keep-alive,      └─┘ └──── client: keep-alive, ──┘
//!            a resume                        a resume                   any ── close ──► Closed
//! ```
//!
//! | side | timeout | at its end |
//! |---|---|---|
//! | server | 20 s | [`Event::MediaPathDead`]: the session ends ([`close`](crate::close)) |
//! | client | 15 s | [`Event::MediaPathLost`], and by policy [`Action::RequestReconnect`] |
//!
//! The client is the first to notice, and the time between the two is what lets its resume come before the server gives it up;
//! the constructors refuse a configuration without that gap.
//!
//! Only what proves the media path counts: an authenticated STUN message or an answered consent check (RFC 7675), never a message
//! of the signaling channel, which may be up while the media path is gone, or the reverse. A transport knows the age of its
//! last proof, so nothing has to be done per datagram:
//!
//! ```
//! use floe::{Transport, liveness::Monitor};
//! use std::time::Instant;
//!
//! fn look(now: Instant, transport: &Transport, monitor: &mut Monitor) {
//!     if let Some(proof) = transport.ice().consent_age(now).and_then(|age| now.checked_sub(age)) {
//!         monitor.handle_keep_alive(proof);
//!     }
//!     monitor.handle_timeout(now);
//! }
//! ```
//!
//! Silence that lasted to the deadline is found whether or not anybody polled in between: a keep-alive that comes later does not
//! undo it. A monitor watches one path; a session with several transports feeds the proofs of all of them to one monitor, or
//! has one for each.

use std::time::{Duration, Instant};
use thiserror::Error;

/// How long silence is borne, and what the client does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How long the server hears nothing before it ends the session. Default: 20 s. Longer than
    /// [`client_timeout`](Self::client_timeout), at most 24 h, in whole milliseconds.
    pub server_timeout: Duration,
    /// How long the client hears nothing before it takes the path for lost. Default: 15 s. At least 1 ms, in whole milliseconds.
    pub client_timeout: Duration,
    /// Whether the client then asks for a reconnect. Default: it does.
    pub reconnect: Reconnect,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server_timeout: Duration::from_secs(20),
            client_timeout: Duration::from_secs(15),
            reconnect: Reconnect::Request,
        }
    }
}

/// What a client does whose media path is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Reconnect {
    /// [`Action::RequestReconnect`], once for each loss.
    #[default]
    Request,
    /// Nothing: the caller hears of the loss and decides.
    Never,
}

/// A configuration that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The client would notice no earlier than the server: no resume could come in time.
    #[error("the client's timeout is not shorter than the server's")]
    NoGap,
    /// A timeout is zero, longer than 24 h, or has fractions of a millisecond.
    #[error("a timeout is not of whole milliseconds from 1 ms to 24 h")]
    Timeout,
}

/// What is known of the media path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum MediaPath {
    /// No keep-alive has come yet. There is no deadline either: how long a session may take to connect is not this monitor's
    /// question.
    Unproven,
    /// A keep-alive came lately.
    Alive,
    /// None came for too long.
    Silent,
    /// The monitor is closed.
    Closed,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The server has heard nothing for its timeout. Once; the session is over.
    MediaPathDead,
    /// The client has heard nothing for its timeout. Once for each loss.
    MediaPathLost,
}

/// What the caller is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Server: end the session, with [`close::Ending::handle_media_dead`](crate::close::Ending::handle_media_dead).
    CloseSession,
    /// Client: reconnect, that is, resume the signaling session if it is down and restart ICE.
    RequestReconnect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Side {
    Server,
    Client(Reconnect),
}

/// The keep-alive monitor of one side. 24 bytes, and nothing on the heap.
#[derive(Clone, Debug)]
pub struct Monitor {
    /// While alive: the deadline. While silent: when that was found.
    when: Instant,
    timeout_ms: u32,
    side: Side,
    path: MediaPath,
    event_due: bool,
    action_due: bool,
}

impl Monitor {
    /// The server's monitor.
    ///
    /// # Errors
    ///
    /// `config` does not hold what it promises.
    pub fn server(now: Instant, config: &Config) -> Result<Self, ConfigError> {
        Self::new(now, config, Side::Server, config.server_timeout)
    }

    /// The client's monitor.
    ///
    /// # Errors
    ///
    /// `config` does not hold what it promises.
    pub fn client(now: Instant, config: &Config) -> Result<Self, ConfigError> {
        let side = Side::Client(config.reconnect);
        Self::new(now, config, side, config.client_timeout)
    }

    fn new(
        now: Instant,
        config: &Config,
        side: Side,
        timeout: Duration,
    ) -> Result<Self, ConfigError> {
        let (server, client) = (config.server_timeout, config.client_timeout);
        if !is_sound(server) || !is_sound(client) {
            return Err(ConfigError::Timeout);
        }
        if client >= server {
            return Err(ConfigError::NoGap);
        }
        Ok(Self {
            when: now,
            timeout_ms: u32::try_from(timeout.as_millis()).map_err(|_| ConfigError::Timeout)?,
            side,
            path: MediaPath::Unproven,
            event_due: false,
            action_due: false,
        })
    }

    /// What is known of the path.
    #[must_use]
    pub fn state(&self) -> MediaPath {
        self.path
    }

    /// The media path was proven by the peer at `at`, which may be a while ago.
    pub fn handle_keep_alive(&mut self, at: Instant) {
        self.handle_timeout(at);
        let deadline = at + self.timeout();
        match (self.path, self.side) {
            (MediaPath::Unproven, _) => self.live_until(deadline),
            (MediaPath::Alive, _) => self.live_until(self.when.max(deadline)),
            (MediaPath::Silent, Side::Client(_)) if deadline > self.when => {
                self.live_until(deadline);
            }
            (MediaPath::Silent | MediaPath::Closed, _) => {}
        }
    }

    /// The other side has come back: its reconnect has arrived at the server, or the server has answered the client's. The path
    /// has a whole timeout again to be proven.
    pub fn resume(&mut self, now: Instant) {
        if self.path != MediaPath::Unproven {
            self.handle_keep_alive(now);
        }
    }

    /// The session is over: nothing comes out any more.
    pub fn close(&mut self) {
        self.path = MediaPath::Closed;
        self.event_due = false;
        self.action_due = false;
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.path == MediaPath::Alive && now >= self.when {
            self.path = MediaPath::Silent;
            self.when = now;
            self.event_due = true;
            self.action_due = self.side != Side::Client(Reconnect::Never);
        }
    }

    /// When silence will have lasted too long.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.path == MediaPath::Alive).then_some(self.when)
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = match self.side {
            Side::Server => Event::MediaPathDead,
            Side::Client(_) => Event::MediaPathLost,
        };
        std::mem::take(&mut self.event_due).then_some(event)
    }

    /// What to do about it.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = match self.side {
            Side::Server => Action::CloseSession,
            Side::Client(_) => Action::RequestReconnect,
        };
        std::mem::take(&mut self.action_due).then_some(action)
    }

    fn live_until(&mut self, deadline: Instant) {
        self.path = MediaPath::Alive;
        self.when = deadline;
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.into())
    }
}

fn is_sound(timeout: Duration) -> bool {
    let whole = timeout.subsec_nanos().is_multiple_of(1_000_000);
    whole && !timeout.is_zero() && timeout <= Duration::from_secs(24 * 3600)
}

/// A monitor for another node to go on with.
#[cfg(feature = "serde")]
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Saved {
    /// Alive: until the deadline. Silent: since it was found.
    distance: Duration,
    timeout_ms: u32,
    side: Side,
    path: MediaPath,
    event_due: bool,
    action_due: bool,
}

#[cfg(feature = "serde")]
impl Monitor {
    /// The monitor as it is at `now`, with distances in time instead of instants.
    #[must_use]
    pub fn save(&self, now: Instant) -> Saved {
        Saved {
            distance: match self.path {
                MediaPath::Alive => self.when.saturating_duration_since(now),
                _ => now.saturating_duration_since(self.when),
            },
            timeout_ms: self.timeout_ms,
            side: self.side,
            path: self.path,
            event_due: self.event_due,
            action_due: self.action_due,
        }
    }

    /// The monitor that was saved, `now` being the moment of [`save`](Self::save) on this node's clock. A deadline further away
    /// than the timeout is taken for the timeout.
    #[must_use]
    pub fn restore(now: Instant, saved: Saved) -> Self {
        let timeout = Duration::from_millis(saved.timeout_ms.into());
        let when = match saved.path {
            MediaPath::Alive => now + saved.distance.min(timeout),
            _ => now.checked_sub(saved.distance).unwrap_or(now),
        };
        Self {
            when,
            timeout_ms: saved.timeout_ms,
            side: saved.side,
            path: saved.path,
            event_due: saved.event_due,
            action_due: saved.action_due,
        }
    }
}
