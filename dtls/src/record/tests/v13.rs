//! Records of DTLS 1.3: the unified header in all its forms, masked numbers, padding.

use super::*;

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

proptest! {
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
}
