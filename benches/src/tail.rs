//! What a burst of handshakes does to the datagrams behind it: how long a media datagram, an application record and a
//! consent check wait and take on an endpoint where others shake hands, and where those hands are shaken on an endpoint of
//! their own and the transports moved over when they are connected (T71).
//!
//! The wait is that of a queue: datagrams arrive at their times, an endpoint takes one after the other, and each takes as
//! long as is measured. Nothing else of the machine's is in it: no sockets, no scheduler. The clients' own work is not
//! counted.

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe::{Endpoint, Transport, TransportId};
use floe_dtls::{self as dtls, CryptoBackend, Identity, NamedGroup, ProtocolVersion};
use floe_ice::FiveTuple;

use crate::call::{self, Leg, MTU, Security};
use crate::nanoseconds;

/// Connected transports that go on while others begin.
const CONNECTED: u16 = 64;

/// Transports that begin at once.
const BURST: u16 = 64;

/// From one datagram of the connected transports to the next.
const PACE: Duration = Duration::from_micros(100);

/// One way.
const DELAY: Duration = Duration::from_millis(5);

/// How long is looked at, from the beginning of the burst.
const WINDOW: Duration = Duration::from_millis(600);

/// With whom hands are shaken.
pub type Kind = (ProtocolVersion, CryptoBackend, NamedGroup);

/// What the burst may be made of.
pub const KINDS: [Kind; 3] = [
    (
        ProtocolVersion::DTLS1_2,
        CryptoBackend::Ring,
        NamedGroup::X25519,
    ),
    (
        ProtocolVersion::DTLS1_3,
        CryptoBackend::Ring,
        NamedGroup::X25519,
    ),
    (
        ProtocolVersion::DTLS1_3,
        CryptoBackend::AwsLcRs,
        NamedGroup::X25519MLKEM768,
    ),
];

/// The waits of media, records and consent checks, in nanoseconds: those of all rounds, the shortest first.
#[must_use]
pub fn waits(kind: Kind, place: Place, rounds: u8) -> [Vec<f64>; 3] {
    let mut waits = [vec![], vec![], vec![]];
    for round in 0..rounds {
        let mut world = World::new(round, kind);
        for (all, these) in waits.iter_mut().zip(world.run(place)) {
            all.extend(these);
        }
    }
    waits
        .iter_mut()
        .for_each(|waits| waits.sort_by(f64::total_cmp));
    waits
}

/// Where hands are shaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// There is no burst.
    Nowhere,
    /// On the endpoint of the connected transports.
    Same,
    /// On an endpoint of another thread; transports move over when they are connected.
    Other,
}

/// What the server's side has to do next, soonest first.
struct Job {
    at: Instant,
    /// Those of one instant keep their order.
    number: usize,
    what: What,
}

enum What {
    /// A datagram of a connected transport; which wait it counts to.
    Steady(usize, FiveTuple, Vec<u8>),
    /// A datagram of a transport that begins.
    Beginning(FiveTuple, Vec<u8>),
    /// A transport that is connected moves to where the media is.
    MoveIn(Box<Transport>),
    /// The time at which an endpoint or a client wants to be woken.
    Wake,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Job {}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// An endpoint of the server with the thread it runs on.
struct Worker {
    endpoint: Endpoint,
    free_at: Instant,
}

impl Worker {
    /// Does a job when its turn comes, and says when it is done.
    fn work(&mut self, at: Instant, job: impl FnOnce(&mut Endpoint, Instant)) -> Instant {
        let start = at.max(self.free_at);
        let took = nanoseconds(|| job(&mut self.endpoint, start));
        self.free_at = start + Duration::from_nanos(took as u64);
        self.free_at
    }
}

/// The first connectivity check that is seen.
fn keep_check(check: &mut Vec<u8>, datagram: &[u8]) {
    if check.is_empty() && floe_stun::is_stun(datagram) {
        *check = datagram.to_vec();
    }
}

struct World {
    now: Instant,
    security: Security,
    client: Endpoint,
    server: Worker,
    other: Worker,
    legs: Vec<Leg>,
    jobs: BinaryHeap<Job>,
    numbers: usize,
    /// When the next wake-up is planned for.
    wake_at: Option<Instant>,
    /// When the newest datagram reached the clients.
    latest: Instant,
    /// A consent check of a client.
    check: Vec<u8>,
}

impl World {
    /// With all the steady transports connected.
    fn new(round: u8, (version, backend, group): Kind) -> Self {
        let identity = Arc::new(Identity::generate().expect("a key and its certificate"));
        let now = call::epoch();
        let endpoint = |seed| {
            let mut config = dtls::Config::new(identity.clone());
            (config.min_version, config.max_version) = (version, version);
            config.backend = backend;
            config.groups = vec![group];
            call::endpoint(3 * round + seed, config)
        };
        let worker = |seed| Worker {
            endpoint: endpoint(seed),
            free_at: now,
        };
        let mut world = Self {
            now,
            client: endpoint(1),
            server: worker(2),
            other: worker(3),
            legs: Vec::new(),
            jobs: BinaryHeap::new(),
            numbers: 0,
            wake_at: None,
            latest: now,
            check: Vec::new(),
            security: Security::Dtls(identity),
        };
        world.connect();
        world
    }

    fn connect(&mut self) {
        let (client, server) = (&mut self.client, &mut self.server.endpoint);
        let open =
            |number: u16| call::open(self.now, number.into(), client, server, &self.security);
        self.legs = (0..CONNECTED).map(open).collect();
        let connected = |endpoint: &Endpoint, id| call::is_connected(endpoint, id);
        while !self.legs.iter().all(|leg| {
            connected(&self.client, leg.client) && connected(&self.server.endpoint, leg.server)
        }) {
            for _ in 0..4 {
                let (client, server) = (&mut self.client, &mut self.server.endpoint);
                let mut see = |datagram: &[u8]| keep_check(&mut self.check, datagram);
                call::carry(self.now, client, server, &mut see);
                call::carry(
                    self.now,
                    &mut self.server.endpoint,
                    &mut self.client,
                    |_| {},
                );
            }
            let deadlines = [
                self.client.poll_timeout(),
                self.server.endpoint.poll_timeout(),
            ];
            let next = deadlines.into_iter().flatten().min();
            self.now = next.expect("something is due");
            self.client.handle_timeout(self.now);
            self.server.endpoint.handle_timeout(self.now);
        }
        self.server.free_at = self.now;
        self.other.free_at = self.now;
    }

    fn push(&mut self, at: Instant, what: What) {
        self.numbers += 1;
        self.jobs.push(Job {
            at,
            number: self.numbers,
            what,
        });
    }

    /// The waits of media, records and consent checks, in nanoseconds.
    fn run(&mut self, place: Place) -> [Vec<f64>; 3] {
        let (begin, end) = (self.now, self.now + WINDOW);
        self.plan_steady(begin, end);
        if place != Place::Nowhere {
            let server = match place {
                Place::Other => &mut self.other.endpoint,
                _ => &mut self.server.endpoint,
            };
            for number in 0..BURST {
                let number = CONNECTED + number;
                call::open(
                    begin,
                    number.into(),
                    &mut self.client,
                    server,
                    &self.security,
                );
            }
        }
        self.latest = begin;
        self.flush_client(begin);
        let mut waits = [vec![], vec![], vec![]];
        let mut moved = 0;
        while let Some(job) = self.jobs.pop().filter(|job| job.at <= end) {
            let at = job.at;
            match job.what {
                What::Steady(kind, path, mut datagram) => {
                    let done = self.server.work(at, |endpoint, start| {
                        let _ = endpoint.handle_datagram(start, path, &mut datagram);
                    });
                    waits[kind].push((done - at).as_nanos() as f64);
                }
                What::Beginning(path, mut datagram) => {
                    let worker = match place {
                        Place::Other => &mut self.other,
                        _ => &mut self.server,
                    };
                    worker.work(at, |endpoint, start| {
                        let _ = endpoint.handle_datagram(start, path, &mut datagram);
                    });
                }
                What::MoveIn(transport) => {
                    self.server.work(at, |endpoint, start| {
                        endpoint.attach(start, transport).expect("there is room");
                    });
                    moved += 1;
                }
                What::Wake => self.wake(at),
            }
            self.answer(at);
            self.move_out(at);
        }
        if place == Place::Other {
            assert_eq!(moved, usize::from(BURST), "all of them moved");
        }
        let expected = match place {
            Place::Nowhere => CONNECTED,
            _ => CONNECTED + BURST,
        };
        let there = self.server.endpoint.transports().count();
        assert_eq!(there, usize::from(expected));
        waits
    }

    /// What the clients of the connected transports send: of each twenty datagrams seventeen are media, two are records
    /// and one is a consent check.
    fn plan_steady(&mut self, begin: Instant, end: Instant) {
        let mut at = begin;
        let mut number = 0;
        while at < end {
            let leg = self.legs[number % self.legs.len()];
            let path = FiveTuple::udp(leg.server_at, leg.client_at);
            let (kind, datagram) = match number % 20 {
                3 | 13 => (1, self.record(at, leg.client)),
                7 => (2, self.check.clone()),
                _ => (0, vec![0x80; 1200]),
            };
            // The check is that of the first leg.
            let path = match kind {
                2 => FiveTuple::udp(self.legs[0].server_at, self.legs[0].client_at),
                _ => path,
            };
            self.push(at, What::Steady(kind, path, datagram));
            at += PACE;
            number += 1;
        }
    }

    fn record(&mut self, now: Instant, id: TransportId) -> Vec<u8> {
        let mut out = vec![0; MTU];
        let sealed = self.client.with(now, id, |transport| {
            transport.seal(now, &[7; 1000], &mut out)
        });
        let len = sealed.expect("it is there").expect("connected").len;
        out.truncate(len);
        out
    }

    fn wake(&mut self, at: Instant) {
        self.wake_at = None;
        for worker in [&mut self.server, &mut self.other] {
            if worker.endpoint.poll_timeout().is_some_and(|due| due <= at) {
                worker.work(at, |endpoint, start| endpoint.handle_timeout(start));
            }
        }
        if self.client.poll_timeout().is_some_and(|due| due <= at) {
            self.client.handle_timeout(at);
            self.flush_client(at);
        }
    }

    /// What the server's endpoints have to send reaches the clients, and their answers come back.
    fn answer(&mut self, at: Instant) {
        let mut buf = [0; MTU];
        for worker in [&mut self.server, &mut self.other] {
            let mut datagrams = Vec::new();
            let done = worker.work(at.min(worker.free_at), |endpoint, _| {
                while let Some(transmit) = endpoint.poll_transmit(&mut buf) {
                    datagrams.push((transmit.path, buf[..transmit.len].to_vec()));
                }
            });
            for (path, mut datagram) in datagrams {
                let path = call::turned(path);
                let arrival = done + DELAY;
                let _ = self.client.handle_datagram(arrival, path, &mut datagram);
                self.latest = self.latest.max(arrival);
            }
        }
        self.flush_client(self.latest);
        let workers = [&self.server, &self.other].map(|worker| worker.endpoint.poll_timeout());
        let due = workers.into_iter().chain([self.client.poll_timeout()]);
        if let Some(due) = due.flatten().min()
            && self.wake_at.is_none_or(|planned| due < planned)
        {
            self.wake_at = Some(due);
            self.push(due.max(at), What::Wake);
        }
    }

    fn flush_client(&mut self, now: Instant) {
        let mut buf = [0; MTU];
        let begun = 10_000 + CONNECTED;
        while let Some(transmit) = self.client.poll_transmit(&mut buf) {
            let path = call::turned(transmit.path);
            let datagram = buf[..transmit.len].to_vec();
            let what = match path.remote.port() < begun {
                true => What::Steady(2, path, datagram),
                false => What::Beginning(path, datagram),
            };
            self.push(now + DELAY, what);
        }
        while self.client.poll_event().is_some() {}
    }

    /// Transports that are connected on the other endpoint leave it for where the media is.
    fn move_out(&mut self, at: Instant) {
        while self.server.endpoint.poll_event().is_some() {}
        let mut ids = Vec::new();
        while let Some((id, _)) = self.other.endpoint.poll_event() {
            if call::is_connected(&self.other.endpoint, id) && !ids.contains(&id) {
                ids.push(id);
            }
        }
        for id in ids {
            let mut transport = None;
            let out = self.other.work(at.min(self.other.free_at), |endpoint, _| {
                transport = endpoint.detach(id);
            });
            let transport = Box::new(transport.expect("it is there"));
            self.push(out.max(at), What::MoveIn(transport));
        }
    }
}
