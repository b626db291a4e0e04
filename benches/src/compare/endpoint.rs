//! The tables of the endpoint. Each kind and number of sessions is measured in a process of its own.

use std::io;

use allocation_counter::measure;
use floe_dtls as dtls;
use floe_dtls::Identity;

use super::{Effort, in_a_process_of_its_own};
use crate::call::{self, open_alone};
use crate::endpoint::{Aggregates, BATCH, Checks, Demux, STEPS, Visits};
use crate::keepalive::{Calls as _, Floor, Measure, Step};
use crate::machine::cpu_time;
use crate::report::{Cell, Table};
use crate::sessions::{Kind, Sessions};
use crate::{median, nanoseconds};

/// One kind of sessions: its name, how many, at which effort.
pub(super) const SESSIONS: &str = "sessions";

/// How sessions come and go: how many.
pub(super) const LIVES: &str = "lives";

/// What is measured, with how many sessions, at either effort.
const CROWDS: [(&str, Kind, &[u32], &[u32]); 3] = [
    (
        "ICE alone",
        Kind::Ice,
        &[1_000, 10_000, 100_000],
        &[1_000, 10_000, 100_000, 1_000_000],
    ),
    (
        "ICE alone, a check every 2.5 s",
        Kind::IceAtChromiumsRate,
        &[10_000],
        &[100_000, 1_000_000],
    ),
    ("with DTLS", Kind::Dtls, &[1_000, 10_000], &[1_000, 100_000]),
];

/// Calls per turn.
const CALLS: usize = 64;

/// What a crowd shows.
struct Crowd {
    name: String,
    /// See [`one_crowd`].
    figures: Vec<f64>,
}

/// How many figures come before those of the demultiplexer.
const BEFORE_STEPS: usize = 11;

/// All tables of the endpoint.
pub(super) fn tables(effort: Effort) -> io::Result<Vec<Table>> {
    let mut crowds = Vec::new();
    for (name, _, quick, full) in CROWDS {
        let numbers = match effort {
            Effort::Quick => quick,
            Effort::Full => full,
        };
        for number in numbers {
            let (count, effort) = (number.to_string(), effort.of(0, 1).to_string());
            let figures = in_a_process_of_its_own(&[SESSIONS, name, &count, &effort])?;
            let name = format!("{number} sessions, {name}");
            match figures.as_slice() {
                [] => println!("{name}: not measured, there is not enough memory"),
                _ => crowds.push(Crowd { name, figures }),
            }
        }
    }
    Ok(vec![
        keepalive(&crowds),
        at_scale(&crowds),
        demux(&crowds),
        lives(effort)?,
    ])
}

fn keepalive(crowds: &[Crowd]) -> Table {
    let mut table = Table::new(
        "endpoint",
        "Endpoint: a consent check in, routed, verified, answered, out, ns (× crypto floor) / heap allocations",
        &["warm", "cold", "cold, in batches of 64"],
    );
    for Crowd { name, figures } in crowds {
        let [
            _,
            _,
            _,
            floor,
            warm,
            cold,
            batch,
            of_warm,
            of_cold,
            of_batch,
            ..,
        ] = figures[..]
        else {
            continue;
        };
        let cells = vec![
            Cell::over(warm, floor).and_allocations(of_warm),
            Cell::over(cold, floor).and_allocations(of_cold),
            Cell::over(batch, floor).and_allocations(of_batch),
        ];
        table.row(name, cells);
    }
    table
}

fn at_scale(crowds: &[Crowd]) -> Table {
    let mut table = Table::new(
        "endpoint-scale",
        "Endpoint at scale: consent both ways, one thread, virtual time",
        &[
            "ns per session·second",
            "checks /s",
            "resident bytes per transport",
        ],
    );
    for Crowd { name, figures } in crowds {
        let [consent, checks, memory, ..] = figures[..] else {
            continue;
        };
        let cells = vec![
            Cell::new(consent, "ns", 0),
            Cell::new(checks, "1/s", 2),
            Cell::new(memory, "bytes", 0),
        ];
        table.row(name, cells);
    }
    table
}

/// Of the smallest and of the largest crowd with DTLS, where there is media.
fn demux(crowds: &[Crowd]) -> Table {
    let demuxing = |crowd: &&Crowd| crowd.figures.len() > BEFORE_STEPS;
    let crowds: Vec<_> = crowds.iter().filter(demuxing).collect();
    let columns: Vec<String> = crowds
        .iter()
        .flat_map(|crowd| ["warm", "cold"].map(|how| format!("{how}, {}", crowd.name)))
        .collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new(
        "demux",
        "Endpoint: what is routed or turned away, ns (× a `HashMap` look-up as warm or cold)",
        &columns,
    );
    for (index, (name, _)) in STEPS.iter().enumerate() {
        let of_crowd = |crowd: &&Crowd| {
            let steps = &crowd.figures[BEFORE_STEPS..];
            [0, 1].map(|how| Cell::over(steps[2 * index + how], steps[how]))
        };
        table.row(name, crowds.iter().flat_map(of_crowd).collect());
    }
    let of_crowd = |crowd: &&Crowd| {
        let (nanos, floor) = (crowd.figures[BEFORE_STEPS - 1], crowd.figures[BEFORE_STEPS]);
        [Cell::over(nanos, floor), Cell::none()]
    };
    let cells = crowds.iter().flat_map(of_crowd).collect();
    table.row("aggregates of three transports updated", cells);
    table
}

/// Connects a crowd and gives its figures: consent, checks, memory, the floor, a check warm and cold, allocations of both, the
/// aggregates; and if there is media, each of [`STEPS`] warm and cold.
pub(super) fn one_crowd(arguments: &[String]) -> Option<Vec<f64>> {
    let [name, count, effort] = arguments else {
        return None;
    };
    let (_, kind, ..) = CROWDS.iter().find(|(known, ..)| known == name)?;
    let count = count.parse().ok()?;
    let effort = match effort.as_str() {
        "0" => Effort::Quick,
        _ => Effort::Full,
    };
    let mut figures = Vec::new();
    let mut sessions = None;
    // The counting of allocations costs time, too.
    allocation_counter::opt_out(|| {
        let mut all = Sessions::connect(count, *kind);
        let consent = all.consent(effort.of(5, 15) as u32);
        figures.extend([consent.per_session_second, consent.checks, consent.memory]);
        sessions = Some(all);
    });
    let mut sessions = sessions?;
    let [floor, warm, warm_allocations] = answers(&mut sessions, Visits::Warm, effort);
    let [_, cold, cold_allocations] = answers(&mut sessions, Visits::Cold, effort);
    let [batch, batch_allocations] = batches(&mut sessions, effort);
    figures.extend([floor, warm, cold, batch]);
    figures.extend([warm_allocations, cold_allocations, batch_allocations]);
    let mut aggregates = Aggregates::new(&sessions);
    let now = sessions.now;
    figures.push(timed(effort.of(101, 401), || {
        aggregates.update(now);
    }));
    if *kind == Kind::Dtls {
        let [mut warm, mut cold] =
            [Visits::Warm, Visits::Cold].map(|visits| Demux::new(&sessions, visits));
        for (_, step) in STEPS {
            for demux in [&mut warm, &mut cold] {
                let turns = turns_of(effort, demux.count());
                figures.push(timed(turns, || demux.step(&mut sessions, step)));
            }
        }
    }
    Some(figures)
}

/// The floor, an answer, and its allocations. Each answer is timed by itself, as each of the floor is: datagrams come one by one.
fn answers(sessions: &mut Sessions, visits: Visits, effort: Effort) -> [f64; 3] {
    let mut checks = Checks::new(sessions, visits);
    let mut floor = Floor::of(checks.sizes);
    let (mut floors, mut turns) = (Vec::new(), Vec::new());
    for _ in 0..turns_of(effort, checks.count()) {
        floors.extend(floor.step(Step::Answer, Measure::Time));
        let answer = |_| {
            checks.receive();
            let clock = nanoseconds(|| ());
            nanoseconds(|| {
                checks.answer(sessions);
            }) - clock
        };
        turns.push((0..CALLS).map(answer).sum::<f64>() / CALLS as f64);
    }
    let counted = measure(|| {
        for _ in 0..CALLS {
            checks.receive();
            checks.answer(sessions);
        }
    });
    let allocations = counted.count_total as f64 / CALLS as f64;
    [median(floors), median(turns), allocations]
}

/// The same in the cold and in batches, each timed as a whole: what its datagrams wait for together is the point of it.
fn batches(sessions: &mut Sessions, effort: Effort) -> [f64; 2] {
    let mut checks = Checks::new(sessions, Visits::Cold);
    let count = turns_of(effort, checks.count());
    let turn = |_| {
        checks.receive_batch();
        nanoseconds(|| checks.answer_batch(sessions)) / BATCH as f64
    };
    let nanos = median((0..count).map(turn).collect());
    checks.receive_batch();
    let counted = measure(|| checks.answer_batch(sessions));
    [nanos, counted.count_total as f64 / BATCH as f64]
}

/// As many turns as it takes to visit all.
fn turns_of(effort: Effort, count: usize) -> usize {
    effort.of(101, 401).max(count / CALLS)
}

fn timed(turns: usize, mut run: impl FnMut()) -> f64 {
    let turn = |_| {
        nanoseconds(|| {
            for _ in 0..CALLS {
                run();
            }
        })
    };
    median((0..turns).map(turn).collect()) / CALLS as f64
}

/// How sessions come and go.
fn lives(effort: Effort) -> io::Result<Table> {
    let mut table = Table::new(
        "lives",
        "Endpoint: sessions made and removed, one after the other",
        &[
            "ns to make, with candidates and parameters",
            "ns to remove",
            "heap bytes of one",
            "heap bytes left of one that is removed",
        ],
    );
    let numbers: &[u32] = match effort {
        Effort::Quick => &[10_000],
        Effort::Full => &[10_000, 100_000, 1_000_000],
    };
    for number in numbers {
        let figures = in_a_process_of_its_own(&[LIVES, &number.to_string()])?;
        if let [made, removed, bytes, left] = *figures {
            let cells = vec![
                Cell::new(made, "ns", 0),
                Cell::new(removed, "ns", 0),
                Cell::new(bytes, "bytes", 0),
                Cell::new(left, "bytes", 0),
            ];
            table.row(&format!("{number} sessions"), cells);
        }
    }
    Ok(table)
}

/// Makes and removes so many.
pub(super) fn one_lives(arguments: &[String]) -> Option<Vec<f64>> {
    let [count] = arguments else { return None };
    let count: u32 = count.parse().ok()?;
    let now = call::epoch();
    let identity = std::sync::Arc::new(Identity::generate().ok()?);
    let mut endpoint = call::endpoint(1, dtls::Config::new(identity));
    let per_session = |total: f64| total / f64::from(count);
    let mut ids = Vec::with_capacity(count as usize);
    let (mut made, mut removed) = (0.0, 0.0);
    let bytes = measure(|| {
        for number in 0..count {
            ids.push(open_alone(now, number, &mut endpoint));
        }
    });
    let rest = measure(|| {
        for id in ids.drain(..) {
            endpoint.remove(now, id);
        }
        while endpoint.poll_event().is_some() {}
    });
    // What the first left behind is used by the second, which nobody counts.
    allocation_counter::opt_out(|| {
        let start = cpu_time();
        for number in 0..count {
            ids.push(open_alone(now, number, &mut endpoint));
        }
        made = cpu_time() - start;
        let start = cpu_time();
        for id in ids.drain(..) {
            endpoint.remove(now, id);
        }
        removed = cpu_time() - start;
    });
    let left = (bytes.bytes_current + rest.bytes_current) as f64;
    let bytes = bytes.bytes_current as f64;
    Some([made, removed, bytes, left].map(per_session).to_vec())
}
