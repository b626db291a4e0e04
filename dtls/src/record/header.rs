//! What a record is called: content type, epoch, number; and the long header (RFC 6347 §4.1), who a record claims to be
//! before anything is believed. DTLS 1.2 always has it, DTLS 1.3 only in plaintext.

use std::fmt;

use super::SealError;
use super::v12::TLS12_CID;
use crate::msgs::enums::ProtocolVersion;
use crate::stats::DropReason;

/// What a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentType {
    ChangeCipherSpec = 20,
    Alert = 21,
    Handshake = 22,
    ApplicationData = 23,
    /// Which handshake records came (RFC 9147 §7).
    Ack = 26,
}

impl ContentType {
    #[inline]
    pub(super) fn read(byte: u8) -> Option<Self> {
        Some(match byte {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::ApplicationData,
            26 => Self::Ack,
            _ => return None,
        })
    }
}

/// A generation of keys; 0 is plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(pub(crate) u16);

impl Epoch {
    pub(crate) const PLAINTEXT: Self = Self(0);
    /// The one protected epoch of DTLS 1.2 without renegotiation. In DTLS 1.3 that of early data, which is never used.
    pub(crate) const DTLS1_2: Self = Self(1);
    /// The encrypted part of a handshake of DTLS 1.3 (RFC 9147 §6.1).
    pub(crate) const HANDSHAKE: Self = Self(2);
    /// The first epoch of application data of DTLS 1.3; each KeyUpdate leads to the next.
    pub(crate) const APPLICATION: Self = Self(3);

    /// The one after this; `None` where they end (RFC 9147 §8).
    pub(crate) fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Epoch and 48-bit sequence number, as one 64-bit number: what nonces and associated data are made of.
///
/// In the order in which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordNumber(u64);

impl RecordNumber {
    /// Sequence numbers have 48 bits.
    pub(crate) const SEQUENCES: u64 = 1 << 48;

    pub(crate) fn new(epoch: Epoch, sequence: u64) -> Self {
        Self(u64::from(epoch.0) << 48 | (sequence & (Self::SEQUENCES - 1)))
    }

    pub(crate) fn epoch(self) -> Epoch {
        Epoch((self.0 >> 48) as u16)
    }

    pub(crate) fn sequence(self) -> u64 {
        self.0 & (Self::SEQUENCES - 1)
    }

    pub(crate) fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

/// The largest plaintext of a record (RFC 6347 §4.1, RFC 5246 §6.2.1).
pub(crate) const MAX_PLAINTEXT: usize = 1 << 14;

/// The largest body of a record: a whole plaintext and what a cipher may add to it (RFC 5246 §6.2.3).
const MAX_BODY: usize = MAX_PLAINTEXT + 2048;

/// The long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// `None` with a connection id: then it is encrypted (RFC 9146 §4).
    pub(crate) content_type: Option<ContentType>,
    pub(crate) version: ProtocolVersion,
    pub(crate) number: RecordNumber,
    /// Bytes of the body.
    pub(crate) length: usize,
}

impl Header {
    /// Without a connection id.
    pub(crate) const LEN: usize = 13;

    /// Reads the header of the record that `bytes` begin with; its whole body is there. `id` is what we are called.
    #[inline]
    pub(crate) fn read(bytes: &[u8], id: &[u8]) -> Result<Self, DropReason> {
        let short = DropReason::TruncatedRecord;
        let (start, rest) = bytes.split_first_chunk().ok_or(short)?;
        let [content_type, v0, v1, number @ ..]: &[u8; 11] = start;
        let version = ProtocolVersion(u16::from_be_bytes([*v0, *v1]));
        let number = RecordNumber(u64::from_be_bytes(*number));
        let (content_type, rest) = match *content_type {
            TLS12_CID => {
                let rest = rest.strip_prefix(id);
                (None, rest.ok_or(DropReason::WrongConnectionId)?)
            }
            other => {
                let known = ContentType::read(other).ok_or(DropReason::UnknownContentType)?;
                (Some(known), rest)
            }
        };
        let (length, body) = rest.split_first_chunk().ok_or(short)?;
        let length = usize::from(u16::from_be_bytes(*length));
        // A ClientHello may still come in a record of DTLS 1.0 (RFC 6347 §4.2.1); a protected record never does.
        let plaintext = number.epoch() == Epoch::PLAINTEXT;
        if version != ProtocolVersion::DTLS1_2
            && !(plaintext && version == ProtocolVersion::DTLS1_0)
        {
            return Err(DropReason::WrongVersion);
        }
        // Plaintext never has an id, and what has one has no other form (RFC 9146 §3).
        if content_type.is_none() == (plaintext || id.is_empty()) {
            return Err(DropReason::WrongConnectionId);
        }
        if length > MAX_BODY {
            return Err(DropReason::RecordTooLong);
        }
        if body.len() < length {
            return Err(short);
        }
        Ok(Self {
            content_type,
            version,
            number,
            length,
        })
    }

    /// Bytes of the header, if its connection id is `id`.
    #[inline]
    pub(super) fn len(&self, id: &[u8]) -> usize {
        match self.content_type {
            Some(_) => Self::LEN,
            None => Self::LEN + id.len(),
        }
    }

    /// Writes the header into `out`, which has just its length.
    #[inline]
    pub(super) fn write(&self, out: &mut [u8], id: &[u8]) {
        let content_type = self.content_type.map_or(TLS12_CID, |known| known as u8);
        let id = if self.content_type.is_some() { &[] } else { id };
        let (start, length) = out.split_at_mut(Self::LEN - 2 + id.len());
        let (start, place_of_id) = start.split_at_mut(Self::LEN - 2);
        let [v0, v1] = self.version.0.to_be_bytes();
        let [n0, n1, n2, n3, n4, n5, n6, n7] = self.number.to_bytes();
        start.copy_from_slice(&[content_type, v0, v1, n0, n1, n2, n3, n4, n5, n6, n7]);
        place_of_id.copy_from_slice(id);
        length.copy_from_slice(&(self.length as u16).to_be_bytes());
    }

    /// The places of this header and of its body at the start of `out`.
    #[inline]
    pub(super) fn split<'a>(
        &self,
        out: &'a mut [u8],
        id: &[u8],
    ) -> Result<(&'a mut [u8], &'a mut [u8]), SealError> {
        let len = self.len(id);
        out.get_mut(..len + self.length)
            .and_then(|record| record.split_at_mut_checked(len))
            .ok_or(SealError::BufferTooSmall)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(content_type: u8, version: u16, epoch: u16, length: u16) -> Vec<u8> {
        let mut bytes = vec![content_type];
        bytes.extend_from_slice(&version.to_be_bytes());
        bytes.extend_from_slice(&epoch.to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0, 0, 0, 7]);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes
    }

    // req: T32
    #[test]
    fn each_bad_header_has_its_reason() {
        let with_body = |mut bytes: Vec<u8>, len| {
            bytes.resize(Header::LEN + len, 0);
            Header::read(&bytes, &[]).err()
        };
        assert_eq!(with_body(header(22, 0xfefd, 0, 4), 4), None);
        assert_eq!(with_body(header(22, 0xfeff, 0, 4), 5), None);
        assert_eq!(with_body(header(26, 0xfefd, 0, 4), 4), None);
        let truncated = Some(DropReason::TruncatedRecord);
        assert_eq!(with_body(header(22, 0xfefd, 0, 4), 3), truncated);
        assert_eq!(Header::read(&[22, 0xfe], &[]).err(), truncated);
        let unknown = Some(DropReason::UnknownContentType);
        assert_eq!(with_body(header(24, 0xfefd, 0, 4), 4), unknown);
        assert_eq!(with_body(header(27, 0xfefd, 0, 4), 4), unknown);
        let version = Some(DropReason::WrongVersion);
        assert_eq!(with_body(header(22, 0x0303, 0, 4), 4), version);
        assert_eq!(with_body(header(23, 0xfeff, 1, 4), 4), version);
        let long = Some(DropReason::RecordTooLong);
        assert_eq!(with_body(header(23, 0xfefd, 1, 0x4801), 0x4801), long);
    }

    // req: T35
    #[test]
    fn what_has_a_connection_id_is_always_called_by_it() {
        let wrong = Some(DropReason::WrongConnectionId);
        let read = |content_type, epoch, theirs: &[u8], ours: &[u8]| {
            let mut bytes = header(content_type, 0xfefd, epoch, 1);
            bytes.splice(Header::LEN - 2..Header::LEN - 2, theirs.iter().copied());
            bytes.push(0);
            Header::read(&bytes, ours).err()
        };
        assert_eq!(read(25, 1, b"abc", b"abc"), None);
        assert_eq!(read(22, 0, b"", b"abc"), None, "plaintext has none");
        assert_eq!(read(23, 1, b"", b"abc"), wrong);
        assert_eq!(read(25, 0, b"abc", b"abc"), wrong);
        assert_eq!(read(25, 1, b"abd", b"abc"), wrong);
        assert_eq!(read(25, 1, b"", b""), wrong, "none was negotiated");
        assert_eq!(read(25, 1, b"abc", b""), wrong);
    }

    proptest! {
        #[test]
        fn headers_survive_the_wire(
            epoch: u16,
            sequence in 0..RecordNumber::SEQUENCES,
            length in 0..MAX_BODY,
            id in prop::collection::vec(any::<u8>(), 0..256),
        ) {
            let number = RecordNumber::new(Epoch(epoch), sequence);
            let protected = epoch > 0 && !id.is_empty();
            let header = Header {
                content_type: (!protected).then_some(ContentType::ApplicationData),
                version: ProtocolVersion::DTLS1_2,
                number,
                length,
            };
            let mut bytes = vec![0; header.len(&id) + length];
            let len = header.len(&id);
            header.write(&mut bytes[..len], &id);
            prop_assert_eq!(Header::read(&bytes, &id), Ok(header));
            prop_assert_eq!(header.number.epoch(), Epoch(epoch));
            prop_assert_eq!(header.number.sequence(), sequence);
        }

        #[test]
        fn any_bytes_are_a_header_or_a_reason(bytes: Vec<u8>, id in prop::collection::vec(any::<u8>(), 0..3)) {
            if let Ok(header) = Header::read(&bytes, &id) {
                prop_assert!(header.len(&id) + header.length <= bytes.len());
            }
        }
    }
}
