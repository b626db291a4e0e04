//! RTCSignalingState, and which description may be applied in which state.
//!
//! ```text
//!                                     SLD(offer) again                                SRD(pranswer) again
//!                                        ┌────┐                                            ┌────┐
//!                 SLD(offer)             │    ▼             SRD(pranswer)                  │    ▼
//!             ┌──────────────────▶ have-local-offer ─────────────────────────▶ have-remote-pranswer
//!             │ ◀── SRD(answer), SLD(rollback) │                                             │
//!             │                                │ SRD(offer): rolled back to stable first     │
//!          stable ◀────────────────────────────┼──────── SRD(answer) ────────────────────────┘
//!             │                                ▼
//!             │ ◀── SLD(answer), SRD(rollback)
//!             └──────────────────▶ have-remote-offer ────────────────────────▶ have-local-pranswer
//!                 SRD(offer)             │    ▲             SLD(pranswer)         │  │    ▲
//!          stable ◀──────────────────────┼────┼───────────── SLD(answer) ─────────┘  └────┘
//!                                        └────┘                                 SLD(pranswer) again
//!                                     SRD(offer) again                                  any ──close──▶ closed
//! ```
//!
//! As a table (webrtc-pc §4.4.1.5, §4.3.1; RFC 9429 §4.1.10); a dash is an `InvalidStateError` that changes nothing, `=` stays and
//! takes the place of the pending description, `R` rolls back first and then applies:
//!
//! | | SLD offer | SLD pranswer | SLD answer | SLD rollback | SRD offer | SRD pranswer | SRD answer | SRD rollback | close |
//! |---|---|---|---|---|---|---|---|---|---|
//! | stable | have-local-offer | – | – | – | have-remote-offer | – | – | – | closed |
//! | have-local-offer | = | – | – | stable | R have-remote-offer | have-remote-pranswer | stable | – (D4) | closed |
//! | have-remote-offer | – | have-local-pranswer | stable | – (D4) | = | – | – | stable | closed |
//! | have-local-pranswer | – | = | stable | – | – | – | – | – | closed |
//! | have-remote-pranswer | – | – | – | – | – | = | stable | – | closed |
//! | closed | – | – | – | – | – | – | – | – | closed |
//!
//! D4: with [`RollbackThrough::Either`] the two are `stable`. A provisional answer cannot be rolled back (D5).

use super::description::{SdpType, Side};
use std::fmt;
use thiserror::Error;

/// `RTCSignalingState` (webrtc-pc §4.3.1). It says how far an exchange of descriptions is, and nothing about transports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum SignalingState {
    /// No exchange is under way.
    #[default]
    Stable,
    /// Our offer has no answer yet.
    HaveLocalOffer,
    /// The peer's offer has no answer yet.
    HaveRemoteOffer,
    /// The peer's offer has a provisional answer.
    HaveLocalPranswer,
    /// Our offer has a provisional answer.
    HaveRemotePranswer,
    /// Closed, for good.
    Closed,
}

/// What may change a [`SignalingState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Step {
    /// A description of this side and kind is applied.
    Set(Side, SdpType),
    /// The connection is closed.
    Close,
}

/// What a [`Step`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The state stays; the description takes the place of the pending one. Nothing is told.
    Stay,
    /// To this state.
    Go(SignalingState),
    /// Our offer is rolled back, to stable; then to this state. Both are told.
    RollBackThenGo(SignalingState),
}

/// Which of the two methods may roll an offer back (D4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum RollbackThrough {
    /// Only that of the side whose offer it is.
    #[default]
    Owner,
    /// Both (RFC 9429 §5.7, webrtc-pc).
    Either,
}

/// `InvalidStateError`: the step is not allowed in this state, and nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[error("{step} is not allowed in {state}")]
#[non_exhaustive]
pub struct InvalidState {
    /// The state it is in, and stays in.
    pub state: SignalingState,
    /// What was tried.
    pub step: Step,
}

impl SignalingState {
    /// All of them, in the order of webrtc-pc.
    pub const ALL: [Self; 6] = [
        Self::Stable,
        Self::HaveLocalOffer,
        Self::HaveRemoteOffer,
        Self::HaveLocalPranswer,
        Self::HaveRemotePranswer,
        Self::Closed,
    ];

    /// What this step does in this state: the table above, a pure function.
    ///
    /// ```
    /// use floe::signaling::{Effect, RollbackThrough, SdpType, Side, SignalingState, Step};
    ///
    /// let glare = Step::Set(Side::Remote, SdpType::Offer);
    /// let effect = SignalingState::HaveLocalOffer.step(glare, RollbackThrough::Owner);
    /// assert_eq!(effect, Ok(Effect::RollBackThenGo(SignalingState::HaveRemoteOffer)));
    /// assert!(SignalingState::HaveRemotePranswer.step(glare, RollbackThrough::Owner).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// The step is not allowed here.
    pub fn step(self, step: Step, rollback: RollbackThrough) -> Result<Effect, InvalidState> {
        use Effect::{Go, RollBackThenGo, Stay};
        use SdpType::{Answer, Offer, Pranswer, Rollback};
        use SignalingState::{
            Closed, HaveLocalOffer, HaveLocalPranswer, HaveRemoteOffer, HaveRemotePranswer, Stable,
        };
        let Step::Set(side, kind) = step else {
            return Ok(if self == Closed { Stay } else { Go(Closed) });
        };
        match (self, side, kind) {
            (Stable, Side::Local, Offer) => Ok(Go(HaveLocalOffer)),
            (Stable, Side::Remote, Offer) => Ok(Go(HaveRemoteOffer)),

            (HaveLocalOffer, Side::Local, Offer) | (HaveRemoteOffer, Side::Remote, Offer) => {
                Ok(Stay)
            }
            (HaveLocalOffer, Side::Remote, Offer) => Ok(RollBackThenGo(HaveRemoteOffer)),
            (HaveLocalOffer | HaveRemoteOffer, _, Rollback)
                if self.offerer() == Some(side) || rollback == RollbackThrough::Either =>
            {
                Ok(Go(Stable))
            }

            (HaveLocalOffer, Side::Remote, Pranswer) => Ok(Go(HaveRemotePranswer)),
            (HaveRemoteOffer, Side::Local, Pranswer) => Ok(Go(HaveLocalPranswer)),
            (HaveRemotePranswer, Side::Remote, Pranswer)
            | (HaveLocalPranswer, Side::Local, Pranswer) => Ok(Stay),

            (HaveLocalOffer | HaveRemotePranswer, Side::Remote, Answer)
            | (HaveRemoteOffer | HaveLocalPranswer, Side::Local, Answer) => Ok(Go(Stable)),

            _ => Err(InvalidState { state: self, step }),
        }
    }

    /// Whose offer is under way.
    #[must_use]
    pub fn offerer(self) -> Option<Side> {
        match self {
            Self::HaveLocalOffer | Self::HaveRemotePranswer => Some(Side::Local),
            Self::HaveRemoteOffer | Self::HaveLocalPranswer => Some(Side::Remote),
            Self::Stable | Self::Closed => None,
        }
    }

    /// Whether `createOffer` is allowed (webrtc-pc §4.4.2).
    #[must_use]
    pub fn may_create_offer(self) -> bool {
        matches!(self, Self::Stable | Self::HaveLocalOffer)
    }

    /// Whether `createAnswer` is allowed (webrtc-pc §4.4.2).
    #[must_use]
    pub fn may_create_answer(self) -> bool {
        matches!(self, Self::HaveRemoteOffer | Self::HaveLocalPranswer)
    }

    /// What `setLocalDescription` without an argument sets: an answer where the peer's offer waits for one, else an offer.
    #[must_use]
    pub fn implied(self) -> SdpType {
        if self.may_create_answer() {
            SdpType::Answer
        } else {
            SdpType::Offer
        }
    }
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Set(Side::Local, SdpType::Offer),
        Self::Set(Side::Local, SdpType::Pranswer),
        Self::Set(Side::Local, SdpType::Answer),
        Self::Set(Side::Local, SdpType::Rollback),
        Self::Set(Side::Remote, SdpType::Offer),
        Self::Set(Side::Remote, SdpType::Pranswer),
        Self::Set(Side::Remote, SdpType::Answer),
        Self::Set(Side::Remote, SdpType::Rollback),
        Self::Close,
    ];
}

impl fmt::Display for SignalingState {
    /// The word of webrtc-pc.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stable => "stable",
            Self::HaveLocalOffer => "have-local-offer",
            Self::HaveRemoteOffer => "have-remote-offer",
            Self::HaveLocalPranswer => "have-local-pranswer",
            Self::HaveRemotePranswer => "have-remote-pranswer",
            Self::Closed => "closed",
        })
    }
}

impl fmt::Display for Step {
    /// The method of webrtc-pc, and the kind: `setLocalDescription(offer)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(Side::Local, kind) => write!(f, "setLocalDescription({kind})"),
            Self::Set(Side::Remote, kind) => write!(f, "setRemoteDescription({kind})"),
            Self::Close => f.write_str("close"),
        }
    }
}
