//! The states of W3C webrtc-pc (`RTCIceTransportState`, `RTCIceGathererState`), and the record of each change.
//!
//! ```text
//!            checks begin        a pair works       gathering done, both ends of candidates, final pair
//!     New ──────────────► Checking ────────► Connected ────────► Completed
//!      │                  │  │  ▲ ▲            │ ▲  │ ▲ restart ◄───┘ │
//!      │   every pair so  │  │  │ └─new pairs──┐ │  │ └──────────┐     │
//!      │   far failed     ▼  │  └───────── Disconnected ◄────────┴─────┘ consent checks missed
//!      │        Disconnected │  restart         │
//!      ▼                     ▼  ▲               ▼ consent lost, nothing left
//!    Failed ◄──────────────Failed ◄──────────Failed        any ──close──► Closed
//! ```
//!
//! `Failed` is left only by a restart, `Closed` never.

use std::fmt;
use std::time::Instant;

/// `RTCIceTransportState`. Displays in W3C's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum State {
    /// No check has begun.
    New,
    /// Looking for a pair that works.
    Checking,
    /// A pair works; others may still be checked or come.
    Connected,
    /// A pair is chosen for good, and no more candidates are to come.
    Completed,
    /// Checks go unanswered, or all pairs so far failed; it may still recover.
    Disconnected,
    /// Given up. Only a restart helps. The peer's checks are answered with 403, so that it does not take the path for one
    /// that works (RFC 7675 §5.2).
    Failed,
    /// Closed. Nothing happens any more.
    Closed,
}

impl State {
    /// Whether `self` may change to `to` (W3C webrtc-pc §5.6.3 and its diagram; restarts included).
    pub fn may_become(self, to: Self) -> bool {
        use State::{Checking, Closed, Completed, Connected, Disconnected, Failed, New};
        match self {
            New => matches!(to, Checking | Failed | Closed),
            Checking => matches!(to, Connected | Completed | Disconnected | Failed | Closed),
            Connected => matches!(to, Completed | Checking | Disconnected | Failed | Closed),
            Completed => matches!(to, Connected | Checking | Disconnected | Failed | Closed),
            Disconnected => matches!(to, Checking | Connected | Completed | Failed | Closed),
            Failed => matches!(to, Checking | Closed),
            Closed => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Checking => "checking",
            Self::Connected => "connected",
            Self::Completed => "completed",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
            Self::Closed => "closed",
        })
    }
}

/// `RTCIceGathererState`. Displays in W3C's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum GatheringState {
    /// No local candidate yet.
    New,
    /// Local candidates are coming.
    Gathering,
    /// The caller said that there are no more. A restart begins anew.
    Complete,
}

impl fmt::Display for GatheringState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Gathering => "gathering",
            Self::Complete => "complete",
        })
    }
}

/// One change of state, with its reason and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// The `now` of the call that caused it.
    pub at: Instant,
    /// Whether this stands for several changes, because nobody polled events for long.
    pub coalesced: bool,
}

impl Transition {
    /// A change that stands for itself: for who tells of an agent that is elsewhere.
    pub fn new(from: State, to: State, reason: Reason, at: Instant) -> Self {
        Self {
            from,
            to,
            reason,
            at,
            coalesced: false,
        }
    }
}

/// Why a state changed. Displays as a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Reason {
    /// The peer's credentials and a candidate of theirs are known.
    ChecksBegan,
    /// A check succeeded.
    PairSucceeded,
    /// A pair was nominated.
    PairNominated,
    /// Gathering is done, the remote candidates are complete, and the pair is final.
    CandidatesComplete,
    /// A new pair can be checked.
    PairAdded,
    /// Consent checks go unanswered.
    ConsentChecksMissed,
    /// An answer came again, or authenticated traffic did.
    Recovered,
    /// No request has come from the peer of a lite agent for a while.
    RequestsMissed,
    /// Every pair so far failed; candidates may still come.
    PairsFailed,
    /// Every pair failed and no candidate is to come.
    ChecksExhausted,
    /// As before, and what answers came were not authentic: the two sides may hold different passwords.
    IntegrityViolated,
    /// There was never a pair to check.
    NoPairs,
    /// As before, and [`Config::addresses`](crate::Config::addresses) refuses an address that the peer signalled.
    AddressesRefused,
    /// 30 s without a response to a consent check.
    ConsentExpired,
    /// The peer answered 403: it does not want our traffic.
    ConsentRevoked,
    /// The peer closed its DTLS connection.
    PeerClosed,
    /// The DTLS connection ended with a fatal alert.
    DtlsFailed,
    /// No request has come from the peer of a lite agent for so long that consent is over.
    RequestsStopped,
    /// The selected pair's candidate was removed.
    CandidateRemoved,
    /// The application vetoed the selected pair.
    PairVetoed,
    /// A restart began.
    Restarted,
    /// A restart was given up and the old generation goes on.
    RolledBack,
    /// The agent was closed.
    Closed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChecksBegan => "connectivity checks began",
            Self::PairSucceeded => "a connectivity check succeeded",
            Self::PairNominated => "a candidate pair was nominated",
            Self::CandidatesComplete => "no more candidates are to come and the pair is final",
            Self::PairAdded => "a new candidate pair can be checked",
            Self::ConsentChecksMissed => "consent checks go unanswered",
            Self::Recovered => "the path answers again",
            Self::RequestsMissed => "the peer has stopped sending checks",
            Self::PairsFailed => "every candidate pair so far failed",
            Self::ChecksExhausted => "every candidate pair failed and no candidate is to come",
            Self::IntegrityViolated => {
                "every candidate pair failed and the answers were not authentic"
            }
            Self::NoPairs => "no candidate pair could be formed",
            Self::AddressesRefused => {
                "no candidate pair could be formed and the address filter refused candidates of the peer"
            }
            Self::ConsentExpired => "consent expired: no consent check was answered in time",
            Self::ConsentRevoked => "the peer revoked consent",
            Self::PeerClosed => "the peer closed the DTLS connection",
            Self::DtlsFailed => "the DTLS connection failed",
            Self::RequestsStopped => "the peer sent no check for too long",
            Self::CandidateRemoved => "a candidate of the selected pair was removed",
            Self::PairVetoed => "the application vetoed the selected pair",
            Self::Restarted => "an ICE restart began",
            Self::RolledBack => "an ICE restart was rolled back",
            Self::Closed => "the agent was closed",
        })
    }
}
