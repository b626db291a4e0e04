//! Two endpoints with a transport each, over a network that does what the bytes say.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use arbitrary::{Arbitrary, Unstructured};
use floe::{
    Endpoint, EndpointConfig, Event, Outcome, Received, TransportConfig, TransportId,
    TransportOptions,
};
use floe_dtls::{self as dtls, Setup};
use floe_ice::{self as ice, Candidate, FiveTuple, Initiation, Mode, RemoteParameters};

use crate::{
    clock, identities, ignore,
    operations::{End, Operation, World},
};

const MTU: usize = 1500;
const IN_FLIGHT: usize = 64;
const BURST: usize = 512;

#[derive(Arbitrary, Debug)]
struct Input {
    lite: bool,
    operations: Vec<Operation<Own>>,
}

/// What can happen to endpoints only.
#[derive(Arbitrary, Debug)]
enum Own {
    /// Everything under way arrives, in both directions, and what it leads to, for some rounds.
    Exchange {
        rounds: u8,
    },
    /// The same bytes from another address.
    Divert {
        to: End,
        which: u8,
        from: u8,
    },
    Restart(End),
    Remove(End),
    Move(End),
}

/// Runs the operations.
pub fn run(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let mut pair = Pair::new(&input);
    for operation in input.operations.into_iter().take(80) {
        pair.apply(operation);
        pair.settle();
    }
}

struct Pair {
    now: Instant,
    a: Side,
    b: Side,
}

struct Side {
    endpoint: Endpoint,
    id: TransportId,
    at: SocketAddr,
    ice: ice::State,
    dtls: dtls::State,
    /// As its receiver sees it.
    sent: VecDeque<(FiveTuple, Vec<u8>)>,
}

impl Pair {
    fn new(input: &Input) -> Self {
        let now = clock::epoch();
        let mode = if input.lite { Mode::Lite } else { Mode::Full };
        let mut pair = Self {
            now,
            a: Side::new(now, 1, Initiation::Initiating, Setup::Active, Mode::Full),
            b: Side::new(now, 2, Initiation::Responding, Setup::Passive, mode),
        };
        pair.signal();
        pair
    }

    /// Each side learns what the other has to say for itself.
    fn signal(&mut self) {
        let now = self.now;
        let (of_a, of_b) = (self.a.description(), self.b.description());
        for (description, to) in [(of_a, &mut self.b), (of_b, &mut self.a)] {
            let Some((parameters, candidate)) = description else {
                continue;
            };
            to.with(now, |transport| {
                ignore(transport.set_remote_parameters(now, parameters));
                ignore(transport.add_remote_candidate(now, candidate));
                transport.remote_candidates_complete(now);
            });
        }
    }

    fn exchange(&mut self) {
        for to in [End::A, End::B] {
            self.apply(Operation::DeliverAll(to));
            self.settle();
        }
    }

    fn restart(&mut self, end: End) {
        let now = self.now;
        let side = self.side(end);
        if side.endpoint.restart(now, side.id, None, None).is_err() {
            return;
        }
        let Some(description) = side.description() else {
            return;
        };
        let peer = self.from(end);
        let id = peer.id;
        if peer
            .endpoint
            .restart(now, id, None, Some(description.0))
            .is_ok()
        {
            self.signal();
        }
    }

    fn settle(&mut self) {
        self.a.settle();
        self.b.settle();
    }

    fn side(&mut self, end: End) -> &mut Side {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }

    /// The side whose datagrams go to `to`.
    fn from(&mut self, to: End) -> &mut Side {
        match to {
            End::A => &mut self.b,
            End::B => &mut self.a,
        }
    }
}

impl World for Pair {
    type Own = Own;
    type Path = FiveTuple;

    fn under_way(&mut self, to: End) -> &mut VecDeque<(FiveTuple, Vec<u8>)> {
        &mut self.from(to).sent
    }

    fn path_of_a_stranger(&mut self, to: End) -> FiveTuple {
        FiveTuple::udp(self.side(to).at, address(77))
    }

    fn deliver(&mut self, to: End, path: FiveTuple, datagram: Vec<u8>) {
        let now = self.now;
        self.side(to).deliver(now, path, datagram);
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
        for side in [&mut self.a, &mut self.b] {
            side.endpoint.handle_timeout(self.now);
            let deadline = side.endpoint.poll_timeout();
            assert!(
                deadline.is_none_or(|at| at > self.now),
                "a deadline was left behind"
            );
        }
    }

    fn say(&mut self, from: End, len: u8) {
        let now = self.now;
        self.side(from).say(now, len);
    }

    fn close(&mut self, end: End) {
        let now = self.now;
        let side = self.side(end);
        side.endpoint.close(now, side.id);
    }

    fn own(&mut self, operation: Own) {
        let now = self.now;
        match operation {
            Own::Exchange { rounds } => (0..rounds % 8).for_each(|_| self.exchange()),
            Own::Divert { to, which, from } => {
                let wire = self.under_way(to);
                let which = usize::from(which).checked_rem(wire.len());
                if let Some((path, datagram)) = which.and_then(|which| wire.remove(which)) {
                    let remote = address(from);
                    self.deliver(to, FiveTuple { remote, ..path }, datagram);
                }
            }
            Own::Restart(end) => self.restart(end),
            Own::Remove(end) => {
                let side = self.side(end);
                side.endpoint.remove(now, side.id);
            }
            Own::Move(end) => self.side(end).move_house(now),
        }
    }
}

impl Side {
    fn new(now: Instant, host: u8, initiation: Initiation, setup: Setup, mode: Mode) -> Self {
        let dtls = dtls::Config::new(identities::identity());
        let transport = TransportConfig::new(Arc::new(ice::Config::default()), Arc::new(dtls));
        let mut endpoint = Endpoint::with_seed([host; 32], EndpointConfig::new(transport));
        let options = TransportOptions {
            mode,
            initiation,
            setup,
            remote_identity: identities::expected(),
            local_parameters: None,
        };
        let id = endpoint.create(now, options).expect("room for one");
        let mut side = Self {
            endpoint,
            id,
            at: address(host),
            ice: ice::State::New,
            dtls: dtls::State::New,
            sent: VecDeque::new(),
        };
        let at = side.at;
        side.with(now, |transport| {
            ignore(transport.add_local_candidate(now, Candidate::host(at)));
            transport.local_candidates_complete(now);
        });
        side
    }

    fn with(&mut self, now: Instant, command: impl FnOnce(&mut floe::Transport)) {
        self.endpoint.with(now, self.id, command);
    }

    fn description(&self) -> Option<(RemoteParameters, Candidate)> {
        let transport = self.endpoint.transport(self.id)?;
        let mut parameters = RemoteParameters::new(transport.local_parameters().clone());
        parameters.mode = transport.ice().mode();
        Some((parameters, Candidate::host(self.at)))
    }

    fn deliver(&mut self, now: Instant, path: FiveTuple, mut datagram: Vec<u8>) {
        let mut unread = 0..datagram.len();
        loop {
            let outcome = self
                .endpoint
                .handle_datagram(now, path, &mut datagram[unread.clone()]);
            let Outcome::Routed {
                transport,
                received: Received::Data { rest, .. },
            } = outcome
            else {
                return;
            };
            assert_eq!(transport, self.id, "routed to a stranger");
            let connected = self
                .endpoint
                .transport(self.id)
                .is_some_and(|transport| transport.states().1 == dtls::State::Connected);
            assert!(connected, "data from nobody verified");
            unread = unread.start + rest.start..unread.start + rest.end;
            if unread.is_empty() {
                return;
            }
        }
    }

    fn say(&mut self, now: Instant, len: u8) {
        let mut out = [0; MTU];
        let data = vec![7; len.into()];
        let seal = |transport: &mut floe::Transport| transport.seal(now, &data, &mut out);
        if let Some(Ok(transmit)) = self.endpoint.with(now, self.id, seal) {
            self.send(transmit.path, out[..transmit.len].to_vec());
        }
    }

    /// Out of the endpoint and in again: nothing may get lost.
    fn move_house(&mut self, now: Instant) {
        if let Some(transport) = self.endpoint.detach(self.id) {
            let states = transport.states();
            self.id = self
                .endpoint
                .attach(now, transport)
                .expect("there was room before");
            assert_eq!(
                self.endpoint
                    .transport(self.id)
                    .map(floe::Transport::states),
                Some(states)
            );
        }
    }

    /// Drains what the operation led to and checks what always holds.
    fn settle(&mut self) {
        let mut out = [0; MTU];
        let mut burst = 0;
        while let Some(transmit) = self.endpoint.poll_transmit(&mut out) {
            self.send(transmit.path, out[..transmit.len].to_vec());
            burst += 1;
            assert!(burst < BURST, "a storm");
        }
        while let Some((_, event)) = self.endpoint.poll_event() {
            match event {
                Event::IceStateChange(transition) => {
                    assert_eq!(
                        transition.from, self.ice,
                        "a change of the ICE state was lost"
                    );
                    self.ice = transition.to;
                }
                Event::DtlsStateChange(transition) => {
                    assert_eq!(
                        transition.from, self.dtls,
                        "a change of the DTLS state was lost"
                    );
                    self.dtls = transition.to;
                }
                _ => {}
            }
        }
        if let Some(transport) = self.endpoint.transport(self.id) {
            assert_eq!(
                transport.states(),
                (self.ice, self.dtls),
                "a state changed without a word"
            );
            let has_keys = transport.srtp_keys().is_some();
            assert!(
                !has_keys || self.dtls == dtls::State::Connected,
                "keys without a verified peer"
            );
        }
    }

    fn send(&mut self, path: FiveTuple, datagram: Vec<u8>) {
        if self.sent.len() < IN_FLIGHT && !datagram.is_empty() {
            self.sent.push_back((reversed(path), datagram));
        }
    }
}

/// As the other end sees it.
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
