//! What an endpoint with many connected sessions does for one datagram: a consent check answered, media routed, strangers turned
//! away, or told to be another shard's; checks of its own; and how sessions come and go. `compare` has the same subjects, each
//! crowd in a process of its own.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use floe_benches::endpoint::{Aggregates, Checks, Demux, STEPS, Visits};
use floe_benches::lives::Lives;
use floe_benches::nanoseconds;
use floe_benches::sessions::{Kind, OwnChecks, Sessions};
use floe_benches::steering::{self, Steered};

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).sample_size(50);
    targets = keepalive, own_checks, demux, routing, lives
}
criterion_main!(benches);

const VISITS: [(&str, Visits); 2] = [("warm", Visits::Warm), ("cold", Visits::Cold)];

fn keepalive(c: &mut Criterion) {
    let mut benches = c.benchmark_group("endpoint/keep-alive");
    for count in [1_000, 10_000, 100_000, 1_000_000] {
        let mut sessions = Sessions::connect(count, Kind::Ice);
        for (name, visits) in VISITS {
            let mut checks = Checks::new(&mut sessions, visits);
            benches.bench_function(format!("{count} sessions, {name}"), |b| {
                b.iter(|| {
                    checks.receive();
                    checks.answer(&mut sessions)
                });
            });
        }
    }
    benches.finish();
}

/// From its deadline in the wheel to the next one, and its answer.
fn own_checks(c: &mut Criterion) {
    let mut benches = c.benchmark_group("endpoint/own check");
    for count in [1_000, 100_000] {
        let mut sessions = Sessions::connect(count, Kind::Ice);
        for (name, part) in [("sent", OwnChecks::Sent), ("answered", OwnChecks::Answered)] {
            benches.bench_function(format!("{count} sessions, {name}"), |b| {
                b.iter_custom(|checks| time_of(&mut sessions, checks, part));
            });
        }
    }
    benches.finish();
}

/// What that part of so many checks takes.
fn time_of(sessions: &mut Sessions, checks: u64, part: OwnChecks) -> Duration {
    let mut nanos = 0.0;
    let turns = sessions.own_checks(checks, |which, work| {
        let taken = nanoseconds(work);
        nanos += if which == part { taken } else { 0.0 };
        taken
    });
    let done: u64 = turns.iter().map(|turn| turn.count).sum();
    Duration::from_nanos((nanos * checks as f64 / done as f64) as u64)
}

fn demux(c: &mut Criterion) {
    let mut benches = c.benchmark_group("endpoint/demux");
    let mut sessions = Sessions::connect(10_000, Kind::Dtls);
    for (how, visits) in VISITS {
        let mut demux = Demux::new(&sessions, visits);
        for (name, step) in STEPS {
            benches.bench_function(format!("{name}, {how}"), |b| {
                b.iter(|| demux.step(&mut sessions, step));
            });
        }
    }
    let mut aggregates = Aggregates::new(&sessions);
    let now = sessions.now;
    benches.bench_function("aggregates of three transports updated", |b| {
        b.iter(|| black_box(aggregates.update(now)));
    });
    benches.finish();
}

/// Who asks for whom a datagram is.
fn routing(c: &mut Criterion) {
    let mut benches = c.benchmark_group("endpoint/steering");
    for (how, visits) in VISITS {
        let mut steered = Steered::new(100_000, visits);
        for (name, step) in steering::STEPS {
            if visits == Visits::Warm || step.is_by_path() {
                benches.bench_function(format!("{name}, {how}"), |b| {
                    b.iter(|| steered.step(step));
                });
            }
        }
    }
    benches.finish();
}

/// Among 10 000 others.
fn lives(c: &mut Criterion) {
    let mut benches = c.benchmark_group("endpoint/lives");
    let mut lives = Lives::new();
    lives.make(10_000);
    benches.bench_function("made and removed", |b| {
        b.iter(|| {
            lives.make_one();
            lives.remove_one();
        });
    });
    benches.bench_function("detached and attached", |b| b.iter(|| lives.move_one()));
    benches.finish();
}
