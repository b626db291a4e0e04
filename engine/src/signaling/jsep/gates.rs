//! Candidates at their gates: through, held, or dropped.

use super::{Signaling, count};
use crate::signaling::{
    candidates::{self, CandidateError, CandidateInit, EarlyCandidates, Gate, Gone},
    chain::{Operation, Stage},
    description::Side,
    operation::{Attempt, CandidateDropped, Event, OperationError, OperationId},
};
use std::mem;

impl Signaling {
    fn judge(&self, side: Side, candidate: &CandidateInit) -> Result<Gate, CandidateError> {
        let nothing = Gone::default();
        let gone = self.rare.as_deref().map_or(&nothing, |rare| match side {
            Side::Local => &rare.gone_local,
            Side::Remote => &rare.gone_remote,
        });
        candidates::judge(candidate, self.slots.applied(side), gone)
    }

    pub(super) fn begin_candidate(
        &mut self,
        id: OperationId,
        candidate: CandidateInit,
    ) -> Result<Option<Stage>, OperationError> {
        let gate = self.judge(Side::Remote, &candidate).inspect_err(|_| {
            count(&mut self.rare.get_or_insert_default().drops.refused);
        })?;
        let hold = self.config.early_candidates == EarlyCandidates::Hold;
        match gate {
            Gate::Through => return Ok(Some(Stage::AddCandidate(candidate))),
            Gate::Stopped => self.tell(Event::CandidateDropped(id, CandidateDropped::Stopped)),
            Gate::NoDescription | Gate::Early if hold => self.hold(id, candidate),
            Gate::Gone if hold => self.drop_candidate(id, CandidateDropped::Superseded),
            Gate::NoDescription => return Err(self.invalid(Attempt::AddCandidate)),
            Gate::Early | Gate::Gone => {
                count(&mut self.rare().drops.refused);
                return Err(CandidateError::UnknownUfrag.into());
            }
        }
        Ok(None)
    }

    fn hold(&mut self, id: OperationId, candidate: CandidateInit) {
        let most = self.config.max_held_candidates;
        let held = &mut self.busy().held_remote;
        let oldest = if held.len() >= most {
            held.pop_front()
        } else {
            None
        };
        held.push_back((id, candidate));
        if let Some((id, _)) = oldest {
            self.drop_candidate(id, CandidateDropped::TooMany);
        }
    }

    fn drop_candidate(&mut self, id: OperationId, reason: CandidateDropped) {
        let drops = &mut self.rare().drops;
        match reason {
            CandidateDropped::Superseded => count(&mut drops.superseded),
            CandidateDropped::TooMany => count(&mut drops.too_many),
            CandidateDropped::Stopped => {}
        }
        self.tell(Event::CandidateDropped(id, reason));
    }

    /// Descriptions came or went: who waited for them goes through, or is dropped.
    pub(super) fn release(&mut self) {
        self.release_remote();
        if let Some(busy) = &mut self.busy {
            let held = mem::take(&mut busy.held_local);
            held.into_iter()
                .for_each(|candidate| self.sort_local(candidate));
        }
    }

    /// The peer's candidates go to the front of the chain, in the order they came.
    pub(super) fn release_remote(&mut self) {
        let Some(busy) = self.busy.as_mut() else {
            return;
        };
        let held = mem::take(&mut busy.held_remote);
        let (waits, due): (_, Vec<_>) = held.into_iter().partition(|(_, candidate)| {
            let gate = self.judge(Side::Remote, candidate);
            matches!(gate, Ok(Gate::NoDescription | Gate::Early))
        });
        let busy = self.busy();
        busy.held_remote = waits.into();
        for (id, candidate) in due.into_iter().rev() {
            let operation = Operation::AddCandidate(candidate);
            busy.waiting.push_front((id, operation));
        }
    }

    /// Tells a candidate of ours if its description is applied, drops it if that is gone, else holds it.
    pub(super) fn sort_local(&mut self, candidate: CandidateInit) {
        match self.judge(Side::Local, &candidate) {
            Ok(Gate::NoDescription | Gate::Early) => {
                let most = self.config.max_held_candidates;
                let held = &mut self.busy().held_local;
                held.push_back(candidate);
                if held.len() > most {
                    held.pop_front();
                    count(&mut self.rare().drops.too_many);
                }
            }
            Ok(Gate::Gone) => count(&mut self.rare().drops.superseded_local),
            Ok(Gate::Through | Gate::Stopped) | Err(_) => {
                self.tell(Event::LocalCandidate(candidate));
            }
        }
    }
}
