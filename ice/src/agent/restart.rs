//! Restarts (RFC 8445 §9), make before break.
//!
//! ```text
//!   one generation ──restart──► two: the old one carries and answers, the new one checks
//!         ▲                          │                             │
//!         │        new one has its   │                             │ new one gives up while the old one carries,
//!         │        nominated pair    ▼                             ▼ or rollback_restart
//!         └──linger──── the new one carries,              the old one goes on alone
//!                       the old one still answers
//! ```
//!
//! An old generation that has no path (any more) carries nothing, but is kept too: it is what a rollback restores, it may
//! still find its path, and it answers. If both are without one, the agent fails when both have tried everything. A new one
//! that loses its pair within the linger finds the old one still there, and gives up in its favour as if it had never had one.

use std::time::Instant;

use super::Agent;
use super::commands::{RemoteParameters, check_peer_changes};
use crate::error::ApiMisuse;
use crate::event::{Event, GatheredGeneration};
use crate::generation::Generation;
use crate::moment::Moment;
use crate::pair::PairId;
use crate::parameters::LocalParameters;
use crate::role::Mode;
use crate::selection::Selection;
use crate::state::{GatheringState, Reason, State};

impl Agent {
    /// Restarts ICE with new credentials of ours (all generated if `None`), and of the peer's if they are known already.
    ///
    /// Local candidates and the role stay (RFC 8445 §6.1.1); gathering begins anew. The old generation keeps answering,
    /// consenting and carrying traffic until the new one has a nominated pair; then
    /// [`Event::RestartConfirmed`]. If the new one gives up while the old one carries,
    /// [`Event::RestartRolledBack`].
    ///
    /// At most two generations live: a restart during a restart replaces the unconfirmed one (unless that has found a path and
    /// the old one has lost its own), a restart right after a confirmed one ends the one before.
    ///
    /// When both sides restart at once, each with `remote` unknown, either will do: one takes its restart back
    /// ([`rollback_restart`](Self::rollback_restart)) and restarts with the other's parameters, or both give what the other
    /// signalled to [`set_remote_parameters`](Self::set_remote_parameters).
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::RestartKeepsACredential`] when a username fragment or the peer's password is that of a live generation;
    /// [`ApiMisuse::Closed`]. Nothing has changed then.
    pub fn restart(
        &mut self,
        now: Instant,
        local: Option<LocalParameters>,
        remote: Option<RemoteParameters>,
    ) -> Result<(), ApiMisuse> {
        let now = self.shared.config.clock.moment(now);
        self.check_open()?;
        if let Some(given) = &local {
            // A password goes with one fragment: who has another fragment has another password.
            let fragment = given.as_parameters().username_fragment();
            if self.local_username_fragments().any(|live| live == fragment) {
                return Err(ApiMisuse::RestartKeepsACredential);
            }
        }
        let peers = || {
            self.generations()
                .filter_map(|generation| generation.peer.as_ref())
        };
        if let Some(given) = &remote {
            for peer in peers() {
                check_peer_changes(peer, &given.parameters)?;
            }
        }
        let local = local.unwrap_or_else(|| {
            let fragments = &self.shared.config.username_fragments;
            let random = &mut self.shared.random;
            random.draw(|random| LocalParameters::random(random, fragments))
        });
        // However many there were: the two that live are told apart, and none is the first again.
        self.shared.last_generation = self.shared.last_generation.checked_add(1).unwrap_or(1);
        let next = Generation::new(self.shared.last_generation, local.into_parameters());
        let mut old = std::mem::replace(&mut self.current, next);
        if self.goes_on(&old) {
            old.search.waits().gathered = self.shared.gathering == GatheringState::Complete;
            self.previous = Some(Box::new(old));
        }
        self.shared.passing.turn_mut().retire_at = None;
        if !self.old_one_carries() && self.state != State::New {
            self.current.await_answer(now);
        }
        self.restarted = Some(Reason::Restarted);
        self.shared.tell(Event::RestartBegan);
        self.set_gathering(if self.shared.locals.is_empty() {
            GatheringState::New
        } else {
            GatheringState::Gathering
        });
        if let Some(remote) = remote {
            self.take_peer(now, remote);
        }
        self.update(now);
        Ok(())
    }

    /// Whether the generation that is now the older one is the one to live on beside the new one.
    fn goes_on(&self, old: &Generation) -> bool {
        match &self.previous {
            None => old.peer.is_some(),
            // Confirmed, what was newer counts, unless only the older one has a path.
            Some(previous) if self.shared.passing.turn().retire_at.is_some() => {
                old.selected.is_some() || previous.selected.is_none()
            }
            // The older one is what was agreed upon last, unless only the unconfirmed one has a path.
            Some(previous) => previous.selected.is_none() && old.selected.is_some(),
        }
    }

    fn old_one_carries(&self) -> bool {
        let carries = |previous: &Generation| previous.selected.is_some();
        self.previous.as_deref().is_some_and(carries)
    }

    /// Whether the old generation has no path and checks of it are to come or under way.
    pub(super) fn old_one_looks(&self) -> bool {
        let looks = |previous: &Generation| {
            previous.selected.is_none() && previous.failed.is_none() && previous.is_unfinished()
        };
        self.is_restarting() && self.previous.as_deref().is_some_and(looks)
    }

    /// Gives up an unconfirmed restart, because the peer refused it: the old generation goes on as if nothing had been, with a
    /// path, looking for one, or failed.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::NoRestart`] without one, or once it is confirmed; [`ApiMisuse::Closed`].
    pub fn rollback_restart(&mut self, now: Instant) -> Result<(), ApiMisuse> {
        let now = self.shared.config.clock.moment(now);
        self.check_open()?;
        if self.shared.passing.turn().retire_at.is_some() || self.previous.is_none() {
            return Err(ApiMisuse::NoRestart);
        }
        self.roll_back(Reason::RolledBack);
        self.update(now);
        Ok(())
    }

    /// Whether a restart is under way and not confirmed.
    pub fn is_restarting(&self) -> bool {
        self.previous.is_some() && self.shared.passing.turn().retire_at.is_none()
    }

    fn roll_back(&mut self, reason: Reason) {
        if let Some(previous) = self.previous.take() {
            self.current = *previous;
            self.shared.passing.turn_mut().retire_at = None;
            self.restarted = Some(Reason::RolledBack);
            if self.current.search.gathered {
                self.set_gathering(GatheringState::Complete);
            }
            self.shared.tell(Event::RestartRolledBack(reason));
            if !self.current.search.gathered && self.shared.gathering == GatheringState::Complete {
                // What was gathered for the one is all that there is for the other, and its peer has not been told.
                let newest = Event::EndOfCandidates(GatheredGeneration::Newest);
                self.shared.tell(newest);
            }
        }
    }

    /// A generation that has tried everything ends: in `failed`, or in the old one if that still works.
    pub(super) fn give_up_or_roll_back(&mut self, now: Moment) {
        let carried = self.old_one_carries();
        match &self.previous {
            Some(_) if carried => self.current.answer_may_take_its_time(),
            Some(previous)
                if self.shared.passing.turn().retire_at.is_none() && self.state != State::New =>
            {
                if self.selected.is_some() && self.current.selected.is_none() {
                    // It is lost just now.
                    let lost = self.current.search.lost.or(previous.search.lost);
                    self.current.search.waits().lost = lost;
                }
                self.current.await_answer(now);
            }
            _ => {}
        }
        let Some(reason) = self.current.gives_up(&self.shared, now) else {
            return;
        };
        if self.old_one_looks() {
            return;
        }
        if carried {
            return self.roll_back(reason);
        }
        self.current.failed.get_or_insert(reason);
        if let Some(previous) = &mut self.previous {
            // Nothing but a restart leads out of `failed`.
            previous.failed.get_or_insert(reason);
        }
    }

    /// The new generation carries as soon as it has its nominated pair; the old one goes a little later, because the
    /// peer may learn of it a round trip after us.
    pub(super) fn confirm_restart(&mut self, now: Moment) {
        if self.previous.is_some()
            && self.shared.passing.turn().retire_at.is_none()
            && self.current.selected.as_ref().is_some_and(|s| s.nominated)
        {
            self.shared.passing.turn_mut().retire_at =
                Some(now + self.shared.config.timing.generation_linger);
            self.shared.tell(Event::RestartConfirmed);
        }
        if self.retirement().is_some_and(|at| now >= at) {
            self.shared.passing.turn_mut().retire_at = None;
            self.previous = None;
        }
    }

    /// When the old generation goes. It does not while it has the only path: the new one may lose its own within the linger.
    pub(super) fn retirement(&self) -> Option<Moment> {
        let needed = self.current.selected.is_none() && self.old_one_carries();
        self.shared.passing.turn().retire_at.filter(|_| !needed)
    }

    /// Two lite agents look for nothing: the pair is the one with the highest priority (RFC 8445 §8.2). One check of their
    /// own proves that the peer is there, because nothing else would before they send (I56).
    pub(super) fn select_between_lite(&mut self, now: Moment) {
        let lite = |mode| mode == Mode::Lite;
        let both = lite(self.mode())
            && self
                .current
                .peer
                .as_ref()
                .is_some_and(|peer| lite(peer.mode));
        if !both || self.state == State::Closed {
            return;
        }
        let best = self
            .current
            .checklist
            .pairs
            .iter()
            .filter(|pair| !pair.is_vetoed())
            .max_by_key(|pair| pair.priority())
            .map(|pair| pair.id);
        let current: Option<PairId> = self.current.selected.as_ref().map(|selected| selected.pair);
        if let Some(best) = best.filter(|best| current != Some(*best)) {
            self.current
                .select(&mut self.shared, now, best, Selection::Nominated);
            self.current.prove(&mut self.shared, now, best);
        }
    }
}
