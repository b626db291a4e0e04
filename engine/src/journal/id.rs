//! What ties the entries of one session together, here and in whatever else is logged about it.

use std::{fmt, str::FromStr};
use thiserror::Error;

/// One for each session, kept over every ICE restart, and another for what begins after CLOSE: the caller's number, and which of
/// the session's lives it is. Displays as 32 hexadecimal digits, then `-1`, `-2` … in a later life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CorrelationId {
    // Two halves, so that it needs the alignment of one.
    session: [u64; 2],
    life: u32,
}

impl CorrelationId {
    /// The id of a session's first life. The number is the caller's: a UUID, or whatever its other logs have.
    #[must_use]
    pub const fn new(session: u128) -> Self {
        Self {
            session: [(session >> 64) as u64, session as u64],
            life: 0,
        }
    }

    /// The caller's number.
    #[must_use]
    pub const fn session(self) -> u128 {
        let [high, low] = self.session;
        (high as u128) << 64 | low as u128
    }

    /// How often the session was closed before.
    #[must_use]
    pub const fn life(self) -> u32 {
        self.life
    }

    pub(super) const fn next(self) -> Self {
        Self {
            life: self.life.saturating_add(1),
            ..self
        }
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.session())?;
        match self.life {
            0 => Ok(()),
            life => write!(f, "-{life}"),
        }
    }
}

/// Not an id as [`CorrelationId`] displays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a correlation id")]
pub struct InvalidCorrelationId;

impl FromStr for CorrelationId {
    type Err = InvalidCorrelationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, life) = match text.split_once('-') {
            Some((digits, life)) => (digits, life.parse().map_err(|_| InvalidCorrelationId)?),
            None => (text, 0),
        };
        let hexadecimal = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let session = u128::from_str_radix(digits, 16)
            .ok()
            .filter(|_| hexadecimal);
        let id = Self::new(session.ok_or(InvalidCorrelationId)?);
        Ok(Self { life, ..id })
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for CorrelationId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for CorrelationId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
