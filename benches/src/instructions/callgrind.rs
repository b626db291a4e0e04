//! The same program once more under `valgrind --tool=callgrind`, and what it has counted.

use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs, io};

use super::Count;

/// Counts all rows: `argument` is what makes this program [`run`](super::run) them.
///
/// # Errors
///
/// When there is no valgrind, when it fails, or when it counted other parts than there are.
pub fn count(argument: &str) -> io::Result<Vec<Count>> {
    let file = env::temp_dir().join(format!("floe-instructions-{}", std::process::id()));
    let counted = run(argument, &file).and_then(|output| {
        let profile = fs::read_to_string(&file)?;
        let rows = String::from_utf8_lossy(&output.stdout).into_owned();
        read(&rows, &profile)
    });
    let _ = fs::remove_file(file);
    counted
}

/// Those of the processor that runs the rows. Its last level is small, so that a few thousand sessions are many, and each of
/// its sets is large: what misses it depends on how much is touched, and not on where the linker and the heap put it.
const CACHES: [&str; 4] = [
    "--cache-sim=yes",
    "--I1=32768,8,64",
    "--D1=32768,8,64",
    "--LL=262144,64,64",
];

fn run(argument: &str, file: &Path) -> io::Result<Output> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--combine-dumps=yes"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        // By their names, in whatever way they are mangled. Of two patterns that begin alike one would be lost.
        .args([
            "--toggle-collect=*seen_by_callgrind*",
            "--dump-after=*part_ends*",
        ])
        .args(CACHES)
        .arg(env::current_exe()?)
        .arg(argument)
        .output();
    let output = output.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            io::Error::other("valgrind is not installed (Debian's package valgrind has it)")
        }
        _ => error,
    })?;
    match output.status.success() {
        true => Ok(output),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )),
    }
}

/// What was counted in a part.
#[derive(Clone, Copy, Debug)]
struct Part {
    instructions: f64,
    lines: f64,
}

/// `totals` are in the order of the `events`, and zeros at their end are left out.
fn parts(profile: &str) -> Vec<Part> {
    let mut events: Vec<&str> = Vec::new();
    let mut parts = Vec::new();
    for line in profile.lines() {
        if let Some(names) = line.strip_prefix("events: ") {
            events = names.split(' ').collect();
        }
        let Some(totals) = line.strip_prefix("totals: ") else {
            continue;
        };
        let totals: Vec<&str> = totals.split(' ').collect();
        let of = |event: &str| {
            let place = events.iter().position(|known| *known == event);
            let total = totals.get(place?)?;
            total.parse::<f64>().ok()
        };
        parts.push(Part {
            instructions: of("Ir").unwrap_or(0.0),
            lines: of("DLmr").unwrap_or(0.0) + of("DLmw").unwrap_or(0.0),
        });
    }
    parts
}

/// The parts of a profile by the rows' own account of themselves: two for each, the floor's first.
fn read(rows: &str, profile: &str) -> io::Result<Vec<Count>> {
    let all = parts(profile);
    let (parts, _) = all.as_chunks::<2>();
    let rows: Vec<&str> = rows.lines().collect();
    // Behind them comes what was counted until the program's end, if anything was.
    if parts.len() != rows.len() || rows.is_empty() {
        let message = format!("{} rows, but {} parts", rows.len(), all.len());
        return Err(io::Error::other(message));
    }
    let counts = rows.into_iter().zip(parts).map(|(row, [floor, work])| {
        let [of_floor, of_work, name] = *row.split('\t').collect::<Vec<_>>() else {
            return None;
        };
        let (of_floor, of_work): (f64, f64) = (of_floor.parse().ok()?, of_work.parse().ok()?);
        let floor = floor.instructions / of_floor;
        Some(Count {
            name: name.to_owned(),
            own: work.instructions / of_work - floor,
            floor,
            lines: work.lines / of_work,
        })
    });
    let counts: Option<_> = counts.collect();
    counts.ok_or_else(|| io::Error::other("a row that does not say how often it was done"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_divided_by_how_often_it_was_done_and_the_floor_deducted() {
        let profile = "events: Ir Dr DLmr DLmw\ntotals: 4000 9 9 9\nevents: Ir Dr DLmr DLmw\ntotals: 3300 9 6\nevents: Ir\ntotals: 0\n";
        let counts = read("4\t3\ta row\n", profile).unwrap();
        let expected = Count {
            name: "a row".to_owned(),
            own: 100.0,
            floor: 1000.0,
            lines: 2.0,
        };
        assert_eq!(counts, [expected]);
        for rows in ["", "4\ta row", "4\t3\tone\n4\t3\tmore"] {
            assert!(read(rows, profile).is_err());
        }
    }
}
