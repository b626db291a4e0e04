//! Connection ids: names that an end gives itself and that stand in every protected record sent to it (RFC 9146,
//! RFC 9147 §9).

use std::fmt;

use crate::record::RecordLayer;

/// What this end is called in the records it receives: 0 to 255 bytes. The empty one is in no record.
///
/// It names an association whatever address its datagrams come from. Whether a new address may be answered is another
/// question (RFC 9146 §6): floe leaves it to ICE, whose checks prove an address before anything is sent there.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ConnectionId(Box<[u8]>);

impl ConnectionId {
    /// The length of the longest, in bytes.
    pub const MAX_LEN: usize = 255;

    /// The bytes that one must leave to what a record carries, in the smallest datagrams that may be sent: any Finished has
    /// so many, and a handshake is done in few dozens of records.
    pub const LEAST_ROOM: usize = 64;

    /// `None` above [`Self::MAX_LEN`] bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= Self::MAX_LEN).then(|| Self(bytes.into()))
    }

    /// The bytes as they stand in records.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Whether records with this name have room for something else in datagrams of this many bytes.
pub(crate) fn has_room_beside(id: &[u8], mtu: u16) -> bool {
    RecordLayer::MOST_OVERHEAD + id.len() + ConnectionId::LEAST_ROOM <= mtu.into()
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionId(")?;
        for byte in &self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}
