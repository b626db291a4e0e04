//! The pair in use: put there provisionally, by our nomination or by the peer's, and lost again (RFC 8445 §8).
//!
//! What to choose is the [`Policy`](crate::nomination::Policy)'s business; this file carries it out.

use std::time::{Duration, Instant};

use crate::address::FiveTuple;
use crate::check::Check;
use crate::config::MAX_REFUSED_PATHS;
use crate::consent::{Consent, Liveness};
use crate::generation::Generation;
use crate::moment::Moment;
use crate::nomination::{Decision, Keep, Situation};
use crate::pair::{CandidatePair, Pair, PairId, PairState, Ruling};
use crate::role::{Mode, Role};
use crate::shared::{Purpose, Shared};
use crate::state::Reason;

/// How a pair came into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// It is the best that works so far (RFC 8445 §12.1.1).
    Provisional,
    Nominated,
}

/// The pair in use.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) pair: PairId,
    pub(crate) nominated: bool,
    pub(crate) consent: Consent,
    /// Whether the pairs that were not chosen have been dropped.
    pub(crate) settled: bool,
}

#[cfg(test)]
impl Selected {
    pub(crate) fn nominated_for_test(pair: &Pair, now: Moment) -> Self {
        Self {
            pair: pair.id,
            nominated: true,
            consent: Consent::new(now, now, Liveness::Responses, Duration::from_secs(5)),
            settled: false,
        }
    }
}

/// A nomination of ours that is not answered yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingNomination {
    /// Its NOMINATION, if it carries one.
    pub(crate) value: Option<u32>,
    pub(crate) first_sent: Instant,
}

impl Generation {
    pub(crate) fn selected_pair(&self) -> Option<&Pair> {
        self.selected
            .as_ref()
            .and_then(|selected| self.checklist.get(selected.pair))
    }

    pub(crate) fn selected_view(&self) -> Option<CandidatePair> {
        let selected = self.selected.as_ref()?;
        Some(CandidatePair {
            nominated: selected.nominated,
            ..self.checklist.get(selected.pair)?.view()
        })
    }

    /// Puts a pair into use.
    pub(crate) fn select(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        id: PairId,
        selection: Selection,
    ) {
        let usable = |pair: &&Pair| !pair.is_vetoed() && self.failed.is_none();
        let Some(pair) = self.checklist.get(id).filter(usable) else {
            return;
        };
        // Between two lite agents nothing is ever proven.
        let fresh = pair.answered.unwrap_or(now);
        let nominated = selection == Selection::Nominated;
        if let Some(waits) = self.search.live() {
            waits.lost = None;
        }
        if let Some(selected) = self
            .selected
            .as_mut()
            .filter(|selected| selected.pair == id)
        {
            selected.nominated |= nominated;
        } else {
            let consent = Consent::new(
                now,
                fresh,
                self.liveness(shared),
                shared.jittered(shared.config.timing.consent_interval),
            );
            self.search.waits().in_use_since = Some(now);
            let replaced = self.selected.replace(Selected {
                pair: id,
                nominated,
                consent,
                settled: false,
            });
            let silent = replaced.filter(|old| old.consent.unanswered_since().is_some());
            if let Some(old) = silent {
                self.prove_again(shared, now, old.pair);
            }
        }
        if nominated {
            self.stay();
            self.forget_left_out();
            self.drop_others(shared, now, |_, keep| keep != Keep::Drop);
            self.compact(shared);
        }
    }

    /// A pair that was left because it did not answer is not used again before it does.
    fn prove_again(&mut self, shared: &Shared, now: Moment, id: PairId) {
        self.check_again(id);
        // No pair in use is vetoed: what the policy does not keep can go.
        if self.keep(shared, now, id) == Keep::Drop {
            self.checklist.retain(|pair| pair.id != id);
        }
    }

    /// The search is over: what grew with it gives its room back.
    pub(crate) fn compact(&mut self, shared: &mut Shared) {
        shared.locals.compact();
        self.remotes.compact();
        self.checklist.pairs.compact();
        self.paths.compact();
        let selected = self.selected.as_ref();
        if let Some(pair) = selected.and_then(|selected| self.checklist.get(selected.pair)) {
            self.paths.share(&pair.path);
            self.remotes
                .iter_mut()
                .for_each(|remote| remote.address.share(&pair.path));
            shared.responses.share(&pair.path);
        }
    }

    /// Before nomination the best pair that works is in use (RFC 8445 §12.1.1).
    pub(crate) fn select_provisionally(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        id: PairId,
        priority: u64,
    ) {
        let current = self.selected.as_ref().map(|selected| selected.nominated);
        let better = self
            .selected_pair()
            .is_none_or(|pair| priority > pair.priority());
        if current != Some(true) && better {
            self.select(shared, now, id, Selection::Provisional);
        }
    }

    pub(crate) fn pending_nomination(&self, pair: PairId) -> Option<PendingNomination> {
        self.checklist.under_way.checks().iter().find_map(|check| {
            let Purpose::Nomination(value) = check.purpose else {
                return None;
            };
            (check.pair == pair && !check.cancelled).then(|| PendingNomination {
                value,
                first_sent: check.transaction.first_sent(),
            })
        })
    }

    /// A consent check that left while the pair's nomination was pending has nominated it as well: its answer ends the wait for
    /// retransmissions, which may have become long.
    pub(crate) fn nominated_by_consent(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        pair: PairId,
        sent: Moment,
    ) {
        if self
            .pending_nomination(pair)
            .is_some_and(|pending| shared.config.clock.read(pending.first_sent) <= sent)
        {
            self.checklist.under_way.retain(|check| check.pair != pair);
            self.select(shared, now, pair, Selection::Nominated);
        }
    }

    /// What the policy is shown.
    fn situation<'a>(&'a self, shared: &'a Shared, now: Moment) -> Option<Situation<'a>> {
        Some(Situation {
            clock: &shared.config.clock,
            now: shared.config.clock.instant(now)?,
            began: shared
                .config
                .clock
                .instant(self.search.began.unwrap_or(now))?,
            role: shared.role?,
            acceptance: shared.config.timing.acceptance,
            pairs: &self.checklist.pairs,
            selected: self.selected.as_ref(),
            switch: self.search.deferred.map(|(_, target)| target),
            checks: self.checklist.under_way.checks(),
        })
    }

    /// What becomes of a pair beside the nominated one.
    fn keep(&self, shared: &Shared, now: Moment, id: PairId) -> Keep {
        let (Some(situation), Some(pair)) = (self.situation(shared, now), self.checklist.get(id))
        else {
            return Keep::ForNow;
        };
        let policy = &shared.config.nomination;
        policy.keep(&situation.contender(pair), &situation)
    }

    /// Drops the pairs beside the one in use that are not `worth` keeping. Vetoed ones stay: dropped, they could come
    /// again under another name.
    fn drop_others(&mut self, shared: &Shared, now: Moment, worth: impl Fn(&Pair, Keep) -> bool) {
        let Some(in_use) = self.selected.as_ref().map(|selected| selected.pair) else {
            return;
        };
        let others = self.checklist.pairs.iter().filter(|pair| pair.id != in_use);
        let dropped: Vec<PairId> = others
            .filter(|pair| !pair.is_vetoed() && !worth(pair, self.keep(shared, now, pair.id)))
            .map(|pair| pair.id)
            .collect();
        self.checklist.retain(|pair| !dropped.contains(&pair.id));
    }

    /// With the first consent check go the pairs that were kept in case they are nominated (RFC 7675 §11: nothing is kept alive that is
    /// not used), except backups. Those whose own checks end after that may be needed yet while the pair in use is silent: they go
    /// when it has answered since.
    pub(crate) fn settle(&mut self, shared: &mut Shared, now: Moment) {
        let Some(selected) = self.selected.as_mut().filter(|s| s.nominated) else {
            return;
        };
        let first = !std::mem::replace(&mut selected.settled, true);
        let (fresh, before) = (selected.consent.fresh(), self.checklist.pairs.len());
        if before > 1 {
            let situation = self.situation(shared, now);
            let upcoming = situation.and_then(|situation| situation.upcoming());
            let upcoming = upcoming.map(|c| c.pair.id);
            self.drop_others(shared, now, |pair, keep| {
                pair.state().is_unfinished()
                    || matches!(keep, Keep::Backup(_))
                    || Some(pair.id) == upcoming
                    || (!first && pair.answered > Some(fresh))
            });
        }
        if self.checklist.pairs.len() < before {
            self.compact(shared);
        }
    }

    pub(crate) fn liveness(&self, shared: &Shared) -> Liveness {
        match (shared.mode, self.peer.as_ref().map(|peer| peer.mode)) {
            (Mode::Full, _) => Liveness::Responses,
            (Mode::Lite, Some(Mode::Lite)) => Liveness::None,
            (Mode::Lite, _) => Liveness::Requests,
        }
    }

    /// The selected pair is lost: its path is refused when consent was the reason.
    pub(crate) fn lose_selected(&mut self, reason: Reason) {
        let path = self.selected_pair().map(Pair::path);
        let Some(selected) = self.selected.take() else {
            return;
        };
        let waits = self.search.waits();
        waits.lost = Some(reason);
        if let Some((until, _)) = &mut waits.deferred {
            // There is nothing left to switch from, and so nothing to wait for.
            *until = Moment::ORIGIN;
        }
        let revoked = !matches!(
            reason,
            Reason::CandidateRemoved | Reason::PairsFailed | Reason::PairVetoed
        );
        if let Some(path) = path.filter(|_| revoked) {
            self.refuse(path);
        }
        if reason != Reason::PairVetoed {
            self.checklist.retain(|pair| pair.id != selected.pair);
        }
    }

    /// The pair in use is lost: the best of those that had succeeded beside it takes over while its own consent lasts.
    /// Whether the others still work has to be seen.
    pub(crate) fn fall_back(&mut self, shared: &mut Shared, now: Moment) {
        if self.selected.is_some() || shared.mode == Mode::Lite {
            return;
        }
        let succeeded = |pair: &&Pair| pair.state() == PairState::Succeeded && !pair.is_vetoed();
        let fresh = |pair: &&Pair| !is_stale(pair, shared, now);
        let pairs = || self.checklist.pairs.iter().filter(succeeded);
        if pairs().next().is_none() {
            return;
        }
        if let Some(best) = pairs()
            .filter(fresh)
            .max_by_key(|pair| pair.priority())
            .map(|pair| pair.id)
        {
            return self.select(shared, now, best, Selection::Provisional);
        }
        let stale: Vec<PairId> = pairs().map(|pair| pair.id).collect();
        stale.into_iter().for_each(|id| self.check_again(id));
    }

    /// A pair that succeeded long ago proves nothing about now (RFC 7675 §5.1). The check to come has all of its time,
    /// whatever was asked before.
    fn check_again(&mut self, id: PairId) {
        if let Some(pair) = self.checklist.get_mut(id) {
            pair.become_state(PairState::Failed);
            self.checklist.under_way.retain(|check| check.pair != id);
            self.checklist.trigger(id);
        }
    }

    /// Under these credentials nothing is sent there any more (RFC 7675 §5.1). No refusal is ever forgotten: a peer that
    /// takes its consent back on more paths than are remembered has taken it back on all.
    pub(crate) fn refuse(&mut self, path: FiveTuple) {
        self.paths.forget_path(path);
        if self.search.refused().len() < MAX_REFUSED_PATHS {
            return self.search.seldom_mut().refused.push(path);
        }
        let reason = self.search.lost.unwrap_or(Reason::ConsentRevoked);
        self.selected = None;
        self.search.waits().lost = Some(reason);
        self.fail(reason);
    }

    /// No pair of these credentials is used any more, nor switched to.
    pub(crate) fn fail(&mut self, reason: Reason) {
        self.failed = Some(reason);
        self.stay();
    }

    /// Does what the policy and the application want now: nominates, and checks the backups that are due.
    pub(crate) fn apply_policy(&mut self, shared: &mut Shared, now: Moment) {
        self.stop_looking();
        if shared.mode == Mode::Full {
            self.nominate(shared, now);
            self.check_backups(shared, now);
        }
    }

    /// The controlling side nominates when it is time (RFC 8445 §8.1.1).
    fn nominate(&mut self, shared: &mut Shared, now: Moment) {
        let under_way = |check: &Check| matches!(check.purpose, Purpose::Nomination(_));
        let works = |pair: &Pair| pair.state() == PairState::Succeeded;
        if shared.role != Some(Role::Controlling)
            || self.search.began.is_none()
            || self.checklist.under_way.checks().iter().any(under_way)
            || !self.checklist.pairs.iter().any(works)
        {
            return;
        }
        let Some(situation) = self.situation(shared, now) else {
            return;
        };
        let decision = match self.forced() {
            Some(pair) => Decision::Nominate(pair),
            None => shared.config.nomination.nominate(&situation),
        };
        let open = |id: PairId| {
            let mut pairs = situation.pairs();
            pairs.any(|c| c.pair.id == id && c.has_succeeded() && !c.pair.nominated)
        };
        match decision {
            Decision::Nominate(pair) if open(pair) => self.nominate_pair(shared, now, pair),
            Decision::LookAgain(at) => self.look_again_at(now, shared.config.clock.read(at)),
            Decision::Nominate(_) | Decision::Nothing => {}
        }
    }

    /// No switch waits any more.
    pub(crate) fn stay(&mut self) {
        if let Some(waits) = self.search.live() {
            waits.deferred = None;
        }
    }

    pub(crate) fn stop_looking(&mut self) {
        if let Some(waits) = self.search.live() {
            waits.look_again = None;
        }
    }

    fn look_again_at(&mut self, now: Moment, at: Moment) {
        if at > now {
            let look_again = &mut self.search.waits().look_again;
            *look_again = Some(look_again.map_or(at, |earlier| earlier.min(at)));
        }
    }

    /// Checks the backups that are due, one per Ta (I23).
    fn check_backups(&mut self, shared: &mut Shared, now: Moment) {
        // Between nomination and settling the others are as fresh as can be.
        let aside = |selected: &Selected| selected.settled || !selected.nominated;
        if !self.selected.as_ref().is_some_and(aside) || self.checklist.pairs.len() < 2 {
            return;
        }
        let mut next: Option<(Moment, PairId)> = None;
        for pair in self.checklist.pairs.iter() {
            if let Some(due) = self.backup_due(shared, now, pair)
                && next.is_none_or(|(earliest, _)| due < earliest)
            {
                next = Some((due, pair.id));
            }
        }
        let Some((due, id)) = next else { return };
        let due = shared
            .passing
            .turn()
            .next_check
            .map_or(due, |turn| due.max(turn));
        if now < due {
            return self.look_again_at(now, due);
        }
        let pacing = self.pacing(shared);
        shared.passing.turn_mut().next_check = Some(now + pacing);
        self.send_check(shared, now, id, Purpose::Connectivity);
        // Another one may be due.
        self.look_again_at(now, now + pacing);
    }

    /// When a pair is to be checked as a backup, if it is one and no check of it is under way.
    fn backup_due(&self, shared: &Shared, now: Moment, pair: &Pair) -> Option<Moment> {
        let in_use = self.selected.as_ref().map(|selected| selected.pair);
        let checked = |check: &Check| check.pair == pair.id && !check.cancelled;
        let idle = pair.state() == PairState::Succeeded
            && !pair.is_vetoed()
            && Some(pair.id) != in_use
            && !self.checklist.under_way.checks().iter().any(checked);
        match idle.then(|| self.keep(shared, now, pair.id))? {
            Keep::Backup(interval) => Some(pair.answered.map_or(now, |at| at + interval)),
            Keep::Drop | Keep::ForNow => None,
        }
    }

    /// The pair that the application nominated, while it works.
    pub(crate) fn forced(&self) -> Option<PairId> {
        let forced =
            |pair: &&Pair| pair.ruling == Ruling::Forced && pair.state() == PairState::Succeeded;
        self.checklist.pairs.iter().find(forced).map(|pair| pair.id)
    }

    /// Sends the check that nominates. It does not wait for Ta: there is one at a time.
    pub(crate) fn nominate_pair(&mut self, shared: &mut Shared, now: Moment, pair: PairId) {
        self.withdraw_nomination();
        let counted = shared.config.nomination.counts_nominations();
        self.nominations += 1;
        let value = counted.then_some(self.nominations);
        self.send_check(shared, now, pair, Purpose::Nomination(value));
    }

    pub(crate) fn withdraw_nomination_of(&mut self, pair: PairId) {
        if self.pending_nomination(pair).is_some() {
            self.withdraw_nomination();
        }
    }

    /// What a nomination under way is answered with does not count any more.
    fn withdraw_nomination(&mut self) {
        let other = |check: &Check| !matches!(check.purpose, Purpose::Nomination(_));
        self.checklist.under_way.retain(other);
    }

    /// Whether the peer wishes for what is in use already. A peer may say so with each check, with NOMINATION or without.
    pub(crate) fn has_nominated(&self, id: PairId) -> bool {
        let selected = self.selected.as_ref();
        self.search.deferred.is_none() && selected.is_some_and(|s| s.nominated && s.pair == id)
    }

    /// The controlled side follows the peer's nomination; at most one switch per round trip (I10).
    pub(crate) fn follow(&mut self, shared: &mut Shared, now: Moment, id: PairId) {
        let Some(pair) = self.checklist.get(id) else {
            return;
        };
        if pair.wish.is_none() || pair.state() != PairState::Succeeded || pair.is_vetoed() {
            return;
        }
        if is_stale(pair, shared, now) {
            // The wish stays with the pair and counts when it has succeeded again; to a lite agent, when it is repeated.
            if shared.mode == Mode::Full {
                self.check_again(id);
            }
            return;
        }
        let Some(situation) = self.situation(shared, now) else {
            return;
        };
        let wished = situation.contender(pair);
        let Some(target) = shared.config.nomination.follow(&wished, &situation) else {
            return;
        };
        let nominated = self.selected.as_ref().filter(|selected| selected.nominated);
        let hold = nominated
            .filter(|s| s.pair != target)
            .and_then(|s| self.switch_from(shared, s.pair));
        match hold.filter(|until| now < *until) {
            Some(until) => self.search.waits().deferred = Some((until, target)),
            None => self.select(shared, now, target, Selection::Nominated),
        }
    }

    /// A pair whose wishes were not followed for a while may be followed now, unless the peer has wished for another since.
    pub(crate) fn follow_again(&mut self, shared: &mut Shared, now: Moment, id: PairId) {
        let wish = |pair: &Pair| pair.wish.map(|wish| wish.at);
        let latest = self.checklist.pairs.iter().filter_map(wish).max();
        let is_latest = |pair: &Pair| wish(pair).is_some() && wish(pair) == latest;
        if shared.role == Some(Role::Controlled) && self.checklist.get(id).is_some_and(is_latest) {
            self.follow(shared, now, id);
        }
    }

    pub(crate) fn switch_interval(&self, shared: &Shared, selected: PairId) -> Duration {
        let round_trip = self
            .checklist
            .get(selected)
            .and_then(|pair| pair.round_trip.smoothed());
        match shared.mode {
            Mode::Full => round_trip.unwrap_or(shared.config.timing.rto),
            // A lite agent measures nothing and obeys.
            Mode::Lite => Duration::ZERO,
        }
    }

    /// From when on another pair may take the place of the selected one.
    pub(crate) fn switch_from(&self, shared: &Shared, selected: PairId) -> Option<Moment> {
        let since = self.search.in_use_since?;
        Some(since + self.switch_interval(shared, selected))
    }

    pub(crate) fn run_deferred(&mut self, shared: &mut Shared, now: Moment) {
        let deferred = self.search.live().map(|waits| &mut waits.deferred);
        let due = deferred.and_then(|deferred| deferred.take_if(|(until, _)| now >= *until));
        // It may have failed while it waited.
        let works = |id: &PairId| {
            let pair = self.checklist.get(*id);
            pair.is_some_and(|pair| pair.state() == PairState::Succeeded)
        };
        if let Some(target) = due.map(|(_, target)| target).filter(works) {
            self.select(shared, now, target, Selection::Nominated);
        }
    }
}

fn is_stale(pair: &Pair, shared: &Shared, now: Moment) -> bool {
    let lasts = match shared.mode {
        Mode::Full => shared.config.timing.consent_timeout,
        Mode::Lite => shared.config.timing.lite_timeout,
    };
    pair.answered.is_none_or(|answered| now >= answered + lasts)
}
