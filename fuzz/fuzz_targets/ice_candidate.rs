//! The text of candidates and credentials, as signalling brings it.
#![cfg_attr(fuzzing, no_main)]

floe_fuzz::target!(floe_fuzz::ice_candidate::run);
