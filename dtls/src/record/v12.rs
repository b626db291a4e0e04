//! A protected record of DTLS 1.2: the long header, the explicit nonce of GCM, and with a connection id its own
//! content type and associated data (RFC 6347 §4.1, RFC 5288 §3, RFC 9146 §4 and §5.3).

use std::ops::Range;

use super::header::Header;
use super::outcome::{SealError, Unsealed, fill};
use super::protect::{Forged, KeyV12, TAG_LEN};
use crate::connection_id::ConnectionId;
use crate::msgs::enums::ProtocolVersion;

/// The content type that says that there is a connection id, and that the true type is encrypted.
pub(super) const TLS12_CID: u8 = 25;

/// Placeholder, type, length of the id, type, version, number, id, length.
const MAX_ADDITIONAL_DATA: usize = 8 + 3 + 2 + 8 + ConnectionId::MAX_LEN + 2;

/// Writes one record into `out` and says its length.
#[inline]
pub(super) fn seal(key: &KeyV12, text: &Unsealed<'_>, out: &mut [u8]) -> Result<usize, SealError> {
    seal_with_nonce(key, text.number.to_bytes(), text, out)
}

/// As [`seal`], for the callers that must not choose: only tests have another explicit nonce.
#[inline]
pub(super) fn seal_with_nonce(
    key: &KeyV12,
    nonce: [u8; 8],
    text: &Unsealed<'_>,
    out: &mut [u8],
) -> Result<usize, SealError> {
    let explicit = key.aead().explicit_nonce_len();
    let hidden = !text.id.is_empty();
    let plaintext = text.len() + usize::from(hidden);
    let header = Header {
        content_type: (!hidden).then_some(text.content_type),
        version: ProtocolVersion::DTLS1_2,
        number: text.number,
        length: explicit + plaintext + TAG_LEN,
    };
    let (head, body) = header.split(out, text.id)?;
    header.write(head, text.id);
    let (place_of_nonce, body) = body.split_at_mut(explicit);
    place_of_nonce.copy_from_slice(nonce.get(..explicit).unwrap_or_default());
    let (in_out, tag) = body
        .split_last_chunk_mut()
        .ok_or(SealError::BufferTooSmall)?;
    fill(in_out, text.parts);
    if let (true, Some(last)) = (hidden, in_out.last_mut()) {
        *last = text.content_type as u8;
    }
    with_additional_data(&header, text.id, plaintext, |data| {
        key.seal(nonce, data, in_out, tag)
    })
    .ok_or(SealError::TooLong)?;
    Ok(header.len(text.id) + header.length)
}

/// Opens a record in place and says where in it the plaintext stands.
///
/// The explicit nonce has no say in the record's number: peers differ in what they put there, so it is taken as it came.
#[inline]
pub(super) fn open(
    key: &KeyV12,
    header: &Header,
    id: &[u8],
    record: &mut [u8],
) -> Result<Range<usize>, Forged> {
    let explicit = key.aead().explicit_nonce_len();
    let start = header.len(id) + explicit;
    let (head, ciphertext) = record.split_at_mut_checked(start).ok_or(Forged)?;
    let plaintext = ciphertext.len().checked_sub(TAG_LEN).ok_or(Forged)?;
    let nonce = match head.last_chunk() {
        Some(nonce) if explicit > 0 => *nonce,
        _ => header.number.to_bytes(),
    };
    with_additional_data(header, id, plaintext, |data| {
        key.open(nonce, data, ciphertext)
    })?;
    Ok(start..start + plaintext)
}

/// Hands on RFC 5246 §6.2.3.3 with the number of RFC 6347 §4.1.2.1; with a connection id RFC 9146 §5.3.
#[inline]
fn with_additional_data<R>(
    header: &Header,
    id: &[u8],
    plaintext: usize,
    protect: impl FnOnce(&[u8]) -> R,
) -> R {
    let [n0, n1, n2, n3, n4, n5, n6, n7] = header.number.to_bytes();
    let [v0, v1] = header.version.0.to_be_bytes();
    let [l0, l1] = (plaintext as u16).to_be_bytes();
    if let Some(content_type) = header.content_type {
        let content_type = content_type as u8;
        let data = [n0, n1, n2, n3, n4, n5, n6, n7, content_type, v0, v1, l0, l1];
        return protect(&data);
    }
    let mut room = [0; MAX_ADDITIONAL_DATA];
    let mut used = 0;
    let mut put = |bytes: &[u8]| {
        if let Some(place) = room.get_mut(used..used + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        used += bytes.len();
    };
    put(&[0xff; 8]);
    put(&[TLS12_CID, id.len() as u8, TLS12_CID, v0, v1]);
    put(&[n0, n1, n2, n3, n4, n5, n6, n7]);
    put(id);
    put(&[l0, l1]);
    protect(room.get(..used).unwrap_or_default())
}
