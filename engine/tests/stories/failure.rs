//! A peer that goes away: what is seen, when, and why.

use crate::support::{self, FULL_ACTIVE, FULL_ACTPASS, LITE_PASSIVE};
use floe::{dtls, ice};
use ice::State::{Completed, Connected, Disconnected, Failed};
use std::time::Duration;

// req: I21 I20
#[test]
fn a_vanished_peer_is_disconnected_then_failed_with_reasons() {
    let (mut pair, (a, b)) = support::connected(51, FULL_ACTPASS, FULL_ACTIVE);
    // Longer than the 39.5 s in which a young agent is not allowed to give up (RFC 8863).
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.a.ice(a), Completed);
    let cut = pair.now();
    pair.network.cut();
    pair.drive_until(|a_host, b_host| a_host.ice(a) == Failed && b_host.ice(b) == Failed);
    for (host, id) in [(&pair.a, a), (&pair.b, b)] {
        let transitions = host.ice_transitions(id);
        let [.., disconnected, failed] = &transitions[..] else {
            panic!("at least two")
        };
        assert_eq!(
            (disconnected.to, disconnected.reason),
            (Disconnected, ice::Reason::ConsentChecksMissed)
        );
        assert_eq!(
            (failed.to, failed.reason),
            (Failed, ice::Reason::ConsentExpired)
        );
        assert!(
            (5..=20).contains(&(disconnected.at - cut).as_secs()),
            "{:?}",
            disconnected.at - cut
        );
        assert!(
            (24..=37).contains(&(failed.at - cut).as_secs()),
            "{:?}",
            failed.at - cut
        );
        assert_eq!(
            host.dtls(id),
            dtls::State::Connected,
            "DTLS has not ended by that"
        );
        assert_eq!(host.endpoint.send_path(id), None);
    }
    assert_eq!(pair.network.in_flight(), 0);
}

// req: I20
#[test]
fn consent_that_expires_is_told_with_its_reason_though_candidates_may_still_come() {
    let mut pair = support::world(57);
    let now = pair.now();
    let ids @ (a, b) = support::created(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    support::exchange_parameters(&mut pair, ids, ice::Mode::Full, ice::Mode::Full);
    for (host, id, own, of_peer) in [(&mut pair.a, a, 1, 2), (&mut pair.b, b, 2, 1)] {
        host.with_transport(now, id, |transport| {
            let own = ice::Candidate::host(sim::address(own));
            let of_peer = ice::Candidate::host(sim::address(of_peer));
            transport.add_local_candidate(now, own).unwrap();
            transport.add_remote_candidate(now, of_peer).unwrap();
        });
    }
    pair.a
        .with_transport(now, a, |t| t.set_remote_setup(now, dtls::Setup::Active))
        .unwrap();
    support::drive_until_connected(&mut pair, ids);
    pair.network.cut();
    pair.run_for(Duration::from_secs(45));
    let lost = floe::Event::SendPathLost(ice::Reason::ConsentExpired);
    for (host, id) in [(&pair.a, a), (&pair.b, b)] {
        assert_eq!(host.endpoint.send_path(id), None);
        assert_eq!(host.ice(id), Disconnected);
        let told = host.events.iter().filter(|(_, event)| *event == lost);
        assert_eq!(told.count(), 1);
    }
}

// req: I21
#[test]
fn a_peer_that_comes_back_in_time_was_only_disconnected() {
    let (mut pair, (a, b)) = support::connected(52, FULL_ACTPASS, FULL_ACTIVE);
    pair.drive_until(|host, _| host.ice(a) == Completed);
    pair.network.cut();
    pair.drive_until(|host, _| host.ice(a) == Disconnected);
    pair.network.heal();
    pair.drive_until(|a_host, b_host| {
        let well = |state| matches!(state, Connected | Completed);
        well(a_host.ice(a)) && well(b_host.ice(b))
    });
    assert_eq!(
        pair.a.ice_transitions(a).last().unwrap().reason,
        ice::Reason::Recovered
    );
    let now = pair.now();
    pair.a.send(now, a, b"still here");
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.b.data.len(), 1);
}

// req: I22
#[test]
fn a_lite_server_notices_that_nobody_asks_any_more() {
    let (mut pair, (_, b)) = support::connected(53, FULL_ACTPASS, LITE_PASSIVE);
    pair.network.cut();
    pair.drive_until(|_, host| host.ice(b) == Failed);
    let reasons: Vec<_> = pair
        .b
        .ice_transitions(b)
        .into_iter()
        .map(|t| t.reason)
        .collect();
    assert!(
        reasons.ends_with(&[ice::Reason::RequestsMissed, ice::Reason::RequestsStopped]),
        "{reasons:?}"
    );
    assert_eq!(pair.b.endpoint.send_path(b), None);
}

#[test]
fn a_failed_transport_gives_its_paths_back() {
    let (mut pair, (_, b)) = support::connected(54, FULL_ACTPASS, FULL_ACTIVE);
    let path = pair.b.endpoint.send_path(b).unwrap();
    pair.network.cut();
    pair.drive_until(|_, host| host.ice(b) == Failed);
    assert!(
        pair.b
            .saw(|event| *event == floe::Event::PathReleased(path))
    );
    let now = pair.now();
    let mut packet = [0x80, 0, 0, 0];
    let outcome = pair.b.endpoint.handle_datagram(now, path, &mut packet);
    assert_eq!(
        outcome,
        floe::Outcome::Dropped(floe::DropReason::UnknownPath)
    );
}

#[test]
fn a_failed_transport_is_revived_by_a_restart() {
    let (mut pair, ids @ (a, b)) = support::connected(55, FULL_ACTPASS, FULL_ACTIVE);
    pair.network.cut();
    pair.drive_until(|a_host, b_host| a_host.ice(a) == Failed && b_host.ice(b) == Failed);
    pair.network.heal();
    crate::restart::both_restart(&mut pair, ids);
    support::drive_until_connected(&mut pair, ids);
    let now = pair.now();
    pair.b.send(now, b, b"and on we go");
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.a.data, [(a, b"and on we go".to_vec())]);
    assert_eq!(
        pair.a.dtls_transitions(a).len(),
        2,
        "the association went on"
    );
}
