//! How long a handshake takes where datagrams get lost: 50 ms one way, inside a transport (RFC 9147 §5.8.2).
//!
//! The clock is virtual and every fate comes from a seed, so the figures are the same on every machine. `--nocapture`
//! prints them.
//!
//! Records of DTLS 1.3 that overtake the ServerHello have no keys yet and are dropped: keeping them would be memory for
//! whoever sends them (T32), and these figures do not need it.

mod common;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::ends::*;
use common::*;
use floe_dtls::*;
use sim::{Clock, Link};

const SEEDS: u64 = 1000;

/// An identity whose signatures always have the same length, so that all flights have.
fn ed25519() -> Arc<Identity> {
    static IDENTITY: OnceLock<Arc<Identity>> = OnceLock::new();
    let load = || loaded(include_str!("data/ed25519.pem"));
    IDENTITY.get_or_init(load).clone()
}

const MANY: [NamedGroup; 2] = [NamedGroup::X25519MLKEM768, NamedGroup::X25519];

#[derive(Clone, Copy, Debug)]
struct Scenario {
    version: ProtocolVersion,
    /// Whether the ClientHello takes two datagrams.
    post_quantum: bool,
    loss: f64,
}

impl Scenario {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for version in [ProtocolVersion::DTLS1_2, ProtocolVersion::DTLS1_3] {
            for post_quantum in [false, true] {
                for loss in [0.0, 0.1, 0.3] {
                    all.push(Self {
                        version,
                        post_quantum,
                        loss,
                    });
                }
            }
        }
        all
    }

    /// The post-quantum ClientHello always offers DTLS 1.3; the other end may have none.
    fn config(self, host: u8) -> Config {
        let mut config = Config::new(ed25519());
        config.max_version = match host {
            CLIENT if self.post_quantum => ProtocolVersion::DTLS1_3,
            _ => self.version,
        };
        if self.post_quantum {
            config.backend = CryptoBackend::AwsLcRs;
            config.groups = MANY.to_vec();
        }
        config
    }

    /// Until both are connected; `None` if one fails.
    fn run(self, seed: u64) -> Option<Duration> {
        let mut ends = Ends::with_identities(ed25519(), ed25519());
        (ends.client, ends.server) = (self.config(CLIENT), self.config(SERVER));
        let mut pair = ends.meet(seed);
        pair.network.set_links(Link {
            loss: self.loss,
            ..slow_link()
        });
        for peer in [&mut pair.a, &mut pair.b] {
            peer.dtls.set_rtt_hint(Duration::from_millis(100));
            peer.dtls.set_retransmission_cap(Duration::from_millis(800));
        }
        start(&mut pair);
        pair.drive_until(|a, b| {
            (a.is_connected() && b.is_connected()) || a.is_over() || b.is_over()
        });
        assert!(
            pair.a.is_over() || pair.a.dtls.version() == Some(self.version) || pair.b.is_over()
        );
        let connected = pair.a.has_connected() && pair.b.has_connected();
        connected.then(|| pair.now() - Clock::epoch())
    }
}

/// The quantile of sorted times.
fn quantile(times: &[Duration], of_a_thousand: usize) -> Duration {
    times[(times.len() * of_a_thousand).div_ceil(1000) - 1]
}

fn table(scenarios: &[Scenario], seeds: u64) {
    let mut late = Vec::new();
    println!("version   ClientHello      loss  failed     p50     p90     p99     max");
    for scenario in scenarios {
        let times: Vec<_> = (0..seeds).map(|seed| scenario.run(seed)).collect();
        let mut took: Vec<Duration> = times.iter().flatten().copied().collect();
        took.sort_unstable();
        let failed = times.len() - took.len();
        let [p50, p90, p99, max] = [500, 900, 990, 1000].map(|of| quantile(&took, of));
        println!(
            "{:<9} {:<15} {:>4} % {:>7} {:>5} ms {:>4} ms {:>4} ms {:>4} ms",
            scenario.version.to_string(),
            if scenario.post_quantum {
                "two datagrams"
            } else {
                "one datagram"
            },
            scenario.loss * 100.0,
            failed,
            p50.as_millis(),
            p90.as_millis(),
            p99.as_millis(),
            max.as_millis(),
        );
        let bound = match scenario.loss {
            loss if loss > 0.2 => Duration::from_secs(4),
            loss if loss > 0.0 => Duration::from_millis(1500),
            _ => Duration::from_millis(200),
        };
        if failed > 0 || p99 > bound {
            late.push(*scenario);
        }
    }
    assert!(late.is_empty(), "{late:?}");
}

// req: T53
#[test]
fn a_lossy_path_delays_a_thousand_handshakes_by_seconds_at_most() {
    table(&Scenario::all(), SEEDS);
}
