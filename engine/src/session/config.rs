//! What can be chosen about a session: the choices of its machines, in one place.

use crate::{Profile, close, journal, liveness, recovery, signaling};
use signaling::{link, negotiation};
use std::sync::Arc;
use thiserror::Error;

/// Choices for [`Session`](super::Session). Cheap to clone; one serves all the sessions of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Who yields when two offers cross. Default: [`Role::Polite`](negotiation::Role::Polite). The two sides must differ in it.
    pub role: negotiation::Role,
    /// Whose state machine the transports follow. Default: [`Profile::W3c`].
    pub profile: Profile,
    /// The state table and the operations chain.
    pub signaling: Arc<signaling::Config>,
    /// Offers, answers, glare.
    pub negotiation: Arc<negotiation::Config>,
    /// The channel.
    pub link: Arc<link::Config>,
    /// From a flap to a restart.
    pub recovery: Arc<recovery::Config>,
    /// How long silence is borne.
    pub liveness: liveness::Config,
    /// How sessions end.
    pub close: close::Config,
    /// What is written down. Default: nothing.
    pub journal: Option<Arc<journal::Config>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            role: negotiation::Role::Polite,
            profile: Profile::default(),
            signaling: Arc::default(),
            negotiation: Arc::default(),
            link: Arc::default(),
            recovery: Arc::default(),
            liveness: liveness::Config::default(),
            close: close::Config::default(),
            journal: None,
        }
    }
}

/// A configuration that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// [`Config::signaling`]
    #[error(transparent)]
    Signaling(#[from] signaling::ConfigError),
    /// [`Config::negotiation`]
    #[error(transparent)]
    Negotiation(#[from] negotiation::InvalidConfig),
    /// [`Config::link`]
    #[error(transparent)]
    Link(#[from] link::ConfigError),
    /// [`Config::recovery`]
    #[error(transparent)]
    Recovery(#[from] recovery::ConfigError),
    /// [`Config::liveness`]
    #[error(transparent)]
    Liveness(#[from] liveness::ConfigError),
    /// [`Config::close`]
    #[error(transparent)]
    Close(#[from] close::ConfigError),
    /// [`Config::journal`]
    #[error(transparent)]
    Journal(#[from] journal::ConfigError),
}
