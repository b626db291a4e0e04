//! What is answered with an error though it proves nothing (RFC 8489 §9.1.3), and how little that is.

use std::net::SocketAddr;

use floe_ice::{
    Access, Candidate, Config, DropReason, FiveTuple, Initiation, Mode, Received, State,
};
use floe_stun::{
    AttributeType, Class, FingerprintStatus, Message, Method, TransactionId, WriteError, Writer,
};

use crate::support::solo::{Check, Sent, Solo, in_a_call, in_a_call_with, local, remote};
use crate::support::{address, ms, secs};

/// The code of an error answer that carries FINGERPRINT and proves nothing itself.
pub(crate) fn refusal(sent: &Sent) -> u16 {
    let message = sent.message();
    assert_eq!(message.class(), Class::ErrorResponse);
    assert_eq!(message.method(), Method::BINDING);
    assert_eq!(message.fingerprint(), FingerprintStatus::Valid);
    assert!(!message.has_integrity() && message.username().is_none());
    message.error_code().expect("an error has a code").number()
}

fn forged(check: &Check) -> Vec<u8> {
    check.bytes_under("not-the-password-of-ours")
}

/// A request without USERNAME and MESSAGE-INTEGRITY, of this length.
fn bare(len: usize) -> Vec<u8> {
    let mut buf = [0; 200];
    let id = TransactionId::from_bytes([5; 12]);
    let mut writer = Writer::request(&mut buf, Method::BINDING, id);
    if len > 28 {
        writer = writer.attribute(AttributeType::new(0xc0ff), &[0; 200][..len - 32]);
    }
    assert_eq!(writer.fingerprint(), Ok(len));
    buf[..len].to_vec()
}

fn codes(solo: &mut Solo) -> Vec<u16> {
    solo.take().iter().map(refusal).collect()
}

fn lite() -> Solo {
    let mut solo = Solo::new(Mode::Lite, Initiation::Responding, Config::default());
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    solo.meet();
    solo
}

// req: I41
#[test]
fn who_lacks_credentials_or_has_the_wrong_ones_is_told_the_way_it_came() {
    for mut solo in [in_a_call(), lite()] {
        let check = solo.check();
        // It makes no difference who is known there.
        for (from, bytes, code) in [
            (remote(0), forged(&check), 401),
            (address(7, 7), forged(&check), 401),
            (address(7, 7), bare(48), 400),
        ] {
            solo.run_for(secs(1));
            solo.take();
            let received = solo.receive(from, &bytes);
            assert!(matches!(received, Received::Dropped(_)));
            let sent = solo.take();
            let [answer] = &sent[..] else {
                panic!("one answer to {code}")
            };
            assert_eq!(refusal(answer), code);
            assert_eq!(answer.path, FiveTuple::udp(local(), from));
            let request = Message::parse(&bytes).unwrap();
            assert_eq!(answer.id(), request.transaction_id());
            assert!(answer.bytes.len() <= bytes.len());
            assert!(
                !solo
                    .agent
                    .accepts_from(&FiveTuple::udp(local(), address(7, 7)))
            );
        }
    }
}

// req: I41
#[test]
fn no_answer_is_longer_than_what_it_answers() {
    for (len, expected) in [(28, vec![]), (44, vec![]), (48, vec![400]), (60, vec![400])] {
        let mut solo = in_a_call();
        let _ = solo.receive(address(7, 7), &bare(len));
        let sent = solo.take();
        assert!(sent.iter().all(|answer| answer.bytes.len() <= len));
        let told: Vec<_> = sent.iter().map(refusal).collect();
        assert_eq!(told, expected, "{len}");
    }
}

type End = fn(Writer<'_>) -> Result<usize, WriteError>;

/// A request with this USERNAME, without MESSAGE-INTEGRITY, that ends so.
fn unsigned(username: &str, end: End) -> Vec<u8> {
    let mut buf = [0; 200];
    let id = TransactionId::from_bytes([6; 12]);
    let writer = Writer::request(&mut buf, Method::BINDING, id).username(username.as_bytes());
    let len = end(writer);
    buf[..len.unwrap()].to_vec()
}

// req: I41
#[test]
fn a_request_that_names_us_and_lacks_its_mac_is_told_and_one_that_is_not_ice_is_not() {
    let end: [End; 2] = [|writer| writer.fingerprint(), |writer| writer.finish()];
    let mut solo = in_a_call();
    let ours = solo.agent.local_parameters().username_fragment().to_owned();
    let table = [
        (format!("{ours}:peer"), end[0], vec![400]),
        (format!("{ours}:peer"), end[1], vec![]),
        ("somebody:peer".to_owned(), end[0], vec![]),
    ];
    for (username, end, expected) in table {
        solo.run_for(secs(1));
        solo.take();
        let _ = solo.receive(address(7, 7), &unsigned(&username, end));
        assert_eq!(codes(&mut solo), expected, "{username}");
    }
}

// req: I41
#[test]
fn a_flood_is_answered_once_a_second_whoever_it_comes_from() {
    let mut solo = in_a_call();
    let check = solo.check();
    let floods = [forged(&check), bare(48)];
    let (mut into, mut out, mut answers) = (0, 0, 0);
    for n in 0..10_000u16 {
        let from = match n % 3 {
            0 => remote(0),
            1 => address(7, 7),
            _ => address(10 + (n / 3 % 200) as u8, n),
        };
        let bytes = &floods[usize::from(n % 2)];
        assert!(matches!(solo.receive(from, bytes), Received::Dropped(_)));
        into += bytes.len();
        for sent in solo.take().iter().filter(|sent| !sent.is_request()) {
            assert!([400, 401].contains(&refusal(sent)));
            (answers, out) = (answers + 1, out + sent.bytes.len());
        }
        solo.run_for(ms(1));
    }
    assert_eq!(answers, 10, "in ten seconds");
    assert!(out * 1000 <= into, "{out} for {into}");
    assert_eq!(solo.agent.stats().dropped_total(), 10_000);
}

// req: I41
#[test]
fn what_is_authentic_takes_the_place_of_an_error_and_never_the_other_way_round() {
    let path = |n| FiveTuple::udp(local(), remote(n));
    let mut plain = in_a_call();
    let plain = (plain.check(), plain);
    let mut unknown = in_a_call();
    let mut check = unknown.check();
    check.extra = Some(AttributeType::new(0x7abc));
    for (check, mut solo) in [plain, (check, unknown)] {
        for forged_first in [true, false] {
            solo.run_for(secs(2));
            solo.take();
            let (now, forged) = (solo.now, forged(&check));
            let authentic = (path(0), check.bytes());
            let mut order = [(path(7), forged), authentic];
            if !forged_first {
                order.reverse();
            }
            for (path, bytes) in &order {
                let _ = solo.agent.handle_datagram(now, *path, bytes);
            }
            let sent = solo.take();
            let [answer] = &sent[..] else {
                panic!("the authentic one alone: {}", sent.len())
            };
            assert_eq!(answer.path, path(0));
            assert!(answer.message().has_integrity());
        }
    }
}

// req: I41
#[test]
fn an_answer_that_found_no_place_is_not_counted_as_one() {
    let mut solo = in_a_call();
    let check = solo.check();
    let path = FiveTuple::udp(local(), remote(0));
    let _ = solo.agent.handle_datagram(solo.now, path, &check.bytes());
    let _ = solo.agent.handle_datagram(solo.now, path, &forged(&check));
    assert_eq!(solo.take().len(), 1, "the authentic one");
    let _ = solo.receive(remote(0), &forged(&check));
    assert_eq!(codes(&mut solo), [401]);
}

// req: I41 I58
#[test]
fn no_error_goes_where_nothing_is_sent() {
    let loopback: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let mut config = Config::default();
    config.addresses.loopback = Access::Allowed;
    for (mut solo, expected) in [(in_a_call(), vec![]), (in_a_call_with(config), vec![400])] {
        let received = solo.receive(loopback, &bare(48));
        assert_eq!(received, Received::Dropped(DropReason::MissingUsername));
        assert_eq!(codes(&mut solo), expected);
    }
}

// req: I41
#[test]
fn what_is_over_tells_strangers_nothing() {
    let mut solo = in_a_call();
    let check = solo.check();
    solo.agent.remote_candidates_complete(solo.now);
    solo.agent.local_candidates_complete(solo.now);
    solo.run_for(secs(60));
    assert_eq!(solo.agent.state(), State::Failed);
    solo.take();
    for bytes in [forged(&check), bare(48)] {
        let _ = solo.receive(remote(0), &bytes);
        assert!(solo.take().is_empty());
    }
    let _ = solo.receive(remote(0), &check.bytes());
    let sent = solo.take();
    assert!(sent[0].message().has_integrity(), "its peer is told");
    let mut solo = in_a_call();
    let path = FiveTuple::udp(local(), remote(0));
    let _ = solo.agent.handle_datagram(solo.now, path, &forged(&check));
    solo.agent.close(solo.now);
    let _ = solo.receive(remote(0), &forged(&check));
    assert!(solo.take().is_empty());
}

// req: I41
#[test]
fn over_ipv6_an_error_goes_where_there_is_room_for_its_path() {
    let v6 = |n: u16| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 9));
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, Config::default());
    let candidates = (Candidate::host(v6(1)), Candidate::host(v6(2)));
    solo.agent
        .add_local_candidate(solo.now, candidates.0)
        .unwrap();
    solo.meet();
    solo.agent
        .add_remote_candidate(solo.now, candidates.1)
        .unwrap();
    solo.run_for(ms(100));
    solo.take();
    let bytes = forged(&solo.check());
    let mut buf = [0; 1200];
    // Its peer has a pair, and so has its path a place; a stranger would have to be given one.
    for (from, expected) in [(3, 0), (2, 1)] {
        let (path, now) = (FiveTuple::udp(v6(1), v6(from)), solo.now);
        let mut answers = 0;
        let allocations = allocation_counter::measure(|| {
            let _ = solo.agent.handle_datagram(now, path, &bytes);
            while let Some(transmit) = solo.agent.poll_transmit(&mut buf) {
                assert_eq!(transmit.path, path);
                answers += 1;
            }
        });
        assert_eq!((answers, allocations.count_total), (expected, 0), "{from}");
    }
}

// req: I8 I41
#[test]
fn an_error_that_proves_nothing_ends_no_check() {
    let mut refuser = in_a_call();
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    solo.run_for(ms(1));
    let check = solo.take_requests().remove(0);
    // Whoever overhears a check can have it refused, or do that himself.
    let mut overheard = refuser.check();
    overheard.from = "somebody".to_owned();
    let _ = refuser.receive(remote(0), &forged(&overheard));
    let mut error = refuser.take().remove(0).bytes;
    error.truncate(error.len() - 8);
    let mut buf = [0; 200];
    let writer = Writer::error(
        &mut buf,
        Method::BINDING,
        check.id(),
        floe_stun::ErrorCode::UNAUTHENTICATED,
    );
    let len = writer.fingerprint().unwrap();
    assert_eq!(len, error.len() + 8, "as floe writes it");
    let received = solo.receive(remote(0), &buf[..len]);
    assert_eq!(received, Received::Dropped(DropReason::MissingIntegrity));
    assert_eq!(solo.answer(&check), Received::Handled);
    assert_eq!(solo.agent.send_path().unwrap().remote, remote(0));
}

// req: I41
#[test]
fn a_stranger_of_another_family_than_all_before_is_given_no_place() {
    let v6 = |n: u16| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 9));
    let mut solo = in_a_call();
    let bytes = forged(&solo.check());
    let (path, now) = (FiveTuple::udp(v6(1), v6(2)), solo.now);
    let mut buf = [0; 1200];
    let allocations = allocation_counter::measure(|| {
        let _ = solo.agent.handle_datagram(now, path, &bytes);
        assert_eq!(solo.agent.poll_transmit(&mut buf), None);
    });
    assert_eq!(allocations.count_total, 0);
}
