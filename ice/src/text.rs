//! Short text that stands where it is kept: no memory of its own, and nothing to wait for that has to be fetched by way of it.

use std::fmt;

use zeroize::Zeroize;

/// Text, in place if it has at most `N` bytes, which are at most 255.
#[derive(Clone)]
pub(crate) enum Text<const N: usize> {
    Here { len: u8, bytes: [u8; N] },
    There(Box<[u8]>),
}

impl<const N: usize> Text<N> {
    /// What these have together.
    pub(crate) fn of(parts: &[&str]) -> Self {
        let len = parts.iter().map(|part| part.len()).sum();
        let mut text = match u8::try_from(len) {
            Ok(short) if len <= N => Self::Here {
                len: short,
                bytes: [0; N],
            },
            _ => Self::There(vec![0; len].into()),
        };
        let mut rest = text.bytes_mut();
        for part in parts {
            let (place, behind) = rest.split_at_mut(part.len());
            place.copy_from_slice(part.as_bytes());
            rest = behind;
        }
        text
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Here { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Self::There(bytes) => bytes,
        }
    }

    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        matches!(self, Self::Here { .. })
    }

    #[inline]
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("it was made of text")
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Here { len, bytes } => &mut bytes[..usize::from(*len)],
            Self::There(bytes) => bytes,
        }
    }
}

impl<const N: usize> PartialEq for Text<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> Eq for Text<N> {}

impl<const N: usize> Zeroize for Text<N> {
    fn zeroize(&mut self) {
        match self {
            Self::Here { len, bytes } => {
                len.zeroize();
                bytes.zeroize();
            }
            Self::There(bytes) => bytes.zeroize(),
        }
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_it_was_made_of_whatever_its_length_and_is_wiped() {
        assert_eq!((size_of::<Text<54>>(), size_of::<Text<22>>()), (56, 24));
        for len in 0..300 {
            let (front, back) = ("a".repeat(len / 3), "\u{e9}".repeat(len));
            let allocated = allocation_counter::measure(|| {
                let mut text = Text::<54>::of(&[&front, ":", &back]);
                allocation_counter::opt_out(|| {
                    let whole = [&front, ":", &*back].concat();
                    assert_eq!(
                        (text.as_str(), text.as_bytes()),
                        (&*whole, whole.as_bytes())
                    );
                    assert_eq!(text, text.clone());
                    assert_ne!(text, Text::of(&[&whole, "x"]));
                });
                text.zeroize();
                assert!(text.as_bytes().iter().all(|byte| *byte == 0));
            });
            let is_here = front.len() + 1 + back.len() <= 54;
            assert_eq!(allocated.count_total, u64::from(!is_here));
        }
    }
}
