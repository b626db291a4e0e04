//! What a machine under test looks like to the harness.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Instant,
};

/// A sans-IO machine with addresses: four of the five verbs. Events stay with the adapter.
pub trait Node {
    /// A datagram arrived at `local` and claims to come from `remote`.
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &mut [u8],
    );

    /// Time has passed; called when `poll_timeout` is due, and never otherwise.
    fn handle_timeout(&mut self, now: Instant);

    /// Writes one datagram into `buf`; gives where it leaves from, where it goes, and its length in bytes.
    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)>;

    /// When `handle_timeout` wants to be called. Pure.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Called after every input and every command, once all transmits are drained: the place where an adapter
    /// takes its machine's events, with the time at which they became visible.
    fn collect_events(&mut self, now: Instant) {
        let _ = now;
    }
}

/// An IPv4 address for host number `host`, port 4000.
#[must_use]
pub fn address(host: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), 4000)
}

/// An IPv6 address for host number `host`, port 4000.
#[must_use]
pub fn address_v6(host: u8) -> SocketAddr {
    SocketAddr::new(
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into())),
        4000,
    )
}
