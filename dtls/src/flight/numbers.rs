//! The numbers of records in a few bytes: each by its distance to the one that came after it.

use crate::few::Few;
use crate::record::header::{Epoch, RecordNumber};

/// The numbers of records, in the order in which they came or went; the oldest give way where there is no room.
///
/// What is sent again and again, because nobody says that it came, must not take more and more memory. A number mostly takes
/// one byte, the newest two; with more than 15 other records between it takes another one, and never more than ten.
#[derive(Clone, Debug)]
pub(super) struct RecordNumbers<const ROOM: usize> {
    /// The newest first, and zeros behind the oldest.
    packed: [u8; ROOM],
}

impl<const ROOM: usize> Default for RecordNumbers<ROOM> {
    fn default() -> Self {
        Self { packed: [0; ROOM] }
    }
}

impl<const ROOM: usize> RecordNumbers<ROOM> {
    pub(super) fn push(&mut self, newest: RecordNumber) {
        *self = [newest].into_iter().chain(self.iter()).collect();
    }

    /// Takes this one out; says whether it was there.
    pub(super) fn take(&mut self, number: RecordNumber) -> bool {
        let is_there = self.iter().any(|other| other == number);
        if is_there {
            *self = self.iter().filter(|other| *other != number).collect();
        }
        is_there
    }

    /// The newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = RecordNumber> {
        let mut rest = &self.packed[..];
        std::iter::successors(unpack(None, &mut rest), move |newer| {
            unpack(Some(*newer), &mut rest)
        })
    }
}

impl<const ROOM: usize> FromIterator<RecordNumber> for RecordNumbers<ROOM> {
    /// As many as there is room for, of numbers of which the newest comes first.
    fn from_iter<I: IntoIterator<Item = RecordNumber>>(numbers: I) -> Self {
        let mut all = Self::default();
        let mut room = &mut all.packed[..];
        let mut newer = None;
        for number in numbers {
            let packed = pack(newer, number);
            let Some((here, behind)) = room.split_at_mut_checked(packed.len()) else {
                break;
            };
            here.copy_from_slice(&packed);
            room = behind;
            newer = Some(number);
        }
        all
    }
}

/// How a number stands to the one that came after it: the two lowest bits of what it is packed as, and never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Of the same epoch: the distance of the sequence numbers.
    Same = 1,
    /// Of the epoch before: the same.
    Before = 2,
    /// Of any epoch: the distance to it, and the sequence number.
    Other = 3,
}

impl Kind {
    fn of(packed: u64) -> Option<Self> {
        [Self::Same, Self::Before, Self::Other]
            .into_iter()
            .find(|kind| *kind as u64 == packed & 3)
    }
}

/// The newest is packed as one of another epoch than that of plaintext, whatever it is.
fn pack(newer: Option<RecordNumber>, number: RecordNumber) -> Few<u8, 10> {
    let kind = match newer {
        Some(newer) if newer.epoch() == number.epoch() => Kind::Same,
        Some(newer) if Some(newer.epoch()) == number.epoch().next() => Kind::Before,
        _ => Kind::Other,
    };
    let newer = newer.unwrap_or_else(lowest);
    let (by, sequence) = match kind {
        Kind::Same | Kind::Before => (distance(newer.sequence(), number.sequence()), None),
        Kind::Other => {
            let epochs = distance(newer.epoch().0.into(), number.epoch().0.into());
            (epochs, Some(number.sequence()))
        }
    };
    let bytes = septets(by << 2 | kind as u64).chain(sequence.into_iter().flat_map(septets));
    Few::of(0, bytes)
}

/// What was [packed](pack) behind `newer`; `None` if nothing was.
fn unpack(newer: Option<RecordNumber>, rest: &mut &[u8]) -> Option<RecordNumber> {
    let newer = newer.unwrap_or_else(lowest);
    let first = read_septets(rest)?;
    let by = first >> 2;
    let epoch = newer.epoch();
    let (epoch, sequence) = match Kind::of(first)? {
        Kind::Same => (epoch, away(newer.sequence(), by)),
        Kind::Before => (Epoch(epoch.0.wrapping_sub(1)), away(newer.sequence(), by)),
        Kind::Other => (Epoch(away(epoch.0.into(), by) as u16), read_septets(rest)?),
    };
    Some(RecordNumber::new(epoch, sequence))
}

fn lowest() -> RecordNumber {
    RecordNumber::new(Epoch::PLAINTEXT, 0)
}

/// How far two numbers of at most 48 bits are apart, and in which direction: small where they are near.
fn distance(from: u64, to: u64) -> u64 {
    match from >= to {
        true => (from - to) << 1,
        false => (to - from) << 1 | 1,
    }
}

/// What is at this [`distance`].
fn away(from: u64, distance: u64) -> u64 {
    match distance & 1 {
        0 => from.wrapping_sub(distance >> 1),
        _ => from.wrapping_add(distance >> 1),
    }
}

/// Seven bits to a byte, the lowest first; the eighth says that there are more.
fn septets(value: u64) -> impl Iterator<Item = u8> {
    let last = (u64::BITS - value.leading_zeros()).saturating_sub(1) / 7;
    (0..=last).map(move |at| {
        let more = u8::from(at < last) << 7;
        (value >> (7 * at)) as u8 & 0x7f | more
    })
}

fn read_septets(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOM: usize = 40;

    fn number(epoch: u16, sequence: u64) -> RecordNumber {
        RecordNumber::new(Epoch(epoch), sequence)
    }

    fn of(numbers: &[RecordNumber]) -> RecordNumbers<ROOM> {
        let mut all = RecordNumbers::default();
        for number in numbers {
            all.push(*number);
        }
        all
    }

    fn newest_first(numbers: &RecordNumbers<ROOM>) -> Vec<RecordNumber> {
        numbers.iter().collect()
    }

    fn any_number() -> impl Strategy<Value = RecordNumber> {
        let epoch = prop_oneof![0u16..6, any::<u16>()];
        let sequence = prop_oneof![0u64..64, 0u64..1 << 24, 0..RecordNumber::SEQUENCES];
        (epoch, sequence).prop_map(|(epoch, sequence)| number(epoch, sequence))
    }

    proptest! {
        // req: T21 T52
        #[test]
        fn the_newest_are_kept_as_they_came(numbers in prop::collection::vec(any_number(), 0..60)) {
            let mut all = of(&numbers);
            let kept = newest_first(&all);
            let mut newest = numbers.clone();
            newest.reverse();
            newest.truncate(kept.len());
            prop_assert_eq!(&kept, &newest);
            prop_assert!(kept.len() >= numbers.len().min(ROOM / 10));
            prop_assert!(!all.take(number(7, 1 << 40)));
            if let Some(taken) = newest.get(newest.len() / 2).copied() {
                prop_assert!(all.take(taken));
                newest.retain(|number| *number != taken);
                // Its neighbours may be further apart now.
                let kept = newest_first(&all);
                newest.truncate(kept.len().max(ROOM / 10));
                prop_assert_eq!(kept, newest);
                prop_assert!(!all.take(taken));
            }
        }
    }

    // req: T21
    #[test]
    fn records_near_each_other_take_a_byte_each_and_the_newest_two() {
        let flight: Vec<_> = (0..60).map(|sequence| number(2, sequence ^ 1)).collect();
        let kept = newest_first(&of(&flight));
        assert_eq!(kept.len(), ROOM - 1);
        assert_eq!(kept.last(), Some(&number(2, 21 ^ 1)));
        // Other epochs cost nothing more, if each is the one after; the newest takes two bytes itself where it is far from 3.
        let changes = (3..100).flat_map(|epoch| [4, 7, 19].map(|by| number(epoch, by)));
        let changes: Vec<_> = changes.collect();
        assert_eq!(newest_first(&of(&changes)).len(), ROOM - 2);
        let far: Vec<_> = (0..60).map(|by| number(3, 16 * by)).collect();
        assert_eq!(newest_first(&of(&far)).len(), 1 + (ROOM - 3) / 2);
    }

    // req: T21 T52
    #[test]
    fn the_same_number_may_come_twice_and_any_distance_has_room() {
        let twice = [number(0, 0), number(0, 0), number(0, 0)];
        assert_eq!(newest_first(&of(&twice)), twice);
        let far = [
            number(u16::MAX, RecordNumber::SEQUENCES - 1),
            number(0, RecordNumber::SEQUENCES - 1),
        ];
        let kept = newest_first(&of(&[far, far, far].concat()));
        assert_eq!(kept, [far[1], far[0], far[1], far[0]]);
        assert_eq!(newest_first(&of(&[])), []);
    }
}
