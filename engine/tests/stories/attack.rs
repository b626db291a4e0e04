//! A peer that holds the password and points at somebody else, and what no handshake has to vouch for.

use crate::{
    crafted,
    support::{self, FULL_ACTIVE, FULL_ACTPASS, Host, LITE_PASSIVE, Part},
};
use floe::{
    DropReason, Event, Outcome, Received, TransportId,
    dtls::{self, Setup},
    ice::{self, FiveTuple, Mode, PairState},
    stun::{Class, Message},
};
use sim::{Node, Pair, Verdict};
use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

const LITE_ACTIVE: Part = Part {
    mode: Mode::Lite,
    setup: Setup::Active,
};
const FULL_PASSIVE: Part = Part {
    mode: Mode::Full,
    setup: Setup::Passive,
};

/// Bytes that left `b` for each address and that came from it, and datagrams.
#[derive(Default)]
struct Ledger {
    bytes: HashMap<SocketAddr, (usize, usize)>,
    datagrams: HashMap<SocketAddr, (usize, usize)>,
}

impl Ledger {
    fn sent(&mut self, to: SocketAddr, len: usize) {
        self.bytes.entry(to).or_default().0 += len;
        self.datagrams.entry(to).or_default().0 += 1;
    }

    fn received(&mut self, from: SocketAddr, len: usize) {
        self.bytes.entry(from).or_default().1 += len;
        self.datagrams.entry(from).or_default().1 += 1;
    }

    fn check(&self) {
        for (address, (out, into)) in &self.bytes {
            assert!(*out <= 3 * into, "{out} bytes to {address} for {into}");
        }
        for (address, (out, into)) in &self.datagrams {
            assert!(*out <= 2 * into, "{out} datagrams to {address} for {into}");
        }
    }
}

fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

fn is_request(datagram: &[u8]) -> bool {
    Message::parse(datagram).is_ok_and(|message| message.class() == Class::Request)
}

/// All that both have to send now. Of `b`'s only answers to checks arrive: it gets no proof of anything.
fn turn(pair: &mut Pair<Host, Host>, now: Instant, ledger: &mut Ledger) {
    let mut buf = [0; 1500];
    loop {
        let mut quiet = true;
        while let Some((local, remote, len)) = pair.a.poll_transmit(&mut buf) {
            ledger.received(local, len);
            pair.b.handle_datagram(now, remote, local, &mut buf[..len]);
            quiet = false;
        }
        while let Some((local, remote, len)) = pair.b.poll_transmit(&mut buf) {
            ledger.sent(remote, len);
            if !is_dtls(&buf[..len]) && !is_request(&buf[..len]) && remote == sim::address(1) {
                pair.a.handle_datagram(now, remote, local, &mut buf[..len]);
            }
            quiet = false;
        }
        if quiet {
            return;
        }
    }
}

/// Time passes for both, and whatever they send is counted.
fn pass(pair: &mut Pair<Host, Host>, now: &mut Instant, time: Duration, ledger: &mut Ledger) {
    let end = *now + time;
    loop {
        turn(pair, *now, ledger);
        ledger.check();
        let next = [pair.a.poll_timeout(), pair.b.poll_timeout()];
        let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= end) else {
            *now = end;
            return;
        };
        *now = next.max(*now);
        pair.a.handle_timeout(*now);
        pair.b.handle_timeout(*now);
    }
}

// req: I56 I42
#[test]
fn an_unproven_peer_gets_three_times_its_bytes_at_most_whoever_speaks_first() {
    for (seed, of_a, of_b) in [
        (301, FULL_ACTIVE, LITE_PASSIVE),
        (302, FULL_PASSIVE, LITE_ACTIVE),
    ] {
        let mut pair = support::world(seed);
        let (_, b) = support::signalled(&mut pair, of_a, of_b);
        let (mut now, mut ledger) = (pair.now(), Ledger::default());
        pass(&mut pair, &mut now, Duration::from_secs(20), &mut ledger);
        let (out, into) = ledger.bytes[&sim::address(1)];
        assert!(out > into, "the handshake was tried: {out} for {into}");
        assert_ne!(pair.b.dtls(b), dtls::State::Connected);
        assert_eq!(pair.b.endpoint.send_path(b), None, "and no media");
        if of_b.setup == Setup::Active {
            let held = pair.b.transport(b).stats().held;
            assert!(held > 0);
            let mut buf = [0; 1500];
            (0..10).for_each(|_| assert_eq!(pair.b.poll_transmit(&mut buf), None));
            assert_eq!(
                pair.b.transport(b).stats().held,
                held,
                "polling holds up nothing more"
            );
        }
    }
}

// req: I56
#[test]
fn a_handshake_that_is_pointed_elsewhere_stays_within_what_came_from_there() {
    let mut pair = support::world(303);
    let (a, b) = support::signalled(&mut pair, FULL_ACTIVE, LITE_PASSIVE);
    let (mut now, mut ledger) = (pair.now(), Ledger::default());
    pass(&mut pair, &mut now, Duration::from_millis(300), &mut ledger);
    // The peer now says that it is at the victim's, and its handshake is under way with a lot of credit.
    let victim = sim::address(66);
    let to = pair.b.transport(b).local_parameters().clone();
    let from = pair.a.transport(a).local_parameters().username_fragment();
    let from = from.to_owned();
    for number in 0..30 {
        let mut request = crafted::request(&to, &from, 5000 + number);
        ledger.received(victim, request.len());
        pair.b
            .handle_datagram(now, sim::address(2), victim, &mut request);
        pass(&mut pair, &mut now, Duration::from_millis(400), &mut ledger);
    }
    let (out, into) = ledger.bytes[&victim];
    assert!(out > 0 && out <= 3 * into, "{out} for {into}");
}

// req: I41 I56
#[test]
fn what_anybody_can_send_takes_nobodys_account() {
    for strangers in [0, 8] {
        let mut pair = support::world(308);
        let (a, b) = support::signalled(&mut pair, FULL_PASSIVE, LITE_ACTIVE);
        let to = pair.b.transport(b).local_parameters().clone();
        let from = pair.a.transport(a).local_parameters().username_fragment();
        let (from, now) = (from.to_owned(), pair.now());
        let mut checks: Vec<_> = (0..9).map(|n| crafted::request(&to, &from, n)).collect();
        let handshakes = pair.b.with_transport(now, b, |transport| {
            let path = |n| FiveTuple::udp(sim::address(2), sim::address(n));
            for check in &mut checks {
                let received = transport.handle_datagram(now, path(1), check);
                assert_eq!(received, Received::Handled);
            }
            for n in 0..strangers {
                let _ = transport.handle_datagram(now, path(60 + n), &mut crafted::indication());
            }
            let mut buf = [0; 1500];
            let sent = std::iter::from_fn(|| transport.poll_transmit(&mut buf).map(|_| buf[0]));
            sent.filter(|first| is_dtls(&[*first])).count()
        });
        assert_eq!(handshakes, 1, "the peer has paid for it: {strangers}");
    }
}

// req: I56
#[test]
fn a_finished_handshake_proves_the_path_and_media_may_go() {
    for b_part in [LITE_PASSIVE, LITE_ACTIVE] {
        let a_part = match b_part.setup {
            Setup::Active => FULL_PASSIVE,
            _ => FULL_ACTIVE,
        };
        let (mut pair, (a, b)) = support::connected(304, a_part, b_part);
        let path = FiveTuple::udp(sim::address(2), sim::address(1));
        pair.run_for(Duration::from_secs(2));
        assert_eq!(pair.b.endpoint.send_path(b), Some(path));
        let now = pair.now();
        pair.b.send(now, b, b"proven");
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.a.data, [(a, b"proven".to_vec())]);
        assert!(
            pair.elapsed() < Duration::from_secs(5),
            "the budget costs no time: {:?}",
            pair.elapsed()
        );
    }
}

// req: I56 I42
#[test]
fn the_media_of_a_call_is_not_turned_on_a_victim() {
    let (mut pair, (a, b)) = support::connected(305, FULL_ACTIVE, LITE_PASSIVE);
    pair.run_for(Duration::from_secs(1));
    let path = pair.b.endpoint.send_path(b);
    assert!(path.is_some());
    let to = pair.b.transport(b).local_parameters().clone();
    let from = pair.a.transport(a).local_parameters().username_fragment();
    let (from, now, victim) = (from.to_owned(), pair.now(), sim::address(66));
    let (mut buf, mut sent) = ([0; 1500], 0);
    for number in 0..10 {
        let mut request = crafted::nominating_request(&to, &from, 9000 + number);
        pair.b
            .handle_datagram(now, sim::address(2), victim, &mut request);
        while let Some((_, remote, _)) = pair.b.poll_transmit(&mut buf) {
            sent += usize::from(remote == victim);
        }
        assert_eq!(pair.b.endpoint.send_path(b), path);
    }
    assert!((10..=20).contains(&sent), "{sent} datagrams for ten");
}

// req: I56 I1
#[test]
fn two_lite_transports_prove_each_other_and_speak() {
    let (mut pair, (a, b)) = support::connected(309, LITE_ACTIVE, LITE_PASSIVE);
    let now = pair.now();
    pair.a.send(now, a, b"lite");
    pair.b.send(now, b, b"too");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.b.data, [(b, b"lite".to_vec())]);
    assert_eq!(pair.a.data, [(a, b"too".to_vec())]);
    for (host, id) in [(&pair.a, a), (&pair.b, b)] {
        assert_eq!(host.transport(id).ice().stats().requests_sent, 1);
    }
}

// req: I56
#[test]
fn a_lite_peer_that_never_answered_gets_checks_and_no_handshake() {
    let mut pair = support::world(310);
    let (a, _) = support::signalled(&mut pair, LITE_ACTIVE, LITE_PASSIVE);
    let (mut buf, mut now, mut sent) = ([0; 1500], pair.now(), 0);
    let end = now + Duration::from_secs(120);
    while now < end {
        while let Some((_, remote, len)) = pair.a.poll_transmit(&mut buf) {
            assert_eq!(remote, sim::address(2));
            assert!(is_request(&buf[..len]), "nothing but checks");
            sent += 1;
        }
        assert_eq!(pair.a.endpoint.send_path(a), None, "and no media");
        let Some(next) = pair.a.poll_timeout() else {
            break;
        };
        now = next;
        pair.a.handle_timeout(now);
    }
    assert_eq!(sent, 7, "one transaction");
    assert_ne!(pair.a.dtls(a), dtls::State::Connected);
}

/// Two lite transports of which neither hears a check of the other's, nor answers one: as with an implementation that has none.
fn mute_lite_peers(seed: u64) -> (Pair<Host, Host>, (TransportId, TransportId)) {
    let mut pair = support::world(seed);
    let ids = support::signalled(&mut pair, LITE_ACTIVE, LITE_PASSIVE);
    pair.network
        .tap(|datagram, _| match is_dtls(&datagram.bytes) {
            true => Verdict::Pass,
            false => Verdict::Drop,
        });
    (pair, ids)
}

// req: I1 I56
#[test]
fn lite_peers_that_answer_no_checks_speak_on_their_applications_word() {
    for of_both in [true, false] {
        let (mut pair, (a, b)) = mute_lite_peers(312);
        pair.run_for(Duration::from_secs(1));
        let path = FiveTuple::udp(sim::address(1), sim::address(2));
        assert_eq!(pair.a.transport(a).ice().send_path(), Some(path));
        assert_eq!(pair.a.endpoint.send_path(a), None, "not before");
        let now = pair.now();
        assert!(pair.a.endpoint.set_path_validated(now, a, path));
        let back = FiveTuple::udp(path.remote, path.local);
        if of_both {
            assert!(pair.b.endpoint.set_path_validated(now, b, back));
        }
        if !of_both {
            pair.run_for(Duration::from_secs(60));
            let unknown = DropReason::UnknownPath;
            let dropped = pair.b.endpoint.stats().dropped.count(unknown);
            assert!(
                dropped > 0,
                "what comes from who was never heard is dropped"
            );
            assert_ne!(pair.b.dtls(b), dtls::State::Connected);
            continue;
        }
        support::drive_until_connected(&mut pair, (a, b));
        assert!(pair.elapsed() < Duration::from_secs(3));
        let now = pair.now();
        pair.a.send(now, a, b"taken");
        pair.b.send(now, b, b"at its word");
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.b.data, [(b, b"taken".to_vec())]);
        assert_eq!(pair.a.data, [(a, b"at its word".to_vec())]);
        assert_eq!(pair.a.endpoint.send_path(a), Some(path));
        // It is told like any path that is its own, so that a kernel's table can follow.
        assert!(pair.b.saw(|event| *event == Event::PathLearned(back)));
    }
}

// req: I54 I56
#[test]
fn an_application_s_word_opens_no_path_that_nobody_was_heard_on() {
    let (mut pair, (_, b)) = support::connected(313, FULL_ACTIVE, LITE_PASSIVE);
    let (now, elsewhere) = (
        pair.now(),
        FiveTuple::udp(sim::address(2), sim::address(66)),
    );
    assert!(pair.b.endpoint.set_path_validated(now, b, elsewhere));
    let mut handshake = [22; 40];
    let outcome = pair
        .b
        .endpoint
        .handle_datagram(now, elsewhere, &mut handshake);
    assert_eq!(outcome, Outcome::Dropped(DropReason::UnknownPath));
    assert!(pair.b.endpoint.remove(now, b));
    assert!(
        !pair.b.endpoint.set_path_validated(now, b, elsewhere),
        "nobody's"
    );
}

// req: I56 I42
#[test]
fn who_asks_for_proof_afterwards_sends_no_media_before() {
    let ends = ([sim::address(1)], [sim::address(2)]);
    let afterwards = Host::with(2, &ends.1, |config| {
        let ice = std::sync::Arc::make_mut(&mut config.transport.ice);
        ice.validate_paths = ice::Validation::Afterwards;
    });
    let a_host = Host::new(1, &ends.0);
    let mut pair = Pair::new(311, (a_host, &ends.0), (afterwards, &ends.1));
    let ids @ (a, b) = support::signalled(&mut pair, FULL_ACTIVE, LITE_PASSIVE);
    support::drive_until_connected(&mut pair, ids);
    pair.run_for(Duration::from_secs(1));
    assert!(pair.b.endpoint.send_path(b).is_some());
    let to = pair.b.transport(b).local_parameters().clone();
    let from = pair.a.transport(a).local_parameters().username_fragment();
    let (from, now, victim) = (from.to_owned(), pair.now(), sim::address(66));
    let there = FiveTuple::udp(sim::address(2), victim);
    let (mut buf, mut into, mut out, mut sent) = ([0; 1500], 0, 0, 0);
    for number in 0..10 {
        let mut request = crafted::nominating_request(&to, &from, 9000 + number);
        into += request.len();
        pair.b
            .handle_datagram(now, sim::address(2), victim, &mut request);
        while let Some((_, remote, len)) = pair.b.poll_transmit(&mut buf) {
            assert!(remote == victim && !is_dtls(&buf[..len]));
            (out, sent) = (out + len, sent + 1);
        }
        assert_eq!(pair.b.transport(b).ice().send_path(), Some(there));
        assert_eq!(pair.b.endpoint.send_path(b), None);
        let sealed = pair.b.with_transport(now, b, |transport| {
            transport.seal(now, b"media", &mut [0; 1500])
        });
        assert_eq!(sealed, Err(floe::SealError::NoConsent));
    }
    assert!(out <= 3 * into && sent <= 20, "{out} for {into}, {sent}");
    // The application knows better.
    pair.b
        .with_transport(now, b, |t| t.set_path_validated(now, there));
    assert_eq!(pair.b.endpoint.send_path(b), Some(there));
}

/// A host whose one socket is bound to all addresses, and says of each datagram at which of them it arrived.
#[derive(Debug)]
struct Everywhere(Host);

impl Everywhere {
    fn wildcard() -> SocketAddr {
        SocketAddr::new([0, 0, 0, 0].into(), sim::address(2).port())
    }
}

impl Node for Everywhere {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &mut [u8],
    ) {
        self.0.handle_datagram(now, local, remote, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        let (local, remote, len) = self.0.poll_transmit(buf)?;
        let is_anywhere = local == Self::wildcard();
        Some((
            if is_anywhere { sim::address(2) } else { local },
            remote,
            len,
        ))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    fn collect_events(&mut self, now: Instant) {
        self.0.collect_events(now);
    }
}

/// However its owner names the address at which a datagram arrived, what came there pays for what goes back: the handshake of a
/// lite server needs no check of its own, and so no peer that answers one.
// req: I56 I66
#[test]
fn what_came_to_a_wildcard_socket_pays_for_what_leaves_it() {
    let ends = ([sim::address(1)], [sim::address(2)]);
    let server = Host::with(2, &[Everywhere::wildcard()], |config| {
        let ice = std::sync::Arc::make_mut(&mut config.transport.ice);
        ice.validate_paths = ice::Validation::Afterwards;
    });
    let mut pair = Pair::new(
        314,
        (Host::new(1, &ends.0), &ends.0),
        (Everywhere(server), &ends.1),
    );
    let now = pair.now();
    let options = |part: Part, initiation, fingerprints| floe::TransportOptions {
        mode: part.mode,
        initiation,
        setup: part.setup,
        remote_identity: dtls::RemoteIdentity::Fingerprints(fingerprints),
        local_parameters: None,
    };
    let (of_a, of_b) = (pair.a.fingerprints(), pair.b.0.fingerprints());
    let a = options(FULL_ACTIVE, ice::Initiation::Initiating, of_b);
    let a = pair.a.endpoint.create(now, a).unwrap();
    let b = options(LITE_PASSIVE, ice::Initiation::Responding, of_a);
    let b = pair.b.0.endpoint.create(now, b).unwrap();
    let for_a = support::parameters(&pair.b.0, b, Mode::Lite);
    let for_b = support::parameters(&pair.a, a, Mode::Full);
    pair.a.with_transport(now, a, |t| {
        t.add_local_candidate(now, ice::Candidate::host(sim::address(1)))
            .unwrap();
        t.set_remote_parameters(now, for_a).unwrap();
        t.add_remote_candidate(now, ice::Candidate::host(sim::address(2)))
            .unwrap();
    });
    pair.b.0.with_transport(now, b, |t| {
        let announced = ice::Candidate::host(Everywhere::wildcard());
        t.add_local_candidate(now, announced.announced_as(sim::address(2)))
            .unwrap();
        t.set_remote_parameters(now, for_b).unwrap();
    });
    // This peer answers no checks of a lite agent.
    pair.network.tap(|datagram, _| {
        let is_servers = datagram.source == sim::address(2);
        match is_servers && is_request(&datagram.bytes) {
            true => Verdict::Drop,
            false => Verdict::Pass,
        }
    });
    pair.run_for(Duration::from_secs(3));
    assert!(pair.a.is_connected(a) && pair.b.0.is_connected(b));
    let stats = pair.b.0.transport(b).ice().stats();
    assert_eq!(stats.requests_sent, 0, "nothing had to be proven");
    pair.b.0.send(pair.now(), b, b"from anywhere");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.a.data, [(a, b"from anywhere".to_vec())]);
}

// req: I53
#[test]
fn zrtp_and_quic_need_no_dtls_but_an_authentic_path() {
    let mut pair = support::world(306);
    let (a, b) = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    pair.drive_until(|host, _| host.ice(a) == ice::State::Connected);
    assert_ne!(pair.b.dtls(b), dtls::State::Connected);
    let (path, now) = (FiveTuple::udp(sim::address(2), sim::address(1)), pair.now());
    let mut deliver = |path, first: u8| {
        let mut datagram = [first; 40];
        match pair.b.endpoint.handle_datagram(now, path, &mut datagram) {
            Outcome::Routed {
                transport,
                received,
            } => {
                assert_eq!(transport, b);
                Ok(received)
            }
            Outcome::Dropped(reason) => Err(reason),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(deliver(path, 16), Ok(Received::Zrtp));
    assert_eq!(deliver(path, 0xC0), Ok(Received::Quic));
    assert_eq!(
        deliver(path, 0x80),
        Ok(Received::Dropped(DropReason::NotConnected)),
        "media does"
    );
    let stranger = FiveTuple::udp(sim::address(2), sim::address(66));
    assert_eq!(deliver(stranger, 16), Err(DropReason::UnknownPath));
    assert_eq!(deliver(stranger, 0xC0), Err(DropReason::UnknownPath));
}

/// The first check that `host` sends now.
fn first_check(host: &mut Host) -> (FiveTuple, Vec<u8>) {
    let mut buf = [0; 1500];
    let (local, remote, len) = host.poll_transmit(&mut buf).expect("a check");
    (FiveTuple::udp(local, remote), buf[..len].to_vec())
}

// req: I58
#[test]
fn an_icmp_error_finds_the_transport_whose_check_it_is_about() {
    let mut pair = support::world(307);
    let (a, _) = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    let now = pair.now();
    let (path, check) = first_check(&mut pair.a);
    let endpoint = &mut pair.a.endpoint;
    let states = |endpoint: &floe::Endpoint, id: TransportId| -> Vec<PairState> {
        let ice = endpoint.transport(id).unwrap().ice();
        ice.candidate_pairs().map(|pair| pair.state).collect()
    };
    assert_eq!(
        endpoint.handle_unreachable(now, path, &[22; 40]),
        Outcome::Dropped(DropReason::UnknownTransaction),
        "of DTLS or media: consent decides"
    );
    assert_eq!(states(endpoint, a), [PairState::InProgress]);
    assert_eq!(
        endpoint.handle_unreachable(now, path, &check[..28]),
        Outcome::Routed {
            transport: a,
            received: Received::Handled
        }
    );
    assert_eq!(states(endpoint, a), [PairState::Failed]);
}

// req: I45 I63
#[test]
fn a_transport_in_a_log_shows_no_address_and_no_password() {
    let (pair, (a, _)) = support::connected(308, FULL_ACTPASS, FULL_ACTIVE);
    let transport = pair.a.transport(a);
    let printed = format!("{transport:?} {transport:#?}");
    let path = transport.ice().send_path().unwrap();
    let ours = transport.ice().local_parameters();
    for secret in [
        path.local.ip().to_string(),
        path.remote.ip().to_string(),
        ours.password().to_owned(),
        ours.username_fragment().to_owned(),
    ] {
        assert!(!printed.contains(&secret), "{secret} in {printed}");
    }
    assert!(printed.contains("Connected"), "{printed}");
}
