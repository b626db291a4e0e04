//! A session description, opaque but for the facts that the state machines need.
//!
//! floe neither writes nor reads SDP. Who does hands over the text with what follows from it: which sections there are, which of them
//! share a transport, and the ICE and DTLS parameters of each. A description without facts is accepted too; then candidates are
//! checked against its existence alone.

use bytes::Bytes;
use floe_dtls as dtls;
use std::{fmt, num::NonZeroU32, sync::Arc};

/// `RTCSdpType` (webrtc-pc §4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum SdpType {
    /// What one side would like.
    Offer,
    /// An answer that another one will follow.
    Pranswer,
    /// What both have agreed on.
    Answer,
    /// Back to what both have last agreed on. Its body means nothing.
    Rollback,
}

impl SdpType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Offer, Self::Pranswer, Self::Answer, Self::Rollback];
}

impl fmt::Display for SdpType {
    /// The word of webrtc-pc.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Offer => "offer",
            Self::Pranswer => "pranswer",
            Self::Answer => "answer",
            Self::Rollback => "rollback",
        })
    }
}

/// Whose description it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Side {
    /// Ours: `setLocalDescription`.
    Local,
    /// The peer's: `setRemoteDescription`.
    Remote,
}

impl Side {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Local, Self::Remote];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Local => Self::Remote,
            Self::Remote => Self::Local,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Local => "local",
            Self::Remote => "remote",
        })
    }
}

/// Which offer it is, or answers: the offers of one side count upwards from one. W3C has no such thing; a description without it is
/// treated as W3C says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OfferId(pub NonZeroU32);

impl OfferId {
    /// The first one.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for OfferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An offer or an answer. Its text has passwords, and is not printed.
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Description {
    /// What it is.
    pub kind: SdpType,
    /// Which offer it is, or answers, if the two sides count them.
    pub offer_id: Option<OfferId>,
    /// The text, for the peer: SDP, or whatever the two sides speak. Never looked into, compared at most.
    pub body: Bytes,
    /// What the text says about transports, one entry for each section in its order. Empty: not known.
    pub media: Arc<[Media]>,
}

impl Description {
    /// A description of which nothing is known but its kind and text.
    #[must_use]
    pub fn new(kind: SdpType, body: impl Into<Bytes>) -> Self {
        Self {
            kind,
            offer_id: None,
            body: body.into(),
            media: Arc::default(),
        }
    }

    /// The same, with these facts about its sections.
    #[must_use]
    pub fn with_media(mut self, media: impl Into<Arc<[Media]>>) -> Self {
        self.media = media.into();
        self
    }

    /// The same, as this offer, or the answer to it.
    #[must_use]
    pub fn with_offer_id(mut self, offer_id: OfferId) -> Self {
        self.offer_id = Some(offer_id);
        self
    }

    /// A rollback: a description without text.
    #[must_use]
    pub fn rollback() -> Self {
        Self::new(SdpType::Rollback, Bytes::new())
    }

    /// The username fragments of its sections, as often as they are there.
    pub fn ufrags(&self) -> impl Iterator<Item = &str> {
        self.media.iter().filter_map(|media| media.ufrag.as_deref())
    }

    /// Whether it has new credentials for a section that there is: ICE restarts. What is not known is not new.
    pub(crate) fn restarts_ice_of(&self, current: &Self) -> bool {
        current.media.iter().any(|old| {
            let mut same = self.media.iter().filter(|new| new.mid == old.mid);
            same.any(|new| new.ufrag.is_some() && old.ufrag.is_some() && new.ufrag != old.ufrag)
        })
    }

    /// The sections that a candidate with this mid, or else this index, is for: all of them if it has neither.
    pub(super) fn sections(
        &self,
        mid: Option<&str>,
        line_index: Option<u16>,
    ) -> impl Iterator<Item = &Media> {
        let wanted = move |(index, media): &(usize, &Media)| match (mid, line_index) {
            (Some(mid), _) => *media.mid == *mid,
            (None, Some(line_index)) => *index == usize::from(line_index),
            (None, None) => true,
        };
        let sections = self.media.iter().enumerate().filter(wanted);
        sections.map(|(_, media)| media)
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Description")
            .field("kind", &self.kind)
            .field("offer_id", &self.offer_id)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("media", &self.media)
            .finish()
    }
}

/// What a description says about one of its sections (`m=`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Media {
    /// `a=mid`.
    pub mid: Box<str>,
    /// Whether anything flows, or the section only keeps its place.
    pub life: MediaLife,
    /// Sections with the same number share one transport (BUNDLE, RFC 9143).
    pub transport: u16,
    /// `a=ice-ufrag`, the section's own or the session's. None: not known, every candidate's fits.
    pub ufrag: Option<Box<str>>,
    /// `a=setup`.
    #[cfg_attr(feature = "serde", serde(with = "super::wire::setup"))]
    pub setup: Option<dtls::Setup>,
    /// `a=fingerprint`.
    #[cfg_attr(feature = "serde", serde(with = "super::wire::fingerprints"))]
    pub fingerprints: Option<dtls::FingerprintSet>,
}

/// Whether a section is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum MediaLife {
    /// In use.
    #[default]
    Active,
    /// Stopped or rejected (port 0): candidates for it have no effect.
    Stopped,
}

impl Media {
    /// An active section on the first transport, of which nothing else is known.
    #[must_use]
    pub fn new(mid: impl Into<Box<str>>) -> Self {
        Self {
            mid: mid.into(),
            life: MediaLife::Active,
            transport: 0,
            ufrag: None,
            setup: None,
            fingerprints: None,
        }
    }

    /// The same, with this username fragment.
    #[must_use]
    pub fn with_ufrag(mut self, ufrag: impl Into<Box<str>>) -> Self {
        self.ufrag = Some(ufrag.into());
        self
    }
}
