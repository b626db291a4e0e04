//! Record headers (RFC 6347 §4.1): who a record claims to be, before anything is believed.
//!
//! The unified header of DTLS 1.3 (RFC 9147 §4) is told apart by its first byte and will be read here too; today its
//! range is an unknown content type.

use std::fmt;

use crate::msgs::codec::{CodePoint, Reader};
use crate::msgs::enums::ProtocolVersion;
use crate::stats::DropReason;

/// What a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentType {
    ChangeCipherSpec = 20,
    Alert = 21,
    Handshake = 22,
    ApplicationData = 23,
}

impl ContentType {
    fn read(byte: u8) -> Option<Self> {
        [
            Self::ChangeCipherSpec,
            Self::Alert,
            Self::Handshake,
            Self::ApplicationData,
        ]
        .into_iter()
        .find(|known| *known as u8 == byte)
    }
}

/// A generation of keys; 0 is plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(pub(crate) u16);

impl Epoch {
    pub(crate) const PLAINTEXT: Self = Self(0);
    /// The one protected epoch of DTLS 1.2 without renegotiation.
    pub(crate) const DTLS1_2: Self = Self(1);
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Epoch and 48-bit sequence number, as one 64-bit number: what nonces and associated data are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) content_type: ContentType,
    pub(crate) version: ProtocolVersion,
    pub(crate) number: RecordNumber,
    /// Bytes of the body.
    pub(crate) length: usize,
}

impl Header {
    pub(crate) const LEN: usize = 13;

    /// Reads the header of the record that `bytes` begin with; its whole body is there.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DropReason> {
        let mut reader = Reader::new(bytes);
        let short = |_| DropReason::TruncatedRecord;
        let content_type = reader.u8().map_err(short)?;
        let version = ProtocolVersion::take(&mut reader).map_err(short)?;
        let number = RecordNumber(u64::from_be_bytes(reader.take_array().map_err(short)?));
        let length = usize::from(reader.u16().map_err(short)?);
        let content_type = ContentType::read(content_type).ok_or(DropReason::UnknownContentType)?;
        // A ClientHello may still come in a record of DTLS 1.0 (RFC 6347 §4.2.1); a protected record never does.
        let plaintext = number.epoch() == Epoch::PLAINTEXT;
        if version != ProtocolVersion::DTLS1_2
            && !(plaintext && version == ProtocolVersion::DTLS1_0)
        {
            return Err(DropReason::WrongVersion);
        }
        if length > MAX_BODY {
            return Err(DropReason::RecordTooLong);
        }
        reader.take(length).map_err(short)?;
        Ok(Self {
            content_type,
            version,
            number,
            length,
        })
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let [v0, v1] = self.version.0.to_be_bytes();
        let [n0, n1, n2, n3, n4, n5, n6, n7] = self.number.to_bytes();
        let [l0, l1] = (self.length as u16).to_be_bytes();
        let content_type = self.content_type as u8;
        [content_type, v0, v1, n0, n1, n2, n3, n4, n5, n6, n7, l0, l1]
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
            Header::read(&bytes).err()
        };
        assert_eq!(with_body(header(22, 0xfefd, 0, 4), 4), None);
        assert_eq!(with_body(header(22, 0xfeff, 0, 4), 5), None);
        let truncated = Some(DropReason::TruncatedRecord);
        assert_eq!(with_body(header(22, 0xfefd, 0, 4), 3), truncated);
        assert_eq!(Header::read(&[22, 0xfe]), Err(DropReason::TruncatedRecord));
        let unknown = Some(DropReason::UnknownContentType);
        assert_eq!(with_body(header(24, 0xfefd, 0, 4), 4), unknown);
        assert_eq!(with_body(header(0x2c, 0xfefd, 0, 4), 4), unknown);
        let version = Some(DropReason::WrongVersion);
        assert_eq!(with_body(header(22, 0x0303, 0, 4), 4), version);
        assert_eq!(with_body(header(23, 0xfeff, 1, 4), 4), version);
        let long = Some(DropReason::RecordTooLong);
        assert_eq!(with_body(header(23, 0xfefd, 1, 0x4801), 0x4801), long);
    }

    proptest! {
        #[test]
        fn headers_survive_the_wire(epoch: u16, sequence in 0..RecordNumber::SEQUENCES, length in 0..MAX_BODY) {
            let header = Header {
                content_type: ContentType::ApplicationData,
                version: ProtocolVersion::DTLS1_2,
                number: RecordNumber::new(Epoch(epoch), sequence),
                length,
            };
            let mut bytes = header.to_bytes().to_vec();
            bytes.resize(Header::LEN + length, 0);
            prop_assert_eq!(Header::read(&bytes), Ok(header));
            prop_assert_eq!(header.number.epoch(), Epoch(epoch));
            prop_assert_eq!(header.number.sequence(), sequence);
        }

        #[test]
        fn any_bytes_are_a_header_or_a_reason(bytes: Vec<u8>) {
            if let Ok(header) = Header::read(&bytes) {
                prop_assert!(Header::LEN + header.length <= bytes.len());
            }
        }
    }
}
