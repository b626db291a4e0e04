//! Which pair to nominate (RFC 8445 §8.1.1), and which nomination to follow: policy, as pure functions.
//!
//! The agent gathers what is known about its pairs, asks here, and acts on the answer.

use std::time::{Duration, Instant};

use crate::pair::{PairId, Wish};

/// How long two nominations count as concurrent: a peer that nominates every pair it checks sends them this close.
pub(crate) const AGGRESSIVE_WINDOW: Duration = Duration::from_millis(500);

/// A pair from the nominating side's point of view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender {
    pub(crate) pair: PairId,
    pub(crate) priority: u64,
    /// How long after the checks began it may be nominated.
    pub(crate) wait: Duration,
    pub(crate) standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Succeeded,
    Untested,
}

/// What the controlling side should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Nothing,
    Wait(Instant),
    Nominate(PairId),
}

/// The best pair that has succeeded, as soon as its wait is over or nothing that would deserve a shorter wait is left
/// to be tested.
pub(crate) fn choose(
    now: Instant,
    began: Instant,
    contenders: impl Iterator<Item = Contender> + Clone,
) -> Choice {
    let succeeded = contenders
        .clone()
        .filter(|c| c.standing == Standing::Succeeded);
    let Some(best) = succeeded.max_by_key(|c| c.priority) else {
        return Choice::Nothing;
    };
    let ready = began + best.wait;
    let better_untested = contenders
        .into_iter()
        .any(|c| c.standing == Standing::Untested && c.wait < best.wait);
    if now >= ready || !better_untested {
        Choice::Nominate(best.pair)
    } else {
        Choice::Wait(ready)
    }
}

/// A succeeded pair that the peer wants, from the controlled side's point of view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) pair: PairId,
    pub(crate) priority: u64,
    pub(crate) wish: Wish,
}

/// Whether the controlled side follows the wish that just became effective.
///
/// The greater NOMINATION wins. Without one, the latest USE-CANDIDATE wins; but while other pairs got one within
/// [`AGGRESSIVE_WINDOW`], the highest priority among them and the selected pair does.
pub(crate) fn follow(
    latest: Wanted,
    selected: Option<Wanted>,
    others: impl Iterator<Item = Wanted>,
) -> PairId {
    if let Some(value) = latest.wish.nomination {
        let overtaken = selected.filter(|s| s.wish.nomination.is_some_and(|v| v >= value));
        return overtaken.map_or(latest.pair, |s| s.pair);
    }
    let Some(selected) = selected else {
        return latest.pair;
    };
    if selected.wish.nomination.is_some() {
        // A peer that counts its nominations does not go back to not counting.
        return selected.pair;
    }
    let concurrent = |w: &Wanted| {
        w.pair != latest.pair
            && latest.wish.at.saturating_duration_since(w.wish.at) < AGGRESSIVE_WINDOW
    };
    let mut aggressive = others.filter(concurrent).peekable();
    if aggressive.peek().is_none() {
        return latest.pair;
    }
    aggressive
        .chain([latest, selected])
        .max_by_key(|w| w.priority)
        .map_or(latest.pair, |w| w.pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to begin with"
        )]
        Instant::now()
    }

    fn contender(id: u32, wait_ms: u64, standing: Standing) -> Contender {
        let priority = 1000 - u64::from(id);
        Contender {
            pair: PairId(id),
            priority,
            wait: Duration::from_millis(wait_ms),
            standing,
        }
    }

    // req: I10
    #[test]
    fn a_host_pair_is_nominated_at_once_and_others_wait_for_it() {
        let began = instant();
        let at = |ms| began + Duration::from_millis(ms);
        let host = contender(1, 0, Standing::Untested);
        let relayed = contender(2, 2000, Standing::Succeeded);
        let both = [host, relayed];
        assert_eq!(
            choose(at(100), began, both.into_iter()),
            Choice::Wait(at(2000))
        );
        assert_eq!(
            choose(at(2000), began, both.into_iter()),
            Choice::Nominate(PairId(2))
        );
        // Nothing better is untested: no reason to wait.
        assert_eq!(
            choose(at(100), began, [relayed].into_iter()),
            Choice::Nominate(PairId(2))
        );
        let host = Contender {
            standing: Standing::Succeeded,
            ..host
        };
        assert_eq!(
            choose(at(100), began, [host, relayed].into_iter()),
            Choice::Nominate(PairId(1))
        );
        assert_eq!(
            choose(
                at(100),
                began,
                [contender(1, 0, Standing::Untested)].into_iter()
            ),
            Choice::Nothing
        );
    }

    fn wanted(id: u32, priority: u64, at: Instant, nomination: Option<u32>) -> Wanted {
        Wanted {
            pair: PairId(id),
            priority,
            wish: Wish { at, nomination },
        }
    }

    // req: I10
    #[test]
    fn the_latest_wish_wins_unless_the_peer_nominates_everything() {
        let start = instant();
        let at = |ms| start + Duration::from_millis(ms);
        let first = wanted(1, 10, at(0), None);
        let later = wanted(2, 5, at(600), None);
        assert_eq!(
            follow(later, Some(first), [first, later].into_iter()),
            PairId(2)
        );
        // Within the window the higher priority stays.
        let close = wanted(2, 5, at(499), None);
        assert_eq!(
            follow(close, Some(first), [first, close].into_iter()),
            PairId(1)
        );
        let better = wanted(3, 50, at(400), None);
        assert_eq!(
            follow(better, Some(first), [first, better].into_iter()),
            PairId(3)
        );
        // A selected pair outside the window still counts against aggressive ones.
        let (third, fourth) = (wanted(3, 3, at(700), None), wanted(4, 2, at(750), None));
        assert_eq!(
            follow(fourth, Some(first), [first, third, fourth].into_iter()),
            PairId(1)
        );
    }

    // req: I10
    #[test]
    fn the_greater_nomination_wins_whatever_the_priority() {
        let start = instant();
        let old = wanted(1, 10, start, Some(3));
        let new = |value| wanted(2, 5, start, value);
        assert_eq!(
            follow(new(Some(4)), Some(old), [old].into_iter()),
            PairId(2)
        );
        assert_eq!(
            follow(new(Some(3)), Some(old), [old].into_iter()),
            PairId(1)
        );
        assert_eq!(
            follow(new(Some(2)), Some(old), [old].into_iter()),
            PairId(1)
        );
        assert_eq!(follow(new(None), Some(old), [old].into_iter()), PairId(1));
        let much_later = wanted(2, 5, start + Duration::from_secs(9), None);
        assert_eq!(follow(much_later, Some(old), [old].into_iter()), PairId(1));
    }
}
