//! Flaws of DTLS 1.3.

use super::*;

fn connected(victim: Side) -> Stage {
    Stage::connected(Version::V13, victim, &Cast::new())
}

/// A record whose number is `nth` after those written.
fn last_record(stage: &Stage, epoch: u16) -> (u64, u64) {
    (epoch.into(), stage.puppet.written(epoch) - 1)
}

// req: T62 T32
#[test]
fn an_alert_in_plaintext_ends_nothing_once_there_are_keys() {
    let cast = Cast::new();
    for victim in SIDES {
        let word = Version::V13.word(victim);
        for step in 1..=word.len() {
            let mut stage = Stage::new(Version::V13, victim, &cast);
            stage.say_all(&word[..step]);
            let alert = Record::new(wire::ALERT, 0, 77, &[2, 40]).to_bytes();
            let received = stage.give(alert);
            assert!(
                matches!(received, Received::Dropped(_)),
                "{victim} {step}: {received:?}"
            );
            assert_ne!(stage.victim.state(), State::Failed);
            stage.say_all(&word[step..]);
            assert_eq!(stage.victim.state(), State::Connected, "{victim} {step}");
            stage.assert_talking();
        }
    }
}

// req: T62 T31
#[test]
fn record_numbers_pass_the_sixteen_bits_that_are_written() {
    for victim in SIDES {
        let mut stage = connected(victim);
        // Sixteen bits tell numbers apart that are less than 2¹⁵ from the next one.
        for edge in [0x1_0000, 0x2_0000, 0x3_0000] {
            while stage.puppet.written(3) < edge - 8 {
                let left = edge - 8 - stage.puppet.written(3);
                stage
                    .puppet
                    .skip_records(3, left.saturating_sub(1).min(30_000));
                stage.assert_talking();
            }
            (0..20).for_each(|_| stage.assert_talking());
        }
    }
}

// req: T62 T21 T33
#[test]
fn a_finished_that_comes_again_is_acknowledged_again() {
    // The ACK of the first is lost: its keys are still there, and so is the answer.
    let mut stage = connected(Side::Server);
    stage.acknowledge();
    let before = stage.puppet.acks.len();
    let again = stage.puppet.repeat_last();
    let _ = stage.give(again);
    stage.acknowledge();
    let newest = last_record(&stage, 2);
    assert!(
        stage.puppet.acks[before..]
            .iter()
            .any(|ack| ack.contains(&newest)),
        "{:?}",
        stage.puppet.acks
    );
}

// req: T62 T10 T21
#[test]
fn a_ticket_is_acknowledged_as_often_as_it_comes() {
    let mut stage = connected(Side::Client);
    let before = stage.puppet.acks.len();
    let (outgoing, first) =
        stage
            .puppet
            .say_in_pieces(Letter::NewSessionTicket, |_| (), |len| vec![(0, len)]);
    let (_, again) =
        stage
            .puppet
            .say_in_pieces(Letter::NewSessionTicket, |_| (), |len| vec![(0, len)]);
    for (nth, datagram) in [first, again].concat().into_iter().enumerate() {
        let _ = stage.give(datagram);
        stage.acknowledge();
        assert_eq!(stage.puppet.acks.len(), before + nth + 1);
    }
    let newest = last_record(&stage, 3);
    assert!(
        stage.puppet.acks.last().unwrap().contains(&newest),
        "{:?}",
        stage.puppet.acks
    );
    stage.puppet.taken(outgoing);
    stage.assert_talking();
}

// req: T62 T30
#[test]
fn keys_are_updated_when_everything_before_the_update_has_come() {
    let mut stage = connected(Side::Client);
    let whole = |len: usize| vec![(0, len)];
    let (ticket, lost) = stage
        .puppet
        .say_in_pieces(Letter::NewSessionTicket, |_| (), whole);
    stage.puppet.taken(ticket);
    let (update, overtaking) = stage.puppet.say_in_pieces(Letter::KeyUpdate, |_| (), whole);
    stage.puppet.taken(update);
    for datagram in overtaking {
        let _ = stage.give(datagram);
    }
    stage.acknowledge();
    stage.assert_talking();
    for datagram in lost {
        let _ = stage.give(datagram);
    }
    stage.acknowledge();
    // What was under way in the old epoch, then the new one.
    stage.assert_talking();
    stage.puppet.update_keys();
    stage.assert_talking();
}

// req: T62
#[test]
fn message_numbers_go_on_after_the_handshake() {
    for victim in SIDES {
        let mut stage = connected(victim);
        // One that starts anew is an old one: nothing is done, and the old keys are good.
        let anew = Fragment::whole(24, 0, &[0]).to_bytes();
        let record = stage.puppet.seal(3, wire::HANDSHAKE, &anew);
        let _ = stage.give(record);
        stage.assert_talking();
        // Ours go on too, or the puppet would not read them. A client's come when its Finished has arrived.
        let mut ack = vec![0, 160];
        (0..10_u64).for_each(|sequence| {
            ack.extend([2_u64.to_be_bytes(), sequence.to_be_bytes()].concat());
        });
        let ack = stage.puppet.seal(3, wire::ACK, &ack);
        let _ = stage.give(ack);
        let _ = stage.say_changed(Letter::KeyUpdate, |body| body[0] = 1);
        stage.acknowledge();
        let answer = stage.puppet.heard.last().unwrap();
        assert_eq!(*answer, (24, vec![0]), "{victim}");
        stage.puppet.update_keys();
        stage.assert_talking();
    }
}
