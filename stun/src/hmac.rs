//! HMAC (RFC 2104) that starts from stored states.
//!
//! Both passes of HMAC begin with one block that depends on the key alone. [`HmacKey`] compresses the two once; every
//! message after that costs only its own blocks and one more, and the key itself need not be kept.

use core::marker::PhantomData;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Both hashes work on blocks of 64 bytes.
const BLOCK_LEN: usize = 64;
/// The final block ends in the message's length in bits, 8 bytes of it.
const LENGTH_LEN: usize = 8;
/// The longest digest, SHA-256's; SHA-1 fills the first 20 bytes.
pub(crate) const DIGEST_LEN: usize = 32;

type Block = [u8; BLOCK_LEN];

/// A hash as its compression function.
pub(crate) trait Compression {
    type State: Copy + Zeroize + AsRef<[u32]>;
    const INITIAL: Self::State;
    const OUTPUT_LEN: usize;

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
    const OUTPUT_LEN: usize = 20;

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
    const OUTPUT_LEN: usize = 32;

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

    /// The MAC of `head ‖ rest`; the first `C::OUTPUT_LEN` bytes count.
    ///
    /// The head comes apart because STUN authenticates a length field other than the one on the wire.
    pub(crate) fn mac(&self, head: [u8; 4], rest: &[u8]) -> [u8; DIGEST_LEN] {
        let mut inner = self.inner;
        // The key's block was hashed before the message.
        let hashed = BLOCK_LEN + head.len() + rest.len();
        let mut block = [0; BLOCK_LEN];
        let (front, body) = block.split_at_mut(head.len());
        front.copy_from_slice(&head);
        if let Some((first, tail)) = rest.split_at_checked(body.len()) {
            body.copy_from_slice(first);
            C::compress(&mut inner, &[block]);
            let (whole, tail) = tail.as_chunks();
            C::compress(&mut inner, whole);
            finish::<C>(&mut inner, [0; BLOCK_LEN], tail, 0, hashed);
        } else {
            finish::<C>(&mut inner, block, rest, head.len(), hashed);
        }

        let mut outer = self.outer;
        let digest = digest::<C>(&inner);
        let (digest, _) = digest.split_at(C::OUTPUT_LEN);
        finish::<C>(
            &mut outer,
            [0; BLOCK_LEN],
            digest,
            0,
            BLOCK_LEN + digest.len(),
        );
        self::digest::<C>(&outer)
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
    finish::<C>(&mut state, block, tail, 0, key.len());
    let mut hashed = digest::<C>(&state);
    block[..DIGEST_LEN].copy_from_slice(&hashed);
    hashed.zeroize();
    state.zeroize();
    block
}

fn absorb_key<C: Compression>(key: &Block, pad: u8) -> C::State {
    let mut block = key.map(|byte| byte ^ pad);
    let mut state = C::INITIAL;
    C::compress(&mut state, &[block]);
    block.zeroize();
    state
}

/// Hashes the last, partial block: `used` bytes already in `block`, then `tail`, then the padding for `hashed` bytes in all.
#[inline]
fn finish<C: Compression>(
    state: &mut C::State,
    mut block: Block,
    tail: &[u8],
    used: usize,
    hashed: usize,
) {
    let filled = used + tail.len();
    block[used..filled].copy_from_slice(tail);
    block[filled] = 0x80;
    let bits = (hashed as u64 * 8).to_be_bytes();
    if filled >= BLOCK_LEN - LENGTH_LEN {
        C::compress(state, &[block]);
        block = [0; BLOCK_LEN];
    }
    block[BLOCK_LEN - LENGTH_LEN..].copy_from_slice(&bits);
    C::compress(state, &[block]);
}

#[inline]
fn digest<C: Compression>(state: &C::State) -> [u8; DIGEST_LEN] {
    let mut digest = [0; DIGEST_LEN];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state.as_ref()) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn sha1(key: &[u8], message: &[u8]) -> String {
        let (head, rest) = message.split_first_chunk().unwrap();
        hex(&HmacKey::<Sha1>::new(key).mac(*head, rest)[..20])
    }

    fn sha256(key: &[u8], message: &[u8]) -> String {
        let (head, rest) = message.split_first_chunk().unwrap();
        hex(&HmacKey::<Sha256>::new(key).mac(*head, rest))
    }

    // req: S3
    #[test]
    fn rfc_2202_and_4231_vectors_hold() {
        assert_eq!(
            sha1(&[0x0B; 20], b"Hi There"),
            "b617318655057264e28bc0b6fb378c8ef146be00"
        );
        assert_eq!(
            sha1(&[0xAA; 20], &[0xDD; 50]),
            "125d7342b9ac11cd91a39af48aa17b4f63f175d3"
        );
        let long = b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data";
        assert_eq!(
            sha1(&[0xAA; 80], long),
            "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"
        );
        assert_eq!(
            sha256(&[0x0B; 20], b"Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            sha256(
                &[0xAA; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            ),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
