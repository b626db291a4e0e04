//! Candidates in text (RFC 8839 §5.1), announced addresses, and adding and removing them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use floe_ice::{
    ApiMisuse, Candidate, CandidateType, Config, Foundation, GatheringState, Initiation,
    InvalidCandidate, Mode, PairState, Protocol, Reason, Removal, State, TcpType,
};
use proptest::prelude::*;

use crate::support::solo::{Solo, local, remote};
use crate::support::{address, connected, ms, secs};

fn parse(text: &str) -> Result<Candidate, InvalidCandidate> {
    text.parse()
}

// req: I2
#[test]
fn what_browsers_send_is_read() {
    let host = parse(
        "candidate:842163049 1 udp 1677729535 203.0.113.5 46154 typ srflx raddr 10.0.0.17 rport 46154 \
         generation 0 ufrag EsAw network-cost 999",
    )
    .unwrap();
    assert_eq!(host.kind(), CandidateType::ServerReflexive);
    assert_eq!(host.address(), Some("203.0.113.5:46154".parse().unwrap()));
    assert_eq!(host.related(), Some("10.0.0.17:46154".parse().unwrap()));
    assert_eq!(host.priority(), 1_677_729_535);
    assert_eq!(host.username_fragment(), Some("EsAw"));
    assert_eq!(host.foundation().as_str(), "842163049");

    let name = "1f4712db-ea17-4bcf-a596-105139dfd8bf.local";
    let mdns = parse(&format!(
        "a=candidate:0 1 UDP 2122252543 {name} 50000 typ host"
    ))
    .unwrap();
    assert_eq!((mdns.host_name(), mdns.address()), (Some(name), None));
    let resolved = mdns.resolved(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    assert_eq!(resolved.address(), Some("192.0.2.7:50000".parse().unwrap()));

    let tcp = parse("1 1 TCP 1518280447 192.0.2.1 9 typ host tcptype active").unwrap();
    assert_eq!(
        (tcp.protocol(), tcp.tcp_type()),
        (Protocol::Tcp, Some(TcpType::Active))
    );
    let v6 = parse("candidate:1 1 udp 2130706431 2001:db8::1 5000 typ host").unwrap();
    assert_eq!(v6.address(), Some("[2001:db8::1]:5000".parse().unwrap()));
}

// req: I2
#[test]
fn what_is_malformed_is_refused_with_its_reason() {
    use InvalidCandidate::*;
    let table = [
        ("", Truncated),
        ("candidate:1 1 udp 1 192.0.2.1", Truncated),
        (
            "candidate:not-ice! 1 udp 1 192.0.2.1 1 typ host",
            Foundation,
        ),
        ("candidate:1 0 udp 1 192.0.2.1 1 typ host", Component),
        ("candidate:1 257 udp 1 192.0.2.1 1 typ host", Component),
        ("candidate:1 1 sctp 1 192.0.2.1 1 typ host", Transport),
        ("candidate:1 1 udp 0 192.0.2.1 1 typ host", Priority),
        (
            "candidate:1 1 udp 2147483648 192.0.2.1 1 typ host",
            Priority,
        ),
        ("candidate:1 1 udp 1 300.1.1.1 1 typ host", Address),
        ("candidate:1 1 udp 1 na/me 1 typ host", Address),
        ("candidate:1 1 udp 1 192.0.2.1 65536 typ host", Port),
        ("candidate:1 1 udp 1 192.0.2.1 1 typ hosts", Type),
        ("candidate:1 1 udp 1 192.0.2.1 1 kind host", Type),
        (
            "candidate:1 1 udp 1 192.0.2.1 1 typ srflx raddr 10.0.0.1",
            RelatedAddress,
        ),
        (
            "candidate:1 1 udp 1 192.0.2.1 1 typ srflx rport 1",
            RelatedAddress,
        ),
        ("candidate:1 1 tcp 1 192.0.2.1 1 typ host", TcpType),
        (
            "candidate:1 1 udp 1 192.0.2.1 1 typ host tcptype so",
            TcpType,
        ),
        (
            "candidate:1 1 tcp 1 192.0.2.1 1 typ host tcptype both",
            TcpType,
        ),
        ("candidate:1 1 udp 1 192.0.2.1 1 typ host ufrag", Extension),
        (
            "candidate:1 1 udp 1 192.0.2.1 1 typ host ufrag abc",
            Extension,
        ),
    ];
    for (text, reason) in table {
        assert_eq!(parse(text), Err(reason), "{text}");
    }
}

fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        // Mapped addresses are canonicalized: they do not print as they were.
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits | 1 << 127))),
    ]
}

fn any_candidate() -> impl Strategy<Value = String> {
    let location = prop_oneof![
        any_ip().prop_map(|ip| ip.to_string()),
        "[a-z]{1,20}\\.local"
    ];
    let kind = prop_oneof![
        Just("host".to_owned()),
        (any_ip(), any::<u16>()).prop_map(|(ip, port)| format!("srflx raddr {ip} rport {port}")),
        (any_ip(), any::<u16>()).prop_map(|(ip, port)| format!("prflx raddr {ip} rport {port}")),
        (any_ip(), any::<u16>()).prop_map(|(ip, port)| format!("relay raddr {ip} rport {port}")),
    ];
    let tcp = prop::option::of(prop_oneof![Just("active"), Just("passive"), Just("so")]);
    let fragment = prop::option::of("[A-Za-z0-9+/]{4,32}");
    (("[A-Za-z0-9+/]{1,32}", 1_u16..=256, 1_u32..=0x7fff_ffff), location, any::<u16>(), kind, tcp, fragment).prop_map(
        |((foundation, component, priority), location, port, kind, tcp, fragment)| {
            let protocol = if tcp.is_some() { "tcp" } else { "udp" };
            let tcp = tcp.map(|tcp| format!(" tcptype {tcp}")).unwrap_or_default();
            let fragment = fragment.map(|fragment| format!(" ufrag {fragment}")).unwrap_or_default();
            format!("candidate:{foundation} {component} {protocol} {priority} {location} {port} typ {kind}{tcp}{fragment}")
        },
    )
}

proptest! {
    // req: I2
    #[test]
    fn the_text_form_survives_a_round_trip(text in any_candidate()) {
        let candidate: Candidate = text.parse().unwrap();
        prop_assert_eq!(candidate.to_string(), text);
    }

    // req: I2
    #[test]
    fn no_text_panics(text in "\\PC*", tail in "candidate:1 1 (udp|tcp) [0-9]{0,12} [0-9a-f:.]{0,20} [0-9]{0,7} typ .*") {
        let _ = parse(&text);
        let _ = parse(&tail);
    }
}

// req: I2
#[test]
fn what_the_constructors_make_is_signalled_and_read_back() {
    let base: SocketAddr = "10.0.0.1:5000".parse().unwrap();
    let seen: SocketAddr = "203.0.113.1:6000".parse().unwrap();
    let of_us = [
        Candidate::host(base),
        Candidate::server_reflexive(seen, base),
        Candidate::relayed(seen, base),
        Candidate::host(base).over_tcp(TcpType::Passive),
        Candidate::host(base).over_tcp(TcpType::Active),
        Candidate::host(base).over_tcp(TcpType::SimultaneousOpen),
        Candidate::host("[2001:db8::7]:5000".parse().unwrap()),
        Candidate::host(base)
            .with_foundation(Foundation::new("f0").unwrap())
            .with_priority(77),
        Candidate::host(base).with_username_fragment("abcd"),
    ];
    for ours in of_us {
        let theirs: Candidate = ours.to_string().parse().unwrap();
        assert_eq!(theirs.kind(), ours.kind());
        assert_eq!(theirs.address(), ours.address());
        assert_eq!(theirs.related(), ours.related());
        assert_eq!(theirs.priority(), ours.priority());
        assert_eq!(theirs.foundation(), ours.foundation());
        assert_eq!(theirs.tcp_type(), ours.tcp_type());
        assert_eq!(theirs.username_fragment(), ours.username_fragment());
    }
}

// req: I2 I3
#[test]
fn pairs_are_formed_by_base() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    let at = |host: u8, n: u16| SocketAddr::from(([203, 0, 113, host], 7000 + n));
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    for n in 1..16 {
        let reflexive = Candidate::server_reflexive(at(1, n), local());
        solo.agent.add_local_candidate(solo.now, reflexive).unwrap();
    }
    solo.meet();
    for n in 0..16 {
        solo.agent
            .add_remote_candidate(solo.now, Candidate::host(at(2, n)))
            .unwrap();
    }
    let pairs: Vec<_> = solo.agent.candidate_pairs().collect();
    assert_eq!(pairs.len(), 16);
    assert!(
        pairs
            .iter()
            .all(|p| p.pair.path.local == local() && p.pair.local == CandidateType::Host)
    );
    // A relayed candidate is a base of its own.
    let relayed = Candidate::relayed(at(3, 0), at(1, 1));
    solo.agent.add_local_candidate(solo.now, relayed).unwrap();
    assert_eq!(solo.agent.candidate_pairs().count(), 32);
}

// req: I3
#[test]
fn addresses_pair_only_with_their_like() {
    let mut config = Config::default();
    config.addresses.link_local = floe_ice::Access::Allowed;
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, config);
    for local in ["192.0.2.1:1", "[2001:db8::1]:1", "[fe80::1]:1"] {
        solo.agent
            .add_local_candidate(solo.now, Candidate::host(local.parse().unwrap()))
            .unwrap();
    }
    let tcp = Candidate::host("192.0.2.1:2".parse().unwrap()).over_tcp(TcpType::Active);
    solo.agent.add_local_candidate(solo.now, tcp).unwrap();
    solo.meet();
    let mut paths = |text: &str| {
        let before = solo.agent.candidate_pairs().count();
        solo.agent
            .add_remote_candidate(solo.now, text.parse().unwrap())
            .unwrap();
        let added = solo.agent.candidate_pairs().skip(before);
        added
            .map(|p| p.pair.path.local.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(paths("1 1 udp 9 198.51.100.1 9 typ host"), ["192.0.2.1:1"]);
    assert_eq!(
        paths("1 1 udp 9 2001:db8::9 9 typ host"),
        ["[2001:db8::1]:1"]
    );
    assert_eq!(paths("1 1 udp 9 fe80::9 9 typ host"), ["[fe80::1]:1"]);
    assert_eq!(
        paths("1 1 tcp 9 198.51.100.1 9 typ host tcptype passive"),
        ["192.0.2.1:2"]
    );
    assert_eq!(
        paths("1 1 tcp 9 198.51.100.1 8 typ host tcptype active"),
        [""; 0]
    );
    assert_eq!(paths("1 2 udp 9 198.51.100.1 7 typ host"), [""; 0]);
    assert_eq!(paths("1 1 udp 9 x.local 9 typ host"), [""; 0]);
    // A mapped address is no second address.
    assert_eq!(paths("1 1 udp 9 ::ffff:198.51.100.1 9 typ host"), [""; 0]);
}

// req: I3
#[test]
fn a_full_checklist_replaces_failed_pairs_before_it_drops_new_ones() {
    let mut config = Config::default();
    config.max_pairs = 4;
    config.max_remote_candidates = 100;
    let remotes: Vec<SocketAddr> = (0..6).map(remote).collect();
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes);
    assert_eq!(solo.agent.candidate_pairs().count(), 4);
    assert_eq!(solo.agent.stats().pairs_dropped, 2);
    solo.run_for(secs(60));
    assert_eq!(solo.agent.state(), State::Disconnected);
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(9)))
        .unwrap();
    assert_eq!(solo.agent.candidate_pairs().count(), 4);
    assert!(
        solo.agent
            .candidate_pairs()
            .any(|p| p.pair.path.remote == remote(9))
    );
    // A peer-reflexive one counts like any other: the cap holds.
    let check = solo.check().bytes();
    let _ = solo.receive(remote(50), &check);
    assert_eq!(solo.agent.candidate_pairs().count(), 4);
}

// req: I13
#[test]
fn local_candidates_come_and_go_at_run_time() {
    let mut story = connected(1);
    let (now, second) = (story.now(), address(1, 7));
    story
        .a
        .agent
        .add_local_candidate(now, Candidate::host(second))
        .unwrap();
    assert_eq!(story.a.state(), State::Completed);
    assert_eq!(
        story.a.agent.remove_local_candidate(now, second),
        Removal::Removed
    );
    assert_eq!(
        story.a.agent.remove_local_candidate(now, second),
        Removal::NotFound
    );
    assert_eq!(story.a.state(), State::Completed);
    assert_eq!(
        story.a.agent.remove_local_candidate(now, address(1, 0)),
        Removal::SelectedPairLost
    );
    assert_eq!(story.a.agent.send_path(), None);
    // Without any local candidate there is nothing to wait for.
    story.drive();
    assert_eq!(story.a.last_transition().to, State::Failed);
    assert_eq!(story.a.last_transition().reason, Reason::CandidateRemoved);
}

// req: I13
#[test]
fn remote_candidates_are_removed_by_address_with_a_warning() {
    let mut story = connected(1);
    let now = story.now();
    assert_eq!(
        story.a.agent.remove_remote_candidate(now, address(9, 9)),
        Removal::NotFound
    );
    assert_eq!(
        story.a.agent.remove_remote_candidate(now, address(2, 0)),
        Removal::SelectedPairLost
    );
    story.drive();
    assert_eq!(story.a.last_transition().reason, Reason::CandidateRemoved);
}

// req: I66
#[test]
fn an_announced_address_and_its_base_are_one() {
    let (bound, announced) = (local(), "203.0.113.7:5000".parse().unwrap());
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, Config::default());
    let candidate = Candidate::host(bound).announced_as(announced);
    assert!(candidate.to_string().contains("203.0.113.7 5000 typ host"));
    solo.agent.add_local_candidate(solo.now, candidate).unwrap();
    solo.meet();
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(0)))
        .unwrap();
    let [check] = &solo.take_requests()[..] else {
        panic!("one check")
    };
    assert_eq!(check.path.local, bound, "checks leave from the base");
    // The peer sees the announced address: that is our host candidate, and nothing new.
    let response = solo.success_to(check, announced);
    let _ = solo.receive(remote(0), &response);
    let pair = solo.agent.selected_candidate_pair().unwrap();
    assert_eq!(pair.local, CandidateType::Host);
    assert_eq!(solo.agent.local_candidates().count(), 1);
    // A datagram that the caller says arrived at the announced address is on the same path.
    let request = solo.check().bytes();
    let path = floe_ice::FiveTuple::udp(announced, remote(0));
    let _ = solo.agent.handle_datagram(solo.now, path, &request);
    assert_eq!(solo.agent.candidate_pairs().count(), 1);
    assert!(solo.agent.accepts_from(&path) && solo.agent.is_proven(&path));
}

// req: I66
#[test]
fn a_wildcard_socket_is_one_base_for_all_its_addresses() {
    // An IPv6 wildcard carries IPv4 too.
    for wildcard in ["0.0.0.0:5000", "[::]:5000"] {
        is_one_base(wildcard.parse().unwrap());
    }
}

fn is_one_base(wildcard: SocketAddr) {
    let actual: SocketAddr = "10.0.0.5:5000".parse().unwrap();
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, Config::default());
    let candidate = Candidate::host(wildcard).announced_as("203.0.113.7:5000".parse().unwrap());
    solo.agent.add_local_candidate(solo.now, candidate).unwrap();
    solo.meet();
    let request = solo.check().bytes();
    let _ = solo.agent.handle_datagram(
        solo.now,
        floe_ice::FiveTuple::udp(actual, remote(0)),
        &request,
    );
    let sent = solo.take();
    let (answer, check) = (&sent[0], &sent[1]);
    assert!(!answer.is_request() && check.is_request());
    assert_eq!(
        answer.path.local, actual,
        "the answer goes back the way the request came"
    );
    assert_eq!(
        check.path.local, wildcard,
        "the check leaves from the socket"
    );
    let response = solo.success_to(check, actual);
    let _ = solo.agent.handle_datagram(
        solo.now,
        floe_ice::FiveTuple::udp(actual, remote(0)),
        &response,
    );
    let pair = solo
        .agent
        .selected_candidate_pair()
        .expect("the response came to the base it was sent from");
    assert_eq!(pair.local, CandidateType::Host);
    solo.run_for(ms(10));
    assert_eq!(solo.agent.candidate_pairs().count(), 1);
}

// req: I2
#[test]
fn a_mapped_address_that_is_new_becomes_a_local_peer_reflexive_candidate() {
    let mut solo = Solo::checking(Initiation::Initiating, Config::default(), &[remote(0)]);
    let checks = solo.take_requests();
    let outside: SocketAddr = "203.0.113.99:40000".parse().unwrap();
    let response = solo.success_to(&checks[0], outside);
    let _ = solo.receive(remote(0), &response);
    let found = solo.agent.local_candidates().last().unwrap().clone();
    assert_eq!(
        (found.kind(), found.address(), found.base()),
        (CandidateType::PeerReflexive, Some(outside), Some(local()))
    );
    assert_eq!(
        Some(found.priority()),
        checks[0].message().priority(),
        "what PRIORITY promised"
    );
    assert_eq!(
        solo.agent.selected_candidate_pair().unwrap().local,
        CandidateType::PeerReflexive
    );
}

// req: I1
#[test]
fn misuse_is_an_error() {
    let mut solo = Solo::new(Mode::Lite, Initiation::Responding, Config::default());
    let now = solo.now;
    let named: Candidate = "candidate:0 1 udp 1 x.local 1 typ host".parse().unwrap();
    assert_eq!(
        solo.agent.add_local_candidate(now, named),
        Err(ApiMisuse::CandidateWithoutAddress)
    );
    let reflexive = Candidate::server_reflexive(remote(0), local());
    assert_eq!(
        solo.agent.add_local_candidate(now, reflexive),
        Err(ApiMisuse::LiteTakesHostCandidatesOnly)
    );
    let prflx: Candidate = "candidate:0 1 udp 1 192.0.2.1 1 typ prflx".parse().unwrap();
    assert_eq!(
        solo.agent.add_local_candidate(now, prflx),
        Err(ApiMisuse::PeerReflexiveIsNotAdded)
    );
    solo.agent.close(now);
    assert_eq!(
        solo.agent
            .add_local_candidate(now, Candidate::host(local())),
        Err(ApiMisuse::Closed)
    );
}

// req: I2
#[test]
fn foundations_tell_apart_what_may_behave_differently() {
    let base: SocketAddr = "10.0.0.1:5000".parse().unwrap();
    let seen: SocketAddr = "203.0.113.1:6000".parse().unwrap();
    let other_port: SocketAddr = "203.0.113.1:6001".parse().unwrap();
    let server = |n: u8| IpAddr::V4(Ipv4Addr::new(198, 51, 100, n));
    let through = |n| Candidate::server_reflexive(seen, base).found_through(server(n));
    // One type, base, server and protocol: alike, whatever the port.
    let again = Candidate::server_reflexive(other_port, base).found_through(server(1));
    assert_eq!(through(1).foundation(), again.foundation());
    let different = [
        through(1),
        through(2),
        Candidate::server_reflexive(seen, base),
        Candidate::host(base),
        Candidate::host("10.0.0.2:5000".parse().unwrap()),
        Candidate::host(base).over_tcp(TcpType::Passive),
        Candidate::relayed(seen, base).found_through(server(1)),
        Candidate::relayed(seen, base).found_through(server(2)),
    ];
    let foundations: std::collections::HashSet<_> =
        different.iter().map(|c| c.foundation()).collect();
    assert_eq!(foundations.len(), different.len());
}

// req: I2
#[test]
fn tcp_candidates_are_liked_less_than_udp_ones_and_by_who_connects() {
    let base: SocketAddr = "10.0.0.1:5000".parse().unwrap();
    let over = |tcp_type| Candidate::host(base).over_tcp(tcp_type).priority();
    assert!(over(TcpType::Active) > over(TcpType::Passive));
    assert!(over(TcpType::Passive) > over(TcpType::SimultaneousOpen));
    let seen = Candidate::server_reflexive("203.0.113.1:6000".parse().unwrap(), base);
    let reflexive = |tcp_type| seen.clone().over_tcp(tcp_type).priority();
    assert!(reflexive(TcpType::SimultaneousOpen) > reflexive(TcpType::Active));
    assert!(reflexive(TcpType::Active) > reflexive(TcpType::Passive));
    // A preference of the caller's stays below UDP's too.
    let liked = Candidate::host(base)
        .over_tcp(TcpType::Active)
        .with_local_preference(65_535);
    assert_eq!(liked.priority(), 90 << 24 | 65_535 << 8 | 255);
    assert!(liked.priority() < Candidate::server_reflexive(base, base).priority());
}

// req: I2
#[test]
fn a_stranger_has_a_foundation_of_its_own_and_the_priority_it_promised() {
    let mut config = Config::default();
    config.freezing = floe_ice::Freezing::On;
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, config);
    solo.agent
        .add_local_candidate(solo.now, Candidate::host(local()))
        .unwrap();
    solo.meet();
    // Two from one address: were they alike, the second would be frozen behind the first.
    for n in 0..2 {
        let mut request = solo.check();
        request.priority = Some(1000 + u32::from(n));
        let _ = solo.receive(remote(n), &request.bytes());
    }
    let pairs: Vec<_> = solo.agent.candidate_pairs().collect();
    assert_eq!(pairs.len(), 2);
    assert!(
        pairs
            .iter()
            .all(|p| p.pair.remote == CandidateType::PeerReflexive && p.state != PairState::Frozen)
    );
    // 2³² × the lesser, which is theirs: RFC 8445 §6.1.2.3.
    assert_eq!(
        [pairs[0].priority >> 32, pairs[1].priority >> 32],
        [1000, 1001]
    );
}

// req: I3
#[test]
fn the_default_cap_is_a_hundred_and_holds_for_strangers_too() {
    let mut config = Config::default();
    assert_eq!(config.max_pairs, 100);
    config.max_remote_candidates = 1000;
    config.max_peer_reflexive = 1000;
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, config);
    for n in 0..2 {
        solo.agent
            .add_local_candidate(solo.now, Candidate::host(address(1, n)))
            .unwrap();
    }
    solo.meet();
    for n in 0..49 {
        solo.agent
            .add_remote_candidate(solo.now, Candidate::host(remote(n)))
            .unwrap();
    }
    assert_eq!(solo.agent.candidate_pairs().count(), 98);
    for n in 100..110 {
        let check = solo.check().bytes();
        let _ = solo.receive(remote(n), &check);
    }
    assert_eq!(solo.agent.candidate_pairs().count(), 100);
    assert_eq!(solo.agent.stats().pairs_dropped, 8);
    // Answered all the same.
    assert_eq!(solo.agent.stats().responses_sent, 10);
}

// req: I3
#[test]
fn of_the_failed_pairs_the_least_makes_room_and_none_that_may_yet_work() {
    let mut config = Config::default();
    config.max_pairs = 3;
    let remotes: Vec<SocketAddr> = (0..3).map(remote).collect();
    let mut solo = Solo::checking(Initiation::Initiating, config, &remotes);
    solo.run_for(ms(200));
    let checks = solo.take_requests();
    let add = |solo: &mut Solo, n: u16| {
        let candidate = Candidate::host(remote(n)).with_local_preference(65_000);
        let _ = solo.agent.add_remote_candidate(solo.now, candidate);
        solo.agent
            .candidate_pairs()
            .map(|p| p.pair.path.remote)
            .collect::<Vec<_>>()
    };
    // All are under way: the newcomer is dropped, however good.
    assert_eq!(add(&mut solo, 7), remotes);
    assert_eq!(solo.agent.stats().pairs_dropped, 1);
    for check in checks.iter().filter(|c| c.path.remote != remote(2)).take(2) {
        let refusal = solo.error_to(check, floe_stun::ErrorCode::BAD_REQUEST);
        let _ = solo.receive(check.path.remote, &refusal);
    }
    // The newcomer comes up after all, in the place of one that failed.
    let pairs = solo.agent.candidate_pairs();
    let remotes: Vec<_> = pairs.map(|p| p.pair.path.remote).collect();
    assert_eq!(remotes, [remote(1), remote(2), remote(7)]);
    // Of the failed ones the one with the lower priority goes first.
    let check = solo.take_requests().pop().unwrap();
    let refusal = solo.error_to(&check, floe_stun::ErrorCode::BAD_REQUEST);
    let _ = solo.receive(remote(7), &refusal);
    assert_eq!(add(&mut solo, 8), [remote(2), remote(7), remote(8)]);
    assert_eq!(solo.agent.stats().pairs_dropped, 1, "nothing else was lost");
}

// req: I3
#[test]
fn pairs_are_formed_as_candidates_come_on_either_side() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    solo.meet();
    let count = |solo: &Solo| solo.agent.candidate_pairs().count();
    let add_local = |solo: &mut Solo, n| {
        let candidate = Candidate::host(address(1, n));
        solo.agent.add_local_candidate(solo.now, candidate).unwrap();
    };
    let add_remote = |solo: &mut Solo, n| {
        let candidate = Candidate::host(remote(n));
        solo.agent
            .add_remote_candidate(solo.now, candidate)
            .unwrap();
    };
    add_local(&mut solo, 0);
    assert_eq!(count(&solo), 0);
    add_remote(&mut solo, 0);
    assert_eq!(count(&solo), 1);
    let first = solo.agent.candidate_pairs().next().unwrap().pair.id;
    add_local(&mut solo, 1);
    assert_eq!(count(&solo), 2);
    add_remote(&mut solo, 1);
    assert_eq!(count(&solo), 4);
    assert_eq!(
        solo.agent.candidate_pairs().next().unwrap().pair.id,
        first,
        "what was formed before stays"
    );
}

// req: I13
#[test]
fn removing_goes_by_transport_address() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    let seen: SocketAddr = "203.0.113.1:6000".parse().unwrap();
    let add = |solo: &mut Solo| {
        for candidate in [
            Candidate::host(local()),
            Candidate::server_reflexive(seen, local()),
        ] {
            solo.agent.add_local_candidate(solo.now, candidate).unwrap();
        }
    };
    add(&mut solo);
    solo.meet();
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(0)))
        .unwrap();
    let pairs = |solo: &Solo| solo.agent.candidate_pairs().count();
    // The reflexive one goes alone: its base still has a candidate, and its pairs.
    assert_eq!(
        solo.agent.remove_local_candidate(solo.now, seen),
        Removal::Removed
    );
    assert_eq!(
        (solo.agent.local_candidates().count(), pairs(&solo)),
        (1, 1)
    );
    // With the base go all that stand on it.
    add(&mut solo);
    let mapped = SocketAddr::new(local().ip().to_canonical(), local().port());
    assert_eq!(
        solo.agent.remove_local_candidate(solo.now, mapped),
        Removal::Removed
    );
    assert_eq!(
        (solo.agent.local_candidates().count(), pairs(&solo)),
        (0, 0)
    );
    solo.take();
    solo.run_for(secs(5));
    assert!(
        solo.take().is_empty(),
        "nothing leaves a socket that is gone"
    );
    // Another port of the same host is another address.
    add(&mut solo);
    assert_eq!(
        solo.agent.remove_remote_candidate(solo.now, remote(1)),
        Removal::NotFound
    );
    assert_eq!(
        solo.agent.remove_remote_candidate(solo.now, remote(0)),
        Removal::Removed
    );
    assert_eq!(pairs(&solo), 0);
    // Coming back is a new candidate.
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(0)))
        .unwrap();
    assert_eq!(pairs(&solo), 1);
}

// req: I13
#[test]
fn a_candidate_that_goes_while_its_check_is_under_way_takes_the_check_along() {
    let mut solo = Solo::checking(
        Initiation::Initiating,
        Config::default(),
        &[remote(0), remote(1)],
    );
    let checks = solo.take_requests();
    assert_eq!(
        solo.agent.remove_remote_candidate(solo.now, remote(0)),
        Removal::Removed
    );
    solo.run_for(secs(3));
    assert!(
        solo.take_requests()
            .iter()
            .all(|check| check.path.remote == remote(1))
    );
    assert_eq!(
        solo.answer(&checks[0]),
        floe_ice::Received::Dropped(floe_ice::DropReason::UnknownTransaction)
    );
}

// req: I2 I13
#[test]
fn addresses_that_answers_name_take_no_place_from_those_the_caller_adds() {
    let mut config = Config::default();
    config.max_local_candidates = 3;
    let remotes: Vec<_> = (0..8).map(remote).collect();
    let mut solo = Solo::checking(Initiation::Responding, config, &remotes);
    solo.run_for(secs(1));
    for (n, check) in (0..).zip(solo.take_requests()) {
        let response = solo.success_to(&check, address(9, n));
        let _ = solo.receive(check.path.remote, &response);
    }
    let count = |solo: &Solo, kind| {
        let locals = solo.agent.local_candidates();
        locals.filter(|local| local.kind() == kind).count()
    };
    assert_eq!(count(&solo, CandidateType::PeerReflexive), 3, "bounded");
    let working = solo.agent.candidate_pairs();
    assert!(
        working
            .filter(|pair| pair.state == PairState::Succeeded)
            .count()
            > 3
    );
    for n in 1..3 {
        let added = Candidate::host(address(1, n));
        solo.agent.add_local_candidate(solo.now, added).unwrap();
    }
    let fourth = Candidate::host(address(1, 3));
    assert_eq!(
        solo.agent.add_local_candidate(solo.now, fourth),
        Err(ApiMisuse::TooManyLocalCandidates)
    );
}

// req: I3
#[test]
fn a_better_candidate_of_the_same_base_takes_over_pairs_that_wait_and_no_others() {
    let mut solo = Solo::new(Mode::Full, Initiation::Initiating, Config::default());
    let mapped = Candidate::server_reflexive("198.51.100.9:7".parse().unwrap(), local());
    let mapped = mapped.with_local_preference(1000);
    solo.agent.add_local_candidate(solo.now, mapped).unwrap();
    solo.meet();
    for n in 0..2 {
        let theirs = Candidate::host(remote(n));
        solo.agent.add_remote_candidate(solo.now, theirs).unwrap();
    }
    let pairs = |solo: &Solo| -> Vec<_> { solo.agent.candidate_pairs().collect() };
    let before = pairs(&solo);
    let host = Candidate::host(local()).with_local_preference(2000);
    let preference = host.priority() & 0x00ff_ffff;
    let id = solo.agent.add_local_candidate(solo.now, host).unwrap();
    let after = pairs(&solo);
    assert_eq!(after.len(), 2, "a base has one pair with each of theirs");
    // The first one's check is under way, and said what it is worth.
    assert_eq!(after[0], before[0]);
    assert_eq!(after[1].pair.id, before[1].pair.id);
    assert_eq!(after[1].pair.local, CandidateType::Host);
    assert_eq!(after[1].local_candidate, id);
    assert!(after[1].priority > before[1].priority);
    solo.run_for(ms(60));
    let checks = solo.take_requests();
    let said: Vec<_> = checks
        .iter()
        .map(|check| check.message().priority())
        .collect();
    assert_eq!(said[1], Some(110 << 24 | preference));
    // A worse one takes over nothing.
    let worse = Candidate::server_reflexive("198.51.100.9:8".parse().unwrap(), local());
    solo.agent
        .add_remote_candidate(solo.now, Candidate::host(remote(2)))
        .unwrap();
    let before = pairs(&solo);
    assert_eq!(before[2].pair.local, CandidateType::Host);
    solo.agent
        .add_local_candidate(solo.now, worse.with_local_preference(1))
        .unwrap();
    assert_eq!(pairs(&solo)[..2], before[..2]);
    assert_eq!(pairs(&solo)[2].pair.local, before[2].pair.local);
}

// req: I2
#[test]
fn the_words_of_a_candidate_line_are_read_in_either_case() {
    let lower =
        "candidate:1 1 tcp 2105458943 192.0.2.4 9 typ srflx raddr 10.0.0.1 rport 9 tcptype active";
    let upper =
        "candidate:1 1 TCP 2105458943 192.0.2.4 9 TYP SRFLX RADDR 10.0.0.1 RPORT 9 TCPTYPE ACTIVE";
    let [lower, upper]: [Candidate; 2] = [lower, upper].map(|line| line.parse().unwrap());
    assert_eq!(upper, lower);
    assert_eq!(upper.to_string(), lower.to_string());
    assert!(upper.related().is_some() && upper.tcp_type().is_some());
}

// req: I2
#[test]
fn a_related_address_of_any_form_is_read_and_one_that_says_nothing_is_printed_as_such() {
    let line = |related: &str| {
        format!("candidate:1 1 udp 1677729535 203.0.113.5 46154 typ srflx raddr {related}")
    };
    let kept = [
        "10.0.0.17 rport 46154",
        "0.0.0.0 rport 0",
        ":: rport 9",
        "fd00::7 rport 1",
    ];
    for related in kept {
        let candidate = parse(&line(related)).unwrap();
        assert_eq!(candidate.to_string(), line(related));
    }
    let names = [
        "1f4712db-ea17-4bcf-a596-105139dfd8bf.local",
        "host.example",
        "localhost",
    ];
    for name in names {
        let candidate = parse(&line(&format!("{name} rport 50000"))).unwrap();
        assert_eq!(
            candidate.address(),
            Some("203.0.113.5:46154".parse().unwrap())
        );
        assert_eq!(candidate.host_name(), None, "that of the candidate");
        assert_eq!(candidate.to_string(), line("0.0.0.0 rport 9"));
    }
    // In either order, and not without the other; what is neither an address nor a name is malformed.
    let turned = line("10.0.0.17 rport 46154")
        .replace("raddr 10.0.0.17 rport 46154", "rport 46154 raddr 10.0.0.17");
    assert_eq!(parse(&turned), parse(&line("10.0.0.17 rport 46154")));
    for related in [
        "na/me rport 1",
        "10.0.0.300 rport 1",
        "10.0.0.1 rport 65536",
        "10.0.0.1",
        "a.local",
    ] {
        assert_eq!(
            parse(&line(related)),
            Err(InvalidCandidate::RelatedAddress),
            "{related}"
        );
    }
}

// req: I13 I25
#[test]
fn a_pair_whose_candidate_is_removed_stands_on_another_of_its_base() {
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, Config::default());
    let public = address(7, 0);
    let [host, _] = [
        Candidate::host(local()),
        Candidate::server_reflexive(public, local()),
    ]
    .map(|own| solo.agent.add_local_candidate(solo.now, own).unwrap());
    solo.meet();
    let peer = Candidate::host(remote(0));
    solo.agent.add_remote_candidate(solo.now, peer).unwrap();
    let check = solo.take_requests().remove(0);
    let answer = solo.success_to(&check, public);
    let _ = solo.receive(remote(0), &answer);
    let pair = |solo: &Solo| solo.agent.candidate_pairs().next().unwrap();
    let before = pair(&solo);
    assert_eq!(
        before.pair.local,
        CandidateType::ServerReflexive,
        "as the peer sees it"
    );
    // Of the generation that a restart has not replaced yet, too.
    solo.agent.restart(solo.now, None, None).unwrap();
    assert_eq!(pair(&solo), before);
    let removal = solo.agent.remove_local_candidate(solo.now, public);
    assert_eq!(removal, Removal::Removed);
    let after = pair(&solo);
    assert_eq!(
        (after.pair.local, after.local_candidate),
        (CandidateType::Host, host)
    );
    assert_eq!(
        (after.pair.id, after.state),
        (before.pair.id, PairState::Succeeded)
    );
    assert_eq!(
        solo.agent.send_path(),
        Some(after.pair.path),
        "it is still in use"
    );
}

// req: I13 I43
#[test]
fn a_candidate_that_finds_no_room_begins_nothing() {
    let mut config = Config::default();
    config.max_local_candidates = 1;
    let mut full = Solo::new(Mode::Full, Initiation::Responding, config.clone());
    let twice = [0, 0].map(|_| {
        full.agent
            .add_local_candidate(full.now, Candidate::host(local()))
            .unwrap()
    });
    assert_eq!(twice[0], twice[1], "what is known takes no room");
    config.max_local_candidates = 0;
    let mut solo = Solo::new(Mode::Full, Initiation::Responding, config);
    let refused = solo
        .agent
        .add_local_candidate(solo.now, Candidate::host(local()));
    assert_eq!(refused, Err(ApiMisuse::TooManyLocalCandidates));
    solo.drain();
    assert_eq!(solo.agent.gathering_state(), GatheringState::New);
    assert_eq!(solo.events, []);
}
