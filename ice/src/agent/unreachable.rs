//! What routers say about our checks: ICMP errors, which anybody can forge (RFC 8445 §7.2.5.2.3, RFC 5927).

use std::time::Instant;

use floe_stun::TransactionId;

use super::{Agent, Received};
use crate::address::FiveTuple;
use crate::error::DropReason;
use crate::pair::PairState;
use crate::state::State;

impl Agent {
    /// The operating system reports that a datagram sent on `path` cannot be delivered (`ECONNREFUSED`, an entry of the
    /// error queue). `quoted` is what it gives back of the datagram: of a STUN message the first 20 bytes.
    ///
    /// A check under way fails without waiting for its time-out, if `quoted` names its transaction: who is not on the path
    /// cannot. A check that a triggered one has replaced fails nothing: the new one may get through where it did not. A pair that
    /// has succeeded is never failed by it, nor does consent end: only silence ends those.
    pub fn handle_unreachable(&mut self, now: Instant, path: FiveTuple, quoted: &[u8]) -> Received {
        let now = self.shared.config.clock.moment(now);
        if self.state == State::Closed {
            return self.refuse(DropReason::Closed);
        }
        let path = self.shared.canonical(path);
        let Some(id) = TransactionId::quoted(quoted) else {
            return self.refuse(DropReason::Malformed);
        };
        for generation in std::iter::once(&mut self.current).chain(self.previous.as_deref_mut()) {
            let checks = generation.checklist.under_way.checks();
            let mut counted = checks.iter().filter(|check| !check.cancelled);
            let Some(check) = counted.find(|check| check.transaction.id() == id) else {
                continue;
            };
            let pair = generation.checklist.get(check.pair);
            let Some(pair) = pair.filter(|pair| pair.path == path) else {
                continue;
            };
            if pair.state() == PairState::Succeeded {
                return self.refuse(DropReason::PairSucceeded);
            }
            let id = pair.id;
            generation.fail_pair(id);
            self.update(now);
            return Received::Handled;
        }
        self.refuse(DropReason::UnknownTransaction)
    }

    fn refuse(&mut self, reason: DropReason) -> Received {
        self.shared.stats.count(reason);
        Received::Dropped(reason)
    }
}
