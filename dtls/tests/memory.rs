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

const PAIRS: usize = 10_000;

/// Longer than anything that a peer may still ask for is kept.
const A_WHILE: Duration = Duration::from_secs(481);

/// A connection, and the bytes that it holds on the heap.
struct Side {
    dtls: Connection,
    heap: i64,
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
        result.unwrap()
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

/// So many pairs live at once: what the largest of them take right after their handshakes, and after a while.
fn count(kind: &Kind, pairs: usize) -> [[i64; 2]; 2] {
    let mut buf = vec![0; 1200];
    // The first one also pays for what the process keeps.
    kind.pair(&mut buf);
    let mut pairs: Vec<_> = (0..pairs).map(|_| kind.pair(&mut buf)).collect();
    let fresh = most(pairs.iter());
    for pair in &mut pairs {
        let later = sim::Clock::epoch() + A_WHILE;
        talk(pair, later, &mut buf);
    }
    [fresh, most(pairs.iter())]
}

fn assert_small(what: &str, kind: &Kind, pairs: usize) {
    let [fresh, later] = count(kind, pairs);
    println!("{what}: client and server {fresh:?} bytes, after a while {later:?}");
    let all = [fresh, later].concat();
    assert!(all.iter().all(|bytes| *bytes <= MOST), "{what}: {all:?}");
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
            assert_small(&what, &Kind::new(backend, version, suite), 2);
        }
    }
}
