//! The unified header of DTLS 1.3 (RFC 9147 §4): one byte of flags, then as little as the flags say.
//!
//! ```text
//!  0 0 1 C S L E E │ connection id (C) │ number, 8 or 16 bits (S) │ length, 16 bits (L) │ ciphertext
//! ```
//!
//! Written with S and L always; read in every form. The epoch has two bits, the number 8 or 16 and a mask over them: what
//! they stand for is worked out against what is known.

use super::header::{Epoch, MAX_PLAINTEXT, RecordNumber};
use super::protect::TAG_LEN;
use crate::stats::DropReason;

const FIXED: u8 = 0b0010_0000;
const CONNECTION_ID: u8 = 0b0001_0000;
const LONG_NUMBER: u8 = 0b0000_1000;
const LENGTH: u8 = 0b0000_0100;
const EPOCH: u8 = 0b0000_0011;

/// The longest ciphertext (RFC 8446 §5.2).
const MAX_BODY: usize = MAX_PLAINTEXT + 256;

/// Where everything stands in a record with a unified header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnifiedHeader {
    /// The low two bits of the epoch.
    epoch: u8,
    number_at: usize,
    number_len: usize,
    /// Bytes of the header.
    pub(super) len: usize,
    /// Bytes of the ciphertext.
    pub(super) length: usize,
}

impl UnifiedHeader {
    /// Bytes written without the connection id: flags, number, length.
    const WRITTEN: usize = 5;

    /// What a record adds to its plaintext, without the connection id: header, inner type, tag.
    pub(super) const OVERHEAD: usize = Self::WRITTEN + 1 + TAG_LEN;

    /// Whether a record that begins with this byte has a unified header.
    #[inline]
    pub(crate) fn starts_with(first: u8) -> bool {
        first & 0b1110_0000 == FIXED
    }

    /// Reads the header of the record that `bytes` begin with; its whole ciphertext is there. `id` is what we are called.
    #[inline]
    pub(super) fn read(bytes: &[u8], id: &[u8]) -> Result<Self, DropReason> {
        let short = DropReason::TruncatedRecord;
        let (&flags, rest) = bytes.split_first().ok_or(short)?;
        let mut number_at = 1;
        if flags & CONNECTION_ID != 0 {
            // Nothing else says how long the id is: with another than ours the rest cannot be read.
            if id.is_empty() || !rest.starts_with(id) {
                return Err(DropReason::WrongConnectionId);
            }
            number_at += id.len();
        }
        let number_len = if flags & LONG_NUMBER == 0 { 1 } else { 2 };
        let mut len = number_at + number_len;
        let mut length = bytes.len().checked_sub(len).ok_or(short)?;
        if flags & LENGTH != 0 {
            let field = bytes.get(len..).and_then(<[u8]>::first_chunk);
            length = u16::from_be_bytes(*field.ok_or(short)?).into();
            len += 2;
        }
        if length > MAX_BODY {
            return Err(DropReason::RecordTooLong);
        }
        if bytes.len() < len + length {
            return Err(short);
        }
        Ok(Self {
            epoch: flags & EPOCH,
            number_at,
            number_len,
            len,
            length,
        })
    }

    /// The one that is written for a record of `epoch`.
    #[inline]
    pub(super) fn new(epoch: Epoch, id: &[u8], length: usize) -> Self {
        Self {
            epoch: epoch.0 as u8 & EPOCH,
            number_at: 1 + id.len(),
            number_len: 2,
            len: Self::WRITTEN + id.len(),
            length,
        }
    }

    /// Writes what [`Self::new`] says into `out`, which has just its length. The number is not masked yet.
    #[inline]
    pub(super) fn write(&self, out: &mut [u8], number: RecordNumber, id: &[u8]) {
        let flags = FIXED | LONG_NUMBER | LENGTH | self.epoch;
        let [n0, n1] = (number.sequence() as u16).to_be_bytes();
        let [l0, l1] = (self.length as u16).to_be_bytes();
        if let Ok(out) = <&mut [u8; Self::WRITTEN]>::try_from(&mut *out) {
            *out = [flags, n0, n1, l0, l1];
            return;
        }
        let (first, rest) = out.split_at_mut(1);
        let (place_of_id, rest) = rest.split_at_mut(id.len());
        first.copy_from_slice(&[flags | CONNECTION_ID]);
        place_of_id.copy_from_slice(id);
        rest.copy_from_slice(&[n0, n1, l0, l1]);
    }

    /// Whether this may be a record of `epoch`.
    #[inline]
    pub(super) fn is_of(&self, epoch: Epoch) -> bool {
        epoch.0 as u8 & EPOCH == self.epoch
    }

    /// Masks the number that [`Self::write`] has written into `head`.
    #[inline]
    pub(super) fn mask(&self, head: &mut [u8], [first, second]: [u8; 2]) {
        if let Some([high, low, ..]) = head.get_mut(self.number_at..) {
            *high ^= first;
            *low ^= second;
        }
    }

    /// Takes the mask off the number where it stands in `head`, and gives the sequence number whose low bits it is: the one
    /// nearest to `expected` (RFC 9147 §4.2.2).
    #[inline]
    pub(super) fn unmask(&self, head: &mut [u8], [first, second]: [u8; 2], expected: u64) -> u64 {
        match (self.number_len, head.get_mut(self.number_at..)) {
            (2, Some([high, low, ..])) => {
                *high ^= first;
                *low ^= second;
                let low = u16::from_be_bytes([*high, *low]);
                reconstruct(expected, low.into(), u16::BITS)
            }
            (_, Some([low, ..])) => {
                *low ^= first;
                reconstruct(expected, (*low).into(), u8::BITS)
            }
            // A header that was read has a number.
            _ => expected,
        }
    }
}

/// Of the sequence numbers that end in these `bits` bits, the one nearest to `expected`.
#[inline]
fn reconstruct(expected: u64, low: u64, bits: u32) -> u64 {
    let span = 1 << bits;
    let candidate = (expected & !(span - 1)) | low;
    if candidate + span / 2 < expected && candidate + span < RecordNumber::SEQUENCES {
        candidate + span
    } else if candidate > expected + span / 2 && candidate >= span {
        candidate - span
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // req: T33
    #[test]
    fn every_form_of_the_header_is_read() {
        let body = [9; 20];
        let read = |header: &[u8], id: &[u8]| {
            let record = [header, &body].concat();
            UnifiedHeader::read(&record, id).map(|header| {
                let number = header.number_at..header.number_at + header.number_len;
                (header.epoch, number, header.len, header.length)
            })
        };
        // No id: S and L each way, all epochs.
        assert_eq!(read(&[0x20, 7], b""), Ok((0, 1..2, 2, 20)));
        assert_eq!(read(&[0x29, 0, 7], b""), Ok((1, 1..3, 3, 20)));
        assert_eq!(read(&[0x26, 7, 0, 20], b""), Ok((2, 1..2, 4, 20)));
        assert_eq!(read(&[0x2f, 0, 7, 0, 20], b""), Ok((3, 1..3, 5, 20)));
        // Ours, of one byte and of four, S and L each way.
        assert_eq!(read(&[0x30, 5, 7], b"\x05"), Ok((0, 2..3, 3, 20)));
        assert_eq!(read(&[0x38, 5, 0, 7], b"\x05"), Ok((0, 2..4, 4, 20)));
        assert_eq!(read(b"\x35abcd\x07\0\x14", b"abcd"), Ok((1, 5..6, 8, 20)));
        let long = b"\x3fabcd\0\x07\0\x14";
        assert_eq!(read(long, b"abcd"), Ok((3, 5..7, 9, 20)));
        // One that has a name is also reached without it: the address may be enough.
        assert_eq!(read(&[0x2f, 0, 7, 0, 20], b"abcd"), Ok((3, 1..3, 5, 20)));
    }

    // req: T32 T33
    #[test]
    fn headers_that_cannot_be_read_have_their_reasons() {
        let read = |bytes: &[u8], id: &[u8]| UnifiedHeader::read(bytes, id).err();
        let wrong = Some(DropReason::WrongConnectionId);
        assert_eq!(read(b"\x3fabcd\0\x07\0\0", b""), wrong);
        assert_eq!(read(b"\x3fabcd\0\x07\0\0", b"abce"), wrong);
        assert_eq!(read(b"\x3fab", b"abcd"), wrong);
        let short = Some(DropReason::TruncatedRecord);
        assert_eq!(read(b"", b""), short);
        for whole in [&b"\x2f\0\x07\0\x03abc"[..], b"\x3fabcd\0\x07\0\x01a"] {
            assert_eq!(read(whole, b"abcd"), None);
            let shortest_id = if whole[0] == 0x3f { 5 } else { 1 };
            for len in shortest_id..whole.len() {
                assert_eq!(read(&whole[..len], b"abcd"), short, "{len}");
            }
        }
        assert_eq!(read(b"\x20", b""), short);
        assert_eq!(read(b"\x20\x07", b""), None, "empty, which does not open");
        let mut long = vec![0; MAX_BODY + 3];
        long[0] = 0x28;
        assert_eq!(read(&long, b""), None);
        long.push(0);
        assert_eq!(read(&long, b""), Some(DropReason::RecordTooLong));
        assert_eq!(
            read(&[0x2c, 0, 0, 0xff, 0xff], b""),
            Some(DropReason::RecordTooLong)
        );
    }

    // req: T31
    #[test]
    fn numbers_are_reconstructed_at_their_edges() {
        let top = RecordNumber::SEQUENCES;
        for (expected, bits, low, whole) in [
            (0, 8, 0, 0),
            (0, 8, 255, 255),
            (1, 16, 0, 0),
            (255, 8, 0, 256),
            (256, 8, 255, 255),
            (256, 8, 0, 256),
            (257, 8, 130, 130),
            (1000, 8, 0xe8, 1000),
            (1000, 8, 0x60, 0x460),
            (1000, 8, 0x70, 0x370),
            (65_535, 16, 0, 65_536),
            (65_536, 16, 65_535, 65_535),
            (65_536, 16, 32_767, 98_303),
            (65_536, 16, 32_769, 32_769),
            (top - 1, 16, 0xffff, top - 1),
            (top - 1, 16, 0, top - 65_536),
            (top, 16, 0xffff, top - 1),
            (top - 1, 8, 0, top - 256),
            ((1 << 32) - 1, 16, 3, (1 << 32) + 3),
        ] {
            let found = reconstruct(expected, low, bits);
            assert_eq!(found, whole, "{low} of {bits} bits near {expected}");
        }
    }

    proptest! {
        // req: T31
        #[test]
        fn a_number_less_than_half_a_span_away_is_found_again(
            expected in 0..RecordNumber::SEQUENCES,
            away in -32_767i64..32_768,
            long: bool,
        ) {
            let (bits, away) = if long { (16, away) } else { (8, away % 128) };
            let sequence = expected.saturating_add_signed(away).min(RecordNumber::SEQUENCES - 1);
            let low = sequence & ((1 << bits) - 1);
            prop_assert_eq!(reconstruct(expected, low, bits), sequence);
        }

        // req: T31
        #[test]
        fn no_number_is_nearer_than_the_one_found(
            expected in 0..RecordNumber::SEQUENCES,
            low: u16,
        ) {
            let found = reconstruct(expected, low.into(), 16);
            prop_assert_eq!(found as u16, low);
            prop_assert!(found < RecordNumber::SEQUENCES);
            let distance = found.abs_diff(expected);
            for other in [found.checked_sub(1 << 16), Some(found + (1 << 16))] {
                let legal = other.filter(|other| *other < RecordNumber::SEQUENCES);
                prop_assert!(legal.is_none_or(|other| other.abs_diff(expected) >= distance));
            }
        }

        // req: T32
        #[test]
        fn any_bytes_are_a_header_or_a_reason(mut bytes: Vec<u8>, flags: u8, id in prop::collection::vec(any::<u8>(), 0..3)) {
            bytes.insert(0, FIXED | (flags & 0x1f));
            if let Ok(header) = UnifiedHeader::read(&bytes, &id) {
                prop_assert!(header.len + header.length <= bytes.len());
                prop_assert!(header.number_at + header.number_len <= header.len);
            }
        }
    }
}
