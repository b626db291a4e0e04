//! One ICE agent and one DTLS connection on the paths it finds: what a BUNDLE group is to W3C's `RTCDtlsTransport` and
//! `RTCIceTransport` together.
//!
//! ```text
//!                    ┌────────────────────────── Transport ──────────────────────────┐
//!  datagram ──► classify ──┬─ STUN ──► ice::Agent ── usable path, RTT ──┐            │
//!                    │     │              ▲   │                          ▼            │
//!                    │     │   consent ───┘   └─ authentic paths ─► ┌──────────────┐  │
//!                    │     ├─ DTLS ──────────── from those only ──► │ Associations │ ─┼─► Data
//!                    │     │                                        └──────────────┘  │
//!                    │     └─ SRTP, ZRTP, QUIC ─ from those only, once verified ──────┼─► Media, Zrtp, Quic
//!                    └───────────────────────────────────────────────────────────────┘
//! ```
//!
//! What crosses between the two: DTLS starts when a pair has succeeded (never before), ICE's round-trip time is its first
//! time-out, fresh consent caps its retransmission; a DTLS record that verifies is a sign of life to ICE; an authenticated
//! close_notify or fatal alert revokes consent (RFC 7675 §5.2).

mod associations;
mod commands;
mod handshake;
mod hosted;
mod meter;
pub(crate) mod paths;
mod proof;
mod rare;

pub use associations::RemoteDtls;
pub(crate) use hosted::Route;

use crate::{
    ApiMisuse, DropReason, Event, MediaKind, Received, TransportConfig, TransportOptions,
    config::longest_datagram,
    demux::{self, Kind},
    stats::TransportCounters,
};
use associations::{Associations, Exchange, Pace};
use floe_dtls as dtls;
use floe_ice::{self as ice, FiveTuple, Moved, Transmit};
use floe_stun as stun;
use paths::Paths;
use std::{hint::black_box, time::Instant};

/// One ICE agent and its DTLS.
///
/// A machine of its own with the five verbs; an [`Endpoint`](crate::Endpoint) holds many. `Send`: it can be taken out of one
/// endpoint and put into that of another thread at any moment.
pub struct Transport {
    ice: ice::Agent,
    dtls: Associations,
    pub(crate) paths: Paths,
    counters: TransportCounters,
}

/// An unconfirmed ICE restart.
#[derive(Debug)]
struct Restart {
    /// This side's username fragment in the new generation: there is another again after a rollback.
    username_fragment: String,
    /// What a rollback goes back to.
    exchange: Exchange,
}

impl std::fmt::Debug for Transport {
    /// Prints no address (I45); see [`Agent`](ice::Agent)'s.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("ice", &self.ice)
            .field("dtls", &self.dtls.current().state())
            .field("paths", &self.paths.len())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// A transport that waits for candidates and for the peer's parameters.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::Dtls`] if the DTLS configuration is out of its ranges.
    pub fn new(config: &TransportConfig, options: TransportOptions) -> Result<Self, ApiMisuse> {
        let ice = ice::Agent::new(
            config.ice.clone(),
            options.mode,
            options.initiation,
            options.local_parameters.clone(),
        );
        Self::of(ice, config, options)
    }

    /// The same transport whenever the seed is the same: for tests, simulation and replay only.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    #[cfg(feature = "deterministic")]
    pub fn with_seed(
        seed: [u8; 32],
        config: &TransportConfig,
        options: TransportOptions,
    ) -> Result<Self, ApiMisuse> {
        let ice = ice::Agent::with_seed(
            seed,
            config.ice.clone(),
            options.mode,
            options.initiation,
            options.local_parameters.clone(),
        );
        Self::of(ice, config, options)
    }

    fn of(
        ice: ice::Agent,
        config: &TransportConfig,
        options: TransportOptions,
    ) -> Result<Self, ApiMisuse> {
        let TransportOptions {
            setup,
            remote_identity,
            ..
        } = options;
        let connection =
            dtls::Connection::new(config.dtls.clone(), setup, remote_identity.clone())?;
        let cap = config.dtls_retransmission_cap;
        Ok(Self {
            ice,
            dtls: Associations::new(connection, setup, &remote_identity, cap),
            paths: Paths::default(),
            counters: TransportCounters::default(),
        })
    }

    /// A datagram arrived on `path`. DTLS records are decrypted in place.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        path: FiveTuple,
        datagram: &mut [u8],
    ) -> Received {
        match demux::classify(datagram) {
            None => Received::NotMine,
            Some(Kind::Stun) => match stun::Message::parse(datagram) {
                Ok(message) => self.handle_message(now, &path, &message).0,
                Err(_) => self.drop(DropReason::MalformedStun),
            },
            Some(kind) => self.handle_other(now, path, kind, datagram),
        }
    }

    /// A STUN message arrived on `path`; says what that has moved too.
    pub(crate) fn handle_message(
        &mut self,
        now: Instant,
        path: &FiveTuple,
        message: &stun::Message<'_>,
    ) -> (Received, Moved) {
        // What is needed when ICE is done with it comes from memory while that goes on.
        black_box(self.glance_beside_ice());
        let received = self.ice.handle_message(now, *path, message);
        // Anybody can send an indication: it is no word of the peer's.
        if received == ice::Received::Handled && message.class() != stun::Class::Indication {
            let len = message.as_bytes().len();
            self.meter_at(path, |meter, path| meter.on_check(path, len));
        }
        (received.into(), self.settle_if_moved(now))
    }

    /// How much the latest STUN message, or the time that has passed since, has moved. A check that was answered, or one more that has
    /// left, is nothing to DTLS; what it does about anything else is a part of that.
    #[inline]
    fn settle_if_moved(&mut self, now: Instant) -> Moved {
        let moved = match self.dtls.pace == Pace::Patient || self.is_metering() {
            true => Moved::Anything,
            false => self.ice.moved(),
        };
        if moved == Moved::Anything {
            self.settle(now);
        }
        moved
    }

    /// Anything but STUN arrived on `path`: taken only where an authenticated message of a live generation came from.
    pub(crate) fn handle_other(
        &mut self,
        now: Instant,
        path: FiveTuple,
        kind: Kind,
        datagram: &mut [u8],
    ) -> Received {
        if !self.accepts_from(&path) {
            return self.drop(DropReason::UnprovenPath);
        }
        let len = datagram.len();
        self.meter_at(&path, |meter, path| meter.on_received(path, len));
        match kind {
            Kind::Dtls => self.handle_dtls(now, datagram),
            Kind::Media(kind) => self.take_media(kind),
            // They authenticate their peer themselves, and may be what there is instead of DTLS.
            Kind::Zrtp => Received::Zrtp,
            _ => Received::Quic,
        }
    }

    /// SRTP or SRTCP arrived on `path`, and what is sent there is not metered: nothing but counters moves.
    #[inline]
    pub(crate) fn handle_media(&mut self, path: &FiveTuple, kind: MediaKind) -> Received {
        match self.accepts_from(path) {
            true => self.take_media(kind),
            false => self.drop(DropReason::UnprovenPath),
        }
    }

    fn take_media(&mut self, kind: MediaKind) -> Received {
        if self.dtls.current().state() != dtls::State::Connected {
            return self.drop(DropReason::NotConnected);
        }
        self.counters.media += 1;
        Received::Media(kind)
    }

    fn handle_dtls(&mut self, now: Instant, datagram: &mut [u8]) -> Received {
        let verified = |connection: &dtls::Connection| {
            let connected = connection.state() == dtls::State::Connected;
            connected.then(|| connection.association())
        };
        let before = verified(self.dtls.current());
        let received = self.dtls.handle_datagram(now, datagram);
        if before == Some(self.dtls.current().association()) {
            self.revoke_if_ended(now);
        }
        let received = match received {
            dtls::Received::Handled => Received::Handled,
            dtls::Received::NotMine => Received::NotMine,
            dtls::Received::Dropped(reason) => Received::Dropped(DropReason::Dtls(reason)),
            dtls::Received::Data { range, rest } => {
                self.counters.data += 1;
                self.ice.note_authenticated_traffic(now);
                Received::Data { range, rest }
            }
        };
        self.settle(now);
        received
    }

    /// Time has passed. Does nothing before [`poll_timeout`](Self::poll_timeout) is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.pass_time(now);
    }

    /// Time has passed; says what that has moved.
    pub(crate) fn pass_time(&mut self, now: Instant) -> Moved {
        self.ice.handle_timeout(now);
        if self.dtls.poll_timeout().is_some_and(|due| due <= now) {
            self.pace_dtls(now);
            self.prove_repeated(now);
            self.dtls.handle_timeout(now);
            self.settle(now);
            return Moved::Anything;
        }
        self.settle_if_moved(now)
    }

    /// Writes one datagram into `buf`, if there is one to send.
    ///
    /// # Panics
    ///
    /// If `buf` is shorter than [`TransportConfig::mtu`].
    pub fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        assert!(
            buf.len() >= self.mtu(),
            "the buffer holds the configured MTU"
        );
        self.write_next(buf)
    }

    /// [`poll_transmit`](Self::poll_transmit) for who knows that the buffer is long enough.
    #[inline(always)]
    pub(crate) fn write_next(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        let transmit = self.ice.poll_transmit(buf);
        // Of the two classes that an agent sends, responses have this bit (RFC 8489 §5).
        if let Some(Transmit { path, len }) = transmit
            && self.is_metering()
            && buf.first().is_some_and(|first| first & 1 == 1)
        {
            let path = self.ice.path_of_base(path);
            if let Some(meter) = self.meter() {
                meter.on_answer(&path, len);
            }
        }
        match transmit.is_some() || self.is_quiet_but_for_ice() {
            true => transmit,
            false => self.write_dtls(buf),
        }
    }

    fn write_dtls(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        let path = self.dtls_path()?;
        let held = self.meter().and_then(|meter| meter.release(buf));
        let waited = held.is_some();
        let Some(len) = held.or_else(|| self.dtls.poll_transmit(buf)) else {
            if let Some(facts) = self.dtls.rare.live() {
                facts.closing = None;
                self.dtls.rare.tidy();
            }
            return None;
        };
        let goes = self.may_go(&path, &buf[..len]);
        // One that waits is asked about whenever somebody polls, and counts once.
        if !goes && !waited {
            self.counters.hold();
        }
        goes.then_some(Transmit { path, len })
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.paths.poll_event() {
            return Some(event);
        }
        while let Some(event) = self.ice.poll_event() {
            return Some(match event {
                ice::Event::StateChange(transition) => Event::IceStateChange(transition),
                ice::Event::GatheringStateChange(state) => Event::GatheringStateChange(state),
                ice::Event::SelectedCandidatePairChange(pair) => {
                    if let Some(path) = self.ice.packed_path() {
                        self.paths.share(path);
                    }
                    Event::SelectedCandidatePairChange(pair)
                }
                ice::Event::SendPathLost(reason) => Event::SendPathLost(reason),
                ice::Event::RoleChange(role) => Event::RoleChange(role),
                ice::Event::PathValidated(path) => Event::PathValidated(path),
                ice::Event::EndOfCandidates(of) => Event::EndOfCandidates(of),
                ice::Event::RestartBegan => Event::RestartBegan,
                ice::Event::RestartConfirmed => Event::RestartConfirmed,
                ice::Event::RestartRolledBack(reason) => Event::RestartRolledBack(reason),
                _ => continue,
            });
        }
        self.dtls.poll_event()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [self.ice.poll_timeout(), self.dtls.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }

    pub(crate) fn mtu(&self) -> usize {
        longest_datagram(self.ice.config(), self.dtls.current().config())
    }

    fn dtls_path(&self) -> Option<FiveTuple> {
        self.dtls
            .rare
            .closing
            .or_else(|| self.ice.send_path())
            .or_else(|| self.ice.usable_path())
    }

    /// What one machine has to tell the other, after either has changed.
    fn settle(&mut self, now: Instant) {
        self.pace_dtls(now);
        self.follow_restart(now);
        self.settle_proof(now);
        self.resume_deadline(now);
        if !self.awaits_start() {
            self.start_handshake(now);
        }
        let proven = |path| self.ice.is_proven(&path);
        if self.dtls.wants_proof() && self.dtls_path().is_some_and(proven) {
            self.dtls.set_path_validated();
        }
    }

    /// How the ICE restart under way has ended, if it has: read from the agent, not from its events, which may wait long.
    fn follow_restart(&mut self, now: Instant) {
        if self.ice.is_restarting() {
            return;
        }
        let restart = self.dtls.rare.live().and_then(|facts| facts.restart.take());
        let Some(restart) = restart else {
            return;
        };
        self.dtls.rare.tidy();
        if self.ice.local_parameters().username_fragment() == restart.username_fragment {
            self.dtls.confirm_restart(now);
        } else {
            self.dtls.exchange = restart.exchange;
            self.dtls.roll_back();
        }
    }

    /// The verified peer has ended the connection: it wants nothing more from us but close_notify.
    fn revoke_if_ended(&mut self, now: Instant) {
        let connection = self.dtls.current();
        let reason = match connection.state() {
            dtls::State::Closed => ice::Reason::PeerClosed,
            dtls::State::Failed
                if matches!(connection.error(), Some(dtls::Error::AlertReceived(_))) =>
            {
                ice::Reason::DtlsFailed
            }
            _ => return,
        };
        self.close_by_path_in_use();
        self.ice.revoke_consent(now, reason);
    }

    /// What is left of DTLS to send goes where media went.
    fn close_by_path_in_use(&mut self) {
        if let Some(path) = self.send_path() {
            self.dtls.rare.facts().closing = Some(path);
        }
    }

    fn drop(&mut self, reason: DropReason) -> Received {
        self.counters.drop(reason);
        Received::Dropped(reason)
    }
}
