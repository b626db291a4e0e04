//! End-of-candidates of the peer (RFC 8838 §14): of which generation, and what comes after it.

use crate::candidate::Candidate;
use crate::config::Trickle;
use crate::generation::Generation;
use crate::shared::Shared;
use crate::stats::Rare;

/// How many indications are held while the parameters are not known. Those of more generations than can live are long late.
const MAX_EARLY_ENDS: usize = 4;

/// Whether more remote candidates are to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndOfCandidates {
    Open,
    /// Nobody said so, but none came for long.
    Assumed,
    Signalled,
}

impl Generation {
    /// The indication, for this generation or for what is named and may turn out to be this one.
    pub(crate) fn take_end_of_candidates(&mut self, shared: &mut Shared, fragment: Option<&str>) {
        let Some(fragment) = fragment.filter(|_| self.peer.is_none()) else {
            self.end_of_candidates = EndOfCandidates::Signalled;
            return;
        };
        let ends = &mut self.search.seldom_mut().early_ends;
        if ends.iter().any(|known| **known == *fragment) {
            return;
        }
        if ends.len() >= MAX_EARLY_ENDS {
            ends.remove(0);
            shared.stats.count_rare(Rare::EndsOfCandidatesIgnored);
        }
        ends.push(fragment.into());
    }

    /// The peer's fragment has become known: what was held under it counts, what was held under others never will.
    pub(crate) fn settle_early_ends(&mut self, shared: &mut Shared, fragment: &str) {
        let ends = self
            .search
            .live_seldom()
            .map(|seldom| &mut seldom.early_ends);
        let ends = ends.map(std::mem::take).unwrap_or_default();
        let others = ends.iter().filter(|end| ***end != *fragment).count();
        if others < ends.len() {
            self.end_of_candidates = EndOfCandidates::Signalled;
        }
        let kind = Rare::EndsOfCandidatesIgnored;
        shared.stats.add_rare(kind, others as u32);
    }

    /// Whether this candidate comes after its end-of-candidates (RFC 8838 §14).
    pub(crate) fn is_late(&self, shared: &Shared, candidate: &Candidate) -> bool {
        let held = |fragment: &str| {
            self.search
                .seldom()
                .early_ends
                .iter()
                .any(|end| **end == *fragment)
        };
        shared.config.trickle == Trickle::UntilEndOfCandidates
            && (self.end_of_candidates == EndOfCandidates::Signalled
                || candidate.username_fragment().is_some_and(held))
    }
}
