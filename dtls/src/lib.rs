//! Sans-IO DTLS for WebRTC.
mod association;
mod certificate;
mod client;
mod config;
mod connection;
mod crypto;
mod error;
mod event;
mod fingerprint;
mod flight;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod identity;
mod key_schedule;
mod msgs;
mod reassembly;
mod record;
mod server;
mod srtp;
mod stats;
mod timer;
mod transcript;

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
pub use identity::{Identity, IdentityError};
pub use msgs::enums::{
    AlertDescription, CipherSuite, NamedGroup, ProtocolVersion, SignatureScheme,
};
pub use srtp::{SrtpKeys, SrtpProfile};
pub use stats::{DropReason, Stats};
