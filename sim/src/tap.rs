//! Whoever sits on the path: sees every datagram before its link does, and may meddle.

use crate::Datagram;
use std::{cell::RefCell, fmt, rc::Rc, time::Instant};

/// What a tap wants done with the datagram it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// On to the next tap, then to the link, with whatever was changed.
    Pass,
    /// Gone.
    Drop,
    /// Kept until [`Network::release`](crate::Network::release); then it enters its link, past all taps.
    Hold,
}

/// What a tap knows and can do besides deciding.
#[derive(Debug)]
pub struct Wire {
    now: Instant,
    injected: Vec<Datagram>,
}

impl Wire {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            now,
            injected: Vec::new(),
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Puts a datagram on the wire. It arrives at this same instant, past taps and links.
    pub fn inject(&mut self, datagram: Datagram) {
        self.injected.push(datagram);
    }

    pub(crate) fn into_injected(self) -> Vec<Datagram> {
        self.injected
    }
}

type Inspect = dyn FnMut(&mut Datagram, &mut Wire) -> Verdict;

pub(crate) struct Tap(Box<Inspect>);

impl Tap {
    pub(crate) fn new(tap: impl FnMut(&mut Datagram, &mut Wire) -> Verdict + 'static) -> Self {
        Self(Box::new(tap))
    }

    pub(crate) fn inspect(&mut self, datagram: &mut Datagram, wire: &mut Wire) -> Verdict {
        (self.0)(datagram, wire)
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

/// Copies of everything sent since it was attached, in order; shared with the tap that fills it.
#[derive(Clone, Debug, Default)]
pub struct Wiretap(Rc<RefCell<Vec<(Instant, Datagram)>>>);

impl Wiretap {
    pub(crate) fn keep(&self, now: Instant, datagram: &Datagram) {
        self.0.borrow_mut().push((now, datagram.clone()));
    }

    /// How many datagrams were seen.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether nothing was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// A copy of what was seen, with the time it was sent.
    #[must_use]
    pub fn seen(&self) -> Vec<(Instant, Datagram)> {
        self.0.borrow().clone()
    }

    /// What was seen since the last `take`.
    #[must_use]
    pub fn take(&self) -> Vec<(Instant, Datagram)> {
        self.0.take()
    }
}
