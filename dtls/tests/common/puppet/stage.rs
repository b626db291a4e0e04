//! A victim and the puppet that talks to it, on a wire that loses nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use floe_dtls::{Config, Connection, Received, RemoteIdentity, Setup, Side, State};
use sim::Clock;

use super::{Cast, Letter, Outgoing, Puppet, Version, Who};
use crate::common::ends::expecting_owner_of;
use crate::common::keeping;
use crate::common::wire::{CHANGE_CIPHER_SPEC, Record};

pub struct Stage {
    pub victim: Connection,
    pub puppet: Puppet,
    /// The letters that the victim took.
    pub taken: Vec<Letter>,
    pub dropped: usize,
    pub now: Instant,
}

impl Stage {
    /// A victim that speaks nothing but `version` and expects the signalled certificate.
    pub fn new(version: Version, victim: Side, cast: &Cast) -> Self {
        let mut config = keeping(cast.victim.clone());
        version.limit(&mut config);
        let remote = expecting_owner_of(&cast.signalled.identity());
        Self::with(version, victim, cast, config, remote)
    }

    pub fn with(
        version: Version,
        victim: Side,
        cast: &Cast,
        config: Config,
        remote: RemoteIdentity,
    ) -> Self {
        let setup = match victim {
            Side::Client => Setup::Active,
            Side::Server => Setup::Passive,
        };
        let mut connection = Connection::new(Arc::new(config), setup, remote).unwrap();
        connection.set_path_validated();
        connection.start(Clock::epoch());
        let mut stage = Self {
            victim: connection,
            puppet: Puppet::new(version, victim.peer(), cast),
            taken: Vec::new(),
            dropped: 0,
            now: Clock::epoch(),
        };
        stage.listen();
        stage
    }

    /// ... and they are connected.
    pub fn connected(version: Version, victim: Side, cast: &Cast) -> Self {
        let mut stage = Self::new(version, victim, cast);
        stage.say_all(version.word(victim));
        assert_eq!(
            stage.victim.state(),
            State::Connected,
            "{:?}",
            stage.victim.error()
        );
        stage
    }

    pub fn say_all(&mut self, word: &[Letter]) {
        for letter in word {
            let _ = self.say(*letter);
        }
    }

    pub fn say(&mut self, letter: Letter) -> Received {
        self.say_changed(letter, |_| ())
    }

    /// The body is not what it should be.
    pub fn say_changed(&mut self, letter: Letter, change: impl FnOnce(&mut Vec<u8>)) -> Received {
        if matches!(letter, Letter::Finished | Letter::FinishedForged) {
            self.change_cipher_spec();
        }
        let outgoing = self.puppet.say_changed(letter, change);
        let received = self.give(outgoing.datagram.clone());
        self.settle(outgoing, &received);
        received
    }

    fn settle(&mut self, outgoing: Outgoing, received: &Received) {
        match received {
            Received::Handled => {
                self.taken.push(outgoing.letter());
                self.puppet.taken(outgoing);
            }
            Received::Dropped(_) => self.dropped += 1,
            other => panic!("{other:?}"),
        }
        self.listen();
    }

    /// In these fragments of the body, from and to, each in a datagram of its own.
    pub fn say_in_pieces(
        &mut self,
        letter: Letter,
        change: impl FnOnce(&mut Vec<u8>),
        cuts: impl Fn(usize) -> Vec<(usize, usize)>,
    ) {
        let (outgoing, datagrams) = self.puppet.say_in_pieces(letter, change, cuts);
        for datagram in datagrams {
            let _ = self.give(datagram);
        }
        self.settle(outgoing, &Received::Handled);
    }

    pub fn change_cipher_spec(&mut self) {
        let record = Record::new(CHANGE_CIPHER_SPEC, 0, 1 << 20, &[1]);
        let _ = self.give(record.to_bytes());
    }

    pub fn give(&mut self, mut datagram: Vec<u8>) -> Received {
        self.victim.handle_datagram(self.now, &mut datagram)
    }

    /// The puppet hears what the victim has to say; so many datagrams that was.
    pub fn listen(&mut self) -> usize {
        let mut buf = [0; 1500];
        let mut datagrams = 0;
        while let Some(len) = self.victim.poll_transmit(&mut buf) {
            self.puppet.hear(&buf[..len]);
            datagrams += 1;
        }
        datagrams
    }

    /// Listens, also to what is only said after the delay of an ACK.
    pub fn acknowledge(&mut self) {
        self.listen();
        let soon = self.now + Duration::from_secs(1);
        while let Some(due) = self.victim.poll_timeout().filter(|due| *due <= soon) {
            self.now = due;
            self.victim.handle_timeout(due);
            self.listen();
        }
    }

    pub fn assert_talking(&mut self) {
        let datagram = self.puppet.seal_data(b"from the puppet");
        let mut datagram_copy = datagram.clone();
        let received = self.victim.handle_datagram(self.now, &mut datagram_copy);
        let Received::Data { range, .. } = received else {
            panic!("{received:?}");
        };
        assert_eq!(&datagram_copy[range], b"from the puppet");
        let mut out = [0; 100];
        let len = self
            .victim
            .seal(self.now, b"from the victim", &mut out)
            .unwrap();
        assert_eq!(self.puppet.open_data(&out[..len]), b"from the victim");
    }
}

impl Version {
    /// What an honest peer of `victim` says until both are connected.
    pub fn word(self, victim: Side) -> &'static [Letter] {
        const CERTIFICATE: Letter = Letter::Certificate(Who::Signalled);
        match (self, victim) {
            (Self::V12, Side::Client) => &[
                Letter::ServerHello,
                CERTIFICATE,
                Letter::ServerKeyExchange,
                Letter::CertificateRequest,
                Letter::ServerHelloDone,
                Letter::Finished,
            ],
            (Self::V12, Side::Server) => &[
                Letter::ClientHello,
                CERTIFICATE,
                Letter::ClientKeyExchange,
                Letter::CertificateVerify,
                Letter::Finished,
            ],
            (Self::V13, Side::Client) => &[
                Letter::ServerHello,
                Letter::EncryptedExtensions,
                Letter::CertificateRequest,
                CERTIFICATE,
                Letter::CertificateVerify,
                Letter::Finished,
            ],
            (Self::V13, Side::Server) => &[
                Letter::ClientHello,
                CERTIFICATE,
                Letter::CertificateVerify,
                Letter::Finished,
            ],
        }
    }
}
