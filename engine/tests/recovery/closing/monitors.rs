//! The media monitors, by themselves.

use super::{monitors, ms, secs};
use floe::{
    close::{Config, Ending},
    liveness::{self, MediaPath, Monitor, Reconnect},
};
use sim::Clock;
use std::time::Duration;

// req: R1 R2 R3 R4
#[test]
fn each_keep_alive_moves_the_deadline_and_silence_is_reported_once() {
    let now = Clock::epoch();
    let (server, client) = monitors(now);
    for (mut monitor, timeout, event) in [
        (server, secs(20), liveness::Event::MediaPathDead),
        (client, secs(15), liveness::Event::MediaPathLost),
    ] {
        assert_eq!(
            (monitor.state(), monitor.poll_timeout()),
            (MediaPath::Unproven, None)
        );
        monitor.handle_timeout(now + secs(1000));
        monitor.resume(now + secs(1000));
        assert_eq!(
            (monitor.state(), monitor.poll_event()),
            (MediaPath::Unproven, None)
        );
        for step in 0..5 {
            let now = now + secs(1000) + secs(10) * step;
            monitor.handle_keep_alive(now);
            assert_eq!(monitor.poll_timeout(), Some(now + timeout));
            assert_eq!((monitor.poll_event(), monitor.poll_action()), (None, None));
        }
        let last = now + secs(1040);
        monitor.handle_keep_alive(last - secs(5));
        assert_eq!(
            monitor.poll_timeout(),
            Some(last + timeout),
            "an older one takes nothing back"
        );
        monitor.handle_timeout(last + timeout - Duration::from_nanos(1));
        assert_eq!(
            (monitor.state(), monitor.poll_event()),
            (MediaPath::Alive, None)
        );
        monitor.handle_timeout(last + timeout);
        assert_eq!(monitor.state(), MediaPath::Silent);
        assert_eq!(monitor.poll_timeout(), None);
        assert_eq!(
            (monitor.poll_event(), monitor.poll_event()),
            (Some(event), None)
        );
        assert!(monitor.poll_action().is_some() && monitor.poll_action().is_none());
        monitor.handle_timeout(last + timeout + secs(100));
        assert_eq!((monitor.poll_event(), monitor.poll_action()), (None, None));
    }
}

// req: R4 R5
#[test]
fn a_lost_path_asks_for_one_reconnect_or_for_none_by_policy() {
    let now = Clock::epoch();
    for policy in [Reconnect::Request, Reconnect::Never] {
        let mut config = liveness::Config::default();
        config.reconnect = policy;
        let mut client = Monitor::client(now, &config).unwrap();
        let action = (policy == Reconnect::Request).then_some(liveness::Action::RequestReconnect);
        client.handle_keep_alive(now);
        for loss in 1..=3 {
            // The path comes back by itself, and is lost again.
            let due = client.poll_timeout().unwrap();
            client.handle_timeout(due + secs(1));
            assert_eq!(
                client.poll_event(),
                Some(liveness::Event::MediaPathLost),
                "loss {loss}"
            );
            assert_eq!((client.poll_action(), client.poll_action()), (action, None));
            client.handle_keep_alive(due - secs(14) - secs(1));
            assert_eq!(
                client.state(),
                MediaPath::Silent,
                "a proof that is older than the silence"
            );
            client.handle_keep_alive(due + secs(2));
            assert_eq!(client.state(), MediaPath::Alive);
        }
        let mut server = Monitor::server(now, &config).unwrap();
        server.handle_keep_alive(now);
        server.handle_timeout(now + secs(20));
        assert_eq!(
            server.poll_action(),
            Some(liveness::Action::CloseSession),
            "the policy is the client's"
        );
    }
    assert_eq!(liveness::Config::default().reconnect, Reconnect::Request);
}

// req: R6
#[test]
fn a_client_that_would_notice_no_earlier_than_the_server_is_refused() {
    use liveness::ConfigError::{NoGap, Timeout};
    let make = |client, server| {
        let mut config = liveness::Config::default();
        (config.client_timeout, config.server_timeout) = (client, server);
        let now = Clock::epoch();
        let outcome = Monitor::client(now, &config).map(drop);
        assert_eq!(outcome, Monitor::server(now, &config).map(drop));
        outcome
    };
    let defaults = liveness::Config::default();
    assert_eq!(
        (defaults.client_timeout, defaults.server_timeout),
        (secs(15), secs(20))
    );
    assert_eq!(make(secs(15), secs(20)), Ok(()));
    assert_eq!(make(ms(19_999), secs(20)), Ok(()));
    assert_eq!(make(secs(20), secs(20)), Err(NoGap));
    assert_eq!(make(secs(21), secs(20)), Err(NoGap));
    assert_eq!(make(Duration::ZERO, secs(20)), Err(Timeout));
    assert_eq!(make(Duration::from_micros(1500), secs(20)), Err(Timeout));
    assert_eq!(
        make(secs(1), Duration::from_micros(1_000_500)),
        Err(Timeout)
    );
    assert_eq!(make(secs(1), secs(86_400)), Ok(()));
    assert_eq!(make(secs(1), secs(86_401)), Err(Timeout));
}

// req: R7
#[test]
fn a_resume_revives_the_clients_path_and_the_servers_only_in_time() {
    let now = Clock::epoch();
    let (mut server, mut client) = monitors(now);
    for monitor in [&mut server, &mut client] {
        monitor.handle_keep_alive(now);
        monitor.resume(now + secs(10));
    }
    assert_eq!(server.poll_timeout(), Some(now + secs(30)));
    assert_eq!(client.poll_timeout(), Some(now + secs(25)));
    // Nobody polled; what was due at thirty seconds happened all the same.
    server.resume(now + secs(30));
    assert_eq!(server.state(), MediaPath::Silent);
    assert_eq!(server.poll_event(), Some(liveness::Event::MediaPathDead));
    server.handle_keep_alive(now + secs(31));
    assert_eq!(server.state(), MediaPath::Silent, "dead is dead");
    client.resume(now + secs(30));
    assert_eq!(client.poll_event(), Some(liveness::Event::MediaPathLost));
    assert_eq!(client.poll_timeout(), Some(now + secs(45)));
}

#[test]
fn a_closed_monitor_says_nothing_any_more() {
    let now = Clock::epoch();
    let (server, client) = monitors(now);
    for mut monitor in [server, client] {
        monitor.handle_keep_alive(now);
        monitor.handle_timeout(now + secs(60));
        monitor.close();
        assert_eq!((monitor.poll_event(), monitor.poll_action()), (None, None));
        monitor.handle_keep_alive(now + secs(60));
        monitor.resume(now + secs(60));
        monitor.handle_timeout(now + secs(600));
        assert_eq!((monitor.poll_event(), monitor.poll_action()), (None, None));
        assert_eq!(monitor.state(), MediaPath::Closed);
        assert_eq!(monitor.poll_timeout(), None);
    }
}

#[test]
fn a_monitor_and_an_ending_are_24_bytes_and_keep_alives_cost_no_memory() {
    assert!(size_of::<Monitor>() <= 24, "{}", size_of::<Monitor>());
    assert!(size_of::<Ending>() <= 24, "{}", size_of::<Ending>());
    let now = Clock::epoch();
    let (mut server, _) = monitors(now);
    let counted = allocation_counter::measure(|| {
        let mut ending = Ending::new(now, &Config::default()).unwrap();
        ending.handle_media_connected(now);
        for second in 0..100 {
            server.handle_keep_alive(now + secs(second));
            server.handle_timeout(now + secs(second));
            assert!(server.poll_event().is_none() && server.poll_action().is_none());
            ending.handle_timeout(now + secs(second));
            assert!(ending.poll_event().is_none() && ending.poll_action().is_none());
        }
        ending.handle_media_dead(now + secs(100));
        while ending.poll_action().is_some() {}
    });
    assert_eq!(counted.count_total, 0);
}
