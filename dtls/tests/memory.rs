//! What established connections take in memory, counted over many that live at once.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use common::*;
use floe_dtls::*;

/// What one side may take, in bytes, from the moment it is connected and has said all: the connection itself and everything
/// that it keeps on the heap.
const MOST: i64 = 2048;

/// And what one may keep on the heap before its handshake begins, whoever it is told that the peer will be.
const MOST_WAITING: i64 = 72;

const PAIRS: usize = 10_000;

/// Longer than anything that a peer may still ask for is kept.
const A_WHILE: Duration = Duration::from_secs(481);

/// A connection, and the bytes that it holds on the heap.
struct Side {
    dtls: Connection,
    heap: i64,
    /// The most that it took between two calls since it was last asked.
    most: i64,
}

impl Side {
    fn new(config: &Arc<Config>, setup: Setup, remote: &RemoteIdentity) -> Self {
        let mut made = None;
        let counted = measure(|| {
            let dtls = Connection::new(config.clone(), setup, remote.clone());
            made = dtls.ok();
        });
        let mut side = Self {
            dtls: made.unwrap(),
            heap: counted.bytes_current,
            most: 0,
        };
        side.counted(|dtls| {
            dtls.set_path_validated();
            dtls.start(sim::Clock::epoch());
        });
        side
    }

    fn counted<R>(&mut self, work: impl FnOnce(&mut Connection) -> R) -> R {
        let mut result = None;
        let counted = measure(|| result = Some(work(&mut self.dtls)));
        self.heap += counted.bytes_current;
        self.most = self.most.max(self.bytes());
        result.unwrap()
    }

    /// The most that it took between any two calls since this was asked before.
    fn most(&mut self) -> i64 {
        let bytes = self.bytes();
        std::mem::replace(&mut self.most, bytes)
    }

    fn bytes(&self) -> i64 {
        size_of::<Connection>() as i64 + self.heap
    }
}

/// What all connections of a side are made of.
struct Kind {
    configs: [Arc<Config>; 2],
    remotes: [RemoteIdentity; 2],
}

impl Kind {
    /// The defaults, but for the version and the suite.
    fn new(backend: CryptoBackend, version: ProtocolVersion, suite: CipherSuite) -> Self {
        let config = |host| {
            let mut config = Config::new(identity(host));
            (config.min_version, config.max_version) = (version, version);
            config.backend = backend;
            config.cipher_suites = vec![suite];
            Arc::new(config)
        };
        Self {
            configs: [CLIENT, SERVER].map(config),
            remotes: [expecting(SERVER), expecting(CLIENT)],
        }
    }

    /// A pair that is connected, has nothing more to say about its handshake, and has exchanged a few records.
    fn pair(&self, buf: &mut [u8]) -> [Side; 2] {
        let mut sides = [0, 1].map(|side| {
            let setup = [Setup::Active, Setup::Passive][side];
            Side::new(&self.configs[side], setup, &self.remotes[side])
        });
        exchange(&mut sides, sim::Clock::epoch(), buf);
        for _ in 0..3 {
            talk(&mut sides, sim::Clock::epoch(), buf);
        }
        for side in &mut sides {
            side.counted(|dtls| while dtls.poll_event().is_some() {});
            assert_eq!(side.dtls.state(), State::Connected);
            assert!(side.dtls.is_handshake_confirmed());
            side.most();
        }
        sides
    }
}

/// Carries datagrams until there are none.
fn exchange(sides: &mut [Side; 2], now: std::time::Instant, buf: &mut [u8]) {
    let mut silent = 0;
    while silent < 2 {
        for from in [0, 1] {
            silent += 1;
            while let Some(len) = sides[from].counted(|dtls| dtls.poll_transmit(buf)) {
                silent = 0;
                let datagram = &mut buf[..len];
                let _ = sides[1 - from].counted(|dtls| dtls.handle_datagram(now, datagram));
            }
        }
    }
}

/// A record each way.
fn talk(sides: &mut [Side; 2], now: std::time::Instant, buf: &mut [u8]) {
    for from in [0, 1] {
        let len = sides[from]
            .counted(|dtls| dtls.seal(now, b"some data", buf))
            .unwrap();
        let datagram = &mut buf[..len];
        let received = sides[1 - from].counted(|dtls| dtls.handle_datagram(now, datagram));
        assert!(matches!(received, Received::Data { .. }));
    }
}

/// The most that a client and a server take.
fn most<'a>(pairs: impl Iterator<Item = &'a [Side; 2]>) -> [i64; 2] {
    pairs.fold([0; 2], |most, pair| {
        [0, 1].map(|side| most[side].max(pair[side].bytes()))
    })
}

/// Who changes keys before anything is delivered, whether the peer is asked for as much, and which ACKs are lost.
#[derive(Clone, Copy, Debug)]
struct Change {
    by: &'static [usize],
    request: KeyUpdateRequest,
    ack: Ack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ack {
    Heard,
    /// For so long: every one.
    Lost(Duration),
}

impl Change {
    fn all(ack: Ack) -> impl Iterator<Item = Self> {
        use KeyUpdateRequest::{NotRequested, Requested};
        let sides: [&[usize]; 3] = [&[0], &[1], &[0, 1]];
        sides
            .into_iter()
            .flat_map(move |by| [NotRequested, Requested].map(|request| Self { by, request, ack }))
    }

    /// How often it is made, one right after the other.
    fn times(self) -> usize {
        match self.ack {
            Ack::Heard => 3,
            Ack::Lost(_) => 12,
        }
    }

    /// With data each way at every moment: the most that each side took between any two calls.
    fn make(self, pair: &mut [Side; 2], now: &mut std::time::Instant, buf: &mut [u8]) -> [i64; 2] {
        for _ in 0..self.times() {
            // What was written before comes late.
            let mut late = [0, 1].map(|from| [(); 3].map(|()| pair[from].data(*now)));
            for side in self.by {
                pair[*side]
                    .counted(|dtls| dtls.update_keys(*now, self.request))
                    .unwrap();
            }
            talk(pair, *now, buf);
            if let Ack::Lost(time) = self.ack {
                pass(pair, now, time, |pair, now| {
                    exchange_all_but_acks(pair, now, buf)
                });
            }
            for from in [0, 1] {
                deliver(pair, from, *now, &mut late[from][0]);
            }
            // A time-out has become a minute at most.
            pass(pair, now, Duration::from_secs(61), |pair, now| {
                exchange(pair, now, buf)
            });
            for from in [0, 1] {
                deliver(pair, from, *now, &mut late[from][1]);
            }
            talk(pair, *now, buf);
            for from in [0, 1] {
                deliver(pair, from, *now, &mut late[from][2]);
            }
            talk(pair, *now, buf);
        }
        pair.each_mut().map(Side::most)
    }
}

impl Side {
    /// A record of data.
    fn data(&mut self, now: std::time::Instant) -> Vec<u8> {
        let mut out = vec![0; 100];
        let sealed = self.counted(|dtls| dtls.seal(now, b"some data", &mut out));
        out.truncate(sealed.unwrap());
        out
    }
}

/// What a side wrote comes to the other, and is data.
fn deliver(pair: &mut [Side; 2], from: usize, now: std::time::Instant, datagram: &mut [u8]) {
    let received = pair[1 - from].counted(|dtls| dtls.handle_datagram(now, datagram));
    assert!(matches!(received, Received::Data { .. }), "{received:?}");
}

/// The shortest datagram with an ACK: its header, its type and its tag, and one number behind the length of the list. One
/// with a KeyUpdate is shorter.
const SHORTEST_ACK: usize = 5 + 1 + 16 + 2 + 16;

/// Carries KeyUpdates until there are none; what else there is to send gets lost.
fn exchange_all_but_acks(pair: &mut [Side; 2], now: std::time::Instant, buf: &mut [u8]) {
    for from in [0, 1, 0] {
        while let Some(len) = pair[from].counted(|dtls| dtls.poll_transmit(buf)) {
            if len < SHORTEST_ACK {
                let datagram = &mut buf[..len];
                let handled = pair[1 - from].counted(|dtls| dtls.handle_datagram(now, datagram));
                let again = Received::Dropped(DropReason::StaleMessage);
                assert!(handled == Received::Handled || handled == again);
            }
        }
    }
}

/// Lets this time pass, from one timer to the next.
fn pass(
    pair: &mut [Side; 2],
    now: &mut std::time::Instant,
    time: Duration,
    mut deliver: impl FnMut(&mut [Side; 2], std::time::Instant),
) {
    let end = *now + time;
    loop {
        deliver(pair, *now);
        let due = pair.iter().filter_map(|side| side.dtls.poll_timeout());
        let Some(next) = due.min().filter(|next| *next < end) else {
            break;
        };
        *now = next;
        for side in &mut *pair {
            side.counted(|dtls| dtls.handle_timeout(next));
        }
    }
    *now = end;
}

/// What the largest of many pairs that live at once take, client and server.
struct Counted {
    /// Right after their handshakes.
    fresh: [i64; 2],
    /// At any moment of a change of keys; in DTLS 1.2 there are none.
    changing: [i64; 2],
    /// When nothing is kept any more that the peer may ask for.
    later: [i64; 2],
}

fn count(kind: &Kind, pairs: usize) -> Counted {
    let mut buf = vec![0; 1200];
    // The first one also pays for what the process keeps.
    kind.pair(&mut buf);
    let mut pairs: Vec<_> = (0..pairs).map(|_| kind.pair(&mut buf)).collect();
    let fresh = most(pairs.iter());
    let mut changing = [0; 2];
    let mut now = sim::Clock::epoch();
    if pairs[0][0].dtls.version() == Some(ProtocolVersion::DTLS1_3) {
        let changes: Vec<_> = Change::all(Ack::Heard).collect();
        for (index, pair) in pairs.iter_mut().enumerate() {
            now = sim::Clock::epoch();
            let took = changes[index % changes.len()].make(pair, &mut now, &mut buf);
            changing = [0, 1].map(|side| changing[side].max(took[side]));
        }
    }
    for pair in &mut pairs {
        talk(pair, now + A_WHILE, &mut buf);
    }
    Counted {
        fresh,
        changing,
        later: most(pairs.iter()),
    }
}

fn assert_small(what: &str, kind: &Kind, pairs: usize) {
    let Counted {
        fresh,
        changing,
        later,
    } = count(kind, pairs);
    println!("{what}: {fresh:?} bytes, changing keys {changing:?}, after a while {later:?}");
    let all = [fresh, changing, later].concat();
    assert!(all.iter().all(|bytes| *bytes <= MOST), "{what}: {all:?}");
}

/// However long the description of the peer or a path takes to come, and whatever the path is known to be like.
#[test]
fn what_a_handshake_needs_is_made_when_it_begins() {
    let now = sim::Clock::epoch();
    let config = Arc::new(Config::new(identity(SERVER)));
    for (setup, has_path) in [
        (Setup::ActPass, true),
        (Setup::ActPass, false),
        (Setup::Active, false),
        (Setup::Passive, false),
    ] {
        let mut waiting = None;
        let counted = measure(|| {
            let made = Connection::new(config.clone(), setup, RemoteIdentity::Later);
            let mut dtls = made.unwrap();
            dtls.set_path_validated();
            dtls.set_rtt_hint(Duration::from_millis(20));
            dtls.set_retransmission_cap(Duration::from_millis(800));
            dtls.set_mtu(1000).unwrap();
            if has_path {
                dtls.start(now);
            }
            dtls.handle_timeout(now + A_WHILE);
            assert!(dtls.poll_event().is_none() && dtls.poll_transmit(&mut [0; 1000]).is_none());
            waiting = Some(dtls);
        });
        let dtls = waiting.unwrap();
        assert_eq!((dtls.state(), dtls.is_idle()), (State::New, true));
        assert!(counted.bytes_current <= MOST_WAITING, "{counted:?}");
    }
}

// req: T52
#[test]
fn ten_thousand_pairs_of_dtls_1_2_take_two_kib_a_side() {
    let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let kind = Kind::new(CryptoBackend::Ring, ProtocolVersion::DTLS1_2, suite);
    assert_small("DTLS 1.2", &kind, PAIRS);
}

// req: T52
#[test]
fn ten_thousand_pairs_of_dtls_1_3_take_two_kib_a_side() {
    let suite = CipherSuite::TLS13_AES_128_GCM_SHA256;
    let kind = Kind::new(CryptoBackend::Ring, ProtocolVersion::DTLS1_3, suite);
    assert_small("DTLS 1.3", &kind, PAIRS);
}

// req: T52
#[test]
fn no_suite_and_no_backend_takes_more() {
    use ProtocolVersion as Version;
    for (version, suite) in [
        (
            Version::DTLS1_2,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ),
        (
            Version::DTLS1_2,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        ),
        (
            Version::DTLS1_2,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
        (Version::DTLS1_3, CipherSuite::TLS13_AES_128_GCM_SHA256),
        (Version::DTLS1_3, CipherSuite::TLS13_AES_256_GCM_SHA384),
        (
            Version::DTLS1_3,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        ),
    ] {
        // Of aws-lc-rs only what it keeps in Rust's heap can be counted: its ciphers are in that of C.
        for backend in [CryptoBackend::Ring, CryptoBackend::AwsLcRs] {
            let what = format!("{version}, {suite}, {backend:?}");
            assert_small(&what, &Kind::new(backend, version, suite), 6);
        }
    }
}

// req: T52
#[test]
fn changes_of_keys_take_no_more_whose_acknowledgements_are_all_lost() {
    for suite in [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        let kind = Kind::new(CryptoBackend::Ring, ProtocolVersion::DTLS1_3, suite);
        let mut buf = vec![0; 1200];
        kind.pair(&mut buf);
        // The last of them is most of what a change is given.
        for lost in [300, 10_000, 300_000].map(Duration::from_millis) {
            for change in Change::all(Ack::Lost(lost)) {
                let mut now = sim::Clock::epoch();
                let took = change.make(&mut kind.pair(&mut buf), &mut now, &mut buf);
                println!("{suite}, {change:?}: {took:?}");
                assert!(took.iter().all(|bytes| *bytes <= MOST), "{took:?}");
            }
        }
    }
}
