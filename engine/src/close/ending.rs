//! The machine that decides why a session ends: the first reason wins.

use super::{CloseReason, DisconnectReason, Leave, Profile};
use std::time::{Duration, Instant};
use thiserror::Error;

/// How sessions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What lost media is called in public. Default: [`Profile::LiveKitHead`].
    pub profile: Profile,
    /// How long after its start a session may be without media. Default: 60 s. From 1 s to 18 h, in whole seconds.
    pub join_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            join_timeout: Duration::from_secs(60),
        }
    }
}

const MAX_JOIN_TIMEOUT: Duration = Duration::from_secs(18 * 3600);

/// The join timeout is zero, longer than 18 h, or has fractions of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the join timeout is not of whole seconds from 1 s to 18 h")]
pub struct ConfigError;

/// What the server is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Tell the client, with [`Link::leave`](crate::signaling::Link::leave) or a
    /// [`LeaveRequest`](super::LeaveRequest).
    SendLeave(Leave),
    /// Close the transports, the signaling session, and every machine of this one.
    CloseSession,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The session is over. Once.
    Ended(Ended),
}

/// The end of a session: two fields, so that an end by lost media and an end by disagreement stay apart in the log even where
/// the public reason is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Ended {
    /// Why, for the log.
    pub close_reason: CloseReason,
    /// Why, in public: for the client, and for the other participants.
    pub disconnect_reason: DisconnectReason,
    /// Whether it counts as given up rather than failed ([`CloseReason::is_cancelled`]).
    pub cancelled: bool,
    /// When.
    pub at: Instant,
}

/// How far the session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Phase {
    /// Media has never connected.
    Joining,
    /// It has.
    Joined,
    /// A transport has failed, and the client is to be told.
    Failing,
    /// It was told.
    Failed,
    /// Over.
    Ended {
        reason: CloseReason,
        cancelled: bool,
        due: Due,
    },
}

/// What of an end has not been polled yet, in this order; each implies those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Due {
    Leave,
    Close,
    Nothing,
}

/// Decides why a session ends, and says so once. 24 bytes, and nothing on the heap.
///
/// It is told what happens, and nothing of messages: that the signaling channel is up moves no deadline of the media path, and that
/// the channel is gone ends no session whose media ever connected.
///
/// ```
/// use floe::close::{Action, CloseReason, Config, DisconnectReason, Ending, Event};
/// use std::time::Instant;
///
/// let now = Instant::now();
/// let mut ending = Ending::new(now, &Config::default())?;
/// ending.handle_media_connected(now);
/// ending.handle_signal_closed(now); // the client crashed, or changes networks: its media decides
/// assert!(ending.ended().is_none());
/// ending.handle_media_dead(now);
/// let Some(Event::Ended(ended)) = ending.poll_event() else { panic!("it has ended") };
/// println!("log: {}", ended.close_reason);
/// assert_eq!(ended.close_reason, CloseReason::PeerConnectionDisconnected);
/// assert_eq!(ending.disconnect_reason(), Some(DisconnectReason::ConnectionTimeout)); // what others see
/// while let Some(action) = ending.poll_action() {
///     match action {
///         Action::SendLeave(leave) => println!("to the client: {}", leave.reason),
///         Action::CloseSession => println!("close the transports"),
///         _ => {}
///     }
/// }
/// # Ok::<(), floe::close::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ending {
    /// Of the start; once it is over, of the end.
    when: Instant,
    join_timeout_secs: u16,
    profile: Profile,
    phase: Phase,
    told: bool,
}

impl Ending {
    /// A session that begins now.
    ///
    /// # Errors
    ///
    /// `config` does not hold what it promises.
    pub fn new(now: Instant, config: &Config) -> Result<Self, ConfigError> {
        let timeout = config.join_timeout;
        if timeout.is_zero() || timeout.subsec_nanos() != 0 || timeout > MAX_JOIN_TIMEOUT {
            return Err(ConfigError);
        }
        Ok(Self {
            when: now,
            join_timeout_secs: u16::try_from(timeout.as_secs()).map_err(|_| ConfigError)?,
            profile: config.profile,
            phase: Phase::Joining,
            told: false,
        })
    }

    /// Media connected, or connected again.
    pub fn handle_media_connected(&mut self, now: Instant) {
        self.handle_timeout(now);
        if self.is_open() {
            self.phase = Phase::Joined;
        }
    }

    /// A transport failed for good. The client is told to resume, once until media connects again or it resumes; the end, if it
    /// comes to one, is the media monitor's to call.
    pub fn handle_transport_failed(&mut self, now: Instant) {
        self.handle_timeout(now);
        if self.phase == Phase::Joined {
            self.phase = Phase::Failing;
        }
    }

    /// The media monitor has heard nothing for its timeout ([`liveness::Event::MediaPathDead`](crate::liveness::Event)).
    pub fn handle_media_dead(&mut self, now: Instant) {
        self.close(now, CloseReason::PeerConnectionDisconnected);
    }

    /// The signaling channel closed, without a leave. Only if media never connected is that the end.
    pub fn handle_signal_closed(&mut self, now: Instant) {
        self.handle_timeout(now);
        if self.phase == Phase::Joining {
            self.close(now, CloseReason::SignalSourceClose);
        }
    }

    /// The client asks to leave, and says why.
    pub fn handle_leave(&mut self, now: Instant, said: DisconnectReason) {
        self.close(now, CloseReason::of_leave_request(said));
    }

    /// The client asks to resume.
    ///
    /// # Errors
    ///
    /// The session is over: send it this leave, and nothing else happens. For a client that asks for a session nobody knows,
    /// it is [`Leave::UNKNOWN_SESSION`] too.
    pub fn handle_resume(&mut self, now: Instant) -> Result<(), Leave> {
        self.handle_timeout(now);
        match self.phase {
            Phase::Joining | Phase::Joined => Ok(()),
            Phase::Failing | Phase::Failed => {
                self.phase = Phase::Joined;
                Ok(())
            }
            Phase::Ended { .. } => Err(Leave::UNKNOWN_SESSION),
        }
    }

    /// The client resumed with tracks that the server does not know.
    pub fn handle_resume_mismatch(&mut self, now: Instant) {
        self.close(now, CloseReason::PublicationError);
    }

    /// Offer and answer do not come to an end: an error, or no answer in time.
    pub fn handle_negotiation_failed(&mut self, now: Instant) {
        self.close(now, CloseReason::NegotiateFailed);
    }

    /// Somebody joined under the same identity; resuming is not joining.
    pub fn handle_duplicate_identity(&mut self, now: Instant) {
        self.close(now, CloseReason::DuplicateIdentity);
    }

    /// Ends the session for this reason, unless it is over already.
    pub fn close(&mut self, now: Instant, reason: CloseReason) {
        self.handle_timeout(now);
        if self.is_open() {
            self.end(now, reason);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|due| now >= due) {
            self.end(now, CloseReason::JoinTimeout);
        }
    }

    /// When media should have connected.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timeout = Duration::from_secs(self.join_timeout_secs.into());
        (self.phase == Phase::Joining).then(|| self.when + timeout)
    }

    /// What is to be done.
    pub fn poll_action(&mut self) -> Option<Action> {
        match &mut self.phase {
            Phase::Failing => {
                self.phase = Phase::Failed;
                Some(Action::SendLeave(Leave::transport_failed(self.profile)))
            }
            Phase::Ended { due, .. } if *due == Due::Close => {
                *due = Due::Nothing;
                Some(Action::CloseSession)
            }
            Phase::Ended { reason, due, .. } if *due == Due::Leave => {
                *due = Due::Close;
                Leave::at_end(*reason, self.profile).map(Action::SendLeave)
            }
            _ => None,
        }
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        let ended = self.ended()?;
        (!std::mem::replace(&mut self.told, true)).then_some(Event::Ended(ended))
    }

    /// How it ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        match self.phase {
            Phase::Ended {
                reason, cancelled, ..
            } => Some(Ended {
                close_reason: reason,
                disconnect_reason: reason.disconnect_reason(self.profile),
                cancelled,
                at: self.when,
            }),
            _ => None,
        }
    }

    /// What the other participants see of its end, if it has ended.
    #[must_use]
    pub fn disconnect_reason(&self) -> Option<DisconnectReason> {
        Some(self.ended()?.disconnect_reason)
    }

    fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Ended { .. })
    }

    fn end(&mut self, now: Instant, reason: CloseReason) {
        let lasted = now.saturating_duration_since(self.when);
        self.when = self.when.max(now);
        self.phase = Phase::Ended {
            reason,
            cancelled: reason.is_cancelled(lasted),
            due: match reason.leave_action() {
                Some(_) => Due::Leave,
                None => Due::Close,
            },
        };
    }
}

/// An [`Ending`] for another node to go on with.
#[cfg(feature = "serde")]
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Saved {
    /// Since the start, or since the end.
    ago: Duration,
    join_timeout_secs: u16,
    profile: Profile,
    phase: Phase,
    told: bool,
}

#[cfg(feature = "serde")]
impl Ending {
    /// The machine as it is at `now`.
    #[must_use]
    pub fn save(&self, now: Instant) -> Saved {
        Saved {
            ago: now.saturating_duration_since(self.when),
            join_timeout_secs: self.join_timeout_secs,
            profile: self.profile,
            phase: self.phase,
            told: self.told,
        }
    }

    /// The machine that was saved, `now` being the moment of [`save`](Self::save) on this node's clock.
    #[must_use]
    pub fn restore(now: Instant, saved: Saved) -> Self {
        Self {
            when: now.checked_sub(saved.ago).unwrap_or(now),
            join_timeout_secs: saved.join_timeout_secs,
            profile: saved.profile,
            phase: saved.phase,
            told: saved.told,
        }
    }
}
