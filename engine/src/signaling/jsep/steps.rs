//! From one operation to the next: whether it is allowed, what the caller does for it, and what that changes.

use super::Signaling;
use crate::signaling::{
    chain::{Asked, Operation, Running, Stage, Then},
    config::ForeignDescriptions,
    description::{Description, SdpType, Side},
    operation::{Attempt, Completed, Event, IceRestart, OperationError, OperationId},
    slots::{CreatedOffer, Slots, Worth},
    state::{Effect, Step},
};
use std::sync::Arc;

impl Signaling {
    /// Begins operations until one needs the caller, or none is left.
    pub(super) fn advance(&mut self) {
        while let Some(busy) = self.busy.as_mut()
            && busy.running.is_none()
            && let Some((id, operation)) = busy.waiting.pop_front()
        {
            match self.begin(id, operation) {
                Ok(Some(stage)) => self.run(id, stage),
                Ok(None) => {}
                Err(error) => self.settle(id, Err(error)),
            }
        }
        if self.is_chain_empty() {
            self.needed.chain_emptied();
        }
    }

    /// Whether the operation is allowed, and what is to be done for it; nothing, if it has ended or is held.
    fn begin(
        &mut self,
        id: OperationId,
        operation: Operation,
    ) -> Result<Option<Stage>, OperationError> {
        match operation {
            Operation::CreateOffer(ice_restart) if self.state.may_create_offer() => {
                Ok(Some(self.create_offer_stage(ice_restart, Then::Settle)))
            }
            Operation::CreateOffer(_) => Err(self.invalid(Attempt::CreateOffer)),
            Operation::CreateAnswer if self.state.may_create_answer() => {
                Ok(Some(Stage::CreateAnswer { then: Then::Settle }))
            }
            Operation::CreateAnswer => Err(self.invalid(Attempt::CreateAnswer)),
            Operation::SetImplied => self.begin_implied().map(Some),
            Operation::Set {
                side,
                description,
                changes,
            } => self.begin_set(side, description, changes).map(Some),
            Operation::AddCandidate(candidate) => self.begin_candidate(id, candidate),
        }
    }

    fn create_offer_stage(&self, ice_restart: IceRestart, then: Then) -> Stage {
        Stage::CreateOffer {
            ice_restart: ice_restart == IceRestart::Always || self.is_restart_wanted(),
            changes: self.needed.changes,
            then,
        }
    }

    fn begin_implied(&self) -> Result<Stage, OperationError> {
        let kind = self.state.implied();
        self.check(Side::Local, kind)?;
        let changes = self.needed.changes;
        let created = match kind {
            SdpType::Offer => self.fitting_offer(),
            _ => self.slots.created_answer(),
        };
        Ok(match (created, kind) {
            (Some(created), _) => Stage::Apply {
                side: Side::Local,
                description: Arc::clone(created),
                changes,
            },
            (None, SdpType::Offer) => self.create_offer_stage(IceRestart::IfWanted, Then::Apply),
            (None, _) => Stage::CreateAnswer { then: Then::Apply },
        })
    }

    /// The offer created last, if nothing has changed since.
    fn fitting_offer(&self) -> Option<&Arc<Description>> {
        let created = self.slots.created_offer()?;
        let to_replace = self
            .rare
            .as_ref()
            .map_or(&[][..], |rare| &rare.to_replace[..]);
        let is_old = |ufrag: &str| {
            to_replace
                .binary_search_by(|old| (**old).cmp(ufrag))
                .is_ok()
        };
        let fits = created.worth == Worth::Fresh
            && created.changes == self.needed.changes
            && !created.description.ufrags().any(is_old);
        fits.then_some(&created.description)
    }

    fn begin_set(
        &self,
        side: Side,
        description: Arc<Description>,
        changes: u32,
    ) -> Result<Stage, OperationError> {
        let kind = description.kind;
        let effect = self.check(side, kind)?;
        if kind == SdpType::Rollback {
            let owner = self.state.offerer().unwrap_or(side);
            return Ok(Stage::RollBack {
                through: side,
                owner,
                then: None,
            });
        }
        if side == Side::Local && self.is_foreign(&description) {
            return Err(OperationError::InvalidModification { kind });
        }
        Ok(match effect {
            Effect::RollBackThenGo(_) => Stage::RollBack {
                through: Side::Local,
                owner: Side::Local,
                then: Some(description),
            },
            Effect::Stay | Effect::Go(_) => Stage::Apply {
                side,
                description,
                changes,
            },
        })
    }

    /// Whether a local description is another than the one created last, and must not be.
    fn is_foreign(&self, description: &Description) -> bool {
        let created = match description.kind {
            SdpType::Offer => self.slots.created_offer().map(|offer| &offer.description),
            _ => self.slots.created_answer(),
        };
        self.config.foreign_descriptions == ForeignDescriptions::Refuse
            && created.is_none_or(|created| created.body != description.body)
    }

    /// The caller has done its part.
    pub(super) fn proceed(&mut self, id: OperationId, stage: Stage, completed: Completed) {
        match (stage, completed) {
            (Stage::CreateOffer { changes, then, .. }, Completed::Created(description)) => {
                self.slots.keep_offer(CreatedOffer {
                    description: Arc::clone(&description),
                    changes,
                    worth: Worth::Fresh,
                });
                self.go_on(id, then, description, changes);
            }
            (Stage::CreateAnswer { then }, Completed::Created(description)) => {
                self.slots.keep_answer(Arc::clone(&description));
                self.go_on(id, then, description, 0);
            }
            (Stage::RollBack { through, then, .. }, _) => {
                self.change(through, SdpType::Rollback, Slots::roll_back);
                match then {
                    Some(description) => self.run(id, Stage::apply(Side::Remote, description, 0)),
                    None => self.settle(id, Ok(())),
                }
            }
            (
                Stage::Apply {
                    side,
                    description,
                    changes,
                },
                _,
            ) => {
                self.apply(side, description, changes);
                self.settle(id, Ok(()));
                self.release();
            }
            (
                Stage::AddCandidate(_) | Stage::CreateOffer { .. } | Stage::CreateAnswer { .. },
                _,
            ) => {
                self.settle(id, Ok(()));
            }
        }
    }

    /// What was created is applied, or the one who asked for it has it.
    fn go_on(&mut self, id: OperationId, then: Then, description: Arc<Description>, changes: u32) {
        match then {
            Then::Settle => self.settle(id, Ok(())),
            Then::Apply => self.run(id, Stage::apply(Side::Local, description, changes)),
        }
    }

    pub(super) fn check(&self, side: Side, kind: SdpType) -> Result<Effect, OperationError> {
        self.state
            .step(Step::Set(side, kind), self.config.rollback)
            .map_err(|_| self.invalid(Attempt::Set(side, kind)))
    }

    pub(super) fn invalid(&self, attempt: Attempt) -> OperationError {
        OperationError::InvalidState {
            state: self.state,
            attempt,
        }
    }

    fn run(&mut self, id: OperationId, stage: Stage) {
        self.busy().running = Some(Running {
            id,
            stage,
            asked: Asked::No,
        });
    }

    pub(super) fn settle(&mut self, id: OperationId, result: Result<(), OperationError>) {
        self.tell(match result {
            Ok(()) => Event::Done(id),
            Err(error) => Event::Failed(id, error),
        });
    }
}
