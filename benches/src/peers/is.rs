//! `is`, the ICE agent of str0m.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use is::stun::{StunMessage, StunPacket};
use is::{Candidate, CandidateKind, IceAgent, IceAgentEvent, IceCreds, Protocol};

use super::{Credentials, Peer, Sent, Side, preference, priority};

/// `is::IceAgent` with its default HMAC.
pub struct Is {
    agent: IceAgent,
    selected: bool,
}

impl fmt::Debug for Is {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Is").finish_non_exhaustive()
    }
}

impl Peer for Is {
    const NAME: &'static str = "is 0.12";

    fn new(side: Side, _: u64, now: Instant, sockets: &[SocketAddr]) -> Self {
        let mut agent = IceAgent::new(IceCreds::new());
        agent.set_controlling(side == Side::Controlling);
        agent.set_local_preference(|_: &Candidate, same_kind| preference(same_kind));
        for socket in sockets {
            let candidate = Candidate::host(*socket, Protocol::Udp).expect("a host candidate");
            agent.add_local_candidate(candidate);
        }
        agent.handle_timeout(now);
        Self {
            agent,
            selected: false,
        }
    }

    fn credentials(&self) -> Credentials {
        let credentials = self.agent.local_credentials();
        Credentials {
            ufrag: credentials.ufrag.clone(),
            password: credentials.pass.clone(),
        }
    }

    fn learn(&mut self, now: Instant, remote: &Credentials, addresses: &[SocketAddr]) {
        self.agent.set_remote_credentials(IceCreds {
            ufrag: remote.ufrag.clone(),
            pass: remote.password.clone(),
        });
        for (index, address) in addresses.iter().enumerate() {
            self.agent.add_remote_candidate(Candidate::from_parts(
                index.to_string(),
                1,
                Protocol::Udp,
                priority(index),
                *address,
                CandidateKind::Host,
                None,
                None,
                None,
            ));
        }
        self.agent.handle_timeout(now);
    }

    fn receive(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr, datagram: &[u8]) {
        let Ok(message) = StunMessage::parse(datagram) else {
            return;
        };
        self.agent.handle_packet(
            now,
            StunPacket {
                proto: Protocol::Udp,
                source: remote,
                destination: local,
                message,
            },
        );
    }

    fn wake(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    fn transmit(&mut self, _: Instant, buf: &mut [u8]) -> Option<Sent> {
        let transmit = self.agent.poll_transmit()?;
        let len = transmit.contents.len();
        buf[..len].copy_from_slice(&transmit.contents);
        Some(Sent {
            local: transmit.source,
            remote: transmit.destination,
            len,
        })
    }

    fn take_events(&mut self) {
        while let Some(event) = self.agent.poll_event() {
            self.selected |= matches!(event, IceAgentEvent::NominatedSend { .. });
        }
    }

    fn is_usable(&self) -> bool {
        self.agent.state().is_connected()
    }

    fn is_selected(&self) -> bool {
        self.selected
    }
}
