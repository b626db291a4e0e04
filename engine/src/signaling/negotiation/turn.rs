//! What comes next: the peer's messages, one at a time and in their order, then what this side owes or wants.

use super::{
    Action, Cause, Channel, DiscardReason, Discarded, Event, Freshness, Gathering, MAX_ACTIONS,
    Media, Message, Moment, Need, Negotiation, NegotiationError, OfferIds, Phase, Role, Transition,
    Verdict, glare,
};
use crate::{
    IceGatheringState,
    signaling::{
        CandidateInit, Description, IceRestart, OfferId, OperationId, Refused, SdpType, Side,
        SignalingState,
    },
};
use std::{num::NonZeroU32, sync::Arc, time::Instant};

impl Negotiation {
    /// Goes on until an operation is under way or nothing is to be done.
    pub(super) fn advance(&mut self, now: Instant) {
        self.hear_signaling(now);
        while self.operation().is_none() && self.take_step(now) {
            self.hear_signaling(now);
        }
        self.watch_answer(now);
        self.watch_gathering(now);
        self.rest();
    }

    /// One thing, if there is one. No operation is under way.
    fn take_step(&mut self, now: Instant) -> bool {
        if self.phase == Phase::HoldingOffer && !self.must_yield() {
            self.send_offer();
            return true;
        }
        if let Some(message) = self.next_message() {
            self.take(now, message);
            return true;
        }
        match self.phase {
            Phase::OwingAnswer => {
                self.start(now, Phase::MakingAnswer, Cause::Needed, |machine| {
                    machine.signaling.create_answer(now)
                });
            }
            Phase::Idle if self.may_offer() => {
                self.start(now, Phase::MakingOffer, Cause::Needed, |machine| {
                    machine.signaling.create_offer(now, IceRestart::IfWanted)
                });
            }
            _ => return false,
        }
        true
    }

    /// A need is open in stable only; an offer of the peer's that waits comes first.
    fn may_offer(&self) -> bool {
        self.need == Need::Open
            && self.attempts < self.config.max_attempts
            && !self.newer_offer_waits()
            && !self.own_restart_waits()
    }

    fn own_restart_waits(&self) -> bool {
        self.signaling.is_restart_wanted() && self.restarts_wait()
    }

    fn restarts_wait(&self) -> bool {
        self.gathering == IceGatheringState::Gathering
            && self.config.gathering == Gathering::Awaited
    }

    /// A message has come: what can have no effect ends here, the rest waits for its turn.
    pub(super) fn receive(&mut self, now: Instant, message: Message) {
        let waiting = self.busy.as_deref().map_or(0, |busy| busy.inbox.len());
        match message {
            Message::Candidate(candidate) if waiting == 0 => self.add_candidate(now, candidate),
            Message::Candidate(_) if waiting >= self.config.max_waiting => self.keep_silent(),
            Message::Description(description) if waiting >= self.config.max_waiting => {
                self.discard(&description, DiscardReason::TooMany);
            }
            Message::Description(offer) if offer.kind == SdpType::Offer => {
                self.receive_offer(now, offer, waiting);
            }
            message => self.busy().inbox.push_back(message),
        }
    }

    fn receive_offer(&mut self, now: Instant, offer: Arc<Description>, waiting: usize) {
        let freshness = self.freshness(offer.offer_id);
        let verdict = glare::judge(self.role, self.moment(), freshness);
        match verdict {
            Verdict::Drop => return self.discard(&offer, DiscardReason::Stale),
            Verdict::Repeat => return self.repeat_answer(&offer),
            // Behind others it is judged when they are done.
            Verdict::Ignore if waiting == 0 => {
                return self.ignore(now, offer, DiscardReason::Glare);
            }
            _ => {}
        }
        self.theirs = offer.offer_id.or(self.theirs);
        self.busy().inbox.push_back(Message::Description(offer));
    }

    /// The oldest message, unless it has to wait.
    fn next_message(&mut self) -> Option<Message> {
        if self.their_restart_waits() {
            return None;
        }
        self.busy.as_deref_mut()?.inbox.pop_front()
    }

    fn their_restart_waits(&self) -> bool {
        let front = self.busy.as_deref().and_then(|busy| busy.inbox.front());
        let Some(Message::Description(description)) = front else {
            return false;
        };
        description.kind == SdpType::Offer && self.restarts_wait() && self.is_restart(description)
    }

    /// Whether an offer of the peer's has new credentials for a section that there is.
    fn is_restart(&self, offer: &Description) -> bool {
        let current = self.signaling.current_description(Side::Remote);
        current.is_some_and(|current| offer.restarts_ice_of(current))
    }

    /// Whether an offer of the peer's waits that an applied one of ours gives way to.
    pub(super) fn must_yield(&self) -> bool {
        self.role == Role::Polite && self.newer_offer_waits()
    }

    /// Whether an offer of the peer's waits: then it has no use for what it was to get for those before.
    pub(super) fn newer_offer_waits(&self) -> bool {
        let is_offer = |message: &Message| matches!(message, Message::Description(waiting) if waiting.kind == SdpType::Offer);
        let busy = self.busy.as_deref();
        busy.is_some_and(|busy| busy.inbox.iter().any(is_offer))
    }

    /// A message's turn has come.
    fn take(&mut self, now: Instant, message: Message) {
        match message {
            Message::Candidate(candidate) => self.add_candidate(now, candidate),
            Message::Description(description) => match description.kind {
                SdpType::Offer => self.take_offer(now, description),
                SdpType::Answer | SdpType::Pranswer => self.take_answer(now, description),
                SdpType::Rollback => self.discard(&description, DiscardReason::Rollback),
            },
        }
    }

    fn take_offer(&mut self, now: Instant, offer: Arc<Description>) {
        let freshness = match offer.offer_id.filter(|_| self.counts_offers()) {
            None => Freshness::Unnumbered,
            Some(_) if offer.offer_id < self.theirs => Freshness::Old,
            Some(_) => Freshness::Newer,
        };
        match glare::judge(self.role, self.moment(), freshness) {
            Verdict::Answer | Verdict::Yield | Verdict::Replace => {
                self.busy().ignored = None;
                self.start(now, Phase::SettingOffer, Cause::Message, |machine| {
                    machine.signaling.set_remote_description(now, offer)
                });
            }
            Verdict::Ignore => self.ignore(now, offer, DiscardReason::Glare),
            Verdict::Refuse => self.ignore(now, offer, DiscardReason::ProvisionalAnswer),
            Verdict::Repeat | Verdict::Drop => self.ignore(now, offer, DiscardReason::Stale),
        }
    }

    fn take_answer(&mut self, now: Instant, answer: Arc<Description>) {
        let ours = self.signaling.pending_description(Side::Local);
        let ours = ours.and_then(|offer| offer.offer_id);
        let fits = ours.is_none() || answer.offer_id.is_none() || ours == answer.offer_id;
        if self.phase != Phase::AwaitingAnswer || !fits {
            return self.discard(&answer, DiscardReason::NotAwaited);
        }
        self.busy().ignored = None;
        self.start(now, Phase::SettingAnswer, Cause::Message, |machine| {
            machine.signaling.set_remote_description(now, answer)
        });
    }

    fn add_candidate(&mut self, now: Instant, mut candidate: CandidateInit) {
        if let Some(ignored) = self.ignored()
            && candidate.ufrag.is_none()
        {
            let (mid, index) = (candidate.mid.as_deref(), candidate.line_index);
            candidate.ufrag = ignored
                .sections(mid, index)
                .find_map(|media| media.ufrag.clone());
            let remote = self.signaling.description(Side::Remote);
            if candidate.ufrag.is_none() && remote.is_none() {
                return; // it can be of the ignored offer only
            }
        }
        if let Err(refused) = self.signaling.add_candidate(now, candidate) {
            self.report_candidate(refused.into());
        }
    }

    /// A candidate failed. That those of an ignored offer do is no news.
    pub(super) fn report_candidate(&mut self, error: NegotiationError) {
        if self.ignored().is_none() {
            self.report(Event::CandidateFailed(error));
        }
    }

    fn ignore(&mut self, now: Instant, offer: Arc<Description>, reason: DiscardReason) {
        self.signaling.ignore(now, &offer);
        self.discard(&offer, reason);
        if offer.offer_id == self.theirs {
            self.let_come_again();
        }
        self.busy().ignored = Some(offer);
    }

    /// The peer's newest offer was not answered, and will not be: if it comes again, it is new.
    pub(super) fn let_come_again(&mut self) {
        let before = |newest: OfferId| NonZeroU32::new(newest.0.get() - 1).map(OfferId);
        self.theirs = self.theirs.and_then(before);
    }

    fn discard(&mut self, description: &Description, reason: DiscardReason) {
        self.report(Event::Discarded(Discarded {
            kind: description.kind,
            offer_id: description.offer_id,
            reason,
            at: self.signaling.now(),
        }));
    }

    fn repeat_answer(&mut self, offer: &Description) {
        self.discard(offer, DiscardReason::Repeated);
        if self.busy().actions.len() < MAX_ACTIONS {
            self.send_answer();
        }
    }

    /// Where this side stands with an offer that comes now.
    fn moment(&self) -> Moment {
        match (self.phase, self.signaling.state()) {
            (Phase::Closed, _) | (_, SignalingState::Closed) => Moment::Closed,
            (Phase::MakingOffer, _) => Moment::MakingOffer,
            (Phase::SettingAnswer, _) => Moment::AnswerPending,
            (Phase::SettingOffer | Phase::MakingAnswer, _) => Moment::HaveRemoteOffer,
            (Phase::RollingBack, _) | (_, SignalingState::Stable) => Moment::Stable,
            (_, SignalingState::HaveLocalOffer) => Moment::AwaitingAnswer,
            (_, SignalingState::HaveRemoteOffer) => Moment::HaveRemoteOffer,
            (_, SignalingState::HaveLocalPranswer | SignalingState::HaveRemotePranswer) => {
                Moment::Pranswer
            }
        }
    }

    fn counts_offers(&self) -> bool {
        self.config.offer_ids == OfferIds::Numbered
    }

    fn freshness(&self, offer_id: Option<OfferId>) -> Freshness {
        let Some(offer_id) = offer_id.filter(|_| self.counts_offers()) else {
            return Freshness::Unnumbered;
        };
        if self.theirs.is_none_or(|newest| offer_id > newest) {
            return Freshness::Newer;
        }
        let answered = self.signaling.current_description(Side::Remote);
        let answered = answered.filter(|description| description.kind == SdpType::Offer);
        if answered.is_some_and(|offer| offer.offer_id == Some(offer_id)) {
            Freshness::Answered
        } else {
            Freshness::Old
        }
    }

    pub(super) fn start(
        &mut self,
        now: Instant,
        phase: Phase,
        cause: Cause,
        command: impl FnOnce(&mut Self) -> Result<OperationId, Refused>,
    ) {
        self.enter(phase, cause);
        match command(self) {
            Ok(operation) => self.busy().operation = Some(operation),
            Err(refused) => self.on_failed(now, refused.into()),
        }
    }

    pub(super) fn enter(&mut self, to: Phase, cause: Cause) {
        let from = std::mem::replace(&mut self.phase, to);
        if from != to {
            let at = self.signaling.now();
            self.tell(Event::PhaseChange(Transition {
                from,
                to,
                cause,
                at,
            }));
        }
        if matches!(from, Phase::HoldingOffer | Phase::SettingOffer) {
            self.release_candidates();
        }
    }

    pub(super) fn send_offer(&mut self) {
        self.send_pending();
        self.enter(Phase::AwaitingAnswer, Cause::Sent);
    }

    /// The pending local description, to the peer.
    pub(super) fn send_pending(&mut self) {
        if let Some(description) = self.signaling.pending_description(Side::Local) {
            let message = Message::Description(Arc::clone(description));
            self.ask(Action::Send(message));
        }
    }

    /// The answer of the last round, if this side gave it.
    pub(super) fn send_answer(&mut self) {
        if let Some(answer) = self.signaling.current_description(Side::Local)
            && answer.kind == SdpType::Answer
        {
            let message = Message::Description(Arc::clone(answer));
            self.ask(Action::Send(message));
        }
    }

    /// A local candidate whose description is applied: it goes after that one, and only if that one went.
    pub(super) fn send_candidate(&mut self, candidate: CandidateInit) {
        if matches!(self.phase, Phase::HoldingOffer | Phase::SettingOffer) {
            self.busy().candidates.push(candidate);
        } else if self.is_described(&candidate) {
            self.ask(Action::Send(Message::Candidate(candidate)));
        }
    }

    fn release_candidates(&mut self) {
        let Some(busy) = self.busy.as_deref_mut() else {
            return;
        };
        for candidate in std::mem::take(&mut busy.candidates) {
            self.send_candidate(candidate);
        }
    }

    fn is_described(&self, candidate: &CandidateInit) -> bool {
        let (mid, index) = (candidate.mid.as_deref(), candidate.line_index);
        let pending = self.signaling.pending_description(Side::Local);
        let current = self.signaling.current_description(Side::Local);
        pending.into_iter().chain(current).any(|description| {
            let fits = |own: &Option<Box<str>>| {
                own.is_none() || candidate.ufrag.is_none() || *own == candidate.ufrag
            };
            let mut sections = description.sections(mid, index);
            description.media.is_empty() || sections.any(|media| fits(&media.ufrag))
        })
    }

    /// An answer is missed from the moment on at which nothing but the peer can be the reason.
    fn watch_answer(&mut self, now: Instant) {
        let is_missed = self.phase == Phase::AwaitingAnswer
            && self.signaling.state() == SignalingState::HaveLocalOffer
            && self.channel == Channel::Up
            && self.attempts < self.config.max_attempts
            && (self.media == Media::Connected || self.signaling.is_restart_wanted());
        if !is_missed {
            if let Some(busy) = self.busy.as_deref_mut() {
                busy.deadline = None;
            }
        } else if self.deadline().is_none() {
            self.busy().deadline = Some(now + self.config.answer_timeout);
        }
    }

    /// Who never says that gathering is complete does not keep a restart waiting for ever.
    fn watch_gathering(&mut self, now: Instant) {
        let own_waits = self.need == Need::Open && self.own_restart_waits();
        let waits = own_waits || self.their_restart_waits();
        if !waits {
            if let Some(busy) = self.busy.as_deref_mut() {
                busy.patience = None;
            }
        } else if self.busy().patience.is_none() {
            self.busy().patience = Some(now + self.config.gathering_timeout);
        }
    }
}
