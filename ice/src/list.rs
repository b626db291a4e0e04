//! A list that is empty most of the time: one pointer then, and nothing on the heap.

use std::ops::{Deref, DerefMut};

#[derive(Debug)]
#[expect(
    clippy::box_collection,
    reason = "an empty list is to cost one word in a record that exists a million times"
)]
pub(crate) struct List<T>(Option<Box<Vec<T>>>);

impl<T> List<T> {
    pub(crate) fn push(&mut self, item: T) {
        self.0.get_or_insert_default().push(item);
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        (!self.is_empty()).then(|| self.remove(0))
    }

    /// Takes out the item at `index`, which exists.
    pub(crate) fn remove(&mut self, index: usize) -> T {
        let items = self.0.get_or_insert_default();
        let item = items.remove(index);
        self.release();
        item
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        if let Some(items) = &mut self.0 {
            items.retain(keep);
        }
        self.release();
    }

    pub(crate) fn take(&mut self) -> Vec<T> {
        self.0.take().map_or_else(Vec::new, |items| *items)
    }

    fn release(&mut self) {
        self.0.take_if(|items| items.is_empty());
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_ref().map_or(&[], |items| items)
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut().map_or(&mut [], |items| items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_is_gone_and_an_empty_list_holds_nothing() {
        assert_eq!(size_of::<List<[u64; 9]>>(), size_of::<usize>());
        let mut list = List::default();
        assert_eq!(list.pop_front(), None);
        (1..=6).for_each(|n| list.push(n));
        assert_eq!(list.pop_front(), Some(1));
        assert_eq!(list.remove(1), 3);
        list.retain(|n| *n != 4);
        list.retain(|n| *n != 5);
        list.iter_mut().for_each(|n| *n *= 10);
        assert_eq!(*list, [20, 60]);
        assert_eq!(list.take(), [20, 60]);
        list.push(7);
        list.retain(|_| false);
        assert!(list.is_empty() && list.0.is_none());
    }
}
