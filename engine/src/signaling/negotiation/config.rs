//! What the caller can choose, with the defaults and their sources.

use std::time::Duration;

/// Everything about negotiating that does not change while a session lives. Shared between sessions as `Arc<Config>`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How long an offer that left may wait for its answer while signaling is up, and media is connected or an ICE restart waits
    /// for the answer. Default: 15 s, at least 1 s, at most an hour.
    pub answer_timeout: Duration,
    /// What is done when it has passed. Default: [`Unanswered::RollBack`].
    pub unanswered: Unanswered,
    /// How often in a row a negotiation may fail, or an offer stay without an answer, before the peer is
    /// [given up](super::Action::Reconnect). Default: 3, at least 1.
    pub max_attempts: u8,
    /// Whether offers are numbered (D29). Default: [`OfferIds::Numbered`].
    pub offer_ids: OfferIds,
    /// When an ICE restart is offered, or one of the peer's is applied, while candidates are still being gathered. Default:
    /// [`Gathering::Awaited`].
    pub gathering: Gathering,
    /// How long a restart waits for gathering at most, for who never says that it is complete. Default: 5 s, at least 1 ms, at most
    /// an hour.
    pub gathering_timeout: Duration,
    /// The most messages of the peer that wait for an operation; what comes beyond is discarded and reported. Default: 256, at
    /// least 16.
    pub max_waiting: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            answer_timeout: Duration::from_secs(15),
            unanswered: Unanswered::RollBack,
            max_attempts: 3,
            offer_ids: OfferIds::Numbered,
            gathering: Gathering::Awaited,
            gathering_timeout: Duration::from_secs(5),
            max_waiting: 256,
        }
    }
}

impl Config {
    pub(super) fn validate(&self) -> Result<(), InvalidConfig> {
        if !(Self::SHORTEST..=Self::LONGEST).contains(&self.answer_timeout) {
            return Err(InvalidConfig::AnswerTimeout);
        }
        if !(Self::NEXT..=Self::LONGEST).contains(&self.gathering_timeout) {
            return Err(InvalidConfig::GatheringTimeout);
        }
        if self.max_attempts == 0 {
            return Err(InvalidConfig::MaxAttempts);
        }
        if self.max_waiting < Self::LEAST_WAITING {
            return Err(InvalidConfig::MaxWaiting);
        }
        Ok(())
    }

    const NEXT: Duration = Duration::from_millis(1);
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(3600);
    const LEAST_WAITING: usize = 16;
}

/// What is done about an offer without an answer (N28).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It is taken back, and the change is offered anew.
    RollBack,
    /// The peer is given up: [`Action::Reconnect`](super::Action::Reconnect), as LiveKit's server does.
    Reconnect,
}

/// Whether offers are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferIds {
    /// Each offer has the next number, and its answer the same: what is late, repeated or crossed is told by it. Numbers of
    /// a peer that does not number its offers are not missed.
    Numbered,
    /// As W3C's example: nothing can be told apart but by the state it is found in.
    Absent,
}

/// What an ICE restart does while candidates are being gathered (N42).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gathering {
    /// It waits until gathering is complete, so that no generation's candidates are cut short; but no longer than
    /// [`Config::gathering_timeout`].
    Awaited,
    /// It goes ahead, as in browsers.
    Interrupted,
}

/// Why a [`Config`] was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// [`Config::answer_timeout`]
    #[error("the answer time-out is not between a second and an hour")]
    AnswerTimeout,
    /// [`Config::gathering_timeout`]
    #[error("gathering is not waited for between a millisecond and an hour")]
    GatheringTimeout,
    /// [`Config::max_attempts`]
    #[error("no attempt is allowed")]
    MaxAttempts,
    /// [`Config::max_waiting`]
    #[error("fewer than 16 messages may wait")]
    MaxWaiting,
}
