//! What a transport has to remember now and then, and most of a million never.

use super::{
    Restart, Route,
    associations::{Aside, Revocable},
    meter::Meter,
};
use floe_ice::FiveTuple;
use std::ops::Deref;

#[derive(Default)]
pub(super) struct Facts {
    /// By what answers to checks from other endpoints may still be routed, the latest last.
    pub(super) former_routes: Vec<Route>,
    /// An ICE restart that is neither confirmed nor rolled back, as far as DTLS has been told.
    pub(super) restart: Option<Restart>,
    /// Where close_notify goes, though nothing else may; until it has gone.
    pub(super) closing: Option<FiveTuple>,
    /// While a path is not proven.
    pub(super) meter: Option<Meter>,
    /// The association beside the one in use.
    pub(super) aside: Option<Box<Aside>>,
    /// An ICE restart is under way that DTLS may have to go back from.
    pub(super) revocable: Option<Revocable>,
}

impl Facts {
    const NONE: Self = Self {
        former_routes: Vec::new(),
        restart: None,
        closing: None,
        meter: None,
        aside: None,
        revocable: None,
    };

    pub(super) fn aside(&mut self) -> Option<&mut Aside> {
        self.aside.as_deref_mut()
    }
}

/// The [`Facts`], with no room of their own while there are none.
#[derive(Default)]
pub(super) struct Rare(Option<Box<Facts>>);

impl Rare {
    /// To add to them.
    pub(super) fn facts(&mut self) -> &mut Facts {
        self.0.get_or_insert_default()
    }

    /// To take from them, if there are any.
    pub(super) fn live(&mut self) -> Option<&mut Facts> {
        self.0.as_deref_mut()
    }

    /// Whether there are any.
    pub(super) fn is_any(&self) -> bool {
        self.0.is_some()
    }

    /// Gives back what nothing is in any more.
    pub(super) fn tidy(&mut self) {
        self.0.take_if(|facts| {
            facts.former_routes.is_empty()
                && facts.restart.is_none()
                && facts.closing.is_none()
                && facts.meter.is_none()
                && facts.aside.is_none()
                && facts.revocable.is_none()
        });
    }
}

impl Deref for Rare {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        static NONE: Facts = Facts::NONE;
        self.0.as_deref().unwrap_or(&NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_takes_no_room() {
        let mut rare = Rare::default();
        assert!(rare.live().is_none() && rare.closing.is_none());
        let path = FiveTuple::udp(([192, 0, 2, 1], 1).into(), ([192, 0, 2, 2], 2).into());
        rare.facts().closing = Some(path);
        rare.tidy();
        assert_eq!(rare.closing, Some(path));
        rare.facts().closing = None;
        rare.tidy();
        assert!(rare.live().is_none());
        assert_eq!(size_of::<Rare>(), size_of::<usize>());
    }
}
