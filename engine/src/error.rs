//! The caller's mistakes. Nothing the network does leads here.

use floe_dtls as dtls;
use floe_ice as ice;
use thiserror::Error;

/// A command that could not be carried out. Nothing has changed by it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ApiMisuse {
    /// Another live transport of the endpoint has this username fragment.
    #[error("the username fragment belongs to another live transport")]
    UfragInUse,
    /// The endpoint has no transport of this id.
    #[error("there is no such transport")]
    UnknownTransport,
    /// The endpoint holds as many transports as its configuration allows.
    #[error("the endpoint holds as many transports as it may")]
    TooManyTransports,
    /// The transport's datagrams may be longer than the endpoint's.
    #[error("the transport's MTU is larger than the endpoint's")]
    MtuTooLarge,
    /// The ICE agent refused.
    #[error(transparent)]
    Ice(#[from] ice::ApiMisuse),
    /// The DTLS connection refused.
    #[error(transparent)]
    Dtls(#[from] dtls::ApiMisuse),
    /// The two `a=setup` values do not fit, or a new association was asked for without an ICE restart.
    #[error(transparent)]
    Setup(#[from] dtls::SetupError),
}

/// Why application data was not sealed.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// There is no path on which the peer consents to receive (RFC 7675 §5.1).
    #[error("the peer does not consent to receive on any path")]
    NoConsent,
    /// DTLS is not connected, or the data does not fit a record.
    #[error(transparent)]
    Dtls(#[from] dtls::Error),
}
