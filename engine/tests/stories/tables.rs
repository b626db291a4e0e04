//! A law: whatever is done to an endpoint, its tables say what its transports say.

use crate::{crafted, support::Host};
use floe::{
    Outcome, Received, TransportId, TransportOptions,
    dtls::{RemoteIdentity, Setup},
    ice::{
        Candidate, FiveTuple, Initiation, LocalParameters, Mode, Parameters, RemoteParameters,
        State,
    },
    steering::{Sharding, Steering},
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// Where peers are: few, so that they get in each other's way.
const PLACES: u16 = 5;
/// Names that the application gives, few too.
const NAMES: u8 = 3;

/// What is done. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Deed {
    Create {
        named: Option<u8>,
    },
    Close(usize),
    Remove(usize),
    Restart {
        whose: usize,
        named: Option<u8>,
    },
    RestartInside(usize),
    Rollback(usize),
    Move {
        whose: usize,
        to: usize,
    },
    Check {
        whose: usize,
        generation: usize,
        place: u16,
    },
    Pass(u64),
    Listen,
}

fn deed() -> impl Strategy<Value = Deed> {
    let name = || prop::option::of(0..NAMES);
    let any = || 0..64_usize;
    prop_oneof![
        3 => name().prop_map(|named| Deed::Create { named }),
        1 => any().prop_map(Deed::Close),
        2 => any().prop_map(Deed::Remove),
        2 => (any(), name()).prop_map(|(whose, named)| Deed::Restart { whose, named }),
        1 => any().prop_map(Deed::RestartInside),
        1 => any().prop_map(Deed::Rollback),
        3 => (any(), 0..2_usize).prop_map(|(whose, to)| Deed::Move { whose, to }),
        8 => (any(), 0..3_usize, 0..PLACES)
            .prop_map(|(whose, generation, place)| Deed::Check { whose, generation, place }),
        2 => prop_oneof![0..500_u64, 0..40_000_u64].prop_map(Deed::Pass),
        2 => Just(Deed::Listen),
    ]
}

/// What the two endpoints are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Strangers,
    Shards,
}

/// A transport, and its peer as far as it knows the credentials.
struct Session {
    host: usize,
    id: TransportId,
    /// Ours and the peer's fragment of each generation, the latest first.
    generations: Vec<(Parameters, String)>,
}

struct World {
    now: Instant,
    hosts: [Host; 2],
    sessions: Vec<Session>,
    /// All names there ever were.
    names: BTreeSet<String>,
    /// What was learned and not released.
    paths: [BTreeSet<(FiveTuple, TransportId)>; 2],
    number: u64,
}

fn local() -> SocketAddr {
    sim::address(2)
}

fn path(place: u16) -> FiveTuple {
    FiveTuple::udp(local(), SocketAddr::new(sim::address(1).ip(), 7000 + place))
}

impl World {
    /// Two endpoints that know nothing of each other, or two shards.
    fn new(kind: Kind) -> Self {
        let steering = Arc::new(Steering::new([7; 32], 2));
        let shards: Vec<_> = steering.shards().collect();
        let host = |place: usize| {
            let sharding = Sharding {
                steering: steering.clone(),
                shard: shards[place],
            };
            let sharding = Some(sharding).filter(|_| kind == Kind::Shards);
            Host::with(place as u8, &[local()], |config| config.sharding = sharding)
        };
        Self {
            now: sim::Clock::epoch(),
            hosts: [0, 1].map(host),
            sessions: Vec::new(),
            names: BTreeSet::new(),
            paths: Default::default(),
            number: 0,
        }
    }

    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn named(&mut self, name: Option<u8>) -> Option<LocalParameters> {
        let seed = [self.next() as u8; 32];
        let name = format!("room{}", name?);
        Some(LocalParameters::with_seed(seed, &name).expect("a good name"))
    }

    fn peer(&mut self) -> (String, RemoteParameters) {
        let name = format!("peer{}", self.next());
        let password = format!("a password, long enough {name}").replace([' ', ','], "/");
        let parameters = Parameters::new(&name, &password).expect("good ones");
        (name, RemoteParameters::new(parameters))
    }

    fn create(&mut self, named: Option<u8>) {
        let options = TransportOptions {
            mode: Mode::Lite,
            initiation: Initiation::Responding,
            setup: Setup::Passive,
            remote_identity: RemoteIdentity::Later,
            local_parameters: self.named(named),
        };
        let (now, host, (name, peer)) = (self.now, self.number as usize % 2, self.peer());
        let endpoint = &mut self.hosts[host].endpoint;
        let Ok(id) = endpoint.create(now, options) else {
            return;
        };
        let made = endpoint.with(now, id, |transport| {
            transport.add_local_candidate(now, Candidate::host(local()))?;
            transport.local_candidates_complete(now);
            transport.set_remote_parameters(now, peer)?;
            Ok::<_, floe::ApiMisuse>(transport.local_parameters().clone())
        });
        let ours = made.expect("it was just made").expect("it is new");
        self.sessions.push(Session {
            host,
            id,
            generations: vec![(ours, name)],
        });
    }

    fn restart(&mut self, whose: usize, named: Option<u8>) {
        let (now, own, (name, peer)) = (self.now, self.named(named), self.peer());
        let session = &self.sessions[whose];
        let endpoint = &mut self.hosts[session.host].endpoint;
        if endpoint.restart(now, session.id, own, Some(peer)).is_ok() {
            self.note_restart(whose, name);
        }
    }

    /// Behind the endpoint's back, as it were.
    fn restart_inside(&mut self, whose: usize) {
        let (now, (name, peer)) = (self.now, self.peer());
        let session = &self.sessions[whose];
        let endpoint = &mut self.hosts[session.host].endpoint;
        let restarted = endpoint.with(now, session.id, |t| t.restart(now, None, Some(peer)));
        if restarted.expect("it lives here").is_ok() {
            self.note_restart(whose, name);
        }
    }

    fn note_restart(&mut self, whose: usize, peer: String) {
        let session = &mut self.sessions[whose];
        let transport = self.hosts[session.host].endpoint.transport(session.id);
        let transport = transport.expect("it lives here");
        let ours = transport.local_parameters().clone();
        session.generations.insert(0, (ours, peer));
    }

    fn relocate(&mut self, whose: usize, to: usize) {
        let session = &mut self.sessions[whose];
        let transport = self.hosts[session.host].endpoint.detach(session.id);
        let transport = transport.expect("it lives here");
        let attached = self.hosts[to].endpoint.attach(self.now, transport);
        let (host, id) = match attached {
            Ok(id) => (to, id),
            // Its name is another's there. At home it is nobody else's.
            Err(refused) => {
                let home = &mut self.hosts[session.host].endpoint;
                let back = home.attach(self.now, refused.transport);
                (session.host, back.expect("it has just left"))
            }
        };
        (session.host, session.id) = (host, id);
    }

    fn check(&mut self, whose: usize, generation: usize, place: u16) {
        let number = self.next();
        let session = &self.sessions[whose];
        let generation = generation % session.generations.len();
        let (ours, theirs) = &session.generations[generation];
        let mut request = crafted::nominating_request(ours, theirs, number);
        let endpoint = &mut self.hosts[session.host].endpoint;
        let _whatever = endpoint.handle_datagram(self.now, path(place), &mut request);
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        for host in &mut self.hosts {
            host.endpoint.handle_timeout(self.now);
            let next = host.endpoint.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "the timer law");
        }
    }

    fn listen(&mut self) {
        for (host, paths) in self.hosts.iter_mut().zip(&mut self.paths) {
            while host.endpoint.poll_transmit(&mut [0; 1500]).is_some() {}
            while let Some((id, event)) = host.endpoint.poll_event() {
                match event {
                    floe::Event::PathLearned(path) => assert!(paths.insert((path, id))),
                    floe::Event::PathReleased(path) => assert!(paths.remove(&(path, id))),
                    _ => {}
                }
            }
        }
    }

    fn does(&mut self, deed: &Deed) {
        let count = self.sessions.len();
        match deed {
            Deed::Create { named } => return self.create(*named),
            Deed::Pass(milliseconds) => return self.pass(*milliseconds),
            Deed::Listen => return self.listen(),
            _ if count == 0 => return,
            _ => {}
        }
        let now = self.now;
        match *deed {
            Deed::Close(whose) => {
                let session = &self.sessions[whose % count];
                assert!(self.hosts[session.host].endpoint.close(now, session.id));
            }
            Deed::Remove(whose) => {
                let session = self.sessions.remove(whose % count);
                assert!(self.hosts[session.host].endpoint.remove(now, session.id));
                assert!(!self.hosts[session.host].endpoint.remove(now, session.id));
            }
            Deed::Restart { whose, named } => self.restart(whose % count, named),
            Deed::RestartInside(whose) => self.restart_inside(whose % count),
            Deed::Rollback(whose) => {
                let session = &self.sessions[whose % count];
                let endpoint = &mut self.hosts[session.host].endpoint;
                let _whether = endpoint.with(now, session.id, |t| t.rollback_restart(now));
            }
            Deed::Move { whose, to } => self.relocate(whose % count, to),
            Deed::Check {
                whose,
                generation,
                place,
            } => {
                self.check(whose % count, generation, place);
            }
            Deed::Create { .. } | Deed::Pass(_) | Deed::Listen => {}
        }
    }

    /// Each name leads to who is called so, and a name of nobody's to nobody.
    fn names_agree(&mut self) {
        let mut bearers: [BTreeMap<String, TransportId>; 2] = Default::default();
        for (host, bearers) in self.hosts.iter().zip(&mut bearers) {
            let live = host.endpoint.transports();
            let live = live.filter(|(_, transport)| transport.ice().state() != State::Closed);
            let named = live.flat_map(|(id, transport)| {
                let names = transport.ice().local_username_fragments();
                names.map(move |name| (name.to_owned(), id))
            });
            for (name, id) in named {
                assert_eq!(bearers.insert(name.clone(), id), None, "{name}");
                self.names.insert(name);
            }
        }
        for name in self.names.clone() {
            let number = self.next();
            let to = Parameters::new(&name, "0123456789012345678901").expect("a good one");
            for (host, bearers) in self.hosts.iter_mut().zip(&bearers) {
                let mut forged = crafted::request(&to, "somebody", number);
                let from = FiveTuple::udp(local(), sim::address(99));
                let outcome = host.endpoint.handle_datagram(self.now, from, &mut forged);
                let found = match outcome {
                    Outcome::Routed {
                        transport,
                        received,
                    } => {
                        assert_ne!(received, Received::Handled, "it is forged");
                        Some(transport)
                    }
                    _ => None,
                };
                assert_eq!(found, bearers.get(&name).copied(), "{name}");
            }
        }
    }

    /// Each 5-tuple is one transport's, and what comes by it finds that one.
    fn paths_agree(&mut self) {
        for (host, paths) in self.hosts.iter_mut().zip(&self.paths) {
            for place in 0..PLACES {
                let path = path(place);
                let mut owners = paths.iter().filter(|(owned, _)| *owned == path);
                let owner = owners.next().map(|(_, id)| *id);
                assert_eq!(owners.next(), None, "one has it");
                let mut zrtp = [16; 40];
                let outcome = host.endpoint.handle_datagram(self.now, path, &mut zrtp);
                let found = match outcome {
                    Outcome::Routed {
                        transport,
                        received,
                    } => {
                        assert_eq!(received, Received::Zrtp);
                        Some(transport)
                    }
                    _ => None,
                };
                assert_eq!(found, owner, "{path:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    // req: I53 I54 I16
    #[test]
    fn whatever_is_done_names_and_paths_lead_to_whose_they_are(
        deeds in prop::collection::vec(deed(), 1..60),
        kind in prop::sample::select(vec![Kind::Strangers, Kind::Shards]),
    ) {
        let mut world = World::new(kind);
        for deed in &deeds {
            world.does(deed);
            world.names_agree();
            if matches!(deed, Deed::Listen) {
                world.paths_agree();
            }
        }
        world.listen();
        world.paths_agree();
        while let Some(session) = world.sessions.pop() {
            assert!(world.hosts[session.host].endpoint.remove(world.now, session.id));
        }
        world.listen();
        world.paths_agree();
        assert!(world.paths.iter().all(BTreeSet::is_empty));
        world.names_agree();
        world.pass(60_000);
        for host in &world.hosts {
            assert_eq!(host.endpoint.poll_timeout(), None, "nothing is left to wait for");
        }
    }
}
