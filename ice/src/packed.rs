//! Paths and addresses as they are kept: 16 bytes, all in place for IPv4. A path over IPv6 takes 36 bytes more, once, for all
//! who share it.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;

use crate::address::{FiveTuple, Protocol, both};

/// A [`FiveTuple`] in a quarter of its room, with a mark of up to two bytes that takes none. Clones share a long one.
#[derive(Clone, Debug)]
pub enum Packed<M = ()> {
    V4 {
        mark: M,
        protocol: Protocol,
        local: SocketAddrV4,
        remote: SocketAddrV4,
    },
    V6 {
        mark: M,
        protocol: Protocol,
        ends: Arc<EndsV6>,
    },
    /// With a zone, or of two families.
    Other { mark: M, path: Arc<FiveTuple> },
}

/// Two IPv6 addresses with their ports, and neither zone nor flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndsV6 {
    local: EndV6,
    remote: EndV6,
}

type EndV6 = (Ipv6Addr, u16);

impl EndsV6 {
    fn of(path: &FiveTuple) -> Option<Self> {
        Some(Self {
            local: end_v6(path.local)?,
            remote: end_v6(path.remote)?,
        })
    }

    #[inline]
    fn are_of(&self, path: &FiveTuple) -> bool {
        is_end(&self.remote, path.remote) && is_end(&self.local, path.local)
    }

    fn unpack(&self, protocol: Protocol) -> FiveTuple {
        FiveTuple {
            protocol,
            local: self.local.into(),
            remote: self.remote.into(),
        }
    }
}

fn end_v6(address: SocketAddr) -> Option<EndV6> {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() == 0 && v6.flowinfo() == 0 => {
            Some((*v6.ip(), v6.port()))
        }
        _ => None,
    }
}

#[inline]
fn is_end(end: &EndV6, address: SocketAddr) -> bool {
    end_v6(address).is_some_and(|address| *end == address)
}

/// Puts `value` where the old one is, unless somebody else has that too.
fn replace<T: PartialEq>(place: &mut Arc<T>, value: T) {
    if **place == value {
        return;
    }
    match Arc::get_mut(place) {
        Some(place) => *place = value,
        None => *place = Arc::new(value),
    }
}

/// If the two are alike, they are in one place from now on.
fn merge<T: PartialEq>(one: &mut Arc<T>, other: &Arc<T>) {
    if one == other {
        *one = other.clone();
    }
}

impl<M: Copy> Packed<M> {
    pub fn new(path: FiveTuple, mark: M) -> Self {
        let protocol = path.protocol;
        if let (SocketAddr::V4(local), SocketAddr::V4(remote)) = (path.local, path.remote) {
            return Self::V4 {
                mark,
                protocol,
                local,
                remote,
            };
        }
        match EndsV6::of(&path).map(Arc::new) {
            Some(ends) => Self::V6 {
                mark,
                protocol,
                ends,
            },
            None => Self::Other {
                mark,
                path: Arc::new(path),
            },
        }
    }

    pub fn mark(&self) -> M {
        match self {
            Self::V4 { mark, .. } | Self::V6 { mark, .. } | Self::Other { mark, .. } => *mark,
        }
    }

    pub fn mark_mut(&mut self) -> &mut M {
        match self {
            Self::V4 { mark, .. } | Self::V6 { mark, .. } | Self::Other { mark, .. } => mark,
        }
    }

    #[inline]
    pub fn unpack(&self) -> FiveTuple {
        match self {
            Self::V4 {
                protocol,
                local,
                remote,
                ..
            } => FiveTuple {
                protocol: *protocol,
                local: SocketAddr::V4(*local),
                remote: SocketAddr::V4(*remote),
            },
            Self::V6 { protocol, ends, .. } => ends.unpack(*protocol),
            Self::Other { path, .. } => **path,
        }
    }

    /// The [`ports`](FiveTuple::ports) of the path.
    #[inline]
    pub(crate) fn ports(&self) -> u32 {
        match self {
            Self::V4 { local, remote, .. } => both(local.port(), remote.port()),
            Self::V6 { ends, .. } => both(ends.local.1, ends.remote.1),
            Self::Other { path, .. } => path.ports(),
        }
    }

    /// Their end.
    #[inline]
    pub(crate) fn remote(&self) -> SocketAddr {
        match self {
            Self::V4 { remote, .. } => SocketAddr::V4(*remote),
            Self::V6 { ends, .. } => ends.remote.into(),
            Self::Other { path, .. } => path.remote,
        }
    }

    /// Takes another path, in the same place on the heap if it has one of its own.
    #[inline]
    pub fn set(&mut self, path: &FiveTuple) {
        if *self != *path {
            self.replace(*path);
        }
    }

    fn replace(&mut self, path: FiveTuple) {
        match (&mut *self, EndsV6::of(&path)) {
            (Self::V6 { protocol, ends, .. }, Some(new)) => {
                *protocol = path.protocol;
                replace(ends, new);
            }
            (Self::Other { path: place, .. }, None) if !path.is_plain() => replace(place, path),
            _ => *self = Self::new(path, self.mark()),
        }
    }

    /// Whether [`set`](Self::set) would neither ask for another place on the heap nor give one back.
    pub(crate) fn has_room_for(&self, path: &FiveTuple) -> bool {
        match (self, EndsV6::of(path)) {
            (Self::V4 { .. }, None) => path.local.is_ipv4() && path.remote.is_ipv4(),
            (Self::V6 { ends, .. }, Some(new)) => **ends == new || Arc::strong_count(ends) == 1,
            (Self::Other { path: place, .. }, None) if !path.is_plain() => {
                **place == *path || Arc::strong_count(place) == 1
            }
            _ => false,
        }
    }

    /// If the two are the same long path, they are in one place from now on.
    pub fn share<N>(&mut self, with: &Packed<N>) {
        match (self, with) {
            (Self::V6 { ends, .. }, Packed::V6 { ends: other, .. }) => merge(ends, other),
            (Self::Other { path, .. }, Packed::Other { path: other, .. }) => merge(path, other),
            _ => {}
        }
    }
}

impl From<FiveTuple> for Packed {
    fn from(path: FiveTuple) -> Self {
        Self::new(path, ())
    }
}

/// The same path, whatever the marks.
impl<M> PartialEq for Packed<M> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::V4 {
                    protocol,
                    local,
                    remote,
                    ..
                },
                Self::V4 {
                    protocol: its_protocol,
                    local: its_local,
                    remote: its_remote,
                    ..
                },
            ) => (remote, local, protocol) == (its_remote, its_local, its_protocol),
            (
                Self::V6 { protocol, ends, .. },
                Self::V6 {
                    protocol: its_protocol,
                    ends: its_ends,
                    ..
                },
            ) => (ends, protocol) == (its_ends, its_protocol),
            (Self::Other { path, .. }, Self::Other { path: its, .. }) => path == its,
            _ => false,
        }
    }
}

impl<M> PartialEq<FiveTuple> for Packed<M> {
    #[inline]
    fn eq(&self, path: &FiveTuple) -> bool {
        match self {
            Self::V4 {
                protocol,
                local,
                remote,
                ..
            } => {
                path.local == SocketAddr::V4(*local)
                    && path.remote == SocketAddr::V4(*remote)
                    && path.protocol == *protocol
            }
            Self::V6 { protocol, ends, .. } => ends.are_of(path) && path.protocol == *protocol,
            Self::Other { path: other, .. } => **other == *path,
        }
    }
}

/// The far end of a path in half of its room, with a mark of up to five bytes that takes none. Over IPv6 it is kept as part of a
/// path, whose place it shares with all that keep that path.
#[derive(Clone, Debug)]
pub(crate) enum FarEnd<M> {
    V4 { mark: M, address: SocketAddrV4 },
    V6 { mark: M, ends: Arc<EndsV6> },
    Zoned { mark: M, address: Box<SocketAddrV6> },
}

impl<M: Copy> FarEnd<M> {
    pub(crate) fn new(address: SocketAddr, mark: M) -> Self {
        let local = (Ipv6Addr::UNSPECIFIED, 0);
        match (address, end_v6(address)) {
            (SocketAddr::V4(address), _) => Self::V4 { mark, address },
            (_, Some(remote)) => Self::V6 {
                mark,
                ends: Arc::new(EndsV6 { local, remote }),
            },
            (SocketAddr::V6(address), None) => Self::Zoned {
                mark,
                address: Box::new(address),
            },
        }
    }

    pub(crate) fn mark(&self) -> M {
        match self {
            Self::V4 { mark, .. } | Self::V6 { mark, .. } | Self::Zoned { mark, .. } => *mark,
        }
    }

    pub(crate) fn unpack(&self) -> SocketAddr {
        match self {
            Self::V4 { address, .. } => SocketAddr::V4(*address),
            Self::V6 { ends, .. } => ends.remote.into(),
            Self::Zoned { address, .. } => SocketAddr::V6(**address),
        }
    }

    /// If it is the end of this path, it is in its place from now on.
    pub(crate) fn share<N>(&mut self, with: &Packed<N>) {
        if let (Self::V6 { ends, .. }, Packed::V6 { ends: path, .. }) = (self, with)
            && ends.remote == path.remote
        {
            *ends = path.clone();
        }
    }
}

impl<M: Copy> PartialEq<SocketAddr> for FarEnd<M> {
    fn eq(&self, address: &SocketAddr) -> bool {
        self.unpack() == *address
    }
}

/// A [`SocketAddr`] in half of its room.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PackedAddress {
    V4(SocketAddrV4),
    V6(Box<SocketAddrV6>),
}

impl PackedAddress {
    pub(crate) fn unpack(&self) -> SocketAddr {
        match self {
            Self::V4(v4) => SocketAddr::V4(*v4),
            Self::V6(v6) => SocketAddr::V6(**v6),
        }
    }
}

impl From<SocketAddr> for PackedAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(v4),
            SocketAddr::V6(v6) => Self::V6(Box::new(v6)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: I41
    #[test]
    fn there_is_room_where_setting_takes_no_other_place() {
        let path = |local: &str, remote: &str| {
            FiveTuple::udp(local.parse().unwrap(), remote.parse().unwrap())
        };
        let v4 = path("192.0.2.1:1", "192.0.2.2:2");
        let v6 = path("[2001:db8::1]:1", "[2001:db8::2]:2");
        let other_v6 = path("[2001:db8::1]:1", "[2001:db8::3]:3");
        let zoned = path("[fe80::1%1]:1", "[fe80::2%1]:2");
        let other_zoned = path("[fe80::1%1]:1", "[fe80::3%1]:3");
        let all = [v4, v6, other_v6, zoned, other_zoned];
        for (place, alone, shared) in [
            (v4, vec![v4], vec![v4]),
            (v6, vec![v6, other_v6], vec![v6]),
            (zoned, vec![zoned, other_zoned], vec![zoned]),
        ] {
            let place: Packed = place.into();
            let fitting = |place: &Packed| {
                let fits = |path: &FiveTuple| place.has_room_for(path);
                all.into_iter().filter(fits).collect::<Vec<_>>()
            };
            assert_eq!(fitting(&place), alone);
            let _shares = place.clone();
            assert_eq!(fitting(&place), shared);
        }
    }

    #[test]
    fn what_is_packed_comes_back_and_is_small() {
        assert_eq!(size_of::<Option<Packed>>(), 16);
        assert_eq!(size_of::<Option<Packed<(bool, Option<bool>)>>>(), 16);
        let text = [
            "192.0.2.1:1",
            "192.0.2.1:2",
            "192.0.2.2:1",
            "[2001:db8::1]:1",
            "[2001:db8::1]:2",
            "[fe80::1%3]:1",
        ];
        let addresses = text.map(|text| text.parse::<SocketAddr>().unwrap());
        assert_eq!(size_of::<PackedAddress>(), 16);
        for address in addresses {
            assert_eq!(PackedAddress::from(address).unpack(), address);
            let end = FarEnd::new(address, [7_u8; 5]);
            assert_eq!((end.unpack(), end.mark()), (address, [7; 5]));
            assert!(
                addresses
                    .iter()
                    .all(|other| (end == *other) == (address == *other))
            );
        }
        assert_eq!(size_of::<FarEnd<[u8; 5]>>(), 16);
        assert_eq!(size_of::<EndsV6>(), 36);
        let mut paths = Vec::new();
        for protocol in [Protocol::Udp, Protocol::Tcp] {
            for local in addresses {
                paths.extend(addresses.map(|remote| FiveTuple {
                    protocol,
                    local,
                    remote,
                }));
            }
        }
        let mut place = Packed::from(paths[0]);
        for one in &paths {
            place.set(one);
            assert_eq!(place.ports(), one.ports());
            assert_eq!((place.unpack(), Packed::from(*one).unpack()), (*one, *one));
            for other in &paths {
                assert_eq!(place == *other, one == other);
            }
        }
    }

    #[test]
    fn a_place_for_a_long_path_is_used_again() {
        let path = |port| {
            let end = |n| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], port));
            FiveTuple::udp(end(1), end(2))
        };
        let mut place = Packed::from(path(1));
        let allocated = allocation_counter::measure(|| place.set(&path(2)));
        assert_eq!((allocated.count_total, place.unpack()), (0, path(2)));
    }

    #[test]
    fn one_place_for_two_is_left_by_who_changes() {
        let path = |port| {
            let end = |n| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], port));
            FiveTuple::udp(end(1), end(2))
        };
        let mut one = Packed::from(path(1));
        let mut other = Packed::new(path(1), true);
        let held = allocation_counter::measure(|| other.share(&one));
        assert_eq!(held.count_current, -1);
        let mut end = FarEnd::new(path(1).remote, ());
        let held = allocation_counter::measure(|| end.share(&one));
        assert_eq!((held.count_current, end.unpack()), (-1, path(1).remote));
        let mut elsewhere = FarEnd::new(path(2).remote, ());
        let held = allocation_counter::measure(|| elsewhere.share(&one));
        assert_eq!(
            (held.count_current, elsewhere.unpack()),
            (0, path(2).remote)
        );
        one.set(&path(2));
        assert_eq!((one.unpack(), other.unpack()), (path(2), path(1)));
        assert_eq!(end.unpack(), path(1).remote);
        assert!(other.mark());
        other.share(&one);
        assert_eq!(other.unpack(), path(1));
    }
}
