//! Hashes that an attacker cannot aim: SipHash-1-3 under keys drawn with the endpoint's seed.
//!
//! Peers choose addresses, ports and username fragments; with a known hash they could put all of theirs into one bucket.

use floe_ice::{FiveTuple, Protocol};
use siphasher::sip::SipHasher13;
use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, Hasher as _},
    net::SocketAddr,
};

pub(super) type KeyedMap<K, V> = HashMap<K, V, Keyed>;

/// The keys.
#[derive(Clone)]
pub(crate) struct Keyed(u64, u64);

impl Keyed {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        let number = u128::from_le_bytes(key);
        Self(number as u64, (number >> 64) as u64)
    }

    pub(super) fn hash(&self, bytes: &[u8]) -> u64 {
        self.build_hasher().hash(bytes)
    }

    /// Of a path with canonical addresses, in which no IPv6 address is one that maps an IPv4 address. All lengths are known where
    /// this is compiled, which spares half the time.
    #[inline]
    pub(crate) fn hash_path(&self, path: &FiveTuple) -> u64 {
        match (path.local, path.remote) {
            (SocketAddr::V4(local), SocketAddr::V4(remote)) => {
                let mut hasher = self.build_hasher();
                hasher.write_u32(local.ip().to_bits());
                hasher.write_u32(remote.ip().to_bits());
                hasher.write_u16(local.port());
                hasher.write_u16(remote.port());
                hasher.write_u8(path.protocol as u8);
                hasher.finish()
            }
            ends => self.hash_ends(ends, path.protocol),
        }
    }

    /// Longer than what is written of two IPv4 addresses, so that it is never the same.
    fn hash_ends(&self, (local, remote): (SocketAddr, SocketAddr), protocol: Protocol) -> u64 {
        let mut hasher = self.build_hasher();
        for end in [local, remote] {
            let (ip, zone) = match end {
                SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
                SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
            };
            hasher.write(&ip.octets());
            hasher.write_u32(zone);
            hasher.write_u16(end.port());
        }
        hasher.write_u8(protocol as u8);
        hasher.finish()
    }
}

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    #[inline]
    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    // req: I63
    #[test]
    fn keys_matter_and_are_not_printed() {
        let (one, two) = (Keyed::new([1; 16]), Keyed::new([2; 16]));
        assert_ne!(one.hash(b"ufrag"), two.hash(b"ufrag"));
        assert_eq!(one.hash(b"ufrag"), one.clone().hash(b"ufrag"));
        assert_eq!(format!("{one:?}"), "Keyed(..)");
    }

    #[test]
    fn all_of_a_path_matters() {
        let ends = ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"];
        let six = ["[2001:db8::1]:1", "[fe80::1%1]:1", "[fe80::1%2]:1"];
        let ends: Vec<SocketAddr> = ends
            .iter()
            .chain(&six)
            .map(|end| end.parse().unwrap())
            .collect();
        let keyed = Keyed::new([1; 16]);
        let mut hashes = HashSet::new();
        for (local, remote) in ends.iter().flat_map(|a| ends.iter().map(move |b| (*a, *b))) {
            for protocol in [Protocol::Udp, Protocol::Tcp] {
                let path = FiveTuple {
                    protocol,
                    local,
                    remote,
                };
                hashes.insert(keyed.hash_path(&path));
            }
        }
        assert_eq!(hashes.len(), 2 * 6 * 6);
    }
}
