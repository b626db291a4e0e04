//! After the end: 403 for whoever still asks (I59), consent revoked by close_notify (I20).

use crate::{
    crafted,
    support::{self, FULL_ACTIVE, FULL_ACTPASS, Host, LITE_PASSIVE, datagram_to_b},
};
use floe::{
    ApiMisuse, DropReason, Event, Outcome, Received, TransportId, dtls,
    ice::{self, Parameters},
};
use sim::Pair;
use std::time::Duration;

/// The first bytes of DTLS (RFC 7983 §7).
const DTLS: std::ops::RangeInclusive<u8> = 20..=63;

/// Who is called so, with a password of its own.
fn called(name: &str) -> floe::TransportOptions {
    let parameters =
        ice::LocalParameters::with_username_fragment(name).expect("it was a name before");
    floe::TransportOptions {
        mode: ice::Mode::Full,
        initiation: ice::Initiation::Responding,
        setup: dtls::Setup::Active,
        remote_identity: dtls::RemoteIdentity::Later,
        local_parameters: Some(parameters),
    }
}

/// What `b` answers to `request` that arrives from `a`'s address: the datagrams it sends at once.
fn answers(pair: &mut Pair<Host, Host>, request: &[u8]) -> Vec<Vec<u8>> {
    let wire = pair.network.wiretap();
    pair.inject(datagram_to_b(request));
    pair.step();
    let of_b = |datagram: &sim::Datagram| datagram.source == sim::address(2);
    let sent = wire.take().into_iter().map(|(_, datagram)| datagram);
    sent.filter(of_b).map(|datagram| datagram.bytes).collect()
}

/// One session, removed by `b` while `a` cannot hear of it.
fn removed(seed: u64) -> (Pair<Host, Host>, (TransportId, TransportId), Parameters) {
    let (mut pair, (a, b)) = support::connected(seed, FULL_ACTPASS, FULL_ACTIVE);
    let credentials = pair.b.transport(b).local_parameters().clone();
    pair.network.cut();
    let now = pair.now();
    assert!(pair.b.endpoint.remove(now, b));
    assert!(!pair.b.endpoint.remove(now, b), "once is enough");
    pair.run_for(Duration::from_millis(100));
    (pair, (a, b), credentials)
}

// req: I59
#[test]
fn an_authenticated_request_after_the_end_gets_a_403_with_a_mac() {
    let (mut pair, _, credentials) = removed(21);
    let answer = answers(&mut pair, &crafted::request(&credentials, "abcd", 1));
    assert_eq!(answer.len(), 1);
    assert_eq!(
        crafted::authentic_error(&answer[0], &credentials),
        Some(403)
    );
    assert_eq!(pair.b.refused, 1);
    assert_eq!(pair.b.endpoint.stats().refused, 1);

    assert!(answers(&mut pair, &crafted::forged_request(&credentials, "abcd", 2)).is_empty());
    let dropped = pair.b.endpoint.stats().dropped;
    assert_eq!(dropped.count(DropReason::UnauthenticatedFarewell), 1);
}

// req: I59
#[test]
fn the_farewell_lasts_thirty_seconds_and_not_longer() {
    let (mut pair, _, credentials) = removed(22);
    pair.run_for(Duration::from_millis(29_800));
    assert_eq!(
        answers(&mut pair, &crafted::request(&credentials, "abcd", 1)).len(),
        1
    );
    pair.run_for(Duration::from_millis(200));
    assert!(answers(&mut pair, &crafted::request(&credentials, "abcd", 2)).is_empty());
    assert_eq!(pair.b.unknown.len(), 1);
    assert_eq!(
        pair.b.endpoint.poll_timeout(),
        None,
        "nothing is left to forget"
    );
}

// req: I59
#[test]
fn no_farewell_lasts_longer_than_thirty_seconds_whatever_is_asked_for() {
    for (asked, lasts) in [(3600, 30), (31, 30), (10, 10), (0, 0)] {
        let address = [sim::address(2)];
        let host = Host::with(2, &address, |config| {
            config.farewell = Duration::from_secs(asked);
        });
        let a_host = Host::new(1, &[sim::address(1)]);
        let mut pair = Pair::new(24, (a_host, &[sim::address(1)]), (host, &address));
        let (_, b) = support::created(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
        let credentials = pair.b.transport(b).local_parameters().clone();
        let now = pair.now();
        assert!(pair.b.endpoint.remove(now, b));
        let request = crafted::request(&credentials, "abcd", 1);
        let mut outcome_after = |time| {
            let path = ice::FiveTuple::udp(sim::address(2), sim::address(1));
            let mut request = request.clone();
            let endpoint = &mut pair.b.endpoint;
            let outcome = endpoint.handle_datagram(now + time, path, &mut request);
            matches!(outcome, Outcome::Refused)
        };
        let (end, instant) = (Duration::from_secs(lasts), Duration::from_millis(1));
        assert_eq!(outcome_after(end.saturating_sub(instant)), lasts > 0);
        assert!(!outcome_after(end), "{asked} s were asked for");
    }
}

// req: I59
#[test]
fn a_name_that_ends_twice_is_remembered_from_its_second_end_and_with_its_second_password() {
    let (mut pair, _, first) = removed(38);
    let half = Duration::from_secs(15);
    pair.run_for(half);
    // The name lives again for a moment.
    let name = first.username_fragment();
    let again = called(name);
    let now = pair.now();
    let id = pair.b.endpoint.create(now, again).unwrap();
    let second = pair.b.transport(id).local_parameters().clone();
    assert!(pair.b.endpoint.remove(now, id));
    // The first end's time is over, the second one's is not.
    pair.run_for(half + Duration::from_secs(1));
    let asked = |pair: &mut Pair<Host, Host>, of: &Parameters, number| {
        let answers = answers(pair, &crafted::request(of, "abcd", number));
        let codes = answers.iter().map(|a| crafted::authentic_error(a, of));
        codes.collect::<Vec<_>>()
    };
    assert_eq!(asked(&mut pair, &second, 1), [Some(403)]);
    assert_eq!(
        asked(&mut pair, &first, 2),
        [],
        "nobody's password any more"
    );
    pair.run_for(half);
    assert_eq!(asked(&mut pair, &second, 3), []);
    assert_eq!(pair.b.endpoint.stats().farewells_cut_short, 0);
    assert_eq!(pair.b.endpoint.poll_timeout(), None, "all is forgotten");
}

// req: I59
#[test]
fn a_session_that_is_closed_and_then_removed_ends_once() {
    let (mut pair, (_, b)) = support::connected(39, FULL_ACTPASS, FULL_ACTIVE);
    let credentials = pair.b.transport(b).local_parameters().clone();
    pair.network.cut();
    let now = pair.now();
    assert!(pair.b.endpoint.close(now, b));
    pair.run_for(Duration::from_secs(20));
    let now = pair.now();
    assert!(pair.b.endpoint.remove(now, b));
    pair.run_for(Duration::from_secs(9));
    let request = crafted::request(&credentials, "abcd", 1);
    assert_eq!(answers(&mut pair, &request).len(), 1);
    pair.run_for(Duration::from_secs(1));
    let request = crafted::request(&credentials, "abcd", 2);
    assert!(
        answers(&mut pair, &request).is_empty(),
        "30 s after the end"
    );
}

// req: I59
#[test]
fn a_farewell_is_over_in_time_even_if_the_caller_is_late() {
    let (mut pair, _, credentials) = removed(32);
    let late = pair.now() + Duration::from_secs(31);
    let path = ice::FiveTuple::udp(sim::address(2), sim::address(1));
    let mut request = crafted::request(&credentials, "abcd", 1);
    let outcome = pair.b.endpoint.handle_datagram(late, path, &mut request);
    assert!(
        matches!(outcome, Outcome::UnknownUfrag { .. }),
        "{outcome:?}"
    );
}

// req: I59
#[test]
fn the_number_of_farewells_is_bounded_oldest_out_first() {
    let address = [sim::address(2)];
    let host = Host::with(2, &address, |config| config.max_farewells = 3);
    let mut pair = Pair::new(
        23,
        (Host::new(1, &[sim::address(1)]), &[sim::address(1)]),
        (host, &address),
    );
    let now = pair.now();
    let mut credentials = Vec::new();
    for _ in 0..5 {
        let (_, b) = support::created(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
        credentials.push(pair.b.transport(b).local_parameters().clone());
        pair.b.endpoint.remove(now, b);
    }
    assert_eq!(pair.b.endpoint.stats().farewells_cut_short, 2);
    let answered: Vec<usize> = credentials
        .iter()
        .map(|own| answers(&mut pair, &crafted::request(own, "abcd", 9)).len())
        .collect();
    assert_eq!(answered, [0, 0, 1, 1, 1]);
}

// req: I59
#[test]
fn refusals_that_nobody_sends_do_not_pile_up() {
    let (mut pair, _, credentials) = removed(24);
    let now = pair.now();
    let request = crafted::request(&credentials, "abcd", 1);
    let mut refused = 0;
    for _ in 0..1000 {
        let path = ice::FiveTuple::udp(sim::address(2), sim::address(1));
        let mut request = request.clone();
        let outcome = pair.b.endpoint.handle_datagram(now, path, &mut request);
        refused += usize::from(outcome == Outcome::Refused);
    }
    assert_eq!(refused, 64);
    assert_eq!(
        pair.b
            .endpoint
            .stats()
            .dropped
            .count(DropReason::Overloaded),
        936
    );
    let mut buf = [0; 1500];
    let sent = std::iter::from_fn(|| pair.b.endpoint.poll_transmit(&mut buf)).count();
    assert_eq!(sent, 64);
}

// req: I59
#[test]
fn a_username_fragment_that_lives_again_is_nobodys_past() {
    let (mut pair, (_, b), credentials) = removed(25);
    let now = pair.now();
    let name = credentials.username_fragment();
    let again = called(name);
    let id = pair.b.endpoint.create(now, again).unwrap();
    let of_now = pair.b.endpoint.transport(id).unwrap();
    let of_now = of_now.local_parameters().clone();
    assert_ne!(id, b);
    let path = ice::FiveTuple::udp(sim::address(2), sim::address(1));
    let mut asked = |of: &Parameters| {
        let mut request = crafted::request(of, "abcd", 1);
        let outcome = pair.b.endpoint.handle_datagram(now, path, &mut request);
        match outcome {
            Outcome::Routed {
                transport,
                received,
            } if transport == id => received,
            other => panic!("{other:?}"),
        }
    };
    // It is another session, with a password of its own: the old one's opens nothing.
    let bad = ice::DropReason::BadIntegrity;
    assert_eq!(asked(&credentials), Received::Dropped(DropReason::Ice(bad)));
    assert_eq!(asked(&of_now), Received::Handled);
    // Where it is no more, nothing is left of the old one either.
    pair.b.endpoint.detach(id).expect("it lives here");
    for of in [&credentials, &of_now] {
        let mut request = crafted::request(of, "abcd", 2);
        let outcome = pair.b.endpoint.handle_datagram(now, path, &mut request);
        let is_unknown = matches!(outcome, Outcome::UnknownUfrag { .. });
        assert!(is_unknown, "{outcome:?}");
    }
}

// req: I59
#[test]
fn who_is_closed_and_not_yet_removed_is_called_nothing() {
    let (mut pair, (_, b)) = support::connected(29, FULL_ACTPASS, FULL_ACTIVE);
    let credentials = pair.b.transport(b).local_parameters().clone();
    let now = pair.now();
    pair.b.endpoint.close(now, b);
    let path = ice::FiveTuple::udp(sim::address(2), sim::address(1));
    let mut requests = [1, 2, 3].map(|number| crafted::request(&credentials, "abcd", number));
    let outcome = pair.b.endpoint.handle_datagram(now, path, &mut requests[0]);
    assert_eq!(outcome, Outcome::Refused);
    let arrived = requests[1..].iter_mut();
    let arrived = arrived.map(|request| (path, request.as_mut_slice()));
    let hear = |_, outcome, _: &mut [u8]| assert_eq!(outcome, Outcome::Refused);
    pair.b.endpoint.handle_datagrams(now, arrived, hear);
}

// req: I59 I20
#[test]
fn a_peer_that_missed_the_end_learns_it_from_its_next_consent_check() {
    let (mut pair, (a, _), _) = removed(26);
    pair.network.heal();
    pair.drive_until(|a_host, _| a_host.transport(a).send_path().is_none());
    assert!(
        pair.elapsed() < Duration::from_secs(10),
        "at once, not after 30 s"
    );
    let transitions = pair.a.ice_transitions(a);
    let last = transitions.last().unwrap();
    assert_eq!(last.reason, ice::Reason::ConsentRevoked);
    assert!(pair.b.endpoint.stats().refused >= 1);
}

// req: I20
#[test]
fn close_notify_ends_both_sides_at_once_and_revokes_consent() {
    for (a_part, b_part) in [(FULL_ACTPASS, FULL_ACTIVE), (FULL_ACTPASS, LITE_PASSIVE)] {
        let (mut pair, (a, b)) = support::connected(27, a_part, b_part);
        let (start, now) = (pair.elapsed(), pair.now());
        assert!(pair.b.endpoint.close(now, b));
        pair.drive_until(|a_host, _| a_host.dtls(a) == dtls::State::Closed);
        assert!(pair.elapsed() - start < Duration::from_millis(50));
        assert_eq!(pair.a.endpoint.send_path(a), None);
        assert_eq!(
            pair.a.ice_transitions(a).last().unwrap().reason,
            ice::Reason::PeerClosed
        );
        assert_eq!(
            pair.a.dtls_transitions(a).last().unwrap().reason,
            dtls::Reason::ClosedByPeer
        );
        assert_eq!(
            (pair.b.ice(b), pair.b.dtls(b)),
            (ice::State::Closed, dtls::State::Closed)
        );
        let silence = pair.network.wiretap();
        pair.run_for(Duration::from_secs(60));
        let spoken = silence
            .seen()
            .into_iter()
            .filter(|(_, d)| d.source == sim::address(2))
            .count();
        assert_eq!(spoken, 0, "the closed side is silent");
    }
}

// req: T23
#[test]
fn close_notify_goes_both_ways() {
    let parts = [
        (33, FULL_ACTIVE),
        (34, LITE_PASSIVE), // the closing side is lite,
        (35, FULL_ACTIVE),
        (36, LITE_PASSIVE), // the answering one is.
    ];
    for (seed, b_part) in parts {
        let (mut pair, (a, b)) = support::connected(seed, FULL_ACTPASS, b_part);
        pair.run_for(Duration::from_secs(1));
        let (wire, now) = (pair.network.wiretap(), pair.now());
        match seed < 35 {
            true => assert!(pair.b.endpoint.close(now, b)),
            false => assert!(pair.a.endpoint.close(now, a)),
        }
        pair.run_for(Duration::from_secs(10));
        // What kind of record it is, nobody sees; but there is nothing else to say.
        let records = |from| {
            let seen = wire.seen().into_iter();
            seen.filter(|(_, d)| d.source == sim::address(from) && DTLS.contains(&d.bytes[0]))
                .count()
        };
        assert_eq!((records(1), records(2)), (1, 1), "seed {seed}");
    }
}

// req: T65
#[test]
fn after_the_end_no_new_association_begins() {
    let (mut pair, (_, b)) = support::connected(37, FULL_ACTPASS, FULL_ACTIVE);
    let now = pair.now();
    pair.b.endpoint.restart(now, b, None, None).unwrap();
    let facts = floe::RemoteDtls {
        fingerprints: support::fingerprints(&support::identity(3)),
        setup: dtls::Setup::Passive,
        tls_id: None,
    };
    let told = pair.b.with_transport(now, b, |transport| {
        transport.close(now);
        transport.set_remote_dtls(now, facts)
    });
    assert_eq!(told, Err(ApiMisuse::Ice(ice::ApiMisuse::Closed)));
    assert_eq!(pair.b.dtls(b), dtls::State::Closed);
}

// req: I20
#[test]
fn an_authenticated_fatal_alert_revokes_consent_too() {
    // `a`, the client, learns only after the handshake that it has met an impostor.
    let mut pair = support::world(30);
    let now = pair.now();
    let (a, b) = support::created(&mut pair, FULL_ACTIVE, LITE_PASSIVE);
    pair.a.endpoint.remove(now, a);
    let options = floe::TransportOptions {
        mode: ice::Mode::Full,
        initiation: ice::Initiation::Initiating,
        setup: dtls::Setup::Active,
        remote_identity: dtls::RemoteIdentity::Later,
        local_parameters: None,
    };
    let a = pair.a.endpoint.create(now, options).unwrap();
    support::exchange_parameters(&mut pair, (a, b), ice::Mode::Full, ice::Mode::Lite);
    support::add_candidates(&mut pair, (a, b));
    pair.drive_until(|_, host| host.is_connected(b));
    let (now, impostor) = (pair.now(), support::fingerprints(&support::identity(3)));
    let told = pair
        .a
        .with_transport(now, a, |t| t.set_remote_fingerprints(now, impostor));
    assert_eq!(told, Ok(()));
    pair.drive_until(|_, host| host.dtls(b) == dtls::State::Failed);
    assert_eq!(pair.b.endpoint.send_path(b), None);
    assert_eq!(
        pair.b.dtls_transitions(b).last().unwrap().reason,
        dtls::Reason::PeerAlert
    );
    assert_eq!(
        pair.b.ice_transitions(b).last().unwrap().reason,
        ice::Reason::DtlsFailed
    );
}

// req: I20
#[test]
fn removing_a_transport_still_says_goodbye() {
    let (mut pair, (a, b)) = support::connected(28, FULL_ACTPASS, FULL_ACTIVE);
    let now = pair.now();
    pair.b.endpoint.remove(now, b);
    assert!(pair.b.endpoint.transport(b).is_none());
    pair.drive_until(|a_host, _| a_host.dtls(a) == dtls::State::Closed);
    assert!(
        pair.b.saw(|event| matches!(event, Event::PathReleased(_))),
        "the kernel's table can follow"
    );
}

#[test]
fn a_forged_close_notify_ends_nothing() {
    let (mut pair, (a, b)) = support::connected(29, FULL_ACTPASS, FULL_ACTIVE);
    // Plaintext: warning, close_notify. And the same as if it were protected.
    for epoch in [0, 1] {
        for level in [1, 2] {
            let alert = [21, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 9, 0, 2, level, 0];
            pair.inject(datagram_to_b(&alert));
        }
    }
    pair.run_for(Duration::from_secs(1));
    assert!(pair.a.is_connected(a) && pair.b.is_connected(b));
}
