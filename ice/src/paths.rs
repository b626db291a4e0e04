//! Which paths a generation has heard from, and which have answered.

use crate::address::FiveTuple;

/// How many are remembered; unproven ones make room first.
const MAX_PATHS: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Known {
    path: FiveTuple,
    proven: bool,
}

/// The latest is last.
#[derive(Debug, Default)]
pub(crate) struct Paths(Vec<Known>);

impl Paths {
    /// An authenticated request came from there.
    pub(crate) fn on_request(&mut self, path: FiveTuple) {
        if self.0.last().is_some_and(|latest| latest.path == path) {
            return;
        }
        let known = self.forget(path).unwrap_or(Known {
            path,
            proven: false,
        });
        self.remember(known);
    }

    /// An own check was answered from there. Says whether that is the first time.
    pub(crate) fn on_success(&mut self, path: FiveTuple) -> bool {
        if let Some(known) = self.0.iter_mut().find(|known| known.path == path) {
            return !std::mem::replace(&mut known.proven, true);
        }
        self.remember(Known { path, proven: true });
        true
    }

    pub(crate) fn contains(&self, path: &FiveTuple) -> bool {
        self.0.iter().any(|known| known.path == *path)
    }

    pub(crate) fn is_proven(&self, path: &FiveTuple) -> bool {
        self.0
            .iter()
            .any(|known| known.proven && known.path == *path)
    }

    pub(crate) fn latest(&self) -> Option<FiveTuple> {
        self.0.last().map(|known| known.path)
    }

    pub(crate) fn forget_path(&mut self, path: FiveTuple) {
        self.forget(path);
    }

    fn forget(&mut self, path: FiveTuple) -> Option<Known> {
        let position = self.0.iter().position(|known| known.path == path)?;
        Some(self.0.remove(position))
    }

    fn remember(&mut self, known: Known) {
        if self.0.len() >= MAX_PATHS {
            let victim = self.0.iter().position(|known| !known.proven).unwrap_or(0);
            self.0.remove(victim);
        }
        self.0.push(known);
    }
}
