//! ServerKeyExchange, ClientKeyExchange and Finished of DTLS 1.2: ephemeral elliptic-curve keys, named groups only
//! (RFC 8422 §5.4, §5.7; RFC 5246 §7.4.9).

use crate::error::InvalidMessage;
use crate::msgs::certificate::DigitallySigned;
use crate::msgs::codec::{CodePoint, Codec, Reader, put_vector};
use crate::msgs::enums::NamedGroup;

/// The ECCurveType of a named group; explicit curves are long forbidden (RFC 8422 §5.4).
const NAMED_CURVE: u8 = 3;

/// ServerECDHParams: the server's ephemeral public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EcdhParams<'a> {
    pub(crate) group: NamedGroup,
    pub(crate) public: &'a [u8],
}

impl<'a> Codec<'a> for EcdhParams<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(NAMED_CURVE);
        self.group.put(out);
        put_vector::<1>(out, self.public);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        if reader.u8()? != NAMED_CURVE {
            return Err(InvalidMessage::CurveIsNotNamed);
        }
        Ok(Self {
            group: NamedGroup::take(reader)?,
            public: read_public(reader)?,
        })
    }
}

/// The signature covers both randoms and the encoded parameters: [`EcdhParams::signed_message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerKeyExchange<'a> {
    pub(crate) params: EcdhParams<'a>,
    pub(crate) signed: DigitallySigned<'a>,
}

impl EcdhParams<'_> {
    /// What the server signs (RFC 8422 §5.4). Encoding is canonical, so this is what came over the wire.
    pub(crate) fn signed_message(
        &self,
        client_random: &[u8; 32],
        server_random: &[u8; 32],
    ) -> Vec<u8> {
        let mut message = Vec::with_capacity(64 + 4 + self.public.len());
        message.extend_from_slice(client_random);
        message.extend_from_slice(server_random);
        self.encode(&mut message);
        message
    }
}

impl<'a> Codec<'a> for ServerKeyExchange<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.params.encode(out);
        self.signed.encode(out);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        Ok(Self {
            params: EcdhParams::read(reader)?,
            signed: DigitallySigned::read(reader)?,
        })
    }
}

/// The client's ephemeral public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientKeyExchange<'a> {
    pub(crate) public: &'a [u8],
}

impl<'a> Codec<'a> for ClientKeyExchange<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_vector::<1>(out, self.public);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        read_public(reader).map(|public| Self { public })
    }
}

fn read_public<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], InvalidMessage> {
    match reader.vector::<1>()? {
        [] => Err(InvalidMessage::EmptyPublicKey),
        public => Ok(public),
    }
}

/// Proof over the whole transcript under the master secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) verify_data: [u8; Self::LEN],
}

impl Finished {
    pub(crate) const LEN: usize = 12;
}

impl<'a> Codec<'a> for Finished {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.verify_data);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        reader.take_array().map(|verify_data| Self { verify_data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::msgs::enums::SignatureScheme;

    fn bytes<'a>(message: &impl Codec<'a>) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    #[test]
    fn a_server_key_exchange_survives_the_wire() {
        let message = ServerKeyExchange {
            params: EcdhParams {
                group: NamedGroup::X25519,
                public: &[5; 32],
            },
            signed: DigitallySigned {
                scheme: SignatureScheme::ECDSA_SECP256R1_SHA256,
                signature: b"signature",
            },
        };
        let wire = bytes(&message);
        assert_eq!(wire[..4], [3, 0, 29, 32]);
        assert_eq!(ServerKeyExchange::read_all(&wire), Ok(message));
    }

    #[test]
    fn the_signed_message_is_both_randoms_and_the_parameters() {
        let params = EcdhParams {
            group: NamedGroup::SECP256R1,
            public: &[4, 5],
        };
        let message = params.signed_message(&[1; 32], &[2; 32]);
        assert_eq!(
            message,
            [&[1; 32][..], &[2; 32], &[3, 0, 23, 2, 4, 5]].concat()
        );
    }

    #[test]
    fn explicit_curves_and_empty_keys_are_refused() {
        assert_eq!(
            EcdhParams::read_all(&[1, 0, 23, 1, 4]),
            Err(InvalidMessage::CurveIsNotNamed)
        );
        assert_eq!(
            EcdhParams::read_all(&[3, 0, 23, 0]),
            Err(InvalidMessage::EmptyPublicKey)
        );
        assert_eq!(
            ClientKeyExchange::read_all(&[0]),
            Err(InvalidMessage::EmptyPublicKey)
        );
    }

    #[test]
    fn finished_is_twelve_bytes() {
        let finished = Finished {
            verify_data: [7; 12],
        };
        assert_eq!(Finished::read_all(&bytes(&finished)), Ok(finished));
        assert_eq!(
            Finished::read_all(&[7; 11]),
            Err(InvalidMessage::MessageTooShort)
        );
        assert_eq!(
            Finished::read_all(&[7; 13]),
            Err(InvalidMessage::TrailingBytes)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(body: Vec<u8>) {
            let with_curve = [&[3][..], &body].concat();
            if let Ok(message) = ServerKeyExchange::read_all(&with_curve) {
                prop_assert_eq!(bytes(&message), with_curve);
            }
            if let Ok(message) = ClientKeyExchange::read_all(&body) {
                prop_assert_eq!(bytes(&message), body);
            }
        }
    }
}
