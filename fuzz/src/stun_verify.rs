//! Authentic messages, and what is left of them after a mutation.
//!
//! libFuzzer cannot guess a MAC, so the bytes say what message to build and what to do to it.

use arbitrary::{Arbitrary, Unstructured};
use floe_stun::{AttributeType, FingerprintStatus, IntegrityAlgorithm, IntegrityKey, Message};

use crate::oracle::{self, recipe::Recipe};

const PASSWORD: &str = "a password of 22 chars";

/// A message, and a byte of it to change.
#[derive(Arbitrary, Debug)]
struct Input {
    message_type: u16,
    id: [u8; 12],
    attributes: Vec<(u16, Vec<u8>)>,
    integrity: Integrity,
    behind: Vec<(u16, Vec<u8>)>,
    fingerprint: bool,
    mutation: Option<(u16, u8)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Integrity {
    Sha1,
    Sha256,
    Both,
}

/// Builds the message and checks it, then the mutated one.
pub fn run(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let (integrity, algorithm) = match input.integrity {
        Integrity::Sha1 => (
            vec![AttributeType::MESSAGE_INTEGRITY],
            IntegrityAlgorithm::Sha1,
        ),
        Integrity::Sha256 => (
            vec![AttributeType::MESSAGE_INTEGRITY_SHA256],
            IntegrityAlgorithm::Sha256,
        ),
        Integrity::Both => (
            vec![
                AttributeType::MESSAGE_INTEGRITY,
                AttributeType::MESSAGE_INTEGRITY_SHA256,
            ],
            IntegrityAlgorithm::Sha256,
        ),
    };
    let recipe = Recipe {
        message_type: input.message_type & 0x3FFF,
        id: input.id,
        attributes: input.attributes,
        integrity: integrity.into_iter().map(AttributeType::number).collect(),
        behind: input.behind,
        fingerprint: input.fingerprint,
    };
    let mut bytes = recipe.bytes(PASSWORD);
    if bytes.len() > 4096 {
        return;
    }
    oracle::compare(&bytes, PASSWORD);
    let is_plain =
        recipe.behind.is_empty() && !recipe.attributes.iter().any(|(number, _)| is_tail(*number));
    if is_plain {
        let fingerprint = if input.fingerprint {
            FingerprintStatus::Valid
        } else {
            FingerprintStatus::Absent
        };
        check_authentic(&bytes, algorithm, fingerprint);
    }
    let Some((at, byte)) = input.mutation else {
        return;
    };
    let at = usize::from(at) % bytes.len();
    if bytes[at] == byte {
        return;
    }
    bytes[at] = byte;
    oracle::compare(&bytes, PASSWORD);
    let covered = bytes.len() - if input.fingerprint { 8 } else { 0 };
    // Of two integrity attributes the second can be taken away without the first noticing.
    let is_single = recipe.integrity.len() == 1;
    if is_plain && is_single && at < covered {
        let key = IntegrityKey::short_term(PASSWORD.as_bytes());
        let verified = Message::parse(&bytes).is_ok_and(|message| message.verify(&key).is_ok());
        assert!(!verified, "byte {at} does not count");
    }
}

/// What was built so is authentic, unless one of the values is malformed.
fn check_authentic(bytes: &[u8], algorithm: IntegrityAlgorithm, fingerprint: FingerprintStatus) {
    let Ok(message) = Message::parse(bytes) else {
        return;
    };
    let key = IntegrityKey::short_term(PASSWORD.as_bytes());
    assert_eq!(
        message.verify(&key).map(|verified| verified.algorithm()),
        Ok(algorithm)
    );
    assert_eq!(message.fingerprint(), fingerprint);
    let other = IntegrityKey::short_term(b"another");
    assert!(message.verify(&other).is_err());
}

fn is_tail(number: u16) -> bool {
    matches!(
        AttributeType::new(number),
        AttributeType::MESSAGE_INTEGRITY
            | AttributeType::MESSAGE_INTEGRITY_SHA256
            | AttributeType::GOOG_MESSAGE_INTEGRITY_32
            | AttributeType::FINGERPRINT
    )
}
