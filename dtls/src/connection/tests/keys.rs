//! New keys, the limits of a cipher, and the ends of epochs and numbers.

use super::*;

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
    assert!(!ends.server.records.has_old_epochs());
    assert_eq!(received, Received::Dropped(DropReason::UnknownEpoch));
    ends.talk();
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
        assert!(ends.server.records.has_old_epochs());
        ends.now += LINGER + Duration::from_secs(1);
        match speaks {
            true => drop(ends.server.seal(ends.now, b"still here", &mut [0; 100])),
            false => ends.server.handle_timeout(ends.now),
        }
        assert!(!ends.server.records.has_old_epochs());
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
