//! The wire: one file per message family over one cursor and one length guard.
//!
//! Handshake bodies are borrowed views of the reassembled bytes; the same types are encoded when we speak, so that what
//! is read and what is written cannot drift apart. Nothing here knows in which order messages come: the handshake
//! scripts do. Records are in `record`.

pub(crate) mod alert;
pub(crate) mod certificate;
pub(crate) mod certificate_v13;
pub(crate) mod codec;
pub(crate) mod enums;
pub(crate) mod extensions;
pub(crate) mod handshake;
pub(crate) mod hello;
pub(crate) mod key_exchange;
pub(crate) mod key_share;
pub(crate) mod names;
pub(crate) mod post_handshake;
