//! KeyUpdate and NewSessionTicket (RFC 8446 §4.6), NewConnectionId and RequestConnectionId (RFC 9147 §9), and the body of an
//! ACK record (RFC 9147 §7).

use std::fmt;

use crate::error::InvalidMessage;
use crate::msgs::codec::{Codec, LengthPrefix, Reader, put_vector};
use crate::msgs::extensions::{Context, Extensions};

/// Whether the sender of a KeyUpdate wants the other side to change its keys too (RFC 8446 §4.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyUpdateRequest {
    /// Only the sender changes what it writes with.
    NotRequested,
    /// Both sides do.
    Requested,
}

impl<'a> Codec<'a> for KeyUpdateRequest {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::NotRequested => 0,
            Self::Requested => 1,
        });
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        match reader.u8()? {
            0 => Ok(Self::NotRequested),
            1 => Ok(Self::Requested),
            _ => Err(InvalidMessage::KeyUpdateUnknown),
        }
    }
}

/// A ticket for a resumption that floe never tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewSessionTicket<'a> {
    /// Seconds.
    pub(crate) lifetime: u32,
    pub(crate) age_add: u32,
    pub(crate) nonce: &'a [u8],
    pub(crate) ticket: &'a [u8],
    pub(crate) extensions: Extensions<'a>,
}

impl<'a> Codec<'a> for NewSessionTicket<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.lifetime.to_be_bytes());
        out.extend_from_slice(&self.age_add.to_be_bytes());
        put_vector::<1>(out, self.nonce);
        put_vector::<2>(out, self.ticket);
        self.extensions.encode(out);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        Ok(Self {
            lifetime: reader.u32()?,
            age_add: reader.u32()?,
            nonce: reader.vector::<1>()?,
            ticket: match reader.vector::<2>()? {
                [] => return Err(InvalidMessage::EmptyTicket),
                ticket => ticket,
            },
            extensions: Extensions::read(Context::NewSessionTicket, reader)?,
        })
    }
}

/// When the names in a NewConnectionId are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionIdUsage {
    /// What is sent from now on bears one of them.
    Immediate,
    /// One of them may be used some day.
    Spare,
}

/// What the sender wants to be called besides, or from now on. Perhaps nothing, where it was asked for names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewConnectionId<'a> {
    /// The first of the names.
    pub(crate) first: Option<&'a [u8]>,
    pub(crate) usage: ConnectionIdUsage,
}

impl<'a> Codec<'a> for NewConnectionId<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut ids = LengthPrefix::<2>::new(out);
        if let Some(first) = self.first {
            put_vector::<1>(&mut ids, first);
        }
        drop(ids);
        out.push(match self.usage {
            ConnectionIdUsage::Immediate => 0,
            ConnectionIdUsage::Spare => 1,
        });
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let first = Reader::all(reader.vector::<2>()?, |ids| {
            let mut first = None;
            while !ids.is_empty() {
                let id = ids.vector::<1>()?;
                first.get_or_insert(id);
            }
            Ok(first)
        })?;
        let usage = match reader.u8()? {
            0 => ConnectionIdUsage::Immediate,
            1 => ConnectionIdUsage::Spare,
            _ => return Err(InvalidMessage::ConnectionIdUsageUnknown),
        };
        Ok(Self { first, usage })
    }
}

/// How many spare names the sender would like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestConnectionId(pub(crate) u8);

impl<'a> Codec<'a> for RequestConnectionId {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        reader.u8().map(Self)
    }
}

/// A record as an ACK names it: 64 bits each, so that no epoch wraps here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AckNumber {
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
}

impl AckNumber {
    pub(crate) const LEN: usize = 16;

    fn read(reader: &mut Reader<'_>) -> Result<Self, InvalidMessage> {
        Ok(Self {
            epoch: reader.u64()?,
            sequence: reader.u64()?,
        })
    }
}

/// The records that the sender has processed or kept: received, or our own. Perhaps none.
#[derive(Clone, Copy)]
pub(crate) enum Ack<'a> {
    Wire(&'a [u8]),
    Items(&'a [AckNumber]),
}

impl<'a> Ack<'a> {
    pub(crate) fn iter(self) -> impl Iterator<Item = AckNumber> {
        let (wire, items): (&'a [u8], &'a [AckNumber]) = match self {
            Self::Wire(bytes) => (bytes, &[]),
            Self::Items(items) => (&[], items),
        };
        let mut reader = Reader::new(wire);
        std::iter::from_fn(move || AckNumber::read(&mut reader).ok()).chain(items.iter().copied())
    }
}

impl<'a> Codec<'a> for Ack<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut body = LengthPrefix::<2>::new(out);
        for number in self.iter() {
            body.extend_from_slice(&number.epoch.to_be_bytes());
            body.extend_from_slice(&number.sequence.to_be_bytes());
        }
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, InvalidMessage> {
        let bytes = reader.vector::<2>()?;
        match bytes.len() % AckNumber::LEN {
            0 => Ok(Self::Wire(bytes)),
            _ => Err(InvalidMessage::UnevenList),
        }
    }
}

impl PartialEq for Ack<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Ack<'_> {}

impl fmt::Debug for Ack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes<'a>(message: &impl Codec<'a>) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    #[test]
    fn a_key_update_says_yes_or_no() {
        for (update, wire) in [
            (KeyUpdateRequest::NotRequested, [0]),
            (KeyUpdateRequest::Requested, [1]),
        ] {
            assert_eq!(bytes(&update), wire);
            assert_eq!(KeyUpdateRequest::read_all(&wire), Ok(update));
        }
        for (wire, error) in [
            (&[2][..], InvalidMessage::KeyUpdateUnknown),
            (&[], InvalidMessage::MessageTooShort),
            (&[0, 0], InvalidMessage::TrailingBytes),
        ] {
            assert_eq!(KeyUpdateRequest::read_all(wire), Err(error));
        }
    }

    #[test]
    fn a_ticket_survives_the_wire() {
        let ticket = NewSessionTicket {
            lifetime: 7200,
            age_add: 0x0102_0304,
            nonce: &[0],
            ticket: b"ticket",
            extensions: Extensions::Items(&[]),
        };
        let wire = bytes(&ticket);
        assert_eq!(NewSessionTicket::read_all(&wire), Ok(ticket));
        for len in 0..wire.len() {
            assert_eq!(
                NewSessionTicket::read_all(&wire[..len]),
                Err(InvalidMessage::MessageTooShort)
            );
        }
        let empty = NewSessionTicket {
            ticket: &[],
            ..ticket
        };
        assert_eq!(
            NewSessionTicket::read_all(&bytes(&empty)),
            Err(InvalidMessage::EmptyTicket)
        );
    }

    #[test]
    fn an_ack_names_whole_records() {
        let numbers = [(2, 0), (2, 1), (u64::MAX, u64::MAX)];
        let numbers = numbers.map(|(epoch, sequence)| AckNumber { epoch, sequence });
        let ack = Ack::Items(&numbers);
        let wire = bytes(&ack);
        assert_eq!(wire.len(), 2 + 3 * 16);
        assert_eq!(Ack::read_all(&wire), Ok(ack));
        assert_eq!(Ack::read_all(&[0, 0]), Ok(Ack::Items(&[])));
        assert_eq!(Ack::read_all(&[0, 1, 0]), Err(InvalidMessage::UnevenList));
        assert_eq!(
            Ack::read_all(&[0, 16, 0]),
            Err(InvalidMessage::MessageTooShort)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(body: Vec<u8>, head: [u8; 8]) {
            if let Ok(message) = Ack::read_all(&body) {
                prop_assert_eq!(bytes(&message), &body[..]);
            }
            let ticket = [&head[..], &body].concat();
            if let Ok(message) = NewSessionTicket::read_all(&ticket) {
                let wire = bytes(&message);
                prop_assert_eq!(NewSessionTicket::read_all(&wire), Ok(message));
            }
        }
    }
}
