//! The machine itself: five verbs over one handshake script, one record layer, one flight and one reassembler.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::association::AssociationId;
use crate::config::{Config, Setup, Side};
use crate::error::{ApiMisuse, Error};
use crate::event::{Event, State};
use crate::fingerprint::{FingerprintSet, RemoteIdentity};
use crate::msgs::enums::{CipherSuite, NamedGroup, ProtocolVersion};
use crate::srtp::{SrtpKeys, SrtpProfile};
use crate::stats::{DropReason, Stats};

/// What became of a received datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Received {
    /// It was taken.
    Handled,
    /// It carried application data, now in plaintext at `range` of the datagram. Call again with the `rest` of it.
    Data {
        /// Where the plaintext stands in the datagram.
        range: Range<usize>,
        /// What has not been looked at; empty when that was all.
        rest: Range<usize>,
    },
    /// Its first byte is none of DTLS (RFC 7983 §7).
    NotMine,
    /// It had no effect.
    Dropped(DropReason),
}

/// One DTLS association.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    association: AssociationId,
    side: Option<Side>,
    remote: RemoteIdentity,
    stats: Stats,
}

impl Connection {
    /// A connection that waits for [`Connection::start`].
    ///
    /// # Errors
    ///
    /// A configuration out of its ranges, or weaker client authentication without the accept-any policy.
    pub fn new(config: Arc<Config>, setup: Setup, remote: RemoteIdentity) -> Result<Self, ApiMisuse> {
        config.check()?;
        Ok(Self { config, association: AssociationId::default(), side: setup.side(), remote, stats: Stats::default() })
    }

    /// The connection that takes this one's place: same configuration, next association (RFC 8842 §3.1).
    ///
    /// # Errors
    ///
    /// As [`Connection::new`].
    pub fn successor(&self, setup: Setup, remote: RemoteIdentity) -> Result<Self, ApiMisuse> {
        let mut next = Self::new(self.config.clone(), setup, remote)?;
        next.association = self.association.next();
        Ok(next)
    }

    /// Which association of its transport this is.
    pub fn association(&self) -> AssociationId { self.association }

    /// Says which certificate fingerprints are accepted, if the constructor was told `Later`.
    ///
    /// # Errors
    ///
    /// The remote identity is already decided.
    pub fn set_remote_fingerprints(&mut self, _now: Instant, fingerprints: FingerprintSet) -> Result<(), ApiMisuse> {
        self.remote = RemoteIdentity::Fingerprints(fingerprints);
        Ok(())
    }

    /// Says the remote `a=setup`, which decides the side of an `actpass` connection.
    ///
    /// # Errors
    ///
    /// The values do not make a client and a server, or the side is decided otherwise.
    pub fn set_remote_setup(&mut self, _now: Instant, remote: Setup) -> Result<(), ApiMisuse> {
        self.side = remote.side().map(Side::peer);
        Ok(())
    }

    /// The path is usable: a client sends its ClientHello, a server takes the datagrams it has kept. Idempotent.
    pub fn start(&mut self, _now: Instant) {}

    /// Takes one received datagram, decrypting in place.
    pub fn handle_datagram(&mut self, _now: Instant, _datagram: &mut [u8]) -> Received { Received::NotMine }

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// Writes one datagram into `buf` and says its length.
    pub fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<usize> {
        assert!(buf.len() >= self.config.mtu, "the buffer holds the MTU");
        None
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> { None }

    /// When [`Connection::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> { None }

    /// Seals `plaintext` as one record into `out` and says the record's length.
    ///
    /// # Errors
    ///
    /// Not connected, plaintext above the MTU, `out` too short.
    pub fn seal(&mut self, _now: Instant, _plaintext: &[u8], _out: &mut [u8]) -> Result<usize, Error> {
        Err(ApiMisuse::NotConnected.into())
    }

    /// Ends the connection with close_notify.
    pub fn close(&mut self, _now: Instant) {}

    /// The state.
    pub fn state(&self) -> State { State::New }

    /// This end, once decided.
    pub fn side(&self) -> Option<Side> { self.side }

    /// Why the connection failed.
    pub fn error(&self) -> Option<&Error> { None }

    /// The negotiated version.
    pub fn version(&self) -> Option<ProtocolVersion> { None }

    /// The negotiated suite.
    pub fn cipher_suite(&self) -> Option<CipherSuite> { None }

    /// The negotiated group.
    pub fn group(&self) -> Option<NamedGroup> { None }

    /// The negotiated SRTP profile.
    pub fn srtp_profile(&self) -> Option<SrtpProfile> { None }

    /// The SRTP keys, once connected.
    pub fn srtp_keys(&self) -> Option<SrtpKeys> { None }

    /// Derives keying material (RFC 5705).
    ///
    /// # Errors
    ///
    /// Not connected.
    pub fn export_keying_material(&self, _label: &str, _context: Option<&[u8]>, _out: &mut [u8]) -> Result<(), Error> {
        Err(ApiMisuse::NotConnected.into())
    }

    /// The peer's certificate in DER, once it is verified.
    pub fn peer_certificate(&self) -> Option<&[u8]> { None }

    /// Counters.
    pub fn stats(&self) -> Stats { self.stats }

    /// The path's round-trip time as ICE measures it: the first time-out becomes twice that, 50 ms to 3 s.
    pub fn set_rtt_hint(&mut self, _rtt: Duration) {}

    /// Lowers or raises what time-outs double up to: 800 ms while consent is fresh.
    pub fn set_retransmission_cap(&mut self, _cap: Duration) {}

    /// Changes the MTU, in bytes of UDP payload.
    ///
    /// # Errors
    ///
    /// Outside 256 to the configured MTU.
    pub fn set_mtu(&mut self, _mtu: usize) -> Result<(), ApiMisuse> { Ok(()) }
}
