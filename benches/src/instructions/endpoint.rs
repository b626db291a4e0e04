//! The rows of the endpoint: what it does for one datagram, for a deadline, and for a session that comes and goes.

use std::hint::black_box;

use super::{TIMES, nothing, repeat, row, seen_by_callgrind};
use crate::endpoint::{self, Aggregates, BATCH, Checks, Demux, Visits};
use crate::keepalive::{CALLS, Calls as _, FLOOD, Floor, Measure, Step as FloorStep};
use crate::lives::Lives;
use crate::sessions::{Kind, OwnChecks, Sessions};
use crate::steering::{self, Steered};

/// Sessions beside the one that is busy.
const SESSIONS: u32 = 64;

/// More than the processor of [`callgrind`](super::callgrind) has room for.
const COLD: u32 = 2048;

pub(super) fn run() {
    let mut sessions = Sessions::connect_repeatably(SESSIONS, Kind::Dtls);
    answers(&mut sessions, Visits::Warm, "");
    own_checks(&mut sessions, "");
    forged(&mut sessions);
    demux(&mut sessions);
    let mut sessions = Sessions::connect_repeatably(COLD, Kind::Ice);
    answers(&mut sessions, Visits::Cold, ", cold");
    own_checks(&mut sessions, ", cold");
    steering();
    lives();
}

fn answers(sessions: &mut Sessions, visits: Visits, how: &str) {
    let mut checks = Checks::new(sessions, visits);
    let sizes = checks.sizes;
    row(
        &format!("endpoint: request in, response out{how}"),
        || floor(sizes, FloorStep::Answer),
        || {
            for _ in 0..TIMES {
                checks.receive();
                seen_by_callgrind(&mut || {
                    black_box(checks.answer(sessions));
                });
            }
            TIMES
        },
    );
    row(
        &format!("endpoint: the same in batches of 64{how}"),
        || floor(sizes, FloorStep::Answer),
        || {
            for _ in 0..TIMES as usize / BATCH {
                checks.receive_batch();
                seen_by_callgrind(&mut || checks.answer_batch(sessions));
            }
            TIMES
        },
    );
}

fn floor(sizes: (usize, usize), step: FloorStep) -> u32 {
    let mut floor = Floor::of(sizes);
    for _ in 0..TIMES / CALLS {
        floor.step(step, Measure::Instructions);
    }
    TIMES
}

fn own_checks(sessions: &mut Sessions, how: &str) {
    let sizes = Checks::new(sessions, Visits::Warm).sizes;
    for (name, part, step) in [
        (
            "endpoint: own check from its deadline",
            OwnChecks::Sent,
            FloorStep::Check,
        ),
        (
            "endpoint: its response handled",
            OwnChecks::Answered,
            FloorStep::Handle,
        ),
    ] {
        row(
            &format!("{name}{how}"),
            || floor(sizes, step),
            || part_of_own_checks(sessions, part),
        );
    }
}

fn forged(sessions: &mut Sessions) {
    let mut forged = Checks::forged(sessions, Visits::Warm);
    let sizes = Checks::new(sessions, Visits::Warm).sizes;
    row(
        "endpoint: check with a forged MAC",
        // Of a check, not of an answer: what a refusal takes at least.
        || floor(sizes, FloorStep::ForgedMac) * FLOOD,
        || {
            for _ in 0..TIMES {
                forged.receive();
                seen_by_callgrind(&mut || forged.refuse(sessions));
            }
            TIMES
        },
    );
}

fn part_of_own_checks(sessions: &mut Sessions, part: OwnChecks) -> u32 {
    let turns = sessions.own_checks(TIMES.into(), |which, work| {
        match which == part {
            true => seen_by_callgrind(work),
            false => work(),
        }
        0.0
    });
    turns.iter().map(|turn| turn.count as u32).sum()
}

fn demux(sessions: &mut Sessions) {
    let mut demux = Demux::new(sessions, Visits::Warm);
    for (name, step) in endpoint::STEPS {
        if step != endpoint::Step::HashMap {
            row(&format!("endpoint: {name}"), nothing, || {
                repeat(|| demux.step(sessions, step))
            });
        }
    }
    let mut aggregates = Aggregates::new(sessions);
    row("aggregates of three transports updated", nothing, || {
        repeat(|| aggregates.update(sessions.now))
    });
}

fn steering() {
    let mut steered = Steered::new(SESSIONS, Visits::Warm);
    for (name, step) in steering::STEPS {
        if step != steering::Step::HashMap {
            row(&format!("steering: {name}"), nothing, || {
                repeat(|| steered.step(step))
            });
        }
    }
}

/// One after the other, beside some that stay.
fn lives() {
    let mut crowd = Lives::new();
    crowd.make(SESSIONS);
    for (name, step) in [
        ("endpoint: session made", Lives::make_one as fn(&mut Lives)),
        (
            "endpoint: session moved, detached and attached",
            Lives::move_one,
        ),
        ("endpoint: session removed", Lives::remove_one),
    ] {
        row(name, nothing, || repeat(|| step(&mut crowd)));
    }
}
