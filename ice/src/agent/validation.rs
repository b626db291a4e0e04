//! How a lite agent, which sends no checks, learns that its peer is where the peer says (I56).
//!
//! ```text
//!   nomination on a new path ──► own check ──► answered: the path is proven ──► followed
//!        (the old path carries)      └── not answered: nothing, until the peer nominates it again
//! ```
//!
//! Two lite agents, of which neither is checked by the other, prove the pair they take to each other in the same way, unless
//! their owners know better ([`Agent::set_path_validated`]).
//!
//! The first path of a session is taken at once: nothing flows there yet but the handshake, whose owner keeps to three
//! times what came from there until its end proves the path ([`Agent::set_path_validated`]).

use std::time::Instant;

use super::Agent;
use crate::address::FiveTuple;
use crate::config::Validation;
use crate::consent::Liveness;
use crate::generation::Generation;
use crate::moment::Moment;
use crate::pair::{Pair, PairId};
use crate::role::Mode;
use crate::shared::{Purpose, Shared};
use crate::state::State;

impl Agent {
    /// Whether nobody has shown yet that the peer is at the other end of `path`: a lite agent, and neither a check of its
    /// own was answered there nor [`set_path_validated`](Self::set_path_validated) called. The owner keeps what it sends
    /// there to three times what came from there.
    ///
    /// Never so for a full agent, which uses no other paths than those that answered.
    pub fn awaits_proof(&self, path: &FiveTuple) -> bool {
        self.mode() == Mode::Lite && !self.is_proven(path)
    }

    /// The owner is about to send a datagram to a path that awaits proof: it takes the place of one of the checks that the
    /// peer's requests have paid for, so that no more than two datagrams leave for each that came (I42). False if there
    /// is none to spare; the last one is for the check that brings the proof.
    pub fn spend_check(&mut self, path: &FiveTuple) -> bool {
        let path = self.shared.canonical(*path);
        let pair = self.current.checklist.on_path(&path).map(|pair| pair.id);
        let pair = pair.and_then(|id| self.current.checklist.get_mut(id));
        pair.is_some_and(|pair| pair.credit.spare())
    }

    /// The owner knows that the peer receives at the other end of `path`: a DTLS handshake that ran there and nowhere else
    /// has finished. Nothing happens where nobody was heard, with one exception.
    ///
    /// Two lite agents check nothing (RFC 8445 §6.1.1), so that neither hears the other; the one check of their own that proves
    /// their pair is floe's addition. A lite peer that does not answer it, though RFC 8445 §7.3 has lite agents answer, is
    /// reached on the owner's word: on the pair in use between two lite agents this holds whether anybody was heard there or
    /// not, and what comes from there is taken. Whoever gives his word vouches for addresses that came by signalling and that
    /// nothing has confirmed.
    pub fn set_path_validated(&mut self, path: FiveTuple) {
        let path = self.shared.canonical(path);
        if self.state() != State::Closed
            && (self.accepts_from(&path) || self.current.is_between_lite(&self.shared, &path))
        {
            self.current.paths.on_success(path);
        }
    }

    /// Has a lite agent prove `path` by a check of its own, unless one is under way: the owner wants to send more there than
    /// it may. Nothing happens where nobody was heard.
    pub fn validate_path(&mut self, now: Instant, path: FiveTuple) {
        let now = self.shared.config.clock.moment(now);
        if !self.awaits_proof(&path) || self.state() == State::Closed {
            return;
        }
        let path = self.shared.canonical(path);
        let Some(id) = self.current.checklist.on_path(&path).map(|pair| pair.id) else {
            return;
        };
        self.current.prove(&mut self.shared, now, id);
        self.update(now);
    }
}

impl Generation {
    /// Whether a nomination of this pair has to wait for an own check: wherever the session has a path already, or had one.
    pub(crate) fn must_prove(&self, shared: &Shared, id: PairId) -> bool {
        let moves = self.selected.as_ref().is_some_and(|s| s.pair != id)
            || self.search.lost.is_some()
            || self.serial > 0;
        let path = self.checklist.get(id).map(Pair::path);
        shared.mode == Mode::Lite
            && shared.config.validate_paths == Validation::OwnCheck
            && moves
            && path.is_some_and(|path| !self.paths.is_proven(&path))
    }

    /// Whether this is the pair in use of two lite agents, on which nobody asks anybody anything.
    fn is_between_lite(&self, shared: &Shared, path: &FiveTuple) -> bool {
        let in_use = self.selected_pair().is_some_and(|pair| pair.path == *path);
        in_use && self.liveness(shared) == Liveness::None
    }

    /// Sends the check that proves a lite agent's pair. It is repeated like any other, as far as the peer's requests pay for
    /// it (I42).
    pub(crate) fn prove(&mut self, shared: &mut Shared, now: Moment, id: PairId) {
        if !self
            .checklist
            .under_way
            .checks()
            .iter()
            .any(|check| check.pair == id)
        {
            self.send_check(shared, now, id, Purpose::Connectivity);
        }
    }
}
