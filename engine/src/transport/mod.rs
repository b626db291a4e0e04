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
mod meter;
pub(crate) mod paths;
mod rare;

pub use associations::RemoteDtls;

use crate::{
    ApiMisuse, DropReason, Event, MediaKind, Received, TransportConfig, TransportOptions,
    config::longest_datagram,
    demux::{self, Kind},
    stats::TransportCounters,
};
use associations::{Associations, Begins, Exchange, Pace};
use floe_dtls as dtls;
use floe_ice::{self as ice, FiveTuple, Moved, Transmit};
use floe_stun as stun;
use meter::Meter;
use paths::Paths;
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

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

/// How old the last answer may be on a path that works: consent is asked for every 4 to 6 s (RFC 7675 §5.1).
const FRESH_CONSENT: Duration = Duration::from_secs(6);

/// From how many endpoints unanswered checks can still be out.
const MAX_ROUTES: usize = 16;

/// An unconfirmed ICE restart.
#[derive(Debug)]
struct Restart {
    /// This side's username fragment in the new generation: there is another again after a rollback.
    username_fragment: String,
    /// What a rollback goes back to.
    exchange: Exchange,
}

/// How an endpoint tags a transport's STUN transactions.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) key: Arc<stun::RouteKey>,
    pub(crate) tag: u32,
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

    fn meter(&mut self) -> Option<&mut Meter> {
        self.dtls.rare.live()?.meter.as_mut()
    }

    /// Whether what is sent is paid for by what comes (I56).
    pub(crate) fn is_metering(&self) -> bool {
        self.dtls.rare.meter.is_some()
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

    /// Whether what is not STUN is taken from there.
    pub(crate) fn accepts_from(&self, path: &FiveTuple) -> bool {
        self.is_live() && self.ice.accepts_from(path)
    }

    /// Neither failed nor closed.
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.ice.state(), ice::State::Failed | ice::State::Closed)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.ice.state() == ice::State::Closed
    }

    pub(crate) fn mtu(&self) -> usize {
        longest_datagram(self.ice.config(), self.dtls.current().config())
    }

    /// Reads a little of all that a request or media will need of it, so that it is at hand then.
    #[inline]
    pub(crate) fn glance(&self) -> u8 {
        self.ice.glance().wrapping_add(self.glance_beside_ice())
    }

    #[inline]
    fn glance_beside_ice(&self) -> u8 {
        let dtls = u8::from(self.dtls.current().is_idle()) + u8::from(self.dtls.rare.is_any());
        dtls + u8::from(self.paths.glance()) + self.dtls.pace as u8
    }

    /// Whether there is a datagram to write. Says yes too often rather than never.
    #[inline]
    pub(crate) fn has_transmit(&self) -> bool {
        self.ice.has_transmit() || !self.is_quiet_but_for_ice()
    }

    /// Whether neither DTLS nor anything held back can have a datagram to write.
    #[inline]
    fn is_quiet_but_for_ice(&self) -> bool {
        self.dtls.is_silent() && !self.dtls.rare.is_any()
    }

    /// Another one whenever its peer calls it otherwise; 0 when it is closed, and has no name any more.
    pub(crate) fn names_version(&self) -> u32 {
        match self.is_closed() {
            true => 0,
            false => self.ice.username_fragments_version(),
        }
    }

    /// Releases one path that nothing is taken from any more, and gives it if it was owned; call until `None`.
    pub(crate) fn release_path(&mut self) -> Option<FiveTuple> {
        let (ice, live) = (&self.ice, self.is_live());
        self.paths
            .release_unless(|path| live && ice.accepts_from(path))
    }

    /// Transactions are tagged like this from now on; those under way keep their tags.
    pub(crate) fn set_route(&mut self, route: Route) {
        if let Some(before) = self.route() {
            let former = &mut self.dtls.rare.facts().former_routes;
            if former.len() == MAX_ROUTES - 1 {
                former.remove(0);
            }
            former.push(before);
        }
        self.ice.set_route(route.key, route.tag);
    }

    fn route(&self) -> Option<Route> {
        let (key, tag) = self.ice.route()?;
        let key = key.clone();
        Some(Route { key, tag })
    }

    /// By what answers to its outstanding checks may be routed.
    pub(crate) fn routes(&self) -> impl Iterator<Item = Route> {
        let former = self.dtls.rare.former_routes.iter().rev().cloned();
        self.route().into_iter().chain(former)
    }

    fn dtls_path(&self) -> Option<FiveTuple> {
        self.dtls
            .rare
            .closing
            .or_else(|| self.ice.send_path())
            .or_else(|| self.ice.usable_path())
    }

    /// Whether what is sent to `path` is metered (I56).
    pub(super) fn is_metered(&self, path: &FiveTuple) -> bool {
        self.dtls.rare.closing.as_ref() != Some(path) && self.ice.awaits_proof(path)
    }

    /// Something came from `path`: it counts if that path is metered.
    fn meter_at(&mut self, path: &FiveTuple, count: impl FnOnce(&mut Meter, FiveTuple)) {
        if self.ice.mode() != ice::Mode::Lite {
            return;
        }
        // As it is sent there: it may have arrived at one of the addresses of a wildcard.
        let path = self.ice.path_of_base(*path);
        // Once connected, only the path in use can have anything to send to.
        let connected = self.dtls.current().state() == dtls::State::Connected;
        let used = !connected || self.dtls_path() == Some(path);
        if used && self.is_metered(&path) {
            count(self.dtls.rare.facts().meter.get_or_insert_default(), path);
        }
    }

    /// Whether this datagram of DTLS may go; else it is held until more has come from there, or the path is proven.
    fn may_go(&mut self, path: &FiveTuple, datagram: &[u8]) -> bool {
        let metered = self.is_metered(path);
        let connected = self.dtls.current().state() == dtls::State::Connected;
        if metered {
            self.dtls.rare.facts().meter.get_or_insert_default();
        }
        let Some(meter) = self.dtls.rare.live().and_then(|rare| rare.meter.as_mut()) else {
            return true;
        };
        let spare = || self.ice.spend_check(path);
        if metered && !meter.takes(path, datagram.len(), spare) {
            meter.hold(datagram);
            return false;
        }
        if !connected {
            meter.on_handshake(*path);
        }
        true
    }

    /// Has a lite transport prove that its peer is at the other end of `path`, by a check of its own; a full one does so anyhow.
    /// For a path that another transport lives on, which only proof wins over: an endpoint asks for it itself, a
    /// dispatcher where two [shards](crate::steering) have learned the same path.
    pub fn validate_path(&mut self, now: Instant, path: FiveTuple) {
        self.ice.validate_path(now, path);
        self.settle(now);
    }

    /// What the handshake has proven by its end; and where more is to go than may, an own check for proof.
    fn settle_proof(&mut self, now: Instant) {
        let Some(meter) = &self.dtls.rare.meter else {
            return;
        };
        let connected = self.dtls.current().state() == dtls::State::Connected;
        if let Some(path) = meter.proven_by_handshake().filter(|_| connected) {
            self.ice.set_path_validated(path);
        }
        let holds = meter.holds();
        let Some(path) = self.dtls_path() else { return };
        if !self.is_metered(&path) {
            if connected && !holds {
                self.dtls.rare.facts().meter = None;
                self.dtls.rare.tidy();
            }
        } else if holds || connected {
            self.ice.validate_path(now, path);
        }
    }

    /// A handshake that repeats itself to a path without proof will soon be at its limit there.
    fn prove_repeated(&mut self, now: Instant) {
        if self.is_metering()
            && let Some(path) = self.dtls_path()
            && self.is_metered(&path)
        {
            self.ice.validate_path(now, path);
        }
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

    /// Begins the handshake that is to begin, if there is a path for it, and gives the path.
    pub(crate) fn start_handshake(&mut self, now: Instant) -> Option<FiveTuple> {
        if !self.dtls.wants_start() {
            return None;
        }
        let path = self.ice.usable_path()?;
        let rtt = self.round_trip_time(&path);
        let cap = self.dtls.retransmission_cap();
        self.dtls.start(now, rtt, cap);
        // A client speaks first, and has more to say than the peer's first check pays for.
        if self.dtls.current().side() == Some(dtls::Side::Client) && self.is_metered(&path) {
            self.ice.validate_path(now, path);
        }
        Some(path)
    }

    /// Whether a client's first flight, which costs it keys, waits for its endpoint's word.
    pub(crate) fn awaits_start(&self) -> bool {
        self.dtls.begins == Begins::InTurn
            && self.dtls.wants_start()
            && self.dtls.current().side() == Some(dtls::Side::Client)
            && self.ice.usable_path().is_some()
    }

    /// Whether the first handshake is still to be done.
    pub(crate) fn is_handshaking(&self) -> bool {
        let state = self.dtls.current().state();
        self.is_live() && matches!(state, dtls::State::New | dtls::State::Connecting)
    }

    /// Its endpoint says when a handshake begins.
    pub(crate) fn hold_handshake(&mut self) {
        self.dtls.begins = Begins::InTurn;
    }

    /// It begins by itself again: with what comes next, also where that is only consent that goes on.
    pub(crate) fn release_handshake(&mut self) {
        if self.dtls.begins != Begins::InTurn {
            return;
        }
        let holds_deadline = self.holds_deadline();
        self.dtls.begins = match holds_deadline {
            true => Begins::Released,
            false => Begins::ByItself,
        };
        if holds_deadline || self.dtls.wants_start() {
            self.dtls.set_pace(Pace::Patient);
        }
    }

    /// What its peer has said waits for its turn, and with it the time that the handshake may take.
    pub(crate) fn hold_deadline(&mut self) {
        self.dtls.current_mut().hold_deadline();
    }

    pub(crate) fn holds_deadline(&self) -> bool {
        self.dtls.current().holds_deadline()
    }

    /// The time that the handshake may take begins, or begins anew.
    pub(crate) fn begin_deadline(&mut self, now: Instant) {
        self.dtls.current_mut().begin_deadline(now);
    }

    /// Nobody holds the deadline any more that an endpoint held.
    pub(crate) fn resume_deadline(&mut self, now: Instant) {
        if self.dtls.begins == Begins::Released {
            self.dtls.begins = Begins::ByItself;
            self.begin_deadline(now);
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

    /// A flight lost on a path that works is repeated soon; on one that has stopped answering, with patience.
    fn pace_dtls(&mut self, now: Instant) {
        let fresh = |age: Duration| age <= FRESH_CONSENT;
        self.dtls
            .set_pace(match self.ice.consent_age(now).is_some_and(fresh) {
                true => Pace::Soon,
                false => Pace::Patient,
            });
    }

    fn round_trip_time(&self, path: &FiveTuple) -> Option<Duration> {
        let pair = self.ice.selected_candidate_pair()?;
        pair.rtt.filter(|_| pair.path == *path)
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
