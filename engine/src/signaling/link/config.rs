//! What the caller can choose about a [`Link`](super::Link), and how long it waits between two attempts.

use super::SessionId;
use siphasher::sip::SipHasher24;
use std::{ops::RangeInclusive, time::Duration};
use thiserror::Error;

/// How a signaling session behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How often the dialing side tries to come back before it [escalates](Self::escalation). Default: 6; 5 to 7. Counted from
    /// the loss; the first dial of a session, and [`reconnect`](super::Link::reconnect), are one more.
    pub attempts: u8,
    /// The longest delay before the first attempt. Default: 500 ms. The delay is drawn evenly from nothing to this (full
    /// jitter), so that those who lost the same server do not come back at the same time.
    pub back_off: Duration,
    /// What that grows by with each further attempt. Default: 2; at least 2.
    pub back_off_factor: u32,
    /// And to what. Default: 15 s; at least [`back_off`](Self::back_off), at most 24 h.
    pub back_off_cap: Duration,
    /// What to do when the attempts are used up. Default: [`Escalation::Relay`], because media may be well all the while.
    pub escalation: Escalation,
    /// How long a channel may take to open, a greeting to be answered, a message to be acknowledged; a channel on which that
    /// takes longer is taken for dead, as a TCP connection can be without saying so. Default: 10 s. From 1 ms to 24 h. The peer
    /// acknowledges what its caller has [polled](super::Link::poll_message).
    pub response_timeout: Duration,
    /// The most messages that wait to be sent or acknowledged; one more is refused ([`SendError::Full`](super::SendError)).
    /// Default: 256; at least 1.
    pub max_unacknowledged: u16,
    /// The most messages from the peer that are kept until the caller polls them or an earlier one comes; what is further ahead
    /// is dropped, counted, and sent again by the peer after its next reconnect. Default: 256; at least 1, and to lose nothing
    /// at least the peer's [`max_unacknowledged`](Self::max_unacknowledged). The size of one message is the channel's to bound.
    pub max_ahead: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            attempts: 6,
            back_off: Duration::from_millis(500),
            back_off_factor: 2,
            back_off_cap: Duration::from_secs(15),
            escalation: Escalation::default(),
            response_timeout: Duration::from_secs(10),
            max_unacknowledged: 256,
            max_ahead: 256,
        }
    }
}

/// What to do when no attempt to come back has succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Escalation {
    /// Go by way of a TURN relay.
    #[default]
    Relay,
    /// End the session.
    TearDown,
}

/// A configuration that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Fewer than 5 attempts, or more than 7.
    #[error("attempts are not from 5 to 7")]
    Attempts,
    /// The back-off begins at nothing, does not grow, or its cap is below its beginning or above 24 h.
    #[error("the back-off does not grow from more than nothing to a cap of at most 24 h")]
    BackOff,
    /// The response timeout is below 1 ms or above 24 h.
    #[error("the response timeout is not from 1 ms to 24 h")]
    ResponseTimeout,
    /// A buffer that holds nothing.
    #[error("a buffer holds nothing")]
    Buffer,
}

const ATTEMPTS: RangeInclusive<u8> = 5..=7;
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Config {
    /// Whether this can work; the constructors of [`Link`](super::Link) ask.
    ///
    /// # Errors
    ///
    /// What cannot.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !ATTEMPTS.contains(&self.attempts) {
            return Err(ConfigError::Attempts);
        }
        let grows = !self.back_off.is_zero() && self.back_off_factor >= 2;
        if !grows || self.back_off > self.back_off_cap || self.back_off_cap > LONGEST {
            return Err(ConfigError::BackOff);
        }
        if !(Duration::from_millis(1)..=LONGEST).contains(&self.response_timeout) {
            return Err(ConfigError::ResponseTimeout);
        }
        if self.max_unacknowledged == 0 || self.max_ahead == 0 {
            return Err(ConfigError::Buffer);
        }
        Ok(())
    }

    /// The longest delay before this attempt, counted from 1.
    #[must_use]
    pub fn longest_delay(&self, attempt: u8) -> Duration {
        let growth = self
            .back_off_factor
            .saturating_pow(u32::from(attempt.saturating_sub(1)));
        self.back_off.saturating_mul(growth).min(self.back_off_cap)
    }

    /// The delay before an attempt after so many channels: by chance, but the same for the same session.
    pub(super) fn delay(&self, attempt: u8, session: &SessionId, channel: u16) -> Duration {
        let [high, low] = channel.to_be_bytes();
        let chance = SipHasher24::new_with_key(session.as_bytes()).hash(&[attempt, high, low]);
        let longest = self.longest_delay(attempt).as_nanos();
        // Never nothing: what was decided at a deadline is due after it.
        let nanos = ((longest * u128::from(chance)) >> 64) + 1;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
