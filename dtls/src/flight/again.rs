//! A flight is sent: at first, when nothing answers it in time, when an ACK leaves something out, when the peer repeats its own
//! (RFC 6347 §4.2.4, RFC 9147 §5.8).

use std::time::{Duration, Instant};

use super::Flight;
use super::air::{Air, Phase, Size};
use super::pacing::FlightPacing;
use super::sending::Tracking;
use crate::error::Error;
use crate::timer::{Timer, TimerTable};

/// Transmissions of one flight, each lost by our timer's or the peer's account, after which the path's MTU is doubted too.
const LOSSES_UNTIL_FALLBACK: u16 = 2;

/// Records sent at a time where acknowledgements can ask for more (RFC 9147 §5.8.2).
pub(super) const BURST: u16 = 10;

impl Flight {
    /// [`Timer::Retransmit`] expired: sends again, if there are tries left. Says whether it does.
    ///
    /// Those that are hurried are none: who does not answer on a path that works is busy, and has until the deadline.
    pub(crate) fn on_timeout(
        &mut self,
        now: Instant,
        timers: &mut TimerTable,
    ) -> Result<bool, Error> {
        let hurries = self.air.as_deref().is_some_and(|air| self.hurries(air));
        let Some(air) = &mut self.air else {
            return Ok(false);
        };
        match hurries {
            true => air.hurried += 1,
            false if air.tries > self.retransmissions => return Err(Error::HandshakeTimedOut),
            false => air.tries += 1,
        }
        air.losses = air.losses.saturating_add(1);
        match air.phase {
            // What could not all be written yet goes on where it stopped.
            Phase::Paused | Phase::Sending => self.go_on(now, timers),
            _ => self.transmit(now, timers),
        }
        Ok(true)
    }

    /// [`Timer::Gap`] expired: what an ACK left out is lost, or a last flight may be. Says whether something is sent again.
    pub(crate) fn on_gap(&mut self, now: Instant, timers: &mut TimerTable) -> bool {
        let Some(air) = &mut self.air else {
            return false;
        };
        if !matches!(air.phase, Phase::Waiting | Phase::Answering) {
            return false;
        }
        air.repeated_at = Some(now);
        self.transmit(now, timers);
        true
    }

    /// The peer repeats its flight, so ours may be lost: sends again, once per time-out. Says whether it does.
    pub(crate) fn on_peer_repeats(&mut self, now: Instant, timers: &mut TimerTable) -> bool {
        let Some(air) = &mut self.air else {
            return false;
        };
        // The first time-out is what an answer takes, however long our own timer has become. What nobody else repeats is
        // given at the first request.
        let last = match air.is_last {
            true => air.repeated_at,
            false => air.sent_at,
        };
        let rested = last.is_none_or(|last| now >= last + self.sender.schedule.timeout(1));
        let idle = matches!(air.phase, Phase::Waiting | Phase::Answering);
        if !idle || !rested || self.sender.pacing == FlightPacing::External {
            return false;
        }
        air.repeated_at = Some(now);
        air.losses = air.losses.saturating_add(1);
        let is_last = air.is_last;
        if !is_last {
            // The path works, so the next one need not be long.
            air.hasten();
        }
        self.transmit(now, timers);
        if is_last {
            // It was lost before, and only the peer's timer, which may have become long, would bring it again.
            timers.set(Timer::Gap, now + self.sender.schedule.timeout(1));
        }
        true
    }

    /// Everything that is not acknowledged goes out, from the start.
    pub(super) fn transmit(&mut self, now: Instant, timers: &mut TimerTable) {
        if let Some(air) = &mut self.air {
            air.transmissions = air.transmissions.saturating_add(1);
            air.rewind(match air.losses >= LOSSES_UNTIL_FALLBACK {
                true if self.fallback_mtu < self.sender.mtu => Size::Small,
                _ => Size::Usual,
            });
        }
        self.go_on(now, timers);
    }

    /// The next burst goes out.
    pub(super) fn go_on(&mut self, now: Instant, timers: &mut TimerTable) {
        timers.stop(Timer::Gap);
        if let Some(air) = &mut self.air {
            air.phase = Phase::Sending;
            air.burst = match self.sender.tracking {
                Tracking::On => BURST,
                Tracking::Off => u16::MAX,
            };
            air.sent_at = Some(now);
        }
        self.arm(timers);
    }

    /// Starts the timer, unless nothing answers the flight or somebody else carries it.
    pub(super) fn arm(&self, timers: &mut TimerTable) {
        let sent_at = self.air.as_deref().and_then(|air| {
            let is_open = matches!(air.phase, Phase::Sending | Phase::Paused | Phase::Waiting);
            air.sent_at
                .filter(|_| is_open && !air.is_last && self.sender.pacing == FlightPacing::Internal)
        });
        match sent_at {
            Some(sent_at) => timers.set(Timer::Retransmit, sent_at + self.timeout()),
            None => timers.stop(Timer::Retransmit),
        }
    }

    /// The time-outs have changed, also of a flight in the air.
    pub(crate) fn rearm(&self, timers: &mut TimerTable) {
        self.arm(timers);
        if let Some(acks) = &self.acks {
            acks.rescale(self.timeout(), timers);
        }
    }

    /// The current time-out: the grace that other things are given too.
    pub(crate) fn timeout(&self) -> Duration {
        let schedule = &self.sender.schedule;
        match self.air.as_deref() {
            None => schedule.timeout(0),
            Some(air) if self.hurries(air) => schedule.timeout(air.tries),
            Some(air) => schedule.patient_timeout(air.tries, self.patience),
        }
    }

    /// Whether the time-out is shorter than it had doubled to, because the path works: as often as a flight is sent again at most. A
    /// storm of clients that wait would become one of datagrams else.
    fn hurries(&self, air: &Air) -> bool {
        let schedule = &self.sender.schedule;
        let patient = schedule.patient_timeout(air.tries, self.patience);
        air.hurried < self.retransmissions && schedule.timeout(air.tries) < patient
    }
}
