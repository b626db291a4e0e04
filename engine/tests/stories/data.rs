//! Data and media, there and back.

use crate::support::{self, FULL_ACTIVE, FULL_ACTPASS, LITE_PASSIVE};
use floe::{SealError, ice};
use sim::Verdict;
use std::time::Duration;

#[test]
fn data_flows_both_ways_and_arrives_as_it_was_sent() {
    for b_part in [FULL_ACTIVE, LITE_PASSIVE] {
        let (mut pair, (a, b)) = support::connected(31, FULL_ACTPASS, b_part);
        let now = pair.now();
        for number in 0..50u8 {
            pair.a.send(now, a, &[number; 100]);
            pair.b.send(now, b, &[number; 1000]);
        }
        pair.run_for(Duration::from_millis(50));
        let expected = |length: usize| (0..50u8).map(move |number| vec![number; length]);
        assert!(
            pair.b
                .data
                .iter()
                .map(|(id, data)| (*id, data.clone()))
                .eq(expected(100).map(|data| (b, data)))
        );
        assert!(
            pair.a
                .data
                .iter()
                .map(|(id, data)| (*id, data.clone()))
                .eq(expected(1000).map(|data| (a, data)))
        );
        assert_eq!(pair.a.transport(a).stats().data, 50);
    }
}

#[test]
fn several_records_in_one_datagram_are_all_read() {
    let (mut pair, (a, b)) = support::connected(32, FULL_ACTPASS, FULL_ACTIVE);
    let now = pair.now();
    for text in ["one", "two", "three"] {
        pair.a.send(now, a, text.as_bytes());
    }
    let joined: Vec<u8> = pair
        .a
        .outgoing
        .iter()
        .flat_map(|(_, bytes)| bytes.clone())
        .collect();
    let path = pair.a.outgoing[0].0;
    pair.a.outgoing = [(path, joined)].into();
    pair.run_for(Duration::from_millis(50));
    let texts: Vec<&[u8]> = pair.b.data.iter().map(|(_, text)| &text[..]).collect();
    assert_eq!(texts, [&b"one"[..], b"two", b"three"]);
    assert!(pair.b.data.iter().all(|(id, _)| *id == b));
}

#[test]
fn media_is_handed_over_untouched() {
    let (mut pair, (a, b)) = support::connected(33, FULL_ACTPASS, FULL_ACTIVE);
    let path = pair.a.endpoint.send_path(a).expect("connected");
    let (rtp, rtcp) = (vec![0x80, 111, 0, 1, 2, 3], vec![0x80, 200, 0, 1, 2, 3]);
    pair.a
        .outgoing
        .extend([(path, rtp.clone()), (path, rtcp.clone())]);
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.b.media, [(b, rtp), (b, rtcp)]);
    assert_eq!(pair.b.transport(b).stats().media, 2);
}

// req: I20
#[test]
fn without_consent_nothing_is_sealed_and_there_is_nowhere_to_send() {
    let (mut pair, (a, _)) = support::connected(34, FULL_ACTPASS, FULL_ACTIVE);
    pair.network.cut();
    pair.drive_until(|host, _| host.ice(a) == ice::State::Failed);
    assert_eq!(pair.a.endpoint.send_path(a), None);
    let (now, mut out) = (pair.now(), [0; 1500]);
    let sealed = pair
        .a
        .with_transport(now, a, |t| t.seal(now, b"secret", &mut out));
    assert_eq!(sealed, Err(SealError::NoConsent));
    assert_eq!(out, [0; 1500]);
}

// req: I21
#[test]
fn verified_data_holds_off_disconnected_and_does_not_renew_consent() {
    // Of `b`'s datagrams only DTLS arrives: checks go unanswered while data flows.
    let deaf_to_stun = |datagram: &mut sim::Datagram, _: &mut sim::Wire| match datagram.source
        == sim::address(2)
        && datagram.bytes[0] < 4
    {
        true => Verdict::Drop,
        false => Verdict::Pass,
    };
    let (mut pair, (a, b)) = support::connected(35, FULL_ACTPASS, FULL_ACTIVE);
    pair.network.tap(deaf_to_stun);
    let start = pair.elapsed();
    let mut seconds = 0;
    while pair.a.endpoint.send_path(a).is_some() {
        seconds += 1;
        assert!(seconds < 60, "consent ends all the same");
        if pair.b.endpoint.send_path(b).is_some() {
            let now = pair.now();
            pair.b.send(now, b, b"alive");
        }
        pair.run_for(Duration::from_secs(1));
    }
    let seen: Vec<_> = pair
        .a
        .ice_transitions(a)
        .into_iter()
        .map(|t| (t.to, t.reason))
        .collect();
    let false_alarms = seen
        .iter()
        .filter(|(_, why)| *why == ice::Reason::ConsentChecksMissed);
    assert_eq!(false_alarms.count(), 0, "{seen:?}");
    assert_eq!(seen.last().unwrap().1, ice::Reason::ConsentExpired);
    let silent = (pair.elapsed() - start).as_secs();
    assert!((29..=37).contains(&silent), "{silent} s");
}
