//! One process's side of all sessions: an endpoint, its sockets, and the loop between them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe::dtls::{self, CertificateFingerprint, FingerprintSet, HashAlgorithm, Identity, Setup};
use floe::ice::{self, Candidate, Initiation, Mode, RemoteParameters, State};
use floe::{
    Endpoint, EndpointConfig, Event, RemoteDtls, Segments, TransportConfig, TransportId,
    TransportOptions,
};

use crate::control::Party;
use crate::options::{Dtls, Plan};
use crate::socket::{Sockets, now};

/// The longest wait for a datagram: so late a message of the other process is read.
const TURN: Duration = Duration::from_millis(5);

/// Bytes polled at once.
const SEND_BUFFER: usize = 64 * 1024;
/// And in how many parts at most: a check is some hundred bytes long.
const TRANSMITS: usize = 256;

/// Which side of its sessions a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// It has one address, makes the offers, and is told nothing of where the clients are.
    Server,
    /// Each has an address of its own.
    Clients,
}

pub(crate) struct Fleet {
    side: Side,
    plan: Plan,
    endpoint: Endpoint,
    sockets: Sockets,
    sessions: Vec<TransportId>,
    identity: Arc<Identity>,
    peer: Option<FingerprintSet>,
    connected: usize,
    /// What is to be sent, side by side, and its parts.
    buf: Vec<u8>,
    transmits: Vec<Segments>,
}

impl Fleet {
    pub(crate) fn new(side: Side, plan: &Plan) -> io::Result<Self> {
        let identity = Arc::new(Identity::generate().map_err(io::Error::other)?);
        let mut config = ice::Config::default();
        config.addresses.loopback = ice::Access::Allowed;
        config.timing.consent_interval = plan.interval;
        let dtls = Arc::new(dtls::Config::new(identity.clone()));
        let transport = TransportConfig::new(Arc::new(config), dtls);
        let address = match side {
            Side::Server => Ipv4Addr::LOCALHOST,
            Side::Clients => Ipv4Addr::UNSPECIFIED,
        };
        Ok(Self {
            side,
            plan: *plan,
            endpoint: Endpoint::new(EndpointConfig::new(transport)),
            sockets: Sockets::bind(address, plan.sockets)?,
            sessions: Vec::new(),
            identity,
            peer: None,
            connected: 0,
            buf: vec![0; SEND_BUFFER],
            transmits: Vec::with_capacity(TRANSMITS),
        })
    }

    /// The fingerprint of this process's certificate.
    pub(crate) fn fingerprint(&self) -> String {
        self.identity.fingerprint(HashAlgorithm::Sha256).to_string()
    }

    /// The other process's.
    pub(crate) fn set_peer(&mut self, fingerprint: &str) -> io::Result<()> {
        let fingerprint: CertificateFingerprint = fingerprint.parse().map_err(io::Error::other)?;
        self.peer = Some(FingerprintSet::new([fingerprint]).map_err(io::Error::other)?);
        Ok(())
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// How many are connected now, with DTLS if there is any.
    pub(crate) fn connected(&self) -> usize {
        self.connected
    }

    pub(crate) fn unsent(&self) -> u64 {
        self.sockets.unsent()
    }

    /// The agents of all sessions.
    pub(crate) fn agents(&self) -> impl Iterator<Item = &ice::Agent> {
        self.endpoint
            .transports()
            .map(|(_, transport)| transport.ice())
    }

    /// Makes this side of the next session.
    pub(crate) fn join(&mut self, now: Instant) -> io::Result<Party> {
        let number = self.sessions.len();
        let (initiation, setup) = match (self.side, self.plan.dtls) {
            (Side::Server, _) => (Initiation::Initiating, Setup::ActPass),
            (Side::Clients, Dtls::Established) => (Initiation::Responding, Setup::Active),
            // Nobody is told of anybody's certificate, and nobody begins.
            (Side::Clients, Dtls::Unused) => (Initiation::Responding, Setup::ActPass),
        };
        let options = TransportOptions {
            mode: Mode::Full,
            initiation,
            setup,
            remote_identity: dtls::RemoteIdentity::Later,
            local_parameters: None,
        };
        let id = self
            .endpoint
            .create(now, options)
            .map_err(io::Error::other)?;
        self.sessions.push(id);
        let address = SocketAddr::from((self.address(number), self.sockets.port(number)));
        self.with(now, number, |transport| {
            transport.add_local_candidate(now, Candidate::host(address))?;
            transport.local_candidates_complete(now);
            let own = transport.local_parameters();
            Ok(Party {
                ufrag: own.username_fragment().to_owned(),
                password: own.password().to_owned(),
                address,
            })
        })
    }

    /// Tells session `number` of its other side.
    pub(crate) fn meet(&mut self, now: Instant, number: usize, party: &Party) -> io::Result<()> {
        let peer = self.peer.clone();
        let (side, dtls) = (self.side, self.plan.dtls);
        let parameters =
            ice::Parameters::new(&party.ufrag, &party.password).map_err(io::Error::other)?;
        self.with(now, number, |transport| {
            transport.set_remote_parameters(now, RemoteParameters::new(parameters))?;
            // The server learns where a client is from its checks, as with most browsers.
            if side == Side::Clients {
                transport.add_remote_candidate(now, Candidate::host(party.address))?;
            }
            transport.remote_candidates_complete(now);
            if let (Dtls::Established, Some(fingerprints)) = (dtls, peer) {
                let setup = match side {
                    Side::Server => Setup::Active,
                    Side::Clients => Setup::Passive,
                };
                let tls_id = None;
                let remote = RemoteDtls {
                    fingerprints,
                    setup,
                    tls_id,
                };
                transport.set_remote_dtls(now, remote)?;
            }
            Ok(())
        })
    }

    fn with<R>(
        &mut self,
        now: Instant,
        number: usize,
        command: impl FnOnce(&mut floe::Transport) -> Result<R, floe::ApiMisuse>,
    ) -> io::Result<R> {
        let id = self.sessions.get(number).copied();
        let done = id.and_then(|id| self.endpoint.with(now, id, command));
        done.ok_or_else(|| io::Error::other("no such session"))?
            .map_err(io::Error::other)
    }

    /// 127.0.0.1 is the server's; each client has one of the sixteen million others.
    fn address(&self, number: usize) -> Ipv4Addr {
        match self.side {
            Side::Server => Ipv4Addr::LOCALHOST,
            Side::Clients => {
                let offset = u32::try_from(number).unwrap_or_default() + 0x0001_0000;
                Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 0, 0).to_bits() | offset)
            }
        }
    }

    /// One turn of the loop: sends what there is, waits for a datagram or a deadline, and reads.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        let Self { buf, transmits, .. } = self;
        while self.endpoint.poll_transmits(buf, transmits) > 0 {
            for segments in transmits.iter() {
                self.sockets.send(segments, buf);
            }
        }
        while let Some((_, event)) = self.endpoint.poll_event() {
            self.note(event);
        }
        let due = self.endpoint.poll_timeout();
        let wait = due.map_or(TURN, |due| due.saturating_duration_since(now()).min(TURN));
        self.sockets.wait(wait)?;
        self.sockets.receive(|now, datagrams| {
            // What is not for anybody here is counted by the endpoint.
            self.endpoint.handle_datagrams(now, datagrams, |_, _, _| {});
        })?;
        self.endpoint.handle_timeout(now());
        Ok(())
    }

    /// Keeps count of who is connected.
    fn note(&mut self, event: Event) {
        let up = |state| matches!(state, State::Connected | State::Completed);
        let (was, is) = match (event, self.plan.dtls) {
            (Event::IceStateChange(change), Dtls::Unused) => (up(change.from), up(change.to)),
            (Event::DtlsStateChange(change), Dtls::Established) => (
                change.from == dtls::State::Connected,
                change.to == dtls::State::Connected,
            ),
            _ => return,
        };
        self.connected = (self.connected + usize::from(is)).saturating_sub(usize::from(was));
    }
}
