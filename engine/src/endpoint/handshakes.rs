//! Handshake work that waits for its turn: oldest handshake first, so that under a storm of clients some get through
//! instead of all getting half-way.
//!
//! Key exchange, signatures and certificates cost a thousand times what a consent check does. Where the caller has asked for it,
//! what would begin or continue a DTLS handshake is kept here, and done one piece at a time when the caller has nothing better to
//! do. A handshake keeps its age from its first piece to its end, also while its peer is silent. Who has had as many pieces done as
//! nobody needs that gets on has had its share: it comes after all who have not, and so on with each further share, so that no peer
//! that sends and sends holds up the others.
//!
//! All of it is bounded: so many handshakes with datagrams that wait, so many datagrams and bytes of each. A place is held by who has
//! something to do, and only until somebody comes whose turn is before: a peer that falls silent for good holds none.

use super::{
    keyed::Keyed,
    table::{Hashed, Sharded},
};
use crate::TransportId;
use floe_ice::FiveTuple;
use std::collections::{BTreeMap, VecDeque};

/// Datagrams of a handshake that wait: the longest flight of a client, and some of it again.
const PER_HANDSHAKE: usize = 8;
/// And their bytes together: more than any flight with a chain of certificates in it.
const BYTES: usize = 20_000;
/// How many pieces of a handshake are a share: several times what one takes, flights that are repeated among them.
const PER_SHARE: u32 = 32;

#[derive(Debug)]
pub(super) struct Handshakes {
    /// The most handshakes with datagrams that wait.
    most: usize,
    waiting: BTreeMap<Turn, Waiting>,
    /// Clients that are to speak first.
    starts: BTreeMap<Turn, TransportId>,
    /// The turns of all that have begun.
    begun: Sharded<Begun>,
    under_way: usize,
    begun_so_far: u64,
    hash: Keyed,
}

/// Whose turn it is: the lowest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// How many shares it has had.
    shares: u32,
    /// How many have begun before.
    age: u64,
}

#[derive(Debug)]
struct Begun {
    hash: u64,
    transport: TransportId,
    turn: Turn,
    /// Pieces of its present share that were done.
    done: u32,
}

impl Hashed for Begun {
    fn hash(&self) -> u64 {
        self.hash
    }
}

#[derive(Debug)]
struct Waiting {
    transport: TransportId,
    datagrams: VecDeque<Datagram>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Datagram {
    pub(super) path: FiveTuple,
    pub(super) bytes: Box<[u8]>,
}

/// A piece of a handshake.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A client's first flight.
    Start,
    Datagram(Datagram),
}

/// What became of a datagram that was to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PutOff {
    Kept,
    /// In the place of this one's, so many datagrams of which are lost.
    KeptInsteadOf(TransportId, usize),
    Refused,
}

/// The header of a plaintext record: type, version, epoch, sequence number, length.
const RECORD_HEADER: usize = 1 + 2 + 2 + 6 + 2;

impl Datagram {
    /// Whether `later` says nothing that this does not: whoever waits for an answer repeats what it has sent, in a record that has
    /// another number and is otherwise the same.
    fn stands_for(&self, later: &Self) -> bool {
        let halves = (
            self.bytes.split_at_checked(RECORD_HEADER),
            later.bytes.split_at_checked(RECORD_HEADER),
        );
        let (Some((header, body)), Some((of_later, body_of_later))) = halves else {
            return false;
        };
        let plaintext = header[3..5] == [0, 0];
        let same = header[..5] == of_later[..5] && body == body_of_later;
        plaintext && same && self.path == later.path
    }
}

impl Waiting {
    /// Whether there was room for it.
    fn take(&mut self, datagram: Datagram) -> bool {
        if self
            .datagrams
            .iter()
            .any(|known| known.stands_for(&datagram))
        {
            return true;
        }
        let bytes: usize = self.datagrams.iter().map(|known| known.bytes.len()).sum();
        let has_room =
            self.datagrams.len() < PER_HANDSHAKE && bytes + datagram.bytes.len() <= BYTES;
        if has_room {
            self.datagrams.push_back(datagram);
        }
        has_room
    }
}

impl Handshakes {
    pub(super) fn new(most: usize, hash: Keyed) -> Self {
        Self {
            most,
            waiting: BTreeMap::new(),
            starts: BTreeMap::new(),
            begun: Sharded::new(),
            under_way: 0,
            begun_so_far: 0,
            hash,
        }
    }

    /// How many have something to do; a client counts twice that is to speak first and was spoken to.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.starts.len()
    }

    /// A client's first flight is to be made. That takes no room.
    pub(super) fn push_start(&mut self, transport: TransportId) {
        let turn = self.turn_of(transport);
        self.starts.insert(turn, transport);
    }

    /// A datagram of this transport's handshake is to be handled.
    pub(super) fn push(&mut self, transport: TransportId, datagram: Datagram) -> PutOff {
        if datagram.bytes.len() > BYTES {
            return PutOff::Refused;
        }
        // Who is refused keeps its age, and is before those that come later when it tries again.
        let turn = self.turn_of(transport);
        let gone = match self.waiting.contains_key(&turn) {
            true => None,
            false => match self.make_room_for(turn) {
                Ok(gone) => gone,
                Err(refused) => return refused,
            },
        };
        let waiting = self.waiting.entry(turn).or_insert_with(|| Waiting {
            transport,
            datagrams: VecDeque::new(),
        });
        match (waiting.take(datagram), gone) {
            (false, _) => PutOff::Refused,
            (true, None) => PutOff::Kept,
            (true, Some(gone)) => PutOff::KeptInsteadOf(gone.transport, gone.datagrams.len()),
        }
    }

    /// Of too many the one goes whose turn is last. An error if this is the last.
    fn make_room_for(&mut self, turn: Turn) -> Result<Option<Waiting>, PutOff> {
        if self.waiting.len() < self.most {
            return Ok(None);
        }
        match self.waiting.last_entry() {
            Some(last) if *last.key() > turn => Ok(Some(last.remove())),
            _ => Err(PutOff::Refused),
        }
    }

    /// Of a handshake that has not had its first turn, whether something waits for that.
    pub(super) fn waits_to_begin(&self, transport: TransportId) -> Option<bool> {
        let (hash, it) = self.place_of(transport);
        let begun = self.begun.get(hash, it)?;
        let is_first = begun.done == 0 && begun.turn.shares == 0;
        is_first.then(|| self.waiting.contains_key(&begun.turn))
    }

    /// The next piece of whose turn it is.
    pub(super) fn pop(&mut self) -> Option<(TransportId, Work)> {
        let next = self.waiting.first_entry();
        let start = self.starts.first_entry();
        let (transport, work) = match (start, next) {
            (Some(start), next) if next.as_ref().is_none_or(|next| start.key() <= next.key()) => {
                (start.remove(), Work::Start)
            }
            (_, next) => {
                let mut next = next?;
                let transport = next.get().transport;
                let datagram = next.get_mut().datagrams.pop_front();
                if next.get().datagrams.is_empty() {
                    next.remove();
                }
                (transport, Work::Datagram(datagram?))
            }
        };
        self.count(transport);
        Some((transport, work))
    }

    /// One more piece is done.
    fn count(&mut self, transport: TransportId) {
        let (hash, it) = self.place_of(transport);
        let Some(begun) = self.begun.get_mut(hash, it) else {
            return;
        };
        begun.done += 1;
        if begun.done < PER_SHARE {
            return;
        }
        begun.done = 0;
        let before = begun.turn;
        begun.turn.shares = before.shares.saturating_add(1);
        let turn = begun.turn;
        // A first flight goes before the datagrams of the same turn, so that none waits now.
        if let Some(waiting) = self.waiting.remove(&before) {
            self.waiting.insert(turn, waiting);
        }
    }

    /// This transport's handshake is over, and well. What came behind its end waits for its turn as before: it may be the peer's
    /// first data.
    pub(super) fn finish(&mut self, transport: TransportId) {
        if self.under_way == 0 {
            return;
        }
        let (hash, it) = self.place_of(transport);
        let begun = self.begun.get(hash, it);
        if begun.is_some_and(|begun| !self.waiting.contains_key(&begun.turn)) {
            self.forget(transport);
        }
    }

    /// This transport is gone, and with it what waits.
    pub(super) fn forget(&mut self, transport: TransportId) {
        if self.under_way == 0 {
            return;
        }
        let (hash, it) = self.place_of(transport);
        if let Some(begun) = self.begun.get(hash, it) {
            self.waiting.remove(&begun.turn);
            self.starts.remove(&begun.turn);
            self.begun.remove(hash, it);
            self.under_way -= 1;
        }
    }

    fn turn_of(&mut self, transport: TransportId) -> Turn {
        let (hash, it) = self.place_of(transport);
        if let Some(begun) = self.begun.get(hash, it) {
            return begun.turn;
        }
        let turn = Turn {
            shares: 0,
            age: self.begun_so_far,
        };
        self.begun_so_far += 1;
        self.under_way += 1;
        self.begun.insert(Begun {
            hash,
            transport,
            turn,
            done: 0,
        });
        turn
    }

    /// Where the table has this transport, and which of those there it is.
    fn place_of(&self, transport: TransportId) -> (u64, impl Fn(&Begun) -> bool + Copy + use<>) {
        let hash = self.hash.hash(&transport.to_bits().to_be_bytes());
        (hash, move |begun| begun.transport == transport)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PutOff::{Kept, KeptInsteadOf, Refused};

    fn path() -> FiveTuple {
        let address = |n| ([192, 0, 2, n], 1).into();
        FiveTuple::udp(address(1), address(2))
    }

    fn datagram(number: u8) -> Datagram {
        of_bytes(&[number])
    }

    fn of_bytes(bytes: &[u8]) -> Datagram {
        Datagram {
            path: path(),
            bytes: bytes.into(),
        }
    }

    fn handshakes(most: usize) -> Handshakes {
        Handshakes::new(most, Keyed::new([1; 16]))
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
        let mut handshakes = handshakes(10);
        for number in [3, 1, 2, 3] {
            let kept = handshakes.push(id(number), datagram(number as u8));
            assert_eq!(kept, Kept);
        }
        assert_eq!(handshakes.len(), 3);
        assert_eq!(order(&mut handshakes), [id(3), id(3), id(1), id(2)]);
        // The second flight of the second oldest comes before the first of a new one, and after that of the oldest.
        for number in [4, 1, 3] {
            assert_eq!(handshakes.push(id(number), datagram(0)), Kept);
        }
        assert_eq!(order(&mut handshakes), [id(3), id(1), id(4)]);
        handshakes.forget(id(3));
        for number in [3, 4] {
            assert_eq!(handshakes.push(id(number), datagram(0)), Kept);
        }
        assert_eq!(order(&mut handshakes), [id(4), id(3)]);
        for number in 1..=4 {
            handshakes.forget(id(number));
        }
        assert_eq!((handshakes.under_way, handshakes.begun.len()), (0, 0));
    }

    #[test]
    fn who_always_has_more_to_do_comes_after_all_others_in_the_end() {
        let mut handshakes = handshakes(10);
        for number in [1, 2, 3] {
            for said in [0, 1] {
                assert_eq!(handshakes.push(id(number), datagram(said)), Kept);
            }
        }
        // The first says something more after each of its pieces; a fourth begins when the others are through, and a fifth when
        // the first has had another share.
        let (mut said, mut order) = (2, Vec::new());
        while order.len() < 3 * PER_SHARE as usize + 6 {
            let Some((next, Work::Datagram(Datagram { bytes, .. }))) = handshakes.pop() else {
                panic!("the first always has something to do: {order:?}");
            };
            order.push((next.slot(), bytes[0]));
            if next == id(1) {
                assert_eq!(handshakes.push(id(1), datagram(said)), Kept);
                said += 1;
            }
            for (last, new) in [((3, 1), 4), ((1, 50), 5)] {
                if order.ends_with(&[last]) {
                    assert_eq!(handshakes.push(id(new), datagram(0)), Kept);
                }
            }
        }
        // Nothing it has said is lost, and nobody else loses a turn to it.
        let of_first = |said: std::ops::Range<u8>| said.map(|n| (1, n));
        let expected: Vec<_> = of_first(0..PER_SHARE as u8)
            .chain([(2, 0), (2, 1), (3, 0), (3, 1), (4, 0)])
            .chain(of_first(PER_SHARE as u8..51))
            .chain([(5, 0)])
            .chain(of_first(51..3 * PER_SHARE as u8))
            .collect();
        assert_eq!(order, expected);
        handshakes.forget(id(1));
        assert_eq!(handshakes.len(), 0);
    }

    #[test]
    fn a_repeated_flight_waits_once() {
        let mut handshakes = handshakes(10);
        let mut push = |epoch, number, body| {
            let bytes = [22, 254, 253, 0, epoch, 0, 0, 0, 0, 0, number, 0, 1, body];
            assert_eq!(handshakes.push(id(1), of_bytes(&bytes)), Kept);
            handshakes
                .waiting
                .values()
                .map(|waiting| waiting.datagrams.len())
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
        let mut handshakes = handshakes(2);
        let taken = (0..20).filter(|n| handshakes.push(id(1), datagram(*n)) == Kept);
        assert_eq!(taken.count(), PER_HANDSHAKE);
        assert_eq!(handshakes.push(id(2), datagram(0)), Kept);
        assert_eq!(handshakes.push(id(3), datagram(0)), Refused);
        // What has been done makes room for others, whether it is over or not.
        order(&mut handshakes);
        for number in [4, 3] {
            assert_eq!(handshakes.push(id(number), datagram(0)), Kept);
        }
        assert_eq!(order(&mut handshakes), [id(3), id(4)], "it came before");
        assert_eq!(handshakes.push(id(1), datagram(0)), Kept);
        handshakes.forget(id(1));
        assert_eq!(handshakes.len(), 0);
    }

    #[test]
    fn whose_turn_is_last_gives_way_and_what_it_loses_is_counted() {
        let mut handshakes = handshakes(2);
        // Three begin, and are served but for the last.
        for number in [1, 2, 3] {
            handshakes.push(id(number), datagram(0));
            if number < 3 {
                assert_eq!(order(&mut handshakes), [id(number)]);
            }
        }
        assert_eq!(handshakes.push(id(3), datagram(1)), Kept);
        assert_eq!(handshakes.push(id(4), datagram(0)), Kept);
        assert_eq!(handshakes.push(id(5), datagram(0)), Refused);
        assert_eq!(handshakes.push(id(2), datagram(1)), KeptInsteadOf(id(4), 1));
        assert_eq!(handshakes.push(id(2), datagram(2)), Kept, "it has a place");
        assert_eq!(handshakes.push(id(1), datagram(1)), KeptInsteadOf(id(3), 2));
        assert_eq!(handshakes.push(id(3), datagram(0)), Refused);
        assert_eq!(order(&mut handshakes), [id(1), id(2), id(2)]);
        // Who has had its share gives way to everybody who has not, and takes nobody's place.
        for _ in 0..PER_SHARE {
            handshakes.push(id(1), datagram(0));
            handshakes.pop();
        }
        for number in [1, 2] {
            assert_eq!(handshakes.push(id(number), datagram(0)), Kept);
        }
        assert_eq!(handshakes.push(id(6), datagram(0)), KeptInsteadOf(id(1), 1));
        assert_eq!(handshakes.push(id(1), datagram(0)), Refused);
        assert_eq!(order(&mut handshakes), [id(2), id(6)]);
    }

    #[test]
    fn a_client_that_is_to_speak_first_waits_for_its_turn_and_needs_no_room() {
        let mut handshakes = handshakes(1);
        assert_eq!(handshakes.push(id(1), datagram(0)), Kept);
        for number in [2, 3, 2] {
            handshakes.push_start(id(number));
        }
        assert_eq!(handshakes.len(), 3);
        // It waits with what it has heard before it spoke, and starts before that.
        assert_eq!(handshakes.push(id(2), datagram(0)), Refused);
        assert_eq!(order(&mut handshakes), [id(1), id(2), id(3)]);
        handshakes.push_start(id(2));
        assert_eq!(handshakes.push(id(2), datagram(0)), Kept);
        assert_eq!(handshakes.pop(), Some((id(2), Work::Start)));
        assert_eq!(handshakes.pop(), Some((id(2), Work::Datagram(datagram(0)))));
        handshakes.push_start(id(3));
        handshakes.forget(id(3));
        assert_eq!(handshakes.pop(), None);
    }

    #[test]
    fn the_bytes_of_a_handshake_are_bounded() {
        let mut handshakes = handshakes(1);
        let long = |len: usize| of_bytes(&vec![22; len]);
        assert_eq!(handshakes.push(id(1), long(BYTES + 1)), Refused);
        assert_eq!(handshakes.begun.len(), 0, "it has not even got an age");
        assert_eq!(handshakes.push(id(2), long(BYTES - 10)), Kept);
        assert_eq!(handshakes.push(id(2), long(11)), Refused);
        assert_eq!(handshakes.push(id(2), long(10)), Kept);
        assert_eq!(order(&mut handshakes), [id(2), id(2)]);
        assert_eq!(
            handshakes.push(id(2), long(BYTES)),
            Kept,
            "there is room again"
        );
    }
}
