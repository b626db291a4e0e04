//! What the peer lets us know of the flight in the air: an ACK for parts of it, or its own next flight, which answers all
//! (RFC 9147 §7.1, §7.2).

use std::time::Instant;

use super::air::Phase;
use super::{Acknowledged, Arrival, Flight};
use crate::msgs::post_handshake::AckNumber;
use crate::record::header::{Epoch, RecordNumber};
use crate::timer::{Timer, TimerTable};

impl Flight {
    /// A part of the peer's next flight came in `epoch`: it has all of ours (RFC 9147 §7.1).
    pub(crate) fn on_answer(&mut self, now: Instant, epoch: Epoch, timers: &mut TimerTable) {
        if !self.sender.uses_acks() {
            return self.on_progress(now, timers);
        }
        self.measure(now);
        match &mut self.air {
            // Anybody may have said so: the timer stops, but a repetition of the peer's flight still gets ours.
            Some(air) if epoch == Epoch::PLAINTEXT => {
                air.phase = Phase::Answering;
                air.is_last = true;
                air.hasten();
                timers.stop(Timer::Retransmit);
                timers.stop(Timer::Gap);
            }
            _ => self.abandon(timers),
        }
    }

    /// In DTLS 1.2 only our flight asks for the rest of the peer's. The path works, so it asks soon.
    fn on_progress(&mut self, now: Instant, timers: &mut TimerTable) {
        let soon = now + self.sender.schedule.timeout(1);
        if let Some(air) = &mut self.air
            && air.tries > 1
            && !air.is_last
        {
            air.hasten();
            // It has all of ours, whatever the MTU.
            air.losses = 0;
            air.sent_at = Some(now);
            timers.set(Timer::Retransmit, soon);
        }
    }

    /// The peer acknowledges records of ours (RFC 9147 §7.2).
    pub(crate) fn on_ack(
        &mut self,
        now: Instant,
        numbers: impl Iterator<Item = AckNumber>,
        timers: &mut TimerTable,
    ) -> Acknowledged {
        let timeout = self.timeout();
        let Some(air) = self.air.as_deref_mut() else {
            return Acknowledged::Nothing;
        };
        let mut news = false;
        for number in numbers.filter_map(RecordNumber::from_ack) {
            news |= air.load.acknowledge(number);
        }
        if !news {
            return Acknowledged::Nothing;
        }
        // The path works, at some length at least.
        air.losses = 0;
        if air.load.unacked.is_empty() {
            self.measure(now);
            self.abandon(timers);
            return Acknowledged::All;
        }
        match air.phase {
            Phase::Paused => self.go_on(now, timers),
            // The peer waited for the rest before it wrote this, so the rest is lost. A record that was merely overtaken
            // by the ACK gets a little longer.
            Phase::Waiting => timers.set(Timer::Gap, now + timeout / 8),
            Phase::Preparing | Phase::Sending | Phase::Answering => {}
        }
        Acknowledged::Part
    }

    /// A record of handshake messages was taken whose every fragment was of use, now or before.
    pub(crate) fn received(&mut self, now: Instant, arrival: Arrival, timers: &mut TimerTable) {
        let (uses_acks, timeout) = (self.sender.uses_acks(), self.timeout());
        let acks = self.acks.get_or_insert_default();
        acks.received(arrival);
        if uses_acks {
            acks.delay(now, timeout, timers);
        }
    }

    /// The peer is known to have heard what was acknowledged.
    pub(crate) fn on_acks_heard(&mut self) {
        if let Some(acks) = &mut self.acks {
            acks.on_heard();
        }
    }

    /// What was received is acknowledged at once: no answer follows, or [`Timer::Ack`] expired.
    pub(crate) fn acknowledge_now(&mut self, timers: &mut TimerTable) {
        if let Some(acks) = &mut self.acks {
            acks.hurry(timers);
        }
    }
}

impl RecordNumber {
    /// The number in an ACK, if a record can have it.
    fn from_ack(number: AckNumber) -> Option<Self> {
        let epoch = u16::try_from(number.epoch).ok()?;
        (number.sequence < Self::SEQUENCES).then(|| Self::new(Epoch(epoch), number.sequence))
    }
}
