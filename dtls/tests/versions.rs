//! Two versions in one engine: who meets whom, in what order the first answer comes, and what both have in the end (RFC 9147
//! §5, RFC 8446 §4.1).

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::ends::{assert_alive, both_connected};
use common::*;
use floe_dtls::*;
use sim::address;

const V12: ProtocolVersion = ProtocolVersion::DTLS1_2;
const V13: ProtocolVersion = ProtocolVersion::DTLS1_3;

/// The versions from the oldest to the newest.
fn spanning(host: u8, [min, max]: [ProtocolVersion; 2]) -> Config {
    let mut config = config(host);
    config.min_version = min;
    config.max_version = max;
    config
}

/// The defaults.
fn both(host: u8) -> Config {
    keeping(identity(host))
}

fn only(host: u8, version: ProtocolVersion) -> Config {
    config_of(host, version)
}

fn meet(client: Config, server: Config) -> Story {
    let mut pair = pair_with(1, client, server);
    connect(&mut pair);
    pair.drive();
    pair
}

// req: T1
#[test]
fn the_newest_version_that_both_have_is_taken() {
    for (client, server, version) in [
        ([V12, V13], [V12, V13], V13),
        ([V13, V13], [V12, V13], V13),
        ([V12, V13], [V13, V13], V13),
        ([V13, V13], [V13, V13], V13),
        ([V12, V12], [V12, V13], V12),
        ([V12, V13], [V12, V12], V12),
        ([V12, V12], [V12, V12], V12),
    ] {
        let mut pair = meet(spanning(CLIENT, client), spanning(SERVER, server));
        for peer in [&pair.a, &pair.b] {
            assert_eq!(peer.dtls.version(), Some(version));
            assert_eq!(peer.dtls.stats().total_dropped(), 0);
            assert_eq!(peer.dtls.stats().retransmitted_flights, 0);
        }
        assert_alive(&mut pair);
    }
}

/// The version is settled first (RFC 8446 §4.1.1).
// req: T1
#[test]
fn who_shares_no_suite_of_the_newest_version_is_refused_although_an_older_one_would_do() {
    let both_versions = |host, suite_of_v13| {
        let mut config = both(host);
        config.cipher_suites = vec![
            suite_of_v13,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ];
        config
    };
    let client = both_versions(CLIENT, CipherSuite::TLS13_AES_256_GCM_SHA384);
    let server = both_versions(SERVER, CipherSuite::TLS13_AES_128_GCM_SHA256);
    let nothing = PeerIncompatible::NoCipherSuiteInCommon;
    let mut pair = pair_with(1, client, server);
    start(&mut pair);
    pair.drive();
    assert_eq!(pair.b.dtls.error(), Some(&nothing.into()));
    let alert = AlertDescription::HANDSHAKE_FAILURE;
    assert_eq!(Error::from(nothing).alert(), Some(alert));
}

// req: T50
#[test]
fn the_newer_version_takes_three_flights_and_the_older_four() {
    let delay = Duration::from_millis(50);
    // Until both are connected: the client is after one round trip, its Finished takes half of one more.
    for (version, took, flights) in [(V13, 3 * delay, 3), (V12, 4 * delay, 4)] {
        let mut pair = pair_with(1, both(CLIENT), only(SERVER, version));
        pair.network.set_links(slow_link());
        let wire = pair.network.wiretap();
        let started = pair.now();
        assert_eq!(connect(&mut pair), took);
        // The ACK that confirms the last flight of DTLS 1.3 leaves when both are connected.
        let sent = wire.seen();
        let before = sent.iter().filter(|(at, _)| *at < started + took);
        let mut turns: Vec<_> = before.map(|(_, datagram)| datagram.source).collect();
        turns.dedup();
        assert_eq!(turns.len(), flights, "{version}");
    }
}

// req: T1 T3
#[test]
fn a_server_without_the_first_group_asks_for_a_share_of_its_own() {
    let mut server = both(SERVER);
    server.groups = vec![NamedGroup::SECP384R1];
    let mut pair = pair_with(1, both(CLIENT), server);
    let wire = pair.network.wiretap();
    connect(&mut pair);
    pair.drive();
    assert_eq!(pair.a.dtls.group(), Some(NamedGroup::SECP384R1));
    let hellos: Vec<_> = wire
        .seen()
        .iter()
        .filter(|(_, datagram)| datagram.source == address(CLIENT))
        .map(|(_, datagram)| datagram.bytes.to_vec())
        .take(2)
        .collect();
    // Record header, handshake header; then version and random, which are what they were.
    assert_eq!(hellos[0][13 + 12..][..34], hellos[1][13 + 12..][..34]);
    assert!(hellos[1].len() > hellos[0].len(), "a longer share");
    assert_alive(&mut pair);
}

// req: T8
#[test]
fn both_ends_export_the_same_and_only_the_older_version_tells_no_context_from_an_empty_one() {
    for version in [V12, V13] {
        let pair = meet(both(CLIENT), only(SERVER, version));
        let export = |context: Option<&[u8]>| {
            let [ours, theirs] = [&pair.a, &pair.b].map(|peer| {
                let mut out = [0; 40];
                peer.dtls
                    .export_keying_material("EXPERIMENTAL floe", context, &mut out)
                    .unwrap();
                out
            });
            assert_eq!(ours, theirs);
            ours
        };
        assert_eq!(export(None) == export(Some(b"")), version == V13);
        assert_ne!(export(None), export(Some(b"context")));
        for peer in [&pair.a, &pair.b] {
            let mut out = [0; 4];
            let reserved = peer
                .dtls
                .export_keying_material("key expansion", None, &mut out);
            assert_eq!(reserved, Err(ApiMisuse::ExportRefused));
        }
    }
}

// req: T8
#[test]
fn srtp_is_negotiated_under_protection_and_its_absence_is_fatal_only_where_it_is_required() {
    for profile in [
        SrtpProfile::Aes128CmSha1_80,
        SrtpProfile::Aes128CmSha1_32,
        SrtpProfile::Aes128Gcm,
        SrtpProfile::Aes256Gcm,
    ] {
        let mut server = only(SERVER, V13);
        server.srtp_profiles = vec![profile];
        let mut client = both(CLIENT);
        client.srtp_profiles.push(SrtpProfile::Aes128CmSha1_32);
        let mut pair = meet(client, server);
        assert_eq!(pair.a.dtls.srtp_profile(), Some(profile));
        assert!(pair.b.has_said(&Event::SrtpReady(profile)));
        assert_alive(&mut pair);
    }
    for policy in [SrtpPolicy::Optional, SrtpPolicy::Required] {
        let mut client = both(CLIENT);
        client.srtp_policy = policy;
        let mut server = only(SERVER, V13);
        server.srtp_profiles = vec![];
        let mut pair = pair_with(1, client, server);
        start(&mut pair);
        pair.drive_until(|a, _| a.is_connected() || a.is_over());
        let error = Error::from(PeerIncompatible::NoSrtpProfileInCommon);
        let expected = (policy == SrtpPolicy::Required).then_some(&error);
        assert_eq!(pair.a.dtls.error(), expected);
        assert_eq!(pair.a.dtls.srtp_profile(), None);
    }
}

// req: T5
#[test]
fn a_server_gets_a_certificate_only_where_it_asks_for_one() {
    for version in VERSIONS {
        for auth in [ClientAuth::None, ClientAuth::Requested] {
            let mut server = only(SERVER, version);
            server.client_auth = auth;
            let server = server_with(server, RemoteIdentity::AcceptAny);
            let mut pair = pair_of(1, client_with(both(CLIENT), expecting(SERVER)), server);
            connect(&mut pair);
            let shown = pair.b.dtls.peer_certificate().is_some();
            assert_eq!(shown, auth == ClientAuth::Requested);
            assert_alive(&mut pair);
        }
    }
}

// req: T1
#[test]
fn the_first_answer_may_come_in_any_order_of_its_datagrams() {
    // At this MTU every first flight of a server has several.
    for version in [V12, V13] {
        for order in 0..24 {
            let mut server = only(SERVER, version);
            server.mtu = 256;
            let mut pair = pair_with(order, both(CLIENT), server);
            start(&mut pair);
            let now = pair.now();
            let mut buf = [0; 1500];
            while let Some(len) = pair.a.dtls.poll_transmit(&mut buf) {
                let _ = pair.b.dtls.handle_datagram(now, &mut buf[..len]);
            }
            let mut answer = Vec::new();
            while let Some(len) = pair.b.dtls.poll_transmit(&mut buf) {
                answer.push(buf[..len].to_vec());
            }
            assert!(answer.len() >= 3, "{} datagrams", answer.len());
            let mut index = order as usize;
            while !answer.is_empty() {
                let place = index % answer.len();
                index /= answer.len();
                let _ = pair.a.dtls.handle_datagram(now, &mut answer.remove(place));
            }
            pair.drive_until(both_connected);
            assert_eq!(pair.a.dtls.version(), Some(version), "order {order}");
            pair.drive();
            assert_alive(&mut pair);
        }
    }
}

// req: T36
#[test]
fn the_key_log_gets_the_secrets_of_the_newer_version_and_they_are_equal_on_both_sides() {
    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);
    impl KeyLog for Lines {
        fn log(&self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }
    }
    let logs = [(); 2].map(|()| Arc::new(Lines::default()));
    let [mut client, mut server] = [only(CLIENT, V13), only(SERVER, V13)];
    client.key_log = Some(logs[0].clone());
    server.key_log = Some(logs[1].clone());
    let mut pair = pair_with(1, client, server);
    connect(&mut pair);
    let [ours, theirs] = logs.map(|log| log.0.lock().unwrap().clone());
    assert_eq!(ours, theirs);
    let labels: Vec<_> = ours
        .iter()
        .map(|line| {
            let fields: Vec<_> = line.split(' ').collect();
            assert_eq!(
                (fields[1].len(), fields[2].len(), fields.len()),
                (64, 64, 3)
            );
            fields[0]
        })
        .collect();
    assert_eq!(
        labels,
        [
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            "CLIENT_TRAFFIC_SECRET_0",
            "SERVER_TRAFFIC_SECRET_0",
            "EXPORTER_SECRET",
        ]
    );
}

#[cfg(feature = "aws-lc-rs")]
mod post_quantum {
    use super::*;

    const HYBRID: NamedGroup = NamedGroup::X25519MLKEM768;

    fn with_groups(host: u8, version: [ProtocolVersion; 2], groups: &[NamedGroup]) -> Config {
        let mut config = spanning(host, version);
        config.backend = CryptoBackend::AwsLcRs;
        config.groups = groups.to_vec();
        config
    }

    /// What the client sent before anything was answered, and the pair when it is connected.
    fn connect_with(client: Config, server: Config) -> (Vec<usize>, usize, Story) {
        let mut pair = pair_with(1, client, server);
        pair.network.set_links(slow_link());
        let wire = pair.network.wiretap();
        connect(&mut pair);
        let sent = wire.seen();
        let turns = sent.iter().map(|(_, datagram)| datagram.source);
        let mut turns: Vec<_> = turns.collect();
        turns.dedup();
        let first = sent.iter().take_while(|(_, d)| d.source == address(CLIENT));
        let first = first.map(|(_, datagram)| datagram.bytes.len()).collect();
        (first, turns.len(), pair)
    }

    // req: T2 T3
    #[test]
    fn a_hybrid_share_comes_with_its_classical_half_so_that_either_is_answered_at_once() {
        let offered = [HYBRID, NamedGroup::X25519, NamedGroup::SECP256R1];
        let both = [V12, V13];
        for (server, agreed, turns) in [
            // ClientHello, the server's flight, the client's, the ACK.
            (&[HYBRID][..], HYBRID, 4),
            (&[NamedGroup::X25519], NamedGroup::X25519, 4),
            // ... and the HelloRetryRequest with its answer.
            (&[NamedGroup::SECP256R1], NamedGroup::SECP256R1, 6),
        ] {
            let client = with_groups(CLIENT, both, &offered);
            let server = with_groups(SERVER, [V13, V13], server);
            let (hello, took, mut pair) = connect_with(client, server);
            assert_eq!(took, turns, "{agreed}");
            assert_eq!(hello.len(), 2, "two datagrams: {hello:?}");
            assert!(hello.iter().sum::<usize>() > 1184 + 2 * 32, "both shares");
            for peer in [&pair.a, &pair.b] {
                assert_eq!(peer.dtls.group(), Some(agreed));
            }
            pair.drive();
            assert_alive(&mut pair);
        }
    }

    // req: T3
    #[test]
    fn a_hybrid_group_alone_is_offered_alone_and_the_older_version_has_none() {
        let client = with_groups(CLIENT, [V13, V13], &[HYBRID, NamedGroup::SECP384R1]);
        let server = with_groups(SERVER, [V13, V13], &[NamedGroup::X25519, HYBRID]);
        let (_, turns, pair) = connect_with(client, server);
        assert_eq!((turns, pair.a.dtls.group()), (4, Some(HYBRID)));

        let groups = [HYBRID, NamedGroup::X25519];
        let client = with_groups(CLIENT, [V12, V12], &groups);
        let server = with_groups(SERVER, [V12, V13], &groups);
        let (hello, _, pair) = connect_with(client, server);
        assert_eq!(pair.a.dtls.group(), Some(NamedGroup::X25519));
        assert!(hello.len() == 1 && hello[0] < 300, "no key shares");
    }
}
