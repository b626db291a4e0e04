//! The name of a transport inside its endpoint.

use std::{fmt, num::NonZeroU32};

/// Names one transport of one [`Endpoint`](crate::Endpoint), for ever: the name of a removed transport is not given
/// to a later one, it just finds nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportId {
    generation: NonZeroU32,
    slot: u32,
}

impl TransportId {
    /// The id as an opaque number, for a caller's tables, logs and wire formats.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation.get()) << 32 | u64::from(self.slot)
    }

    /// The id that [`to_bits`](Self::to_bits) made this number from. Any other number gives an id that finds nothing.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        // The last generation of a slot is given to nobody.
        let generation = NonZeroU32::new((bits >> 32) as u32).unwrap_or(NonZeroU32::MAX);
        Self::new(bits as u32, generation)
    }

    pub(crate) fn new(slot: u32, generation: NonZeroU32) -> Self {
        Self { generation, slot }
    }

    /// The slot, without its generation: dense, and reused after removal.
    pub(crate) fn slot(self) -> u32 {
        self.slot
    }

    /// Which of the slot's transports it is.
    pub(crate) fn generation(self) -> NonZeroU32 {
        self.generation
    }
}

/// As [`to_bits`](TransportId::to_bits).
#[cfg(feature = "serde")]
impl serde::Serialize for TransportId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.to_bits())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for TransportId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::from_bits)
    }
}

/// `slot.generation`.
impl fmt::Display for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

impl fmt::Debug for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransportId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_as_a_number() {
        let generation = |number| NonZeroU32::new(number).unwrap();
        for id in [
            TransportId::new(0, generation(1)),
            TransportId::new(u32::MAX, generation(u32::MAX - 1)),
        ] {
            assert_eq!(TransportId::from_bits(id.to_bits()), id);
        }
        assert_eq!(TransportId::new(7, generation(3)).to_string(), "7.3");
        assert_eq!(TransportId::from_bits(7).slot(), 7);
        assert_eq!(size_of::<Option<TransportId>>(), 8);
    }
}
