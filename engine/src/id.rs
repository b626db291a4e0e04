//! The name of a transport inside its endpoint.

use slotmap::{DefaultKey, Key, KeyData};
use std::fmt;

/// Names one transport of one [`Endpoint`](crate::Endpoint), for ever: the name of a removed transport is not given
/// to a later one, it just finds nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportId(DefaultKey);

impl TransportId {
    /// The id as an opaque number, for a caller's tables, logs and wire formats.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0.data().as_ffi()
    }

    /// The id that [`to_bits`](Self::to_bits) made this number from. Any other number gives an id that finds nothing.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(KeyData::from_ffi(bits).into())
    }

    pub(crate) fn new(key: DefaultKey) -> Self {
        Self(key)
    }

    pub(crate) fn key(self) -> DefaultKey {
        self.0
    }

    /// The slot, without its generation: dense, and reused after removal.
    pub(crate) fn index(self) -> u32 {
        let [.., a, b, c, d] = self.to_bits().to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

/// `slot.generation`.
impl fmt::Display for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index(), self.to_bits() >> 32)
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
    use slotmap::SlotMap;

    #[test]
    fn an_id_survives_as_a_number_and_never_comes_back() {
        let mut slots = SlotMap::new();
        let first = TransportId::new(slots.insert(()));
        assert_eq!(TransportId::from_bits(first.to_bits()), first);
        slots.remove(first.key());
        let second = TransportId::new(slots.insert(()));
        assert_eq!(first.index(), second.index());
        assert_ne!(first, second);
        assert_ne!(first.to_string(), second.to_string());
    }
}
