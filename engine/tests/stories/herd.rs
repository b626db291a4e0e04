//! Many sessions that begin in the same instant: the pace of their checks, and that they do not stay in step.

use crate::support::{self, Host, create, parameters_of};
use floe::{
    Endpoint, EndpointConfig, TransportId,
    ice::{
        Candidate, Config, FiveTuple, Initiation, Mode, Pacer, Parameters, RemoteParameters,
        Transmit,
    },
    stun::{Class, IntegrityKey, Message, Method, Writer},
};
use std::{
    collections::{HashMap, HashSet},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

fn ours() -> SocketAddr {
    sim::address(1)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn theirs(number: u16) -> SocketAddr {
    let [a, b] = number.to_be_bytes();
    (Ipv4Addr::new(10, 0, a, b), 5000).into()
}

fn introduce(
    endpoint: &mut Endpoint,
    now: Instant,
    id: TransportId,
    peer: RemoteParameters,
    own: SocketAddr,
    candidates: impl IntoIterator<Item = SocketAddr>,
) {
    endpoint
        .with(now, id, |t| {
            t.set_remote_parameters(now, peer).expect("new parameters");
            t.add_local_candidate(now, Candidate::host(own))
                .expect("a host candidate");
            for candidate in candidates {
                t.add_remote_candidate(now, Candidate::host(candidate))
                    .expect("a host candidate");
            }
        })
        .expect("it was just created");
}

/// An endpoint, and what leaves it when.
struct Watched {
    endpoint: Endpoint,
    now: Instant,
    start: Instant,
    /// When, from where to where, whether never before, and in whose name.
    checks: Vec<(Duration, FiveTuple, bool)>,
    seen: HashSet<[u8; 12]>,
    /// How often it was woken, and how often without anything leaving.
    wake_ups: usize,
    in_vain: usize,
}

impl Watched {
    fn new(pacing: Option<Duration>) -> Self {
        let host = Host::with(1, &[ours()], |config| config.check_pacing = pacing);
        let start = sim::Clock::epoch();
        Self {
            endpoint: host.endpoint,
            now: start,
            start,
            checks: Vec::new(),
            seen: HashSet::new(),
            wake_ups: 0,
            in_vain: 0,
        }
    }

    /// Runs for this long; `answer` gets everything that leaves and may give a datagram that comes back.
    fn run(
        &mut self,
        time: Duration,
        mut answer: impl FnMut(Instant, FiveTuple, &mut [u8]) -> Vec<(FiveTuple, Vec<u8>)>,
    ) {
        let (end, mut buf) = (self.now + time, [0; 1500]);
        loop {
            let before = self.checks.len();
            while let Some(Transmit { path, len }) = self.endpoint.poll_transmit(&mut buf) {
                let message = Message::parse(&buf[..len]).expect("nobody speaks but ICE");
                if message.class() == Class::Request {
                    let id = *message.transaction_id().as_bytes();
                    let first = self.seen.insert(id);
                    self.checks.push((self.now - self.start, path, first));
                }
                for (path, mut bytes) in answer(self.now, path, &mut buf[..len]) {
                    let _ = self.endpoint.handle_datagram(self.now, path, &mut bytes);
                }
            }
            while self.endpoint.poll_event().is_some() {}
            self.in_vain += usize::from(self.wake_ups > 0 && self.checks.len() == before);
            let due = self.endpoint.poll_timeout().filter(|due| *due <= end);
            let Some(due) = due else {
                self.now = end;
                return;
            };
            self.now = due.max(self.now);
            self.wake_ups += 1;
            self.endpoint.handle_timeout(self.now);
        }
    }

    /// The first transmissions, by remote address.
    fn firsts(&self) -> Vec<(Duration, SocketAddr)> {
        let firsts = self.checks.iter().filter(|(.., first)| *first);
        firsts.map(|(at, path, _)| (*at, path.remote)).collect()
    }
}

fn silence(_: Instant, _: FiveTuple, _: &mut [u8]) -> Vec<(FiveTuple, Vec<u8>)> {
    Vec::new()
}

// req: I5
#[test]
fn transports_take_turns_at_the_pace_of_their_endpoint_and_sleep_until_theirs() {
    let mut host = Watched::new(Some(ms(5)));
    let now = host.now;
    // Ten with 50 pairs each, and ten that came later with one.
    for session in 0..20u16 {
        let id = create(&mut host.endpoint, now, Mode::Full, Initiation::Initiating);
        let peer = Parameters::new("peer", "0123456789012345678901").expect("good parameters");
        let count = if session < 10 { 50 } else { 1 };
        let candidates = (0..count).map(|n| theirs(session * 100 + n));
        let peer = RemoteParameters::new(peer);
        introduce(&mut host.endpoint, now, id, peer, ours(), candidates);
    }
    host.run(ms(400), silence);
    let firsts = host.firsts();
    // One new check every 5 ms, neither more nor fewer.
    let steps = firsts.windows(2).map(|two| two[1].0 - two[0].0);
    assert!(steps.clone().all(|step| step == ms(5)), "{firsts:?}");
    assert_eq!(firsts.len(), 81);
    // Each of the late ones has had its turn after one round.
    for session in 10..20 {
        let (at, _) = firsts
            .iter()
            .find(|(_, remote)| *remote == theirs(session * 100))
            .expect("it has had its turn");
        assert!(*at <= ms(5 * 20), "{session}: {at:?}");
    }
    // And the others share what is left evenly.
    let mut shares = HashMap::<Ipv4Addr, u32>::new();
    for number in (0..1000).filter(|number| number % 100 < 50) {
        let turns = firsts
            .iter()
            .filter(|(_, remote)| *remote == theirs(number));
        let session = Ipv4Addr::from(u32::from(number / 100));
        *shares.entry(session).or_default() += turns.count() as u32;
    }
    let (least, most) = (shares.values().min(), shares.values().max());
    assert!(most.unwrap() - least.unwrap() <= 1, "{shares:?}");
    // Nobody was woken to find that it was another's turn.
    assert_eq!(host.in_vain, 0, "of {} wake-ups", host.wake_ups);
}

// req: I5
#[test]
fn slots_of_sessions_that_end_are_not_lost_and_gatherers_have_theirs() {
    let mut host = Watched::new(Some(ms(5)));
    let now = host.now;
    let mut ids = Vec::new();
    for session in 0..40u16 {
        let id = create(&mut host.endpoint, now, Mode::Full, Initiation::Initiating);
        let peer = Parameters::new("peer", "0123456789012345678901").expect("good parameters");
        let candidates = (0..20).map(|n| theirs(session * 100 + n));
        let peer = RemoteParameters::new(peer);
        introduce(&mut host.endpoint, now, id, peer, ours(), candidates);
        ids.push(id);
    }
    host.run(ms(50), silence);
    for id in &ids[10..] {
        host.endpoint.remove(now, *id);
    }
    host.run(ms(150), silence);
    let firsts = host.firsts();
    let late = firsts.iter().filter(|(at, _)| *at >= ms(60)).count();
    assert!(late >= 24, "{late} in 140 ms: {firsts:?}");
    // A gatherer's request has a slot of its own: no check leaves in it.
    let slot = host.endpoint.pacer().expect("configured").reserve(host.now) - host.start;
    host.run(ms(400), silence);
    assert!(host.firsts().iter().all(|(at, _)| *at != slot), "{slot:?}");
    assert_eq!(Watched::new(None).endpoint.pacer().map(drop), None);
}

// req: I5
#[test]
fn a_client_has_the_pace_of_the_rfc_a_server_none_and_one_of_the_applications_counts() {
    let transport = support::transport_config(&support::identity(1));
    let now = sim::Clock::epoch();
    let pace = |config| {
        let endpoint = Endpoint::with_seed([1; 32], config);
        let pacer = endpoint.pacer()?;
        let first = pacer.reserve(now);
        Some(pacer.reserve(now) - first)
    };
    let of_client = EndpointConfig::client(transport.clone());
    assert_eq!(pace(of_client), Some(ms(5)));
    assert_eq!(pace(EndpointConfig::new(transport.clone())), None);
    let mut own = EndpointConfig::client(transport);
    let mut ice = Config::clone(&own.transport.ice);
    ice.pacer = Some(Arc::new(Pacer::new(ms(20))));
    own.transport.ice = Arc::new(ice);
    assert_eq!(pace(own), Some(ms(20)));
}

// req: I5 I20
#[test]
fn sessions_that_began_in_one_instant_are_spread_and_stay_so() {
    const SESSIONS: u16 = 400;
    let mut host = Watched::new(Some(ms(5)));
    let mut clients = Host::new(2, &[]).endpoint;
    let now = host.now;
    for number in 0..SESSIONS {
        let id = create(&mut host.endpoint, now, Mode::Full, Initiation::Initiating);
        let client = create(&mut clients, now, Mode::Lite, Initiation::Responding);
        let for_client = RemoteParameters::new(parameters_of(&host.endpoint, id));
        let mut for_host = RemoteParameters::new(parameters_of(&clients, client));
        for_host.mode = Mode::Lite;
        introduce(&mut clients, now, client, for_client, theirs(number), []);
        introduce(
            &mut host.endpoint,
            now,
            id,
            for_host,
            ours(),
            [theirs(number)],
        );
    }
    let mut buf = [0; 1500];
    host.run(Duration::from_secs(220), |now, path, bytes| {
        let path = FiveTuple::udp(path.remote, path.local);
        let _ = clients.handle_datagram(now, path, bytes);
        let answers = std::iter::from_fn(|| {
            let Transmit { path, len } = clients.poll_transmit(&mut buf)?;
            let path = FiveTuple::udp(path.remote, path.local);
            Some((path, buf[..len].to_vec()))
        });
        answers.collect()
    });
    // Of the first check and the nomination that its answer brings, no more than the pace allows.
    let bins = |from: u64, to: u64| {
        let mut bins = vec![0u32; (to - from) as usize * 100];
        for (at, ..) in &host.checks {
            let bin = (at.as_millis() as u64)
                .checked_sub(from * 1000)
                .map(|at| at as usize / 10);
            if let Some(bin) = bin.and_then(|bin| bins.get_mut(bin)) {
                *bin += 1;
            }
        }
        bins
    };
    let first = bins(0, 10);
    assert!(
        first[..300].iter().all(|count| *count <= 4),
        "{:?}",
        &first[..300]
    );
    assert!(first.iter().all(|count| *count <= 12), "{first:?}");
    // After some minutes they come as if all had begun at random: of each hundredth of a second the variance is the mean.
    let last = bins(160, 220);
    let count = last.len() as f64;
    let mean = last.iter().sum::<u32>() as f64 / count;
    let variance = last
        .iter()
        .map(|bin| (f64::from(*bin) - mean).powi(2))
        .sum::<f64>()
        / count;
    assert!((0.75..0.85).contains(&mean), "400 in 5 s: {mean}");
    assert!(
        (0.85..1.15).contains(&(variance / mean)),
        "{variance} for {mean}"
    );
    // Neither does a grid of milliseconds hold them.
    let mut phases = [0u32; 5];
    for (at, ..) in host
        .checks
        .iter()
        .filter(|(at, ..)| *at > Duration::from_secs(160))
    {
        phases[at.as_millis() as usize % 5] += 1;
    }
    let (least, most) = (phases.iter().min().unwrap(), phases.iter().max().unwrap());
    assert!(most - least < most / 5, "{phases:?}");
}

/// As a server has them, without a pace for all: they begin at once, and in the next round of consent hardly two of them check in the
/// same millisecond.
// req: I20
#[test]
fn a_hundred_thousand_sessions_of_one_millisecond_do_not_check_in_step() {
    const SESSIONS: u32 = 100_000;
    let mut endpoint = Host::new(1, &[]).endpoint;
    let (start, password) = (sim::Clock::epoch(), "0123456789012345678901");
    let peer = Parameters::new("peer", password).expect("good parameters");
    let key = IntegrityKey::short_term(password.as_bytes());
    for number in 0..SESSIONS {
        let id = create(&mut endpoint, start, Mode::Full, Initiation::Initiating);
        let mut peer = RemoteParameters::new(peer.clone());
        peer.mode = Mode::Lite;
        let address = (Ipv4Addr::from(0x0a00_0000 + number), 5000).into();
        introduce(&mut endpoint, start, id, peer, ours(), [address]);
    }
    // How many checks left in each millisecond of two rounds.
    let mut checks = vec![0; 12_001];
    let (mut now, mut buf, mut answer) = (start, [0; 1500], [0; 100]);
    let mut place = 0;
    while let Some(count) = checks.get_mut(place) {
        while let Some(Transmit { path, len }) = endpoint.poll_transmit(&mut buf) {
            let check = Message::parse(&buf[..len]).expect("nobody speaks but ICE");
            *count += 1;
            let len = Writer::success(&mut answer, Method::BINDING, check.transaction_id())
                .xor_mapped_address(path.local)
                .integrity(&key)
                .fingerprint()
                .expect("it fits");
            let _ = endpoint.handle_datagram(now, path, &mut answer[..len]);
        }
        while endpoint.poll_event().is_some() {}
        now = endpoint.poll_timeout().expect("consent goes on").max(now);
        place = (now - start).as_millis() as usize;
        endpoint.handle_timeout(now);
    }
    // The first check of each, and the one that nominates.
    assert!(checks[0] >= SESSIONS, "{}", checks[0]);
    let total = |from: usize, to: usize| checks[from..to].iter().sum::<u32>();
    assert_eq!((total(1, 100), total(100, 4000)), (0, 0));
    // 4 to 6 s after that, each once; then 4 to 6 s after its own one.
    assert_eq!((total(4000, 6002), total(6002, 8000)), (SESSIONS, 0));
    assert!(total(8000, 12_001) >= SESSIONS * 99 / 100);
    // A wave of 100 000 over 2 s is 50 in a millisecond.
    let most = checks[4000..].iter().max();
    assert!(most <= Some(&100), "{most:?}");
}
