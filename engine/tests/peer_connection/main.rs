//! `PeerConnection` over real transports: two endpoints, a network in virtual time, and what the aggregates say of it.
//!
//! Whatever the story, three things are checked while it runs: each machine moves only along the edges that webrtc-pc
//! draws, its transitions form a chain, and what the connection keeps of its transports is what they are.

mod chance;
mod coming_up;
mod going_down;
mod leg;
mod memory;
mod replay;
mod restarts;
mod side;
mod the_set;
mod w3c;
