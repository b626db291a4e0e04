//! HMAC (RFC 2104) with the hash of a cipher suite: what both key schedules are made of, the same for every backend.
//!
//! A handshake makes some hundred MACs of a few dozen bytes, most of them with a key that it has used before, so what
//! surrounds the hash costs as much as the hash. Here a key is hashed once and kept as two states, a short message is one
//! block, nothing is allocated, and what held a secret is wiped.

use zeroize::optimization_barrier;

use super::hash::Hash;

/// A hash as its compression function.
trait Compression {
    type State: Copy + Default;
    type Block: Copy + AsMut<[u8]>;

    const EMPTY: Self::Block;
    const INITIAL: Self::State;
    /// Bytes of the message's length at the end of the last block.
    const LENGTH_LEN: usize;

    fn compress(state: &mut Self::State, block: &Self::Block);

    /// The hash in network order, as much of it as there is space for.
    fn write(state: &Self::State, out: &mut [u8]);
}

struct Sha256;

impl Compression for Sha256 {
    type State = [u32; 8];
    type Block = [u8; 64];

    const EMPTY: Self::Block = [0; 64];
    const INITIAL: Self::State = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    const LENGTH_LEN: usize = 8;

    #[inline]
    fn compress(state: &mut Self::State, block: &Self::Block) {
        sha2::block_api::compress256(state, std::slice::from_ref(block));
    }

    #[inline]
    fn write(state: &Self::State, out: &mut [u8]) {
        let (words, _) = out.as_chunks_mut();
        for (to, word) in words.iter_mut().zip(state) {
            *to = word.to_be_bytes();
        }
    }
}

struct Sha384;

impl Compression for Sha384 {
    type State = [u64; 8];
    type Block = [u8; 128];

    const EMPTY: Self::Block = [0; 128];
    const INITIAL: Self::State = [
        0xcbbb_9d5d_c105_9ed8,
        0x629a_292a_367c_d507,
        0x9159_015a_3070_dd17,
        0x152f_ecd8_f70e_5939,
        0x6733_2667_ffc0_0b31,
        0x8eb4_4a87_6858_1511,
        0xdb0c_2e0d_64f9_8fa7,
        0x47b5_481d_befa_4fa4,
    ];
    const LENGTH_LEN: usize = 16;

    #[inline]
    fn compress(state: &mut Self::State, block: &Self::Block) {
        sha2::block_api::compress512(state, std::slice::from_ref(block));
    }

    #[inline]
    fn write(state: &Self::State, out: &mut [u8]) {
        let (words, _) = out.as_chunks_mut();
        for (to, word) in words.iter_mut().zip(state) {
            *to = word.to_be_bytes();
        }
    }
}

/// The states behind the two blocks that depend on the key alone. Wiped when dropped.
struct Keyed<C: Compression> {
    inner: C::State,
    outer: C::State,
}

impl<C: Compression> Keyed<C> {
    /// From a key that is no longer than a block.
    fn new(key: &[u8]) -> Self {
        let mut block = C::EMPTY;
        for (to, from) in block.as_mut().iter_mut().zip(key) {
            *to = *from;
        }
        let mut absorbed = |pad: u8| {
            let mut state = C::INITIAL;
            block.as_mut().iter_mut().for_each(|byte| *byte ^= pad);
            C::compress(&mut state, &block);
            state
        };
        let inner = absorbed(0x36);
        let outer = absorbed(0x36 ^ 0x5c);
        wipe(&mut block, C::EMPTY);
        Self { inner, outer }
    }

    #[inline]
    fn sign(&self, parts: &[&[u8]], tag: &mut [u8]) {
        let mut inner = Message::<C>::after_key(self.inner);
        parts.iter().for_each(|part| inner.add(part));
        inner.finish(tag);
        let mut outer = Message::<C>::after_key(self.outer);
        outer.add(tag);
        outer.finish(tag);
    }
}

impl<C: Compression> Drop for Keyed<C> {
    fn drop(&mut self) {
        wipe(&mut self.inner, C::State::default());
        wipe(&mut self.outer, C::State::default());
    }
}

/// A message that is hashed behind the block of a key.
struct Message<C: Compression> {
    state: C::State,
    block: C::Block,
    /// Bytes of the block that are filled: never all.
    filled: usize,
    /// Bytes of whole blocks before it.
    hashed: u64,
}

impl<C: Compression> Message<C> {
    const BLOCK_LEN: usize = size_of::<C::Block>();

    #[inline]
    fn after_key(state: C::State) -> Self {
        Self {
            state,
            block: C::EMPTY,
            filled: 0,
            hashed: Self::BLOCK_LEN as u64,
        }
    }

    #[inline]
    fn add(&mut self, mut part: &[u8]) {
        while !part.is_empty() {
            let (_, room) = self.block.as_mut().split_at_mut(self.filled);
            let (now, later) = part.split_at(part.len().min(room.len()));
            let (to, _) = room.split_at_mut(now.len());
            to.copy_from_slice(now);
            self.filled += now.len();
            part = later;
            if self.filled == Self::BLOCK_LEN {
                self.next_block();
            }
        }
    }

    fn next_block(&mut self) {
        C::compress(&mut self.state, &self.block);
        self.block = C::EMPTY;
        self.filled = 0;
        self.hashed += Self::BLOCK_LEN as u64;
    }

    /// Pads (FIPS 180-4 §5.1), and writes the hash as far as there is space.
    #[inline]
    fn finish(mut self, out: &mut [u8]) {
        let bits = (self.hashed + self.filled as u64) * 8;
        let (_, room) = self.block.as_mut().split_at_mut(self.filled);
        room.fill(0);
        let fits = room.len() > C::LENGTH_LEN;
        room.iter_mut().take(1).for_each(|byte| *byte = 0x80);
        if !fits {
            self.next_block();
        }
        if let Some(length) = self.block.as_mut().last_chunk_mut() {
            *length = bits.to_be_bytes();
        }
        C::compress(&mut self.state, &self.block);
        C::write(&self.state, out);
    }
}

impl<C: Compression> Drop for Message<C> {
    fn drop(&mut self) {
        wipe(&mut self.block, C::EMPTY);
        wipe(&mut self.state, C::State::default());
    }
}

/// Overwrites a secret. The same as `Zeroize`, which would do it byte by byte: that took as long as the hash itself.
#[inline]
fn wipe<T: Copy>(secret: &mut T, nothing: T) {
    *secret = nothing;
    optimization_barrier(secret);
}

/// A key with its padding hashed. Wiped when dropped.
pub(crate) struct Key(Hashed);

enum Hashed {
    Sha256(Keyed<Sha256>),
    Sha384(Keyed<Sha384>),
}

impl Key {
    pub(crate) fn new(hash: Hash, key: &[u8]) -> Self {
        // No secret of a handshake is so long.
        let hashed = (key.len() > hash.block_len()).then(|| hash.hash(key));
        let key = hashed.as_ref().map_or(key, AsRef::as_ref);
        Self(match hash {
            Hash::Sha256 => Hashed::Sha256(Keyed::new(key)),
            Hash::Sha384 => Hashed::Sha384(Keyed::new(key)),
        })
    }

    /// Bytes of a tag.
    pub(crate) fn tag_len(&self) -> usize {
        match self.0 {
            Hashed::Sha256(_) => Hash::Sha256.output_len(),
            Hashed::Sha384(_) => Hash::Sha384.output_len(),
        }
    }

    /// The MAC of all parts, one behind the other.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> Tag {
        let mut tag = Tag {
            bytes: [0; Hash::MAX_LEN],
            len: self.tag_len() as u8,
        };
        let (bytes, _) = tag.bytes.split_at_mut(self.tag_len());
        match &self.0 {
            Hashed::Sha256(key) => key.sign(parts, bytes),
            Hashed::Sha384(key) => key.sign(parts, bytes),
        }
        tag
    }
}

/// A MAC, or a secret that is one. Wiped when dropped.
pub(crate) struct Tag {
    bytes: [u8; Hash::MAX_LEN],
    len: u8,
}

impl Tag {
    /// A copy of one that was kept elsewhere.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut tag = Self {
            bytes: [0; Hash::MAX_LEN],
            len: bytes.len().min(Hash::MAX_LEN) as u8,
        };
        for (to, from) in tag.bytes.iter_mut().zip(bytes) {
            *to = *from;
        }
        tag
    }
}

impl AsRef<[u8]> for Tag {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        wipe(&mut self.bytes, [0; Hash::MAX_LEN]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(tag: &Tag) -> String {
        let bytes = tag.as_ref().iter();
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }

    // The expected values were computed with the hmac module of Python.

    // req: T3
    #[test]
    fn parts_count_as_one_message() {
        for (hash, expected) in [
            (
                Hash::Sha256,
                "723de9b94118b9926a15803e9ef56590159fbf8c890a55391b1c46a7d629872d",
            ),
            (
                Hash::Sha384,
                "fddb26e95934323b44faf1966e2e3bdc69f0cd4598334d42e3319e6234e817ae6e63d4cc054f331ec9eeebc9dd18b3b0",
            ),
        ] {
            let key = Key::new(hash, &[7; 200]);
            let tag = key.sign(&[b"one ", b"", b"message"]);
            assert_eq!(hex(&tag), expected);
            assert_eq!(tag.as_ref().len(), key.tag_len());
            assert_eq!(hex(&key.sign(&[b"one message"])), expected);
        }
    }

    /// A library's HMAC says what ours should.
    fn expected(hash: Hash, key: &[u8], message: &[u8]) -> Vec<u8> {
        let algorithm = match hash {
            Hash::Sha256 => ring::hmac::HMAC_SHA256,
            Hash::Sha384 => ring::hmac::HMAC_SHA384,
        };
        let key = ring::hmac::Key::new(algorithm, key);
        ring::hmac::sign(&key, message).as_ref().to_vec()
    }

    // req: T3
    #[test]
    fn messages_and_keys_of_every_length_are_padded_right() {
        let bytes: Vec<u8> = (0..=255).chain(0..=255).collect();
        for hash in [Hash::Sha256, Hash::Sha384] {
            for len in 0..300 {
                let (message, rest) = bytes.split_at(len);
                let (key, _) = rest.split_at(len % 150);
                let (front, back) = message.split_at(len / 3);
                let tag = Key::new(hash, key).sign(&[front, back]);
                assert_eq!(tag.as_ref(), expected(hash, key, message), "{len}");
            }
        }
    }
}
