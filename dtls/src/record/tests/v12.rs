//! Records of DTLS 1.2: the explicit nonce, and what authenticates a record that has a name.

use super::*;
use crate::record::v12::seal_with_nonce;

/// Such a key of DTLS 1.2, to use by hand.
fn key_v12(aead: Aead) -> Box<KeyV12> {
    match key(aead, Epoch::DTLS1_2, 7) {
        RecordKey::V12(key, _) => key,
        RecordKey::V13(..) | RecordKey::Packed(..) => panic!("of DTLS 1.2"),
    }
}

// req: T30
#[test]
fn a_peers_own_explicit_nonce_is_taken_as_it_comes() {
    // Some peers start their explicit nonces at random: what counts is what stands in the record.
    let (_, mut reader) = layers(Aead::Aes128Gcm, Epoch::DTLS1_2);
    let theirs = key_v12(Aead::Aes128Gcm);
    let number = RecordNumber::new(Epoch::DTLS1_2, 5);
    let nonce = [0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 9];
    let mut datagram = [0; 100];
    let text = Unsealed {
        number,
        content_type: ContentType::ApplicationData,
        id: b"",
        parts: [b"odd nonce", b""],
    };
    let len = seal_with_nonce(&theirs, nonce, &text, &mut datagram).unwrap();
    assert_eq!(datagram[13..21], nonce);
    assert_eq!(
        open(&mut reader, &mut datagram[..len]),
        Ok(b"odd nonce".to_vec())
    );
}

// req: T30
#[test]
fn the_explicit_nonce_is_epoch_and_sequence() {
    for aead in [Aead::Aes128Gcm, Aead::Aes256Gcm] {
        let (mut writer, _) = layers(aead, Epoch::DTLS1_2);
        writer.skip_to(0x0102_0304_0506);
        let datagram = seal(&mut writer, b"text");
        assert_eq!(datagram[3..11], datagram[13..21]);
        assert_eq!(datagram[13..21], [0, 1, 1, 2, 3, 4, 5, 6]);
    }
}

/// The associated data of RFC 9146 §5.3, put together by hand.
// req: T35
#[test]
fn what_authenticates_a_named_record_of_dtls_1_2() {
    let (mut writer, _) = layers(Aead::ChaCha20Poly1305, Epoch::DTLS1_2);
    writer.set_connection_ids(ConnectionIds {
        ours: ConnectionId::default(),
        theirs: ConnectionId::new(b"abc").unwrap(),
    });
    writer.skip_to(9);
    let datagram = seal(&mut writer, b"text");
    assert_eq!(
        &datagram[..16],
        b"\x19\xfe\xfd\0\x01\0\0\0\0\0\x09abc\0\x15"
    );
    let data = b"\xff\xff\xff\xff\xff\xff\xff\xff\x19\x03\x19\xfe\xfd\0\x01\0\0\0\0\0\x09abc\0\x05";
    let mut body = datagram[16..].to_vec();
    let theirs = key_v12(Aead::ChaCha20Poly1305);
    let number = [0, 1, 0, 0, 0, 0, 0, 9];
    let len = theirs.open(number, data, &mut body).unwrap();
    assert_eq!(&body[..len], b"text\x17");
}
