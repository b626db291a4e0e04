//! The machine itself: five verbs over one handshake script, one record layer, one flight and one reassembler.
//!
//! Its states, and those of the scripts, are drawn in [`states`](crate::states). This file holds life cycle, commands and
//! outputs; what comes in is in `receive`, what can be asked in `facts`.

mod affairs;
mod amplification;
mod deadline;
mod established;
mod facts;
mod key_update;
mod output;
mod post_handshake;
mod receive;

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use self::affairs::{Affairs, Opening, Work};
use self::amplification::Amplification;
use self::established::{Established, Gate, Verified};
use crate::association::{AssociationId, negotiated_side};
use crate::client::ClientState;
use crate::config::{Config, Setup, Side};
use crate::crypto::random::Randomness;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{Event, Reason, Transition};
use crate::fingerprint::{FingerprintSet, RemoteIdentity};
use crate::flight::LINGER;
use crate::handshake::{Completed, Context, Negotiated, Particulars};
use crate::msgs::alert::Alert;
use crate::msgs::enums::{AlertDescription, ProtocolVersion};
use crate::queue::Queue;
use crate::reassembly::{Message, Reassembler};
use crate::record::RecordLayer;
use crate::record::header::{Epoch, RecordNumber};
use crate::server::ServerState;
use crate::stats::{Counters, DropReason};
use crate::timer::Timer;

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
    association: AssociationId,
    setup: Setup,
    side: Option<Side>,
    phase: Phase,
    affairs: Affairs,
    records: RecordLayer,
    /// What was agreed upon with a verified peer, and whom it was verified to be.
    negotiated: Option<Negotiated>,
    verified: Option<Verified>,
    particulars: Option<Box<Particulars>>,
    counters: Counters,
}

#[derive(Debug)]
enum Phase {
    /// Before the start, with what looks like a ClientHello, at most [`receive::MAX_EARLY`] of them.
    New(Queue<Vec<u8>>),
    /// The same, but the path is usable: only the side is not known.
    Started(Queue<Vec<u8>>),
    Client(Box<ClientState>),
    Server(Box<ServerState>),
    /// The handshake is complete; which fingerprint to expect is not known.
    Unidentified(Box<Completed>),
    Connected(Established),
    Closed,
    Failed(Error),
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
        Self::with_randomness(Randomness::Seeded(Box::new(stream)), config, setup, remote)
    }

    fn with_randomness(
        random: Randomness,
        config: Arc<Config>,
        setup: Setup,
        remote: RemoteIdentity,
    ) -> Result<Self, ApiMisuse> {
        config.check(&remote)?;
        Ok(Self {
            association: AssociationId::default(),
            setup,
            side: setup.side(),
            phase: Phase::New(Queue::default()),
            affairs: Affairs::new(&config, Opening::new(random, remote)),
            records: RecordLayer::silent(),
            negotiated: None,
            verified: None,
            particulars: None,
            counters: Counters::default(),
            config,
        })
    }

    /// What there is to do, to do something about it.
    fn work(&mut self) -> &mut Work {
        self.affairs.wake(&self.config)
    }

    /// Lets go of what only a connection needs that has something to do.
    fn rest(&mut self) {
        if let Phase::Connected(_) = self.phase {
            self.affairs.rest(&mut self.records);
        }
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
        let work = connection.work();
        work.reassembler
            .begin_with(beginning.message_seq, beginning.collected);
        work.flight.begin_at(beginning.message_seq);
        connection.start(now);
        connection
            .records
            .begin_plaintext_at(beginning.record.sequence());
        connection.phase = Phase::Server(Box::new(beginning.state));
        Ok(connection)
    }

    /// The connection that takes this one's place: same configuration, next association (RFC 8842 §3.1). The MTU is that of
    /// the path, and so the one that was [set](Self::set_mtu) here.
    ///
    /// This one goes on working until its owner drops it, which is when the new one is `Connected`.
    ///
    /// # Errors
    ///
    /// As [`Connection::new`].
    pub fn successor(&self, setup: Setup, remote: RemoteIdentity) -> Result<Self, ApiMisuse> {
        let mut next = Self::new(self.config.clone(), setup, remote)?;
        next.association = self.association.next();
        let mtu = self.affairs.sender().path_mtu();
        next.affairs.sender_mut().set_mtu(mtu);
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
        if let Some(verified) = self.verified {
            return match verified == Verified::by(&fingerprints) {
                true => Ok(()),
                false => Err(ApiMisuse::FingerprintsAlreadySet),
            };
        }
        let opening = self.affairs.opening_mut();
        let remote = &mut opening.ok_or(ApiMisuse::FingerprintsAlreadySet)?.remote;
        match remote {
            RemoteIdentity::Fingerprints(set) if *set == fingerprints => return Ok(()),
            RemoteIdentity::Fingerprints(_) | RemoteIdentity::AcceptAny => {
                return Err(ApiMisuse::FingerprintsAlreadySet);
            }
            RemoteIdentity::Later => *remote = RemoteIdentity::Fingerprints(fingerprints),
        }
        match std::mem::replace(&mut self.phase, Phase::Closed) {
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
            self.phase = Phase::Started(std::mem::take(early));
            self.launch(now);
        }
    }

    /// Says that the peer is known to receive at the address that the datagrams come from: ICE has an answer to a check of
    /// its own, or a cookie came back ([`CookieGate`](crate::CookieGate)). Until then, or until a record of the peer has
    /// authenticated, a server sends no more than three times the bytes it received (RFC 9147 §5.1). A client is asked by
    /// nobody and so is not limited.
    pub fn set_path_validated(&mut self) {
        if let Some(opening) = self.affairs.opening_mut() {
            opening.amplification = Amplification::UNLIMITED;
        }
    }

    /// Whether nothing limits what is sent: see [`Connection::set_path_validated`].
    #[must_use]
    pub fn is_path_validated(&self) -> bool {
        let opening = self.affairs.opening();
        opening.is_none_or(|opening| opening.amplification == Amplification::UNLIMITED)
    }

    /// Begins the handshake if path and side are known.
    fn launch(&mut self, now: Instant) {
        let Phase::Started(early) = &mut self.phase else {
            return;
        };
        if self.side.is_none() && !early.is_empty() {
            self.side = Some(Side::Server);
            self.affairs
                .wake(&self.config)
                .events
                .push_back(Event::BecameServer);
        }
        let Some(side) = self.side else {
            return;
        };
        let mut kept = std::mem::take(early);
        self.records = RecordLayer::default();
        let beginning = Box::new(ServerState::start());
        self.enter(now, Phase::Server(beginning), Reason::Started);
        if !self.holds_deadline() {
            self.begin_deadline(now);
        }
        if side == Side::Client {
            self.set_path_validated();
            self.records.set_plaintext_version(ProtocolVersion::DTLS1_0);
            match ClientState::start(&mut self.context(now)) {
                Ok(state) => self.phase = Phase::Client(Box::new(state)),
                Err(error) => self.fail(now, error),
            }
            return;
        }
        // Their bytes were counted when they came.
        while let Some(mut datagram) = kept.pop_front() {
            let _ = self.on_datagram(now, &mut datagram);
        }
    }

    fn context(&mut self, now: Instant) -> Context<'_> {
        let work = self.affairs.wake(&self.config);
        let Some(opening) = &mut work.opening else {
            unreachable!("the peer is not known before its handshake is complete");
        };
        Context {
            now,
            config: &self.config,
            random: &mut opening.random,
            remote: &opening.remote,
            records: &mut self.records,
            flight: &mut work.flight,
            timers: &mut work.timers,
            events: &mut work.events,
            particulars: &mut self.particulars,
        }
    }

    /// The handshake is complete.
    fn complete(&mut self, now: Instant, completed: Completed) {
        let side = self.side;
        let Work {
            flight,
            reassembler,
            timers,
            ..
        } = self.affairs.wake(&self.config);
        let has_more = !reassembler.is_empty();
        reassembler.settle();
        timers.stop(Timer::Handshake);
        timers.stop(Timer::Alert);
        self.records.refuse_plaintext();
        match (side, flight.sender().uses_acks()) {
            // The server's Finished answers the client's.
            (Some(Side::Client), false) => flight.finish(now, timers),
            // Nothing answers the client's Finished but an ACK (RFC 9147 §5.8.1).
            (Some(Side::Server), true) => {
                flight.finish(now, timers);
                flight.acknowledge_now(timers);
                let newest = self.records.write_epoch();
                self.records.drop_write_before(newest);
            }
            // The last flight is kept for a while.
            (_, false) => flight.let_go_at(now + LINGER),
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
        let keeping = self.config.peer_certificates;
        let later = RemoteIdentity::Later;
        let remote = self
            .affairs
            .opening()
            .map_or(&later, |opening| &opening.remote);
        let verified = Verified::of(remote);
        match Established::admit(completed, remote, keeping) {
            Ok(Gate::Open(negotiated, established, certificate)) => {
                if certificate.is_some() {
                    self.particulars.get_or_insert_default().certificate = certificate;
                }
                self.negotiated = Some(negotiated);
                self.verified = verified;
                self.enter(now, Phase::Connected(established), Reason::PeerVerified);
                let work = self.work();
                work.opening = None;
                work.timers.stop(Timer::Fingerprints);
                work.events
                    .extend(negotiated.srtp_profile.map(Event::SrtpReady));
            }
            Ok(Gate::Shut(completed)) => {
                let deadline = self.config.fingerprint_deadline;
                let timers = &mut self.work().timers;
                timers.set_after(Timer::Fingerprints, now, deadline);
                self.phase = Phase::Unidentified(completed);
            }
            Err(error) => self.fail(now, error),
        }
    }

    /// Ends the connection by an error and tells the peer, if that is of use.
    fn fail(&mut self, now: Instant, error: Error) {
        self.give_up(error.alert().map(Alert::fatal));
        self.end(now, Phase::Failed(error), Reason::of(&error));
    }

    /// Lets go of what was still to be said, but for why: where the flight would have begun if it was not sent.
    fn give_up(&mut self, alert: Option<Alert>) {
        let work = self.affairs.wake(&self.config);
        let unsent = work.flight.unsent_epoch();
        let epoch = unsent.unwrap_or_else(|| self.records.write_epoch());
        work.flight.abandon(&mut work.timers);
        work.alerts.clear();
        work.alerts.extend(alert.map(|alert| (epoch, alert)));
    }

    fn end(&mut self, now: Instant, phase: Phase, reason: Reason) {
        let work = self.work();
        work.timers.stop_all();
        work.reassembler = Reassembler::default();
        self.enter(now, phase, reason);
    }

    /// Enters a phase and says so if it is another state.
    fn enter(&mut self, now: Instant, phase: Phase, reason: Reason) {
        self.phase = phase;
        let to = self.state();
        let work = self.work();
        let from = std::mem::replace(&mut work.announced, to);
        if from != to {
            work.events.push_back(Event::StateChange(Transition {
                from,
                to,
                reason,
                at: now,
            }));
        }
    }

    fn queue_alert(&mut self, alert: Alert) {
        let work = self.affairs.wake(&self.config);
        // The oldest gives way: what ends a connection comes last.
        if work.alerts.iter().count() == MAX_ALERTS {
            work.alerts.pop_front();
        }
        work.alerts.push_back((self.records.write_epoch(), alert));
    }

    /// Ends the connection with close_notify (RFC 5246 §7.2.1). Idempotent.
    pub fn close(&mut self, now: Instant) {
        match self.phase {
            Phase::Closed | Phase::Failed(_) => return,
            Phase::New(_) | Phase::Started(_) => {}
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
            Phase::Closed | Phase::Failed(_) => return,
            Phase::New(_) | Phase::Started(_) => {}
            Phase::Client(_) | Phase::Server(_) | Phase::Unidentified(_) | Phase::Connected(_) => {
                self.give_up(Some(Alert::fatal(description)));
            }
        }
        self.end(now, Phase::Closed, Reason::ClosedLocally);
    }
}

#[cfg(test)]
mod tests;
