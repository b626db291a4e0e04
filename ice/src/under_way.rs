//! The checks that are under way, and those that come before all others: one pointer, and nothing on the heap while there are none.

use crate::check::Check;
use crate::pair::PairId;

#[derive(Debug, Default)]
pub(crate) struct UnderWay(Option<Box<Queues>>);

#[derive(Debug, Default)]
struct Queues {
    /// Pairs to check before all others (RFC 8445 §6.1.4.1).
    triggered: Vec<PairId>,
    checks: Vec<Check>,
}

impl UnderWay {
    /// The checks under way.
    #[inline]
    pub(crate) fn checks(&self) -> &[Check] {
        self.0.as_ref().map_or(&[], |queues| &queues.checks)
    }

    #[inline]
    pub(crate) fn checks_mut(&mut self) -> &mut [Check] {
        self.0.as_mut().map_or(&mut [], |queues| &mut queues.checks)
    }

    /// The pairs that wait for a triggered check.
    pub(crate) fn triggered(&self) -> &[PairId] {
        self.0.as_ref().map_or(&[], |queues| &queues.triggered)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn push(&mut self, check: Check) {
        self.0.get_or_insert_default().checks.push(check);
    }

    /// Takes the check at `index` out, which exists.
    pub(crate) fn remove(&mut self, index: usize) -> Option<Check> {
        let check = self.0.as_mut().map(|queues| queues.checks.remove(index));
        self.release();
        check
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&Check) -> bool) {
        if let Some(queues) = &mut self.0 {
            queues.checks.retain(keep);
        }
        self.release();
    }

    /// Takes all checks out.
    pub(crate) fn take(&mut self) -> Vec<Check> {
        let queues = self.0.as_mut();
        let checks = queues.map_or_else(Vec::new, |queues| std::mem::take(&mut queues.checks));
        self.release();
        checks
    }

    /// Queues a triggered check, unless it is.
    pub(crate) fn trigger(&mut self, id: PairId) {
        let triggered = &mut self.0.get_or_insert_default().triggered;
        if !triggered.contains(&id) {
            triggered.push(id);
        }
    }

    /// The triggered check that was queued first.
    pub(crate) fn next_triggered(&mut self) -> Option<PairId> {
        let triggered = &mut self.0.as_mut()?.triggered;
        let id = (!triggered.is_empty()).then(|| triggered.remove(0));
        self.release();
        id
    }

    pub(crate) fn retain_triggered(&mut self, keep: impl FnMut(&PairId) -> bool) {
        if let Some(queues) = &mut self.0 {
            queues.triggered.retain(keep);
        }
        self.release();
    }

    fn release(&mut self) {
        let empty =
            |queues: &mut Box<Queues>| queues.triggered.is_empty() && queues.checks.is_empty();
        self.0.take_if(empty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggered_checks_keep_their_order_and_nothing_is_held_when_none_are_left() {
        assert_eq!(size_of::<UnderWay>(), size_of::<usize>());
        let mut queue = UnderWay::default();
        assert_eq!(queue.next_triggered(), None);
        let id = PairId::nth;
        for number in [3, 1, 3, 2, 4] {
            queue.trigger(id(number));
        }
        queue.retain_triggered(|pair| *pair != id(2));
        assert_eq!(queue.triggered(), [id(3), id(1), id(4)]);
        queue.retain(|_| false);
        let order: Vec<_> = std::iter::from_fn(|| queue.next_triggered()).collect();
        assert_eq!(order, [id(3), id(1), id(4)]);
        assert!(queue.is_empty() && queue.checks().is_empty());
    }
}
