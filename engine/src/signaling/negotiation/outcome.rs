//! How operations end: the next phase, or back to what both sides last agreed on.

use super::{
    Action, Cause, Completed, Description, Event, Failed, Need, Negotiation, NegotiationError,
    OfferId, Phase, Remedy, Unanswered,
};
use crate::signaling::{self, CandidateDropped, Side, SignalingState};
use std::{sync::Arc, time::Instant};

impl Negotiation {
    /// What the signaling machine tells.
    pub(super) fn hear_signaling(&mut self, now: Instant) {
        while let Some(event) = self.signaling.poll_event() {
            match event {
                signaling::Event::Done(operation) if self.operation() == Some(operation) => {
                    self.busy().operation = None;
                    self.on_done(now);
                }
                signaling::Event::Failed(operation, error)
                    if self.operation() == Some(operation) =>
                {
                    self.busy().operation = None;
                    self.on_failed(now, error.into());
                }
                signaling::Event::Failed(_, error) => self.report_candidate(error.into()),
                signaling::Event::LocalCandidate(candidate) => self.send_candidate(candidate),
                // Counted by the signaling machine.
                signaling::Event::Done(_)
                | signaling::Event::CandidateDropped(_, CandidateDropped::Superseded) => {}
                event => {
                    self.notice_need(&event);
                    self.tell(Event::Signaling(event));
                }
            }
        }
    }

    /// A round takes in whatever is needed when it begins, and back in stable the signaling machine looks again.
    fn notice_need(&mut self, event: &signaling::Event) {
        match event {
            signaling::Event::NegotiationNeeded => self.need = Need::Open,
            signaling::Event::SignalingStateChange(change)
                if change.from == SignalingState::Stable =>
            {
                self.need = Need::Met;
            }
            _ => {}
        }
    }

    /// A created description with its number: the next one, or that of the offer that it answers.
    pub(super) fn numbered(&self, completed: Completed) -> Completed {
        let Completed::Created(description) = completed else {
            return completed;
        };
        let offer_id = match self.config.offer_ids {
            super::OfferIds::Absent => None,
            super::OfferIds::Numbered if self.phase == Phase::MakingOffer => {
                Some(self.ours.map_or(OfferId::FIRST, OfferId::next))
            }
            super::OfferIds::Numbered => {
                let offer = self.signaling.pending_description(Side::Remote);
                offer.and_then(|offer| offer.offer_id)
            }
        };
        let mut description = Arc::unwrap_or_clone(description);
        description.offer_id = offer_id;
        Completed::Created(Arc::new(description))
    }

    pub(super) fn on_created(&mut self, description: Arc<Description>) {
        if self.phase == Phase::MakingOffer {
            self.ours = description.offer_id.or(self.ours);
        }
        self.busy().created = Some(description);
    }

    fn on_done(&mut self, now: Instant) {
        if let Some(created) = self.busy().created.take() {
            if self.phase == Phase::MakingAnswer && self.newer_offer_waits() {
                return self.enter(Phase::OwingAnswer, Cause::Message);
            }
            return self.start(now, self.phase, Cause::Done, |machine| {
                machine.signaling.set_local_description(now, created)
            });
        }
        let is_stable = self.signaling.state() == SignalingState::Stable;
        match self.phase {
            Phase::MakingOffer if self.must_yield() => self.enter(Phase::HoldingOffer, Cause::Done),
            Phase::MakingOffer => self.send_offer(),
            Phase::MakingAnswer => {
                self.send_answer();
                self.settle(Cause::Sent);
            }
            Phase::SettingAnswer if is_stable => self.settle(Cause::Done),
            Phase::SettingAnswer => self.enter(Phase::AwaitingAnswer, Cause::Done),
            Phase::SettingOffer => self.enter(Phase::OwingAnswer, Cause::Done),
            _ => self.enter(Phase::Idle, Cause::Done),
        }
    }

    /// Whatever failed, the queue goes on from a state that both sides know.
    pub(super) fn on_failed(&mut self, now: Instant, error: NegotiationError) {
        let failed = self.phase;
        let remedy = match self.signaling.state() {
            _ if failed == Phase::RollingBack => Remedy::None,
            SignalingState::HaveLocalOffer => Remedy::RollBack(Side::Local),
            SignalingState::HaveRemoteOffer => Remedy::RollBack(Side::Remote),
            // A provisional answer cannot be rolled back (D5).
            SignalingState::HaveLocalPranswer | SignalingState::HaveRemotePranswer => {
                Remedy::Reconnect
            }
            SignalingState::Stable | SignalingState::Closed => Remedy::None,
        };
        self.tell_failed(error, remedy);
        match failed {
            Phase::MakingOffer | Phase::SettingAnswer => self.count_attempt(),
            // An offer of the peer's is the peer's to make again.
            Phase::SettingOffer | Phase::MakingAnswer if !self.newer_offer_waits() => {
                self.let_come_again();
            }
            _ => {}
        }
        match remedy {
            Remedy::RollBack(side) => self.roll_back(now, side, Cause::Failed),
            Remedy::Reconnect => {
                self.give_up();
                self.enter(self.left_in(), Cause::Failed);
            }
            Remedy::None | Remedy::Resend => self.enter(self.left_in(), Cause::Failed),
        }
    }

    /// The answer did not come, although nothing but the peer can be the reason.
    pub(super) fn on_unanswered(&mut self, now: Instant) {
        let is_last = self.attempts + 1 >= self.config.max_attempts;
        let is_first_round = self.signaling.current_description(Side::Remote).is_none();
        let remedy = match self.config.unanswered {
            Unanswered::RollBack if is_last => Remedy::Reconnect,
            Unanswered::RollBack if is_first_round => Remedy::Resend,
            Unanswered::RollBack => Remedy::RollBack(Side::Local),
            Unanswered::Reconnect => Remedy::Reconnect,
        };
        self.tell_failed(NegotiationError::Unanswered, remedy);
        match remedy {
            Remedy::Reconnect => self.give_up(),
            Remedy::RollBack(side) => {
                self.count_attempt();
                self.roll_back(now, side, Cause::Unanswered);
            }
            Remedy::Resend | Remedy::None => {
                self.count_attempt();
                self.send_pending();
            }
        }
    }

    /// Through the side whose offer it is: both readings of the specification allow that (D4).
    fn roll_back(&mut self, now: Instant, side: Side, cause: Cause) {
        self.start(now, Phase::RollingBack, cause, |machine| match side {
            Side::Local => machine
                .signaling
                .set_local_description(now, Description::rollback()),
            Side::Remote => machine
                .signaling
                .set_remote_description(now, Description::rollback()),
        });
    }

    /// The phase of who is left in a state by a failure that cannot be undone. Of an offer that cannot be taken back the answer may come
    /// yet; an offer that could not be answered may be replaced.
    fn left_in(&self) -> Phase {
        match self.signaling.state() {
            SignalingState::HaveLocalOffer | SignalingState::HaveRemotePranswer => {
                Phase::AwaitingAnswer
            }
            SignalingState::Closed => Phase::Closed,
            _ => Phase::Idle,
        }
    }

    fn settle(&mut self, cause: Cause) {
        self.attempts = 0;
        self.enter(Phase::Idle, cause);
    }

    fn count_attempt(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
        if self.attempts == self.config.max_attempts {
            self.ask(Action::Reconnect);
        }
    }

    fn give_up(&mut self) {
        if self.attempts < self.config.max_attempts {
            self.attempts = self.config.max_attempts;
            self.ask(Action::Reconnect);
        }
    }

    fn tell_failed(&mut self, error: NegotiationError, remedy: Remedy) {
        self.tell(Event::Failed(Failed {
            phase: self.phase,
            error,
            remedy,
            at: self.signaling.now(),
        }));
    }
}
