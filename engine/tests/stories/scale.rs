//! What an endpoint itself costs with very many transports, and that what it does all the time costs no memory.

use crate::{
    batch::fleet,
    crafted,
    support::{self, FULL_ACTIVE, FULL_ACTPASS, Host},
};
use allocation_counter::measure;
use floe::{
    ApiMisuse, DropReason, Endpoint, Event, Outcome, Received, Segments, Transport,
    dtls::{self, ProtocolVersion},
    ice::{FiveTuple, Initiation, Mode, Parameters, Transmit},
    steering::{PathTable, Sharding, Steering},
    stun::{Message, Method, Writer},
};
use sim::Pair;
use std::{
    collections::HashSet,
    mem::take,
    sync::Arc,
    time::{Duration, Instant},
};

/// The most bytes that a connected transport takes in an endpoint's slots and tables.
const SHARE: i64 = 120;

/// What the endpoint's share is, is what it gives back when a transport is taken out whole.
// req: I51
#[test]
fn a_transport_takes_120_bytes_of_the_tables_and_leaves_none() {
    let now = sim::Clock::epoch();
    for size in [5_000, 7_500, 16_000] {
        let mut endpoint = Host::new(1, &[]).endpoint;
        // The first few bring what stays: a page, and queues.
        let first = fleet(&mut endpoint, now, 1).remove(0);
        endpoint.detach(first.id);

        let (mut sessions, mut heap) = (Vec::new(), 0);
        heap += measure(|| sessions = fleet(&mut endpoint, now, size)).bytes_current;
        let mut out: Vec<Transport> = Vec::with_capacity(sessions.len());
        let mut share = 0;
        for session in &sessions {
            let mut transport = None;
            let counted = measure(|| {
                transport = endpoint.detach(session.id);
                while endpoint.poll_event().is_some() {}
            });
            heap += counted.bytes_current;
            share -= counted.bytes_current + size_of::<Transport>() as i64;
            out.extend(transport);
        }
        heap += measure(|| out.clear()).bytes_current;
        heap += measure(|| sessions.clear()).bytes_current;
        heap += measure(|| sessions.shrink_to_fit()).bytes_current;
        // The transports that have been moved out of their boxes are in `out`, which is not counted.
        println!(
            "{size}: {} bytes each, {heap} left",
            share / i64::from(size)
        );
        assert!(share <= SHARE * i64::from(size), "{size}: {share}");
        assert!(
            share >= 64 * i64::from(size),
            "{size}: a slot at least: {share}"
        );
        assert!(heap.abs() < 20_000, "{size}: {heap} bytes left");
    }
}

// req: I51
#[test]
fn sessions_removed_all_at_once_leave_nothing() {
    let (mut endpoint, mut now) = (Host::new(1, &[]).endpoint, sim::Clock::epoch());
    let mut buf = [0; 1500];
    let mut come_and_go = |size| {
        let sessions = fleet(&mut endpoint, now, size);
        for session in &sessions {
            assert!(endpoint.remove(now, session.id));
        }
        drop(sessions);
        // Nobody asks for the closed sessions any more.
        now += Duration::from_secs(31);
        endpoint.handle_timeout(now);
        while endpoint.poll_transmit(&mut buf).is_some() {}
        while endpoint.poll_event().is_some() {}
    };
    come_and_go(1);
    let left = measure(|| come_and_go(5_000)).bytes_current;
    assert!(left < 20_000, "{left} bytes left of 5 000 sessions");
}

/// Slots are used again, whole pages of them given back and taken anew: no old name ever means a new transport.
#[test]
fn names_of_transports_outlive_the_memory_they_were_in() {
    let (mut endpoint, now) = (Host::new(1, &[]).endpoint, sim::Clock::epoch());
    let mut former = HashSet::new();
    for size in [600, 1, 700, 300] {
        let sessions = fleet(&mut endpoint, now, size);
        assert_eq!(endpoint.transports().count(), sessions.len());
        for session in &sessions {
            assert!(former.insert(session.id), "{} comes back", session.id);
            let transport = endpoint.transport(session.id).unwrap();
            assert_eq!(*transport.local_parameters(), session.credentials);
        }
        // From both ends, so that pages empty in another order than they were filled.
        let (ends, middle) = sessions.split_at(sessions.len() / 2);
        for session in ends.iter().chain(middle.iter().rev()) {
            assert!(endpoint.detach(session.id).is_some());
            assert!(endpoint.detach(session.id).is_none());
        }
        assert!(former.iter().all(|id| endpoint.transport(*id).is_none()));
    }
    assert_eq!(endpoint.transports().count(), 0);
}

/// What comes by for nobody, and what an idle endpoint is asked.
// req: I50 I53
#[test]
fn misses_and_idle_polls_of_a_full_endpoint_allocate_nothing() {
    let full = |config: &mut floe::EndpointConfig| config.max_transports = 100;
    let mut endpoint = Host::with(2, &[], full).endpoint;
    let now = sim::Clock::epoch();
    let sessions = fleet(&mut endpoint, now, 100);
    let mut elsewhere = Host::new(2, &[]).endpoint;
    let id = fleet(&mut elsewhere, now, 1)[0].id;
    let one_more = elsewhere.detach(id);
    let refused = endpoint.attach(now, one_more.unwrap()).unwrap_err();
    assert_eq!(refused.misuse, ApiMisuse::TooManyTransports);
    let stranger = Parameters::new("stranger", "0123456789012345678901").unwrap();
    let mut asks: Vec<_> = (0..200)
        .map(|n| crafted::request(&stranger, "peer", n))
        .collect();
    let (mut unknown, mut buf) = (sessions[0].path, [0; 1500]);
    unknown.remote.set_port(9);
    let mut answer = crafted::response(&stranger);
    let mut round = |asks: &mut [Vec<u8>]| {
        for ask in asks {
            let _ = endpoint.handle_datagram(now, unknown, ask);
            for datagram in [
                &mut [0x80, 0, 0, 0][..],
                &mut [22; 40],
                &mut [7; 9],
                &mut answer,
            ] {
                let outcome = endpoint.handle_datagram(now, unknown, datagram);
                assert!(matches!(outcome, Outcome::Dropped(_)), "{outcome:?}");
            }
            endpoint.handle_timeout(now);
            assert_eq!(endpoint.poll_transmit(&mut buf), None);
            assert_eq!(endpoint.poll_event(), None);
            let _ = endpoint.poll_timeout();
        }
    };
    round(&mut asks[..100]);
    assert_eq!(measure(|| round(&mut asks[100..])).count_total, 0);
    let dropped = endpoint.stats().dropped;
    assert_eq!(dropped.count(DropReason::UnknownTransaction), 200);
    assert_eq!(dropped.count(DropReason::UnknownPath), 400);
}

fn connected_with(
    version: ProtocolVersion,
    seed: u64,
) -> (Pair<Host, Host>, [floe::TransportId; 2]) {
    let (a, b) = ([sim::address(1)], [sim::address(2)]);
    let host = |number: u8, addresses| {
        Host::with(number, addresses, |config| {
            let mut dtls = dtls::Config::new(support::identity(number));
            (dtls.min_version, dtls.max_version) = (version, version);
            config.transport.dtls = Arc::new(dtls);
        })
    };
    let mut pair = Pair::new(seed, (host(1, &a), &a), (host(2, &b), &b));
    let ids = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    support::drive_until_connected(&mut pair, ids);
    pair.run_for(Duration::from_secs(120));
    (pair, ids.into())
}

/// Two hosts in steady use, and the buffers of the loop around them.
struct Use {
    pair: Pair<Host, Host>,
    ids: [floe::TransportId; 2],
    now: Instant,
    wire: [u8; 1500],
    buf: Vec<u8>,
    transmits: Vec<Segments>,
    opened: usize,
    carried: usize,
}

impl Use {
    fn new(version: ProtocolVersion, seed: u64) -> Self {
        let (pair, ids) = connected_with(version, seed);
        Self {
            now: pair.now(),
            pair,
            ids,
            wire: [0; 1500],
            buf: vec![0; 65_536],
            transmits: Vec::with_capacity(16),
            opened: 0,
            carried: 0,
        }
    }

    /// Who sends, and who receives.
    fn ends(&mut self, sender: usize) -> (&mut Endpoint, &mut Endpoint) {
        let (a, b) = (&mut self.pair.a.endpoint, &mut self.pair.b.endpoint);
        if sender == 0 { (a, b) } else { (b, a) }
    }

    /// A record, in a batch.
    fn talk(&mut self, sender: usize) {
        let (now, mut wire, id) = (self.now, self.wire, self.ids[sender]);
        let (from, to) = self.ends(sender);
        let sealed = from.with(now, id, |t| t.seal(now, b"some data", &mut wire));
        let Some(Ok(Transmit { path, len })) = sealed else {
            panic!("{sealed:?}");
        };
        let batch = [(turned(path), &mut wire[..len])];
        let mut opened = 0;
        to.handle_datagrams(now, batch, |_, outcome, payload| {
            let is_data = matches!(
                outcome,
                Outcome::Routed {
                    received: Received::Data { .. },
                    ..
                }
            );
            opened += usize::from(is_data && payload == b"some data");
        });
        self.opened += opened;
    }

    /// What ICE has to send, in batches.
    fn carry(&mut self, sender: usize) {
        let now = self.now;
        let (mut buf, mut transmits) = (take(&mut self.buf), take(&mut self.transmits));
        let (from, to) = self.ends(sender);
        let mut carried = 0;
        while from.poll_transmits(&mut buf, &mut transmits) > 0 {
            for segments in &transmits {
                for range in segments.datagrams() {
                    let _ = to.handle_datagram(now, turned(segments.path), &mut buf[range]);
                    carried += 1;
                }
            }
        }
        while from.poll_event().is_some() {}
        (self.buf, self.transmits) = (buf, transmits);
        self.carried += carried;
    }

    fn go_on(&mut self, turns: usize) {
        for _ in 0..turns {
            self.now += Duration::from_millis(100);
            for sender in [0, 1] {
                let now = self.now;
                self.ends(sender).0.handle_timeout(now);
                self.talk(sender);
                self.carry(sender);
            }
        }
    }
}

fn turned(path: FiveTuple) -> FiveTuple {
    FiveTuple::udp(path.remote, path.local)
}

/// Both versions, both ways, in batches, while consent goes on.
// req: T34 T51 I50
#[test]
fn a_session_in_use_allocates_nothing() {
    for (version, seed) in [
        (ProtocolVersion::DTLS1_2, 131),
        (ProtocolVersion::DTLS1_3, 132),
    ] {
        let mut session = Use::new(version, seed);
        session.go_on(600);
        let info = measure(|| session.go_on(600));
        assert_eq!(info.count_total, 0, "{version:?}");
        assert_eq!(session.opened, 2 * 1200);
        assert!(session.carried >= 60, "{}", session.carried);
    }
}

/// Whoever reads a shared socket: whom a datagram names, and whose a 5-tuple is.
// req: I60
#[test]
fn steering_allocates_nothing() {
    let steering = Arc::new(Steering::new([5; 32], 4));
    let shard = steering.shards().nth(2).unwrap();
    let sharded = |config: &mut floe::EndpointConfig| {
        let steering = steering.clone();
        config.sharding = Some(Sharding { steering, shard });
    };
    let (a, b) = ([sim::address(1)], [sim::address(2)]);
    let hosts = (Host::with(3, &a, sharded), Host::new(4, &b));
    let mut pair = Pair::new(133, (hosts.0, &a), (hosts.1, &b));
    let (id, _) = support::signalled(&mut pair, FULL_ACTPASS, FULL_ACTIVE);
    let (mut buf, mut answer) = ([0; 1500], [0; 100]);
    let check = pair.a.endpoint.poll_transmit(&mut buf).expect("a check");
    let theirs = Message::parse(&buf[..check.len]).expect("STUN");
    let answer_len = Writer::success(&mut answer, Method::BINDING, theirs.transaction_id())
        .xor_mapped_address(check.path.local)
        .fingerprint()
        .expect("it fits");
    let request = crafted::request(&support::parameters_of(&pair.a.endpoint, id), "peer", 1);
    let mut paths = PathTable::new([6; 16]);
    let learned = Event::PathLearned(check.path);
    assert!(paths.apply(shard, id, &learned).is_some());
    let info = measure(|| {
        for _ in 0..1000 {
            assert_eq!(steering.route(&request), Some(shard));
            assert_eq!(steering.route(&answer[..answer_len]), Some(shard));
            assert_eq!(paths.shard_of(&check.path), Some(shard));
            assert_eq!(paths.apply(shard, id, &learned), None, "it knows");
        }
    });
    assert_eq!((info.count_total, steering.misses()), (0, 0));
}

/// Those that are there stay where they are: of 20 000 a thousandth is allocated at a time, a page and the list of pages.
#[test]
fn one_transport_more_never_takes_more_than_two_pages() {
    let (mut endpoint, now) = (Host::new(1, &[]).endpoint, sim::Clock::epoch());
    let taken = (0..20_000).map(|_| {
        let one_more = || {
            support::create(&mut endpoint, now, Mode::Lite, Initiation::Responding);
        };
        measure(one_more).bytes_total
    });
    let most = taken.max();
    assert!(most < Some(64 * 1024), "{most:?}");
}

/// Pages empty and fill again in any order, and whoever lives in one stays.
#[test]
fn no_page_is_given_back_that_somebody_lives_in() {
    let (mut endpoint, now) = (Host::new(1, &[]).endpoint, sim::Clock::epoch());
    let mut lower = fleet(&mut endpoint, now, 400);
    let upper = lower.split_off(256);
    for session in &upper {
        assert!(endpoint.detach(session.id).is_some());
    }
    let upper = fleet(&mut endpoint, now, 144);
    for session in &lower {
        assert!(endpoint.detach(session.id).is_some());
    }
    assert!(
        upper
            .iter()
            .all(|session| endpoint.transport(session.id).is_some())
    );
}
