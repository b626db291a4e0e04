//! What floe's agent goes through with another implementation's: stories in virtual time that do not know whose it is,
//! each also told with the other implementation at both ends, which is the oracle for what should come of it.
//!
//! Candidates travel as text (RFC 8839 §5.1). Agents gather from a real STUN server behind real NATs, as in the stories of
//! the ice crate.

#[path = "../../../ice/tests/support/nat.rs"]
#[expect(dead_code, reason = "not every home is for every stranger")]
mod nat;
#[path = "../../../ice/tests/support/servers.rs"]
mod servers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_ice::{
    Agent, Candidate, Config, FiveTuple, Initiation, Mode, Parameters, RemoteParameters, State,
};
use floe_stun::{Class, Message};
use sim::{Link, Node, Pair, Wiretap};

use nat::{FULL_CONE, Homes, Nats, PORT_RESTRICTED, RESTRICTED, SYMMETRIC, apart};
use servers::Host;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Which side an agent begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Controlling,
    Controlled,
}

/// Username fragment and password.
pub(crate) type Credentials = (String, String);

/// An ICE agent, whosever.
pub(crate) trait Stranger: Node + Sized {
    fn new(side: Side, now: Instant) -> Self;

    /// Its candidates: the socket, and how a STUN server sees it if that is another address.
    fn gather(&mut self, now: Instant, gathered: &Gathered);

    fn credentials(&self) -> Credentials;

    /// Its candidates as it signals them.
    fn candidates(&self) -> Vec<String>;

    fn learn(&mut self, now: Instant, remote: Credentials, candidates: &[String]);

    /// Where it sends data from and to, if it would.
    fn path(&self) -> Option<(SocketAddr, SocketAddr)>;

    fn is_connected(&self) -> bool;
}

/// What an agent's socket has found out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gathered {
    pub(crate) socket: SocketAddr,
    pub(crate) mapped: Option<SocketAddr>,
}

impl Gathered {
    fn by<N>(host: &Host<N>) -> Self {
        Self {
            socket: host.socket,
            mapped: host.mapped.filter(|mapped| *mapped != host.socket),
        }
    }
}

/// floe's own.
pub(crate) struct Floe(Agent);

impl Stranger for Floe {
    fn new(side: Side, _: Instant) -> Self {
        let (seed, initiation) = match side {
            Side::Controlling => (1, Initiation::Initiating),
            Side::Controlled => (2, Initiation::Responding),
        };
        let config = Arc::new(Config::default());
        Self(Agent::with_seed(
            [seed; 32],
            config,
            Mode::Full,
            initiation,
            None,
        ))
    }

    fn gather(&mut self, now: Instant, gathered: &Gathered) {
        let socket = gathered.socket;
        let mapped = gathered
            .mapped
            .map(|mapped| Candidate::server_reflexive(mapped, socket));
        let all = std::iter::once(Candidate::host(socket)).chain(mapped);
        for candidate in all {
            self.0
                .add_local_candidate(now, candidate)
                .expect("it is a candidate");
        }
        self.0.local_candidates_complete(now);
    }

    fn credentials(&self) -> Credentials {
        let parameters = self.0.local_parameters();
        (
            parameters.username_fragment().to_owned(),
            parameters.password().to_owned(),
        )
    }

    fn candidates(&self) -> Vec<String> {
        self.0
            .local_candidates()
            .map(Candidate::to_string)
            .collect()
    }

    fn learn(&mut self, now: Instant, (ufrag, password): Credentials, candidates: &[String]) {
        let parameters = Parameters::new(&ufrag, &password).expect("credentials");
        let remote = RemoteParameters::new(parameters);
        self.0
            .set_remote_parameters(now, remote)
            .expect("the first ones");
        for candidate in candidates {
            let candidate = candidate.parse().expect("a candidate");
            self.0
                .add_remote_candidate(now, candidate)
                .expect("it is open");
        }
        self.0.remote_candidates_complete(now);
    }

    fn path(&self) -> Option<(SocketAddr, SocketAddr)> {
        let nominated = self
            .0
            .selected_candidate_pair()
            .filter(|pair| pair.nominated)?;
        Some((nominated.path.local, nominated.path.remote))
    }

    fn is_connected(&self) -> bool {
        self.0.state() == State::Completed
    }
}

impl Node for Floe {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &mut [u8],
    ) {
        let _ = self
            .0
            .handle_datagram(now, FiveTuple::udp(local, remote), datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        let transmit = self.0.poll_transmit(buf)?;
        Some((transmit.path.local, transmit.path.remote, transmit.len))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }
}

/// How the other end of a selected pair is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    Host,
    Mapped,
}

/// One meeting: A controls.
struct Meeting<A, B> {
    pair: Pair<Host<A>, Host<B>>,
    nats: Nats,
    tape: Wiretap,
}

/// What came of it: how each reaches the other.
pub(crate) type Outcome = [Reached; 2];

impl<A: Stranger, B: Stranger> Meeting<A, B> {
    fn new(seed: u64, homes: &Homes, link: &Link) -> Self {
        let now = sim::Clock::epoch();
        let nodes = (
            A::new(Side::Controlling, now),
            B::new(Side::Controlled, now),
        );
        let (mut pair, nats) = homes.settle(seed, nodes, [false; 2]);
        pair.a.ask(now);
        pair.b.ask(now);
        pair.drive_until(|a, b| a.has_answers() && b.has_answers());
        pair.network.each_link(|_, _, each| {
            *each = Link {
                up: each.up,
                ..link.clone()
            };
        });
        let tape = pair.network.wiretap();
        let mut meeting = Self { pair, nats, tape };
        meeting.signal();
        meeting
    }

    fn signal(&mut self) {
        let now = self.pair.now();
        let (a, b) = (&mut self.pair.a, &mut self.pair.b);
        let (of_a, of_b) = (Gathered::by(a), Gathered::by(b));
        a.node.gather(now, &of_a);
        b.node.gather(now, &of_b);
        let (candidates_a, candidates_b) = (a.node.candidates(), b.node.candidates());
        let credentials = a.node.credentials();
        a.node.learn(now, b.node.credentials(), &candidates_b);
        b.node.learn(now, credentials, &candidates_a);
    }

    /// Runs until both send data on one and the same path, and says what kind it is.
    fn meet(&mut self) -> Outcome {
        let ready = |connected: bool, path: Option<_>| connected && path.is_some();
        let deadline = self.pair.now() + secs(30);
        loop {
            let (a, b) = (&self.pair.a.node, &self.pair.b.node);
            if ready(a.is_connected(), a.path())
                && ready(b.is_connected(), b.path())
                && let Some(outcome) = self.outcome()
            {
                return outcome;
            }
            assert!(
                self.pair.now() < deadline,
                "no agreement: {:?} and {:?}",
                a.path(),
                b.path()
            );
            self.pair.run_for(ms(20));
        }
    }

    /// `None` if the two paths are not one.
    fn outcome(&self) -> Option<Outcome> {
        let (a, b) = (&self.pair.a, &self.pair.b);
        let ((from_a, to_b), (from_b, to_a)) = (a.node.path()?, b.node.path()?);
        let class = |host: SocketAddr, nats: &[sim::NatId], base, seen| {
            let mut inside = host;
            for nat in nats {
                let mappings = self.pair.network.mappings(*nat, inside);
                if mappings.contains(&seen) {
                    return Some(Reached::Mapped).filter(|_| base == host);
                }
                inside = *mappings.last()?;
            }
            (seen == host && base == host).then_some(Reached::Host)
        };
        Some([
            class(b.socket, &self.nats.b, from_b, to_b)?,
            class(a.socket, &self.nats.a, from_a, to_a)?,
        ])
    }

    /// Minutes later they are still where they were, because each still asks and is answered.
    fn lasts(&mut self, expected: Outcome) {
        for _ in 0..4 {
            let _ = self.tape.take();
            self.pair.run_for(secs(30));
            assert!(self.pair.a.node.is_connected() && self.pair.b.node.is_connected());
            assert_eq!(self.outcome(), Some(expected), "the path changed");
            let [mut of_a, mut of_b] = [[0_u32; 2]; 2];
            for (_, datagram) in self.tape.take() {
                let class = Message::parse(&datagram.bytes).map(|message| message.class());
                let counts = if datagram.source == self.pair.a.socket {
                    &mut of_a
                } else {
                    &mut of_b
                };
                match class {
                    Ok(Class::Request) => counts[0] += 1,
                    Ok(Class::SuccessResponse) => counts[1] += 1,
                    _ => {}
                }
            }
            // Every 5 s, give or take; some ask more often.
            for [requests, responses] in [of_a, of_b] {
                assert!(
                    requests >= 2 && responses >= 2,
                    "{requests} asked, {responses} answered"
                );
            }
        }
    }
}

/// The worlds in which two agents can meet, and how they should.
pub(crate) fn worlds() -> Vec<Homes> {
    let together = |reachable, hairpinning| Homes::Together {
        behaviour: PORT_RESTRICTED,
        hairpinning,
        reachable,
    };
    let (cone, none) = (Some(PORT_RESTRICTED), None);
    vec![
        apart(none, none),
        apart(cone, none),
        apart(none, cone),
        apart(cone, cone),
        apart(Some(FULL_CONE), Some(RESTRICTED)),
        apart(Some(SYMMETRIC), none),
        apart(none, Some(SYMMETRIC)),
        apart(Some(SYMMETRIC), Some(FULL_CONE)),
        together(true, false),
        together(false, true),
    ]
}

/// floe in either role, and the stranger with itself: all meet in each world, in the same way.
pub(crate) fn meets_in_every_world<S: Stranger>(homes: &[Homes]) {
    let link = Link::with_delay(ms(20));
    for homes in homes {
        let mut theirs = Meeting::<S, S>::new(1, homes, &link);
        let expected = theirs.meet();
        println!("{homes:?}: {expected:?}");
        let mut floe_controls = Meeting::<Floe, S>::new(2, homes, &link);
        assert_eq!(floe_controls.meet(), expected, "{homes:?}, floe controls");
        floe_controls.lasts(expected);
        let mut floe_is_controlled = Meeting::<S, Floe>::new(3, homes, &link);
        assert_eq!(
            floe_is_controlled.meet(),
            expected,
            "{homes:?}, floe is controlled"
        );
        floe_is_controlled.lasts(expected);
        let mut ours = Meeting::<Floe, Floe>::new(4, homes, &link);
        assert_eq!(ours.meet(), expected, "{homes:?}, floe alone");
    }
}

/// The same over a link that loses, doubles and reorders.
pub(crate) fn meets_in_bad_weather<S: Stranger>(homes: &[Homes], seeds: std::ops::Range<u64>) {
    let link = Link {
        loss: 0.1,
        duplication: 0.1,
        reordering: 0.1,
        ..Link::with_delay(ms(20))
    };
    let fair = Link::with_delay(ms(20));
    for homes in homes {
        let expected = Meeting::<Floe, Floe>::new(1, homes, &fair).meet();
        for seed in seeds.clone() {
            let mut meeting = Meeting::<Floe, S>::new(seed, homes, &link);
            assert_eq!(meeting.meet(), expected, "{homes:?}, floe controls");
            meeting.lasts(expected);
            let mut meeting = Meeting::<S, Floe>::new(seed, homes, &link);
            assert_eq!(meeting.meet(), expected, "{homes:?}, floe is controlled");
            meeting.lasts(expected);
        }
    }
}
