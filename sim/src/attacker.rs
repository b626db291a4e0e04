//! Hostile bytes, by seed.

use crate::{Datagram, Random};
use std::net::SocketAddr;

/// Makes datagrams that no honest peer sends: garbage for one who knows only addresses, mutations and splices for one
/// who also sees the wire. What it makes is handed to [`Network::inject`](crate::Network::inject).
#[derive(Debug)]
pub struct Attacker {
    random: Random,
}

impl Attacker {
    /// An attacker who always makes the same choices for `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
        }
    }

    /// Random bytes, at most `longest` of them, with a first byte that half the time belongs to one of the protocols
    /// that share the port (RFC 7983 §7): garbage that is thrown away at the first byte tests little.
    pub fn garbage(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        longest: usize,
    ) -> Datagram {
        let mut bytes = vec![0; self.random.below(longest + 1)];
        self.random.fill(&mut bytes);
        if let (Some(first), true) = (bytes.first_mut(), self.random.chance(0.5)) {
            let ranges = [(0, 4), (20, 44), (128, 64)];
            let (low, count) = ranges[self.random.below(ranges.len())];
            *first = low + self.random.below(count) as u8;
        }
        Datagram {
            source,
            destination,
            bytes,
        }
    }

    /// A copy of `original` with one to four faults in it: flipped bits, replaced bytes, a lost or doubled stretch,
    /// a cut tail, or a tail of garbage.
    pub fn mutate(&mut self, original: &Datagram) -> Datagram {
        let mut bytes = original.bytes.clone();
        for _ in 0..=self.random.below(4) {
            self.fault(&mut bytes);
        }
        Datagram {
            bytes,
            ..original.clone()
        }
    }

    /// The head of one datagram with the tail of another, addressed as the first.
    pub fn splice(&mut self, head: &Datagram, tail: &Datagram) -> Datagram {
        let keep = self.random.below(head.bytes.len() + 1);
        let from = self.random.below(tail.bytes.len() + 1);
        let bytes = [&head.bytes[..keep], &tail.bytes[from..]].concat();
        Datagram {
            bytes,
            ..head.clone()
        }
    }

    fn fault(&mut self, bytes: &mut Vec<u8>) {
        let (at, other) = (
            self.random.below(bytes.len()),
            self.random.below(bytes.len() + 1),
        );
        let stretch = at.min(other)..at.max(other).min(at.min(other) + 32);
        match self.random.below(6) {
            0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << self.random.below(8),
            2 if !bytes.is_empty() => self.random.fill(&mut bytes[at..=at]),
            3 => drop(bytes.drain(stretch)),
            4 => {
                let doubled = bytes[stretch].to_vec();
                bytes.extend(doubled);
            }
            _ if self.random.chance(0.5) => bytes.truncate(at),
            _ => {
                let mut tail = vec![0; 1 + self.random.below(32)];
                self.random.fill(&mut tail);
                bytes.extend(tail);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address;

    #[test]
    fn the_same_seed_makes_the_same_attacks() {
        let attacks = |seed| {
            let mut attacker = Attacker::new(seed);
            let first = attacker.garbage(address(1), address(2), 600);
            let second = attacker.mutate(&first);
            let third = attacker.splice(&first, &second);
            [first, second, third]
        };
        assert_eq!(attacks(1), attacks(1));
        assert_ne!(attacks(1), attacks(2));
    }

    #[test]
    fn mutation_is_total_and_nearly_always_changes_something() {
        let mut attacker = Attacker::new(3);
        let mut changed = 0;
        for len in 0..400 {
            let original = Datagram {
                source: address(1),
                destination: address(2),
                bytes: vec![7; len],
            };
            changed += usize::from(attacker.mutate(&original) != original);
        }
        assert!(changed > 350, "{changed}");
    }
}
