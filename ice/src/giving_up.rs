//! When a generation has tried everything (W3C webrtc-pc §5.6.3, RFC 8863 §4).

use crate::candidate::CandidateType;
use crate::end_of_candidates::EndOfCandidates;
use crate::generation::Generation;
use crate::moment::Moment;
use crate::role::Mode;
use crate::shared::Shared;
use crate::state::{GatheringState, Reason};

impl Generation {
    pub(crate) fn assume_end_of_candidates(&mut self, shared: &Shared, now: Moment) {
        let (Some(since), Some(after)) = (
            self.search.quiet_since,
            shared.config.timing.end_of_candidates,
        ) else {
            return;
        };
        if self.end_of_candidates == EndOfCandidates::Open && now >= since + after {
            self.end_of_candidates = EndOfCandidates::Assumed;
        }
    }

    /// Nothing but the peer's answer to a restart can help any more: the waits begin now, unless they have. An answer that
    /// comes after them is still taken.
    pub(crate) fn await_answer(&mut self, now: Moment) {
        if let Some(waits) = self.search.live() {
            waits.paired_at.get_or_insert(now);
            waits.quiet_since.get_or_insert(now);
        }
    }

    /// There is a path meanwhile: the answer to a restart can be waited for.
    pub(crate) fn answer_may_take_its_time(&mut self) {
        if self.peer.is_none()
            && let Some(waits) = self.search.live()
        {
            (waits.paired_at, waits.quiet_since) = (None, None);
        }
    }

    /// Whether the peer's checks from unknown addresses may still add to the checklist. Two NATs that map by destination
    /// and filter by nothing show each other a new address with every check, and would keep two agents at it for ever: as
    /// long as the patience with the signalled candidates is enough for the others.
    pub(crate) fn takes_strangers(&mut self, shared: &Shared, now: Moment) -> bool {
        let mut pairs = self.checklist.pairs.iter();
        let busy = pairs.any(|pair| {
            pair.remote.kind == CandidateType::PeerReflexive && pair.state().is_unfinished()
        });
        let since = &mut self.search.waits().strangers_since;
        if self.selected.is_some() || !busy {
            *since = None;
        }
        let patient = now < *since.get_or_insert(now) + shared.config.timing.patience;
        patient && shared.config.max_peer_reflexive > 0
    }

    /// Whether everything that could give us a pair is over, and why (W3C webrtc-pc §5.6.3, RFC 8863 §4).
    pub(crate) fn gives_up(&self, shared: &Shared, now: Moment) -> Option<Reason> {
        let paired_at = self.search.paired_at?;
        let patient = !shared.locals.is_empty() && now < paired_at + shared.config.timing.patience;
        let open = shared.gathering != GatheringState::Complete
            || self.end_of_candidates == EndOfCandidates::Open;
        if self.selected.is_some() || self.is_unfinished() || open || patient {
            return None;
        }
        Some(match self.search.lost {
            Some(reason) if reason != Reason::PairsFailed => reason,
            _ if self.search.integrity_violated => Reason::IntegrityViolated,
            _ if self.checklist.pairs.is_empty() && shared.stats.has_refused() => {
                Reason::AddressesRefused
            }
            _ if shared.mode == Mode::Lite => Reason::RequestsStopped,
            _ if self.checklist.pairs.is_empty() => Reason::NoPairs,
            _ => Reason::ChecksExhausted,
        })
    }

    /// When `gives_up` may change its mind by time alone.
    pub(crate) fn giving_up_deadline(&self, shared: &Shared) -> Option<Moment> {
        let idle = self.selected.is_none() && !self.is_unfinished() && self.failed.is_none();
        let (true, Some(paired_at), Some(quiet_since)) =
            (idle, self.search.paired_at, self.search.quiet_since)
        else {
            return None;
        };
        if self.end_of_candidates == EndOfCandidates::Open {
            return shared
                .config
                .timing
                .end_of_candidates
                .map(|after| quiet_since + after);
        }
        let waits = shared.gathering == GatheringState::Complete && !shared.locals.is_empty();
        waits.then(|| paired_at + shared.config.timing.patience)
    }
}
