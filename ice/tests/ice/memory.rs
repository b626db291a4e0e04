//! What a connected agent holds, and that it gives it back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use allocation_counter::measure;
use floe_ice::{Agent, Candidate, Config, FiveTuple, Initiation, Mode, RemoteParameters, State};

const PAIRS: usize = 10_000;

/// Two agents whose datagrams arrive at once. One has the server's socket, as all of its kind; the other its own.
struct Call {
    server: Agent,
    client: Agent,
}

impl Call {
    fn connect(
        now: &mut Instant,
        own: SocketAddr,
        config: &Arc<Config>,
        socket: &Candidate,
        server: Mode,
    ) -> Self {
        let agent = |mode, initiation| Agent::new(config.clone(), mode, initiation, None);
        let mut call = Self {
            server: agent(server, Initiation::Responding),
            client: agent(Mode::Full, Initiation::Initiating),
        };
        let own = Candidate::host(own);
        introduce(*now, &mut call.server, socket.clone(), &mut call.client);
        introduce(*now, &mut call.client, own, &mut call.server);
        call.run_until(now, |call| call.is_completed() && call.is_quiet());
        call
    }

    fn is_completed(&self) -> bool {
        [&self.server, &self.client]
            .iter()
            .all(|agent| agent.state() == State::Completed)
    }

    /// Both have kept consent for more than 39.5 s, so that what the search for a pair needed is over, and a lite one for as many
    /// checks as it remembers.
    fn is_quiet(&self) -> bool {
        [&self.server, &self.client].iter().all(|agent| {
            let checks = match agent.mode() {
                Mode::Full => agent.stats().consent_requests_sent,
                Mode::Lite => agent.stats().requests_received,
            };
            checks >= 36
        })
    }

    fn run_until(&mut self, now: &mut Instant, done: impl Fn(&Self) -> bool) {
        let mut buf = [0; 1200];
        while !done(self) {
            let Self { server, client } = self;
            while carry(*now, server, client, &mut buf) || carry(*now, client, server, &mut buf) {}
            let deadlines = [server.poll_timeout(), client.poll_timeout()];
            *now = deadlines.into_iter().flatten().min().expect("they wait");
            server.handle_timeout(*now);
            client.handle_timeout(*now);
        }
    }
}

fn introduce(now: Instant, from: &mut Agent, candidate: Candidate, to: &mut Agent) {
    let text = candidate.to_string();
    from.add_local_candidate(now, candidate).unwrap();
    from.local_candidates_complete(now);
    let mut remote = RemoteParameters::new(from.local_parameters().clone());
    remote.mode = from.mode();
    to.set_remote_parameters(now, remote).unwrap();
    to.add_remote_candidate(now, text.parse().unwrap()).unwrap();
    to.remote_candidates_complete(now);
}

/// Whether there was something to carry.
fn carry(now: Instant, from: &mut Agent, to: &mut Agent, buf: &mut [u8]) -> bool {
    while from.poll_event().is_some() {}
    let Some(transmit) = from.poll_transmit(buf) else {
        return false;
    };
    let path = FiveTuple::udp(transmit.path.remote, transmit.path.local);
    let _ = to.handle_datagram(now, path, &buf[..transmit.len]);
    true
}

/// What one agent of many pairs holds, those with the server's socket and those with one of their own taken together.
fn each(mode: Mode, server: &str, own: impl Fn([u8; 3]) -> SocketAddr) -> i64 {
    let (config, socket) = (
        Arc::new(Config::default()),
        Candidate::host(server.parse().unwrap()),
    );
    let mut now = sim::Clock::epoch();
    let mut calls = Vec::new();
    let held = measure(|| {
        calls = Vec::with_capacity(PAIRS);
        calls.extend((0..PAIRS).map(|number| {
            let [_, a, b, c] = u32::try_from(number).unwrap().to_be_bytes();
            Call::connect(&mut now, own([a, b, c]), &config, &socket, mode)
        }));
    });
    let agents = 2 * PAIRS as i64;
    let each = held.bytes_current / agents;
    println!(
        "{} inline, {each} in all, {} allocations",
        size_of::<Agent>(),
        held.count_current / agents
    );
    let returned = measure(|| calls = Vec::new());
    assert_eq!(returned.bytes_current, -held.bytes_current);
    assert_eq!(returned.count_current, -held.count_current);
    each
}

/// What I51 asks for, with the endpoint's share, is counted in `engine/tests/memory.rs`.
#[test]
fn a_connected_agent_holds_little_and_gives_it_back() {
    let own = |[a, b, c]: [u8; 3]| SocketAddr::from(([10, a, b, c], 5000));
    let over_v4 = each(Mode::Full, "192.0.2.1:3478", own);
    assert!(over_v4 <= 696, "{over_v4}");
    let with_lite = each(Mode::Lite, "192.0.2.1:3478", own);
    // Half of them are lite, and remember 32 checks.
    assert!(with_lite - over_v4 <= 80 / 2, "{with_lite}");
}

#[test]
fn so_does_one_over_ipv6() {
    let over_v6 = each(Mode::Full, "[2001:db8::1]:3478", |[a, b, c]| {
        let [a, b, c] = [a, b, c].map(u16::from);
        SocketAddr::from(([0x2001, 0xdb8, 1, 0, 0, a, b, c], 5000))
    });
    assert!(over_v6 <= 752, "{over_v6}");
}
