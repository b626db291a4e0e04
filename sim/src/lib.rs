//! A network in virtual time, for floe's tests: two nodes, the links between them, and whoever sits on the wire.
//!
//! ```text
//!             poll_transmit                                         handle_datagram
//!   Node A ─────────────▶ taps ─▶ NATs ─▶ link ─▶ (in flight) ─▶ NATs ─────────────▶ Node B
//!          ◀───────────── NATs ◀─ (in flight) ◀─ link ◀─ NATs ◀─ taps ◀────────────
//!                                     ▲
//!                                  inject: an attacker who knows addresses and nothing else
//! ```
//!
//! * [`Node`]: what a machine under test looks like from outside; each crate adapts its own machines to it.
//! * [`Pair`]: two nodes and the loop that a caller of floe would write. It checks the timer law on every step.
//! * [`Link`]: delay, jitter, loss, duplication, reordering, corruption, MTU, cut; changed at any time.
//! * [`Nat`]: address translation in the words of RFC 4787, nested at will ([`Network::place_behind`]); mappings end in
//!   silence, or by force ([`Network::rebind`]).
//! * [`Pair::add_server`]: whom both talk to besides each other.
//! * [`Network::tap`]: a closure that sees every datagram before its link does and may change, drop or hold it;
//!   [`Network::wiretap`] keeps copies.
//! * [`Attacker`]: seeded garbage, and mutations of what was really sent.
//!
//! Same seed, same nodes, same calls: same datagrams at the same instants. Every panic of the harness names the seed.
//!
//! A story:
//!
//! ```
//! use sim::{Link, Node, Pair};
//! use std::{net::SocketAddr, time::{Duration, Instant}};
//!
//! /// Says hello once a second, counts what it hears.
//! struct Greeter { at: SocketAddr, to: SocketAddr, next: Instant, due: bool, heard: u32 }
//!
//! impl Node for Greeter {
//!     fn handle_datagram(&mut self, _: Instant, _: SocketAddr, _: SocketAddr, _: &mut [u8]) { self.heard += 1 }
//!     fn handle_timeout(&mut self, now: Instant) {
//!         if now >= self.next { self.next = now + Duration::from_secs(1); self.due = true }
//!     }
//!     fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
//!         std::mem::take(&mut self.due).then(|| { buf[..5].copy_from_slice(b"hello"); (self.at, self.to, 5) })
//!     }
//!     fn poll_timeout(&self) -> Option<Instant> { Some(self.next) }
//! }
//!
//! let (a, b) = (sim::address(1), sim::address(2));
//! let greeter = |at, to| Greeter { at, to, next: sim::Clock::epoch(), due: false, heard: 0 };
//! let mut pair = Pair::new(7, (greeter(a, b), &[a]), (greeter(b, a), &[b]));
//! pair.network.set_links(Link { loss: 0.5, ..Link::default() });
//!
//! pair.drive_until(|a, b| a.heard >= 10 && b.heard >= 10);
//! assert!(pair.network.counters().lost > 0);
//! ```

mod attacker;
mod clock;
mod link;
mod nat;
mod network;
mod node;
mod pair;
mod random;
mod tap;
mod topology;
mod trace;

pub use attacker::Attacker;
pub use clock::Clock;
pub use link::Link;
pub use nat::{Dependence, Nat};
pub use network::{Datagram, Network};
pub use node::{Node, address, address_v6};
pub use pair::{End, Pair};
pub use random::Random;
pub use tap::{Verdict, Wire, Wiretap};
pub use topology::NatId;
pub use trace::{Counters, Delivery, Fate};
