//! Two live connections and everything that can happen between them.
#![cfg_attr(fuzzing, no_main)]

floe_fuzz::target!(floe_fuzz::dtls_connection::run);
