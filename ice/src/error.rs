//! What can be wrong, grouped by whose fault it is: the caller's ([`ApiMisuse`]), the signalled text's
//! ([`InvalidParameters`], [`InvalidCandidate`]) or the network's ([`DropReason`], which is counted and never an error).

use std::fmt;

/// The caller asked for something that cannot be done. Never caused by the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// The agent is closed.
    #[error("the agent is closed")]
    Closed,
    /// A local candidate needs an address; a host name is for signalling only.
    #[error("a local candidate needs an IP address and a port")]
    CandidateWithoutAddress,
    /// A peer-reflexive candidate is found by the agent, never given to it.
    #[error("peer-reflexive candidates are found by checks, not added")]
    PeerReflexiveIsNotAdded,
    /// A lite agent has host candidates only (RFC 8445 §5.2).
    #[error("a lite agent has host candidates only")]
    LiteTakesHostCandidatesOnly,
    /// A lite agent has one candidate per IP address and transport (RFC 8445 §5.2).
    #[error("a lite agent has one candidate per IP address")]
    LiteHasOneCandidatePerAddress,
    /// A lite agent's candidates, once complete, change with a restart only (RFC 8445 §9).
    #[error("a lite agent's candidates change with a restart only")]
    LiteCandidatesAreFixed,
    /// The configured number of local candidates is reached.
    #[error("the configured number of local candidates is reached")]
    TooManyLocalCandidates,
    /// The peer's credentials can change through a restart only.
    #[error("new remote credentials need a restart")]
    RemoteParametersChangeNeedsRestart,
    /// A restart changes the username fragment and the password, both (RFC 8445 §9).
    #[error("a restart changes both the username fragment and the password")]
    RestartKeepsACredential,
    /// There is no restart to roll back.
    #[error("no restart is under way")]
    NoRestart,
    /// A pair that has not succeeded cannot be nominated.
    #[error("that pair has not succeeded")]
    PairNotSucceeded,
    /// No pair of a live generation has that id.
    #[error("no pair has that id")]
    UnknownPair,
    /// Only the controlling agent nominates.
    #[error("only the controlling agent nominates")]
    NotControlling,
}

/// Why a username fragment or a password was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidParameters {
    /// The username fragment is not 4–256 characters long, or one that is chosen not 4–32.
    #[error("the username fragment is not 4 to 256 characters long")]
    UsernameFragmentLength,
    /// The password is not 22–256 characters long.
    #[error("the password is not 22 to 256 characters long")]
    PasswordLength,
    /// The username fragment holds a character that is not allowed.
    #[error("the username fragment holds a character that is not allowed")]
    UsernameFragmentCharacter,
    /// The password holds a character that is not allowed.
    #[error("the password holds a character that is not allowed")]
    PasswordCharacter,
}

/// Why a `candidate:` text was refused (RFC 8839 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCandidate {
    /// A field is missing.
    #[error("a field is missing")]
    Truncated,
    /// The foundation is not 1–32 `ice-char`s.
    #[error("the foundation is not 1 to 32 ice-chars")]
    Foundation,
    /// The component is not 1–256.
    #[error("the component is not 1 to 256")]
    Component,
    /// The transport is neither UDP nor TCP.
    #[error("the transport is neither UDP nor TCP")]
    Transport,
    /// The priority is not 1–2³¹−1.
    #[error("the priority is not 1 to 2^31 - 1")]
    Priority,
    /// The connection address is neither an IP address nor a host name.
    #[error("the connection address is neither an IP address nor a host name")]
    Address,
    /// The port is not a number.
    #[error("the port is not a number")]
    Port,
    /// The candidate type is unknown.
    #[error("the candidate type is unknown")]
    Type,
    /// The related address or port is malformed.
    #[error("the related address is malformed")]
    RelatedAddress,
    /// The TCP type is missing or unknown, or stands on a UDP candidate.
    #[error("the TCP type does not fit")]
    TcpType,
    /// An extension has no value, or the username fragment is malformed.
    #[error("an extension attribute is malformed")]
    Extension,
}

/// Why a datagram had no effect. Each reason has a counter in [`Stats`](crate::Stats).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// Looked like STUN, did not parse.
    Malformed,
    /// Longer than ICE ever needs; not worth a MAC.
    TooLong,
    /// No FINGERPRINT.
    MissingFingerprint,
    /// FINGERPRINT does not match the bytes.
    BadFingerprint,
    /// A method or class that ICE does not use.
    UnknownMethod,
    /// A request from an address that is never sent to ([`AddressFilter`](crate::AddressFilter)).
    RefusedAddress,
    /// A request without USERNAME: 400, once a second at most.
    MissingUsername,
    /// USERNAME names no live generation. Nobody is told.
    UnknownUsername,
    /// No MESSAGE-INTEGRITY: a request is answered 400, once a second at most.
    MissingIntegrity,
    /// MESSAGE-INTEGRITY does not match: forged, or another password. A request is answered 401, once a second at most.
    BadIntegrity,
    /// Too many forgeries lately, so that this one was not even verified.
    IntegrityBudget,
    /// A response to nothing that is outstanding.
    UnknownTransaction,
    /// A report that a pair which has succeeded cannot be reached: consent decides (RFC 7675).
    PairSucceeded,
    /// The agent is closed.
    Closed,
    /// An authenticated response that came another way than its request went (RFC 8445 §7.2.5.2.1).
    AsymmetricResponse,
    /// An authenticated request found the queue of pending answers full.
    Overloaded,
}

impl DropReason {
    /// How many reasons there are.
    pub(crate) const COUNT: usize = Self::Overloaded as usize + 1;
    /// How many of them anybody can give. They come first.
    pub(crate) const OF_ANYBODY: usize = Self::Closed as usize + 1;
    /// All, in their order.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Malformed,
        Self::TooLong,
        Self::MissingFingerprint,
        Self::BadFingerprint,
        Self::UnknownMethod,
        Self::RefusedAddress,
        Self::MissingUsername,
        Self::UnknownUsername,
        Self::MissingIntegrity,
        Self::BadIntegrity,
        Self::IntegrityBudget,
        Self::UnknownTransaction,
        Self::PairSucceeded,
        Self::Closed,
        Self::AsymmetricResponse,
        Self::Overloaded,
    ];
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the message does not parse",
            Self::TooLong => "the message is longer than ICE needs",
            Self::MissingFingerprint => "the message has no FINGERPRINT",
            Self::BadFingerprint => "the FINGERPRINT does not match",
            Self::UnknownMethod => "the method or class is not one of ICE",
            Self::RefusedAddress => "the request comes from an address that is never sent to",
            Self::MissingUsername => "the request has no USERNAME",
            Self::UnknownUsername => "the USERNAME names no live generation",
            Self::MissingIntegrity => "the message has no MESSAGE-INTEGRITY",
            Self::BadIntegrity => "the MESSAGE-INTEGRITY does not match",
            Self::IntegrityBudget => "too many forgeries lately to verify this message",
            Self::UnknownTransaction => "the response belongs to no outstanding transaction",
            Self::PairSucceeded => "the pair that is said to be unreachable has succeeded",
            Self::AsymmetricResponse => "the response came another way than its request went",
            Self::Overloaded => "too many answers are pending",
            Self::Closed => "the agent is closed",
        })
    }
}
