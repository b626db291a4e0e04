//! The application's word on single pairs, above the policy: one to nominate, others never to use.

use std::time::Instant;

use super::Agent;
use crate::error::ApiMisuse;
use crate::generation::Generation;
use crate::pair::{PairId, PairState, Ruling};
use crate::role::{Mode, Role};
use crate::shared::Shared;
use crate::state::Reason;

impl Agent {
    /// Nominates this pair, which has succeeded: the controlling application's own choice. It replaces a nomination under way and
    /// an earlier choice, and holds against the [policy](crate::nomination::Policy) until [`release`](Self::release), or until the
    /// pair is lost or vetoed.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::NotControlling`], also for a lite agent; [`ApiMisuse::PairNotSucceeded`]; [`ApiMisuse::UnknownPair`];
    /// [`ApiMisuse::Closed`].
    pub fn nominate(&mut self, now: Instant, pair: PairId) -> Result<(), ApiMisuse> {
        let now = self.shared.config.clock.moment(now);
        self.check_open()?;
        if self.shared.role != Some(Role::Controlling) || self.mode() == Mode::Lite {
            return Err(ApiMisuse::NotControlling);
        }
        let (shared, generation) = self.generation_of(pair)?;
        let state = generation.checklist.get(pair).map(|pair| pair.state());
        if state != Some(PairState::Succeeded) {
            return Err(ApiMisuse::PairNotSucceeded);
        }
        for other in generation.checklist.pairs.iter_mut() {
            match other.ruling {
                _ if other.id == pair => other.ruling = Ruling::Forced,
                Ruling::Forced => other.ruling = Ruling::Open,
                Ruling::Open | Ruling::Vetoed => {}
            }
        }
        generation.nominate_pair(shared, now, pair);
        self.update(now);
        Ok(())
    }

    /// Forbids a pair: it is neither nominated nor used, and the peer's wish for it is not followed, although its checks are
    /// answered. If it is in use, another that works takes over, or none does. Holds until [`release`](Self::release) or
    /// [`nominate`](Self::nominate), and as long as the pair exists: candidates that are removed and added again, and a restart,
    /// make new pairs.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::UnknownPair`], [`ApiMisuse::Closed`].
    pub fn veto(&mut self, now: Instant, pair: PairId) -> Result<(), ApiMisuse> {
        let now = self.shared.config.clock.moment(now);
        let generation = self.rule(pair, Ruling::Vetoed)?;
        generation.withdraw_nomination_of(pair);
        let in_use = generation.selected.as_ref().map(|selected| selected.pair);
        if in_use == Some(pair) {
            generation.lose_selected(Reason::PairVetoed);
        }
        self.update(now);
        Ok(())
    }

    /// Takes back what [`nominate`](Self::nominate) or [`veto`](Self::veto) said about this pair: the policy decides again. A wish
    /// that the peer uttered meanwhile is followed if it is still its latest.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::UnknownPair`], [`ApiMisuse::Closed`].
    pub fn release(&mut self, now: Instant, pair: PairId) -> Result<(), ApiMisuse> {
        let now = self.shared.config.clock.moment(now);
        self.rule(pair, Ruling::Open)?;
        let (shared, generation) = self.generation_of(pair)?;
        generation.follow_again(shared, now, pair);
        self.update(now);
        Ok(())
    }

    fn rule(&mut self, id: PairId, ruling: Ruling) -> Result<&mut Generation, ApiMisuse> {
        self.check_open()?;
        let (_, generation) = self.generation_of(id)?;
        if let Some(pair) = generation.checklist.get_mut(id) {
            pair.ruling = ruling;
        }
        Ok(generation)
    }

    fn generation_of(&mut self, id: PairId) -> Result<(&mut Shared, &mut Generation), ApiMisuse> {
        let (shared, generation) = self.split_by(|g| g.checklist.get(id).is_some());
        Ok((shared, generation.ok_or(ApiMisuse::UnknownPair)?))
    }
}
