//! What a process did in a stretch of time, and how both are shown.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use floe::ice;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

use crate::fleet::Fleet;
use crate::options::{Dtls, Plan};
use crate::socket::now;

/// What had been counted when a measurement began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning {
    at: Instant,
    checks: Checks,
    time: Processor,
    unsent: u64,
}

/// Consent checks of all agents of a process.
#[derive(Debug, Clone, Copy, Default)]
struct Checks {
    /// Asked by them.
    sent: u64,
    /// Of those, answered.
    confirmed: u64,
    /// Asked by the peers, and answered by them.
    answered: u64,
}

/// Processor time of a process, of all its threads.
#[derive(Debug, Clone, Copy, Default)]
struct Processor {
    user: Duration,
    kernel: Duration,
}

/// What one process did while it was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Share {
    /// Seconds measured.
    pub(crate) seconds: f64,
    /// Sessions at the end.
    pub(crate) sessions: usize,
    /// Of those, with consent.
    pub(crate) connected: usize,
    /// Consent checks sent.
    pub(crate) sent: u64,
    /// Answers to them that came.
    pub(crate) confirmed: u64,
    /// Consent checks of the peers that were answered.
    pub(crate) answered: u64,
    /// Datagrams that the system did not take.
    pub(crate) unsent: u64,
    /// Processor time of the process, seconds.
    pub(crate) user: f64,
    /// The same of the kernel on its behalf; on loopback that includes the delivery of what it sends.
    pub(crate) kernel: f64,
    /// From a check to its answer, each session's latest, seconds: the median and the 99th percentile.
    pub(crate) response_median: f64,
    pub(crate) response_p99: f64,
    /// Bytes in RAM at the peak, beyond those before the first session.
    pub(crate) memory: u64,
}

impl Beginning {
    pub(crate) fn of(fleet: &Fleet) -> io::Result<Self> {
        Ok(Self {
            at: now(),
            checks: Checks::of(fleet),
            time: Processor::used()?,
            unsent: fleet.unsent(),
        })
    }
}

impl Checks {
    fn of(fleet: &Fleet) -> Self {
        let mut all = Self::default();
        for stats in fleet.agents().map(ice::Agent::stats) {
            all.sent += stats.consent_requests_sent;
            all.confirmed += stats.responses_received;
            all.answered += stats.responses_sent;
        }
        all
    }
}

impl Processor {
    fn used() -> io::Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let micros = |time: i64| Duration::from_micros(time.unsigned_abs());
        Ok(Self {
            user: micros(usage.user_time().num_microseconds()),
            kernel: micros(usage.system_time().num_microseconds()),
        })
    }
}

impl Share {
    /// `empty`: the [`peak_memory`] before the first session.
    pub(crate) fn since(beginning: &Beginning, fleet: &Fleet, empty: u64) -> io::Result<Self> {
        // First what goes on while the rest is counted.
        let (at, time) = (now(), Processor::used()?);
        let checks = Checks::of(fleet);
        let mut responses: Vec<Duration> = fleet.agents().filter_map(response_time).collect();
        responses.sort_unstable();
        let rank = |part: f64| {
            let place = (responses.len() as f64 * part) as usize;
            responses.get(place).map_or(0.0, Duration::as_secs_f64)
        };
        Ok(Self {
            seconds: (at - beginning.at).as_secs_f64(),
            sessions: fleet.sessions(),
            connected: fleet.connected(),
            sent: checks.sent - beginning.checks.sent,
            confirmed: checks.confirmed - beginning.checks.confirmed,
            answered: checks.answered - beginning.checks.answered,
            unsent: fleet.unsent() - beginning.unsent,
            user: (time.user - beginning.time.user).as_secs_f64(),
            kernel: (time.kernel - beginning.time.kernel).as_secs_f64(),
            response_median: rank(0.5),
            response_p99: rank(0.99),
            memory: peak_memory()?.saturating_sub(empty),
        })
    }

    /// Checks that went through this process, its own and its peers'.
    fn checks(&self) -> f64 {
        (self.sent + self.answered) as f64
    }

    /// The part of its checks that got no answer. What is still under way at the end is made up for by what was at the beginning.
    pub(crate) fn loss(&self) -> f64 {
        let lost = self.sent.saturating_sub(self.confirmed);
        lost as f64 / self.sent.max(1) as f64
    }
}

/// The latest on the pair in use.
fn response_time(agent: &ice::Agent) -> Option<Duration> {
    let selected = agent.selected_candidate_pair()?;
    let mut pairs = agent.candidate_pairs();
    let stats = pairs.find(|stats| stats.pair.id == selected.id)?;
    stats.current_round_trip_time
}

/// The most memory that this process has had in RAM, bytes.
pub(crate) fn peak_memory() -> io::Result<u64> {
    let kibibytes = getrusage(UsageWho::RUSAGE_SELF)?.max_rss();
    Ok(kibibytes.unsigned_abs() * 1024)
}

/// A row's name, and what it says of one process.
type Row = (&'static str, fn(&Share) -> String);

/// What both did.
pub(crate) struct Report {
    plan: Plan,
    pub(crate) server: Share,
    pub(crate) clients: Share,
}

impl Report {
    pub(crate) fn new(plan: Plan, server: Share, clients: Share) -> Self {
        Self {
            plan,
            server,
            clients,
        }
    }

    fn rows() -> [Row; 14] {
        [
            ("sessions", |s| s.sessions.to_string()),
            ("connected at the end", |s| s.connected.to_string()),
            ("checks sent /s", |s| per_second(s.sent, s)),
            ("checks answered /s", |s| per_second(s.answered, s)),
            ("CPU per check, µs", |s| per_check(s.user + s.kernel, s)),
            ("  in user mode", |s| per_check(s.user, s)),
            ("  in the kernel", |s| per_check(s.kernel, s)),
            ("  user / kernel", |s| {
                format!("{:.2}", s.user / s.kernel.max(1e-6))
            }),
            ("busy, % of a core", |s| {
                format!("{:.0}", (s.user + s.kernel) / s.seconds.max(1e-6) * 100.0)
            }),
            ("checks without an answer, %", |s| {
                format!("{:.3}", s.loss() * 100.0)
            }),
            ("datagrams not taken", |s| s.unsent.to_string()),
            ("response time, median, ms", |s| millis(s.response_median)),
            ("response time, p99, ms", |s| millis(s.response_p99)),
            ("memory per session, bytes", |s| {
                (s.memory / s.sessions.max(1) as u64).to_string()
            }),
        ]
    }
}

fn per_second(count: u64, share: &Share) -> String {
    format!("{:.0}", count as f64 / share.seconds.max(1e-6))
}

/// A check asked or answered is two datagrams, one each way.
fn per_check(seconds: f64, share: &Share) -> String {
    format!("{:.2}", seconds * 1e6 / share.checks().max(1.0))
}

fn millis(seconds: f64) -> String {
    format!("{:.3}", seconds * 1e3)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = match self.plan.dtls {
            Dtls::Unused => "ICE alone",
            Dtls::Established => "ICE, DTLS established",
        };
        writeln!(
            f,
            "{} sessions, {with}, a check from each side every {:?}, measured for {:.1} s\n",
            self.plan.sessions, self.plan.interval, self.server.seconds
        )?;
        writeln!(f, "{:<30}{:>12}{:>12}", "", "server", "clients")?;
        for (name, value) in Self::rows() {
            let (server, clients) = (value(&self.server), value(&self.clients));
            writeln!(f, "{name:<30}{server:>12}{clients:>12}")?;
        }
        Ok(())
    }
}

/// A line a second on standard error.
#[derive(Default)]
pub(crate) struct Progress {
    shown: Option<Instant>,
}

impl Progress {
    pub(crate) fn show(&mut self, now: Instant, line: impl FnOnce() -> String) {
        let due = |shown: Instant| now - shown >= Duration::from_secs(1);
        if self.shown.is_none_or(due) {
            self.shown = Some(now);
            eprintln!("{}", line());
        }
    }
}
