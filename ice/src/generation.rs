//! One generation of credentials and all that belongs to it: the peer's parameters and candidates, the checklist, the
//! selected pair. An agent has one, and a second one while a restart is under way (RFC 8445 §9).

use std::net::SocketAddr;
use std::time::Duration;

use floe_stun::{IntegrityKey, Sha1Key};

use crate::agent::RemoteParameters;
use crate::budget::{Credit, ForgeryBudget};
use crate::candidate::{Candidate, CandidateId, CandidateType};
use crate::checklist::{Checklist, FoundationPair};
use crate::end_of_candidates::EndOfCandidates;
use crate::few::Few;
use crate::heard::Heard;
use crate::left_out::Possible;
use crate::moment::Moment;
use crate::packed::Packed;
use crate::pair::{End, Pair, PairId, PairState, Ruling};
use crate::parameters::Parameters;
use crate::paths::Paths;
use crate::remote::Remote;
use crate::role::Mode;
use crate::search::Search;
use crate::selection::Selected;
use crate::shared::Shared;
use crate::state::Reason;
use crate::stats::Rare;
use crate::text::Text;

#[derive(Debug)]
pub(crate) struct Generation {
    /// Counts the agent's generations.
    pub(crate) serial: u16,
    pub(crate) local: Parameters,
    pub(crate) local_key: IntegrityKey,
    pub(crate) peer: Option<Peer>,
    pub(crate) remotes: Few<Remote>,
    pub(crate) end_of_candidates: EndOfCandidates,
    pub(crate) search: Search,
    pub(crate) checklist: Checklist,
    pub(crate) selected: Option<Selected>,
    /// The last value of NOMINATION sent.
    pub(crate) nominations: u32,
    pub(crate) paths: Paths,
    /// What a lite agent was asked lately, and from where.
    pub(crate) heard: Option<Box<Heard>>,
    pub(crate) budget: ForgeryBudget,
    pub(crate) failed: Option<Reason>,
}

/// What the other side told us about itself.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) username_fragment: Text<22>,
    /// Stands for the password too: it is needed for nothing else.
    pub(crate) key: Sha1Key,
    pub(crate) mode: Mode,
    /// In microseconds; 0: it asked for none.
    pacing: u32,
}

impl Peer {
    pub(crate) fn new(remote: &RemoteParameters) -> Self {
        let parameters = &remote.parameters;
        Self {
            username_fragment: Text::of(&[parameters.username_fragment()]),
            key: Sha1Key::short_term(parameters.password().as_bytes()),
            mode: remote.mode,
            pacing: remote.pacing.map_or(0, |pacing| {
                u32::try_from(pacing.as_micros()).unwrap_or(u32::MAX)
            }),
        }
    }

    /// Reads something of what lies behind its key.
    #[inline]
    pub(crate) fn glance(&self) -> u8 {
        self.pacing as u8
    }

    /// The Ta it asked for (RFC 8839 §5.5).
    pub(crate) fn pacing(&self) -> Duration {
        Duration::from_micros(self.pacing.into())
    }

    pub(crate) fn has_fragment(&self, given: &Parameters) -> bool {
        self.username_fragment.as_str() == given.username_fragment()
    }

    pub(crate) fn has_password(&self, given: &Parameters) -> bool {
        self.key.is_of(given.password().as_bytes())
    }
}

impl Generation {
    pub(crate) fn new(serial: u16, local: Parameters) -> Self {
        Self {
            serial,
            local_key: IntegrityKey::sha1_only(local.password().as_bytes()),
            local,
            peer: None,
            remotes: Few::default(),
            end_of_candidates: EndOfCandidates::Open,
            search: Search::new(),
            checklist: Checklist::default(),
            selected: None,
            nominations: 0,
            paths: Paths::default(),
            heard: None,
            budget: ForgeryBudget::default(),
            failed: None,
        }
    }

    pub(crate) fn set_peer(&mut self, shared: &mut Shared, now: Moment, peer: Peer) {
        let fragment = peer.username_fragment.as_str();
        let before = self.remotes.len();
        let waits = self.search.waits();
        (waits.quiet_since, waits.paired_at) = (Some(now), Some(now));
        let strays = self.search.live_seldom().map(|seldom| &mut seldom.strays);
        let mut strays = strays.map(std::mem::take).unwrap_or_default();
        strays.retain(|(_, own)| **own != *fragment);
        self.remotes
            .retain(|r| strays.iter().all(|(id, _)| *id != r.id));
        shared.stats.add_rare(
            Rare::CandidatesIgnored,
            (before - self.remotes.len()) as u32,
        );
        self.settle_early_ends(shared, fragment);
        self.peer = Some(peer);
        self.failed = None;
        self.form_pairs(shared, now, None);
        self.replay_early(shared, now);
    }

    /// Takes a candidate of the peer; `None` if it is of no use.
    pub(crate) fn add_remote(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        candidate: Candidate,
    ) -> Option<CandidateId> {
        let over = self.is_late(shared, &candidate);
        let signalled = candidate.address();
        let address = signalled.filter(|a| shared.config.addresses.allows(*a));
        let (Some(address), false) = (address, over) else {
            shared.stats.count_rare(Rare::CandidatesIgnored);
            shared.stats.add_rare(
                Rare::CandidatesRefused,
                u32::from(signalled.is_some() && address.is_none()),
            );
            return None;
        };
        self.search.waits().quiet_since = Some(now);
        if let Some(id) = self.recognize(shared, now, address, &candidate) {
            return Some(id);
        }
        if !self.make_room(shared, &candidate) {
            shared.stats.count_rare(Rare::RemoteCandidatesDropped);
            return None;
        }
        let id = shared.next_candidate_id();
        if self.peer.is_none()
            && let Some(fragment) = candidate.username_fragment()
        {
            let strays = &mut self.search.seldom_mut().strays;
            strays.retain(|(id, _)| self.remotes.iter().any(|r| r.id == *id));
            strays.push((id, fragment.into()));
        }
        self.remotes.push(Remote::new(id, address, &candidate));
        self.form_pairs(shared, now, Some(id));
        Some(id)
    }

    /// A candidate we know already: signalled twice, or found by a check before it was signalled. The latter keeps its
    /// pairs with their names, states and transactions (RFC 8838 §11.4), and forms those it lacks.
    fn recognize(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        address: SocketAddr,
        candidate: &Candidate,
    ) -> Option<CandidateId> {
        let same = |r: &&Remote| r.address == address && r.protocol() == candidate.protocol();
        let (id, kind) = self.remotes.iter().find(same).map(|r| (r.id, r.kind()))?;
        if kind != CandidateType::PeerReflexive {
            return Some(id);
        }
        if !self.make_room(shared, candidate) {
            // It stays one of those that were only heard, of which there are few.
            shared.stats.count_rare(Rare::RemoteCandidatesDropped);
            return Some(id);
        }
        let signalled = Remote::new(id, address, candidate);
        let end = signalled.end();
        if let Some(known) = self.remotes.iter_mut().find(|r| r.id == id) {
            *known = signalled;
        }
        let credit = Credit::of(shared.config.timing.transmissions);
        let pairs = self.checklist.pairs.iter_mut();
        for pair in pairs.filter(|pair| pair.remote.id == id) {
            pair.remote = end;
            pair.credit.add(credit);
        }
        self.form_pairs(shared, now, Some(id));
        Some(id)
    }

    /// At the cap the candidate with the lowest priority goes (I43).
    /// Each transport has its own: candidates for TCP, which we may not speak, push none for UDP out.
    fn make_room(&mut self, shared: &mut Shared, candidate: &Candidate) -> bool {
        let (priority, protocol) = (candidate.priority(), candidate.protocol());
        let signalled = || {
            self.remotes
                .iter()
                .filter(|r| r.kind() != CandidateType::PeerReflexive && r.protocol() == protocol)
        };
        if signalled().count() < shared.config.max_remote_candidates {
            return true;
        }
        // What is in use stays, whatever it is worth.
        let in_use = self.selected_remote();
        let spare = signalled().filter(|r| Some(r.id) != in_use);
        let Some(least) = spare.min_by_key(|r| r.priority) else {
            return false;
        };
        let (id, least_priority) = (least.id, least.priority);
        if least_priority >= priority {
            return false;
        }
        shared.stats.count_rare(Rare::RemoteCandidatesDropped);
        self.remotes.retain(|r| r.id != id);
        self.checklist.retain(|pair| pair.remote.id != id);
        true
    }

    fn selected_remote(&self) -> Option<CandidateId> {
        self.selected_pair().map(|pair| pair.remote.id)
    }

    /// Forms the pairs that are possible with `newcomer`, or all (RFC 8445 §6.1.2; incrementally, RFC 8838 §10). Those of
    /// others were formed before, or are left out: what has failed and made room since does not come back by itself.
    pub(crate) fn form_pairs(
        &mut self,
        shared: &mut Shared,
        now: Moment,
        newcomer: Option<CandidateId>,
    ) {
        let Some(peer) = &self.peer else { return };
        if self.search.began.is_none() && !self.remotes.is_empty() {
            self.search.waits().began = Some(now);
        }
        let lite = shared.mode == Mode::Lite;
        if lite && peer.mode == Mode::Full {
            // A lite agent has no checklist: its pairs are those the peer checks.
            return;
        }
        let is_new = |id| newcomer.is_none_or(|newcomer| newcomer == id);
        let as_many = shared.locals.iter().len().max(self.remotes.len());
        let mut possible: Vec<Possible> = Vec::with_capacity(as_many);
        for remote in self.remotes.iter() {
            for local in shared.locals.iter() {
                if (is_new(local.id) || is_new(remote.id))
                    && let Some(pair) = Possible::of(local, remote)
                {
                    possible.push(pair);
                }
            }
        }
        possible.retain(|possible| !self.search.refuses(&possible.path));
        possible.sort_unstable_by_key(|possible| std::cmp::Reverse(possible.rank()));
        let mut new = self.checklist.without_known(possible);
        self.leave_out_worst(shared, &mut new);
        let credit = Credit::of(shared.config.timing.transmissions);
        for pair in new {
            self.add_pair(shared, pair.path, pair.local, pair.remote, credit);
        }
    }

    /// A pair on a path that has none.
    pub(crate) fn add_pair(
        &mut self,
        shared: &mut Shared,
        path: impl Into<Packed>,
        local: End,
        remote: End,
        credit: Credit,
    ) -> Option<PairId> {
        let (locals, remotes) = (&shared.locals, &self.remotes);
        let of = |local, remote| foundation_of(locals, remotes, local, remote);
        let state = self.checklist.initial_state(
            shared,
            || of(local.id, remote.id),
            |pair| of(pair.local.id, pair.remote.id),
        );
        let mut pair = Pair::new(path, local, remote, state);
        pair.credit = credit;
        self.checklist.add(shared, pair)
    }

    /// Ta, given what the peer asked for.
    pub(crate) fn pacing(&self, shared: &Shared) -> Duration {
        shared.pacing(self.peer.as_ref().map(Peer::pacing))
    }

    /// A pair ends without success.
    pub(crate) fn fail_pair(&mut self, id: PairId) {
        if let Some(pair) = self
            .checklist
            .get_mut(id)
            .filter(|pair| pair.state() != PairState::Failed)
        {
            pair.become_state(PairState::Failed);
            if pair.ruling == Ruling::Forced {
                pair.ruling = Ruling::Open;
            }
        }
        self.checklist.under_way.retain(|check| check.pair != id);
        if self
            .selected
            .as_ref()
            .is_some_and(|selected| selected.pair == id)
        {
            self.lose_selected(Reason::PairsFailed);
        }
    }
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
        .map(|l| l.candidate.likeness());
    let theirs = remotes
        .iter()
        .find(|r| r.id == remote)
        .map(|r| r.foundation);
    (ours, theirs)
}
