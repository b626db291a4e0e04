//! A session description, opaque but for the facts that the state machines need.
