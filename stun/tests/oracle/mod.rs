//! The same bytes read by floe and by `stun-types`, an independent implementation: they must agree on whether this is a message, on every
//! attribute, and on its authenticity.
//!
//! Where floe differs on purpose:
//!
//! | difference | reason |
//! |---|---|
//! | a datagram longer than its message is refused; `stun-types` reads on into what follows | a datagram is one message (RFC 8489 §6.3); nothing may hide behind it |
//! | so is a length that is no multiple of four, even where `stun-types` stops before it matters | RFC 8489 §5 |
//! | framing is checked to the end, and FINGERPRINT found, behind an attribute that integrity hides; `stun-types` stops there | what is ignored must still be well-formed, and FINGERPRINT is about the whole datagram |
//! | FINGERPRINT that is not last is invalid | RFC 8489 §14.7 |
//! | a malformed value refuses the message; `stun-types` refuses the attribute when asked for it | one place to look, and `None` means absent |
//! | USERNAME is bytes, and the reason phrase is not looked at; `stun-types` wants UTF-8 and a length | ICE compares user names and shows nothing |
//! | ICE attributes and the 32-bit integrity are unknown to `stun-types` | their raw values are compared instead |

pub(crate) mod recipe;

use floe_stun::{
    AttributeType, ErrorCode, FingerprintStatus, IntegrityAlgorithm, IntegrityKey, Message,
    ParseError, RoleAttribute,
};
use stun_types::{
    attribute::{
        ErrorCode as PeerErrorCode, MessageIntegrity, MessageIntegritySha256, XorMappedAddress,
    },
    message as peer,
    prelude::*,
};

/// Compares the two readings; panics where they differ without a reason.
pub(crate) fn compare(bytes: &[u8], password: &str) {
    let ours = Message::parse(bytes);
    if let Some(length) = declared_length(bytes)
        && (bytes.len() > 20 + length || length % 4 != 0)
    {
        assert!(ours.is_err(), "a length that does not fit must be refused");
        return;
    }
    let theirs = peer::Message::from_bytes(bytes);
    if hides_something(bytes) {
        compare_up_to_the_hidden(ours, theirs.ok());
        return;
    }
    let accepted = ours
        .ok()
        .filter(|message| message.fingerprint() != FingerprintStatus::Invalid);
    let theirs = theirs.ok().filter(values_are_well_formed);
    assert_eq!(
        accepted.is_some(),
        theirs.is_some(),
        "one accepts what the other refuses: {ours:?}"
    );
    if let (Some(ours), Some(theirs)) = (accepted, theirs) {
        compare_headers(&ours, &theirs);
        compare_attributes(&ours, &theirs);
        compare_integrity(&ours, &theirs, password);
    }
}

fn compare_headers(ours: &Message<'_>, theirs: &peer::Message<'_>) {
    assert_eq!(
        format!("{:?}", ours.class()).replace("Response", ""),
        format!("{:?}", theirs.class())
    );
    assert_eq!(ours.method().number(), theirs.method().value());
    let id: u128 = theirs.transaction_id().into();
    assert_eq!(ours.transaction_id().as_bytes()[..], id.to_be_bytes()[4..]);
}

fn compare_attributes(ours: &Message<'_>, theirs: &peer::Message<'_>) {
    assert_eq!(all_of_ours(ours), all_of_theirs(theirs));

    let raw = |attribute_type| first(theirs, attribute_type);
    assert_eq!(
        ours.username().map(<[u8]>::to_vec),
        raw(AttributeType::USERNAME)
    );
    assert_eq!(
        ours.priority().map(|n| n.to_be_bytes().to_vec()),
        raw(AttributeType::PRIORITY)
    );
    assert_eq!(
        ours.use_candidate(),
        raw(AttributeType::USE_CANDIDATE).is_some()
    );
    assert_eq!(
        ours.dtls_in_stun().map(<[u8]>::to_vec),
        raw(AttributeType::DTLS_IN_STUN)
    );
    assert_eq!(
        ours.dtls_in_stun_ack().map(<[u8]>::to_vec),
        raw(AttributeType::DTLS_IN_STUN_ACK)
    );
    let address = theirs.attribute::<XorMappedAddress>().ok();
    assert_eq!(
        ours.xor_mapped_address(),
        address.map(|address| address.addr(theirs.transaction_id()))
    );
    let has_fingerprint = raw(AttributeType::FINGERPRINT).is_some();
    assert_eq!(
        ours.fingerprint() == FingerprintStatus::Valid,
        has_fingerprint
    );

    match theirs.attribute::<PeerErrorCode>() {
        Ok(code) => assert_eq!(ours.error_code().map(ErrorCode::number), Some(code.code())),
        // There, but the reason phrase displeases: the number is still one.
        Err(_) => assert_eq!(
            ours.error_code().is_some(),
            raw(AttributeType::ERROR_CODE).is_some()
        ),
    }
    let role = all_of_theirs(theirs)
        .into_iter()
        .find_map(|(number, value)| {
            let tiebreaker = || u64::from_be_bytes(value.clone().try_into().expect("eight bytes"));
            match AttributeType::new(number) {
                AttributeType::ICE_CONTROLLING => Some(RoleAttribute::Controlling(tiebreaker())),
                AttributeType::ICE_CONTROLLED => Some(RoleAttribute::Controlled(tiebreaker())),
                _ => None,
            }
        });
    assert_eq!(ours.role(), role);
    let nomination = all_of_theirs(theirs)
        .into_iter()
        .find_map(|(number, value)| {
            let value = value.try_into().ok()?;
            (number == AttributeType::NOMINATION.number()).then(|| u32::from_be_bytes(value))
        });
    assert_eq!(ours.nomination(), nomination);

    let unknown: Vec<u16> = ours.unknown_required().map(AttributeType::number).collect();
    let expected: Vec<u16> = all_of_theirs(theirs)
        .into_iter()
        .map(|(number, _)| number)
        .filter(|number| *number < 0x8000 && !KNOWN_REQUIRED.contains(number))
        .collect();
    assert_eq!(unknown, expected);
}

fn compare_integrity(ours: &Message<'_>, theirs: &peer::Message<'_>, password: &str) {
    let ours = ours.verify(&IntegrityKey::short_term(password.as_bytes()));
    let key = peer::ShortTermCredentials::new(password.to_owned()).make_key();
    let theirs = theirs.validate_integrity_with_key(&key);
    match ours.map(|verified| verified.algorithm()) {
        Ok(IntegrityAlgorithm::Sha1) => {
            assert!(matches!(theirs, Ok(peer::IntegrityAlgorithm::Sha1)))
        }
        Ok(IntegrityAlgorithm::Sha256) => {
            assert!(matches!(theirs, Ok(peer::IntegrityAlgorithm::Sha256)))
        }
        Ok(IntegrityAlgorithm::Sha1Truncated32) | Err(_) => assert!(theirs.is_err()),
    }
}

/// Up to the first attribute that does not count the two must read the same; behind it only floe reads on, and finds no more than the
/// two attributes that count there.
fn compare_up_to_the_hidden(
    ours: Result<Message<'_>, ParseError>,
    theirs: Option<peer::Message<'_>>,
) {
    let (Ok(ours), Some(theirs)) = (ours, theirs) else {
        return;
    };
    compare_headers(&ours, &theirs);
    let (ours, theirs) = (all_of_ours(&ours), all_of_theirs(&theirs));
    assert!(ours.starts_with(&theirs));
    for (number, _) in &ours[theirs.len()..] {
        assert!(
            TAIL.contains(number),
            "{number:#06x} counts behind integrity"
        );
    }
}

/// What `stun-types` only looks at when asked.
fn values_are_well_formed(message: &peer::Message<'_>) -> bool {
    let len = |attribute_type| first(message, attribute_type).map(|value| value.len());
    let is_or_absent =
        |attribute_type, expected| len(attribute_type).is_none_or(|len| len == expected);
    let role = all_of_theirs(message).into_iter().find(|(number, _)| {
        *number == AttributeType::ICE_CONTROLLED.number()
            || *number == AttributeType::ICE_CONTROLLING.number()
    });
    is_or_absent(AttributeType::PRIORITY, 4)
        && is_or_absent(AttributeType::USE_CANDIDATE, 0)
        && role.is_none_or(|(_, value)| value.len() == 8)
        && first(message, AttributeType::ERROR_CODE).is_none_or(|value| has_error_number(&value))
        && is_absent_or_ok::<XorMappedAddress>(message)
        && is_absent_or_ok::<MessageIntegrity>(message)
        && is_absent_or_ok::<MessageIntegritySha256>(message)
}

/// The number alone: `stun-types` would also judge the reason phrase.
fn has_error_number(value: &[u8]) -> bool {
    value.len() >= 4 && matches!(value[2] & 7, 3..=6) && value[3] <= 99
}

fn is_absent_or_ok<'a, A: AttributeFromRaw<'a> + AttributeStaticType>(
    message: &'a peer::Message<'a>,
) -> bool {
    !message.has_attribute(A::TYPE) || message.attribute::<A>().is_ok()
}

fn all_of_ours(message: &Message<'_>) -> Vec<(u16, Vec<u8>)> {
    message
        .attributes()
        .map(|attribute| (attribute.attribute_type.number(), attribute.value.to_vec()))
        .collect()
}

fn all_of_theirs(message: &peer::Message<'_>) -> Vec<(u16, Vec<u8>)> {
    message
        .iter_attributes()
        .map(|(_, attribute)| (attribute.get_type().value(), attribute.value.to_vec()))
        .collect()
}

fn first(message: &peer::Message<'_>, attribute_type: AttributeType) -> Option<Vec<u8>> {
    Some(
        message
            .raw_attribute(attribute_type.number().into())?
            .value
            .to_vec(),
    )
}

fn declared_length(bytes: &[u8]) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes([
        *bytes.get(2)?,
        *bytes.get(3)?,
    ])))
}

const INTEGRITY: u16 = AttributeType::MESSAGE_INTEGRITY.number();
const INTEGRITY_SHA256: u16 = AttributeType::MESSAGE_INTEGRITY_SHA256.number();
const FINGERPRINT: u16 = AttributeType::FINGERPRINT.number();
const TAIL: [u16; 3] = [INTEGRITY, INTEGRITY_SHA256, FINGERPRINT];
const KNOWN_REQUIRED: [u16; 11] = [
    0x0001, 0x0006, 0x0008, 0x0009, 0x000A, 0x0014, 0x0015, 0x001C, 0x0020, 0x0024, 0x0025,
];

/// Whether an attribute stands where it does not count, found the plain way: by the order of types.
fn hides_something(bytes: &[u8]) -> bool {
    let types = types(bytes);
    let tail: Vec<u16> = types
        .iter()
        .copied()
        .skip_while(|number| !TAIL.contains(number))
        .collect();
    !matches!(
        tail[..],
        [] | [FINGERPRINT]
            | [INTEGRITY]
            | [INTEGRITY, FINGERPRINT]
            | [INTEGRITY_SHA256]
            | [INTEGRITY_SHA256, FINGERPRINT]
            | [INTEGRITY, INTEGRITY_SHA256]
            | [INTEGRITY, INTEGRITY_SHA256, FINGERPRINT]
    )
}

fn types(bytes: &[u8]) -> Vec<u16> {
    let mut types = Vec::new();
    let mut at = 20;
    while at + 4 <= bytes.len() {
        types.push(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        let len = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        at += 4 + len.next_multiple_of(4);
    }
    types
}
