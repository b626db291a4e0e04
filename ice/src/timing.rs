//! Every timer in one struct, with presets, changeable while an agent lives (I24).

use std::time::Duration;

use crate::candidate::CandidateType;
use crate::config::{MAX_WAIT, MIN_PACING};

/// How long an agent waits for what. No wait is longer than a year: what is longer counts as one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// Ta, the time between two new checks (RFC 8445 §14.2); the larger of ours and the peer's counts. Default: 50 ms,
    /// less than 5 ms counts as 5 ms.
    pub pacing: Duration,
    /// The least first wait for the answer to a check (RFC 8445 §14.3). Default: 500 ms.
    pub rto: Duration,
    /// The most that the first wait grows with the number of pairs. Default: 3 s.
    pub max_rto: Duration,
    /// Rc, how often a check is sent in all (RFC 8489 §6.2.1). Default: 7.
    pub transmissions: u32,
    /// Rm, how many RTOs to wait after the last (RFC 8489 §6.2.1). Default: 16.
    pub last_wait: u32,
    /// The time the peer's checks get to arrive, even if nothing of ours works, before `failed` (RFC 8863 §4).
    /// Default: 39.5 s.
    pub patience: Duration,
    /// Remote candidates count as complete when none came for this long although nobody said so, because many peers
    /// never do. `None`: without end-of-candidates never `failed`, as W3C has it. Default: 39.5 s.
    pub end_of_candidates: Option<Duration>,
    /// How long the controlling agent waits for better pairs.
    pub acceptance: AcceptanceWaits,
    /// The mean time between consent checks; each varies by ±20 % (RFC 7675 §5.1). Default: 5 s.
    pub consent_interval: Duration,
    /// Consent ends this long after the last response (RFC 7675 §5.1). Default: 30 s.
    pub consent_timeout: Duration,
    /// How many consent checks in a row go unanswered before `disconnected`. Default: 3.
    pub disconnected_misses: u32,
    /// And for how long at least, counted from the first of them. Default: 5 s.
    pub disconnected_after: Duration,
    /// How often to probe a path that is `disconnected`. Default: 1 s.
    pub disconnected_probe: Duration,
    /// A lite agent that got no request for this long is `disconnected`. Default: 10 s.
    pub lite_disconnected_after: Duration,
    /// And for this long, has lost consent. Default: 30 s.
    pub lite_timeout: Duration,
    /// How long an old generation still answers after a restart has been confirmed. Default: 5 s.
    pub generation_linger: Duration,
}

impl Default for Timing {
    /// RFC 8445, RFC 7675 and RFC 8863.
    fn default() -> Self {
        Self {
            pacing: Duration::from_millis(50),
            rto: Duration::from_millis(500),
            max_rto: Duration::from_secs(3),
            transmissions: 7,
            last_wait: 16,
            patience: Duration::from_millis(39_500),
            end_of_candidates: Some(Duration::from_millis(39_500)),
            acceptance: AcceptanceWaits::default(),
            consent_interval: Duration::from_secs(5),
            consent_timeout: Duration::from_secs(30),
            disconnected_misses: 3,
            disconnected_after: Duration::from_secs(5),
            disconnected_probe: Duration::from_secs(1),
            lite_disconnected_after: Duration::from_secs(10),
            lite_timeout: Duration::from_secs(30),
            generation_linger: Duration::from_secs(5),
        }
    }
}

impl Timing {
    /// Ta with a peer that asks for `remote`: the larger counts, and never less than 5 ms (RFC 8445 §14.2).
    pub(crate) fn pacing_with(&self, remote: Option<Duration>) -> Duration {
        self.pacing.max(remote.unwrap_or_default()).max(MIN_PACING)
    }

    /// With no wait longer than a year.
    pub(crate) fn bounded(mut self) -> Self {
        let waits = [
            &mut self.pacing,
            &mut self.rto,
            &mut self.max_rto,
            &mut self.patience,
            &mut self.acceptance.host,
            &mut self.acceptance.server_reflexive,
            &mut self.acceptance.peer_reflexive,
            &mut self.acceptance.relayed,
            &mut self.consent_interval,
            &mut self.consent_timeout,
            &mut self.disconnected_after,
            &mut self.disconnected_probe,
            &mut self.lite_disconnected_after,
            &mut self.lite_timeout,
            &mut self.generation_linger,
        ];
        for wait in waits.into_iter().chain(&mut self.end_of_candidates) {
            *wait = MAX_WAIT.min(*wait);
        }
        self
    }

    /// libwebrtc's pace: a check every 48 ms, a first wait of 250 ms, probes every 480 ms. Deviates from RFC 8445 §14.3
    /// (RTO below 500 ms) as browsers do.
    pub fn webrtc() -> Self {
        Self {
            pacing: Duration::from_millis(48),
            rto: Duration::from_millis(250),
            disconnected_probe: Duration::from_millis(480),
            ..Self::default()
        }
    }

    /// Few packets for a device that sleeps: consent every 10 s, `disconnected` after two misses and 15 s.
    pub fn low_power() -> Self {
        Self {
            pacing: Duration::from_millis(100),
            consent_interval: Duration::from_secs(10),
            disconnected_misses: 2,
            disconnected_after: Duration::from_secs(15),
            disconnected_probe: Duration::from_secs(3),
            ..Self::default()
        }
    }

    /// LiveKit's figures: probes every 2 s, `disconnected` after 10 s, `failed` 5 s later. The 2 s deviate from the 4 s
    /// that RFC 7675 §5.1 asks for at least.
    pub fn livekit() -> Self {
        Self {
            consent_interval: Duration::from_secs(2),
            consent_timeout: Duration::from_secs(15),
            disconnected_after: Duration::from_secs(10),
            lite_disconnected_after: Duration::from_secs(10),
            lite_timeout: Duration::from_secs(15),
            ..Self::default()
        }
    }
}

/// How long after the checks began a pair of each type may be nominated. A pair's type is the worse of its two
/// candidates'. A wait ends early when no better pair is left untested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptanceWaits {
    /// Default: 0.
    pub host: Duration,
    /// Default: 500 ms.
    pub server_reflexive: Duration,
    /// Default: 1 s.
    pub peer_reflexive: Duration,
    /// Default: 2 s.
    pub relayed: Duration,
}

impl Default for AcceptanceWaits {
    fn default() -> Self {
        Self {
            host: Duration::ZERO,
            server_reflexive: Duration::from_millis(500),
            peer_reflexive: Duration::from_secs(1),
            relayed: Duration::from_secs(2),
        }
    }
}

impl AcceptanceWaits {
    /// The wait of a pair with these two ends.
    pub fn of(&self, local: CandidateType, remote: CandidateType) -> Duration {
        let wait = |kind| match kind {
            CandidateType::Host => self.host,
            CandidateType::ServerReflexive => self.server_reflexive,
            CandidateType::PeerReflexive => self.peer_reflexive,
            CandidateType::Relayed => self.relayed,
        };
        wait(local).max(wait(remote))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: I24
    #[test]
    fn presets_are_what_they_say() {
        let ms = Duration::from_millis;
        let (webrtc, low, livekit) = (Timing::webrtc(), Timing::low_power(), Timing::livekit());
        assert_eq!(
            (webrtc.pacing, webrtc.disconnected_probe, webrtc.rto),
            (ms(48), ms(480), ms(250))
        );
        assert!(low.consent_interval > Timing::default().consent_interval);
        assert!(
            low.consent_interval * 12 / 10 < low.consent_timeout / 2,
            "a lost check is not the end"
        );
        assert_eq!(livekit.disconnected_after, ms(10_000));
        assert_eq!(livekit.consent_timeout, ms(15_000));
        assert_eq!(livekit.consent_interval, ms(2_000));
    }

    // req: I10
    #[test]
    fn a_pair_waits_as_long_as_the_worse_of_its_ends() {
        use CandidateType::{Host, PeerReflexive, Relayed, ServerReflexive};
        let waits = AcceptanceWaits::default();
        let table = [
            (Host, Host, 0),
            (Host, ServerReflexive, 500),
            (PeerReflexive, Host, 1000),
            (ServerReflexive, PeerReflexive, 1000),
            (Relayed, Host, 2000),
            (PeerReflexive, Relayed, 2000),
        ];
        for (local, remote, wait) in table {
            assert_eq!(
                waits.of(local, remote),
                Duration::from_millis(wait),
                "{local} {remote}"
            );
        }
    }
}
