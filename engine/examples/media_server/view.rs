//! What `GET /sessions` tells and the page shows: numbers, states and reasons, and never a password, a key, SDP or a session's URL (I63).
//!
//! ```json
//! {"server": {"ice_mode": "full", "candidates": ["127.0.0.1:10000"], "live": 1, "created": 1},
//!  "sessions": [{"id": "session-1", "age_ms": 5012.3, "connection": "connected", "timeline": [...], ...}]}
//! ```
//!
//! Sessions come newest first; ended ones stay for a while, with their `end_reason`. Times are milliseconds; `at_ms` counts from the
//! offer.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde::Serialize;

/// Entries of a time line; the oldest make room.
const TIMELINE: usize = 200;

/// The whole of `/sessions`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Overview {
    pub(crate) server: ServerView,
    pub(crate) sessions: Vec<SessionView>,
    pub(crate) calls: Vec<CallView>,
}

/// One call: the states of its machines, and its transports.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CallView {
    /// A public name; it opens nothing.
    pub(crate) id: String,
    /// Since the first envelope; of an ended call, until its end.
    pub(crate) age_ms: f64,
    /// Aggregate `connectionState`.
    pub(crate) connection: String,
    /// Aggregate `iceConnectionState`.
    pub(crate) ice_connection: String,
    /// Aggregate `iceGatheringState`.
    pub(crate) gathering: String,
    /// `signalingState`.
    pub(crate) signaling: String,
    /// What the negotiation is about.
    pub(crate) negotiation: String,
    /// Who yields when offers cross.
    pub(crate) role: String,
    /// The channel.
    pub(crate) link: String,
    /// The recovery.
    pub(crate) recovery: String,
    /// The names of the sections that were last agreed on, without those that were rejected.
    pub(crate) sections: Vec<String>,
    /// What was last agreed on, or is being negotiated, in order of the sections.
    pub(crate) transports: Vec<TransportView>,
    /// Why the call ended, for the log, and in public.
    pub(crate) close_reason: Option<String>,
    pub(crate) disconnect_reason: Option<String>,
    /// How the aggregate states come about, in sentences.
    pub(crate) explain: String,
    pub(crate) timeline: Vec<Entry>,
    /// Older entries that made room.
    pub(crate) timeline_dropped: u64,
}

/// One transport of a call.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TransportView {
    /// The section that carries it.
    pub(crate) mid: String,
    pub(crate) ice: String,
    pub(crate) dtls: String,
    pub(crate) ice_role: Option<&'static str>,
    pub(crate) selected_pair: Option<PairView>,
    pub(crate) dtls_side: Option<&'static str>,
    pub(crate) dtls_version: Option<String>,
    pub(crate) cipher_suite: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) media: MediaView,
    pub(crate) data: DataView,
}

/// The server itself.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerView {
    /// `full` or `lite`.
    pub(crate) ice_mode: &'static str,
    /// The addresses put into answers.
    pub(crate) candidates: Vec<String>,
    /// Sessions alive.
    pub(crate) live: usize,
    /// Sessions ever made.
    pub(crate) created: u64,
}

/// One session.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SessionView {
    /// A public name; it opens nothing.
    pub(crate) id: String,
    /// Since the offer; of an ended session, until its end.
    pub(crate) age_ms: f64,
    /// State of the ICE transport.
    pub(crate) ice: String,
    /// State of the DTLS transport.
    pub(crate) dtls: String,
    /// Aggregate `connectionState`.
    pub(crate) connection: String,
    /// Aggregate `iceConnectionState`.
    pub(crate) ice_connection: String,
    /// Aggregate `iceGatheringState`.
    pub(crate) gathering: String,
    pub(crate) ice_mode: &'static str,
    pub(crate) ice_role: Option<&'static str>,
    pub(crate) ice_restarts: u32,
    pub(crate) selected_pair: Option<PairView>,
    /// Of the selected pair's last checks.
    pub(crate) rtt_ms: Option<f64>,
    /// Since the other side last consented.
    pub(crate) consent_age_ms: Option<f64>,
    pub(crate) dtls_side: Option<&'static str>,
    pub(crate) dtls_version: Option<String>,
    pub(crate) cipher_suite: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) srtp_profile: Option<String>,
    /// Datagrams dropped, by reason.
    pub(crate) drops: BTreeMap<String, u64>,
    /// SRTP and SRTCP received.
    pub(crate) media: MediaView,
    /// Data channels, which carry back what they bring.
    pub(crate) data: DataView,
    /// Why the session ended; none while it lives.
    pub(crate) end_reason: Option<String>,
    /// How the aggregate states come about, in sentences.
    pub(crate) explain: String,
    pub(crate) timeline: Vec<Entry>,
    /// Older entries that made room.
    pub(crate) timeline_dropped: u64,
}

/// Addresses and types of the selected pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PairView {
    pub(crate) local: String,
    pub(crate) local_type: String,
    pub(crate) remote: String,
    pub(crate) remote_type: String,
}

/// Media is counted, not decoded.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct MediaView {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
}

/// Data channels, and the DTLS records under them.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct DataView {
    pub(crate) channels: u64,
    pub(crate) messages: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    pub(crate) at_ms: f64,
    /// `ice`, `dtls`, `connection`, `ice_connection`, `gathering`, `selected_pair`, `ice_restart`; of a call also `signaling`,
    /// `negotiation`, `link`, `recovery`, `drift` and `ended`.
    pub(crate) what: &'static str,
    /// The state before; none where there is no state.
    pub(crate) from: Option<String>,
    pub(crate) to: String,
    pub(crate) reason: Option<String>,
}

/// A session's history, bounded.
#[derive(Debug)]
pub(crate) struct Timeline {
    start: Instant,
    entries: VecDeque<Entry>,
    dropped: u64,
}

impl Timeline {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            entries: VecDeque::new(),
            dropped: 0,
        }
    }

    /// A change of state.
    pub(crate) fn change(
        &mut self,
        at: Instant,
        what: &'static str,
        from: impl ToString,
        to: impl ToString,
        reason: Option<String>,
    ) {
        self.push(at, what, Some(from.to_string()), to.to_string(), reason);
    }

    /// Something that happened.
    pub(crate) fn note(&mut self, at: Instant, what: &'static str, text: impl ToString) {
        self.push(at, what, None, text.to_string(), None);
    }

    fn push(
        &mut self,
        at: Instant,
        what: &'static str,
        from: Option<String>,
        to: String,
        reason: Option<String>,
    ) {
        if self.entries.len() == TIMELINE {
            self.entries.pop_front();
            self.dropped += 1;
        }
        self.entries.push_back(Entry {
            at_ms: milliseconds(self.age(at)),
            what,
            from,
            to,
            reason,
        });
    }

    /// Time since the start.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.iter().cloned().collect()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// Milliseconds to three digits.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::now;

    #[test]
    fn a_time_line_keeps_the_newest_entries_and_counts_the_rest() {
        let start = now();
        let mut timeline = Timeline::new(start);
        for n in 0..TIMELINE + 3 {
            timeline.note(start + Duration::from_millis(n as u64), "ice_restart", n);
        }
        let entries = timeline.entries();
        assert_eq!((entries.len(), timeline.dropped()), (TIMELINE, 3));
        assert_eq!((entries[0].to.as_str(), entries[0].at_ms), ("3", 3.0));
    }
}
