//! The tables of the endpoint. Each kind and number of sessions is measured in a process of its own.

use std::io;

use allocation_counter::measure;

use super::{Effort, in_a_process_of_its_own};
use crate::endpoint::{Aggregates, BATCH, Checks, Demux, STEPS, Visits};
use crate::keepalive::{Calls as _, Floor, Measure, Step};
use crate::lives::Lives;
use crate::machine::cpu_time;
use crate::report::{Cell, Table};
use crate::sessions::{Kind, Metered, Sessions};
use crate::steering::{self, Steered};
use crate::{nanoseconds, quartile};

/// One kind of sessions: its name, how many, at which effort.
pub(super) const SESSIONS: &str = "sessions";

/// The steering of so many sessions, at which effort.
pub(super) const STEERING: &str = "steering";

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

/// Before that come what consent costs and the memory.
const BEFORE_COSTS: usize = 3;

/// Before that come five costs, each as its floor, itself and its allocations.
const BEFORE_AGGREGATES: usize = BEFORE_COSTS + 5 * 3;

/// Before that comes the update of the aggregates, behind it what the demultiplexer takes.
const BEFORE_STEPS: usize = BEFORE_AGGREGATES + 1;

/// All tables of the endpoint.
pub(super) fn tables(effort: Effort) -> io::Result<Vec<Table>> {
    let crowds = crowds(effort)?;
    Ok(vec![
        keepalive(&crowds),
        at_scale(&crowds),
        demux(&crowds),
        steering(effort)?,
        lives(effort)?,
    ])
}

/// Each figure is the lower quartile of its crowd's processes.
fn crowds(effort: Effort) -> io::Result<Vec<Crowd>> {
    let numbers = |(name, _, quick, full): (_, _, &'static [u32], &'static [u32])| {
        let numbers = match effort {
            Effort::Quick => quick,
            Effort::Full => full,
        };
        numbers.iter().map(move |number| (name, *number))
    };
    let kinds: Vec<(&str, u32)> = CROWDS.into_iter().flat_map(numbers).collect();
    let mut figures = vec![Vec::new(); kinds.len()];
    for round in 0..MOST_PROCESSES {
        for ((name, number), figures) in kinds.iter().zip(&mut figures) {
            if round < processes(*number) {
                let count = number.to_string();
                let arguments = [SESSIONS, name, &count, effort.word()];
                figures.push(in_a_process_of_its_own(&arguments)?);
            }
        }
    }
    let mut crowds = Vec::new();
    for ((name, number), figures) in kinds.into_iter().zip(figures) {
        let name = format!("{number} sessions, {name}");
        match figure_by_figure(&figures) {
            figures if figures.is_empty() => {
                println!("{name}: not measured, there is not enough memory");
            }
            figures => crowds.push(Crowd { name, figures }),
        }
    }
    Ok(crowds)
}

/// In how many processes so many sessions are measured, one after another's: few are done with so soon that all of it may fall into the
/// second in which a neighbour on the same core slows them down.
fn processes(sessions: u32) -> u32 {
    (100_000 / sessions).clamp(1, MOST_PROCESSES)
}

const MOST_PROCESSES: u32 = 5;

/// What all processes have found, each figure by itself; nothing if one of them had not enough memory.
fn figure_by_figure(processes: &[Vec<f64>]) -> Vec<f64> {
    let figures = processes.iter().map(Vec::len).min().unwrap_or_default();
    let of_all = |figure: usize| processes.iter().map(|of_one| of_one[figure]).collect();
    (0..figures)
        .map(|figure| quartile(of_all(figure)))
        .collect()
}

fn keepalive(crowds: &[Crowd]) -> Table {
    let mut table = Table::new(
        "endpoint",
        "Endpoint: a consent check in, routed, verified, answered, out; and its own checks, ns (× crypto floor) / heap allocations",
        &[
            "warm",
            "cold",
            "cold, in batches of 64",
            "own check from its deadline",
            "its response handled",
        ],
    );
    for Crowd { name, figures } in crowds {
        let cells = figures[BEFORE_COSTS..BEFORE_AGGREGATES]
            .chunks_exact(3)
            .map(|cost| Cell::over(cost[1], cost[0]).and_allocations(cost[2]));
        table.row(name, cells.collect());
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
        let (nanos, floor) = (
            crowd.figures[BEFORE_AGGREGATES],
            crowd.figures[BEFORE_STEPS],
        );
        [Cell::over(nanos, floor), Cell::none()]
    };
    let cells = crowds.iter().flat_map(of_crowd).collect();
    table.row("aggregates of three transports updated", cells);
    table
}

/// Connects a crowd and gives its figures: consent, checks, memory; of a check warm, cold and in batches, of an own one and of its
/// answer the floor, the time and the allocations; the aggregates; and if there is media, each of [`STEPS`] warm and cold.
pub(super) fn one_crowd(arguments: &[String]) -> Option<Vec<f64>> {
    let [name, count, effort] = arguments else {
        return None;
    };
    let (_, kind, ..) = CROWDS.iter().find(|(known, ..)| known == name)?;
    let (count, effort) = (count.parse().ok()?, Effort::from_word(effort)?);
    let mut figures = Vec::new();
    let mut sessions = None;
    // The counting of allocations costs time, too.
    allocation_counter::opt_out(|| {
        let mut all = Sessions::connect(count, *kind);
        let consent = all.consent(effort.seconds(all.count()));
        figures.extend([consent.per_session_second, consent.checks, consent.memory]);
        sessions = Some(all);
    });
    let mut sessions = sessions?;
    let warm = answers(&mut sessions, Visits::Warm, effort);
    let cold = answers(&mut sessions, Visits::Cold, effort);
    let batch = batches(&mut sessions, warm[0], effort);
    figures.extend([warm, cold, batch].as_flattened());
    figures.extend(own_checks(&mut sessions, effort).as_flattened());
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
    [quartile(floors), quartile(turns), allocations]
}

/// The same in the cold and in batches, each timed as a whole: what its datagrams wait for together is the point of it.
fn batches(sessions: &mut Sessions, floor: f64, effort: Effort) -> [f64; 3] {
    let mut checks = Checks::new(sessions, Visits::Cold);
    let count = turns_of(effort, checks.count());
    let turn = |_| {
        checks.receive_batch();
        nanoseconds(|| checks.answer_batch(sessions)) / BATCH as f64
    };
    let nanos = quartile((0..count).map(turn).collect());
    checks.receive_batch();
    let counted = measure(|| checks.answer_batch(sessions));
    [floor, nanos, counted.count_total as f64 / BATCH as f64]
}

/// Checks that fall due, and their answers: which sessions that are is the wheel's affair, so they are as cold as all are.
fn own_checks(sessions: &mut Sessions, effort: Effort) -> [[f64; 3]; 2] {
    let mut floor = Floor::of(Checks::new(sessions, Visits::Warm).sizes);
    let count = effort.of(1000, 4000);
    let turns = (0..count / CALLS).map(|_| {
        let turn = [Step::Check, Step::Handle].map(|step| floor.step(step, Measure::Time));
        turn.map(Option::unwrap_or_default)
    });
    let (sent, answered) = turns.map(|[sent, answered]| (sent, answered)).unzip();
    let floors = [quartile(sent), quartile(answered)];
    let per_check = |turns: Vec<Metered>| {
        let turns = turns.into_iter().filter(|turn| turn.count > 0);
        let per_check = |turn: Metered| {
            let count = turn.count as f64;
            (turn.sent / count, turn.answered / count)
        };
        let (sent, answered) = turns.map(per_check).unzip();
        [quartile(sent), quartile(answered)]
    };
    let times = per_check(sessions.own_checks(count as u64, |_, work| {
        let clock = nanoseconds(|| ());
        nanoseconds(work) - clock
    }));
    let allocations =
        per_check(sessions.own_checks(CALLS as u64, |_, work| measure(work).count_total as f64));
    [0, 1].map(|part| [floors[part], times[part], allocations[part]])
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
    quartile((0..turns).map(turn).collect()) / CALLS as f64
}

/// What whoever reads a shared socket does.
fn steering(effort: Effort) -> io::Result<Table> {
    let sessions = effort.of(10_000, 100_000);
    let columns = ["warm", "cold"].map(|how| format!("{how}, {sessions} sessions"));
    let mut table = Table::new(
        "steering",
        "Steering: which shard a datagram is for, ns (× a `HashMap` look-up as warm or cold)",
        &columns.each_ref().map(String::as_str),
    );
    let (count, effort) = (sessions.to_string(), effort.word());
    let figures = in_a_process_of_its_own(&[STEERING, &count, effort])?;
    let (costs, _) = figures.as_chunks::<2>();
    let Some(floors) = costs.first() else {
        return Ok(table);
    };
    for ((name, step), costs) in steering::STEPS.iter().zip(costs) {
        let warm = Cell::over(costs[0], floors[0]);
        let cold = match step.is_by_path() {
            true => Cell::over(costs[1], floors[1]),
            false => Cell::none(),
        };
        table.row(name, vec![warm, cold]);
    }
    Ok(table)
}

/// Warm and cold, step by step.
pub(super) fn one_steering(arguments: &[String]) -> Option<Vec<f64>> {
    let [sessions, effort] = arguments else {
        return None;
    };
    let (sessions, effort) = (sessions.parse().ok()?, Effort::from_word(effort)?);
    let mut both = [Visits::Warm, Visits::Cold].map(|visits| Steered::new(sessions, visits));
    let mut figures = Vec::new();
    for (_, step) in steering::STEPS {
        for steered in &mut both {
            let turns = turns_of(effort, steered.count());
            figures.push(timed(turns, || steered.step(step)));
        }
    }
    Some(figures)
}

/// How sessions come and go.
fn lives(effort: Effort) -> io::Result<Table> {
    let mut table = Table::new(
        "lives",
        "Endpoint: sessions made, moved and removed, one after the other",
        &[
            "ns to make, with candidates and parameters",
            "ns to detach and attach",
            "ns to remove",
            "heap bytes of one",
            "heap bytes left of all, once they are removed",
        ],
    );
    let numbers: &[u32] = match effort {
        Effort::Quick => &[10_000],
        Effort::Full => &[10_000, 100_000, 1_000_000],
    };
    for number in numbers {
        let figures = in_a_process_of_its_own(&[LIVES, &number.to_string()])?;
        let row = format!("{number} sessions");
        if let [made, moved, removed, bytes, left] = *figures {
            let times = [made, moved, removed].map(|nanos| Cell::new(nanos, "ns", 0));
            let bytes = [bytes, left].map(|bytes| Cell::new(bytes, "bytes", 0));
            table.row(&row, times.into_iter().chain(bytes).collect());
        } else {
            println!("{row}: not measured, it ended early");
        }
    }
    Ok(table)
}

/// However many there have been: empty tables keep a little room.
const MOST_LEFT: i64 = 50_000;

/// Makes, moves and removes so many.
pub(super) fn one_lives(arguments: &[String]) -> Option<Vec<f64>> {
    let [count] = arguments else { return None };
    let count: u32 = count.parse().ok()?;
    let per_session = |total: f64| total / f64::from(count);
    let mut lives = Lives::new();
    // The first brings what stays: a page, and queues.
    lives.make_one();
    lives.remove_one();
    lives.forget();
    let bytes = measure(|| lives.make(count)).bytes_current;
    let rest = measure(|| {
        (0..count).for_each(|_| lives.remove_one());
        lives.forget();
    });
    let left = bytes + rest.bytes_current;
    assert!(left < MOST_LEFT, "{left} bytes left of {count} sessions");
    let mut times = [0.0; 3];
    allocation_counter::opt_out(|| {
        let steps = [Lives::make_one, Lives::move_one, Lives::remove_one];
        times = steps.map(|step| {
            let start = cpu_time();
            (0..count).for_each(|_| step(&mut lives));
            cpu_time() - start
        });
    });
    let [made, moved, removed] = times.map(per_session);
    let bytes = per_session(bytes as f64);
    Some(vec![made, moved, removed, bytes, left.max(0) as f64])
}
