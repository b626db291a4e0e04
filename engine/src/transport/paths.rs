//! The 5-tuples of one transport, and how firmly it holds each.
//!
//! ```text
//!  unknown ── authenticated, nobody's ─────────────► Owned ◄─────────────┐ own check answered
//!     │                                              ▲   │               │
//!     └── authenticated, another live one's ──► Contested │ another's own check answered
//!                                                    ▲   ▼               │
//!                         the owner lapses ──────────┴─ Lost ── the owner lapses ──► Owned
//! ```
//!
//! A `Lost` path is not won back by an own check while its new owner lives: two sessions behind one address change over once,
//! and do not take turns (I54). What the caller is told (`PathLearned`, `PathReleased`) is the difference between what is owned and
//! what was announced, so that it needs no queue and can never be incomplete.

use crate::Event;
use floe_ice::{
    FiveTuple,
    compact::{Few, Packed},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// What comes this way is ours.
    Owned,
    /// Another transport holds it.
    Contested,
    /// Another transport has taken it.
    Lost,
}

/// What is kept beside a path.
#[derive(Clone, Copy, Debug)]
struct Hold {
    /// `None`: released though announced as owned, and kept until the release is announced too.
    standing: Option<Standing>,
    announced: bool,
}

type Entry = Packed<Hold>;

fn is_owned(entry: &Entry) -> bool {
    entry.mark().standing == Some(Standing::Owned)
}

#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// Almost every transport has one path, and a million of them no more.
    entries: Few<Entry>,
}

impl Paths {
    pub(crate) fn standing(&self, path: &FiveTuple) -> Option<Standing> {
        self.entry(path)?.mark().standing
    }

    /// Reads something of what it would compare.
    pub(crate) fn glance(&self) -> bool {
        let first = self.entries.first();
        first.is_some_and(|entry| entry.mark().announced)
    }

    /// How many paths it has in any standing, and how many it has let go of and not said so yet.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many it has in any standing. Those that it has let go of besides are never more than were announced at one time.
    pub(crate) fn held(&self) -> usize {
        let held = |entry: &&Entry| entry.mark().standing.is_some();
        self.entries.iter().filter(held).count()
    }

    pub(crate) fn set(&mut self, path: FiveTuple, standing: Standing) {
        match self.entries.iter_mut().find(|entry| **entry == path) {
            Some(entry) => entry.mark_mut().standing = Some(standing),
            None => {
                let hold = Hold {
                    standing: Some(standing),
                    announced: false,
                };
                self.entries.push(Entry::new(path, hold));
            }
        }
    }

    pub(crate) fn owned(&self) -> impl Iterator<Item = FiveTuple> + '_ {
        self.entries
            .iter()
            .filter(|entry| is_owned(entry))
            .map(Entry::unpack)
    }

    /// What was told to be owned, and not yet to be released.
    pub(crate) fn announced(&self) -> impl Iterator<Item = FiveTuple> + '_ {
        let announced = |entry: &&Entry| entry.mark().announced;
        self.entries.iter().filter(announced).map(Entry::unpack)
    }

    /// Releases one path for which `keep` says no, and gives it if it was owned; call until `None`. One that was never
    /// announced is gone at once.
    pub(crate) fn release_unless(
        &mut self,
        keep: impl Fn(&FiveTuple) -> bool,
    ) -> Option<FiveTuple> {
        let spent = |entry: &Entry| entry.mark().standing.is_some() && !keep(&entry.unpack());
        while let Some(index) = self.entries.iter().position(spent) {
            let entry = &mut self.entries[index];
            let (path, was_owned) = (entry.unpack(), is_owned(entry));
            if entry.mark().announced {
                entry.mark_mut().standing = None;
            } else {
                self.entries.remove(index);
            }
            if was_owned {
                return Some(path);
            }
        }
        None
    }

    /// Nothing has been announced: the paths get to know a new endpoint.
    pub(crate) fn forget_announcements(&mut self) {
        self.entries.retain(|entry| entry.mark().standing.is_some());
        self.entries
            .iter_mut()
            .for_each(|entry| entry.mark_mut().announced = false);
    }

    /// The next difference between what is so and what was told.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        let Some(entry) = self
            .entries
            .iter_mut()
            .find(|entry| is_owned(entry) != entry.mark().announced)
        else {
            self.entries.retain(|entry| entry.mark().standing.is_some());
            self.entries.compact();
            return None;
        };
        let announced = &mut entry.mark_mut().announced;
        *announced = !*announced;
        Some(match *announced {
            true => Event::PathLearned(entry.unpack()),
            false => Event::PathReleased(entry.unpack()),
        })
    }

    /// A path that is kept elsewhere too.
    pub(crate) fn share(&mut self, path: &Packed) {
        self.entries.iter_mut().for_each(|entry| entry.share(path));
    }

    fn entry(&self, path: &FiveTuple) -> Option<&Entry> {
        self.entries.iter().find(|entry| **entry == *path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> FiveTuple {
        FiveTuple::udp(
            "192.0.2.1:1".parse().unwrap(),
            ([192, 0, 2, 2], port).into(),
        )
    }

    fn events(paths: &mut Paths) -> Vec<Event> {
        std::iter::from_fn(|| paths.poll_event()).collect()
    }

    #[test]
    fn what_is_announced_follows_what_is_owned() {
        let mut paths = Paths::default();
        paths.set(path(1), Standing::Owned);
        paths.set(path(2), Standing::Contested);
        assert_eq!(events(&mut paths), [Event::PathLearned(path(1))]);
        paths.set(path(1), Standing::Lost);
        paths.set(path(2), Standing::Owned);
        assert_eq!(
            events(&mut paths),
            [Event::PathReleased(path(1)), Event::PathLearned(path(2))]
        );
        // Learned and released between two polls: nothing happened.
        paths.set(path(3), Standing::Owned);
        assert_eq!(paths.release_unless(|kept| *kept != path(3)), Some(path(3)));
        assert_eq!(events(&mut paths), []);
        assert_eq!(paths.len(), 2);
        // Released and not told yet is still announced.
        paths.set(path(1), Standing::Owned);
        assert_eq!(paths.release_unless(|kept| *kept != path(2)), Some(path(2)));
        assert_eq!(paths.announced().collect::<Vec<_>>(), [path(2)]);
    }

    #[test]
    fn releasing_gives_back_only_what_was_owned() {
        let mut paths = Paths::default();
        for (port, standing) in [
            (1, Standing::Contested),
            (2, Standing::Owned),
            (3, Standing::Lost),
        ] {
            paths.set(path(port), standing);
        }
        assert_eq!(paths.release_unless(|_| false), Some(path(2)));
        assert_eq!(paths.release_unless(|_| false), None);
        assert_eq!(paths.len(), 0);
        assert_eq!(events(&mut paths), []);
    }

    #[test]
    fn what_nobody_polls_for_does_not_pile_up() {
        let mut paths = Paths::default();
        paths.set(path(1), Standing::Owned);
        assert_eq!(events(&mut paths).len(), 1);
        for port in 2..100 {
            paths.set(path(port), Standing::Owned);
            while paths.release_unless(|kept| *kept == path(port)).is_some() {}
        }
        assert_eq!(paths.len(), 2, "the announced one and the newest");
        assert_eq!(
            events(&mut paths),
            [Event::PathReleased(path(1)), Event::PathLearned(path(99))]
        );
        assert_eq!(paths.len(), 1);
    }

    #[test]
    fn a_new_endpoint_hears_of_the_paths_again() {
        let mut paths = Paths::default();
        paths.set(path(1), Standing::Owned);
        assert_eq!(events(&mut paths).len(), 1);
        paths.forget_announcements();
        assert_eq!(events(&mut paths), [Event::PathLearned(path(1))]);
    }
}
