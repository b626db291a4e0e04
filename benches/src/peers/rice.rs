//! `rice-proto`, the ICE agent of librice.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Instant;

use rice_proto::agent::{Agent, AgentPoll};
use rice_proto::candidate::{Candidate, CandidateType, TransportType};
use rice_proto::component::ComponentConnectionState;
use rice_proto::stream::Credentials as RiceCredentials;
use stun_proto::agent::Transmit;

use super::{Credentials, Peer, Sent, Side, priority};

/// `rice_proto::Agent` with one stream of one component.
#[derive(Debug)]
pub struct Rice {
    agent: Agent,
    deadline: Option<Instant>,
    credentials: Credentials,
}

const STREAM: usize = 0;
const COMPONENT: usize = 1;

/// Its clock begins here.
static EPOCH: LazyLock<Instant> = LazyLock::new(crate::call::epoch);

fn to_theirs(now: Instant) -> stun_proto::Instant {
    let nanos = now.saturating_duration_since(*EPOCH).as_nanos();
    stun_proto::Instant::from_nanos(i64::try_from(nanos).expect("a few minutes"))
}

fn candidate(index: usize, address: SocketAddr) -> Candidate {
    let foundation = index.to_string();
    Candidate::builder(
        COMPONENT,
        CandidateType::Host,
        TransportType::Udp,
        &foundation,
        address,
    )
    .priority(priority(index))
    .build()
}

impl Rice {
    /// Asks it what to do until it says to wait.
    fn poll(&mut self, now: Instant) {
        let theirs = to_theirs(now);
        self.deadline = loop {
            match self.agent.poll(theirs) {
                AgentPoll::WaitUntil(until) => break Some(now + until.duration_since(theirs)),
                AgentPoll::Closed => break None,
                AgentPoll::SelectedPair(selected) => {
                    let pair = selected.selected.candidate_pair().clone();
                    let mut stream = self.agent.mut_stream(STREAM).expect("it was added");
                    let mut component = stream.mut_component(COMPONENT).expect("it was added");
                    component.set_selected_pair(pair).expect("its own pair");
                }
                _ => {}
            }
        };
    }
}

impl Peer for Rice {
    const NAME: &'static str = "rice-proto 0.4.3";

    fn new(side: Side, number: u64, now: Instant, sockets: &[SocketAddr]) -> Self {
        LazyLock::force(&EPOCH);
        let mut agent = Agent::builder()
            .controlling(side == Side::Controlling)
            .build();
        agent.add_stream();
        // It has no credentials of its own.
        let credentials = Credentials {
            ufrag: format!("{number:016x}"),
            password: format!("{number:024x}"),
        };
        let mut stream = agent.mut_stream(STREAM).expect("it was added");
        stream.add_component().expect("the first");
        stream.set_local_credentials(RiceCredentials::new(
            credentials.ufrag.clone(),
            credentials.password.clone(),
        ));
        for (index, socket) in sockets.iter().enumerate() {
            stream.add_local_candidate(candidate(index, *socket));
        }
        stream.end_of_local_candidates();
        let mut rice = Self {
            agent,
            deadline: None,
            credentials,
        };
        rice.poll(now);
        rice
    }

    fn credentials(&self) -> Credentials {
        self.credentials.clone()
    }

    fn learn(&mut self, now: Instant, remote: &Credentials, addresses: &[SocketAddr]) {
        let mut stream = self.agent.mut_stream(STREAM).expect("it was added");
        let (ufrag, password) = (remote.ufrag.clone(), remote.password.clone());
        stream.set_remote_credentials(RiceCredentials::new(ufrag, password));
        for (index, address) in addresses.iter().enumerate() {
            stream.add_remote_candidate(candidate(index, *address));
        }
        stream.end_of_remote_candidates();
        self.poll(now);
    }

    fn receive(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr, datagram: &[u8]) {
        let mut stream = self.agent.mut_stream(STREAM).expect("it was added");
        let transmit = Transmit::new(datagram, TransportType::Udp, remote, local);
        stream.handle_incoming_data(COMPONENT, transmit, to_theirs(now));
        self.poll(now);
    }

    fn wake(&mut self, now: Instant) {
        self.poll(now);
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.deadline
    }

    fn transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Sent> {
        let transmit = self.agent.poll_transmit(to_theirs(now))?.transmit;
        let len = transmit.data.len();
        buf[..len].copy_from_slice(&transmit.data);
        Some(Sent {
            local: transmit.from,
            remote: transmit.to,
            len,
        })
    }

    fn is_usable(&self) -> bool {
        let component = self
            .agent
            .stream(STREAM)
            .map(|stream| stream.component(COMPONENT).map(|c| c.state()));
        component.flatten() == Some(ComponentConnectionState::Connected)
    }

    fn is_selected(&self) -> bool {
        self.is_usable()
    }
}
