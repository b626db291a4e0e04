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

fn run(argument: &str, file: &Path) -> io::Result<Output> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--combine-dumps=yes"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        // By their names, in whatever way they are mangled. Of two patterns that begin alike one would be lost.
        .args([
            "--toggle-collect=*seen_by_callgrind*",
            "--dump-after=*part_ends*",
        ])
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

/// The parts of a profile by the rows' own account of themselves: two for each, the floor's first.
fn read(rows: &str, profile: &str) -> io::Result<Vec<Count>> {
    let totals: Vec<f64> = profile
        .lines()
        .filter_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
        .collect();
    let parts = totals.chunks_exact(2);
    let rows: Vec<&str> = rows.lines().collect();
    // Behind them comes what was counted until the program's end, if anything was.
    if parts.len() != rows.len() || rows.is_empty() {
        let message = format!("{} rows, but {} parts", rows.len(), totals.len());
        return Err(io::Error::other(message));
    }
    let counts = rows.into_iter().zip(parts).map(|(row, part)| {
        let [floor, work, name] = *row.split('\t').collect::<Vec<_>>() else {
            return None;
        };
        let per_call = |total: f64, times: &str| Some(total / times.parse::<f64>().ok()?);
        let floor = per_call(part[0], floor)?;
        Some(Count {
            name: name.to_owned(),
            own: per_call(part[1], work)? - floor,
            floor,
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
        let profile = "part: 1\ntotals: 4000\npart: 2\ntotals: 3300\ntotals: 0\n";
        let counts = read("4\t3\ta row\n", profile).unwrap();
        let (own, floor) = (100.0, 1000.0);
        let name = "a row".to_owned();
        assert_eq!(counts, [Count { name, own, floor }]);
        for rows in ["", "4\ta row", "4\t3\tone\n4\t3\tmore"] {
            assert!(read(rows, profile).is_err());
        }
    }
}
