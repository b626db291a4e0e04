//! A recovery in virtual time, and what came out of it.

pub(crate) use floe::PeerConnectionState as Peer;
use floe::{
    IceConnectionState,
    recovery::{Action, Cause, Config, Event, Input, Recovery, State, Transition},
};
use proptest::prelude::*;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn native(state: Peer) -> Input {
    Input::ConnectionState(state)
}

/// One recovery, driven as a caller drives it: every deadline is met, and all that comes out is taken at once.
pub(crate) struct Run {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) recovery: Recovery,
    pub(crate) events: Vec<Event>,
    pub(crate) actions: Vec<(Duration, Action)>,
}

impl Run {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let start = sim::Clock::new().now();
        let recovery = Recovery::new(start, Arc::new(config)).expect("the configuration is fine");
        Self {
            start,
            now: start,
            recovery,
            events: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// Offered and connected at once.
    pub(crate) fn connected() -> Self {
        Self::new().and_connected()
    }

    pub(crate) fn and_connected(mut self) -> Self {
        self.feed(Input::OfferSent);
        self.feed(native(Peer::Connecting));
        self.feed(native(Peer::Connected));
        assert_eq!(self.recovery.state(), State::Connected);
        self.events.clear();
        self
    }

    /// To the moment `elapsed` after the start, through every deadline before it and at it.
    pub(crate) fn to(&mut self, elapsed: Duration) -> &mut Self {
        let until = self.start + elapsed;
        while let Some(due) = self.recovery.poll_timeout().filter(|due| *due <= until) {
            assert!(due >= self.now, "no deadline is past");
            self.now = due;
            self.recovery.handle_timeout(due);
            let next = self.recovery.poll_timeout();
            assert!(next.is_none_or(|next| next > due), "the timer law");
            self.drain();
        }
        self.now = until;
        self
    }

    pub(crate) fn wait(&mut self, time: Duration) -> &mut Self {
        self.to(self.elapsed() + time)
    }

    pub(crate) fn feed(&mut self, input: Input) -> &mut Self {
        self.recovery.handle(self.now, input);
        self.drain();
        self
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub(crate) fn drain(&mut self) {
        let elapsed = self.elapsed();
        self.events
            .extend(std::iter::from_fn(|| self.recovery.poll_event()));
        self.actions
            .extend(std::iter::from_fn(|| self.recovery.poll_action()).map(|a| (elapsed, a)));
    }

    pub(crate) fn transitions(&self) -> impl Iterator<Item = Transition> {
        self.events.iter().filter_map(|event| match event {
            Event::Transition(transition) => Some(*transition),
            _ => None,
        })
    }

    /// "milliseconds from → to: TRIGGER", for every change of state.
    pub(crate) fn trace(&self) -> Vec<String> {
        let line = |t: Transition| {
            let at = (t.at - self.start).as_millis();
            format!("{at} {} → {}: {}", t.from, t.to, t.trigger)
        };
        self.transitions().map(line).collect()
    }

    /// The restarts asked for, in milliseconds.
    pub(crate) fn restarts(&self) -> Vec<(u128, Cause)> {
        let restart = |(at, action): &(Duration, Action)| match action {
            Action::RestartIce { cause } => Some((at.as_millis(), *cause)),
            _ => None,
        };
        self.actions.iter().filter_map(restart).collect()
    }

    pub(crate) fn escalations(&self) -> usize {
        let escalations = self.actions.iter();
        escalations
            .filter(|(_, action)| *action == Action::Escalate)
            .count()
    }

    pub(crate) fn stats_polls(&self) -> Vec<u128> {
        let polls = self.actions.iter();
        polls
            .filter(|(_, action)| *action == Action::PollStats)
            .map(|(at, _)| at.as_millis())
            .collect()
    }

    /// The warnings.
    pub(crate) fn drifts(&self) -> Vec<String> {
        let drift = |event: &Event| matches!(event, Event::Drift(_)).then(|| event.to_string());
        self.events.iter().filter_map(drift).collect()
    }

    pub(crate) fn ignored(&self) -> Vec<String> {
        let ignored =
            |event: &Event| matches!(event, Event::Ignored { .. }).then(|| event.to_string());
        self.events.iter().filter_map(ignored).collect()
    }
}

pub(crate) const NATIVE: [Peer; 6] = [
    Peer::New,
    Peer::Connecting,
    Peer::Connected,
    Peer::Disconnected,
    Peer::Failed,
    Peer::Closed,
];

pub(crate) const ICE: [IceConnectionState; 7] = [
    IceConnectionState::New,
    IceConnectionState::Checking,
    IceConnectionState::Connected,
    IceConnectionState::Completed,
    IceConnectionState::Disconnected,
    IceConnectionState::Failed,
    IceConnectionState::Closed,
];

/// Anything that does not end the session, the native connection's states most often.
pub(crate) fn any_input() -> impl Strategy<Value = Input> {
    let open = 0..NATIVE.len() - 1;
    prop_oneof![
        2 => Just(Input::OfferSent),
        1 => Just(Input::OfferReceived),
        2 => Just(Input::RestartOffered),
        1 => Just(Input::PeerRestarted),
        10 => open.prop_map(|index| Input::ConnectionState(NATIVE[index])),
        4 => (0..ICE.len() - 1).prop_map(|index| Input::IceConnectionState(ICE[index])),
        1 => Just(Input::Resumed),
        1 => Just(Input::NetworkChanged),
        1 => any::<u8>().prop_map(|fraction_lost| Input::Stats(floe::recovery::StatsSample {
            fraction_lost,
            rtt: Some(ms(u64::from(fraction_lost))),
        })),
        1 => Just(Input::Timeout),
    ]
}

/// How long nothing happens: often less than a grace time, sometimes longer than any timer.
pub(crate) fn any_gap() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (0..2500_u64).prop_map(ms),
        (0..20_000_u64).prop_map(ms),
        (0..200_000_u64).prop_map(ms),
    ]
}

pub(crate) fn any_script() -> impl Strategy<Value = Vec<(Duration, Input)>> {
    prop::collection::vec((any_gap(), any_input()), 0..40)
}

/// A script that begins with a connected session.
pub(crate) fn connected_script() -> impl Strategy<Value = Vec<(Duration, Input)>> {
    let opening = [Input::OfferSent, native(Peer::Connected)];
    any_script().prop_map(move |rest| {
        let opening = opening.map(|input| (Duration::ZERO, input));
        opening.into_iter().chain(rest).collect()
    })
}
