//! Prints the tables of one run, floe beside its peers, writes their figures to `target/compare.json` and draws them in
//! `target/figures`.
//!
//! ```sh
//! cargo run --release -p floe-benches --bin compare             # ten minutes at most
//! cargo run --release -p floe-benches --bin compare -- --quick  # two at most
//! cargo run --release -p floe-benches --bin compare -- --write  # and into docs/performance.md, with its figures
//! cargo run --release -p floe-benches --bin compare -- stun     # only this table
//! ```

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use floe_benches::compare::{self, Effort, ONE};
use floe_benches::figures;
use floe_benches::page::{self, Filling};
use floe_benches::report::Report;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((first, rest)) if first == ONE => one(rest),
        _ => Options::of(&arguments).and_then(|options| all(&options)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What the caller wants.
struct Options {
    effort: Effort,
    page: Page,
    /// Only these tables.
    tables: Vec<String>,
}

enum Page {
    AsItIs,
    Written,
}

impl Options {
    fn of(arguments: &[String]) -> io::Result<Self> {
        let mut options = Self {
            effort: Effort::Full,
            page: Page::AsItIs,
            tables: Vec::new(),
        };
        for argument in arguments {
            match argument.as_str() {
                "--quick" => options.effort = Effort::Quick,
                "--write" => options.page = Page::Written,
                option if option.starts_with('-') => {
                    let message =
                        "the options are --quick and --write; all else is the name of a table";
                    return Err(io::Error::other(message));
                }
                _ => options.tables.push(argument.clone()),
            }
        }
        Ok(options)
    }
}

fn one(arguments: &[String]) -> io::Result<()> {
    let figures = compare::one(arguments);
    let figures = figures.ok_or_else(|| io::Error::other("there is no such thing to measure"))?;
    println!("{figures}");
    Ok(())
}

fn all(options: &Options) -> io::Result<()> {
    let report = compare::measure(options.effort, &options.tables)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = root.join("target");
    fs::create_dir_all(&target)?;
    let json = format!("{:#}\n", report.to_json());
    fs::write(target.join("compare.json"), json)?;
    match options.page {
        Page::Written => write_page(&report, &root.join("docs")),
        Page::AsItIs => figures::draw(&report, &target.join("figures")),
    }
}

fn write_page(report: &Report, docs: &Path) -> io::Result<()> {
    let path = docs.join("performance.md");
    let page = fs::read_to_string(&path)?;
    let mut fillings: Vec<_> = Filling::tables(report).collect();
    let arguments: Vec<String> = env::args().skip(1).collect();
    fillings.push(Filling::machine(&arguments, compare::seconds()));
    // Those are no figures of this run; see the program of that name.
    let counted = page::places(&page)?.into_iter();
    fillings.extend(counted.filter(|place| place.id == "instructions"));
    let filled = page::fill(&page, &fillings)?;
    fs::write(path, filled)?;
    figures::draw(report, &docs.join("figures"))
}
