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

/// Such a key of DTLS 1.2, to use by hand.
fn key_v12(aead: Aead) -> Box<KeyV12> {
    match key(aead, Epoch::DTLS1_2, 7) {
        RecordKey::V12(key, _) => key,
        RecordKey::V13(..) | RecordKey::Packed(..) => panic!("of DTLS 1.2"),
    }
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

/// A key of DTLS 1.3 that can be made anew.
fn kept_key(aead: Aead, byte: u8) -> RecordKey {
    let secrets = TrafficSecret::repeated(byte).record_secrets(SuiteV13(aead), REAL);
    secrets.key().unwrap()
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

// req: T31
#[test]
fn eight_bits_are_enough_within_half_their_span() {
    for edge in [1u64 << 8, 1 << 16, 1 << 32, 1 << 48] {
        let (_, mut reader) = layers(Aead::Aes128Gcm, Epoch::APPLICATION);
        reader.received(edge - 130);
        let theirs = secrets(Aead::Aes128Gcm, 7)
            .of_epoch(Epoch::APPLICATION)
            .expand()
            .unwrap();
        let mut take = |sequence| {
            let number = RecordNumber::new(Epoch::APPLICATION, sequence);
            let mut datagram = unified(&theirs, 0, number, b"", b"x\x17");
            let opened = reader.open(&mut datagram, 0, |_| None).record;
            opened.map(|record| record.number.sequence())
        };
        let beyond = |sequence: &u64| *sequence < RecordNumber::SEQUENCES;
        let order = [
            edge - 10,
            edge - 100,
            edge - 2,
            edge,
            edge + 100,
            edge - 1,
            edge + 1,
        ];
        for sequence in order.into_iter().filter(beyond) {
            assert_eq!(take(sequence), Ok(sequence));
            assert_eq!(take(sequence), Err(DropReason::Replayed));
        }
        if beyond(&(edge + 300)) {
            let too_far = Err(DropReason::BadMac);
            assert_eq!(take(edge + 300), too_far, "for eight bits to say");
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

// req: T30
#[test]
fn a_key_of_dtls_1_3_opens_nothing_after_as_many_forgeries_as_it_may_refuse() {
    let (mut writer, mut reader) = layers(Aead::Aes128Gcm, Epoch::APPLICATION);
    reader.forged(Forgeries::LIMIT - 1);
    let mut good = seal(&mut writer, b"good");
    assert_eq!(open(&mut reader, &mut good), Ok(b"good".to_vec()));
    let mut forged = seal(&mut writer, b"x");
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(open(&mut reader, &mut forged), Err(DropReason::BadMac));
    let mut good = seal(&mut writer, b"good");
    assert_eq!(open(&mut reader, &mut good), Err(DropReason::BadMac));
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
    let len = v12::seal_with_nonce(&theirs, nonce, &text, &mut datagram).unwrap();
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

/// What `aead` makes of an empty record of epoch 3 with number 0x0102 under keys of sevens: checked against RFC 9147 §4
/// by doing it with the bare ciphers.
fn by_hand(aead: Aead) -> Vec<u8> {
    use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey, quic};
    let (cipher, mask) = match aead {
        Aead::Aes128Gcm => (&ring::aead::AES_128_GCM, &quic::AES_128),
        Aead::Aes256Gcm => (&ring::aead::AES_256_GCM, &quic::AES_256),
        Aead::ChaCha20Poly1305 => (&ring::aead::CHACHA20_POLY1305, &quic::CHACHA20),
    };
    let key = LessSafeKey::new(UnboundKey::new(cipher, &vec![7; cipher.key_len()]).unwrap());
    let mut nonce = [7; 12];
    nonce[10] ^= 1;
    nonce[11] ^= 2;
    let head = [0x2f, 1, 2, 0, 17];
    let mut body = vec![23];
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(head), &mut body);
    body.extend(tag.unwrap().as_ref());
    let sn_key = vec![7 ^ 0x55; cipher.key_len()];
    let mask = quic::HeaderProtectionKey::new(mask, &sn_key).unwrap();
    let mask = mask.new_mask(&body[..16]).unwrap();
    let mut record = vec![0x2f, 1 ^ mask[0], 2 ^ mask[1], 0, 17];
    record.extend(body);
    record
}

// req: T30 T33
#[test]
fn records_of_dtls_1_3_have_the_nonce_the_header_and_the_mask_of_the_rfc() {
    for aead in CIPHERS {
        let (mut writer, mut reader) = layers(aead, Epoch::APPLICATION);
        writer.skip_to(0x0102);
        let mut datagram = seal(&mut writer, b"");
        assert_eq!(datagram, by_hand(aead));
        assert_eq!(open(&mut reader, &mut datagram), Ok(vec![]));
    }
}

// req: T33
#[test]
fn what_is_written_says_its_epoch_in_two_bits_and_nothing_else_in_clear() {
    for epoch in [2, 3, 4, 5, 0xffff].map(Epoch) {
        let (mut writer, mut reader) = layers(Aead::Aes128Gcm, epoch);
        let mut numbers = Vec::new();
        for _ in 0..8 {
            let mut datagram = seal(&mut writer, b"text");
            assert_eq!(datagram[0], 0x2c | (epoch.0 as u8 & 3));
            assert_eq!(datagram[3..5], (datagram.len() as u16 - 5).to_be_bytes());
            numbers.push([datagram[1], datagram[2]]);
            assert_eq!(open(&mut reader, &mut datagram), Ok(b"text".to_vec()));
        }
        let counted: Vec<_> = (0..8u16).map(u16::to_be_bytes).collect();
        assert_ne!(numbers, counted, "masked");
    }
}

// req: T33 T35
#[test]
fn every_form_of_a_record_opens_in_every_cipher() {
    for aead in CIPHERS {
        for id in [&b""[..], b"x", b"a longer name", &[0xc1; 255]] {
            for epoch in [2, 3, 4, 5].map(Epoch) {
                let theirs = secrets(aead, 7).of_epoch(epoch).expand().unwrap();
                for flags in 0..8u8 {
                    let (_, mut reader) = layers(aead, epoch);
                    reader.set_connection_ids(ConnectionIds {
                        ours: ConnectionId::new(id).unwrap(),
                        theirs: ConnectionId::default(),
                    });
                    let (flags, id) = match flags & 4 {
                        0 => (flags << 2, &b""[..]),
                        _ if id.is_empty() => continue,
                        _ => (flags << 2, id),
                    };
                    let number = RecordNumber::new(epoch, 77);
                    let mut datagram = unified(&theirs, flags, number, id, b"form\x17");
                    let opened = reader.open(&mut datagram, 0, |_| None);
                    let record = opened.record.unwrap();
                    assert_eq!(record.number, number);
                    assert_eq!(&datagram[record.payload], b"form");
                    assert_eq!(opened.next, datagram.len());
                }
            }
        }
    }
}

// req: T33
#[test]
fn a_record_without_length_takes_the_rest_and_one_with_it_leaves_the_rest() {
    let theirs = secrets(Aead::Aes128Gcm, 7)
        .of_epoch(Epoch::APPLICATION)
        .expand()
        .unwrap();
    let number = |sequence| RecordNumber::new(Epoch::APPLICATION, sequence);
    let mut datagram = unified(&theirs, 0x0c, number(0), b"", b"one\x17");
    let first = datagram.len();
    datagram.extend(unified(&theirs, 0x04, number(1), b"", b"two\x16"));
    let second = datagram.len();
    datagram.extend(unified(&theirs, 0x08, number(2), b"", b"three\x15"));
    let (_, mut reader) = layers(Aead::Aes128Gcm, Epoch::APPLICATION);
    let mut next = 0;
    let mut texts = Vec::new();
    while next < datagram.len() {
        let opened = reader.open(&mut datagram, next, |_| None);
        let record = opened.record.unwrap();
        texts.push((record.content_type, datagram[record.payload].to_vec()));
        next = opened.next;
        assert!([first, second, datagram.len()].contains(&next));
    }
    let expected = [
        (ContentType::ApplicationData, b"one".to_vec()),
        (ContentType::Handshake, b"two".to_vec()),
        (ContentType::Alert, b"three".to_vec()),
    ];
    assert_eq!(texts, expected);
}

// req: T32
#[test]
fn padding_is_taken_off_and_a_record_of_padding_alone_is_dropped() {
    let theirs = secrets(Aead::Aes128Gcm, 7)
        .of_epoch(Epoch::APPLICATION)
        .expand()
        .unwrap();
    let (_, mut reader) = layers(Aead::Aes128Gcm, Epoch::APPLICATION);
    let mut sequence = 0;
    let mut take = |inner: &[u8]| {
        sequence += 1;
        let number = RecordNumber::new(Epoch::APPLICATION, sequence);
        open(&mut reader, &mut unified(&theirs, 0x0c, number, b"", inner))
    };
    assert_eq!(take(b"text\x17"), Ok(b"text".to_vec()));
    assert_eq!(take(b"text\x17\0"), Ok(b"text".to_vec()));
    assert_eq!(take(b"text\0\0\x17\0\0\0\0"), Ok(b"text\0\0".to_vec()));
    assert_eq!(take(b"\x1a"), Ok(vec![]), "an empty ACK");
    let unknown = Err(DropReason::UnknownContentType);
    assert_eq!(take(b""), unknown);
    assert_eq!(take(b"\0\0\0"), unknown);
    assert_eq!(
        take(b"text\x19"),
        unknown,
        "tls12_cid is never an inner type"
    );
    assert_eq!(take(b"text\x1b"), unknown);
    let longest = [vec![1; MAX_PLAINTEXT], vec![23]].concat();
    assert_eq!(take(&longest).map(|text| text.len()), Ok(MAX_PLAINTEXT));
    let too_long = [vec![1; MAX_PLAINTEXT + 1], vec![23]].concat();
    assert_eq!(take(&too_long), Err(DropReason::RecordTooLong));
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

// req: T33
#[test]
fn what_is_no_longer_to_be_written_is_not() {
    let mut writer = RecordLayer::default();
    for epoch in [2, 3, 4, 5].map(Epoch) {
        writer.add_write_key(epoch, kept_key(Aead::Aes128Gcm, epoch.0 as u8));
    }
    let mut out = [0; 100];
    let mut write = |writer: &mut RecordLayer, epoch| {
        let sealed = writer.seal(epoch, ContentType::Handshake, [b"x", b""], &mut out);
        sealed.map(|sealed| sealed.number)
    };
    let first = |epoch| Ok(RecordNumber::new(epoch, 0));
    assert_eq!(write(&mut writer, Epoch(3)), Err(SealError::NoKeys));
    assert_eq!(writer.written(), 0, "what was refused is not counted");
    writer.drop_write_before(Epoch(4));
    assert_eq!(write(&mut writer, Epoch(4)), first(Epoch(4)));
    writer.drop_write_before(Epoch(5));
    assert_eq!(write(&mut writer, Epoch(4)), Err(SealError::NoKeys));
    assert_eq!(write(&mut writer, Epoch(5)), first(Epoch(5)));
}

/// Who has the secrets of epochs 3 and 4.
fn neighbours(aead: Aead) -> impl Fn(Neighbour) -> Option<RecordSecrets> + Copy {
    move |neighbour| {
        Some(match neighbour {
            Neighbour::Previous => secrets(aead, 8),
            Neighbour::Next => secrets(aead, 9),
        })
    }
}

// req: T31 T33 T52
#[test]
fn an_epoch_is_read_until_its_time_is_over_after_the_first_record_of_the_next() {
    for aead in CIPHERS {
        let (mut handshake, mut reader) = after_a_handshake(aead, 3);
        let mut writer = RecordLayer::default();
        writer.add_write_key(Epoch(3), key(aead, Epoch(3), 8));
        let mut late = [(); 6].map(|()| seal(&mut writer, b"late"));
        writer.add_write_key(Epoch(4), key(aead, Epoch(4), 9));
        let with = neighbours(aead);
        let first = seal(&mut writer, b"first");
        let unknown = Err(DropReason::UnknownEpoch);
        let replayed = Err(DropReason::Replayed);
        let text = Ok(b"late".to_vec());
        assert_eq!(open_with(&mut reader, &mut late[1].clone(), with), text);
        assert_eq!(open_with(&mut reader, &mut first.clone(), with), unknown);
        assert!(!reader.has_announced());
        assert_eq!(reader.read_epoch(), Epoch(3));

        reader.announce_next(secrets(aead, 8));
        assert_eq!(reader.read_epoch(), Epoch(4));
        let mut forged = first.clone();
        *forged.last_mut().unwrap() ^= 1;
        let bad = Err(DropReason::BadMac);
        assert_eq!(open_with(&mut reader, &mut forged, with), bad);
        assert_eq!(open(&mut reader, &mut first.clone()), unknown);
        assert!(reader.has_announced() && reader.has_handshake());
        assert_eq!(open_with(&mut reader, &mut late[2].clone(), with), text);
        assert_eq!(open_with(&mut reader, &mut late[2].clone(), with), replayed);
        assert_eq!(open_with(&mut reader, &mut late[1].clone(), with), replayed);
        assert!(open_with(&mut reader, &mut seal(&mut handshake, b"x"), with).is_ok());
        assert!(reader.has_announced() && reader.has_handshake());

        let text = Ok(b"first".to_vec());
        assert_eq!(open_with(&mut reader, &mut first.clone(), with), text);
        assert!(!reader.has_announced() && !reader.has_handshake());
        assert!(reader.reads_previous());
        assert_eq!(reader.read_epoch(), Epoch(4));
        assert_eq!(open_with(&mut reader, &mut first.clone(), with), replayed);
        let mut of_handshake = seal(&mut handshake, b"x");
        assert_eq!(open_with(&mut reader, &mut of_handshake, with), unknown);
        for (index, expected) in [
            (2, false),
            (4, true),
            (4, false),
            (0, true),
            (1, false),
            (3, true),
        ] {
            let opened = open_with(&mut reader, &mut late[index].clone(), with);
            assert_eq!(opened.is_ok(), expected, "{index}: {opened:?}");
        }
        let again = seal(&mut writer, b"again");
        assert_eq!(open(&mut reader, &mut again.clone()), Ok(b"again".to_vec()));
        assert!(reader.drop_previous() && !reader.drop_previous());
        assert_eq!(open_with(&mut reader, &mut late[5], with), unknown);
    }
}

// req: T33
#[test]
fn among_epochs_whose_bits_are_alike_the_announced_one_is_meant() {
    let aead = Aead::Aes128Gcm;
    let (mut handshake, mut reader) = after_a_handshake(aead, 3);
    reader.skip_read_epochs(2);
    let datagram = seal(&mut handshake, b"x");
    reader.announce_next(secrets(aead, 8));
    assert_eq!(reader.read_epoch(), Epoch(6));
    let forged = Err(DropReason::BadMac);
    let opened = open_with(&mut reader, &mut datagram.clone(), neighbours(aead));
    assert_eq!(opened, forged);
    assert!(reader.has_handshake());
}

// req: T30
#[test]
fn what_is_forged_in_the_name_of_a_neighbour_counts_and_a_new_key_has_refused_nothing() {
    let aead = Aead::Aes128Gcm;
    let with = neighbours(aead);
    let mut writer = RecordLayer::default();
    writer.add_write_key(Epoch(3), key(aead, Epoch(3), 8));
    let late = seal(&mut writer, b"late");
    writer.add_write_key(Epoch(4), key(aead, Epoch(4), 9));
    let first = seal(&mut writer, b"first");
    let forge = |record: &[u8]| {
        let mut forged = record.to_vec();
        *forged.last_mut().unwrap() ^= 1;
        forged
    };
    let (_, mut reader) = after_a_handshake(aead, 3);
    reader.announce_next(secrets(aead, 8));
    for record in [&first, &late] {
        reader.forged(Forgeries::LIMIT / 2 - 1);
        let opened = reader.open(&mut forge(record), 0, with);
        assert_eq!(opened.record, Err(DropReason::BadMac));
        assert_eq!(opened.limit, Some(AeadLimit::Integrity));
        reader.forged(Forgeries::LIMIT);
        let refused = open_with(&mut reader, &mut record.clone(), with);
        assert_eq!(refused, Err(DropReason::BadMac));
    }
    reader.forged(Forgeries::LIMIT / 2 - 1);
    assert!(open_with(&mut reader, &mut first.clone(), with).is_ok());
    let opened = reader.open(&mut forge(&seal(&mut writer, b"another")), 0, with);
    assert_eq!(
        (opened.record, opened.limit),
        (Err(DropReason::BadMac), None)
    );
    // In the name of the epoch before, too.
    reader.forged(Forgeries::LIMIT / 2 - 1);
    let opened = reader.open(&mut forge(&late), 0, with);
    assert_eq!(opened.limit, Some(AeadLimit::Integrity));
    assert!(open_with(&mut reader, &mut late.clone(), with).is_ok());
}

// req: T33 T52
#[test]
fn a_packed_key_writes_the_same_records() {
    for aead in CIPHERS {
        let (mut writer, _) = layers(aead, Epoch::APPLICATION);
        let (mut packed, _) = layers(aead, Epoch::APPLICATION);
        packed.pack_write_key(secrets(aead, 7));
        for text in [&b""[..], b"x", b"a longer text"] {
            assert_eq!(seal(&mut packed, text), seal(&mut writer, text));
        }
        let limit = aead.confidentiality_limit();
        packed.skip_to(limit - 100);
        assert_eq!(packed.reached_limit(), None, "its change is under way");
        packed.skip_to(limit);
        let mut out = [0; 100];
        let sealed = packed.seal(Epoch(3), ContentType::Alert, [b"x", b""], &mut out);
        assert_eq!(sealed, Err(SealError::Exhausted));
    }
    // Those of DTLS 1.2 are never changed.
    let (mut writer, mut reader) = layers(Aead::Aes128Gcm, Epoch::DTLS1_2);
    writer.pack_write_key(secrets(Aead::Aes128Gcm, 8));
    reader.announce_next(secrets(Aead::Aes128Gcm, 8));
    assert!(open(&mut reader, &mut seal(&mut writer, b"x")).is_ok());
}

proptest! {
    // req: T31
    #[test]
    fn of_an_epoch_that_ended_each_record_is_taken_once(
        before in prop::collection::vec(0u64..80, 1..40),
        after in prop::collection::vec(0u64..200, 1..60),
    ) {
        let aead = Aead::ChaCha20Poly1305;
        let with = neighbours(aead);
        let (mut writer, mut reader) = (RecordLayer::default(), RecordLayer::default());
        writer.add_write_key(Epoch(3), key(aead, Epoch(3), 8));
        reader.add_read_key(Epoch(3), key(aead, Epoch(3), 8));
        let records: Vec<_> = (0..200).map(|_| seal(&mut writer, b"late")).collect();
        let mut taken = std::collections::HashSet::new();
        let mut newest = 0;
        for sequence in before {
            let mut record = records[sequence as usize].clone();
            if open(&mut reader, &mut record).is_ok() {
                taken.insert(sequence);
                newest = newest.max(sequence);
            }
        }
        reader.announce_next(secrets(aead, 8));
        writer.add_write_key(Epoch(4), key(aead, Epoch(4), 9));
        prop_assert!(open_with(&mut reader, &mut seal(&mut writer, b"first"), with).is_ok());
        for sequence in after {
            let mut record = records[sequence as usize].clone();
            let is_new = sequence + 32 > newest && taken.insert(sequence);
            let opened = open_with(&mut reader, &mut record, with);
            prop_assert_eq!(opened.is_ok(), is_new, "{} after {}: {:?}", sequence, newest, opened);
            if is_new {
                newest = newest.max(sequence);
            }
        }
    }
}

/// A handshake that is over: records of its epoch as the peer still writes them, and who reads them.
fn after_a_handshake(aead: Aead, newest: u64) -> (RecordLayer, RecordLayer) {
    let (mut writer, mut reader) = (RecordLayer::default(), RecordLayer::default());
    writer.add_write_key(Epoch::HANDSHAKE, kept_key(aead, 7));
    reader.add_read_key(Epoch::HANDSHAKE, kept_key(aead, 7));
    writer.skip_to(newest);
    reader.received(newest - 1);
    assert!(open(&mut reader, &mut seal(&mut writer, b"Finished")).is_ok());
    reader.keep_handshake(TrafficSecret::repeated(7));
    reader.add_read_key(Epoch::APPLICATION, key(aead, Epoch::APPLICATION, 8));
    (writer, reader)
}

// req: T31 T33 T52
#[test]
fn of_a_handshake_that_is_over_only_what_is_new_is_opened() {
    for aead in CIPHERS {
        let (mut writer, mut reader) = after_a_handshake(aead, 3);
        let replayed = Err(DropReason::Replayed);
        writer.skip_to(3);
        assert_eq!(open(&mut reader, &mut seal(&mut writer, b"x")), replayed);
        let [late, mut new] = [b"4", b"5"].map(|text| seal(&mut writer, text));
        let mut forged = new.clone();
        *forged.last_mut().unwrap() ^= 1;
        let opened = reader.open(&mut forged, 0, |_| None);
        assert_eq!(opened.record, Err(DropReason::BadMac));
        assert_eq!(opened.limit, None);
        assert_eq!(open(&mut reader, &mut new.clone()), Ok(b"5".to_vec()));
        assert_eq!(open(&mut reader, &mut new), replayed);
        assert_eq!(open(&mut reader, &mut late.clone()), replayed, "older");
        let mut short = new[..new.len() - 1].to_vec();
        short[4] = 15;
        let (short, _) = short.split_at_mut(5 + 15);
        assert_eq!(open(&mut reader, short), Err(DropReason::TruncatedRecord));
        reader.drop_handshake();
        let unknown = Err(DropReason::UnknownEpoch);
        assert_eq!(open(&mut reader, &mut seal(&mut writer, b"x")), unknown);
    }
}

// req: T31 T32
#[test]
fn numbers_that_no_handshake_has_are_not_opened_when_it_is_over() {
    let end = 1 << 32;
    let (mut writer, mut reader) = after_a_handshake(Aead::ChaCha20Poly1305, end - 3);
    for _ in 0..2 {
        assert!(open(&mut reader, &mut seal(&mut writer, b"x")).is_ok());
    }
    let replayed = Err(DropReason::Replayed);
    assert_eq!(open(&mut reader, &mut seal(&mut writer, b"x")), replayed);
    let (mut writer, mut reader) = after_a_handshake(Aead::ChaCha20Poly1305, end);
    let unknown = Err(DropReason::UnknownEpoch);
    assert_eq!(open(&mut reader, &mut seal(&mut writer, b"x")), unknown);
}

// req: T21 T52
#[test]
fn which_records_of_a_handshake_were_acknowledged_is_known_when_it_is_over() {
    let number = |sequence| RecordNumber::new(Epoch::HANDSHAKE, sequence);
    let known = |reader: &RecordLayer| -> Vec<u64> {
        let numbers = reader.acknowledged();
        numbers.map(|number| number.sequence()).collect()
    };
    let (mut writer, mut reader) = after_a_handshake(Aead::Aes128Gcm, 4);
    assert_eq!(known(&reader), []);
    for sequence in [0, 2, 4] {
        assert!(reader.acknowledge(number(sequence)));
    }
    assert!(!reader.acknowledge(number(5)), "not yet");
    let other = RecordNumber::new(Epoch::APPLICATION, 1);
    assert!(!reader.acknowledge(other), "of another epoch");
    assert_eq!(known(&reader), [4, 2, 0]);
    assert!(
        reader
            .acknowledged()
            .all(|number| number.epoch() == Epoch::HANDSHAKE)
    );
    // Each record that comes makes them older, and 32 are told apart.
    for (sequence, expected) in [
        (7, vec![4, 2, 0]),
        (31, vec![4, 2, 0]),
        (32, vec![4, 2]),
        (35, vec![4]),
        (36, vec![]),
        (100, vec![]),
    ] {
        writer.skip_to(sequence);
        assert!(open(&mut reader, &mut seal(&mut writer, b"x")).is_ok());
        assert_eq!(known(&reader), expected, "{sequence}");
    }
    assert!(reader.acknowledge(number(100)) && reader.acknowledge(number(69)));
    assert!(!reader.acknowledge(number(68)), "too old");
    assert_eq!(known(&reader), [100, 69]);
    // All of them at once.
    writer.skip_to(132);
    assert!(open(&mut reader, &mut seal(&mut writer, b"x")).is_ok());
    assert_eq!(known(&reader), []);
    assert!(reader.acknowledge(number(132)));
    reader.drop_handshake();
    assert!(!reader.acknowledge(number(132)));
    assert_eq!(known(&reader), []);
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

    // req: T31 T33
    #[test]
    fn records_of_dtls_1_3_arrive_in_any_order(order in Just((0..200u64).collect::<Vec<_>>()).prop_shuffle()) {
        let (_, mut reader) = layers(Aead::Aes128Gcm, Epoch::APPLICATION);
        let theirs = secrets(Aead::Aes128Gcm, 7).of_epoch(Epoch::APPLICATION).expand().unwrap();
        for sequence in order {
            let number = RecordNumber::new(Epoch::APPLICATION, sequence);
            let mut datagram = unified(&theirs, 0x0c, number, b"", b"x\x17");
            prop_assert_eq!(open(&mut reader, &mut datagram.clone()), Ok(b"x".to_vec()));
            prop_assert_eq!(open(&mut reader, &mut datagram), Err(DropReason::Replayed));
        }
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
