//! One Binding request of 96 bytes parsed, verified and answered in 64: floe, its crypto floor, and the peers.
//!
//! The floor is what no codec can avoid: five SHA-1 blocks on precomputed states and two CRC-32, one after the other. `compare` has the same subjects
//! taking turns.

use criterion::{Criterion, criterion_group, criterion_main};
use floe_benches::codec::Codec;

criterion_group!(benches, job, rejection);
criterion_main!(benches);

/// The job itself, and the others that do it.
fn job(c: &mut Criterion) {
    let codec = Codec::default();
    let mut group = c.benchmark_group("stun/parse_verify_respond");
    let mut out = [0; 128];
    group.bench_function("floor", |b| b.iter(|| codec.floor(&mut out)));
    group.bench_function("floe", |b| b.iter(|| codec.floe(&mut out)));
    group.bench_function("stun-types", |b| b.iter(|| codec.stun_types(&mut out)));
    group.bench_function("is", |b| b.iter(|| codec.is(&mut out)));
    group.bench_function("rtc-stun", |b| b.iter(|| codec.rtc_stun(&mut out)));
    group.finish();
}

/// What it costs to turn a datagram away, by how far it gets.
fn rejection(c: &mut Criterion) {
    let codec = Codec::default();
    let mut group = c.benchmark_group("stun/reject");
    group.bench_function("parse only", |b| b.iter(|| codec.parse()));
    group.bench_function("wrong username", |b| b.iter(|| codec.wrong_username()));
    group.bench_function("forged MAC", |b| b.iter(|| codec.forged_mac()));
    group.finish();
}
