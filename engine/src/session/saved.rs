//! Taking a session over to another node.

use super::{Config, ConfigError, Ended, Session, Side};
use crate::{
    PeerConnection,
    close::{self, CloseReason, DisconnectReason, Ending, LeaveAction},
    liveness::{self, Monitor},
    recovery::{self, Recovery, SavedRecovery},
    signaling::{
        link::{self, Link},
        negotiation::{self, Message, Negotiation, SavedNegotiation},
    },
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use thiserror::Error;

/// A [`Session`] at rest, for another node, without its transports and its journal. Times are kept as durations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedSession {
    link: link::Saved<Message>,
    negotiation: SavedNegotiation,
    recovery: SavedRecovery,
    monitor: liveness::Saved,
    side: SavedSide,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum SavedSide {
    Accepting(close::Saved),
    Dialing(Option<SavedEnd>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SavedEnd {
    disconnect_reason: DisconnectReason,
    close_reason: Option<CloseReason>,
    advice: LeaveAction,
    ago: Duration,
}

/// What was saved cannot be taken up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The link cannot go on.
    #[error(transparent)]
    Link(#[from] link::RestoreError),
    /// The negotiation cannot go on.
    #[error(transparent)]
    Negotiation(#[from] negotiation::RestoreError),
    /// The recovery cannot go on.
    #[error(transparent)]
    Recovery(#[from] recovery::RestoreError),
}

impl Session {
    /// All of it but the transports, to go on elsewhere. Poll first: envelopes, events and actions that nobody took are not saved, but for
    /// an [`Action::Signaling`](super::Action::Signaling) that is not completed, which the restored session asks for again.
    #[must_use]
    pub fn save(&self, now: Instant) -> SavedSession {
        let now = self.recovery.now().max(now);
        SavedSession {
            link: self.link.save(now),
            negotiation: self.negotiation.save(now),
            recovery: self.recovery.save(now),
            monitor: self.monitor.save(now),
            side: match &self.side {
                Side::Accepting(ending) => SavedSide::Accepting(ending.save(now)),
                Side::Dialing(ended) => {
                    SavedSide::Dialing(ended.as_deref().map(|ended| SavedEnd {
                        disconnect_reason: ended.disconnect_reason,
                        close_reason: ended.close_reason,
                        advice: ended.advice,
                        ago: now.saturating_duration_since(ended.at),
                    }))
                }
            },
        }
    }

    /// Goes on from what was saved, `now` being the moment of [`save`](Self::save) on this node's clock. The transports are to be
    /// [added](Self::add_transport) in the states they are in. If the channel did not come along, that is to be
    /// [said](Self::channel_closed); a journal begins anew.
    ///
    /// # Errors
    ///
    /// A value of `config` is out of its range, or what was saved contradicts it or itself.
    pub fn restore(
        now: Instant,
        saved: SavedSession,
        config: &Config,
    ) -> Result<Self, RestoreError> {
        let link = Link::restore(now, saved.link, config.link.clone())?;
        let negotiation = Negotiation::restore(
            now,
            saved.negotiation,
            config.signaling.clone(),
            config.negotiation.clone(),
        )?;
        let mut session = Self {
            peer: PeerConnection::with_profile(config.profile),
            negotiation,
            journal: Self::begin_journal(now, link.session(), config)?,
            link,
            recovery: Recovery::restore(now, saved.recovery, config.recovery.clone())?,
            monitor: Monitor::restore(now, saved.monitor),
            side: match saved.side {
                SavedSide::Accepting(ending) => Side::Accepting(Ending::restore(now, ending)),
                SavedSide::Dialing(ended) => Side::Dialing(ended.map(|ended| {
                    Box::new(Ended {
                        disconnect_reason: ended.disconnect_reason,
                        close_reason: ended.close_reason,
                        advice: ended.advice,
                        at: now.checked_sub(ended.ago).unwrap_or(now),
                    })
                })),
            },
            outbox: None,
        };
        session.settle(now);
        Ok(session)
    }
}
