//! Consent between connected agents: a check from the timer, its answer by the peer, the answer handled.
//!
//! Each of the three is timed over sixteen agents at a time, so that the clock's own cost disappears. The floor of each is
//! the HMAC and the CRC-32 of the messages it reads and writes.

use std::{
    hint::black_box,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use floe_benches::{floor, median, nanoseconds, print_table};
use floe_ice::{Agent, Candidate, Config, FiveTuple, Initiation, Mode, RemoteParameters, State};

const AGENTS: u8 = 16;
const TURNS: usize = 400;
const MTU: usize = 1200;

fn main() {
    let mut calls: Vec<Call> = (0..AGENTS).map(Call::connect).collect();
    let (mut checks, mut answers, mut handled, mut checked) = (vec![], vec![], vec![], vec![]);
    let sizes = calls[0].sizes();
    for _ in 0..TURNS {
        let floor_of = |(len, covered): (usize, usize)| {
            nanoseconds(|| {
                for _ in 0..AGENTS {
                    black_box(floor::message(black_box(&[7; 256][..len]), covered));
                }
            })
        };
        let floors = (floor_of(sizes.0), floor_of(sizes.1));
        checks.push((
            nanoseconds(|| calls.iter_mut().for_each(Call::check)),
            floors.0,
        ));
        answers.push((
            nanoseconds(|| calls.iter_mut().for_each(Call::answer)),
            floors.0 + floors.1,
        ));
        handled.push((
            nanoseconds(|| calls.iter_mut().for_each(Call::handle)),
            floors.1,
        ));
        // The other direction keeps the peer's consent alive.
        checked.push(nanoseconds(|| calls.iter_mut().for_each(Call::other_way)));
    }
    assert!(calls.iter().all(Call::is_connected), "consent was kept");
    print_table(
        "ICE: consent in a connected agent",
        &[
            row("request in → response out", answers),
            row("own check from the timer", checks),
            row("its response handled", handled),
        ],
    );
}

fn row(name: &'static str, turns: Vec<(f64, f64)>) -> (&'static str, f64, f64) {
    let (subject, floor): (Vec<f64>, Vec<f64>) = turns.into_iter().unzip();
    let per_agent = |turns| median(turns) / f64::from(AGENTS);
    (name, per_agent(subject), per_agent(floor))
}

/// Two agents and the datagram between them.
struct Call {
    now: Instant,
    controlling: Agent,
    controlled: Agent,
    buf: [u8; MTU],
    /// The datagram under way, as its receiver sees it.
    under_way: Option<(FiveTuple, usize)>,
}

impl Call {
    fn connect(number: u8) -> Self {
        let config = Arc::new(Config::default());
        let agent = |side, initiation| {
            Agent::with_seed(
                [2 * number + side; 32],
                config.clone(),
                Mode::Full,
                initiation,
                None,
            )
        };
        let mut call = Self {
            now: epoch(),
            controlling: agent(0, Initiation::Initiating),
            controlled: agent(1, Initiation::Responding),
            buf: [0; MTU],
            under_way: None,
        };
        call.signal();
        while !call.is_connected() {
            call.exchange();
            call.wake();
        }
        // Whatever the handshake of the two left behind is over.
        for _ in 0..100 {
            call.exchange();
            call.wake();
        }
        call
    }

    fn signal(&mut self) {
        introduce(self.now, 1, &mut self.controlling, &mut self.controlled);
        introduce(self.now, 2, &mut self.controlled, &mut self.controlling);
    }

    fn is_connected(&self) -> bool {
        [&self.controlling, &self.controlled]
            .iter()
            .all(|agent| agent.state() == State::Completed)
    }

    /// All that either has to send arrives.
    fn exchange(&mut self) {
        for _ in 0..4 {
            carry(
                self.now,
                &mut self.controlling,
                &mut self.controlled,
                &mut self.buf,
            );
            carry(
                self.now,
                &mut self.controlled,
                &mut self.controlling,
                &mut self.buf,
            );
        }
    }

    fn wake(&mut self) {
        let deadlines = [
            self.controlling.poll_timeout(),
            self.controlled.poll_timeout(),
        ];
        self.now = deadlines
            .into_iter()
            .flatten()
            .min()
            .expect("somebody checks consent");
        self.controlling.handle_timeout(self.now);
        self.controlled.handle_timeout(self.now);
    }

    fn check(&mut self) {
        while self.under_way.is_none() {
            let deadline = self.controlling.poll_timeout().expect("consent is checked");
            self.now = deadline.max(self.now);
            self.controlling.handle_timeout(self.now);
            self.under_way = send(&mut self.controlling, &mut self.buf);
        }
    }

    fn answer(&mut self) {
        let (path, len) = self.under_way.take().expect("a check is under way");
        let _ = self
            .controlled
            .handle_datagram(self.now, path, &self.buf[..len]);
        self.under_way = send(&mut self.controlled, &mut self.buf);
    }

    fn handle(&mut self) {
        let (path, len) = self.under_way.take().expect("an answer is under way");
        let _ = self
            .controlling
            .handle_datagram(self.now, path, &self.buf[..len]);
    }

    fn other_way(&mut self) {
        self.controlled.handle_timeout(self.now);
        self.exchange();
        self.now += Duration::from_millis(1);
    }

    /// Length and covered part of a check and of its answer.
    fn sizes(&mut self) -> ((usize, usize), (usize, usize)) {
        let covered = |len| (len, len - 24 - 8);
        self.check();
        let check = self.under_way.expect("a check is under way").1;
        self.answer();
        let answer = self.under_way.expect("an answer is under way").1;
        self.handle();
        (covered(check), covered(answer))
    }
}

/// `from` gathers its one candidate, and `to` learns all about it.
fn introduce(now: Instant, host: u8, from: &mut Agent, to: &mut Agent) {
    let candidate = Candidate::host(address(host));
    from.add_local_candidate(now, candidate.clone())
        .expect("a host candidate");
    from.local_candidates_complete(now);
    let parameters = RemoteParameters::new(from.local_parameters().clone());
    to.set_remote_parameters(now, parameters)
        .expect("for the first time");
    to.add_remote_candidate(now, candidate)
        .expect("a host candidate");
    to.remote_candidates_complete(now);
}

/// What `from` has to send arrives.
fn carry(now: Instant, from: &mut Agent, to: &mut Agent, buf: &mut [u8]) {
    while let Some(transmit) = from.poll_transmit(buf) {
        let _ = to.handle_datagram(now, reversed(transmit.path), &buf[..transmit.len]);
    }
    while from.poll_event().is_some() {}
}

fn send(agent: &mut Agent, buf: &mut [u8]) -> Option<(FiveTuple, usize)> {
    let transmit = agent.poll_transmit(buf)?;
    Some((reversed(transmit.path), transmit.len))
}

fn reversed(path: FiveTuple) -> FiveTuple {
    FiveTuple {
        local: path.remote,
        remote: path.local,
        ..path
    }
}

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 5000))
}

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do as the beginning of virtual time"
)]
fn epoch() -> Instant {
    Instant::now()
}
