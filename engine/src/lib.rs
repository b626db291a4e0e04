//! Sans-IO ICE and DTLS for media servers: many transports behind shared sockets, and the W3C connection states above them.
//!
//! The caller owns the sockets and the clock. floe owns the protocols: which pair of addresses works, whether the other side still
//! consents, whether its certificate is the one that was signalled, and what state a connection is in. What it does not do:
//! open sockets, read clocks, spawn threads, parse SDP, encrypt SRTP.
//!
//! ```text
//!  aggregate   ┌─────────────────────── PeerConnection ───────────────────────┐
//!  states      │ iceConnectionState · connectionState · iceGatheringState     │ derived, never stored
//!              └──────────────────────────────▲───────────────────────────────┘
//!                                             │ (TransportId, Event)
//!              ┌────────────────────────── Endpoint ──────────────────────────┐
//!  datagrams ─►│ whose is it? username fragment, transaction id, 5-tuple      │─► application data, media
//!  time ──────►│ who is due?  who has something to send, or to say?           │─► datagrams, events, next deadline
//!              └───────┬──────────────────────┬──────────────────────┬────────┘
//!  specific      Transport              Transport              Transport …
//!  states      ice::Agent ⇄ dtls::Connection      RTCIceTransportState, RTCDtlsTransportState
//! ```
//!
//! Every machine has the same five verbs: `handle_datagram` and `handle_timeout` decide, `poll_transmit`,
//! `poll_event` and `poll_timeout` drain. Bad input is dropped and counted, never an error and never a panic; what has not passed its MAC
//! changes nothing. Without the peer's consent [`Transport::send_path`] is `None` and [`Transport::seal`] refuses;
//! without its verified certificate there are no keys and no data.
//!
//! # The loop
//!
//! A server over one UDP socket, and one session in it:
//!
//! ```
//! use floe::{Endpoint, EndpointConfig, Outcome, Received, TransportConfig, TransportOptions};
//! use floe::{dtls, ice::{self, Candidate, FiveTuple}};
//! use std::{io, net::UdpSocket, sync::Arc, time::{Duration, Instant}};
//!
//! /// Sends what there is to send, then waits for a datagram or the next deadline.
//! fn turn(endpoint: &mut Endpoint, socket: &UdpSocket, buf: &mut [u8]) -> io::Result<()> {
//!     while let Some(transmit) = endpoint.poll_transmit(buf) {
//!         socket.send_to(&buf[..transmit.len], transmit.path.remote)?;
//!     }
//!     while let Some((id, event)) = endpoint.poll_event() {
//!         println!("{id}: {event:?}"); // or `peer_connection.handle_transport_event(now, id, &event)`
//!     }
//!     let due = endpoint.poll_timeout().map(|due| due.saturating_duration_since(Instant::now()));
//!     socket.set_read_timeout(Some(due.unwrap_or(Duration::MAX).clamp(Duration::from_millis(1), Duration::from_secs(1))))?;
//!     if let Ok((len, remote)) = socket.recv_from(buf) {
//!         let path = FiveTuple::udp(socket.local_addr()?, remote);
//!         match endpoint.handle_datagram(Instant::now(), path, &mut buf[..len]) {
//!             Outcome::Routed { transport, received: Received::Data { range, .. } } => println!("{transport}: {:?}", &buf[range]),
//!             Outcome::Routed { transport, received: Received::Media(kind) } => println!("{transport}: {kind:?}, {len} bytes"),
//!             Outcome::UnknownUfrag { local, .. } => println!("nobody here is called {local}"),
//!             _ => {} // handled, or dropped and counted
//!         }
//!     }
//!     endpoint.handle_timeout(Instant::now());
//!     Ok(())
//! }
//!
//! # type AnyResult<T> = Result<T, Box<dyn std::error::Error>>;
//! # struct Signalled { parameters: ice::Parameters, fingerprints: dtls::FingerprintSet }
//! // One identity for all sessions; its fingerprint goes into the SDP, as do the local parameters and candidates.
//! let identity = Arc::new(dtls::Identity::generate()?);
//! let mut ice_config = ice::Config::default();
//! // This is a session within one machine; see `AddressFilter`.
//! ice_config.addresses.loopback = ice::Access::Allowed;
//! let ice_config = Arc::new(ice_config);
//! let transports = TransportConfig::new(ice_config.clone(), Arc::new(dtls::Config::new(identity.clone())));
//! let mut endpoint = Endpoint::new(EndpointConfig::new(transports));
//! let socket = UdpSocket::bind("127.0.0.1:0")?;
//! # let mut caller = Caller::new(ice_config)?;
//! # let offer = Signalled { parameters: caller.parameters(), fingerprints: caller.fingerprints()? };
//! // An offer has come: ICE lite, and the DTLS server.
//! let now = Instant::now();
//! let id = endpoint.create(now, TransportOptions {
//!     mode: ice::Mode::Lite,
//!     initiation: ice::Initiation::Responding,
//!     setup: dtls::Setup::Passive,
//!     remote_identity: dtls::RemoteIdentity::Fingerprints(offer.fingerprints),
//!     local_parameters: None,
//! })?;
//! endpoint.with(now, id, |transport| -> Result<(), floe::ApiMisuse> {
//!     transport.add_local_candidate(now, Candidate::host(socket.local_addr().expect("it is bound")))?;
//!     transport.local_candidates_complete(now);
//!     transport.set_remote_parameters(now, ice::RemoteParameters::new(offer.parameters))
//! }).expect("it was just created")?;
//!
//! let mut buf = vec![0; 1500];
//! # caller.hear(&endpoint, id, &identity, socket.local_addr()?)?;
//! # let give_up = Instant::now() + Duration::from_secs(20);
//! while endpoint.transport(id).is_some_and(|transport| transport.srtp_keys().is_none()) {
//!     turn(&mut endpoint, &socket, &mut buf)?;
//! #   turn(&mut caller.endpoint, &caller.socket, &mut buf)?;
//! #   assert!(Instant::now() < give_up, "{:?}", endpoint.transport(id));
//! }
//! println!("media goes to {:?}", endpoint.send_path(id));
//! # assert!(endpoint.send_path(id).is_some());
//! #
//! # struct Caller { endpoint: Endpoint, socket: UdpSocket, id: floe::TransportId, identity: Arc<dtls::Identity> }
//! # impl Caller {
//! #     fn new(ice_config: Arc<ice::Config>) -> AnyResult<Self> {
//! #         let identity = Arc::new(dtls::Identity::generate()?);
//! #         let config = TransportConfig::new(ice_config, Arc::new(dtls::Config::new(identity.clone())));
//! #         let (mut endpoint, now) = (Endpoint::new(EndpointConfig::new(config)), Instant::now());
//! #         let id = endpoint.create(now, TransportOptions {
//! #             mode: ice::Mode::Full, initiation: ice::Initiation::Initiating, setup: dtls::Setup::ActPass,
//! #             remote_identity: dtls::RemoteIdentity::Later, local_parameters: None,
//! #         })?;
//! #         let socket = UdpSocket::bind("127.0.0.1:0")?;
//! #         let candidate = Candidate::host(socket.local_addr()?);
//! #         endpoint.with(now, id, |t| t.add_local_candidate(now, candidate)).unwrap()?;
//! #         Ok(Self { endpoint, socket, id, identity })
//! #     }
//! #     fn parameters(&self) -> ice::Parameters { self.endpoint.transport(self.id).unwrap().local_parameters().clone() }
//! #     fn fingerprints(&self) -> AnyResult<dtls::FingerprintSet> {
//! #         Ok(dtls::FingerprintSet::new([self.identity.fingerprint(dtls::HashAlgorithm::Sha256)])?)
//! #     }
//! #     fn hear(&mut self, server: &Endpoint, id: floe::TransportId, identity: &dtls::Identity, at: std::net::SocketAddr) -> AnyResult<()> {
//! #         let now = Instant::now();
//! #         let mut remote = ice::RemoteParameters::new(server.transport(id).unwrap().local_parameters().clone());
//! #         remote.mode = ice::Mode::Lite;
//! #         let fingerprints = dtls::FingerprintSet::new([identity.fingerprint(dtls::HashAlgorithm::Sha256)])?;
//! #         self.endpoint.with(now, self.id, |t| -> Result<(), floe::ApiMisuse> {
//! #             t.set_remote_parameters(now, remote)?;
//! #             t.add_remote_candidate(now, Candidate::host(at))?;
//! #             t.set_remote_dtls(now, floe::RemoteDtls { fingerprints, setup: dtls::Setup::Passive, tls_id: None })?;
//! #             Ok(())
//! #         }).unwrap()?;
//! #         Ok(())
//! #     }
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A caller with `recvmmsg`, `sendmmsg` or GSO gives and takes many datagrams at a time, with the same results:
//!
//! ```
//! use floe::{Endpoint, Outcome, Received, Segments, ice::FiveTuple};
//! use std::time::Instant;
//!
//! /// `received`: what the sockets gave. `buf` and `transmits` are reserved once: `vec![0; 65_536]`, `Vec::with_capacity(64)`.
//! fn turn(
//!     endpoint: &mut Endpoint,
//!     received: &mut [(FiveTuple, Vec<u8>)],
//!     buf: &mut [u8],
//!     transmits: &mut Vec<Segments>,
//!     send: impl Fn(FiveTuple, &[u8], Option<usize>),
//! ) {
//!     let now = Instant::now();
//!     let batch = received.iter_mut().map(|(path, datagram)| (*path, &mut datagram[..]));
//!     endpoint.handle_datagrams(now, batch, |_path, outcome, payload| match outcome {
//!         Outcome::Routed { transport, received: Received::Data { .. } } => println!("{transport}: {payload:?}"),
//!         Outcome::Routed { transport, received: Received::Media(kind) } => println!("{transport}: {kind:?}, {} bytes", payload.len()),
//!         _ => {}
//!     });
//!     endpoint.handle_timeout(now);
//!     while endpoint.poll_transmits(buf, transmits) > 0 {
//!         for Segments { path, range, segment_size, .. } in transmits.iter() {
//!             send(*path, &buf[range.clone()], *segment_size);
//!         }
//!     }
//! }
//! ```
//!
//! `Endpoint` and [`Transport`] are `Send`: one endpoint per thread, [`steering`] to find it for each datagram, and [`Endpoint::detach`] and [`Endpoint::attach`] move a transport
//! from one to the other, in the middle of a handshake if need be.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `rcgen` (default) | a self-signed certificate, made here |
//! | `signaling` | `session::Session` and its machines: signaling state and negotiation, the signaling link, recovery, liveness, close reasons, the journal |
//! | `serde` | sessions that another node takes over, journals as JSON lines |
//! | `tracing` | journal entries as events |
//! | `aws-lc-rs` | another crypto backend, with X25519MLKEM768 |
//! | `deterministic` | seeds in the place of entropy, for tests and replay |
//!
//! # What it is built from
//!
//! [`ice`] and [`dtls`] can be used without this crate, and [`stun`] without either; they are re-exported, so that depending on
//! `floe` is enough.
//!
//! | standard | here |
//! |---|---|
//! | RFC 9443, RFC 5761 §4 | [`demux`] |
//! | RFC 7675 §5.2, RFC 9725 | 403 for closed sessions: [`Endpoint::close`], [`Outcome::Refused`] |
//! | RFC 8842, RFC 9429 §5.11 | new associations: [`Transport::set_remote_dtls`] |
//! | W3C webrtc-pc §4.3 | [`PeerConnection`] and the three derivations |
//! | W3C webrtc-pc §4.4, RFC 9429 §5.5 to §5.8 | `signaling`, with its feature |
//! | W3C webrtc-pc §5.5, §5.6 | the changes of state that can be: [`legal`] |

mod aggregate;
#[cfg(feature = "signaling")]
mod clock;
#[cfg(feature = "signaling")]
pub mod close;
mod config;
pub mod demux;
mod endpoint;
mod entropy;
mod error;
mod event;
mod explain;
mod id;
#[cfg(feature = "signaling")]
pub mod journal;
pub mod legal;
#[cfg(feature = "signaling")]
pub mod liveness;
mod member;
mod peer;
mod peer_event;
mod peer_queue;
#[cfg(feature = "signaling")]
pub mod recovery;
#[cfg(feature = "signaling")]
pub mod session;
#[cfg(feature = "signaling")]
pub mod signaling;
mod stats;
pub mod steering;
mod transport;
mod transport_input;

pub use floe_dtls as dtls;
pub use floe_ice as ice;
pub use floe_stun as stun;

pub use aggregate::{
    IceConnectionState, IceGatheringState, Life, PeerConnectionState, connection_state,
    ice_connection_state, ice_gathering_state,
};
pub use config::{EndpointConfig, Rate, TransportConfig, TransportOptions};
pub use demux::MediaKind;
pub use endpoint::{AttachError, Endpoint, Segments};
pub use error::{ApiMisuse, SealError};
pub use event::{DropReason, Event, Outcome, Received};
pub use explain::{Culprit, Explanation, Fault};
pub use id::TransportId;
pub use legal::Profile;
pub use peer::{PeerConnection, TransportStates};
pub use peer_event::{Anomaly, Cause, Change, PeerEvent};
pub use stats::{Drops, EndpointStats, TransportStats};
pub use transport::{RemoteDtls, Transport};
pub use transport_input::{Passage, TransportInput};

/// The README's example, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
