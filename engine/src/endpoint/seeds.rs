//! Where an endpoint's secrets come from: the operating system, or one seed.

use super::{keyed::Keyed, names::Minter};
use crate::{ApiMisuse, Transport, TransportConfig, TransportOptions, entropy};
use floe_ice::{InvalidParameters, LocalParameters};
use floe_stun::RouteKey;
use std::fmt;
use zeroize::Zeroizing;

/// The source of secrets. Labelled streams: one more transport does not change the keys of the tables.
pub(super) struct Seeds {
    root: Zeroizing<[u8; 32]>,
    #[cfg(feature = "deterministic")]
    children: Option<u64>,
}

impl Seeds {
    pub(super) fn from_entropy() -> Self {
        let mut root = Zeroizing::new([0; 32]);
        entropy::fill(root.as_mut());
        Self {
            root,
            #[cfg(feature = "deterministic")]
            children: None,
        }
    }

    #[cfg(feature = "deterministic")]
    pub(super) fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            root: Zeroizing::new(seed),
            children: Some(0),
        }
    }

    pub(super) fn route_key(&self) -> RouteKey {
        RouteKey::from_bytes(self.draw(b"transaction tags"))
    }

    pub(super) fn hash_key(&self) -> Keyed {
        Keyed::new(self.draw(b"hash tables"))
    }

    pub(super) fn minter(&self) -> Minter {
        let key = RouteKey::from_bytes(self.draw(b"name tags"));
        let mut seed = [0; 32];
        for (half, label) in seed.chunks_exact_mut(16).zip([b"names 1", b"names 2"]) {
            half.copy_from_slice(&self.draw(label));
        }
        Minter::new(key, seed)
    }

    /// Credentials with a secret of their own.
    pub(super) fn parameters(
        &mut self,
        username_fragment: &str,
    ) -> Result<LocalParameters, InvalidParameters> {
        #[cfg(feature = "deterministic")]
        if let Some(label) = self.next_child() {
            return LocalParameters::with_seed(self.child(label), username_fragment);
        }
        LocalParameters::with_username_fragment(username_fragment)
    }

    /// A transport with secrets of its own.
    pub(super) fn transport(
        &mut self,
        config: &TransportConfig,
        options: TransportOptions,
    ) -> Result<Transport, ApiMisuse> {
        #[cfg(feature = "deterministic")]
        if let Some(label) = self.next_child() {
            return Transport::with_seed(self.child(label), config, options);
        }
        Transport::new(config, options)
    }

    #[cfg(feature = "deterministic")]
    fn next_child(&mut self) -> Option<u64> {
        let count = self.children.as_mut()?;
        *count += 1;
        Some(*count)
    }

    #[cfg(feature = "deterministic")]
    fn child(&self, number: u64) -> [u8; 32] {
        let mut seed = [0; 32];
        for (half, place) in seed.chunks_exact_mut(16).zip(0u8..) {
            let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
            half.copy_from_slice(&self.draw(&[b't', place, a, b, c, d, e, f, g, h]));
        }
        seed
    }

    /// SipHash-2-4 with 128 bits of output, a pseudorandom function, keyed by one half of the root over the other and the label.
    fn draw(&self, label: &[u8]) -> [u8; 16] {
        use siphasher::sip128::SipHasher24;
        let (key, rest) = self.root.split_at(16);
        let key = key.try_into().expect("half of 32 bytes is 16 bytes");
        let input = [rest, label].concat();
        SipHasher24::new_with_key(key).hash(&input).as_bytes()
    }
}

impl fmt::Debug for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seeds(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: I62 I63
    #[test]
    fn streams_differ_repeat_with_the_seed_and_are_not_printed() {
        let seeds = Seeds::from_seed([7; 32]);
        assert_ne!(seeds.draw(b"one"), seeds.draw(b"two"));
        assert_ne!(seeds.child(1), seeds.child(2));
        assert_eq!(seeds.child(1), Seeds::from_seed([7; 32]).child(1));
        assert_ne!(seeds.child(1), Seeds::from_seed([8; 32]).child(1));
        let (upper, lower) = ([[7; 16], [8; 16]].concat(), [[7; 16], [9; 16]].concat());
        let of = |seed: Vec<u8>| Seeds::from_seed(seed.try_into().unwrap()).draw(b"one");
        assert_ne!(of(upper), of(lower), "both halves count");
        assert_eq!(format!("{seeds:?}"), "Seeds(..)");
    }

    // req: I62
    #[test]
    fn entropy_makes_every_endpoint_its_own() {
        let draw = || Seeds::from_entropy().draw(b"one");
        assert_ne!(draw(), draw());
    }
}
