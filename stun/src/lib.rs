//! STUN as ICE uses it: messages read in place, written in place, authenticated from cached states. No sockets, no clock.
//!
//! What it covers: the message format, short-term credentials, FINGERPRINT and client transactions of RFC 8489, the ICE attributes of
//! RFC 8445 §16.1, and those libwebrtc adds (NOMINATION, GOOG_PING, DTLS in STUN). What it leaves out: long-term credentials,
//! servers' policies, gathering.
//!
//! ```text
//!  datagram ──► is_stun ──► Message::parse ──► fingerprint() ──► verify(key) ──► Verified ──► your decision
//!                                                                                                 │
//!  datagram ◄── fingerprint() ◄── integrity(key) ◄── attributes ◄── Writer::success ◄─────────────┘
//! ```
//!
//! Parsing, verifying and writing allocate nothing and panic on no input. Of a secret, neither `Debug` nor the memory
//! after its drop shows anything.
//!
//! # Answering a Binding request
//!
//! ```
//! use floe_stun::{
//!     Class, FingerprintStatus, IntegrityKey, Message, Method, RoleAttribute, RouteKey, TransactionIds, Writer, is_stun,
//! };
//!
//! // Once per credential generation: the states that the password leads to.
//! let key = IntegrityKey::short_term(b"VOkJxbRl1RmTxUk/WvJxBt");
//!
//! // A peer's connectivity check...
//! let mut ids = TransactionIds::new(RouteKey::from_bytes([1; 16]), [2; 32]);
//! let mut datagram = [0; 128];
//! let len = Writer::request(&mut datagram, Method::BINDING, ids.mint(0))
//!     .ice_username("evtj", "h6vY")
//!     .priority(1_845_501_695)
//!     .role(RoleAttribute::Controlling(0x932F_F9B1_5126_3B36))
//!     .integrity(&key)
//!     .fingerprint()?;
//! let datagram = &datagram[..len];
//!
//! // ...and our side of it. Nothing is believed before `verify`.
//! assert!(is_stun(datagram));
//! let message = Message::parse(datagram)?;
//! assert_eq!(message.fingerprint(), FingerprintStatus::Valid);
//! assert_eq!(message.username(), Some(&b"evtj:h6vY"[..]));
//! let request = message.verify(&key)?;
//! assert_eq!(request.class(), Class::Request);
//!
//! let mut answer = [0; 128];
//! let len = Writer::success(&mut answer, request.method(), request.transaction_id())
//!     .xor_mapped_address("192.0.2.1:32853".parse()?)
//!     .integrity_as(request.algorithm(), &key)
//!     .fingerprint()?;
//! assert_eq!(len, 64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[warn(clippy::indexing_slicing)]
mod attribute;
mod error;
mod fingerprint;
#[warn(clippy::indexing_slicing)]
mod header;
mod hmac;
mod integrity;
#[warn(clippy::indexing_slicing)]
mod message;
#[warn(clippy::indexing_slicing)]
mod nonce;
#[warn(clippy::indexing_slicing)]
mod reader;
mod route;
mod transaction;
mod writer;

pub use attribute::{Attribute, AttributeType, Attributes, error_code::ErrorCode};
pub use error::{IntegrityError, ParseError, WriteError};
pub use fingerprint::FingerprintStatus;
pub use header::{Class, Method, TransactionId, is_stun};
pub use integrity::{IntegrityAlgorithm, IntegrityKey, Sha1Key, Verified};
pub use message::{Message, RoleAttribute};
pub use nonce::{SecurityFeatures, is_bid_down};
pub use route::{RouteKey, TransactionIds};
pub use transaction::{Answer, Schedule, TimeoutReason, Transaction, TransactionAction};
pub use writer::{Open, Protected, Writer};
