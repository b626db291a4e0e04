//! Consent checks on the selected pair: sending them, their answers, and losing the pair without them (RFC 7675).

use std::time::Duration;

use floe_stun::{Class, ErrorCode, Verified};

use crate::address::FiveTuple;
use crate::consent::Liveness;
use crate::error::DropReason;
use crate::generation::Generation;
use crate::moment::Moment;
use crate::pair::{Pair, PairId};
use crate::selection::Selected;
use crate::shared::{Moved, Shared};
use crate::state::Reason;
use crate::stats::Rare;

impl Generation {
    /// Ends or doubts what time has ended; says whether a check left.
    #[inline]
    pub(crate) fn run_consent(&mut self, shared: &mut Shared, now: Moment) -> bool {
        let (Some(selected), Some(role)) = (self.selected.as_mut(), shared.role) else {
            return false;
        };
        if selected.consent.is_expired(now, &shared.config.timing) {
            let reason = match selected.consent.liveness() {
                Liveness::Requests => Reason::RequestsStopped,
                _ => Reason::ConsentExpired,
            };
            self.lose_selected(reason);
            return false;
        }
        let interval = shared.config.timing.consent_interval;
        let may_probe = || shared.may_probe(now);
        let due = selected.consent.on_check_timer(now, interval, may_probe);
        selected.consent.suspect_if_due(now, &shared.config.timing);
        if !due {
            return false;
        }
        let wait = self.probe_wait(shared);
        if let Some(selected) = self.selected.as_mut() {
            let id = shared.mint();
            let forgotten = selected.consent.on_sent(now, id, role, wait);
            shared
                .stats
                .add_rare(Rare::TransactionsDropped, u32::from(forgotten.is_some()));
        }
        self.settle(shared, now);
        true
    }

    /// How long to wait for an answer before it counts as missed.
    fn probe_wait(&self, shared: &Shared) -> Duration {
        let rtt = self
            .selected_pair()
            .and_then(|pair| pair.round_trip.smoothed())
            .unwrap_or_default();
        let wait = shared.config.timing.rto.max(rtt * 2);
        let suspect = |selected: &Selected| selected.consent.is_suspect();
        if self.selected.as_ref().is_some_and(suspect) {
            wait.max(shared.config.timing.disconnected_probe)
        } else {
            wait
        }
    }

    /// Other timers hold from now on: what is pending is armed anew (I24).
    pub(crate) fn retime(&mut self, shared: &mut Shared, now: Moment) {
        self.reschedule(shared);
        let interval = shared.jittered(shared.config.timing.consent_interval);
        let wait = self.probe_wait(shared);
        let Some(pair) = self.selected.as_ref().map(|s| s.pair) else {
            return;
        };
        let switch = self.switch_from(shared, pair);
        let deferred = self.search.live().map(|waits| &mut waits.deferred);
        if let (Some(Some((until, _))), Some(switch)) = (deferred, switch) {
            *until = switch;
        }
        if let Some(selected) = &mut self.selected {
            selected.consent.retime(now, interval, wait);
        }
    }

    #[inline]
    pub(crate) fn on_consent_response(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        path: &FiveTuple,
        response: &Verified<'_>,
    ) -> Result<(), DropReason> {
        let steady = self.is_steady();
        let Some(selected) = self.selected.as_mut() else {
            return Err(DropReason::UnknownTransaction);
        };
        let (pair, id) = (selected.pair, response.transaction_id());
        let Some(sent) = selected.consent.take(now, &id, &shared.config.timing) else {
            return Err(DropReason::UnknownTransaction);
        };
        let symmetric = |p: &&mut Pair| p.path == *path || p.path == shared.canonical(*path);
        let Some(answered) = self.checklist.get_mut(pair).filter(symmetric) else {
            return Err(DropReason::AsymmetricResponse);
        };
        shared.stats.responses_received += 1;
        answered.counters.responses_received += 1;
        answered.answered = Some(now);
        let round_trip = now.saturating_duration_since(sent.at);
        answered.round_trip.record(round_trip);
        // Whatever it says, it came from the peer; but only what is understood is believed (RFC 8489 §6.3.3, §6.3.4).
        let understood = || !response.has_unknown_required();
        match (
            response.class(),
            response.error_code().filter(|_| understood()),
        ) {
            (Class::SuccessResponse, _) if steady => shared.moved = Moved::Deadline,
            (Class::SuccessResponse, _) if understood() => {
                self.nominated_by_consent(shared, now, pair, sent.at)
            }
            (Class::SuccessResponse, _) => {}
            (_, Some(ErrorCode::FORBIDDEN)) => {
                shared.stats.count_rare(Rare::ErrorResponsesReceived);
                self.on_forbidden(pair);
                return Ok(());
            }
            (_, code) => {
                shared.stats.count_rare(Rare::ErrorResponsesReceived);
                if code == Some(ErrorCode::ROLE_CONFLICT) {
                    shared.on_role_conflict_response(sent.role);
                }
            }
        }
        self.renew_consent(shared, now, pair);
        Ok(())
    }

    /// In the steady state time brings one thing, the check that is due. False if there is, or has come to be, more.
    #[inline]
    pub(crate) fn keep_consent(&mut self, shared: &mut Shared, now: Moment) -> bool {
        let settled = self.selected.as_ref().is_some_and(|s| s.settled);
        settled && self.is_steady() && self.run_consent(shared, now) && self.is_steady()
    }

    /// Whether a sign of life is nothing new: there is one pair, it is in use for good and nothing puts it in doubt.
    #[inline]
    pub(crate) fn is_steady(&self) -> bool {
        let certain = |s: &Selected| s.nominated && !s.consent.is_suspect();
        self.selected.as_ref().is_some_and(certain)
            && self.checklist.pairs.len() == 1
            && self.checklist.under_way.is_empty()
            && self.search.deferred.is_none()
            && self.search.look_again.is_none()
    }

    /// An answer came on this pair; if it is the selected one, consent begins anew.
    #[inline]
    pub(crate) fn renew_consent(&mut self, shared: &mut Shared, now: Moment, pair: PairId) {
        if self
            .selected
            .as_ref()
            .is_none_or(|selected| selected.pair != pair)
        {
            return;
        }
        // Only who sends checks needs a time for the next one.
        let interval = match self.liveness(shared) {
            Liveness::Responses => shared.jittered(shared.config.timing.consent_interval),
            Liveness::Requests | Liveness::None => Duration::ZERO,
        };
        if let Some(selected) = &mut self.selected {
            selected.consent.renew(now, interval);
        }
    }
}
