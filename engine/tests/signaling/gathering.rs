//! Signaling with real transports: when they gather, what a rollback does to them, and that neither layer moves the other.

use crate::caller::{Call, From, Restart, call, delivers, exchange, is_answered, offers, trickle};
use floe::recovery::{self, Recovery};
use floe::signaling::{Description, Event, MediaLife, Side, SignalingState};
use floe::{IceConnectionState, IceGatheringState, PeerConnectionState, PeerEvent};
use sim::{Node, address};
use std::{sync::Arc, time::Duration};

/// Both want one section, and have it.
fn connected(seed: u64) -> Call {
    let mut call = call(seed);
    let now = call.now();
    call.a.want(now, "0", address(1));
    exchange(&mut call, From::A);
    trickle(&mut call);
    call.drive_until(|a, b| {
        [a, b].map(|side| side.peer.connection_state()) == [PeerConnectionState::Connected; 2]
    });
    call.drive();
    call
}

fn sets(call: &mut Call, rollback: Side) {
    let now = call.now();
    let signaling = &mut call.a.signaling;
    let asked = match rollback {
        Side::Local => signaling.set_local_description(now, Description::rollback()),
        Side::Remote => signaling.set_remote_description(now, Description::rollback()),
    };
    let asked = asked.expect("it is open");
    call.a.run(now);
    assert!(call.a.told.contains(&Event::Done(asked)));
}

// req: R79 R80 R83 R28 W42 E9 E11
#[test]
fn a_call_tells_the_golden_traces_of_both_layers() {
    let mut call = call(1);
    assert_eq!(call.a.signaling.state(), SignalingState::Stable);
    assert_eq!(call.a.peer.connection_state(), PeerConnectionState::New);
    let now = call.now();
    call.a.want(now, "0", address(1));
    exchange(&mut call, From::A);
    assert_eq!(call.a.states(), ["have-local-offer", "stable"]);
    assert_eq!(call.b.states(), ["have-remote-offer", "stable"]);
    for side in [&call.a, &call.b] {
        assert_eq!(
            side.peer.connection_state(),
            PeerConnectionState::New,
            "stable, and nothing works yet"
        );
        // Gathering began while the description was applied; the candidate was told after its end.
        let place = |wanted: &dyn Fn(&Event) -> bool| side.told.iter().position(wanted);
        let candidate = place(&|event| matches!(event, Event::LocalCandidate(_)));
        let set = side.told[..candidate.expect("it was told")]
            .iter()
            .rposition(|event| matches!(event, Event::SignalingStateChange(_)));
        let done = place(&|event| matches!(event, Event::Done(_)));
        assert!(set.is_some() && done < candidate);
    }
    trickle(&mut call);
    call.drive();
    for side in [&call.a, &call.b] {
        assert_eq!(side.gathering_states(), ["gathering", "complete"]);
        let connection = side.changes(|event| match event {
            PeerEvent::ConnectionStateChange(change) => Some(change.to.to_string()),
            _ => None,
        });
        assert_eq!(connection, ["connecting", "connected"]);
        assert_eq!(side.states().len(), 2, "and signaling did not move");
    }
}

// req: R27 R28
#[test]
fn neither_layer_moves_the_other() {
    let mut call = connected(2);
    let before = [call.a.peer_told.len(), call.b.peer_told.len()];
    offers(&mut call, From::B);
    delivers(&mut call, From::B);
    assert_eq!(call.a.signaling.state(), SignalingState::HaveRemoteOffer);
    is_answered(&mut call, From::B);
    offers(&mut call, From::A);
    sets(&mut call, Side::Local);
    assert_eq!(
        call.a.states()[2..],
        ["have-remote-offer", "stable", "have-local-offer", "stable"]
    );
    assert_eq!([call.a.peer_told.len(), call.b.peer_told.len()], before);

    let states = call.a.states().len();
    call.network.cut();
    call.run_for(Duration::from_secs(60));
    assert_eq!(
        call.a.peer.ice_connection_state(),
        IceConnectionState::Failed
    );
    assert_eq!(call.a.states().len(), states);
    assert_eq!(call.a.signaling.state(), SignalingState::Stable);
}

// req: R132
#[test]
fn candidates_move_no_recovery() {
    let mut call = call(12);
    let now = call.now();
    let config = Arc::new(recovery::Config::default());
    let mut recovery = Recovery::new(now, config).expect("it is in range");
    let seen = |call: &mut Call, recovery: &mut Recovery, from: usize| {
        for event in &call.a.peer_told[from..] {
            recovery.handle_peer_event(call.now(), event);
        }
        call.a.peer_told.len()
    };
    call.network.cut();
    call.a.want(now, "0", address(1));
    exchange(&mut call, From::A);
    recovery.offer_sent(now);
    let from = seen(&mut call, &mut recovery, 0);
    let before = recovery.state();
    while recovery.poll_event().is_some() {}
    // Both have candidates, give them and take them; gathering ends.
    let gathered = call.a.outbox.len();
    trickle(&mut call);
    let added = call.b.told.iter().rev().take(gathered);
    assert!(added.clone().all(|event| matches!(event, Event::Done(_))));
    assert_eq!(call.a.gathering_states(), ["gathering", "complete"]);
    seen(&mut call, &mut recovery, from);
    assert_eq!(recovery.state(), before);
    assert!(recovery.poll_event().is_none());
}

// req: R28 W21
#[test]
fn an_exchange_about_nothing_makes_no_transport() {
    let mut call = call(3);
    exchange(&mut call, From::A);
    for side in [&call.a, &call.b] {
        assert_eq!(side.states().last().map(String::as_str), Some("stable"));
        assert_eq!(side.peer.transports().count(), 0);
        assert_eq!(side.peer.connection_state(), PeerConnectionState::New);
        assert!(side.peer_told.is_empty());
    }
}

// req: W18
#[test]
fn an_exchange_that_closes_all_transports_makes_gathering_new() {
    let mut call = connected(4);
    let now = call.now();
    call.a.sections[0].life = MediaLife::Stopped;
    call.a.signaling.negotiation_wanted(now);
    exchange(&mut call, From::A);
    call.drive();
    for side in [&call.a, &call.b] {
        assert_eq!(side.peer.transports().count(), 0);
        assert_eq!(side.gathering_states(), ["gathering", "complete", "new"]);
        assert_eq!(side.peer.ice_gathering_state(), IceGatheringState::New);
    }
}

// req: W19
#[test]
fn a_first_offer_that_is_rolled_back_makes_gathering_new() {
    for complete in [true, false] {
        let mut call = call(5);
        let now = call.now();
        call.a.want(now, "0", address(1));
        offers(&mut call, From::A);
        let mut expected = vec!["gathering"];
        if complete {
            call.a.gathered(now);
            expected.push("complete");
        }
        assert_eq!(call.a.gathering_states(), expected);
        sets(&mut call, Side::Local);
        expected.push("new");
        assert_eq!(call.a.gathering_states(), expected);
        assert_eq!(call.a.transports(), [], "it made the transport");

        // It is still wanted, and comes about.
        exchange(&mut call, From::A);
        trickle(&mut call);
        call.drive_until(|a, _| a.peer.connection_state() == PeerConnectionState::Connected);
    }
}

// req: W21
#[test]
fn what_makes_no_transport_gathers_nothing() {
    let mut call = connected(6);
    let before = [&call.a, &call.b].map(|side| side.gathering_states());
    assert_eq!(before[0], ["gathering", "complete"]);
    // The same again.
    exchange(&mut call, From::A);
    assert_eq!(
        [&call.a, &call.b].map(|side| side.gathering_states()),
        before
    );

    // A remote offer gathers nothing, however often: it takes an answer.
    let mut call = crate::caller::call(7);
    let now = call.now();
    call.b.want(now, "0", address(2));
    offers(&mut call, From::B);
    delivers(&mut call, From::B);
    delivers(&mut call, From::B);
    sets(&mut call, Side::Remote);
    delivers(&mut call, From::B);
    assert_eq!(
        call.a.states(),
        ["have-remote-offer", "stable", "have-remote-offer"]
    );
    assert_eq!(call.a.gathering_states(), [""; 0]);
    is_answered(&mut call, From::B);
    assert_eq!(call.a.gathering_states(), ["gathering"]);
}

// req: W22
#[test]
fn a_restarted_transport_gathers_again() {
    for restarted in [1, 2] {
        let mut call = call(8);
        let now = call.now();
        call.a.want(now, "0", address(1));
        call.a.want(now, "1", address(3));
        exchange(&mut call, From::A);
        trickle(&mut call);
        call.drive();
        assert_eq!(call.a.gathering_states(), ["gathering", "complete"]);
        for section in &mut call.a.sections[..restarted] {
            section.restart = Restart::Yes;
        }
        exchange(&mut call, From::A);
        assert_eq!(
            call.a.gathering_states(),
            ["gathering", "complete", "gathering"]
        );
        trickle(&mut call);
        call.drive();
        let twice = ["gathering", "complete", "gathering", "complete"];
        assert_eq!(call.a.gathering_states(), twice, "{restarted} restarted");
        assert_eq!(call.b.gathering_states(), twice);
        assert_eq!(
            call.a.peer.connection_state(),
            PeerConnectionState::Connected
        );
    }
}

// req: W24
#[test]
fn a_restart_that_is_rolled_back_leaves_gathering_complete() {
    let mut call = connected(9);
    let ids = call.a.transports();
    let now = call.now();
    call.a.signaling.restart_ice(now);
    offers(&mut call, From::A);
    call.a.gathered(now);
    let before = call.a.gathering_states();
    assert_eq!(before.last().map(String::as_str), Some("complete"));
    sets(&mut call, Side::Local);
    assert_eq!(call.a.gathering_states(), before, "no change");
    assert_eq!(call.a.transports(), ids);
    assert!(call.a.signaling.is_restart_wanted(), "it is still wanted");
    call.run_for(Duration::from_secs(40));
    assert_eq!(
        call.a.peer.connection_state(),
        PeerConnectionState::Connected
    );
}

// req: W73
#[test]
fn a_restart_changes_credentials_and_nothing_else() {
    let mut call = connected(10);
    let ids = [call.a.transports(), call.b.transports()];
    let ufrags = |call: &Call| {
        [&call.a, &call.b].map(|side| {
            let current = side.signaling.current_description(Side::Local);
            let current = current.expect("there is one");
            current.ufrags().map(str::to_owned).collect::<Vec<_>>()
        })
    };
    let before = ufrags(&call);
    let now = call.now();
    call.a.signaling.restart_ice(now);
    call.a.run(now);
    assert_eq!(call.a.told.last(), Some(&Event::NegotiationNeeded));
    exchange(&mut call, From::A);
    trickle(&mut call);
    call.drive();
    let after = ufrags(&call);
    for (before, after) in before.iter().flatten().zip(after.iter().flatten()) {
        assert_ne!(before, after, "new on both sides");
    }
    exchange(&mut call, From::B);
    assert_eq!(ufrags(&call), after, "and then they stay");
    assert_eq!([call.a.transports(), call.b.transports()], ids);
    for side in [&call.a, &call.b] {
        let dtls = side.changes(|event| match event {
            PeerEvent::DtlsTransportStateChange(_, transition) => Some(transition.to.to_string()),
            _ => None,
        });
        assert_eq!(dtls, ["connecting", "connected"], "the association goes on");
        assert_eq!(side.peer.connection_state(), PeerConnectionState::Connected);
    }
}

// req: W64
#[test]
fn a_rollback_keeps_what_was_agreed_on_and_drops_what_was_not() {
    let mut call = connected(11);
    let agreed = call.a.transports();
    let now = call.now();
    call.a.want(now, "1", address(3));
    offers(&mut call, From::A);
    assert_eq!(call.a.transports().len(), 2);
    assert_eq!(
        call.a.peer.connection_state(),
        PeerConnectionState::Connecting
    );
    sets(&mut call, Side::Local);
    assert_eq!(call.a.transports(), agreed);
    assert_eq!(
        call.a.peer.connection_state(),
        PeerConnectionState::Connected
    );
    assert_eq!(call.a.signaling.state(), SignalingState::Stable);

    // The other side's offer applies.
    call.a.sections.truncate(1);
    let now = call.now();
    call.a.signaling.negotiation_satisfied(now);
    call.b.want(now, "theirs", address(4));
    exchange(&mut call, From::B);
    call.a
        .outbox
        .retain(|candidate| candidate.mid.as_deref() == Some("theirs"));
    trickle(&mut call);
    call.drive();
    assert_eq!(call.a.transports()[..1], agreed);
    assert_eq!(call.a.transports().len(), 2);
    for side in [&mut call.a, &mut call.b] {
        side.collect_events(now);
        assert_eq!(side.peer.connection_state(), PeerConnectionState::Connected);
    }
}
