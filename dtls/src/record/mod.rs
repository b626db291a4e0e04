//! The record layer: epochs, their keys and record numbers (RFC 6347 §4.1, RFC 9147 §4).
//!
//! One layer for both versions: an epoch is a number and a key, whoever derived it, and the key knows what the epoch's
//! records look like. Plaintext records pass through as they are; what may be believed of them is the connection's question.
//!
//! - `epochs`: what is known of an epoch that is protected, `plaintext`: of the one that is not;
//! - `opening`: which of them a record is of;
//! - `aside`: what few connections have, or not for long;
//! - `outcome`: a record on its way, and what became of it;
//! - `header`, `unified`: what records begin with; `v12`, `v13`: how each version protects them;
//! - `protect`, `cipher`: keys; `replay`: which records came.

mod aside;
mod cipher;
mod epochs;
pub(crate) mod header;
mod opening;
mod outcome;
mod plaintext;
pub(crate) mod protect;
pub(crate) mod replay;
#[cfg(test)]
mod testing;
mod unified;
mod v12;
mod v13;

use self::aside::Aside;
pub(crate) use self::aside::ConnectionIds;
use self::epochs::{EndedHandshake, OldEpoch, ReadEpoch, WriteEpoch};
use self::header::{ContentType, Epoch, Header, MAX_PLAINTEXT, RecordNumber};
pub(crate) use self::opening::Neighbour;
pub(crate) use self::outcome::{Opened, Record, SealError, Sealed};
use self::plaintext::Plaintext;
use self::protect::{RecordKey, RecordSecrets, TAG_LEN};
use self::unified::UnifiedHeader;
use crate::connection_id::ConnectionId;
use crate::event::AeadLimit;
use crate::key_schedule::v13::TrafficSecret;
use crate::msgs::enums::ProtocolVersion;
use crate::timer::Second;

#[derive(Debug)]
pub(crate) struct RecordLayer {
    /// The newest of which something came, and while its key is being changed the next with it.
    read: Option<ReadEpoch>,
    /// One before it.
    old: Option<OldEpoch>,
    /// The newest that can be written.
    write: Option<WriteEpoch>,
    aside: Option<Box<Aside>>,
    written: u64,
}

impl Default for RecordLayer {
    /// One that speaks in plaintext.
    fn default() -> Self {
        let aside = Aside {
            plaintext: Some(Plaintext::default()),
            ..Aside::default()
        };
        Self {
            aside: Some(Box::new(aside)),
            ..Self::silent()
        }
    }
}

impl RecordLayer {
    /// One of a connection that has not begun to speak, and that takes no room.
    pub(crate) const fn silent() -> Self {
        Self {
            read: None,
            old: None,
            write: None,
            aside: None,
            written: 0,
        }
    }

    /// The most bytes that a protected record adds to its plaintext but for a connection id: a header, an explicit nonce, the
    /// type and a tag.
    pub(crate) const MOST_OVERHEAD: usize = Header::LEN + 8 + 1 + TAG_LEN;

    /// The next plaintext record is written with this sequence number.
    pub(crate) fn begin_plaintext_at(&mut self, sequence: u64) {
        if let Some(plaintext) = self.plaintext() {
            plaintext.next = sequence;
        }
    }

    /// From now on records of `epoch`, which is newer than all before, can be opened, and those of the handshake before it
    /// only if it was [kept](Self::keep_handshake).
    pub(crate) fn add_read_key(&mut self, epoch: Epoch, key: RecordKey) {
        self.read = Some(ReadEpoch::new(epoch, key));
    }

    /// The handshake's epoch, the newest that can be opened, ends. What was written in it may still come: it is opened with
    /// keys made anew of `secret` for each record, which costs time where there is little to do, and no memory.
    pub(crate) fn keep_handshake(&mut self, secret: TrafficSecret) {
        let ending = self.read.take();
        let kept = ending.and_then(|read| read.ended_handshake(secret));
        self.old = kept.map(|kept| OldEpoch::Handshake(Box::new(kept), None));
    }

    /// The peer writes in the next epoch once it knows that we know. Until then its records are opened with keys that are
    /// made anew for each, of `secrets` those of the present; the first authentic one of the next epoch ends this one.
    pub(crate) fn announce_next(&mut self, secrets: RecordSecrets) {
        if let Some(read) = &mut self.read {
            read.key.pack(secrets);
        }
    }

    /// Whether an epoch was announced of which nothing authentic came yet.
    #[inline]
    pub(crate) fn has_announced(&self) -> bool {
        self.read.as_ref().is_some_and(|read| read.key.is_packed())
    }

    /// The key of the newest epoch that can be written is being changed: until there is another it is made anew of `secrets`
    /// for each record.
    pub(crate) fn pack_write_key(&mut self, secrets: RecordSecrets) {
        if let Some(write) = &mut self.write {
            write.key.pack(secrets);
        }
    }

    /// From now on records of `epoch`, which is newer than all before, can be written, and those of the epoch before.
    pub(crate) fn add_write_key(&mut self, epoch: Epoch, key: RecordKey) {
        if let Some(before) = self.write.replace(WriteEpoch::new(epoch, key)) {
            self.aside.get_or_insert_default().write_before = Some(before);
        }
    }

    /// A handshake that is over cannot be opened any more: its secret is gone.
    pub(crate) fn drop_handshake(&mut self) {
        self.old.take_if(|old| old.is_handshake());
    }

    /// Whether the epoch of data before the newest can be opened.
    pub(crate) fn reads_previous(&self) -> bool {
        matches!(self.old, Some(OldEpoch::Data(_)))
    }

    /// From now on it cannot. Says whether it could.
    pub(crate) fn drop_previous(&mut self) -> bool {
        self.old.take_if(|old| !old.is_handshake()).is_some()
    }

    /// Older epochs than this cannot be written any more: their keys are gone.
    pub(crate) fn drop_write_before(&mut self, epoch: Epoch) {
        if let Some(aside) = &mut self.aside {
            aside.write_before.take_if(|before| before.epoch() < epoch);
        }
        self.tidy();
    }

    /// The epoch before the newest has until then, if its time does not run yet.
    #[inline]
    pub(crate) fn let_go_at(&mut self, until: impl FnOnce() -> Second) {
        if let Some(old) = &mut self.old {
            old.until().get_or_insert_with(until);
        }
    }

    /// Drops an epoch that has had its time. Says whether it was one of data.
    #[inline]
    pub(crate) fn let_go(&mut self, now: impl FnOnce() -> Second) -> bool {
        let old = self.old.as_mut();
        let is_over = old.is_some_and(|old| old.until().is_some_and(|until| until <= now()));
        is_over && self.old.take().is_some_and(|old| !old.is_handshake())
    }

    fn handshake(&self) -> Option<&EndedHandshake> {
        match &self.old {
            Some(OldEpoch::Handshake(handshake, _)) => Some(handshake),
            _ => None,
        }
    }

    /// Takes note that this record was acknowledged, if it is of a handshake that is over.
    pub(crate) fn acknowledge(&mut self, number: RecordNumber) -> bool {
        match &mut self.old {
            Some(OldEpoch::Handshake(handshake, _)) if number.epoch() == Epoch::HANDSHAKE => {
                handshake.acknowledge(number.sequence())
            }
            _ => false,
        }
    }

    /// The records of a handshake that is over which were acknowledged, the newest first.
    pub(crate) fn acknowledged(&self) -> impl Iterator<Item = RecordNumber> {
        let handshake = self.handshake();
        handshake.into_iter().flat_map(EndedHandshake::acknowledged)
    }

    /// From now on what is protected is called by these names.
    pub(crate) fn set_connection_ids(&mut self, ids: ConnectionIds) {
        self.aside.get_or_insert_default().connection_ids = Some(Box::new(ids));
    }

    /// From now on the peer is called this.
    pub(crate) fn rename_peer(&mut self, theirs: ConnectionId) {
        if let Some(aside) = &mut self.aside
            && let Some(ids) = &mut aside.connection_ids
        {
            ids.theirs = theirs;
        }
    }

    /// The names, if there are any.
    #[inline]
    pub(crate) fn connection_ids(&self) -> Option<&ConnectionIds> {
        self.aside.as_ref()?.connection_ids.as_deref()
    }

    /// The handshake is complete: nothing in plaintext means anything any more. Only the last flight of DTLS 1.2 begins with
    /// a record of it.
    pub(crate) fn refuse_plaintext(&mut self) {
        let is_v12 = self.read_epoch() == Epoch::DTLS1_2;
        if let Some(aside) = &mut self.aside {
            match &mut aside.plaintext {
                Some(plaintext) if is_v12 => plaintext.refused = true,
                plaintext => *plaintext = None,
            }
        }
        self.tidy();
    }

    fn plaintext(&mut self) -> Option<&mut Plaintext> {
        self.aside.as_mut()?.plaintext.as_mut()
    }

    /// Lets go of what is not there.
    fn tidy(&mut self) {
        self.aside.take_if(|aside| aside.is_empty());
    }

    /// The newest epoch that can be written.
    #[inline]
    pub(crate) fn write_epoch(&self) -> Epoch {
        let newest = self.write.as_ref();
        newest.map_or(Epoch::PLAINTEXT, WriteEpoch::epoch)
    }

    /// The newest epoch that can be opened.
    #[inline]
    pub(crate) fn read_epoch(&self) -> Epoch {
        let newest = |read: &ReadEpoch| read.announced().unwrap_or_else(|| read.epoch());
        self.read.as_ref().map_or(Epoch::PLAINTEXT, newest)
    }

    #[inline]
    fn writing(&self, epoch: Epoch) -> Option<&WriteEpoch> {
        let newest = self.write.as_ref();
        let before = || self.aside.as_deref()?.write_before.as_ref();
        newest
            .filter(|newest| newest.epoch() == epoch)
            .or_else(|| before().filter(|before| before.epoch() == epoch))
    }

    /// Whether a protected record has authenticated.
    pub(crate) fn has_opened(&self) -> bool {
        self.old.is_some() || self.read.as_ref().is_some_and(ReadEpoch::has_opened)
    }

    /// Bytes a record of `epoch` adds to its plaintext.
    #[inline]
    pub(crate) fn overhead(&self, epoch: Epoch) -> usize {
        let Some(write) = self.writing(epoch) else {
            return Header::LEN;
        };
        let id = self
            .connection_ids()
            .map_or(0, |ids| ids.theirs.as_bytes().len());
        let named = id + usize::from(id > 0);
        match &write.key {
            RecordKey::V12(key, _) => {
                Header::LEN + named + key.aead().explicit_nonce_len() + TAG_LEN
            }
            RecordKey::V13(..) | RecordKey::Packed(..) => UnifiedHeader::OVERHEAD + id,
        }
    }

    /// Writes one record of `epoch` that holds `parts` one after the other, and says its length and its number.
    pub(crate) fn seal(
        &mut self,
        epoch: Epoch,
        content_type: ContentType,
        parts: [&[u8]; 2],
        out: &mut [u8],
    ) -> Result<Sealed, SealError> {
        if parts.iter().map(|part| part.len()).sum::<usize>() > MAX_PLAINTEXT {
            return Err(SealError::TooLong);
        }
        let sealed = match (&mut self.write, &mut self.aside) {
            (Some(newest), aside) if newest.epoch() == epoch => {
                let aside = aside.as_deref();
                newest.seal(content_type, aside.map_or(&[], Aside::their_id), parts, out)
            }
            (_, Some(aside)) => aside.seal(epoch, content_type, parts, out),
            _ => Err(SealError::NoKeys),
        };
        self.written += u64::from(sealed.is_ok());
        sealed
    }

    /// What the headers of plaintext records say: the oldest version until a server has chosen, so that any server reads
    /// the ClientHello, and DTLS 1.2 then (RFC 9147 §4).
    pub(crate) fn set_plaintext_version(&mut self, version: ProtocolVersion) {
        if let Some(plaintext) = self.plaintext() {
            plaintext.version = version;
        }
    }

    /// Records written so far, in all epochs.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The usage limit that the newest epoch that can be written has reached or, in DTLS 1.3, come near; it is said once.
    #[inline]
    pub(crate) fn reached_limit(&mut self) -> Option<AeadLimit> {
        let reached = self.write.as_mut()?.reaches_limit();
        reached.then_some(AeadLimit::Confidentiality)
    }
}

#[cfg(test)]
mod tests;
