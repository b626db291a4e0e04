//! Flaps, restarts, and the ways out of every state, in virtual time.

use crate::support::{ICE, NATIVE, Peer, Run, any_gap, any_script, connected_script, ms, native};
use allocation_counter::measure;
use floe::{
    Cause as PeerCause, Change, IceConnectionState as Ice, IceGatheringState, PeerEvent,
    recovery::{
        Action, Cause, Config, ConfigError, Event, Input, Presentation, Recovery, Restarts,
        RestoreError, State, Trigger,
    },
};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

const FLAP: &str = "connected → disconnected: TRANSPORT_FLAP";

// req: R169 R175 R174 R110
#[test]
fn a_lost_path_is_a_flap_after_the_grace_time_and_restarts_once_after_the_window() {
    let mut run = Run::connected();
    run.to(ms(1000)).feed(native(Peer::Disconnected));
    run.to(ms(3499));
    assert_eq!(run.trace(), [""; 0], "the grace time is not over");
    run.to(ms(3500));
    assert_eq!(run.trace(), [format!("3500 {FLAP}")]);
    run.to(ms(8499));
    assert_eq!(run.restarts(), [], "the window is not over");
    run.to(ms(8500));
    assert_eq!(
        run.trace()[1..],
        [
            "8500 disconnected → failed: RESTART_TIMEOUT",
            "8500 failed → connecting: ICE_RESTART",
        ]
    );
    assert_eq!(run.restarts(), [(8500, Cause::WindowPassed)]);
    run.feed(Input::RestartOffered);
    run.to(ms(9000)).feed(native(Peer::Connecting));
    run.to(ms(9500)).feed(native(Peer::Connected));
    assert_eq!(run.trace()[3], "9500 connecting → connected: ICE_CONNECTED");
    run.to(ms(100_000));
    assert_eq!((run.trace().len(), run.restarts().len()), (4, 1));
    assert_eq!(run.escalations(), 0);
}

// req: R176
#[test]
fn a_path_that_comes_back_within_the_window_is_not_restarted() {
    let mut run = Run::connected();
    run.feed(native(Peer::Disconnected));
    run.to(ms(7499)).feed(native(Peer::Connected));
    run.to(ms(60_000));
    assert_eq!(
        run.trace(),
        [
            format!("2500 {FLAP}"),
            "7499 disconnected → connected: ICE_CONNECTED".into()
        ]
    );
    assert_eq!(run.restarts(), []);
    assert_eq!(run.recovery.poll_timeout(), None);
}

// req: R170 R172
#[test]
fn blips_leave_no_trace_and_each_gets_its_own_grace_time() {
    let mut run = Run::connected();
    for blip in 0..20 {
        run.to(ms(3000 * blip)).feed(native(Peer::Disconnected));
        run.wait(ms(2499)).feed(native(Peer::Connected));
        assert_eq!(run.recovery.poll_timeout(), None, "the timer is cancelled");
    }
    assert_eq!((run.events.len(), run.actions.len()), (0, 0));
    // One that is longer than the grace time counts, from its own beginning.
    run.to(ms(60_000)).feed(native(Peer::Disconnected));
    run.to(ms(63_000));
    assert_eq!(run.trace(), [format!("62500 {FLAP}")]);
}

/// Looking for a path is not having one.
// req: R112
#[test]
fn a_path_that_is_only_checked_again_and_again_is_lost_all_the_same() {
    let mut run = Run::connected();
    for step in 0..5 {
        let state = [Peer::Disconnected, Peer::Connecting][step % 2];
        run.feed(native(state)).wait(ms(1000));
    }
    assert_eq!(run.trace(), [format!("2500 {FLAP}")]);
}

// req: R171
#[test]
fn times_out_of_range_are_refused() {
    let refused = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        Recovery::new(sim::Clock::new().now(), Arc::new(config)).err()
    };
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|c| c.grace = ms(1999)), Some(ConfigError::Grace));
    assert_eq!(refused(|c| c.grace = ms(2000)), None);
    assert_eq!(refused(|c| c.grace = ms(3000)), None);
    assert_eq!(refused(|c| c.grace = ms(3001)), Some(ConfigError::Grace));
    let window = Some(ConfigError::RestartWindow);
    assert_eq!(refused(|c| c.restart_window = Duration::ZERO), window);
    assert_eq!(
        refused(|c| c.restart_window = Duration::from_nanos(1)),
        None
    );
    assert_eq!(refused(|c| c.restart_window = ms(9999)), None);
    assert_eq!(refused(|c| c.restart_window = ms(10_000)), window);
    let timeout = Some(ConfigError::ConnectTimeout);
    assert_eq!(refused(|c| c.connect_timeout = Duration::ZERO), timeout);
    let stats = Some(ConfigError::StatsInterval);
    assert_eq!(refused(|c| c.stats_interval = Duration::ZERO), stats);
    assert_eq!(
        refused(|c| c.max_restarts = 0),
        Some(ConfigError::MaxRestarts)
    );
    // The longest there are overflow nothing.
    let mut run = Run::with({
        let mut config = Config::default();
        config.connect_timeout = Duration::MAX;
        config.offer_wait = Duration::MAX;
        config.stats_interval = Duration::MAX;
        config.error_after = Duration::MAX;
        config
    })
    .and_connected();
    run.feed(native(Peer::Failed)).wait(ms(1_000_000));
    assert_eq!(run.recovery.state(), State::Connecting);
}

// req: R174 R110
#[test]
fn a_failure_is_brought_to_failed_along_edges_and_restarts_at_once() {
    // From connected (D7).
    let mut run = Run::connected();
    run.to(ms(1000)).feed(native(Peer::Failed));
    let chain = [
        "1000 connected → disconnected: TRANSPORT_FLAP",
        "1000 disconnected → failed: RESTART_TIMEOUT",
        "1000 failed → connecting: ICE_RESTART",
    ];
    assert_eq!(run.trace(), chain);
    assert_eq!(run.restarts(), [(1000, Cause::NativeFailed)]);
    assert!(run.transitions().all(|t| t.cause == Cause::NativeFailed));
    // In the grace time.
    let mut run = Run::connected();
    run.feed(native(Peer::Disconnected));
    run.to(ms(1000)).feed(native(Peer::Failed));
    assert_eq!(run.trace(), chain);
    // From disconnected: the window is not waited for.
    let mut run = Run::connected();
    run.feed(native(Peer::Disconnected));
    run.to(ms(4000)).feed(native(Peer::Failed));
    assert_eq!(
        run.trace(),
        [
            "2500 connected → disconnected: TRANSPORT_FLAP",
            "4000 disconnected → failed: RESTART_TIMEOUT",
            "4000 failed → connecting: ICE_RESTART",
        ]
    );
    assert_eq!(run.restarts(), [(4000, Cause::NativeFailed)]);
    // While connecting.
    let mut run = Run::new();
    run.feed(Input::OfferSent);
    run.to(ms(4000)).feed(native(Peer::Failed));
    assert_eq!(
        run.trace()[1..],
        [
            "4000 connecting → failed: ERROR",
            "4000 failed → connecting: ICE_RESTART",
        ]
    );
    assert_eq!(run.restarts(), [(4000, Cause::NativeFailed)]);
}

// req: R112 R110
#[test]
fn connecting_lasts_fifteen_seconds_and_three_restarts_and_then_somebody_is_told_once() {
    let mut run = Run::new();
    run.feed(Input::OfferSent).feed(native(Peer::Connecting));
    for restart in 1..=3 {
        run.wait(ms(14_999));
        assert_eq!(run.restarts().len(), restart - 1);
        run.wait(ms(1));
        assert_eq!(run.restarts().len(), restart);
        assert_eq!(run.recovery.state(), State::Connecting);
        run.feed(Input::RestartOffered);
    }
    assert_eq!(run.escalations(), 0);
    run.wait(ms(15_000));
    assert_eq!(
        (run.recovery.state(), run.escalations()),
        (State::Failed, 1)
    );
    run.wait(ms(1_000_000));
    assert_eq!((run.restarts().len(), run.escalations()), (3, 1));
    assert_eq!(run.recovery.poll_timeout(), None);
    // Other ways out are three restarts again.
    run.feed(Input::NetworkChanged).feed(Input::RestartOffered);
    assert_eq!(
        run.restarts().last().map(|last| last.1),
        Some(Cause::NetworkChanged)
    );
    for _ in 0..2 {
        run.wait(ms(15_000)).feed(Input::RestartOffered);
    }
    assert_eq!((run.restarts().len(), run.escalations()), (6, 1));
    run.wait(ms(15_000));
    assert_eq!((run.restarts().len(), run.escalations()), (6, 2));
}

#[test]
fn being_connected_forgives_all_restarts() {
    let mut run = Run::connected();
    for flap in 1..=10 {
        run.feed(native(Peer::Failed)).feed(Input::RestartOffered);
        run.wait(ms(15_000)).feed(Input::RestartOffered);
        assert_eq!(run.restarts().len(), 2 * flap);
        run.feed(native(Peer::Connecting))
            .feed(native(Peer::Connected));
    }
    assert_eq!(run.escalations(), 0);
}

/// Signaling may be down: the offer waits there, and the connect timeout waits for it.
// req: R149
#[test]
fn the_connect_timeout_of_a_restart_begins_when_its_offer_has_left() {
    let mut run = Run::connected();
    run.feed(native(Peer::Failed));
    run.to(ms(40_000));
    assert_eq!(run.recovery.state(), State::Connecting, "it still waits");
    assert_eq!(run.restarts().len(), 1);
    run.feed(Input::RestartOffered);
    // Said twice, it counts once.
    run.to(ms(50_000)).feed(Input::RestartOffered);
    run.to(ms(54_999));
    assert_eq!(run.restarts().len(), 1);
    run.to(ms(55_000));
    assert_eq!(
        run.restarts(),
        [(0, Cause::NativeFailed), (55_000, Cause::ConnectTimedOut)]
    );
}

// req: R112
#[test]
fn an_offer_that_never_leaves_does_not_strand_the_session() {
    let mut run = Run::connected();
    run.feed(native(Peer::Failed));
    run.to(ms(74_999));
    assert_eq!(run.restarts().len(), 1);
    run.to(ms(75_000));
    assert_eq!(run.restarts().len(), 2);
    // The first offer of a session is not waited for: it has left.
    let mut run = Run::new();
    run.feed(Input::OfferSent).feed(Input::RestartOffered);
    run.to(ms(10_000)).feed(Input::RestartOffered);
    run.to(ms(15_000));
    assert_eq!(run.restarts().len(), 1);
}

// req: R166
#[test]
fn a_resumed_page_restarts_once_and_at_once() {
    // Connected: an offer, and no change of state.
    let mut run = Run::connected();
    run.to(ms(1000)).feed(Input::Resumed);
    assert_eq!(run.restarts(), [(1000, Cause::Resumed)]);
    assert_eq!(run.trace(), [""; 0]);
    assert_eq!(run.recovery.state(), State::Connected);
    // In the grace time: the blip has lasted long enough.
    let mut run = Run::connected();
    run.feed(native(Peer::Disconnected));
    run.to(ms(1000)).feed(Input::Resumed);
    assert_eq!(run.restarts(), [(1000, Cause::Resumed)]);
    assert_eq!(run.recovery.state(), State::Connecting);
    assert_eq!(run.trace().len(), 3);
    run.to(ms(20_000));
    assert_eq!(
        run.restarts().len(),
        1,
        "the same flap is not restarted again"
    );
    // Disconnected.
    let mut run = Run::connected();
    run.feed(native(Peer::Disconnected));
    run.to(ms(4000)).feed(Input::Resumed);
    assert_eq!(
        run.trace()[1..],
        [
            "4000 disconnected → failed: RESTART_TIMEOUT",
            "4000 failed → connecting: ICE_RESTART",
        ]
    );
    run.to(ms(20_000));
    assert_eq!(run.restarts(), [(4000, Cause::Resumed)]);
    // Failed, where only others restart.
    let mut run = elsewhere();
    run.feed(native(Peer::Failed));
    assert_eq!(run.recovery.state(), State::Failed);
    run.to(ms(1000)).feed(Input::Resumed);
    assert_eq!(run.restarts(), [(1000, Cause::Resumed)]);
    assert_eq!(run.recovery.state(), State::Connecting);
    // Nothing begun, or a path sought already.
    let mut run = Run::new();
    run.feed(Input::Resumed)
        .feed(Input::OfferSent)
        .feed(Input::Resumed);
    assert_eq!(run.restarts(), []);
    assert_eq!(run.trace().len(), 1);
}

fn elsewhere() -> Run {
    let mut config = Config::default();
    config.restarts = Restarts::Elsewhere;
    Run::with(config).and_connected()
}

// req: R110
#[test]
fn who_cannot_offer_waits_in_failed_for_the_peers_restart() {
    let mut run = elsewhere();
    run.feed(native(Peer::Disconnected));
    run.to(ms(60_000));
    assert_eq!(
        run.trace(),
        [
            "2500 connected → disconnected: TRANSPORT_FLAP",
            "7500 disconnected → failed: RESTART_TIMEOUT",
        ]
    );
    assert_eq!((run.restarts().len(), run.escalations()), (0, 0));
    run.feed(Input::PeerRestarted);
    assert_eq!(run.recovery.state(), State::Connecting);
    assert_eq!(run.restarts(), []);
    // No offer is waited for: the connect timeout runs.
    run.to(ms(74_999));
    assert_eq!(run.recovery.state(), State::Connecting);
    run.to(ms(75_000));
    assert_eq!(run.recovery.state(), State::Failed);
    run.feed(Input::PeerRestarted)
        .feed(native(Peer::Connecting));
    run.feed(native(Peer::Connected));
    assert_eq!(run.recovery.state(), State::Connected);
}

#[test]
fn the_peers_restart_takes_the_place_of_ones_own() {
    // Disconnected: its restart is the flap's only one.
    let mut run = Run::connected();
    run.feed(native(Peer::Disconnected));
    run.to(ms(4000)).feed(Input::PeerRestarted);
    assert_eq!(run.recovery.state(), State::Connecting);
    run.feed(native(Peer::Connecting)).to(ms(18_999));
    assert_eq!(run.restarts(), []);
    run.to(ms(19_000));
    assert_eq!(run.restarts(), [(19_000, Cause::ConnectTimedOut)]);
    // An offer that waits is not needed any more, and no longer waited for.
    let mut run = Run::connected();
    run.recovery.handle(run.now, native(Peer::Failed));
    run.feed(Input::PeerRestarted);
    assert_eq!(run.restarts(), []);
    run.to(ms(15_000));
    assert_eq!(run.restarts(), [(15_000, Cause::ConnectTimedOut)]);
    // A path that works is not disturbed.
    let mut run = Run::connected();
    run.feed(Input::PeerRestarted).to(ms(60_000));
    assert_eq!((run.events.len(), run.actions.len()), (0, 0));
}

/// It may be connected before anybody says that something was offered, or while a restart is ordered.
#[test]
fn a_path_that_is_there_already_connects_at_once() {
    let mut run = Run::new();
    run.feed(native(Peer::Connected)).feed(Input::OfferSent);
    assert_eq!(
        run.trace(),
        [
            "0 new → connecting: OFFER_SENT",
            "0 connecting → connected: ICE_CONNECTED"
        ]
    );
    let mut run = elsewhere();
    run.feed(native(Peer::Failed)).feed(native(Peer::Connected));
    assert_eq!(
        run.recovery.state(),
        State::Failed,
        "failed never mends by itself"
    );
    run.feed(Input::Resumed);
    assert_eq!(run.recovery.state(), State::Connected);
    assert_eq!(run.restarts().len(), 1);
    assert_eq!(run.recovery.poll_timeout(), None);
}

// req: R173
#[test]
fn nothing_native_leaves_failed() {
    let mut run = elsewhere();
    run.feed(native(Peer::Failed));
    let ignored = run.ignored().len();
    for state in [
        Peer::Connecting,
        Peer::Disconnected,
        Peer::Failed,
        Peer::Connected,
    ] {
        run.feed(native(state)).wait(ms(20_000));
        assert_eq!(run.recovery.state(), State::Failed, "{state}");
    }
    run.feed(Input::OfferSent).feed(Input::OfferReceived);
    assert_eq!(run.recovery.state(), State::Failed);
    assert_eq!(
        run.ignored()[ignored..],
        [
            "ignored TRANSPORT_FLAP in failed",
            "ignored ERROR in failed",
            "ignored ICE_CONNECTED in failed",
            "ignored OFFER_SENT in failed",
            "ignored OFFER_RECEIVED in failed",
        ]
    );
    assert!(
        run.drifts()
            .contains(&"drift: fsm=failed native=connected".into())
    );
}

// req: R167 R168
#[test]
fn either_report_does_and_both_are_one() {
    let stories: [&[Input]; 4] = [
        // ICE alone: as far as anybody can tell.
        &[
            Input::IceConnectionState(Ice::Checking),
            Input::IceConnectionState(Ice::Completed),
            Input::IceConnectionState(Ice::Disconnected),
        ],
        // connectionState alone.
        &[
            native(Peer::Connecting),
            native(Peer::Connected),
            native(Peer::Disconnected),
        ],
        // Both, ICE first, as webrtc-pc has it.
        &[
            Input::IceConnectionState(Ice::Checking),
            native(Peer::Connecting),
            Input::IceConnectionState(Ice::Connected),
            native(Peer::Connected),
            Input::IceConnectionState(Ice::Disconnected),
            native(Peer::Disconnected),
        ],
        // Both, ICE second, and everything twice.
        &[
            native(Peer::Connecting),
            Input::IceConnectionState(Ice::Checking),
            native(Peer::Connecting),
            native(Peer::Connected),
            Input::IceConnectionState(Ice::Connected),
            Input::IceConnectionState(Ice::Completed),
            native(Peer::Connected),
            native(Peer::Disconnected),
            Input::IceConnectionState(Ice::Disconnected),
        ],
    ];
    for story in stories {
        let mut run = Run::new();
        run.feed(Input::OfferSent);
        story.iter().for_each(|input| {
            run.feed(*input);
        });
        run.to(ms(2500));
        assert_eq!(
            run.trace(),
            [
                "0 new → connecting: OFFER_SENT",
                "0 connecting → connected: ICE_CONNECTED",
                "2500 connected → disconnected: TRANSPORT_FLAP",
            ],
            "{story:?}"
        );
        assert_eq!(run.ignored(), [""; 0], "{story:?}");
    }
    // Each of the two ends of a path, too: once each.
    for (bad, ice) in [(Peer::Failed, Ice::Failed), (Peer::Closed, Ice::Closed)] {
        for inputs in [
            [native(bad), Input::IceConnectionState(ice)],
            [Input::IceConnectionState(ice), native(bad)],
        ] {
            let mut run = Run::connected();
            inputs.into_iter().for_each(|input| {
                run.feed(input);
            });
            let expected = if bad == Peer::Failed { 3 } else { 1 };
            assert_eq!(run.events.len(), expected, "{inputs:?}");
            assert!(run.restarts().len() <= 1);
        }
    }
}

/// D25: ICE may be connected long before DTLS is.
// req: R167
#[test]
fn where_dtls_is_known_ice_alone_does_not_connect() {
    let mut run = Run::new();
    run.feed(Input::OfferSent).feed(native(Peer::Connecting));
    run.feed(Input::IceConnectionState(Ice::Connected));
    assert_eq!(run.recovery.state(), State::Connecting);
    run.feed(native(Peer::Connected));
    assert_eq!(run.recovery.state(), State::Connected);
    // Bad news are believed early, and good news of a blip that connectionState has slept through.
    run.feed(Input::IceConnectionState(Ice::Disconnected));
    run.wait(ms(1000))
        .feed(Input::IceConnectionState(Ice::Checking));
    assert_eq!(
        run.recovery.native(),
        Peer::Disconnected,
        "connectionState will say"
    );
    run.wait(ms(1000))
        .feed(Input::IceConnectionState(Ice::Connected));
    assert_eq!(run.recovery.native(), Peer::Connected);
    run.wait(ms(10_000));
    assert_eq!(run.recovery.state(), State::Connected);
    // But a DTLS failure is not mended by ICE, nor made a mere loss.
    run.feed(native(Peer::Failed));
    for ice in [
        Ice::Disconnected,
        Ice::Checking,
        Ice::Connected,
        Ice::Completed,
    ] {
        run.feed(Input::IceConnectionState(ice));
        assert_eq!(run.recovery.native(), Peer::Failed, "{ice}");
    }
}

// req: R94 R98 R111
#[test]
fn closing_ends_every_state_and_nothing_comes_after_its_record() {
    for state in State::ALL {
        for close in [
            Input::Close,
            native(Peer::Closed),
            Input::IceConnectionState(Ice::Closed),
        ] {
            let mut run = in_state(state);
            assert_eq!(run.recovery.state(), state);
            // Something waits to be done, too: nobody will ask for it.
            run.recovery.handle(run.now, Input::Timeout);
            run.events.clear();
            run.actions.clear();
            run.feed(close);
            let records: Vec<_> = run
                .transitions()
                .map(|t| (t.from, t.trigger, t.to))
                .collect();
            let expected = [(state, Trigger::Close, State::New)];
            assert_eq!(records, &expected[usize::from(state == State::New)..]);
            // By the table from connected and failed, beside it from the others (D6).
            let by_table = matches!(state, State::Connected | State::Failed);
            assert!(run.transitions().all(|t| t.is_edge() == by_table));
            assert_eq!(run.recovery.state(), State::New);
            assert_eq!(run.recovery.poll_timeout(), None);
            assert_nothing_comes(&mut run);
        }
    }
}

/// What comes late, after the end: nothing at all happens.
// req: R101 R111
#[test]
fn after_the_end_late_and_duplicate_messages_are_nothing() {
    let mut run = Run::connected();
    // An action that nobody has taken is dropped.
    run.recovery.handle(run.now, Input::Resumed);
    run.recovery.handle(run.now, native(Peer::Disconnected));
    run.recovery.close(run.now);
    run.drain();
    assert_eq!(run.actions, []);
    assert_nothing_comes(&mut run);
    run.recovery.close(run.now);
    assert_nothing_comes(&mut run);
}

fn assert_nothing_comes(run: &mut Run) {
    run.events.clear();
    run.actions.clear();
    let states = NATIVE.into_iter().map(native);
    let ice = ICE.into_iter().map(Input::IceConnectionState);
    let rest = [
        Input::OfferSent,
        Input::OfferReceived,
        Input::RestartOffered,
        Input::PeerRestarted,
        Input::Resumed,
        Input::NetworkChanged,
        Input::Stats(floe::recovery::StatsSample::default()),
        Input::Close,
        Input::Timeout,
    ];
    for input in states.chain(ice).chain(rest) {
        run.feed(input).wait(ms(100_000));
        assert!(run.recovery.agrees(run.now));
    }
    assert_eq!((run.events.len(), run.actions.len()), (0, 0));
    assert_eq!(run.recovery.state(), State::New);
    assert_eq!(run.recovery.poll_timeout(), None);
    assert_eq!(run.recovery.presentation(run.now), Presentation::Idle);
}

/// D24.
#[test]
fn a_fresh_connection_begins_anew() {
    let mut run = Run::connected();
    run.feed(native(Peer::Failed)).feed(Input::Close);
    run.feed(Input::Reopen)
        .feed(native(Peer::Connecting))
        .feed(Input::OfferReceived);
    assert_eq!(run.recovery.state(), State::Connecting);
    assert_eq!(run.recovery.presentation(run.now), Presentation::Connecting);
    let restarts = run.restarts().len();
    for _ in 0..3 {
        run.wait(ms(15_000)).feed(Input::RestartOffered);
    }
    assert_eq!(run.restarts().len(), restarts + 3, "with all its restarts");
    assert_eq!(run.escalations(), 0);
    // What the old one was last is forgotten.
    let mut run = Run::connected();
    run.feed(Input::Close)
        .feed(Input::Reopen)
        .feed(Input::OfferSent);
    assert_eq!(run.recovery.state(), State::Connecting);
    run.feed(Input::IceConnectionState(Ice::Connected));
    assert_eq!(
        run.recovery.state(),
        State::Connected,
        "it has told no connectionState"
    );
    // One that is not closed is not touched.
    let mut run = Run::connected();
    run.feed(Input::Reopen);
    assert_eq!(run.recovery.state(), State::Connected);
}

fn in_state(state: State) -> Run {
    let mut run = match state {
        State::New => return Run::new(),
        State::Failed => elsewhere(),
        _ => Run::connected(),
    };
    match state {
        State::Connecting | State::Failed => {
            run.feed(native(Peer::Failed));
        }
        State::Disconnected => {
            run.feed(native(Peer::Disconnected)).wait(ms(2500));
        }
        State::New | State::Connected => {}
    }
    run
}

// req: R48 R49 R109
#[test]
fn a_lost_path_is_an_error_to_the_user_only_when_it_lasts_or_failed() {
    use Presentation::{Connected, Connecting, Error, Idle, Reconnecting};
    let mut run = Run::new();
    let mut seen = Vec::new();
    let mut look = |run: &Run| {
        let presentation = run.recovery.presentation(run.now);
        if seen.last() != Some(&presentation) {
            seen.push(presentation);
        }
        presentation
    };
    look(&run);
    look(run.feed(Input::OfferSent));
    look(run.feed(native(Peer::Connected)));
    run.feed(native(Peer::Disconnected));
    assert_eq!(look(&run), Connected, "a blip is nobody's business");
    assert_eq!(look(run.to(ms(2500))), Reconnecting);
    look(run.to(ms(5000)).feed(native(Peer::Connected)));
    run.feed(native(Peer::Disconnected));
    // The restart is under way, and the path lost for exactly as long as is no error.
    assert_eq!(look(run.to(ms(15_000))), Reconnecting);
    assert_eq!(run.recovery.state(), State::Connecting);
    let late = run.now + Duration::from_nanos(1);
    assert_eq!(run.recovery.presentation(late), Error);
    look(run.to(ms(15_001)));
    look(run.feed(native(Peer::Connected)));
    look(run.feed(native(Peer::Failed)));
    look(run.feed(Input::Close));
    assert_eq!(
        seen,
        [
            Idle,
            Connecting,
            Connected,
            Reconnecting,
            Connected,
            Reconnecting,
            Error,
            Connected,
            Error,
            Idle
        ]
    );
    // Looking for a path in between is not having one.
    let mut run = Run::connected();
    for (at, state) in [
        (0, Peer::Disconnected),
        (1000, Peer::Connecting),
        (6000, Peer::Disconnected),
    ] {
        run.to(ms(at)).feed(native(state));
    }
    assert_eq!(run.recovery.presentation(run.start + ms(10_001)), Error);
    // A restart of a connection that was never lost: it never connected.
    let mut run = Run::new();
    run.feed(Input::OfferSent).wait(ms(15_000));
    assert_eq!(run.recovery.presentation(run.now), Reconnecting);
    // Given up.
    let mut run = elsewhere();
    run.feed(native(Peer::Disconnected)).wait(ms(7500));
    assert_eq!(run.recovery.presentation(run.now), Error);
}

/// What nobody has taken yet gives way to what is wanted now.
#[test]
fn an_escalation_is_told_once_and_what_is_out_of_date_is_not_told() {
    let mut run = Run::connected();
    let give_up = |run: &mut Run| {
        run.recovery.handle(run.now, native(Peer::Failed));
        for _ in 0..3 {
            run.now += ms(75_000);
            run.recovery.handle(run.now, Input::Timeout);
        }
        assert_eq!(run.recovery.state(), State::Failed);
    };
    // Nobody took the restarts: it is too late for them.
    give_up(&mut run);
    run.drain();
    assert_eq!((run.restarts().len(), run.escalations()), (0, 1));
    // Failing again is nothing new.
    run.feed(native(Peer::Connecting))
        .feed(native(Peer::Failed));
    assert_eq!((run.restarts().len(), run.escalations()), (0, 1));
    // Nobody took the escalation before there were other ways out, or the peer helped itself.
    for help in [Input::NetworkChanged, Input::PeerRestarted] {
        let mut run = Run::connected();
        give_up(&mut run);
        run.feed(help);
        assert_eq!(run.recovery.state(), State::Connecting);
        assert_eq!(run.escalations(), 0, "{help:?}");
    }
}

/// Nothing is torn down while a path is lost: the only things asked for are restarts and statistics.
// req: R48
#[test]
fn a_young_loss_asks_for_nothing_but_statistics() {
    let mut run = Run::connected();
    run.feed(native(Peer::Disconnected)).to(ms(7499));
    assert!(
        run.actions
            .iter()
            .all(|(_, action)| *action == Action::PollStats)
    );
}

// req: R164
#[test]
fn statistics_are_asked_for_each_second_while_there_is_no_path() {
    let mut run = Run::new();
    run.to(ms(5000)).feed(Input::OfferSent);
    run.to(ms(8500)).feed(native(Peer::Connected));
    assert_eq!(run.stats_polls(), [6000, 7000, 8000]);
    run.to(ms(20_000)).feed(native(Peer::Disconnected));
    run.to(ms(24_400)).feed(native(Peer::Connected));
    assert_eq!(run.stats_polls()[3..], [23_500], "connected until 22500");
    run.to(ms(60_000));
    assert_eq!(run.stats_polls().len(), 4);
    let mut run = elsewhere();
    run.feed(native(Peer::Failed)).to(ms(60_000));
    assert_eq!(run.stats_polls(), [], "none in failed");
    // A caller that comes late is asked once, and then each second again.
    let mut run = Run::new();
    run.feed(Input::OfferSent);
    run.now += ms(4700);
    run.feed(Input::Timeout);
    assert_eq!(run.stats_polls(), [4700]);
    run.to(ms(6000));
    assert_eq!(run.stats_polls(), [4700, 5000, 6000]);
    // One that nobody took before the path was back is not wanted any more.
    let mut run = Run::new();
    run.feed(Input::OfferSent);
    run.now += ms(1000);
    run.recovery.handle_timeout(run.now);
    run.feed(native(Peer::Connected));
    assert_eq!(run.stats_polls(), [0; 0]);
}

// req: R106 R107 R132
#[test]
fn candidates_and_gathering_move_nothing() {
    let mut run = Run::connected();
    let at = run.now;
    let gathering = |to| {
        PeerEvent::IceGatheringStateChange(Change {
            from: IceGatheringState::New,
            to,
            cause: PeerCause::TransportSetChanged,
            at,
            coalesced: false,
        })
    };
    let id = floe::TransportId::from_bits(1 << 32);
    let events = [
        gathering(IceGatheringState::Gathering),
        gathering(IceGatheringState::Complete),
        PeerEvent::GatheringStateChange(id, floe::ice::GatheringState::Complete),
        PeerEvent::SendPathLost(id, floe::ice::Reason::ConsentExpired),
    ];
    for event in events {
        run.recovery.handle_peer_event(run.now, &event);
        run.drain();
    }
    assert_eq!((run.events.len(), run.actions.len()), (0, 0));
    let change = |to| Change {
        from: Peer::Connected,
        to,
        cause: PeerCause::TransportSetChanged,
        at,
        coalesced: false,
    };
    let failed = PeerEvent::ConnectionStateChange(change(Peer::Failed));
    run.recovery.handle_peer_event(run.now, &failed);
    run.drain();
    assert_eq!(run.restarts().len(), 1);
    let mut run = Run::connected();
    let change = Change {
        from: Ice::Connected,
        to: Ice::Failed,
        cause: PeerCause::TransportSetChanged,
        at,
        coalesced: false,
    };
    let failed = PeerEvent::IceConnectionStateChange(change);
    run.recovery.handle_peer_event(run.now, &failed);
    run.drain();
    assert_eq!(run.restarts().len(), 1);
}

// req: R113
#[test]
fn a_session_is_small_and_a_steady_one_allocates_nothing() {
    assert!(size_of::<Recovery>() <= 80);
    let config = Arc::new(Config::default());
    let now = sim::Clock::new().now();
    let mut recovery = None;
    let made = measure(|| recovery = Some(Recovery::new(now, config.clone()).expect("fine")));
    assert_eq!(made.count_total, 0);
    let mut recovery = recovery.expect("it is there");
    recovery.offer_received(now);
    recovery.handle_connection_state(now, Peer::Connected);
    while recovery.poll_event().is_some() {}
    let steady = measure(|| {
        for round in 0..1000 {
            let now = now + ms(round * 3000);
            recovery.handle_connection_state(now, Peer::Connected);
            recovery.handle_ice_connection_state(now, Ice::Completed);
            recovery.handle_connection_state(now, Peer::Disconnected);
            recovery.handle_timeout(now + ms(100));
            recovery.handle_connection_state(now + ms(200), Peer::Connected);
        }
    });
    assert_eq!(steady.count_total, 0);
    assert_eq!(recovery.poll_event(), None);
    // What is drained is given back.
    let flap = measure(|| {
        recovery.handle_connection_state(now, Peer::Failed);
        while recovery.poll_event().is_some() {}
    });
    assert!(flap.count_total > 0);
    assert_eq!(flap.bytes_current, 0);
}

#[test]
fn events_that_nobody_polls_are_bounded_and_still_a_chain() {
    let mut run = Run::connected();
    for _ in 0..10_000 {
        for input in [
            native(Peer::Failed),
            Input::OfferSent,
            native(Peer::Connected),
        ] {
            run.recovery.handle(run.now, input);
        }
    }
    run.drain();
    assert!(run.events.len() <= 64 + 4, "{}", run.events.len());
    let transitions: Vec<_> = run.transitions().collect();
    assert!(transitions.windows(2).all(|two| two[0].to == two[1].from));
    assert_eq!(transitions.first().map(|t| t.from), Some(State::Connected));
    assert_eq!(transitions.last().map(|t| t.to), Some(run.recovery.state()));
    assert_eq!(transitions.iter().filter(|t| t.coalesced).count(), 1);
    assert_eq!(run.restarts().len(), 1, "so are the actions");
}

/// A cause that comes from the path, from the page or from the network: never from signaling.
fn is_of_the_path(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::NativeFailed
            | Cause::WindowPassed
            | Cause::ConnectTimedOut
            | Cause::Resumed
            | Cause::NetworkChanged
    )
}

fn play(run: &mut Run, script: &[(Duration, Input)]) {
    for (gap, input) in script {
        run.wait(*gap).feed(*input);
    }
}

/// What a script does, but for the requests for statistics.
fn outcome(run: &Run) -> (Vec<Event>, Vec<(u128, Cause)>, usize) {
    (run.events.clone(), run.restarts(), run.escalations())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    // req: R175 R172 P29
    #[test]
    fn a_flap_has_at_most_one_restart_and_none_before_its_windows_are_over(
        script in connected_script(),
    ) {
        let mut run = Run::new();
        let config = Config::default();
        for (gap, input) in script {
            let deadline = run.now + gap;
            loop {
                let open = run.recovery.state() == State::Disconnected
                    || (run.recovery.state(), run.recovery.native()) == (State::Connected, Peer::Disconnected);
                let before = run.restarts().len();
                let due = run.recovery.poll_timeout().filter(|due| *due <= deadline);
                let Some(due) = due else { break };
                run.to(due - run.start);
                let still = run.recovery.state() == State::Disconnected
                    || (run.recovery.state(), run.recovery.native()) == (State::Connected, Peer::Disconnected);
                if open && still {
                    prop_assert_eq!(run.restarts().len(), before);
                }
            }
            run.to(deadline - run.start);
            run.feed(input);
        }
        let entries = |state: State| run.transitions().filter(move |t| t.to == state);
        // One for each entry into failed at most, and those by the window exactly at its end.
        let by_window: Vec<_> = run.restarts().into_iter().filter(|r| r.1 == Cause::WindowPassed).collect();
        for (at, _) in &by_window {
            let begun = *at - config.restart_window.as_millis();
            let flaps = entries(State::Disconnected).filter(|t| (t.at - run.start).as_millis() == begun);
            prop_assert!(flaps.count() >= 1, "a window that ends at {} began", at);
        }
        prop_assert!(by_window.len() <= entries(State::Disconnected).count());
        let forced = run.restarts().iter().filter(|r| matches!(r.1, Cause::Resumed | Cause::NetworkChanged)).count();
        prop_assert!(run.restarts().len() - forced <= entries(State::Failed).count());
    }

    // req: R170 P30
    #[test]
    fn a_blip_changes_nothing_that_comes_after(
        length in 0..2500_u64,
        checked in any::<bool>(),
        by_ice in any::<bool>(),
        rest in prop::collection::vec((any_gap(), crate::support::any_input()), 0..20),
    ) {
        let mut without = Run::connected();
        without.to(ms(3000));
        let mut with = Run::connected();
        let blip = if by_ice { Input::IceConnectionState(Ice::Disconnected) } else { native(Peer::Disconnected) };
        with.feed(blip);
        if checked {
            with.wait(ms(length / 2)).feed(native(Peer::Connecting));
        }
        with.to(ms(length)).feed(native(Peer::Connected)).to(ms(3000));
        prop_assert_eq!(with.actions.len(), 0);
        play(&mut without, &rest);
        play(&mut with, &rest);
        // Two clocks: the same moments after their own starts.
        prop_assert_eq!(with.trace(), without.trace());
        prop_assert_eq!((with.drifts(), with.ignored()), (without.drifts(), without.ignored()));
        prop_assert_eq!(with.restarts(), without.restarts());
        prop_assert_eq!(with.stats_polls(), without.stats_polls());
    }

    // req: R112 P31
    #[test]
    fn no_state_without_a_path_lasts(script in any_script()) {
        let mut run = Run::new();
        for (gap, input) in script {
            run.wait(gap).feed(input);
            let state = run.recovery.state();
            if matches!(state, State::Connecting | State::Disconnected) {
                prop_assert!(run.recovery.poll_timeout().is_some());
                // With nothing but time it is left.
                let (mut alone, at) = (run.recovery.clone(), run.now);
                while alone.poll_event().is_some() {}
                alone.handle_timeout(at + ms(75_000));
                let left = std::iter::from_fn(|| alone.poll_event())
                    .any(|event| matches!(event, Event::Transition(t) if t.from == state));
                prop_assert!(left, "{} has a way out", state);
            }
        }
    }

    // req: R148 P27
    #[test]
    fn every_restart_has_a_cause_in_the_path(script in any_script()) {
        let mut run = Run::new();
        let mut media = 0;
        for (gap, input) in script {
            run.wait(gap);
            // Time alone restarts only what a report or an offer has set going.
            media += usize::from(!matches!(input, Input::RestartOffered | Input::Timeout | Input::Stats(_)));
            run.feed(input);
            prop_assert!(run.restarts().iter().all(|(_, cause)| is_of_the_path(*cause)));
            prop_assert!(media > 0 || run.restarts().is_empty());
        }
    }

    // req: P36 R159
    #[test]
    fn a_clock_that_goes_back_and_a_caller_that_comes_rarely_change_nothing(
        script in any_script(),
        back in prop::collection::vec(any_gap(), 40),
    ) {
        let mut often = Run::new();
        play(&mut often, &script);
        often.wait(ms(300_000));
        // Never polled but with an input, and at the end; and what is said between is said with earlier times.
        let mut rarely = Run::new();
        rarely.start = often.start;
        rarely.now = often.start;
        rarely.recovery = Recovery::new(often.start, Arc::new(Config::default())).expect("fine");
        for ((gap, input), back) in script.iter().zip(back) {
            rarely.now += *gap;
            rarely.feed(*input);
            let earlier = rarely.now.checked_sub(back).unwrap_or(rarely.now);
            rarely.recovery.handle(earlier, Input::Timeout);
            rarely.drain();
        }
        rarely.now += ms(300_000);
        rarely.feed(Input::Timeout);
        prop_assert_eq!(&rarely.events, &often.events);
        // Actions that nobody takes become one, or are overtaken; none is new.
        prop_assert!(rarely.escalations() <= often.escalations());
        prop_assert!(rarely.restarts().len() <= often.restarts().len());
        // What was said while the clock had gone back is recorded with times that have not.
        let times: Vec<_> = rarely.transitions().map(|t| t.at).collect();
        prop_assert!(times.is_sorted());
    }

    #[test]
    fn inputs_dated_back_are_taken_as_of_now(script in connected_script(), back in any_gap()) {
        let mut straight = Run::new();
        let mut bent = Run::new();
        bent.start = straight.start;
        bent.now = straight.start;
        bent.recovery = straight.recovery.clone();
        for (gap, input) in script {
            straight.wait(gap);
            bent.wait(gap);
            // Both have seen this moment.
            straight.feed(Input::Timeout).feed(input);
            let now = bent.now;
            bent.feed(Input::Timeout);
            bent.now = now.checked_sub(back).unwrap_or(now);
            bent.recovery.handle(bent.now, input);
            bent.now = now;
            bent.drain();
        }
        prop_assert_eq!(outcome(&straight), outcome(&bent));
    }

    #[test]
    fn one_that_is_taken_over_goes_on_as_it_would_have(
        before in any_script(),
        after in any_script(),
        away in any_gap(),
    ) {
        let mut stayed = Run::new();
        play(&mut stayed, &before);
        stayed.wait(away);
        stayed.events.clear();
        stayed.actions.clear();
        let saved = serde_json::to_string(&stayed.recovery.save(stayed.now)).expect("it is written");
        let saved = serde_json::from_str(&saved).expect("and read");
        let mut moved = Run::new();
        // Another clock: the same moments are other numbers there.
        moved.start = stayed.start + ms(123_456);
        moved.now = stayed.now + ms(123_456);
        moved.recovery = Recovery::restore(moved.now, saved, Arc::new(Config::default())).expect("it was one");
        prop_assert_eq!(stayed.recovery.presentation(stayed.now), moved.recovery.presentation(moved.now));
        play(&mut stayed, &after);
        play(&mut moved, &after);
        stayed.wait(ms(100_000));
        moved.wait(ms(100_000));
        prop_assert_eq!(stayed.trace(), moved.trace());
        prop_assert_eq!((stayed.drifts(), stayed.ignored()), (moved.drifts(), moved.ignored()));
        prop_assert_eq!(stayed.restarts(), moved.restarts());
        prop_assert_eq!(stayed.stats_polls(), moved.stats_polls());
        prop_assert_eq!(stayed.recovery.presentation(stayed.now), moved.recovery.presentation(moved.now));
    }
}

#[test]
fn what_waits_to_be_done_is_taken_over_and_what_was_made_up_is_refused() {
    let mut run = Run::connected();
    run.recovery.handle(run.now, native(Peer::Failed));
    let saved = serde_json::to_value(run.recovery.save(run.now)).expect("it is written");
    let restore = |saved: &serde_json::Value, config: Config| {
        let saved = serde_json::from_value(saved.clone()).expect("it is read");
        Recovery::restore(run.now, saved, Arc::new(config))
    };
    let mut restored = restore(&saved, Config::default()).expect("it was one");
    let cause = Cause::NativeFailed;
    assert_eq!(restored.poll_action(), Some(Action::RestartIce { cause }));
    assert_eq!(restored.state(), State::Connecting);
    let mut bad = Config::default();
    bad.max_restarts = 0;
    let refused = restore(&saved, bad).err();
    assert_eq!(
        refused,
        Some(RestoreError::Config(ConfigError::MaxRestarts))
    );
    let mut stranded = saved.clone();
    stranded["due_in"] = serde_json::Value::Null;
    let refused = restore(&stranded, Config::default()).err();
    assert_eq!(refused, Some(RestoreError::Stranded));
    // A closed one stays closed.
    run.feed(Input::Close);
    let saved = serde_json::to_value(run.recovery.save(run.now)).expect("it is written");
    run.recovery = {
        let saved = serde_json::from_value(saved).expect("it is read");
        Recovery::restore(run.now, saved, Arc::new(Config::default())).expect("it was one")
    };
    assert_nothing_comes(&mut run);
}
