//! ICE restarts under traffic, and what they may mean for DTLS (T65, T66).

use crate::support::{self, FULL_ACTIVE, FULL_ACTPASS, Host};
use floe::{
    ApiMisuse, Event, RemoteDtls, TransportId,
    dtls::{self, Continuation, FingerprintSet, Setup, Side},
    ice::{Candidate, Mode, Parameters, RemoteParameters},
};
use sim::Pair;
use std::time::Duration;

/// An exchange with an ICE restart: `a` offers, `b` answers. Candidates included.
pub(crate) fn both_restart(pair: &mut Pair<Host, Host>, (a, b): (TransportId, TransportId)) {
    let now = pair.now();
    pair.a
        .endpoint
        .restart(now, a, None, None)
        .expect("a legal exchange");
    let offer = support::parameters(&pair.a, a, Mode::Full);
    pair.b
        .endpoint
        .restart(now, b, None, Some(offer))
        .expect("a legal exchange");
    let answer = support::parameters(&pair.b, b, Mode::Full);
    pair.a.with_transport(now, a, |t| {
        t.set_remote_parameters(now, answer)
            .expect("a legal exchange")
    });
    for (host, id, remote) in [
        (&mut pair.a, a, sim::address(2)),
        (&mut pair.b, b, sim::address(1)),
    ] {
        host.with_transport(now, id, |t| {
            t.local_candidates_complete(now);
            t.add_remote_candidate(now, Candidate::host(remote))
                .expect("a legal exchange");
            t.remote_candidates_complete(now);
        });
    }
}

fn remote(fingerprints: FingerprintSet, setup: Setup, tls_id: Option<&str>) -> RemoteDtls {
    RemoteDtls {
        fingerprints,
        setup,
        tls_id: tls_id.map(str::to_owned),
    }
}

// req: I15 I16
#[test]
fn a_restart_under_traffic_loses_nothing() {
    let (mut pair, ids @ (a, b)) = support::connected(61, FULL_ACTPASS, FULL_ACTIVE);
    let before = pair
        .a
        .transport(a)
        .local_parameters()
        .username_fragment()
        .to_owned();
    both_restart(&mut pair, ids);
    for number in 0..200u8 {
        let now = pair.now();
        pair.a.send(now, a, &[number]);
        pair.b.send(now, b, &[number]);
        pair.run_for(Duration::from_millis(10));
    }
    pair.run_for(Duration::from_millis(100));
    for (host, id) in [(&pair.a, a), (&pair.b, b)] {
        assert_eq!(host.data.len(), 200);
        assert!(
            host.data
                .iter()
                .zip(0u8..)
                .all(|((_, data), number)| data == &[number])
        );
        assert!(host.saw(|event| *event == Event::RestartConfirmed));
        assert_eq!(host.dtls_transitions(id).len(), 2, "DTLS went on");
    }
    assert_ne!(
        pair.a.transport(a).local_parameters().username_fragment(),
        before
    );
}

// req: I16
#[test]
fn requests_of_both_generations_are_routed_until_the_old_one_is_gone() {
    let (mut pair, ids @ (_, b)) = support::connected(62, FULL_ACTPASS, FULL_ACTIVE);
    let old = pair.b.transport(b).local_parameters().clone();
    both_restart(&mut pair, ids);
    let new = pair.b.transport(b).local_parameters().clone();
    let path = floe::ice::FiveTuple::udp(sim::address(2), sim::address(1));
    let now = pair.now();
    for credentials in [&old, &new] {
        let mut request = crate::crafted::request(credentials, "peer", 1);
        let outcome = pair.b.endpoint.handle_datagram(now, path, &mut request);
        let received = floe::Received::Handled;
        assert_eq!(
            outcome,
            floe::Outcome::Routed {
                transport: b,
                received
            }
        );
    }
    pair.run_for(Duration::from_secs(30));
    let now = pair.now();
    let mut request = crate::crafted::request(&old, "peer", 2);
    let outcome = pair.b.endpoint.handle_datagram(now, path, &mut request);
    assert!(
        matches!(outcome, floe::Outcome::UnknownUfrag { .. }),
        "{outcome:?}"
    );
}

// req: T65
#[test]
fn an_association_changes_only_together_with_an_ice_restart() {
    let (mut pair, (a, _)) = support::connected(63, FULL_ACTPASS, FULL_ACTIVE);
    let now = pair.now();
    let same = remote(pair.b.fingerprints(), Setup::Active, None);
    let others = [
        remote(
            support::fingerprints(&support::identity(3)),
            Setup::Active,
            None,
        ),
        remote(pair.b.fingerprints(), Setup::Passive, None),
    ];
    pair.a.with_transport(now, a, |transport| {
        assert_eq!(
            transport.set_remote_dtls(now, same.clone()),
            Ok(Continuation::Same)
        );
        for other in others {
            let refused = Err(ApiMisuse::Setup(
                dtls::SetupError::NewAssociationWithoutRestart,
            ));
            assert_eq!(transport.set_remote_dtls(now, other), refused);
        }
        let identified = RemoteDtls {
            tls_id: Some("one".into()),
            ..same.clone()
        };
        assert_eq!(
            transport.set_remote_dtls(now, identified.clone()),
            Ok(Continuation::Same),
            "now it has a name"
        );
        assert_eq!(
            transport.set_remote_dtls(now, same.clone()),
            Ok(Continuation::Same),
            "which need not be repeated"
        );
        let renamed = RemoteDtls {
            tls_id: Some("two".into()),
            ..same
        };
        let refused = Err(ApiMisuse::Setup(
            dtls::SetupError::NewAssociationWithoutRestart,
        ));
        assert_eq!(transport.set_remote_dtls(now, renamed), refused);
        assert_eq!(transport.states().1, dtls::State::Connected);
    });
}

// req: T65
#[test]
fn facts_that_are_refused_leave_the_side_open() {
    let mut pair = support::world(73);
    let now = pair.now();
    let (a, _) = support::created(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    let impostor = support::fingerprints(&support::identity(3));
    let other = remote(impostor, Setup::Passive, None);
    let right = remote(pair.b.fingerprints(), Setup::Active, None);
    pair.a.with_transport(now, a, |transport| {
        assert!(transport.set_remote_dtls(now, other).is_err());
        assert_eq!(transport.dtls().side(), None);
        let taken = transport.set_remote_dtls(now, right);
        assert_eq!(taken, Ok(Continuation::Same));
        assert_eq!(transport.dtls().side(), Some(Side::Server));
    });
}

// req: T65
#[test]
fn one_restart_is_leave_for_one_exchange() {
    let (mut pair, ids @ (a, _)) = support::connected(67, FULL_ACTPASS, FULL_ACTIVE);
    both_restart(&mut pair, ids);
    let now = pair.now();
    let same = remote(pair.b.fingerprints(), Setup::Active, None);
    let other = remote(
        support::fingerprints(&support::identity(3)),
        Setup::Active,
        None,
    );
    pair.a.with_transport(now, a, |transport| {
        assert_eq!(transport.set_remote_dtls(now, same), Ok(Continuation::Same));
        let refused = Err(ApiMisuse::Setup(
            dtls::SetupError::NewAssociationWithoutRestart,
        ));
        assert_eq!(transport.set_remote_dtls(now, other), refused);
    });
}

// req: T65
#[test]
fn a_new_association_takes_over_when_it_is_connected_and_not_before() {
    let (mut pair, ids @ (a, b)) = support::connected(64, FULL_ACTPASS, FULL_ACTIVE);
    let first = pair.a.transport(a).srtp_keys().unwrap();
    both_restart(&mut pair, ids);
    // The same certificates under another tls-id: both sides agree on a new association, sides swapped.
    let now = pair.now();
    let (of_a, of_b) = (pair.a.fingerprints(), pair.b.fingerprints());
    let for_a = remote(of_b, Setup::Passive, Some("second"));
    let for_b = remote(of_a, Setup::Active, Some("second"));
    let begun = |host: &mut Host, id, facts| {
        host.with_transport(now, id, |t| t.set_remote_dtls(now, facts))
    };
    assert_eq!(begun(&mut pair.a, a, for_a), Ok(Continuation::New));
    assert_eq!(begun(&mut pair.b, b, for_b), Ok(Continuation::New));
    assert!(
        pair.a.is_connected(a) && pair.b.is_connected(b),
        "the old one lives"
    );
    assert_eq!(
        pair.a.transport(a).srtp_keys().unwrap().key(Side::Client),
        first.key(Side::Client)
    );

    // Data flows all the while, first under the old keys, then under the new ones.
    for number in 0..100u8 {
        let now = pair.now();
        pair.a.send(now, a, &[number]);
        pair.b.send(now, b, &[number]);
        pair.run_for(Duration::from_millis(5));
    }
    pair.run_for(Duration::from_secs(2));
    for (host, id, side) in [(&pair.a, a, Side::Client), (&pair.b, b, Side::Server)] {
        let changes = host
            .events
            .iter()
            .filter(|(_, event)| matches!(event, Event::AssociationChange(_)));
        assert_eq!(changes.count(), 1);
        assert_eq!(host.transport(id).dtls().side(), Some(side));
        assert_eq!(
            host.dtls_transitions(id).len(),
            2,
            "it was never anything but connected"
        );
        assert!(
            host.data.len() == 100,
            "nothing that crossed the change was lost: {}",
            host.data.len()
        );
    }
    let second = (
        pair.a.transport(a).srtp_keys().unwrap(),
        pair.b.transport(b).srtp_keys().unwrap(),
    );
    assert_eq!(second.0.key(Side::Client), second.1.key(Side::Client));
    assert_ne!(second.0.key(Side::Client), first.key(Side::Client));
    assert_ne!(second.0.association(), first.association());
}

// req: T65 T6
#[test]
fn a_new_association_with_the_wrong_certificate_fails_closed() {
    let (mut pair, ids @ (a, b)) = support::connected(65, FULL_ACTPASS, FULL_ACTIVE);
    both_restart(&mut pair, ids);
    let now = pair.now();
    let wrong = remote(
        support::fingerprints(&support::identity(3)),
        Setup::Active,
        None,
    );
    let right = remote(pair.a.fingerprints(), Setup::Passive, Some("new"));
    pair.a
        .with_transport(now, a, |t| t.set_remote_dtls(now, wrong).unwrap());
    let unchanged = pair
        .b
        .with_transport(now, b, |t| t.set_remote_dtls(now, right).unwrap());
    assert_eq!(
        unchanged,
        Continuation::Same,
        "a first tls-id is no other tls-id"
    );
    pair.run_for(Duration::from_secs(70));
    assert_eq!(pair.a.dtls(a), dtls::State::Failed);
    let last = *pair.a.dtls_transitions(a).last().unwrap();
    assert_eq!(last.to, dtls::State::Failed);
    assert!(pair.a.transport(a).srtp_keys().is_none());
}

/// The first half of a restart, and what comes with it: `a` is told of a certificate that `b` does not have, and both agree to swap
/// the sides. No candidates yet, so no path confirms it.
fn begin_with_an_impostor(pair: &mut Pair<Host, Host>, (a, b): (TransportId, TransportId)) {
    let now = pair.now();
    pair.a
        .endpoint
        .restart(now, a, None, None)
        .expect("a legal exchange");
    let offer = support::parameters(&pair.a, a, Mode::Full);
    pair.b
        .endpoint
        .restart(now, b, None, Some(offer))
        .expect("a legal exchange");
    let impostor = support::fingerprints(&support::identity(3));
    let for_a = remote(impostor, Setup::Passive, Some("new"));
    let for_b = remote(pair.a.fingerprints(), Setup::Active, Some("new"));
    for (host, id, facts) in [(&mut pair.a, a, for_a), (&mut pair.b, b, for_b)] {
        let begun = host.with_transport(now, id, |t| t.set_remote_dtls(now, facts));
        assert_eq!(begun, Ok(Continuation::New));
    }
}

/// The old association is whole: data both ways, and the facts about the peer are those from before.
fn goes_on_as_before(pair: &mut Pair<Host, Host>, (a, b): (TransportId, TransportId)) {
    let now = pair.now();
    pair.a.data.clear();
    pair.b.data.clear();
    pair.a.send(now, a, b"still");
    pair.b.send(now, b, b"here");
    pair.run_for(Duration::from_millis(100));
    assert_eq!((pair.a.data.len(), pair.b.data.len()), (1, 1));
    for (host, id) in [(&pair.a, a), (&pair.b, b)] {
        assert_eq!(host.dtls_transitions(id).len(), 2);
        assert!(!host.saw(|event| matches!(event, Event::AssociationChange(_))));
    }
}

/// What `a` says to the peer's old facts, and then to others, without another restart.
fn knows_the_old_facts_only(pair: &mut Pair<Host, Host>, a: TransportId) {
    let now = pair.now();
    let same = remote(pair.b.fingerprints(), Setup::Active, Some("first"));
    let impostor = support::fingerprints(&support::identity(3));
    let other = remote(impostor, Setup::Active, Some("first"));
    let refused = Err(ApiMisuse::Setup(
        dtls::SetupError::NewAssociationWithoutRestart,
    ));
    pair.a.with_transport(now, a, |t| {
        assert_eq!(t.set_remote_dtls(now, other.clone()), refused);
        assert_eq!(t.set_remote_dtls(now, same), Ok(Continuation::Same));
        assert_eq!(t.set_remote_dtls(now, other), refused);
    });
}

// req: T65 I15
#[test]
fn a_restart_rolled_back_takes_the_new_association_with_it() {
    // Told at once, or after the new handshake has failed.
    for (seed, later) in [(68, 0), (69, 5)] {
        let (mut pair, ids @ (a, b)) = support::connected(seed, FULL_ACTPASS, FULL_ACTIVE);
        begin_with_an_impostor(&mut pair, ids);
        pair.run_for(Duration::from_secs(later));
        goes_on_as_before(&mut pair, ids);
        let now = pair.now();
        for (host, id) in [(&mut pair.a, a), (&mut pair.b, b)] {
            host.with_transport(now, id, |t| t.rollback_restart(now))
                .unwrap();
        }
        pair.run_for(Duration::from_secs(90));
        goes_on_as_before(&mut pair, ids);
        knows_the_old_facts_only(&mut pair, a);
    }
}

// req: T65 I15
#[test]
fn a_restart_that_finds_no_path_takes_the_new_association_with_it() {
    let (mut pair, ids @ (a, _)) = support::connected(70, FULL_ACTPASS, FULL_ACTIVE);
    let now = pair.now();
    pair.a.endpoint.restart(now, a, None, None).unwrap();
    // Credentials that nobody has: no check is ever answered.
    let nobody = Parameters::new("nobody", "0123456789012345678901").unwrap();
    let impostor = support::fingerprints(&support::identity(3));
    let facts = remote(impostor, Setup::Active, Some("new"));
    pair.a.with_transport(now, a, |t| {
        t.set_remote_parameters(now, RemoteParameters::new(nobody))
            .unwrap();
        t.local_candidates_complete(now);
        t.add_remote_candidate(now, Candidate::host(sim::address(2)))
            .unwrap();
        t.remote_candidates_complete(now);
        assert_eq!(t.set_remote_dtls(now, facts), Ok(Continuation::New));
    });
    pair.run_for(Duration::from_secs(120));
    assert!(
        pair.a
            .saw(|event| matches!(event, Event::RestartRolledBack(_)))
    );
    goes_on_as_before(&mut pair, ids);
    knows_the_old_facts_only(&mut pair, a);
}

// req: T65 I15
#[test]
fn a_rollback_forgets_a_tls_id_that_came_with_the_restart() {
    let (mut pair, ids @ (a, _)) = support::connected(71, FULL_ACTPASS, FULL_ACTIVE);
    let now = pair.now();
    pair.a.endpoint.restart(now, a, None, None).unwrap();
    let named = remote(pair.b.fingerprints(), Setup::Active, Some("new"));
    pair.a.with_transport(now, a, |t| {
        assert_eq!(t.set_remote_dtls(now, named), Ok(Continuation::Same));
        t.rollback_restart(now).unwrap();
    });
    knows_the_old_facts_only(&mut pair, a);
    goes_on_as_before(&mut pair, ids);
}

// req: T65 I15
#[test]
fn a_restart_taken_back_before_its_facts_is_leave_for_none() {
    let (mut pair, ids @ (a, _)) = support::connected(72, FULL_ACTPASS, FULL_ACTIVE);
    let now = pair.now();
    pair.a.endpoint.restart(now, a, None, None).unwrap();
    pair.a
        .with_transport(now, a, |t| t.rollback_restart(now))
        .unwrap();
    knows_the_old_facts_only(&mut pair, a);
    goes_on_as_before(&mut pair, ids);
}

// req: T65 T6
#[test]
fn a_new_association_that_failed_ends_the_session_once_the_restart_is_confirmed() {
    let (mut pair, ids @ (a, b)) = support::connected(72, FULL_ACTPASS, FULL_ACTIVE);
    begin_with_an_impostor(&mut pair, ids);
    pair.run_for(Duration::from_secs(5));
    goes_on_as_before(&mut pair, ids);
    let now = pair.now();
    let answer = support::parameters(&pair.b, b, Mode::Full);
    pair.a
        .with_transport(now, a, |t| t.set_remote_parameters(now, answer))
        .unwrap();
    for (host, id, remote) in [
        (&mut pair.a, a, sim::address(2)),
        (&mut pair.b, b, sim::address(1)),
    ] {
        host.with_transport(now, id, |t| {
            t.local_candidates_complete(now);
            t.add_remote_candidate(now, Candidate::host(remote))
                .unwrap();
            t.remote_candidates_complete(now);
        });
    }
    pair.run_for(Duration::from_secs(1));
    assert!(pair.a.saw(|event| *event == Event::RestartConfirmed));
    assert_eq!(pair.a.dtls(a), dtls::State::Failed);
    assert!(pair.a.transport(a).srtp_keys().is_none());
}

// req: T66
#[test]
fn answers_repeat_the_established_side() {
    let (mut pair, ids @ (a, b)) = support::connected(66, FULL_ACTPASS, FULL_ACTIVE);
    let answer =
        |host: &Host, id, offered, preferred| host.transport(id).answer_setup(offered, preferred);
    for preferred in [Side::Client, Side::Server] {
        assert_eq!(
            answer(&pair.a, a, Setup::ActPass, preferred),
            Ok(Setup::Passive)
        );
        assert_eq!(
            answer(&pair.b, b, Setup::ActPass, preferred),
            Ok(Setup::Active)
        );
        assert_eq!(
            answer(&pair.a, a, Setup::Active, preferred),
            Ok(Setup::Passive)
        );
    }
    let swapped = answer(&pair.a, a, Setup::Passive, Side::Client);
    assert_eq!(
        swapped,
        Err(ApiMisuse::Setup(dtls::SetupError::IncompatibleSetup))
    );
    both_restart(&mut pair, ids);
    assert_eq!(
        answer(&pair.a, a, Setup::Passive, Side::Client),
        Ok(Setup::Active),
        "with a restart it may"
    );
    assert_eq!(
        answer(&pair.a, a, Setup::ActPass, Side::Client),
        Ok(Setup::Passive),
        "but need not"
    );
}
