//! New keys, the limits of a cipher, and the ends of epochs and numbers.

use super::*;
use crate::handshake::unexpected;
use crate::record::SealError;

// req: T30
#[test]
fn keys_are_changed_on_one_side_or_on_both() {
    use crate::KeyUpdateRequest::{NotRequested, Requested};
    let mut ends = connected_v13();
    assert_eq!(ends.epochs(), [3, 3, 3, 3]);
    ends.client.update_keys(ends.now, NotRequested).unwrap();
    assert_eq!(ends.epochs(), [3, 3, 3, 3], "not before it is acknowledged");
    ends.talk();
    ends.run();
    assert_eq!(ends.epochs(), [4, 3, 3, 4]);
    ends.talk();
    ends.server.update_keys(ends.now, Requested).unwrap();
    ends.run();
    assert_eq!(ends.epochs(), [5, 4, 4, 5]);
    ends.talk();
    // The one in the air does for all that want what it does.
    for _ in 0..5 {
        ends.client.update_keys(ends.now, Requested).unwrap();
        ends.client.update_keys(ends.now, NotRequested).unwrap();
    }
    ends.run();
    assert_eq!(ends.epochs(), [6, 5, 5, 6]);
    ends.talk();
    // It asks the peer for nothing: one that does follows.
    ends.client.update_keys(ends.now, NotRequested).unwrap();
    for _ in 0..5 {
        ends.client.update_keys(ends.now, Requested).unwrap();
    }
    ends.run();
    assert_eq!(ends.epochs(), [8, 6, 6, 8]);
    ends.talk();
}

// req: T30
#[test]
fn both_sides_may_change_their_keys_at_once() {
    use crate::KeyUpdateRequest::Requested;
    let mut ends = connected_v13();
    ends.client.update_keys(ends.now, Requested).unwrap();
    ends.server.update_keys(ends.now, Requested).unwrap();
    ends.run();
    let epochs = ends.epochs();
    assert_eq!((epochs[0], epochs[2]), (epochs[3], epochs[1]));
    assert!(epochs.iter().all(|epoch| *epoch >= 4), "{epochs:?}");
    ends.talk();
}

// req: T30
#[test]
fn a_lost_key_update_or_acknowledgement_comes_again() {
    use crate::KeyUpdateRequest::NotRequested;
    let mut ends = connected_v13();
    let mut buf = [0; 1500];
    ends.client.update_keys(ends.now, NotRequested).unwrap();
    assert!(ends.client.poll_transmit(&mut buf).is_some(), "lost");
    ends.talk();
    ends.now = ends.client.poll_timeout().unwrap();
    ends.client.handle_timeout(ends.now);
    let len = ends.client.poll_transmit(&mut buf).unwrap();
    let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    ends.now += Duration::from_millis(100);
    ends.server.handle_timeout(ends.now);
    assert!(
        ends.server.poll_transmit(&mut buf).is_some(),
        "the ACK, lost"
    );
    ends.talk();
    assert_eq!(ends.epochs(), [3, 3, 3, 4]);
    ends.now = ends.client.poll_timeout().unwrap();
    ends.client.handle_timeout(ends.now);
    ends.run();
    assert_eq!(ends.epochs(), [4, 3, 3, 4]);
    ends.talk();
}

/// ChaCha20 has no limit to its records, and so numbers that are not kept of an epoch that has ended.
// req: T30 T33
#[test]
fn an_epoch_with_very_high_numbers_ends_as_any_other() {
    use crate::KeyUpdateRequest::NotRequested;
    let mut ends = Ends::new(|config, _| {
        config.max_version = ProtocolVersion::DTLS1_3;
        config.cipher_suites = vec![crate::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256];
    });
    ends.run();
    ends.client.records.skip_to(1 << 33);
    ends.server.records.received((1 << 33) - 1);
    for update in 1..4 {
        ends.talk();
        ends.client.update_keys(ends.now, NotRequested).unwrap();
        ends.run();
        ends.talk();
        assert_eq!(ends.epochs(), [3 + update, 3, 3, 3 + update]);
        assert_eq!(ends.server.records.reads_previous(), update > 1);
    }
}

// req: T33
#[test]
fn old_epochs_open_until_their_time_is_over() {
    use crate::KeyUpdateRequest::NotRequested;
    let mut ends = connected_v13();
    let mut late = [[0; 200]; 2];
    let lens = late
        .each_mut()
        .map(|buf| ends.client.seal(ends.now, b"late", buf).unwrap());
    ends.client.update_keys(ends.now, NotRequested).unwrap();
    ends.run();
    ends.talk();
    let [first, second] = &mut late;
    let received = ends.server.handle_datagram(ends.now, &mut first[..lens[0]]);
    assert!(matches!(received, Received::Data { .. }));
    assert_eq!(ends.server.poll_timeout(), None, "nobody is woken for it");
    // To a second.
    ends.now += LINGER + Duration::from_secs(1);
    let received = ends
        .server
        .handle_datagram(ends.now, &mut second[..lens[1]]);
    assert!(!ends.server.records.reads_previous());
    assert_eq!(received, Received::Dropped(DropReason::UnknownEpoch));
    ends.talk();
    // The secrets have moved on.
    ends.client.update_keys(ends.now, NotRequested).unwrap();
    ends.run();
    ends.talk();
    assert_eq!(ends.epochs(), [5, 3, 3, 5]);
}

// req: T33
#[test]
fn an_epoch_is_read_until_the_peer_was_heard_in_the_next_however_long_that_takes() {
    use crate::KeyUpdateRequest::NotRequested;
    let mut ends = connected_v13();
    let mut late = [(); 4].map(|()| seal(&mut ends.client, ends.now));
    ends.client.update_keys(ends.now, NotRequested).unwrap();
    ends.run();
    let mut first = seal(&mut ends.client, ends.now);
    let mut forged = first.clone();
    forged[20] ^= 1;
    let (server, now) = (&mut ends.server, ends.now);
    assert!(is_data(&server.handle_datagram(now, &mut late[0])));
    let refused = Received::Dropped(DropReason::BadMac);
    assert_eq!(server.handle_datagram(now, &mut forged), refused);
    let much_later = now + LINGER * 10;
    assert!(is_data(&server.handle_datagram(much_later, &mut late[1])));
    assert_eq!(server.poll_timeout(), None, "nobody is woken for it");
    assert!(is_data(&server.handle_datagram(much_later, &mut first)));
    assert!(is_data(&server.handle_datagram(much_later, &mut late[2])));
    let later_still = much_later + LINGER + Duration::from_secs(1);
    let unknown = Received::Dropped(DropReason::UnknownEpoch);
    assert_eq!(server.handle_datagram(later_still, &mut late[3]), unknown);
    ends.talk();
}

// req: T30 T33
#[test]
fn one_change_may_follow_the_other_at_once() {
    use crate::KeyUpdateRequest::{NotRequested, Requested};
    let mut ends = connected_v13();
    let unknown = Received::Dropped(DropReason::UnknownEpoch);
    let mut older = None;
    for epoch in 4..12 {
        let request = [NotRequested, Requested][usize::from(epoch % 2)];
        let [mut late, spare] = [(); 2].map(|()| seal(&mut ends.client, ends.now));
        ends.client.update_keys(ends.now, request).unwrap();
        ends.run();
        ends.talk();
        assert_eq!(ends.epochs()[3], epoch);
        assert!(is_data(&ends.server.handle_datagram(ends.now, &mut late)));
        // Of the epoch before that one nothing is opened any more.
        if let Some(mut older) = older.replace(spare) {
            assert_eq!(ends.server.handle_datagram(ends.now, &mut older), unknown);
        }
    }
    ends.talk();
}

// req: T33 T52
#[test]
fn a_handshake_that_is_over_has_its_time_and_no_more() {
    use crate::KeyUpdateRequest::NotRequested;
    for since in [Duration::ZERO, Duration::from_millis(900)] {
        let mut ends = connected_v13();
        ends.now += since;
        ends.talk();
        let start = ends.now;
        let pass = |server: &mut Connection, time| server.handle_timeout(start + time);
        assert!(ends.server.records.has_handshake());
        pass(&mut ends.server, LINGER - Duration::from_millis(1));
        // What comes meanwhile does not make it longer.
        ends.now += Duration::from_secs(100);
        ends.talk();
        assert!(ends.server.records.has_handshake());
        pass(&mut ends.server, LINGER);
        assert!(ends.server.records.has_handshake(), "all of it");
        // To a second.
        pass(&mut ends.server, LINGER + Duration::from_secs(1));
        assert!(!ends.server.records.has_handshake());
    }
    // It ends with the peer's first record in an epoch that it changed to, too: it has all our ACKs.
    let mut ends = connected_v13();
    ends.client.update_keys(ends.now, NotRequested).unwrap();
    ends.run();
    assert!(ends.server.records.has_handshake());
    ends.talk();
    assert!(!ends.server.records.has_handshake());
    // And with the peer's ACK for ours: it repeats nothing.
    let mut ends = connected_v13();
    assert!(ends.server.records.has_handshake());
    ends.server.update_keys(ends.now, NotRequested).unwrap();
    ends.run();
    assert!(!ends.server.records.has_handshake());
}

// req: T33 T52
#[test]
fn nothing_is_written_in_an_epoch_that_is_acknowledged_to_be_over() {
    use crate::KeyUpdateRequest::NotRequested;
    let mut out = [0; 100];
    let mut ends = connected_v13();
    for epoch in [Epoch::HANDSHAKE, Epoch::APPLICATION] {
        for end in [&mut ends.client, &mut ends.server] {
            let sealed = end
                .records
                .seal(epoch, ContentType::Ack, [&[0, 0], &[]], &mut out);
            assert_eq!(sealed, Err(SealError::NoKeys), "{epoch:?}");
            end.update_keys(ends.now, NotRequested).unwrap();
        }
        ends.run();
    }
}

// req: T30
#[test]
fn an_epoch_that_its_key_update_ended_has_no_more_messages() {
    use crate::KeyUpdateRequest::NotRequested;
    let mut ends = connected_v13();
    let before = ends.client.records.write_epoch();
    ends.client.update_keys(ends.now, NotRequested).unwrap();
    let mut buf = [0; 1500];
    let len = ends.client.poll_transmit(&mut buf).unwrap();
    let mut repeated = buf;
    let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    assert_eq!(ends.epochs(), [3, 3, 3, 4]);
    let dropped = Received::Dropped(DropReason::Replayed);
    let received = ends.server.handle_datagram(ends.now, &mut repeated[..len]);
    assert_eq!(received, dropped);
    assert_eq!(ends.epochs(), [3, 3, 3, 4], "announced once");
    let work = ends.client.work();
    work.flight.begin(ends.now);
    work.flight
        .message(before, HandshakeType::KEY_UPDATE, |out| out.push(0));
    work.flight.send(ends.now, &mut work.timers);
    let len = ends.client.poll_transmit(&mut buf).unwrap();
    let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    assert_eq!(ends.server.error(), Some(&unexpected()));
}

// req: T21 T52
#[test]
fn an_ack_names_what_came_before_only_where_the_peer_has_repeated_itself() {
    for (repeats, at_rest) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut ends = connected_v13();
        let mut buf = [0; 1500];
        // Who has events to give away does not rest.
        while at_rest && ends.server.poll_event().is_some() {}
        let request = crate::KeyUpdateRequest::NotRequested;
        ends.client.update_keys(ends.now, request).unwrap();
        let len = ends.client.poll_transmit(&mut buf).unwrap();
        let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
        let seq = ends.server.work().reassembler.next_seq() as u16 - 1;
        let header = HandshakeHeader::whole(HandshakeType::KEY_UPDATE, seq, 1).to_bytes();
        let parts = [&header[..], &[0]];
        let [(second, mut again), (third, mut late)] = [(); 2].map(|()| {
            let mut out = vec![0; 100];
            let records = &mut ends.client.records;
            let sealed = records.seal(Epoch::APPLICATION, ContentType::Handshake, parts, &mut out);
            let sealed = sealed.unwrap();
            out.truncate(sealed.len);
            (sealed.number.sequence(), out)
        });
        let stale = Received::Dropped(DropReason::StaleMessage);
        if repeats {
            assert_eq!(ends.server.handle_datagram(ends.now, &mut again), stale);
        }
        ends.run();
        if at_rest {
            ends.server.handle_timeout(ends.now);
        }
        assert_eq!(ends.server.is_idle(), at_rest);
        ends.talk();
        assert_eq!(ends.epochs(), [4, 3, 3, 4]);
        assert_eq!(ends.server.handle_datagram(ends.now, &mut late), stale);
        let due = ends.server.poll_timeout().unwrap();
        ends.server.handle_timeout(due);
        let len = ends.server.poll_transmit(&mut buf).unwrap();
        let opened = ends.client.records.open(&mut buf[..len], 0, |_| None);
        let record = opened.record.unwrap();
        assert_eq!(record.content_type, ContentType::Ack);
        let ack = Ack::read_all(&buf[record.payload]).unwrap();
        // Besides the client's Finished, perhaps.
        let numbers = ack.iter().filter(|number| number.epoch == 3);
        let named: Vec<_> = numbers.map(|number| number.sequence).collect();
        match repeats {
            true => assert_eq!(named, [second - 1, second, third]),
            false => assert_eq!(named, [third], "the peer has said that it has the others"),
        }
    }
}

/// A record of data.
fn seal(from: &mut Connection, now: Instant) -> Vec<u8> {
    let mut out = vec![0; 200];
    let len = from.seal(now, b"some data", &mut out).unwrap();
    out.truncate(len);
    out
}

fn is_data(received: &Received) -> bool {
    matches!(received, Received::Data { .. })
}

// req: T30
#[test]
fn where_a_key_has_refused_too_much_the_peer_is_asked_to_change_it() {
    let mut ends = connected_v13();
    let mut forged = seal(&mut ends.client, ends.now);
    *forged.last_mut().unwrap() ^= 1;
    ends.server.records.forged(u32::MAX / 2 - 1);
    let dropped = Received::Dropped(DropReason::BadMac);
    assert_eq!(ends.server.handle_datagram(ends.now, &mut forged), dropped);
    ends.run();
    assert_eq!(ends.epochs(), [4, 4, 4, 4]);
    ends.talk();
}

// req: T30
#[test]
fn a_key_update_behind_the_last_epoch_is_an_error_of_the_peer() {
    let mut ends = connected_v13();
    let last = u16::MAX - Epoch::APPLICATION.0;
    ends.client.records.skip_write_epochs(last);
    ends.server.records.skip_read_epochs(last);
    ends.talk();
    let work = ends.client.work();
    work.flight.begin(ends.now);
    work.flight
        .message(Epoch(u16::MAX), HandshakeType::KEY_UPDATE, |out| {
            out.push(0)
        });
    work.flight.send(ends.now, &mut work.timers);
    let mut buf = [0; 1500];
    let len = ends.client.poll_transmit(&mut buf).unwrap();
    let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    let error = PeerMisbehaved::TooManyKeyUpdates.into();
    assert_eq!(ends.server.error(), Some(&error));
}

// req: T30
#[test]
fn a_key_update_waits_for_the_acknowledgement_of_what_is_in_the_air() {
    use crate::KeyUpdateRequest::{NotRequested, Requested};
    let mut ends = connected_v13();
    let mut buf = [0; 1500];
    ends.client.update_keys(ends.now, NotRequested).unwrap();
    assert!(ends.client.poll_transmit(&mut buf).is_some());
    ends.client.update_keys(ends.now, Requested).unwrap();
    assert_eq!(ends.client.poll_transmit(&mut buf), None);
    let seq = ends.server.work().reassembler.next_seq();
    ends.now = ends.client.poll_timeout().unwrap();
    ends.client.handle_timeout(ends.now);
    ends.run();
    assert_eq!(ends.epochs(), [5, 4, 4, 5]);
    assert_eq!(ends.server.work().reassembler.next_seq(), seq + 2);
}

// req: T33
#[test]
fn old_epochs_are_also_let_go_by_who_hears_nothing_more() {
    use crate::KeyUpdateRequest::NotRequested;
    for speaks in [true, false] {
        let mut ends = connected_v13();
        ends.client.update_keys(ends.now, NotRequested).unwrap();
        ends.run();
        ends.talk();
        assert!(ends.server.records.reads_previous());
        ends.now += LINGER + Duration::from_secs(1);
        match speaks {
            true => drop(ends.server.seal(ends.now, b"still here", &mut [0; 100])),
            false => ends.server.handle_timeout(ends.now),
        }
        assert!(!ends.server.records.reads_previous());
    }
}

// req: T30
#[test]
fn keys_change_by_themselves_near_the_limit_of_the_cipher() {
    let mut ends = connected_v13();
    let mut out = [0; 100];
    let near = 23_726_566 / 16 * 15 - 1;
    ends.client.records.skip_to(near);
    ends.server.records.received(near - 1);
    ends.client.seal(ends.now, b"x", &mut out).unwrap();
    ends.run();
    assert_eq!(ends.epochs(), [4, 3, 3, 4]);
    ends.talk();
}

// req: T30
#[test]
fn a_limit_is_not_missed_where_the_record_that_reaches_it_holds_no_data() {
    let mut out = [0; 100];
    // An acknowledgement, an alert: written by the machine itself.
    let mut write = |end: &mut Connection| {
        let epoch = end.records.write_epoch();
        end.records
            .seal(epoch, ContentType::Ack, [&[0, 0], &[]], &mut out)
            .unwrap();
    };
    let mut ends = connected_v13();
    let near = 23_726_566 / 16 * 15 - 1;
    ends.client.records.skip_to(near);
    ends.server.records.received(near - 1);
    write(&mut ends.client);
    ends.talk();
    ends.run();
    assert_eq!(ends.epochs(), [4, 3, 3, 4]);
    ends.talk();

    let mut ends = Ends::connected();
    while ends.client.poll_event().is_some() {}
    ends.client.records.skip_to(23_726_565);
    write(&mut ends.client);
    let limit = Event::AeadLimit(crate::event::AeadLimit::Confidentiality);
    ends.client.seal(ends.now, b"x", &mut [0; 100]).unwrap();
    assert_eq!(ends.client.poll_event(), Some(limit));
    ends.client.seal(ends.now, b"x", &mut [0; 100]).unwrap();
    assert_eq!(ends.client.poll_event(), None, "it is told once");
}

// req: T30
#[test]
fn keys_that_the_peer_never_lets_change_end_at_the_limit_of_the_cipher() {
    let mut ends = connected_v13();
    while ends.client.poll_event().is_some() {}
    let mut out = [0; 100];
    ends.client.records.skip_to(23_726_566 / 16 * 15 - 1);
    ends.client.seal(ends.now, b"x", &mut out).unwrap();
    // The KeyUpdate goes out and is never acknowledged; data goes on meanwhile.
    while ends.client.poll_transmit(&mut [0; 1500]).is_some() {}
    ends.client.records.skip_to(23_726_566 - 17);
    ends.server.records.received(23_726_566 - 18);
    ends.client.seal(ends.now, b"last", &mut out).unwrap();
    let used_up = Err(Error::KeysUsedUp);
    assert_eq!(ends.client.seal(ends.now, b"one more", &mut out), used_up);
    assert_eq!(ends.client.state(), State::Closed);
    let Some(Event::StateChange(transition)) = ends.client.poll_event() else {
        panic!("a transition");
    };
    assert_eq!(transition.reason, Reason::RecordNumbersExhausted);
    let mut buf = [0; 1500];
    let len = ends.client.poll_transmit(&mut buf).unwrap();
    let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    assert_eq!(ends.server.state(), State::Closed, "it is told");
}

/// What a connection has used up before a test of the end begins.
#[derive(Clone, Copy, Debug)]
enum Used {
    Epochs,
    EpochsAndMessages,
}

impl Ends {
    /// As if one side had changed its keys this often.
    fn skip_updates(&mut self, side: Side, used: Used, count: u16) {
        let (from, to) = match side {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        };
        from.records.skip_write_epochs(count);
        to.records.skip_read_epochs(count);
        if let Used::EpochsAndMessages = used {
            let next = to.work().reassembler.next_seq() as u16 + count;
            from.work().flight.begin_at(next);
            to.work().reassembler.begin_at(next);
        }
    }
}

// req: T30
#[test]
fn epochs_end_and_requests_are_ignored_then() {
    use crate::KeyUpdateRequest::{NotRequested, Requested};
    const SKIPPED: u16 = 65_500;
    for (side, used, most) in [
        (Side::Client, Used::Epochs, 65_532),
        (Side::Client, Used::EpochsAndMessages, 65_532),
        (Side::Server, Used::Epochs, 65_532),
        // The handshake took six of its message numbers and four of the client's.
        (Side::Server, Used::EpochsAndMessages, 65_530),
    ] {
        let mut ends = connected_v13();
        ends.skip_updates(side, used, SKIPPED);
        let mut updates = SKIPPED;
        let written = |ends: &Ends| match side {
            Side::Client => [ends.epochs()[0], ends.epochs()[3]],
            Side::Server => [ends.epochs()[2], ends.epochs()[1]],
        };
        loop {
            let end = match side {
                Side::Client => &mut ends.client,
                Side::Server => &mut ends.server,
            };
            let updated = end.update_keys(ends.now, NotRequested);
            if updated.is_err() {
                assert_eq!(updated, Err(Error::KeysUsedUp));
                break;
            }
            ends.run();
            updates += 1;
            assert_eq!(written(&ends), [updates + 3; 2]);
        }
        assert_eq!(updates, most, "{side:?} {used:?}");
        ends.talk();
        // The peer changes its own keys, and asks in vain.
        let peer = match side {
            Side::Client => &mut ends.server,
            Side::Server => &mut ends.client,
        };
        peer.update_keys(ends.now, Requested).unwrap();
        ends.run();
        assert_eq!(written(&ends), [most + 3; 2]);
        let others = match side {
            Side::Client => [ends.epochs()[2], ends.epochs()[1]],
            Side::Server => [ends.epochs()[0], ends.epochs()[3]],
        };
        assert_eq!(others, [4; 2]);
        ends.talk();
    }
}

#[test]
fn dtls_1_2_has_no_key_update() {
    let mut ends = Ends::new(|config, _| config.max_version = ProtocolVersion::DTLS1_2);
    let request = crate::KeyUpdateRequest::Requested;
    let early = ends.client.update_keys(ends.now, request);
    assert_eq!(early, Err(ApiMisuse::NotConnected.into()));
    ends.run();
    let refused = ends.client.update_keys(ends.now, request);
    assert_eq!(refused, Err(ApiMisuse::KeysCannotChange.into()));
    ends.talk();
}

// req: T30
#[test]
fn a_usage_limit_is_an_event_and_the_end_of_the_numbers_is_an_end() {
    let mut ends = Ends::connected();
    while ends.client.poll_event().is_some() {}
    let mut out = [0; 100];
    ends.client.records.skip_to(23_726_565);
    ends.client.seal(ends.now, b"x", &mut out).unwrap();
    ends.client.seal(ends.now, b"x", &mut out).unwrap();
    let limit = Event::AeadLimit(crate::event::AeadLimit::Confidentiality);
    assert_eq!(ends.client.poll_event(), Some(limit));
    assert_eq!(ends.client.poll_event(), None);
    assert_eq!(ends.client.state(), State::Connected);

    ends.client.records.skip_to(RecordNumber::SEQUENCES - 17);
    ends.client.seal(ends.now, b"last", &mut out).unwrap();
    let used_up = Err(Error::KeysUsedUp);
    assert_eq!(ends.client.seal(ends.now, b"one more", &mut out), used_up);
    assert_eq!(ends.client.state(), State::Closed);
    let Some(Event::StateChange(transition)) = ends.client.poll_event() else {
        panic!("a transition");
    };
    assert_eq!(transition.reason, Reason::RecordNumbersExhausted);
    ends.run();
    assert_eq!(ends.server.state(), State::Closed, "it is told");
}
