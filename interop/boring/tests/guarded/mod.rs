//! A listener that believes no address: floe as a server behind its gate, with one client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use floe_dtls::{Config, Connection, CookieGate, PartialHello, RemoteIdentity, Setup, Verdict};
use sim::{Clock, Node, address};

use crate::interop::{FLOE, STRANGER};
use crate::peer::Peer;

/// What becomes of a ClientHello that does not come in one datagram.
pub(crate) enum Pieces {
    /// They are kept until it is whole, and asks for a cookie then.
    Kept(PartialHello),
    /// The first one begins a connection, which sends three bytes at most for each that came.
    LetIn,
}

impl Pieces {
    pub(crate) fn kept() -> Self {
        Self::Kept(PartialHello::new(Clock::epoch()))
    }
}

pub(crate) struct Guarded {
    config: Arc<Config>,
    gate: CookieGate,
    pieces: Pieces,
    expects: RemoteIdentity,
    peer: Option<Peer>,
    answers: Vec<Vec<u8>>,
    /// How many ClientHellos were sent back for a cookie.
    pub(crate) answered: usize,
    /// How many datagrams brought only a part of one.
    pub(crate) parts: usize,
    /// How many were of no use.
    pub(crate) dropped: usize,
    /// Whether the client was let in by a cookie.
    pub(crate) proven: bool,
}

impl Guarded {
    pub(crate) fn new(config: Config, pieces: Pieces, expects: RemoteIdentity) -> Self {
        let config = Arc::new(config);
        Self {
            gate: CookieGate::new(Clock::epoch(), config.clone()).unwrap(),
            config,
            pieces,
            expects,
            peer: None,
            answers: Vec::new(),
            answered: 0,
            parts: 0,
            dropped: 0,
            proven: false,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.peer.as_ref().is_some_and(Peer::is_connected)
    }

    /// The client that was let in.
    pub(crate) fn peer(&mut self) -> &mut Peer {
        self.peer.as_mut().unwrap()
    }

    /// Whether a datagram of an unknown client begins a connection.
    fn admit(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Option<Connection> {
        let (client, mut out) = (from.to_string(), [0; CookieGate::MAX_ANSWER]);
        let client = client.as_bytes();
        let mut verdict = self.gate.handle_datagram(now, client, datagram, &mut out);
        if let (Verdict::Fragment, Pieces::Kept(partial)) = (&verdict, &mut self.pieces) {
            verdict = self.gate.collect(now, client, partial, datagram, &mut out);
        }
        match (verdict, &self.pieces) {
            (Verdict::Answer(len), _) => {
                self.answers.push(out[..len].to_vec());
                self.answered += 1;
                None
            }
            (Verdict::Proven(proof), _) => {
                self.proven = true;
                Some(self.gate.accept(now, proof, self.expects.clone()).unwrap())
            }
            (Verdict::Fragment, Pieces::Kept(_)) => {
                self.parts += 1;
                None
            }
            (Verdict::Fragment, Pieces::LetIn) => {
                let (config, expects) = (self.config.clone(), self.expects.clone());
                let mut dtls = Connection::new(config, Setup::Passive, expects).unwrap();
                dtls.start(now);
                Some(dtls)
            }
            (Verdict::Dropped(_), _) => {
                self.dropped += 1;
                None
            }
            (other, _) => panic!("{other:?}"),
        }
    }
}

impl Node for Guarded {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &mut [u8],
    ) {
        if self.peer.is_none() {
            let Some(dtls) = self.admit(now, remote, datagram) else {
                return;
            };
            self.peer = Some(Peer::on_any_path(FLOE, STRANGER, dtls));
        }
        self.peer().handle_datagram(now, local, remote, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(peer) = &mut self.peer {
            peer.handle_timeout(now);
        }
    }

    fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        if let Some(answer) = self.answers.pop() {
            buf[..answer.len()].copy_from_slice(&answer);
            return Some((address(FLOE), address(STRANGER), answer.len()));
        }
        self.peer.as_mut()?.poll_transmit(buf)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.peer.as_ref()?.poll_timeout()
    }

    fn collect_events(&mut self, now: Instant) {
        if let Some(peer) = &mut self.peer {
            peer.collect_events(now);
        }
    }
}
