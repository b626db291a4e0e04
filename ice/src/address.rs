//! Where a datagram travels: protocol, our address, their address.
//!
//! Addresses inside the agent are canonical: an IPv4-mapped IPv6 address is the IPv4 address it maps, flow labels are
//! dropped, and a zone is kept on link-local addresses only, where it is part of the address (RFC 4007 §6). Two
//! spellings of one address therefore never make two pairs.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The transport protocol of a candidate or a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP, framed by RFC 4571 as RFC 6544 asks; framing is the caller's.
    Tcp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// A path as seen from here: the words mean the same for datagrams received and sent.
///
/// `local` is the address of the caller's socket (a candidate's *base*, RFC 8445 §2.2), never a server-reflexive one.
/// The agent answers in canonical addresses (IPv4-mapped addresses become IPv4): the owner of a dual-stack socket maps
/// them back when it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FiveTuple {
    /// The transport protocol.
    pub protocol: Protocol,
    /// Our end: the address the socket is bound to.
    pub local: SocketAddr,
    /// Their end.
    pub remote: SocketAddr,
}

impl FiveTuple {
    /// A UDP path.
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Udp,
            local,
            remote,
        }
    }

    /// Whether it certainly is [`canonical`](Self::canonical), which spares the copy.
    #[inline]
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.local.is_ipv4() && self.remote.is_ipv4()
    }

    /// The ports of both ends, as one number.
    #[inline]
    pub(crate) fn ports(&self) -> u32 {
        both(self.local.port(), self.remote.port())
    }

    /// The same path with canonical addresses.
    #[inline]
    pub fn canonical(self) -> Self {
        if self.is_plain() {
            return self;
        }
        Self {
            protocol: self.protocol,
            local: canonical(self.local),
            remote: canonical(self.remote),
        }
    }
}

/// Two ports as one number.
#[inline]
pub(crate) fn both(local: u16, remote: u16) -> u32 {
    u32::from(local) << 16 | u32::from(remote)
}

/// One datagram to send, already written into the buffer that was given to `poll_transmit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the datagram is in the buffer and has to be sent"]
pub struct Transmit {
    /// From which local address, to which remote address.
    pub path: FiveTuple,
    /// How many bytes of the buffer are the datagram.
    pub len: usize,
}

/// One spelling per address; see the module's text.
#[inline]
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    let SocketAddr::V6(v6) = address else {
        return address;
    };
    if let Some(v4) = v6.ip().to_ipv4_mapped() {
        return SocketAddr::new(IpAddr::V4(v4), v6.port());
    }
    let zone = if v6.ip().is_unicast_link_local() {
        v6.scope_id()
    } else {
        0
    };
    SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, zone))
}

/// A link-local remote address lives in the zone of the interface it is reached through.
pub(crate) fn in_zone_of(remote: SocketAddr, base: SocketAddr) -> SocketAddr {
    match (remote, base) {
        (SocketAddr::V6(r), SocketAddr::V6(b))
            if r.ip().is_unicast_link_local() && b.scope_id() != 0 =>
        {
            SocketAddr::V6(SocketAddrV6::new(*r.ip(), r.port(), 0, b.scope_id()))
        }
        _ => remote,
    }
}

/// A link-local address reaches, and is reached from, its own link only; a wildcard is on every link.
pub(crate) fn same_scope(base: SocketAddr, remote: SocketAddr) -> bool {
    base.ip().is_unspecified() || is_link_local(base.ip()) == is_link_local(remote.ip())
}

/// Link-local, in either family.
pub(crate) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => Ipv6Addr::is_unicast_link_local(&v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_address_it_maps() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:5000".parse().unwrap();
        assert_eq!(canonical(mapped), "192.0.2.1:5000".parse().unwrap());
    }

    #[test]
    fn zones_count_on_link_local_addresses_only() {
        let zoned = |ip: &str| SocketAddr::V6(SocketAddrV6::new(ip.parse().unwrap(), 9, 77, 3));
        assert_eq!(
            canonical(zoned("2001:db8::1")),
            "[2001:db8::1]:9".parse().unwrap()
        );
        let SocketAddr::V6(kept) = canonical(zoned("fe80::1")) else {
            panic!("still IPv6")
        };
        assert_eq!((kept.scope_id(), kept.flowinfo()), (3, 0));
    }

    #[test]
    fn a_link_local_peer_is_in_the_zone_of_our_interface() {
        let base = SocketAddr::V6(SocketAddrV6::new("fe80::2".parse().unwrap(), 1, 0, 4));
        let SocketAddr::V6(v6) = in_zone_of("[fe80::1]:2".parse().unwrap(), base) else {
            panic!("still IPv6")
        };
        assert_eq!(v6.scope_id(), 4);
    }
}
