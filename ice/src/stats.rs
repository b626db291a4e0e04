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
    /// Answers sent to authenticated requests.
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
    /// End-of-candidates under a username fragment of no live generation.
    pub ends_of_candidates_ignored: u64,
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

impl Counter {
    pub(crate) fn get(self) -> u32 {
        self.0
    }
}

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
    #[inline]
    pub(crate) fn glance(&self) -> u8 {
        self.requests_received.0 as u8
    }
}

/// [`Stats`] as the agent keeps them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests_sent: Counter,
    pub(crate) requests_received: Counter,
    pub(crate) responses_sent: Counter,
    pub(crate) responses_received: Counter,
    pub(crate) consent_requests_sent: Counter,
    /// Of the reasons that anybody's datagram can give, in their order: what proves nothing takes no room (I41).
    of_anybody: [RareCounter; DropReason::OF_ANYBODY],
    rare: RareCounters,
}

/// What is counted, happens seldom, and takes the peer that has proved itself, the caller or time to happen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rare {
    ErrorResponsesReceived,
    RoleConflicts,
    CandidatesIgnored,
    CandidatesRefused,
    EndsOfCandidatesIgnored,
    RemoteCandidatesDropped,
    PeerReflexiveReplaced,
    TransactionsDropped,
    PairsDropped,
    EarlyRequestsDropped,
    EventsDropped,
    AsymmetricResponses,
    AnswersDropped,
}

const KINDS: usize = Rare::AnswersDropped as usize + 1;

/// A counter for each of them. Most agents meet none: the first makes room for all, once and for ever.
#[derive(Debug, Default)]
struct RareCounters(Option<Box<[RareCounter; KINDS]>>);

impl RareCounters {
    fn add(&mut self, kind: Rare, more: u32) {
        if more > 0
            && let Some(counter) = self.0.get_or_insert_default().get_mut(kind as usize)
        {
            *counter += more;
        }
    }

    fn get(&self, kind: Rare) -> RareCounter {
        let counter = self.0.as_ref().and_then(|all| all.get(kind as usize));
        counter.copied().unwrap_or_default()
    }
}

/// Where a reason is counted.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Among those of anybody, in place.
    OfAnybody(usize),
    /// Among what is rare, with room of its own.
    Rare(Rare),
}

impl Place {
    fn of(reason: DropReason) -> Self {
        match reason {
            // What only an authentic message can be dropped for.
            DropReason::AsymmetricResponse => Self::Rare(Rare::AsymmetricResponses),
            DropReason::Overloaded => Self::Rare(Rare::AnswersDropped),
            DropReason::Malformed
            | DropReason::TooLong
            | DropReason::MissingFingerprint
            | DropReason::BadFingerprint
            | DropReason::UnknownMethod
            | DropReason::RefusedAddress
            | DropReason::MissingUsername
            | DropReason::UnknownUsername
            | DropReason::MissingIntegrity
            | DropReason::BadIntegrity
            | DropReason::IntegrityBudget
            | DropReason::UnknownTransaction
            | DropReason::PairSucceeded
            | DropReason::Closed => Self::OfAnybody(reason as usize),
        }
    }
}

impl Counters {
    pub(crate) fn count(&mut self, reason: DropReason) {
        match Place::of(reason) {
            Place::Rare(kind) => self.count_rare(kind),
            Place::OfAnybody(place) => {
                if let Some(counter) = self.of_anybody.get_mut(place) {
                    *counter += 1;
                }
            }
        }
    }

    pub(crate) fn count_rare(&mut self, kind: Rare) {
        self.add_rare(kind, 1);
    }

    pub(crate) fn add_rare(&mut self, kind: Rare, more: u32) {
        self.rare.add(kind, more);
    }

    /// Whether the address filter has refused a candidate that was signalled.
    pub(crate) fn has_refused(&self) -> bool {
        self.rare.get(Rare::CandidatesRefused).0 > 0
    }

    pub(crate) fn report(&self) -> Stats {
        let rare = |kind| self.rare.get(kind).into();
        let counted = |reason| match Place::of(reason) {
            Place::Rare(kind) => rare(kind),
            Place::OfAnybody(place) => {
                let counter = self.of_anybody.get(place).copied();
                counter.unwrap_or_default().into()
            }
        };
        Stats {
            requests_sent: self.requests_sent.into(),
            requests_received: self.requests_received.into(),
            responses_sent: self.responses_sent.into(),
            responses_received: self.responses_received.into(),
            error_responses_received: rare(Rare::ErrorResponsesReceived),
            consent_requests_sent: self.consent_requests_sent.into(),
            role_conflicts: rare(Rare::RoleConflicts),
            candidates_ignored: rare(Rare::CandidatesIgnored),
            candidates_refused: rare(Rare::CandidatesRefused),
            ends_of_candidates_ignored: rare(Rare::EndsOfCandidatesIgnored),
            remote_candidates_dropped: rare(Rare::RemoteCandidatesDropped),
            peer_reflexive_replaced: rare(Rare::PeerReflexiveReplaced),
            transactions_dropped: rare(Rare::TransactionsDropped),
            pairs_dropped: rare(Rare::PairsDropped),
            early_requests_dropped: rare(Rare::EarlyRequestsDropped),
            events_dropped: rare(Rare::EventsDropped),
            drops: DropReason::ALL.map(counted),
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

    // req: I41
    #[test]
    fn every_reason_has_a_counter_of_its_own_and_those_of_anybody_take_no_room() {
        assert_eq!(size_of::<Counters>(), 56);
        let mut counters = Counters::default();
        for (place, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
            let room = allocation_counter::measure(|| {
                (0..=place).for_each(|_| counters.count(reason));
            });
            // All that cannot be counted in place come last, and share theirs.
            let first = place == DropReason::OF_ANYBODY;
            assert_eq!(room.count_total, u64::from(first), "{reason:?}");
        }
        let stats = counters.report();
        for (place, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(stats.dropped(reason), place as u64 + 1, "{reason:?}");
        }
        let all = DropReason::COUNT as u64;
        assert_eq!(stats.dropped_total(), all * (all + 1) / 2);
    }

    #[test]
    fn what_is_rare_takes_room_once_and_nothing_takes_none() {
        let mut rare = RareCounters::default();
        let nothing = allocation_counter::measure(|| rare.add(Rare::PairsDropped, 0));
        assert_eq!(nothing.count_total, 0);
        let all = allocation_counter::measure(|| {
            rare.add(Rare::PairsDropped, 2);
            rare.add(Rare::EventsDropped, 3);
            rare.add(Rare::PairsDropped, 5);
        });
        assert_eq!((all.count_total, all.bytes_total), (1, 26));
        assert_eq!(u64::from(rare.get(Rare::PairsDropped)), 7);
        assert_eq!(u64::from(rare.get(Rare::EventsDropped)), 3);
        assert_eq!(u64::from(rare.get(Rare::RoleConflicts)), 0);
    }

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
