//! A log: the entries of one session, to be looked at, replayed and compared.

use super::{Entry, Record};
use std::{fmt, time::Instant};
use thiserror::Error;

/// The entries of one session, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log<I> {
    entries: Vec<Entry<I>>,
}

impl<I> Log<I> {
    pub(super) fn new(entries: Vec<Entry<I>>) -> Self {
        Self { entries }
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry<I>] {
        &self.entries
    }

    /// How many entries are not here: those before the first and in gaps. Those after the last nobody knows of.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let all = self.entries.last().map_or(0, |last| last.number + 1);
        all.saturating_sub(self.entries.len() as u64)
    }

    /// Gives every input to `machine` again, at the same times after `start`.
    ///
    /// The machine must be what it was when the journal began: made with the same configuration and seeds, at `start`. If it keeps
    /// a journal of its own, made at `start` with the same id, that one's [`divergence`](Self::divergence) from this says whether
    /// all came out the same.
    ///
    /// # Errors
    /// If entries are missing: the machine would go another way. Nothing is given to it then.
    pub fn replay(
        &self,
        start: Instant,
        mut machine: impl FnMut(Instant, &I),
    ) -> Result<(), Incomplete> {
        match self.missing() {
            0 => {}
            missing => return Err(Incomplete { missing }),
        }
        for entry in &self.entries {
            if let Record::Input { input } = &entry.record {
                machine(start + entry.at, input);
            }
        }
        Ok(())
    }

    /// The first entry in which `other` is not this log, if there is one.
    #[must_use]
    pub fn divergence<'l>(&'l self, other: &'l Self) -> Option<Divergence<'l, I>>
    where
        I: PartialEq,
    {
        let longer = self.entries.len().max(other.entries.len());
        (0..longer)
            .map(|index| Divergence {
                recorded: self.entries.get(index),
                replayed: other.entries.get(index),
            })
            .find(|pair| pair.recorded != pair.replayed)
    }
}

/// Where two logs part. `None`: it is over there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Divergence<'l, I> {
    /// What the one says.
    pub recorded: Option<&'l Entry<I>>,
    /// What the other says in its place.
    pub replayed: Option<&'l Entry<I>>,
}

/// A log that cannot be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{missing} entries are missing")]
pub struct Incomplete {
    /// So many entries are not there.
    pub missing: u64,
}

impl<I> fmt::Display for Divergence<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut side = |name, entry: Option<&Entry<I>>| match entry {
            Some(entry) => write!(f, "{name} #{}: {entry}", entry.number),
            None => write!(f, "{name}: the end"),
        };
        side("recorded", self.recorded)?;
        side("; replayed", self.replayed)
    }
}
