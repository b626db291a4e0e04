//! The peer's candidates and their end, each for the generation that it is signalled for (RFC 8838 §11, §14).

use std::time::Instant;

use super::Agent;
use crate::candidate::{Candidate, CandidateId};
use crate::error::ApiMisuse;
use crate::generation::Generation;
use crate::shared::Shared;
use crate::state::State;
use crate::stats::Rare;

impl Agent {
    /// Adds a candidate of the peer; the same one again is the same id. It may come before the parameters.
    ///
    /// `None`: it was ignored and counted, because it is a name, can never be sent to, belongs to no live generation,
    /// comes after its end-of-candidates, or the list is full of better ones.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::Closed`].
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<Option<CandidateId>, ApiMisuse> {
        let now = self.shared.config.clock.moment(now);
        self.check_open()?;
        let (shared, generation) = self.split_by_peer(candidate.username_fragment());
        let id = match generation {
            Some(generation) => generation.add_remote(shared, now, candidate),
            None => {
                shared.stats.count_rare(Rare::CandidatesIgnored);
                None
            }
        };
        self.update(now);
        Ok(id)
    }

    /// The generation whose peer signals under this username fragment: the newest if it names none, or if that one's peer is
    /// not known yet.
    fn split_by_peer(&mut self, fragment: Option<&str>) -> (&mut Shared, Option<&mut Generation>) {
        let Self {
            shared,
            current,
            previous,
            ..
        } = self;
        let is_meant = |generation: &Generation| match (fragment, &generation.peer) {
            (Some(fragment), Some(peer)) => peer.username_fragment.as_str() == fragment,
            _ => true,
        };
        let old = previous
            .as_deref_mut()
            .filter(|previous| fragment.is_some() && is_meant(previous));
        let generation = match old {
            Some(previous) => Some(previous),
            None => is_meant(current).then_some(current),
        };
        (shared, generation)
    }

    /// The peer's end-of-candidates where the signalling does not say whose (RFC 8838 §14): the newest generation's, whether its
    /// parameters are known yet or not.
    ///
    /// Between [`restart`](Self::restart) with `remote` unknown and the peer's new parameters, one that was sent for the
    /// generation before, and comes late, closes the new one before it has a candidate. Where the signalling names the username
    /// fragment, [`remote_candidates_complete_of`](Self::remote_candidates_complete_of) is the call.
    pub fn remote_candidates_complete(&mut self, now: Instant) {
        self.end_candidates(now, None);
    }

    /// The peer's end-of-candidates under this username fragment of its own, which stands beside it in the signalling (RFC 8838
    /// §14, RFC 8840 §9): it ends that generation's candidates and no other's.
    ///
    /// It may come before the parameters, and is held until they are known, as a candidate that names its fragment is; of more
    /// than four fragments the latest are. What names no live generation is counted
    /// ([`Stats::ends_of_candidates_ignored`](crate::Stats::ends_of_candidates_ignored)) and changes nothing.
    pub fn remote_candidates_complete_of(&mut self, now: Instant, username_fragment: &str) {
        self.end_candidates(now, Some(username_fragment));
    }

    fn end_candidates(&mut self, now: Instant, fragment: Option<&str>) {
        let now = self.shared.config.clock.moment(now);
        if self.state == State::Closed {
            return;
        }
        let (shared, generation) = self.split_by_peer(fragment);
        match generation {
            Some(generation) => generation.take_end_of_candidates(shared, fragment),
            None => shared.stats.count_rare(Rare::EndsOfCandidatesIgnored),
        }
        self.update(now);
    }
}
