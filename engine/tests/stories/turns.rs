//! The time that a handshake may take, where handshakes wait for their turn: it is not that which the server lets them wait.

use crate::support::{self, FULL_ACTIVE, Host, Part};
use floe::{
    DropReason, EndpointConfig, Outcome, Received, Transport, TransportId,
    dtls::{self, Setup},
    ice::{self, Candidate},
};
use sim::{Datagram, Pair, Verdict};
use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

/// What a handshake may take.
const MINUTE: Duration = Duration::from_secs(60);

const FULL_PASSIVE: Part = Part {
    setup: Setup::Passive,
    ..FULL_ACTIVE
};

/// Whose DTLS does not arrive.
#[derive(Clone, Default)]
struct Muted(Rc<RefCell<Vec<SocketAddr>>>);

impl Muted {
    /// Nobody's, so far.
    fn of(pair: &mut Pair<Host, Host>) -> Self {
        let muted = Self::default();
        let silent = muted.clone();
        pair.network.tap(move |Datagram { source, bytes, .. }, _| {
            let is_dtls = (20..64).contains(&bytes[0]);
            match is_dtls && silent.0.borrow().contains(source) {
                true => Verdict::Drop,
                false => Verdict::Pass,
            }
        });
        muted
    }

    fn set(&self, sources: &[SocketAddr]) {
        *self.0.borrow_mut() = sources.to_vec();
    }
}

/// Two hosts, of which `b` is a server that lets so many handshakes wait, and `a` has two clients that never lose patience.
fn hosts(seed: u64, most: usize) -> (Pair<Host, Host>, Muted) {
    let (a, b) = ([sim::address(1), sim::address(3)], [sim::address(2)]);
    let retransmission = |config: &mut EndpointConfig, deadline| {
        let retransmission = &mut Arc::make_mut(&mut config.transport.dtls).retransmission;
        (retransmission.deadline, retransmission.tries) = (deadline, u32::MAX);
    };
    let clients = Host::with(1, &a, |config| retransmission(config, 60 * MINUTE));
    let server = Host::with(2, &b, |config| {
        config.waiting_handshakes = Some(most);
        retransmission(config, MINUTE);
    });
    let mut pair = Pair::new(seed, (clients, &a), (server, &b));
    let muted = Muted::of(&mut pair);
    (pair, muted)
}

/// A session of `b` with the client at this address of `a`.
fn session(pair: &mut Pair<Host, Host>, client: SocketAddr) -> TransportId {
    let now = pair.now();
    let ids = support::created(pair, FULL_ACTIVE, FULL_PASSIVE);
    support::exchange_parameters(pair, ids, FULL_ACTIVE.mode, FULL_PASSIVE.mode);
    let server = pair.b.addresses[0];
    for (host, id, own, theirs) in [
        (&mut pair.a, ids.0, client, server),
        (&mut pair.b, ids.1, server, client),
    ] {
        host.with_transport(now, id, |transport| {
            let local = transport.add_local_candidate(now, Candidate::host(own));
            local.expect("a host candidate");
            let remote = transport.add_remote_candidate(now, Candidate::host(theirs));
            remote.expect("a host candidate");
            transport.local_candidates_complete(now);
            transport.remote_candidates_complete(now);
        });
    }
    ids.1
}

/// A session whose client has said that it wants a handshake, and says nothing more.
fn waiting_for_its_turn(seed: u64) -> (Pair<Host, Host>, TransportId) {
    let (mut pair, muted) = hosts(seed, 10);
    let client = pair.a.addresses[0];
    let id = session(&mut pair, client);
    pair.drive_until(|_, b| b.endpoint.waiting_handshakes() == 1);
    muted.set(&[client]);
    (pair, id)
}

/// Does a piece of the handshake of `id`, whose turn it is.
fn take_turn(pair: &mut Pair<Host, Host>, id: TransportId) {
    let (now, mut buf) = (pair.now(), [0; 1500]);
    let done = pair.b.endpoint.handle_handshake(now, &mut buf);
    let outcome = done.map(|(_, outcome)| outcome);
    let taken = Outcome::Routed {
        transport: id,
        received: Received::Handled,
    };
    assert_eq!(outcome, Some(taken));
}

/// How many datagrams found no place to wait, or lost it.
fn lost(host: &Host) -> u64 {
    let dropped = host.endpoint.stats().dropped;
    dropped.count(DropReason::TooManyHandshakes)
}

/// The handshake fails after so long, and not before.
fn fails_after(time: Duration, pair: &mut Pair<Host, Host>, id: TransportId) {
    let moment = Duration::from_millis(2);
    pair.run_for(time - moment);
    assert_eq!(pair.b.dtls(id), dtls::State::Connecting);
    pair.run_for(2 * moment);
    assert_eq!(pair.b.dtls(id), dtls::State::Failed);
    let error = pair.b.transport(id).dtls().error();
    assert_eq!(error, Some(&dtls::Error::HandshakeTimedOut));
}

// req: T20 T71
#[test]
fn the_time_for_a_handshake_begins_with_its_first_turn() {
    let (mut pair, id) = waiting_for_its_turn(225);
    pair.run_for(10 * MINUTE);
    assert_eq!(pair.b.dtls(id), dtls::State::Connecting);
    take_turn(&mut pair, id);
    fails_after(MINUTE, &mut pair, id);
}

/// What comes later waits too, but whoever it is has had a turn.
// req: T20 T71
#[test]
fn who_always_has_something_more_to_say_has_no_more_time_than_others() {
    let (mut pair, muted) = hosts(226, 10);
    let client = pair.a.addresses[0];
    let id = session(&mut pair, client);
    pair.drive_until(|_, b| b.endpoint.waiting_handshakes() == 1);
    pair.run_for(MINUTE / 2);
    // Nothing of the server's arrives: its client goes on to ask.
    muted.set(&[pair.b.addresses[0]]);
    take_turn(&mut pair, id);
    pair.run_for(MINUTE / 2);
    assert_eq!(pair.b.endpoint.waiting_handshakes(), 1);
    fails_after(MINUTE / 2, &mut pair, id);
}

// req: T20 T71
#[test]
fn who_says_nothing_has_a_minute_from_when_there_was_a_path() {
    let (mut pair, muted) = hosts(227, 10);
    let client = pair.a.addresses[0];
    muted.set(&[client]);
    let id = session(&mut pair, client);
    pair.drive_until(|_, b| b.dtls(id) == dtls::State::Connecting);
    fails_after(MINUTE, &mut pair, id);
}

/// Whoever is refused can only come again.
// req: T20 T71
#[test]
fn who_gets_no_place_has_a_minute_to_come_again() {
    let (mut pair, muted) = hosts(228, 0);
    let client = pair.a.addresses[0];
    let id = session(&mut pair, client);
    pair.drive_until(|_, b| b.dtls(id) == dtls::State::Connecting);
    pair.run_for(2 * MINUTE);
    let before = lost(&pair.b);
    pair.drive_until(|_, b| lost(b) > before);
    muted.set(&[client]);
    fails_after(MINUTE, &mut pair, id);
}

/// An older handshake that goes on takes the place of one that waits for its first turn.
// req: T20 T71
#[test]
fn who_loses_its_place_has_a_minute_to_come_again() {
    let (mut pair, muted) = hosts(229, 1);
    let [first, second] = [0, 1].map(|place| pair.a.addresses[place]);
    let older = session(&mut pair, first);
    pair.drive_until(|_, b| b.endpoint.waiting_handshakes() == 1);
    muted.set(&[first]);
    take_turn(&mut pair, older);
    let id = session(&mut pair, second);
    pair.drive_until(|_, b| b.endpoint.waiting_handshakes() == 1);
    pair.run_for(MINUTE / 2);
    muted.set(&[second]);
    assert_eq!(lost(&pair.b), 0);
    pair.drive_until(|_, b| lost(b) == 1);
    fails_after(MINUTE, &mut pair, id);
}

/// Its agent fails, so that nothing more is taken from the peer.
// req: T20 T71
#[test]
fn who_loses_its_path_waits_no_longer() {
    let (mut pair, id) = waiting_for_its_turn(230);
    pair.run_for(2 * MINUTE);
    pair.network.cut();
    pair.drive_until(|_, b| b.ice(id) == ice::State::Failed);
    assert_eq!(pair.b.endpoint.waiting_handshakes(), 0);
    fails_after(MINUTE, &mut pair, id);
}

/// When a handshake has failed of a machine that nobody talks to.
fn failure_of(transport: &mut Transport, from: Instant) -> Instant {
    let (mut now, mut buf) = (from, [0; 1500]);
    loop {
        transport.handle_timeout(now);
        while transport.poll_transmit(&mut buf).is_some() {}
        if transport.dtls().state() == dtls::State::Failed {
            return now;
        }
        now = transport.poll_timeout().expect("a deadline runs");
    }
}

/// The same of one in an endpoint.
fn failure_in(host: &mut Host, id: TransportId, from: Instant) -> Instant {
    let (mut now, mut buf) = (from, [0; 1500]);
    while host.dtls(id) != dtls::State::Failed {
        now = host.endpoint.poll_timeout().expect("a deadline runs");
        host.endpoint.handle_timeout(now);
        while host.endpoint.poll_transmit(&mut buf).is_some() {}
    }
    now
}

/// It is alone then, or in an endpoint where handshakes wait, or in one where they do not.
// req: T20 T71
#[test]
fn who_leaves_the_endpoint_waits_no_longer() {
    for place in [None, Some(None), Some(Some(10))] {
        let (mut pair, id) = waiting_for_its_turn(231);
        pair.run_for(2 * MINUTE);
        let now = pair.now();
        let mut transport = pair.b.endpoint.detach(id).expect("it is there");
        let failed_at = match place {
            None => failure_of(&mut transport, now),
            Some(most) => {
                let mut host = Host::with(232, &[], |config| config.waiting_handshakes = most);
                let id = host.endpoint.attach(now, transport).expect("room for it");
                failure_in(&mut host, id, now)
            }
        };
        let took = failed_at - now;
        let moment = Duration::from_millis(1);
        assert!((MINUTE..=MINUTE + moment).contains(&took), "{took:?}");
    }
}

/// A hello may come before there is a path to answer it by, and waits as well when there is one.
// req: T20 T71
#[test]
fn who_spoke_before_there_was_a_path_waits_as_others_do() {
    let (mut pair, muted) = hosts(233, 10);
    let [client, server] = [pair.a.addresses[0], pair.b.addresses[0]];
    let blind = Rc::new(Cell::new(true));
    let is_blind = blind.clone();
    pair.network.tap(move |Datagram { source, bytes, .. }, _| {
        // The server's own checks are lost, not its answers (RFC 8489 §5).
        let is_request = bytes[..2] == [0, 1];
        match is_blind.get() && is_request && *source == server {
            true => Verdict::Drop,
            false => Verdict::Pass,
        }
    });
    let id = session(&mut pair, client);
    pair.drive_until(|_, b| b.endpoint.waiting_handshakes() == 1);
    assert_eq!(pair.b.dtls(id), dtls::State::New);
    muted.set(&[client]);
    blind.set(false);
    pair.run_for(2 * MINUTE);
    assert_eq!(pair.b.dtls(id), dtls::State::Connecting);
    take_turn(&mut pair, id);
    fails_after(MINUTE, &mut pair, id);
}
