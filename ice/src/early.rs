//! Requests that were answered before they could be acted on (RFC 8445 §7.3), bounded and kept for later.

use floe_stun::RoleAttribute;

use crate::address::FiveTuple;
use crate::config::MAX_EARLY_REQUESTS;
use crate::generation::Generation;
use crate::moment::Moment;
use crate::pair::Wished;
use crate::role::Mode;
use crate::shared::Shared;
use crate::stats::Rare;

/// An authenticated request that was answered and could not be acted on yet: the peer's parameters or the candidate it
/// arrived at were not known (RFC 8445 §7.3).
#[derive(Debug)]
pub(crate) struct EarlyRequest {
    pub(crate) path: FiveTuple,
    pub(crate) remote_fragment: Box<[u8]>,
    pub(crate) seen: Seen,
}

/// What an authenticated request said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// When it came: a request that waited says nothing of the time since.
    pub(crate) heard: Moment,
    pub(crate) priority: u32,
    pub(crate) wish: Option<Wished>,
    pub(crate) role: Option<RoleAttribute>,
}

impl Generation {
    /// Remembers a request for when more is known. One per path and fragment: a retransmission says nothing new.
    pub(crate) fn remember_early(
        &mut self,
        shared: &mut Shared,
        path: FiveTuple,
        remote_fragment: &[u8],
        seen: Seen,
    ) {
        let same = |e: &&mut EarlyRequest| e.path == path && *e.remote_fragment == *remote_fragment;
        let early = &mut self.search.seldom_mut().early;
        if let Some(known) = early.iter_mut().find(same) {
            known.seen = Seen {
                wish: seen
                    .wish
                    .map(|wish| wish.after(known.seen.wish))
                    .or(known.seen.wish),
                ..seen
            };
        } else if early.len() < MAX_EARLY_REQUESTS {
            early.push(EarlyRequest {
                path,
                remote_fragment: remote_fragment.into(),
                seen,
            });
        } else {
            shared.stats.count_rare(Rare::EarlyRequestsDropped);
        }
    }

    /// Acts on the remembered requests that can be acted on now, in the order in which they came. To a lite agent they are the
    /// peer's consent: those as old as that lasts are forgotten.
    pub(crate) fn replay_early(&mut self, shared: &mut Shared, now: Moment) {
        let Some(peer) = &self.peer else { return };
        let ours = peer.username_fragment.as_bytes();
        let known_base =
            |path: &FiveTuple| shared.locals.base_of(path.protocol, path.local).is_some();
        let ripe = |e: &mut EarlyRequest| *e.remote_fragment == *ours && known_base(&e.path);
        let Some(seldom) = self.search.live_seldom() else {
            return;
        };
        let mut ripe: Vec<EarlyRequest> = seldom.early.extract_if(.., ripe).collect();
        // A path has one place, and what came there last stands in it.
        ripe.sort_by_key(|e| e.seen.heard);
        let (is_lite, lasting) = (shared.mode == Mode::Lite, shared.config.timing.lite_timeout);
        let speaks =
            |e: &EarlyRequest| !is_lite || now.saturating_duration_since(e.seen.heard) < lasting;
        for request in ripe.into_iter().filter(speaks) {
            self.settle_role(shared, request.seen.role);
            let path = shared.canonical(request.path);
            self.observe(shared, now, path, request.seen);
        }
    }
}
