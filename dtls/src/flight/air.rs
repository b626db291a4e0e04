//! A flight while it is prepared, in the air, or kept for whoever may ask for it.

use std::time::Instant;

use super::pacing::Copies;
use super::sending::{Cursor, Load};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Preparing,
    Sending,
    /// As many records as may be sent at a time were sent; there are more.
    Paused,
    Waiting,
    /// Nothing will answer it: it is sent again when the peer repeats its own.
    Answering,
}

/// A flight that is prepared or in the air.
#[derive(Debug, Default)]
pub(super) struct Air {
    pub(super) phase: Phase,
    /// message_seq of the first message.
    pub(super) first_seq: u16,
    pub(super) load: Load,
    pub(super) cursor: Cursor,
    /// Records that may still be written until the next pause.
    pub(super) burst: u16,
    /// Nothing answers it: a repetition of the peer's flight says that it is missing.
    pub(super) is_last: bool,
    /// How often it was sent because of the schedule, but for what was hurried.
    pub(super) tries: u32,
    /// How often it was sent again sooner than time-outs double, because the path works.
    pub(super) hurried: u32,
    /// How often it was sent and then lost, by our timer's or the peer's account.
    pub(super) losses: u16,
    /// How often it was sent for whatever reason.
    pub(super) transmissions: u16,
    pub(super) sent_at: Option<Instant>,
    /// The peer showed that it has the flight, in a way that needs no ACK.
    pub(super) has_arrived: bool,
    /// When the peer last asked for it by repeating its own.
    pub(super) repeated_at: Option<Instant>,
    pub(super) copies: Option<Box<Copies>>,
    pub(super) size: Size,
    /// When it is let go, whatever the peer may still ask for.
    pub(super) until: Option<Instant>,
}

/// How long datagrams are. A flight that was lost twice, by chance or for their length, goes out in both sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Size {
    /// As the path's MTU allows.
    #[default]
    Usual,
    /// As the fallback MTU allows: first, where bytes are rationed.
    Small,
}

impl Air {
    /// The next time-out is the first one again.
    pub(super) fn hasten(&mut self) {
        (self.tries, self.hurried) = (1, 0);
    }

    /// Begins at its start.
    pub(super) fn rewind(&mut self, size: Size) {
        (self.cursor, self.size) = (Cursor::default(), size);
    }

    /// Whether it is a last flight that waits for nothing: it may never be asked for.
    pub(super) fn is_at_rest(&self) -> bool {
        self.phase == Phase::Answering && self.copies.is_none()
    }

    /// Whether it has had its time.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether the peer may lack something of the handshake.
    pub(super) fn is_handshake_in_air(&self) -> bool {
        self.load.answers() && !self.has_arrived
    }

    /// All of it is written, nothing before `from`.
    pub(super) fn on_end(&mut self, from: Cursor) {
        // One datagram has the same size in both.
        if self.size == Size::Small && from != Cursor::default() {
            return self.rewind(Size::Usual);
        }
        self.phase = match self.is_last {
            true => Phase::Answering,
            false => Phase::Waiting,
        };
        if self.is_last || !self.load.answers() {
            // It may be kept for minutes, or is one of a connection that has all its keys.
            self.load.shrink();
        }
    }
}
