//! One Binding request of 96 bytes parsed, verified and answered in 64: floe, its crypto floor, and the peers.
//!
//! The floor is what no codec can avoid: five SHA-1 blocks on precomputed states and two CRC-32.

use criterion::{Criterion, criterion_group};
use floe_benches::{Subject, codec::Codec, side_by_side};

fn main() {
    benches();
    table();
    Criterion::default().configure_from_args().final_summary();
}

criterion_group!(benches, job, rejection);

/// The job itself, and the others that do it.
fn job(c: &mut Criterion) {
    let codec = Codec::default();
    let mut group = c.benchmark_group("stun/parse_verify_respond");
    let mut out = [0; 128];
    group.bench_function("floor", |b| b.iter(|| codec.floor()));
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

/// The same once more, taking turns, as the ratios that the documentation states.
fn table() {
    let codec = Codec::default();
    let mut outs = [[0; 128]; 4];
    let [ours, stun_types, is, rtc_stun] = &mut outs;
    side_by_side(
        "STUN: Binding request parsed, verified and answered (96 → 64 bytes)",
        vec![
            Subject::new("crypto floor", || codec.floor()),
            Subject::new("floe", || codec.floe(ours)),
            Subject::new("stun-types, cached key, into a slice", || {
                codec.stun_types(stun_types)
            }),
            Subject::new("is (FINGERPRINT not checked)", || codec.is(is)),
            Subject::new("rtc-stun", || codec.rtc_stun(rtc_stun)),
            Subject::new("floe, parse only", || codec.parse()),
            Subject::new("floe, wrong username", || codec.wrong_username()),
            Subject::new("floe, forged MAC", || codec.forged_mac()),
        ],
    );
}
