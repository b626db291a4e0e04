//! The pairs that a full checklist has no room for (RFC 8445 §6.1.2.5). They are not kept: while nothing works, they are formed
//! again from the candidates, one at a time, each in the place of a pair that failed or has been silent for long.
//!
//! ```text
//!   a hundred pairs, all under way or failed ──► the next one left out takes the place of
//!      1. a failed pair, the worst first
//!      2. one that was sent to twice without an answer, whose peer was not heard either
//! ```
//!
//! The controlling side begins with the best of them, the controlled one with the worst. They meet in the middle: whichever
//! check arrives first triggers the other's. Each comes up once, so candidates bound how many checks there are, and Ta how
//! fast they are.

use std::cmp::Reverse;

use crate::budget::Credit;
use crate::candidate::CandidateId;
use crate::check::Check;
use crate::checklist::path_of;
use crate::generation::Generation;
use crate::local::Local;
use crate::moment::Moment;
use crate::packed::Packed;
use crate::pair::{End, Pair, PairId, PairState, Ruling};
use crate::remote::Remote;
use crate::role::Role;
use crate::shared::Shared;
use crate::stats::Rare;

/// Orders pairs as their priorities do, whoever controls; no two are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// The lesser priority of the two candidates, then the greater.
    priorities: u64,
    ids: (CandidateId, CandidateId),
}

impl Rank {
    pub(crate) fn of(local: &End, remote: &End) -> Self {
        let least = local.priority.min(remote.priority);
        let most = local.priority.max(remote.priority);
        Self {
            priorities: u64::from(least) << 32 | u64::from(most),
            ids: (local.id, remote.id),
        }
    }
}

/// How far the agent has come with the pairs that are left out.
#[derive(Debug)]
pub(crate) struct LeftOut {
    /// The best of them.
    best: Rank,
    /// The one that was formed last, and the role in which the first was.
    reached: Option<(Rank, Role)>,
}

impl LeftOut {
    /// What of `ranks` comes next.
    fn next<T>(&self, role: Role, ranked: impl Iterator<Item = (Rank, T)>) -> Option<(Rank, T)> {
        let role = self.reached.map_or(role, |(_, role)| role);
        let reached = self.reached.map(|(reached, _)| reached);
        let left = ranked.filter(|(rank, _)| *rank <= self.best);
        match role {
            Role::Controlling => left
                .filter(|(rank, _)| reached.is_none_or(|reached| *rank < reached))
                .max_by_key(|(rank, _)| *rank),
            Role::Controlled => left
                .filter(|(rank, _)| reached.is_none_or(|reached| *rank > reached))
                .min_by_key(|(rank, _)| *rank),
        }
    }
}

/// What two candidates make.
pub(crate) struct Possible {
    pub(crate) path: Packed,
    pub(crate) local: End,
    pub(crate) remote: End,
}

impl Possible {
    #[inline]
    pub(crate) fn of(local: &Local, remote: &Remote) -> Option<Self> {
        Some(Self {
            path: path_of(local, remote)?.into(),
            local: local.end(),
            remote: remote.end(),
        })
    }

    pub(crate) fn rank(&self) -> Rank {
        Rank::of(&self.local, &self.remote)
    }
}

impl Generation {
    /// Makes room for new pairs, the best first, and keeps those of them that stay: failed pairs go, then the worst of those that
    /// wait and of the new ones (RFC 8445 §6.1.2.5).
    pub(crate) fn leave_out_worst(&mut self, shared: &mut Shared, new: &mut Vec<Possible>) {
        let wanted = self.checklist.pairs.len() + new.len();
        let mut excess = wanted.saturating_sub(shared.config.max_pairs);
        while excess > 0
            && let Some(failed) = self.checklist.worst_failed()
        {
            self.checklist.retain(|pair| pair.id != failed);
            excess -= 1;
        }
        let Some(first) = new.first().filter(|_| excess > 0) else {
            return;
        };
        let mut old = self.checklist.giving_way(first.rank());
        let (mut best, mut best_old) = (None, None);
        for _ in 0..excess {
            let worst_new = new.last().map(Possible::rank);
            let worst_old = old.peek().map(|Reverse(rank)| *rank);
            if worst_old.is_some_and(|old| worst_new.is_none_or(|new| old < new)) {
                old.pop();
                (best, best_old) = (worst_old, worst_old);
            } else if new.pop().is_some() {
                best = worst_new;
            }
        }
        if let Some(best) = best_old {
            self.checklist.drop_worst(best);
        }
        shared.stats.add_rare(Rare::PairsDropped, excess as u32);
        if let Some(best) = best {
            self.leave_out(best);
        }
    }

    /// A pair of this rank found no room. All that are left out come up again.
    fn leave_out(&mut self, rank: Rank) {
        let left_out = &mut self.search.seldom_mut().left_out;
        let before = left_out.as_ref().map_or(rank, |left| left.best);
        *left_out = Some(LeftOut {
            best: before.max(rank),
            reached: None,
        });
    }

    /// Whether pairs that were left out are still to be tried, unless what is in use makes them needless.
    pub(crate) fn has_left_out(&self) -> bool {
        self.search.seldom().left_out.is_some()
    }

    pub(crate) fn forget_left_out(&mut self) {
        if let Some(seldom) = self.search.live_seldom() {
            seldom.left_out = None;
        }
    }

    /// Whether a check is to come or under way.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.checklist.is_unfinished() || self.has_left_out()
    }

    /// Forms the next pair that was left out, if one may come up now.
    pub(crate) fn form_left_out(&mut self, shared: &mut Shared, now: Moment) {
        if self.left_out_due(shared).is_none_or(|due| now < due) {
            return;
        }
        let Some(next) = self.next_left_out(shared) else {
            return self.forget_left_out();
        };
        if !self.make_room_for_pair(shared, now) {
            return self.forget_left_out();
        }
        let credit = Credit::of(shared.config.timing.transmissions);
        self.add_pair(shared, next.path, next.local, next.remote, credit);
    }

    /// When the next one may come up: when no pair waits for its turn and there is room, or will be.
    pub(crate) fn left_out_due(&self, shared: &Shared) -> Option<Moment> {
        let state = |wanted| move |pair: &Pair| pair.state() == wanted;
        let pairs = &self.checklist.pairs;
        let waits = pairs.iter().any(state(PairState::Waiting))
            || pairs.iter().any(state(PairState::Frozen));
        if waits || self.selected.is_some() || !self.has_left_out() {
            return None;
        }
        let room = pairs.len() < shared.config.max_pairs || self.checklist.worst_failed().is_some();
        // Vetoed pairs stay: where there are no others, nothing more can come up.
        let hopeless = pairs.iter().all(Pair::is_vetoed);
        match room || hopeless {
            true => self.search.began,
            false => self.silent(shared).map(|(since, _)| since),
        }
    }

    /// The pair that has least to be hoped from of those under way, and since when.
    fn silent(&self, shared: &Shared) -> Option<(Moment, PairId)> {
        let repeated = |check: &&Check| !check.cancelled && check.transaction.sent() > 1;
        let checks = self.checklist.under_way.checks().iter().filter(repeated);
        let silent = checks.filter(|check| {
            self.checklist.get(check.pair).is_some_and(|pair| {
                pair.state() == PairState::InProgress
                    && pair.ruling == Ruling::Open
                    && !self.paths.contains(&pair.path())
            })
        });
        silent
            .map(|check| (check.last_sent + shared.config.timing.rto, check.pair))
            .min()
    }

    /// The next in line that neither is in the checklist nor may never be.
    fn next_left_out(&mut self, shared: &Shared) -> Option<Possible> {
        let role = shared.role?;
        // Of the candidates of one base the best stands for all (RFC 8445 §6.1.2.4).
        let stands = |local: &&Local| {
            let base = local.base();
            let best =
                base.and_then(|base| shared.locals.best_of(local.candidate.protocol(), base));
            best.is_some_and(|best| best.id == local.id)
        };
        let locals: Vec<&Local> = shared.locals.iter().filter(stands).collect();
        loop {
            let ranked = self.remotes.iter().flat_map(|remote| {
                let possible = locals.iter().copied();
                let possible = possible.filter(move |local| path_of(local, remote).is_some());
                possible.map(move |local| {
                    let rank = Rank::of(&local.end(), &remote.end());
                    (rank, (local, remote))
                })
            });
            let left = self.search.live_seldom()?.left_out.as_mut()?;
            let (rank, (local, remote)) = left.next(role, ranked)?;
            let next = Possible::of(local, remote)?;
            let role = left.reached.map_or(role, |(_, role)| role);
            left.reached = Some((rank, role));
            let known = self.checklist.on_path(&next.path).is_some();
            if !known && !self.search.refuses(&next.path) {
                return Some(next);
            }
        }
    }

    /// Makes room for one more pair, if nothing is lost by it: a failed one goes, or one that does not answer.
    pub(crate) fn make_room_for_pair(&mut self, shared: &Shared, now: Moment) -> bool {
        if self.checklist.pairs.len() < shared.config.max_pairs {
            return true;
        }
        let silent = || {
            let (since, pair) = self.silent(shared)?;
            (now >= since).then_some(pair)
        };
        let victim = self.checklist.worst_failed().or_else(silent);
        if let Some(victim) = victim {
            self.checklist.retain(|pair| pair.id != victim);
        }
        victim.is_some()
    }
}
