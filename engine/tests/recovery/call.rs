//! One side of a call without its network: signaling, the aggregates of one transport, and recovery, each a machine of its own,
//! with a journal beside them.

use crate::support::ms;
use floe::{
    Event as TransportEvent, PeerConnection, TransportId, TransportStates, dtls, ice,
    journal::{Config, CorrelationId, Detail, Journal, Record},
    recovery::{self, Action, Recovery},
    signaling::{self, Completed, Description, SdpType, Side, Signaling},
};
use serde::{Deserialize, Serialize};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Everything that can happen to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Given {
    Description(Side, SdpType),
    Gathering(ice::GatheringState),
    Ice(ice::State, ice::Reason),
    Dtls(dtls::State, dtls::Reason),
    Recovery(recovery::Input),
}

pub(crate) struct Call {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) recovery: Recovery,
    pub(crate) signaling: Signaling,
    pub(crate) peer: PeerConnection,
    pub(crate) journal: Journal<Given>,
    pub(crate) actions: Vec<(Duration, Action)>,
}

/// `0.1`
fn transport() -> TransportId {
    TransportId::from_bits(1 << 32)
}

impl Call {
    pub(crate) fn new(id: CorrelationId, recovery: recovery::Config) -> Self {
        let start = sim::Clock::new().now();
        let mut config = Config::default();
        config.detail = Detail::Debug;
        let mut call = Self {
            start,
            now: start,
            recovery: Recovery::new(start, Arc::new(recovery)).expect("it is fine"),
            signaling: Signaling::new(start, Arc::default()).expect("the defaults are fine"),
            peer: PeerConnection::new(),
            journal: Journal::new(start, id, Arc::new(config)).expect("it is fine"),
            actions: Vec::new(),
        };
        call.peer
            .add_transport(start, transport(), TransportStates::default());
        call
    }

    /// To the moment `millis` after the start, through every deadline.
    pub(crate) fn to(&mut self, millis: u64) -> &mut Self {
        let until = self.start + ms(millis);
        while let Some(due) = self.due().filter(|due| *due <= until) {
            self.now = due;
            self.give(Given::Recovery(recovery::Input::Timeout));
        }
        self.now = until;
        self
    }

    fn due(&self) -> Option<Instant> {
        [self.recovery.poll_timeout(), self.journal.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn give(&mut self, given: Given) -> &mut Self {
        self.handle(self.now, &given);
        self
    }

    pub(crate) fn recover(&mut self, input: recovery::Input) -> &mut Self {
        self.give(Given::Recovery(input))
    }

    /// The whole machine: what is due, then one input, then what follows from it.
    pub(crate) fn handle(&mut self, now: Instant, given: &Given) {
        self.now = now;
        self.recovery.handle_timeout(now);
        self.drain();
        self.journal.input(now, given.clone());
        let transport_event = match *given {
            Given::Description(side, kind) => return self.describe(side, kind),
            Given::Recovery(input) => {
                self.recovery.handle(now, input);
                return self.drain();
            }
            Given::Gathering(to) => TransportEvent::GatheringStateChange(to),
            Given::Ice(to, reason) => TransportEvent::IceStateChange(ice::Transition::new(
                self.states().ice,
                to,
                reason,
                now,
            )),
            Given::Dtls(to, reason) => TransportEvent::DtlsStateChange(dtls::Transition::new(
                self.states().dtls,
                to,
                reason,
                now,
            )),
        };
        self.peer
            .handle_transport_event(now, transport(), &transport_event);
        self.drain();
    }

    fn states(&self) -> TransportStates {
        let (_, states) = self.peer.transports().next().expect("it has one");
        states
    }

    fn describe(&mut self, side: Side, kind: SdpType) {
        let set = match side {
            Side::Local => self.signaling.set_implied_description(self.now),
            Side::Remote => {
                let description = Description::new(kind, "v=0");
                self.signaling.set_remote_description(self.now, description)
            }
        };
        set.expect("the story has them in order");
        while let Some(action) = self.signaling.poll_action() {
            let done = match action {
                signaling::Action::CreateOffer { .. } | signaling::Action::CreateAnswer { .. } => {
                    Completed::Created(Arc::new(Description::new(kind, "v=0")))
                }
                _ => Completed::Done,
            };
            self.signaling
                .complete(self.now, action.operation(), Ok(done))
                .expect("it was asked for");
        }
        match (side, kind) {
            (Side::Local, SdpType::Offer) => self.recovery.offer_sent(self.now),
            (Side::Remote, SdpType::Offer) => self.recovery.offer_received(self.now),
            _ => {}
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.signaling.poll_event() {
            if let signaling::Event::SignalingStateChange(change) = event {
                self.journal
                    .record(change.at, Record::Transition(change.into()));
            }
        }
        while let Some(event) = self.peer.poll_event() {
            self.recovery.handle_peer_event(self.now, &event);
            if let Some(record) = Record::of_peer(&event) {
                self.journal.record(self.now, record);
            }
        }
        while let Some(event) = self.recovery.poll_event() {
            self.journal.record(event.at(), event);
        }
        let elapsed = self.now - self.start;
        let actions = std::iter::from_fn(|| self.recovery.poll_action());
        self.actions.extend(actions.map(|action| (elapsed, action)));
        self.journal.handle_timeout(self.now);
    }
}

/// A minute of a call: it connects, blinks, is lost and restarted, fails while the channel is down, and ends.
pub(crate) fn story(id: CorrelationId) -> Call {
    use dtls::{Reason as DtlsReason, State as Dtls};
    use ice::{GatheringState::Complete, GatheringState::Gathering, Reason, State::*};
    use recovery::Input::{Close, RestartOffered, Stats};
    let sample = |fraction_lost, rtt| {
        let rtt = Some(ms(rtt));
        Stats(recovery::StatsSample { fraction_lost, rtt })
    };
    let mut call = Call::new(id, recovery::Config::default());
    call.give(Given::Description(Side::Remote, SdpType::Offer));
    call.give(Given::Gathering(Gathering));
    call.give(Given::Gathering(Complete));
    call.to(4)
        .give(Given::Description(Side::Local, SdpType::Answer));
    call.to(40).give(Given::Ice(Checking, Reason::ChecksBegan));
    call.to(120)
        .give(Given::Ice(Connected, Reason::PairNominated));
    call.give(Given::Dtls(Dtls::Connecting, DtlsReason::Started));
    call.to(310)
        .give(Given::Dtls(Dtls::Connected, DtlsReason::PeerVerified));
    // A blip.
    call.to(10_000)
        .give(Given::Ice(Disconnected, Reason::ConsentChecksMissed));
    call.to(11_200)
        .give(Given::Ice(Connected, Reason::Recovered));
    // A flap, and its restart.
    call.to(20_000)
        .give(Given::Ice(Disconnected, Reason::ConsentChecksMissed));
    call.to(23_600).recover(sample(211, 380));
    call.to(27_510)
        .give(Given::Description(Side::Local, SdpType::Offer));
    call.recover(RestartOffered);
    call.to(27_700)
        .give(Given::Description(Side::Remote, SdpType::Answer));
    call.to(27_800)
        .give(Given::Ice(Checking, Reason::Restarted));
    call.to(28_100)
        .give(Given::Ice(Connected, Reason::PairNominated));
    // A failure, and a channel that is down for a while.
    call.to(40_000)
        .give(Given::Ice(Failed, Reason::ConsentRevoked));
    call.to(47_000)
        .give(Given::Description(Side::Local, SdpType::Offer));
    call.recover(RestartOffered);
    call.to(47_200)
        .give(Given::Description(Side::Remote, SdpType::Answer));
    call.to(47_300)
        .give(Given::Ice(Checking, Reason::Restarted));
    call.to(47_900)
        .give(Given::Ice(Connected, Reason::PairNominated));
    call.to(60_000).recover(Close);
    call.to(61_000);
    call
}
