//! One datagram: floe's reader against an independent one, and against floe's writer.

use floe_stun::{AttributeType, Message, Method, Writer};

use crate::oracle::{self, recipe};

/// The bytes as a datagram, then as the attributes of one whose header is right.
pub fn run(data: &[u8]) {
    check(data);
    let mut message = recipe::header(0x0001, [0x5A; 12]);
    message.extend(data.iter().take(2048));
    recipe::set_length(&mut message);
    check(&message);
}

fn check(datagram: &[u8]) {
    oracle::compare(datagram, "a password of 22 chars");
    if let Ok(message) = Message::parse(datagram) {
        write_again(&message);
    }
}

/// What was read and written again reads the same, but for what is computed.
fn write_again(message: &Message<'_>) {
    let given = || {
        message
            .attributes()
            .filter(|attribute| !is_computed(attribute.attribute_type))
    };
    let mut buf = vec![0xFF; message.as_bytes().len()];
    let mut writer = Writer::request(&mut buf, Method::BINDING, message.transaction_id());
    for attribute in given() {
        writer = writer.attribute(attribute.attribute_type, attribute.value);
    }
    let len = writer.finish().expect("nothing was added");
    let again = Message::parse(&buf[..len]).expect("what was read can be read again");
    assert!(again.attributes().eq(given()));
    assert_eq!(again.username(), message.username());
    assert_eq!(again.priority(), message.priority());
    assert_eq!(again.role(), message.role());
    assert_eq!(again.xor_mapped_address(), message.xor_mapped_address());
    assert_eq!(again.error_code(), message.error_code());
    assert!(again.unknown_required().eq(message.unknown_required()));
}

fn is_computed(attribute_type: AttributeType) -> bool {
    matches!(
        attribute_type,
        AttributeType::MESSAGE_INTEGRITY
            | AttributeType::MESSAGE_INTEGRITY_SHA256
            | AttributeType::GOOG_MESSAGE_INTEGRITY_32
            | AttributeType::FINGERPRINT
    )
}
