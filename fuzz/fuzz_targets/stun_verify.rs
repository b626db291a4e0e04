//! Authentic messages, and what is left of them after a mutation.
#![cfg_attr(fuzzing, no_main)]

floe_fuzz::target!(floe_fuzz::stun_verify::run);
