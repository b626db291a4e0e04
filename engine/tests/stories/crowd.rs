//! A server with many live sessions, whose clients are ICE agents and nothing else, and whose time costs something.
//!
//! Everything the server does takes some of the one thread it has: a datagram a little, a piece of a DTLS handshake a thousand
//! times as much. What arrives meanwhile waits in its socket. So it shows who waits for whom.

use crate::support::{self, Host};
use floe::{
    Outcome, TransportId, TransportOptions,
    dtls::{RemoteIdentity, Setup},
    ice::{
        Agent, Candidate, Config, FiveTuple, Initiation, Mode, Parameters, RemoteParameters,
        Transmit,
    },
};
use std::{
    collections::{HashMap, VecDeque},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

/// Where the server is.
pub(crate) fn server_address() -> SocketAddr {
    sim::address(2)
}

/// Where client `number` is: not in one network with others.
pub(crate) fn client_address(number: usize) -> SocketAddr {
    let [.., a, b] = number.to_be_bytes();
    (Ipv4Addr::new(10, a, b, 1), 5000).into()
}

/// What the server's work costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Costs {
    pub(crate) datagram: Duration,
    /// One of DTLS, of a session that is not connected, when it arrives.
    pub(crate) dtls_datagram: Duration,
    /// A piece of a handshake that was put off.
    pub(crate) handshake: Duration,
}

pub(crate) struct Client {
    pub(crate) agent: Agent,
    pub(crate) id: TransportId,
    pub(crate) path: FiveTuple,
}

/// A datagram in the server's socket.
struct Arrival {
    at: Instant,
    path: FiveTuple,
    bytes: Vec<u8>,
}

pub(crate) struct Crowd {
    pub(crate) server: Host,
    pub(crate) clients: Vec<Client>,
    pub(crate) now: Instant,
    costs: Costs,
    by_address: HashMap<SocketAddr, usize>,
    inbox: VecDeque<Arrival>,
    /// What left for nobody of the crowd.
    pub(crate) elsewhere: Vec<(FiveTuple, Vec<u8>)>,
    /// The longest that a datagram of a live session has waited in the socket.
    pub(crate) longest_wait: Duration,
    /// And the longest that the server's own deadline has.
    pub(crate) longest_delay: Duration,
    /// Whose pieces of handshakes that had waited were done, in that order.
    pub(crate) served: Vec<TransportId>,
}

impl Crowd {
    /// What a check of this client is made with: the server's parameters, and the client's own username fragment.
    pub(crate) fn names_of(&self, client: &Client) -> (Parameters, String) {
        let server = support::parameters_of(&self.server.endpoint, client.id);
        let own = client.agent.local_parameters().username_fragment();
        (server, own.to_owned())
    }

    /// With this many sessions, connected, and some minutes old, so that their checks are spread.
    pub(crate) fn new(seed: u8, size: usize, server: Host, costs: Costs) -> Self {
        let mut crowd = Self {
            server,
            clients: Vec::new(),
            now: sim::Clock::epoch(),
            costs,
            by_address: HashMap::new(),
            inbox: VecDeque::new(),
            elsewhere: Vec::new(),
            longest_wait: Duration::ZERO,
            longest_delay: Duration::ZERO,
            served: Vec::new(),
        };
        let config = Arc::new(Config::default());
        for number in 0..size {
            crowd.join(seed, number, config.clone());
        }
        crowd.run_for(Duration::from_secs(100), |_| {});
        let connected = |client: &Client| client.agent.send_path().is_some();
        assert!(crowd.clients.iter().all(connected));
        crowd.longest_wait = Duration::ZERO;
        crowd.longest_delay = Duration::ZERO;
        crowd
    }

    fn join(&mut self, seed: u8, number: usize, config: Arc<Config>) {
        let now = self.now;
        let mut of_agent = [seed; 32];
        of_agent[..8].copy_from_slice(&number.to_be_bytes());
        let mut agent =
            Agent::with_seed(of_agent, config, Mode::Full, Initiation::Initiating, None);
        let id = answering(&mut self.server, now, agent.local_parameters().clone());
        let path = FiveTuple::udp(server_address(), client_address(number));
        let mut remote =
            RemoteParameters::new(self.server.transport(id).local_parameters().clone());
        remote.mode = Mode::Full;
        agent
            .add_local_candidate(now, Candidate::host(path.remote))
            .expect("a host candidate");
        agent
            .set_remote_parameters(now, remote)
            .expect("new parameters");
        agent
            .add_remote_candidate(now, Candidate::host(path.local))
            .expect("a host candidate");
        self.by_address.insert(path.remote, number);
        self.clients.push(Client { agent, id, path });
    }

    /// A datagram arrives at the server.
    pub(crate) fn inject(&mut self, path: FiveTuple, bytes: Vec<u8>) {
        self.inject_at(self.now, path, bytes);
    }

    pub(crate) fn inject_at(&mut self, at: Instant, path: FiveTuple, bytes: Vec<u8>) {
        self.inbox.push_back(Arrival { at, path, bytes });
    }

    /// Lets everything happen for this long; `each` is called before each turn of the server.
    pub(crate) fn run_for(&mut self, time: Duration, mut each: impl FnMut(&mut Self)) {
        let end = self.now + time;
        while self.now < end {
            each(self);
            if !self.turn() {
                let next = [self.next_of_clients(), self.server.endpoint.poll_timeout()];
                let next = next.into_iter().flatten().min().unwrap_or(end);
                self.now = next.min(end).max(self.now + Duration::from_micros(1));
            }
        }
    }

    /// What the server does with all that is there, as its loop has it. False if there was nothing.
    pub(crate) fn turn(&mut self) -> bool {
        self.run_clients();
        let mut busy = false;
        while let Some(arrival) = self.inbox.pop_front() {
            busy = true;
            self.receive(arrival);
        }
        let due = self.server.endpoint.poll_timeout();
        if let Some(due) = due.filter(|due| *due <= self.now) {
            self.longest_delay = self.longest_delay.max(self.now - due);
            self.server.endpoint.handle_timeout(self.now);
        }
        self.transmit();
        let mut buf = [0; 1500];
        let done = self.server.endpoint.handle_handshake(self.now, &mut buf);
        if let Some((_, outcome)) = done {
            if let Outcome::Routed { transport, .. } = outcome {
                self.served.push(transport);
            }
            busy = true;
            self.now += self.costs.handshake;
            self.transmit();
        }
        while self.server.endpoint.poll_event().is_some() {}
        busy
    }

    fn receive(&mut self, arrival: Arrival) {
        let Arrival {
            at,
            path,
            mut bytes,
        } = arrival;
        if self.by_address.contains_key(&path.remote) {
            self.longest_wait = self.longest_wait.max(self.now - at);
        }
        let is_dtls = (20..64).contains(&bytes[0]);
        let outcome = self
            .server
            .endpoint
            .handle_datagram(self.now, path, &mut bytes);
        let handshake = match outcome {
            Outcome::Routed { transport, .. } if is_dtls => {
                self.server.dtls(transport) == floe::dtls::State::Connecting
            }
            _ => false,
        };
        self.now += match handshake {
            true => self.costs.dtls_datagram,
            false => self.costs.datagram,
        };
    }

    /// Sends what there is to send: to a client at once.
    fn transmit(&mut self) {
        let mut buf = [0; 1500];
        while let Some(Transmit { path, len }) = self.server.endpoint.poll_transmit(&mut buf) {
            match self.by_address.get(&path.remote) {
                Some(number) => {
                    let path = FiveTuple::udp(path.remote, path.local);
                    let agent = &mut self.clients[*number].agent;
                    let _ = agent.handle_datagram(self.now, path, &buf[..len]);
                }
                None => self.elsewhere.push((path, buf[..len].to_vec())),
            }
        }
    }

    /// What the clients have done by now arrives when they did it.
    fn run_clients(&mut self) {
        let mut buf = [0; 1500];
        let mut sent = Vec::new();
        for client in &mut self.clients {
            let mut at = self.now;
            loop {
                while let Some(Transmit { path, len }) = client.agent.poll_transmit(&mut buf) {
                    let path = FiveTuple::udp(path.remote, path.local);
                    let bytes = buf[..len].to_vec();
                    sent.push(Arrival { at, path, bytes });
                }
                while client.agent.poll_event().is_some() {}
                match client.agent.poll_timeout().filter(|due| *due <= self.now) {
                    Some(due) => at = due,
                    None => break,
                }
                client.agent.handle_timeout(at);
            }
        }
        sent.sort_by_key(|arrival| arrival.at);
        self.inbox.extend(sent);
    }

    fn next_of_clients(&self) -> Option<Instant> {
        let due = self
            .clients
            .iter()
            .map(|client| client.agent.poll_timeout());
        due.flatten().min()
    }

    /// That every session but those in `except` has consent on both sides, no older than a check's interval and `slack`.
    pub(crate) fn consent_is_on_time(&self, except: &[usize], slack: Duration) {
        let longest = Duration::from_secs(6) + slack;
        for (number, client) in self.clients.iter().enumerate() {
            if except.contains(&number) {
                continue;
            }
            let ours = self.server.transport(client.id).ice().consent_age(self.now);
            let theirs = client.agent.consent_age(self.now);
            for age in [ours, theirs] {
                assert!(age.is_some_and(|age| age <= longest), "{number}: {age:?}");
            }
            assert_eq!(
                self.server.endpoint.send_path(client.id),
                Some(client.path),
                "{number}"
            );
        }
    }
}

/// A session of the server's that waits for its peer. ICE alone: nobody will begin the handshake.
pub(crate) fn answering(server: &mut Host, now: Instant, peer: Parameters) -> TransportId {
    let options = TransportOptions {
        mode: Mode::Full,
        initiation: Initiation::Responding,
        setup: Setup::Passive,
        remote_identity: RemoteIdentity::Later,
        local_parameters: None,
    };
    let id = server.endpoint.create(now, options).expect("room for it");
    server.with_transport(now, id, |transport| {
        transport
            .set_remote_parameters(now, RemoteParameters::new(peer))
            .expect("new parameters");
        transport
            .add_local_candidate(now, Candidate::host(server_address()))
            .expect("a host candidate");
    });
    id
}
