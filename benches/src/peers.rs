//! The ICE agents that are measured and compared, each behind the same few verbs.
//!
//! An adapter does what the documentation of its agent says that a caller does, and no more: what it costs is part of what
//! is measured, and is the same few copies for all.

mod driver;
mod floe;
#[cfg(feature = "peers")]
mod is;
#[cfg(feature = "peers")]
mod rice;
#[cfg(feature = "peers")]
mod rtc;

use std::net::SocketAddr;
use std::time::Instant;

pub use driver::Idle;
pub use floe::{AtChromiumsRate, Floe};
#[cfg(feature = "peers")]
pub use is::Is;
#[cfg(feature = "peers")]
pub use rice::Rice;
#[cfg(feature = "peers")]
pub use rtc::Rtc;

/// The longest datagram, in bytes.
pub const MTU: usize = 1500;

/// Which side an agent begins as. Nothing here has a conflict of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It nominates.
    Controlling,
    /// It is told.
    Controlled,
}

/// What a check is authenticated with.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The username fragment.
    pub ufrag: String,
    /// The password.
    pub password: String,
}

/// A datagram that was written into the caller's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Where it leaves from.
    pub local: SocketAddr,
    /// Where it goes.
    pub remote: SocketAddr,
    /// Its length in bytes.
    pub len: usize,
}

/// An ICE agent with host candidates on UDP.
pub trait Peer: Sized {
    /// The name in the tables.
    const NAME: &'static str;

    /// An agent with these sockets, each liked less than the one before. The number makes it different from all others.
    fn new(side: Side, number: u64, now: Instant, sockets: &[SocketAddr]) -> Self;

    /// What signaling would carry.
    fn credentials(&self) -> Credentials;

    /// All that the other one signals, candidates in the order of their priority.
    fn learn(&mut self, now: Instant, remote: &Credentials, candidates: &[SocketAddr]);

    /// A datagram arrived at `local` from `remote`.
    fn receive(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr, datagram: &[u8]);

    /// Time has passed.
    fn wake(&mut self, now: Instant);

    /// When it wants to be woken.
    fn deadline(&mut self) -> Option<Instant>;

    /// Writes the next datagram into a buffer of [`MTU`] bytes.
    fn transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Sent>;

    /// Takes and forgets the events, as far as the adapter does not need them.
    fn take_events(&mut self) {}

    /// Whether data could go out.
    fn is_usable(&self) -> bool;

    /// Whether a pair is nominated.
    fn is_selected(&self) -> bool;
}

/// The priority of the `index`th host candidate (RFC 8445 §5.1.2).
#[cfg(feature = "peers")]
const fn priority(index: usize) -> u32 {
    126 << 24 | preference(index) << 8 | 255
}

/// Its local preference.
const fn preference(index: usize) -> u32 {
    65_000 - index as u32
}
