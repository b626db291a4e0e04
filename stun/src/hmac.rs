//! HMAC (RFC 2104) that starts from stored states.
//!
//! Both passes of HMAC begin with one block that depends on the key alone. [`HmacKey`] compresses the two once; every
//! message after that costs only its own blocks and one more, and the key itself need not be kept.

use core::{marker::PhantomData, slice};

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Both hashes work on blocks of 64 bytes.
const BLOCK_LEN: usize = 64;
/// The final block ends in the message's length in bits, 8 bytes of it.
const LENGTH_LEN: usize = 8;
/// The most that fits into two blocks with its padding.
const MAX_TAIL: usize = 2 * BLOCK_LEN - LENGTH_LEN - 1;

type Block = [u8; BLOCK_LEN];

/// A hash as its compression function.
pub(crate) trait Compression {
    type State: Copy + Zeroize + AsRef<[u32]>;
    const INITIAL: Self::State;

    fn compress(state: &mut Self::State, blocks: &[Block]);
}

pub(crate) struct Sha1;

impl Compression for Sha1 {
    type State = [u32; 5];
    const INITIAL: Self::State = [
        0x6745_2301,
        0xEFCD_AB89,
        0x98BA_DCFE,
        0x1032_5476,
        0xC3D2_E1F0,
    ];

    #[inline]
    fn compress(state: &mut Self::State, blocks: &[Block]) {
        sha1::block_api::compress(state, blocks);
    }
}

pub(crate) struct Sha256;

impl Compression for Sha256 {
    type State = [u32; 8];
    const INITIAL: Self::State = [
        0x6A09_E667,
        0xBB67_AE85,
        0x3C6E_F372,
        0xA54F_F53A,
        0x510E_527F,
        0x9B05_688C,
        0x1F83_D9AB,
        0x5BE0_CD19,
    ];

    #[inline]
    fn compress(state: &mut Self::State, blocks: &[Block]) {
        sha2::block_api::compress256(state, blocks);
    }
}

/// The two states behind the key's blocks, wiped on drop.
pub(crate) struct HmacKey<C: Compression> {
    inner: C::State,
    outer: C::State,
    hash: PhantomData<C>,
}

impl<C: Compression> HmacKey<C> {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut block = key_block::<C>(key);
        let derived = Self {
            inner: absorb_key::<C>(&block, 0x36),
            outer: absorb_key::<C>(&block, 0x5C),
            hash: PhantomData,
        };
        block.zeroize();
        derived
    }

    /// Whether both come from the same key. Constant-time.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        let ours = self.inner.as_ref().iter().chain(self.outer.as_ref());
        let theirs = other.inner.as_ref().iter().chain(other.outer.as_ref());
        let difference = ours.zip(theirs).fold(0, |all, (a, b)| all | (a ^ b));
        difference.ct_eq(&0).into()
    }

    /// The MAC of `message`, its first four bytes replaced by `head`: STUN authenticates a length field other than the one on the wire.
    pub(crate) fn mac(&self, head: [u8; 4], message: &[u8]) -> C::State {
        self.mac_meanwhile(head, message, || ()).0
    }

    /// The same, with something else to do between the two passes: the second waits for the first, and the processor is all but idle
    /// meanwhile.
    #[inline]
    pub(crate) fn mac_meanwhile<T>(
        &self,
        head: [u8; 4],
        message: &[u8],
        meanwhile: impl FnOnce() -> T,
    ) -> (C::State, T) {
        let inner = self.inner_pass(head, message);
        let done = meanwhile();
        let mut outer = self.outer;
        C::compress(&mut outer, slice::from_ref(&digest_block::<C>(&inner)));
        (outer, done)
    }

    fn inner_pass(&self, head: [u8; 4], message: &[u8]) -> C::State {
        let mut inner = self.inner;
        // The key's block was hashed before the message.
        let hashed = BLOCK_LEN + message.len();
        match message.split_first_chunk() {
            Some((first, rest)) if message.len() > MAX_TAIL => {
                let mut block: Block = *first;
                block[..head.len()].copy_from_slice(&head);
                C::compress(&mut inner, slice::from_ref(&block));
                let (whole, tail) = rest.as_chunks();
                C::compress(&mut inner, whole);
                finish::<C>(&mut inner, &[], tail, hashed);
            }
            _ => finish::<C>(&mut inner, &head, message, hashed),
        }
        inner
    }
}

impl<C: Compression> Clone for HmacKey<C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner,
            outer: self.outer,
            hash: PhantomData,
        }
    }
}

impl<C: Compression> Drop for HmacKey<C> {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

impl<C: Compression> ZeroizeOnDrop for HmacKey<C> {}

/// The key as one block: padded with zeros, hashed first if it is longer.
fn key_block<C: Compression>(key: &[u8]) -> Block {
    let mut block = [0; BLOCK_LEN];
    if let Some(front) = block.get_mut(..key.len()) {
        front.copy_from_slice(key);
        return block;
    }
    let mut state = C::INITIAL;
    let (whole, tail) = key.as_chunks();
    C::compress(&mut state, whole);
    finish::<C>(&mut state, &[], tail, key.len());
    write_words(&mut block, state.as_ref());
    state.zeroize();
    block
}

fn absorb_key<C: Compression>(key: &Block, pad: u8) -> C::State {
    let mut block = key.map(|byte| byte ^ pad);
    let mut state = C::INITIAL;
    C::compress(&mut state, slice::from_ref(&block));
    block.zeroize();
    state
}

/// Hashes the end of a message, `tail` with its first bytes replaced by `head`, and the padding; `hashed` is the length of all that
/// is hashed. Both blocks in one call: what a check from a browser takes is two.
#[inline]
fn finish<C: Compression>(state: &mut C::State, head: &[u8], tail: &[u8], hashed: usize) {
    let mut blocks = [[0; BLOCK_LEN]; 2];
    let used = (tail.len() + 1 + LENGTH_LEN).div_ceil(BLOCK_LEN);
    let bytes = blocks.as_flattened_mut();
    bytes[..tail.len()].copy_from_slice(tail);
    bytes[..head.len()].copy_from_slice(head);
    bytes[tail.len()] = 0x80;
    let end = used * BLOCK_LEN;
    bytes[end - LENGTH_LEN..end].copy_from_slice(&(hashed as u64 * 8).to_be_bytes());
    C::compress(state, &blocks[..used]);
}

/// The digest as the one padded block that the outer pass hashes after the key's.
#[inline]
fn digest_block<C: Compression>(state: &C::State) -> Block {
    let mut block = [0; BLOCK_LEN];
    let digest_len = write_words(&mut block, state.as_ref());
    block[digest_len] = 0x80;
    let bits = (BLOCK_LEN + digest_len) as u64 * 8;
    block[BLOCK_LEN - LENGTH_LEN..].copy_from_slice(&bits.to_be_bytes());
    block
}

/// Writes words in network order, as many as there is space for: a MAC may be cut short. Returns how many bytes all of them take.
#[inline]
pub(crate) fn write_words(bytes: &mut [u8], words: &[u32]) -> usize {
    // Word by word: of so few a loop makes more than it saves.
    for (i, word) in words.iter().enumerate() {
        if let Some(chunk) = bytes.get_mut(4 * i..4 * i + 4) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
    }
    words.len() * 4
}

/// Whether a value from the wire is the MAC of these words, or a truncation of it to whole words. Constant-time in the value.
#[inline]
pub(crate) fn matches(mac: &[u32], received: &[u8]) -> bool {
    let mut difference = 0;
    for (i, word) in mac.iter().enumerate() {
        if let Some(&[a, b, c, d]) = received.get(4 * i..4 * i + 4) {
            difference |= u32::from_be_bytes([a, b, c, d]) ^ word;
        }
    }
    let whole = received.len().is_multiple_of(4) && received.len() <= 4 * mac.len();
    whole && difference.ct_eq(&0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hmac<C: Compression>(key: &[u8], message: &[u8]) -> String {
        let mac = HmacKey::<C>::new(key).mac(*message.first_chunk().unwrap(), message);
        mac.as_ref()
            .iter()
            .map(|word| format!("{word:08x}"))
            .collect()
    }

    // req: S3
    #[test]
    fn rfc_2202_and_4231_vectors_hold() {
        assert_eq!(
            hmac::<Sha1>(&[0x0B; 20], b"Hi There"),
            "b617318655057264e28bc0b6fb378c8ef146be00"
        );
        assert_eq!(
            hmac::<Sha1>(&[0xAA; 20], &[0xDD; 50]),
            "125d7342b9ac11cd91a39af48aa17b4f63f175d3"
        );
        let long = b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data";
        assert_eq!(
            hmac::<Sha1>(&[0xAA; 80], long),
            "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"
        );
        assert_eq!(
            hmac::<Sha256>(&[0x0B; 20], b"Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hmac::<Sha256>(
                &[0xAA; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            ),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn a_value_matches_in_whole_words_and_no_longer_than_the_mac() {
        let mac = [1, 2, 3, 4, 5];
        let value: Vec<u8> = [1_u32, 2, 3, 4, 5, 6]
            .into_iter()
            .flat_map(u32::to_be_bytes)
            .collect();
        assert!(matches(&mac, &value[..20]));
        assert!(matches(&mac, &value[..4]));
        assert!(!matches(&mac, &value[..19]));
        assert!(!matches(&mac, &value));
    }
}
