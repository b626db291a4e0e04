//! Records that no honest peer writes: fatal where they authenticate, nothing at all where they do not (RFC 8446 §5, §6;
//! RFC 5246 §6.2, §7.2).

mod common;

use common::puppet::stage::Stage;
use common::puppet::{Cast, Version};
use common::wire::{ALERT, APPLICATION_DATA, HANDSHAKE};
use floe_dtls::*;

/// One byte more than a record can hold.
const TOO_LONG: usize = (1 << 14) + 1;

struct Fault {
    /// Of the only version that can have such a record, if one cannot.
    version: Option<Version>,
    content_type: u8,
    body: Vec<u8>,
    error: Error,
    alert: u8,
}

fn fault(content_type: u8, body: &[u8], error: impl Into<Error>, alert: u8) -> Fault {
    Fault {
        version: None,
        content_type,
        body: body.to_vec(),
        error: error.into(),
        alert,
    }
}

/// The type stands inside the protection.
fn of_v13(fault: Fault) -> Fault {
    Fault {
        version: Some(Version::V13),
        ..fault
    }
}

fn faults() -> Vec<Fault> {
    let (too_short, trailing) = (
        InvalidMessage::MessageTooShort,
        InvalidMessage::TrailingBytes,
    );
    let (type_unknown, too_long) = (
        PeerMisbehaved::RecordTypeUnknown,
        PeerMisbehaved::RecordTooLong,
    );
    vec![
        fault(ALERT, &[], too_short, 50),
        fault(ALERT, &[2], too_short, 50),
        fault(ALERT, &[1, 0, 0], trailing, 50),
        fault(ALERT, &[3, 40], InvalidMessage::UnknownAlertLevel, 47),
        fault(APPLICATION_DATA, &[7; TOO_LONG], too_long, 22),
        fault(HANDSHAKE, &[0; TOO_LONG], too_long, 22),
        of_v13(fault(0, &[], type_unknown, 10)),
        of_v13(fault(0, &[0; 100], type_unknown, 10)),
        of_v13(fault(99, b"of no type", type_unknown, 10)),
    ]
}

fn each(mut test: impl FnMut(Stage, &Fault)) {
    let cast = Cast::new();
    for version in [Version::V12, Version::V13] {
        for victim in [Side::Client, Side::Server] {
            for fault in faults() {
                if fault.version.is_none_or(|only| only == version) {
                    test(Stage::connected(version, victim, &cast), &fault);
                }
            }
        }
    }
}

/// What the peer writes, authentic.
fn record(stage: &mut Stage, fault: &Fault) -> Vec<u8> {
    let epoch = stage.puppet.data_epoch();
    stage.puppet.seal(epoch, fault.content_type, &fault.body)
}

// req: T23 T32
#[test]
fn a_record_that_no_honest_peer_writes_is_fatal_once_it_authenticates() {
    each(|mut stage, fault| {
        let datagram = record(&mut stage, fault);
        let _ = stage.give(datagram);
        stage.listen();
        assert_eq!(stage.victim.state(), State::Failed);
        assert_eq!(stage.victim.error(), Some(&fault.error));
        assert_eq!(stage.puppet.alerts.last(), Some(&[2, fault.alert]));
    });
}

// req: T32
#[test]
fn the_same_record_is_dropped_while_it_may_be_anybodys() {
    each(|mut stage, fault| {
        let mut forged = record(&mut stage, fault);
        *forged.last_mut().unwrap() ^= 1;
        let dropped = Received::Dropped(DropReason::BadMac);
        assert_eq!(stage.give(forged), dropped);
        assert_eq!(stage.listen(), 0);
        stage.assert_talking();
    });
}

// req: T23
#[test]
fn nothing_behind_a_close_notify_makes_a_failure_of_it() {
    each(|mut stage, fault| {
        let epoch = stage.puppet.data_epoch();
        let mut datagram = stage.puppet.seal(epoch, ALERT, &[1, 0]);
        datagram.extend(record(&mut stage, fault));
        let _ = stage.give(datagram);
        stage.listen();
        assert_eq!(stage.victim.state(), State::Closed);
        assert_eq!(stage.puppet.alerts.last(), Some(&[1, 0]));
    });
}
