//! What a connection's signaling is like now.

use super::Signaling;
use crate::signaling::{
    candidates::CandidateDrops,
    chain::Busy,
    config::Config,
    description::{Description, Side},
    state::SignalingState,
};
use std::sync::Arc;

impl Signaling {
    /// `signalingState`
    #[must_use]
    pub fn state(&self) -> SignalingState {
        self.state
    }

    /// `currentLocalDescription`, `currentRemoteDescription`: what was last agreed on.
    #[must_use]
    pub fn current_description(&self, side: Side) -> Option<&Arc<Description>> {
        self.slots.current(side)
    }

    /// `pendingLocalDescription`, `pendingRemoteDescription`: what is being negotiated.
    #[must_use]
    pub fn pending_description(&self, side: Side) -> Option<&Arc<Description>> {
        self.slots.pending(side)
    }

    /// `localDescription`, `remoteDescription`: the pending one, or else the current one.
    #[must_use]
    pub fn description(&self, side: Side) -> Option<&Arc<Description>> {
        self.slots
            .pending(side)
            .or_else(|| self.slots.current(side))
    }

    /// Whether no operation runs or waits.
    #[must_use]
    pub fn is_chain_empty(&self) -> bool {
        self.busy.as_ref().is_none_or(|busy| busy.chain_is_empty())
    }

    /// Whether there is something that no exchange has settled yet, an ICE restart included.
    #[must_use]
    pub fn is_negotiation_needed(&self) -> bool {
        self.needed.is_open() || self.is_restart_wanted()
    }

    /// Whether credentials are to be replaced that [`restart_ice`](Self::restart_ice) found.
    #[must_use]
    pub fn is_restart_wanted(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| !rare.to_replace.is_empty())
    }

    /// How many candidates of this side wait for their description.
    #[must_use]
    pub fn held_candidates(&self, side: Side) -> usize {
        let held = |busy: &Busy| match side {
            Side::Local => busy.held_local.len(),
            Side::Remote => busy.held_remote.len(),
        };
        self.busy.as_deref().map_or(0, held)
    }

    /// How many candidates were not used.
    #[must_use]
    pub fn candidate_drops(&self) -> CandidateDrops {
        self.rare
            .as_ref()
            .map_or_else(CandidateDrops::default, |rare| rare.drops)
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }
}
