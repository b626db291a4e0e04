//! What a [`PeerConnection`](crate::PeerConnection) hears of a transport, in a form that can be written down and read again.
//!
//! Every [`Event`] that it takes goes through this form, so that a journal which keeps the inputs and their times, and feeds
//! them to another connection, gets the same events out of it. With the feature `serde` it is (de)serialized; a
//! transition's time becomes its age at the time of the input, which is zero but for events that waited.

use crate::Event;
use floe_dtls as dtls;
use floe_ice as ice;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

/// One event of a transport, as far as an aggregate or an observer of it cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum TransportInput {
    /// [`Event::IceStateChange`].
    Ice(Passage<ice::State, ice::Reason>),
    /// [`Event::GatheringStateChange`].
    Gathering(ice::GatheringState),
    /// [`Event::EndOfCandidates`].
    EndOfCandidates(ice::GatheredGeneration),
    /// [`Event::SelectedCandidatePairChange`].
    SelectedCandidatePair(ice::CandidatePair),
    /// [`Event::SendPathLost`].
    SendPathLost(ice::Reason),
    /// [`Event::RestartBegan`].
    RestartBegan,
    /// [`Event::RestartConfirmed`].
    RestartConfirmed,
    /// [`Event::RestartRolledBack`].
    RestartRolledBack(ice::Reason),
    /// [`Event::DtlsStateChange`].
    Dtls(Passage<dtls::State, dtls::Reason>),
    /// [`Event::AssociationChange`].
    AssociationChange(dtls::AssociationId),
}

/// A change of state without the instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Passage<S, R> {
    /// The state before.
    pub from: S,
    /// The state after.
    pub to: S,
    /// Why.
    pub reason: R,
    /// Whether it stands for several.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "std::ops::Not::not")
    )]
    pub coalesced: bool,
    /// How long before the input it happened.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Duration::is_zero")
    )]
    pub age: Duration,
}

impl TransportInput {
    /// What is heard at `now` of this event; `None` if a connection hears nothing of its kind.
    #[must_use]
    pub fn new(now: Instant, event: &Event) -> Option<Self> {
        Some(match *event {
            Event::IceStateChange(transition) => Self::Ice(Passage {
                from: transition.from,
                to: transition.to,
                reason: transition.reason,
                coalesced: transition.coalesced,
                age: now.saturating_duration_since(transition.at),
            }),
            Event::DtlsStateChange(transition) => Self::Dtls(Passage {
                from: transition.from,
                to: transition.to,
                reason: transition.reason,
                coalesced: false,
                age: now.saturating_duration_since(transition.at),
            }),
            Event::GatheringStateChange(state) => Self::Gathering(state),
            Event::EndOfCandidates(of) => Self::EndOfCandidates(of),
            Event::SelectedCandidatePairChange(pair) => Self::SelectedCandidatePair(pair),
            Event::SendPathLost(reason) => Self::SendPathLost(reason),
            Event::RestartBegan => Self::RestartBegan,
            Event::RestartConfirmed => Self::RestartConfirmed,
            Event::RestartRolledBack(reason) => Self::RestartRolledBack(reason),
            Event::AssociationChange(association) => Self::AssociationChange(association),
            _ => return None,
        })
    }

    /// The same, with unspecified addresses in the place of those of a selected pair: for a journal that outlives the
    /// session.
    #[must_use]
    pub fn without_addresses(self) -> Self {
        match self {
            Self::SelectedCandidatePair(mut pair) => {
                pair.path.local = unspecified(pair.path.local);
                pair.path.remote = unspecified(pair.path.remote);
                Self::SelectedCandidatePair(pair)
            }
            other => other,
        }
    }
}

impl Passage<ice::State, ice::Reason> {
    pub(crate) fn transition(&self, now: Instant) -> ice::Transition {
        let at = now.checked_sub(self.age).unwrap_or(now);
        let mut transition = ice::Transition::new(self.from, self.to, self.reason, at);
        transition.coalesced = self.coalesced;
        transition
    }
}

impl Passage<dtls::State, dtls::Reason> {
    pub(crate) fn transition(&self, now: Instant) -> dtls::Transition {
        let at = now.checked_sub(self.age).unwrap_or(now);
        dtls::Transition::new(self.from, self.to, self.reason, at)
    }
}

fn unspecified(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(ip, 0)
}
