//! What the links, taps and injections do to a stream of numbered datagrams.

use sim::{Attacker, Clock, Datagram, End, Fate, Link, Node, Pair, Verdict, address, address_v6};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Sends numbered datagrams of `len` bytes, one every 10 ms, and keeps what it receives.
struct Counter {
    at: SocketAddr,
    to: SocketAddr,
    len: usize,
    left: u32,
    sent: u32,
    due: bool,
    next: Instant,
    heard: Vec<(Instant, SocketAddr, Vec<u8>)>,
}

impl Counter {
    fn new(at: SocketAddr, to: SocketAddr, left: u32) -> Self {
        Self {
            at,
            to,
            len: 100,
            left,
            sent: 0,
            due: false,
            next: Clock::epoch(),
            heard: Vec::new(),
        }
    }

    fn numbers(&self) -> Vec<u32> {
        let number = |bytes: &[u8]| {
            bytes[..4]
                .iter()
                .fold(0, |number, byte| number << 8 | u32::from(*byte))
        };
        self.heard
            .iter()
            .map(|(_, _, bytes)| number(bytes))
            .collect()
    }
}

impl Node for Counter {
    fn handle_datagram(
        &mut self,
        now: Instant,
        _: SocketAddr,
        remote: SocketAddr,
        datagram: &mut [u8],
    ) {
        self.heard.push((now, remote, datagram.to_vec()));
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.left > 0 && now >= self.next {
            self.left -= 1;
            self.due = true;
            self.next = now + Duration::from_millis(10);
        }
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        if !std::mem::take(&mut self.due) {
            return None;
        }
        buf[..self.len].fill(0);
        buf[..4].copy_from_slice(&self.sent.to_be_bytes());
        self.sent += 1;
        Some((self.at, self.to, self.len))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (self.left > 0).then_some(self.next)
    }
}

/// A sends `count` numbered datagrams to B.
fn one_way(seed: u64, count: u32) -> Pair<Counter, Counter> {
    let (a, b) = (address(1), address(2));
    Pair::new(
        seed,
        (Counter::new(a, b, count), &[a]),
        (Counter::new(b, a, 0), &[b]),
    )
}

#[test]
fn a_perfect_link_delivers_everything_in_order_after_its_delay() {
    let mut pair = one_way(1, 50);
    let took = pair.drive();
    assert_eq!(pair.b.numbers(), (0..50).collect::<Vec<_>>());
    assert_eq!(
        pair.b.heard[0].0,
        Clock::epoch() + Duration::from_millis(10)
    );
    assert_eq!(took, Duration::from_millis(490 + 10));
    assert_eq!(
        (
            pair.network.counters().sent,
            pair.network.counters().delivered
        ),
        (50, 50)
    );
}

#[test]
fn the_seed_decides_everything() {
    let story = |seed| {
        let mut pair = one_way(seed, 300);
        pair.network.set_links(Link::hostile());
        pair.drive();
        (pair.network.trace().clone(), pair.b.heard)
    };
    assert_eq!(story(5), story(5));
    assert_ne!(story(5).1, story(6).1);
}

#[test]
fn loss_and_duplication_come_at_their_rates() {
    let mut pair = one_way(2, 10_000);
    pair.network.set_links(Link {
        loss: 0.2,
        duplication: 0.1,
        ..Link::default()
    });
    pair.drive();
    let counters = pair.network.counters();
    assert!((1850..2150).contains(&counters.lost), "{counters:?}");
    assert!((700..900).contains(&counters.duplicated), "{counters:?}");
    assert_eq!(
        counters.sent - counters.lost + counters.duplicated,
        counters.delivered
    );
    assert_eq!(pair.b.heard.len() as u64, counters.delivered);
}

#[test]
fn reordering_lets_later_datagrams_overtake_and_jitter_alone_does_not() {
    let mut pair = one_way(3, 1000);
    pair.network.set_links(Link {
        jitter: Duration::from_millis(50),
        ..Link::default()
    });
    pair.drive();
    assert!(pair.b.numbers().is_sorted());

    let mut pair = one_way(3, 1000);
    pair.network.set_links(Link {
        reordering: 0.1,
        ..Link::default()
    });
    pair.drive();
    let mut numbers = pair.b.numbers();
    assert!(!numbers.is_sorted() && pair.network.counters().reordered > 50);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
}

#[test]
fn what_exceeds_the_mtu_vanishes() {
    let mut pair = one_way(4, 10);
    pair.network.link(address(1), address(2)).mtu = 100;
    pair.run_for(Duration::from_millis(45));
    pair.a.len = 101;
    pair.drive();
    assert_eq!(pair.b.heard.len(), 5);
    assert_eq!(pair.network.counters().too_big, 5);
}

#[test]
fn corruption_flips_exactly_one_bit() {
    let mut pair = one_way(5, 200);
    pair.network.set_links(Link {
        corruption: 1.0,
        ..Link::default()
    });
    pair.drive();
    for (number, (_, _, bytes)) in pair.b.heard.iter().enumerate() {
        let mut sent = [0; 100];
        sent[..4].copy_from_slice(&(number as u32).to_be_bytes());
        let flipped: u32 = sent
            .iter()
            .zip(bytes)
            .map(|(x, y)| (x ^ y).count_ones())
            .sum();
        assert_eq!(flipped, 1);
    }
    assert_eq!(pair.network.counters().corrupted, 200);
}

#[test]
fn a_cut_swallows_and_a_heal_carries_again_but_what_flew_arrives() {
    let mut pair = one_way(6, 30);
    pair.run_for(Duration::from_millis(95));
    pair.network.cut();
    pair.run_for(Duration::from_millis(100));
    pair.network.heal();
    pair.drive();
    assert_eq!(pair.b.numbers(), (0..10).chain(20..30).collect::<Vec<_>>());
    assert_eq!(pair.network.counters().cut, 10);
}

#[test]
fn a_link_can_slow_down_at_run_time() {
    let mut pair = one_way(6, 2);
    pair.run_for(Duration::from_millis(5));
    pair.network.link(address(1), address(2)).delay = Duration::from_millis(700);
    pair.drive();
    assert_eq!(
        pair.b.heard[1].0 - Clock::epoch(),
        Duration::from_millis(710)
    );
}

#[test]
fn every_address_of_a_node_has_links_of_its_own() {
    let (a, b, b_other) = (address(1), address(2), address_v6(2));
    let mut pair = Pair::new(
        7,
        (Counter::new(a, b, 4), &[a]),
        (Counter::new(b, a, 0), &[b]),
    );
    pair.add_address(End::B, b_other);
    pair.network.cut_address(b);
    pair.run_for(Duration::from_millis(15));
    pair.a.to = b_other;
    pair.drive();
    assert_eq!(pair.b.numbers(), [2, 3]);
    assert_eq!(pair.network.counters().cut, 2);
}

#[test]
fn a_datagram_to_nobody_is_counted() {
    let mut pair = one_way(8, 1);
    pair.a.to = address(9);
    pair.drive();
    assert_eq!(pair.network.trace().back().unwrap().fate, Fate::Unroutable);
    assert_eq!(pair.network.counters().unroutable, 1);
}

#[test]
fn taps_inspect_change_drop_and_hold() {
    let mut pair = one_way(9, 6);
    let before = pair.network.wiretap();
    pair.network.tap(|datagram, _| match datagram.bytes[3] {
        0 => Verdict::Drop,
        1 => Verdict::Hold,
        2 => {
            datagram.bytes[3] = 99;
            Verdict::Pass
        }
        _ => Verdict::Pass,
    });
    let after = pair.network.wiretap();
    pair.drive();
    assert_eq!(pair.b.numbers(), [99, 3, 4, 5]);
    assert_eq!((before.len(), after.len()), (6, 4));
    let now = pair.now();
    assert_eq!(pair.network.release(now), 1);
    pair.drive();
    assert_eq!(pair.b.numbers(), [99, 3, 4, 5, 1]);
    assert_eq!(
        (
            pair.network.counters().dropped,
            pair.network.counters().held
        ),
        (1, 1)
    );
}

#[test]
fn two_taps_make_an_address_translator() {
    let (inside, outside) = (address(1), address(200));
    let mut pair = one_way(10, 1);
    pair.b.left = 1;
    pair.b.to = outside;
    pair.network.tap(move |datagram, _| {
        if datagram.source == inside {
            datagram.source = outside;
        } else if datagram.destination == outside {
            datagram.destination = inside;
        }
        Verdict::Pass
    });
    pair.drive();
    assert_eq!(pair.b.heard[0].1, outside);
    assert_eq!(pair.a.heard[0].1, address(2));
}

#[test]
fn attackers_inject_from_anywhere_and_from_the_path() {
    let mut pair = one_way(11, 1);
    let spoofed = Attacker::new(1).garbage(address(1), address(2), 40);
    pair.network.cut();
    pair.inject(spoofed.clone());
    pair.network.tap(|datagram, wire| {
        wire.inject(Datagram {
            bytes: b"on path".to_vec(),
            ..datagram.clone()
        });
        Verdict::Pass
    });
    pair.drive();
    let heard: Vec<_> = pair
        .b
        .heard
        .iter()
        .map(|(_, from, bytes)| (*from, bytes.clone()))
        .collect();
    assert_eq!(
        heard,
        [
            (address(1), spoofed.bytes),
            (address(1), b"on path".to_vec())
        ]
    );
    assert_eq!(pair.network.counters().injected, 2);
}

#[test]
fn run_for_ends_at_exactly_its_time_and_sleep_is_caught_up() {
    let mut pair = one_way(12, 3);
    pair.run_for(Duration::from_millis(7));
    assert_eq!(pair.elapsed(), Duration::from_millis(7));
    pair.sleep(Duration::from_secs(9));
    assert!(pair.step());
    assert_eq!(
        pair.b.heard[0].0 - Clock::epoch(),
        Duration::from_millis(9007)
    );
    assert_eq!(pair.a.sent, 2);
}

#[test]
fn what_falls_on_the_last_instant_still_happens() {
    let mut pair = one_way(13, 3);
    pair.run_for(Duration::from_millis(20));
    assert_eq!((pair.a.sent, pair.b.heard.len()), (3, 2));

    let mut pair = one_way(13, 3);
    pair.set_patience(Duration::from_millis(10));
    pair.drive();
    assert_eq!(pair.b.heard.len(), 3);
}

#[test]
fn the_trace_remembers_the_last_datagrams_and_the_counters_all() {
    let mut pair = one_way(14, 20_000);
    pair.drive();
    assert_eq!(
        (
            pair.network.trace().len(),
            pair.network.counters().delivered
        ),
        (16_384, 20_000)
    );
    assert!(
        pair.network
            .trace()
            .iter()
            .is_sorted_by_key(|delivery| delivery.at)
    );
}
