//! The signaling session: numbers, acknowledgements, order, coming back, and who may say what.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod chance;
mod hostile;
mod laws;
mod returning;
mod wire;

use floe::{
    close::{DisconnectReason, Leave, LeaveAction},
    signaling::link::{
        Action, Body, Cause, Config, Drops, Envelope, Event, Link, LinkState, Outcome, SendError,
        SequenceId, SessionId, Transition,
    },
};
use sim::Clock;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};
use wire::{Net, Record, Who, Wire};

const SESSION: SessionId = SessionId::from_bytes([7; 16]);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn id(number: u32) -> SequenceId {
    SequenceId::new(number).unwrap()
}

fn envelope<M>(ack: u32, body: Body<M>) -> Envelope<M> {
    Envelope {
        session: SESSION,
        ack: SequenceId::new(ack),
        body,
    }
}

fn message<M>(ack: u32, number: u32, payload: M) -> Envelope<M> {
    let id = id(number);
    envelope(ack, Body::Message { id, payload })
}

/// A dialing link on an open channel, welcomed, with nothing left to poll.
fn up<M: Clone + PartialEq + std::fmt::Debug>(now: Instant, config: Config) -> Link<M> {
    let mut link = Link::dialing(now, SESSION, Arc::new(config)).unwrap();
    link.handle_channel_opened(now);
    welcome(now, &mut link, 1);
    link
}

/// Answers its greeting, and polls what comes of it.
fn welcome<M: Clone + PartialEq + std::fmt::Debug>(now: Instant, link: &mut Link<M>, channel: u16) {
    let greeting = link.poll_transmit().unwrap().body;
    assert!(
        matches!(greeting, Body::Open { channel: c } | Body::Resume { channel: c } if c == channel)
    );
    let outcome = link.handle_envelope(now, envelope(0, Body::Welcome { channel }));
    assert_eq!(outcome, Outcome::Handled);
    assert_eq!(link.state(), LinkState::Up);
    while link.poll_event().is_some() {}
    while link.poll_action().is_some() {}
}

fn transmits<M: Clone>(link: &mut Link<M>) -> Vec<Envelope<M>> {
    std::iter::from_fn(|| link.poll_transmit()).collect()
}

fn messages<M: Clone>(link: &mut Link<M>) -> Vec<M> {
    std::iter::from_fn(|| link.poll_message()).collect()
}

fn actions<M: Clone>(link: &mut Link<M>) -> Vec<Action> {
    std::iter::from_fn(|| link.poll_action()).collect()
}

fn events<M: Clone>(link: &mut Link<M>) -> Vec<Event> {
    std::iter::from_fn(|| link.poll_event()).collect()
}

/// What a link sees of a transport: it sends, it brings, and it ends.
trait Channel {
    fn send(&mut self, message: Envelope<u32>);
    fn on_message(&mut self) -> Option<Envelope<u32>>;
}

/// Text frames.
#[derive(Default)]
struct Frames(VecDeque<String>);

impl Channel for Frames {
    fn send(&mut self, message: Envelope<u32>) {
        self.0.push_back(message.to_json().unwrap());
    }
    fn on_message(&mut self) -> Option<Envelope<u32>> {
        let frame = self.0.pop_front()?;
        Some(Envelope::from_json(frame.as_bytes()).unwrap())
    }
}

/// Within one process.
#[derive(Default)]
struct Memory(VecDeque<Envelope<u32>>);

impl Channel for Memory {
    fn send(&mut self, message: Envelope<u32>) {
        self.0.push_back(message);
    }
    fn on_message(&mut self) -> Option<Envelope<u32>> {
        self.0.pop_front()
    }
}

/// Runs both directions of a channel dry, and gives what came out at both ends.
fn converse(now: Instant, ends: [&mut Link<u32>; 2], ways: [&mut dyn Channel; 2]) -> [Vec<u32>; 2] {
    let [client, server] = ends;
    let [there, back] = ways;
    let mut came = [Vec::new(), Vec::new()];
    loop {
        transmits(client).into_iter().for_each(|m| there.send(m));
        transmits(server).into_iter().for_each(|m| back.send(m));
        let heard = [
            there.on_message().map(|m| server.handle_envelope(now, m)),
            back.on_message().map(|m| client.handle_envelope(now, m)),
        ];
        if heard == [None, None] {
            return came;
        }
        came[0].extend(messages(client));
        came[1].extend(messages(server));
    }
}

// req: R133 R134
#[test]
fn a_session_runs_over_anything_that_sends_and_brings_and_moves_from_one_to_the_other() {
    let (now, config) = (Clock::epoch(), Arc::new(Config::default()));
    let mut client = Link::<u32>::dialing(now, SESSION, config.clone()).unwrap();
    for message in 0..5 {
        client.send(now, message).unwrap();
    }
    client.handle_channel_opened(now);
    let open = client.poll_transmit().unwrap();
    let mut server = Link::accept(now, open, config).unwrap();
    for message in 100..105 {
        server.send(now, message).unwrap();
    }
    let mut frames = [Frames::default(), Frames::default()];
    let [there, back] = &mut frames;
    let came = converse(now, [&mut client, &mut server], [there, back]);
    assert_eq!(came, [(100..105).collect::<Vec<_>>(), (0..5).collect()]);

    // Both say more, of which some is under way on the old channel when the new one takes its place.
    for message in 5..9 {
        client.send(now, message).unwrap();
        server.send(now, 100 + message).unwrap();
    }
    transmits(&mut client)
        .into_iter()
        .for_each(|m| there.send(m));
    transmits(&mut server)
        .into_iter()
        .for_each(|m| back.send(m));
    for _ in 0..2 {
        let half = there.on_message().unwrap();
        assert_eq!(server.handle_envelope(now, half), Outcome::Handled);
    }
    client.handle_channel_opened(now);
    let seen = messages(&mut server);
    let (mut there, mut back) = (Memory::default(), Memory::default());
    let came = converse(now, [&mut client, &mut server], [&mut there, &mut back]);
    assert_eq!([seen, came[1].clone()].concat(), [5, 6, 7, 8]);
    assert_eq!(came[0], [105, 106, 107, 108]);

    // And what the old one still has changes nothing any more.
    let [there, back] = &mut frames;
    let came = converse(now, [&mut client, &mut server], [there, back]);
    assert!(came.iter().all(Vec::is_empty));
    assert!(server.drops().duplicate > 0 && client.drops().duplicate > 0);
    let down = |event: &Event| *event == Event::SignalingDown;
    assert!(!events(&mut client).iter().any(down) && !events(&mut server).iter().any(down));
}

// req: R135 R140
#[test]
fn ids_go_up_by_one_and_a_message_keeps_its_own_for_good() {
    let now = Clock::epoch();
    let mut link = up(now, Config::default());
    let ids: Vec<u32> = "abc"
        .chars()
        .map(|c| link.send(now, c).unwrap().get())
        .collect();
    assert_eq!(ids, [1, 2, 3]);
    let first = transmits(&mut link);
    assert_eq!(
        first,
        [message(0, 1, 'a'), message(0, 2, 'b'), message(0, 3, 'c')]
    );
    // The first arrived; the channel broke; two more were said meanwhile.
    assert_eq!(
        link.handle_envelope(now, envelope(1, Body::Ack)),
        Outcome::Handled
    );
    link.handle_channel_closed(now);
    assert_eq!(link.send(now, 'd').unwrap().get(), 4);
    link.handle_channel_opened(now);
    welcome(now, &mut link, 2);
    assert_eq!(link.send(now, 'e').unwrap().get(), 5);
    let again = [
        message(0, 2, 'b'),
        message(0, 3, 'c'),
        message(0, 4, 'd'),
        message(0, 5, 'e'),
    ];
    assert_eq!(transmits(&mut link), again);
    // All acknowledged, the count goes on.
    assert_eq!(
        link.handle_envelope(now, envelope(5, Body::Ack)),
        Outcome::Handled
    );
    assert_eq!(link.unacknowledged(), 0);
    assert_eq!(link.send(now, 'f').unwrap().get(), 6);
}

// req: R136
#[test]
fn what_was_delivered_and_comes_again_is_dropped_and_acknowledged_again() {
    let now = Clock::epoch();
    let mut link = up::<char>(now, Config::default());
    assert_eq!(
        link.handle_envelope(now, message(0, 1, 'a')),
        Outcome::Handled
    );
    assert_eq!(messages(&mut link), ['a']);
    assert_eq!(transmits(&mut link), [envelope(1, Body::Ack)]);
    for times in 1..=3 {
        let Outcome::Dropped(_) = link.handle_envelope(now, message(0, 1, 'A')) else {
            panic!("it was taken")
        };
        assert!(messages(&mut link).is_empty());
        assert_eq!(transmits(&mut link), [envelope(1, Body::Ack)]);
        assert_eq!(link.drops().duplicate, times);
    }
    // One that waits for an earlier one is kept as it came first.
    assert_eq!(
        link.handle_envelope(now, message(0, 3, 'c')),
        Outcome::Handled
    );
    let Outcome::Dropped(_) = link.handle_envelope(now, message(0, 3, 'C')) else {
        panic!("it was taken")
    };
    assert_eq!(
        transmits(&mut link),
        [envelope(1, Body::Ack)],
        "the third is not yet delivered"
    );
    assert_eq!(
        link.handle_envelope(now, message(0, 2, 'b')),
        Outcome::Handled
    );
    assert_eq!(messages(&mut link), ['b', 'c']);
}

// req: R137
#[test]
fn what_comes_early_waits_for_what_is_missing() {
    let now = Clock::epoch();
    let mut link = up::<char>(now, Config::default());
    for (number, letter) in [(4, 'd'), (2, 'b')] {
        assert_eq!(
            link.handle_envelope(now, message(0, number, letter)),
            Outcome::Handled
        );
        assert!(messages(&mut link).is_empty());
        assert_eq!(
            transmits(&mut link),
            [],
            "nothing is delivered, nothing acknowledged"
        );
    }
    assert_eq!(
        link.handle_envelope(now, message(0, 1, 'a')),
        Outcome::Handled
    );
    assert_eq!(messages(&mut link), ['a', 'b']);
    assert_eq!(transmits(&mut link), [envelope(2, Body::Ack)]);
    assert_eq!(
        link.handle_envelope(now, message(0, 3, 'c')),
        Outcome::Handled
    );
    assert_eq!(messages(&mut link), ['c', 'd']);
    assert_eq!(transmits(&mut link), [envelope(4, Body::Ack)]);
}

// req: R138
#[test]
fn delivery_is_acknowledged_and_what_is_not_is_kept() {
    let now = Clock::epoch();
    let mut link = up::<char>(now, Config::default());
    assert_eq!(
        link.handle_envelope(now, message(0, 1, 'a')),
        Outcome::Handled
    );
    assert_eq!(transmits(&mut link), [], "not delivered yet");
    assert_eq!(link.poll_message(), Some('a'));
    assert_eq!(transmits(&mut link), [envelope(1, Body::Ack)]);
    assert_eq!(transmits(&mut link), [], "once");
    // With something to say, that carries it.
    assert_eq!(
        link.handle_envelope(now, message(0, 2, 'b')),
        Outcome::Handled
    );
    assert_eq!(link.poll_message(), Some('b'));
    link.send(now, 'x').unwrap();
    link.send(now, 'y').unwrap();
    assert_eq!(
        transmits(&mut link),
        [message(2, 1, 'x'), message(2, 2, 'y')]
    );
    assert_eq!(link.unacknowledged(), 2);
    assert_eq!(
        link.handle_envelope(now, envelope(1, Body::Ack)),
        Outcome::Handled
    );
    assert_eq!(link.unacknowledged(), 1);
    assert_eq!(
        link.handle_envelope(now, message(0, 3, 'c')),
        Outcome::Handled
    );
    assert_eq!(
        link.unacknowledged(),
        1,
        "an old acknowledgement takes nothing back"
    );
    assert_eq!(
        link.handle_envelope(now, envelope(2, Body::Ack)),
        Outcome::Handled
    );
    assert_eq!(link.unacknowledged(), 0);
}

// req: R139 R140
#[test]
fn while_signaling_is_down_messages_wait_without_an_error_up_to_the_cap() {
    let mut config = Config::default();
    config.max_unacknowledged = 3;
    let now = Clock::epoch();
    let mut link = up(now, config);
    link.handle_channel_closed(now);
    for letter in ['a', 'b', 'c'] {
        link.send(now, letter).unwrap();
    }
    let refused = link.send(now, 'd');
    assert_eq!(refused, Err(SendError::Full('d')));
    assert_eq!(refused.unwrap_err().into_message(), 'd');
    assert_eq!(transmits(&mut link), []);
    link.handle_channel_opened(now);
    assert_eq!(
        transmits(&mut link),
        [envelope(0, Body::Resume { channel: 2 })],
        "nothing before the welcome"
    );
    let outcome = link.handle_envelope(now, envelope(0, Body::Welcome { channel: 2 }));
    assert_eq!(outcome, Outcome::Handled);
    assert_eq!(
        transmits(&mut link),
        [message(0, 1, 'a'), message(0, 2, 'b'), message(0, 3, 'c')]
    );
    // There is room again for as many as were acknowledged.
    assert_eq!(
        link.handle_envelope(now, envelope(2, Body::Ack)),
        Outcome::Handled
    );
    assert_eq!(link.send(now, 'd').map(SequenceId::get), Ok(4));
    assert_eq!(link.send(now, 'e').map(SequenceId::get), Ok(5));
    assert_eq!(link.send(now, 'f'), Err(SendError::Full('f')));
}

// req: R134 R140
#[test]
fn a_swap_takes_nothing_down_and_sends_again_only_what_has_not_arrived() {
    let mut wire = Wire::new(1, Net::GOOD);
    wire.run(secs(1));
    for message in 0..6 {
        wire.client.send(wire.now, message).unwrap();
        let now = wire.now;
        wire.server().send(now, 10 + message).unwrap();
    }
    wire.run(ms(10));
    wire.swap();
    assert_eq!(wire.client.state(), LinkState::Swapping);
    wire.client.send(wire.now, 6).unwrap();
    wire.run(secs(1));
    assert_eq!(wire.came(Who::Server), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(wire.came(Who::Client), [10, 11, 12, 13, 14, 15]);
    assert_eq!(
        wire.left(Who::Client),
        [1, 2, 3, 4, 5, 6, 7],
        "it had all arrived when the welcome came"
    );
    let downs = |who| wire.events(who).contains(&Event::SignalingDown);
    assert!(!downs(Who::Client) && !downs(Who::Server));
    // The first channel is gone for good; nobody misses it.
    wire.run(secs(60));
    assert!(wire.is_up() && wire.client.poll_timeout().is_none());
}

// req: R134
#[test]
fn a_swap_that_fails_is_a_loss_and_a_replaced_channel_cannot_come_back() {
    let now = Clock::epoch();
    let mut link = up::<u32>(now, Config::default());
    link.handle_channel_opened(now);
    link.handle_channel_opened(now);
    let greetings = transmits(&mut link);
    assert_eq!(greetings, [envelope(0, Body::Resume { channel: 3 })]);
    let mut server = Link::<u32>::accept(
        now,
        envelope(0, Body::Open { channel: 1 }),
        Arc::new(Config::default()),
    )
    .unwrap();
    for channel in [3, 3] {
        let outcome = server.handle_envelope(now, envelope(0, Body::Resume { channel }));
        assert_eq!(
            outcome,
            Outcome::Handled,
            "the same greeting twice is answered twice"
        );
        assert_eq!(
            transmits(&mut server),
            [envelope(0, Body::Welcome { channel })]
        );
    }
    let late = server.handle_envelope(now, envelope(0, Body::Resume { channel: 2 }));
    assert!(matches!(late, Outcome::Dropped(_)));
    assert_eq!(
        (transmits(&mut server), server.drops().old_channel),
        (vec![], 1)
    );
    for (channel, state) in [
        (2, LinkState::Swapping),
        (4, LinkState::Swapping),
        (3, LinkState::Up),
    ] {
        _ = link.handle_envelope(now, envelope(0, Body::Welcome { channel }));
        assert_eq!(link.state(), state);
    }
    assert_eq!(link.drops().old_channel, 2);
    events(&mut link);
    link.handle_channel_opened(now);
    link.handle_channel_closed(now);
    let signaling: Vec<Event> = events(&mut link)
        .into_iter()
        .filter(|event| !matches!(event, Event::StateChange(_)))
        .collect();
    assert_eq!(signaling, [Event::SignalingDown]);
}

#[test]
fn the_count_of_channels_goes_round() {
    let (now, config) = (Clock::epoch(), Arc::new(Config::default()));
    let mut server =
        Link::<u32>::accept(now, envelope(0, Body::Open { channel: 65_535 }), config).unwrap();
    assert_eq!(
        transmits(&mut server),
        [envelope(0, Body::Welcome { channel: 65_535 })]
    );
    let next = server.handle_envelope(now, envelope(0, Body::Resume { channel: 0 }));
    assert_eq!(next, Outcome::Handled);
    let old = server.handle_envelope(now, envelope(0, Body::Resume { channel: 65_535 }));
    assert!(matches!(old, Outcome::Dropped(_)));
}

#[test]
fn the_record_of_a_session_chains_and_says_why() {
    let mut wire = Wire::new(3, Net::GOOD);
    wire.run(secs(1));
    wire.cut();
    wire.run(secs(2));
    let transitions = |who| -> Vec<Transition> {
        let only = |event| match event {
            Event::StateChange(transition) => Some(transition),
            _ => None,
        };
        wire.events(who).into_iter().filter_map(only).collect()
    };
    let named = |who| -> Vec<String> {
        let name = |t: &Transition| format!("{} -{}-> {}", t.from, t.cause, t.to);
        transitions(who).iter().map(name).collect()
    };
    assert_eq!(
        named(Who::Client),
        [
            "connecting -channel-opened-> greeting",
            "greeting -welcome-> up",
            "up -channel-closed-> down",
            "down -back-off-over-> connecting",
            "connecting -channel-opened-> greeting",
            "greeting -welcome-> up",
        ]
    );
    assert_eq!(
        named(Who::Server),
        [
            "down -greeting-> up",
            "up -channel-closed-> down",
            "down -greeting-> up"
        ]
    );
    for who in [Who::Client, Who::Server] {
        for pair in transitions(who).windows(2) {
            assert!(pair[0].to == pair[1].from && pair[0].at <= pair[1].at && !pair[1].coalesced);
        }
    }
    let signaling = |who| -> Vec<Event> {
        let no_record = |event: &Event| !matches!(event, Event::StateChange(_));
        wire.events(who).into_iter().filter(no_record).collect()
    };
    use Event::{SignalingDown, SignalingUp};
    for who in [Who::Client, Who::Server] {
        assert_eq!(signaling(who), [SignalingUp, SignalingDown, SignalingUp]);
    }
}

#[test]
fn records_that_nobody_polls_become_one_and_none_is_missing() {
    let now = Clock::epoch();
    let mut link = Link::<u32>::dialing(now, SESSION, Arc::new(Config::default())).unwrap();
    for round in 0..1000 {
        link.handle_channel_opened(now);
        assert_eq!(link.poll_transmit().is_some(), round >= 0);
        link.handle_channel_closed(now);
        link.reconnect(now);
    }
    let events = events(&mut link);
    assert!(events.len() < 100, "{}", events.len());
    let mut state = LinkState::Connecting;
    for event in &events {
        let Event::StateChange(transition) = event else {
            panic!("{event:?}")
        };
        assert_eq!(transition.from, state);
        state = transition.to;
    }
    let Some(Event::StateChange(last)) = events.last() else {
        panic!("none")
    };
    assert_eq!(
        (last.to, last.cause),
        (LinkState::Connecting, Cause::Reconnect)
    );
    assert!(last.coalesced);
}

#[test]
fn who_leaves_says_so_and_nothing_comes_after_it() {
    for who in [Who::Client, Who::Server] {
        let mut wire = Wire::new(4, Net::GOOD);
        wire.run(secs(1));
        wire.client.send(wire.now, 1).unwrap();
        let (now, other) = (
            wire.now,
            if who == Who::Client {
                Who::Server
            } else {
                Who::Client
            },
        );
        let leave = Leave {
            reason: DisconnectReason::ClientInitiated,
            action: LeaveAction::Disconnect,
        };
        wire.link(who).unwrap().leave(now, leave);
        wire.run(secs(100));
        assert!(wire.events(other).contains(&Event::Leave(leave)));
        assert_eq!(
            wire.events(other)
                .iter()
                .filter(|e| **e == Event::SignalingDown)
                .count(),
            1
        );
        for who in [who, other] {
            let now = wire.now;
            let link = wire.link(who).unwrap();
            assert_eq!(
                (link.state(), link.poll_timeout()),
                (LinkState::Closed, None)
            );
            assert_eq!(link.send(now, 2), Err(SendError::Closed(2)));
            assert_eq!(link.unacknowledged(), 0);
        }
        assert_eq!(
            wire.asked(Who::Client).len() + wire.asked(Who::Server).len(),
            3,
            "one channel opened, and closed at both ends"
        );
        let length = wire.log.len();
        wire.client.handle_channel_opened(wire.now);
        wire.client.reconnect(wire.now);
        wire.client.handle_channel_closed(wire.now);
        wire.run(secs(100));
        assert_eq!(wire.log.len(), length);
    }
}

#[test]
fn a_server_that_asks_to_resume_is_come_back_to_and_nothing_is_lost() {
    let mut wire = Wire::new(5, Net::GOOD);
    wire.run(secs(1));
    let now = wire.now;
    wire.server().send(now, 1).unwrap();
    let leave = Leave {
        reason: DisconnectReason::ConnectionTimeout,
        action: LeaveAction::Resume,
    };
    wire.server().leave(now, leave);
    assert_eq!(wire.server().state(), LinkState::Down);
    wire.server().send(now, 2).unwrap();
    wire.run(secs(3));
    assert!(wire.events(Who::Client).contains(&Event::Leave(leave)));
    assert_eq!(wire.came(Who::Client), [1, 2]);
    assert!(wire.is_up());
    let asked: Vec<Action> = wire
        .asked(Who::Client)
        .into_iter()
        .map(|(_, action)| action)
        .collect();
    assert_eq!(
        asked,
        [
            Action::OpenChannel { attempt: 0 },
            Action::CloseChannel,
            Action::OpenChannel { attempt: 1 },
        ]
    );
    // The same word of the dialing side ends the session: there is nobody to come back to it.
    let now = wire.now;
    wire.client.leave(now, leave);
    wire.run(secs(1));
    let disconnect = Leave {
        action: LeaveAction::Disconnect,
        ..leave
    };
    assert!(wire.events(Who::Server).contains(&Event::Leave(disconnect)));
}

#[test]
fn without_a_channel_a_leave_is_an_end_without_a_word() {
    let now = Clock::epoch();
    let down = || {
        let mut link = up::<u32>(now, Config::default());
        link.handle_channel_closed(now);
        events(&mut link);
        link
    };
    let connecting = || Link::<u32>::dialing(now, SESSION, Arc::new(Config::default())).unwrap();
    for mut link in [down(), connecting()] {
        link.leave(now, Leave::CLIENT_INITIATED);
        assert_eq!(link.state(), LinkState::Closed);
        assert_eq!((transmits(&mut link), actions(&mut link)), (vec![], vec![]));
        assert_eq!((events(&mut link), link.poll_timeout()), (vec![], None));
    }
}

#[test]
fn who_waits_to_be_come_back_to_waits_without_a_deadline() {
    let now = Clock::epoch();
    let open = envelope(0, Body::Open { channel: 1 });
    let mut server = Link::accept(now, open, Arc::new(Config::default())).unwrap();
    server.send(now, 1).unwrap();
    assert_eq!(server.poll_timeout(), Some(now + secs(10)));
    let action = LeaveAction::Resume;
    let reason = DisconnectReason::Migration;
    server.leave(now, Leave { reason, action });
    assert_eq!(
        (server.state(), server.poll_timeout()),
        (LinkState::Down, None)
    );
    // It was not polled when the other side came: what was to be said and done on the old channel is not on the new one.
    let resume = envelope(0, Body::Resume { channel: 2 });
    assert_eq!(server.handle_envelope(now, resume), Outcome::Handled);
    assert_eq!(actions(&mut server), []);
    assert_eq!(
        transmits(&mut server),
        [envelope(0, Body::Welcome { channel: 2 }), message(0, 1, 1)]
    );
}

#[test]
fn what_was_decided_before_the_end_is_told_after_it() {
    let now = Clock::epoch();
    let open = envelope(0, Body::Open { channel: 1 });
    let mut server = Link::<u32>::accept(now, open, Arc::new(Config::default())).unwrap();
    assert!(matches!(server.poll_event(), Some(Event::StateChange(_))));
    let leave = Leave::CLIENT_INITIATED;
    let outcome = server.handle_envelope(now, envelope(0, Body::Leave(leave)));
    assert_eq!(outcome, Outcome::Handled);
    let rest = events(&mut server);
    assert!(matches!(
        rest[..],
        [
            Event::SignalingUp,
            Event::StateChange(_),
            Event::SignalingDown,
            Event::Leave(said)
        ] if said == leave
    ));
    assert_eq!(actions(&mut server), [Action::CloseChannel]);
}

#[test]
fn what_is_due_at_a_takeover_is_due_after_it() {
    let now = Clock::epoch();
    let config = Arc::new(Config::default());
    let moved = |link: &Link<u32>| {
        let text = serde_json::to_string(&link.save(now)).unwrap();
        let saved = serde_json::from_str(&text).unwrap();
        Link::<u32>::restore(now, saved, config.clone()).unwrap()
    };
    let mut acknowledging = up::<u32>(now, Config::default());
    let outcome = acknowledging.handle_envelope(now, message(0, 1, 9));
    assert_eq!(outcome, Outcome::Handled);
    let mut holding = moved(&acknowledging);
    assert_eq!(messages(&mut holding), [9]);
    assert_eq!(messages(&mut acknowledging), [9]);
    assert_eq!(
        transmits(&mut moved(&acknowledging)),
        [envelope(1, Body::Ack)]
    );
    let mut dialing = Link::<u32>::dialing(now, SESSION, config.clone()).unwrap();
    assert_eq!(
        actions(&mut moved(&dialing)),
        [Action::OpenChannel { attempt: 0 }]
    );
    dialing.handle_channel_opened(now);
    assert_eq!(
        transmits(&mut moved(&dialing)),
        [envelope(0, Body::Open { channel: 1 })]
    );
    assert_eq!(moved(&dialing).poll_timeout(), Some(now + secs(10)));
}

// req: R22
#[test]
fn resuming_what_nobody_knows_or_what_is_over_is_refused_with_the_advice_to_begin_anew() {
    let refused = Leave {
        reason: DisconnectReason::StateMismatch,
        action: LeaveAction::Reconnect,
    };
    for known in [false, true] {
        let mut wire = Wire::new(6, Net::GOOD);
        wire.run(secs(1));
        let now = wire.now;
        wire.cut();
        match known {
            true => wire.server().close(now),
            false => wire.server = None,
        }
        wire.run(secs(5));
        assert!(
            wire.events(Who::Client).contains(&Event::Leave(refused)),
            "{known}"
        );
        assert_eq!(wire.client.state(), LinkState::Closed);
        let opened = wire
            .asked(Who::Client)
            .into_iter()
            .filter(|(_, action)| matches!(action, Action::OpenChannel { .. }));
        assert_eq!(opened.count(), 2, "and no more");
        let spoke = wire
            .log
            .iter()
            .filter(|(at, record)| *at > 1000 && matches!(record, Record::Left(Who::Server, _)));
        assert_eq!(
            spoke.count(),
            0,
            "the refusal is an answer, not a word of the session"
        );
    }
}

// req: R150
#[test]
fn a_takeover_by_another_node_goes_on_as_if_there_had_been_none() {
    let net = Net {
        loss: 3,
        duplication: 10,
        jitter: 60,
        ghosts: 50,
        ..Net::GOOD
    };
    let run = |exchange| {
        let mut wire = Wire::new(9, net);
        wire.exchange = exchange;
        for round in 0..40 {
            wire.client.send(wire.now, round).unwrap();
            let now = wire.now;
            if let Some(server) = &mut wire.server {
                server.send(now, 1000 + round).unwrap();
            }
            match round % 10 {
                4 => wire.cut(),
                8 => wire.swap(),
                _ => {}
            }
            wire.run(ms(700));
        }
        (wire.log, wire.client.drops(), wire.server.unwrap().drops())
    };
    let stayed = run(|_, link, _| link);
    let moved = run(|now, link, config| {
        let text = serde_json::to_string(&link.save(now)).unwrap();
        Link::restore(now, serde_json::from_str(&text).unwrap(), config.clone()).unwrap()
    });
    assert_eq!(stayed.0.len(), moved.0.len());
    for (stayed, moved) in stayed.0.iter().zip(&moved.0) {
        assert_eq!(stayed.0, moved.0);
        match (&stayed.1, &moved.1) {
            (Record::Happened(_, _), Record::Happened(_, _)) => {}
            (stayed, moved) => assert_eq!(stayed, moved),
        }
    }
    assert_eq!((stayed.1, stayed.2), (moved.1, moved.2));
    assert_ne!(stayed.1, Drops::default());
}

#[test]
fn what_was_saved_is_looked_at_before_it_is_gone_on_with() {
    let now = Clock::epoch();
    let mut link = up::<u32>(now, Config::default());
    link.send(now, 1).unwrap();
    link.send(now, 2).unwrap();
    link.poll_transmit();
    let saved = serde_json::to_value(link.save(now)).unwrap();
    let restore = |value: serde_json::Value, config: Config| {
        let saved = serde_json::from_value(value).unwrap();
        Link::<u32>::restore(now, saved, Arc::new(config)).map(drop)
    };
    assert_eq!(restore(saved.clone(), Config::default()), Ok(()));
    let mut small = Config::default();
    small.max_unacknowledged = 1;
    assert!(restore(saved.clone(), small.clone()).is_err());
    small.attempts = 0;
    assert!(restore(saved.clone(), small).is_err());
    for (path, value) in [
        ("/buffers/cursor", 2.into()),
        ("/buffers/transmitted", 3.into()),
        ("/acknowledged", (u32::MAX - 1).into()),
        ("/buffers/ahead", serde_json::json!([1, null])),
    ] {
        let mut bad = saved.clone();
        *bad.pointer_mut(path).unwrap() = value;
        assert!(restore(bad, Config::default()).is_err(), "{path}");
    }
    let mut full = saved.clone();
    *full.pointer_mut("/delivered").unwrap() = u32::MAX.into();
    assert_eq!(restore(full.clone(), Config::default()), Ok(()));
    *full.pointer_mut("/buffers/ahead").unwrap() = serde_json::json!([1]);
    assert!(restore(full, Config::default()).is_err());
    let mut many = saved;
    *many.pointer_mut("/buffers/ahead").unwrap() = serde_json::json!([1, 2]);
    let mut narrow = Config::default();
    narrow.max_ahead = 1;
    assert!(restore(many, narrow).is_err());
}

#[test]
fn a_session_on_which_all_is_said_is_80_bytes() {
    assert!(
        size_of::<Link<Vec<u8>>>() <= 80,
        "{}",
        size_of::<Link<Vec<u8>>>()
    );
    let now = Clock::epoch();
    let config = Arc::new(Config::default());
    let mut idle = None;
    let counted = allocation_counter::measure(|| {
        let mut link = Link::<u32>::dialing(now, SESSION, config.clone()).unwrap();
        link.send(now, 1).unwrap();
        link.handle_channel_opened(now);
        welcome(now, &mut link, 1);
        assert_eq!(transmits(&mut link).len(), 1);
        assert_eq!(
            link.handle_envelope(now, message(1, 1, 5)),
            Outcome::Handled
        );
        assert_eq!(messages(&mut link), [5]);
        assert_eq!(transmits(&mut link).len(), 1);
        idle = Some(link);
    });
    assert_eq!(counted.bytes_current, 0);
    let mut link = idle.unwrap();
    let counted = allocation_counter::measure(|| {
        for second in 0..100 {
            link.handle_timeout(now + secs(second));
            assert!(link.poll_transmit().is_none() && link.poll_event().is_none());
        }
    });
    assert_eq!(counted.count_total, 0);
}
