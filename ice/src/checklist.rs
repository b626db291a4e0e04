//! The checklist (RFC 8445 §6.1.2): forming, pruning and ordering pairs, and which to check next.

use crate::address::{FiveTuple, Protocol, in_zone_of, same_scope};
use crate::candidate::{Foundation, TcpType};
use crate::config::Freezing;
use crate::few::Few;
use crate::left_out::Rank;
use crate::local::{Local, LocalCandidates};
use crate::moment::{Clock, Moment};
use crate::pair::{Pair, PairId, PairState, Ruling};
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
pub(crate) fn path_of(local: &Local, remote: &Remote) -> Option<FiveTuple> {
    let (protocol, base) = (local.candidate.protocol(), local.base()?);
    let wildcard_v6 = base.is_ipv6() && base.ip().is_unspecified();
    let address = remote.address.unpack();
    let same_family = base.is_ipv4() == address.is_ipv4() || wildcard_v6;
    let tcp = match (local.candidate.tcp_type(), remote.tcp_type()) {
        // Whoever is passive waits: the pair comes into being when the connection does.
        (Some(TcpType::Passive), _) => false,
        (Some(ours), Some(theirs)) => ours.pairs_with(theirs),
        (None, None) => true,
        _ => false,
    };
    let alike = protocol == remote.protocol() && local.candidate.component() == remote.component;
    (same_family && same_scope(base, address) && tcp && alike).then(|| FiveTuple {
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
    pub(crate) fn on_path(&mut self, path: &FiveTuple) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.path == *path)
    }

    /// Whether a check is still to come or under way.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.pairs.iter().any(|pair| pair.state().is_unfinished())
    }

    /// Adds a pair unless its path has one, which then takes the better of the two candidates: what differs is only
    /// the name of the base (RFC 8445 §6.1.2.4).
    pub(crate) fn add(&mut self, shared: &mut Shared, mut pair: Pair) -> Option<PairId> {
        let role = shared.role?;
        pair.role = role;
        if let Some(known) = self.pairs.iter_mut().find(|known| known.path == pair.path) {
            if matches!(known.state(), PairState::Frozen | PairState::Waiting)
                && pair.local.priority > known.local.priority
            {
                known.local = pair.local;
                known.check_priority = pair.check_priority;
            }
            return Some(known.id);
        }
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

    /// Drops so many of the pairs that wait for their turn or are newer than `newest`, the worst; gives the rank of the best of them.
    pub(crate) fn drop_worst(&mut self, count: usize, newest: PairId) -> Option<Rank> {
        let last = count.checked_sub(1)?;
        let spare = |pair: &&Pair| {
            let waits = matches!(pair.state(), PairState::Frozen | PairState::Waiting)
                && pair.ruling == Ruling::Open
                && !self.under_way.triggered().contains(&pair.id);
            waits || pair.id > newest
        };
        let ranked = |pair: &Pair| (Rank::of(&pair.local, &pair.remote), pair.id);
        let mut worst: Vec<_> = self.pairs.iter().filter(spare).map(ranked).collect();
        let last = last.min(worst.len().checked_sub(1)?);
        let (_, &mut (best, _), _) = worst.select_nth_unstable(last);
        worst.truncate(last + 1);
        worst.sort_unstable_by_key(|(_, id)| *id);
        let dropped = |id: &PairId| worst.binary_search_by_key(id, |(_, id)| *id).is_ok();
        self.retain(|pair| !dropped(&pair.id));
        Some(best)
    }

    /// Keeps some pairs; what was queued or under way for the others goes with them.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Pair) -> bool) {
        self.pairs.retain(keep);
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

/// The foundation of a pair: of both candidates. `None` for what is not known any more.
pub(crate) type FoundationPair = (Option<Foundation>, Option<u32>);
