//! When an offer/answer exchange means a new DTLS association, and which `a=setup` to say (RFC 8842 §3.1, §5).
//!
//! Pure functions: whoever owns the connections asks, and makes a successor with
//! [`Connection::successor`](crate::Connection::successor) when told to. The old connection lives until the new one is
//! `Connected`.

use std::fmt;

use thiserror::Error;

use crate::config::{Setup, Side};

/// Which association of a transport a connection or a set of keys belongs to: 0 for the first, one more for each
/// successor, and 0 again after 65 535.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AssociationId(u16);

impl AssociationId {
    pub(crate) fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl fmt::Display for AssociationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What SDP says about the remote end of an association. Fingerprints and tls-id are compared and nothing else: who keeps
/// them for long may put digests in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signaled<F, T> {
    /// The remote `a=fingerprint` lines: a [`FingerprintSet`](crate::FingerprintSet), or what stands for one.
    pub fingerprints: F,
    /// The side this end has, or gets by the negotiated `a=setup`.
    pub side: Side,
    /// The remote `a=tls-id`, if there is one; most peers send none.
    pub tls_id: Option<T>,
}

/// What an exchange means for the association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuation {
    /// The association continues.
    Same,
    /// A new association takes its place once it is connected.
    New,
}

/// An exchange that must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A new association needs an ICE restart in the same exchange (RFC 9429 §5.11).
    #[error("a new DTLS association without an ICE restart")]
    NewAssociationWithoutRestart,
    /// Both sides are active, or both passive, or an answer says `actpass`.
    #[error("the two a=setup values do not make a client and a server")]
    IncompatibleSetup,
}

/// Whether `negotiated` continues the association that `established` describes (RFC 8842 §3.1): the fingerprint set, the
/// side and the tls-id must all be the same. A tls-id that one of the two does not have decides nothing.
///
/// # Errors
///
/// A new association without an ICE restart is refused.
#[expect(
    clippy::fn_params_excessive_bools,
    reason = "a plain fact of the exchange, which the caller has as a bool"
)]
pub fn continuation<F: PartialEq, T: PartialEq>(
    established: &Signaled<F, T>,
    negotiated: &Signaled<F, T>,
    ice_restart: bool,
) -> Result<Continuation, SetupError> {
    let tls_id_changed = established
        .tls_id
        .as_ref()
        .zip(negotiated.tls_id.as_ref())
        .is_some_and(|(old, new)| old != new);
    let same = established.side == negotiated.side
        && established.fingerprints == negotiated.fingerprints
        && !tls_id_changed;
    match (same, ice_restart) {
        (true, _) => Ok(Continuation::Same),
        (false, true) => Ok(Continuation::New),
        (false, false) => Err(SetupError::NewAssociationWithoutRestart),
    }
}

/// The side that an offerer's and an answerer's `a=setup` give to `local` (RFC 8842 §5.2).
///
/// # Errors
///
/// Two values that do not make one client and one server.
pub fn negotiated_side(local: Setup, remote: Setup) -> Result<Side, SetupError> {
    match (local.side(), remote.side()) {
        (Some(ours), Some(theirs)) if ours == theirs.peer() => Ok(ours),
        (Some(ours), None) => Ok(ours),
        (None, Some(theirs)) => Ok(theirs.peer()),
        _ => Err(SetupError::IncompatibleSetup),
    }
}

/// What an offer says: always `actpass`, so that the answerer can repeat the established sides (RFC 8842 §5.2).
pub fn offer_setup() -> Setup {
    Setup::ActPass
}

/// What an answer says to `offered` (RFC 8842 §5.3): the established side if there is an association that may go on,
/// else `preferred` where the offer leaves the choice.
///
/// # Errors
///
/// The offer contradicts an established side; without an ICE restart that is no new association.
pub fn answer_setup(
    offered: Setup,
    established: Option<Side>,
    preferred: Side,
) -> Result<Setup, SetupError> {
    let side = match (offered.side(), established) {
        (None, Some(side)) => side,
        (None, None) => preferred,
        (Some(theirs), Some(side)) if theirs == side => return Err(SetupError::IncompatibleSetup),
        (Some(theirs), _) => theirs.peer(),
    };
    Ok(match side {
        Side::Client => Setup::Active,
        Side::Server => Setup::Passive,
    })
}
