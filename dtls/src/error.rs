//! Why an association ended, grouped by whose fault it is; the alert for each stands right below.
//!
//! Bytes that are not authenticated never produce one of these: such records are dropped and counted (`DropReason`).
//! Payloads are field-less enums whose names are sentences. Alerts: RFC 8446 §6.2, RFC 5246 §7.2.2.

use thiserror::Error as ThisError;

use crate::msgs::enums::AlertDescription;

/// Why an association failed, or why a call was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
pub enum Error {
    /// A handshake message of the peer does not parse.
    #[error("the peer sent a message that does not parse: {0}")]
    InvalidMessage(#[from] InvalidMessage),
    /// A message parses, but breaks the protocol.
    #[error("the peer broke the protocol: {0}")]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// All is legal, but there is nothing in common.
    #[error("the peer has nothing in common with us: {0}")]
    PeerIncompatible(#[from] PeerIncompatible),
    /// The peer is not who the signaling said it would be.
    #[error("the peer is not who it should be: {0}")]
    IdentityRefused(#[from] IdentityRefused),
    /// The peer ended the association with a fatal alert.
    #[error("the peer sent a fatal {0} alert")]
    AlertReceived(AlertDescription),
    /// The handshake was not complete by its deadline, or its retransmissions were used up (RFC 6347 §4.2.4).
    #[error("the handshake timed out")]
    HandshakeTimedOut,
    /// The handshake was complete, but no fingerprint to check it against came in time.
    #[error("no fingerprint came to check the peer against")]
    FingerprintTimedOut,
    /// No more records may be protected under these keys (RFC 9147 §4.5.3, RFC 6347 §4.1).
    #[error("the keys of this association are used up")]
    KeysUsedUp,
    /// The cryptographic backend failed where it must not: no randomness, or a key it cannot sign with.
    #[error("the cryptographic backend failed")]
    CryptoFailed,
    /// The caller's bug; never caused by the network. The association is as it was.
    #[error("the call is refused: {0}")]
    ApiMisuse(#[from] ApiMisuse),
}

impl Error {
    /// The alert that tells the peer, if there is something to tell.
    #[must_use]
    pub const fn alert(&self) -> Option<AlertDescription> {
        match self {
            Self::InvalidMessage(fault) => Some(fault.alert()),
            Self::PeerMisbehaved(fault) => Some(fault.alert()),
            Self::PeerIncompatible(fault) => Some(fault.alert()),
            Self::IdentityRefused(fault) => Some(fault.alert()),
            Self::FingerprintTimedOut => Some(AlertDescription::BAD_CERTIFICATE),
            Self::KeysUsedUp => Some(AlertDescription::CLOSE_NOTIFY),
            Self::CryptoFailed => Some(AlertDescription::INTERNAL_ERROR),
            Self::AlertReceived(_) | Self::HandshakeTimedOut | Self::ApiMisuse(_) => None,
        }
    }
}

/// How a message fails to parse.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
pub enum InvalidMessage {
    /// The message ends before its last field does.
    #[error("the message ends before its last field does")]
    MessageTooShort,
    /// There are bytes after the last field.
    #[error("there are bytes after the last field")]
    TrailingBytes,
    /// A list that must hold something is empty.
    #[error("a list that must hold something is empty")]
    EmptyList,
    /// The length of a list is not a whole number of items.
    #[error("the length of a list is not a whole number of items")]
    UnevenList,
    /// A session id of more than 32 bytes.
    #[error("the session id has more than 32 bytes")]
    SessionIdTooLong,
    /// The same extension twice in one message.
    #[error("an extension comes twice")]
    DuplicateExtension,
    /// More extensions than any peer sends.
    #[error("there are too many extensions")]
    TooManyExtensions,
    /// A certificate of no bytes.
    #[error("a certificate is empty")]
    EmptyCertificate,
    /// A public key of no bytes.
    #[error("a public key is empty")]
    EmptyPublicKey,
    /// An explicit curve instead of a named group.
    #[error("the curve is not named")]
    CurveIsNotNamed,
    /// A cookie of no bytes.
    #[error("a cookie is empty")]
    EmptyCookie,
    /// A session ticket of no bytes.
    #[error("a session ticket is empty")]
    EmptyTicket,
    /// An application protocol of no bytes (RFC 7301 §3.1).
    #[error("the name of an application protocol is empty")]
    EmptyProtocolName,
    /// A server name that is not one host name (RFC 6066 §3).
    #[error("the server name cannot be read")]
    ServerNameUnreadable,
    /// Two key shares of one group (RFC 8446 §4.2.8).
    #[error("there are two key shares of one group")]
    DuplicateKeyShare,
    /// More key shares than any peer sends.
    #[error("there are too many key shares")]
    TooManyKeyShares,
    /// A KeyUpdate that neither asks for an answer nor does not (RFC 8446 §4.6.3).
    #[error("the KeyUpdate says neither yes nor no")]
    KeyUpdateUnknown,
    /// Connection ids that are neither for now nor for later (RFC 9147 §9).
    #[error("it is not said when the connection ids are for")]
    ConnectionIdUsageUnknown,
    /// A fragment that lies outside the message it belongs to.
    #[error("a fragment exceeds its message")]
    FragmentExceedsItsMessage,
    /// An alert that is neither a warning nor fatal (RFC 5246 §7.2).
    #[error("an alert is neither a warning nor fatal")]
    UnknownAlertLevel,
    /// The peer's certificate is not DER, or its key is not where it must be.
    #[error("the certificate cannot be read")]
    CertificateUnreadable,
}

impl InvalidMessage {
    const fn alert(self) -> AlertDescription {
        match self {
            Self::MessageTooShort
            | Self::TrailingBytes
            | Self::EmptyList
            | Self::UnevenList
            | Self::SessionIdTooLong
            | Self::DuplicateExtension
            | Self::TooManyExtensions
            | Self::EmptyCertificate
            | Self::EmptyPublicKey
            | Self::EmptyCookie
            | Self::EmptyTicket
            | Self::EmptyProtocolName
            | Self::ServerNameUnreadable
            | Self::TooManyKeyShares => AlertDescription::DECODE_ERROR,
            Self::CurveIsNotNamed
            | Self::UnknownAlertLevel
            | Self::DuplicateKeyShare
            | Self::KeyUpdateUnknown
            | Self::ConnectionIdUsageUnknown
            | Self::FragmentExceedsItsMessage => AlertDescription::ILLEGAL_PARAMETER,
            Self::CertificateUnreadable => AlertDescription::BAD_CERTIFICATE,
        }
    }
}

/// Which rule a well-formed message breaks.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
pub enum PeerMisbehaved {
    /// More KeyUpdates than there are epochs (RFC 9147 §8).
    #[error("the peer changed its keys too often")]
    TooManyKeyUpdates,
    /// A handshake message that may not come now.
    #[error("a message came that may not come now")]
    UnexpectedMessage,
    /// A ClientHello without the null compression method (RFC 5246 §7.4.1.2).
    #[error("the ClientHello insists on compression")]
    CompressionDemanded,
    /// A second HelloVerifyRequest after its cookie was given back.
    #[error("a cookie was demanded twice")]
    CookieDemandedTwice,
    /// A version that was not offered, or another one than the exchange began with.
    #[error("the server selected a version that was not offered")]
    SelectedUnofferedVersion,
    /// Another version than DTLS 1.3 in the supported_versions of a ServerHello, where no older one is ever said (RFC 8446
    /// §4.2.1).
    #[error("the server's supported_versions selects another version than DTLS 1.3")]
    SupportedVersionsSelectsAnother,
    /// Another version than its HelloVerifyRequest or HelloRetryRequest belongs to (RFC 8446 §4.1.4, RFC 9147 §5.1).
    #[error("the server changed the version after it had asked for another ClientHello")]
    VersionChanged,
    /// DTLS 1.2 from a server that says it speaks DTLS 1.3, as we do: somebody is between us (RFC 8446 §4.1.3).
    #[error("the version was lowered on the way")]
    Downgraded,
    /// A second HelloRetryRequest (RFC 8446 §4.1.4).
    #[error("the server asked for another ClientHello twice")]
    RetriedTwice,
    /// A HelloRetryRequest after which the ClientHello would be the same (RFC 8446 §4.1.4).
    #[error("the server asked for the same ClientHello again")]
    RetryChangesNothing,
    /// Another cipher suite than the HelloRetryRequest selected (RFC 8446 §4.1.4).
    #[error("the server changed the cipher suite after its HelloRetryRequest")]
    CipherSuiteChanged,
    /// A session id that answers none (RFC 9147 §5.3).
    #[error("the server answered a session id that was not offered")]
    SessionIdDoesNotFit,
    /// An extension without which the message means nothing (RFC 8446 §9.2).
    #[error("an extension is missing that must be there")]
    ExtensionMissing,
    /// A certificate_request_context in a handshake, where it is empty (RFC 8446 §4.3.2, §4.4.2).
    #[error("the context of a certificate request is not empty")]
    RequestContextDoesNotFit,
    /// An application protocol that was not offered, or not exactly one (RFC 7301 §3.1).
    #[error("the server did not select exactly one of the offered application protocols")]
    SelectedUnofferedProtocol,
    /// Handshake messages under keys that a message before them replaced (RFC 8446 §5.1).
    #[error("a handshake message came under keys that were replaced before it")]
    ExcessHandshakeData,
    /// A cipher suite that was not offered.
    #[error("the server selected a cipher suite that was not offered")]
    SelectedUnofferedCipherSuite,
    /// Any compression.
    #[error("the server selected a compression method")]
    SelectedCompression,
    /// A group that was not offered.
    #[error("the server selected a group that was not offered")]
    SelectedUnofferedGroup,
    /// An SRTP profile that was not offered, or not exactly one (RFC 5764 §4.1.1).
    #[error("the server did not select exactly one of the offered SRTP profiles")]
    SelectedUnofferedSrtpProfile,
    /// A master key identifier that was not offered (RFC 5764 §4.1.3).
    #[error("the server answered with a master key identifier that was not offered")]
    SelectedUnofferedMki,
    /// An extension in the answer that was not in the question (RFC 5246 §7.4.1.4).
    #[error("the server answered an extension that was not offered")]
    UnsolicitedExtension,
    /// Point formats without the uncompressed one (RFC 8422 §5.1.2).
    #[error("the uncompressed point format is missing")]
    UncompressedPointsNotOffered,
    /// A renegotiated_connection that does not fit this handshake (RFC 5746 §3.4).
    #[error("the renegotiation_info does not fit this handshake")]
    RenegotiationInfoDoesNotFit,
    /// A cookie that was not asked for, or that is not the one that was given out (RFC 9147 §5.1, §5.3).
    #[error("the cookie is not one that was given out")]
    CookieInvalid,
    /// A key share of a group that is not offered, or in another order than the groups (RFC 8446 §4.2.8).
    #[error("a key share is of a group that is not offered in its place")]
    KeyShareOfUnofferedGroup,
    /// A second ClientHello without just the key share that was asked for (RFC 8446 §4.1.2).
    #[error("the second ClientHello does not have just the key share that was asked for")]
    KeyShareNotAsRequested,
    /// A second ClientHello that differs from the first in more than what may change (RFC 8446 §4.1.2).
    #[error("the second ClientHello differs from the first")]
    SecondClientHelloDiffers,
    /// Extensions after pre_shared_key (RFC 8446 §4.2.11).
    #[error("pre_shared_key is not the last extension")]
    PreSharedKeyNotLast,
    /// A signature scheme that was not offered.
    #[error("a message is signed with a scheme that was not offered")]
    SignedWithUnofferedScheme,
    /// A signature scheme that the certificate's key cannot make.
    #[error("a message is signed with a scheme that does not fit the certificate")]
    SchemeDoesNotFitCertificate,
    /// A certificate whose key cannot authenticate the selected cipher suite.
    #[error("the certificate does not fit the cipher suite")]
    CertificateDoesNotFitCipherSuite,
    /// A signature that does not verify.
    #[error("a signature does not verify")]
    SignatureInvalid,
    /// A public key that is not a point of its group.
    #[error("the public key of the exchange is not valid")]
    KeyShareInvalid,
    /// A Finished that does not verify.
    #[error("the Finished does not verify")]
    FinishedInvalid,
    /// An ACK for a record that cannot have come yet (RFC 9147 §7).
    #[error("the peer acknowledges a record that it cannot have received")]
    AcknowledgedTheImpossible,
    /// A server that presents no certificate.
    #[error("the server presents no certificate")]
    NoServerCertificate,
    /// An authentic record with more than 2¹⁴ bytes (RFC 8446 §5.2).
    #[error("a record is longer than 2^14 bytes")]
    RecordTooLong,
    /// An authentic record of no type, or of one that is not known (RFC 8446 §5, §5.4).
    #[error("a record has no type, or one that nobody knows")]
    RecordTypeUnknown,
}

impl PeerMisbehaved {
    const fn alert(self) -> AlertDescription {
        match self {
            Self::UnexpectedMessage
            | Self::TooManyKeyUpdates
            | Self::CookieDemandedTwice
            | Self::RetriedTwice
            | Self::ExcessHandshakeData => AlertDescription::UNEXPECTED_MESSAGE,
            Self::ExtensionMissing => AlertDescription::MISSING_EXTENSION,
            Self::SelectedUnofferedVersion => AlertDescription::PROTOCOL_VERSION,
            Self::UnsolicitedExtension => AlertDescription::UNSUPPORTED_EXTENSION,
            Self::RenegotiationInfoDoesNotFit => AlertDescription::HANDSHAKE_FAILURE,
            Self::SignatureInvalid | Self::FinishedInvalid => AlertDescription::DECRYPT_ERROR,
            Self::RecordTooLong => AlertDescription::RECORD_OVERFLOW,
            Self::RecordTypeUnknown => AlertDescription::UNEXPECTED_MESSAGE,
            Self::NoServerCertificate => AlertDescription::DECODE_ERROR,
            Self::CompressionDemanded
            | Self::SupportedVersionsSelectsAnother
            | Self::VersionChanged
            | Self::Downgraded
            | Self::RetryChangesNothing
            | Self::CipherSuiteChanged
            | Self::SessionIdDoesNotFit
            | Self::RequestContextDoesNotFit
            | Self::SelectedUnofferedProtocol
            | Self::CookieInvalid
            | Self::KeyShareOfUnofferedGroup
            | Self::KeyShareNotAsRequested
            | Self::SecondClientHelloDiffers
            | Self::PreSharedKeyNotLast
            | Self::SelectedUnofferedCipherSuite
            | Self::SelectedCompression
            | Self::SelectedUnofferedGroup
            | Self::SelectedUnofferedSrtpProfile
            | Self::SelectedUnofferedMki
            | Self::UncompressedPointsNotOffered
            | Self::SignedWithUnofferedScheme
            | Self::SchemeDoesNotFitCertificate
            | Self::CertificateDoesNotFitCipherSuite
            | Self::KeyShareInvalid
            | Self::AcknowledgedTheImpossible => AlertDescription::ILLEGAL_PARAMETER,
        }
    }
}

/// What is not common to both sides.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
pub enum PeerIncompatible {
    /// No version in common.
    #[error("there is no version in common")]
    NoVersionInCommon,
    /// No cipher suite in common that our certificate can authenticate.
    #[error("there is no cipher suite in common")]
    NoCipherSuiteInCommon,
    /// No group in common.
    #[error("there is no group in common")]
    NoGroupInCommon,
    /// No signature scheme in common that our key can make.
    #[error("there is no signature scheme in common")]
    NoSignatureSchemeInCommon,
    /// No application protocol in common (RFC 7301 §3.2).
    #[error("there is no application protocol in common")]
    NoApplicationProtocolInCommon,
    /// No SRTP profile in common although SRTP is required.
    #[error("there is no SRTP profile in common")]
    NoSrtpProfileInCommon,
    /// No extended master secret although it is required (RFC 7627 §5.2).
    #[error("the peer does not know the extended master secret")]
    ExtendedMasterSecretRequired,
    /// The key of the peer's certificate is of a kind or size that is not supported.
    #[error("the key of the peer's certificate is not supported")]
    UnsupportedCertificateKey,
    /// A connection id that leaves less than [`ConnectionId::LEAST_ROOM`](crate::ConnectionId::LEAST_ROOM) of the MTU, or of
    /// the fallback MTU, to what a record carries (RFC 9146 §3).
    #[error("the peer's connection id is too long for the MTU")]
    ConnectionIdTooLong,
}

impl PeerIncompatible {
    const fn alert(self) -> AlertDescription {
        match self {
            Self::NoVersionInCommon => AlertDescription::PROTOCOL_VERSION,
            Self::UnsupportedCertificateKey => AlertDescription::UNSUPPORTED_CERTIFICATE,
            Self::NoApplicationProtocolInCommon => AlertDescription::NO_APPLICATION_PROTOCOL,
            Self::NoCipherSuiteInCommon
            | Self::NoGroupInCommon
            | Self::NoSignatureSchemeInCommon
            | Self::NoSrtpProfileInCommon
            | Self::ExtendedMasterSecretRequired
            | Self::ConnectionIdTooLong => AlertDescription::HANDSHAKE_FAILURE,
        }
    }
}

/// Why the peer is not let in.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
pub enum IdentityRefused {
    /// No certificate although one is required, in DTLS 1.2 (RFC 5246 §7.4.6).
    #[error("the peer has no certificate")]
    NoCertificate,
    /// No certificate although one is required, in DTLS 1.3 (RFC 8446 §4.4.2.4).
    #[error("the peer has no certificate, which is required")]
    CertificateRequired,
    /// A certificate with a fingerprint that was not signalled (RFC 8122 §6.2).
    #[error("no signalled fingerprint is that of the peer's certificate")]
    FingerprintMismatch,
}

impl IdentityRefused {
    const fn alert(self) -> AlertDescription {
        match self {
            Self::NoCertificate => AlertDescription::HANDSHAKE_FAILURE,
            Self::CertificateRequired => AlertDescription::CERTIFICATE_REQUIRED,
            Self::FingerprintMismatch => AlertDescription::BAD_CERTIFICATE,
        }
    }
}

/// What the caller did that cannot be done.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ThisError)]
pub enum ApiMisuse {
    /// Data or exported keys before `Connected`, or after the end.
    #[error("the association is not connected")]
    NotConnected,
    /// A record of this plaintext would exceed the MTU, or 2¹⁴ bytes (RFC 6347 §4.1.1).
    #[error("the plaintext does not fit one datagram")]
    PlaintextTooLong,
    /// The buffer given cannot hold the record.
    #[error("the buffer is too small")]
    BufferTooSmall,
    /// An MTU below 256 bytes or above 16 640.
    #[error("the MTU is out of range")]
    MtuOutOfRange,
    /// The two `a=setup` values do not make a client and a server (RFC 8842 §5).
    #[error("the setup values do not make a client and a server")]
    IncompatibleSetup,
    /// The side is decided already, and not as this one.
    #[error("the side is decided already")]
    SideAlreadyDecided,
    /// The fingerprints were set already, and not to these: that takes a new association (RFC 8842 §3.1).
    #[error("other fingerprints are set already")]
    FingerprintsAlreadySet,
    /// Client certificates may be optional only where any certificate is accepted.
    #[error("the peer's certificate is optional although fingerprints are to be checked")]
    ClientAuthContradictsIdentity,
    /// A version other than DTLS 1.2 and DTLS 1.3.
    #[error("the version is not supported")]
    VersionNotSupported,
    /// An application protocol or a server name that is empty, too long or not ASCII where it must be.
    #[error("a configured name cannot be sent")]
    NameRefused,
    /// More suites, groups or SRTP profiles than a configuration can list.
    #[error("a configured list is too long")]
    ListTooLong,
    /// A configuration that leaves nothing to negotiate.
    #[error("the configuration leaves nothing to negotiate")]
    NothingConfigured,
    /// The configured backend cannot sign with the identity's key: `ring` with an RSA key of more than 4096 bits.
    #[error("the backend cannot sign with this identity")]
    IdentityDoesNotFitBackend,
    /// DTLS 1.2 has no KeyUpdate.
    #[error("the keys of this version cannot change")]
    KeysCannotChange,
    /// More exported keying material, or a longer label or context, than the version can derive, or a label that is the
    /// protocol's own (RFC 5705 §4).
    #[error("that keying material cannot be exported")]
    ExportRefused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_peer_did_is_told_and_what_it_said_or_the_caller_did_is_not() {
        let alert = |error: Error| error.alert();
        assert_eq!(
            alert(InvalidMessage::TrailingBytes.into()),
            Some(AlertDescription::DECODE_ERROR)
        );
        assert_eq!(
            alert(PeerMisbehaved::SignedWithUnofferedScheme.into()),
            Some(AlertDescription::ILLEGAL_PARAMETER)
        );
        assert_eq!(
            alert(PeerMisbehaved::FinishedInvalid.into()),
            Some(AlertDescription::DECRYPT_ERROR)
        );
        assert_eq!(
            alert(PeerIncompatible::NoVersionInCommon.into()),
            Some(AlertDescription::PROTOCOL_VERSION)
        );
        assert_eq!(
            alert(IdentityRefused::NoCertificate.into()),
            Some(AlertDescription::HANDSHAKE_FAILURE)
        );
        assert_eq!(
            alert(IdentityRefused::FingerprintMismatch.into()),
            Some(AlertDescription::BAD_CERTIFICATE)
        );
        assert_eq!(
            alert(Error::AlertReceived(AlertDescription::DECODE_ERROR)),
            None
        );
        assert_eq!(alert(Error::HandshakeTimedOut), None);
        assert_eq!(alert(ApiMisuse::NotConnected.into()), None);
    }

    #[test]
    fn an_error_reads_as_a_sentence() {
        assert_eq!(
            Error::from(PeerMisbehaved::SignatureInvalid).to_string(),
            "the peer broke the protocol: a signature does not verify"
        );
        assert_eq!(
            Error::AlertReceived(AlertDescription::BAD_CERTIFICATE).to_string(),
            "the peer sent a fatal bad_certificate alert"
        );
    }
}
