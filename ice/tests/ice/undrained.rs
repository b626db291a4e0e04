//! A caller that polls late gets everything late and nothing twice; one that has parsed already need not parse again.

use floe_ice::{Config, DropReason, FiveTuple, Initiation, Received};
use floe_stun::{Class, Message};

use crate::support::solo::{Solo, controlled_with_pairs, local, remote};
use crate::support::{ms, secs};

#[test]
fn answers_wait_in_their_order_and_what_finds_no_room_is_counted() {
    let mut solo = controlled_with_pairs(1);
    solo.take();
    let path = FiveTuple::udp(local(), remote(0));
    let (mut asked, mut refused) = (Vec::new(), 0);
    for _ in 0..100 {
        let check = solo.check();
        let id = check.transaction_id();
        match solo
            .agent
            .handle_datagram(solo.now, path, &check.nominating().bytes())
        {
            Received::Handled => asked.push(id),
            received => {
                assert_eq!(received, Received::Dropped(DropReason::Overloaded));
                refused += 1;
            }
        }
    }
    assert!((64..100).contains(&asked.len()), "{}", asked.len());
    assert_eq!(solo.agent.stats().dropped(DropReason::Overloaded), refused);
    let answered: Vec<_> = solo
        .take()
        .iter()
        .filter(|sent| sent.message().class() == Class::SuccessResponse)
        .map(|sent| sent.id())
        .collect();
    assert_eq!(answered, asked);
    // There is room again.
    let again = solo.check().bytes();
    assert_eq!(solo.receive(remote(0), &again), Received::Handled);
}

#[test]
fn a_check_that_nobody_sent_in_time_leaves_once() {
    let mut solo = Solo::new(
        floe_ice::Mode::Full,
        Initiation::Initiating,
        Config::default(),
    );
    solo.agent
        .add_local_candidate(solo.now, floe_ice::Candidate::host(local()))
        .unwrap();
    solo.meet();
    solo.agent
        .add_remote_candidate(solo.now, floe_ice::Candidate::host(remote(0)))
        .unwrap();
    // Its first repetition comes due before anybody polls.
    for _ in 0..2 {
        solo.now = solo.agent.poll_timeout().expect("a check is under way");
        solo.agent.handle_timeout(solo.now);
    }
    let sent = solo.take_requests();
    assert_eq!(sent.len(), 1);
    assert_eq!(solo.answer(&sent[0]), Received::Handled);
    assert!(solo.agent.send_path().is_some());
    solo.run_for(ms(100));
}

#[test]
fn a_parsed_message_is_taken_as_its_bytes_are() {
    let (mut one, mut other) = (controlled_with_pairs(1), controlled_with_pairs(1));
    let path = FiveTuple::udp(local(), remote(0));
    let requests: Vec<Vec<u8>> = [
        one.check().nominating(),
        one.check(),
        one.check().nominating(),
    ]
    .iter()
    .map(|check| check.bytes())
    .chain([one.check().bytes_under("not-the-password-of-ours")])
    .collect();
    for request in &requests {
        let message = Message::parse(request).unwrap();
        assert_eq!(
            one.agent.handle_datagram(one.now, path, request),
            other.agent.handle_message(other.now, path, &message)
        );
        let bytes = |solo: &mut Solo| -> Vec<Vec<u8>> {
            solo.take().into_iter().map(|sent| sent.bytes).collect()
        };
        assert_eq!(bytes(&mut one), bytes(&mut other));
        assert_eq!(one.agent.poll_timeout(), other.agent.poll_timeout());
        assert_eq!(one.agent.stats(), other.agent.stats());
    }
    one.agent.close(one.now);
    let message = Message::parse(&requests[0]).unwrap();
    let closed = Received::Dropped(DropReason::Closed);
    assert_eq!(
        one.agent.handle_message(one.now + secs(1), path, &message),
        closed
    );
}
