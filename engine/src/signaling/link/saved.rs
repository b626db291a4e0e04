//! A session for another node to go on with.

use super::{
    Announcement, Config, ConfigError, Drops, Greeting, Link, LinkState, SessionId,
    buffers::{SavedBuffers, id_after},
};
use serde::{Deserialize, Serialize};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use thiserror::Error;

/// A [`Link`] at one moment, with distances in time instead of instants. Made by [`Link::save`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Saved<M> {
    session: SessionId,
    due_in: Option<Duration>,
    acknowledged: u32,
    delivered: u32,
    channel: u16,
    attempt: u8,
    state: LinkState,
    greeting: Greeting,
    announcement: Option<Announcement>,
    ack_due: bool,
    buffers: Option<SavedBuffers<M>>,
    drops: Drops,
}

/// What was saved cannot be gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It contradicts itself, or holds more than the configuration allows.
    #[error("what was saved contradicts itself or the configuration")]
    Inconsistent,
}

impl<M: Clone> Link<M> {
    /// The session as it is at `now`, its messages included; events that were not polled are not. If its channel does not come
    /// along, say so to the restored one with [`handle_channel_closed`](Self::handle_channel_closed).
    #[must_use]
    pub fn save(&self, now: Instant) -> Saved<M> {
        let mut timer = self.timer;
        timer.advance(now);
        Saved {
            session: self.session,
            due_in: timer.left(),
            acknowledged: self.acknowledged,
            delivered: self.delivered,
            channel: self.channel,
            attempt: self.attempt,
            state: self.state,
            greeting: self.greeting,
            announcement: self.announcement,
            ack_due: self.ack_due,
            buffers: self.buffers.as_ref().map(|buffers| buffers.save()),
            drops: self.drops(),
        }
    }

    /// The session that was saved, `now` being the moment of [`save`](Self::save) on this node's clock.
    ///
    /// # Errors
    ///
    /// `config` does not hold what it promises, or `saved` contradicts it or itself.
    pub fn restore(
        now: Instant,
        saved: Saved<M>,
        config: Arc<Config>,
    ) -> Result<Self, RestoreError> {
        let mut link = Self::new(now, saved.session, config, saved.greeting)?;
        let (max_sent, max_ahead) = (link.config.max_unacknowledged, link.config.max_ahead);
        link.buffers = match saved.buffers {
            Some(buffers) => {
                let restored = buffers.restore(max_sent, max_ahead);
                Some(Box::new(restored.ok_or(RestoreError::Inconsistent)?))
            }
            None => None,
        };
        let has_ids = |after, count: usize| match count.checked_sub(1) {
            Some(last) => id_after(after, last).is_some(),
            None => true,
        };
        let held = link.buffers.as_ref().map_or(0, |buffers| buffers.held());
        if !has_ids(saved.acknowledged, link.unacknowledged()) || !has_ids(saved.delivered, held) {
            return Err(RestoreError::Inconsistent);
        }
        if let Some(delay) = saved.due_in {
            link.timer.arm(delay);
        }
        link.acknowledged = saved.acknowledged;
        link.delivered = saved.delivered;
        link.channel = saved.channel;
        link.attempt = saved.attempt;
        link.state = saved.state;
        link.announcement = saved.announcement;
        link.ack_due = saved.ack_due;
        link.drops = (saved.drops != Drops::default()).then(|| Box::new(saved.drops));
        link.release();
        Ok(link)
    }
}
