//! DTLS beside what its crypto alone costs: application records of AES-128-GCM, and a mutual handshake on P-256
//! certificates and X25519, both sides.
//!
//! The floor of a record is `ring`'s cipher on the same bytes. That of a handshake is what no implementation can leave
//! out: on each side one ephemeral key, one agreement, one signature made and one checked.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, criterion_group};
use floe_benches::{Subject, side_by_side};
use floe_dtls::{
    Config, Connection, FingerprintSet, HashAlgorithm, Identity, Received, RemoteIdentity, Setup,
    State,
};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey, X25519};
use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
};

/// Plaintext sizes: a full datagram's, and a small message.
const SIZES: [usize; 2] = [1163, 100];

fn main() {
    benches();
    for size in SIZES {
        records_table(size);
    }
    let (floor, fixture) = (HandshakeFloor::new(), Fixture::new());
    side_by_side(
        "handshake, both sides",
        vec![
            Subject::slow("ring", || floor.run()),
            Subject::slow("floe", || fixture.connect()),
        ],
    );
    Criterion::default().configure_from_args().final_summary();
}

criterion_group!(benches, handshakes);

fn handshakes(c: &mut Criterion) {
    let mut group = c.benchmark_group("dtls/handshake, both sides");
    let floor = HandshakeFloor::new();
    group.bench_function("floor", |b| b.iter(|| floor.run()));
    let fixture = Fixture::new();
    group.bench_function("floe", |b| b.iter(|| fixture.connect()));
    group.finish();
}

/// Sealing and opening, each over the floor; a record can be opened once only, so a subject that opens also seals.
fn records_table(size: usize) {
    let floor = RecordFloor::new();
    let (mut client, mut server) = Fixture::new().connect();
    let data = vec![7; size];
    let [mut a, mut b, mut c, mut d] = [(); 4].map(|()| [0; 1200]);
    let now = now();
    let (mut other, _) = Fixture::new().connect();
    side_by_side(
        &format!("seal {size} bytes"),
        vec![
            Subject::new("ring", || floor.seal(&data, &mut a)),
            Subject::new("floe", || other.seal(now, &data, &mut b)),
        ],
    );
    side_by_side(
        &format!("seal and open {size} bytes"),
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

struct HandshakeFloor {
    random: SystemRandom,
    key: EcdsaKeyPair,
}

impl HandshakeFloor {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("randomness");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random);
        Self {
            key: key.expect("just made"),
            random,
        }
    }

    fn run(&self) {
        let [ours, theirs] = [(); 2]
            .map(|()| EphemeralPrivateKey::generate(&X25519, &self.random).expect("randomness"));
        let publics = [&ours, &theirs].map(|key| key.compute_public_key().expect("a key"));
        for (key, public) in [ours, theirs].into_iter().zip(publics.iter().rev()) {
            let public = UnparsedPublicKey::new(&X25519, public);
            agreement::agree_ephemeral(key, &public, |secret| black_box(secret.len()))
                .expect("a key");
            let signature = self
                .key
                .sign(&self.random, b"handshake")
                .expect("randomness");
            signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.key.public_key())
                .verify(b"handshake", signature.as_ref())
                .expect("authentic");
        }
    }
}

struct Fixture {
    configs: [Arc<Config>; 2],
    remotes: [RemoteIdentity; 2],
}

impl Fixture {
    fn new() -> Self {
        let identities = [(); 2].map(|()| Arc::new(Identity::generate().expect("randomness")));
        let remotes = [1, 0].map(|other: usize| {
            let fingerprint = identities[other].fingerprint(HashAlgorithm::Sha256);
            RemoteIdentity::Fingerprints(FingerprintSet::new([fingerprint]).expect("one"))
        });
        Self {
            configs: identities.map(|identity| Arc::new(Config::new(identity))),
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
