//! Steady state costs no heap allocation: request and answer, own consent check and its answer.

use std::hint::black_box;
use std::time::Duration;

use allocation_counter::measure;
use floe_ice::{Agent, FiveTuple, Received};
use floe_stun::{Class, IntegrityKey, Message, Method, Writer};

use crate::support::solo::{Solo, in_a_call, local, remote};
use crate::support::{Peer, connected, full_and_lite, ms, secs, signal};

// req: I20 I50
#[test]
fn a_request_is_answered_without_allocating() {
    let mut solo = in_a_call();
    let requests: Vec<Vec<u8>> = (0..100)
        .map(|_| solo.check().nominating().bytes())
        .collect();
    let path = FiveTuple::udp(local(), remote(0));
    let mut buf = [0; 1200];
    let (agent, mut now) = (&mut solo.agent, solo.now);
    let mut answers = 0;
    let allocations = measure(|| {
        for request in &requests {
            now += Duration::from_millis(20);
            assert_eq!(agent.handle_datagram(now, path, request), Received::Handled);
            while let Some(transmit) = agent.poll_transmit(&mut buf) {
                answers += 1;
                let _ = black_box(transmit);
            }
            agent.note_authenticated_traffic(now);
            black_box((
                agent.poll_timeout(),
                agent.poll_event(),
                agent.send_path(),
                agent.accepts_from(&path),
            ));
        }
    });
    assert_eq!(answers, 100);
    assert_eq!(allocations.count_total, 0);
}

// req: I20 I50
#[test]
fn consent_is_kept_without_allocating() {
    let mut solo = in_a_call();
    let key = IntegrityKey::short_term(solo.peer.password().as_bytes());
    let mut now = solo.now;
    let mut round = |solo: &mut Solo| {
        let (mut buf, mut answer) = ([0; 1200], [0; 200]);
        let agent = &mut solo.agent;
        now = agent.poll_timeout().expect("the next consent check");
        agent.handle_timeout(now);
        let transmit = agent
            .poll_transmit(&mut buf)
            .expect("it wakes only to send");
        let check = Message::parse(&buf[..transmit.len]).expect("a check");
        assert_eq!(check.class(), Class::Request);
        let len = Writer::success(&mut answer, Method::BINDING, check.transaction_id())
            .xor_mapped_address(transmit.path.local)
            .integrity(&key)
            .fingerprint()
            .expect("it fits");
        now += Duration::from_millis(30);
        let received = agent.handle_datagram(now, transmit.path, &answer[..len]);
        assert_eq!(received, Received::Handled);
        assert!(agent.poll_transmit(&mut buf).is_none());
        black_box(agent.poll_event());
    };
    // With the first check what nomination needed is given back.
    round(&mut solo);
    let allocations = measure(|| (0..100).for_each(|_| round(&mut solo)));
    assert_eq!(allocations.count_total, 0);
}

// req: I22 I50
#[test]
fn a_lite_agent_is_kept_alive_without_allocating() {
    let mut story = full_and_lite();
    signal(&mut story);
    story.run_for(secs(60));
    let mut now = story.now();
    let round = |a: &mut Peer, b: &mut Peer, now: &mut std::time::Instant| {
        let mut buf = [0; 1200];
        *now = a
            .agent
            .poll_timeout()
            .expect("the next consent check")
            .max(*now);
        a.agent.handle_timeout(*now);
        let Some(check) = a.agent.poll_transmit(&mut buf) else {
            return;
        };
        let back = FiveTuple::udp(check.path.remote, check.path.local);
        let _ = black_box(b.agent.handle_datagram(*now, back, &buf[..check.len]));
        let answer = b.agent.poll_transmit(&mut buf).expect("an answer");
        let _ = black_box(
            a.agent
                .handle_datagram(*now, check.path, &buf[..answer.len]),
        );
    };
    let allocations =
        measure(|| (0..100).for_each(|_| round(&mut story.a, &mut story.b, &mut now)));
    assert_eq!(allocations.count_total, 0);
}

// req: I41
#[test]
fn what_is_dropped_costs_no_allocation() {
    let mut solo = in_a_call();
    let forged = solo.check().bytes_under("not-the-password-of-ours");
    let mut stranger = solo.check();
    stranger.to = solo.peer.clone();
    let stranger = stranger.bytes();
    let response =
        crate::support::solo::success(floe_stun::TransactionId::from_bytes([1; 12]), local(), "x");
    let (agent, start) = (&mut solo.agent, solo.now);
    let (mut answers, mut buf) = (0, [0; 1200]);
    let allocations = measure(|| {
        for n in 0..300 {
            let now = start + ms(10) * n.into();
            for bytes in [&forged, &stranger, &response] {
                let path = FiveTuple::udp(local(), remote(n));
                assert!(matches!(
                    agent.handle_datagram(now, path, bytes),
                    Received::Dropped(_)
                ));
                while let Some(transmit) = agent.poll_transmit(&mut buf) {
                    assert!(transmit.path == path && transmit.len <= bytes.len());
                    answers += 1;
                }
            }
        }
    });
    assert_eq!(allocations.count_total, 0);
    assert_eq!(answers, 3, "one a second");
}

// req: I50
#[test]
fn both_sides_of_a_call_keep_it_without_allocating() {
    let mut story = connected(2);
    story.run_for(secs(20));
    let mut now = story.now();
    let (a, b) = (&mut story.a.agent, &mut story.b.agent);
    let before = [a.stats(), b.stats()];
    let allocations = measure(|| {
        for _ in 0..200 {
            let deadlines = [a.poll_timeout(), b.poll_timeout()];
            now = deadlines.into_iter().flatten().min().expect("they check");
            a.handle_timeout(now);
            b.handle_timeout(now);
            while carry(now, a, b) || carry(now, b, a) {}
        }
    });
    assert_eq!(allocations.count_total, 0);
    for (agent, before) in [&*a, &*b].into_iter().zip(before) {
        let after = agent.stats();
        assert!(after.consent_requests_sent > before.consent_requests_sent + 50);
        assert!(after.responses_sent > before.responses_sent + 50);
        assert!(after.responses_received > before.responses_received + 50);
    }
}

/// One datagram, at once; whether there was one.
fn carry(now: std::time::Instant, from: &mut Agent, to: &mut Agent) -> bool {
    let mut buf = [0; 1200];
    let Some(transmit) = from.poll_transmit(&mut buf) else {
        return false;
    };
    let path = FiveTuple::udp(transmit.path.remote, transmit.path.local);
    let received = to.handle_datagram(now, path, &buf[..transmit.len]);
    assert_eq!(received, Received::Handled);
    assert!(to.poll_event().is_none(), "nothing happens in a call");
    true
}
