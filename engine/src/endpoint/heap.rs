//! A pairing heap of timers, through the links that are in them: no memory of its own.
//!
//! To insert is to compare with the root. To remove is to pair the children of what is removed and to meld what comes of it with the
//! rest: O(log n), amortised.

use super::wheel::{Timer, Timers};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Heap {
    root: u32,
    /// When the root is due.
    at: u64,
}

impl Default for Heap {
    fn default() -> Self {
        Self { root: NONE, at: 0 }
    }
}

impl Heap {
    /// When the earliest is due, and which it is.
    pub(super) fn first(&self) -> Option<(u64, u32)> {
        (self.root != NONE).then_some((self.at, self.root))
    }

    /// Takes in a slot whose timer knows when it is due and stands nowhere.
    pub(super) fn insert(&mut self, timers: &mut impl Timers, slot: u32) {
        let root = meld(timers, self.root, slot);
        self.set_root(timers, root);
    }

    /// Takes a slot out. Its links say nothing any more.
    pub(super) fn remove(&mut self, timers: &mut impl Timers, slot: u32) {
        let Timer {
            prev, next, child, ..
        } = *timers.timer(slot);
        let children = pair(timers, child);
        if slot == self.root {
            return self.set_root(timers, children);
        }
        if next != NONE {
            timers.timer(next).prev = prev;
        }
        let before = timers.timer(prev);
        if before.child == slot {
            before.child = next;
        } else {
            before.next = next;
        }
        let root = meld(timers, self.root, children);
        self.set_root(timers, root);
    }

    fn set_root(&mut self, timers: &mut impl Timers, root: u32) {
        self.root = root;
        if root != NONE {
            self.at = timers.timer(root).at();
        }
    }
}

/// Of two trees without siblings, the later becomes the first child of the earlier.
fn meld(timers: &mut impl Timers, a: u32, b: u32) -> u32 {
    let (parent, child) = match (a, b) {
        (NONE, other) | (other, NONE) => return other,
        _ if timers.timer(b).at() < timers.timer(a).at() => (b, a),
        _ => (a, b),
    };
    let sibling = std::mem::replace(&mut timers.timer(parent).child, child);
    if sibling != NONE {
        timers.timer(sibling).prev = child;
    }
    let timer = timers.timer(child);
    (timer.prev, timer.next) = (parent, sibling);
    parent
}

/// Melds siblings into one tree: two by two from the first to the last, then all of those from the last to the first.
fn pair(timers: &mut impl Timers, first: u32) -> u32 {
    let (mut left, mut pairs) = (first, NONE);
    while left != NONE {
        let a = left;
        let b = alone(timers, a);
        left = if b == NONE { NONE } else { alone(timers, b) };
        let melded = meld(timers, a, b);
        timers.timer(melded).next = pairs;
        pairs = melded;
    }
    let mut tree = NONE;
    while pairs != NONE {
        let next = alone(timers, pairs);
        tree = meld(timers, tree, pairs);
        pairs = next;
    }
    tree
}

/// Parts a tree from its siblings, and gives the next one.
fn alone(timers: &mut impl Timers, slot: u32) -> u32 {
    let timer = timers.timer(slot);
    timer.prev = NONE;
    std::mem::replace(&mut timer.next, NONE)
}
