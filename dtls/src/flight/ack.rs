//! What we acknowledge: the handshake records that came since our last flight, told after a while (RFC 9147 §7.1).
//!
//! A complete flight is acknowledged by the answer to it. An ACK is for the rest: a flight that stays incomplete, one
//! that nothing answers, and one that comes again. A quarter of the retransmission time-out lets overtaken records catch
//! up, so that what a delayed ACK does not list was most likely lost.

use std::time::{Duration, Instant};

use super::LINGER;
use super::again::BURST;
use super::numbers::RecordNumbers;
use crate::msgs::codec::Codec;
use crate::msgs::post_handshake::{Ack, AckNumber};
use crate::record::RecordLayer;
use crate::record::header::{ContentType, RecordNumber};
use crate::timer::{Second, Timer, TimerTable};

/// Record numbers in an ACK, the newest ones: nobody should send more records before there is an ACK (RFC 9147 §5.8.2).
const MOST: usize = BURST as usize;

/// How long after the newest record the list is kept at rest. An epoch is opened for [`LINGER`] after something came in the
/// next one, which may be about as late itself.
const KEPT: Duration = LINGER.saturating_mul(2);

#[derive(Debug, Default)]
pub(super) struct Acks {
    numbers: RecordNumbers<40>,
    state: AckState,
    /// When the newest of them came.
    newest_at: Option<Second>,
    /// Whether one of them says what another said.
    has_repetition: bool,
}

/// A record of handshake messages that was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) number: RecordNumber,
    pub(crate) at: Second,
    /// Whether something of it was handled before.
    pub(crate) is_repetition: bool,
}

/// What was acknowledged and may come again: an ACK of a repetition names it too (RFC 9147 §7). Records of the handshake's
/// epoch are in the care of the record layer, which knows how long they can come again.
///
/// In 16 bytes, however much the peer repeats: the newest, which are the most that an ACK names unless many others came between
/// them.
#[derive(Debug)]
pub(crate) struct Told {
    numbers: RecordNumbers<11>,
    newest_at: Second,
    has_repetition: bool,
}

impl Told {
    /// Whether the peer would have repeated by `now` what it lacks an ACK for.
    pub(super) fn is_over(&self, now: Second) -> bool {
        now >= self.newest_at.end_of(KEPT)
    }

    /// The peer is known to have been told: whether it repeated itself, so that more of that may be on its way.
    pub(super) fn may_come_again(&self) -> bool {
        self.has_repetition
    }
}

impl From<Told> for Acks {
    fn from(told: Told) -> Self {
        Self {
            numbers: told.numbers.iter().collect(),
            state: AckState::Idle,
            newest_at: Some(told.newest_at),
            has_repetition: told.has_repetition,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AckState {
    #[default]
    Idle,
    /// [`Timer::Ack`] runs since then.
    Delayed {
        since: Instant,
    },
    Due,
}

impl Acks {
    /// A record was taken whose every fragment was of use, now or before.
    pub(super) fn received(&mut self, arrival: Arrival) {
        self.newest_at = Some(arrival.at);
        self.has_repetition |= arrival.is_repetition;
        self.numbers.push(arrival.number);
    }

    /// What was received is told in a while, and no later for what comes in the meantime.
    pub(super) fn delay(&mut self, now: Instant, timeout: Duration, timers: &mut TimerTable) {
        if self.state == AckState::Idle {
            self.state = AckState::Delayed { since: now };
            self.rescale(timeout, timers);
        }
    }

    /// The time-out that the delay is a part of has changed.
    pub(super) fn rescale(&self, timeout: Duration, timers: &mut TimerTable) {
        if let AckState::Delayed { since } = self.state {
            timers.set(Timer::Ack, since + timeout / 4);
        }
    }

    /// What was received is told with the next datagram.
    pub(super) fn hurry(&mut self, timers: &mut TimerTable) {
        timers.stop(Timer::Ack);
        if self.numbers.iter().next().is_some() {
            self.state = AckState::Due;
        }
    }

    /// Whether nothing waits to be told.
    pub(super) fn is_told(&self) -> bool {
        self.state == AckState::Idle
    }

    /// What is kept when all was told, besides what `records` keeps.
    pub(super) fn told(self, records: &mut RecordLayer) -> Option<Told> {
        let all = self.numbers.iter();
        let rest: Vec<_> = all.filter(|number| !records.acknowledge(*number)).collect();
        let newest_at = self.newest_at.filter(|_| !rest.is_empty())?;
        Some(Told {
            numbers: rest.into_iter().collect(),
            newest_at,
            has_repetition: self.has_repetition,
        })
    }

    /// The peer is known to have been told. What it said once does not come again.
    pub(super) fn on_heard(&mut self) {
        if self.is_told() && !self.has_repetition {
            self.numbers = RecordNumbers::default();
        }
    }

    /// Our flight says that the peer's was received.
    pub(super) fn forget(&mut self, timers: &mut TimerTable) {
        timers.stop(Timer::Ack);
        self.numbers = RecordNumbers::default();
        self.has_repetition = false;
        self.state = AckState::Idle;
    }

    /// Writes the ACK that is due as one record into `out`. The list stays: should this ACK be lost, the next one tells
    /// all of it again.
    pub(super) fn write(&mut self, records: &mut RecordLayer, out: &mut [u8]) -> Option<usize> {
        if self.state != AckState::Due {
            return None;
        }
        let epoch = records.write_epoch();
        // It waits until there is room for one number at least: an address that is not validated gets little.
        let room = out.len().checked_sub(records.overhead(epoch) + 2)? / AckNumber::LEN;
        if room == 0 {
            return None;
        }
        self.state = AckState::Idle;
        let mut told: Vec<AckNumber> = self
            .numbers
            .iter()
            .chain(records.acknowledged())
            .take(room.min(MOST))
            .map(|number| AckNumber {
                epoch: number.epoch().0.into(),
                sequence: number.sequence(),
            })
            .collect();
        told.sort_unstable();
        let mut body = Vec::with_capacity(2 + told.len() * AckNumber::LEN);
        Ack::Items(&told).encode(&mut body);
        let sealed = records.seal(epoch, ContentType::Ack, [&body, &[]], out);
        sealed.ok().map(|sealed| sealed.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msgs::codec::Reader;
    use crate::record::header::{Epoch, Header};

    fn now() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "any instant will do: only differences count"
        )]
        Instant::now()
    }

    fn first(epoch: u16, sequence: u64) -> Arrival {
        arrival(epoch, sequence, Second::START)
    }

    fn arrival(epoch: u16, sequence: u64, at: Second) -> Arrival {
        Arrival {
            number: RecordNumber::new(Epoch(epoch), sequence),
            at,
            is_repetition: false,
        }
    }

    /// The numbers in the ACK that is written into this many bytes.
    fn told(acks: &mut Acks, room: usize) -> Option<Vec<u64>> {
        let mut out = vec![0; room];
        let len = acks.write(&mut RecordLayer::default(), &mut out)?;
        assert_eq!(out[0], ContentType::Ack as u8);
        let body = &out[Header::LEN..len];
        let ack = Ack::read(&mut Reader::new(body)).unwrap();
        Some(
            ack.iter()
                .map(|number| number.epoch << 48 | number.sequence)
                .collect(),
        )
    }

    // req: T21
    #[test]
    fn an_ack_lists_the_newest_records_in_order() {
        let mut acks = Acks::default();
        let mut timers = TimerTable::default();
        acks.hurry(&mut timers);
        assert_eq!(told(&mut acks, 1200), None, "nothing to tell");
        // Every other record comes late, and the first ones are older than ten.
        let order: Vec<u64> = (0..14).map(|sequence| sequence ^ 1).collect();
        for sequence in &order {
            acks.received(first(2, *sequence));
        }
        acks.received(first(0, 7));
        acks.hurry(&mut timers);
        let newest = |count: usize| {
            let mut newest: Vec<u64> = order[order.len() - count..].to_vec();
            newest.sort_unstable();
            let encrypted = newest.into_iter().map(|sequence| 2 << 48 | sequence);
            [7].into_iter().chain(encrypted).collect::<Vec<_>>()
        };
        assert_eq!(told(&mut acks, 1200), Some(newest(9)));
        assert_eq!(told(&mut acks, 1200), None, "told once");
        // A smaller datagram has room for fewer, and those are the newest.
        acks.hurry(&mut timers);
        assert_eq!(
            told(&mut acks, Header::LEN + 2 + 5 * AckNumber::LEN),
            Some(newest(4))
        );
        acks.forget(&mut timers);
        acks.hurry(&mut timers);
        assert_eq!(told(&mut acks, 1200), None, "our flight told it");
    }

    // req: T21
    #[test]
    fn an_ack_waits_for_a_quarter_of_the_time_out_since_the_first_record() {
        let mut acks = Acks::default();
        let mut timers = TimerTable::default();
        let start = now();
        let ms = Duration::from_millis;
        acks.received(first(2, 0));
        acks.delay(start, ms(400), &mut timers);
        assert_eq!(timers.next(), Some(start + ms(100)));
        acks.received(first(2, 1));
        acks.delay(start + ms(50), ms(400), &mut timers);
        assert_eq!(timers.next(), Some(start + ms(100)));
        acks.rescale(ms(200), &mut timers);
        assert_eq!(timers.next(), Some(start + ms(50)));
        acks.hurry(&mut timers);
        assert_eq!(timers.next(), None);
        acks.rescale(ms(200), &mut timers);
        assert_eq!(timers.next(), None);
    }

    // req: T21 T52
    #[test]
    fn what_was_told_is_told_again_with_a_repetition_until_that_cannot_come_any_more() {
        let mut records = RecordLayer::default();
        let mut acks = Acks::default();
        let mut timers = TimerTable::default();
        let start = Second::START;
        let ms = Duration::from_millis;
        for sequence in 0..3 {
            acks.received(arrival(2, sequence, start));
        }
        acks.hurry(&mut timers);
        assert!(told(&mut acks, 1200).is_some());
        let kept = acks.told(&mut records).unwrap();
        assert!(!kept.is_over(start.end_of(KEPT - ms(1001))));
        assert!(kept.is_over(start.end_of(KEPT)));
        let mut acks = Acks::from(kept);
        let later = start.end_of(Duration::from_secs(60));
        acks.received(arrival(2, 7, later));
        acks.hurry(&mut timers);
        let all = [0, 1, 2, 7].map(|sequence| 2 << 48 | sequence);
        assert_eq!(told(&mut acks, 1200), Some(all.to_vec()));
        // The repetition may be repeated.
        let kept = acks.told(&mut records).unwrap();
        assert!(!kept.is_over(start.end_of(KEPT)) && kept.is_over(later.end_of(KEPT)));
        let mut acks = Acks::from(kept);
        acks.forget(&mut timers);
        assert!(acks.told(&mut records).is_none(), "our flight told it");
    }

    // req: T21 T52
    #[test]
    fn what_was_told_is_kept_in_sixteen_bytes_and_is_all_of_an_ack() {
        assert_eq!(size_of::<Told>(), 16);
        assert_eq!(size_of::<super::super::Kept>(), 16);
        let mut acks = Acks::default();
        let mut timers = TimerTable::default();
        // Changes of keys that are said three times each, with some data between.
        for epoch in 3..10 {
            for sequence in [2, 5, 9] {
                acks.received(first(epoch, sequence));
            }
        }
        acks.hurry(&mut timers);
        let before = told(&mut acks, 1200).unwrap();
        assert_eq!(before.len(), 10);
        let mut acks = Acks::from(acks.told(&mut RecordLayer::default()).unwrap());
        acks.hurry(&mut timers);
        assert_eq!(told(&mut acks, 1200), Some(before));
    }

    // req: T21 T23
    #[test]
    fn an_ack_waits_until_there_is_room_for_it() {
        let mut acks = Acks::default();
        acks.received(first(2, 3));
        acks.hurry(&mut TimerTable::default());
        let least = Header::LEN + 2 + AckNumber::LEN;
        for room in [0, Header::LEN + 1, least - 1] {
            assert_eq!(told(&mut acks, room), None, "{room}");
            assert!(!acks.is_told());
        }
        assert_eq!(told(&mut acks, least), Some(vec![2 << 48 | 3]));
        assert!(acks.is_told());
    }

    // req: T21 T52
    #[test]
    fn what_the_peer_said_once_is_forgotten_when_it_has_heard_the_ack_and_what_it_repeated_is_not()
    {
        for is_repetition in [false, true] {
            let mut acks = Acks::default();
            let mut timers = TimerTable::default();
            acks.received(first(3, 5));
            acks.received(Arrival {
                is_repetition,
                ..first(3, 7)
            });
            acks.received(first(3, 8));
            acks.hurry(&mut timers);
            acks.on_heard();
            let all = [5, 7, 8].map(|sequence| 3 << 48 | sequence);
            assert_eq!(told(&mut acks, 1200), Some(all.to_vec()), "not told yet");
            let kept = acks.told(&mut RecordLayer::default()).unwrap();
            assert_eq!(kept.may_come_again(), is_repetition);
            let mut acks = Acks::from(kept);
            acks.on_heard();
            acks.received(first(3, 9));
            acks.hurry(&mut timers);
            let told = told(&mut acks, 1200).unwrap();
            assert_eq!(told.len(), if is_repetition { 4 } else { 1 });
            acks.forget(&mut timers);
            acks.received(first(4, 0));
            acks.on_heard();
            let kept = acks.told(&mut RecordLayer::default());
            assert!(kept.is_none(), "our flight told it");
        }
    }
}
