//! New keys for a connection of DTLS 1.3 (RFC 9147 §8).
//!
//! ```text
//!            update_keys, a request of the peer,               acknowledged:
//!            a limit of the cipher                             we write in the next epoch
//!    Settled ──────────────────────────────────▶ In the air ─────────────────────────────▶ Settled
//!                                                  │      ▲
//!                                                  └──────┘ another is wanted: this is it
//! ```
//!
//! What we write changes when the peer has acknowledged our KeyUpdate; what we read changes with the first record that the
//! peer writes after its own. One KeyUpdate is in the air at a time, and none before the handshake's last flight has left it.
//! It does for all that want one before it is acknowledged, the peer's requests too (RFC 8446 §4.6.3); only a request of our
//! own that it does not make follows.
//!
//! A change takes no memory that the connection does not have: the key of a direction is [packed](RecordKey::Packed) while it
//! is being changed, and that of an epoch that has ended is made anew for each record.

use std::time::Instant;

use super::{Connection, Phase};
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{AeadLimit, Event};
use crate::flight::LINGER;
use crate::msgs::codec::Codec;
use crate::msgs::enums::HandshakeType;
use crate::msgs::post_handshake::KeyUpdateRequest;
use crate::record::Opened;
use crate::record::header::Epoch;
#[cfg(doc)]
use crate::record::protect::RecordKey;
use crate::timer::Second;

/// Our own KeyUpdates.
#[derive(Debug, Default)]
pub(super) struct KeyUpdates {
    /// The one that waits for its ACK, and whether it asks the peer for one of its own.
    in_air: Option<KeyUpdateRequest>,
    /// The next one.
    wanted: Option<KeyUpdateRequest>,
}

impl KeyUpdates {
    /// What is wanted twice is done once.
    fn want(&mut self, request: KeyUpdateRequest) {
        let is_done_by = |other: Option<KeyUpdateRequest>| {
            other.is_some_and(|other| other == request || other == KeyUpdateRequest::Requested)
        };
        if !is_done_by(self.in_air) && !is_done_by(self.wanted) {
            self.wanted = Some(request);
        }
    }
}

impl Connection {
    /// Changes the keys that this end writes with, and with [`KeyUpdateRequest::Requested`] the peer's too (RFC 9147 §8,
    /// RFC 8446 §4.6.3). What is sealed before the peer acknowledges still has the old keys. Near a usage limit of the
    /// cipher this happens by itself.
    ///
    /// Calls are not counted: before the peer has acknowledged, another call asks for what is on its way already and adds
    /// nothing, unless it is the first with [`KeyUpdateRequest::Requested`]. During the handshake's last flight one is
    /// remembered and follows.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::NotConnected`]; [`ApiMisuse::KeysCannotChange`] in DTLS 1.2; [`Error::KeysUsedUp`] where
    /// epochs or message numbers end: after 65 532 times, or a few less where the handshake took more messages of this end.
    pub fn update_keys(&mut self, now: Instant, request: KeyUpdateRequest) -> Result<(), Error> {
        if !matches!(self.phase, Phase::Connected(_)) {
            return Err(ApiMisuse::NotConnected.into());
        }
        if !self.affairs.sender().uses_acks() {
            return Err(ApiMisuse::KeysCannotChange.into());
        }
        if !self.can_update_keys() {
            return Err(Error::KeysUsedUp);
        }
        self.want_key_update(now, request);
        Ok(())
    }

    /// Whether there is another epoch, and a message_seq to announce it with.
    fn can_update_keys(&self) -> bool {
        self.records.write_epoch().next().is_some() && self.affairs.sender().can_say_more()
    }

    fn want_key_update(&mut self, now: Instant, request: KeyUpdateRequest) {
        if let Phase::Connected(_) = self.phase {
            self.work().key_updates.want(request);
            self.send_wanted_key_update(now);
        }
    }

    /// Sends the KeyUpdate that is wanted, if nothing else is in the air.
    pub(super) fn send_wanted_key_update(&mut self, now: Instant) {
        let possible = matches!(self.phase, Phase::Connected(_)) && self.can_update_keys();
        let Some(work) = self.affairs.work_mut().filter(|_| possible) else {
            return;
        };
        if work.flight.is_in_air() {
            return;
        }
        let updates = &mut work.key_updates;
        let Some(request) = updates.wanted.take() else {
            return;
        };
        updates.in_air = Some(request);
        if let (Phase::Connected(established), Some(side)) = (&self.phase, self.side)
            && let Some(secrets) = established.record_secrets(side, &self.config)
        {
            self.records.pack_write_key(secrets);
        }
        let epoch = self.records.write_epoch();
        work.say(now, epoch, HandshakeType::KEY_UPDATE, |out| {
            request.encode(out);
        });
    }

    /// The peer has all that was in the air.
    pub(super) fn on_all_acknowledged(&mut self, now: Instant) {
        // The peer has all of the handshake, and so nothing of its own to repeat.
        self.records.drop_handshake();
        let updated = self.work().key_updates.in_air.take();
        if updated.is_some()
            && let Err(error) = self.write_in_next_epoch()
        {
            self.fail(now, error);
        }
        let newest = self.records.write_epoch();
        self.records.drop_write_before(newest);
        self.send_wanted_key_update(now);
        self.send_asked_for_ids(now);
    }

    fn write_in_next_epoch(&mut self) -> Result<(), Error> {
        let epoch = next_after(self.records.write_epoch())?;
        let key = match (&mut self.phase, self.side) {
            (Phase::Connected(established), Some(side)) => {
                established.next_record_key(side, &self.config)?
            }
            _ => return Err(ApiMisuse::NotConnected.into()),
        };
        self.records.add_write_key(epoch, key);
        Ok(())
    }

    /// The peer writes in the next epoch once it has our ACK.
    pub(super) fn on_key_update(&mut self, now: Instant, body: &[u8]) -> Result<(), Error> {
        let request = KeyUpdateRequest::read_all(body)?;
        next_after(self.records.read_epoch())?;
        if self.records.drop_previous() {
            self.move_on_reading();
        }
        if let (Phase::Connected(established), Some(side)) = (&self.phase, self.side)
            && let Some(secrets) = established.record_secrets(side.peer(), &self.config)
        {
            self.records.announce_next(secrets);
        }
        if request == KeyUpdateRequest::Requested {
            // Where the epochs end it is not answered (RFC 9147 §8).
            self.want_key_update(now, KeyUpdateRequest::NotRequested);
        }
        Ok(())
    }

    /// Opens the next record of a datagram. The first of an announced epoch says that the peer has our ACK.
    #[inline]
    pub(super) fn open(&mut self, datagram: &mut [u8], from: usize) -> Opened {
        let had_announced = self.records.has_announced();
        let (phase, side, config) = (&self.phase, self.side, &self.config);
        let opened = self.records.open(datagram, from, |neighbour| match phase {
            Phase::Connected(established) => {
                established.secrets_of(neighbour, side?.peer(), config)
            }
            _ => None,
        });
        if had_announced && !self.records.has_announced() {
            self.affairs.on_acks_heard();
            if !self.records.reads_previous() {
                self.move_on_reading();
            }
        }
        opened
    }

    /// Nothing of the peer's previous epoch is opened any more.
    fn move_on_reading(&mut self) {
        if let (Phase::Connected(established), Some(side)) = (&mut self.phase, self.side) {
            established.move_on(side.peer());
        }
    }

    /// Something authentic came in the newest epoch: the one before has its time from now on.
    #[inline]
    pub(super) fn on_newest_epoch(&mut self, now: Instant) {
        let config = &self.config;
        self.records
            .let_go_at(|| Second::of(now, config).end_of(LINGER));
    }

    /// At every input: nobody is woken to let go of what the peer might still have asked for, or sent.
    #[inline]
    pub(super) fn let_go_in_time(&mut self, now: Instant) {
        if self.records.let_go(|| Second::of(now, &self.config)) {
            self.move_on_reading();
        }
        self.affairs.let_go(now, &self.config);
    }

    /// A cipher is near a limit: in DTLS 1.3 its key is changed, in DTLS 1.2 the owner is told.
    pub(super) fn on_limit(&mut self, now: Instant, limit: AeadLimit) {
        if !self.affairs.sender().uses_acks() {
            self.work().events.push_back(Event::AeadLimit(limit));
            return;
        }
        self.want_key_update(
            now,
            match limit {
                AeadLimit::Confidentiality => KeyUpdateRequest::NotRequested,
                AeadLimit::Integrity => KeyUpdateRequest::Requested,
            },
        );
    }
}

fn next_after(epoch: Epoch) -> Result<Epoch, PeerMisbehaved> {
    epoch.next().ok_or(PeerMisbehaved::TooManyKeyUpdates)
}
