//! What of a flight the peer has: the bytes it has not acknowledged, and which record carried which of them
//! (RFC 9147 §7.2).
//!
//! The messages of a flight stand one after the other, headers included, and a place in that row names a byte of the
//! flight. A record carries one stretch of it: what lies between two fragments of a record was acknowledged before.

use std::collections::VecDeque;
use std::ops::Range;

use super::numbers::RecordNumbers;
use crate::record::header::RecordNumber;

/// Records whose contents are remembered, the newest. Acknowledgements of older ones have no effect.
const REMEMBERED: usize = 32;

/// The stretches of the flight that the peer is not known to have: sorted, disjoint, none empty.
#[derive(Debug, Default)]
pub(super) struct Unacked(Vec<Range<usize>>);

impl Unacked {
    /// Nothing is acknowledged of a flight of `len` bytes.
    pub(super) fn set_all(&mut self, len: usize) {
        self.0.clear();
        self.0.extend((len > 0).then_some(0..len));
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first stretch inside `window`, cut to it.
    pub(super) fn first_in(&self, window: Range<usize>) -> Option<Range<usize>> {
        let stretch = self.0.iter().find(|stretch| stretch.end > window.start)?;
        let cut = stretch.start.max(window.start)..stretch.end.min(window.end);
        (!cut.is_empty()).then_some(cut)
    }

    /// Takes `acked` out; says whether any of it was new.
    pub(super) fn acknowledge(&mut self, acked: &Range<usize>) -> bool {
        if self.first_in(acked.clone()).is_none() {
            return false;
        }
        let without = |stretch: &Range<usize>| {
            [
                stretch.start..stretch.end.min(acked.start),
                stretch.start.max(acked.end)..stretch.end,
            ]
        };
        self.0 = self.0.iter().flat_map(without).collect();
        self.0.retain(|stretch| !stretch.is_empty());
        true
    }
}

/// What the newest records of a flight carried.
#[derive(Debug, Default)]
pub(super) struct SentRecords {
    /// Those that carried all of it, as each does of a short one: it may be sent again for minutes, and takes no more bytes.
    whole: RecordNumbers<40>,
    parts: VecDeque<(RecordNumber, Range<u32>)>,
}

impl SentRecords {
    pub(super) fn clear(&mut self) {
        self.whole = RecordNumbers::default();
        self.parts.clear();
    }

    /// A record carried this stretch of a flight of `len` bytes.
    pub(super) fn remember(&mut self, number: RecordNumber, carried: Range<usize>, len: usize) {
        if carried == (0..len) {
            return self.whole.push(number);
        }
        if self.parts.len() == REMEMBERED {
            self.parts.pop_front();
        }
        // No flight is as long as four bytes can say.
        let carried = carried.start as u32..carried.end as u32;
        self.parts.push_back((number, carried));
    }

    /// What the record of this number carried of a flight of `len` bytes, asked for once.
    pub(super) fn take(&mut self, number: RecordNumber, len: usize) -> Option<Range<usize>> {
        if self.whole.take(number) {
            return Some(0..len);
        }
        let place = self.parts.iter().position(|(sent, _)| *sent == number)?;
        let (_, carried) = self.parts.remove(place)?;
        Some(carried.start as usize..carried.end as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::header::Epoch;

    proptest! {
        // req: T21
        #[test]
        fn what_is_acknowledged_is_a_set_of_bytes(acks in prop::collection::vec((0usize..64, 0usize..64), 0..12)) {
            let mut unacked = Unacked::default();
            unacked.set_all(64);
            let mut model = [true; 64];
            for (from, to) in acks {
                let acked = from.min(to)..from.max(to);
                let new = model[acked.clone()].contains(&true);
                prop_assert_eq!(unacked.acknowledge(&acked), new);
                model[acked].fill(false);
                let mut kept = [false; 64];
                for stretch in &unacked.0 {
                    prop_assert!(!stretch.is_empty());
                    kept[stretch.clone()].fill(true);
                }
                prop_assert_eq!(kept, model);
                prop_assert!(unacked.0.windows(2).all(|pair| pair[0].end < pair[1].start));
                prop_assert_eq!(unacked.is_empty(), !model.contains(&true));
            }
            for start in 0..64 {
                let first = (start..64).find(|at| model[*at]);
                prop_assert_eq!(unacked.first_in(start..64).map(|stretch| stretch.start), first);
            }
        }
    }

    #[test]
    fn the_oldest_records_are_forgotten_and_each_is_told_once() {
        let number = |sequence| RecordNumber::new(Epoch(2), sequence);
        let mut sent = SentRecords::default();
        for sequence in 0..40 {
            let at = sequence as usize;
            sent.remember(number(sequence), at..at + 1, 40);
        }
        assert_eq!(sent.take(number(7), 40), None);
        assert_eq!(sent.take(number(8), 40), Some(8..9));
        assert_eq!(sent.take(number(8), 40), None);
        assert_eq!(sent.take(number(39), 40), Some(39..40));
        assert_eq!(sent.take(RecordNumber::new(Epoch(3), 20), 40), None);
    }

    // req: T21 T52
    #[test]
    fn records_that_carried_all_are_remembered_in_no_more_memory() {
        let number = |sequence| RecordNumber::new(Epoch(3), sequence);
        let mut sent = SentRecords::default();
        for sequence in 0..100 {
            sent.remember(number(3 * sequence), 0..13, 13);
        }
        assert_eq!(sent.parts.capacity(), 0);
        for newest in 70..100 {
            assert_eq!(sent.take(number(3 * newest), 13), Some(0..13), "{newest}");
            assert_eq!(sent.take(number(3 * newest), 13), None, "{newest}");
        }
        sent.remember(number(400), 0..12, 13);
        sent.remember(number(401), 0..13, 13);
        assert_eq!(sent.take(number(400), 13), Some(0..12));
        sent.clear();
        assert_eq!(sent.take(number(401), 13), None);
    }
}
