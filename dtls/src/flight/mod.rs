//! The flight in the air: its messages, and when they are sent, sent again and let go (RFC 6347 §4.2.4, RFC 9147 §5.8).
//!
//! ```text
//!                  send                     all written
//!   Preparing ──────────────▶ Sending ───────────────────▶ Waiting ──────────▶ (none)
//!       ▲                        ▲  │                       │  ▲  │  answered,
//!       │                        │  │ all written,          │  │  │  acknowledged
//!       │                        │  ▼ nothing answers it    │  │  │
//!       │                        │ Answering                │  │  │ begin
//!       │                        │  │                       │  │  │
//!       │                        └──┴───────────────────────┘  │  │
//!       │                     the timer, or the peer repeats   │  │
//!       │                                                      │  │
//!       │      Sending ── a burst is written ──▶ Paused ───────┘  │
//!       │                 (goes on: an ACK, or the timer)         │
//!       └─────────────────────────────────────────────────────────┘
//! ```
//!
//! Whether and when is decided by what comes in; writing only drains. In DTLS 1.2 only the complete answer stops the
//! timer. In DTLS 1.3, from [`Flight::use_acks`] on, each record sent is remembered, only what is not acknowledged is
//! sent again, and any part of the answer stops the timer: the peer has all of ours then.
//!
//! - `air`: a flight while there is one, and `kept`: what is left of it;
//! - `sender`: what outlives each flight;
//! - `again`: when it is sent, and sent again;
//! - `schedule`: how long each transmission is given;
//! - `sending`: from messages to records and datagrams;
//! - `sent`: what of the flight the peer has;
//! - `heard`: what the peer lets us know of it;
//! - `ack`: what we acknowledge of the peer's, and `numbers`: in how few bytes that is remembered;
//! - `pacing`: the flight as datagrams that somebody else carries.

mod ack;
mod again;
mod air;
mod heard;
mod kept;
mod numbers;
mod pacing;
mod schedule;
mod sender;
mod sending;
mod sent;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use self::ack::Acks;
pub(crate) use self::ack::Arrival;
use self::air::{Air, Phase, Size};
pub(crate) use self::kept::Kept;
pub use self::pacing::{FlightDatagramId, FlightPacing};
pub(crate) use self::sender::Sender;
use self::sending::{Cursor, Item, Tracking};
use crate::config::Config;
use crate::connection_id::has_room_beside;
use crate::msgs::enums::HandshakeType;
use crate::msgs::handshake::HandshakeHeader;
use crate::record::RecordLayer;
use crate::record::header::Epoch;
use crate::timer::{Timer, TimerTable};

/// The last flight answers, what was acknowledged is acknowledged again, and older epochs open, for twice the maximum segment
/// lifetime of two minutes (RFC 6347 §4.2.4, RFC 9147 §4.2.1).
pub(crate) const LINGER: Duration = Duration::from_secs(240);

/// The body of a ChangeCipherSpec record (RFC 5246 §7.1).
pub(crate) const CHANGE_CIPHER_SPEC: &[u8] = &[1];

/// What an ACK did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    /// It was about nothing in the air.
    Nothing,
    /// Some of the flight is still missing, and will be sent again soon.
    Part,
    /// The peer has the whole flight, which is let go.
    All,
}

#[derive(Debug)]
pub(crate) struct Flight {
    air: Option<Box<Air>>,
    acks: Option<Box<Acks>>,
    fallback_mtu: u16,
    /// How often a flight is sent again, and as often in a hurry.
    retransmissions: u32,
    /// What time-outs double up to where nothing is known of the path.
    patience: Duration,
    sender: Sender,
}

impl Flight {
    /// None but what was kept, as `sender` sends.
    pub(crate) fn new(config: &Config, sender: Sender, kept: Option<Kept>) -> Self {
        let (last, told) = kept.map_or((None, None), Kept::into_parts);
        Self {
            air: last,
            acks: told.map(|told| Box::new(Acks::from(told))),
            fallback_mtu: config.fallback_mtu as u16,
            retransmissions: config.retransmission.tries,
            patience: config.retransmission.cap,
            sender,
        }
    }

    pub(crate) fn sender(&self) -> &Sender {
        &self.sender
    }

    pub(crate) fn sender_mut(&mut self) -> &mut Sender {
        &mut self.sender
    }

    /// Whether nothing in the air waits for anything, and nothing that came waits to be acknowledged.
    pub(crate) fn is_idle(&self) -> bool {
        self.air.as_deref().is_none_or(Air::is_at_rest)
            && self.acks.as_deref().is_none_or(Acks::is_told)
    }

    /// The version is DTLS 1.3: from now on records are acknowledged, and so are ours.
    pub(crate) fn use_acks(&mut self) {
        self.sender.tracking = Tracking::On;
    }

    /// The peer's flight is complete: ours is answered, and the next one begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.measure(now);
        let air = self.air.get_or_insert_default();
        **air = Air {
            load: std::mem::take(&mut air.load).emptied(),
            first_seq: self.sender.next_seq as u16,
            ..Air::default()
        };
    }

    /// The flight in the air is known to have arrived.
    fn measure(&mut self, now: Instant) {
        // Sent more than once, nobody knows which of them was answered.
        if let Some(air) = &mut self.air
            && air.transmissions == 1
            && let Some(sent_at) = air.sent_at.take()
        {
            let took = now.saturating_duration_since(sent_at).as_micros();
            let took = u32::try_from(took).unwrap_or(u32::MAX);
            self.sender.round_trip_time = Some(NonZeroU32::MIN.saturating_add(took));
        }
    }

    /// The first message that is sent is this one.
    pub(crate) fn begin_at(&mut self, message_seq: u16) {
        self.sender.next_seq = message_seq.into();
    }

    /// Adds a message and gives it back as the transcript has it: one fragment with its header.
    pub(crate) fn message(
        &mut self,
        epoch: Epoch,
        handshake_type: HandshakeType,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> &[u8] {
        let load = &mut self.air.get_or_insert_default().load;
        load.reserve(epoch);
        let start = load.bytes.len();
        load.bytes.extend_from_slice(&[0; HandshakeHeader::LEN]);
        encode(&mut load.bytes);
        let length = load.bytes.len() - start - HandshakeHeader::LEN;
        let header =
            HandshakeHeader::whole(handshake_type, self.sender.next_seq as u16, length as u32);
        self.sender.next_seq = self.sender.next_seq.saturating_add(1);
        let range = start..load.bytes.len();
        load.items.push(Item::Message {
            epoch,
            range: range.clone(),
        });
        let message = &mut load.bytes[range];
        message[..HandshakeHeader::LEN].copy_from_slice(&header.to_bytes());
        message
    }

    pub(crate) fn change_cipher_spec(&mut self) {
        let load = &mut self.air.get_or_insert_default().load;
        load.items.push(Item::ChangeCipherSpec);
    }

    /// The flight is prepared: it is sent, and sent again until it is answered or acknowledged.
    pub(crate) fn send(&mut self, now: Instant, timers: &mut TimerTable) {
        let Some(air) = &mut self.air else {
            return;
        };
        // A flight of the handshake answers the peer's; what comes after the handshake answers nothing.
        if air.load.answers()
            && let Some(acks) = &mut self.acks
        {
            acks.forget(timers);
        }
        air.load.seal_off();
        air.hasten();
        self.transmit(now, timers);
    }

    /// As [`Self::send`], but nothing will answer or acknowledge it.
    pub(crate) fn send_last(&mut self, now: Instant, timers: &mut TimerTable) {
        if let Some(air) = &mut self.air {
            air.is_last = true;
        }
        self.send(now, timers);
    }

    /// Where a flight begins of which nothing was written yet: the peer cannot have the keys for what is behind it.
    pub(crate) fn unsent_epoch(&self) -> Option<Epoch> {
        let unsent = |air: &&Air| {
            let unwritten = air.transmissions == 1 && air.cursor == Cursor::default();
            // Who was given copies has sent them.
            air.phase == Phase::Sending && unwritten && air.copies.is_none()
        };
        match self.air.as_deref().filter(unsent)?.load.items.first()? {
            Item::Message { epoch, .. } => Some(*epoch),
            Item::ChangeCipherSpec => Some(Epoch::PLAINTEXT),
        }
    }

    /// The largest datagram that is written now.
    pub(crate) fn mtu(&self) -> usize {
        match self.air.as_ref().map(|air| air.size) {
            Some(Size::Small) => self.sender.mtu.min(self.fallback_mtu).into(),
            _ => self.sender.mtu.into(),
        }
    }

    /// Whether records with this name have room for something else, whichever of the two MTUs they obey.
    pub(crate) fn has_room_beside(&self, id: &[u8]) -> bool {
        has_room_beside(id, self.sender.mtu.min(self.fallback_mtu))
    }

    /// Whether a flight waits for its answer or its acknowledgement.
    pub(crate) fn is_in_air(&self) -> bool {
        self.air
            .as_deref()
            .is_some_and(|air| air.phase != Phase::Answering)
    }

    /// Whether the peer may lack something of the handshake.
    pub(crate) fn is_handshake_in_air(&self) -> bool {
        self.air.as_deref().is_some_and(Air::is_handshake_in_air)
    }

    /// Application data came: in DTLS 1.2 the client sends it when it has the server's Finished.
    pub(crate) fn on_data(&mut self) {
        if let (Some(air), Tracking::Off) = (&mut self.air, self.sender.tracking) {
            air.has_arrived = true;
        }
    }

    /// Writes the next datagram into `out`, as much of it as that and the MTU allow: an ACK that is due, or a part of
    /// the flight.
    pub(crate) fn write_datagram(
        &mut self,
        records: &mut RecordLayer,
        out: &mut [u8],
    ) -> Option<usize> {
        let room = self.mtu().min(out.len());
        let (out, _) = out.split_at_mut(room);
        if let Some(acks) = &mut self.acks
            && let Some(len) = acks.write(records, out)
        {
            return Some(len);
        }
        let air = self.air.as_deref_mut()?;
        if air.phase != Phase::Sending || self.sender.pacing == FlightPacing::External {
            return None;
        }
        let from = air.cursor;
        let (len, written) = air.load.write_datagram(
            &mut air.cursor,
            air.burst.into(),
            self.sender.tracking,
            records,
            out,
        );
        air.burst -= written as u16;
        if air.load.is_end(air.cursor) {
            air.on_end(from);
        } else if air.burst == 0 {
            air.phase = Phase::Paused;
        }
        (len > 0).then_some(len)
    }

    /// The peer's last flight is complete: nothing of ours will be asked for again.
    pub(crate) fn finish(&mut self, now: Instant, timers: &mut TimerTable) {
        self.measure(now);
        if !self.sender.uses_acks() {
            self.acks = None;
        }
        self.abandon(timers);
    }

    /// The last flight is kept until then (RFC 6347 §4.2.4).
    pub(crate) fn let_go_at(&mut self, until: Instant) {
        if let Some(air) = &mut self.air {
            air.until = Some(until);
        }
    }

    /// Lets go of a last flight that has had its time.
    pub(crate) fn let_go(&mut self, now: Instant, timers: &mut TimerTable) {
        if self.air.as_deref().is_some_and(|air| air.is_over(now)) {
            self.abandon(timers);
        }
    }

    /// Nothing will be sent again: what was kept for it is let go.
    pub(crate) fn abandon(&mut self, timers: &mut TimerTable) {
        self.air = None;
        timers.stop(Timer::Retransmit);
        timers.stop(Timer::Gap);
    }
}

#[cfg(test)]
impl Flight {
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.air.as_mut().unwrap().load.bytes
    }

    /// Sends the message of this index in another epoch than it should be.
    pub(crate) fn move_to(&mut self, other: Epoch, index: usize) {
        let items = &mut self.air.as_mut().unwrap().load.items;
        if let Some(Item::Message { epoch, .. }) = items.get_mut(index) {
            *epoch = other;
        }
    }
}
