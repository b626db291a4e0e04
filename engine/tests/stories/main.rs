//! Stories of two endpoints in virtual time: what the engine promises, over networks good and bad.

mod attach;
mod attack;
mod batch;
mod connect;
mod contest;
mod crafted;
mod crowd;
mod data;
mod dtls;
mod endpoint;
mod failure;
mod farewell;
mod flood;
mod herd;
mod hostile;
mod laws;
mod liveness;
mod restart;
mod routable;
mod scale;
mod steering;
mod storm;
mod support;
mod tables;
mod turns;
