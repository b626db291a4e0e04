//! Two endpoints over a network that does what the bytes say.
#![cfg_attr(fuzzing, no_main)]

floe_fuzz::target!(floe_fuzz::engine_pair::run);
