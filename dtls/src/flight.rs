//! The flight in the air: its messages, how they are cut into datagrams, and when they are sent again (RFC 6347 §4.2.3,
//! §4.2.4).
//!
//! ```text
//!                  send                     all written
//!   Preparing ──────────────▶ Sending ───────────────────▶ Waiting
//!       ▲                        ▲  │                       │  │
//!       │                        │  │ all written,          │  │ the peer's next flight is complete
//!       │                        │  ▼ last flight           │  │
//!       │                        │ Finished                 │  │
//!       │                        │  │                       │  │
//!       │                        └──┴───────────────────────┘  │
//!       │                       the timer, or the peer repeats │
//!       └──────────────────────────────────────────────────────┘
//! ```
//!
//! Whether and when is decided by what comes in; writing only drains. The timer runs from `send` until the flight is
//! answered completely: nothing less stops it.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::config::{Config, Jitter};
use crate::crypto::random::Randomness;
use crate::error::Error;
use crate::msgs::codec::{Codec, Reader};
use crate::msgs::enums::HandshakeType;
use crate::msgs::handshake::HandshakeHeader;
use crate::record::header::{ContentType, Epoch, MAX_PLAINTEXT};
use crate::record::{RecordLayer, SealError};
use crate::timer::{Timer, TimerTable};

/// What a round-trip time may make of the first time-out.
const INITIAL_RANGE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));

/// Transmissions of one flight, each lost by our timer's or the peer's account, after which the path's MTU is doubted.
const LOSSES_UNTIL_FALLBACK: u32 = 2;

/// The least of a message that is worth a fragment of its own at the end of a datagram.
const LEAST_FRAGMENT: usize = 32;

/// The body of a ChangeCipherSpec record (RFC 5246 §7.1).
pub(crate) const CHANGE_CIPHER_SPEC: &[u8] = &[1];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Preparing,
    Sending,
    Waiting,
    Finished,
}

#[derive(Debug)]
enum Item {
    /// A whole message in `bytes`, header included.
    Message {
        epoch: Epoch,
        range: Range<usize>,
    },
    ChangeCipherSpec,
}

#[derive(Debug)]
pub(crate) struct Flight {
    phase: Phase,
    bytes: Vec<u8>,
    items: Vec<Item>,
    /// The item and the offset in its body that are written next.
    cursor: (usize, usize),
    /// Nothing answers it: a repetition of the peer's flight says that it is missing.
    is_last: bool,
    /// message_seq of the next message.
    next_seq: u16,
    /// How often it was sent because of the schedule.
    tries: u32,
    /// How often it was sent for whatever reason.
    transmissions: u32,
    sent_at: Option<Instant>,
    round_trip_time: Option<Duration>,
    schedule: Schedule,
    mtu: usize,
    fallback_mtu: usize,
}

#[derive(Debug)]
struct Schedule {
    initial: Duration,
    cap: Duration,
    tries: u32,
    /// 256ths of a quarter that are added to each time-out; zeros without jitter.
    spread: [u8; 16],
}

impl Schedule {
    /// How long the try of this number (from 1) is given.
    fn timeout(&self, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(16);
        let timeout = (self.initial * (1 << doublings)).min(self.cap.max(self.initial));
        let spread = self.spread[tries as usize % self.spread.len()];
        timeout + timeout * u32::from(spread) / (4 * 256)
    }
}

impl Flight {
    pub(crate) fn new(config: &Config, randomness: &mut Randomness) -> Self {
        let retransmission = &config.retransmission;
        let mut spread = [0; 16];
        if retransmission.jitter == Jitter::On && randomness.fill(&mut spread).is_err() {
            // A backend without randomness fails at the first hello anyway.
            spread = [0; 16];
        }
        Self {
            phase: Phase::Preparing,
            bytes: Vec::new(),
            items: Vec::new(),
            cursor: (0, 0),
            is_last: false,
            next_seq: 0,
            tries: 0,
            transmissions: 0,
            sent_at: None,
            round_trip_time: None,
            schedule: Schedule {
                initial: retransmission
                    .initial
                    .clamp(INITIAL_RANGE.0, INITIAL_RANGE.1),
                cap: retransmission.cap,
                tries: retransmission.tries,
                spread,
            },
            mtu: config.mtu,
            fallback_mtu: config.fallback_mtu,
        }
    }

    /// The peer's flight is complete: ours is answered, and the next one begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        // Sent more than once, nobody knows which of them was answered.
        if let (1, Some(sent_at)) = (self.transmissions, self.sent_at) {
            self.round_trip_time = Some(now.saturating_duration_since(sent_at));
        }
        self.phase = Phase::Preparing;
        self.bytes.clear();
        self.items.clear();
        self.is_last = false;
    }

    /// Adds a message and gives it back as the transcript has it: one fragment with its header.
    pub(crate) fn message(
        &mut self,
        epoch: Epoch,
        handshake_type: HandshakeType,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> &[u8] {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; HandshakeHeader::LEN]);
        encode(&mut self.bytes);
        let length = self.bytes.len() - start - HandshakeHeader::LEN;
        let header = HandshakeHeader::whole(handshake_type, self.next_seq, length as u32);
        self.next_seq = self.next_seq.wrapping_add(1);
        let range = start..self.bytes.len();
        self.items.push(Item::Message {
            epoch,
            range: range.clone(),
        });
        let message = &mut self.bytes[range];
        message[..HandshakeHeader::LEN].copy_from_slice(&header.to_bytes());
        message
    }

    pub(crate) fn change_cipher_spec(&mut self) {
        self.items.push(Item::ChangeCipherSpec);
    }

    /// The flight is prepared: it is sent, and sent again until it is answered.
    pub(crate) fn send(&mut self, now: Instant, timers: &mut TimerTable) {
        self.tries = 0;
        self.transmissions = 0;
        self.transmit(now, timers);
    }

    /// As [`Self::send`], but nothing will answer it.
    pub(crate) fn send_last(&mut self, now: Instant, timers: &mut TimerTable) {
        self.is_last = true;
        // It may be kept for minutes, and the flights before it were longer.
        self.bytes.shrink_to_fit();
        self.items.shrink_to_fit();
        self.send(now, timers);
    }

    /// The timer expired: sends again, if there are tries left.
    pub(crate) fn on_timeout(
        &mut self,
        now: Instant,
        timers: &mut TimerTable,
    ) -> Result<(), Error> {
        if self.tries >= self.schedule.tries {
            return Err(Error::HandshakeTimedOut);
        }
        self.transmit(now, timers);
        Ok(())
    }

    /// The peer repeats its flight, so ours may be lost: sends again, once per time-out. Says whether it does.
    pub(crate) fn on_peer_repeats(&mut self, now: Instant, timers: &mut TimerTable) -> bool {
        let idle = matches!(self.phase, Phase::Waiting | Phase::Finished);
        let rested = self
            .sent_at
            .is_none_or(|sent_at| now >= sent_at + self.schedule.timeout(self.tries));
        if !idle || !rested {
            return false;
        }
        self.tries = self.tries.saturating_sub(1);
        self.transmit(now, timers);
        true
    }

    fn transmit(&mut self, now: Instant, timers: &mut TimerTable) {
        self.tries += 1;
        self.transmissions += 1;
        self.phase = Phase::Sending;
        self.cursor = (0, 0);
        self.sent_at = Some(now);
        self.arm(timers);
    }

    fn arm(&self, timers: &mut TimerTable) {
        match self.sent_at {
            Some(sent_at) if !self.is_last => {
                timers.set(
                    Timer::Retransmit,
                    sent_at + self.schedule.timeout(self.tries),
                );
            }
            _ => timers.stop(Timer::Retransmit),
        }
    }

    /// The round-trip time of the path is known: twice it is the first time-out, also of a flight sent only once.
    pub(crate) fn set_rtt_hint(&mut self, rtt: Duration, timers: &mut TimerTable) {
        self.schedule.initial = rtt
            .saturating_mul(2)
            .clamp(INITIAL_RANGE.0, INITIAL_RANGE.1);
        self.rearm(timers);
    }

    pub(crate) fn set_cap(&mut self, cap: Duration, timers: &mut TimerTable) {
        self.schedule.cap = cap;
        self.rearm(timers);
    }

    fn rearm(&self, timers: &mut TimerTable) {
        if matches!(self.phase, Phase::Sending | Phase::Waiting) {
            self.arm(timers);
        }
    }

    pub(crate) fn set_mtu(&mut self, mtu: usize) {
        self.mtu = mtu;
    }

    /// The largest datagram that is written now.
    pub(crate) fn mtu(&self) -> usize {
        if self.transmissions > LOSSES_UNTIL_FALLBACK {
            self.mtu.min(self.fallback_mtu)
        } else {
            self.mtu
        }
    }

    /// Whether a handshake is under way.
    pub(crate) fn was_sent(&self) -> bool {
        self.sent_at.is_some()
    }

    /// The MTU as it was set, whatever time-outs say.
    pub(crate) fn path_mtu(&self) -> usize {
        self.mtu
    }

    /// The current time-out: the grace that other things are given too.
    pub(crate) fn timeout(&self) -> Duration {
        self.schedule.timeout(self.tries)
    }

    /// Of the newest flight that was sent once and answered.
    pub(crate) fn round_trip_time(&self) -> Option<Duration> {
        self.round_trip_time
    }

    /// Writes the next datagram of the flight into `out`, which holds [`Self::mtu`] bytes at least.
    pub(crate) fn write_datagram(
        &mut self,
        records: &mut RecordLayer,
        out: &mut [u8],
    ) -> Option<usize> {
        if self.phase != Phase::Sending {
            return None;
        }
        let mtu = self.mtu();
        let out = out.get_mut(..mtu)?;
        let mut used = 0;
        while let Some(item) = self.items.get(self.cursor.0) {
            let room = &mut out[used..];
            let written = match item {
                Item::ChangeCipherSpec => records
                    .seal(
                        Epoch::PLAINTEXT,
                        ContentType::ChangeCipherSpec,
                        [CHANGE_CIPHER_SPEC, &[]],
                        room,
                    )
                    .map(|sealed| (sealed.len, None)),
                Item::Message { epoch, range } => write_fragment(
                    records,
                    *epoch,
                    &self.bytes[range.clone()],
                    self.cursor.1,
                    room,
                ),
            };
            // The record or its least fragment does not fit any more: the next datagram takes it.
            let Ok((len, next_offset)) = written else {
                break;
            };
            used += len;
            self.cursor =
                next_offset.map_or((self.cursor.0 + 1, 0), |offset| (self.cursor.0, offset));
        }
        if self.cursor.0 == self.items.len() {
            self.phase = if self.is_last {
                Phase::Finished
            } else {
                Phase::Waiting
            };
        }
        (used > 0).then_some(used)
    }

    /// The peer's last flight is complete: nothing of ours will be asked for again.
    pub(crate) fn finish(&mut self, now: Instant, timers: &mut TimerTable) {
        self.begin(now);
        self.abandon(timers);
    }

    /// Nothing will be sent again: what was kept for it is let go.
    pub(crate) fn abandon(&mut self, timers: &mut TimerTable) {
        self.phase = Phase::Preparing;
        self.bytes = Vec::new();
        self.items = Vec::new();
        timers.stop(Timer::Retransmit);
    }
}

/// Writes one record with the fragment of `message` that starts at `offset` and fills `room`; says the length of the
/// record and where the next fragment starts, if there is one.
fn write_fragment(
    records: &mut RecordLayer,
    epoch: Epoch,
    message: &[u8],
    offset: usize,
    room: &mut [u8],
) -> Result<(usize, Option<usize>), SealError> {
    let (header, body) = message.split_at(HandshakeHeader::LEN);
    let rest = body.get(offset..).unwrap_or_default();
    let capacity = room
        .len()
        .min(records.overhead(epoch) + MAX_PLAINTEXT)
        .checked_sub(records.overhead(epoch) + HandshakeHeader::LEN)
        .filter(|capacity| *capacity >= rest.len().min(LEAST_FRAGMENT))
        .ok_or(SealError::BufferTooSmall)?;
    let fragment = &rest[..rest.len().min(capacity)];
    let header = HandshakeHeader::read(&mut Reader::new(header)).map_err(|_| SealError::TooLong)?;
    let header = HandshakeHeader {
        fragment_offset: offset as u32,
        fragment_length: fragment.len() as u32,
        ..header
    };
    let sealed = records.seal(
        epoch,
        ContentType::Handshake,
        [&header.to_bytes(), fragment],
        room,
    )?;
    let next = offset + fragment.len();
    Ok((sealed.len, (next < body.len()).then_some(next)))
}

#[cfg(test)]
impl Flight {
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Sends the message of this index in another epoch than it should be.
    pub(crate) fn move_to(&mut self, other: Epoch, index: usize) {
        if let Some(Item::Message { epoch, .. }) = self.items.get_mut(index) {
            *epoch = other;
        }
    }
}
