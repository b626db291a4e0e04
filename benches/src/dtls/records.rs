//! Application records sealed and opened, each timed by itself: a record can be opened only once, so a turn seals a few and opens
//! them after that. Time is taken of several turns, after one that pays for what others have left in the caches.

use std::hint::black_box;
use std::time::Instant;

use allocation_counter::measure;
use floe_dtls::{CryptoBackend, ProtocolVersion};

use super::floor::Floor;
use super::{End, MTU};
use crate::call::epoch;
use crate::nanoseconds;

/// Records per turn.
pub const RECORDS: u32 = 32;

/// Turns whose time is taken at once.
const TURNS: u32 = 6;

/// What a record took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    /// To be sealed.
    pub seal: f64,
    /// To be opened.
    pub open: f64,
}

/// A part of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All records are sealed.
    Seal,
    /// All are opened.
    Open,
}

/// Measures a part of a turn, which it does once.
pub type Meter<'a> = &'a mut dyn FnMut(Part, &mut dyn FnMut()) -> f64;

/// Records of one implementation and size.
pub trait Records {
    /// A turn, part by part, and what a meter says of each, per record.
    fn turn(&mut self, meter: Meter<'_>) -> Turn;
    /// Nanoseconds per record.
    fn time(&mut self) -> Turn {
        let mut turn = || self.turn(&mut |_, work| nanoseconds(work));
        turn();
        let mut sum = Turn::default();
        for _ in 0..TURNS {
            let Turn { seal, open } = turn();
            sum.seal += seal;
            sum.open += open;
        }
        sum.per(TURNS)
    }
    /// Heap allocations per record.
    fn allocations(&mut self) -> Turn {
        self.turn(&mut |_, work| measure(work).count_total as f64)
    }
    /// One record sealed.
    fn seal(&mut self);
    /// One record sealed and opened.
    fn seal_and_open(&mut self);
}

/// A connected pair.
pub(super) struct Pair<E> {
    ends: [E; 2],
    now: Instant,
    data: Vec<u8>,
    datagrams: Vec<([u8; MTU], usize)>,
    buf: [u8; MTU],
}

impl<E: End> Pair<E> {
    pub(super) fn new(ends: [E; 2], size: usize) -> Self {
        Self {
            ends,
            now: epoch(),
            data: vec![7; size],
            datagrams: vec![([0; MTU], 0); RECORDS as usize],
            buf: [0; MTU],
        }
    }
}

impl Turn {
    fn per(self, count: u32) -> Self {
        Self {
            seal: self.seal / f64::from(count),
            open: self.open / f64::from(count),
        }
    }
}

impl<E: End> Records for Pair<E> {
    fn turn(&mut self, meter: Meter<'_>) -> Turn {
        let Self {
            ends: [client, server],
            now,
            data,
            datagrams,
            buf,
        } = self;
        let seal = meter(Part::Seal, &mut || {
            for (datagram, len) in &mut *datagrams {
                *len = client.seal(*now, black_box(data), datagram);
            }
        });
        let open = meter(Part::Open, &mut || {
            for (datagram, len) in &mut *datagrams {
                let opened = server.open(*now, &mut datagram[..*len], buf);
                assert_eq!(opened, data.len());
            }
        });
        Turn { seal, open }.per(RECORDS)
    }

    fn seal(&mut self) {
        self.ends[0].seal(self.now, black_box(&self.data), &mut self.buf);
    }

    fn seal_and_open(&mut self) {
        let (datagram, len) = &mut self.datagrams[0];
        *len = self.ends[0].seal(self.now, black_box(&self.data), datagram);
        self.ends[1].open(self.now, &mut datagram[..*len], &mut self.buf);
    }
}

/// The least that records of this version cost with this backend: see `floor.rs`.
#[must_use]
pub fn floor(version: ProtocolVersion, backend: CryptoBackend, size: usize) -> Box<dyn Records> {
    let ends = [(); 2].map(|()| Floor::new(version, backend));
    Box::new(Pair::new(ends, size))
}
