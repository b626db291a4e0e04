//! What the caller tells the agent: candidates, parameters, timers, the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_stun::RouteKey;

use super::Agent;
use crate::address::Protocol;
use crate::candidate::{Candidate, CandidateId, CandidateType};
use crate::config::Config;
use crate::error::ApiMisuse;
use crate::event::{Event, GatheredGeneration};
use crate::generation::Peer;
use crate::local::Local;
use crate::moment::Moment;
use crate::parameters::Parameters;
use crate::role::{Mode, Role};
use crate::state::{GatheringState, Reason, State};
use crate::timing::Timing;

/// What the other side signals about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteParameters {
    /// Its username fragment and password.
    pub parameters: Parameters,
    /// Whether it said `ice-lite`. Default: full.
    pub mode: Mode,
    /// Its `ice-pacing`, if it said so (RFC 8839 §5.5). The larger of it and ours counts.
    pub pacing: Option<Duration>,
}

impl RemoteParameters {
    /// A full peer that asks for no pacing.
    pub fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            mode: Mode::Full,
            pacing: None,
        }
    }
}

/// What removing a candidate did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "removing the candidate of the selected pair cuts the connection"]
#[non_exhaustive]
pub enum Removal {
    /// There is no candidate with that address.
    NotFound,
    /// It is gone.
    Removed,
    /// It is gone, and the selected pair with it.
    SelectedPairLost,
}

impl Agent {
    /// Mints transaction ids that carry `tag` under `key` from now on, so that an endpoint finds the agent a response
    /// is for (the whole id is compared here all the same).
    pub fn set_route(&mut self, key: impl Into<Arc<RouteKey>>, tag: u32) {
        self.shared.ids.set_route(key);
        self.shared.tag = tag;
    }

    /// Adds a candidate of ours; the same one again is the same id, on a newer network if its epoch is greater. Host candidates are the caller's sockets.
    ///
    /// Candidates survive a restart. A full agent may add them whenever; after gathering is complete that changes no state. A
    /// lite agent has one per IP address and transport, and none that come after they are complete (RFC 8445 §5.2).
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::CandidateWithoutAddress`], [`ApiMisuse::PeerReflexiveIsNotAdded`], [`ApiMisuse::TooManyLocalCandidates`]
    /// beyond [`Config::max_local_candidates`], [`ApiMisuse::Closed`]; of a lite agent
    /// [`ApiMisuse::LiteTakesHostCandidatesOnly`], [`ApiMisuse::LiteHasOneCandidatePerAddress`] and
    /// [`ApiMisuse::LiteCandidatesAreFixed`].
    pub fn add_local_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<CandidateId, ApiMisuse> {
        let now = self.shared.config.clock.moment(now);
        self.check_open()?;
        let (Some(address), Some(base)) = (candidate.address(), candidate.base()) else {
            return Err(ApiMisuse::CandidateWithoutAddress);
        };
        match candidate.kind() {
            CandidateType::PeerReflexive => return Err(ApiMisuse::PeerReflexiveIsNotAdded),
            CandidateType::Host => {}
            _ if self.mode() == Mode::Lite => return Err(ApiMisuse::LiteTakesHostCandidatesOnly),
            _ => {}
        }
        let known = self.shared.locals.find(candidate.protocol(), address, base);
        let known = known.map(|known| known.id);
        if known.is_none() {
            self.check_room_for(candidate.protocol(), address)?;
        }
        if self.shared.gathering == GatheringState::New {
            self.set_gathering(GatheringState::Gathering);
        }
        if let Some(id) = known {
            self.raise_epoch(now, base, candidate.epoch());
            return Ok(id);
        }
        let id = self.shared.next_candidate_id();
        self.shared.locals.push(Local::new(id, candidate));
        self.pair_with(now, id);
        self.update(now);
        Ok(id)
    }

    /// A candidate of ours is new. Of the old generation it is one too as long as the restart may be taken back.
    fn pair_with(&mut self, now: Moment, id: CandidateId) {
        let restarting = self.is_restarting();
        let previous = self.previous.as_deref_mut();
        let previous = previous.filter(|old| restarting && old.failed.is_none());
        for generation in std::iter::once(&mut self.current).chain(previous) {
            generation.form_pairs(&mut self.shared, now, Some(id));
            generation.replay_early(&mut self.shared, now);
        }
    }

    /// What is found on a base belongs to the network that the base is on now.
    fn raise_epoch(&mut self, now: Moment, base: SocketAddr, epoch: u16) {
        if !self.shared.locals.raise_epoch(base, epoch) {
            return;
        }
        for generation in std::iter::once(&mut self.current).chain(self.previous.as_deref_mut()) {
            let pairs = generation.checklist.pairs.iter_mut();
            for pair in pairs.filter(|pair| pair.path().local == base) {
                pair.local.epoch = epoch;
            }
        }
        self.update(now);
    }

    /// Whether a new candidate of ours may stand there.
    fn check_room_for(&self, protocol: Protocol, address: SocketAddr) -> Result<(), ApiMisuse> {
        if self.shared.locals.added() >= self.shared.config.max_local_candidates {
            return Err(ApiMisuse::TooManyLocalCandidates);
        }
        match self.mode() {
            Mode::Full => Ok(()),
            Mode::Lite => self.check_lite_candidate(protocol, address),
        }
    }

    fn check_lite_candidate(
        &self,
        protocol: Protocol,
        address: SocketAddr,
    ) -> Result<(), ApiMisuse> {
        if self.shared.gathering == GatheringState::Complete {
            return Err(ApiMisuse::LiteCandidatesAreFixed);
        }
        let known = |local: &Local| {
            local.candidate.protocol() == protocol
                && local
                    .address()
                    .is_some_and(|known| known.ip() == address.ip())
        };
        match self.shared.locals.iter().any(known) {
            true => Err(ApiMisuse::LiteHasOneCandidatePerAddress),
            false => Ok(()),
        }
    }

    /// Removes what stands on this transport address: every candidate of that base, or the one announced so. A base
    /// without candidates loses its pairs.
    pub fn remove_local_candidate(&mut self, now: Instant, address: SocketAddr) -> Removal {
        let now = self.shared.config.clock.moment(now);
        let bases = self
            .shared
            .locals
            .remove(crate::address::canonical(address));
        let orphaned: Vec<_> = bases
            .iter()
            .filter(|(protocol, base)| self.shared.locals.best_of(*protocol, *base).is_none())
            .map(|(_, base)| *base)
            .collect();
        for generation in std::iter::once(&mut self.current).chain(self.previous.as_deref_mut()) {
            generation.checklist.rename_ends(&self.shared.locals);
        }
        let removal = self.remove_pairs(now, |path| orphaned.contains(&path.local));
        if bases.is_empty() {
            Removal::NotFound
        } else {
            removal
        }
    }

    /// No more local candidates are to come in this generation: gathering is complete.
    pub fn local_candidates_complete(&mut self, now: Instant) {
        let now = self.shared.config.clock.moment(now);
        if self.state != State::Closed {
            if self.shared.gathering == GatheringState::New {
                self.set_gathering(GatheringState::Gathering);
            }
            if self.shared.gathering != GatheringState::Complete {
                let newest = Event::EndOfCandidates(GatheredGeneration::Newest);
                self.shared.tell(newest);
            }
            self.set_gathering(GatheringState::Complete);
            self.update(now);
        }
    }

    /// No more local candidates are to come in the generation of this username fragment of ours: for who gathers for a
    /// generation while a restart begins the next one. The end of the older of two completes nothing but that one, which
    /// is what a rollback goes back to (W3C webrtc-pc §5.6). Of any other, nothing happens.
    pub fn local_candidates_complete_of(&mut self, now: Instant, username_fragment: &str) {
        if self.current.local.username_fragment() == username_fragment {
            return self.local_candidates_complete(now);
        }
        let restarting = self.is_restarting() && self.state != State::Closed;
        let former = self
            .previous
            .as_deref_mut()
            .filter(|former| restarting && former.local.username_fragment() == username_fragment);
        if let Some(former) = former
            && !std::mem::replace(&mut former.search.waits().gathered, true)
        {
            let former = Event::EndOfCandidates(GatheredGeneration::Former);
            self.shared.tell(former);
        }
    }

    /// The peer's credentials and mode, for the newest generation. The role follows from them, once and for all
    /// generations (RFC 8445 §6.1.1).
    ///
    /// The same again changes nothing; others need [`restart`](Self::restart).
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::RemoteParametersChangeNeedsRestart`]; [`ApiMisuse::RestartKeepsACredential`] when only one of the two is
    /// new, or either is that of the generation before (RFC 8445 §9); [`ApiMisuse::Closed`].
    pub fn set_remote_parameters(
        &mut self,
        now: Instant,
        remote: RemoteParameters,
    ) -> Result<(), ApiMisuse> {
        let now = self.shared.config.clock.moment(now);
        self.check_open()?;
        if let Some(peer) = &self.current.peer {
            return same_parameters(peer, &remote.parameters);
        }
        if let Some(peer) = self
            .previous
            .as_ref()
            .and_then(|previous| previous.peer.as_ref())
        {
            check_peer_changes(peer, &remote.parameters)?;
        }
        self.take_peer(now, remote);
        self.update(now);
        Ok(())
    }

    pub(super) fn take_peer(&mut self, now: Moment, remote: RemoteParameters) {
        let mode = self.shared.mode;
        let fixed = Role::determine(self.shared.initiation, mode, remote.mode);
        let role = match remote.mode == mode {
            // Between equals the role is negotiated, and stays as the last conflict left it.
            true => *self.shared.role.get_or_insert(fixed),
            false => fixed,
        };
        let before = self.shared.role.replace(role);
        if before.is_some_and(|before| before != role) {
            self.shared.tell(Event::RoleChange(role));
        }
        let peer = Peer::new(&remote);
        self.current.set_peer(&mut self.shared, now, peer);
    }

    /// Removes the peer's candidates with this transport address, and their pairs, in every generation.
    pub fn remove_remote_candidate(&mut self, now: Instant, address: SocketAddr) -> Removal {
        let now = self.shared.config.clock.moment(now);
        let address = crate::address::canonical(address);
        let mut found = false;
        for generation in std::iter::once(&mut self.current).chain(self.previous.as_deref_mut()) {
            let before = generation.remotes.len();
            generation
                .remotes
                .retain(|remote| remote.address != address);
            found |= generation.remotes.len() != before;
        }
        let removal = self.remove_pairs(now, |path| path.remote == address);
        if found { removal } else { Removal::NotFound }
    }

    fn remove_pairs(&mut self, now: Moment, gone: impl Fn(&crate::FiveTuple) -> bool) -> Removal {
        let mut removal = Removal::Removed;
        for generation in std::iter::once(&mut self.current).chain(self.previous.as_deref_mut()) {
            if generation
                .selected_pair()
                .is_some_and(|pair| gone(&pair.path()))
            {
                generation.lose_selected(Reason::CandidateRemoved);
                removal = Removal::SelectedPairLost;
            }
            generation.checklist.retain(|pair| !gone(&pair.path()));
        }
        if self.state != State::Closed {
            self.update(now);
        }
        removal
    }

    /// The caller authenticated traffic from the peer (SRTP, DTLS). It keeps a busy path from being called
    /// `disconnected`; it never renews consent. Cheap enough for every packet.
    pub fn note_authenticated_traffic(&mut self, now: Instant) {
        let now = self.shared.config.clock.moment(now);
        let disconnected = self.state == State::Disconnected;
        for generation in std::iter::once(&mut self.current).chain(self.previous.as_deref_mut()) {
            if let Some(selected) = &mut generation.selected {
                selected.consent.note_traffic(now);
            }
        }
        if disconnected {
            self.update(now);
        }
    }

    /// The peer took its consent back by other means: a close_notify or a fatal alert, both authenticated by the caller.
    /// Sending stops at once, on every pair of every generation: only a restart begins anew (RFC 7675 §5.2).
    pub fn revoke_consent(&mut self, now: Instant, reason: Reason) {
        let now = self.shared.config.clock.moment(now);
        if self.state == State::Closed {
            return;
        }
        for generation in std::iter::once(&mut self.current).chain(self.previous.as_deref_mut()) {
            generation.lose_selected(reason);
            generation.fail(reason);
        }
        self.update(now);
    }

    /// Other timers, from now on: what is pending is armed anew (I24). The agent has a configuration of its own from then
    /// on, and no longer the one that it shared.
    pub fn set_timing(&mut self, now: Instant, timing: Timing) {
        let now = self.shared.config.clock.moment(now);
        let remote = self.current.peer.as_ref().map(Peer::pacing);
        let config = Arc::new(Config {
            timing: timing.bounded(),
            ..Config::clone(&self.shared.config)
        });
        let old = std::mem::replace(&mut self.shared.config, config);
        let (before, after) = (old.timing.pacing_with(remote), self.shared.pacing(remote));
        rearm(
            &mut self.shared.passing.turn_mut().next_check,
            before,
            after,
        );
        let linger = self.shared.config.timing.generation_linger;
        rearm(
            &mut self.shared.passing.turn_mut().retire_at,
            old.timing.generation_linger,
            linger,
        );
        for generation in std::iter::once(&mut self.current).chain(self.previous.as_deref_mut()) {
            generation.retime(&mut self.shared, now);
        }
        if self.state != State::Closed {
            self.update(now);
        }
    }

    /// The end. One last state change is reported; nothing is sent or answered any more (see
    /// [`revoked`](Self::revoked) for what still may be).
    pub fn close(&mut self, now: Instant) {
        let now = self.shared.config.clock.moment(now);
        if self.state == State::Closed {
            return;
        }
        self.change_state(now, State::Closed, Reason::Closed);
        self.shared.responses.clear(&mut self.shared.passing);
        self.shared.return_slot();
        self.selected = None;
        self.deadline = None;
    }

    pub(super) fn check_open(&self) -> Result<(), ApiMisuse> {
        if self.state == State::Closed {
            Err(ApiMisuse::Closed)
        } else {
            Ok(())
        }
    }
}

/// What was due `before` after something happened is due `after` it.
fn rearm(at: &mut Option<Moment>, before: Duration, after: Duration) {
    if let Some(at) = at {
        *at = at.checked_sub(before).unwrap_or(*at) + after;
    }
}

/// Credentials change together or not at all (RFC 8445 §9).
pub(super) fn check_peer_changes(peer: &Peer, new: &Parameters) -> Result<(), ApiMisuse> {
    if peer.has_fragment(new) || peer.has_password(new) {
        return Err(ApiMisuse::RestartKeepsACredential);
    }
    Ok(())
}

fn same_parameters(peer: &Peer, given: &Parameters) -> Result<(), ApiMisuse> {
    if peer.has_fragment(given) && peer.has_password(given) {
        return Ok(());
    }
    check_peer_changes(peer, given)?;
    Err(ApiMisuse::RemoteParametersChangeNeedsRestart)
}
