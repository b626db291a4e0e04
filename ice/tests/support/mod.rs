//! Agents as nodes of the simulator, and the signaling between two of them.

pub(crate) mod nat;
pub(crate) mod servers;
pub(crate) mod solo;
pub(crate) mod talker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_ice::{
    Agent, Candidate, Config, Event, FiveTuple, Initiation, Mode, Received, RemoteParameters,
    State, Transition,
};
use sim::{Link, Node, Pair};

/// An agent with what it reported and how it received.
pub(crate) struct Peer {
    pub(crate) agent: Agent,
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) received: Vec<Received>,
    pub(crate) addresses: Vec<SocketAddr>,
    /// The username fragment of the peer, once learnt.
    pub(crate) remote_fragment: Option<String>,
}

pub(crate) type Story = Pair<Peer, Peer>;

impl Node for Peer {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &mut [u8],
    ) {
        let received = self
            .agent
            .handle_datagram(now, FiveTuple::udp(local, remote), datagram);
        self.received.push(received);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        let transmit = self.agent.poll_transmit(buf)?;
        Some((transmit.path.local, transmit.path.remote, transmit.len))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    fn collect_events(&mut self, now: Instant) {
        while let Some(event) = self.agent.poll_event() {
            if let Event::StateChange(transition) = event {
                assert!(transition.from.may_become(transition.to), "{transition:?}");
            }
            self.events.push((now, event));
        }
    }
}

impl Peer {
    pub(crate) fn new(
        seed: u8,
        mode: Mode,
        initiation: Initiation,
        config: Config,
        addresses: &[SocketAddr],
    ) -> Self {
        let agent = Agent::with_seed([seed; 32], Arc::new(config), mode, initiation, None);
        Self {
            agent,
            events: Vec::new(),
            received: Vec::new(),
            addresses: addresses.to_vec(),
            remote_fragment: None,
        }
    }

    /// Adds its addresses as host candidates, each liked a little less than the one before, and completes gathering.
    pub(crate) fn gather(&mut self, now: Instant) {
        for candidate in self.candidates() {
            self.agent.add_local_candidate(now, candidate).unwrap();
        }
        self.agent.local_candidates_complete(now);
    }

    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let preference = |index: usize| 65_000 - index as u16;
        let host = |(index, address): (usize, &SocketAddr)| {
            Candidate::host(*address).with_local_preference(preference(index))
        };
        self.addresses.iter().enumerate().map(host).collect()
    }

    pub(crate) fn remote_parameters(&self) -> RemoteParameters {
        let mut remote = RemoteParameters::new(self.agent.local_parameters().clone());
        remote.mode = self.agent.mode();
        remote
    }

    /// Learns all that `other` signals at once: parameters, candidates, their end.
    pub(crate) fn learn(
        &mut self,
        now: Instant,
        remote: RemoteParameters,
        candidates: &[Candidate],
    ) {
        let fragment = remote.parameters.username_fragment().to_owned();
        self.remote_fragment = Some(fragment);
        self.agent.set_remote_parameters(now, remote).unwrap();
        for candidate in candidates {
            self.agent
                .add_remote_candidate(now, candidate.clone())
                .unwrap();
        }
        self.agent.remote_candidates_complete(now);
    }

    pub(crate) fn remote_fragment(&self) -> String {
        self.remote_fragment.clone().expect("the peer is known")
    }

    pub(crate) fn state(&self) -> State {
        self.agent.state()
    }

    pub(crate) fn is_in_use(&self) -> bool {
        self.agent
            .selected_candidate_pair()
            .is_some_and(|pair| pair.nominated)
    }

    pub(crate) fn transitions(&self) -> Vec<Transition> {
        let transition = |(_, event): &(Instant, Event)| match event {
            Event::StateChange(transition) => Some(*transition),
            _ => None,
        };
        self.events.iter().filter_map(transition).collect()
    }

    /// The states it went through, the first included.
    pub(crate) fn states(&self) -> Vec<State> {
        std::iter::once(State::New)
            .chain(self.transitions().iter().map(|t| t.to))
            .collect()
    }

    pub(crate) fn last_transition(&self) -> Transition {
        *self.transitions().last().expect("a state changed")
    }

    pub(crate) fn saw(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(|(_, event)| wanted(event))
    }

    pub(crate) fn path(&self) -> FiveTuple {
        self.agent.send_path().expect("there is a path")
    }
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The `n`th address of host `host`.
pub(crate) fn address(host: u8, n: u16) -> SocketAddr {
    SocketAddr::new(sim::address(host).ip(), 5000 + n)
}

pub(crate) fn addresses(host: u8, count: u16) -> Vec<SocketAddr> {
    (0..count).map(|n| address(host, n)).collect()
}

/// Two full agents with these many addresses each, nothing signalled yet, 50 ms apart.
pub(crate) fn two(count: u16) -> Story {
    between(
        Peer::new(
            1,
            Mode::Full,
            Initiation::Initiating,
            Config::default(),
            &addresses(1, count),
        ),
        Peer::new(
            2,
            Mode::Full,
            Initiation::Responding,
            Config::default(),
            &addresses(2, count),
        ),
    )
}

/// A full agent that offers, and a lite one.
pub(crate) fn full_and_lite() -> Story {
    between(
        Peer::new(
            1,
            Mode::Full,
            Initiation::Initiating,
            Config::default(),
            &addresses(1, 1),
        ),
        Peer::new(
            2,
            Mode::Lite,
            Initiation::Responding,
            Config::default(),
            &addresses(2, 1),
        ),
    )
}

pub(crate) fn between(a: Peer, b: Peer) -> Story {
    let (of_a, of_b) = (a.addresses.clone(), b.addresses.clone());
    let mut pair = Pair::new(1, (a, &of_a), (b, &of_b));
    pair.network.set_links(Link::with_delay(ms(50)));
    pair
}

/// Both gather and learn everything at this instant.
pub(crate) fn signal(story: &mut Story) {
    let now = story.now();
    story.a.gather(now);
    story.b.gather(now);
    let (of_a, of_b) = (story.a.remote_parameters(), story.b.remote_parameters());
    let (candidates_a, candidates_b) = (story.a.candidates(), story.b.candidates());
    story.a.learn(now, of_b, &candidates_b);
    story.b.learn(now, of_a, &candidates_a);
}

pub(crate) fn both_in_use(a: &Peer, b: &Peer) -> bool {
    a.is_in_use() && b.is_in_use()
}

/// Both sides have chosen, and nothing more can come.
#[track_caller]
pub(crate) fn assert_completed(story: &Story) {
    assert_eq!(
        (story.a.state(), story.b.state()),
        (State::Completed, State::Completed)
    );
}

/// Two agents in the middle of a call.
pub(crate) fn connected(count: u16) -> Story {
    let mut story = two(count);
    signal(&mut story);
    story.drive_until(both_in_use);
    story.run_for(secs(1));
    story
}
