//! The rules of RFC 8489 that attackers lean on: what counts, what is ignored, what is refused.

use floe_stun::{
    AttributeType, ErrorCode, FingerprintStatus, IntegrityAlgorithm, IntegrityError, IntegrityKey,
    Message, Method, ParseError, RoleAttribute, TransactionId, WriteError, Writer,
};
use stun_types::{attribute::MessageIntegritySha256, message::ShortTermCredentials};

const ID: TransactionId = TransactionId::from_bytes([0xA5; 12]);

fn key() -> IntegrityKey {
    IntegrityKey::short_term(b"a password of 22 chars")
}

/// A check with every attribute ICE uses, without FINGERPRINT.
fn check() -> Vec<u8> {
    written(|buf| {
        Writer::request(buf, Method::BINDING, ID)
            .ice_username("remote", "local")
            .priority(7)
            .use_candidate()
            .role(RoleAttribute::Controlling(9))
            .nomination(3)
            .integrity(&key())
            .finish()
    })
}

#[expect(clippy::unwrap_used, reason = "the buffer is long enough")]
fn written(write: impl FnOnce(&mut [u8]) -> Result<usize, WriteError>) -> Vec<u8> {
    let mut buf = vec![0xFF; 512];
    let len = write(&mut buf).unwrap();
    buf.truncate(len);
    buf
}

fn push(bytes: &mut Vec<u8>, attribute_type: AttributeType, value: &[u8]) {
    bytes.extend(attribute_type.number().to_be_bytes());
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let length = (bytes.len() - 20) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

fn push_fingerprint(bytes: &mut Vec<u8>) {
    push(bytes, AttributeType::FINGERPRINT, &[0; 4]);
    let at = bytes.len() - 8;
    let crc = crc32fast::hash(&bytes[..at]) ^ 0x5354_554E;
    bytes[at + 4..].copy_from_slice(&crc.to_be_bytes());
}

// req: S5
#[test]
fn attributes_behind_integrity_do_not_count_and_do_not_break_it() {
    let mut bytes = written(|buf| {
        Writer::request(buf, Method::BINDING, ID)
            .integrity(&key())
            .finish()
    });
    push(&mut bytes, AttributeType::USERNAME, b"mallory");
    push(&mut bytes, AttributeType::PRIORITY, &[1; 4]);
    push(&mut bytes, AttributeType::USE_CANDIDATE, &[]);
    push(&mut bytes, AttributeType::ICE_CONTROLLING, &[1; 8]);
    push(&mut bytes, AttributeType::NOMINATION, &[1; 4]);
    push(
        &mut bytes,
        AttributeType::XOR_MAPPED_ADDRESS,
        &[0, 1, 1, 1, 1, 1, 1, 1],
    );
    push(&mut bytes, AttributeType::ERROR_CODE, &[0, 0, 4, 1]);
    push(&mut bytes, AttributeType::DTLS_IN_STUN, &[1; 9]);
    push(&mut bytes, AttributeType::DTLS_IN_STUN_ACK, &[1; 4]);
    push(&mut bytes, AttributeType::new(0x7ABC), b"unknown");
    push_fingerprint(&mut bytes);

    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.username(), None);
    assert_eq!(message.priority(), None);
    assert!(!message.use_candidate());
    assert_eq!(message.role(), None);
    assert_eq!(message.nomination(), None);
    assert_eq!(message.xor_mapped_address(), None);
    assert_eq!(message.error_code(), None);
    assert_eq!(message.dtls_in_stun(), None);
    assert_eq!(message.dtls_in_stun_ack(), None);
    assert_eq!(message.unknown_required().count(), 0);
    let types: Vec<_> = message
        .attributes()
        .map(|attribute| attribute.attribute_type)
        .collect();
    assert_eq!(
        types,
        [AttributeType::MESSAGE_INTEGRITY, AttributeType::FINGERPRINT]
    );
    assert_eq!(message.fingerprint(), FingerprintStatus::Valid);
    assert_eq!(
        message.verify(&key()).unwrap().algorithm(),
        IntegrityAlgorithm::Sha1
    );
}

// req: S5
#[test]
fn a_second_integrity_does_not_replace_the_first() {
    let mut bytes = check();
    push(&mut bytes, AttributeType::MESSAGE_INTEGRITY, &[0; 20]);
    Message::parse(&bytes).unwrap().verify(&key()).unwrap();
}

// req: S5
#[test]
fn sha1_behind_sha256_does_not_count() {
    let mut buf = [0; 200];
    let len = Writer::request(
        &mut buf,
        Method::BINDING,
        TransactionId::from_bytes([3; 12]),
    )
    .username(b"a:b")
    .integrity_sha256(&key())
    .finish()
    .unwrap();
    let mut bytes = buf[..len].to_vec();
    // Of a length that MESSAGE-INTEGRITY never has: counting it would make the message malformed.
    push(&mut bytes, AttributeType::MESSAGE_INTEGRITY, &[0; 4]);
    let message = Message::parse(&bytes).unwrap();
    let verified = message.verify(&key()).unwrap();
    assert_eq!(verified.algorithm(), IntegrityAlgorithm::Sha256);
}

// req: S5
#[test]
fn sha256_behind_sha1_counts_and_decides() {
    let mut bytes = check();
    push(
        &mut bytes,
        AttributeType::MESSAGE_INTEGRITY_SHA256,
        &[0; 32],
    );
    let message = Message::parse(&bytes).unwrap();
    // The older attribute is right and the newer is not: no falling back.
    assert_eq!(
        message.verify(&key()).unwrap_err(),
        IntegrityError::Mismatch
    );
}

// req: S5
#[test]
fn of_duplicates_the_first_counts_whatever_the_second_looks_like() {
    let mut bytes = written(|buf| {
        Writer::request(buf, Method::BINDING, ID)
            .username(b"first")
            .priority(1)
            .role(RoleAttribute::Controlled(1))
            .nomination(1)
            .finish()
    });
    push(&mut bytes, AttributeType::USERNAME, b"second");
    push(&mut bytes, AttributeType::PRIORITY, &[2; 4]);
    push(&mut bytes, AttributeType::PRIORITY, b"malformed");
    push(&mut bytes, AttributeType::ICE_CONTROLLING, &[2; 8]);
    push(&mut bytes, AttributeType::NOMINATION, &[2; 4]);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.username(), Some(&b"first"[..]));
    assert_eq!(message.priority(), Some(1));
    assert_eq!(message.role(), Some(RoleAttribute::Controlled(1)));
    assert_eq!(message.nomination(), Some(1));
}

// req: S5
#[test]
fn unknown_required_attributes_are_listed_for_a_420_that_carries_integrity() {
    let request = written(|buf| {
        Writer::request(buf, Method::BINDING, ID)
            .attribute(AttributeType::new(0x7ABC), b"?")
            .attribute(AttributeType::new(0x8ABC), b"optional")
            .attribute(AttributeType::new(0x0002), b"")
            .priority(1)
            .integrity(&key())
            .fingerprint()
    });
    let message = Message::parse(&request).unwrap();
    let request = message.verify(&key()).unwrap();
    let answer = written(|buf| {
        Writer::error(
            buf,
            request.method(),
            request.transaction_id(),
            ErrorCode::UNKNOWN_ATTRIBUTE,
        )
        .unknown_attributes(request.unknown_required())
        .integrity_as(request.algorithm(), &key())
        .fingerprint()
    });

    let answer = Message::parse(&answer).unwrap();
    answer.verify(&key()).unwrap();
    assert_eq!(answer.error_code(), Some(ErrorCode::UNKNOWN_ATTRIBUTE));
    let listed = answer
        .attributes()
        .find(|attribute| attribute.attribute_type == AttributeType::UNKNOWN_ATTRIBUTES)
        .unwrap();
    assert_eq!(listed.value, [0x7A, 0xBC, 0x00, 0x02]);
    // In a response the same list tells the client to fail its transaction.
    assert_eq!(answer.unknown_required().count(), 0);
    let response = written(|buf| {
        Writer::success(buf, Method::BINDING, ID)
            .attribute(AttributeType::new(0x7ABC), b"?")
            .finish()
    });
    assert_eq!(
        Message::parse(&response)
            .unwrap()
            .unknown_required()
            .count(),
        1
    );
}

// req: S4
#[test]
fn fingerprint_is_absent_valid_or_invalid() {
    let mut bytes = check();
    assert_eq!(
        Message::parse(&bytes).unwrap().fingerprint(),
        FingerprintStatus::Absent
    );
    push_fingerprint(&mut bytes);
    assert_eq!(
        Message::parse(&bytes).unwrap().fingerprint(),
        FingerprintStatus::Valid
    );
    for bit in 0..bytes.len() * 8 {
        let mut turned = bytes.clone();
        turned[bit / 8] ^= 1 << (bit % 8);
        let status = Message::parse(&turned).map(|message| message.fingerprint());
        assert_ne!(status, Ok(FingerprintStatus::Valid), "bit {bit}");
    }
}

// req: S4
#[test]
fn fingerprint_must_be_last() {
    let mut bytes = check();
    push_fingerprint(&mut bytes);
    push(&mut bytes, AttributeType::SOFTWARE, b"late");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.fingerprint(), FingerprintStatus::Invalid);
    // Nor does a second one help that would be right.
    push_fingerprint(&mut bytes);
    assert_eq!(
        Message::parse(&bytes).unwrap().fingerprint(),
        FingerprintStatus::Invalid
    );
}

// req: S9
#[test]
fn a_request_with_sha256_is_answered_with_sha256_and_ice_sends_sha1_alone() {
    for algorithm in [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256] {
        let request = written(|buf| {
            Writer::request(buf, Method::BINDING, ID)
                .integrity_as(algorithm, &key())
                .fingerprint()
        });
        let message = Message::parse(&request).unwrap();
        let request = message.verify(&key()).unwrap();
        assert_eq!(request.algorithm(), algorithm);
        let answer = written(|buf| {
            Writer::success(buf, Method::BINDING, ID)
                .integrity_as(request.algorithm(), &key())
                .fingerprint()
        });
        let answer = Message::parse(&answer).unwrap();
        assert_eq!(answer.verify(&key()).unwrap().algorithm(), algorithm);
        assert_eq!(answer.attributes().count(), 2);
    }
    // What a check is written with carries nothing that an old peer would refuse.
    let check = check();
    let check = Message::parse(&check).unwrap();
    assert!(
        check
            .attributes()
            .all(|attribute| attribute.attribute_type != AttributeType::MESSAGE_INTEGRITY_SHA256)
    );
}

// req: S3
#[test]
fn a_truncated_sha256_is_compared_as_far_as_it_goes() {
    let peer_key = ShortTermCredentials::new("a password of 22 chars".to_owned()).make_key();
    for len in 0..=40 {
        let mut covered = written(|buf| Writer::request(buf, Method::BINDING, ID).finish());
        covered[3] = 4 + len as u8;
        let mac = MessageIntegritySha256::compute(&[&covered], &peer_key).unwrap();
        let value: Vec<u8> = mac.into_iter().chain([0; 8]).take(len).collect();
        let mut bytes = covered;
        push(&mut bytes, AttributeType::MESSAGE_INTEGRITY_SHA256, &value);
        let parsed = Message::parse(&bytes);
        if !matches!(len, 16 | 20 | 24 | 28 | 32) {
            let refused = ParseError::MalformedAttribute(AttributeType::MESSAGE_INTEGRITY_SHA256);
            assert_eq!(parsed.unwrap_err(), refused);
            continue;
        }
        assert_eq!(
            parsed.unwrap().verify(&key()).unwrap().algorithm(),
            IntegrityAlgorithm::Sha256
        );
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert_eq!(
            Message::parse(&bytes).unwrap().verify(&key()).unwrap_err(),
            IntegrityError::Mismatch
        );
    }
}

// req: S1
#[test]
fn goog_ping_is_authenticated_by_32_bits_and_nothing_else_is() {
    let ping = |method| {
        written(|buf| {
            Writer::request(buf, method, ID)
                .integrity_as(IntegrityAlgorithm::Sha1Truncated32, &key())
                .fingerprint()
        })
    };
    let bytes = ping(Method::GOOG_PING);
    let message = Message::parse(&bytes).unwrap();
    assert!(message.has_integrity());
    assert_eq!(
        message.verify(&key()).unwrap().algorithm(),
        IntegrityAlgorithm::Sha1Truncated32
    );
    let other = IntegrityKey::short_term(b"another");
    assert_eq!(
        message.verify(&other).unwrap_err(),
        IntegrityError::Mismatch
    );

    let bytes = ping(Method::BINDING);
    assert_eq!(
        Message::parse(&bytes).unwrap().verify(&key()).unwrap_err(),
        IntegrityError::Missing
    );

    let mut bytes = written(|buf| {
        Writer::request(buf, Method::GOOG_PING, ID)
            .integrity_as(IntegrityAlgorithm::Sha1Truncated32, &key())
            .finish()
    });
    push(&mut bytes, AttributeType::USE_CANDIDATE, &[]);
    assert_eq!(
        Message::parse(&bytes).unwrap().verify(&key()).unwrap_err(),
        IntegrityError::Missing
    );
}

// req: S1
#[test]
fn the_pass_finds_what_the_fast_path_asks_for() {
    let bytes = written(|buf| {
        Writer::success(buf, Method::BINDING, ID)
            .xor_mapped_address("[2001:db8::1]:9".parse().unwrap())
            .attribute(AttributeType::DTLS_IN_STUN, &[22, 254, 253])
            .attribute(AttributeType::DTLS_IN_STUN_ACK, &[1, 2, 3, 4])
            .use_candidate()
            .priority(u32::MAX)
            .role(RoleAttribute::Controlled(u64::MAX))
            .nomination(0)
            .ice_username("a", "b")
            .finish()
    });
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(
        message.xor_mapped_address(),
        Some("[2001:db8::1]:9".parse().unwrap())
    );
    assert_eq!(message.dtls_in_stun(), Some(&[22, 254, 253][..]));
    assert_eq!(message.dtls_in_stun_ack(), Some(&[1, 2, 3, 4][..]));
    assert!(message.use_candidate());
    assert_eq!(message.priority(), Some(u32::MAX));
    assert_eq!(message.role(), Some(RoleAttribute::Controlled(u64::MAX)));
    assert_eq!(message.nomination(), Some(0));
    assert_eq!(message.username(), Some(&b"a:b"[..]));
    assert!(!message.has_integrity());
    assert_eq!(message.verify(&key()).unwrap_err(), IntegrityError::Missing);
}

// req: S1
#[test]
fn malformed_values_refuse_the_message() {
    let cases: [(AttributeType, &[u8]); 10] = [
        (AttributeType::PRIORITY, &[0; 3]),
        (AttributeType::USE_CANDIDATE, &[0]),
        (AttributeType::ICE_CONTROLLED, &[0; 7]),
        (AttributeType::ICE_CONTROLLING, &[0; 9]),
        (AttributeType::XOR_MAPPED_ADDRESS, &[0, 1, 0, 0, 0, 0, 0]),
        (AttributeType::XOR_MAPPED_ADDRESS, &[0, 3, 0, 0, 0, 0, 0, 0]),
        (AttributeType::ERROR_CODE, &[0, 0, 2, 99]),
        (AttributeType::ERROR_CODE, &[0, 0, 4, 100]),
        (AttributeType::MESSAGE_INTEGRITY, &[0; 19]),
        (AttributeType::FINGERPRINT, &[0; 5]),
    ];
    for (attribute_type, value) in cases {
        let mut bytes = written(|buf| Writer::request(buf, Method::BINDING, ID).finish());
        push(&mut bytes, attribute_type, value);
        assert_eq!(
            Message::parse(&bytes).unwrap_err(),
            ParseError::MalformedAttribute(attribute_type)
        );
    }
    // NOMINATION is not registered: in another's shape it is another's attribute.
    let mut bytes = written(|buf| Writer::request(buf, Method::BINDING, ID).finish());
    push(&mut bytes, AttributeType::NOMINATION, &[0; 5]);
    assert_eq!(Message::parse(&bytes).unwrap().nomination(), None);
}

// req: S1
#[test]
fn bad_framing_says_what_is_wrong() {
    let good = check();
    assert_eq!(
        Message::parse(&good[..19]).unwrap_err(),
        ParseError::HeaderTruncated
    );
    assert_eq!(
        Message::parse(&good[..40]).unwrap_err(),
        ParseError::LengthMismatch
    );
    let parse_with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Message::parse(&bytes).unwrap_err()
    };
    assert_eq!(parse_with(0, 0x40), ParseError::NotStun);
    assert_eq!(parse_with(7, 0), ParseError::NoMagicCookie);
    // The first attribute claims to reach beyond the end.
    assert_eq!(parse_with(22, 0xFF), ParseError::AttributeTruncated);
    // Three bytes too many, and counted: still no message.
    let mut bytes = [&good[..], &[0; 3]].concat();
    bytes[3] += 3;
    assert_eq!(
        Message::parse(&bytes).unwrap_err(),
        ParseError::LengthMismatch
    );
}

// req: S2
#[test]
fn a_buffer_too_short_is_a_typed_error_at_every_length() {
    let needed = 100;
    for len in 0..=needed {
        let mut buf = vec![0; len];
        let result = Writer::request(&mut buf, Method::BINDING, ID)
            .ice_username("remote", "local")
            .priority(7)
            .use_candidate()
            .role(RoleAttribute::Controlling(9))
            .nomination(3)
            .integrity(&key())
            .fingerprint();
        if len < needed {
            assert_eq!(result, Err(WriteError::BufferTooShort { needed }));
        } else {
            assert_eq!(result, Ok(needed));
        }
    }
    let mut buf = vec![0; 0x2_0000];
    let value = vec![0; 0xFFFF];
    let result = Writer::request(&mut buf, Method::BINDING, ID)
        .attribute(AttributeType::SOFTWARE, &value)
        .finish();
    assert_eq!(result, Err(WriteError::MessageTooLong));
}

// req: S2
#[test]
fn what_must_be_computed_cannot_be_given() {
    for attribute_type in [
        AttributeType::MESSAGE_INTEGRITY,
        AttributeType::MESSAGE_INTEGRITY_SHA256,
        AttributeType::GOOG_MESSAGE_INTEGRITY_32,
        AttributeType::FINGERPRINT,
    ] {
        let mut buf = [0; 128];
        let writer =
            Writer::request(&mut buf, Method::BINDING, ID).attribute(attribute_type, &[0; 4]);
        assert_eq!(
            writer.integrity(&key()).fingerprint(),
            Err(WriteError::OutOfOrder)
        );
    }
}

// req: S2
#[test]
fn padding_is_zero_whatever_the_buffer_held() {
    let bytes = written(|buf| {
        Writer::indication(buf, Method::BINDING, ID)
            .username(b"abcde")
            .finish()
    });
    assert_eq!(
        bytes[20..],
        [0, 6, 0, 5, b'a', b'b', b'c', b'd', b'e', 0, 0, 0]
    );
}

#[test]
fn debug_output_shows_no_value() {
    let bytes = check();
    let message = Message::parse(&bytes).unwrap();
    let shown = format!(
        "{message:?} {:?} {:?}",
        message.verify(&key()).unwrap(),
        key()
    );
    assert!(shown.contains("USERNAME"));
    assert!(!shown.contains("remote") && !shown.contains("114, 101, 109"));
}
