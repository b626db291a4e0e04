//! Very many connected agents in one thread and virtual time.
//!
//! The loop is the one of a server: a wheel of deadlines, the agent that is due is woken, what it has to send arrives at
//! the other end at once, and what that has to say comes back. Its own cost is that of [`Idle`](crate::peers::Idle), whose
//! agents do nothing. Each kind and number is measured in a process of its own, so that the memory is its own.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::call::epoch;
use crate::codec::Requests;
use crate::machine::{cpu_time, resident};
use crate::median;
use crate::peers::{MTU, Peer, Side};
use crate::random::Random;

/// Over how long the calls begin.
const ARRIVAL: Duration = Duration::from_secs(10);

/// How long after the last has begun all are at rest.
const REST: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// CPU time per agent and second, nanoseconds.
    pub per_agent_second: f64,
    /// Wake-ups per agent and second.
    pub wake_ups: f64,
    /// Checks per agent and second.
    pub checks: f64,
    /// CPU time per check, answer and all, nanoseconds.
    pub per_check: f64,
    /// Resident memory per agent, bytes.
    pub memory: f64,
    /// A request in, its answer out, by an agent that was not touched for long, nanoseconds.
    pub cold: f64,
}

impl Figures {
    /// In the order of the fields.
    #[must_use]
    pub fn to_row(&self) -> [f64; 6] {
        [
            self.per_agent_second,
            self.wake_ups,
            self.checks,
            self.per_check,
            self.memory,
            self.cold,
        ]
    }

    /// The other way round.
    #[must_use]
    pub fn from_row(row: &[f64]) -> Option<Self> {
        let [per_agent_second, wake_ups, checks, per_check, memory, cold] = *row else {
            return None;
        };
        Some(Self {
            per_agent_second,
            wake_ups,
            checks,
            per_check,
            memory,
            cold,
        })
    }
}

/// Measures so many agents for so many virtual seconds.
#[must_use]
pub fn measure<P: Peer>(agents: usize, seconds: u32) -> Option<Figures> {
    let mut figures = None;
    // The counting of allocations costs time, too.
    allocation_counter::opt_out(|| figures = Some(Fleet::<P>::connect(agents).measure(seconds)));
    figures
}

/// Deadlines in slots of a millisecond, a minute's worth. What is later waits in the last slot and is sorted in again.
struct Wheel {
    start: Instant,
    slots: Vec<Vec<(Instant, u32)>>,
    /// The slot that is next, counted from the start.
    next: u64,
}

const SLOTS: usize = 60_000;

impl Wheel {
    fn new(start: Instant) -> Self {
        Self {
            start,
            slots: vec![Vec::new(); SLOTS],
            next: 1,
        }
    }

    fn push(&mut self, at: Instant, agent: u32) {
        let nanos = at.saturating_duration_since(self.start).as_nanos() as u64;
        let last = self.next + SLOTS as u64 - 1;
        let slot = nanos.div_ceil(1_000_000).clamp(self.next, last);
        self.slots[slot as usize % SLOTS].push((at, agent));
    }

    /// The next slot's time and what is in it, if it is not after `end`.
    fn pop(&mut self, end: Instant) -> Option<(Instant, Vec<(Instant, u32)>)> {
        let at = self.start + Duration::from_millis(self.next);
        if at > end {
            return None;
        }
        let slot = self.next as usize % SLOTS;
        self.next += 1;
        Some((at, std::mem::take(&mut self.slots[slot])))
    }
}

/// Agents that talk in pairs: the next even and odd number.
struct Fleet<P> {
    agents: Vec<P>,
    armed: Vec<Option<Instant>>,
    wheel: Wheel,
    now: Instant,
    wake_ups: u64,
    checks: u64,
    memory: f64,
    buf: [u8; MTU],
}

impl<P: Peer> Fleet<P> {
    fn connect(agents: usize) -> Self {
        let now = epoch();
        let mut fleet = Self {
            agents: Vec::with_capacity(agents),
            armed: vec![Some(now); agents],
            wheel: Wheel::new(now),
            now,
            wake_ups: 0,
            checks: 0,
            memory: 0.0,
            buf: [0; MTU],
        };
        fleet.armed.fill(None);
        let before = resident();
        let pairs = u32::try_from(agents / 2).expect("a few million");
        for pair in 0..pairs {
            fleet.run_until(now + ARRIVAL * pair / pairs);
            fleet.open();
        }
        fleet.run_until(now + ARRIVAL + REST);
        assert!(fleet.agents.iter().all(P::is_selected), "all are connected");
        fleet.memory = resident() - before;
        fleet
    }

    /// A new call.
    fn open(&mut self) {
        let (now, first) = (self.now, self.agents.len());
        let at = [address(first), address(first + 1)];
        let sides = [Side::Controlling, Side::Controlled];
        let [mut a, mut b] =
            [0, 1].map(|side| P::new(sides[side], (first + side) as u64, now, &at[side..=side]));
        let (of_a, of_b) = (a.credentials(), b.credentials());
        a.learn(now, &of_b, &at[1..]);
        b.learn(now, &of_a, &at[..1]);
        self.agents.extend([a, b]);
        self.exchange(first);
    }

    fn run_until(&mut self, end: Instant) {
        while let Some((now, due)) = self.wheel.pop(end) {
            self.now = now;
            for (at, agent) in due {
                if self.armed[agent as usize] == Some(at) {
                    self.armed[agent as usize] = None;
                    self.wake(at, agent as usize);
                }
            }
        }
        self.now = end;
    }

    fn wake(&mut self, deadline: Instant, agent: usize) {
        if deadline <= self.now {
            self.wake_ups += 1;
            self.agents[agent].wake(self.now);
        }
        self.exchange(agent);
    }

    fn measure(&mut self, seconds: u32) -> Figures {
        let (wake_ups, checks) = (self.wake_ups, self.checks);
        let turns: Vec<f64> = (0..seconds).map(|_| self.run_for_a_second()).collect();
        let agents = self.agents.len() as f64;
        let agent_seconds = agents * f64::from(seconds);
        let total: f64 = turns.iter().sum();
        let checks = (self.checks - checks) as f64;
        Figures {
            per_agent_second: median(turns) / agents,
            wake_ups: (self.wake_ups - wake_ups) as f64 / agent_seconds,
            checks: checks / agent_seconds,
            per_check: total / checks,
            memory: self.memory / agents,
            cold: self.answer_in_any_order(),
        }
    }

    fn run_for_a_second(&mut self) -> f64 {
        let start = cpu_time();
        self.run_until(self.now + Duration::from_secs(1));
        cpu_time() - start
    }

    /// What the two have to say to each other is said, and their deadlines are known again.
    fn exchange(&mut self, agent: usize) {
        while self.carry(agent) | self.carry(agent ^ 1) {}
        self.arm(agent);
        self.arm(agent ^ 1);
    }

    fn carry(&mut self, from: usize) -> bool {
        let mut any = false;
        while let Some(sent) = self.agents[from].transmit(self.now, &mut self.buf) {
            any = true;
            let datagram = &self.buf[..sent.len];
            self.checks += u64::from(datagram[0] == 0);
            self.agents[from ^ 1].receive(self.now, sent.remote, sent.local, datagram);
        }
        if any {
            self.agents[from].take_events();
        }
        any
    }

    fn arm(&mut self, agent: usize) {
        let next = self.agents[agent].deadline();
        if next == self.armed[agent] {
            return;
        }
        self.armed[agent] = next;
        if let Some(next) = next {
            self.wheel.push(next, agent as u32);
        }
    }

    /// Every controlled agent answers a request, in an order that no cache expects.
    fn answer_in_any_order(&mut self) -> f64 {
        let mut order: Vec<usize> = (1..self.agents.len()).step_by(2).collect();
        Random::new(0).shuffle(&mut order);
        let mut requests = Requests::default();
        let mut request = |index: &usize| {
            let (receiver, sender) = (&self.agents[*index], &self.agents[*index - 1]);
            let receiver = receiver.credentials();
            let username = format!("{}:{}", receiver.ufrag, sender.credentials().ufrag);
            let mut buf = [0; 160];
            let len = requests.write(&mut buf, &username, &receiver);
            (buf, len)
        };
        let requests: Vec<_> = order.iter().map(&mut request).collect();
        let mut answered = 0;
        let start = cpu_time();
        for (index, (request, len)) in order.iter().zip(&requests) {
            let (local, remote) = (address(*index), address(*index - 1));
            let agent = &mut self.agents[*index];
            agent.receive(self.now, local, remote, &request[..*len]);
            let sent = black_box(agent.transmit(self.now, &mut self.buf));
            answered += usize::from(sent.is_some() && self.buf[0] == 1);
        }
        let took = cpu_time() - start;
        assert_eq!(answered, order.len(), "{} answers", P::NAME);
        took / order.len() as f64
    }
}

fn address(index: usize) -> SocketAddr {
    let [_, a, b, c] = (index as u32 + 1).to_be_bytes();
    SocketAddr::from(([10, a, b, c], 5000))
}
