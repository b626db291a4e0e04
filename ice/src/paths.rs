//! Which paths a generation has heard from, and which have answered.

use crate::address::FiveTuple;
use crate::few::Few;
use crate::packed::Packed;

/// How many are remembered; unproven ones make room first.
const MAX_PATHS: usize = 16;

/// A path, marked if it is proven.
type Known = Packed<bool>;

/// The latest is last.
#[derive(Debug, Default)]
pub(crate) struct Paths(Few<Known>);

impl Paths {
    /// An authenticated request came from there.
    #[inline]
    pub(crate) fn on_request(&mut self, path: &FiveTuple) {
        if self.0.last().is_some_and(|latest| *latest == *path) {
            return;
        }
        self.move_to_end(path);
    }

    fn move_to_end(&mut self, path: &FiveTuple) {
        let known = self.forget(*path);
        let known = known.unwrap_or_else(|| Known::new(*path, false));
        self.remember(known);
    }

    /// An own check was answered from there. Says whether that is the first time.
    pub(crate) fn on_success(&mut self, path: FiveTuple) -> bool {
        if let Some(known) = self.0.iter_mut().find(|known| **known == path) {
            return !std::mem::replace(known.mark_mut(), true);
        }
        self.remember(Known::new(path, true));
        true
    }

    #[inline]
    pub(crate) fn contains(&self, path: &FiveTuple) -> bool {
        self.0.iter().any(|known| *known == *path)
    }

    pub(crate) fn is_proven(&self, path: &FiveTuple) -> bool {
        self.0.iter().any(|known| known.mark() && *known == *path)
    }

    /// Whether it is one, in place.
    #[inline]
    pub(crate) fn are_in_place(&self) -> bool {
        self.0.in_place().is_some()
    }

    pub(crate) fn latest(&self) -> Option<FiveTuple> {
        self.0.last().map(Known::unpack)
    }

    pub(crate) fn compact(&mut self) {
        self.0.compact();
    }

    /// A path that is kept elsewhere too.
    pub(crate) fn share(&mut self, path: &Packed) {
        self.0.iter_mut().for_each(|known| known.share(path));
    }

    pub(crate) fn forget_path(&mut self, path: FiveTuple) {
        self.forget(path);
    }

    fn forget(&mut self, path: FiveTuple) -> Option<Known> {
        let position = self.0.iter().position(|known| *known == path)?;
        self.0.remove(position)
    }

    fn remember(&mut self, known: Known) {
        if self.0.len() >= MAX_PATHS {
            let victim = self.0.iter().position(|known| !known.mark()).unwrap_or(0);
            self.0.remove(victim);
        }
        self.0.push(known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> FiveTuple {
        FiveTuple::udp(([192, 0, 2, 1], 1).into(), ([192, 0, 2, 2], port).into())
    }

    // req: I41
    #[test]
    fn a_proven_path_is_remembered_once_and_outlasts_those_that_are_not() {
        let mut paths = Paths::default();
        assert!(paths.on_success(path(1)), "the first time");
        for port in 2..100 {
            paths.on_request(&path(port));
            paths.on_request(&path(1));
            assert!(!paths.on_success(path(1)), "not the first time");
        }
        assert!(paths.is_proven(&path(1)) && !paths.is_proven(&path(99)));
        assert_eq!(paths.0.len(), MAX_PATHS);
        assert_eq!(paths.0.iter().filter(|known| **known == path(1)).count(), 1);
        assert_eq!(paths.latest(), Some(path(1)));
        assert!(paths.contains(&path(99)) && !paths.contains(&path(50)));
        // Not even where it was not heard of for long.
        for port in 100..200 {
            paths.on_request(&path(port));
        }
        assert!(paths.is_proven(&path(1)));
    }
}
