//! What the generations of an agent share: configuration, role, randomness, our candidates, and the queues out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use floe_stun::{
    AttributeType, ErrorCode, IntegrityAlgorithm, Message, TransactionId, TransactionIds,
};

use crate::address::FiveTuple;
use crate::candidate::CandidateId;
use crate::config::{Config, MAX_PENDING_RESPONSES, MAX_UNKNOWN_ATTRIBUTES, PROBE_BURST};
use crate::error::DropReason;
use crate::event::{Event, EventQueue};
use crate::local::LocalCandidates;
use crate::moment::Moment;
use crate::packed::Packed;
use crate::pair::PairId;
use crate::random::{Source, vary};
use crate::role::{Initiation, Mode, Role};
use crate::state::GatheringState;
use crate::stats::{Counters, Rare};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) mode: Mode,
    pub(crate) initiation: Initiation,
    /// Known with the remote parameters.
    pub(crate) role: Option<Role>,
    pub(crate) tie_breaker: u64,
    pub(crate) random: Source,
    pub(crate) ids: TransactionIds,
    pub(crate) tag: u32,
    pub(crate) locals: LocalCandidates,
    pub(crate) gathering: GatheringState,
    pub(crate) passing: Passing,
    pub(crate) responses: Responses,
    pub(crate) stats: Counters,
    /// What the input at hand may have changed.
    pub(crate) moved: Moved,
    /// Counts what has been named: candidates, ours and the peer's, and pairs.
    pub(crate) last_name: u32,
    /// Counts the generations, also those rolled back.
    pub(crate) last_generation: u16,
}

/// What waits for its time, to be told, or to be written behind other answers: with no room of its own while nothing does.
#[derive(Debug, Default)]
pub(crate) struct Passing(Option<Box<Matters>>);

#[derive(Debug, Default)]
struct Matters {
    turn: Turn,
    events: EventQueue,
    /// Those behind the one in place.
    answers: VecDeque<Queued>,
}

/// When what may happen that a pair in use does not wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Turn {
    /// Ta: no new check before this.
    pub(crate) next_check: Option<Moment>,
    /// The slot of the shared pacer that the next ordinary check has.
    pub(crate) slot: Option<Moment>,
    /// When the confirmed restart's old generation goes.
    pub(crate) retire_at: Option<Moment>,
}

impl Turn {
    fn last(&self) -> Option<Moment> {
        self.next_check.max(self.slot).max(self.retire_at)
    }
}

impl Passing {
    pub(crate) fn turn(&self) -> Turn {
        self.0
            .as_ref()
            .map_or_else(Turn::default, |passing| passing.turn)
    }

    pub(crate) fn turn_mut(&mut self) -> &mut Turn {
        &mut self.0.get_or_insert_default().turn
    }

    pub(crate) fn pop_event(&mut self) -> Option<Event> {
        let event = self.0.as_mut()?.events.pop();
        self.release();
        event
    }

    /// How many answers wait behind the one in place.
    fn answers(&self) -> usize {
        self.0.as_ref().map_or(0, |passing| passing.answers.len())
    }

    fn pop_answer(&mut self) -> Option<Queued> {
        let answer = self.0.as_mut()?.answers.pop_front();
        self.release();
        answer
    }

    /// Forgets what has come.
    #[inline]
    pub(crate) fn rest(&mut self, now: Moment) {
        let Some(passing) = &mut self.0 else { return };
        if passing.turn.last() <= Some(now) {
            passing.turn = Turn::default();
        }
        self.release();
    }

    /// Gives back what nothing is in any more.
    fn release(&mut self) {
        self.0.take_if(|passing| {
            let Matters {
                turn,
                events,
                answers,
            } = &mut **passing;
            if events.is_empty() {
                *events = EventQueue::default();
            }
            if answers.is_empty() {
                *answers = VecDeque::new();
            }
            turn.last().is_none() && events.is_empty() && answers.is_empty()
        });
    }
}

/// How much a message, or the time that has passed, has moved in an agent, besides counters and what there is to send: for who has
/// something to look at after each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Moved {
    /// A check was answered, or a datagram dropped.
    Nothing,
    /// Consent that was not in doubt goes on: nothing but the [deadline](crate::Agent::poll_timeout) is another.
    Deadline,
    /// Whatever there is.
    Anything,
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
    pub(crate) generation: u16,
    pub(crate) id: TransactionId,
    pub(crate) algorithm: IntegrityAlgorithm,
    pub(crate) answer: Answer,
}

/// What a request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Success,
    BadRequest,
    RoleConflict,
    /// We have failed, or consent has ended on this path: what the peer would send here, nobody wants (RFC 7675 §5.2).
    Forbidden,
    /// With the attributes that we do not know (RFC 8489 §6.3.1).
    UnknownAttributes,
    /// There is no USERNAME or no MAC (RFC 8489 §9.1.3): 400, and no MAC either.
    NoCredentials,
    /// The MAC is wrong (RFC 8489 §9.1.3): 401, and no MAC either.
    WrongCredentials,
}

impl Answer {
    /// Whether it is for somebody who has proved nothing.
    pub(crate) fn is_to_anybody(self) -> bool {
        matches!(self, Self::NoCredentials | Self::WrongCredentials)
    }

    /// What it says when it is an error.
    pub(crate) fn error_code(self) -> Option<ErrorCode> {
        match self {
            Self::Success => None,
            Self::BadRequest | Self::NoCredentials => Some(ErrorCode::BAD_REQUEST),
            Self::WrongCredentials => Some(ErrorCode::UNAUTHENTICATED),
            Self::RoleConflict => Some(ErrorCode::ROLE_CONFLICT),
            Self::Forbidden => Some(ErrorCode::FORBIDDEN),
            Self::UnknownAttributes => Some(ErrorCode::UNKNOWN_ATTRIBUTE),
        }
    }
}

impl Shared {
    /// Queues an event for the caller.
    pub(crate) fn tell(&mut self, event: Event) {
        let told = self.passing.0.get_or_insert_default().events.push(event);
        self.stats.add_rare(Rare::EventsDropped, u32::from(!told));
    }

    pub(crate) fn next_candidate_id(&mut self) -> CandidateId {
        CandidateId(self.next_name())
    }

    pub(crate) fn next_pair_id(&mut self) -> PairId {
        PairId::nth(self.next_name())
    }

    fn next_name(&mut self) -> u32 {
        // It goes round after 4 294 967 295 of them: who bore the first has long gone.
        self.last_name = self.last_name.wrapping_add(1);
        self.last_name
    }

    /// Whether there is an answer to write.
    #[inline]
    pub(crate) fn has_answer(&self) -> bool {
        self.responses.next.is_some() || self.passing.answers() > 0
    }

    /// Takes the next answer that waits to be written, with the attributes that it lists; it goes to the
    /// [path](Responses::path) of the responses.
    #[inline]
    pub(crate) fn next_answer(&mut self) -> Option<(Response, Vec<AttributeType>)> {
        self.responses.pop(&mut self.passing)
    }

    pub(crate) fn mint(&mut self) -> TransactionId {
        self.ids.mint(self.tag)
    }

    /// A duration varied by ±20 % (RFC 7675 §5.1), anew with each answer.
    #[inline]
    pub(crate) fn jittered(&self, mean: Duration) -> Duration {
        vary(mean, self.tie_breaker, self.stats.responses_received.get())
    }

    /// Ta, given what the peer asked for.
    pub(crate) fn pacing(&self, remote: Option<Duration>) -> Duration {
        self.config.timing.pacing_with(remote)
    }

    /// Whether the pace of probes that is shared with other agents lets one go.
    pub(crate) fn may_probe(&self, now: Moment) -> bool {
        let (probes, now) = (&self.config.probes, self.config.clock.instant(now));
        let slot = probes.as_ref().zip(now);
        slot.is_none_or(|(pacer, now)| pacer.try_reserve(now, PROBE_BURST))
    }

    /// Whether the pacer that is shared with other agents lets an ordinary check go.
    pub(crate) fn takes_slot(&mut self, now: Moment) -> bool {
        let Some(pacer) = &self.config.pacer else {
            return true;
        };
        let clock = &self.config.clock;
        let slot = self.passing.turn().slot.unwrap_or_else(|| {
            let reserved = clock.instant(now).map(|now| pacer.reserve(now));
            reserved.map_or(now, |at| clock.moment(at))
        });
        let due = now >= slot;
        self.passing.turn_mut().slot = (!due).then_some(slot);
        due
    }

    /// There is no ordinary check for the slot any more: somebody else's may have it.
    pub(crate) fn return_slot(&mut self) {
        let Some(slot) = self.passing.turn().slot else {
            return;
        };
        self.passing.turn_mut().slot = None;
        let slot = self.config.clock.instant(slot);
        if let (Some(pacer), Some(slot)) = (&self.config.pacer, slot) {
            pacer.give_back(slot);
        }
    }
}

/// An agent that is let go of without a word holds up nobody either.
impl Drop for Shared {
    fn drop(&mut self) {
        self.return_slot();
    }
}

/// The answers that wait to be written: one in place, because a caller that drains never has two; more in [`Passing`].
#[derive(Debug, Default)]
pub(crate) struct Responses {
    next: Option<Response>,
    /// Where the next one goes; kept afterwards, so that a long path has its room once.
    path: Option<Packed>,
}

/// An answer, where it goes, and the attributes that it lists.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) response: Response,
    pub(crate) path: FiveTuple,
    pub(crate) unknown: Vec<AttributeType>,
}

impl Responses {
    /// Queues an answer to this authenticated request. One to somebody who has proved nothing gives way.
    #[inline]
    pub(crate) fn push(
        &mut self,
        passing: &mut Passing,
        response: Response,
        path: &FiveTuple,
        request: &Message<'_>,
    ) -> Result<(), DropReason> {
        self.next.take_if(|next| next.answer.is_to_anybody());
        let plain = response.answer != Answer::UnknownAttributes;
        let waiting = passing.answers();
        if plain && self.next.is_none() && waiting == 0 {
            self.next = Some(response);
            self.set_path(path);
            return Ok(());
        }
        if waiting >= MAX_PENDING_RESPONSES {
            return Err(DropReason::Overloaded);
        }
        let unknown = request.unknown_required();
        let answers = &mut passing.0.get_or_insert_default().answers;
        answers.push_back(Queued {
            response,
            path: *path,
            unknown: unknown.take(MAX_UNKNOWN_ATTRIBUTES).collect(),
        });
        Ok(())
    }

    /// Reads something of what the next answer will need.
    #[inline]
    pub(crate) fn glance(&self) -> u8 {
        u8::from(self.path.is_some()) ^ u8::from(self.next.is_some())
    }

    /// Whether nothing waits, so that somebody who has proved nothing may be answered.
    pub(crate) fn are_empty(&self, passing: &Passing) -> bool {
        self.next.is_none() && passing.answers() == 0
    }

    /// Takes an answer to somebody who has proved nothing, when the others [are empty](Self::are_empty) and if its path has room
    /// without asking for any: as it is, or as a pair has it. Says whether it did.
    pub(crate) fn offer(
        &mut self,
        response: Response,
        path: &FiveTuple,
        known: Option<&Packed>,
    ) -> bool {
        let in_place = match &self.path {
            Some(place) => place.has_room_for(path),
            None => path.local.is_ipv4() && path.remote.is_ipv4(),
        };
        match known {
            _ if in_place => self.set_path(path),
            Some(known) => self.path = Some(known.clone()),
            None => return false,
        }
        self.next = Some(response);
        true
    }

    /// Takes the next one out, with the attributes that it lists; it goes to the [`path`](Self::path).
    #[inline]
    fn pop(&mut self, passing: &mut Passing) -> Option<(Response, Vec<AttributeType>)> {
        if let Some(response) = self.next.take() {
            return Some((response, Vec::new()));
        }
        let next = passing.pop_answer()?;
        self.set_path(&next.path);
        Some((next.response, next.unknown))
    }

    /// Where the one goes that was taken out last.
    #[inline]
    pub(crate) fn path(&self) -> Option<&Packed> {
        self.path.as_ref()
    }

    #[inline]
    fn set_path(&mut self, path: &FiveTuple) {
        match &mut self.path {
            Some(place) => place.set(path),
            None => self.path = Some((*path).into()),
        }
    }

    pub(crate) fn clear(&mut self, passing: &mut Passing) {
        *self = Self::default();
        while passing.pop_answer().is_some() {}
    }

    /// The place for the next path has one that is kept elsewhere too.
    pub(crate) fn share(&mut self, path: &Packed) {
        if let Some(place) = &mut self.path {
            place.share(path);
        }
    }
}
