//! What an end leaves behind, and what is left for a peer that may lack something of the last flight.

use allocation_counter::measure;

use super::late::handshake_record;
use super::*;

impl Ends {
    /// Of DTLS 1.2, and the server is connected, but nothing of its last flight arrives.
    fn deaf_client() -> Self {
        let mut ends = Self::new(|config, _| {
            config.retransmission.deadline = Duration::from_secs(3600);
        });
        while ends.server.state() != State::Connected {
            for mut datagram in sent(&mut ends.server) {
                let _ = ends.client.handle_datagram(ends.now, &mut datagram);
            }
            for mut datagram in sent(&mut ends.client) {
                let _ = ends.server.handle_datagram(ends.now, &mut datagram);
            }
        }
        assert!(!sent(&mut ends.server).is_empty(), "it is lost");
        ends
    }

    /// The client's timer has expired, and its flight arrives once more.
    fn client_repeats(&mut self) {
        self.client.handle_timeout(self.now);
        for mut datagram in sent(&mut self.client) {
            let _ = self.server.handle_datagram(self.now, &mut datagram);
        }
    }
}

/// All that there is to send.
pub(super) fn sent(from: &mut Connection) -> Vec<Vec<u8>> {
    let mut buf = [0; 1500];
    std::iter::from_fn(|| {
        let len = from.poll_transmit(&mut buf)?;
        Some(buf[..len].to_vec())
    })
    .collect()
}

/// It was lost before, and the client's timer may have become long.
// req: T21
#[test]
fn a_last_flight_that_is_asked_for_is_sent_once_more_by_itself() {
    let mut ends = Ends::deaf_client();
    assert_eq!(ends.server.poll_timeout(), None, "nobody has asked for it");
    ends.now += Duration::from_secs(1);
    ends.client_repeats();
    assert_eq!(sent(&mut ends.server).len(), 1, "and that is lost too");
    let again = ends.now + Duration::from_millis(400);
    assert_eq!(ends.server.poll_timeout(), Some(again));
    ends.server.handle_timeout(again);
    for mut datagram in sent(&mut ends.server) {
        let _ = ends.client.handle_datagram(again, &mut datagram);
    }
    assert_eq!(ends.client.state(), State::Connected);
    assert_eq!(ends.server.poll_timeout(), None, "not for ever");
}

// req: T21
#[test]
fn a_last_flight_is_kept_for_four_minutes_to_the_nanosecond() {
    for (short_of_it, answers) in [(1, 1), (0, 0)] {
        let mut ends = Ends::deaf_client();
        ends.now += LINGER - Duration::from_nanos(short_of_it);
        ends.client_repeats();
        assert_eq!(sent(&mut ends.server).len(), answers);
    }
}

/// A server may send data before it has the client's Finished (RFC 8446 §4.4.4): only an ACK says that it has.
// req: T21 T40
#[test]
fn data_of_a_server_of_dtls_1_3_does_not_confirm_the_clients_last_flight() {
    let mut ends = Ends::of_v13();
    while ends.client.state() != State::Connected {
        for mut datagram in sent(&mut ends.client) {
            let _ = ends.server.handle_datagram(ends.now, &mut datagram);
        }
        for mut datagram in sent(&mut ends.server) {
            let _ = ends.client.handle_datagram(ends.now, &mut datagram);
        }
    }
    assert_eq!(ends.server.state(), State::Connecting);
    let mut buf = [0; 100];
    let data = [&b"early"[..], &[]];
    let records = &mut ends.server.records;
    let sealed = records.seal(
        Epoch::APPLICATION,
        ContentType::ApplicationData,
        data,
        &mut buf,
    );
    let (early, _) = buf.split_at_mut(sealed.unwrap().len);
    let received = ends.client.handle_datagram(ends.now, early);
    assert!(matches!(received, Received::Data { .. }), "{received:?}");
    assert!(!ends.client.is_handshake_confirmed());
    ends.run();
    assert!(ends.client.is_handshake_confirmed());
    assert_eq!(ends.server.state(), State::Connected);
}

// req: T4 T52
#[test]
fn a_renegotiation_that_was_declined_leaves_nothing_behind() {
    let mut ends = Ends::connected();
    let mut record = handshake_record(&mut ends.server, HandshakeType::HELLO_REQUEST, 0);
    let mut buf = [0; 1500];
    assert!(ends.client.poll_event().is_some());
    while ends.client.poll_event().is_some() {}
    assert!(ends.client.is_idle());
    let counted = measure(|| {
        let received = ends.client.handle_datagram(ends.now, &mut record);
        assert_eq!(received, Received::Handled);
        assert!(ends.client.poll_transmit(&mut buf).is_some());
        assert_eq!(ends.client.poll_transmit(&mut buf), None);
    });
    assert!(ends.client.is_idle());
    assert_eq!(counted.bytes_current, 0);
}

// req: T23
#[test]
fn an_alert_that_waits_is_not_sent_after_the_application_has_refused_the_peer() {
    let mut ends = Ends::connected();
    let mut record = handshake_record(&mut ends.server, HandshakeType::HELLO_REQUEST, 0);
    let _ = ends.client.handle_datagram(ends.now, &mut record);
    ends.client.abort(ends.now, AlertDescription::ACCESS_DENIED);
    let [mut last] = <[_; 1]>::try_from(sent(&mut ends.client)).unwrap();
    let _ = ends.server.handle_datagram(ends.now, &mut last);
    let denied = Error::AlertReceived(AlertDescription::ACCESS_DENIED);
    assert_eq!(ends.server.error(), Some(&denied));
}

// req: T2 T52
#[test]
fn pieces_of_messages_are_let_go_with_the_connection() {
    let ways: [fn(&mut Connection, Instant); 3] = [
        |server, now| server.close(now),
        |server, now| server.abort(now, AlertDescription::ACCESS_DENIED),
        |server, now| server.fail(now, Error::HandshakeTimedOut),
    ];
    for end in ways {
        let mut ends = Ends::new(|config, _| {
            config.mtu = 256;
            config.alpn_protocols = vec![vec![b'a'; 200]];
        });
        let mut pieces = sent(&mut ends.client);
        assert!(pieces.len() > 1);
        let _ = ends.server.handle_datagram(ends.now, &mut pieces[0]);
        assert!(ends.server.work().reassembler.held() > 0);
        end(&mut ends.server, ends.now);
        assert_eq!(ends.server.work().reassembler.held(), 0);
        let ended = Received::Dropped(DropReason::Ended);
        let received = ends.server.handle_datagram(ends.now, &mut pieces[1]);
        assert_eq!(received, ended);
    }
}
