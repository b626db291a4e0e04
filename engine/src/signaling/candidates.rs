//! Candidates that came before their description, and which description that is.
//!
//! ```text
//!                        which generation is it of?
//!   candidate ──▶ ┌──────────────────────────────────────────┐
//!                 │ its ufrag is in an applied description   │──▶ through, in the order of arrival
//!                 │ it has no ufrag, and there is one        │
//!                 ├──────────────────────────────────────────┤
//!                 │ there is no description yet              │──▶ held until one is applied that has its ufrag,
//!                 │ its ufrag is in none so far              │    or any if it has none
//!                 ├──────────────────────────────────────────┤
//!                 │ its ufrag was in one that is gone:       │──▶ dropped
//!                 │ rolled back, replaced, ignored           │
//!                 └──────────────────────────────────────────┘
//! ```
//!
//! The same gate stands on both sides: for the peer's candidates until `setRemoteDescription` succeeds (webrtc-pc §4.4.1.11), and for
//! our own until `setLocalDescription` does.

use super::description::{Description, MediaLife};
use std::collections::VecDeque;
use thiserror::Error;

/// The longest candidate that is taken, in bytes, its mid and its username fragment included. Real ones are shorter than 300.
pub const MAX_CANDIDATE: usize = 1024;

/// How many fragments of descriptions that are gone are remembered for each side; the oldest is forgotten first.
const GONE: usize = 32;

/// `RTCIceCandidateInit` (webrtc-pc §4.8.1.1): a candidate, and what it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CandidateInit {
    /// The value of its `a=candidate` line. Empty: no more will come.
    pub candidate: Box<str>,
    /// `sdpMid`: for which section.
    pub mid: Option<Box<str>>,
    /// `sdpMLineIndex`: for which section, if there is no mid.
    pub line_index: Option<u16>,
    /// `usernameFragment`: of which generation.
    pub ufrag: Option<Box<str>>,
}

impl CandidateInit {
    /// This candidate for the section of this mid, of the generation of this username fragment.
    #[must_use]
    pub fn new(
        candidate: impl Into<Box<str>>,
        mid: impl Into<Box<str>>,
        ufrag: impl Into<Box<str>>,
    ) -> Self {
        Self {
            candidate: candidate.into(),
            mid: Some(mid.into()),
            line_index: None,
            ufrag: Some(ufrag.into()),
        }
    }

    /// Whether it says that no more will come.
    #[must_use]
    pub fn is_end_of_candidates(&self) -> bool {
        self.candidate.is_empty()
    }

    pub(super) fn is_too_long(&self) -> bool {
        let len = |name: &Option<Box<str>>| name.as_deref().map_or(0, str::len);
        self.candidate.len() + len(&self.mid) + len(&self.ufrag) > MAX_CANDIDATE
    }

    /// Whether it is for no section in particular. That is an error unless it ends them all.
    pub(super) fn names_no_section(&self) -> bool {
        self.mid.is_none() && self.line_index.is_none()
    }
}

/// `OperationError`: a candidate that fits no applied description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum CandidateError {
    /// No section has this mid.
    #[error("OperationError: no section has this mid")]
    UnknownMid,
    /// There are not so many sections.
    #[error("OperationError: there are not so many sections")]
    LineIndexOutOfRange,
    /// The section does not have this username fragment.
    #[error("OperationError: the section does not have this username fragment")]
    UnknownUfrag,
}

/// What becomes of a candidate of the peer that comes before its description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum EarlyCandidates {
    /// It is held until the description is applied.
    #[default]
    Hold,
    /// It is refused, as in webrtc-pc: `InvalidStateError` without a description, `OperationError` with another.
    Refuse,
}

/// What the gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Its description is applied.
    Through,
    /// Its section is stopped.
    Stopped,
    /// There is no description at all.
    NoDescription,
    /// Its description is not applied yet.
    Early,
    /// Its description is gone.
    Gone,
}

/// Judges a candidate by the descriptions that are applied, the pending one first, and by those that are gone.
pub(super) fn judge<'a>(
    candidate: &CandidateInit,
    mut applied: impl Iterator<Item = &'a Description> + Clone,
    gone: &Gone,
) -> Result<Gate, CandidateError> {
    if let Some(ufrag) = candidate.ufrag.as_deref()
        && !applied.clone().any(|description| has(description, ufrag))
    {
        let gone = gone.has(ufrag);
        return Ok(match applied.next() {
            _ if gone => Gate::Gone,
            None => Gate::NoDescription,
            Some(_) => Gate::Early,
        });
    }
    let Some(newest) = applied.clone().next() else {
        return Ok(Gate::NoDescription);
    };
    if newest.media.is_empty() {
        return Ok(Gate::Through);
    }
    let (mid, line_index) = (candidate.mid.as_deref(), candidate.line_index);
    let mut sections = newest.sections(mid, line_index).peekable();
    if sections.peek().is_none() {
        return Err(match mid {
            Some(_) => CandidateError::UnknownMid,
            None => CandidateError::LineIndexOutOfRange,
        });
    }
    if sections.all(|media| media.life == MediaLife::Stopped) {
        return Ok(Gate::Stopped);
    }
    let mut named = applied.flat_map(|description| description.sections(mid, line_index));
    let fits = |own: &Option<Box<str>>| own.is_none() || *own == candidate.ufrag;
    if candidate.ufrag.is_some() && !named.any(|media| fits(&media.ufrag)) {
        return Err(CandidateError::UnknownUfrag);
    }
    Ok(Gate::Through)
}

/// Whether a candidate of this generation may belong to the description: it may if nothing is known.
fn has(description: &Description, ufrag: &str) -> bool {
    let fits = |own: Option<&str>| own.is_none_or(|own| own == ufrag);
    description.media.is_empty()
        || description
            .media
            .iter()
            .any(|media| fits(media.ufrag.as_deref()))
}

/// The fragments of one side's descriptions that were rolled back, replaced or ignored, the latest last. One may be in use again:
/// the descriptions that are applied are asked first.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Gone(VecDeque<Box<str>>);

impl Gone {
    pub(super) fn has(&self, ufrag: &str) -> bool {
        self.0.iter().any(|gone| **gone == *ufrag)
    }

    pub(super) fn add(&mut self, ufrag: &str) {
        self.0.retain(|gone| **gone != *ufrag);
        if self.0.len() == GONE {
            self.0.pop_front();
        }
        self.0.push_back(ufrag.into());
    }
}

/// How many candidates were not used, and why. Saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CandidateDrops {
    /// The descriptions of the peer's were rolled back, ignored or replaced.
    pub superseded: u32,
    /// The descriptions of our own were rolled back or replaced.
    pub superseded_local: u32,
    /// Those of both sides that gave way because too many were held.
    pub too_many: u32,
    /// Fitted no section, or the caller refused them.
    pub refused: u32,
}
