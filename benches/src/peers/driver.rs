//! No agent at all: what the loop around the agents costs by itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Credentials, Peer, Sent, Side};

/// Sends a hundred bytes every five seconds, give or take a fifth, and answers what it gets with sixty-four.
#[derive(Debug)]
pub struct Idle {
    at: SocketAddr,
    other: SocketAddr,
    deadline: Instant,
    pending: Option<Kind>,
    random: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request,
    Response,
}

impl Peer for Idle {
    const NAME: &'static str = "the driver alone";

    fn new(_: Side, number: u64, now: Instant, sockets: &[SocketAddr]) -> Self {
        Self {
            at: sockets[0],
            other: sockets[0],
            deadline: now,
            pending: None,
            random: number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    fn credentials(&self) -> Credentials {
        Credentials {
            ufrag: "nobody".to_owned(),
            password: "asks".to_owned(),
        }
    }

    fn learn(&mut self, _: Instant, _: &Credentials, candidates: &[SocketAddr]) {
        self.other = candidates[0];
    }

    fn receive(&mut self, _: Instant, _: SocketAddr, _: SocketAddr, datagram: &[u8]) {
        if datagram[0] == 0 {
            self.pending = Some(Kind::Response);
        }
    }

    fn wake(&mut self, now: Instant) {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.deadline = now + Duration::from_millis(4000 + self.random % 2000);
        self.pending = Some(Kind::Request);
    }

    fn deadline(&mut self) -> Option<Instant> {
        Some(self.deadline)
    }

    fn transmit(&mut self, _: Instant, buf: &mut [u8]) -> Option<Sent> {
        let (first, len) = match self.pending.take()? {
            Kind::Request => (0, 100),
            Kind::Response => (1, 64),
        };
        buf[..len].fill(7);
        buf[0] = first;
        Some(Sent {
            local: self.at,
            remote: self.other,
            len,
        })
    }

    fn is_usable(&self) -> bool {
        true
    }

    fn is_selected(&self) -> bool {
        true
    }
}
