//! From a datagram to its transport, and from an authenticated message to the ownership of its 5-tuple.

use super::{Endpoint, LETTER, farewells::Verdict};
use crate::{
    DropReason, MediaKind, Outcome, Received, Transport, TransportId,
    demux::{self, Kind},
    transport::paths::Standing,
};
use floe_ice::{self as ice, FiveTuple, Moved};
use floe_stun::{Class, Message, TransactionId};
use std::time::Instant;

/// A datagram by its protocol, parsed as far as it has to be to find out whose it is.
#[derive(Debug)]
pub(super) enum Sorted<'d> {
    Stun(Message<'d>),
    Other(Kind, &'d mut [u8]),
    Dropped(DropReason),
}

impl<'d> Sorted<'d> {
    #[inline]
    pub(super) fn of(datagram: &'d mut [u8]) -> Self {
        match demux::classify(datagram) {
            None => Self::Dropped(DropReason::UnknownProtocol),
            Some(Kind::Stun) => match Message::parse(datagram) {
                Ok(message) => Self::Stun(message),
                Err(_) => Self::Dropped(DropReason::MalformedStun),
            },
            Some(kind) => Self::Other(kind, datagram),
        }
    }
}

impl Endpoint {
    /// A datagram arrived on `path`. DTLS records are decrypted in place.
    pub fn handle_datagram<'d>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        datagram: &'d mut [u8],
    ) -> Outcome<'d> {
        let path = path.canonical();
        match Sorted::of(datagram) {
            Sorted::Stun(message) => self.handle_stun(now, &path, &message, None),
            Sorted::Other(kind, datagram) => self.handle_other(now, path, kind, datagram),
            Sorted::Dropped(reason) => self.handle_nothing(reason),
        }
    }

    /// Neither more nor less than a drop counter.
    pub(super) fn handle_nothing<'d>(&mut self, reason: DropReason) -> Outcome<'d> {
        let outcome = self.drop(reason);
        self.count(&outcome);
        outcome
    }

    pub(super) fn handle_stun<'d>(
        &mut self,
        now: Instant,
        path: &FiveTuple,
        message: &Message<'d>,
        guess: Option<u32>,
    ) -> Outcome<'d> {
        let outcome = match message.class() {
            Class::Request => self.handle_request(now, path, message, guess),
            Class::SuccessResponse | Class::ErrorResponse => {
                self.handle_response(now, path, message, guess)
            }
            Class::Indication => match self.by_path(path) {
                Some(id) => self.deliver(now, id, path, message),
                None => self.drop(DropReason::UnknownPath),
            },
        };
        self.count(&outcome);
        outcome
    }

    pub(super) fn handle_other(
        &mut self,
        now: Instant,
        path: FiveTuple,
        kind: Kind,
        datagram: &mut [u8],
    ) -> Outcome<'static> {
        let outcome = match kind {
            Kind::TurnChannelOrQuic if self.is_turn_server(&path) => Outcome::FromTurnServer,
            Kind::Media(kind) => self.handle_media(now, path, kind, datagram),
            kind => self.handle_proven(now, path, kind, datagram),
        };
        self.count(&outcome);
        outcome
    }

    fn count(&mut self, outcome: &Outcome<'_>) {
        self.stats.received += 1;
        self.stats.routed += u64::from(matches!(outcome, Outcome::Routed { .. }));
    }

    /// Media moves counters and nothing else, so that no table is read anew for it.
    fn handle_media<'d>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        kind: MediaKind,
        datagram: &mut [u8],
    ) -> Outcome<'d> {
        if let Some(id) = self.by_path(&path)
            && let Some(transport) = self.slots.get_mut(id)
            && !transport.is_metering()
        {
            return Outcome::Routed {
                transport: id,
                received: transport.handle_media(&path, kind),
            };
        }
        self.handle_proven(now, path, Kind::Media(kind), datagram)
    }

    /// What is not STUN is for whoever has authenticated its 5-tuple.
    fn handle_proven<'d>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        kind: Kind,
        datagram: &mut [u8],
    ) -> Outcome<'d> {
        let Some(id) = self.by_path(&path) else {
            return self.drop(DropReason::UnknownPath);
        };
        if kind == Kind::Dtls && self.handshakes.is_some() {
            let waits =
                |transport: &Transport| transport.is_handshaking() && transport.accepts_from(&path);
            if self.transport(id).is_some_and(waits) {
                return self.put_off(now, id, path, datagram);
            }
        }
        self.deliver_other(now, id, path, kind, datagram)
    }

    pub(super) fn deliver_other<'d>(
        &mut self,
        now: Instant,
        id: TransportId,
        path: FiveTuple,
        kind: Kind,
        datagram: &mut [u8],
    ) -> Outcome<'d> {
        let deliver = |transport: &mut Transport| transport.handle_other(now, path, kind, datagram);
        match self.touch(now, id, deliver) {
            Some(received) => Outcome::Routed {
                transport: id,
                received,
            },
            None => self.drop(DropReason::UnknownPath),
        }
    }

    /// A request is for whoever its username names, wherever it comes from.
    fn handle_request<'d>(
        &mut self,
        now: Instant,
        path: &FiveTuple,
        request: &Message<'d>,
        guess: Option<u32>,
    ) -> Outcome<'d> {
        let found = request
            .username()
            .and_then(|username| self.named_by(username, guess));
        match found {
            Some(id) => self.deliver(now, id, path, request),
            None => self.handle_stranger(now, path, request),
        }
    }

    /// A request for nobody: for who was here lately, or may come to be.
    fn handle_stranger<'d>(
        &mut self,
        now: Instant,
        path: &FiveTuple,
        request: &Message<'d>,
    ) -> Outcome<'d> {
        let username = request.username();
        if username.is_none()
            && let Some(id) = self.by_path(path)
        {
            // It names nobody: who lives where it comes from tells it so, once a second (RFC 8489 §9.1.3).
            return self.deliver(now, id, path, request);
        }
        let Some((local, remote)) = username.and_then(names) else {
            return self.drop(DropReason::MissingUsername);
        };
        let mut buf = [0; LETTER];
        match self
            .farewells
            .judge(now, local, *path, request.as_bytes(), &mut buf)
        {
            Verdict::Refuse(_) if !self.outbox.has_room() => self.drop(DropReason::Overloaded),
            Verdict::Refuse(len) => {
                self.stats.refused += 1;
                self.outbox.post(*path, &buf[..len]);
                Outcome::Refused
            }
            Verdict::Forged => self.drop(DropReason::UnauthenticatedFarewell),
            Verdict::Unknown if !self.strangers.admits(now, path.remote) => {
                self.drop(DropReason::UnknownUfrag)
            }
            Verdict::Unknown => {
                self.stats.unknown_ufrag += 1;
                Outcome::UnknownUfrag {
                    local,
                    remote,
                    from: *path,
                }
            }
        }
    }

    /// A response is for whoever asked. The tag in its transaction id says where to look, the agent compares all of it.
    fn handle_response<'d>(
        &mut self,
        now: Instant,
        path: &FiveTuple,
        response: &Message<'d>,
        guess: Option<u32>,
    ) -> Outcome<'d> {
        let transaction = response.transaction_id();
        let here = guess.or_else(|| self.routes.by_transaction(&transaction));
        let mut place = 0;
        while let Some(id) = self.who_asked(now, &transaction, here, place) {
            let outcome = self.deliver(now, id, path, response);
            if !is_unknown(&outcome) {
                return outcome;
            }
            place += 1;
        }
        match self.is_turn_server(path) {
            true => Outcome::FromTurnServer,
            false => self.drop(DropReason::UnknownTransaction),
        }
    }

    /// The operating system reports that a datagram sent on `path` cannot be delivered: it goes to the transport whose check
    /// `quoted` begins with. See [`Transport::handle_unreachable`].
    pub fn handle_unreachable(
        &mut self,
        now: Instant,
        path: FiveTuple,
        quoted: &[u8],
    ) -> Outcome<'static> {
        let Some(transaction) = TransactionId::quoted(quoted) else {
            return self.drop(DropReason::UnknownTransaction);
        };
        let here = self.routes.by_transaction(&transaction);
        let mut place = 0;
        while let Some(id) = self.who_asked(now, &transaction, here, place) {
            let report =
                |transport: &mut Transport| transport.handle_unreachable(now, path, quoted);
            let received = self.touch(now, id, report);
            let outcome = received.map(|received| Outcome::routed(id, received));
            if let Some(outcome) = outcome.filter(|outcome| !is_unknown(outcome)) {
                return outcome;
            }
            place += 1;
        }
        self.drop(DropReason::UnknownTransaction)
    }

    #[inline(always)]
    fn deliver<'d>(
        &mut self,
        now: Instant,
        id: TransportId,
        path: &FiveTuple,
        message: &Message<'d>,
    ) -> Outcome<'d> {
        let Some(transport) = self.slots.get_mut(id) else {
            return self.drop(DropReason::UnknownTransaction);
        };
        let before = transport.ice().state();
        let (received, moved) = transport.handle_message(now, path, message);
        // The transport itself is at hand, the table of paths may not be.
        let claims = received == Received::Handled
            && transport.paths.standing(path) != Some(Standing::Owned);
        match moved {
            // A check of a session at rest is answered, and that is all.
            Moved::Nothing => self.senders.push(&mut self.slots, id.slot()),
            Moved::Deadline => self.reschedule(now, id.slot()),
            _ => self.follow(now, id, before),
        }
        if claims {
            self.claim(now, id, *path);
        }
        Outcome::Routed {
            transport: id,
            received,
        }
    }

    /// An authenticated message of `id` came by `path`, which it does not own: it is its own if nobody else lives there.
    fn claim(&mut self, now: Instant, id: TransportId, path: FiveTuple) {
        let holder = self.by_path(&path);
        if !self.lives_on(id, &path) || !self.has_room_for(id, &path) {
            return;
        }
        let Some(rival) = holder.filter(|holder| self.lives_on(*holder, &path)) else {
            return self.take(id, path, holder);
        };
        self.stats.contested_tuples += 1;
        let standing = self.standing(id, &path);
        let challenger = self.transport(id);
        let proven = challenger.is_some_and(|challenger| challenger.ice().is_proven(&path));
        if proven && standing != Some(Standing::Lost) {
            self.stats.takeovers += 1;
            self.take(id, path, Some(rival));
            return;
        }
        if standing.is_none() {
            self.set_standing(id, path, Standing::Contested);
        }
        if !proven {
            self.touch(now, id, |challenger| challenger.validate_path(now, path));
        }
    }

    /// The application knows that the peer of `id` receives at the other end of `path`; see
    /// [`Transport::set_path_validated`]. What comes by `path` is its transport's from then on, as it is where an own check was
    /// answered: of a socket bound to a wildcard, whose owner reads the destination of each datagram, `path` has that address as its
    /// local one, and not the wildcard. False if there is no such transport.
    pub fn set_path_validated(&mut self, now: Instant, id: TransportId, path: FiveTuple) -> bool {
        let path = path.canonical();
        let told = self.with(now, id, |transport| transport.set_path_validated(now, path));
        if told.is_some() && self.standing(id, &path) != Some(Standing::Owned) {
            self.claim(now, id, path);
        }
        told.is_some()
    }

    /// Whether a transport may have this path too. Looks for those it needs no longer before it says no.
    fn has_room_for(&mut self, id: TransportId, path: &FiveTuple) -> bool {
        let most = self.config.max_paths;
        let has_room = |transport: &Transport| {
            let paths = &transport.paths;
            paths.standing(path).is_some() || paths.held() < most
        };
        if self.transport(id).is_some_and(has_room) {
            return true;
        }
        self.refresh_paths(id);
        let has_room = self.transport(id).is_some_and(has_room);
        self.stats.paths_refused += u64::from(!has_room);
        has_room
    }

    fn take(&mut self, id: TransportId, path: FiveTuple, from: Option<TransportId>) {
        if let Some(from) = from {
            self.set_standing(from, path, Standing::Lost);
        }
        self.own(id, path);
    }

    /// An attached transport owned `path` where it came from.
    pub(super) fn reclaim(&mut self, id: TransportId, path: FiveTuple) {
        match self
            .by_path(&path)
            .filter(|holder| self.lives_on(*holder, &path))
        {
            Some(_) => self.set_standing(id, path, Standing::Contested),
            None => self.own(id, path),
        }
    }

    fn own(&mut self, id: TransportId, path: FiveTuple) {
        self.routes.set_path(&path, id.slot());
        self.set_standing(id, path, Standing::Owned);
    }

    fn standing(&self, id: TransportId, path: &FiveTuple) -> Option<Standing> {
        self.transport(id)?.paths.standing(path)
    }

    fn set_standing(&mut self, id: TransportId, path: FiveTuple, standing: Standing) {
        if let Some(transport) = self.slots.get_mut(id) {
            transport.paths.set(path, standing);
            self.tellers.push(&mut self.slots, id.slot());
        }
    }

    /// Whose name this is.
    pub(super) fn by_ufrag(&self, ufrag: &[u8]) -> Option<TransportId> {
        let minted = self.minter.bearer_of(ufrag);
        let minted = minted.filter(|slot| self.is_called(*slot, ufrag));
        minted
            .and_then(|slot| self.slots.id_in(slot))
            .or_else(|| self.registered_as(ufrag))
    }

    /// Whose name this is, of those that do not say it themselves.
    fn registered_as(&self, ufrag: &[u8]) -> Option<TransportId> {
        let is_called = |slot| self.is_called(slot, ufrag);
        self.slots.id_in(self.routes.by_ufrag(ufrag, is_called)?)
    }

    /// Whom a username is for: who is in the slot that it says, or whose name has been registered.
    #[inline(always)]
    fn named_by(&self, username: &[u8], guess: Option<u32>) -> Option<TransportId> {
        guess
            .or_else(|| self.minter.bearer_in(username))
            .and_then(|slot| self.named_in(username, slot))
            .or_else(|| self.registered_as(halves(username)?.0))
    }

    /// The transport in this slot, if this username is one of its own.
    fn named_in(&self, username: &[u8], slot: u32) -> Option<TransportId> {
        let transport = self.slots.transport_in(slot)?;
        let is_its = !transport.is_closed() && transport.ice().is_named_in(username);
        is_its.then(|| self.slots.id_in(slot)).flatten()
    }

    /// Whether the transport in this slot has this name.
    pub(super) fn is_called(&self, slot: u32, ufrag: &[u8]) -> bool {
        self.slots
            .transport_in(slot)
            .is_some_and(|transport| !transport.is_closed() && transport.ice().is_called(ufrag))
    }

    fn by_path(&self, path: &FiveTuple) -> Option<TransportId> {
        self.slots.id_in(self.routes.by_path(path)?)
    }

    /// Who may have begun this transaction, one after the other: who is where it was begun, if that was here, and those that
    /// have come from where it was. All but one of them know nothing of it.
    fn who_asked(
        &self,
        now: Instant,
        id: &TransactionId,
        here: Option<u32>,
        place: usize,
    ) -> Option<TransportId> {
        match (here.and_then(|slot| self.slots.id_in(slot)), place) {
            (Some(id), 0) => Some(id),
            (here, place) => {
                let mut former = self.routes.by_former_transaction(now, id);
                former.nth(place - usize::from(here.is_some()))
            }
        }
    }

    /// Whether a transport is alive and still takes what comes by `path`.
    fn lives_on(&self, id: TransportId, path: &FiveTuple) -> bool {
        self.transport(id)
            .is_some_and(|transport| transport.accepts_from(path))
    }

    /// Lets go of the paths that a transport no longer takes anything from.
    pub(super) fn refresh_paths(&mut self, id: TransportId) {
        let Some(transport) = self.slots.get_mut(id) else {
            return;
        };
        while let Some(path) = transport.release_path() {
            self.routes.remove_path(&path, id.slot());
        }
    }

    /// In whose slot to look first for whom a datagram is. Not an answer: it may be nobody's.
    pub(super) fn guess(&self, path: &FiveTuple, sorted: &Sorted<'_>) -> Option<u32> {
        match sorted {
            Sorted::Stun(message) => match message.class() {
                Class::Request => {
                    let username = message.username()?;
                    let said = self.minter.bearer_in(username);
                    let said = said.filter(|slot| self.slots.has(*slot));
                    said.or_else(|| self.routes.by_ufrag(halves(username)?.0, |_| true))
                }
                Class::Indication => self.routes.by_path(path),
                _ => self.routes.by_transaction(&message.transaction_id()),
            },
            Sorted::Other(..) => self.routes.by_path(path),
            Sorted::Dropped(_) => None,
        }
    }

    #[inline]
    pub(super) fn is_turn_server(&self, path: &FiveTuple) -> bool {
        let servers = &self.config.turn_servers;
        !servers.is_empty() && servers.contains(&path.remote)
    }

    pub(super) fn drop<'d>(&mut self, reason: DropReason) -> Outcome<'d> {
        self.stats.dropped.add(reason);
        Outcome::Dropped(reason)
    }
}

/// The two username fragments of `ours:theirs` (RFC 8445 §7.2.2).
fn halves(username: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = username.iter().position(|byte| *byte == b':')?;
    let (ours, rest) = username.split_at_checked(colon)?;
    Some((ours, rest.get(1..)?))
}

/// The same for who is told of a stranger, and has to be able to print its name.
pub(super) fn names(username: &[u8]) -> Option<(&str, &str)> {
    let (ours, theirs) = halves(username)?;
    Some((str::from_utf8(ours).ok()?, str::from_utf8(theirs).ok()?))
}

fn is_unknown(outcome: &Outcome<'_>) -> bool {
    let unknown = DropReason::Ice(ice::DropReason::UnknownTransaction);
    matches!(outcome, Outcome::Routed { received: Received::Dropped(reason), .. } if *reason == unknown)
}
