//! Two live connections and everything that can happen between them.
//!
//! The bytes are a sequence of operations on the network, the clock and the two callers. With records protected, what
//! arrives was sent, and at most once; without, the fuzzer also gets at what lies behind the cipher.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use arbitrary::{Arbitrary, Unstructured};
use floe_dtls::{Config, Connection, Event, Received, RemoteIdentity, Setup, State};

use crate::{clock, identities, ignore};

/// Datagrams under way in one direction; more are lost.
const IN_FLIGHT: usize = 64;
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
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    /// Everything under way to this end arrives in order.
    DeliverAll(End),
    Deliver {
        to: End,
        which: u8,
    },
    Drop {
        to: End,
        which: u8,
    },
    Duplicate {
        to: End,
        which: u8,
    },
    Mutate {
        to: End,
        which: u8,
        at: u16,
        byte: u8,
    },
    Truncate {
        to: End,
        which: u8,
        len: u16,
    },
    Inject {
        to: End,
        datagram: Vec<u8>,
    },
    Advance {
        millis: u16,
    },
    Say {
        from: End,
        len: u8,
    },
    Close(End),
    SetFingerprints(End),
}

/// Runs the operations.
pub fn run(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let mut network = Network::new(&input);
    for operation in input.operations.into_iter().take(120) {
        network.apply(operation);
        network.client.settle();
        network.server.settle();
    }
}

struct Network {
    now: Instant,
    client: Peer,
    server: Peer,
    protected: bool,
    said: u32,
}

/// One end and what is on its way to it.
struct Peer {
    dtls: Connection,
    state: State,
    sent: VecDeque<Vec<u8>>,
    said: Vec<Vec<u8>>,
    heard: Vec<Vec<u8>>,
}

impl Network {
    fn new(input: &Input) -> Self {
        let mut config = Config::new(identities::identity());
        if input.small_mtu {
            config.mtu = *Config::MTUS.start();
        }
        if !input.protected {
            config = config.without_protection();
        }
        let config = Arc::new(config);
        let now = clock::epoch();
        let remote = || {
            if input.fingerprints_later {
                RemoteIdentity::Later
            } else {
                identities::expected()
            }
        };
        let peer = |setup| Peer::new(now, config.clone(), setup, remote());
        Self {
            now,
            client: peer(Setup::Active),
            server: peer(Setup::Passive),
            protected: input.protected,
            said: 0,
        }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::DeliverAll(to) => {
                for datagram in std::mem::take(&mut self.from(to).sent) {
                    self.deliver(to, datagram);
                }
            }
            Operation::Deliver { to, which } => {
                if let Some(datagram) = self.take(to, which) {
                    self.deliver(to, datagram);
                }
            }
            Operation::Drop { to, which } => ignore(self.take(to, which)),
            Operation::Duplicate { to, which } => {
                if let Some(datagram) = self.take(to, which) {
                    self.deliver(to, datagram.clone());
                    self.deliver(to, datagram);
                }
            }
            Operation::Mutate {
                to,
                which,
                at,
                byte,
            } => {
                if let Some(mut datagram) = self.take(to, which) {
                    let at = usize::from(at) % datagram.len();
                    datagram[at] = byte;
                    self.deliver(to, datagram);
                }
            }
            Operation::Truncate { to, which, len } => {
                if let Some(mut datagram) = self.take(to, which) {
                    datagram.truncate(len.into());
                    self.deliver(to, datagram);
                }
            }
            Operation::Inject { to, datagram } => self.deliver(to, datagram),
            Operation::Advance { millis } => self.advance(Duration::from_millis(millis.into())),
            Operation::Say { from, len } => self.say(from, len),
            Operation::Close(end) => {
                let now = self.now;
                self.end(end).dtls.close(now);
            }
            Operation::SetFingerprints(end) => {
                let now = self.now;
                ignore(
                    self.end(end)
                        .dtls
                        .set_remote_fingerprints(now, identities::fingerprints()),
                );
            }
        }
    }

    fn deliver(&mut self, to: End, mut datagram: Vec<u8>) {
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
        for end in [End::Client, End::Server] {
            let dtls = &mut self.end(end).dtls;
            dtls.handle_timeout(now);
            assert!(
                dtls.poll_timeout().is_none_or(|at| at > now),
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
            assert_eq!(
                peer.dtls.state(),
                State::Connected,
                "sealed before the peer is verified"
            );
            peer.send(out[..len].to_vec());
            peer.said.push(data);
        }
    }

    fn end(&mut self, end: End) -> &mut Peer {
        match end {
            End::Client => &mut self.client,
            End::Server => &mut self.server,
        }
    }

    /// The end whose datagrams go to `to`.
    fn from(&mut self, to: End) -> &mut Peer {
        match to {
            End::Client => &mut self.server,
            End::Server => &mut self.client,
        }
    }

    fn take(&mut self, to: End, which: u8) -> Option<Vec<u8>> {
        let sent = &mut self.from(to).sent;
        let which = usize::from(which).checked_rem(sent.len())?;
        sent.remove(which)
    }
}

impl Peer {
    fn new(now: Instant, config: Arc<Config>, setup: Setup, remote: RemoteIdentity) -> Self {
        let mut dtls = Connection::new(config, setup, remote).expect("a valid configuration");
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
            self.sent.push_back(datagram);
        }
    }
}
