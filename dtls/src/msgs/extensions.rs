//! Extensions: one enum for those floe acts on, everything else kept as bytes and ignored.
//!
//! supported_versions, supported_groups, signature_algorithms, cookie, psk_key_exchange_modes, early_data, pre_shared_key
//! and key_share (RFC 8446 §4.2), server_name (RFC 6066 §3), ec_point_formats (RFC 8422 §5.1.2), use_srtp (RFC 5764 §4.1.1),
//! ALPN (RFC 7301 §3.1), extended_master_secret (RFC 7627 §5.1), connection_id (RFC 9146 §3), renegotiation_info (RFC 5746
//! §3.2). A type that comes twice in one message is refused, unknown ones included. Where a type has no place it is
//! unknown; whether an extension of an answer had been asked for is the handshake script's question.

use std::fmt;

use crate::error::InvalidMessage;
use crate::msgs::codec::{CodePoint, LengthPrefix, List, Reader, put_vector};
use crate::msgs::enums::{
    ExtensionType, NamedGroup, ProtocolVersion, PskKeyExchangeMode, SignatureScheme,
    SrtpProtectionProfile,
};
use crate::msgs::key_share::{KeyShareEntry, KeyShares};
use crate::msgs::names::{ProtocolNames, put_host_name, read_host_name};

/// Whose extensions these are: some bodies differ between question and answer, and few types stand everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    ClientHello,
    /// Of either version.
    ServerHello,
    HelloRetryRequest,
    EncryptedExtensions,
    CertificateRequest,
    /// Of one certificate in DTLS 1.3.
    Certificate,
    NewSessionTicket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extension<'a> {
    /// The host name that a client asks for.
    ServerName(&'a [u8]),
    /// The server made use of it.
    ServerNameAcknowledged,
    /// What a client offers.
    SupportedVersions(List<'a, ProtocolVersion>),
    /// What the server chose; only DTLS 1.3 is said this way.
    SelectedVersion(ProtocolVersion),
    SupportedGroups(List<'a, NamedGroup>),
    EcPointFormats(&'a [u8]),
    SignatureAlgorithms(List<'a, SignatureScheme>),
    UseSrtp(UseSrtp<'a>),
    /// An offer of several protocols, or the answer with one.
    Alpn(ProtocolNames<'a>),
    ExtendedMasterSecret,
    /// The offered shares: perhaps none, to ask for a HelloRetryRequest.
    KeyShares(KeyShares<'a>),
    /// The server's.
    KeyShare(KeyShareEntry<'a>),
    /// The group of which a HelloRetryRequest wants a share.
    SelectedGroup(NamedGroup),
    Cookie(&'a [u8]),
    PskKeyExchangeModes(List<'a, PskKeyExchangeMode>),
    /// What the sender wants to find in records that it receives: perhaps nothing.
    ConnectionId(&'a [u8]),
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
            Self::ServerName(_) | Self::ServerNameAcknowledged => ExtensionType::SERVER_NAME,
            Self::SupportedVersions(_) | Self::SelectedVersion(_) => {
                ExtensionType::SUPPORTED_VERSIONS
            }
            Self::SupportedGroups(_) => ExtensionType::SUPPORTED_GROUPS,
            Self::EcPointFormats(_) => ExtensionType::EC_POINT_FORMATS,
            Self::SignatureAlgorithms(_) => ExtensionType::SIGNATURE_ALGORITHMS,
            Self::UseSrtp(_) => ExtensionType::USE_SRTP,
            Self::Alpn(_) => ExtensionType::ALPN,
            Self::ExtendedMasterSecret => ExtensionType::EXTENDED_MASTER_SECRET,
            Self::KeyShares(_) | Self::KeyShare(_) | Self::SelectedGroup(_) => {
                ExtensionType::KEY_SHARE
            }
            Self::Cookie(_) => ExtensionType::COOKIE,
            Self::PskKeyExchangeModes(_) => ExtensionType::PSK_KEY_EXCHANGE_MODES,
            Self::ConnectionId(_) => ExtensionType::CONNECTION_ID,
            Self::RenegotiationInfo(_) => ExtensionType::RENEGOTIATION_INFO,
            Self::Unknown { extension_type, .. } => *extension_type,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.extension_type().put(out);
        let mut body = LengthPrefix::<2>::new(out);
        match self {
            Self::ServerName(name) => put_host_name(&mut body, name),
            Self::SupportedVersions(versions) => versions.encode::<1>(&mut body),
            Self::SelectedVersion(version) => version.put(&mut body),
            Self::SupportedGroups(groups) => groups.encode::<2>(&mut body),
            Self::SignatureAlgorithms(schemes) => schemes.encode::<2>(&mut body),
            Self::UseSrtp(offer) => {
                offer.profiles.encode::<2>(&mut body);
                put_vector::<1>(&mut body, offer.mki);
            }
            Self::Alpn(names) => names.encode(&mut body),
            Self::KeyShares(shares) => shares.encode(&mut body),
            Self::KeyShare(share) => share.encode(&mut body),
            Self::SelectedGroup(group) => group.put(&mut body),
            Self::Cookie(cookie) => put_vector::<2>(&mut body, cookie),
            Self::PskKeyExchangeModes(modes) => modes.encode::<1>(&mut body),
            Self::ServerNameAcknowledged | Self::ExtendedMasterSecret => {}
            Self::EcPointFormats(bytes)
            | Self::ConnectionId(bytes)
            | Self::RenegotiationInfo(bytes) => put_vector::<1>(&mut body, bytes),
            Self::Unknown { body: bytes, .. } => body.extend_from_slice(bytes),
        }
    }

    fn read(context: Context, reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let extension_type = ExtensionType::take(reader)?;
        let body = reader.vector::<2>()?;
        Reader::all(body, |reader| match context {
            Context::ClientHello => Self::read_offer(extension_type, reader),
            Context::ServerHello => Self::read_answer(extension_type, reader),
            Context::HelloRetryRequest => Self::read_retry(extension_type, reader),
            Context::EncryptedExtensions => Self::read_encrypted(extension_type, reader),
            Context::CertificateRequest => Self::read_request(extension_type, reader),
            Context::Certificate | Context::NewSessionTicket => {
                Ok(Self::read_unknown(extension_type, reader))
            }
        })
    }

    fn read_offer(
        extension_type: ExtensionType,
        body: &mut Reader<'a>,
    ) -> Result<Self, InvalidMessage> {
        Ok(match extension_type {
            ExtensionType::SERVER_NAME => Self::ServerName(read_host_name(body)?),
            ExtensionType::SUPPORTED_VERSIONS => Self::SupportedVersions(List::read::<1>(body)?),
            ExtensionType::SUPPORTED_GROUPS => Self::SupportedGroups(List::read::<2>(body)?),
            ExtensionType::SIGNATURE_ALGORITHMS => {
                Self::SignatureAlgorithms(List::read::<2>(body)?)
            }
            ExtensionType::KEY_SHARE => Self::KeyShares(KeyShares::read(body)?),
            ExtensionType::COOKIE => Self::Cookie(read_cookie(body)?),
            ExtensionType::PSK_KEY_EXCHANGE_MODES => {
                Self::PskKeyExchangeModes(List::read::<1>(body)?)
            }
            _ => Self::read_common(extension_type, body)?,
        })
    }

    fn read_answer(
        extension_type: ExtensionType,
        body: &mut Reader<'a>,
    ) -> Result<Self, InvalidMessage> {
        Ok(match extension_type {
            ExtensionType::SERVER_NAME => Self::ServerNameAcknowledged,
            ExtensionType::SUPPORTED_VERSIONS => {
                Self::SelectedVersion(ProtocolVersion::take(body)?)
            }
            ExtensionType::KEY_SHARE => Self::KeyShare(KeyShareEntry::read(body)?),
            _ => Self::read_common(extension_type, body)?,
        })
    }

    /// What is alike in a ClientHello and in a ServerHello.
    fn read_common(
        extension_type: ExtensionType,
        body: &mut Reader<'a>,
    ) -> Result<Self, InvalidMessage> {
        Ok(match extension_type {
            ExtensionType::EC_POINT_FORMATS => match body.vector::<1>()? {
                [] => return Err(InvalidMessage::EmptyList),
                formats => Self::EcPointFormats(formats),
            },
            ExtensionType::USE_SRTP => Self::UseSrtp(UseSrtp::read(body)?),
            ExtensionType::ALPN => Self::Alpn(ProtocolNames::read(body)?),
            ExtensionType::EXTENDED_MASTER_SECRET => Self::ExtendedMasterSecret,
            ExtensionType::CONNECTION_ID => Self::ConnectionId(body.vector::<1>()?),
            ExtensionType::RENEGOTIATION_INFO => Self::RenegotiationInfo(body.vector::<1>()?),
            _ => Self::read_unknown(extension_type, body),
        })
    }

    fn read_retry(
        extension_type: ExtensionType,
        body: &mut Reader<'a>,
    ) -> Result<Self, InvalidMessage> {
        Ok(match extension_type {
            ExtensionType::SUPPORTED_VERSIONS => {
                Self::SelectedVersion(ProtocolVersion::take(body)?)
            }
            ExtensionType::KEY_SHARE => Self::SelectedGroup(NamedGroup::take(body)?),
            ExtensionType::COOKIE => Self::Cookie(read_cookie(body)?),
            _ => Self::read_unknown(extension_type, body),
        })
    }

    fn read_encrypted(
        extension_type: ExtensionType,
        body: &mut Reader<'a>,
    ) -> Result<Self, InvalidMessage> {
        Ok(match extension_type {
            ExtensionType::SERVER_NAME => Self::ServerNameAcknowledged,
            ExtensionType::SUPPORTED_GROUPS => Self::SupportedGroups(List::read::<2>(body)?),
            ExtensionType::USE_SRTP => Self::UseSrtp(UseSrtp::read(body)?),
            ExtensionType::ALPN => Self::Alpn(ProtocolNames::read(body)?),
            _ => Self::read_unknown(extension_type, body),
        })
    }

    fn read_request(
        extension_type: ExtensionType,
        body: &mut Reader<'a>,
    ) -> Result<Self, InvalidMessage> {
        Ok(match extension_type {
            ExtensionType::SIGNATURE_ALGORITHMS => {
                Self::SignatureAlgorithms(List::read::<2>(body)?)
            }
            _ => Self::read_unknown(extension_type, body),
        })
    }

    fn read_unknown(extension_type: ExtensionType, body: &mut Reader<'a>) -> Self {
        Self::Unknown {
            extension_type,
            body: body.rest(),
        }
    }
}

impl<'a> UseSrtp<'a> {
    fn read(body: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        Ok(Self {
            profiles: List::read::<2>(body)?,
            mki: body.vector::<1>()?,
        })
    }
}

fn read_cookie<'a>(body: &mut Reader<'a>) -> Result<&'a [u8], InvalidMessage> {
    match body.vector::<2>()? {
        [] => Err(InvalidMessage::EmptyCookie),
        cookie => Ok(cookie),
    }
}

/// The extensions of a message: received and checked, or our own.
#[derive(Clone, Copy)]
pub(crate) enum Extensions<'a> {
    Wire(Context, &'a [u8]),
    Items(&'a [Extension<'a>]),
}

/// More extensions than any peer sends; it bounds the search for duplicates.
const MOST_EXTENSIONS: usize = 64;

impl<'a> Extensions<'a> {
    /// Reads the block at the end of a hello, which may be missing altogether (RFC 5246 §7.4.1.2).
    pub(crate) fn read_optional(
        context: Context,
        reader: &mut Reader<'a>,
    ) -> Result<Self, InvalidMessage> {
        if reader.is_empty() {
            return Ok(Self::Items(&[]));
        }
        Self::read(context, reader)
    }

    /// Reads a block that must be there, be it empty.
    pub(crate) fn read(context: Context, reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let bytes = reader.vector::<2>()?;
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

    /// Writes the block at the end of a hello: nothing at all if there are none.
    pub(crate) fn encode_optional(self, out: &mut Vec<u8>) {
        if !self.is_empty() {
            self.encode(out);
        }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let mut block = LengthPrefix::<2>::new(out);
        for extension in self.iter() {
            extension.encode(&mut block);
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.iter().next().is_none()
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

    /// Whether an extension of this type came, with whatever body.
    pub(crate) fn has(self, extension_type: ExtensionType) -> bool {
        self.find(extension_type).is_some()
    }

    /// The extension of this type, if it came: the bodies of others are not read again.
    fn find(self, extension_type: ExtensionType) -> Option<Extension<'a>> {
        let (context, wire) = match self {
            Self::Wire(context, bytes) => (context, bytes),
            Self::Items(items) => {
                let mut items = items.iter().copied();
                return items.find(|extension| extension.extension_type() == extension_type);
            }
        };
        let mut unread = Reader::new(wire);
        loop {
            let mut this = unread;
            let found = ExtensionType::take(&mut unread).ok()?;
            unread.vector::<2>().ok()?;
            if found == extension_type {
                return Extension::read(context, &mut this).ok();
            }
        }
    }

    pub(crate) fn types(self) -> impl Iterator<Item = ExtensionType> + 'a {
        self.iter().map(|extension| extension.extension_type())
    }
}

/// Declares one accessor per extension: its payload, if it came.
macro_rules! accessors {
    ($( $name:ident($type:ident) -> $payload:ty: $pattern:pat => $value:expr; )*) => {
        impl<'a> Extensions<'a> {
            $(
                pub(crate) fn $name(self) -> Option<$payload> {
                    match self.find(ExtensionType::$type)? {
                        $pattern => Some($value),
                        _ => None,
                    }
                }
            )*
        }
    };
}

accessors! {
    selected_version(SUPPORTED_VERSIONS) -> ProtocolVersion: Extension::SelectedVersion(version) => version;
    alpn(ALPN) -> ProtocolNames<'a>: Extension::Alpn(names) => names;
    key_shares(KEY_SHARE) -> KeyShares<'a>: Extension::KeyShares(shares) => shares;
    key_share(KEY_SHARE) -> KeyShareEntry<'a>: Extension::KeyShare(share) => share;
    selected_group(KEY_SHARE) -> NamedGroup: Extension::SelectedGroup(group) => group;
    cookie(COOKIE) -> &'a [u8]: Extension::Cookie(cookie) => cookie;
    psk_key_exchange_modes(PSK_KEY_EXCHANGE_MODES) -> List<'a, PskKeyExchangeMode>: Extension::PskKeyExchangeModes(modes) => modes;
    connection_id(CONNECTION_ID) -> &'a [u8]: Extension::ConnectionId(id) => id;
    server_name(SERVER_NAME) -> &'a [u8]: Extension::ServerName(name) => name;
    supported_versions(SUPPORTED_VERSIONS) -> List<'a, ProtocolVersion>: Extension::SupportedVersions(versions) => versions;
    supported_groups(SUPPORTED_GROUPS) -> List<'a, NamedGroup>: Extension::SupportedGroups(groups) => groups;
    ec_point_formats(EC_POINT_FORMATS) -> &'a [u8]: Extension::EcPointFormats(formats) => formats;
    signature_algorithms(SIGNATURE_ALGORITHMS) -> List<'a, SignatureScheme>: Extension::SignatureAlgorithms(schemes) => schemes;
    use_srtp(USE_SRTP) -> UseSrtp<'a>: Extension::UseSrtp(offer) => offer;
    extended_master_secret(EXTENDED_MASTER_SECRET) -> (): Extension::ExtendedMasterSecret => ();
    renegotiation_info(RENEGOTIATION_INFO) -> &'a [u8]: Extension::RenegotiationInfo(connection) => connection;
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
mod tests;
