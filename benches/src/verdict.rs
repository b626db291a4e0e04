//! How floe stands beside the best of its peers, line by line, read from the run's own tables.

mod claims;

use crate::report::{Cell, Report, Table};

/// A figure of floe's, and those it is held against. All are costs: less is better.
struct Claim {
    what: String,
    table: &'static str,
    column: &'static str,
    /// The row; `#` stands for the number of agents that the best peer was measured with.
    row: &'static str,
    /// Which figure of the cell, on both sides; the first if none is named.
    part: Option<&'static str>,
    /// Table and column of the peers.
    theirs: (&'static str, &'static str),
    /// How their rows begin: the best of them counts.
    peers: &'static [&'static str],
    /// What nobody can do without, the sum of these; nothing if it is not known.
    floor: Vec<Part>,
}

/// Part of a floor.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// So many times this figure: its table, row and column.
    Measured(f64, &'static str, &'static str, &'static str),
    /// What is given by the task.
    Given(f64),
}

use Part::{Given, Measured};

impl Claim {
    fn over(self, floor: &[Part]) -> Self {
        let floor = floor.to_vec();
        Self { floor, ..self }
    }

    fn part(self, part: &'static str) -> Self {
        let part = Some(part);
        Self { part, ..self }
    }
}

/// Each claim for which the report has both sides.
#[must_use]
pub fn verdict(report: &Report) -> Table {
    let mut table = Table::new(
        "verdict",
        "floe beside the best of its peers",
        &["floe", "best peer", "× less", "at most: × its floor"],
    );
    for claim in claims::all() {
        if let Some(cells) = claim.cells(report) {
            table.row(&claim.what, cells);
        }
    }
    table
}

impl Claim {
    fn cells(&self, report: &Report) -> Option<Vec<Cell>> {
        let (peer, theirs) = self.best_peer(report)?;
        let number = peer.split(' ').find(|word| word.parse::<u32>().is_ok());
        let row = match number {
            Some(number) => self.row.replace('#', number),
            None => self.row.to_owned(),
        };
        let (ours, unit) = self.figure(report.table(self.table)?, &row, self.column)?;
        let shown = |value| shown(value, unit);
        let floor = self.floor(report).unwrap_or_default();
        Some(vec![
            Cell::parts(shown(ours), &[("", ours, unit)]),
            Cell::parts(format!("{}, {peer}", shown(theirs)), &[("", theirs, unit)]),
            times_less(theirs, ours),
            times_less(theirs, floor),
        ])
    }

    fn figure(&self, table: &Table, row: &str, column: &str) -> Option<(f64, &'static str)> {
        match self.part {
            Some(part) => table.part(row, column, part),
            None => table.figure(row, column),
        }
    }

    fn floor(&self, report: &Report) -> Option<f64> {
        let value = |part: &Part| match part {
            Given(value) => Some(*value),
            Measured(times, table, row, column) => {
                Some(times * report.table(table)?.figure(row, column)?.0)
            }
        };
        self.floor.iter().map(value).sum()
    }

    /// Its row, and its figure.
    fn best_peer<'r>(&self, report: &'r Report) -> Option<(&'r str, f64)> {
        let (table, column) = self.theirs;
        let table = report.table(table)?;
        let is_peer = |row: &&str| self.peers.iter().any(|peer| row.starts_with(peer));
        let figures = table.rows().filter(is_peer).filter_map(|row| {
            let (value, _) = self.figure(table, row, column)?;
            Some((row, value))
        });
        figures.min_by(|(_, one), (_, other)| one.total_cmp(other))
    }
}

fn shown(value: f64, unit: &str) -> String {
    // Rates are less than one.
    let digits = if value.fract() != 0.0 && value < 1.0 {
        2
    } else {
        0
    };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

/// Nothing beside nothing, and what is not known, say nothing.
fn times_less(theirs: f64, ours: f64) -> Cell {
    match ours > 0.0 {
        true => Cell::new(theirs / ours, "", 1),
        false => Cell::none(),
    }
}

#[cfg(test)]
mod tests {
    use super::claims::{ANSWER, CHECK, RESIDENT, RESPONSE, SECOND};
    use super::*;

    #[test]
    fn the_best_peer_is_the_one_that_takes_least_and_the_number_of_agents_is_its_own() {
        let mut report = Report::default();
        let mut scale = Table::new("scale", "title", &[SECOND.1, RESIDENT.1]);
        for (row, nanos) in [
            ("floe, 100 agents", 1.0),
            ("floe, 10000 agents", 400.0),
            ("is 0.12, 10000 agents", 2000.0),
            ("rtc-ice 0.21.1, 10000 agents", 3000.0),
            ("rice-proto 0.4.3, 10000 agents", 0.0),
        ] {
            scale.row(row, vec![Cell::new(nanos, "ns", 0), Cell::none()]);
        }
        report.add(scale);
        let columns = [ANSWER.1, CHECK.1, RESPONSE.1];
        let mut consent = Table::new("consent", "title", &columns);
        let floors = [240.0, 160.0, 100.0].map(|nanos| Cell::new(nanos, "ns", 0));
        consent.row("crypto floor", floors.to_vec());
        report.add(consent);
        let verdict = verdict(&report);
        let rows: Vec<_> = verdict.rows().collect();
        assert_eq!(rows, ["agents: consent, a second"]);
        let figure = |column| verdict.figure(rows[0], column).unwrap().0;
        assert_eq!(
            ["floe", "best peer", "× less", "at most: × its floor"].map(figure),
            [400.0, 2000.0, 5.0, 20.0]
        );
    }

    #[test]
    fn parts_of_a_cell_are_claimed_each_with_its_own_best_peer_and_floor() {
        let mut report = Report::default();
        let column = "only the last of 16";
        let mut connect = Table::new("connect", "title", &[column]);
        for (row, [usable, controlling, datagrams]) in [
            ("floe", [850.0, 950.0, 41.0]),
            ("is 0.12", [900.0, 850.0, 43.0]),
            ("rtc-ice 0.21.1", [301.0, 301.0, 53.0]),
        ] {
            let parts = [
                ("usable", usable, "ms"),
                ("controlling done", controlling, "ms"),
                ("datagrams", datagrams, ""),
            ];
            connect.row(row, vec![Cell::parts(String::new(), &parts)]);
        }
        report.add(connect);
        let verdict = verdict(&report);
        let rows: Vec<_> = verdict.rows().collect();
        let expected = ["usable", "controlling done", "datagrams"];
        assert_eq!(
            rows,
            expected.map(|part| format!("connect, {column}: {part}"))
        );
        let figures = |row| {
            let figure = |column| verdict.figure(row, column).unwrap().0;
            ["floe", "best peer", "× less", "at most: × its floor"].map(figure)
        };
        assert_eq!(
            figures(rows[0]),
            [850.0, 301.0, 301.0 / 850.0, 301.0 / 850.0]
        );
        assert_eq!(
            figures(rows[1]),
            [950.0, 301.0, 301.0 / 950.0, 301.0 / 950.0]
        );
        assert_eq!(figures(rows[2]), [41.0, 43.0, 43.0 / 41.0, 43.0 / 36.0]);
    }

    #[test]
    fn nothing_beside_something_has_no_ratio() {
        let mut report = Report::default();
        let mut consent = Table::new("consent", "title", &[ANSWER.1]);
        for (row, nanos, allocations) in [("floe", 300.0, 0.0), ("is 0.12", 900.0, 10.0)] {
            let cell = Cell::new(nanos, "ns", 0).and_allocations(allocations);
            consent.row(row, vec![cell]);
        }
        report.add(consent);
        let verdict = verdict(&report);
        let row = format!("agent: {}, allocations", ANSWER.1);
        let theirs = verdict.figure(&row, "best peer").map(|(value, _)| value);
        assert_eq!(theirs, Some(10.0));
        assert_eq!(verdict.figure(&row, "× less"), None);
    }
}
