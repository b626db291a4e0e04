//! Budgets against attackers: how many messages that fail their MAC are worth verifying and how many requests without
//! proof are worth an answer (I41), and how many checks may go to an address that has not answered (I42).
//!
//! Forgeries are counted per username fragment (each generation has its own budget) and per source address, without allocating.
//! A path that has authenticated itself is exempt and not counted: spoofing its source must silence neither it nor a path that the
//! peer takes next.
//!
//! Before its first check nobody can tell the peer from who forges its source, or from one of a thousand other sources. So a budget
//! does not close once it is spent, or a flood would keep the peer out: it is small at first and grows all the time. What comes
//! slower than it grows holds up nobody; of what comes faster some is verified in every millisecond, so that each repetition of a
//! check may get through, the less often the more comes besides. A MAC takes a sixth of a microsecond: the whole budget is a third
//! of a millisecond in a second.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::moment::Moment;

/// What is spent is forgotten when it is over.
const WINDOW: Duration = Duration::from_secs(1);
/// How many forgeries are verified in a second, of all sources.
const PER_FRAGMENT: u32 = 2000;
/// And of each.
const PER_SOURCE: u32 = 250;
/// What a window begins with: what would take so long to grow.
const HEAD_START: Duration = Duration::from_millis(32);
/// How many sources have an account of their own.
const SOURCES: usize = 6;

#[derive(Debug, Default)]
pub(crate) struct ForgeryBudget {
    window: Option<Moment>,
    accounts: [Account; SOURCES],
    total: u16,
    /// Whether somebody who proved nothing was answered in this window: one is, whoever it was.
    answered: bool,
}

impl ForgeryBudget {
    /// Whether another message from there may still be verified.
    pub(crate) fn allows(&self, now: Moment, source: SocketAddr) -> bool {
        let Some(elapsed) = self.elapsed(now) else {
            return true;
        };
        let key = key_of(source);
        let account = self.accounts.iter().find(|account| account.is_of(key));
        let spent = account.map_or(0, |account| account.spent);
        u32::from(self.total) < grown(PER_FRAGMENT, elapsed)
            && u32::from(spent) < grown(PER_SOURCE, elapsed).min(u8::MAX.into())
    }

    /// A message from there failed its MAC.
    pub(crate) fn spend(&mut self, now: Moment, source: SocketAddr) {
        self.open(now);
        self.total = self.total.saturating_add(1);
        let key = key_of(source);
        // When all accounts are other sources', the fragment's total has to do.
        let mut accounts = self.accounts.iter_mut();
        if let Some(account) = accounts.find(|account| account.is_of(key) || account.spent == 0) {
            account.key = key;
            account.spent = account.spent.saturating_add(1);
        }
    }

    /// Reads something of it, for what lies around it.
    #[inline]
    pub(crate) fn glance(&self) -> u8 {
        self.window.is_some().into()
    }

    /// Whether somebody who has proved nothing may be answered.
    pub(crate) fn allows_answer(&self, now: Moment) -> bool {
        !(self.elapsed(now).is_some() && self.answered)
    }

    /// Somebody who has proved nothing is answered.
    pub(crate) fn spend_answer(&mut self, now: Moment) {
        self.open(now);
        self.answered = true;
    }

    /// How long the window has been open, if one is.
    fn elapsed(&self, now: Moment) -> Option<Duration> {
        let elapsed = now.saturating_duration_since(self.window?);
        (elapsed < WINDOW).then_some(elapsed)
    }

    /// Begins a window, unless one is open.
    fn open(&mut self, now: Moment) {
        if self.elapsed(now).is_none() {
            *self = Self {
                window: Some(now),
                ..Self::default()
            };
        }
    }
}

/// What of a budget of so many in a second may have been spent.
fn grown(per_second: u32, elapsed: Duration) -> u32 {
    // Within a window there are a million microseconds.
    let micros = (elapsed + HEAD_START).as_micros() as u64;
    (u64::from(per_second) * micros / 1_000_000) as u32
}

/// What one source has spent, and eight bits of who it is.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    key: u8,
    spent: u8,
}

impl Account {
    fn is_of(&self, key: u8) -> bool {
        self.spent > 0 && self.key == key
    }
}

/// FNV-1a, folded, of the address without the port, which costs an attacker nothing to change. Sources that share it share
/// their budget for a second.
fn key_of(source: SocketAddr) -> u8 {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = match source.ip() {
        IpAddr::V4(v4) => v4.octets().into_iter().fold(0x811c_9dc5, mix),
        IpAddr::V6(v6) => v6.octets().into_iter().fold(0x811c_9dc5, mix),
    };
    let [a, b, c, d] = hash.to_be_bytes();
    a ^ b ^ c ^ d
}

/// How many checks may go to an address that has not answered, repetitions included.
///
/// A candidate that was signalled has what one transaction takes. To that, each authenticated request from there adds one: with its
/// answer no more than two datagrams leave for one that came, so that a peer which forges its source address gains
/// nothing by it (RFC 8445 §19.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credit(u8);

impl Credit {
    /// Nothing but what requests add.
    pub(crate) const EARNED: Self = Self(0);
    const UNLIMITED: Self = Self(u8::MAX);

    pub(crate) fn of(checks: u32) -> Self {
        Self(u8::try_from(checks).unwrap_or(u8::MAX).min(u8::MAX - 1))
    }

    /// An authenticated request came from there.
    pub(crate) fn earn(&mut self) {
        self.add(Self(1));
    }

    pub(crate) fn add(&mut self, more: Self) {
        if *self != Self::UNLIMITED {
            *self = Self(self.0.saturating_add(more.0).min(u8::MAX - 1));
        }
    }

    /// An answer came from there: whoever is there wants this.
    pub(crate) fn prove(&mut self) {
        *self = Self::UNLIMITED;
    }

    /// Takes one that is not the last.
    pub(crate) fn spare(&mut self) -> bool {
        self.0 > 1 && self.take()
    }

    /// Whether one more check may go.
    pub(crate) fn take(&mut self) -> bool {
        if *self == Self::UNLIMITED {
            return true;
        }
        let left = self.0.checked_sub(1);
        *self = Self(left.unwrap_or(0));
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: I42
    #[test]
    fn the_last_check_is_not_spared() {
        let mut credit = Credit::EARNED;
        assert!(!credit.spare());
        credit.earn();
        assert!(!credit.spare());
        credit.earn();
        assert!(credit.spare() && !credit.spare());
        assert!(credit.take() && !credit.take());
        credit.prove();
        assert!((0..1000).all(|_| credit.spare()));
    }

    // req: I42
    #[test]
    fn credit_is_earned_one_by_one_until_an_answer_makes_it_unlimited() {
        let mut credit = Credit::EARNED;
        assert!(!credit.take());
        credit.earn();
        assert!(credit.take() && !credit.take());
        credit.add(Credit::of(7));
        assert_eq!((0..100).filter(|_| credit.take()).count(), 7);
        // However much is earned, it never becomes proof.
        (0..1000).for_each(|_| credit.earn());
        assert_eq!((0..1000).filter(|_| credit.take()).count(), 254);
        assert_eq!(Credit::of(u32::MAX), Credit(254));
        credit.prove();
        credit.earn();
        assert!((0..1000).all(|_| credit.take()));
    }

    // req: I41
    #[test]
    fn a_source_runs_dry_before_the_fragment_does_and_both_refill() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to begin with"
        )]
        let now = crate::moment::Clock::default().moment(std::time::Instant::now());
        let source = |n: u8| SocketAddr::from(([192, 0, 2, n], 1000));
        let mut budget = ForgeryBudget::default();
        for _ in 0..8 {
            assert!(budget.allows(now, source(1)));
            budget.spend(now, source(1));
        }
        assert!(!budget.allows(now, source(1)));
        assert!(
            !budget.allows(now, SocketAddr::from(([192, 0, 2, 1], 2000))),
            "another port is the same source"
        );
        assert!(budget.allows(now, source(2)));
        for n in 0..56 {
            assert!(budget.allows(now, source(100)), "{n}");
            budget.spend(now, source(2 + n));
        }
        assert!(
            !budget.allows(now, source(200)),
            "the fragment's own budget is spent"
        );
        assert!(budget.allows(now + WINDOW, source(1)));
    }

    /// How many of a flood are verified, and the longest time in which none is.
    fn flooded(per_millisecond: u32, sources: u32, seconds: u64) -> (u32, Duration) {
        let mut budget = ForgeryBudget::default();
        let (mut verified, mut last, mut longest) = (0, Moment::ORIGIN, Duration::ZERO);
        let gap = Duration::from_millis(1) / per_millisecond;
        for n in 0..per_millisecond * 1000 * seconds as u32 {
            let (now, host) = (Moment::ORIGIN + gap * n, (n % sources).to_be_bytes());
            let source = SocketAddr::from((host, 1000));
            if budget.allows(now, source) {
                budget.spend(now, source);
                verified += 1;
                longest = longest.max(now.saturating_duration_since(last));
                last = now;
            }
        }
        (verified, longest)
    }

    // req: I41
    #[test]
    fn in_every_millisecond_of_a_flood_somebody_is_let_through_and_few_in_all() {
        for per_millisecond in [3, 7, 50, 400] {
            let (verified, longest) = flooded(per_millisecond, 1_000_003, 4);
            assert!(verified <= 4 * (PER_FRAGMENT + 64), "{verified}");
            assert!(longest <= Duration::from_millis(1), "{longest:?}");
            // Who spoofs the peer's own address is not alone there for long either.
            let (verified, longest) = flooded(per_millisecond, 1, 4);
            assert!(verified <= 4 * u32::from(u8::MAX), "{verified}");
            assert!(longest <= Duration::from_millis(16), "{longest:?}");
        }
        // What comes slower than the budget grows is all verified.
        assert_eq!(flooded(2, 1_000_003, 4).0, 2 * 4000);
    }

    // req: I41
    #[test]
    fn one_answer_goes_in_each_window_and_costs_no_source_anything() {
        let (mut now, source) = (Moment::ORIGIN, SocketAddr::from(([192, 0, 2, 1], 1)));
        let mut budget = ForgeryBudget::default();
        for _ in 0..3 {
            assert!(budget.allows_answer(now));
            budget.spend_answer(now);
            for _ in 0..8 {
                assert!(!budget.allows_answer(now) && budget.allows(now, source));
                budget.spend(now, source);
            }
            assert!(!budget.allows(now, source));
            assert!(!budget.allows_answer(now + (WINDOW - Duration::from_millis(1))));
            now = now + WINDOW;
        }
        // Where the forgeries came first, the window is theirs.
        budget.spend(now, source);
        assert!(budget.allows_answer(now));
        assert_eq!(size_of::<ForgeryBudget>(), 24);
    }

    // req: I41
    #[test]
    fn six_sources_have_accounts_of_their_own_whatever_family_they_are_of() {
        let now = Moment::ORIGIN;
        let v4 = (0..6).map(|n| SocketAddr::from(([192, 0, 2, n], 1)));
        let v6 = (0..6).map(|n| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 1)));
        for sources in [v4.collect::<Vec<_>>(), v6.collect()] {
            let mut budget = ForgeryBudget::default();
            for (n, source) in sources.iter().enumerate() {
                assert!(budget.allows(now, *source), "{source} has spent nothing");
                for _ in 0..8 {
                    assert!(budget.allows(now, *source), "{n}");
                    budget.spend(now, *source);
                }
            }
            for source in &sources {
                assert!(!budget.allows(now, *source), "{source} has spent its own");
            }
        }
    }
}
