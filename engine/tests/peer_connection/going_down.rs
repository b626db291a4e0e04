//! Going down: loss, failure, and what `explain` says of it.

use crate::leg::{Leg, Story, both_are, call, is_dtls, sides};
use crate::side::Side;
use PeerConnectionState::{Connected, Connecting, Disconnected, Failed};
use floe::{Fault, IceConnectionState, PeerConnectionState, PeerEvent};
use floe_dtls::{self as dtls, HashAlgorithm, Identity};
use floe_ice as ice;
use sim::{Verdict, address};
use std::time::Duration;

// req: R26 R40 R42 R70 W16 W31
#[test]
fn a_lost_path_is_disconnected_named_and_found_again() -> Story {
    let (mut call, leg) = call(5);
    call.drive_until(both_are(Connected));
    call.drive();
    call.network.cut();
    call.drive_until(both_are(Disconnected));
    let explained = call.a.peer.explain();
    let [culprit] = explained.culprits[..] else {
        panic!("{explained}")
    };
    let Fault::Ice(ice::State::Disconnected, Some(transition)) = culprit.fault else {
        panic!("{explained}")
    };
    assert_eq!(
        (culprit.transport, transition.reason),
        (leg.a, ice::Reason::ConsentChecksMissed)
    );

    call.network.heal();
    call.drive_until(both_are(Connected));
    assert_eq!(
        call.a.connection_states(),
        ["connecting", "connected", "disconnected", "connected"]
    );
    assert_eq!(
        call.a.dtls_states(leg.a).last(),
        Some(&dtls::State::Connected),
        "DTLS never noticed"
    );

    let now = call.now();
    call.a.with(now, leg.a, |transport| transport.close(now));
    call.drive();
    assert_eq!(call.a.ice_states(leg.a).last(), Some(&ice::State::Closed));
    Ok(())
}

// req: R26 R41 R69
#[test]
fn a_path_that_stays_lost_fails_with_its_reason() -> Story {
    let (mut call, leg) = call(6);
    call.drive_until(both_are(Connected));
    call.network.cut();
    let took = call.drive_until(both_are(Failed));
    assert!(
        (Duration::from_secs(20)..Duration::from_secs(40)).contains(&took),
        "{took:?}"
    );
    let Fault::Ice(ice::State::Failed, Some(transition)) = call.b.peer.explain().culprits[0].fault
    else {
        panic!("{}", call.b.peer.explain())
    };
    assert_eq!(
        (transition.from, transition.reason),
        (ice::State::Disconnected, ice::Reason::ConsentExpired)
    );
    assert_eq!(
        call.b.connection_states(),
        ["connecting", "connected", "disconnected", "failed"]
    );

    call.network.heal();
    call.run_for(Duration::from_secs(120));
    assert!(
        call.a.is(Failed) && call.b.is(Failed),
        "no way back without a restart"
    );
    assert_eq!(call.a.ice_states(leg.a).last(), Some(&ice::State::Failed));
    Ok(())
}

// req: R26 R41
#[test]
fn a_path_that_never_was_fails_with_its_reason() -> Story {
    let mut call = sides(7, &[address(1)], &[address(2)]);
    call.network.cut();
    Leg::connect(&mut call, address(1), address(2))?;
    call.drive_until(both_are(Failed));
    let Fault::Ice(ice::State::Failed, Some(transition)) = call.a.peer.explain().culprits[0].fault
    else {
        panic!("{}", call.a.peer.explain())
    };
    assert_eq!(transition.reason, ice::Reason::ChecksExhausted);
    assert!(!call.a.connection_states().contains(&"connected".to_owned()));
    Ok(())
}

// req: R52 R53 R55 R69 E5 P15 W39
#[test]
fn a_wrong_fingerprint_fails_and_is_never_connected() -> Story {
    let mut call = sides(9, &[address(1)], &[address(2)]);
    let mut leg = Leg::open(&mut call, address(1), address(2));
    let stranger = Identity::generate()
        .expect("the backend signs")
        .fingerprint(HashAlgorithm::Sha256);
    leg.of_b.fingerprints = dtls::FingerprintSet::new([stranger]).expect("one is enough");
    let wire = call.network.wiretap();
    leg.signal(&mut call)?;
    leg.trickle(&mut call)?;
    call.drive_until(|a, b| a.is(Failed) && b.is(Failed));

    let fault_of_dtls = |side: &Side| {
        let explanation = side.peer.explain();
        let mut faults = explanation.culprits.iter().map(|culprit| &culprit.fault);
        faults.find_map(|fault| match fault {
            Fault::Dtls(dtls::State::Failed, Some(transition)) => Some(transition.reason),
            _ => None,
        })
    };
    let mismatch = Some(dtls::Reason::FingerprintMismatch);
    assert_eq!(fault_of_dtls(&call.a), mismatch);
    assert_eq!(fault_of_dtls(&call.b), Some(dtls::Reason::PeerAlert));
    let errors = |side: &Side| {
        side.changes(|event| match event {
            PeerEvent::DtlsError(_, reason) => Some(format!("error: {reason}")),
            PeerEvent::DtlsTransportStateChange(_, transition) => Some(transition.to.to_string()),
            _ => None,
        })
    };
    let told = format!("error: {}", dtls::Reason::FingerprintMismatch);
    assert_eq!(errors(&call.a), ["connecting", told.as_str(), "failed"]);

    for (_, datagram) in wire.seen() {
        call.inject(datagram);
    }
    call.run_for(Duration::from_secs(120));
    for (side, id) in [(&call.a, leg.a), (&call.b, leg.b)] {
        assert_eq!(
            side.dtls_states(id).last(),
            Some(&dtls::State::Failed),
            "whatever comes"
        );
    }
    // The other side is a client: in DTLS 1.3 it is connected before its certificate has been looked at.
    assert!(!call.a.connection_states().contains(&"connected".to_owned()));
    assert!(!call.a.dtls_states(leg.a).contains(&dtls::State::Connected));
    Ok(())
}

// req: R53 R55 R74
#[test]
fn a_handshake_without_answers_is_connecting_and_then_failed() -> Story {
    let (mut call, leg) = call(10);
    call.network.tap(|datagram, _| {
        if is_dtls(datagram) {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    call.run_for(Duration::from_secs(5));
    assert_eq!(
        call.a.peer.ice_connection_state(),
        IceConnectionState::Completed
    );
    assert!(
        call.a.is(Connecting) && call.b.is(Connecting),
        "a path alone does not carry media"
    );
    assert_eq!(
        call.a.peer.explain().culprits.len(),
        1,
        "{}",
        call.a.peer.explain()
    );

    call.drive_until(both_are(Failed));
    let Fault::Dtls(dtls::State::Failed, Some(transition)) =
        call.a.peer.explain().culprits[0].fault
    else {
        panic!("{}", call.a.peer.explain())
    };
    assert_eq!(transition.reason, dtls::Reason::HandshakeTimedOut);
    call.network.remove_taps();
    call.run_for(Duration::from_secs(60));
    assert_eq!(call.a.dtls_states(leg.a).last(), Some(&dtls::State::Failed));
    Ok(())
}

// req: R45 R87
#[test]
fn a_restart_helps_a_disconnected_path() -> Story {
    let (mut call, leg) = call(15);
    call.drive_until(both_are(Connected));
    call.drive();
    call.network.cut();
    call.drive_until(both_are(Disconnected));
    call.network.heal();
    leg.restart(&mut call)?;
    call.drive_until(both_are(Connected));
    use ice::State::{Checking, Completed, Connected as Up, Disconnected as Down};
    for (side, id) in [(&call.a, leg.a), (&call.b, leg.b)] {
        let states = side.ice_states(id);
        let since = states.iter().rposition(|state| *state == Down).unwrap();
        let way: Vec<_> = states[since..].to_vec();
        assert!(
            matches!(way[..], [Down, Checking, Up | Completed, ..]),
            "{states:?}"
        );
    }
    for side in [&call.a, &call.b] {
        assert!(!side.connection_states().contains(&"failed".to_owned()));
    }
    Ok(())
}
