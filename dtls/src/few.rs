//! A list that is short and lives on the stack: what a hello is made of is gone when it is written.

use std::ops::Deref;

/// At most `N` items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Few<T, const N: usize> {
    items: [T; N],
    len: usize,
}

impl<T: Copy, const N: usize> Few<T, N> {
    /// The first `N` of `items`. `nothing` stands where there is none, and is never seen.
    pub(crate) fn of(nothing: T, items: impl IntoIterator<Item = T>) -> Self {
        let mut few = Self {
            items: [nothing; N],
            len: 0,
        };
        for (place, item) in few.items.iter_mut().zip(items) {
            *place = item;
            few.len += 1;
        }
        few
    }
}

impl<T, const N: usize> Deref for Few<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.items.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_there_is_room_for_is_taken() {
        let few = |count| Few::<_, 3>::of(0, 1..=count).to_vec();
        assert_eq!(few(0), []);
        assert_eq!(few(2), [1, 2]);
        assert_eq!(few(3), [1, 2, 3]);
        assert_eq!(few(4), [1, 2, 3]);
    }
}
