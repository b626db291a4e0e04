//! What no STUN implementation can do without: raw SHA-1 blocks on precomputed states.

use std::{hint::black_box, slice};

/// HMAC-SHA1 from two states; the blocks come padded.
#[must_use]
pub fn hmac(blocks: &[[u8; 64]]) -> [u8; 20] {
    let (mut inner, mut outer) = black_box(([1; 5], [2; 5]));
    sha1::block_api::compress(&mut inner, blocks);
    let mut block = padding(20);
    block[..20].copy_from_slice(&bytes(inner));
    sha1::block_api::compress(&mut outer, slice::from_ref(&block));
    bytes(outer)
}

/// A last block with room for its first bytes. `message_len` decides where the padding begins; the key's block counts too.
#[must_use]
pub const fn padding(message_len: usize) -> [u8; 64] {
    let mut block = [0; 64];
    block[message_len % 64] = 0x80;
    [block[62], block[63]] = ((64 + message_len as u16) * 8).to_be_bytes();
    block
}

/// The HMAC and the CRC-32 of one message whose integrity covers `covered` bytes of it: what sending or checking it costs at least.
#[must_use]
pub fn message(bytes: &[u8], covered: usize) -> u32 {
    let (whole, tail) = bytes[..covered].as_chunks::<64>();
    let mut blocks = [padding(covered); 4];
    blocks[..whole.len()].copy_from_slice(whole);
    blocks[whole.len()][..tail.len()].copy_from_slice(tail);
    let mac = hmac(&blocks[..=whole.len()]);
    u32::from(mac[0]) ^ crc32fast::hash(&bytes[..bytes.len() - 8])
}

fn bytes(state: [u32; 5]) -> [u8; 20] {
    let mut bytes = [0; 20];
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    bytes
}
