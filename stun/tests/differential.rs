//! floe against `stun-types` on whatever bytes: random, structured, mutated (the rules are in [`oracle`]).

mod oracle;

use floe_stun::{
    AttributeType, ErrorCode, IntegrityAlgorithm, IntegrityKey, Message, Method, RoleAttribute,
    TransactionId, Writer,
};
use oracle::recipe::{Recipe, header, set_length};
use proptest::{collection::vec, prelude::*, sample::Index};
use stun_types::message as peer;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    // req: S1 S6
    #[test]
    fn random_bytes_are_read_alike(bytes in vec(any::<u8>(), 0..200)) {
        oracle::compare(&bytes, PASSWORD);
    }

    // req: S1 S6
    #[test]
    fn random_attributes_behind_a_good_header_are_read_alike(body in vec(any::<u8>(), 0..120)) {
        let mut bytes = header(0x0001, [5; 12]);
        bytes.extend(body);
        set_length(&mut bytes);
        oracle::compare(&bytes, PASSWORD);
    }

    // req: S1 S5 S6
    #[test]
    fn structured_messages_are_read_alike(recipe in recipe()) {
        oracle::compare(&recipe.bytes(PASSWORD), PASSWORD);
    }

    // req: S1 S3 S4 S6
    #[test]
    fn mutated_messages_are_read_alike(recipe in recipe(), mutations in vec((any::<Index>(), any::<u8>()), 1..4), cut in any::<Option<Index>>()) {
        let mut bytes = recipe.bytes(PASSWORD);
        for (index, byte) in mutations {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        oracle::compare(&bytes, PASSWORD);
    }

    // req: S2 S6
    #[test]
    fn what_floe_writes_is_read_alike(written in written()) {
        let mut buf = [0xFF; 512];
        let len = written.write(&mut buf);
        oracle::compare(&buf[..len], PASSWORD);
        let message = peer::Message::from_bytes(&buf[..len]).unwrap();
        let key = peer::ShortTermCredentials::new(PASSWORD.to_owned()).make_key();
        prop_assert!(message.validate_integrity_with_key(&key).is_ok());
    }
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let integrity = prop::sample::subsequence(
        vec![
            AttributeType::MESSAGE_INTEGRITY.number(),
            AttributeType::MESSAGE_INTEGRITY_SHA256.number(),
        ],
        0..=2,
    );
    let behind = prop_oneof![3 => Just(Vec::new()), 1 => vec(attribute(), 1..3)];
    let message_type = prop_oneof![
        Just(0x0001_u16),
        Just(0x0101),
        Just(0x0111),
        Just(0x0200),
        0..0x4000_u16
    ];
    (
        message_type,
        any::<[u8; 12]>(),
        vec(attribute(), 0..7),
        integrity,
        behind,
        any::<bool>(),
    )
        .prop_map(
            |(message_type, id, attributes, integrity, behind, fingerprint)| Recipe {
                message_type,
                id,
                attributes,
                integrity,
                behind,
                fingerprint,
            },
        )
}

/// Types that mean something with values that mostly fit, and some that do not.
fn attribute() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let number = |attribute_type: AttributeType| attribute_type.number();
    let bytes = |len: usize| vec(any::<u8>(), len);
    let address = prop_oneof![
        bytes(6).prop_map(|rest| [&[0, 1], &rest[..]].concat()),
        bytes(18).prop_map(|rest| [&[0, 2], &rest[..]].concat()),
        vec(any::<u8>(), 0..24),
    ];
    let error = (0..8_u8, 0..110_u8, vec(any::<u8>(), 0..9))
        .prop_map(|(class, number, reason)| [&[0, 0, class, number], &reason[..]].concat());
    let any_type = prop_oneof![
        Just(number(AttributeType::MESSAGE_INTEGRITY)),
        Just(number(AttributeType::MESSAGE_INTEGRITY_SHA256)),
        Just(number(AttributeType::GOOG_MESSAGE_INTEGRITY_32)),
        Just(number(AttributeType::FINGERPRINT)),
        Just(number(AttributeType::USERNAME)),
        Just(number(AttributeType::PRIORITY)),
        Just(number(AttributeType::ICE_CONTROLLED)),
        0..0x0030_u16,
        any::<u16>(),
    ];
    prop_oneof![
        (
            Just(number(AttributeType::USERNAME)),
            vec(any::<u8>(), 0..20)
        ),
        (Just(number(AttributeType::PRIORITY)), bytes(4)),
        (Just(number(AttributeType::USE_CANDIDATE)), bytes(0)),
        (Just(number(AttributeType::ICE_CONTROLLED)), bytes(8)),
        (Just(number(AttributeType::ICE_CONTROLLING)), bytes(8)),
        (
            Just(number(AttributeType::NOMINATION)),
            prop_oneof![bytes(4), bytes(5)]
        ),
        (
            Just(number(AttributeType::DTLS_IN_STUN)),
            vec(any::<u8>(), 0..40)
        ),
        (Just(number(AttributeType::DTLS_IN_STUN_ACK)), bytes(4)),
        (Just(number(AttributeType::XOR_MAPPED_ADDRESS)), address),
        (Just(number(AttributeType::ERROR_CODE)), error),
        (any_type, vec(any::<u8>(), 0..33)),
    ]
}

/// Around every edge of the hash's blocks: what one side writes the other verifies.
// req: S2 S3
#[test]
fn integrity_holds_at_every_length() {
    let key = IntegrityKey::short_term(PASSWORD.as_bytes());
    let peer_key = peer::ShortTermCredentials::new(PASSWORD.to_owned()).make_key();
    let id = TransactionId::from_bytes([3; 12]);
    let username = [b'u'; 300];
    let mut buf = [0; 512];
    for len in 0..=username.len() {
        for algorithm in [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256] {
            let written = Writer::request(&mut buf, Method::BINDING, id)
                .username(&username[..len])
                .integrity_as(algorithm, &key)
                .fingerprint()
                .unwrap();
            let bytes = &buf[..written];
            let theirs = peer::Message::from_bytes(bytes).unwrap();
            assert!(
                theirs.validate_integrity_with_key(&peer_key).is_ok(),
                "{len}"
            );
            assert!(Message::parse(bytes).unwrap().verify(&key).is_ok(), "{len}");
        }
    }
}

/// What floe's writer is asked for.
#[derive(Clone, Debug)]
struct Written {
    id: [u8; 12],
    username: Vec<u8>,
    priority: u32,
    tiebreaker: u64,
    address: std::net::SocketAddr,
    code: u16,
    sha256: bool,
}

impl Written {
    #[expect(
        clippy::unwrap_used,
        reason = "the buffer is long enough and the code in range"
    )]
    fn write(&self, buf: &mut [u8]) -> usize {
        let key = IntegrityKey::short_term(PASSWORD.as_bytes());
        let code = ErrorCode::new(self.code).unwrap();
        let writer = Writer::error(
            buf,
            Method::BINDING,
            TransactionId::from_bytes(self.id),
            code,
        )
        .username(&self.username)
        .priority(self.priority)
        .role(RoleAttribute::Controlling(self.tiebreaker))
        .xor_mapped_address(self.address)
        .unknown_attributes([AttributeType::new(0x7FFF)].into_iter())
        .nomination(self.priority);
        let writer = if self.sha256 {
            writer.integrity_sha256(&key)
        } else {
            writer.integrity(&key)
        };
        writer.fingerprint().unwrap()
    }
}

fn written() -> impl Strategy<Value = Written> {
    (
        any::<[u8; 12]>(),
        vec(any::<u8>(), 0..64),
        any::<u32>(),
        any::<u64>(),
        any::<std::net::SocketAddr>(),
        300..700_u16,
        any::<bool>(),
    )
        .prop_map(
            |(id, username, priority, tiebreaker, address, code, sha256)| Written {
                id,
                username,
                priority,
                tiebreaker,
                address,
                code,
                sha256,
            },
        )
}
