//! Handshakes over a good network: who, how fast, with what (RFC 6347 §4.2, RFC 5246 §7.3).
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::*;
use floe_dtls::*;

/// A self-signed certificate and its key.
const RSA: &str = include_str!("data/rsa2048.pem");

// req: T3 T5
#[test]
fn a_client_and_a_server_connect_in_four_flights() {
    let mut pair = pair(1);
    pair.network.set_links(slow_link());
    let wire = pair.network.wiretap();
    let took = connect(&mut pair);
    assert_eq!(took, Duration::from_millis(200));
    assert_eq!(wire.len(), 4, "each flight fits one datagram");
    for peer in [&pair.a, &pair.b] {
        let states = [
            (State::Connecting, Reason::Started),
            (State::Connected, Reason::PeerVerified),
        ];
        assert_eq!(peer.states(), states);
        assert_eq!(peer.dtls.version(), Some(ProtocolVersion::DTLS1_2));
        let first = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
        assert_eq!(peer.dtls.cipher_suite(), Some(first));
        assert_eq!(peer.dtls.group(), Some(NamedGroup::X25519));
        assert_eq!(
            peer.dtls.stats().total_dropped(),
            0,
            "{:?}",
            peer.dtls.stats()
        );
    }
    assert_eq!(
        pair.a.dtls.peer_certificate(),
        Some(identity(SERVER).certificate())
    );
    assert_eq!(
        pair.b.dtls.peer_certificate(),
        Some(identity(CLIENT).certificate())
    );
    assert_talking(&mut pair);
}

// req: T52
#[test]
fn a_certificate_is_forgotten_unless_somebody_wants_it() {
    for version in VERSIONS {
        let [mut client, server] = [CLIENT, SERVER].map(|host| config_of(host, version));
        assert_eq!(client.peer_certificates, PeerCertificates::Kept);
        client.peer_certificates = PeerCertificates::default();
        let mut pair = pair_with(1, client, server);
        connect(&mut pair);
        assert_eq!(pair.a.dtls.peer_certificate(), None);
        let shown = pair.b.dtls.peer_certificate();
        assert_eq!(shown, Some(identity(CLIENT).certificate()));
        assert_talking(&mut pair);
    }
}

// req: T3
#[test]
fn every_suite_and_group_connects_with_either_kind_of_certificate() {
    let rsa = Arc::new(Identity::from_pem(RSA, RSA).unwrap());
    let of_v12 = |suite: &CipherSuite| suite.to_string().contains("_WITH_");
    for suite in config(SERVER).cipher_suites.into_iter().filter(of_v12) {
        for group in [
            NamedGroup::X25519,
            NamedGroup::SECP256R1,
            NamedGroup::SECP384R1,
        ] {
            let server_identity = match suite.to_string().contains("ECDSA") {
                true => identity(SERVER),
                false => rsa.clone(),
            };
            let mut client = config(CLIENT);
            client.cipher_suites = vec![suite];
            client.groups = vec![group];
            let mut pair = pair_of(
                1,
                client_with(
                    client,
                    RemoteIdentity::Fingerprints(fingerprints(&server_identity)),
                ),
                server_with(only_v12(Config::new(server_identity)), expecting(CLIENT)),
            );
            connect(&mut pair);
            for peer in [&pair.a, &pair.b] {
                assert_eq!(peer.dtls.cipher_suite(), Some(suite));
                assert_eq!(peer.dtls.group(), Some(group));
            }
            assert_talking(&mut pair);
        }
    }
}

// req: T3
#[test]
fn the_server_prefers_aes_128_gcm_and_its_own_order_of_groups() {
    let mut client = config(CLIENT);
    client.cipher_suites.reverse();
    client.groups.reverse();
    let mut pair = pair_with(1, client, config(SERVER));
    connect(&mut pair);
    let preferred = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    assert_eq!(pair.a.dtls.cipher_suite(), Some(preferred));
    assert_eq!(pair.a.dtls.group(), Some(NamedGroup::X25519));
}

/// Both fail: the server with this, the client with the alert for it.
fn assert_refused(mut pair: Story, error: PeerIncompatible) {
    start(&mut pair);
    pair.drive_until(|a, b| a.is_over() && b.is_over());
    let error = Error::from(error);
    assert_eq!(pair.b.dtls.error(), Some(&error));
    let alert = error.alert().unwrap();
    assert_eq!(pair.a.dtls.error(), Some(&Error::AlertReceived(alert)));
    assert!(!pair.a.has_connected() && !pair.b.has_connected());
}

// req: T3 T23
#[test]
fn nothing_in_common_ends_the_handshake_with_its_alert() {
    let mut groups = config(CLIENT);
    groups.groups = vec![NamedGroup::SECP384R1];
    let mut server = config(SERVER);
    server.groups = vec![NamedGroup::X25519];
    assert_refused(
        pair_with(1, groups, server),
        PeerIncompatible::NoGroupInCommon,
    );

    // The server's ECDSA key cannot authenticate a suite of RSA.
    let mut rsa_only = config(CLIENT);
    rsa_only.cipher_suites = vec![CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let no_suite = PeerIncompatible::NoCipherSuiteInCommon;
    assert_refused(pair_with(1, rsa_only, config(SERVER)), no_suite);

    let mut no_srtp = config(CLIENT);
    no_srtp.srtp_profiles = vec![];
    let mut server = config(SERVER);
    server.srtp_policy = SrtpPolicy::Required;
    let error = PeerIncompatible::NoSrtpProfileInCommon;
    assert_refused(pair_with(1, no_srtp, server), error);
}

/// An `actpass` peer of the server's host.
fn actpass() -> Peer {
    let config = Arc::new(config(SERVER));
    let dtls = Connection::new(config, Setup::ActPass, expecting(CLIENT)).unwrap();
    Peer::new(SERVER, CLIENT, dtls)
}

// req: T7
#[test]
fn actpass_that_hears_a_client_hello_becomes_the_server() {
    let mut pair = pair_of(1, client_with(config(CLIENT), expecting(SERVER)), actpass());
    start(&mut pair);
    assert_eq!(pair.b.dtls.state(), State::New, "until it knows its side");
    pair.drive_until(|a, b| a.is_connected() && b.is_connected());
    assert_eq!(pair.b.dtls.side(), Some(Side::Server));
    assert!(pair.b.has_said(&Event::BecameServer));
    let now = pair.now();
    assert_eq!(pair.b.dtls.set_remote_setup(now, Setup::Active), Ok(()));
    let contradiction = pair.b.dtls.set_remote_setup(now, Setup::Passive);
    assert_eq!(contradiction, Err(ApiMisuse::SideAlreadyDecided));
    assert_talking(&mut pair);
}

// req: T7
#[test]
fn actpass_takes_the_side_that_the_answer_leaves() {
    for (remote, side) in [
        (Setup::Active, Side::Server),
        (Setup::Passive, Side::Client),
    ] {
        let other = match side {
            Side::Server => client_with(config(CLIENT), expecting(SERVER)),
            Side::Client => {
                let mut server = server_with(config(CLIENT), expecting(SERVER));
                server.swap_addresses();
                server
            }
        };
        let mut pair = pair_of(1, other, actpass());
        start(&mut pair);
        let now = pair.now();
        pair.b.dtls.set_remote_setup(now, remote).unwrap();
        assert_eq!(pair.b.dtls.side(), Some(side));
        assert_eq!(pair.b.dtls.state(), State::Connecting);
        pair.drive_until(|a, b| a.is_connected() && b.is_connected());
        assert!(!pair.b.has_said(&Event::BecameServer));
    }
    let undecided = actpass()
        .dtls
        .set_remote_setup(sim::Clock::epoch(), Setup::ActPass);
    assert_eq!(undecided, Err(ApiMisuse::IncompatibleSetup));
}

// req: T7
#[test]
fn a_side_that_is_given_cannot_be_changed_by_the_answer() {
    let mut server = server_with(config(SERVER), expecting(CLIENT));
    let now = sim::Clock::epoch();
    let both_passive = server.dtls.set_remote_setup(now, Setup::Passive);
    assert_eq!(both_passive, Err(ApiMisuse::IncompatibleSetup));
    assert_eq!(server.dtls.set_remote_setup(now, Setup::Active), Ok(()));
    assert_eq!(
        server.dtls.state(),
        State::New,
        "the path is not usable yet"
    );
}

// req: T7
#[test]
fn a_client_hello_that_comes_before_the_path_is_usable_is_kept() {
    for late in [server_with(config(SERVER), expecting(CLIENT)), actpass()] {
        let mut pair = pair_of(1, client_with(config(CLIENT), expecting(SERVER)), late);
        let now = pair.now();
        pair.a.dtls.start(now);
        pair.run_for(Duration::from_millis(100));
        assert_eq!(pair.b.dtls.state(), State::New);
        assert_eq!(pair.b.dtls.poll_timeout(), None);
        let now = pair.now();
        pair.b.dtls.start(now);
        assert_eq!(pair.b.dtls.state(), State::Connecting);
        pair.drive_until(|a, b| a.is_connected() && b.is_connected());
        assert_eq!(
            pair.a.dtls.stats().retransmitted_flights,
            0,
            "nothing was lost"
        );
    }
}

// req: T7
#[test]
fn four_different_early_datagrams_are_kept_and_nothing_but_client_hellos() {
    let mut server = server_with(config(SERVER), expecting(CLIENT)).dtls;
    let now = sim::Clock::epoch();
    let hello = |last: u8| {
        let mut datagram = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13];
        datagram.extend([1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, last]);
        datagram
    };
    let dropped = Received::Dropped(DropReason::EarlyDatagram);
    for last in 0..4 {
        assert_eq!(
            server.handle_datagram(now, &mut hello(last)),
            Received::Handled
        );
        assert_eq!(
            server.handle_datagram(now, &mut hello(last)),
            dropped,
            "a copy"
        );
    }
    assert_eq!(
        server.handle_datagram(now, &mut hello(4)),
        dropped,
        "a fifth"
    );
    let mut client = client_with(config(CLIENT), expecting(SERVER)).dtls;
    assert_eq!(
        client.handle_datagram(now, &mut hello(0)),
        dropped,
        "two clients"
    );
    let mut fresh = server_with(config(SERVER), expecting(CLIENT)).dtls;
    let mut server_hello = hello(0);
    server_hello[13] = 2;
    assert_eq!(fresh.handle_datagram(now, &mut server_hello), dropped);
    let mut long = hello(0);
    long.resize(2049, 0);
    assert_eq!(fresh.handle_datagram(now, &mut long), dropped);
    let mut rtp = [0x80, 0x60, 0, 1];
    assert_eq!(fresh.handle_datagram(now, &mut rtp), Received::NotMine);
    assert_eq!(fresh.handle_datagram(now, &mut []), Received::NotMine);
    assert_eq!(fresh.stats().dropped(DropReason::EarlyDatagram), 2);
}

// req: T4
#[test]
fn the_extended_master_secret_is_used_wherever_both_know_it() {
    let mut server = config(SERVER);
    server.extended_master_secret = ExtendedMasterSecret::Preferred;
    let mut pair = pair_with(1, config(CLIENT), server);
    let wire = pair.network.wiretap();
    connect(&mut pair);
    // Who is refused without it, and who is not, is shown beside the scripts.
    let hello = &wire.seen()[1].1.bytes;
    assert!(
        hello.windows(4).any(|four| four == [0, 23, 0, 0]),
        "answered"
    );
}

// req: T36
#[test]
fn the_key_log_gets_one_line_that_is_equal_on_both_sides() {
    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);
    impl KeyLog for Lines {
        fn log(&self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }
    }
    let lines = Arc::new(Lines::default());
    let [mut client, mut server] = [config(CLIENT), config(SERVER)];
    client.key_log = Some(lines.clone());
    server.key_log = Some(lines.clone());
    assert!(!format!("{client:?}").contains("PRIVATE"));
    let mut pair = pair_with(1, client, server);
    connect(&mut pair);
    let lines = lines.0.lock().unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], lines[1]);
    let fields: Vec<_> = lines[0].split(' ').collect();
    assert_eq!(
        (fields[0], fields[1].len(), fields[2].len()),
        ("CLIENT_RANDOM", 64, 96)
    );
}

// req: T36
#[test]
fn counters_tell_what_went_over_the_wire() {
    let mut pair = connected(1);
    assert_talking(&mut pair);
    let [client, server] = [pair.a.dtls.stats(), pair.b.dtls.stats()];
    // ClientHello; Certificate to Finished; one record of data. Then: ServerHello to ServerHelloDone; CCS and Finished.
    assert_eq!((client.datagrams_sent, client.records_sent), (2, 1 + 5 + 1));
    assert_eq!((server.datagrams_sent, server.records_sent), (2, 5 + 2 + 1));
    assert_eq!(client.records_received, server.records_sent);
    assert_eq!(server.records_received, client.records_sent);
    assert_eq!(
        client.retransmitted_flights + server.retransmitted_flights,
        0
    );
}

// req: T1
#[test]
fn randoms_are_fresh_and_carry_no_sentinel_of_a_server_that_could_not_do_better() {
    let mut seen = std::collections::HashSet::new();
    for seed in 0..8 {
        let mut pair = pair(seed);
        let wire = pair.network.wiretap();
        connect(&mut pair);
        for (_, datagram) in &wire.seen()[..2] {
            // Record header, handshake header, version, random.
            let random = datagram.bytes[13 + 12 + 2..][..32].to_vec();
            assert!(!random.ends_with(b"DOWNGRD\x01") && random != [0; 32]);
            assert!(seen.insert(random));
        }
    }
}

#[test]
fn a_connection_can_move_to_another_thread() {
    fn sendable<T: Send + 'static>(_: &T) {}
    sendable(&pair(1).a.dtls);
}

// req: T1
#[test]
fn only_the_first_hello_is_dressed_as_the_oldest_version() {
    let mut pair = pair(1);
    let wire = pair.network.wiretap();
    connect(&mut pair);
    let versions: Vec<u16> = wire
        .take()
        .iter()
        .flat_map(|(_, datagram)| wire::records(&datagram.bytes))
        .map(|record| record.version)
        .collect();
    let (first, rest) = versions.split_first().unwrap();
    assert_eq!(*first, 0xfeff);
    assert!(rest.len() > 4 && rest.iter().all(|version| *version == 0xfefd));
}
