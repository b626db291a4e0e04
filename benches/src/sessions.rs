//! Very many sessions between two endpoints in one thread and virtual time, the server's behind one address.
//!
//! The loop is the one of a server that reads and writes its socket in batches: time passes, what is due is done, what has arrived is
//! handed in, what there is to send is taken. Only the server's part of it is timed; the clients are an endpoint as well, but
//! what they do is not counted.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe::{Endpoint, TransportId};
use floe_dtls::{self as dtls, Identity};
use floe_ice::{self as ice, FiveTuple};

use crate::call::{self, MTU, Security, client_address, server_address, turned};
use crate::machine::{cpu_time, resident};
use crate::median;

/// Over how long the sessions begin.
const ARRIVAL: Duration = Duration::from_secs(10);

/// How long after the last has begun all are at rest: longer than an agent looks for a better pair (39.5 s).
const REST: Duration = Duration::from_secs(45);

/// The same for a million, of which each such second takes as long to compute: all are connected long before.
const REST_OF_A_MILLION: Duration = Duration::from_secs(10);

/// What kind of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ICE alone, consent every 5 s, give or take a fifth (RFC 7675 §5.1).
    Ice,
    /// The same every 2.5 s, as Chromium does on a stable connection.
    IceAtChromiumsRate,
    /// ICE and an established DTLS.
    Dtls,
}

/// Two endpoints with so many sessions between them.
#[derive(Debug)]
pub struct Sessions {
    /// The time.
    pub now: Instant,
    client: Endpoint,
    /// The one that is measured.
    pub server: Endpoint,
    /// Client and server of each session.
    ids: Vec<[TransportId; 2]>,
    security: Security,
    inward: Batch,
    outward: Batch,
    checks: u64,
    memory: f64,
}

/// What a server does for checks of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnChecks {
    /// Their deadline has come: each is taken out of the wheel and written, and its next deadline is set.
    Sent,
    /// The answers are routed, verified and handled, and the deadlines are others again.
    Answered,
}

/// What that took.
#[derive(Clone, Copy, Debug)]
pub struct Metered {
    /// For so many checks; none if it was something else that was due.
    pub count: u64,
    /// To send them.
    pub sent: f64,
    /// To handle their answers.
    pub answered: f64,
}

/// What consent costs.
#[derive(Clone, Copy, Debug)]
pub struct Consent {
    /// CPU time of the server per session and second, nanoseconds.
    pub per_session_second: f64,
    /// Checks that it sends per session and second.
    pub checks: f64,
    /// Resident memory per transport, bytes.
    pub memory: f64,
}

impl Sessions {
    /// All of them connected and at rest.
    #[must_use]
    pub fn connect(count: u32, kind: Kind) -> Self {
        Self::connect_with([None; 2], count, kind)
    }

    /// The same, to the last bit of what is sent, whenever it is called.
    #[must_use]
    pub fn connect_repeatably(count: u32, kind: Kind) -> Self {
        Self::connect_with([Some(1), Some(2)], count, kind)
    }

    fn connect_with([of_client, of_server]: [Option<u8>; 2], count: u32, kind: Kind) -> Self {
        let now = call::epoch();
        let identity = Arc::new(Identity::generate().expect("randomness"));
        let mut ice = ice::Config::default();
        if kind == Kind::IceAtChromiumsRate {
            let mut timing = ice::Timing::default();
            timing.consent_interval = Duration::from_millis(2500);
            ice = ice::Config::with_timing(timing);
        }
        let endpoint =
            |seed| call::endpoint_with(seed, ice.clone(), dtls::Config::new(identity.clone()));
        let mut sessions = Self {
            now,
            client: endpoint(of_client),
            server: endpoint(of_server),
            ids: Vec::with_capacity(count as usize),
            inward: Batch::default(),
            outward: Batch::default(),
            checks: 0,
            memory: 0.0,
            security: match kind {
                Kind::Dtls => Security::Dtls(identity),
                _ => Security::Ice,
            },
        };
        let before = resident();
        for number in 0..count {
            sessions.run_until(now + ARRIVAL * number / count, Duration::from_millis(1));
            sessions.open(number);
        }
        let rest = match count {
            1_000_000.. => REST_OF_A_MILLION,
            _ => REST,
        };
        sessions.run_until(now + ARRIVAL + rest, Duration::from_millis(10));
        sessions.memory = (resident() - before) / f64::from(2 * count);
        sessions.assert_connected(kind);
        sessions
    }

    fn open(&mut self, number: u32) {
        let (client, server) = (&mut self.client, &mut self.server);
        let leg = call::open(self.now, number, client, server, &self.security);
        self.ids.push([leg.client, leg.server]);
    }

    fn assert_connected(&self, kind: Kind) {
        let connected = |endpoint: &Endpoint, id| match kind {
            Kind::Dtls => call::is_connected(endpoint, id),
            _ => endpoint.send_path(id).is_some(),
        };
        assert!(
            self.ids.iter().all(|[client, server]| {
                connected(&self.client, *client) && connected(&self.server, *server)
            }),
            "all are connected"
        );
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ids.len()
    }

    /// The server's transport of a session.
    #[must_use]
    pub fn id(&self, session: usize) -> TransportId {
        self.ids[session][1]
    }

    /// What the server sees of a session.
    #[must_use]
    pub fn path(&self, session: usize) -> FiveTuple {
        FiveTuple::udp(server_address(), client_address(session as u32))
    }

    /// The username fragments and password of a session, as its client checks with them.
    #[must_use]
    pub fn credentials(&self, session: usize) -> (String, String) {
        let [client, server] = self.ids[session];
        let parameters = |endpoint: &Endpoint, id| {
            let transport = endpoint.transport(id).expect("it is there");
            let parameters = transport.local_parameters();
            let ufrag = parameters.username_fragment().to_owned();
            (ufrag, parameters.password().to_owned())
        };
        let (ours, password) = parameters(&self.server, server);
        let (theirs, _) = parameters(&self.client, client);
        (format!("{ours}:{theirs}"), password)
    }

    /// Both ways for so many virtual seconds.
    pub fn consent(&mut self, seconds: u32) -> Consent {
        // Some twenty checks in a batch, so that the clock's own cost disappears.
        let sessions = self.ids.len() as f64;
        let batch = Duration::from_secs_f64((100.0 / sessions).clamp(0.001, 0.1));
        let checks = self.checks;
        let turns: Vec<f64> = (0..seconds)
            .map(|_| self.run_until(self.now + Duration::from_secs(1), batch))
            .collect();
        Consent {
            per_session_second: median(turns) / sessions,
            checks: (self.checks - checks) as f64 / sessions / f64::from(seconds),
            memory: self.memory,
        }
    }

    /// At least so many checks of the server's, as they fall due: what each millisecond brings is sent, and the answers are
    /// handled. Gives what a meter says of either, once for each turn.
    pub fn own_checks(
        &mut self,
        at_least: u64,
        mut meter: impl FnMut(OwnChecks, &mut dyn FnMut()) -> f64,
    ) -> Vec<Metered> {
        let mut all = Vec::new();
        let end = self.checks + at_least;
        while self.checks < end {
            let next = [&self.server, &self.client].map(Endpoint::poll_timeout);
            let [ours, theirs] = next.map(|at| at.expect("consent never ends"));
            self.now = ours.min(theirs).max(self.now);
            let Self {
                now,
                client,
                server,
                inward,
                outward,
                ..
            } = self;
            // What the clients ask is answered before.
            client.handle_timeout(*now);
            inward.take_from(client);
            inward.give_to(server, *now);
            outward.take_from(server);
            outward.give_to(client, *now);
            if ours > *now {
                continue;
            }
            let sent = meter(OwnChecks::Sent, &mut || {
                server.handle_timeout(*now);
                outward.take_from(server);
            });
            let count = outward.checks();
            outward.give_to(client, *now);
            inward.take_from(client);
            let answered = meter(OwnChecks::Answered, &mut || inward.give_to(server, *now));
            self.checks += count;
            all.push(Metered {
                count,
                sent,
                answered,
            });
        }
        all
    }

    /// Gives the server's CPU time, nanoseconds.
    fn run_until(&mut self, end: Instant, batch: Duration) -> f64 {
        let mut took = 0.0;
        while self.now < end {
            self.now = end.min(self.now + batch);
            took += self.turn();
        }
        took
    }

    /// What is due is done, and everybody hears what there is to hear.
    fn turn(&mut self) -> f64 {
        let Self {
            now,
            client,
            server,
            inward,
            outward,
            ..
        } = self;
        client.handle_timeout(*now);
        let mut took = 0.0;
        loop {
            inward.take_from(client);
            let start = cpu_time();
            server.handle_timeout(*now);
            inward.give_to(server, *now);
            outward.take_from(server);
            took += cpu_time() - start;
            self.checks += outward.checks();
            outward.give_to(client, *now);
            if inward.is_empty() && outward.is_empty() {
                return took;
            }
        }
    }
}

/// Datagrams on the way.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    datagrams: Vec<(FiveTuple, Range<usize>)>,
}

impl Batch {
    /// All that an endpoint has to send, as others see it; and its events, which nobody asked for.
    fn take_from(&mut self, endpoint: &mut Endpoint) {
        self.datagrams.clear();
        let mut used = 0;
        loop {
            if self.bytes.len() < used + MTU {
                self.bytes.resize(2 * used + MTU, 0);
            }
            let Some(transmit) = endpoint.poll_transmit(&mut self.bytes[used..]) else {
                break;
            };
            let range = used..used + transmit.len;
            used = range.end;
            self.datagrams.push((turned(transmit.path), range));
        }
        while endpoint.poll_event().is_some() {}
    }

    /// All at once, as who reads them by `recvmmsg` does.
    fn give_to(&mut self, endpoint: &mut Endpoint, now: Instant) {
        let mut rest = self.bytes.as_mut_slice();
        let arrivals = self.datagrams.iter().map_while(|(path, range)| {
            let (datagram, others) = std::mem::take(&mut rest).split_at_mut_checked(range.len())?;
            rest = others;
            Some((*path, datagram))
        });
        endpoint.handle_datagrams(now, arrivals, |_, outcome, _| {
            let _ = black_box(outcome);
        });
    }

    fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// How many STUN requests there are.
    fn checks(&self) -> u64 {
        let is_check = |(_, range): &&(FiveTuple, Range<usize>)| self.bytes[range.start] == 0;
        self.datagrams.iter().filter(is_check).count() as u64
    }
}
