//! Which checks a lite agent has heard lately, and from where (I55).
//!
//! A lite agent checks nothing itself, so a check that somebody recorded and sends from elsewhere would move its path: a transaction
//! id counts for the source that it first came from. A million agents remember 32 each, so they keep hashes, and each source once.
//! Two ids look alike once in 65 536: of the first requests from a new source one in two thousand is taken for a repeated one, and
//! the next counts. What is repeated is never taken for new.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;

use floe_stun::TransactionId;
use siphasher::sip::SipHasher13;

use crate::few::Few;

/// A bit for each in a word.
const MAX_HEARD: usize = u32::BITS as usize;

#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Hashes of transaction ids, the latest first.
    ids: [u16; MAX_HEARD],
    /// Almost always one.
    sources: Few<Source>,
}

#[derive(Debug)]
struct Source {
    /// 64 bits, in halves so that they align with the rest.
    hash: [u32; 2],
    /// A bit for each of the ids that came from there first, the lowest for the latest.
    ids: u32,
}

impl Heard {
    /// Whether this request came from another source before. Remembers it if it is new. The hashes are keyed with our password:
    /// nobody but who needs no replay can look for ids or sources that are taken for one another.
    pub(crate) fn is_replayed(
        &mut self,
        password: &str,
        id: TransactionId,
        source: SocketAddr,
    ) -> bool {
        let key = key_of(password);
        let (id, source) = (hash(key, &id) as u16, hash(key, &source));
        let source = [(source >> 32) as u32, source as u32];
        let alike = self.places_of(id);
        let mut before = self
            .sources
            .iter()
            .filter(|s| s.ids & alike != 0)
            .peekable();
        if before.peek().is_some() {
            return !before.any(|first| first.hash == source);
        }
        self.remember(id, source);
        false
    }

    fn places_of(&self, id: u16) -> u32 {
        let bit = |(place, known): (usize, &u16)| u32::from(*known == id) << place;
        self.ids.iter().enumerate().map(bit).sum()
    }

    fn remember(&mut self, id: u16, source: [u32; 2]) {
        self.ids.rotate_right(1);
        self.ids[0] = id;
        self.sources.iter_mut().for_each(|known| known.ids <<= 1);
        match self.sources.iter_mut().find(|known| known.hash == source) {
            Some(known) => known.ids |= 1,
            None => self.sources.push(Source {
                hash: source,
                ids: 1,
            }),
        }
        if self.sources.len() > 1 {
            self.sources.retain(|known| known.ids != 0);
            self.sources.compact();
        }
    }
}

/// All of the password counts: no part of it need be random by itself.
fn key_of(password: &str) -> u128 {
    let mix = |key: u128, byte: u8| key.rotate_left(7) ^ u128::from(byte);
    password.bytes().fold(0, mix)
}

fn hash(key: u128, what: &impl Hash) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(key as u64, (key >> 64) as u64);
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "a password of 22 chars";

    fn id(number: u8) -> TransactionId {
        TransactionId::from_bytes([number; 12])
    }

    fn source(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    // req: I55
    #[test]
    fn of_the_last_32_each_counts_for_its_first_source_however_many_sources_there_are() {
        for sources in [1, 2, 3, 31, 40] {
            let mut heard = Heard::default();
            let of = |number: u8| source(u16::from(number % sources));
            for number in 0..200 {
                assert!(!heard.is_replayed(PASSWORD, id(number), of(number)));
                for known in number.saturating_sub(31)..=number {
                    assert!(!heard.is_replayed(PASSWORD, id(known), of(known)));
                    let other = source(u16::from((known + 1) % sources));
                    assert_eq!(
                        heard.is_replayed(PASSWORD, id(known), other),
                        other != of(known)
                    );
                    assert!(heard.is_replayed(PASSWORD, id(known), source(1000)));
                }
            }
            assert!(
                !heard.is_replayed(PASSWORD, id(100), source(1000)),
                "forgotten"
            );
        }
    }

    // req: I51
    #[test]
    fn what_one_source_sends_takes_little_and_no_allocation() {
        assert_eq!(size_of::<Heard>(), 80);
        let mut heard = Heard::default();
        let allocated = allocation_counter::measure(|| {
            for number in 0..100 {
                assert!(!heard.is_replayed(PASSWORD, id(number), source(1)));
            }
        });
        assert_eq!(allocated.count_total, 0);
        heard.is_replayed(PASSWORD, id(100), source(2));
        (101..140).for_each(|number| {
            heard.is_replayed(PASSWORD, id(number), source(2));
        });
        assert!(matches!(heard.sources, Few::One(_)));
    }

    #[test]
    fn the_password_is_the_key() {
        let other = "another with 22 chars.";
        assert_ne!(hash(key_of(PASSWORD), &7), hash(key_of(other), &7));
        let long = format!("{PASSWORD}{other}");
        assert_ne!(hash(key_of(&long), &7), hash(key_of(other), &7));
    }
}
