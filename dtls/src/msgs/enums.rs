//! Code points as newtypes with constants, so that unknown values survive a round trip.
//!
//! Registries: TLS Parameters and DTLS-SRTP of IANA; RFC 8446 §4 and §6, RFC 5246 §7, RFC 6347 §4.3, RFC 5764 §4.1.2.
//! Only the values floe speaks, answers or names in a report have constants. The public ones describe what was negotiated.

use std::fmt;

use crate::error::InvalidMessage;
use crate::msgs::codec::{CodePoint, Reader};

/// Declares a newtype over a code point: its constants, their names in the registry, its codec.
macro_rules! code_points {
    ($(
        $(#[$doc:meta])*
        $vis:vis struct $name:ident($int:ty) {
            $( $(#[$item_doc:meta])* $item:ident = $value:literal => $text:literal, )*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis struct $name($vis $int);

        impl $name {
            $( $(#[$item_doc])* $vis const $item: Self = Self($value); )*

            /// The registry's name, if this value is one floe names.
            $vis const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $( $value => Some($text), )*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, "{:#06x}", self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl CodePoint for $name {
            const SIZE: usize = size_of::<$int>();

            fn take(reader: &mut Reader<'_>) -> Result<Self, InvalidMessage> {
                reader.take_array().map(|bytes| Self(<$int>::from_be_bytes(bytes)))
            }

            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0.to_be_bytes());
            }
        }
    )*};
}

code_points! {
    /// A protocol version as it stands on the wire (DTLS counts downwards).
    pub struct ProtocolVersion(u16) {
        /// DTLS 1.0, RFC 4347: offered by nobody we accept, but the version of early records.
        DTLS1_0 = 0xfeff => "DTLS 1.0",
        /// DTLS 1.2, RFC 6347.
        DTLS1_2 = 0xfefd => "DTLS 1.2",
        /// DTLS 1.3, RFC 9147.
        DTLS1_3 = 0xfefc => "DTLS 1.3",
    }

    /// A cipher suite.
    pub struct CipherSuite(u16) {
        /// DTLS 1.3, RFC 8446 §B.4.
        TLS13_AES_128_GCM_SHA256 = 0x1301 => "TLS_AES_128_GCM_SHA256",
        /// DTLS 1.3, RFC 8446 §B.4.
        TLS13_AES_256_GCM_SHA384 = 0x1302 => "TLS_AES_256_GCM_SHA384",
        /// DTLS 1.3, RFC 8446 §B.4.
        TLS13_CHACHA20_POLY1305_SHA256 = 0x1303 => "TLS_CHACHA20_POLY1305_SHA256",
        /// RFC 5289 §3.2.
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 0xc02b => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        /// RFC 5289 §3.2.
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 = 0xc02c => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        /// RFC 5289 §3.2.
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 = 0xc02f => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        /// RFC 5289 §3.2.
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 = 0xc030 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        /// RFC 7905 §2.
        TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca8 => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        /// RFC 7905 §2.
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca9 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        /// Says that secure renegotiation is understood, RFC 5746 §3.3; not a suite.
        TLS_EMPTY_RENEGOTIATION_INFO_SCSV = 0x00ff => "TLS_EMPTY_RENEGOTIATION_INFO_SCSV",
    }

    /// A key-exchange group (RFC 8446 §4.2.7, RFC 8422 §5.1.1).
    pub struct NamedGroup(u16) {
        /// NIST P-256.
        SECP256R1 = 0x0017 => "secp256r1",
        /// NIST P-384.
        SECP384R1 = 0x0018 => "secp384r1",
        /// Curve25519, RFC 7748.
        X25519 = 0x001d => "x25519",
        /// ML-KEM-768 and X25519 together.
        X25519MLKEM768 = 0x11ec => "X25519MLKEM768",
    }

    /// How a handshake message is signed (RFC 8446 §4.2.3). In DTLS 1.2 the ECDSA schemes do not bind the curve.
    pub struct SignatureScheme(u16) {
        /// RSASSA-PKCS1-v1_5 with SHA-256; DTLS 1.2 only.
        RSA_PKCS1_SHA256 = 0x0401 => "rsa_pkcs1_sha256",
        /// RSASSA-PKCS1-v1_5 with SHA-384; DTLS 1.2 only.
        RSA_PKCS1_SHA384 = 0x0501 => "rsa_pkcs1_sha384",
        /// RSASSA-PKCS1-v1_5 with SHA-512; DTLS 1.2 only.
        RSA_PKCS1_SHA512 = 0x0601 => "rsa_pkcs1_sha512",
        /// ECDSA with SHA-256.
        ECDSA_SECP256R1_SHA256 = 0x0403 => "ecdsa_secp256r1_sha256",
        /// ECDSA with SHA-384.
        ECDSA_SECP384R1_SHA384 = 0x0503 => "ecdsa_secp384r1_sha384",
        /// RSASSA-PSS with SHA-256 and an `rsaEncryption` key.
        RSA_PSS_RSAE_SHA256 = 0x0804 => "rsa_pss_rsae_sha256",
        /// RSASSA-PSS with SHA-384 and an `rsaEncryption` key.
        RSA_PSS_RSAE_SHA384 = 0x0805 => "rsa_pss_rsae_sha384",
        /// RSASSA-PSS with SHA-512 and an `rsaEncryption` key.
        RSA_PSS_RSAE_SHA512 = 0x0806 => "rsa_pss_rsae_sha512",
        /// Ed25519, RFC 8032.
        ED25519 = 0x0807 => "ed25519",
    }

    /// What an alert says (RFC 8446 §6, RFC 5246 §7.2).
    pub struct AlertDescription(u8) {
        /// The sender will send no more.
        CLOSE_NOTIFY = 0 => "close_notify",
        /// A message that does not belong here.
        UNEXPECTED_MESSAGE = 10 => "unexpected_message",
        /// A record that does not authenticate.
        BAD_RECORD_MAC = 20 => "bad_record_mac",
        /// A record longer than allowed.
        RECORD_OVERFLOW = 22 => "record_overflow",
        /// Nothing in common.
        HANDSHAKE_FAILURE = 40 => "handshake_failure",
        /// A certificate that is broken or does not match.
        BAD_CERTIFICATE = 42 => "bad_certificate",
        /// A certificate of a kind that is not supported.
        UNSUPPORTED_CERTIFICATE = 43 => "unsupported_certificate",
        /// A certificate that its signer has revoked.
        CERTIFICATE_REVOKED = 44 => "certificate_revoked",
        /// A certificate that has expired.
        CERTIFICATE_EXPIRED = 45 => "certificate_expired",
        /// A certificate that is unacceptable for another reason.
        CERTIFICATE_UNKNOWN = 46 => "certificate_unknown",
        /// A field with a forbidden value.
        ILLEGAL_PARAMETER = 47 => "illegal_parameter",
        /// A certificate whose authority is not known.
        UNKNOWN_CA = 48 => "unknown_ca",
        /// A valid certificate that is not let in.
        ACCESS_DENIED = 49 => "access_denied",
        /// A message that does not parse.
        DECODE_ERROR = 50 => "decode_error",
        /// A signature or Finished that does not verify.
        DECRYPT_ERROR = 51 => "decrypt_error",
        /// A version that is not supported.
        PROTOCOL_VERSION = 70 => "protocol_version",
        /// Parameters that are too weak.
        INSUFFICIENT_SECURITY = 71 => "insufficient_security",
        /// A fault of the sender's own.
        INTERNAL_ERROR = 80 => "internal_error",
        /// A second try with a lower version than necessary.
        INAPPROPRIATE_FALLBACK = 86 => "inappropriate_fallback",
        /// The user gave up.
        USER_CANCELED = 90 => "user_canceled",
        /// A renegotiation is declined; a warning (RFC 5246 §7.2.2).
        NO_RENEGOTIATION = 100 => "no_renegotiation",
        /// An extension that must be there is not.
        MISSING_EXTENSION = 109 => "missing_extension",
        /// An extension that was not asked for.
        UNSUPPORTED_EXTENSION = 110 => "unsupported_extension",
        /// No certificate for that name.
        UNRECOGNIZED_NAME = 112 => "unrecognized_name",
        /// A client certificate is required.
        CERTIFICATE_REQUIRED = 116 => "certificate_required",
        /// No application protocol in common.
        NO_APPLICATION_PROTOCOL = 120 => "no_application_protocol",
    }

    /// How grave an alert says it is (RFC 5246 §7.2).
    pub(crate) struct AlertLevel(u8) {
        WARNING = 1 => "warning",
        FATAL = 2 => "fatal",
    }

    /// A handshake message's type (RFC 5246 §7.4, RFC 6347 §4.3.2, RFC 8446 §4).
    pub(crate) struct HandshakeType(u8) {
        HELLO_REQUEST = 0 => "HelloRequest",
        CLIENT_HELLO = 1 => "ClientHello",
        SERVER_HELLO = 2 => "ServerHello",
        HELLO_VERIFY_REQUEST = 3 => "HelloVerifyRequest",
        NEW_SESSION_TICKET = 4 => "NewSessionTicket",
        ENCRYPTED_EXTENSIONS = 8 => "EncryptedExtensions",
        REQUEST_CONNECTION_ID = 9 => "RequestConnectionId",
        NEW_CONNECTION_ID = 10 => "NewConnectionId",
        CERTIFICATE = 11 => "Certificate",
        SERVER_KEY_EXCHANGE = 12 => "ServerKeyExchange",
        CERTIFICATE_REQUEST = 13 => "CertificateRequest",
        SERVER_HELLO_DONE = 14 => "ServerHelloDone",
        CERTIFICATE_VERIFY = 15 => "CertificateVerify",
        CLIENT_KEY_EXCHANGE = 16 => "ClientKeyExchange",
        FINISHED = 20 => "Finished",
        KEY_UPDATE = 24 => "KeyUpdate",
        /// Never sent: what stands in a transcript for the ClientHello before a HelloRetryRequest (RFC 8446 §4.4.1).
        MESSAGE_HASH = 254 => "message_hash",
    }

    /// An extension's type (RFC 8446 §4.2 and the RFC each came with).
    pub(crate) struct ExtensionType(u16) {
        SERVER_NAME = 0 => "server_name",
        SUPPORTED_GROUPS = 10 => "supported_groups",
        EC_POINT_FORMATS = 11 => "ec_point_formats",
        SIGNATURE_ALGORITHMS = 13 => "signature_algorithms",
        USE_SRTP = 14 => "use_srtp",
        ALPN = 16 => "application_layer_protocol_negotiation",
        PADDING = 21 => "padding",
        EXTENDED_MASTER_SECRET = 23 => "extended_master_secret",
        PRE_SHARED_KEY = 41 => "pre_shared_key",
        EARLY_DATA = 42 => "early_data",
        SUPPORTED_VERSIONS = 43 => "supported_versions",
        COOKIE = 44 => "cookie",
        PSK_KEY_EXCHANGE_MODES = 45 => "psk_key_exchange_modes",
        KEY_SHARE = 51 => "key_share",
        CONNECTION_ID = 54 => "connection_id",
        RENEGOTIATION_INFO = 0xff01 => "renegotiation_info",
    }

    /// A DTLS-SRTP protection profile (RFC 5764 §4.1.2, RFC 7714 §14.2).
    pub(crate) struct SrtpProtectionProfile(u16) {
        SRTP_AES128_CM_HMAC_SHA1_80 = 0x0001 => "SRTP_AES128_CM_HMAC_SHA1_80",
        SRTP_AES128_CM_HMAC_SHA1_32 = 0x0002 => "SRTP_AES128_CM_HMAC_SHA1_32",
        SRTP_AEAD_AES_128_GCM = 0x0007 => "SRTP_AEAD_AES_128_GCM",
        SRTP_AEAD_AES_256_GCM = 0x0008 => "SRTP_AEAD_AES_256_GCM",
    }

    /// How a pre-shared key may be used (RFC 8446 §4.2.9).
    pub(crate) struct PskKeyExchangeMode(u8) {
        PSK_DHE_KE = 1 => "psk_dhe_ke",
    }

    /// What a CertificateRequest of DTLS 1.2 takes (RFC 8422 §5.5, RFC 5246 §7.4.4).
    pub(crate) struct ClientCertificateType(u8) {
        RSA_SIGN = 1 => "rsa_sign",
        ECDSA_SIGN = 64 => "ecdsa_sign",
    }
}

impl ProtocolVersion {
    /// Whether this is a version of DTLS at least as new as DTLS 1.2. Newer ones count downwards, in the major number too;
    /// the lower half of the numbers is TLS's.
    pub(crate) fn is_at_least_dtls1_2(self) -> bool {
        self.0 >= 0x8000 && self <= Self::DTLS1_2
    }

    /// Whether this version is older than `other`.
    pub(crate) fn is_older_than(self, other: Self) -> bool {
        self.0 > other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_code_points_survive_and_print_as_numbers() {
        let mut out = Vec::new();
        NamedGroup(0x6a6a).put(&mut out);
        let read = NamedGroup::take(&mut Reader::new(&out)).unwrap();
        assert_eq!(read, NamedGroup(0x6a6a));
        assert_eq!(read.to_string(), "0x6a6a");
        assert_eq!(read.name(), None);
        assert_eq!(NamedGroup::X25519.to_string(), "x25519");
        assert_eq!(
            format!("{:?}", AlertDescription::CLOSE_NOTIFY),
            "AlertDescription(close_notify)"
        );
    }

    #[test]
    fn dtls_versions_count_downwards() {
        assert!(ProtocolVersion::DTLS1_2.is_at_least_dtls1_2());
        assert!(ProtocolVersion::DTLS1_3.is_at_least_dtls1_2());
        assert!(!ProtocolVersion::DTLS1_0.is_at_least_dtls1_2());
        assert!(ProtocolVersion(0xfdff).is_at_least_dtls1_2());
        assert!(!ProtocolVersion(0xffff).is_at_least_dtls1_2());
        assert!(!ProtocolVersion(0x0303).is_at_least_dtls1_2());
    }
}
