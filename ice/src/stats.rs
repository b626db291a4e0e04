//! Counters: of an agent, and of a pair in W3C's words (`RTCIceCandidatePairStats`).

use std::ops::AddAssign;
use std::time::Duration;

use crate::candidate::CandidateId;
use crate::error::DropReason;
use crate::pair::{CandidatePair, PairState};

/// What an agent has counted since it was made. A counter stops at 2³²−1; those of errors, conflicts and what is dropped,
/// ignored or replaced stop at 65 535.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Checks sent, retransmissions and consent checks included.
    pub requests_sent: u64,
    /// Authenticated requests received.
    pub requests_received: u64,
    /// Answers sent.
    pub responses_sent: u64,
    /// Authenticated answers to our checks.
    pub responses_received: u64,
    /// Of those, the ones that were errors (487 included).
    pub error_responses_received: u64,
    /// Consent checks sent.
    pub consent_requests_sent: u64,
    /// Role conflicts in which we took the other role, after the peer's check or its 487.
    pub role_conflicts: u64,
    /// Remote candidates that were not taken: late, of another generation, or at an address that is not used.
    pub candidates_ignored: u64,
    /// Of those, the ones that [`Config::addresses`](crate::Config::addresses) refuses.
    pub candidates_refused: u64,
    /// Signalled remote candidates that were not taken or made room, because there were too many.
    pub remote_candidates_dropped: u64,
    /// Peer-reflexive remote candidates that had not answered and made room for newer ones.
    pub peer_reflexive_replaced: u64,
    /// Consent checks whose answers do not count any more, because too many are outstanding.
    pub transactions_dropped: u64,
    /// Pairs that found no room in the full checklist, or gave way to better ones before their turn came. While nothing works
    /// they come up again, when others have failed or do not answer.
    pub pairs_dropped: u64,
    /// Early requests that were answered and not remembered.
    pub early_requests_dropped: u64,
    /// Events that nobody polled in time.
    pub events_dropped: u64,
    drops: [u64; DropReason::COUNT],
}

impl Stats {
    /// How many datagrams were dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or_default()
    }

    /// How many datagrams were dropped in all.
    pub fn dropped_total(&self) -> u64 {
        self.drops.iter().sum()
    }
}

/// Counts in half the space that it is reported in, and stops rather than overflows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counter(u32);

impl AddAssign<u32> for Counter {
    fn add_assign(&mut self, more: u32) {
        self.0 = self.0.saturating_add(more);
    }
}

/// Counts what is seldom, in half of that.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RareCounter(u16);

impl AddAssign<u32> for RareCounter {
    fn add_assign(&mut self, more: u32) {
        let more = u16::try_from(more).unwrap_or(u16::MAX);
        self.0 = self.0.saturating_add(more);
    }
}

impl From<RareCounter> for u64 {
    fn from(counter: RareCounter) -> Self {
        counter.0.into()
    }
}

impl From<Counter> for u64 {
    fn from(counter: Counter) -> Self {
        counter.0.into()
    }
}

impl Counters {
    /// Reads something of what a request will count.
    pub(crate) fn glance(&self) -> usize {
        u64::from(self.requests_received) as usize
    }
}

/// [`Stats`] as the agent keeps them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests_sent: Counter,
    pub(crate) requests_received: Counter,
    pub(crate) responses_sent: Counter,
    pub(crate) responses_received: Counter,
    pub(crate) error_responses_received: RareCounter,
    pub(crate) consent_requests_sent: Counter,
    pub(crate) role_conflicts: RareCounter,
    pub(crate) candidates_ignored: RareCounter,
    pub(crate) candidates_refused: RareCounter,
    pub(crate) remote_candidates_dropped: RareCounter,
    pub(crate) peer_reflexive_replaced: RareCounter,
    pub(crate) transactions_dropped: RareCounter,
    pub(crate) pairs_dropped: RareCounter,
    pub(crate) early_requests_dropped: RareCounter,
    pub(crate) events_dropped: RareCounter,
    drops: [RareCounter; DropReason::COUNT],
}

impl Counters {
    pub(crate) fn count(&mut self, reason: DropReason) {
        if let Some(counter) = self.drops.get_mut(reason as usize) {
            *counter += 1;
        }
    }

    /// Whether the address filter has refused a candidate that was signalled.
    pub(crate) fn has_refused(&self) -> bool {
        self.candidates_refused.0 > 0
    }

    pub(crate) fn report(&self) -> Stats {
        Stats {
            requests_sent: self.requests_sent.into(),
            requests_received: self.requests_received.into(),
            responses_sent: self.responses_sent.into(),
            responses_received: self.responses_received.into(),
            error_responses_received: self.error_responses_received.into(),
            consent_requests_sent: self.consent_requests_sent.into(),
            role_conflicts: self.role_conflicts.into(),
            candidates_ignored: self.candidates_ignored.into(),
            candidates_refused: self.candidates_refused.into(),
            remote_candidates_dropped: self.remote_candidates_dropped.into(),
            peer_reflexive_replaced: self.peer_reflexive_replaced.into(),
            transactions_dropped: self.transactions_dropped.into(),
            pairs_dropped: self.pairs_dropped.into(),
            early_requests_dropped: self.early_requests_dropped.into(),
            events_dropped: self.events_dropped.into(),
            drops: self.drops.map(u64::from),
        }
    }
}

/// `RTCIceCandidatePairStats`, as far as the agent sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CandidatePairStats {
    /// The pair.
    pub pair: CandidatePair,
    /// Our candidate, of [`Agent::local_candidates`](crate::Agent::local_candidates) (`localCandidateId`).
    pub local_candidate: CandidateId,
    /// Theirs, as [`Agent::add_remote_candidate`](crate::Agent::add_remote_candidate) named it (`remoteCandidateId`).
    pub remote_candidate: CandidateId,
    /// Its state.
    pub state: PairState,
    /// Its priority (RFC 8445 §6.1.2.3).
    pub priority: u64,
    /// The last round-trip time, to the microsecond.
    pub current_round_trip_time: Option<Duration>,
    /// The sum of all round-trip times measured, each to the microsecond.
    pub total_round_trip_time: Duration,
    /// Checks sent on it, without repetitions and consent checks.
    pub requests_sent: u64,
    /// Authenticated requests received on it, repetitions and consent checks included: they look alike.
    pub requests_received: u64,
    /// Answers sent on it.
    pub responses_sent: u64,
    /// Authenticated answers received on it, to consent checks as well.
    pub responses_received: u64,
    /// Consent checks sent on it.
    pub consent_requests_sent: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_stop_rather_than_overflow() {
        let mut rare = RareCounter::default();
        (0..300).for_each(|_| rare += 1);
        assert_eq!(u64::from(rare), 300);
        rare += u32::from(u16::MAX) - 301;
        assert_eq!(u64::from(rare), 65_534);
        for more in [1, 1, u32::MAX, 1] {
            rare += more;
            assert_eq!(u64::from(rare), 65_535);
        }
        let mut counter = Counter::default();
        counter += u32::MAX - 1;
        (0..3).for_each(|_| counter += 1);
        assert_eq!(u64::from(counter), u64::from(u32::MAX));
    }
}
