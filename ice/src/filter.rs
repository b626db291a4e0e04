//! Which addresses are worth a packet (I58): a peer that names an address makes us send there, and answers a check for us.
//!
//! What is not one host is refused always. What only this machine, this link or this cloud instance can reach is refused
//! unless the caller wants it: a server is not to knock for strangers on doors that are closed to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::{canonical, is_link_local};

/// Whether addresses of a kind are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// They are.
    Allowed,
    /// They are not: candidates are ignored and counted, requests from there are dropped before their MAC.
    Refused,
}

/// The kinds of remote addresses that may be used. Unspecified, multicast and broadcast addresses and port 0 never are.
///
/// ```
/// use floe_ice::{Access, AddressFilter, Config};
///
/// let mut config = Config::default();
/// assert!(!config.addresses.allows("127.0.0.1:5000".parse()?));
/// // A test or a demonstration on one machine:
/// config.addresses.loopback = Access::Allowed;
/// assert!(config.addresses.allows("127.0.0.1:5000".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressFilter {
    /// `127.0.0.0/8` and `::1`. Default: refused.
    pub loopback: Access,
    /// `169.254.0.0/16` and `fe80::/10`; they pair with link-local candidates of ours only. Default: refused.
    pub link_local: Access,
    /// Where clouds tell their instances secrets: `169.254.169.254`, `169.254.170.2`, `169.254.170.23`, `100.100.100.200`,
    /// `168.63.129.16`, `192.0.0.192`, `fd00:ec2::23`, `fd00:ec2::254`, `fd20:ce::254`. Whatever the kinds say that these belong to besides. Default: refused.
    pub metadata: Access,
    /// `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`, `100.64.0.0/10` (RFC 6598), `fc00::/7` and the deprecated
    /// `fec0::/10`. Default: allowed.
    pub private: Access,
}

impl Default for AddressFilter {
    fn default() -> Self {
        Self {
            loopback: Access::Refused,
            link_local: Access::Refused,
            metadata: Access::Refused,
            private: Access::Allowed,
        }
    }
}

/// Instance metadata services of clouds.
const METADATA: [IpAddr; 9] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

impl AddressFilter {
    /// Whether anything may be sent to this remote address: a candidate's, a request's source, that of a server which
    /// another server names (ALTERNATE-SERVER).
    pub fn allows(&self, address: SocketAddr) -> bool {
        address.port() != 0 && self.allows_ip(reached(canonical(address).ip()))
    }

    fn allows_ip(&self, ip: IpAddr) -> bool {
        let access = if is_no_host(ip) {
            Access::Refused
        } else if METADATA.contains(&ip) {
            self.metadata
        } else if ip.is_loopback() {
            self.loopback
        } else if is_link_local(ip) {
            self.link_local
        } else if is_private(ip) {
            self.private
        } else {
            Access::Allowed
        };
        access == Access::Allowed
    }
}

/// The IPv4 host behind an IPv6 address that only wraps it: NAT64 (RFC 6052 §2.1), 6to4 (RFC 3056 §2) and the deprecated
/// IPv4-compatible form.
fn reached(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    match v6.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, _] => ip,
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        // What networks choose for themselves (RFC 8215), with the longest prefix.
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0x2002, high, low, ..]
        | [0, 0, 0, 0, 0, 0, high, low] => {
            IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => ip,
    }
}

fn is_no_host(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    ip.is_unspecified() || ip.is_multicast() || broadcast
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_private() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.segments()[0] & 0xffc0 == 0xfec0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Switch = fn(&mut AddressFilter) -> &mut Access;

    const EVERYWHERE: [&str; 2] = ["198.51.100.1:9", "[2001:db8::1]:9"];
    const NOWHERE: [&str; 10] = [
        "0.0.0.0:9",
        "224.0.0.1:9",
        "239.255.255.255:9",
        "255.255.255.255:9",
        "198.51.100.1:0",
        "[::]:9",
        "[ff02::1]:9",
        "[::ffff:0.0.0.0]:9",
        "[::ffff:224.0.0.1]:9",
        "[64:ff9b::ffff:ffff]:9",
    ];
    const LOOPBACK: [&str; 7] = [
        "127.0.0.1:9",
        "127.255.255.254:9",
        "[::1]:9",
        "[::ffff:127.0.0.1]:9",
        "[64:ff9b::7f00:1]:9",
        "[2002:7f00:1::9]:9",
        "[::7f00:1]:9",
    ];
    const LINK_LOCAL: [&str; 4] = [
        "169.254.0.1:9",
        "169.254.169.253:9",
        "[fe80::1]:9",
        "[febf::1]:9",
    ];
    const METADATA: [&str; 14] = [
        "169.254.169.254:80",
        "169.254.170.2:80",
        "169.254.170.23:80",
        "[fd00:ec2::23]:80",
        "[64:ff9b:1:7::a9fe:a9fe]:80",
        "[fd00:ec2::254]:80",
        "[fd20:ce::254]:80",
        "[::ffff:169.254.169.254]:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[2002:a9fe:a9fe::1]:80",
        "[::a9fe:a9fe]:80",
        "100.100.100.200:80",
        "168.63.129.16:80",
        "192.0.0.192:80",
    ];
    const PRIVATE: [&str; 9] = [
        "10.0.0.1:9",
        "172.16.0.1:9",
        "172.31.255.1:9",
        "192.168.0.1:9",
        "100.64.0.1:9",
        "100.127.255.1:9",
        "[fc00::1]:9",
        "[fdff::1]:9",
        "[fec0::1]:9",
    ];
    /// Next door to the private ranges.
    const PUBLIC: [&str; 6] = [
        "9.255.255.255:9",
        "172.32.0.1:9",
        "100.63.255.1:9",
        "100.128.0.1:9",
        "[fe00::1]:9",
        "128.0.0.1:9",
    ];

    fn passes(filter: &AddressFilter, addresses: &[&str], expected: Access) {
        for address in addresses {
            let allowed = filter.allows(address.parse().unwrap());
            assert_eq!(allowed, expected == Access::Allowed, "{address}");
        }
    }

    // req: I58
    #[test]
    fn each_kind_of_address_has_its_own_switch_and_what_is_no_host_has_none() {
        let defaults = AddressFilter::default();
        passes(&defaults, &EVERYWHERE, Access::Allowed);
        passes(&defaults, &PUBLIC, Access::Allowed);
        passes(&defaults, &PRIVATE, Access::Allowed);
        passes(&defaults, &LOOPBACK, Access::Refused);
        passes(&defaults, &LINK_LOCAL, Access::Refused);
        passes(&defaults, &METADATA, Access::Refused);
        let kinds: [(&[&str], Switch); 4] = [
            (&LOOPBACK, |filter| &mut filter.loopback),
            (&LINK_LOCAL, |filter| &mut filter.link_local),
            (&METADATA, |filter| &mut filter.metadata),
            (&PRIVATE, |filter| &mut filter.private),
        ];
        for (kind, (_, switch)) in kinds.iter().enumerate() {
            let mut only = AddressFilter {
                loopback: Access::Refused,
                link_local: Access::Refused,
                metadata: Access::Refused,
                private: Access::Refused,
            };
            *switch(&mut only) = Access::Allowed;
            for (other, (addresses, _)) in kinds.iter().enumerate() {
                passes(
                    &only,
                    addresses,
                    if kind == other {
                        Access::Allowed
                    } else {
                        Access::Refused
                    },
                );
            }
            passes(&only, &NOWHERE, Access::Refused);
            passes(&only, &EVERYWHERE, Access::Allowed);
        }
    }
}
