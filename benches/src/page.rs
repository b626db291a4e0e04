//! The page that shows the tables. What stands between its markers is written by the run, and by nobody else:
//!
//! ```text
//! <!-- begin: stun -->
//! | | request → response |
//! <!-- end -->
//! ```

use std::fmt::Write as _;
use std::{fs, io};

use crate::report::Report;

const END: &str = "<!-- end -->";

/// A place of a page that a run fills, and what it fills it with.
#[derive(Debug, PartialEq, Eq)]
pub struct Filling {
    /// The name of the place.
    pub id: String,
    /// What stands there, in lines.
    pub text: String,
}

impl Filling {
    /// All tables of a report.
    pub fn tables(report: &Report) -> impl Iterator<Item = Self> {
        report.tables().iter().map(|table| Self {
            id: table.id().to_owned(),
            text: table.markdown(),
        })
    }

    /// How this was measured, with these arguments in so many seconds, and on what: the processor, how many of it, the compiler, and
    /// who else was there.
    #[must_use]
    pub fn machine(arguments: &[String], seconds: u64) -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let fact = |name: &str| {
            let line = cpus.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(": "))
                .map_or("", |(_, value)| value)
        };
        let cores = cpus.matches("processor\t:").count();
        let flags: Vec<_> = fact("flags").split(' ').collect();
        let has = |flag: &&&str| flags.contains(flag);
        let flags = ["sha_ni", "aes", "vaes", "avx2", "avx512f"];
        let flags: Vec<_> = flags.iter().filter(has).copied().collect();
        let compiler = std::process::Command::new("rustc").arg("-V").output();
        let compiler = compiler.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let mut text = String::new();
        let _ = writeln!(
            text,
            "`compare {}`, {seconds} s on {cores} × {} ({}), {}; load of the machine over its last minute: {}.",
            arguments.join(" "),
            fact("model name"),
            flags.join(", "),
            compiler.unwrap_or_default().trim(),
            load.split(' ').next().unwrap_or("unknown"),
        );
        Self {
            id: "machine".to_owned(),
            text,
        }
    }
}

/// All places of a page, with what stands there.
///
/// # Errors
///
/// When one has no end.
pub fn places(page: &str) -> io::Result<Vec<Filling>> {
    let mut places = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(id) = begun(line) else { continue };
        let mut text = String::new();
        loop {
            match lines.next() {
                Some(END) => break,
                Some(line) => text += &format!("{line}\n"),
                None => return Err(error(&format!("{id} has no end"))),
            }
        }
        places.push(Filling {
            id: id.to_owned(),
            text,
        });
    }
    Ok(places)
}

/// Which place begins here.
fn begun(line: &str) -> Option<&str> {
    line.strip_prefix("<!-- begin: ")?.strip_suffix(" -->")
}

/// The page with all its places filled.
///
/// # Errors
///
/// When a place is missing, or is left as it was: then the page would not be what this run measured.
pub fn fill(page: &str, fillings: &[Filling]) -> io::Result<String> {
    let mut unfilled: Vec<&str> = fillings.iter().map(|filling| &*filling.id).collect();
    let mut filled = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        filled += line;
        filled += "\n";
        let Some(id) = begun(line) else { continue };
        let filling = fillings.iter().find(|filling| filling.id == id);
        let filling = filling.ok_or_else(|| error(&format!("nothing was measured for {id}")))?;
        unfilled.retain(|known| *known != id);
        filled += &filling.text;
        if !lines.any(|line| line == END) {
            return Err(error(&format!("{id} has no end")));
        }
        filled += END;
        filled += "\n";
    }
    match unfilled.as_slice() {
        [] => Ok(filled),
        ids => Err(error(&format!("there is no place for {}", ids.join(", ")))),
    }
}

fn error(message: &str) -> io::Error {
    io::Error::other(format!("docs/performance.md: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filling(id: &str) -> Filling {
        Filling {
            id: id.to_owned(),
            text: format!("new {id}\n"),
        }
    }

    const PAGE: &str = "# A page\n<!-- begin: a -->\nold\nlines\n<!-- end -->\nbetween\n<!-- begin: b -->\n<!-- end -->\n";

    #[test]
    fn each_place_gets_what_was_measured_for_it_and_the_rest_stays() {
        let filled = fill(PAGE, &[filling("b"), filling("a")]).unwrap();
        let expected = "# A page\n<!-- begin: a -->\nnew a\n<!-- end -->\nbetween\n<!-- begin: b -->\nnew b\n<!-- end -->\n";
        assert_eq!(filled, expected);
        assert_eq!(places(&filled).unwrap(), [filling("a"), filling("b")]);
        assert_eq!(
            fill(&filled, &[filling("a"), filling("b")]).unwrap(),
            filled
        );
    }

    #[test]
    fn a_page_that_does_not_show_just_what_was_measured_is_not_written() {
        for fillings in [
            vec![],
            vec![filling("a")],
            vec![filling("a"), filling("b"), filling("c")],
        ] {
            assert!(fill(PAGE, &fillings).is_err());
        }
        assert!(fill("<!-- begin: a -->\nno end\n", &[filling("a")]).is_err());
        assert!(places("<!-- begin: a -->\nno end\n").is_err());
    }
}
