//! Entry points of the fuzz targets. Not part of the public API: anything here may change at any time.
//!
//! Each takes any bytes at all, must not panic, and checks that what was read is written back the same.

use crate::certificate::PublicKey;
use crate::crypto::CryptoBackend;
use crate::fingerprint::CertificateFingerprint;
use crate::msgs::alert::Alert;
use crate::msgs::certificate::{Certificate, CertificateRequest, DigitallySigned};
use crate::msgs::certificate_v13::{CertificateRequestV13, CertificateV13, EncryptedExtensions};
use crate::msgs::codec::{Codec, Reader};
use crate::msgs::enums::{HandshakeType, ProtocolVersion};
use crate::msgs::handshake::Fragment;
use crate::msgs::hello::{ClientHello, HelloVerifyRequest, ServerHello};
use crate::msgs::key_exchange::{ClientKeyExchange, Finished, ServerKeyExchange};
use crate::msgs::post_handshake::{Ack, KeyUpdate, NewSessionTicket};

/// What parses is the same after it was written and read again.
macro_rules! round_trip {
    ($message:ident, $body:expr) => {
        if let Ok(message) = $message::read_all($body) {
            let mut written = Vec::new();
            message.encode(&mut written);
            assert_eq!($message::read_all(&written), Ok(message));
        }
    };
}

/// The body of a handshake message of any type: the first byte says which.
pub fn handshake_message(bytes: &[u8]) {
    let Some((handshake_type, body)) = bytes.split_first() else {
        return;
    };
    match HandshakeType(*handshake_type) {
        HandshakeType::CLIENT_HELLO => round_trip!(ClientHello, body),
        HandshakeType::HELLO_VERIFY_REQUEST => round_trip!(HelloVerifyRequest, body),
        HandshakeType::SERVER_HELLO => round_trip!(ServerHello, body),
        HandshakeType::CERTIFICATE => {
            round_trip!(Certificate, body);
            round_trip!(CertificateV13, body);
        }
        HandshakeType::NEW_SESSION_TICKET => round_trip!(NewSessionTicket, body),
        HandshakeType::ENCRYPTED_EXTENSIONS => round_trip!(EncryptedExtensions, body),
        HandshakeType::KEY_UPDATE => round_trip!(KeyUpdate, body),
        HandshakeType::SERVER_KEY_EXCHANGE => round_trip!(ServerKeyExchange, body),
        HandshakeType::CERTIFICATE_REQUEST => {
            round_trip!(CertificateRequest, body);
            round_trip!(CertificateRequestV13, body);
        }
        HandshakeType::CERTIFICATE_VERIFY => round_trip!(DigitallySigned, body),
        HandshakeType::CLIENT_KEY_EXCHANGE => round_trip!(ClientKeyExchange, body),
        HandshakeType::FINISHED => round_trip!(Finished, body),
        // No handshake message, but as short.
        HandshakeType::MESSAGE_HASH => round_trip!(Ack, body),
        _ => round_trip!(Alert, body),
    }
}

/// The handshake fragments of one record.
pub fn fragments(record: &[u8]) {
    let mut reader = Reader::new(record);
    let mut written = Vec::new();
    while let Ok(fragment) = Fragment::read(&mut reader) {
        fragment.encode(&mut written);
    }
    assert!(
        record.starts_with(&written),
        "fragments are written as they were read"
    );
}

/// A certificate, and a signature that cannot be its key's.
pub fn certificate(der: &[u8]) {
    let Ok(key) = PublicKey::of(der) else { return };
    let schemes = CryptoBackend::SIGNATURE_SCHEMES;
    for scheme in schemes {
        let signed = DigitallySigned {
            scheme: *scheme,
            signature: der,
        };
        for version in [ProtocolVersion::DTLS1_2, ProtocolVersion::DTLS1_3] {
            let verified = key.verify(CryptoBackend::default(), version, b"message", signed);
            assert!(verified.is_err(), "a certificate is not a signature");
        }
    }
}

/// The value of an `a=fingerprint` line.
pub fn fingerprint(text: &str) {
    if let Ok(fingerprint) = text.parse::<CertificateFingerprint>() {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
}
