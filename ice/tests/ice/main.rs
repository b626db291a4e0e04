//! Stories about agents, by topic of the RFCs.

#[path = "../support/mod.rs"]
mod support;

mod allocations;
mod candidates;
mod checks;
mod connect;
mod consent;
mod failure;
mod laws;
mod nomination;
mod restart;
mod roles;
mod security;
mod trickle;
