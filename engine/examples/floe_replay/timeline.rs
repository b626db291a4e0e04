//! The log as lanes of states, one for each machine, and marks across them.

use floe::{
    journal::{Change, Entry, Log, Machine, Record},
    recovery::{State, Trigger, reduce},
};
use std::{fmt, time::Duration};

/// What happened between the first entry and the last.
pub(crate) struct Timeline {
    pub(crate) title: String,
    /// How long the log is.
    pub(crate) length: Duration,
    /// One for each machine, in the order in which they are looked at: from the whole to its parts.
    pub(crate) lanes: Vec<Lane>,
    pub(crate) marks: Vec<Mark>,
    /// How many entries are not in the log.
    pub(crate) missing: u64,
}

/// The states of one machine, one after the other, without gaps from its first change on.
pub(crate) struct Lane {
    pub(crate) machine: Machine,
    pub(crate) spans: Vec<Span>,
}

/// One state, from when it was entered to when it was left.
pub(crate) struct Span {
    pub(crate) state: String,
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

/// Something to look at: an alert, a drift, a refused change.
pub(crate) struct Mark {
    pub(crate) at: Duration,
    pub(crate) text: String,
}

impl Timeline {
    pub(crate) fn of<I>(log: &Log<I>) -> Self {
        let last = log.entries().last();
        let length = last.map_or(Duration::ZERO, |last| last.at);
        let mut timeline = Self {
            title: last.map_or_else(|| "an empty log".into(), |last| title(last)),
            length,
            lanes: Vec::new(),
            marks: Vec::new(),
            missing: log.missing(),
        };
        log.entries().iter().for_each(|entry| timeline.add(entry));
        timeline.lanes.sort_by_key(|lane| order(lane.machine));
        for lane in &mut timeline.lanes {
            if let Some(span) = lane.spans.last_mut() {
                span.to = length;
            }
        }
        timeline
    }

    fn add<I>(&mut self, entry: &Entry<I>) {
        match &entry.record {
            Record::Transition(change) => {
                let parts = change.parts();
                let from = parts.from.map(ToString::to_string);
                let lane = self.lane(parts.machine, from);
                if let Some(span) = lane.spans.last_mut() {
                    span.to = entry.at;
                }
                lane.spans.push(Span {
                    state: parts.to.to_string(),
                    from: entry.at,
                    to: entry.at,
                });
            }
            Record::Alert { .. } | Record::Drift { .. } | Record::Refused { .. } => {
                self.marks.push(Mark {
                    at: entry.at,
                    text: entry.record.to_string(),
                });
            }
            _ => {}
        }
    }

    /// The lane of a machine. A new one begins, with the log, in the state that is left first.
    fn lane(&mut self, machine: Machine, from: Option<String>) -> &mut Lane {
        let index = self.lanes.iter().position(|lane| lane.machine == machine);
        let index = index.unwrap_or_else(|| {
            let begin = |state| Span {
                state,
                from: Duration::ZERO,
                to: Duration::ZERO,
            };
            self.lanes.push(Lane {
                machine,
                spans: from.map(begin).into_iter().collect(),
            });
            self.lanes.len() - 1
        });
        &mut self.lanes[index]
    }
}

fn title<I>(last: &Entry<I>) -> String {
    let entries = last.number + 1;
    let seconds = last.at.as_secs_f64();
    format!(
        "session {}, {entries} entries, {seconds:.3} s",
        last.session
    )
}

/// Recovery first, then what it looks at, then what that is made of.
fn order(machine: Machine) -> u8 {
    match machine {
        Machine::Recovery => 0,
        Machine::Connection => 1,
        Machine::Signaling => 2,
        Machine::IceConnection => 4,
        Machine::IceGathering => 5,
        Machine::IceTransport(_) => 6,
        Machine::IceGatherer(_) => 7,
        Machine::DtlsTransport(_) => 8,
        _ => 3,
    }
}

/// An entry that recovery's table does not lead to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Diverged {
    number: u64,
    recorded: State,
    replayed: State,
}

impl std::error::Error for Diverged {}

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            recorded,
            replayed,
        } = self;
        write!(
            f,
            "entry {number}: recorded {recorded}, but the table leads to {replayed}"
        )
    }
}

/// Runs recovery's triggers through its table again. How many there were, if all led where they are recorded to have led.
pub(crate) fn replay<I>(log: &Log<I>) -> Result<usize, Diverged> {
    let mut state = None;
    let mut triggers = 0;
    for entry in log.entries() {
        let (before, action, after) = match entry.record {
            Record::Transition(Change::Recovery {
                from, to, action, ..
            }) => (from, action, to),
            Record::Ignored { state, action } => (state, action, state),
            _ => continue,
        };
        let agree = |recorded, replayed| match recorded == replayed {
            true => Ok(()),
            false => Err(Diverged {
                number: entry.number,
                recorded,
                replayed,
            }),
        };
        agree(before, state.unwrap_or(before))?;
        // Closing works in every state, beside the table.
        let replayed = match action {
            Trigger::Close if after == State::New => State::New,
            action => reduce(before, action),
        };
        agree(after, replayed)?;
        state = Some(after);
        triggers += 1;
    }
    Ok(triggers)
}
