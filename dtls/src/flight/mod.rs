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
//! - `schedule`: how long each transmission is given;
//! - `sending`: from messages to records and datagrams;
//! - `sent`: what of the flight the peer has;
//! - `heard`: what the peer lets us know of it;
//! - `ack`: what we acknowledge of the peer's;
//! - `pacing`: the flight as datagrams that somebody else carries.

mod ack;
mod heard;
mod pacing;
mod schedule;
mod sending;
mod sent;

use std::num::NonZeroU32;
use std::ops::Range;
use std::time::{Duration, Instant};

pub(crate) use self::ack::Arrival;
use self::ack::{Acks, Told};
use self::pacing::Copies;
pub use self::pacing::{FlightDatagramId, FlightPacing};
use self::schedule::Schedule;
use self::sending::{Cursor, Load, Tracking};
use crate::config::Config;
use crate::crypto::random::Randomness;
use crate::error::Error;
use crate::msgs::enums::HandshakeType;
use crate::msgs::handshake::HandshakeHeader;
use crate::record::RecordLayer;
use crate::record::header::Epoch;
use crate::timer::{Second, Timer, TimerTable};

/// Transmissions of one flight, each lost by our timer's or the peer's account, after which the path's MTU is doubted too.
const LOSSES_UNTIL_FALLBACK: u16 = 2;

/// The last flight answers, what was acknowledged is acknowledged again, and older epochs open, for twice the maximum segment
/// lifetime of two minutes (RFC 6347 §4.2.4, RFC 9147 §4.2.1).
pub(crate) const LINGER: Duration = Duration::from_secs(240);

/// Records sent at a time where acknowledgements can ask for more (RFC 9147 §5.8.2).
const BURST: u16 = 10;

/// The body of a ChangeCipherSpec record (RFC 5246 §7.1).
pub(crate) const CHANGE_CIPHER_SPEC: &[u8] = &[1];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Preparing,
    Sending,
    /// As many records as may be sent at a time were sent; there are more.
    Paused,
    Waiting,
    /// Nothing will answer it: it is sent again when the peer repeats its own.
    Answering,
}

#[derive(Debug)]
enum Item {
    /// A whole message at this place of the flight, header included.
    Message {
        epoch: Epoch,
        range: Range<usize>,
    },
    ChangeCipherSpec,
}

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
    /// How often a flight is sent again.
    retransmissions: u32,
    sender: Sender,
}

/// What is kept for a few minutes where nothing is to be done, for a peer that may lack something of what was said.
#[derive(Debug)]
pub(crate) struct Kept(Remainder);

#[derive(Debug)]
enum Remainder {
    /// A last flight, which DTLS 1.2 has: it answers a repetition of the peer's.
    Last(Box<Air>),
    /// In DTLS 1.3.
    Told(Told),
}

/// What outlives each flight, and is kept for good.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    tracking: Tracking,
    pacing: FlightPacing,
    mtu: u16,
    /// message_seq of the next message; wider than the wire's, so that it cannot wrap.
    next_seq: u32,
    /// Microseconds, and one more.
    round_trip_time: Option<NonZeroU32>,
    schedule: Schedule,
}

/// A flight that is prepared or in the air.
#[derive(Debug, Default)]
struct Air {
    phase: Phase,
    /// message_seq of the first message.
    first_seq: u16,
    load: Load,
    cursor: Cursor,
    /// Records that may still be written until the next pause.
    burst: u16,
    /// Nothing answers it: a repetition of the peer's flight says that it is missing.
    is_last: bool,
    /// How often it was sent because of the schedule.
    tries: u32,
    /// How often it was sent and then lost, by our timer's or the peer's account.
    losses: u16,
    /// How often it was sent for whatever reason.
    transmissions: u16,
    sent_at: Option<Instant>,
    /// The peer showed that it has the flight, in a way that needs no ACK.
    has_arrived: bool,
    /// When the peer last asked for it by repeating its own.
    repeated_at: Option<Instant>,
    copies: Option<Box<Copies>>,
    size: Size,
    /// When it is let go, whatever the peer may still ask for.
    until: Option<Instant>,
}

/// How long datagrams are. A flight that was lost twice, by chance or for their length, goes out in both sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Size {
    /// As the path's MTU allows.
    #[default]
    Usual,
    /// As the fallback MTU allows: first, where bytes are rationed.
    Small,
}

impl Air {
    /// Begins at its start.
    fn rewind(&mut self, size: Size) {
        (self.cursor, self.size) = (Cursor::default(), size);
    }

    /// Whether it is a last flight that waits for nothing: it may never be asked for.
    fn is_at_rest(&self) -> bool {
        self.phase == Phase::Answering && self.copies.is_none()
    }

    /// Whether it has had its time.
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether the peer may lack something of the handshake.
    fn is_handshake_in_air(&self) -> bool {
        self.load.answers() && !self.has_arrived
    }

    /// All of it is written, nothing before `from`.
    fn on_end(&mut self, from: Cursor) {
        // One datagram has the same size in both.
        if self.size == Size::Small && from != Cursor::default() {
            return self.rewind(Size::Usual);
        }
        self.phase = match self.is_last {
            true => Phase::Answering,
            false => Phase::Waiting,
        };
        if self.is_last {
            // It may be kept for minutes.
            self.load.shrink();
        }
    }
}

impl Flight {
    /// None but what was kept, as `sender` sends.
    pub(crate) fn new(config: &Config, sender: Sender, kept: Option<Kept>) -> Self {
        let (last, told) = match kept {
            Some(Kept(Remainder::Last(air))) => (Some(air), None),
            Some(Kept(Remainder::Told(told))) => (None, Some(told)),
            None => (None, None),
        };
        Self {
            air: last,
            acks: told.map(|told| Box::new(Acks::from(told))),
            fallback_mtu: config.fallback_mtu as u16,
            retransmissions: config.retransmission.tries,
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
        let is_ours = self.sender.pacing == FlightPacing::Internal;
        self.air
            .as_deref()
            .is_none_or(|air| is_ours && air.is_at_rest())
            && self.acks.as_deref().is_none_or(Acks::is_told)
    }

    /// Gives away what the peer may still ask for.
    pub(crate) fn take_kept(&mut self, records: &mut RecordLayer) -> Option<Kept> {
        let kept = match self.sender.tracking {
            Tracking::Off => Remainder::Last(self.air.take()?),
            Tracking::On => Remainder::Told(self.acks.take()?.told(records)?),
        };
        Some(Kept(kept))
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
        air.tries = 1;
        self.transmit(now, timers);
    }

    /// As [`Self::send`], but nothing will answer or acknowledge it.
    pub(crate) fn send_last(&mut self, now: Instant, timers: &mut TimerTable) {
        if let Some(air) = &mut self.air {
            air.is_last = true;
        }
        // Only DTLS 1.2 has such a flight.
        self.acks = None;
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

    /// [`Timer::Retransmit`] expired: sends again, if there are tries left. Says whether it does.
    pub(crate) fn on_timeout(
        &mut self,
        now: Instant,
        timers: &mut TimerTable,
    ) -> Result<bool, Error> {
        let Some(air) = &mut self.air else {
            return Ok(false);
        };
        if air.tries > self.retransmissions {
            return Err(Error::HandshakeTimedOut);
        }
        air.tries += 1;
        air.losses = air.losses.saturating_add(1);
        match air.phase {
            // What could not all be written yet goes on where it stopped.
            Phase::Paused | Phase::Sending => self.go_on(now, timers),
            _ => self.transmit(now, timers),
        }
        Ok(true)
    }

    /// [`Timer::Gap`] expired: what an ACK left out is lost, or a last flight may be. Says whether something is sent again.
    pub(crate) fn on_gap(&mut self, now: Instant, timers: &mut TimerTable) -> bool {
        let Some(air) = &mut self.air else {
            return false;
        };
        if !matches!(air.phase, Phase::Waiting | Phase::Answering) {
            return false;
        }
        air.repeated_at = Some(now);
        self.transmit(now, timers);
        true
    }

    /// The peer repeats its flight, so ours may be lost: sends again, once per time-out. Says whether it does.
    pub(crate) fn on_peer_repeats(&mut self, now: Instant, timers: &mut TimerTable) -> bool {
        let Some(air) = &mut self.air else {
            return false;
        };
        // The first time-out is what an answer takes, however long our own timer has become. What nobody else repeats is
        // given at the first request.
        let last = match air.is_last {
            true => air.repeated_at,
            false => air.sent_at,
        };
        let rested = last.is_none_or(|last| now >= last + self.sender.schedule.timeout(1));
        let idle = matches!(air.phase, Phase::Waiting | Phase::Answering);
        if !idle || !rested || self.sender.pacing == FlightPacing::External {
            return false;
        }
        air.repeated_at = Some(now);
        air.losses = air.losses.saturating_add(1);
        let is_last = air.is_last;
        if !is_last {
            // The path works, so the next one need not be long.
            air.tries = 1;
        }
        self.transmit(now, timers);
        if is_last {
            // It was lost before, and only the peer's timer, which may have become long, would bring it again.
            timers.set(Timer::Gap, now + self.sender.schedule.timeout(1));
        }
        true
    }

    /// Everything that is not acknowledged goes out, from the start.
    fn transmit(&mut self, now: Instant, timers: &mut TimerTable) {
        if let Some(air) = &mut self.air {
            air.transmissions = air.transmissions.saturating_add(1);
            air.rewind(match air.losses >= LOSSES_UNTIL_FALLBACK {
                true if self.fallback_mtu < self.sender.mtu => Size::Small,
                _ => Size::Usual,
            });
        }
        self.go_on(now, timers);
    }

    /// The next burst goes out.
    fn go_on(&mut self, now: Instant, timers: &mut TimerTable) {
        timers.stop(Timer::Gap);
        if let Some(air) = &mut self.air {
            air.phase = Phase::Sending;
            air.burst = match self.sender.tracking {
                Tracking::On => BURST,
                Tracking::Off => u16::MAX,
            };
            air.sent_at = Some(now);
        }
        self.arm(timers);
    }

    /// Starts the timer, unless nothing answers the flight or somebody else carries it.
    fn arm(&self, timers: &mut TimerTable) {
        let sent_at = self.air.as_deref().and_then(|air| {
            let is_open = matches!(air.phase, Phase::Sending | Phase::Paused | Phase::Waiting);
            air.sent_at
                .filter(|_| is_open && !air.is_last && self.sender.pacing == FlightPacing::Internal)
        });
        match sent_at {
            Some(sent_at) => timers.set(Timer::Retransmit, sent_at + self.timeout()),
            None => timers.stop(Timer::Retransmit),
        }
    }

    /// The time-outs have changed, also of a flight in the air.
    pub(crate) fn rearm(&self, timers: &mut TimerTable) {
        self.arm(timers);
        if let Some(acks) = &self.acks {
            acks.rescale(self.timeout(), timers);
        }
    }

    /// The largest datagram that is written now.
    pub(crate) fn mtu(&self) -> usize {
        match self.air.as_ref().map(|air| air.size) {
            Some(Size::Small) => self.sender.mtu.min(self.fallback_mtu).into(),
            _ => self.sender.mtu.into(),
        }
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

    /// The current time-out: the grace that other things are given too.
    pub(crate) fn timeout(&self) -> Duration {
        self.sender
            .schedule
            .timeout(self.air.as_ref().map_or(0, |air| air.tries))
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

impl Kept {
    /// Whether the peer has had the time to ask for it.
    pub(crate) fn is_over(&self, now: Instant, config: &Config) -> bool {
        match &self.0 {
            Remainder::Last(air) => air.is_over(now),
            Remainder::Told(told) => told.is_over(Second::of(now, config)),
        }
    }

    /// Whether the peer may ask for it although it is known to have heard what was acknowledged.
    pub(crate) fn may_come_again(&self) -> bool {
        match &self.0 {
            Remainder::Last(_) => true,
            Remainder::Told(told) => told.may_come_again(),
        }
    }

    pub(crate) fn has_flight(&self) -> bool {
        matches!(self.0, Remainder::Last(_))
    }

    /// As [`Flight::is_handshake_in_air`].
    pub(crate) fn is_handshake_in_air(&self) -> bool {
        match &self.0 {
            Remainder::Last(air) => air.is_handshake_in_air(),
            Remainder::Told(_) => false,
        }
    }

    /// As [`Flight::on_data`].
    pub(crate) fn on_data(&mut self) {
        if let Remainder::Last(air) = &mut self.0 {
            air.has_arrived = true;
        }
    }
}

impl Sender {
    pub(crate) fn new(config: &Config, randomness: &mut Randomness) -> Self {
        Self {
            tracking: Tracking::Off,
            pacing: FlightPacing::Internal,
            mtu: config.mtu as u16,
            next_seq: 0,
            round_trip_time: None,
            schedule: Schedule::new(&config.retransmission, randomness),
        }
    }

    pub(crate) fn uses_acks(&self) -> bool {
        self.tracking == Tracking::On
    }

    /// The MTU as it was set, whatever time-outs say.
    pub(crate) fn path_mtu(&self) -> usize {
        self.mtu.into()
    }

    /// Whether there is a message_seq left: they do not wrap (RFC 9147 §5.2).
    pub(crate) fn can_say_more(&self) -> bool {
        self.next_seq <= u16::MAX.into()
    }

    /// Whether a handshake is under way: the first flight was sent.
    pub(crate) fn was_sent(&self) -> bool {
        self.next_seq > 0
    }

    /// Of the newest flight that was sent once and answered.
    pub(crate) fn round_trip_time(&self) -> Option<Duration> {
        let took = self.round_trip_time?.get() - 1;
        Some(Duration::from_micros(took.into()))
    }

    pub(crate) fn set_rtt_hint(&mut self, rtt: Duration) {
        self.schedule.set_rtt_hint(rtt);
    }

    pub(crate) fn set_cap(&mut self, cap: Duration) {
        self.schedule.set_cap(cap);
    }

    /// At most [`Config::MTUS`] allow.
    pub(crate) fn set_mtu(&mut self, mtu: usize) {
        self.mtu = mtu as u16;
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
