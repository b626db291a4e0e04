//! What only an authentic peer that misbehaves can show, and what takes 2⁴⁸ records: both reach into the machine.

use super::*;
use crate::config::{ExtendedMasterSecret, PlaintextAlerts};
use crate::error::{PeerIncompatible, PeerMisbehaved};
use crate::fingerprint::HashAlgorithm;
use crate::identity::Identity;
use crate::msgs::codec::Codec;
use crate::msgs::enums::{HandshakeType, ProtocolVersion};
use crate::msgs::handshake::HandshakeHeader;
use crate::msgs::post_handshake::{Ack, AckNumber};
use crate::reassembly::Message;
use crate::record::header::{Header, RecordNumber};

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do: only differences count"
)]
fn now() -> Instant {
    Instant::now()
}

struct Ends {
    now: Instant,
    client: Connection,
    server: Connection,
}

impl Ends {
    fn new(change: impl Fn(&mut Config, Side)) -> Self {
        let identities = [(); 2].map(|()| Arc::new(Identity::generate().unwrap()));
        let end = |side: Side| {
            let index = usize::from(side == Side::Server);
            let mut config = Config::new(identities[index].clone());
            config.max_version = ProtocolVersion::DTLS1_2;
            change(&mut config, side);
            let theirs = identities[1 - index].fingerprint(HashAlgorithm::Sha256);
            let remote = RemoteIdentity::Fingerprints(FingerprintSet::new([theirs]).unwrap());
            let setup = match side {
                Side::Client => Setup::Active,
                Side::Server => Setup::Passive,
            };
            Connection::new(Arc::new(config), setup, remote).unwrap()
        };
        let mut ends = Self {
            now: now(),
            client: end(Side::Client),
            server: end(Side::Server),
        };
        ends.server.set_path_validated();
        ends.server.start(ends.now);
        ends.client.start(ends.now);
        ends
    }

    fn of_v13() -> Self {
        Self::new(|config, _| {
            config.min_version = ProtocolVersion::DTLS1_3;
            config.max_version = ProtocolVersion::DTLS1_3;
        })
    }

    fn connected() -> Self {
        let mut ends = Self::new(|_, _| ());
        ends.run();
        assert_eq!(ends.client.state(), State::Connected);
        assert_eq!(ends.server.state(), State::Connected);
        ends
    }

    /// Carries datagrams until there are none, and lets the time pass that acknowledgements take.
    fn run(&mut self) {
        let mut buf = [0; 1500];
        loop {
            if let Some(len) = self.client.poll_transmit(&mut buf) {
                let _ = self.server.handle_datagram(self.now, &mut buf[..len]);
            } else if let Some(len) = self.server.poll_transmit(&mut buf) {
                let _ = self.client.handle_datagram(self.now, &mut buf[..len]);
            } else if [&self.client, &self.server].map(|end| end.timers.runs(Timer::Ack))
                != [false; 2]
            {
                self.now += Duration::from_millis(100);
                self.client.handle_timeout(self.now);
                self.server.handle_timeout(self.now);
            } else {
                return;
            }
        }
    }
}

/// A record of the protected epoch with a whole handshake message in it.
fn handshake_record(from: &mut Connection, handshake_type: HandshakeType, seq: u16) -> Vec<u8> {
    let header = HandshakeHeader::whole(handshake_type, seq, 0).to_bytes();
    let mut out = vec![0; 200];
    let len = from
        .records
        .seal(
            Epoch::DTLS1_2,
            ContentType::Handshake,
            [&header, &[]],
            &mut out,
        )
        .unwrap()
        .len;
    out.truncate(len);
    out
}

// req: T4
#[test]
fn renegotiation_is_declined_by_a_warning_and_ends_nothing() {
    for asker in [Side::Server, Side::Client] {
        let mut ends = Ends::connected();
        let (from, to, ask) = match asker {
            Side::Server => (
                &mut ends.server,
                &mut ends.client,
                HandshakeType::HELLO_REQUEST,
            ),
            Side::Client => (
                &mut ends.client,
                &mut ends.server,
                HandshakeType::CLIENT_HELLO,
            ),
        };
        // message_seq starts anew, or goes on: peers differ.
        for seq in [0, 9] {
            let mut record = handshake_record(from, ask, seq);
            let received = to.handle_datagram(ends.now, &mut record);
            assert_eq!(received, Received::Handled);
            let alert = Alert::warning(AlertDescription::NO_RENEGOTIATION);
            assert_eq!(to.alerts.iter().last(), Some(&(Epoch::DTLS1_2, alert)));
            let mut buf = [0; 1200];
            let len = to.poll_transmit(&mut buf).unwrap();
            let received = from.handle_datagram(ends.now, &mut buf[..len]);
            assert_eq!(
                received,
                Received::Dropped(DropReason::IgnoredAlert),
                "a warning"
            );
        }
        assert_eq!(ends.client.state(), State::Connected);
        assert_eq!(ends.server.state(), State::Connected);
    }
}

// req: T4 T32
#[test]
fn a_flood_of_requests_to_renegotiate_queues_a_few_alerts() {
    let mut ends = Ends::connected();
    for _ in 0..100 {
        let mut record = handshake_record(&mut ends.server, HandshakeType::HELLO_REQUEST, 0);
        let _ = ends.client.handle_datagram(ends.now, &mut record);
    }
    assert_eq!(ends.client.alerts.iter().count(), MAX_ALERTS);
    let mut old = handshake_record(&mut ends.server, HandshakeType::CERTIFICATE, 1);
    let dropped = Received::Dropped(DropReason::LateHandshake);
    assert_eq!(ends.client.handle_datagram(ends.now, &mut old), dropped);
    assert_eq!(ends.client.state(), State::Connected);
}

// req: T23
#[test]
fn an_authentic_message_that_no_handshake_has_is_fatal() {
    for message in [HandshakeType::CERTIFICATE, HandshakeType::FINISHED] {
        let mut ends = Ends::connected();
        let mut more = handshake_record(&mut ends.server, message, 9);
        let _ = ends.client.handle_datagram(ends.now, &mut more);
        assert_eq!(
            ends.client.error(),
            Some(&PeerMisbehaved::UnexpectedMessage.into())
        );
    }
}

/// Both ends speak DTLS 1.3, and its handshake is done and acknowledged.
fn connected_v13() -> Ends {
    let mut ends = Ends::of_v13();
    ends.run();
    for end in [&mut ends.client, &mut ends.server] {
        assert_eq!(end.state(), State::Connected);
        assert_eq!(end.version(), Some(ProtocolVersion::DTLS1_3));
    }
    ends
}

/// A message in the given epoch, which only an authentic peer can have written.
fn late_message(
    from: &mut Connection,
    epoch: Epoch,
    kind: HandshakeType,
    seq: u16,
    body: &[u8],
) -> Vec<u8> {
    let header = HandshakeHeader::whole(kind, seq, body.len() as u32).to_bytes();
    let mut out = vec![0; 200];
    let sealed = from
        .records
        .seal(epoch, ContentType::Handshake, [&header, body], &mut out);
    out.truncate(sealed.unwrap().len);
    out
}

impl Ends {
    fn epochs(&self) -> [u16; 4] {
        [
            self.client.records.write_epoch().0,
            self.client.records.read_epoch().0,
            self.server.records.write_epoch().0,
            self.server.records.read_epoch().0,
        ]
    }

    fn talk(&mut self) {
        let mut buf = [0; 200];
        let len = self.client.seal(self.now, b"up", &mut buf).unwrap();
        let received = self.server.handle_datagram(self.now, &mut buf[..len]);
        assert!(matches!(received, Received::Data { .. }), "{received:?}");
        let len = self.server.seal(self.now, b"down", &mut buf).unwrap();
        let received = self.client.handle_datagram(self.now, &mut buf[..len]);
        assert!(matches!(received, Received::Data { .. }), "{received:?}");
    }
}

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
    ends.now += receive::LINGER;
    let received = ends
        .server
        .handle_datagram(ends.now, &mut second[..lens[1]]);
    assert!(!ends.server.records.has_old_epochs());
    assert_eq!(received, Received::Dropped(DropReason::UnknownEpoch));
    ends.talk();
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
            let next = to.reassembler.next_seq() as u16 + count;
            from.flight.begin_at(next);
            to.reassembler.begin_at(next);
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

// req: T10
#[test]
fn tickets_are_acknowledged_and_forgotten() {
    let mut ends = connected_v13();
    // Lifetime, age, nonce, ticket, extensions.
    let ticket = b"\0\0\x1c\x20\0\0\0\0\x01n\0\x01t\0\0";
    let seq = ends.client.reassembler.next_seq() as u16;
    let kind = HandshakeType::NEW_SESSION_TICKET;
    let mut record = late_message(&mut ends.server, Epoch::APPLICATION, kind, seq, ticket);
    let mut again = late_message(&mut ends.server, Epoch::APPLICATION, kind, seq, ticket);
    let received = ends.client.handle_datagram(ends.now, &mut record);
    assert_eq!(received, Received::Handled);
    let mut buf = [0; 1200];
    assert_eq!(ends.client.poll_transmit(&mut buf), None);
    ends.now += Duration::from_millis(100);
    ends.client.handle_timeout(ends.now);
    assert!(
        ends.client.poll_transmit(&mut buf).is_some(),
        "an ACK after a while"
    );
    let received = ends.client.handle_datagram(ends.now, &mut again);
    assert_eq!(received, Received::Dropped(DropReason::StaleMessage));
    let due = ends.client.poll_timeout().unwrap();
    ends.client.handle_timeout(due);
    assert!(ends.client.poll_transmit(&mut buf).is_some(), "and again");
    ends.talk();
}

// req: T4 T30
#[test]
fn what_may_not_come_after_the_handshake_ends_it() {
    let unexpected = Some(PeerMisbehaved::UnexpectedMessage.into());
    for kind in [
        HandshakeType::CLIENT_HELLO,
        HandshakeType::SERVER_HELLO,
        HandshakeType::CERTIFICATE_REQUEST,
        HandshakeType::FINISHED,
        HandshakeType(99),
    ] {
        let mut ends = connected_v13();
        let seq = ends.client.reassembler.next_seq() as u16;
        let mut record = late_message(&mut ends.server, Epoch::APPLICATION, kind, seq, &[]);
        let _ = ends.client.handle_datagram(ends.now, &mut record);
        assert_eq!(ends.client.error().copied(), unexpected);
    }
    // Nor does anything in the handshake's epoch.
    let mut ends = half_connected_v13();
    // Behind the client's flight, which is on its way.
    let seq = ends.server.reassembler.next_seq() as u16 + 9;
    let finished = HandshakeType::FINISHED;
    let mut record = late_message(&mut ends.client, Epoch::HANDSHAKE, finished, seq, &[0; 32]);
    ends.run();
    assert_eq!(ends.server.state(), State::Connected);
    let _ = ends.server.handle_datagram(ends.now, &mut record);
    assert_eq!(ends.server.error().copied(), unexpected);

    let mut ends = connected_v13();
    let seq = ends.server.reassembler.next_seq() as u16;
    let ticket = HandshakeType::NEW_SESSION_TICKET;
    let mut record = late_message(&mut ends.client, Epoch::APPLICATION, ticket, seq, &[]);
    let _ = ends.server.handle_datagram(ends.now, &mut record);
    assert_eq!(
        ends.server.error().copied(),
        unexpected,
        "servers give tickets"
    );

    // After a KeyUpdate nothing new comes in its epoch.
    let mut ends = connected_v13();
    let seq = ends.server.reassembler.next_seq() as u16;
    let update = HandshakeType::KEY_UPDATE;
    let mut records = [seq, seq + 1]
        .map(|seq| late_message(&mut ends.client, Epoch::APPLICATION, update, seq, &[0]));
    for record in &mut records {
        let _ = ends.server.handle_datagram(ends.now, record);
    }
    assert_eq!(ends.server.error().copied(), unexpected);
}

/// A record that only an authentic peer can have written.
fn late_record(
    from: &mut Connection,
    epoch: Epoch,
    content_type: ContentType,
    body: &[u8],
) -> Vec<u8> {
    let mut out = vec![0; 200];
    let sealed = from
        .records
        .seal(epoch, content_type, [body, &[]], &mut out);
    out.truncate(sealed.unwrap().len);
    out
}

/// The client is connected; the server has the keys of the handshake, and waits for the client's flight.
fn half_connected_v13() -> Ends {
    let mut ends = Ends::of_v13();
    let mut buf = [0; 1500];
    while ends.client.state() != State::Connected {
        if let Some(len) = ends.client.poll_transmit(&mut buf) {
            let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
        }
        while let Some(len) = ends.server.poll_transmit(&mut buf) {
            let _ = ends.client.handle_datagram(ends.now, &mut buf[..len]);
        }
    }
    assert_eq!(ends.server.state(), State::Connecting);
    ends
}

// req: T30 T32
#[test]
fn data_under_the_keys_of_the_handshake_is_fatal_and_never_delivered() {
    let data = |from: &mut Connection| {
        late_record(
            from,
            Epoch::HANDSHAKE,
            ContentType::ApplicationData,
            b"data",
        )
    };
    let assert_refused = |to: &mut Connection, now, record: &mut [u8]| {
        assert_eq!(to.handle_datagram(now, record), Received::Handled);
        let error = Error::from(PeerMisbehaved::UnexpectedMessage);
        assert_eq!(to.error(), Some(&error));
        assert_eq!(error.alert(), Some(AlertDescription::UNEXPECTED_MESSAGE));
        assert_eq!(to.state(), State::Failed);
    };
    // During the handshake, and at an end that is connected already.
    let mut ends = half_connected_v13();
    let mut record = data(&mut ends.client);
    assert_refused(&mut ends.server, ends.now, &mut record);

    let mut ends = half_connected_v13();
    let mut record = data(&mut ends.server);
    assert_refused(&mut ends.client, ends.now, &mut record);

    // Behind the flight that connects the server.
    let mut ends = half_connected_v13();
    let mut record = data(&mut ends.client);
    ends.run();
    assert_eq!(ends.server.state(), State::Connected);
    assert_refused(&mut ends.server, ends.now, &mut record);
}

// req: T21
#[test]
fn an_authentic_acknowledgement_of_what_cannot_have_come_is_fatal() {
    const LAST: u64 = RecordNumber::SEQUENCES - 1;
    let ack = |from: &mut Connection, epoch, number: (u64, u64)| {
        // A possible one stands before it.
        let numbers = [(0, 0), number].map(|(epoch, sequence)| AckNumber { epoch, sequence });
        let mut body = Vec::new();
        Ack::Items(&numbers).encode(&mut body);
        late_record(from, epoch, ContentType::Ack, &body)
    };
    let of_handshake = (half_connected_v13 as fn() -> Ends, Epoch::HANDSHAKE);
    let of_data = (connected_v13 as fn() -> Ends, Epoch::APPLICATION);
    for ((ends, epoch), number, possible) in [
        (of_handshake, (2, LAST), true),
        (of_handshake, (2, LAST + 1), false),
        (of_handshake, (3, 0), false),
        (of_handshake, (u64::MAX, 0), false),
        (of_data, (4, 0), true),
        (of_data, (65_535, LAST), true),
        (of_data, (3, LAST + 1), false),
        (of_data, (3, u64::MAX), false),
        (of_data, (65_536, 0), false),
        (of_data, (1 << 32 | 3, 0), false),
    ] {
        let mut ends = ends();
        let mut record = ack(&mut ends.client, epoch, number);
        let received = ends.server.handle_datagram(ends.now, &mut record);
        assert_eq!(received, Received::Handled);
        let impossible = Error::from(PeerMisbehaved::AcknowledgedTheImpossible);
        assert_eq!(
            ends.server.error(),
            (!possible).then_some(&impossible),
            "{number:?}"
        );
        assert_eq!(
            impossible.alert(),
            Some(AlertDescription::ILLEGAL_PARAMETER)
        );
        ends.run();
        let state = match possible {
            true => State::Connected,
            false => State::Failed,
        };
        assert_eq!(ends.server.state(), state, "{number:?}");
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

/// Makes the extension that offers the extended master secret one that nobody knows, before the hello is sent.
fn forget_extended_master_secret(client: &mut Connection) {
    let Phase::Client(ClientState::ServerHello(state)) = &mut client.phase else {
        panic!("the first state");
    };
    for hello in [state.transcript_bytes(), client.flight.bytes()] {
        let at = hello
            .windows(4)
            .position(|four| four == [0, 23, 0, 0])
            .unwrap();
        hello[at] = 0x7a;
    }
}

// req: T4
#[test]
fn a_client_without_extended_master_secret_connects_only_where_both_allow_it() {
    for demanding in [None, Some(Side::Client), Some(Side::Server)] {
        let mut ends = Ends::new(|config, side| {
            if demanding != Some(side) {
                config.extended_master_secret = ExtendedMasterSecret::Preferred;
            }
        });
        forget_extended_master_secret(&mut ends.client);
        ends.run();
        let refused = PeerIncompatible::ExtendedMasterSecretRequired.into();
        match demanding {
            None => {
                let [ours, theirs] =
                    [&ends.client, &ends.server].map(|end| end.srtp_keys().unwrap());
                assert_eq!(ours.key(Side::Client), theirs.key(Side::Client));
            }
            Some(Side::Client) => assert_eq!(ends.client.error(), Some(&refused)),
            Some(Side::Server) => assert_eq!(ends.server.error(), Some(&refused)),
        }
    }
}

// req: T32
#[test]
fn plaintext_alerts_end_a_handshake_at_once_if_so_configured() {
    let alert = |ends: &mut Ends| {
        let mut datagram = *b"\x15\xfe\xfd\0\0\0\0\0\0\0\x09\0\x02\x02\x28";
        ends.client.handle_datagram(ends.now, &mut datagram)
    };
    let mut ends = Ends::new(|config, _| config.plaintext_alerts = PlaintextAlerts::Immediate);
    assert_eq!(alert(&mut ends), Received::Handled);
    let received = Error::AlertReceived(AlertDescription::HANDSHAKE_FAILURE);
    assert_eq!(ends.client.error(), Some(&received));

    let mut ends = Ends::new(|_, _| ());
    let dropped = Received::Dropped(DropReason::UnauthenticatedAlert);
    assert_eq!(alert(&mut ends), dropped);
    assert_eq!(ends.client.state(), State::Connecting);
}

// req: T20
#[test]
fn early_calls_of_handle_timeout_do_nothing() {
    let mut ends = Ends::new(|_, _| ());
    let due = ends.client.poll_timeout().unwrap();
    let mut buf = [0; 1200];
    while ends.client.poll_transmit(&mut buf).is_some() {}
    ends.client.handle_timeout(due - Duration::from_nanos(1));
    assert_eq!(ends.client.poll_transmit(&mut buf), None);
    assert_eq!(ends.client.poll_timeout(), Some(due));
    ends.client.handle_timeout(due);
    assert!(ends.client.poll_transmit(&mut buf).is_some());
    assert!(ends.client.poll_timeout().unwrap() > due);
}

const ALERT: [u8; 15] = *b"\x15\xfe\xfd\0\0\0\0\0\0\0\x09\0\x02\x02\x28";

// req: T32
#[test]
fn an_alert_before_any_handshake_is_not_even_suspected() {
    let mut ends = Ends::new(|config, _| config.plaintext_alerts = PlaintextAlerts::Immediate);
    let dropped = Received::Dropped(DropReason::UnauthenticatedAlert);
    assert_eq!(
        ends.server.handle_datagram(ends.now, &mut ALERT.clone()),
        dropped
    );
    ends.run();
    assert_eq!(ends.server.state(), State::Connected);
}

// req: T32
#[test]
fn an_alert_is_suspected_anew_after_it_was_disproved() {
    let mut ends = Ends::new(|_, _| ());
    let mut buf = [0; 1200];
    let _ = ends.client.handle_datagram(ends.now, &mut ALERT.clone());
    let len = ends.client.poll_transmit(&mut buf).unwrap();
    let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    let len = ends.server.poll_transmit(&mut buf).unwrap();
    let _ = ends.client.handle_datagram(ends.now, &mut buf[..len]);
    assert_eq!(ends.client.suspected_alert, None);
    let _ = ends.client.handle_datagram(ends.now, &mut ALERT.clone());
    let grace = ends.client.poll_timeout().unwrap();
    ends.client.handle_timeout(grace);
    let received = Error::AlertReceived(AlertDescription::HANDSHAKE_FAILURE);
    assert_eq!(ends.client.error(), Some(&received));
}

// req: T32
#[test]
fn a_server_of_dtls_1_3_alerts_under_keys_so_what_is_plain_is_not_even_suspected() {
    let mut ends = Ends::new(|config, _| {
        config.max_version = ProtocolVersion::DTLS1_3;
        config.plaintext_alerts = PlaintextAlerts::Immediate;
    });
    let mut buf = [0; 1200];
    let len = ends.client.poll_transmit(&mut buf).unwrap();
    let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    let len = ends.server.poll_transmit(&mut buf).unwrap();
    // The ServerHello alone: its record and nothing behind it.
    let hello = Header::LEN + usize::from(u16::from_be_bytes([buf[11], buf[12]]));
    assert!(hello < len);
    let mut alone = buf;
    let _ = ends.client.handle_datagram(ends.now, &mut alone[..hello]);
    let dropped = Received::Dropped(DropReason::UnauthenticatedAlert);
    let received = ends.client.handle_datagram(ends.now, &mut ALERT.clone());
    assert_eq!(received, dropped);
    assert_eq!(ends.client.suspected_alert, None);
    let _ = ends.client.handle_datagram(ends.now, &mut buf[..len]);
    ends.run();
    assert_eq!(ends.client.version(), Some(ProtocolVersion::DTLS1_3));
    assert_eq!(ends.client.state(), State::Connected);
}

// req: T23
#[test]
fn dtls_1_3_has_no_warnings_but_that_the_user_thinks_otherwise() {
    let warn = |ends: &mut Ends, description| {
        let mut out = [0; 100];
        let alert = Alert::warning(description).to_bytes();
        let epoch = ends.server.records.write_epoch();
        let parts: [&[u8]; 2] = [&alert, &[]];
        let sealed = ends
            .server
            .records
            .seal(epoch, ContentType::Alert, parts, &mut out);
        let len = sealed.unwrap().len;
        ends.client.handle_datagram(ends.now, &mut out[..len])
    };
    let (canceled, other) = (
        AlertDescription::USER_CANCELED,
        AlertDescription::HANDSHAKE_FAILURE,
    );
    let ignored = Received::Dropped(DropReason::IgnoredAlert);
    let mut ends = connected_v13();
    assert_eq!(warn(&mut ends, canceled), ignored);
    assert_eq!(ends.client.state(), State::Connected);
    assert_eq!(warn(&mut ends, other), Received::Handled);
    assert_eq!(ends.client.error(), Some(&Error::AlertReceived(other)));

    let mut ends = Ends::connected();
    assert_eq!(warn(&mut ends, other), ignored);
    assert_eq!(ends.client.state(), State::Connected);
}

// req: T23
#[test]
fn a_server_that_closes_before_its_flight_leaves_says_so_where_the_client_can_read_it() {
    let mut ends = Ends::new(|config, _| config.max_version = ProtocolVersion::DTLS1_3);
    let mut buf = [0; 1200];
    let len = ends.client.poll_transmit(&mut buf).unwrap();
    let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    ends.server.close(ends.now);
    let len = ends.server.poll_transmit(&mut buf).unwrap();
    assert_eq!(buf[..5], [21, 0xfe, 0xfd, 0, 0], "an alert in plaintext");
    assert_eq!(buf[Header::LEN..len], [1, 0]);
    assert_eq!(ends.server.poll_transmit(&mut buf), None);
}

// req: T20
#[test]
fn deadlines_may_be_so_far_that_they_never_come() {
    let mut ends = Ends::new(|config, _| {
        config.retransmission.deadline = Duration::MAX;
        config.fingerprint_deadline = Duration::MAX;
    });
    ends.run();
    assert_eq!(ends.client.state(), State::Connected);
    assert_eq!(ends.server.state(), State::Connected);
}

// req: T32
#[test]
fn a_plaintext_finished_that_waits_for_its_turn_is_forgotten_when_the_turn_comes() {
    let mut ends = Ends::new(|_, _| ());
    let mut buf = [0; 1200];
    let len = ends.client.poll_transmit(&mut buf).unwrap();
    let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    // Certificate, ClientKeyExchange, CertificateVerify are 1 to 3.
    let header = HandshakeHeader::whole(HandshakeType::FINISHED, 4, 12).to_bytes();
    let mut forged = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0, 24];
    forged.extend(header);
    forged.extend([0; 12]);
    let received = ends.server.handle_datagram(ends.now, &mut forged);
    assert_eq!(received, Received::Handled, "it may be the next but three");
    ends.run();
    assert_eq!(ends.server.state(), State::Connected);
    assert_eq!(ends.client.state(), State::Connected);
}

// req: T5
#[test]
fn a_certificate_verify_in_the_protected_epoch_is_out_of_order() {
    let mut ends = Ends::new(|_, _| ());
    let mut buf = [0; 1200];
    let len = ends.client.poll_transmit(&mut buf).unwrap();
    let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    let len = ends.server.poll_transmit(&mut buf).unwrap();
    let _ = ends.client.handle_datagram(ends.now, &mut buf[..len]);
    ends.client.flight.move_to(Epoch::DTLS1_2, 2);
    ends.run();
    let unexpected = PeerMisbehaved::UnexpectedMessage;
    assert_eq!(ends.server.error(), Some(&unexpected.into()));
}

// req: T1 T61
#[test]
fn a_message_of_a_later_epoch_than_its_turn_is_fatal_to_a_client() {
    for (version, later) in [
        (ProtocolVersion::DTLS1_2, Epoch::DTLS1_2),
        (ProtocolVersion::DTLS1_3, Epoch::HANDSHAKE),
        (ProtocolVersion::DTLS1_3, Epoch::APPLICATION),
    ] {
        for epoch in [Epoch::PLAINTEXT, later] {
            let mut ends = Ends::new(|config, _| {
                (config.min_version, config.max_version) = (version, version);
            });
            let mut buf = [0; 1500];
            let len = ends.client.poll_transmit(&mut buf).unwrap();
            let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
            let len = ends.server.poll_transmit(&mut buf).unwrap();
            // A whole ServerHello, the first message of the first record, as if it had come in that epoch.
            let hello = &buf[Header::LEN..];
            let length = u32::from_be_bytes([0, hello[1], hello[2], hello[3]]) as usize;
            let message = Message {
                epoch,
                handshake_type: HandshakeType::SERVER_HELLO,
                bytes: hello[..HandshakeHeader::LEN + length].to_vec(),
            };
            assert_eq!(message.bytes[0], HandshakeType::SERVER_HELLO.0);
            ends.client.reassembler.begin_with(0, Some(message));
            let _ = ends.client.handle_datagram(ends.now, &mut buf[..len]);
            ends.run();
            let unexpected = Error::from(PeerMisbehaved::UnexpectedMessage);
            let (error, state) = match epoch {
                Epoch::PLAINTEXT => (None, State::Connected),
                _ => (Some(&unexpected), State::Failed),
            };
            assert_eq!(ends.client.error(), error, "{version} {epoch}");
            assert_eq!(ends.client.state(), state, "{version} {epoch}");
        }
    }
}

// req: T67
#[test]
fn a_connection_whose_fingerprints_came_late_is_not_ended_by_the_deadline_for_them() {
    let mut ends = Ends::new(|_, _| ());
    let expected = std::mem::replace(&mut ends.client.remote, RemoteIdentity::Later);
    ends.run();
    assert_eq!(ends.client.state(), State::Connecting);
    let deadline = ends.client.poll_timeout().unwrap();
    assert_eq!(deadline, ends.now + Duration::from_secs(30));
    let RemoteIdentity::Fingerprints(set) = expected else {
        panic!("a set");
    };
    ends.client.set_remote_fingerprints(ends.now, set).unwrap();
    assert_eq!(ends.client.state(), State::Connected);
    assert_eq!(ends.client.poll_timeout(), None);
    ends.client.handle_timeout(deadline);
    assert_eq!(ends.client.state(), State::Connected);
}

#[cfg(feature = "deterministic")]
mod seeded {
    use super::*;

    const ED25519: &str = include_str!("../../tests/data/ed25519.pem");

    /// All datagrams of a handshake and some data, each way.
    fn conversation(seed: u8) -> Vec<Vec<u8>> {
        let identity = Arc::new(Identity::from_pem(ED25519, ED25519).unwrap());
        let end = |side: u8, setup| {
            let mut config = Config::new(identity.clone());
            config.max_version = ProtocolVersion::DTLS1_2;
            let config = Arc::new(config);
            Connection::with_seed([seed ^ side; 32], config, setup, RemoteIdentity::AcceptAny)
                .unwrap()
        };
        let now = now();
        let (mut client, mut server) = (end(0x40, Setup::Active), end(0x80, Setup::Passive));
        client.start(now);
        server.set_path_validated();
        server.start(now);
        let mut said = Vec::new();
        let mut buf = [0; 1200];
        loop {
            if let Some(len) = client.poll_transmit(&mut buf) {
                said.push(buf[..len].to_vec());
                let _ = server.handle_datagram(now, &mut buf[..len]);
            } else if let Some(len) = server.poll_transmit(&mut buf) {
                said.push(buf[..len].to_vec());
                let _ = client.handle_datagram(now, &mut buf[..len]);
            } else {
                break;
            }
        }
        let len = client.seal(now, b"connected", &mut buf).unwrap();
        said.push(buf[..len].to_vec());
        said
    }

    #[test]
    fn the_same_seed_says_the_same() {
        assert_eq!(conversation(1), conversation(1));
        assert_ne!(conversation(1), conversation(2));
    }
}
