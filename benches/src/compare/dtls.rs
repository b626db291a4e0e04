//! The tables of DTLS.

use std::io;

use floe_dtls::{CryptoBackend, NamedGroup, ProtocolVersion};

use super::{Effort, in_a_process_of_its_own};
use crate::dtls::{
    Dimpl, Floe, Implementation, OpenSsl, Records, Rtc, Turn, V12, V13, record_floor,
};
use crate::handshake::HandshakeFloor;
use crate::report::{Cell, Table};
use crate::tail::{self, Place};
use crate::{Subject, quartile, quartiles_of};

use CryptoBackend::{AwsLcRs, Ring};
const X25519: NamedGroup = NamedGroup::X25519;
const P256: NamedGroup = NamedGroup::SECP256R1;
const HYBRID: NamedGroup = NamedGroup::X25519MLKEM768;

/// Of a datagram, in bytes.
const MTU: u16 = 1200;

type Boxed = Box<dyn Implementation>;

/// A floor, and whoever is measured by it, in turn.
fn handshake_groups() -> Vec<(CryptoBackend, NamedGroup, Vec<Boxed>)> {
    let mtu = usize::from(MTU);
    let floe =
        |version, backend, group| -> Boxed { Box::new(Floe::new(version, backend, group, mtu)) };
    let floes = |backend, group| vec![floe(V12, backend, group), floe(V13, backend, group)];
    let dimpl = |version, group| -> Boxed { Box::new(Dimpl::new(version, group, mtu)) };
    // Those of the peers leave caches and heap otherwise than they found them, so they come after floe's.
    vec![
        (Ring, X25519, floes(Ring, X25519)),
        (Ring, P256, floes(Ring, P256)),
        (AwsLcRs, X25519, floes(AwsLcRs, X25519)),
        (AwsLcRs, P256, floes(AwsLcRs, P256)),
        (AwsLcRs, HYBRID, vec![floe(V13, AwsLcRs, HYBRID)]),
        (
            AwsLcRs,
            X25519,
            vec![dimpl(V12, X25519), dimpl(V13, X25519)],
        ),
        (AwsLcRs, P256, vec![dimpl(V12, P256), dimpl(V13, P256)]),
        (
            Ring,
            P256,
            vec![Box::new(Rtc::new(mtu)), Box::new(OpenSsl::new(MTU.into()))],
        ),
    ]
}

/// A whole mutual handshake.
#[must_use]
pub(super) fn handshakes(effort: Effort) -> Table {
    let mut table = Table::new(
        "handshakes",
        "DTLS: full mutual handshake, both sides",
        &[
            "CPU, µs (× its floor)",
            "allocations, client / server",
            "flights",
        ],
    );
    for (backend, group, stacks) in handshake_groups() {
        let floor = HandshakeFloor::new(backend, group);
        let mut subjects = vec![Subject::slow("floor", || floor.run())];
        let stacks = stacks.iter();
        subjects.extend(
            stacks
                .clone()
                .map(|stack| Subject::slow(stack.name(), || stack.handshake())),
        );
        let times = quartiles_of(&mut subjects, effort.of(31, 401));
        let name = name_of(backend);
        let measured = table
            .rows()
            .any(|row| row == format!("floor, {name}, {group}"));
        if !measured {
            let cells = vec![
                Cell::micros_over(times[0], times[0]),
                Cell::none(),
                Cell::none(),
            ];
            table.row(&format!("floor, {name}, {group}"), cells);
        }
        for (stack, time) in stacks.zip(&times[1..]) {
            let cost = stack.cost();
            let [client, server] = cost.allocations.map(|count| count as f64);
            let allocations = Cell::parts(
                format!("{client:.0} / {server:.0}"),
                &[("client", client, ""), ("server", server, "")],
            );
            let flights = Cell::new(cost.flights.into(), "", 0);
            table.row(
                &stack.name(),
                vec![Cell::micros_over(*time, times[0]), allocations, flights],
            );
        }
    }
    table
}

/// What the floor of records depends on; there is no other cipher here than AES-128-GCM.
type Means = (ProtocolVersion, CryptoBackend);

/// All that there are.
const MEANS: [Means; 4] = [(V12, Ring), (V13, Ring), (V12, AwsLcRs), (V13, AwsLcRs)];

/// All that have application data, with datagrams of so many bytes.
fn stacks(mtu: u16) -> Vec<(Means, Boxed)> {
    let bytes = usize::from(mtu);
    let floe = |(version, backend): Means| -> Boxed {
        Box::new(Floe::new(version, backend, X25519, bytes))
    };
    let mut stacks: Vec<_> = MEANS.map(|means| (means, floe(means))).into();
    // OpenSSL's cipher is its own: it is measured by the floor of `ring`.
    let peers: [(Means, Boxed); 4] = [
        ((V12, AwsLcRs), Box::new(Dimpl::new(V12, X25519, bytes))),
        ((V13, AwsLcRs), Box::new(Dimpl::new(V13, X25519, bytes))),
        ((V12, Ring), Box::new(Rtc::new(bytes))),
        ((V12, Ring), Box::new(OpenSsl::new(mtu.into()))),
    ];
    stacks.extend(peers);
    stacks
}

/// Plaintext sizes.
const SIZES: [usize; 2] = [1200, 100];

/// Application records.
#[must_use]
pub(super) fn records(effort: Effort) -> Table {
    let mut table = Table::new(
        "records",
        "DTLS: application data, AES-128-GCM, ns (× floor) / heap allocations",
        &[
            "seal 1200 bytes",
            "open 1200 bytes",
            "seal 100 bytes",
            "open 100 bytes",
        ],
    );
    // Records of 1200 bytes of data are to fit.
    let stacks = stacks(1400);
    let mut all = SIZES.map(|size| {
        let floors = MEANS.map(|(version, backend)| record_floor(version, backend, size));
        let stacks = stacks.iter().map(|(_, stack)| stack.records(size));
        floors.into_iter().chain(stacks).collect::<Vec<_>>()
    });
    let turns = all
        .each_mut()
        .map(|records| turns(records, effort.of(101, 801)));
    let mut row = |index: usize, name: &str, floor: usize| {
        let mut cells = Vec::new();
        for (turns, records) in turns.iter().zip(&mut all) {
            let allocations = records[index].allocations();
            let (turn, floor) = (turns[index], turns[floor]);
            cells.push(Cell::over(turn.seal, floor.seal).and_allocations(allocations.seal));
            cells.push(Cell::over(turn.open, floor.open).and_allocations(allocations.open));
        }
        table.row(name, cells);
    };
    for (index, (version, backend)) in MEANS.iter().enumerate() {
        let backend = match backend {
            Ring => "ring",
            _ => "aws-lc-rs",
        };
        row(index, &format!("floor, {version}, {backend}"), index);
    }
    for (index, (means, stack)) in stacks.iter().enumerate() {
        let floor = MEANS.iter().position(|known| known == means);
        row(index + MEANS.len(), &stack.name(), floor.unwrap_or(0));
    }
    table
}

/// Medians of subjects that take turns.
fn turns(all: &mut [Box<dyn Records>], count: usize) -> Vec<Turn> {
    let mut times = vec![(Vec::new(), Vec::new()); all.len()];
    for _ in 0..count {
        for (records, (seal, open)) in all.iter_mut().zip(&mut times) {
            let turn = records.time();
            seal.push(turn.seal);
            open.push(turn.open);
        }
    }
    let turn = |(seal, open)| Turn {
        seal: quartile(seal),
        open: quartile(open),
    };
    times.into_iter().map(turn).collect()
}

/// One implementation's memory: its name, and how many pairs.
pub(super) const MEMORY: &str = "dtls-memory";

pub(super) fn one_memory(arguments: &[String]) -> Option<Vec<f64>> {
    let [name, pairs] = arguments else {
        return None;
    };
    let stacks = stacks(MTU);
    let (_, stack) = stacks.iter().find(|(_, stack)| stack.name() == *name)?;
    let memory = stack.memory(pairs.parse().ok()?);
    Some(vec![memory.resident, memory.counted])
}

/// What an established side takes, each implementation in a process of its own.
///
/// # Errors
///
/// When this program cannot be started once more.
pub(super) fn memory(effort: Effort) -> io::Result<Table> {
    let mut table = Table::new(
        "memory",
        "DTLS: memory per established side, bytes",
        &["resident", "of it the machine and Rust's heap, counted"],
    );
    let pairs = effort.of(1000, 10_000).to_string();
    for (_, stack) in stacks(MTU) {
        let figures = in_a_process_of_its_own(&[MEMORY, &stack.name(), &pairs])?;
        if let [resident, counted] = *figures {
            let bytes = |value| Cell::new(value, "bytes", 0);
            // OpenSSL has nothing in Rust's heap but what its adapter keeps there.
            let counted = match is_openssl(&stack) {
                true => Cell::none(),
                false => bytes(counted),
            };
            table.row(&stack.name(), vec![bytes(resident), counted]);
        }
    }
    Ok(table)
}

/// Handshakes where datagrams get lost.
#[must_use]
pub(super) fn loss(effort: Effort) -> Table {
    let mut table = Table::new(
        "loss",
        "DTLS: handshake under random loss, 50 ms one way: median / 99th percentile, ms; failures",
        &["no loss", "10 %", "30 %"],
    );
    let seeds = effort.of(100, 1000) as u64;
    for (_, stack) in stacks(MTU) {
        // OpenSSL has no virtual time, and which backend it is makes no difference.
        if stack.name().contains("OpenSSL")
            || stack.name().contains("floe") && stack.name().contains("aws")
        {
            continue;
        }
        let cell = |loss| {
            let courses: Vec<_> = (0..seeds).map(|seed| stack.course(loss, seed)).collect();
            cell_of(&courses)
        };
        table.row(&stack.name(), [0.0, 0.1, 0.3].map(cell).to_vec());
    }
    table
}

fn is_openssl(stack: &Boxed) -> bool {
    stack.name().starts_with("OpenSSL")
}

fn cell_of(courses: &[Option<u64>]) -> Cell {
    let mut took: Vec<u64> = courses.iter().copied().flatten().collect();
    took.sort_unstable();
    let failures = courses.len() - took.len();
    let quantile = |share: f64| {
        let index = (took.len() as f64 * share).ceil() as usize;
        took.get(index.saturating_sub(1)).copied().unwrap_or(0)
    };
    let (median, late) = (quantile(0.5), quantile(0.99));
    Cell::parts(
        format!("{median} / {late}; {failures}"),
        &[
            ("median", median as f64, "ms"),
            ("99th percentile", late as f64, "ms"),
            ("failures", failures as f64, ""),
        ],
    )
}

/// What a burst of handshakes does to the datagrams behind it (T71).
#[must_use]
pub(super) fn tail(effort: Effort) -> Table {
    let mut table = Table::new(
        "tail",
        "Beside a burst of 64 handshakes: how long a datagram waits and takes, µs, median / p99.9",
        &["media", "an application record", "a consent check"],
    );
    let places = [
        (Place::Nowhere, "no handshakes"),
        (Place::Same, "on the same endpoint"),
        (Place::Other, "on another endpoint"),
    ];
    let rounds = if effort == Effort::Quick { 2 } else { 5 };
    for kind in tail::KINDS {
        for (place, name) in places {
            let waits = tail::waits(kind, place, rounds);
            let (version, backend, group) = kind;
            let backend = name_of(backend);
            let row = format!("{version}, {backend}, {group}: {name}");
            table.row(&row, waits.iter().map(|waits| tail_of(waits)).collect());
        }
    }
    table
}

/// Of waits in nanoseconds, the shortest first.
fn tail_of(waits: &[f64]) -> Cell {
    let at = |share: f64| {
        let index = (waits.len() as f64 * share) as usize;
        waits.get(index).map_or(f64::NAN, |nanos| nanos / 1000.0)
    };
    let [median, tail] = [0.5, 0.999].map(at);
    Cell::parts(
        format!("{median:.1} / {tail:.1}"),
        &[("median", median, "µs"), ("p99.9", tail, "µs")],
    )
}

fn name_of(backend: CryptoBackend) -> &'static str {
    match backend {
        Ring => "ring",
        _ => "aws-lc-rs",
    }
}
