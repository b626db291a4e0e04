//! DTLS for WebRTC as a state machine: no sockets, no clock, no threads.
//!
//! A [`Connection`] is one association (DTLS 1.2, RFC 6347; DTLS 1.3, RFC 9147) between two peers that know each other by
//! the fingerprints of their certificates (RFC 8122). It takes datagrams and the time, and gives datagrams, events and the
//! time at which it wants to be woken. The identity gate is inside: without a certificate that matches a signalled
//! fingerprint, a checked signature by its key and a checked Finished there is no `Connected`, no application data and no
//! SRTP key.
//!
//! DTLS 1.3 takes three flights, of which those in braces are encrypted:
//!
//! ```text
//!   Client                                                             Server
//!   ClientHello                     ────────▶
//!                                   ◀────────   ServerHello,
//!                                               {EncryptedExtensions, CertificateRequest,
//!                                               Certificate, CertificateVerify, Finished}
//!   {Certificate, CertificateVerify,
//!   Finished}                       ────────▶
//!                                   ◀────────   {ACK}
//! ```
//!
//! [`states`] has the diagrams of what either end waits for, and when it is `Connected`.
//!
//! A server that wants another key share asks with HelloRetryRequest and gets a second ClientHello first. DTLS 1.2 takes
//! four:
//!
//! ```text
//!   Client                                                             Server
//!   ClientHello                     ────────▶
//!                                   ◀────────   ServerHello, Certificate, ServerKeyExchange,
//!                                               CertificateRequest, ServerHelloDone
//!   Certificate, ClientKeyExchange,
//!   CertificateVerify,
//!   ChangeCipherSpec, Finished      ────────▶
//!                                   ◀────────   ChangeCipherSpec, Finished
//! ```
//!
//! One ClientHello offers both, and the newest version that both sides have is taken; [`Config::min_version`] and
//! [`Config::max_version`] say what may be.
//!
//! ```text
//!              handle_datagram                                   poll_transmit
//!   datagram ──▶ records ──▶ reassembly ──▶ client │ server ──▶ flight ──▶ records ──▶ datagram
//!                   │                        script                ▲
//!                   └──▶ application data                          └── handle_timeout
//! ```
//!
//! The loop that a caller writes, here with a wire that loses nothing:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use floe_dtls::{
//!     Config, Connection, Event, FingerprintSet, HashAlgorithm, Identity, Received, RemoteIdentity, Setup, State,
//! };
//!
//! let now = Instant::now();
//! let alice = Arc::new(Identity::generate()?);
//! let bob = Arc::new(Identity::generate()?);
//! // What signaling carries: the value of each a=fingerprint line.
//! let expect = |identity: &Identity| -> Result<RemoteIdentity, Box<dyn std::error::Error>> {
//!     let line = identity.fingerprint(HashAlgorithm::Sha256).to_string();
//!     Ok(RemoteIdentity::Fingerprints(FingerprintSet::new([line.parse()?])?))
//! };
//! let mut client = Connection::new(Arc::new(Config::new(alice.clone())), Setup::Active, expect(&bob)?)?;
//! let mut server = Connection::new(Arc::new(Config::new(bob.clone())), Setup::Passive, expect(&alice)?)?;
//! client.start(now); // when ICE has a usable path
//! server.set_path_validated(); // by an answer to a check of its own
//! server.start(now);
//!
//! let mut buf = [0; 1200];
//! loop {
//!     if let Some(len) = client.poll_transmit(&mut buf) {
//!         let _ = server.handle_datagram(now, &mut buf[..len]);
//!     } else if let Some(len) = server.poll_transmit(&mut buf) {
//!         let _ = client.handle_datagram(now, &mut buf[..len]);
//!     } else {
//!         break; // and wait for a datagram, or until poll_timeout, then handle_timeout
//!     }
//! }
//! while let Some(event) = client.poll_event() {
//!     if let Event::SrtpReady(profile) = event {
//!         let keys = client.srtp_keys().expect("ready");
//!         assert_eq!(keys.profile(), profile);
//!     }
//! }
//! assert_eq!(client.state(), State::Connected);
//!
//! let len = client.seal(now, b"hello", &mut buf)?;
//! let Received::Data { range, .. } = server.handle_datagram(now, &mut buf[..len]) else {
//!     panic!("application data");
//! };
//! assert_eq!(&buf[range], b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where somebody else shall carry handshake flights, on connectivity checks before the path is open, say: turn
//! [`Connection::set_flight_pacing`] to external, set the MTU that is left there, and send each of
//! [`Connection::flight_datagrams`] as often as you like until it is no longer listed;
//! [`Connection::is_handshake_confirmed`] says when nothing of the handshake is needed any more.
//!
//! What it does not do: resumption (tickets are acknowledged and forgotten), early data, pre-shared keys, renegotiation
//! (declined with a warning), CBC suites, certificate chains (a fingerprint names one certificate). As a client it answers
//! HelloVerifyRequest and HelloRetryRequest. As a server it sends no more than three times what it received until the
//! client has shown that it is there or [`Connection::set_path_validated`] says so; a listener that ICE does not help puts a
//! [`CookieGate`] before its connections, and keeps a [`PartialHello`] for clients whose ClientHello comes in pieces.
//!
//! The version is settled before anything else, and the newest that both have is taken: a client that offers DTLS 1.3 but
//! shares no suite or group of it with us is refused with `handshake_failure`, DTLS 1.2 or not (RFC 8446 §4.1.1).
//!
//! Features: `rcgen` (default) makes self-signed identities; `aws-lc-rs` adds `CryptoBackend::AwsLcRs` and with it
//! X25519MLKEM768; `deterministic` and `fuzzing` are for tests only.

mod association;
mod certificate;
mod client;
mod config;
mod connection;
mod connection_id;
mod cookie;
mod crypto;
mod error;
mod event;
mod few;
mod fingerprint;
mod flight;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod identity;
mod key_schedule;
mod msgs;
mod queue;
mod reassembly;
mod record;
mod server;
mod srtp;
pub mod states;
mod stats;
mod timer;
mod transcript;

pub use association::{
    AssociationId, Continuation, SetupError, Signaled, answer_setup, continuation, negotiated_side,
    offer_setup,
};
pub use config::{
    ClientAuth, Config, ExtendedMasterSecret, Jitter, KeyLog, PeerCertificates, PlaintextAcks,
    PlaintextAlerts, Retransmission, Setup, Side, SrtpPolicy,
};
pub use connection::{Connection, Received};
pub use connection_id::ConnectionId;
pub use cookie::{CookieGate, PartialHello, Proof, Verdict};
pub use crypto::CryptoBackend;
pub use error::{
    ApiMisuse, Error, IdentityRefused, InvalidMessage, PeerIncompatible, PeerMisbehaved,
};
pub use event::{AeadLimit, Event, Reason, State, Transition};
pub use fingerprint::{
    CertificateFingerprint, FingerprintError, FingerprintSet, HashAlgorithm, RemoteIdentity,
};
pub use flight::{FlightDatagramId, FlightPacing};
pub use identity::{Identity, IdentityError};
pub use msgs::enums::{
    AlertDescription, CipherSuite, NamedGroup, ProtocolVersion, SignatureScheme,
};
pub use msgs::post_handshake::KeyUpdateRequest;
pub use srtp::{SrtpKeys, SrtpProfile};
pub use stats::{DropReason, Stats};
