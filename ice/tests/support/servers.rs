//! What a node needs to be reached behind a NAT: a STUN server that says how it is seen, a relay, and the part of a node
//! that asks both. For any agent that is a [`Node`]; nothing here knows which.
//!
//! The STUN server speaks STUN (RFC 8489 §5). The relay does what TURN does for a candidate, permissions by IP address
//! included (RFC 8656 §9), in a framing of its own: the other side's address, six bytes, before each payload; the address
//! of nobody asks for an allocation.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::time::Instant;

use floe_stun::{
    Class, Message, Method, Schedule, Transaction, TransactionAction, TransactionId, Writer,
};
use sim::Node;

type Datagram = (SocketAddr, SocketAddr, Vec<u8>);

fn write(datagram: Option<Datagram>, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
    let (source, destination, bytes) = datagram?;
    buf[..bytes.len()].copy_from_slice(&bytes);
    Some((source, destination, bytes.len()))
}

/// Answers Binding requests with where they came from.
#[derive(Default)]
pub(crate) struct StunServer {
    outbox: VecDeque<Datagram>,
}

impl Node for StunServer {
    fn handle_datagram(
        &mut self,
        _: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &mut [u8],
    ) {
        let Ok(request) = Message::parse(bytes) else {
            return;
        };
        if (request.class(), request.method()) != (Class::Request, Method::BINDING) {
            return;
        }
        let mut buf = [0; 100];
        let id = request.transaction_id();
        let response = Writer::success(&mut buf, Method::BINDING, id).xor_mapped_address(remote);
        let len = response.fingerprint().expect("it fits");
        self.outbox.push_back((local, remote, buf[..len].to_vec()));
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        write(self.outbox.pop_front(), buf)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

const HEADER: usize = 6;
const NOBODY: [u8; HEADER] = [0; HEADER];

fn header(address: SocketAddr) -> [u8; HEADER] {
    let SocketAddr::V4(address) = address else {
        panic!("the relay is of IPv4");
    };
    let ([a, b, c, d], [high, low]) = (address.ip().octets(), address.port().to_be_bytes());
    [a, b, c, d, high, low]
}

fn framed(address: SocketAddr, payload: &[u8]) -> Vec<u8> {
    [&header(address)[..], payload].concat()
}

/// The address and the payload of a frame; `None` for nobody's.
fn unframed(bytes: &mut [u8]) -> Option<(SocketAddr, &mut [u8])> {
    let (header, payload) = bytes.split_at_mut_checked(HEADER)?;
    let [a, b, c, d, high, low] = header.first_chunk().copied()?;
    let port = u16::from_be_bytes([high, low]);
    let address = SocketAddrV4::new([a, b, c, d].into(), port);
    (port != 0).then_some((address.into(), payload))
}

/// Lends its addresses to who asks, and carries what comes and goes there.
pub(crate) struct Relay {
    control: SocketAddr,
    free: Vec<SocketAddr>,
    allocations: Vec<Allocation>,
    outbox: VecDeque<Datagram>,
}

struct Allocation {
    client: SocketAddr,
    relayed: SocketAddr,
    permitted: Vec<IpAddr>,
}

impl Relay {
    /// Listens at `control`, lends `addresses`.
    pub(crate) fn new(control: SocketAddr, addresses: &[SocketAddr]) -> Self {
        Self {
            control,
            free: addresses.to_vec(),
            allocations: Vec::new(),
            outbox: VecDeque::new(),
        }
    }

    fn allocation(&mut self, client: SocketAddr) -> Option<&mut Allocation> {
        let of_client = |allocation: &Allocation| allocation.client == client;
        let known = self.allocations.iter().position(of_client);
        let index = match known {
            Some(index) => index,
            None => {
                let relayed = self.free.pop()?;
                self.allocations.push(Allocation {
                    client,
                    relayed,
                    permitted: Vec::new(),
                });
                self.allocations.len() - 1
            }
        };
        self.allocations.get_mut(index)
    }

    fn on_client(&mut self, client: SocketAddr, bytes: &mut [u8]) {
        let control = self.control;
        let Some(allocation) = self.allocation(client) else {
            return;
        };
        let relayed = allocation.relayed;
        let datagram = match unframed(bytes) {
            Some((peer, payload)) => {
                allocation.permitted.push(peer.ip());
                allocation.permitted.sort_unstable();
                allocation.permitted.dedup();
                (relayed, peer, payload.to_vec())
            }
            None => (
                control,
                client,
                [&NOBODY[..], &header(relayed)[..]].concat(),
            ),
        };
        self.outbox.push_back(datagram);
    }
}

impl Node for Relay {
    fn handle_datagram(
        &mut self,
        _: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &mut [u8],
    ) {
        if local == self.control {
            return self.on_client(remote, bytes);
        }
        let lent = self.allocations.iter().find(|a| a.relayed == local);
        if let Some(lent) = lent.filter(|lent| lent.permitted.contains(&remote.ip())) {
            let frame = framed(remote, bytes);
            self.outbox.push_back((self.control, lent.client, frame));
        }
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        write(self.outbox.pop_front(), buf)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// A node whose socket asks a STUN server how it is seen, and a relay for an address, beside what the node itself does
/// there.
pub(crate) struct Host<N> {
    pub(crate) node: N,
    pub(crate) socket: SocketAddr,
    /// How the STUN server sees the socket.
    pub(crate) mapped: Option<SocketAddr>,
    /// What the relay lends.
    pub(crate) relayed: Option<SocketAddr>,
    stun: SocketAddr,
    relay: Option<SocketAddr>,
    binding: Option<Transaction>,
    outbox: VecDeque<Datagram>,
}

impl<N: Node> Host<N> {
    pub(crate) fn new(
        node: N,
        socket: SocketAddr,
        stun: SocketAddr,
        relay: Option<SocketAddr>,
    ) -> Self {
        Self {
            node,
            socket,
            mapped: None,
            relayed: None,
            stun,
            relay,
            binding: None,
            outbox: VecDeque::new(),
        }
    }

    /// Asks; the answers are in [`mapped`](Self::mapped) and [`relayed`](Self::relayed) when they have come. Asking
    /// again later is allowed.
    pub(crate) fn ask(&mut self, now: Instant) {
        let id = TransactionId::from_bytes([0xA5; 12]);
        self.mapped = None;
        self.binding = Some(Transaction::new(now, id, Schedule::default()));
        self.send_requests();
    }

    pub(crate) fn has_answers(&self) -> bool {
        self.mapped.is_some() && (self.relayed.is_some() || self.relay.is_none())
    }

    fn send_requests(&mut self) {
        if let Some(binding) = &self.binding {
            let mut buf = [0; 100];
            let request = Writer::request(&mut buf, Method::BINDING, binding.id());
            let len = request.fingerprint().expect("it fits");
            self.outbox
                .push_back((self.socket, self.stun, buf[..len].to_vec()));
        }
        if let Some(relay) = self.relay.filter(|_| self.relayed.is_none()) {
            self.outbox.push_back((self.socket, relay, NOBODY.to_vec()));
        }
    }

    fn on_stun_server(&mut self, now: Instant, bytes: &[u8]) {
        let (Some(binding), Ok(answer)) = (&mut self.binding, Message::parse(bytes)) else {
            return;
        };
        if answer.class() == Class::SuccessResponse
            && binding.on_response(now, &answer.transaction_id()).is_some()
        {
            self.mapped = answer.xor_mapped_address();
            self.binding = None;
        }
    }

    fn on_relay(&mut self, now: Instant, bytes: &mut [u8]) {
        if let Some((peer, payload)) = unframed(bytes) {
            if let Some(relayed) = self.relayed {
                self.node.handle_datagram(now, relayed, peer, payload);
            }
        } else if let Some((relayed, _)) = bytes.get_mut(HEADER..).and_then(unframed) {
            self.relayed = Some(relayed);
        }
    }
}

impl<N: Node> Node for Host<N> {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &mut [u8],
    ) {
        if remote == self.stun {
            self.on_stun_server(now, bytes);
        } else if Some(remote) == self.relay {
            self.on_relay(now, bytes);
        } else {
            self.node.handle_datagram(now, local, remote, bytes);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(binding) = &mut self.binding
            && binding.handle_timeout(now) == TransactionAction::Retransmit
        {
            self.send_requests();
        }
        if self.node.poll_timeout().is_some_and(|at| at <= now) {
            self.node.handle_timeout(now);
        }
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        if let Some(datagram) = self.outbox.pop_front() {
            return write(Some(datagram), buf);
        }
        let (source, destination, len) = self.node.poll_transmit(buf)?;
        match self.relay {
            Some(relay) if Some(source) == self.relayed => {
                let frame = framed(destination, &buf[..len]);
                write(Some((self.socket, relay, frame)), buf)
            }
            _ => Some((source, destination, len)),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let binding = self.binding.as_ref().and_then(Transaction::poll_timeout);
        binding.into_iter().chain(self.node.poll_timeout()).min()
    }

    fn collect_events(&mut self, now: Instant) {
        self.node.collect_events(now);
    }
}
