//! Candidate pairs and their five states (RFC 8445 §6.1.2).
//!
//! ```text
//!   Frozen ──unfreeze──► Waiting ──check sent──► InProgress ──success──► Succeeded
//!                           ▲                        │                       │
//!                           └──triggered check───────┤                       │ consent lost,
//!                           └──triggered check──── Failed ◄── error, timeout ┘ nomination failed
//! ```

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::address::FiveTuple;
use crate::budget::Credit;
use crate::candidate::{CandidateId, CandidateType};
use crate::left_out::Rank;
use crate::moment::Moment;
use crate::packed::Packed;
use crate::priority;
use crate::role::Role;
use crate::stats::Counter;

/// Names a pair of one agent. Kept when a peer-reflexive candidate turns out to be a signalled one; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PairId(NonZeroU32);

impl PairId {
    /// Of a pair that has no name yet.
    pub(crate) const NONE: Self = Self(NonZeroU32::MAX);

    /// The name with this number, from 1 on.
    pub(crate) const fn nth(number: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(number))
    }
}

impl fmt::Display for PairId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pair {}", self.0.get() - 1)
    }
}

/// The state of a pair (RFC 8445 §6.1.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PairState {
    /// Not to be checked before another of its foundation succeeds.
    Frozen,
    /// To be checked.
    Waiting,
    /// A check is under way.
    InProgress,
    /// A check succeeded.
    Succeeded,
    /// A check failed, or consent was lost.
    Failed,
}

impl PairState {
    /// Whether a check is still to come or under way.
    pub(crate) fn is_unfinished(self) -> bool {
        matches!(self, Self::Frozen | Self::Waiting | Self::InProgress)
    }

    /// The whole transition matrix (the diagram above).
    pub(crate) fn may_become(self, to: Self) -> bool {
        use PairState::{Failed, Frozen, InProgress, Succeeded, Waiting};
        match self {
            Frozen => to == Waiting,
            // An answer to a cancelled check may still come.
            Waiting => matches!(to, InProgress | Succeeded | Failed),
            InProgress => matches!(to, Succeeded | Failed | Waiting),
            Succeeded => to == Failed,
            Failed => matches!(to, Waiting | Succeeded),
        }
    }
}

/// A pair, as it is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CandidatePair {
    /// Its name.
    pub id: PairId,
    /// The path its datagrams take; `local` is the base.
    pub path: FiveTuple,
    /// How our candidate was found.
    pub local: CandidateType,
    /// How theirs was found.
    pub remote: CandidateType,
    /// Whether it is nominated, or only the best that works so far.
    pub nominated: bool,
    /// The smoothed round-trip time, if a check was answered without retransmission.
    pub rtt: Option<Duration>,
}

/// Round-trip times: the last, the sum of all, the smoothed (RFC 6298 §2: α = 1/8). In microseconds, zero before the
/// first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoundTrip {
    smoothed: u32,
    current: u32,
    total: u64,
}

impl RoundTrip {
    #[inline]
    pub(crate) fn record(&mut self, sample: Duration) {
        let whole = sample.as_secs().saturating_mul(1_000_000);
        let micros = whole.saturating_add(sample.subsec_micros().into());
        // An answer within a microsecond is one nevertheless.
        let sample = u32::try_from(micros).unwrap_or(u32::MAX).max(1);
        self.total += u64::from(sample);
        self.smoothed = match self.smoothed {
            0 => sample,
            smoothed => (smoothed - smoothed / 8 + sample / 8).max(1),
        };
        self.current = sample;
    }

    pub(crate) fn smoothed(&self) -> Option<Duration> {
        (self.smoothed != 0).then(|| Duration::from_micros(self.smoothed.into()))
    }

    pub(crate) fn current(&self) -> Option<Duration> {
        (self.current != 0).then(|| Duration::from_micros(self.current.into()))
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_micros(self.total)
    }
}

/// What the application said about a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Nothing: the policy decides.
    Open,
    /// It is the one to nominate.
    Forced,
    /// It is never to be used.
    Vetoed,
}

/// Message counters of W3C's candidate-pair statistics.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PairCounters {
    pub(crate) requests_sent: Counter,
    pub(crate) requests_received: Counter,
    pub(crate) responses_sent: Counter,
    pub(crate) responses_received: Counter,
    pub(crate) consent_requests_sent: Counter,
}

#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) id: PairId,
    pub(crate) path: Packed,
    pub(crate) local: End,
    pub(crate) remote: End,
    /// Our role, on which its priority depends.
    pub(crate) role: Role,
    /// What PRIORITY says in its checks.
    pub(crate) check_priority: u32,
    state: PairState,
    /// When a check was answered last, or to a lite agent came last: consent on this path counts from here.
    pub(crate) answered: Option<Moment>,
    pub(crate) wish: Option<Wished>,
    pub(crate) ruling: Ruling,
    /// How many checks may still go there.
    pub(crate) credit: Credit,
    pub(crate) round_trip: RoundTrip,
    pub(crate) counters: PairCounters,
}

/// A [`Wish`](crate::nomination::Wish), as it is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wished {
    pub(crate) at: Moment,
    number: Number,
}

/// NOMINATION in the peer's wishes for a pair.
#[derive(Clone, Copy, Debug)]
enum Number {
    None,
    /// The greatest, which the latest wish carried.
    OfLatest(u32),
    /// The greatest, while the latest wish carried none.
    OfEarlier(u32),
}

impl Wished {
    pub(crate) fn new(at: Moment, nomination: Option<u32>) -> Self {
        Self {
            at,
            number: nomination.map_or(Number::None, Number::OfLatest),
        }
    }

    /// With what was said before: what is late or replayed takes no number back.
    pub(crate) fn after(self, earlier: Option<Self>) -> Self {
        let number = match (self.number, earlier.and_then(Self::nomination)) {
            (number, None) => number,
            (Number::None, Some(counted)) => Number::OfEarlier(counted),
            (Number::OfLatest(value), Some(counted)) => Number::OfLatest(value.max(counted)),
            (Number::OfEarlier(value), Some(counted)) => Number::OfEarlier(value.max(counted)),
        };
        Self { number, ..self }
    }

    /// The greatest that came.
    pub(crate) fn nomination(self) -> Option<u32> {
        match self.number {
            Number::None => None,
            Number::OfLatest(value) | Number::OfEarlier(value) => Some(value),
        }
    }

    /// Whether the latest wish carried one.
    pub(crate) fn is_numbered(self) -> bool {
        matches!(self.number, Number::OfLatest(_))
    }
}

/// What a pair remembers of its candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) id: CandidateId,
    pub(crate) kind: CandidateType,
    pub(crate) priority: u32,
    pub(crate) epoch: u16,
}

impl Pair {
    /// Reads something of what a check on it will need.
    #[inline]
    pub(crate) fn glance(&self) -> u8 {
        u8::from(self.answered.is_some()) ^ self.check_priority as u8
    }

    /// A pair that has its name and our role from the checklist it is added to.
    pub(crate) fn new(path: impl Into<Packed>, local: End, remote: End, state: PairState) -> Self {
        Self {
            id: PairId::NONE,
            path: path.into(),
            local,
            remote,
            role: Role::Controlled,
            check_priority: priority::as_peer_reflexive(local.priority),
            state,
            answered: None,
            wish: None,
            ruling: Ruling::Open,
            credit: Credit::EARNED,
            round_trip: RoundTrip::default(),
            counters: PairCounters::default(),
        }
    }

    pub(crate) fn path(&self) -> FiveTuple {
        self.path.unpack()
    }

    /// RFC 8445 §6.1.2.3.
    pub(crate) fn priority(&self) -> u64 {
        priority::pair(self.role, self.local.priority, self.remote.priority)
    }

    pub(crate) fn state(&self) -> PairState {
        self.state
    }

    pub(crate) fn become_state(&mut self, to: PairState) {
        debug_assert!(
            self.state == to || self.state.may_become(to),
            "{:?} to {to:?}",
            self.state
        );
        self.state = to;
    }

    pub(crate) fn rank(&self) -> Rank {
        Rank::of(&self.local, &self.remote)
    }

    /// Takes another name of the same base if that is better, and none was said in a check yet.
    pub(crate) fn take_better(&mut self, local: End) {
        let waits = matches!(self.state, PairState::Frozen | PairState::Waiting);
        if waits && local.priority > self.local.priority {
            self.local = local;
            self.check_priority = priority::as_peer_reflexive(local.priority);
        }
    }

    /// Whether a full checklist drops it for a better one: nothing has begun on it, and nobody has asked for it.
    pub(crate) fn gives_way(&self, triggered: &[PairId]) -> bool {
        matches!(self.state, PairState::Frozen | PairState::Waiting)
            && self.ruling == Ruling::Open
            && !triggered.contains(&self.id)
    }

    pub(crate) fn is_vetoed(&self) -> bool {
        self.ruling == Ruling::Vetoed
    }

    /// Greater on a newer network, of either side.
    pub(crate) fn epoch(&self) -> u32 {
        u32::from(self.local.epoch) + u32::from(self.remote.epoch)
    }

    /// The pair as it is reported, not nominated.
    pub(crate) fn view(&self) -> CandidatePair {
        CandidatePair {
            id: self.id,
            path: self.path(),
            local: self.local.kind,
            remote: self.remote.kind,
            nominated: false,
            rtt: self.round_trip.smoothed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: I3
    #[test]
    fn the_transition_matrix_is_the_diagram() {
        use PairState::{Failed, Frozen, InProgress, Succeeded, Waiting};
        let states = [Frozen, Waiting, InProgress, Succeeded, Failed];
        let matrix: Vec<String> = states
            .iter()
            .map(|from| {
                states
                    .iter()
                    .map(|to| if from.may_become(*to) { 'x' } else { '.' })
                    .collect()
            })
            .collect();
        //                  F    W    I    S    F
        assert_eq!(matrix, [".x...", "..xxx", ".x.xx", "....x", ".x.x."]);
    }

    // req: I25
    #[test]
    fn round_trips_are_smoothed_by_an_eighth() {
        let mut round_trip = RoundTrip::default();
        round_trip.record(Duration::from_millis(80));
        assert_eq!(round_trip.smoothed(), Some(Duration::from_millis(80)));
        round_trip.record(Duration::from_millis(160));
        assert_eq!(round_trip.smoothed(), Some(Duration::from_millis(90)));
        assert_eq!(round_trip.current(), Some(Duration::from_millis(160)));
        assert_eq!(round_trip.total(), Duration::from_millis(240));
    }
}
