//! Handshakes that wait for their turn, in an endpoint: what of them is put off, when it is done, and what time they have.
//!
//! The time that a handshake may take begins with its first turn: what waits for that is the endpoint, not the peer. Who has no place
//! to wait in has all of that time to come again.

use super::{
    Endpoint,
    handshakes::{Datagram, Handshakes, PutOff, Work},
};
use crate::{DropReason, Outcome, Received, TransportId, demux::Kind};
use floe_dtls::State;
use floe_ice::FiveTuple;
use std::time::Instant;

impl Endpoint {
    /// Does one piece of the handshake work that waits (see [`EndpointConfig::waiting_handshakes`]): a datagram of the oldest
    /// handshake, written into `buf` and handled there, or a client's first flight. Gives where it belongs and what became of
    /// it, as [`handle_datagram`](Self::handle_datagram) does: [data](Received::Data) too, where the peer has sent some as soon as
    /// it could; `None` if nothing waits. To be called when the sockets are
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
        while let Some((id, work)) = self.handshakes.as_mut().and_then(Handshakes::pop) {
            self.begin_held_deadline(now, id);
            match work {
                Work::Start => {
                    let start = self.touch(now, id, |transport| transport.start_handshake(now));
                    if let Some(path) = start.flatten() {
                        let received = Received::Handled;
                        return Some((path, Outcome::routed(id, received)));
                    }
                }
                Work::Datagram(Datagram { path, bytes }) => {
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
        self.handshakes.as_ref().map_or(0, Handshakes::len)
    }

    /// A datagram of a handshake is kept until its turn.
    pub(super) fn put_off(
        &mut self,
        now: Instant,
        id: TransportId,
        path: FiveTuple,
        datagram: &[u8],
    ) -> Outcome<'static> {
        let bytes = datagram.into();
        let push = |handshakes: &mut Handshakes| handshakes.push(id, Datagram { path, bytes });
        let put_off = self.handshakes.as_mut().map_or(PutOff::Refused, push);
        self.settle_deadline(now, id);
        match put_off {
            PutOff::Kept => {}
            PutOff::KeptInsteadOf(other, lost) => {
                for _ in 0..lost {
                    self.stats.dropped.add(DropReason::TooManyHandshakes);
                }
                self.settle_deadline(now, other);
            }
            PutOff::Refused => return self.drop(DropReason::TooManyHandshakes),
        }
        Outcome::routed(id, Received::Handled)
    }

    /// Before the first turn of a handshake its deadline does not pass while something of it waits, and begins anew when nothing
    /// does: it was refused a place, or has lost it.
    fn settle_deadline(&mut self, now: Instant, id: TransportId) {
        let waits = |handshakes: &Handshakes| handshakes.waits_to_begin(id);
        let Some(waits) = self.handshakes.as_ref().and_then(waits) else {
            return;
        };
        let Some(transport) = self.slots.get_mut(id) else {
            return;
        };
        match waits {
            true => transport.hold_deadline(),
            false => transport.begin_deadline(now),
        }
        self.reschedule(now, id.slot());
    }

    /// The first turn of a handshake has come, or none will.
    fn begin_held_deadline(&mut self, now: Instant, id: TransportId) {
        if let Some(transport) = self.slots.get_mut(id)
            && transport.holds_deadline()
        {
            transport.begin_deadline(now);
            self.reschedule(now, id.slot());
        }
    }

    /// After anything that may have changed a transport: its handshake begins, or is over.
    pub(super) fn refresh_handshake(&mut self, now: Instant, id: TransportId) {
        let (Some(handshakes), Some(transport)) = (&mut self.handshakes, self.slots.get(id)) else {
            return;
        };
        if transport.awaits_start() {
            handshakes.push_start(id);
        } else if transport.is_live() && transport.dtls().state() == State::Connected {
            handshakes.finish(id);
        } else if !transport.is_handshaking() {
            handshakes.forget(id);
            self.begin_held_deadline(now, id);
        }
    }
}
