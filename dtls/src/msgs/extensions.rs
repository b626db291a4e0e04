//! Hello extensions: one enum for those floe acts on, everything else kept as bytes and ignored.
//!
//! supported_versions and supported_groups (RFC 8446 §4.2.1, §4.2.7), ec_point_formats (RFC 8422 §5.1.2),
//! signature_algorithms (RFC 8446 §4.2.3), use_srtp (RFC 5764 §4.1.1), extended_master_secret (RFC 7627 §5.1),
//! renegotiation_info (RFC 5746 §3.2). A type that comes twice is refused, unknown ones included. Whether an extension
//! of the answer had been asked for is the handshake script's question.

use std::fmt;

use crate::error::InvalidMessage;
use crate::msgs::codec::{CodePoint, LengthPrefix, List, Reader, put_vector};
use crate::msgs::enums::{
    ExtensionType, NamedGroup, ProtocolVersion, SignatureScheme, SrtpProtectionProfile,
};

/// Whose extensions these are: some bodies differ between question and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    ClientHello,
    ServerHello,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extension<'a> {
    /// What a client offers. A DTLS 1.2 server never sends this type: there it is unknown, and so unsolicited.
    SupportedVersions(List<'a, ProtocolVersion>),
    SupportedGroups(List<'a, NamedGroup>),
    EcPointFormats(&'a [u8]),
    SignatureAlgorithms(List<'a, SignatureScheme>),
    UseSrtp(UseSrtp<'a>),
    ExtendedMasterSecret,
    /// The renegotiated_connection: empty in an initial handshake.
    RenegotiationInfo(&'a [u8]),
    Unknown {
        extension_type: ExtensionType,
        body: &'a [u8],
    },
}

/// The body of use_srtp: an offer of several profiles, or the answer with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UseSrtp<'a> {
    pub(crate) profiles: List<'a, SrtpProtectionProfile>,
    /// The master key identifier; floe sends and answers the empty one.
    pub(crate) mki: &'a [u8],
}

impl<'a> Extension<'a> {
    pub(crate) fn extension_type(&self) -> ExtensionType {
        match self {
            Self::SupportedVersions(_) => ExtensionType::SUPPORTED_VERSIONS,
            Self::SupportedGroups(_) => ExtensionType::SUPPORTED_GROUPS,
            Self::EcPointFormats(_) => ExtensionType::EC_POINT_FORMATS,
            Self::SignatureAlgorithms(_) => ExtensionType::SIGNATURE_ALGORITHMS,
            Self::UseSrtp(_) => ExtensionType::USE_SRTP,
            Self::ExtendedMasterSecret => ExtensionType::EXTENDED_MASTER_SECRET,
            Self::RenegotiationInfo(_) => ExtensionType::RENEGOTIATION_INFO,
            Self::Unknown { extension_type, .. } => *extension_type,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.extension_type().put(out);
        let mut body = LengthPrefix::<2>::new(out);
        match self {
            Self::SupportedVersions(versions) => versions.encode::<1>(&mut body),
            Self::SupportedGroups(groups) => groups.encode::<2>(&mut body),
            Self::SignatureAlgorithms(schemes) => schemes.encode::<2>(&mut body),
            Self::UseSrtp(offer) => {
                offer.profiles.encode::<2>(&mut body);
                put_vector::<1>(&mut body, offer.mki);
            }
            Self::ExtendedMasterSecret => {}
            Self::EcPointFormats(bytes) | Self::RenegotiationInfo(bytes) => {
                put_vector::<1>(&mut body, bytes)
            }
            Self::Unknown { body: bytes, .. } => body.extend_from_slice(bytes),
        }
    }

    fn read(context: Context, reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let extension_type = ExtensionType::take(reader)?;
        let body = reader.vector::<2>()?;
        Reader::all(body, |reader| {
            Self::read_body(context, extension_type, reader)
        })
    }

    fn read_body(
        context: Context,
        extension_type: ExtensionType,
        body: &mut Reader<'a>,
    ) -> Result<Self, InvalidMessage> {
        Ok(match (extension_type, context) {
            (ExtensionType::SUPPORTED_VERSIONS, Context::ClientHello) => {
                Self::SupportedVersions(List::read::<1>(body)?)
            }
            (ExtensionType::SUPPORTED_GROUPS, Context::ClientHello) => {
                Self::SupportedGroups(List::read::<2>(body)?)
            }
            (ExtensionType::SIGNATURE_ALGORITHMS, Context::ClientHello) => {
                Self::SignatureAlgorithms(List::read::<2>(body)?)
            }
            (ExtensionType::EC_POINT_FORMATS, _) => match body.vector::<1>()? {
                [] => return Err(InvalidMessage::EmptyList),
                formats => Self::EcPointFormats(formats),
            },
            (ExtensionType::USE_SRTP, _) => Self::UseSrtp(UseSrtp {
                profiles: List::read::<2>(body)?,
                mki: body.vector::<1>()?,
            }),
            (ExtensionType::EXTENDED_MASTER_SECRET, _) => Self::ExtendedMasterSecret,
            (ExtensionType::RENEGOTIATION_INFO, _) => Self::RenegotiationInfo(body.vector::<1>()?),
            _ => Self::Unknown {
                extension_type,
                body: body.rest(),
            },
        })
    }
}

/// The extensions of a hello: received and checked, or our own.
#[derive(Clone, Copy)]
pub(crate) enum Extensions<'a> {
    Wire(Context, &'a [u8]),
    Items(&'a [Extension<'a>]),
}

/// More extensions than any peer sends; it bounds the search for duplicates.
const MOST_EXTENSIONS: usize = 64;

impl<'a> Extensions<'a> {
    /// Reads the block at the end of a hello, which may be missing altogether (RFC 5246 §7.4.1.2).
    pub(crate) fn read(context: Context, reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let bytes = if reader.is_empty() {
            &[][..]
        } else {
            reader.vector::<2>()?
        };
        let mut seen = [ExtensionType(0); MOST_EXTENSIONS];
        let mut count = 0;
        let mut unread = Reader::new(bytes);
        while !unread.is_empty() {
            let extension_type = Extension::read(context, &mut unread)?.extension_type();
            let (before, after) = seen.split_at_mut(count);
            if before.contains(&extension_type) {
                return Err(InvalidMessage::DuplicateExtension);
            }
            *after.first_mut().ok_or(InvalidMessage::TooManyExtensions)? = extension_type;
            count += 1;
        }
        Ok(Self::Wire(context, bytes))
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        if self.iter().next().is_none() {
            return;
        }
        let mut block = LengthPrefix::<2>::new(out);
        for extension in self.iter() {
            extension.encode(&mut block);
        }
    }

    /// In the order of the wire. What `read` let through parses again: nothing is lost here.
    pub(crate) fn iter(self) -> impl Iterator<Item = Extension<'a>> + 'a {
        let (context, wire, items): (Context, &'a [u8], &'a [Extension<'a>]) = match self {
            Self::Wire(context, bytes) => (context, bytes, &[]),
            Self::Items(items) => (Context::ClientHello, &[], items),
        };
        let mut reader = Reader::new(wire);
        std::iter::from_fn(move || Extension::read(context, &mut reader).ok())
            .chain(items.iter().copied())
    }

    pub(crate) fn types(self) -> impl Iterator<Item = ExtensionType> + 'a {
        self.iter().map(|extension| extension.extension_type())
    }
}

/// Declares one accessor per extension: its payload, if it came.
macro_rules! accessors {
    ($( $name:ident -> $payload:ty: $pattern:pat => $value:expr; )*) => {
        impl<'a> Extensions<'a> {
            $(
                pub(crate) fn $name(self) -> Option<$payload> {
                    self.iter().find_map(|extension| match extension {
                        $pattern => Some($value),
                        _ => None,
                    })
                }
            )*
        }
    };
}

accessors! {
    supported_versions -> List<'a, ProtocolVersion>: Extension::SupportedVersions(versions) => versions;
    supported_groups -> List<'a, NamedGroup>: Extension::SupportedGroups(groups) => groups;
    ec_point_formats -> &'a [u8]: Extension::EcPointFormats(formats) => formats;
    signature_algorithms -> List<'a, SignatureScheme>: Extension::SignatureAlgorithms(schemes) => schemes;
    use_srtp -> UseSrtp<'a>: Extension::UseSrtp(offer) => offer;
    extended_master_secret -> (): Extension::ExtendedMasterSecret => ();
    renegotiation_info -> &'a [u8]: Extension::RenegotiationInfo(connection) => connection;
}

impl PartialEq for Extensions<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Extensions<'_> {}

impl fmt::Debug for Extensions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(
        context: Context,
        items: &[Extension<'_>],
    ) -> Result<Vec<ExtensionType>, InvalidMessage> {
        let mut out = Vec::new();
        Extensions::Items(items).encode(&mut out);
        let wire = Reader::all(&out, |reader| Extensions::read(context, reader))?;
        assert_eq!(wire, Extensions::Items(items));
        Ok(wire.types().collect())
    }

    fn unknown(code: u16, body: &[u8]) -> Extension<'_> {
        Extension::Unknown {
            extension_type: ExtensionType(code),
            body,
        }
    }

    #[test]
    fn every_extension_survives_the_wire() {
        let items = [
            unknown(0x0a0a, b"grease"),
            Extension::SupportedVersions(List::Items(&[
                ProtocolVersion::DTLS1_3,
                ProtocolVersion::DTLS1_2,
            ])),
            Extension::SupportedGroups(List::Items(&[
                NamedGroup::X25519MLKEM768,
                NamedGroup(0x7a7a),
            ])),
            Extension::EcPointFormats(&[0]),
            Extension::SignatureAlgorithms(List::Items(&[SignatureScheme::ED25519])),
            Extension::UseSrtp(UseSrtp {
                profiles: List::Items(&[SrtpProtectionProfile::SRTP_AEAD_AES_128_GCM]),
                mki: b"id",
            }),
            Extension::ExtendedMasterSecret,
            Extension::RenegotiationInfo(&[]),
            unknown(0, b""),
        ];
        assert_eq!(
            read(Context::ClientHello, &items).map(|types| types.len()),
            Ok(items.len())
        );
    }

    #[test]
    fn accessors_find_what_came_and_nothing_else() {
        let extensions = Extensions::Items(&[
            Extension::ExtendedMasterSecret,
            Extension::EcPointFormats(&[0, 1]),
        ]);
        assert_eq!(extensions.extended_master_secret(), Some(()));
        assert_eq!(extensions.ec_point_formats(), Some(&[0, 1][..]));
        assert_eq!(extensions.use_srtp(), None);
        assert_eq!(extensions.renegotiation_info(), None);
    }

    #[test]
    fn duplicates_are_refused_known_or_not() {
        for extension in [Extension::ExtendedMasterSecret, unknown(0x1234, b"x")] {
            let twice = [extension, unknown(7, b""), extension];
            assert_eq!(
                read(Context::ClientHello, &twice),
                Err(InvalidMessage::DuplicateExtension)
            );
        }
    }

    #[test]
    fn a_flood_of_extensions_is_refused() {
        let flood: Vec<_> = (0..=MOST_EXTENSIONS as u16)
            .map(|code| unknown(0x2000 + code, b""))
            .collect();
        assert_eq!(
            read(Context::ClientHello, &flood),
            Err(InvalidMessage::TooManyExtensions)
        );
        assert!(read(Context::ClientHello, &flood[1..]).is_ok());
    }

    #[test]
    fn an_answer_with_a_selected_version_is_unknown_not_malformed() {
        let selected = [unknown(ExtensionType::SUPPORTED_VERSIONS.0, &[0xfe, 0xfc])];
        assert_eq!(
            read(Context::ServerHello, &selected),
            Ok(vec![ExtensionType::SUPPORTED_VERSIONS])
        );
        assert_eq!(
            read(Context::ClientHello, &selected),
            Err(InvalidMessage::MessageTooShort)
        );
    }

    #[test]
    fn a_known_extension_with_a_broken_body_is_refused() {
        for (code, body, error) in [
            (10, &[0, 0][..], InvalidMessage::EmptyList),
            (11, &[0], InvalidMessage::EmptyList),
            (13, &[0, 1, 4], InvalidMessage::UnevenList),
            (14, &[0, 2, 0, 1], InvalidMessage::MessageTooShort),
            (23, &[0], InvalidMessage::TrailingBytes),
            (0xff01, &[], InvalidMessage::MessageTooShort),
        ] {
            let broken = [unknown(code, body)];
            let mut out = Vec::new();
            Extensions::Items(&broken).encode(&mut out);
            let read = Extensions::read(Context::ClientHello, &mut Reader::new(&out));
            assert_eq!(read, Err(error), "extension {code}");
        }
    }

    #[test]
    fn a_missing_block_holds_nothing() {
        let none = Extensions::read(Context::ServerHello, &mut Reader::new(&[]));
        assert_eq!(none, Ok(Extensions::Items(&[])));
    }

    proptest! {
        #[test]
        fn any_bytes_are_extensions_or_an_error(bytes: Vec<u8>, server: bool) {
            let context = if server { Context::ServerHello } else { Context::ClientHello };
            let read = Reader::all(&bytes, |reader| Extensions::read(context, reader));
            if let Ok(extensions) = read {
                let mut out = Vec::new();
                extensions.encode(&mut out);
                prop_assert_eq!(Reader::all(&out, |reader| Extensions::read(context, reader)), Ok(extensions));
            }
        }
    }
}
