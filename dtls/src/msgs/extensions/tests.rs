use proptest::prelude::*;

use super::*;

fn read(context: Context, items: &[Extension<'_>]) -> Result<Vec<ExtensionType>, InvalidMessage> {
    let mut out = Vec::new();
    Extensions::Items(items).encode(&mut out);
    let wire = Reader::all(&out, |reader| Extensions::read(context, reader))?;
    assert_eq!(wire, Extensions::Items(items));
    Ok(wire.types().collect())
}

fn unknown(code: u16, body: &[u8]) -> Extension<'_> {
    Extension::Unknown {
        extension_type: ExtensionType(code),
        body,
    }
}

#[test]
fn every_extension_survives_the_wire() {
    let items = [
        unknown(0x0a0a, b"grease"),
        Extension::SupportedVersions(List::Items(&[
            ProtocolVersion::DTLS1_3,
            ProtocolVersion::DTLS1_2,
        ])),
        Extension::SupportedGroups(List::Items(&[
            NamedGroup::X25519MLKEM768,
            NamedGroup(0x7a7a),
        ])),
        Extension::EcPointFormats(&[0]),
        Extension::SignatureAlgorithms(List::Items(&[SignatureScheme::ED25519])),
        Extension::UseSrtp(UseSrtp {
            profiles: List::Items(&[SrtpProtectionProfile::SRTP_AEAD_AES_128_GCM]),
            mki: b"id",
        }),
        Extension::ExtendedMasterSecret,
        Extension::RenegotiationInfo(&[]),
        Extension::ServerName(b"sfu.example"),
        Extension::Alpn(ProtocolNames::Items(&[b"webrtc", b"c-webrtc"])),
        Extension::KeyShares(KeyShares::Items(&[KeyShareEntry {
            group: NamedGroup::X25519,
            key_exchange: &[9; 32],
        }])),
        Extension::Cookie(b"cookie"),
        Extension::PskKeyExchangeModes(List::Items(&[PskKeyExchangeMode::PSK_DHE_KE])),
        Extension::ConnectionId(&[]),
        unknown(0x1a1a, b""),
    ];
    assert_eq!(
        read(Context::ClientHello, &items).map(|types| types.len()),
        Ok(items.len())
    );
}

#[test]
fn accessors_find_what_came_and_nothing_else() {
    let extensions = Extensions::Items(&[
        Extension::ExtendedMasterSecret,
        Extension::EcPointFormats(&[0, 1]),
    ]);
    assert_eq!(extensions.extended_master_secret(), Some(()));
    assert_eq!(extensions.ec_point_formats(), Some(&[0, 1][..]));
    assert_eq!(extensions.use_srtp(), None);
    assert_eq!(extensions.renegotiation_info(), None);
}

#[test]
fn duplicates_are_refused_known_or_not() {
    for extension in [Extension::ExtendedMasterSecret, unknown(0x1234, b"x")] {
        let twice = [extension, unknown(7, b""), extension];
        assert_eq!(
            read(Context::ClientHello, &twice),
            Err(InvalidMessage::DuplicateExtension)
        );
    }
}

#[test]
fn a_flood_of_extensions_is_refused() {
    let flood: Vec<_> = (0..=MOST_EXTENSIONS as u16)
        .map(|code| unknown(0x2000 + code, b""))
        .collect();
    assert_eq!(
        read(Context::ClientHello, &flood),
        Err(InvalidMessage::TooManyExtensions)
    );
    assert!(read(Context::ClientHello, &flood[1..]).is_ok());
}

#[test]
fn what_a_message_says_of_versions_and_shares_depends_on_the_message() {
    let share = KeyShareEntry {
        group: NamedGroup::X25519,
        key_exchange: &[7; 32],
    };
    let answer = [
        Extension::SelectedVersion(ProtocolVersion::DTLS1_3),
        Extension::KeyShare(share),
        Extension::ConnectionId(&[]),
    ];
    assert_eq!(
        read(Context::ServerHello, &answer).map(|types| types.len()),
        Ok(3)
    );
    let retry = [
        Extension::SelectedVersion(ProtocolVersion::DTLS1_3),
        Extension::SelectedGroup(NamedGroup::SECP384R1),
        Extension::Cookie(b"cookie"),
    ];
    assert_eq!(
        read(Context::HelloRetryRequest, &retry).map(|types| types.len()),
        Ok(3)
    );
    assert_eq!(
        read(Context::ClientHello, &retry[..1]),
        Err(InvalidMessage::MessageTooShort)
    );
    assert_eq!(
        read(Context::ServerHello, &retry[1..2]),
        Err(InvalidMessage::MessageTooShort)
    );
    assert_eq!(
        read(Context::HelloRetryRequest, &answer[1..2]),
        Err(InvalidMessage::TrailingBytes)
    );
}

#[test]
fn what_has_no_place_in_a_message_is_unknown_there() {
    for (context, code) in [
        (Context::ServerHello, 44),
        (Context::HelloRetryRequest, 14),
        (Context::EncryptedExtensions, 51),
        (Context::CertificateRequest, 14),
        (Context::Certificate, 13),
        (Context::NewSessionTicket, 42),
    ] {
        let broken_elsewhere = [unknown(code, b"?")];
        assert_eq!(
            read(context, &broken_elsewhere),
            Ok(vec![ExtensionType(code)]),
            "{context:?}"
        );
    }
}

#[test]
fn a_known_extension_with_a_broken_body_is_refused() {
    for (code, body, error) in [
        (10, &[0, 0][..], InvalidMessage::EmptyList),
        (11, &[0], InvalidMessage::EmptyList),
        (13, &[0, 1, 4], InvalidMessage::UnevenList),
        (14, &[0, 2, 0, 1], InvalidMessage::MessageTooShort),
        (23, &[0], InvalidMessage::TrailingBytes),
        (0, &[0, 3, 0, 0, 0], InvalidMessage::ServerNameUnreadable),
        (16, &[0, 1, 0], InvalidMessage::EmptyProtocolName),
        (43, &[3, 0xfe, 0xfc, 0xfe], InvalidMessage::UnevenList),
        (44, &[0, 0], InvalidMessage::EmptyCookie),
        (45, &[0], InvalidMessage::EmptyList),
        (51, &[0, 4, 0, 29, 0, 0], InvalidMessage::EmptyPublicKey),
        (54, &[2, 0], InvalidMessage::MessageTooShort),
        (0xff01, &[], InvalidMessage::MessageTooShort),
    ] {
        let broken = [unknown(code, body)];
        let mut out = Vec::new();
        Extensions::Items(&broken).encode(&mut out);
        let read = Extensions::read(Context::ClientHello, &mut Reader::new(&out));
        assert_eq!(read, Err(error), "extension {code}");
    }
}

#[test]
fn a_missing_block_holds_nothing() {
    let none = Extensions::read_optional(Context::ServerHello, &mut Reader::new(&[]));
    assert_eq!(none, Ok(Extensions::Items(&[])));
    let mut out = Vec::new();
    Extensions::Items(&[]).encode_optional(&mut out);
    assert_eq!(out, []);
    let missing = Extensions::read(Context::EncryptedExtensions, &mut Reader::new(&[]));
    assert_eq!(missing, Err(InvalidMessage::MessageTooShort));
}

proptest! {
    #[test]
    fn any_bytes_are_extensions_or_an_error(bytes: Vec<u8>, context in prop::sample::select(CONTEXTS)) {
        let read = Reader::all(&bytes, |reader| Extensions::read(context, reader));
        if let Ok(extensions) = read {
            let mut out = Vec::new();
            extensions.encode(&mut out);
            prop_assert_eq!(Reader::all(&out, |reader| Extensions::read(context, reader)), Ok(extensions));
        }
    }

    #[test]
    fn any_body_is_an_extension_or_an_error(
        code in prop::sample::select(&[0u16, 10, 11, 13, 14, 16, 23, 43, 44, 45, 51, 54, 0xff01][..]),
        body in prop::collection::vec(0u8..6, 0..12),
        context in prop::sample::select(CONTEXTS),
    ) {
        let mut out = Vec::new();
        Extensions::Items(&[unknown(code, &body)]).encode(&mut out);
        if let Ok(extensions) = Reader::all(&out, |reader| Extensions::read(context, reader)) {
            let mut again = Vec::new();
            extensions.encode(&mut again);
            prop_assert_eq!(again, out);
        }
    }
}

const CONTEXTS: &[Context] = &[
    Context::ClientHello,
    Context::ServerHello,
    Context::HelloRetryRequest,
    Context::EncryptedExtensions,
    Context::CertificateRequest,
    Context::Certificate,
    Context::NewSessionTicket,
];
