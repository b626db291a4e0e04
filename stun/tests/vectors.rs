//! The RFCs' own messages: RFC 5769 §2.1 to §2.4 and RFC 8489 appendix B (with erratum 6268).

use floe_stun::{
    AttributeType, Class, FingerprintStatus, IntegrityAlgorithm, IntegrityError, IntegrityKey,
    Message, Method, RoleAttribute, TransactionId, Writer,
};

const SHORT_TERM_PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e20746573\
    7420636c69656e74002400046e0001ff80290008932ff9b151263b3600060009\
    6576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249\
    c1b571a280280004e57a3bcf";

const IPV4_RESPONSE: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563\
    746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f9\
    2af9ba53f06be7d780280004c07d4c96";

const IPV6_RESPONSE: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563\
    746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014\
    a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";

const LONG_TERM_REQUEST: &str = "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383\
    aae38383e382afe382b900000015001c662f2f3439396b39353464364f4c3334\
    6f4c394653547679363473410014000b6578616d706c652e6f72670000080014\
    f67024656dd64a3e02b8e0712e85c9a28ca89666";

const SHA256_REQUEST: &str = "000100902112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bd\
    a952c6780417da0f24819415569e60b205c46e41407f1704001500296f624d61\
    744a6f733241414143662f2f3439396b39353464364f4c33346f4c3946535476\
    79363473410000000014000b6578616d706c652e6f726700001d000400020000\
    001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278c\
    c6518e65";

/// MD5 and SHA-256 of `マトリックス:example.org:TheMatrIX`, the prepared long-term credential of both documents.
const LONG_TERM_KEY_MD5: &str = "e8ca7ad59d5eb0518e312911d2dab2a9";
const LONG_TERM_KEY_SHA256: &str =
    "dd295a613b9058c3c23d6dc7165bda072304d989c9d0af3a8c7e184b4f9bb4a1";

#[expect(clippy::unwrap_used, reason = "the digits are constants of this file")]
fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
        .collect()
}

/// Whatever bit of what the MAC covers is turned, verification must fail.
fn assert_every_covered_bit_counts(bytes: &[u8], covered: usize, key: &IntegrityKey) {
    for bit in 0..covered * 8 {
        let mut forged = bytes.to_vec();
        forged[bit / 8] ^= 1 << (bit % 8);
        let verified = Message::parse(&forged).is_ok_and(|message| message.verify(key).is_ok());
        assert!(!verified, "bit {bit} does not count");
    }
}

// req: S1 S3 S4 S6
#[test]
fn rfc_5769_2_1_sample_request() {
    let bytes = hex(REQUEST);
    let key = IntegrityKey::short_term(SHORT_TERM_PASSWORD);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(
        (message.class(), message.method()),
        (Class::Request, Method::BINDING)
    );
    assert_eq!(
        message.transaction_id().as_bytes()[..],
        hex("b7e7a701bc34d686fa87dfae")[..]
    );
    assert_eq!(message.username(), Some(&b"evtj:h6vY"[..]));
    assert_eq!(message.priority(), Some(0x6E00_01FF));
    assert_eq!(
        message.role(),
        Some(RoleAttribute::Controlled(0x932F_F9B1_5126_3B36))
    );
    assert_eq!(message.fingerprint(), FingerprintStatus::Valid);
    assert_eq!(
        message.verify(&key).unwrap().algorithm(),
        IntegrityAlgorithm::Sha1
    );
    let wrong = IntegrityKey::short_term(b"VOkJxbRl1RmTxUk/WvJxBu");
    assert_eq!(
        message.verify(&wrong).unwrap_err(),
        IntegrityError::Mismatch
    );
    assert_every_covered_bit_counts(&bytes, 100, &key);
}

// req: S1 S3 S4 S6
#[test]
fn rfc_5769_2_2_sample_ipv4_response() {
    let bytes = hex(IPV4_RESPONSE);
    let key = IntegrityKey::short_term(SHORT_TERM_PASSWORD);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.class(), Class::SuccessResponse);
    assert_eq!(
        message.xor_mapped_address(),
        Some("192.0.2.1:32853".parse().unwrap())
    );
    assert_eq!(message.fingerprint(), FingerprintStatus::Valid);
    message.verify(&key).unwrap();
    assert_every_covered_bit_counts(&bytes, 72, &key);
}

// req: S1 S3 S4 S6
#[test]
fn rfc_5769_2_3_sample_ipv6_response() {
    let bytes = hex(IPV6_RESPONSE);
    let key = IntegrityKey::short_term(SHORT_TERM_PASSWORD);
    let message = Message::parse(&bytes).unwrap();
    let address = "[2001:db8:1234:5678:11:2233:4455:6677]:32853"
        .parse()
        .unwrap();
    assert_eq!(message.xor_mapped_address(), Some(address));
    assert_eq!(message.fingerprint(), FingerprintStatus::Valid);
    message.verify(&key).unwrap();
    assert_every_covered_bit_counts(&bytes, 84, &key);
}

// req: S3 S6
#[test]
fn rfc_5769_2_4_sample_request_with_long_term_authentication() {
    let bytes = hex(LONG_TERM_REQUEST);
    let key = IntegrityKey::new(&hex(LONG_TERM_KEY_MD5));
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.username(), Some("マトリックス".as_bytes()));
    assert_eq!(message.fingerprint(), FingerprintStatus::Absent);
    assert_eq!(message.unknown_required().count(), 0);
    assert_eq!(
        message.verify(&key).unwrap().algorithm(),
        IntegrityAlgorithm::Sha1
    );
    assert_every_covered_bit_counts(&bytes, 116, &key);
}

// req: S3 S6
#[test]
fn rfc_8489_appendix_b_1_sample_request_with_sha256_and_userhash() {
    let bytes = hex(SHA256_REQUEST);
    let key = IntegrityKey::new(&hex(LONG_TERM_KEY_SHA256));
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(
        message.verify(&key).unwrap().algorithm(),
        IntegrityAlgorithm::Sha256
    );
    // USERHASH and PASSWORD-ALGORITHM belong to long-term credentials, which this crate does not do.
    let unknown: Vec<_> = message
        .unknown_required()
        .map(AttributeType::number)
        .collect();
    assert_eq!(unknown, [0x001E, 0x001D]);
    assert_every_covered_bit_counts(&bytes, 164, &key);
}

/// The vectors pad with spaces, the RFC asks for zeros: written again, only padding and what is computed over it may differ.
// req: S2 S6
#[test]
fn the_writer_produces_the_vectors() {
    let key = IntegrityKey::short_term(SHORT_TERM_PASSWORD);
    let id = TransactionId::from_bytes(hex("b7e7a701bc34d686fa87dfae").try_into().unwrap());
    let mut buf = [0xFF; 128];
    let len = Writer::request(&mut buf, Method::BINDING, id)
        .attribute(AttributeType::SOFTWARE, b"STUN test client")
        .priority(0x6E00_01FF)
        .role(RoleAttribute::Controlled(0x932F_F9B1_5126_3B36))
        .ice_username("evtj", "h6vY")
        .integrity(&key)
        .fingerprint()
        .unwrap();
    let vector = hex(REQUEST);
    assert_eq!(len, vector.len());
    assert_eq!(buf[..73], vector[..73]);
    assert_eq!(buf[73..76], [0; 3]);

    for (vector, address) in [
        (IPV4_RESPONSE, "192.0.2.1:32853"),
        (
            IPV6_RESPONSE,
            "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
        ),
    ] {
        let vector = hex(vector);
        let len = Writer::success(&mut buf, Method::BINDING, id)
            .attribute(AttributeType::SOFTWARE, b"test vector")
            .xor_mapped_address(address.parse().unwrap())
            .integrity(&key)
            .fingerprint()
            .unwrap();
        assert_eq!(len, vector.len());
        assert_eq!(buf[..35], vector[..35]);
        assert_eq!(buf[35], 0);
        assert_eq!(buf[36..len - 28], vector[36..len - 28]);
    }

    // Appendix B.1 pads with zeros: byte for byte.
    let vector = hex(SHA256_REQUEST);
    let original = Message::parse(&vector).unwrap();
    let mut buf = [0xFF; 256];
    let mut writer = Writer::request(&mut buf, Method::BINDING, original.transaction_id());
    for attribute in original.attributes() {
        if attribute.attribute_type != AttributeType::MESSAGE_INTEGRITY_SHA256 {
            writer = writer.attribute(attribute.attribute_type, attribute.value);
        }
    }
    let len = writer
        .integrity_sha256(&IntegrityKey::new(&hex(LONG_TERM_KEY_SHA256)))
        .finish()
        .unwrap();
    assert_eq!(buf[..len], vector[..]);
}
