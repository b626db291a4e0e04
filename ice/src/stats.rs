//! Counters: of an agent, and of a pair in W3C's words (`RTCIceCandidatePairStats`).

use std::time::Duration;

use crate::candidate::CandidateId;
use crate::error::DropReason;
use crate::pair::{CandidatePair, PairState};

/// What an agent has counted since it was made.
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
    /// Role conflicts that we settled, either way.
    pub role_conflicts: u64,
    /// Remote candidates that were not taken: over the cap, late, of another generation, or not sendable.
    pub candidates_ignored: u64,
    /// Pairs that were not formed because the checklist was full.
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

    pub(crate) fn count(&mut self, reason: DropReason) {
        if let Some(counter) = self.drops.get_mut(reason as usize) {
            *counter += 1;
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
    /// The last round-trip time.
    pub current_round_trip_time: Option<Duration>,
    /// The sum of all round-trip times measured.
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
