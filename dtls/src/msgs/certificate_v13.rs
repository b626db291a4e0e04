//! EncryptedExtensions, CertificateRequest, Certificate and Finished of DTLS 1.3 (RFC 8446 §4.3, §4.4).
//!
//! CertificateVerify is a [`DigitallySigned`](super::certificate::DigitallySigned), as in DTLS 1.2.

use crate::error::InvalidMessage;
use crate::msgs::codec::{Codec, LengthPrefix, Reader, put_vector};
use crate::msgs::extensions::{Context, Extensions};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EncryptedExtensions<'a> {
    pub(crate) extensions: Extensions<'a>,
}

impl<'a> Codec<'a> for EncryptedExtensions<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.extensions.encode(out);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        Ok(Self {
            extensions: Extensions::read(Context::EncryptedExtensions, reader)?,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CertificateRequestV13<'a> {
    /// certificate_request_context: empty in a handshake.
    pub(crate) context: &'a [u8],
    pub(crate) extensions: Extensions<'a>,
}

impl<'a> Codec<'a> for CertificateRequestV13<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_vector::<1>(out, self.context);
        self.extensions.encode(out);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        Ok(Self {
            context: reader.vector::<1>()?,
            extensions: Extensions::read(Context::CertificateRequest, reader)?,
        })
    }
}

/// A certificate and what was asked to come with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CertificateEntry<'a> {
    pub(crate) der: &'a [u8],
    pub(crate) extensions: Extensions<'a>,
}

impl<'a> CertificateEntry<'a> {
    fn encode(self, out: &mut Vec<u8>) {
        put_vector::<3>(out, self.der);
        self.extensions.encode(out);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        match reader.vector::<3>()? {
            [] => Err(InvalidMessage::EmptyCertificate),
            der => Ok(Self {
                der,
                extensions: Extensions::read(Context::Certificate, reader)?,
            }),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CertificateV13<'a> {
    /// certificate_request_context: empty in a handshake.
    pub(crate) context: &'a [u8],
    /// The sender's own certificate; `None` if the list is empty.
    pub(crate) end_entity: Option<CertificateEntry<'a>>,
    /// The entries after it, as they stand on the wire.
    pub(crate) chain: &'a [u8],
}

impl<'a> CertificateV13<'a> {
    /// What we send: our certificate and nothing else, or nothing at all.
    pub(crate) fn ours(der: Option<&'a [u8]>) -> Self {
        Self {
            context: &[],
            end_entity: der.map(|der| CertificateEntry {
                der,
                extensions: Extensions::Items(&[]),
            }),
            chain: &[],
        }
    }

    /// Whether any certificate came with an extension. We never ask for one.
    pub(crate) fn has_extensions(&self) -> bool {
        let mut chain = Reader::new(self.chain);
        let behind = std::iter::from_fn(|| CertificateEntry::read(&mut chain).ok());
        self.end_entity
            .into_iter()
            .chain(behind)
            .any(|entry| !entry.extensions.is_empty())
    }
}

impl<'a> Codec<'a> for CertificateV13<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_vector::<1>(out, self.context);
        let mut list = LengthPrefix::<3>::new(out);
        if let Some(end_entity) = self.end_entity {
            end_entity.encode(&mut list);
            list.extend_from_slice(self.chain);
        }
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let context = reader.vector::<1>()?;
        let mut list = reader.sub::<3>()?;
        let mut end_entity = None;
        if !list.is_empty() {
            end_entity = Some(CertificateEntry::read(&mut list)?);
        }
        let mut chain = list;
        while !list.is_empty() {
            CertificateEntry::read(&mut list)?;
        }
        Ok(Self {
            context,
            end_entity,
            chain: chain.rest(),
        })
    }
}

/// Proof over the whole transcript: as many bytes as the hash of the suite has. The script compares, length included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FinishedV13<'a> {
    pub(crate) verify_data: &'a [u8],
}

impl<'a> Codec<'a> for FinishedV13<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.verify_data);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        Ok(Self {
            verify_data: reader.rest(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::msgs::codec::List;
    use crate::msgs::enums::{ExtensionType, SignatureScheme, SrtpProtectionProfile};
    use crate::msgs::extensions::{Extension, UseSrtp};
    use crate::msgs::names::ProtocolNames;

    fn bytes<'a>(message: &impl Codec<'a>) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    #[test]
    fn encrypted_extensions_survive_the_wire_and_may_be_none() {
        let none = EncryptedExtensions {
            extensions: Extensions::Items(&[]),
        };
        assert_eq!(bytes(&none), [0, 0]);
        assert_eq!(EncryptedExtensions::read_all(&[0, 0]), Ok(none));
        let extensions = [
            Extension::ServerNameAcknowledged,
            Extension::UseSrtp(UseSrtp {
                profiles: List::Items(&[SrtpProtectionProfile::SRTP_AEAD_AES_128_GCM]),
                mki: &[],
            }),
            Extension::Alpn(ProtocolNames::Items(&[b"webrtc"])),
        ];
        let some = EncryptedExtensions {
            extensions: Extensions::Items(&extensions),
        };
        assert_eq!(EncryptedExtensions::read_all(&bytes(&some)), Ok(some));
        assert_eq!(
            EncryptedExtensions::read_all(&[]),
            Err(InvalidMessage::MessageTooShort)
        );
    }

    #[test]
    fn a_request_survives_the_wire() {
        let extensions = [Extension::SignatureAlgorithms(List::Items(&[
            SignatureScheme::ED25519,
        ]))];
        let request = CertificateRequestV13 {
            context: &[],
            extensions: Extensions::Items(&extensions),
        };
        let wire = bytes(&request);
        assert_eq!(wire, [0, 0, 8, 0, 13, 0, 4, 0, 2, 8, 7]);
        assert_eq!(CertificateRequestV13::read_all(&wire), Ok(request));
    }

    #[test]
    fn certificates_survive_the_wire() {
        let none = CertificateV13::ours(None);
        assert_eq!(bytes(&none), [0, 0, 0, 0]);
        assert_eq!(CertificateV13::read_all(&[0, 0, 0, 0]), Ok(none));
        let one = CertificateV13::ours(Some(b"der"));
        let wire = bytes(&one);
        assert_eq!(wire, [0, 0, 0, 8, 0, 0, 3, b'd', b'e', b'r', 0, 0]);
        assert_eq!(CertificateV13::read_all(&wire), Ok(one));
        let chain = CertificateV13 {
            chain: &[0, 0, 1, 9, 0, 0],
            ..one
        };
        assert_eq!(CertificateV13::read_all(&bytes(&chain)), Ok(chain));
        assert!(!chain.has_extensions());
    }

    #[test]
    fn an_extension_of_any_certificate_is_seen() {
        let extension = [Extension::Unknown {
            extension_type: ExtensionType(5),
            body: &[],
        }];
        let plain = CertificateV13::ours(Some(b"der"));
        let first = CertificateV13 {
            end_entity: Some(CertificateEntry {
                der: b"der",
                extensions: Extensions::Items(&extension),
            }),
            ..plain
        };
        let second = CertificateV13 {
            chain: &[0, 0, 1, 9, 0, 4, 0, 5, 0, 0],
            ..plain
        };
        for message in [first, second] {
            let wire = bytes(&message);
            assert!(CertificateV13::read_all(&wire).unwrap().has_extensions());
        }
    }

    #[test]
    fn broken_certificates_are_refused() {
        for (wire, error) in [
            (
                &[0, 0, 0, 5, 0, 0, 0, 0, 0][..],
                InvalidMessage::EmptyCertificate,
            ),
            (&[0, 0, 0, 4, 0, 0, 1, 1], InvalidMessage::MessageTooShort),
            (
                &[0, 0, 0, 6, 0, 0, 1, 1, 0, 1],
                InvalidMessage::MessageTooShort,
            ),
            (&[0, 0, 0, 0, 0], InvalidMessage::TrailingBytes),
            (&[1], InvalidMessage::MessageTooShort),
            (
                &[0, 0, 0, 14, 0, 0, 1, 1, 0, 8, 0, 5, 0, 0, 0, 5, 0, 0],
                InvalidMessage::DuplicateExtension,
            ),
        ] {
            assert_eq!(CertificateV13::read_all(wire), Err(error), "{wire:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(body: Vec<u8>) {
            if let Ok(message) = EncryptedExtensions::read_all(&body) {
                let wire = bytes(&message);
                prop_assert_eq!(EncryptedExtensions::read_all(&wire), Ok(message));
            }
            if let Ok(message) = CertificateRequestV13::read_all(&body) {
                let wire = bytes(&message);
                prop_assert_eq!(CertificateRequestV13::read_all(&wire), Ok(message));
            }
            if let Ok(message) = CertificateV13::read_all(&body) {
                prop_assert_eq!(bytes(&message), &body[..]);
            }
            prop_assert_eq!(FinishedV13::read_all(&body), Ok(FinishedV13 { verify_data: &body }));
        }
    }
}
