//! One step of a pair: who has something to send, who has something to receive, who wants to be woken, and whether each
//! of them keeps the laws.

use super::{End, Pair};
use crate::{Datagram, Fate, Node};
use std::{net::SocketAddr, time::Instant};

/// More datagrams than this from one drain is a machine that never stops talking.
const LONGEST_BURST: usize = 4096;
/// More rounds than this without time moving is a machine that never lets it.
const LONGEST_INSTANT: usize = 4096;

impl<A: Node, B: Node> Pair<A, B> {
    fn node(&mut self, end: End) -> &mut dyn Node {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }

    fn owner(&self, address: SocketAddr) -> Option<End> {
        let [a, b] = &self.addresses;
        let a = a.contains(&address).then_some(End::A);
        a.or_else(|| b.contains(&address).then_some(End::B))
    }

    fn deadline(&mut self, end: End) -> Option<Instant> {
        let node = self.node(end);
        let deadline = node.poll_timeout();
        if node.poll_timeout() != deadline {
            self.fail(&format!("poll_timeout of {end:?} is not pure"));
        }
        deadline
    }

    pub(super) fn next(&mut self) -> Option<Instant> {
        let deadlines = [
            self.deadline(End::A),
            self.deadline(End::B),
            self.network.next_arrival(),
        ];
        deadlines.into_iter().flatten().min()
    }

    pub(super) fn advance(&mut self, to: Instant) -> bool {
        self.clock.advance_to(to);
        self.settle()
    }

    /// Lets everything happen that is due now, until only the future is left; false if nothing was.
    pub(super) fn settle(&mut self) -> bool {
        for round in 0..LONGEST_INSTANT {
            self.drain(End::A);
            self.drain(End::B);
            if !(self.deliver() | self.expire(End::A) | self.expire(End::B)) {
                return round > 0;
            }
        }
        self.fail("time does not get to move");
    }

    /// Hands over everything that has arrived.
    fn deliver(&mut self) -> bool {
        let now = self.now();
        let mut any = false;
        while let Some(mut datagram) = self.network.take_arrived(now) {
            any = true;
            let Some(end) = self.owner(datagram.destination) else {
                self.network.note(now, &datagram, Fate::Unroutable);
                continue;
            };
            self.network.note(now, &datagram, Fate::Delivered);
            let (local, remote) = (datagram.destination, datagram.source);
            self.node(end)
                .handle_datagram(now, local, remote, &mut datagram.bytes);
            self.drain(end);
        }
        any
    }

    /// Wakes a node whose deadline has come, and holds it to the timer law.
    fn expire(&mut self, end: End) -> bool {
        let now = self.now();
        if self.deadline(end).is_none_or(|deadline| deadline > now) {
            return false;
        }
        self.node(end).handle_timeout(now);
        if let Some(deadline) = self.deadline(end).filter(|deadline| *deadline <= now) {
            let late = now - deadline;
            self.fail(&format!(
                "timer law: after handle_timeout, {end:?} wants to be woken {late:?} ago"
            ));
        }
        self.drain(end);
        true
    }

    /// Takes everything a node has to send.
    fn drain(&mut self, end: End) {
        let now = self.now();
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut burst = 0;
        while let Some((source, destination, len)) = self.node(end).poll_transmit(&mut buffer) {
            burst += 1;
            if burst > LONGEST_BURST {
                self.fail(&format!("{end:?} does not stop sending"));
            }
            if len == 0 || len > buffer.len() || self.owner(source) != Some(end) {
                self.fail(&format!("{end:?} sent {len} bytes from {source}"));
            }
            self.network.send(
                now,
                Datagram {
                    source,
                    destination,
                    bytes: buffer[..len].to_vec(),
                },
            );
        }
        self.buffer = buffer;
        self.node(end).collect_events(now);
    }

    pub(super) fn check_limit(&self, start: Instant, next: Instant, complaint: &str) {
        if next > start + self.limit {
            self.fail(complaint);
        }
    }

    pub(super) fn fail(&self, complaint: &str) -> ! {
        let (seed, elapsed) = (self.seed, self.elapsed());
        panic!(
            "sim: {complaint}, at {elapsed:?}, seed {seed}; last on the wire:\n{}",
            self.network.trace_tail()
        );
    }
}
