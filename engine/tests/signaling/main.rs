//! Signaling as stories: the state table, the queue of operations, glare, candidates, and a channel that comes and goes.

mod caller;
mod candidates;
mod gathering;
mod jsep;
mod link;
mod needed;
mod negotiation;
mod operations;
mod party;
mod table;
mod takeover;
