//! Flaws of the record layer.

use super::*;

// req: T62 T30
#[test]
fn explicit_nonces_count_records() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let mut stage = Stage::connected(version, victim, &cast);
        // The Finished of DTLS 1.2 is in the epoch of data, and so is what the server of DTLS 1.3 acknowledges it with.
        let first = u64::from((version, victim) != (Version::V13, Side::Client));
        let keys = stage
            .puppet
            .keys(victim, stage.puppet.data_epoch())
            .unwrap();
        let mut out = [0; 200];
        for sequence in first..100_000 {
            let len = stage.victim.seal(stage.now, b"data", &mut out).unwrap();
            match version {
                Version::V12 => {
                    let number = (1_u64 << 48 | sequence).to_be_bytes();
                    assert_eq!(out[3..11], number, "the record number");
                    assert_eq!(out[13..21], number, "the nonce is the record number");
                }
                // The number is masked and the nonce made of it: with another one it would not open.
                Version::V13 => {
                    assert_eq!(keys.number_of(&out[..len]), Some(sequence as u16));
                    assert_eq!(keys.open(&out[..len], sequence).unwrap().body, b"data");
                }
            }
        }
    }
}

// req: T62 T6 T32
#[test]
fn application_data_in_plaintext_is_never_heard() {
    for version in Version::ALL {
        let data =
            |sequence| Record::new(wire::APPLICATION_DATA, 0, sequence, b"from nobody").to_bytes();
        assert_unmoved_by(version, &[0, 1, 2, 9, 1000].map(data));
    }
}

// req: T62 T6
#[test]
fn data_before_the_finished_is_not_heard() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let [word @ .., last] = version.word(victim) else {
            panic!("a word")
        };
        let mut stage = Stage::new(version, victim, &cast);
        stage.say_all(word);
        stage.change_cipher_spec();
        // With the right keys, where the puppet has them: a server of DTLS 1.3 has its own before its Finished is read.
        let early = stage.puppet.seal_data(b"early");
        let received = stage.give(early);
        assert!(
            matches!(received, Received::Dropped(_)),
            "{version:?} {victim}: {received:?}"
        );
        let _ = stage.say(*last);
        assert_eq!(stage.victim.state(), State::Connected);
        stage.assert_talking();
    }
}

// req: T62 T31
#[test]
fn a_forged_record_far_ahead_does_not_move_the_window() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let mut stage = Stage::connected(version, victim, &cast);
        for ahead in [300, 1 << 20, 1 << 40, (1 << 48) - 1] {
            let forged = match version {
                Version::V12 => Record::new(wire::APPLICATION_DATA, 1, ahead, &[9; 60]).to_bytes(),
                Version::V13 => [
                    &[0x2f, (ahead >> 8) as u8, ahead as u8, 0, 60][..],
                    &[9; 60],
                ]
                .concat(),
            };
            let received = stage.give(forged);
            assert_eq!(
                received,
                Received::Dropped(DropReason::BadMac),
                "{version:?}"
            );
        }
        stage.assert_talking();
    }
}

// req: T62 T32
#[test]
fn a_plaintext_client_hello_marked_as_protected_is_ignored() {
    let hello = Fragment::whole(
        wire::CLIENT_HELLO,
        0,
        &browser_hello(NEW_AND_OLD).to_bytes(),
    );
    for version in Version::ALL {
        let marked = [1, 2, 3, 0xffff].map(|epoch| {
            let record = Record {
                epoch,
                ..hello.in_record(4)
            };
            record.to_bytes()
        });
        assert_unmoved_by(version, &marked);
    }
}

// req: T62 T3
#[test]
fn there_is_no_cbc() {
    // Every suite with AES or 3DES in CBC that ECDHE has, and the oldest ones.
    const CBC: [u16; 12] = [
        0x000a, 0x002f, 0x0035, 0x003c, 0xc008, 0xc009, 0xc00a, 0xc012, 0xc013, 0xc014, 0xc023,
        0xc027,
    ];
    let cast = Cast::new();
    let stage = Stage::new(Version::V12, Side::Client, &cast);
    let offered = ClientHello::parse(&stage.puppet.heard[0].1).suites;
    assert!(
        offered.iter().all(|suite| !CBC.contains(suite)),
        "{offered:x?}"
    );
    let mut stage = Stage::new(Version::V12, Side::Server, &cast);
    let _ = stage.say_changed(Letter::ClientHello, |body| {
        let mut hello = ClientHello::parse(body);
        hello.suites = CBC.to_vec();
        *body = hello.to_bytes();
    });
    let nothing = PeerIncompatible::NoCipherSuiteInCommon.into();
    assert_eq!(stage.victim.error(), Some(&nothing));
}
