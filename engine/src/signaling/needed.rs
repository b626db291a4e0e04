//! The negotiation-needed flag (webrtc-pc §4.7.3).
//!
//! ```text
//!   something changed ──▶ chain empty? ──no──▶ when it is ──┐
//!   back to stable           │yes                           │
//!                            ▼                              │
//!                        next turn ◀────────────────────────┘
//!                            │
//!        chain empty, state stable, something not negotiated, not told yet ──▶ negotiationneeded
//! ```
//!
//! What changed is counted, not known: an offer takes in what was counted when its making began, and an answer of the peer settles as
//! much as its offer took in. What the peer's own offer settles only the caller can tell.

use super::state::SignalingState;

/// What is not negotiated yet, and when to say so.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Needed {
    /// How many changes there have been.
    pub(super) changes: u32,
    /// How many of them are negotiated.
    settled: u32,
    check: Check,
    /// `[[NegotiationNeeded]]`: what was told since the state was last stable.
    told: Need,
}

/// When to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Check {
    /// There is nothing to look for.
    #[default]
    No,
    /// When no operation is left.
    OnEmptyChain,
    /// At the next timeout, which is due.
    NextTurn,
}

/// Whether negotiation is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Need {
    #[default]
    No,
    Yes,
}

/// Whether operations run or wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    Empty,
    Busy,
}

impl Needed {
    /// Something changed that is to be negotiated.
    pub(super) fn change(&mut self) {
        self.changes = self.changes.wrapping_add(1);
    }

    /// Everything is negotiated as it is.
    pub(super) fn settle(&mut self) {
        self.settled = self.changes;
    }

    /// The peer has accepted an offer that takes in so many changes. What was settled otherwise meanwhile stays so.
    pub(super) fn accepted(&mut self, changes: u32) {
        let left = self.changes.wrapping_sub(changes);
        if left < self.changes.wrapping_sub(self.settled) {
            self.settled = changes;
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.settled != self.changes
    }

    /// "Update the negotiation-needed flag": look in the next turn, or when the chain is empty.
    pub(super) fn update(&mut self, chain: Chain) {
        self.check = match chain {
            Chain::Empty => Check::NextTurn,
            Chain::Busy => Check::OnEmptyChain,
        };
    }

    /// The chain has run empty.
    pub(super) fn chain_emptied(&mut self) {
        if self.check == Check::OnEmptyChain {
            self.check = Check::NextTurn;
        }
    }

    /// The state is stable again.
    pub(super) fn clear(&mut self) {
        self.told = Need::No;
    }

    pub(super) fn is_due(&self) -> bool {
        self.check == Check::NextTurn
    }

    /// Looks: whether to fire.
    pub(super) fn look(&mut self, chain: Chain, state: SignalingState, need: Need) -> bool {
        if chain == Chain::Busy {
            self.check = Check::OnEmptyChain;
            return false;
        }
        self.check = Check::No;
        if state != SignalingState::Stable {
            return false; // looked at again when it is
        }
        let before = std::mem::replace(&mut self.told, need);
        (before, need) == (Need::No, Need::Yes)
    }
}
