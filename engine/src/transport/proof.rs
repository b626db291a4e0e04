//! What is sent to a path on which nobody has proven to receive: no more than what comes from there pays for (I56).

use super::{Transport, meter::Meter};
use floe_dtls as dtls;
use floe_ice::{self as ice, FiveTuple};
use std::time::Instant;

impl Transport {
    pub(super) fn meter(&mut self) -> Option<&mut Meter> {
        self.dtls.rare.live()?.meter.as_mut()
    }

    /// Whether what is sent is paid for by what comes (I56).
    pub(crate) fn is_metering(&self) -> bool {
        self.dtls.rare.meter.is_some()
    }

    /// Whether what is sent to `path` is metered (I56).
    pub(super) fn is_metered(&self, path: &FiveTuple) -> bool {
        self.dtls.rare.closing.as_ref() != Some(path) && self.ice.awaits_proof(path)
    }

    /// Something came from `path`: it counts if that path is metered.
    pub(super) fn meter_at(&mut self, path: &FiveTuple, count: impl FnOnce(&mut Meter, FiveTuple)) {
        if self.ice.mode() != ice::Mode::Lite {
            return;
        }
        // As it is sent there: it may have arrived at one of the addresses of a wildcard.
        let path = self.ice.path_of_base(*path);
        // Once connected, only the path in use can have anything to send to.
        let connected = self.dtls.current().state() == dtls::State::Connected;
        let used = !connected || self.dtls_path() == Some(path);
        if used && self.is_metered(&path) {
            count(self.dtls.rare.facts().meter.get_or_insert_default(), path);
        }
    }

    /// Whether this datagram of DTLS may go; else it is held until more has come from there, or the path is proven.
    pub(super) fn may_go(&mut self, path: &FiveTuple, datagram: &[u8]) -> bool {
        let metered = self.is_metered(path);
        let connected = self.dtls.current().state() == dtls::State::Connected;
        if metered {
            self.dtls.rare.facts().meter.get_or_insert_default();
        }
        let Some(meter) = self.dtls.rare.live().and_then(|rare| rare.meter.as_mut()) else {
            return true;
        };
        let spare = || self.ice.spend_check(path);
        if metered && !meter.takes(path, datagram.len(), spare) {
            meter.hold(datagram);
            return false;
        }
        if !connected {
            meter.on_handshake(*path);
        }
        true
    }

    /// Has a lite transport prove that its peer is at the other end of `path`, by a check of its own; a full one does so anyhow.
    /// For a path that another transport lives on, which only proof wins over: an endpoint asks for it itself, a
    /// dispatcher where two [shards](crate::steering) have learned the same path.
    pub fn validate_path(&mut self, now: Instant, path: FiveTuple) {
        self.ice.validate_path(now, path);
        self.settle(now);
    }

    /// What the handshake has proven by its end; and where more is to go than may, an own check for proof.
    pub(super) fn settle_proof(&mut self, now: Instant) {
        let Some(meter) = &self.dtls.rare.meter else {
            return;
        };
        let connected = self.dtls.current().state() == dtls::State::Connected;
        if let Some(path) = meter.proven_by_handshake().filter(|_| connected) {
            self.ice.set_path_validated(path);
        }
        let holds = meter.holds();
        let Some(path) = self.dtls_path() else { return };
        if !self.is_metered(&path) {
            if connected && !holds {
                self.dtls.rare.facts().meter = None;
                self.dtls.rare.tidy();
            }
        } else if holds || connected {
            self.ice.validate_path(now, path);
        }
    }

    /// A handshake that repeats itself to a path without proof will soon be at its limit there.
    pub(super) fn prove_repeated(&mut self, now: Instant) {
        if self.is_metering()
            && let Some(path) = self.dtls_path()
            && self.is_metered(&path)
        {
            self.ice.validate_path(now, path);
        }
    }
}
