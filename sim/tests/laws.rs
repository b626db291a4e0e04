//! The harness catches machines that break the laws it is there to check.

use sim::{Clock, Node, Pair, address};
use std::{
    cell::Cell,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// What a broken machine does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    DeadlineNotMoved,
    ImpurePoll,
    EndlessTransmits,
    ForeignSource,
    EmptyDatagram,
    SilentForEver,
    AlwaysBusy,
}

struct Broken(Fault, Cell<u64>, Option<Instant>);

impl Broken {
    fn pair(fault: Fault) -> Pair<Self, Self> {
        let broken = || {
            Self(
                fault,
                Cell::new(0),
                Some(Clock::epoch() + Duration::from_millis(1)),
            )
        };
        Pair::new(99, (broken(), &[address(1)]), (broken(), &[address(2)]))
    }
}

impl Node for Broken {
    fn handle_datagram(&mut self, _: Instant, _: SocketAddr, _: SocketAddr, _: &mut [u8]) {}

    fn handle_timeout(&mut self, now: Instant) {
        match self.0 {
            Fault::DeadlineNotMoved => {}
            Fault::AlwaysBusy => self.2 = Some(now + Duration::from_millis(500)),
            _ => self.2 = None,
        }
    }

    fn poll_transmit(&mut self, _: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        match self.0 {
            Fault::EndlessTransmits => Some((address(1), address(2), 1)),
            Fault::ForeignSource => Some((address(7), address(2), 1)),
            Fault::EmptyDatagram => Some((address(1), address(2), 0)),
            _ => None,
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let polled = self.1.replace(self.1.get() + 1);
        match self.0 {
            Fault::ImpurePoll => Some(Clock::epoch() + Duration::from_secs(polled)),
            _ => self.2,
        }
    }
}

#[test]
#[should_panic(
    expected = "timer law: after handle_timeout, A wants to be woken 0ns ago, at 1ms, seed 99"
)]
fn a_deadline_that_stays_due_is_caught() {
    Broken::pair(Fault::DeadlineNotMoved).drive();
}

#[test]
#[should_panic(expected = "poll_timeout of A is not pure")]
fn an_impure_poll_timeout_is_caught() {
    Broken::pair(Fault::ImpurePoll).drive();
}

#[test]
#[should_panic(expected = "A does not stop sending")]
fn endless_transmits_are_caught() {
    Broken::pair(Fault::EndlessTransmits).drive();
}

#[test]
#[should_panic(expected = "A sent 1 bytes from 192.0.2.7:4000")]
fn a_foreign_source_is_caught() {
    Broken::pair(Fault::ForeignSource).drive();
}

#[test]
#[should_panic(expected = "A sent 0 bytes from")]
fn an_empty_datagram_is_caught() {
    Broken::pair(Fault::EmptyDatagram).drive();
}

#[test]
#[should_panic(expected = "nothing is left that could happen")]
fn waiting_for_what_cannot_happen_is_caught() {
    Broken::pair(Fault::SilentForEver).drive_until(|_, _| false);
}

#[test]
#[should_panic(expected = "what the story waits for did not happen, at 59.501s, seed 99")]
fn waiting_too_long_is_caught() {
    let mut pair = Broken::pair(Fault::AlwaysBusy);
    pair.set_limit(Duration::from_secs(60));
    pair.drive_until(|_, _| false);
}

#[test]
fn quiet_is_judged_by_patience() {
    let mut pair = Broken::pair(Fault::AlwaysBusy);
    pair.set_patience(Duration::from_millis(400));
    assert_eq!(pair.drive(), Duration::from_millis(1));
}
