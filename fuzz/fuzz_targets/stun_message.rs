//! One datagram: floe's reader against an independent one, and against floe's writer.
#![cfg_attr(fuzzing, no_main)]

floe_fuzz::target!(floe_fuzz::stun_message::run);
