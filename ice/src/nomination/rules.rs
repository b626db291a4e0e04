//! The rules that policies are made of.

use std::time::Duration;

use super::{Contender, Decision, Keep, Situation, Wish};
use crate::pair::{PairId, PairState};
use crate::role::Role;

/// How long two nominations count as concurrent, 500 ms: a peer that nominates every pair it checks sends them this close.
pub const AGGRESSIVE_WINDOW: Duration = Duration::from_millis(500);

/// Regular nomination (RFC 8445 §8.1.1) among the pairs that `wanted` lets through: the best that has succeeded, as soon
/// as its acceptance wait is over or nothing that would deserve a shorter wait is left to be tested.
pub fn accepted(situation: &Situation<'_>, wanted: impl Fn(&Contender) -> bool) -> Decision {
    let pairs = || situation.pairs().filter(|c| wanted(c));
    let Some(best) = pairs()
        .filter(Contender::has_succeeded)
        .max_by_key(|c| c.priority)
    else {
        return Decision::Nothing;
    };
    let wait = |c: &Contender| situation.acceptance.of(c.pair.local, c.pair.remote);
    let ready = situation.began + wait(&best);
    let better_untested = pairs().any(|c| c.state.is_unfinished() && wait(&c) < wait(&best));
    if situation.now >= ready || !better_untested {
        Decision::Nominate(best.pair.id)
    } else {
        Decision::LookAgain(ready)
    }
}

/// Which pair to use now that the peer wished for `latest`.
///
/// The greater NOMINATION wins. Without one, the latest USE-CANDIDATE wins; but while other pairs got one within
/// [`AGGRESSIVE_WINDOW`], the highest priority among them and the nominated pair does. A wish that came so long before that for
/// the nominated pair, and counts only now because its pair has succeeded only now, is over. Where a switch waits for its round trip
/// to pass, the pair that it leads to counts as the nominated one.
pub fn latest_wish(latest: &Contender, situation: &Situation<'_>) -> PairId {
    let wish_of = |c: &Contender| c.wish.filter(|_| c.has_succeeded());
    let nominated = situation.followed().filter(|c| wish_of(c).is_some());
    let counted = |c: &Contender| wish_of(c).and_then(|wish| wish.nomination);
    let numbered = |c: &Contender| wish_of(c).is_some_and(|wish| wish.numbered);
    if let Some(value) = counted(latest).filter(|_| numbered(latest)) {
        let overtaken = nominated.filter(|c| counted(c).is_some_and(|v| v >= value));
        return overtaken.map_or(latest.pair.id, |c| c.pair.id);
    }
    let (Some(nominated), Some(wish)) = (nominated, latest.wish) else {
        return latest.pair.id;
    };
    let repeated = nominated.pair.id == latest.pair.id;
    if repeated || numbered(&nominated) && counted(&nominated) >= counted(latest) {
        // Without a number a wish is repeated, not changed.
        return nominated.pair.id;
    }
    let later =
        |one: Wish, other: Wish| one.at.saturating_duration_since(other.at) >= AGGRESSIVE_WINDOW;
    if wish_of(&nominated).is_some_and(|newer| later(newer, wish)) {
        return nominated.pair.id;
    }
    let concurrent = |c: &Contender| {
        c.pair.id != latest.pair.id
            && wish_of(c).is_some_and(|other| !later(wish, other) && !later(other, wish))
    };
    let mut aggressive = situation.pairs().filter(concurrent).peekable();
    if aggressive.peek().is_none() {
        return latest.pair.id;
    }
    let all = aggressive.chain([*latest, nominated]);
    all.max_by_key(|c| c.priority)
        .map_or(latest.pair.id, |c| c.pair.id)
}

/// Nomination ends the search (RFC 8445 §8.1.2): the controlling side drops everything else, the controlled one keeps for now
/// what the peer may yet nominate.
pub fn contending(pair: &Contender, situation: &Situation<'_>) -> Keep {
    let may_be_wished = pair.state == PairState::Succeeded || pair.wish.is_some();
    if situation.role == Role::Controlled && may_be_wished {
        Keep::ForNow
    } else {
        Keep::Drop
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::address::FiveTuple;
    use crate::candidate::{CandidateId, CandidateType};
    use crate::moment::Clock;
    use crate::pair::{End, Pair, Wished};
    use crate::timing::AcceptanceWaits;

    fn instant() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to begin with"
        )]
        Instant::now()
    }

    fn pair(id: u32, kind: CandidateType, state: PairState) -> Pair {
        let path = FiveTuple::udp(
            ([192, 0, 2, 1], 1).into(),
            ([192, 0, 2, 2], id as u16).into(),
        );
        let end = |kind| End {
            id: CandidateId(id),
            kind,
            priority: 1,
            epoch: 0,
        };
        let mut pair = Pair::new(path, end(CandidateType::Host), end(kind), state);
        pair.id = PairId::nth(id);
        pair.remote.priority = 1000 - id;
        pair
    }

    fn clock_at(origin: Instant) -> &'static Clock {
        let clock: &Clock = Box::leak(Box::default());
        clock.moment(origin);
        clock
    }

    fn situation(role: Role, now: Instant, began: Instant, pairs: &[Pair]) -> Situation<'_> {
        Situation {
            clock: clock_at(began),
            now,
            began,
            role,
            acceptance: AcceptanceWaits::default(),
            pairs,
            selected: None,
            switch: None,
            checks: &[],
        }
    }

    // req: I10
    #[test]
    fn a_host_pair_is_nominated_at_once_and_others_wait_for_it() {
        use CandidateType::{Host, PeerReflexive, Relayed, ServerReflexive};
        let began = instant();
        let at = |ms| began + Duration::from_millis(ms);
        let choose = |ms, pairs: &[Pair]| {
            accepted(&situation(Role::Controlling, at(ms), began, pairs), |_| {
                true
            })
        };
        for (kind, wait) in [
            (Relayed, 2000),
            (PeerReflexive, 1000),
            (ServerReflexive, 500),
        ] {
            for open in [PairState::Frozen, PairState::Waiting, PairState::InProgress] {
                let pairs = [pair(1, Host, open), pair(2, kind, PairState::Succeeded)];
                assert_eq!(choose(100, &pairs), Decision::LookAgain(at(wait)));
                assert_eq!(choose(wait - 1, &pairs), Decision::LookAgain(at(wait)));
                assert_eq!(choose(wait, &pairs), Decision::Nominate(PairId::nth(2)));
            }
            // Nothing better is untested: no reason to wait.
            let pairs = [
                pair(1, Host, PairState::Failed),
                pair(2, kind, PairState::Succeeded),
                pair(3, kind, PairState::Waiting),
            ];
            assert_eq!(choose(0, &pairs), Decision::Nominate(PairId::nth(2)));
        }
        let both = [
            pair(1, Host, PairState::Succeeded),
            pair(2, Relayed, PairState::Succeeded),
        ];
        assert_eq!(choose(0, &both), Decision::Nominate(PairId::nth(1)));
        assert_eq!(
            choose(0, &[pair(1, Host, PairState::Waiting)]),
            Decision::Nothing
        );
    }

    /// Follows a wish for the last of these, while the first is nominated.
    fn followed(start: Instant, wishes: &[(u32, u64, Option<u32>)]) -> PairId {
        let pairs: Vec<Pair> = wishes
            .iter()
            .map(|(id, at, nomination)| {
                let mut pair = pair(*id, CandidateType::Host, PairState::Succeeded);
                let at = clock_at(start).read(start) + Duration::from_millis(*at);
                pair.wish = Some(Wished::new(at, *nomination));
                pair
            })
            .collect();
        let selected =
            crate::selection::Selected::nominated_for_test(&pairs[0], clock_at(start).read(start));
        let situation = Situation {
            selected: Some(&selected),
            ..situation(Role::Controlled, start, start, &pairs)
        };
        let latest = situation.pairs().last().expect("there are some");
        latest_wish(&latest, &situation)
    }

    // req: I10
    #[test]
    fn the_latest_wish_wins_unless_the_peer_nominates_everything() {
        let start = instant();
        // Ids are in the order of priority, 1 the best.
        assert_eq!(
            followed(start, &[(1, 0, None), (2, 600, None)]),
            PairId::nth(2)
        );
        assert_eq!(
            followed(start, &[(1, 0, None), (2, 500, None)]),
            PairId::nth(2),
            "the window is over"
        );
        assert_eq!(
            followed(start, &[(1, 0, None), (2, 499, None)]),
            PairId::nth(1),
            "within the window the higher priority stays"
        );
        assert_eq!(
            followed(start, &[(3, 0, None), (2, 499, None)]),
            PairId::nth(2),
            "or comes"
        );
        // What was wished for before and works only now.
        assert_eq!(
            followed(start, &[(2, 500, None), (1, 0, None)]),
            PairId::nth(2),
            "the latest wish stays, whatever the priority"
        );
        assert_eq!(
            followed(start, &[(2, 499, None), (1, 0, None)]),
            PairId::nth(1),
            "within the window it does not matter which came first"
        );
        // A nominated pair outside the window still counts against aggressive ones.
        assert_eq!(
            followed(start, &[(1, 0, None), (3, 700, None), (4, 750, None)]),
            PairId::nth(1)
        );
    }

    // req: I10
    #[test]
    fn the_greater_nomination_wins_whatever_the_priority() {
        let start = instant();
        let after = |value, at| followed(start, &[(1, 0, Some(3)), (2, at, value)]);
        assert_eq!(after(Some(4), 0), PairId::nth(2));
        assert_eq!(after(Some(3), 0), PairId::nth(1));
        assert_eq!(after(Some(2), 9000), PairId::nth(1));
        assert_eq!(after(None, 0), PairId::nth(1));
        assert_eq!(after(None, 9000), PairId::nth(1));
    }

    // req: I23
    #[test]
    fn only_the_controlled_side_keeps_what_may_be_wished_for() {
        let start = instant();
        let pairs = [
            pair(1, CandidateType::Host, PairState::Succeeded),
            pair(2, CandidateType::Host, PairState::Waiting),
        ];
        let kept = |role| {
            let situation = situation(role, start, start, &pairs);
            situation
                .pairs()
                .map(|c| contending(&c, &situation))
                .collect::<Vec<_>>()
        };
        assert_eq!(kept(Role::Controlling), [Keep::Drop, Keep::Drop]);
        assert_eq!(kept(Role::Controlled), [Keep::ForNow, Keep::Drop]);
    }
}
