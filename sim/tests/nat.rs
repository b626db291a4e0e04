//! Nodes behind NATs, a server outside, and what becomes of a conversation when a mapping changes.

use sim::{Clock, Link, Nat, NatId, Node, Pair, address};
use std::{
    cell::RefCell,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

type Heard = Rc<RefCell<Vec<SocketAddr>>>;

/// Says something to somebody once in an interval, and remembers who spoke.
struct Caller {
    at: SocketAddr,
    to: Option<SocketAddr>,
    every: Duration,
    next: Instant,
    due: bool,
    heard: Heard,
}

impl Caller {
    fn new(at: SocketAddr, to: Option<SocketAddr>) -> Self {
        Self {
            at,
            to,
            every: Duration::from_secs(1),
            next: Clock::epoch(),
            due: false,
            heard: Heard::default(),
        }
    }

    fn last(&self) -> SocketAddr {
        *self.heard.borrow().last().expect("somebody spoke")
    }
}

impl Node for Caller {
    fn handle_datagram(&mut self, _: Instant, _: SocketAddr, remote: SocketAddr, _: &mut [u8]) {
        self.heard.borrow_mut().push(remote);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if now >= self.next {
            self.next = now + self.every;
            self.due = true;
        }
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        let to = self.to.filter(|_| std::mem::take(&mut self.due))?;
        buf[0] = 1;
        Some((self.at, to, 1))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.to.map(|_| self.next)
    }
}

const SERVER: u8 = 9;

fn inside() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 5000))
}

fn public() -> IpAddr {
    IpAddr::from([203, 0, 113, 1])
}

/// A behind a NAT, calling the server; B outside, silent. What the server heard comes with it.
fn behind(nat: Nat) -> (Pair<Caller, Caller>, NatId, Heard) {
    let a = Caller::new(inside(), Some(address(SERVER)));
    let b = Caller::new(address(2), None);
    let mut pair = Pair::new(1, (a, &[inside()]), (b, &[address(2)]));
    let nat = pair.network.add_nat(nat);
    pair.network.place_behind(nat, inside().ip());
    let server = Caller::new(address(SERVER), None);
    let heard = server.heard.clone();
    pair.add_server(server, &[address(SERVER)]);
    (pair, nat, heard)
}

#[test]
fn a_server_sees_the_mapping_and_others_use_it_if_they_may() {
    for (nat, b_gets_in) in [
        (Nat::full_cone(public()), true),
        (Nat::restricted_cone(public()), false),
    ] {
        let (mut pair, nat, heard) = behind(nat);
        pair.run_for(Duration::from_millis(500));
        let mapped = heard.borrow()[0];
        assert_eq!(mapped.ip(), public());
        assert_eq!(pair.network.mappings(nat, inside()), [mapped]);
        pair.b.to = Some(mapped);
        pair.run_for(Duration::from_secs(1));
        assert_eq!(!pair.a.heard.borrow().is_empty(), b_gets_in);
        assert_eq!(pair.network.counters().filtered == 0, b_gets_in);
        // After A has spoken to B, B may answer: by the same mapping, which is a cone's.
        pair.a.to = Some(address(2));
        pair.run_for(Duration::from_secs(3));
        assert_eq!(pair.b.last(), mapped);
        assert_eq!(pair.a.last(), address(2));
    }
}

#[test]
fn a_symmetric_nat_shows_everybody_another_mapping() {
    let (mut pair, nat, heard) = behind(Nat::symmetric(public()));
    pair.run_for(Duration::from_millis(500));
    pair.a.to = Some(address(2));
    pair.run_for(Duration::from_secs(2));
    let (server, b) = (heard.borrow()[0], pair.b.last());
    assert_ne!(server, b);
    assert_eq!(pair.network.mappings(nat, inside()), [server, b]);
}

#[test]
fn a_mapping_ends_in_silence_or_by_force() {
    let nat = Nat::full_cone(public()).with_lifetime(Duration::from_secs(30));
    let (mut pair, nat, heard) = behind(nat);
    pair.run_for(Duration::from_secs(60));
    let first = heard.borrow()[0];
    assert!(heard.borrow().iter().all(|source| *source == first));
    pair.a.every = Duration::from_secs(31);
    pair.run_for(Duration::from_secs(60));
    let second = *heard.borrow().last().expect("the server heard more");
    assert_ne!(first, second);
    pair.a.every = Duration::from_secs(1);
    pair.run_for(Duration::from_secs(40));
    pair.network.rebind(nat);
    pair.b.to = Some(second);
    pair.run_for(Duration::from_secs(2));
    assert!(
        pair.a.heard.borrow().is_empty(),
        "it leads nowhere any more"
    );
    let third = *heard.borrow().last().expect("the server heard more");
    assert!(third != first && third != second);
}

#[test]
fn the_way_through_a_nat_has_links_like_any_other() {
    let (mut pair, _, heard) = behind(Nat::full_cone(public()));
    pair.run_for(Duration::from_millis(500));
    let (mapped, entrance) = (heard.borrow()[0], SocketAddr::new(public(), 0));
    *pair.network.link(address(2), entrance) = Link::with_delay(Duration::from_millis(300));
    pair.b.to = Some(mapped);
    pair.run_for(Duration::from_millis(299));
    assert!(pair.a.heard.borrow().is_empty());
    pair.run_for(Duration::from_millis(1));
    assert_eq!(pair.a.heard.borrow().len(), 1);
    pair.network.cut_address(inside());
    let before = heard.borrow().len();
    pair.run_for(Duration::from_secs(3));
    assert_eq!(heard.borrow().len(), before);
}
