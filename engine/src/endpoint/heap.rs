//! A binary heap of timers, through the links that are in them: no memory of its own.
//!
//! Its places are numbered from the root on, level by level, and filled in that order; the bits of a number after the first say the way
//! to its place. To insert or to remove is to walk one such way and to swap along another: O(log n), not only on average, so that
//! nobody waits for what was put off when very many deadlines were set.

use super::wheel::{Timer, Timers};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Heap {
    root: u32,
    /// When the root is due.
    at: u64,
    len: u32,
}

impl Default for Heap {
    fn default() -> Self {
        Self {
            root: NONE,
            at: 0,
            len: 0,
        }
    }
}

impl Heap {
    /// When the earliest is due, and which it is.
    pub(super) fn first(&self) -> Option<(u64, u32)> {
        (self.root != NONE).then_some((self.at, self.root))
    }

    /// Takes in a slot whose timer knows when it is due and stands nowhere.
    pub(super) fn insert(&mut self, timers: &mut impl Timers, slot: u32) {
        self.len += 1;
        let above = self.in_place(timers, self.len / 2);
        hang(timers, slot, [NONE, NONE]);
        self.replace(timers, above, NONE, slot);
        self.rise(timers, slot);
        self.read_root(timers);
    }

    /// Takes a slot out. Its links say nothing any more.
    pub(super) fn remove(&mut self, timers: &mut impl Timers, slot: u32) {
        let last = self.in_place(timers, self.len);
        self.len -= 1;
        let above = timers.timer(last).prev;
        self.replace(timers, above, last, NONE);
        if last != slot {
            let Timer {
                prev, next, child, ..
            } = *timers.timer(slot);
            self.replace(timers, prev, slot, last);
            hang(timers, last, [child, next]);
            self.rise(timers, last);
            self.sink(timers, last);
        }
        self.read_root(timers);
    }

    /// The slot in the place of this number. Above the root there is none.
    fn in_place(&self, timers: &mut impl Timers, number: u32) -> u32 {
        let Some(levels) = number.checked_ilog2() else {
            return NONE;
        };
        (0..levels).rev().fold(self.root, |slot, bit| {
            let timer = timers.timer(slot);
            match number >> bit & 1 {
                0 => timer.child,
                _ => timer.next,
            }
        })
    }

    fn rise(&mut self, timers: &mut impl Timers, slot: u32) {
        let at = timers.timer(slot).at();
        loop {
            let above = timers.timer(slot).prev;
            if above == NONE || timers.timer(above).at() <= at {
                return;
            }
            self.lift(timers, slot);
        }
    }

    fn sink(&mut self, timers: &mut impl Timers, slot: u32) {
        let at = timers.timer(slot).at();
        loop {
            let Timer { next, child, .. } = *timers.timer(slot);
            let children = [child, next].into_iter().filter(|child| *child != NONE);
            let earlier = children.min_by_key(|child| timers.timer(*child).at());
            match earlier.filter(|child| timers.timer(*child).at() < at) {
                Some(child) => self.lift(timers, child),
                None => return,
            }
        }
    }

    /// A slot and the one above it change places.
    fn lift(&mut self, timers: &mut impl Timers, slot: u32) {
        let below = *timers.timer(slot);
        let parent = below.prev;
        let above = *timers.timer(parent);
        self.replace(timers, above.prev, parent, slot);
        let children = [above.child, above.next];
        let children = children.map(|child| if child == slot { parent } else { child });
        hang(timers, slot, children);
        hang(timers, parent, [below.child, below.next]);
    }

    /// Puts `new` where `old` stood below `above`; where none stood, in the first place that is free.
    fn replace(&mut self, timers: &mut impl Timers, above: u32, old: u32, new: u32) {
        if above == NONE {
            self.root = new;
        } else {
            let timer = timers.timer(above);
            match timer.child == old {
                true => timer.child = new,
                false => timer.next = new,
            }
        }
        if new != NONE {
            timers.timer(new).prev = above;
        }
    }

    fn read_root(&mut self, timers: &mut impl Timers) {
        if self.root != NONE {
            self.at = timers.timer(self.root).at();
        }
    }
}

/// Puts these below a slot.
fn hang(timers: &mut impl Timers, slot: u32, [child, next]: [u32; 2]) {
    let timer = timers.timer(slot);
    (timer.child, timer.next) = (child, next);
    for below in [child, next].into_iter().filter(|below| *below != NONE) {
        timers.timer(below).prev = slot;
    }
}
