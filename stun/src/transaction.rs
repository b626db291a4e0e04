//! The client side of one request: when to send it again, when to give up, what the answer says about the round trip.
//!
//! RFC 8489 §6.2.1 over UDP, §6.2.2 over TCP and TLS. Time is an argument; bytes are the caller's. Estimating an RTO
//! from several round trips is left to the caller too.
//!
//! ```text
//!             handle_timeout: Retransmit (doubling, sent < Rc)
//!                ┌────┐
//! new ──► Waiting ────┘ ──on_response──► Finished   (the first answer only)
//!            │
//!            └──handle_timeout: TimedOut──► Finished
//! ```

use core::time::Duration;
use std::time::Instant;

use crate::header::TransactionId;

/// How a request is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Schedule {
    /// Over UDP: sent `rc` times, the interval starting at `rto` and doubling; given up `rm × rto` after the last.
    #[non_exhaustive]
    Unreliable {
        /// The first interval. RFC 8489 §6.2.1: 500 ms and more; less than a millisecond counts as one.
        rto: Duration,
        /// How often the request is sent in all; 7 by default, zero counts as one.
        rc: u32,
        /// How many `rto` to wait after the last; 16 by default, zero counts as one.
        rm: u32,
    },
    /// Over TCP or TLS: sent once, given up after `ti`.
    #[non_exhaustive]
    Reliable {
        /// The whole wait; 39.5 s by default, which is how long the default over UDP takes.
        ti: Duration,
    },
}

impl Schedule {
    /// Over UDP with this first interval, Rc 7 and Rm 16: 79 × `rto` in all.
    #[must_use]
    pub const fn unreliable(rto: Duration) -> Self {
        Self::Unreliable { rto, rc: 7, rm: 16 }
    }

    /// Over UDP with every figure given.
    #[must_use]
    pub const fn custom(rto: Duration, rc: u32, rm: u32) -> Self {
        Self::Unreliable { rto, rc, rm }
    }

    /// Sent once and given up after `timeout`, whatever carries it: TCP, or a check that is not to be repeated.
    #[must_use]
    pub const fn once(timeout: Duration) -> Self {
        Self::Reliable { ti: timeout }
    }

    /// Over TCP or TLS: Ti = 39.5 s.
    #[must_use]
    pub const fn reliable() -> Self {
        Self::once(Duration::from_millis(39_500))
    }

    /// The wait after the `sent`-th time, and whether it is the last.
    fn wait(self, sent: u32) -> (Duration, Last) {
        match self {
            Self::Unreliable { rto, rc, .. } if sent < rc => {
                let doubled = 1_u32
                    .checked_shl(sent.saturating_sub(1))
                    .unwrap_or(u32::MAX);
                (
                    at_least_a_millisecond(rto).saturating_mul(doubled),
                    Last::No,
                )
            }
            Self::Unreliable { rto, rm, .. } => (
                at_least_a_millisecond(rto).saturating_mul(rm.max(1)),
                Last::Yes,
            ),
            Self::Reliable { ti } => (at_least_a_millisecond(ti), Last::Yes),
        }
    }
}

impl Default for Schedule {
    /// Over UDP, RTO 500 ms.
    fn default() -> Self {
        Self::unreliable(Duration::from_millis(500))
    }
}

enum Last {
    Yes,
    No,
}

/// A deadline that does not move forward would break the timer law.
fn at_least_a_millisecond(duration: Duration) -> Duration {
    duration.max(Duration::from_millis(1))
}

/// One request and its wait for an answer.
#[derive(Clone, Debug)]
pub struct Transaction {
    id: TransactionId,
    schedule: Schedule,
    first_sent: Instant,
    sent: u32,
    /// `None` once answered or given up.
    deadline: Option<Instant>,
    integrity_violated: bool,
}

impl Transaction {
    /// The request is sent for the first time, now.
    #[must_use]
    pub fn new(now: Instant, id: TransactionId, schedule: Schedule) -> Self {
        let (wait, _) = schedule.wait(1);
        Self {
            id,
            schedule,
            first_sent: now,
            sent: 1,
            deadline: now.checked_add(wait),
            integrity_violated: false,
        }
    }

    /// The id the answer must carry, all 96 bits of it.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// How often the request was sent.
    #[must_use]
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// When the request was sent for the first time.
    #[must_use]
    pub fn first_sent(&self) -> Instant {
        self.first_sent
    }

    /// Whether an answer is still awaited.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.deadline.is_some()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// What is due now. Calls before the deadline, or after the end, are [`Idle`](TransactionAction::Idle).
    ///
    /// The next interval counts from `now`: a late call stretches the schedule, and never sends twice at once.
    pub fn handle_timeout(&mut self, now: Instant) -> TransactionAction {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return TransactionAction::Idle;
        }
        if let (_, Last::Yes) = self.schedule.wait(self.sent) {
            self.deadline = None;
            return TransactionAction::TimedOut(if self.integrity_violated {
                TimeoutReason::IntegrityViolated
            } else {
                TimeoutReason::Unanswered
            });
        }
        self.sent += 1;
        let (wait, _) = self.schedule.wait(self.sent);
        self.deadline = now.checked_add(wait);
        TransactionAction::Retransmit
    }

    /// Other figures from now on: the pending interval is counted anew from the last time the request was sent. What is due
    /// by them already is due at the next [`handle_timeout`](Self::handle_timeout).
    pub fn reschedule(&mut self, schedule: Schedule) {
        let (old, _) = self.schedule.wait(self.sent);
        let (new, _) = schedule.wait(self.sent);
        self.schedule = schedule;
        let moved = |deadline: Instant| deadline.checked_sub(old)?.checked_add(new);
        self.deadline = self.deadline.and_then(moved);
    }

    /// A response, already authenticated where that applies. The first that carries this id ends the transaction; any other gets `None`.
    pub fn on_response(&mut self, now: Instant, id: &TransactionId) -> Option<Answer> {
        if *id != self.id {
            return None;
        }
        self.deadline.take()?;
        // Karn's rule: the answer to a request sent twice does not say to which of the two.
        let round_trip = (self.sent == 1).then(|| now.saturating_duration_since(self.first_sent));
        Some(Answer { round_trip })
    }

    /// A response with this id failed its integrity check: it is dropped and the wait goes on, but should nothing better come,
    /// the end is [`TimeoutReason::IntegrityViolated`] (RFC 8489 §9.1.4).
    pub fn on_integrity_violation(&mut self) {
        self.integrity_violated = true;
    }
}

/// What a [`Transaction`] wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum TransactionAction {
    /// Nothing yet.
    Idle,
    /// Send the same bytes again.
    Retransmit,
    /// Give up.
    TimedOut(TimeoutReason),
}

/// Why a [`Transaction`] was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutReason {
    /// Nothing came.
    Unanswered,
    /// Something came, and none of it was authentic.
    IntegrityViolated,
}

/// The end of a [`Transaction`] that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// From request to response; `None` if the request was repeated, because the two can then not be told apart.
    pub round_trip: Option<Duration>,
}
