//! Which changes of state a transport may report, as pure tables of (from, to, trigger).
//!
//! They say what [`PeerConnection`](crate::PeerConnection) believes: a change that cannot be (of an embedder with a fault, of a
//! replayed log that is not whole) is not made, but told as an [`Anomaly`](crate::Anomaly).
//!
//! ```text
//! ICE (webrtc-pc §5.6.3)                                    to
//!  from          new  checking   connected  completed  disconnected  failed     closed
//!  new            =   yes        –          –          –             yes        yes
//!  checking       –   =          yes        yes        yes           yes        yes
//!  connected      –   yes        =          yes        yes           coalesced  yes
//!  completed      –   yes        restart    =          yes           yes        yes
//!  disconnected   –   yes        yes        yes        =             yes        yes
//!  failed         –   restart    –          –          –             =          yes
//!  closed         –   –          –          –          –             –          =
//!
//! Gathering (webrtc-pc §5.6.2)                              DTLS (webrtc-pc §5.5.1)
//!  from       new      gathering             complete        from        new   connecting  connected  failed  closed
//!  new        =        yes                   yes             new         =     yes         –          yes     yes
//!  gathering  restart  =                     yes             connecting  –     =           verified   yes     yes
//!  complete   restart  restart, or Article   =               connected   succ  succ        =          yes     yes
//!                                                            failed      succ  succ        –          =       by us
//!                                                            closed      –     succ        –          –       =
//! ```
//!
//! `restart`: only by an ICE restart, or where one was rolled back. `succ`: only as the beginning of another association
//! on the same transport, which the transport announces (RFC 8842 §3.1). `verified`: only with the peer's fingerprint
//! verified. `by us`: a failed transport is closed by its owner alone. `coalesced`: it went through a state in between
//! that nobody saw.

use floe_dtls as dtls;
use floe_ice as ice;

/// Whose state machine is followed where W3C and the article "Understanding WebRTC State Machines" differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Profile {
    /// W3C webrtc-pc: an ICE restart takes `completed` to `connected`, and candidates are gathered again after
    /// an ICE restart only.
    #[default]
    W3c,
    /// The article: an ICE restart takes `completed` to `checking` until it is confirmed or rolled back, and a transport may
    /// gather again whenever it says so (a new interface, another server).
    Article,
}

/// What is to be made of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Edge {
    /// It is drawn.
    Legal,
    /// It is several in one, drawn each.
    Coalesced,
    /// It leads nowhere: nothing happens, and nobody is told.
    Same,
    /// It cannot be.
    Illegal,
}

/// Which DTLS association a change is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Association {
    /// The one that there was.
    #[default]
    Current,
    /// One that the transport has announced, in the place of the one that there was.
    Successor,
}

/// What is known of an ICE restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// There is none, or it is confirmed or rolled back.
    #[default]
    Settled,
    /// It has begun.
    UnderWay,
}

/// Whether an ICE transport in the state `from` may become `to` for this reason.
pub fn ice(from: ice::State, to: ice::State, reason: ice::Reason) -> Edge {
    use ice::Reason::{Restarted, RolledBack};
    use ice::State::{Checking, Closed, Completed, Connected, Disconnected, Failed, New};
    match (from, to, reason) {
        _ if from == to => Edge::Same,
        (Closed, _, _) | (_, New, _) => Edge::Illegal,
        (_, Closed, _) => Edge::Legal,
        (New, Checking | Failed, _) => Edge::Legal,
        (Checking, Connected | Completed | Disconnected | Failed, _) => Edge::Legal,
        (Connected, Completed | Checking | Disconnected, _) => Edge::Legal,
        (Connected, Failed, _) => Edge::Coalesced,
        (Completed, Connected, Restarted | RolledBack) => Edge::Legal,
        (Completed, Checking | Disconnected | Failed, _) => Edge::Legal,
        (Disconnected, Checking | Connected | Completed | Failed, _) => Edge::Legal,
        (Failed, Checking, Restarted) => Edge::Legal,
        _ => Edge::Illegal,
    }
}

/// Whether a transport whose gathering is at `from` may get to `to`. From `new` to `complete` leads a rollback, or a gathering
/// that nobody saw.
pub fn gathering(
    profile: Profile,
    from: ice::GatheringState,
    to: ice::GatheringState,
    restart: Restart,
) -> Edge {
    use ice::GatheringState::{Complete, Gathering, New};
    match (from, to) {
        _ if from == to => Edge::Same,
        (New, _) | (Gathering, Complete) => Edge::Legal,
        (Complete, Gathering) if profile == Profile::Article => Edge::Legal,
        (Gathering | Complete, _) if restart == Restart::UnderWay => Edge::Legal,
        _ => Edge::Illegal,
    }
}

/// Whether a DTLS transport in the state `from` may become `to` for this reason, in this association.
pub fn dtls(
    from: dtls::State,
    to: dtls::State,
    reason: dtls::Reason,
    association: Association,
) -> Edge {
    use dtls::Reason::{ClosedLocally, PeerVerified};
    use dtls::State::{Closed, Connected, Connecting, Failed, New};
    match (from, to) {
        _ if from == to => Edge::Same,
        (New, Connecting | Failed | Closed) => Edge::Legal,
        (Connecting, Connected) if reason == PeerVerified => Edge::Legal,
        (Connecting | Connected, Failed | Closed) => Edge::Legal,
        (Failed, Closed) if reason == ClosedLocally => Edge::Legal,
        (Connected | Failed, New | Connecting) | (Closed, Connecting)
            if association == Association::Successor =>
        {
            Edge::Legal
        }
        _ => Edge::Illegal,
    }
}

/// [`ice()`], where the transport may have taken steps that were not seen: what it reports begins elsewhere than in the state
/// `held`, or is several changes in one. The steps between can be any but those that need a trigger: what has failed or
/// closed stays so, unless the transport itself says that it was merged away.
pub(crate) fn ice_with_gaps(held: ice::State, reported: &ice::Transition) -> Edge {
    use ice::State::{Closed, Failed, New};
    let ice::Transition {
        from, to, reason, ..
    } = *reported;
    let gap = match held {
        Closed => false,
        Failed => reported.coalesced && from == held,
        _ if from == held => reported.coalesced,
        _ => reported.coalesced || matches!(ice(from, to, reason), Edge::Legal | Edge::Coalesced),
    };
    match ice(held, to, reason) {
        Edge::Illegal if gap && to != New => Edge::Coalesced,
        edge => edge,
    }
}

/// [`dtls()`], where the transport may have taken steps that were not seen.
pub(crate) fn dtls_with_gaps(
    held: dtls::State,
    reported: &dtls::Transition,
    association: Association,
) -> Edge {
    use dtls::State::{Closed, Failed};
    let dtls::Transition {
        from, to, reason, ..
    } = *reported;
    let gap = from != held
        && !matches!(held, Failed | Closed)
        && dtls(from, to, reason, Association::Current) == Edge::Legal;
    match dtls(held, to, reason, association) {
        Edge::Illegal if gap => Edge::Coalesced,
        edge => edge,
    }
}

#[cfg(test)]
#[path = "legal_tests.rs"]
pub(crate) mod tests;
