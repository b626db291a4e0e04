//! Consent to send on the selected pair (RFC 7675), and the faster suspicion that it is gone.
//!
//! ```text
//!            response (lite: request)
//!          ┌────────────────────────┐
//!          ▼                        │                      no response for 30 s
//!       Fresh ──3 misses and 5 s──► Suspect ─────────────────────────────────────► expired
//!          └───────────────────────────────────────────────────────────────────────────▲
//! ```
//!
//! A check is a transaction of its own and is not retransmitted; when it goes unanswered for an RTO, the next one is a
//! probe. Media never renews consent; traffic that its owner authenticated only delays the suspicion.

use std::time::Duration;

use floe_stun::TransactionId;

use crate::list::List;
use crate::moment::Moment;
use crate::role::Role;
use crate::timing::Timing;

/// How many unanswered checks are remembered.
const MAX_OUTSTANDING: usize = 32;

/// What keeps consent alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// Responses to our own checks.
    Responses,
    /// The peer's requests: we are lite and send none.
    Requests,
    /// Nothing can: both sides are lite.
    None,
}

/// A consent check that may still be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    id: TransactionId,
    pub(crate) at: Moment,
    /// The role it claimed.
    pub(crate) role: Role,
}

#[derive(Debug)]
pub(crate) struct Consent {
    liveness: Liveness,
    /// The last response, or request.
    fresh: Moment,
    /// When to send the next check. While one is unanswered: when it counts as missed.
    next_check: Moment,
    last_sent: Option<Moment>,
    /// When the first check left that nothing has answered since.
    unanswered_since: Option<Moment>,
    /// The latest check, until it is answered.
    latest: Option<Sent>,
    /// Whether it is still to be written.
    due: bool,
    /// Those before it that went unanswered, the oldest first.
    older: List<Sent>,
    misses: u32,
    suspect: bool,
    traffic: Option<Moment>,
}

impl Consent {
    /// Consent that was last proven at `fresh`.
    pub(crate) fn new(now: Moment, fresh: Moment, liveness: Liveness, interval: Duration) -> Self {
        Self {
            liveness,
            fresh,
            next_check: (fresh + interval).max(now + Duration::from_millis(1)),
            last_sent: None,
            unanswered_since: None,
            latest: None,
            due: false,
            older: List::default(),
            misses: 0,
            suspect: false,
            traffic: None,
        }
    }

    pub(crate) fn liveness(&self) -> Liveness {
        self.liveness
    }

    /// When the first check left that nothing has answered since.
    pub(crate) fn unanswered_since(&self) -> Option<Moment> {
        self.unanswered_since
    }

    pub(crate) fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// When the last proof of consent came.
    pub(crate) fn fresh(&self) -> Moment {
        self.fresh
    }

    /// A response, on this path, to a request of the last 30 s; for a lite agent, a request.
    pub(crate) fn renew(&mut self, now: Moment, interval: Duration) {
        self.fresh = now;
        self.unanswered_since = None;
        self.misses = 0;
        self.suspect = false;
        // Counted from the check and not from its answer, so that the rate does not depend on the round trip.
        self.next_check =
            (self.last_sent.unwrap_or(now) + interval).max(now + Duration::from_millis(1));
    }

    /// Takes the outstanding check with this id, unless its answer comes too late. Older ones stay: their answers may
    /// be late, and count as well.
    pub(crate) fn take(
        &mut self,
        now: Moment,
        id: &TransactionId,
        timing: &Timing,
    ) -> Option<Sent> {
        let age = |sent: &Sent| now.saturating_duration_since(sent.at);
        self.older
            .retain(|sent| age(sent) <= timing.consent_timeout);
        let sent = match self.latest.take_if(|sent| sent.id == *id) {
            Some(latest) => latest,
            None => {
                let position = self.older.iter().position(|sent| sent.id == *id)?;
                self.older.remove(position)
            }
        };
        (age(&sent) <= timing.consent_timeout).then_some(sent)
    }

    pub(crate) fn is_outstanding(&self, id: &TransactionId) -> bool {
        self.latest
            .iter()
            .chain(&*self.older)
            .any(|sent| sent.id == *id)
    }

    /// The check that is to be written now.
    pub(crate) fn take_due(&mut self) -> Option<TransactionId> {
        let due = std::mem::take(&mut self.due);
        self.latest.filter(|_| due).map(|sent| sent.id)
    }

    /// Traffic that somebody else authenticated: no reason to suspect the path.
    pub(crate) fn note_traffic(&mut self, now: Moment) {
        self.traffic = Some(now);
        self.suspect = false;
    }

    /// Whether a check is to be sent now. If the one before is unanswered, that is a miss.
    pub(crate) fn on_check_timer(&mut self, now: Moment) -> bool {
        if self.liveness != Liveness::Responses || now < self.next_check {
            return false;
        }
        if self.unanswered_since.is_some() {
            self.misses = self.misses.saturating_add(1);
        }
        true
    }

    /// A check left; unless it is answered, the next one follows after `wait`. Gives the one that is forgotten for it.
    pub(crate) fn on_sent(
        &mut self,
        now: Moment,
        id: TransactionId,
        role: Role,
        wait: Duration,
    ) -> Option<Sent> {
        let mut forgotten = None;
        if let Some(unanswered) = self.latest.replace(Sent { id, at: now, role }) {
            if self.older.len() + 1 == MAX_OUTSTANDING {
                forgotten = self.older.pop_front();
            }
            self.older.push(unanswered);
        }
        self.due = true;
        self.last_sent = Some(now);
        self.unanswered_since.get_or_insert(now);
        self.next_check = now + wait.max(Duration::from_millis(1));
        forgotten
    }

    /// Sets the suspicion when it is due; says whether it is new.
    pub(crate) fn suspect_if_due(&mut self, now: Moment, timing: &Timing) -> bool {
        let due = !self.suspect && self.suspicion(timing).is_some_and(|at| now >= at);
        self.suspect |= due;
        due
    }

    pub(crate) fn is_expired(&self, now: Moment, timing: &Timing) -> bool {
        self.expiry(timing).is_some_and(|at| now >= at)
    }

    /// When something is to be done.
    pub(crate) fn deadline(&self, timing: &Timing) -> Option<Moment> {
        let check = (self.liveness == Liveness::Responses).then_some(self.next_check);
        let suspicion = if self.suspect {
            None
        } else {
            self.suspicion(timing)
        };
        [check, suspicion, self.expiry(timing)]
            .into_iter()
            .flatten()
            .min()
    }

    fn suspicion(&self, timing: &Timing) -> Option<Moment> {
        let (since, after) = match self.liveness {
            Liveness::Responses if self.misses >= timing.disconnected_misses => {
                (self.unanswered_since?, timing.disconnected_after)
            }
            Liveness::Requests => (self.fresh, timing.lite_disconnected_after),
            _ => return None,
        };
        Some(self.traffic.map_or(since, |traffic| traffic.max(since)) + after)
    }

    fn expiry(&self, timing: &Timing) -> Option<Moment> {
        match self.liveness {
            Liveness::Responses => Some(self.fresh + timing.consent_timeout),
            Liveness::Requests => Some(self.fresh + timing.lite_timeout),
            Liveness::None => None,
        }
    }

    /// Other timers hold from now on (I24): the pending check is drawn again. While one is unanswered, it is a probe that
    /// follows after `wait`.
    pub(crate) fn retime(&mut self, now: Moment, interval: Duration, wait: Duration) {
        let since = self.last_sent.unwrap_or(self.fresh);
        let after = match self.unanswered_since {
            None => interval,
            Some(_) => wait,
        };
        self.next_check = (since + after).max(now + Duration::from_millis(1));
    }
}
