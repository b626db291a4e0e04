//! Which transports have something to hand out: each at most once, in turn.
//!
//! A transport that was touched is pushed; whoever polls looks at the front only, sends it to the back after each item
//! it gave, and drops it when it has no more. So a poll costs nothing for idle transports, and a busy one cannot starve the
//! others. The queue is a list through links in the slots: it needs no memory, and to take one out from anywhere is O(1).

/// Where the links are, by slot.
pub(super) trait Links {
    fn link(&mut self, queue: Queue, slot: u32) -> &mut Link;
}

/// The queues that a slot has links for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Who may have a datagram to send.
    Senders,
    /// Who may have an event.
    Tellers,
}

/// A slot's place in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The one in front of it, [`NONE`] if it is the first, [`ABSENT`] if it is not in the queue.
    prev: u32,
    next: u32,
}

const NONE: u32 = u32::MAX;
const ABSENT: u32 = NONE - 1;

impl Default for Link {
    fn default() -> Self {
        Self {
            prev: ABSENT,
            next: NONE,
        }
    }
}

#[derive(Debug)]
pub(super) struct ReadyQueue {
    queue: Queue,
    front: u32,
    back: u32,
}

impl ReadyQueue {
    pub(super) fn new(queue: Queue) -> Self {
        Self {
            queue,
            front: NONE,
            back: NONE,
        }
    }

    /// Puts a slot at the back, unless it waits already.
    pub(super) fn push(&mut self, links: &mut impl Links, slot: u32) {
        let link = links.link(self.queue, slot);
        if link.prev != ABSENT {
            return;
        }
        *link = Link {
            prev: self.back,
            next: NONE,
        };
        match self.back {
            NONE => self.front = slot,
            back => links.link(self.queue, back).next = slot,
        }
        self.back = slot;
    }

    /// Whose turn it is.
    pub(super) fn front(&self) -> Option<u32> {
        (self.front != NONE).then_some(self.front)
    }

    /// The front gave something: the next one's turn.
    pub(super) fn rotate(&mut self, links: &mut impl Links) {
        let slot = self.front;
        if slot != self.back {
            self.remove(links, slot);
            self.push(links, slot);
        }
    }

    /// Takes a slot out, wherever it stands.
    pub(super) fn remove(&mut self, links: &mut impl Links, slot: u32) {
        let Link { prev, next } = std::mem::take(links.link(self.queue, slot));
        match prev {
            ABSENT => return,
            NONE => self.front = next,
            before => links.link(self.queue, before).next = next,
        }
        match next {
            NONE => self.back = prev,
            behind => links.link(self.queue, behind).prev = prev,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    impl Links for Vec<Link> {
        fn link(&mut self, _: Queue, slot: u32) -> &mut Link {
            &mut self[slot as usize]
        }
    }

    proptest! {
        #[test]
        fn it_is_the_queue_that_a_plain_one_would_be(
            operations in prop::collection::vec((0u32..3, 0u32..8), 1..200)
        ) {
            let mut links = vec![Link::default(); 8];
            let mut ready = ReadyQueue::new(Queue::Senders);
            let mut model = VecDeque::new();
            for (operation, slot) in operations {
                match operation {
                    0 => {
                        ready.push(&mut links, slot);
                        if !model.contains(&slot) {
                            model.push_back(slot);
                        }
                    }
                    1 => {
                        ready.rotate(&mut links);
                        model.rotate_left(1.min(model.len()));
                    }
                    _ => {
                        ready.remove(&mut links, slot);
                        model.retain(|other| *other != slot);
                    }
                }
                prop_assert_eq!(ready.front(), model.front().copied());
            }
            for slot in model {
                prop_assert_eq!(ready.front(), Some(slot));
                ready.remove(&mut links, slot);
            }
            prop_assert_eq!(ready.front(), None);
            prop_assert!(links.iter().all(|link| *link == Link::default()));
        }
    }
}
