//! Handshake messages of DTLS 1.3 that come after the handshake (RFC 9147 §5.8.4, RFC 8446 §4.6).
//!
//! They come in the epoch of application data, so only the verified peer can have sent them: what may not come ends the
//! connection. Nothing answers them but a request for connection ids: they are acknowledged after the usual while (RFC 9147
//! §7.1).

use std::time::Instant;

use super::affairs::Work;
use super::{Connection, Phase};
use crate::config::Side;
use crate::connection_id::ConnectionId;
use crate::error::{Error, PeerIncompatible};
use crate::handshake::unexpected;
use crate::msgs::codec::Codec;
use crate::msgs::enums::HandshakeType;
use crate::msgs::handshake::Fragment;
use crate::msgs::post_handshake::{
    ConnectionIdUsage, NewConnectionId, NewSessionTicket, RequestConnectionId,
};
use crate::reassembly::Message;
use crate::record::ConnectionIds;
use crate::record::header::Epoch;
use crate::stats::DropReason;

/// Whether the peer has asked for more names of ours (RFC 9147 §9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SpareIds {
    #[default]
    NotAskedFor,
    /// It is told when nothing else is in the air.
    AskedFor,
}

impl Connection {
    /// A fragment that came when the handshake was complete.
    pub(super) fn on_post_handshake_fragment(
        &mut self,
        now: Instant,
        epoch: Epoch,
        fragment: &Fragment<'_>,
    ) -> Result<(), DropReason> {
        // The peer did not get our ACK: it is given again.
        if self.was_handled(fragment) {
            return Err(DropReason::StaleMessage);
        }
        // The handshake's epoch ended with its Finished, any other with its KeyUpdate (RFC 9147 §8).
        let has_ended = epoch == Epoch::HANDSHAKE || epoch < self.records.read_epoch();
        if has_ended && epoch != Epoch::PLAINTEXT {
            self.fail(now, unexpected());
            return Err(DropReason::LateHandshake);
        }
        // Not acknowledged before the peer is known, it comes again.
        if !matches!(self.phase, Phase::Connected(_)) || epoch < Epoch::APPLICATION {
            return Err(DropReason::LateHandshake);
        }
        self.reassemble(epoch, fragment)
    }

    /// Handles what is complete and in its turn. It is acknowledged in a while, like all that nothing answers.
    pub(super) fn on_post_handshake_messages(&mut self, now: Instant) {
        while let Phase::Connected(_) = self.phase
            && let Some(message) = self.work().reassembler.pop()
        {
            if let Err(error) = self.on_post_handshake_message(now, &message) {
                self.fail(now, error);
            }
        }
    }

    fn on_post_handshake_message(&mut self, now: Instant, message: &Message) -> Result<(), Error> {
        // One that waited for its turn while a KeyUpdate before it ended the epoch.
        if message.epoch < self.records.read_epoch() {
            return Err(unexpected());
        }
        match (message.handshake_type, self.side) {
            (HandshakeType::KEY_UPDATE, _) => self.on_key_update(now, message.body()),
            // Nothing is ever resumed: a ticket is read and forgotten.
            (HandshakeType::NEW_SESSION_TICKET, Some(Side::Client)) => {
                NewSessionTicket::read_all(message.body())?;
                Ok(())
            }
            // Who is called nothing has no other names (RFC 9147 §9).
            (HandshakeType::NEW_CONNECTION_ID, _) if self.has_name(|ids| &ids.theirs) => {
                self.on_new_connection_id(&NewConnectionId::read_all(message.body())?)
            }
            (HandshakeType::REQUEST_CONNECTION_ID, _) if self.has_name(|ids| &ids.ours) => {
                RequestConnectionId::read_all(message.body())?;
                self.on_connection_ids_asked_for(now);
                Ok(())
            }
            _ => Err(unexpected()),
        }
    }

    /// Whether names were negotiated, and this one is not empty.
    fn has_name(&self, which: impl Fn(&ConnectionIds) -> &ConnectionId) -> bool {
        let ids = self.records.connection_ids();
        ids.is_some_and(|ids| !which(ids).as_bytes().is_empty())
    }

    /// A spare name would be for another path, and paths are ICE's: they all have the same one.
    fn on_new_connection_id(&mut self, new: &NewConnectionId<'_>) -> Result<(), Error> {
        if let (ConnectionIdUsage::Immediate, Some(first)) = (new.usage, new.first)
            && let Some(theirs) = ConnectionId::new(first)
        {
            if !self.work().flight.has_room_beside(first) {
                return Err(PeerIncompatible::ConnectionIdTooLong.into());
            }
            self.records.rename_peer(theirs);
        }
        Ok(())
    }

    /// This end has the one name that its owner gave it, and says so: fewer names than asked for may be given, none at all
    /// too (RFC 9147 §9).
    fn on_connection_ids_asked_for(&mut self, now: Instant) {
        self.work().spare_ids = SpareIds::AskedFor;
        self.send_asked_for_ids(now);
    }

    /// Answers a request for names, if nothing else is in the air.
    pub(super) fn send_asked_for_ids(&mut self, now: Instant) {
        let possible =
            matches!(self.phase, Phase::Connected(_)) && self.affairs.sender().can_say_more();
        let is_free =
            |work: &&mut Work| work.spare_ids == SpareIds::AskedFor && !work.flight.is_in_air();
        let Some(work) = self.affairs.work_mut().filter(is_free) else {
            return;
        };
        if !possible {
            return;
        }
        work.spare_ids = SpareIds::NotAskedFor;
        let none = NewConnectionId {
            first: None,
            usage: ConnectionIdUsage::Spare,
        };
        let epoch = self.records.write_epoch();
        work.say(now, epoch, HandshakeType::NEW_CONNECTION_ID, |out| {
            none.encode(out);
        });
    }

    /// Says any message, if anything can be said now.
    #[cfg(feature = "fuzzing")]
    #[doc(hidden)]
    pub fn say_after_handshake(&mut self, now: Instant, handshake_type: u8, body: &[u8]) {
        let sender = self.affairs.sender();
        let possible = sender.uses_acks() && sender.can_say_more();
        if !possible || !matches!(self.phase, Phase::Connected(_)) {
            return;
        }
        let epoch = self.records.write_epoch();
        let work = self.work();
        if !work.flight.is_in_air() {
            work.say(now, epoch, HandshakeType(handshake_type), |out| {
                out.extend_from_slice(body);
            });
        }
    }
}

impl Work {
    /// A flight of one message.
    pub(super) fn say(
        &mut self,
        now: Instant,
        epoch: Epoch,
        handshake_type: HandshakeType,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        self.flight.begin(now);
        self.flight.message(epoch, handshake_type, encode);
        self.flight.send(now, &mut self.timers);
    }
}
