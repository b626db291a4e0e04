//! Four endpoints behind one socket, and a dispatcher that knows their keys and their path events and no session.

use crate::{
    crafted,
    support::{self, FULL_ACTPASS, Host, LITE_PASSIVE},
};
use floe::{
    DropReason, Event, Outcome, SealError, TransportId, TransportOptions,
    dtls::RemoteIdentity,
    ice::{Candidate, FiveTuple, Initiation, LocalParameters, Mode, RemoteParameters},
    steering::{PathTable, Shard, Sharding, Steering},
};
use sim::{Datagram, Node, Pair};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

const SHARDS: u16 = 4;

/// A process with one socket and a thread for each endpoint; here they take turns.
struct Server {
    steering: Arc<Steering>,
    paths: PathTable,
    shards: Vec<Host>,
    /// How many of each shard's events the table has seen.
    applied: Vec<usize>,
    strays: u64,
    /// Datagrams for shards that their transport has left.
    forwarded: u64,
}

impl Server {
    fn new() -> Self {
        let steering = Arc::new(Steering::new([9; 32], SHARDS));
        let host = |shard: Shard| {
            let seed = 100 + shard.number() as u8;
            Host::with(seed, &[sim::address(2)], |config| {
                config.sharding = Some(Sharding {
                    steering: steering.clone(),
                    shard,
                });
            })
        };
        Self {
            shards: steering.shards().map(host).collect(),
            paths: PathTable::new([3; 16]),
            applied: vec![0; SHARDS.into()],
            strays: 0,
            forwarded: 0,
            steering,
        }
    }

    fn received(&self) -> Vec<u64> {
        let stats = self.shards.iter().map(|host| host.endpoint.stats());
        stats.map(|stats| stats.received).collect()
    }

    /// How many datagrams a shard did not know what to do with that named it.
    fn unknown_to(&self, shard: Shard) -> u64 {
        let stats = self.shards[usize::from(shard.number())].endpoint.stats();
        let reasons = [DropReason::UnknownUfrag, DropReason::UnknownTransaction];
        let dropped = reasons.map(|reason| stats.dropped.count(reason));
        stats.unknown_ufrag + dropped.iter().sum::<u64>()
    }

    /// Takes over what a shard's endpoint has reported; where two shards claim a path, the newer has to prove it.
    fn program(&mut self, now: Instant) {
        for (shard, number) in self.steering.shards().zip(0..) {
            let host: &mut Host = &mut self.shards[number];
            host.collect_events(now);
            let news = host.events[self.applied[number]..].to_vec();
            self.applied[number] = host.events.len();
            for (id, event) in news {
                self.paths.apply(shard, id, &event);
                if let Event::PathLearned(path) = event
                    && self.paths.shard_of(&path) != Some(shard)
                {
                    host.with_transport(now, id, |t| t.validate_path(now, path));
                }
            }
        }
    }
}

impl Node for Server {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &mut [u8],
    ) {
        let path = FiveTuple::udp(local, remote);
        let named = self.steering.route(datagram);
        let holder = self.paths.shard_of(&path);
        match named.or(holder) {
            Some(shard) => {
                let unknown = self.unknown_to(shard);
                let host = &mut self.shards[usize::from(shard.number())];
                host.handle_datagram(now, local, remote, datagram);
                if self.unknown_to(shard) > unknown
                    && let Some(holder) = holder.filter(|holder| *holder != shard)
                {
                    self.forwarded += 1;
                    let host = &mut self.shards[usize::from(holder.number())];
                    host.handle_datagram(now, local, remote, datagram);
                }
            }
            None => self.strays += 1,
        }
        self.program(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        for host in &mut self.shards {
            if host.poll_timeout().is_some_and(|due| due <= now) {
                host.handle_timeout(now);
            }
        }
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        self.shards
            .iter_mut()
            .find_map(|host| host.poll_transmit(buf))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.shards.iter().filter_map(Node::poll_timeout).min()
    }

    fn collect_events(&mut self, now: Instant) {
        self.program(now);
    }
}

/// One session: the client's end, and the server's in its shard.
#[derive(Clone, Copy, Debug)]
struct Session {
    client: TransportId,
    shard: usize,
    server: TransportId,
}

/// Eight addresses for clients, and eight to move to.
fn world(seed: u64) -> Pair<Host, Server> {
    let of_a: Vec<_> = (11..19).chain(21..29).map(sim::address).collect();
    let of_b = [sim::address(2)];
    Pair::new(seed, (Host::new(7, &of_a), &of_a), (Server::new(), &of_b))
}

/// Signals a session between a client at `address` and a shard.
fn open(pair: &mut Pair<Host, Server>, shard: usize, address: SocketAddr) -> Session {
    let now = pair.now();
    let host = &mut pair.b.shards[shard];
    let options = |part: support::Part, initiation, peer| TransportOptions {
        mode: part.mode,
        initiation,
        setup: part.setup,
        remote_identity: RemoteIdentity::Fingerprints(peer),
        local_parameters: None,
    };
    let (of_client, of_server) = (pair.a.fingerprints(), host.fingerprints());
    let offer = options(FULL_ACTPASS, Initiation::Initiating, of_server);
    let answer = options(LITE_PASSIVE, Initiation::Responding, of_client);
    let client = pair.a.endpoint.create(now, offer).expect("room for it");
    let server = host.endpoint.create(now, answer).expect("room for it");
    let session = Session {
        client,
        shard,
        server,
    };
    pair.a.with_transport(now, client, |t| {
        t.add_local_candidate(now, Candidate::host(address))
            .expect("a host candidate");
        t.set_remote_setup(now, LITE_PASSIVE.setup)
            .expect("the sides fit");
    });
    host.with_transport(now, server, |t| {
        t.add_local_candidate(now, Candidate::host(sim::address(2)))
            .expect("a host candidate");
    });
    introduce(pair, session);
    session
}

/// Carries the parameters of the newest generation both ways, and the server's candidate.
fn introduce(pair: &mut Pair<Host, Server>, session: Session) {
    let now = pair.now();
    let host = &mut pair.b.shards[session.shard];
    let for_server = support::parameters(&pair.a, session.client, Mode::Full);
    let for_client = support::parameters(host, session.server, Mode::Lite);
    host.with_transport(now, session.server, |t| {
        t.set_remote_parameters(now, for_server)
            .expect("new parameters");
    });
    pair.a.with_transport(now, session.client, |t| {
        t.set_remote_parameters(now, for_client)
            .expect("new parameters");
        t.add_remote_candidate(now, Candidate::host(sim::address(2)))
            .expect("a host candidate");
        t.remote_candidates_complete(now);
    });
}

fn connect(pair: &mut Pair<Host, Server>, sessions: &[Session]) {
    pair.drive_until(|a, b| {
        sessions.iter().all(|session| {
            let host = &b.shards[session.shard];
            a.is_connected(session.client) && host.is_connected(session.server)
        })
    });
    pair.run_for(Duration::from_millis(200));
}

/// Media from every client arrives in its own shard, with its own transport.
fn media_finds_its_shard(pair: &mut Pair<Host, Server>, sessions: &[Session], mark: u8) {
    for (session, number) in sessions.iter().zip(0..) {
        let path = pair.a.endpoint.send_path(session.client).expect("consent");
        let packet = vec![0x80, 96, number, mark];
        pair.a.outgoing.push_back((path, packet));
    }
    pair.run_for(Duration::from_millis(100));
    for (session, number) in sessions.iter().zip(0..) {
        let packet = (session.server, vec![0x80, 96, number, mark]);
        let media = &pair.b.shards[session.shard].media;
        assert!(media.contains(&packet), "{session:?}, {mark}: {media:?}");
    }
    let all: usize = pair.b.shards.iter().map(|host| host.media.len()).sum();
    assert_eq!(all, sessions.len() * usize::from(mark), "and nowhere else");
}

// req: I60 I54
#[test]
fn clients_connect_migrate_and_restart_behind_a_dispatcher_without_sessions() {
    let mut pair = world(600);
    let sessions: Vec<_> = (0..8)
        .map(|n| open(&mut pair, usize::from(n % 4), sim::address(11 + n)))
        .collect();
    connect(&mut pair, &sessions);
    assert_eq!((pair.b.strays, pair.b.steering.misses()), (0, 0));
    assert_eq!(pair.b.paths.len(), 8);
    media_finds_its_shard(&mut pair, &sessions, 1);

    // Every client moves to another address: an authenticated request says so, and the table follows.
    for (session, n) in sessions.iter().zip(0..) {
        let now = pair.now();
        pair.a.with_transport(now, session.client, |t| {
            t.add_local_candidate(now, Candidate::host(sim::address(21 + n)))
                .expect("a host candidate");
        });
    }
    pair.run_for(Duration::from_secs(2));
    for (session, n) in sessions.iter().zip(0..) {
        let now = pair.now();
        pair.a.with_transport(now, session.client, |t| {
            let _ = t.remove_local_candidate(now, sim::address(11 + n));
        });
    }
    pair.run_for(Duration::from_secs(20));
    for (session, n) in sessions.iter().zip(0..) {
        let path = FiveTuple::udp(sim::address(2), sim::address(21 + n));
        let host = &pair.b.shards[session.shard];
        assert_eq!(host.endpoint.send_path(session.server), Some(path));
        let shard = pair.b.paths.shard_of(&path).expect("learned");
        assert_eq!(usize::from(shard.number()), session.shard);
    }
    media_finds_its_shard(&mut pair, &sessions, 2);

    // Every session restarts: new names of the same shards.
    for session in &sessions {
        let now = pair.now();
        let host = &mut pair.b.shards[session.shard];
        let name = |host: &Host| {
            let local = host.transport(session.server).local_parameters();
            local.username_fragment().to_owned()
        };
        let before = name(host);
        pair.a
            .endpoint
            .restart(now, session.client, None, None)
            .expect("a legal exchange");
        host.endpoint
            .restart(now, session.server, None, None)
            .expect("a legal exchange");
        assert_ne!(name(host), before);
        introduce(&mut pair, *session);
    }
    pair.run_for(Duration::from_secs(40));
    for session in &sessions {
        assert!(pair.a.is_connected(session.client));
        assert!(pair.b.shards[session.shard].is_connected(session.server));
    }
    media_finds_its_shard(&mut pair, &sessions, 3);
    assert_eq!((pair.b.strays, pair.b.steering.misses()), (0, 0));
}

// req: I60
#[test]
fn a_forgery_costs_one_counted_miss_and_no_shard_hears_of_it() {
    let mut pair = world(601);
    let session = open(&mut pair, 2, sim::address(11));
    connect(&mut pair, &[session]);
    let before = pair.b.received();
    let forged = |name: String, transaction| {
        let name = LocalParameters::with_username_fragment(&name).expect("a good name");
        crafted::request(name.as_parameters(), "peer", transaction)
    };
    let arrive = |pair: &mut Pair<Host, Server>, bytes: &mut [u8], from| {
        let now = pair.now();
        pair.b.handle_datagram(now, sim::address(2), from, bytes);
    };
    // From a stranger, and from where a session is: with the table's help it gets to be that shard's miss.
    for number in 0..1000 {
        let mut check = forged(format!("AbCdEfGhIjKlMnOpQr{number:05}"), number);
        arrive(&mut pair, &mut check, sim::address(66));
    }
    assert_eq!((pair.b.strays, pair.b.steering.misses()), (1000, 1000));
    assert_eq!(pair.b.received(), before);

    // A name that was overheard gets as far as its MAC.
    let host = &pair.b.shards[session.shard];
    let credentials = host.transport(session.server).local_parameters().clone();
    let mut check = crafted::forged_request(&credentials, "peer", 5);
    arrive(&mut pair, &mut check, sim::address(66));
    let mut after = before.clone();
    after[session.shard] += 1;
    assert_eq!(pair.b.received(), after);
    assert_eq!(pair.b.paths.len(), 1, "nothing was learned");

    // Of invented transaction ids one in 256 names a shard, which has asked nothing.
    let (mut buf, mut heard) = ([0; 100], 0);
    for number in 0..2000 {
        let id = crafted::transaction_id(number);
        let writer = floe::stun::Writer::success(&mut buf, floe::stun::Method::BINDING, id);
        let len = writer.fingerprint().expect("it fits");
        let sum = |pair: &Pair<Host, Server>| pair.b.received().iter().sum::<u64>();
        let before = sum(&pair);
        arrive(&mut pair, &mut buf[..len], sim::address(66));
        heard += sum(&pair) - before;
    }
    assert_eq!(pair.b.steering.misses(), 1000 + 2000 - heard);
    assert!(heard < 25, "{heard}");
    assert!(pair.b.shards[session.shard].is_connected(session.server));
}

// req: I54
#[test]
fn two_shards_that_share_a_five_tuple_change_over_once_and_after_proof() {
    let mut pair = world(602);
    let first = open(&mut pair, 0, sim::address(11));
    connect(&mut pair, &[first]);
    let path = FiveTuple::udp(sim::address(2), sim::address(11));
    let holder = |server: &Server| server.paths.shard_of(&path).map(Shard::number);
    assert_eq!(holder(&pair.b), Some(0));

    // A request with a spoofed source is answered, and moves nothing.
    let now = pair.now();
    let options = TransportOptions {
        mode: Mode::Lite,
        initiation: Initiation::Responding,
        setup: LITE_PASSIVE.setup,
        remote_identity: RemoteIdentity::Later,
        local_parameters: None,
    };
    let host = &mut pair.b.shards[3];
    let attacker = host.endpoint.create(now, options).expect("room for it");
    host.with_transport(now, attacker, |t| {
        let peer = LocalParameters::with_username_fragment("evil").expect("a good name");
        let peer = RemoteParameters::new(peer.as_parameters().clone());
        t.set_remote_parameters(now, peer).expect("new parameters");
        t.add_local_candidate(now, Candidate::host(sim::address(2)))
            .expect("a host candidate");
    });
    let credentials = host.transport(attacker).local_parameters().clone();
    for number in 0..5 {
        let bytes = crafted::request(&credentials, "evil", number);
        pair.inject(Datagram {
            source: path.remote,
            destination: path.local,
            bytes,
        });
        pair.run_for(Duration::from_secs(1));
        assert_eq!(holder(&pair.b), Some(0));
    }

    // A second session of the client's own proves itself.
    let second = open(&mut pair, 1, sim::address(11));
    connect_ice(&mut pair, second);
    assert_eq!(holder(&pair.b), Some(1));
    pair.run_for(Duration::from_secs(60));
    assert_eq!(holder(&pair.b), Some(1), "they do not take turns");
    let now = pair.now();
    pair.b.shards[1].endpoint.remove(now, second.server);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(holder(&pair.b), Some(0), "until it lapses");
}

fn connect_ice(pair: &mut Pair<Host, Server>, session: Session) {
    use floe::ice::State::{Completed, Connected};
    pair.drive_until(|a, b| {
        let states = [
            a.ice(session.client),
            b.shards[session.shard].ice(session.server),
        ];
        states
            .iter()
            .all(|state| matches!(state, Connected | Completed))
    });
    pair.run_for(Duration::from_secs(3));
}

/// The session's transport goes on in another shard.
fn move_to(pair: &mut Pair<Host, Server>, session: &mut Session, shard: usize) {
    let now = pair.now();
    let from = &mut pair.b.shards[session.shard].endpoint;
    let transport = from.detach(session.server).expect("it lives here");
    let to = &mut pair.b.shards[shard].endpoint;
    session.server = to.attach(now, transport).expect("room for it");
    session.shard = shard;
}

// req: I60 T71
#[test]
fn a_transport_that_moved_to_another_shard_is_found_there_until_it_is_called_otherwise() {
    let mut pair = world(603);
    let mut session = open(&mut pair, 1, sim::address(11));
    connect(&mut pair, &[session]);
    let path = FiveTuple::udp(sim::address(2), sim::address(11));
    // To and fro, and away: the table follows each time, and keeps nothing of where it was.
    for (shard, times) in [(3, 1), (1, 2), (2, 3)] {
        move_to(&mut pair, &mut session, shard);
        let now = pair.now();
        pair.b.program(now);
        let holder = pair.b.paths.shard_of(&path).map(Shard::number);
        assert_eq!(holder.map(usize::from), Some(shard));
        assert_eq!(pair.b.paths.len(), 1);
        media_finds_its_shard(&mut pair, &[session], times);
    }
    // The peer's checks name the first shard, and are forwarded.
    pair.run_for(Duration::from_secs(60));
    let host = &pair.b.shards[session.shard];
    assert!(pair.a.is_connected(session.client) && host.is_connected(session.server));
    assert!(pair.b.forwarded >= 10, "{}", pair.b.forwarded);
    let named = pair.b.steering.shards().nth(1).expect("there are four");
    assert!(pair.b.unknown_to(named) >= 10);

    // After a restart it is called as the shard is where it lives.
    let now = pair.now();
    let restarted = pair.a.endpoint.restart(now, session.client, None, None);
    restarted.expect("a legal exchange");
    let host = &mut pair.b.shards[session.shard];
    let restarted = host.endpoint.restart(now, session.server, None, None);
    restarted.expect("a legal exchange");
    introduce(&mut pair, session);
    pair.run_for(Duration::from_secs(40));
    let before = pair.b.forwarded;
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.b.forwarded, before);
    media_finds_its_shard(&mut pair, &[session], 4);
    let now = pair.now();
    pair.b.shards[session.shard]
        .endpoint
        .remove(now, session.server);
    pair.b.program(now);
    assert!(pair.b.paths.is_empty());
    assert_eq!(pair.b.strays, 0);
}

// req: I54
#[test]
fn media_of_peers_that_are_gone_is_dropped_and_that_of_the_others_is_not() {
    let mut pair = world(604);
    let sessions: Vec<_> = (0..8)
        .map(|n| open(&mut pair, usize::from(n % 4), sim::address(11 + n)))
        .collect();
    connect(&mut pair, &sessions);
    media_finds_its_shard(&mut pair, &sessions, 1);
    (0..4).for_each(|n| pair.network.cut_address(sim::address(11 + n)));
    pair.run_for(Duration::from_secs(60));

    let now = pair.now();
    for (session, n) in sessions.iter().zip(0..8) {
        let path = FiveTuple::udp(sim::address(2), sim::address(11 + n));
        let host = &mut pair.b.shards[session.shard];
        let before = host.endpoint.stats().dropped.count(DropReason::UnknownPath);
        let mut packet = [0x80, 96, 0, 0];
        let outcome = host.endpoint.handle_datagram(now, path, &mut packet);
        let routed =
            matches!(outcome, Outcome::Routed { transport, .. } if transport == session.server);
        let stats = host.endpoint.stats();
        let dropped = stats.dropped.count(DropReason::UnknownPath) - before;
        let seal = |t: &mut floe::Transport| t.seal(now, b"nobody", &mut [0; 1500]);
        let sealed = host.endpoint.with(now, session.server, seal);
        let is_gone = n < 4;
        assert_eq!((routed, dropped), (!is_gone, u64::from(is_gone)), "{n}");
        assert_eq!(sealed == Some(Err(SealError::NoConsent)), is_gone, "{n}");
        let send_path = host.endpoint.send_path(session.server);
        assert_eq!(send_path, (!is_gone).then_some(path), "{n}");
        assert_eq!(pair.b.paths.shard_of(&path).is_some(), !is_gone, "{n}");
    }
    assert_eq!(pair.b.paths.len(), 4);
}
