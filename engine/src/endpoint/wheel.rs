//! When each of many transports wants to be woken.
//!
//! ```text
//!   floor ▼ (nothing is set before it)
//!  ──┬──┬──┬──┬──┬──┬── ring: a list of slots for each of 65 536 milliseconds ──┬──┐       far: a heap of all that is
//!    │  │7 │  │  │9 │                                                           │  │       due later than a minute from
//!  ──┴──┴┬─┴──┴──┴┬─┴───────────────────────────────────────────────────────────┴──┘       when it was set
//!        3        └ occupied: three levels of bitmaps, 65 536 + 1024 + 16 bits
//! ```
//!
//! To set, move or clear a deadline is to link or unlink a list element: O(1). The earliest is found by three bitmap look-ups. Since
//! every list holds one millisecond, nothing ever cascades from coarse lists to fine ones: no work but that of who is due, and no
//! wake-up but for one. What ICE waits for lies within the ring; only DTLS has deadlines beyond it, and those go into a binary heap
//! through the same links (O(log n) at worst), and stay there until they are due or moved.
//!
//! Deadlines are rounded up to whole milliseconds, what is due already is due at once. Nothing is set for an instant that has been
//! handled: [`handle_until`](Wheel::handle_until) moves the floor to the millisecond after it, so that no machine can stop the others by
//! always being due. The wheel allocates once, when it is made.

use super::heap::{Heap, NONE};
use std::time::{Duration, Instant};

/// Where the timers are, by slot.
pub(super) trait Timers {
    fn timer(&mut self, slot: u32) -> &mut Timer;
}

/// A slot's place in the wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    /// Due at this millisecond, or [`NEVER`].
    at: u64,
    /// In a list: the one before. In the heap: the parent.
    pub(super) prev: u32,
    /// In a list: the one behind. In the heap: the second child.
    pub(super) next: u32,
    /// The first child in the heap, or [`IN_RING`].
    pub(super) child: u32,
}

const NEVER: u64 = u64::MAX;
const IN_RING: u32 = NONE - 1;

impl Timer {
    /// Without a deadline.
    pub(super) const IDLE: Self = Self::vacant(NONE);

    /// That of a slot without a transport, in a list of its own.
    pub(super) const fn vacant(next: u32) -> Self {
        Self {
            at: NEVER,
            prev: NONE,
            next,
            child: NONE,
        }
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn next(&self) -> u32 {
        self.next
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Wheel {
    /// The beginning of the milliseconds.
    epoch: Option<Instant>,
    /// The first millisecond that has not been handled.
    floor: u64,
    /// No deadline in the ring is before this one, and none [`SPAN`] or more after it.
    cursor: u64,
    ring: Ring,
    far: Heap,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self {
            epoch: None,
            floor: 0,
            cursor: 0,
            ring: Ring::new(),
            far: Heap::default(),
        }
    }

    /// When the earliest is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let (at, _) = self.first()?;
        self.epoch?.checked_add(Duration::from_millis(at))
    }

    /// Sets, moves or clears the deadline of a slot.
    pub(super) fn set(
        &mut self,
        timers: &mut impl Timers,
        now: Instant,
        slot: u32,
        deadline: Option<Instant>,
    ) {
        let at = deadline.map_or(NEVER, |deadline| self.millisecond(now, deadline));
        let timer = *timers.timer(slot);
        if timer.at == at {
            return;
        }
        self.unlink(timers, slot, timer);
        *timers.timer(slot) = Timer { at, ..Timer::IDLE };
        match at {
            NEVER => {}
            _ if at - self.cursor < SPAN => self.ring.link(timers, slot, at),
            _ => self.far.insert(timers, slot),
        }
    }

    /// Clears the deadline of a slot.
    pub(super) fn clear(&mut self, timers: &mut impl Timers, slot: u32) {
        let timer = *timers.timer(slot);
        self.unlink(timers, slot, timer);
        *timers.timer(slot) = Timer::IDLE;
    }

    /// All up to `now` are about to be taken with [`pop`](Self::pop); what is set from here on is set for later.
    pub(super) fn handle_until(&mut self, now: Instant) {
        let epoch = *self.epoch.get_or_insert(now);
        let elapsed = now.saturating_duration_since(epoch).as_millis() as u64;
        self.floor = self.floor.max(elapsed + 1);
    }

    /// Takes one that is due out, earliest first.
    pub(super) fn pop(&mut self, timers: &mut impl Timers) -> Option<u32> {
        match self.first() {
            Some((at, slot)) if at < self.floor => {
                self.cursor = at;
                self.clear(timers, slot);
                Some(slot)
            }
            _ => {
                self.cursor = self.floor;
                None
            }
        }
    }

    fn first(&self) -> Option<(u64, u32)> {
        let near = self.ring.first(self.cursor);
        let far = self.far.first();
        // Not `min`: of two in the same millisecond it matters not which, of an absent one it does.
        match (near, far) {
            (Some(near), Some(far)) => Some(near.min(far)),
            (near, far) => near.or(far),
        }
    }

    fn unlink(&mut self, timers: &mut impl Timers, slot: u32, timer: Timer) {
        match timer {
            Timer { at: NEVER, .. } => {}
            Timer { child: IN_RING, .. } => self.ring.unlink(timers, timer),
            _ => self.far.remove(timers, slot),
        }
    }

    /// Rounded up, unless it is due already; never one that has been handled.
    fn millisecond(&mut self, now: Instant, deadline: Instant) -> u64 {
        let epoch = *self.epoch.get_or_insert(now);
        let since = deadline.saturating_duration_since(epoch);
        let nanos = since.subsec_nanos();
        let millis = match deadline > now {
            true => nanos.div_ceil(1_000_000),
            false => nanos / 1_000_000,
        };
        let at = since.as_secs().saturating_mul(1000);
        at.saturating_add(millis.into()).max(self.floor)
    }
}

/// The milliseconds in the ring.
const SPAN: u64 = 1 << 16;

/// A list for each millisecond.
#[derive(Debug)]
struct Ring {
    /// By millisecond, modulo the span: the first slot of its list plus one, or 0. Zeros, so that the operating system provides the
    /// memory as it comes into use.
    heads: Box<[u32]>,
    occupied: Occupied,
}

impl Ring {
    fn new() -> Self {
        Self {
            heads: vec![0; SPAN as usize].into(),
            occupied: Occupied::new(),
        }
    }

    fn link(&mut self, timers: &mut impl Timers, slot: u32, at: u64) {
        let place = place(at);
        let next = self.heads[place].wrapping_sub(1);
        if next == NONE {
            self.occupied.insert(place);
        } else {
            timers.timer(next).prev = slot;
        }
        self.heads[place] = slot + 1;
        *timers.timer(slot) = Timer {
            at,
            prev: NONE,
            next,
            child: IN_RING,
        };
    }

    fn unlink(&mut self, timers: &mut impl Timers, timer: Timer) {
        let Timer { at, prev, next, .. } = timer;
        if next != NONE {
            timers.timer(next).prev = prev;
        }
        if prev != NONE {
            timers.timer(prev).next = next;
            return;
        }
        let place = place(at);
        self.heads[place] = next.wrapping_add(1);
        if next == NONE {
            self.occupied.remove(place);
        }
    }

    fn first(&self, cursor: u64) -> Option<(u64, u32)> {
        let start = place(cursor);
        let place = self.occupied.at_or_after(start)?;
        let ahead = place.wrapping_sub(start) as u64 % SPAN;
        Some((cursor + ahead, self.heads[place].wrapping_sub(1)))
    }
}

/// A millisecond's list.
fn place(at: u64) -> usize {
    (at % SPAN) as usize
}

/// Which lists are not empty: a bit for each, a bit for each word of those, and a bit for each word of these.
#[derive(Debug)]
struct Occupied {
    lists: Box<[u64]>,
    words: [u64; 16],
    top: u64,
}

impl Occupied {
    fn new() -> Self {
        Self {
            lists: vec![0; SPAN as usize / 64].into(),
            words: [0; 16],
            top: 0,
        }
    }

    fn insert(&mut self, list: usize) {
        let (word, group) = (list / 64, list / 4096);
        self.lists[word] |= 1 << (list % 64);
        self.words[group] |= 1 << (word % 64);
        self.top |= 1 << group;
    }

    fn remove(&mut self, list: usize) {
        let (word, group) = (list / 64, list / 4096);
        self.lists[word] &= !(1 << (list % 64));
        if self.lists[word] == 0 {
            self.words[group] &= !(1 << (word % 64));
            if self.words[group] == 0 {
                self.top &= !(1 << group);
            }
        }
    }

    /// The first from `start` on, around the ring.
    fn at_or_after(&self, start: usize) -> Option<usize> {
        let (word, group) = (start / 64, start / 4096);
        if let Some(bit) = lowest(self.lists[word] & from(start % 64)) {
            return Some(word * 64 + bit);
        }
        if let Some(bit) = lowest(self.words[group] & after(word % 64)) {
            return self.first_in(group * 64 + bit);
        }
        // Round the end, the group of `start` comes last.
        let group = lowest(self.top & after(group)).or_else(|| lowest(self.top))?;
        self.first_in(group * 64 + lowest(self.words[group])?)
    }

    fn first_in(&self, word: usize) -> Option<usize> {
        Some(word * 64 + lowest(self.lists[word])?)
    }
}

fn lowest(bits: u64) -> Option<usize> {
    (bits != 0).then(|| bits.trailing_zeros() as usize)
}

/// Bits from this one on.
fn from(bit: usize) -> u64 {
    u64::MAX << bit
}

/// Bits after this one.
fn after(bit: usize) -> u64 {
    from(bit) & !(1 << bit)
}

#[cfg(test)]
#[path = "wheel_tests.rs"]
mod tests;
