//! Hashes that an attacker cannot aim: SipHash-1-3 under keys drawn with the endpoint's seed.
//!
//! Peers choose addresses, ports and username fragments; with a known hash they could put all of theirs into one bucket.

use floe_ice::{FiveTuple, Protocol};
use siphasher::sip::SipHasher13;
use std::{collections::HashMap, fmt, hash::BuildHasher, net::SocketAddr};

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

    /// Of a path with canonical addresses. In one piece, which takes half the time of hashing it field by field.
    pub(crate) fn hash_path(&self, path: &FiveTuple) -> u64 {
        let mut bytes = [0; 2 * END + 1];
        bytes[0] = u8::from(path.protocol == Protocol::Tcp) | u8::from(path.local.is_ipv6()) << 1;
        let mut len = 1;
        for end in [path.local, path.remote] {
            len += write_end(&mut bytes[len..], end);
        }
        self.hash(&bytes[..len])
    }
}

/// The most bytes that one end takes.
const END: usize = 16 + 2 + 4;

/// The first byte of all and the length of all tell the families apart.
fn write_end(bytes: &mut [u8], end: SocketAddr) -> usize {
    let port = end.port().to_be_bytes();
    match end {
        SocketAddr::V4(v4) => {
            bytes[..4].copy_from_slice(&v4.ip().octets());
            bytes[4..6].copy_from_slice(&port);
            6
        }
        SocketAddr::V6(v6) => {
            bytes[..16].copy_from_slice(&v6.ip().octets());
            bytes[16..18].copy_from_slice(&port);
            bytes[18..22].copy_from_slice(&v6.scope_id().to_be_bytes());
            22
        }
    }
}

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

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
