//! Answers to checks: which count, and what they say of their pair (RFC 8445 §7.2.5).

use std::net::SocketAddr;

use floe_ice::{Candidate, Config, DropReason, Initiation, Mode, PairState, Received, State};
use floe_stun::{AttributeType, ErrorCode, IntegrityKey};

use crate::support::solo::{Solo, local, remote, remotes, success};
use crate::support::{address, ms, secs};

// req: I8
#[test]
fn an_answer_that_is_not_authentic_leaves_the_check_open() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    let forged = success(checks[0].id(), local(), "another-password-entirely");
    assert_eq!(
        solo.receive(remote(0), &forged),
        Received::Dropped(DropReason::BadIntegrity)
    );
    assert_eq!(solo.agent.state(), State::Checking);
    assert_eq!(solo.answer(&checks[0]), Received::Handled);
    assert_eq!(solo.agent.state(), State::Connected);
}

// req: I8
#[test]
fn an_answer_is_taken_once() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    solo.run_for(ms(20));
    assert_eq!(solo.answer(&checks[0]), Received::Handled);
    solo.run_for(ms(900));
    assert_eq!(
        solo.answer(&checks[0]),
        Received::Dropped(DropReason::UnknownTransaction)
    );
    let pair = solo.agent.selected_candidate_pair().unwrap();
    assert_eq!(
        pair.rtt,
        Some(ms(20)),
        "a duplicate does not stretch the round trip"
    );
}

// req: I8
#[test]
fn an_asymmetric_answer_fails_the_pair_unless_it_had_succeeded() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    let response = solo.success_to(&checks[0], local());
    assert_eq!(
        solo.receive(remote(7), &response),
        Received::Dropped(DropReason::AsymmetricResponse)
    );
    assert_eq!(
        solo.agent.candidate_pairs().next().unwrap().state,
        PairState::Failed
    );
    // A request revives it; this time it succeeds, and later asymmetry is only dropped.
    let request = solo.check().bytes();
    let _ = solo.receive(remote(0), &request);
    solo.run_for(ms(50));
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    solo.run_for(secs(7));
    let consent = solo.take_requests();
    let response = solo.success_to(&consent[0], local());
    assert_eq!(
        solo.receive(remote(7), &response),
        Received::Dropped(DropReason::AsymmetricResponse)
    );
    assert_eq!(
        solo.agent.candidate_pairs().next().unwrap().state,
        PairState::Succeeded
    );
    assert_eq!(solo.agent.state(), State::Connected);
}

// req: I8
#[test]
fn a_mapped_spelling_of_the_same_address_is_symmetric() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    let std::net::IpAddr::V4(v4) = remote(0).ip() else {
        panic!("IPv4")
    };
    let mapped = SocketAddr::from((v4.to_ipv6_mapped(), remote(0).port()));
    let response = solo.success_to(&checks[0], local());
    assert_eq!(solo.receive(mapped, &response), Received::Handled);
    assert_eq!(solo.agent.state(), State::Connected);
}

// req: S5 I9
#[test]
fn a_role_conflict_with_an_unknown_attribute_is_not_believed() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    let key = IntegrityKey::short_term(solo.peer.password().as_bytes());
    let mut buf = [0; 200];
    let conflict = floe_stun::Writer::error(
        &mut buf,
        floe_stun::Method::BINDING,
        checks[0].id(),
        ErrorCode::ROLE_CONFLICT,
    );
    let len = conflict
        .attribute(AttributeType::new(0x7ff0), &[])
        .integrity(&key)
        .fingerprint()
        .unwrap();
    assert_eq!(solo.receive(remote(0), &buf[..len]), Received::Handled);
    assert_eq!(solo.agent.role(), Some(floe_ice::Role::Controlling));
    assert_eq!(
        solo.agent.candidate_pairs().next().unwrap().state,
        PairState::Failed
    );
}

// req: I8 S5
#[test]
fn an_error_answer_fails_the_pair_and_an_unknown_attribute_does_too() {
    for sha in [false, true] {
        let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
        let checks = solo.take_requests();
        let response = if sha {
            let mut buf = [0; 200];
            let key = IntegrityKey::short_term(solo.peer.password().as_bytes());
            let len =
                floe_stun::Writer::success(&mut buf, floe_stun::Method::BINDING, checks[0].id())
                    .xor_mapped_address(local())
                    .attribute(AttributeType::new(0x7ff0), &[])
                    .integrity(&key)
                    .fingerprint()
                    .unwrap();
            buf[..len].to_vec()
        } else {
            solo.error_to(&checks[0], ErrorCode::BAD_REQUEST)
        };
        assert_eq!(solo.receive(remote(0), &response), Received::Handled);
        assert_eq!(
            solo.agent.candidate_pairs().next().unwrap().state,
            PairState::Failed
        );
    }
}

// req: I8
#[test]
fn an_asymmetric_answer_to_the_nominating_check_is_dropped_and_the_pair_stays() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    let _ = solo.answer(&checks[0]);
    let nominating = solo.take_requests();
    let response = solo.success_to(&nominating[0], local());
    assert_eq!(
        solo.receive(remote(7), &response),
        Received::Dropped(DropReason::AsymmetricResponse)
    );
    let pair = solo
        .agent
        .selected_candidate_pair()
        .expect("the pair had succeeded");
    assert!(!pair.nominated);
    assert_eq!(solo.agent.state(), State::Connected);
    // It is tried again.
    let nominating = solo.take_requests();
    let _ = solo.answer(&nominating[0]);
    assert!(solo.agent.selected_candidate_pair().unwrap().nominated);
}

// req: I7
#[test]
fn a_repetition_that_was_answered_while_it_waited_is_not_sent() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    let checks = solo.take_requests();
    solo.now += ms(500);
    solo.agent.handle_timeout(solo.now);
    // Nobody polls before the answer arrives.
    assert_eq!(solo.answer(&checks[0]), Received::Handled);
    assert!(solo.take_requests().is_empty());
}

/// An agent with two sockets and one on TCP, whose check to `remote(0)` is under way.
fn with_three_sockets() -> (Solo, crate::support::solo::Sent) {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
    let check = solo.take_requests().pop().unwrap();
    let other = Candidate::host(address(1, 1));
    let tcp = Candidate::host(local()).over_tcp(floe_ice::TcpType::Active);
    for candidate in [other, tcp] {
        solo.agent.add_local_candidate(solo.now, candidate).unwrap();
    }
    (solo, check)
}

// req: I8
#[test]
fn an_answer_is_asymmetric_by_its_source_its_destination_or_its_transport() {
    use floe_ice::{FiveTuple, Protocol};
    let sent_on = FiveTuple::udp(local(), remote(0));
    let ways = [
        FiveTuple {
            remote: remote(7),
            ..sent_on
        },
        FiveTuple {
            remote: SocketAddr::new(address(9, 0).ip(), remote(0).port()),
            ..sent_on
        },
        FiveTuple {
            local: address(1, 1),
            ..sent_on
        },
        FiveTuple {
            protocol: Protocol::Tcp,
            ..sent_on
        },
    ];
    for way in ways {
        let (mut solo, check) = with_three_sockets();
        let response = solo.success_to(&check, local());
        let received = solo.agent.handle_datagram(solo.now, way, &response);
        assert_eq!(
            received,
            Received::Dropped(DropReason::AsymmetricResponse),
            "{way:?}"
        );
        let state = |solo: &Solo| solo.agent.candidate_pairs().next().unwrap().state;
        assert_eq!(state(&solo), PairState::Failed);
        // The transaction is over: the same answer the right way comes too late.
        let received = solo.agent.handle_datagram(solo.now, sent_on, &response);
        assert_eq!(received, Received::Dropped(DropReason::UnknownTransaction));
        assert_eq!(state(&solo), PairState::Failed);
    }
    let (mut solo, check) = with_three_sockets();
    let response = solo.success_to(&check, local());
    let received = solo.agent.handle_datagram(solo.now, sent_on, &response);
    assert_eq!(received, Received::Handled);
}

// req: I8
#[test]
fn a_zone_is_part_of_a_link_local_address_and_a_flow_label_of_none() {
    use floe_ice::FiveTuple;
    use std::net::SocketAddrV6;
    let at = |ip: &str, flow, zone| {
        SocketAddr::V6(SocketAddrV6::new(ip.parse().unwrap(), 5000, flow, zone))
    };
    for (answers, from, to) in [
        (true, at("fe80::9", 0, 4), at("fe80::1", 0, 4)),
        (true, at("fe80::9", 77, 4), at("fe80::1", 88, 4)),
        // The peer has no idea of our zones, nor has a socket that does not tell them.
        (true, at("fe80::9", 0, 0), at("fe80::1", 0, 4)),
        (false, at("fe80::9", 0, 5), at("fe80::1", 0, 5)),
    ] {
        let mut config = Config::default();
        config.addresses.link_local = floe_ice::Access::Allowed;
        let mut solo = Solo::new(Mode::Full, Initiation::Initiating, config);
        let host = Candidate::host(at("fe80::1", 3, 4));
        solo.agent.add_local_candidate(solo.now, host).unwrap();
        solo.meet();
        solo.agent
            .add_remote_candidate(solo.now, Candidate::host(at("fe80::9", 0, 0)))
            .unwrap();
        let check = solo.take_requests().pop().unwrap();
        assert_eq!(check.path.remote, at("fe80::9", 0, 4), "in our zone");
        let response = solo.success_to(&check, at("fe80::1", 0, 0));
        let path = FiveTuple::udp(to, from);
        let received = solo.agent.handle_datagram(solo.now, path, &response);
        assert_eq!(received == Received::Handled, answers, "{path:?}");
        assert_eq!(solo.agent.candidate_pairs().count(), 1);
    }
}

// req: I8 S7
#[test]
fn of_two_answers_to_one_check_the_first_counts_whatever_the_second_says() {
    for second in [
        ErrorCode::BAD_REQUEST,
        ErrorCode::ROLE_CONFLICT,
        ErrorCode::FORBIDDEN,
    ] {
        let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
        let check = solo.take_requests().pop().unwrap();
        assert_eq!(solo.answer(&check), Received::Handled);
        let later = solo.error_to(&check, second);
        assert_eq!(
            solo.receive(remote(0), &later),
            Received::Dropped(DropReason::UnknownTransaction)
        );
        assert_eq!(solo.agent.state(), State::Connected);
        assert_eq!(solo.agent.role(), Some(floe_ice::Role::Controlled));
    }
}

// req: S10
#[test]
fn the_whole_transaction_id_is_compared() {
    let mut solo = Solo::checking(Initiation::Responding, Config::default(), &remotes(1));
    solo.agent
        .set_route(floe_stun::RouteKey::from_bytes([5; 16]), 77);
    let check = solo.take_requests().pop().unwrap();
    for bit in 0..96 {
        let mut id = *check.id().as_bytes();
        id[bit / 8] ^= 1 << (bit % 8);
        let id = floe_stun::TransactionId::from_bytes(id);
        let response = success(id, local(), solo.peer.password());
        assert_eq!(
            solo.receive(remote(0), &response),
            Received::Dropped(DropReason::UnknownTransaction),
            "bit {bit}"
        );
    }
    assert_eq!(solo.answer(&check), Received::Handled);
}

/// The same message without its FINGERPRINT, which is its last attribute.
fn without_fingerprint(message: &[u8]) -> Vec<u8> {
    let mut message = message[..message.len() - 8].to_vec();
    let length = u16::try_from(message.len() - 20).unwrap();
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message
}

fn with_another_fingerprint(message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    *message.last_mut().unwrap() ^= 1;
    message
}

// req: S4 I8
#[test]
fn an_answer_counts_with_its_fingerprint_only_to_whatever_it_answers() {
    type Spoil = fn(&[u8]) -> Vec<u8>;
    let spoilt: [(Spoil, DropReason); 2] = [
        (without_fingerprint, DropReason::MissingFingerprint),
        (with_another_fingerprint, DropReason::BadFingerprint),
    ];
    for (spoil, reason) in spoilt {
        let dropped = Received::Dropped(reason);
        let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &remotes(1));
        let check = solo.take_requests().remove(0);
        let success = solo.success_to(&check, local());
        let conflict = solo.error_to(&check, ErrorCode::ROLE_CONFLICT);
        for answer in [&success, &conflict] {
            assert_eq!(solo.receive(remote(0), &spoil(answer)), dropped);
        }
        assert_eq!(solo.agent.state(), State::Checking);
        assert_eq!(solo.agent.role(), Some(floe_ice::Role::Controlling));
        // The transaction is open all the while.
        assert_eq!(solo.receive(remote(0), &success), Received::Handled);
        assert_eq!(solo.agent.state(), State::Connected);

        let mut solo = crate::support::solo::in_a_call();
        solo.run_for(secs(6));
        let check = solo.take_requests().remove(0);
        let success = solo.success_to(&check, local());
        assert_eq!(solo.receive(remote(0), &spoil(&success)), dropped);
        assert!(solo.agent.consent_age(solo.now) >= Some(secs(4)));
        assert_eq!(solo.receive(remote(0), &success), Received::Handled);
        assert_eq!(solo.agent.consent_age(solo.now), Some(ms(0)));
    }
}
