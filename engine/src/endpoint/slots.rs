//! The transports of an endpoint, in pages.
//!
//! What the endpoint reads and writes on each datagram stands together in a [`Slot`]: the transport itself, when it is due, whether it
//! waits in a queue, which of its names are registered. Among very many transports each datagram meets one that is in no cache,
//! and what stands in one place comes from memory at once, while each pointer on the way there is waited for. Slots live in
//! pages that never move: growth copies none of them, and a page that has become empty is given back. New transports go to the lowest
//! page with room, so that after a peak the upper ones empty.

use super::{
    ready::{Link, Links, Queue},
    ufrags::Names,
    wheel::{Timer, Timers},
};
use crate::{Transport, TransportId};
use std::num::NonZeroU32;

/// Slots in a page: some 24 KiB.
const PAGE: usize = 32;
/// Words that say which pages have room, one bit each.
const WORD: usize = u64::BITS as usize;
/// No slot.
const NONE: u32 = u32::MAX;

/// A transport, and what of it stands in the tables: 56 bytes.
#[derive(Debug)]
pub(super) struct Slot {
    transport: Option<Transport>,
    /// Its place in the wheel; in a vacant slot, `next` is the next vacant one of the page.
    timer: Timer,
    sender: Link,
    teller: Link,
    /// The username fragments that are registered.
    pub(super) names: Names,
    /// That of the transport in it, or of the next one.
    generation: NonZeroU32,
}

const _: () = assert!(size_of::<Slot>() == size_of::<Transport>() + 56);

#[derive(Debug)]
struct Page {
    /// None while the page is given back.
    slots: Option<Box<[Slot; PAGE]>>,
    /// How many hold a transport, or can hold none any more.
    taken: u32,
    /// The first vacant one, by its place in the page.
    vacant: u32,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Slots {
    pages: Vec<Page>,
    /// A bit for each page with room.
    room: Vec<u64>,
    len: usize,
    /// An empty page that is kept, so that one transport that comes and goes does not cost a page each time.
    spare: Option<usize>,
    /// Where the generations of a new page begin: after all those of the pages given back.
    generation: NonZeroU32,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            room: Vec::new(),
            len: 0,
            spare: None,
            generation: NonZeroU32::MIN,
        }
    }
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, id: TransportId) -> Option<&Transport> {
        let slot = self.slot(id.slot())?;
        let transport = slot.transport.as_ref()?;
        (slot.generation == id.generation()).then_some(transport)
    }

    pub(super) fn get_mut(&mut self, id: TransportId) -> Option<&mut Transport> {
        let slot = self.slot_mut(id.slot())?;
        if slot.generation != id.generation() {
            return None;
        }
        slot.transport.as_mut()
    }

    /// The name of the transport in this slot.
    pub(super) fn id_in(&self, slot: u32) -> Option<TransportId> {
        let record = self.slot(slot)?;
        record.transport.as_ref()?;
        Some(TransportId::new(slot, record.generation))
    }

    /// The transport in this slot, to read.
    pub(super) fn transport_in(&self, slot: u32) -> Option<&Transport> {
        self.slot(slot)?.transport.as_ref()
    }

    /// The transport in this slot, and its name.
    pub(super) fn occupant(&mut self, slot: u32) -> Option<(TransportId, &mut Transport)> {
        let record = self.slot_mut(slot)?;
        let id = TransportId::new(slot, record.generation);
        Some((id, record.transport.as_mut()?))
    }

    /// Reads a little of all that a request for the transport in a slot will need, so that it is at hand then.
    #[inline]
    pub(super) fn glance(&self, slot: u32) -> u8 {
        let Some(slot) = self.slot(slot) else {
            return 0;
        };
        let glance = slot.transport.as_ref().map_or(0, Transport::glance);
        glance.wrapping_add(slot.generation.get() as u8)
    }

    /// Whether there is such a slot, without a look at it.
    pub(super) fn has(&self, slot: u32) -> bool {
        let (page, _) = split(slot);
        self.pages
            .get(page)
            .is_some_and(|page| page.slots.is_some())
    }

    /// The slot that the next one taken in will have.
    pub(super) fn next(&mut self) -> u32 {
        let number = self.page_with_room();
        (number * PAGE) as u32 + self.pages[number].vacant
    }

    /// Its registered names, beside it.
    pub(super) fn names(&mut self, id: TransportId) -> Option<(&mut Names, &mut Transport)> {
        let slot = self.slot_mut(id.slot())?;
        let transport = slot.transport.as_mut()?;
        (slot.generation == id.generation()).then_some((&mut slot.names, transport))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (TransportId, &Transport)> {
        let slots = self.pages.iter().enumerate().flat_map(|(number, page)| {
            let base = (number * PAGE) as u32;
            page.slots.iter().flat_map(|slots| slots.iter()).zip(base..)
        });
        slots.filter_map(|(record, slot)| {
            let transport = record.transport.as_ref()?;
            Some((TransportId::new(slot, record.generation), transport))
        })
    }

    /// Takes a transport in.
    pub(super) fn insert(&mut self, transport: Transport) -> TransportId {
        let number = self.page_with_room();
        let page = &mut self.pages[number];
        let slots = page.slots.get_or_insert_with(|| new_page(self.generation));
        self.spare.take_if(|spare| *spare == number);
        let place = page.vacant;
        let record = &mut slots[place as usize];
        page.vacant = std::mem::replace(&mut record.timer, Timer::IDLE).next();
        page.taken += 1;
        record.transport = Some(transport);
        let generation = record.generation;
        if page.vacant == NONE {
            self.room[number / WORD] &= !(1 << (number % WORD));
        }
        self.len += 1;
        TransportId::new((number * PAGE) as u32 + place, generation)
    }

    /// Takes a transport out. Its slot stands in no queue and not in the wheel.
    pub(super) fn remove(&mut self, id: TransportId) -> Option<Transport> {
        let (number, place) = split(id.slot());
        let page = self.pages.get_mut(number)?;
        let record = &mut page.slots.as_deref_mut()?[place];
        if record.generation != id.generation() {
            return None;
        }
        let transport = record.transport.take()?;
        self.len -= 1;
        record.names = Names::default();
        record.generation = record.generation.saturating_add(1);
        // A slot that has seen all generations is used no more.
        if record.generation < NonZeroU32::MAX {
            record.timer = Timer::vacant(std::mem::replace(&mut page.vacant, place as u32));
            page.taken -= 1;
            self.room[number / WORD] |= 1 << (number % WORD);
            if page.taken == 0 {
                self.give_back(number);
            }
        }
        Some(transport)
    }

    /// The lowest, a new one if there is none.
    fn page_with_room(&mut self) -> usize {
        if let Some(word) = self.room.iter().position(|word| *word != 0) {
            return word * WORD + self.room[word].trailing_zeros() as usize;
        }
        let number = self.pages.len();
        self.pages.push(Page::given_back());
        if number.is_multiple_of(WORD) {
            self.room.push(0);
        }
        self.room[number / WORD] |= 1 << (number % WORD);
        number
    }

    /// Of two empty pages the upper one goes.
    fn give_back(&mut self, number: usize) {
        let Some(other) = self.spare.replace(number) else {
            return;
        };
        self.spare = Some(other.min(number));
        let page = &mut self.pages[other.max(number)];
        let slots = page.slots.iter().flat_map(|slots| slots.iter());
        let latest = slots.map(|slot| slot.generation).max();
        self.generation = self.generation.max(latest.unwrap_or(NonZeroU32::MIN));
        *page = Page::given_back();
        while self.pages.pop_if(|page| page.slots.is_none()).is_some() {
            let number = self.pages.len();
            self.room[number / WORD] &= !(1 << (number % WORD));
        }
        self.room.truncate(self.pages.len().div_ceil(WORD));
        if self.pages.len() < self.pages.capacity() / 4 {
            self.pages.shrink_to(self.pages.len() * 2);
            self.room.shrink_to(self.room.len() * 2);
        }
    }

    #[inline]
    fn slot(&self, slot: u32) -> Option<&Slot> {
        let (page, place) = split(slot);
        Some(&self.pages.get(page)?.slots.as_deref()?[place])
    }

    #[inline]
    fn slot_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        let (page, place) = split(slot);
        Some(&mut self.pages.get_mut(page)?.slots.as_deref_mut()?[place])
    }

    /// A slot that is in a list, and so in a page.
    fn linked(&mut self, slot: u32) -> &mut Slot {
        let slot = self.slot_mut(slot);
        slot.expect("what is in a list is taken out of it before its page goes")
    }
}

impl Timers for Slots {
    fn timer(&mut self, slot: u32) -> &mut Timer {
        &mut self.linked(slot).timer
    }
}

impl Links for Slots {
    fn link(&mut self, queue: Queue, slot: u32) -> &mut Link {
        let slot = self.linked(slot);
        match queue {
            Queue::Senders => &mut slot.sender,
            Queue::Tellers => &mut slot.teller,
        }
    }
}

impl Page {
    fn given_back() -> Self {
        Self {
            slots: None,
            taken: 0,
            vacant: 0,
        }
    }
}

/// All vacant.
fn new_page(generation: NonZeroU32) -> Box<[Slot; PAGE]> {
    let vacant = |place: usize| Slot {
        transport: None,
        timer: Timer::vacant(if place + 1 < PAGE {
            place as u32 + 1
        } else {
            NONE
        }),
        sender: Link::default(),
        teller: Link::default(),
        names: Names::default(),
        generation,
    };
    let slots: Box<[Slot]> = (0..PAGE).map(vacant).collect();
    slots.try_into().expect("there are as many as in a page")
}

/// The page, and the place in it.
fn split(slot: u32) -> (usize, usize) {
    (slot as usize / PAGE, slot as usize % PAGE)
}
