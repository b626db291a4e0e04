//! A list that has one item most of the time: that one is in place, and nothing on the heap.

use std::ops::{Deref, DerefMut};

/// Many items cost one word in a record that exists a million times.
#[derive(Debug, Default)]
pub enum Few<T> {
    #[default]
    None,
    One(T),
    Many(Box<Vec<T>>),
}

impl<T> Few<T> {
    /// The one item that is in place.
    #[inline]
    pub fn in_place(&self) -> Option<&T> {
        match self {
            Self::One(item) => Some(item),
            Self::None | Self::Many(_) => None,
        }
    }

    pub fn push(&mut self, item: T) {
        if let Self::Many(items) = self {
            return items.push(item);
        }
        *self = match std::mem::take(self) {
            Self::One(first) => Self::Many(Box::new(vec![first, item])),
            _ => Self::One(item),
        };
    }

    /// Takes out the item at `index`, which exists.
    pub fn remove(&mut self, index: usize) -> Option<T> {
        match self {
            Self::Many(items) => Some(items.remove(index)),
            Self::None | Self::One(_) => match std::mem::take(self) {
                Self::One(item) => Some(item),
                _ => None,
            },
        }
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.retain_mut(|item| keep(item));
    }

    pub fn retain_mut(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        match self {
            Self::None => {}
            Self::One(item) => {
                if !keep(item) {
                    *self = Self::None;
                }
            }
            Self::Many(items) => items.retain_mut(keep),
        }
    }

    /// Gives back the room that more items took.
    pub fn compact(&mut self) {
        if let Self::Many(items) = self {
            items.shrink_to_fit();
            if items.len() < 2 {
                *self = items.pop().map_or(Self::None, Self::One);
            }
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(item) => std::slice::from_ref(item),
            Self::Many(items) => items,
        }
    }
}

impl<T> DerefMut for Few<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::None => &mut [],
            Self::One(item) => std::slice::from_mut(item),
            Self::Many(items) => items,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_a_vector_would_and_one_item_in_place() {
        let mut few = Few::default();
        let mut plain = Vec::new();
        let allocated = allocation_counter::measure(|| few.push(0));
        assert_eq!(allocated.count_total, 0);
        plain.push(0);
        for turn in 1..200_u32 {
            match turn % 7 {
                0 if !plain.is_empty() => {
                    let index = turn as usize % plain.len();
                    assert_eq!(few.remove(index), Some(plain.remove(index)));
                }
                1 => few.compact(),
                6 if turn % 5 == 0 => {
                    few.retain(|n| n % 4 == 1);
                    plain.retain(|n| n % 4 == 1);
                }
                _ => {
                    few.push(turn);
                    plain.push(turn);
                }
            }
            assert_eq!(*few, *plain);
        }
        few.retain(|n| *n == plain[0]);
        few.compact();
        assert!(matches!(few, Few::One(_)));
        few.iter_mut().for_each(|n| *n = 3);
        assert_eq!(*few, [3]);
        few.retain(|_| false);
        assert!(few.is_empty() && matches!(few, Few::None));
    }
}
