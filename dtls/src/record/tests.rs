//! What holds in both versions, and what the tests of each are made with.

mod epochs;
mod v12;
mod v13;

use proptest::prelude::*;

use super::epochs::RESERVED_FOR_CLOSE;
use super::outcome::Unsealed;
use super::protect::{Aead, Forgeries, KeyV12, KeyV13, Protection, RecordSecrets};
use super::*;
use crate::crypto::{CryptoBackend, SuiteV13};
use crate::stats::DropReason;

const CIPHERS: [Aead; 3] = [Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305];

const REAL: Protection = Protection::Real(CryptoBackend::Ring);

/// The epoch of each version that carries application data.
const EPOCHS: [Epoch; 2] = [Epoch::DTLS1_2, Epoch::APPLICATION];

/// Every cipher in every version.
fn all() -> impl Iterator<Item = (Aead, Epoch)> {
    CIPHERS
        .into_iter()
        .flat_map(|aead| EPOCHS.map(|epoch| (aead, epoch)))
}

/// A key of the version that has such an epoch.
fn key(aead: Aead, epoch: Epoch, byte: u8) -> RecordKey {
    let bytes = vec![byte; aead.key_len()];
    let key = if epoch == Epoch::DTLS1_2 {
        let iv = vec![byte; aead.fixed_iv_len()];
        RecordKey::v12(aead, &bytes, &iv, REAL)
    } else {
        secrets(aead, byte).key()
    };
    key.unwrap()
}

/// What such a key of DTLS 1.3 is made of.
fn secrets(aead: Aead, byte: u8) -> RecordSecrets {
    let mut secrets = RecordSecrets::new(aead, REAL);
    let [key, sn_key, iv] = secrets.parts_mut();
    key.fill(byte);
    sn_key.fill(byte ^ 0x55);
    iv.fill(byte);
    secrets
}

/// One that writes and one that reads.
fn layers(aead: Aead, epoch: Epoch) -> (RecordLayer, RecordLayer) {
    let (mut writer, mut reader) = (RecordLayer::default(), RecordLayer::default());
    writer.add_write_key(epoch, key(aead, epoch, 7));
    reader.add_read_key(epoch, key(aead, epoch, 7));
    (writer, reader)
}

fn seal(writer: &mut RecordLayer, text: &[u8]) -> Vec<u8> {
    let epoch = writer.write_epoch();
    let mut out = vec![0; text.len() + 400];
    let (first, second) = text.split_at(text.len() / 2);
    let sealed = writer
        .seal(
            epoch,
            ContentType::ApplicationData,
            [first, second],
            &mut out,
        )
        .unwrap();
    assert_eq!(sealed.len, text.len() + writer.overhead(epoch));
    assert_eq!(sealed.number.epoch(), epoch);
    out.truncate(sealed.len);
    out
}

fn open(reader: &mut RecordLayer, datagram: &mut [u8]) -> Result<Vec<u8>, DropReason> {
    open_with(reader, datagram, |_| None)
}

/// As [`open`], where an epoch beside the newest may be readable.
fn open_with(
    reader: &mut RecordLayer,
    datagram: &mut [u8],
    secrets: impl FnOnce(Neighbour) -> Option<RecordSecrets>,
) -> Result<Vec<u8>, DropReason> {
    let opened = reader.open(datagram, 0, secrets);
    assert_eq!(opened.next, datagram.len());
    opened
        .record
        .map(|record| datagram[record.payload].to_vec())
}

/// A record of DTLS 1.3 in any form: `flags` without the epoch's bits, the number in full, any inner plaintext.
fn unified(key: &KeyV13, flags: u8, number: RecordNumber, id: &[u8], inner: &[u8]) -> Vec<u8> {
    let mut head = vec![0x20 | flags | (number.epoch().0 as u8 & 3)];
    head.extend(id);
    let at = head.len();
    let digits = if flags & 0x08 == 0 { 1 } else { 2 };
    head.extend(&number.to_bytes()[8 - digits..]);
    if flags & 0x04 != 0 {
        head.extend(((inner.len() + TAG_LEN) as u16).to_be_bytes());
    }
    let mut body = inner.to_vec();
    let mut tag = [0; TAG_LEN];
    key.seal(number.sequence().to_be_bytes(), &head, &mut body, &mut tag)
        .unwrap();
    body.extend(tag);
    let mask = key.mask(body.first_chunk().unwrap());
    for (byte, mask) in head[at..].iter_mut().zip(&mask[..digits]) {
        *byte ^= mask;
    }
    [head, body].concat()
}

// req: T30 T31
#[test]
fn numbers_pass_their_edges() {
    for (aead, epoch) in all() {
        let (mut writer, mut reader) = layers(aead, epoch);
        let end = writer.write.as_ref().unwrap().end();
        let edges = [1 << 8, 1 << 16, 1 << 32, end - RESERVED_FOR_CLOSE - 4];
        for edge in edges.into_iter().filter(|edge| *edge < end) {
            writer.skip_to(edge - 2);
            // Two bytes of a number say nothing about what is far away.
            reader.received(edge - 10);
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
    for epoch in EPOCHS {
        let (mut writer, mut reader) = layers(Aead::Aes128Gcm, epoch);
        let end = match epoch {
            // Its owner is warned, and its keys cannot change.
            Epoch::DTLS1_2 => RecordNumber::SEQUENCES,
            _ => Aead::Aes128Gcm.confidentiality_limit(),
        };
        writer.skip_to(end - RESERVED_FOR_CLOSE - 1);
        reader.received(end - RESERVED_FOR_CLOSE - 9);
        let mut datagram = seal(&mut writer, b"last");
        assert_eq!(open(&mut reader, &mut datagram), Ok(b"last".to_vec()));
        let mut out = [0; 100];
        let mut write = |content_type| writer.seal(epoch, content_type, [b"x", b""], &mut out);
        assert_eq!(
            write(ContentType::ApplicationData),
            Err(SealError::Exhausted)
        );
        for _ in 0..RESERVED_FOR_CLOSE {
            assert!(write(ContentType::Alert).is_ok());
        }
        assert_eq!(write(ContentType::Alert), Err(SealError::Exhausted));
    }
}

// req: T30
#[test]
fn usage_limits_are_reported_once() {
    for epoch in EPOCHS {
        let (mut writer, mut reader) = layers(Aead::Aes128Gcm, epoch);
        // DTLS 1.3 is told while there is time to change keys.
        let limit = Aead::Aes128Gcm.confidentiality_limit();
        let forgeries = Forgeries::LIMIT;
        let (limit, forgeries) = match epoch {
            Epoch::DTLS1_2 => (limit, forgeries),
            _ => (limit / 16 * 15, forgeries / 2),
        };
        writer.skip_to(limit - 2);
        let mut reported = 0;
        for _ in 0..5 {
            seal(&mut writer, b"x");
            reported += usize::from(writer.reached_limit() == Some(AeadLimit::Confidentiality));
        }
        assert_eq!(reported, 1);

        reader.forged(forgeries - 2);
        let limits: Vec<_> = (0..4)
            .map(|_| {
                let mut forged = seal(&mut writer, b"x");
                *forged.last_mut().unwrap() ^= 1;
                let opened = reader.open(&mut forged, 0, |_| None);
                assert_eq!(opened.record, Err(DropReason::BadMac));
                opened.limit
            })
            .collect();
        assert_eq!(limits, [None, Some(AeadLimit::Integrity), None, None]);
    }
}

// req: T31 T32 T33
#[test]
fn whatever_bit_is_flipped_the_record_is_dropped_and_the_window_stays() {
    for (aead, epoch) in all() {
        for id in [&b""[..], b"id"] {
            let (mut writer, mut reader) = layers(aead, epoch);
            let ids = ConnectionIds {
                ours: ConnectionId::new(id).unwrap(),
                theirs: ConnectionId::new(id).unwrap(),
            };
            writer.set_connection_ids(ids.clone());
            reader.set_connection_ids(ids);
            // A flipped bit makes it a plaintext record too.
            reader.refuse_plaintext();
            let datagram = seal(&mut writer, b"text");
            for bit in 0..datagram.len() * 8 {
                let mut forged = datagram.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    reader.open(&mut forged, 0, |_| None).record.is_err(),
                    "bit {bit}"
                );
            }
            assert_eq!(
                open(&mut reader, &mut datagram.clone()),
                Ok(b"text".to_vec())
            );
        }
    }
}

// req: T32
#[test]
fn short_records_and_unknown_epochs_are_dropped() {
    for aead in CIPHERS {
        let (mut writer, mut reader) = layers(aead, Epoch::DTLS1_2);
        let overhead = writer.overhead(Epoch::DTLS1_2) - Header::LEN;
        let whole = seal(&mut writer, b"");
        for len in 0..overhead {
            let mut short = whole[..Header::LEN + len].to_vec();
            short[11..13].copy_from_slice(&(len as u16).to_be_bytes());
            let dropped = open(&mut reader, &mut short);
            assert_eq!(dropped, Err(DropReason::TruncatedRecord));
        }
        let mut other_epoch = whole.clone();
        other_epoch[4] = 2;
        assert_eq!(
            open(&mut reader, &mut other_epoch),
            Err(DropReason::UnknownEpoch)
        );
        assert_eq!(open(&mut reader, &mut whole.clone()), Ok(vec![]));

        let (mut writer, mut reader) = layers(aead, Epoch::APPLICATION);
        let whole = seal(&mut writer, b"");
        for len in 0..=16u8 {
            let mut short = whole[..5 + usize::from(len)].to_vec();
            short[4] = len;
            let reason = match len {
                16 => DropReason::BadMac,
                _ => DropReason::TruncatedRecord,
            };
            assert_eq!(open(&mut reader, &mut short), Err(reason));
        }
        let mut other_epoch = whole.clone();
        other_epoch[0] ^= 1;
        assert_eq!(
            open(&mut reader, &mut other_epoch),
            Err(DropReason::UnknownEpoch)
        );
        assert_eq!(open(&mut reader, &mut whole.clone()), Ok(vec![]));
    }
}

// req: T32 T33
#[test]
fn each_version_has_its_own_header() {
    // Keys of one version do not open what is written in the other's form.
    let (_, mut reader) = layers(Aead::Aes128Gcm, Epoch::DTLS1_2);
    let theirs = secrets(Aead::Aes128Gcm, 7)
        .of_epoch(Epoch::APPLICATION)
        .expand()
        .unwrap();
    let number = RecordNumber::new(Epoch(5), 0);
    let mut datagram = unified(&theirs, 0x0c, number, b"", b"x\x17");
    let unknown = Err(DropReason::UnknownEpoch);
    assert_eq!(open(&mut reader, &mut datagram), unknown);

    let (mut writer, _) = layers(Aead::Aes128Gcm, Epoch::DTLS1_2);
    let (_, mut reader) = layers(Aead::Aes128Gcm, Epoch::APPLICATION);
    let mut datagram = seal(&mut writer, b"x");
    datagram[4] = 3;
    assert_eq!(open(&mut reader, &mut datagram), unknown);
}

// req: T35
#[test]
fn each_end_is_called_by_the_name_it_chose() {
    for (aead, epoch) in all() {
        for [ours, theirs] in [
            [&b""[..], b""],
            [b"", b"s"],
            [b"c", b""],
            [b"client", b"the server"],
            [&[1; 255], &[2; 255]],
        ] {
            let [ours, theirs] = [ours, theirs].map(|id| ConnectionId::new(id).unwrap());
            let (mut writer, mut reader) = layers(aead, epoch);
            writer.set_connection_ids(ConnectionIds {
                ours: ours.clone(),
                theirs: theirs.clone(),
            });
            reader.set_connection_ids(ConnectionIds {
                ours: theirs.clone(),
                theirs: ours,
            });
            let mut datagram = seal(&mut writer, b"named");
            let id = theirs.as_bytes();
            let (flags, at) = match epoch {
                Epoch::DTLS1_2 if id.is_empty() => (23, 11),
                Epoch::DTLS1_2 => (25, 11),
                _ if id.is_empty() => (0x2f, 1),
                _ => (0x3f, 1),
            };
            assert_eq!(datagram[0], flags);
            assert_eq!(&datagram[at..at + id.len()], id);
            let renamed = datagram
                .get(at)
                .map(|byte| byte ^ 1)
                .filter(|_| !id.is_empty());
            if let Some(byte) = renamed {
                let mut other = datagram.clone();
                other[at] = byte;
                let dropped = reader.open(&mut other, 0, |_| None);
                assert_eq!(dropped.record, Err(DropReason::WrongConnectionId));
                assert_eq!(dropped.next, other.len());
            }
            assert_eq!(open(&mut reader, &mut datagram), Ok(b"named".to_vec()));
        }
    }
    assert_eq!(ConnectionId::new(&[0; 256]), None);
}

// req: T36
#[test]
fn keys_are_not_printed() {
    for epoch in EPOCHS {
        let printed = format!("{:?}", key(Aead::Aes128Gcm, epoch, 0xab));
        assert!(!printed.contains("171") && !printed.to_lowercase().contains("ab, "));
    }
}

#[test]
fn a_key_of_another_length_is_refused() {
    for aead in CIPHERS {
        let [key, iv] = [vec![0; aead.key_len()], vec![0; 12]];
        let real = REAL;
        let fixed = &iv[..aead.fixed_iv_len()];
        assert!(RecordKey::v12(aead, &key, fixed, real).is_some());
        assert!(RecordKey::v12(aead, &key, &iv[..3], real).is_none());
        assert!(RecordKey::v12(aead, &key[1..], fixed, real).is_none());
    }
}

proptest! {
    // req: T34
    #[test]
    fn records_survive_in_any_cipher(
        text in prop::collection::vec(any::<u8>(), 0..3000),
        which in 0..6usize,
        skip in 0..1u64 << 15,
    ) {
        let (aead, epoch) = all().nth(which).unwrap();
        let (mut writer, mut reader) = layers(aead, epoch);
        writer.skip_to(skip);
        let mut datagram = seal(&mut writer, &text);
        prop_assert_eq!(open(&mut reader, &mut datagram), Ok(text));
    }

    // req: T32
    #[test]
    fn any_bytes_are_dropped_and_every_record_moves_on(bytes: Vec<u8>, first in 20u8..64, which in 0..2usize) {
        let (_, mut reader) = layers(Aead::Aes128Gcm, EPOCHS[which]);
        let mut datagram = [&[first, 0xfe, 0xfd, 0, 1][..], &bytes].concat();
        let opened = reader.open(&mut datagram, 0, |_| None);
        prop_assert!(opened.record.is_err());
        prop_assert!(opened.next > 0 && opened.next <= datagram.len());
    }
}
