//! Entry points of the fuzz targets. Not part of the public API: anything here may change at any time.
//!
//! Each takes any bytes at all, must not panic, and checks that what was read is written back the same.

use crate::certificate::PublicKey;
use crate::connection_id::ConnectionId;
use crate::crypto::CryptoBackend;
use crate::fingerprint::CertificateFingerprint;
use crate::key_schedule::v13::TrafficSecret;
use crate::msgs::alert::Alert;
use crate::msgs::certificate::{Certificate, CertificateRequest, DigitallySigned};
use crate::msgs::certificate_v13::{CertificateRequestV13, CertificateV13, EncryptedExtensions};
use crate::msgs::codec::{Codec, Reader};
use crate::msgs::enums::{HandshakeType, ProtocolVersion};
use crate::msgs::handshake::Fragment;
use crate::msgs::hello::{ClientHello, HelloVerifyRequest, ServerHello};
use crate::msgs::key_exchange::{ClientKeyExchange, Finished, ServerKeyExchange};
use crate::msgs::post_handshake::{
    Ack, KeyUpdateRequest, NewConnectionId, NewSessionTicket, RequestConnectionId,
};
use crate::record::header::Epoch;
use crate::record::protect::{Aead, Protection, RecordKey, RecordSecrets};
use crate::record::{ConnectionIds, RecordLayer};

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
        HandshakeType::KEY_UPDATE => round_trip!(KeyUpdateRequest, body),
        HandshakeType::NEW_CONNECTION_ID => round_trip!(NewConnectionId, body),
        HandshakeType::REQUEST_CONNECTION_ID => round_trip!(RequestConnectionId, body),
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

/// Datagrams, each behind two bytes of length, into a record layer with keys that protect nothing: of DTLS 1.2, or of the
/// handshake of DTLS 1.3 and of data, whose next epoch may be announced; with a connection id, or without.
///
/// The first byte chooses the keys, the second the length of the connection id.
pub fn records(bytes: &[u8]) {
    let Some((&[choice, id_len], mut rest)) = bytes.split_first_chunk() else {
        return;
    };
    let aeads = [Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305];
    let aead = aeads[usize::from(choice / 2) % aeads.len()];
    let mut layer = record_layer(aead, choice, usize::from(id_len % 24));
    for _ in 0..32 {
        let Some((&[l0, l1], after)) = rest.split_first_chunk() else {
            return;
        };
        let len = after.len().min(u16::from_be_bytes([l0, l1]).into());
        let (datagram, after) = after.split_at(len);
        rest = after;
        open_all(&mut layer, aead, datagram);
    }
}

fn open_all(layer: &mut RecordLayer, aead: Aead, datagram: &[u8]) {
    let secrets = |_| Some(RecordSecrets::new(aead, Protection::Null));
    let mut from = 0;
    while from < datagram.len() {
        let mut bytes = datagram.to_vec();
        let opened = layer.open(&mut bytes, from, secrets);
        assert!(opened.next > from && opened.next <= datagram.len());
        if let Ok(record) = opened.record {
            let payload = record.payload;
            assert!(from < payload.start && payload.start <= payload.end);
            assert!(payload.end <= opened.next);
            if record.number.epoch() != Epoch::PLAINTEXT {
                let again = layer.open(&mut datagram.to_vec(), from, secrets).record;
                assert!(again.is_err(), "a record is taken once");
            }
        }
        from = opened.next;
    }
}

fn record_layer(aead: Aead, choice: u8, id_len: usize) -> RecordLayer {
    let secret = vec![0; aead.key_len()];
    let mut layer = RecordLayer::default();
    if choice.is_multiple_of(2) {
        let iv = vec![0; aead.fixed_iv_len()];
        let key = RecordKey::v12(aead, &secret, &iv, Protection::Null);
        layer.add_read_key(Epoch::DTLS1_2, key.expect("lengths that fit"));
    } else {
        let secrets = || RecordSecrets::new(aead, Protection::Null);
        for epoch in [Epoch::HANDSHAKE, Epoch::APPLICATION] {
            let key = secrets().key().expect("lengths that fit");
            layer.keep_handshake(TrafficSecret::repeated(0));
            layer.add_read_key(epoch, key);
        }
        if choice >= 128 {
            layer.announce_next(secrets());
        }
    }
    let id = ConnectionId::new(&vec![0x1d; id_len]).expect("a short one");
    layer.set_connection_ids(ConnectionIds {
        ours: id,
        theirs: ConnectionId::default(),
    });
    layer
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
