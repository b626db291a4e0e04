//! `Session` as stories: two of them, a channel between them that comes and goes, and transports whose events are told by hand.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod cost;
mod ends;
mod interference;
mod profile;
mod replay;
mod separate;
mod takeover;
mod world;
