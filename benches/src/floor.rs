//! What no STUN implementation can do without: the SHA-1 blocks of each HMAC, from the states that a password leads to, and the
//! CRC-32, by the libraries that floe uses, over real messages of the sizes in question, in memory, with their padding.
//!
//! What waits for what in a message waits here too: the outer hash for the inner one, an answer for the proof of its request,
//! FINGERPRINT for the MAC that it covers. And as a message comes when the one before has been dealt with, those who measure let no
//! two of them overlap, of the floor or of whoever is measured by it: a processor runs the hashes of independent messages side by side in half
//! the time, which nobody gets to use.

use std::slice;

use sha1::block_api::compress;

/// MESSAGE-INTEGRITY and FINGERPRINT, the end of a message.
const TAIL: usize = 24 + 8;

const FINGERPRINT_XOR: u32 = 0x5354_554E;

const SHA1: [u32; 5] = [
    0x6745_2301,
    0xEFCD_AB89,
    0x98BA_DCFE,
    0x1032_5476,
    0xC3D2_E1F0,
];

/// A password as the two states that every HMAC under it begins with.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    inner: [u32; 5],
    outer: [u32; 5],
}

impl Key {
    /// The states of a password of at most 64 bytes.
    #[must_use]
    pub fn new(password: &str) -> Self {
        let state = |pad| {
            let mut block = [pad; 64];
            for (byte, of_password) in block.iter_mut().zip(password.bytes()) {
                *byte ^= of_password;
            }
            let mut state = SHA1;
            compress(&mut state, slice::from_ref(&block));
            state
        };
        Self {
            inner: state(0x36),
            outer: state(0x5C),
        }
    }

    /// Whether a message's last two attributes are right: what reading it costs at least.
    #[must_use]
    pub fn verify(&self, message: &[u8]) -> bool {
        let parts = message.split_last_chunk::<TAIL>();
        let (covered, tail) = parts.expect("it ends in both");
        let front = &message[..message.len() - 8];
        let authentic = self.mac(covered) == tail[4..24];
        let checksum = crc32fast::hash(front) ^ FINGERPRINT_XOR;
        authentic && checksum.to_be_bytes() == tail[28..]
    }

    /// Fills in the values of a message's last two attributes: what writing it costs at least.
    pub fn seal(&self, message: &mut [u8]) {
        let parts = message.split_last_chunk_mut::<TAIL>();
        let (covered, tail) = parts.expect("it ends in both");
        tail[4..24].copy_from_slice(&self.mac(covered));
        let (front, fingerprint) = message.split_at_mut(message.len() - 8);
        let checksum = crc32fast::hash(front) ^ FINGERPRINT_XOR;
        fingerprint[4..].copy_from_slice(&checksum.to_be_bytes());
    }

    /// Of a message whose integrity stands behind `covered`, 119 bytes at most: what a check takes, and its answer.
    fn mac(&self, covered: &[u8]) -> [u8; 20] {
        let used = (covered.len() + 9).div_ceil(64);
        let mut blocks = [[0; 64]; 2];
        let bytes = blocks.as_flattened_mut();
        bytes[..covered.len()].copy_from_slice(covered);
        // The length as if nothing followed: 20 bytes of header less, 24 of the attribute more.
        bytes[2..4].copy_from_slice(&(covered.len() as u16 + 4).to_be_bytes());
        pad(&mut bytes[..64 * used], covered.len());
        let (mut inner, mut outer) = (self.inner, self.outer);
        compress(&mut inner, &blocks[..used]);
        let mut block = [0; 64];
        block[..20].copy_from_slice(&to_bytes(inner));
        pad(&mut block, 20);
        compress(&mut outer, slice::from_ref(&block));
        to_bytes(outer)
    }
}

/// The end of what is hashed behind the key's block.
fn pad(blocks: &mut [u8], len: usize) {
    blocks[len] = 0x80;
    let bits = (64 + len as u16) * 8;
    if let Some(last) = blocks.last_chunk_mut() {
        *last = bits.to_be_bytes();
    }
}

fn to_bytes(state: [u32; 5]) -> [u8; 20] {
    let mut bytes = [0; 20];
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use floe_stun::{FingerprintStatus, IntegrityKey, Message};

    use super::*;
    use crate::codec::Requests;
    use crate::peers::Credentials;

    #[test]
    fn the_floor_computes_what_the_codec_does() {
        let receiver = Credentials {
            ufrag: "theirs".to_owned(),
            password: "a password of 22 bytes".to_owned(),
        };
        let key = Key::new(&receiver.password);
        for len in 0..60 {
            let mut buf = [0; 160];
            let username = "u".repeat(len);
            let len = Requests::default().write(&mut buf, &username, &receiver);
            let message = &mut buf[..len];
            assert!(key.verify(message));
            message[len - 28..len - 8].fill(0);
            message[len - 4..].fill(0);
            assert!(!key.verify(message));
            key.seal(message);
            let parsed = Message::parse(message).expect("well-formed");
            assert_eq!(parsed.fingerprint(), FingerprintStatus::Valid);
            let states = IntegrityKey::short_term(receiver.password.as_bytes());
            assert!(parsed.verify(&states).is_ok());
        }
    }
}
