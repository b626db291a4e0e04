//! What may be said in a hello: answers to what was not asked, questions that cannot be answered, and the alert for each
//! (RFC 5246 §7.4.1, RFC 5764 §4.1, RFC 7627 §5, RFC 5746 §3, RFC 8422 §5).
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::ends::*;
use common::wire::{self, ClientHello, Fragment, ServerHello, browser_hello};
use common::*;
use floe_dtls::*;
use sim::{Clock, Datagram, Verdict, address};

/// The client's verdict about a ServerHello that was changed on the way, and the alert it sends.
fn client_says(
    ends: Ends,
    change: impl Fn(&mut ServerHello) + 'static,
) -> (Error, AlertDescription) {
    let mut pair = ends.meet(50);
    rewrite(&mut pair, SERVER, wire::SERVER_HELLO, move |body| {
        let mut hello = ServerHello::parse(body);
        change(&mut hello);
        hello.to_bytes()
    });
    start(&mut pair);
    verdict_of(pair)
}

/// The client fails and tells the server why.
fn verdict_of(mut pair: Story) -> (Error, AlertDescription) {
    pair.drive_until(both_failed);
    pair.a.assert_let_nobody_in();
    pair.b.assert_let_nobody_in();
    match pair.b.dtls.error() {
        Some(Error::AlertReceived(alert)) => (*pair.a.dtls.error().unwrap(), *alert),
        other => panic!("the server knows nothing of it: {other:?}"),
    }
}

fn misbehaved(fault: PeerMisbehaved, alert: AlertDescription) -> (Error, AlertDescription) {
    (fault.into(), alert)
}

// req: T3 T23
#[test]
fn a_client_refuses_a_version_suite_or_compression_it_did_not_offer() {
    for version in [0xfeff, 0xfefc, 0x0303, 0xfefe] {
        assert_eq!(
            client_says(Ends::new(), move |hello| hello.version = version),
            misbehaved(
                PeerMisbehaved::SelectedUnofferedVersion,
                AlertDescription::PROTOCOL_VERSION
            )
        );
    }
    // CBC, one of TLS 1.3, none at all, and one that was not configured.
    for suite in [0xc009, 0x1301, 0x0000, 0xc02c] {
        let mut ends = Ends::new();
        ends.client
            .cipher_suites
            .retain(|suite| *suite != CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384);
        assert_eq!(
            client_says(ends, move |hello| hello.suite = suite),
            misbehaved(
                PeerMisbehaved::SelectedUnofferedCipherSuite,
                AlertDescription::ILLEGAL_PARAMETER
            )
        );
    }
    assert_eq!(
        client_says(Ends::new(), |hello| hello.compression = 1),
        misbehaved(
            PeerMisbehaved::SelectedCompression,
            AlertDescription::ILLEGAL_PARAMETER
        )
    );
}

// req: T3
#[test]
fn a_client_refuses_a_certificate_that_does_not_fit_the_suite() {
    // The server's key is ECDSA; on the way its suite becomes one of RSA.
    assert_eq!(
        client_says(Ends::new(), |hello| hello.suite = 0xc02f),
        misbehaved(
            PeerMisbehaved::CertificateDoesNotFitCipherSuite,
            AlertDescription::ILLEGAL_PARAMETER
        )
    );
}

// req: T4 T23
#[test]
fn a_client_refuses_extensions_it_did_not_ask_for() {
    let unsolicited = misbehaved(
        PeerMisbehaved::UnsolicitedExtension,
        AlertDescription::UNSUPPORTED_EXTENSION,
    );
    // ALPN, a selected version, a key share, one of nobody.
    for (code, body) in [
        (16, vec![0, 7, 6, b'w', b'e', b'b', b'r', b't', b'c']),
        (wire::SUPPORTED_VERSIONS, vec![0xfe, 0xfc]),
        (51, vec![0, 29, 0, 1, 9]),
        (0x5a5a, vec![0xfe, 0xfc]),
    ] {
        let answer = move |hello: &mut ServerHello| hello.set(code, Some(body.clone()));
        assert_eq!(client_says(Ends::new(), answer), unsolicited, "{code}");
    }
    // SRTP of one who only wants data.
    let mut ends = Ends::new();
    ends.client.srtp_profiles.clear();
    let answer =
        |hello: &mut ServerHello| hello.set(wire::USE_SRTP, Some(wire::use_srtp(&[1], &[])));
    assert_eq!(client_says(ends, answer), unsolicited);
}

// req: T4
#[test]
fn a_client_refuses_an_extension_that_comes_twice_or_does_not_parse() {
    let twice = |hello: &mut ServerHello| {
        hello
            .extensions
            .push((wire::EXTENDED_MASTER_SECRET, vec![]))
    };
    assert_eq!(
        client_says(Ends::new(), twice),
        (
            InvalidMessage::DuplicateExtension.into(),
            AlertDescription::DECODE_ERROR
        )
    );
    let broken = |hello: &mut ServerHello| hello.set(wire::USE_SRTP, Some(vec![0, 2, 0]));
    assert_eq!(
        client_says(Ends::new(), broken),
        (
            InvalidMessage::MessageTooShort.into(),
            AlertDescription::DECODE_ERROR
        )
    );
}

// req: T8
#[test]
fn a_client_takes_exactly_one_offered_srtp_profile_and_no_mki() {
    let says = |profiles: &'static [u16], mki: &'static [u8]| {
        client_says(Ends::new(), move |hello| {
            hello.set(wire::USE_SRTP, Some(wire::use_srtp(profiles, mki)));
        })
    };
    let unoffered = misbehaved(
        PeerMisbehaved::SelectedUnofferedSrtpProfile,
        AlertDescription::ILLEGAL_PARAMETER,
    );
    assert_eq!(says(&[7, 8], &[]), unoffered);
    assert_eq!(says(&[5], &[]), unoffered);
    // The default does not offer the short tags.
    assert_eq!(says(&[2], &[]), unoffered);
    assert_eq!(
        says(&[7], b"key"),
        misbehaved(
            PeerMisbehaved::SelectedUnofferedMki,
            AlertDescription::ILLEGAL_PARAMETER
        )
    );
}

// req: T8
#[test]
fn srtp_is_missed_only_where_it_is_required() {
    let without = |hello: &mut ServerHello| hello.set(wire::USE_SRTP, None);
    let mut ends = Ends::new();
    ends.client.srtp_policy = SrtpPolicy::Required;
    assert_eq!(
        client_says(ends, without),
        (
            PeerIncompatible::NoSrtpProfileInCommon.into(),
            AlertDescription::HANDSHAKE_FAILURE
        )
    );
    // A peer that only has data channels.
    let mut ends = Ends::new();
    ends.server.srtp_profiles.clear();
    let mut pair = ends.connect(51);
    for peer in [&pair.a, &pair.b] {
        assert_eq!(peer.dtls.srtp_profile(), None);
        assert!(peer.dtls.srtp_keys().is_none());
        assert!(
            !peer
                .events
                .iter()
                .any(|(_, event)| matches!(event, Event::SrtpReady(_)))
        );
    }
    assert_talking(&mut pair);
}

// req: T8
#[test]
fn the_server_chooses_by_its_own_order_and_both_have_the_same_keys() {
    use SrtpProfile::{Aes128CmSha1_32, Aes128CmSha1_80, Aes128Gcm, Aes256Gcm};
    let all = [Aes128CmSha1_80, Aes128CmSha1_32, Aes128Gcm, Aes256Gcm];
    for first in all {
        let mut ends = Ends::new();
        ends.client.srtp_profiles = all.to_vec();
        ends.server.srtp_profiles = [vec![first], all.to_vec()].concat();
        let mut pair = ends.connect(52);
        for peer in [&pair.a, &pair.b] {
            assert_eq!(peer.dtls.srtp_profile(), Some(first));
            assert!(peer.has_said(&Event::SrtpReady(first)));
            let keys = peer.dtls.srtp_keys().unwrap();
            assert_eq!(
                (keys.profile(), keys.association()),
                (first, peer.dtls.association())
            );
        }
        assert_alive(&mut pair);
    }
}

// req: T4
#[test]
fn a_client_insists_on_the_extended_master_secret_and_on_a_first_handshake() {
    let without = |hello: &mut ServerHello| hello.set(wire::EXTENDED_MASTER_SECRET, None);
    assert_eq!(
        client_says(Ends::new(), without),
        (
            PeerIncompatible::ExtendedMasterSecretRequired.into(),
            AlertDescription::HANDSHAKE_FAILURE
        )
    );
    let renegotiating =
        |hello: &mut ServerHello| hello.set(wire::RENEGOTIATION_INFO, Some(vec![1, 9]));
    assert_eq!(
        client_says(Ends::new(), renegotiating),
        misbehaved(
            PeerMisbehaved::RenegotiationInfoDoesNotFit,
            AlertDescription::HANDSHAKE_FAILURE
        )
    );
    let compressed_points =
        |hello: &mut ServerHello| hello.set(wire::EC_POINT_FORMATS, Some(vec![1, 1]));
    assert_eq!(
        client_says(Ends::new(), compressed_points),
        misbehaved(
            PeerMisbehaved::UncompressedPointsNotOffered,
            AlertDescription::ILLEGAL_PARAMETER
        )
    );
}

/// The client's verdict about a ServerKeyExchange whose bytes from `at` on are others.
fn client_says_of_key_exchange(
    ends: Ends,
    at: usize,
    bytes: &'static [u8],
) -> (Error, AlertDescription) {
    let mut pair = ends.meet(53);
    rewrite(&mut pair, SERVER, wire::SERVER_KEY_EXCHANGE, move |body| {
        let mut changed = body.to_vec();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    });
    start(&mut pair);
    verdict_of(pair)
}

// req: T3 T23
#[test]
fn a_client_refuses_groups_schemes_and_keys_it_did_not_offer() {
    let illegal = AlertDescription::ILLEGAL_PARAMETER;
    let mut only_x25519 = Ends::new();
    only_x25519.client.groups = vec![NamedGroup::X25519];
    // curve_type, group, length, 32 bytes of key, scheme.
    assert_eq!(
        client_says_of_key_exchange(only_x25519, 1, &[0, 0x17]),
        misbehaved(PeerMisbehaved::SelectedUnofferedGroup, illegal)
    );
    assert_eq!(
        client_says_of_key_exchange(Ends::new(), 0, &[1]),
        (InvalidMessage::CurveIsNotNamed.into(), illegal)
    );
    for scheme in [&[0x02, 0x03], &[0x06, 0x03], &[0x05, 0xff]] {
        assert_eq!(
            client_says_of_key_exchange(Ends::new(), 4 + 32, scheme),
            misbehaved(PeerMisbehaved::SignedWithUnofferedScheme, illegal)
        );
    }
    assert_eq!(
        client_says_of_key_exchange(Ends::new(), 4 + 32, &[0x08, 0x04]),
        misbehaved(PeerMisbehaved::SchemeDoesNotFitCertificate, illegal)
    );
}

/// What a server says to a ClientHello: a ServerHello, or the error and its alert.
fn server_says(
    config: Config,
    hello: &ClientHello,
) -> Result<ServerHello, (Error, AlertDescription)> {
    let mut server = server_with(config, RemoteIdentity::Later).dtls;
    let now = Clock::epoch();
    server.start(now);
    let whole = Fragment::whole(wire::CLIENT_HELLO, 0, &hello.to_bytes());
    let _ = server.handle_datagram(now, &mut whole.in_record(0).to_bytes());
    let mut buf = [0; 1200];
    let len = server.poll_transmit(&mut buf).expect("a server answers");
    let answer = &wire::records(&buf[..len])[0];
    match (server.error(), answer.content_type) {
        (None, wire::HANDSHAKE) => Ok(ServerHello::parse(&answer.fragments()[0].body)),
        (Some(error), wire::ALERT) => {
            assert_eq!(answer.body[0], 2, "fatal");
            assert_eq!(
                error.alert().map(|alert| alert.to_string()),
                Some(name_of(answer.body[1]))
            );
            Err((*error, error.alert().unwrap()))
        }
        other => panic!("{other:?}"),
    }
}

fn name_of(alert: u8) -> String {
    let name = match alert {
        40 => "handshake_failure",
        47 => "illegal_parameter",
        50 => "decode_error",
        70 => "protocol_version",
        _ => "another",
    };
    name.to_owned()
}

/// A hello that every server takes.
fn hello() -> ClientHello {
    browser_hello(wire::NEW_AND_OLD)
}

fn changed(change: impl Fn(&mut ClientHello)) -> ClientHello {
    let mut hello = hello();
    change(&mut hello);
    hello
}

// req: T4 T8
#[test]
fn a_server_answers_what_was_asked_and_nothing_else() {
    let answer = server_says(config(SERVER), &hello()).unwrap();
    let mut codes: Vec<u16> = answer.extensions.iter().map(|(code, _)| *code).collect();
    codes.sort_unstable();
    let asked = [
        wire::EC_POINT_FORMATS,
        wire::USE_SRTP,
        wire::EXTENDED_MASTER_SECRET,
        wire::RENEGOTIATION_INFO,
    ];
    assert_eq!(codes, asked);
    // Our order decides; one profile, and an empty MKI whatever the client says.
    let mki = changed(|hello| hello.set(wire::USE_SRTP, Some(wire::use_srtp(&[1, 8, 7], b"key"))));
    let answer = server_says(config(SERVER), &mki).unwrap();
    assert_eq!(
        answer.extension(wire::USE_SRTP),
        Some(&wire::use_srtp(&[7], &[])[..])
    );
    let bare = changed(|hello| {
        for code in [
            wire::EC_POINT_FORMATS,
            wire::USE_SRTP,
            wire::RENEGOTIATION_INFO,
        ] {
            hello.set(code, None);
        }
    });
    let answer = server_says(config(SERVER), &bare).unwrap();
    assert_eq!(answer.extensions, [(wire::EXTENDED_MASTER_SECRET, vec![])]);
    let by_suite = changed(|hello| {
        hello.set(wire::RENEGOTIATION_INFO, None);
        hello.suites.push(0x00ff);
    });
    let answer = server_says(config(SERVER), &by_suite).unwrap();
    assert_eq!(answer.extension(wire::RENEGOTIATION_INFO), Some(&[0][..]));
}

// req: T4
#[test]
fn a_server_goes_without_extended_master_secret_only_where_configured() {
    let without = changed(|hello| hello.set(wire::EXTENDED_MASTER_SECRET, None));
    let required = (
        PeerIncompatible::ExtendedMasterSecretRequired.into(),
        AlertDescription::HANDSHAKE_FAILURE,
    );
    assert_eq!(server_says(config(SERVER), &without), Err(required));
    let mut lenient = config(SERVER);
    lenient.extended_master_secret = ExtendedMasterSecret::Preferred;
    let answer = server_says(lenient.clone(), &without).unwrap();
    assert_eq!(answer.extension(wire::EXTENDED_MASTER_SECRET), None);
    let answer = server_says(lenient, &hello()).unwrap();
    assert_eq!(
        answer.extension(wire::EXTENDED_MASTER_SECRET),
        Some(&[][..])
    );
}

/// A hello, what a server with the defaults says to it, and the alert.
type Case = (&'static str, ClientHello, Error, AlertDescription);

fn assert_refused(cases: impl IntoIterator<Item = Case>) {
    for (what, hello, error, alert) in cases {
        assert_eq!(
            server_says(config(SERVER), &hello),
            Err((error, alert)),
            "{what}"
        );
    }
}

// req: T3 T23
#[test]
fn a_server_refuses_hellos_with_nothing_in_common() {
    let failure = AlertDescription::HANDSHAKE_FAILURE;
    let old = changed(|hello| {
        hello.version = 0xfeff;
        hello.set(wire::SUPPORTED_VERSIONS, None);
    });
    let cbc = changed(|hello| hello.suites = vec![0xc009, 0xc013]);
    let rsa = changed(|hello| hello.suites = vec![0xc02f, 0xc030]);
    let group = changed(|hello| hello.set(wire::SUPPORTED_GROUPS, Some(wire::list16(&[0x11ec]))));
    let scheme = changed(|hello| {
        hello.set(
            wire::SIGNATURE_ALGORITHMS,
            Some(wire::list16(&[0x0401, 0x0203])),
        )
    });
    let no_version = PeerIncompatible::NoVersionInCommon.into();
    let no_suite = PeerIncompatible::NoCipherSuiteInCommon.into();
    assert_refused([
        (
            "an old version",
            old,
            no_version,
            AlertDescription::PROTOCOL_VERSION,
        ),
        ("only CBC", cbc, no_suite, failure),
        ("only suites of another kind of key", rsa, no_suite, failure),
        (
            "only groups nobody has",
            group,
            PeerIncompatible::NoGroupInCommon.into(),
            failure,
        ),
        (
            "only schemes of another key",
            scheme,
            PeerIncompatible::NoSignatureSchemeInCommon.into(),
            failure,
        ),
    ]);
}

// req: T8 T23
#[test]
fn a_server_that_requires_srtp_refuses_a_hello_without_it() {
    let mut media_only = config(SERVER);
    media_only.srtp_policy = SrtpPolicy::Required;
    let refused = Err((
        PeerIncompatible::NoSrtpProfileInCommon.into(),
        AlertDescription::HANDSHAKE_FAILURE,
    ));
    let no_srtp = changed(|hello| hello.set(wire::USE_SRTP, None));
    assert_eq!(server_says(media_only.clone(), &no_srtp), refused);
    let others = changed(|hello| hello.set(wire::USE_SRTP, Some(wire::use_srtp(&[5, 6], &[]))));
    assert_eq!(server_says(media_only.clone(), &others), refused);
    assert!(server_says(media_only, &hello()).is_ok());
    let answer = server_says(config(SERVER), &others).unwrap();
    assert_eq!(answer.extension(wire::USE_SRTP), None);
}

// req: T4 T23
#[test]
fn a_server_refuses_forbidden_and_malformed_hellos() {
    let failure = AlertDescription::HANDSHAKE_FAILURE;
    let illegal = AlertDescription::ILLEGAL_PARAMETER;
    let decode = AlertDescription::DECODE_ERROR;
    let compression = changed(|hello| hello.compression = vec![1]);
    let renegotiation = changed(|hello| hello.set(wire::RENEGOTIATION_INFO, Some(vec![1, 1])));
    let points = changed(|hello| hello.set(wire::EC_POINT_FORMATS, Some(vec![1, 1])));
    assert_refused([
        (
            "compression",
            compression,
            PeerMisbehaved::CompressionDemanded.into(),
            illegal,
        ),
        (
            "renegotiation",
            renegotiation,
            PeerMisbehaved::RenegotiationInfoDoesNotFit.into(),
            failure,
        ),
        (
            "compressed points",
            points,
            PeerMisbehaved::UncompressedPointsNotOffered.into(),
            illegal,
        ),
    ]);
    let twice = changed(|hello| hello.extensions.push((0x3a3a, vec![])));
    let no_compression = changed(|hello| hello.compression = vec![]);
    let no_suites = changed(|hello| hello.suites = vec![]);
    let session = changed(|hello| hello.session_id = vec![0; 33]);
    assert_refused([
        (
            "an extension twice",
            twice,
            InvalidMessage::DuplicateExtension.into(),
            decode,
        ),
        (
            "no compression method",
            no_compression,
            InvalidMessage::EmptyList.into(),
            decode,
        ),
        (
            "no suites",
            no_suites,
            InvalidMessage::EmptyList.into(),
            decode,
        ),
        (
            "a long session id",
            session,
            InvalidMessage::SessionIdTooLong.into(),
            decode,
        ),
    ]);
}

/// A client whose first ClientHello is answered with these cookies, one after the other; its ClientHellos, and the verdict.
fn demand_cookies(cookies: &'static [&'static [u8]]) -> (Vec<Fragment>, Story) {
    let mut pair = Ends::new().meet(54);
    let tap = pair.network.wiretap();
    let mut demanded = 0;
    pair.network.tap(move |datagram, wire| {
        if datagram.source == address(CLIENT)
            && let Some(cookie) = cookies.get(demanded)
        {
            let mut body = vec![0xfe, 0xff, cookie.len() as u8];
            body.extend_from_slice(cookie);
            let request = Fragment::whole(wire::HELLO_VERIFY_REQUEST, demanded as u16, &body);
            demanded += 1;
            wire.inject(Datagram {
                source: address(SERVER),
                destination: address(CLIENT),
                bytes: request.in_record(demanded as u64).to_bytes(),
            });
        }
        Verdict::Drop
    });
    start(&mut pair);
    pair.run_for(std::time::Duration::from_millis(100));
    let hellos = tap
        .seen()
        .iter()
        .flat_map(|(_, datagram)| wire::fragments(&datagram.bytes))
        .collect();
    (hellos, pair)
}

// req: T1
#[test]
fn a_client_gives_a_cookie_back_and_changes_nothing_else() {
    for cookie in [&b"c"[..], &[7; 255]] {
        let cookies: &'static [&'static [u8]] = Box::leak(Box::new([&*cookie.to_vec().leak()]));
        let (hellos, _) = demand_cookies(cookies);
        let [first, second] = &hellos[..] else {
            panic!("two ClientHellos: {}", hellos.len())
        };
        assert_eq!((first.message_seq, second.message_seq), (0, 1));
        let (first, second) = (
            ClientHello::parse(&first.body),
            ClientHello::parse(&second.body),
        );
        assert_eq!(second.cookie, cookie);
        assert_eq!(
            ClientHello {
                cookie: vec![],
                ..second
            },
            first
        );
    }
}

// req: T1
#[test]
fn a_second_demand_for_a_cookie_ends_the_handshake() {
    let (_, pair) = demand_cookies(&[b"one", b"another"]);
    let twice = Error::from(PeerMisbehaved::CookieDemandedTwice);
    assert_eq!(pair.a.dtls.error(), Some(&twice));
}
