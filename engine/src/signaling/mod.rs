//! Signaling: which offers and answers may go which way, in what order, and how messages survive a channel that comes and goes.

mod candidates;
mod description;
mod link;
mod negotiation;
mod slots;
mod state;
