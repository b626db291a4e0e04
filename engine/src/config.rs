//! What the caller can choose, with the defaults.

use crate::steering::{self, Sharding};
use floe_dtls as dtls;
use floe_ice as ice;
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// What the transports of an endpoint share.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportConfig {
    /// Timers, nomination and caps of the ICE agents.
    pub ice: Arc<ice::Config>,
    /// Identity, suites and timers of the DTLS connections.
    pub dtls: Arc<dtls::Config>,
    /// The most DTLS time-outs double up to while the path has fresh consent: a lost flight is then the path's loss, not its
    /// absence. Default: 800 ms.
    pub dtls_retransmission_cap: Duration,
}

impl TransportConfig {
    /// These configurations, and defaults for the rest.
    #[must_use]
    pub fn new(ice: Arc<ice::Config>, dtls: Arc<dtls::Config>) -> Self {
        Self {
            ice,
            dtls,
            dtls_retransmission_cap: Duration::from_millis(800),
        }
    }

    /// The longest datagram a transport writes, in bytes: what the buffer of `poll_transmit` must hold.
    #[must_use]
    pub fn mtu(&self) -> usize {
        longest_datagram(&self.ice, &self.dtls)
    }
}

pub(crate) fn longest_datagram(ice: &ice::Config, dtls: &dtls::Config) -> usize {
    ice.mtu.max(dtls.mtu).max(MIN_BUFFER)
}

/// What is particular to one transport.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// Full or lite ICE.
    pub mode: ice::Mode,
    /// Which side made the first offer.
    pub initiation: ice::Initiation,
    /// This side's `a=setup`: `ActPass` in an offer, `Active` or `Passive` in an answer.
    pub setup: dtls::Setup,
    /// The certificate fingerprints the peer signalled, or that they come later.
    pub remote_identity: dtls::RemoteIdentity,
    /// This side's credentials, with a username fragment of the caller's choice. `None`: all generated.
    pub local_parameters: Option<ice::LocalParameters>,
}

/// How an endpoint behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// What its transports share.
    pub transport: TransportConfig,
    /// The most transports at one time. Default: 1 000 000.
    pub max_transports: usize,
    /// The most 5-tuples that one transport may hold. Default: 32.
    pub max_paths: usize,
    /// How long checks for a closed session are answered with 403. Default, and at most: 30 s.
    pub farewell: Duration,
    /// The most closed sessions remembered for that. Default: 10 000.
    pub max_farewells: usize,
    /// How often [`Outcome::UnknownUfrag`](crate::Outcome::UnknownUfrag) is reported, from everywhere together; half of the burst
    /// is kept for networks that were not heard of lately. What is over it is dropped and counted
    /// ([`DropReason::UnknownUfrag`](crate::DropReason::UnknownUfrag)). Default: 1000 per second, 1000 at once.
    pub unknown_ufrags: Rate,
    /// And for the network that a check came from: an IPv4 /24, an IPv6 /48. Default: 20 per second, 50 at once.
    pub unknown_ufrags_per_network: Rate,
    /// The time between two ordinary checks of all its transports together (RFC 8445 §14.2: for a host never less than 5 ms), in
    /// which they take turns; [`pacer`](crate::Endpoint::pacer) has the slots for who gathers beside them. Triggered,
    /// nominating and consent checks are answers to somebody and never wait for it. Default: `None`, each transport keeps to its
    /// own Ta alone, which is what a server of thousands has to do and deviates from the RFC; 5 ms in
    /// [`EndpointConfig::client`]. If [`ice::Config::pacer`] is set, that one counts.
    pub check_pacing: Option<Duration>,
    /// How many DTLS handshakes may have datagrams that wait for [`handle_handshake`](crate::Endpoint::handle_handshake), which
    /// does them oldest handshake first, when the caller has nothing better to do: 8 datagrams of each, 20 000 bytes together. Of
    /// more, those of the youngest are dropped and counted
    /// ([`DropReason::TooManyHandshakes`](crate::DropReason::TooManyHandshakes)), and their peers repeat them. So a storm of
    /// clients holds up no live session's consent, and those of them that never finish hold up nobody. The
    /// time that a handshake may take ([`dtls::Retransmission::deadline`]) begins with its first turn. Default: `None`, handshakes go on
    /// as their datagrams arrive.
    pub waiting_handshakes: Option<usize>,
    /// Its place among the endpoints behind the same sockets. It makes up the username fragments that name it, whatever
    /// [`ice::Config::username_fragments`] says, and holds 2²² transports at most. Default: `None`, it is alone.
    pub sharding: Option<Sharding>,
    /// The TURN servers in use: channel data is taken from nobody else. Default: none.
    pub turn_servers: Vec<SocketAddr>,
}

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run, each second. 0: never.
    pub per_second: u32,
    /// At once, after a pause. 0: never.
    pub burst: u32,
}

impl EndpointConfig {
    /// The longest that a closed session is remembered.
    pub const MAX_FAREWELL: Duration = Duration::from_secs(30);

    /// This configuration for the transports, and defaults for the rest.
    #[must_use]
    pub fn new(transport: TransportConfig) -> Self {
        Self {
            transport,
            max_transports: 1_000_000,
            max_paths: 32,
            farewell: Self::MAX_FAREWELL,
            max_farewells: 10_000,
            unknown_ufrags: Rate {
                per_second: 1000,
                burst: 1000,
            },
            unknown_ufrags_per_network: Rate {
                per_second: 20,
                burst: 50,
            },
            check_pacing: None,
            waiting_handshakes: None,
            sharding: None,
            turn_servers: Vec::new(),
        }
    }

    /// [`new`](Self::new) for who is a client and no server: with the pace of checks that RFC 8445 §14.2 has for a host, a new one
    /// every 5 ms.
    #[must_use]
    pub fn client(transport: TransportConfig) -> Self {
        Self {
            check_pacing: Some(Duration::from_millis(5)),
            ..Self::new(transport)
        }
    }

    /// What follows from it for the transports and for other values.
    pub(crate) fn applied(mut self) -> Self {
        let mut ice = ice::Config::clone(&self.transport.ice);
        if let Some(interval) = self.check_pacing {
            ice.pacer
                .get_or_insert_with(|| Arc::new(ice::Pacer::new(interval)));
        }
        if let Some(Sharding { steering, shard }) = &self.sharding {
            self.max_transports = self.max_transports.min(steering::MAX_SLOTS);
            // Each shard has its thread, and none waits for another's lock.
            ice.probes = ice.probes.as_deref().map(|p| Arc::new(p.another()));
            ice.username_fragments = ice::UsernameFragments::Routable {
                routable: steering.ufrags().clone(),
                number: shard.number().into(),
            };
        }
        if self.check_pacing.is_some() || self.sharding.is_some() {
            self.transport.ice = Arc::new(ice);
        }
        self
    }
}

/// What the longest STUN message of an agent needs, in bytes, whatever the MTU.
const MIN_BUFFER: usize = 640;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::Steering;
    use std::time::Instant;

    #[test]
    fn shards_of_one_configuration_do_not_wait_for_each_other_when_they_probe() {
        let identity = dtls::Identity::generate().expect("an identity");
        let dtls = dtls::Config::new(Arc::new(identity));
        let transport = TransportConfig::new(Arc::default(), Arc::new(dtls));
        let steering = Arc::new(Steering::new([7; 32], 2));
        #[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
        let now = Instant::now();
        let slots = steering.shards().map(|shard| {
            let mut config = EndpointConfig::new(transport.clone());
            let steering = steering.clone();
            config.sharding = Some(Sharding { steering, shard });
            let probes = config.applied().transport.ice.probes.clone();
            let probes = probes.expect("there is a pace by default");
            let free = |_: &i32| probes.try_reserve(now, Duration::from_millis(10));
            (0..100).filter(free).count()
        });
        let slots: Vec<usize> = slots.collect();
        assert_eq!(slots, [10, 10], "one each millisecond, for each");
    }
}
