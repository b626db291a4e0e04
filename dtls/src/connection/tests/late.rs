//! What comes after the handshake, or in its wrong epoch, from a peer that is authentic.

use super::*;
use crate::connection_id::ConnectionId;
use crate::error::InvalidMessage;

/// A record of the protected epoch with a whole handshake message in it.
pub(super) fn handshake_record(
    from: &mut Connection,
    handshake_type: HandshakeType,
    seq: u16,
) -> Vec<u8> {
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
            assert_eq!(
                to.work().alerts.iter().last(),
                Some(&(Epoch::DTLS1_2, alert))
            );
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
    assert_eq!(ends.client.work().alerts.iter().count(), MAX_ALERTS);
    let mut old = handshake_record(&mut ends.server, HandshakeType::CERTIFICATE, 1);
    let dropped = Received::Dropped(DropReason::LateHandshake);
    assert_eq!(ends.client.handle_datagram(ends.now, &mut old), dropped);
    assert_eq!(ends.client.state(), State::Connected);
    // They are in the way of nothing that matters more.
    ends.client.close(ends.now);
    assert_eq!(ends.client.work().alerts.iter().count(), MAX_ALERTS);
    ends.run();
    assert_eq!(ends.server.state(), State::Closed);
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

/// A message in the given epoch, which only an authentic peer can have written.
fn late_message(
    from: &mut Connection,
    epoch: Epoch,
    kind: HandshakeType,
    seq: u16,
    body: &[u8],
) -> Vec<u8> {
    let header = HandshakeHeader::whole(kind, seq, body.len() as u32).to_bytes();
    let mut out = vec![0; 400];
    let sealed = from
        .records
        .seal(epoch, ContentType::Handshake, [&header, body], &mut out);
    out.truncate(sealed.unwrap().len);
    out
}

// req: T10
#[test]
fn tickets_are_acknowledged_and_forgotten() {
    let mut ends = connected_v13();
    // Lifetime, age, nonce, ticket, extensions.
    let ticket = b"\0\0\x1c\x20\0\0\0\0\x01n\0\x01t\0\0";
    let seq = ends.client.work().reassembler.next_seq() as u16;
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
        // No names were negotiated.
        HandshakeType::NEW_CONNECTION_ID,
        HandshakeType::REQUEST_CONNECTION_ID,
        HandshakeType(99),
    ] {
        let mut ends = connected_v13();
        let seq = ends.client.work().reassembler.next_seq() as u16;
        let mut record = late_message(&mut ends.server, Epoch::APPLICATION, kind, seq, &[]);
        let _ = ends.client.handle_datagram(ends.now, &mut record);
        assert_eq!(ends.client.error().copied(), unexpected);
    }
    // Nor does anything in the handshake's epoch.
    let mut ends = half_connected_v13();
    deliver_from_client(&mut ends);
    let seq = ends.server.work().reassembler.next_seq() as u16 + 9;
    let finished = HandshakeType::FINISHED;
    let mut record = late_message(&mut ends.client, Epoch::HANDSHAKE, finished, seq, &[0; 32]);
    assert_eq!(ends.server.state(), State::Connected);
    let _ = ends.server.handle_datagram(ends.now, &mut record);
    assert_eq!(ends.server.error().copied(), unexpected);

    let mut ends = connected_v13();
    let seq = ends.server.work().reassembler.next_seq() as u16;
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
    let seq = ends.server.work().reassembler.next_seq() as u16;
    let update = HandshakeType::KEY_UPDATE;
    let mut records = [seq, seq + 1]
        .map(|seq| late_message(&mut ends.client, Epoch::APPLICATION, update, seq, &[0]));
    for record in &mut records {
        let _ = ends.server.handle_datagram(ends.now, record);
    }
    assert_eq!(ends.server.error().copied(), unexpected);

    // Nor does the beginning of something, which nobody waits for the rest of.
    let mut ends = connected_v13();
    let mut ended = late_message(&mut ends.client, Epoch::APPLICATION, update, seq, &[0]);
    let _ = ends.server.handle_datagram(ends.now, &mut ended);
    assert_eq!(ends.server.error(), None);
    let header = HandshakeHeader {
        fragment_length: 0,
        ..HandshakeHeader::whole(update, seq + 1, 1)
    };
    let begun = header.to_bytes();
    let handshake = ContentType::Handshake;
    let mut begun = late_record(&mut ends.client, Epoch::APPLICATION, handshake, &begun);
    let _ = ends.server.handle_datagram(ends.now, &mut begun);
    assert_eq!(ends.server.error().copied(), unexpected);

    // Nor what came before its turn, and before the KeyUpdate.
    let mut ends = connected_v13();
    for seq in [seq + 1, seq] {
        assert_eq!(ends.server.error(), None);
        let mut record = late_message(&mut ends.client, Epoch::APPLICATION, update, seq, &[0]);
        let _ = ends.server.handle_datagram(ends.now, &mut record);
    }
    assert_eq!(ends.server.error().copied(), unexpected);
    assert_eq!(ends.epochs()[3], 4, "the first one was taken");
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

/// The client's flight comes; the answer to it is still on its way.
fn deliver_from_client(ends: &mut Ends) {
    let mut buf = [0; 1500];
    while let Some(len) = ends.client.poll_transmit(&mut buf) {
        let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    }
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
    deliver_from_client(&mut ends);
    let mut record = data(&mut ends.client);
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

/// Both ends have names.
fn named_v13() -> Ends {
    named(b"client", b"server")
}

/// The ends call each other so in DTLS 1.3.
fn named(client: &'static [u8], server: &'static [u8]) -> Ends {
    let mut ends = Ends::new(|config, side| {
        config.min_version = ProtocolVersion::DTLS1_3;
        config.max_version = ProtocolVersion::DTLS1_3;
        config.fallback_mtu = 300;
        config.connection_id = ConnectionId::new(match side {
            Side::Client => client,
            Side::Server => server,
        });
    });
    ends.run();
    ends
}

impl Ends {
    /// The server says something about names, and the client takes it; what the client's next record calls the server.
    fn server_says(&mut self, kind: HandshakeType, body: &[u8]) -> Vec<u8> {
        let seq = self.client.work().reassembler.next_seq() as u16;
        let mut record = late_message(&mut self.server, Epoch::APPLICATION, kind, seq, body);
        let _ = self.client.handle_datagram(self.now, &mut record);
        let mut out = [0; 300];
        let len = self.client.seal(self.now, b"x", &mut out).unwrap();
        // Header, number and length around the name; inner type and tag.
        out[1..len - 1 - 2 - 2 - 1 - 16].to_vec()
    }
}

// req: T35
#[test]
fn a_peer_that_takes_another_name_is_called_by_it_at_once() {
    let new = HandshakeType::NEW_CONNECTION_ID;
    let mut ends = named_v13();
    assert_eq!(ends.server_says(new, b"\0\x04\x03one\x01"), b"server");
    assert_eq!(ends.server_says(new, b"\0\0\0"), b"server");
    assert_eq!(ends.server_says(new, b"\0\x08\x03one\x03two\0"), b"one");
    // 1200 bytes have room for any name, the fallback's 300 have not; one that is spare is not used.
    let named_at_length = |len: u8, usage: u8| {
        let mut body = vec![0, len + 1, len];
        body.resize(3 + usize::from(len), b'n');
        body.push(usage);
        body
    };
    assert_eq!(ends.server_says(new, &named_at_length(254, 1)), b"one");
    assert_eq!(ends.server_says(new, &named_at_length(198, 0)).len(), 198);
    assert_eq!(ends.server_says(new, b"\0\x01\0\0"), b"");
    let too_long = Error::from(PeerIncompatible::ConnectionIdTooLong);
    for (body, fault) in [
        (
            &b"\0\0\x02"[..],
            InvalidMessage::ConnectionIdUsageUnknown.into(),
        ),
        (b"\0\x02\x02a\0", InvalidMessage::MessageTooShort.into()),
        (b"\0\0\0\0", InvalidMessage::TrailingBytes.into()),
        (&named_at_length(199, 0), too_long),
    ] {
        let mut ends = named_v13();
        let seq = ends.client.work().reassembler.next_seq() as u16;
        let mut record = late_message(&mut ends.server, Epoch::APPLICATION, new, seq, body);
        let _ = ends.client.handle_datagram(ends.now, &mut record);
        assert_eq!(ends.client.error(), Some(&fault));
    }
}

// req: T35
#[test]
fn a_request_for_names_is_answered_that_there_are_no_others() {
    let mut ends = named_v13();
    let mut buf = [0; 1500];
    // A KeyUpdate is in the air: the answer waits for its turn.
    let update = crate::KeyUpdateRequest::NotRequested;
    ends.client.update_keys(ends.now, update).unwrap();
    let len = ends.client.poll_transmit(&mut buf).unwrap();
    let request = HandshakeType::REQUEST_CONNECTION_ID;
    assert_eq!(ends.server_says(request, &[3]), b"server");
    // The server did not say so by its own machine, so it goes on behind it.
    let said = ends.client.work().reassembler.next_seq() as u16;
    ends.server.work().flight.begin_at(said);
    let heard = ends.server.work().reassembler.next_seq();
    let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
    ends.run();
    assert_eq!(ends.server.work().reassembler.next_seq(), heard + 2);
    assert!(!ends.client.work().flight.is_in_air(), "it is acknowledged");
    let name = ends.server.records.connection_ids().unwrap();
    assert_eq!(name.theirs.as_bytes(), b"client");
    assert_eq!(ends.client.state(), State::Connected);
    assert_eq!(ends.server.state(), State::Connected);
}

// req: T35
#[test]
fn where_an_end_has_the_empty_name_there_is_nothing_to_say_about_names() {
    let unexpected = Error::from(PeerMisbehaved::UnexpectedMessage);
    let (new, request) = (
        HandshakeType::NEW_CONNECTION_ID,
        HandshakeType::REQUEST_CONNECTION_ID,
    );
    for (client, server, kind, body, error) in [
        // The server wants to be called nothing, and then something.
        (
            &b"client"[..],
            &b""[..],
            new,
            &b"\0\x04\x03one\0"[..],
            Some(&unexpected),
        ),
        (b"client", b"", request, &[1], None),
        // It calls the client nothing, and asks for other names.
        (b"", b"server", request, &[1], Some(&unexpected)),
        (b"", b"server", new, b"\0\x04\x03one\0", None),
    ] {
        let mut ends = named(client, server);
        let seq = ends.client.work().reassembler.next_seq() as u16;
        let mut record = late_message(&mut ends.server, Epoch::APPLICATION, kind, seq, body);
        let _ = ends.client.handle_datagram(ends.now, &mut record);
        assert_eq!(ends.client.error(), error, "{kind:?}");
    }
}
