//! What anybody can send, without a password or with what was overheard, to agents of every kind in every state: all of it is
//! dropped and counted, and none of it takes room.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use allocation_counter::measure;
use floe_ice::{
    Agent, Candidate, Config, DropReason, FiveTuple, Initiation, Mode, Received, RemoteParameters,
    State,
};
use floe_stun::{
    AttributeType, ErrorCode, IntegrityAlgorithm, IntegrityKey, Message, Method, TransactionId,
    Writer,
};

use crate::support::secs;

/// All that strangers can be dropped for.
const OF_ANYBODY: [DropReason; 14] = [
    DropReason::Malformed,
    DropReason::TooLong,
    DropReason::MissingFingerprint,
    DropReason::BadFingerprint,
    DropReason::UnknownMethod,
    DropReason::RefusedAddress,
    DropReason::MissingUsername,
    DropReason::UnknownUsername,
    DropReason::MissingIntegrity,
    DropReason::BadIntegrity,
    DropReason::IntegrityBudget,
    DropReason::UnknownTransaction,
    DropReason::PairSucceeded,
    DropReason::Closed,
];

#[derive(Clone, Copy, Debug)]
struct Kind {
    mode: Mode,
    initiation: Initiation,
    v6: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    Checking,
    /// Controlling: its check that nominates is not answered yet.
    Nominating,
    InACall,
    Restarting,
    Failed,
    Closed,
}

impl Kind {
    fn all() -> Vec<Self> {
        use Stage::{Checking, Closed, Failed, InACall, New, Nominating, Restarting};
        let stages = [
            New, Checking, Nominating, InACall, Restarting, Failed, Closed,
        ];
        let mut all = Vec::new();
        for (mode, initiation) in [
            (Mode::Full, Initiation::Initiating),
            (Mode::Full, Initiation::Responding),
            (Mode::Lite, Initiation::Responding),
        ] {
            for v6 in [false, true] {
                all.extend(stages.map(|stage| Self {
                    mode,
                    initiation,
                    v6,
                    stage,
                }));
            }
        }
        all.retain(|kind| kind.stage != Nominating || kind.initiation == Initiation::Initiating);
        all
    }

    fn address(self, host: u8) -> SocketAddr {
        match self.v6 {
            false => SocketAddr::from(([192, 0, 2, host], 5000)),
            true => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()], 5000)),
        }
    }

    fn loopback(self) -> SocketAddr {
        let text = if self.v6 {
            "[::1]:5000"
        } else {
            "127.0.0.1:5000"
        };
        text.parse().unwrap()
    }
}

/// An agent, its peer, and what was overheard between them.
struct Scene {
    kind: Kind,
    agent: Agent,
    peer: Agent,
    now: Instant,
    path: FiveTuple,
    sent: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
}

impl Scene {
    fn new(kind: Kind) -> Self {
        let agent = |seed, mode, initiation| {
            Agent::with_seed(
                [seed; 32],
                Arc::new(Config::default()),
                mode,
                initiation,
                None,
            )
        };
        let other = match kind.initiation {
            Initiation::Initiating => Initiation::Responding,
            Initiation::Responding => Initiation::Initiating,
        };
        let mut scene = Self {
            kind,
            agent: agent(1, kind.mode, kind.initiation),
            peer: agent(2, Mode::Full, other),
            now: sim::Clock::epoch(),
            path: FiveTuple::udp(kind.address(1), kind.address(2)),
            sent: Vec::new(),
            received: Vec::new(),
        };
        scene.stage(kind.stage);
        scene
    }

    fn stage(&mut self, stage: Stage) {
        if stage == Stage::New {
            return;
        }
        let (now, path) = (self.now, self.path);
        introduce(now, &mut self.agent, path.local, &mut self.peer);
        introduce(now, &mut self.peer, path.remote, &mut self.agent);
        match stage {
            Stage::New | Stage::Checking => self.pass_alone(),
            Stage::Nominating => {
                let wants = |scene: &Self| {
                    let nominates = |sent: &[u8]| Message::parse(sent).unwrap().use_candidate();
                    scene.sent.iter().any(|sent| nominates(sent))
                };
                self.talk_until(wants);
            }
            Stage::Failed => {
                while self.agent.state() != State::Failed {
                    self.pass_alone();
                }
            }
            Stage::InACall | Stage::Restarting | Stage::Closed => {
                self.talk_until(|scene| scene.agent.state() == State::Completed);
            }
        }
        match stage {
            Stage::Restarting => self.agent.restart(self.now, None, None).unwrap(),
            Stage::Closed => self.agent.close(self.now),
            _ => {}
        }
        while self.agent.poll_event().is_some() {}
    }

    /// Time passes to the next deadline, and nothing arrives.
    fn pass_alone(&mut self) {
        let mut buf = [0; 1200];
        // A lite one that was never heard from fails when its patience ends.
        self.now = self
            .agent
            .poll_timeout()
            .unwrap_or_else(|| self.now + secs(40));
        self.agent.handle_timeout(self.now);
        while let Some(transmit) = self.agent.poll_transmit(&mut buf) {
            self.sent.push(buf[..transmit.len].to_vec());
        }
    }

    fn talk_until(&mut self, done: impl Fn(&Self) -> bool) {
        let mut buf = [0; 1200];
        let back = FiveTuple::udp(self.path.remote, self.path.local);
        while !done(self) {
            self.agent.handle_timeout(self.now);
            self.peer.handle_timeout(self.now);
            if let Some(transmit) = self.agent.poll_transmit(&mut buf) {
                self.sent.push(buf[..transmit.len].to_vec());
                if !done(self) {
                    let _ = (self.peer).handle_datagram(self.now, back, &buf[..transmit.len]);
                }
            } else if let Some(transmit) = self.peer.poll_transmit(&mut buf) {
                self.received.push(buf[..transmit.len].to_vec());
                let _ = (self.agent).handle_datagram(self.now, self.path, &buf[..transmit.len]);
            } else {
                let deadlines = [self.agent.poll_timeout(), self.peer.poll_timeout()];
                self.now = deadlines.into_iter().flatten().min().unwrap();
            }
        }
    }

    /// Whatever a stranger may try, with the source that it comes from.
    fn attempts(&self) -> Vec<(SocketAddr, Vec<u8>)> {
        let forged = IntegrityKey::short_term(b"not-the-password-of-anybody");
        let ours = self.agent.local_parameters();
        let request = request_to(ours.username_fragment());
        let mut all = strays();
        all.push(request.bytes());
        all.push(request.sealed(&forged, IntegrityAlgorithm::Sha256));
        all.push(request.long().sealed(&forged, IntegrityAlgorithm::Sha1));
        let protected = request.sealed(&forged, IntegrityAlgorithm::Sha1);
        // The ids that are waited for, overheard, and one that is not.
        let ids = self.sent.iter().map(|sent| id_of(sent));
        for id in ids.chain([TransactionId::from_bytes([7; 12])]) {
            all.extend(answers(id, &forged));
        }
        // True messages of the peer's that were changed on the way.
        let key = IntegrityKey::short_term(ours.password().as_bytes());
        all.extend(tampered(&request.sealed(&key, IntegrityAlgorithm::Sha1)));
        all.extend(self.received.last().iter().flat_map(|last| tampered(last)));
        let mut attempts = vec![(self.kind.loopback(), protected.clone())];
        for source in [self.path.remote, self.kind.address(9)] {
            attempts.extend(all.iter().map(|bytes| (source, bytes.clone())));
        }
        let sources = (20..200).map(|host| self.kind.address(host));
        attempts.extend(sources.map(|source| (source, protected.clone())));
        attempts
    }
}

fn id_of(message: &[u8]) -> TransactionId {
    Message::parse(message).unwrap().transaction_id()
}

/// What is nothing to any agent.
fn strays() -> Vec<Vec<u8>> {
    let id = TransactionId::from_bytes([7; 12]);
    let forged = IntegrityKey::short_term(b"not-the-password-of-anybody");
    let of_method = |buf: &mut [u8]| {
        let writer = Writer::request(buf, Method::new(3).unwrap(), id);
        writer.fingerprint().unwrap()
    };
    let nameless = |buf: &mut [u8]| {
        let writer = Writer::request(buf, Method::BINDING, id).priority(1);
        writer.fingerprint().unwrap()
    };
    let keepalive = |buf: &mut [u8]| {
        let writer = Writer::indication(buf, Method::BINDING, id);
        writer.finish().unwrap()
    };
    let broken_keepalive = |buf: &mut [u8]| {
        let writer = Writer::indication(buf, Method::BINDING, id);
        let len = writer.fingerprint().unwrap();
        buf[len - 1] ^= 1;
        len
    };
    vec![
        vec![0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4],
        malformed(),
        bytes_of(of_method),
        bytes_of(nameless),
        bytes_of(keepalive),
        bytes_of(broken_keepalive),
        request_to("somebody-else").sealed(&forged, IntegrityAlgorithm::Sha1),
    ]
}

fn introduce(now: Instant, from: &mut Agent, address: SocketAddr, to: &mut Agent) {
    let candidate = Candidate::host(address);
    from.add_local_candidate(now, candidate.clone()).unwrap();
    from.local_candidates_complete(now);
    let mut remote = RemoteParameters::new(from.local_parameters().clone());
    remote.mode = from.mode();
    to.set_remote_parameters(now, remote).unwrap();
    to.add_remote_candidate(now, candidate).unwrap();
    to.remote_candidates_complete(now);
}

fn bytes_of(build: impl FnOnce(&mut [u8]) -> usize) -> Vec<u8> {
    let mut buf = [0; 1400];
    let len = build(&mut buf);
    buf[..len].to_vec()
}

/// A request as a check is, to who has this fragment.
#[derive(Clone, Copy)]
struct Request<'a> {
    to: &'a str,
    is_long: bool,
}

fn request_to(to: &str) -> Request<'_> {
    Request { to, is_long: false }
}

impl Request<'_> {
    fn long(self) -> Self {
        Self {
            is_long: true,
            ..self
        }
    }

    fn begin<'b>(self, buf: &'b mut [u8]) -> Writer<'b> {
        let id = TransactionId::from_bytes([8; 12]);
        let writer = Writer::request(buf, Method::BINDING, id)
            .ice_username(self.to, "peer")
            .priority(1);
        match self.is_long {
            true => writer.attribute(AttributeType::SOFTWARE, &[b'x'; 700]),
            false => writer,
        }
    }

    fn bytes(self) -> Vec<u8> {
        bytes_of(|buf| self.begin(buf).fingerprint().unwrap())
    }

    fn sealed(self, key: &IntegrityKey, algorithm: IntegrityAlgorithm) -> Vec<u8> {
        bytes_of(|buf| {
            let writer = self.begin(buf).integrity_as(algorithm, key);
            writer.fingerprint().unwrap()
        })
    }
}

fn malformed() -> Vec<u8> {
    let mut bytes = request_to("x").bytes();
    // Its first attribute is longer than the message.
    bytes[22..24].copy_from_slice(&[0xff, 0xff]);
    bytes
}

/// Answers to this, good and bad, with a MAC that is wrong or none.
fn answers(id: TransactionId, key: &IntegrityKey) -> Vec<Vec<u8>> {
    fn success(buf: &mut [u8], id: TransactionId) -> Writer<'_> {
        let mapped = SocketAddr::from(([192, 0, 2, 7], 7));
        Writer::success(buf, Method::BINDING, id).xor_mapped_address(mapped)
    }
    fn error(buf: &mut [u8], id: TransactionId) -> Writer<'_> {
        Writer::error(buf, Method::BINDING, id, ErrorCode::ROLE_CONFLICT)
    }
    vec![
        bytes_of(|buf| success(buf, id).integrity(key).fingerprint().unwrap()),
        bytes_of(|buf| {
            let writer = success(buf, id).integrity_sha256(key);
            writer.fingerprint().unwrap()
        }),
        bytes_of(|buf| success(buf, id).fingerprint().unwrap()),
        bytes_of(|buf| error(buf, id).integrity(key).fingerprint().unwrap()),
        bytes_of(|buf| error(buf, id).finish().unwrap()),
    ]
}

/// All that becomes of a message by changing a byte.
fn tampered(genuine: &[u8]) -> impl Iterator<Item = Vec<u8>> + use<> {
    let genuine = genuine.to_owned();
    let places = 0..genuine.len();
    places.flat_map(move |place| {
        [1, 0x80, 0xff].map(|change| {
            let mut bytes = genuine.clone();
            bytes[place] ^= change;
            bytes
        })
    })
}

// req: I41
#[test]
fn whatever_is_sent_without_the_password_is_counted_and_takes_no_room() {
    let mut seen = BTreeSet::new();
    for kind in Kind::all() {
        let mut scene = Scene::new(kind);
        let attempts = scene.attempts();
        let overheard = scene.sent.last().cloned().unwrap_or_default();
        let Scene {
            agent, now, path, ..
        } = &mut scene;
        let before = agent.stats();
        let told = (agent.state(), agent.selected_candidate_pair());
        let (mut dropped, mut buf) = (0, [0; 1200]);
        let took = measure(|| {
            for (source, bytes) in &attempts {
                let from = FiveTuple::udp(path.local, *source);
                let received = agent.handle_datagram(*now, from, bytes);
                assert_ne!(received, Received::Handled, "{kind:?}: {bytes:?}");
                dropped += u64::from(matches!(received, Received::Dropped(_)));
                while agent.poll_transmit(&mut buf).is_some() {}
            }
            if matches!(kind.stage, Stage::Nominating | Stage::Closed) {
                let received = agent.handle_unreachable(*now, *path, &overheard);
                dropped += u64::from(matches!(received, Received::Dropped(_)));
            }
        });
        assert_eq!(took.count_total, 0, "{kind:?}: {:?}", agent.stats());
        let after = agent.stats();
        assert_eq!(after.dropped_total() - before.dropped_total(), dropped);
        assert!(dropped > 500, "{dropped}");
        assert_eq!((agent.state(), agent.selected_candidate_pair()), told);
        let counted = |reason: &usize| after.dropped(OF_ANYBODY[*reason]) > 0;
        seen.extend((0..OF_ANYBODY.len()).filter(counted));
    }
    let unseen = (0..OF_ANYBODY.len()).filter(|reason| !seen.contains(reason));
    let unseen: Vec<_> = unseen.map(|reason| OF_ANYBODY[reason]).collect();
    assert_eq!(unseen, []);
}
