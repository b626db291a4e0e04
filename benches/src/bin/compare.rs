//! Prints the tables of one run, floe beside its peers, and writes them to `target/compare.json`.
//!
//! ```sh
//! cargo run --release -p floe-benches --bin compare             # some ten minutes
//! cargo run --release -p floe-benches --bin compare -- --quick  # two
//! ```

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use floe_benches::compare::{self, Effort, ONE_FLEET};
use floe_benches::report::Report;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        [ONE_FLEET, ..] => return one_fleet(&arguments[1..]),
        [] => all(Effort::Full),
        ["--quick"] => all(Effort::Quick),
        _ => Err(io::Error::other("the only argument is --quick")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn one_fleet(arguments: &[String]) -> ExitCode {
    match compare::one_fleet(arguments) {
        Some(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

fn all(effort: Effort) -> io::Result<()> {
    let mut report = Report::default();
    report.add(compare::codec());
    report.add(compare::keepalive(effort));
    report.add(compare::rejection(effort));
    report.add(compare::connect());
    report.add(compare::construction());
    report.add(compare::at_scale(effort)?);
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    fs::create_dir_all(&target)?;
    fs::write(
        target.join("compare.json"),
        format!("{:#}\n", report.to_json()),
    )
}
