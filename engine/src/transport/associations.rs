//! The DTLS associations of a transport: the one in use and, after a restart that changed the peer's identity or the sides, the
//! one that takes its place once it is connected (RFC 8842 §3.1, RFC 9429 §5.11).
//!
//! ```text
//!            set_remote: other identity, sides or tls-id             connected
//!   current ────────────────────────────────────────► current + successor ──► successor + former ── 5 s ──► successor
//!      ▲                                                │ failed    │
//!      │ ICE restart rolled back                        ▼           │ the current one ends, or never was connected
//!      ├──────────────────────────── current + failed successor     ▼
//!      └── from `current + successor` too               │       successor, in whatever state
//!                                                       ▼ ICE restart confirmed
//!                                                     failed
//! ```
//!
//! The association in use lives until its successor is connected. A successor that failed ends it only once the peer has really
//! moved on, that is once the ICE restart is confirmed: then there is nobody left whose identity was verified. A restart rolled
//! back takes the unfinished successor with it, and what it said about the peer.
//!
//! While two live, the wire tells them apart: plaintext records can only belong to the handshake of the newer; protected ones are
//! the current one's if its keys open them, else the other's. The former one is only read from: its peer may switch a round trip
//! after us.

use super::rare::{Facts, Rare};
use crate::{ApiMisuse, Event};
use floe_dtls::{
    self as dtls, Connection, Continuation, FingerprintSet, RemoteIdentity, Setup, Side, State,
};
use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroU64,
    time::{Duration, Instant},
};

/// What an offer or answer says about the peer's end of DTLS. From the BUNDLE-tagged section, media level before session level.
#[derive(Clone, Debug)]
pub struct RemoteDtls {
    /// `a=fingerprint`, all lines.
    pub fingerprints: FingerprintSet,
    /// `a=setup`.
    pub setup: Setup,
    /// `a=tls-id`, if present; absent is normal.
    pub tls_id: Option<String>,
}

/// What the signalling exchange under way has been, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    /// No ICE restart: the DTLS association goes on.
    Plain,
    /// An ICE restart: DTLS may begin a new association (RFC 9429 §5.11).
    IceRestart,
}

/// How a flight that was lost is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// On a path that works.
    Soon,
    /// On one that has stopped answering.
    Patient,
}

/// Who says when a handshake begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// Nobody: it does when there is a path for it.
    ByItself,
    /// Its endpoint: until then a client's first flight waits, and with what a server's peer has said its deadline.
    InTurn,
    /// Nobody any more: the deadline that was held begins with what comes next.
    Released,
}

pub(crate) struct Associations {
    current: Connection,
    identity: Identity,
    /// Of the whole transport.
    pub(super) rare: Rare,
    /// The state that the last reported transition led to.
    reported: State,
    /// Whether a successor has taken over and nobody was told.
    taken_over: bool,
    local_setup: Setup,
    pub(super) exchange: Exchange,
    /// What time-outs double up to while consent is fresh, in milliseconds.
    fresh_cap: u16,
    pub(super) pace: Pace,
    pub(super) begins: Begins,
}

/// What a rollback restores in the association in use.
pub(super) struct Revocable {
    tls_id: Option<Digest>,
}

/// What was signalled about the peer of one association, as much of it as shows whether the next exchange says the same. The
/// certificate is verified against the fingerprints themselves, by the [`Connection`].
#[derive(Clone, Copy, Default)]
struct Identity {
    fingerprints: Option<Digest>,
    tls_id: Option<Digest>,
}

/// Stands for what a peer said of itself. Who finds two sayings alike has the association of the first go on, and could as well
/// have repeated it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Digest(NonZeroU64);

impl Digest {
    fn of(said: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        said.hash(&mut hasher);
        Self(NonZeroU64::MIN | hasher.finish())
    }
}

/// The association beside the one in use: its successor, or its predecessor.
pub(super) struct Aside {
    connection: Connection,
    identity: Identity,
    /// A predecessor is kept until then.
    until: Option<Instant>,
    /// A copy of a datagram that the association in use may have spoilt by trying its keys on it.
    copy: Vec<u8>,
}

/// How long records under the old keys are still read.
const LINGER: Duration = Duration::from_secs(5);

impl Associations {
    /// Time-outs double up to `fresh_cap` while consent is fresh, whole milliseconds of it, and a minute at most.
    pub(crate) fn new(
        current: Connection,
        setup: Setup,
        remote: &RemoteIdentity,
        fresh_cap: Duration,
    ) -> Self {
        let fingerprints = match remote {
            RemoteIdentity::Fingerprints(fingerprints) => Some(Digest::of(fingerprints)),
            _ => None,
        };
        Self {
            current,
            identity: Identity {
                fingerprints,
                tls_id: None,
            },
            rare: Rare::default(),
            reported: State::New,
            taken_over: false,
            local_setup: setup,
            exchange: Exchange::Plain,
            fresh_cap: u16::try_from(fresh_cap.as_micros().div_ceil(1000)).unwrap_or(u16::MAX),
            pace: Pace::Patient,
            begins: Begins::ByItself,
        }
    }

    pub(crate) fn current(&self) -> &Connection {
        &self.current
    }

    pub(crate) fn current_mut(&mut self) -> &mut Connection {
        &mut self.current
    }

    /// The association being negotiated: the successor if there is one.
    fn newest(&mut self) -> (&mut Connection, &mut Identity) {
        let aside = self.rare.live().and_then(Facts::aside);
        match aside {
            Some(aside) if aside.until.is_none() => (&mut aside.connection, &mut aside.identity),
            _ => (&mut self.current, &mut self.identity),
        }
    }

    pub(crate) fn set_remote_fingerprints(
        &mut self,
        now: Instant,
        fingerprints: FingerprintSet,
    ) -> Result<(), dtls::ApiMisuse> {
        let (connection, identity) = self.newest();
        let digest = Digest::of(&fingerprints);
        connection.set_remote_fingerprints(now, fingerprints)?;
        identity.fingerprints = Some(digest);
        Ok(())
    }

    pub(crate) fn set_remote_setup(
        &mut self,
        now: Instant,
        setup: Setup,
    ) -> Result<(), dtls::ApiMisuse> {
        self.newest().0.set_remote_setup(now, setup)
    }

    /// Takes all facts of an exchange: fills in what the first association still lacks, continues the one there is, or begins
    /// its successor. On an error nothing is taken.
    pub(crate) fn set_remote(
        &mut self,
        now: Instant,
        remote: RemoteDtls,
        exchange: Exchange,
    ) -> Result<Continuation, ApiMisuse> {
        let local_setup = self.local_setup;
        let (connection, identity) = self.newest();
        let established = connection.side();
        let side = side_after(established, local_setup, remote.setup)?;
        let said = Identity::of(&remote);
        let (Some(fingerprints), Some(after)) = (identity.fingerprints, said.fingerprints) else {
            connection.set_remote_fingerprints(now, remote.fingerprints)?;
            *identity = said;
            if established.is_none() {
                connection.set_remote_setup(now, remote.setup)?;
            }
            return Ok(Continuation::Same);
        };
        let before = dtls::Signaled {
            fingerprints,
            side: established.unwrap_or(side),
            tls_id: identity.tls_id,
        };
        let after = dtls::Signaled {
            fingerprints: after,
            side,
            tls_id: said.tls_id,
        };
        let continuation = dtls::continuation(&before, &after, exchange == Exchange::IceRestart)?;
        match continuation {
            Continuation::Same => {
                if established.is_none() {
                    connection.set_remote_setup(now, remote.setup)?;
                }
                identity.tls_id = identity.tls_id.or(said.tls_id);
            }
            Continuation::New => self.succeed(now, remote, side)?,
        }
        Ok(continuation)
    }

    fn succeed(&mut self, now: Instant, remote: RemoteDtls, side: Side) -> Result<(), ApiMisuse> {
        let identity = Identity::of(&remote);
        let setup = match side {
            Side::Client => Setup::Active,
            Side::Server => Setup::Passive,
        };
        let connection = self
            .newest()
            .0
            .successor(setup, RemoteIdentity::Fingerprints(remote.fingerprints))?;
        self.rare.facts().aside = Some(Box::new(Aside {
            connection,
            identity,
            until: None,
            copy: Vec::new(),
        }));
        self.settle(now);
        Ok(())
    }

    /// An ICE restart has begun that is not confirmed. One that replaces another goes back to the same facts.
    pub(crate) fn begin_restart(&mut self) {
        let tls_id = self.identity.tls_id;
        let revocable = &mut self.rare.facts().revocable;
        revocable.get_or_insert(Revocable { tls_id });
    }

    /// The ICE restart is confirmed: the peer has moved on, and a successor that failed takes the session with it.
    pub(crate) fn confirm_restart(&mut self, now: Instant) {
        self.take_revocable();
        self.settle(now);
    }

    /// The ICE restart is rolled back, and with it an unfinished successor and what was said since.
    pub(crate) fn roll_back(&mut self) {
        if let Some(revocable) = self.take_revocable() {
            self.identity.tls_id = revocable.tls_id;
        }
        self.drop_aside_if(|aside| aside.until.is_none());
    }

    fn take_revocable(&mut self) -> Option<Revocable> {
        let revocable = self.rare.live()?.revocable.take();
        self.rare.tidy();
        revocable
    }

    fn drop_aside_if(&mut self, over: impl FnOnce(&Aside) -> bool) {
        if let Some(facts) = self.rare.live() {
            facts.aside.take_if(|aside| over(aside));
        }
        self.rare.tidy();
    }

    fn aside(&self) -> Option<&Aside> {
        self.rare.aside.as_deref()
    }

    /// This side's `a=setup` in an answer to `offered`; see [`dtls::answer_setup`].
    pub(crate) fn answer_setup(
        &self,
        offered: Setup,
        preferred: Side,
        exchange: Exchange,
    ) -> Result<Setup, dtls::SetupError> {
        match dtls::answer_setup(offered, self.current.side(), preferred) {
            Err(dtls::SetupError::IncompatibleSetup) if exchange == Exchange::IceRestart => {
                dtls::answer_setup(offered, None, preferred)
            }
            answer => answer,
        }
    }

    /// A path works: associations that wait for one begin, with its round-trip time and this cap on their time-outs.
    pub(crate) fn start(&mut self, now: Instant, rtt: Option<Duration>, cap: Duration) {
        for connection in self.connections() {
            if connection.state() == State::New {
                connection.set_retransmission_cap(cap);
                if let Some(rtt) = rtt {
                    connection.set_rtt_hint(rtt);
                }
                connection.start(now);
            }
        }
    }

    /// The peer receives at the other end of the path: a server need not count what it sends there.
    pub(crate) fn set_path_validated(&mut self) {
        self.connections().for_each(Connection::set_path_validated);
    }

    /// Whether an association counts what it sends on a path that nobody has been heard from.
    pub(crate) fn wants_proof(&self) -> bool {
        let successor = self.successor().map(Connection::is_path_validated);
        !self.current.is_path_validated() || successor == Some(false)
    }

    /// Whether an association waits for a path.
    pub(crate) fn wants_start(&self) -> bool {
        let successor = self.successor().map(Connection::state);
        self.current.state() == State::New || successor == Some(State::New)
    }

    pub(crate) fn set_mtu(&mut self, mtu: usize) -> Result<(), dtls::ApiMisuse> {
        // For all of them or for none.
        if !self
            .connections()
            .all(|connection| connection.allows_mtu(mtu))
        {
            return Err(dtls::ApiMisuse::MtuOutOfRange);
        }
        self.connections()
            .try_for_each(|connection| connection.set_mtu(mtu))
    }

    pub(super) fn set_pace(&mut self, pace: Pace) {
        if std::mem::replace(&mut self.pace, pace) != pace {
            let cap = self.retransmission_cap();
            self.set_retransmission_cap(cap);
        }
    }

    /// What time-outs double up to now.
    pub(super) fn retransmission_cap(&self) -> Duration {
        match self.pace {
            Pace::Soon => Duration::from_millis(self.fresh_cap.into()),
            Pace::Patient => self.current.config().retransmission.cap,
        }
    }

    pub(super) fn set_retransmission_cap(&mut self, cap: Duration) {
        self.connections()
            .for_each(|connection| connection.set_retransmission_cap(cap));
    }

    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8]) -> dtls::Received {
        let received = match self.rare.live().and_then(Facts::aside) {
            None => self.current.handle_datagram(now, datagram),
            Some(_) if is_plaintext(datagram) => self.newest().0.handle_datagram(now, datagram),
            Some(aside) => {
                aside.copy.clear();
                aside.copy.extend_from_slice(datagram);
                match self.current.handle_datagram(now, datagram) {
                    dtls::Received::Dropped(_) => {
                        datagram.copy_from_slice(&aside.copy);
                        aside.connection.handle_datagram(now, datagram)
                    }
                    taken => taken,
                }
            }
        };
        self.settle(now);
        received
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.connections()
            .for_each(|connection| connection.handle_timeout(now));
        self.drop_aside_if(|aside| aside.until.is_some_and(|until| until <= now));
        self.settle(now);
    }

    pub(crate) fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<usize> {
        self.connections()
            .find_map(|connection| connection.poll_transmit(buf))
    }

    /// Whether there certainly is nothing to send: before it begins, or with nothing left to do.
    pub(crate) fn is_silent(&self) -> bool {
        self.current.is_idle() && self.aside().is_none()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [
            self.current.poll_timeout(),
            self.successor().and_then(Connection::poll_timeout),
            self.aside().and_then(|aside| aside.until),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The next event of the association in use. Its transitions continue those of the association before.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.taken_over) {
            return Some(Event::AssociationChange(self.current.association()));
        }
        loop {
            let event = match self.current.poll_event()? {
                dtls::Event::StateChange(transition) => match self.continued(transition) {
                    Some(transition) => Event::DtlsStateChange(transition),
                    None => continue,
                },
                dtls::Event::SrtpReady(profile) => Event::SrtpReady(profile),
                dtls::Event::NeedFingerprints => Event::NeedFingerprints,
                dtls::Event::BecameServer => Event::BecameServer,
                dtls::Event::AeadLimit(limit) => Event::AeadLimit(limit),
                _ => continue,
            };
            return Some(event);
        }
    }

    pub(crate) fn close(&mut self, now: Instant) {
        self.connections()
            .for_each(|connection| connection.close(now));
    }

    fn successor(&self) -> Option<&Connection> {
        let aside = self.aside().filter(|aside| aside.until.is_none())?;
        Some(&aside.connection)
    }

    /// Those that have something to do: the one in use and its successor.
    fn connections(&mut self) -> impl Iterator<Item = &mut Connection> {
        let aside = self.rare.live().and_then(Facts::aside);
        let successor = aside.filter(|aside| aside.until.is_none());
        std::iter::once(&mut self.current).chain(successor.map(|aside| &mut aside.connection))
    }

    /// The same transition as a continuation of what was reported, or `None` if it leads nowhere new. A successor that took
    /// over when it was connected was never seen connecting.
    fn continued(&mut self, mut transition: dtls::Transition) -> Option<dtls::Transition> {
        let seamless =
            self.reported == State::Connected && self.current.state() == State::Connected;
        if seamless && transition.to == State::Connecting {
            return None;
        }
        let from = std::mem::replace(&mut self.reported, transition.to);
        transition.from = from;
        (from != transition.to).then_some(transition)
    }

    /// The successor takes over once it is connected, once there is nothing to succeed, or to end what the peer has left.
    fn settle(&mut self, now: Instant) {
        let Some(successor) = self.successor().map(Connection::state) else {
            return;
        };
        let waits = match successor {
            State::New | State::Connecting => true,
            State::Connected => false,
            _ => self.rare.revocable.is_some(),
        };
        if waits && self.current.state() == State::Connected {
            return;
        }
        self.take_over(now);
    }

    fn take_over(&mut self, now: Instant) {
        let Some(facts) = self.rare.live() else {
            return;
        };
        let Some(aside) = facts.aside.as_deref_mut() else {
            return;
        };
        let old = self.current.state();
        std::mem::swap(&mut self.current, &mut aside.connection);
        std::mem::swap(&mut self.identity, &mut aside.identity);
        aside.until = Some(now + LINGER);
        if old != State::Connected || self.current.state() != State::Connected {
            facts.aside = None;
        }
        // What a rollback restores is of the association before.
        if let Some(revocable) = &mut facts.revocable {
            revocable.tls_id = self.identity.tls_id;
        }
        self.taken_over = true;
        self.rare.tidy();
    }
}

impl Identity {
    fn of(remote: &RemoteDtls) -> Self {
        Self {
            fingerprints: Some(Digest::of(&remote.fingerprints)),
            tls_id: remote.tls_id.as_ref().map(Digest::of),
        }
    }
}

impl fmt::Debug for Associations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Associations")
            .field("current", &self.current.state())
            .field("association", &self.current.association())
            .field("successor", &self.successor().map(Connection::state))
            .finish()
    }
}

/// This side after an exchange: what the peer's leaves over, else what it was.
fn side_after(
    established: Option<Side>,
    local: Setup,
    remote: Setup,
) -> Result<Side, dtls::SetupError> {
    match (remote.side(), established) {
        (None, Some(side)) => Ok(side),
        (Some(theirs), Some(_)) => Ok(theirs.peer()),
        (_, None) => dtls::negotiated_side(local, remote),
    }
}

/// Whether the first record of a datagram is of epoch 0 (RFC 6347 §4.1). A unified header, which has other things in the place of
/// the epoch, is always of a protected one (RFC 9147 §4).
fn is_plaintext(datagram: &[u8]) -> bool {
    let is_unified = datagram.first().is_some_and(|first| first >> 5 == 1);
    !is_unified && datagram.get(3..5) == Some(&[0, 0])
}

#[cfg(test)]
mod tests {
    use super::is_plaintext;

    // req: T65
    #[test]
    fn what_has_a_unified_header_is_not_plaintext_whatever_stands_in_it() {
        let long = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 0];
        assert!(is_plaintext(&long));
        let mut protected = long;
        protected[4] = 1;
        assert!(!is_plaintext(&protected) && !is_plaintext(&long[..4]));
        for first in 0x20..0x40 {
            protected[0] = first;
            protected[4] = 0;
            assert!(!is_plaintext(&protected), "{first:#x}");
        }
    }
}
