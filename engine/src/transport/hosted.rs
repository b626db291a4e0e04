//! What an endpoint asks of its transports: whose path and name something is, whether there is anything to send.

use super::Transport;
use floe_ice::{self as ice, FiveTuple};
use floe_stun as stun;
use std::sync::Arc;

/// From how many endpoints unanswered checks can still be out.
const MAX_ROUTES: usize = 16;

/// How an endpoint tags a transport's STUN transactions.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) key: Arc<stun::RouteKey>,
    pub(crate) tag: u32,
}

impl Transport {
    /// Whether what is not STUN is taken from there.
    pub(crate) fn accepts_from(&self, path: &FiveTuple) -> bool {
        self.is_live() && self.ice.accepts_from(path)
    }

    /// Neither failed nor closed.
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.ice.state(), ice::State::Failed | ice::State::Closed)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.ice.state() == ice::State::Closed
    }

    /// Reads a little of all that a request or media will need of it, so that it is at hand then.
    #[inline]
    pub(crate) fn glance(&self) -> u8 {
        self.ice.glance().wrapping_add(self.glance_beside_ice())
    }

    #[inline]
    pub(super) fn glance_beside_ice(&self) -> u8 {
        let dtls = u8::from(self.dtls.current().is_idle()) + u8::from(self.dtls.rare.is_any());
        dtls + u8::from(self.paths.glance()) + self.dtls.pace as u8
    }

    /// Whether there is a datagram to write. Says yes too often rather than never.
    #[inline]
    pub(crate) fn has_transmit(&self) -> bool {
        self.ice.has_transmit() || !self.is_quiet_but_for_ice()
    }

    /// Whether neither DTLS nor anything held back can have a datagram to write.
    #[inline]
    pub(super) fn is_quiet_but_for_ice(&self) -> bool {
        self.dtls.is_silent() && !self.dtls.rare.is_any()
    }

    /// Another one whenever its peer calls it otherwise; 0 when it is closed, and has no name any more.
    pub(crate) fn names_version(&self) -> u32 {
        match self.is_closed() {
            true => 0,
            false => self.ice.username_fragments_version(),
        }
    }

    /// Releases one path that nothing is taken from any more, and gives it if it was owned; call until `None`.
    pub(crate) fn release_path(&mut self) -> Option<FiveTuple> {
        let (ice, live) = (&self.ice, self.is_live());
        self.paths
            .release_unless(|path| live && ice.accepts_from(path))
    }

    /// Transactions are tagged like this from now on; those under way keep their tags.
    pub(crate) fn set_route(&mut self, route: Route) {
        if let Some(before) = self.route() {
            let former = &mut self.dtls.rare.facts().former_routes;
            if former.len() == MAX_ROUTES - 1 {
                former.remove(0);
            }
            former.push(before);
        }
        self.ice.set_route(route.key, route.tag);
    }

    fn route(&self) -> Option<Route> {
        let (key, tag) = self.ice.route()?;
        let key = key.clone();
        Some(Route { key, tag })
    }

    /// By what answers to its outstanding checks may be routed.
    pub(crate) fn routes(&self) -> impl Iterator<Item = Route> {
        let former = self.dtls.rare.former_routes.iter().rev().cloned();
        self.route().into_iter().chain(former)
    }
}
