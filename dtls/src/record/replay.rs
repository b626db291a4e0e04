//! The anti-replay window of one protected epoch (RFC 6347 §4.1.2.6, RFC 9147 §4.5.1), as a shift register.
//!
//! [`ReplayWindow::check`] before the record is authenticated, [`ReplayWindow::mark`] after: what is forged moves nothing.
//! Plaintext epochs have no window: anybody could move it.

/// Sequence numbers up to the newest that are told apart.
pub(crate) const WINDOW: u64 = 256;

const BITS: u64 = u64::BITS as u64;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReplayWindow {
    newest: u64,
    /// A bit for each number, the newest first.
    seen: [u64; (WINDOW / BITS) as usize],
}

impl ReplayWindow {
    /// One more than the newest number marked.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        self.newest + 1
    }

    /// The newest number and the 31 before it: a bit for each that was seen, the newest first.
    pub(crate) fn newest(&self) -> u32 {
        let [word, ..] = self.seen;
        word as u32
    }

    /// Whether nothing was marked yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.seen == [0; _]
    }

    /// Whether a record of this number may be new.
    #[inline]
    pub(crate) fn check(&self, sequence: u64) -> bool {
        if sequence > self.newest {
            return true;
        }
        let age = self.newest - sequence;
        let word = self.seen.get((age / BITS) as usize);
        word.is_some_and(|word| word & bit(age) == 0)
    }

    /// Remembers an authenticated record that passed [`Self::check`].
    #[inline]
    pub(crate) fn mark(&mut self, sequence: u64) {
        if sequence > self.newest {
            self.make_older(sequence - self.newest);
            self.newest = sequence;
        }
        let age = self.newest - sequence;
        if let Some(word) = self.seen.get_mut((age / BITS) as usize) {
            *word |= bit(age);
        }
    }

    /// Each number that was seen is further from the newest by so much, which is 1 nearly always.
    #[inline]
    fn make_older(&mut self, by: u64) {
        if by >= WINDOW {
            self.seen = [0; _];
            return;
        }
        for _ in 0..by / BITS {
            let [a, b, c, _] = self.seen;
            self.seen = [0, a, b, c];
        }
        let bits = by % BITS;
        // What leaves a word goes into the next; in two steps, for none of it does where whole words move.
        let carried = |word: u64| word >> 1 >> (BITS - 1 - bits);
        let [a, b, c, d] = self.seen;
        self.seen = [
            a << bits,
            b << bits | carried(a),
            c << bits | carried(b),
            d << bits | carried(c),
        ];
    }
}

fn bit(age: u64) -> u64 {
    1 << (age % BITS)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn sequences() -> impl Strategy<Value = Vec<u64>> {
        let around = |edge: u64| edge.saturating_sub(400)..edge + 400;
        let near_an_edge = prop_oneof![
            around(1 << 8),
            around(1 << 16),
            (1u64 << 48) - 800..1 << 48,
            0u64..600,
        ];
        prop::collection::vec(near_an_edge, 1..300)
    }

    proptest! {
        // req: T31
        #[test]
        fn the_window_agrees_with_a_set(sequences in sequences()) {
            let mut window = ReplayWindow::default();
            let mut seen = HashSet::new();
            let mut newest = 0;
            for sequence in sequences {
                let expected = sequence + WINDOW > newest && !seen.contains(&sequence);
                prop_assert_eq!(window.check(sequence), expected, "{} after {}", sequence, newest);
                if expected {
                    window.mark(sequence);
                    seen.insert(sequence);
                    newest = newest.max(sequence);
                }
            }
        }
    }

    // req: T31
    #[test]
    fn the_window_is_256_wide() {
        for newest in [255, 1000, 65_536, (1 << 48) - 1] {
            let mut window = ReplayWindow::default();
            window.mark(newest);
            assert!(!window.check(newest));
            assert!(window.check(newest - 255));
            if newest > 255 {
                assert!(!window.check(newest - 256));
            }
        }
    }

    // req: T31
    #[test]
    fn checking_moves_nothing() {
        let mut window = ReplayWindow::default();
        window.mark(5);
        assert!(window.check(1 << 40));
        assert!(window.check(6));
        window.mark(6);
        assert!(!window.check(6));
    }
}
