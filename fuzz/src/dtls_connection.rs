//! Two live connections of either version and everything that can happen between them.
//!
//! The bytes are a sequence of operations on the network, the clock and the two callers. With records protected, what
//! arrives was sent, and at most once; without, the fuzzer also gets at what lies behind the cipher.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use arbitrary::{Arbitrary, Unstructured};
use floe_dtls::{
    Config, Connection, ConnectionId, Event, KeyUpdateRequest, ProtocolVersion, Received,
    RemoteIdentity, Setup, State,
};

use crate::{
    clock, identities, ignore,
    operations::{End, Operation, World},
};

/// By then every handshake is over: its deadline of a minute, and half a minute for fingerprints.
const CONCLUSION: Duration = Duration::from_secs(100);
/// Datagrams under way in one direction; more are lost.
const IN_FLIGHT: usize = 64;
/// Messages that no end of floe says by itself (RFC 9147 §9).
const REQUEST_CONNECTION_ID: u8 = 9;
const NEW_CONNECTION_ID: u8 = 10;
/// More datagrams than this from one input is a storm.
const BURST: usize = 128;

#[expect(
    clippy::struct_excessive_bools,
    reason = "coins that the fuzzer throws"
)]
#[derive(Arbitrary, Debug)]
struct Input {
    protected: bool,
    fingerprints_later: bool,
    small_mtu: bool,
    client: Versions,
    server: Versions,
    /// How long the names are that the two ends give themselves.
    names: [Option<u8>; 2],
    operations: Vec<Operation<Own>>,
}

/// What an end speaks.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Versions {
    Both,
    Old,
    New,
}

/// What an owner of a connection can do besides talking.
#[derive(Arbitrary, Debug)]
enum Own {
    SetFingerprints(End),
    SetMtu(End, u16),
    UpdateKeys(End, bool),
    /// It wants to be called something else, at once or some day.
    TakeName {
        end: End,
        len: u8,
        at_once: bool,
    },
    AskForNames(End, u8),
}

/// Runs the operations.
pub fn run(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let mut network = Network::new(&input);
    for operation in input.operations.into_iter().take(120) {
        network.apply(operation);
        network.ends.iter_mut().for_each(Peer::settle);
    }
    network.conclude();
}

struct Network {
    now: Instant,
    ends: [Peer; 2],
    protected: bool,
    said: u32,
}

/// One end and what is on its way to it.
struct Peer {
    dtls: Connection,
    state: State,
    sent: VecDeque<((), Vec<u8>)>,
    said: Vec<Vec<u8>>,
    heard: Vec<Vec<u8>>,
}

impl Network {
    fn new(input: &Input) -> Self {
        let now = clock::epoch();
        let end = |setup, versions, name| {
            let config = Arc::new(input.config(versions, name));
            let remote = match input.fingerprints_later {
                true => RemoteIdentity::Later,
                false => identities::expected(),
            };
            Peer::new(now, config, setup, remote)
        };
        Self {
            now,
            ends: [
                end(Setup::Active, input.client, input.names[0]),
                end(Setup::Passive, input.server, input.names[1]),
            ],
            protected: input.protected,
            said: 0,
        }
    }

    fn end(&mut self, end: End) -> &mut Peer {
        let [a, b] = &mut self.ends;
        match end {
            End::A => a,
            End::B => b,
        }
    }

    /// The end whose datagrams go to `to`.
    fn from(&mut self, to: End) -> &mut Peer {
        self.end(match to {
            End::A => End::B,
            End::B => End::A,
        })
    }
}

impl Network {
    /// From now on nothing is lost and nobody interferes: both ends arrive somewhere.
    fn conclude(&mut self) {
        let until = self.now + CONCLUSION;
        let mut deliveries = 0;
        while self.now < until {
            self.ends.iter_mut().for_each(Peer::settle);
            let quiet = self.ends.iter().all(|end| end.sent.is_empty());
            if quiet {
                let due = self.ends.iter().filter_map(|end| end.dtls.poll_timeout());
                let next = due.min().unwrap_or(until).min(until);
                self.advance(next - self.now);
                continue;
            }
            self.apply(Operation::DeliverAll(End::A));
            self.apply(Operation::DeliverAll(End::B));
            deliveries += 1;
            assert!(deliveries < 1000, "they never stop talking");
        }
        self.ends.iter_mut().for_each(Peer::settle);
        for end in &self.ends {
            let over = !matches!(end.state, State::New | State::Connecting);
            assert!(over, "a handshake that never ends");
        }
    }
}

impl Input {
    fn config(&self, versions: Versions, name: Option<u8>) -> Config {
        let mut config = Config::new(identities::identity());
        (config.min_version, config.max_version) = match versions {
            Versions::Both => (ProtocolVersion::DTLS1_2, ProtocolVersion::DTLS1_3),
            Versions::Old => (ProtocolVersion::DTLS1_2, ProtocolVersion::DTLS1_2),
            Versions::New => (ProtocolVersion::DTLS1_3, ProtocolVersion::DTLS1_3),
        };
        config.connection_id = name.and_then(|len| ConnectionId::new(&[b'n'; 255][..len.into()]));
        if self.small_mtu {
            config.mtu = *Config::MTUS.start();
        }
        match self.protected {
            true => config,
            false => config.without_protection(),
        }
    }
}

impl World for Network {
    type Own = Own;
    type Path = ();

    fn under_way(&mut self, to: End) -> &mut VecDeque<((), Vec<u8>)> {
        &mut self.from(to).sent
    }

    fn path_of_a_stranger(&mut self, _: End) {}

    fn deliver(&mut self, to: End, (): (), mut datagram: Vec<u8>) {
        let now = self.now;
        let protected = self.protected;
        let said = self.from(to).said.clone();
        let peer = self.end(to);
        let mut unread = 0..datagram.len();
        while let Received::Data { range, rest } = peer
            .dtls
            .handle_datagram(now, &mut datagram[unread.clone()])
        {
            assert_eq!(
                peer.dtls.state(),
                State::Connected,
                "data before the peer is verified"
            );
            let data = datagram[unread.start + range.start..unread.start + range.end].to_vec();
            if protected {
                assert!(said.contains(&data), "nobody said this");
                assert!(!peer.heard.contains(&data), "heard twice");
            }
            peer.heard.push(data);
            unread = unread.start + rest.start..unread.start + rest.end;
            if unread.is_empty() {
                break;
            }
        }
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
        let now = self.now;
        for end in &mut self.ends {
            end.dtls.handle_timeout(now);
            assert!(
                end.dtls.poll_timeout().is_none_or(|at| at > now),
                "a deadline was left behind"
            );
        }
    }

    /// Every message is another, so that one heard twice shows.
    fn say(&mut self, from: End, len: u8) {
        self.said += 1;
        let mut data = self.said.to_be_bytes().to_vec();
        data.resize(4 + usize::from(len), 0);
        let now = self.now;
        let peer = self.end(from);
        let mut out = [0; 2048];
        if let Ok(len) = peer.dtls.seal(now, &data, &mut out) {
            peer.send(out[..len].to_vec());
            peer.said.push(data);
        }
    }

    fn close(&mut self, end: End) {
        let now = self.now;
        self.end(end).dtls.close(now);
    }

    fn own(&mut self, operation: Own) {
        let now = self.now;
        match operation {
            Own::SetFingerprints(end) => {
                let dtls = &mut self.end(end).dtls;
                ignore(dtls.set_remote_fingerprints(now, identities::fingerprints()));
            }
            Own::UpdateKeys(end, both) => {
                let request = match both {
                    true => KeyUpdateRequest::Requested,
                    false => KeyUpdateRequest::NotRequested,
                };
                ignore(self.end(end).dtls.update_keys(now, request));
            }
            Own::TakeName { end, len, at_once } => {
                let list = u16::from(len) + 1;
                let mut body = list.to_be_bytes().to_vec();
                body.push(len);
                body.resize(3 + usize::from(len), b'm');
                body.push(u8::from(!at_once));
                self.end(end)
                    .dtls
                    .say_after_handshake(now, NEW_CONNECTION_ID, &body);
            }
            Own::AskForNames(end, count) => {
                self.end(end)
                    .dtls
                    .say_after_handshake(now, REQUEST_CONNECTION_ID, &[count]);
            }
            Own::SetMtu(end, mtu) => {
                ignore(self.end(end).dtls.set_mtu(usize::from(mtu % 2048)));
            }
        }
    }
}

impl Peer {
    fn new(now: Instant, config: Arc<Config>, setup: Setup, remote: RemoteIdentity) -> Self {
        let mut dtls = Connection::new(config, setup, remote).expect("a valid configuration");
        dtls.set_path_validated();
        dtls.start(now);
        Self {
            dtls,
            state: State::New,
            sent: VecDeque::new(),
            said: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Drains what the operation led to and checks what always holds.
    fn settle(&mut self) {
        let mut out = [0; 2048];
        let mut burst = 0;
        while let Some(len) = self.dtls.poll_transmit(&mut out) {
            self.send(out[..len].to_vec());
            burst += 1;
            assert!(burst < BURST, "a storm");
        }
        while let Some(event) = self.dtls.poll_event() {
            if let Event::StateChange(transition) = event {
                assert_eq!(transition.from, self.state, "a change of state was lost");
                self.state = transition.to;
            }
        }
        assert_eq!(
            self.state,
            self.dtls.state(),
            "the state changed without a word"
        );
        if self.state != State::Connected {
            assert!(
                self.dtls.srtp_keys().is_none() || self.state == State::Closed,
                "keys without a verified peer"
            );
        }
        if matches!(self.state, State::Closed | State::Failed) {
            assert_eq!(self.dtls.poll_timeout(), None, "nothing to wait for");
        }
    }

    fn send(&mut self, datagram: Vec<u8>) {
        if self.sent.len() < IN_FLIGHT {
            self.sent.push_back(((), datagram));
        }
    }
}
