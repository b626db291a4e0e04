//! Two seeded ends, everything either of them ever says, and a moment after each step at which somebody may interfere.
//!
//! Nothing is left to chance: randoms and keys come from seeds, signatures are Ed25519, time is virtual, and which
//! datagrams are lost is a list. Two runs that differ in nothing leave the same [`Record`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_dtls::{
    Config, Connection, Event, Identity, NamedGroup, Received, RemoteIdentity, Setup, Side, State,
};
use sim::Clock;

use super::attacker::Knowledge;
use super::ends::expecting_owner_of;
use super::puppet::{Version, split};
use super::wire;

/// One way.
const DELAY: Duration = Duration::from_millis(20);

#[derive(Clone, Debug)]
pub struct Scenario {
    pub version: Version,
    /// The datagrams, by number, that the network loses.
    pub lost: Vec<usize>,
    pub twist: Twist,
}

/// What is not as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twist {
    Nothing,
    /// The server learns whom to expect only after the handshake.
    IntroducedLate,
    /// Both would speak the other version too.
    Dual,
    /// The server of DTLS 1.3 asks for another share first.
    Retry,
}

/// Everything that can be seen of a run.
#[derive(Debug, Default, PartialEq)]
pub struct Log {
    pub datagrams: Vec<(Instant, Side, Vec<u8>)>,
    pub events: Vec<(Instant, Side, Event)>,
    pub heard: Vec<(Instant, Side, Vec<u8>)>,
    /// The deadlines of both after each step.
    pub deadlines: Vec<[Option<Instant>; 2]>,
    pub states: Vec<[State; 2]>,
}

pub struct Duel {
    pub now: Instant,
    pub ends: [Connection; 2],
    pub log: Log,
    scenario: Scenario,
    /// Under way to the client and to the server.
    wires: [VecDeque<(Instant, Vec<u8>)>; 2],
    /// What the client and the server know of their peers' numbers, and the wire of them.
    knowledge: [Knowledge; 2],
    sent: usize,
    order: Option<Order>,
}

type Order = Box<dyn Fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>>;

pub fn index(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}

const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn identity() -> Arc<Identity> {
    const PEM: &str = include_str!("../data/ed25519.pem");
    Arc::new(Identity::from_pem(PEM, PEM).unwrap())
}

impl Duel {
    /// Both have started.
    pub fn start(scenario: &Scenario) -> Self {
        let identity = identity();
        let end = |side| {
            let mut config = Config::new(identity.clone());
            match scenario.twist == Twist::Dual {
                true => Version::allow_all(&mut config),
                false => scenario.version.limit(&mut config),
            }
            if scenario.twist == Twist::Retry && side == Side::Server {
                config.groups = vec![NamedGroup::SECP384R1];
            }
            let (seed, setup) = match side {
                Side::Client => ([1; 32], Setup::Active),
                Side::Server => ([2; 32], Setup::Passive),
            };
            let remote = match scenario.twist == Twist::IntroducedLate && side == Side::Server {
                true => RemoteIdentity::Later,
                false => expecting_owner_of(&identity),
            };
            let mut end = Connection::with_seed(seed, Arc::new(config), setup, remote).unwrap();
            end.set_path_validated();
            end.start(Clock::epoch());
            end
        };
        let mut duel = Self {
            now: Clock::epoch(),
            ends: SIDES.map(end),
            log: Log::default(),
            scenario: scenario.clone(),
            wires: [VecDeque::new(), VecDeque::new()],
            knowledge: [(); 2].map(|()| Knowledge {
                plaintext_expected: true,
                ..Knowledge::default()
            }),
            sent: 0,
            order: None,
        };
        duel.settle();
        duel
    }

    /// A handshake, data, a while of silence, data, and the end; `interfere` may do what it likes at every step.
    pub fn run(scenario: &Scenario, mut interfere: impl FnMut(&mut Self)) -> Log {
        let mut duel = Self::start(scenario);
        let until = duel.now + Duration::from_secs(8);
        duel.advance(until, &mut interfere);
        for round in 0..3_u8 {
            for side in SIDES {
                duel.say(side, &[round; 30]);
            }
            let until = duel.now + Duration::from_millis(1500);
            duel.advance(until, &mut interfere);
        }
        let now = duel.now;
        duel.ends[0].close(now);
        let until = duel.now + Duration::from_secs(2);
        duel.advance(until, &mut interfere);
        duel.log
    }

    /// Step by step: whatever is due first happens, and the interference after it.
    pub fn advance(&mut self, until: Instant, interfere: &mut impl FnMut(&mut Self)) {
        self.settle();
        interfere(self);
        self.settle();
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.now = next;
            self.step();
            self.settle();
            interfere(self);
            self.settle();
        }
        self.now = until;
    }

    /// From now on each datagram is taken apart, and its records come in datagrams of their own in another order.
    pub fn reorder(&mut self, order: impl Fn(Vec<Vec<u8>>) -> Vec<Vec<u8>> + 'static) {
        self.order = Some(Box::new(order));
    }

    fn next(&self) -> Option<Instant> {
        let arrivals = self
            .wires
            .iter()
            .filter_map(|wire| wire.front().map(|(at, _)| *at));
        let timers = self.ends.iter().filter_map(Connection::poll_timeout);
        arrivals.chain(timers).min()
    }

    /// One datagram, or the timers.
    fn step(&mut self) {
        for side in SIDES {
            let wire = &mut self.wires[index(side)];
            if wire.front().is_some_and(|(at, _)| *at <= self.now) {
                let (_, datagram) = wire.pop_front().unwrap();
                self.learn(side, &datagram);
                let pieces = match &self.order {
                    Some(order) => {
                        order(split(&datagram).into_iter().map(<[u8]>::to_vec).collect())
                    }
                    None => vec![datagram],
                };
                pieces
                    .into_iter()
                    .for_each(|piece| self.deliver(side, piece));
                return self.introduce();
            }
        }
        for end in &mut self.ends {
            end.handle_timeout(self.now);
        }
    }

    fn introduce(&mut self) {
        let complete = self.ends[0].state() == State::Connected;
        let late = self.scenario.twist == Twist::IntroducedLate;
        if late && complete && self.wires.iter().all(VecDeque::is_empty) {
            let RemoteIdentity::Fingerprints(set) = expecting_owner_of(&identity()) else {
                unreachable!("that is what it makes");
            };
            let _ = self.ends[1].set_remote_fingerprints(self.now, set);
        }
    }

    pub fn deliver(&mut self, to: Side, mut datagram: Vec<u8>) {
        let end = &mut self.ends[index(to)];
        let mut unread = 0..datagram.len();
        while let Received::Data { range, rest } =
            end.handle_datagram(self.now, &mut datagram[unread.clone()])
        {
            let data = datagram[unread.start + range.start..unread.start + range.end].to_vec();
            self.log.heard.push((self.now, to, data));
            unread = unread.start + rest.start..unread.start + rest.end;
            if unread.is_empty() {
                return;
            }
        }
    }

    pub fn say(&mut self, from: Side, data: &[u8]) {
        let mut out = [0; 1500];
        let end = &mut self.ends[index(from)];
        let len = end.seal(self.now, data, &mut out).unwrap();
        self.send(from, out[..len].to_vec());
    }

    fn send(&mut self, from: Side, datagram: Vec<u8>) {
        let to = index(from.peer());
        if !self.scenario.lost.contains(&self.sent) {
            self.wires[to].push_back((self.now + DELAY, datagram.clone()));
        }
        self.sent += 1;
        self.log.datagrams.push((self.now, from, datagram));
    }

    /// Takes everything the two have to say.
    pub fn settle(&mut self) {
        let mut out = [0; 1500];
        for side in SIDES {
            while let Some(len) = self.ends[index(side)].poll_transmit(&mut out) {
                self.send(side, out[..len].to_vec());
            }
            while let Some(event) = self.ends[index(side)].poll_event() {
                self.log.events.push((self.now, side, event));
            }
        }
        self.log
            .deadlines
            .push([0, 1].map(|end| self.ends[end].poll_timeout()));
        self.log
            .states
            .push([0, 1].map(|end| self.ends[end].state()));
    }

    /// What somebody who guesses well knows of the way to `victim`.
    pub fn knowledge(&self, victim: Side) -> Knowledge {
        let mut knowledge = self.knowledge[index(victim)].clone();
        let written = self
            .log
            .datagrams
            .iter()
            .filter(|(_, from, _)| *from == victim);
        for (_, _, datagram) in written {
            let records = split(datagram)
                .into_iter()
                .filter(|record| record[0] & 0xe0 == 0);
            knowledge.victims_records.extend(records.map(number));
        }
        // Those of DTLS 1.3 are encrypted, but few and counted from zero.
        let protected = [1, 2, 3].map(|epoch| (0..10).map(move |sequence| (epoch, sequence)));
        knowledge
            .victims_records
            .extend(protected.into_iter().flatten());
        knowledge
    }

    /// `victim` is about to be given this genuine datagram.
    fn learn(&mut self, victim: Side, datagram: &[u8]) {
        let version = self.scenario.version;
        let knowledge = &mut self.knowledge[index(victim)];
        for record in split(datagram) {
            if record[0] & 0xe0 != 0 {
                continue;
            }
            let (epoch, sequence) = number(record);
            if let Some(newest) = knowledge.newest_record.get_mut(usize::from(epoch)) {
                *newest = (*newest).max(sequence);
            }
            for fragment in wire::fragments(record) {
                knowledge.next_message = knowledge.next_message.max(fragment.message_seq + 1);
                let first = u16::from(self.scenario.twist == Twist::Retry);
                if ends_plaintext(version, fragment.message_type) && fragment.message_seq >= first {
                    knowledge.plaintext_expected = false;
                }
            }
        }
    }
}

/// Whether everything behind a message of this type is protected.
fn ends_plaintext(version: Version, message_type: u8) -> bool {
    match version {
        Version::V12 => matches!(message_type, 14 | wire::CERTIFICATE_VERIFY),
        Version::V13 => matches!(message_type, wire::CLIENT_HELLO | wire::SERVER_HELLO),
    }
}

fn number(record: &[u8]) -> (u16, u64) {
    let number = u64::from_be_bytes(record[3..11].try_into().unwrap());
    ((number >> 48) as u16, number & ((1 << 48) - 1))
}
