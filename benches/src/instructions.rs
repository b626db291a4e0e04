//! The hot paths as a tool that counts instructions sees them: each beside the floor of its cryptography.
//!
//! Nanoseconds are the machine's, and a few percent more of them mean nothing on a shared one; instructions are the program's. Callgrind
//! runs them one by one, on a processor of its own that knows no SHA-NI, so that a SHA-1 block is many more there than
//! it is here, but as many in the floor as in what is measured by it: the difference is floe's own.
//!
//! [`run`] is what happens under [`callgrind`]. Each row first does its floor and then itself; what is counted is what happens in
//! [`seen_by_callgrind`], and `part_ends` closes the account.

pub mod callgrind;
mod endpoint;
pub mod reference;

use std::hint::black_box;

use floe_dtls::{CryptoBackend, NamedGroup, ProtocolVersion};

use crate::call::epoch;
use crate::codec::Codec;
use crate::connect::construct;
use crate::dtls::{
    Floe as FloeDtls, Implementation as _, Part, RECORDS, Records, V12, V13, record_floor,
};
use crate::keepalive::{CALLS, Calls, FLOOD, Floor, Measure, Step, calls};
use crate::peers::Floe;

/// How often each is done, at least.
const TIMES: u32 = 128;

/// What a call takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    /// What is done.
    pub name: String,
    /// floe's own instructions: all of them less the floor's.
    pub own: f64,
    /// The floor's.
    pub floor: f64,
    /// Cache lines of data that come from memory.
    pub lines: f64,
}

/// The instructions of what is run in here are counted, those of nothing else.
#[inline(never)]
pub fn seen_by_callgrind(run: &mut dyn FnMut()) {
    run();
    // Not a jump to it: who counts is to see this function return.
    black_box(run);
}

/// What was counted until here belongs together.
#[inline(never)]
fn part_ends(times: u32) -> u32 {
    black_box(times)
}

/// All rows; says on the standard output what they are called and how often each is done.
pub fn run() {
    codec();
    agent();
    endpoint::run();
    records(V12);
    records(V13);
}

/// A row: its floor and what it does itself. Either says how often it has done it.
fn row(name: &str, floor: impl FnOnce() -> u32, work: impl FnOnce() -> u32) {
    let of_floor = part_ends(floor());
    let of_work = part_ends(work());
    println!("{of_floor}\t{of_work}\t{name}");
}

/// Each call is counted by itself.
fn repeat<R>(mut run: impl FnMut() -> R) -> u32 {
    for _ in 0..TIMES {
        seen_by_callgrind(&mut || {
            black_box(run());
        });
    }
    TIMES
}

/// The floor of what has no cryptography: to be counted at all.
fn nothing() -> u32 {
    repeat(|| ())
}

fn codec() {
    let codec = Codec::default();
    let [mut floor, mut out] = [[0; 128]; 2];
    row(
        "STUN: request answered",
        || repeat(|| codec.floor(&mut floor)),
        || repeat(|| codec.floe(&mut out)),
    );
    row("STUN: message parsed", nothing, || repeat(|| codec.parse()));
    row("STUN: wrong username", nothing, || {
        repeat(|| codec.wrong_username())
    });
}

fn agent() {
    let mut agents = calls::<Floe>();
    let mut floor = Floor::of(agents.sizes());
    for (name, step) in [
        ("agent: request in, response out", Step::Answer),
        ("agent: own check from the timer", Step::Check),
        ("agent: its response handled", Step::Handle),
    ] {
        row(
            name,
            || consent(&mut floor, step),
            || consent(&mut *agents, step),
        );
    }
    for (name, step) in [
        ("agent: wrong username", Step::WrongUsername),
        ("agent: unknown transaction", Step::UnknownTransaction),
    ] {
        row(name, nothing, || refuse(&mut *agents, step));
    }
    row(
        "agent: forged MAC",
        || refuse(&mut floor, Step::ForgedMac),
        || refuse(&mut *agents, Step::ForgedMac),
    );
    let (now, mut number) = (epoch(), 0);
    let pair = || {
        number += 1;
        construct::<Floe>(now, number)
    };
    row("agent: 16 × 16 candidates paired", nothing, || {
        repeat(pair)
    });
}

fn refuse(calls: &mut dyn Calls, step: Step) -> u32 {
    calls.step(step, Measure::Instructions);
    CALLS * FLOOD
}

/// All steps of consent, of which one is counted: each needs the others.
fn consent(calls: &mut dyn Calls, counted: Step) -> u32 {
    for _ in 0..TIMES / CALLS {
        for step in [Step::Answer, Step::Check, Step::Handle] {
            let what = match step == counted {
                true => Measure::Instructions,
                false => Measure::Time,
            };
            calls.step(step, what);
        }
        calls.other_way();
    }
    TIMES
}

/// Records of one version, on `ring`.
fn records(version: ProtocolVersion) {
    let backend = CryptoBackend::Ring;
    let floe = FloeDtls::new(version, backend, NamedGroup::X25519, 1400);
    for (part, what) in [(Part::Seal, "sealed"), (Part::Open, "opened")] {
        for size in [100, 1200] {
            let (mut floor, mut records) =
                (record_floor(version, backend, size), floe.records(size));
            let count = |records: &mut dyn Records| {
                records.turn(&mut |which, work| {
                    match which == part {
                        true => seen_by_callgrind(work),
                        false => work(),
                    }
                    0.0
                });
                RECORDS
            };
            row(
                &format!("{version}: {size} bytes {what}"),
                || count(&mut *floor),
                || count(&mut *records),
            );
        }
    }
}
