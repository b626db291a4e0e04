//! JSON lines: one entry each, in the words of its machine, with times in nanoseconds since the journal began.

use super::{CorrelationId, Entry, Journal, Log, Record};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use std::{
    io::{self, BufRead, Write},
    time::Duration,
};
use thiserror::Error;

/// An entry as it is written.
#[derive(Serialize, Deserialize)]
struct Line<I> {
    session: CorrelationId,
    number: u64,
    at_ns: u64,
    #[serde(flatten)]
    record: Record<I>,
}

/// Why a log could not be read.
#[non_exhaustive]
#[derive(Debug, Error)]
pub enum LogError {
    /// The reader failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line is no entry.
    #[error("line {line} is no entry: {error}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        error: Box<str>,
    },
    /// A line is of another session than those before.
    #[error("line {line} is of another session")]
    OtherSession {
        /// Which, from 1.
        line: usize,
    },
    /// A line comes before one that it should follow.
    #[error("line {line} is out of order")]
    OutOfOrder {
        /// Which, from 1.
        line: usize,
    },
}

impl<I: Serialize> Journal<I> {
    /// Writes everything that is kept, as JSON lines.
    ///
    /// # Errors
    /// If the writer fails.
    pub fn write_lines(&self, mut to: impl Write) -> io::Result<()> {
        self.entries()
            .try_for_each(|entry| entry.write_line(&mut to))
    }
}

impl<I: Serialize> Entry<I> {
    /// Writes one entry, as one JSON line.
    ///
    /// # Errors
    /// If the writer fails, or an input cannot be written as JSON.
    pub fn write_line(&self, mut to: impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut to, self)?;
        to.write_all(b"\n")
    }
}

impl<I: DeserializeOwned> Log<I> {
    /// Reads the JSON lines of one session. Empty lines are skipped.
    ///
    /// # Errors
    /// If the reader fails, or a line is not an entry of the same session, later than those before it.
    pub fn read_lines(from: impl BufRead) -> Result<Self, LogError> {
        let mut entries: Vec<Entry<I>> = Vec::new();
        for (text, line) in from.lines().zip(1..) {
            let text = text?;
            if text.trim().is_empty() {
                continue;
            }
            let entry: Entry<I> = serde_json::from_str(&text).map_err(|error| LogError::Line {
                line,
                error: error.to_string().into(),
            })?;
            if let Some(last) = entries.last() {
                follows(last, &entry, line)?;
            }
            entries.push(entry);
        }
        Ok(Self::new(entries))
    }
}

fn follows<I>(last: &Entry<I>, next: &Entry<I>, line: usize) -> Result<(), LogError> {
    if next.session.session() != last.session.session() {
        return Err(LogError::OtherSession { line });
    }
    let later = next.number > last.number && next.at >= last.at && next.session >= last.session;
    match later {
        true => Ok(()),
        false => Err(LogError::OutOfOrder { line }),
    }
}

impl<I: Serialize> Serialize for Entry<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Line {
            session: self.session,
            number: self.number,
            at_ns: u64::try_from(self.at.as_nanos()).unwrap_or(u64::MAX),
            record: self.record.map(|input| input),
        }
        .serialize(serializer)
    }
}

impl<'de, I: Deserialize<'de>> Deserialize<'de> for Entry<I> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let line = Line::deserialize(deserializer)?;
        Ok(Self {
            session: line.session,
            number: line.number,
            at: Duration::from_nanos(line.at_ns),
            record: line.record,
        })
    }
}
