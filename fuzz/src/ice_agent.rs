//! An agent between a hostile network and a caller of every mood.
//!
//! The bytes are a sequence of operations: time, commands, raw datagrams, and the requests and responses of a peer that knows
//! the credentials, so that the fuzzer gets past the MAC. After each one the agent's laws are checked.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use arbitrary::{Arbitrary, Unstructured};
use floe_ice::nomination::Continuous;
use floe_ice::{
    Agent, Candidate, Config, Event, FiveTuple, Freezing, Initiation, Mode, Parameters, Reason,
    RemoteParameters, State, Timing,
};
use floe_stun::{
    Class, ErrorCode, IntegrityKey, Message, Method, RoleAttribute, TransactionId, Writer,
};

use crate::{clock, ignore};

const MTU: usize = 1200;
/// What the caller has sent and the peer may still answer or replay.
const REMEMBERED: usize = 16;
/// More datagrams than this from one wake-up is a storm.
const BURST: usize = 256;

#[expect(
    clippy::struct_excessive_bools,
    reason = "coins that the fuzzer throws"
)]
#[derive(Arbitrary, Debug)]
struct Input {
    lite: bool,
    answers: bool,
    peer_is_lite: bool,
    freezing: bool,
    renomination: bool,
    timing: Preset,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Preset {
    Default,
    Webrtc,
    LowPower,
    LiveKit,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Advance { millis: u16 },
    WakeWhenAsked,
    AddLocal { at: u8 },
    RemoveLocal { at: u8 },
    LocalComplete,
    AddRemote { at: u8, priority: u32 },
    AddRemoteOf { at: u8, generation: u8 },
    RemoveRemote { at: u8 },
    RemoteComplete,
    RemoteCompleteOf { generation: u8 },
    SetRemoteParameters,
    Restart(Knowledge),
    Rollback,
    Traffic,
    SetTiming(Preset),
    Revoke,
    Close,
    Raw { path: Path, datagram: Vec<u8> },
    Request(Request),
    Answer(Answer),
    Replay { which: u8, path: Path },
}

/// Whose credentials a restart brings.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Knowledge {
    Ours,
    Both,
}

/// A small world of addresses, so that things meet.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Path {
    local: u8,
    remote: u8,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "coins that the fuzzer throws"
)]
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Request {
    path: Path,
    id: u8,
    priority: Option<u32>,
    use_candidate: bool,
    role: Option<Claim>,
    tiebreaker: u64,
    nomination: Option<u32>,
    unknown: bool,
    forged: bool,
    stranger: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Claim {
    Controlling,
    Controlled,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Answer {
    which: u8,
    kind: AnswerKind,
    /// `None`: back where the request came from.
    path: Option<Path>,
    forged: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum AnswerKind {
    Success { mapped: Option<u8> },
    RoleConflict,
    Forbidden,
    BadRequest,
}

/// Runs the operations.
pub fn run(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let mut world = World::new(&input);
    for operation in input.operations.into_iter().take(300) {
        world.apply(operation);
        world.settle();
    }
}

struct World {
    now: Instant,
    agent: Agent,
    state: State,
    peer: Parameters,
    peer_mode: Mode,
    peer_generation: u8,
    sent: VecDeque<(FiveTuple, Vec<u8>)>,
    received: VecDeque<Vec<u8>>,
}

impl World {
    fn new(input: &Input) -> Self {
        let mode = |lite| if lite { Mode::Lite } else { Mode::Full };
        let initiation = if input.answers {
            Initiation::Responding
        } else {
            Initiation::Initiating
        };
        let mut config = Config::with_timing(timing(input.timing));
        config.mtu = MTU;
        if input.freezing {
            config.freezing = Freezing::On;
        }
        if input.renomination {
            config.nomination = Arc::new(Continuous::default());
        }
        Self {
            now: clock::epoch(),
            agent: Agent::with_seed(
                [7; 32],
                Arc::new(config),
                mode(input.lite),
                initiation,
                None,
            ),
            state: State::New,
            peer: peer_parameters(0),
            peer_mode: mode(input.peer_is_lite),
            peer_generation: 0,
            sent: VecDeque::new(),
            received: VecDeque::new(),
        }
    }

    fn apply(&mut self, operation: Operation) {
        let now = self.now;
        match operation {
            Operation::Advance { millis } => self.advance(Duration::from_millis(millis.into())),
            Operation::WakeWhenAsked => {
                let wait = self
                    .agent
                    .poll_timeout()
                    .map(|at| at.saturating_duration_since(now));
                self.advance(wait.unwrap_or_default());
            }
            Operation::AddLocal { at } => ignore(
                self.agent
                    .add_local_candidate(now, Candidate::host(local(at))),
            ),
            Operation::RemoveLocal { at } => {
                ignore(self.agent.remove_local_candidate(now, local(at)))
            }
            Operation::LocalComplete => self.agent.local_candidates_complete(now),
            Operation::AddRemote { at, priority } => {
                let candidate = Candidate::host(remote(at)).with_priority(priority.max(1));
                ignore(self.agent.add_remote_candidate(now, candidate));
            }
            Operation::AddRemoteOf { at, generation } => {
                let of = peer_parameters(generation);
                let candidate = Candidate::host(remote(at));
                let candidate = candidate.with_username_fragment(of.username_fragment());
                ignore(self.agent.add_remote_candidate(now, candidate));
            }
            Operation::RemoveRemote { at } => {
                ignore(self.agent.remove_remote_candidate(now, remote(at)))
            }
            Operation::RemoteComplete => self.agent.remote_candidates_complete(now),
            Operation::RemoteCompleteOf { generation } => {
                let of = peer_parameters(generation);
                let fragment = of.username_fragment();
                self.agent.remote_candidates_complete_of(now, fragment);
            }
            Operation::SetRemoteParameters => {
                let parameters = self.remote_parameters();
                ignore(self.agent.set_remote_parameters(now, parameters));
            }
            Operation::Restart(knowledge) => self.restart(knowledge),
            Operation::Rollback => ignore(self.agent.rollback_restart(now)),
            Operation::Traffic => self.agent.note_authenticated_traffic(now),
            Operation::SetTiming(preset) => self.agent.set_timing(now, timing(preset)),
            Operation::Revoke => self.agent.revoke_consent(now, Reason::ConsentRevoked),
            Operation::Close => self.agent.close(now),
            Operation::Raw { path, datagram } => self.deliver(path.resolve(), datagram),
            Operation::Request(request) => self.request(request),
            Operation::Answer(answer) => self.answer(answer),
            Operation::Replay { which, path } => {
                if let Some(datagram) = pick(&self.received, which).cloned() {
                    self.deliver(path.resolve(), datagram);
                }
            }
        }
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
        self.agent.handle_timeout(self.now);
        let deadline = self.agent.poll_timeout();
        assert!(
            deadline.is_none_or(|at| at > self.now),
            "a deadline was left behind"
        );
    }

    fn restart(&mut self, knowledge: Knowledge) {
        self.peer_generation = self.peer_generation.wrapping_add(1);
        let next = peer_parameters(self.peer_generation);
        let before = std::mem::replace(&mut self.peer, next);
        let remote = matches!(knowledge, Knowledge::Both).then(|| self.remote_parameters());
        if self.agent.restart(self.now, None, remote).is_err() {
            self.peer = before;
        }
    }

    fn remote_parameters(&self) -> RemoteParameters {
        let mut remote = RemoteParameters::new(self.peer.clone());
        remote.mode = self.peer_mode;
        remote
    }

    fn request(&mut self, request: Request) {
        let ours = self.agent.local_parameters();
        let key = if request.forged {
            forged_key()
        } else {
            key_of(ours)
        };
        let theirs = if request.stranger {
            "stranger"
        } else {
            self.peer.username_fragment()
        };
        let mut buf = [0; MTU];
        let id = TransactionId::from_bytes([request.id; 12]);
        let mut writer = Writer::request(&mut buf, Method::BINDING, id)
            .ice_username(ours.username_fragment(), theirs);
        if let Some(priority) = request.priority {
            writer = writer.priority(priority);
        }
        if request.use_candidate {
            writer = writer.use_candidate();
        }
        if let Some(claim) = request.role {
            writer = writer.role(claim.with(request.tiebreaker));
        }
        if let Some(nomination) = request.nomination {
            writer = writer.nomination(nomination);
        }
        if request.unknown {
            writer = writer.attribute(floe_stun::AttributeType::new(0x7ABC), b"?");
        }
        let len = writer.integrity(&key).fingerprint().expect("it fits");
        self.deliver(request.path.resolve(), buf[..len].to_vec());
    }

    fn answer(&mut self, answer: Answer) {
        let Some((path, request)) = pick(&self.sent, answer.which) else {
            return;
        };
        let message = Message::parse(request).expect("the agent writes STUN");
        if message.class() != Class::Request {
            return;
        }
        let key = if answer.forged {
            forged_key()
        } else {
            key_of(&self.peer)
        };
        let (method, id) = (message.method(), message.transaction_id());
        let path = answer.path.map_or(*path, Path::resolve);
        let mut buf = [0; MTU];
        let writer = match answer.kind {
            AnswerKind::Success { mapped } => Writer::success(&mut buf, method, id)
                .xor_mapped_address(mapped.map_or(path.local, local)),
            AnswerKind::RoleConflict => {
                Writer::error(&mut buf, method, id, ErrorCode::ROLE_CONFLICT)
            }
            AnswerKind::Forbidden => Writer::error(&mut buf, method, id, ErrorCode::FORBIDDEN),
            AnswerKind::BadRequest => Writer::error(&mut buf, method, id, ErrorCode::BAD_REQUEST),
        };
        let len = writer.integrity(&key).fingerprint().expect("it fits");
        self.deliver(path, buf[..len].to_vec());
    }

    fn deliver(&mut self, path: FiveTuple, datagram: Vec<u8>) {
        let _ = self.agent.handle_datagram(self.now, path, &datagram);
        remember(&mut self.received, datagram);
    }

    /// Drains what the operation led to and checks what always holds.
    fn settle(&mut self) {
        let mut buf = [0; MTU];
        let mut sent = 0;
        while let Some(transmit) = self.agent.poll_transmit(&mut buf) {
            let datagram = buf[..transmit.len].to_vec();
            Message::parse(&datagram).expect("an agent sends STUN and nothing else");
            remember(&mut self.sent, (transmit.path, datagram));
            sent += 1;
            assert!(sent < BURST, "a storm");
        }
        while let Some(event) = self.agent.poll_event() {
            if let Event::StateChange(transition) = event {
                assert_eq!(transition.from, self.state, "a change of state was lost");
                assert_ne!(
                    transition.from,
                    State::Closed,
                    "there is a life after close"
                );
                self.state = transition.to;
            }
        }
        assert_eq!(
            self.state,
            self.agent.state(),
            "the state changed without a word"
        );
        assert!(
            self.agent.candidate_pairs().count() <= 2 * 100,
            "pairs are capped per generation"
        );
        if self.state == State::Closed {
            assert_eq!(self.agent.poll_timeout(), None);
            assert_eq!(self.agent.send_path(), None);
        }
        if matches!(self.state, State::Connected | State::Completed) {
            assert!(
                self.agent.selected_candidate_pair().is_some(),
                "connected over no pair"
            );
        }
    }
}

impl Path {
    fn resolve(self) -> FiveTuple {
        FiveTuple::udp(local(self.local), remote(self.remote))
    }
}

fn timing(preset: Preset) -> Timing {
    match preset {
        Preset::Default => Timing::default(),
        Preset::Webrtc => Timing::webrtc(),
        Preset::LowPower => Timing::low_power(),
        Preset::LiveKit => Timing::livekit(),
    }
}

impl Claim {
    fn with(self, tiebreaker: u64) -> RoleAttribute {
        match self {
            Self::Controlling => RoleAttribute::Controlling(tiebreaker),
            Self::Controlled => RoleAttribute::Controlled(tiebreaker),
        }
    }
}

fn peer_parameters(generation: u8) -> Parameters {
    let password = format!("the peer's password {generation:03}").replace([' ', '\''], "+");
    Parameters::new(&format!("peer{generation:03}"), &password)
        .expect("both are of ICE's characters")
}

fn key_of(parameters: &Parameters) -> IntegrityKey {
    IntegrityKey::short_term(parameters.password().as_bytes())
}

fn forged_key() -> IntegrityKey {
    IntegrityKey::short_term(b"nobody's password at all")
}

fn local(at: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1 + at % 3), 5000))
}

/// Sixteen signalled places, and the rest where only peer-reflexive candidates come from.
fn remote(at: u8) -> SocketAddr {
    SocketAddr::from((
        Ipv4Addr::new(198, 51, 100, 1 + at % 4),
        6000 + u16::from(at / 4),
    ))
}

fn pick<T>(queue: &VecDeque<T>, which: u8) -> Option<&T> {
    queue.get(usize::from(which).checked_rem(queue.len())?)
}

fn remember<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() == REMEMBERED {
        queue.pop_front();
    }
    queue.push_back(item);
}
