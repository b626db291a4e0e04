//! Coming back: how long a link waits, how often it tries, and what it does when that was all for nothing.

use super::{
    actions, envelope, events, ms, secs, transmits, up, welcome,
    wire::{Net, Who, Wire},
};
use floe::signaling::link::{
    Action, Body, Config, ConfigError, Escalation, Event, Link, LinkState, Outcome, SessionId,
};
use sim::Clock;
use std::{sync::Arc, time::Duration};

/// The delays before the attempts of a link whose every attempt fails at once.
fn delays(session: [u8; 16], config: &Config) -> Vec<Duration> {
    let mut now = Clock::epoch();
    let session = SessionId::from_bytes(session);
    let mut link = Link::<u32>::dialing(now, session, Arc::new(config.clone())).unwrap();
    assert_eq!(actions(&mut link), [Action::OpenChannel { attempt: 0 }]);
    let mut delays = Vec::new();
    for attempt in 1..=config.attempts {
        link.handle_channel_closed(now);
        assert_eq!(actions(&mut link), []);
        let due = link.poll_timeout().unwrap();
        delays.push(due - now);
        now = due;
        link.handle_timeout(now - Duration::from_nanos(1));
        assert_eq!(actions(&mut link), [], "not before it is time");
        link.handle_timeout(now);
        assert_eq!(actions(&mut link), [Action::OpenChannel { attempt }]);
    }
    link.handle_channel_closed(now);
    assert_eq!(actions(&mut link), [Action::Escalate(config.escalation)]);
    assert_eq!(link.poll_timeout(), None);
    delays
}

// req: R141 P34
#[test]
fn delays_double_to_a_cap_with_full_jitter_and_repeat_with_the_session() {
    let mut config = Config::default();
    config.attempts = 7;
    let longest = [500, 1000, 2000, 4000, 8000, 15_000, 15_000].map(ms);
    for (attempt, longest) in (1..).zip(longest) {
        assert_eq!(config.longest_delay(attempt), longest);
    }
    let many: Vec<Vec<Duration>> = (0..2000u64)
        .map(|seed| {
            let mut session = [0; 16];
            session[..8].copy_from_slice(&seed.to_be_bytes());
            delays(session, &config)
        })
        .collect();
    let mut before = Duration::ZERO;
    for (place, longest) in longest.into_iter().enumerate() {
        let drawn = || many.iter().map(|delays| delays[place]);
        assert!(drawn().all(|delay| delay > Duration::ZERO && delay <= longest));
        assert!(drawn().min().unwrap() < longest / 50, "from nothing");
        assert!(drawn().max().unwrap() > longest / 50 * 49, "to all of it");
        let mean = drawn().sum::<Duration>() / 2000;
        assert!(
            mean > longest / 100 * 47 && mean < longest / 100 * 53,
            "{mean:?}"
        );
        assert!(mean > before / 100 * 94, "it does not shrink");
        before = mean;
    }
    assert_eq!(delays([3; 16], &config), delays([3; 16], &config));
    assert_ne!(delays([3; 16], &config), delays([4; 16], &config));
    let one = delays([3; 16], &config);
    let shares: Vec<f64> = one
        .iter()
        .zip(longest)
        .map(|(d, l)| d.div_duration_f64(l))
        .collect();
    assert!(
        shares
            .windows(2)
            .all(|pair| (pair[0] - pair[1]).abs() > 1e-9),
        "each is drawn anew"
    );
}

#[test]
fn base_factor_and_cap_are_the_callers_to_choose() {
    let mut config = Config::default();
    config.back_off = ms(100);
    config.back_off_factor = 3;
    config.back_off_cap = ms(1000);
    let longest: Vec<Duration> = (1..=5)
        .map(|attempt| config.longest_delay(attempt))
        .collect();
    assert_eq!(longest, [100, 300, 900, 1000, 1000].map(ms));
    config.back_off_factor = u32::MAX;
    assert_eq!(
        config.longest_delay(u8::MAX),
        ms(1000),
        "and nothing overflows"
    );
    // What was decided at a deadline is due after it, however short the back-off.
    let nanosecond = Duration::from_nanos(1);
    (config.back_off, config.back_off_cap) = (nanosecond, nanosecond);
    assert_eq!(delays([3; 16], &config), [nanosecond; 6]);
}

// req: R142
#[test]
fn attempts_are_five_to_seven_and_six_by_default() {
    let try_with = |change: fn(&mut Config, u8), value| {
        let mut config = Config::default();
        change(&mut config, value);
        Link::<u32>::dialing(Clock::epoch(), super::SESSION, Arc::new(config)).map(drop)
    };
    assert_eq!(Config::default().attempts, 6);
    for attempts in 0..=u8::MAX {
        let sound = (5..=7).contains(&attempts);
        let outcome = try_with(|config, n| config.attempts = n, attempts);
        assert_eq!(
            outcome,
            sound.then_some(()).ok_or(ConfigError::Attempts),
            "{attempts}"
        );
    }
    type Change = fn(&mut Config, u8);
    let bad: [(Change, ConfigError); 9] = [
        (|c, _| c.back_off = Duration::ZERO, ConfigError::BackOff),
        (|c, _| c.back_off_factor = 1, ConfigError::BackOff),
        (|c, _| c.back_off_cap = ms(499), ConfigError::BackOff),
        (|c, _| c.back_off_cap = secs(86_401), ConfigError::BackOff),
        (
            |c, _| c.response_timeout = Duration::ZERO,
            ConfigError::ResponseTimeout,
        ),
        (
            |c, _| c.response_timeout = Duration::from_micros(999),
            ConfigError::ResponseTimeout,
        ),
        (
            |c, _| c.response_timeout = secs(86_401),
            ConfigError::ResponseTimeout,
        ),
        (|c, _| c.max_unacknowledged = 0, ConfigError::Buffer),
        (|c, _| c.max_ahead = 0, ConfigError::Buffer),
    ];
    for (change, error) in bad {
        assert_eq!(try_with(change, 0), Err(error));
    }
    let good: [Change; 4] = [
        |c, _| c.back_off_cap = ms(500),
        |c, _| c.back_off_cap = secs(86_400),
        |c, _| c.response_timeout = ms(1),
        |c, _| c.max_ahead = 1,
    ];
    for change in good {
        assert_eq!(try_with(change, 0), Ok(()));
    }
}

// req: R143 P34
#[test]
fn when_all_attempts_have_failed_it_escalates_once_and_stays_quiet() {
    for (attempts, escalation) in [
        (5, Escalation::Relay),
        (6, Escalation::TearDown),
        (7, Escalation::Relay),
    ] {
        let mut config = Config::default();
        config.attempts = attempts;
        config.escalation = escalation;
        let mut wire = Wire::with_config(1, Net::GOOD, config);
        wire.run(secs(1));
        wire.net.reachable = false;
        wire.cut();
        wire.run(secs(3600));
        let asked: Vec<Action> = wire
            .asked(Who::Client)
            .into_iter()
            .map(|(_, a)| a)
            .skip(1)
            .collect();
        let mut expected: Vec<Action> = (1..=attempts)
            .map(|attempt| Action::OpenChannel { attempt })
            .collect();
        expected.push(Action::Escalate(escalation));
        assert_eq!(asked, expected);
        assert_eq!(wire.client.state(), LinkState::Exhausted);
        assert_eq!(wire.client.poll_timeout(), None);
        wire.client.handle_channel_closed(wire.now);
        wire.client.handle_timeout(wire.now + secs(10));
        wire.run(secs(3600));
        assert_eq!(wire.asked(Who::Client).len(), expected.len() + 1);
        // What waits still waits, and goes when the caller tries again.
        wire.client.send(wire.now, 9).unwrap();
        wire.net.reachable = true;
        wire.client.reconnect(wire.now);
        wire.run(secs(1));
        assert!(wire.is_up());
        assert_eq!(wire.came(Who::Server), [9]);
    }
    assert_eq!(Config::default().escalation, Escalation::Relay);
}

// req: R144
#[test]
fn a_success_begins_the_count_anew_and_an_open_channel_alone_is_none() {
    let mut now = Clock::epoch();
    let mut link = up::<u32>(now, Config::default());
    let mut attempts = Vec::new();
    for round in 0..4 {
        link.handle_channel_closed(now);
        // Three attempts: refused, silent, greeted and cut off; the fourth is welcomed.
        for way in 0..4 {
            now = link.poll_timeout().unwrap();
            link.handle_timeout(now);
            let [Action::OpenChannel { attempt }] = actions(&mut link)[..] else {
                panic!("no dial")
            };
            attempts.push(attempt);
            match way {
                0 => link.handle_channel_closed(now),
                1 => {
                    now = link.poll_timeout().unwrap();
                    link.handle_timeout(now);
                    assert_eq!(actions(&mut link), [Action::CloseChannel]);
                }
                2 => {
                    link.handle_channel_opened(now);
                    assert_eq!(transmits(&mut link).len(), 1);
                    link.handle_channel_closed(now);
                }
                _ => {
                    link.handle_channel_opened(now);
                    welcome(now, &mut link, 3 + 2 * round);
                }
            }
        }
    }
    assert_eq!(attempts, [1, 2, 3, 4].repeat(4));
}

#[test]
fn a_channel_that_says_nothing_is_taken_for_dead() {
    // It does not open.
    let now = Clock::epoch();
    let mut link = Link::<u32>::dialing(now, super::SESSION, Arc::new(Config::default())).unwrap();
    assert_eq!(link.poll_timeout(), Some(now + secs(10)));
    // It opens, and nobody answers.
    let now = now + secs(4);
    link.handle_channel_opened(now);
    assert_eq!(link.poll_timeout(), Some(now + secs(10)));
    // Somebody does; there is nothing to wait for.
    actions(&mut link);
    welcome(now, &mut link, 1);
    assert_eq!(link.poll_timeout(), None);
    // A message is not acknowledged: from when it was sent, not from when the next one was.
    link.send(now, 1).unwrap();
    link.send(now + secs(3), 2).unwrap();
    assert_eq!(transmits(&mut link).len(), 2);
    assert_eq!(link.poll_timeout(), Some(now + secs(10)));
    // Some progress begins the wait anew.
    let ack = link.handle_envelope(now + secs(9), envelope(1, Body::Ack));
    assert_eq!(
        (ack, link.poll_timeout()),
        (Outcome::Handled, Some(now + secs(19)))
    );
    let none = link.handle_envelope(now + secs(10), envelope(1, Body::Ack));
    assert_eq!(
        (none, link.poll_timeout()),
        (Outcome::Handled, Some(now + secs(19)))
    );
    link.handle_timeout(now + secs(19));
    assert_eq!(actions(&mut link), [Action::CloseChannel]);
    assert_eq!(link.state(), LinkState::Down);
    assert!(events(&mut link).contains(&Event::SignalingDown));
    // What was sent while it is down is waited for from when it is up.
    link.handle_channel_opened(now + secs(30));
    welcome(now + secs(31), &mut link, 2);
    assert_eq!(link.poll_timeout(), Some(now + secs(41)));
}

#[test]
fn the_accepting_side_takes_a_dead_channel_down_too_and_waits() {
    let mut wire = Wire::new(2, Net::GOOD);
    wire.run(secs(1));
    wire.net.loss = 100;
    let now = wire.now;
    wire.server().send(now, 7).unwrap();
    wire.run(secs(9));
    assert!(wire.is_up());
    wire.net.loss = 0;
    wire.run(secs(5));
    assert_eq!(wire.asked(Who::Server), [(11_000, Action::CloseChannel)]);
    assert_eq!(wire.came(Who::Client), [7]);
    assert!(wire.is_up());
}

#[test]
fn reconnect_acts_where_the_link_waits_and_nowhere_else() {
    let now = Clock::epoch();
    let mut link = up::<u32>(now, Config::default());
    link.reconnect(now);
    assert_eq!((link.state(), actions(&mut link)), (LinkState::Up, vec![]));
    link.handle_channel_closed(now);
    link.reconnect(now);
    assert_eq!(actions(&mut link), [Action::OpenChannel { attempt: 0 }]);
    link.reconnect(now);
    assert_eq!(actions(&mut link), []);
    link.handle_channel_closed(now);
    let due = link.poll_timeout().unwrap();
    link.handle_timeout(due);
    assert_eq!(
        actions(&mut link),
        [Action::OpenChannel { attempt: 1 }],
        "as often as at first"
    );
    // A channel that the caller opened unasked will do as well, and then none is asked for.
    link.handle_channel_closed(due);
    let due = link.poll_timeout().unwrap();
    link.handle_timeout(due);
    link.handle_channel_opened(due);
    assert_eq!(
        (link.state(), actions(&mut link)),
        (LinkState::Greeting, vec![])
    );
    // The accepting side has nobody to dial.
    let open = envelope(0, Body::Open { channel: 1 });
    let mut server = Link::<u32>::accept(now, open, Arc::new(Config::default())).unwrap();
    server.handle_channel_closed(now);
    server.reconnect(now);
    server.handle_channel_opened(now);
    assert_eq!(
        (server.state(), actions(&mut server)),
        (LinkState::Down, vec![])
    );
    assert_eq!(transmits(&mut server), []);
}

// req: R150
#[test]
fn a_long_outage_costs_nothing_but_time() {
    let mut wire = Wire::new(8, Net::GOOD);
    wire.run(secs(1));
    wire.net.reachable = false;
    wire.cut();
    for message in 0..200 {
        wire.client.send(wire.now, message).unwrap();
        let now = wire.now;
        wire.server().send(now, 1000 + message).unwrap();
        wire.run(secs(5));
        if wire.client.state() == LinkState::Exhausted {
            wire.client.reconnect(wire.now);
        }
    }
    wire.net.reachable = true;
    wire.client.reconnect(wire.now);
    wire.run(secs(30));
    assert_eq!(wire.came(Who::Server), (0..200).collect::<Vec<_>>());
    assert_eq!(wire.came(Who::Client), (1000..1200).collect::<Vec<_>>());
    assert_eq!(
        wire.left(Who::Server),
        (1..=200).collect::<Vec<_>>(),
        "each once"
    );
}

#[test]
fn time_that_goes_back_is_the_latest_time_seen() {
    let now = Clock::epoch() + secs(100);
    let mut link = up::<u32>(now, Config::default());
    link.send(now - secs(50), 1).unwrap();
    assert_eq!(link.poll_timeout(), Some(now + secs(10)));
    link.handle_timeout(now + secs(4));
    assert_eq!(link.poll_timeout(), Some(now + secs(10)));
    link.handle_timeout(now);
    link.handle_timeout(now + secs(8));
    assert_eq!(
        link.poll_timeout(),
        Some(now + secs(10)),
        "and no time passes twice"
    );
    link.handle_channel_closed(now);
    let Some(Event::StateChange(record)) = link.poll_event() else {
        panic!("no record")
    };
    assert_eq!(record.at, now + secs(8));
}

#[test]
fn a_channel_opened_unasked_after_all_attempts_begins_a_new_count() {
    let mut now = Clock::epoch();
    let mut link = up::<u32>(now, Config::default());
    let mut asked = Vec::new();
    link.handle_channel_closed(now);
    while let Some(due) = link.poll_timeout() {
        now = due;
        link.handle_timeout(now);
        asked.extend(actions(&mut link));
        link.handle_channel_closed(now);
    }
    asked.extend(actions(&mut link));
    assert_eq!(asked.last(), Some(&Action::Escalate(Escalation::Relay)));
    link.handle_channel_opened(now);
    link.handle_channel_closed(now);
    assert_eq!(
        (link.state(), actions(&mut link)),
        (LinkState::Down, vec![])
    );
    link.handle_timeout(link.poll_timeout().unwrap());
    assert_eq!(actions(&mut link), [Action::OpenChannel { attempt: 1 }]);
}

#[test]
fn a_channel_that_could_not_be_opened_is_not_asked_for_again_before_its_time() {
    let now = Clock::epoch();
    let mut link = Link::<u32>::dialing(now, super::SESSION, Arc::new(Config::default())).unwrap();
    link.handle_channel_closed(now);
    assert_eq!(actions(&mut link), []);
    // The caller says it late: that one is dead already, and only to be closed.
    let mut link = up::<u32>(now, Config::default());
    link.send(now, 1).unwrap();
    link.handle_timeout(now + secs(10));
    let due = link.poll_timeout();
    link.handle_channel_closed(now + secs(10));
    assert_eq!((link.poll_timeout(), link.state()), (due, LinkState::Down));
    // And one that is there again is not to be closed for the sake of the last.
    link.handle_channel_opened(now + secs(10));
    assert_eq!(actions(&mut link), []);
}
