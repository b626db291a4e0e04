//! The verbs for callers whose sockets take and give many datagrams at a time: `recvmmsg`, `sendmmsg`, GSO, `io_uring`.
//!
//! What comes out is what the single verbs would say. On the way in each datagram meets a session that is in no cache: a few
//! datagrams are read first, then the slots of all of them, each independent of its neighbours, and only then is the first of them
//! handled. On the way out, datagrams of one size to one peer lie side by side and go as one.

use super::{
    Endpoint,
    routing::{Sorted, names},
};
use crate::{Outcome, Received, demux::Kind};
use floe_ice::{FiveTuple, Transmit};
use floe_stun::{Message, is_stun};
use std::{array, hint::black_box, ops::Range, time::Instant};

/// Datagrams whose memory is fetched together.
const AHEAD: usize = 16;
/// What Linux sends at once with GSO.
const MAX_SEGMENTS: usize = 64;
/// What fits the length field of a UDP datagram, headers deducted.
const MAX_BYTES: usize = 65_000;

/// Datagrams to send that lie side by side in a buffer: all of one size but the last, which may be shorter, on one path. One
/// `sendmsg` with `UDP_SEGMENT`, and the shape of quinn-udp's `Transmit`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segments {
    /// From which local address, to which remote address.
    pub path: FiveTuple,
    /// Where in the buffer they are.
    pub range: Range<usize>,
    /// The size of each but the last, in bytes. `None`: there is one.
    pub segment_size: Option<usize>,
}

impl Segments {
    fn one(transmit: Transmit, start: usize) -> Self {
        Self {
            path: transmit.path,
            range: start..start + transmit.len,
            segment_size: None,
        }
    }

    /// The ranges of the single datagrams, for who sends one by one.
    pub fn datagrams(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (size, end) = (self.size(), self.range.end);
        let starts = self.range.clone().step_by(size);
        starts.map(move |start| start..end.min(start + size))
    }

    fn size(&self) -> usize {
        self.segment_size.unwrap_or_else(|| self.range.len()).max(1)
    }

    /// Takes in the datagram that was written behind it, if it may go along.
    fn join(&mut self, transmit: &Transmit) -> bool {
        let (size, len) = (self.size(), self.range.len());
        let is_full = len + transmit.len > MAX_BYTES || len / size >= MAX_SEGMENTS;
        let ended_short = !len.is_multiple_of(size);
        if transmit.path != self.path || transmit.len > size || ended_short || is_full {
            return false;
        }
        self.segment_size = Some(size);
        self.range.end += transmit.len;
        true
    }
}

/// A datagram that has been looked at.
struct Arrival<'d> {
    path: FiveTuple,
    /// If that is not canonical.
    canonical: Option<FiveTuple>,
    sorted: Sorted<'d>,
    /// In whose slot to look for whom it is.
    guess: Option<u32>,
}

impl Endpoint {
    /// [`handle_datagram`](Self::handle_datagram) for many: each with the path it arrived on. `on_outcome` hears, in their order, of
    /// each with its path, its outcome, and its payload: the plaintext of one DTLS record ([`Received::Data`], whose `range` is all
    /// of the payload and whose `rest` is empty), a whole datagram of media, ZRTP, QUIC or a TURN server, else nothing. A datagram
    /// with several records of application data has as many outcomes.
    ///
    /// Allocates nothing. What it saves are the caller's system calls: the time is that of the same datagrams one by one with a thousand
    /// sessions, and a quarter less with a hundred thousand, which no cache holds.
    pub fn handle_datagrams<'d>(
        &mut self,
        now: Instant,
        batch: impl IntoIterator<Item = (FiveTuple, &'d mut [u8])>,
        mut on_outcome: impl FnMut(FiveTuple, Outcome<'d>, &'d mut [u8]),
    ) {
        let mut batch = batch.into_iter();
        let mut places: [_; AHEAD] = array::from_fn(|_| None);
        loop {
            let mut count = 0;
            for (place, (path, datagram)) in places.iter_mut().zip(&mut batch) {
                *place = Some(self.sort(path, datagram));
                count += 1;
            }
            let ahead = &mut places[..count];
            if count > 1 {
                self.fetch(ahead);
            }
            for arrival in ahead.iter_mut().flatten() {
                self.handle_arrival(now, arrival, &mut on_outcome);
            }
            if count < AHEAD {
                return;
            }
        }
    }

    /// What a TURN server sends may be the caller's, so that it is not lent to a message.
    #[inline]
    fn sort<'d>(&self, path: FiveTuple, datagram: &'d mut [u8]) -> Arrival<'d> {
        let canonical = (!path.is_plain()).then(|| path.canonical());
        let from = canonical.as_ref().unwrap_or(&path);
        let sorted = match self.is_turn_server(from) && is_stun(datagram) {
            true => Sorted::Other(Kind::Stun, datagram),
            false => Sorted::of(datagram),
        };
        Arrival {
            path,
            canonical,
            sorted,
            guess: None,
        }
    }

    fn handle_arrival<'d>(
        &mut self,
        now: Instant,
        arrival: &mut Arrival<'d>,
        on_outcome: &mut impl FnMut(FiveTuple, Outcome<'d>, &'d mut [u8]),
    ) {
        let Arrival {
            path,
            canonical,
            sorted,
            guess,
        } = arrival;
        let from = canonical.as_ref().unwrap_or(path);
        let mut hear = |outcome, payload| on_outcome(*path, outcome, payload);
        match sorted {
            Sorted::Stun(message) => {
                hear(self.handle_stun(now, from, message, *guess), &mut []);
            }
            Sorted::Dropped(reason) => hear(self.handle_nothing(*reason), &mut []),
            Sorted::Other(kind, datagram) => match (*kind, std::mem::take(datagram)) {
                (Kind::Stun, datagram) => {
                    self.handle_turn_servers(now, *from, datagram, hear);
                }
                records => self.handle_records(now, *from, records, hear),
            },
        }
    }

    fn handle_turn_servers<'d>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        datagram: &'d mut [u8],
        mut hear: impl FnMut(Outcome<'d>, &'d mut [u8]),
    ) {
        let outcome = match self.handle_datagram(now, path, datagram) {
            Outcome::UnknownUfrag { from, .. } => {
                // The same names, from a datagram that is lent for as long as the outcome lives.
                let Ok(message) = Message::parse(datagram) else {
                    return;
                };
                let names = message.username().and_then(names);
                return names.into_iter().for_each(|(local, remote)| {
                    let outcome = Outcome::UnknownUfrag {
                        local,
                        remote,
                        from,
                    };
                    hear(outcome, &mut []);
                });
            }
            Outcome::FromTurnServer => return hear(Outcome::FromTurnServer, datagram),
            Outcome::Routed {
                transport,
                received,
            } => Outcome::Routed {
                transport,
                received,
            },
            Outcome::Refused => Outcome::Refused,
            Outcome::Dropped(reason) => Outcome::Dropped(reason),
        };
        hear(outcome, &mut []);
    }

    /// As many outcomes as the datagram has records for the application, one if none.
    fn handle_records<'d>(
        &mut self,
        now: Instant,
        path: FiveTuple,
        (kind, mut datagram): (Kind, &'d mut [u8]),
        mut hear: impl FnMut(Outcome<'d>, &'d mut [u8]),
    ) {
        loop {
            let outcome = self.handle_other(now, path, kind, datagram);
            let Outcome::Routed {
                transport,
                received,
            } = outcome
            else {
                let is_callers = outcome == Outcome::FromTurnServer;
                return hear(outcome, if is_callers { datagram } else { &mut [] });
            };
            let routed = |received| Outcome::Routed {
                transport,
                received,
            };
            match received {
                Received::Data { range, rest } => {
                    let (read, behind) = datagram.split_at_mut(rest.start);
                    let payload = &mut read[range];
                    let (range, none) = (0..payload.len(), payload.len()..payload.len());
                    hear(routed(Received::Data { range, rest: none }), payload);
                    if rest.is_empty() {
                        return;
                    }
                    datagram = behind;
                }
                Received::Media(_) | Received::Zrtp | Received::Quic => {
                    return hear(routed(received), datagram);
                }
                _ => return hear(routed(received), &mut []),
            }
        }
    }

    /// Reads what the handling of these datagrams will read, of all of them, so that the memory is waited for once. Each step is
    /// short: a processor looks a few hundred instructions ahead, and what it is to fetch at the same time has to stand within.
    fn fetch(&self, ahead: &mut [Option<Arrival<'_>>]) {
        for arrival in ahead.iter_mut().flatten() {
            let from = arrival.canonical.as_ref().unwrap_or(&arrival.path);
            arrival.guess = self.guess(from, &arrival.sorted);
        }
        for arrival in ahead.iter().flatten() {
            if let Some(slot) = arrival.guess {
                black_box(self.slots.glance(slot));
            }
        }
    }

    /// Writes datagrams into `buf`, side by side, as many as there are and as fit, and says how many bytes they take. `transmits`
    /// is cleared, and filled up to its capacity: the caller reserves it once, it never grows. Call again until it gives 0.
    ///
    /// Transports with more than one datagram take turns, as in [`poll_transmit`](Self::poll_transmit), but here a turn lasts as long
    /// as what is written goes along with what was written before, 64 datagrams at most, of one size but for the last, and no longer than
    /// the call.
    ///
    /// ```
    /// use floe::{Endpoint, Segments};
    ///
    /// /// Sends all there is to send. Room for a train of datagrams, and for as many trains as one `sendmmsg` takes:
    /// /// `vec![0; 65_536]` and `Vec::with_capacity(64)`.
    /// fn send(endpoint: &mut Endpoint, buf: &mut [u8], transmits: &mut Vec<Segments>) {
    ///     while endpoint.poll_transmits(buf, transmits) > 0 {
    ///         for segments in transmits.iter() {
    ///             let transmit = quinn_udp::Transmit {
    ///                 destination: segments.path.remote,
    ///                 src_ip: Some(segments.path.local.ip()),
    ///                 contents: &buf[segments.range.clone()],
    ///                 segment_size: segments.segment_size,
    ///                 ecn: None,
    ///             };
    ///             // `state.send((&socket).into(), &transmit)`, where `state` is the socket's `quinn_udp::UdpSocketState`;
    ///             // if its `max_gso_segments()` is 1, `segments.datagrams()` one by one.
    /// #           let _ = transmit;
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// If `buf` is shorter than [`TransportConfig::mtu`](crate::TransportConfig::mtu), or `transmits` has no capacity: nothing
    /// could ever be sent.
    pub fn poll_transmits(&mut self, buf: &mut [u8], transmits: &mut Vec<Segments>) -> usize {
        assert!(
            transmits.capacity() > 0,
            "there is room for a datagram's path and length"
        );
        transmits.clear();
        let (mtu, mut filled, mut in_turn) = (self.mtu_within(buf), 0, None);
        while transmits.len() < transmits.capacity()
            && let Some(rest) = buf.get_mut(filled..).filter(|rest| rest.len() >= mtu)
            && let Some((transmit, sender)) = self.poll_first(rest)
        {
            let joined = transmits
                .last_mut()
                .is_some_and(|last| last.join(&transmit));
            if !joined {
                transmits.push(Segments::one(transmit, filled));
            }
            filled += transmit.len;
            match sender {
                // Its second train: the next one's turn.
                Some(slot) if !joined && in_turn == Some(slot) => {
                    self.senders.rotate(&mut self.slots);
                    in_turn = None;
                }
                sender => in_turn = sender,
            }
        }
        // The call's end is the turn's: however small the buffer, nobody stays in front of the others.
        if in_turn.is_some() {
            self.senders.rotate(&mut self.slots);
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these sizes go along with the first, one after the other.
    fn joined(sizes: &[usize]) -> Vec<usize> {
        let path = FiveTuple::udp(([192, 0, 2, 1], 1).into(), ([192, 0, 2, 2], 2).into());
        let transmit = |len: usize| Transmit { path, len };
        let mut segments = Segments::one(transmit(sizes[0]), 7);
        for size in &sizes[1..] {
            if !segments.join(&transmit(*size)) {
                break;
            }
        }
        segments.datagrams().map(|range| range.len()).collect()
    }

    #[test]
    fn only_what_one_system_call_can_send_goes_together() {
        assert_eq!(
            joined(&[100, 100, 40, 40]),
            [100, 100, 40],
            "a short one ends it"
        );
        assert_eq!(joined(&[100, 101]), [100]);
        assert_eq!(joined(&[100; 100]), [100; MAX_SEGMENTS]);
        assert_eq!(joined(&[1400; 100]), [1400; MAX_BYTES / 1400]);
    }
}
