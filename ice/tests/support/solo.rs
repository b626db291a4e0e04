//! One agent alone with a test that plays its peer, byte by byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_ice::{
    Agent, Candidate, Config, Event, FiveTuple, Initiation, Mode, Parameters, Received,
    RemoteParameters, Transition,
};
use floe_stun::{
    AttributeType, ErrorCode, IntegrityKey, Message, Method, RoleAttribute, TransactionId, Writer,
};

use super::{address, ms};

pub(crate) struct Solo {
    pub(crate) agent: Agent,
    pub(crate) now: Instant,
    pub(crate) sent: Vec<Sent>,
    pub(crate) events: Vec<Event>,
    /// The credentials the test plays the peer with.
    pub(crate) peer: Parameters,
    start: Instant,
    ids: u64,
}

/// A datagram that the agent sent, and when.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) path: FiveTuple,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).expect("agents send STUN")
    }

    pub(crate) fn id(&self) -> TransactionId {
        self.message().transaction_id()
    }

    pub(crate) fn is_request(&self) -> bool {
        self.message().class() == floe_stun::Class::Request
    }
}

impl Solo {
    pub(crate) fn new(mode: Mode, initiation: Initiation, config: Config) -> Self {
        let start = sim::Clock::epoch();
        Self {
            agent: Agent::with_seed([9; 32], Arc::new(config), mode, initiation, None),
            now: start,
            sent: Vec::new(),
            events: Vec::new(),
            peer: Parameters::new("peer", "the-password-of-the-peer").unwrap(),
            start,
            ids: 0,
        }
    }

    /// A full agent with one candidate that knows its peer's parameters and these candidates.
    pub(crate) fn checking(initiation: Initiation, config: Config, remotes: &[SocketAddr]) -> Self {
        let mut solo = Self::new(Mode::Full, initiation, config);
        solo.agent
            .add_local_candidate(solo.now, Candidate::host(local()))
            .unwrap();
        solo.meet();
        for (index, remote) in remotes.iter().enumerate() {
            let candidate = Candidate::host(*remote).with_local_preference(60_000 - index as u16);
            solo.agent
                .add_remote_candidate(solo.now, candidate)
                .unwrap();
        }
        solo.drain();
        solo
    }

    /// The agent learns the test's parameters.
    pub(crate) fn meet(&mut self) {
        let remote = RemoteParameters::new(self.peer.clone());
        self.agent.set_remote_parameters(self.now, remote).unwrap();
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub(crate) fn drain(&mut self) {
        let mut buf = [0; 1200];
        while let Some(transmit) = self.agent.poll_transmit(&mut buf) {
            let bytes = buf[..transmit.len].to_vec();
            self.sent.push(Sent {
                at: self.now - self.start,
                path: transmit.path,
                bytes,
            });
        }
        while let Some(event) = self.agent.poll_event() {
            self.events.push(event);
        }
    }

    /// Time passes; the timer law is checked on the way.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.drain();
        while let Some(next) = self.agent.poll_timeout().filter(|next| *next <= end) {
            assert!(next >= self.now, "a deadline in the past");
            self.now = next;
            self.agent.handle_timeout(next);
            assert!(
                self.agent.poll_timeout().is_none_or(|later| later > next),
                "the timer law"
            );
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn receive(&mut self, remote: SocketAddr, bytes: &[u8]) -> Received {
        let received = self
            .agent
            .handle_datagram(self.now, FiveTuple::udp(local(), remote), bytes);
        self.drain();
        received
    }

    /// What was sent since the last call.
    pub(crate) fn take(&mut self) -> Vec<Sent> {
        self.drain();
        std::mem::take(&mut self.sent)
    }

    pub(crate) fn take_requests(&mut self) -> Vec<Sent> {
        self.take().into_iter().filter(Sent::is_request).collect()
    }

    /// Answers a check with success, from where it went.
    pub(crate) fn answer(&mut self, check: &Sent) -> Received {
        let response = self.success_to(check, check.path.local);
        self.receive(check.path.remote, &response)
    }

    pub(crate) fn success_to(&self, check: &Sent, mapped: SocketAddr) -> Vec<u8> {
        success(check.id(), mapped, self.peer.password())
    }

    pub(crate) fn error_to(&self, check: &Sent, code: ErrorCode) -> Vec<u8> {
        let mut buf = [0; 200];
        let key = IntegrityKey::short_term(self.peer.password().as_bytes());
        let writer = Writer::error(&mut buf, Method::BINDING, check.id(), code);
        let len = writer.integrity(&key).fingerprint().unwrap();
        buf[..len].to_vec()
    }

    /// A check of the peer's, as an honest one sends it in the role that fits.
    pub(crate) fn check(&mut self) -> Check {
        self.ids += 1;
        Check {
            to: self.agent.local_parameters().clone(),
            from: self.peer.username_fragment().to_owned(),
            id: self.ids,
            priority: Some(1_845_501_695),
            role: None,
            use_candidate: false,
            nomination: None,
            extra: None,
            sha256: false,
        }
    }

    pub(crate) fn transitions(&self) -> Vec<Transition> {
        let transition = |event: &Event| match event {
            Event::StateChange(transition) => Some(*transition),
            _ => None,
        };
        self.events.iter().filter_map(transition).collect()
    }
}

pub(crate) fn success(id: TransactionId, mapped: SocketAddr, password: &str) -> Vec<u8> {
    let mut buf = [0; 200];
    let key = IntegrityKey::short_term(password.as_bytes());
    let writer = Writer::success(&mut buf, Method::BINDING, id).xor_mapped_address(mapped);
    let len = writer.integrity(&key).fingerprint().unwrap();
    buf[..len].to_vec()
}

/// A Binding request, field by field.
#[derive(Clone)]
pub(crate) struct Check {
    pub(crate) to: Parameters,
    pub(crate) from: String,
    pub(crate) id: u64,
    pub(crate) priority: Option<u32>,
    pub(crate) role: Option<RoleAttribute>,
    pub(crate) use_candidate: bool,
    pub(crate) nomination: Option<u32>,
    pub(crate) extra: Option<AttributeType>,
    pub(crate) sha256: bool,
}

impl Check {
    pub(crate) fn nominating(self) -> Self {
        Self {
            use_candidate: true,
            role: Some(RoleAttribute::Controlling(1)),
            ..self
        }
    }

    pub(crate) fn transaction_id(&self) -> TransactionId {
        let [a, b, c, d, e, f, g, h] = self.id.to_be_bytes();
        TransactionId::from_bytes([1, 2, 3, 4, a, b, c, d, e, f, g, h])
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes_under(self.to.password())
    }

    /// Signed with another password than the one it should be.
    pub(crate) fn bytes_under(&self, password: &str) -> Vec<u8> {
        let mut buf = [0; 1400];
        let mut writer = Writer::request(&mut buf, Method::BINDING, self.transaction_id())
            .ice_username(self.to.username_fragment(), &self.from);
        if let Some(priority) = self.priority {
            writer = writer.priority(priority);
        }
        if let Some(role) = self.role {
            writer = writer.role(role);
        }
        if self.use_candidate {
            writer = writer.use_candidate();
        }
        if let Some(nomination) = self.nomination {
            writer = writer.nomination(nomination);
        }
        if let Some(extra) = self.extra {
            writer = writer.attribute(extra, &[0; 4]);
        }
        let key = IntegrityKey::short_term(password.as_bytes());
        let writer = if self.sha256 {
            writer.integrity_sha256(&key)
        } else {
            writer.integrity(&key)
        };
        let len = writer.fingerprint().unwrap();
        buf[..len].to_vec()
    }
}

/// Where the lone agent's socket is.
pub(crate) fn local() -> SocketAddr {
    address(1, 0)
}

/// The `n`th address of its peer.
pub(crate) fn remote(n: u16) -> SocketAddr {
    address(2, n)
}

/// So many of them.
pub(crate) fn remotes(count: u16) -> Vec<SocketAddr> {
    (0..count).map(remote).collect()
}

/// When each check that was sent since the last look left first, and where to.
pub(crate) fn first_transmissions(solo: &mut Solo) -> Vec<(Duration, SocketAddr)> {
    let mut seen = std::collections::HashSet::new();
    let requests = solo.take_requests();
    requests
        .iter()
        .filter(|sent| seen.insert(sent.id()))
        .map(|sent| (sent.at, sent.path.remote))
        .collect()
}

/// A controlled agent whose pair with `remote(0)` has succeeded.
pub(crate) fn controlled_with_pairs(count: u16) -> Solo {
    controlled(count, Config::default())
}

/// The same with a configuration.
pub(crate) fn controlled(count: u16, config: Config) -> Solo {
    let remotes: Vec<SocketAddr> = (0..count).map(remote).collect();
    let mut solo = Solo::checking(Initiation::Responding, config, &remotes);
    solo.run_for(ms(50) * u32::from(count));
    for check in solo.take_requests() {
        let _ = solo.answer(&check);
    }
    solo
}

/// A controlled agent in the middle of a call with the test: its one pair is nominated.
pub(crate) fn in_a_call() -> Solo {
    in_a_call_with(Config::default())
}

/// The same with a configuration.
pub(crate) fn in_a_call_with(config: Config) -> Solo {
    let mut solo = controlled(1, config);
    let request = solo.check().nominating().bytes();
    let _ = solo.receive(remote(0), &request);
    solo.take();
    assert!(solo.agent.selected_candidate_pair().unwrap().nominated);
    solo
}
