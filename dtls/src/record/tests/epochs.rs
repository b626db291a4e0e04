//! More than one epoch: what of the past and of the next is still, or already, read and written.

use super::*;

/// A key of DTLS 1.3 that can be made anew.
fn kept_key(aead: Aead, byte: u8) -> RecordKey {
    let secrets = TrafficSecret::repeated(byte).record_secrets(SuiteV13(aead), REAL);
    secrets.key().unwrap()
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
