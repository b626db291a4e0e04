//! floe.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use floe_ice::{
    Agent, Candidate, Config, FiveTuple, Initiation, Mode, Parameters, RemoteParameters, Timing,
};

use super::{Credentials, Peer, Sent, Side, preference};

/// floe's agent with its defaults: consent every 5 s, give or take a fifth (RFC 7675 §5.1).
#[derive(Debug)]
pub struct Floe {
    agent: Agent,
}

/// The same, checking every 2.5 s as Chromium does on a stable connection.
#[derive(Debug)]
pub struct AtChromiumsRate(Floe);

static DEFAULT: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(Config::default()));

static CHROMIUM: LazyLock<Arc<Config>> = LazyLock::new(|| {
    let mut timing = Timing::default();
    timing.consent_interval = Duration::from_millis(2500);
    Arc::new(Config::with_timing(timing))
});

impl Floe {
    fn with_config(
        config: Arc<Config>,
        side: Side,
        number: u64,
        now: Instant,
        sockets: &[SocketAddr],
    ) -> Self {
        let initiation = match side {
            Side::Controlling => Initiation::Initiating,
            Side::Controlled => Initiation::Responding,
        };
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        let mut agent = Agent::with_seed(seed, config, Mode::Full, initiation, None);
        for candidate in candidates(sockets) {
            agent
                .add_local_candidate(now, candidate)
                .expect("a host candidate");
        }
        agent.local_candidates_complete(now);
        Self { agent }
    }
}

fn candidates(addresses: &[SocketAddr]) -> impl Iterator<Item = Candidate> {
    let host = |(index, address): (usize, &SocketAddr)| {
        let preference = u16::try_from(preference(index)).expect("few candidates");
        Candidate::host(*address).with_local_preference(preference)
    };
    addresses.iter().enumerate().map(host)
}

impl Peer for Floe {
    const NAME: &'static str = "floe";

    fn new(side: Side, number: u64, now: Instant, sockets: &[SocketAddr]) -> Self {
        Self::with_config(DEFAULT.clone(), side, number, now, sockets)
    }

    fn credentials(&self) -> Credentials {
        let parameters = self.agent.local_parameters();
        Credentials {
            ufrag: parameters.username_fragment().to_owned(),
            password: parameters.password().to_owned(),
        }
    }

    fn learn(&mut self, now: Instant, remote: &Credentials, addresses: &[SocketAddr]) {
        let parameters = Parameters::new(&remote.ufrag, &remote.password).expect("well-formed");
        self.agent
            .set_remote_parameters(now, RemoteParameters::new(parameters))
            .expect("for the first time");
        for candidate in candidates(addresses) {
            self.agent
                .add_remote_candidate(now, candidate)
                .expect("a host candidate");
        }
        self.agent.remote_candidates_complete(now);
    }

    fn receive(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr, datagram: &[u8]) {
        let path = FiveTuple::udp(local, remote);
        let _ = self.agent.handle_datagram(now, path, datagram);
    }

    fn wake(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    fn transmit(&mut self, _: Instant, buf: &mut [u8]) -> Option<Sent> {
        let transmit = self.agent.poll_transmit(buf)?;
        Some(Sent {
            local: transmit.path.local,
            remote: transmit.path.remote,
            len: transmit.len,
        })
    }

    fn take_events(&mut self) {
        while self.agent.poll_event().is_some() {}
    }

    fn is_usable(&self) -> bool {
        self.agent.usable_path().is_some()
    }

    fn is_selected(&self) -> bool {
        let pair = self.agent.selected_candidate_pair();
        pair.is_some_and(|pair| pair.nominated)
    }
}

impl Peer for AtChromiumsRate {
    const NAME: &'static str = "floe, a check every 2.5 s";

    fn new(side: Side, number: u64, now: Instant, sockets: &[SocketAddr]) -> Self {
        Self(Floe::with_config(
            CHROMIUM.clone(),
            side,
            number,
            now,
            sockets,
        ))
    }

    fn credentials(&self) -> Credentials {
        self.0.credentials()
    }

    fn learn(&mut self, now: Instant, remote: &Credentials, addresses: &[SocketAddr]) {
        self.0.learn(now, remote, addresses);
    }

    fn receive(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr, datagram: &[u8]) {
        self.0.receive(now, local, remote, datagram);
    }

    fn wake(&mut self, now: Instant) {
        self.0.wake(now);
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.0.deadline()
    }

    fn transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Sent> {
        self.0.transmit(now, buf)
    }

    fn take_events(&mut self) {
        self.0.take_events();
    }

    fn is_usable(&self) -> bool {
        self.0.is_usable()
    }

    fn is_selected(&self) -> bool {
        self.0.is_selected()
    }
}
