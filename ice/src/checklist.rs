//! The checklist (RFC 8445 §6.1.2): forming, pruning and ordering pairs, and which to check next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::address::{FiveTuple, Protocol, in_zone_of, same_scope};
use crate::candidate::{CandidateType, TcpType};
use crate::config::Freezing;
use crate::few::Few;
use crate::left_out::{Possible, Rank};
use crate::local::{Local, LocalCandidates};
use crate::moment::{Clock, Moment};
use crate::packed::Packed;
use crate::pair::{Pair, PairId, PairState};
use crate::remote::Remote;
use crate::role::{Mode, Role};
use crate::shared::Shared;
use crate::under_way::UnderWay;

#[derive(Debug, Default)]
pub(crate) struct Checklist {
    pub(crate) pairs: Few<Pair>,
    pub(crate) under_way: UnderWay,
}

/// The path of a pair of these two, if one can be (RFC 8445 §6.1.2.2, RFC 6544 §6.2).
#[inline]
pub(crate) fn path_of(local: &Local, remote: &Remote) -> Option<FiveTuple> {
    // Who was only heard is checked where it was heard (RFC 8445 §7.3.1.3).
    if remote.kind() == CandidateType::PeerReflexive {
        return None;
    }
    let (ours, protocol) = (&local.candidate, remote.protocol());
    let tcp = match (ours.tcp_type(), remote.tcp_type()) {
        // Whoever is passive waits: the pair comes into being when the connection does.
        (Some(TcpType::Passive), _) => false,
        (Some(ours), Some(theirs)) => ours.pairs_with(theirs),
        (None, None) => true,
        _ => false,
    };
    let alike = ours.protocol() == protocol && ours.component() == remote.component;
    if !(tcp && alike) {
        return None;
    }
    let (base, address) = (local.base()?, remote.address.unpack());
    let wildcard_v6 = base.is_ipv6() && base.ip().is_unspecified();
    let same_family = base.is_ipv4() == address.is_ipv4() || wildcard_v6;
    (same_family && same_scope(base, address)).then(|| FiveTuple {
        protocol,
        local: base,
        remote: in_zone_of(address, base),
    })
}

impl Checklist {
    #[inline]
    pub(crate) fn get(&self, id: PairId) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.id == id)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.id == id)
    }

    #[inline]
    pub(crate) fn on_path<P>(&mut self, path: &P) -> Option<&mut Pair>
    where
        Packed: PartialEq<P>,
    {
        self.pairs.iter_mut().find(|pair| pair.path == *path)
    }

    /// Whether a check is still to come or under way.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.pairs.iter().any(|pair| pair.state().is_unfinished())
    }

    /// Those of the possible pairs, the best first, whose paths have none yet. A pair that there is takes the better of the two
    /// candidates: what differs is only the name of the base (RFC 8445 §6.1.2.4).
    pub(crate) fn without_known(&mut self, possible: Vec<Possible>) -> Vec<Possible> {
        let mut ports = self.ports_like(&possible);
        let mut new: Vec<Possible> = Vec::with_capacity(possible.len());
        for possible in possible {
            if ports.contains(&possible.path.ports()) {
                if let Some(known) = self.on_path(&possible.path) {
                    known.take_better(possible.local);
                    continue;
                }
                if new.iter().any(|better| better.path == possible.path) {
                    continue;
                }
            }
            ports.push(possible.path.ports());
            new.push(possible);
        }
        new
    }

    /// The ports of the pairs whose paths may be among those of `possible`. The same path has the same ports, and what is possible
    /// with a new candidate has one of the two in common, which few pairs have too.
    fn ports_like(&self, possible: &[Possible]) -> Vec<u32> {
        let mut of_possible = possible.iter().map(|possible| possible.path.ports());
        let Some(first) = of_possible.next() else {
            return Vec::new();
        };
        let varying = of_possible.fold(0, |varying, ports| varying | (ports ^ first));
        let of_pairs = self.pairs.iter().map(|pair| pair.path.ports());
        of_pairs
            .filter(|ports| (ports ^ first) & !varying == 0)
            .collect()
    }

    /// Adds a pair on a path that has none.
    pub(crate) fn add(&mut self, shared: &mut Shared, mut pair: Pair) -> Option<PairId> {
        pair.role = shared.role?;
        pair.id = shared.next_pair_id();
        let id = pair.id;
        self.pairs.push(pair);
        Some(id)
    }

    /// The worst pair that failed. A vetoed one stays: dropped, it could come again under another name.
    pub(crate) fn worst_failed(&self) -> Option<PairId> {
        let spare = |pair: &&Pair| pair.state() == PairState::Failed && !pair.is_vetoed();
        let failed = self.pairs.iter().filter(spare);
        failed
            .min_by_key(|pair| pair.priority())
            .map(|pair| pair.id)
    }

    /// The pairs that give way to one of this rank, the worst on top.
    pub(crate) fn giving_way(&self, to: Rank) -> BinaryHeap<Reverse<Rank>> {
        let triggered = self.under_way.triggered();
        let worse = self.pairs.iter().filter(|pair| pair.rank() < to);
        let spare = worse.filter(|pair| pair.gives_way(triggered));
        let ranks: Vec<_> = spare.map(|pair| Reverse(pair.rank())).collect();
        ranks.into()
    }

    /// Drops those that give way and are not better than `best`.
    pub(crate) fn drop_worst(&mut self, best: Rank) {
        let triggered = self.under_way.triggered();
        let stays = |pair: &Pair| !pair.gives_way(triggered) || pair.rank() > best;
        self.pairs.retain(stays);
        self.forget_gone();
    }

    /// Keeps some pairs; what was queued or under way for the others goes with them.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Pair) -> bool) {
        self.pairs.retain(keep);
        self.forget_gone();
    }

    fn forget_gone(&mut self) {
        let pairs = &self.pairs;
        let exists = |id: PairId| pairs.iter().any(|pair| pair.id == id);
        self.under_way.retain_triggered(|id| exists(*id));
        self.under_way.retain(|check| exists(check.pair));
    }

    /// Queues a triggered check (RFC 8445 §7.3.1.4).
    pub(crate) fn trigger(&mut self, id: PairId) {
        let Some(pair) = self.get_mut(id) else { return };
        pair.become_state(PairState::Waiting);
        self.under_way.trigger(id);
    }

    /// The next triggered check, in their order (RFC 8445 §6.1.4.2).
    pub(crate) fn next_triggered(&mut self) -> Option<PairId> {
        while let Some(id) = self.under_way.next_triggered() {
            let waiting = |pair: &Pair| pair.state() == PairState::Waiting;
            if self.get(id).is_some_and(waiting) {
                return Some(id);
            }
        }
        None
    }

    /// The next ordinary check: the waiting pair with the highest priority, then a frozen one of a foundation that is
    /// idle (RFC 8445 §6.1.4.2).
    pub(crate) fn next_ordinary(
        &mut self,
        foundations: impl Fn(&Pair) -> FoundationPair,
    ) -> Option<PairId> {
        let in_state = |state| self.pairs.iter().filter(move |pair| pair.state() == state);
        if let Some(pair) = in_state(PairState::Waiting).max_by_key(|pair| pair.priority()) {
            return Some(pair.id);
        }
        let busy: Vec<_> = in_state(PairState::InProgress).map(&foundations).collect();
        let idle = in_state(PairState::Frozen).filter(|pair| !busy.contains(&foundations(pair)));
        let id = idle.max_by_key(|pair| pair.priority())?.id;
        self.get_mut(id)?.become_state(PairState::Waiting);
        Some(id)
    }

    /// Whether there is a check to begin, of either kind.
    pub(crate) fn has_next(&self, foundations: impl Fn(&Pair) -> FoundationPair) -> bool {
        self.pairs.iter().any(|pair| match pair.state() {
            PairState::Waiting => true,
            PairState::Frozen => {
                let of = foundations(pair);
                !self
                    .pairs
                    .iter()
                    .any(|other| other.state() == PairState::InProgress && foundations(other) == of)
            }
            _ => false,
        })
    }

    /// A pair of this foundation succeeded: its like may be checked (RFC 8445 §7.2.5.3.3).
    pub(crate) fn unfreeze(
        &mut self,
        foundation: FoundationPair,
        foundations: impl Fn(&Pair) -> FoundationPair,
    ) {
        for pair in self.pairs.iter_mut() {
            if pair.state() == PairState::Frozen && foundations(pair) == foundation {
                pair.become_state(PairState::Waiting);
            }
        }
    }

    /// The state a new pair begins in.
    pub(crate) fn initial_state(
        &self,
        shared: &Shared,
        foundation: impl FnOnce() -> FoundationPair,
        foundations: impl Fn(&Pair) -> FoundationPair,
    ) -> PairState {
        let lite = shared.mode == Mode::Lite;
        if lite {
            return PairState::Succeeded;
        }
        if shared.config.freezing == Freezing::Off {
            return PairState::Waiting;
        }
        let foundation = foundation();
        let alike = || {
            let alike = |pair: &&Pair| foundations(pair) == foundation;
            self.pairs.iter().filter(alike).map(Pair::state)
        };
        // A foundation that has proven itself stays released (RFC 8838 §12).
        let released = alike().any(|state| state == PairState::Succeeded);
        if !released && alike().any(PairState::is_unfinished) {
            PairState::Frozen
        } else {
            PairState::Waiting
        }
    }

    /// Pairs whose candidate of ours has gone stand on the best that is left of its base, if any is.
    pub(crate) fn rename_ends(&mut self, locals: &LocalCandidates) {
        for pair in self.pairs.iter_mut() {
            let path = pair.path();
            if locals.iter().all(|local| local.id != pair.local.id)
                && let Some(best) = locals.best_of(path.protocol, path.local)
            {
                pair.local = best.end();
            }
        }
    }

    /// Pair priorities depend on who controls.
    pub(crate) fn reprioritize(&mut self, role: Role) {
        for pair in self.pairs.iter_mut() {
            pair.role = role;
        }
    }

    /// The earliest retransmission or end of a check.
    pub(crate) fn deadline(&self, clock: &Clock) -> Option<Moment> {
        let checks = self
            .under_way
            .checks()
            .iter()
            .filter(|check| !check.cancelled);
        checks
            .filter_map(|check| check.transaction.poll_timeout())
            .min()
            .map(|at| clock.read(at))
    }

    pub(crate) fn is_tcp(path: &FiveTuple) -> bool {
        path.protocol == Protocol::Tcp
    }
}

/// The foundation of a pair: what stands for those of both candidates. `None` for what is not known any more.
pub(crate) type FoundationPair = (Option<u32>, Option<u32>);
