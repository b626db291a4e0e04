//! floe's agent against `is`, the agent of str0m, in virtual time, over good links and bad ones.

mod agents;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use agents::{Credentials, Gathered, Side, Stranger, worlds};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};
use sim::Node;

struct Is {
    agent: IceAgent,
    /// What it signals besides its host candidate.
    reflexive: Option<Candidate>,
    path: Option<(SocketAddr, SocketAddr)>,
    deadline: Option<Instant>,
}

impl Is {
    /// After every input: it may have something to say, and another deadline.
    fn note(&mut self, now: Instant) {
        while let Some(event) = self.agent.poll_event() {
            if let IceAgentEvent::NominatedSend {
                source,
                destination,
                ..
            } = event
            {
                self.path = Some((source, destination));
            }
        }
        let later = now + Duration::from_millis(1);
        self.deadline = self.agent.poll_timeout().map(|at| at.max(later));
    }
}

impl Stranger for Is {
    fn new(side: Side, now: Instant) -> Self {
        let mut agent = IceAgent::new(IceCreds::new());
        agent.set_controlling(side == Side::Controlling);
        agent.handle_timeout(now);
        Self {
            agent,
            reflexive: None,
            path: None,
            deadline: None,
        }
    }

    fn gather(&mut self, now: Instant, gathered: &Gathered) {
        let socket = gathered.socket;
        let host = Candidate::host(socket, Protocol::Udp).expect("a host candidate");
        self.agent.add_local_candidate(host);
        // It is signalled and not added: one sends from its base.
        self.reflexive = gathered.mapped.map(|mapped| {
            Candidate::server_reflexive(mapped, socket, Protocol::Udp).expect("a candidate")
        });
        self.note(now);
    }

    fn credentials(&self) -> Credentials {
        let credentials = self.agent.local_credentials();
        (credentials.ufrag.clone(), credentials.pass.clone())
    }

    fn candidates(&self) -> Vec<String> {
        let all = self.agent.local_candidates().chain(self.reflexive.clone());
        all.map(|candidate| candidate.to_sdp_string()).collect()
    }

    fn learn(&mut self, now: Instant, (ufrag, pass): Credentials, candidates: &[String]) {
        self.agent.set_remote_credentials(IceCreds { ufrag, pass });
        for candidate in candidates {
            let candidate = Candidate::from_sdp_string(candidate).expect("a candidate");
            self.agent.add_remote_candidate(candidate);
        }
        self.agent.handle_timeout(now);
        self.note(now);
    }

    fn path(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.path
    }

    fn is_connected(&self) -> bool {
        self.agent.state().is_connected()
    }
}

impl Node for Is {
    fn handle_datagram(
        &mut self,
        now: Instant,
        destination: SocketAddr,
        source: SocketAddr,
        datagram: &mut [u8],
    ) {
        let Ok(message) = StunMessage::parse(datagram) else {
            return;
        };
        self.agent.handle_packet(
            now,
            StunPacket {
                proto: Protocol::Udp,
                source,
                destination,
                message,
            },
        );
        self.note(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
        self.note(now);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        let transmit = self.agent.poll_transmit()?;
        let len = transmit.contents.len();
        buf[..len].copy_from_slice(&transmit.contents);
        Some((transmit.source, transmit.destination, len))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
}

#[test]
fn it_and_floe_meet_in_every_world_as_it_meets_itself() {
    agents::meets_in_every_world::<Is>(&worlds());
}

#[test]
fn it_and_floe_meet_in_bad_weather() {
    agents::meets_in_bad_weather::<Is>(&worlds(), 0..4);
}
