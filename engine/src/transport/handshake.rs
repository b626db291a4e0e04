//! When the handshake of a transport begins, what time it has, and how soon it repeats itself: what ICE knows of the path, and its
//! endpoint of whose turn it is.

use super::{
    Transport,
    associations::{Begins, Pace},
};
use floe_dtls as dtls;
use floe_ice::FiveTuple;
use std::time::{Duration, Instant};

/// How old the last answer may be on a path that works: consent is asked for every 4 to 6 s (RFC 7675 §5.1).
const FRESH_CONSENT: Duration = Duration::from_secs(6);

impl Transport {
    /// Begins the handshake that is to begin, if there is a path for it, and gives the path.
    pub(crate) fn start_handshake(&mut self, now: Instant) -> Option<FiveTuple> {
        if !self.dtls.wants_start() {
            return None;
        }
        let path = self.ice.usable_path()?;
        let rtt = self.round_trip_time(&path);
        let cap = self.dtls.retransmission_cap();
        self.dtls.start(now, rtt, cap);
        // A client speaks first, and has more to say than the peer's first check pays for.
        if self.dtls.current().side() == Some(dtls::Side::Client) && self.is_metered(&path) {
            self.ice.validate_path(now, path);
        }
        Some(path)
    }

    /// Whether a client's first flight, which costs it keys, waits for its endpoint's word.
    pub(crate) fn awaits_start(&self) -> bool {
        self.dtls.begins == Begins::InTurn
            && self.dtls.wants_start()
            && self.dtls.current().side() == Some(dtls::Side::Client)
            && self.ice.usable_path().is_some()
    }

    /// Whether the first handshake is still to be done.
    pub(crate) fn is_handshaking(&self) -> bool {
        let state = self.dtls.current().state();
        self.is_live() && matches!(state, dtls::State::New | dtls::State::Connecting)
    }

    /// Its endpoint says when a handshake begins.
    pub(crate) fn hold_handshake(&mut self) {
        self.dtls.begins = Begins::InTurn;
    }

    /// It begins by itself again: with what comes next, also where that is only consent that goes on.
    pub(crate) fn release_handshake(&mut self) {
        if self.dtls.begins != Begins::InTurn {
            return;
        }
        let holds_deadline = self.holds_deadline();
        self.dtls.begins = match holds_deadline {
            true => Begins::Released,
            false => Begins::ByItself,
        };
        if holds_deadline || self.dtls.wants_start() {
            self.dtls.set_pace(Pace::Patient);
        }
    }

    /// What its peer has said waits for its turn, and with it the time that the handshake may take.
    pub(crate) fn hold_deadline(&mut self) {
        self.dtls.current_mut().hold_deadline();
    }

    pub(crate) fn holds_deadline(&self) -> bool {
        self.dtls.current().holds_deadline()
    }

    /// The time that the handshake may take begins, or begins anew.
    pub(crate) fn begin_deadline(&mut self, now: Instant) {
        self.dtls.current_mut().begin_deadline(now);
    }

    /// Nobody holds the deadline any more that an endpoint held.
    pub(crate) fn resume_deadline(&mut self, now: Instant) {
        if self.dtls.begins == Begins::Released {
            self.dtls.begins = Begins::ByItself;
            self.begin_deadline(now);
        }
    }

    /// A flight lost on a path that works is repeated soon; on one that has stopped answering, with patience.
    pub(super) fn pace_dtls(&mut self, now: Instant) {
        let fresh = |age: Duration| age <= FRESH_CONSENT;
        self.dtls
            .set_pace(match self.ice.consent_age(now).is_some_and(fresh) {
                true => Pace::Soon,
                false => Pace::Patient,
            });
    }

    fn round_trip_time(&self, path: &FiveTuple) -> Option<Duration> {
        let pair = self.ice.selected_candidate_pair()?;
        pair.rtt.filter(|_| pair.path == *path)
    }
}
