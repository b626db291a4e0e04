//! What attackers can make an agent send, and what they can make it remember.

use std::collections::HashMap;
use std::net::SocketAddr;

use floe_ice::{Candidate, Config, Initiation, Received};

use crate::support::solo::{Solo, remote};
use crate::support::{address, ms};

/// Datagrams out and in, by address.
#[derive(Default)]
struct Ledger(HashMap<SocketAddr, (usize, usize)>);

impl Ledger {
    fn received(&mut self, from: SocketAddr) {
        self.0.entry(from).or_default().1 += 1;
    }

    fn sent(&mut self, solo: &mut Solo) {
        for sent in solo.take() {
            self.0.entry(sent.path.remote).or_default().0 += 1;
        }
    }
}

// req: I42
#[test]
fn a_spoofed_address_gets_two_datagrams_for_each_that_came_from_it_at_most() {
    for initiation in [Initiation::Initiating, Initiation::Responding] {
        let mut solo = Solo::checking(initiation, Config::default(), &[remote(0)]);
        let mut ledger = Ledger::default();
        // Six victims; the peer names each again and again, at paces around the retransmission time-outs.
        for round in 0..400u16 {
            let victim = address(9, round % 6);
            let check = solo.check();
            let check = if initiation == Initiation::Responding {
                check.nominating()
            } else {
                check
            };
            assert_eq!(solo.receive(victim, &check.bytes()), Received::Handled);
            ledger.received(victim);
            solo.run_for(ms(u64::from(round % 37) * 20));
            ledger.sent(&mut solo);
        }
        solo.run_for(ms(120_000));
        ledger.sent(&mut solo);
        for n in 0..6 {
            let (out, into) = ledger.0[&address(9, n)];
            assert!(into > 60 && out <= 2 * into, "{out} for {into}");
            assert!(
                out > into,
                "each was answered, and checked now and then: {out} for {into}"
            );
        }
    }
}

// req: I42
#[test]
fn one_spoofed_check_makes_no_more_than_two_datagrams() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    let request = solo.check().bytes();
    let _ = solo.receive(address(9, 0), &request);
    // A candidate of ours that comes later does not turn on the victim either.
    let other = Candidate::host(address(1, 1));
    solo.agent.add_local_candidate(solo.now, other).unwrap();
    solo.run_for(ms(120_000));
    let sent = solo.take();
    let to_victim: Vec<_> = sent
        .iter()
        .filter(|sent| sent.path.remote == address(9, 0))
        .collect();
    assert_eq!(to_victim.len(), 2, "the answer and one check");
    assert!(!to_victim[0].is_request() && to_victim[1].is_request());
    // What was signalled is checked with all its retransmissions.
    let signalled = sent
        .iter()
        .filter(|sent| sent.path.remote == remote(0) && sent.path.local == address(1, 0));
    assert_eq!(signalled.count(), 7);
}

// req: I42
#[test]
fn a_signalled_address_that_never_answers_gets_one_transaction_more_than_it_sends() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &[remote(0)]);
    let mut into = 0;
    for _ in 0..20 {
        solo.run_for(ms(45_000));
        let request = solo.check().nominating().bytes();
        let _ = solo.receive(remote(0), &request);
        into += 1;
    }
    solo.run_for(ms(45_000));
    let out = solo.take().len();
    assert!(out <= 7 + 2 * into, "{out} for {into}");
}

// req: I42
#[test]
fn who_answers_is_checked_as_often_as_it_takes() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[]);
    let stranger = address(9, 0);
    let request = solo.check().bytes();
    let _ = solo.receive(stranger, &request);
    solo.run_for(ms(50));
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    // The nominating check is lost for a while: it is repeated like any other.
    solo.run_for(ms(10_000));
    let repeated = solo.take_requests();
    let nominating = repeated
        .iter()
        .filter(|check| check.message().use_candidate());
    assert!(nominating.count() >= 4);
}

// req: I42
#[test]
fn a_candidate_that_is_signalled_after_it_was_heard_is_checked_like_the_others() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[]);
    let stranger = address(9, 0);
    let request = solo.check().bytes();
    let _ = solo.receive(stranger, &request);
    solo.run_for(ms(50));
    assert_eq!(solo.take_requests().len(), 1);
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(stranger))
        .unwrap();
    solo.run_for(ms(60_000));
    assert_eq!(solo.take_requests().len(), 6, "the rest of its seven");
}
