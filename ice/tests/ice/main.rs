//! Stories about agents, by topic of the RFCs.

#[path = "../support/mod.rs"]
mod support;

mod connect;
