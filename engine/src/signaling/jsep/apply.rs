//! What a description changes: the state and the four descriptions together, then what follows from them.

use super::Signaling;
use crate::signaling::{
    description::{Description, SdpType, Side},
    needed::Chain,
    operation::{Event, Transition},
    slots::{Slots, Ufrags},
    state::{Effect, SignalingState, Step},
};
use std::sync::Arc;

/// The descriptions of both sides, pending and current.
type Applied = [[Option<Arc<Description>>; 2]; 2];

impl Signaling {
    /// A description is applied. If it is an offer of ours, it takes in so many `changes`, unless it was created here and is known to
    /// take in others.
    pub(super) fn apply(&mut self, side: Side, description: Arc<Description>, changes: u32) {
        let kind = description.kind;
        if (side, kind) == (Side::Local, SdpType::Offer) {
            let created = self.slots.created_offer();
            let same = created.filter(|created| created.description.body == description.body);
            let changes = same.map_or(changes, |created| created.changes);
            self.slots.set_offered(changes);
        }
        let offered = self.slots.offered();
        self.change(side, kind, |slots| slots.set(side, description));
        if kind == SdpType::Answer {
            self.forget_replaced();
        }
        if (side, kind) == (Side::Remote, SdpType::Answer) {
            self.needed.accepted(offered);
        }
    }

    /// Sets state and descriptions together, then tells.
    pub(super) fn change(&mut self, side: Side, kind: SdpType, set: impl FnOnce(&mut Slots)) {
        let Ok(effect) = self.check(side, kind) else {
            return; // it was allowed when it began, and nothing has run since
        };
        let (from, before) = (self.state, self.applied());
        set(&mut self.slots);
        if let Effect::Go(to) = effect {
            self.state = to;
        }
        self.sort_names(&before);
        if from != self.state {
            self.tell(Event::SignalingStateChange(Transition {
                from,
                to: self.state,
                step: Step::Set(side, kind),
                at: self.now,
            }));
        }
        if self.state == SignalingState::Stable {
            self.needed.clear();
            self.needed.update(Chain::Busy);
        }
    }

    fn applied(&self) -> Applied {
        Side::ALL.map(|side| {
            [
                self.slots.pending(side).cloned(),
                self.slots.current(side).cloned(),
            ]
        })
    }

    /// Which username fragments are gone with the descriptions that were there before.
    fn sort_names(&mut self, before: &Applied) {
        for (side, before) in Side::ALL.into_iter().zip(before) {
            let used = Ufrags::of(self.slots.applied(side));
            for ufrag in before.iter().flatten().flat_map(|old| old.ufrags()) {
                if !used.has(ufrag) {
                    self.rare.get_or_insert_default().gone(side).add(ufrag);
                }
            }
        }
    }

    /// Credentials that the current local description no longer has need not be replaced any more.
    fn forget_replaced(&mut self) {
        let Some(rare) = &mut self.rare else {
            return;
        };
        let current = self.slots.current(Side::Local);
        let used = Ufrags::of(current.into_iter().map(|current| &**current));
        rare.to_replace.retain(|ufrag| used.has(ufrag));
    }
}
