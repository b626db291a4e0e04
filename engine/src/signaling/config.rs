//! What can be chosen about signaling, with its default.

use super::{candidates::EarlyCandidates, state::RollbackThrough};
use thiserror::Error;

/// Choices for [`Signaling`](super::Signaling).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// Which of the two methods may roll an offer back (D4). Default: only that of the side whose offer it is.
    pub rollback: RollbackThrough,
    /// What becomes of a candidate that comes before its description (D17, D18). Default: it is held.
    pub early_candidates: EarlyCandidates,
    /// Whether a local description may be another than the one created last (webrtc-pc §4.4.1.5). Default: it may not.
    pub foreign_descriptions: ForeignDescriptions,
    /// How many operations may wait, 1 to 65 535. Default: 256. Candidates do not count.
    pub max_operations: usize,
    /// How many candidates are held before their description is there, 1 to 65 535 for each side. Default: 256. Beyond it the oldest
    /// gives way. As many may wait for the operations before them; beyond that, new ones are refused.
    pub max_held_candidates: usize,
}

/// What `setLocalDescription` does with a description that `createOffer` or `createAnswer` did not make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ForeignDescriptions {
    /// `InvalidModificationError`, as in webrtc-pc.
    #[default]
    Refuse,
    /// Applies it: for a caller that writes or alters its descriptions itself.
    Accept,
}

/// A configuration that cannot work.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum ConfigError {
    /// [`Config::max_operations`] is out of its range.
    #[error("max_operations is 1 to 65535")]
    MaxOperations,
    /// [`Config::max_held_candidates`] is out of its range.
    #[error("max_held_candidates is 1 to 65535")]
    MaxHeldCandidates,
}

impl Config {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let range = 1..=usize::from(u16::MAX);
        if !range.contains(&self.max_operations) {
            return Err(ConfigError::MaxOperations);
        }
        if !range.contains(&self.max_held_candidates) {
            return Err(ConfigError::MaxHeldCandidates);
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rollback: RollbackThrough::Owner,
            early_candidates: EarlyCandidates::Hold,
            foreign_descriptions: ForeignDescriptions::Refuse,
            max_operations: 256,
            max_held_candidates: 256,
        }
    }
}
