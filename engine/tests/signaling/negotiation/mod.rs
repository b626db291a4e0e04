//! Negotiation as stories of two sides: glare in every order, answers that are late or lost, restarts, failures, and chance.

mod answers;
mod candidates;
mod failures;
mod glare;
mod model;
mod restart;
mod takeover;
mod world;
