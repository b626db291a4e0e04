//! UDP sockets: batches in, datagrams out, any number of local addresses behind each.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use floe::Segments;
use floe::ice::FiveTuple;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};

/// Kernel buffers asked for, in bytes. Some hundred datagrams may wait in each while this process does something else. Were there room
/// for many more, a process that has fallen behind would spend its time on checks that are too old to be worth an answer.
const KERNEL_BUFFER: usize = 512 * 1024;
/// Bytes that one receive buffer holds: a datagram, or several in a row of one sender.
const RECEIVE_BUFFER: usize = 4096;
/// Batches read from one socket before the others, and what is to be sent, have their turn.
const BATCHES: usize = 4;

/// The clock of both processes.
#[expect(
    clippy::disallowed_methods,
    reason = "floe never reads a clock: its caller does, here"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// What came at once, each with the path it came by.
pub(crate) type Datagrams<'d> = Vec<(FiveTuple, &'d mut [u8])>;

/// Sockets bound to one address, each with a port of its own.
pub(crate) struct Sockets {
    sockets: Vec<Socket>,
    buffers: Vec<u8>,
    /// A bit for each socket that has something to read.
    ready: u64,
    unsent: u64,
}

struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    bound: SocketAddr,
}

impl Sockets {
    /// Binds `count` sockets to `address`. Bound to all addresses, each receives and sends with any of 127/8.
    pub(crate) fn bind(address: Ipv4Addr, count: u8) -> io::Result<Self> {
        let sockets = (0..count).map(|_| Socket::bind(address));
        Ok(Self {
            sockets: sockets.collect::<io::Result<_>>()?,
            buffers: vec![0; BATCH_SIZE * RECEIVE_BUFFER],
            ready: 0,
            unsent: 0,
        })
    }

    /// The port of the socket that session number `session` has.
    pub(crate) fn port(&self, session: usize) -> u16 {
        self.sockets[session % self.sockets.len()].bound.port()
    }

    /// Datagrams that the system did not take. ICE and DTLS repeat what is lost.
    pub(crate) fn unsent(&self) -> u64 {
        self.unsent
    }

    /// Sends datagrams that lie in `buf`.
    pub(crate) fn send(&mut self, segments: &Segments, buf: &[u8]) {
        let port = segments.path.local.port();
        let socket = self.sockets.iter().find(|s| s.bound.port() == port);
        let failed = |datagrams: &Range<usize>| {
            let sent = socket.map(|socket| socket.send(segments, &buf[datagrams.clone()]));
            !matches!(sent, Some(Ok(())))
        };
        self.unsent += match socket.map(|socket| socket.state.max_gso_segments()) {
            Some(2..) if !failed(&segments.range) => 0,
            Some(2..) => segments.datagrams().count(),
            _ => segments.datagrams().filter(failed).count(),
        } as u64;
    }

    /// Waits until there is something to read, at most for `most`.
    pub(crate) fn wait(&mut self, most: Duration) -> io::Result<()> {
        let fds = self.sockets.iter().map(|socket| socket.io.as_fd());
        let mut asked: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // A part of a millisecond counts as one: the deadline has passed then.
        let most = most + Duration::from_nanos(999_999);
        let most = PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX);
        match poll(&mut asked, most) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let bit = |(place, fd): (usize, &PollFd<'_>)| u64::from(fd.any() == Some(true)) << place;
        self.ready = asked.iter().enumerate().map(bit).sum();
        Ok(())
    }

    /// Reads what is there, as far as one turn goes.
    pub(crate) fn receive(
        &mut self,
        mut take: impl FnMut(Instant, Datagrams<'_>),
    ) -> io::Result<()> {
        for (place, socket) in self.sockets.iter().enumerate() {
            let is_ready = self.ready >> place & 1 == 1;
            for _ in (0..BATCHES).take_while(|_| is_ready) {
                if !socket.receive(&mut self.buffers, &mut take)? {
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Socket {
    fn bind(address: Ipv4Addr) -> io::Result<Self> {
        let io = UdpSocket::bind((address, 0))?;
        let state = UdpSocketState::new(UdpSockRef::from(&io))?;
        let reference = || UdpSockRef::from(&io);
        state.set_recv_buffer_size(reference(), KERNEL_BUFFER)?;
        state.set_send_buffer_size(reference(), KERNEL_BUFFER)?;
        let bound = io.local_addr()?;
        Ok(Self { io, state, bound })
    }

    fn send(&self, segments: &Segments, contents: &[u8]) -> io::Result<()> {
        let Segments { path, .. } = segments;
        // Bound to one address, the kernel knows it.
        let many = self.bound.ip().is_unspecified();
        let transmit = Transmit {
            destination: path.remote,
            ecn: None,
            contents,
            segment_size: segments.segment_size,
            src_ip: many.then_some(path.local.ip()),
        };
        self.state.try_send(UdpSockRef::from(&self.io), &transmit)
    }

    /// Whether there may be more.
    fn receive(
        &self,
        buffers: &mut [u8],
        take: &mut impl FnMut(Instant, Datagrams<'_>),
    ) -> io::Result<bool> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut chunks = buffers.chunks_exact_mut(RECEIVE_BUFFER);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let socket = UdpSockRef::from(&self.io);
        let count = match self.state.recv(socket, &mut slices, &mut metas) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        let received = slices.iter_mut().zip(&metas).take(count);
        let datagrams = received.flat_map(|(slice, meta)| {
            let path = FiveTuple::udp(self.local(meta.dst_ip), meta.addr);
            let datagrams = slice[..meta.len].chunks_mut(meta.stride.max(1));
            datagrams.map(move |datagram| (path, datagram))
        });
        take(now(), datagrams.collect());
        Ok(count == BATCH_SIZE)
    }

    fn local(&self, destination: Option<IpAddr>) -> SocketAddr {
        SocketAddr::new(
            destination.unwrap_or_else(|| self.bound.ip()),
            self.bound.port(),
        )
    }
}
