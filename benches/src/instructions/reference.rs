//! The counts that the page shows are what later ones are held against.

use std::fmt::Write as _;
use std::process::Command;

use super::Count;

/// How much more than before is no growth: the same work in another arrangement.
const TOLERANCE: f64 = 0.03;

/// And for what takes next to nothing, in instructions.
const FEW: f64 = 8.0;

/// In cache lines.
const A_LINE: f64 = 1.0;

/// Counts, and what they were counted with.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// The compiler and the kind of processor, which instructions depend on.
    pub tools: String,
    /// Row by row.
    pub counts: Vec<Count>,
}

impl Reference {
    /// These counts, by the tools that are here.
    #[must_use]
    pub fn new(counts: Vec<Count>) -> Self {
        let said = |program: &str| {
            let output = Command::new(program).arg("--version").output();
            let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            text.unwrap_or_default().trim().to_owned()
        };
        let (compiler, valgrind) = (said("rustc"), said("valgrind"));
        // Which the C library copies memory with.
        #[cfg(target_arch = "x86_64")]
        let wide = match std::is_x86_feature_detected!("avx2") {
            true => " with AVX2",
            false => "",
        };
        #[cfg(not(target_arch = "x86_64"))]
        let wide = "";
        let processor = std::env::consts::ARCH;
        Self {
            tools: format!("{compiler}, {processor}{wide}, {valgrind}"),
            counts,
        }
    }

    /// As the page shows it.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!("| {} | floe's own | floor's | cache lines |\n", self.tools);
        text += "|---|---|---|---|\n";
        for count in &self.counts {
            let Count {
                name,
                own,
                floor,
                lines,
            } = count;
            let _ = writeln!(text, "| {name} | {own:.0} | {floor:.0} | {lines:.1} |");
        }
        text
    }

    /// What a page shows; `None` if that is not such a table.
    #[must_use]
    pub fn from_markdown(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(|line| {
            let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
            <[&str; 4]>::try_from(cells.split(" | ").collect::<Vec<_>>()).ok()
        });
        let [tools, ..] = lines.next()??;
        let count = |row: Option<[&str; 4]>| {
            let [name, own, floor, lines] = row?;
            Some(Count {
                name: name.to_owned(),
                own: own.parse().ok()?,
                floor: floor.parse().ok()?,
                lines: lines.parse().ok()?,
            })
        };
        Some(Self {
            tools: tools.to_owned(),
            counts: lines.skip(1).map(count).collect::<Option<_>>()?,
        })
    }

    /// What has grown since `self`, what is new in `now` and what is gone from it, a line for each. None: all is well.
    #[must_use]
    pub fn complaints(&self, now: &Self) -> Vec<String> {
        let find =
            |counts: &[Count], name: &str| counts.iter().find(|count| count.name == name).cloned();
        let grown = now
            .counts
            .iter()
            .flat_map(|count| match find(&self.counts, &count.name) {
                Some(before) => count.growth(&before),
                None => vec![format!("{}: not in the reference", count.name)],
            });
        let gone = self
            .counts
            .iter()
            .filter(|count| find(&now.counts, &count.name).is_none());
        let gone = gone.map(|count| format!("{}: not counted any more", count.name));
        grown.chain(gone).collect()
    }
}

impl Count {
    fn growth(&self, before: &Self) -> Vec<String> {
        let figures = [
            (self.own, before.own, FEW, "instructions"),
            (self.lines, before.lines, A_LINE, "cache lines"),
        ];
        let grown = figures.into_iter().filter_map(|(now, before, few, what)| {
            let limit = (before * (1.0 + TOLERANCE)).max(before + few);
            (now > limit).then(|| format!("{}: {now:.1} {what}, {before:.1} before", self.name))
        });
        grown.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(counts: &[(&str, f64)]) -> Reference {
        let count = |(name, own): &(&str, f64)| Count {
            name: (*name).to_owned(),
            own: *own,
            floor: 1000.0,
            lines: (own / 100.0).round(),
        };
        Reference {
            tools: "a compiler".to_owned(),
            counts: counts.iter().map(count).collect(),
        }
    }

    #[test]
    fn what_the_page_shows_is_what_was_counted() {
        let written = reference(&[("one, way", 10.0), ("other", -3.0)]);
        let text = written.to_markdown();
        assert_eq!(Reference::from_markdown(&text), Some(written));
        assert_eq!(Reference::from_markdown("no table"), None);
        assert_eq!(Reference::from_markdown(&text.replace("10", "ten")), None);
    }

    #[test]
    fn growth_beyond_the_tolerance_is_named_and_so_is_every_row_without_a_counterpart() {
        let before = reference(&[
            ("long", 1000.0),
            ("short", 20.0),
            ("lines", 1000.0),
            ("gone", 1.0),
        ]);
        let mut fine = reference(&[
            ("long", 1030.0),
            ("short", 28.0),
            ("lines", 0.0),
            ("gone", 0.0),
        ]);
        fine.counts[2].lines = 11.0;
        assert!(before.complaints(&fine).is_empty());
        let mut worse = reference(&[
            ("long", 1031.0),
            ("short", 29.0),
            ("lines", 0.0),
            ("new", 1.0),
        ]);
        worse.counts[2].lines = 11.1;
        assert_eq!(
            before.complaints(&worse),
            [
                "long: 1031.0 instructions, 1000.0 before",
                "short: 29.0 instructions, 20.0 before",
                "lines: 11.1 cache lines, 10.0 before",
                "new: not in the reference",
                "gone: not counted any more",
            ]
        );
    }
}
