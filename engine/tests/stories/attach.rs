//! Transports that move between endpoints, and between threads (T71).

use crate::{
    crafted,
    support::{self, FULL_ACTIVE, FULL_ACTPASS, Host},
};
use floe::{
    ApiMisuse, DropReason, Endpoint, Event, Outcome, Received, Transport, TransportId,
    dtls::{ProtocolVersion, Side},
    ice::{self, FiveTuple},
};
use sim::{Link, Pair};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Two hosts that speak this version of DTLS only.
fn world_of(seed: u64, version: ProtocolVersion) -> Pair<Host, Host> {
    let (a, b) = ([sim::address(1)], [sim::address(2)]);
    let host = |seed, addresses: &[SocketAddr]| {
        Host::with(seed, addresses, |config| {
            let mut dtls = (*config.transport.dtls).clone();
            (dtls.min_version, dtls.max_version) = (version, version);
            config.transport.dtls = Arc::new(dtls);
        })
    };
    Pair::new(seed, (host(1, &a), &a), (host(2, &b), &b))
}

/// Moves `b`'s transport into a new endpoint, as another thread's would be.
fn move_house(host: &mut Host, now: Instant, id: TransportId, seed: u8) -> TransportId {
    let transport = host.endpoint.detach(id).expect("it lives here");
    assert!(host.endpoint.transport(id).is_none());
    assert!(host.endpoint.detach(id).is_none());
    let fresh = Host::new(seed, &host.addresses);
    host.endpoint = fresh.endpoint;
    // A thread in between: the machines are `Send`.
    let transport = std::thread::spawn(move || transport)
        .join()
        .expect("nothing panics there");
    host.endpoint.attach(now, transport).expect("room for it")
}

// req: T71
#[test]
fn what_writes_longer_datagrams_than_its_endpoint_is_not_taken_in_and_not_harmed() {
    let (mut pair, (a, b)) = support::connected(79, FULL_ACTPASS, FULL_ACTIVE);
    let smaller = Host::with(5, &pair.b.addresses, |config| {
        Arc::make_mut(&mut config.transport.ice).mtu = 700;
        let mut dtls = (*config.transport.dtls).clone();
        dtls.mtu = 700;
        config.transport.dtls = Arc::new(dtls);
    });
    let now = pair.now();
    let transport = pair.b.endpoint.detach(b).expect("it lives here");
    let home = std::mem::replace(&mut pair.b.endpoint, smaller.endpoint);
    let refused = pair.b.endpoint.attach(now, transport);
    let refused = refused.expect_err("buffers there are too short for it");
    assert_eq!(refused.misuse, ApiMisuse::MtuTooLarge);
    assert_eq!(pair.b.endpoint.transports().count(), 0);
    pair.b.endpoint = home;
    let attached = pair.b.endpoint.attach(now, refused.transport);
    let b = attached.expect("it is as it was");
    pair.run_for(Duration::from_secs(40));
    assert!(pair.a.is_connected(a) && pair.b.is_connected(b));
}

// req: T71
#[test]
fn moving_under_traffic_loses_nothing() {
    let (mut pair, (a, mut b)) = support::connected(71, FULL_ACTPASS, FULL_ACTIVE);
    let path = pair.b.endpoint.send_path(b).unwrap();
    for number in 0..100u8 {
        let now = pair.now();
        pair.a.send(now, a, &[number]);
        pair.b.send(now, b, &[number]);
        // In the middle of a flight in either direction.
        pair.run_for(Duration::from_millis(7));
        if number % 10 == 5 {
            let (now, seed) = (pair.now(), number);
            b = move_house(&mut pair.b, now, b, seed);
        }
    }
    pair.run_for(Duration::from_millis(100));
    for host in [&pair.a, &pair.b] {
        let numbers: Vec<u8> = host.data.iter().map(|(_, data)| data[0]).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
    }
    let learned = pair
        .b
        .events
        .iter()
        .filter(|(_, event)| *event == Event::PathLearned(path));
    assert_eq!(learned.count(), 11, "each endpoint hears of the path");
    pair.run_for(Duration::from_secs(60));
    assert!(
        pair.a.is_connected(a) && pair.b.is_connected(b),
        "consent goes on"
    );
}

// req: T71
#[test]
fn moving_in_the_middle_of_everything_changes_nothing_but_the_id() {
    for version in [ProtocolVersion::DTLS1_2, ProtocolVersion::DTLS1_3] {
        // Either end moves every 15 ms from before the first check to after the handshake, and once not at all.
        let times = [None, Some(Side::Client), Some(Side::Server)].map(|mover| {
            let mut pair = world_of(72, version);
            pair.network
                .set_links(Link::with_delay(Duration::from_millis(40)));
            let (mut a, mut b) = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
            let mut moves = 0;
            while !(pair.a.is_connected(a) && pair.b.is_connected(b)) {
                let now = pair.now();
                match mover {
                    // `b` is the active one.
                    Some(Side::Client) => b = move_house(&mut pair.b, now, b, 100 + moves),
                    Some(Side::Server) => a = move_house(&mut pair.a, now, a, 100 + moves),
                    None => {}
                }
                moves += 1;
                pair.run_for(Duration::from_millis(15));
                assert!(moves < 100, "it gets there");
            }
            assert!(moves > 10, "{moves}");
            assert_eq!(pair.b.transport(b).dtls().version(), Some(version));
            assert_eq!(pair.a.transport(a).dtls().stats().retransmitted_flights, 0);
            assert_eq!(pair.b.transport(b).dtls().stats().retransmitted_flights, 0);
            moves
        });
        assert!(
            times.iter().all(|time| *time == times[0]),
            "and not later: {times:?}"
        );
    }
}

// req: T71 S10
#[test]
fn an_answer_to_a_check_of_before_finds_the_transport_after_the_move() {
    let (mut pair, (_, mut b)) = support::connected(73, FULL_ACTPASS, FULL_ACTIVE);
    pair.network
        .set_links(Link::with_delay(Duration::from_secs(1)));
    let answered = |host: &Host, b| {
        let pairs: Vec<_> = host.transport(b).ice().candidate_pairs().collect();
        pairs
            .iter()
            .map(|pair| pair.responses_received)
            .sum::<u64>()
    };
    // Wait until a consent check is on its way, move, and see its answer counted.
    let wire = pair.network.wiretap();
    let ours = move |datagram: &sim::Datagram| {
        datagram.source == sim::address(2) && datagram.bytes[0] == 0
    };
    while !wire.seen().iter().any(|(_, datagram)| ours(datagram)) {
        pair.run_for(Duration::from_millis(100));
    }
    let before = answered(&pair.b, b);
    let now = pair.now();
    b = move_house(&mut pair.b, now, b, 200);
    pair.run_for(Duration::from_millis(2100));
    assert_eq!(answered(&pair.b, b), before + 1);
    assert_eq!(pair.b.endpoint.stats().dropped.total(), 0);
}

// req: T71 S10 I58
#[test]
fn who_lives_now_where_a_check_was_sent_from_does_not_keep_its_answer() {
    for is_answered in [true, false] {
        let mut pair = support::world(79);
        let (a, _) = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
        let (now, mut buf) = (pair.now(), [0; 1500]);
        let check = pair.a.endpoint.poll_transmit(&mut buf).expect("a check");
        let mut bytes = buf[..check.len].to_vec();
        // It moves up, and a newcomer is in its place.
        let moved = pair.a.endpoint.detach(a).unwrap();
        let newcomer = support::create(
            &mut pair.a.endpoint,
            now,
            ice::Mode::Full,
            ice::Initiation::Initiating,
        );
        let a = pair.a.endpoint.attach(now, moved).unwrap();
        let mut answer;
        let outcome = if is_answered {
            let there = FiveTuple::udp(check.path.remote, check.path.local);
            let _ = pair.b.endpoint.handle_datagram(now, there, &mut bytes);
            let sent = std::iter::from_fn(|| {
                pair.b
                    .endpoint
                    .poll_transmit(&mut buf)
                    .map(|t| buf[..t.len].to_vec())
            })
            .find(|datagram| datagram[0] == 1);
            answer = sent.expect("it is answered");
            pair.a
                .endpoint
                .handle_datagram(now, check.path, &mut answer)
        } else {
            pair.a.endpoint.handle_unreachable(now, check.path, &bytes)
        };
        let expected = Outcome::Routed {
            transport: a,
            received: Received::Handled,
        };
        assert_eq!(outcome, expected, "{is_answered}");
        let pairs: Vec<_> = pair.a.transport(a).ice().candidate_pairs().collect();
        let expected = if is_answered {
            ice::PairState::Succeeded
        } else {
            ice::PairState::Failed
        };
        assert_eq!(pairs[0].state, expected);
        // What neither knows is dropped.
        let stranger = crafted::response(&support::parameters_of(&pair.a.endpoint, newcomer));
        let outcome = pair
            .a
            .endpoint
            .handle_unreachable(now, check.path, &stranger);
        let unknown = DropReason::UnknownTransaction;
        assert_eq!(outcome, Outcome::Dropped(unknown));
        assert_eq!(pair.a.endpoint.stats().dropped.total(), 1);
    }
}

// req: T71 S10
#[test]
fn all_who_have_come_from_one_slot_hear_what_they_asked_for() {
    let mut pair = support::world(80);
    let mut there = Host::new(81, &pair.a.addresses).endpoint;
    let mut buf = [0; 1500];
    let mut answers = Vec::new();
    for _ in 0..4 {
        pair.run_for(Duration::from_millis(50));
        let (a, b) = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
        assert_eq!(slot(a), 0);
        let now = pair.now();
        let check = pair.a.endpoint.poll_transmit(&mut buf).expect("a check");
        let mut bytes = buf[..check.len].to_vec();
        let moved = pair.a.endpoint.detach(a).expect("it lives here");
        let a = there.attach(now, moved).expect("room for it");
        let back = FiveTuple::udp(check.path.remote, check.path.local);
        let outcome = pair.b.endpoint.handle_datagram(now, back, &mut bytes);
        assert_eq!(routed(&outcome), Some(b));
        let sent = std::iter::from_fn(|| {
            let transmit = pair.b.endpoint.poll_transmit(&mut buf)?;
            Some(buf[..transmit.len].to_vec())
        });
        let answer = sent.filter(|datagram| datagram[0] == 1).last();
        answers.push((a, check.path, bytes, answer.expect("it is answered")));
    }
    let now = pair.now();
    for (a, path, _, answer) in &mut answers {
        let outcome = there.handle_datagram(now, *path, answer);
        let (transport, received) = (*a, Received::Handled);
        assert_eq!(
            outcome,
            Outcome::Routed {
                transport,
                received
            }
        );
    }
    // Nobody waits for it any more.
    let (_, path, check, answer) = &mut answers[0];
    let unknown = Outcome::Dropped(DropReason::UnknownTransaction);
    assert_eq!(there.handle_datagram(now, *path, answer), unknown);
    assert_eq!(there.handle_unreachable(now, *path, check), unknown);
}

/// Where it is in its endpoint.
fn slot(id: TransportId) -> u32 {
    id.to_bits() as u32
}

fn routed(outcome: &Outcome<'_>) -> Option<TransportId> {
    match outcome {
        Outcome::Routed { transport, .. } => Some(*transport),
        _ => None,
    }
}

/// Two transports: one that has moved and is still called after the slot in which it was, and who is in that slot now.
fn mover_and_newcomer(endpoint: &mut Endpoint, now: Instant) -> (TransportId, TransportId) {
    let mut newcomer =
        || support::create(endpoint, now, ice::Mode::Full, ice::Initiation::Responding);
    let (mover, _) = (newcomer(), newcomer());
    let moved = endpoint.detach(mover).expect("it lives here");
    let newcomer = support::create(endpoint, now, ice::Mode::Full, ice::Initiation::Responding);
    assert_eq!(slot(newcomer), slot(mover));
    let mover = endpoint.attach(now, moved).expect("room for it");
    (mover, newcomer)
}

// req: I63
#[test]
fn who_took_a_name_along_keeps_it_whoever_is_given_it_where_it_was_made() {
    let mut pair = support::world(82);
    let (now, endpoint) = (pair.now(), &mut pair.b.endpoint);
    let (mover, newcomer) = mover_and_newcomer(endpoint, now);
    let of_mover = support::parameters_of(endpoint, mover);
    let twin = || ice::LocalParameters::with_username_fragment(of_mover.username_fragment()).ok();
    let restart = |endpoint: &mut Endpoint, id, local| {
        let restarted = endpoint.with(now, id, |t| t.restart(now, local, None));
        restarted.expect("it lives here").expect("a restart");
    };
    let path = FiveTuple::udp(sim::address(2), sim::address(1));
    let whose = |endpoint: &mut Endpoint, credentials: &ice::Parameters| {
        let mut checks = [0, 1].map(|number| crafted::request(credentials, "peer", number));
        let alone = routed(&endpoint.handle_datagram(now, path, &mut checks[0]));
        let both = checks.iter_mut().map(|check| (path, check.as_mut_slice()));
        endpoint.handle_datagrams(now, both, |_, outcome, _| {
            assert_eq!(routed(&outcome), alone);
        });
        alone
    };
    assert_eq!(endpoint.stats().ufrag_conflicts, 0);
    restart(endpoint, newcomer, twin());
    assert_eq!(endpoint.stats().ufrag_conflicts, 1);
    assert_eq!(whose(endpoint, &of_mover), Some(mover));
    // It is free when its bearer is gone.
    endpoint.detach(mover).expect("it lives here");
    assert_eq!(whose(endpoint, &of_mover), None);
    restart(endpoint, newcomer, None);
    restart(endpoint, newcomer, twin());
    assert_eq!(endpoint.stats().ufrag_conflicts, 1);
    let of_newcomer = support::parameters_of(endpoint, newcomer);
    assert_eq!(whose(endpoint, &of_newcomer), Some(newcomer));
}

// req: T71
#[test]
fn a_detached_transport_is_a_machine_like_any_other() {
    let (mut pair, (a, b)) = support::connected(74, FULL_ACTPASS, FULL_ACTIVE);
    let now = pair.now();
    pair.a.send(now, a, b"meanwhile");
    let (path, mut sealed) = pair.a.outgoing.pop_front().unwrap();
    let mut transport = pair.b.endpoint.detach(b).unwrap();
    let (local, remote) = (path.remote, path.local);
    let received = transport.handle_datagram(now, FiveTuple::udp(local, remote), &mut sealed);
    let Received::Data { range, .. } = received else {
        panic!("{received:?}")
    };
    assert_eq!(&sealed[range], b"meanwhile");
    assert!(transport.poll_timeout().is_some());

    // Its old endpoint knows nothing of it any more.
    let mut record = [20, 0, 0];
    let outcome = pair
        .b
        .endpoint
        .handle_datagram(now, FiveTuple::udp(local, remote), &mut record);
    assert!(matches!(outcome, Outcome::Dropped(_)));
    assert_eq!(pair.b.endpoint.poll_timeout(), None);
}

/// What a transport is called may say in which slot it was when it was made.
#[test]
fn a_transport_that_comes_back_is_found_by_its_name_and_so_is_who_has_its_slot_now() {
    let mut pair = support::world(76);
    let now = pair.now();
    let host = &mut pair.b;
    let mut newcomer = || {
        support::create(
            &mut host.endpoint,
            now,
            ice::Mode::Full,
            ice::Initiation::Responding,
        )
    };
    let (first, _) = (newcomer(), newcomer());
    let moved = host.endpoint.detach(first).unwrap();
    let second = support::create(
        &mut host.endpoint,
        now,
        ice::Mode::Full,
        ice::Initiation::Responding,
    );
    let first = host.endpoint.attach(now, moved).unwrap();
    let path = FiveTuple::udp(sim::address(2), sim::address(1));
    let mut checks = [first, second, first].map(|id| {
        let credentials = support::parameters_of(&host.endpoint, id);
        (id, crafted::request(&credentials, "peer", id.to_bits()))
    });
    for (id, check) in &mut checks {
        let outcome = host.endpoint.handle_datagram(now, path, check);
        assert!(matches!(outcome, Outcome::Routed { transport, .. } if transport == *id));
    }
    let mut expected = checks.clone().into_iter().map(|(id, _)| id);
    let arrived = checks
        .iter_mut()
        .map(|(_, check)| (path, check.as_mut_slice()));
    host.endpoint
        .handle_datagrams(now, arrived, |_, outcome, _| {
            let id = expected.next();
            assert!(matches!(outcome, Outcome::Routed { transport, .. } if Some(transport) == id));
        });
    // Nobody is called so once they are gone, neither in the slot nor in the table.
    host.endpoint.remove(now, first);
    host.endpoint.detach(second).unwrap();
    for (_, check) in &mut checks[1..] {
        let outcome = host.endpoint.handle_datagram(now, path, check);
        assert!(!matches!(outcome, Outcome::Routed { .. }), "{outcome:?}");
    }
}

#[test]
fn transports_that_only_pass_through_leave_nothing_behind() {
    let (mut from, mut through) = (support::world(77), support::world(78));
    let now = from.now();
    let mut pass = |number: usize| {
        let (from, through) = (&mut from.b.endpoint, &mut through.b.endpoint);
        let make = |_| support::create(from, now, ice::Mode::Full, ice::Initiation::Responding);
        let ids: Vec<TransportId> = (0..number).map(make).collect();
        for id in ids {
            let transport = from.detach(id).expect("it lives here");
            let id = through.attach(now, transport).expect("room for it");
            through.detach(id).expect("it lives here");
        }
        while from.poll_event().or_else(|| through.poll_event()).is_some() {}
    };
    // One page of each is kept, whoever comes and goes.
    pass(2);
    let passed = allocation_counter::measure(|| pass(5000));
    // Of each, one route to it would be more than twelve bytes.
    assert!(passed.bytes_current < 16_000, "{passed:?}");
}

#[test]
fn what_cannot_be_attached_comes_back_unharmed() {
    let (mut pair, (a, b)) = support::connected(75, FULL_ACTPASS, FULL_ACTIVE);
    let now = pair.now();
    let transport = pair.b.endpoint.detach(b).unwrap();
    let name = transport.local_parameters().username_fragment();
    let twin = ice::LocalParameters::with_username_fragment(name).unwrap();
    let options = floe::TransportOptions {
        mode: ice::Mode::Full,
        initiation: ice::Initiation::Responding,
        setup: floe::dtls::Setup::Active,
        remote_identity: floe::dtls::RemoteIdentity::Later,
        local_parameters: Some(twin),
    };
    let twin = pair.b.endpoint.create(now, options).unwrap();
    let refused = pair.b.endpoint.attach(now, transport).unwrap_err();
    assert_eq!(refused.misuse, ApiMisuse::UfragInUse);
    pair.b.endpoint.remove(now, twin);
    let b = pair.b.endpoint.attach(now, refused.transport).unwrap();
    pair.a.send(now, a, b"still");
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.b.data, [(b, b"still".to_vec())]);
}

// req: T71
#[test]
fn machines_are_send() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Transport>();
    is_send::<Endpoint>();
    is_send::<Event>();
}
