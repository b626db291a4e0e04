//! The body of key_share: shares of ephemeral keys, one for each group (RFC 8446 §4.2.8).

use std::fmt;

use crate::error::InvalidMessage;
use crate::msgs::codec::{CodePoint, LengthPrefix, Reader, put_vector};
use crate::msgs::enums::NamedGroup;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyShareEntry<'a> {
    pub(crate) group: NamedGroup,
    /// A public key or, from a server that encapsulates, a ciphertext.
    pub(crate) key_exchange: &'a [u8],
}

impl<'a> KeyShareEntry<'a> {
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        self.group.put(out);
        put_vector::<2>(out, self.key_exchange);
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let group = NamedGroup::take(reader)?;
        match reader.vector::<2>()? {
            [] => Err(InvalidMessage::EmptyPublicKey),
            key_exchange => Ok(Self {
                group,
                key_exchange,
            }),
        }
    }
}

/// The shares that a client offers: received, or our own. Two of one group are refused.
#[derive(Clone, Copy)]
pub(crate) enum KeyShares<'a> {
    Wire(&'a [u8]),
    Items(&'a [KeyShareEntry<'a>]),
}

/// More shares than any peer sends; it bounds the search for duplicates.
const MOST_SHARES: usize = 32;

impl<'a> KeyShares<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let bytes = reader.vector::<2>()?;
        let mut unread = Reader::new(bytes);
        let mut seen = [NamedGroup(0); MOST_SHARES];
        let mut count = 0;
        while !unread.is_empty() {
            let group = KeyShareEntry::read(&mut unread)?.group;
            let (before, after) = seen.split_at_mut(count);
            if before.contains(&group) {
                return Err(InvalidMessage::DuplicateKeyShare);
            }
            *after.first_mut().ok_or(InvalidMessage::TooManyKeyShares)? = group;
            count += 1;
        }
        Ok(Self::Wire(bytes))
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let mut body = LengthPrefix::<2>::new(out);
        for share in self.iter() {
            share.encode(&mut body);
        }
    }

    /// In the client's order. What `read` let through parses again: nothing is lost here.
    pub(crate) fn iter(self) -> impl Iterator<Item = KeyShareEntry<'a>> {
        let (wire, items): (&'a [u8], &'a [KeyShareEntry<'a>]) = match self {
            Self::Wire(bytes) => (bytes, &[]),
            Self::Items(items) => (&[], items),
        };
        let mut reader = Reader::new(wire);
        std::iter::from_fn(move || KeyShareEntry::read(&mut reader).ok())
            .chain(items.iter().copied())
    }
}

impl PartialEq for KeyShares<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for KeyShares<'_> {}

impl fmt::Debug for KeyShares<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(group: u16, key_exchange: &[u8]) -> KeyShareEntry<'_> {
        KeyShareEntry {
            group: NamedGroup(group),
            key_exchange,
        }
    }

    fn read(items: &[KeyShareEntry<'_>]) -> Result<usize, InvalidMessage> {
        let mut out = Vec::new();
        KeyShares::Items(items).encode(&mut out);
        let shares = Reader::all(&out, KeyShares::read)?;
        assert_eq!(shares, KeyShares::Items(items));
        Ok(shares.iter().count())
    }

    #[test]
    fn shares_survive_the_wire_and_may_be_none() {
        assert_eq!(read(&[]), Ok(0));
        let two = [share(0x11ec, &[1; 1216]), share(29, &[2; 32])];
        assert_eq!(read(&two), Ok(2));
    }

    // req: T1
    #[test]
    fn two_shares_of_one_group_are_refused_next_to_each_other_or_not() {
        for items in [
            &[share(29, b"a"), share(29, b"b")][..],
            &[share(29, b"a"), share(23, b"a"), share(29, b"a")],
        ] {
            assert_eq!(read(items), Err(InvalidMessage::DuplicateKeyShare));
        }
    }

    #[test]
    fn empty_and_countless_shares_are_refused() {
        assert_eq!(read(&[share(29, b"")]), Err(InvalidMessage::EmptyPublicKey));
        let flood: Vec<_> = (0..=MOST_SHARES as u16)
            .map(|code| share(code, b"x"))
            .collect();
        assert_eq!(read(&flood), Err(InvalidMessage::TooManyKeyShares));
        assert_eq!(read(&flood[1..]), Ok(MOST_SHARES));
        let cut = Reader::all(&[0, 5, 0, 29, 0, 2, 1], KeyShares::read);
        assert_eq!(cut, Err(InvalidMessage::MessageTooShort));
    }
}
