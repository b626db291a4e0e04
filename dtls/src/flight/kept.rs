//! What is left of flights where nothing is to be done.

use std::time::Instant;

use super::Flight;
use super::ack::Told;
use super::air::Air;
use super::sending::Tracking;
use crate::config::Config;
use crate::record::RecordLayer;
use crate::timer::Second;

/// What is kept for a few minutes where nothing is to be done, for a peer that may lack something of what was said.
#[derive(Debug)]
pub(crate) struct Kept(Remainder);

#[derive(Debug)]
enum Remainder {
    /// A last flight, which DTLS 1.2 has: it answers a repetition of the peer's.
    Last(Box<Air>),
    /// In DTLS 1.3.
    Told(Told),
}

impl Flight {
    /// Gives away what the peer may still ask for.
    pub(crate) fn take_kept(&mut self, records: &mut RecordLayer) -> Option<Kept> {
        let kept = match self.sender.tracking {
            Tracking::Off => Remainder::Last(self.air.take()?),
            Tracking::On => Remainder::Told(self.acks.take()?.told(records)?),
        };
        Some(Kept(kept))
    }
}

impl Kept {
    /// The flight, and what was acknowledged.
    pub(super) fn into_parts(self) -> (Option<Box<Air>>, Option<Told>) {
        match self.0 {
            Remainder::Last(air) => (Some(air), None),
            Remainder::Told(told) => (None, Some(told)),
        }
    }

    /// Whether the peer has had the time to ask for it.
    pub(crate) fn is_over(&self, now: Instant, config: &Config) -> bool {
        match &self.0 {
            Remainder::Last(air) => air.is_over(now),
            Remainder::Told(told) => told.is_over(Second::of(now, config)),
        }
    }

    /// Whether the peer may ask for it although it is known to have heard what was acknowledged.
    pub(crate) fn may_come_again(&self) -> bool {
        match &self.0 {
            Remainder::Last(_) => true,
            Remainder::Told(told) => told.may_come_again(),
        }
    }

    pub(crate) fn has_flight(&self) -> bool {
        matches!(self.0, Remainder::Last(_))
    }

    /// As [`Flight::is_handshake_in_air`].
    pub(crate) fn is_handshake_in_air(&self) -> bool {
        match &self.0 {
            Remainder::Last(air) => air.is_handshake_in_air(),
            Remainder::Told(_) => false,
        }
    }

    /// As [`Flight::on_data`].
    pub(crate) fn on_data(&mut self) {
        if let Remainder::Last(air) = &mut self.0 {
            air.has_arrived = true;
        }
    }
}
