//! Application records sealed and opened, each timed by itself: a record can be opened only once, so a turn seals a few and opens
//! them after that.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use allocation_counter::measure;
use aws_lc_rs::aead as aws;
use floe_dtls::CryptoBackend;
use ring::aead;

use super::{End, MTU};
use crate::call::epoch;
use crate::nanoseconds;

/// Records per turn.
pub const RECORDS: u32 = 32;

/// What a record took.
#[derive(Clone, Copy, Debug)]
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
        self.turn(&mut |_, work| nanoseconds(work))
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
    fn per(self, records: u32) -> Self {
        Self {
            seal: self.seal / f64::from(records),
            open: self.open / f64::from(records),
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

/// The cipher alone.
#[derive(Clone)]
enum Key {
    Ring(Arc<aead::LessSafeKey>),
    AwsLcRs(Arc<aws::LessSafeKey>),
}

impl End for Key {
    fn receive(&mut self, _: Instant, _: &mut [u8]) {}

    fn transmit(&mut self, _: &mut [u8]) -> Option<usize> {
        None
    }

    fn seal(&mut self, _: Instant, data: &[u8], out: &mut [u8]) -> usize {
        let (text, rest) = out.split_at_mut(data.len());
        text.copy_from_slice(data);
        match self {
            Self::Ring(key) => {
                let nonce = aead::Nonce::assume_unique_for_key([3; 12]);
                let tag = key.seal_in_place_separate_tag(nonce, aead::Aad::from([5; 13]), text);
                rest[..16].copy_from_slice(tag.expect("short enough").as_ref());
            }
            Self::AwsLcRs(key) => {
                let nonce = aws::Nonce::assume_unique_for_key([3; 12]);
                let tag = key.seal_in_place_separate_tag(nonce, aws::Aad::from([5; 13]), text);
                rest[..16].copy_from_slice(tag.expect("short enough").as_ref());
            }
        }
        data.len() + 16
    }

    fn open(&mut self, _: Instant, datagram: &mut [u8], _: &mut [u8]) -> usize {
        match self {
            Self::Ring(key) => {
                let nonce = aead::Nonce::assume_unique_for_key([3; 12]);
                let opened = key.open_in_place(nonce, aead::Aad::from([5; 13]), datagram);
                opened.expect("authentic").len()
            }
            Self::AwsLcRs(key) => {
                let nonce = aws::Nonce::assume_unique_for_key([3; 12]);
                let opened = key.open_in_place(nonce, aws::Aad::from([5; 13]), datagram);
                opened.expect("authentic").len()
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn wake(&mut self, _: Instant) {}

    fn progress(&self) -> super::Progress {
        super::Progress::Connected
    }
}

/// The cipher of a backend alone, with a copy of the plaintext.
#[must_use]
pub fn floor(backend: CryptoBackend, size: usize) -> Box<dyn Records> {
    let key = match backend {
        CryptoBackend::Ring => {
            let key = aead::UnboundKey::new(&aead::AES_128_GCM, &[7; 16]).expect("16 bytes");
            Key::Ring(Arc::new(aead::LessSafeKey::new(key)))
        }
        _ => {
            let key = aws::UnboundKey::new(&aws::AES_128_GCM, &[7; 16]).expect("16 bytes");
            Key::AwsLcRs(Arc::new(aws::LessSafeKey::new(key)))
        }
    };
    Box::new(Pair::new([key.clone(), key], size))
}
