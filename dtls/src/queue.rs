//! What waits to be taken: a few items at most and mostly none, and then it costs a pointer.

/// First in, first out.
#[derive(Debug)]
pub(crate) struct Queue<T>(Option<Box<Node<T>>>);

#[derive(Debug)]
struct Node<T> {
    item: T,
    rest: Queue<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Queue<T> {
    pub(crate) fn push_back(&mut self, item: T) {
        let mut end = &mut self.0;
        while let Some(node) = end {
            end = &mut node.rest.0;
        }
        *end = Some(Box::new(Node {
            item,
            rest: Self(None),
        }));
    }

    /// Takes the oldest, and its memory.
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let node = *self.0.take()?;
        *self = node.rest;
        Some(node.item)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::successors(self.0.as_deref(), |node| node.rest.0.as_deref())
            .map(|node| &node.item)
    }

    pub(crate) fn clear(&mut self) {
        while self.pop_front().is_some() {}
    }
}

impl<T> Extend<T> for Queue<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        for item in items {
            self.push_back(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_is_first_out() {
        let mut queue = Queue::default();
        queue.extend([1, 2, 3]);
        assert!(queue.iter().eq(&[1, 2, 3]));
        assert_eq!(queue.pop_front(), Some(1));
        queue.push_back(4);
        assert!(queue.iter().eq(&[2, 3, 4]));
        queue.clear();
        assert_eq!(queue.pop_front(), None);
        assert_eq!(size_of_val(&queue), size_of::<usize>());
    }
}
