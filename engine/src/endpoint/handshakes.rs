//! Handshake work that waits for its turn: oldest handshake first, so that under a storm of clients some get through
//! instead of all getting half-way.
//!
//! Key exchange, signatures and certificates cost a thousand times what a consent check does. Where the caller has asked for it,
//! what would begin or continue a DTLS handshake is kept here, and done one piece at a time when the caller has nothing better to
//! do. A handshake keeps its age from its first piece to its end, or until it has had more pieces done than one needs that gets on: then
//! it is the youngest, so that no peer that sends and sends holds up the others. All of it is bounded: so many handshakes, so many
//! datagrams and bytes of each.

use super::{Endpoint, keyed::Keyed};
use crate::{DropReason, Outcome, Received, TransportId, demux::Kind};
use floe_ice::FiveTuple;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Instant,
};

/// Datagrams of a handshake that wait: the longest flight of a client, and some of it again.
const PER_HANDSHAKE: usize = 8;
/// And their bytes together: more than any flight with a chain of certificates in it.
const BYTES: usize = 20_000;
/// How many pieces of a handshake are done before it loses its age: several times what one takes, flights that are repeated among them.
const PER_AGE: u32 = 32;

#[derive(Debug)]
pub(super) struct Handshakes {
    /// The most handshakes; `None`: nothing waits here.
    most: Option<usize>,
    /// Those that have something to do, by age.
    waiting: BTreeMap<u64, Waiting>,
    ages: HashMap<TransportId, Age, Keyed>,
    next_age: u64,
}

#[derive(Clone, Copy, Debug)]
struct Age {
    /// The lowest is the oldest.
    number: u64,
    /// Pieces of it that were done at this age.
    done: u32,
}

#[derive(Debug)]
struct Waiting {
    transport: TransportId,
    work: VecDeque<Work>,
}

/// A piece of a handshake.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A client's first flight.
    Start,
    Datagram(FiveTuple, Box<[u8]>),
}

/// The header of a plaintext record: type, version, epoch, sequence number, length.
const RECORD_HEADER: usize = 1 + 2 + 2 + 6 + 2;

impl Work {
    fn len(&self) -> usize {
        match self {
            Self::Start => 0,
            Self::Datagram(_, bytes) => bytes.len(),
        }
    }

    /// Whether `later` says nothing that this does not: whoever waits for an answer repeats what it has sent, in a record that has
    /// another number and is otherwise the same.
    fn stands_for(&self, later: &Self) -> bool {
        match (self, later) {
            (Self::Start, Self::Start) => true,
            (Self::Datagram(path, known), Self::Datagram(from, later)) => {
                let halves = (
                    known.split_at_checked(RECORD_HEADER),
                    later.split_at_checked(RECORD_HEADER),
                );
                let (Some((header, body)), Some((of_later, body_of_later))) = halves else {
                    return false;
                };
                let plaintext = header[3..5] == [0, 0];
                plaintext && header[..5] == of_later[..5] && body == body_of_later && path == from
            }
            _ => false,
        }
    }
}

impl Handshakes {
    pub(super) fn new(most: Option<usize>, hash: Keyed) -> Self {
        Self {
            most,
            waiting: BTreeMap::new(),
            ages: HashMap::with_hasher(hash),
            next_age: 0,
        }
    }

    /// Whether handshakes wait here at all.
    pub(super) fn is_on(&self) -> bool {
        self.most.is_some()
    }

    /// How many have something to do.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A piece of this transport's handshake is to be done. False if there is no room for it.
    pub(super) fn push(&mut self, transport: TransportId, work: Work) -> bool {
        if work.len() > BYTES {
            return false;
        }
        let Some(age) = self.age_of(transport) else {
            return false;
        };
        let waiting = self.waiting.entry(age).or_insert_with(|| Waiting {
            transport,
            work: VecDeque::new(),
        });
        if waiting.work.iter().any(|known| known.stands_for(&work)) {
            return true;
        }
        let bytes: usize = waiting.work.iter().map(Work::len).sum();
        let has_room = waiting.work.len() < PER_HANDSHAKE && bytes + work.len() <= BYTES;
        if has_room {
            waiting.work.push_back(work);
        }
        has_room
    }

    /// The next piece of the oldest handshake.
    pub(super) fn pop(&mut self) -> Option<(TransportId, Work)> {
        let mut oldest = self.waiting.first_entry()?;
        let transport = oldest.get().transport;
        let work = oldest.get_mut().work.pop_front();
        if oldest.get().work.is_empty() {
            oldest.remove();
        }
        self.grow_young(transport);
        Some((transport, work?))
    }

    /// One more piece is done. Who has had too many goes behind everybody else.
    fn grow_young(&mut self, transport: TransportId) {
        let Some(age) = self.ages.get_mut(&transport) else {
            return;
        };
        age.done += 1;
        if age.done < PER_AGE {
            return;
        }
        self.next_age += 1;
        let number = self.next_age;
        let before = std::mem::replace(age, Age { number, done: 0 });
        if let Some(waiting) = self.waiting.remove(&before.number) {
            self.waiting.insert(number, waiting);
        }
    }

    /// This transport's handshake is over, or gone.
    pub(super) fn forget(&mut self, transport: TransportId) {
        if !self.ages.is_empty()
            && let Some(age) = self.ages.remove(&transport)
        {
            self.waiting.remove(&age.number);
        }
    }

    fn age_of(&mut self, transport: TransportId) -> Option<u64> {
        if let Some(age) = self.ages.get(&transport) {
            return Some(age.number);
        }
        if self.ages.len() >= self.most? {
            return None;
        }
        self.next_age += 1;
        let number = self.next_age;
        self.ages.insert(transport, Age { number, done: 0 });
        Some(number)
    }
}

impl Endpoint {
    /// Does one piece of the handshake work that waits (see [`EndpointConfig::waiting_handshakes`]): a datagram of the oldest
    /// handshake, written into `buf` and handled there, or a client's first flight. Gives where it belongs and what became of
    /// it, as [`handle_datagram`](Self::handle_datagram) does; `None` if nothing waits. To be called when the sockets are
    /// empty and nothing is due, again and again between looks at them: so no live session ever waits for more than one
    /// piece.
    ///
    /// `buf` is to hold the longest datagram that the sockets take; 20 000 bytes hold all that is ever kept. One that is longer
    /// than `buf` is dropped and counted ([`DropReason::TooManyHandshakes`]).
    ///
    /// [`EndpointConfig::waiting_handshakes`]: crate::EndpointConfig::waiting_handshakes
    pub fn handle_handshake<'d>(
        &mut self,
        now: Instant,
        buf: &'d mut [u8],
    ) -> Option<(FiveTuple, Outcome<'d>)> {
        while let Some((id, work)) = self.handshakes.pop() {
            match work {
                Work::Start => {
                    let start = self.touch(now, id, |transport| transport.start_handshake(now));
                    if let Some(path) = start.flatten() {
                        let received = Received::Handled;
                        return Some((path, Outcome::routed(id, received)));
                    }
                }
                Work::Datagram(path, bytes) => {
                    let Some(datagram) = buf.get_mut(..bytes.len()) else {
                        return Some((path, self.drop(DropReason::TooManyHandshakes)));
                    };
                    datagram.copy_from_slice(&bytes);
                    let outcome = self.deliver_other(now, id, path, Kind::Dtls, datagram);
                    return Some((path, outcome));
                }
            }
        }
        None
    }

    /// How many handshakes have something to do: while there are any, [`handle_handshake`](Self::handle_handshake) is due.
    #[must_use]
    pub fn waiting_handshakes(&self) -> usize {
        self.handshakes.len()
    }

    /// A datagram of a handshake is kept until its turn.
    pub(super) fn put_off(
        &mut self,
        id: TransportId,
        path: FiveTuple,
        datagram: &[u8],
    ) -> Outcome<'static> {
        match self
            .handshakes
            .push(id, Work::Datagram(path, datagram.into()))
        {
            true => Outcome::routed(id, Received::Handled),
            false => self.drop(DropReason::TooManyHandshakes),
        }
    }

    /// After anything that may have changed a transport: its handshake begins, or is over.
    pub(super) fn refresh_handshake(&mut self, id: TransportId) {
        let Some(transport) = self.slots.get(id) else {
            return;
        };
        if transport.awaits_start() {
            // Without room it is asked again whenever something happens to the transport, a consent check at the latest.
            self.handshakes.push(id, Work::Start);
        } else if !transport.is_handshaking() {
            self.handshakes.forget(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(number: u8) -> Work {
        let address = |n| ([192, 0, 2, n], 1).into();
        Work::Datagram(FiveTuple::udp(address(1), address(2)), [number].into())
    }

    fn id(number: u64) -> TransportId {
        TransportId::from_bits(1 << 32 | number)
    }

    fn order(handshakes: &mut Handshakes) -> Vec<TransportId> {
        std::iter::from_fn(|| handshakes.pop())
            .map(|(id, _)| id)
            .collect()
    }

    #[test]
    fn the_oldest_handshake_goes_first_until_it_is_over() {
        let mut handshakes = Handshakes::new(Some(10), Keyed::new([1; 16]));
        for number in [3, 1, 2, 3] {
            assert!(handshakes.push(id(number), datagram(number as u8)));
        }
        assert_eq!(handshakes.len(), 3);
        assert_eq!(order(&mut handshakes), [id(3), id(3), id(1), id(2)]);
        // The second flight of the second oldest comes before the first of a new one, and after that of the oldest.
        for number in [4, 1, 3] {
            assert!(handshakes.push(id(number), datagram(0)));
        }
        assert_eq!(order(&mut handshakes), [id(3), id(1), id(4)]);
        handshakes.forget(id(3));
        for number in [3, 4] {
            assert!(handshakes.push(id(number), datagram(0)));
        }
        assert_eq!(order(&mut handshakes), [id(4), id(3)]);
    }

    #[test]
    fn who_always_has_more_to_do_is_the_youngest_in_the_end() {
        let mut handshakes = Handshakes::new(Some(10), Keyed::new([1; 16]));
        for number in [1, 2, 3] {
            assert!(handshakes.push(id(number), datagram(0)));
            assert!(handshakes.push(id(number), datagram(1)));
        }
        // The first says something more after each of its pieces; a fourth begins when the others are through.
        let (mut said, mut order) = (2, Vec::new());
        while order.len() < 3 * PER_AGE as usize + 5 {
            let Some((next, Work::Datagram(_, bytes))) = handshakes.pop() else {
                panic!("the first always has something to do: {order:?}");
            };
            order.push((next.slot(), bytes[0]));
            if next == id(1) {
                assert!(handshakes.push(id(1), datagram(said)));
                said += 1;
            } else if order.ends_with(&[(3, 1)]) {
                assert!(handshakes.push(id(4), datagram(0)));
            }
        }
        // Each age of the first is as long as the one before, nothing it has said is lost, and nobody else loses its turn.
        let age = |number: u8| (0..PER_AGE as u8).map(move |n| (1, number * PER_AGE as u8 + n));
        let expected: Vec<_> = age(0)
            .chain([(2, 0), (2, 1), (3, 0), (3, 1)])
            .chain(age(1))
            .chain([(4, 0)])
            .chain(age(2))
            .collect();
        assert_eq!(order, expected);
        handshakes.forget(id(1));
        assert_eq!(handshakes.len(), 0);
    }

    #[test]
    fn a_repeated_flight_waits_once() {
        let mut handshakes = Handshakes::new(Some(10), Keyed::new([1; 16]));
        let address = |n| ([192, 0, 2, n], 1).into();
        let mut push = |epoch, number, body| {
            let bytes = [22, 254, 253, 0, epoch, 0, 0, 0, 0, 0, number, 0, 1, body];
            let path = FiveTuple::udp(address(1), address(2));
            assert!(handshakes.push(id(1), Work::Datagram(path, bytes.into())));
            handshakes
                .waiting
                .values()
                .map(|waiting| waiting.work.len())
                .sum::<usize>()
        };
        assert_eq!(push(0, 1, 7), 1);
        assert_eq!(push(0, 2, 7), 1, "the same under another number");
        assert_eq!(push(0, 3, 8), 2);
        // Of what is encrypted nobody can tell.
        assert_eq!(push(1, 1, 7), 3);
        assert_eq!(push(1, 2, 7), 4);
    }

    #[test]
    fn handshakes_and_their_datagrams_are_bounded() {
        let mut handshakes = Handshakes::new(Some(2), Keyed::new([1; 16]));
        let taken = (0..20).filter(|n| handshakes.push(id(1), datagram(*n)));
        assert_eq!(taken.count(), PER_HANDSHAKE);
        assert!(handshakes.push(id(2), Work::Start));
        assert!(handshakes.push(id(2), Work::Start), "it waits already");
        assert!(!handshakes.push(id(3), datagram(0)));
        // What has been done makes room for datagrams, what is over for others.
        order(&mut handshakes);
        assert!(!handshakes.push(id(3), datagram(0)));
        assert!(handshakes.push(id(1), datagram(0)));
        handshakes.forget(id(1));
        assert_eq!(handshakes.len(), 0);
        assert!(handshakes.push(id(3), datagram(0)));
        assert!(!Handshakes::new(None, Keyed::new([1; 16])).push(id(1), datagram(0)));
    }

    #[test]
    fn the_bytes_of_a_handshake_are_bounded() {
        let mut handshakes = Handshakes::new(Some(1), Keyed::new([1; 16]));
        let long = |len: usize| {
            let address = |n| ([192, 0, 2, n], 1).into();
            let path = FiveTuple::udp(address(1), address(2));
            Work::Datagram(path, vec![22; len].into())
        };
        assert!(!handshakes.push(id(1), long(BYTES + 1)));
        assert_eq!(handshakes.len(), 0, "it has not even got an age");
        assert!(handshakes.push(id(2), long(BYTES - 10)));
        assert!(!handshakes.push(id(2), long(11)));
        assert!(handshakes.push(id(2), long(10)));
        assert_eq!(order(&mut handshakes), [id(2), id(2)]);
        assert!(handshakes.push(id(2), long(BYTES)), "there is room again");
    }
}
