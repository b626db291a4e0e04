//! One direction of one path between two addresses.

use crate::{Random, trace::Fate};
use std::time::{Duration, Instant};

/// What a link does to the datagrams it carries. All fields may change while datagrams are in flight; what is in flight
/// keeps the arrival it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// One-way delay.
    pub delay: Duration,
    /// Additional delay, uniform in `0..=jitter`. Jitter alone never reorders: a datagram waits for the one before it.
    pub jitter: Duration,
    /// Probability that a datagram vanishes.
    pub loss: f64,
    /// Probability that a datagram arrives twice.
    pub duplication: f64,
    /// Probability that a datagram is held back by [`reordering_delay`](Self::reordering_delay), so that later ones
    /// overtake it.
    pub reordering: f64,
    /// How long a reordered datagram is held back.
    pub reordering_delay: Duration,
    /// Probability that one bit is flipped on the way.
    pub corruption: f64,
    /// Largest UDP payload that passes, in bytes; larger ones vanish, as with DF set and no ICMP.
    pub mtu: usize,
    /// False: nothing passes.
    pub up: bool,
}

impl Default for Link {
    /// 10 ms, perfect, 1472 bytes (1500 less IPv4 and UDP headers).
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            reordering_delay: Duration::from_millis(40),
            corruption: 0.0,
            mtu: 1472,
            up: true,
        }
    }
}

impl Link {
    /// A perfect link with this one-way delay.
    #[must_use]
    pub fn with_delay(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// A link on which everything that can go wrong does: a tenth lost, a tenth doubled, a tenth overtaken, a hundredth
    /// damaged, 20 ms ± jitter.
    #[must_use]
    pub fn hostile() -> Self {
        Self {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(15),
            loss: 0.1,
            duplication: 0.1,
            reordering: 0.1,
            corruption: 0.01,
            ..Self::default()
        }
    }
}

/// A link and the memory that keeps its datagrams in order.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) link: Link,
    last_arrival: Option<Instant>,
}

impl Route {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            last_arrival: None,
        }
    }

    /// Whether a datagram of `len` bytes gets onto the link, and if not, why.
    pub(crate) fn admit(&self, random: &mut Random, len: usize) -> Result<(), Fate> {
        if !self.link.up {
            return Err(Fate::Cut);
        }
        if len > self.link.mtu {
            return Err(Fate::TooBig);
        }
        if random.chance(self.link.loss) {
            return Err(Fate::Lost);
        }
        Ok(())
    }

    /// When a datagram sent `now` arrives, and whether it was held back for others to overtake.
    pub(crate) fn arrival(&mut self, now: Instant, random: &mut Random) -> (Instant, bool) {
        let arrival = now + self.link.delay + random.up_to(self.link.jitter);
        if random.chance(self.link.reordering) {
            return (arrival + self.link.reordering_delay, true);
        }
        // A shorter delay set at run time does not make new datagrams overtake old ones either.
        let arrival = self.last_arrival.map_or(arrival, |last| arrival.max(last));
        self.last_arrival = Some(arrival);
        (arrival, false)
    }

    /// Flips one bit, if luck says so.
    pub(crate) fn corrupt(&self, random: &mut Random, bytes: &mut [u8]) -> bool {
        let unlucky = random.chance(self.link.corruption);
        let at = if unlucky {
            random.below(bytes.len())
        } else {
            0
        };
        match bytes.get_mut(at) {
            Some(byte) if unlucky => {
                *byte ^= 1 << random.below(8);
                true
            }
            _ => false,
        }
    }
}
