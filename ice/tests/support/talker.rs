//! Peers that talk: one datagram of media every 20 ms, so that a gap is heard.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use floe_ice::FiveTuple;
use sim::{Link, Node, Pair};

use super::{Peer, both_in_use, ms, secs};

/// Not STUN: version 2 of RTP.
const MEDIA: [u8; 4] = [0x80, 0, 0, 0];
const INTERVAL: Duration = Duration::from_millis(20);

/// A peer with a voice. Silent until [`start`](Self::start).
pub(crate) struct Talker {
    peer: Peer,
    next: Option<Instant>,
    due: bool,
    /// What was sent; the times at which there was no path; what arrived and was taken.
    pub(crate) sent: u32,
    pub(crate) silent: Vec<Instant>,
    pub(crate) heard: u32,
}

impl Deref for Talker {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.peer
    }
}

impl DerefMut for Talker {
    fn deref_mut(&mut self) -> &mut Peer {
        &mut self.peer
    }
}

impl Node for Talker {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &mut [u8],
    ) {
        if datagram == MEDIA {
            let taken = self.agent.accepts_from(&FiveTuple::udp(local, remote));
            self.heard += u32::from(taken);
        } else {
            self.peer.handle_datagram(now, local, remote, datagram);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.peer.handle_timeout(now);
        if let Some(next) = self.next.filter(|next| now >= *next) {
            self.next = Some(next + INTERVAL);
            match self.agent.send_path() {
                Some(_) => self.due = true,
                None => self.silent.push(now),
            }
        }
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        if let Some(transmit) = self.peer.poll_transmit(buf) {
            return Some(transmit);
        }
        let path = self.agent.send_path().filter(|_| self.due)?;
        self.due = false;
        self.sent += 1;
        buf[..MEDIA.len()].copy_from_slice(&MEDIA);
        Some((path.local, path.remote, MEDIA.len()))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.peer.poll_timeout().into_iter().chain(self.next).min()
    }

    fn collect_events(&mut self, now: Instant) {
        self.peer.collect_events(now);
    }
}

impl Talker {
    pub(crate) fn new(peer: Peer) -> Self {
        Self {
            peer,
            next: None,
            due: false,
            sent: 0,
            silent: Vec::new(),
            heard: 0,
        }
    }

    pub(crate) fn start(&mut self, now: Instant) {
        self.next = Some(now + INTERVAL);
    }

    pub(crate) fn stop(&mut self) {
        self.next = None;
    }
}

pub(crate) type Call = Pair<Talker, Talker>;

/// Two peers 50 ms apart that know each other and are connected for a second; then they talk.
pub(crate) fn talking(a: Peer, b: Peer) -> Call {
    let (of_a, of_b) = (a.addresses.clone(), b.addresses.clone());
    let mut call = Pair::new(1, (Talker::new(a), &of_a), (Talker::new(b), &of_b));
    call.network.set_links(Link::with_delay(ms(50)));
    let now = call.now();
    call.a.gather(now);
    call.b.gather(now);
    let (of_a, of_b) = (call.a.remote_parameters(), call.b.remote_parameters());
    let (candidates_a, candidates_b) = (call.a.candidates(), call.b.candidates());
    call.a.learn(now, of_b, &candidates_b);
    call.b.learn(now, of_a, &candidates_a);
    call.drive_until(|a, b| both_in_use(a, b));
    call.run_for(secs(1));
    let now = call.now();
    call.a.start(now);
    call.b.start(now);
    call
}

/// Both fall silent, the last words arrive, and none were lost or had nowhere to go.
pub(crate) fn expect_no_gap(call: &mut Call) {
    call.a.stop();
    call.b.stop();
    call.run_for(ms(200));
    assert_eq!((&call.a.silent, &call.b.silent), (&vec![], &vec![]));
    assert_eq!((call.a.sent, call.b.sent), (call.b.heard, call.a.heard));
    assert!(call.a.sent > 10);
}
