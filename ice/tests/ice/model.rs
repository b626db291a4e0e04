//! Two agents, everything their callers may do, and everything a network may do to them, in any order.
//!
//! [`laws`](super::laws) holds one agent against a peer that the test plays; here both are real, behind NATs that change,
//! and the model is what must be true of each after every single input. In the end the network heals, both sides restart
//! as an application would, and must find each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_ice::nomination::{ByApplication, Continuous, Mobile, Policy, Regular};
use floe_ice::{
    Candidate, Config, Event, Freezing, GatheringState, Initiation, Mode, PairId, Reason, Received,
    Role, State, Timing,
};
use floe_stun::{Class, IntegrityKey, Message, Method, RoleAttribute, TransactionId, Writer};
use proptest::prelude::*;
use sim::{Attacker, Datagram, Dependence, End, Link, Node, Pair, Wiretap};

use crate::support::nat::{Behaviour, Homes, Nats, apart};
use crate::support::servers::Host;
use crate::support::solo::{Solo, local, remote};
use crate::support::{Peer, ms, secs};

/// The ports on which an agent may have sockets, the one that asks the servers first.
const SOCKETS: u16 = 3;
/// RFC 7675 §5.1, and a lite agent's measure of the same.
const CONSENT: Duration = Duration::from_secs(30);

/// An agent under oath: after every input it is asked whether what it reports is what is.
struct Witness {
    peer: Peer,
    state: State,
    gathering: GatheringState,
    selected: Option<(PairId, bool)>,
    role: Option<Role>,
    /// The latest time it was told.
    told: Instant,
    /// When the peer last proved that it wants our traffic: an answer, or to a lite agent a request as well.
    heard: Option<Instant>,
    wake_ups: u64,
    sent: u64,
    events: u64,
}

impl Witness {
    fn new(peer: Peer) -> Self {
        Self {
            peer,
            state: State::New,
            gathering: GatheringState::New,
            selected: None,
            role: None,
            told: sim::Clock::epoch(),
            heard: None,
            wake_ups: 0,
            sent: 0,
            events: 0,
        }
    }

    /// What was reported, in order, is a story without gaps.
    fn take_events(&mut self) {
        for (_, event) in self.peer.events.drain(..) {
            self.events += 1;
            match event {
                Event::StateChange(transition) => {
                    assert_eq!(transition.from, self.state, "a change was lost");
                    assert!(transition.from.may_become(transition.to), "{transition:?}");
                    self.state = transition.to;
                }
                Event::GatheringStateChange(to) => self.gathering = to,
                Event::SelectedCandidatePairChange(pair) => {
                    self.selected = Some((pair.id, pair.nominated));
                }
                Event::RoleChange(role) => {
                    assert_ne!(self.role, Some(role), "no change");
                    self.role = Some(role);
                }
                _ => {}
            }
        }
    }

    /// What was reported last is what the getters say.
    fn check_reports(&mut self) {
        let agent = &self.peer.agent;
        assert_eq!(agent.state(), self.state, "it changed without a word");
        assert_eq!(agent.gathering_state(), self.gathering);
        if let Some(pair) = agent.selected_candidate_pair() {
            assert_eq!(self.selected, Some((pair.id, pair.nominated)));
        }
        // The first role comes without an event: the call that learns the peer's parameters gives it.
        self.role = self.role.or_else(|| agent.role());
        assert_eq!(self.role, agent.role());
    }

    fn check_path(&self, now: Instant) {
        let agent = &self.peer.agent;
        let path = agent.send_path();
        let selected = agent.selected_candidate_pair();
        assert_eq!(path, selected.map(|pair| pair.path), "{}", self.state);
        match self.state {
            State::New | State::Failed | State::Closed => assert_eq!(path, None, "{}", self.state),
            State::Connected | State::Completed => assert!(path.is_some(), "{}", self.state),
            State::Checking | State::Disconnected => {}
        }
        if let Some(path) = path.filter(|_| agent.mode() == Mode::Full) {
            assert!(
                agent.accepts_from(&path),
                "it does not listen where it sends"
            );
            assert!(agent.is_proven(&path), "nobody answered there");
        }
        if path.is_some() && self.told == now {
            let heard = self.heard.expect("nobody ever consented");
            let silence = now - heard;
            let age = agent.consent_age(now);
            assert!(
                silence < CONSENT,
                "sends after {silence:?} without consent, believes in {age:?}"
            );
        }
    }

    fn check_bounds(&self) {
        let agent = &self.peer.agent;
        let generations = agent.local_username_fragments().count();
        assert!((1..=2).contains(&generations), "{generations} generations");
        assert!(!agent.is_restarting() || generations == 2);
        assert!(agent.candidate_pairs().count() <= generations * 100);
        assert!(agent.local_candidates().count() <= 64);
        if self.state == State::Closed {
            assert_eq!(agent.poll_timeout(), None, "a life after close");
            assert_eq!(agent.usable_path(), None);
        }
        // Whatever a wake-up is for, it is for something: a datagram, an event, or the end of what a datagram began.
        let reasons = 2 * self.sent + self.events + 100;
        let wake_ups = self.wake_ups;
        assert!(
            wake_ups <= reasons,
            "{wake_ups} wake-ups, {reasons} reasons"
        );
    }
}

impl Node for Witness {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &mut [u8],
    ) {
        self.peer.handle_datagram(now, local, remote, bytes);
        // What is dropped tells an agent nothing, not even the time.
        if self.peer.received.pop() == Some(Received::Handled) {
            self.told = now;
            let class = Message::parse(bytes).map(|message| message.class());
            let proof = match self.peer.agent.mode() {
                Mode::Full => matches!(class, Ok(Class::SuccessResponse | Class::ErrorResponse)),
                // Or the answer to the check with which it proves a path.
                Mode::Lite => matches!(class, Ok(Class::Request | Class::SuccessResponse)),
            };
            if proof {
                self.heard = Some(now);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.told = now;
        self.wake_ups += 1;
        self.peer.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        let transmit = self.peer.poll_transmit(buf)?;
        assert_ne!(self.peer.state(), State::Closed, "it sends after close");
        self.sent += 1;
        Some(transmit)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.peer.poll_timeout()
    }

    fn collect_events(&mut self, now: Instant) {
        self.peer.collect_events(now);
        self.take_events();
        self.check_reports();
        self.check_path(now);
        self.check_bounds();
    }
}

/// What a caller does with its agent.
#[derive(Clone, Debug)]
enum Call {
    AddLocal(u16),
    /// The server-reflexive one, if the server has answered.
    AddReflexive,
    RemoveLocal(u16),
    LocalComplete,
    /// The peer's, by number; with its username fragment or without.
    AddRemote(u16, Named),
    RemoveRemote(u16),
    /// With the peer's username fragment or without.
    RemoteComplete(Named),
    Meet,
    Restart(Knowing),
    RollBack,
    Nominate(usize),
    Veto(usize),
    Release(usize),
    Timing(usize),
    Traffic,
    Revoke,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Yes,
    No,
}

/// What a restart knows of the peer: nothing, or what it says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knowing {
    Nothing,
    Peer,
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Call(End, Call),
    /// An application that does everything right: both restart, and tell each other all.
    Renegotiate,
    Links(Link),
    Cut,
    Heal,
    Rebind,
    Nat(Behaviour, Duration),
    /// What was once on the wire is there again, as it was or from elsewhere.
    Replay(usize, Option<u8>),
    Mutate(usize),
    Garbage(End),
    /// A check that the peer signed, claiming a role.
    Claim(End, Role, u64),
    Wait(Duration),
    /// The process does not run.
    Sleep(Duration),
}

fn any_end() -> impl Strategy<Value = End> {
    prop::sample::select(vec![End::A, End::B])
}

fn any_call() -> impl Strategy<Value = Call> {
    let named = || prop::sample::select(vec![Named::Yes, Named::No]);
    let knowing = prop::sample::select(vec![Knowing::Nothing, Knowing::Peer]);
    prop_oneof![
        4 => (0..SOCKETS).prop_map(Call::AddLocal),
        2 => Just(Call::AddReflexive),
        1 => (0..SOCKETS).prop_map(Call::RemoveLocal),
        2 => Just(Call::LocalComplete),
        4 => (0..SOCKETS + 1, named()).prop_map(|(n, named)| Call::AddRemote(n, named)),
        1 => (0..SOCKETS).prop_map(Call::RemoveRemote),
        2 => named().prop_map(Call::RemoteComplete),
        4 => Just(Call::Meet),
        2 => knowing.prop_map(Call::Restart),
        1 => Just(Call::RollBack),
        2 => (0_usize..8).prop_map(Call::Nominate),
        1 => (0_usize..8).prop_map(Call::Veto),
        1 => (0_usize..8).prop_map(Call::Release),
        1 => (0_usize..4).prop_map(Call::Timing),
        1 => Just(Call::Traffic),
        1 => prop::bool::weighted(0.3).prop_map(|revoke| if revoke { Call::Revoke } else { Call::Traffic }),
        1 => prop::bool::weighted(0.2).prop_map(|close| if close { Call::Close } else { Call::Traffic }),
    ]
}

fn any_behaviour() -> impl Strategy<Value = Behaviour> {
    let dependence = || prop::sample::select(Dependence::ALL.to_vec());
    (dependence(), dependence())
}

fn any_link() -> impl Strategy<Value = Link> {
    let chance = || prop::sample::select(vec![0.0, 0.1, 0.5]);
    (
        1_u64..300,
        0_u64..200,
        chance(),
        chance(),
        chance(),
        chance(),
    )
        .prop_map(
            |(delay, jitter, loss, duplication, reordering, corruption)| Link {
                delay: ms(delay),
                jitter: ms(jitter),
                loss,
                duplication,
                reordering,
                corruption,
                ..Link::default()
            },
        )
}

fn any_step() -> impl Strategy<Value = Step> {
    let elsewhere = prop::option::of(0_u8..4);
    let role = prop::sample::select(vec![Role::Controlling, Role::Controlled]);
    let tie_breaker = prop::sample::select(vec![0, 1 << 63, u64::MAX]);
    prop_oneof![
        24 => (any_end(), any_call()).prop_map(|(end, call)| Step::Call(end, call)),
        4 => Just(Step::Renegotiate),
        2 => any_link().prop_map(Step::Links),
        1 => Just(Step::Cut),
        2 => Just(Step::Heal),
        2 => Just(Step::Rebind),
        1 => (any_behaviour(), 1_u64..40).prop_map(|(nat, lifetime)| Step::Nat(nat, secs(lifetime))),
        2 => (any::<usize>(), elsewhere).prop_map(|(which, from)| Step::Replay(which, from)),
        1 => any::<usize>().prop_map(Step::Mutate),
        1 => any_end().prop_map(Step::Garbage),
        1 => (any_end(), role, tie_breaker).prop_map(|(end, role, tie)| Step::Claim(end, role, tie)),
        12 => prop_oneof![0_u64..100, 0_u64..2000, 0_u64..50_000].prop_map(|n| Step::Wait(ms(n))),
        1 => (0_u64..100_000).prop_map(|n| Step::Sleep(ms(n))),
    ]
}

/// How the story begins.
#[derive(Clone, Debug)]
struct Opening {
    seed: u8,
    homes: Homes,
    modes: [Mode; 2],
    initiations: [Initiation; 2],
    policies: [usize; 2],
    freezing: Freezing,
}

fn any_opening() -> impl Strategy<Value = Opening> {
    let nat = || prop::option::of(any_behaviour());
    let modes = prop_oneof![
        6 => Just([Mode::Full, Mode::Full]),
        1 => Just([Mode::Full, Mode::Lite]),
        1 => Just([Mode::Lite, Mode::Full]),
    ];
    // Mostly one offers; when both believe so, or neither, roles conflict.
    let initiations = prop_oneof![
        3 => Just([Initiation::Initiating, Initiation::Responding]),
        1 => Just([Initiation::Initiating, Initiation::Initiating]),
        1 => Just([Initiation::Responding, Initiation::Responding]),
    ];
    let freezing = prop::sample::select(vec![Freezing::Off, Freezing::On]);
    let policies = prop::array::uniform2(0_usize..4);
    (
        any::<u8>(),
        nat(),
        nat(),
        modes,
        initiations,
        policies,
        freezing,
    )
        .prop_map(
            |(seed, a, b, modes, initiations, policies, freezing)| Opening {
                seed,
                // A lite agent is a server: it is where its address says.
                homes: apart(
                    a.filter(|_| modes[0] == Mode::Full),
                    b.filter(|_| modes[1] == Mode::Full),
                ),
                modes,
                initiations,
                policies,
                freezing,
            },
        )
}

fn policy(n: usize) -> Arc<dyn Policy> {
    match n {
        0 => Arc::new(Regular),
        1 => Arc::new(Continuous::default()),
        2 => Arc::new(Mobile::default()),
        _ => Arc::new(ByApplication::default()),
    }
}

struct World {
    pair: Pair<Host<Witness>, Host<Witness>>,
    nats: Nats,
    tape: Wiretap,
    attacker: Attacker,
    claims: u8,
}

impl World {
    fn new(opening: &Opening) -> Self {
        let witness = |side: u8| {
            let index = usize::from(side - 1);
            let mut config = Config::default();
            config.freezing = opening.freezing;
            config.nomination = policy(opening.policies[index]);
            let socket = opening.homes.socket(side);
            let addresses: Vec<_> = (0..SOCKETS).map(|n| nth(socket, n)).collect();
            Witness::new(Peer::new(
                opening.seed.wrapping_add(side),
                opening.modes[index],
                opening.initiations[index],
                config,
                &addresses,
            ))
        };
        let nodes = (witness(1), witness(2));
        let (mut pair, nats) = opening.homes.settle(opening.seed.into(), nodes, [false; 2]);
        for n in 1..SOCKETS {
            pair.add_address(End::A, nth(pair.a.socket, n));
            pair.add_address(End::B, nth(pair.b.socket, n));
        }
        pair.network.set_links(Link::with_delay(ms(10)));
        let now = pair.now();
        pair.a.ask(now);
        pair.b.ask(now);
        let tape = pair.network.wiretap();
        Self {
            pair,
            nats,
            tape,
            attacker: Attacker::new(opening.seed.into()),
            claims: 0,
        }
    }

    /// This end and the other one.
    fn ends(&mut self, end: End) -> (&mut Host<Witness>, &mut Host<Witness>) {
        match end {
            End::A => (&mut self.pair.a, &mut self.pair.b),
            End::B => (&mut self.pair.b, &mut self.pair.a),
        }
    }

    fn run(&mut self, step: &Step) {
        let every_nat: Vec<_> = self.nats.a.iter().chain(&self.nats.b).copied().collect();
        let network = &mut self.pair.network;
        match step {
            Step::Call(end, call) => self.call(*end, call),
            Step::Renegotiate => self.renegotiate(),
            Step::Links(link) => network.set_links(link.clone()),
            Step::Cut => network.cut(),
            Step::Heal => network.heal(),
            Step::Rebind => every_nat.iter().for_each(|nat| network.rebind(*nat)),
            Step::Nat((mapping, filtering), lifetime) => {
                for nat in every_nat {
                    let nat = network.nat(nat);
                    (nat.mapping, nat.filtering) = (*mapping, *filtering);
                    nat.lifetime = *lifetime;
                }
            }
            Step::Replay(which, from) => {
                if let Some(mut datagram) = self.recorded(*which) {
                    if let Some(from) = from {
                        datagram.source = sim::address(100 + from);
                    }
                    self.pair.inject(datagram);
                }
            }
            Step::Mutate(which) => {
                if let Some(datagram) = self.recorded(*which) {
                    let mutant = self.attacker.mutate(&datagram);
                    self.pair.inject(mutant);
                }
            }
            Step::Garbage(end) => {
                let to = self.ends(*end).0.socket;
                let garbage = self.attacker.garbage(sim::address(100), to, 700);
                self.pair.inject(garbage);
            }
            Step::Claim(end, role, tie_breaker) => self.claim(*end, *role, *tie_breaker),
            Step::Wait(duration) => self.pair.run_for(*duration),
            Step::Sleep(duration) => self.pair.sleep(*duration),
        }
        // Everything that is due now happens, and the witnesses are asked.
        self.pair.run_for(Duration::ZERO);
    }

    fn recorded(&self, which: usize) -> Option<Datagram> {
        let seen = self.tape.seen();
        let (_, datagram) = seen.get(which.checked_rem(seen.len())?)?;
        Some(datagram.clone())
    }

    fn call(&mut self, end: End, call: &Call) {
        let now = self.pair.now();
        let (host, other) = self.ends(end);
        let (socket, mapped) = (host.socket, host.mapped);
        let (of_other, other_mapped) = (other.socket, other.mapped);
        let remote = other.node.peer.remote_parameters();
        let agent = &mut host.node.peer.agent;
        let pair = |index: usize| {
            let pairs: Vec<PairId> = agent.candidate_pairs().map(|stats| stats.pair.id).collect();
            pairs.get(index.checked_rem(pairs.len())?).copied()
        };
        match call {
            Call::AddLocal(n) => {
                may_refuse(agent.add_local_candidate(now, Candidate::host(nth(socket, *n))))
            }
            Call::AddReflexive => {
                if let Some(mapped) = mapped.filter(|mapped| *mapped != socket) {
                    let candidate = Candidate::server_reflexive(mapped, socket);
                    may_refuse(agent.add_local_candidate(now, candidate));
                }
            }
            Call::RemoveLocal(n) => may_refuse(agent.remove_local_candidate(now, nth(socket, *n))),
            Call::LocalComplete => agent.local_candidates_complete(now),
            Call::AddRemote(n, named) => {
                let candidate = match other_mapped {
                    Some(mapped) if *n == SOCKETS => Candidate::server_reflexive(mapped, of_other),
                    _ => Candidate::host(nth(of_other, n % SOCKETS)),
                };
                let fragment = remote.parameters.username_fragment();
                may_refuse(agent.add_remote_candidate(
                    now,
                    match named {
                        Named::Yes => candidate.with_username_fragment(fragment),
                        Named::No => candidate,
                    },
                ));
            }
            Call::RemoveRemote(n) => {
                may_refuse(agent.remove_remote_candidate(now, nth(of_other, *n)))
            }
            Call::RemoteComplete(Named::No) => agent.remote_candidates_complete(now),
            Call::RemoteComplete(Named::Yes) => {
                agent.remote_candidates_complete_of(now, remote.parameters.username_fragment());
            }
            Call::Meet => may_refuse(agent.set_remote_parameters(now, remote)),
            Call::Restart(knowing) => {
                let remote = Some(remote).filter(|_| *knowing == Knowing::Peer);
                may_refuse(agent.restart(now, None, remote));
            }
            Call::RollBack => may_refuse(agent.rollback_restart(now)),
            Call::Nominate(index) => may_refuse(pair(*index).map(|pair| agent.nominate(now, pair))),
            Call::Veto(index) => may_refuse(pair(*index).map(|pair| agent.veto(now, pair))),
            Call::Release(index) => may_refuse(pair(*index).map(|pair| agent.release(now, pair))),
            Call::Timing(n) => agent.set_timing(now, timing(*n)),
            Call::Traffic => agent.note_authenticated_traffic(now),
            Call::Revoke => agent.revoke_consent(now, Reason::PeerClosed),
            Call::Close => agent.close(now),
        }
    }

    /// A check from the peer's first socket, rightly signed.
    fn claim(&mut self, end: End, role: Role, tie_breaker: u64) {
        self.claims = self.claims.wrapping_add(1);
        let id = TransactionId::from_bytes([self.claims; 12]);
        let (host, other) = self.ends(end);
        let (local, remote) = (
            host.node.peer.agent.local_parameters().clone(),
            other.node.peer.agent.local_parameters().clone(),
        );
        let key = IntegrityKey::short_term(local.password().as_bytes());
        let attribute = match role {
            Role::Controlling => RoleAttribute::Controlling(tie_breaker),
            Role::Controlled => RoleAttribute::Controlled(tie_breaker),
        };
        let mut buf = [0; 200];
        let len = Writer::request(&mut buf, Method::BINDING, id)
            .ice_username(local.username_fragment(), remote.username_fragment())
            .priority(1_845_501_695)
            .role(attribute)
            .integrity(&key)
            .fingerprint()
            .unwrap();
        let datagram = Datagram {
            source: other.socket,
            destination: host.socket,
            bytes: buf[..len].to_vec(),
        };
        self.pair.inject(datagram);
    }

    fn is_open(&self) -> bool {
        let open = |host: &Host<Witness>| host.node.peer.state() != State::Closed;
        open(&self.pair.a) && open(&self.pair.b)
    }

    /// A offers a restart, B answers, and each tells the other its candidates.
    fn renegotiate(&mut self) {
        if !self.is_open() {
            return;
        }
        let now = self.pair.now();
        let (a, b) = (&mut self.pair.a, &mut self.pair.b);
        a.node.peer.agent.restart(now, None, None).unwrap();
        let offer = a.node.peer.remote_parameters();
        b.node.peer.agent.restart(now, None, Some(offer)).unwrap();
        let answer = b.node.peer.remote_parameters();
        a.node
            .peer
            .agent
            .set_remote_parameters(now, answer)
            .unwrap();
        for end in [End::A, End::B] {
            let (host, other) = self.ends(end);
            let agent = &mut host.node.peer.agent;
            for candidate in candidates(agent.mode(), host.socket, host.mapped) {
                let added = agent.add_local_candidate(now, candidate);
                // A lite agent has one per address, and may have another (RFC 8445 §5.2).
                assert!(added.is_ok() || agent.mode() == Mode::Lite, "{added:?}");
            }
            agent.local_candidates_complete(now);
            let mode = other.node.peer.agent.mode();
            for candidate in candidates(mode, other.socket, other.mapped) {
                agent.add_remote_candidate(now, candidate).unwrap();
            }
            agent.remote_candidates_complete(now);
        }
    }

    /// The network is at its best again, and the application does what it must: after that there is no excuse.
    fn heal(&mut self) {
        self.pair.network.set_links(Link::with_delay(ms(10)));
        for nat in self.nats.a.iter().chain(&self.nats.b) {
            let nat = self.pair.network.nat(*nat);
            nat.mapping = Dependence::EndpointIndependent;
            nat.lifetime = secs(120);
        }
        let now = self.pair.now();
        self.pair.a.ask(now);
        self.pair.b.ask(now);
        self.pair
            .drive_until(|a, b| a.has_answers() && b.has_answers());
        let now = self.pair.now();
        for host in [&mut self.pair.a, &mut self.pair.b] {
            let agent = &mut host.node.peer.agent;
            agent.set_timing(now, Timing::default());
            // Candidates of one foundation wait for each other, for longer than the peer may be patient.
            for n in 1..SOCKETS {
                let _ = agent.remove_local_candidate(now, nth(host.socket, n));
            }
        }
        self.renegotiate();
        self.pair.run_for(Duration::ZERO);
    }

    fn check_they_meet(&mut self) {
        let chosen = |host: &mut Host<Witness>, now| {
            // One whose application nominates.
            let agent = &mut host.node.peer.agent;
            let works = |stats: &floe_ice::CandidatePairStats| {
                stats.state == floe_ice::PairState::Succeeded
            };
            let best = agent
                .candidate_pairs()
                .filter(works)
                .map(|stats| stats.pair.id)
                .next();
            if let Some(best) = best.filter(|_| agent.role() == Some(Role::Controlling)) {
                let _ = agent.nominate(now, best);
            }
        };
        let done = |host: &Host<Witness>| host.node.state == State::Completed;
        let end = self.pair.now() + secs(60);
        while !(done(&self.pair.a) && done(&self.pair.b)) {
            assert!(
                self.pair.now() < end,
                "they do not meet: {} and {}",
                self.pair.a.node.state,
                self.pair.b.node.state
            );
            self.pair.run_for(ms(100));
            let now = self.pair.now();
            if self.pair.now() + secs(50) < end {
                chosen(&mut self.pair.a, now);
                chosen(&mut self.pair.b, now);
            }
        }
        let roles = [&self.pair.a, &self.pair.b].map(|host| host.node.peer.agent.role());
        assert_ne!(roles[0], roles[1], "one controls");
        // It lasts, and the old generation has gone.
        self.pair.run_for(secs(90));
        for host in [&self.pair.a, &self.pair.b] {
            assert_eq!(host.node.state, State::Completed);
            assert_eq!(host.node.peer.agent.local_username_fragments().count(), 1);
        }
    }
}

/// What a caller does out of turn may be refused, and that is all.
fn may_refuse<T>(_: T) {}

fn nth(socket: SocketAddr, n: u16) -> SocketAddr {
    SocketAddr::new(socket.ip(), socket.port() + n)
}

/// What a side signals when it does it right.
fn candidates(mode: Mode, socket: SocketAddr, mapped: Option<SocketAddr>) -> Vec<Candidate> {
    let reflexive = mapped.filter(|mapped| *mapped != socket && mode == Mode::Full);
    let reflexive = reflexive.map(|mapped| Candidate::server_reflexive(mapped, socket));
    std::iter::once(Candidate::host(socket))
        .chain(reflexive)
        .collect()
}

fn timing(n: usize) -> Timing {
    match n {
        0 => Timing::default(),
        1 => Timing::webrtc(),
        2 => Timing::low_power(),
        _ => Timing::livekit(),
    }
}

proptest! {
    // `PROPTEST_CASES` asks for more than the 256 of every run.
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, ..ProptestConfig::default() })]

    // req: I14 I16 I24
    #[test]
    fn two_agents_keep_the_laws_whatever_happens_and_meet_when_the_network_heals(
        opening in any_opening(),
        steps in prop::collection::vec(any_step(), 0..60),
    ) {
        let mut world = World::new(&opening);
        world.pair.run_for(ms(100));
        for step in &steps {
            world.run(step);
        }
        if world.is_open() {
            world.heal();
            world.check_they_meet();
        }
    }
}

// req: I22
#[test]
fn a_veto_taken_back_is_no_sign_of_life_to_a_lite_agent() {
    let mut solo = Solo::new(Mode::Lite, Initiation::Responding, Config::default());
    let host = Candidate::host(local());
    solo.agent.add_local_candidate(solo.now, host).unwrap();
    solo.meet();
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    let pair = solo.agent.selected_candidate_pair().unwrap().id;
    solo.run_for(secs(20));
    solo.agent.veto(solo.now, pair).unwrap();
    assert_eq!(solo.agent.send_path(), None);
    solo.agent.release(solo.now, pair).unwrap();
    assert!(solo.agent.send_path().is_some());
    solo.run_for(secs(9));
    assert!(solo.agent.send_path().is_some());
    solo.run_for(secs(1));
    assert_eq!(solo.agent.send_path(), None);
    // And from then on the wish counts no more.
    assert!(solo.agent.release(solo.now, pair).is_err() || solo.agent.send_path().is_none());
}
