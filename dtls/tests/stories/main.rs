//! Stories of two connections over a simulated network, by what they are about.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod attacks;
mod fragmentation;
mod identity;
mod peer;
mod wire;
