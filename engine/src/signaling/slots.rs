//! The four descriptions of a connection, pending and current, local and remote.
//!
//! | applied | pendingLocal | pendingRemote | currentLocal | currentRemote |
//! |---|---|---|---|---|
//! | SLD offer, pranswer | d | | | |
//! | SRD offer, pranswer | | d | | |
//! | SLD answer | none | none | d | pendingRemote |
//! | SRD answer | none | none | pendingLocal | d |
//! | rollback | none | none | | |
//!
//! webrtc-pc §4.4.1.5. With them goes what was created last, which lasts until an answer ends the exchange.

use super::description::{Description, SdpType, Side};
use std::sync::Arc;

/// A thin connection: what is there only during an exchange is apart.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Slots {
    local: Option<Arc<Description>>,
    remote: Option<Arc<Description>>,
    exchange: Option<Box<Exchange>>,
}

/// What an exchange of descriptions needs.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Exchange {
    local: Option<Arc<Description>>,
    remote: Option<Arc<Description>>,
    /// How many changes the pending local offer takes in.
    offered: u32,
    created_offer: Option<CreatedOffer>,
    created_answer: Option<Arc<Description>>,
}

/// `[[LastCreatedOffer]]`.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct CreatedOffer {
    pub(super) description: Arc<Description>,
    /// How many changes it takes in.
    pub(super) changes: u32,
    pub(super) worth: Worth,
}

/// What a created offer is still good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Worth {
    /// It says how things are.
    Fresh,
    /// Something was rolled back since: it may be set by who asks for it, and is not taken unasked.
    RolledBack,
}

impl Slots {
    pub(super) fn current(&self, side: Side) -> Option<&Arc<Description>> {
        match side {
            Side::Local => self.local.as_ref(),
            Side::Remote => self.remote.as_ref(),
        }
    }

    pub(super) fn pending(&self, side: Side) -> Option<&Arc<Description>> {
        let exchange = self.exchange.as_deref()?;
        match side {
            Side::Local => exchange.local.as_ref(),
            Side::Remote => exchange.remote.as_ref(),
        }
    }

    /// Both of a side, the pending one first.
    pub(super) fn applied(&self, side: Side) -> impl Iterator<Item = &Description> + Clone {
        let pending = self.pending(side).into_iter();
        pending
            .chain(self.current(side))
            .map(|description| &**description)
    }

    pub(super) fn created_offer(&self) -> Option<&CreatedOffer> {
        self.exchange.as_deref()?.created_offer.as_ref()
    }

    pub(super) fn created_answer(&self) -> Option<&Arc<Description>> {
        self.exchange.as_deref()?.created_answer.as_ref()
    }

    /// How many changes the pending local offer takes in.
    pub(super) fn offered(&self) -> u32 {
        self.exchange
            .as_deref()
            .map_or(0, |exchange| exchange.offered)
    }

    pub(super) fn set_offered(&mut self, changes: u32) {
        self.exchange().offered = changes;
    }

    pub(super) fn keep_offer(&mut self, offer: CreatedOffer) {
        self.exchange().created_offer = Some(offer);
    }

    pub(super) fn keep_answer(&mut self, answer: Arc<Description>) {
        self.exchange().created_answer = Some(answer);
    }

    /// Sets all four at once. What is set is not a rollback: that has no place to go to.
    pub(super) fn set(&mut self, side: Side, description: Arc<Description>) {
        match (description.kind, side) {
            (SdpType::Offer | SdpType::Pranswer, Side::Local) => {
                self.exchange().local = Some(description);
            }
            (SdpType::Offer | SdpType::Pranswer, Side::Remote) => {
                // An answer to another offer is none to this one.
                self.exchange().created_answer = None;
                self.exchange().remote = Some(description);
            }
            (SdpType::Answer, Side::Local) => {
                self.remote = self.exchange.take().and_then(|exchange| exchange.remote);
                self.local = Some(description);
            }
            (SdpType::Answer, Side::Remote) => {
                self.local = self.exchange.take().and_then(|exchange| exchange.local);
                self.remote = Some(description);
            }
            (SdpType::Rollback, _) => self.roll_back(),
        }
    }

    /// Back to the current ones. What was created stays: an offer may be set again.
    pub(super) fn roll_back(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.local = None;
            exchange.remote = None;
            if let Some(created) = &mut exchange.created_offer {
                created.worth = Worth::RolledBack;
            }
        }
        self.exchange
            .take_if(|exchange| exchange.created_offer.is_none());
    }

    /// Nothing is under way any more, and nothing was created.
    pub(super) fn end(&mut self) {
        self.exchange = None;
    }

    fn exchange(&mut self) -> &mut Exchange {
        self.exchange.get_or_insert_default()
    }
}

/// The username fragments of some descriptions, found without looking at all of them: a peer's description may have very many.
pub(super) struct Ufrags<'a>(Vec<&'a str>);

impl<'a> Ufrags<'a> {
    pub(super) fn of(descriptions: impl Iterator<Item = &'a Description>) -> Self {
        let mut ufrags: Vec<_> = descriptions.flat_map(Description::ufrags).collect();
        ufrags.sort_unstable();
        ufrags.dedup();
        Self(ufrags)
    }

    pub(super) fn has(&self, ufrag: &str) -> bool {
        self.0.binary_search(&ufrag).is_ok()
    }

    pub(super) fn into_owned(self) -> Vec<Box<str>> {
        self.0.into_iter().map(Into::into).collect()
    }
}
