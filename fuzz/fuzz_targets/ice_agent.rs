//! An agent between a hostile network and a caller of every mood.
#![cfg_attr(fuzzing, no_main)]

floe_fuzz::target!(floe_fuzz::ice_agent::run);
