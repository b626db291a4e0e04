//! Application data: nonces, windows, sizes, and no allocation (RFC 6347 §4.1, RFC 5288 §3).
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::Duration;

use common::wire::{APPLICATION_DATA, records};
use common::*;
use floe_dtls::*;

/// Seals on `from`, opens on `to`, in buffers of the caller's; gives what arrived.
fn pass<'b>(
    from: &mut Connection,
    to: &mut Connection,
    data: &[u8],
    buffer: &'b mut [u8],
) -> &'b [u8] {
    let now = sim::Clock::epoch();
    let len = from.seal(now, data, buffer).unwrap();
    let Received::Data { range, rest } = to.handle_datagram(now, &mut buffer[..len]) else {
        panic!("data");
    };
    assert!(rest.is_empty());
    &buffer[range]
}

fn connected_with(suite: CipherSuite) -> Story {
    let mut client = config(CLIENT);
    client.cipher_suites = vec![suite];
    let mut pair = pair_with(1, client, config(SERVER));
    connect(&mut pair);
    pair.drive();
    pair
}

// req: T30
#[test]
fn explicit_nonces_are_epoch_and_sequence_number_and_never_repeat() {
    for suite in [
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ] {
        let mut pair = connected_with(suite);
        let mut out = [0; 1200];
        // Record 0 of the epoch was the Finished.
        for sequence in 1..20_000u64 {
            let len = pair.a.dtls.seal(pair.now(), b"x", &mut out).unwrap();
            let record = &records(&out[..len])[0];
            assert_eq!((record.epoch, record.sequence), (1, sequence));
            assert_eq!(record.body[..8], (1u64 << 48 | sequence).to_be_bytes());
        }
    }
}

// req: T30
#[test]
fn chacha_records_have_no_explicit_nonce() {
    let mut pair = connected_with(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256);
    let mut out = [0; 1200];
    assert_eq!(
        pair.a.dtls.seal(pair.now(), b"four", &mut out),
        Ok(13 + 4 + 16)
    );
    assert_talking(&mut pair);
}

// req: T34
#[test]
fn sealing_and_opening_allocate_nothing() {
    for version in VERSIONS {
        let mut pair = connected_in(version, 1);
        let data = [7; 1100];
        let mut buffer = [0; 1200];
        pass(&mut pair.a.dtls, &mut pair.b.dtls, &data, &mut buffer);
        let counted = allocation_counter::measure(|| {
            for _ in 0..100 {
                let heard = pass(&mut pair.a.dtls, &mut pair.b.dtls, &data, &mut buffer);
                assert_eq!(heard, data);
                let heard = pass(
                    &mut pair.b.dtls,
                    &mut pair.a.dtls,
                    &data[..100],
                    &mut buffer,
                );
                assert_eq!(heard, &data[..100]);
            }
        });
        assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
    }
}

// req: T34
#[test]
fn every_size_up_to_the_mtu_passes_and_one_more_is_an_error() {
    let mut pair = connected(1);
    let longest = pair.a.dtls.max_plaintext().unwrap();
    assert_eq!(longest, 1200 - 13 - 8 - 16);
    let data: Vec<u8> = (0..longest + 1).map(|index| index as u8).collect();
    let mut buffer = [0; 1200];
    for len in (0..=longest).step_by(97).chain([longest]) {
        let heard = pass(
            &mut pair.a.dtls,
            &mut pair.b.dtls,
            &data[..len],
            &mut buffer,
        );
        assert_eq!(heard, &data[..len]);
    }
    let now = pair.now();
    let too_long = Err(ApiMisuse::PlaintextTooLong.into());
    assert_eq!(pair.a.dtls.seal(now, &data, &mut buffer), too_long);
    let too_small = Err(ApiMisuse::BufferTooSmall.into());
    assert_eq!(
        pair.a.dtls.seal(now, &data[..longest], &mut buffer[..1199]),
        too_small
    );
    // Neither cost a record number.
    let len = pair.a.dtls.seal(now, &data[..1], &mut buffer).unwrap();
    let sequence = records(&buffer[..len])[0].sequence;
    assert_eq!(sequence, 1 + (0..=longest).step_by(97).count() as u64 + 1);
}

// req: T34 T22
#[test]
fn a_record_holds_two_to_the_fourteen_bytes_whatever_the_mtu() {
    let mut pair = pair_with(1, config(CLIENT), config(SERVER));
    connect(&mut pair);
    for (mtu, longest) in [(900, 900 - 37), (16_384, 16_384 - 37), (16_640, 16_384)] {
        pair.a.dtls.set_mtu(mtu).unwrap();
        assert_eq!(pair.a.dtls.max_plaintext(), Some(longest));
    }
    for mtu in [255, 16_641] {
        assert_eq!(pair.a.dtls.set_mtu(mtu), Err(ApiMisuse::MtuOutOfRange));
    }
}

// req: T34
#[test]
fn one_call_stops_after_the_first_application_record() {
    for version in VERSIONS {
        let mut pair = connected_in(version, 1);
        let now = pair.now();
        let mut datagram = Vec::new();
        for text in ["one", "two", "three"] {
            let mut out = [0; 100];
            let len = pair.a.dtls.seal(now, text.as_bytes(), &mut out).unwrap();
            datagram.extend_from_slice(&out[..len]);
            // Something that is dropped stands between them.
            datagram.extend_from_slice(&[23, 0xfe, 0xfd, 0, 9, 0, 0, 0, 0, 0, 1, 0, 1, 0]);
        }
        let mut heard = Vec::new();
        let mut unread = 0..datagram.len();
        while !unread.is_empty() {
            let start = unread.start;
            match pair.b.dtls.handle_datagram(now, &mut datagram[unread]) {
                Received::Data { range, rest } => {
                    heard.push(datagram[start + range.start..start + range.end].to_vec());
                    unread = start + rest.start..start + rest.end;
                }
                other => {
                    assert_eq!(other, Received::Dropped(DropReason::UnknownEpoch));
                    break;
                }
            }
        }
        assert_eq!(heard, [&b"one"[..], b"two", b"three"]);
        assert_eq!(pair.b.dropped(DropReason::UnknownEpoch), 3);
    }
}

// req: T31
#[test]
fn records_may_be_overtaken_within_the_window_and_are_taken_once() {
    for version in VERSIONS {
        let mut pair = connected_in(version, 1);
        let now = pair.now();
        let mut datagrams: Vec<Vec<u8>> = (0..300u16)
            .map(|index| {
                let mut out = [0; 100];
                let len = pair
                    .a
                    .dtls
                    .seal(now, &index.to_be_bytes(), &mut out)
                    .unwrap();
                out[..len].to_vec()
            })
            .collect();
        let mut take = |index: usize| {
            let mut datagram = datagrams[index].clone();
            pair.b.dtls.handle_datagram(now, &mut datagram)
        };
        let replayed = Received::Dropped(DropReason::Replayed);
        assert!(matches!(take(299), Received::Data { .. }));
        for old in [0, 43] {
            assert_eq!(take(old), replayed, "256 or more behind");
        }
        for index in (44..299).rev() {
            assert!(matches!(take(index), Received::Data { .. }), "{index}");
            assert_eq!(take(index), replayed);
        }
        datagrams.clear();
    }
}

// req: T34
#[test]
fn nothing_is_sealed_or_exported_before_the_peer_is_verified() {
    for version in VERSIONS {
        let mut pair = pair_in(version, 1);
        let mut out = [0; 100];
        start(&mut pair);
        loop {
            let now = pair.now();
            for peer in [&mut pair.a, &mut pair.b] {
                let connected = peer.is_connected();
                assert_eq!(peer.dtls.seal(now, b"x", &mut out).is_ok(), connected);
                assert_eq!(peer.dtls.srtp_keys().is_some(), connected);
                assert_eq!(
                    peer.dtls
                        .export_keying_material("x", None, &mut out)
                        .is_ok(),
                    connected
                );
                assert_eq!(peer.dtls.peer_certificate().is_some(), connected);
                assert_eq!(peer.dtls.max_plaintext().is_some(), connected);
            }
            if pair.a.is_connected() && pair.b.is_connected() {
                break;
            }
            pair.run_for(Duration::from_millis(5));
        }
    }
}

// req: T6 T34
#[test]
fn application_data_that_overtakes_the_last_flight_is_dropped_and_counted() {
    let mut pair = pair(1);
    let wire = pair.network.wiretap();
    let held = sim::address(SERVER);
    pair.network.tap(move |datagram, _| {
        // The server's last flight begins with a ChangeCipherSpec.
        match datagram.source == held && datagram.bytes[0] == 20 {
            true => sim::Verdict::Hold,
            false => sim::Verdict::Pass,
        }
    });
    start(&mut pair);
    pair.drive_until(|_, b| b.is_connected());
    let now = pair.now();
    pair.b.say(now, b"early");
    pair.run_for(Duration::from_millis(50));
    assert!(pair.a.heard.is_empty());
    assert_eq!(pair.a.dropped(DropReason::EarlyApplicationData), 1);
    assert!(
        wire.seen()
            .iter()
            .any(|(_, datagram)| datagram.bytes[0] == APPLICATION_DATA)
    );
    let now = pair.now();
    pair.network.remove_taps();
    pair.network.release(now);
    pair.drive_until(|a, _| a.is_connected());
    assert_talking(&mut pair);
}

#[test]
#[should_panic(expected = "buffer must hold")]
fn a_buffer_below_the_mtu_is_the_callers_bug_at_the_first_call() {
    let mut pair = pair(1);
    pair.a.dtls.poll_transmit(&mut [0; 1199]);
}
