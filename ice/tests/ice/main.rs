//! Stories about agents, by topic of the RFCs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod allocations;
mod answers;
mod attack;
mod candidates;
mod checklist;
mod checks;
mod connect;
mod consent;
mod failure;
mod freezing;
mod gathering;
mod glare;
mod laws;
mod left_out;
mod lite;
mod memory;
mod model;
mod nat;
mod nomination;
mod policy;
mod refusals;
mod requests;
mod restart;
mod roles;
mod rollback;
mod security;
mod silence;
mod statistics;
mod strangers;
mod succession;
mod timers;
mod trickle;
mod undrained;
mod uninvited;
mod wakeups;
