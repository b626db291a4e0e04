//! Two sides that negotiate over a channel in virtual time, each with a native connection in miniature: tracks are numbers, a
//! section of a description is a track, and both sides are well when they agree on the same sections.

use floe::signaling::{
    self, CandidateInit, Completed, Config as SignalingConfig, Description, Failure, Media,
    OperationId, SdpType, Side, Signaling, SignalingState,
    negotiation::{Action, Config, Discarded, Event, Failed, Message, Negotiation, Phase, Role},
};
use sim::{Clock, Random};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) const POLITE: usize = 0;
pub(crate) const IMPOLITE: usize = 1;

/// What runs on and on is stuck.
const PATIENCE: usize = 100_000;

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A native connection in miniature.
#[derive(Default)]
pub(crate) struct Native {
    name: char,
    /// What this side wants to be negotiated.
    pub(crate) tracks: BTreeSet<u8>,
    /// How many ICE credentials it has made, and how many descriptions.
    pub(crate) generation: u32,
    made: u32,
    /// How operations to come end badly: the name of the action, after how many of them that went well.
    pub(crate) failures: Vec<(&'static str, usize, Failure)>,
    /// What was asked for, in its order.
    pub(crate) log: Vec<String>,
    /// The bodies of both descriptions of each round that was agreed on.
    pub(crate) rounds: Vec<[String; 2]>,
    /// The candidates that were given to a transport.
    pub(crate) added: Vec<String>,
    /// What applied descriptions have made, and rollbacks not undone.
    pub(crate) sections: BTreeSet<String>,
}

/// One side: the machine under test, and what came out of it.
pub(crate) struct Party {
    pub(crate) machine: Negotiation,
    pub(crate) native: Native,
    /// What is being done, and when it will be.
    working: VecDeque<(Instant, signaling::Action)>,
    /// What is asked for stays undone while this is set.
    pub(crate) paused: bool,
    pub(crate) events: Vec<Event>,
    pub(crate) sent: Vec<Message>,
    pub(crate) reconnects: usize,
}

/// What the channel promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Kept,
    Broken,
}

/// Two parties, the channel between them, and time.
pub(crate) struct World {
    pub(crate) parties: [Party; 2],
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// What is under way to each of the two.
    pub(crate) channel: [VecDeque<(Instant, Message)>; 2],
    /// How long a message and an operation take: this, or at most this if the world is a random one.
    pub(crate) latency: Duration,
    pub(crate) labour: Duration,
    pub(crate) jitter: bool,
    /// Whether what is sent to a party arrives; what does not is kept.
    pub(crate) up: [bool; 2],
    pub(crate) order: Order,
    config: Config,
}

impl Native {
    fn sections(&self, mids: impl IntoIterator<Item = String>, ufrag: &str) -> Arc<[Media]> {
        let section = |mid: String| Media::new(mid).with_ufrag(ufrag);
        mids.into_iter().map(section).collect()
    }

    fn describe(&mut self, kind: SdpType, mids: BTreeSet<String>, ufrag: &str) -> Arc<Description> {
        self.made += 1;
        let names: Vec<_> = mids.iter().map(String::as_str).collect();
        let body = format!("{}{} {} {ufrag}", self.name, self.made, names.join(","));
        let media = self.sections(mids, ufrag);
        Arc::new(Description::new(kind, body).with_media(media))
    }

    pub(crate) fn ufrag_of(description: Option<&Arc<Description>>) -> Option<String> {
        let text = words(description?);
        text.split(' ').nth(2).map(Into::into)
    }

    fn mids_of(description: Option<&Arc<Description>>) -> BTreeSet<String> {
        let Some(description) = description else {
            return BTreeSet::new();
        };
        let text = words(description);
        let mids = text.split(' ').nth(1).unwrap_or_default();
        mids.split(',')
            .filter(|mid| !mid.is_empty())
            .map(Into::into)
            .collect()
    }

    fn fresh_ufrag(&mut self) -> String {
        self.generation += 1;
        format!("{}{}", self.name, self.generation)
    }

    fn create_offer(&mut self, signaling: &Signaling, kept: Option<String>) -> Arc<Description> {
        let current = signaling.current_description(Side::Local);
        let mut mids = Self::mids_of(current);
        mids.extend(self.tracks.iter().map(ToString::to_string));
        let ufrag = kept.unwrap_or_else(|| self.fresh_ufrag());
        self.describe(SdpType::Offer, mids, &ufrag)
    }

    fn create_answer(&mut self, signaling: &Signaling) -> Arc<Description> {
        let offer = signaling.pending_description(Side::Remote);
        let before = signaling.current_description(Side::Remote);
        let is_restart = Self::ufrag_of(offer) != Self::ufrag_of(before);
        let ufrag = Self::ufrag_of(signaling.current_description(Side::Local));
        let ufrag = ufrag
            .filter(|_| !is_restart)
            .unwrap_or_else(|| self.fresh_ufrag());
        self.describe(SdpType::Answer, Self::mids_of(offer), &ufrag)
    }

    fn failure(&mut self, name: &str) -> Option<Failure> {
        let position = self
            .failures
            .iter()
            .position(|(failing, ..)| *failing == name)?;
        match &mut self.failures[position] {
            (_, 0, _) => Some(self.failures.remove(position).2),
            (_, left, _) => {
                *left -= 1;
                None
            }
        }
    }
}

/// The name of an action, as the tests say it.
pub(crate) fn name_of(action: &signaling::Action) -> &'static str {
    use signaling::Action as A;
    match action {
        A::CreateOffer { .. } => "create offer",
        A::CreateAnswer { .. } => "create answer",
        A::Rollback {
            side: Side::Local, ..
        } => "roll back local",
        A::Rollback { .. } => "roll back remote",
        A::Apply {
            side, description, ..
        } => match (side, description.kind) {
            (Side::Local, SdpType::Offer) => "apply local offer",
            (Side::Local, SdpType::Answer) => "apply local answer",
            (Side::Local, _) => "apply local pranswer",
            (_, SdpType::Offer) => "apply remote offer",
            (_, SdpType::Answer) => "apply remote answer",
            _ => "apply remote pranswer",
        },
        A::AddCandidate { .. } => "add candidate",
        _ => "?",
    }
}

impl Party {
    fn new(now: Instant, name: char, role: Role, config: &Arc<Config>) -> Self {
        let signaling =
            Signaling::new(now, Arc::new(SignalingConfig::default())).expect("defaults work");
        Self {
            machine: Negotiation::new(now, role, signaling, config.clone())
                .expect("the configuration is valid"),
            native: Native {
                name,
                ..Native::default()
            },
            working: VecDeque::new(),
            paused: false,
            events: Vec::new(),
            sent: Vec::new(),
            reconnects: 0,
        }
    }

    /// The operation that is being done, and its name.
    pub(crate) fn under_way(&self) -> Option<(OperationId, &'static str)> {
        let (_, action) = self.working.front()?;
        Some((action.operation(), name_of(action)))
    }

    pub(crate) fn state(&self) -> SignalingState {
        self.machine.signaling().state()
    }

    /// The sections both sides agreed on, as this side knows it.
    pub(crate) fn agreed(&self) -> BTreeSet<String> {
        Native::mids_of(self.machine.signaling().current_description(Side::Local))
    }

    pub(crate) fn ufrag(&self, side: Side) -> Option<String> {
        Native::ufrag_of(self.machine.signaling().current_description(side))
    }

    /// Whether its tracks are all agreed on.
    fn is_content(&self) -> bool {
        let agreed = self.agreed();
        self.native
            .tracks
            .iter()
            .all(|track| agreed.contains(&track.to_string()))
    }

    /// How often the native connection was asked for this.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.native
            .log
            .iter()
            .filter(|entry| *entry == name)
            .count()
    }

    pub(crate) fn sent_of(&self, kind: SdpType) -> Vec<Arc<Description>> {
        let description = |message: &Message| match message {
            Message::Description(description) if description.kind == kind => {
                Some(description.clone())
            }
            _ => None,
        };
        self.sent.iter().filter_map(description).collect()
    }

    pub(crate) fn offers(&self) -> usize {
        self.sent_of(SdpType::Offer).len()
    }

    pub(crate) fn states(&self) -> Vec<SignalingState> {
        let state = |event: &Event| match event {
            Event::Signaling(signaling::Event::SignalingStateChange(change)) => Some(change.to),
            _ => None,
        };
        self.events.iter().filter_map(state).collect()
    }

    pub(crate) fn phases(&self) -> Vec<Phase> {
        let phase = |event: &Event| match event {
            Event::PhaseChange(change) => Some(change.to),
            _ => None,
        };
        self.events.iter().filter_map(phase).collect()
    }

    pub(crate) fn failures(&self) -> Vec<Failed> {
        let failed = |event: &Event| match event {
            Event::Failed(failed) => Some(*failed),
            _ => None,
        };
        self.events.iter().filter_map(failed).collect()
    }

    pub(crate) fn discarded(&self) -> Vec<Discarded> {
        let discarded = |event: &Event| match event {
            Event::Discarded(discarded) => Some(*discarded),
            _ => None,
        };
        self.events.iter().filter_map(discarded).collect()
    }

    pub(crate) fn candidate_failures(&self) -> usize {
        let is_failure = |event: &&Event| matches!(event, Event::CandidateFailed(_));
        self.events.iter().filter(is_failure).count()
    }

    fn needs(&self) -> usize {
        let is_need =
            |event: &&Event| matches!(event, Event::Signaling(signaling::Event::NegotiationNeeded));
        self.events.iter().filter(is_need).count()
    }

    pub(crate) fn negotiations_needed(&self) -> usize {
        self.needs()
    }

    /// Does what is due, and says how it went.
    fn work(&mut self, now: Instant) -> bool {
        let is_due = |(due, _): &&(Instant, _)| *due <= now && !self.paused;
        if self.working.front().filter(is_due).is_none() {
            return false;
        }
        let Some((_, action)) = self.working.pop_front() else {
            return false;
        };
        let result = match self.native.failure(name_of(&action)) {
            Some(failure) => Err(failure),
            None => Ok(self.perform(now, &action)),
        };
        let before = self.state();
        self.machine
            .complete(now, action.operation(), result)
            .expect("it is awaited");
        if self.state() == SignalingState::Stable && before != SignalingState::Stable {
            self.on_stable(&action);
        }
        true
    }

    fn perform(&mut self, now: Instant, action: &signaling::Action) -> Completed {
        self.keep_sections(action);
        let signaling = self.machine.signaling();
        match action {
            signaling::Action::CreateOffer { ice_restart, .. } => {
                let current = signaling.current_description(Side::Local);
                let kept = Native::ufrag_of(current).filter(|_| !ice_restart);
                Completed::Created(self.native.create_offer(signaling, kept))
            }
            signaling::Action::CreateAnswer { .. } => {
                Completed::Created(self.native.create_answer(signaling))
            }
            signaling::Action::AddCandidate { candidate, .. } => {
                self.native.added.push(candidate.candidate.to_string());
                Completed::Done
            }
            signaling::Action::Apply {
                side: Side::Remote,
                description,
                ..
            } if description.kind == SdpType::Offer => {
                // What the peer offers need not be offered by us.
                let offered = Native::mids_of(Some(description));
                let wanted = &self.native.tracks;
                if wanted
                    .iter()
                    .all(|track| offered.contains(&track.to_string()))
                {
                    self.machine.negotiation_satisfied(now);
                }
                Completed::Done
            }
            _ => Completed::Done,
        }
    }

    /// The sections that applying makes, and rolling back drops.
    fn keep_sections(&mut self, action: &signaling::Action) {
        match action {
            signaling::Action::Rollback { .. } => self.native.sections = self.agreed(),
            signaling::Action::Apply { description, .. } => {
                let made = Native::mids_of(Some(description));
                self.native.sections.extend(made);
            }
            _ => {}
        }
    }

    fn on_stable(&mut self, action: &signaling::Action) {
        if !matches!(action, signaling::Action::Apply { .. }) {
            return;
        }
        let signaling = self.machine.signaling();
        let body = |side| {
            let current = signaling
                .current_description(side)
                .expect("it has been set");
            words(current)
        };
        let mut round = Side::ALL.map(body);
        round.sort();
        self.native.rounds.push(round);
    }
}

impl World {
    /// The polite side is first. Messages take 10 ms, operations 1 ms.
    pub(crate) fn new() -> Self {
        Self::with(&Config::default())
    }

    pub(crate) fn with(config: &Config) -> Self {
        let shared = Arc::new(config.clone());
        let clock = Clock::new();
        let now = clock.now();
        Self {
            parties: [
                Party::new(now, 'p', Role::Polite, &shared),
                Party::new(now, 'i', Role::Impolite, &shared),
            ],
            clock,
            random: Random::new(0),
            channel: [VecDeque::new(), VecDeque::new()],
            latency: ms(10),
            labour: ms(1),
            jitter: false,
            up: [true; 2],
            order: Order::Kept,
            config: config.clone(),
        }
    }

    /// Everything takes between no time and what is said.
    pub(crate) fn random(seed: u64, latency: Duration, labour: Duration) -> Self {
        let mut world = Self::new();
        world.random = Random::new(seed);
        (world.latency, world.labour, world.jitter) = (latency, labour, true);
        world
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) fn polite(&mut self) -> &mut Party {
        &mut self.parties[POLITE]
    }

    pub(crate) fn impolite(&mut self) -> &mut Party {
        &mut self.parties[IMPOLITE]
    }

    /// This side wants another track.
    pub(crate) fn add_track(&mut self, who: usize, track: u8) {
        let now = self.now();
        self.parties[who].native.tracks.insert(track);
        self.parties[who].machine.negotiation_needed(now);
        self.settle();
    }

    pub(crate) fn restart_ice(&mut self, who: usize) {
        let now = self.now();
        self.parties[who].machine.restart_ice(now);
        self.settle();
    }

    /// Hands this to a party, whoever sent it.
    pub(crate) fn tell(&mut self, who: usize, message: Message) {
        let now = self.now();
        self.parties[who].machine.handle_message(now, message);
        self.settle();
    }

    pub(crate) fn tell_candidate(
        &mut self,
        who: usize,
        text: &str,
        mid: &str,
        ufrag: Option<&str>,
    ) {
        self.tell(who, Message::Candidate(candidate(text, mid, ufrag)));
    }

    pub(crate) fn find_candidate(&mut self, who: usize, text: &str, mid: &str, ufrag: &str) {
        let now = self.now();
        let candidate = candidate(text, mid, Some(ufrag));
        self.parties[who]
            .machine
            .handle_local_candidate(now, candidate);
        self.settle();
    }

    /// This party's machine goes on elsewhere, as one that was saved and restored.
    pub(crate) fn take_over(&mut self, who: usize) {
        let now = self.now();
        let config = Arc::new(self.config.clone());
        let party = &mut self.parties[who];
        let saved = serde_json::to_string(&party.machine.save(now)).expect("it is plain data");
        let saved = serde_json::from_str(&saved).expect("it was written so");
        party.machine =
            Negotiation::restore(now, saved, Arc::default(), config).expect("it was saved so");
        // What is being done already is asked for again.
        while let Some(action) = party.machine.poll_action() {
            match action {
                Action::Signaling(action) => {
                    let known = |(_, known): &(Instant, signaling::Action)| *known == action;
                    assert!(party.working.iter().any(known), "{action:?}");
                }
                other => panic!("{other:?} was given out before"),
            }
        }
    }

    /// What is due now, for all.
    pub(crate) fn settle(&mut self) {
        let now = self.now();
        for _ in 0..PATIENCE {
            let mut busy = false;
            for who in [POLITE, IMPOLITE] {
                busy |= self.parties[who].work(now);
                if let Some(message) = self.arrival(who) {
                    self.parties[who].machine.handle_message(now, message);
                    busy = true;
                }
                let due = self.parties[who].machine.poll_timeout();
                if due.is_some_and(|due| due <= now) {
                    self.parties[who].machine.handle_timeout(now);
                    let next = self.parties[who].machine.poll_timeout();
                    assert!(next.is_none_or(|next| next > now), "the timer law");
                    busy = true;
                }
                busy |= self.drain(who);
            }
            if !busy {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn arrival(&mut self, who: usize) -> Option<Message> {
        let now = self.now();
        let due = self.channel[who].iter().position(|(at, _)| *at <= now);
        due.filter(|_| self.up[who])
            .and_then(|position| self.channel[who].remove(position))
            .map(|(_, message)| message)
    }

    fn drain(&mut self, who: usize) -> bool {
        let mut busy = false;
        while let Some(event) = self.parties[who].machine.poll_event() {
            self.parties[who].events.push(event);
            busy = true;
        }
        while let Some(action) = self.parties[who].machine.poll_action() {
            self.act(who, action);
            busy = true;
        }
        busy
    }

    fn act(&mut self, who: usize, action: Action) {
        let now = self.now();
        match action {
            Action::Signaling(action) => {
                let name = name_of(&action);
                let restarts = matches!(
                    action,
                    signaling::Action::CreateOffer {
                        ice_restart: true,
                        ..
                    }
                );
                let text = if restarts {
                    "create restart offer"
                } else {
                    name
                };
                self.parties[who].native.log.push(text.into());
                let due = now + self.spend(self.labour);
                self.parties[who].working.push_back((due, action));
            }
            Action::Send(message) => {
                self.parties[who].sent.push(message.clone());
                let due = now + self.spend(self.latency);
                self.post(1 - who, due, message);
            }
            Action::Reconnect => self.parties[who].reconnects += 1,
            other => panic!("{other:?}"),
        }
    }

    fn post(&mut self, to: usize, due: Instant, message: Message) {
        let channel = &mut self.channel[to];
        match self.order {
            Order::Kept => {
                let last = channel.back().map_or(due, |(last, _)| *last);
                channel.push_back((due.max(last), message));
            }
            Order::Broken => {
                let position = channel.partition_point(|(at, _)| *at <= due);
                channel.insert(position, (due, message));
            }
        }
    }

    fn spend(&mut self, most: Duration) -> Duration {
        if self.jitter {
            self.random.up_to(most)
        } else {
            most
        }
    }

    /// The next moment at which anything happens but time-outs of the machines.
    fn next(&self) -> Option<Instant> {
        let party = |party: &Party| {
            let front = party.working.front().filter(|_| !party.paused);
            front.map(|(due, _)| *due)
        };
        let work = self.parties.iter().filter_map(party);
        let channel = self.channel.iter().zip(self.up);
        let mail =
            channel.filter_map(|(mail, up)| mail.front().filter(|_| up).map(|(due, _)| *due));
        work.chain(mail).min()
    }

    /// Until nothing is under way; time-outs do not come.
    pub(crate) fn run(&mut self) {
        self.settle();
        for _ in 0..PATIENCE {
            let Some(next) = self.next() else { return };
            self.clock.advance_to(next);
            self.settle();
        }
        panic!("it never ends");
    }

    /// For so long.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now() + time;
        self.settle();
        loop {
            let timeouts = self
                .parties
                .iter()
                .filter_map(|party| party.machine.poll_timeout());
            let next = self.next().into_iter().chain(timeouts).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.clock.advance_to(end);
                return self.settle();
            };
            self.clock.advance_to(next);
            self.settle();
        }
    }

    /// Both are well, and have agreed on the same round after round.
    #[track_caller]
    pub(crate) fn assert_agreed(&self) {
        self.assert_settled();
        let [polite, impolite] = &self.parties;
        assert_eq!(polite.native.rounds, impolite.native.rounds);
    }

    /// Both are stable, want nothing, and hold the same.
    #[track_caller]
    pub(crate) fn assert_settled(&self) {
        for party in &self.parties {
            assert_eq!(party.state(), SignalingState::Stable);
            assert_eq!(party.machine.phase(), Phase::Idle);
            assert!(!party.machine.signaling().is_negotiation_needed());
            assert!(
                party.is_content(),
                "{:?} of {:?}",
                party.agreed(),
                party.native.tracks
            );
        }
        let [polite, impolite] = &self.parties;
        assert_eq!(polite.agreed(), impolite.agreed());
        assert_eq!(polite.ufrag(Side::Local), impolite.ufrag(Side::Remote));
        assert_eq!(polite.ufrag(Side::Remote), impolite.ufrag(Side::Local));
    }

    #[track_caller]
    pub(crate) fn assert_no_failure(&self) {
        for party in &self.parties {
            assert_eq!(party.failures(), []);
            assert_eq!(party.candidate_failures(), 0);
            assert_eq!(party.reconnects, 0);
        }
    }
}

fn words(description: &Description) -> String {
    String::from_utf8_lossy(&description.body).into_owned()
}

pub(crate) fn candidate(text: &str, mid: &str, ufrag: Option<&str>) -> CandidateInit {
    let mut candidate = CandidateInit::new(text, mid, "");
    candidate.ufrag = ufrag.map(Into::into);
    candidate
}
