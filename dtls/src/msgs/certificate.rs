//! Certificate, CertificateRequest and CertificateVerify of DTLS 1.2 (RFC 5246 §7.4.2, §7.4.4, §7.4.8).
//!
//! Only the first certificate of a chain means anything here: the fingerprint is of that one (RFC 8122 §5).

use crate::error::InvalidMessage;
use crate::msgs::codec::{CodePoint, Codec, LengthPrefix, List, Reader, put_vector};
use crate::msgs::enums::{ClientCertificateType, SignatureScheme};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Certificate<'a> {
    /// The DER of the sender's own certificate; `None` if the list is empty.
    pub(crate) end_entity: Option<&'a [u8]>,
    /// The certificates after it, each with its length, as they stand on the wire.
    pub(crate) chain: &'a [u8],
}

impl<'a> Codec<'a> for Certificate<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut list = LengthPrefix::<3>::new(out);
        if let Some(end_entity) = self.end_entity {
            put_vector::<3>(&mut list, end_entity);
            list.extend_from_slice(self.chain);
        }
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let mut list = reader.sub::<3>()?;
        if list.is_empty() {
            return Ok(Self {
                end_entity: None,
                chain: &[],
            });
        }
        let end_entity = read_certificate(&mut list)?;
        let mut chain = list;
        while !list.is_empty() {
            read_certificate(&mut list)?;
        }
        Ok(Self {
            end_entity: Some(end_entity),
            chain: chain.rest(),
        })
    }
}

/// One certificate: a vector that is not empty.
fn read_certificate<'a>(list: &mut Reader<'a>) -> Result<&'a [u8], InvalidMessage> {
    match list.vector::<3>()? {
        [] => Err(InvalidMessage::EmptyCertificate),
        der => Ok(der),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CertificateRequest<'a> {
    pub(crate) certificate_types: List<'a, ClientCertificateType>,
    pub(crate) signature_algorithms: List<'a, SignatureScheme>,
    /// Distinguished names, each with its length, as they stand on the wire. We send none and do not look at theirs: a
    /// self-signed certificate has no authority.
    pub(crate) certificate_authorities: &'a [u8],
}

impl<'a> Codec<'a> for CertificateRequest<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.certificate_types.encode::<1>(out);
        self.signature_algorithms.encode::<2>(out);
        put_vector::<2>(out, self.certificate_authorities);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let certificate_types = List::read::<1>(reader)?;
        let signature_algorithms = List::read::<2>(reader)?;
        let certificate_authorities = reader.vector::<2>()?;
        let mut names = Reader::new(certificate_authorities);
        while !names.is_empty() {
            names.vector::<2>()?;
        }
        Ok(Self {
            certificate_types,
            signature_algorithms,
            certificate_authorities,
        })
    }
}

/// A scheme and a signature: the body of CertificateVerify and the end of ServerKeyExchange (RFC 5246 §4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DigitallySigned<'a> {
    pub(crate) scheme: SignatureScheme,
    pub(crate) signature: &'a [u8],
}

impl<'a> Codec<'a> for DigitallySigned<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.scheme.put(out);
        put_vector::<2>(out, self.signature);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        Ok(Self {
            scheme: SignatureScheme::take(reader)?,
            signature: reader.vector::<2>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes<'a>(message: &impl Codec<'a>) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    #[test]
    fn the_first_certificate_is_the_senders_own() {
        let wire = [0, 0, 9, 0, 0, 2, 1, 2, 0, 0, 1, 3];
        let message = Certificate::read_all(&wire).unwrap();
        assert_eq!(message.end_entity, Some(&[1, 2][..]));
        assert_eq!(bytes(&message), wire);
    }

    #[test]
    fn an_empty_list_is_no_certificate() {
        let none = Certificate::read_all(&[0, 0, 0]).unwrap();
        assert_eq!(none.end_entity, None);
        assert_eq!(bytes(&none), [0, 0, 0]);
    }

    #[test]
    fn broken_lists_are_refused() {
        for (wire, error) in [
            (&[0, 0, 3, 0, 0, 0][..], InvalidMessage::EmptyCertificate),
            (
                &[0, 0, 7, 0, 0, 1, 1, 0, 0, 0],
                InvalidMessage::EmptyCertificate,
            ),
            (&[0, 0, 5, 0, 0, 3, 1, 2], InvalidMessage::MessageTooShort),
            (
                &[0, 0, 6, 0, 0, 1, 1, 0, 0],
                InvalidMessage::MessageTooShort,
            ),
            (&[0, 0, 0, 0], InvalidMessage::TrailingBytes),
        ] {
            assert_eq!(Certificate::read_all(wire), Err(error), "{wire:?}");
        }
    }

    #[test]
    fn a_certificate_request_survives_the_wire() {
        let request = CertificateRequest {
            certificate_types: List::Items(&[
                ClientCertificateType::ECDSA_SIGN,
                ClientCertificateType::RSA_SIGN,
            ]),
            signature_algorithms: List::Items(&[SignatureScheme::ECDSA_SECP256R1_SHA256]),
            certificate_authorities: &[0, 1, 0x30],
        };
        assert_eq!(CertificateRequest::read_all(&bytes(&request)), Ok(request));
        let broken_names = CertificateRequest {
            certificate_authorities: &[0, 2, 0x30],
            ..request
        };
        assert_eq!(
            CertificateRequest::read_all(&bytes(&broken_names)),
            Err(InvalidMessage::MessageTooShort)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(body: Vec<u8>) {
            if let Ok(message) = Certificate::read_all(&body) {
                prop_assert_eq!(bytes(&message), &body[..]);
            }
            if let Ok(message) = CertificateRequest::read_all(&body) {
                prop_assert_eq!(bytes(&message), &body[..]);
            }
            if let Ok(message) = DigitallySigned::read_all(&body) {
                prop_assert_eq!(bytes(&message), &body[..]);
            }
        }

        #[test]
        fn certificates_survive_the_wire(end_entity in prop::collection::vec(any::<u8>(), 1..300)) {
            let message = Certificate { end_entity: Some(&end_entity), chain: &[] };
            let wire = bytes(&message);
            prop_assert_eq!(Certificate::read_all(&wire), Ok(message));
        }
    }
}
