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
    pub(crate) fn without_known(&mut self, mut possible: Vec<Possible>) -> Vec<Possible> {
        let known = self.ports_like(&possible);
        let mut by_ports: Vec<(u32, u32)> = (possible.iter().map(|possible| possible.path.ports()))
            .zip(0..)
            .collect();
        by_ports.sort_unstable();
        let mut needless = Vec::new();
        for alike in by_ports.chunk_by_mut(|one, other| one.0 == other.0) {
            match alike {
                [(ports, _)] if !known.contains(ports) => {}
                _ => self.find_needless(&possible, alike, &mut needless),
            }
        }
        if !needless.is_empty() {
            needless.sort_unstable();
            let (mut places, mut needless) = (0.., needless.into_iter().peekable());
            possible.retain(|_| needless.next_if_eq(&places.next().unwrap_or(0)).is_none());
        }
        possible
    }

    /// Which of the possible pairs at these places, all of the same ports, have paths with a pair, or of a better one.
    fn find_needless(
        &mut self,
        possible: &[Possible],
        alike: &mut [(u32, u32)],
        needless: &mut Vec<u32>,
    ) {
        let at = |place: u32| possible.get(place as usize);
        alike.sort_unstable_by_key(|(_, place)| (at(*place).map(|p| p.path.unpack()), *place));
        let mut better: Option<&Packed> = None;
        for (_, place) in alike {
            let Some(possible) = at(*place) else { continue };
            if let Some(known) = self.on_path(&possible.path) {
                known.take_better(possible.local);
                needless.push(*place);
            } else if better.replace(&possible.path) == Some(&possible.path) {
                needless.push(*place);
            }
        }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::candidate::CandidateId;
    use crate::pair::End;

    impl Checklist {
        /// What [`without_known`](Self::without_known) is, path by path.
        fn without_known_one_by_one(&mut self, possible: Vec<Possible>) -> Vec<Possible> {
            let mut new: Vec<Possible> = Vec::new();
            for possible in possible {
                if let Some(known) = self.on_path(&possible.path) {
                    known.take_better(possible.local);
                } else if new.iter().all(|better| better.path != possible.path) {
                    new.push(possible);
                }
            }
            new
        }
    }

    /// A path of few addresses and ports.
    fn path() -> impl Strategy<Value = FiveTuple> {
        let address = |v6: u8, host: u8, port: u16| match v6 {
            0 => std::net::SocketAddr::from(([192, 0, 2, host], port)),
            _ => std::net::SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()], port)),
        };
        (0..2u8, 0..3u8, 1..4u16, 0..3u8, 1..4u16, any::<bool>()).prop_map(
            move |(v6, local, local_port, remote, remote_port, tcp)| FiveTuple {
                protocol: if tcp { Protocol::Tcp } else { Protocol::Udp },
                local: address(v6, local, local_port),
                remote: address(v6, remote, remote_port),
            },
        )
    }

    fn possible() -> impl Strategy<Value = (FiveTuple, u32)> {
        (path(), 1..4u32)
    }

    fn end(priority: u32) -> End {
        End {
            id: CandidateId(priority),
            kind: CandidateType::Host,
            priority,
            epoch: 0,
        }
    }

    fn checklist(paths: &[(FiveTuple, u32)]) -> Checklist {
        let mut checklist = Checklist::default();
        for (place, (path, priority)) in (1..).zip(paths) {
            if checklist.on_path(path).is_none() {
                let mut pair = Pair::new(*path, end(*priority), end(9), PairState::Waiting);
                pair.id = PairId::nth(place);
                checklist.pairs.push(pair);
            }
        }
        checklist
    }

    fn to_form(paths: &[(FiveTuple, u32)]) -> Vec<Possible> {
        let possible = paths.iter().map(|(path, priority)| Possible {
            path: (*path).into(),
            local: end(*priority),
            remote: end(9),
        });
        let mut possible: Vec<Possible> = possible.collect();
        possible.sort_by_key(|possible| Reverse(possible.rank()));
        possible
    }

    proptest! {
        // req: I3
        #[test]
        fn of_each_path_without_a_pair_the_best_is_new(
            known in proptest::collection::vec(possible(), 0..20),
            wanted in proptest::collection::vec(possible(), 0..60),
        ) {
            let (mut quick, mut plain) = (checklist(&known), checklist(&known));
            let new = quick.without_known(to_form(&wanted));
            let by_definition = plain.without_known_one_by_one(to_form(&wanted));
            let names = |new: &[Possible]| -> Vec<_> {
                new.iter().map(|new| (new.path.unpack(), new.local)).collect()
            };
            prop_assert_eq!(names(&new), names(&by_definition));
            let ends = |checklist: &Checklist| -> Vec<_> {
                checklist.pairs.iter().map(|pair| (pair.id, pair.local)).collect()
            };
            prop_assert_eq!(ends(&quick), ends(&plain));
        }
    }
}
