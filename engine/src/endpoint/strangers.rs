//! How often the application hears of username fragments that nobody has.
//!
//! Each report may make it ask its signaling, so they are paid for from two budgets: one of the endpoint, and one of the
//! sender's network (an IPv4 /24, an IPv6 /48). The networks share a table of fixed size under a keyed hash, two cells for each:
//! who finds room in either is let through, so that a flood from one network holds another one up only if both cells collide.
//! Half of the endpoint's budget is kept for networks that have not been heard of lately, so that a flood from many
//! networks does not use up what a genuine first check needs.
//!
//! Nothing is allocated after the endpoint's birth, and every decision costs the same.

use super::keyed::Keyed;
use crate::Rate;
use std::{
    hash::BuildHasher,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

/// Cells of a row; each network has one in each of two rows.
const ROW: usize = 1024;
/// How long a network has to have been at rest to be new, in nanoseconds.
const REST: u64 = 10_000_000_000;

#[derive(Debug)]
pub(super) struct Strangers {
    in_all: Limit,
    per_source: Limit,
    all: Bucket,
    cells: Box<[Bucket]>,
    hash: Keyed,
    /// The first instant it was asked.
    origin: Option<Instant>,
}

/// A token bucket, as the time at which it is full again, in nanoseconds from the origin.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(u64);

#[derive(Clone, Copy, Debug)]
struct Limit {
    /// The time that one token takes to come back.
    interval: u64,
    /// How many there are.
    burst: u64,
}

impl Strangers {
    pub(super) fn new(hash: Keyed, in_all: Rate, per_source: Rate) -> Self {
        Self {
            in_all: Limit::of(in_all),
            per_source: Limit::of(per_source),
            all: Bucket::default(),
            cells: vec![Bucket::default(); 2 * ROW].into(),
            hash,
            origin: None,
        }
    }

    /// Whether a check from there, for nobody, is reported. It is paid for if it is.
    pub(super) fn admits(&mut self, now: Instant, from: SocketAddr) -> bool {
        let origin = *self.origin.get_or_insert(now);
        let now = now.saturating_duration_since(origin).as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let places = self.places_of(from);
        let cells = places.map(|place| self.cells[place]);
        // Each report takes from both cells: with one at rest, nobody there was reported lately.
        let is_new = cells.iter().any(|cell| cell.is_at_rest(now));
        let kept = if is_new { 0 } else { self.in_all.burst / 2 };
        let has_room = cells
            .iter()
            .any(|cell| cell.holds(1, &self.per_source, now));
        if !has_room || !self.all.holds(kept + 1, &self.in_all, now) {
            return false;
        }
        self.all.take(&self.in_all, now);
        for place in places {
            if self.cells[place].holds(1, &self.per_source, now) {
                self.cells[place].take(&self.per_source, now);
            }
        }
        true
    }

    /// The two cells of a sender's network.
    fn places_of(&self, from: SocketAddr) -> [usize; 2] {
        let hash = match from.ip() {
            IpAddr::V4(v4) => self.hash.hash_one(&v4.octets()[..3]),
            IpAddr::V6(v6) => self.hash.hash_one(&v6.octets()[..6]),
        };
        let row = ROW as u64;
        [hash % row, row + (hash >> 32) % row].map(|place| place as usize)
    }
}

impl Bucket {
    /// Whether it is as it was at the beginning, or has been full for long.
    fn is_at_rest(self, now: u64) -> bool {
        self.0 == 0 || self.0.saturating_add(REST) <= now
    }

    /// Whether that many tokens are there.
    fn holds(self, tokens: u64, limit: &Limit, now: u64) -> bool {
        let missing = self.0.saturating_sub(now).div_ceil(limit.interval);
        missing + tokens <= limit.burst
    }

    fn take(&mut self, limit: &Limit, now: u64) {
        self.0 = self.0.max(now).saturating_add(limit.interval);
    }
}

impl Limit {
    fn of(rate: Rate) -> Self {
        let per_second = u64::from(rate.per_second);
        Self {
            interval: 1_000_000_000u64.checked_div(per_second).unwrap_or(1).max(1),
            burst: if per_second == 0 {
                0
            } else {
                rate.burst.into()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn strangers(in_all: (u32, u32), per_source: (u32, u32)) -> Strangers {
        let rate = |(per_second, burst)| Rate { per_second, burst };
        Strangers::new(Keyed::new([9; 16]), rate(in_all), rate(per_source))
    }

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
        Instant::now()
    }

    fn host(network: u16, host: u8) -> SocketAddr {
        let [high, low] = network.to_be_bytes();
        SocketAddr::from(([10, high, low, host], u16::from(host) + 1))
    }

    #[test]
    fn a_network_has_its_burst_and_then_its_rate_whatever_its_hosts_are() {
        let (mut strangers, start) = (strangers((1000, 1000), (10, 20)), start());
        let admitted = (0..=255).filter(|n| strangers.admits(start, host(1, *n)));
        assert_eq!(admitted.count(), 20);
        let mut admitted = 0;
        for millisecond in 1..=10_000 {
            let now = start + Duration::from_millis(millisecond);
            admitted += u32::from(strangers.admits(now, host(1, 7)));
        }
        assert_eq!(admitted, 100, "ten a second");
        // The prefix of IPv6 is 48 bits long.
        let v6 = |text: &str| SocketAddr::new(text.parse().unwrap(), 1);
        let later = start + Duration::from_secs(20);
        let one = (0..50).filter(|n| strangers.admits(later, v6(&format!("2001:db8:1:{n}::1"))));
        assert_eq!(one.count(), 20);
        assert!(strangers.admits(later, v6("2001:db8:2::1")));
    }

    #[test]
    fn a_flood_from_many_networks_leaves_half_to_new_ones() {
        let (mut strangers, start) = (strangers((100, 100), (50, 50)), start());
        let (mut admitted, mut newcomers) = (0, 0);
        for millisecond in 0..10_000u64 {
            let now = start + Duration::from_millis(millisecond);
            for network in 0..40 {
                admitted += u32::from(strangers.admits(now, host(network, 1)));
            }
            if millisecond % 100 == 99 {
                let newcomer = host(1000 + (millisecond / 100) as u16, 1);
                newcomers += u32::from(strangers.admits(now, newcomer));
            }
        }
        // But for one in hundreds, both of whose cells are those of the flood.
        assert!(newcomers >= 97, "{newcomers} of 100");
        assert!(
            admitted <= 100 + 10 * 100,
            "the endpoint's rate: {admitted}"
        );
        assert!(admitted >= 500, "and not much less: {admitted}");
    }

    #[test]
    fn who_shares_a_cell_with_a_flood_has_another_one() {
        let (mut strangers, start) = (strangers((1_000_000, 1_000_000), (1, 1)), start());
        let flooded = (0..64).filter(|network| strangers.admits(start, host(*network, 1)));
        assert!(flooded.count() >= 60);
        let held_up = (1000..3000).filter(|network| {
            let cells = strangers.places_of(host(*network, 1));
            let room = |place: &usize| strangers.cells[*place].holds(1, &strangers.per_source, 1);
            !cells.iter().any(room)
        });
        // A sixteenth of each row is taken: one in 256 finds both of its cells so, where one row would hold up one in 16.
        assert!(held_up.count() < 2000 / 64);
    }

    #[test]
    fn without_a_rate_nobody_is_let_through_and_nothing_is_allocated() {
        let (mut none, mut some) = (strangers((0, 100), (10, 10)), strangers((10, 10), (10, 10)));
        let start = start();
        assert!(!none.admits(start, host(1, 1)));
        let info = allocation_counter::measure(|| {
            for network in 0..10_000 {
                some.admits(start, host(network, 1));
            }
        });
        assert_eq!(info.count_total, 0);
    }
}
