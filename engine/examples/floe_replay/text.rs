//! The time line, printed: every entry, then how long each machine was in which state.

use crate::timeline::{Lane, Timeline};
use floe::journal::{Entry, Log, Record};
use std::{
    io::{self, Write},
    time::Duration,
};

pub(crate) fn write(
    log: &Log<serde_json::Value>,
    timeline: &Timeline,
    mut to: impl Write,
) -> io::Result<()> {
    writeln!(to, "{}", timeline.title)?;
    if timeline.missing > 0 {
        writeln!(to, "{} entries are missing", timeline.missing)?;
    }
    writeln!(to)?;
    log.entries()
        .iter()
        .try_for_each(|entry| writeln!(to, "{}", line(entry)))?;
    writeln!(to)?;
    timeline
        .lanes
        .iter()
        .try_for_each(|lane| writeln!(to, "{}", summary(lane)))
}

/// "  +20.000  recovery        connected → disconnected  TRANSPORT_FLAP, …", with a "!" before what is to be looked at.
fn line(entry: &Entry<serde_json::Value>) -> String {
    let at = entry.at.as_secs_f64();
    let rest = match &entry.record {
        Record::Transition(change) => {
            let parts = change.parts();
            let from = parts
                .from
                .map(|from| format!("{from} "))
                .unwrap_or_default();
            let step = format!("{from}→ {}", parts.to);
            let why: Vec<String> = [parts.action, parts.cause]
                .into_iter()
                .flatten()
                .map(ToString::to_string)
                .collect();
            let machine = parts.machine.to_string();
            format!("  {machine:<15} {step:<32} {}", why.join(", "))
        }
        Record::Input { input } => format!("  given           {input}"),
        Record::Alert { .. } | Record::Drift { .. } | Record::Refused { .. } => {
            format!("! {}", entry.record)
        }
        record => format!("  {record}"),
    };
    format!("{at:>9.3} {}", rest.trim_end())
}

/// "recovery: connected 48.2 s, connecting 1.4 s", longest first.
fn summary(lane: &Lane) -> String {
    let mut states: Vec<(&str, Duration)> = Vec::new();
    for span in &lane.spans {
        let time = span.to - span.from;
        match states.iter_mut().find(|(state, _)| *state == span.state) {
            Some((_, sum)) => *sum += time,
            None => states.push((&span.state, time)),
        }
    }
    states.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    let states: Vec<String> = states
        .iter()
        .filter(|(_, time)| !time.is_zero())
        .map(|(state, time)| format!("{state} {:.3} s", time.as_secs_f64()))
        .collect();
    format!("{}: {}", lane.machine, states.join(", "))
}
