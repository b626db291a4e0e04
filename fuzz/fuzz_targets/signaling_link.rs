//! A signaling session between two callers of every mood.
#![cfg_attr(fuzzing, no_main)]

floe_fuzz::target!(floe_fuzz::signaling_link::run);
