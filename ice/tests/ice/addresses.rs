//! Where an agent sends nothing, whoever asks for it.

use std::net::SocketAddr;

use floe_ice::{
    Access, Candidate, Config, DropReason, FiveTuple, Initiation, Mode, PairState, Reason,
    Received, State,
};
use floe_stun::{AttributeType, ErrorCode, IntegrityKey, Method, Writer};

use crate::support::ms;
use crate::support::solo::{Sent, Solo, controlled_with_pairs, local, remote};

/// Each is of another kind that is refused by default or always.
const REFUSED: [&str; 9] = [
    "127.0.0.1:9",
    "169.254.1.1:9",
    "169.254.169.254:80",
    "[::1]:9",
    "[fd00:ec2::254]:80",
    "224.0.0.1:9",
    "255.255.255.255:9",
    "0.0.0.0:9",
    "198.51.100.1:0",
];

/// An agent that can send everywhere: a wildcard socket of both families.
fn everywhere(config: Config) -> Solo {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, config);
    for bound in ["192.0.2.1:4000", "[2001:db8::1]:4000", "127.0.0.1:4000"] {
        let candidate = Candidate::host(bound.parse().unwrap());
        solo.agent.add_local_candidate(solo.now, candidate).unwrap();
    }
    solo.meet();
    solo
}

fn signal(solo: &mut Solo, address: &str) -> bool {
    let candidate = Candidate::host(address.parse().unwrap());
    let id = solo.agent.add_remote_candidate(solo.now, candidate);
    id.unwrap().is_some()
}

// req: I58
#[test]
fn a_candidate_at_a_refused_address_is_ignored_before_any_packet() {
    let mut solo = everywhere(Config::default());
    for address in REFUSED {
        assert!(!signal(&mut solo, address), "{address}");
    }
    solo.run_for(ms(60_000));
    assert!(solo.take().is_empty(), "nothing was ever sent");
    assert_eq!(solo.agent.candidate_pairs().count(), 0);
    let stats = solo.agent.stats();
    assert_eq!(stats.candidates_ignored, REFUSED.len() as u64);
    assert_eq!(stats.candidates_refused, REFUSED.len() as u64);
}

// req: I58
#[test]
fn an_agent_that_found_only_refused_addresses_says_so() {
    for mode in [Mode::Full, Mode::Lite] {
        let mut solo = Solo::new(mode, Initiation::Responding, Config::default());
        let host = Candidate::host("127.0.0.1:4000".parse().unwrap());
        solo.agent.add_local_candidate(solo.now, host).unwrap();
        solo.agent.local_candidates_complete(solo.now);
        solo.meet();
        assert!(!signal(&mut solo, "127.0.0.1:9"));
        solo.agent.remote_candidates_complete(solo.now);
        solo.run_for(ms(60_000));
        let last = solo.transitions().pop().unwrap();
        assert_eq!(
            (last.to, last.reason),
            (State::Failed, Reason::AddressesRefused)
        );
        assert!(last.reason.to_string().contains("refused"));
    }
}

// req: I58
#[test]
fn a_check_from_a_refused_address_is_neither_answered_nor_learned() {
    let mut solo = everywhere(Config::default());
    let request = solo.check().bytes();
    for (n, address) in REFUSED.iter().enumerate() {
        let received = solo.receive(address.parse().unwrap(), &request);
        assert_eq!(
            received,
            Received::Dropped(DropReason::RefusedAddress),
            "{address}"
        );
        let counted = solo.agent.stats().dropped(DropReason::RefusedAddress);
        assert_eq!(counted, n as u64 + 1);
    }
    solo.run_for(ms(60_000));
    assert!(solo.take().is_empty());
    assert_eq!(solo.agent.candidate_pairs().count(), 0);
}

// req: I58
#[test]
fn what_the_caller_allows_is_checked_and_what_it_forbids_is_not() {
    let mut config = Config::default();
    config.addresses.loopback = Access::Allowed;
    config.addresses.private = Access::Refused;
    let mut solo = everywhere(config);
    assert!(signal(&mut solo, "127.0.0.1:9"));
    assert!(!signal(&mut solo, "10.1.2.3:9"));
    assert!(!signal(&mut solo, "[fd01::1]:9"));
    assert!(!signal(&mut solo, "224.0.0.1:9"), "never");
    solo.run_for(ms(60_000));
    let sent = solo.take();
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|sent| sent.path.remote.ip().is_loopback()));
    let request = solo.check().bytes();
    let from = |text: &str| text.parse::<SocketAddr>().unwrap();
    assert_eq!(
        solo.receive(from("127.0.0.1:9"), &request),
        Received::Handled
    );
    assert_eq!(
        solo.receive(from("10.1.2.3:9"), &request),
        Received::Dropped(DropReason::RefusedAddress)
    );
}

// req: I58
#[test]
fn a_host_name_is_ignored() {
    let mut solo = everywhere(Config::default());
    for name in ["host.example", "2b1a7c1e-0d4c-4b0e-9f3e-1f0c5f1f2c3d.local"] {
        let candidate: Candidate = format!("1 1 udp 9 {name} 9 typ host").parse().unwrap();
        let id = solo
            .agent
            .add_remote_candidate(solo.now, candidate)
            .unwrap();
        assert_eq!(id, None, "{name}");
    }
    assert_eq!(solo.agent.candidate_pairs().count(), 0);
}

// req: I58
#[test]
fn link_local_addresses_pair_with_each_other_only() {
    let mut config = Config::default();
    config.addresses.link_local = Access::Allowed;
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, config);
    for bound in [
        "192.0.2.1:1",
        "169.254.0.1:1",
        "[2001:db8::1]:1",
        "[fe80::1]:1",
    ] {
        let candidate = Candidate::host(bound.parse().unwrap());
        solo.agent.add_local_candidate(solo.now, candidate).unwrap();
    }
    solo.meet();
    let mut bases = |remote: &str| -> Vec<String> {
        let before = solo.agent.candidate_pairs().count();
        assert!(signal(&mut solo, remote));
        let added = solo.agent.candidate_pairs().skip(before);
        added.map(|p| p.pair.path.local.to_string()).collect()
    };
    assert_eq!(bases("169.254.0.9:9"), ["169.254.0.1:1"]);
    assert_eq!(bases("198.51.100.9:9"), ["192.0.2.1:1"]);
    assert_eq!(bases("[fe80::9]:9"), ["[fe80::1]:1"]);
    assert_eq!(bases("[2001:db8::9]:9"), ["[2001:db8::1]:1"]);
    // Neither does a check make such a pair, though it is answered.
    let request = solo.check().bytes();
    let pairs = solo.agent.candidate_pairs().count();
    for (base, remote) in [
        ("192.0.2.1:1", "169.254.0.77:7"),
        ("[fe80::1]:1", "[2001:db8::77]:7"),
    ] {
        let path = FiveTuple::udp(base.parse().unwrap(), remote.parse().unwrap());
        let received = solo.agent.handle_datagram(solo.now, path, &request);
        assert_eq!(received, Received::Handled);
        let answered = |sent: &Sent| sent.path == path && !sent.is_request();
        assert!(solo.take().iter().any(answered));
    }
    assert_eq!(solo.agent.candidate_pairs().count(), pairs);
}

/// 300 (Try Alternate) with the server to go to, authenticated.
fn try_alternate(solo: &Solo, check: &Sent, server: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(v4) = server else {
        panic!("an IPv4 server")
    };
    let mut value = vec![0, 1];
    value.extend(v4.port().to_be_bytes());
    value.extend(v4.ip().octets());
    let mut buf = [0; 200];
    let code = ErrorCode::new(300).unwrap();
    let key = IntegrityKey::short_term(solo.peer.password().as_bytes());
    let len = Writer::error(&mut buf, Method::BINDING, check.id(), code)
        .attribute(AttributeType::new(0x8023), &value)
        .integrity(&key)
        .fingerprint()
        .unwrap();
    buf[..len].to_vec()
}

// req: I58
#[test]
fn a_peer_that_says_try_alternate_sends_nobody_anywhere() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    solo.run_for(ms(0));
    let check = solo.take_requests().remove(0);
    let elsewhere = "198.51.100.7:3478".parse().unwrap();
    let answer = try_alternate(&solo, &check, elsewhere);
    assert_eq!(solo.receive(remote(0), &answer), Received::Handled);
    solo.run_for(ms(60_000));
    assert!(solo.take().iter().all(|sent| sent.path.remote == remote(0)));
    assert_eq!(solo.agent.candidate_pairs().count(), 1);

    // In a call it changes nothing at all.
    let mut solo = controlled_with_pairs(1);
    let nominating = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &nominating);
    solo.take();
    solo.run_for(ms(6_000));
    let consent = solo.take_requests().remove(0);
    let answer = try_alternate(&solo, &consent, elsewhere);
    let _ = solo.receive(remote(0), &answer);
    assert_eq!(solo.agent.state(), State::Connected);
    assert_eq!(
        solo.agent.send_path(),
        Some(FiveTuple::udp(local(), remote(0)))
    );
}

fn state_of(solo: &Solo, n: u16) -> PairState {
    let on = |path: FiveTuple| path.remote == remote(n);
    let mut pairs = solo.agent.candidate_pairs();
    pairs.find(|pair| on(pair.pair.path)).unwrap().state
}

// req: I58
#[test]
fn an_icmp_error_ends_a_check_under_way_and_only_that() {
    let mut solo = Solo::checking(
        Initiation::Initiating,
        Config::default(),
        &[remote(0), remote(1)],
    );
    solo.run_for(ms(50));
    let checks = solo.take_requests();
    let (first, second) = (&checks[0], &checks[1]);
    let report = |solo: &mut Solo, path: FiveTuple, quoted: &[u8]| {
        let received = solo.agent.handle_unreachable(solo.now, path, quoted);
        solo.drain();
        received
    };
    // Forged: no transaction, another's, a path that it did not take, a quotation that stops short.
    let mut guessed = first.bytes.clone();
    guessed[19] ^= 1;
    for (path, quoted, reason) in [
        (first.path, &guessed[..], DropReason::UnknownTransaction),
        (second.path, &first.bytes, DropReason::UnknownTransaction),
        (first.path, &first.bytes[..19], DropReason::Malformed),
        (first.path, b"", DropReason::Malformed),
        (first.path, &[22; 100], DropReason::Malformed),
    ] {
        assert_eq!(report(&mut solo, path, quoted), Received::Dropped(reason));
        assert_eq!(state_of(&solo, 0), PairState::InProgress);
    }
    let path = first.path;
    assert_eq!(
        report(&mut solo, path, &first.bytes[..20]),
        Received::Handled
    );
    assert_eq!(state_of(&solo, 0), PairState::Failed);
    assert_eq!(state_of(&solo, 1), PairState::InProgress);
    solo.run_for(ms(30_000));
    let more = solo.take_requests();
    assert!(more.iter().all(|check| check.path.remote == remote(1)));
}

// req: I58
#[test]
fn an_icmp_error_never_fails_a_pair_that_has_succeeded() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    solo.run_for(ms(0));
    let check = solo.take_requests().remove(0);
    let _ = solo.answer(&check);
    // The nominating check is under way on a pair that has succeeded.
    let nominating = solo.take_requests().remove(0);
    assert!(nominating.message().use_candidate());
    let received = solo
        .agent
        .handle_unreachable(solo.now, nominating.path, &nominating.bytes);
    assert_eq!(received, Received::Dropped(DropReason::PairSucceeded));
    let _ = solo.answer(&nominating);
    assert_eq!(solo.agent.state(), State::Connected);
    // Nor does one for a consent check.
    solo.run_for(ms(6_000));
    let consent = solo.take_requests().remove(0);
    let _ = solo
        .agent
        .handle_unreachable(solo.now, consent.path, &consent.bytes);
    assert_eq!(state_of(&solo, 0), PairState::Succeeded);
    assert_eq!(solo.agent.send_path(), Some(consent.path));
    solo.agent.close(solo.now);
    assert_eq!(
        solo.agent
            .handle_unreachable(solo.now, consent.path, &consent.bytes),
        Received::Dropped(DropReason::Closed)
    );
}

// req: I7 I58
#[test]
fn an_icmp_error_for_a_check_that_was_replaced_fails_nothing() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &[remote(0)]);
    let first = solo.take_requests().remove(0);
    // The peer's check opens the way, and is answered by another one of ours; what became of the first is told only now.
    solo.run_for(ms(400));
    let request = solo.check().bytes();
    let _ = solo.receive(remote(0), &request);
    let second = solo.take_requests().remove(0);
    assert_ne!(first.id(), second.id());
    let received = solo
        .agent
        .handle_unreachable(solo.now, first.path, &first.bytes);
    assert_eq!(received, Received::Dropped(DropReason::UnknownTransaction));
    assert_eq!(state_of(&solo, 0), PairState::InProgress);
    assert_eq!(solo.answer(&second), Received::Handled);
    assert_eq!(solo.agent.send_path(), Some(second.path));
}
