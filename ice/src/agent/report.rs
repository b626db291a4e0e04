//! What the agent tells: its state as a function of facts, the reasons of changes, and its next deadline.

use super::Agent;
use crate::consent::Liveness;
use crate::end_of_candidates::EndOfCandidates;
use crate::event::Event;
use crate::generation::Generation;
use crate::moment::Moment;
use crate::pair::{CandidatePair, PairState};
use crate::role::Mode;
use crate::shared::Moved;
use crate::state::{GatheringState, Reason, State, Transition};
use crate::stats::CandidatePairStats;

impl Agent {
    /// Brings everything up to `now` and reports what changed.
    pub(super) fn update(&mut self, now: Moment) {
        self.apply_role();
        self.current.run(&mut self.shared, now);
        if let Some(previous) = &mut self.previous {
            previous.run(&mut self.shared, now);
        }
        self.select_between_lite(now);
        self.give_up_or_roll_back(now);
        self.confirm_restart(now);
        self.report(now);
        self.return_slot_unless_needed();
        self.restarted = None;
        self.deadline = self.next_deadline();
    }

    /// A slot of the shared pacer that nothing waits for would be lost to all.
    fn return_slot_unless_needed(&mut self) {
        let needed = |generation: &Generation| {
            let deadline = generation.next_check_deadline(&self.shared);
            deadline.is_some()
        };
        if self.shared.passing.turn().slot.is_some() && !self.generations().any(needed) {
            self.shared.return_slot();
        }
    }

    /// Nothing has happened but that time has passed.
    pub(super) fn pass_time(&mut self, now: Moment) -> Moved {
        if self.is_quiet() && self.current.keep_consent(&mut self.shared, now) {
            self.await_consent(now);
            Moved::Deadline
        } else {
            self.update(now);
            Moved::Anything
        }
    }

    /// Whether no restart and no change of role is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.previous.is_none() && self.role == self.shared.role
    }

    /// In the steady state nothing but consent has a deadline.
    #[inline]
    pub(super) fn await_consent(&mut self, now: Moment) {
        self.current.rest(&mut self.shared, now);
        let selected = self.current.selected.as_ref();
        self.deadline = selected.and_then(|s| s.consent.deadline(&self.shared.config.timing));
        debug_assert_eq!(self.deadline, self.next_deadline());
    }

    /// A change of role is found by one generation and concerns all.
    fn apply_role(&mut self) {
        let Some(role) = self.shared.role.filter(|_| self.role != self.shared.role) else {
            return;
        };
        if self.role.replace(role).is_some() {
            self.current.on_role_change(role);
            if let Some(previous) = &mut self.previous {
                previous.on_role_change(role);
            }
        }
    }

    pub(super) fn report(&mut self, now: Moment) {
        let of = |g: &Generation| g.selected.as_ref().map(|s| (s.pair, s.nominated));
        let selected = self.in_use().and_then(of);
        let reported = self.selected.map(|pair| (pair, self.nominated));
        let changed = selected.is_some() && selected != reported;
        if changed && let Some(pair) = self.selected_candidate_pair() {
            self.shared.tell(Event::SelectedCandidatePairChange(pair));
        }
        if self.selected.is_some() && selected.is_none() {
            self.shared.tell(Event::SendPathLost(self.loss()));
        }
        self.selected = selected.map(|(pair, _)| pair);
        self.nominated = selected.is_some_and(|(_, nominated)| nominated);
        let to = self.compute();
        if to == self.state {
            return;
        }
        if !self.state.may_become(to) {
            // Everything at once: two lite agents, or a request that was remembered. W3C's way leads over checking.
            self.change_state(now, State::Checking, self.reason(State::Checking));
        }
        self.change_state(now, to, self.reason(to));
    }

    /// Why the pair that was in use is lost: an unconfirmed restart's was not in use if the older one had one.
    fn loss(&self) -> Reason {
        let older = self
            .previous
            .as_ref()
            .and_then(|previous| previous.search.lost);
        let reason = match self.is_restarting() {
            true => older.or(self.current.search.lost),
            false => self.current.search.lost.or(older),
        };
        reason.unwrap_or(Reason::PairsFailed)
    }

    pub(super) fn change_state(&mut self, now: Moment, to: State, reason: Reason) {
        let from = std::mem::replace(&mut self.state, to);
        debug_assert!(from.may_become(to), "{from} to {to}: {reason}");
        self.restarted = None;
        let Some(at) = self.shared.config.clock.instant(now) else {
            return;
        };
        self.shared.tell(Event::StateChange(Transition {
            from,
            to,
            reason,
            at,
            coalesced: false,
        }));
    }

    pub(super) fn set_gathering(&mut self, state: GatheringState) {
        if self.shared.gathering != state {
            self.shared.gathering = state;
            self.shared.tell(Event::GatheringStateChange(state));
        }
    }

    /// The state that the facts make (W3C webrtc-pc §5.6.3).
    fn compute(&self) -> State {
        if self.state == State::Closed {
            return State::Closed;
        }
        if let Some(generation) = self.in_use() {
            return self.state_in_use(generation);
        }
        let current = &self.current;
        if current.failed.is_some() {
            return State::Failed;
        }
        let begun = self
            .generations()
            .any(|generation| generation.search.began.is_some());
        if self.state == State::New && !begun {
            return State::New;
        }
        // Checking comes first, also for a restart: W3C knows no other way out of `failed`.
        let restarted = self.restarted == Some(Reason::Restarted);
        if self.state == State::New || restarted || self.state == State::Failed {
            return State::Checking;
        }
        let pairs = &current.checklist.pairs;
        let open = self.shared.gathering != GatheringState::Complete
            || current.end_of_candidates == EndOfCandidates::Open;
        let all_failed = !pairs.is_empty()
            && !current.has_left_out()
            && pairs.iter().all(|pair| pair.state() == PairState::Failed);
        let was_in_use = current.search.lost.is_some()
            || matches!(
                self.state,
                State::Connected | State::Completed | State::Disconnected
            );
        let mut generations = self.generations();
        let unfinished = generations.any(|generation| generation.is_unfinished());
        let dead_end = (all_failed && open) || (was_in_use && !unfinished);
        if dead_end {
            State::Disconnected
        } else {
            State::Checking
        }
    }

    fn state_in_use(&self, generation: &Generation) -> State {
        let Some(selected) = &generation.selected else {
            return State::Checking;
        };
        let newest = generation.serial == self.current.serial;
        let complete = self.shared.gathering == GatheringState::Complete
            && generation.end_of_candidates == EndOfCandidates::Signalled;
        // A restart that is checking, or has a pair and waits for its nomination. A lite agent leaves the checks to the peer.
        let restarting = !newest
            && match &self.current.selected {
                Some(found) => !found.consent.is_suspect(),
                None => self.mode() == Mode::Lite || self.current.is_unfinished(),
            };
        match selected.consent.is_suspect() {
            true if restarting => State::Checking,
            true => State::Disconnected,
            false if newest && selected.nominated && complete => State::Completed,
            false => State::Connected,
        }
    }

    /// Why the state becomes `to`, from the same facts.
    fn reason(&self, to: State) -> Reason {
        let selected = self
            .in_use()
            .and_then(|generation| generation.selected.as_ref());
        match to {
            State::New | State::Closed => Reason::Closed,
            State::Failed => self.current.failed.unwrap_or(Reason::ChecksExhausted),
            State::Disconnected => match selected.map(|selected| selected.consent.liveness()) {
                Some(Liveness::Requests) => Reason::RequestsMissed,
                Some(_) => Reason::ConsentChecksMissed,
                None => self.current.search.lost.unwrap_or(Reason::PairsFailed),
            },
            State::Checking if self.state == State::New => Reason::ChecksBegan,
            // A restart that was pending when the connection failed, and goes on now.
            State::Checking if self.state == State::Failed => Reason::Restarted,
            State::Checking => self
                .restarted
                .or(self.current.search.lost)
                .unwrap_or(Reason::PairAdded),
            State::Connected | State::Completed if self.state == State::Disconnected => {
                Reason::Recovered
            }
            State::Connected if self.state == State::Completed => {
                self.restarted.unwrap_or(Reason::Restarted)
            }
            State::Connected if selected.is_some_and(|selected| selected.nominated) => {
                Reason::PairNominated
            }
            State::Connected => Reason::PairSucceeded,
            State::Completed => self.restarted.unwrap_or(Reason::CandidatesComplete),
        }
    }

    fn next_deadline(&self) -> Option<Moment> {
        if self.state == State::Closed {
            return None;
        }
        let of = |generation: &Generation| {
            if generation.failed.is_some() {
                return None;
            }
            let consent = generation
                .selected
                .as_ref()
                .and_then(|s| s.consent.deadline(&self.shared.config.timing));
            let deferred = generation.search.deferred.map(|(until, _)| until);
            // The older of two does not give up by itself.
            let newest = generation.serial == self.current.serial;
            let gives_up = (newest && !self.old_one_looks())
                .then(|| generation.giving_up_deadline(&self.shared))
                .flatten();
            [
                generation.checklist.deadline(&self.shared.config.clock),
                generation.next_check_deadline(&self.shared),
                gives_up,
                generation.search.look_again,
                consent,
                deferred,
            ]
            .into_iter()
            .flatten()
            .min()
        };
        self.generations()
            .filter_map(of)
            .chain(self.retirement())
            .min()
    }
}

pub(super) fn pair_stats(generation: &Generation) -> impl Iterator<Item = CandidatePairStats> {
    let selected = generation
        .selected
        .as_ref()
        .filter(|selected| selected.nominated)
        .map(|selected| selected.pair);
    generation
        .checklist
        .pairs
        .iter()
        .map(move |pair| CandidatePairStats {
            pair: CandidatePair {
                nominated: Some(pair.id) == selected,
                ..pair.view()
            },
            local_candidate: pair.local.id,
            remote_candidate: pair.remote.id,
            state: pair.state(),
            priority: pair.priority(),
            current_round_trip_time: pair.round_trip.current(),
            total_round_trip_time: pair.round_trip.total(),
            requests_sent: pair.counters.requests_sent.into(),
            requests_received: pair.counters.requests_received.into(),
            responses_sent: pair.counters.responses_sent.into(),
            responses_received: pair.counters.responses_received.into(),
            consent_requests_sent: pair.counters.consent_requests_sent.into(),
        })
}
