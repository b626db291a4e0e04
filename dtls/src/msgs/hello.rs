//! ClientHello, HelloVerifyRequest, ServerHello and HelloRetryRequest (RFC 6347 §4.2.1, §4.3.2; RFC 8446 §4.1, RFC 9147
//! §5.3, §5.4).
//!
//! A HelloRetryRequest is a ServerHello with a random that no server draws: [`ServerHello::is_hello_retry_request`].

use crate::error::InvalidMessage;
use crate::msgs::codec::{CodePoint, Codec, List, Reader, put_vector};
use crate::msgs::enums::{CipherSuite, ProtocolVersion};
use crate::msgs::extensions::{Context, Extensions};

pub(crate) const RANDOM_LEN: usize = 32;

/// The one compression method there is for us: none.
const NULL_COMPRESSION: u8 = 0;

const SESSION_ID_MAX: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientHello<'a> {
    /// legacy_version: the highest version before DTLS 1.3 that is offered.
    pub(crate) version: ProtocolVersion,
    pub(crate) random: [u8; RANDOM_LEN],
    pub(crate) session_id: &'a [u8],
    /// The answer to a HelloVerifyRequest, else empty.
    pub(crate) cookie: &'a [u8],
    pub(crate) cipher_suites: List<'a, CipherSuite>,
    pub(crate) compression_methods: &'a [u8],
    pub(crate) extensions: Extensions<'a>,
}

impl ClientHello<'_> {
    /// What to say in `compression_methods`.
    pub(crate) const NO_COMPRESSION: &'static [u8] = &[NULL_COMPRESSION];

    /// Every ClientHello must offer to do without compression (RFC 5246 §7.4.1.2).
    pub(crate) fn offers_no_compression(&self) -> bool {
        self.compression_methods.contains(&NULL_COMPRESSION)
    }

    /// Whether `version` is offered: by supported_versions where it came (RFC 8446 §4.2.1), else by legacy_version, which
    /// can stand for DTLS 1.2 at most.
    pub(crate) fn offers(&self, version: ProtocolVersion) -> bool {
        match self.extensions.supported_versions() {
            Some(versions) => versions.contains(version),
            None => version == ProtocolVersion::DTLS1_2 && self.version.is_at_least_dtls1_2(),
        }
    }
}

impl<'a> Codec<'a> for ClientHello<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.version.put(out);
        out.extend_from_slice(&self.random);
        put_vector::<1>(out, self.session_id);
        put_vector::<1>(out, self.cookie);
        self.cipher_suites.encode::<2>(out);
        put_vector::<1>(out, self.compression_methods);
        self.extensions.encode_optional(out);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        Ok(Self {
            version: ProtocolVersion::take(reader)?,
            random: reader.take_array()?,
            session_id: read_session_id(reader)?,
            cookie: reader.vector::<1>()?,
            cipher_suites: List::read::<2>(reader)?,
            compression_methods: match reader.vector::<1>()? {
                [] => return Err(InvalidMessage::EmptyList),
                methods => methods,
            },
            extensions: Extensions::read_optional(Context::ClientHello, reader)?,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HelloVerifyRequest<'a> {
    /// DTLS 1.0 from most servers, whatever is negotiated later (RFC 6347 §4.2.1): nothing to act on.
    pub(crate) version: ProtocolVersion,
    pub(crate) cookie: &'a [u8],
}

impl<'a> Codec<'a> for HelloVerifyRequest<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.version.put(out);
        put_vector::<1>(out, self.cookie);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        Ok(Self {
            version: ProtocolVersion::take(reader)?,
            cookie: reader.vector::<1>()?,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerHello<'a> {
    pub(crate) version: ProtocolVersion,
    pub(crate) random: [u8; RANDOM_LEN],
    pub(crate) session_id: &'a [u8],
    pub(crate) cipher_suite: CipherSuite,
    pub(crate) compression_method: u8,
    pub(crate) extensions: Extensions<'a>,
}

impl ServerHello<'_> {
    /// The random that says HelloRetryRequest: the SHA-256 of these words (RFC 8446 §4.1.3).
    pub(crate) const HELLO_RETRY_REQUEST: [u8; RANDOM_LEN] = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8,
        0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8,
        0x33, 0x9c,
    ];

    /// The end of the random of a server that speaks DTLS 1.3 and was made to take DTLS 1.2 (RFC 8446 §4.1.3).
    pub(crate) const DOWNGRADED_TO_V12: [u8; 8] = *b"DOWNGRD\x01";

    /// The same for any older version, which floe never takes.
    pub(crate) const DOWNGRADED_FURTHER: [u8; 8] = *b"DOWNGRD\0";

    pub(crate) fn is_hello_retry_request(&self) -> bool {
        self.random == Self::HELLO_RETRY_REQUEST
    }

    /// Whether the server says that it would have spoken DTLS 1.3.
    pub(crate) fn says_downgraded(&self) -> bool {
        self.random.ends_with(&Self::DOWNGRADED_TO_V12)
            || self.random.ends_with(&Self::DOWNGRADED_FURTHER)
    }

    /// What to say in `compression_method`.
    pub(crate) const NO_COMPRESSION: u8 = NULL_COMPRESSION;
}

impl<'a> Codec<'a> for ServerHello<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.version.put(out);
        out.extend_from_slice(&self.random);
        put_vector::<1>(out, self.session_id);
        self.cipher_suite.put(out);
        out.push(self.compression_method);
        self.extensions.encode_optional(out);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let version = ProtocolVersion::take(reader)?;
        let random = reader.take_array()?;
        let context = match random {
            Self::HELLO_RETRY_REQUEST => Context::HelloRetryRequest,
            _ => Context::ServerHello,
        };
        Ok(Self {
            version,
            random,
            session_id: read_session_id(reader)?,
            cipher_suite: CipherSuite::take(reader)?,
            compression_method: reader.u8()?,
            extensions: Extensions::read_optional(context, reader)?,
        })
    }
}

fn read_session_id<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], InvalidMessage> {
    let session_id = reader.vector::<1>()?;
    if session_id.len() > SESSION_ID_MAX {
        return Err(InvalidMessage::SessionIdTooLong);
    }
    Ok(session_id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::msgs::enums::NamedGroup;
    use crate::msgs::extensions::Extension;

    const SUITES: List<'_, CipherSuite> =
        List::Items(&[CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]);

    fn client_hello<'a>(cookie: &'a [u8], extensions: &'a [Extension<'a>]) -> ClientHello<'a> {
        ClientHello {
            version: ProtocolVersion::DTLS1_2,
            random: [7; RANDOM_LEN],
            session_id: b"session",
            cookie,
            cipher_suites: SUITES,
            compression_methods: ClientHello::NO_COMPRESSION,
            extensions: Extensions::Items(extensions),
        }
    }

    fn bytes<'a>(message: &impl Codec<'a>) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    #[test]
    fn a_client_hello_survives_the_wire() {
        let extensions = [
            Extension::SupportedGroups(List::Items(&[NamedGroup::X25519])),
            Extension::ExtendedMasterSecret,
        ];
        let hello = client_hello(b"cookie", &extensions);
        assert_eq!(ClientHello::read_all(&bytes(&hello)), Ok(hello));
        assert!(hello.offers_no_compression());
    }

    #[test]
    fn every_cut_of_a_client_hello_is_refused_but_the_one_before_its_extensions() {
        let whole = bytes(&client_hello(b"", &[Extension::ExtendedMasterSecret]));
        let without_extensions = bytes(&client_hello(b"", &[]));
        for len in 0..whole.len() {
            let read = ClientHello::read_all(&whole[..len]);
            assert_eq!(
                read.is_ok(),
                len == without_extensions.len(),
                "cut at {len}"
            );
        }
        let longer = [&whole[..], &[0]].concat();
        assert_eq!(
            ClientHello::read_all(&longer),
            Err(InvalidMessage::TrailingBytes)
        );
    }

    #[test]
    fn a_session_id_has_32_bytes_at_most() {
        let hello = ClientHello {
            session_id: &[1; 33],
            ..client_hello(b"", &[])
        };
        assert_eq!(
            ClientHello::read_all(&bytes(&hello)),
            Err(InvalidMessage::SessionIdTooLong)
        );
        let hello = ClientHello {
            session_id: &[1; 32],
            ..client_hello(b"", &[])
        };
        assert!(ClientHello::read_all(&bytes(&hello)).is_ok());
    }

    #[test]
    fn supported_versions_speak_before_the_legacy_version() {
        let both = [Extension::SupportedVersions(List::Items(&[
            ProtocolVersion::DTLS1_3,
            ProtocolVersion::DTLS1_2,
        ]))];
        let only_new = [Extension::SupportedVersions(List::Items(&[
            ProtocolVersion::DTLS1_3,
        ]))];
        assert!(client_hello(b"", &both).offers(ProtocolVersion::DTLS1_2));
        assert!(!client_hello(b"", &only_new).offers(ProtocolVersion::DTLS1_2));
        assert!(client_hello(b"", &[]).offers(ProtocolVersion::DTLS1_2));
        for old in [
            ProtocolVersion::DTLS1_0,
            ProtocolVersion(0x0303),
            ProtocolVersion(0x0100),
        ] {
            let hello = ClientHello {
                version: old,
                ..client_hello(b"", &[])
            };
            assert!(!hello.offers(ProtocolVersion::DTLS1_2), "{old}");
        }
    }

    #[test]
    fn answers_survive_the_wire() {
        let request = HelloVerifyRequest {
            version: ProtocolVersion::DTLS1_0,
            cookie: &[9; 255],
        };
        assert_eq!(HelloVerifyRequest::read_all(&bytes(&request)), Ok(request));
        let extensions = [
            Extension::RenegotiationInfo(&[]),
            Extension::ExtendedMasterSecret,
        ];
        let hello = ServerHello {
            version: ProtocolVersion::DTLS1_2,
            random: [3; RANDOM_LEN],
            session_id: &[],
            cipher_suite: CipherSuite(0x1234),
            compression_method: ServerHello::NO_COMPRESSION,
            extensions: Extensions::Items(&extensions),
        };
        assert_eq!(ServerHello::read_all(&bytes(&hello)), Ok(hello));
    }

    #[test]
    fn a_hello_retry_request_is_told_by_its_random_and_read_as_one() {
        let extensions = [
            Extension::SelectedVersion(ProtocolVersion::DTLS1_3),
            Extension::SelectedGroup(NamedGroup::SECP256R1),
            Extension::Cookie(b"cookie"),
        ];
        let request = ServerHello {
            version: ProtocolVersion::DTLS1_2,
            random: ServerHello::HELLO_RETRY_REQUEST,
            session_id: &[],
            cipher_suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
            compression_method: ServerHello::NO_COMPRESSION,
            extensions: Extensions::Items(&extensions),
        };
        let wire = bytes(&request);
        let read = ServerHello::read_all(&wire).unwrap();
        assert!(read.is_hello_retry_request());
        assert_eq!(read, request);
        assert_eq!(
            read.extensions.selected_group(),
            Some(NamedGroup::SECP256R1)
        );
    }

    #[test]
    fn the_random_of_a_retry_is_the_hash_of_its_name() {
        use sha2::Digest;
        let hash: [u8; 32] = sha2::Sha256::digest(b"HelloRetryRequest").into();
        assert_eq!(hash, ServerHello::HELLO_RETRY_REQUEST);
    }

    #[test]
    fn dtls_1_3_is_offered_by_supported_versions_only() {
        let hello = ClientHello {
            version: ProtocolVersion::DTLS1_3,
            ..client_hello(b"", &[])
        };
        assert!(!hello.offers(ProtocolVersion::DTLS1_3));
        assert!(hello.offers(ProtocolVersion::DTLS1_2));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_hello_or_an_error(
            head: [u8; 34],
            session_id in prop::collection::vec(any::<u8>(), 0..40),
            tail: Vec<u8>,
        ) {
            let mut body = head.to_vec();
            put_vector::<1>(&mut body, &session_id);
            body.extend_from_slice(&tail);
            if let Ok(hello) = ClientHello::read_all(&body) {
                let wire = bytes(&hello);
                prop_assert_eq!(ClientHello::read_all(&wire), Ok(hello));
            }
            if let Ok(hello) = ServerHello::read_all(&body) {
                let wire = bytes(&hello);
                prop_assert_eq!(ServerHello::read_all(&wire), Ok(hello));
            }
            if let Ok(request) = HelloVerifyRequest::read_all(&body) {
                prop_assert_eq!(bytes(&request), body);
            }
        }
    }
}
