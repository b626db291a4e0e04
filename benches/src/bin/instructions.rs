//! Counts the instructions of the hot paths with callgrind, less those of their cryptography: figures that a busy machine does
//! not change, so that a regression of a few percent shows.
//!
//! ```sh
//! count="cargo run --release -p floe-benches --no-default-features --bin instructions"
//! $count             # prints them
//! $count -- --check  # fails if one has grown beyond docs/performance.md, by the same compiler on such a machine
//! $count -- --write  # and into docs/performance.md
//! ```
//!
//! Without its default feature the crate has no peers, and is built in a fraction of the time.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use floe_benches::instructions::reference::Reference;
use floe_benches::instructions::{self, callgrind};
use floe_benches::page;

/// What makes this program do what is counted.
const COUNTED: &str = "--counted";

/// The table's place in the page.
const PLACE: &str = "instructions";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match *words {
        [COUNTED] => return run(),
        [] => count().map(drop),
        ["--check"] => count().and_then(|now| check(&now)),
        ["--write"] => count().and_then(|now| write(&now)),
        _ => Err(io::Error::other("the options are --check and --write")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> ExitCode {
    instructions::run();
    ExitCode::SUCCESS
}

fn count() -> io::Result<Reference> {
    let counted = Reference::new(callgrind::count(COUNTED)?);
    print!("{}", counted.to_markdown());
    Ok(counted)
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md")
}

fn check(now: &Reference) -> io::Result<()> {
    let page = fs::read_to_string(path())?;
    let table = page::places(&page)?
        .into_iter()
        .find(|place| place.id == PLACE);
    let reference = table.and_then(|table| Reference::from_markdown(&table.text));
    let reference = reference.ok_or_else(|| io::Error::other("the page has no such table"))?;
    let complaints = reference.complaints(now).join("\n");
    let (then, now) = (&reference.tools, &now.tools);
    match (complaints.is_empty(), then == now) {
        (true, _) => Ok(()),
        (false, true) => {
            let hint = "If this is meant, --write makes it the reference.";
            Err(io::Error::other(format!("{complaints}\n{hint}")))
        }
        // Another compiler makes other instructions of the same code: that is for a person to judge.
        (false, false) => {
            println!(
                "{complaints}\nThe reference is by {then}; this is {now}: they do not compare."
            );
            Ok(())
        }
    }
}

fn write(now: &Reference) -> io::Result<()> {
    let page = fs::read_to_string(path())?;
    let mut fillings = page::places(&page)?;
    for filling in fillings.iter_mut().filter(|filling| filling.id == PLACE) {
        filling.text = now.to_markdown();
    }
    fs::write(path(), page::fill(&page, &fillings)?)
}
