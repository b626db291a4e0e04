//! What whoever reads a shared socket does before any endpoint sees the datagram: which shard it is for.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use floe::steering::{PathTable, Shard, Sharding, Steering};
use floe::{Endpoint, Event, TransportId};
use floe_dtls::{self as dtls, Identity};
use floe_ice::FiveTuple;
use floe_stun::{Class, Message, Method, Writer};

use crate::call::{MTU, client_address, endpoint_of_shard, epoch, open_alone, server_address};
use crate::codec::Requests;
use crate::endpoint::{Round, Visits};
use crate::peers::Credentials;

/// Endpoints behind the socket.
const SHARDS: u16 = 4;

/// What is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The floor: a look-up of the 5-tuple in the standard library's hash map.
    HashMap,
    /// A check, by the username fragment that a shard minted.
    Request,
    /// A check whose username fragment no shard has minted.
    UnknownRequest,
    /// The answer to a shard's own check.
    Response,
    /// An answer that no shard waits for.
    UnknownResponse,
    /// A datagram that is not STUN, by its 5-tuple.
    Path,
    /// A 5-tuple released by one transport and learned by the next.
    Events,
}

impl Step {
    /// Whether it depends on how many sessions there are.
    #[must_use]
    pub const fn is_by_path(self) -> bool {
        matches!(self, Self::HashMap | Self::Path | Self::Events)
    }
}

/// All of them, with their names.
pub const STEPS: [(&str, Step); 7] = [
    ("`HashMap` look-up of a 5-tuple", Step::HashMap),
    ("check routed by its username fragment", Step::Request),
    (
        "check for an unknown username fragment",
        Step::UnknownRequest,
    ),
    ("answer routed by its transaction", Step::Response),
    ("answer to an unknown transaction", Step::UnknownResponse),
    ("media looked up in the `PathTable`", Step::Path),
    ("path released and learned anew", Step::Events),
];

/// Sessions of each endpoint whose datagrams are routed again and again.
const SESSIONS: u32 = 4;

/// A datagram as whoever reads the socket has it.
type Datagram = Vec<u8>;

/// A dispatcher of so many sessions, and what it is asked.
#[derive(Debug)]
pub struct Steered {
    steering: Arc<Steering>,
    paths: PathTable,
    tuples: HashMap<FiveTuple, Shard>,
    known: Round<(FiveTuple, Shard, TransportId)>,
    minted: Minted,
    forged: Minted,
}

impl Steered {
    /// One that knows a path of each session.
    #[must_use]
    pub fn new(sessions: u32, visits: Visits) -> Self {
        let steering = Arc::new(Steering::new([7; 32], SHARDS));
        let mut paths = PathTable::new([8; 16]);
        let learn = |(number, shard)| {
            let id = TransportId::from_bits(1 << 32 | u64::from(number));
            let path = FiveTuple::udp(server_address(), client_address(number));
            paths.apply(shard, id, &Event::PathLearned(path));
            (path, shard, id)
        };
        let shards: Vec<_> = steering.shards().collect();
        let all: Vec<_> = (0..sessions)
            .zip(shards.into_iter().cycle())
            .map(learn)
            .collect();
        let order = visits.of(all.len());
        Self {
            paths,
            tuples: all.iter().map(|(path, shard, _)| (*path, *shard)).collect(),
            known: Round::new(order.into_iter().map(|session| all[session]).collect()),
            minted: Minted::under(&steering),
            forged: Minted::under(&Arc::new(Steering::new([9; 32], SHARDS))),
            steering,
        }
    }

    /// How many different sessions are visited.
    #[must_use]
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// Does it once.
    pub fn step(&mut self, step: Step) {
        let route =
            |datagrams: &mut Round<Datagram>| self.steering.route(black_box(datagrams.advance()));
        let found = match step {
            Step::Request => route(&mut self.minted.requests),
            Step::UnknownRequest => route(&mut self.forged.requests),
            Step::Response => route(&mut self.minted.answers),
            Step::UnknownResponse => route(&mut self.forged.answers),
            Step::HashMap => self.tuples.get(black_box(&self.known.advance().0)).copied(),
            Step::Path => self.paths.shard_of(black_box(&self.known.advance().0)),
            Step::Events => {
                let (path, shard, id) = *black_box(self.known.advance());
                self.paths.apply(shard, id, &Event::PathReleased(path));
                let learned = self.paths.apply(shard, id, &Event::PathLearned(path));
                learned.and_then(|change| change.to)
            }
        };
        let is_known = !matches!(step, Step::UnknownRequest | Step::UnknownResponse);
        assert_eq!(found.is_some(), is_known, "{step:?}");
    }
}

/// What comes for sessions whose endpoints mint under one key.
#[derive(Debug)]
struct Minted {
    requests: Round<Datagram>,
    answers: Round<Datagram>,
}

impl Minted {
    fn under(steering: &Arc<Steering>) -> Self {
        let identity = Arc::new(Identity::generate().expect("randomness"));
        let (mut requests, mut answers) = (Vec::new(), Vec::new());
        for shard in steering.shards() {
            let sharding = Sharding {
                steering: steering.clone(),
                shard,
            };
            let dtls = dtls::Config::new(identity.clone());
            let mut endpoint = endpoint_of_shard(sharding, dtls);
            for number in 0..SESSIONS {
                requests.push(check_for_a_new_session(&mut endpoint, number));
            }
            answers.extend(answers_to_all(&mut endpoint));
        }
        Self {
            requests: Round::new(requests),
            answers: Round::new(answers),
        }
    }
}

fn check_for_a_new_session(endpoint: &mut Endpoint, number: u32) -> Datagram {
    let id = open_alone(epoch(), number, endpoint);
    let transport = endpoint.transport(id).expect("just made");
    let parameters = transport.local_parameters();
    let receiver = Credentials {
        ufrag: parameters.username_fragment().to_owned(),
        password: parameters.password().to_owned(),
    };
    let mut datagram = vec![0; 160];
    let username = format!("{}:peer", receiver.ufrag);
    let len = Requests::default().write(&mut datagram, &username, &receiver);
    datagram.truncate(len);
    datagram
}

/// As their peers send them, but without a MAC, which nobody on the way reads.
fn answers_to_all(endpoint: &mut Endpoint) -> Vec<Datagram> {
    let mut buf = [0; MTU];
    let checks = std::iter::from_fn(|| {
        let transmit = endpoint.poll_transmit(&mut buf)?;
        let check = Message::parse(&buf[..transmit.len]).expect("well-formed");
        assert_eq!(check.class(), Class::Request);
        let mut answer = vec![0; 64];
        let len = Writer::success(&mut answer, Method::BINDING, check.transaction_id())
            .xor_mapped_address(server_address())
            .fingerprint()
            .expect("it fits");
        answer.truncate(len);
        Some(answer)
    });
    checks.collect()
}
