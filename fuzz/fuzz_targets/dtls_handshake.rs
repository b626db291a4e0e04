//! Handshake messages, certificates and fingerprints on their own.
#![cfg_attr(fuzzing, no_main)]

floe_fuzz::target!(floe_fuzz::dtls_handshake::run);
