//! Sans-IO DTLS for WebRTC.
mod association;
mod config;
mod connection;
mod event;
mod interim;
mod stats;

mod error;
mod msgs;

pub use association::{
    AssociationId, Continuation, SetupError, Signaled, answer_setup, continuation, negotiated_side,
    offer_setup,
};
pub use config::{
    ClientAuth, Config, ExtendedMasterSecret, Jitter, KeyLog, PlaintextAlerts, Retransmission,
    Setup, Side, SrtpPolicy,
};
pub use connection::{Connection, Received};
pub use crypto::CryptoBackend;
pub use error::{
    ApiMisuse, Error, IdentityRefused, InvalidMessage, PeerIncompatible, PeerMisbehaved,
};
pub use event::{AeadLimit, Event, Reason, State, Transition};
pub use fingerprint::{
    CertificateFingerprint, FingerprintError, FingerprintSet, HashAlgorithm, RemoteIdentity,
};
pub use identity::Identity;
pub(crate) use interim::{crypto, fingerprint, identity, srtp};
pub use msgs::enums::{
    AlertDescription, CipherSuite, NamedGroup, ProtocolVersion, SignatureScheme,
};
pub use srtp::{SrtpKeys, SrtpProfile};
pub use stats::{DropReason, Stats};
