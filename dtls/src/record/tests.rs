use proptest::prelude::*;

use super::protect::{Aead, Protection};
use super::*;

const ALL: [Aead; 3] = [Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305];
const EPOCH: Epoch = Epoch::DTLS1_2;

fn key(aead: Aead, byte: u8) -> RecordKey {
    let key = vec![byte; aead.key_len()];
    RecordKey::new(
        aead,
        &key,
        &vec![byte; aead.fixed_iv_len()],
        Protection::Real,
    )
    .unwrap()
}

/// One that writes and one that reads.
fn layers(aead: Aead) -> (RecordLayer, RecordLayer) {
    let (mut writer, mut reader) = (RecordLayer::default(), RecordLayer::default());
    writer.add_write_key(EPOCH, key(aead, 7));
    reader.add_read_key(EPOCH, key(aead, 7));
    (writer, reader)
}

fn seal(writer: &mut RecordLayer, text: &[u8]) -> Vec<u8> {
    let mut out = vec![0; text.len() + 64];
    let parts = text.split_at(text.len() / 2);
    let len = writer
        .seal(
            EPOCH,
            ContentType::ApplicationData,
            [parts.0, parts.1],
            &mut out,
        )
        .unwrap();
    assert_eq!(len, text.len() + writer.overhead(EPOCH));
    out.truncate(len);
    out
}

fn open(reader: &mut RecordLayer, datagram: &mut [u8]) -> Result<Vec<u8>, DropReason> {
    let opened = reader.open(datagram, 0);
    assert_eq!(opened.next, datagram.len());
    opened
        .record
        .map(|record| datagram[record.payload].to_vec())
}

// req: T30 T31
#[test]
fn numbers_pass_their_edges() {
    for aead in ALL {
        let (mut writer, mut reader) = layers(aead);
        for edge in [1 << 8, 1 << 16, 1 << 32, RecordNumber::SEQUENCES - 20] {
            writer.skip_to(edge - 2);
            for _ in 0..4 {
                let mut datagram = seal(&mut writer, b"at the edge");
                assert_eq!(
                    open(&mut reader, &mut datagram.clone()),
                    Ok(b"at the edge".to_vec())
                );
                assert_eq!(open(&mut reader, &mut datagram), Err(DropReason::Replayed));
            }
        }
    }
}

// req: T30
#[test]
fn the_last_numbers_are_kept_for_the_end_and_none_is_used_twice() {
    let (mut writer, mut reader) = layers(Aead::Aes128Gcm);
    writer.skip_to(RecordNumber::SEQUENCES - RESERVED_FOR_CLOSE - 1);
    let mut datagram = seal(&mut writer, b"last");
    assert_eq!(open(&mut reader, &mut datagram), Ok(b"last".to_vec()));
    let mut out = [0; 100];
    let mut write = |content_type| writer.seal(EPOCH, content_type, [b"x", b""], &mut out);
    assert_eq!(
        write(ContentType::ApplicationData),
        Err(SealError::Exhausted)
    );
    for _ in 0..RESERVED_FOR_CLOSE {
        assert!(write(ContentType::Alert).is_ok());
    }
    assert_eq!(write(ContentType::Alert), Err(SealError::Exhausted));
}

// req: T30
#[test]
fn usage_limits_are_reported_once() {
    let (mut writer, mut reader) = layers(Aead::Aes128Gcm);
    let limit = Aead::Aes128Gcm.confidentiality_limit();
    writer.skip_to(limit - 2);
    let mut reported = 0;
    for _ in 0..5 {
        seal(&mut writer, b"x");
        reported += usize::from(writer.reached_limit(EPOCH) == Some(AeadLimit::Confidentiality));
    }
    assert_eq!(reported, 1);

    reader.read[0].forged = Aead::Aes128Gcm.integrity_limit() - 2;
    let limits: Vec<_> = (0..4)
        .map(|_| {
            let mut forged = seal(&mut writer, b"x");
            *forged.last_mut().unwrap() ^= 1;
            let opened = reader.open(&mut forged, 0);
            assert_eq!(opened.record, Err(DropReason::BadMac));
            opened.limit
        })
        .collect();
    assert_eq!(limits, [None, Some(AeadLimit::Integrity), None, None]);
}

// req: T30
#[test]
fn a_peers_own_explicit_nonce_is_taken_as_it_comes() {
    // Some peers start their explicit nonces at random: what counts is what stands in the record.
    let (_, mut reader) = layers(Aead::Aes128Gcm);
    let theirs = key(Aead::Aes128Gcm, 7);
    let number = RecordNumber::new(EPOCH, 5);
    let nonce = [0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 9];
    let mut body = nonce.to_vec();
    let mut text = b"odd nonce".to_vec();
    let tag = theirs.seal_with_nonce(number, ContentType::ApplicationData, &nonce, &mut text);
    body.extend(text);
    body.extend(tag.unwrap());
    let header = Header {
        content_type: ContentType::ApplicationData,
        version: ProtocolVersion::DTLS1_2,
        number,
        length: body.len(),
    };
    let mut datagram = [&header.to_bytes()[..], &body].concat();
    assert_eq!(open(&mut reader, &mut datagram), Ok(b"odd nonce".to_vec()));
}

// req: T31 T32
#[test]
fn whatever_bit_is_flipped_the_record_is_dropped_and_the_window_stays() {
    for aead in ALL {
        let (mut writer, mut reader) = layers(aead);
        // A flipped bit makes it a plaintext record too.
        reader.refuse_plaintext();
        let datagram = seal(&mut writer, b"text");
        for bit in 0..datagram.len() * 8 {
            let mut forged = datagram.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(reader.open(&mut forged, 0).record.is_err(), "bit {bit}");
        }
        assert_eq!(
            open(&mut reader, &mut datagram.clone()),
            Ok(b"text".to_vec())
        );
    }
}

// req: T32
#[test]
fn short_records_and_unknown_epochs_are_dropped() {
    for aead in ALL {
        let (mut writer, mut reader) = layers(aead);
        let overhead = writer.overhead(EPOCH) - Header::LEN;
        let whole = seal(&mut writer, b"");
        for len in 0..overhead {
            let mut short = whole[..Header::LEN + len].to_vec();
            short[11..13].copy_from_slice(&(len as u16).to_be_bytes());
            let dropped = open(&mut reader, &mut short);
            assert!(matches!(
                dropped,
                Err(DropReason::BadMac | DropReason::TruncatedRecord)
            ));
        }
        let mut other_epoch = whole.clone();
        other_epoch[4] = 2;
        assert_eq!(
            open(&mut reader, &mut other_epoch),
            Err(DropReason::UnknownEpoch)
        );
        assert_eq!(open(&mut reader, &mut whole.clone()), Ok(vec![]));
    }
}

// req: T36
#[test]
fn keys_are_not_printed() {
    let printed = format!("{:?}", key(Aead::Aes128Gcm, 0xab));
    assert!(!printed.contains("171") && !printed.to_lowercase().contains("ab, "));
}

proptest! {
    // req: T34
    #[test]
    fn records_survive_in_any_cipher(text in prop::collection::vec(any::<u8>(), 0..3000), which in 0usize..3) {
        let (mut writer, mut reader) = layers(ALL[which]);
        let mut datagram = seal(&mut writer, &text);
        prop_assert_eq!(open(&mut reader, &mut datagram), Ok(text));
    }

    // req: T32
    #[test]
    fn any_bytes_are_dropped_and_every_record_moves_on(bytes: Vec<u8>, first in 20u8..24) {
        let (_, mut reader) = layers(Aead::Aes128Gcm);
        let mut datagram = [&[first, 0xfe, 0xfd, 0, 1][..], &bytes].concat();
        let opened = reader.open(&mut datagram, 0);
        prop_assert!(opened.record.is_err());
        prop_assert!(opened.next > 0 && opened.next <= datagram.len());
    }
}
