//! Which version, suite, group and protocol two ends agree upon, and what a server of DTLS 1.3 takes from a ClientHello
//! (RFC 8446 §4.1, §4.2, RFC 9147 §5.3, RFC 7301).
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::ends::*;
use common::wire::{self, ClientHello, Fragment, Record, ServerHello, browser_hello};
use common::*;
use floe_dtls::*;
use sim::Clock;

const V12: ProtocolVersion = ProtocolVersion::DTLS1_2;
const V13: ProtocolVersion = ProtocolVersion::DTLS1_3;

/// From the first version to the second, on each side.
fn versions(
    client: (ProtocolVersion, ProtocolVersion),
    server: (ProtocolVersion, ProtocolVersion),
) -> Ends {
    let mut ends = Ends::new();
    (ends.client.min_version, ends.client.max_version) = client;
    (ends.server.min_version, ends.server.max_version) = server;
    ends
}

// req: T1
#[test]
fn the_newest_common_version_is_spoken_and_none_is_told() {
    let all = [(V12, V12), (V12, V13), (V13, V13)];
    for (at, client) in all.into_iter().enumerate() {
        for server in all {
            let newest = [V13, V12].into_iter().find(|version| {
                [client, server]
                    .iter()
                    .all(|(min, max)| min >= version && max <= version)
            });
            let Some(newest) = newest else {
                let mut pair = versions(client, server).start(at as u64);
                pair.drive_until(both_failed);
                let nothing = Error::from(PeerIncompatible::NoVersionInCommon);
                assert_eq!(pair.b.dtls.error(), Some(&nothing));
                let alert = Error::AlertReceived(AlertDescription::PROTOCOL_VERSION);
                assert_eq!(pair.a.dtls.error(), Some(&alert));
                continue;
            };
            let mut pair = versions(client, server).connect(at as u64);
            for peer in [&pair.a, &pair.b] {
                assert_eq!(peer.dtls.version(), Some(newest), "{client:?} {server:?}");
            }
            assert_alive(&mut pair);
        }
    }
}

// req: T3
#[test]
fn every_suite_of_the_new_version_goes_with_every_group_and_every_kind_of_certificate() {
    let suites = [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    let groups = [
        NamedGroup::X25519,
        NamedGroup::SECP256R1,
        NamedGroup::SECP384R1,
    ];
    let identities = [
        identity(SERVER),
        loaded(include_str!("data/p384.pem")),
        loaded(include_str!("data/ed25519.pem")),
        loaded(include_str!("data/rsa2048.pem")),
    ];
    for suite in suites {
        for group in groups {
            for (index, server) in identities.iter().enumerate() {
                let client = identities[(index + 1) % identities.len()].clone();
                let mut ends = Ends::with_identities(client, server.clone()).v13();
                ends.client.cipher_suites = vec![suite];
                ends.server.groups = vec![group];
                let mut pair = ends.connect(2);
                for peer in [&pair.a, &pair.b] {
                    assert_eq!(peer.dtls.cipher_suite(), Some(suite));
                    assert_eq!(peer.dtls.group(), Some(group));
                }
                assert_eq!(pair.a.dtls.peer_certificate(), Some(server.certificate()));
                assert_alive(&mut pair);
            }
        }
    }
}

// req: T1 T3
#[test]
fn a_group_without_a_share_takes_one_more_round_trip_and_no_more() {
    let trip = |groups: Vec<NamedGroup>| {
        let mut ends = Ends::new().v13();
        ends.server.groups = groups;
        let mut pair = ends.meet(3);
        pair.network.set_links(slow_link());
        connect(&mut pair)
    };
    let direct = trip(vec![NamedGroup::X25519]);
    let retried = trip(vec![NamedGroup::SECP384R1]);
    assert_eq!(retried - direct, Duration::from_millis(100));
}

// req: T10
#[test]
fn the_servers_first_protocol_that_the_client_offers_is_spoken_in_both_versions() {
    let names = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
    let speak = |version, client: &[&str], server: &[&str]| {
        let mut ends = versions((version, version), (V12, V13));
        ends.client.alpn_protocols = names(client);
        ends.server.alpn_protocols = names(server);
        ends.client.server_name = Some("sfu.example".to_owned());
        let mut pair = ends.meet(4);
        let wire = pair.network.wiretap();
        start(&mut pair);
        pair.run_for(Duration::from_millis(5));
        let hello = &wire.seen()[0].1.bytes;
        assert!(
            hello
                .windows(14)
                .any(|bytes| bytes == b"\x00\x00\x0bsfu.example")
        );
        pair
    };
    let both: &[&str] = &["webrtc", "c-webrtc"];
    for version in [V12, V13] {
        for (client, server, spoken) in [
            (both, &["c-webrtc", "webrtc"][..], Some(&b"c-webrtc"[..])),
            (both, &["webrtc"], Some(b"webrtc")),
            (both, &[], None),
            (&[], both, None),
        ] {
            let mut pair = speak(version, client, server);
            pair.drive_until(both_connected);
            for peer in [&pair.a, &pair.b] {
                assert_eq!(peer.dtls.application_protocol(), spoken);
            }
        }
        let mut pair = speak(version, both, &["h2"]);
        pair.drive_until(both_failed);
        let nothing = Error::from(PeerIncompatible::NoApplicationProtocolInCommon);
        assert_eq!(pair.b.dtls.error(), Some(&nothing));
        let alert = Error::AlertReceived(AlertDescription::NO_APPLICATION_PROTOCOL);
        assert_eq!(pair.a.dtls.error(), Some(&alert));
    }
}

// req: T10
#[test]
fn a_server_can_be_asked_which_host_its_client_wants() {
    for asked in [Some("sfu.example"), None] {
        for mut ends in Ends::of_each_version() {
            ends.client.server_name = asked.map(str::to_owned);
            // That of a server is for connections in which it is the client.
            ends.server.server_name = Some("other.example".to_owned());
            // One more round trip changes nothing in DTLS 1.3.
            ends.server.groups = vec![NamedGroup::SECP384R1];
            let pair = ends.connect(7);
            assert_eq!(pair.a.dtls.server_name(), asked);
            assert_eq!(pair.b.dtls.server_name(), asked);
        }
    }
}

// req: T10
#[test]
fn names_that_cannot_be_sent_are_refused_when_they_are_configured() {
    let refused = |change: fn(&mut Config)| {
        let mut config = config(CLIENT);
        change(&mut config);
        Connection::new(Arc::new(config), Setup::Active, RemoteIdentity::Later).err()
    };
    let name = Some(ApiMisuse::NameRefused);
    assert_eq!(refused(|config| config.alpn_protocols = vec![vec![]]), name);
    assert_eq!(
        refused(|config| config.alpn_protocols = vec![vec![b'a'; 256]]),
        name
    );
    assert_eq!(
        refused(|config| config.alpn_protocols = vec![vec![b'a'; 255]; 17]),
        name
    );
    assert_eq!(
        refused(|config| config.alpn_protocols = vec![vec![b'a'; 255]; 16]),
        None
    );
    assert_eq!(
        refused(|config| config.server_name = Some(String::new())),
        name
    );
    assert_eq!(
        refused(|config| config.server_name = Some("sfü.example".to_owned())),
        name
    );
    assert_eq!(
        refused(|config| config.server_name = Some("a".repeat(256))),
        name
    );
    assert_eq!(
        refused(|config| config.server_name = Some("a".repeat(255))),
        None
    );
    let version = Some(ApiMisuse::VersionNotSupported);
    assert_eq!(
        refused(|config| config.min_version = ProtocolVersion::DTLS1_0),
        version
    );
    assert_eq!(
        refused(|config| config.max_version = ProtocolVersion(0xfefb)),
        version
    );
    let nothing = Some(ApiMisuse::NothingConfigured);
    let crossed = |config: &mut Config| (config.min_version, config.max_version) = (V13, V12);
    assert_eq!(refused(crossed), nothing);
    let without_suites = |config: &mut Config| {
        (config.min_version, config.max_version) = (V13, V13);
        config
            .cipher_suites
            .retain(|suite| suite.to_string().contains("_WITH_"));
    };
    assert_eq!(refused(without_suites), nothing);
}

// req: T22
#[test]
fn an_mtu_out_of_range_is_refused_be_it_the_one_to_fall_back_to() {
    for (mtu, expected) in [
        (255, Some(ApiMisuse::MtuOutOfRange)),
        (256, None),
        (16_640, None),
        (16_641, Some(ApiMisuse::MtuOutOfRange)),
    ] {
        let mut configs = [(); 2].map(|()| config(CLIENT));
        configs[0].mtu = mtu;
        configs[1].fallback_mtu = mtu;
        for config in configs {
            let made = Connection::new(Arc::new(config), Setup::Active, RemoteIdentity::Later);
            assert_eq!(made.err(), expected, "{mtu}");
        }
    }
}

#[test]
fn lists_of_choices_have_a_longest_length() {
    let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let profile = SrtpProfile::Aes128Gcm;
    for (extra, expected) in [(0, None), (1, Some(ApiMisuse::ListTooLong))] {
        let mut configs = [(); 3].map(|()| config(CLIENT));
        configs[0].cipher_suites = vec![suite; Config::MOST_CIPHER_SUITES + extra];
        configs[1].groups = vec![NamedGroup::X25519; Config::MOST_GROUPS + extra];
        configs[2].srtp_profiles = vec![profile; Config::MOST_SRTP_PROFILES + extra];
        for config in configs {
            let made = Connection::new(Arc::new(config), Setup::Active, RemoteIdentity::Later);
            assert_eq!(made.err(), expected);
        }
    }
}

/// A client on the wire, and a server that hears it.
struct Dialogue {
    server: Connection,
    heard: u16,
}

impl Dialogue {
    fn with(config: Config) -> Self {
        let mut server = server_with(config, RemoteIdentity::Later).dtls;
        server.start(Clock::epoch());
        Self { server, heard: 0 }
    }

    fn new() -> Self {
        let mut config = config(SERVER);
        config.max_version = V13;
        Self::with(config)
    }

    /// The first record of the answer.
    fn say(&mut self, hello: &ClientHello) -> Record {
        let whole = Fragment::whole(wire::CLIENT_HELLO, self.heard, &hello.to_bytes());
        let mut datagram = whole.in_record(self.heard.into()).to_bytes();
        self.heard += 1;
        let _ = self.server.handle_datagram(Clock::epoch(), &mut datagram);
        let mut buf = [0; 1200];
        let len = self
            .server
            .poll_transmit(&mut buf)
            .expect("a server answers");
        while self.server.poll_transmit(&mut [0; 1200]).is_some() {}
        wire::records(&buf[..len.min(13 + usize::from(u16::from_be_bytes([buf[11], buf[12]])))])
            .remove(0)
    }

    /// The ServerHello or HelloRetryRequest that answers.
    fn answer(&mut self, hello: &ClientHello) -> ServerHello {
        let record = self.say(hello);
        assert_eq!(self.server.error(), None);
        ServerHello::parse(&record.fragments()[0].body)
    }

    /// The server fails; its alert is that of the error, in plaintext.
    fn error(&mut self, hello: &ClientHello) -> Error {
        let record = self.say(hello);
        let error = *self.server.error().unwrap();
        assert_eq!((record.content_type, record.body[0]), (wire::ALERT, 2));
        error
    }
}

fn key_share(shares: &[(u16, &[u8])]) -> Vec<u8> {
    let mut list = vec![];
    for (group, key) in shares {
        list.extend_from_slice(&group.to_be_bytes());
        list.extend_from_slice(&(key.len() as u16).to_be_bytes());
        list.extend_from_slice(key);
    }
    [&(list.len() as u16).to_be_bytes()[..], &list].concat()
}

/// The base point of X25519 is as good a key as any.
const X25519: (u16, &[u8]) = {
    const KEY: [u8; 32] = {
        let mut key = [0; 32];
        key[0] = 9;
        key
    };
    (0x001d, &KEY)
};

/// A hello that a server of DTLS 1.3 takes at once.
fn hello() -> ClientHello {
    let mut hello = browser_hello(wire::NEW_AND_OLD);
    hello.set(wire::KEY_SHARE, Some(key_share(&[X25519])));
    hello
}

fn changed(change: impl Fn(&mut ClientHello)) -> ClientHello {
    let mut hello = hello();
    change(&mut hello);
    hello
}

const HELLO_RETRY_REQUEST: [u8; 4] = [0xcf, 0x21, 0xad, 0x74];

// req: T1 T4
#[test]
fn a_server_hello_says_the_version_and_the_share_and_nothing_else() {
    let echo = changed(|hello| hello.session_id = vec![7; 32]);
    for hello in [hello(), echo] {
        let answer = Dialogue::new().answer(&hello);
        assert_eq!(answer.version, 0xfefd);
        assert_eq!(answer.session_id, []);
        assert_eq!((answer.suite, answer.compression), (0x1301, 0));
        let codes: Vec<u16> = answer.extensions.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [wire::SUPPORTED_VERSIONS, wire::KEY_SHARE]);
        assert_eq!(
            answer.extension(wire::SUPPORTED_VERSIONS),
            Some(&[0xfe, 0xfc][..])
        );
        let share = answer.extension(wire::KEY_SHARE).unwrap();
        assert_eq!((share.len(), &share[..4]), (36, &[0, 29, 0, 32][..]));
        assert!(!answer.random.ends_with(b"DOWNGRD\x01"));
        assert_ne!(answer.random[..4], HELLO_RETRY_REQUEST);
    }
}

// req: T1
#[test]
fn a_server_that_could_do_better_says_so_in_an_old_server_hello() {
    let old = changed(|hello| hello.set(wire::SUPPORTED_VERSIONS, Some(vec![2, 0xfe, 0xfd])));
    let legacy = changed(|hello| {
        hello.set(wire::SUPPORTED_VERSIONS, None);
        hello.version = 0xfefc;
    });
    for hello in [&old, &legacy] {
        let answer = Dialogue::new().answer(hello);
        assert_eq!(answer.extension(wire::SUPPORTED_VERSIONS), None);
        assert!(answer.random.ends_with(b"DOWNGRD\x01"));
        let mut only_old = config(SERVER);
        only_old.max_version = V12;
        let answer = Dialogue::with(only_old).answer(hello);
        assert!(!answer.random.ends_with(b"DOWNGRD\x01"));
    }
}

// req: T1
#[test]
fn a_client_that_was_talked_down_to_an_old_version_notices() {
    let ends = versions((V12, V13), (V12, V13));
    let mut pair = ends.meet(5);
    rewrite(&mut pair, CLIENT, wire::CLIENT_HELLO, |body| {
        let mut hello = ClientHello::parse(body);
        hello.set(wire::SUPPORTED_VERSIONS, Some(vec![2, 0xfe, 0xfd]));
        hello.to_bytes()
    });
    start(&mut pair);
    pair.drive_until(both_failed);
    let downgraded = Error::from(PeerMisbehaved::Downgraded);
    assert_eq!(pair.a.dtls.error(), Some(&downgraded));
    let alert = Error::AlertReceived(AlertDescription::ILLEGAL_PARAMETER);
    assert_eq!(pair.b.dtls.error(), Some(&alert));
}

// req: T1 T2
#[test]
fn the_version_is_that_of_the_whole_hello_in_whatever_order_its_pieces_come() {
    let mut hello = hello();
    let versions = hello
        .extensions
        .iter()
        .find(|(code, _)| *code == wire::SUPPORTED_VERSIONS);
    let versions = versions.unwrap().1.clone();
    hello.extensions.push((0x7a7a, vec![0; 900]));
    hello.set(wire::SUPPORTED_VERSIONS, Some(versions));
    let body = hello.to_bytes();
    let whole = Fragment::whole(wire::CLIENT_HELLO, 0, &body);
    // The second piece begins inside the padding: supported_versions is all its.
    let pieces = [whole.part(0, 1100), whole.part(1100, body.len())];
    for order in [[0, 1], [1, 0]] {
        let mut server = Dialogue::new().server;
        for (number, index) in order.into_iter().enumerate() {
            let mut datagram = pieces[index].in_record(number as u64).to_bytes();
            let _ = server.handle_datagram(Clock::epoch(), &mut datagram);
        }
        let mut buf = [0; 1200];
        let len = server.poll_transmit(&mut buf).unwrap();
        let first = &wire::records(&buf[..len.min(13 + usize::from(buf[12]))])[0];
        let answer = ServerHello::parse(&first.fragments()[0].body);
        assert_eq!(
            answer.extension(wire::SUPPORTED_VERSIONS),
            Some(&[0xfe, 0xfc][..])
        );
    }
}

fn assert_refused<const N: usize>(cases: [(&str, ClientHello, Error); N]) {
    for (what, hello, error) in cases {
        assert_eq!(Dialogue::new().error(&hello), error, "{what}");
    }
}

// req: T1 T3 T4 T23
#[test]
fn a_server_refuses_hellos_of_the_new_version_that_break_its_rules() {
    use PeerMisbehaved::*;
    let without = |code| changed(|hello| hello.set(code, None));
    let cookie = changed(|hello| hello.cookie = vec![1]);
    let unasked = changed(|hello| hello.set(wire::COOKIE, Some(vec![0, 1, 7])));
    let compressed = changed(|hello| hello.compression = vec![1, 0]);
    let mut psk_first = hello();
    psk_first.extensions.insert(0, (41, vec![0; 8]));
    let suites = changed(|hello| hello.suites = vec![0x1304, 0xc02b]);
    let no_suite = PeerIncompatible::NoCipherSuiteInCommon;
    let missing = Error::from(ExtensionMissing);
    assert_refused([
        ("a cookie of old", cookie, CookieInvalid.into()),
        ("a cookie nobody gave", unasked, CookieInvalid.into()),
        ("compression", compressed, CompressionDemanded.into()),
        ("no groups", without(wire::SUPPORTED_GROUPS), missing),
        ("no shares", without(wire::KEY_SHARE), missing),
        ("no schemes", without(wire::SIGNATURE_ALGORITHMS), missing),
        ("a key in front", psk_first, PreSharedKeyNotLast.into()),
        ("no suite in common", suites, no_suite.into()),
    ]);
    assert_eq!(missing.alert(), Some(AlertDescription::MISSING_EXTENSION));
    for fault in [
        CookieInvalid,
        KeyShareOfUnofferedGroup,
        KeyShareNotAsRequested,
        SecondClientHelloDiffers,
        PreSharedKeyNotLast,
    ] {
        let illegal = Some(AlertDescription::ILLEGAL_PARAMETER);
        assert_eq!(Error::from(fault).alert(), illegal);
    }
}

// req: T1 T3 T23
#[test]
fn a_server_refuses_key_shares_that_break_their_rules() {
    use PeerMisbehaved::*;
    let shares = |shares: &[(u16, &[u8])]| {
        let body = key_share(shares);
        changed(|hello| hello.set(wire::KEY_SHARE, Some(body.clone())))
    };
    let p256 = (0x0017, &[4; 65][..]);
    let unoffered = shares(&[(0x0019, &[4; 133])]);
    let short = shares(&[(0x001d, &[9; 31])]);
    let small = shares(&[(0x001d, &[0; 32])]);
    let duplicate = InvalidMessage::DuplicateKeyShare;
    let empty = InvalidMessage::EmptyPublicKey;
    let misplaced = Error::from(KeyShareOfUnofferedGroup);
    assert_refused([
        ("of no offered group", unoffered, misplaced),
        ("in another order", shares(&[p256, X25519]), misplaced),
        (
            "two of a group",
            shares(&[X25519, X25519]),
            duplicate.into(),
        ),
        ("an empty one", shares(&[(0x001d, &[])]), empty.into()),
        ("no point", shares(&[p256]), KeyShareInvalid.into()),
        ("too short", short, KeyShareInvalid.into()),
        ("of small order", small, KeyShareInvalid.into()),
    ]);
}

// req: T4
#[test]
fn pre_shared_keys_early_data_and_what_nobody_knows_change_nothing() {
    let more = changed(|hello| {
        hello.extensions.push((42, vec![]));
        hello.extensions.push((45, vec![1, 1]));
        hello.extensions.push((0x5a5b, vec![1, 2, 3]));
        hello.extensions.push((41, vec![0; 60]));
    });
    let answer = Dialogue::new().answer(&more);
    assert_eq!(answer.extensions.len(), 2);
    assert_eq!(answer.suite, 0x1301);
}

// req: T35
#[test]
fn a_server_says_what_it_is_called_only_to_a_client_that_does() {
    let called = changed(|hello| hello.set(wire::CONNECTION_ID, Some(vec![2, 0xc1, 0xc2])));
    let nameless = changed(|hello| hello.set(wire::CONNECTION_ID, Some(vec![0])));
    for version in [V12, V13] {
        let answer = |hello: &ClientHello, id: Option<&[u8]>| {
            let mut config = config(SERVER);
            config.max_version = version;
            config.connection_id = id.and_then(ConnectionId::new);
            let answer = Dialogue::with(config).answer(hello);
            answer.extension(wire::CONNECTION_ID).map(<[u8]>::to_vec)
        };
        for hello in [&called, &nameless] {
            assert_eq!(answer(hello, Some(b"s")), Some(vec![1, b's']));
            assert_eq!(answer(hello, Some(b"")), Some(vec![0]));
            assert_eq!(answer(hello, None), None);
        }
        assert_eq!(answer(&hello(), Some(b"s")), None);
    }
}

/// A hello without a share of any group, and the server that asked for one.
fn retried() -> (Dialogue, ClientHello) {
    let first = changed(|hello| {
        hello.set(wire::KEY_SHARE, Some(key_share(&[])));
        hello.extensions.push((42, vec![]));
        hello.extensions.push((21, vec![0; 16]));
    });
    let mut dialogue = Dialogue::new();
    let request = dialogue.answer(&first);
    assert_eq!(request.random[..4], HELLO_RETRY_REQUEST);
    assert_eq!(request.extension(wire::KEY_SHARE), Some(&[0, 29][..]));
    assert_eq!(
        request.extension(wire::SUPPORTED_VERSIONS),
        Some(&[0xfe, 0xfc][..])
    );
    assert_eq!((request.extensions.len(), request.suite), (2, 0x1301));
    (dialogue, first)
}

/// What the honest client says next.
fn second(first: &ClientHello) -> ClientHello {
    let place = |code| {
        first
            .extensions
            .iter()
            .position(|(other, _)| *other == code)
    };
    let mut second = first.clone();
    second.extensions[place(wire::KEY_SHARE).unwrap()].1 = key_share(&[X25519]);
    second
}

// req: T1
#[test]
fn a_second_hello_may_change_its_share_its_early_data_and_its_padding() {
    let (mut dialogue, first) = retried();
    assert_eq!(dialogue.answer(&second(&first)).suite, 0x1301);
    let (mut dialogue, first) = retried();
    let mut less = second(&first);
    less.set(42, None);
    less.set(21, Some(vec![0; 3]));
    let answer = dialogue.answer(&less);
    assert_ne!(answer.random[..4], HELLO_RETRY_REQUEST);
}

// req: T1 T23
#[test]
fn a_second_hello_that_changes_anything_else_is_refused() {
    type Change = fn(&mut ClientHello);
    let changes: [(&str, Change); 12] = [
        ("the random", |hello| hello.random[31] ^= 1),
        ("the legacy version", |hello| hello.version = 0xfeff),
        ("the session id", |hello| hello.session_id = vec![1]),
        ("a suite less", |hello| hello.suites.truncate(3)),
        ("the order of suites", |hello| hello.suites.reverse()),
        ("the groups", |hello| {
            hello.set(wire::SUPPORTED_GROUPS, Some(wire::list16(&[29])))
        }),
        ("the schemes", |hello| {
            hello.set(wire::SIGNATURE_ALGORITHMS, Some(wire::list16(&[0x0403])))
        }),
        ("the versions", |hello| {
            hello.set(wire::SUPPORTED_VERSIONS, Some(vec![2, 0xfe, 0xfc]))
        }),
        ("SRTP", |hello| hello.set(wire::USE_SRTP, None)),
        ("a new extension", |hello| hello.set(0x1234, Some(vec![]))),
        ("an unknown extension's body", |hello| {
            hello.extensions[0].1.push(1)
        }),
        ("a cookie", |hello| {
            hello.set(wire::COOKIE, Some(vec![0, 1, 7]))
        }),
    ];
    for (what, change) in changes {
        let (mut dialogue, first) = retried();
        let mut second = second(&first);
        change(&mut second);
        let differs = PeerMisbehaved::SecondClientHelloDiffers;
        assert_eq!(dialogue.error(&second), differs.into(), "{what}");
    }
}

// req: T1 T23
#[test]
fn a_second_hello_has_the_share_that_was_asked_for_and_no_other() {
    // P-256 of a server that asked for X25519, both, and none.
    let p256: (u16, &[u8]) = (0x0017, &[4; 65]);
    for shares in [&[p256][..], &[X25519, p256], &[]] {
        let (mut dialogue, first) = retried();
        let mut second = second(&first);
        let place = second
            .extensions
            .iter()
            .position(|(code, _)| *code == wire::KEY_SHARE);
        second.extensions[place.unwrap()].1 = key_share(shares);
        assert_eq!(
            dialogue.error(&second),
            PeerMisbehaved::KeyShareNotAsRequested.into()
        );
    }
}
