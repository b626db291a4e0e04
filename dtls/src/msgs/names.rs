//! Names that hellos carry: application protocols (RFC 7301 §3.1) and the server's host name (RFC 6066 §3).

use std::fmt;

use crate::error::InvalidMessage;
use crate::msgs::codec::{LengthPrefix, Reader, put_vector};

/// The only type of server name there is: a DNS host name.
const HOST_NAME: u8 = 0;

/// Application protocols in order of preference: received, or our own. One at least, none empty.
#[derive(Clone, Copy)]
pub(crate) enum ProtocolNames<'a> {
    Wire(&'a [u8]),
    Items(&'a [&'a [u8]]),
    One(&'a [u8]),
}

impl<'a> ProtocolNames<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let bytes = reader.vector::<2>()?;
        if bytes.is_empty() {
            return Err(InvalidMessage::EmptyList);
        }
        let mut unread = Reader::new(bytes);
        while !unread.is_empty() {
            if unread.vector::<1>()?.is_empty() {
                return Err(InvalidMessage::EmptyProtocolName);
            }
        }
        Ok(Self::Wire(bytes))
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let mut body = LengthPrefix::<2>::new(out);
        for name in self.iter() {
            put_vector::<1>(&mut body, name);
        }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let (wire, items, one): (&'a [u8], &'a [&'a [u8]], _) = match self {
            Self::Wire(bytes) => (bytes, &[], None),
            Self::Items(items) => (&[], items, None),
            Self::One(name) => (&[], &[], Some(name)),
        };
        let mut reader = Reader::new(wire);
        std::iter::from_fn(move || reader.vector::<1>().ok())
            .chain(items.iter().copied())
            .chain(one)
    }

    pub(crate) fn contains(self, name: &[u8]) -> bool {
        self.iter().any(|other| other == name)
    }

    /// The name, if there is exactly one: what an answer must hold.
    pub(crate) fn only(self) -> Option<&'a [u8]> {
        let mut names = self.iter();
        match (names.next(), names.next()) {
            (only, None) => only,
            _ => None,
        }
    }
}

impl PartialEq for ProtocolNames<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ProtocolNames<'_> {}

impl fmt::Debug for ProtocolNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.iter().map(|name| name.escape_ascii().to_string());
        f.debug_list().entries(names).finish()
    }
}

pub(crate) fn put_host_name(out: &mut Vec<u8>, name: &[u8]) {
    let mut list = LengthPrefix::<2>::new(out);
    list.push(HOST_NAME);
    put_vector::<2>(&mut list, name);
}

/// The one host name of a server_name: no other type was ever defined, and two of one type are forbidden.
pub(crate) fn read_host_name<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], InvalidMessage> {
    Reader::all(reader.vector::<2>()?, |list| {
        match (list.u8()?, list.vector::<2>()?) {
            (HOST_NAME, name) if !name.is_empty() && name.len() <= 255 && !name.contains(&0) => {
                Ok(name)
            }
            _ => Err(InvalidMessage::ServerNameUnreadable),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_names_survive_the_wire() {
        let mut out = Vec::new();
        let names = ProtocolNames::Items(&[b"webrtc", b"c-webrtc"]);
        names.encode(&mut out);
        assert_eq!(out[..3], [0, 16, 6]);
        assert_eq!(Reader::all(&out, ProtocolNames::read), Ok(names));
        assert!(names.contains(b"c-webrtc") && !names.contains(b"c-web"));
        assert_eq!(names.only(), None);
        assert_eq!(
            ProtocolNames::Items(&[b"webrtc"]).only(),
            Some(&b"webrtc"[..])
        );
        assert_eq!(ProtocolNames::Items(&[]).only(), None);
        assert_eq!(
            ProtocolNames::One(b"webrtc"),
            ProtocolNames::Items(&[b"webrtc"])
        );
    }

    #[test]
    fn broken_protocol_names_are_refused() {
        for (wire, error) in [
            (&[0, 0][..], InvalidMessage::EmptyList),
            (&[0, 1, 0], InvalidMessage::EmptyProtocolName),
            (&[0, 3, 1, b'x', 0], InvalidMessage::EmptyProtocolName),
            (&[0, 2, 2, b'x'], InvalidMessage::MessageTooShort),
            (&[0, 2, 1, b'x', 0], InvalidMessage::TrailingBytes),
        ] {
            assert_eq!(
                Reader::all(wire, ProtocolNames::read),
                Err(error),
                "{wire:?}"
            );
        }
    }

    #[test]
    fn a_host_name_survives_the_wire() {
        let mut out = Vec::new();
        put_host_name(&mut out, b"sfu.example");
        assert_eq!(Reader::all(&out, read_host_name), Ok(&b"sfu.example"[..]));
    }

    #[test]
    fn broken_host_names_are_refused() {
        for (wire, error) in [
            (&[0, 0][..], InvalidMessage::MessageTooShort),
            (&[0, 3, 0, 0, 0], InvalidMessage::ServerNameUnreadable),
            (&[0, 4, 1, 0, 1, b'a'], InvalidMessage::ServerNameUnreadable),
            (&[0, 4, 0, 0, 1, 0], InvalidMessage::ServerNameUnreadable),
            (
                &[0, 8, 0, 0, 1, b'a', 0, 0, 1, b'b'],
                InvalidMessage::TrailingBytes,
            ),
        ] {
            assert_eq!(Reader::all(wire, read_host_name), Err(error), "{wire:?}");
        }
    }
}
