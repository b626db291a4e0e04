//! Username fragments that say whose they are, to those who have the key (I60).
//!
//! A balancer in front of several servers, or a thread in front of several endpoints, sees a check before anybody knows its
//! 5-tuple; the username fragment in it is all there is to go by. As in QUIC-LB's connection ids, the number of the server is
//! put beside random bits and all of it under a keyed permutation, so that nobody else can read it, or tell two fragments of
//! one server from two of different ones.
//!
//! ```text
//!   64 random bits ─┐
//!   32 bits: number ├─► four Feistel rounds of SipHash-2-4 ─► 22 ice-chars, behind 1 that names the key
//!   32 zero bits   ─┘                                         = 23 of at most 32 characters
//! ```
//!
//! The zero bits come back as zeros from what was minted here, and from a forgery once in 2³² times: a forged fragment is one
//! counted miss. What comes back is a hint all the same. Whoever is found by it still checks the MAC; the password has
//! nothing to do with any of this.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use siphasher::sip::SipHasher24;
use zeroize::Zeroizing;

use crate::parameters::ICE_CHARS;

/// Characters of a fragment: the key's, and 132 bits for a block of 128.
const LENGTH: usize = 23;
const ROUNDS: [u8; 4] = [0, 1, 2, 3];

/// Mints and reads username fragments with a server's number in them. Shared as `Arc` between the agents that mint, through
/// [`Config::username_fragments`](crate::Config::username_fragments), and whoever routes.
///
/// ```
/// use std::sync::Arc;
/// use floe_ice::{Agent, Config, Initiation, Mode, RoutableUfrag, UsernameFragments};
///
/// let routable = Arc::new(RoutableUfrag::new([7; 16])); // of 16 random bytes that all servers have
/// let mut config = Config::default();
/// config.username_fragments = UsernameFragments::Routable { routable: routable.clone(), number: 42 };
///
/// let agent = Agent::new(Arc::new(config), Mode::Lite, Initiation::Responding, None);
/// let fragment = agent.local_parameters().username_fragment();
/// assert_eq!(routable.route(fragment), Some(42));
/// assert_eq!((routable.route("somebody/elses+fragment"), routable.misses()), (None, 1));
/// ```
pub struct RoutableUfrag {
    keys: RwLock<Keys>,
    misses: AtomicU64,
}

struct Keys {
    current: Key,
    /// What was minted under it is still read.
    previous: Option<Key>,
}

struct Key {
    /// Counts the keys, modulo 64: which one a fragment was minted under.
    phase: u8,
    rounds: [Zeroizing<[u8; 16]>; ROUNDS.len()],
}

impl RoutableUfrag {
    /// Under this key, which is the first. It has to be random, and the same for all who mint and read.
    pub fn new(key: [u8; 16]) -> Self {
        Self {
            keys: RwLock::new(Keys {
                current: Key::new(0, key),
                previous: None,
            }),
            misses: AtomicU64::new(0),
        }
    }

    /// Mints under another key from now on. Fragments of the key before are still read, those of the one before that no more:
    /// two rotations are to be further apart than a session is long, or its next restart.
    pub fn rotate(&self, key: [u8; 16]) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let phase = (keys.current.phase + 1) % 64;
        let before = std::mem::replace(&mut keys.current, Key::new(phase, key));
        keys.previous = Some(before);
    }

    /// The number in a fragment: a hint where to look. `None`, counted as a [miss](Self::misses), for one that was not minted
    /// under the current key or the one before.
    pub fn route(&self, username_fragment: &str) -> Option<u32> {
        let number = self.read(username_fragment.as_bytes());
        if number.is_none() {
            self.misses.fetch_add(1, Ordering::Relaxed);
        }
        number
    }

    /// How many fragments could not be read: forged, of a key long gone, or never routable.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// A new fragment for the server of this number. `random` are 64 bits that nobody can guess.
    pub(crate) fn mint(&self, number: u32, random: u64) -> String {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let block = (random, u64::from(number) << 32);
        keys.current.write(keys.current.permute(block))
    }

    fn read(&self, fragment: &[u8]) -> Option<u32> {
        let fragment: &[u8; LENGTH] = fragment.try_into().ok()?;
        let (phase, block) = fragment.split_first()?;
        let phase = value_of(*phase)?;
        let mut bits = 0u128;
        for (place, character) in block.iter().enumerate() {
            let six = u128::from(value_of(*character)?);
            // The last character has two bits of the block; the others are zero.
            if place == block.len() - 1 && six > 3 {
                return None;
            }
            bits |= six << (6 * place);
        }
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = std::iter::once(&keys.current)
            .chain(&keys.previous)
            .find(|key| key.phase == phase)?;
        let (_, plain) = key.invert(((bits >> 64) as u64, bits as u64));
        (plain as u32 == 0).then_some((plain >> 32) as u32)
    }
}

impl Key {
    fn new(phase: u8, key: [u8; 16]) -> Self {
        let root = Zeroizing::new(key);
        let rounds = ROUNDS.map(|round| {
            let mut of_round = Zeroizing::new([0; 16]);
            for (half, side) in of_round.chunks_exact_mut(8).zip([0, 1]) {
                half.copy_from_slice(&prf(&root, &[b'r', round, side]).to_be_bytes());
            }
            of_round
        });
        Self { phase, rounds }
    }

    /// Luby and Rackoff: four rounds of a pseudorandom function are a strong pseudorandom permutation.
    fn permute(&self, block: (u64, u64)) -> (u64, u64) {
        let round = |(left, right): (u64, u64), key: &Zeroizing<_>| {
            (right, left ^ prf(key, &right.to_be_bytes()))
        };
        self.rounds.iter().fold(block, round)
    }

    /// A permuted block as a fragment.
    fn write(&self, (left, right): (u64, u64)) -> String {
        let block = u128::from(left) << 64 | u128::from(right);
        let characters = std::iter::once(self.phase)
            .chain((0..LENGTH - 1).map(|place| (block >> (6 * place)) as u8 & 63));
        characters
            .map(|six| char::from(ICE_CHARS[usize::from(six)]))
            .collect()
    }

    fn invert(&self, block: (u64, u64)) -> (u64, u64) {
        let round = |(left, right): (u64, u64), key: &Zeroizing<_>| {
            (right ^ prf(key, &left.to_be_bytes()), left)
        };
        self.rounds.iter().rev().fold(block, round)
    }
}

fn prf(key: &[u8; 16], input: &[u8]) -> u64 {
    SipHasher24::new_with_key(key).hash(input)
}

fn value_of(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

impl fmt::Debug for RoutableUfrag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutableUfrag")
            .field("misses", &self.misses())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn routable() -> RoutableUfrag {
        RoutableUfrag::new([7; 16])
    }

    // req: I60
    #[test]
    fn every_number_comes_back_from_a_fragment_of_ice_chars() {
        let routable = routable();
        for (number, random) in [(0, 0), (1, u64::MAX), (u32::MAX, 0), (0xDEAD_BEEF, 77)] {
            let fragment = routable.mint(number, random);
            assert!(fragment.len() == LENGTH && fragment.len() <= 32);
            assert!(fragment.bytes().all(|byte| ICE_CHARS.contains(&byte)));
            assert_eq!(routable.route(&fragment), Some(number));
        }
        assert_eq!(routable.misses(), 0);
    }

    // req: I60
    #[test]
    fn all_64_random_bits_count() {
        let routable = routable();
        let fragments: HashSet<String> = (0..64).map(|bit| routable.mint(5, 1 << bit)).collect();
        assert_eq!(fragments.len(), 64);
    }

    // req: I60
    #[test]
    fn a_forgery_is_one_counted_miss() {
        let routable = routable();
        let minted = routable.mint(5, 0x0123_4567_89ab_cdef);
        let mut forgeries: Vec<String> = Vec::new();
        // Each character changed, another length, no ice-char, nothing.
        for place in 0..LENGTH {
            let mut bytes = minted.clone().into_bytes();
            bytes[place] = if bytes[place] == b'C' { b'D' } else { b'C' };
            forgeries.push(String::from_utf8(bytes).unwrap());
        }
        forgeries.push(format!("{minted}A"));
        forgeries.push(minted[..LENGTH - 1].to_owned());
        forgeries.push(minted.replacen(|_| true, "=", 1));
        forgeries.push(String::new());
        forgeries.push("A".repeat(LENGTH));
        for (count, forged) in forgeries.iter().enumerate() {
            assert_eq!(routable.route(forged), None, "{forged}");
            assert_eq!(routable.misses(), count as u64 + 1);
        }
        assert_eq!(routable.route(&minted), Some(5));
    }

    /// A block as a fragment under the current key.
    fn written(routable: &RoutableUfrag, (left, right): (u64, u64)) -> String {
        let keys = routable.keys.read().unwrap();
        keys.current.write(keys.current.permute((left, right)))
    }

    // req: I60
    #[test]
    fn each_of_the_32_zero_bits_and_of_the_4_unused_ones_is_looked_at() {
        let routable = routable();
        let good = written(&routable, (77, 5 << 32));
        assert_eq!(routable.route(&good), Some(5));
        for bit in 0..32 {
            let forged = written(&routable, (77, 5 << 32 | 1 << bit));
            assert_eq!(routable.route(&forged), None, "bit {bit}");
        }
        // The last character carries two bits of the block.
        let (front, last) = good.split_at(LENGTH - 1);
        let value = value_of(last.as_bytes()[0]).unwrap();
        for more in (4..64).step_by(4) {
            let other = char::from(ICE_CHARS[usize::from(value + more)]);
            assert_eq!(routable.route(&format!("{front}{other}")), None, "{other}");
        }
        assert_eq!(routable.misses(), 32 + 15);
    }

    // req: I60
    #[test]
    fn fragments_of_one_server_have_nothing_in_common() {
        let routable = routable();
        let minted: HashSet<String> = (0..2000).map(|n| routable.mint(3, n)).collect();
        assert_eq!(minted.len(), 2000);
        // Of each character that carries six bits every value occurs, about as often as any other.
        for place in 1..LENGTH - 1 {
            let mut counts = [0u32; 64];
            for fragment in &minted {
                let value = value_of(fragment.as_bytes()[place]).unwrap();
                counts[usize::from(value)] += 1;
            }
            assert!(
                counts.iter().all(|count| (5..80).contains(count)),
                "{place}: {counts:?}"
            );
        }
    }

    // req: I60
    #[test]
    fn a_rotated_key_is_read_until_the_next_rotation() {
        let routable = routable();
        let first = routable.mint(1, 10);
        routable.rotate([8; 16]);
        let second = routable.mint(2, 20);
        assert_eq!(routable.route(&first), Some(1));
        assert_eq!(routable.route(&second), Some(2));
        routable.rotate([9; 16]);
        let third = routable.mint(3, 30);
        assert_eq!(routable.route(&first), None);
        assert_eq!(routable.route(&second), Some(2));
        assert_eq!(routable.route(&third), Some(3));
        assert_eq!(routable.misses(), 1);
        // Another key reads none of it.
        let stranger = RoutableUfrag::new([10; 16]);
        stranger.rotate([11; 16]);
        stranger.rotate([12; 16]);
        assert_eq!(stranger.route(&third), None);
        // The phase comes round after 64.
        for byte in 0..200 {
            routable.rotate([byte; 16]);
            let fragment = routable.mint(4, 40);
            assert_eq!(routable.route(&fragment), Some(4));
        }
    }

    // req: I60 I63
    #[test]
    fn no_key_is_printed() {
        let printed = format!("{:?}", RoutableUfrag::new([0xAB; 16]));
        assert_eq!(printed, "RoutableUfrag { misses: 0, .. }");
    }
}
