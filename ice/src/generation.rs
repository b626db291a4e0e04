//! One generation of credentials and all that belongs to it: the peer's parameters and candidates, the checklist, the
//! selected pair. An agent has one, and a second one while a restart is under way (RFC 8445 §9).

use std::time::{Duration, Instant};

use floe_stun::{IntegrityKey, RoleAttribute};

use crate::address::FiveTuple;
use crate::budget::ForgeryBudget;
use crate::candidate::{Candidate, CandidateId, CandidateType};
use crate::checklist::{Checklist, FoundationPair, Remote, path_of};
use crate::config::{MAX_EARLY_REQUESTS, MAX_REFUSED_PATHS, Trickle};
use crate::consent::{Consent, Liveness};
use crate::pair::{CandidatePair, End, Pair, PairId, PairState, Wish};
use crate::parameters::Parameters;
use crate::paths::Paths;
use crate::role::{Mode, Role};
use crate::shared::Shared;
use crate::state::{GatheringState, Reason};

#[derive(Debug)]
pub(crate) struct Generation {
    /// Counts the agent's generations.
    pub(crate) serial: u32,
    pub(crate) local: Parameters,
    pub(crate) local_key: IntegrityKey,
    pub(crate) peer: Option<Peer>,
    pub(crate) remotes: Vec<Remote>,
    pub(crate) end_of_candidates: EndOfCandidates,
    /// When the peer's last candidate or its parameters came.
    pub(crate) quiet_since: Option<Instant>,
    /// When the parameters came: the patience of RFC 8863 counts from here.
    pub(crate) paired_at: Option<Instant>,
    /// When the checks began.
    pub(crate) began: Option<Instant>,
    pub(crate) checklist: Checklist,
    pub(crate) selected: Option<Selected>,
    /// A switch that has to wait for its round trip to pass.
    pub(crate) deferred: Option<(Instant, PairId)>,
    /// When the nomination's acceptance wait ends.
    pub(crate) acceptance: Option<Instant>,
    /// The last value of NOMINATION sent.
    pub(crate) nominations: u32,
    pub(crate) early: Vec<EarlyRequest>,
    pub(crate) paths: Paths,
    /// Paths whose consent ended under these credentials: they never come back (RFC 7675 §5.1).
    pub(crate) refused: Vec<FiveTuple>,
    pub(crate) budget: ForgeryBudget,
    /// Why the last selected pair was lost.
    pub(crate) lost: Option<Reason>,
    /// How far gathering had come when a restart made this the old generation.
    pub(crate) gathered: GatheringState,
    pub(crate) failed: Option<Reason>,
    pub(crate) integrity_violated: bool,
}

/// What the other side told us about itself.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) parameters: Parameters,
    pub(crate) key: IntegrityKey,
    pub(crate) mode: Mode,
    pub(crate) pacing: Option<Duration>,
}

/// Whether more remote candidates are to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndOfCandidates {
    Open,
    /// Nobody said so, but none came for long.
    Assumed,
    Signalled,
}

/// The pair in use.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) pair: PairId,
    pub(crate) path: FiveTuple,
    pub(crate) nominated: bool,
    pub(crate) since: Instant,
    pub(crate) consent: Consent,
    /// Whether the pairs that were not chosen have been dropped.
    pub(crate) settled: bool,
}

/// An authenticated request that was answered and could not be acted on yet: the peer's parameters or the candidate it
/// arrived at were not known (RFC 8445 §7.3).
#[derive(Debug)]
pub(crate) struct EarlyRequest {
    pub(crate) path: FiveTuple,
    pub(crate) remote_fragment: Box<[u8]>,
    pub(crate) seen: Seen,
}

/// What an authenticated request said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) priority: u32,
    pub(crate) wish: Option<Wish>,
    pub(crate) role: Option<RoleAttribute>,
}

impl Generation {
    pub(crate) fn new(serial: u32, local: Parameters) -> Self {
        Self {
            serial,
            local_key: IntegrityKey::short_term(local.password().as_bytes()),
            local,
            peer: None,
            remotes: Vec::new(),
            end_of_candidates: EndOfCandidates::Open,
            quiet_since: None,
            paired_at: None,
            began: None,
            checklist: Checklist::default(),
            selected: None,
            deferred: None,
            acceptance: None,
            nominations: 0,
            early: Vec::new(),
            paths: Paths::default(),
            refused: Vec::new(),
            budget: ForgeryBudget::default(),
            lost: None,
            gathered: GatheringState::New,
            failed: None,
            integrity_violated: false,
        }
    }

    pub(crate) fn set_peer(&mut self, shared: &mut Shared, now: Instant, peer: Peer) {
        let fragment = peer.parameters.username_fragment();
        let before = self.remotes.len();
        self.remotes.retain(|r| {
            r.candidate
                .username_fragment()
                .is_none_or(|own| own == fragment)
        });
        shared.stats.candidates_ignored += (before - self.remotes.len()) as u64;
        self.peer = Some(peer);
        self.quiet_since = Some(now);
        self.paired_at = Some(now);
        self.form_pairs(shared, now);
        self.replay_early(shared, now);
    }

    /// Takes a candidate of the peer; `None` if it is of no use.
    pub(crate) fn add_remote(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        candidate: Candidate,
    ) -> Option<CandidateId> {
        let over = self.end_of_candidates == EndOfCandidates::Signalled
            && shared.config.trickle == Trickle::UntilEndOfCandidates;
        let address = candidate
            .address()
            .filter(|a| crate::address::is_sendable(*a));
        let (Some(address), false) = (address, over) else {
            shared.stats.candidates_ignored += 1;
            return None;
        };
        self.quiet_since = Some(now);
        if let Some(id) = self.recognize(shared, address, &candidate) {
            return Some(id);
        }
        if !self.make_room(shared, candidate.priority()) {
            shared.stats.candidates_ignored += 1;
            return None;
        }
        let id = shared.next_candidate_id();
        self.remotes.push(Remote {
            id,
            candidate,
            address,
        });
        self.form_pairs(shared, now);
        Some(id)
    }

    /// A candidate we know already: signalled twice, or found by a check before it was signalled. The latter keeps its
    /// pairs with their names, states and transactions (RFC 8838 §11.4).
    fn recognize(
        &mut self,
        shared: &Shared,
        address: SocketAddrOf,
        candidate: &Candidate,
    ) -> Option<CandidateId> {
        let same = |r: &&mut Remote| {
            r.address == address && r.candidate.protocol() == candidate.protocol()
        };
        let known = self.remotes.iter_mut().find(same)?;
        if known.candidate.kind() == CandidateType::PeerReflexive {
            known.candidate = candidate.clone();
            let end = known.end();
            for pair in self
                .checklist
                .pairs
                .iter_mut()
                .filter(|pair| pair.remote.id == end.id)
            {
                pair.remote = end;
            }
            if let Some(role) = shared.role {
                self.checklist.reprioritize(role);
            }
        }
        Some(known_id(&self.remotes, address))
    }

    /// At the cap the candidate with the lowest priority goes (I43).
    fn make_room(&mut self, shared: &mut Shared, priority: u32) -> bool {
        let signalled = || {
            self.remotes
                .iter()
                .filter(|r| r.candidate.kind() != CandidateType::PeerReflexive)
        };
        if signalled().count() < shared.config.max_remote_candidates {
            return true;
        }
        let Some(least) = signalled().min_by_key(|r| r.candidate.priority()) else {
            return true;
        };
        let (id, least_priority) = (least.id, least.candidate.priority());
        if least_priority >= priority || self.selected_remote() == Some(id) {
            return false;
        }
        shared.stats.candidates_ignored += 1;
        self.remotes.retain(|r| r.id != id);
        self.checklist.retain(|pair| pair.remote.id != id);
        true
    }

    fn selected_remote(&self) -> Option<CandidateId> {
        self.selected_pair().map(|pair| pair.remote.id)
    }

    /// Forms the pairs that are possible and not there yet (RFC 8445 §6.1.2; incrementally, RFC 8838 §10).
    pub(crate) fn form_pairs(&mut self, shared: &mut Shared, now: Instant) {
        let Some(peer) = &self.peer else { return };
        if self.began.is_none() && !self.remotes.is_empty() {
            self.began = Some(now);
        }
        let lite = shared.mode == Mode::Lite;
        if lite && peer.mode == Mode::Full {
            // A lite agent has no checklist: its pairs are those the peer checks.
            return;
        }
        let mut possible: Vec<(FiveTuple, End, End)> = Vec::new();
        for remote in &self.remotes {
            for local in shared.locals.iter() {
                let Some(path) = path_of(local, remote) else {
                    continue;
                };
                possible.push((path, local.end(), remote.end()));
            }
        }
        // Best first, so that a full list holds the best.
        possible.sort_by_key(|(_, local, remote)| {
            std::cmp::Reverse((u64::from(local.priority), remote.priority))
        });
        for (path, local, remote) in possible {
            if !self.refused.contains(&path) {
                self.add_pair(shared, path, local, remote);
            }
        }
    }

    pub(crate) fn add_pair(
        &mut self,
        shared: &mut Shared,
        path: FiveTuple,
        local: End,
        remote: End,
    ) -> Option<PairId> {
        let (locals, remotes) = (&shared.locals, &self.remotes);
        let foundation = foundation_of(locals, remotes, local.id, remote.id);
        let state = self.checklist.initial_state(shared, foundation, |pair| {
            foundation_of(locals, remotes, pair.local.id, pair.remote.id)
        });
        self.checklist.add(shared, path, local, remote, state)
    }

    /// Remembers a request for when more is known. One per path and fragment: a retransmission says nothing new.
    pub(crate) fn remember_early(
        &mut self,
        shared: &mut Shared,
        path: FiveTuple,
        remote_fragment: &[u8],
        seen: Seen,
    ) {
        let same = |e: &&mut EarlyRequest| e.path == path && *e.remote_fragment == *remote_fragment;
        if let Some(known) = self.early.iter_mut().find(same) {
            known.seen = Seen {
                wish: seen.wish.or(known.seen.wish),
                ..seen
            };
        } else if self.early.len() < MAX_EARLY_REQUESTS {
            self.early.push(EarlyRequest {
                path,
                remote_fragment: remote_fragment.into(),
                seen,
            });
        } else {
            shared.stats.early_requests_dropped += 1;
        }
    }

    /// Acts on the remembered requests that can be acted on now.
    pub(crate) fn replay_early(&mut self, shared: &mut Shared, now: Instant) {
        let Some(peer) = &self.peer else { return };
        let ours = peer.parameters.username_fragment().as_bytes();
        let known_base =
            |path: &FiveTuple| shared.locals.base_of(path.protocol, path.local).is_some();
        let ripe = |e: &mut EarlyRequest| *e.remote_fragment == *ours && known_base(&e.path);
        let requests: Vec<EarlyRequest> = self.early.extract_if(.., ripe).collect();
        for request in requests {
            self.settle_role(shared, request.seen.role);
            self.observe(shared, now, request.path, request.seen);
        }
    }

    pub(crate) fn selected_pair(&self) -> Option<&Pair> {
        self.selected
            .as_ref()
            .and_then(|selected| self.checklist.get(selected.pair))
    }

    pub(crate) fn selected_view(&self) -> Option<CandidatePair> {
        let selected = self.selected.as_ref()?;
        Some(self.checklist.get(selected.pair)?.view(selected.nominated))
    }

    /// Puts a pair into use.
    pub(crate) fn select(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: PairId,
        nominated: bool,
    ) {
        let Some(pair) = self.checklist.get(id) else {
            return;
        };
        let path = pair.path;
        self.lost = None;
        if let Some(selected) = self
            .selected
            .as_mut()
            .filter(|selected| selected.pair == id)
        {
            selected.nominated |= nominated;
        } else {
            let consent = Consent::new(
                now,
                self.liveness(shared),
                shared.jittered(shared.timing.consent_interval),
            );
            self.selected = Some(Selected {
                pair: id,
                path,
                nominated,
                since: now,
                consent,
                settled: false,
            });
        }
        if nominated {
            self.deferred = None;
            self.acceptance = None;
            self.drop_contenders(shared, id);
        }
    }

    /// Nomination ends the search (RFC 8445 §8.1.2). The controlled side keeps what the peer may yet nominate until
    /// the first consent check.
    fn drop_contenders(&mut self, shared: &Shared, selected: PairId) {
        use crate::config::Nomination;
        let Some(priority) = self.checklist.get(selected).map(|pair| pair.priority) else {
            return;
        };
        let keep_better = shared.config.nomination != Nomination::Regular;
        let keep = |pair: &Pair| match shared.role {
            _ if pair.id == selected => true,
            Some(Role::Controlled) => pair.state() == PairState::Succeeded || pair.wish.is_some(),
            _ => keep_better && pair.priority > priority,
        };
        self.checklist.retain(keep);
    }

    pub(crate) fn liveness(&self, shared: &Shared) -> Liveness {
        match (shared.mode, self.peer.as_ref().map(|peer| peer.mode)) {
            (Mode::Full, _) => Liveness::Responses,
            (Mode::Lite, Some(Mode::Lite)) => Liveness::None,
            (Mode::Lite, _) => Liveness::Requests,
        }
    }

    /// The selected pair is lost: its path is refused when consent was the reason.
    pub(crate) fn lose_selected(&mut self, reason: Reason) {
        let Some(selected) = self.selected.take() else {
            return;
        };
        self.lost = Some(reason);
        self.deferred = None;
        let revoked = !matches!(reason, Reason::CandidateRemoved | Reason::PairsFailed);
        if revoked {
            self.refuse(selected.path);
        }
        self.checklist.retain(|pair| pair.id != selected.pair);
    }

    pub(crate) fn refuse(&mut self, path: FiveTuple) {
        if self.refused.len() >= MAX_REFUSED_PATHS {
            self.refused.remove(0);
        }
        self.refused.push(path);
        self.paths.forget_path(path);
    }

    /// A pair ends without success.
    pub(crate) fn fail_pair(&mut self, id: PairId) {
        if let Some(pair) = self
            .checklist
            .get_mut(id)
            .filter(|pair| pair.state() != PairState::Failed)
        {
            pair.become_state(PairState::Failed);
        }
        self.checklist.checks.retain(|check| check.pair != id);
        if self
            .selected
            .as_ref()
            .is_some_and(|selected| selected.pair == id)
        {
            self.lose_selected(Reason::PairsFailed);
        }
    }

    /// Whether everything that could give us a pair is over, and why (W3C webrtc-pc §5.6.3, RFC 8863 §4).
    pub(crate) fn gives_up(&self, shared: &Shared, now: Instant) -> Option<Reason> {
        let paired_at = self.paired_at?;
        let patient = !shared.locals.is_empty() && now < paired_at + shared.timing.patience;
        let open = shared.gathering != GatheringState::Complete
            || self.end_of_candidates == EndOfCandidates::Open;
        if self.selected.is_some() || self.checklist.is_unfinished() || open || patient {
            return None;
        }
        Some(match self.lost {
            Some(reason) if reason != Reason::PairsFailed => reason,
            _ if self.integrity_violated => Reason::IntegrityViolated,
            _ if shared.mode == Mode::Lite => Reason::RequestsStopped,
            _ if self.checklist.pairs.is_empty() => Reason::NoPairs,
            _ => Reason::ChecksExhausted,
        })
    }

    /// When `gives_up` may change its mind by time alone.
    pub(crate) fn giving_up_deadline(&self, shared: &Shared) -> Option<Instant> {
        let idle =
            self.selected.is_none() && !self.checklist.is_unfinished() && self.failed.is_none();
        let (true, Some(paired_at), Some(quiet_since)) = (idle, self.paired_at, self.quiet_since)
        else {
            return None;
        };
        if self.end_of_candidates == EndOfCandidates::Open {
            return shared
                .timing
                .end_of_candidates
                .map(|after| quiet_since + after);
        }
        let waits = shared.gathering == GatheringState::Complete && !shared.locals.is_empty();
        waits.then(|| paired_at + shared.timing.patience)
    }
}

type SocketAddrOf = std::net::SocketAddr;

fn known_id(remotes: &[Remote], address: SocketAddrOf) -> CandidateId {
    remotes
        .iter()
        .find(|r| r.address == address)
        .map_or(CandidateId(0), |r| r.id)
}

pub(crate) fn foundation_of(
    locals: &crate::local::LocalCandidates,
    remotes: &[Remote],
    local: CandidateId,
    remote: CandidateId,
) -> FoundationPair {
    let ours = locals
        .iter()
        .find(|l| l.id == local)
        .map(|l| l.candidate.foundation());
    let theirs = remotes
        .iter()
        .find(|r| r.id == remote)
        .map(|r| r.candidate.foundation());
    (ours, theirs)
}
