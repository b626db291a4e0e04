//! The sockets: one task reads and writes all of them and owns the machine behind them, so nothing is shared and nothing is locked.
//!
//! ```text
//!   UDP ──recvmmsg, GRO──▶ handle_datagram ┐
//!   commands ─────────────▶ handle_command ├─▶ poll_transmit ──GSO──▶ UDP
//!   deadline ─────────────▶ handle_timeout ┘
//! ```
//!
//! After every input the loop drains what the machine wants to send. Runs of equal length on one path leave as one system call (GSO).
//! A full send buffer drops the datagram, as the network may: ICE and DTLS retransmit.

use std::future::{pending, poll_fn};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Instant;

use floe_ice::{Candidate, FiveTuple, Protocol, Transmit, local_preferences};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Longest datagram sent, in bytes: at least what the machine's configuration asks of `poll_transmit`'s buffer.
const DATAGRAM: usize = 1500;
/// Longest run of datagrams handed to the system at once, in bytes: an IP packet's length bounds it.
const SEND_BUFFER: usize = 60_000;
/// Kernel buffers asked for, in bytes.
const SOCKET_BUFFER: usize = 2 * 1024 * 1024;
/// Reads of one socket before the others, and what is to be sent, have their turn.
const READS: usize = 8;

/// What stands behind the sockets: floe's five verbs, and commands.
pub(crate) trait Machine {
    type Command;

    fn handle_datagram(&mut self, now: Instant, path: FiveTuple, datagram: &mut [u8]);
    fn handle_timeout(&mut self, now: Instant);
    fn handle_command(&mut self, now: Instant, command: Self::Command);
    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit>;
    fn poll_timeout(&self) -> Option<Instant>;
    /// True once there is nothing left to do.
    fn is_finished(&self) -> bool;
}

/// The example's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "floe never reads a clock: its caller does, here"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Bound sockets and the local addresses they stand for.
#[derive(Debug)]
pub(crate) struct Sockets {
    sockets: Vec<Socket>,
}

#[derive(Debug)]
struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    bound: SocketAddr,
}

/// What runs in a socket's name, in numbers.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) received: u64,
    pub(crate) receive_calls: u64,
    pub(crate) sent: u64,
    pub(crate) send_calls: u64,
    /// Not sent: the socket's buffer was full, or the system refused.
    pub(crate) unsent: u64,
}

impl Sockets {
    /// Binds one socket for each address.
    ///
    /// # Errors
    /// The address together with the system's error.
    pub(crate) async fn bind(
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> Result<Self, (SocketAddr, io::Error)> {
        let mut sockets = Vec::new();
        for address in addresses {
            sockets.push(
                Socket::bind(address)
                    .await
                    .map_err(|error| (address, error))?,
            );
        }
        Ok(Self { sockets })
    }

    /// Where the sockets are bound.
    #[cfg(test)]
    pub(crate) fn bound(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.sockets.iter().map(|socket| socket.bound)
    }

    /// The host candidates: the sockets' addresses, known outside as `announced` where that is given.
    ///
    /// # Errors
    /// When the system does not tell its addresses.
    pub(crate) fn announce(
        &self,
        announced: &[IpAddr],
        loopback: Loopback,
    ) -> io::Result<Vec<Candidate>> {
        let own: Vec<IpAddr> = if_addrs::get_if_addrs()?
            .iter()
            .map(if_addrs::Interface::ip)
            .collect();
        let candidates: Vec<Candidate> = self
            .sockets
            .iter()
            .flat_map(|socket| candidates(socket.bound, announced, &own, loopback))
            .collect();
        let addresses: Vec<IpAddr> = candidates
            .iter()
            .filter_map(Candidate::address)
            .map(|address| address.ip())
            .collect();
        let preferences = local_preferences(&addresses);
        Ok(candidates
            .into_iter()
            .zip(preferences)
            .map(|(candidate, preference)| candidate.with_local_preference(preference))
            .collect())
    }

    /// The next socket that has something to read.
    async fn readable(&self) -> usize {
        poll_fn(|cx| {
            let ready =
                |socket: &Socket| matches!(socket.io.poll_recv_ready(cx), Poll::Ready(Ok(())));
            self.sockets
                .iter()
                .position(ready)
                .map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn sending_from(&self, local: SocketAddr) -> Option<&Socket> {
        self.sockets.iter().find(|socket| socket.stands_for(local))
    }
}

/// Whether loopback addresses are announced beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loopback {
    /// Peers are on this machine.
    Announced,
    /// Only where there is nothing else.
    LastResort,
}

/// The host candidates of a socket bound to `bound`, on a machine with the addresses `own`.
///
/// Behind a one-to-one translator the best of its addresses is told as each of the `announced` ones of its family, and what else is
/// not loopback is not told.
fn candidates(
    bound: SocketAddr,
    announced: &[IpAddr],
    own: &[IpAddr],
    loopback: Loopback,
) -> Vec<Candidate> {
    let host = |ip: IpAddr| Candidate::host(SocketAddr::new(ip, bound.port()));
    let inside = addresses(bound.ip(), own, loopback);
    let outside: Vec<IpAddr> = announced
        .iter()
        .filter(|ip| ip.is_ipv4() == bound.is_ipv4())
        .copied()
        .collect();
    let (Some(best), false) = (inside.first(), outside.is_empty()) else {
        return inside.into_iter().map(host).collect();
    };
    let told = outside
        .into_iter()
        .map(|ip| host(*best).announced_as(SocketAddr::new(ip, bound.port())));
    told.chain(
        inside[1..]
            .iter()
            .copied()
            .filter(IpAddr::is_loopback)
            .map(host),
    )
    .collect()
}

/// The addresses of a socket: the one it is bound to, or, bound to all, the machine's without link-local ones: a candidate carries no
/// zone.
fn addresses(bound: IpAddr, own: &[IpAddr], loopback: Loopback) -> Vec<IpAddr> {
    if !bound.is_unspecified() {
        return vec![bound];
    }
    let usable = |ip: &&IpAddr| match ip {
        IpAddr::V4(ip) => bound.is_ipv4() && !ip.is_link_local(),
        IpAddr::V6(ip) => bound.is_ipv6() && !ip.is_unicast_link_local(),
    };
    let (local, mut routed): (Vec<IpAddr>, Vec<IpAddr>) =
        own.iter().filter(usable).partition(|ip| ip.is_loopback());
    if loopback == Loopback::Announced || routed.is_empty() {
        routed.extend(local);
    }
    routed
}

impl Socket {
    async fn bind(address: SocketAddr) -> io::Result<Self> {
        let io = UdpSocket::bind(address).await?;
        let state = UdpSocketState::new(UdpSockRef::from(&io))?;
        // Larger buffers are a wish: a system may grant less.
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&io), SOCKET_BUFFER);
        let _ = state.set_send_buffer_size(UdpSockRef::from(&io), SOCKET_BUFFER);
        let bound = io.local_addr()?;
        // From here on the reactor knows the socket: the first datagram to be sent is not lost.
        io.writable().await?;
        Ok(Self { io, state, bound })
    }

    /// Whether datagrams from `local` leave here.
    fn stands_for(&self, local: SocketAddr) -> bool {
        self.bound == local
            || (self.bound.ip().is_unspecified()
                && self.bound.port() == local.port()
                && self.bound.is_ipv4() == local.is_ipv4())
    }

    /// The source address to send from, where the socket has several.
    fn source(&self, local: SocketAddr) -> Option<IpAddr> {
        self.bound.ip().is_unspecified().then_some(local.ip())
    }

    fn receive(&self, buffers: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> io::Result<usize> {
        self.io.try_io(Interest::READABLE, || {
            self.state.recv(UdpSockRef::from(&self.io), buffers, meta)
        })
    }

    fn send(&self, path: FiveTuple, contents: &[u8], segment: usize) -> io::Result<()> {
        let transmit = quinn_udp::Transmit {
            destination: path.remote,
            ecn: None,
            contents,
            segment_size: (segment < contents.len()).then_some(segment),
            src_ip: self.source(path.local),
        };
        self.io.try_io(Interest::WRITABLE, || {
            self.state.try_send(UdpSockRef::from(&self.io), &transmit)
        })
    }
}

/// Runs `machine` over `sockets` until it is finished or nobody can send commands any more.
pub(crate) async fn run<M: Machine>(
    mut machine: M,
    sockets: Sockets,
    mut commands: mpsc::Receiver<M::Command>,
) -> Traffic {
    let mut receiver = Receiver::new(&sockets);
    let mut sender = Sender::new();
    let mut traffic = Traffic::default();
    while !machine.is_finished() {
        let deadline = machine.poll_timeout();
        tokio::select! {
            index = sockets.readable() => receiver.read(&sockets.sockets[index], &mut machine, &mut traffic),
            command = commands.recv() => match command {
                Some(command) => machine.handle_command(now(), command),
                None => break,
            },
            () = sleep_until(deadline) => machine.handle_timeout(now()),
        }
        sender.drain(&mut machine, &sockets, &mut traffic);
    }
    traffic
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

/// Buffers for one batch of reads.
struct Receiver {
    buffer: Box<[u8]>,
    /// Bytes of `buffer` for each message of a batch: one datagram, or a run that the system joined (GRO).
    each: usize,
}

impl Receiver {
    fn new(sockets: &Sockets) -> Self {
        let segments = sockets
            .sockets
            .iter()
            .map(|socket| socket.state.gro_segments())
            .max()
            .unwrap_or(1);
        let each = (segments * DATAGRAM).clamp(2048, usize::from(u16::MAX));
        Self {
            buffer: vec![0; each * BATCH_SIZE].into(),
            each,
        }
    }

    /// Reads what is there, within [`READS`], and hands the machine every datagram.
    fn read(&mut self, socket: &Socket, machine: &mut impl Machine, traffic: &mut Traffic) {
        for _ in 0..READS {
            let mut meta = [RecvMeta::default(); BATCH_SIZE];
            let mut slices = self.buffer.chunks_exact_mut(self.each);
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(slices.next().unwrap_or_default()));
            let Ok(count) = socket.receive(&mut slices, &mut meta) else {
                return;
            };
            traffic.receive_calls += 1;
            let now = now();
            for (meta, slice) in meta.iter().zip(&mut slices).take(count) {
                let path = FiveTuple {
                    protocol: Protocol::Udp,
                    local: SocketAddr::new(
                        meta.dst_ip.unwrap_or_else(|| socket.bound.ip()),
                        socket.bound.port(),
                    ),
                    remote: meta.addr,
                };
                for datagram in slice[..meta.len].chunks_mut(meta.stride.max(1)) {
                    traffic.received += 1;
                    machine.handle_datagram(now, path, datagram);
                }
            }
        }
    }
}

/// Gathers runs of datagrams that can leave in one system call.
struct Sender {
    buffer: Box<[u8]>,
}

/// A run at the head of the send buffer: one path, equal lengths.
struct Run {
    path: FiveTuple,
    segment: usize,
    len: usize,
}

impl Sender {
    fn new() -> Self {
        Self {
            buffer: vec![0; SEND_BUFFER + DATAGRAM].into(),
        }
    }

    /// Sends all that the machine has to send.
    fn drain(&mut self, machine: &mut impl Machine, sockets: &Sockets, traffic: &mut Traffic) {
        let mut run: Option<Run> = None;
        loop {
            let end = run.as_ref().map_or(0, |run| run.len);
            let Some(transmit) = machine.poll_transmit(&mut self.buffer[end..]) else {
                break;
            };
            run = Some(match run.take() {
                Some(mut open) if open.takes(&transmit, sockets) => {
                    open.len += transmit.len;
                    open
                }
                Some(full) => {
                    self.flush(&full, sockets, traffic);
                    self.buffer.copy_within(end..end + transmit.len, 0);
                    Run::of(transmit)
                }
                None => Run::of(transmit),
            });
        }
        if let Some(run) = run {
            self.flush(&run, sockets, traffic);
        }
    }

    fn flush(&self, run: &Run, sockets: &Sockets, traffic: &mut Traffic) {
        let datagrams = run.len.div_ceil(run.segment.max(1)) as u64;
        let sent = sockets
            .sending_from(run.path.local)
            .map(|socket| socket.send(run.path, &self.buffer[..run.len], run.segment));
        match sent {
            Some(Ok(())) => {
                traffic.sent += datagrams;
                traffic.send_calls += 1;
            }
            failed => {
                traffic.unsent += datagrams;
                tracing::debug!(?failed, "not sent");
            }
        }
    }
}

impl Run {
    fn of(transmit: Transmit) -> Self {
        Self {
            path: transmit.path,
            segment: transmit.len,
            len: transmit.len,
        }
    }

    /// Whether `transmit` can follow: same path, no longer than the others, and no shorter one before it.
    fn takes(&self, transmit: &Transmit, sockets: &Sockets) -> bool {
        let most = sockets
            .sending_from(self.path.local)
            .map_or(1, |socket| socket.state.max_gso_segments());
        self.path == transmit.path
            && transmit.len <= self.segment
            && self.len.is_multiple_of(self.segment)
            && self.len / self.segment < most
            && self.len + transmit.len <= SEND_BUFFER
    }
}

#[cfg(test)]
mod tests;
