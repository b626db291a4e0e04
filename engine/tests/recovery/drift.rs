//! What recovery believes beside what the native connection is.

use crate::support::{NATIVE, Peer, Run, ms, native};
use floe::recovery::{Config, Input, Restarts, State, agree};
use std::collections::BTreeSet;

// req: R151 R152 R153 R154 R155
#[test]
fn every_pair_agrees_or_does_not() {
    let agreeing: BTreeSet<String> = State::ALL
        .into_iter()
        .flat_map(|fsm| NATIVE.map(|native| (fsm, native)))
        .filter(|(fsm, native)| agree(*fsm, *native))
        .map(|(fsm, native)| format!("{fsm}/{native}"))
        .collect();
    let expected = [
        "new/new",
        "new/connecting",
        "new/connected",
        "new/disconnected",
        "new/failed",
        "new/closed",
        "connecting/new",
        "connecting/connecting",
        "connected/connected",
        "disconnected/disconnected",
        "failed/failed",
        "failed/closed",
    ];
    assert_eq!(agreeing, expected.map(String::from).into());
}

// req: R156 R151
#[test]
fn drift_is_told_once_and_the_check_says_no() {
    let mut run = Run::new();
    run.feed(Input::OfferSent);
    assert!(run.recovery.agrees(run.now));
    run.feed(native(Peer::Disconnected));
    for _ in 0..3 {
        assert!(!run.recovery.agrees(run.now));
        run.drain();
    }
    let warning = "drift: fsm=connecting native=disconnected";
    assert_eq!(run.drifts(), [warning]);
    // It is over, and comes again: told again.
    run.feed(native(Peer::Connecting));
    assert!(run.recovery.agrees(run.now));
    run.feed(native(Peer::Disconnected));
    assert_eq!(run.drifts(), [warning, warning]);
}

/// D10: the grace time is no drift.
// req: R152
#[test]
fn the_grace_time_is_no_drift() {
    let mut run = Run::connected();
    run.feed(native(Peer::Disconnected));
    assert!(run.recovery.agrees(run.now));
    run.to(ms(2499));
    assert!(run.recovery.agrees(run.now));
    run.to(ms(2500));
    assert_eq!(run.recovery.state(), State::Disconnected);
    assert!(run.recovery.agrees(run.now));
    assert_eq!(run.drifts(), [""; 0]);
}

/// D9: a transport joins, and the native connection is connecting again.
// req: R152
#[test]
fn a_joining_transport_is_no_drift_until_it_takes_too_long() {
    for joining in [Peer::Connecting, Peer::New] {
        let mut run = Run::connected();
        run.feed(native(joining)).to(ms(14_999));
        assert!(run.recovery.agrees(run.now));
        assert_eq!(run.recovery.poll_timeout(), Some(run.start + ms(15_000)));
        run.to(ms(15_000));
        assert_eq!(run.recovery.state(), State::Connected);
        let warning = format!("drift: fsm=connected native={joining}");
        assert_eq!(run.drifts(), [warning]);
        assert!(!run.recovery.agrees(run.now));
        run.feed(native(Peer::Connected));
        assert!(run.recovery.agrees(run.now));
        // The next one has all the time again.
        run.feed(native(joining)).wait(ms(14_999));
        assert!(run.recovery.agrees(run.now));
        // It makes no difference which of the two it is.
        let other = if joining == Peer::New {
            Peer::Connecting
        } else {
            Peer::New
        };
        run.feed(native(other)).wait(ms(1));
        assert!(!run.recovery.agrees(run.now));
    }
}

/// D11: the native connection leaves `failed` when ICE restarts, and no sooner.
// req: R151
#[test]
fn a_restart_that_has_not_begun_yet_is_no_drift() {
    let mut run = Run::connected();
    run.feed(native(Peer::Failed));
    assert_eq!(run.recovery.state(), State::Connecting);
    assert!(run.recovery.agrees(run.now));
    run.wait(ms(500)).feed(Input::RestartOffered);
    run.wait(ms(500)).feed(native(Peer::Connecting));
    assert!(run.recovery.agrees(run.now));
    assert_eq!(run.drifts(), [""; 0]);
    // Having left it, it is back: that is the next failure.
    run.feed(native(Peer::Failed));
    assert_eq!(run.restarts().len(), 2);
    assert_eq!(run.drifts(), [""; 0]);
    // The same for a path that is merely lost.
    let mut run = Run::connected();
    run.feed(native(Peer::Disconnected)).to(ms(20_000));
    assert_eq!(run.recovery.state(), State::Connecting);
    assert_eq!(run.drifts(), [""; 0]);
    run.feed(native(Peer::Connecting))
        .feed(native(Peer::Disconnected));
    assert_eq!(run.drifts(), ["drift: fsm=connecting native=disconnected"]);
}

// req: R153
#[test]
fn while_disconnected_anything_but_that_and_checking_is_drift() {
    let mut run = Run::connected();
    run.feed(native(Peer::Disconnected)).to(ms(2500));
    run.feed(native(Peer::Connecting));
    assert!(run.recovery.agrees(run.now), "new pairs are checked");
    run.feed(native(Peer::New));
    assert!(!run.recovery.agrees(run.now));
    assert_eq!(run.drifts(), ["drift: fsm=disconnected native=new"]);
}

// req: R154 R155
#[test]
fn what_lives_after_failed_is_drift_and_before_new_nothing_is() {
    let mut config = Config::default();
    config.restarts = Restarts::Elsewhere;
    let mut run = Run::with(config).and_connected();
    run.feed(native(Peer::Failed));
    assert_eq!(run.recovery.state(), State::Failed);
    assert!(run.recovery.agrees(run.now));
    run.feed(native(Peer::Connected));
    assert_eq!(run.drifts(), ["drift: fsm=failed native=connected"]);
    let mut run = Run::new();
    for state in NATIVE.into_iter().filter(|state| *state != Peer::Closed) {
        run.feed(native(state));
        assert!(run.recovery.agrees(run.now), "{state}");
    }
    assert_eq!(run.drifts(), [""; 0]);
}

/// Every edge of the table, driven by the native connection as real ones go: the two agree at every step.
// req: R157
#[test]
fn the_two_agree_at_every_step_of_every_legal_story() {
    let connect = [
        Input::OfferSent,
        native(Peer::Connecting),
        native(Peer::Connected),
    ];
    let lost = [native(Peer::Disconnected)];
    let back = [native(Peer::Connecting), native(Peer::Connected)];
    let failed = [native(Peer::Failed)];
    let offered = [Input::RestartOffered];
    let received = [Input::OfferReceived, native(Peer::Connecting)];
    let close = [Input::Close];
    let stories: [&[&[Input]]; 6] = [
        &[&connect, &lost, &back, &close],
        &[&connect, &failed, &offered, &back, &lost, &offered, &back],
        &[&received, &failed, &offered, &back, &failed, &close],
        &[&connect, &back, &lost, &failed, &offered, &back],
        &[&connect, &[native(Peer::Closed)]],
        &[&received, &close],
    ];
    let mut edges = BTreeSet::new();
    for story in stories {
        // At once, within the grace time, within the window, after it.
        for gap in [0, 1000, 4000, 8000] {
            let mut run = Run::new();
            for input in story.iter().copied().flatten() {
                run.feed(*input);
                assert!(run.recovery.agrees(run.now), "{input:?}");
                run.wait(ms(gap));
                assert!(run.recovery.agrees(run.now), "{gap} ms after {input:?}");
            }
            assert_eq!(run.drifts(), [""; 0]);
            edges.extend(
                run.transitions()
                    .map(|t| (t.from.to_string(), t.trigger.to_string())),
            );
        }
    }
    // All ten edges, and closing from connecting beside the table. CLOSE in failed needs who restarts nothing by itself.
    assert_eq!(edges.len(), 10, "{edges:?}");
}
