//! The wheel against a plain map.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

impl Timers for Vec<Timer> {
    fn timer(&mut self, slot: u32) -> &mut Timer {
        &mut self[slot as usize]
    }
}

const SLOTS: u32 = 24;
const MILLISECOND: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A slot's deadline, from now on, or so long ago.
    Set(u32, Result<Duration, Duration>),
    Clear(u32),
    /// Time passes, and what is due by then is taken out.
    Pass(Duration),
    /// Time passes, and nobody asks what is due.
    Sleep(Duration),
}

/// From microseconds to days, most of them short.
fn duration() -> impl Strategy<Value = Duration> {
    let micros = prop_oneof![
        0u64..3_000,
        0u64..80_000,
        0u64..6_000_000,
        Just(65_535_999),
        65_534_000u64..65_538_000,
        0u64..200_000_000,
        0u64..1_000_000_000_000,
    ];
    micros.prop_map(Duration::from_micros)
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..SLOTS;
    prop_oneof![
        8 => (slot.clone(), duration()).prop_map(|(slot, from_now)| Step::Set(slot, Ok(from_now))),
        1 => (slot.clone(), duration()).prop_map(|(slot, ago)| Step::Set(slot, Err(ago))),
        2 => slot.prop_map(Step::Clear),
        4 => duration().prop_map(Step::Pass),
        1 => duration().prop_map(Step::Sleep),
    ]
}

/// A wheel, and what it should say.
struct Trial {
    epoch: Instant,
    now: Duration,
    wheel: Wheel,
    timers: Vec<Timer>,
    /// What was asked for, and when it may be had: both since the epoch.
    model: BTreeMap<u32, (Duration, Duration)>,
    handled: Option<Duration>,
}

impl Trial {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
        let epoch = Instant::now();
        let mut trial = Self {
            epoch,
            now: Duration::ZERO,
            wheel: Wheel::new(),
            timers: vec![Timer::IDLE; SLOTS as usize],
            model: BTreeMap::new(),
            handled: None,
        };
        trial.set(0, Some(Duration::ZERO));
        trial
    }

    fn set(&mut self, slot: u32, deadline: Option<Duration>) {
        let now = self.epoch + self.now;
        let at = deadline.map(|deadline| self.epoch + deadline);
        self.wheel.set(&mut self.timers, now, slot, at);
        match deadline {
            Some(deadline) => {
                // Not what has been handled already.
                let earliest = self
                    .handled
                    .map_or(deadline, |handled| deadline.max(handled));
                self.model.insert(slot, (deadline, earliest));
            }
            None => {
                self.model.remove(&slot);
            }
        }
    }

    fn pass(&mut self) -> Result<(), TestCaseError> {
        self.wheel.handle_until(self.epoch + self.now);
        let mut last = Duration::ZERO;
        while let Some(slot) = self.wheel.pop(&mut self.timers) {
            let taken = self.model.remove(&slot);
            let Some((deadline, earliest)) = taken else {
                return Err(TestCaseError::fail(format!("{slot} had no deadline")));
            };
            prop_assert!(deadline <= self.now, "{:?} is not due", deadline);
            prop_assert!(earliest + MILLISECOND * 2 > last, "in their order");
            last = earliest;
        }
        self.handled = Some(self.handled.unwrap_or_default().max(self.now));
        let late = |(_, earliest): &&(Duration, Duration)| *earliest + MILLISECOND <= self.now;
        prop_assert_eq!(self.model.values().find(late), None, "it was due");
        prop_assert!(self.next() > self.handled, "the timer law");
        Ok(())
    }

    /// Without a deadline: never.
    fn next(&self) -> Option<Duration> {
        let next = self.wheel.next().map(|at| at - self.epoch);
        Some(next.unwrap_or(Duration::MAX))
    }

    /// The wheel wakes for the earliest: not before it, unless that is due, and less than a millisecond after it; or, if it was
    /// for an instant handled before it was set, less than two after that.
    fn check(&self) -> Result<(), TestCaseError> {
        let wakes = self.wheel.next().map(|at| at - self.epoch);
        let earliest = self.model.values().map(|(_, earliest)| *earliest).min();
        match (wakes, earliest) {
            (Some(wakes), Some(earliest)) => {
                prop_assert!(
                    wakes >= earliest || wakes <= self.now,
                    "{:?} {:?}",
                    wakes,
                    earliest
                );
                prop_assert!(
                    wakes <= earliest + MILLISECOND,
                    "{:?} {:?}",
                    wakes,
                    earliest
                );
            }
            (wakes, earliest) => prop_assert_eq!(wakes, earliest),
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    // req: I50
    #[test]
    fn it_wakes_when_a_plain_map_would(steps in prop::collection::vec(step(), 1..300)) {
        let mut trial = Trial::new();
        for step in steps {
            match step {
                Step::Set(slot, Ok(from_now)) => trial.set(slot, Some(trial.now + from_now)),
                Step::Set(slot, Err(ago)) => trial.set(slot, Some(trial.now.saturating_sub(ago))),
                Step::Clear(slot) => trial.set(slot, None),
                Step::Sleep(time) => trial.now += time,
                Step::Pass(time) => {
                    trial.now += time;
                    trial.pass()?;
                }
            }
            trial.check()?;
        }
        // Woken only when there is something to do, until there is nothing left.
        while let Some(next) = trial.wheel.next() {
            trial.now = trial.now.max(next - trial.epoch);
            let before = trial.model.len();
            trial.pass()?;
            prop_assert!(trial.model.len() < before, "woken for nothing");
        }
        prop_assert!(trial.model.is_empty());
        prop_assert!(trial.timers.iter().all(|timer| *timer == Timer::IDLE));
    }
}

#[test]
fn a_herd_is_handled_in_one_go_and_who_is_always_due_stops_nobody() {
    let epoch = Trial::new().epoch;
    let at = |milliseconds| epoch + Duration::from_millis(milliseconds);
    let (mut wheel, mut timers) = (Wheel::new(), vec![Timer::IDLE; 10_000]);
    for slot in 0..10_000 {
        wheel.set(&mut timers, at(0), slot, Some(at(5_000)));
    }
    assert_eq!(wheel.next(), Some(at(5_000)));
    wheel.handle_until(at(5_000));
    let mut woken = 0;
    while let Some(slot) = wheel.pop(&mut timers) {
        woken += 1;
        wheel.set(&mut timers, at(5_000), slot, Some(at(5_000)));
    }
    assert_eq!(woken, 10_000);
    assert_eq!(wheel.next(), Some(at(5_001)));
}

// req: I50
#[test]
fn moving_deadlines_allocates_nothing() {
    let epoch = Trial::new().epoch;
    let (mut wheel, mut timers) = (Wheel::new(), vec![Timer::IDLE; 1000]);
    let mut woken = 0;
    let info = allocation_counter::measure(|| {
        for turn in 0..100_000u64 {
            let now = epoch + Duration::from_millis(turn);
            let deadline = now + Duration::from_millis(turn * 7919 % 100_000);
            let slot = (turn % 1000) as u32;
            wheel.set(&mut timers, now, slot, (turn % 5 > 0).then_some(deadline));
            wheel.handle_until(now);
            while wheel.pop(&mut timers).is_some() {
                woken += 1;
            }
        }
    });
    assert_eq!(info.count_total, 0);
    assert!(woken > 100, "{woken}");
}

/// A clock that goes back changes nothing that was handled.
#[test]
fn a_clock_that_goes_back_makes_nothing_due_again() {
    let epoch = Trial::new().epoch;
    let at = |milliseconds| epoch + Duration::from_millis(milliseconds);
    let (mut wheel, mut timers) = (Wheel::new(), vec![Timer::IDLE; 2]);
    wheel.set(&mut timers, at(0), 0, Some(at(3_600_000)));
    wheel.handle_until(at(7_200_000));
    assert_eq!(wheel.pop(&mut timers), Some(0));
    assert_eq!(wheel.pop(&mut timers), None);
    wheel.handle_until(at(10));
    wheel.set(&mut timers, at(10), 1, Some(at(20)));
    // Not before what has been handled, and at the first moment after it.
    assert_eq!(wheel.pop(&mut timers), None);
    assert_eq!(wheel.next(), Some(at(7_200_001)));
    wheel.handle_until(at(7_200_001));
    assert_eq!(wheel.pop(&mut timers), Some(1));
}

/// Timers that count how often one of them is looked at.
struct Watched(Vec<Timer>, u64);

impl Timers for Watched {
    fn timer(&mut self, slot: u32) -> &mut Timer {
        self.1 += 1;
        self.0.timer(slot)
    }
}

// req: I50
#[test]
fn no_deadline_far_away_waits_for_the_mass_of_the_others() {
    let epoch = Trial::new().epoch;
    let at = |seconds| epoch + Duration::from_secs(seconds);
    const MANY: u32 = 1 << 16;
    let (mut wheel, mut timers) = (Wheel::new(), Watched(vec![Timer::IDLE; MANY as usize], 0));
    let mut most = 0;
    let mut looked = |timers: &mut Watched| most = std::mem::take(&mut timers.1).max(most);
    // In the order that fills a heap with the least work, which is then to be done by who comes first.
    for slot in 0..MANY {
        let deadline = at(1000 + u64::from(slot));
        wheel.set(&mut timers, epoch, slot, Some(deadline));
        looked(&mut timers);
    }
    // Some are cleared, some move to the front, one is due now and then.
    for slot in (0..MANY).step_by(5) {
        wheel.set(&mut timers, epoch, slot, None);
        looked(&mut timers);
    }
    for slot in (1..MANY).step_by(5).rev() {
        wheel.set(&mut timers, epoch, slot, Some(at(900)));
        looked(&mut timers);
    }
    let mut woken = 0;
    for seconds in [899, 900, 1500, 70_000] {
        wheel.handle_until(at(seconds));
        while wheel.pop(&mut timers).is_some() {
            woken += 1;
            looked(&mut timers);
        }
    }
    assert_eq!(woken, MANY - MANY.div_ceil(5));
    assert!(timers.0.iter().all(|timer| *timer == Timer::IDLE));
    // Twice down the tree and once up, with some looks at each of its sixteen levels.
    assert!(most < 16 * 25, "{most}");
}
