//! What we acknowledge: the handshake records that came since our last flight, told after a while (RFC 9147 §7.1).
//!
//! A complete flight is acknowledged by the answer to it. An ACK is for the rest: a flight that stays incomplete, one
//! that nothing answers, and one that comes again. A quarter of the retransmission time-out lets overtaken records catch
//! up, so that what a delayed ACK does not list was most likely lost.

use std::time::{Duration, Instant};

use super::LINGER;
use crate::msgs::codec::Codec;
use crate::msgs::post_handshake::{Ack, AckNumber};
use crate::record::RecordLayer;
use crate::record::header::{ContentType, Epoch, RecordNumber};
use crate::timer::{Second, Timer, TimerTable};

/// Record numbers in an ACK, the newest ones.
const MOST: usize = 32;

/// Record numbers of data's epochs that are kept when they were told.
const FEW: usize = 8;

/// Records of a usual flight.
const USUAL: usize = 8;

/// How long after the newest record the list is kept at rest. An epoch is opened for [`LINGER`] after something came in the
/// next one, which may be about as late itself.
const KEPT: Duration = LINGER.saturating_mul(2);

#[derive(Debug, Default)]
pub(super) struct Acks {
    /// In the order they came.
    numbers: Vec<RecordNumber>,
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

/// What was acknowledged and may come again: an ACK of a repetition names it (RFC 9147 §7). Records of the handshake's
/// epoch are in the care of the record layer, which knows how long they can come again.
///
/// However many ACKs are lost, it takes 16 bytes: of the three newest epochs, which changes of keys are repeated in, the newest
/// record and which of the eight before it. Nothing is kept of numbers that do not fit into 16 bits. A repetition is
/// acknowledged in any case, and who hears that has an ACK for all that it says.
#[derive(Debug)]
pub(crate) struct Told {
    newest_at: Second,
    epoch: Epoch,
    /// Of this epoch and of the two before it.
    few: [Few; EPOCHS],
    has_repetition: bool,
}

/// The epochs of which numbers are kept when they were told.
const EPOCHS: usize = 3;

/// Numbers of one epoch, in three bytes.
#[derive(Clone, Copy, Debug)]
struct Few {
    /// Plus one; 0 if there is none.
    newest: [u8; 2],
    /// The eight numbers before it: a bit for each, the nearest first.
    near: u8,
}

impl Few {
    fn of(epoch: Option<Epoch>, numbers: &[RecordNumber]) -> Self {
        let of_epoch = numbers
            .iter()
            .filter(|number| Some(number.epoch()) == epoch);
        let sequences = of_epoch.filter_map(|number| u16::try_from(number.sequence()).ok());
        let newest = sequences
            .clone()
            .filter_map(|sequence| sequence.checked_add(1))
            .max();
        let newest = newest.unwrap_or(0);
        let behind = sequences.filter_map(|sequence| newest.checked_sub(sequence)?.checked_sub(1));
        let near = behind.filter(|by| (1..=8).contains(by));
        Self {
            newest: newest.to_be_bytes(),
            near: near.fold(0, |near, by| near | 1 << (by - 1)),
        }
    }

    /// The oldest first.
    fn sequences(self) -> impl Iterator<Item = u64> {
        let newest = u16::from_be_bytes(self.newest).checked_sub(1);
        let behind = (1..=8)
            .rev()
            .filter(move |by| self.near >> (by - 1) & 1 == 1);
        let number = move |by: u16| newest.and_then(|newest| newest.checked_sub(by));
        behind.chain([0]).filter_map(number).map(u64::from)
    }
}

impl Told {
    /// `None` if there is nothing to be kept.
    fn of(acks: &Acks) -> Option<Self> {
        let epoch = acks.numbers.iter().map(|number| number.epoch()).max()?;
        let before = |by| epoch.0.checked_sub(by).map(Epoch);
        Some(Self {
            newest_at: acks.newest_at?,
            epoch,
            few: [0, 1, 2].map(|by| Few::of(before(by), &acks.numbers)),
            has_repetition: acks.has_repetition,
        })
    }

    /// The oldest first.
    fn numbers(&self) -> impl Iterator<Item = RecordNumber> {
        let of_epoch = |(few, by): (&Few, u16)| {
            let epoch = Epoch(self.epoch.0.saturating_sub(by));
            let number = move |sequence| RecordNumber::new(epoch, sequence);
            few.sequences().map(number)
        };
        self.few.iter().zip([0, 1, 2]).rev().flat_map(of_epoch)
    }

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
        let mut numbers = Vec::with_capacity(4);
        numbers.extend(told.numbers());
        Self {
            numbers,
            state: AckState::Idle,
            newest_at: Some(told.newest_at),
            has_repetition: told.may_come_again(),
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
        if self.numbers.len() == MOST {
            self.numbers.remove(0);
        }
        if self.numbers.capacity() == 0 {
            self.numbers.reserve_exact(USUAL);
        }
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
        if !self.numbers.is_empty() {
            self.state = AckState::Due;
        }
    }

    /// Whether nothing waits to be told.
    pub(super) fn is_told(&self) -> bool {
        self.state == AckState::Idle
    }

    /// What is kept when all was told, besides what `records` keeps.
    pub(super) fn told(mut self, records: &mut RecordLayer) -> Option<Told> {
        self.numbers.retain(|number| !records.acknowledge(*number));
        Told::of(&self)
    }

    /// The peer is known to have been told. What it said once does not come again.
    pub(super) fn on_heard(&mut self) {
        if self.is_told() && !self.has_repetition {
            self.numbers = Vec::new();
        }
    }

    /// Our flight says that the peer's was received.
    pub(super) fn forget(&mut self, timers: &mut TimerTable) {
        timers.stop(Timer::Ack);
        self.numbers.clear();
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
        let newest = self.numbers.iter().rev().copied();
        let mut told: Vec<AckNumber> = newest
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
        self.forget_oldest();
        sealed.ok().map(|sealed| sealed.len)
    }

    /// Of what came in epochs of data and was told, a few numbers stay.
    fn forget_oldest(&mut self) {
        let is_data = |number: &RecordNumber| number.epoch() > Epoch::HANDSHAKE;
        let count = self.numbers.iter().filter(|number| is_data(number)).count();
        let mut spare = count.saturating_sub(FEW);
        self.numbers.retain(|number| {
            let goes = spare > 0 && is_data(number);
            spare -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msgs::codec::Reader;
    use crate::record::header::Header;

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
        // Every other record comes late, and the first ones are older than 32.
        let order: Vec<u64> = (0..40).map(|sequence| sequence ^ 1).collect();
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
        assert_eq!(told(&mut acks, 1200), Some(newest(31)));
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
    fn of_what_was_told_what_is_near_in_the_three_newest_epochs_is_kept_in_sixteen_bytes() {
        assert_eq!(size_of::<Told>(), 16);
        let number = |epoch, sequence| RecordNumber::new(Epoch(epoch), sequence);
        let kept = |numbers: &[RecordNumber]| {
            let told = Told::of(&Acks {
                numbers: numbers.to_vec(),
                newest_at: Some(Second::START),
                ..Acks::default()
            })?;
            assert!(!told.may_come_again());
            Some(Acks::from(told).numbers)
        };
        assert_eq!(kept(&[]), None);
        let mut all: Vec<_> = (0..40).map(|by| number(3, 1000 + 4 * by)).collect();
        assert_eq!(kept(&all).unwrap(), all[37..]);
        // In whatever order they came.
        let newest = all[37..].to_vec();
        all.reverse();
        assert_eq!(kept(&all), Some(newest));
        // A change of keys is repeated in the epochs before, too.
        let mut mixed: Vec<_> = [1, 2, 3, 5, 7].map(|sequence| number(3, sequence)).into();
        mixed.extend([number(4, 0), number(4, 8), number(5, 0)]);
        assert_eq!(kept(&mixed), Some(mixed.clone()));
        mixed.insert(0, number(2, 6));
        assert_eq!(kept(&mixed).unwrap(), mixed[1..]);
        let apart = [number(3, 5), number(5, 6), number(9, 0)];
        assert_eq!(kept(&apart[..2]).unwrap(), apart[..2]);
        assert_eq!(kept(&apart).unwrap(), apart[2..]);
        let far = [number(3, 0), number(3, 1), number(3, 9)];
        assert_eq!(kept(&far).unwrap(), far[1..]);
        let highest = [
            number(u16::MAX - 2, 0),
            number(u16::MAX, u64::from(u16::MAX) - 1),
        ];
        assert_eq!(kept(&highest).unwrap(), highest);
        assert_eq!(kept(&[number(0, 3)]), Some(vec![number(0, 3)]));
        // What does not fit says nothing of the rest.
        let high = [
            number(3, 5),
            number(4, u64::from(u16::MAX)),
            number(4, 1 << 16),
        ];
        assert_eq!(kept(&high).unwrap(), high[..1]);
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
