//! How long two agents take to find each other over 50 ms, in virtual time, and how many datagrams that takes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::call::epoch;
use crate::peers::{MTU, Peer, Side};

/// One way.
const DELAY: Duration = Duration::from_millis(50);

/// When waiting makes no sense any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who has which candidates, and what works.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The column's name.
    pub name: &'static str,
    /// Sockets on each side.
    pub sockets: u16,
    /// Candidates that each side signals. Those beyond its sockets come first, and lead nowhere.
    pub candidates: u16,
    /// Whether only the last socket of each reaches the last of the other.
    pub only_the_last: bool,
}

/// Those of the table.
pub const LAYOUTS: [Layout; 7] = [
    Layout::all("1", 1),
    Layout::all("4", 4),
    Layout::all("16", 16),
    Layout::last("only the last of 4", 1, 4),
    Layout::last("only the last of 16", 1, 16),
    Layout::last("only the last of 4 × 4", 4, 4),
    Layout::last("only the last of 16 × 16", 16, 16),
];

impl Layout {
    const fn all(name: &'static str, count: u16) -> Self {
        Self {
            name,
            sockets: count,
            candidates: count,
            only_the_last: false,
        }
    }

    const fn last(name: &'static str, sockets: u16, candidates: u16) -> Self {
        Self {
            name,
            sockets,
            candidates,
            only_the_last: true,
        }
    }

    fn candidates(&self, host: u8) -> Vec<SocketAddr> {
        let address = |n| SocketAddr::from(([10, 0, host, 1], 5000 + n));
        (0..self.candidates).map(address).collect()
    }

    fn sockets(&self, host: u8) -> Vec<SocketAddr> {
        self.candidates(host)
            .split_off(usize::from(self.candidates - self.sockets))
    }

    fn reaches(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let last = 5000 + self.candidates - 1;
        let exists = to.port() > last - self.sockets;
        exists && (!self.only_the_last || (from.port() == last && to.port() == last))
    }
}

/// When what happened, in milliseconds; `None` for what did not within a minute.
#[derive(Clone, Copy, Debug, Default)]
pub struct Course {
    /// Both can send data.
    pub usable: Option<u128>,
    /// The controlled side has a nominated pair.
    pub controlled: Option<u128>,
    /// So has the controlling side.
    pub controlling: Option<u128>,
    /// Datagrams sent until both had, and an answer to the nominating check could be there: one that takes a pair for nominated
    /// when it asks for it sends as many as one that waits for the answer.
    pub datagrams: usize,
}

/// Lets two agents of this kind find each other.
#[must_use]
pub fn connect<P: Peer>(layout: &Layout) -> Course {
    let start = epoch();
    let mut story = Story::<P>::new(layout, start);
    let mut course = Course::default();
    while story.now < start + PATIENCE {
        story.send_all(layout);
        let elapsed = (story.now - start).as_millis();
        let note = |moment: &mut Option<u128>, holds: bool| {
            if holds && moment.is_none() {
                *moment = Some(elapsed);
            }
        };
        let [a, b] = &story.agents;
        note(&mut course.usable, a.is_usable() && b.is_usable());
        note(&mut course.controlled, b.is_selected());
        note(&mut course.controlling, a.is_selected());
        course.datagrams = story.sent;
        if let (Some(controlled), Some(_)) = (course.controlled, course.controlling)
            && elapsed >= controlled + DELAY.as_millis()
        {
            break;
        }
        story.go_on();
    }
    course
}

struct Flying {
    at: Instant,
    to: usize,
    local: SocketAddr,
    remote: SocketAddr,
    datagram: Vec<u8>,
}

struct Story<P> {
    now: Instant,
    /// The controlling one first.
    agents: [P; 2],
    flying: VecDeque<Flying>,
    sent: usize,
}

impl<P: Peer> Story<P> {
    fn new(layout: &Layout, now: Instant) -> Self {
        let [of_a, of_b] = [1, 2].map(|host| layout.candidates(host));
        let mut a = P::new(Side::Controlling, 1, now, &layout.sockets(1));
        let mut b = P::new(Side::Controlled, 2, now, &layout.sockets(2));
        let (by_a, by_b) = (a.credentials(), b.credentials());
        a.learn(now, &by_b, &of_b);
        b.learn(now, &by_a, &of_a);
        Self {
            now,
            agents: [a, b],
            flying: VecDeque::new(),
            sent: 0,
        }
    }

    fn send_all(&mut self, layout: &Layout) {
        let mut buf = [0; MTU];
        for from in [0, 1] {
            while let Some(sent) = self.agents[from].transmit(self.now, &mut buf) {
                self.sent += 1;
                if layout.reaches(sent.local, sent.remote) {
                    self.flying.push_back(Flying {
                        at: self.now + DELAY,
                        to: 1 - from,
                        local: sent.remote,
                        remote: sent.local,
                        datagram: buf[..sent.len].to_vec(),
                    });
                }
            }
            self.agents[from].take_events();
        }
    }

    /// On to the next arrival or deadline.
    fn go_on(&mut self) {
        let soon = self.now + Duration::from_millis(1);
        let deadlines = self.agents.each_mut().map(|agent| {
            let deadline = agent.deadline();
            // Who wants to be woken at once would be for ever.
            deadline.map(|at| at.max(soon))
        });
        let arrival = self.flying.front().map(|flying| flying.at);
        let next = deadlines.into_iter().chain([arrival]).flatten().min();
        self.now = next.unwrap_or(self.now + PATIENCE);
        let mut received = [false; 2];
        while self.flying.front().is_some_and(|next| next.at <= self.now) {
            let Some(arrived) = self.flying.pop_front() else {
                break;
            };
            let Flying { local, remote, .. } = arrived;
            received[arrived.to] = true;
            self.agents[arrived.to].receive(self.now, local, remote, &arrived.datagram);
        }
        for ((agent, deadline), received) in self.agents.iter_mut().zip(deadlines).zip(received) {
            // Who has received something is told the time, too, which spares `is` waiting for it; str0m does the same.
            if received || deadline.is_some_and(|at| at <= self.now) {
                agent.wake(self.now);
            }
        }
    }
}

/// An agent with sixteen sockets learns of sixteen candidates.
pub fn construct<P: Peer>(now: Instant, number: u64) -> P {
    let layout = Layout::all("16", 16);
    let mut agent = P::new(Side::Controlling, number, now, &layout.sockets(1));
    let remote = agent.credentials();
    agent.learn(now, &remote, &layout.candidates(2));
    agent
}
