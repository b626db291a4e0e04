//! The time that a handshake may take, and that a caller may hold who lets what the peer has said wait.

use std::time::Instant;

use super::{Connection, Phase};
use crate::timer::Timer;

impl Connection {
    /// What the peer has said waits for its turn with the caller, and so does the time that the handshake may take
    /// ([`Retransmission::deadline`](crate::Retransmission::deadline)): it does not pass until
    /// [`begin_deadline`](Self::begin_deadline). May come before [`start`](Self::start); no effect after the handshake.
    pub fn hold_deadline(&mut self) {
        if let Some(opening) = self.affairs.opening_mut() {
            opening.holds_deadline = true;
        }
        if let Some(work) = self.affairs.work_mut() {
            work.timers.stop(Timer::Handshake);
        }
    }

    /// The time that the handshake may take begins, or begins anew: now if it is under way, else with it.
    pub fn begin_deadline(&mut self, now: Instant) {
        if let Some(opening) = self.affairs.opening_mut() {
            opening.holds_deadline = false;
        }
        if let Phase::Client(_) | Phase::Server(_) = self.phase {
            let deadline = self.config.retransmission.deadline;
            let timers = &mut self.work().timers;
            timers.set_after(Timer::Handshake, now, deadline);
        }
    }

    /// Whether the time that the handshake may take waits for [`begin_deadline`](Self::begin_deadline).
    #[must_use]
    pub fn holds_deadline(&self) -> bool {
        let opening = self.affairs.opening();
        opening.is_some_and(|opening| opening.holds_deadline)
    }
}
