//! The server side of checks (RFC 8445 §7.3): every authenticated request is answered, then it may teach us a
//! candidate, trigger a check, or nominate a pair.

use floe_stun::{FingerprintStatus, IntegrityError, RoleAttribute, Verified};

use crate::address::{FiveTuple, same_scope};
use crate::budget::Credit;
use crate::candidate::{Candidate, CandidateType, Foundation};
use crate::check::Check;
use crate::early::Seen;
use crate::error::DropReason;
use crate::generation::{Generation, Peer};
use crate::moment::Moment;
use crate::pair::{End, Pair, PairId, PairState, Wished};
use crate::remote::Remote;
use crate::role::{Conflict, Mode, Role, conflict};
use crate::shared::{Answer, Moved, Response, Shared};
use crate::stats::Rare;

pub(crate) fn integrity_drop(error: IntegrityError) -> DropReason {
    match error {
        IntegrityError::Missing => DropReason::MissingIntegrity,
        _ => DropReason::BadIntegrity,
    }
}

/// Whether FINGERPRINT is there and right. Asked after the MAC: whoever forges a message forges a CRC as well.
#[inline]
pub(crate) fn intact(fingerprint: FingerprintStatus) -> Result<(), DropReason> {
    match fingerprint {
        FingerprintStatus::Valid => Ok(()),
        FingerprintStatus::Absent => Err(DropReason::MissingFingerprint),
        FingerprintStatus::Invalid => Err(DropReason::BadFingerprint),
    }
}

impl Generation {
    /// A request that has passed its MAC, from who has this fragment. `Verified` is the proof.
    #[inline]
    pub(crate) fn on_request(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        path: &FiveTuple,
        request: &Verified<'_>,
        remote_fragment: &[u8],
    ) -> Result<(), DropReason> {
        shared.stats.requests_received += 1;
        let (sender, role) = (self.peer_named(remote_fragment), request.role());
        // A request of an unknown peer cannot conflict with it (I65).
        let conflict = match sender {
            Some(_) => self.conflict(shared, role),
            None => Conflict::None,
        };
        let answer = self.answer_to(shared, path, request, sender, conflict);
        let from_peer = sender.is_some();
        let response = Response {
            generation: self.serial,
            id: request.transaction_id(),
            algorithm: request.algorithm(),
            answer,
        };
        shared
            .responses
            .push(&mut shared.passing, response, path, request)?;
        let (Answer::Success, Some(priority)) = (answer, request.priority()) else {
            return Ok(());
        };
        if shared.mode == Mode::Lite {
            let (heard, id) = (self.heard.get_or_insert_default(), request.transaction_id());
            if heard.is_replayed(self.local.password(), id, path.remote) {
                return Ok(());
            }
        }
        let nomination = request.nomination();
        let wish =
            (request.use_candidate() || nomination.is_some()).then(|| Wished::new(now, nomination));
        let seen = Seen {
            heard: now,
            priority,
            wish,
            role,
        };
        let known = self.checklist.on_path(path).map(|pair| pair.id);
        let arrived = known.is_some() || shared.locals.base_of(path.protocol, path.local).is_some();
        if !arrived || !from_peer {
            self.remember_early(shared, *path, remote_fragment, seen);
            return Ok(());
        }
        if conflict == Conflict::Switch {
            shared.leave_role();
        }
        match known {
            Some(_) => self.observe_on(shared, now, path, known, seen),
            None => self.observe(shared, now, shared.canonical(*path), seen),
        }
        Ok(())
    }

    #[inline]
    fn answer_to(
        &self,
        shared: &Shared,
        path: &FiveTuple,
        request: &Verified<'_>,
        sender: Option<&Peer>,
        conflict: Conflict,
    ) -> Answer {
        if request.has_unknown_required() {
            Answer::UnknownAttributes
        } else if request.priority().is_none() {
            Answer::BadRequest
        } else if sender.is_some() && self.takes_nothing_from(shared, path) {
            Answer::Forbidden
        } else if conflict == Conflict::Refuse {
            Answer::RoleConflict
        } else {
            Answer::Success
        }
    }

    /// Whether the peer has authenticated itself on this path.
    #[inline]
    pub(crate) fn has_heard(&self, shared: &Shared, path: &FiveTuple) -> bool {
        self.paths.contains(path) || self.hears(shared, &shared.canonical(*path))
    }

    /// The same of a path as pairs have it. The latest are remembered, and of a full agent each on which a pair works: the peer may use
    /// any of those, and all of them are more than are remembered.
    pub(crate) fn hears(&self, shared: &Shared, path: &FiveTuple) -> bool {
        self.paths.contains(path) || self.works_on(shared, path)
    }

    /// Whether a check of ours was answered on this path, or the owner has said as much.
    pub(crate) fn has_proven(&self, shared: &Shared, path: &FiveTuple) -> bool {
        self.paths.is_proven(path) || self.works_on(shared, path)
    }

    /// Whether a check has succeeded there. A lite agent's pairs say nothing of the kind.
    fn works_on(&self, shared: &Shared, path: &FiveTuple) -> bool {
        let works = |pair: &Pair| pair.state() == PairState::Succeeded && pair.path == *path;
        shared.mode == Mode::Full && self.checklist.pairs.iter().any(works)
    }

    /// The peer, if this is its fragment.
    #[inline]
    fn peer_named(&self, remote_fragment: &[u8]) -> Option<&Peer> {
        let peer = self.peer.as_ref();
        peer.filter(|peer| peer.username_fragment.as_bytes() == remote_fragment)
    }

    /// Whether we have failed, or consent has ended on this path: success would be consent to what nobody takes any more.
    #[inline]
    fn takes_nothing_from(&self, shared: &Shared, path: &FiveTuple) -> bool {
        let refused = self.search.refused();
        self.failed.is_some()
            || !refused.is_empty()
                && (refused.contains(path) || refused.contains(&shared.canonical(*path)))
    }

    fn conflict(&self, shared: &Shared, theirs: Option<RoleAttribute>) -> Conflict {
        let mode = shared.mode;
        shared.role.map_or(Conflict::None, |role| {
            conflict(role, mode, shared.tie_breaker, theirs)
        })
    }

    pub(crate) fn settle_role(&self, shared: &mut Shared, theirs: Option<RoleAttribute>) {
        if self.conflict(shared, theirs) == Conflict::Switch {
            shared.leave_role();
        }
    }

    /// What an answered request teaches that came by `path`, which is as pairs have it (RFC 8445 §7.3.1.3 to §7.3.1.5).
    pub(crate) fn observe(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        path: FiveTuple,
        seen: Seen,
    ) {
        let known = self.checklist.on_path(&path).map(|pair| pair.id);
        self.observe_on(shared, now, &path, known, seen);
    }

    #[inline]
    fn observe_on(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        path: &FiveTuple,
        known: Option<PairId>,
        seen: Seen,
    ) {
        if self.failed.is_some() || self.search.refused().contains(path) {
            return;
        }
        self.paths.on_request(path);
        if self.search.began.is_none() {
            self.search.waits().began = Some(now);
        }
        let found = known.or_else(|| self.discover(shared, now, *path, seen.priority));
        let Some(pair) = found.and_then(|id| self.checklist.get_mut(id)) else {
            return;
        };
        let id = pair.id;
        pair.counters.requests_received += 1;
        pair.credit.earn();
        let wish = seen.wish.filter(|_| shared.role == Some(Role::Controlled));
        pair.wish = wish.map(|wish| wish.after(pair.wish)).or(pair.wish);
        let state = pair.state();
        let mut moved = Moved::Nothing;
        if shared.mode == Mode::Lite {
            pair.answered = pair.answered.max(Some(seen.heard));
            let steady = self.is_steady();
            moved = if steady {
                Moved::Deadline
            } else {
                Moved::Anything
            };
            self.renew_consent(shared, seen.heard, id);
        }
        match state {
            PairState::Succeeded if wish.is_some() && !self.has_nominated(id) => {
                match self.must_prove(shared, id) {
                    true => self.prove(shared, now, id),
                    false => self.follow(shared, now, id),
                }
            }
            // The steady state: nothing to find out and nothing to report.
            PairState::Succeeded => shared.moved = moved,
            PairState::InProgress => self.recheck(shared, now, id),
            _ => self.checklist.trigger(id),
        }
    }

    /// A request for a pair whose own check is under way: that check is cancelled and a new one queued, because it may
    /// have met a NAT that is open only now (RFC 8445 §7.3.1.4). Not before its answer had a chance, or two agents
    /// would keep each other busy (I7).
    fn recheck(&mut self, shared: &Shared, now: Moment, id: PairId) {
        let round_trip = self
            .checklist
            .get(id)
            .and_then(|pair| pair.round_trip.smoothed());
        let grace = round_trip.unwrap_or(shared.config.timing.rto / 2);
        let checks = &mut self.checklist.under_way;
        let under_way = |check: &&mut Check| check.pair == id && !check.cancelled;
        let Some(check) = checks.checks_mut().iter_mut().find(under_way) else {
            return;
        };
        if now.saturating_duration_since(check.last_sent) < grace {
            return;
        }
        let cancelled = check.transaction.id();
        check.cancelled = true;
        check.due = false;
        checks.retain(|check| check.pair != id || check.transaction.id() == cancelled);
        self.checklist.trigger(id);
    }

    /// A pair for a path that has none: from a candidate we know, or from a peer-reflexive one (RFC 8445 §7.3.1.3).
    fn discover(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        path: FiveTuple,
        priority: u32,
    ) -> Option<PairId> {
        if !same_scope(path.local, path.remote) {
            return None;
        }
        let local = shared.locals.best_of(path.protocol, path.local)?.end();
        let same = |r: &&Remote| r.address == path.remote && r.protocol() == path.protocol;
        let known = self.remotes.iter().find(same).map(Remote::end);
        if known.is_none() && !self.takes_strangers(shared, now) {
            shared.stats.count_rare(Rare::CandidatesIgnored);
            return None;
        }
        if !self.make_room_for_pair(shared, now) {
            shared.stats.count_rare(Rare::PairsDropped);
            return None;
        }
        let remote = known.unwrap_or_else(|| self.add_peer_reflexive(shared, path, priority));
        self.add_pair(shared, path, local, remote, Credit::EARNED)
    }

    fn add_peer_reflexive(&mut self, shared: &mut Shared, path: FiveTuple, priority: u32) -> End {
        let answered = |id| {
            self.checklist
                .pairs
                .iter()
                .any(|pair| pair.remote.id == id && self.has_proven(shared, &pair.path()))
                || self
                    .selected_pair()
                    .is_some_and(|pair| pair.remote.id == id)
        };
        let unanswered = || {
            self.remotes
                .iter()
                .filter(|r| r.kind() == CandidateType::PeerReflexive && !answered(r.id))
        };
        if unanswered().count() >= shared.config.max_peer_reflexive {
            // The oldest makes room; its request was answered all the same.
            let oldest = unanswered().map(|r| r.id).min();
            self.remotes.retain(|r| Some(r.id) != oldest);
            self.checklist.retain(|pair| Some(pair.remote.id) != oldest);
            shared.stats.count_rare(Rare::PeerReflexiveReplaced);
        }
        let priority = priority.clamp(1, crate::priority::MAX);
        let id = shared.next_candidate_id();
        let candidate =
            Candidate::peer_reflexive(path.protocol, path.remote, path.remote, priority)
                .with_foundation(Foundation::of_stranger(id));
        let remote = Remote::new(id, path.remote, &candidate);
        let end = remote.end();
        self.remotes.push(remote);
        end
    }
}
