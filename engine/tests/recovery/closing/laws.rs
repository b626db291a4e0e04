//! What holds whatever happens, and on whatever node.

use super::{monitors, ms, secs};
use floe::{
    close::{CloseReason, Config, DisconnectReason, Ending, Event},
    liveness::Monitor,
};
use proptest::prelude::*;
use sim::Clock;
use std::time::Instant;

#[derive(Clone, Copy, Debug)]
enum Input {
    KeepAlive,
    Resume,
    Connected,
    TransportFailed,
    SignalClosed,
    Leave,
    Negotiation,
    Nothing,
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        30 => Just(Input::KeepAlive),
        4 => Just(Input::Resume),
        4 => Just(Input::Connected),
        3 => Just(Input::TransportFailed),
        2 => Just(Input::SignalClosed),
        1 => Just(Input::Leave),
        1 => Just(Input::Negotiation),
        5 => Just(Input::Nothing),
    ]
}

/// A monitor and an ending, and all that they ever said.
struct Pair {
    monitor: Monitor,
    ending: Ending,
    said: Vec<String>,
    ended: Option<(CloseReason, DisconnectReason)>,
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Server,
    Client,
}

impl Pair {
    fn new(now: Instant, side: Side) -> Self {
        let (server, client) = monitors(now);
        Self {
            monitor: match side {
                Side::Server => server,
                Side::Client => client,
            },
            ending: Ending::new(now, &Config::default()).unwrap(),
            said: Vec::new(),
            ended: None,
        }
    }

    fn take(&mut self, now: Instant, input: Input) {
        match input {
            Input::KeepAlive => self.monitor.handle_keep_alive(now),
            Input::Resume => {
                self.monitor.resume(now);
                self.said
                    .push(format!("{:?}", self.ending.handle_resume(now)));
            }
            Input::Connected => self.ending.handle_media_connected(now),
            Input::TransportFailed => self.ending.handle_transport_failed(now),
            Input::SignalClosed => self.ending.handle_signal_closed(now),
            Input::Leave => self
                .ending
                .handle_leave(now, DisconnectReason::ClientInitiated),
            Input::Negotiation => self.ending.handle_negotiation_failed(now),
            Input::Nothing => {}
        }
        self.drain();
    }

    fn timeout(&mut self, now: Instant) {
        self.monitor.handle_timeout(now);
        self.ending.handle_timeout(now);
        for due in [self.monitor.poll_timeout(), self.ending.poll_timeout()] {
            assert!(due.is_none_or(|due| due > now));
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.monitor.poll_event() {
            self.said.push(format!("{event:?}"));
        }
        while let Some(action) = self.monitor.poll_action() {
            self.said.push(format!("{action:?}"));
        }
        while let Some(Event::Ended(ended)) = self.ending.poll_event() {
            assert_eq!(self.ended, None, "twice");
            self.ended = Some((ended.close_reason, ended.disconnect_reason));
            self.said.push(format!("{:?}", self.ended));
        }
        while let Some(action) = self.ending.poll_action() {
            self.said.push(format!("{action:?}"));
        }
    }
}

fn moved(now: Instant, pair: &mut Pair) {
    let monitor = serde_json::to_string(&pair.monitor.save(now)).unwrap();
    let ending = serde_json::to_string(&pair.ending.save(now)).unwrap();
    pair.monitor = Monitor::restore(now, serde_json::from_str(&monitor).unwrap());
    pair.ending = Ending::restore(now, serde_json::from_str(&ending).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    // req: R10
    #[test]
    fn a_takeover_and_polling_more_often_change_nothing_of_what_is_said(
        side in prop_oneof![Just(Side::Server), Just(Side::Client)],
        inputs in prop::collection::vec((input(), 0..12_000u64), 0..60),
    ) {
        let start = Clock::epoch();
        let (mut calm, mut eager, mut moving) =
            (Pair::new(start, side), Pair::new(start, side), Pair::new(start, side));
        let mut now = start;
        for (input, time) in inputs {
            for step in 1..=4 {
                eager.timeout(now + ms(time) * step / 4);
            }
            now += ms(time);
            calm.take(now, input);
            eager.take(now, input);
            moved(now, &mut moving);
            moving.take(now, input);
            moved(now, &mut moving);
            prop_assert_eq!(calm.ended, moving.ended);
            // What is overdue is due.
            let due = |pair: &Pair| pair.monitor.poll_timeout().map(|due| due.max(now));
            prop_assert_eq!(due(&calm), due(&moving));
        }
        now += secs(100);
        for pair in [&mut calm, &mut eager, &mut moving] {
            pair.timeout(now);
        }
        prop_assert_eq!(&calm.said, &moving.said);
        // The two machines are polled one after the other: what each said, in its order.
        let sorted = |pair: &Pair| { let mut said = pair.said.clone(); said.sort(); said };
        prop_assert_eq!(sorted(&calm), sorted(&eager));
        prop_assert_eq!(calm.ended, eager.ended);
    }
}
