//! The process of the server: lets the sessions join, waits until all are at rest, measures.
//!
//! ```text
//! Joining ── all have joined, and are connected at both ends ──► Settling ──► Measuring ──► Ending ──► report
//! ```

use std::io::{self, Write};
use std::time::Instant;

use crate::control::{Control, Order, Word};
use crate::fleet::{Fleet, Side};
use crate::options::Plan;
use crate::report::{Beginning, Progress, Report, Share, peak_memory};
use crate::socket::now;

/// The most sessions that are made and not yet connected at both ends: a machine that has other things to do lets fewer join.
const MOST_JOINING: usize = 1000;

enum Phase {
    Joining,
    Settling {
        since: Instant,
    },
    Measuring {
        since: Instant,
        beginning: Beginning,
    },
    Ending {
        own: Box<Share>,
    },
}

struct Server<'a, W> {
    plan: &'a Plan,
    control: Control<W>,
    fleet: Fleet,
    started: Instant,
    /// Memory of the process before its first session, bytes.
    empty: u64,
    /// Sessions that the clients have joined.
    joined: usize,
    /// Sessions that are connected at the clients' end.
    connected: usize,
    /// What the clients measured.
    theirs: Option<Box<Share>>,
}

/// Serves until there is a report.
///
/// # Errors
///
/// Of the sockets; when the clients have gone, or when it takes longer than planned.
pub(crate) fn run<W: Write>(plan: &Plan, mut control: Control<W>) -> io::Result<Report> {
    let empty = peak_memory()?;
    let fleet = Fleet::new(Side::Server, plan)?;
    control.send(&Order::Identity(fleet.fingerprint()))?;
    let mut server = Server {
        plan,
        control,
        fleet,
        started: now(),
        empty,
        joined: 0,
        connected: 0,
        theirs: None,
    };
    let mut progress = Progress::default();
    let mut phase = Phase::Joining;
    loop {
        server.listen()?;
        phase = match server.advance(phase)? {
            Phase::Ending { own } if server.theirs.is_some() => {
                let theirs = server.theirs.take().unwrap_or_default();
                return Ok(Report::new(*plan, *own, *theirs));
            }
            phase => phase,
        };
        progress.show(now(), || server.describe(&phase));
        if server.started.elapsed() > plan.patience() {
            let found = server.describe(&phase);
            return Err(io::Error::new(io::ErrorKind::TimedOut, found));
        }
        server.fleet.turn()?;
    }
}

impl<W: Write> Server<'_, W> {
    fn advance(&mut self, phase: Phase) -> io::Result<Phase> {
        let now = now();
        Ok(match phase {
            Phase::Joining if self.is_complete() => Phase::Settling { since: now },
            Phase::Joining => {
                self.invite(now)?;
                phase
            }
            Phase::Settling { since } if now - since >= self.plan.settling() => {
                self.control.send(&Order::Begin)?;
                let beginning = Beginning::of(&self.fleet)?;
                Phase::Measuring {
                    since: now,
                    beginning,
                }
            }
            Phase::Measuring { since, beginning } if now - since >= self.plan.measured => {
                self.control.send(&Order::End)?;
                let own = Share::since(&beginning, &self.fleet, self.empty)?;
                Phase::Ending { own: Box::new(own) }
            }
            phase => phase,
        })
    }

    fn is_complete(&self) -> bool {
        let all = self.plan.sessions as usize;
        self.connected == all && self.fleet.connected() == all
    }

    /// Makes the sessions that are due, and tells the clients.
    fn invite(&mut self, now: Instant) -> io::Result<()> {
        let due = (now - self.started).div_duration_f64(self.plan.join) as usize;
        let (made, all) = (self.fleet.sessions(), self.plan.sessions as usize);
        let connected = self.connected.min(self.fleet.connected());
        let due = due.min(all).min(connected + MOST_JOINING);
        let due = due.saturating_sub(made);
        if due == 0 {
            return Ok(());
        }
        let parties: io::Result<Vec<_>> = (0..due).map(|_| self.fleet.join(now)).collect();
        self.control.send(&Order::Join(parties?))
    }

    fn listen(&mut self) -> io::Result<()> {
        while let Some(word) = self.control.poll()? {
            match word {
                Word::Identity(fingerprint) => self.fleet.set_peer(&fingerprint)?,
                Word::Joined(clients) => {
                    let now = now();
                    for client in &clients {
                        self.fleet.meet(now, self.joined, client)?;
                        self.joined += 1;
                    }
                }
                Word::Connected(connected) => self.connected = connected,
                Word::Measured(share) => {
                    self.theirs = Some(share);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn describe(&self, phase: &Phase) -> String {
        let doing = match phase {
            Phase::Joining => "joining".to_owned(),
            Phase::Settling { since } => format!("settling, {:.0?}", since.elapsed()),
            Phase::Measuring { since, .. } => format!("measuring, {:.0?}", since.elapsed()),
            Phase::Ending { .. } => "waiting for the clients' figures".to_owned(),
        };
        let Self { plan, fleet, .. } = self;
        format!(
            "{:3.0} s: {} of {} sessions made, {} connected here, {} there; {doing}",
            self.started.elapsed().as_secs_f64(),
            fleet.sessions(),
            plan.sessions,
            fleet.connected(),
            self.connected,
        )
    }
}
