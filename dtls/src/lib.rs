//! Sans-IO DTLS for WebRTC.
mod association;
mod config;
mod connection;
mod event;
mod interim;
mod stats;

pub use association::{AssociationId, Continuation, SetupError, Signaled, answer_setup, continuation, negotiated_side, offer_setup};
pub use config::{ClientAuth, Config, ExtendedMasterSecret, Jitter, KeyLog, PlaintextAlerts, Retransmission, Setup, Side, SrtpPolicy};
pub use connection::{Connection, Received};
pub use event::{AeadLimit, Event, Reason, State, Transition};
pub(crate) use interim::{crypto, error, fingerprint, identity, srtp};
pub use crypto::CryptoBackend;
pub use error::{ApiMisuse, Error};
pub use fingerprint::{CertificateFingerprint, FingerprintError, FingerprintSet, HashAlgorithm, RemoteIdentity};
pub use identity::Identity;
pub use interim::msgs::enums::{CipherSuite, NamedGroup, ProtocolVersion};
pub(crate) use interim::msgs;
pub use srtp::{SrtpKeys, SrtpProfile};
pub use stats::{DropReason, Stats};
