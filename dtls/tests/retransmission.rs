//! Flights that get lost: when they are sent again, how often, and when it is enough (RFC 6347 §4.2.4).

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use common::*;
use floe_dtls::*;
use proptest::prelude::*;
use sim::{Clock, Link, Verdict, Wiretap, address};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// When datagrams were sent, since the beginning.
fn times(wire: &Wiretap) -> Vec<Duration> {
    let since = |at| at - Clock::epoch();
    wire.seen().into_iter().map(|(at, _)| since(at)).collect()
}

/// A client alone with this configuration; runs for `duration` and says when it sent.
fn alone(
    config: Config,
    prepare: impl FnOnce(&mut Peer),
    duration: Duration,
) -> (Story, Vec<Duration>) {
    let mut pair = pair_with(1, config, common::config(SERVER));
    let wire = pair.network.wiretap();
    pair.network.cut();
    prepare(&mut pair.a);
    let now = pair.now();
    pair.a.dtls.start(now);
    pair.run_for(duration);
    let times = times(&wire);
    (pair, times)
}

fn patient() -> Config {
    let mut config = config(CLIENT);
    config.retransmission.deadline = Duration::from_secs(3600);
    config
}

// req: T20
#[test]
fn an_unanswered_flight_is_sent_again_twelve_times_at_doubling_intervals_up_to_a_minute() {
    let (pair, times) = alone(patient(), |_| (), Duration::from_secs(3600));
    let gaps: Vec<u64> = times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_millis() as u64)
        .collect();
    let doubling = [
        400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000, 60_000, 60_000,
    ];
    assert_eq!(gaps, doubling);
    let (state, reason) = *pair.a.states().last().unwrap();
    assert_eq!((state, reason), (State::Failed, Reason::HandshakeTimedOut));
    assert_eq!(pair.a.dtls.error(), Some(&Error::HandshakeTimedOut));
    assert_eq!(pair.a.dtls.stats().retransmitted_flights, 12);
    assert_eq!(pair.a.dtls.poll_timeout(), None);
}

// req: T20
#[test]
fn the_number_of_tries_and_the_range_of_intervals_are_configured() {
    let mut config = patient();
    config.retransmission.initial = ms(100);
    config.retransmission.cap = ms(150);
    config.retransmission.tries = 4;
    let (pair, times) = alone(config, |_| (), Duration::from_secs(10));
    assert_eq!(times, [0, 100, 250, 400, 550].map(ms));
    let failed_at = pair.a.events.last().unwrap().0;
    assert_eq!(
        failed_at - Clock::epoch(),
        ms(700),
        "the last one is waited for too"
    );
}

// req: T20
#[test]
fn the_total_deadline_ends_a_handshake_whatever_else_is_allowed() {
    let mut config = config(CLIENT);
    config.retransmission.deadline = Duration::from_secs(5);
    let (pair, _) = alone(config, |_| (), Duration::from_secs(20));
    let failed_at = pair.a.events.last().unwrap().0;
    assert_eq!(failed_at - Clock::epoch(), Duration::from_secs(5));
    assert_eq!(pair.a.dtls.error(), Some(&Error::HandshakeTimedOut));
}

/// On a path that works a busy peer is asked soon, then with patience, until the deadline.
// req: T20
#[test]
fn who_may_hurry_has_no_less_time_than_others() {
    let hurried = |client: &mut Peer| client.dtls.set_retransmission_cap(ms(800));
    let (pair, times) = alone(config(CLIENT), hurried, Duration::from_secs(61));
    let gaps: Vec<u64> = times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_millis() as u64)
        .collect();
    let soon = [400].into_iter().chain([800; 13]);
    let patient = [1600, 3200, 6400, 12_800, 25_600];
    assert_eq!(
        gaps,
        soon.chain(patient).take(gaps.len()).collect::<Vec<_>>()
    );
    assert_eq!(gaps.len(), 18);
    let failed_at = pair.a.events.last().unwrap().0;
    assert_eq!(failed_at - Clock::epoch(), Duration::from_secs(60));
}

/// Whatever was hurried, tries are as many as configured.
// req: T20
#[test]
fn who_may_hurry_no_longer_goes_on_where_time_outs_had_doubled_to() {
    let mut config = patient();
    config.retransmission.tries = 5;
    let hurried = |client: &mut Peer| client.dtls.set_retransmission_cap(ms(800));
    let (mut pair, _) = alone(config, hurried, ms(4100));
    let wire = pair.network.wiretap();
    let cap = pair.a.dtls.config().retransmission.cap;
    pair.a.dtls.set_retransmission_cap(cap);
    pair.run_for(Duration::from_secs(60));
    // Sent at 0, 0.4, 1.2, 2, 2.8 and 3.6 s.
    assert_eq!(times(&wire), [5200, 8400, 14_800].map(ms));
    assert_eq!(pair.a.dtls.error(), Some(&Error::HandshakeTimedOut));
}

// req: T20
#[test]
fn a_server_that_hears_nothing_fails_at_its_deadline_too() {
    let mut pair = pair(1);
    pair.network.cut();
    start(&mut pair);
    pair.run_for(Duration::from_secs(61));
    assert_eq!(pair.b.dtls.error(), Some(&Error::HandshakeTimedOut));
}

// req: T20
#[test]
fn twice_the_round_trip_time_of_ice_is_the_first_interval_within_its_range() {
    for (rtt, first) in [(100, 200), (1, 50), (1499, 2998), (60_000, 3000)] {
        let (_, times) = alone(
            patient(),
            |client| client.dtls.set_rtt_hint(ms(rtt)),
            Duration::from_secs(4),
        );
        assert_eq!(times[1], ms(first), "rtt {rtt}");
    }
}

// req: T20
#[test]
fn a_round_trip_time_learnt_in_mid_flight_moves_the_timer_that_is_running() {
    let mut pair = pair_with(1, patient(), config(SERVER));
    let wire = pair.network.wiretap();
    pair.network.cut();
    let now = pair.now();
    pair.a.dtls.start(now);
    pair.run_for(ms(20));
    pair.a.dtls.set_rtt_hint(ms(40));
    pair.run_for(ms(400));
    assert_eq!(times(&wire), [ms(0), ms(80), ms(240)]);
}

// req: T20
#[test]
fn inside_a_transport_intervals_stay_below_the_cap_it_sets() {
    let capped = |client: &mut Peer| client.dtls.set_retransmission_cap(ms(800));
    let (_, times) = alone(patient(), capped, Duration::from_secs(5));
    assert_eq!(times, [0, 400, 1200, 2000, 2800, 3600, 4400].map(ms));
}

// req: T20
#[test]
fn the_cap_does_not_cut_what_the_round_trip_time_asks_for() {
    let far = |client: &mut Peer| {
        client.dtls.set_retransmission_cap(ms(800));
        client.dtls.set_rtt_hint(ms(1000));
    };
    let (_, times) = alone(patient(), far, Duration::from_secs(7));
    assert_eq!(times, [0, 2000, 4000, 6000].map(ms));
}

// req: T22 T53
#[test]
fn the_third_transmission_of_a_flight_is_the_first_in_both_sizes() {
    let mut pair = pair(1);
    let wire = pair.network.wiretap();
    pair.network.link(address(SERVER), address(CLIENT)).mtu = 548;
    start(&mut pair);
    pair.drive_until(|a, _| a.is_connected());
    let mut transmissions: Vec<(Duration, Vec<usize>)> = Vec::new();
    for (at, datagram) in wire.seen() {
        let (at, len) = (at - Clock::epoch(), datagram.bytes.len());
        match transmissions.last_mut() {
            _ if datagram.source == address(CLIENT) => {}
            Some((same, lengths)) if *same == at => lengths.push(len),
            _ => transmissions.push((at, vec![len])),
        }
    }
    let lengths: Vec<_> = transmissions.into_iter().map(|(_, all)| all).collect();
    let [first, second, third, ..] = &lengths[..] else {
        panic!("{lengths:?}");
    };
    // It may have been lost for its length, or by chance.
    assert_eq!(first, second);
    assert!(matches!(first[..], [548..=1200]), "{lengths:?}");
    let (small, usual) = third.split_at(third.len() - 1);
    assert!(small.len() > 1 && small.iter().all(|len| *len <= 548));
    assert_eq!(usual, first);
}

// req: T20
#[test]
fn jitter_adds_up_to_a_quarter_and_is_off_unless_asked_for() {
    let mut config = patient();
    config.retransmission.jitter = Jitter::On;
    let (_, times) = alone(config, |_| (), Duration::from_secs(60));
    let mut exact = 0;
    for (tries, pair) in times.windows(2).enumerate() {
        let plain = ms(400) * (1 << tries);
        let gap = pair[1] - pair[0];
        assert!(
            plain <= gap && gap <= plain * 5 / 4,
            "{gap:?} for {plain:?}"
        );
        exact += usize::from(gap == plain);
    }
    assert!(exact < 4, "some interval is spread");
}

/// Drops the datagrams whose number (from 0, both directions together) is in `lost`.
fn lose(pair: &mut Story, lost: impl Fn(usize) -> bool + 'static) {
    let count = Cell::new(0);
    pair.network
        .tap(move |_, _| match lost(count.replace(count.get() + 1)) {
            true => Verdict::Drop,
            false => Verdict::Pass,
        });
}

// req: T20 T21
#[test]
fn each_flight_may_be_lost_and_costs_one_interval() {
    for lost in 0..4 {
        let mut pair = pair(lost as u64);
        pair.network.set_links(slow_link());
        lose(&mut pair, move |nth| nth == lost);
        let took = connect(&mut pair);
        // Also of the last one, which has no timer of its own: the client repeats its Finished.
        assert_eq!(took, ms(600), "datagram {lost}");
        assert_talking(&mut pair);
    }
}

// req: T20
#[test]
fn who_hears_its_peer_repeat_begins_the_doubling_anew() {
    let server = server_with(config(SERVER), RemoteIdentity::Later).dtls;
    sends_at(
        server,
        &[
            (0, Heard::Hello, 400),
            (400, Heard::Nothing, 1200),
            (1200, Heard::Nothing, 2800),
            (1700, Heard::Hello, 2100),
            (2100, Heard::Nothing, 2900),
        ],
    );
}

/// However often it has hurried before.
// req: T20
#[test]
fn who_hears_its_peer_repeat_may_hurry_anew() {
    let mut config = config(SERVER);
    config.retransmission.tries = 2;
    let mut server = server_with(config, RemoteIdentity::Later).dtls;
    server.set_path_validated();
    server.set_retransmission_cap(ms(800));
    sends_at(
        server,
        &[
            (0, Heard::Hello, 400),
            (400, Heard::Nothing, 1200),
            (1200, Heard::Nothing, 2000),
            (2000, Heard::Nothing, 2800),
            (2800, Heard::Nothing, 4400),
            (3500, Heard::Hello, 3900),
            (3900, Heard::Nothing, 4700),
            (4700, Heard::Nothing, 5500),
        ],
    );
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    Hello,
}

/// A server that hears a client's hello at some of these times sends at all of them, in milliseconds, and is due then.
fn sends_at(mut server: Connection, times: &[(u64, Heard, u64)]) {
    let mut client = client_with(config(CLIENT), RemoteIdentity::Later).dtls;
    let epoch = Clock::epoch();
    client.start(epoch);
    server.start(epoch);
    let mut buf = [0; 1200];
    let len = client.poll_transmit(&mut buf).expect("a ClientHello");
    let hello = buf[..len].to_vec();
    for (at, heard, next) in times {
        let now = epoch + ms(*at);
        match heard {
            Heard::Hello => drop(server.handle_datagram(now, &mut hello.clone())),
            Heard::Nothing => server.handle_timeout(now),
        }
        let sent = std::iter::from_fn(|| server.poll_transmit(&mut buf)).count();
        let due = server.poll_timeout().map(|due| due - epoch);
        assert_eq!((sent > 0, due), (true, Some(ms(*next))), "at {at} ms");
    }
}

// req: T20
#[test]
fn half_a_flight_does_not_stop_the_timer() {
    let mut server = config(SERVER);
    server.mtu = 400;
    let mut pair = pair_with(1, config(CLIENT), server);
    pair.network.set_links(slow_link());
    // The server's flight takes two datagrams; the second one is lost the first time.
    lose(&mut pair, |nth| nth == 2);
    start(&mut pair);
    pair.run_for(ms(399));
    assert_eq!(pair.b.dtls.stats().retransmitted_flights, 0);
    pair.drive_until(|a, b| a.is_connected() && b.is_connected());
    let resent =
        pair.a.dtls.stats().retransmitted_flights + pair.b.dtls.stats().retransmitted_flights;
    assert!(resent >= 1);
}

/// Connects, but every ChangeCipherSpec and Finished of the server is lost until `hear` says otherwise.
fn deaf_client(seed: u64) -> (Story, Rc<Cell<bool>>) {
    deaf_client_with(seed, config(CLIENT))
}

fn deaf_client_with(seed: u64, client: Config) -> (Story, Rc<Cell<bool>>) {
    let mut pair = pair_with(seed, client, config(SERVER));
    let hear = Rc::new(Cell::new(false));
    let heard = hear.clone();
    pair.network.tap(move |datagram, _| {
        let last_flight = datagram.source == address(SERVER) && datagram.bytes[0] == 20;
        match last_flight && !heard.get() {
            true => Verdict::Drop,
            false => Verdict::Pass,
        }
    });
    start(&mut pair);
    pair.drive_until(|_, b| b.is_connected());
    (pair, hear)
}

// req: T21
#[test]
fn the_last_flight_answers_a_repeated_finished_for_four_minutes() {
    let (mut pair, hear) = deaf_client(1);
    pair.run_for(Duration::from_secs(6));
    assert!(pair.b.is_connected() && !pair.a.is_connected());
    assert!(pair.b.dtls.stats().retransmitted_flights > 2);
    hear.set(true);
    pair.drive_until(|a, _| a.is_connected());
    assert_talking(&mut pair);
}

// req: T21 T68
#[test]
fn a_last_flight_that_was_just_given_unasked_is_not_given_again_at_once() {
    let mut client = config(CLIENT);
    client.retransmission.cap = ms(450);
    let (mut pair, _) = deaf_client_with(2, client);
    // Asked for after 400, 850 and 1300 ms, and given unasked 400 ms after an answer.
    for (until, given) in [(390, 0), (790, 1), (840, 2), (1290, 2), (1310, 3)] {
        let passed = pair.now() - pair.b.events.last().unwrap().0;
        pair.run_for(ms(until) - passed);
        let flights = pair.b.dtls.stats().retransmitted_flights;
        assert_eq!(flights, given, "after {until} ms");
    }
}

// req: T21
#[test]
fn after_four_minutes_the_last_flight_is_let_go() {
    let mut client = patient();
    client.retransmission.tries = 40;
    client.retransmission.cap = Duration::from_secs(20);
    let mut pair = pair_with(1, client, config(SERVER));
    pair.network.tap(|datagram, _| {
        match datagram.source == address(SERVER) && datagram.bytes[0] == 20 {
            true => Verdict::Drop,
            false => Verdict::Pass,
        }
    });
    start(&mut pair);
    pair.drive_until(|_, b| b.is_connected());
    // The client asks every 20 seconds.
    let answered = |pair: &Story| pair.b.dtls.stats().retransmitted_flights;
    pair.run_for(Duration::from_secs(215));
    let before = answered(&pair);
    pair.run_for(Duration::from_secs(24));
    assert!(answered(&pair) > before);
    pair.run_for(Duration::from_secs(1));
    let last = answered(&pair);
    pair.run_for(Duration::from_secs(120));
    assert_eq!(answered(&pair), last);
}

// req: T68
#[test]
fn a_flood_of_copies_of_a_flight_causes_one_answer_for_each_interval() {
    let mut pair = pair(1);
    pair.network.set_links(slow_link());
    let wire = pair.network.wiretap();
    // Nothing of the server arrives: its flight stays unanswered while copies of the ClientHello come in.
    pair.network.link(address(SERVER), address(CLIENT)).up = false;
    start(&mut pair);
    pair.run_for(ms(60));
    let hello = wire.seen().remove(0).1;
    for _ in 0..100 {
        pair.inject(hello.clone());
        pair.run_for(ms(9));
    }
    let from_server = |datagram: &sim::Datagram| datagram.source == address(SERVER);
    let sent: std::collections::BTreeSet<_> = wire
        .seen()
        .into_iter()
        .filter(|(_, datagram)| from_server(datagram))
        .map(|(at, _)| at)
        .collect();
    // At the first one, and 0.4 s later each, though copies came every 9 ms for 0.9 s.
    assert!((2..=3).contains(&sent.len()), "{sent:?}");
}

// req: T68
#[test]
fn after_completion_only_an_authentic_finished_brings_the_last_flight_again() {
    let mut pair = pair(1);
    let wire = pair.network.wiretap();
    connect(&mut pair);
    pair.drive();
    let second_flight = wire.seen().remove(2).1;
    let before = pair.b.dtls.stats();
    for _ in 0..20 {
        // All of it a copy: its plaintext is refused, its Finished was seen.
        pair.inject(second_flight.clone());
        pair.run_for(ms(500));
    }
    let after = pair.b.dtls.stats();
    assert_eq!(after.datagrams_sent, before.datagrams_sent);
    assert!(after.dropped(DropReason::PlaintextAfterKeys) >= 20);
    assert_eq!(after.dropped(DropReason::Replayed), 20);
    assert_talking(&mut pair);
}

// req: T36
#[test]
fn the_round_trip_time_is_that_of_a_flight_sent_once() {
    let mut pair = pair(1);
    pair.network.set_links(slow_link());
    connect(&mut pair);
    assert_eq!(pair.a.dtls.stats().round_trip_time, Some(ms(100)));
    assert_eq!(pair.b.dtls.stats().round_trip_time, Some(ms(100)));

    let mut pair = common::pair(2);
    pair.network.set_links(Link::with_delay(ms(300)));
    connect(&mut pair);
    let repeated = pair.a.dtls.stats().retransmitted_flights;
    assert!(repeated > 0);
    assert_eq!(pair.a.dtls.stats().round_trip_time, None);
}

// req: T20
#[test]
fn with_the_transports_cap_a_third_of_all_datagrams_may_be_lost() {
    for seed in 0..100 {
        let mut pair = pair(seed);
        pair.network.set_links(Link {
            loss: 0.3,
            ..slow_link()
        });
        for peer in [&mut pair.a, &mut pair.b] {
            peer.dtls.set_rtt_hint(ms(100));
            peer.dtls.set_retransmission_cap(ms(800));
        }
        connect(&mut pair);
        assert!(
            pair.elapsed() < Duration::from_secs(10),
            "seed {seed}: {:?}",
            pair.elapsed()
        );
    }
}

fn any_link() -> impl Strategy<Value = Link> {
    let millis = |most: u64| (0..most).prop_map(Duration::from_millis);
    let rate = |most: f64| 0.0..most;
    (
        millis(400),
        millis(100),
        rate(0.95),
        rate(0.5),
        rate(0.5),
        rate(0.3),
        256usize..1500,
    )
        .prop_map(
            |(delay, jitter, loss, duplication, reordering, corruption, mtu)| Link {
                delay,
                jitter,
                loss,
                duplication,
                reordering,
                corruption,
                mtu,
                ..Link::default()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    // req: T20 T32
    #[test]
    fn any_network_ends_connected_or_failed_by_the_deadline(
        seed: u64,
        there in any_link(),
        back in any_link(),
    ) {
        let mut pair = pair(seed);
        *pair.network.link(address(CLIENT), address(SERVER)) = there;
        *pair.network.link(address(SERVER), address(CLIENT)) = back;
        start(&mut pair);
        pair.run_for(Duration::from_secs(61));
        for peer in [&pair.a, &pair.b] {
            let state = peer.dtls.state();
            prop_assert!(matches!(state, State::Connected | State::Failed), "{}", state);
            if state == State::Failed {
                prop_assert!(peer.dtls.error().is_some());
            }
        }
        if pair.a.is_connected() {
            prop_assert!(pair.b.is_connected(), "the client has the server's Finished");
            let (ours, theirs) = (pair.a.dtls.srtp_keys().unwrap(), pair.b.dtls.srtp_keys().unwrap());
            prop_assert_eq!(ours.key(Side::Client), theirs.key(Side::Client));
        }
    }
}
