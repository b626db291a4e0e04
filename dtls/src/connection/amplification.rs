//! How much may be sent to an address that nobody has been heard from (RFC 9147 §5.1, RFC 9000 §8.1).
//!
//! Who spoofs an address makes a server send to it. Until the peer has shown that it receives there, the server sends three
//! times what came from there at most.

/// What may be sent for each byte received.
const FACTOR: usize = 3;

/// How many bytes may still be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amplification(u32);

impl Amplification {
    /// An address that nothing came from yet.
    pub(super) const START: Self = Self(0);
    /// The peer is there.
    pub(super) const UNLIMITED: Self = Self(u32::MAX);

    /// Of what came. The most that may be sent is less than what has no limit.
    pub(super) fn on_received(&mut self, bytes: usize) {
        if *self != Self::UNLIMITED {
            let more = u32::try_from(bytes.saturating_mul(FACTOR)).unwrap_or(u32::MAX);
            self.0 = self.0.saturating_add(more).min(u32::MAX - 1);
        }
    }

    pub(super) fn on_sent(&mut self, bytes: usize) {
        if *self != Self::UNLIMITED {
            self.0 = self
                .0
                .saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
    }

    /// How long the next datagram may be, in bytes.
    pub(super) fn room(self) -> usize {
        match self {
            Self::UNLIMITED => usize::MAX,
            Self(allowance) => allowance as usize,
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
        assert_eq!(amplification.room(), u32::MAX as usize - 1);
        let mut unlimited = Amplification::UNLIMITED;
        unlimited.on_received(1);
        unlimited.on_sent(1 << 20);
        assert_eq!(unlimited.room(), usize::MAX);
    }
}
