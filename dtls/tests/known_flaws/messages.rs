//! Flaws in the reading of messages.

use super::*;

/// Messages of the far future, giant messages byte by byte, and records of epochs to come.
fn flood() -> Vec<Vec<u8>> {
    let mut flood = Vec::new();
    for n in 0..2000_u16 {
        let giant = Fragment {
            length: 0xff_ffff,
            offset: u32::from(n) * 4000,
            ..Fragment::whole(wire::CERTIFICATE, 3, &[n as u8])
        };
        let far = Fragment::whole(wire::CERTIFICATE, 50 + n, &[7; 900]);
        flood.push(giant.in_record(u64::from(n)).to_bytes());
        flood.push(far.in_record(u64::from(n)).to_bytes());
        for epoch in [1, 2, 3] {
            let future = Record::new(wire::HANDSHAKE, epoch, 100 + u64::from(n), &[7; 900]);
            flood.push(future.to_bytes());
        }
        flood.push([&[0x2d + (n % 3) as u8, 0, n as u8, 3, 0x84][..], &[7; 900]].concat());
    }
    flood
}

// req: T62 T2 T32
#[test]
fn a_flood_takes_bounded_memory_and_the_handshake_completes() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let word = version.word(victim);
        for step in 0..word.len() {
            let mut stage = Stage::new(version, victim, &cast);
            stage.say_all(&word[..step]);
            let mut flood = flood();
            let counted = measure(|| {
                for datagram in &mut flood {
                    let _ = stage.victim.handle_datagram(Clock::epoch(), datagram);
                }
            });
            assert!(
                counted.bytes_max <= 4096,
                "{version:?} {victim} {step}: {counted:?}"
            );
            stage.say_all(&word[step..]);
            assert_eq!(
                stage.victim.state(),
                State::Connected,
                "{version:?} {victim} {step}"
            );
        }
    }
}

// req: T62 T2
#[test]
fn fragments_of_no_length_are_fragments() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let mut stage = Stage::new(version, victim, &cast);
        for letter in version.word(victim) {
            stage.say_in_pieces(
                *letter,
                |_| (),
                |len| {
                    let half = len / 2;
                    vec![
                        (0, 0),
                        (half, half),
                        (len, len),
                        (half, len),
                        (0, 0),
                        (0, half),
                        (len, len),
                    ]
                },
            );
        }
        assert_eq!(
            stage.victim.state(),
            State::Connected,
            "{version:?} {victim}"
        );
    }
    // A message of no length is a message: the ServerHelloDone is one, a Certificate is not.
    for (version, victim) in all() {
        let before = version
            .word(victim)
            .iter()
            .take_while(|letter| **letter != CERTIFICATE);
        let mut stage = Stage::new(version, victim, &cast);
        before.for_each(|letter| drop(stage.say(*letter)));
        let _ = stage.say_changed(CERTIFICATE, Vec::clear);
        assert_eq!(
            stage.victim.error(),
            Some(&InvalidMessage::MessageTooShort.into())
        );
    }
}

// req: T62 T2 T32
#[test]
fn lengths_that_contradict_each_other_are_harmless() {
    let cast = Cast::new();
    for (version, victim) in all() {
        let mut stage = Stage::new(version, victim, &cast);
        for letter in version.word(victim) {
            let next = Fragment::whole(letter.message_type(), stage.puppet.next_seq(), &[7; 40]);
            // Longer than said, past the end, past what 24 bits can say; and a length that the genuine one contradicts.
            for (length, offset) in [
                (39, 0),
                (40, 1),
                (40, 0xff_ffff),
                (0, 0),
                (0xff_ffff, 0),
                (41, 0),
            ] {
                let lie = Fragment {
                    length,
                    offset,
                    ..next.clone()
                };
                let record = stage.puppet.seal(0, wire::HANDSHAKE, &lie.to_bytes());
                let _ = stage.give(record);
            }
            let _ = stage.say(*letter);
        }
        assert_eq!(
            stage.victim.state(),
            State::Connected,
            "{version:?} {victim}"
        );
        // Authentic, and still nonsense.
        let mut stage = Stage::connected(version, victim, &cast);
        let epoch = stage.puppet.data_epoch();
        let lie = Fragment {
            length: 39,
            ..Fragment::whole(4, stage.puppet.next_seq(), &[7; 40])
        };
        let record = stage.puppet.seal(epoch, wire::HANDSHAKE, &lie.to_bytes());
        let malformed = Received::Dropped(DropReason::MalformedFragment);
        assert_eq!(stage.give(record), malformed, "{version:?} {victim}");
        stage.assert_talking();
    }
}

// req: T62 T23
#[test]
fn a_cookie_longer_than_its_message_is_refused() {
    let cast = Cast::new();
    for version in Version::ALL {
        let mut stage = Stage::new(version, Side::Server, &cast);
        // Version, random, an empty session id, then the length of the cookie.
        let _ = stage.say_changed(Letter::ClientHello, |body| body[35] = 0xff);
        assert_eq!(stage.puppet.alerts, [[2, AlertDescription::DECODE_ERROR.0]]);
        assert_eq!(stage.victim.state(), State::Failed);
    }
    let mut stage = Stage::new(Version::V12, Side::Client, &cast);
    let _ = stage.say_changed(Letter::HelloVerifyRequest, |body| body[2] = 0xff);
    assert_eq!(stage.puppet.alerts, [[2, AlertDescription::DECODE_ERROR.0]]);
}

// req: T62 T4 T32
#[test]
fn chains_of_messages_do_not_nest() {
    let cast = Cast::new();
    let chain = |message_type, first: u16| {
        let message = |seq| Fragment::whole(message_type, seq, &[]).to_bytes();
        (first..first + 1000).flat_map(message).collect::<Vec<_>>()
    };
    for (version, victim) in all() {
        let hello = match victim {
            Side::Client => 0,
            Side::Server => wire::CLIENT_HELLO,
        };
        // In plaintext in a handshake: the first one ends it.
        let mut stage = Stage::new(version, victim, &cast);
        let record = stage.puppet.seal(0, wire::HANDSHAKE, &chain(hello, 0));
        let _ = stage.give(record);
        assert_eq!(stage.victim.state(), State::Failed, "{version:?} {victim}");
        // Authentic in a live association of DTLS 1.2: all of them are declined, by a few alerts.
        if version == Version::V12 {
            let mut stage = Stage::connected(version, victim, &cast);
            for _ in 0..3 {
                let record = stage.puppet.seal(1, wire::HANDSHAKE, &chain(hello, 0));
                let _ = stage.give(record);
            }
            assert!((1..=4).contains(&stage.listen()));
            assert!(stage.puppet.alerts.iter().all(|alert| *alert == [1, 100]));
            stage.assert_talking();
        }
    }
}

/// The first `count` records of a flight in the `nth` of their orders.
fn permuted(mut records: Vec<Vec<u8>>, mut nth: usize) -> Vec<Vec<u8>> {
    let mut permuted = Vec::new();
    while !records.is_empty() {
        permuted.push(records.remove(nth % records.len()));
        nth /= records.len() + 1;
    }
    permuted
}

// req: T62 T2
#[test]
fn a_flight_in_any_order_and_twice_is_a_flight() {
    for version in Version::ALL {
        for nth in 0..120 {
            let mut duel = Duel::start(&good(version));
            duel.reorder(move |records| {
                let twice = records
                    .iter()
                    .flat_map(|record| [record.clone(), record.clone()])
                    .collect();
                [permuted(records, nth), permuted(twice, nth * 7919)].concat()
            });
            let until = duel.now + Duration::from_secs(20);
            duel.advance(until, &mut |_| ());
            assert_eq!(
                duel.ends.each_ref().map(Connection::state),
                [State::Connected; 2],
                "{version:?} {nth}"
            );
        }
    }
}

// req: T62
#[test]
fn connection_ids_of_any_length_are_taken_or_refused() {
    let cast = Cast::new();
    for version in Version::ALL {
        let hello_with = |body: Vec<u8>| {
            let mut stage = Stage::new(version, Side::Server, &cast);
            let _ = stage.say_changed(Letter::ClientHello, |hello| {
                let mut changed = ClientHello::parse(hello);
                changed.set(wire::CONNECTION_ID, Some(body));
                *hello = changed.to_bytes();
            });
            stage
        };
        for len in [0, 1, 254, 255_u8] {
            let mut stage = hello_with([&[len], &vec![9; len.into()][..]].concat());
            stage.say_all(&version.word(Side::Server)[1..]);
            assert_eq!(stage.victim.state(), State::Connected, "{version:?} {len}");
            stage.assert_talking();
        }
        // Longer or shorter than it says.
        for body in [vec![], vec![1], vec![0, 9], vec![255; 255], vec![254; 257]] {
            let stage = hello_with(body);
            assert_eq!(
                stage.puppet.alerts,
                [[2, AlertDescription::DECODE_ERROR.0]],
                "{version:?}"
            );
        }
        // A server that gives one to a client that did not ask.
        let mut stage = Stage::new(version, Side::Client, &cast);
        let _ = stage.say_changed(Letter::ServerHello, |body| {
            let mut hello = ServerHello::parse(body);
            hello.set(wire::CONNECTION_ID, Some(vec![1, 9]));
            *body = hello.to_bytes();
        });
        let unsolicited = PeerMisbehaved::UnsolicitedExtension.into();
        assert_eq!(stage.victim.error(), Some(&unsolicited), "{version:?}");
    }
}

// req: T62
#[test]
fn repeated_and_endless_lists_cost_nothing() {
    let cast = Cast::new();
    for version in Version::ALL {
        let endless = |hello: &mut ClientHello, copies: usize| {
            hello.suites = hello.suites.repeat(copies);
            hello.set(wire::SUPPORTED_GROUPS, Some(list16(&[0x1d].repeat(copies))));
            hello.set(
                wire::SIGNATURE_ALGORITHMS,
                Some(list16(&[0x0807].repeat(copies))),
            );
        };
        let mut stage = Stage::new(version, Side::Server, &cast);
        let counted = measure(|| {
            let change = |body: &mut Vec<u8>| {
                let mut hello = ClientHello::parse(body);
                endless(&mut hello, 8000);
                *body = hello.to_bytes();
            };
            let cuts = |len: usize| {
                (0..len)
                    .step_by(1000)
                    .map(|at| (at, len.min(at + 1000)))
                    .collect()
            };
            stage.say_in_pieces(Letter::ClientHello, change, cuts);
        });
        assert!(
            !stage.puppet.heard.is_empty(),
            "{version:?}: {:?}",
            stage.victim.error()
        );
        // Several copies of the 48 000 bytes are the puppet's.
        assert!(counted.bytes_current < 400_000, "{counted:?}");
        assert_eq!(stage.victim.state(), State::Connecting);
    }
}
