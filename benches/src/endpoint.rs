//! What an endpoint with many connected transports does for one datagram, from outside: warm, a few sessions again and again, and
//! cold, all sessions in an order that no cache expects.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant;

use floe::{DropReason, Event, Outcome, PeerConnection, Received, TransportId, TransportStates};
use floe_dtls as dtls;
use floe_ice::{self as ice, FiveTuple, Reason, State, Transition};

use crate::call::{MTU, server_address};
use crate::codec::Requests;
use crate::peers::Credentials;
use crate::random::Random;
use crate::sessions::Sessions;

/// Sessions that are warm.
const WARM: usize = 16;

/// Datagrams that are read at a time, each of another session.
pub const BATCH: usize = 64;

/// At most so many sessions are visited in the cold.
const COLD: usize = 200_000;

/// Whom a subject visits, one after the other.
#[derive(Clone, Debug)]
pub struct Round<T> {
    all: Vec<T>,
    next: usize,
}

impl<T> Round<T> {
    pub(crate) fn new(all: Vec<T>) -> Self {
        Self { all, next: 0 }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The next one, from the first again after the last.
    pub fn advance(&mut self) -> &mut T {
        self.advance_within(self.all.len())
    }

    /// The same among the first `few`.
    fn advance_within(&mut self, few: usize) -> &mut T {
        self.next = (self.next + 1) % few.min(self.all.len());
        &mut self.all[self.next]
    }
}

/// Which sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visits {
    /// A few.
    Warm,
    /// All, in any order.
    Cold,
}

impl Visits {
    pub(crate) fn of(self, sessions: usize) -> Vec<usize> {
        self.order(sessions, WARM)
    }

    /// As many as a batch brings, if they are to be warm.
    fn of_batch(self, sessions: usize) -> Vec<usize> {
        self.order(sessions, BATCH)
    }

    fn order(self, sessions: usize, warm: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..sessions).collect();
        Random::new(0).shuffle(&mut order);
        order.truncate(match self {
            Self::Warm => warm,
            Self::Cold => COLD,
        });
        order
    }
}

/// A datagram that arrives.
#[derive(Clone, Debug)]
pub struct Arrival {
    path: FiveTuple,
    datagram: [u8; 128],
    len: usize,
}

impl Arrival {
    fn parts(&mut self) -> (FiveTuple, &mut [u8]) {
        (self.path, &mut self.datagram[..self.len])
    }

    fn arrive(&mut self, sessions: &mut Sessions) -> Outcome<'_> {
        let datagram = &mut self.datagram[..self.len];
        let now = sessions.now;
        sessions
            .server
            .handle_datagram(now, black_box(self.path), datagram)
    }
}

/// Consent checks of clients: bytes in, routed, verified, answered, bytes out.
#[derive(Debug)]
pub struct Checks {
    arrivals: Round<Arrival>,
    /// As many of them are visited one by one.
    few: usize,
    /// Those that have just arrived: whoever reads a socket has them at hand.
    incoming: Vec<Arrival>,
    buf: [u8; MTU],
    /// The lengths of a check and of its answer, in bytes.
    pub sizes: (usize, usize),
}

impl Checks {
    /// Of these sessions.
    #[must_use]
    pub fn new(sessions: &mut Sessions, visits: Visits) -> Self {
        let mut checks = Self::under(Credentials::clone, sessions, visits);
        checks.sizes.1 = checks.answer(sessions);
        checks
    }

    /// The same, but of somebody who does not know the password.
    #[must_use]
    pub fn forged(sessions: &Sessions, visits: Visits) -> Self {
        let guess = |credentials: &Credentials| Credentials {
            password: "a password nobody uses".to_owned(),
            ..credentials.clone()
        };
        Self::under(guess, sessions, visits)
    }

    fn under(
        credentials: impl Fn(&Credentials) -> Credentials,
        sessions: &Sessions,
        visits: Visits,
    ) -> Self {
        let mut requests = Requests::default();
        let order = visits.of_batch(sessions.count());
        let check = |session: &usize| {
            let (username, password) = sessions.credentials(*session);
            let ufrag = String::new();
            let receiver = credentials(&Credentials { ufrag, password });
            let mut datagram = [0; 128];
            Arrival {
                path: sessions.path(*session),
                len: requests.write(&mut datagram, &username, &receiver),
                datagram,
            }
        };
        let arrivals: Vec<_> = order.iter().map(check).collect();
        Self {
            sizes: (arrivals[0].len, 0),
            incoming: vec![arrivals[0].clone(); BATCH],
            few: visits.of(sessions.count()).len(),
            arrivals: Round::new(arrivals),
            buf: [0; MTU],
        }
    }

    /// How many different ones come one by one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.few
    }

    /// The next one is here.
    pub fn receive(&mut self) {
        self.incoming[0].clone_from(self.arrivals.advance_within(self.few));
    }

    /// The next [`BATCH`] are here.
    pub fn receive_batch(&mut self) {
        for incoming in &mut self.incoming {
            incoming.clone_from(self.arrivals.advance());
        }
    }

    /// It is answered; gives the length of the answer.
    pub fn answer(&mut self, sessions: &mut Sessions) -> usize {
        let outcome = self.incoming[0].arrive(sessions);
        debug_assert!(matches!(outcome, Outcome::Routed { .. }));
        let answer = sessions.server.poll_transmit(&mut self.buf);
        answer.expect("an answer").len
    }

    /// It is turned away.
    pub fn refuse(&mut self, sessions: &mut Sessions) {
        let outcome = self.incoming[0].arrive(sessions);
        let reason = DropReason::Ice(ice::DropReason::BadIntegrity);
        debug_assert!(
            matches!(&outcome, Outcome::Routed { received: Received::Dropped(why), .. } if *why == reason),
            "{outcome:?}"
        );
        let _ = black_box(outcome);
    }

    /// All of the batch are answered, by the verbs for those who read many at a time.
    pub fn answer_batch(&mut self, sessions: &mut Sessions) {
        let Self { incoming, buf, .. } = self;
        let server = &mut sessions.server;
        let arrived = incoming.iter_mut().map(Arrival::parts);
        server.handle_datagrams(sessions.now, arrived, |_, outcome, _| {
            debug_assert!(matches!(outcome, Outcome::Routed { .. }));
        });
        for _ in 0..BATCH {
            let answer = server.poll_transmit(buf);
            black_box(answer.expect("an answer").len);
        }
    }
}

/// One step of the demultiplexer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The floor: a look-up of the 5-tuple in the standard library's hash map.
    HashMap,
    /// An RTP packet of 1200 bytes classified, routed and left as it is.
    Media,
    /// The same from where nobody is.
    UnknownPath,
    /// A check for a username fragment that nobody has.
    UnknownUfrag,
    /// An answer that nobody waits for.
    UnknownTransaction,
    /// A command that changes nothing: tables, deadline and readiness are read anew.
    Command,
    /// Time passes and nothing is due.
    Tick,
}

/// All of them, with their names.
pub const STEPS: [(&str, Step); 7] = [
    ("`HashMap` look-up of a 5-tuple", Step::HashMap),
    ("media datagram routed", Step::Media),
    ("media from an unknown 5-tuple dropped", Step::UnknownPath),
    ("check for an unknown username fragment", Step::UnknownUfrag),
    (
        "answer to an unknown transaction dropped",
        Step::UnknownTransaction,
    ),
    (
        "command that changes nothing: deadline read anew",
        Step::Command,
    ),
    ("time passes, nothing is due", Step::Tick),
];

/// What arrives at an endpoint, or is asked of it, that is not answered.
#[derive(Debug)]
pub struct Demux {
    tuples: HashMap<FiveTuple, TransportId>,
    known: Round<(FiveTuple, TransportId)>,
    unknown: Round<FiveTuple>,
    media: Vec<u8>,
    checks: Round<Arrival>,
    answers: Round<Arrival>,
}

impl Demux {
    /// For these sessions.
    #[must_use]
    pub fn new(sessions: &Sessions, visits: Visits) -> Self {
        let tuple = |session| (sessions.path(session), sessions.id(session));
        let order = visits.of(sessions.count());
        let unknown = |session: &usize| FiveTuple {
            remote: stranger(*session),
            ..sessions.path(*session)
        };
        Self {
            tuples: (0..sessions.count()).map(tuple).collect(),
            known: Round::new(order.iter().map(|session| tuple(*session)).collect()),
            unknown: Round::new(order.iter().map(unknown).collect()),
            media: vec![0x80; 1200],
            checks: of_nobody(&order, |requests, out, nobody| {
                requests.write(out, &format!("{}:peer", nobody.ufrag), nobody)
            }),
            answers: of_nobody(&order, |requests, out, nobody| {
                requests.write_answer(out, nobody, stranger(0))
            }),
        }
    }

    /// How many different sessions are visited.
    #[must_use]
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// Does it once.
    pub fn step(&mut self, sessions: &mut Sessions, step: Step) {
        let (now, server) = (sessions.now, &mut sessions.server);
        let outcome = match step {
            Step::HashMap => {
                let (path, id) = self.known.advance();
                assert_eq!(self.tuples.get(black_box(path)), Some(&*id));
                return;
            }
            Step::Command => {
                let (_, id) = self.known.advance();
                server.with(now, black_box(*id), |transport| {
                    black_box(transport);
                });
                return;
            }
            Step::Tick => return server.handle_timeout(black_box(now)),
            Step::Media => server.handle_datagram(now, self.known.advance().0, &mut self.media),
            Step::UnknownPath => {
                server.handle_datagram(now, *self.unknown.advance(), &mut self.media)
            }
            Step::UnknownUfrag => self.checks.advance().arrive(sessions),
            Step::UnknownTransaction => self.answers.advance().arrive(sessions),
        };
        assert!(is_as_expected(step, &outcome), "{step:?}: {outcome:?}");
    }
}

/// Datagrams of strangers, whose username fragments are as many.
fn of_nobody(
    order: &[usize],
    write: fn(&mut Requests, &mut [u8], &Credentials) -> usize,
) -> Round<Arrival> {
    let mut requests = Requests::default();
    let arrival = |number: &usize| {
        let nobody = Credentials {
            ufrag: format!("zz{number:06x}"),
            password: "a password nobody uses".to_owned(),
        };
        let mut datagram = [0; 128];
        let len = write(&mut requests, &mut datagram, &nobody);
        Arrival {
            path: FiveTuple::udp(server_address(), stranger(*number)),
            datagram,
            len,
        }
    };
    Round::new(order.iter().map(arrival).collect())
}

/// Where nobody is.
fn stranger(number: usize) -> SocketAddr {
    let [_, a, b, c] = (number as u32 + 1).to_be_bytes();
    SocketAddr::from(([11, a, b, c], 9))
}

fn is_as_expected(step: Step, outcome: &Outcome<'_>) -> bool {
    match outcome {
        Outcome::Routed {
            received: Received::Media(_),
            ..
        } => step == Step::Media,
        Outcome::Dropped(DropReason::UnknownPath) => step == Step::UnknownPath,
        Outcome::Dropped(DropReason::UnknownTransaction) => step == Step::UnknownTransaction,
        // Reported to the caller as far as its budget goes.
        Outcome::UnknownUfrag { .. } | Outcome::Dropped(DropReason::UnknownUfrag) => {
            step == Step::UnknownUfrag
        }
        _ => false,
    }
}

/// The aggregates of three transports, the first of which goes to and fro.
#[derive(Debug)]
pub struct Aggregates {
    peer: PeerConnection,
    first: TransportId,
    state: State,
}

impl Aggregates {
    /// Of the first three sessions.
    #[must_use]
    pub fn new(sessions: &Sessions) -> Self {
        let mut peer = PeerConnection::new();
        for session in 0..3 {
            let states = TransportStates {
                ice: State::Connected,
                gathering: ice::GatheringState::Complete,
                dtls: dtls::State::Connected,
            };
            peer.add_transport(sessions.now, sessions.id(session), states);
        }
        while peer.poll_event().is_some() {}
        Self {
            peer,
            first: sessions.id(0),
            state: State::Connected,
        }
    }

    /// One change, and how many events it makes.
    pub fn update(&mut self, now: Instant) -> usize {
        let (to, reason) = match self.state {
            State::Connected => (State::Disconnected, Reason::ConsentChecksMissed),
            _ => (State::Connected, Reason::Recovered),
        };
        let transition = Transition::new(self.state, to, reason, now);
        self.state = to;
        self.peer
            .handle_transport_event(now, self.first, &Event::IceStateChange(transition));
        std::iter::from_fn(|| self.peer.poll_event()).count()
    }
}
