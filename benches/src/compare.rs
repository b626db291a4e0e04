//! The tables of one run: what floe and the peers take for the same work, measured in turn.

mod dtls;
mod endpoint;

use std::io;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use crate::call::epoch;
use crate::codec::Codec;
use crate::connect::{self, Course, LAYOUTS};
use crate::keepalive::{Calls, Floor, Measure, Step, calls};
use crate::peers::{AtChromiumsRate, Floe, Idle, Is, Peer, Rice, Rtc};
use crate::report::{Cell, Report, Table};
use crate::scale::{self, Figures};
use crate::verdict::verdict;
use crate::{Subject, allocations, quartile, quartiles, quartiles_of};

/// How much time to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Two minutes for all.
    Quick,
    /// As the documentation has it.
    Full,
}

impl Effort {
    const fn of(self, quick: usize, full: usize) -> usize {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }

    /// Virtual seconds for so many agents or sessions: of many, each second is much like another.
    const fn seconds(self, count: usize) -> u32 {
        match self {
            Self::Full if count < 1_000_000 => 15,
            _ => 5,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        let known = [Self::Quick, Self::Full];
        known.into_iter().find(|effort| effort.word() == word)
    }
}

/// One table or several that are measured together.
type Measurement = fn(Effort) -> io::Result<Vec<Table>>;

/// All there is to measure, in this order.
const TABLES: [(&str, Measurement); 12] = [
    ("stun", |_| Ok(vec![codec()])),
    ("consent", |effort| Ok(vec![keepalive(effort)])),
    ("rejection", |effort| Ok(vec![rejection(effort)])),
    ("connect", |_| Ok(vec![connect()])),
    ("construction", |effort| Ok(vec![construction(effort)])),
    ("handshakes", |effort| Ok(vec![dtls::handshakes(effort)])),
    ("records", |effort| Ok(vec![dtls::records(effort)])),
    ("memory", |effort| Ok(vec![dtls::memory(effort)?])),
    ("loss", |effort| Ok(vec![dtls::loss(effort)])),
    ("tail", |effort| Ok(vec![dtls::tail(effort)])),
    ("scale", |effort| Ok(vec![at_scale(effort)?])),
    ("endpoint", endpoint::tables),
];

/// Says on the standard error what comes next, and how many seconds have passed.
fn progress(what: &str) {
    eprintln!("{:>4} s  {what}", seconds());
}

/// How long ago this was first asked for: when the first table began.
#[must_use]
pub fn seconds() -> u64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(epoch);
    let begin = *BEGIN;
    epoch().duration_since(begin).as_secs()
}

/// Measures the tables with these names, or all if there are none, and prints each.
///
/// # Errors
///
/// When a name is unknown, or this program cannot be started once more.
pub fn measure(effort: Effort, names: &[String]) -> io::Result<Report> {
    let known = |name: &String| TABLES.iter().any(|(table, _)| table == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let known = TABLES.map(|(table, _)| table).join(", ");
        let message = format!("there is no table {unknown}; there are {known}");
        return Err(io::Error::other(message));
    }
    let mut report = Report::default();
    for (name, measurement) in TABLES {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            progress(name);
            for table in measurement(effort)? {
                report.add(table);
            }
        }
    }
    report.add(verdict(&report));
    Ok(report)
}

/// A STUN request parsed, verified and answered.
#[must_use]
pub fn codec() -> Table {
    let codec = Codec::default();
    let mut outs = [[0; 128]; 5];
    let [floor, ours, stun_types, is, rtc_stun] = &mut outs;
    let mut subjects = [
        Subject::new("crypto floor", || codec.floor(floor)),
        Subject::new("floe", || codec.floe(ours)),
        Subject::new("stun-types 2.0.4, cached key, into a slice", || {
            codec.stun_types(stun_types)
        }),
        Subject::new("is 0.12 (FINGERPRINT not checked)", || codec.is(is)),
        Subject::new("rtc-stun 0.21.1", || codec.rtc_stun(rtc_stun)),
    ];
    let times = quartiles(&mut subjects);
    let counts = allocations(&mut subjects);
    let mut table = Table::new(
        "stun",
        "STUN: a Binding request of 96 bytes parsed, verified and answered in 64, ns (× floor) / heap allocations",
        &["request → response"],
    );
    for ((subject, nanos), count) in subjects.iter().zip(&times).zip(counts) {
        let cell = Cell::over(*nanos, times[0]).and_allocations(count);
        table.row(subject.name(), vec![cell]);
    }
    table
}

fn everybody() -> Vec<Box<dyn Calls>> {
    vec![
        calls::<Floe>(),
        calls::<Is>(),
        calls::<Rice>(),
        calls::<Rtc>(),
    ]
}

/// What connected agents do again and again.
#[must_use]
pub fn keepalive(effort: Effort) -> Table {
    let mut everybody = everybody();
    let floor: Box<dyn Calls> = Box::new(Floor::of(everybody[0].sizes()));
    everybody.insert(0, floor);
    let steps = [Step::Answer, Step::Check, Step::Handle];
    let costs = measure_steps(&mut everybody, &steps, effort);
    let floors = costs[0].1.clone();
    let mut table = Table::new(
        "consent",
        "ICE: consent in a connected agent, warm, ns (× floor) / heap allocations",
        &[
            "request in → response out",
            "own check from the timer",
            "its response handled",
        ],
    );
    for (calls, costs) in costs {
        let cell = |(cost, floor): (&Option<Cost>, &Option<Cost>)| {
            cost.zip(*floor).map_or_else(Cell::none, |(cost, floor)| {
                Cell::over(cost.nanos, floor.nanos).and_allocations(cost.allocations)
            })
        };
        let cells = costs.iter().zip(&floors).map(cell);
        table.row(calls, cells.collect());
    }
    table
}

/// What agents turn away, beside the floor of the STUN codec.
#[must_use]
pub fn rejection(effort: Effort) -> Table {
    let codec = Codec::default();
    let mut out = [0; 128];
    let mut subjects = [
        Subject::new("floor", || codec.floor(&mut out)),
        Subject::new("parse", || codec.parse()),
        Subject::new("username", || codec.wrong_username()),
        Subject::new("MAC", || codec.forged_mac()),
    ];
    let times = quartiles(&mut subjects);
    let mut table = Table::new(
        "rejection",
        "Turned away, ns (× the floor of a STUN request answered)",
        &["wrong username", "unknown transaction", "forged MAC"],
    );
    let over = |nanos| Cell::over(nanos, times[0]);
    table.row(
        "floe's codec",
        vec![over(times[2]), over(times[1]), over(times[3])],
    );
    let steps = [
        Step::WrongUsername,
        Step::UnknownTransaction,
        Step::ForgedMac,
    ];
    for (calls, costs) in measure_steps(&mut everybody(), &steps, effort) {
        let cell = |cost: &Option<Cost>| cost.map_or_else(Cell::none, |cost| over(cost.nanos));
        table.row(&format!("{calls}, agent"), costs.iter().map(cell).collect());
    }
    table
}

/// What a step took: nanoseconds and heap allocations.
#[derive(Clone, Copy, Debug)]
struct Cost {
    nanos: f64,
    allocations: f64,
}

/// Medians of each kind, which take turns; `None` for what a kind never does.
fn measure_steps(
    everybody: &mut [Box<dyn Calls>],
    steps: &[Step],
    effort: Effort,
) -> Vec<(&'static str, Vec<Option<Cost>>)> {
    let mut times = vec![vec![Vec::new(); steps.len()]; everybody.len()];
    for _ in 0..effort.of(101, 401) {
        for (calls, times) in everybody.iter_mut().zip(&mut times) {
            for (step, times) in steps.iter().zip(times) {
                times.extend(calls.step(*step, Measure::Time));
            }
            calls.other_way();
        }
    }
    let costs = |(calls, times): (&mut Box<dyn Calls>, Vec<Vec<f64>>)| {
        let cost = |(step, times): (&Step, Vec<f64>)| {
            let allocations = calls.step(*step, Measure::Allocations)?;
            let nanos = quartile(times);
            Some(Cost { nanos, allocations })
        };
        let costs = steps.iter().zip(times).map(cost).collect();
        (calls.name(), costs)
    };
    everybody.iter_mut().zip(times).map(costs).collect()
}

type MeasureScale = fn(usize, u32) -> Option<Figures>;

/// Kinds that are measured at scale, with how many agents, at either effort.
const FLEETS: [(&str, MeasureScale, &[usize], &[usize]); 6] = [
    (
        Idle::NAME,
        scale::measure::<Idle>,
        &[10_000],
        &[100_000, 1_000_000],
    ),
    (
        Floe::NAME,
        scale::measure::<Floe>,
        &[1_000, 10_000, 100_000],
        &[1_000, 10_000, 100_000, 1_000_000],
    ),
    (
        AtChromiumsRate::NAME,
        scale::measure::<AtChromiumsRate>,
        &[10_000],
        &[100_000, 1_000_000],
    ),
    (Is::NAME, scale::measure::<Is>, &[10_000], &[100_000]),
    (Rice::NAME, scale::measure::<Rice>, &[10_000], &[100_000]),
    (Rtc::NAME, scale::measure::<Rtc>, &[10_000], &[100_000]),
];

/// Very many agents in one thread, each kind in a process of its own.
///
/// # Errors
///
/// When this program cannot be started once more.
fn at_scale(effort: Effort) -> io::Result<Table> {
    let mut table = Table::new(
        "scale",
        "ICE at scale: connected agents in one thread, virtual time",
        &[
            "ns per agent·second",
            "wake-ups /s",
            "checks /s",
            "ns per check, both ways",
            "resident bytes per agent",
            "cold request → response, ns",
        ],
    );
    for (name, _, quick, full) in FLEETS {
        let numbers = match effort {
            Effort::Quick => quick,
            Effort::Full => full,
        };
        for agents in numbers {
            let seconds = effort.seconds(*agents).to_string();
            let count = agents.to_string();
            let figures = in_a_process_of_its_own(&[FLEET, name, &count, &seconds])?;
            let row = format!("{name}, {agents} agents");
            match Figures::from_row(&figures) {
                Some(figures) => table.row(&row, cells_of(&figures)),
                None => println!("{row}: not measured, there is not enough memory"),
            }
        }
    }
    Ok(table)
}

fn cells_of(figures: &Figures) -> Vec<Cell> {
    let per_check = match figures.checks > 0.0 {
        true => Cell::new(figures.per_check, "ns", 0),
        false => Cell::none(),
    };
    vec![
        Cell::new(figures.per_agent_second, "ns", 0),
        Cell::new(figures.wake_ups, "1/s", 2),
        Cell::new(figures.checks, "1/s", 2),
        per_check,
        Cell::new(figures.memory, "bytes", 0),
        Cell::new(figures.cold, "ns", 0),
    ]
}

/// The first argument of a process that measures one thing, so that its memory is its own; what it is follows.
pub const ONE: &str = "--one";

type One = fn(&[String]) -> Option<Vec<f64>>;

/// What such a process measures, by the first word of its arguments.
const ONES: [(&str, One); 5] = [
    (FLEET, one_fleet),
    (dtls::MEMORY, dtls::one_memory),
    (endpoint::SESSIONS, endpoint::one_crowd),
    (endpoint::STEERING, endpoint::one_steering),
    (endpoint::LIVES, endpoint::one_lives),
];

/// What such a process does: measures the one thing, and gives its figures as a line.
///
/// `None` for arguments that make no sense.
#[must_use]
pub fn one(arguments: &[String]) -> Option<String> {
    let (kind, arguments) = arguments.split_first()?;
    let (_, measure) = ONES.iter().find(|(known, _)| known == kind)?;
    let figures = measure(arguments)?;
    let words: Vec<_> = figures.iter().map(ToString::to_string).collect();
    Some(words.join(" "))
}

/// The figures of such a process; none if it ended early.
fn in_a_process_of_its_own(arguments: &[&str]) -> io::Result<Vec<f64>> {
    progress(&format!("  {}", arguments.join(", ")));
    let output = Command::new(std::env::current_exe()?)
        .arg(ONE)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    let words = String::from_utf8_lossy(&output.stdout);
    let figures = words.split_whitespace().map(str::parse);
    Ok(figures.collect::<Result<_, _>>().unwrap_or_default())
}

/// One kind of fleet: its name, how many agents, and for how many seconds.
const FLEET: &str = "fleet";

fn one_fleet(arguments: &[String]) -> Option<Vec<f64>> {
    let [name, agents, seconds] = arguments else {
        return None;
    };
    let (_, measure, ..) = FLEETS.iter().find(|(known, ..)| known == name)?;
    let figures = measure(agents.parse().ok()?, seconds.parse().ok()?)?;
    Some(figures.to_row().to_vec())
}

/// How long it takes to connect.
#[must_use]
fn connect() -> Table {
    let columns = LAYOUTS.map(|layout| layout.name);
    let mut table = Table::new(
        "connect",
        "ICE: ms until usable / controlled side selected / controlling side done · datagrams, 50 ms one way",
        &columns,
    );
    fn row<P: Peer>(table: &mut Table) {
        let cells = LAYOUTS
            .iter()
            .map(|layout| course(&connect::connect::<P>(layout)));
        table.row(P::NAME, cells.collect());
    }
    row::<Floe>(&mut table);
    row::<Is>(&mut table);
    row::<Rice>(&mut table);
    row::<Rtc>(&mut table);
    table
}

fn course(course: &Course) -> Cell {
    let moments = [course.usable, course.controlled, course.controlling];
    let [Some(usable), Some(controlled), Some(controlling)] = moments else {
        return Cell::parts("never".to_owned(), &[]);
    };
    let datagrams = course.datagrams;
    Cell::parts(
        format!("{usable}/{controlled}/{controlling} · {datagrams}"),
        &[
            ("usable", usable as f64, "ms"),
            ("controlled selected", controlled as f64, "ms"),
            ("controlling done", controlling as f64, "ms"),
            ("datagrams", datagrams as f64, ""),
        ],
    )
}

/// What it takes to make an agent with sixteen sockets that learns of sixteen candidates.
#[must_use]
fn construction(effort: Effort) -> Table {
    let now = epoch();
    let mut subjects = [
        subject::<Floe>(now),
        subject::<Is>(now),
        subject::<Rice>(now),
        subject::<Rtc>(now),
    ];
    let times = quartiles_of(&mut subjects, effort.of(11, 41));
    let mut table = Table::new(
        "construction",
        "ICE: an agent with 16 × 16 candidates constructed",
        &["µs"],
    );
    for (subject, nanos) in subjects.iter().zip(times) {
        table.row(subject.name(), vec![Cell::new(nanos / 1000.0, "µs", 0)]);
    }
    table
}

fn subject<P: Peer>(now: Instant) -> Subject<'static> {
    let mut number = 0;
    Subject::slow(P::NAME, move || {
        number += 1;
        connect::construct::<P>(now, number)
    })
}
