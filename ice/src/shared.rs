//! What the generations of an agent share: configuration, role, randomness, our candidates, and the queues out.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use floe_stun::{AttributeType, IntegrityAlgorithm, TransactionId, TransactionIds};

use crate::address::FiveTuple;
use crate::candidate::CandidateId;
use crate::config::{CONSENT_JITTER, Config, MAX_PENDING_RESPONSES};
use crate::error::DropReason;
use crate::event::EventQueue;
use crate::list::List;
use crate::local::LocalCandidates;
use crate::moment::{Clock, Moment};
use crate::packed::Packed;
use crate::pair::PairId;
use crate::random::{Jitter, Random};
use crate::role::{Mode, Role};
use crate::state::GatheringState;
use crate::stats::Counters;
use crate::timing::Timing;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    pub(crate) timing: Timers,
    pub(crate) mode: Mode,
    /// Known with the remote parameters.
    pub(crate) role: Option<Role>,
    pub(crate) tie_breaker: u64,
    pub(crate) random: Random,
    pub(crate) ids: TransactionIds,
    pub(crate) tag: u32,
    pub(crate) locals: LocalCandidates,
    pub(crate) gathering: GatheringState,
    /// Ta: no new check before this.
    pub(crate) next_check: Option<Moment>,
    /// The slot of the shared pacer that the next ordinary check has.
    pub(crate) slot: Option<Moment>,
    pub(crate) responses: Responses,
    pub(crate) events: EventQueue,
    pub(crate) stats: Counters,
    pub(crate) jitter: Jitter,
    /// What the input at hand may have changed.
    pub(crate) effect: Effect,
    pub(crate) last_candidate: u32,
    pub(crate) last_pair: u32,
    /// Counts the generations, also those rolled back.
    pub(crate) last_generation: u32,
}

/// What is to be looked at after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Everything.
    Any,
    /// Consent that was not in doubt goes on: only the deadline has moved.
    Renewed,
    /// Nothing but counters has changed.
    None,
}

/// The timers in force.
#[derive(Debug)]
pub(crate) enum Timers {
    Configured(Arc<Config>),
    Changed(Box<Timing>),
}

impl Deref for Timers {
    type Target = Timing;

    fn deref(&self) -> &Timing {
        match self {
            Self::Configured(config) => &config.timing,
            Self::Changed(timing) => timing,
        }
    }
}

/// What a check is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Connectivity,
    /// With the value of NOMINATION, when renominating.
    Nomination(Option<u32>),
    Consent,
}

/// One answer to send, small until it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Response {
    /// Which generation's credentials.
    pub(crate) generation: u32,
    pub(crate) id: TransactionId,
    pub(crate) algorithm: IntegrityAlgorithm,
    pub(crate) answer: Answer,
}

/// What a request is answered with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Success,
    BadRequest,
    RoleConflict,
    /// We have failed: what the peer would send here, nobody wants (RFC 7675 §5.2).
    Forbidden,
    /// The first of the attributes we do not know.
    UnknownAttributes([Option<AttributeType>; 4]),
}

impl Shared {
    pub(crate) fn next_candidate_id(&mut self) -> CandidateId {
        self.last_candidate += 1;
        CandidateId(self.last_candidate)
    }

    pub(crate) fn next_pair_id(&mut self) -> PairId {
        self.last_pair += 1;
        PairId(self.last_pair)
    }

    pub(crate) fn mint(&mut self) -> TransactionId {
        self.ids.mint(self.tag)
    }

    /// A duration varied by ±20 % (RFC 7675 §5.1).
    pub(crate) fn jittered(&mut self, mean: Duration) -> Duration {
        let span = CONSENT_JITTER.end() - CONSENT_JITTER.start() + 1;
        let draw = u32::from(self.jitter.next());
        let thousandths = CONSENT_JITTER.start() + draw % span;
        // In one unit of 64 bits: this is done for every answer.
        let mean = u64::try_from(mean.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos((mean / 1000).saturating_mul(thousandths.into()))
    }

    /// Ta, given what the peer asked for.
    pub(crate) fn pacing(&self, remote: Option<Duration>) -> Duration {
        self.timing.pacing_with(remote)
    }

    /// Whether the pacer that is shared with other agents lets an ordinary check go.
    pub(crate) fn takes_slot(&mut self, now: Moment) -> bool {
        let Some(pacer) = &self.config.pacer else {
            return true;
        };
        let (clock, slot) = (&mut self.clock, &mut self.slot);
        let slot = *slot.get_or_insert_with(|| {
            let reserved = clock.instant(now).map(|now| pacer.reserve(now));
            reserved.map_or(now, |at| clock.moment(at))
        });
        let due = now >= slot;
        self.slot = (!due).then_some(slot);
        due
    }
}

/// The answers that wait to be written: one in place, because a caller that drains never has two; more on the heap.
#[derive(Debug, Default)]
pub(crate) struct Responses {
    next: Option<Response>,
    /// Where the next one goes; kept afterwards, so that a long path has its room once.
    path: Option<Packed>,
    more: List<(Response, FiveTuple)>,
}

impl Responses {
    pub(crate) fn push(&mut self, response: Response, path: FiveTuple) -> Result<(), DropReason> {
        match &self.next {
            None => self.place(response, path),
            Some(_) if self.more.len() < MAX_PENDING_RESPONSES => self.more.push((response, path)),
            Some(_) => return Err(DropReason::Overloaded),
        }
        Ok(())
    }

    /// The next one, and where it goes.
    pub(crate) fn first(&self) -> Option<(&Response, FiveTuple)> {
        Some((self.next.as_ref()?, self.path.as_ref()?.unpack()))
    }

    pub(crate) fn advance(&mut self) {
        self.next = None;
        if let Some((response, path)) = self.more.pop_front() {
            self.place(response, path);
        }
    }

    fn place(&mut self, response: Response, path: FiveTuple) {
        self.next = Some(response);
        match &mut self.path {
            Some(place) => place.set(path),
            None => self.path = Some(path.into()),
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
