//! What the benchmarks share: the side-by-side tables, and the peers behind the same few verbs.
//!
//! Criterion measures one subject after the other, and between two of them a shared machine may have changed its speed. The
//! claims this project makes are ratios, so the program `compare` measures them as such: all subjects take turns within
//! milliseconds, many times over ([`quartiles`]), and each reports the lower quartile of its turns.
//!
//! Without the feature `peers`, which is on by default, there is floe alone: enough to count its [`instructions`], and built in a fraction
//! of the time.

pub mod call;
pub mod codec;
#[cfg(feature = "peers")]
pub mod compare;
pub mod connect;
pub mod dtls;
pub mod endpoint;
#[cfg(feature = "peers")]
pub mod figures;
pub mod floor;
pub mod handshake;
pub mod instructions;
pub mod keepalive;
pub mod lives;
pub mod machine;
pub mod page;
pub mod peers;
pub mod random;
pub mod report;
pub mod scale;
pub mod sessions;
pub mod steering;
pub mod tail;
pub mod verdict;

use std::borrow::Cow;
use std::{hint::black_box, time::Instant};

/// How many turns each subject gets.
const TURNS: usize = 401;

/// Calls per turn: some tens of microseconds for a subject of a few hundred nanoseconds.
const CALLS_PER_TURN: u32 = 200;

/// Calls per turn of a subject of tens or hundreds of microseconds.
const SLOW_CALLS_PER_TURN: u32 = 8;

/// One line of the table: a name, and what is to be measured.
pub struct Subject<'a> {
    name: Cow<'static, str>,
    calls: u32,
    run: Box<dyn FnMut() + 'a>,
}

impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Subject").field(&self.name).finish()
    }
}

impl<'a> Subject<'a> {
    /// A subject whose result is kept from being optimised away.
    pub fn new<R>(name: impl Into<Cow<'static, str>>, run: impl FnMut() -> R + 'a) -> Self {
        Self::repeated(name, CALLS_PER_TURN, run)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One that takes so long that a few calls make a turn: not a single one, which would pay for what the subject before
    /// it left in the caches.
    pub fn slow<R>(name: impl Into<Cow<'static, str>>, run: impl FnMut() -> R + 'a) -> Self {
        Self::repeated(name, SLOW_CALLS_PER_TURN, run)
    }

    fn repeated<R>(
        name: impl Into<Cow<'static, str>>,
        calls: u32,
        mut run: impl FnMut() -> R + 'a,
    ) -> Self {
        let run = Box::new(move || {
            for _ in 0..calls {
                black_box(run());
            }
        });
        Self {
            name: name.into(),
            calls,
            run,
        }
    }
}

/// Measures all subjects in turn: the lower quartile of each, in nanoseconds per call.
pub fn quartiles(subjects: &mut [Subject<'_>]) -> Vec<f64> {
    quartiles_of(subjects, TURNS)
}

/// The same with another number of turns.
pub fn quartiles_of(subjects: &mut [Subject<'_>], count: usize) -> Vec<f64> {
    let mut turns = vec![Vec::with_capacity(count); subjects.len()];
    for _ in 0..count {
        for (subject, turns) in subjects.iter_mut().zip(&mut turns) {
            turns.push(nanoseconds(&mut subject.run) / f64::from(subject.calls));
        }
    }
    turns.into_iter().map(quartile).collect()
}

/// Heap allocations per call of each.
pub fn allocations(subjects: &mut [Subject<'_>]) -> Vec<f64> {
    let count = |subject: &mut Subject<'_>| {
        let counted = allocation_counter::measure(&mut subject.run);
        counted.count_total as f64 / f64::from(subject.calls)
    };
    subjects.iter_mut().map(count).collect()
}

/// Nanoseconds that something takes, once; its allocations are not counted meanwhile.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where real time is measured"
)]
pub fn nanoseconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    allocation_counter::opt_out(run);
    start.elapsed().as_nanos() as f64
}

/// The middle one: of turns that have more and less to do.
#[must_use]
pub fn median(turns: Vec<f64>) -> f64 {
    at(turns, 0.5)
}

/// The lower quartile: of turns with the same to do. Who shares the core with them slows many down, and makes none faster.
#[must_use]
pub fn quartile(turns: Vec<f64>) -> f64 {
    at(turns, 0.25)
}

fn at(mut turns: Vec<f64>, share: f64) -> f64 {
    turns.sort_by(f64::total_cmp);
    let place = (turns.len() as f64 * share) as usize;
    turns.get(place).copied().unwrap_or(f64::NAN)
}
