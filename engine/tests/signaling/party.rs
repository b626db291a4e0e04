//! One side of an exchange: a `Signaling`, and the caller that carries out what it asks for.

use floe::signaling::{
    Action, CandidateInit, Completed, Config, Description, Event, Failure, Media, NotAwaited,
    OperationError, OperationId, Refused, SdpType, Side, Signaling, SignalingState, Transition,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A caller that makes descriptions with one section, `0`, and does at once what it is asked for.
pub(crate) struct Party {
    pub(crate) signaling: Signaling,
    pub(crate) now: Instant,
    /// Every event, in order.
    pub(crate) told: Vec<Event>,
    /// Every action that was carried out or refused, in order.
    pub(crate) asked: Vec<Action>,
    /// Descriptions and candidates with these texts are refused.
    pub(crate) refuses: Vec<(&'static str, Failure)>,
    /// How many descriptions it has made.
    made: u32,
    /// How often it has changed its credentials.
    pub(crate) generation: u32,
}

impl Party {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = sim::Clock::epoch();
        Self {
            signaling: Signaling::new(now, Arc::new(config)).expect("it is in range"),
            now,
            told: Vec::new(),
            asked: Vec::new(),
            refuses: Vec::new(),
            made: 0,
            generation: 1,
        }
    }

    /// Carries out what is asked for until nothing is, and takes every next turn.
    pub(crate) fn settle(&mut self) {
        loop {
            while self.act() {}
            let Some(due) = self.signaling.poll_timeout() else {
                return;
            };
            assert!(due <= self.now, "the next turn is due at once");
            self.signaling.handle_timeout(self.now);
            assert_eq!(self.signaling.poll_timeout(), None, "a turn is one turn");
        }
    }

    /// Carries out one action, if one is asked for.
    pub(crate) fn act(&mut self) -> bool {
        self.listen();
        let Some(action) = self.signaling.poll_action() else {
            return false;
        };
        assert_eq!(self.signaling.poll_action(), None, "one thing at a time");
        let result = self.result_of(&action);
        self.complete(action.operation(), result)
            .expect("it is what was asked for");
        self.asked.push(action);
        true
    }

    pub(crate) fn complete(
        &mut self,
        operation: OperationId,
        result: Result<Completed, Failure>,
    ) -> Result<(), NotAwaited> {
        let outcome = self.signaling.complete(self.now, operation, result);
        self.listen();
        outcome
    }

    /// What this caller would make of it.
    pub(crate) fn result_of(&mut self, action: &Action) -> Result<Completed, Failure> {
        let refused = |text: &[u8]| {
            let refused = self.refuses.iter();
            let mut refused = refused.filter(|(refused, _)| refused.as_bytes() == text);
            refused.next().map(|(_, failure)| *failure)
        };
        match action {
            Action::CreateOffer { ice_restart, .. } => {
                self.generation += u32::from(*ice_restart);
                Ok(self.make(SdpType::Offer))
            }
            Action::CreateAnswer { .. } => Ok(self.make(SdpType::Answer)),
            Action::Apply { description, .. } => {
                refused(&description.body).map_or(Ok(Completed::Done), Err)
            }
            Action::AddCandidate { candidate, .. } => {
                refused(candidate.candidate.as_bytes()).map_or(Ok(Completed::Done), Err)
            }
            _ => Ok(Completed::Done),
        }
    }

    fn make(&mut self, kind: SdpType) -> Completed {
        self.made += 1;
        let body = format!("{kind} {}", self.made);
        let media = [Media::new("0").with_ufrag(self.ufrag())];
        Completed::Created(Arc::new(Description::new(kind, body).with_media(media)))
    }

    /// Of the generation it would describe now.
    pub(crate) fn ufrag(&self) -> String {
        format!("local{}", self.generation)
    }

    pub(crate) fn listen(&mut self) {
        self.told
            .extend(std::iter::from_fn(|| self.signaling.poll_event()));
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
    }
}

/// The commands, each settled before the next.
impl Party {
    pub(crate) fn offer(&mut self) -> Arc<Description> {
        self.signaling
            .create_offer(self.now, Default::default())
            .expect("it is open");
        self.settle();
        self.made_last()
    }

    pub(crate) fn answer(&mut self) -> Arc<Description> {
        self.signaling.create_answer(self.now).expect("it is open");
        self.settle();
        self.made_last()
    }

    fn made_last(&self) -> Arc<Description> {
        let kind = match self.asked.last() {
            Some(Action::CreateOffer { .. }) => SdpType::Offer,
            Some(Action::CreateAnswer { .. }) => SdpType::Answer,
            other => panic!("nothing was created: {other:?}"),
        };
        let media = [Media::new("0").with_ufrag(self.ufrag())];
        Arc::new(Description::new(kind, format!("{kind} {}", self.made)).with_media(media))
    }

    /// `setLocalDescription`
    pub(crate) fn sld(
        &mut self,
        description: impl Into<Arc<Description>>,
    ) -> Result<(), OperationError> {
        let id = self.signaling.set_local_description(self.now, description);
        self.end_of(id)
    }

    /// `setRemoteDescription`
    pub(crate) fn srd(
        &mut self,
        description: impl Into<Arc<Description>>,
    ) -> Result<(), OperationError> {
        let id = self.signaling.set_remote_description(self.now, description);
        self.end_of(id)
    }

    /// `setLocalDescription` without an argument.
    pub(crate) fn sld_implied(&mut self) -> Result<(), OperationError> {
        let id = self.signaling.set_implied_description(self.now);
        self.end_of(id)
    }

    pub(crate) fn add(&mut self, candidate: CandidateInit) -> Result<(), OperationError> {
        let id = self.signaling.add_candidate(self.now, candidate);
        self.end_of(id)
    }

    fn end_of(&mut self, id: Result<OperationId, Refused>) -> Result<(), OperationError> {
        self.settle();
        self.outcome(id.expect("it is open"))
            .expect("it has come to an end")
    }

    /// A whole exchange, offered here.
    pub(crate) fn exchange(&mut self, ufrag: &str) {
        self.sld_implied().expect("an offer");
        self.srd(remote(SdpType::Answer, "their answer", ufrag))
            .expect("its answer");
    }
}

/// What was told.
impl Party {
    /// How an operation ended, if it has. It ends once.
    pub(crate) fn outcome(&self, id: OperationId) -> Option<Result<(), OperationError>> {
        let mut ends = self.told.iter().filter_map(|event| match event {
            Event::Done(of) | Event::CandidateDropped(of, _) if *of == id => Some(Ok(())),
            Event::Failed(of, error) if *of == id => Some(Err(*error)),
            _ => None,
        });
        let end = ends.next();
        assert_eq!(ends.next(), None, "operation {id} ended twice");
        end
    }

    pub(crate) fn transitions(&self) -> impl Iterator<Item = &Transition> {
        self.told.iter().filter_map(|event| match event {
            Event::SignalingStateChange(transition) => Some(transition),
            _ => None,
        })
    }

    /// The states that were told, each beginning where the one before ended.
    pub(crate) fn states(&self) -> Vec<String> {
        let mut last = SignalingState::Stable;
        for transition in self.transitions() {
            assert_eq!(transition.from, last, "the chain is whole");
            assert_ne!(transition.from, transition.to, "only changes are told");
            last = transition.to;
        }
        assert_eq!(last, self.signaling.state(), "and ends where it is");
        self.transitions()
            .map(|transition| transition.to.to_string())
            .collect()
    }

    pub(crate) fn times_needed(&self) -> usize {
        let needed = |event: &&Event| matches!(event, Event::NegotiationNeeded);
        self.told.iter().filter(needed).count()
    }

    /// The texts of pendingLocal, pendingRemote, currentLocal and currentRemote.
    pub(crate) fn slots(&self) -> [String; 4] {
        slots(&self.signaling)
    }

    /// The peer's candidates that were given to a transport, in order.
    pub(crate) fn applied(&self) -> Vec<&str> {
        self.asked
            .iter()
            .filter_map(|action| match action {
                Action::AddCandidate { candidate, .. } => Some(&*candidate.candidate),
                _ => None,
            })
            .collect()
    }

    /// Our candidates that were told, in order.
    pub(crate) fn gathered(&self) -> Vec<&str> {
        self.told
            .iter()
            .filter_map(|event| match event {
                Event::LocalCandidate(candidate) => Some(&*candidate.candidate),
                _ => None,
            })
            .collect()
    }
}

pub(crate) fn slots(signaling: &Signaling) -> [String; 4] {
    let text = |description: Option<&Arc<Description>>| {
        description.map_or_else(String::new, |description| {
            let body = String::from_utf8_lossy(&description.body);
            format!("{} {body}", description.kind)
        })
    };
    [
        text(signaling.pending_description(Side::Local)),
        text(signaling.pending_description(Side::Remote)),
        text(signaling.current_description(Side::Local)),
        text(signaling.current_description(Side::Remote)),
    ]
}

/// A description of the peer's with one section, `0`.
pub(crate) fn remote(kind: SdpType, body: &'static str, ufrag: &str) -> Description {
    Description::new(kind, body).with_media([Media::new("0").with_ufrag(ufrag)])
}

/// Our own last description as another kind, with the same text.
pub(crate) fn as_kind(description: &Description, kind: SdpType) -> Description {
    Description {
        kind,
        ..description.clone()
    }
}

pub(crate) fn invalid_state<T: std::fmt::Debug>(result: &Result<T, OperationError>) -> bool {
    matches!(result, Err(OperationError::InvalidState { .. }))
}
