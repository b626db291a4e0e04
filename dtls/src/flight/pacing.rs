//! The current flight as datagrams that somebody else carries: piggybacked on connectivity checks, say, before the path
//! is open (draft-hancke-webrtc-sped).
//!
//! The copies are sealed once and stay as they are, so that whoever carries them can tell them apart by content too.
//! Carried twice, by whatever way, they do no harm: protected records die in the replay window, and a message in
//! plaintext that was handled is only a repetition.

use std::ops::Range;
use std::time::Instant;

use super::Flight;
use super::air::Phase;
use super::sending::{Cursor, Tracking};
use crate::record::RecordLayer;
use crate::timer::TimerTable;

/// Who carries handshake flights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FlightPacing {
    /// The connection: flights come out of [`poll_transmit`](crate::Connection::poll_transmit), and again when they time
    /// out.
    #[default]
    Internal,
    /// The caller, by [`flight_datagrams`](crate::Connection::flight_datagrams), as often as it likes. Flights neither
    /// come out of `poll_transmit` nor time out; acknowledgements and alerts still come out, and
    /// [`Retransmission::deadline`](crate::Retransmission::deadline) still holds.
    External,
}

/// One datagram of a flight. It stands for the same bytes as long as it exists, and for no others ever after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlightDatagramId {
    /// message_seq of the flight's first message.
    flight: u16,
    /// How often the flight was cut anew, for another MTU.
    cut: u16,
    index: u16,
}

/// A flight cut into datagrams.
#[derive(Debug, Default)]
pub(super) struct Copies {
    cut: u16,
    /// The MTU they are cut for.
    mtu: usize,
    datagrams: Vec<Copy>,
}

#[derive(Debug)]
struct Copy {
    bytes: Vec<u8>,
    /// The stretch of the flight it carries.
    carried: Range<usize>,
}

impl Flight {
    pub(crate) fn set_pacing(
        &mut self,
        now: Instant,
        pacing: FlightPacing,
        timers: &mut TimerTable,
    ) {
        if self.sender.pacing == pacing {
            return;
        }
        self.sender.pacing = pacing;
        match pacing {
            FlightPacing::Internal if self.is_in_air() => self.transmit(now, timers),
            _ => self.arm(timers),
        }
    }

    /// The datagrams of the flight in the air that the peer has not acknowledged.
    pub(crate) fn datagrams(
        &mut self,
        records: &mut RecordLayer,
    ) -> impl Iterator<Item = FlightDatagramId> {
        self.cut(records);
        let tracking = self.sender.tracking;
        let air = self.air.as_deref();
        air.into_iter().flat_map(move |air| {
            let missing = move |copy: &Copy| {
                let unacked = air.load.unacked.first_in(copy.carried.clone());
                tracking == Tracking::Off || unacked.is_some()
            };
            let id = |(index, cut)| FlightDatagramId {
                flight: air.first_seq,
                cut,
                index: index as u16,
            };
            let copies = air.copies.iter().flat_map(|copies| {
                let numbered = copies.datagrams.iter().enumerate();
                numbered.map(|(index, copy)| ((index, copies.cut), copy))
            });
            copies
                .filter(move |(_, copy)| missing(copy))
                .map(move |(place, _)| id(place))
        })
    }

    /// The bytes of a datagram, while it exists.
    pub(crate) fn datagram(&self, id: FlightDatagramId) -> Option<&[u8]> {
        let air = self.air.as_deref()?;
        let copies = air.copies.as_deref()?;
        if (id.flight, id.cut) != (air.first_seq, copies.cut) {
            return None;
        }
        let copy = copies.datagrams.get(usize::from(id.index))?;
        Some(&copy.bytes)
    }

    /// Cuts the flight into datagrams for the MTU as it is now, unless that was done.
    fn cut(&mut self, records: &mut RecordLayer) {
        let mtu = self.mtu();
        let Some(air) = self.air.as_deref_mut() else {
            return;
        };
        if air.phase == Phase::Preparing {
            return;
        }
        let copies = air.copies.get_or_insert_default();
        if copies.mtu == mtu {
            return;
        }
        copies.cut = copies.cut.wrapping_add(1);
        copies.mtu = mtu;
        copies.datagrams.clear();
        let mut cursor = Cursor::default();
        let mut out = vec![0; mtu];
        loop {
            let from = cursor.at;
            let (len, _) = air.load.write_datagram(
                &mut cursor,
                usize::MAX,
                self.sender.tracking,
                records,
                &mut out,
            );
            if len == 0 {
                return;
            }
            copies.datagrams.push(Copy {
                bytes: out[..len].to_vec(),
                carried: from..cursor.at,
            });
        }
    }
}
