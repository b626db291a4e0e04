//! A connection as a node of the simulator, and who it is: what every story needs, also those of other packages.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use floe_dtls::{
    Connection, DropReason, Event, FingerprintSet, HashAlgorithm, Identity, Reason, Received,
    RemoteIdentity, State,
};
use sim::{Node, address};

/// One end: the machine, and everything it said.
#[derive(Debug)]
pub struct Peer {
    pub dtls: Connection,
    pub events: Vec<(Instant, Event)>,
    /// Application data, one element for each record.
    pub heard: Vec<Vec<u8>>,
    pub not_mine: usize,
    outbox: Vec<Vec<u8>>,
    at: SocketAddr,
    to: SocketAddr,
}

impl Peer {
    /// At an address that its peer is known to receive at.
    pub fn new(host: u8, other: u8, mut dtls: Connection) -> Self {
        dtls.set_path_validated();
        Self::on_any_path(host, other, dtls)
    }

    pub fn on_any_path(host: u8, other: u8, dtls: Connection) -> Self {
        Self {
            dtls,
            events: Vec::new(),
            heard: Vec::new(),
            not_mine: 0,
            outbox: Vec::new(),
            at: address(host),
            to: address(other),
        }
    }

    /// Seals `data` and queues it as a datagram.
    pub fn say(&mut self, now: Instant, data: &[u8]) {
        let mut out = [0; 1500];
        let len = self.dtls.seal(now, data, &mut out).unwrap();
        self.outbox.push(out[..len].to_vec());
    }

    pub fn is_connected(&self) -> bool {
        self.dtls.state() == State::Connected
    }

    pub fn is_over(&self) -> bool {
        matches!(self.dtls.state(), State::Closed | State::Failed)
    }

    /// Every state entered, with the reason.
    pub fn states(&self) -> Vec<(State, Reason)> {
        self.events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::StateChange(transition) => Some((transition.to, transition.reason)),
                _ => None,
            })
            .collect()
    }

    pub fn has_connected(&self) -> bool {
        self.states()
            .iter()
            .any(|(state, _)| *state == State::Connected)
    }

    /// The other one's host, for a story whose client is the second peer.
    pub fn swap_addresses(&mut self) {
        std::mem::swap(&mut self.at, &mut self.to);
    }

    pub fn has_said(&self, event: &Event) -> bool {
        self.events.iter().any(|(_, said)| said == event)
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dtls.stats().dropped(reason)
    }
}

impl Node for Peer {
    fn handle_datagram(&mut self, now: Instant, _: SocketAddr, _: SocketAddr, datagram: &mut [u8]) {
        let mut unread = 0..datagram.len();
        while !unread.is_empty() {
            let at = unread.start;
            match self
                .dtls
                .handle_datagram(now, &mut datagram[unread.clone()])
            {
                Received::Data { range, rest } => {
                    let connected = self.dtls.state() == State::Connected;
                    assert!(connected, "data only from a verified peer");
                    self.heard
                        .push(datagram[at + range.start..at + range.end].to_vec());
                    unread = at + rest.start..at + rest.end;
                }
                Received::NotMine => {
                    self.not_mine += 1;
                    return;
                }
                Received::Handled | Received::Dropped(_) => return,
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.dtls.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        let len = match self.dtls.poll_transmit(buf) {
            Some(len) => len,
            None if self.outbox.is_empty() => return None,
            None => {
                let datagram = self.outbox.remove(0);
                buf[..datagram.len()].copy_from_slice(&datagram);
                datagram.len()
            }
        };
        Some((self.at, self.to, len))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.dtls.poll_timeout()
    }

    fn collect_events(&mut self, now: Instant) {
        while let Some(event) = self.dtls.poll_event() {
            self.events.push((now, event));
        }
    }
}

/// The identity of host 1 or 2; they live as long as the test binary.
pub fn identity(host: u8) -> Arc<Identity> {
    static IDENTITIES: OnceLock<[Arc<Identity>; 2]> = OnceLock::new();
    let generate = || Arc::new(Identity::generate().unwrap());
    let identities = IDENTITIES.get_or_init(|| [generate(), generate()]);
    identities[usize::from(host - 1)].clone()
}

pub fn fingerprints(identity: &Identity) -> FingerprintSet {
    FingerprintSet::new([identity.fingerprint(HashAlgorithm::Sha256)]).unwrap()
}

/// Whom the peer of `host` expects.
pub fn expecting(host: u8) -> RemoteIdentity {
    RemoteIdentity::Fingerprints(fingerprints(&identity(host)))
}
