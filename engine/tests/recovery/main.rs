//! Recovery, liveness, close reasons and the journal, in virtual time.

mod call;
mod closing;
mod drift;
mod journal;
mod recovering;
mod reducer;
mod replay;
mod support;
