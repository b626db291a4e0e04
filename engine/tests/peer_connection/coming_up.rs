//! Coming up: the golden traces, and what each state waits for.

use crate::leg::{Leg, Story, both_are, call, is_dtls, sides};
use PeerConnectionState::{Connected, Disconnected};
use floe::{Event, IceConnectionState, IceGatheringState, PeerConnectionState, PeerEvent};
use floe_dtls as dtls;
use floe_ice::{self as ice, Candidate};
use sim::address;
use std::time::Duration;

// The signaling trace (R79) belongs to a machine that is not built yet.
// req: R36 R37 R38 R51 R76 R80 R81 R82 R83 R85 E2 W3 W4 W6 W10 W11 W20 W27 W28 W35
#[test]
fn a_call_tells_the_golden_traces() -> Story {
    let (mut call, leg) = call(1);
    call.drive_until(both_are(Connected));
    call.drive();
    for (side, id) in [(&call.a, leg.a), (&call.b, leg.b)] {
        use dtls::State as Dtls;
        use ice::State as Ice;
        assert_eq!(
            side.ice_states(id),
            [Ice::New, Ice::Checking, Ice::Connected, Ice::Completed]
        );
        assert_eq!(
            side.dtls_states(id),
            [Dtls::New, Dtls::Connecting, Dtls::Connected]
        );
        assert_eq!(side.gathering_states(), ["gathering", "complete"]);
        assert_eq!(
            side.ice_connection_states(),
            ["checking", "connected", "completed"]
        );
        assert_eq!(side.connection_states(), ["connecting", "connected"]);
        assert_eq!(side.peer.explain().to_string(), "connected");

        let place = |wanted: &dyn Fn(&PeerEvent) -> bool| {
            side.told.iter().position(wanted).expect("it was told")
        };
        let pair = place(&|event| matches!(event, PeerEvent::SelectedCandidatePairChange(..)));
        let ice = place(
            &|event| matches!(event, PeerEvent::IceTransportStateChange(_, t) if t.to == Ice::Connected),
        );
        let aggregate = place(
            &|event| matches!(event, PeerEvent::IceConnectionStateChange(change) if change.to == IceConnectionState::Connected),
        );
        assert!(pair < ice && ice < aggregate);
        let dtls = place(
            &|event| matches!(event, PeerEvent::DtlsTransportStateChange(_, t) if t.to == Dtls::Connected),
        );
        let connected = place(
            &|event| matches!(event, PeerEvent::ConnectionStateChange(change) if change.to == Connected),
        );
        assert_eq!(
            connected,
            dtls + 1,
            "connected when DTLS is, and for no other reason"
        );
    }
    Ok(())
}

// req: R84 R37
#[test]
fn dtls_says_nothing_before_ice_has_a_path() -> Story {
    let (mut call, leg) = call(2);
    let wire = call.network.wiretap();
    call.network.cut();
    call.run_for(Duration::from_secs(5));
    for (side, id) in [(&call.a, leg.a), (&call.b, leg.b)] {
        assert_eq!(side.ice_states(id).last(), Some(&ice::State::Checking));
        assert_eq!(side.dtls_states(id), [], "not started");
    }
    assert!(!wire.is_empty() && !wire.seen().iter().any(|(_, datagram)| is_dtls(datagram)));

    call.network.heal();
    call.drive_until(both_are(Connected));
    for side in [&call.a, &call.b] {
        let place = |wanted: &dyn Fn(&Event) -> bool| {
            side.transports.iter().position(|(_, event)| wanted(event))
        };
        let path = place(
            &|event| matches!(event, Event::IceStateChange(t) if t.to == ice::State::Connected),
        );
        let start = place(
            &|event| matches!(event, Event::DtlsStateChange(t) if t.to == dtls::State::Connecting),
        );
        assert!(path.is_some() && path < start);
    }
    Ok(())
}

// req: R36 R37 W5 W30
#[test]
fn without_remote_candidates_everything_stays_new() -> Story {
    let mut call = sides(20, &[address(1)], &[address(2)]);
    let leg = Leg::open(&mut call, address(1), address(2));
    leg.signal(&mut call)?;
    call.run_for(Duration::from_secs(10));
    for side in [&call.a, &call.b] {
        assert!(side.is(PeerConnectionState::New));
        assert_eq!(side.peer.ice_connection_state(), IceConnectionState::New);
    }
    assert_eq!(call.network.counters().sent, 0);
    leg.trickle(&mut call)?;
    call.run_for(Duration::from_millis(1));
    assert_eq!(
        call.a.ice_states(leg.a),
        [ice::State::New, ice::State::Checking]
    );
    Ok(())
}

// req: W15 W41
#[test]
fn candidates_of_one_side_are_enough() -> Story {
    for from_a in [true, false] {
        let mut call = sides(21, &[address(1)], &[address(2)]);
        let leg = Leg::open(&mut call, address(1), address(2));
        leg.signal(&mut call)?;
        let now = call.now();
        let (side, id, candidate) = match from_a {
            true => (&mut call.b, leg.b, &leg.of_a.candidate),
            false => (&mut call.a, leg.a, &leg.of_b.candidate),
        };
        side.with(now, id, |t| t.add_remote_candidate(now, candidate.clone()))?;
        call.drive_until(both_are(Connected));
        for (side, id) in [(&call.a, leg.a), (&call.b, leg.b)] {
            assert_eq!(
                side.ice_states(id),
                [ice::State::New, ice::State::Checking, ice::State::Connected]
            );
        }
    }
    Ok(())
}

// req: R46 W40
#[test]
fn a_candidate_that_fails_while_more_may_come_is_disconnected_and_not_failed() -> Story {
    let mut call = sides(22, &[address(1)], &[address(2)]);
    let leg = Leg::open(&mut call, address(1), address(2));
    leg.signal(&mut call)?;
    let now = call.now();
    let nobody = Candidate::host(address(99));
    call.a
        .with(now, leg.a, |t| t.add_remote_candidate(now, nobody))?;
    call.drive_until(|a, _| a.is(Disconnected));
    assert_eq!(
        call.a.peer.explain().to_string(),
        format!(
            "disconnected: transport {}: ICE disconnected ({})",
            leg.a,
            ice::Reason::PairsFailed
        )
    );
    leg.trickle(&mut call)?;
    call.drive_until(both_are(Connected));
    assert!(!call.a.connection_states().contains(&"failed".to_owned()));
    Ok(())
}

// req: R39
#[test]
fn completed_waits_for_the_end_of_candidates_on_both_sides() -> Story {
    let mut call = sides(3, &[address(1)], &[address(2)]);
    let leg = Leg::open(&mut call, address(1), address(2));
    leg.signal(&mut call)?;
    leg.trickle(&mut call)?;
    call.drive_until(both_are(Connected));
    call.run_for(Duration::from_secs(5));
    assert_eq!(
        call.a.peer.ice_connection_state(),
        IceConnectionState::Connected
    );

    let now = call.now();
    call.a.with(now, leg.a, |transport| {
        transport.local_candidates_complete(now)
    });
    call.run_for(Duration::from_secs(5));
    assert_eq!(
        call.a.peer.ice_connection_state(),
        IceConnectionState::Connected,
        "the peer's may still come"
    );

    let now = call.now();
    call.a.with(now, leg.a, |transport| {
        transport.remote_candidates_complete(now)
    });
    call.run_for(Duration::from_secs(5));
    assert_eq!(
        call.a.peer.ice_connection_state(),
        IceConnectionState::Completed
    );
    assert_eq!(
        call.b.peer.ice_connection_state(),
        IceConnectionState::Connected,
        "each side for itself"
    );
    Ok(())
}

// req: R76 R77 R78
#[test]
fn gathering_runs_beside_the_checks_and_again_after_a_restart() -> Story {
    let mut call = sides(4, &[address(1), address(3)], &[address(2)]);
    let leg = Leg::open(&mut call, address(1), address(2));
    leg.signal(&mut call)?;
    leg.trickle(&mut call)?;
    call.network.cut();
    call.run_for(Duration::from_secs(1));
    assert_eq!(
        call.a.peer.ice_gathering_state(),
        IceGatheringState::Gathering
    );
    leg.complete(&mut call);
    call.step();
    assert_eq!(call.a.gathering_states(), ["gathering", "complete"]);
    assert_eq!(
        call.a.ice_states(leg.a).last(),
        Some(&ice::State::Checking),
        "while still checking"
    );

    call.network.heal();
    call.drive_until(both_are(Connected));
    let now = call.now();
    call.a
        .with(now, leg.a, |transport| transport.restart(now, None, None))?;
    call.run_for(Duration::from_millis(1));
    assert_eq!(
        call.a.peer.ice_gathering_state(),
        IceGatheringState::Gathering,
        "again"
    );
    call.a.with(now, leg.a, |transport| {
        transport.local_candidates_complete(now)
    });
    call.run_for(Duration::from_millis(1));
    assert_eq!(
        call.a.gathering_states(),
        ["gathering", "complete", "gathering", "complete"]
    );

    Leg::open(&mut call, address(3), address(2));
    call.run_for(Duration::from_millis(1));
    assert_eq!(
        call.a.peer.ice_gathering_state(),
        IceGatheringState::Gathering,
        "a new transport gathers"
    );
    Ok(())
}
