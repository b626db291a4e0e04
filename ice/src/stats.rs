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
    /// How many candidates have been named, ours and the peer's. Not reported; counted here, where there is room for it.
    pub(crate) candidates: u32,
    rare: RareCounters,
}

/// What is counted and happens seldom, besides the [`DropReason`]s.
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
}

/// Behind these come the reasons.
const FIRST_REASON: usize = Rare::EventsDropped as usize + 1;
const KINDS: usize = FIRST_REASON + DropReason::COUNT;
/// As many as fit into two words.
const IN_PLACE: usize = 5;

/// A counter for each of many kinds, most of which an agent never meets: the first five that it does have their counts in place.
/// The sixth makes room for all, once and for ever.
#[derive(Debug)]
enum RareCounters {
    InPlace {
        kinds: [u8; IN_PLACE],
        counts: [RareCounter; IN_PLACE],
    },
    All(Box<[RareCounter; KINDS]>),
}

impl Default for RareCounters {
    fn default() -> Self {
        Self::InPlace {
            kinds: [0; IN_PLACE],
            counts: [RareCounter(0); IN_PLACE],
        }
    }
}

impl RareCounters {
    fn add(&mut self, kind: usize, more: u32) {
        if more == 0 {
            return;
        }
        if let Some(counter) = self.counter(kind) {
            return *counter += more;
        }
        let mut all = Box::new([RareCounter(0); KINDS]);
        for (kind, counter) in all.iter_mut().enumerate() {
            *counter = self.get(kind);
        }
        if let Some(counter) = all.get_mut(kind) {
            *counter += more;
        }
        *self = Self::All(all);
    }

    /// The counter of this kind, unless there is no room for it.
    fn counter(&mut self, kind: usize) -> Option<&mut RareCounter> {
        match self {
            Self::InPlace { kinds, counts } => {
                let mut places = kinds.iter_mut().zip(counts);
                // They are taken in order, and what is taken is never zero.
                let (of, counter) =
                    places.find(|(of, count)| usize::from(**of) == kind || count.0 == 0)?;
                *of = kind as u8;
                Some(counter)
            }
            Self::All(all) => all.get_mut(kind),
        }
    }

    fn get(&self, kind: usize) -> RareCounter {
        match self {
            Self::InPlace { kinds, counts } => {
                let place = kinds.iter().position(|of| usize::from(*of) == kind);
                place.and_then(|place| counts.get(place).copied())
            }
            Self::All(all) => all.get(kind).copied(),
        }
        .unwrap_or_default()
    }
}

impl Counters {
    pub(crate) fn count(&mut self, reason: DropReason) {
        self.rare.add(FIRST_REASON + reason as usize, 1);
    }

    pub(crate) fn count_rare(&mut self, kind: Rare) {
        self.add_rare(kind, 1);
    }

    pub(crate) fn add_rare(&mut self, kind: Rare, more: u32) {
        self.rare.add(kind as usize, more);
    }

    /// Whether the address filter has refused a candidate that was signalled.
    pub(crate) fn has_refused(&self) -> bool {
        self.rare.get(Rare::CandidatesRefused as usize).0 > 0
    }

    pub(crate) fn report(&self) -> Stats {
        let rare = |kind: Rare| self.rare.get(kind as usize).into();
        let mut drops = [0; DropReason::COUNT];
        for (place, count) in (FIRST_REASON..).zip(&mut drops) {
            *count = self.rare.get(place).into();
        }
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
            drops,
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
    fn rare_counts_are_right_however_many_kinds_there_are_and_take_room_when_there_are_many() {
        assert_eq!(size_of::<RareCounters>(), 16);
        let mut rare = RareCounters::default();
        let mut plain = [0; KINDS];
        let mut count = |kinds: std::ops::Range<usize>| {
            for kind in kinds.rev().flat_map(|kind| [kind, kind]) {
                rare.add(kind, 0);
                rare.add(kind, kind as u32 + 1);
                plain[kind] += kind as u64 + 1;
            }
            let counted: Vec<u64> = (0..KINDS).map(|kind| rare.get(kind).into()).collect();
            assert_eq!(counted, plain);
        };
        let in_place = allocation_counter::measure(|| count(3..3 + IN_PLACE));
        assert_eq!(in_place.count_current, 0);
        let all = allocation_counter::measure(|| count(0..KINDS));
        assert_eq!(all.count_current, 1);
        let again = allocation_counter::measure(|| count(0..KINDS));
        assert_eq!(again.count_current, 0);
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
