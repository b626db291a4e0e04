//! Client transactions: RFC 8489 §6.2.1 over UDP, §6.2.2 over TCP.

use std::time::{Duration, Instant};

use floe_stun::{Schedule, TimeoutReason, Transaction, TransactionAction, TransactionId};
use proptest::prelude::*;

const ID: TransactionId = TransactionId::from_bytes([1; 12]);
const OTHER: TransactionId = TransactionId::from_bytes([2; 12]);

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do as the beginning of virtual time"
)]
fn epoch() -> Instant {
    Instant::now()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Wakes the transaction exactly when it asks for it: when it sends, and when and why it gives up, after its start.
fn run(start: Instant, transaction: &mut Transaction) -> (Vec<Duration>, Duration, TimeoutReason) {
    let mut sent = vec![ms(0)];
    while let Some(deadline) = transaction.poll_timeout() {
        match transaction.handle_timeout(deadline) {
            TransactionAction::Retransmit => sent.push(deadline - start),
            TransactionAction::TimedOut(reason) => return (sent, deadline - start, reason),
            TransactionAction::Idle => panic!("woken for nothing"),
        }
    }
    panic!("ended without a word");
}

// req: S7
#[test]
fn over_udp_a_request_is_sent_seven_times_and_given_up_after_39_5_seconds() {
    let start = epoch();
    let mut transaction = Transaction::new(start, ID, Schedule::default());
    let (sent, end, reason) = run(start, &mut transaction);
    assert_eq!(sent, [0, 500, 1500, 3500, 7500, 15_500, 31_500].map(ms));
    assert_eq!((end, reason), (ms(39_500), TimeoutReason::Unanswered));
    assert_eq!(transaction.poll_timeout(), None);
    assert_eq!(
        transaction.handle_timeout(start + ms(100_000)),
        TransactionAction::Idle
    );
}

// req: S7
#[test]
fn rto_rc_and_rm_shape_the_schedule() {
    let start = epoch();
    let mut transaction = Transaction::new(start, ID, Schedule::custom(ms(250), 3, 4));
    let (sent, end, _) = run(start, &mut transaction);
    assert_eq!(sent, [0, 250, 750].map(ms));
    assert_eq!(end, ms(1750));
}

// req: S7
#[test]
fn over_tcp_a_request_is_sent_once_and_given_up_after_ti() {
    let start = epoch();
    let mut transaction = Transaction::new(start, ID, Schedule::reliable());
    let (sent, end, reason) = run(start, &mut transaction);
    assert_eq!(sent, [ms(0)]);
    assert_eq!((end, reason), (ms(39_500), TimeoutReason::Unanswered));

    let mut transaction = Transaction::new(start, ID, Schedule::once(ms(5000)));
    assert_eq!(run(start, &mut transaction).1, ms(5000));
}

// req: S7
#[test]
fn the_first_matching_answer_ends_the_transaction_and_no_other() {
    let start = epoch();
    let mut transaction = Transaction::new(start, ID, Schedule::default());
    assert_eq!(transaction.on_response(start + ms(10), &OTHER), None);
    assert!(transaction.is_waiting());
    let answer = transaction.on_response(start + ms(40), &ID);
    assert_eq!(answer.map(|answer| answer.round_trip), Some(Some(ms(40))));
    assert!(!transaction.is_waiting());
    assert_eq!(transaction.poll_timeout(), None);
    assert_eq!(transaction.on_response(start + ms(41), &ID), None);
    assert_eq!(
        transaction.handle_timeout(start + ms(500)),
        TransactionAction::Idle
    );
}

// req: S7
#[test]
fn an_answer_after_a_retransmission_gives_no_round_trip() {
    let start = epoch();
    let mut transaction = Transaction::new(start, ID, Schedule::default());
    assert_eq!(
        transaction.handle_timeout(start + ms(500)),
        TransactionAction::Retransmit
    );
    assert_eq!(transaction.sent(), 2);
    let answer = transaction.on_response(start + ms(520), &ID);
    assert_eq!(answer.map(|answer| answer.round_trip), Some(None));
}

// req: S7
#[test]
fn an_answer_too_late_is_no_answer() {
    let start = epoch();
    let mut transaction = Transaction::new(start, ID, Schedule::once(ms(100)));
    assert_eq!(
        transaction.handle_timeout(start + ms(100)),
        TransactionAction::TimedOut(TimeoutReason::Unanswered)
    );
    assert_eq!(transaction.on_response(start + ms(101), &ID), None);
}

#[test]
fn a_forged_answer_leaves_the_transaction_open_and_names_the_end() {
    let start = epoch();
    let mut transaction = Transaction::new(start, ID, Schedule::default());
    transaction.on_integrity_violation();
    assert!(transaction.is_waiting());
    assert_eq!(
        run(start, &mut transaction).2,
        TimeoutReason::IntegrityViolated
    );

    let mut transaction = Transaction::new(start, ID, Schedule::default());
    transaction.on_integrity_violation();
    assert!(transaction.on_response(start + ms(1), &ID).is_some());
}

// req: S7
#[test]
fn other_figures_hold_for_the_interval_that_is_pending() {
    let start = epoch();
    let mut transaction = Transaction::new(start, ID, Schedule::unreliable(ms(4000)));
    transaction.reschedule(Schedule::custom(ms(100), 3, 2));
    let (sent, end, _) = run(start, &mut transaction);
    assert_eq!(sent, [0, 100, 300].map(ms));
    assert_eq!(end, ms(500));
    // What the old figures would have sent by now is not made up for.
    let mut transaction = Transaction::new(start, ID, Schedule::unreliable(ms(4000)));
    transaction.reschedule(Schedule::custom(ms(100), 3, 2));
    let late = start + ms(3000);
    assert_eq!(
        transaction.handle_timeout(late),
        TransactionAction::Retransmit
    );
    assert_eq!(transaction.handle_timeout(late), TransactionAction::Idle);
    // An end is an end.
    assert!(transaction.on_response(late, &ID).is_some());
    transaction.reschedule(Schedule::default());
    assert_eq!(transaction.poll_timeout(), None);
}

proptest! {
    /// Whatever the schedule and however late it is called: a deadline lies ahead or there is none, and there is an end.
    // req: S7
    #[test]
    fn the_next_deadline_is_always_later_than_now(
        rto in 0..2_000_u64,
        rc in 0..40_u32,
        rm in 0..40_u32,
        late in prop::collection::vec(0..10_000_u64, 60),
    ) {
        let start = epoch();
        let mut now = start;
        let mut transaction = Transaction::new(now, ID, Schedule::custom(ms(rto), rc, rm));
        let mut sent = 1;
        for late in late {
            let Some(deadline) = transaction.poll_timeout() else { break };
            prop_assert!(deadline > now);
            if deadline - now > ms(1) {
                prop_assert_eq!(transaction.handle_timeout(deadline - ms(1)), TransactionAction::Idle);
            }
            now = deadline + ms(late);
            sent += u32::from(transaction.handle_timeout(now) == TransactionAction::Retransmit);
        }
        prop_assert_eq!(transaction.poll_timeout(), None);
        prop_assert_eq!(sent, rc.max(1));
        prop_assert_eq!(transaction.sent(), sent);
    }
}
