//! A ClientHello in pieces, kept by a caller who is willing to keep something for an address that has shown nothing.

use std::time::{Duration, Instant};

use crate::msgs::codec::{Codec, Reader};
use crate::msgs::enums::HandshakeType;
use crate::msgs::handshake::Fragment;
use crate::reassembly::{Message, Reassembler};
use crate::record::header::{ContentType, Epoch, Header, RecordNumber};
use crate::stats::DropReason;

/// What came of one client's ClientHello that needs more than one datagram ([`CookieGate::collect`]).
///
/// It sends nothing, knows no keys, and grows with the bytes that came, never above 40 KiB. Whoever holds these bounds how many
/// there are, and forgets each at [`PartialHello::expires_at`]: after that it starts again from nothing.
///
/// [`CookieGate::collect`]: crate::CookieGate::collect
#[derive(Debug)]
pub struct PartialHello {
    expires_at: Instant,
    pieces: Option<Pieces>,
}

/// The pieces of one edition of the hello.
#[derive(Debug)]
struct Pieces {
    message_seq: u16,
    reassembler: Reassembler,
}

/// A ClientHello that came as a whole, or has become one.
pub(super) struct WholeHello {
    pub(super) message: Message,
    pub(super) message_seq: u16,
    /// That of the record with the piece that was missing.
    pub(super) number: RecordNumber,
}

impl PartialHello {
    /// How long pieces are kept: a client that repeats after one, two and four seconds has had its chance.
    pub const LIFETIME: Duration = Duration::from_secs(10);

    /// The longest ClientHello, in bytes. A real one has one or two thousand.
    pub const MAX_LEN: usize = 16 * 1024;

    /// Nothing yet, to be forgotten [`PartialHello::LIFETIME`] from now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            expires_at: now + Self::LIFETIME,
            pieces: None,
        }
    }

    /// When it is to be forgotten, whatever came.
    #[must_use]
    pub fn expires_at(&self) -> Instant {
        self.expires_at
    }

    /// Whether nothing is kept: nothing came, or it became a whole ClientHello, which was looked at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_none()
    }

    /// Takes the pieces in a datagram; gives the hello as soon as it is whole, and keeps nothing of it then.
    ///
    /// `None` if something was kept, but something is missing still.
    pub(super) fn take(
        &mut self,
        now: Instant,
        datagram: &[u8],
    ) -> Result<Option<WholeHello>, DropReason> {
        if now >= self.expires_at {
            *self = Self::new(now);
        }
        let mut outcome = Err(DropReason::TruncatedRecord);
        let mut rest = datagram;
        while !rest.is_empty() {
            let (number, payload, behind) = match hello_record(rest) {
                Ok(record) => record,
                Err(reason) => return outcome.or(Err(reason)),
            };
            rest = behind;
            let mut reader = Reader::new(payload);
            while !reader.is_empty() {
                let Ok(fragment) = Fragment::read(&mut reader) else {
                    return outcome.or(Err(DropReason::MalformedFragment));
                };
                match self.take_fragment(&fragment) {
                    Ok(None) => outcome = Ok(None),
                    Ok(Some((message, message_seq))) => {
                        return Ok(Some(WholeHello {
                            message,
                            message_seq,
                            number,
                        }));
                    }
                    Err(reason) => outcome = outcome.or(Err(reason)),
                }
            }
        }
        outcome
    }

    /// Takes one fragment; gives the message and its message_seq as soon as it is whole.
    fn take_fragment(
        &mut self,
        fragment: &Fragment<'_>,
    ) -> Result<Option<(Message, u16)>, DropReason> {
        let header = fragment.header;
        if header.handshake_type != HandshakeType::CLIENT_HELLO {
            return Err(DropReason::UnexpectedPlaintext);
        }
        if header.length as usize > Self::MAX_LEN {
            return Err(DropReason::ReassemblyFull);
        }
        let seq = header.message_seq;
        match &self.pieces {
            // A late copy of what was answered.
            Some(pieces) if seq < pieces.message_seq => return Err(DropReason::StaleMessage),
            Some(pieces) if seq == pieces.message_seq => {}
            // The client has gone on.
            _ => self.pieces = None,
        }
        let pieces = self.pieces.get_or_insert_with(|| Pieces::new(seq));
        // What a fragment contradicts is what was dropped: it is kept itself, and may be all that is needed.
        let taken = pieces.reassembler.accept(Epoch::PLAINTEXT, fragment);
        let Some(message) = pieces.reassembler.pop() else {
            return taken.map(|()| None);
        };
        self.pieces = None;
        Ok(Some((message, seq)))
    }
}

impl Pieces {
    fn new(message_seq: u16) -> Self {
        let mut reassembler = Reassembler::default();
        reassembler.begin_at(message_seq);
        Self {
            message_seq,
            reassembler,
        }
    }
}

/// The number and payload of the plaintext handshake record that `bytes` begin with, and what is behind it.
pub(super) fn hello_record(bytes: &[u8]) -> Result<(RecordNumber, &[u8], &[u8]), DropReason> {
    let header = Header::read(bytes, &[])?;
    let is_handshake = header.content_type == Some(ContentType::Handshake);
    if header.number.epoch() != Epoch::PLAINTEXT || !is_handshake {
        return Err(DropReason::UnexpectedPlaintext);
    }
    let (_, body) = bytes.split_at_checked(Header::LEN).unwrap_or_default();
    let (payload, behind) = body.split_at_checked(header.length).unwrap_or((body, &[]));
    Ok((header.number, payload, behind))
}
