//! ICE (RFC 8445) without sockets, clock or threads: an [`Agent`] is told what arrived and what time it is, and says what
//! to send, when to be called again, and what has changed.
//!
//! What it covers: full and lite agents, trickle, role conflicts, regular nomination and renomination, consent
//! freshness, restarts that keep the old path until the new one works. What it leaves out: gathering (the caller brings
//! candidates; STUN and TURN clients come beside it), mDNS resolution, framing over TCP, DTLS.
//!
//! ```text
//!   candidates, parameters ──► commands ─┐                        ┌─► poll_event     what changed
//!                                        ▼                        │
//!   datagram, path ──► handle_datagram ──► Agent ─────────────────┼─► poll_transmit  what to send, into your buffer
//!                                        ▲   │                    │
//!   time ────────────► handle_timeout ───┘   └─ send_path()       └─► poll_timeout   when to call again
//! ```
//!
//! Inside, an agent has one *generation* of credentials, and two while a restart is under way. A generation has the
//! peer's candidates, a checklist, and the pair in use with its consent:
//!
//! ```text
//!   request ─► username ─► MAC ─► FINGERPRINT ─► answer ─► observe ─► triggered check │ nomination
//!   response ─► transaction ─► MAC ─► FINGERPRINT ─► symmetric? ─► pair succeeded │ role switched │ consent renewed
//!   time ─► retransmissions ─► consent ─► nomination ─► one new check per Ta
//! ```
//!
//! FINGERPRINT comes late on purpose, although RFC 8489 §14.7 has it tell STUN from all else: that the magic cookie and a known
//! username or transaction do already, for less, and whoever forges a message forges a CRC as well. Without one, or with one
//! that is wrong, nothing counts.
//!
//! Where packets go is not the peer's to decide alone: [`AddressFilter`] keeps it from naming this machine's loopback or a
//! cloud's metadata service, an address that has not answered gets no more than two datagrams for one that came from there,
//! and a lite agent follows its peer to another address after a check of its own.
//!
//! Whatever has not passed its MAC moves a counter and nothing else. Nothing that arrives can make an agent panic, or
//! grow beyond its documented caps; a connected agent allocates nothing and wakes only to send.
//!
//! # The loop
//!
//! Two agents in one process, with a `Vec` for a network:
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use floe_ice::{Agent, Candidate, Config, Event, FiveTuple, Initiation, Mode, Received, RemoteParameters, State};
//!
//! let config = Arc::new(Config::default());
//! let mut offerer = Agent::new(config.clone(), Mode::Full, Initiation::Initiating, None);
//! let mut answerer = Agent::new(config, Mode::Full, Initiation::Responding, None);
//! # #[expect(clippy::disallowed_methods, reason = "an example begins with some instant")]
//! let mut now = Instant::now();
//!
//! // Gathering: the sockets' addresses. Then what signaling carries, both ways.
//! let addresses = ["192.0.2.1:5000".parse()?, "192.0.2.2:5000".parse()?];
//! for (agent, address) in [&mut offerer, &mut answerer].into_iter().zip(addresses) {
//!     agent.add_local_candidate(now, Candidate::host(address))?;
//!     agent.local_candidates_complete(now);
//! }
//! for (agent, peer, address) in [(0, 1, addresses[1]), (1, 0, addresses[0])] {
//!     let mut agents = [&mut offerer, &mut answerer];
//!     let remote = RemoteParameters::new(agents[peer].local_parameters().clone());
//!     agents[agent].set_remote_parameters(now, remote)?;
//!     agents[agent].add_remote_candidate(now, Candidate::host(address))?;
//!     agents[agent].remote_candidates_complete(now);
//! }
//!
//! while offerer.state() != State::Completed || answerer.state() != State::Completed {
//!     let mut buffer = [0; 1200];
//!     let mut quiet = false;
//!     while !quiet {
//!         quiet = true;
//!         for (from, to) in [(0, 1), (1, 0)] {
//!             let mut agents = [&mut offerer, &mut answerer];
//!             // What is pending goes out, and in on the other side...
//!             while let Some(transmit) = agents[from].poll_transmit(&mut buffer) {
//!                 quiet = false;
//!                 let path = FiveTuple::udp(transmit.path.remote, transmit.path.local);
//!                 let received = agents[to].handle_datagram(now, path, &buffer[..transmit.len]);
//!                 assert_eq!(received, Received::Handled);
//!             }
//!             // ...what happened is looked at...
//!             while let Some(event) = agents[from].poll_event() {
//!                 if let Event::StateChange(change) = event {
//!                     println!("{} -> {}: {}", change.from, change.to, change.reason);
//!                 }
//!             }
//!         }
//!     }
//!     // ...and time passes until somebody wants to be called.
//!     now = [&offerer, &answerer].into_iter().filter_map(Agent::poll_timeout).min().unwrap_or(now);
//!     offerer.handle_timeout(now);
//!     answerer.handle_timeout(now);
//! }
//! assert_eq!(offerer.send_path().map(|path| path.remote), Some(addresses[1]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What of the RFCs is here
//!
//! | section | | |
//! |---|---|---|
//! | RFC 8445 §5.1 | candidates, priorities, foundations | yes; §5.1.1.2 reflexive and relayed ones as given by the caller |
//! | §6.1.1 | roles | yes, lite against lite too |
//! | §6.1.2 | forming, pruning, limiting pairs | yes, by base, incrementally |
//! | §6.1.2.6, §6.1.4 | freezing, scheduling | yes; freezing off by default, one component |
//! | §7.2 | checks | yes; all of §7.2.5 |
//! | §7.3 | answering checks | yes; without USERNAME or MAC 400, with a wrong MAC 401, once a second at most and never longer than the check, without asking for memory; an unknown username fragment is silently dropped instead of 401, and an agent that has failed answers its own peer, with 403, and nobody else |
//! | §7.3.1.4 | triggered checks | yes; a check under way is replaced only when its answer is overdue |
//! | §8 | nomination | a replaceable [policy](nomination), regular by default; USE-CANDIDATE of aggressive peers is understood |
//! | §9 | restarts | yes, make before break |
//! | §11 | keepalives | by consent checks |
//! | §14 | Ta, RTO | yes; RTO capped |
//! | RFC 7675 | consent | yes |
//! | RFC 8838 | trickle | yes; end-of-candidates by generation (§14) |
//! | RFC 8839 §5.1, §5.4 | candidate text, credentials | yes |
//! | RFC 8863 | patience | yes |
//! | RFC 8421 | dual stack | [`local_preferences`] |
//! | RFC 6544 | TCP candidates | text, priorities and pairing; connections are the caller's |
//! | draft-thatcher-ice-renomination | NOMINATION | announced, and followed when controlled; sent if the [policy](nomination) counts |
//! | GOOG_PING of libwebrtc | | neither announced, sent nor answered: a MAC of 32 bits is no consent |

pub mod nomination;

mod address;
mod agent;
mod budget;
mod candidate;
mod check;
mod checklist;
mod config;
mod consent;
mod early;
mod end_of_candidates;
mod error;
mod event;
#[expect(missing_docs, reason = "public to floe's own crates only")]
mod few;
mod filter;
mod generation;
mod giving_up;
mod heard;
mod left_out;
mod liveness;
mod local;
mod moment;
mod pacer;
#[expect(missing_docs, reason = "public to floe's own crates only")]
mod packed;
mod pair;
mod parameters;
mod paths;
mod priority;
mod random;
mod remote;
mod responder;
mod revoked;
mod rewrite;
mod role;
mod routable;
mod search;
mod selection;
mod shared;
mod state;
mod stats;
mod text;
mod timing;
mod under_way;

/// What floe's own crates keep their records small with. No part of the API.
#[doc(hidden)]
pub mod compact {
    pub use crate::few::Few;
    pub use crate::packed::{EndsV6, Packed};
}

pub use address::{FiveTuple, Protocol, Transmit};
pub use agent::{Agent, Received, RemoteParameters, Removal};
pub use candidate::{Candidate, CandidateId, CandidateType, Foundation, TcpType};
pub use config::{Config, Freezing, Trickle, UsernameFragments, Validation};
pub use error::{ApiMisuse, DropReason, InvalidCandidate, InvalidParameters};
pub use event::{Event, GatheredGeneration};
pub use filter::{Access, AddressFilter};
pub use pacer::Pacer;
pub use pair::{CandidatePair, PairId, PairState};
pub use parameters::{ICE_CHARS, LocalParameters, Parameters};
pub use priority::local_preferences;
pub use revoked::Revoked;
pub use rewrite::{AddressRewrite, Matches, Rewrite, host_candidates};
pub use role::{Initiation, Mode, Role};
pub use routable::RoutableUfrag;
pub use shared::Moved;
pub use state::{GatheringState, Reason, State, Transition};
pub use stats::{CandidatePairStats, Stats};
pub use timing::{AcceptanceWaits, Timing};
