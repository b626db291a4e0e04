//! DTLS beside what its crypto alone costs: a mutual handshake on P-256 certificates, both sides, and application records of
//! AES-128-GCM. `compare` has the same subjects and the peers, taking turns.

use criterion::{Criterion, criterion_group, criterion_main};
use floe_benches::dtls::{Floe, Implementation, V12, V13, record_floor};
use floe_benches::handshake::HandshakeFloor;
use floe_dtls::{CryptoBackend, NamedGroup};

criterion_group!(benches, handshakes, records);
criterion_main!(benches);

/// Backends with their groups.
const EXCHANGES: [(CryptoBackend, NamedGroup); 3] = [
    (CryptoBackend::Ring, NamedGroup::X25519),
    (CryptoBackend::AwsLcRs, NamedGroup::X25519),
    (CryptoBackend::AwsLcRs, NamedGroup::X25519MLKEM768),
];

fn handshakes(c: &mut Criterion) {
    let mut benches = c.benchmark_group("dtls/handshake, both sides");
    for (backend, group) in EXCHANGES {
        let floor = HandshakeFloor::new(backend, group);
        let name = format!("floor, {backend:?}, {group}");
        benches.bench_function(name, |b| b.iter(|| floor.run()));
        for version in [V12, V13] {
            if version == V12 && group == NamedGroup::X25519MLKEM768 {
                // DTLS 1.2 has no key encapsulation.
                continue;
            }
            let floe = Floe::new(version, backend, group, 1200);
            benches.bench_function(floe.name(), |b| b.iter(|| floe.handshake()));
        }
    }
    benches.finish();
}

fn records(c: &mut Criterion) {
    let mut benches = c.benchmark_group("dtls/records");
    let (backend, group) = EXCHANGES[0];
    for size in [1200, 100] {
        let subjects = [V12, V13].map(|version| {
            let floe = Floe::new(version, backend, group, 1400);
            (floe.name(), floe.records(size))
        });
        let floors = [V12, V13].map(|version| {
            let floor = record_floor(version, backend, size);
            (format!("floor, {version}"), floor)
        });
        for (name, mut records) in floors.into_iter().chain(subjects) {
            benches.bench_function(format!("{name}: seal {size}"), |b| {
                b.iter(|| records.seal())
            });
            benches.bench_function(format!("{name}: seal and open {size}"), |b| {
                b.iter(|| records.seal_and_open());
            });
        }
    }
    benches.finish();
}
