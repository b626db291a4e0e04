//! Messages that no writer would write.

use floe_stun::AttributeType;
use stun_types::{
    attribute::{MessageIntegrity, MessageIntegritySha256},
    message as peer,
};

/// A message built attribute by attribute with the peer's hashes, so that neither side's writer has a say in what is possible.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) message_type: u16,
    pub(crate) id: [u8; 12],
    pub(crate) attributes: Vec<(u16, Vec<u8>)>,
    pub(crate) integrity: Vec<u16>,
    pub(crate) behind: Vec<(u16, Vec<u8>)>,
    pub(crate) fingerprint: bool,
}

impl Recipe {
    #[expect(clippy::unwrap_used, reason = "any key and any message have a MAC")]
    pub(crate) fn bytes(&self, password: &str) -> Vec<u8> {
        let mut bytes = header(self.message_type, self.id);
        for (attribute_type, value) in &self.attributes {
            push(&mut bytes, *attribute_type, value);
        }
        let key = peer::ShortTermCredentials::new(password.to_owned()).make_key();
        for attribute_type in &self.integrity {
            let sha1 = *attribute_type == AttributeType::MESSAGE_INTEGRITY.number();
            set_length_to(&mut bytes, if sha1 { 24 } else { 36 });
            let mac = if sha1 {
                MessageIntegrity::compute(&[&bytes], &key).unwrap().to_vec()
            } else {
                MessageIntegritySha256::compute(&[&bytes], &key)
                    .unwrap()
                    .to_vec()
            };
            push(&mut bytes, *attribute_type, &mac);
        }
        for (attribute_type, value) in &self.behind {
            push(&mut bytes, *attribute_type, value);
        }
        if self.fingerprint {
            set_length_to(&mut bytes, 8);
            let crc = crc32fast::hash(&bytes) ^ 0x5354_554E;
            push(
                &mut bytes,
                AttributeType::FINGERPRINT.number(),
                &crc.to_be_bytes(),
            );
        }
        set_length(&mut bytes);
        bytes
    }
}

pub(crate) fn header(message_type: u16, id: [u8; 12]) -> Vec<u8> {
    [
        &message_type.to_be_bytes()[..],
        &[0, 0, 0x21, 0x12, 0xA4, 0x42],
        &id,
    ]
    .concat()
}

fn push(bytes: &mut Vec<u8>, attribute_type: u16, value: &[u8]) {
    bytes.extend(attribute_type.to_be_bytes());
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

pub(crate) fn set_length(bytes: &mut [u8]) {
    set_length_to(bytes, 0);
}

/// As if `more` bytes followed.
fn set_length_to(bytes: &mut [u8], more: usize) {
    let length = (bytes.len() - 20 + more) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}
