//! The time line of a session, from its journal.
//!
//! ```text
//! cargo run --example floe_replay -- engine/examples/floe_replay/call.jsonl
//! cargo run --example floe_replay -- call.jsonl --svg call.svg
//! ```
//!
//! A log is what [`Journal::write_lines`](floe::journal::Journal::write_lines) wrote: JSON lines of one session. Printed are every
//! entry, how long each machine was in which state, and whether recovery's triggers, run through its table again, lead to the
//! states that were recorded. What the inputs of the session meant need not be known.
//!
//! | module | what it is |
//! |---|---|
//! | `timeline` | the log as lanes of states, one for each machine, and marks |
//! | `text` | the time line, printed |
//! | `picture` | the time line, drawn |
//!
//! The exit code is 0 if the states are those recorded, 1 if they are not or the log cannot be read, 2 for a bad option.

mod picture;
mod text;
mod timeline;

#[cfg(test)]
mod tests;

use clap::Parser;
use floe::journal::Log;
use std::{
    error::Error,
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::PathBuf,
    process::ExitCode,
};
use timeline::Timeline;

/// The time line of a session, from its journal.
#[derive(Debug, Parser)]
#[command(name = "floe-replay", version)]
struct Options {
    /// JSON lines of one session; `-` for standard input.
    log: PathBuf,
    /// Also draws the time line, into this file.
    #[arg(long, value_name = "OUT")]
    svg: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads no further has seen enough.
        Err(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(options: &Options, mut to: impl Write) -> Result<(), Box<dyn Error>> {
    let log = read(options)?;
    let timeline = Timeline::of(&log);
    text::write(&log, &timeline, &mut to)?;
    if let Some(path) = &options.svg {
        svg::save(path, &picture::draw(&timeline))?;
    }
    let triggers = timeline::replay(&log)?;
    writeln!(to, "\n{triggers} triggers replayed, all states as recorded")?;
    Ok(())
}

fn read(options: &Options) -> Result<Log<serde_json::Value>, Box<dyn Error>> {
    let lines: Box<dyn BufRead> = match options.log.as_os_str() {
        name if name == "-" => Box::new(io::stdin().lock()),
        _ => {
            let name = options.log.display();
            let file = File::open(&options.log).map_err(|error| format!("{name}: {error}"))?;
            Box::new(BufReader::new(file))
        }
    };
    Ok(Log::read_lines(lines)?)
}
