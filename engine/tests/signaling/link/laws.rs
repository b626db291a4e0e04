//! What holds whatever happens.

use super::{
    SESSION, envelope, ms, secs,
    wire::{Net, Record, Who, Wire},
};
use floe::{
    close::{DisconnectReason, Leave, LeaveAction},
    liveness,
    signaling::link::{Action, Body, Config, Envelope, Event, Link, LinkState, SequenceId},
};
use proptest::prelude::*;
use sim::Clock;
use std::{sync::Arc, time::Instant};

fn net() -> impl Strategy<Value = Net> {
    let knobs = (0..40u64, 0..200u64, 0..25u64, 0..30u64, 0..100u64);
    knobs.prop_map(|(delay, jitter, loss, duplication, ghosts)| Net {
        reachable: true,
        delay,
        jitter,
        loss,
        duplication,
        ghosts,
    })
}

#[derive(Clone, Debug)]
enum Deed {
    Say(u8, u8),
    Cut,
    Swap,
    Unreachable,
    Reachable,
    Reconnect,
    Wait(u16),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => (0..4u8, 0..4u8).prop_map(|(client, server)| Deed::Say(client, server)),
        2 => Just(Deed::Cut),
        2 => Just(Deed::Swap),
        1 => Just(Deed::Unreachable),
        2 => Just(Deed::Reachable),
        1 => Just(Deed::Reconnect),
        6 => (0..3000u16).prop_map(Deed::Wait),
    ];
    prop::collection::vec(deed, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    // req: P33 R134
    #[test]
    fn what_was_sent_is_delivered_once_and_in_order(seed: u64, net in net(), deeds in deeds()) {
        let mut wire = Wire::new(seed, net);
        let (mut said, mut ids) = ([0, 0], [0, 0]);
        for deed in deeds {
            match deed {
                Deed::Say(client, server) => {
                    let now = wire.now;
                    for (place, count) in [client, server].into_iter().enumerate() {
                        for _ in 0..count {
                            let who = [Who::Client, Who::Server][place];
                            let Some(link) = wire.link(who) else { continue };
                            let id = link.send(now, said[place]).unwrap().get();
                            prop_assert_eq!(id, ids[place] + 1);
                            said[place] += 1;
                            ids[place] += 1;
                        }
                    }
                }
                Deed::Cut => wire.cut(),
                Deed::Swap if wire.net.reachable && wire.client.state() != LinkState::Exhausted => wire.swap(),
                Deed::Swap => {}
                Deed::Unreachable => wire.net.reachable = false,
                Deed::Reachable => wire.net.reachable = true,
                Deed::Reconnect => wire.client.reconnect(wire.now),
                Deed::Wait(time) => wire.run(ms(time.into())),
            }
            wire.run(ms(0));
        }
        // Then the net heals; a link that has given up is told.
        wire.net = Net::GOOD;
        wire.run(secs(60));
        if wire.client.state() == LinkState::Exhausted {
            wire.client.reconnect(wire.now);
        }
        wire.run(secs(60));
        prop_assert!(wire.is_up());
        prop_assert_eq!(wire.came(Who::Server), (0..said[0]).collect::<Vec<_>>());
        prop_assert_eq!(wire.came(Who::Client), (0..said[1]).collect::<Vec<_>>());
        prop_assert_eq!(wire.client.unacknowledged() + wire.server().unacknowledged(), 0);
        let idle = (wire.client.poll_timeout(), wire.server().poll_timeout());
        prop_assert_eq!(idle, (None, None));
    }

    // req: P34 R143
    #[test]
    fn attempts_are_bounded_and_each_exhaustion_escalates_once(
        seed: u64,
        attempts in 5..=7u8,
        outages in prop::collection::vec((0..4u8, 1..20_000u16), 1..12),
    ) {
        let mut config = Config::default();
        config.attempts = attempts;
        let mut wire = Wire::with_config(seed, Net::GOOD, config.clone());
        for (kind, time) in outages {
            match kind {
                0 => wire.net.reachable = true,
                1 => wire.net.reachable = false,
                2 => wire.cut(),
                _ => wire.client.reconnect(wire.now),
            }
            wire.run(ms(time.into()));
        }
        wire.net.reachable = false;
        wire.cut();
        wire.run(secs(600));
        prop_assert_eq!(wire.client.state(), LinkState::Exhausted);
        let (mut last, mut lost) = (None, None);
        let mut escalated = true;
        for (at, record) in wire.log {
            match record {
                Record::Happened(Who::Client, Event::StateChange(change)) if change.to == LinkState::Down => {
                    lost = Some(at);
                }
                Record::Asked(Who::Client, Action::OpenChannel { attempt }) => {
                    prop_assert!(attempt <= attempts);
                    prop_assert!(attempt <= 1 || last == Some(attempt - 1));
                    if attempt > 0 {
                        let waited = at - lost.take().unwrap();
                        // Times are noted in whole milliseconds.
                        let longest = config.longest_delay(attempt).as_millis() + 1;
                        prop_assert!(waited <= longest, "{attempt} after {waited} ms");
                    }
                    last = Some(attempt);
                    escalated = false;
                }
                Record::Asked(Who::Client, Action::Escalate(_)) => {
                    prop_assert!(!escalated);
                    prop_assert_eq!(last, Some(attempts));
                    escalated = true;
                }
                _ => {}
            }
        }
        prop_assert!(escalated);
    }
}

/// Anything that may be done to one end of a session.
#[derive(Clone, Debug)]
enum Input {
    Envelope(Envelope<u8>),
    Opened,
    Closed,
    Reconnect,
    Send(u8),
    Transmit(u8),
    Poll,
    Timeout,
    Leave(Leave),
    Media,
    MediaTimeout,
    MediaResume,
}

fn leave() -> impl Strategy<Value = Leave> {
    let action = prop_oneof![
        1 => Just(LeaveAction::Disconnect),
        8 => Just(LeaveAction::Resume),
        1 => Just(LeaveAction::Reconnect),
    ];
    (0..17u32, action).prop_map(|(reason, action)| Leave {
        reason: DisconnectReason::from_number(reason),
        action,
    })
}

fn body() -> impl Strategy<Value = Body<u8>> {
    let id = prop_oneof![9 => 1..12u32, 1 => 1..=u32::MAX];
    prop_oneof![
        2 => (0..6u16).prop_map(|channel| Body::Open { channel }),
        2 => any::<u16>().prop_map(|channel| Body::Resume { channel }),
        6 => (0..6u16).prop_map(|channel| Body::Welcome { channel }),
        12 => (id, any::<u8>()).prop_map(|(id, payload)| Body::Message {
            id: SequenceId::new(id).unwrap(),
            payload
        }),
        4 => Just(Body::Ack),
        1 => leave().prop_map(Body::Leave),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let ack = prop_oneof![9 => 0..6u32, 1 => any::<u32>()];
    let envelope = (ack, body(), 0..30u8).prop_map(|(ack, body, session)| {
        let mut sent = envelope(ack, body);
        if session == 0 {
            sent.session = floe::signaling::link::SessionId::from_bytes([9; 16]);
        }
        Input::Envelope(sent)
    });
    prop_oneof![
        12 => envelope,
        3 => Just(Input::Opened),
        3 => Just(Input::Closed),
        1 => Just(Input::Reconnect),
        5 => any::<u8>().prop_map(Input::Send),
        5 => (0..6u8).prop_map(Input::Transmit),
        4 => Just(Input::Poll),
        4 => Just(Input::Timeout),
        1 => leave().prop_map(Input::Leave),
        3 => Just(Input::Media),
        3 => Just(Input::MediaTimeout),
        1 => Just(Input::MediaResume),
    ]
}

/// One node's signaling session and media monitor beside each other, as a caller has them.
struct Node {
    link: Link<u8>,
    monitor: liveness::Monitor,
    trace: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Dialing,
    Accepting,
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![Just(Part::Dialing), Just(Part::Accepting)]
}

impl Node {
    fn new(now: Instant, part: Part) -> Self {
        let mut config = Config::default();
        (config.max_unacknowledged, config.max_ahead) = (5, 5);
        let config = Arc::new(config);
        let link = match part {
            Part::Accepting => {
                Link::accept(now, envelope(0, Body::Open { channel: 1 }), config).unwrap()
            }
            Part::Dialing => Link::dialing(now, SESSION, config).unwrap(),
        };
        Self {
            link,
            monitor: liveness::Monitor::client(now, &liveness::Config::default()).unwrap(),
            trace: Vec::new(),
        }
    }

    fn take(&mut self, now: Instant, input: &Input) {
        let link = &mut self.link;
        match input.clone() {
            Input::Envelope(envelope) => {
                let outcome = link.handle_envelope(now, envelope);
                self.trace.push(format!("{outcome:?}"));
            }
            Input::Opened => link.handle_channel_opened(now),
            Input::Closed => link.handle_channel_closed(now),
            Input::Reconnect => link.reconnect(now),
            Input::Send(message) => self.trace.push(format!("{:?}", link.send(now, message))),
            Input::Transmit(count) => {
                for _ in 0..count {
                    self.trace.push(format!("{:?}", link.poll_transmit()));
                }
            }
            Input::Poll => {
                let polled = (link.poll_event(), link.poll_action(), link.poll_message());
                self.trace.push(format!("{polled:?}"));
            }
            Input::Timeout => {
                link.handle_timeout(now);
                assert!(link.poll_timeout().is_none_or(|due| due > now));
            }
            Input::Leave(leave) => link.leave(now, leave),
            Input::Media => self.monitor.handle_keep_alive(now),
            Input::MediaTimeout => {
                self.monitor.handle_timeout(now);
                assert!(self.monitor.poll_timeout().is_none_or(|due| due > now));
                _ = (self.monitor.poll_event(), self.monitor.poll_action());
            }
            Input::MediaResume => self.monitor.resume(now),
        }
        if !input.is_media() {
            let link = &self.link;
            self.trace.push(format!("{link:?}"));
        }
    }
}

impl Input {
    fn is_media(&self) -> bool {
        matches!(self, Self::Media | Self::MediaTimeout | Self::MediaResume)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    // req: P28 R147
    #[test]
    fn without_the_media_inputs_signaling_goes_exactly_the_same_way(
        part in part(),
        inputs in prop::collection::vec((input(), 0..4000u64), 0..80),
    ) {
        let start = Clock::epoch();
        let (mut both, mut alone) = (Node::new(start, part), Node::new(start, part));
        let mut now = start;
        for (input, time) in &inputs {
            now += ms(*time);
            both.take(now, input);
            if !input.is_media() {
                alone.take(now, input);
            }
        }
        prop_assert_eq!(both.trace, alone.trace);
    }

    // req: R8
    #[test]
    fn without_the_signaling_inputs_the_media_monitor_goes_exactly_the_same_way(
        inputs in prop::collection::vec((input(), 0..4000u64), 0..80),
    ) {
        let start = Clock::epoch();
        let (mut both, mut alone) = (Node::new(start, Part::Dialing), Node::new(start, Part::Dialing));
        let mut now = start;
        for (input, time) in &inputs {
            now += ms(*time);
            both.take(now, input);
            if input.is_media() {
                alone.take(now, input);
            }
            prop_assert_eq!(both.monitor.poll_timeout(), alone.monitor.poll_timeout());
            prop_assert_eq!(both.monitor.state(), alone.monitor.state());
        }
    }

    #[test]
    fn no_input_makes_a_link_panic_keep_too_much_or_speak_after_its_end(
        part in part(),
        inputs in prop::collection::vec((input(), 0..4000u64), 0..120),
    ) {
        let mut now = Clock::epoch();
        let mut node = Node::new(now, part);
        let mut closed = false;
        for (input, time) in &inputs {
            // Time goes back now and then.
            now = if *time % 7 == 0 { now - ms(*time) } else { now + ms(*time) };
            match input {
                Input::Timeout => node.link.handle_timeout(now),
                input => node.take(now, input),
            }
            let link = &mut node.link;
            prop_assert!(link.unacknowledged() <= 5);
            prop_assert_eq!(closed && link.state() != LinkState::Closed, false);
            if closed {
                prop_assert_eq!((link.poll_transmit(), link.poll_message()), (None, None));
                prop_assert_eq!((link.poll_event(), link.poll_action()), (None, None));
                prop_assert_eq!(link.poll_timeout(), None);
            } else if link.state() == LinkState::Closed {
                // What was decided at the end, and a farewell at most.
                prop_assert_eq!(link.poll_message(), None);
                let farewell = link.poll_transmit();
                prop_assert!(farewell.is_none_or(|e| matches!(e.body, Body::Leave(_))));
                while link.poll_event().is_some() {}
                while link.poll_action().is_some() {}
                closed = true;
            }
        }
    }
}
