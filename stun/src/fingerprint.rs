//! FINGERPRINT (RFC 8489 §14.7): a CRC-32 that tells STUN from what merely looks like it. No protection against anybody.

use std::sync::LazyLock;

use crc32fast::Hasher;

/// Size of the whole attribute in bytes.
pub(crate) const FINGERPRINT_LEN: usize = 8;

/// Keeps the value apart from the CRC-32 that another protocol in the same packet may carry.
const XOR_MASK: u32 = 0x5354_554E;

/// What the message says about its FINGERPRINT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FingerprintStatus {
    /// There is none.
    Absent,
    /// It is the last attribute and matches.
    Valid,
    /// It does not match, or is not the last attribute. Such a datagram is to be dropped.
    Invalid,
}

/// The attribute's value for a message whose bytes before the attribute are `covered`, its length field counting the attribute.
#[inline]
pub(crate) fn compute(covered: &[u8]) -> u32 {
    // A new one would ask the processor each time what it knows.
    static BEGUN: LazyLock<Hasher> = LazyLock::new(Hasher::new);
    let mut crc = BEGUN.clone();
    crc.update(covered);
    crc.finalize() ^ XOR_MASK
}
