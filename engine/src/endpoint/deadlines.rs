//! When each of many transports wants to be woken.
//!
//! A binary heap with one entry for each transport that has a deadline, and for each slot the place of its entry: moving a
//! deadline is O(log n), the earliest is O(1), nothing stale is ever kept, and nothing is allocated once the heap has
//! seen as many slots as it will hold.

use std::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: Vec<Entry>,
    /// By slot: where its entry is in the heap, or [`NOWHERE`].
    places: Vec<u32>,
}

const NOWHERE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Instant,
    slot: u32,
}

impl Deadlines {
    /// The earliest deadline and whose it is.
    pub(super) fn first(&self) -> Option<(Instant, u32)> {
        self.heap.first().map(|entry| (entry.at, entry.slot))
    }

    /// Makes room for a slot, so that [`set`](Self::set) need not.
    pub(super) fn reserve(&mut self, slot: u32) {
        let slots = slot as usize + 1;
        if self.places.len() < slots {
            self.places.resize(slots, NOWHERE);
        }
        self.heap.reserve(slots.saturating_sub(self.heap.len()));
    }

    /// Sets, moves or clears the deadline of a slot.
    pub(super) fn set(&mut self, slot: u32, deadline: Option<Instant>) {
        self.reserve(slot);
        match (self.places[slot as usize], deadline) {
            (NOWHERE, None) => {}
            (NOWHERE, Some(at)) => {
                self.heap.push(Entry { at, slot });
                self.rise(self.heap.len() - 1);
            }
            (place, Some(at)) => {
                let place = place as usize;
                self.heap[place].at = at;
                self.settle(place);
            }
            (place, None) => {
                let place = place as usize;
                self.places[slot as usize] = NOWHERE;
                self.heap.swap_remove(place);
                if place < self.heap.len() {
                    self.settle(place);
                }
            }
        }
    }

    /// Puts a changed entry where it belongs.
    fn settle(&mut self, place: usize) {
        let place = self.rise(place);
        self.sink(place);
    }

    fn rise(&mut self, mut place: usize) -> usize {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.heap[parent].at <= self.heap[place].at {
                break;
            }
            self.swap(place, parent);
            place = parent;
        }
        self.note(place);
        place
    }

    fn sink(&mut self, mut place: usize) {
        let at = |heap: &[Entry], place: usize| heap.get(place).map(|entry| entry.at);
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let child = match (at(&self.heap, left), at(&self.heap, right)) {
                (Some(a), Some(b)) if b < a => right,
                (Some(_), _) => left,
                (None, _) => break,
            };
            if self.heap[place].at <= self.heap[child].at {
                break;
            }
            self.swap(place, child);
            place = child;
        }
        self.note(place);
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.note(a);
        self.note(b);
    }

    fn note(&mut self, place: usize) {
        self.places[self.heap[place].slot as usize] = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{collections::BTreeMap, time::Duration};

    proptest! {
        #[test]
        fn the_earliest_is_that_of_a_plain_map(
            operations in prop::collection::vec((0u32..24, prop::option::of(0u64..40)), 1..400)
        ) {
            #[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
            let epoch = Instant::now();
            let mut deadlines = Deadlines::default();
            let mut model = BTreeMap::new();
            for (slot, deadline) in operations {
                let deadline = deadline.map(|seconds| epoch + Duration::from_secs(seconds));
                deadlines.set(slot, deadline);
                match deadline {
                    Some(at) => model.insert(slot, at),
                    None => model.remove(&slot),
                };
                prop_assert_eq!(deadlines.first().map(|(at, _)| at), model.values().min().copied());
                if let Some((at, slot)) = deadlines.first() {
                    prop_assert_eq!(model.get(&slot), Some(&at));
                }
            }
            let mut order = Vec::new();
            while let Some((at, slot)) = deadlines.first() {
                order.push(at);
                prop_assert_eq!(model.remove(&slot), Some(at));
                deadlines.set(slot, None);
            }
            prop_assert!(order.is_sorted() && model.is_empty());
        }
    }

    #[test]
    fn moving_deadlines_allocates_nothing() {
        #[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
        let epoch = Instant::now();
        let mut deadlines = Deadlines::default();
        deadlines.reserve(999);
        let info = allocation_counter::measure(|| {
            for turn in 0..10_000u64 {
                let at = epoch + Duration::from_millis(turn * 7919 % 5000);
                deadlines.set((turn % 1000) as u32, (turn % 5 > 0).then_some(at));
            }
        });
        assert_eq!(info.count_total, 0);
    }
}
