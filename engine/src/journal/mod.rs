//! The journal: what happened, in an order that can be replayed.
