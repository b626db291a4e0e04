//! The handshake header of DTLS and the fragment it precedes (RFC 6347 §4.2.2, RFC 9147 §5.2).
//!
//! A fragment is checked against itself only (its range lies inside the message it says it belongs to, and its bytes are
//! all there); what it agrees with is `reassembly`'s question.

use crate::error::InvalidMessage;
use crate::msgs::codec::{CodePoint, Codec, Reader, put_u24};
use crate::msgs::enums::HandshakeType;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HandshakeHeader {
    pub(crate) handshake_type: HandshakeType,
    /// Bytes in the whole message, 24 bits.
    pub(crate) length: u32,
    pub(crate) message_seq: u16,
    /// Where this fragment starts in the message, 24 bits.
    pub(crate) fragment_offset: u32,
    /// Bytes in this fragment, 24 bits.
    pub(crate) fragment_length: u32,
}

impl HandshakeHeader {
    pub(crate) const LEN: usize = 12;

    /// The header of a message sent, or hashed into the transcript (RFC 6347 §4.2.6), as one single fragment.
    pub(crate) fn whole(handshake_type: HandshakeType, message_seq: u16, length: u32) -> Self {
        Self {
            handshake_type,
            length,
            message_seq,
            fragment_offset: 0,
            fragment_length: length,
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let [_, l0, l1, l2] = self.length.to_be_bytes();
        let [s0, s1] = self.message_seq.to_be_bytes();
        let [_, o0, o1, o2] = self.fragment_offset.to_be_bytes();
        let [_, f0, f1, f2] = self.fragment_length.to_be_bytes();
        [
            self.handshake_type.0,
            l0,
            l1,
            l2,
            s0,
            s1,
            o0,
            o1,
            o2,
            f0,
            f1,
            f2,
        ]
    }
}

impl<'a> Codec<'a> for HandshakeHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        self.handshake_type.put(out);
        put_u24(out, self.length);
        out.extend_from_slice(&self.message_seq.to_be_bytes());
        put_u24(out, self.fragment_offset);
        put_u24(out, self.fragment_length);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        Ok(Self {
            handshake_type: HandshakeType::take(reader)?,
            length: reader.u24()?,
            message_seq: reader.u16()?,
            fragment_offset: reader.u24()?,
            fragment_length: reader.u24()?,
        })
    }
}

/// One fragment: a header whose range fits its message, and just the bytes of that range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment<'a> {
    pub(crate) header: HandshakeHeader,
    pub(crate) body: &'a [u8],
}

impl<'a> Codec<'a> for Fragment<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.header.encode(out);
        out.extend_from_slice(self.body);
    }

    /// Reads the next fragment of a record; a record may hold several.
    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let header = HandshakeHeader::read(reader)?;
        // Both are 24 bits wide: the sum cannot wrap.
        if header.fragment_offset + header.fragment_length > header.length {
            return Err(InvalidMessage::FragmentExceedsItsMessage);
        }
        let body = reader.take(header.fragment_length as usize)?;
        Ok(Self { header, body })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> impl Strategy<Value = HandshakeHeader> {
        (
            any::<u8>(),
            0u32..1 << 24,
            any::<u16>(),
            0u32..1 << 24,
            0u32..1 << 24,
        )
            .prop_map(
                |(handshake_type, length, message_seq, fragment_offset, fragment_length)| {
                    HandshakeHeader {
                        handshake_type: HandshakeType(handshake_type),
                        length,
                        message_seq,
                        fragment_offset,
                        fragment_length,
                    }
                },
            )
    }

    #[test]
    fn a_fragment_lies_inside_its_message() {
        let fragment = |length, fragment_offset, body: &[u8]| {
            let mut out = Vec::new();
            HandshakeHeader {
                length,
                fragment_offset,
                fragment_length: body.len() as u32,
                ..HandshakeHeader::whole(HandshakeType::CLIENT_HELLO, 0, 0)
            }
            .encode(&mut out);
            out.extend_from_slice(body);
            Fragment::read_all(&out).map(|fragment| fragment.body.to_vec())
        };
        assert_eq!(fragment(4, 2, &[3, 4]), Ok(vec![3, 4]));
        assert_eq!(fragment(4, 4, &[]), Ok(vec![]));
        assert_eq!(fragment(0, 0, &[]), Ok(vec![]));
        assert_eq!(
            fragment(4, 3, &[4, 5]),
            Err(InvalidMessage::FragmentExceedsItsMessage)
        );
        assert_eq!(
            fragment(4, 0xff_ffff, &[1]),
            Err(InvalidMessage::FragmentExceedsItsMessage)
        );
    }

    #[test]
    fn several_fragments_share_a_record() {
        let mut record = Vec::new();
        for (message_seq, body) in [(3, &b"abc"[..]), (4, b"")] {
            HandshakeHeader::whole(HandshakeType::CERTIFICATE, message_seq, body.len() as u32)
                .encode(&mut record);
            record.extend_from_slice(body);
        }
        let mut reader = Reader::new(&record);
        assert_eq!(Fragment::read(&mut reader).unwrap().body, b"abc");
        assert_eq!(Fragment::read(&mut reader).unwrap().header.message_seq, 4);
        assert!(reader.is_empty());
    }

    proptest! {
        #[test]
        fn headers_survive_the_wire(header in header()) {
            let mut out = Vec::new();
            header.encode(&mut out);
            prop_assert_eq!(&out[..], &header.to_bytes()[..]);
            prop_assert_eq!(HandshakeHeader::read_all(&out), Ok(header));
        }

        #[test]
        fn any_bytes_are_a_fragment_or_an_error(bytes: Vec<u8>) {
            if let Ok(fragment) = Fragment::read_all(&bytes) {
                let mut out = Vec::new();
                fragment.encode(&mut out);
                prop_assert_eq!(out, bytes);
            }
        }
    }
}
