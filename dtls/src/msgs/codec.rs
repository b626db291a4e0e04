//! Reading through a cursor, writing through a length guard (presentation language: RFC 8446 §3, RFC 5246 §4).
//!
//! Parsers never index slices: every access goes through [`Reader`], which can only answer bytes that are there.
//! [`LengthPrefix`] reserves a length field and fills it in when the body is complete. [`List`] is a vector of
//! fixed-size code points that is either still on the wire or our own slice.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::error::InvalidMessage;

/// A cursor over received bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    unread: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { unread: bytes }
    }

    /// Reads all of `bytes` with `read`; anything left over is an error.
    pub(crate) fn all<T>(
        bytes: &'a [u8],
        read: impl FnOnce(&mut Self) -> Result<T, InvalidMessage>,
    ) -> Result<T, InvalidMessage> {
        let mut reader = Self::new(bytes);
        let value = read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], InvalidMessage> {
        let (taken, unread) = self
            .unread
            .split_at_checked(len)
            .ok_or(InvalidMessage::MessageTooShort)?;
        self.unread = unread;
        Ok(taken)
    }

    pub(crate) fn take_array<const N: usize>(&mut self) -> Result<[u8; N], InvalidMessage> {
        let (taken, unread) = self
            .unread
            .split_first_chunk::<N>()
            .ok_or(InvalidMessage::MessageTooShort)?;
        self.unread = unread;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, InvalidMessage> {
        self.take_array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, InvalidMessage> {
        self.take_array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, InvalidMessage> {
        self.take_array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, InvalidMessage> {
        self.take_array().map(u64::from_be_bytes)
    }

    pub(crate) fn u24(&mut self) -> Result<u32, InvalidMessage> {
        self.take_array()
            .map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// The body of a vector whose length field has `N` bytes (1 to 3).
    pub(crate) fn vector<const N: usize>(&mut self) -> Result<&'a [u8], InvalidMessage> {
        let len = self
            .take_array::<N>()?
            .iter()
            .fold(0usize, |len, byte| len << 8 | usize::from(*byte));
        self.take(len)
    }

    /// A cursor over the body of the vector that comes next.
    pub(crate) fn sub<const N: usize>(&mut self) -> Result<Self, InvalidMessage> {
        self.vector::<N>().map(Self::new)
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.unread)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    pub(crate) fn finish(self) -> Result<(), InvalidMessage> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(InvalidMessage::TrailingBytes)
        }
    }
}

/// What is read from and written to the wire.
pub(crate) trait Codec<'a>: Sized {
    fn encode(&self, out: &mut Vec<u8>);

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage>;

    /// Reads a whole message body.
    fn read_all(bytes: &'a [u8]) -> Result<Self, InvalidMessage> {
        Reader::all(bytes, Self::read)
    }
}

/// A length field of `N` bytes (1 to 3) that is filled in when the guard is dropped.
#[derive(Debug)]
pub(crate) struct LengthPrefix<'b, const N: usize> {
    out: &'b mut Vec<u8>,
    start: usize,
}

impl<'b, const N: usize> LengthPrefix<'b, N> {
    pub(crate) fn new(out: &'b mut Vec<u8>) -> Self {
        out.extend_from_slice(&[0; N]);
        let start = out.len();
        Self { out, start }
    }
}

impl<const N: usize> Deref for LengthPrefix<'_, N> {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        self.out
    }
}

impl<const N: usize> DerefMut for LengthPrefix<'_, N> {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        self.out
    }
}

impl<const N: usize> Drop for LengthPrefix<'_, N> {
    fn drop(&mut self) {
        let len = self.out.len() - self.start;
        debug_assert!(len < 1 << (8 * N), "the body fits its length field");
        let bytes = len.to_be_bytes();
        let prefix = self.start - N..self.start;
        if let (Some(field), Some(value)) = (self.out.get_mut(prefix), bytes.last_chunk::<N>()) {
            field.copy_from_slice(value);
        }
    }
}

/// Appends `bytes` as a vector with a length field of `N` bytes.
pub(crate) fn put_vector<const N: usize>(out: &mut Vec<u8>, bytes: &[u8]) {
    LengthPrefix::<N>::new(out).extend_from_slice(bytes);
}

/// Appends the low 24 bits of `value`.
pub(crate) fn put_u24(out: &mut Vec<u8>, value: u32) {
    let [_, bytes @ ..] = value.to_be_bytes();
    out.extend_from_slice(&bytes);
}

/// A code point of fixed size: one of the newtypes of `enums`.
pub(crate) trait CodePoint: Copy + Eq + fmt::Debug {
    const SIZE: usize;

    fn take(reader: &mut Reader<'_>) -> Result<Self, InvalidMessage>;

    fn put(self, out: &mut Vec<u8>);
}

/// A vector of code points: received (raw bytes) or our own (a slice, or the only one). All compare and encode alike.
#[derive(Clone, Copy)]
pub(crate) enum List<'a, T> {
    Wire(&'a [u8]),
    Items(&'a [T]),
    One(T),
}

impl<'a, T: CodePoint> List<'a, T> {
    /// Reads a vector with a length field of `N` bytes; it must hold whole items, and one at least.
    pub(crate) fn read<const N: usize>(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let bytes = reader.vector::<N>()?;
        if bytes.is_empty() {
            return Err(InvalidMessage::EmptyList);
        }
        if !bytes.len().is_multiple_of(T::SIZE) {
            return Err(InvalidMessage::UnevenList);
        }
        Ok(Self::Wire(bytes))
    }

    pub(crate) fn encode<const N: usize>(self, out: &mut Vec<u8>) {
        let mut body = LengthPrefix::<N>::new(out);
        for item in self.iter() {
            item.put(&mut body);
        }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = T> + 'a
    where
        T: 'a,
    {
        let (wire, items, one): (&'a [u8], &'a [T], _) = match self {
            Self::Wire(bytes) => (bytes, &[], None),
            Self::Items(items) => (&[], items, None),
            Self::One(item) => (&[], &[], Some(item)),
        };
        let mut reader = Reader::new(wire);
        std::iter::from_fn(move || T::take(&mut reader).ok())
            .chain(items.iter().copied())
            .chain(one)
    }

    pub(crate) fn contains(self, item: T) -> bool
    where
        T: 'a,
    {
        self.iter().any(|other| other == item)
    }
}

impl<T: CodePoint> PartialEq for List<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: CodePoint> Eq for List<'_, T> {}

impl<T: CodePoint> fmt::Debug for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::msgs::enums::NamedGroup;

    #[test]
    fn a_reader_answers_only_bytes_that_are_there() {
        let mut reader = Reader::new(&[1, 0, 2, 0, 0, 3, 2, 7, 8, 9]);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(2));
        assert_eq!(reader.u24(), Ok(3));
        assert_eq!(reader.vector::<1>(), Ok(&[7, 8][..]));
        assert_eq!(reader.u16(), Err(InvalidMessage::MessageTooShort));
        assert_eq!(reader.take(2), Err(InvalidMessage::MessageTooShort));
        assert_eq!(reader.finish(), Err(InvalidMessage::TrailingBytes));
        assert_eq!(reader.rest(), &[9]);
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_vector_that_runs_past_the_end_is_refused() {
        assert_eq!(
            Reader::new(&[0, 3, 1, 2]).vector::<2>(),
            Err(InvalidMessage::MessageTooShort)
        );
        assert_eq!(
            Reader::new(&[0xff, 0xff, 0xff]).vector::<3>(),
            Err(InvalidMessage::MessageTooShort)
        );
    }

    #[test]
    fn nested_length_prefixes_are_filled_in_on_drop() {
        let mut out = vec![0xaa];
        {
            let mut outer = LengthPrefix::<2>::new(&mut out);
            outer.push(1);
            put_vector::<1>(&mut outer, &[2, 3]);
            LengthPrefix::<3>::new(&mut outer).push(4);
        }
        assert_eq!(out, [0xaa, 0, 8, 1, 2, 2, 3, 0, 0, 1, 4]);
    }

    #[test]
    fn lists_hold_whole_items_and_one_at_least() {
        let read = |bytes| List::<'_, NamedGroup>::read::<2>(&mut Reader::new(bytes));
        assert_eq!(read(&[0, 0]), Err(InvalidMessage::EmptyList));
        assert_eq!(read(&[0, 3, 0, 29, 0]), Err(InvalidMessage::UnevenList));
        let wire = read(&[0, 4, 0, 29, 0, 23]).unwrap();
        assert_eq!(
            wire,
            List::Items(&[NamedGroup::X25519, NamedGroup::SECP256R1])
        );
        assert!(wire.contains(NamedGroup::SECP256R1) && !wire.contains(NamedGroup::SECP384R1));
        let mut out = Vec::new();
        List::One(NamedGroup::X25519).encode::<2>(&mut out);
        assert_eq!(out, [0, 2, 0, 29]);
    }

    proptest! {
        #[test]
        fn u24_and_vectors_survive_the_wire(value in 0u32..1 << 24, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put_u24(&mut out, value);
            put_vector::<2>(&mut out, &bytes);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.u24(), Ok(value));
            prop_assert_eq!(reader.vector::<2>(), Ok(&bytes[..]));
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }
}
