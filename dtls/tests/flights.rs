//! Flights of DTLS 1.3 under loss: what is acknowledged, what is sent again, and how it is packed (RFC 9147 §5.8, §7).
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use common::*;
use floe_dtls::*;
use sim::{Clock, Datagram, Link, Verdict, Wiretap, address};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn config_v13(host: u8) -> Config {
    let mut config = config(host);
    config.min_version = ProtocolVersion::DTLS1_3;
    config.max_version = ProtocolVersion::DTLS1_3;
    config
}

fn pair_v13(seed: u64) -> Story {
    let mut pair = pair_with(seed, config_v13(CLIENT), config_v13(SERVER));
    pair.network.set_links(slow_link());
    pair
}

/// When datagrams of this host were sent since the beginning, and how long they were.
fn sent(wire: &Wiretap, host: u8) -> Vec<(Duration, usize)> {
    wire.seen()
        .into_iter()
        .filter(|(_, datagram)| datagram.source == address(host))
        .map(|(at, datagram)| (at - Clock::epoch(), datagram.bytes.len()))
        .collect()
}

/// Drops the datagrams of `host` whose number (from 0) is in `lost`.
fn lose(pair: &mut Story, host: u8, lost: impl Fn(usize) -> bool + 'static) {
    let count = Cell::new(0);
    pair.network.tap(move |datagram, _| {
        if datagram.source != address(host) {
            return Verdict::Pass;
        }
        match lost(count.replace(count.get() + 1)) {
            true => Verdict::Drop,
            false => Verdict::Pass,
        }
    });
}

fn both_confirmed(a: &Peer, b: &Peer) -> bool {
    a.dtls.is_handshake_confirmed() && b.dtls.is_handshake_confirmed()
}

// req: T21
#[test]
fn three_flights_and_an_ack_at_once_make_a_handshake() {
    let mut pair = pair_v13(1);
    let wire = pair.network.wiretap();
    assert_eq!(connect(&mut pair), ms(150));
    assert!(!pair.a.dtls.is_handshake_confirmed() && pair.b.dtls.is_handshake_confirmed());
    pair.drive_until(both_confirmed);
    assert_eq!(
        pair.now() - Clock::epoch(),
        ms(200),
        "the ACK does not wait"
    );
    pair.run_for(Duration::from_secs(600));
    let times = |host| {
        sent(&wire, host)
            .into_iter()
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
    };
    assert_eq!(times(CLIENT), [ms(0), ms(100)]);
    assert_eq!(times(SERVER), [ms(50), ms(150)]);
    assert_eq!(pair.a.dtls.poll_timeout(), None);
    assert_talking(&mut pair);
}
