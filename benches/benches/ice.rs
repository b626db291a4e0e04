//! Connected agents: a check from the timer, a request answered, an answer handled, and what is turned away. `compare` has the
//! same subjects and the peers, taking turns.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use floe_benches::keepalive::{Measure, Step, calls};
use floe_benches::peers::Floe;

criterion_group!(benches, steps);
criterion_main!(benches);

/// The steps of consent come in this order; each needs the others.
const STEPS: [(&str, Step); 6] = [
    ("request in, response out", Step::Answer),
    ("own check from the timer", Step::Check),
    ("its response handled", Step::Handle),
    ("wrong username", Step::WrongUsername),
    ("unknown transaction", Step::UnknownTransaction),
    ("forged MAC", Step::ForgedMac),
];

fn steps(c: &mut Criterion) {
    let mut benches = c.benchmark_group("ice/agent");
    for (index, (name, _)) in STEPS.iter().enumerate() {
        let mut calls = calls::<Floe>();
        benches.bench_function(*name, |b| {
            b.iter_custom(|turns| {
                let mut nanos = 0.0;
                for _ in 0..turns {
                    let times = STEPS.map(|(_, step)| calls.step(step, Measure::Time));
                    nanos += times[index].unwrap_or_default();
                    calls.other_way();
                }
                Duration::from_nanos(nanos as u64)
            });
        });
    }
    benches.finish();
}
