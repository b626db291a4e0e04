//! What a restart leads to and out of, in both profiles, and what it leaves alone.

use crate::leg::{Call, Leg, Story, both_are, call, is_dtls, sides};
use crate::side::Side;
use PeerConnectionState::{Connected, Disconnected, Failed};
use floe::{
    Event, Fault, IceGatheringState, PeerConnection, PeerConnectionState, PeerEvent, Profile,
    RemoteDtls, TransportId,
};
use floe_dtls::{self as dtls, Continuation, HashAlgorithm, Identity, Setup};
use floe_ice::{self as ice, Candidate, GatheredGeneration, Transmit};
use sim::{Datagram, Verdict, address};
use std::time::Duration;

fn confirmed(side: &Side) -> bool {
    side.transports
        .iter()
        .any(|(_, event)| *event == Event::RestartConfirmed)
}

// The same restart, seen by a side that follows the article and by one that follows W3C.
// req: R44 R87
#[test]
fn a_restart_in_completed_is_checking_for_the_article_and_connected_for_w3c() -> Story {
    let mut call = sides(40, &[address(1)], &[address(2)]);
    call.a.peer = PeerConnection::with_profile(Profile::Article);
    let leg = Leg::connect(&mut call, address(1), address(2))?;
    call.drive_until(both_are(Connected));
    call.drive();
    leg.restart(&mut call)?;
    call.drive_until(|a, b| confirmed(a) && confirmed(b));
    call.run_for(Duration::from_secs(1));
    assert_eq!(
        call.a.ice_connection_states(),
        [
            "checking",
            "connected",
            "completed",
            "checking",
            "connected",
            "completed"
        ]
    );
    assert_eq!(
        call.a.connection_states(),
        ["connecting", "connected", "connecting", "connected"]
    );
    assert_eq!(
        call.b.ice_connection_states(),
        [
            "checking",
            "connected",
            "completed",
            "connected",
            "completed"
        ]
    );
    assert_eq!(call.b.connection_states(), ["connecting", "connected"]);
    Ok(())
}

// req: R50 R87
#[test]
fn failed_is_left_by_a_restart() -> Story {
    let (mut call, leg) = call(41);
    call.drive_until(both_are(Connected));
    call.network.cut();
    call.drive_until(both_are(Failed));
    call.network.heal();
    call.run_for(Duration::from_secs(60));
    assert!(call.a.is(Failed) && call.b.is(Failed), "whatever arrives");
    leg.restart(&mut call)?;
    call.drive_until(both_are(Connected));
    use ice::State::{Checking, Completed, Connected as Up, Failed as Given};
    for (side, id) in [(&call.a, leg.a), (&call.b, leg.b)] {
        let states = side.ice_states(id);
        let since = states.iter().rposition(|state| *state == Given).unwrap();
        assert!(
            matches!(states[since..], [Given, Checking, Up | Completed, ..]),
            "{states:?}"
        );
        let words = side.connection_states();
        assert_eq!(
            words[words.len() - 3..],
            ["failed", "connecting", "connected"]
        );
    }
    Ok(())
}

// req: W17
#[test]
fn a_restart_when_disconnected_is_checking_and_then_connected() -> Story {
    let (mut call, leg) = call(42);
    call.drive_until(both_are(Connected));
    call.drive();
    call.network.cut();
    call.drive_until(both_are(Disconnected));
    call.network.heal();
    leg.signal_restart(&mut call)?;
    leg.trickle(&mut call)?;
    call.drive_until(both_are(Connected));
    for side in [&call.a, &call.b] {
        let words = side.ice_connection_states();
        let since = words
            .iter()
            .rposition(|word| word == "disconnected")
            .unwrap();
        assert_eq!(words[since + 1], "checking", "{words:?}");
        assert_eq!(words[since + 2], "connected", "{words:?}");
        assert!(!words.contains(&"failed".to_owned()));
    }
    Ok(())
}

/// Seals `text` on one side and puts it on the wire.
fn send(call: &mut Call, leg: &Leg, text: &[u8]) {
    let now = call.now();
    let mut out = [0; 1500];
    for (side, id) in [(&mut call.a, leg.a), (&mut call.b, leg.b)] {
        let sealed = side.with(now, id, |transport| transport.seal(now, text, &mut out));
        let Transmit { path, len } = sealed.expect("it never was anything but connected");
        let datagram = Datagram {
            source: path.local,
            destination: path.remote,
            bytes: out[..len].to_vec(),
        };
        call.network.inject(now, datagram);
    }
}

// req: R177 W26
#[test]
fn a_restart_of_either_side_changes_credentials_and_nothing_above_them() -> Story {
    let (mut call, leg) = call(43);
    call.drive_until(both_are(Connected));
    call.drive();
    let facts = |call: &Call, side: fn(&Call) -> &Side, id: TransportId| {
        let transport = side(call).endpoint.transport(id).unwrap();
        let keys = transport.srtp_keys().map(|keys| keys.association());
        let referred: Vec<_> = side(call).peer.transports().map(|(id, _)| id).collect();
        (transport.dtls().association(), keys, referred)
    };
    let of = |call: &Call| {
        (
            facts(call, |call| &call.a, leg.a),
            facts(call, |call| &call.b, leg.b),
        )
    };
    let names = |call: &Call| {
        let name = |side: &Side, id| {
            let parameters = side.endpoint.transport(id).unwrap().local_parameters();
            parameters.username_fragment().to_owned()
        };
        (name(&call.a, leg.a), name(&call.b, leg.b))
    };
    let (before, mut last) = (of(&call), names(&call));
    // A local restart, which is the other side's remote one, and once more with the candidates a little later.
    for round in 1..=2 {
        leg.restart(&mut call)?;
        let renamed = names(&call);
        assert!(
            renamed.0 != last.0 && renamed.1 != last.1,
            "new credentials"
        );
        last = renamed;
        for _ in 0..50 {
            send(&mut call, &leg, b"all the while");
            call.run_for(Duration::from_millis(20));
        }
        call.run_for(Duration::from_secs(6));
        for (side, id) in [(&call.a, leg.a), (&call.b, leg.b)] {
            let data = side.endpoint.transport(id).unwrap().stats().data;
            assert_eq!(data, 50 * round, "no data was lost");
            assert_eq!(side.dtls_states(id).len(), 3, "DTLS noticed nothing");
            assert_eq!(side.connection_states(), ["connecting", "connected"]);
        }
        assert_eq!(of(&call), before, "the same transports and associations");
    }
    Ok(())
}

// The first certificate is not the one that was signalled; the next exchange says which it is.
// req: R55
#[test]
fn a_new_association_takes_dtls_out_of_failed() -> Story {
    let mut call = sides(44, &[address(1)], &[address(2)]);
    let mut leg = Leg::open(&mut call, address(1), address(2));
    let right = leg.of_b.fingerprints.clone();
    let stranger = Identity::generate()
        .expect("the backend signs")
        .fingerprint(HashAlgorithm::Sha256);
    leg.of_b.fingerprints = dtls::FingerprintSet::new([stranger]).expect("one is enough");
    leg.signal(&mut call)?;
    leg.trickle(&mut call)?;
    leg.complete(&mut call);
    call.drive_until(both_are(Failed));
    leg.restart(&mut call)?;
    let now = call.now();
    let second = |fingerprints, setup| RemoteDtls {
        fingerprints,
        setup,
        tls_id: Some("second".to_owned()),
    };
    let of_b = second(right, Setup::Active);
    let of_a = second(leg.of_a.fingerprints.clone(), Setup::Passive);
    let begun = call.a.with(now, leg.a, |t| t.set_remote_dtls(now, of_b))?;
    assert_eq!(begun, Continuation::New);
    // B has seen no fault with A, but its association ended with A's alert.
    let _ = call.b.with(now, leg.b, |t| t.set_remote_dtls(now, of_a))?;
    call.drive_until(|a, _| a.dtls_states(leg.a).len() > 3);
    use dtls::State::{Connecting, Failed as Given, New};
    let states = call.a.dtls_states(leg.a);
    assert_eq!(
        states[..4],
        [New, Connecting, Given, Connecting],
        "{states:?}"
    );
    Ok(())
}

// req: E8
#[test]
fn the_end_of_a_generation_that_was_replaced_does_not_end_the_gathering() -> Story {
    let mut call = sides(45, &[address(1)], &[address(2)]);
    let leg = Leg::open(&mut call, address(1), address(2));
    leg.signal(&mut call)?;
    leg.trickle(&mut call)?;
    call.drive_until(both_are(Connected));
    let now = call.now();
    let id = leg.a;
    let name = |side: &Side| {
        let parameters = side.endpoint.transport(id).unwrap().local_parameters();
        parameters.username_fragment().to_owned()
    };
    let first = name(&call.a);
    call.a
        .with(now, id, |transport| transport.restart(now, None, None))?;
    let second = name(&call.a);
    call.step();
    let from = call.a.told.len();
    let ends = |side: &Side| {
        let end = |event: &PeerEvent| match event {
            PeerEvent::EndOfCandidates(of, which) if *of == id => Some(*which),
            _ => None,
        };
        side.told[from..].iter().filter_map(end).collect::<Vec<_>>()
    };
    let tell = |call: &mut Call, name: &str| {
        let now = call.now();
        call.a.with(now, id, |transport| {
            transport.local_candidates_complete_of(now, name)
        });
        call.run_for(Duration::from_millis(1));
    };

    tell(&mut call, &first);
    assert_eq!(ends(&call.a), [GatheredGeneration::Former]);
    let state = call.a.peer.ice_gathering_state();
    assert_eq!(state, IceGatheringState::Gathering, "the next one goes on");
    tell(&mut call, &first);
    tell(&mut call, "nobody's");
    assert_eq!(ends(&call.a).len(), 1, "said once");

    tell(&mut call, &second);
    let both = [GatheredGeneration::Former, GatheredGeneration::Newest];
    assert_eq!(ends(&call.a), both);
    assert_eq!(call.a.gathering_states(), ["gathering", "complete"]);
    tell(&mut call, &second);
    assert_eq!(ends(&call.a), both);

    // Once the next one is confirmed, the one before is nothing to go back to.
    let before = ends(&call.a).len();
    let third = name(&call.a);
    leg.restart(&mut call)?;
    call.drive_until(|a, _| confirmed(a));
    call.run_for(Duration::from_millis(1));
    let mine = ends(&call.a).len();
    assert_eq!(mine, before + 1, "the newest one's");
    tell(&mut call, &third);
    assert_eq!(ends(&call.a).len(), mine);
    call.run_for(Duration::from_secs(30));

    // What a rollback goes back to has all its candidates, and knows it.
    let now = call.now();
    call.a
        .with(now, id, |transport| transport.restart(now, None, None))?;
    call.run_for(Duration::from_millis(1));
    call.a
        .with(now, id, |transport| transport.rollback_restart(now))?;
    call.run_for(Duration::from_millis(1));
    assert_eq!(
        call.a.peer.ice_gathering_state(),
        IceGatheringState::Complete
    );
    let states = call.a.gathering_states();
    assert_eq!(states[4..], ["gathering", "complete"], "the third time");
    Ok(())
}

// req: E8
#[test]
fn the_end_of_a_generation_that_is_over_says_nothing() -> Story {
    let mut call = sides(49, &[address(1)], &[address(2)]);
    let leg = Leg::open(&mut call, address(1), address(2));
    leg.signal(&mut call)?;
    leg.trickle(&mut call)?;
    call.drive_until(both_are(Connected));
    let parameters = call.a.endpoint.transport(leg.a).unwrap().local_parameters();
    let first = parameters.username_fragment().to_owned();
    leg.signal_restart(&mut call)?;
    leg.trickle(&mut call)?;
    call.drive_until(|a, _| confirmed(a));
    let (now, told) = (call.now(), call.a.told.len());
    call.a.with(now, leg.a, |transport| {
        transport.local_candidates_complete_of(now, &first)
    });
    call.run_for(Duration::from_millis(1));
    let end = |event: &PeerEvent| matches!(event, PeerEvent::EndOfCandidates(..));
    assert!(!call.a.told[told..].iter().any(end));
    assert_eq!(call.a.gathering_states(), ["gathering"]);
    Ok(())
}

// The peer refuses, and all is as it was, in either profile.
// req: R44 R87
#[test]
fn a_restart_that_is_rolled_back_ends_where_it_began() -> Story {
    for profile in [Profile::W3c, Profile::Article] {
        let mut call = sides(62, &[address(1)], &[address(2)]);
        call.a.peer = PeerConnection::with_profile(profile);
        let leg = Leg::connect(&mut call, address(1), address(2))?;
        call.drive_until(both_are(Connected));
        call.drive();
        let now = call.now();
        call.a
            .with(now, leg.a, |transport| transport.restart(now, None, None))?;
        call.run_for(Duration::from_secs(1));
        let now = call.now();
        call.a
            .with(now, leg.a, |transport| transport.rollback_restart(now))?;
        call.run_for(Duration::from_secs(1));
        let states = call.a.ice_connection_states();
        let expected = match profile {
            Profile::Article => &["completed", "checking", "connected", "completed"][..],
            _ => &["completed", "connected", "completed"],
        };
        assert_eq!(&states[2..], expected, "{profile:?}");
        assert_eq!(
            call.a.gathering_states(),
            ["gathering", "complete", "gathering", "complete"]
        );
    }
    Ok(())
}

/// The state a transport came from, as it was told.
fn last_step(side: &Side) -> Option<ice::Transition> {
    side.told.iter().rev().find_map(|event| match event {
        PeerEvent::IceTransportStateChange(_, transition) => Some(*transition),
        _ => None,
    })
}

// Both sides hold their candidates open, so neither is ever `completed`.
#[test]
fn connected_may_fail_at_once_and_the_record_says_that_it_is_two_steps_in_one() -> Story {
    let mut call = sides(46, &[address(1)], &[address(2)]);
    let leg = Leg::open(&mut call, address(1), address(2));
    leg.signal(&mut call)?;
    leg.trickle(&mut call)?;
    call.drive_until(both_are(Connected));
    let now = call.now();
    call.b.with(now, leg.b, |transport| transport.close(now));
    call.drive_until(|a, _| a.is(Failed));
    let told = last_step(&call.a).unwrap();
    assert_eq!(
        (told.from, told.to),
        (ice::State::Connected, ice::State::Failed)
    );
    assert!(told.coalesced);
    assert_eq!(told.reason, ice::Reason::PeerClosed);
    let explained = call.a.peer.explain();
    let Fault::Ice(ice::State::Failed, Some(transition)) = explained.culprits[0].fault else {
        panic!("{explained}")
    };
    assert_eq!(transition, told);
    Ok(())
}

// The peer's session is gone, and its server answers 403 from then on; another of its addresses has not answered at all yet.
// req: R43 R87
#[test]
fn connected_goes_back_to_checking_when_consent_is_revoked_and_there_is_more_to_check() -> Story {
    let mut call = sides(47, &[address(1)], &[address(2)]);
    let leg = Leg::open(&mut call, address(1), address(2));
    leg.signal(&mut call)?;
    leg.trickle(&mut call)?;
    call.drive_until(both_are(Connected));
    let (now, elsewhere) = (call.now(), Candidate::host(address(99)));
    call.a
        .with(now, leg.a, |t| t.add_remote_candidate(now, elsewhere))?;
    call.network.tap(|datagram, _| match is_dtls(datagram) {
        true => Verdict::Drop,
        false => Verdict::Pass,
    });
    assert!(call.b.endpoint.close(now, leg.b));
    call.drive_until(|a, _| a.ice_states(leg.a).len() > 3);
    let told = last_step(&call.a).unwrap();
    assert_eq!(
        (told.from, told.to),
        (ice::State::Connected, ice::State::Checking)
    );
    assert_eq!(told.reason, ice::Reason::ConsentRevoked);
    assert!(!told.coalesced);
    Ok(())
}

// A machine that slept longer than consent lasts, and restarts when it wakes up.
// req: R87
#[test]
fn completed_goes_to_checking_when_a_restart_finds_the_old_path_gone() -> Story {
    let (mut call, leg) = call(48);
    call.drive_until(both_are(Connected));
    call.drive();
    call.network.cut();
    call.sleep(Duration::from_secs(60));
    let now = call.now();
    call.a
        .with(now, leg.a, |transport| transport.restart(now, None, None))?;
    call.step();
    let told = last_step(&call.a).unwrap();
    assert_eq!(
        (told.from, told.to),
        (ice::State::Completed, ice::State::Checking)
    );
    assert_eq!(told.reason, ice::Reason::Restarted);
    Ok(())
}
