//! How much may be sent to an address that nobody has been heard from (RFC 9147 §5.1, RFC 9000 §8.1).
//!
//! Who spoofs an address makes a server send to it. Until the peer has shown that it receives there, the server sends three
//! times what came from there at most.

/// What may be sent for each byte received.
const FACTOR: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amplification {
    /// So many bytes may still be sent.
    Limited(u32),
    /// The peer is there.
    Unlimited,
}

impl Amplification {
    /// An address that nothing came from yet.
    pub(super) const START: Self = Self::Limited(0);

    pub(super) fn on_received(&mut self, bytes: usize) {
        if let Self::Limited(allowance) = self {
            let more = u32::try_from(bytes.saturating_mul(FACTOR)).unwrap_or(u32::MAX);
            *allowance = allowance.saturating_add(more);
        }
    }

    pub(super) fn on_sent(&mut self, bytes: usize) {
        if let Self::Limited(allowance) = self {
            *allowance = allowance.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
    }

    /// How long the next datagram may be, in bytes.
    pub(super) fn room(self) -> usize {
        match self {
            Self::Limited(allowance) => allowance as usize,
            Self::Unlimited => usize::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: T9
    #[test]
    fn three_bytes_go_for_each_that_came_and_no_more() {
        let mut amplification = Amplification::START;
        assert_eq!(amplification.room(), 0);
        amplification.on_received(100);
        assert_eq!(amplification.room(), 300);
        amplification.on_sent(299);
        assert_eq!(amplification.room(), 1);
        amplification.on_sent(2);
        amplification.on_received(1);
        assert_eq!(amplification.room(), 3);
        amplification.on_received(usize::MAX);
        assert_eq!(amplification.room(), u32::MAX as usize);
        let mut unlimited = Amplification::Unlimited;
        unlimited.on_sent(1 << 20);
        assert_eq!(unlimited.room(), usize::MAX);
    }
}
