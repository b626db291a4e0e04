//! Two endpoints in one world: the adapter to the simulator, and the signalling that a story can lean on.

use floe::{
    Endpoint, EndpointConfig, Event, Outcome, Received, Transport, TransportConfig, TransportId,
    TransportOptions,
    dtls::{self, FingerprintSet, HashAlgorithm, Identity, RemoteIdentity, Setup},
    ice::{self, Candidate, FiveTuple, Initiation, Mode, Parameters, RemoteParameters, Transmit},
};
use sim::{Datagram, Node, Pair};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Instant,
};

/// A program that embeds an endpoint: keeps what comes out, sends what it is told.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) endpoint: Endpoint,
    pub(crate) identity: Arc<Identity>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) events: Vec<(TransportId, Event)>,
    pub(crate) data: Vec<(TransportId, Vec<u8>)>,
    pub(crate) media: Vec<(TransportId, Vec<u8>)>,
    pub(crate) unknown: Vec<(String, String, FiveTuple)>,
    pub(crate) refused: usize,
    /// Datagrams of the program's own: sealed data, media.
    pub(crate) outgoing: VecDeque<(FiveTuple, Vec<u8>)>,
}

impl Host {
    pub(crate) fn new(seed: u8, addresses: &[SocketAddr]) -> Self {
        Self::with(seed, addresses, |_| {})
    }

    pub(crate) fn with(
        seed: u8,
        addresses: &[SocketAddr],
        change: impl FnOnce(&mut EndpointConfig),
    ) -> Self {
        let identity = identity(seed);
        let mut config = EndpointConfig::new(transport_config(&identity));
        change(&mut config);
        Self {
            endpoint: Endpoint::with_seed([seed; 32], config),
            identity,
            addresses: addresses.to_vec(),
            events: Vec::new(),
            data: Vec::new(),
            media: Vec::new(),
            unknown: Vec::new(),
            refused: 0,
            outgoing: VecDeque::new(),
        }
    }

    pub(crate) fn transport(&self, id: TransportId) -> &Transport {
        self.endpoint
            .transport(id)
            .expect("the story's transport exists")
    }

    pub(crate) fn with_transport<R>(
        &mut self,
        now: Instant,
        id: TransportId,
        f: impl FnOnce(&mut Transport) -> R,
    ) -> R {
        self.endpoint
            .with(now, id, f)
            .expect("the story's transport exists")
    }

    pub(crate) fn fingerprints(&self) -> FingerprintSet {
        fingerprints(&self.identity)
    }

    /// Seals `text` and sends it where the transport says.
    pub(crate) fn send(&mut self, now: Instant, id: TransportId, text: &[u8]) {
        let mut out = [0; 1500];
        let Transmit { path, len } = self
            .with_transport(now, id, |transport| transport.seal(now, text, &mut out))
            .expect("connected and consented");
        self.outgoing.push_back((path, out[..len].to_vec()));
    }

    pub(crate) fn ice(&self, id: TransportId) -> ice::State {
        self.transport(id).ice().state()
    }

    pub(crate) fn dtls(&self, id: TransportId) -> dtls::State {
        self.transport(id).dtls().state()
    }

    pub(crate) fn is_connected(&self, id: TransportId) -> bool {
        use ice::State::{Completed, Connected};
        matches!(self.ice(id), Connected | Completed) && self.dtls(id) == dtls::State::Connected
    }

    pub(crate) fn ice_transitions(&self, id: TransportId) -> Vec<ice::Transition> {
        let mine = self.events.iter().filter(|(of, _)| *of == id);
        mine.filter_map(|(_, event)| match event {
            Event::IceStateChange(transition) => Some(*transition),
            _ => None,
        })
        .collect()
    }

    pub(crate) fn dtls_transitions(&self, id: TransportId) -> Vec<dtls::Transition> {
        let mine = self.events.iter().filter(|(of, _)| *of == id);
        mine.filter_map(|(_, event)| match event {
            Event::DtlsStateChange(transition) => Some(*transition),
            _ => None,
        })
        .collect()
    }

    pub(crate) fn saw(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(|(_, event)| wanted(event))
    }

    fn take(
        &mut self,
        datagram: &mut [u8],
        outcome: (TransportId, Received),
    ) -> std::ops::Range<usize> {
        match outcome {
            (id, Received::Data { range, rest }) => {
                self.data.push((id, datagram[range].to_vec()));
                rest
            }
            (id, Received::Media(_)) => {
                self.media.push((id, datagram.to_vec()));
                0..0
            }
            _ => 0..0,
        }
    }
}

impl Node for Host {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &mut [u8],
    ) {
        let path = FiveTuple::udp(local, remote);
        let mut datagram = datagram;
        loop {
            let routed = match self.endpoint.handle_datagram(now, path, datagram) {
                Outcome::Routed {
                    transport,
                    received,
                } => (transport, received),
                Outcome::UnknownUfrag {
                    local,
                    remote,
                    from,
                } => {
                    return self
                        .unknown
                        .push((local.to_owned(), remote.to_owned(), from));
                }
                Outcome::Refused => return self.refused += 1,
                _ => return,
            };
            let rest = self.take(datagram, routed);
            if rest.is_empty() {
                return;
            }
            datagram = &mut datagram[rest];
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        if let Some((path, bytes)) = self.outgoing.pop_front() {
            buf[..bytes.len()].copy_from_slice(&bytes);
            return Some((path.local, path.remote, bytes.len()));
        }
        let Transmit { path, len } = self.endpoint.poll_transmit(buf)?;
        Some((path.local, path.remote, len))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    fn collect_events(&mut self, _now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            self.events.push(event);
        }
    }
}

/// What one side of a story is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) mode: Mode,
    pub(crate) setup: Setup,
}

pub(crate) const FULL_ACTIVE: Part = Part {
    mode: Mode::Full,
    setup: Setup::Active,
};
pub(crate) const FULL_ACTPASS: Part = Part {
    mode: Mode::Full,
    setup: Setup::ActPass,
};
pub(crate) const LITE_PASSIVE: Part = Part {
    mode: Mode::Lite,
    setup: Setup::Passive,
};

/// Two hosts with an address each. `a` will make offers.
pub(crate) fn world(seed: u64) -> Pair<Host, Host> {
    world_of(seed, (1, 2))
}

/// The same with other secrets.
pub(crate) fn world_of(seed: u64, hosts: (u8, u8)) -> Pair<Host, Host> {
    let (a, b) = ([sim::address(1)], [sim::address(2)]);
    Pair::new(
        seed,
        (Host::new(hosts.0, &a), &a),
        (Host::new(hosts.1, &b), &b),
    )
}

/// One transport on each side, signalled completely, with nothing sent yet. `a` offers.
pub(crate) fn signalled(
    pair: &mut Pair<Host, Host>,
    a: Part,
    b: Part,
) -> (TransportId, TransportId) {
    let now = pair.now();
    let ids = created(pair, a, b);
    exchange_parameters(pair, ids, a.mode, b.mode);
    add_candidates(pair, ids);
    if a.setup == Setup::ActPass {
        pair.a
            .with_transport(now, ids.0, |t| t.set_remote_setup(now, b.setup))
            .expect("the sides fit");
    }
    ids
}

/// One transport on each side that know each other's fingerprints and nothing else.
pub(crate) fn created(pair: &mut Pair<Host, Host>, a: Part, b: Part) -> (TransportId, TransportId) {
    let now = pair.now();
    let options = |part: Part, initiation, fingerprints| TransportOptions {
        mode: part.mode,
        initiation,
        setup: part.setup,
        remote_identity: RemoteIdentity::Fingerprints(fingerprints),
        local_parameters: None,
    };
    let (of_a, of_b) = (pair.a.fingerprints(), pair.b.fingerprints());
    let one = pair
        .a
        .endpoint
        .create(now, options(a, Initiation::Initiating, of_b));
    let other = pair
        .b
        .endpoint
        .create(now, options(b, Initiation::Responding, of_a));
    (one.expect("room for one"), other.expect("room for one"))
}

pub(crate) fn exchange_parameters(
    pair: &mut Pair<Host, Host>,
    (a, b): (TransportId, TransportId),
    of_a: Mode,
    of_b: Mode,
) {
    let now = pair.now();
    let (for_a, for_b) = (parameters(&pair.b, b, of_b), parameters(&pair.a, a, of_a));
    pair.a
        .with_transport(now, a, |t| t.set_remote_parameters(now, for_a))
        .expect("new parameters");
    pair.b
        .with_transport(now, b, |t| t.set_remote_parameters(now, for_b))
        .expect("new parameters");
}

pub(crate) fn parameters(host: &Host, id: TransportId, mode: Mode) -> RemoteParameters {
    let mut parameters = RemoteParameters::new(host.transport(id).local_parameters().clone());
    parameters.mode = mode;
    parameters
}

/// Every address of each host, and that there are no more.
pub(crate) fn add_candidates(pair: &mut Pair<Host, Host>, (a, b): (TransportId, TransportId)) {
    let now = pair.now();
    let (of_a, of_b) = (pair.a.addresses.clone(), pair.b.addresses.clone());
    for (host, id, own, theirs) in [
        (&mut pair.a, a, &of_a, &of_b),
        (&mut pair.b, b, &of_b, &of_a),
    ] {
        host.with_transport(now, id, |transport| {
            for address in own {
                transport
                    .add_local_candidate(now, Candidate::host(*address))
                    .expect("a host candidate");
            }
            transport.local_candidates_complete(now);
            for address in theirs {
                transport
                    .add_remote_candidate(now, Candidate::host(*address))
                    .expect("a host candidate");
            }
            transport.remote_candidates_complete(now);
        });
    }
}

/// Two hosts whose one session is connected.
pub(crate) fn connected(
    seed: u64,
    a: Part,
    b: Part,
) -> (Pair<Host, Host>, (TransportId, TransportId)) {
    let mut pair = world(seed);
    let ids = signalled(&mut pair, a, b);
    drive_until_connected(&mut pair, ids);
    (pair, ids)
}

pub(crate) fn drive_until_connected(
    pair: &mut Pair<Host, Host>,
    (a, b): (TransportId, TransportId),
) {
    pair.drive_until(|host_a, host_b| host_a.is_connected(a) && host_b.is_connected(b));
}

/// As an attacker or a late packet would: `bytes` arrive at `b` from `a`'s address.
pub(crate) fn datagram_to_b(bytes: &[u8]) -> Datagram {
    Datagram {
        source: sim::address(1),
        destination: sim::address(2),
        bytes: bytes.to_vec(),
    }
}

pub(crate) fn transport_config(identity: &Arc<Identity>) -> TransportConfig {
    TransportConfig::new(
        Arc::new(ice::Config::default()),
        Arc::new(dtls::Config::new(identity.clone())),
    )
}

pub(crate) fn fingerprints(identity: &Identity) -> FingerprintSet {
    FingerprintSet::new([identity.fingerprint(HashAlgorithm::Sha256)])
        .expect("one strong fingerprint")
}

/// Four identities for all stories: making one costs a key.
pub(crate) fn identity(number: u8) -> Arc<Identity> {
    static IDENTITIES: OnceLock<Vec<Arc<Identity>>> = OnceLock::new();
    let all = IDENTITIES.get_or_init(|| {
        let generate = |_| Arc::new(Identity::generate().expect("the backend makes keys"));
        (0..4).map(generate).collect()
    });
    all[usize::from(number) % all.len()].clone()
}

/// A transport that waits to be told of its peer.
pub(crate) fn create(
    endpoint: &mut Endpoint,
    now: Instant,
    mode: Mode,
    initiation: Initiation,
) -> TransportId {
    let options = TransportOptions {
        mode,
        initiation,
        setup: Setup::Passive,
        remote_identity: RemoteIdentity::Later,
        local_parameters: None,
    };
    endpoint.create(now, options).expect("room for it")
}

/// What is signalled of it.
pub(crate) fn parameters_of(endpoint: &Endpoint, id: TransportId) -> Parameters {
    let transport = endpoint.transport(id).expect("it was just created");
    transport.local_parameters().clone()
}
