//! Consent between connected agents: a check from the timer, its answer by the peer, the answer handled; and what a
//! datagram costs that is turned away.
//!
//! Sixteen pairs of agents take a step by turns. Each is timed by itself, less what the clock takes, so that none begins before the one
//! before has ended, as with datagrams that come one by one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use allocation_counter::measure;

use crate::codec::Requests;
use crate::peers::{Credentials, MTU, Peer, Sent, Side};
use crate::{call::epoch, floor, instructions::seen_by_callgrind, nanoseconds};

/// Pairs of agents of one kind.
pub const CALLS: u32 = 16;

/// How often each agent gets a datagram that it turns away: nobody sends such a thing only once.
pub const FLOOD: u32 = 16;

/// A step of the calls, for all of them at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A request in, its answer out.
    Answer,
    /// An own check, from the timer.
    Check,
    /// The answer to it.
    Handle,
    /// A request with a username that is not ours.
    WrongUsername,
    /// An answer to a transaction that is not ours.
    UnknownTransaction,
    /// A request from where the peer is, with a MAC that is not the peer's.
    ForgedMac,
}

/// What is measured of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Nanoseconds per agent.
    Time,
    /// Heap allocations per agent.
    Allocations,
    /// Nothing here: who runs the program counts.
    Instructions,
}

/// Sixteen calls of any kind.
pub trait Calls {
    /// The kind's name.
    fn name(&self) -> &'static str;
    /// Does this step in each and gives what it took; `None` for what the kind never does.
    fn step(&mut self, step: Step, what: Measure) -> Option<f64>;
    /// Keeps the peer's consent alive.
    fn other_way(&mut self);
    /// The lengths of its checks and answers, in bytes.
    fn sizes(&self) -> (usize, usize);
}

/// Calls of this kind, connected and at rest.
#[must_use]
pub fn calls<P: Peer + 'static>() -> Box<dyn Calls> {
    Box::new((0..CALLS).map(Call::<P>::connect).collect::<Vec<_>>())
}

impl<P: Peer> Calls for Vec<Call<P>> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn step(&mut self, step: Step, what: Measure) -> Option<f64> {
        match step {
            Step::Check if !self[0].checks => return None,
            Step::Check => {}
            // The answer that is to be handled.
            Step::Handle if !self[0].checks => return None,
            Step::Handle => self.iter_mut().for_each(Call::answer),
            _ => self.iter_mut().for_each(|call| {
                call.settle();
                call.forge(step);
            }),
        }
        // One by one for each: a choice made again in every call would be measured with it.
        let taken = match step {
            Step::Check => one_by_one(self, what, Call::check),
            Step::Handle => one_by_one(self, what, Call::handle),
            Step::Answer => one_by_one(self, what, Call::answer),
            _ => one_by_one(self, what, Call::refuse),
        };
        // Whoever did nothing would be the fastest.
        if matches!(step, Step::Check | Step::Answer) {
            let sent = [u8::from(step == Step::Answer), 1];
            let done = |call: &Call<P>| call.under_way.is_some() && call.buf.starts_with(&sent);
            assert!(self.iter().all(done), "{}: {step:?}", P::NAME);
        }
        let times = match step {
            Step::Answer | Step::Check | Step::Handle => 1,
            Step::WrongUsername | Step::UnknownTransaction | Step::ForgedMac => FLOOD,
        };
        Some(taken / f64::from(times))
    }

    fn other_way(&mut self) {
        self.iter_mut().for_each(Call::other_way);
    }

    fn sizes(&self) -> (usize, usize) {
        self[0].sizes
    }
}

/// Nanoseconds or allocations that each of these takes, on average.
fn one_by_one<T>(all: &mut [T], what: Measure, mut step: impl FnMut(&mut T)) -> f64 {
    let mut taken = 0.0;
    let number = all.len() as f64;
    for one in all {
        taken += match what {
            Measure::Time => {
                let clock = nanoseconds(|| ());
                nanoseconds(|| step(one)) - clock
            }
            Measure::Allocations => measure(|| step(one)).count_total as f64,
            Measure::Instructions => {
                seen_by_callgrind(&mut || step(one));
                0.0
            }
        };
    }
    taken / number
}

/// The crypto of the same steps and nothing else, in as many places in memory.
#[derive(Debug)]
pub struct Floor {
    calls: Vec<Messages>,
    sizes: (usize, usize),
}

/// A check and its answer.
#[derive(Debug)]
struct Messages {
    key: floor::Key,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Messages {
    fn check(&mut self) {
        self.key.seal(&mut self.request);
    }

    fn handle(&mut self) {
        assert!(self.key.verify(&self.answer), "authentic");
    }

    fn answer(&mut self) {
        assert!(self.key.verify(&self.request), "authentic");
        self.key.seal(&mut self.answer);
    }

    fn refuse(&mut self) {
        assert!((0..FLOOD).all(|_| self.key.verify(&self.request)));
    }
}

impl Floor {
    /// For a check and an answer of these sizes in bytes.
    #[must_use]
    pub fn of(sizes: (usize, usize)) -> Self {
        let messages = |number: u32| {
            let receiver = Credentials {
                ufrag: String::new(),
                password: format!("a password of 22 bytes, {number}"),
            };
            // All but USERNAME's value takes eighty bytes.
            let username = "u".repeat(sizes.0 - 80);
            let mut requests = Requests::default();
            let (mut request, mut answer) = (vec![0; sizes.0], vec![0; sizes.1]);
            let written = (
                requests.write(&mut request, &username, &receiver),
                requests.write_answer(&mut answer, &receiver, SocketAddr::from(([10, 0, 0, 1], 1))),
            );
            assert_eq!(written, sizes);
            let key = floor::Key::new(&receiver.password);
            Messages {
                key,
                request,
                answer,
            }
        };
        Self {
            calls: (0..CALLS).map(messages).collect(),
            sizes,
        }
    }
}

impl Calls for Floor {
    fn name(&self) -> &'static str {
        "crypto floor"
    }

    fn step(&mut self, step: Step, what: Measure) -> Option<f64> {
        let calls = &mut self.calls;
        let taken = match step {
            Step::Check => one_by_one(calls, what, Messages::check),
            Step::Handle => one_by_one(calls, what, Messages::handle),
            Step::ForgedMac => one_by_one(calls, what, Messages::refuse),
            _ => one_by_one(calls, what, Messages::answer),
        };
        Some(taken)
    }

    fn other_way(&mut self) {}

    fn sizes(&self) -> (usize, usize) {
        self.sizes
    }
}

/// Two agents and the datagram between them.
struct Call<P> {
    now: Instant,
    controlling: P,
    controlled: P,
    at: [SocketAddr; 2],
    requests: Requests,
    buf: [u8; MTU],
    under_way: Option<Sent>,
    /// Whether it checks consent at all.
    checks: bool,
    sizes: (usize, usize),
}

impl<P: Peer> Call<P> {
    fn connect(number: u32) -> Self {
        let now = epoch();
        let at = [1, 2].map(|host| SocketAddr::from(([10, 0, 0, host], 5000)));
        let number = u64::from(number);
        let mut call = Self {
            now,
            controlling: P::new(Side::Controlling, 2 * number, now, &at[..1]),
            controlled: P::new(Side::Controlled, 2 * number + 1, now, &at[1..]),
            at,
            requests: Requests::default(),
            buf: [0; MTU],
            under_way: None,
            checks: false,
            sizes: (0, 0),
        };
        let (ours, theirs) = (
            call.controlling.credentials(),
            call.controlled.credentials(),
        );
        call.controlling.learn(now, &theirs, &at[1..]);
        call.controlled.learn(now, &ours, &at[..1]);
        while !(call.controlling.is_selected() && call.controlled.is_selected()) {
            call.exchange();
            call.wake();
        }
        // Whatever the handshake of the two left behind is over.
        let end = call.now + Duration::from_secs(60);
        while call.now < end {
            call.exchange();
            call.wake();
        }
        call.exchange();
        call.try_check();
        call.checks = call.under_way.is_some();
        call.sizes.0 = call.under_way.map_or(0, |sent| sent.len);
        call.answer();
        call.sizes.1 = call.under_way.map_or(0, |sent| sent.len);
        call.handle();
        call
    }

    /// All that either has to send arrives.
    fn exchange(&mut self) {
        let Self {
            now,
            controlling,
            controlled,
            ..
        } = self;
        let buf = &mut [0; MTU];
        while carry(*now, controlling, controlled, buf) | carry(*now, controlled, controlling, buf)
        {
        }
    }

    /// Time passes until somebody wants to be woken, by ten seconds at most.
    fn wake(&mut self) {
        let deadlines = [self.controlling.deadline(), self.controlled.deadline()];
        let next = deadlines.into_iter().flatten().min();
        let latest = self.now + Duration::from_secs(10);
        let earliest = self.now + Duration::from_millis(1);
        self.now = next.map_or(latest, |next| next.clamp(earliest, latest));
        self.controlling.wake(self.now);
        self.controlled.wake(self.now);
    }

    fn check(&mut self) {
        self.try_check();
        debug_assert!(self.under_way.is_some(), "{} checks", P::NAME);
    }

    fn try_check(&mut self) {
        for _ in 0..64 {
            let Some(deadline) = self.controlling.deadline() else {
                return;
            };
            self.now = deadline.max(self.now);
            self.controlling.wake(self.now);
            self.under_way = self.controlling.transmit(self.now, &mut self.buf);
            if self.under_way.is_some() {
                return;
            }
        }
    }

    fn answer(&mut self) {
        if let Some(sent) = self.under_way.take() {
            let datagram = &self.buf[..sent.len];
            self.controlled
                .receive(self.now, sent.remote, sent.local, datagram);
        }
        self.under_way = self.controlled.transmit(self.now, &mut self.buf);
    }

    fn handle(&mut self) {
        if let Some(sent) = self.under_way.take() {
            let datagram = &self.buf[..sent.len];
            self.controlling
                .receive(self.now, sent.remote, sent.local, datagram);
        }
    }

    /// Writes the datagram that the controlled side gets next.
    fn forge(&mut self, step: Step) {
        let (ours, theirs) = (
            self.controlled.credentials(),
            self.controlling.credentials(),
        );
        let username = format!("{}:{}", ours.ufrag, theirs.ufrag);
        let stranger = Credentials {
            ufrag: ours.ufrag.chars().rev().collect(),
            password: "a password nobody uses".to_owned(),
        };
        let (requests, buf) = (&mut self.requests, &mut self.buf);
        let len = match step {
            Step::WrongUsername => {
                let username = format!("{}:{}", stranger.ufrag, theirs.ufrag);
                requests.write(buf, &username, &ours)
            }
            Step::UnknownTransaction => requests.write_answer(buf, &theirs, self.at[1]),
            Step::ForgedMac => requests.write(buf, &username, &stranger),
            _ => requests.write(buf, &username, &ours),
        };
        self.under_way = Some(Sent {
            local: self.at[0],
            remote: self.at[1],
            len,
        });
    }

    /// Nothing comes of it, so nothing is asked for.
    fn refuse(&mut self) {
        let Some(sent) = self.under_way.take() else {
            return;
        };
        for _ in 0..FLOOD {
            let datagram = &self.buf[..sent.len];
            self.controlled
                .receive(self.now, sent.remote, sent.local, datagram);
        }
    }

    /// What the controlled side has to do of itself by now is done, so that no datagram has to wake it.
    fn settle(&mut self) {
        self.controlled.wake(self.now);
        self.exchange();
    }

    fn other_way(&mut self) {
        self.under_way = None;
        self.settle();
        self.now += Duration::from_millis(1);
    }
}

/// What `from` has to send arrives. Whether there was anything.
fn carry<P: Peer>(now: Instant, from: &mut P, to: &mut P, buf: &mut [u8]) -> bool {
    let mut any = false;
    while let Some(sent) = from.transmit(now, buf) {
        to.receive(now, sent.remote, sent.local, &buf[..sent.len]);
        any = true;
    }
    from.take_events();
    any
}
