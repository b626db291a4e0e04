//! A path as it is kept: 16 bytes for IPv4, which most are; one pointer for the rest.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;

use crate::address::{FiveTuple, Protocol};

/// A [`FiveTuple`] in a quarter of its room, with a mark of up to two bytes that takes none. Clones share a long one.
#[derive(Clone, Debug)]
pub enum Packed<M = ()> {
    V4 {
        mark: M,
        protocol: Protocol,
        local: SocketAddrV4,
        remote: SocketAddrV4,
    },
    Other {
        mark: M,
        path: Arc<FiveTuple>,
    },
}

impl<M: Copy> Packed<M> {
    pub fn new(path: FiveTuple, mark: M) -> Self {
        match (path.local, path.remote) {
            (SocketAddr::V4(local), SocketAddr::V4(remote)) => Self::V4 {
                mark,
                protocol: path.protocol,
                local,
                remote,
            },
            _ => Self::Other {
                mark,
                path: Arc::new(path),
            },
        }
    }

    pub fn mark(&self) -> M {
        match self {
            Self::V4 { mark, .. } | Self::Other { mark, .. } => *mark,
        }
    }

    pub fn mark_mut(&mut self) -> &mut M {
        match self {
            Self::V4 { mark, .. } | Self::Other { mark, .. } => mark,
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
            Self::Other { path, .. } => **path,
        }
    }

    /// Their end.
    #[inline]
    pub(crate) fn remote(&self) -> SocketAddr {
        match self {
            Self::V4 { remote, .. } => SocketAddr::V4(*remote),
            Self::Other { path, .. } => path.remote,
        }
    }

    /// Takes another path, in the same place on the heap if it has one of its own.
    pub fn set(&mut self, path: FiveTuple) {
        if let Self::Other { path: place, .. } = self
            && !path.is_plain()
        {
            if **place != path {
                match Arc::get_mut(place) {
                    Some(place) => *place = path,
                    None => *place = Arc::new(path),
                }
            }
            return;
        }
        *self = Self::new(path, self.mark());
    }

    /// If the two are the same long path, they are in one place from now on.
    pub fn share<N>(&mut self, with: &Packed<N>) {
        if let (Self::Other { path, .. }, Packed::Other { path: other, .. }) = (self, with)
            && path == other
        {
            *path = other.clone();
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
            Self::Other { path: other, .. } => **other == *path,
        }
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

impl PartialEq<SocketAddr> for PackedAddress {
    fn eq(&self, address: &SocketAddr) -> bool {
        self.unpack() == *address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_is_small() {
        assert_eq!(size_of::<Option<Packed>>(), 16);
        assert_eq!(size_of::<Option<Packed<(bool, Option<bool>)>>>(), 16);
        let text = [
            "192.0.2.1:1",
            "192.0.2.1:2",
            "192.0.2.2:1",
            "[2001:db8::1]:1",
        ];
        let addresses = text.map(|text| text.parse::<SocketAddr>().unwrap());
        assert_eq!(size_of::<PackedAddress>(), 16);
        for address in addresses {
            assert_eq!(PackedAddress::from(address).unpack(), address);
        }
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
            place.set(*one);
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
        let allocated = allocation_counter::measure(|| place.set(path(2)));
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
        one.set(path(2));
        assert_eq!((one.unpack(), other.unpack()), (path(2), path(1)));
        assert!(other.mark());
        other.share(&one);
        assert_eq!(other.unpack(), path(1));
    }
}
