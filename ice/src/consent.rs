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

use std::collections::VecDeque;
use std::time::Duration;

use floe_stun::TransactionId;

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
    traffic: Option<Moment>,
    /// The latest check, which left at `last_sent`, until it is answered.
    latest: Option<Latest>,
    /// Whether it is still to be written.
    due: bool,
    /// Whether a check has left and nothing was answered since.
    waiting: bool,
    /// What there is to remember of a peer that does not answer at once.
    silence: Option<Box<Silence>>,
}

/// [`Sent`], but for the time.
#[derive(Clone, Copy, Debug)]
struct Latest {
    id: TransactionId,
    role: Role,
}

/// More than one check is unanswered, or was when the last answer came.
#[derive(Debug, Default)]
struct Silence {
    /// While waiting: when the first of the unanswered checks left.
    since: Option<Moment>,
    misses: u32,
    suspect: bool,
    /// The checks before the latest that went unanswered, the oldest first.
    older: VecDeque<Sent>,
}

impl Consent {
    /// Consent that was last proven at `fresh`.
    pub(crate) fn new(now: Moment, fresh: Moment, liveness: Liveness, interval: Duration) -> Self {
        Self {
            liveness,
            fresh,
            next_check: (fresh + interval).max(now + Duration::from_millis(1)),
            last_sent: None,
            traffic: None,
            latest: None,
            due: false,
            waiting: false,
            silence: None,
        }
    }

    /// Reads something of what a check will need.
    #[inline]
    pub(crate) fn glance(&self) -> u8 {
        u8::from(self.traffic.is_some()) ^ u8::from(self.due)
    }

    pub(crate) fn liveness(&self) -> Liveness {
        self.liveness
    }

    /// When the first check left that nothing has answered since.
    pub(crate) fn unanswered_since(&self) -> Option<Moment> {
        let since = self.silence.as_ref().and_then(|silence| silence.since);
        since.or(self.last_sent).filter(|_| self.waiting)
    }

    #[inline]
    pub(crate) fn is_suspect(&self) -> bool {
        self.silence.as_ref().is_some_and(|silence| silence.suspect)
    }

    /// When the last proof of consent came.
    pub(crate) fn fresh(&self) -> Moment {
        self.fresh
    }

    /// A response, on this path, to a request of the last 30 s; for a lite agent, a request.
    #[inline]
    pub(crate) fn renew(&mut self, now: Moment, interval: Duration) {
        self.fresh = self.fresh.max(now);
        self.waiting = false;
        if let Some(silence) = self.silence.take() {
            self.silence = silence.broken();
        }
        // Counted from the check and not from its answer, so that the rate does not depend on the round trip.
        self.next_check =
            (self.last_sent.unwrap_or(now) + interval).max(now + Duration::from_millis(1));
    }

    /// Takes the outstanding check with this id, unless its answer comes too late. Older ones stay: their answers may
    /// be late, and count as well.
    #[inline]
    pub(crate) fn take(
        &mut self,
        now: Moment,
        id: &TransactionId,
        timing: &Timing,
    ) -> Option<Sent> {
        let live = |sent: &Sent| now <= sent.at + timing.consent_timeout;
        if let Some(silence) = &mut self.silence {
            silence.older.retain(live);
        }
        let latest = self.latest.take_if(|latest| latest.id == *id);
        let sent = match latest.zip(self.last_sent) {
            Some((latest, at)) => Some(latest.at(at)),
            None => self.silence.as_mut()?.take(id),
        };
        sent.filter(live)
    }

    #[inline]
    pub(crate) fn is_outstanding(&self, id: &TransactionId) -> bool {
        let among_older = |silence: &Silence| silence.older.iter().any(|sent| sent.id == *id);
        self.latest.is_some_and(|latest| latest.id == *id)
            || self.silence.as_deref().is_some_and(among_older)
    }

    /// Whether there is a check to be written now.
    pub(crate) fn is_due(&self) -> bool {
        self.due
    }

    /// The check that is to be written now.
    pub(crate) fn take_due(&mut self) -> Option<TransactionId> {
        let due = std::mem::take(&mut self.due);
        self.latest.filter(|_| due).map(|latest| latest.id)
    }

    /// Traffic that somebody else authenticated: no reason to suspect the path.
    pub(crate) fn note_traffic(&mut self, now: Moment) {
        self.traffic = Some(now);
        if let Some(silence) = &mut self.silence {
            silence.suspect = false;
        }
    }

    /// Whether a check is to be sent now. If the one before is unanswered, that is a miss, and the new one a probe, which may be
    /// held back until `interval` after the one before.
    #[inline]
    pub(crate) fn on_check_timer(
        &mut self,
        now: Moment,
        interval: Duration,
        may_probe: impl FnOnce() -> bool,
    ) -> bool {
        if self.liveness != Liveness::Responses || now < self.next_check {
            return false;
        }
        if self.waiting {
            let regular = self.last_sent.map_or(now, |at| at + interval);
            if now < regular && !may_probe() {
                self.next_check = regular;
                return false;
            }
            let silence = self.silence.get_or_insert_default();
            silence.misses = silence.misses.saturating_add(1);
        }
        true
    }

    /// A check left; unless it is answered, the next one follows after `wait`. Gives the one that is forgotten for it.
    #[inline]
    pub(crate) fn on_sent(
        &mut self,
        now: Moment,
        id: TransactionId,
        role: Role,
        wait: Duration,
    ) -> Option<Sent> {
        let mut forgotten = None;
        if self.waiting {
            let silence = self.silence.get_or_insert_default();
            silence.since = silence.since.or(self.last_sent);
        }
        if let Some((latest, at)) = self.latest.take().zip(self.last_sent) {
            let older = &mut self.silence.get_or_insert_default().older;
            if older.len() + 1 == MAX_OUTSTANDING {
                forgotten = older.pop_front();
            }
            older.push_back(latest.at(at));
        }
        self.latest = Some(Latest { id, role });
        self.last_sent = Some(now);
        self.due = true;
        self.waiting = true;
        self.next_check = now + wait.max(Duration::from_millis(1));
        forgotten
    }

    /// Sets the suspicion when it is due; says whether it is new.
    #[inline]
    pub(crate) fn suspect_if_due(&mut self, now: Moment, timing: &Timing) -> bool {
        let due = !self.is_suspect() && self.suspicion(timing).is_some_and(|at| now >= at);
        if due {
            self.silence.get_or_insert_default().suspect = true;
        }
        due
    }

    pub(crate) fn is_expired(&self, now: Moment, timing: &Timing) -> bool {
        self.expiry(timing).is_some_and(|at| now >= at)
    }

    /// When something is to be done.
    #[inline]
    pub(crate) fn deadline(&self, timing: &Timing) -> Option<Moment> {
        let check = (self.liveness == Liveness::Responses).then_some(self.next_check);
        let suspicion = match self.is_suspect() {
            true => None,
            false => self.suspicion(timing),
        };
        earlier(earlier(check, suspicion), self.expiry(timing))
    }

    fn suspicion(&self, timing: &Timing) -> Option<Moment> {
        let (since, after) = match self.liveness {
            Liveness::Responses if self.misses() >= timing.disconnected_misses => {
                (self.unanswered_since()?, timing.disconnected_after)
            }
            Liveness::Requests => (self.fresh, timing.lite_disconnected_after),
            _ => return None,
        };
        Some(self.traffic.map_or(since, |traffic| traffic.max(since)) + after)
    }

    fn misses(&self) -> u32 {
        self.silence.as_ref().map_or(0, |silence| silence.misses)
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
        let after = match self.waiting {
            false => interval,
            true => wait,
        };
        self.next_check = (since + after).max(now + Duration::from_millis(1));
    }
}

/// The earlier of two, if there are two.
fn earlier(one: Option<Moment>, other: Option<Moment>) -> Option<Moment> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Latest {
    fn at(self, at: Moment) -> Sent {
        let Self { id, role } = self;
        Sent { id, at, role }
    }
}

impl Silence {
    /// The peer has answered. What it may still answer late stays.
    fn broken(mut self: Box<Self>) -> Option<Box<Self>> {
        (self.since, self.misses, self.suspect) = (None, 0, false);
        (!self.older.is_empty()).then_some(self)
    }

    fn take(&mut self, id: &TransactionId) -> Option<Sent> {
        let position = self.older.iter().position(|sent| sent.id == *id)?;
        self.older.remove(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Label, Random, vary};

    const BIN: Duration = Duration::from_millis(10);
    const INTERVAL: Duration = Duration::from_secs(5);

    /// Checks of 100 000 agents that all began at once and are all answered, counted by hundredths of a second.
    fn herd(seconds: usize) -> Vec<u32> {
        let mut bins = vec![0; seconds * 100];
        let start = Moment::ORIGIN;
        for agent in 0..100_000u32 {
            let mut seed = [3; 32];
            seed[..4].copy_from_slice(&agent.to_le_bytes());
            let tie_breaker = Random::from_seed(seed).next_u64(Label::TieBreaker);
            let mut intervals = (0..).map(|nth| vary(INTERVAL, tie_breaker, nth));
            let mut next = || intervals.next().expect("they do not end");
            let mut consent = Consent::new(start, start, Liveness::Responses, next());
            loop {
                let now = consent.next_check;
                let bin = now.saturating_duration_since(start).as_nanos() / BIN.as_nanos();
                let Some(bin) = bins.get_mut(bin as usize) else {
                    break;
                };
                *bin += 1;
                let id = TransactionId::from_bytes([0; 12]);
                consent.on_sent(now, id, Role::Controlling, INTERVAL);
                consent.renew(now, next());
            }
        }
        bins
    }

    // req: I20
    #[test]
    fn agents_that_began_together_do_not_check_together_for_long() {
        let bins = herd(180);
        let (first, last) = (&bins[..1000], &bins[15_000..]);
        // The first time already they are spread over two seconds: no hundredth of one has much more than its 500.
        let largest = first.iter().max().copied().unwrap_or_default();
        assert!(largest < 650, "{largest}");
        assert_eq!(
            first[..400].iter().sum::<u32>(),
            0,
            "not before 0.8 of the interval"
        );
        // After some minutes each has its 200, as if all had begun at random: the variance is the mean.
        let mean = last.iter().sum::<u32>() as f64 / last.len() as f64;
        let square = |bin: &u32| (f64::from(*bin) - mean).powi(2);
        let variance = last.iter().map(square).sum::<f64>() / last.len() as f64;
        assert!((195.0..205.0).contains(&mean), "{mean}");
        assert!(
            (0.85..1.15).contains(&(variance / mean)),
            "{variance} for {mean}"
        );
        let largest = last.iter().max().copied().unwrap_or_default();
        assert!(largest < 300, "{largest}");
    }
}
