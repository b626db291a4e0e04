//! What an endpoint with many connected sessions does for one datagram: a consent check answered, media routed, strangers turned
//! away; and how sessions come and go. `compare` has the same subjects, each crowd in a process of its own.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use floe_benches::call::{self, open_alone};
use floe_benches::endpoint::{Aggregates, Checks, Demux, STEPS, Visits};
use floe_benches::sessions::{Kind, Sessions};
use floe_dtls::{self as dtls, Identity};

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).sample_size(50);
    targets = keepalive, demux, lives
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

/// Among 10 000 others.
fn lives(c: &mut Criterion) {
    let mut benches = c.benchmark_group("endpoint/lives");
    let identity = Arc::new(Identity::generate().expect("randomness"));
    let mut endpoint = call::endpoint(1, dtls::Config::new(identity));
    let now = call::epoch();
    for number in 0..10_000 {
        open_alone(now, number, &mut endpoint);
    }
    benches.bench_function("made and removed", |b| {
        b.iter(|| {
            let id = open_alone(now, 10_000, &mut endpoint);
            endpoint.remove(now, id);
            while endpoint.poll_event().is_some() {}
        });
    });
    benches.finish();
}
