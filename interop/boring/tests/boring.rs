//! floe against BoringSSL in one process and in virtual time: DTLS 1.3 and 1.2, good networks and bad ones.

mod guarded;
#[path = "../../../benches/tests/interop/mod.rs"]
mod interop;
#[path = "../../../dtls/tests/common/peer.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "written for the stories of the dtls crate, which use all of it"
)]
mod peer;
#[path = "../../../benches/tests/interop/ssl.rs"]
mod ssl;

use std::time::Duration;

use floe_dtls::{
    CipherSuite, Config, CryptoBackend, KeyUpdateRequest, NamedGroup, ProtocolVersion, Side,
};
use floe_interop_boring as clock;
use guarded::{Guarded, Pieces};
use interop::{
    Case, FLOE, MTUS, P384, RSA, SIDES, STRANGER, Stranger, assert_same_srtp_keys, assert_talking,
    both_connected,
};
use peer::{Peer, identity};
use sim::{Link, Pair, address};

use crate::ssl::SslNode;

const V12: ProtocolVersion = ProtocolVersion::DTLS1_2;
const V13: ProtocolVersion = ProtocolVersion::DTLS1_3;
const BOTH: [ProtocolVersion; 2] = [V12, V13];

/// As browsers offer them: the hybrid, and X25519 for who does not know it.
const POST_QUANTUM: &[NamedGroup] = &[NamedGroup::X25519MLKEM768, NamedGroup::X25519];

/// The bindings, and BoringSSL's time and versions.
mod library {
    pub(crate) use boring::*;
    pub(crate) use floe_interop_boring::{set as set_time, time_is_up, time_left};

    use ssl::SslContextBuilder;

    use crate::clock;
    use crate::interop::Case;

    pub(crate) const NAME: &str = "BoringSSL";

    pub(crate) fn prepare(context: &mut SslContextBuilder, case: &Case) {
        clock::install(context);
        let (version, also) = (code(case.version), code(case.also.unwrap_or(case.version)));
        // DTLS counts downwards.
        clock::set_versions(context, version.max(also), version.min(also));
        if !case.tickets {
            context.set_options(ssl::SslOptions::NO_TICKET);
        }
        if let Some(groups) = case.groups {
            let names: Vec<_> = groups.iter().map(|group| group_name(*group)).collect();
            context.set_curves_list(&names.join(":")).unwrap();
        }
    }

    fn code(version: crate::ProtocolVersion) -> u16 {
        if version == crate::V13 {
            0xfefc
        } else {
            0xfefd
        }
    }

    fn group_name(group: crate::NamedGroup) -> &'static str {
        match group {
            crate::NamedGroup::X25519 => "X25519",
            crate::NamedGroup::SECP256R1 => "P-256",
            crate::NamedGroup::SECP384R1 => "P-384",
            crate::NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
            other => panic!("BoringSSL has no {other}"),
        }
    }
}

fn on_aws_lc(config: &mut Config) {
    config.backend = CryptoBackend::AwsLcRs;
}

/// A case whose groups are the browsers'.
fn post_quantum(floe: Side, mtu: usize) -> Case {
    Case {
        groups: Some(POST_QUANTUM),
        prepare: on_aws_lc,
        ..Case::new(floe, V13, mtu)
    }
}

fn bad_network() -> Link {
    Link {
        loss: 0.1,
        duplication: 0.1,
        reordering: 0.1,
        ..Link::with_delay(Duration::from_millis(50))
    }
}

fn lives(floe: Side, version: ProtocolVersion) {
    interop::lives::<SslNode>(Case::new(floe, version, 0));
}

// req: T64
#[test]
fn dtls_1_2_client() {
    lives(Side::Server, V12);
}

// req: T64
#[test]
fn dtls_1_2_server() {
    lives(Side::Client, V12);
}

// req: T64
#[test]
fn dtls_1_3_client() {
    lives(Side::Server, V13);
}

// req: T64
#[test]
fn dtls_1_3_server() {
    lives(Side::Client, V13);
}

fn post_quantum_at_every_mtu(floe: Side) {
    for mtu in MTUS {
        let pair = interop::whole_life::<SslNode>(post_quantum(floe, mtu), FLOE);
        assert_eq!(clock::group(pair.b.stream.ssl()), 0x11ec);
    }
}

// req: T64
#[test]
fn dtls_1_3_client_post_quantum() {
    post_quantum_at_every_mtu(Side::Server);
}

// req: T64
#[test]
fn dtls_1_3_server_post_quantum() {
    post_quantum_at_every_mtu(Side::Client);
}

/// One end offers the hybrid, the other never heard of it.
// req: T64
#[test]
fn dtls_1_3_one_end_without_post_quantum() {
    for floe in SIDES {
        let classical = Case {
            prepare: |config| config.groups = vec![NamedGroup::X25519],
            ..post_quantum(floe, 1200)
        };
        interop::whole_life::<SslNode>(classical, FLOE);
        let classical = Case {
            groups: Some(&[NamedGroup::X25519]),
            prepare: |config| {
                on_aws_lc(config);
                config.groups = POST_QUANTUM.to_vec();
            },
            ..Case::new(floe, V13, 1200)
        };
        interop::whole_life::<SslNode>(classical, STRANGER);
    }
}

// req: T64
#[test]
fn dtls_1_3_client_hello_retry_request() {
    for mtu in MTUS {
        let case = Case {
            groups: Some(&[NamedGroup::X25519, NamedGroup::SECP384R1]),
            prepare: |config| config.groups = vec![NamedGroup::SECP384R1],
            ..Case::new(Side::Server, V13, mtu)
        };
        let pair = interop::whole_life::<SslNode>(case, FLOE);
        assert!(pair.b.stream.ssl().used_hello_retry_request());
    }
}

// req: T64
#[test]
fn dtls_1_3_server_hello_retry_request() {
    for mtu in MTUS {
        let case = Case {
            groups: Some(&[NamedGroup::SECP384R1]),
            prepare: |config| config.groups = vec![NamedGroup::X25519, NamedGroup::SECP384R1],
            ..Case::new(Side::Client, V13, mtu)
        };
        let pair = interop::whole_life::<SslNode>(case, FLOE);
        assert!(pair.b.stream.ssl().used_hello_retry_request());
    }
}

// req: T64
#[test]
fn both_speak_both_versions() {
    for floe in SIDES {
        let newer = Case {
            also: Some(V12),
            ..Case::new(floe, V13, 1200)
        };
        interop::whole_life::<SslNode>(newer, FLOE);
        let older = Case {
            also: Some(V13),
            prepare: |config| config.max_version = V12,
            ..Case::new(floe, V12, 1200)
        };
        interop::whole_life::<SslNode>(older, FLOE);
    }
}

fn assert_all_acknowledged(pair: &Pair<Peer, SslNode>) {
    let timer = clock::time_left(pair.b.stream.ssl());
    assert_eq!(timer, None, "BoringSSL would send something again");
}

/// A client before floe's gate, from the first datagram to data both ways.
fn through_the_gate(case: Case, pieces: Pieces, link: Link) -> Pair<Guarded, SslNode> {
    case.tell();
    let stranger = SslNode::new(&case, identity(FLOE).certificate());
    let floe = Guarded::new(case.config(), pieces, case.stranger());
    let addresses = ([address(FLOE)], [address(STRANGER)]);
    let mut pair = Pair::new(case.seed, (floe, &addresses.0), (stranger, &addresses.1));
    pair.network.set_links(link);
    let now = pair.now();
    pair.b.start(now);
    pair.drive_until(|floe, stranger| floe.is_connected() && stranger.is_connected());
    pair.network.set_links(case.link());
    pair.drive();
    let now = pair.now();
    pair.a.peer().say(now, b"as the dew");
    pair.b.say(now, b"as the rain");
    pair.drive();
    assert_eq!(pair.b.heard(), [b"as the dew"]);
    assert_eq!(pair.a.peer().heard, [b"as the rain"]);
    assert_same_srtp_keys(pair.a.peer(), &pair.b);
    assert_eq!(pair.a.peer().dtls.version(), Some(case.version));
    assert_eq!(pair.network.counters().too_big, 0);
    pair
}

/// Without the hybrid all its ClientHellos fit into the smallest MTU.
// req: T9 T64
#[test]
fn client_cookies_of_floe() {
    for version in BOTH {
        for mtu in MTUS {
            let case = Case {
                groups: Some(&[NamedGroup::X25519, NamedGroup::SECP256R1]),
                ..Case::new(Side::Server, version, mtu)
            };
            let link = case.link();
            let pair = through_the_gate(case, Pieces::kept(), link);
            let guard = &pair.a;
            assert_eq!((guard.answered, guard.dropped, guard.proven), (1, 0, true));
            assert_eq!(guard.parts, 0);
        }
    }
}

/// Both its ClientHellos need two datagrams and more, whatever the MTU.
// req: T2 T9 T64
#[test]
fn dtls_1_3_client_post_quantum_cookies_of_floe() {
    for mtu in MTUS {
        let case = post_quantum(Side::Server, mtu);
        let link = case.link();
        let pair = through_the_gate(case, Pieces::kept(), link);
        let guard = &pair.a;
        assert_eq!((guard.answered, guard.dropped, guard.proven), (1, 0, true));
        // The last piece makes it whole.
        assert!(guard.parts >= 2, "{} parts", guard.parts);
    }
}

/// Some datagrams get lost, come twice or late: the client sends its ClientHello again until it is whole.
// req: T2 T9 T64
#[test]
fn client_cookies_of_floe_over_a_bad_network() {
    for case in [
        Case::new(Side::Server, V12, 256),
        post_quantum(Side::Server, 256),
    ] {
        for seed in 0..20 {
            let link = Link {
                mtu: case.mtu,
                ..bad_network()
            };
            let pair = through_the_gate(Case { seed, ..case }, Pieces::kept(), link);
            assert!(pair.a.answered >= 1 && pair.a.proven);
        }
    }
}

/// Nothing is asked of its address: until it has answered, three bytes go out at most for each that came.
// req: T9 T64
#[test]
fn dtls_1_3_client_post_quantum_on_an_unproven_path() {
    let case = post_quantum(Side::Server, 1200);
    let link = case.link();
    let pair = through_the_gate(case, Pieces::LetIn, link);
    assert_eq!((pair.a.answered, pair.a.proven), (0, false));
}

/// How much BoringSSL sent until all was said and acknowledged.
fn sent_by_server(tickets: bool) -> usize {
    let case = Case {
        tickets,
        ..Case::new(Side::Client, V13, 1200)
    };
    let mut pair: Pair<Peer, SslNode> = case.meet();
    let wiretap = pair.network.wiretap();
    pair.drive_until(both_connected);
    pair.drive();
    assert_all_acknowledged(&pair);
    assert_talking(&mut pair);
    let seen = wiretap.seen();
    let theirs = seen
        .iter()
        .filter(|(_, datagram)| datagram.source == address(STRANGER));
    theirs.map(|(_, datagram)| datagram.bytes.len()).sum()
}

// req: T64
#[test]
fn dtls_1_3_server_tickets_are_acknowledged() {
    assert!(sent_by_server(true) > sent_by_server(false));
}

// req: T64
#[test]
fn dtls_1_3_key_updates() {
    for floe in SIDES {
        let mut pair: Pair<Peer, SslNode> = Case::new(floe, V13, 1200).meet();
        pair.drive_until(both_connected);
        pair.drive();
        for _ in 0..5 {
            clock::update_keys(pair.b.stream.ssl());
            assert_talking(&mut pair);
            assert_all_acknowledged(&pair);
            let now = pair.now();
            pair.a
                .dtls
                .update_keys(now, KeyUpdateRequest::Requested)
                .unwrap();
            assert_talking(&mut pair);
            assert_all_acknowledged(&pair);
        }
    }
}

// req: T64
#[test]
fn certificates_of_rsa_and_p384() {
    for floe in SIDES {
        for version in BOTH {
            for pem in [RSA, P384] {
                let case = Case {
                    pem,
                    ..Case::new(floe, version, 256)
                };
                interop::whole_life::<SslNode>(case, STRANGER);
            }
        }
    }
}

// req: T64
#[test]
fn every_suite_and_group() {
    for floe in SIDES {
        for suite in [
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ] {
            let case = Case {
                suite: Some(suite),
                ..Case::new(floe, V12, 1200)
            };
            interop::whole_life::<SslNode>(case, FLOE);
        }
        for suite in [
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        ] {
            let case = Case {
                suite: Some(suite),
                ..Case::new(floe, V13, 1200)
            };
            interop::whole_life::<SslNode>(case, FLOE);
        }
        for version in BOTH {
            for groups in [
                &[NamedGroup::X25519, NamedGroup::SECP256R1][..],
                &[NamedGroup::SECP256R1],
                &[NamedGroup::SECP384R1, NamedGroup::SECP256R1],
            ] {
                let case = Case {
                    groups: Some(groups),
                    ..Case::new(floe, version, 1200)
                };
                interop::whole_life::<SslNode>(case, FLOE);
            }
        }
    }
}

fn on_a_bad_network(version: ProtocolVersion) {
    for floe in SIDES {
        for mtu in [256, 1200] {
            interop::survives::<SslNode>(Case::new(floe, version, mtu), &bad_network(), 0..12);
        }
    }
}

// req: T64
#[test]
fn dtls_1_2_on_a_bad_network() {
    on_a_bad_network(V12);
}

// req: T64
#[test]
fn dtls_1_3_on_a_bad_network() {
    on_a_bad_network(V13);
}

// req: T64
#[test]
fn dtls_1_3_post_quantum_on_a_bad_network() {
    for floe in SIDES {
        interop::survives::<SslNode>(post_quantum(floe, 900), &bad_network(), 0..12);
    }
}

fn floe_refuses(version: ProtocolVersion) {
    for floe in SIDES {
        interop::floe_refuses_the_wrong_certificate::<SslNode>(Case::new(floe, version, 1200));
    }
}

// req: T6 T64
#[test]
fn dtls_1_2_wrong_fingerprint_is_refused_by_floe() {
    floe_refuses(V12);
}

// req: T6 T64
#[test]
fn dtls_1_3_wrong_fingerprint_is_refused_by_floe() {
    floe_refuses(V13);
}

fn floe_is_refused(version: ProtocolVersion) {
    for floe in SIDES {
        interop::floe_is_refused::<SslNode>(Case::new(floe, version, 1200));
    }
}

// req: T64
#[test]
fn dtls_1_2_wrong_certificate_is_refused_by_boringssl() {
    floe_is_refused(V12);
}

// req: T64
#[test]
fn dtls_1_3_wrong_certificate_is_refused_by_boringssl() {
    floe_is_refused(V13);
}

// req: T64
#[test]
fn who_speaks_dtls_1_3_only() {
    for floe in SIDES {
        let case = Case {
            prepare: |config| config.min_version = V13,
            ..Case::new(floe, V13, 1200)
        };
        interop::whole_life::<SslNode>(case, FLOE);
        let case = Case {
            version: V12,
            ..case
        };
        let mut pair: Pair<Peer, SslNode> = case.meet();
        pair.drive_until(|floe, stranger| floe.is_over() && stranger.has_failed());
        assert!(!pair.a.has_connected());
    }
}
