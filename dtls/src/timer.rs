//! The deadlines of one connection, one slot each.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::config::Config;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Timer {
    /// The flight in the air is sent again.
    Retransmit,
    /// The handshake as a whole has failed.
    Handshake,
    /// The handshake is done and fingerprints are still unset (T67).
    Fingerprints,
    /// Nothing valid followed a plaintext fatal alert (T32).
    Alert,
    /// What was received is acknowledged.
    Ack,
    /// What an ACK left out counts as lost.
    Gap,
}

impl Timer {
    const COUNT: usize = Self::Gap as usize + 1;
    const ALL: [Self; Self::COUNT] = [
        Self::Retransmit,
        Self::Handshake,
        Self::Fingerprints,
        Self::Alert,
        Self::Ack,
        Self::Gap,
    ];
}

/// A time that is remembered for minutes, in four bytes: the second since the first time that a connection of the same
/// configuration was told. Good for 136 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Second(NonZeroU32);

impl Second {
    #[cfg(test)]
    pub(crate) const START: Self = Self(NonZeroU32::MIN);

    pub(crate) fn of(now: Instant, config: &Config) -> Self {
        let origin = *config.origin.get_or_init(|| now);
        Self(NonZeroU32::MIN).after(now.saturating_duration_since(origin))
    }

    /// The second in which `delay` has passed since any instant of this one.
    pub(crate) fn end_of(self, delay: Duration) -> Self {
        self.after(delay + Duration::from_secs(1))
    }

    fn after(self, delay: Duration) -> Self {
        let seconds = u32::try_from(delay.as_secs()).unwrap_or(u32::MAX);
        Self(self.0.saturating_add(seconds))
    }
}

/// Costs a pointer while no timer runs.
#[derive(Debug, Default)]
pub(crate) struct TimerTable(Option<Box<[Option<Instant>; Timer::COUNT]>>);

impl TimerTable {
    /// Expires so long after `now`; never, if no clock goes that far.
    pub(crate) fn set_after(&mut self, timer: Timer, now: Instant, delay: Duration) {
        match now.checked_add(delay) {
            Some(at) => self.set(timer, at),
            None => self.stop(timer),
        }
    }

    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.0.get_or_insert_default()[timer as usize] = Some(at);
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        let Some(slots) = &mut self.0 else {
            return;
        };
        slots[timer as usize] = None;
        if slots.iter().all(Option::is_none) {
            self.stop_all();
        }
    }

    pub(crate) fn stop_all(&mut self) {
        *self = Self::default();
    }

    #[cfg(test)]
    pub(crate) fn runs(&self, timer: Timer) -> bool {
        self.0
            .as_ref()
            .is_some_and(|slots| slots[timer as usize].is_some())
    }

    /// The next one.
    pub(crate) fn next(&self) -> Option<Instant> {
        let slots = self.0.as_ref()?;
        slots.iter().flatten().min().copied()
    }

    /// Takes one timer that has expired by `now`; call until `None`.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<Timer> {
        let slots = self.0.as_ref()?;
        let expired = Timer::ALL
            .into_iter()
            .find(|timer| slots[*timer as usize].is_some_and(|at| at <= now))?;
        self.stop(expired);
        Some(expired)
    }
}
