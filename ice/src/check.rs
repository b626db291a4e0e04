//! The client side of checks (RFC 8445 §7.2): sending them at their pace, and what their answers mean.

use std::net::SocketAddr;
use std::time::Duration;

use floe_stun::{
    Class, ErrorCode, Message, Schedule, TimeoutReason, Transaction, TransactionAction, Verified,
};

use crate::address::{FiveTuple, canonical};
use crate::candidate::Candidate;
use crate::checklist::Checklist;
use crate::error::DropReason;
use crate::event::Event;
use crate::generation::{Generation, foundation_of};
use crate::local::Local;
use crate::moment::Moment;
use crate::pair::{End, Pair, PairId, PairState};
use crate::random::Label;
use crate::role::{Mode, Role};
use crate::selection::Selection;
use crate::shared::{Purpose, Shared, Turn};
use crate::state::Reason;
use crate::stats::Rare;
use crate::timing::Timing;

/// A connectivity or nomination check under way.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) transaction: Transaction,
    pub(crate) pair: PairId,
    pub(crate) purpose: Purpose,
    /// The role it claimed.
    pub(crate) role: Role,
    pub(crate) last_sent: Moment,
    /// Whether it is to be written (again).
    pub(crate) due: bool,
    /// Replaced by a triggered check: not sent again and not missed, but its answer counts (RFC 8445 §7.3.1.4).
    pub(crate) cancelled: bool,
}

impl Generation {
    /// Everything that time alone brings about.
    pub(crate) fn run(&mut self, shared: &mut Shared, now: Moment) {
        if self.failed.is_some() {
            return;
        }
        self.run_checks(shared, now);
        self.run_consent(shared, now);
        self.fall_back(shared, now);
        self.run_deferred(shared, now);
        self.assume_end_of_candidates(shared, now);
        self.apply_policy(shared, now);
        self.start_checks(shared, now);
    }

    fn run_checks(&mut self, shared: &Shared, now: Moment) {
        let Some(instant) = shared.config.clock.instant(now) else {
            return;
        };
        let mut given_up: Vec<(PairId, TimeoutReason)> = Vec::new();
        for check in self
            .checklist
            .under_way
            .checks_mut()
            .iter_mut()
            .filter(|check| !check.cancelled)
        {
            match check.transaction.handle_timeout(instant) {
                TransactionAction::Idle => {}
                TransactionAction::Retransmit => {
                    let pair = self.checklist.pairs.iter_mut().find(|p| p.id == check.pair);
                    if !pair.is_some_and(|pair| pair.credit.take()) {
                        continue;
                    }
                    check.last_sent = now;
                    check.due = true;
                }
                TransactionAction::TimedOut(reason) => given_up.push((check.pair, reason)),
            }
        }
        for (pair, reason) in given_up {
            if reason == TimeoutReason::IntegrityViolated {
                self.search.waits().integrity_violated = true;
            }
            match shared.mode {
                Mode::Full => self.fail_pair(pair),
                // The path is not proven; the peer's checks are what a lite agent's pairs live by.
                Mode::Lite => self.checklist.under_way.retain(|check| check.pair != pair),
            }
        }
    }

    /// One new check per Ta (RFC 8445 §6.1.4.2).
    fn start_checks(&mut self, shared: &mut Shared, now: Moment) {
        if self.peer.is_none() || shared.mode == Mode::Lite {
            return;
        }
        let pacing = self.pacing(shared);
        if shared.passing.turn().next_check.is_some_and(|at| now < at) {
            return;
        }
        let Some(id) = self
            .checklist
            .next_triggered()
            .or_else(|| self.next_ordinary(shared, now))
        else {
            return;
        };
        if let Some(pair) = self.checklist.get_mut(id) {
            pair.become_state(PairState::InProgress);
        }
        shared.passing.turn_mut().next_check = Some(now + pacing);
        self.send_check(shared, now, id, Purpose::Connectivity);
    }

    fn next_ordinary(&mut self, shared: &mut Shared, now: Moment) -> Option<PairId> {
        let due = |due: Moment| now >= due;
        if !(self.has_next(shared) || self.left_out_due(shared).is_some_and(due))
            || !shared.takes_slot(now)
        {
            return None;
        }
        self.form_left_out(shared, now);
        let (locals, remotes) = (&shared.locals, &self.remotes);
        self.checklist
            .next_ordinary(|pair| foundation_of(locals, remotes, pair.local.id, pair.remote.id))
    }

    fn has_next(&self, shared: &Shared) -> bool {
        let foundation = |pair: &Pair| {
            foundation_of(&shared.locals, &self.remotes, pair.local.id, pair.remote.id)
        };
        self.checklist.has_next(foundation)
    }

    pub(crate) fn next_check_deadline(&self, shared: &Shared) -> Option<Moment> {
        let may = self.failed.is_none() && self.peer.is_some() && shared.mode == Mode::Full;
        if !may {
            return None;
        }
        let Turn {
            next_check, slot, ..
        } = shared.passing.turn();
        let turn = next_check.max(slot.filter(|_| self.checklist.under_way.triggered().is_empty()));
        match self.has_next(shared) {
            true => turn,
            false => self
                .left_out_due(shared)
                .map(|due| turn.map_or(due, |turn| turn.max(due))),
        }
    }

    pub(crate) fn send_check(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        id: PairId,
        purpose: Purpose,
    ) {
        let rto = self.rto(shared);
        let (Some(role), Some(pair), Some(instant)) = (
            shared.role,
            self.checklist.get_mut(id),
            shared.config.clock.instant(now),
        ) else {
            return;
        };
        let may_go = pair.credit.take();
        let schedule = schedule_of(&pair.path(), rto, &shared.config.timing);
        let transaction = Transaction::new(instant, shared.mint(), schedule);
        self.checklist.under_way.push(Check {
            transaction,
            pair: id,
            purpose,
            role,
            last_sent: now,
            due: may_go,
            cancelled: false,
        });
    }

    /// Other timers hold for the checks that are under way (I24).
    pub(crate) fn reschedule(&mut self, shared: &Shared) {
        let rto = self.rto(shared);
        let Checklist {
            pairs, under_way, ..
        } = &mut self.checklist;
        for check in under_way.checks_mut() {
            if let Some(pair) = pairs.iter().find(|pair| pair.id == check.pair) {
                let schedule = schedule_of(&pair.path(), rto, &shared.config.timing);
                check.transaction.reschedule(schedule);
            }
        }
    }

    /// RFC 8445 §14.3, capped.
    pub(crate) fn rto(&self, shared: &Shared) -> Duration {
        let open = |state| matches!(state, PairState::Waiting | PairState::InProgress);
        let count = self
            .checklist
            .pairs
            .iter()
            .filter(|pair| open(pair.state()))
            .count();
        let pacing = self.pacing(shared);
        let timing = &shared.config.timing;
        pacing
            .saturating_mul(count as u32)
            .min(timing.max_rto)
            .max(timing.rto)
    }

    #[inline]
    pub(crate) fn is_mine(&self, message: &Message<'_>) -> bool {
        let id = message.transaction_id();
        self.checklist
            .under_way
            .checks()
            .iter()
            .any(|check| check.transaction.id() == id)
            || self
                .selected
                .as_ref()
                .is_some_and(|selected| selected.consent.is_outstanding(&id))
    }

    /// A response to one of our checks (RFC 8445 §7.2.5). `Ok` once it is authenticated and was consumed.
    pub(crate) fn on_response(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        path: &FiveTuple,
        message: &Message<'_>,
    ) -> Result<(), DropReason> {
        let id = message.transaction_id();
        let Some(peer) = &self.peer else {
            return Err(DropReason::UnknownTransaction);
        };
        let verified = match message.verify_sha1(&peer.key) {
            Ok(verified) => verified,
            Err(error) => {
                // The transaction stays open: the real answer may still come (RFC 8489 §9.1.4).
                if let Some(check) = self
                    .checklist
                    .under_way
                    .checks_mut()
                    .iter_mut()
                    .find(|c| c.transaction.id() == id)
                {
                    check.transaction.on_integrity_violation();
                }
                return Err(crate::responder::integrity_drop(error));
            }
        };
        crate::responder::intact(verified.fingerprint())?;
        let checks = &mut self.checklist.under_way;
        let position = checks
            .checks()
            .iter()
            .position(|c| c.transaction.id() == id);
        if let Some(check) = position.and_then(|position| checks.remove(position)) {
            return self.on_check_response(shared, now, *path, check, &verified);
        }
        self.on_consent_response(shared, now, path, &verified)
    }

    fn on_check_response(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        path: FiveTuple,
        mut check: Check,
        response: &Verified<'_>,
    ) -> Result<(), DropReason> {
        let id = response.transaction_id();
        let round_trip = (shared.config.clock.instant(now))
            .and_then(|now| check.transaction.on_response(now, &id)?.round_trip);
        let Some(pair) = self.checklist.get_mut(check.pair) else {
            return Err(DropReason::UnknownTransaction);
        };
        let symmetric = pair.path == shared.canonical(path);
        if !symmetric {
            if pair.state() != PairState::Succeeded {
                self.fail_pair(check.pair);
            }
            return Err(DropReason::AsymmetricResponse);
        }
        pair.credit.prove();
        pair.counters.responses_received += 1;
        shared.stats.responses_received += 1;
        if let Some(sample) = round_trip {
            pair.round_trip.record(sample);
        }
        if pair.state() == PairState::Succeeded {
            // Whatever it says, it came from the peer and the way it should.
            pair.answered = Some(now);
        }
        let understood = !response.has_unknown_required();
        match (response.class(), response.xor_mapped_address()) {
            (Class::SuccessResponse, Some(mapped)) if understood => {
                self.on_success(shared, now, &check, mapped)
            }
            (class, _) => {
                if class == Class::ErrorResponse {
                    shared.stats.count_rare(Rare::ErrorResponsesReceived);
                }
                // Of what is not understood not even a role conflict is believed (RFC 8489 §6.3.3, §6.3.4).
                let code = response.error_code().filter(|_| understood);
                self.on_error(shared, now, &check, code);
            }
        }
        Ok(())
    }

    fn on_success(&mut self, shared: &mut Shared, now: Moment, check: &Check, mapped: SocketAddr) {
        let Some(pair) = self.checklist.get(check.pair) else {
            return;
        };
        let (path, first) = (pair.path(), pair.state() != PairState::Succeeded);
        let local = shared.local_end_for(path, canonical(mapped), pair.local, pair.check_priority);
        let (locals, remotes) = (&shared.locals, &self.remotes);
        let foundations =
            |pair: &Pair| foundation_of(locals, remotes, pair.local.id, pair.remote.id);
        let foundation = foundations(pair);
        let Some(pair) = self.checklist.get_mut(check.pair) else {
            return;
        };
        pair.become_state(PairState::Succeeded);
        pair.answered = Some(now);
        let id = pair.id;
        pair.local = local;
        let (priority, wish) = (pair.priority(), pair.wish);
        // Another check of the same pair has nothing left to find out.
        self.checklist
            .under_way
            .retain(|other| other.pair != id || other.purpose != Purpose::Connectivity);
        self.checklist.unfreeze(foundation, foundations);
        let again = !first && shared.mode == Mode::Full;
        if self.paths.on_success(path) && !again {
            shared.tell(Event::PathValidated(path));
        }
        self.renew_consent(shared, now, check.pair);
        match (shared.role, check.purpose) {
            (Some(Role::Controlling), Purpose::Nomination(_)) => {
                self.select(shared, now, check.pair, Selection::Nominated)
            }
            (Some(Role::Controlled), _) if first && wish.is_some() => {
                self.follow(shared, now, check.pair)
            }
            // A lite agent's check has proven the path that the peer wanted.
            _ if shared.mode == Mode::Lite => {
                if wish.is_some() {
                    self.follow(shared, now, check.pair);
                }
            }
            _ => self.select_provisionally(shared, now, check.pair, priority),
        }
    }

    /// An answer that is no success: an error of this code, or of none that counts.
    fn on_error(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        check: &Check,
        code: Option<ErrorCode>,
    ) {
        let succeeded = self
            .checklist
            .get(check.pair)
            .is_some_and(|pair| pair.state() == PairState::Succeeded);
        match code {
            Some(ErrorCode::ROLE_CONFLICT) => {
                shared.on_role_conflict_response(check.role);
                match check.purpose {
                    Purpose::Connectivity if !succeeded => self.checklist.trigger(check.pair),
                    _ => self.renew_consent(shared, now, check.pair),
                }
            }
            Some(ErrorCode::FORBIDDEN) => self.on_forbidden(check.pair),
            // A pair that works is not given up because of a message: consent decides (I58).
            _ if succeeded && check.purpose == Purpose::Connectivity => {}
            _ => self.fail_pair(check.pair),
        }
    }

    /// 403: the peer takes its consent back (RFC 7675 §5.2).
    pub(crate) fn on_forbidden(&mut self, id: PairId) {
        let Some(path) = self.checklist.get(id).map(Pair::path) else {
            return;
        };
        if self
            .selected
            .as_ref()
            .is_some_and(|selected| selected.pair == id)
        {
            self.lose_selected(Reason::ConsentRevoked);
        } else {
            self.refuse(path);
            self.fail_pair(id);
        }
    }

    /// The role has changed: priorities turn around, nominations of ours are void, checks claim the new role.
    pub(crate) fn on_role_change(&mut self, role: Role) {
        self.checklist.reprioritize(role);
        self.stop_looking();
        // Who controls now is not told by the other side where to switch to. Whom the peer has just told otherwise may have been
        // told that as well, by the same request.
        if role == Role::Controlling {
            self.stay();
        }
        let voided = self.checklist.under_way.take().into_iter();
        let voided: Vec<PairId> = voided.map(|check| check.pair).collect();
        let in_progress = |pair: &Pair| pair.state() == PairState::InProgress;
        for id in voided {
            if self.checklist.get(id).is_some_and(in_progress) {
                self.checklist.trigger(id);
            }
        }
    }
}

/// Over TCP nothing is repeated (RFC 8489 §6.2.2).
fn schedule_of(path: &FiveTuple, rto: Duration, timing: &Timing) -> Schedule {
    if Checklist::is_tcp(path) {
        Schedule::reliable()
    } else {
        Schedule::custom(rto, timing.transmissions, timing.last_wait)
    }
}

impl Shared {
    /// The path with its base for a local address, as pairs have it.
    pub(crate) fn canonical(&self, path: FiveTuple) -> FiveTuple {
        let path = path.canonical();
        let Some(base) = self.locals.base_of(path.protocol, path.local) else {
            return path;
        };
        FiveTuple {
            local: base,
            remote: crate::address::in_zone_of(path.remote, base),
            ..path
        }
    }

    /// The local candidate that a response says we have: a known one, or a peer-reflexive one just found
    /// (RFC 8445 §7.2.5.3.1). A base that is announced as something else, and a wildcard, stay what they are (I66).
    fn local_end_for(
        &mut self,
        path: FiveTuple,
        mapped: SocketAddr,
        current: End,
        check_priority: u32,
    ) -> End {
        if let Some(local) = self.locals.find(path.protocol, mapped, path.local) {
            return local.end();
        }
        let own = self.locals.base_of(path.protocol, mapped) == Some(path.local);
        // A lite agent has host candidates and no others (RFC 8445 §5.2).
        // What the peer's answers say takes no place from what the caller adds.
        let full = self.locals.peer_reflexive() >= self.config.max_local_candidates;
        if own || self.mode == Mode::Lite || full {
            return current;
        }
        let candidate =
            Candidate::peer_reflexive(path.protocol, mapped, path.local, check_priority)
                .with_epoch(current.epoch);
        let local = Local::new(self.next_candidate_id(), candidate);
        let end = local.end();
        self.locals.push(local);
        end
    }

    /// 487 to a check that claimed `role` (RFC 8445 §7.2.5.1). An answer to a role we have left is stale.
    pub(crate) fn on_role_conflict_response(&mut self, role: Role) {
        if self.role != Some(role) || self.mode == Mode::Lite {
            return;
        }
        self.tie_breaker = self.random.draw(|r| r.next_u64(Label::TieBreaker));
        self.take_role(role.opposite());
    }

    /// Of two that claim our role the other has it.
    pub(crate) fn leave_role(&mut self) {
        if let Some(role) = self.role {
            self.take_role(role.opposite());
        }
    }

    pub(crate) fn take_role(&mut self, role: Role) {
        self.stats.count_rare(Rare::RoleConflicts);
        self.role = Some(role);
        self.tell(Event::RoleChange(role));
    }
}
