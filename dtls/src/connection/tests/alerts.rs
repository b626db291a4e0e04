//! Alerts, plain and under keys.

use super::*;

fn suspected(connection: &Connection) -> Option<AlertDescription> {
    connection.affairs.opening()?.suspected_alert
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
    assert_eq!(suspected(&ends.client), None);
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
    assert_eq!(suspected(&ends.client), None);
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

// req: T32
#[test]
fn a_client_of_dtls_1_3_that_has_used_its_keys_says_nothing_in_plaintext() {
    for alert_first in [true, false] {
        let mut ends = Ends::new(|config, _| {
            config.min_version = ProtocolVersion::DTLS1_3;
            config.max_version = ProtocolVersion::DTLS1_3;
            // The client's last flight takes several datagrams.
            config.mtu = 256;
        });
        let mut buf = [0; 256];
        while let Some(len) = ends.client.poll_transmit(&mut buf) {
            let _ = ends.server.handle_datagram(ends.now, &mut buf[..len]);
        }
        while let Some(len) = ends.server.poll_transmit(&mut buf) {
            let _ = ends.client.handle_datagram(ends.now, &mut buf[..len]);
        }
        assert_eq!(ends.client.state(), State::Connected);
        let begins = |ends: &mut Ends, buf: &mut [u8]| {
            let len = ends.client.poll_transmit(buf).unwrap();
            let received = ends.server.handle_datagram(ends.now, &mut buf[..len]);
            assert_eq!(received, Received::Handled);
        };
        if !alert_first {
            begins(&mut ends, &mut buf);
        }
        let received = ends.server.handle_datagram(ends.now, &mut ALERT.clone());
        let dropped = Received::Dropped(DropReason::UnauthenticatedAlert);
        assert_eq!(received, dropped);
        assert_eq!(suspected(&ends.server).is_some(), alert_first);
        if alert_first {
            begins(&mut ends, &mut buf);
        }
        assert_eq!(suspected(&ends.server), None);
        assert!(!ends.server.work().timers.runs(Timer::Alert));
        ends.now += Duration::from_secs(2);
        ends.server.handle_timeout(ends.now);
        ends.run();
        assert_eq!(ends.server.state(), State::Connected);
    }
}

// req: T9 T23
#[test]
fn an_alert_waits_until_there_is_room_for_it() {
    let mut ends = Ends::new(|_, _| ());
    let mut buf = [0; 1500];
    let opening = ends.server.affairs.opening_mut().unwrap();
    opening.amplification = Amplification::START;
    ends.server.close(ends.now);
    assert_eq!(ends.server.poll_transmit(&mut buf), None);
    // Three bytes for each that comes, and one is missing.
    for (bytes, sent) in [(4, None), (1, Some(15))] {
        let _ = ends.server.handle_datagram(ends.now, &mut vec![22; bytes]);
        assert_eq!(ends.server.poll_transmit(&mut buf), sent);
    }
    assert_eq!(buf[..15], *b"\x15\xfe\xfd\0\0\0\0\0\0\0\0\0\x02\x01\0");
    ends.server.set_path_validated();
    assert_eq!(ends.server.poll_transmit(&mut buf), None, "it is said once");
}
