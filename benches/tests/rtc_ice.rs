//! floe's agent against `rtc-ice`, the agent of webrtc-rs without sockets, in virtual time, over good links and bad ones.

mod agents;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agents::{Credentials, Gathered, Side, Stranger, worlds};
use bytes::BytesMut;
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::candidate::candidate_server_reflexive::CandidateServerReflexiveConfig;
use rtc_ice::candidate::{Candidate, CandidateConfig, unmarshal_candidate};
use rtc_ice::crypto::default_provider;
use rtc_ice::mdns::MulticastDnsMode;
use rtc_ice::state::ConnectionState;
use rtc_ice::{Agent, AgentConfig};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;
use sim::Node;

struct Rtc {
    agent: Agent,
    side: Side,
    deadline: Option<Instant>,
}

fn config(address: SocketAddr) -> CandidateConfig {
    CandidateConfig {
        network: "udp".to_owned(),
        address: address.ip().to_string(),
        port: address.port(),
        component: 1,
        ..CandidateConfig::default()
    }
}

fn host(address: SocketAddr) -> Candidate {
    let config = CandidateHostConfig {
        base_config: config(address),
        ..CandidateHostConfig::default()
    };
    config.new_candidate_host().expect("a host candidate")
}

fn reflexive(mapped: SocketAddr, base: SocketAddr) -> Candidate {
    let config = CandidateServerReflexiveConfig {
        base_config: config(mapped),
        rel_addr: base.ip().to_string(),
        rel_port: base.port(),
        url: None,
    };
    config
        .new_candidate_server_reflexive()
        .expect("a candidate")
}

impl Rtc {
    /// After every input it may have another deadline, and be late already.
    fn note(&mut self, now: Instant) {
        while self.agent.poll_event().is_some() {}
        let later = now + Duration::from_millis(1);
        self.deadline = self.agent.poll_timeout().map(|at| at.max(later));
    }
}

impl Stranger for Rtc {
    fn new(side: Side, now: Instant) -> Self {
        let config = AgentConfig {
            is_controlling: side == Side::Controlling,
            multicast_dns_mode: MulticastDnsMode::Disabled,
            ..AgentConfig::default()
        };
        let provider = default_provider().expect("ring");
        Self {
            agent: Agent::new(now, Arc::new(config), provider).expect("an agent"),
            side,
            deadline: None,
        }
    }

    fn gather(&mut self, now: Instant, gathered: &Gathered) {
        let mapped = gathered
            .mapped
            .map(|mapped| reflexive(mapped, gathered.socket));
        for candidate in std::iter::once(host(gathered.socket)).chain(mapped) {
            self.agent
                .add_local_candidate(candidate)
                .expect("a candidate");
        }
        self.note(now);
    }

    fn credentials(&self) -> Credentials {
        let credentials = self.agent.get_local_credentials();
        (credentials.ufrag.clone(), credentials.pwd.clone())
    }

    fn candidates(&self) -> Vec<String> {
        let all = self.agent.get_local_candidates().iter();
        all.map(|candidate| format!("candidate:{}", candidate.marshal()))
            .collect()
    }

    fn learn(&mut self, now: Instant, (ufrag, password): Credentials, candidates: &[String]) {
        for candidate in candidates {
            let value = candidate.trim_start_matches("candidate:");
            let candidate = unmarshal_candidate(value).expect("a candidate");
            self.agent
                .add_remote_candidate(candidate)
                .expect("a candidate");
        }
        let controlling = self.side == Side::Controlling;
        self.agent
            .start_connectivity_checks(now, controlling, ufrag, password)
            .expect("credentials");
        self.note(now);
    }

    fn path(&self) -> Option<(SocketAddr, SocketAddr)> {
        let (local, remote) = self.agent.get_selected_candidate_pair()?;
        Some((local.base_addr(), remote.addr()))
    }

    fn is_connected(&self) -> bool {
        matches!(
            self.agent.state(),
            ConnectionState::Connected | ConnectionState::Completed
        )
    }
}

impl Node for Rtc {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local_addr: SocketAddr,
        peer_addr: SocketAddr,
        datagram: &mut [u8],
    ) {
        // What it does not like is an error to it.
        let _ = self.agent.handle_read(TransportMessage {
            now,
            transport: TransportContext {
                local_addr,
                peer_addr,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: BytesMut::from(&*datagram),
        });
        self.note(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now).expect("time passes");
        self.note(now);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        let transmit = self.agent.poll_write()?;
        let len = transmit.message.len();
        buf[..len].copy_from_slice(&transmit.message);
        let transport = transmit.transport;
        Some((transport.local_addr, transport.peer_addr, len))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
}

#[test]
fn it_and_floe_meet_in_every_world_as_it_meets_itself() {
    agents::meets_in_every_world::<Rtc>(&worlds());
}

#[test]
fn it_and_floe_meet_in_bad_weather() {
    agents::meets_in_bad_weather::<Rtc>(&worlds(), 0..4);
}
