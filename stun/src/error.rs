//! What can go wrong, by whose fault: bytes that are not STUN, a MAC that does not hold, a buffer too short.

use thiserror::Error;

use crate::attribute::AttributeType;

/// Why bytes are not a STUN message (RFC 8489 §6.3). Such a datagram is dropped; none of these is worth an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Fewer than the 20 bytes of a header.
    #[error("shorter than a STUN header")]
    HeaderTruncated,
    /// One of the two most significant bits is set.
    #[error("the first two bits are not zero")]
    NotStun,
    /// The magic cookie 0x2112A442 is not in its place.
    #[error("the magic cookie is missing")]
    NoMagicCookie,
    /// The length field does not say how many bytes follow the header, or is no multiple of four.
    #[error("the length field does not match the bytes")]
    LengthMismatch,
    /// An attribute runs over the end of the message.
    #[error("an attribute runs over the end of the message")]
    AttributeTruncated,
    /// An attribute that this crate reads has a value of the wrong size or form.
    #[error("a malformed {0} attribute")]
    MalformedAttribute(AttributeType),
}

/// Why a message is not [`Verified`](crate::Verified).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum IntegrityError {
    /// The message carries no integrity attribute.
    #[error("the message carries no message integrity")]
    Missing,
    /// The attribute is there, and the key does not produce it.
    #[error("the message integrity does not match the key")]
    Mismatch,
}

/// Why a message could not be written. The caller's buffer, not the network, is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The buffer is too short.
    #[error("the message needs {needed} bytes")]
    BufferTooShort {
        /// How many bytes the whole message needs.
        needed: usize,
    },
    /// The attributes exceed what the 16-bit length field can say.
    #[error("the message is longer than 65,535 bytes after its header")]
    MessageTooLong,
    /// An integrity attribute or FINGERPRINT was given as a value instead of being computed in its place.
    #[error("integrity and fingerprint are computed, not given")]
    OutOfOrder,
    /// MESSAGE-INTEGRITY-SHA256 was asked for under a key that was made without.
    #[error("the key was made for MESSAGE-INTEGRITY only")]
    KeyWithoutSha256,
}
