//! Stories about agents, by topic of the RFCs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod allocations;
mod attack;
mod candidates;
mod checks;
mod connect;
mod consent;
mod failure;
mod glare;
mod laws;
mod lite;
mod memory;
mod model;
mod nat;
mod nomination;
mod policy;
mod restart;
mod roles;
mod rollback;
mod security;
mod timers;
mod trickle;
mod undrained;
mod wakeups;
