//! floe.

use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_dtls::{
    CipherSuite, Config, Connection, CryptoBackend, FingerprintSet, HashAlgorithm, Identity,
    NamedGroup, ProtocolVersion, Received, RemoteIdentity, Setup, Side, State,
};

use super::{End, Progress, Stack, V12};

/// floe in one version, with one backend and group, as in a transport on a path with a round-trip time of 100 ms.
#[derive(Debug)]
pub struct Floe {
    version: ProtocolVersion,
    config: Arc<Config>,
    remote: RemoteIdentity,
}

impl Floe {
    /// With datagrams of at most `mtu` bytes.
    #[must_use]
    pub fn new(
        version: ProtocolVersion,
        backend: CryptoBackend,
        group: NamedGroup,
        mtu: usize,
    ) -> Self {
        let identity = Arc::new(Identity::generate().expect("randomness"));
        let fingerprint = identity.fingerprint(HashAlgorithm::Sha256);
        let mut config = Config::new(identity);
        (config.min_version, config.max_version) = (version, version);
        config.backend = backend;
        config.groups = vec![group];
        config.cipher_suites = vec![match version {
            V12 => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            _ => CipherSuite::TLS13_AES_128_GCM_SHA256,
        }];
        config.mtu = mtu;
        Self {
            version,
            config: Arc::new(config),
            remote: RemoteIdentity::Fingerprints(FingerprintSet::new([fingerprint]).expect("one")),
        }
    }
}

impl Stack for Floe {
    type End = Connection;

    fn name(&self) -> String {
        let backend = match self.config.backend {
            CryptoBackend::Ring => "ring",
            _ => "aws-lc-rs",
        };
        format!(
            "floe, {}, {backend}, {}",
            self.version, self.config.groups[0]
        )
    }

    fn end(&self, now: Instant, side: Side) -> Connection {
        let setup = match side {
            Side::Client => Setup::Active,
            Side::Server => Setup::Passive,
        };
        let mut connection = Connection::new(self.config.clone(), setup, self.remote.clone())
            .expect("a good configuration");
        connection.set_rtt_hint(Duration::from_millis(100));
        connection.set_retransmission_cap(Duration::from_millis(800));
        connection.set_path_validated();
        connection.start(now);
        connection
    }
}

impl End for Connection {
    fn receive(&mut self, now: Instant, datagram: &mut [u8]) {
        let _ = self.handle_datagram(now, datagram);
    }

    fn transmit(&mut self, buf: &mut [u8]) -> Option<usize> {
        while self.poll_event().is_some() {}
        self.poll_transmit(buf)
    }

    fn seal(&mut self, now: Instant, data: &[u8], out: &mut [u8]) -> usize {
        Self::seal(self, now, data, out).expect("connected")
    }

    fn open(&mut self, now: Instant, datagram: &mut [u8], _: &mut [u8]) -> usize {
        match self.handle_datagram(now, datagram) {
            Received::Data { range, .. } => range.len(),
            _ => 0,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn wake(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn progress(&self) -> Progress {
        match self.state() {
            State::New | State::Connecting => Progress::Connecting,
            State::Connected => Progress::Connected,
            _ => Progress::Failed,
        }
    }
}
