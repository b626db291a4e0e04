//! The pair in use: put there provisionally, by our nomination or by the peer's, and lost again (RFC 8445 §8).
//!
//! The decisions are [`nomination`]'s; this file carries them out.

use std::time::{Duration, Instant};

use crate::address::FiveTuple;
use crate::config::{MAX_REFUSED_PATHS, Nomination};
use crate::consent::{Consent, Liveness};
use crate::generation::Generation;
use crate::nomination::{self, Choice, Contender, Standing, Wanted};
use crate::pair::{CandidatePair, Pair, PairId, PairState, Wish};
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
    pub(crate) path: FiveTuple,
    pub(crate) nominated: bool,
    pub(crate) since: Instant,
    pub(crate) consent: Consent,
    /// Whether the pairs that were not chosen have been dropped.
    pub(crate) settled: bool,
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
        now: Instant,
        id: PairId,
        selection: Selection,
    ) {
        let Some(pair) = self.checklist.get(id) else {
            return;
        };
        let path = pair.path;
        // Only an answer is proof of consent; a lite agent gets none and lives by the request at hand.
        let fresh = pair.answered.unwrap_or(now);
        let nominated = selection == Selection::Nominated;
        self.lost = None;
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
                shared.jittered(shared.timing.consent_interval),
            );
            self.selected = Some(Selected {
                pair: id,
                path,
                nominated,
                since: now,
                consent,
                settled: false,
            });
        }
        if nominated {
            self.deferred = None;
            self.acceptance = None;
            self.drop_contenders(shared, id);
        }
    }

    /// Before nomination the best pair that works is in use (RFC 8445 §12.1.1).
    pub(crate) fn select_provisionally(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: PairId,
        priority: u64,
    ) {
        let current = self.selected.as_ref().map(|selected| selected.nominated);
        let better = self
            .selected_pair()
            .is_none_or(|pair| priority > pair.priority);
        if current != Some(true) && better {
            self.select(shared, now, id, Selection::Provisional);
        }
    }

    pub(crate) fn pending_nomination(&self, pair: PairId) -> Option<PendingNomination> {
        self.checklist.checks.iter().find_map(|check| {
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
        now: Instant,
        pair: PairId,
        sent: Instant,
    ) {
        if self
            .pending_nomination(pair)
            .is_some_and(|pending| pending.first_sent <= sent)
        {
            self.checklist.checks.retain(|check| check.pair != pair);
            self.select(shared, now, pair, Selection::Nominated);
        }
    }

    /// Nomination ends the search (RFC 8445 §8.1.2). The controlled side keeps what the peer may yet nominate until
    /// the first consent check.
    pub(crate) fn drop_contenders(&mut self, shared: &Shared, selected: PairId) {
        let Some(priority) = self.checklist.get(selected).map(|pair| pair.priority) else {
            return;
        };
        let keep_better = shared.config.nomination != Nomination::Regular;
        let keep = |pair: &Pair| match shared.role {
            _ if pair.id == selected => true,
            Some(Role::Controlled) => pair.state() == PairState::Succeeded || pair.wish.is_some(),
            _ => keep_better && pair.priority > priority,
        };
        self.checklist.retain(keep);
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
        let Some(selected) = self.selected.take() else {
            return;
        };
        self.lost = Some(reason);
        self.deferred = None;
        let revoked = !matches!(reason, Reason::CandidateRemoved | Reason::PairsFailed);
        if revoked {
            self.refuse(selected.path);
        }
        self.checklist.retain(|pair| pair.id != selected.pair);
    }

    /// The pair in use is lost: the best of those that had succeeded beside it takes over while its own consent lasts.
    /// Whether the others still work has to be seen.
    pub(crate) fn fall_back(&mut self, shared: &mut Shared, now: Instant) {
        if self.selected.is_some() || shared.mode == Mode::Lite {
            return;
        }
        let succeeded = |pair: &&Pair| pair.state() == PairState::Succeeded;
        let fresh = |pair: &&Pair| !is_stale(pair, shared, now);
        let pairs = || self.checklist.pairs.iter().filter(succeeded);
        if let Some(best) = pairs()
            .filter(fresh)
            .max_by_key(|pair| pair.priority)
            .map(|pair| pair.id)
        {
            return self.select(shared, now, best, Selection::Provisional);
        }
        let stale: Vec<PairId> = pairs().map(|pair| pair.id).collect();
        stale.into_iter().for_each(|id| self.check_again(id));
    }

    /// A pair that succeeded long ago proves nothing about now (RFC 7675 §5.1).
    fn check_again(&mut self, id: PairId) {
        if let Some(pair) = self.checklist.get_mut(id) {
            pair.become_state(PairState::Failed);
            self.checklist.trigger(id);
        }
    }

    pub(crate) fn refuse(&mut self, path: FiveTuple) {
        if self.refused.len() >= MAX_REFUSED_PATHS {
            self.refused.remove(0);
        }
        self.refused.push(path);
        self.paths.forget_path(path);
    }

    /// The controlling side nominates when it is time (RFC 8445 §8.1.1).
    pub(crate) fn nominate(&mut self, shared: &mut Shared, now: Instant) {
        self.acceptance = None;
        let (Some(Role::Controlling), Mode::Full, Some(began)) =
            (shared.role, shared.mode, self.began)
        else {
            return;
        };
        let under_way = self
            .checklist
            .checks
            .iter()
            .any(|c| matches!(c.purpose, Purpose::Nomination(_)));
        let nominated = self
            .selected
            .as_ref()
            .filter(|selected| selected.nominated)
            .map(|selected| selected.pair);
        let settled = nominated.is_some() && shared.config.nomination != Nomination::Renomination;
        if under_way || settled || shared.config.nomination == Nomination::ByApplication {
            return;
        }
        let acceptance = shared.timing.acceptance;
        let contenders = self.checklist.pairs.iter().filter_map(|pair| {
            let standing = match pair.state() {
                PairState::Succeeded => Standing::Succeeded,
                PairState::Failed => return None,
                _ => Standing::Untested,
            };
            let wait = acceptance.of(pair.local.kind, pair.remote.kind);
            Some(Contender {
                pair: pair.id,
                priority: pair.priority,
                wait,
                standing,
            })
        });
        match nomination::choose(now, began, contenders) {
            Choice::Nominate(pair) if Some(pair) != nominated => {
                self.nominate_pair(shared, now, pair)
            }
            Choice::Wait(at) => self.acceptance = Some(at),
            _ => {}
        }
    }

    /// Sends the check that nominates. It does not wait for Ta: there is one at a time.
    pub(crate) fn nominate_pair(&mut self, shared: &mut Shared, now: Instant, pair: PairId) {
        let counted = shared.config.nomination != Nomination::Regular;
        self.nominations += 1;
        let value = counted.then_some(self.nominations);
        self.send_check(shared, now, pair, Purpose::Nomination(value));
    }

    /// Whether this wish is for what is in use already.
    pub(crate) fn has_nominated(&self, id: PairId, wish: Option<Wish>) -> bool {
        let counted = wish.is_some_and(|wish| wish.nomination.is_some());
        let selected = self.selected.as_ref();
        !counted && self.deferred.is_none() && selected.is_some_and(|s| s.nominated && s.pair == id)
    }

    /// The controlled side follows the peer's nomination; at most one switch per round trip (I10).
    pub(crate) fn follow(&mut self, shared: &mut Shared, now: Instant, id: PairId) {
        let wanted = |pair: &Pair| {
            let wish = pair.wish.filter(|_| pair.state() == PairState::Succeeded)?;
            Some(Wanted {
                pair: pair.id,
                priority: pair.priority,
                wish,
            })
        };
        let Some(latest) = self.checklist.get(id).and_then(wanted) else {
            return;
        };
        if self
            .checklist
            .get(id)
            .is_some_and(|pair| is_stale(pair, shared, now))
        {
            // The wish stays with the pair and counts when it has succeeded again.
            return self.check_again(id);
        }
        let nominated = self.selected.as_ref().filter(|selected| selected.nominated);
        let selected = nominated
            .and_then(|s| self.checklist.get(s.pair))
            .and_then(wanted);
        let target = nomination::follow(
            latest,
            selected,
            self.checklist.pairs.iter().filter_map(wanted),
        );
        let hold = nominated
            .filter(|s| s.pair != target)
            .map(|s| s.since + self.switch_interval(shared, s.pair));
        match hold.filter(|until| now < *until) {
            Some(until) => self.deferred = Some((until, target)),
            None => self.select(shared, now, target, Selection::Nominated),
        }
    }

    pub(crate) fn switch_interval(&self, shared: &Shared, selected: PairId) -> Duration {
        let round_trip = self
            .checklist
            .get(selected)
            .and_then(|pair| pair.round_trip.smoothed);
        match shared.mode {
            Mode::Full => round_trip.unwrap_or(shared.timing.rto),
            // A lite agent measures nothing and obeys.
            Mode::Lite => Duration::ZERO,
        }
    }

    pub(crate) fn run_deferred(&mut self, shared: &mut Shared, now: Instant) {
        if let Some((_, target)) = self.deferred.take_if(|(until, _)| now >= *until) {
            self.select(shared, now, target, Selection::Nominated);
        }
    }
}

fn is_stale(pair: &Pair, shared: &Shared, now: Instant) -> bool {
    let last = |answered: Instant| now < answered + shared.timing.consent_timeout;
    shared.mode == Mode::Full && !pair.answered.is_some_and(last)
}
