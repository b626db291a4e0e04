//! The machine itself: five verbs over one handshake script, one record layer, one flight and one reassembler.
//!
//! ```text
//!                start, side known             handshake complete,
//!                                              fingerprint matched
//!    New ──────────────────────▶ Connecting ─────────────────────▶ Connected
//!     │                            │     │                          │     │
//!     │ close                close │     │ error,             close │     │ fatal alert
//!     ▼                            ▼     ▼ time-out                 ▼     ▼
//!   Closed                    Closed     Failed                Closed     Failed
//! ```
//!
//! This file holds life cycle, commands and outputs; what comes in is in `receive`, what can be asked in `facts`.

mod amplification;
mod established;
mod facts;
mod key_update;
mod post_handshake;
mod receive;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::amplification::Amplification;
use self::established::{Established, Gate};
use crate::association::{AssociationId, negotiated_side};
use crate::client::ClientState;
use crate::config::{Config, Setup, Side};
use crate::crypto::random::Randomness;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{Event, Reason, State, Transition};
use crate::fingerprint::{FingerprintSet, RemoteIdentity};
use crate::flight::{Flight, FlightDatagramId, FlightPacing};
use crate::handshake::{Completed, Context, Negotiated};
use crate::msgs::alert::Alert;
use crate::msgs::enums::{AlertDescription, ProtocolVersion};
use crate::queue::Queue;
use crate::reassembly::{Message, Reassembler};
use crate::record::header::{ContentType, Epoch, MAX_PLAINTEXT, RecordNumber};
use crate::record::{RecordLayer, SealError};
use crate::server::ServerState;
use crate::stats::{Counters, DropReason};
use crate::timer::{Timer, TimerTable};

/// Alerts that wait to be written.
const MAX_ALERTS: usize = 4;

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

/// One DTLS association: a sans-IO state machine without addresses and without a clock.
///
/// Inputs are [`handle_datagram`](Self::handle_datagram) and [`handle_timeout`](Self::handle_timeout); after each of them,
/// and after each command, drain [`poll_transmit`](Self::poll_transmit), [`poll_event`](Self::poll_event) and ask
/// [`poll_timeout`](Self::poll_timeout), in any order.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    random: Randomness,
    association: AssociationId,
    remote: RemoteIdentity,
    setup: Setup,
    side: Option<Side>,
    phase: Phase,
    /// What a server may send to an address that has not shown that anybody is there.
    amplification: Amplification,
    /// The state that the last event said.
    announced: State,
    records: RecordLayer,
    flight: Flight,
    reassembler: Reassembler,
    timers: TimerTable,
    events: Queue<Event>,
    alerts: Queue<(Epoch, Alert)>,
    /// The plaintext alert whose grace is running.
    suspected_alert: Option<AlertDescription>,
    /// What was agreed upon with a verified peer.
    negotiated: Option<Negotiated>,
    /// The host name in the hello of our client.
    asked_for: Option<Box<str>>,
    error: Option<Error>,
    counters: Counters,
}

#[derive(Debug)]
enum Phase {
    New(Early),
    Client(ClientState),
    Server(ServerState),
    /// The handshake is complete; which fingerprint to expect is not known.
    Unidentified(Box<Completed>),
    Connected(Box<Established>),
    Closed,
    Failed,
}

impl Phase {
    /// The epoch in which the next message of the handshake comes.
    fn expected_epoch(&self) -> Epoch {
        match self {
            Self::Client(state) => state.expected_epoch(),
            Self::Server(state) => state.expected_epoch(),
            _ => Epoch::PLAINTEXT,
        }
    }
}

/// Before the start.
#[derive(Debug, Default)]
struct Early {
    path: Path,
    /// What looks like a ClientHello, at most [`receive::MAX_EARLY`] of them.
    datagrams: Vec<Vec<u8>>,
}

/// Where a server goes on that a gate stood before.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) state: ServerState,
    /// That of the ClientHello to come, and so of our first message.
    pub(crate) message_seq: u16,
    /// That of the record it comes in, and so of our first record (RFC 6347 §4.2.1).
    pub(crate) record: RecordNumber,
    /// The ClientHello, if it came in pieces: the last of them comes again and finds it whole.
    pub(crate) collected: Option<Message>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Path {
    #[default]
    Unusable,
    Usable,
}

impl Connection {
    /// A connection that waits for [`Connection::start`].
    ///
    /// # Errors
    ///
    /// A configuration out of its ranges, one that leaves nothing to negotiate, or [`Config::client_auth`] weaker than
    /// required without [`RemoteIdentity::AcceptAny`].
    pub fn new(
        config: Arc<Config>,
        setup: Setup,
        remote: RemoteIdentity,
    ) -> Result<Self, ApiMisuse> {
        let randomness = Randomness::Backend(config.backend);
        Self::with_randomness(randomness, config, setup, remote)
    }

    /// As [`Connection::new`], but all randomness is made of `seed`: same seed, same inputs, same datagrams, if the
    /// identity is an Ed25519 one, whose signatures need no randomness. Nothing is secret then: for tests only, and both
    /// ends must be made this way.
    ///
    /// # Errors
    ///
    /// As [`Connection::new`].
    #[cfg(feature = "deterministic")]
    pub fn with_seed(
        seed: [u8; 32],
        config: Arc<Config>,
        setup: Setup,
        remote: RemoteIdentity,
    ) -> Result<Self, ApiMisuse> {
        let stream = crate::crypto::random::seeded::Stream::new(seed);
        Self::with_randomness(Randomness::Seeded(stream), config, setup, remote)
    }

    fn with_randomness(
        mut random: Randomness,
        config: Arc<Config>,
        setup: Setup,
        remote: RemoteIdentity,
    ) -> Result<Self, ApiMisuse> {
        config.check(&remote)?;
        Ok(Self {
            association: AssociationId::default(),
            remote,
            setup,
            side: setup.side(),
            phase: Phase::New(Early::default()),
            amplification: Amplification::START,
            announced: State::New,
            records: RecordLayer::default(),
            flight: Flight::new(&config, &mut random),
            random,
            reassembler: Reassembler::default(),
            timers: TimerTable::default(),
            events: Queue::default(),
            alerts: Queue::default(),
            suspected_alert: None,
            negotiated: None,
            asked_for: None,
            error: None,
            counters: Counters::default(),
            config,
        })
    }

    /// A server in the middle of things: a gate has answered a first ClientHello in its place.
    pub(crate) fn begun(
        now: Instant,
        config: Arc<Config>,
        remote: RemoteIdentity,
        beginning: Beginning,
    ) -> Result<Self, ApiMisuse> {
        let mut connection = Self::new(config, Setup::Passive, remote)?;
        connection.set_path_validated();
        connection
            .reassembler
            .begin_with(beginning.message_seq, beginning.collected);
        connection.flight.begin_at(beginning.message_seq);
        connection
            .records
            .begin_plaintext_at(beginning.record.sequence());
        connection.start(now);
        connection.phase = Phase::Server(beginning.state);
        Ok(connection)
    }

    /// The connection that takes this one's place: same configuration, next association (RFC 8842 §3.1).
    ///
    /// This one goes on working until its owner drops it, which is when the new one is `Connected`.
    ///
    /// # Errors
    ///
    /// As [`Connection::new`].
    pub fn successor(&self, setup: Setup, remote: RemoteIdentity) -> Result<Self, ApiMisuse> {
        let mut next = Self::new(self.config.clone(), setup, remote)?;
        next.association = self.association.next();
        Ok(next)
    }

    /// Says which certificate fingerprints are accepted, if the constructor was told [`RemoteIdentity::Later`]. Before,
    /// during or after the handshake.
    ///
    /// # Errors
    ///
    /// Others are set already, or the policy is to accept any.
    pub fn set_remote_fingerprints(
        &mut self,
        now: Instant,
        fingerprints: FingerprintSet,
    ) -> Result<(), ApiMisuse> {
        match &self.remote {
            RemoteIdentity::Fingerprints(set) if *set == fingerprints => return Ok(()),
            RemoteIdentity::Fingerprints(_) | RemoteIdentity::AcceptAny => {
                return Err(ApiMisuse::FingerprintsAlreadySet);
            }
            RemoteIdentity::Later => self.remote = RemoteIdentity::Fingerprints(fingerprints),
        }
        match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Unidentified(completed) => self.identify(now, *completed),
            other => self.phase = other,
        }
        Ok(())
    }

    /// Says the remote `a=setup`, which decides the side of an `actpass` connection (RFC 8842 §5).
    ///
    /// # Errors
    ///
    /// The two values do not make a client and a server, or the side is settled otherwise: a ClientHello may have made an
    /// `actpass` connection the server.
    pub fn set_remote_setup(&mut self, now: Instant, remote: Setup) -> Result<(), ApiMisuse> {
        let side = negotiated_side(self.setup, remote).map_err(|_| ApiMisuse::IncompatibleSetup)?;
        if self.side.is_some_and(|settled| settled != side) {
            return Err(ApiMisuse::SideAlreadyDecided);
        }
        self.side = Some(side);
        self.launch(now);
        Ok(())
    }

    /// The path is usable: a client sends its ClientHello, a server takes the datagrams it has kept. Idempotent; an
    /// `actpass` connection begins when its side is known too.
    pub fn start(&mut self, now: Instant) {
        if let Phase::New(early) = &mut self.phase {
            early.path = Path::Usable;
            self.launch(now);
        }
    }

    /// Says that the peer is known to receive at the address that the datagrams come from: ICE has an answer to a check of
    /// its own, or a cookie came back ([`CookieGate`](crate::CookieGate)). Until then, or until a record of the peer has
    /// authenticated, a server sends no more than three times the bytes it received (RFC 9147 §5.1). A client is asked by
    /// nobody and so is not limited.
    pub fn set_path_validated(&mut self) {
        self.amplification = Amplification::Unlimited;
    }

    /// Whether nothing limits what is sent: see [`Connection::set_path_validated`].
    #[must_use]
    pub fn is_path_validated(&self) -> bool {
        self.amplification == Amplification::Unlimited
    }

    /// Begins the handshake if path and side are known.
    fn launch(&mut self, now: Instant) {
        let Phase::New(early) = &mut self.phase else {
            return;
        };
        if early.path == Path::Unusable {
            return;
        }
        if self.side.is_none() && !early.datagrams.is_empty() {
            self.side = Some(Side::Server);
            self.events.push_back(Event::BecameServer);
        }
        let Some(side) = self.side else {
            return;
        };
        let kept = std::mem::take(&mut early.datagrams);
        let deadline = self.config.retransmission.deadline;
        self.timers.set_after(Timer::Handshake, now, deadline);
        self.enter(now, Phase::Server(ServerState::start()), Reason::Started);
        if side == Side::Client {
            self.set_path_validated();
            self.records.set_plaintext_version(ProtocolVersion::DTLS1_0);
            match ClientState::start(&mut self.context(now)) {
                Ok(state) => self.phase = Phase::Client(state),
                Err(error) => self.fail(now, error),
            }
            return;
        }
        for mut datagram in kept {
            let _ = self.handle_datagram(now, &mut datagram);
        }
    }

    fn context(&mut self, now: Instant) -> Context<'_> {
        Context {
            now,
            config: &self.config,
            random: &mut self.random,
            remote: &self.remote,
            records: &mut self.records,
            flight: &mut self.flight,
            timers: &mut self.timers,
            events: &mut self.events,
            asked_for: &mut self.asked_for,
        }
    }

    /// The handshake is complete.
    fn complete(&mut self, now: Instant, completed: Completed) {
        let has_more = !self.reassembler.is_empty();
        self.reassembler.settle();
        self.records.refuse_plaintext();
        self.timers.stop(Timer::Handshake);
        self.timers.stop(Timer::Alert);
        match (self.side, self.flight.uses_acks()) {
            // The server's Finished answers the client's.
            (Some(Side::Client), false) => self.flight.finish(now, &mut self.timers),
            // Nothing answers the client's Finished but an ACK (RFC 9147 §5.8.1).
            (Some(Side::Server), true) => {
                self.flight.finish(now, &mut self.timers);
                self.flight.acknowledge_now(&mut self.timers);
                let newest = self.records.write_epoch();
                self.records.drop_write_before(newest);
            }
            // The last flight is kept for a while.
            (_, false) => self.timers.set(Timer::Linger, now + receive::LINGER),
            _ => {}
        }
        // What came in plaintext was forgotten when the keys came: the peer did say more than a handshake.
        if has_more {
            return self.fail(now, PeerMisbehaved::ExcessHandshakeData.into());
        }
        self.identify(now, completed);
    }

    /// The gate: only a matching fingerprint leads to `Connected`.
    fn identify(&mut self, now: Instant, completed: Completed) {
        match Established::admit(completed, &self.remote) {
            Ok(Gate::Open(negotiated, established)) => {
                self.timers.stop(Timer::Fingerprints);
                self.negotiated = Some(negotiated);
                self.enter(now, Phase::Connected(established), Reason::PeerVerified);
                self.events
                    .extend(negotiated.srtp_profile.map(Event::SrtpReady));
            }
            Ok(Gate::Shut(completed)) => {
                let deadline = self.config.fingerprint_deadline;
                self.timers.set_after(Timer::Fingerprints, now, deadline);
                self.phase = Phase::Unidentified(completed);
            }
            Err(error) => self.fail(now, error),
        }
    }

    /// Ends the connection by an error and tells the peer, if that is of use.
    fn fail(&mut self, now: Instant, error: Error) {
        self.give_up(error.alert().map(Alert::fatal));
        self.error = Some(error);
        self.end(now, Phase::Failed, Reason::of(&error));
    }

    /// Lets go of what was still to be said, but for why: where the flight would have begun if it was not sent.
    fn give_up(&mut self, alert: Option<Alert>) {
        let unsent = self.flight.unsent_epoch();
        let epoch = unsent.unwrap_or_else(|| self.records.write_epoch());
        self.flight.abandon(&mut self.timers);
        self.alerts.clear();
        self.alerts.extend(alert.map(|alert| (epoch, alert)));
    }

    fn end(&mut self, now: Instant, phase: Phase, reason: Reason) {
        self.timers.stop_all();
        self.reassembler = Reassembler::default();
        self.enter(now, phase, reason);
    }

    /// Enters a phase and says so if it is another state.
    fn enter(&mut self, now: Instant, phase: Phase, reason: Reason) {
        self.phase = phase;
        let (from, to) = (self.announced, self.state());
        if from != to {
            self.announced = to;
            self.events.push_back(Event::StateChange(Transition {
                from,
                to,
                reason,
                at: now,
            }));
        }
    }

    fn queue_alert(&mut self, alert: Alert) {
        if self.alerts.iter().count() < MAX_ALERTS {
            self.alerts.push_back((self.records.write_epoch(), alert));
        }
    }

    /// Ends the connection with close_notify (RFC 5246 §7.2.1). Idempotent.
    pub fn close(&mut self, now: Instant) {
        match self.phase {
            Phase::Closed | Phase::Failed => return,
            Phase::New(_) => {}
            Phase::Client(_) | Phase::Server(_) => {
                self.give_up(Some(Alert::warning(AlertDescription::CLOSE_NOTIFY)));
            }
            // The last flight still goes out, if it has not yet.
            Phase::Unidentified(_) | Phase::Connected(_) => {
                self.queue_alert(Alert::warning(AlertDescription::CLOSE_NOTIFY));
            }
        }
        self.end(now, Phase::Closed, Reason::ClosedLocally);
    }

    /// Ends the connection with a fatal alert of the caller's choice (RFC 8446 §6.2): the application refuses the peer for
    /// a reason of its own, such as `ACCESS_DENIED`. What was not sent yet is not sent any more. Idempotent.
    pub fn abort(&mut self, now: Instant, description: AlertDescription) {
        match self.phase {
            Phase::Closed | Phase::Failed => return,
            Phase::New(_) => {}
            Phase::Client(_) | Phase::Server(_) | Phase::Unidentified(_) | Phase::Connected(_) => {
                self.give_up(Some(Alert::fatal(description)));
            }
        }
        self.end(now, Phase::Closed, Reason::ClosedLocally);
    }

    /// Does what is due at `now`. Calls that come early do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_expired(now) {
            match timer {
                Timer::Retransmit => match self.flight.on_timeout(now, &mut self.timers) {
                    Ok(sent) => self.counters.retransmitted_flights += u32::from(sent),
                    Err(error) => self.fail(now, error),
                },
                Timer::Gap => {
                    let sent = self.flight.on_gap(now, &mut self.timers);
                    self.counters.retransmitted_flights += u32::from(sent);
                }
                Timer::Ack => self.flight.acknowledge_now(&mut self.timers),
                Timer::Linger => self.on_lingered(),
                Timer::Handshake => self.fail(now, Error::HandshakeTimedOut),
                Timer::Fingerprints => self.fail(now, Error::FingerprintTimedOut),
                Timer::Alert => {
                    if let Some(description) = self.suspected_alert.take() {
                        self.fail(now, Error::AlertReceived(description));
                    }
                }
            }
        }
    }

    /// Writes one datagram into `buf` and says its length; `None` if there is nothing to send.
    ///
    /// # Panics
    ///
    /// If `buf` is shorter than the MTU: the caller's bug, seen at the first call.
    pub fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<usize> {
        assert!(
            buf.len() >= self.flight.path_mtu(),
            "the buffer must hold a datagram of the configured MTU"
        );
        let room = self.amplification.room().min(buf.len());
        let (buf, _) = buf.split_at_mut(room);
        let written = self
            .flight
            .write_datagram(&mut self.records, buf)
            .or_else(|| self.write_alert(buf));
        self.amplification.on_sent(written.unwrap_or(0));
        self.counters.datagrams_sent += u64::from(written.is_some());
        written
    }

    fn write_alert(&mut self, buf: &mut [u8]) -> Option<usize> {
        let (epoch, alert) = self.alerts.pop_front()?;
        let parts: [&[u8]; 2] = [&alert.to_bytes(), &[]];
        self.records
            .seal(epoch, ContentType::Alert, parts, buf)
            .ok()
            .map(|sealed| sealed.len)
    }

    /// The next event; `None` if all were taken.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Connection::handle_timeout`] is due, if ever.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Seals `plaintext` as one record into `out`, ready to be sent as a datagram, and says its length.
    ///
    /// # Errors
    ///
    /// Not connected, more plaintext than fits the MTU or a record (2¹⁴ bytes), `out` too short: [`Error::ApiMisuse`].
    /// [`Error::KeysUsedUp`] where the record numbers end, or in DTLS 1.3 the records that may have one key if the peer never
    /// acknowledges its change; the connection is closed then.
    pub fn seal(&mut self, now: Instant, plaintext: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let longest = self.max_plaintext().ok_or(ApiMisuse::NotConnected)?;
        self.let_go_in_time(now);
        if plaintext.len() > longest {
            return Err(ApiMisuse::PlaintextTooLong.into());
        }
        let epoch = self.records.write_epoch();
        match self
            .records
            .seal(epoch, ContentType::ApplicationData, [plaintext, &[]], out)
        {
            Ok(sealed) => {
                if let Some(limit) = self.records.reached_limit(epoch) {
                    self.on_limit(now, limit);
                }
                Ok(sealed.len)
            }
            Err(SealError::Exhausted) => {
                self.queue_alert(Alert::warning(AlertDescription::CLOSE_NOTIFY));
                self.end(now, Phase::Closed, Reason::RecordNumbersExhausted);
                Err(Error::KeysUsedUp)
            }
            Err(SealError::BufferTooSmall) => Err(ApiMisuse::BufferTooSmall.into()),
            Err(SealError::TooLong) => Err(ApiMisuse::PlaintextTooLong.into()),
            Err(SealError::NoKeys) => Err(ApiMisuse::NotConnected.into()),
        }
    }

    /// The most plaintext that [`Connection::seal`] takes, in bytes; `None` unless connected.
    #[must_use]
    pub fn max_plaintext(&self) -> Option<usize> {
        let Phase::Connected(_) = self.phase else {
            return None;
        };
        let overhead = self.records.overhead(self.records.write_epoch());
        Some(
            self.flight
                .path_mtu()
                .saturating_sub(overhead)
                .min(MAX_PLAINTEXT),
        )
    }

    /// The path's round-trip time as ICE measures it. The first time-out of a flight becomes twice that, within 50 ms and
    /// 3 s, also of a flight that is in the air for the first time.
    pub fn set_rtt_hint(&mut self, rtt: Duration) {
        self.flight.set_rtt_hint(rtt, &mut self.timers);
    }

    /// Changes what time-outs double up to. Inside a transport whose path has fresh consent 800 ms are right; without
    /// that knowledge, [`Retransmission::cap`](crate::Retransmission::cap).
    pub fn set_retransmission_cap(&mut self, cap: Duration) {
        self.flight.set_cap(cap, &mut self.timers);
    }

    /// Changes the MTU, in bytes of UDP payload, also of a flight that is in the air: what is sent from now on obeys it.
    ///
    /// # Errors
    ///
    /// Outside [`Config::MTUS`].
    pub fn set_mtu(&mut self, mtu: usize) -> Result<(), ApiMisuse> {
        if !Config::MTUS.contains(&mtu) {
            return Err(ApiMisuse::MtuOutOfRange);
        }
        self.flight.set_mtu(mtu);
        Ok(())
    }

    /// Says who carries handshake flights: this connection, or the caller by [`Connection::flight_datagrams`]. At any
    /// time; back to [`FlightPacing::Internal`], a flight that is not answered is sent at once.
    pub fn set_flight_pacing(&mut self, now: Instant, pacing: FlightPacing) {
        self.flight.set_pacing(now, pacing, &mut self.timers);
    }

    /// The datagrams of the current flight that the peer has not acknowledged, in order; none while no flight is in the
    /// air. A last flight that nothing acknowledges (the server's in DTLS 1.2) stays as long as it may be asked for.
    ///
    /// Each has at most the MTU. They may be carried in any order, as often as the caller likes, and besides
    /// [`Connection::poll_transmit`]: the peer takes each once. Ask again after every input: another flight, or another
    /// MTU, makes other datagrams. The first call for a flight seals them.
    pub fn flight_datagrams(&mut self) -> impl Iterator<Item = FlightDatagramId> {
        self.flight.datagrams(&mut self.records)
    }

    /// The bytes of one datagram of the current flight, always the same; `None` if it belongs to an older flight or was
    /// cut for an older MTU.
    #[must_use]
    pub fn flight_datagram(&self, id: FlightDatagramId) -> Option<&[u8]> {
        self.flight.datagram(id)
    }
}

#[cfg(test)]
mod tests;
