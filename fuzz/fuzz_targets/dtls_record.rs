//! Records in whatever state.
#![cfg_attr(fuzzing, no_main)]

floe_fuzz::target!(floe_fuzz::dtls_record::run);
