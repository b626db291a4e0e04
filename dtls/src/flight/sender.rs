//! What is known of the path and of our messages, whatever flight there is.

use std::num::NonZeroU32;
use std::time::Duration;

use super::pacing::FlightPacing;
use super::schedule::Schedule;
use super::sending::Tracking;
use crate::config::Config;
use crate::crypto::random::Randomness;

/// What outlives each flight, and is kept for good.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(super) tracking: Tracking,
    pub(super) pacing: FlightPacing,
    pub(super) mtu: u16,
    /// message_seq of the next message; wider than the wire's, so that it cannot wrap.
    pub(super) next_seq: u32,
    /// Microseconds, and one more.
    pub(super) round_trip_time: Option<NonZeroU32>,
    pub(super) schedule: Schedule,
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
