//! DTLS beside what its crypto alone costs and beside a peer: application records of AES-128-GCM, and a mutual handshake
//! on P-256 certificates, both sides, in each version, with each backend and group.
//!
//! The floor of a record is the backend's cipher on the same bytes. That of a handshake is what no implementation can leave
//! out: `floe_benches::handshake`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, criterion_group};
use floe_benches::handshake::HandshakeFloor;
use floe_benches::{Subject, side_by_side};
use floe_dtls::{
    Config, Connection, CryptoBackend, FingerprintSet, HashAlgorithm, Identity, NamedGroup,
    ProtocolVersion, Received, RemoteIdentity, Setup, State,
};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

#[path = "dtls/dimpl_peer.rs"]
mod dimpl_peer;

/// Plaintext sizes: a full datagram's, and a small message.
const SIZES: [usize; 2] = [1163, 100];

const V12: ProtocolVersion = ProtocolVersion::DTLS1_2;
const V13: ProtocolVersion = ProtocolVersion::DTLS1_3;

/// Backends with their groups.
const EXCHANGES: [(CryptoBackend, NamedGroup); 5] = [
    (CryptoBackend::Ring, NamedGroup::X25519),
    (CryptoBackend::Ring, NamedGroup::SECP256R1),
    (CryptoBackend::AwsLcRs, NamedGroup::X25519),
    (CryptoBackend::AwsLcRs, NamedGroup::SECP256R1),
    (CryptoBackend::AwsLcRs, NamedGroup::X25519MLKEM768),
];

fn main() {
    benches();
    for version in [V12, V13] {
        for size in SIZES {
            records_table(version, size);
        }
    }
    for (backend, group) in EXCHANGES {
        handshakes_table(backend, group);
    }
    for group in [NamedGroup::X25519, NamedGroup::SECP256R1] {
        peers_table(group);
    }
    Criterion::default().configure_from_args().final_summary();
}

criterion_group!(benches, handshakes);

fn handshakes(c: &mut Criterion) {
    let mut group = c.benchmark_group("dtls/handshake, both sides");
    let (backend, x25519) = EXCHANGES[0];
    let floor = HandshakeFloor::new(backend, x25519);
    group.bench_function("floor", |b| b.iter(|| floor.run()));
    for version in [V12, V13] {
        let fixture = Fixture::new(version, backend, x25519);
        group.bench_function(format!("floe, {version}"), |b| b.iter(|| fixture.connect()));
    }
    group.finish();
}

/// Both versions in turn with the floor.
fn handshakes_table(backend: CryptoBackend, group: NamedGroup) {
    let floor = HandshakeFloor::new(backend, group);
    let (old, new) = (
        Fixture::new(V12, backend, group),
        Fixture::new(V13, backend, group),
    );
    let mut subjects = vec![Subject::slow("the crypto alone", || floor.run())];
    if group != NamedGroup::X25519MLKEM768 {
        subjects.push(Subject::slow("floe, DTLS 1.2", || old.connect()));
    }
    subjects.push(Subject::slow("floe, DTLS 1.3", || new.connect()));
    side_by_side(
        &format!("handshake, both sides, {backend:?}, {group}"),
        subjects,
    );
}

/// The peer in turn with the same floor. Its handshakes leave caches and heap otherwise than they found them, so they have a
/// table of their own, after all of floe's.
fn peers_table(group: NamedGroup) {
    let floor = HandshakeFloor::new(CryptoBackend::AwsLcRs, group);
    let peers = [V12, V13].map(|version| dimpl_peer::Fixture::new(version, group));
    let mut subjects = vec![Subject::slow("the crypto alone", || floor.run())];
    let peers = peers.iter().zip(["dimpl, DTLS 1.2", "dimpl, DTLS 1.3"]);
    subjects.extend(peers.filter_map(|(peer, name)| {
        let peer = peer.as_ref()?;
        Some(Subject::slow(name, || peer.connect()))
    }));
    side_by_side(
        &format!("handshake, both sides, a peer with aws-lc-rs, {group}"),
        subjects,
    );
}

/// Sealing and opening, each over the floor; a record can be opened once only, so a subject that opens also seals.
fn records_table(version: ProtocolVersion, size: usize) {
    let floor = RecordFloor::new();
    let (mut client, mut server) =
        Fixture::new(version, CryptoBackend::Ring, NamedGroup::X25519).connect();
    let data = vec![7; size];
    let [mut a, mut b, mut c, mut d] = [(); 4].map(|()| [0; 1200]);
    let now = now();
    let (mut other, _) = Fixture::new(version, CryptoBackend::Ring, NamedGroup::X25519).connect();
    side_by_side(
        &format!("{version}: seal {size} bytes"),
        vec![
            Subject::new("ring", || floor.seal(&data, &mut a)),
            Subject::new("floe", || other.seal(now, &data, &mut b)),
        ],
    );
    side_by_side(
        &format!("{version}: seal and open {size} bytes"),
        vec![
            Subject::new("ring", || {
                floor.seal(&data, &mut c);
                floor.open(size, &mut c)
            }),
            Subject::new("floe", || {
                let len = client.seal(now, &data, &mut d).expect("connected");
                let received = server.handle_datagram(now, &mut d[..len]);
                assert!(matches!(received, Received::Data { .. }));
            }),
        ],
    );
}

struct RecordFloor(LessSafeKey);

impl RecordFloor {
    fn new() -> Self {
        let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).expect("16 bytes");
        Self(LessSafeKey::new(key))
    }

    /// A copy of the plaintext and the cipher.
    fn seal(&self, data: &[u8], out: &mut [u8]) {
        let (text, rest) = out.split_at_mut(data.len());
        text.copy_from_slice(data);
        let nonce = Nonce::assume_unique_for_key([3; 12]);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from([5; 13]), text);
        rest[..16].copy_from_slice(tag.expect("short enough").as_ref());
    }

    fn open(&self, len: usize, out: &mut [u8]) {
        let nonce = Nonce::assume_unique_for_key([3; 12]);
        let opened = self
            .0
            .open_in_place(nonce, Aad::from([5; 13]), &mut out[..len + 16]);
        black_box(opened.expect("authentic"));
    }
}

struct Fixture {
    configs: [Arc<Config>; 2],
    remotes: [RemoteIdentity; 2],
}

impl Fixture {
    fn new(version: ProtocolVersion, backend: CryptoBackend, group: NamedGroup) -> Self {
        let identities = [(); 2].map(|()| Arc::new(Identity::generate().expect("randomness")));
        let remotes = [1, 0].map(|other: usize| {
            let fingerprint = identities[other].fingerprint(HashAlgorithm::Sha256);
            RemoteIdentity::Fingerprints(FingerprintSet::new([fingerprint]).expect("one"))
        });
        Self {
            configs: identities.map(|identity| {
                let mut config = Config::new(identity);
                (config.min_version, config.max_version) = (version, version);
                config.backend = backend;
                config.groups = vec![group];
                if version == V12 && group == NamedGroup::X25519MLKEM768 {
                    // DTLS 1.2 has no key encapsulation.
                    config.groups.push(NamedGroup::X25519);
                }
                Arc::new(config)
            }),
            remotes,
        }
    }

    fn connect(&self) -> (Connection, Connection) {
        let end = |index: usize, setup| {
            let connection = Connection::new(
                self.configs[index].clone(),
                setup,
                self.remotes[index].clone(),
            );
            connection.expect("a default configuration")
        };
        let (mut client, mut server) = (end(0, Setup::Active), end(1, Setup::Passive));
        let now = now();
        client.start(now);
        server.set_path_validated();
        server.start(now);
        let mut datagram = [0; 1200];
        loop {
            if let Some(len) = client.poll_transmit(&mut datagram) {
                let _ = server.handle_datagram(now, &mut datagram[..len]);
            } else if let Some(len) = server.poll_transmit(&mut datagram) {
                let _ = client.handle_datagram(now, &mut datagram[..len]);
            } else {
                break;
            }
        }
        assert_eq!(
            (client.state(), server.state()),
            (State::Connected, State::Connected)
        );
        (client, server)
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark has a clock")]
fn now() -> Instant {
    Instant::now()
}
