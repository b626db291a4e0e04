//! One Binding request of 96 bytes parsed, verified and answered in 64: floe, its crypto floor, and `stun-types`.
//!
//! The floor is what no codec can avoid: five SHA-1 blocks on precomputed states and two CRC-32.

use std::{hint::black_box, net::SocketAddr};

use criterion::{Criterion, criterion_group};
use floe_benches::{Subject, floor, side_by_side};
use floe_stun::{
    FingerprintStatus, IntegrityKey, Message, Method, RoleAttribute, RouteKey, TransactionIds,
    Writer,
};
use stun_types::{attribute::XorMappedAddress, message as peer, prelude::*};

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const USERNAME: &[u8] = b"evtjXXXX:h6vYYYY";

fn main() {
    benches();
    table();
    Criterion::default().configure_from_args().final_summary();
}

criterion_group!(benches, job, rejection, checksum);

/// The job itself, and the two others that do it.
fn job(c: &mut Criterion) {
    let fixture = Fixture::new();
    let mut group = c.benchmark_group("stun/parse_verify_respond");
    let mut out = [0; 128];
    group.bench_function("floor", |b| b.iter(|| floor(black_box(&fixture.request))));
    group.bench_function("floe", |b| b.iter(|| fixture.answer(&mut out)));
    group.bench_function("stun-types", |b| {
        b.iter(|| fixture.answer_with_stun_types(&mut out))
    });
    group.finish();
}

/// What it costs to turn a datagram away, by how far it gets.
fn rejection(c: &mut Criterion) {
    let fixture = Fixture::new();
    let mut group = c.benchmark_group("stun/reject");
    group.bench_function("parse only", |b| {
        b.iter(|| Message::parse(black_box(&fixture.request)).is_ok())
    });
    group.bench_function("wrong username", |b| b.iter(|| fixture.wrong_username()));
    group.bench_function("forged MAC", |b| b.iter(|| fixture.forged_mac()));
    group.finish();
}

fn checksum(c: &mut Criterion) {
    let fixture = Fixture::new();
    c.bench_function("stun/crc32 of 88 bytes", |b| {
        b.iter(|| crc32fast::hash(black_box(&fixture.request[..88])))
    });
}

/// The same once more, taking turns, as the ratios that the documentation states.
fn table() {
    let fixture = Fixture::new();
    let (mut ours, mut theirs) = ([0; 128], [0; 128]);
    side_by_side(
        "STUN: Binding request parsed, verified and answered (96 → 64 bytes)",
        vec![
            Subject::new("crypto floor", || floor(black_box(&fixture.request))),
            Subject::new("floe", || fixture.answer(&mut ours)),
            Subject::new("stun-types, cached key, into a slice", || {
                fixture.answer_with_stun_types(&mut theirs)
            }),
            Subject::new("floe, parse only (FINGERPRINT checked)", || {
                Message::parse(black_box(&fixture.request)).is_ok()
            }),
            Subject::new("floe, wrong username", || fixture.wrong_username()),
            Subject::new("floe, forged MAC", || fixture.forged_mac()),
        ],
    );
}

/// The crypto of the job and nothing else, for these two sizes only: either message's HMAC and CRC-32.
fn floor(request: &[u8; 96]) -> bool {
    let mut first: [u8; 64] = *request.first_chunk().expect("96 bytes");
    first[3] -= 8;
    let verified = floor::hmac(&[first, floor::padding(64)]) == request[68..88];

    let mut answer = floor::padding(32);
    answer[..32].copy_from_slice(&request[..32]);
    let mac = floor::hmac(&[answer]);
    let checksums = crc32fast::hash(&request[..88]) ^ crc32fast::hash(&request[..56]);
    verified ^ (black_box(mac)[0] == 0) ^ (checksums == 0)
}

struct Fixture {
    request: [u8; 96],
    forged: [u8; 96],
    source: SocketAddr,
    key: IntegrityKey,
    peer_key: peer::IntegrityKey,
}

impl Fixture {
    fn new() -> Self {
        let key = IntegrityKey::short_term(PASSWORD.as_bytes());
        let wrong = IntegrityKey::short_term(b"a password nobody uses");
        Self {
            request: request(&key),
            forged: request(&wrong),
            source: "192.0.2.1:32853".parse().expect("a socket address"),
            key,
            peer_key: peer::ShortTermCredentials::new(PASSWORD.to_owned()).make_key(),
        }
    }

    fn answer(&self, out: &mut [u8]) -> usize {
        let message = Message::parse(black_box(&self.request)).expect("well-formed");
        assert!(
            message.fingerprint() == FingerprintStatus::Valid
                && message.username() == Some(USERNAME)
        );
        let request = message.verify(&self.key).expect("authentic");
        Writer::success(out, request.method(), request.transaction_id())
            .xor_mapped_address(black_box(self.source))
            .integrity_as(request.algorithm(), &self.key)
            .fingerprint()
            .expect("it fits")
    }

    fn answer_with_stun_types(&self, out: &mut [u8]) -> usize {
        let request = peer::Message::from_bytes(black_box(&self.request)).expect("well-formed");
        let username = request.raw_attribute(0x0006.into()).expect("present");
        assert!(&*username.value == USERNAME);
        let algorithm = request
            .validate_integrity_with_key(&self.peer_key)
            .expect("authentic");
        let mut answer =
            peer::Message::builder_success(&request, peer::MessageWriteMutSlice::new(out));
        let address = XorMappedAddress::new(black_box(self.source), request.transaction_id());
        answer.add_attribute(&address).expect("it fits");
        answer
            .add_message_integrity_with_key(&self.peer_key, algorithm)
            .expect("it fits");
        answer.add_fingerprint().expect("it fits");
        answer.finish()
    }

    fn wrong_username(&self) -> bool {
        Message::parse(black_box(&self.request))
            .is_ok_and(|message| message.username() == Some(b"somebody:elses--"))
    }

    fn forged_mac(&self) -> bool {
        Message::parse(black_box(&self.forged))
            .is_ok_and(|message| message.verify(&self.key).is_ok())
    }
}

fn request(key: &IntegrityKey) -> [u8; 96] {
    let mut ids = TransactionIds::new(RouteKey::from_bytes([1; 16]), [2; 32]);
    let mut request = [0; 96];
    let len = Writer::request(&mut request, Method::BINDING, ids.mint(0))
        .username(USERNAME)
        .priority(0x6E00_01FF)
        .role(RoleAttribute::Controlling(0x932F_F9B1_5126_3B36))
        .use_candidate()
        .integrity(key)
        .fingerprint()
        .expect("it fits");
    assert_eq!(len, request.len());
    request
}
