//! A protected record of DTLS 1.3: unified header, masked number, inner content type (RFC 9147 §4).
//!
//! The associated data is the header as sent, but for the mask; the nonce is made of the sequence number alone, since each
//! epoch has keys of its own (RFC 9147 §4, RFC 8446 §5.3).

use std::ops::Range;

use super::header::RecordNumber;
use super::outcome::{SealError, Unsealed, fill};
use super::protect::{Forged, KeyV13, TAG_LEN};
use super::unified::UnifiedHeader;

/// Writes one record into `out` and says its length.
#[inline]
pub(super) fn seal(key: &KeyV13, text: &Unsealed<'_>, out: &mut [u8]) -> Result<usize, SealError> {
    let plaintext = text.len() + 1;
    let header = UnifiedHeader::new(text.number.epoch(), text.id, plaintext + TAG_LEN);
    let record = out
        .get_mut(..header.len + header.length)
        .ok_or(SealError::BufferTooSmall)?;
    let (head, body) = record.split_at_mut(header.len);
    header.write(head, text.number, text.id);
    let (in_out, tag) = body
        .split_last_chunk_mut()
        .ok_or(SealError::BufferTooSmall)?;
    fill(in_out, text.parts);
    if let Some(last) = in_out.last_mut() {
        *last = text.content_type as u8;
    }
    key.seal(nonce(text.number), head, in_out, tag)
        .ok_or(SealError::TooLong)?;
    // A tag and a type are more than a sample: nothing needs padding.
    let sample = body.first_chunk().ok_or(SealError::TooLong)?;
    header.mask(head, key.mask(sample));
    Ok(header.len + header.length)
}

/// Takes the mask off the number of a record that holds a sample, and says which sequence number it is.
#[inline]
pub(super) fn unmask(
    key: &KeyV13,
    header: &UnifiedHeader,
    record: &mut [u8],
    expected: u64,
) -> u64 {
    if let Some((head, body)) = record.split_at_mut_checked(header.len)
        && let Some(sample) = body.first_chunk()
    {
        return header.unmask(head, key.mask(sample), expected);
    }
    expected
}

/// Opens in place a record whose number is unmasked, and says where in it the inner plaintext stands.
#[inline]
pub(super) fn open(
    key: &KeyV13,
    number: RecordNumber,
    header: &UnifiedHeader,
    record: &mut [u8],
) -> Result<Range<usize>, Forged> {
    let (head, ciphertext) = record.split_at_mut_checked(header.len).ok_or(Forged)?;
    let len = key.open(nonce(number), head, ciphertext)?;
    Ok(header.len..header.len + len)
}

fn nonce(number: RecordNumber) -> [u8; 8] {
    number.sequence().to_be_bytes()
}
