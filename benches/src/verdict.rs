//! How floe stands beside the best of its peers, line by line, read from the run's own tables.

use crate::report::{Cell, Report, Table};

/// A figure of floe's, and those it is held against. All are costs: less is better.
struct Claim {
    what: &'static str,
    table: &'static str,
    column: &'static str,
    /// The row; `#` stands for the number of agents that the best peer was measured with.
    row: &'static str,
    /// Table and column of the peers.
    theirs: (&'static str, &'static str),
    /// How their rows begin: the best of them counts.
    peers: &'static [&'static str],
    /// What nobody can do without, the sum of these; nothing if it is not known.
    floor: &'static [Part],
}

/// Part of a floor.
enum Part {
    /// So many times this figure: its table, row and column.
    Measured(f64, &'static str, &'static str, &'static str),
    /// What is given by the task.
    Given(f64),
}

use Part::{Given, Measured};

impl Claim {
    const fn over(self, floor: &'static [Part]) -> Self {
        Self { floor, ..self }
    }
}

const AGENTS: &[&str] = &["is 0.12", "rice-proto", "rtc-ice"];
/// `rice-proto` sends no consent checks.
const ASKING: &[&str] = &["is 0.12", "rtc-ice"];
const DTLS: &[&str] = &["dimpl", "rtc-dtls", "OpenSSL"];

const ANSWER: (&str, &str) = ("consent", "request in → response out");
const SECOND: (&str, &str) = ("scale", "ns per agent·second");
const RESIDENT: (&str, &str) = ("scale", "resident bytes per agent");
const COLD: (&str, &str) = ("scale", "cold request → response, ns");
const CHECK: (&str, &str) = ("consent", "own check from the timer");
const RESPONSE: (&str, &str) = ("consent", "its response handled");

const OF_ANSWER: &[Part] = &[Measured(1.0, ANSWER.0, "crypto floor", ANSWER.1)];
const OF_CHECK: &[Part] = &[Measured(1.0, CHECK.0, "crypto floor", CHECK.1)];
const OF_RESPONSE: &[Part] = &[Measured(1.0, RESPONSE.0, "crypto floor", RESPONSE.1)];
/// A check each way every five seconds, in the agents' own loop or in the endpoint's.
const OF_SECOND: &[Part] = &[
    Measured(0.2, ANSWER.0, "crypto floor", ANSWER.1),
    Measured(0.2, CHECK.0, "crypto floor", CHECK.1),
    Measured(0.2, RESPONSE.0, "crypto floor", RESPONSE.1),
];
/// Made, answered and handled.
const OF_BOTH_WAYS: &[Part] = &[
    Measured(1.0, ANSWER.0, "crypto floor", ANSWER.1),
    Measured(1.0, CHECK.0, "crypto floor", CHECK.1),
    Measured(1.0, RESPONSE.0, "crypto floor", RESPONSE.1),
];
/// Milliseconds from the first check to its answer.
const ROUND_TRIP: &[Part] = &[Given(100.0)];

/// Whose peers do the same.
const fn same(
    what: &'static str,
    (table, column): (&'static str, &'static str),
    row: &'static str,
    peers: &'static [&'static str],
) -> Claim {
    beside(what, (table, column), row, (table, column), peers)
}

/// Whose peers have nothing that does as much.
const fn beside(
    what: &'static str,
    (table, column): (&'static str, &'static str),
    row: &'static str,
    theirs: (&'static str, &'static str),
    peers: &'static [&'static str],
) -> Claim {
    Claim {
        what,
        table,
        column,
        row,
        theirs,
        peers,
        floor: &[],
    }
}

const CLAIMS: [Claim; 26] = [
    same(
        "STUN: a request answered",
        ("stun", "request → response"),
        "floe",
        &["stun-types", "is 0.12", "rtc-stun"],
    )
    .over(&[Measured(1.0, "stun", "crypto floor", "request → response")]),
    same("agent: request in → response out", ANSWER, "floe", AGENTS).over(OF_ANSWER),
    same("agent: own check from the timer", CHECK, "floe", AGENTS).over(OF_CHECK),
    same("agent: its response handled", RESPONSE, "floe", AGENTS).over(OF_RESPONSE),
    same(
        "agents: consent, a second",
        SECOND,
        "floe, # agents",
        ASKING,
    )
    .over(OF_SECOND),
    same(
        "a million agents: consent, a second",
        SECOND,
        "floe, 1000000 agents",
        ASKING,
    )
    .over(OF_SECOND),
    same(
        "agents: a check both ways",
        ("scale", "ns per check, both ways"),
        "floe, # agents",
        ASKING,
    )
    .over(OF_BOTH_WAYS),
    same("agents: memory of one", RESIDENT, "floe, # agents", AGENTS),
    same(
        "agents: a request answered, cold",
        COLD,
        "floe, # agents",
        AGENTS,
    )
    .over(OF_ANSWER),
    beside(
        "endpoint, beside agents alone: consent, a second",
        ("endpoint-scale", "ns per session·second"),
        "# sessions, ICE alone",
        SECOND,
        ASKING,
    )
    .over(OF_SECOND),
    beside(
        "endpoint with a million sessions, beside agents alone: consent, a second",
        ("endpoint-scale", "ns per session·second"),
        "1000000 sessions, ICE alone",
        SECOND,
        ASKING,
    )
    .over(OF_SECOND),
    beside(
        "endpoint, beside agents alone: memory of a session",
        ("endpoint-scale", "resident bytes per transport"),
        "# sessions, ICE alone",
        RESIDENT,
        AGENTS,
    ),
    beside(
        "endpoint, beside agents alone: a check answered, warm",
        ("endpoint", "warm"),
        "1000 sessions, ICE alone",
        ANSWER,
        AGENTS,
    )
    .over(OF_ANSWER),
    beside(
        "endpoint, beside agents alone: a check answered, cold",
        ("endpoint", "cold"),
        "# sessions, ICE alone",
        COLD,
        AGENTS,
    )
    .over(OF_ANSWER),
    same(
        "usable, one candidate a side",
        ("connect", "1"),
        "floe",
        AGENTS,
    )
    .over(ROUND_TRIP),
    same(
        "usable, 16 candidates a side",
        ("connect", "16"),
        "floe",
        AGENTS,
    )
    .over(ROUND_TRIP),
    same(
        "usable, only the last of 16 works",
        ("connect", "only the last of 16"),
        "floe",
        AGENTS,
    )
    .over(ROUND_TRIP),
    same(
        "16 × 16 candidates paired",
        ("construction", "µs"),
        "floe",
        AGENTS,
    ),
    same(
        "DTLS 1.2: a handshake, both sides, X25519",
        HANDSHAKE,
        "floe, DTLS 1.2, aws-lc-rs, x25519",
        &["dimpl 0.9, DTLS 1.2, aws-lc-rs, x25519"],
    )
    .over(&[Measured(
        1.0,
        HANDSHAKE.0,
        "floor, aws-lc-rs, x25519",
        HANDSHAKE.1,
    )]),
    same(
        "DTLS 1.3: a handshake, both sides, X25519",
        HANDSHAKE,
        "floe, DTLS 1.3, aws-lc-rs, x25519",
        &["dimpl 0.9, DTLS 1.3, aws-lc-rs, x25519"],
    )
    .over(&[Measured(
        1.0,
        HANDSHAKE.0,
        "floor, aws-lc-rs, x25519",
        HANDSHAKE.1,
    )]),
    same(
        "DTLS 1.2: 1200 bytes sealed",
        ("records", "seal 1200 bytes"),
        "floe, DTLS 1.2, ring, x25519",
        DTLS,
    )
    .over(&[Measured(
        1.0,
        "records",
        "floor, DTLS 1.2, ring",
        "seal 1200 bytes",
    )]),
    same(
        "DTLS 1.2: 1200 bytes opened",
        ("records", "open 1200 bytes"),
        "floe, DTLS 1.2, ring, x25519",
        DTLS,
    )
    .over(&[Measured(
        1.0,
        "records",
        "floor, DTLS 1.2, ring",
        "open 1200 bytes",
    )]),
    same(
        "DTLS 1.3: 1200 bytes opened",
        ("records", "open 1200 bytes"),
        "floe, DTLS 1.3, ring, x25519",
        &["dimpl 0.9, DTLS 1.3"],
    )
    .over(&[Measured(
        1.0,
        "records",
        "floor, DTLS 1.3, ring",
        "open 1200 bytes",
    )]),
    same(
        "DTLS 1.2: memory of an established side",
        ("memory", "resident"),
        "floe, DTLS 1.2, ring, x25519",
        DTLS,
    ),
    same(
        "DTLS 1.3: memory of an established side",
        ("memory", "resident"),
        "floe, DTLS 1.3, ring, x25519",
        &["dimpl 0.9, DTLS 1.3"],
    ),
    same(
        "DTLS: connected where 30 % get lost, median",
        ("loss", "30 %"),
        "floe, DTLS 1.3, ring, x25519",
        DTLS,
    ),
];

const HANDSHAKE: (&str, &str) = ("handshakes", "CPU, µs (× its floor)");

/// Each claim for which the report has both sides.
#[must_use]
pub fn verdict(report: &Report) -> Table {
    let mut table = Table::new(
        "verdict",
        "floe beside the best of its peers",
        &["floe", "best peer", "× less", "at most: × its floor"],
    );
    for claim in &CLAIMS {
        if let Some(cells) = claim.cells(report) {
            table.row(claim.what, cells);
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
        let (ours, unit) = report.table(self.table)?.figure(&row, self.column)?;
        let with_unit = |value: f64| format!("{value:.0} {unit}");
        Some(vec![
            Cell::parts(with_unit(ours), &[("", ours, unit)]),
            Cell::parts(
                format!("{}, {peer}", with_unit(theirs)),
                &[("", theirs, unit)],
            ),
            Cell::new(theirs / ours, "", 1),
            self.floor(report)
                .map_or_else(Cell::none, |floor| Cell::new(theirs / floor, "", 1)),
        ])
    }

    fn floor(&self, report: &Report) -> Option<f64> {
        let value = |part: &Part| match part {
            Given(value) => Some(*value),
            Measured(times, table, row, column) => {
                Some(times * report.table(table)?.figure(row, column)?.0)
            }
        };
        let floor: f64 = self.floor.iter().map(value).sum::<Option<_>>()?;
        (floor > 0.0).then_some(floor)
    }

    /// Its row, and its figure.
    fn best_peer<'r>(&self, report: &'r Report) -> Option<(&'r str, f64)> {
        let (table, column) = self.theirs;
        let table = report.table(table)?;
        let is_peer = |row: &&str| self.peers.iter().any(|peer| row.starts_with(peer));
        let figures = table.rows().filter(is_peer).filter_map(|row| {
            let (value, _) = table.figure(row, column)?;
            Some((row, value))
        });
        figures.min_by(|(_, one), (_, other)| one.total_cmp(other))
    }
}

#[cfg(test)]
mod tests {
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
}
