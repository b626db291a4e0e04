//! What attackers can make an agent send, and what they can make it remember.

use std::collections::HashMap;
use std::net::SocketAddr;

use allocation_counter::measure;
use floe_ice::{
    Agent, Candidate, CandidateType, Config, DropReason, Event, FiveTuple, Initiation, Received,
    State, TcpType,
};
use floe_stun::{
    AttributeType, ErrorCode, IntegrityAlgorithm, IntegrityKey, Message, Method, RoleAttribute,
    TransactionId, Writer,
};

use crate::support::solo::{Sent, Solo, in_a_call, local, remote, remotes, success};
use crate::support::{address, ms, secs};

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

// req: I43
#[test]
fn what_candidates_are_too_many_is_counted_by_kind() {
    let mut config = Config::default();
    config.max_pairs = 20;
    let mut solo = Solo::checking(Initiation::Responding, config, &[]);
    let add = |solo: &mut Solo, candidate| {
        solo.agent
            .add_remote_candidate(solo.now, candidate)
            .unwrap()
    };
    for n in 0..64 {
        let candidate = Candidate::host(remote(n)).with_local_preference(1000 + n);
        assert!(add(&mut solo, candidate).is_some());
    }
    assert_eq!(solo.agent.candidate_pairs().count(), 20);
    assert_eq!(solo.agent.stats().pairs_dropped, 44);
    // A transport that we do not speak neither counts nor pushes anything out, however good it looks.
    for n in 0..64 {
        let tcp = Candidate::host(remote(n)).over_tcp(TcpType::Passive);
        assert!(add(&mut solo, tcp.with_priority(u32::MAX >> 1)).is_some());
    }
    assert_eq!(solo.agent.stats().remote_candidates_dropped, 0);
    let better = Candidate::host(remote(70)).with_local_preference(2000);
    assert!(add(&mut solo, better).is_some(), "the worst made room");
    let worse = Candidate::host(remote(71)).with_priority(1);
    assert!(add(&mut solo, worse).is_none());
    assert_eq!(solo.agent.stats().remote_candidates_dropped, 2);
    assert_eq!(solo.agent.stats().candidates_ignored, 0);

    let mut solo = in_a_call();
    for n in 0..11 {
        let request = solo.check().bytes();
        assert_eq!(solo.receive(address(9, n), &request), Received::Handled);
    }
    assert_eq!(solo.agent.stats().peer_reflexive_replaced, 3);
    let pairs = solo.agent.candidate_pairs();
    let mut strangers: Vec<_> = pairs.map(|pair| pair.pair.path.remote).collect();
    strangers.retain(|known| *known != remote(0));
    strangers.sort();
    let latest: Vec<_> = (3..11).map(|n| address(9, n)).collect();
    assert_eq!(strangers, latest, "the oldest made room");
}

// req: I11 I43
#[test]
fn who_is_heard_first_and_signalled_then_counts_among_the_signalled() {
    let mut config = Config::default();
    config.max_remote_candidates = 4;
    let mut solo = Solo::checking(Initiation::Responding, config, &[]);
    // The peer knocks from everywhere, and signals each address a little better than the one before; one of the last is worse.
    for n in 0..40 {
        let request = solo.check().bytes();
        let _ = solo.receive(remote(n), &request);
        let preference = if n == 38 { 1 } else { 1000 + n };
        let candidate = Candidate::host(remote(n)).with_local_preference(preference);
        let signalled = solo.agent.add_remote_candidate(solo.now, candidate);
        assert!(signalled.unwrap().is_some(), "it is known, if only by ear");
    }
    let stats = solo.agent.stats();
    assert_eq!(stats.remote_candidates_dropped, 36);
    assert_eq!(stats.peer_reflexive_replaced, 0);
    let pairs = solo.agent.candidate_pairs().map(|pair| pair.pair);
    let mut known: Vec<_> = pairs.map(|p| (p.path.remote, p.remote)).collect();
    known.sort();
    let host = |n| (remote(n), CandidateType::Host);
    let heard = (remote(38), CandidateType::PeerReflexive);
    assert_eq!(known, [host(35), host(36), host(37), heard, host(39)]);
}

// req: I42 I43
#[test]
fn strangers_that_do_not_answer_push_out_neither_the_path_in_use_nor_those_that_answered() {
    // A lite agent takes the first path at its word: it is in use, and nothing was answered there.
    let mut solo = Solo::new(
        floe_ice::Mode::Lite,
        Initiation::Responding,
        Config::default(),
    );
    let host = Candidate::host(local());
    solo.agent.add_local_candidate(solo.now, host).unwrap();
    solo.meet();
    let nomination = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &nomination);
    let in_use = solo.agent.selected_candidate_pair().unwrap().id;
    assert!(!solo.agent.is_proven(&FiveTuple::udp(local(), remote(0))));
    for n in 0..20 {
        let request = solo.check().bytes();
        assert_eq!(solo.receive(address(9, n), &request), Received::Handled);
        let pair = solo.agent.selected_candidate_pair();
        assert_eq!(pair.map(|pair| pair.id), Some(in_use), "{n}");
    }
    assert_eq!(solo.agent.candidate_pairs().count(), 1 + 8);
    assert_eq!(solo.agent.stats().peer_reflexive_replaced, 12);

    // A full agent: whoever answered its check is none of those that are replaced.
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &[]);
    for n in 0..3 {
        let request = solo.check().bytes();
        let _ = solo.receive(remote(n), &request);
        solo.run_for(ms(50));
        for check in solo.take_requests() {
            assert_eq!(solo.answer(&check), Received::Handled);
        }
    }
    for n in 0..20 {
        let request = solo.check().bytes();
        assert_eq!(solo.receive(address(9, n), &request), Received::Handled);
    }
    let pairs = solo.agent.candidate_pairs();
    let mut left: Vec<_> = pairs.map(|pair| pair.pair.path.remote).collect();
    left.sort();
    let answered = (0..3).map(remote);
    let latest = (12..20).map(|n| address(9, n));
    assert_eq!(left, answered.chain(latest).collect::<Vec<_>>());
    assert_eq!(solo.agent.stats().peer_reflexive_replaced, 12);
}

// req: I42
#[test]
fn a_stranger_s_priority_stays_within_what_a_candidate_may_have() {
    for (claimed, taken) in [(0, 1), (7, 7), (u32::MAX, (1 << 31) - 1)] {
        let mut solo = Solo::checking(Initiation::Responding, Config::default(), &[]);
        let mut check = solo.check();
        check.priority = Some(claimed);
        assert_eq!(solo.receive(remote(0), &check.bytes()), Received::Handled);
        let ours = u64::from(solo.agent.local_candidates().next().unwrap().priority());
        let theirs: u64 = taken;
        let greater = u64::from(theirs > ours);
        let expected = (ours.min(theirs) << 32) + 2 * ours.max(theirs) + greater;
        let pair = solo.agent.candidate_pairs().next().unwrap();
        assert_eq!(pair.priority, expected, "{claimed}");
    }
}

// req: I3 I43
#[test]
fn a_stranger_for_whom_there_is_no_pair_is_answered_and_pushes_none_out() {
    let mut config = Config::default();
    config.max_pairs = 5;
    let mut solo = Solo::checking(Initiation::Responding, config, &remotes(5));
    let before: Vec<_> = solo.agent.candidate_pairs().map(|p| p.pair.id).collect();
    let mut check = solo.check();
    check.priority = Some(u32::MAX >> 1);
    let sent = solo.take().len();
    assert_eq!(
        solo.receive(address(9, 0), &check.bytes()),
        Received::Handled
    );
    assert_eq!((sent, solo.take().len()), (1, 1), "the answer");
    let after: Vec<_> = solo.agent.candidate_pairs().map(|p| p.pair.id).collect();
    assert_eq!(after, before);
    assert_eq!(solo.agent.stats().pairs_dropped, 1);
}

// req: I43
#[test]
fn of_the_checks_that_were_replaced_only_the_latest_still_counts() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    for _ in 0..3 {
        solo.run_for(ms(300));
        let request = solo.check().bytes();
        let _ = solo.receive(remote(0), &request);
    }
    let mut checks = solo.take_requests();
    checks.dedup_by_key(|check| check.id());
    assert_eq!(checks.len(), 4, "each request has cancelled one");
    for forgotten in &checks[..2] {
        assert_eq!(
            solo.answer(forgotten),
            Received::Dropped(DropReason::UnknownTransaction)
        );
    }
    assert_eq!(solo.answer(&checks[2]), Received::Handled);
    assert!(solo.agent.send_path().is_some());
}

// req: I42 I44
#[test]
fn a_peer_that_moves_is_heard_however_long_others_have_knocked() {
    let mut solo = in_a_call();
    for n in 0..600 {
        solo.run_for(ms(100));
        for check in solo.take_requests() {
            if check.path.remote == remote(0) {
                let _ = solo.answer(&check);
            }
        }
        let request = solo.check().bytes();
        let _ = solo.receive(address(9, n), &request);
    }
    assert_eq!(solo.agent.stats().candidates_ignored, 0);
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(7), &request);
    solo.run_for(secs(1));
    let checks = solo.take_requests();
    let check = checks.iter().find(|check| check.path.remote == remote(7));
    let _ = solo.answer(check.unwrap());
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(7));
}

// req: I43
#[test]
fn a_stranger_that_failed_long_ago_does_not_speak_against_the_next() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[]);
    let request = solo.check().bytes();
    let _ = solo.receive(address(9, 0), &request);
    solo.run_for(secs(60));
    solo.take();
    let request = solo.check().bytes();
    let _ = solo.receive(remote(7), &request);
    solo.run_for(ms(60));
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(7));
}

// req: I43
#[test]
fn early_requests_and_answers_that_wait_are_bounded_and_counted() {
    let mut solo = Solo::new(
        floe_ice::Mode::Full,
        Initiation::Responding,
        Config::default(),
    );
    let host = Candidate::host(local());
    solo.agent.add_local_candidate(solo.now, host).unwrap();
    for n in 0..40 {
        let request = solo.check().bytes();
        assert_eq!(solo.receive(remote(n), &request), Received::Handled);
    }
    assert_eq!(solo.agent.stats().early_requests_dropped, 8);
    // Nobody polls: each answer waits, and one too many is dropped.
    let path = FiveTuple::udp(local(), remote(0));
    for n in 0..100 {
        let request = solo.check().bytes();
        let received = solo.agent.handle_datagram(solo.now, path, &request);
        let full = received == Received::Dropped(DropReason::Overloaded);
        assert_eq!(full, n >= 65, "{n}: {received:?}");
    }
    assert_eq!(solo.agent.stats().dropped(DropReason::Overloaded), 35);
}

// req: I14 I43
#[test]
fn events_that_nobody_polls_are_bounded_and_the_last_of_each_kind_is_told() {
    let mut solo = in_a_call();
    let path = FiveTuple::udp(local(), remote(0));
    let mut buf = [0; 1200];
    // A peer that claims our role, whichever it is, with a tie-breaker that makes us give way.
    for _ in 0..101 {
        let mut check = solo.check();
        check.role = Some(match solo.agent.role() {
            Some(floe_ice::Role::Controlling) => RoleAttribute::Controlling(u64::MAX),
            _ => RoleAttribute::Controlled(0),
        });
        let _ = solo.agent.handle_datagram(solo.now, path, &check.bytes());
        while solo.agent.poll_transmit(&mut buf).is_some() {}
    }
    let stats = solo.agent.stats();
    assert_eq!((stats.role_conflicts, stats.events_dropped), (101, 0));
    let polled: Vec<_> = std::iter::from_fn(|| solo.agent.poll_event()).collect();
    assert!(polled.len() <= 34, "{}", polled.len());
    let role = solo.agent.role().unwrap();
    assert_eq!(polled.last(), Some(&Event::RoleChange(role)));
}

// req: I43
#[test]
fn paths_that_answered_and_that_nobody_polls_are_bounded_and_counted() {
    let remotes: Vec<_> = (0..60).map(remote).collect();
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes);
    solo.events.clear();
    let mut buf = [0; 1200];
    let mut answered = 0;
    while answered < 60 {
        solo.now = solo.agent.poll_timeout().unwrap();
        solo.agent.handle_timeout(solo.now);
        while let Some(transmit) = solo.agent.poll_transmit(&mut buf) {
            let id = Message::parse(&buf[..transmit.len])
                .unwrap()
                .transaction_id();
            let answer = success(id, local(), solo.peer.password());
            let _ = solo.agent.handle_datagram(solo.now, transmit.path, &answer);
            answered += 1;
        }
    }
    let dropped = solo.agent.stats().events_dropped;
    solo.drain();
    let told = |event: &&Event| matches!(event, Event::PathValidated(_));
    let told = solo.events.iter().filter(told).count() as u64;
    assert_eq!(told + dropped, 60);
    assert!(
        told > 20 && solo.events.len() <= 38,
        "{} of {}",
        told,
        solo.events.len()
    );
    // What is told last of the pair in use is true.
    let pair = solo.events.iter().rev().find_map(|event| match event {
        Event::SelectedCandidatePairChange(pair) => Some(pair.id),
        _ => None,
    });
    assert_eq!(
        pair,
        solo.agent.selected_candidate_pair().map(|pair| pair.id)
    );
}

// req: I43
#[test]
fn consent_checks_that_wait_for_answers_are_bounded_and_counted() {
    let mut solo = in_a_call();
    let mut timing = floe_ice::Timing::default();
    timing.rto = ms(50);
    timing.disconnected_probe = ms(50);
    solo.agent.set_timing(solo.now, timing);
    solo.run_for(secs(12));
    let sent = solo.take_requests();
    assert!(sent.len() > 40, "{}", sent.len());
    let stats = solo.agent.stats();
    assert_eq!(stats.transactions_dropped, sent.len() as u64 - 32);
    // The oldest are forgotten, the latest still count.
    assert_eq!(
        solo.answer(&sent[0]),
        Received::Dropped(DropReason::UnknownTransaction)
    );
    assert_eq!(solo.answer(sent.last().unwrap()), Received::Handled);
}

/// An authentic check with these attributes that have to be understood, each of them empty.
fn with_unknown(solo: &mut Solo, types: impl Iterator<Item = u16>) -> Vec<u8> {
    let check = solo.check();
    let key = IntegrityKey::short_term(check.to.password().as_bytes());
    let mut buf = [0; 1500];
    let mut writer = Writer::request(&mut buf, Method::BINDING, check.transaction_id())
        .ice_username(check.to.username_fragment(), &check.from)
        .priority(1);
    for unknown in types {
        writer = writer.attribute(AttributeType::new(unknown), &[]);
    }
    let len = writer.integrity(&key).fingerprint().unwrap();
    buf[..len].to_vec()
}

/// The types that an authentic 420 lists.
fn listed(solo: &Solo, answer: &Sent) -> Vec<u16> {
    let key = IntegrityKey::short_term(solo.agent.local_parameters().password().as_bytes());
    let message = answer.message();
    let verified = message.verify(&key).unwrap();
    assert_eq!(verified.error_code(), Some(ErrorCode::UNKNOWN_ATTRIBUTE));
    let list = verified
        .attributes()
        .find(|a| a.attribute_type == AttributeType::UNKNOWN_ATTRIBUTES)
        .unwrap();
    let (types, []) = list.value.as_chunks() else {
        panic!("two bytes each")
    };
    types.iter().copied().map(u16::from_be_bytes).collect()
}

// req: S5 I42
#[test]
fn a_420_names_all_attributes_that_were_not_understood_and_is_no_longer_than_its_request() {
    // As many as fit what is worth a MAC.
    let most = 0x7000..0x7000 + 128;
    for types in [vec![0x7ff0, 0x0033, 0x7abc], most.collect()] {
        let mut solo = in_a_call();
        let request = with_unknown(&mut solo, types.iter().copied());
        assert!(request.len() <= 600);
        assert_eq!(solo.receive(remote(0), &request), Received::Handled);
        let answers = solo.take();
        assert_eq!(answers.len(), 1);
        assert_eq!(listed(&solo, &answers[0]), types);
        assert!(answers[0].bytes.len() <= request.len());
    }
}

// req: S5 I43
#[test]
fn a_420_lists_what_any_buffer_has_room_for() {
    let mut config = Config::default();
    config.max_message = 1500;
    config.mtu = 640;
    let mut solo = Solo::checking(Initiation::Responding, config, &remotes(1));
    solo.take();
    let types = 0x7000..0x7000 + 340;
    let request = with_unknown(&mut solo, types.clone());
    let path = FiveTuple::udp(local(), remote(0));
    let received = solo.agent.handle_datagram(solo.now, path, &request);
    assert_eq!(received, Received::Handled);
    let mut buf = [0; 640];
    let len = solo.agent.poll_transmit(&mut buf).expect("it fits").len;
    let at = solo.elapsed();
    let bytes = buf[..len].to_vec();
    let answer = Sent { at, path, bytes };
    assert!(listed(&solo, &answer).into_iter().eq(types.take(256)));
}

// req: S5 I43
#[test]
fn each_420_is_about_its_own_request() {
    let mut solo = in_a_call();
    let path = FiveTuple::udp(local(), remote(0));
    let requests: Vec<Vec<u8>> = (0..3)
        .flat_map(|n: u16| {
            let unknown = with_unknown(&mut solo, 0x7000..0x7001 + n);
            [unknown, solo.check().bytes()]
        })
        .collect();
    for request in requests {
        let received = solo.agent.handle_datagram(solo.now, path, &request);
        assert_eq!(received, Received::Handled);
    }
    let answers = solo.take();
    assert_eq!(answers.len(), 6);
    for (answer, n) in answers.iter().step_by(2).zip(0..) {
        assert!(listed(&solo, answer).into_iter().eq(0x7000..0x7001 + n));
    }
    // A queue that is full takes neither another answer nor what it would have been about.
    let mut dropped = 0;
    for _ in 0..100 {
        let unknown = with_unknown(&mut solo, 0x7100..0x7102);
        let received = solo.agent.handle_datagram(solo.now, path, &unknown);
        dropped += usize::from(received == Received::Dropped(DropReason::Overloaded));
    }
    let last = with_unknown(&mut solo, 0x7200..0x7201);
    let answers = solo.take();
    assert_eq!(answers.len() + dropped, 100);
    assert!(answers.iter().all(|a| listed(&solo, a) == [0x7100, 0x7101]));
    let _ = solo.receive(remote(0), &last);
    let answers = solo.take();
    assert_eq!(listed(&solo, &answers[0]), [0x7200]);
}

// req: I64
#[test]
fn a_mac_of_32_bits_renews_no_consent() {
    let mut solo = in_a_call();
    solo.run_for(secs(6));
    let consent = solo.take_requests().remove(0);
    let age = solo.agent.consent_age(solo.now);
    let theirs = IntegrityKey::short_term(solo.peer.password().as_bytes());
    let ours = IntegrityKey::short_term(solo.agent.local_parameters().password().as_bytes());
    let short = IntegrityAlgorithm::Sha1Truncated32;
    let mut datagrams = Vec::new();
    for method in [Method::GOOG_PING, Method::BINDING] {
        let mut buf = [0; 200];
        let response = Writer::success(&mut buf, method, consent.id()).xor_mapped_address(local());
        let len = response.integrity_as(short, &theirs).fingerprint().unwrap();
        datagrams.push(buf[..len].to_vec());
        let len = Writer::request(&mut buf, method, TransactionId::from_bytes([8; 12]))
            .integrity_as(short, &ours)
            .fingerprint()
            .unwrap();
        datagrams.push(buf[..len].to_vec());
    }
    for datagram in datagrams {
        let received = solo.receive(remote(0), &datagram);
        assert!(matches!(received, Received::Dropped(_)), "{received:?}");
        assert!(solo.take().is_empty());
        assert_eq!(solo.agent.consent_age(solo.now), age);
    }
    // The transaction is still open for an answer that counts.
    assert_eq!(solo.answer(&consent), Received::Handled);
    assert_eq!(solo.agent.consent_age(solo.now), Some(ms(0)));
}

// req: I64
#[test]
fn dtls_in_a_check_is_nothing_before_the_mac() {
    let mut solo = in_a_call();
    let to = solo.agent.local_parameters().clone();
    let forged = IntegrityKey::short_term(b"not-the-password-of-ours");
    let mut buf = [0; 1200];
    let len = Writer::request(
        &mut buf,
        Method::BINDING,
        TransactionId::from_bytes([4; 12]),
    )
    .ice_username(to.username_fragment(), solo.peer.username_fragment())
    .priority(1)
    .attribute(AttributeType::DTLS_IN_STUN, &[22; 900])
    .integrity(&forged)
    .fingerprint()
    .unwrap();
    assert_eq!(
        solo.receive(remote(0), &buf[..len]),
        Received::Dropped(DropReason::BadIntegrity)
    );
    let sent = solo.take();
    let told: Vec<_> = sent.iter().map(crate::refusals::refusal).collect();
    assert_eq!(told, [401]);
}

// req: I45
#[test]
fn an_agent_in_a_log_shows_no_address_and_no_password() {
    let mut solo = in_a_call();
    solo.agent.restart(solo.now, None, None).unwrap();
    let printed = format!("{:?} {:#?}", solo.agent, solo.agent);
    let ours = solo.agent.local_parameters();
    for secret in [
        local().ip().to_string(),
        remote(0).ip().to_string(),
        ours.password().to_owned(),
        ours.username_fragment().to_owned(),
        solo.peer.password().to_owned(),
    ] {
        assert!(!printed.contains(&secret), "{secret} in {printed}");
    }
    assert!(printed.contains("Connected"), "{printed}");
    // Nor does anything that says why something was dropped, failed or changed.
    for transition in solo.transitions() {
        assert!(!transition.reason.to_string().contains("192.0.2."));
    }
}

/// Datagrams that no honest peer sends: garbage, forgeries, replayed answers, cut and bent messages.
fn hostile(solo: &mut Solo) -> Vec<Vec<u8>> {
    let good = solo.check().nominating();
    let answer = success(
        TransactionId::from_bytes([3; 12]),
        local(),
        solo.peer.password(),
    );
    let mut flood = vec![
        good.bytes_under("not-the-password-of-ours"),
        answer.clone(),
        answer[..answer.len() - 4].to_vec(),
        vec![0; 20],
        Vec::new(),
    ];
    for n in 0..120u8 {
        let mut bent = good.bytes();
        let place = usize::from(n) % bent.len();
        bent[place] ^= 1 << (n % 8);
        flood.push(bent);
        flood.push(
            (0..n)
                .map(|i| i.wrapping_mul(n ^ 0x5b) ^ (n >> 1))
                .collect(),
        );
    }
    flood
}

/// What the agent wants at `now` is done: its checks are answered as the peer would.
fn serve(agent: &mut Agent, now: std::time::Instant, key: &IntegrityKey) {
    let (mut buf, mut answer) = ([0; 1200], [0; 200]);
    if agent.poll_timeout().is_some_and(|due| due <= now) {
        agent.handle_timeout(now);
    }
    while let Some(transmit) = agent.poll_transmit(&mut buf) {
        let message = Message::parse(&buf[..transmit.len]).unwrap();
        if message.class() != floe_stun::Class::Request {
            continue;
        }
        let len = Writer::success(&mut answer, Method::BINDING, message.transaction_id())
            .xor_mapped_address(transmit.path.local)
            .integrity(key)
            .fingerprint()
            .unwrap();
        let received = agent.handle_datagram(now, transmit.path, &answer[..len]);
        assert_eq!(received, Received::Handled);
    }
    while agent.poll_event().is_some() {}
}

// req: I44
#[test]
fn a_million_hostile_datagrams_leave_memory_flat_and_the_call_alone() {
    let mut solo = in_a_call();
    let flood = hostile(&mut solo);
    let key = IntegrityKey::short_term(solo.peer.password().as_bytes());
    let (agent, mut now) = (&mut solo.agent, solo.now);
    let before = (agent.state(), agent.send_path());
    let mut dropped = 0;
    let mut rounds = |count: u32| {
        for _ in 0..count {
            now += ms(20);
            serve(agent, now, &key);
            for n in 0..1000usize {
                // One in eight pretends to come from the peer, whose forgeries have no budget.
                let source = if n % 8 == 0 {
                    remote(0)
                } else {
                    address(9, (n % 99) as u16)
                };
                let path = FiveTuple::udp(local(), source);
                let received = agent.handle_datagram(now, path, &flood[n % flood.len()]);
                assert_ne!(received, Received::Handled);
                dropped += u64::from(received != Received::NotMine);
            }
        }
        agent.candidate_pairs().count()
    };
    // Until consent has been asked for once, and what was left of the search is given back.
    rounds(400);
    let info = measure(|| assert_eq!(rounds(600), 1));
    assert_eq!((info.count_current, info.bytes_current), (0, 0));
    assert_eq!((agent.state(), agent.send_path()), before);
    assert_eq!(agent.state(), State::Connected);
    let stats = agent.stats();
    // What is no STUN at all is not the agent's to count, and each counter stops at 65 535.
    assert!(dropped > 400_000, "{dropped}");
    assert!(stats.dropped_total() > 200_000, "{}", stats.dropped_total());
    assert!(stats.consent_requests_sent >= 3, "consent went on");
}
