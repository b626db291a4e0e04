//! Which transports have something to hand out: each at most once, in turn.
//!
//! A transport that was touched is pushed; whoever polls looks at the front only, sends it to the back after each item
//! it gave, and drops it when it has no more. So a poll costs nothing for idle transports, and a busy one cannot starve the
//! others.

use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    queue: VecDeque<u32>,
    /// By slot: whether it is in the queue.
    queued: Vec<bool>,
}

impl ReadyQueue {
    /// Makes room for a slot, so that [`push`](Self::push) need not.
    pub(super) fn reserve(&mut self, slot: u32) {
        let slots = slot as usize + 1;
        if self.queued.len() < slots {
            self.queued.resize(slots, false);
        }
        self.queue.reserve(slots.saturating_sub(self.queue.len()));
    }

    /// Puts a slot at the back, unless it waits already.
    pub(super) fn push(&mut self, slot: u32) {
        self.reserve(slot);
        if !std::mem::replace(&mut self.queued[slot as usize], true) {
            self.queue.push_back(slot);
        }
    }

    /// Whose turn it is.
    pub(super) fn front(&self) -> Option<u32> {
        self.queue.front().copied()
    }

    /// The front gave something: the next one's turn.
    pub(super) fn rotate(&mut self) {
        if !self.queue.is_empty() {
            self.queue.rotate_left(1);
        }
    }

    /// The front has nothing more.
    pub(super) fn pop(&mut self) {
        if let Some(slot) = self.queue.pop_front() {
            self.queued[slot as usize] = false;
        }
    }

    /// Takes a slot out, wherever it stands: its transport is gone.
    pub(super) fn remove(&mut self, slot: u32) {
        if self.queued.get(slot as usize).copied() == Some(true) {
            self.queued[slot as usize] = false;
            self.queue.retain(|other| *other != slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_a_turn_and_nobody_two() {
        let mut ready = ReadyQueue::default();
        for slot in [3, 1, 3, 2, 1] {
            ready.push(slot);
        }
        let mut turns = Vec::new();
        for _ in 0..6 {
            turns.extend(ready.front());
            ready.rotate();
        }
        assert_eq!(turns, [3, 1, 2, 3, 1, 2]);

        ready.remove(1);
        ready.pop();
        assert_eq!(ready.front(), Some(2));
        ready.pop();
        assert_eq!(ready.front(), None);
        ready.push(3);
        assert_eq!(ready.front(), Some(3));
    }
}
