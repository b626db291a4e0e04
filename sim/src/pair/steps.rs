//! One step of a pair: who has something to send, who has something to receive, who wants to be woken, and whether each
//! of them keeps the laws.

use super::Pair;
use crate::{Datagram, Fate, Node};
use std::{net::SocketAddr, time::Instant};

/// More datagrams than this from one drain is a machine that never stops talking.
const LONGEST_BURST: usize = 4096;
/// More rounds than this without time moving is a machine that never lets it.
const LONGEST_INSTANT: usize = 4096;

impl<A: Node, B: Node> Pair<A, B> {
    /// A is 0, B is 1, the servers follow.
    fn node(&mut self, index: usize) -> &mut dyn Node {
        match index {
            0 => &mut self.a,
            1 => &mut self.b,
            _ => &mut *self.servers[index - 2].0,
        }
    }

    fn owner(&self, address: SocketAddr) -> Option<usize> {
        let has = |addresses: &Vec<SocketAddr>| addresses.contains(&address);
        self.addresses.iter().position(has)
    }

    fn deadline(&mut self, index: usize) -> Option<Instant> {
        let node = self.node(index);
        let deadline = node.poll_timeout();
        if node.poll_timeout() != deadline {
            self.fail(&format!("poll_timeout of {} is not pure", name(index)));
        }
        deadline
    }

    pub(super) fn next(&mut self) -> Option<Instant> {
        let deadlines = (0..self.addresses.len()).filter_map(|index| self.deadline(index));
        let deadline = deadlines.min();
        deadline
            .into_iter()
            .chain(self.network.next_arrival())
            .min()
    }

    pub(super) fn advance(&mut self, to: Instant) -> bool {
        self.clock.advance_to(to);
        self.settle()
    }

    /// Lets everything happen that is due now, until only the future is left; false if nothing was.
    pub(super) fn settle(&mut self) -> bool {
        for round in 0..LONGEST_INSTANT {
            for index in 0..self.addresses.len() {
                self.drain(index);
            }
            let mut busy = self.deliver();
            for index in 0..self.addresses.len() {
                busy |= self.expire(index);
            }
            if !busy {
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
            let owner = match self.network.enter(now, &mut datagram) {
                Ok(()) => self.owner(datagram.destination).ok_or(Fate::Unroutable),
                Err(fate) => Err(fate),
            };
            let end = match owner {
                Ok(end) => end,
                Err(fate) => {
                    self.network.note(now, &datagram, fate);
                    continue;
                }
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
    fn expire(&mut self, end: usize) -> bool {
        let now = self.now();
        if self.deadline(end).is_none_or(|deadline| deadline > now) {
            return false;
        }
        self.node(end).handle_timeout(now);
        if let Some(deadline) = self.deadline(end).filter(|deadline| *deadline <= now) {
            let late = now - deadline;
            self.fail(&format!(
                "timer law: after handle_timeout, {} wants to be woken {late:?} ago",
                name(end)
            ));
        }
        self.drain(end);
        true
    }

    /// Takes everything a node has to send.
    fn drain(&mut self, end: usize) {
        let now = self.now();
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut burst = 0;
        while let Some((source, destination, len)) = self.node(end).poll_transmit(&mut buffer) {
            burst += 1;
            if burst > LONGEST_BURST {
                self.fail(&format!("{} does not stop sending", name(end)));
            }
            if len == 0 || len > buffer.len() || self.owner(source) != Some(end) {
                self.fail(&format!("{} sent {len} bytes from {source}", name(end)));
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

fn name(index: usize) -> String {
    match index {
        0 => "A".to_owned(),
        1 => "B".to_owned(),
        _ => format!("server {}", index - 2),
    }
}
