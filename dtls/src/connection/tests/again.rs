//! What is sent again, in which size and when, once the peer has been heard.

use super::leftovers::sent;
use super::*;
use crate::config::PlaintextAcks;
use crate::flight::FlightPacing;

impl Ends {
    /// The server's timer expires: the lengths of what it sends, and those datagrams.
    fn server_times_out(&mut self) -> (Vec<usize>, Vec<Vec<u8>>) {
        self.now = self.server.poll_timeout().unwrap();
        self.server.handle_timeout(self.now);
        let datagrams = sent(&mut self.server);
        (datagrams.iter().map(Vec::len).collect(), datagrams)
    }

    /// The server has sent its flight three times, by then in both sizes, and nothing of it arrived: the lengths at first, and
    /// the newest datagrams, the small ones before the others.
    fn third_time(&mut self) -> (Vec<usize>, Vec<Vec<u8>>) {
        for mut datagram in sent(&mut self.client) {
            let _ = self.server.handle_datagram(self.now, &mut datagram);
        }
        let first: Vec<_> = sent(&mut self.server).iter().map(Vec::len).collect();
        assert_eq!(self.server_times_out().0, first);
        let (third, datagrams) = self.server_times_out();
        assert!(
            third.len() > first.len() && third.ends_with(&first),
            "{third:?}"
        );
        (first, datagrams)
    }
}

// req: T21 T22
#[test]
fn who_hears_a_part_of_the_answer_doubts_the_mtu_no_more() {
    let mut ends = Ends::new(|config, side| {
        config.retransmission.deadline = Duration::from_secs(3600);
        config.plaintext_acks = PlaintextAcks::Believed;
        if side == Side::Client {
            config.mtu = 256;
        }
    });
    let (first, datagrams) = ends.third_time();
    for mut datagram in datagrams {
        let _ = ends.client.handle_datagram(ends.now, &mut datagram);
    }
    let mut answer = sent(&mut ends.client);
    assert!(answer.len() > 1, "the rest of it is lost");
    let _ = ends.server.handle_datagram(ends.now, &mut answer[0]);
    assert_eq!(ends.server_times_out().0, first);
    assert!(ends.server_times_out().0.len() > first.len(), "lost twice");
}

/// The server's flight of DTLS 1.3 was sent three times, and the client acknowledges the first small datagram of the third.
fn partly_acknowledged() -> (Ends, Vec<u8>) {
    let mut ends = Ends::new(|config, _| {
        config.max_version = ProtocolVersion::DTLS1_3;
        config.retransmission.deadline = Duration::from_secs(3600);
        (config.mtu, config.fallback_mtu) = (500, 256);
    });
    let (_, mut datagrams) = ends.third_time();
    assert!(datagrams[0].len() <= 256);
    let _ = ends.client.handle_datagram(ends.now, &mut datagrams[0]);
    let due = ends.client.poll_timeout().unwrap();
    ends.client.handle_timeout(due);
    let mut acks = sent(&mut ends.client);
    assert_eq!(acks.len(), 1);
    (ends, acks.remove(0))
}

// req: T21 T22
#[test]
fn who_hears_an_ack_doubts_the_mtu_no_more() {
    let (mut ends, mut ack) = partly_acknowledged();
    ends.now += Duration::from_millis(10);
    let received = ends.server.handle_datagram(ends.now, &mut ack);
    assert_eq!(received, Received::Handled);
    let before = ends.now;
    let (rest, _) = ends.server_times_out();
    assert!(ends.now < before + Duration::from_secs(1), "the gap");
    assert!(rest[0] > 256, "{rest:?}");
}

// req: T21
#[test]
fn what_the_timer_has_sent_again_is_not_sent_once_more_for_the_gap() {
    let (mut ends, mut ack) = partly_acknowledged();
    let due = ends.server.poll_timeout().unwrap();
    let _ = ends
        .server
        .handle_datagram(due - Duration::from_millis(1), &mut ack);
    assert_eq!(ends.server.poll_timeout(), Some(due));
    let _ = ends.server_times_out();
    assert_eq!(ends.now, due);
    let next = ends.server.poll_timeout().unwrap();
    assert_eq!(
        next,
        due + Duration::from_millis(3200),
        "the fourth time-out"
    );
}

// req: T21 T40
#[test]
fn a_flight_that_is_the_pacers_is_not_sent_again_for_a_peer_that_repeats_itself() {
    for version in [ProtocolVersion::DTLS1_2, ProtocolVersion::DTLS1_3] {
        let mut ends = Ends::new(|config, _| config.max_version = version);
        let hello = sent(&mut ends.client);
        let repeat = |ends: &mut Ends| {
            for datagram in &hello {
                let _ = ends.server.handle_datagram(ends.now, &mut datagram.clone());
            }
            sent(&mut ends.server).len()
        };
        assert!(repeat(&mut ends) > 0, "and it is lost");
        let pacer = FlightPacing::External;
        ends.server.set_flight_pacing(ends.now, pacer);
        ends.now += Duration::from_secs(1);
        assert_eq!(repeat(&mut ends), 0);
        assert_eq!(ends.server.stats().retransmitted_flights, 0);
        // Whoever was the connection's before is sent at once where it is again, for that it may have been long.
        ends.server
            .set_flight_pacing(ends.now, FlightPacing::Internal);
        assert!(!sent(&mut ends.server).is_empty());
        let next = ends.server.poll_timeout().unwrap();
        assert_eq!(next, ends.now + Duration::from_millis(400));
    }
}
