//! The aggregator fed by hand: what it tells, in which order, and what it keeps to itself.

use super::*;
use crate::{Change, Culprit, Fault};
use proptest::prelude::*;
use std::time::Duration;

use dtls::State as Dtls;
use ice::{GatheringState as Gathering, State as Ice};

/// One transport's change, as its machine would report it.
#[derive(Clone, Copy, Debug)]
enum Input {
    Ice(Ice),
    Dtls(Dtls),
    Gathering(Gathering),
}

/// A connection, and a clock that ticks with every input.
struct Story {
    peer: PeerConnection,
    now: Instant,
}

fn transport(number: u64) -> TransportId {
    TransportId::from_bits(1 << 32 | number)
}

impl Story {
    /// A connection that refers to transports 1 to `count`, all new.
    fn with_transports(count: u64) -> Self {
        let mut story = Self {
            peer: PeerConnection::new(),
            now: sim::Clock::epoch(),
        };
        for number in 1..=count {
            assert!(story.add(number, TransportStates::default()));
        }
        story.tell();
        story
    }

    fn add(&mut self, number: u64, states: TransportStates) -> bool {
        self.now += Duration::from_millis(1);
        self.peer.add_transport(self.now, transport(number), states)
    }

    fn remove(&mut self, number: u64) -> bool {
        self.now += Duration::from_millis(1);
        self.peer.remove_transport(self.now, transport(number))
    }

    fn event(&self, number: u64, input: Input) -> Event {
        let states = self
            .peer
            .member(transport(number))
            .map_or_else(TransportStates::default, |member| member.states);
        let at = self.now;
        match input {
            Input::Ice(to) => {
                let reason = ice::Reason::ConsentExpired;
                Event::IceStateChange(ice::Transition::new(states.ice, to, reason, at))
            }
            Input::Dtls(to) => {
                let reason = match to {
                    Dtls::Connected => dtls::Reason::PeerVerified,
                    _ => dtls::Reason::HandshakeTimedOut,
                };
                Event::DtlsStateChange(dtls::Transition::new(states.dtls, to, reason, at))
            }
            Input::Gathering(to) => Event::GatheringStateChange(to),
        }
    }

    fn feed(&mut self, number: u64, input: Input) {
        self.now += Duration::from_millis(1);
        let event = self.event(number, input);
        self.peer
            .handle_transport_event(self.now, transport(number), &event);
    }

    /// A path is found, and the handshake on it begins.
    fn bring_up(&mut self, number: u64) {
        self.feed(number, Input::Ice(Ice::Checking));
        self.feed(number, Input::Ice(Ice::Connected));
        self.feed(number, Input::Dtls(Dtls::Connecting));
    }

    /// Feeds, and gives what was told.
    fn hear(&mut self, number: u64, input: Input) -> Vec<String> {
        self.feed(number, input);
        self.tell()
    }

    fn tell(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.peer.poll_event())
            .map(|event| in_words(&event))
            .collect()
    }
}

fn in_words(event: &PeerEvent) -> String {
    let number = |id: &TransportId| id.to_bits() & 0xff;
    match event {
        PeerEvent::SelectedCandidatePairChange(id, _) => format!("{} pair", number(id)),
        PeerEvent::SendPathLost(id, reason) => format!("{} lost: {reason}", number(id)),
        PeerEvent::IceTransportStateChange(id, transition) => {
            format!("{} ice {}", number(id), transition.to)
        }
        PeerEvent::GatheringStateChange(id, to) => {
            format!("{} gathering {to:?}", number(id)).to_lowercase()
        }
        PeerEvent::DtlsError(id, _) => format!("{} dtls error", number(id)),
        PeerEvent::DtlsTransportStateChange(id, transition) => {
            format!("{} dtls {}", number(id), transition.to)
        }
        PeerEvent::EndOfCandidates(id, of) => {
            format!("{} end of {of:?}", number(id)).to_lowercase()
        }
        PeerEvent::AllCandidatesGathered => "all gathered".to_owned(),
        PeerEvent::Refused(id, anomaly) => format!("{} refused: {anomaly}", number(id)),
        PeerEvent::IceConnectionStateChange(change) => aggregate("iceConnection", change),
        PeerEvent::ConnectionStateChange(change) => aggregate("connection", change),
        PeerEvent::IceGatheringStateChange(change) => aggregate("iceGathering", change),
    }
}

fn aggregate<S: std::fmt::Display>(name: &str, change: &Change<S>) -> String {
    let set = if change.cause == Cause::TransportSetChanged {
        " (set)"
    } else {
        ""
    };
    format!("{name} {}{set}", change.to)
}

fn connected() -> TransportStates {
    TransportStates {
        ice: Ice::Connected,
        gathering: Gathering::Complete,
        dtls: Dtls::Connected,
    }
}

// req: E1 E2 E4 E6 R85
#[test]
fn a_connection_comes_up_in_the_order_of_the_specification() {
    let mut story = Story::with_transports(1);
    assert_eq!(
        story.hear(1, Input::Gathering(Gathering::Gathering)),
        ["1 gathering gathering", "iceGathering gathering"]
    );
    assert_eq!(
        story.hear(1, Input::Ice(Ice::Checking)),
        [
            "1 ice checking",
            "iceConnection checking",
            "connection connecting"
        ]
    );
    assert_eq!(
        story.hear(1, Input::Gathering(Gathering::Complete)),
        [
            "1 gathering complete",
            "iceGathering complete",
            "all gathered"
        ]
    );
    assert_eq!(
        story.hear(1, Input::Ice(Ice::Connected)),
        ["1 ice connected", "iceConnection connected"]
    );
    assert_eq!(
        story.hear(1, Input::Dtls(Dtls::Connecting)),
        ["1 dtls connecting"]
    );
    assert_eq!(
        story.hear(1, Input::Ice(Ice::Completed)),
        ["1 ice completed", "iceConnection completed"]
    );
    assert_eq!(
        story.hear(1, Input::Dtls(Dtls::Connected)),
        ["1 dtls connected", "connection connected"]
    );
    assert_eq!(story.peer.explain().to_string(), "connected");
}

// req: E3 R23
#[test]
fn a_change_that_leaves_the_aggregate_equal_is_told_of_the_transport_alone() {
    let mut story = Story::with_transports(2);
    story.feed(1, Input::Ice(Ice::Checking));
    story.tell();
    assert_eq!(story.hear(2, Input::Ice(Ice::Checking)), ["2 ice checking"]);
    assert_eq!(
        story.hear(1, Input::Ice(Ice::Connected)),
        ["1 ice connected"]
    );
    let untouched = TransportStates {
        ice: Ice::Checking,
        ..TransportStates::default()
    };
    assert_eq!(
        story.peer.transports().nth(1),
        Some((transport(2), untouched))
    );
}

// req: E3
#[test]
fn what_is_already_so_is_not_told_again() {
    let mut story = Story::with_transports(1);
    for input in [
        Input::Ice(Ice::Checking),
        Input::Dtls(Dtls::Connecting),
        Input::Gathering(Gathering::Gathering),
    ] {
        assert!(!story.hear(1, input).is_empty());
        assert_eq!(story.hear(1, input), [""; 0]);
    }
}

// req: E4 E5
#[test]
fn a_dtls_error_is_told_before_its_state_and_only_once() {
    let mut story = Story::with_transports(1);
    story.bring_up(1);
    story.tell();
    assert_eq!(
        story.hear(1, Input::Dtls(Dtls::Failed)),
        ["1 dtls error", "1 dtls failed", "connection failed"]
    );
    assert_eq!(story.hear(1, Input::Dtls(Dtls::Failed)), [""; 0]);
    assert_eq!(
        story.peer.ice_connection_state(),
        IceConnectionState::Connected
    );
}

// req: R25 R66 R67
#[test]
fn a_new_transport_takes_a_connected_connection_back_to_connecting() {
    let mut story = Story {
        peer: PeerConnection::new(),
        now: sim::Clock::epoch(),
    };
    assert!(story.add(1, connected()));
    assert_eq!(
        story.tell(),
        [
            "iceConnection connected (set)",
            "connection connected (set)",
            "iceGathering complete (set)"
        ]
    );

    assert!(story.add(2, TransportStates::default()));
    assert_eq!(
        story.tell(),
        [
            "iceConnection checking (set)",
            "connection connecting (set)",
            "iceGathering new (set)"
        ]
    );
    assert!(!story.add(2, connected()), "each transport counts once");
    assert_eq!(story.tell(), [""; 0]);

    story.feed(2, Input::Ice(Ice::Checking));
    assert_eq!(story.tell(), ["2 ice checking"]);
    assert_eq!(
        story.hear(2, Input::Ice(Ice::Connected)),
        ["2 ice connected", "iceConnection connected"]
    );
    assert_eq!(
        story.hear(2, Input::Dtls(Dtls::Connecting)),
        ["2 dtls connecting"]
    );
    assert_eq!(
        story.hear(2, Input::Dtls(Dtls::Connected)),
        ["2 dtls connected", "connection connected"]
    );
}

// req: R25 R66 E22
#[test]
fn a_transport_bundled_away_counts_no_more_but_its_closing_is_told() {
    let mut story = Story {
        peer: PeerConnection::new(),
        now: sim::Clock::epoch(),
    };
    story.add(1, connected());
    story.add(
        2,
        TransportStates {
            ice: Ice::Failed,
            ..TransportStates::default()
        },
    );
    assert_eq!(story.peer.connection_state(), PeerConnectionState::Failed);
    story.tell();

    assert!(story.remove(2));
    assert_eq!(
        story.tell(),
        [
            "iceConnection connected (set)",
            "connection connected (set)",
            "iceGathering complete (set)"
        ]
    );
    assert!(!story.remove(2));
    assert_eq!(story.hear(2, Input::Ice(Ice::Checking)), [""; 0]);
    assert_eq!(story.hear(2, Input::Dtls(Dtls::Failed)), [""; 0]);
    assert_eq!(
        story.hear(2, Input::Gathering(Gathering::Complete)),
        [""; 0]
    );
    assert_eq!(story.hear(2, Input::Dtls(Dtls::Closed)), ["2 dtls closed"]);
    assert_eq!(story.hear(2, Input::Ice(Ice::Closed)), ["2 ice closed"]);

    assert!(story.remove(1));
    assert_eq!(
        story.tell(),
        [
            "iceConnection new (set)",
            "connection new (set)",
            "iceGathering new (set)"
        ]
    );
}

// req: R26
#[test]
fn explain_names_exactly_the_transports_responsible_and_their_reasons() {
    let mut story = Story::with_transports(4);
    for number in 1..=4 {
        story.bring_up(number);
    }
    for number in 1..=3 {
        story.feed(number, Input::Dtls(Dtls::Connected));
    }
    let explained = story.peer.explain();
    assert_eq!(explained.state, PeerConnectionState::Connecting);
    assert_eq!(
        explained
            .culprits
            .iter()
            .map(|culprit| culprit.transport)
            .collect::<Vec<_>>(),
        [transport(4)]
    );

    story.feed(4, Input::Dtls(Dtls::Connected));
    assert_eq!(
        story.peer.explain(),
        Explanation {
            state: PeerConnectionState::Connected,
            culprits: Vec::new()
        }
    );

    story.feed(2, Input::Ice(Ice::Disconnected));
    let expired = format!("{}", ice::Reason::ConsentExpired);
    assert_eq!(
        story.peer.explain().to_string(),
        format!("disconnected: transport 2.1: ICE disconnected ({expired})")
    );

    story.feed(1, Input::Ice(Ice::Failed));
    story.feed(3, Input::Dtls(Dtls::Failed));
    let explained = story.peer.explain();
    let [
        Culprit {
            transport: first,
            fault: ice_fault,
        },
        Culprit {
            transport: second,
            fault: dtls_fault,
        },
    ] = explained.culprits[..]
    else {
        panic!("{explained}")
    };
    assert_eq!(
        (first, second),
        (transport(1), transport(3)),
        "the disconnected one does not make it failed"
    );
    let Fault::Ice(Ice::Failed, Some(transition)) = ice_fault else {
        panic!("{ice_fault:?}")
    };
    assert_eq!(transition.reason, ice::Reason::ConsentExpired);
    let Fault::Dtls(Dtls::Failed, Some(transition)) = dtls_fault else {
        panic!("{dtls_fault:?}")
    };
    assert_eq!(transition.reason, dtls::Reason::HandshakeTimedOut);
    assert_eq!(
        (transition.from, transition.to),
        (Dtls::Connected, Dtls::Failed)
    );
}

// req: R26 I20
#[test]
fn explain_gives_the_reason_that_a_path_ended_for_while_the_state_stays() {
    let mut story = Story::with_transports(1);
    story.bring_up(1);
    story.feed(1, Input::Dtls(Dtls::Connected));
    story.feed(1, Input::Ice(Ice::Disconnected));
    story.tell();
    let lost = Event::SendPathLost(ice::Reason::ConsentRevoked);
    story
        .peer
        .handle_transport_event(story.now, transport(1), &lost);
    let revoked = ice::Reason::ConsentRevoked.to_string();
    assert_eq!(story.tell(), [format!("1 lost: {revoked}")]);
    assert_eq!(
        story.peer.explain().to_string(),
        format!("disconnected: transport 1.1: ICE disconnected ({revoked})")
    );
}

// req: R26
#[test]
fn explain_says_so_when_a_transport_came_with_its_state() {
    let mut story = Story {
        peer: PeerConnection::new(),
        now: sim::Clock::epoch(),
    };
    story.add(
        7,
        TransportStates {
            ice: Ice::Failed,
            ..TransportStates::default()
        },
    );
    assert_eq!(
        story.peer.explain().to_string(),
        "failed: transport 7.1: ICE failed"
    );
}

// Signaling, transceivers, channels and SCTP of the same procedure belong to machines that are not built yet.
// req: E18 E19 E20 E21 R57 R68
#[test]
fn close_closes_everything_at_once_and_in_silence() {
    let mut story = Story {
        peer: PeerConnection::new(),
        now: sim::Clock::epoch(),
    };
    let gathering = Gathering::Gathering;
    story.add(
        1,
        TransportStates {
            gathering,
            ..connected()
        },
    );
    story.feed(1, Input::Ice(Ice::Disconnected));
    story.peer.close(story.now);

    let closed = |story: &Story| {
        assert_eq!(
            story.peer.ice_connection_state(),
            IceConnectionState::Closed
        );
        assert_eq!(story.peer.connection_state(), PeerConnectionState::Closed);
        assert_eq!(
            story.peer.ice_gathering_state(),
            IceGatheringState::Gathering
        );
        let states = TransportStates {
            ice: Ice::Closed,
            gathering: Gathering::Gathering,
            dtls: Dtls::Closed,
        };
        assert_eq!(
            story.peer.transports().collect::<Vec<_>>(),
            [(transport(1), states)]
        );
    };
    closed(&story);
    assert_eq!(story.tell(), [""; 0], "not even what was waiting");
    assert_eq!(story.hear(1, Input::Ice(Ice::Closed)), [""; 0]);
    assert_eq!(story.hear(1, Input::Ice(Ice::Connected)), [""; 0]);
    assert_eq!(
        story.hear(1, Input::Gathering(Gathering::Complete)),
        [""; 0]
    );
    assert_eq!(story.hear(9, Input::Dtls(Dtls::Closed)), [""; 0]);
    assert!(!story.add(2, connected()) && !story.remove(1));
    story.peer.close(story.now);
    closed(&story);
    assert_eq!(story.tell(), [""; 0]);
}

// req: E23 R75
#[test]
fn a_remote_close_notify_is_an_event_of_the_transport_and_not_of_the_connection() {
    let mut story = Story {
        peer: PeerConnection::new(),
        now: sim::Clock::epoch(),
    };
    story.add(1, connected());
    story.tell();
    assert_eq!(story.hear(1, Input::Dtls(Dtls::Closed)), ["1 dtls closed"]);
    assert_eq!(
        story.peer.connection_state(),
        PeerConnectionState::Connected
    );
}

#[test]
fn a_queue_that_nobody_polls_coalesces_and_never_drops() {
    let mut story = Story::with_transports(2);
    story.bring_up(1);
    for round in 0..1000 {
        let [away, back] = [Ice::Checking, Ice::Connected];
        story.feed(1, Input::Ice(if round % 2 == 0 { away } else { back }));
    }
    story.feed(2, Input::Ice(Ice::Failed));
    story.feed(2, Input::Dtls(Dtls::Failed));
    let events: Vec<_> = std::iter::from_fn(|| story.peer.poll_event()).collect();
    assert!((256..300).contains(&events.len()), "{}", events.len());

    let connection: Vec<_> = events.iter().filter_map(as_connection_change).collect();
    assert!(
        connection.is_sorted_by(|one, next| one.to == next.from && one.at <= next.at),
        "no gap"
    );
    assert!(
        connection
            .last()
            .is_some_and(|last| last.to == PeerConnectionState::Failed && last.coalesced)
    );
    let mut ice = events.iter().filter_map(|event| match event {
        PeerEvent::IceTransportStateChange(id, transition) if *id == transport(1) => {
            Some(transition)
        }
        _ => None,
    });
    let first = *ice.next().expect("the first of many");
    let last = ice.fold(first, |before, next| {
        assert_eq!(before.to, next.from);
        *next
    });
    assert!(last.to == Ice::Connected && last.coalesced && !first.coalesced);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, PeerEvent::DtlsError(id, _) if *id == transport(2)))
    );
}

fn as_connection_change(event: &PeerEvent) -> Option<Change<PeerConnectionState>> {
    match event {
        PeerEvent::ConnectionStateChange(change) => Some(*change),
        _ => None,
    }
}

// What is refused without end does not fill a queue that nobody polls, and takes the place of nothing else.
#[test]
fn a_flood_of_anomalies_is_counted_and_takes_no_room() {
    let mut story = Story::with_transports(2);
    story.bring_up(1);
    for _ in 0..1000 {
        story.feed(1, Input::Ice(Ice::New));
        story.feed(2, Input::Dtls(Dtls::Connected));
    }
    story.feed(1, Input::Ice(Ice::Failed));
    assert_eq!(story.peer.anomalies(), 2000);
    let told = story.tell();
    assert!(told.len() < 270, "{}", told.len());
    assert_eq!(told[0], "1 ice checking");
    let failed = ["1 ice failed", "iceConnection failed", "connection failed"];
    let last: Vec<_> = told
        .iter()
        .filter(|word| failed.contains(&word.as_str()))
        .collect();
    assert_eq!(last, failed.iter().collect::<Vec<_>>());
}

// In journals and logs.
#[test]
fn causes_and_transports_have_their_words() {
    let json = |value: &Cause| serde_json::to_string(value).expect("it can be written");
    let cause = Cause::Transport(transport(7));
    assert_eq!(cause.to_string(), "transport 7.1");
    assert_eq!(json(&cause), r#"{"transport":4294967303}"#);
    assert_eq!(transport(7).to_bits(), 4_294_967_303);
    let set = Cause::TransportSetChanged;
    assert_eq!(set.to_string(), "the set of transports");
    assert_eq!(json(&set), r#""transport-set-changed""#);
    for cause in [cause, set] {
        let read: Cause = serde_json::from_str(&json(&cause)).expect("it was written so");
        assert_eq!(read, cause);
    }
    let states = serde_json::to_string(&connected()).expect("it can be written");
    assert_eq!(
        states,
        r#"{"ice":"connected","gathering":"complete","dtls":"connected"}"#
    );
}

// Law 5: what a server does all day with a thousand connections.
#[test]
fn an_aggregate_update_allocates_nothing() {
    let mut story = Story::with_transports(3);
    let inputs = [
        Ice::Checking,
        Ice::Connected,
        Ice::Completed,
        Ice::Disconnected,
    ];
    let events: Vec<_> = (0..400)
        .map(|round| story.event(1, Input::Ice(inputs[round % 4])))
        .collect();
    let (now, peer) = (story.now, &mut story.peer);
    let mut told = 0;
    let allocated = allocation_counter::measure(|| {
        for event in &events {
            peer.handle_transport_event(now, transport(1), event);
            told += std::iter::from_fn(|| peer.poll_event()).count();
        }
    });
    assert_eq!(allocated.count_total, 0);
    assert!(told > 600, "{told}");
}

const ICE: [Ice; 7] = [
    Ice::New,
    Ice::Checking,
    Ice::Connected,
    Ice::Completed,
    Ice::Disconnected,
    Ice::Failed,
    Ice::Closed,
];
const DTLS: [Dtls; 5] = [
    Dtls::New,
    Dtls::Connecting,
    Dtls::Connected,
    Dtls::Failed,
    Dtls::Closed,
];

/// Anything that can be done to a connection of up to four transports.
#[derive(Clone, Debug)]
enum Step {
    Add(u64),
    Remove(u64),
    /// The transports of these m-lines.
    Set(Vec<u64>),
    Feed(u64, Input),
}

fn input() -> impl Strategy<Value = Input> {
    use Gathering::{Complete, Gathering as Running, New};
    prop_oneof![
        4 => prop::sample::select(ICE.to_vec()).prop_map(Input::Ice),
        3 => prop::sample::select(DTLS.to_vec()).prop_map(Input::Dtls),
        2 => prop::sample::select(vec![New, Running, Complete]).prop_map(Input::Gathering),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = 1_u64..5;
    let step = prop_oneof![
        2 => number.clone().prop_map(Step::Add),
        1 => number.clone().prop_map(Step::Remove),
        1 => prop::collection::vec(number.clone(), 0..5).prop_map(Step::Set),
        6 => (number, input()).prop_map(|(number, input)| Step::Feed(number, input)),
    ];
    prop::collection::vec(step, 0..60)
}

impl Story {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Add(number) => drop(self.add(*number, TransportStates::default())),
            Step::Remove(number) => drop(self.remove(*number)),
            Step::Set(numbers) => {
                self.now += Duration::from_millis(1);
                let fresh = TransportStates::default();
                let m_lines = numbers.iter().map(|number| (transport(*number), fresh));
                self.peer.set_transports(self.now, m_lines);
            }
            Step::Feed(number, input) => self.feed(*number, *input),
        }
    }
}

/// Where an event stands within one indication.
fn rank(event: &PeerEvent) -> u8 {
    match event {
        PeerEvent::SelectedCandidatePairChange(..)
        | PeerEvent::SendPathLost(..)
        | PeerEvent::DtlsError(..) => 0,
        PeerEvent::IceTransportStateChange(..)
        | PeerEvent::DtlsTransportStateChange(..)
        | PeerEvent::EndOfCandidates(..)
        | PeerEvent::Refused(..)
        | PeerEvent::GatheringStateChange(..) => 1,
        PeerEvent::IceConnectionStateChange(_) => 2,
        PeerEvent::ConnectionStateChange(_) => 3,
        PeerEvent::IceGatheringStateChange(_) => 4,
        PeerEvent::AllCandidatesGathered => 5,
    }
}

proptest! {
    // An observer who sees only events always knows every aggregate, and is never told what did not change.
    // req: P10 R24
    #[test]
    fn events_are_exactly_the_differences(steps in steps()) {
        let mut story = Story::with_transports(0);
        let mut seen = story.peer.aggregates();
        for step in &steps {
            story.take(step);
            while let Some(event) = story.peer.poll_event() {
                match event {
                    PeerEvent::IceConnectionStateChange(change) => {
                        prop_assert!(change.from == seen.ice_connection && change.to != change.from);
                        seen.ice_connection = change.to;
                    }
                    PeerEvent::ConnectionStateChange(change) => {
                        prop_assert!(change.from == seen.connection && change.to != change.from);
                        seen.connection = change.to;
                    }
                    PeerEvent::IceGatheringStateChange(change) => {
                        prop_assert!(change.from == seen.ice_gathering && change.to != change.from);
                        seen.ice_gathering = change.to;
                    }
                    _ => {}
                }
            }
            prop_assert!(seen == story.peer.aggregates());
        }
    }

    // req: P4 R24 R25
    #[test]
    fn the_way_there_does_not_matter(steps in steps()) {
        let mut story = Story::with_transports(0);
        steps.iter().for_each(|step| story.take(step));
        let mut fresh = Story::with_transports(0);
        for (index, (_, states)) in story.peer.transports().enumerate() {
            fresh.add(index as u64, states);
        }
        prop_assert!(fresh.peer.aggregates() == story.peer.aggregates());
    }

    // req: P11 E2
    #[test]
    fn every_indication_is_told_in_the_order_of_the_specification(steps in steps()) {
        let mut story = Story::with_transports(3);
        for step in &steps {
            story.take(step);
            let ranks: Vec<_> = std::iter::from_fn(|| story.peer.poll_event()).map(|event| rank(&event)).collect();
            prop_assert!(ranks.is_sorted_by(|one, next| one < next), "{ranks:?}");
        }
    }

    // Each m-line's transport is there once, and no other, whatever was there before.
    // req: R25
    #[test]
    fn the_set_is_what_the_m_lines_say(steps in steps(), m_lines in prop::collection::vec(1_u64..5, 0..6)) {
        let mut story = Story::with_transports(0);
        steps.iter().for_each(|step| story.take(step));
        let before: Vec<_> = story.peer.transports().collect();
        story.take(&Step::Set(m_lines.clone()));
        let mut named: Vec<_> = story.peer.transports().map(|(id, _)| id).collect();
        for (id, states) in story.peer.transports() {
            let known = before.iter().find(|(known, _)| *known == id);
            prop_assert_eq!(states, known.map_or_else(TransportStates::default, |known| known.1));
        }
        let mut expected: Vec<_> = m_lines.into_iter().map(transport).collect();
        named.sort_unstable();
        expected.sort_unstable();
        expected.dedup();
        prop_assert_eq!(named, expected);
    }

    // Several indications before anyone polls are told as the same indications polled one by one.
    // req: P11
    #[test]
    fn a_batch_tells_what_its_parts_tell(inputs in prop::collection::vec(input(), 0..12)) {
        let (mut batched, mut single) = (Story::with_transports(1), Story::with_transports(1));
        inputs.iter().for_each(|input| batched.feed(1, *input));
        let told: Vec<_> = inputs.iter().flat_map(|input| single.hear(1, *input)).collect();
        prop_assert_eq!(batched.tell(), told);
    }

    // req: P12 E20 E21
    #[test]
    fn after_close_nothing_happens(before in steps(), after in steps()) {
        let mut story = Story::with_transports(0);
        before.iter().for_each(|step| story.take(step));
        story.peer.close(story.now);
        let (closed, transports) = (story.peer.aggregates(), story.peer.transports().collect::<Vec<_>>());
        for step in &after {
            story.take(step);
            story.peer.close(story.now);
            prop_assert!(story.peer.poll_event().is_none());
        }
        prop_assert!(closed == story.peer.aggregates());
        prop_assert_eq!(transports, story.peer.transports().collect::<Vec<_>>());
    }

    // req: R26 P5
    #[test]
    fn explain_blames_all_who_are_to_blame_and_nobody_else(steps in steps()) {
        let guilty = |state: PeerConnectionState| match state.to_string().as_str() {
            "failed" => vec!["ice failed", "dtls failed"],
            "disconnected" => vec!["ice disconnected"],
            "connecting" => vec!["ice new", "ice checking", "dtls new", "dtls connecting"],
            _ => vec![],
        };
        let mut story = Story::with_transports(3);
        for step in &steps {
            story.take(step);
            let explained = story.peer.explain();
            prop_assert_eq!(explained.state, story.peer.connection_state());
            let machines = story.peer.transports().flat_map(|(id, states)| {
                [(id, format!("ice {}", states.ice)), (id, format!("dtls {}", states.dtls))]
            });
            let expected: Vec<_> =
                machines.filter(|(_, words)| guilty(explained.state).contains(&words.as_str())).collect();
            let blamed = explained.culprits.iter().map(|culprit| match culprit.fault {
                Fault::Ice(state, _) => (culprit.transport, format!("ice {state}")),
                Fault::Dtls(state, _) => (culprit.transport, format!("dtls {state}")),
            });
            prop_assert_eq!(blamed.collect::<Vec<_>>(), expected);
        }
    }
}
