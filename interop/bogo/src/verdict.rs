//! The runner's words for what floe says went wrong.
//!
//! floe's errors are grouped by fault, the runner's by the line of another library that noticed. Where several of its
//! words fall into one of ours, all of them are printed: the runner looks for the one it expects, and checks by the alert
//! that the peer was told the right thing.

use floe_dtls::{
    AlertDescription, ApiMisuse, Error, IdentityRefused, InvalidMessage, PeerIncompatible,
    PeerMisbehaved,
};

/// The runner's words for an error.
pub(crate) fn tokens(error: &Error) -> &'static str {
    match error {
        Error::InvalidMessage(fault) => invalid_message(*fault),
        Error::PeerMisbehaved(fault) => misbehaved(*fault),
        Error::PeerIncompatible(fault) => incompatible(*fault),
        Error::IdentityRefused(IdentityRefused::NoCertificate) => {
            ":PEER_DID_NOT_RETURN_A_CERTIFICATE:"
        }
        Error::IdentityRefused(_) => ":CERTIFICATE_VERIFY_FAILED:",
        Error::AlertReceived(description) => alert(*description),
        Error::KeysUsedUp => ":TOO_MANY_KEY_UPDATES: :overflow:",
        Error::HandshakeTimedOut => ":READ_TIMEOUT_EXPIRED:",
        Error::ApiMisuse(ApiMisuse::NothingConfigured) => ":NO_SUPPORTED_VERSIONS_ENABLED:",
        _ => ":INTERNAL_ERROR:",
    }
}

fn invalid_message(fault: InvalidMessage) -> &'static str {
    match fault {
        InvalidMessage::FragmentExceedsItsMessage => ":BAD_HANDSHAKE_RECORD:",
        InvalidMessage::UnknownAlertLevel => ":UNKNOWN_ALERT_TYPE:",
        InvalidMessage::DuplicateExtension => ":DUPLICATE_EXTENSION: :DECODE_ERROR:",
        InvalidMessage::MessageTooShort | InvalidMessage::TrailingBytes => {
            ":DECODE_ERROR: :CLIENTHELLO_PARSE_FAILED: :ERROR_PARSING_EXTENSION: :BAD_ALERT:"
        }
        _ => ":DECODE_ERROR: :CLIENTHELLO_PARSE_FAILED: :ERROR_PARSING_EXTENSION:",
    }
}

fn misbehaved(fault: PeerMisbehaved) -> &'static str {
    match fault {
        PeerMisbehaved::UnexpectedMessage => {
            ":UNEXPECTED_MESSAGE: :EXCESS_HANDSHAKE_DATA: :UNEXPECTED_RECORD:"
        }
        PeerMisbehaved::ExcessHandshakeData => ":EXCESS_HANDSHAKE_DATA: :UNEXPECTED_MESSAGE:",
        PeerMisbehaved::CookieDemandedTwice | PeerMisbehaved::RetriedTwice => {
            ":UNEXPECTED_MESSAGE:"
        }
        PeerMisbehaved::SelectedUnofferedVersion
        | PeerMisbehaved::SupportedVersionsSelectsAnother => ":UNSUPPORTED_PROTOCOL:",
        PeerMisbehaved::VersionChanged => ":INVALID_MESSAGE:",
        PeerMisbehaved::Downgraded => ":TLS13_DOWNGRADE:",
        PeerMisbehaved::SelectedUnofferedCipherSuite => ":WRONG_CIPHER_RETURNED:",
        PeerMisbehaved::SelectedUnofferedGroup => ":WRONG_CURVE:",
        PeerMisbehaved::SelectedUnofferedSrtpProfile => ":BAD_SRTP_PROTECTION_PROFILE_LIST:",
        PeerMisbehaved::SelectedUnofferedMki => ":BAD_SRTP_MKI_VALUE:",
        PeerMisbehaved::UnsolicitedExtension => ":UNEXPECTED_EXTENSION:",
        PeerMisbehaved::SignedWithUnofferedScheme | PeerMisbehaved::SchemeDoesNotFitCertificate => {
            ":WRONG_SIGNATURE_TYPE:"
        }
        PeerMisbehaved::CertificateDoesNotFitCipherSuite => ":WRONG_CERTIFICATE_TYPE:",
        PeerMisbehaved::SignatureInvalid => ":BAD_SIGNATURE:",
        PeerMisbehaved::KeyShareInvalid => ":BAD_ECPOINT:",
        PeerMisbehaved::TooManyKeyUpdates => ":TOO_MANY_KEY_UPDATES:",
        PeerMisbehaved::RecordTooLong => ":DATA_LENGTH_TOO_LONG:",
        PeerMisbehaved::RecordTypeUnknown => {
            ":DECRYPTION_FAILED_OR_BAD_RECORD_MAC: :UNEXPECTED_RECORD:"
        }
        PeerMisbehaved::FinishedInvalid => ":DIGEST_CHECK_FAILED:",
        PeerMisbehaved::AcknowledgedTheImpossible => ":DECODE_ERROR:",
        PeerMisbehaved::NoServerCertificate => ":DECODE_ERROR:",
        _ => ":DECODE_ERROR: :ILLEGAL_PARAMETER:",
    }
}

fn incompatible(fault: PeerIncompatible) -> &'static str {
    match fault {
        PeerIncompatible::NoVersionInCommon => ":UNSUPPORTED_PROTOCOL:",
        PeerIncompatible::NoCipherSuiteInCommon | PeerIncompatible::NoGroupInCommon => {
            ":NO_SHARED_CIPHER: :NO_SHARED_GROUP:"
        }
        PeerIncompatible::NoSignatureSchemeInCommon => ":NO_COMMON_SIGNATURE_ALGORITHMS:",
        _ => ":HANDSHAKE_FAILURE:",
    }
}

/// A fatal alert of the peer. Those that SSL 3.0 had have another prefix.
fn alert(description: AlertDescription) -> &'static str {
    match description {
        AlertDescription::UNEXPECTED_MESSAGE => ":SSLV3_ALERT_UNEXPECTED_MESSAGE:",
        AlertDescription::BAD_RECORD_MAC => ":SSLV3_ALERT_BAD_RECORD_MAC:",
        AlertDescription::RECORD_OVERFLOW => ":TLSV1_ALERT_RECORD_OVERFLOW:",
        AlertDescription::HANDSHAKE_FAILURE => ":SSLV3_ALERT_HANDSHAKE_FAILURE:",
        AlertDescription::BAD_CERTIFICATE => ":SSLV3_ALERT_BAD_CERTIFICATE:",
        AlertDescription::UNSUPPORTED_CERTIFICATE => ":SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:",
        AlertDescription::CERTIFICATE_UNKNOWN => ":SSLV3_ALERT_CERTIFICATE_UNKNOWN:",
        AlertDescription::ILLEGAL_PARAMETER => ":SSLV3_ALERT_ILLEGAL_PARAMETER:",
        AlertDescription::UNKNOWN_CA => ":TLSV1_ALERT_UNKNOWN_CA:",
        AlertDescription::ACCESS_DENIED => ":TLSV1_ALERT_ACCESS_DENIED:",
        AlertDescription::DECODE_ERROR => ":TLSV1_ALERT_DECODE_ERROR:",
        AlertDescription::DECRYPT_ERROR => ":TLSV1_ALERT_DECRYPT_ERROR:",
        AlertDescription::PROTOCOL_VERSION => ":TLSV1_ALERT_PROTOCOL_VERSION:",
        AlertDescription::INSUFFICIENT_SECURITY => ":TLSV1_ALERT_INSUFFICIENT_SECURITY:",
        AlertDescription::INTERNAL_ERROR => ":TLSV1_ALERT_INTERNAL_ERROR:",
        AlertDescription::NO_RENEGOTIATION => ":TLSV1_ALERT_NO_RENEGOTIATION:",
        AlertDescription::UNSUPPORTED_EXTENSION => ":TLSV1_ALERT_UNSUPPORTED_EXTENSION:",
        AlertDescription::CERTIFICATE_REQUIRED => ":TLSV1_ALERT_CERTIFICATE_REQUIRED:",
        AlertDescription::NO_APPLICATION_PROTOCOL => ":TLSV1_ALERT_NO_APPLICATION_PROTOCOL:",
        _ => ":UNKNOWN_ALERT_TYPE:",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_stands_between_colons() {
        for error in [
            InvalidMessage::TrailingBytes.into(),
            PeerMisbehaved::FinishedInvalid.into(),
            PeerIncompatible::NoVersionInCommon.into(),
            IdentityRefused::FingerprintMismatch.into(),
            Error::AlertReceived(AlertDescription::RECORD_OVERFLOW),
            Error::HandshakeTimedOut,
        ] {
            for token in tokens(&error).split(' ') {
                let inner = token
                    .strip_prefix(':')
                    .and_then(|rest| rest.strip_suffix(':'));
                let word = inner.unwrap_or_default();
                assert!(
                    !word.is_empty() && !word.contains(':'),
                    "{error:?}: {token}"
                );
            }
        }
        assert_eq!(
            tokens(&IdentityRefused::FingerprintMismatch.into()),
            ":CERTIFICATE_VERIFY_FAILED:"
        );
    }
}
