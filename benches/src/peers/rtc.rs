//! `rtc-ice`, the ICE agent of webrtc-rs without sockets.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::BytesMut;
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::candidate::{Candidate, CandidateConfig};
use rtc_ice::crypto::{RTCCryptoProvider, default_provider};
use rtc_ice::mdns::MulticastDnsMode;
use rtc_ice::state::ConnectionState;
use rtc_ice::{Agent, AgentConfig};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;

use super::{Credentials, Peer, Sent, Side, priority};

/// `rtc_ice::Agent` on `ring`, without mDNS.
pub struct Rtc {
    agent: Agent,
    side: Side,
}

static PROVIDER: LazyLock<Arc<dyn RTCCryptoProvider>> =
    LazyLock::new(|| default_provider().expect("ring"));

impl fmt::Debug for Rtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rtc").finish_non_exhaustive()
    }
}

fn candidate(index: usize, address: SocketAddr) -> Candidate {
    let base_config = CandidateConfig {
        network: "udp".to_owned(),
        address: address.ip().to_string(),
        port: address.port(),
        component: 1,
        priority: priority(index),
        ..CandidateConfig::default()
    };
    let config = CandidateHostConfig {
        base_config,
        ..CandidateHostConfig::default()
    };
    config.new_candidate_host().expect("a host candidate")
}

impl Peer for Rtc {
    const NAME: &'static str = "rtc-ice 0.21.1";

    fn new(side: Side, _: u64, now: Instant, sockets: &[SocketAddr]) -> Self {
        let config = AgentConfig {
            is_controlling: side == Side::Controlling,
            multicast_dns_mode: MulticastDnsMode::Disabled,
            ..AgentConfig::default()
        };
        let mut agent = Agent::new(now, Arc::new(config), PROVIDER.clone()).expect("an agent");
        for (index, socket) in sockets.iter().enumerate() {
            agent
                .add_local_candidate(candidate(index, *socket))
                .expect("a host candidate");
        }
        Self { agent, side }
    }

    fn credentials(&self) -> Credentials {
        let credentials = self.agent.get_local_credentials();
        Credentials {
            ufrag: credentials.ufrag.clone(),
            password: credentials.pwd.clone(),
        }
    }

    fn learn(&mut self, now: Instant, remote: &Credentials, addresses: &[SocketAddr]) {
        for (index, address) in addresses.iter().enumerate() {
            self.agent
                .add_remote_candidate(candidate(index, *address))
                .expect("a host candidate");
        }
        let controlling = self.side == Side::Controlling;
        let (ufrag, password) = (remote.ufrag.clone(), remote.password.clone());
        self.agent
            .start_connectivity_checks(now, controlling, ufrag, password)
            .expect("credentials");
    }

    fn receive(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr, datagram: &[u8]) {
        // An unauthenticated datagram is an error to it.
        let _ = self.agent.handle_read(TransportMessage {
            now,
            transport: TransportContext {
                local_addr: local,
                peer_addr: remote,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: BytesMut::from(datagram),
        });
    }

    fn wake(&mut self, now: Instant) {
        self.agent.handle_timeout(now).expect("time passes");
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    fn transmit(&mut self, _: Instant, buf: &mut [u8]) -> Option<Sent> {
        let transmit = self.agent.poll_write()?;
        let len = transmit.message.len();
        buf[..len].copy_from_slice(&transmit.message);
        Some(Sent {
            local: transmit.transport.local_addr,
            remote: transmit.transport.peer_addr,
            len,
        })
    }

    fn take_events(&mut self) {
        while self.agent.poll_event().is_some() {}
    }

    fn is_usable(&self) -> bool {
        matches!(
            self.agent.state(),
            ConnectionState::Connected | ConnectionState::Completed
        )
    }

    fn is_selected(&self) -> bool {
        self.agent.get_selected_candidate_pair().is_some()
    }
}
